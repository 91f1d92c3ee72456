"""Rules of every shape of recursion against the naive evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise, product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datomstore.datalog import Budget, BudgetExceeded, QueryError, columns, derive, q
from datomstore.value import Keyword, List, Set, Symbol, hash_key
from tests.datomstore.datalog.naive import Naive, opened, pattern_names
from tests.datomstore.datalog.programs import (
    DATABASE,
    VARIABLES,
    Row,
    database_of,
    facts_of,
    form,
    programs,
)

A, B, C, D = VARIABLES
EDGE = Keyword("a")
EXAMPLES = settings(max_examples=100)
Triples = list[tuple[int, Keyword, object]]


def dependencies(rules: Sequence[Row]) -> set[tuple[str, str, bool]]:
    """(caller, called, negated) for every call in the rules."""
    found: set[tuple[str, str, bool]] = set()
    for rule in rules:
        head = rule[0]
        assert isinstance(head, List)
        waiting = [(clause, False) for clause in rule[1:]]
        while waiting:
            clause, negated = waiting.pop()
            if isinstance(clause, List):
                kind, rest = opened(clause)
                if kind in ("p", "q", "r"):
                    found.add((repr(head[0]), kind, negated))
                elif kind in ("not", "or", "and"):
                    waiting += [(part, negated or kind == "not") for part in rest]
    return found


def reaches(edges: set[tuple[str, str, bool]], start: str, end: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        if name == end:
            return True
        fresh = {b for a, b, _ in edges if a == name} - seen
        seen |= fresh
        waiting += fresh
    return False


def negates_itself(rules: Sequence[Row]) -> bool:
    edges = dependencies(rules)
    reachable = {n for n in "pqr" if reaches(edges, "p", n)}
    return any(n and a in reachable and reaches(edges, b, a) for a, b, n in edges)


def naive(facts: list[Row], rules: Sequence[Row], where: Sequence[Row]) -> set[object]:
    names = set[str]().union(*(pattern_names(tuple(clause)) for clause in where))
    rows = Naive({"$": facts}, rules).answers(where, {}, names)
    return {hash_key(tuple(row[name] for name in sorted(names))) for row in rows}


def engine(facts: list[Row], rules: Sequence[Row], where: Sequence[Row]) -> set[object]:
    names = sorted(set[str]().union(*(pattern_names(tuple(clause)) for clause in where)))
    find: Row = (Keyword("find"), *map(Symbol, names), Keyword("in"), Symbol("$"), Symbol("%"))
    query, database, given_rules = (
        (*find, Keyword("where"), *where),
        database_of(facts),
        tuple(rules),
    )
    first, again = (q(query, database, given_rules) for _ in range(2))  # then by the plan it kept
    assert isinstance(first, Set)
    assert first == again
    return {hash_key(row) for row in first}


CALLS = [
    [form("p", A, B)],
    [form("p", 1, B)],
    [form("p", A, 2)],
    [(A, EDGE, 1), form("p", A, B)],
    [(B, EDGE, C), form("p", A, B), form("q", B, D)],
    [form("p", A, A)],
    [(A, EDGE, B), form("not", form("p", A, B))],
    [(A, Keyword("b"), B), form("or", form("p", A, B), form("r", B, A))],
]


@settings(max_examples=100)
@given(DATABASE, programs(), st.sampled_from(CALLS))
def test_any_program_has_the_naive_answer(
    triples: Triples, rules: list[Row], where: list[Row]
) -> None:
    facts = facts_of(triples)
    if any(
        isinstance(clause, List) and clause[0] in (Symbol("q"), Symbol("or")) for clause in where
    ):
        edges = dependencies(rules)
        assume(not any(n and reaches(edges, b, a) for a, b, n in edges))
    if negates_itself(rules):
        with pytest.raises(QueryError, match=r"depends on its own negation.*\(not ") as error:
            engine(facts, rules, where)
        assert error.value.code == "query/negation-in-cycle"
    else:
        assert engine(facts, rules, where) == naive(facts, rules, where)


SHAPES = {
    "left": "[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) (p ?a ?c) [?c :a ?b]]]",
    "right": "[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) [?a :a ?c] (p ?c ?b)]]",
    "non-linear": "[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) (p ?a ?c) (p ?c ?b)]]",
    "mutual": """[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) [?a :a ?c] (q ?c ?b)]
                  [(q ?a ?b) [?a :a ?b]] [(q ?a ?b) [?a :a ?c] (p ?c ?b)]]""",
    "turned": """[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) [?c :a ?b] (q ?c ?a)]
                  [(q ?b ?a) [?a :a ?b]] [(q ?b ?a) [?a :a ?c] (p ?c ?b)]]""",
    "through or": "[[(p ?a ?b) (or-join [?a ?b] [?a :a ?b] (and (p ?a ?c) [?c :a ?b]))]]",
    "both ends": """[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) [?a :a ?c] (p ?c ?b)]
                     [(p ?a ?b) (p ?a ?c) [?c :a ?b]]]""",
    "backwards": "[[(p ?a ?b) [?a :a ?b]] [(p ?a ?b) [?c :a ?b] (p ?a ?c)]]",
}
CALLERS = [
    "[:find ?x ?y :in $ % :where (p ?x ?y)]",
    "[:find ?x ?y :in $ % [?x ...] :where (p ?x ?y)]",
    "[:find ?x ?y :in $ % [?y ...] :where (p ?x ?y)]",
    "[:find ?x ?y :in $ % [[?x ?y]] :where (p ?x ?y)]",
    "[:find ?x ?y :in $ % [?x ...] :where [_ :a ?y] (not-join [?x ?y] (p ?x ?y))]",
]


def closure(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    found = set(pairs)
    while True:
        more = {(a, d) for (a, b), (c, d) in product(found, pairs) if b == c} - found
        if not more:
            return found
        found |= more


@pytest.mark.parametrize("shape", SHAPES)
@given(
    st.sets(st.tuples(st.integers(1, 7), st.integers(1, 7)), max_size=12),
    st.sets(st.integers(1, 7), min_size=1, max_size=3),
)
@settings(max_examples=25)
def test_every_shape_closes_the_graph(
    shape: str, pairs: set[tuple[int, int]], some: set[int]
) -> None:
    database = database_of(facts_of([(a, EDGE, b) for a, b in sorted(pairs)]))
    rules, paths = SHAPES[shape], closure(pairs)
    both = [(x, y) for x in sorted(some) for y in sorted(some)]
    assert set(q(CALLERS[0], database, rules)) == paths
    assert set(q(CALLERS[1], database, rules, some)) == {p for p in paths if p[0] in some}
    assert set(q(CALLERS[2], database, rules, some)) == {p for p in paths if p[1] in some}
    assert set(q(CALLERS[3], database, rules, both)) == paths & set(both)
    ends = {b for _, b in pairs}
    apart = {(x, y) for x in some for y in ends} - paths
    assert set(q(CALLERS[4], database, rules, some)) == apart


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("caller", [1, 2, 4])
@given(
    st.sets(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=15),
    st.lists(st.sets(st.integers(1, 9), min_size=1, max_size=9), min_size=2, max_size=5),
    st.integers(1, 60),
)
@settings(max_examples=10)
def test_a_kept_plan_knows_nothing_of_the_query_before(
    shape: str, caller: int, pairs: set[tuple[int, int]], asked: list[set[int]], rows: int
) -> None:
    facts = facts_of([(a, EDGE, b) for a, b in sorted(pairs)])
    database = database_of(facts)
    for some in asked:
        with suppress(BudgetExceeded):
            q(CALLERS[caller], database, SHAPES[shape], some, budget=Budget(rows=rows))
        kept = q(CALLERS[caller], database, SHAPES[shape], some)
        assert kept == q(CALLERS[caller], database_of(facts), SHAPES[shape], some)


def test_columns_of_an_answer_stay_when_its_plan_runs_again() -> None:
    database = database_of(facts_of([(n, EDGE, n + 1) for n in range(1, 6)]))
    query = "[:find ?y :in $ % ?x :where (p ?x ?y)]"
    (first,) = columns(query, database, SHAPES["right"], 1)
    (second,) = columns(query, database, SHAPES["right"], 4)
    assert sorted(first) == [2, 3, 4, 5, 6]
    assert sorted(second) == [5, 6]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "non-linear"])
@pytest.mark.parametrize("query", [CALLERS[0], "[:find ?y :in $ % :where (p 1 ?y)]"])
def test_a_recursion_ends_after_the_rounds_it_may_take(shape: str, query: str) -> None:
    database = database_of(facts_of([(n, EDGE, n + 1) for n in range(1, 101)]))
    for _ in range(2):  # the second time by the plan that was kept
        with pytest.raises(BudgetExceeded, match="more than 20 rounds of a recursion") as error:
            q(query, database, SHAPES[shape], budget=Budget(rounds=20))
        assert error.value.code == "query/budget"
        assert len(q(query, database, SHAPES[shape], budget=Budget(rounds=300))) >= 100


def test_rounds_that_double_what_is_found_are_few() -> None:
    database = database_of(facts_of([(n, EDGE, n + 1) for n in range(1, 101)]))
    assert len(q(CALLERS[0], database, SHAPES["non-linear"], budget=Budget(rounds=20))) == 5_050


def test_a_wide_graph_takes_few_rounds_of_many_rows() -> None:
    edges = facts_of([(a, EDGE, b) for a in range(1, 60) for b in range(100, 160)])
    answer = q(CALLERS[0], database_of(edges), SHAPES["right"], budget=Budget(rounds=2))
    assert len(answer) == 59 * 60


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cycle_of_three_is_complete(shape: str) -> None:
    database = database_of(facts_of([(1, EDGE, 2), (2, EDGE, 3), (3, EDGE, 1)]))
    everything = set(product((1, 2, 3), repeat=2))
    assert set(q(CALLERS[0], database, SHAPES[shape])) == everything
    answer = q("[:find [?y ...] :in $ % :where (p 1 ?y)]", database, SHAPES[shape])
    assert set(answer) == {1, 2, 3}


def ladder(levels: int) -> list[tuple[int, Keyword, object]]:
    """Two nodes a level, each with an edge to both of the next: 2 ** levels ways through."""
    rungs = [(2 * level, 2 * level + 1) for level in range(1, levels + 2)]
    return [(a, EDGE, b) for low, high in pairwise(rungs) for a in low for b in high]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_ladder_of_two_way_choices_is_climbed_at_once(shape: str) -> None:
    database = database_of(facts_of(ladder(16)))
    # There are 2 ** 16 ways; an evaluation that walks each of them makes more rows than this.
    budget = Budget(rows=30_000)
    answer = q("[:find [?y ...] :in $ % :where (p 2 ?y)]", database, SHAPES[shape], budget=budget)
    assert set(answer) == set(range(4, 36))


def test_a_ladder_of_patterns_does_not_count_the_ways() -> None:
    levels = 40
    clauses = " ".join(f"[?n{level} :a ?n{level + 1}]" for level in range(levels))
    database = database_of(facts_of(ladder(levels)))
    found = q(f"[:find [?n{levels} ...] :where {clauses}]", database, budget=Budget(rows=1_000_000))
    assert set(found) == {2 * levels + 2, 2 * levels + 3}


# -- functions in rules --

UP_TO = "[[(up ?n ?m) [(identity ?n) ?m]] [(up ?n ?m) [(< ?n 6)] [(inc ?n) ?k] (up ?k ?m)]]"
SUMS = """[[(cost ?a ?b ?c) [?a :a ?b] [(ground 1) ?c]]
           [(cost ?a ?b ?c) (cost ?a ?d ?i) [(< ?i 4)] [?d :a ?b] [(+ ?i 1) ?c]]]"""


@given(st.integers(-3, 9))
def test_rules_count_up_to_a_bound(start: int) -> None:
    found = q("[:find [?m ...] :in % ?n :where (up ?n ?m)]", UP_TO, start)
    assert set(found) == {start, *range(start, 7)}


@EXAMPLES
@given(st.sets(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=8), st.booleans())
def test_rules_make_new_values_within_a_bound(pairs: set[tuple[int, int]], told: bool) -> None:
    database = database_of(facts_of([(a, EDGE, b) for a, b in sorted(pairs)]))
    walks = {(a, b, 1) for a, b in pairs}
    for length in range(2, 5):
        walks |= {
            (a, c, length) for a, b, n in walks if n == length - 1 for d, c in pairs if d == b
        }
    start = " :where (cost 1 ?b ?c)]" if told else " :where (cost ?a ?b ?c)]"
    found = q(
        ("[:find ?b ?c :in $ %" if told else "[:find ?a ?b ?c :in $ %") + start, database, SUMS
    )
    wanted = {(b, n) for a, b, n in walks if a == 1} if told else walks
    assert set(found) == wanted


def test_rules_that_count_for_ever_end_with_the_budget() -> None:
    rules = "[[(up ?n ?m) [(inc ?n) ?m]] [(up ?n ?m) [(inc ?n) ?k] (up ?k ?m)]]"
    query = "[:find ?m :in % :where (up 0 ?m)]"
    with pytest.raises(BudgetExceeded, match="more than 5000 rows"):
        q(query, rules, budget=Budget(rows=5_000))
    with pytest.raises(BudgetExceeded, match=r"more than 0\.1 seconds"):
        q(query, rules, budget=Budget(seconds=0.1))


# -- demand --


def chains(count: int, length: int) -> list[tuple[int, Keyword, object]]:
    return [
        (start + i, EDGE, start + i + 1)
        for start in range(1, count * (length + 1), length + 1)
        for i in range(length)
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("call", ["(p 1 ?y)", "(p ?y 12)", "(p 1 12) [(ground 1) ?y]"])
def test_a_call_with_a_bound_argument_reads_what_it_can_reach(shape: str, call: str) -> None:
    database = database_of(facts_of(chains(count=100, length=11)))
    answer = q(f"[:find [?y ...] :in $ % :where {call}]", database, SHAPES[shape])
    q(f"[:find [?y ...] :in $ % :where {call}]", database, SHAPES[shape], budget=Budget(rows=3_000))
    wanted = {"(p 1 ?y)": set(range(2, 13)), "(p ?y 12)": set(range(1, 12))}
    assert set(answer) == wanted.get(call, {1})


def test_what_an_earlier_clause_binds_restricts_a_rule() -> None:
    triples = [*chains(count=100, length=11), (1, Keyword("b"), 7), (13, Keyword("b"), 7)]
    database = database_of(facts_of(triples))
    query = "[:find (count ?y) . :in $ % :where (p ?x ?y) [?x :b 7]]"
    assert q(query, database, SHAPES["right"], budget=Budget(rows=3_000)) == 22


def test_following_one_call_of_a_long_chain_takes_its_length_not_its_square() -> None:
    database = database_of(facts_of(chains(count=1, length=1_000)))
    query = "[:find (count ?y) . :in $ % :where (p 1 ?y)]"
    assert q(query, database, SHAPES["right"], budget=Budget(rows=20_000)) == 1_000
    assert q(query, database, SHAPES["left"], budget=Budget(rows=20_000)) == 1_000


@pytest.mark.parametrize("shape", SHAPES)
@given(
    st.sets(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=50, max_size=70),
    st.sets(st.integers(1, 30), min_size=9, max_size=12),
)
@settings(max_examples=6)
def test_more_calls_than_are_followed_untried_are_answered(
    shape: str, pairs: set[tuple[int, int]], some: set[int]
) -> None:
    database = database_of(facts_of([(a, EDGE, b) for a, b in sorted(pairs)]))
    paths = closure(pairs)
    answer = q(CALLERS[1], database, SHAPES[shape], some)
    assert set(answer) == {p for p in paths if p[0] in some}
    answer = q(CALLERS[2], database, SHAPES[shape], some)
    assert set(answer) == {p for p in paths if p[1] in some}


def test_calls_that_lead_apart_are_followed() -> None:
    database = database_of(facts_of(chains(count=100, length=40)))
    query = "[:find (count ?y) . :in $ % [?x ...] :with ?x :where (p ?x ?y)]"
    starts = range(1, 60 * 41, 41)
    assert q(query, database, SHAPES["right"], starts, budget=Budget(rows=30_000)) == 60 * 40


def test_calls_that_lead_through_one_another_are_asked_together() -> None:
    database = database_of(facts_of(chains(count=1, length=1_000)))
    root = "[[(root ?x ?r) [?x :a ?y] (root ?y ?r)] [(root ?x ?r) [_ :a ?x] (not [?x :a]) [(identity ?x) ?r]]]"
    query = "[:find (count ?x) . :in $ % [?x ...] :where (root ?x ?r)]"
    assert q(query, database, root, range(1, 200), budget=Budget(rows=100_000)) == 199


# -- many rules --


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("call", ["(r0 ?x ?y)", "(r0 1 ?y) [(ground 1) ?x]"])
def test_a_chain_of_2000_rules_is_answered(order: int, call: str) -> None:
    rules = [f"[(r{n} ?a ?b) (r{n + 1} ?a ?b)]" for n in range(2_000)]
    text = "[" + " ".join([*rules, "[(r2000 ?a ?b) [?a :a ?b]]"][::order]) + "]"
    database = database_of(facts_of([(1, EDGE, 2)]))
    assert q(f"[:find ?x ?y :in $ % :where {call}]", database, text) == Set([(1, 2)])


def test_a_chain_of_2000_negations_is_answered() -> None:
    rules = [f"[(r{n} ?a) [?a :a _] (not (r{n + 1} ?a))]" for n in range(2_000)]
    text = "[" + " ".join([*rules, "[(r2000 ?a) [?a :a _]]"]) + "]"
    database = database_of(facts_of([(1, EDGE, 2)]))
    assert q("[:find ?x :in $ % :where (r0 ?x)]", database, text) == Set([(1,)])


def test_a_chain_of_2000_rules_that_must_be_told_is_answered_or_refused() -> None:
    rules = [f"[(r{n} ?a) [(< ?a 5)] (r{n + 1} ?a)]" for n in range(2_000)]
    text = "[" + " ".join([*rules, "[(r2000 ?a) [(< ?a 9)]]"]) + "]"
    try:
        assert q("[:find ?x . :in [?x ...] % :where (r0 ?x)]", [1], text) == 1
    except QueryError as error:
        assert error.code == "query/depth"  # noqa: PT017 - either is right


def test_derive_answers_rules_whole() -> None:
    database = database_of(facts_of(chains(count=2, length=3)))
    found = derive(SHAPES["left"], ["p"], database)
    assert set(found["p"]) == closure({(a, b) for a, _, b in chains(count=2, length=3)})  # type: ignore[misc]


KEPT_AWAY = {  # by clauses that stand before the function
    "a rule of the same recursion": """
        [(small ?x) (value ?n ?x) [(integer? ?x)] [(< ?x 12)]]
        [(value ?n ?z) [?n :a ?m] (value ?m ?x) (small ?x) [(+ ?x 1) ?z]]""",
    "a rule beside it": """
        [(whole ?x) [_ :b ?x] [(integer? ?x)]]
        [(value ?n ?z) [?n :a ?m] (value ?m ?x) (whole ?x) [(+ ?x 1) ?z] [(< ?z 12)]]""",
    "two values": """
        [(small ?x) (value ?n ?x) [(integer? ?x)] [(< ?x 12)]]
        [(value ?n ?z)
         [?n :a ?m] (value ?m ?x) [?m :a ?k] (value ?k ?y) (small ?x) (small ?y) [(+ ?x ?y) ?z] [(< ?z 12)]]""",
}


@pytest.mark.parametrize("rules", KEPT_AWAY.values(), ids=KEPT_AWAY)
def test_derive_keeps_from_a_function_what_stands_before_it_keeps_away(rules: str) -> None:
    values = [(n, Keyword("b"), n if n % 3 else "text") for n in range(1, 40)]
    database = database_of(facts_of([*values, *((n, EDGE, n + 1) for n in range(1, 40))]))
    text = f"[[(value ?n ?x) [?n :b ?x]] {rules}]"
    asked = q("[:find ?n ?x :in $ % :where (value ?n ?x)]", database, text)
    assert Set(derive(text, ["value"], database)["value"]) == asked
    assert len(asked) > len(values)


def test_a_negation_in_a_rule_has_variables_of_its_own() -> None:
    """One that is not shared may have the name of one outside, which keeps its value."""
    database = database_of(facts_of([(1, EDGE, 2), (2, EDGE, 3), (4, EDGE, 4)]))
    rules = "[[(apart [?d ?b]) (not-join [] [?b :a ?b] [?b :a 1])]]"
    query = "[:find ?d ?b :in $ % [?d ...] [?b ...] :where (apart ?d ?b)]"
    assert q(query, database, rules, [1, 2], [5, 6]) == Set(product([1, 2], [5, 6]))


IN_TURN = "[(inc ?b) ?a] [(+ ?a ?a) ?b]"  # each waits for what the other one gives


@pytest.mark.parametrize(("name", "value"), [("?a", -1), ("?b", -2)])
@pytest.mark.parametrize("clauses", [IN_TURN, "[(+ ?a ?a) ?b] [(inc ?b) ?a]"])
def test_clauses_that_wait_for_each_other_go_on_from_what_is_given(
    clauses: str, name: str, value: int
) -> None:
    for where in (clauses, f"(or (and {clauses}))"):
        query = f"[:find ?a ?b :in {name} :where {where}]"
        assert q(query, value) == Set([(-1, -2)])
        assert not q(query, 7)


def test_a_rule_asks_for_one_variable_where_one_is_enough() -> None:
    rules = f"[[(half ?a ?b) {IN_TURN}]]"
    assert q("[:find ?y :in % ?x :where (half ?x ?y)]", rules, -1) == Set([(-2,)])
