"""Runs of rows on disk: columns of codes, their orders, and what a stream has to know of their transactions.

Is:     one blob for a stretch of rows: written from rows in memory or from the runs it replaces, read as mapped columns.
Is not: the search in them (`datomstore._index`).
Fits:   `datomstore.segments.merge` decides which; docs/storage.md has the sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore._index import (
    ENTITY,
    NAMED,
    STORED,
    Attributes,
    Column,
    Offsets,
    Run,
    merged_offsets,
)
from datomstore.datom import TX_BASE
from datomstore.intern import Ids
from datomstore.limits import SEGMENT_CHUNK
from datomstore.segments.blob import Array, Segment, SegmentWriter, narrowest, type_of
from datomstore.segments.dictionary import Dictionary
from datomstore.storage import Buffer, Storage, StorageCorrupt

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


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as the index wants it, and what else is known of its rows."""

    place: Place
    run: Run
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


def write(storage: Storage, run: Run, extra: Extra) -> bytes:
    """Write a run from memory, with its orders; return the digest of its blob."""
    writer = SegmentWriter(storage, KIND)
    try:
        for name, column in (("e", run.e), ("a", run.a), ("v", run.v)):
            writer.section(name, column.codes)
        for name in ORDERS:
            current, past = run.order(name)
            writer.section(name, current)
            writer.section(f"{name}.old", past)
        _write_rest(writer, run.t_offsets, run.t_ids, run.past, _reference_codes(run), extra)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _reference_codes(run: Run) -> Array:
    references = run.references
    assert references is not None, "a run that has an order VAET knows of what"
    return narrow(run.a.encode(references))


def _write_rest(
    writer: SegmentWriter, t_offsets: Array, t_ids: Ids, past: Offsets, refs: Array, extra: Extra
) -> None:
    writer.section("t", np.asarray(t_offsets, np.uint32))
    writer.section("tx", t_ids)
    writer.section("past", past)
    writer.section("refs", refs)
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
        references=columns[1].table.lut[segment["refs"]],  # type: ignore[union-attr]
    )
    extra = Extra(*(segment[name] for name in ("ends", "roots", "retract", "ended", "schema")))
    return Stored(place, run, extra, segment.size)


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
    for name in (*ORDERS, *(f"{name}.old" for name in ORDERS), "past", "retract", "schema", "t"):
        if len(segment[name]) and int(segment[name].max()) >= count:
            raise refuse(f"{name!r} names rows that it has not")
    for name in ("a", "refs"):
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
    storage: Storage, stored: Sequence[Stored], gone: NDArray[np.bool_] | None, past_until: int
) -> tuple[bytes, Place]:
    """Write the run that replaces adjacent ones; return the digest of its blob, and its place.

    `gone` says which of their rows have been ended since, in all; None if none has.
    """
    first, last = stored[0].place, stored[-1].place
    place = Place(first.start, last.end, first.first_t, last.last_t, past_until)
    runs = [part.run for part in stored]
    starts = [part.place.start - first.start for part in stored]
    writer = SegmentWriter(storage, KIND)
    try:
        for name in ("e", "a", "v"):
            columns = [getattr(run, name).codes for run in runs]
            kind = max((type_of(column.dtype) for column in columns), key=lambda t: int(t[1]))
            writer.section(name, (part.astype(kind) for part in _chunks(columns)), kind)
        for name in ORDERS:
            for label, parts in _parts(name, runs, starts, gone):
                writer.section(label, merged_offsets(name, runs, parts))
        past, references, extra = _joined(stored, starts, gone)
        _write_rest(writer, *_joined_times(stored, starts), past, references, extra)
        return writer.finish(), place
    except BaseException:
        writer.abandon()
        raise


def _chunks(columns: Sequence[Array]) -> Iterator[Array]:
    for column in columns:
        for start in range(0, len(column), SEGMENT_CHUNK):
            yield column[start : start + SEGMENT_CHUNK]


def _parts(
    name: str, runs: Sequence[Run], starts: Sequence[int], gone: NDArray[np.bool_] | None
) -> Iterator[tuple[str, list[Offsets]]]:
    """Yield the name of a section, and the offsets of every run that go into it."""
    orders = [run.order(name) for run in runs]
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
    offsets = [
        part.run.t_offsets.astype(np.int64) + start
        for part, start in zip(stored, starts, strict=True)
    ]
    return np.concatenate(offsets), np.concatenate([part.run.t_ids for part in stored])


def _joined(
    stored: Sequence[Stored], starts: Sequence[int], gone: NDArray[np.bool_] | None
) -> tuple[Offsets, Array, Extra]:
    def shifted(arrays: Sequence[Array]) -> Array:
        return np.concatenate(
            [array.astype(np.int64) + start for array, start in zip(arrays, starts, strict=True)]
        )

    past = shifted([part.run.past for part in stored]).astype(np.uint32)
    if gone is not None:
        past = np.union1d(past, np.flatnonzero(gone)).astype(np.uint32)
    attributes = stored[0].run.a
    references = np.unique(np.concatenate([_known(part.run.references) for part in stored]))
    extra = Extra(
        shifted([part.extra.ends for part in stored]),
        np.concatenate([part.extra.roots for part in stored]),
        shifted([part.extra.retractions for part in stored]),
        np.concatenate([part.extra.ended for part in stored]).astype(np.int64),
        shifted([part.extra.schema for part in stored]),
    )
    return past, narrow(attributes.encode(references)), extra


def _known(references: Any) -> Ids:
    assert references is not None, "a stored run knows its references"
    found: Ids = references
    return found
