"""A heavy query in a thread leaves the event loop its turn, and is called off from there."""

from __future__ import annotations

import pytest
import trio

from datomstore.database import Database
from datomstore.datalog import Budget, Cancellation, QueryCancelled, q
from datomstore.datom import Datom
from datomstore.value import Keyword

MANY = 6_000
HEAVY = (
    # a product of 36 million rows, of which none is left
    "[:find ?e . :where [?e :number ?n] [?f :number ?m] [(+ ?n ?m) ?s] [(< ?s 0)]]",
    # rows, values and sets of many
    "[:find ?e ?f ?n :where [?e :number ?n] [?e :third ?m] [?f :third ?m] [(< ?n 300)]]",
    # rules, derived in a loop of the kernel
    "[:find (count ?f) . :in $ % :where [?e :number 1] (up ?e ?f)]",
)
UP = "[[(up ?e ?f) [?e :next ?f]] [(up ?e ?f) (up ?e ?g) [?g :next ?f]]]"


def numbers() -> Database:
    facts = [
        Datom(e, Keyword(name), value, 1 << 40, True)
        for e in range(1, MANY + 1)
        for name, value in (("number", e), ("third", e % 3), ("next", e % MANY + 1))
    ]
    return Database.from_datoms(facts)


def _nothing() -> None:
    """Take a turn."""


@pytest.mark.parametrize("query", HEAVY)
async def test_the_loop_goes_on_while_a_query_runs(query: str) -> None:
    database, token, begun = numbers(), Cancellation(), trio.Event()
    given = (UP,) if "%" in query else ()
    ended: list[str] = []

    def work() -> None:
        trio.from_thread.run_sync(begun.set)
        try:
            while True:  # until it is called off
                q(query, database, *given, budget=Budget(cancellation=token))
        except QueryCancelled as error:
            ended.append(error.code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, work)
        await begun.wait()
        for _ in range(20):  # the loop and a thread of its own have their turns beside the query
            await trio.to_thread.run_sync(_nothing)
        assert not ended
        token.cancel()
    assert ended == ["query/cancelled"]
