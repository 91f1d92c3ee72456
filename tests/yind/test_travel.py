"""Agents between nodes: the right answer, exactly once, whoever dies when."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio
import trio.lowlevel
from fleet import Fleet, fleet
from writing import Gate

from capabilities.caveats import Verb
from datomstore.value import Keyword, Map
from protocol.limits import EPOCH_MAX

SUM = """
(let [n (fn [] (q '[:find (count ?e) . :where [?e :n _]] "facts"))]
  (+ (n) (do (hop! "beta") (n))))
"""


async def load(nodes: Fleet, **counts: int) -> None:
    for name, count in counts.items():
        data = tuple(Map({Keyword("n"): number}) for number in range(count))
        await nodes.ask(name, "stream.transact", stream="facts", data=data)


async def test_an_agent_hops_in_the_middle_of_an_expression(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes, alpha=3, beta=40)
        agent = await nodes.spawn("alpha", SUM, nodes.token())
        assert await _done(nodes, agent) == ("beta", "43")
        (hop,) = (await nodes.ask("alpha", "agent.hops", id=agent.hex()))["value"]
        assert (hop["from"], hop["to"], hop["epoch"]) == ("alpha", "beta", 1)
        assert hop["code_bytes"] > 0
        again = await nodes.spawn("alpha", SUM, nodes.token())
        assert await _done(nodes, again) == ("beta", "43")
        (hop,) = (await nodes.ask("alpha", "agent.hops", id=again.hex()))["value"]
        assert hop["code_bytes"] == 0, "a known program is not sent again"


async def _done(nodes: Fleet, agent: bytes, start: str = "alpha") -> tuple[str, str]:
    with trio.fail_after(30):
        place, row = await nodes.settled(start, agent)
    assert row["state"] == "done", (row["state"], row["reason"], row["fault"])
    return place, row["result"]


async def test_the_sum_is_right_when_the_source_dies_after_the_hop(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes, alpha=3, beta=40)
        agent = await nodes.spawn("alpha", SUM, nodes.token())
        await nodes.until("alpha", agent, "moved")
        await nodes.crash("alpha")
        assert await _done(nodes, agent, "beta") == ("beta", "43")


async def test_there_and_back_again(tmp_path: Path) -> None:
    source = """
    (loop [i 0 seen []]
      (if (= i 10)
        [seen (here)]
        (recur (inc i) (conj seen (hop! (if (even? i) "beta" "alpha"))))))
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        place, result = await _done(nodes, agent)
        assert place == "alpha"
        assert result == '[["beta" "alpha" ' + " ".join(['"beta" "alpha"'] * 4) + '] "alpha"]'


async def test_a_hop_to_nobody_is_an_error_the_agent_can_catch(tmp_path: Path) -> None:
    source = '(try (hop! "omega") (catch Exception e (ex-message e)))'
    async with fleet(tmp_path, "alpha") as nodes:
        assert "no node" in await nodes.result("alpha", source, nodes.token())


async def test_a_hop_to_a_dead_node_is_an_error_the_agent_can_catch(tmp_path: Path) -> None:
    source = '(try (hop! "beta") (catch Exception e [(here) (ex-message e)]))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await nodes.stop("beta")
        assert (await nodes.result("alpha", source, nodes.token())).startswith('["alpha"')


async def test_a_hop_without_the_right_pauses_the_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes, alpha=1)
        token = nodes.token((Verb.READ, "**"))
        agent = await nodes.spawn("alpha", SUM, token)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["denied_right"]) == ("paused", "migrate beta")


async def test_a_token_that_allows_no_more_hops_keeps_the_agent_here(tmp_path: Path) -> None:
    source = '[(hop! "beta") (hop! "alpha")]'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token((Verb.MIGRATE, "*"), hops=2)
        agent = await nodes.spawn("alpha", source, token)
        place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"]) == ("beta", "paused"), row["reason"]


async def test_a_person_moves_an_agent_in_mid_computation(tmp_path: Path) -> None:
    source = "(loop [i 0] (if (= i 20000000) [i (here)] (recur (inc i))))"
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
        assert await _done(nodes, agent, "beta") == ("beta", '[20000000 "beta"]')


async def test_many_agents_cross_at_once(tmp_path: Path) -> None:
    source = (
        '(loop [i 0] (if (= i 4) (here) (do (hop! (if (even? i) "beta" "alpha")) (recur (inc i)))))'
    )
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agents = [await nodes.spawn("alpha", source, nodes.token()) for _ in range(20)]
        for agent in agents:
            assert await _done(nodes, agent) == ("alpha", '"alpha"')


async def test_an_agent_of_the_last_epoch_cannot_travel_and_harms_nobody(tmp_path: Path) -> None:
    source = '(sleep 60000) (try (hop! "beta") (catch Exception e (ex-message e)))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        found = nodes.nodes["alpha"].agents.get(agent)
        assert found is not None
        assert found.wake is not None
        found.record.epoch = EPOCH_MAX
        found.wake()
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"]) == ("alpha", "done"), row["fault"]
        assert "journeys" in row["result"]


async def test_journeys_are_looked_at_while_something_is_written(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        agent = await nodes.spawn("alpha", '(hop! "beta")', nodes.token())
        await nodes.settled("alpha", agent)
        await nodes.until("alpha", agent, "moved")
        gate = Gate()
        alpha.agents.submit(lambda batch: gate.wait(), lambda error: None)
        await gate.reached.wait()
        try:
            with trio.fail_after(5):  # in a thread, so that a wait is seen
                hops = partial(alpha.migration.hops_of, agent)
                await trio.to_thread.run_sync(hops, abandon_on_cancel=True)
                look = partial(alpha.migration.forgetting._records, [agent])
                await trio.to_thread.run_sync(look, abandon_on_cancel=True)
        finally:
            gate.open()
