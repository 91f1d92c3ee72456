"""A blob of arrays reads as it was written, or is refused by name: no byte of it is believed unseen."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.segments.blob import Segment, SegmentWriter
from datomstore.storage import StorageCorrupt
from datomstore.storage.memory import MemoryStorage

ARRAYS: dict[str, Any] = {
    "small": np.array([-3, 0, 100], np.int8),
    "wide": np.array([1 << 40, -(1 << 62)], np.int64),
    "rows": np.arange(500, dtype=np.uint32),
    "bytes": np.frombuffer(b"text", np.uint8),
    "none": np.empty(0, np.uint64),
}


def written(arrays: dict[str, Any]) -> bytes:
    storage = MemoryStorage()
    writer = SegmentWriter(storage, b"test")
    for name, array in arrays.items():
        writer.section(name, array)
    blob = storage.blob(writer.finish())
    assert isinstance(blob, bytes)
    return blob


BLOB = written(ARRAYS)


def everything(blob: bytes) -> dict[str, list[int]]:
    segment = Segment(blob, b"test", "x")
    return {name: segment[name].tolist() for name in ARRAYS}


def test_sections_come_back_with_what_is_known_of_them() -> None:
    assert everything(BLOB) == {name: array.tolist() for name, array in ARRAYS.items()}
    segment = Segment(BLOB, b"test", "x")
    wide = segment.section("wide")
    assert (wide.type, wide.length, wide.least, wide.greatest) == ("i8", 2, -(1 << 62), 1 << 40)
    assert wide.offset % 64 == 0
    assert "rows" in segment
    assert "row" not in segment
    segment.check()


def test_a_section_in_parts_is_the_same_bytes() -> None:
    storage = MemoryStorage()
    writer = SegmentWriter(storage, b"test")
    for name, array in ARRAYS.items():
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        writer.section(name, (array[at : at + 2] for at in range(0, len(array), 2)), kind)
    assert storage.blob(writer.finish()) == BLOB


def test_a_section_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Segment(BLOB, b"test", "x")["rows"][0] = 1


def test_another_kind_is_refused() -> None:
    with pytest.raises(StorageCorrupt, match="segment x does not end"):
        Segment(BLOB, b"run\0", "x")


def test_a_missing_section_is_named() -> None:
    with pytest.raises(StorageCorrupt, match="has no section 'other'"):
        Segment(BLOB, b"test", "x")["other"]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, len(BLOB) - 1, len(BLOB) - 64])
def test_a_cut_blob_is_refused(size: int) -> None:
    with pytest.raises(StorageCorrupt, match="segment x"):
        everything(BLOB[:size])


def test_every_flipped_bit_of_what_is_read_is_found() -> None:
    padding = 0
    for place in range(len(BLOB)):
        blob = bytearray(BLOB)
        blob[place] ^= 1 << place % 8
        try:
            padding += everything(bytes(blob)) == everything(BLOB)
        except StorageCorrupt:
            continue
    assert padding < 64 * (len(ARRAYS) + 2)  # zeros between sections mean nothing


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, len(BLOB)), st.integers(0, 60))
def test_any_bytes_are_refused_or_read(other: bytes, place: int, cut: int) -> None:
    for blob in (other, BLOB[:place] + other + BLOB[place + cut :]):
        with suppress(StorageCorrupt):
            everything(blob)
