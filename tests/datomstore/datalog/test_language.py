"""Every form of the query language, each by one small query."""

from __future__ import annotations

from typing import Any

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import QueryError, q
from datomstore.datom import Datom
from datomstore.value import Keyword, Map, Set, Symbol

SCHEMA = """{:boss {:db/valueType :db.type/ref} :alias {:db/cardinality :db.cardinality/many}
             :email {:db/unique :db.unique/identity}}"""
FACTS = """[{:db/id 100 :db/ident :bio :db/valueType :db.type/string :db/fulltext true}
            {:db/id 1 :name "Ann" :age 40 :email "ann@x" :alias ["a" "an"] :score 1.5 :bio "green tea"}
            {:db/id 2 :name "Bob" :age 30 :boss 1 :alias "b" :score 2.5 :bio "coffee"}
            {:db/id 3 :name "Cid" :age 30 :boss 2 :score 0.5}
            {:db/id 4 :name "Dee" :boss 1 :pair [7 3]}]"""
RULES = "[[(above ?e ?b) [?e :boss ?b]] [(above ?e ?b) [?e :boss ?c] (above ?c ?b)]]"
NAME, AGE, BOSS = Keyword("name"), Keyword("age"), Keyword("boss")
ANN, BOB, CID, DEE = ("Ann",), ("Bob",), ("Cid",), ("Dee",)

RELATIONS: tuple[tuple[str, list[object], set[tuple[object, ...]]], ...] = (
    # shapes and inputs
    ("[:find ?n ?a :where [?e :name ?n] [?e :age ?a]]", [], {("Ann", 40), ("Bob", 30), ("Cid", 30)}),
    ("{:find [?n] :in [$ ?a] :where [[?e :name ?n] [?e :age ?a]]}", [40], {ANN}),
    ("[:find ?e :in $ [?n ?a] :where [?e :name ?n] [?e :age ?a]]", [("Ann", 40)], {(1,)}),
    ("[:find ?e :in $ [?n ...] :where [?e :name ?n]]", [["Ann", "Bob"]], {(1,), (2,)}),
    ("[:find ?e ?x :in $ [[?n ?x]] :where [?e :name ?n]]", [[("Ann", 1), ("Bob", 2)]], {(1, 1), (2, 2)}),
    ("[:find ?b :in $ % :where (above 3 ?b)]", [RULES], {(1,), (2,)}),
    ("[:find ?b :in $ % :where ($ above 3 ?b)]", [RULES], {(1,), (2,)}),
    ("[:find ?n ?p :in $ $pay :where [?e :name ?n] [$pay ?n ?p]]", [[("Ann", 5)]], {("Ann", 5)}),
    # patterns
    ('[:find ?a :where [_ ?a "Ann"]]', [], {(NAME,)}),
    ("[:find ?e ?v ?o :where [?e :age ?v ?t ?o]]", [], {(1, 40, True), (2, 30, True), (3, 30, True)}),
    ("[:find ?n :where [?e :name ?n 281474976710657]]", [], {ANN, BOB, CID, DEE}),
    ('[:find ?n :where [[:email "ann@x"] :name ?n]]', [], {ANN}),
    ("[:find ?n :in $ ?e :where [?e :name ?n]]", [(Keyword("email"), "ann@x")], {ANN}),
    ("[:find ?x ?y :where [?e :pair [?x ?y]]]", [], {(7, 3)}),
    ("[:find ?y :where [?e :pair [7 ?y]]]", [], {(3,)}),
    ("[:find ?a ?v :in $ ?e [?a ...] :where [?e ?a ?v]]", [1, [NAME, AGE]], {(NAME, "Ann"), (AGE, 40)}),
    # predicates and functions
    ("[:find ?n :where [?e :age ?a] [(> ?a 30)] [?e :name ?n]]", [], {ANN}),
    ("[:find ?n :where [?e :age ?a] [(< 30 ?a 41)] [?e :name ?n]]", [], {ANN}),
    ("[:find ?n :where [?e :score ?s] [(> ?s 1)] [?e :name ?n]]", [], {ANN, BOB}),
    ("[:find ?n ?d :where [?e :age ?a] [(* 2 ?a) ?d] [?e :name ?n] [(= ?d 80)]]", [], {("Ann", 80)}),
    ('[:find ?n :where [?e :name ?n] [(contains? #{"Ann"} ?n)]]', [], {ANN}),
    ("[:find ?n :where [?e :name ?n] [(missing? $ ?e :age)]]", [], {DEE}),
    ("[:find ?a :where [?e :boss 1] [(get-else $ ?e :age :none) ?a]]", [], {(30,), (Keyword("none"),)}),
    ("[:find ?a ?v :where [?e :boss 1] [(get-some $ ?e :score :boss) [?a ?v]]]", [],
     {(Keyword("score"), 2.5), (BOSS, 1)}),
    ("[:find ?x :where [(ground [1 2]) [?x ...]]]", [], {(1,), (2,)}),
    ("[:find ?x ?y :where [(ground [[1 2] [3 4]]) [[?x ?y]]]]", [], {(1, 2), (3, 4)}),
    ("[:find ?t :where [?e :age 40] [(tuple ?e 5) ?t]]", [], {((1, 5),)}),
    ("[:find ?x ?y :where [?e :pair ?p] [(untuple ?p) [?x ?y]]]", [], {(7, 3)}),
    # negation and alternatives
    ("[:find ?n :where [?e :name ?n] (not [?e :boss])]", [], {ANN}),
    ("[:find ?n :where [?e :name ?n] (not [?x :boss ?e])]", [], {CID, DEE}),
    ("[:find ?n :where [?e :name ?n] (not-join [?e] [?x :boss ?e] [?x :age 30])]", [], {CID, DEE}),
    ("[:find ?n :where [?e :name ?n] (or [?e :age 40] [?e :boss 2])]", [], {ANN, CID}),
    ("[:find ?n :where [?e :name ?n] (or-join [?e] [?e :age 40] (and [?e :boss ?b] [?b :boss _]))]", [],
     {ANN, CID}),
    ("""[:find ?n :where [?e :name ?n]
         (or-join [?e] (and [?e :boss ?b] (not [?b :boss]) (or [?b :age 40] [?b :age 41])))]""", [], {BOB, DEE}),
    ('[:find ?n :where [?e :name ?n] (or-join [[?n] ?e] [(= ?n "Ann")] [?e :boss 2])]', [], {ANN, CID}),
    # full text
    ('[:find ?e :where [(fulltext $ :bio "tea") [[?e]]]]', [], {(1,)}),
)  # fmt: skip
VALUES: tuple[tuple[str, list[object], object], ...] = (
    ("[:find [?n ...] :where [?e :boss 1] [?e :name ?n]]", [], ("Bob", "Dee")),
    ("[:find [?n ?a] :where [?e :email] [?e :name ?n] [?e :age ?a]]", [], ("Ann", 40)),
    ("[:find ?a . :where [1 :age ?a]]", [], 40),
    ("[:find ?a . :where [9 :age ?a]]", [], None),
    ("[:find [?n ?a] :keys name age :where [?e :email] [?e :name ?n] [?e :age ?a]]", [],
     Map([(NAME, "Ann"), (AGE, 40)])),
    ("[:find [?n ?a] :strs name age :where [?e :email] [?e :name ?n] [?e :age ?a]]", [],
     Map([("name", "Ann"), ("age", 40)])),
    ("[:find [?n ?a] :syms name age :where [?e :email] [?e :name ?n] [?e :age ?a]]", [],
     Map([(Symbol("name"), "Ann"), (Symbol("age"), 40)])),
    # aggregates
    ("[:find (count ?a) . :with ?e :where [?e :age ?a]]", [], 3),
    ("[:find (count ?a) . :where [?e :age ?a]]", [], 2),
    ("[:find (count-distinct ?a) . :with ?e :where [?e :age ?a]]", [], 2),
    ("[:find (distinct ?a) . :with ?e :where [?e :age ?a]]", [], Set([40, 30])),
    ("[:find (sum ?a) . :with ?e :where [?e :age ?a]]", [], 100),
    ("[:find (sum ?s) . :with ?e :where [?e :score ?s]]", [], 4.5),
    ("[:find (avg ?a) . :where [?e :age ?a]]", [], 35),
    ("[:find (avg ?s) . :where [?e :score ?s]]", [], 1.5),
    ("[:find (min ?s) . :where [?e :score ?s]]", [], 0.5),
    ("[:find (max ?n) . :where [?e :name ?n]]", [], "Dee"),
    ("[:find (min 2 ?a) . :where [?e :age ?a]]", [], (30, 40)),
    ("[:find (max 1 ?a) . :where [?e :age ?a]]", [], (40,)),
    ("[:find (median ?a) . :with ?e :where [?e :age ?a]]", [], 30),
    ("[:find (median ?s) . :where [?e :score ?s]]", [], 1.5),
    ("[:find (variance ?a) . :where [?e :age ?a]]", [], 25.0),
    ("[:find (stddev ?a) . :where [?e :age ?a]]", [], 5.0),
    ("[:find (frequencies ?a) . :with ?e :where [?e :age ?a]]", [], Map([(40, 1), (30, 2)])),
    ("[:find (aggregate ?f ?a) . :in $ ?f :with ?e :where [?e :age ?a]]", [lambda ages: sorted(ages)[-1]], 40),
    ("[:find (aggregate ?total ?a) . :in $ ?total :with ?e :where [?e :age ?a]]", ["sum"], 100),
    # pulls
    ("[:find (pull ?e [:name {:boss [:name]}]) . :where [?e :boss 2]]", [],
     Map([(NAME, "Cid"), (BOSS, Map([(NAME, "Bob")]))])),
    ("[:find (pull ?e [:name {:boss ...}]) . :where [?e :boss 2]]", [],
     Map([(NAME, "Cid"), (BOSS, Map([(NAME, "Bob"), (BOSS, Map([(NAME, "Ann")]))]))])),
    ("[:find (pull ?e [:name {:boss 1}]) . :where [?e :boss 2]]", [],
     Map([(NAME, "Cid"), (BOSS, Map([(NAME, "Bob")]))])),
    ("[:find (pull ?e [{:_boss [:name]}]) . :where [?e :age 40]]", [],
     Map([(Keyword("_boss"), (Map([(NAME, "Bob")]), Map([(NAME, "Dee")])))])),
    ("[:find (pull ?e [(:age :default 0) (:name :as :n) (:alias :limit 1) (:score :xform str)]) . :where [?e :age 40]]", [],
     Map([(AGE, 40), (Keyword("n"), "Ann"), (Keyword("alias"), ("a",)), (Keyword("score"), "1.5")])),
    ("[:find (pull ?e [(:age :default 0)]) . :where [?e :pair]]", [], Map([(AGE, 0)])),
    ("[:find (pull ?e [*]) . :where [?e :pair]]", [],
     Map([(Keyword("db/id"), 4), (BOSS, Map([(Keyword("db/id"), 1)])), (NAME, "Dee"), (Keyword("pair"), (7, 3))])),
    ("[:find (pull ?e ?p) . :in $ ?p :where [?e :age 40]]", ["[:name]"], Map([(NAME, "Ann")])),
    ("[:find (pull ?e pattern) . :in $ pattern :where [?e :age 40]]", ["[:name]"], Map([(NAME, "Ann")])),
    ("[:find (pull $ ?e [:name]) . :where [?e :age 40]]", [], Map([(NAME, "Ann")])),
    ("[:find (pull ?b [:name]) (count ?e) :where [?e :boss ?b]]", [],
     ((Map([(NAME, "Ann")]), 2), (Map([(NAME, "Bob")]), 1))),
)  # fmt: skip


def database() -> Database:
    empty = Database.empty(edn.read(SCHEMA))  # type: ignore[arg-type]
    return empty.with_(edn.read(FACTS)).db_after  # type: ignore[arg-type]


@pytest.mark.parametrize(("query", "inputs", "rows"), RELATIONS, ids=[row[0] for row in RELATIONS])
def test_a_form_finds_its_rows(
    query: str, inputs: list[object], rows: set[tuple[object, ...]]
) -> None:
    assert set(q(query, database(), *inputs)) == rows


@pytest.mark.parametrize(("query", "inputs", "value"), VALUES, ids=[row[0] for row in VALUES])
def test_a_form_gives_its_value(query: str, inputs: list[object], value: object) -> None:
    found = q(query, database(), *inputs)
    assert (Set(found) if query.startswith("[:find [?n ...]") else found) == (
        Set(value) if query.startswith("[:find [?n ...]") else value  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("find", ["(sample 2 ?e)", "(rand ?e)", "(rand 3 ?e)"])
def test_chance_is_that_of_a_seed(find: str) -> None:
    query = f"[:find {find} . :where [?e :name]]"
    assert q(query, database(), seed=5) == q(query, database(), seed=5)
    with pytest.raises(QueryError, match="seed"):
        q(query, database())


def test_an_aggregate_of_the_caller_fails_as_a_query_error() -> None:
    query = "[:find (aggregate ?f ?a) . :in $ ?f :where [?e :age ?a]]"
    with pytest.raises(QueryError, match="the aggregate failed: IndexError"):
        q(query, database(), lambda ages: ages[9])
    with pytest.raises(QueryError, match="an aggregate is a function"):
        q(query, database(), "no such thing")
    with pytest.raises(QueryError, match="no such aggregate in :in"):
        q("[:find (aggregate ?g ?a) . :in $ :where [?e :age ?a]]", database())


def test_history_is_asked_by_five_terms() -> None:
    later = database().with_(edn.read("[[:db/add 1 :age 41]]")).db_after.history()  # type: ignore[arg-type]
    rows = q("[:find ?v ?o :where [1 :age ?v _ ?o]]", later)
    assert set(rows) == {(40, True), (40, False), (41, True)}


def test_indexes_are_read_in_order() -> None:
    known = database()

    def ages(datoms: list[Datom]) -> list[tuple[int, object]]:
        return [(datom.e, datom.v) for datom in datoms]

    assert ages(list(known.datoms("avet", AGE))) == [(2, 30), (3, 30), (1, 40)]
    assert ages(list(known.index_range(AGE, 35))) == [(1, 40)]
    assert next(iter(known.seek_datoms("eavt", 4))).e == 4
    assert known.entity(3)[BOSS] == 2
    view: Any = known.lazy_entity(3)
    assert view[BOSS][BOSS][NAME] == "Ann"
