"""Columns of ids: looked up, compared, grouped; facts of a pattern after further transactions."""

from __future__ import annotations

import statistics
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import q, vectors
from datomstore.datalog._columns import Index, rows_where, tuples_of
from datomstore.datalog.builtins import FUNCTIONS
from datomstore.datalog.extents import Extent
from datomstore.datalog.relation import unmetered
from datomstore.datalog.sources import DatabaseSource, source_of
from datomstore.datalog.totals import Groups
from datomstore.intern import intern, value_table
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

IDS = st.one_of(
    st.integers(-20, 20),
    st.integers(0, 8).map(lambda n: 2 * n),
    st.integers(-(1 << 62), 1 << 62),
)
COLUMNS = st.one_of(
    st.lists(IDS, max_size=40),
    st.lists(IDS, max_size=40).map(sorted),
    st.integers(0, 30).map(lambda n: list(range(10, 10 + 2 * n, 2))),
    st.lists(st.integers(0, 60).map(lambda n: 2 * n + 1), unique=True, max_size=40),
    st.lists(st.integers(0, 1 << 40), max_size=40, unique=True).map(sorted),
)


def ids(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@given(COLUMNS, st.lists(IDS, max_size=20), st.data())
def test_an_index_finds_every_position_of_every_key(
    column: list[int], others: list[int], data: st.DataObject
) -> None:
    keys = others + (data.draw(st.lists(st.sampled_from(column))) if column else [])
    index = Index(ids(column))
    assert len(set(column)) == len(column) or not index.unique
    if not index.usable:
        return
    probe, rows = index.probe(ids(keys), unmetered)
    numbers = list(range(len(keys))) if probe is None else probe.tolist()
    found = sorted(zip(numbers, rows.tolist(), strict=True))
    assert found == [
        (number, row)
        for number, key in enumerate(keys)
        for row, one in enumerate(column)
        if one == key
    ]
    assert index.unique == (len(set(column)) == len(column))
    assert index.most == max(map(column.count, column), default=1)


@given(st.lists(st.integers(-50, 50), max_size=60), st.integers(-50, 50))
def test_a_comparison_gives_the_rows_that_compare(numbers: list[int], bound: int) -> None:
    column = ids([2 * n for n in numbers])
    for code, holds in enumerate((int.__lt__, int.__le__, int.__gt__, int.__ge__)):
        rows = rows_where(column, code, 2 * bound)
        assert rows is not None
        assert rows.tolist() == [row for row, n in enumerate(numbers) if holds(n, bound)]


def test_what_is_no_small_integer_is_not_compared() -> None:
    assert rows_where(ids([2, intern("text"), 4]), 0, 8) is None
    assert rows_where(ids([2, 4]), 0, intern(1.5)) is None


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-9, 9)), min_size=1),
    st.booleans(),
)
def test_aggregates_of_all_groups_are_those_of_each(
    rows: list[tuple[int, int, int]], far: bool
) -> None:
    spread = 1 << 40 if far else 2
    keys = [ids([row[place] * spread for row in rows]) for place in (0, 1)]
    values = ids([2 * row[2] for row in rows])
    groups = Groups(keys, len(rows))
    expected: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a, b, value in rows:
        expected[a, b].append(value)
    pairs = zip(groups.values(keys[0]), groups.values(keys[1]), strict=True)
    ordered = [expected[a * 2 // spread, b * 2 // spread] for a, b in pairs]  # type: ignore[operator]
    assert len(ordered) == len(expected)
    assert groups.aggregate("count", values) == list(map(len, ordered))
    assert groups.aggregate("sum", values) == list(map(sum, ordered))
    assert groups.aggregate("min", values) == list(map(min, ordered))
    assert groups.aggregate("max", values) == list(map(max, ordered))
    assert groups.aggregate("median", values) == [statistics.median(group) for group in ordered]
    assert groups.aggregate("count-distinct", values) == [len(set(group)) for group in ordered]
    variances = groups.aggregate("variance", values)
    assert variances == pytest.approx([statistics.pvariance(group) for group in ordered])


def test_rows_that_are_not_there_are_refused() -> None:
    column = ids([2, 4])
    assert tuples_of([column, column], value_table(), 1, 2) == [(2, 2)]
    with pytest.raises(ValueError, match="no such rows"):
        tuples_of([column], value_table(), 0, 3)
    with pytest.raises(IndexError):
        tuples_of([ids([(1 << 40) | 1])], value_table(), 0, 1)


# -- facts after a transaction --

A, B = Keyword("a"), Keyword("b")
DECLARED = """[{:db/ident :a :db/valueType :db.type/long :db/cardinality :db.cardinality/many}
               {:db/ident :b :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]"""
SCHEMA = edn.read("{:a {:db/cardinality :db.cardinality/many}}")


def extent_of(database: Database, name: Keyword) -> Extent:
    source = source_of(database)
    assert isinstance(source, DatabaseSource)
    return source.extent((None, intern(name), None, None, None))


def rows_of(extent: Extent) -> list[tuple[int, ...]]:
    columns = [extent.column(place).tolist() for place in range(5)]
    return sorted(zip(*columns, strict=True))


def many() -> Database:
    facts = [(Keyword("db/add"), e, name, e % 7) for e in range(1, 201) for name in (A, B)]
    return Database.empty(SCHEMA).with_(facts).db_after  # type: ignore[arg-type]


def test_attributes_of_the_same_entities_share_their_column() -> None:
    database = many()
    assert extent_of(database, A).column(0) is extent_of(database, B).column(0)


def stream_of_a() -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 1).create("facts")
    stream.transact(edn.read(DECLARED))  # type: ignore[arg-type]
    stream.transact([(Keyword("db/add"), e, name, 1) for e in range(1, 8) for name in (A, B)])
    return stream


def test_a_transaction_leaves_the_facts_of_other_attributes_as_they_are() -> None:
    stream = stream_of_a()
    before = [extent_of(stream.db(), name) for name in (A, B)]
    stream.transact([(Keyword("db/add"), 9, A, 1)])
    assert extent_of(stream.db(), B) is before[1]
    assert extent_of(stream.db(), A) is not before[0]


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 12), st.integers(0, 4)), min_size=1, max_size=30
    )
)
def test_facts_brought_up_to_date_are_those_of_the_later_value(
    changes: list[tuple[bool, int, int]],
) -> None:
    stream = stream_of_a()
    query = "[:find ?e ?v ?t :where [?e :a ?v ?t]]"
    for added, e, v in changes:
        database = stream.db()
        extent_of(database, A)
        before = set(q(query, database))
        stream.transact([(Keyword("db/add" if added else "db/retract"), e, A, v)])
        later = stream.db()
        fresh = Extent.of(later, (None, intern(A), None, None, None), lambda column: column)
        kept = extent_of(later, A)
        assert kept.column(0).tolist() == fresh.column(0).tolist()
        assert rows_of(kept) == rows_of(fresh)
        assert set(q(query, database)) == before


NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.sampled_from(
        [0.0, -0.0, 1.5, -2.5, float("inf"), float("nan"), 1 << 53, (1 << 53) + 1, 1 << 70]
    ),
)


@given(
    st.lists(NUMBERS, min_size=40, max_size=60), NUMBERS, st.sampled_from(["<", "<=", ">", ">="])
)
@example([0.0] * 39 + [float("nan")], 0.0, "<=")
def test_doubles_compare_as_one_by_one(numbers: list[float], bound: float, name: str) -> None:
    left = ids([intern(number) for number in numbers])
    right = np.full(len(numbers), intern(bound), np.int64)
    mask = vectors.predicate(name, [left, right])
    if mask is not None:
        assert mask.tolist() == [FUNCTIONS[name](number, bound) for number in numbers]


def test_a_collection_is_made_of_one_column() -> None:
    values = q("[:find [?v ...] :where [_ :a ?v]]", many())
    assert sorted(values) == list(range(7))


def test_a_column_joined_with_itself_keeps_all_pairs_though_its_ids_are_far_apart() -> None:
    """Integers are their own ids, a double's is its place in the process's table: so wide a column has no quick index."""
    far = 1 << 40
    values = [2, far, -far, 3, 2, far]  # in no order, and not each once
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("facts")
    stream.transact(
        [Map({Keyword("db/id"): 10 + at, Keyword("v"): value}) for at, value in enumerate(values)]
    )
    found = q("[:find ?a ?b :where [?a :v ?x] [?b :v ?x]]", stream.db())
    expected = {
        (10 + a, 10 + b) for a, x in enumerate(values) for b, y in enumerate(values) if x == y
    }
    assert set(found) == expected
