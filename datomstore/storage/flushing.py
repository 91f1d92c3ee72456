"""All that waits for a disk, in one place.

Is:     the few calls after which something is certain to be there when the power comes back.
Is not: aware of what is written, or of when it has to be.
Fits:   everything in `datomstore.storage` that must last goes through here, so that tests can be a disk that fails.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from pathlib import Path

import lmdb

from datomstore.storage import Buffer

_KEPT = 1 << 17  # bytes of the buffer that a thread keeps


class _Aligned(threading.local):
    """Memory that a disk can read from, of each thread that writes."""

    def __init__(self) -> None:
        self._kept = mmap.mmap(-1, _KEPT)

    def copy_of(self, data: Buffer) -> memoryview:
        buffer = self._kept if len(data) <= _KEPT else mmap.mmap(-1, len(data))
        buffer[: len(data)] = data
        return memoryview(buffer)[: len(data)]


_aligned = _Aligned()


def opened_through(path: Path, *, create: bool = False, direct: bool = False) -> int:
    """Return the descriptor of a file each write of which waits until it lasts.

    With `direct`, what is written goes past the system's cache, which saves a quarter of the wait; it has to be
    whole blocks. Where a file system has no such way it goes through the cache as ever.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC
    flags |= os.O_CREAT | os.O_TRUNC if create else 0
    if direct:
        try:
            return os.open(path, flags | os.O_DIRECT, 0o600)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
    return os.open(path, flags, 0o600)


def write_through(file: int, data: Buffer, at: int) -> None:
    """Write into a file of `opened_through`. Raises OSError; then any part of it may have been written, and last."""
    view = _aligned.copy_of(data)
    while len(view):
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def flush_file(file: int) -> None:
    """Make what was written into a file last."""
    os.fsync(file)


def flush_folder(path: Path) -> None:
    """Make the names in a folder last."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def flush_environment(environment: lmdb.Environment) -> None:
    """Make all that was committed to an environment last."""
    environment.sync(force=True)
