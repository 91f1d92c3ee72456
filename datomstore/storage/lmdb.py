"""Storage in one LMDB environment: the embedded default.

Is:     one file, memory-mapped, with a small log beside it; a commit waits for the disk once. Blobs are files in a folder.
Is not: shared between processes that write: a node owns its folder.
Fits:   `datomstore.storage.keyed` gives the layout, `datomstore.storage.durable` the commits.
Source: LMDB (Chu 2011), through py-lmdb.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lmdb

from datomstore.limits import LMDB_MAP_SIZE, PURGE_WAIT_S
from datomstore.storage import (
    BlobWriter,
    Buffer,
    StorageError,
    StorageTransaction,
    flushing,
    locks,
    redolog,
)
from datomstore.storage.copying import blobs_of, refuse_used
from datomstore.storage.durable import DATA, LOCK, Durable
from datomstore.storage.files import BLOBS, BlobFiles
from datomstore.storage.keyed import Blobs, KeyedTransaction
from datomstore.storage.mapped import Mapped, ours
from datomstore.storage.watches import Told, Watches

PURGED = "purged.mdb"  # a copy on its way to become data.mdb


class _Transaction(KeyedTransaction):
    """A transaction of an environment with a log."""

    def __init__(self, mapped: Mapped, blobs: Blobs) -> None:
        super().__init__(mapped, blobs)
        self._mapped = mapped

    def when_lasting(self, told: Callable[[], None]) -> None:
        self._mapped.lasts = told


class LmdbStorage:
    """An engine on disk. A second one on the same folder is refused by its lock."""

    waits = True
    maps = True

    def __init__(self, path: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as held:
            crashed = redolog.exists(path)
            if crashed:
                held.enter_context(locks.replacing(path, wait_s=PURGE_WAIT_S))
            self._owner = locks.own(path)
            try:
                if redolog.exists(path) and not crashed:
                    raise locks.StorageInUse(f"{path} has just been used by another process")
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
        refuse_used(path)
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
                keyed = _Transaction(mapped, self)
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
                with locks.replacing(self._path, wait_s=0.0):
                    self._rewrite()
                return True
            except locks.StorageInUse:
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
        refuse_used(path)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._enter()
        try:
            with self._blobs.held():
                self._durable.environment.copy(str(path), compact=True)
                self._blobs.copy(blobs_of(path, self._map_size), path / BLOBS)
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
