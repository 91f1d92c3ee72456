"""The segments of one stream, open: runs, dictionary, and what is known of transactions.

Is:     a value: a merge makes another one. Reading it costs a look at every byte, once, and no object for a transaction.
Is not: the rows that are only in the log yet.
Fits:   `datomstore.streams` begins a stream with it, and replays what the log has after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datomstore._index import Attributes
from datomstore.intern import Ids, intern, value_of
from datomstore.segments import manifest as manifests
from datomstore.segments.dictionary import Dictionary, Pages
from datomstore.segments.manifest import DictionaryEntry, Manifest, RunEntry
from datomstore.segments.run import Stored, read
from datomstore.segments.times import Ends, EndsPart, Roots
from datomstore.storage import Buffer, Storage, StorageCorrupt, StorageTransaction
from datomstore.value import Keyword


@dataclass(frozen=True, slots=True)
class Kept:
    """What is on disk, and mapped."""

    manifest: Manifest
    dictionary: Dictionary
    pages: tuple[Pages, ...]  # the dictionary's blobs, once the manifest is the stream's
    attributes: Attributes
    stored: tuple[Stored, ...]

    @property
    def size(self) -> int:
        """Return the bytes of all blobs."""
        values = sum(pages.size for pages in self.pages)
        return values + sum(part.size for part in self.stored)

    def ends(self) -> Ends:
        """Return (t, row after it) of every transaction."""
        return Ends([EndsPart(part.place.start, part.extra.ends) for part in self.stored])

    def roots(self) -> Roots:
        """Return the root after every transaction."""
        return Roots([part.extra.roots for part in self.stored])

    def ended(self) -> tuple[Ids, Ids]:
        """Return rows that were ended, and the rows that ended them."""
        rows = [part.extra.ended.astype(np.int64) for part in self.stored]
        return _joined(rows), _shifted([part.extra.retractions for part in self.stored], self)

    def schema_rows(self) -> Ids:
        """Return the rows that speak of attributes, ascending."""
        return _shifted([part.extra.schema for part in self.stored], self)


def _shifted(arrays: Sequence[Ids], kept: Kept) -> Ids:
    """Return offsets within runs as rows."""
    starts = [part.place.start for part in kept.stored]
    return _joined([array.astype(np.int64) + at for array, at in zip(arrays, starts, strict=True)])


def _joined(arrays: Sequence[Ids]) -> Ids:
    return np.concatenate([np.empty(0, np.int64), *arrays])


def opened(storage: Storage, transaction: StorageTransaction, stream: str) -> Kept | None:
    """Return a stream's segments, None if there are none of this version. Raises StorageCorrupt."""
    manifest = manifests.load(transaction, stream)
    if manifest is None:
        return None
    if manifest.t > transaction.end(stream):
        raise StorageCorrupt(f"stream {stream!r}: segments know of a transaction {manifest.t}")
    pages = opened_pages(storage, manifest.dictionaries)
    attributes = Attributes([intern(Keyword(name)) for name in manifest.attributes])
    dictionary = Dictionary(pages)
    stored = opened_runs(storage, manifest.runs, dictionary, attributes)
    return Kept(manifest, dictionary, tuple(pages), attributes, stored)


def opened_pages(storage: Storage, entries: Sequence[DictionaryEntry]) -> list[Pages]:
    """Return the blobs of a dictionary. Raises StorageCorrupt."""
    found = []
    for digest, first, length in entries:
        pages = Pages(blob(storage, digest), first, digest.hex())
        if pages.count != length:
            raise StorageCorrupt(f"segment {digest.hex()} has {pages.count} values, not {length}")
        found.append(pages)
    return found


def opened_runs(
    storage: Storage, entries: Sequence[RunEntry], dictionary: Dictionary, attributes: Attributes
) -> tuple[Stored, ...]:
    """Return runs. Raises StorageCorrupt."""
    return tuple(
        read(blob(storage, digest), place, dictionary, attributes, digest.hex())
        for digest, place in entries
    )


def blob(storage: Storage, digest: bytes) -> Buffer:
    """Return a blob. Raises StorageCorrupt."""
    found = storage.blob(digest)
    if found is None:
        raise StorageCorrupt(f"segment {digest.hex()} is missing")
    return found


def names_of(attributes: Attributes) -> tuple[str, ...]:
    """Return the names of attributes by number."""
    return tuple(_name(value_of(v)) for v in attributes.lut.tolist())


def _name(ident: object) -> str:
    assert isinstance(ident, Keyword), ident
    return ident.name
