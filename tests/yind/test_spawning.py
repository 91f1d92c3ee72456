"""An agent begins once: the same request again, another node's offer of it, and what a node does that finds two."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import trio
from dishonest import besieged, fresh_attempt, visited
from fleet import Fleet, deaf, fleet, until

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.tokens import agent_id, mint
from datomstore.value import Map
from protocol import continuation
from protocol.errors import RemoteError
from protocol.handoff import CHANCE_BYTES
from protocol.messages import Go, Offer
from yind.agent import AgentRecord, State, encode_record
from yind.agents import AGENT_TABLE
from yind.cesk import Machine
from yind.luggage import opened

HOP = '(do (hop! "beta") (sleep 600000))'
NONCE = bytes(16)


async def test_a_request_that_comes_again_begins_no_second_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        began, go_on = trio.Event(), trio.Event()
        real = alpha.control._machine_of

        async def slow(record: AgentRecord, arguments: object) -> Machine:
            if not began.is_set():
                began.set()
                await go_on.wait()
            return await real(record, arguments)

        alpha.control._machine_of = slow  # type: ignore[method-assign]
        agents: list[bytes] = []

        async def spawn() -> None:
            agents.append(await nodes.spawn("alpha", HOP, nodes.token(), nonce=NONCE))

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(spawn)
                await began.wait()
                try:
                    with pytest.raises(RemoteError, match="exists already"):
                        await nodes.spawn("alpha", HOP, nodes.token(), nonce=NONCE)
                finally:
                    go_on.set()
            (agent,) = agents
            await nodes.until("alpha", agent, "moved")
            with pytest.raises(RemoteError, match="exists already"):  # nor where it has been
                await nodes.spawn("alpha", HOP, nodes.token(), nonce=NONCE)


async def test_a_request_that_is_refused_keeps_its_agent_from_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        with pytest.raises(RemoteError, match="memory"):
            await nodes.spawn("alpha", HOP, nodes.token(), nonce=NONCE, memory_max=1)
        await nodes.spawn("alpha", HOP, nodes.token(), nonce=NONCE)


async def test_an_agent_that_is_offered_as_if_it_had_begun_here_does_not_begin_here(
    tmp_path: Path,
) -> None:
    async with besieged(tmp_path, "alpha") as (nodes, mallory):
        alpha = nodes.nodes["alpha"]
        given = await visited(nodes, mallory, '(do (hop! "mallory") (sleep 60000))', nodes.token())
        luggage, image = opened(given)
        me, home, nonce = mallory.key.public, mallory.key_of("alpha"), os.urandom(16)
        rights = (Rights(Verb.MIGRATE | Verb.SPAWN, "alpha"),)
        own = mint(nodes.cluster.root_key, me, Caveats(exp=nodes.now_s() + 3600, rights=rights))
        agent = agent_id(me, luggage.program, nonce, home)
        forged = msgspec.structs.replace(
            luggage, owner=me.bytes, nonce=nonce, home="alpha", home_key=home.bytes, hop_count=0
        )
        body = continuation.seal(image, given.programs, msgspec.msgpack.encode(forged))
        digest = continuation.digest_of(body)
        token = own.append(mallory.key, home, Caveats(agent=agent, epoch=1, state=digest))
        attempt, tokens = fresh_attempt(os.urandom(CHANCE_BYTES)), (token.to_bytes(),)
        begun = own.append(mallory.key, home, Caveats(agent=agent)).to_bytes()
        spawn = Map({"program": luggage.program, "nonce": nonce, "tokens": (begun,)})
        with trio.fail_after(20):
            async with mallory.connected("alpha") as channel:
                await channel.request("session.present", Map({"tokens": (own.to_bytes(),)}))
                await channel.send(Offer(agent, 1, attempt, digest, given.programs, tokens, body))
                while not alpha.migration.knows_of(agent):
                    await channel.request("node.info")
                with pytest.raises(RemoteError, match="offered by another node"):
                    await channel.request("agent.spawn", spawn)
                await channel.send(Go(agent, 1, attempt))
                while alpha.agents.get(agent) is None:
                    await channel.request("node.info")
                with pytest.raises(RemoteError, match="exists already"):
                    await channel.request("agent.spawn", spawn)
        assert not alpha._stopped.is_set()


async def test_a_node_that_finds_two_of_an_agent_starts_and_runs_neither_more(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        other = await nodes.spawn("alpha", "(sleep 600000)")
        await nodes.until("alpha", agent, "moved")
        await second(nodes, agent)
        await nodes.crash("alpha")
        await nodes.start("alpha")
        row = await nodes.ask("alpha", "agent.wait", id=agent.hex())
        assert row["state"] == "paused"
        assert "there may be two of it" in row["reason"]
        assert "it is not here" in row["reason"]
        with trio.fail_after(20):
            await nodes.until("alpha", other, "waiting")
        row = await nodes.ask("alpha", "agent.kill", id=agent.hex())
        await nodes.crash("alpha")
        await nodes.start("alpha")
        row = await nodes.ask("alpha", "agent.wait", id=agent.hex())
        assert row["state"] == "killed"


BACK = '(hop! "beta") (sleep 600000) (hop! "alpha") (sleep 600000)'


async def two_of_it(nodes: Fleet) -> bytes:
    """Return an agent that is at beta, and by its row at alpha, too, where it has been set aside."""
    agent = await nodes.spawn("alpha", BACK, nodes.token(), paused=True)
    begun = nodes.nodes["alpha"].agents.get(agent)
    assert begun is not None
    image = begun.record.image
    await nodes.ask("alpha", "agent.resume", id=agent.hex())
    await nodes.until("alpha", agent, "moved")
    await second(nodes, agent, image)
    await nodes.crash("alpha")
    await nodes.start("alpha")
    return agent


async def comes_back(nodes: Fleet, agent: bytes) -> None:
    """Let the agent at beta wake up, and hop."""
    beta = nodes.nodes["beta"].agents.get(agent)
    assert beta is not None
    await nodes.until("beta", agent, "waiting")
    beta.record.wake_ms = 0
    await nodes.ask("beta", "agent.pause", id=agent.hex())
    await nodes.ask("beta", "agent.resume", id=agent.hex())


@pytest.mark.parametrize("killed", [False, True])
async def test_who_comes_back_takes_the_place_of_who_was_set_aside(
    tmp_path: Path, killed: bool
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        with trio.fail_after(30):
            agent = await two_of_it(nodes)
            if killed:
                await nodes.ask("alpha", "agent.kill", id=agent.hex())
                await nodes.crash("alpha")
                await nodes.start("alpha")
            aside = nodes.nodes["alpha"].agents.get(agent)
            assert aside is not None
            await comes_back(nodes, agent)
            await nodes.until("beta", agent, "moved")
            for _ in range(2):
                await nodes.until("alpha", agent, "waiting")
                row = await nodes.ask("alpha", "agent.show", id=agent.hex())
                assert (row["epoch"], row["hops"]) == (2, 2)
                await nodes.stop("alpha")
                await nodes.start("alpha")
            assert aside.record.state == ("killed" if killed else "moved")


async def test_who_was_set_aside_and_let_go_on_is_the_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        with trio.fail_after(30):
            agent = await two_of_it(nodes)
            with pytest.raises(RemoteError, match="set aside, there may be two of it"):
                await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
            alpha = nodes.nodes["alpha"]
            hears = alpha.peers.message
            deaf(alpha, Go)
            await comes_back(nodes, agent)
            await until(lambda: alpha.migration.knows_of(agent))
            found = alpha.agents.get(agent)
            assert found is not None
            await nodes.ask("alpha", "agent.resume", id=agent.hex())  # it wants to hop to beta
            assert not alpha.migration.knows_of(agent)
            alpha.peers.message = hears
            await nodes.until("beta", agent, "paused")
            row = await nodes.ask("beta", "agent.show", id=agent.hex())
            assert "runs here already" in row["reason"]
            assert alpha.agents.get(agent) is found


async def second(nodes: Fleet, agent: bytes, image: bytes = b"") -> None:
    """Write a row of an agent that has gone as if it were at its source still."""
    agents = nodes.nodes["alpha"].agents
    found = agents.get(agent)
    assert found is not None
    while (await nodes.ask("alpha", "agent.hops", id=agent.hex()))["value"] == ():
        pass  # until it lasts that it has gone
    row = msgspec.structs.replace(found.record, state=State.READY, epoch=0, image=image)
    await agents.write(lambda batch: batch.put(AGENT_TABLE, agent, encode_record(row)))
