"""A database agrees with a naive list of datoms: now, earlier, since, and in its history."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.intern import intern, values_of
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map, hash_key

ADD, RETRACT, RETRACT_ENTITY = (
    Keyword("db/add"),
    Keyword("db/retract"),
    Keyword("db/retractEntity"),
)
ONE, MANY, FRIEND = Keyword("o/one"), Keyword("o/many"), Keyword("o/friend")
ENTITIES = range(1, 6)
VALUES = (0, 1, 1.0, True, False, None, "a", Keyword("a"), (1, 2), 2**70)
SCHEMA = (
    Map(
        {
            Keyword("db/ident"): MANY,
            Keyword("db/cardinality"): Keyword("db.cardinality/many"),
        }
    ),
    Map(
        {
            Keyword("db/ident"): FRIEND,
            Keyword("db/valueType"): Keyword("db.type/ref"),
            Keyword("db/cardinality"): Keyword("db.cardinality/many"),
        }
    ),
)
OURS = frozenset({ONE, MANY, FRIEND})


class Row(NamedTuple):
    e: int
    a: Keyword
    v: object
    t: int
    added: bool


class Oracle:
    """All rows in a list; every question walks the list."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def live(self, t: int) -> dict[object, Row]:
        facts: dict[object, Row] = {}
        for row in self.rows:
            if row.t > t:
                break
            if row.added:
                facts[row.e, row.a, hash_key(row.v)] = row
            else:
                facts.pop((row.e, row.a, hash_key(row.v)), None)
        return facts

    def transact(self, t: int, items: list[tuple[object, ...]]) -> None:
        for op, e, *rest in items:
            assert isinstance(e, int), e
            if op is RETRACT_ENTITY:
                for row in list(self.live(t).values()):
                    if row.e == e or (row.a is FRIEND and row.v == e):
                        self.rows.append(row._replace(t=t, added=False))
                continue
            a, v = rest
            assert isinstance(a, Keyword), a
            key, now = (e, a, hash_key(v)), self.live(t)
            if op is RETRACT and key in now:
                self.rows.append(Row(e, a, v, t, added=False))
            if op is ADD and key not in now:
                for row in now.values():
                    if a is ONE and row.e == e and row.a is ONE:
                        self.rows.append(row._replace(t=t, added=False))
                self.rows.append(Row(e, a, v, t, added=True))


entities = st.sampled_from(ENTITIES)
plain = st.tuples(
    st.sampled_from([ADD, ADD, RETRACT]),
    entities,
    st.sampled_from([ONE, MANY]),
    st.sampled_from([value for value in VALUES if value is not None]),
)
friends = st.tuples(st.sampled_from([ADD, RETRACT]), entities, st.just(FRIEND), entities)
removals = st.tuples(st.just(RETRACT_ENTITY), entities)
histories = st.lists(
    st.lists(st.one_of(plain, friends, removals), min_size=1, max_size=6), max_size=8
)


def seen(database: Database) -> list[Row]:
    return sorted(
        (
            Row(d.e, d.a, hash_key(d.v), d.tx - TX_BASE, d.added)
            for d in database.datoms("eavt")
            if d.a in OURS
        ),
        key=repr,
    )


def keyed(rows: list[Row]) -> list[Row]:
    return sorted((row._replace(v=hash_key(row.v)) for row in rows), key=repr)


def played(history: list[list[tuple[object, ...]]]) -> tuple[Stream, Oracle, int]:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    oracle = Oracle()
    first = stream.transact(SCHEMA).t
    for items in history:
        oracle.transact(stream.transact(items).t, items)
    return stream, oracle, first


@settings(max_examples=25)
@given(histories)
def test_every_view_shows_what_the_list_of_datoms_says(
    history: list[list[tuple[object, ...]]],
) -> None:
    stream, oracle, first = played(history)
    database = stream.db()
    assert seen(database) == keyed(list(oracle.live(database.basis_t).values()))
    assert seen(database.history()) == keyed(oracle.rows)
    for t in range(first, database.basis_t + 1):
        past = keyed(list(oracle.live(t).values()))
        assert seen(database.as_of(t)) == past
        assert seen(database.as_of(TX_BASE + t)) == past
        now = oracle.live(database.basis_t).values()
        assert seen(database.since(t)) == keyed([row for row in now if row.t > t])
        assert seen(database.as_of(t).history()) == keyed([r for r in oracle.rows if r.t <= t])


@settings(max_examples=25)
@given(histories, entities, st.sampled_from([ONE, MANY, FRIEND]), st.sampled_from(VALUES))
def test_every_pattern_scans_what_the_list_of_datoms_says(
    history: list[list[tuple[object, ...]]], e: int, a: Keyword, v: object
) -> None:
    stream, oracle, _ = played(history)
    database = stream.db()
    live = oracle.live(database.basis_t).values()
    for use_e, use_a, use_v in ((b & 1, b & 2, b & 4) for b in range(8)):
        columns = database.scan(
            intern(e) if use_e else None,
            intern(a) if use_a else None,
            intern(v) if use_v else None,
        )
        found = zip(
            values_of(columns.e),
            values_of(columns.a),
            (hash_key(value) for value in values_of(columns.v)),
            strict=True,
        )
        assert sorted((row for row in found if row[1] in OURS), key=repr) == sorted(
            (
                (row.e, row.a, hash_key(row.v))
                for row in live
                if (not use_e or row.e == e)
                and (not use_a or row.a is a)
                and (not use_v or hash_key(row.v) == hash_key(v))
            ),
            key=repr,
        )


@settings(max_examples=25)
@given(histories, st.sampled_from([ONE, MANY, FRIEND]), st.lists(entities, max_size=6))
def test_bound_scans_give_every_match_of_every_probe(
    history: list[list[tuple[object, ...]]], a: Keyword, probes: list[int]
) -> None:
    stream, oracle, _ = played(history)
    database = stream.db()
    live = oracle.live(database.basis_t).values()
    ids = np.array([intern(probe) for probe in probes], np.int64)
    probe, rows = database.scan_bound(intern(a), e=ids)
    columns = database.columns(rows)
    found = [(int(p), hash_key(v)) for p, v in zip(probe, values_of(columns.v), strict=True)]
    assert sorted(found, key=repr) == sorted(
        (
            (number, hash_key(row.v))
            for number, e in enumerate(probes)
            for row in live
            if row.e == e and row.a is a
        ),
        key=repr,
    )
    probe, rows = database.scan_bound(intern(a), v=ids)
    sources = values_of(database.columns(rows).e)
    assert sorted(zip(probe.tolist(), sources, strict=True), key=repr) == sorted(
        (
            (number, row.e)
            for number, v in enumerate(probes)
            for row in live
            if hash_key(row.v) == v and type(row.v) is int and row.a is a
        ),
        key=repr,
    )


@settings(max_examples=25)
@given(histories)
def test_a_replayed_log_is_the_same_database(history: list[list[tuple[object, ...]]]) -> None:
    storage = MemoryStorage()
    stream = Streams(storage, now_ms=lambda: 0).create("s")
    stream.transact(SCHEMA)
    for items in history:
        stream.transact(items)
    again = Streams(storage, now_ms=lambda: 0).get("s")
    assert seen(again.db().history()) == seen(stream.db().history())
    assert seen(again.db()) == seen(stream.db())
    assert again.t == stream.t
    assert again.stats() == stream.stats()


@settings(max_examples=25)
@given(histories, st.lists(plain, min_size=1, max_size=5))
def test_a_refused_transaction_leaves_no_trace(
    history: list[list[tuple[object, ...]]], refused: list[tuple[object, ...]]
) -> None:
    stream, oracle, _ = played(history)
    before = seen(stream.db().history())
    with pytest.raises(TransactionError, match="nonsense"):
        stream.transact([*refused, (Keyword("db/nonsense"),)])
    assert seen(stream.db().history()) == before
    t = stream.transact(refused).t
    oracle.transact(t, refused)
    assert seen(stream.db()) == keyed(list(oracle.live(t).values()))
