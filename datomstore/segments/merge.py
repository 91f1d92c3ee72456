"""Runs become fewer and larger: what a merge does, one step after the other, to one stream.

Is:     rows in memory written as a run, adjacent runs written as one, blobs of values likewise; which to choose when.
Is not: a thread, nor the swap: what is returned is on disk but nobody's until the manifest names it.
Fits:   `datomstore.streams` calls it without its write lock; what it reads does not change meanwhile.
Source: the log-structured merge tree (O'Neil et al. 1996), with runs that are merged when the older are not much larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore._index import ENTITY, NAMED, STORED, Attributes, Column, Run
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import Ids, intern
from datomstore.limits import (
    DICTIONARY_MERGED_MAX,
    ENDED_PIECE,
    MERGE_FACTOR,
    MERGE_RUNS_MIN,
    RUN_ROWS_MAX,
)
from datomstore.schema import SCHEMA_ATTRIBUTES
from datomstore.segments.dictionary import Dictionary, Pages, merged
from datomstore.segments.kept import Kept, blob, names_of, opened_runs
from datomstore.segments.manifest import DictionaryEntry, Manifest, RunEntry
from datomstore.segments.run import (
    Extra,
    Place,
    entity_codes,
    names_in,
    narrow,
    read,
    value_codes,
    write,
    write_merged,
)
from datomstore.storage import Storage


class Growth(NamedTuple):
    """Committed transactions whose rows are in no run yet."""

    start: int  # first row
    first_t: int
    ends: NDArray[np.int64]  # of each, the row after its last
    roots: bytes  # 32 for each
    log_bytes: int  # of the log up to the newest

    @property
    def end(self) -> int:
        """Return the row after the last."""
        return int(self.ends[-1])

    @property
    def last_t(self) -> int:
        """Return the newest transaction."""
        return self.first_t + len(self.ends) - 1


def grown(storage: Storage, facts: Facts, kept: Kept | None, growth: Growth) -> Kept:
    """Write rows that are in memory as a run; return the segments with it. Its blobs are not kept yet."""
    start, end = growth.start, growth.end
    before = kept.manifest if kept is not None else None
    kept = _with_values(storage, facts.attributes, kept, facts.v[start:end])
    try:
        return _with_run(storage, facts, kept, growth)
    except BaseException:
        for digest in new_blobs(before, kept.manifest):
            storage.drop_blob(digest)
        raise


def _with_run(storage: Storage, facts: Facts, kept: Kept, growth: Growth) -> Kept:
    start, end = growth.start, growth.end
    e, a, v = facts.e[start:end], facts.a[start:end], facts.v[start:end]
    numbers = facts.attributes.numbered(a)
    codes = value_codes(v, kept.dictionary)
    starts = np.concatenate(([start], growth.ends[:-1]))
    full = starts < growth.ends  # a transaction that lost its facts has no rows
    t_ids = (TX_BASE + growth.first_t + np.flatnonzero(full)) << 1
    past, past_until = facts.ended.past(start, end, end)
    names = names_in(numbers, codes)
    run = Run(
        start,
        Column(narrow(entity_codes(e)), ENTITY),
        Column(narrow(numbers), NAMED, facts.attributes),
        Column(narrow(codes), STORED, kept.dictionary),
        (starts[full] - start).astype(np.uint32),
        t_ids,
        past=past,
        past_until=past_until,
        references=facts.attributes.lut[names.references],
        integers=facts.attributes.lut[names.integers],
    )
    place = Place(start, end, growth.first_t, growth.last_t, past_until)
    retractions = np.flatnonzero(~facts.added[start:end])
    extra = Extra(
        growth.ends - start,
        np.frombuffer(growth.roots, np.uint8),
        retractions,
        _ended_by(facts, retractions + start),
        np.flatnonzero(np.isin(a, _schema_ids())),
    )
    digest = write(storage, run, names, extra)
    stored = read(blob(storage, digest), place, kept.dictionary, facts.attributes, digest.hex())
    manifest = kept.manifest._replace(
        t=growth.last_t,
        rows=end,
        root=growth.roots[-32:],
        log_bytes=growth.log_bytes,
        attributes=names_of(facts.attributes),
        runs=(*kept.manifest.runs, RunEntry(digest, place)),
    )
    return replace(kept, manifest=manifest, stored=(*kept.stored, stored))


def _schema_ids() -> Ids:
    return np.array([intern(ident) for ident in SCHEMA_ATTRIBUTES], np.int64)


def _with_values(storage: Storage, attributes: Attributes, kept: Kept | None, v: Ids) -> Kept:
    """Return the segments with a dictionary that has all the values."""
    if kept is None:
        manifest = Manifest(0, 0, b"", 0, (), (), ())
        kept = Kept(manifest, Dictionary(), (), attributes, ())
    dictionary = kept.dictionary
    if not dictionary.add(v):
        dictionary = dictionary.wider(kept.pages, 4 * (dictionary.count + len(v)))
        assert dictionary.add(v), "there is room for all"
        stored = opened_runs(storage, kept.manifest.runs, dictionary, attributes)
        kept = Kept(kept.manifest, dictionary, kept.pages, attributes, stored)
    digest = dictionary.write(storage)
    if digest is None:
        return kept
    pages = Pages(blob(storage, digest), dictionary.stored, digest.hex())
    entries = (*kept.manifest.dictionaries, DictionaryEntry(digest, pages.first, pages.count))
    manifest = kept.manifest._replace(dictionaries=entries)
    return Kept(manifest, dictionary, (*kept.pages, pages), attributes, kept.stored)


def _ended_by(facts: Facts, retractions: Ids) -> Ids:
    """Return the row that each of some retractions, ascending, ends."""
    found = np.zeros(len(retractions), np.int64)
    if not len(retractions):
        return found
    end = int(retractions[-1]) + 1
    for first in range(0, end, ENDED_PIECE):
        offsets, _ = facts.ended.past(first, min(first + ENDED_PIECE, end), end)
        rows = offsets.astype(np.int64) + first
        by = facts.ended.by(rows) - 1
        mine = (by >= retractions[0]) & (by != rows)
        found[np.searchsorted(retractions, by[mine])] = rows[mine]
    return found


def due(sizes: Sequence[int], most: int) -> tuple[int, int] | None:
    """Return which adjacent parts to make into one, the smallest first; None if they are as few as they should be."""
    end = len(sizes)
    for start in range(end - MERGE_RUNS_MIN, -1, -1):
        newer = sum(sizes[start + 1 : end])
        if sizes[start] <= MERGE_FACTOR * newer and sizes[start] + newer <= most:
            while start and sizes[start - 1] <= MERGE_FACTOR * (newer + sizes[start]):
                if sizes[start - 1] + sizes[start] + newer > most:
                    break
                newer += sizes[start]
                start -= 1
            return start, end
    return None


def merged_runs(
    storage: Storage,
    facts: Facts,
    kept: Kept,
    first: int,
    past: int,
    proceed: Callable[[], None] = lambda: None,
) -> Kept:
    """Write runs [first, past) as one; return the segments with it. Its blob is not kept yet. `proceed` may raise."""
    parts = kept.stored[first:past]
    start, end = parts[0].place.start, parts[-1].place.end
    rows = kept.manifest.rows
    offsets, past_until = facts.ended.past(start, end, rows)
    gone = None
    if len(offsets) != sum(len(part.run.past) for part in parts):
        gone = np.zeros(end - start, np.bool_)
        gone[offsets] = True
    digest, place = write_merged(storage, parts, gone, past_until, proceed)
    made = read(blob(storage, digest), place, kept.dictionary, kept.attributes, digest.hex())
    entries = list(kept.manifest.runs)
    entries[first:past] = [RunEntry(digest, place)]
    stored = list(kept.stored)
    stored[first:past] = [made]
    manifest = kept.manifest._replace(runs=tuple(entries))
    return replace(kept, manifest=manifest, stored=tuple(stored))


def merged_values(storage: Storage, kept: Kept, first: int, past: int) -> Kept:
    """Write blobs of values [first, past) as one; return the segments with it. It is not kept yet."""
    blobs = list(kept.pages)
    digest = merged(storage, blobs[first:past])
    made = Pages(blob(storage, digest), blobs[first].first, digest.hex())
    blobs[first:past] = [made]
    entries = list(kept.manifest.dictionaries)
    entries[first:past] = [DictionaryEntry(digest, made.first, made.count)]
    manifest = kept.manifest._replace(dictionaries=tuple(entries))
    return replace(kept, manifest=manifest, pages=tuple(blobs))


def runs_due(kept: Kept) -> tuple[int, int] | None:
    """Return which runs to make into one."""
    sizes = [part.place.end - part.place.start for part in kept.stored]
    return due(sizes, RUN_ROWS_MAX)


def values_due(kept: Kept) -> tuple[int, int] | None:
    """Return which blobs of values to make into one."""
    return due([pages.count for pages in kept.pages], DICTIONARY_MERGED_MAX)


def new_blobs(before: Manifest | None, after: Manifest) -> Iterator[bytes]:
    """Yield the blobs that only the newer manifest has."""
    known = set(before.blobs()) if before is not None else set()
    return (digest for digest in after.blobs() if digest not in known)
