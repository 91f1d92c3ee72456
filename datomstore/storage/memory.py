"""Storage that forgets: for tests, ephemeral nodes and views.

Is:     an ordered map in memory with transactions that can be taken back.
Is not: durable.
Fits:   the same interface, and the same tests, as `lmdb`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import RLock
from types import TracebackType

from datomstore.limits import MEMORY_SQUEEZE_MIN
from datomstore.storage import AppendConflict, BlobWriter, Buffer, StorageTransaction
from datomstore.storage.keyed import KeyedTransaction, keys_of, log_entry
from datomstore.storage.watches import Told, Watches

_NO_T = bytes(8)
MERGE_KEYS = 32  # new keys from which on they are sorted with the others at once


class _Keys:
    """The keys of a map in order; new ones are put in their places when somebody asks for the order."""

    def __init__(self) -> None:
        self._sorted: list[bytes] = []
        self._new: list[bytes] = []
        self.add = self._new.append

    def remove(self, key: bytes) -> None:
        listed = self.listed()
        del listed[bisect_left(listed, key)]

    def listed(self) -> list[bytes]:
        if len(self._new) > MERGE_KEYS:
            self._sorted.extend(self._new)
            self._sorted.sort()  # little to do: most of it is sorted
        else:
            for key in self._new:
                insort(self._sorted, key)
        self._new.clear()
        return self._sorted


class _Writable:
    """The map, with the changes of one transaction noted so that they can be undone."""

    def __init__(self, values: dict[bytes, bytes], keys: _Keys) -> None:
        self._values = values
        self._keys = keys
        self._before: dict[bytes, bytes | None] = {}
        self.get = values.get

    def put(self, key: bytes, value: bytes) -> None:
        before = self._values.get(key)
        self._before.setdefault(key, before)
        if before is None:
            self._keys.add(key)
        self._values[key] = bytes(value)

    def put_all(self, entries: list[tuple[bytes, bytes]]) -> None:
        for key, value in entries:
            self.put(key, value)

    def delete(self, key: bytes) -> None:
        if key in self._values:
            self._before.setdefault(key, self._values[key])
            del self._values[key]
            self._keys.remove(key)

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = []
        keys = self._keys.listed()
        for place in range(bisect_left(keys, start), len(keys)):
            key = keys[place]
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


class _Blob:
    """A blob on its way."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, part: Buffer) -> None:
        self._parts.append(bytes(part))
        self.size += len(self._parts[-1])

    def finish(self) -> bytes:
        blob = b"".join(self._parts)
        digest = hashlib.sha256(blob).digest()
        self._storage.finished(digest, blob)
        return digest

    def abandon(self) -> None:
        self._parts.clear()


class _Transaction(KeyedTransaction):
    """A transaction, as long as its block."""

    squeeze_min = MEMORY_SQUEEZE_MIN

    def __init__(self, storage: MemoryStorage, values: dict[bytes, bytes], keys: _Keys) -> None:
        self._storage = storage
        self._writable = _Writable(values, keys)
        super().__init__(self._writable, storage)

    def __enter__(self) -> _Transaction:
        self._storage.lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        happens = False
        try:
            if kind is None:
                self.finish()
                happens = True
        finally:
            self._storage.leave(self, happens=happens)

    def undo(self) -> None:
        """Take back what it has changed in the map."""
        self._writable.undo()


class MemoryStorage:
    """An engine without a disk."""

    waits = False
    maps = False

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys = _Keys()
        self._blobs: dict[bytes, bytes] = {}
        self._unkept: Counter[bytes] = Counter()  # written, but not yet kept by a transaction
        self.lock = RLock()  # of whoever has a transaction open
        self._watches = Watches()

    def transaction(self, *, write: bool) -> AbstractContextManager[StorageTransaction]:
        """Open a transaction; others wait for it."""
        return _Transaction(self, self._values, self._keys)

    def leave(self, transaction: _Transaction, *, happens: bool) -> None:
        """End a transaction: let it have happened, or take it back."""
        try:
            if happens:
                for digest in transaction.kept:
                    self._unkept[digest] -= 1
                for digest in transaction.doomed:
                    self._forget(digest)
            else:
                transaction.undo()
                for digest in transaction.made:
                    self.drop_blob(digest)
        finally:
            self.lock.release()
        if happens and transaction.ends:
            self._watches.tell(transaction.ends)

    def append(self, stream: str, expected_t: int, blob: bytes, root: bytes) -> None:
        """Append to a log and set its root in a transaction of its own."""
        entry, t = log_entry(blob, MEMORY_SQUEEZE_MIN), (expected_t + 1).to_bytes(8, "big")
        with self.lock:
            end_key, root_key, log_key = keys_of(stream)
            values, end = self._values, self._values.get(end_key)
            if (end or _NO_T) != expected_t.to_bytes(8, "big"):
                raise AppendConflict(f"stream {stream!r} does not end at {expected_t}")
            if end is None:
                self._keys.add(end_key)
            if root_key not in values:
                self._keys.add(root_key)
            key = log_key + t
            self._keys.add(key)
            values[key], values[end_key], values[root_key] = entry, t, root
        self._watches.tell({stream: expected_t + 1})

    def watch(self, stream: str, told: Told) -> Callable[[], None]:
        """Call `told` with the end of a log when it has grown."""
        return self._watches.add(stream, told)

    def create_blob(self) -> BlobWriter:
        """Begin a blob."""
        return _Blob(self)

    def finished(self, digest: bytes, blob: bytes) -> None:
        """Have a blob that a transaction has to keep yet."""
        with self.lock:
            self._blobs[digest] = blob
            self._unkept[digest] += 1

    def drop_blob(self, digest: bytes) -> None:
        """Give up a blob, unless a transaction keeps it."""
        with self.lock:
            self._unkept[digest] -= 1
            self._forget(digest)

    def _forget(self, digest: bytes) -> None:
        if self._unkept[digest] <= 0 and b"b" + digest not in self._values:
            self._blobs.pop(digest, None)
            del self._unkept[digest]

    def blob(self, digest: bytes) -> Buffer | None:
        """Return a blob."""
        return self._blobs.get(digest)

    def size(self) -> int:
        """Return the bytes of all keys, values and blobs."""
        with self.lock:
            entries = sum(len(key) + len(value) for key, value in self._values.items())
            return entries + sum(map(len, self._blobs.values()))

    def purge(self) -> bool:
        """Nothing to remove: what was replaced is gone."""
        return True

    def backup(self, path: Path) -> None:
        """Write all entries into a new LMDB environment: what forgets can only be kept by what does not."""
        from datomstore.storage.lmdb import LmdbStorage

        with self.lock:
            entries, blobs = list(self._values.items()), list(self._blobs.values())
        LmdbStorage.written(path, entries, blobs)

    def close(self) -> None:
        """Nothing to let go of."""
