"""The list of a stream's segments: one small record, exchanged as a whole.

Is:     which blobs there are, which rows and values they have, and the root of the log that they agree with.
Is not: the blobs.
Fits:   a table of the storage, so that it changes in a transaction that also keeps and deletes blobs.

    crc32 u32 | (version, t, rows, root, bytes of the log, attributes, runs, dictionaries), in the values' own encoding
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from datomstore.codec import CodecError, pack, unpack
from datomstore.segments.run import Place
from datomstore.storage import StorageCorrupt, StorageTransaction

TABLE = "segments"  # stream -> manifest
VERSION = 1


class RunEntry(NamedTuple):
    """One run."""

    digest: bytes
    place: Place


class DictionaryEntry(NamedTuple):
    """One blob of values."""

    digest: bytes
    first: int
    length: int


class Manifest(NamedTuple):
    """All segments of a stream."""

    t: int  # the newest transaction in them
    rows: int
    root: bytes  # of the log at t
    log_bytes: int  # of the transactions up to t, not compressed
    attributes: tuple[str, ...]  # by number
    runs: tuple[RunEntry, ...]
    dictionaries: tuple[DictionaryEntry, ...]

    def blobs(self) -> list[bytes]:
        """Return the digests of all blobs."""
        return [run.digest for run in self.runs] + [values.digest for values in self.dictionaries]


def load(transaction: StorageTransaction, stream: str) -> Manifest | None:
    """Return a stream's manifest; None if there is none, or one of another version. Raises StorageCorrupt."""
    record = transaction.get(TABLE, stream.encode())
    return None if record is None else decoded(record, stream)


def save(transaction: StorageTransaction, stream: str, manifest: Manifest | None) -> None:
    """Put a manifest, or none, in the place of the one there is; blobs that only the old one has are deleted."""
    key = stream.encode()
    record = transaction.get(TABLE, key)
    before = set(_named(record, stream)) if record is not None else set()
    after = set(manifest.blobs()) if manifest is not None else set()
    for digest in sorted(after - before):
        transaction.keep_blob(digest)
    for digest in sorted(before - after):
        transaction.delete_blob(digest)
    if manifest is None:
        transaction.delete(TABLE, key)
    else:
        transaction.put(TABLE, key, encoded(manifest))


def _named(record: bytes, stream: str) -> list[bytes]:
    """Return the blobs of a manifest, none if it cannot be read."""
    try:
        found = decoded(record, stream)
    except StorageCorrupt:
        return []
    return [] if found is None else found.blobs()


def encoded(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest."""
    runs = tuple((entry.digest, *entry.place) for entry in manifest.runs)
    dictionaries = tuple(tuple(entry) for entry in manifest.dictionaries)
    body = pack((VERSION, *manifest[:5], runs, dictionaries))
    return zlib.crc32(body).to_bytes(4, "big") + body


def decoded(record: bytes, stream: str) -> Manifest | None:
    """Return a manifest; None if it is of another version. Raises StorageCorrupt."""
    if zlib.crc32(record[4:]).to_bytes(4, "big") != record[:4]:
        raise StorageCorrupt(f"stream {stream!r}: its list of segments has a wrong checksum")
    try:
        fields = unpack(record[4:])
        if not isinstance(fields, tuple) or not fields:
            raise ValueError("not a tuple")
        return _manifest(fields) if fields[0] == VERSION else None
    except (CodecError, ValueError, TypeError) as error:
        raise StorageCorrupt(f"stream {stream!r}: its list of segments: {error}") from error


def _manifest(fields: tuple[object, ...]) -> Manifest:
    """Return the manifest of a record's fields. Raises ValueError, TypeError."""
    _, t, rows, root, log_bytes, attributes, runs, dictionaries = fields
    if not (isinstance(root, bytes) and len(root) == 32):
        raise ValueError("no root")
    names = tuple(name for name in _items(attributes) if isinstance(name, str))
    if len(names) != len(_items(attributes)):
        raise ValueError("an attribute without a name")
    found = Manifest(
        _number(t),
        _number(rows),
        root,
        _number(log_bytes),
        names,
        tuple(_run(entry) for entry in _items(runs)),
        tuple(_dictionary(entry) for entry in _items(dictionaries)),
    )
    _check(found)
    return found


def _check(manifest: Manifest) -> None:
    """Refuse runs and values that do not follow one another. Raises ValueError."""
    row, t, number = 0, 0, 0
    for _, place in manifest.runs:
        if place.start != row or place.end < row or place.first_t != t + 1 or place.last_t <= t:
            raise ValueError("its runs do not follow one another")
        if place.past_until > manifest.rows:
            raise ValueError("a run knows of rows that there are not")
        row, t = place.end, place.last_t
    if (row, t) != (manifest.rows, manifest.t):
        raise ValueError("its runs do not have all rows")
    for _, first, count in manifest.dictionaries:
        if first != number or count < 1:
            raise ValueError("its values do not follow one another")
        number += count


def _items(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise TypeError(f"a tuple is expected, not {type(value).__name__}")
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a number is expected, not {value!r}")
    return value


def _digest(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != 32:
        raise ValueError("a digest is expected")
    return value


def _run(entry: object) -> RunEntry:
    digest, *numbers = _items(entry)
    start, end, first_t, last_t, past_until = map(_number, numbers)
    return RunEntry(_digest(digest), Place(start, end, first_t, last_t, past_until))


def _dictionary(entry: object) -> DictionaryEntry:
    digest, first, count = _items(entry)
    return DictionaryEntry(_digest(digest), _number(first), _number(count))
