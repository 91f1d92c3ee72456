"""Storage in one LMDB environment: the embedded default.

Is:     one file, memory-mapped, crash-safe by copy-on-write pages; a commit is an fsync. Blobs are files in a folder beside it.
Is not: shared between processes that write: a node owns its folder.
Fits:   `datomstore.storage.keyed` gives the layout.
Source: LMDB (Chu 2011), through py-lmdb.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import lmdb

from datomstore.errors import DatomstoreError
from datomstore.limits import LMDB_MAP_SIZE, PURGE_WAIT_S
from datomstore.storage import (
    BlobWriter,
    Buffer,
    StorageCorrupt,
    StorageError,
    StorageTransaction,
)
from datomstore.storage.files import BlobFiles, copy_blobs, flush_folder
from datomstore.storage.keyed import KeyedTransaction
from datomstore.storage.watches import Told, Watches

BLOBS = "blobs"  # the folder of blobs
PURGED = "purged.mdb"  # a copy on its way to become data.mdb
OWNER = "owner"  # locked by the process whose folder it is
COPY_ATTEMPTS = 5  # of a folder that is written meanwhile


class StorageInUse(StorageError):
    """Another engine has this folder open."""

    code = "storage/in-use"


class StorageFull(StorageError):
    """The environment has reached its map size, or the disk is full."""

    code = "storage/full"


class KeyTooLong(DatomstoreError):
    """The engine's keys have at most 511 bytes."""

    code = "storage/key"


def _ours(error: lmdb.Error) -> DatomstoreError:
    """Return the engine's error as one of ours."""
    if isinstance(error, (lmdb.MapFullError, lmdb.DiskError)):
        return StorageFull(str(error))
    if isinstance(error, (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)):
        return StorageCorrupt(str(error))
    if isinstance(error, lmdb.BadValsizeError):
        return KeyTooLong("a table's name and key together are too long for the engine")
    return StorageError(str(error))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the engine's errors into ours, where they happen: who caught one of ours knows that all is lost."""
    try:
        yield
    except lmdb.Error as error:
        raise _ours(error) from error


class _Mapped:
    """One LMDB transaction as an ordered map."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self._transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        value = self._transaction.get(key)
        return None if value is None else bytes(value)

    def put(self, key: bytes, value: bytes) -> None:
        try:
            self._transaction.put(key, value)
        except lmdb.Error as error:
            raise _ours(error) from error

    def put_all(self, entries: list[tuple[bytes, bytes]]) -> None:
        try:
            with self._transaction.cursor() as cursor:
                cursor.putmulti(entries)
        except lmdb.Error as error:
            raise _ours(error) from error

    def delete(self, key: bytes) -> None:
        try:
            self._transaction.delete(key)
        except lmdb.Error as error:
            raise _ours(error) from error

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._transaction.cursor() as cursor:
            if not cursor.set_range(start):
                return
            for found, value in cursor:
                key = bytes(found)
                if not key.startswith(prefix):
                    return
                yield key, bytes(value)


class LmdbStorage:
    """An engine on disk. A second one on the same folder is refused by its lock."""

    waits = True
    maps = True

    def __init__(self, path: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._owner = _owned(path)
        try:
            self._begin(path, map_size)
        except BaseException:
            os.close(self._owner)
            raise

    def _begin(self, path: Path, map_size: int) -> None:
        self._path = path
        self._map_size = map_size
        (path / PURGED).unlink(missing_ok=True)  # a purge that a crash stopped
        self._environment = self._open()
        self._gate = threading.Condition()
        self._inside = 0  # open transactions
        self._closed_for_purge = False
        self._closed = False
        self._watches = Watches()
        self._blobs = BlobFiles(path / BLOBS)
        with self._environment.begin() as transaction:
            kept = KeyedTransaction(_Mapped(transaction), self).blobs()
        self._blobs.sweep(kept)

    def _open(self) -> lmdb.Environment:
        return lmdb.open(str(self._path), map_size=self._map_size, max_dbs=0, mode=0o600)

    @staticmethod
    def written(
        path: Path, entries: Iterable[tuple[bytes, bytes]], blobs: Iterable[bytes] = ()
    ) -> None:
        """Make a new environment with entries and their blobs, and close it. Raises StorageError."""
        _refuse_used(path)
        engine = LmdbStorage(path)
        try:
            for blob in blobs:
                writer = engine.create_blob()
                writer.write(blob)
                writer.finish()
            with engine._environment.begin(write=True) as transaction:
                for key, value in entries:
                    transaction.put(key, value)
        finally:
            engine.close()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        """Open a transaction; leaving a write transaction returns after the fsync."""
        self._enter()
        made: list[bytes] = []
        try:
            with _translated(), self._environment.begin(write=write) as transaction:
                keyed = KeyedTransaction(_Mapped(transaction), self)
                made = keyed.made
                yield keyed
                keyed.finish()
            made = []
        finally:
            self._leave()
            for digest in made:
                self.drop_blob(digest)
        for digest in keyed.kept:
            self._blobs.settled(digest, kept=True)
        for digest in keyed.doomed:
            self._blobs.remove(digest)
        self._watches.tell(keyed.ends)

    def append(self, stream: str, expected_t: int, blob: bytes, root: bytes) -> None:
        """Append to a log and set its root in a transaction of its own."""
        self._enter()
        try:
            with _translated(), self._environment.begin(write=True) as transaction:
                keyed = KeyedTransaction(_Mapped(transaction), self)
                keyed.append(stream, expected_t, blob)
                keyed.set_root(stream, root)
                keyed.finish()
        finally:
            self._leave()
        self._watches.tell(keyed.ends)

    def watch(self, stream: str, told: Told) -> Callable[[], None]:
        """Call `told` with the end of a log when it has grown."""
        return self._watches.add(stream, told)

    def create_blob(self) -> BlobWriter:
        """Begin a blob: a file that has no name yet."""
        return self._blobs.create()

    def drop_blob(self, digest: bytes) -> None:
        """Give up a blob that no transaction will keep."""
        with self.transaction(write=False) as transaction:
            kept = transaction.get_blob(digest) is not None
        self._blobs.settled(digest, kept=kept)

    def blob(self, digest: bytes) -> Buffer | None:
        """Return a blob, mapped."""
        return self._blobs.open(digest)

    def size(self) -> int:
        """Return the bytes on disk: of the file, and of the blobs."""
        blobs = sum(path.stat().st_blocks for path in (self._path / BLOBS).iterdir())
        return ((self._path / "data.mdb").stat().st_blocks + blobs) * 512

    def _enter(self) -> None:
        with self._gate:
            while self._closed_for_purge:
                self._gate.wait()
            if self._closed:
                raise StorageError("the storage has been closed")
            self._inside += 1

    def _leave(self) -> None:
        with self._gate:
            self._inside -= 1
            self._gate.notify_all()

    def purge(self) -> bool:
        """Rewrite the file without the pages that are free: they still hold what was replaced.

        The file is copied whole; transactions that begin meanwhile wait. False if one that is open does not end soon.
        """
        with self._gate:
            self._closed_for_purge = True
            try:
                if not self._gate.wait_for(lambda: self._inside == 0, PURGE_WAIT_S):
                    return False
                self._rewrite()
                return True
            except (lmdb.Error, OSError) as error:
                raise StorageError(f"purge: {error}") from error
            finally:
                self._closed_for_purge = False
                self._gate.notify_all()

    def _rewrite(self) -> None:
        copy = self._path / PURGED
        with copy.open("wb") as file:
            self._environment.copyfd(file.fileno(), compact=True)
            os.fsync(file.fileno())
        copy.chmod(0o600)
        self._environment.close()
        copy.replace(self._path / "data.mdb")
        flush_folder(self._path)
        self._environment = self._open()

    def backup(self, path: Path) -> None:
        """Write a copy, as of now and without free pages, into a new folder."""
        _refuse_used(path)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._enter()
        try:
            with self._blobs.held():
                self._environment.copy(str(path), compact=True)
                self._blobs.copy(_blobs_of(path, self._map_size), path / BLOBS)
        except (lmdb.Error, OSError) as error:
            raise StorageError(f"backup to {path}: {error}") from error
        finally:
            self._leave()

    def close(self) -> None:
        """Close the environment, once the transactions that are open have ended."""
        with self._gate:
            self._closed = True
            self._gate.wait_for(lambda: self._inside == 0, PURGE_WAIT_S)
            self._environment.close()
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1


def copy(path: Path, target: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
    """Write a copy of an environment that another process may be writing, as of now, into a new folder. Raises StorageError."""
    if not (path / "data.mdb").exists():
        raise StorageError(f"{path} has no data")
    _refuse_used(target)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for attempt in range(COPY_ATTEMPTS):
        try:
            environment = lmdb.open(
                str(path), map_size=map_size, max_dbs=0, readonly=True, create=False
            )
            try:
                environment.copy(str(target), compact=True)
            finally:
                environment.close()
            copy_blobs(path / BLOBS, _blobs_of(target, map_size), target / BLOBS)
        except StorageError:  # a blob has been merged into another one meanwhile
            if attempt + 1 == COPY_ATTEMPTS:
                raise
            shutil.rmtree(target / BLOBS, ignore_errors=True)
            (target / "data.mdb").unlink()
        except (lmdb.Error, OSError) as error:
            raise StorageError(f"backup to {target}: {error}") from error
        else:
            return


def _owned(path: Path) -> int:
    """Return the lock of a folder, which ends with the process. Raises StorageInUse."""
    descriptor = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StorageInUse(f"{path} is used by another process, or twice by this one") from error
    return descriptor


def _blobs_of(path: Path, map_size: int) -> list[bytes]:
    """Return the digests of the blobs that an environment keeps."""
    environment = lmdb.open(
        str(path), map_size=map_size, max_dbs=0, readonly=True, lock=False, create=False
    )
    try:
        with environment.begin() as transaction, transaction.cursor() as cursor:
            found = cursor.set_range(b"b")
            keys = cursor.iternext(values=False) if found else iter(())
            return [bytes(key)[1:] for key in takewhile(lambda key: key[:1] == b"b", keys)]
    finally:
        environment.close()


def _refuse_used(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StorageError(f"{path} is not empty")
