"""Are a stream's segments what was written, and what its log says.

Is:     every byte against its hash, every section against what its table says, every value against the index of hashes, and
        every run's parts against what ended its rows.
Is not: the columns and orders, which are compared with those that the log makes (`datomstore.check`).
Fits:   `datomstore.check`; what is found is said, and nothing is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from datomstore.codec import pack
from datomstore.facts import Facts
from datomstore.segments import dictionary, run
from datomstore.segments.blob import Segment
from datomstore.segments.dictionary import Pages, hash_of
from datomstore.segments.kept import Kept, blob
from datomstore.segments.run import ORDERS, Stored
from datomstore.storage import Storage, StorageCorrupt


def problems(storage: Storage, kept: Kept, facts: Facts, roots: list[bytes]) -> Iterator[str]:
    """Yield what is wrong with segments; `roots` are those that the log makes."""
    manifest = kept.manifest
    if roots[manifest.t - 1] != manifest.root or list(kept.roots()) != roots[: manifest.t]:
        yield f"the segments are of another log than that which leads to {manifest.root.hex()}"
    kinds = [(digest, run.KIND) for digest, _ in manifest.runs]
    kinds += [(values.digest, dictionary.KIND) for values in manifest.dictionaries]
    for digest, kind in kinds:
        yield from _bytes_of(storage, digest, kind)
    for pages in kept.pages:
        yield from _values_of(pages)
    for stored in kept.stored:
        yield from _parts_of(stored, facts)


def _bytes_of(storage: Storage, digest: bytes, kind: bytes) -> Iterator[str]:
    try:
        found = blob(storage, digest)
        Segment(found, kind, digest.hex()).check()
    except StorageCorrupt as error:
        yield str(error)
        return
    if hashlib.sha256(found).digest() != digest:
        yield f"segment {digest.hex()} has another hash"


def _values_of(pages: Pages) -> Iterator[str]:
    """Compare the index of hashes with the values."""
    hashes = np.zeros(pages.count, np.uint32)
    place = 0
    try:
        for number in range(pages.pages()):
            for value in pages.page(number):
                hashes[place] = hash_of(pack(value))
                place += 1
    except StorageCorrupt as error:
        yield str(error)
        return
    order = np.argsort(hashes, kind="stable")
    index = pages.segment["index"]
    kept = np.array_equal(pages.segment["hash"], hashes[order])
    if not kept or not np.array_equal(np.sort(index), np.arange(pages.count)):
        yield f"the values from {pages.first} on are not found by their hashes"
    elif not np.array_equal(hashes[index], hashes[order]):
        yield f"the values from {pages.first} on are found in other places"


def _parts_of(stored: Stored, facts: Facts) -> Iterator[str]:
    """Compare what stands apart as past with what ended the rows."""
    place = stored.place
    past, _ = facts.ended.past(place.start, place.end, place.past_until)
    if not np.array_equal(past, stored.run.past):
        yield f"the run from row {place.start} on has other rows in the past than have ended"
    for name in ORDERS:
        parted = np.sort(stored.run.order(name)[1])
        expected = np.sort(past[np.isin(past, parted)]) if name == "vaet" else past
        if not np.array_equal(parted, expected):
            yield f"the run from row {place.start} on has other rows in the past of {name}"
