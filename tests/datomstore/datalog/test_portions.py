"""Heavy queries work in portions: they can be called off, bounded, and their memory comes back."""

from __future__ import annotations

import gc
import time
import tracemalloc

import pytest

from datomstore.database import Database
from datomstore.datalog import Budget, BudgetExceeded, Cancellation, QueryCancelled, q
from datomstore.datalog.limits import BATCH_ROWS, ROWS_PORTION
from datomstore.datom import Datom
from datomstore.value import Keyword

MANY = 3_000
PAIRS = "[:find (count ?e) . :with ?f :where [?e :number ?n] [?f :number ?m]]"
FEWER = "[:find (count ?s) . :with ?d :where [?e :number ?n] [?f :number ?m] [(+ ?n ?m) ?s] [(- ?n ?m) ?d]]"


class Watched(Cancellation):
    """Counts how often it is looked at, and may be called off at one of these times."""

    __slots__ = ("_cancelled", "at", "looks")

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.looks = 0
        super().__init__()

    @property
    def cancelled(self) -> bool:
        self.looks += 1
        return self.at is not None and self.looks > self.at

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._cancelled = value


def numbers(many: int = MANY) -> Database:
    return Database.from_datoms(
        [Datom(e, Keyword("number"), e, 1 << 40, True) for e in range(1, many + 1)]
    )


def test_a_product_is_made_in_parts_each_of_which_can_be_called_off() -> None:
    token = Watched()
    assert q(PAIRS, numbers(), budget=Budget(cancellation=token)) == MANY * MANY
    assert token.looks > MANY * MANY // BATCH_ROWS


def test_the_parts_of_a_product_are_the_whole_of_it() -> None:
    database = numbers(2_000)
    query = "[:find ?s :where [?e :number ?n] [?f :number ?m] [(+ ?n ?m) ?s]]"
    assert sorted(s for (s,) in q(query, database)) == list(range(2, 4_001))


def test_rows_of_a_result_are_made_in_portions() -> None:
    token = Watched()
    query = "[:find ?e ?n :where [?e :number ?n] [(< ?n 1000000)]]"
    many = 10 * ROWS_PORTION
    assert len(q(query, numbers(many), budget=Budget(cancellation=token))) == many
    assert token.looks >= 10


def test_the_memory_of_a_query_that_is_called_off_comes_back() -> None:
    database = numbers()
    q("[:find (count ?e) . :where [?e :number ?n]]", database)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(QueryCancelled):
            q(FEWER, database, budget=Budget(cancellation=Watched(at=12)))
        gc.collect()
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most - before > 8 * BATCH_ROWS, "it was in the middle of much"
    assert after - before < 1_000_000


def test_memory_is_bounded_by_the_parts_and_not_by_the_product() -> None:
    database = numbers()
    tracemalloc.start()
    try:
        q("[:find ?e . :where [?e :number ?n] [?f :number ?m] [(+ ?n ?m) ?s] [(< ?s 3)]]", database)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * 8 * BATCH_ROWS < 8 * 8 * MANY * MANY


@pytest.mark.parametrize("query", [PAIRS, "[:find ?e ?f :where [?e :number ?n] [?f :number ?m]]"])
def test_a_budget_of_bytes_ends_what_takes_more(query: str) -> None:
    with pytest.raises(BudgetExceeded, match="bytes of rows"):
        q(query, numbers(), budget=Budget(memory=10_000_000))


def test_a_budget_of_bytes_is_for_what_is_made_at_a_time() -> None:
    budget = Budget(memory=1_000_000)
    assert len(q("[:find ?e ?n :where [?e :number ?n]]", numbers(), budget=budget)) == MANY


def test_who_pays_is_told_of_all_rows_before_there_are_many_more() -> None:
    paid: list[int] = []
    assert q(PAIRS, numbers(), budget=Budget(pay=paid.append)) == MANY * MANY
    assert MANY * MANY <= sum(paid) < MANY * MANY * 1.1
    assert max(paid) <= BATCH_ROWS


def test_what_who_pays_raises_ends_the_query() -> None:
    left = 10_000

    def pay(rows: int) -> None:
        nonlocal left
        left -= rows
        if left < 0:
            raise TimeoutError

    started = time.process_time()
    with pytest.raises(TimeoutError):
        q(PAIRS.replace(":where", ":where [_ :number ?o]"), numbers(), budget=Budget(pay=pay))
    assert time.process_time() - started < 1


def test_functions_are_paid_by_what_they_are_given_and_make() -> None:
    rows = [(number,) for number in range(100)]
    query = "[:find (count ?d) . :in $ ?long :where [?n] [(str ?n ?long) ?d]]"
    paid = {}
    for size in (1, 100_000):
        told: list[int] = []
        assert q(query, rows, "x" * size, budget=Budget(pay=told.append, memory=1 << 30)) == 100
        paid[size] = sum(told)
    assert paid[100_000] - paid[1] > 2 * 100 * 100_000 // 64 * 0.99


def test_values_that_functions_make_count_as_memory_before_there_are_many() -> None:
    rows = [(number,) for number in range(1_000)]
    query = "[:find (count ?d) . :in $ ?long :where [?n] [(str ?n ?long) ?d]]"
    tracemalloc.start()
    with pytest.raises(BudgetExceeded, match="bytes of values"):
        q(query, rows, "x" * 1_000_000, budget=Budget(memory=1 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20
