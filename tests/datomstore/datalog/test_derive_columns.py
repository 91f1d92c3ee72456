"""All answers of rules as columns, and databases made of columns."""

from __future__ import annotations

import numpy as np
import pytest

from datomstore.database import Database
from datomstore.datalog import QueryError, derive, derive_columns, q
from datomstore.intern import intern, intern_many
from datomstore.value import Keyword

PARENT, NAME = Keyword("parent"), Keyword("name")
RULES = """[[(under ?a ?b) [?a :parent ?b]]
            [(under ?a ?c) [?a :parent ?b] (under ?b ?c)]
            [(called ?a ?name) [?a :name ?name]]
            [(nobody ?a) [?a :lost ?b]]]"""


def family() -> Database:
    """Return 3 -> 2 -> 1, and two names."""
    e = np.array([2, 3, 1, 2], np.int64) << 1
    a = np.array([intern(PARENT)] * 2 + [intern(NAME)] * 2, np.int64)
    v = np.concatenate([np.array([1, 2], np.int64) << 1, intern_many(["Ann", "Bob"])])
    return Database.from_columns(e, a, v, 7)


def test_facts_of_columns_are_facts() -> None:
    found = q("[:find ?e ?v ?tx :where [?e :name ?v ?tx]]", family())
    assert set(found) == {(1, "Ann", 7), (2, "Bob", 7)}
    assert (len(family()), family().basis_t) == (4, 7)


def test_integers_are_an_array_and_other_values_a_list() -> None:
    found = derive_columns(RULES, ["under", "called", "nobody"], family())
    child, parent = found["under"]
    assert sorted(zip(child.tolist(), parent.tolist(), strict=True)) == [(2, 1), (3, 1), (3, 2)]  # type: ignore[union-attr]
    assert isinstance(found["called"][1], list)
    assert [len(column) for column in found["nobody"]] == [0]


def test_columns_have_the_rows_that_derive_has() -> None:
    rows = derive(RULES, ["under", "called"], family())
    columns = derive_columns(RULES, ["under", "called"], family())
    for name, found in rows.items():
        assert sorted(zip(*map(list, columns[name]), strict=True)) == sorted(found)


def test_a_rule_that_is_not_there_is_refused() -> None:
    with pytest.raises(QueryError, match="no rule over"):
        derive_columns(RULES, ["over"], family())
