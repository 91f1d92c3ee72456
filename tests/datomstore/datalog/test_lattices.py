"""Least and largest values in recursion, against walking all ways."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.datalog import Budget, BudgetExceeded, QueryError, derive, q

Road = tuple[int, int, float]
BODIES = {
    "left": "(dist ?a ?c ?e) [?c ?b ?w] [(+ ?e ?w) ?d]",
    "right": "[?a ?c ?w] (dist ?c ?b ?e) [(+ ?e ?w) ?d]",
    "both": "(dist ?a ?c ?e) (dist ?c ?b ?w) [(+ ?e ?w) ?d]",
}
SHORTEST = {
    name: f"[[(dist ?a ?b (min ?d)) [?a ?b ?d]] [(dist ?a ?b (min ?d)) {body}]]"
    for name, body in BODIES.items()
}
PLACES = st.integers(1, 7)
LENGTHS = st.integers(0, 20) | st.sampled_from([0.5, 1.25])
ROADS = st.lists(st.tuples(PLACES, PLACES, LENGTHS), min_size=1, max_size=20)


def shortest(roads: list[Road]) -> set[Road]:
    best: dict[tuple[int, int], float] = {}
    waiting = list(roads)
    while waiting:
        a, b, length = waiting.pop()
        if best.get((a, b), 1e9) > length:
            best[a, b] = length
            waiting += [(a, d, length + more) for c, d, more in roads if c == b]
    return {(a, b, length) for (a, b), length in best.items()}


@pytest.mark.parametrize("shape", SHORTEST)
@settings(max_examples=40)
@given(roads=ROADS, start=PLACES)
def test_shortest_ways_over_cycles_are_found(shape: str, roads: list[Road], start: int) -> None:
    rules = SHORTEST[shape]
    expected = shortest(roads)
    assert set(q("[:find ?a ?b ?d :in $ % :where (dist ?a ?b ?d)]", roads, rules)) == expected
    found = q("[:find ?b ?d :in $ % ?a :where (dist ?a ?b ?d)]", roads, rules, start)
    assert set(found) == {(b, d) for a, b, d in expected if a == start}
    assert set(derive(rules, ["dist"], roads)["dist"]) == expected


def test_a_value_that_is_told_is_compared_with_the_best() -> None:
    roads = [(1, 2, 3), (1, 2, 5)]
    query = "[:find ?b :in $ % ?d :where (dist 1 ?b ?d)]"
    assert set(q(query, roads, SHORTEST["left"], 3)) == {(2,)}
    assert not q(query, roads, SHORTEST["left"], 5)


def test_the_best_of_all_rows_needs_no_recursion() -> None:
    rules = "[[(longest (max ?n)) [_ ?n]] [(longest (max ?n)) [?n _]]]"
    assert (
        q("[:find ?n . :in $ % :where (longest ?n)]", [(1, "b"), ("d", "c"), (2, "a")][1:2], rules)
        == "d"
    )


def test_the_widest_way_is_as_wide_as_its_narrowest_part() -> None:
    rules = """[[(width ?a ?b (max ?w)) [?a ?b ?w]]
                [(width ?a ?b (max ?w)) (width ?a ?c ?x) [?c ?b ?y] [(min ?x ?y) ?w]]]"""
    roads = [(1, 2, 9), (2, 3, 4), (1, 3, 2), (3, 1, 7), (2, 1, 9)]
    assert q("[:find ?w . :in $ % :where (width 1 3 ?w)]", roads, rules) == 4


def test_a_bound_on_the_far_side_may_stand_in_recursion() -> None:
    near = SHORTEST["left"].replace("?d)) (dist", "?d)) [(< ?d 10)] (dist")
    roads = [(1, 2, 4), (2, 3, 4), (3, 4, 4)]
    assert set(q("[:find ?b ?d :in $ % :where (dist 1 ?b ?d)]", roads, near)) == {(2, 4), (3, 8)}


def test_rules_that_stand_on_the_best_see_only_the_best() -> None:
    far = "[(far ?b) (dist 1 ?b ?d) [(< 5 ?d)]]"
    roads = [(1, 3, 10), (1, 2, 1), (2, 3, 1), (3, 4, 9)]
    rules = f"{SHORTEST['left'][:-1]} {far}]"
    assert set(q("[:find ?b :in $ % :where (far ?b)]", roads, rules)) == {(4,)}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("(d ?a ?y) [(- 3 ?y) ?x]", "- may turn a better min into less"),
        ("(d ?b ?y) [?a ?b ?y] [(+ 1 ?y) ?x]", "a min is compared with what is there"),
        ("(d ?a ?x) [(< 3 ?x)]", "< may turn a better min into less"),
        ("(d ?a ?x) (d ?b ?x)", "a min is compared with another value"),
        ("(d ?b 3) [?a ?b ?x]", "a min or max is compared with a constant"),
        ("(d ?a ?x) (not [?a ?x])", "a min is compared with what is there"),
    ],
)
def test_what_may_turn_better_into_less_is_refused(body: str, message: str) -> None:
    rules = f"[[(d ?a (min ?x)) [?a _ ?x]] [(d ?a (min ?x)) {body}]]"
    with pytest.raises(QueryError, match=message) as error:
        q("[:find ?a ?x :in $ % :where (d ?a ?x)]", [(1, 2, 3)], rules)
    assert error.value.code == "query/order-in-cycle"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("[[(d (min ?a) (max ?b)) [?a ?b]]]", "one argument of a rule may be a min or max"),
        ("[[(d (min ?a)) [?a]] [(d ?a) [?a]]]", "rule d has another min or max elsewhere"),
        ("[[(d ?a (min ?b)) [?a]]]", "nothing binds"),
    ],
)
def test_a_head_that_cannot_be_is_refused(rules: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        q(
            "[:find ?a :in $ % :where (d ?a)]"
            if "?a)) " in rules
            else "[:find ?a ?b :in $ % :where (d ?a ?b)]",
            [(1, 2)],
            rules,
        )


def test_values_that_cannot_be_compared_are_an_error() -> None:
    with pytest.raises(QueryError) as error:
        q("[:find ?x . :in $ % :where (d ?x)]", [(1,), ("a",)], "[[(d (min ?x)) [?x]]]")
    assert error.value.code == "query/function"


def test_a_largest_value_that_grows_without_end_spends_its_budget() -> None:
    rules = "[[(d ?a ?b (max ?n)) [?a ?b ?n]] [(d ?a ?b (max ?n)) (d ?a ?c ?m) [?c ?b ?w] [(+ ?m ?w) ?n]]]"
    with pytest.raises(BudgetExceeded):
        q("[:find ?n :in $ % :where (d 1 1 ?n)]", [(1, 1, 1)], rules, budget=Budget(rows=10_000))
