"""The storage interface on top of any ordered map of bytes.

Is:     the layout of keys and the checks, once, for every engine that has get, put, delete and ordered scan.
Is not: an engine.
Fits:   `memory` and `lmdb` give it their four operations.

    l <stream> 0 <t u64>    crc32 u32 | blob        log
    e <stream>              t u64                   end of a log
    b <sha256>              blob
    r <stream>              root
    t <table> 0 <key>       value
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Protocol

from datomstore.storage import AppendConflict, StorageCorrupt, StorageError


class Ordered(Protocol):
    """An ordered map inside a transaction."""

    def get(self, key: bytes) -> bytes | None:
        """Return a value."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value."""

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries from `start` on, in order, as long as their keys have the prefix."""


class KeyedTransaction:
    """A StorageTransaction over an ordered map."""

    def __init__(self, ordered: Ordered) -> None:
        self._map = ordered

    def append(self, stream: str, expected_t: int, blob: bytes) -> int:  # noqa: D102
        end = self.end(stream)
        if end != expected_t:
            raise AppendConflict(f"stream {stream!r} ends at {end}, not at {expected_t}")
        t = end + 1
        self._map.put(_log_key(stream, t), zlib.crc32(blob).to_bytes(4, "big") + blob)
        self._map.put(b"e" + stream.encode(), t.to_bytes(8, "big"))
        return t

    def replace(self, stream: str, t: int, blob: bytes) -> None:  # noqa: D102
        if not 1 <= t <= self.end(stream):
            raise StorageError(f"stream {stream!r} has no transaction {t}")
        self._map.put(_log_key(stream, t), zlib.crc32(blob).to_bytes(4, "big") + blob)

    def end(self, stream: str) -> int:  # noqa: D102
        return int.from_bytes(self._map.get(b"e" + stream.encode()) or b"", "big")

    def read(self, stream: str, from_t: int = 0) -> Iterator[tuple[int, bytes]]:  # noqa: D102
        prefix = _log_key(stream, 0)[:-8]
        expected = from_t
        for key, record in self._map.scan(_log_key(stream, from_t + 1), prefix):
            expected += 1
            t = int.from_bytes(key[-8:], "big")
            if t != expected:
                raise StorageCorrupt(f"stream {stream!r}: transaction {expected} is missing")
            if zlib.crc32(record[4:]).to_bytes(4, "big") != record[:4]:
                raise StorageCorrupt(f"stream {stream!r}: transaction {t} has a wrong checksum")
            yield t, record[4:]
        if expected < self.end(stream):
            raise StorageCorrupt(f"stream {stream!r}: transaction {expected + 1} is missing")

    def streams(self) -> list[str]:  # noqa: D102
        return [key[1:].decode() for key, _ in self._map.scan(b"e", b"e")]

    def put_blob(self, blob: bytes) -> bytes:  # noqa: D102
        digest = hashlib.sha256(blob).digest()
        self._map.put(b"b" + digest, blob)
        return digest

    def get_blob(self, digest: bytes) -> bytes | None:  # noqa: D102
        blob = self._map.get(b"b" + digest)
        if blob is not None and hashlib.sha256(blob).digest() != digest:
            raise StorageCorrupt(f"blob {digest.hex()} has another digest")
        return blob

    def root(self, stream: str) -> bytes | None:  # noqa: D102
        return self._map.get(b"r" + stream.encode())

    def cas_root(self, stream: str, old: bytes | None, new: bytes) -> None:  # noqa: D102
        if self.root(stream) != old:
            raise AppendConflict(f"the root of stream {stream!r} is not the expected one")
        self._map.put(b"r" + stream.encode(), new)

    def put(self, table: str, key: bytes, value: bytes) -> None:  # noqa: D102
        self._map.put(_table_key(table, key), value)

    def get(self, table: str, key: bytes) -> bytes | None:  # noqa: D102
        return self._map.get(_table_key(table, key))

    def delete(self, table: str, key: bytes) -> None:  # noqa: D102
        self._map.delete(_table_key(table, key))

    def scan(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:  # noqa: D102
        start = _table_key(table, prefix)
        skip = len(_table_key(table, b""))
        for key, value in self._map.scan(start, start):
            yield key[skip:], value


def _log_key(stream: str, t: int) -> bytes:
    return b"l" + stream.encode() + b"\0" + t.to_bytes(8, "big")


def _table_key(table: str, key: bytes) -> bytes:
    return b"t" + table.encode() + b"\0" + key
