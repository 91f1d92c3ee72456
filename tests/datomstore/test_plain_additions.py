"""Additions with nothing to resolve take a shorter way to the same facts."""

from __future__ import annotations

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.transactor import TransactionError
from datomstore.value import Keyword

ADD, NAME, TAGS, BEST = (Keyword(name) for name in ("db/add", "name", "tags", "best"))


def _database() -> Database:
    schema = """{:tags {:db/cardinality :db.cardinality/many} :best {:db/valueType :db.type/ref}
                 :size {:db/valueType :db.type/long}}"""
    return Database.empty(edn.read(schema))  # type: ignore[arg-type]


def _facts(database: Database) -> set[tuple[int, str, object]]:
    return {(d.e, d.a.name, d.v) for d in database.datoms() if d.a.name != "db/txInstant"}


def test_a_second_plain_value_replaces_the_first() -> None:
    after = _database().with_([(ADD, 5, NAME, "a"), (ADD, 5, NAME, "b")]).db_after
    assert _facts(after) == {(5, "name", "b")}


def test_what_is_not_plain_is_resolved_beside_plain_additions() -> None:
    items = [(ADD, 5, NAME, "a"), (ADD, 5, TAGS, "x"), (ADD, 5, TAGS, "y"), (ADD, 5, BEST, "new")]
    report = _database().with_([*items, (ADD, "new", NAME, "b")])
    made = report.tempids["new"]
    expected = {(5, "name", "a"), (5, "tags", "x"), (5, "tags", "y"), (5, "best", made)}
    assert _facts(report.db_after) == {*expected, (made, "name", "b")}


def test_a_new_entity_never_gets_the_number_of_a_plain_addition() -> None:
    report = _database().with_([(ADD, 1_000, NAME, "a"), (ADD, "new", NAME, "b")])
    assert report.tempids["new"] == 1_001


def test_a_plain_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(TransactionError, match="size"):
        _database().with_([(ADD, 5, Keyword("size"), 1), (ADD, 5, Keyword("size"), "big")])


def test_a_boolean_is_no_entity() -> None:
    with pytest.raises(TransactionError, match="entity"):
        _database().with_([(ADD, True, NAME, "a")])
