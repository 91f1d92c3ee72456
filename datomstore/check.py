"""Does a stream's storage hold what it should: bytes, roots, facts, indexes.

Is:     a full reading of a log, against its checksums, its root, the rules of facts, the columns, and the segments.
Is not: a repair: what is wrong is named, and nothing is changed.
Fits:   run on a node's storage, on a backup, after an import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from datomstore.codec import CodecError, unpack
from datomstore.database import Database
from datomstore.facts import ORDERS
from datomstore.intern import intern, value_of
from datomstore.record import Row, decode_record
from datomstore.roots import EMPTY_ROOT, digest, next_root
from datomstore.schema import Attribute, refusal
from datomstore.segments.audit import problems
from datomstore.storage import StorageCorrupt
from datomstore.streams import Stream, Streams
from datomstore.transactor import replayed
from datomstore.value import Keyword

Progress = Callable[[int, int], None]  # transactions read, transactions there are


class Fault(NamedTuple):
    """Something that is not as it should be."""

    rule: str  # stable: "bytes", "root", "facts", "attribute", "memory", "order" or "segments"
    t: int  # of the transaction, or of the newest where it is no single one's
    message: str


def check(streams: Streams, name: str, *, progress: Progress | None = None) -> list[Fault]:
    """Return what is wrong with a stream; nothing is, if the list is empty. Raises StreamUnknown."""
    faults: list[Fault] = []
    with streams.write_lock:  # so that log, root and memory are of one moment
        roots: list[bytes] = []
        transactions = _read(streams, name, roots, faults, progress)
        if any(fault.rule in ("bytes", "root") for fault in faults):
            return faults
        database = replayed(transactions, roots).database()
        _check_facts(transactions, faults)
        _check_attributes(database, faults)
        try:
            _check_stream(streams, streams.get(name), database, roots, faults)
        except StorageCorrupt as error:  # the log is well: segments can be made anew from it
            faults.append(Fault("segments", database.basis_t, str(error)))
    return faults


def _read(
    streams: Streams,
    name: str,
    roots: list[bytes],
    faults: list[Fault],
    progress: Progress | None,
) -> list[tuple[int, list[Row]]]:
    found: list[tuple[int, list[Row]]] = []
    root, t = EMPTY_ROOT, 0
    with streams.storage.transaction(write=False) as storage:
        end, kept = storage.end(name), storage.root(name)
        try:
            for t, blob in storage.read(name):
                unpack(blob)  # canonical, or it could not be proved
                found.append((t, decode_record(name, t, blob)[1]))
                root = next_root(root, digest(blob))
                roots.append(root)
                if progress is not None:
                    progress(t, end)
        except (StorageCorrupt, CodecError) as error:
            faults.append(Fault("bytes", t, str(error)))
            return found
    if kept is not None and kept != root:
        faults.append(Fault("root", t, f"the log leads to {root.hex()}, not to {kept.hex()}"))
    return found


def _check_facts(transactions: list[tuple[int, list[Row]]], faults: list[Fault]) -> None:
    """Nothing is added that is so already, nothing retracted that is not."""
    live: set[tuple[int, int, int]] = set()
    for t, rows in transactions:
        for e, a, value, added in rows:
            fact = (e, intern(a), intern(value))
            if added == (fact in live):
                verb = "added twice" if added else "retracted without being so"
                faults.append(Fault("facts", t, f"[{e} {a!r} {value!r}] is {verb}"))
            (live.add if added else live.discard)(fact)


def _check_attributes(database: Database, faults: list[Fault]) -> None:
    facts, t = database.facts, database.basis_t
    used = {value_of(a) for a in np.unique(facts.a[: facts.count]).tolist()}
    for ident in sorted(used | {attribute.ident for attribute in database.schema}):  # type: ignore[type-var]
        assert isinstance(ident, Keyword), ident
        attribute = database.schema[ident]
        rows = database.rows(None, intern(ident))
        entities, values = facts.e[rows], facts.v[rows]
        if not attribute.many and len(np.unique(entities)) < len(rows):
            faults.append(Fault("attribute", t, f"{ident!r}: an entity has two values"))
        if attribute.unique is not None and len(np.unique(values)) < len(rows):
            faults.append(Fault("attribute", t, f"{ident!r}: two entities have one value"))
        problems = (refusal(attribute, value_of(v)) for v in np.unique(values).tolist())
        faults += [Fault("attribute", t, problem) for problem in problems if problem is not None]
        if attribute.tuple_attrs:
            _check_composite(database, attribute, faults)


def _check_composite(database: Database, attribute: Attribute, faults: list[Fault]) -> None:
    parts: dict[int, list[object]] = {}
    for place, part in enumerate(attribute.tuple_attrs):
        for datom in database.datoms("aevt", part):
            parts.setdefault(datom.e, [None] * len(attribute.tuple_attrs))[place] = datom.v
    made = {e: intern(tuple(values)) for e, values in parts.items()}
    kept = {datom.e: intern(datom.v) for datom in database.datoms("aevt", attribute.ident)}
    if made != kept:
        faults.append(
            Fault("attribute", database.basis_t, f"{attribute.ident!r} is not what its parts make")
        )


def _check_stream(
    streams: Streams, stream: Stream, database: Database, roots: list[bytes], faults: list[Fault]
) -> None:
    """Compare what answers queries with what the log makes."""
    _check_memory(stream, database, faults)
    _check_orders(stream, faults)
    if stream.kept is not None:
        found = problems(streams.storage, stream.kept, stream.transactor.facts, roots)
        faults += [Fault("segments", database.basis_t, problem) for problem in found]


def _check_memory(stream: Stream, database: Database, faults: list[Fault]) -> None:
    """The columns that answer queries are those that the log makes."""
    mine, made = stream.db(), database
    if mine.count_rows != made.count_rows or mine.tx_ends != made.tx_ends:
        faults.append(Fault("memory", mine.basis_t, "memory and log have not the same rows"))
        return
    for name in ("e", "a", "v", "t", "added", "ended"):
        here, there = getattr(mine.facts, name), getattr(made.facts, name)
        if not np.array_equal(here[: mine.count_rows], there[: mine.count_rows]):
            faults.append(Fault("memory", mine.basis_t, f"memory and log differ in column {name}"))
    if mine.schema != made.schema:
        faults.append(Fault("memory", mine.basis_t, "memory and log differ in the schema"))


def _check_orders(stream: Stream, faults: list[Fault]) -> None:
    database = stream.db()
    for run in database.facts.view(database.count_rows).runs:
        columns = {"e": run.e.codes, "a": run.a.codes, "v": run.v.codes}
        for name, keys in ORDERS.items():
            parts = run.order(name)
            listed = [[columns[key][part] for key in keys] for part in parts]
            orders = [np.lexsort(part[::-1]) for part in listed]
            ascending = all(
                np.array_equal(column[order], column)
                for part, order in zip(listed, orders, strict=True)
                for column in part
            )
            rows = np.sort(np.concatenate(parts))
            whole = name == "vaet" or np.array_equal(rows, np.arange(len(run)))
            if not (ascending and whole):
                faults.append(Fault("order", database.basis_t, f"index {name} is not sorted"))
