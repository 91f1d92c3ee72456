"""A stream against a plain list of facts: every view, after every transaction, by every index."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.intern import intern, value_of
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map

ONE, MANY, NAME = Keyword("x/one"), Keyword("x/many"), Keyword("x/name")
SCHEMA = [
    Map([(Keyword("db/ident"), MANY), (Keyword("db/cardinality"), Keyword("db.cardinality/many"))]),
    Map([(Keyword("db/ident"), NAME), (Keyword("db/unique"), Keyword("db.unique/identity"))]),
]
ENTITIES = range(2_000, 2_005)
VALUES = st.sampled_from([0, 1, 1.0, True, "1", Keyword("k"), -1, 2**70])

operations = st.one_of(
    st.tuples(
        st.sampled_from([Keyword("db/add"), Keyword("db/retract")]),
        st.sampled_from(ENTITIES),
        st.sampled_from([ONE, MANY]),
        VALUES,
    ),
    st.tuples(st.just(Keyword("db/retractEntity")), st.sampled_from(ENTITIES)),
)

Fact = tuple[int, int, int]  # entity, and ids of attribute and value


@dataclass
class Naive:
    """Facts as a set, and every change ever made as a list."""

    now: dict[Fact, int] = field(default_factory=dict)  # fact -> t of its addition
    changes: list[tuple[int, Fact, bool]] = field(default_factory=list)

    def apply(self, t: int, operation: tuple[object, ...]) -> None:
        verb, e, *rest = operation
        assert isinstance(verb, Keyword)
        assert isinstance(e, int)
        if verb.name == "db/retractEntity":
            for fact in [f for f in self.now if f[0] == e]:
                self._drop(t, fact)
            return
        a, v = rest
        fact = (e, intern(a), intern(v))
        if verb.name == "db/retract":
            if fact in self.now:
                self._drop(t, fact)
        elif fact not in self.now:
            if a is ONE:
                for old in [f for f in self.now if f[:2] == fact[:2]]:
                    self._drop(t, old)
            self.now[fact] = t
            self.changes.append((t, fact, True))

    def _drop(self, t: int, fact: Fact) -> None:
        del self.now[fact]
        self.changes.append((t, fact, False))

    def as_of(self, t: int) -> set[Fact]:
        live: set[Fact] = set()
        for at, fact, added in self.changes:
            if at <= t:
                (live.add if added else live.discard)(fact)
        return live


def _facts(database: Database) -> set[Fact]:
    columns = database.scan(None, None, None)
    rows = zip(columns.e.tolist(), columns.a.tolist(), columns.v.tolist(), strict=True)
    return {(e >> 1, a, v) for e, a, v in rows if (e >> 1) in ENTITIES}


@given(st.lists(st.lists(operations, min_size=1, max_size=4), max_size=12))
def test_every_view_equals_the_naive_one(transactions: list[list[tuple[object, ...]]]) -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    stream.transact(SCHEMA)
    naive = Naive()
    snapshots: list[tuple[int, Database, set[Fact]]] = []
    for transaction in transactions:
        report = stream.transact(transaction)
        for operation in transaction:
            naive.apply(report.t, operation)
        snapshots.append((report.t, stream.db(), set(naive.now)))
    database = stream.db()
    assert _facts(database) == set(naive.now)
    for t, snapshot, facts in snapshots:
        assert _facts(snapshot) == facts  # a value does not change when the stream goes on
        assert _facts(database.as_of(t)) == facts
        assert naive.as_of(t) == facts
        assert _facts(database.since(t)) == {f for f, at in naive.now.items() if at > t}
    changes = database.history().scan(None, None, None)
    touched = [int(e) >> 1 in ENTITIES for e in changes.e]
    assert sum(touched) == len(naive.changes)


@given(st.lists(operations, max_size=30), VALUES)
def test_every_index_finds_the_same_rows(items: list[tuple[object, ...]], value: object) -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    stream.transact(SCHEMA)
    for item in items:
        stream.transact([item])
    database = stream.db()
    everything = _facts(database)
    v = intern(value)
    for e in [None, *ENTITIES]:
        for a in (None, intern(ONE), intern(MANY)):
            for wanted in (None, v):
                e_id = None if e is None else e << 1
                columns = database.scan(e_id, a, wanted)
                found = set(
                    zip(
                        (columns.e >> 1).tolist(),
                        columns.a.tolist(),
                        columns.v.tolist(),
                        strict=True,
                    )
                )
                expected = {
                    fact
                    for fact in everything
                    if (e is None or fact[0] == e)
                    and (a is None or fact[1] == a)
                    and (wanted is None or fact[2] == wanted)
                }
                assert {fact for fact in found if fact[0] in ENTITIES} == expected


@given(st.lists(st.lists(operations, min_size=1, max_size=3), max_size=8))
def test_the_log_replays_to_the_same_database(transactions: list[list[tuple[object, ...]]]) -> None:
    storage = MemoryStorage()
    stream = Streams(storage, now_ms=lambda: 0).create("s")
    stream.transact(SCHEMA)
    for transaction in transactions:
        stream.transact(transaction)
    again = Streams(storage, now_ms=lambda: 0).get("s")
    assert again.t == stream.t
    assert _facts(again.db()) == _facts(stream.db())
    assert again.db().schema[MANY].many
    again.transact([(Keyword("db/add"), 2_000, MANY, "later")])
    assert (2_000, intern(MANY), intern("later")) in _facts(again.db())


@given(st.lists(operations, max_size=10), st.integers(0, 10))
def test_a_transaction_that_fails_leaves_nothing(items: list[tuple[object, ...]], at: int) -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    stream.transact(SCHEMA)
    stream.transact([(Keyword("db/add"), 2_000, ONE, "kept"), (Keyword("db/add"), 2_000, MANY, 1)])
    before, t = _facts(stream.db()), stream.t
    wrong = [*items[:at], (Keyword("db/nonsense"), 1), *items[at:]]
    with pytest.raises(TransactionError):
        stream.transact(wrong)
    assert _facts(stream.db()) == before
    assert stream.t == t
    stream.transact(items)
    naive = Naive()
    for operation in [
        (Keyword("db/add"), 2_000, ONE, "kept"),
        (Keyword("db/add"), 2_000, MANY, 1),
        *items,
    ]:
        naive.apply(1, operation)
    assert _facts(stream.db()) == set(naive.now)


def test_one_and_one_point_zero_and_true_are_three_values() -> None:
    report = Database.empty(
        {MANY: {Keyword("db/cardinality"): Keyword("db.cardinality/many")}}
    ).with_([(Keyword("db/add"), 2_000, MANY, value) for value in (1, 1.0, True)])
    values = [value_of(int(v)) for v in report.db_after.scan(4_000, None, None).v]
    assert sorted(map(repr, values)) == ["1", "1.0", "True"]
