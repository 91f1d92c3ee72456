"""Orders of clauses are kept with their query, for as long as sizes stay alike."""

from __future__ import annotations

import pytest

from datomstore.datalog import QueryError, explain, q

FEW, MANY = [(n,) for n in range(3)], [(n,) for n in range(500)]
QUERY = "[:find ?x :in $a $b :where [$a ?x] [$b ?x]]"


def firsts(*sources: list[tuple[int]]) -> str:
    return explain(QUERY, *sources)[0].clause


def test_the_smaller_side_goes_first_whatever_was_asked_before() -> None:
    assert firsts(FEW, MANY) == "[$a ?x]"
    assert firsts(MANY, FEW) == "[$b ?x]"
    assert firsts(FEW, MANY) == "[$a ?x]"


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    for left, right in ((FEW, MANY), (MANY, FEW), (FEW, FEW), ([], MANY), (MANY, [])):
        assert sorted(q(QUERY, left, right)) == sorted(set(left) & set(right))


def test_a_function_that_failed_keeps_the_order_of_the_text_to_itself() -> None:
    query = "[:find ?x :in $ :where [?x ?y] [?x ?z] [(< ?y 5)]]"
    assert sorted(q(query, [(1, 2), (2, 9)])) == [(1,)]
    with pytest.raises(QueryError, match=r"\[\(< \?y 5\)\]"):
        q(query, [(1, 2), (2, "nine")])
    assert sorted(q(query, [(1, 2), (2, 9)])) == [(1,)]
