"""The values of a stream by number, in the order in which its runs first had them.

Is:     pages of values in the codec's bytes, compressed, with an index of their hashes; and what this process has loaded.
Is not: loaded as a whole: a page is read when one of its values is wanted, and only that value gets an id.
Fits:   columns of stored runs decode through `lut` and encode through `numbers_of`; a merge adds what is new.

Integers that are their own ids are never in it. Numbers are given once and for all: excision alone begins anew.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import msgpack
import numpy as np
from numpy.typing import NDArray

from datomstore.codec import CodecError, pack, unpack_trusted
from datomstore.intern import Ids, intern, value_of
from datomstore.limits import (
    DICTIONARY_CACHED_PAGES,
    DICTIONARY_PAGE_BYTES,
    DICTIONARY_PAGE_VALUES,
    DICTIONARY_ROOM,
)
from datomstore.segments.blob import Array, Segment, SegmentWriter
from datomstore.storage import Buffer, Storage, StorageCorrupt
from datomstore.storage.squeeze import Unsqueezable, squeezed, unsqueezed

KIND = b"dict"
_ABSENT = -1  # in `_known`: looked for and not found
_NOTHING = np.empty(0, np.int64)


class Pages:
    """The values of one blob: numbers [first, first + count)."""

    def __init__(self, blob: Buffer, first: int, label: str) -> None:
        segment = Segment(blob, KIND, label)
        self.first = first
        self.count = segment.section("hash").length
        self.size = segment.size
        self.segment = segment
        self._label = label
        self._firsts = segment["firsts"]  # of every page, and the number of values
        self._starts = segment["starts"]  # of every page in "pages", and where they end
        pages = segment.section("pages").length
        well = (
            len(self._firsts) == len(self._starts) >= 1
            and int(self._firsts[0]) == 0 == int(self._starts[0])
            and int(self._firsts[-1]) == self.count == segment.section("index").length
            and int(self._starts[-1]) == pages
            and bool((self._firsts[1:] > self._firsts[:-1]).all())
            and bool((self._starts[1:] > self._starts[:-1]).all())
        )
        if not well:
            raise StorageCorrupt(f"segment {label} is a dictionary whose parts do not agree")

    def page_of(self, place: int) -> int:
        """Return the page of a value, counted from the blob's first."""
        return int(np.searchsorted(self._firsts, np.uint32(place), "right")) - 1

    def begin(self, page: int) -> int:
        """Return the first value of a page."""
        return int(self._firsts[page])

    def page(self, number: int) -> tuple[object, ...]:
        """Return the values of a page. Raises StorageCorrupt."""
        kept = self.segment["pages"][int(self._starts[number]) : int(self._starts[number + 1])]
        count = int(self._firsts[number + 1]) - int(self._firsts[number])
        try:
            values = unpack_trusted(unsqueezed(kept.data))
        except (Unsqueezable, CodecError) as error:
            raise StorageCorrupt(f"segment {self._label}: page {number}: {error}") from error
        if not isinstance(values, tuple) or len(values) != count:
            raise StorageCorrupt(f"segment {self._label}: page {number} has not {count} values")
        return values

    def candidates(self, hashed: int) -> list[int]:
        """Return the places of values with a hash."""
        hashes: Array = self.segment["hash"]
        key = np.uint32(hashed)  # of the array's own type, or all of it would be converted first
        low, high = int(np.searchsorted(hashes, key)), int(np.searchsorted(hashes, key, "right"))
        found: list[int] = self.segment["index"][low:high].tolist()
        return [place for place in found if place < self.count]

    def has(self, hashes: Array) -> NDArray[np.bool_]:
        """Return which of some hashes values have."""
        mine: Array = self.segment["hash"]
        places = np.minimum(np.searchsorted(mine, hashes), len(mine) - 1)
        return np.equal(mine[places], hashes)

    def pages(self) -> int:
        """Return how many pages there are."""
        return len(self._firsts) - 1


class Dictionary:
    """All values of a stream's runs. Safe for threads; one merge at a time adds."""

    def __init__(self, blobs: Sequence[Pages] = (), *, room: int = DICTIONARY_ROOM) -> None:
        self.blobs = tuple(blobs)
        self.stored = blobs[-1].first + blobs[-1].count if blobs else 0
        self.count = self.stored
        self._fresh: list[object] = []  # values from number `stored` on
        # Untouched pages of it take no memory. It never moves: columns point into it.
        self.lut: Ids = np.zeros(max(4 * self.count, room), np.int64)
        self._known = np.zeros(1 << 12, np.int32)  # entry of the process's table -> number + 1
        self._lock = threading.RLock()
        self._cache: OrderedDict[tuple[int, int], tuple[object, ...]] = OrderedDict()

    def load(self, numbers: Ids, /) -> None:
        """Fill `lut` at these numbers. Raises StorageCorrupt."""
        with self._lock:
            wanted = numbers[self.lut[numbers] == 0]
            for number in wanted.tolist():
                self._note(number, intern(self.value(number)))

    def value(self, number: int) -> object:
        """Return a value. Raises StorageCorrupt."""
        if number >= self.stored:
            return self._fresh[number - self.stored]
        first, values = self._page_with(number)
        return values[number - first]

    def values(self, numbers: Ids) -> list[object]:
        """Return the values of numbers, ascending: every page is read once. Raises StorageCorrupt."""
        made: list[object] = []
        first = 0
        page: tuple[object, ...] = ()
        with self._lock:
            for number in numbers.tolist():
                if number >= self.stored:
                    made.append(self._fresh[number - self.stored])
                    continue
                if not first <= number < first + len(page):
                    first, page = self._page_with(number)
                made.append(page[number - first])
        return made

    def _page_with(self, number: int) -> tuple[int, tuple[object, ...]]:
        """Return the number of the first value of a page, and its values. Raises StorageCorrupt."""
        with self._lock:
            place, blob = self._blob_of(number)
            page = blob.page_of(number - blob.first)
            return blob.first + blob.begin(page), self._page(place, page)

    def numbers_of(self, ids: Ids, /) -> Ids:
        """Return the number of each id, -1 for a value that is not here."""
        known = self._known
        entries = ids >> 1
        odd = (ids & 1).astype(np.bool_)
        found = np.where(odd & (entries < len(known)), 0, _ABSENT).astype(np.int64)
        inside = found == 0
        found[inside] = known[entries[inside]]
        open_ = (odd & (entries >= len(known))) | (odd & (found == 0))
        if open_.any():
            with self._lock:
                self._look_up(np.unique(ids[open_]))
                found[open_] = self._known[entries[open_]]
        return np.where(found > 0, found - 1, _ABSENT).astype(np.int64)

    def find(self, value: object) -> int | None:
        """Return the id of a value that is here, though the process may not have seen it yet."""
        try:
            packed = pack(value)
        except CodecError:
            return None
        with self._lock:
            number = self._number_of(packed)
            if number is None:
                return None
            found = intern(self.value(number))
            self._note(number, found)
            return found

    def boxed_between(self, low: int, high: int, /) -> Ids:
        """Return no ids: integers are never kept here, columns that have wide ones are wider."""
        return _NOTHING

    def add(self, ids: Ids) -> bool:
        """Give numbers to values that have none, in the order given; False if `lut` has no room for them."""
        with self._lock:
            odd = ids[(ids & 1).astype(np.bool_)]
            fresh = odd[self.numbers_of(odd) < 0]
            if not len(fresh):
                return True
            _, first = np.unique(fresh, return_index=True)
            wanted = fresh[np.sort(first)]
            if self.count + len(wanted) > len(self.lut):
                return False
            self._fresh += [value_of(v) for v in wanted.tolist()]
            entries = wanted >> 1
            self._grow(int(entries.max()))
            numbers = np.arange(self.count, self.count + len(wanted))
            self.lut[numbers] = wanted
            self._known[entries] = numbers + 1
            self.count += len(wanted)
            return True

    def write(self, storage: Storage) -> bytes | None:
        """Write the values that are in no blob yet; return the new blob's digest, None if there are none."""
        with self._lock:
            values = list(self._fresh)
        return write_pages(storage, _paged(values), _hashes(values)) if values else None

    def wider(self, blobs: Sequence[Pages], room: int) -> Dictionary:
        """Return the same with room for more; values that were loaded are again when they are wanted."""
        made = Dictionary(blobs, room=room)
        with self._lock:
            made._fresh = self._fresh[made.stored - self.stored :]
            for value in made._fresh:
                made._note(made.count, intern(value))
                made.count += 1
        return made

    def written(self, blobs: Sequence[Pages]) -> None:
        """Take blobs that have what was written, and let go of the values that are in them now."""
        with self._lock:
            stored = blobs[-1].first + blobs[-1].count if blobs else 0
            assert self.stored <= stored <= self.count, "blobs have all that was stored"
            self._cache.clear()
            self.blobs = tuple(blobs)
            self._fresh = self._fresh[stored - self.stored :]
            self.stored = stored

    def _note(self, number: int, v: int) -> None:
        if not v & 1:
            raise StorageCorrupt(f"value {number} of a dictionary is a plain integer")
        self._grow(v >> 1)
        self.lut[number] = v
        self._known[v >> 1] = number + 1

    def _grow(self, entry: int) -> None:
        if entry >= len(self._known):
            known = np.zeros(max(entry + 1, 2 * len(self._known)), np.int32)
            known[: len(self._known)] = self._known
            self._known = known

    def _look_up(self, ids: Ids) -> None:
        """Find the numbers of values of the process, or that they have none."""
        self._grow(int(ids.max()) >> 1)
        ids = ids[self._known[ids >> 1] == 0]
        self._known[ids >> 1] = _ABSENT
        if not self.blobs or not len(ids):
            return
        wanted: list[tuple[int, bytes]] = []
        for v in ids.tolist():
            with suppress(CodecError, ValueError):  # what has no bytes is in no log
                wanted.append((v, _packed(value_of(v))))
        hashes = np.fromiter((hash_of(packed) for _, packed in wanted), np.uint32, len(wanted))
        maybe = np.zeros(len(wanted), np.bool_)
        for blob in self.blobs:
            maybe |= blob.has(hashes)
        for place in np.flatnonzero(maybe).tolist():
            v, packed = wanted[place]
            number = self._number_of(packed)
            if number is not None:
                self.lut[number] = v
                self._known[v >> 1] = number + 1

    def _number_of(self, packed: bytes) -> int | None:
        hashed = hash_of(packed)
        for blob in reversed(self.blobs):
            for place in blob.candidates(hashed):
                if pack(self.value(blob.first + place)) == packed:
                    return blob.first + place
        return None

    def _blob_of(self, number: int) -> tuple[int, Pages]:
        for place in range(len(self.blobs) - 1, -1, -1):
            if self.blobs[place].first <= number:
                return place, self.blobs[place]
        raise AssertionError(number)

    def _page(self, place: int, page: int) -> tuple[object, ...]:
        found = self._cache.get((place, page))
        if found is None:
            found = self._cache[place, page] = self.blobs[place].page(page)
            if len(self._cache) > DICTIONARY_CACHED_PAGES:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end((place, page))
        return found


def hash_of(packed: bytes) -> int:
    """Return the hash by which a value is looked for: 32 bits that nobody finds collisions for by hand."""
    return int.from_bytes(hashlib.blake2b(packed, digest_size=4).digest(), "little")


def _hashes(values: Sequence[object]) -> Array:
    return np.fromiter((hash_of(_packed(value)) for value in values), np.uint32, len(values))


def _packed(value: object) -> bytes:
    """Return the bytes of a value, which for a text are msgpack's. Raises CodecError."""
    if type(value) is str:
        packed: bytes = msgpack.packb(value)
        return packed
    return pack(value)


def _paged(values: Sequence[object]) -> Iterator[tuple[int, bytes]]:
    """Yield (number of values, bytes) of pages."""
    page: list[object] = []
    size = 0
    for value in values:
        page.append(value)
        size += len(value) if isinstance(value, (str, bytes, tuple)) else 8
        if len(page) == DICTIONARY_PAGE_VALUES or size >= DICTIONARY_PAGE_BYTES:
            yield len(page), squeezed(pack(tuple(page)))
            page, size = [], 0
    if page:
        yield len(page), squeezed(pack(tuple(page)))


def write_pages(storage: Storage, pages: Iterator[tuple[int, bytes]], hashes: Array) -> bytes:
    """Write a blob of pages whose values have these hashes."""
    writer = SegmentWriter(storage, KIND)
    firsts, starts = [0], [0]

    def parts() -> Iterator[Array]:
        for count, data in pages:
            firsts.append(firsts[-1] + count)
            starts.append(starts[-1] + len(data))
            yield np.frombuffer(data, np.uint8)

    try:
        writer.section("pages", parts(), "u1")
        writer.section("firsts", np.array(firsts, np.uint32))
        writer.section("starts", np.array(starts, np.uint64))
        order = np.argsort(hashes, kind="stable")
        writer.section("hash", hashes[order])
        writer.section("index", order.astype(np.uint32))
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def merged(storage: Storage, blobs: Sequence[Pages]) -> bytes:
    """Write one blob with the pages of several that follow one another."""

    def pages() -> Iterator[tuple[int, bytes]]:
        for blob in blobs:
            bytes_of = blob.segment["pages"]
            firsts, starts = blob.segment["firsts"].tolist(), blob.segment["starts"].tolist()
            for (low, high), (start, end) in zip(pairwise(firsts), pairwise(starts), strict=True):
                yield high - low, bytes_of[start:end].tobytes()

    hashes = np.empty(sum(blob.count for blob in blobs), np.uint32)
    base = 0
    for blob in blobs:
        hashes[base + blob.segment["index"].astype(np.int64)] = blob.segment["hash"]
        base += blob.count
    return write_pages(storage, pages(), hashes)
