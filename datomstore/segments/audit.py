"""Are a stream's segments what was written, and what its log says.

Is:     every byte against its hash, every section against what its table says, every value against the index of hashes, and
        every run's parts against what ended its rows.
Is not: the columns and orders, which are compared with those that the log makes (`datomstore.check`).
Fits:   `datomstore.check`; what is found is said, and nothing is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from datomstore.codec import pack
from datomstore.facts import Facts
from datomstore.segments import dictionary, run
from datomstore.segments.blob import Array, Segment
from datomstore.segments.dictionary import Pages, hash_of
from datomstore.segments.kept import Kept, blob
from datomstore.segments.run import ORDERS, Stored
from datomstore.storage import Storage, StorageCorrupt

_PIECE = 1 << 20  # hashes that are compared at a time


def problems(storage: Storage, kept: Kept, facts: Facts, roots: Sequence[bytes]) -> Iterator[str]:
    """Yield what is wrong with segments; `roots` are those that the log makes."""
    manifest = kept.manifest
    mine = kept.roots()
    well = len(mine) == manifest.t and roots[manifest.t - 1] == manifest.root
    if not well or any(mine[place] != roots[place] for place in range(manifest.t)):
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
    """Compare the index of hashes with the values, page by page."""
    place, found = 0, True
    try:
        for number in range(pages.pages()):
            for value in pages.page(number):
                found &= place in pages.candidates(hash_of(pack(value)))
                place += 1
    except StorageCorrupt as error:
        yield str(error)
        return
    # As many hashes as values, ascending, and each value among those of its hash: so no other is.
    if not found or not _ascends(pages.segment["hash"]):
        yield f"the values from {pages.first} on are not found by their hashes"


def _ascends(column: Array) -> bool:
    for start in range(0, len(column) - 1, _PIECE):
        after = column[start + 1 : start + 1 + _PIECE]
        if (after < column[start : start + len(after)]).any():
            return False
    return True


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
