"""Storage in one LMDB environment: the embedded default.

Is:     one file, memory-mapped, crash-safe by copy-on-write pages; a commit is an fsync.
Is not: shared between processes that write: a node owns its folder.
Fits:   `datomstore.storage.keyed` gives the layout.
Source: LMDB (Chu 2011), through py-lmdb.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from datomstore.errors import DatomstoreError
from datomstore.limits import LMDB_MAP_SIZE
from datomstore.storage import StorageCorrupt, StorageError, StorageTransaction
from datomstore.storage.keyed import KeyedTransaction


class StorageFull(StorageError):
    """The environment has reached its map size, or the disk is full."""

    code = "storage/full"


class KeyTooLong(DatomstoreError):
    """The engine's keys have at most 511 bytes."""

    code = "storage/key"


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the engine's errors into ours, where they happen: who caught one of ours knows that all is lost."""
    try:
        yield
    except (lmdb.MapFullError, lmdb.DiskError) as error:
        raise StorageFull(str(error)) from error
    except (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError) as error:
        raise StorageCorrupt(str(error)) from error
    except lmdb.BadValsizeError as error:
        raise KeyTooLong("a table's name and key together are too long for the engine") from error
    except lmdb.Error as error:
        raise StorageError(str(error)) from error


class _Mapped:
    """One LMDB transaction as an ordered map."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self._transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        value = self._transaction.get(key)
        return None if value is None else bytes(value)

    def put(self, key: bytes, value: bytes) -> None:
        with _translated():
            self._transaction.put(key, value)

    def delete(self, key: bytes) -> None:
        with _translated():
            self._transaction.delete(key)

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

    def __init__(self, path: Path, *, map_size: int = LMDB_MAP_SIZE) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._environment = lmdb.open(str(path), map_size=map_size, max_dbs=0, mode=0o600)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        """Open a transaction; leaving a write transaction returns after the fsync."""
        with _translated(), self._environment.begin(write=write) as transaction:
            yield KeyedTransaction(_Mapped(transaction))

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()
