"""The storage interface on top of any ordered map of bytes.

Is:     the layout of keys and the checks, once, for every engine that has get, put, delete and ordered scan.
Is not: an engine.
Fits:   `memory` and `lmdb` give it their four operations.

    l <stream> 0 <t u64>    crc32 u32 | kept        log; `kept` as in `datomstore.storage.squeeze`
    e <stream>              t u64                   end of a log
    b <sha256>              u32                     how often a blob is kept; the engine has the blob itself
    r <stream>              root
    t <table> 0 <key>       value
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from datomstore.limits import KEYS_CACHED, SQUEEZE_MIN
from datomstore.storage import (
    AppendConflict,
    BlobWriter,
    Buffer,
    StorageCorrupt,
    StorageError,
)
from datomstore.storage.squeeze import Unsqueezable, squeezed, unsqueezed


class Ordered(Protocol):
    """An ordered map inside a transaction."""

    def get(self, key: bytes) -> bytes | None:
        """Return a value."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value."""

    def put_all(self, entries: list[tuple[bytes, bytes]]) -> None:
        """Set values."""

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries from `start` on, in order, as long as their keys have the prefix."""


class Blobs(Protocol):
    """What has the bytes of blobs."""

    def create_blob(self) -> BlobWriter:
        """Begin a blob."""

    def blob(self, digest: bytes) -> Buffer | None:
        """Return a blob."""


class StreamKeys(NamedTuple):
    """Where the parts of one stream are."""

    end: bytes
    root: bytes
    log: bytes  # before the number of a transaction


@lru_cache(KEYS_CACHED)
def keys_of(stream: str) -> StreamKeys:
    """Return the keys of a stream."""
    name = stream.encode()
    return StreamKeys(b"e" + name, b"r" + name, b"l" + name + b"\0")


class KeyedTransaction:
    """A StorageTransaction over an ordered map."""

    squeeze_min = SQUEEZE_MIN  # bytes of a log blob from which on it is compressed

    def __init__(self, ordered: Ordered, blobs: Blobs) -> None:
        self._map = ordered
        self._blobs = blobs
        self.ends: dict[str, int] = {}  # of logs that this transaction has appended to
        self._roots: dict[str, bytes] = {}  # that it has set
        self.kept: list[bytes] = []  # blobs that this transaction keeps once more
        self.made: list[bytes] = []  # of these, those it has written itself
        self.doomed: list[bytes] = []  # that nobody keeps after it

    def append(self, stream: str, expected_t: int, blob: bytes) -> int:  # noqa: D102
        log = self._log_from(stream, expected_t)
        t = self.ends[stream] = expected_t + 1
        self._map.put(log + t.to_bytes(8, "big"), log_entry(blob, self.squeeze_min))
        return t

    def extend(self, stream: str, expected_t: int, blobs: Sequence[bytes]) -> int:  # noqa: D102
        log = self._log_from(stream, expected_t)
        self._map.put_all(
            [
                (log + t.to_bytes(8, "big"), log_entry(blob, self.squeeze_min))
                for t, blob in enumerate(blobs, expected_t + 1)
            ]
        )
        t = self.ends[stream] = expected_t + len(blobs)
        return t

    def _log_from(self, stream: str, expected_t: int) -> bytes:
        """Return how keys of a log begin, if it ends where it should. Raises AppendConflict."""
        end = self.end(stream)
        if end != expected_t:
            raise AppendConflict(f"stream {stream!r} ends at {end}, not at {expected_t}")
        return keys_of(stream).log

    def when_lasting(self, told: Callable[[], None]) -> None:
        """Never call it: here what lasts can be seen, or nothing lasts."""

    def finish(self) -> None:
        """Write what is written once for many changes. Engines call it at the end."""
        for stream, t in self.ends.items():
            self._map.put(keys_of(stream).end, t.to_bytes(8, "big"))
        for stream, root in self._roots.items():
            self._map.put(keys_of(stream).root, root)

    def replace(self, stream: str, t: int, blob: bytes) -> None:  # noqa: D102
        if not 1 <= t <= self.end(stream):
            raise StorageError(f"stream {stream!r} has no transaction {t}")
        self._map.put(log_key(stream, t), log_entry(blob, self.squeeze_min))

    def end(self, stream: str) -> int:  # noqa: D102
        known = self.ends.get(stream)
        if known is not None:
            return known
        return int.from_bytes(self._map.get(keys_of(stream).end) or b"", "big")

    def read(self, stream: str, from_t: int = 0) -> Iterator[tuple[int, bytes]]:  # noqa: D102
        expected = from_t
        for key, record in self._map.scan(log_key(stream, from_t + 1), keys_of(stream).log):
            expected += 1
            t = int.from_bytes(key[-8:], "big")
            if t != expected:
                raise StorageCorrupt(f"stream {stream!r}: transaction {expected} is missing")
            if zlib.crc32(record[4:]).to_bytes(4, "big") != record[:4]:
                raise StorageCorrupt(f"stream {stream!r}: transaction {t} has a wrong checksum")
            try:
                yield t, unsqueezed(memoryview(record)[4:])
            except Unsqueezable as error:
                raise StorageCorrupt(f"stream {stream!r}: transaction {t}: {error}") from error
        if expected < self.end(stream):
            raise StorageCorrupt(f"stream {stream!r}: transaction {expected + 1} is missing")

    def streams(self) -> list[str]:  # noqa: D102
        self.finish()
        return [key[1:].decode() for key, _ in self._map.scan(b"e", b"e")]

    def put_blob(self, blob: bytes) -> bytes:  # noqa: D102
        writer = self._blobs.create_blob()
        writer.write(blob)
        digest = writer.finish()
        self.made.append(digest)
        self.keep_blob(digest)
        return digest

    def keep_blob(self, digest: bytes) -> None:  # noqa: D102
        if self._blobs.blob(digest) is None:
            raise StorageError(f"there is no blob {digest.hex()} to keep")
        self._map.put(b"b" + digest, (self._keeps(digest) + 1).to_bytes(4, "big"))
        self.kept.append(digest)

    def get_blob(self, digest: bytes) -> Buffer | None:  # noqa: D102
        if not self._keeps(digest):
            return None
        blob = self._blobs.blob(digest)
        if blob is None:
            raise StorageCorrupt(f"blob {digest.hex()} is missing")
        return blob

    def delete_blob(self, digest: bytes) -> None:  # noqa: D102
        keeps = self._keeps(digest)
        if keeps > 1:
            self._map.put(b"b" + digest, (keeps - 1).to_bytes(4, "big"))
        elif keeps:
            self._map.delete(b"b" + digest)
            self.doomed.append(digest)

    def _keeps(self, digest: bytes) -> int:
        return int.from_bytes(self._map.get(b"b" + digest) or b"", "big")

    def blobs(self) -> list[bytes]:
        """Return the digests of all blobs that are kept."""
        return [key[1:] for key, _ in self._map.scan(b"b", b"b")]

    def root(self, stream: str) -> bytes | None:  # noqa: D102
        return self._roots.get(stream) or self._map.get(keys_of(stream).root)

    def cas_root(self, stream: str, old: bytes | None, new: bytes) -> None:  # noqa: D102
        if self.root(stream) != old:
            raise AppendConflict(f"the root of stream {stream!r} is not the expected one")
        self._roots[stream] = new

    def set_root(self, stream: str, root: bytes) -> None:
        """Set the root of a stream, whatever it is."""
        self._roots[stream] = root

    def put(self, table: str, key: bytes, value: bytes) -> None:  # noqa: D102
        self._map.put(_table_prefix(table) + key, value)

    def get(self, table: str, key: bytes) -> bytes | None:  # noqa: D102
        return self._map.get(_table_prefix(table) + key)

    def delete(self, table: str, key: bytes) -> None:  # noqa: D102
        self._map.delete(_table_prefix(table) + key)

    def scan(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:  # noqa: D102
        table_prefix = _table_prefix(table)
        skip, start = len(table_prefix), table_prefix + prefix
        for key, value in self._map.scan(start, start):
            yield key[skip:], value


def log_entry(blob: bytes, squeeze_min: int = SQUEEZE_MIN) -> bytes:
    """Return what stands in a log for a blob."""
    kept = squeezed(blob) if len(blob) >= squeeze_min else b"\x00" + blob
    return zlib.crc32(kept).to_bytes(4, "big") + kept


def log_key(stream: str, t: int) -> bytes:
    """Return the key of a transaction in a log."""
    return keys_of(stream).log + t.to_bytes(8, "big")


@lru_cache(KEYS_CACHED)
def _table_prefix(table: str) -> bytes:
    """Return how the keys of a table begin."""
    return b"t" + table.encode() + b"\0"
