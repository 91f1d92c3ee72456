"""People move agents, at the same time as others do something to them; the agent is once, and goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from fleet import Fleet, deaf, fleet
from writing import Gate, Writing

from capabilities.caveats import Resource, Verb
from capabilities.revocation import Revocation
from capabilities.tokens import Token
from datomstore.value import Map
from protocol.errors import ProtocolError, RemoteError
from protocol.messages import Go
from protocol.transport import Channel
from yind.agent import Agent, State
from yind.node import Node

SLEEPER = '(do (sleep 600000) (transact! "done" [{:done (here)}]) (here))'
DONE = "[:find ?e ?at :where [?e :done ?at]]"


class Door:
    """Holds up whoever wants a connection to a node, until it is opened."""

    def __init__(self, node: Node, to: str) -> None:
        self.knocked = trio.Event()
        self.opened = trio.Event()
        self._to = to
        self._open_channel, self._channel = node.peers.open_channel, node.peers.channel
        node.peers.open_channel = self.open_channel  # type: ignore[method-assign]
        node.peers.channel = self.channel  # type: ignore[method-assign]

    def open_channel(self, node: str) -> Channel | None:
        shut = node == self._to and not self.opened.is_set()
        return None if shut else self._open_channel(node)

    async def channel(self, node: str) -> Channel:
        if node == self._to:
            self.knocked.set()
            await self.opened.wait()
        return await self._channel(node)


@asynccontextmanager
async def moved(nodes: Fleet, agent: bytes) -> AsyncIterator[list[Exception | Map]]:
    """Have an agent of alpha moved to beta during the block; what came of it is in the list afterwards."""
    outcome: list[Exception | Map] = []

    async def move() -> None:
        try:
            outcome.append(await ask(nodes, "agent.migrate", agent, node="beta"))
        except RemoteError as error:
            outcome.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(move)
        with trio.fail_after(20):
            yield outcome


async def ask(nodes: Fleet, verb: str, agent: bytes, **fields: object) -> Map:
    answer: Map = await nodes.ask("alpha", verb, id=agent.hex(), **fields)
    return answer


async def test_who_is_being_moved_is_not_moved_twice(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        door = Door(nodes.nodes["alpha"], "beta")
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        async with moved(nodes, agent) as outcome:
            await door.knocked.wait()
            with pytest.raises(RemoteError, match="is being moved already"):
                await ask(nodes, "agent.migrate", agent, node="beta")
            with pytest.raises(RemoteError, match="is being moved, and goes on afterwards"):
                await ask(nodes, "agent.pause", agent)
            door.opened.set()
        assert not isinstance(outcome[0], Exception), outcome
        await nodes.until("beta", agent, "waiting")


async def test_who_is_let_go_on_meanwhile_stays_where_it_runs(tmp_path: Path) -> None:
    """Else what it does here while it is being moved would be done there again."""
    source = '(do (transact! "done" [{:done (here)}]) (here))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        door = Door(nodes.nodes["alpha"], "beta")
        agent = await nodes.spawn("alpha", source, nodes.token(), paused=True)
        async with moved(nodes, agent) as outcome:
            await door.knocked.wait()
            await ask(nodes, "agent.resume", agent)
            await nodes.until("alpha", agent, "done")
            door.opened.set()
        assert "is done" in str(outcome[0])
        assert [at for _, at in await steps(nodes, "alpha")] == ["alpha"]
        assert nodes.nodes["beta"].agents.get(agent) is None


async def test_who_computes_again_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        door = Door(nodes.nodes["alpha"], "beta")
        agent = await nodes.spawn("alpha", "(loop [] (recur))", nodes.token(), paused=True)
        async with moved(nodes, agent) as outcome:
            await door.knocked.wait()
            await ask(nodes, "agent.resume", agent)
            door.opened.set()
        assert "is ready: it was let go on" in str(outcome[0])
        assert nodes.nodes["beta"].agents.get(agent) is None


async def test_who_is_killed_meanwhile_is_dead(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        door = Door(nodes.nodes["alpha"], "beta")
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token(), paused=True)
        async with moved(nodes, agent) as outcome:
            await door.knocked.wait()
            assert (await ask(nodes, "agent.kill", agent))["state"] == "killed"
            door.opened.set()
        assert "is killed" in str(outcome[0])
        assert nodes.nodes["beta"].agents.get(agent) is None


async def test_an_agent_goes_on_though_nobody_waits_for_the_end_of_its_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person gives up waiting; then the other node refuses the agent."""
    monkeypatch.setattr("yind.departures.HAND_OFF_CANCEL_S", 0.1)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, beta = nodes.nodes["alpha"], nodes.nodes["beta"]
        deaf(beta, Go)
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        with trio.move_on_after(20) as scope:
            async with moved(nodes, agent), trio.open_nursery() as nursery:
                nursery.start_soon(until_offered, alpha, agent, scope)
        with trio.fail_after(20):  # withdrawn, it is where it was
            await nodes.until("alpha", agent, "waiting")
            while (found := alpha.agents.get(agent)) and found.record.reason != "timer":
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert (await ask(nodes, "agent.kill", agent))["state"] == "killed"


@pytest.mark.parametrize("crash", [True, False])
async def test_who_stands_still_for_a_move_goes_on_when_its_node_is_there_again(
    tmp_path: Path, crash: bool
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        door = Door(nodes.nodes["alpha"], "beta")
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gives_up, nodes, agent)
            await door.knocked.wait()
            await nodes.until("alpha", agent, "paused")
            await (nodes.crash if crash else nodes.stop)("alpha")
        await nodes.start("alpha")
        with trio.fail_after(20):
            await nodes.until("alpha", agent, "waiting")


async def gives_up(nodes: Fleet, agent: bytes) -> None:
    with pytest.raises(ProtocolError):
        await ask(nodes, "agent.migrate", agent, node="beta")


async def test_who_lacks_a_right_lacks_it_where_it_is_moved_to_and_goes_on_with_it(
    tmp_path: Path,
) -> None:
    source = '(do (dotimes [n 2] (transact! "done" [{:done n}])) (here))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token(budget={Resource.ROWS: 1}))
        await nodes.until("alpha", agent, "paused")
        async with moved(nodes, agent):
            pass
        await nodes.until("beta", agent, "paused")
        row = await nodes.ask("beta", "agent.show", id=agent.hex())
        assert row["denied_right"] == "append alpha/done"
        (old,) = row["tokens"]
        more = nodes.delegate(nodes.token(), "beta", agent)
        fields = {"id": agent.hex(), "old": (old,), "tokens": (more,)}
        assert (await nodes.ask("beta", "agent.renew", **fields))["resumed"]
        await nodes.until("beta", agent, "done")


async def test_who_waits_for_a_fresh_list_goes_on_where_it_is_moved_to(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        nodes.nodes["alpha"].authority.revage = -1  # no list is as fresh
        with trio.fail_after(10):
            await nodes.until("alpha", agent, "paused")
        async with moved(nodes, agent):
            pass
        with trio.fail_after(10):
            await nodes.until("beta", agent, "waiting")


async def test_who_is_paused_for_something_else_meanwhile_comes_paused_for_that(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        door = Door(alpha, "beta")
        token = nodes.token()
        agent = await nodes.spawn("alpha", SLEEPER, token, paused=True)
        alpha.revocations.told = lambda items: None  # beta takes whom it knows nothing about
        async with moved(nodes, agent):
            await door.knocked.wait()
            await ask(nodes, "agent.resume", agent)
            await nodes.until("alpha", agent, "waiting")
            await alpha.revocations.take([Revocation.sign(nodes.cluster.root_key, token, 0)])
            await nodes.until("alpha", agent, "paused")
            door.opened.set()
        row = await nodes.ask("beta", "agent.show", id=agent.hex())
        assert (row["state"], row["reason"]) == ("paused", "token revoked: block 0")


async def test_a_paused_agent_that_could_not_be_moved_is_paused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token(), paused=True)
        await nodes.stop("beta")
        with pytest.raises(RemoteError, match="node beta"):
            await ask(nodes, "agent.migrate", agent, node="beta")
        found = nodes.nodes["alpha"].agents.get(agent)
        assert found is not None
        assert (found.record.state, nodes.nodes["alpha"].migration.moves.has(found)) == (
            State.PAUSED,
            False,
        )


@pytest.mark.parametrize("how", ["crash", "stop"])
async def test_a_paused_agent_that_was_refused_is_found_paused_whatever_is_written_after_that(
    tmp_path: Path, how: str
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        token = nodes.token((Verb.MIGRATE, "alpha"))  # beta refuses it
        agent = await nodes.spawn("alpha", SLEEPER, token, paused=True)
        found = alpha.agents.get(agent)
        assert found is not None
        reason, lives = found.record.reason, trio.Event()
        gates: list[Gate] = []

        def alive(one: Agent) -> None:  # it is back, and that is on the disk
            writing = Writing(alpha)
            gates.append(writing.gate())
            writing.fail()
            lives.set()

        async def move() -> None:
            with suppress(ProtocolError, trio.BrokenResourceError):
                await ask(nodes, "agent.migrate", agent, node="beta")

        alpha.migration._departures._lives = alive
        async with trio.open_nursery() as nursery:
            nursery.start_soon(move)
            with trio.fail_after(20):
                await lives.wait()
                await gates[0].reached.wait()
            if how == "crash":
                nodes.cut_off("alpha")
            gates[0].open()
            await alpha.agents.written()
            await (nodes.crash if how == "crash" else nodes.stop)("alpha")
        await nodes.start("alpha")
        row = await ask(nodes, "agent.show", agent)
        assert (row["state"], row["reason"]) == ("paused", reason)


async def test_of_who_is_being_moved_no_token_is_renewed(tmp_path: Path) -> None:
    """What would be written is that it is paused, which it is for the move alone."""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        door = Door(nodes.nodes["alpha"], "beta")
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        async with moved(nodes, agent):
            await door.knocked.wait()
            (row,) = (await ask(nodes, "agent.tokens", agent))["value"]
            old, new = Token.from_bytes(row["token"]), nodes.delegate(nodes.token(), "alpha", agent)
            with pytest.raises(RemoteError, match="is being moved"):
                await ask(nodes, "agent.renew", agent, old=(old.ids[-1],), tokens=(new,))
            door.opened.set()


async def test_a_fault_in_a_move_is_told_and_the_agent_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token())
        await nodes.until("alpha", agent, "waiting")

        def fault(*_: object, **__: object) -> None:
            raise ArithmeticError("of our own")

        monkeypatch.setattr(alpha.migration._departures, "leave", fault)
        with pytest.raises(RemoteError, match="the node failed"):
            await ask(nodes, "agent.migrate", agent, node="beta")
        await nodes.until("alpha", agent, "waiting")
        found = alpha.agents.get(agent)
        assert found is not None
        assert found.record.reason == "timer"


async def test_who_is_about_to_end_is_not_moved(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", SLEEPER, nodes.token(), paused=True)
        found = nodes.nodes["alpha"].agents.get(agent)
        assert found is not None
        found.ask_to_stop(State.KILLED, "somebody wants it so")
        found.ask_to_stop(State.PAUSED, "somebody else wants less")
        assert found.requested is State.KILLED
        with pytest.raises(RemoteError, match="is about to be killed"):
            await ask(nodes, "agent.migrate", agent, node="beta")


async def test_who_cannot_go_where_it_wants_to_pauses_there_and_tries_again(tmp_path: Path) -> None:
    source = '(do (hop! "beta") (here))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await nodes.stop("beta")
        agent = await nodes.spawn("alpha", source, nodes.token())
        with trio.fail_after(20):
            _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "paused", row
        assert "node beta" in row["reason"]
        await nodes.crash("alpha")
        await nodes.start("beta")
        await nodes.start("alpha")
        await ask(nodes, "agent.resume", agent)
        with trio.fail_after(20):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"], row["result"]) == ("beta", "done", '"beta"'), row


async def test_who_says_itself_that_it_cannot_go_has_failed(tmp_path: Path) -> None:
    source = """
    (try (hop! "nowhere") (catch Exception e (throw (ex-info "I give up" {}))))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        with trio.fail_after(20):
            _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["fault"].splitlines()[0]) == ("failed", "I give up")


async def steps(nodes: Fleet, name: str) -> tuple[tuple[int, str], ...]:
    found: tuple[tuple[int, str], ...] = (
        await nodes.ask(name, "query", stream="done", query=DONE)
    )["value"]
    return found


async def until_offered(node: Node, agent: bytes, scope: trio.CancelScope) -> None:
    """Cancel a scope when an agent is on its way out."""
    found = node.agents.get(agent)
    assert found is not None
    while not node.migration.holds(found):
        await trio.testing.wait_all_tasks_blocked(0.01)
    scope.cancel()
