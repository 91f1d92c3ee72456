"""Attributes that queries see otherwise than the facts have them."""

from __future__ import annotations

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import QueryError, explain, follow, q
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword

SCHEMA = """
[{:db/ident :road/to :db/cardinality :db.cardinality/many}
 {:db/ident :road/reaches :db/rule "[[(road/reaches ?a ?b) [?a :road/to ?b]]
                                     [(road/reaches ?a ?b) [?a :road/to ?c] (road/reaches ?c ?b)]]"}
 {:db/ident :road/loops :db/rule "[[(road/loops ?a ?yes) (back ?a) [(ground true) ?yes]]
                                   [(back ?a) [?a :road/reaches ?a]]]"}
 {:db/ident :town/size :db/reading {:large :city}}
 {:db/ident :town/name :db/reading name}]"""
FACTS = """[[:db/add 1 :road/to 2] [:db/add 2 :road/to 3] [:db/add 3 :road/to 2] [:db/add 4 :road/reaches 9]
            [:db/add 1 :town/size :city] [:db/add 2 :town/size :large] [:db/add 1 :town/name "Ulm"]]"""


def stream() -> Stream:
    made = Streams(MemoryStorage(), now_ms=lambda: 0).create("roads")
    made.transact(edn.read(SCHEMA))  # type: ignore[arg-type]
    made.transact(edn.read(FACTS))  # type: ignore[arg-type]
    return made


ANSWERS = [
    ("[:find ?b :where [1 :road/reaches ?b]]", {(2,), (3,)}),
    ("[:find ?a :where [?a :road/reaches 9]]", {(4,)}),  # a fact counts, too
    ("[:find ?a :where [?a :road/loops true]]", {(2,), (3,)}),
    ("[:find ?a :where [?a :road/loops]]", {(2,), (3,)}),
    ("[:find ?a :where [?a :road/to] (not [?a :road/loops true])]", {(1,)}),
    ("[:find ?a :where (or [?a :road/loops true] [?a :road/reaches 9])]", {(2,), (3,), (4,)}),
    ("[:find ?a ?b :where [?a :road/reaches ?b ?tx]]", {(4, 9)}),  # facts have transactions
    ("[:find ?a ?b :where [?a ?attribute ?b] [(= ?attribute :road/reaches)]]", {(4, 9)}),
    ("[:find ?a :where [?a :town/size :large]]", {(1,)}),
    ("[:find ?a ?s :where [?a :town/size ?s]]", {(1, Keyword("city")), (2, Keyword("large"))}),
    ("[:find ?a :where [?a :town/name (quote Ulm)]]", {(1,)}),
    ("[:find ?a :where [?a :town/name :Ulm]]", {(1,)}),
    ('[:find ?a :where [?a :town/name "Ulm"]]', {(1,)}),
]


@pytest.mark.parametrize(("query", "rows"), ANSWERS)
def test_a_pattern_of_a_derived_attribute_has_what_its_rules_derive(
    query: str, rows: set[tuple[object, ...]]
) -> None:
    assert set(q(query, stream().db())) == rows


def test_rules_that_are_given_see_derived_attributes() -> None:
    rules = "[[(round-trip ?a) [?a :road/reaches ?b] [?b :road/reaches ?a]]]"
    assert set(q("[:find ?a :in $ % :where (round-trip ?a)]", stream().db(), rules)) == {(2,), (3,)}


def test_a_database_without_the_rules_has_facts_only() -> None:
    known = Database.empty().with_(edn.read(FACTS)).db_after  # type: ignore[arg-type]
    assert set(q("[:find ?a ?b :where [?a :road/reaches ?b]]", known)) == {(4, 9)}


def test_the_rules_are_those_of_the_database_and_its_time() -> None:
    roads = stream()
    before = roads.db()
    roads.transact(
        edn.read(
            '[{:db/ident :road/reaches :db/rule "[[(road/reaches ?a ?b) [?a :road/to _] [(ground 7) ?b]]]"}]'
        )  # type: ignore[arg-type]
    )
    query = "[:find [?b ...] :where [1 :road/reaches ?b]]"
    assert sorted(q(query, before)) == [2, 3]
    assert q(query, roads.db()) == (7,)


def test_entities_under_an_attribute_come_in_the_order_of_another() -> None:
    facts = edn.read("[{:db/id 1 :at 2 :in 9} {:db/id 2 :at 1 :in 9} {:db/id 3 :at 0 :in 9}]")
    known = Database.empty().with_(facts).db_after  # type: ignore[arg-type]
    query = "[:find ?all . :where [(ordered $ 9 :_in :at) ?all]]"
    assert q(query, known) == (3, 2, 1)
    query = "[:find ?all . :where [(ordered $ 8 :_in :at) ?all]]"
    assert q(query, known) == ()


def test_what_was_done_is_told_in_the_words_of_the_query() -> None:
    (report,) = explain("[:find ?b :where [1 :road/reaches ?b]]", stream().db())
    assert report.clause == "[1 :road/reaches ?b]"


def test_a_followed_query_tells_what_is_derived_anew() -> None:
    roads = stream()
    query = "[:find ?b :where [1 :road/reaches ?b]]"
    heard: list[set[object]] = []
    subscription = follow(query, roads, lambda change: heard.append(set(change.added)))
    roads.transact(edn.read("[[:db/add 3 :road/to 5]]"))  # type: ignore[arg-type]
    assert heard[-1] == {(5,)}
    subscription.stop()


@pytest.mark.parametrize(
    ("rule", "code"),
    [("[[(road/x ?a ?b)", "query/syntax"), ("[[(road/x ?a ?b) [?a :y]]]", "query/unbound")],
)
def test_rules_that_mean_nothing_are_an_error_of_the_query(rule: str, code: str) -> None:
    known = Database.empty({Keyword("road/x"): {Keyword("db/rule"): rule}})
    with pytest.raises(QueryError) as caught:
        q("[:find ?a :where [?a :road/x ?b]]", known)
    assert caught.value.code == code


@pytest.mark.parametrize("properties", [":db/rule 5", ":db/reading 5", ":db/reading other"])
def test_what_is_no_rule_and_no_reading_is_refused(properties: str) -> None:
    roads = Streams(MemoryStorage(), now_ms=lambda: 0).create("roads")
    with pytest.raises(TransactionError):
        roads.transact(edn.read(f"[{{:db/ident :road/x {properties}}}]"))  # type: ignore[arg-type]
