"""A value has one number, in this process and the next; what is not wanted is not loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from values import VALUES as ANY

from datomstore.intern import find, intern, intern_many, value_of
from datomstore.segments.blob import SegmentWriter
from datomstore.segments.dictionary import Dictionary, Pages, hash_of, merged, write_pages
from datomstore.storage import StorageCorrupt
from datomstore.storage.memory import MemoryStorage
from datomstore.storage.squeeze import squeezed
from datomstore.value import Keyword

VALUES = [
    "text",
    Keyword("a/b"),
    1.0,
    -0.0,
    0.0,
    True,
    1 << 70,
    Fraction(1, 3),
    datetime(2020, 1, 1, tzinfo=UTC),
    ("a", 1, None),
    b"bytes",
]


def stored(storage: MemoryStorage, texts: list[str], first: int = 0) -> Pages:
    dictionary = Dictionary()
    assert dictionary.add(intern_many(texts))
    return pages(storage, dictionary, first)


def pages(storage: MemoryStorage, dictionary: Dictionary, first: int = 0) -> Pages:
    digest = dictionary.write(storage)
    assert digest is not None
    blob = storage.blob(digest)
    assert blob is not None
    return Pages(blob, first, "d")


def test_numbers_are_given_in_the_order_of_first_appearance() -> None:
    dictionary = Dictionary()
    b, a = intern("order b"), intern("order a")
    assert dictionary.add(np.array([b, 14, a, b]))
    assert dictionary.numbers_of(np.array([a, b, 14, intern("order c")])).tolist() == [1, 0, -1, -1]
    assert dictionary.add(np.array([a, intern("order c")]))
    assert dictionary.numbers_of(intern_many(["order c"])).tolist() == [2]


def test_values_of_every_type_come_back() -> None:
    storage = MemoryStorage()
    dictionary = Dictionary()
    ids = intern_many(VALUES)
    assert dictionary.add(ids)
    again = Dictionary([pages(storage, dictionary)])
    again.load(np.arange(len(VALUES)))
    assert again.lut[: len(VALUES)].tolist() == ids.tolist()
    assert Dictionary(again.blobs).numbers_of(ids).tolist() == list(range(len(VALUES)))


def test_only_what_is_wanted_is_loaded() -> None:
    storage = MemoryStorage()
    texts = [f"wanted {n}" for n in range(5_000)]
    again = Dictionary([stored(storage, texts)])
    again.load(np.array([7, 3_000]))
    assert np.flatnonzero(again.lut).tolist() == [7, 3_000]
    assert value_of(int(again.lut[3_000])) == "wanted 3000"


def test_a_value_is_found_that_the_process_has_not_seen() -> None:
    storage = MemoryStorage()
    page = (1, squeezed(b"\x91\xa8unseen 1"))
    hashes = np.array([hash_of(b"\xa8unseen 1")], np.uint32)
    blob = storage.blob(write_pages(storage, iter([page]), hashes))
    assert blob is not None
    dictionary = Dictionary([Pages(blob, 0, "d")])
    assert find("unseen 1") is None
    found = dictionary.find("unseen 1")
    assert found == intern("unseen 1")
    assert dictionary.numbers_of(np.array([found])).tolist() == [0]
    assert dictionary.find("unseen 2") is None
    assert find("unseen 2") is None


def test_what_was_absent_is_found_once_it_is_added() -> None:
    dictionary = Dictionary()
    ids = intern_many(["absent first"])
    assert dictionary.numbers_of(ids).tolist() == [-1]
    assert dictionary.add(ids)
    assert dictionary.numbers_of(ids).tolist() == [0]


def test_blobs_that_follow_one_another_are_one_dictionary_and_merge_into_one() -> None:
    storage = MemoryStorage()
    first = stored(storage, [f"first {n}" for n in range(1_000)])
    second = stored(storage, [f"second {n}" for n in range(700)], 1_000)
    ids = intern_many(["first 0", "second 0", "second 699", "first 999", "third"])
    numbers = [0, 1_000, 1_699, 999, -1]
    assert Dictionary([first, second]).numbers_of(ids).tolist() == numbers
    blob = storage.blob(merged(storage, [first, second]))
    assert blob is not None
    whole = Pages(blob, 0, "m")
    assert Dictionary([whole]).numbers_of(ids).tolist() == numbers
    assert [Dictionary([whole]).value(n) for n in (0, 1_699)] == ["first 0", "second 699"]


def test_values_that_are_not_written_yet_are_values() -> None:
    storage = MemoryStorage()
    dictionary = Dictionary()
    assert dictionary.add(intern_many(["one", "two"]))
    blob = pages(storage, dictionary)
    assert dictionary.add(intern_many(["three"]))
    assert [dictionary.value(n) for n in range(3)] == ["one", "two", "three"]
    dictionary.written([blob])
    assert [dictionary.value(n) for n in range(3)] == ["one", "two", "three"]
    wider = dictionary.wider([blob], 100_000)
    assert len(wider.lut) == 100_000
    assert [wider.value(n) for n in range(3)] == ["one", "two", "three"]
    assert wider.numbers_of(intern_many(["three", "one"])).tolist() == [2, 0]


def test_a_table_without_room_takes_nothing() -> None:
    dictionary = Dictionary(room=10)
    assert not dictionary.add(intern_many(f"room {n}" for n in range(11)))
    assert dictionary.count == 0


def test_values_with_one_hash_are_told_apart() -> None:
    storage = MemoryStorage()
    texts = ["same 1", "same 2"]
    page = (2, squeezed(b"\x92\xa6same 1\xa6same 2"))
    hashes = np.array([hash_of(b"\xa6same 2")] * 2, np.uint32)
    blob = storage.blob(write_pages(storage, iter([page]), hashes))
    assert blob is not None
    assert Dictionary([Pages(blob, 0, "d")]).numbers_of(intern_many(texts)).tolist() == [-1, 1]


@given(st.lists(ANY, max_size=20))
def test_any_values_have_numbers_and_come_back(found: list[object]) -> None:
    storage = MemoryStorage()
    dictionary = Dictionary()
    ids = intern_many(found)
    assert dictionary.add(ids)
    odd = ids[(ids & 1) == 1]
    numbers = dictionary.numbers_of(odd)
    assert sorted(set(numbers.tolist())) == list(range(dictionary.count))
    if len(odd):
        again = Dictionary([pages(storage, dictionary)])
        again.load(np.unique(numbers))
        assert again.lut[numbers].tolist() == odd.tolist()


def sections(storage: MemoryStorage, **changed: NDArray[Any]) -> Pages:
    arrays: dict[str, NDArray[Any]] = {
        "pages": np.frombuffer(squeezed(b"\x92\xa1a\xa1b"), np.uint8),
        "firsts": np.array([0, 2], np.uint32),
        "starts": np.array([0, 6], np.uint64),
        "hash": np.array([1, 2], np.uint32),
        "index": np.array([0, 1], np.uint32),
    }
    writer = SegmentWriter(storage, b"dict")
    for name, array in (arrays | changed).items():
        writer.section(name, array)
    blob = storage.blob(writer.finish())
    assert blob is not None
    return Pages(blob, 0, "d")


@pytest.mark.parametrize(
    "changed",
    [
        {"firsts": np.array([0, 3], np.uint32)},
        {"firsts": np.array([0, 2, 2], np.uint32), "starts": np.array([0, 3, 6], np.uint64)},
        {"firsts": np.empty(0, np.uint32), "starts": np.empty(0, np.uint64)},
        {"starts": np.array([0, 1 << 60], np.uint64)},
        {"starts": np.array([3, 6], np.uint64)},
        {"index": np.array([0], np.uint32)},
    ],
)
def test_parts_that_do_not_agree_are_refused(changed: dict[str, NDArray[Any]]) -> None:
    with pytest.raises(StorageCorrupt, match="do not agree"):
        sections(MemoryStorage(), **changed)


@pytest.mark.parametrize(
    "page", [b"\x93\xa1a\xa1b\xa1c", b"\xa1a", b"\x92\xa1a", b"\x92\x01\x02", b"\x92\xc1\xc1"]
)
def test_a_page_that_is_not_its_values_is_refused(page: bytes) -> None:
    kept = squeezed(page)
    found = sections(
        MemoryStorage(),
        pages=np.frombuffer(kept, np.uint8),
        starts=np.array([0, len(kept)], np.uint64),
    )
    with pytest.raises(StorageCorrupt):
        Dictionary([found]).load(np.array([0, 1]))


def test_an_index_that_names_other_places_finds_nothing() -> None:
    found = sections(
        MemoryStorage(),
        hash=np.array([hash_of(b"\xa1a")] * 2, np.uint32),
        index=np.array([0, 4_000_000_000], np.uint32),
    )
    assert Dictionary([found]).numbers_of(intern_many(["a"])).tolist() == [0]
