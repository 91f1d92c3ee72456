"""A node that held an agent when it was cut off does not know whether it took it: the node that gave it says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet

from datomstore.value import Map
from protocol import handoff
from protocol.messages import CancelOffer, Go, HandOff, Own
from protocol.transport import Channel, RemoteError
from yang.compile import compile_source
from yind.arrivals import HELD_TABLE, Arrivals
from yind.departures import RECORD_TABLE, Departures
from yind.forgetting import Forgetting
from yind.node import Node

HOP = """
(transact! "done" [{:at "before"}])
(try (hop! "beta") (catch Exception e nil))
(transact! "done" [{:at (here)}])
(here)
"""
PROGRAM = compile_source(HOP, "test.clj").program
DONE = "[:find ?at :where [_ :at ?at]]"
FORCED = """
[:find ?resource ?reason :where [?e :audit/verb :reclaim] [?e :audit/resource ?resource]
                                [?e :audit/reason ?reason]]
"""


def arrivals_of(node: Node) -> Arrivals:
    return node.migration._arrivals


def departures_of(node: Node) -> Departures:
    return node.migration._departures


async def until(what: Callable[[], object]) -> None:
    with trio.fail_after(30):
        while not what():
            await trio.testing.wait_all_tasks_blocked()


def deaf(node: Node, *kinds: type) -> list[Callable[[], None]]:
    """Let a node lose every message of some kinds, as a network may; return what lets it have them after all."""
    real, lost = node.peers.message, list[Callable[[], None]]()

    def message(channel: Channel, message: HandOff) -> None:
        if isinstance(message, kinds):
            lost.append(partial(real, channel, message))
        else:
            real(channel, message)

    node.peers.message = message
    return lost


def asleep(node: Node) -> None:
    """Let a node give no turn to who arrives, so that nothing of it becomes durable."""
    arrivals_of(node)._ready = lambda agent: None


async def held(nodes: Fleet) -> bytes:
    """Return an agent that beta holds; it was told Go, and does not know."""
    deaf(nodes.nodes["beta"], Go)
    agent = await nodes.spawn("alpha", HOP, nodes.token())
    target = arrivals_of(nodes.nodes["beta"])._target
    await until(lambda: target(agent).held is not None)
    source = departures_of(nodes.nodes["alpha"])._under_way[agent]
    await until(lambda: source.source.durable)
    return agent


async def taken(nodes: Fleet) -> bytes:
    """Return an agent that beta has taken, and said so, and alpha has dropped, but nothing of that is on beta's disk."""
    asleep(nodes.nodes["beta"])
    async with nodes.connected("beta") as channel:  # else Go is there before the check has ended
        await channel.request("code.put", Map({"program": PROGRAM.to_bytes()}))
    agent = await nodes.spawn("alpha", HOP, nodes.token())
    with trio.fail_after(30):
        await nodes.until("alpha", agent, "moved")
        await nodes.nodes["alpha"].agents.write(lambda batch: None)
    return agent


def kept(node: Node, agent: bytes) -> tuple[list[handoff.Record], bool]:
    """Return what is on a node's disk of an agent: its records, and whether it keeps what it would begin with."""
    with node.streams.batch() as batch:
        records = [handoff.decode(data) for _, data in batch.scan(RECORD_TABLE, agent)]
        return records, batch.get(HELD_TABLE, agent) is not None


async def places(nodes: Fleet) -> list[str]:
    """Return what the agent has done, at all nodes."""
    found: list[str] = []
    for name in nodes.nodes:
        answer = await nodes.ask(name, "query", stream="done", query=DONE)
        found += [at for (at,) in answer["value"]]
    return sorted(found)


async def test_an_agent_taken_before_that_was_durable_goes_on_once_its_source_says_so(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        records, guest = kept(nodes.nodes["beta"], agent)
        assert ([type(record) for record in records], guest) == ([handoff.Held], True)
        await nodes.crash("beta")
        await nodes.start("beta")
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"], row["result"]) == ("beta", "done", '"beta"')
        assert await places(nodes) == ["before", "beta"]
        records, guest = kept(nodes.nodes["beta"], agent)
        assert ([type(record) for record in records], guest) == ([handoff.Owned], False)


async def test_a_source_that_was_restarted_says_so_too(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        await nodes.crash("beta")
        await nodes.crash("alpha")
        beta = await nodes.start("beta")
        row = await nodes.ask("beta", "agent.wait", id=agent.hex(), timeout_ms=10)
        assert (row["state"], row["reason"]) == ("held", "asks node alpha whose it is")
        (row,) = (await nodes.ask("beta", "agent.list"))["value"]
        assert (row["id"], row["state"]) == (agent, "held")
        assert beta.agents.get(agent) is None
        assert arrivals_of(beta).knows_of(agent)
        await nodes.start("alpha")
        with trio.fail_after(30):
            place, row = await nodes.settled("beta", agent)
        assert (place, row["result"]) == ("beta", '"beta"')
        assert await places(nodes) == ["before", "beta"]


async def test_what_was_held_and_not_taken_is_taken_after_a_restart(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await held(nodes)
        await nodes.crash("beta")
        await nodes.start("beta")
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["result"]) == ("beta", '"beta"')
        assert await places(nodes) == ["before", "beta"]


async def test_what_is_in_doubt_is_kept_whatever_else_is_said(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        await nodes.crash("beta")
        await nodes.crash("alpha")
        beta = await nodes.start("beta")
        arrivals, target = arrivals_of(beta), arrivals_of(beta)._target(agent)
        assert target.held is not None
        cancel = CancelOffer(agent, 1, handoff.attempt_bytes(target.held.attempt))
        arrivals._tell(None, agent, handoff.Received(cancel, target.held.source))
        arrivals.give_up_holds(1 << 62)
        forgetting: Forgetting = beta.migration.forgetting
        assert forgetting.sweep() == 0
        assert arrivals._target(agent) == target
        assert kept(beta, agent) == ([target.held], True)


async def test_a_source_that_never_gave_it_says_so(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        departures = departures_of(nodes.nodes["alpha"])
        departures._persist = lambda *_, **__: None  # type: ignore[method-assign]
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        target = arrivals_of(nodes.nodes["beta"])._target
        await until(lambda: target(agent).held is not None)
        await nodes.crash("beta")
        await nodes.crash("alpha")
        beta = await nodes.start("beta")
        assert arrivals_of(beta).in_doubt() != []
        await nodes.start("alpha")
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["result"]) == ("beta", '"beta"')
        assert await places(nodes) == ["before", "beta"]


async def test_a_source_that_took_it_back_by_force_says_so(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await held(nodes)
        await nodes.crash("beta")
        await nodes.ask("alpha", "agent.reclaim", id=agent.hex())
        beta = await nodes.start("beta")
        with trio.fail_after(30):
            await beta.migration.until_known(agent.hex())
        with pytest.raises(RemoteError, match="no agent"):
            await nodes.ask("beta", "agent.wait", id=agent.hex())
        records, guest = kept(beta, agent)
        assert ([type(record) for record in records], guest) == ([handoff.Refused], False)
        assert arrivals_of(beta)._guests == {}


async def test_a_person_may_start_what_is_held_when_its_source_is_gone_for_good(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        await nodes.crash("beta")
        await nodes.crash("alpha")
        await nodes.start("beta")
        row: Map = await nodes.ask("beta", "agent.reclaim", id=agent.hex())
        assert row["state"] in ("ready", "done")
        with trio.fail_after(30):
            place, row = await nodes.settled("beta", agent)
        assert (place, row["result"]) == ("beta", '"beta"')
        answer = await nodes.ask("beta", "query", stream="audit", query=FORCED)
        ((resource, reason),) = answer["value"]
        assert resource == "beta"
        assert reason.startswith("possible duplicate: started here by force, by ")


BACK = """
(hop! "beta")
(transact! "done" [{:at "beta"}])
(hop! "alpha")
(transact! "done" [{:at "alpha"}])
(here)
"""


@pytest.mark.parametrize("gone", [False, True])
async def test_who_is_back_before_its_node_has_written_that_it_had_gone_outlives_a_restart(
    tmp_path: Path, *, gone: bool
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        owns, goes = deaf(alpha, Own), deaf(alpha, Go)
        agent = await nodes.spawn("alpha", BACK, nodes.token())
        target = arrivals_of(alpha)._target
        await until(lambda: target(agent).held is not None)  # it is offered back
        await until(lambda: goes)
        asleep(alpha)
        owns[0]()
        goes[0]()
        assert alpha.agents.get(agent).record.epoch == 2  # type: ignore[union-attr]
        if gone:
            await alpha.agents.write(lambda batch: None)
        records, guest = kept(alpha, agent)  # nothing of who came back
        source = handoff.Gone if gone else handoff.Given
        assert ({type(record) for record in records}, guest) == ({source, handoff.Held}, True)
        await nodes.crash("alpha")
        await nodes.start("alpha")
        with trio.fail_after(30):
            place, row = await nodes.settled("beta", agent)
        assert (place, row["state"], row["result"]) == ("alpha", "done", '"alpha"'), row
        assert await places(nodes) == ["alpha", "beta"]
