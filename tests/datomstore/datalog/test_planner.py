"""The planned order makes no more rows than the written one, or gives it up in time."""

from __future__ import annotations

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import Budget, BudgetExceeded, explain, q
from datomstore.datom import Datom
from datomstore.value import Keyword

PEOPLE = 600


def facts(*rows: tuple[int, str, object]) -> list[Datom]:
    return [Datom(e, Keyword(a), v, 1 << 40, True) for e, a, v in rows]


def people() -> Database:
    rows: list[tuple[int, str, object]] = []
    for e in range(1, PEOPLE + 1):
        rows += [(e, "name", f"name {e % 8}"), (e, "age", e % 50), (e, "boss", e // 10 + 1)]
        rows += [(e, "alias", f"alias {e % 11}"), (e, "alias", f"other {e % 13}")]
    schema = edn.read(
        "{:boss {:db/valueType :db.type/ref} :alias {:db/cardinality :db.cardinality/many}}"
    )
    return Database.from_datoms(facts(*rows), schema)  # type: ignore[arg-type]


QUERIES = (
    '[:find ?e ?a :where [?e :name "name 1"] [?e :age 20] [?e :alias ?a]]',
    '[:find ?e ?a :where [?e :alias ?a] [?e :age 20] [?e :name "name 1"]]',
    "[:find ?e ?n :where [?e :age ?a] [(< ?a 3)] [?e :name ?n]]",
    "[:find ?e ?n :where [?e :name ?n] [?e :age ?a] [(< ?a 3)]]",
    '[:find ?e ?b :where [?b :name "name 2"] [?e :boss ?b] [?e :age 7]]',
    '[:find ?e ?b :where [?e :boss ?b] [?e :age 7] [?b :name "name 2"]]',
    "[:find ?e ?f :where [?e :age 7] [?f :age 8] [?e :boss ?b] [?f :boss ?b]]",
    "[:find ?e ?f :where [?e :boss ?b] [?f :boss ?b] [?e :age 7] [?f :age 8]]",
    '[:find ?e :where (not [?e :alias "alias 3"]) [?e :age 20]]',
    '[:find ?e :where [?e :age 20] (not [?e :alias "alias 3"])]',
    '[:find ?e :where (or [?e :age 20] [?e :age 21]) [?e :name "name 1"]]',
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_planned_order_makes_no_more_rows_than_the_written_one(query: str) -> None:
    database = people()
    planned, written = (
        sum(step.rows for step in explain(query, database, written=as_written))
        for as_written in (False, True)
    )
    assert planned <= 1.2 * written + 10
    assert q(query, database) == q(query, database, written=True)


def hubs() -> Database:
    rows: list[tuple[int, str, object]] = [(e, "kind", Keyword("k")) for e in range(1, 301)]
    for e in range(1_001, 1_401):
        rows += [(e, "sort", Keyword("k")), (e, "number", e)]
    rows += [(e, "target", 1_001 if e == 2_001 else e) for e in range(2_001, 2_501)]
    return Database.from_datoms(facts(*rows))


HUBS = "[:find ?x ?e :where [?t :target ?n] [?e :number ?n] [?e :sort ?k] [?x :kind ?k]]"


def test_a_plan_whose_guess_was_far_off_gives_way_to_the_written_order() -> None:
    database = hubs()
    # Begun at the smallest pattern, it joins every ?x with every ?e.
    assert max(step.rows for step in explain(HUBS, database)) == 120_000
    found = q(HUBS, database, budget=Budget(rows=4_000))
    assert found == q(HUBS, database, written=True)


def test_a_query_that_is_too_much_in_any_order_still_ends() -> None:
    query = "[:find ?a ?b ?c :where [?a :kind ?k] [?b :sort ?k] [?c :kind ?k] [?c :kind ?l]]"
    with pytest.raises(BudgetExceeded):
        q(query, hubs(), budget=Budget(rows=1_000_000))
    with pytest.raises(BudgetExceeded, match="of one join"):
        q("[:find ?a ?b ?c :where [?a _ ?x] [?b _ ?y] [?c _ ?z]]", hubs())


def test_a_range_of_few_values_is_read_by_their_order() -> None:
    database = people()
    for query, first in (
        ("[:find ?e ?n :where [?e :name ?n] [?e :age ?a] [(< ?a 3)]]", "[?e :age ?a]"),
        ("[:find ?e ?n :where [?e :name ?n] [?e :age ?a] [(<= 48 ?a)]]", "[?e :age ?a]"),
    ):
        assert explain(query, database)[0].clause == first
        assert set(q(query, database)) == set(q(query, database, written=True))
    assert len(q("[:find ?e ?a :where [?e :age ?a] [(< 3 ?a)] [(< ?a 6)]]", database)) == 24
    assert not q("[:find ?e ?a :where [?e :age ?a] [(< ?a 3)] [(< 6 ?a)]]", database)


def test_a_range_over_other_numbers_too_is_compared_one_by_one() -> None:
    rows: list[tuple[int, str, object]] = [(e, "size", e) for e in range(1, 200)]
    rows += [(201, "size", 2.5), (202, "size", 1 << 70), (203, "size", 1.5)]
    database = Database.from_datoms(facts(*rows))
    found = q("[:find [?e ...] :where [?e :size ?s] [(< ?s 3)]]", database)
    assert sorted(found) == [1, 2, 201, 203]
    found = q("[:find [?e ...] :where [?e :size ?s] [(> ?s 198)]]", database)
    assert sorted(found) == [199, 202]
