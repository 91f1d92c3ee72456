"""Rows of a query as columns, and what is known about rows that are distinct."""

from __future__ import annotations

import numpy as np
import pytest

from datomstore.database import Database
from datomstore.datalog import Budget, QueryError, columns, q
from datomstore.datom import TX_BASE, Datom
from datomstore.value import Keyword, List, Set

TX = TX_BASE + 1


def _database(*facts: tuple[int, str, object]) -> Database:
    return Database.from_datoms([Datom(e, Keyword(a), v, TX, True) for e, a, v in facts])


def test_integers_come_as_arrays_and_other_values_as_lists() -> None:
    database = _database((1, "age", 7), (2, "age", 8), (1, "name", "a"), (2, "name", "b"))
    ages, names = columns("[:find ?age ?name :where [?e :age ?age] [?e :name ?name]]", database)
    assert isinstance(ages, np.ndarray)
    assert sorted(zip(ages.tolist(), names, strict=True)) == [(7, "a"), (8, "b")]


def test_columns_of_no_rows_are_empty() -> None:
    (found,) = columns("[:find ?e :where [?e :age 1]]", _database((1, "age", 7)))
    assert len(found) == 0


def test_rows_that_differ_in_what_is_not_asked_for_come_once() -> None:
    database = _database((1, "age", 7), (2, "age", 7), (3, "age", 8))
    (ages,) = columns("[:find ?age :where [?e :age ?age]]", database)
    assert sorted(ages) == [7, 8]
    assert q("[:find ?age :where [?e :age ?age]]", database) == Set([(7,), (8,)])


def test_facts_that_were_given_twice_are_found_once() -> None:
    database = _database((1, "age", 7), (1, "age", 7))
    assert len(q("[:find ?e ?age :where [?e :age ?age]]", database)) == 1


def test_a_list_and_an_equal_vector_are_one_row() -> None:
    database = _database((1, "of", (1, 2)), (2, "of", List((1, 2))))
    assert len(q("[:find ?v :where [_ :of ?v]]", database)) == 1


def test_a_set_of_distinct_rows_knows_its_members() -> None:
    found = q("[:find ?e ?age :where [?e :age ?age]]", _database((1, "age", 7), (2, "age", 8)))
    assert (1, 7) in found
    assert (1, 8) not in found
    assert found == Set([(2, 8), (1, 7)])
    assert hash(found) == hash(Set([(2, 8), (1, 7)]))


def test_columns_of_an_aggregate_are_refused() -> None:
    with pytest.raises(QueryError, match="columns are of variables"):
        columns("[:find (count ?e) :where [?e :age _]]", _database((1, "age", 7)))


def test_a_rule_that_is_asked_by_common_values_makes_no_more_rows_than_there_are_facts() -> None:
    nodes = range(2_000)
    database = _database(
        *((node, "name", "self") for node in nodes),
        *((node, "scope", node % 200) for node in nodes),
        *((node, "stores", True) for node in range(10)),
    )
    rules = """[[(in ?n ?s) [?n :scope ?s]]
                [(binds ?s ?x) [?n :name ?x] [?n :stores true] (in ?n ?s)]]"""
    query = "[:find ?s :in $ % [?s ...] :where [?n :scope ?s] [?n :name ?x] (not (binds ?s ?x))]"
    budget = Budget(rows=50_000)  # each scope by name would be 400,000
    found = q(query, database, rules, tuple(range(200)), budget=budget)
    assert found == Set((scope,) for scope in range(10, 200))


def test_totals_by_one_key_are_those_of_each_group() -> None:
    facts = [(e, "city", ("Bern", "Rome", "Oslo")[e % 3]) for e in range(30)]
    database = _database(*facts, *((e, "pay", e * e - 100) for e in range(30)))
    query = "[:find ?c (sum ?p) (avg ?p) (count ?e) :with ?e :where [?e :city ?c] [?e :pay ?p]]"
    pays = {place: [e * e - 100 for e in range(place, 30, 3)] for place in range(3)}
    assert q(query, database) == Set(
        (("Bern", "Rome", "Oslo")[place], sum(pay), sum(pay) / len(pay), len(pay))
        if sum(pay) % len(pay)
        else (("Bern", "Rome", "Oslo")[place], sum(pay), sum(pay) // len(pay), len(pay))
        for place, pay in pays.items()
    )


def test_sums_that_a_double_cannot_hold_stay_exact() -> None:
    database = _database(*((e, "city", "Bern") for e in (1, 2)), (1, "pay", 2**53), (2, "pay", 1))
    query = "[:find ?c (sum ?p) :with ?e :where [?e :city ?c] [?e :pay ?p]]"
    assert q(query, database) == Set([("Bern", 2**53 + 1)])
