"""Queries against the naive evaluator: joins, functions, negation, alternatives, inputs, sources, aggregates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.datalog import QueryError, q
from datomstore.value import Keyword, List, Set, Symbol, hash_key
from tests.datomstore.datalog.naive import (
    Env,
    Failed,
    Naive,
    Stuck,
    bound_rows,
    grouped,
    pattern_names,
    seen,
)
from tests.datomstore.datalog.programs import (
    ATTRIBUTES,
    DATABASE,
    EXACT,
    MIXED,
    SMALL,
    VARIABLES,
    Row,
    clauses,
    constants,
    database_of,
    facts_of,
    form,
    patterns,
    predicates,
    variables,
)

A, B, C, D = VARIABLES
DOTS = Symbol("...")
EXAMPLES = settings(max_examples=100)
STUCK = {"query/unbound", "query/or-variables"}
FAILED = {"query/function", "query/binding"}
Answer = set[object] | str


@st.composite
def wheres(draw: st.DrawFn, clause: st.SearchStrategy[Row]) -> list[Row]:
    """A body that mostly binds what it uses, in any order."""
    pairs = [(A, B), (C, D)][: draw(st.integers(0, 2))]
    anchors = [(e, draw(st.sampled_from(ATTRIBUTES)), v) for e, v in pairs]
    return draw(st.permutations([*anchors, *draw(st.lists(clause, min_size=1, max_size=3))]))


@st.composite
def finds(draw: st.DrawFn, where: Sequence[Row]) -> list[Symbol]:
    mentioned = sorted(set[str]().union(*(seen(clause) for clause in where))) or ["?a"]
    names = draw(st.lists(st.sampled_from(mentioned), min_size=1, max_size=2, unique=True))
    return [Symbol(name) for name in names]


def naive(
    sources: dict[str, list[Row]],
    find: Sequence[object],
    where: Sequence[Row],
    with_: Sequence[str] = (),
    inputs: Sequence[Env] = ({},),
    names: set[str] | None = None,
) -> Answer:
    """The rows of an answer by their keys; `stuck` or `failed` where the engine refuses."""
    names = names or set()
    wanted = {n for f in find for n in pattern_names(f[-1] if isinstance(f, List) else f)}
    wanted |= set(with_)
    try:
        if not Naive(sources).orderable(where, names, wanted | names, wanted):
            return "stuck"
        rows = [row for env in inputs for row in Naive(sources).answers(where, env, wanted | names)]
        return set(grouped(find, with_, rows))
    except Failed:
        return "failed"
    except Stuck:
        return "stuck"


def engine(query: Row, *inputs: object) -> Answer:
    try:
        found = q(query, *inputs)
    except QueryError as error:
        if error.code in STUCK:
            return "stuck"
        if error.code in FAILED:
            return "failed"
        raise
    assert isinstance(found, Set)
    return {hash_key(row) for row in found}


def agree(found: Answer, wanted: Answer) -> bool:
    """Whether an answer is right; a function that fails in the order of the text need not in another."""
    return found == wanted or (wanted == "failed" and found != "stuck")


def query(
    find: Sequence[object],
    where: Sequence[Row],
    inputs: Sequence[object] = (Symbol("$"),),
    with_: Sequence[object] = (),
) -> Row:
    parts: list[object] = [Keyword("find"), *find, Keyword("in"), *inputs]
    if with_:
        parts += [Keyword("with"), *with_]
    return (*parts, Keyword("where"), *where)


@EXAMPLES
@given(DATABASE, wheres(clauses()), st.data())
def test_any_query_has_the_naive_answer(
    triples: list[tuple[int, Keyword, object]], where: list[Row], data: st.DataObject
) -> None:
    facts = facts_of(triples)
    find = data.draw(finds(where))
    wanted = naive({"$": facts}, find, where)
    assert agree(engine(query(find, where), database_of(facts)), wanted)


@EXAMPLES
@given(MIXED, wheres(clauses(depth=1, values=SMALL + EXACT)), st.data())
def test_values_join_and_compare_exactly(
    triples: list[tuple[int, Keyword, object]], where: list[Row], data: st.DataObject
) -> None:
    facts = facts_of(triples)
    find = data.draw(finds(where))
    wanted = naive({"$": facts}, find, where)
    found = engine(query(find, where), database_of(facts))
    assert agree(found, wanted)


@EXAMPLES
@given(
    DATABASE,
    st.lists(st.tuples(constants, constants), max_size=6),
    wheres(clauses(sources=(None, "$other", "$pairs"), depth=1)),
    st.data(),
)
def test_clauses_read_the_source_they_name(
    triples: list[tuple[int, Keyword, object]],
    pairs: list[Row],
    where: list[Row],
    data: st.DataObject,
) -> None:
    facts = facts_of(triples)
    split = len(facts) // 2
    sources = {"$": facts[:split], "$other": facts[split:], "$pairs": pairs}
    find = data.draw(finds(where))
    names = [Symbol(name) for name in sources]
    found = engine(
        query(find, where, names), database_of(facts[:split]), database_of(facts[split:]), pairs
    )
    assert agree(found, naive(sources, find, where))


INPUTS: list[tuple[object, st.SearchStrategy[object]]] = [
    (A, constants),
    ((A, B), st.tuples(constants, constants)),
    ((A, DOTS), st.lists(constants, max_size=3).map(tuple)),
    (((A, B),), st.lists(st.tuples(constants, constants), max_size=3).map(tuple)),
    (
        ((A, Symbol("_"), B), DOTS),
        st.lists(st.tuples(constants, constants, constants), max_size=3).map(tuple),
    ),
    ((A, (B, DOTS)), st.tuples(constants, st.lists(constants, max_size=2).map(tuple))),
    ((A, A), st.tuples(constants, constants)),
]


@EXAMPLES
@given(DATABASE, wheres(clauses(depth=1)), st.sampled_from(INPUTS), st.data())
def test_inputs_of_every_form_bind(
    triples: list[tuple[int, Keyword, object]],
    where: list[Row],
    given_input: tuple[object, st.SearchStrategy[object]],
    data: st.DataObject,
) -> None:
    facts, (binding, values) = facts_of(triples), given_input
    value, find = data.draw(values), data.draw(finds(where))
    wanted = naive(
        {"$": facts}, find, where, (), list(bound_rows(binding, value, {})), pattern_names(binding)
    )
    found = engine(query(find, where, [Symbol("$"), binding]), database_of(facts), value)
    assert agree(found, wanted)


FILLER: list[Row] = [(1_000 + i, ATTRIBUTES[i % 2], 2_000 + i, 1, True) for i in range(80)]


@EXAMPLES
@given(DATABASE, wheres(patterns() | predicates()), st.data())
def test_few_look_ups_in_many_facts_find_the_same(
    triples: list[tuple[int, Keyword, object]], where: list[Row], data: st.DataObject
) -> None:
    facts = [*FILLER, *facts_of(triples)]
    find = data.draw(finds(where))
    values = data.draw(st.tuples(constants, constants))
    wanted = naive(
        {"$": facts}, find, where, (), [{"?a": values[0], "?d": values[1]}], {"?a", "?d"}
    )
    found = engine(query(find, where, [Symbol("$"), A, D]), database_of(facts), *values)
    assert agree(found, wanted)


AGGREGATES = ["count", "count-distinct", "sum", "min", "max", "avg"]


@EXAMPLES
@given(DATABASE, wheres(patterns()), st.sampled_from(AGGREGATES), st.data())
def test_aggregates_are_those_of_the_naive_groups(
    triples: list[tuple[int, Keyword, object]],
    where: list[Row],
    aggregate: str,
    data: st.DataObject,
) -> None:
    facts = facts_of(triples)
    find = [*data.draw(finds(where))[1:], form(aggregate, data.draw(variables))]
    with_ = data.draw(st.lists(variables, max_size=2, unique=True))
    wanted = naive({"$": facts}, find, where, [name.name for name in with_])
    found = engine(query(find, where, with_=with_), database_of(facts))
    assert agree(found, wanted)


@EXAMPLES
@given(DATABASE, wheres(clauses(depth=1)))
def test_every_shape_of_find_shows_the_same_rows(
    triples: list[tuple[int, Keyword, object]], where: list[Row]
) -> None:
    database = database_of(facts_of(triples))
    rows = engine(query([A, B], where), database)
    firsts = engine(query([A], where), database)
    if isinstance(rows, str) or isinstance(firsts, str):
        return
    collection = q(query([(A, DOTS)], where), database)
    assert isinstance(collection, tuple)
    assert len(collection) == len(firsts)
    assert {hash_key((value,)) for value in collection} == firsts
    one = q(query([(A, B)], where), database)
    assert one is None if not rows else hash_key(one) in rows
    scalar = q(query([A, Symbol(".")], where), database)
    assert scalar is None if not rows else hash_key((scalar,)) in firsts


@pytest.mark.parametrize("fact", ["[1 :a 2]", "[1 :a 2 _]", "[1 _ 2]", "[_ :a 2]"])
def test_a_choice_without_variables_is_true_or_not(fact: str) -> None:
    database = database_of(facts_of([(1, Keyword("a"), 2), (3, Keyword("b"), 4)]))
    for choice, rows in (
        (f"(or {fact})", [(3,)]),
        (f"(or {fact} [9 :b 9])", [(3,)]),
        ("(or [9 :a 9] [8 :b 9])", []),
    ):
        for where in (f"[?e :b ?v] {choice}", f"{choice} [?e :b ?v]"):
            assert q(f"[:find ?e :where {where}]", database) == Set(rows), (choice, where)
