"""A copy of a folder, which another process may be writing, or a crash has left.

Is:     one moment of it, without pages that are free, in a new folder.
Is not: the backup that a folder's owner makes (`LmdbStorage.backup`).
Fits:   beside the engine, by the same files; `yin backup` and `yin restore`.
"""

from __future__ import annotations

import os
import shutil
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb

from datomstore.limits import COPY_ATTEMPTS, LMDB_MAP_SIZE
from datomstore.storage import StorageError, locks, redolog
from datomstore.storage.durable import DATA, Durable
from datomstore.storage.files import BLOBS, copy_blobs


def copy(path: Path, target: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
    """Write a copy of a folder, as of now, into a new one. Raises StorageError.

    Of a folder that a crash has left, what is copied is recovered; the folder itself stays as it is.
    """
    if not (path / DATA).exists():
        raise StorageError(f"{path} has no data")
    refuse_used(target)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locks.reading(path):
        for attempt in range(COPY_ATTEMPTS):
            try:
                (_copy_crashed if _is_crashed(path) else _copy_environment)(path, target, map_size)
                copy_blobs(path / BLOBS, blobs_of(target, map_size), target / BLOBS)
            except StorageError:  # a blob has been merged into another one meanwhile
                if attempt + 1 == COPY_ATTEMPTS:
                    raise
                shutil.rmtree(target / BLOBS, ignore_errors=True)
                (target / DATA).unlink(missing_ok=True)
            except (lmdb.Error, OSError) as error:
                raise StorageError(f"backup to {target}: {error}") from error
            else:
                return


def refuse_used(path: Path) -> None:
    """Raise StorageError if something is there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StorageError(f"{path} is not empty")


def blobs_of(path: Path, map_size: int) -> list[bytes]:
    """Return the digests of the blobs that an environment keeps, which nobody has open."""
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
        owner = locks.own(path)
    except locks.StorageInUse:
        return False
    try:
        return redolog.exists(path)
    finally:
        os.close(owner)
