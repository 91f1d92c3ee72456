"""Joins of the kernel: against comprehensions, left and resumed at every row, and where they give up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.datalog import Budget, BudgetExceeded, q
from datomstore.datalog._kernel import TESTS, Join, JoinGivenUp, Table
from datomstore.intern import intern

Row = tuple[int, int]
# Small ids meet, wide ones leave 32 bits, odd ones stand for values.
IDS = st.sampled_from([0, 2, 4, 6, -2, 1 << 31, 1 << 33, -(1 << 40), (1 << 62) - 2, 7])
ROWS = st.lists(st.tuples(IDS, IDS), max_size=20)
PATHS = "[[(path ?a ?b) [?a ?b]] [(path ?a ?c) (path ?a ?b) [?b ?c]]]"


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(2)
    if rows:
        table.add([np.array([row[place] for row in rows], np.int64) for place in (0, 1)], len(rows))
    return table


def rows_of(table: Table) -> set[tuple[int, ...]]:
    return set(zip(*(table.column(place).tolist() for place in range(table.arity)), strict=True))


def finished(join: Join, rows: int, rows_max: int) -> None:
    join.begin(0, rows)
    while join.running:
        join.run(rows_max)


@pytest.mark.parametrize("rows_max", [1, 3, 1 << 20])
@settings(max_examples=100)
@given(left=ROWS, right=ROWS, without=ROWS)
def test_a_join_gives_what_a_comprehension_gives_wherever_it_is_left(
    rows_max: int, left: list[Row], right: list[Row], without: list[Row]
) -> None:
    first, second, third, head = table_of(left), table_of(right), table_of(without), Table(2)
    join = Join(
        [0, 0, 0],
        [
            ("scan", {"table": first, "unify": [(0, 0, True), (1, 1, True)]}),
            ("probe", {"table": second, "places": (0,), "registers": [1], "unify": [(1, 2, True)]}),
            ("distinct", {"registers": [0, 2]}),
            ("not", {"partner": 5}),
            ("probe", {"table": third, "places": (0, 1), "registers": [0, 2], "once": True}),
            ("end", {"partner": 3}),
            ("test", {"code": TESTS["not="], "a": 2, "b": 2 if not left else 0}),
            ("emit", {"table": head, "registers": [0, 2]}),
        ],
    )
    finished(join, first.count, rows_max)
    assert rows_of(head) == {
        (a, c)
        for a, b in left
        for b_, c in right
        if b == b_ and (a, c) not in set(without) and a != c
    }


@given(ROWS)
def test_a_repeated_variable_is_compared(rows: list[Row]) -> None:
    table, head = table_of(rows), Table(1)
    unify = [(0, 0, True), (1, 0, False)]
    join = Join(
        [0],
        [("scan", {"table": table, "unify": unify}), ("emit", {"table": head, "registers": [0]})],
    )
    finished(join, table.count, 1 << 20)
    assert rows_of(head) == {(a,) for a, b in rows if a == b}


@pytest.mark.parametrize("pair", [(intern(1.5), intern(2)), (intern((1,)), intern((2,)))])
def test_what_is_no_small_integer_is_left_to_the_general_way(pair: Row) -> None:
    table, head = table_of([(2, 4), pair]), Table(2)
    join = Join(
        [0, 0],
        [
            ("scan", {"table": table, "unify": [(0, 0, True), (1, 1, True)]}),
            ("test", {"code": TESTS["<"], "a": 0, "b": 1}),
            ("emit", {"table": head, "registers": [0, 1]}),
        ],
    )
    with pytest.raises(JoinGivenUp):
        finished(join, table.count, 1 << 20)
    assert rows_of(head) == {(2, 4)}  # found before, and right
    assert not join.running


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.sampled_from([1, -1, 2**40, -(2**31), 2**70, 0.5, "x", "y"])] * 2)))
def test_paths_through_nodes_of_any_kind(edges: list[tuple[object, object]]) -> None:
    found = {
        (repr(a), repr(b)) for a, b in q("[:find ?a ?b :in $ % :where (path ?a ?b)]", edges, PATHS)
    }
    wanted = {(repr(a), repr(b)) for a, b in edges}
    while more := {(a, d) for a, b in wanted for c, d in wanted if b == c} - wanted:
        wanted |= more
    assert found == wanted


def test_a_comparison_in_recursion_meets_integers_and_doubles() -> None:
    edges = [(1, 2), (2, 2.5), (2.5, 3), (3, 1)]
    rules = "[[(up ?a ?b) [?a ?b] [(< ?a ?b)]] [(up ?a ?c) (up ?a ?b) [?b ?c] [(< ?b ?c)]]]"
    answer = q("[:find ?a ?b :in $ % :where (up ?a ?b)]", edges, rules)
    assert {(a, b) for a, b in answer} == {
        (1, 2), (1, 2.5), (1, 3), (2, 2.5), (2, 3), (2.5, 3),
    }  # fmt: skip


def test_a_join_that_multiplies_ends_with_its_budget() -> None:
    edges = [(i, j) for i in range(60) for j in range(60)]
    rules = (
        "[[(far ?a ?b) [?a ?b]]"
        " [(far ?a ?z) (far ?a ?b) [?b ?c] [?c ?d] [?d ?e] [?e ?z] [(not= ?a ?c ?e)]]"
        " [(far ?a ?z) (far ?a ?b) [?b ?c] [?x ?y] [?y ?z]]]"
    )
    with pytest.raises(BudgetExceeded):
        q("[:find ?a ?b :in $ % :where (far ?a ?b)]", edges, rules, budget=Budget(rows=200_000))
