"""The two locks of a folder.

Is:     whose a folder is, and who reads files of it that its owner may put others in the place of.
Is not: LMDB's own lock file, which knows of transactions.
Fits:   `datomstore.storage.lmdb` owns and replaces, `datomstore.storage.copying` reads.

Its owner holds `owner` as long as it has the folder open. `readers` is held together by processes that copy a folder, and by
its owner alone while it puts other bytes in the place of what they read: when it purges, and when it recovers what a crash
has left. So who copies, and finds a log but no owner, knows that nobody recovers meanwhile. A lock ends with its process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datomstore.limits import LOCK_LOOK_S
from datomstore.storage import StorageError

OWNER = "owner"
READERS = "readers"


class StorageInUse(StorageError):
    """Another engine has this folder open."""

    code = "storage/in-use"


def own(path: Path) -> int:
    """Return a folder's lock of its owner, which ends when it is closed. Raises StorageInUse."""
    descriptor = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StorageInUse(f"{path} is used by another process, or twice by this one") from error
    return descriptor


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Hold the lock of readers with others, for as long as it takes. Raises StorageError."""
    try:
        file = _opened(path)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise StorageError(f"{path}: {error}") from error
        yield  # nobody changes what nobody can write
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
    finally:
        os.close(file)


@contextmanager
def replacing(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock of readers alone, if it is to be had in so many seconds. Raises StorageInUse, StorageError."""
    try:
        file = _opened(path)
    except OSError as error:
        raise StorageError(f"{path}: {error}") from error
    try:
        _lock_alone(file, path, wait_s)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    return os.open(path / READERS, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock_alone(file: int, path: Path, wait_s: float) -> None:
    """Take a lock.

    `flock` has no time-out, and a thread that waits in it cannot be called off; so it is tried again and again. Only who opens
    a folder that a crash has left, while another process copies it, waits at all.
    """
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= end:
                raise StorageInUse(f"{path} is being copied by another process") from error
            time.sleep(LOCK_LOOK_S)
        else:
            return
