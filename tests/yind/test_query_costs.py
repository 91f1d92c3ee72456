"""What the queries of agents cost: fuel for their work, room in the agent's memory, and some of them at a time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from fleet import Fleet, fleet

import yind.effects
from capabilities.caveats import Resource
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from yind.limits import (
    EFFECT_FUEL_PART,
    EFFECT_PARTS_FREE,
    QUERY_FUEL_ONCE,
    QUERY_FUEL_ROW,
)

PRODUCT = """(let [r (vec (map vector (range {count})))]
  (q '[:find (count ?a) . :with ?b :in $a $b :where [$a ?a] [$b ?b]] r r))"""
TEXTS = """(let [r (vec (map vector (range 100))) long (apply str (repeat 1000 "0123456789"))]
  (q '[:find (count ?d) . :in $a $b ?l :where [$a ?a] [$b ?b] [(str ?a "-" ?b ?l) ?d]] r r long))"""
MEGABYTES = 4 << 20


async def ended(nodes: Fleet, source: str, **fields: Any) -> Map:
    agent = await nodes.spawn("alpha", source, **fields)
    with trio.fail_after(30):
        return (await nodes.settled("alpha", agent))[1]


async def test_a_query_costs_fuel_in_proportion_to_its_work(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        less = await ended(nodes, PRODUCT.format(count=50))
        more = await ended(nodes, PRODUCT.format(count=500))
    assert more["result"] == "250000", more["fault"]
    assert less["fuel_used"] >= QUERY_FUEL_ONCE + 50 * 50 * QUERY_FUEL_ROW
    assert more["fuel_used"] >= QUERY_FUEL_ONCE + 500 * 500 * QUERY_FUEL_ROW


async def test_what_a_query_is_given_costs_fuel_though_it_finds_nothing(tmp_path: Path) -> None:
    given = "(vec (map #(vector % %) (range 10000)))"
    async with fleet(tmp_path, "alpha") as nodes:
        made = await ended(nodes, f"(count {given})")
        row = await ended(nodes, f"(count (q '[:find ?a :in $ :where [$ ?a :none]] {given}))")
    assert row["result"] == "0"
    parts = 10_000 * 3
    as_effect = EFFECT_FUEL_PART * (parts - EFFECT_PARTS_FREE)
    assert row["fuel_used"] - made["fuel_used"] >= as_effect + QUERY_FUEL_ROW * parts


async def test_a_query_takes_no_more_than_the_fuel_that_is_left(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        for source in (PRODUCT.format(count=2_000), f"(try {TEXTS} (catch Exception e 0))"):
            row = await ended(nodes, source, fuel_max=50_000)
            assert (row["state"], row["reason"]) == ("paused", "fuel limit of 50000 reached")
            assert row["fuel_used"] == 50_000


async def test_a_query_takes_the_fuel_of_budgets(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token(budget={Resource.FUEL: 100_000})
        agent = await nodes.spawn("alpha", PRODUCT.format(count=2_000), token)
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "paused"
        assert row["reason"].startswith("fuel:")


async def test_a_query_that_fails_has_cost_what_it_did(tmp_path: Path) -> None:
    failing = PRODUCT.format(count=300).replace("[$b ?b]]", '[$b ?b] [(subs "abc" ?b ?a) ?d]]')
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, f"(try {failing} (catch Exception e (ex-message e)))")
    assert "no such part" in row["result"]
    assert row["fuel_used"] > QUERY_FUEL_ROW * 300 * 300


async def test_values_that_a_query_makes_fit_in_the_agents_memory(tmp_path: Path) -> None:
    caught = f"(try {TEXTS} (catch Exception e (ex-message e)))"
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, caught, memory_max=MEGABYTES)
        assert "bytes of values" in row["result"], row
        row = await ended(nodes, TEXTS)
        assert row["result"] == "10000", row["fault"]


async def test_rows_of_a_query_fit_in_the_agents_memory(tmp_path: Path) -> None:
    product = PRODUCT.format(count=1_500).replace("(count ?a) . :with ?b", "?a ?b")
    caught = f"(try {product} (catch Exception e (ex-message e)))"
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, caught, memory_max=MEGABYTES)
    assert "bytes of rows" in row["result"], row


async def test_values_that_queries_leave_in_the_node_count_as_memory_of_the_agent(
    tmp_path: Path,
) -> None:
    source = """
    (loop [i 0]
      (let [text (apply str (cons (str i {salt}) (repeat 10000 "0123456789")))
            found (try (q '[:find (count ?t) . :in [?t ...]] [text])
                    (catch Exception e (ex-message e)))]
        (if (or (string? found) (= i 60)) [i found] (recur {next}))))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, source.format(salt='"a"', next="(inc i)"), memory_max=MEGABYTES)
        assert "values that are kept here" in row["result"], row
        row = await ended(nodes, source.format(salt='"b"', next="(inc i)"))
        assert row["result"] == "[60 1]"  # it has room for so many
        same = source.replace("(recur {next})", "(do (sleep 0) (recur (inc i)))")
        same = same.replace("(str i {salt})", '"always"')
        row = await ended(nodes, same, memory_max=MEGABYTES)
        assert row["result"] == "[60 1]"  # what is there already is not kept again


class Together:
    """Stands in for queries, and counts how many are answered at a time."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0
        self._lock = threading.Lock()

    def __call__(self, *_: object, **__: object) -> int:
        with self._lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
        time.sleep(0.2)
        with self._lock:
            self.now -= 1
        return 0


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Together:
    counted = Together()
    monkeypatch.setattr(yind.effects, "q", counted)
    return counted


async def test_as_many_queries_are_answered_at_a_time_as_there_are_processors(
    tmp_path: Path, together: Together
) -> None:
    many = 2 * (os.cpu_count() or 1) + 2
    async with fleet(tmp_path, "alpha") as nodes:
        asking = "(q '[:find ?a :in $ :where [$ ?a]] [[1]])"
        agents = [await nodes.spawn("alpha", asking) for _ in range(many)]
        for agent in agents:
            await nodes.settled("alpha", agent)
    assert together.all == many
    assert together.most <= (os.cpu_count() or 1)


@pytest.mark.parametrize("budget", [{Resource.ROWS: 0}, {Resource.BYTES: 0}], ids=str)
async def test_who_has_no_rows_left_reads_no_values_in_errors(
    tmp_path: Path, budget: dict[Resource, int]
) -> None:
    query = "[:find ?x :where [_ :secret ?v] [(inc ?v) ?x]]"
    unknown = "[:find ?x :where [_ :secret ?v] [(ink ?v) ?x]]"
    pulled = "[:find (pull ?v [:secret]) :where [_ :secret ?v]]"
    looked_up = "[:find (pull ?r [:secret]) :where [_ :secret ?v] [(vector :secret ?v) ?r]]"
    data = (Map({Keyword("secret"): "plum"}),)
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=data)
        poor, rich = nodes.token(budget=budget), nodes.token()
        for token, shown in ((poor, False), (rich, True)):
            source = f'(try (q \'{query} "facts") (catch Exception e (ex-message e)))'
            _, row = await nodes.settled("alpha", await nodes.spawn("alpha", source, token))
            assert ("plum" in row["result"], "(inc ?v)" in row["result"]) == (shown, True)
            async with nodes.connected("alpha", token) as channel:
                for verb in ("query", "query.follow"):
                    with pytest.raises(RemoteError, match=r"query/function.*\(inc \?v\)") as told:
                        await channel.request(verb, Map({"stream": "facts", "query": query}))
                    assert ("plum" in str(told.value)) is shown
                for telling in (pulled, looked_up):
                    with pytest.raises(RemoteError, match="query/") as told:
                        await channel.request("query", Map({"stream": "facts", "query": telling}))
                    assert ("plum" in str(told.value)) is shown
                with pytest.raises(RemoteError, match="ink"):
                    await channel.request("query", Map({"stream": "facts", "query": unknown}))
