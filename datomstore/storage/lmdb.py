"""Storage in one LMDB environment: the embedded default.

Is:     one file, memory-mapped, with a small log beside it; a commit waits for the disk once. Blobs are files in a folder.
Is not: shared between processes that write: a node owns its folder.
Fits:   `datomstore.storage.keyed` gives the layout, `datomstore.storage.durable` the commits.
Source: LMDB (Chu 2011), through py-lmdb.

A folder has two locks. Its owner holds `owner` as long as it has the folder open. `readers` is held together by processes
that copy a folder, and by its owner alone while it puts other bytes in the place of what they read: when it purges, and when
it recovers what a crash has left. So who copies, and finds a log but no owner, knows that nobody recovers meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb

from datomstore.limits import LMDB_MAP_SIZE, PURGE_WAIT_S
from datomstore.storage import (
    BlobWriter,
    Buffer,
    StorageError,
    StorageTransaction,
    flushing,
    redolog,
)
from datomstore.storage.durable import DATA, LOCK, Durable
from datomstore.storage.files import BlobFiles, copy_blobs
from datomstore.storage.keyed import KeyedTransaction
from datomstore.storage.mapped import ours
from datomstore.storage.watches import Told, Watches

BLOBS = "blobs"  # the folder of blobs
PURGED = "purged.mdb"  # a copy on its way to become data.mdb
OWNER = "owner"  # locked by the process whose folder it is
READERS = "readers"  # locked by processes that copy the folder, or by the owner against them
COPY_ATTEMPTS = 5  # of a folder that is written meanwhile
LOCK_POLL_S = 0.01


class StorageInUse(StorageError):
    """Another engine has this folder open."""

    code = "storage/in-use"


class LmdbStorage:
    """An engine on disk. A second one on the same folder is refused by its lock."""

    waits = True
    maps = True

    def __init__(self, path: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as held:
            crashed = redolog.exists(path)
            if crashed:
                held.enter_context(_locked(path, alone_s=PURGE_WAIT_S))
            self._owner = _owned(path)
            try:
                if redolog.exists(path) and not crashed:
                    raise StorageInUse(f"{path} has just been used by another process")
                self._begin(path, map_size)
            except BaseException:
                os.close(self._owner)
                raise

    def _begin(self, path: Path, map_size: int) -> None:
        self._path = path
        self._map_size = map_size
        (path / PURGED).unlink(missing_ok=True)  # a purge that a crash stopped
        self._durable = self._opened()
        self._gate = threading.Condition()
        self._inside = 0  # open transactions
        self._closed_for_purge = False
        self._closed = False
        self._watches = Watches()
        self._blobs = BlobFiles(path / BLOBS)
        with self._durable.read() as mapped:
            kept = KeyedTransaction(mapped, self).blobs()
        self._blobs.sweep(kept)

    def _opened(self) -> Durable:
        try:
            return Durable(self._path, self._map_size)
        except (lmdb.Error, OSError) as error:
            raise ours(error) from error

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
            with engine._durable.write() as mapped:
                for key, value in entries:
                    mapped.put(key, value)
        finally:
            engine.close()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        """Open a transaction; leaving a write transaction returns when it is durable."""
        self._enter()
        made: list[bytes] = []
        try:
            with self._durable.write() if write else self._durable.read() as mapped:
                keyed = KeyedTransaction(mapped, self)
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
            with self._durable.write() as mapped:
                keyed = KeyedTransaction(mapped, self)
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
        return ((self._path / DATA).stat().st_blocks + blobs) * 512

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
        """Rewrite the file without the pages that are free: they still hold what was replaced, and so does the log.

        The file is copied whole; transactions that begin meanwhile wait. False if one that is open does not end soon, or if
        another process copies the folder.
        """
        with self._gate:
            self._closed_for_purge = True
            try:
                if not self._gate.wait_for(lambda: self._inside == 0, PURGE_WAIT_S):
                    return False
                with _locked(self._path, alone_s=0.0):
                    self._rewrite()
                return True
            except StorageInUse:
                return False
            except (lmdb.Error, OSError) as error:
                raise StorageError(f"purge: {error}") from error
            finally:
                self._closed_for_purge = False
                self._gate.notify_all()

    def _rewrite(self) -> None:
        copy = self._path / PURGED
        with copy.open("wb") as file:
            self._durable.environment.copyfd(file.fileno(), compact=True)
            flushing.flush_file(file.fileno())
        copy.chmod(0o600)
        self._durable.close()
        if redolog.exists(self._path):
            raise StorageError("purge: the log could not be ended")  # and is of the other file
        copy.replace(self._path / DATA)
        (self._path / LOCK).unlink(missing_ok=True)  # it knows of the other file's transactions
        flushing.flush_folder(self._path)
        self._durable = self._opened()

    def backup(self, path: Path) -> None:
        """Write a copy, as of now and without free pages, into a new folder."""
        _refuse_used(path)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._enter()
        try:
            with self._blobs.held():
                self._durable.environment.copy(str(path), compact=True)
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
            self._durable.close()
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1


def copy(path: Path, target: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
    """Write a copy of a folder that another process may be writing, as of now, into a new one. Raises StorageError.

    Of a folder that a crash has left, what is copied is recovered; the folder itself stays as it is.
    """
    if not (path / DATA).exists():
        raise StorageError(f"{path} has no data")
    _refuse_used(target)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(path):
        for attempt in range(COPY_ATTEMPTS):
            try:
                (_copy_crashed if _is_crashed(path) else _copy_environment)(path, target, map_size)
                copy_blobs(path / BLOBS, _blobs_of(target, map_size), target / BLOBS)
            except StorageError:  # a blob has been merged into another one meanwhile
                if attempt + 1 == COPY_ATTEMPTS:
                    raise
                shutil.rmtree(target / BLOBS, ignore_errors=True)
                (target / DATA).unlink(missing_ok=True)
            except (lmdb.Error, OSError) as error:
                raise StorageError(f"backup to {target}: {error}") from error
            else:
                return


def _copy_environment(path: Path, target: Path, map_size: int) -> None:
    environment = lmdb.open(str(path), map_size=map_size, max_dbs=0, readonly=True, create=False)
    try:
        environment.copy(str(target), compact=True)
    finally:
        environment.close()


def _copy_crashed(path: Path, target: Path, map_size: int) -> None:
    """Copy what a crash has left as it is, and recover the copy."""
    with TemporaryDirectory(dir=target) as made:
        for name in (DATA, *redolog.NAMES):
            if (path / name).exists():
                shutil.copyfile(path / name, Path(made) / name)
        recovered = Durable(Path(made), map_size)
        try:
            recovered.environment.copy(str(target), compact=True)
        finally:
            recovered.close()


def _is_crashed(path: Path) -> bool:
    """Return whether a folder has a log and no owner: then it has none as long as `readers` is locked."""
    if not redolog.exists(path):
        return False
    try:
        owner = _owned(path)
    except StorageInUse:
        return False
    try:
        return redolog.exists(path)
    finally:
        os.close(owner)


@contextmanager
def _locked(path: Path, *, alone_s: float | None = None) -> Iterator[None]:
    """Hold the lock of readers: with others, or alone, if that is to be had in so many seconds. Raises StorageInUse."""
    try:
        file = os.open(path / READERS, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if alone_s is None and error.errno in (errno.EROFS, errno.EACCES):
            yield  # nobody changes what nobody can write
            return
        raise StorageError(f"{path}: {error}") from error
    try:
        _lock_readers(file, path, alone_s)
        yield
    finally:
        os.close(file)


def _lock_readers(file: int, path: Path, alone_s: float | None) -> None:
    if alone_s is None:
        fcntl.flock(file, fcntl.LOCK_SH)
        return
    end = time.monotonic() + alone_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= end:
                raise StorageInUse(f"{path} is being copied by another process") from error
            time.sleep(LOCK_POLL_S)
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
