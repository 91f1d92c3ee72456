"""All that waits for a disk, in one place.

Is:     the few calls after which something is certain to be there when the power comes back.
Is not: aware of what is written, or of when it has to be.
Fits:   everything in `datomstore.storage` that must last goes through here, so that tests can be a disk that fails.
"""

from __future__ import annotations

import os
from pathlib import Path

import lmdb

from datomstore.storage import Buffer


def opened_through(path: Path, *, create: bool = False) -> int:
    """Return the descriptor of a file each write of which waits until it lasts."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC
    return os.open(path, flags | (os.O_CREAT | os.O_TRUNC if create else 0), 0o600)


def write_through(file: int, data: Buffer, at: int) -> None:
    """Write into a file of `opened_through`. Raises OSError; then any part of it may have been written, and last."""
    view = memoryview(data)
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
