"""Blobs as files of a folder, each named by its SHA-256.

Is:     written once (under another name, flushed, renamed, and the folder flushed), then only read, through a mapping.
Is not: the list of what must be there: that is the engine's, which keeps it in its transactions.
Fits:   `datomstore.storage.lmdb` has such a folder beside its file. A mapping stays valid when its file is removed.

A crash leaves files that no transaction has kept, and files without their last name: both are removed at the next start.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datomstore.storage import Buffer, StorageError, flushing

BLOBS = "blobs"  # the folder of blobs, beside an environment
_UNFINISHED = ".part"


class BlobFiles:
    """A folder of blobs. Safe for threads."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True, mode=0o700)
        self._path = path
        self._lock = threading.Lock()
        self._unkept: dict[bytes, int] = {}  # written, but not yet kept by a transaction
        self._holds = 0  # copies being made: what they copy stays
        self._doomed: set[bytes] = set()  # to remove when these are done
        self._number = 0

    def create(self) -> BlobFile:
        """Begin a blob."""
        with self._lock:
            self._number += 1
            name = f"{self._number}{_UNFINISHED}"
        return BlobFile(self, self._path / name)

    def finished(self, path: Path, digest: bytes) -> None:
        """Give a flushed file its name."""
        with self._lock:
            self._unkept[digest] = self._unkept.get(digest, 0) + 1
            self._doomed.discard(digest)
            path.replace(self._named(digest))
            flushing.flush_folder(self._path)

    def settled(self, digest: bytes, *, kept: bool) -> None:
        """A blob that was written has been kept by a transaction, or is given up and nobody else keeps it."""
        with self._lock:
            count = self._unkept.pop(digest, 0) - 1
            if count > 0:
                self._unkept[digest] = count
            elif not kept:
                self._remove(digest)

    def remove(self, digest: bytes) -> None:
        """Remove a blob that no transaction keeps any more, unless somebody has just written it again."""
        with self._lock:
            if digest not in self._unkept:
                self._remove(digest)

    def _remove(self, digest: bytes) -> None:
        if self._holds:
            self._doomed.add(digest)
        else:
            self._unlink(digest)

    def _unlink(self, digest: bytes) -> None:
        with suppress(OSError):  # what is left is swept away at the next start
            self._named(digest).unlink(missing_ok=True)

    def open(self, digest: bytes) -> memoryview | None:
        """Return a blob, mapped; None if there is none."""
        try:
            with self._named(digest).open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return memoryview(b"")
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"blob {digest.hex()}: {error}") from error

    def size(self, digest: bytes) -> int:
        """Return the bytes of a blob's file; 0 if there is none."""
        try:
            return self._named(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def sweep(self, kept: Collection[bytes]) -> None:
        """Remove what no transaction keeps: what a crash left."""
        names = {digest.hex() for digest in kept}
        for path in self._path.iterdir():
            if path.name not in names:
                path.unlink()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing be removed meanwhile."""
        with self._lock:
            self._holds += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
                if not self._holds:
                    for digest in self._doomed:
                        self._unlink(digest)
                    self._doomed.clear()

    def copy(self, digests: Collection[bytes], target: Path) -> None:
        """Copy blobs into a new folder, flushed. Raises StorageError."""
        copy_blobs(self._path, digests, target)

    def _named(self, digest: bytes) -> Path:
        return self._path / digest.hex()


class BlobFile:
    """A blob on its way: write, then finish or abandon."""

    def __init__(self, files: BlobFiles, path: Path) -> None:
        self._files = files
        self._path = path
        self._hash = hashlib.sha256()
        self._file = path.open("wb", buffering=0)
        path.chmod(0o600)
        self.size = 0

    def write(self, part: Buffer) -> None:
        """Append bytes. Raises StorageError."""
        view = memoryview(part).cast("B")
        self._hash.update(view)
        try:
            while len(view):
                written = self._file.write(view)
                self.size += written
                view = view[written:]
        except OSError as error:
            raise StorageError(f"blob: {error}") from error

    def finish(self) -> bytes:
        """Make the blob last, and return its digest; a transaction has to keep it. Raises StorageError."""
        digest = self._hash.digest()
        try:
            flushing.flush_file(self._file.fileno())
            self._file.close()
            self._files.finished(self._path, digest)
        except OSError as error:
            raise StorageError(f"blob: {error}") from error
        return digest

    def abandon(self) -> None:
        """Forget what was written."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def copy_blobs(path: Path, digests: Collection[bytes], target: Path) -> None:
    """Copy blobs of a folder into a new one, flushed. Raises StorageError."""
    target.mkdir(mode=0o700)
    try:
        for digest in digests:
            name = digest.hex()
            with (path / name).open("rb") as source, (target / name).open("wb") as made:
                shutil.copyfileobj(source, made, 1 << 20)
                made.flush()
                flushing.flush_file(made.fileno())
        flushing.flush_folder(target)
    except OSError as error:
        raise StorageError(f"backup: {error}") from error
