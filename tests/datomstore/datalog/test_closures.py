"""Closures over nodes whose ids lie close together, far apart, or on either side of zero."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.datalog import Budget, BudgetExceeded, q
from datomstore.datalog._kernel import Table

Edge = tuple[Any, Any]
SHAPES = {
    "left": "[[(p ?a ?b) [?a ?b]] [(p ?a ?b) (p ?a ?c) [?c ?b]]]",
    "right": "[[(p ?a ?b) [?a ?b]] [(p ?a ?b) [?a ?c] (p ?c ?b)]]",
    "both": "[[(p ?a ?b) [?a ?b]] [(p ?a ?b) (p ?a ?c) (p ?c ?b)]]",
    "turn": "[[(p ?a ?b) [?a ?b]] [(p ?a ?b) (s ?a ?b)] [(s ?a ?b) (p ?a ?c) [?c ?b]]]",
    "filtered": """[[(p ?a ?b) [?a ?b]] [(p ?a ?b) (p ?a ?c) (not (none ?c)) [?c ?b]]
                    [(none ?x) [?x _] [(ground 1) ?y] [(= ?x ?y)] [(!= ?x ?y)]]]""",
}
SPREADS = {
    "close": st.integers(-4, 8),
    "far": st.integers(-4, 4).map(lambda n: n << 40),
    "wide": st.sampled_from([0, 1, -1, 2**61, -(2**61), 2**31, -(2**31), 5, 7]),
    "mixed": st.sampled_from([0, 1, "a", "b", 0.5, None, 1 << 70, 3, 4]),
}


def closure(edges: set[Edge]) -> set[Edge]:
    found = set(edges)
    while True:
        more = {(a, d) for (a, b), (c, d) in product(found, edges) if b == c} - found
        if not more:
            return found
        found |= more


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spread", SPREADS)
@settings(max_examples=6)
@given(data=st.data())
def test_closures_are_complete(shape: str, spread: str, data: st.DataObject) -> None:
    nodes = SPREADS[spread]
    edges = data.draw(st.sets(st.tuples(nodes, nodes), min_size=1, max_size=14))
    expected = closure(edges)
    rules, given_edges = SHAPES[shape], sorted(edges, key=str)
    assert set(q("[:find ?a ?b :in $ % :where (p ?a ?b)]", given_edges, rules)) == expected
    start = given_edges[0][0]
    ahead = q("[:find [?b ...] :in $ % ?a :where (p ?a ?b)]", given_edges, rules, start)
    assert set(ahead) == {b for a, b in expected if a == start}
    behind = q("[:find [?a ...] :in $ % ?b :where (p ?a ?b)]", given_edges, rules, start)
    assert set(behind) == {a for a, b in expected if b == start}


@pytest.mark.parametrize("shape", SHAPES)
def test_long_chains_and_wide_trees_are_walked_to_their_ends(shape: str) -> None:
    count = 60 if shape == "both" else 200
    chain = [(n, n + 1) for n in range(count)]
    query = "[:find (count ?b) . :in $ % :with ?a :where (p ?a ?b)]"
    assert q(query, chain, SHAPES[shape]) == count * (count + 1) // 2
    tree = [(n // 2, n) for n in range(2, 1 << 9)]
    depths = sum(n.bit_length() - 1 for n in range(2, 1 << 9))
    assert q(query, tree, SHAPES[shape]) == depths


@pytest.mark.parametrize("arity", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data())
def test_tables_of_any_width_hold_each_row_once(arity: int, data: st.DataObject) -> None:
    one = st.integers(-40, 40) | st.sampled_from([2**40, -(2**40), 2**61, -(2**61), 2**20])
    table, known = Table(arity), set[tuple[int, ...]]()
    if data.draw(st.booleans()):  # so many that bits are worth it
        bulk = [tuple((n * step) % 97 for step in (2, 3, 5)[:arity]) for n in range(600)]
        table.add([np.array(c, np.int64) for c in zip(*bulk, strict=True)], len(bulk))
        known |= set(bulk)
    for batch in data.draw(st.lists(st.lists(st.tuples(*[one] * arity), min_size=1), max_size=5)):
        columns = [np.array(column, np.int64) for column in zip(*batch, strict=True)]
        assert table.add(columns, len(batch)) == len(set(batch) - known)
        known |= set(batch)
    held = [table.column(place).tolist() for place in range(arity)]
    assert sorted(zip(*held, strict=True)) == sorted(known)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_tables_of_recursion_count_as_memory(shape: str) -> None:
    chain = [(n, n + 1) for n in range(400)]
    query = "[:find (count ?b) . :in $ % :with ?a :where (p ?a ?b)]"
    with pytest.raises(BudgetExceeded, match="more than 200000 bytes"):
        q(query, chain, SHAPES[shape], budget=Budget(memory=200_000))
