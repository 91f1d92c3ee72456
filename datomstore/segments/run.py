"""Runs of rows on disk: columns of codes, their orders, and what a stream has to know of their transactions.

Is:     one blob for a stretch of rows: written from rows in memory or from the runs it replaces, read as mapped columns.
Is not: the search in them (`datomstore._index`).
Fits:   `datomstore.segments.merge` decides which; docs/storage.md has the sections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore._index import (
    ENTITY,
    NAMED,
    STORED,
    Attributes,
    Column,
    Run,
    merged_offsets,
)
from datomstore.datom import TX_BASE
from datomstore.intern import Ids
from datomstore.limits import SEGMENT_CHUNK
from datomstore.segments.blob import Array, Segment, SegmentWriter, narrowest, type_of
from datomstore.segments.dictionary import Dictionary
from datomstore.storage import Buffer, Storage, StorageCorrupt

Offsets = NDArray[np.uint32]  # row numbers within a run, from its start
KIND = b"run\0"
ORDERS = ("eavt", "aevt", "avet", "vaet")
_SHARED = ("eavt", "aevt", "avet")  # that have every row


class Place(NamedTuple):
    """Where a run stands in its stream."""

    start: int  # first row
    end: int  # row after the last
    first_t: int  # its transactions, both included
    last_t: int
    past_until: int  # what its second parts have shows for no value of so many rows or more


class Extra(NamedTuple):
    """What a run has beside the index's own."""

    ends: Array  # of every transaction, the offset after its last row
    roots: NDArray[np.uint8]  # 32 bytes for every transaction
    retractions: Array  # offsets of the rows that are retractions, ascending
    ended: Array  # the rows these end
    schema: Array  # offsets of the rows that speak of attributes


class Names(NamedTuple):
    """Attributes by number: which occur in a run, and which of these have integers only, and none below zero."""

    present: Array
    integers: Array
    references: Array  # that VAET has


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as the index wants it, and what else is known of its rows."""

    place: Place
    run: Run
    names: Names
    extra: Extra
    size: int  # bytes


def entity_codes(ids: Ids) -> NDArray[np.int64]:
    """Return the codes of entities: themselves, and below zero for transactions."""
    entities = ids >> 1
    return np.where(entities >= TX_BASE, TX_BASE - entities - 1, entities)


def value_codes(ids: Ids, dictionary: Dictionary) -> NDArray[np.int64]:
    """Return the codes of values that are all in the dictionary."""
    odd = (ids & 1).astype(np.bool_)
    codes = ids.copy()
    numbers = dictionary.numbers_of(ids[odd])
    assert not len(numbers) or int(numbers.min()) >= 0, "values are added before they are coded"
    codes[odd] = (numbers << 1) | 1
    return codes


def narrow(codes: NDArray[np.int64]) -> Array:
    """Return codes in the fewest bytes that have them all."""
    least, greatest = (int(codes.min()), int(codes.max())) if len(codes) else (0, 0)
    return codes.astype(narrowest(least, greatest))


def names_in(a: Array, v: Array) -> Names:
    """Return what attributes have in columns of codes."""

    def among(codes: Array) -> NDArray[np.bool_]:
        return np.bincount(codes, minlength=size) > 0

    size = int(a.max()) + 1 if len(a) else 0
    present, odd, negative = among(a), among(a[(v & 1).astype(np.bool_)]), among(a[v < 0])
    masks = (present, present & ~odd, present & ~odd & ~negative)
    return Names(*(np.flatnonzero(mask).astype(np.int32) for mask in masks))


def write(storage: Storage, run: Run, names: Names, extra: Extra) -> bytes:
    """Write a run from memory, with its orders; return the digest of its blob."""
    writer = SegmentWriter(storage, KIND)
    try:
        for name, column in (("e", run.e), ("a", run.a), ("v", run.v)):
            writer.section(name, column.codes)
        for name in ORDERS:
            current, past = run.order(name)
            writer.section(name, current)
            writer.section(f"{name}.old", past)
        _write_rest(writer, run.t_offsets, run.t_ids, run.past, names, extra)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _write_rest(
    writer: SegmentWriter, t_offsets: Array, t_ids: Ids, past: Offsets, names: Names, extra: Extra
) -> None:
    writer.section("t", np.asarray(t_offsets, np.uint32))
    writer.section("tx", t_ids)
    writer.section("past", past)
    for name, numbers in zip(("present", "integers", "refs"), names, strict=True):
        writer.section(name, numbers)
    writer.section("ends", np.asarray(extra.ends, np.uint32))
    writer.section("roots", extra.roots)
    writer.section("retract", np.asarray(extra.retractions, np.uint32))
    writer.section("ended", narrow(np.asarray(extra.ended, np.int64)))
    writer.section("schema", np.asarray(extra.schema, np.uint32))


def read(
    blob: Buffer, place: Place, dictionary: Dictionary, attributes: Attributes, label: str
) -> Stored:
    """Return a run of a blob. Raises StorageCorrupt."""
    segment = Segment(blob, KIND, label)
    _check(segment, place, dictionary, len(attributes.lut), label)
    columns = (
        Column(segment["e"], ENTITY),
        Column(segment["a"], NAMED, attributes),
        Column(segment["v"], STORED, dictionary),
    )
    run = Run(
        place.start,
        *columns,
        segment["t"],
        segment["tx"],
        {name: (segment[name], segment[f"{name}.old"]) for name in ORDERS},
        past=segment["past"],
        past_until=place.past_until,
        references=attributes.lut[segment["refs"]],
        integers=attributes.lut[segment["integers"]],
    )
    names = Names(*(segment[name] for name in ("present", "integers", "refs")))
    extra = Extra(*(segment[name] for name in ("ends", "roots", "retract", "ended", "schema")))
    return Stored(place, run, names, extra, segment.size)


def _check(
    segment: Segment, place: Place, dictionary: Dictionary, attributes: int, label: str
) -> None:
    """Refuse sections that would lead out of their run. Raises StorageCorrupt."""

    def refuse(problem: str) -> StorageCorrupt:
        return StorageCorrupt(f"segment {label}: {problem}")

    count, transactions = place.end - place.start, place.last_t - place.first_t + 1
    wanted = {"e": count, "a": count, "v": count, "ends": transactions, "roots": 32 * transactions}
    wanted["ended"] = segment.section("retract").length
    wanted["tx"] = segment.section("t").length
    for name in _SHARED:
        wanted[f"{name}.old"] = count - segment.section(name).length
    for name, size in wanted.items():
        if segment.section(name).length != size:
            raise refuse(f"{name!r} has not {size} items")
    kinds = dict.fromkeys((*ORDERS, *(f"{name}.old" for name in ORDERS)), "u4")
    kinds |= {"t": "u4", "tx": "i8", "past": "u4", "ends": "u4", "roots": "u1", "retract": "u4"}
    for name, kind in kinds.items():
        if segment.section(name).type != kind:
            raise refuse(f"{name!r} is not of {kind}")
    for name in ("past", "retract", "schema", "t"):  # an order is looked at by its run
        if len(segment[name]) and int(segment[name].max()) >= count:
            raise refuse(f"{name!r} names rows that it has not")
    for name in ("a", "present", "integers", "refs"):
        array = segment[name]
        if len(array) and not 0 <= int(array.min()) <= int(array.max()) < attributes:
            raise refuse(f"{name!r} names attributes that there are not")
    ends = segment["ends"]
    if transactions < 1 or int(ends[-1]) != count or not bool((ends[1:] >= ends[:-1]).all()):
        raise refuse("its transactions do not end where it does")
    starts = segment["t"]
    if len(starts) and (int(starts[0]) or not bool((starts[1:] > starts[:-1]).all())):
        raise refuse("its transactions do not begin where it does")
    ended = segment["ended"]
    if len(ended) and not 0 <= int(ended.min()) <= int(ended.max()) < place.end:
        raise refuse("a row ends one that is not before it")
    if _greatest_number(segment["v"]) >= dictionary.count:
        raise refuse("a value is not in the dictionary")


def _greatest_number(codes: Array) -> int:
    """Return the greatest number of the dictionary among codes, -1 if there is none."""
    greatest = -1
    for start in range(0, len(codes), SEGMENT_CHUNK):
        part = codes[start : start + SEGMENT_CHUNK]
        odd = part[(part & 1).astype(np.bool_)]
        if len(odd):
            if int(odd.min()) < 0:
                raise StorageCorrupt("a value has a number below zero")
            greatest = max(greatest, int(odd.max()) >> 1)
    return greatest


# -- several into one --


def write_merged(
    storage: Storage,
    stored: Sequence[Stored],
    gone: NDArray[np.bool_] | None,
    past_until: int,
    proceed: Callable[[], None],
) -> tuple[bytes, Place]:
    """Write the run that replaces adjacent ones; return the digest of its blob, and its place.

    `gone` says which of their rows have been ended since, in all; None if none has.
    """
    first, last = stored[0].place, stored[-1].place
    place = Place(first.start, last.end, first.first_t, last.last_t, past_until)
    runs = [part.run for part in stored]
    starts = [part.place.start - first.start for part in stored]
    names = _common([part.names for part in stored])
    writer = SegmentWriter(storage, KIND, proceed)
    try:
        for name in ("e", "a", "v"):
            columns = [getattr(run, name).codes for run in runs]
            kind = max((type_of(column.dtype) for column in columns), key=lambda t: int(t[1]))
            writer.section(name, (part.astype(kind) for part in _chunks(columns)), kind)
        for name in ORDERS:
            orders = [run.order(name) for run in runs]
            if name == "vaet":
                orders = _only(orders, stored, names)
            for label, parts in _parts(name, runs, orders, starts, gone):
                writer.section(label, merged_offsets(name, runs, parts))
        past, extra = _joined(stored, starts, gone)
        _write_rest(writer, *_joined_times(stored, starts), past, names, extra)
        return writer.finish(), place
    except BaseException:
        writer.abandon()
        raise


def _chunks(columns: Sequence[Array]) -> Iterator[Array]:
    for column in columns:
        for start in range(0, len(column), SEGMENT_CHUNK):
            yield column[start : start + SEGMENT_CHUNK]


def _common(names: Sequence[Names]) -> Names:
    """Return what attributes have in all runs: what they have in each where they occur."""
    present = np.unique(np.concatenate([part.present for part in names]))
    kept = []
    for field in ("integers", "references"):
        keep = np.ones(len(present), np.bool_)
        for part in names:
            keep &= np.isin(present, getattr(part, field)) | ~np.isin(present, part.present)
        kept.append(present[keep])
    return Names(present, *kept)


def _only(
    orders: Sequence[tuple[Offsets, Offsets]], stored: Sequence[Stored], names: Names
) -> list[tuple[Offsets, Offsets]]:
    """Leave out of VAET the rows of attributes that are no references in other runs."""
    found = []
    for (current, past), part in zip(orders, stored, strict=True):
        if not np.isin(part.names.references, names.references).all():
            a = part.run.a.codes
            current = current[np.isin(a[current], names.references)]
            past = past[np.isin(a[past], names.references)]
        found.append((current, past))
    return found


def _parts(
    name: str,
    runs: Sequence[Run],
    orders: Sequence[tuple[Offsets, Offsets]],
    starts: Sequence[int],
    gone: NDArray[np.bool_] | None,
) -> Iterator[tuple[str, list[Offsets]]]:
    """Yield the name of a section, and the offsets of every run that go into it."""
    if gone is None:
        yield name, [current for current, _ in orders]
        yield f"{name}.old", [past for _, past in orders]
        return
    masks = [gone[start:][current] for (current, _), start in zip(orders, starts, strict=True)]
    yield name, [current[~mask] for (current, _), mask in zip(orders, masks, strict=True)]
    old: list[Offsets] = []
    for run, (current, past), mask in zip(runs, orders, masks, strict=True):
        since = current[mask]
        if len(since) and len(past):
            old.append(merged_offsets(name, [run, run], [past, since]))
        else:
            old.append(since if len(since) else past)
    yield f"{name}.old", old


def _joined_times(stored: Sequence[Stored], starts: Sequence[int]) -> tuple[Array, Ids]:
    offsets = [part.run.t_offsets for part in stored]
    return _shifted(offsets, starts), np.concatenate([part.run.t_ids for part in stored])


def _joined(
    stored: Sequence[Stored], starts: Sequence[int], gone: NDArray[np.bool_] | None
) -> tuple[Offsets, Extra]:
    if gone is None:
        past = _shifted([part.run.past for part in stored], starts)
    else:
        past = np.flatnonzero(gone)
    extra = Extra(
        _shifted([part.extra.ends for part in stored], starts),
        np.concatenate([part.extra.roots for part in stored]),
        _shifted([part.extra.retractions for part in stored], starts),
        np.concatenate([part.extra.ended for part in stored]),
        _shifted([part.extra.schema for part in stored], starts),
    )
    return past.astype(np.uint32), extra


def _shifted(arrays: Sequence[Array], starts: Sequence[int]) -> NDArray[np.int64]:
    pairs = zip(arrays, starts, strict=True)
    return np.concatenate([array.astype(np.int64) + start for array, start in pairs])
