"""Agents start agents: with what their parents may, and with a share of what those have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from fleet import Fleet, fleet
from writing import NO_ROOM, Writing

from capabilities.caveats import Resource, Verb
from capabilities.tokens import Token
from datomstore.value import Keyword, Map
from yind.errors import HopRefused
from yind.luggage import Luggage, descent

COUNT = '(count (q \'[:find ?n :where [_ :n ?n]] "facts"))'


async def load(nodes: Fleet, *names: str) -> None:
    data = tuple(Map({Keyword("n"): number}) for number in range(10))
    for name in names:
        await nodes.ask(name, "stream.transact", stream="facts", data=data)


def purse(nodes: Fleet, **budget: int) -> Token:
    return nodes.token(budget={Resource[name.upper()]: n for name, n in budget.items()})


async def ended(nodes: Fleet, agent: bytes, start: str = "alpha") -> Map:
    with trio.fail_after(30):
        return (await nodes.settled(start, agent))[1]


async def child_of(nodes: Fleet, parent: bytes, start: str = "alpha") -> bytes:
    row = await ended(nodes, parent, start)
    assert row["state"] == "done", (row["reason"], row["fault"])
    return bytes.fromhex(row["result"].strip('"'))


async def test_a_child_ends_with_the_value_of_its_function(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes, "alpha")
        source = f"(let [x 5] (spawn! (fn [] [x {COUNT}])))"
        child = await child_of(nodes, await nodes.spawn("alpha", source, nodes.token()))
        row = await ended(nodes, child)
        assert (row["state"], row["result"]) == ("done", "[5 10]"), row["fault"]


async def test_a_child_that_throws_has_failed_and_its_parent_has_not(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        source = '(try (spawn! (fn [] (throw (ex-info "mine" {})))) (catch Exception e :caught))'
        child = await child_of(nodes, await nodes.spawn("alpha", source, nodes.token()))
        row = await ended(nodes, child)
        assert (row["state"], row["fault"]) == ("failed", "mine")


async def test_without_the_right_there_is_no_child(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        parent = await nodes.spawn("alpha", "(spawn! (fn [] 1))", nodes.token((Verb.READ, "**")))
        row = await ended(nodes, parent)
        assert (row["state"], row["denied_right"]) == ("paused", "spawn alpha")


async def test_children_cost_children(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        source = "[(spawn! (fn [] 1)) (spawn! (fn [] 2)) (spawn! (fn [] 3))]"
        parent = await nodes.spawn("alpha", source, purse(nodes, children=2))
        row = await ended(nodes, parent)
        assert "has 0 children left, not 1" in row["reason"]
        assert len(nodes.nodes["alpha"].agents) == 3


async def test_a_child_spends_its_share_and_leaves_the_rest(tmp_path: Path) -> None:
    source = f"""
    (let [kin [(spawn! (fn [] [{COUNT} {COUNT}]) {{:budget {{:rows 20}}}})
               (spawn! (fn [] (hop! "beta") [{COUNT} (hop! "alpha")]) {{:budget {{:rows 25}}}})]]
      (pr-str kin))
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes, "alpha", "beta")
        token = purse(nodes, rows=100)
        parent = await nodes.spawn("alpha", source, token)
        row = await ended(nodes, parent)
        assert row["state"] == "done", (row["reason"], row["fault"])
        kin = [agent.record for agent in nodes.nodes["alpha"].agents if agent.record.births]
        results = {(await ended(nodes, record.id))["result"] for record in kin}
        assert results == {"[10 10]", '[10 "alpha"]'}
        chain = nodes.nodes["alpha"].authority.verify_chain(nodes.delegate(token, "alpha", parent))
        assert nodes.nodes["alpha"].authority.left(chain)[0] == {Resource.ROWS: 70}


async def test_a_share_that_the_parent_has_not_is_an_error_it_can_catch(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        for wanted in ("{:rows 11}", "{:fuel 1}", "{:gold 1}"):
            source = f"(try (spawn! (fn [] 1) {{:budget {wanted}}}) (catch Exception e :no))"
            token = purse(nodes, rows=10, children=1)
            parent = await nodes.spawn("alpha", source, token)
            assert (await ended(nodes, parent))["result"] == ":no"
            chain = nodes.nodes["alpha"].authority.verify_chain(
                nodes.delegate(token, "alpha", parent)
            )
            left = nodes.nodes["alpha"].authority.left(chain)[0]
            assert left == {Resource.ROWS: 10, Resource.CHILDREN: 1}


async def test_parent_and_child_have_no_more_memory_than_was_granted(tmp_path: Path) -> None:
    source = """
    (spawn! (fn [] (sleep 600000)) {:budget {:mem 4000000}})
    (spawn! (fn [] (sleep 600000)))
    (try (spawn! (fn [] 1)) (catch Exception e (ex-message e)))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        token = purse(nodes, mem=20_000_000)
        parent = await nodes.spawn("alpha", source, token, memory_max=10_000_000)
        row = await ended(nodes, parent)
        assert "memory: block 0 has 0 mem left" in row["result"], row
        found = [agent.record for agent in nodes.nodes["alpha"].agents]
        assert [record.memory_max for record in found] == [10_000_000, 4_000_000, 6_000_000]


LENT = """
(defn child [n] (try (some? (spawn! (fn [] (sleep 600000)) {:budget {:mem n}})) (catch Exception e (ex-message e))))
[(child 4000000) (child 3000000) (child 12999990)]
"""


async def test_who_holds_all_its_memory_gives_children_of_that(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = purse(nodes, mem=20_000_000)
        parent = await nodes.spawn("alpha", LENT, token)
        row = await ended(nodes, parent)
        assert row["result"].startswith('[true true "fork!: '), row
        found = [agent.record for agent in nodes.nodes["alpha"].agents]
        assert [record.memory_max for record in found] == [13_000_000, 4_000_000, 3_000_000]
        authority = nodes.nodes["alpha"].authority
        chain = authority.verify_chain(nodes.delegate(token, "alpha", parent))
        assert authority.left(chain)[0] == {Resource.MEM: 13_000_000}, "it holds none any more"


async def test_memory_that_was_not_lent_after_all_is_held_and_may_be_used(tmp_path: Path) -> None:
    source = """
    (def made (try (fork! {:budget {:mem 9000000}}) (catch Exception e 0)))
    (if made [(count (vec (range 300000)))] (sleep 600000))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        Writing(alpha).fail(lambda: len(alpha.agents) == 2)
        parent = await nodes.spawn("alpha", source, purse(nodes, mem=20_000_000))
        assert NO_ROOM in (await ended(nodes, parent))["reason"]
        (agent,) = alpha.agents
        assert agent.machine is not None
        assert agent.record.memory_held is not None
        assert agent.record.memory_held[1] == agent.record.memory_max == 20_000_000
        assert agent.machine.memory_max == 20_000_000
        await nodes.ask("alpha", "agent.resume", id=parent.hex())
        assert (await ended(nodes, parent))["result"] == "[300000]"
        assert [one.record.memory_max for one in alpha.agents] == [11_000_000, 9_000_000]


async def test_a_share_of_who_has_no_memory_is_given_back(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"].authority
        for share, most in [("{:rows 5}", 9_000_100), ("{:rows 5 :mem 100}", 9_000_000)]:
            source = (
                f"(try (spawn! (fn [] 1) {{:budget {share}}}) (catch Exception e (ex-message e)))"
            )
            token = purse(nodes, rows=10, mem=9_000_100)
            parent = await nodes.spawn("alpha", source, token, memory_max=most)
            row = await ended(nodes, parent)
            assert "memory" in row["result"], row
            chain = alpha.verify_chain(nodes.delegate(token, "alpha", parent))
            assert alpha.left(chain)[0] == {Resource.ROWS: 10, Resource.MEM: 9_000_100}


async def test_a_crash_after_the_birth_makes_no_second_child(tmp_path: Path) -> None:
    source = "(let [id (spawn! (fn [] (loop [] (recur))))] (sleep 600000) id)"
    async with fleet(tmp_path, "alpha") as nodes:
        parent = await nodes.spawn("alpha", source, purse(nodes, children=5))
        await nodes.until("alpha", parent, "waiting")
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert len(nodes.nodes["alpha"].agents) == 2


async def test_a_limit_of_fuel_is_not_doubled_by_a_child(tmp_path: Path) -> None:
    source = "(try (spawn! (fn [] 1)) (catch Exception e :no))"
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", source, nodes.token(), fuel_max=100_000) == ":no"


async def test_nobody_descends_from_an_agent_by_saying_so(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        source = "(spawn! (fn [] 1))"
        child = await child_of(nodes, await nodes.spawn("alpha", source, nodes.token()))
        found = nodes.nodes["alpha"].agents.get(child)
        assert found is not None
        births = found.record.births
        fields: dict[str, Any] = {field.name: None for field in msgspec.structs.fields(Luggage)}
        honest = Luggage(**{**fields, "births": births})
        assert descent(honest, child) == (births[0].parent,)
        for agent, said in [
            (bytes(32), births),
            (child, [msgspec.structs.replace(births[0], parent=bytes(32))]),
            (child, [*births, *births]),
        ]:
            with pytest.raises(HopRefused, match="does not descend"):
                descent(Luggage(**{**fields, "births": said}), agent)
