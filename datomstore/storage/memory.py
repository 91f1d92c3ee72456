"""Storage that forgets: for tests, ephemeral nodes and views.

Is:     an ordered map in memory with transactions that can be taken back.
Is not: durable.
Fits:   the same interface, and the same tests, as `lmdb`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from datomstore.storage import StorageTransaction
from datomstore.storage.keyed import KeyedTransaction


class _Writable:
    """The map, with the changes of one transaction noted so that they can be undone."""

    def __init__(self, values: dict[bytes, bytes], keys: list[bytes]) -> None:
        self._values = values
        self._keys = keys
        self._before: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._before.setdefault(key, self._values.get(key))
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = bytes(value)

    def delete(self, key: bytes) -> None:
        if key in self._values:
            self._before.setdefault(key, self._values[key])
            del self._values[key]
            del self._keys[bisect_left(self._keys, key)]

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = []
        for key in self._keys[bisect_left(self._keys, start) :]:
            if not key.startswith(prefix):
                break
            found.append((key, self._values[key]))
        return iter(found)

    def undo(self) -> None:
        for key, value in list(self._before.items()):
            if value is None:
                self.delete(key)
            else:
                self.put(key, value)


class MemoryStorage:
    """An engine without a disk."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._lock = RLock()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        """Open a transaction; others wait for it."""
        with self._lock:
            writable = _Writable(self._values, self._keys)
            try:
                yield KeyedTransaction(writable)
            except BaseException:
                writable.undo()
                raise

    def purge(self) -> bool:
        """Nothing to remove: what was replaced is gone."""
        return True

    def backup(self, path: Path) -> None:
        """Write all entries into a new LMDB environment: what forgets can only be kept by what does not."""
        from datomstore.storage.lmdb import LmdbStorage

        with self._lock:
            entries = list(self._values.items())
        LmdbStorage.written(path, entries)

    def close(self) -> None:
        """Nothing to let go of."""
