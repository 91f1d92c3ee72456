"""Followed queries: the changes told are those between asking before and asking after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore import edn
from datomstore.datalog import Budget, BudgetExceeded, Change, QueryError, follow, q
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map, Set, Symbol
from tests.datomstore.datalog.naive import seen
from tests.datomstore.datalog.programs import (
    ATTRIBUTES,
    SMALL,
    VARIABLES,
    Row,
    clauses,
    examples,
    programs,
)


def read(text: str) -> Any:
    return edn.read(text)


def stream_of(*transactions: str) -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("facts")
    many = " ".join(
        f"{{:db/ident :{a} :db/cardinality :db.cardinality/many}}" for a in ("a", "b", "c", "likes")
    )
    schema = f"""[{many} {{:db/ident :name :db/unique :db.unique/identity}}
                  {{:db/ident :parent :db/valueType :db.type/ref}}]"""
    for transaction in (schema, *transactions):
        stream.transact(read(transaction))
    return stream


def ordered(rows: Set) -> list[Any]:
    found: list[Any] = list(rows)
    return sorted(found)


def told(changes: list[Change]) -> list[tuple[list[Any], list[Any]]]:
    return [(ordered(change.added), ordered(change.removed)) for change in changes]


PEOPLE = '[{:db/id 1001 :name "Ann" :likes ["tea"]} {:db/id 1002 :name "Bob" :parent 1001}]'


def test_a_join_tells_what_came_and_what_went() -> None:
    stream = stream_of(PEOPLE)
    changes: list[Change] = []
    query = "[:find ?n ?what :where [?e :name ?n] [?e :likes ?what]]"
    subscription = follow(query, stream, changes.append)
    assert (subscription.first, subscription.incremental) == (Set([("Ann", "tea")]), True)
    stream.transact(read('[[:db/add 1002 :likes "tea"] [:db/add 1001 :likes "rum"]]'))
    stream.transact(read('[[:db/retract 1001 :likes "tea"] [:db/add 1001 :name "Anna"]]'))
    stream.transact(read("[[:db/add 1002 :age 5]]"))
    assert told(changes) == [
        ([("Ann", "rum"), ("Bob", "tea")], []),
        ([("Anna", "rum")], [("Ann", "rum"), ("Ann", "tea")]),
    ]
    subscription.stop()
    stream.transact(read('[[:db/add 1002 :likes "rum"]]'))
    assert len(changes) == 2


def test_an_answer_that_is_derived_twice_goes_with_the_last_derivation() -> None:
    stream = stream_of('[{:db/id 1001 :likes ["tea" "rum"]}]')
    changes: list[Change] = []
    follow("[:find ?e :where [?e :likes _]]", stream, changes.append)
    stream.transact(read('[[:db/retract 1001 :likes "tea"]]'))
    assert changes == []
    stream.transact(read('[[:db/retract 1001 :likes "rum"]]'))
    assert told(changes) == [([], [(1001,)])]


def test_negation_turns_changes_round() -> None:
    stream = stream_of(PEOPLE)
    changes: list[Change] = []
    query = "[:find [?n ...] :where [?e :name ?n] (not [?c :parent ?e])]"
    assert follow(query, stream, changes.append).incremental
    stream.transact(read("[{:db/id 1003 :parent 1002}]"))
    stream.transact(read("[[:db/retract 1002 :parent 1001]]"))
    assert told(changes) == [([], [("Bob",)]), ([("Ann",)], [])]


def test_functions_of_an_entity_follow_it() -> None:
    stream = stream_of(PEOPLE)
    changes: list[Change] = []
    query = "[:find ?n ?w :where [?e :name ?n] [(get-else $ ?e :age 0) ?w] [(missing? $ ?e :gone)]]"
    assert follow(query, stream, changes.append).incremental
    stream.transact(read("[[:db/add 1001 :age 7]]"))
    stream.transact(read("[[:db/add 1002 :gone true]]"))
    assert told(changes) == [([("Ann", 7)], [("Ann", 0)]), ([], [("Bob", 0)])]


AGAIN = [
    ("[:find (count ?e) :where [?e :name]]", ()),
    ("[:find (pull ?e [:age]) :where [?e :name]]", ()),
    (
        "[:find ?n :in $ % :where (up ?e) [?e :name ?n]]",
        ("[[(up ?e) [?e :age]] [(up ?e) [?e :parent ?p] (up ?p)]]",),
    ),
    ('[:find ?a :where [[:name "Ann"] :age ?a]]', ()),
    ("[:find ?a :in $ ?e :where [?e :age ?a]]", ((Keyword("name"), "Ann"),)),
    ("[:find ?n :where (reachable :parent ?e ?f) [?f :age] [?e :name ?n]]", ()),
]


@pytest.mark.parametrize(("query", "inputs"), AGAIN)
def test_other_queries_are_asked_again(query: str, inputs: tuple[object, ...]) -> None:
    stream = stream_of(PEOPLE)
    changes: list[Change] = []
    subscription = follow(query, stream, changes.append, *inputs)
    assert not subscription.incremental
    rows = subscription.first
    for transaction in (
        "[[:db/add 1001 :age 7]]",
        '[{:db/id 1003 :name "Cyd" :age 4}]',
        '[[:db/add 1001 :name "Anna"] [:db/add 1003 :name "Ann"]]',
        "[[:db/retract 1001 :age 7]]",
    ):
        stream.transact(read(transaction))
        if changes and changes[-1].t == stream.t:
            rows = Set(
                [*(row for row in rows if row not in changes[-1].removed), *changes[-1].added]
            )
        assert rows == Set(q(query, stream.db(), *inputs))
    assert changes


def test_inputs_restrict_what_is_told() -> None:
    stream = stream_of(PEOPLE)
    changes: list[Change] = []
    query = "[:find ?n ?price :in [[?what ?price]] $ :where [?e :name ?n] [?e :likes ?what]]"
    subscription = follow(query, stream, changes.append, [("rum", 3), ("gin", 4)])
    assert (subscription.first, subscription.incremental) == (Set(), True)
    stream.transact(read('[[:db/add 1002 :likes "tea"] [:db/add 1002 :likes "gin"]]'))
    assert told(changes) == [([("Bob", 4)], [])]


def test_a_query_that_fails_later_ends_with_its_error() -> None:
    stream = stream_of("[{:db/id 1001 :age 5}]")
    changes: list[Change] = []
    follow("[:find ?e :where [?e :age ?a] [(< ?a 10)]]", stream, changes.append)
    stream.transact(read('[{:db/id 1002 :age "old"}]'))
    stream.transact(read("[{:db/id 1003 :age 6}]"))
    assert [change.error is not None and change.error.code for change in changes] == [
        "query/function"
    ]


def test_a_budget_holds_for_each_transaction() -> None:
    stream = stream_of("[{:db/id 1001 :age 5}]")
    changes: list[Change] = []
    with pytest.raises(BudgetExceeded):
        follow("[:find ?e :where [?e :age]]", stream, changes.append, budget=Budget(rows=0))
    assert stream.listeners == []
    query = "[:find ?e ?f :where [?e :age] [?f :age]]"
    follow(query, stream, changes.append, budget=Budget(rows=100))
    for n in range(40):
        stream.transact([Map([(Keyword("db/id"), 1002 + n), (Keyword("age"), n)])])
    assert isinstance(changes[-1].error, BudgetExceeded)
    assert stream.listeners == []


def test_a_query_without_the_stream_is_refused() -> None:
    with pytest.raises(QueryError, match=r"reads \$"):
        follow("[:find ?x :in ?x]", stream_of(), print, 1)


# -- against asking twice --

STEPS = st.lists(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(SMALL),
            st.sampled_from(ATTRIBUTES),
            st.sampled_from(SMALL),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda step: step[1:],
    ),
    min_size=1,
    max_size=4,
)


def changes_are_those_between(
    query: object, steps: Sequence[Sequence[tuple[bool, int, Keyword, int]]], *inputs: object
) -> bool:
    """Whether the query could be followed at all."""
    stream = stream_of(
        "[[:db/add 1 :a 2] [:db/add 2 :a 3] [:db/add 1 :b 2] [:db/add 3 :c 1] [:db/add 4 :b 1]]"
    )
    changes: list[Change] = []
    try:
        subscription = follow(query, stream, changes.append, *inputs)
    except QueryError:
        return False
    known = subscription.first
    for step in steps:
        stream.transact(
            [(Keyword("db/add" if add else "db/retract"), e, a, v) for add, e, a, v in step]
        )
        try:
            now = Set(q(query, stream.db(), *inputs))
        except QueryError:
            assert changes[-1].error is not None
            return True
        new = Set(row for row in now if row not in known)
        lost = Set(row for row in known if row not in now)
        if new or lost:
            assert (changes[-1].t, changes[-1].added, changes[-1].removed) == (stream.t, new, lost)
        else:
            assert not changes or changes[-1].t < stream.t
        known = now
    return True


@st.composite
def queries(draw: st.DrawFn) -> object:
    a, b, c, d = VARIABLES
    anchors = [(a, draw(st.sampled_from(ATTRIBUTES)), b), (c, draw(st.sampled_from(ATTRIBUTES)), d)]
    where = draw(
        st.permutations(
            [
                *anchors[: draw(st.integers(1, 2))],
                *draw(st.lists(clauses(), min_size=1, max_size=3)),
            ]
        )
    )
    mentioned = sorted(set[str]().union(*(seen(clause) for clause in where)))
    names = draw(st.lists(st.sampled_from(mentioned), min_size=1, max_size=2, unique=True))
    return (Keyword("find"), *(Symbol(name) for name in names), Keyword("where"), *where)


@given(query=queries(), steps=STEPS)
@examples(200)
def test_a_query_tells_the_difference(
    query: object, steps: list[list[tuple[bool, int, Keyword, int]]]
) -> None:
    changes_are_those_between(query, steps)


@given(rules=programs(), steps=STEPS)
@examples(80)
def test_rules_tell_the_difference(
    rules: list[Row], steps: list[list[tuple[bool, int, Keyword, int]]]
) -> None:
    changes_are_those_between("[:find ?a ?b :in $ % :where (p ?a ?b)]", steps, tuple(rules))
