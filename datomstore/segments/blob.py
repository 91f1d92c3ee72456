"""A blob of arrays: named sections of integers, each with its least, its greatest and a checksum.

Is:     a writer that streams, and a reader over mapped bytes that believes nothing.
Is not: aware of what the sections mean.
Fits:   `datomstore.segments.dictionary` and `run`; docs/storage.md has the layout.

The table of sections stands at the end, so that a blob of any size is written from its first byte to its last. A reader
checks where everything stands at once, and a section's bytes when it is first asked for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore.limits import SEGMENT_SECTIONS_MAX
from datomstore.storage import BlobWriter, Buffer, Storage, StorageCorrupt

MAGIC = b"yin\x00seg\x01"  # the last byte is the version
ALIGNMENT = 64
TYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")  # ORDER: numbers on disk; append only
_HEADER = struct.Struct("<8s4s52x")
# name, type, then offset in bytes, number of items, least and greatest item, checksum
_ENTRY = struct.Struct("<8sB3xIQQqq")
# magic, kind, sections, offset of the table, bytes of the blob, checksum of the table, zero, checksum of what is before
_TRAILER = struct.Struct("<8s4sIQQI24xI")

Array = NDArray[Any]


class Section(NamedTuple):
    """Where an array stands, and what is known of it."""

    type: str
    offset: int
    length: int  # items
    least: int  # both zero if there is nothing
    greatest: int
    checksum: int


class SegmentWriter:
    """Writes one blob, section after section."""

    def __init__(
        self, storage: Storage, kind: bytes, proceed: Callable[[], None] | None = None
    ) -> None:
        """Begin a blob; `proceed` is called before every part and may raise, so that a long one can be given up."""
        self._proceed = proceed
        self._blob: BlobWriter = storage.create_blob()
        self._kind = kind
        self._table: list[bytes] = []
        self._blob.write(_HEADER.pack(MAGIC, kind))

    def section(self, name: str, parts: Array | Iterable[Array], kind: str | None = None) -> None:
        """Append a section: an array, or arrays of one type, one after the other."""
        if isinstance(parts, np.ndarray):
            kind, parts = kind or type_of(parts.dtype), (parts,)
        assert kind in TYPES, "arrays given one by one come with their type"
        self._pad()
        offset, count, checksum = self._blob.size, 0, 0
        least, greatest = 0, 0
        for part in parts:
            if self._proceed is not None:
                self._proceed()
            if not len(part):
                continue
            array = np.ascontiguousarray(part, dtype="<" + kind)
            data = array.view(np.uint8).data
            checksum = zlib.crc32(data, checksum)
            low, high = _bounds(array)
            least, greatest = (min(least, low), max(greatest, high)) if count else (low, high)
            count += len(array)
            self._blob.write(data)
        entry = (name.encode(), TYPES.index(kind), checksum, offset, count, least, greatest)
        self._table.append(_ENTRY.pack(*entry))

    def finish(self) -> bytes:
        """Write what leads to the sections; return the blob's digest. A transaction has to keep it."""
        self._pad()
        table = b"".join(self._table)
        offset = self._blob.size
        self._blob.write(table)
        end = offset + len(table) + _TRAILER.size
        sections = len(self._table)
        fields = (MAGIC, self._kind, sections, offset, end, zlib.crc32(table))
        trailer = _TRAILER.pack(*fields, 0)[:-4]
        self._blob.write(trailer + zlib.crc32(trailer).to_bytes(4, "little"))
        return self._blob.finish()

    def abandon(self) -> None:
        """Forget what was written."""
        self._blob.abandon()

    def _pad(self) -> None:
        self._blob.write(bytes(-self._blob.size % ALIGNMENT))


class Segment:
    """A blob's sections, mapped. Raises StorageCorrupt where they are not what was written."""

    def __init__(self, blob: Buffer, kind: bytes, label: str) -> None:
        self._blob = memoryview(blob)
        self._label = label
        self._arrays: dict[str, Array] = {}
        self.size = len(self._blob)
        self._table = self._read_table(kind)

    def _read_table(self, kind: bytes) -> dict[str, Section]:
        size = self.size
        if size < _HEADER.size + _TRAILER.size:
            raise self._corrupt(f"of {size} bytes is too short")
        trailer = bytes(self._blob[-_TRAILER.size :])
        magic, found, sections, offset, end, checksum, own = _TRAILER.unpack(trailer)
        if magic != MAGIC or self._blob[:8] != MAGIC:
            raise self._corrupt("is not one, or of another version")
        if zlib.crc32(trailer[:-4]) != own or end != size or found != kind:
            raise self._corrupt("does not end as it was written")
        length = sections * _ENTRY.size
        if sections > SEGMENT_SECTIONS_MAX or offset + length + _TRAILER.size != size:
            raise self._corrupt(f"has a table of {sections} sections that is not at its end")
        table = bytes(self._blob[offset : offset + length])
        if zlib.crc32(table) != checksum:
            raise self._corrupt("has a table with a wrong checksum")
        return dict(self._entry(entry, offset) for entry in _ENTRY.iter_unpack(table))

    def _entry(self, entry: tuple[Any, ...], end: int) -> tuple[str, Section]:
        name, number, checksum, offset, count, least, greatest = entry
        if number >= len(TYPES) or offset % ALIGNMENT:
            raise self._corrupt(f"has a section {name!r} of type {number} at {offset}")
        if offset + count * int(TYPES[number][1]) > end:
            raise self._corrupt(f"has a section {name!r} that is longer than it")
        label = name.rstrip(b"\0").decode("ascii", "replace")
        return label, Section(TYPES[number], offset, count, least, greatest, checksum)

    def _corrupt(self, problem: str) -> StorageCorrupt:
        return StorageCorrupt(f"segment {self._label} {problem}")

    def __contains__(self, name: str) -> bool:
        return name in self._table

    def section(self, name: str) -> Section:
        """Return what is known of a section."""
        found = self._table.get(name)
        if found is None:
            raise self._corrupt(f"has no section {name!r}")
        return found

    def __getitem__(self, name: str) -> Array:
        """Return a section's items, for reading."""
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = self._checked(name)
        return found

    def _checked(self, name: str) -> Array:
        section = self.section(name)
        end = section.offset + section.length * int(section.type[1])
        data = self._blob[section.offset : end]
        if zlib.crc32(data) != section.checksum:
            raise self._corrupt(f"has a wrong checksum in {name!r}")
        return np.frombuffer(data, dtype="<" + section.type)

    def check(self) -> None:
        """Read all sections."""
        for name, section in self._table.items():
            array = self._checked(name)
            if len(array) and _bounds(array) != (section.least, section.greatest):
                raise self._corrupt(f"has other values in {name!r} than it says")


def type_of(dtype: np.dtype[Any]) -> str:
    """Return the type of an array's items as a section has it."""
    return f"{dtype.kind}{dtype.itemsize}"


def narrowest(least: int, greatest: int, types: tuple[str, ...] = ("i1", "i2", "i4", "i8")) -> str:
    """Return the narrowest of some types that has all integers between two."""
    for name in types:
        info = np.iinfo(name)
        if info.min <= least and greatest <= info.max:
            return name
    raise AssertionError((least, greatest))


def _bounds(array: Array) -> tuple[int, int]:
    low, high = int(array.min()), int(array.max())
    return (low, high) if high < 1 << 63 else (0, 0)
