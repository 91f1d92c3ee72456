"""Clauses that form a cycle: all joined together, two by two, or by nested loops, the answers are the same."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import (
    Budget,
    BudgetExceeded,
    Cancellation,
    QueryCancelled,
    columns,
    cyclic,
    explain,
    q,
)
from datomstore.datalog._generic import GenericJoin, Trie, paired_rows
from datomstore.datalog.hypergraph import cyclic_core
from datomstore.datom import Datom
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, exact_key
from tests.datomstore.datalog.naive import Naive

TRIANGLES = "[:find ?a ?b ?c :where [?a :edge ?b] [?b :edge ?c] [?a :edge ?c]]"
SQUARES = "[:find ?a ?b ?c ?d :where [?a :edge ?b] [?b :edge ?c] [?c :edge ?d] [?d :edge ?a]]"
TOGETHER = "[[?a :edge ?b] [?b :edge ?c] [?a :edge ?c]]"
SCHEMA: Any = edn.read("{:edge {:db/cardinality :db.cardinality/many}}")


@contextmanager
def all_together() -> Iterator[None]:
    """Join cycles all together, however few rows two by two would make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cyclic, "PAIRED_ROWS_MIN", 0)
        patch.setattr(cyclic, "HUBS_PART", 0)
        patch.setattr(cyclic, "PAIRED_PART", 0)
        yield


def graph(*edges: tuple[int, int]) -> Database:
    return Database.from_datoms(
        [Datom(a, Keyword("edge"), b, 1 << 40, True) for a, b in edges], SCHEMA
    )


def hub(spokes: int) -> Database:
    """A node with `spokes` edges in and out, and three that form a triangle."""
    inwards = [(1_000 + n, 1) for n in range(spokes)]
    outwards = [(1, 100_000 + n) for n in range(spokes)]
    return graph(*inwards, *outwards, (1_000, 100_000), (2, 3))


# -- which clauses form a cycle --


@pytest.mark.parametrize(
    ("edges", "core"),
    [
        (["ab", "bc", "cd"], []),
        (["ab", "bc", "ca"], [0, 1, 2]),
        (["ab", "bc", "ca", "abc"], []),
        (["ab", "bc", "cd", "da"], [0, 1, 2, 3]),
        (["xa", "ab", "bc", "ca", "cy", "yz"], [1, 2, 3]),
        (["a", "ab", "bc", "ca", "ax"], [0, 1, 2, 3]),
        (["ab", "ab", "bc"], []),
        (["ab", "ba", "bc", "ca"], [0, 1, 2, 3]),
        (["abc", "cde", "efa"], [0, 1, 2]),
        (["abc", "cde", "efa", "ace"], []),
        (["ab", "bc", "ca", "de", "ef", "fd"], [0, 1, 2, 3, 4, 5]),
        (["", "ab", "bc", "ca"], [1, 2, 3]),
    ],
)
def test_what_is_left_without_ears_is_the_core(edges: list[str], core: list[int]) -> None:
    assert cyclic_core([frozenset(edge) for edge in edges]) == core


# -- the join --

IDS = st.sampled_from([0, 2, 4, 6, -2, 7, 9, 1 << 33, -(1 << 40), (1 << 62) - 2, -(1 << 62)])
SHAPES = {
    "triangle": (["ab", "bc", "ac"], "abc"),
    "square": (["ab", "bc", "cd", "ad"], "abcd"),
    "clique": (["ab", "ac", "ad", "bc", "bd", "cd"], "abcd"),
    "bow tie": (["ab", "bc", "ac", "cd", "de", "ce"], "abcde"),
    "wide": (["abc", "bcd", "da"], "abcd"),
    "with one alone": (["ab", "bc", "ac", "b"], "abc"),
    "product": (["a", "b"], "ab"),
}


@st.composite
def joins(draw: st.DrawFn) -> tuple[list[str], list[list[tuple[int, ...]]], str, str]:
    """Tables over variables, their rows, the order of the variables, and those that are kept."""
    tables, names = SHAPES[draw(st.sampled_from(sorted(SHAPES)))]
    some = draw(st.lists(IDS, min_size=1, max_size=4))
    one = st.sampled_from(some)
    rows = [draw(st.lists(st.tuples(*[one] * len(table)), max_size=14)) for table in tables]
    order = "".join(draw(st.permutations(names)))
    return tables, rows, order, draw(st.sampled_from([order, order[:1], order[1:], order[:-1], ""]))


def joined(
    tables: list[str], rows: list[list[tuple[int, ...]]], order: str, kept: str, portion: int
) -> list[tuple[int, ...]]:
    """Return rows over `kept`, in the order of the variables."""
    tries: list[Trie] = []
    levels: list[list[tuple[int, int]]] = [[] for _ in order]
    for number, (table, found) in enumerate(zip(tables, rows, strict=True)):
        names = sorted(table, key=order.index)
        array = np.array(found, np.int64).reshape(len(found), len(table))
        tries.append(Trie([array[:, table.index(name)] for name in names]))
        for level, name in enumerate(names):
            levels[order.index(name)].append((number, level))
    join = GenericJoin(tries, levels, [name in kept for name in order])
    made: list[tuple[int, ...]] = []
    while join.running:
        found_columns, count = join.run(portion, portion)
        made += zip(*(c.tolist() for c in found_columns), strict=True) if kept else [()] * count
    return made


def looped(
    tables: list[str], rows: list[list[tuple[int, ...]]], order: str, kept: str
) -> set[tuple[int, ...]]:
    found: set[tuple[int, ...]] = set()
    ids = sorted({one for table in rows for row in table for one in row})
    have = [set(table) for table in rows]
    for values in product(ids, repeat=len(order)):
        env = dict(zip(order, values, strict=True))
        if all(tuple(env[n] for n in t) in h for t, h in zip(tables, have, strict=True)):
            found.add(tuple(env[name] for name in order if name in kept))
    return found


@pytest.mark.parametrize("portion", [1, 3, 1 << 16])
@settings(max_examples=150)
@given(case=joins())
def test_tables_joined_at_once_have_the_rows_of_nested_loops(
    portion: int, case: tuple[list[str], list[list[tuple[int, ...]]], str, str]
) -> None:
    tables, rows, order, kept = case
    found = joined(tables, rows, order, kept, portion)
    assert set(found) == looped(tables, rows, order, kept)
    if order.startswith(kept):  # what is not kept comes last
        assert found == sorted(set(found))


@given(st.lists(st.tuples(IDS, IDS), max_size=30), st.lists(st.tuples(IDS, IDS), max_size=30))
def test_rows_of_a_pair_are_counted_before_they_are_made(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    def trie(rows: list[tuple[int, int]]) -> Trie:
        array = np.array(rows, np.int64).reshape(len(rows), 2)
        return Trie([array[:, 0], array[:, 1]])

    pairs = [(a, b) for a, b in product(set(left), set(right)) if a[0] == b[0]]
    assert paired_rows(trie(left), trie(right)) == len(pairs)


def test_a_trie_tells_its_bytes_before_and_after_it_was_joined() -> None:
    ids = np.arange(0, 2_000, 2, dtype=np.int64)
    trie = Trie([ids, ids])
    assert trie.size == 2 * 8_000 + 4_004
    assert joined_once(trie) == 1_000
    assert trie.size == 2 * 8_000 + 4_004 + 4_000  # the addresses of its first level


def joined_once(trie: Trie) -> int:
    join = GenericJoin([trie, trie], [[(0, 0), (1, 0)], [(0, 1), (1, 1)]], [True, True])
    return join.run(1 << 16, 1 << 16)[1]


@pytest.mark.parametrize("width", [3, 70, 1_000])
def test_ranges_that_are_asked_again_and_again_are_marked(width: int) -> None:
    # One first id with many below it, each of which has a few: all kinds of look-up, with close and with far ids.
    for step in (2, 1 << 40):
        below = [(0, n * step) for n in range(1, width + 1)]
        few = [(n * step, (n * 7 % width + 1) * step) for n in range(1, width + 1)]
        few += [(n * step, (n * 3 % (2 * width)) * step + 1) for n in range(1, width + 1)]
        rows: list[list[tuple[int, ...]]] = [[*below], [*few], [*below]]
        found = joined(["ab", "bc", "ac"], rows, "abc", "abc", 1 << 16)
        ends = {c for _, c in below}
        assert found == sorted((0, b, c) for b, c in few if c in ends)


# -- queries --

VALUES = st.sampled_from(
    [2001, 2002, 2003, 2004, 0, -1, 0.0, -0.0, 1.0, float("nan"), True, "a", Keyword("k"), 2**70]
)
NODES = st.sampled_from([2001, 2002, 2003, 2004])
FACTS = st.lists(st.tuples(NODES, st.sampled_from("xyz"), NODES | VALUES), min_size=8, max_size=30)
BODIES = (
    "[?a :x ?b] [?b :x ?c] [?a :x ?c]",
    "[?a :x ?b] [?b :y ?c] [?a :z ?c]",
    "[?a :x ?v] [?b :y ?v] [?a :z ?b]",
    "[?a :x ?v] [?b :y ?v] [?c :x ?v] [?a :z ?w] [?b :x ?w] [?c :y ?w]",
    "[?a :x ?b] [?b :x ?c] [?c :x ?d] [?d :x ?a]",
    "[?a :x ?b] [?a :y ?c] [?b :z ?d] [?c :x ?d]",
    "[?a :x ?b] [?b :y ?c] [?c :z ?a] [?a :y 2002]",
    "[?a :x ?b] [?b :y ?c] [?c :z ?a] [?c :x ?v] [?a :y ?w]",
    "[?a :x ?b] [?b :x ?c] [?a :x ?c] [(!= ?a ?c)]",
    "[?a :x ?b] [?b :x ?c] [?a :x ?c] (not [?c :y ?a])",
    "[?a ?p ?b] [?b ?p ?c] [?c ?p ?a]",
    "[?a ?p ?b] [?b ?r ?c] [?c ?s ?a] [?p :y ?r]",
    "[?a :x ?a] [?a :x ?b] [?b :x ?c] [?c :x ?a]",
    "[?a :x ?b ?t] [?b :y ?c ?t] [?c :z ?a ?t]",
    "[?a :x ?b] [?b :x ?c] [?c :x ?a] [$more ?a ?b]",
    "[$more ?a ?b] [$more ?b ?c] [$more ?c ?a]",
    "[$more ?a ?b] [$more ?b ?c ?d] [$more ?c ?a]",
    "[?a :x ?b] [$more ?b ?c] [?c :y ?a]",
    "[?a :x ?b] [?b :x ?c] [?c :x ?d] [?a :x ?c] [?a :x ?d] [?b :x ?d]",
    "(link ?a ?b) (link ?b ?c) (link ?c ?a)",
    "(link ?a ?b) [?b :z ?c] (link ?c ?a) (link ?a 2001)",
    "(around ?a ?b ?c)",
    "[?a :z ?x] (around ?a ?b ?c) (link ?c ?x)",
    "[?a :y ?b] (not [?b :x ?c] [?c :x ?d] [?d :x ?b])",
)
RULES = """[[(link ?a ?b) [?a :x ?b]] [(link ?a ?b) [?b :y ?a]]
            [(around ?a ?b ?c) [?a :x ?b] [?b :y ?c] [?a :z ?c]]
            [(around ?a ?b ?c) (link ?a ?b) (link ?b ?c) (link ?c ?a)]]"""
MANY: Any = edn.read(
    "{:x {:db/cardinality :db.cardinality/many} :y {:db/cardinality :db.cardinality/many}}"
)


def names_of(body: str) -> list[str]:
    """Return the variables of a body outside of its negation."""
    return list(dict.fromkeys(re.findall(r"\?\w+", body.split("(not", maxsplit=1)[0])))


def answers(query: str, *inputs: object) -> set[object]:
    found = rows_of(query, *inputs)
    with all_together():
        assert rows_of(query + " ", *inputs) == found  # another text has a plan of its own
    return found


def rows_of(query: str, *inputs: object) -> set[object]:
    """Return the exact keys of the rows of a query; not by `q`, in whose Set 0.0 is -0.0."""
    made = [
        column if isinstance(column, list) else column.tolist()
        for column in columns(query, *inputs)
    ]
    rows = list(map(exact_key, zip(*made, strict=True)))
    assert len(rows) == len(set(rows))
    return set(rows)


def naive(where: str, names: list[str], facts: Any, more: Any) -> set[object]:
    clauses: Any = edn.read(f"[{where}]")
    rules: Any = edn.read(RULES)
    found = Naive({"$": facts, "$more": more}, rules).answers(clauses, {}, set(names))
    return {exact_key(tuple(env[name] for name in names)) for env in found}


@settings(max_examples=150)
@given(
    facts=FACTS,
    more=st.lists(st.tuples(NODES, NODES, NODES) | st.tuples(NODES, NODES), max_size=12),
    body=st.sampled_from(BODIES),
    kept=st.integers(1, 6),
)
def test_a_cyclic_body_has_the_answers_of_the_naive_evaluator(
    facts: list[tuple[int, str, object]],
    more: list[tuple[int, ...]],
    body: str,
    kept: int,
) -> None:
    datoms = [Datom(e, Keyword(a), v, 1 << 40, True) for e, a, v in facts]
    database = Database.from_datoms(datoms, MANY)
    rows = [(d.e, d.a, d.v, d.tx, d.added) for d in database.datoms("eavt")]
    names = names_of(body)[:kept]
    query = f"[:find {' '.join(names)} :in $ $more % :where {body}]"
    assert answers(query, database, more, RULES) == naive(body, names, rows, more)


@settings(max_examples=60)
@given(
    transactions=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["db/add", "db/add", "db/retract"]),
                NODES,
                st.sampled_from("xyz"),
                NODES | st.sampled_from([0, -1, "a"]),
            ),
            min_size=1,
            max_size=8,
        ),
        min_size=1,
        max_size=5,
    ),
    body=st.sampled_from(BODIES[:14]),
    view=st.sampled_from(["now", "as of", "since", "history"]),
)
def test_points_in_time_and_the_history_have_their_own_cycles(
    transactions: list[list[tuple[str, int, str, object]]], body: str, view: str
) -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    many = "[{:db/ident :x :db/cardinality :db.cardinality/many}]"
    schema: Any = edn.read(many)
    stream.transact(schema)
    first = stream.t
    for items in transactions:
        stream.transact([(Keyword(verb), e, Keyword(a), v) for verb, e, a, v in items])
    middle = (first + stream.t) // 2
    database = {
        "now": stream.db(),
        "as of": stream.db().as_of(middle),
        "since": stream.db().since(middle),
        "history": stream.db().history(),
    }[view]
    rows = [(d.e, d.a, d.v, d.tx, d.added) for d in database.datoms("eavt")]
    names = names_of(body)
    query = f"[:find {' '.join(names)} :in $ $more % :where {body}]"
    assert answers(query, database, [], RULES) == naive(body, names, rows, [])


@settings(max_examples=60)
@given(
    left=st.lists(st.tuples(NODES, NODES), max_size=14),
    right=st.lists(st.tuples(NODES, NODES), max_size=14),
    given_=st.lists(NODES, max_size=4),
)
def test_a_cycle_through_two_databases_and_inputs(
    left: list[tuple[int, int]], right: list[tuple[int, int]], given_: list[int]
) -> None:
    one, two = graph(*left), graph(*right)
    body = "[?a :edge ?b] [$two ?b :edge ?c] [?c :edge ?a]"
    expected = {
        exact_key((n, a, b, c))
        for (a, b), (b2, c), (c2, a2) in product(set(left), set(right), set(left))
        if b == b2 and c == c2 and a == a2
        for n in set(given_)
        if a in given_
    }
    query = f"[:find ?n ?a ?b ?c :in $ $two [?n ...] [?a ...] :where {body}]"
    assert answers(query, one, two, given_, given_) == expected


# -- the choice, as it is told --


def test_two_by_two_is_what_is_done_where_no_node_has_many_edges() -> None:
    ring = graph(
        *((n, n % 50 + 1) for n in range(1, 51)), *((n, (n + 1) % 50 + 1) for n in range(1, 51))
    )
    assert [step.clause for step in explain(TRIANGLES, ring)][1:] != []
    assert len(explain(TRIANGLES, ring)) == 3


def test_a_hub_is_joined_all_together_and_explained_so() -> None:
    database = hub(600)
    (step,) = explain(TRIANGLES, database)
    assert step.clause == TOGETHER
    assert step.rows == 1
    assert step.estimated is not None
    assert step.estimated <= 1_210**1.5  # no more rows can be in three times 1,202 edges
    assert sorted(q(TRIANGLES, database)) == [(1_000, 1, 100_000)]
    assert len(explain(TRIANGLES, database, written=True)) == 3


@pytest.mark.parametrize("spokes", [5, 100, 600])
def test_a_cycle_makes_no_more_rows_than_its_clauses_as_they_are_written(spokes: int) -> None:
    database = hub(spokes)
    for query in (TRIANGLES, SQUARES):
        planned, written = (
            sum(step.rows for step in explain(query, database, written=as_written))
            for as_written in (False, True)
        )
        assert planned <= written
        assert q(query, database) == q(query, database, written=True)


def test_a_cycle_is_joined_anew_after_a_transaction() -> None:
    database = hub(300)
    assert len(q(TRIANGLES, database)) == 1
    after = database.with_([(Keyword("db/add"), 1_001, Keyword("edge"), 100_001)]).db_after
    assert sorted(q(TRIANGLES, after)) == [(1_000, 1, 100_000), (1_001, 1, 100_001)]
    assert len(q(TRIANGLES, database)) == 1


def test_what_follows_a_cycle_is_explained_behind_it() -> None:
    database = hub(600)
    query = (
        "[:find ?a ?d :where [?a :edge ?b] [?b :edge ?c] [(< ?a ?c)] [?a :edge ?c] [?d :edge ?a]]"
    )
    reports = explain(query, database)
    assert reports[0].clause == TOGETHER
    assert [report.rows for report in reports] == [1, 0]


def test_a_rule_without_recursion_joins_its_cycle_together() -> None:
    rules = "[[(triangle ?a ?b ?c) [?a :edge ?b] [?b :edge ?c] [?a :edge ?c]]]"
    query = "[:find ?a ?c :in $ % :where (triangle ?a ?b ?c)]"
    # Two by two makes 360,000 rows.
    found = q(query, hub(600), rules, budget=Budget(rows=20_000))
    assert list(found) == [(1_000, 100_000)]


def test_a_rule_is_not_answered_whole_for_a_cycle_from_one_node() -> None:
    rules = "[[(link ?a ?b) [?a :edge ?b]] [(link ?a ?b) [?b :edge ?a]]]"
    query = "[:find ?b ?c :in $ % ?a :where (link ?a ?b) (link ?b ?c) (link ?c ?a)]"
    edges = [(n, n + 1) for n in range(1, 3_000)] + [(1, 3)]
    # The whole rule has 6,000 answers.
    found = q(query, graph(*edges), rules, 1, budget=Budget(rows=400))
    assert sorted(found) == [(2, 3), (3, 2)]


def test_a_plan_that_is_kept_does_not_try_in_vain_again() -> None:
    database = hub(600)
    assert len(columns(TRIANGLES, database)[0]) == 1
    # No room to try two by two any more, but enough for what all together makes.
    assert len(columns(TRIANGLES, database, budget=Budget(rows=5_000))[0]) == 1


# -- budgets --


def dense(nodes: int) -> Database:
    return graph(*((a, b) for a in range(1, nodes + 1) for b in range(1, nodes + 1) if a != b))


def test_a_budget_of_rows_ends_a_join_of_all() -> None:
    with pytest.raises(BudgetExceeded, match=r"more than 100000 rows, in \[\[\?a :edge \?b\]"):
        q(SQUARES, dense(60), budget=Budget(rows=100_000))


def test_a_budget_that_is_too_small_for_two_by_two_may_do_for_all_together() -> None:
    assert len(q(TRIANGLES, hub(600), budget=Budget(rows=4_000))) == 1
    assert len(q(TRIANGLES, hub(600), budget=Budget(memory=200_000))) == 1


def test_a_budget_of_memory_ends_a_join_of_all() -> None:
    with pytest.raises(BudgetExceeded, match="bytes of rows"):
        q(SQUARES, dense(60), budget=Budget(memory=1_000_000))


def test_a_budget_of_time_ends_a_join_of_all() -> None:
    with all_together(), pytest.raises(BudgetExceeded, match="seconds"):
        columns(SQUARES, dense(150), budget=Budget(seconds=0.05))


def test_a_join_of_all_is_called_off_from_another_thread() -> None:
    token = Cancellation()
    database = dense(150)
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with all_together(), pytest.raises(QueryCancelled):
        columns(SQUARES, database, budget=Budget(cancellation=token))
    timer.join()


def test_predicates_are_asked_portion_by_portion() -> None:
    query = SQUARES.replace("]]", "] [(< ?a ?b)] [(< ?b ?c)] [(< ?c ?d)]]")
    with all_together():
        # All squares are 12 million rows of 32 bytes; those in order are half a million.
        found = columns(query, dense(60), budget=Budget(memory=40_000_000))
    assert len(found[0]) == 60 * 59 * 58 * 57 // 24
