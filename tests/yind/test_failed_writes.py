"""What is said of an agent lasts; what could not be written has not happened, and an agent goes on from what has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from dishonest import audit
from fleet import Fleet, fleet
from writing import NO_ROOM, Gate, Writing

from capabilities.caveats import Resource, Verb
from capabilities.keys import PublicKey
from capabilities.tokens import Token, agent_id
from datomstore.batch import Batch
from datomstore.storage import StorageError
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from yang.compile import compile_source
from yind.agent import Agent, State
from yind.cesk import Status
from yind.departures import LEAVING_TABLE
from yind.errors import AgentState
from yind.estates import Kin, Return
from yind.fields import Fields
from yind.node import Node
from yind.session import Session


def known(nodes: Fleet, name: str, agent: bytes) -> Agent:
    found = nodes.nodes[name].agents.get(agent)
    assert found is not None
    return found


def operator(nodes: Fleet, node: Node) -> Session:
    """Return the operator as the node sees them: what they ask so waits for no write of its own."""
    key = nodes.cluster.operator_key.public
    token = node.authority.verify(nodes.cluster.operator_token.to_bytes(), key)
    return Session(key, tokens=[node.authority.handle(token, None)])


async def unsent(item: Map) -> None:
    pass


# -- what is said lasts --

Answer = Callable[[Session, Fields, Callable[[Map], Awaitable[None]]], Awaitable[object]]


async def told(nodes: Fleet, agent: bytes, gate: Gate, *verbs: Answer) -> list[object]:
    """Return what is answered about an agent whose state is being written, and is only once that lasts."""
    session = operator(nodes, nodes.nodes["alpha"])
    answers: list[object] = []

    async def ask(verb: Answer) -> None:
        try:
            answers.append(await verb(session, Fields(Map({"id": agent.hex()})), unsent))
        except AgentState as error:
            answers.append(str(error))

    await gate.reached.wait()
    async with trio.open_nursery() as nursery:
        for verb in verbs:
            nursery.start_soon(ask, verb)
        await trio.testing.wait_all_tasks_blocked()
        early = list(answers)
        gate.open()
    assert early == []
    return answers


@pytest.mark.parametrize("verb", ["agent_follow", "agent_wait", "agent_pause", "agent_kill"])
async def test_an_end_is_told_once_it_lasts(tmp_path: Path, verb: str) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        agent = await nodes.spawn("alpha", "(+ 1 2)", paused=True)
        found = known(nodes, "alpha", agent)
        gate = Writing(alpha).gate(lambda: found.record.state is State.DONE)
        with trio.fail_after(20):
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            (answer,) = await told(nodes, agent, gate, getattr(alpha.control, verb))
        if verb in ("agent_pause", "agent_kill"):
            assert "is done already" in str(answer)
        else:
            assert isinstance(answer, Map)
            assert (answer["state"], answer["result"]) == ("done", "3")


async def test_a_pause_is_told_once_it_lasts(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        control = nodes.nodes["alpha"].control
        agent = await nodes.spawn("alpha", "(sleep 600000)")
        found = known(nodes, "alpha", agent)
        gate = Writing(nodes.nodes["alpha"]).gate(lambda: found.record.state is State.PAUSED)
        await nodes.until("alpha", agent, "waiting")
        found.ask_to_stop(State.PAUSED, "a test")
        with trio.fail_after(20):
            answers: list[Any] = await told(
                nodes, agent, gate, control.agent_pause, control.agent_follow, control.agent_wait
            )
        assert [answer["state"] for answer in answers] == ["paused"] * 3


async def test_a_line_is_shown_once_the_arrival_of_who_says_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.arrivals.COMMIT_LATER_S", 600.0)
    source = """
    (hop! "beta")
    (log! (str (q '[:find ?e . :where [?e :n _]] "facts")))
    (sleep 600000)
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        data = (Map({Keyword("n"): 1}),)
        await nodes.ask("beta", "stream.transact", stream="facts", data=data)
        agents, heard = nodes.nodes["beta"].agents, trio.Event()
        add, lasting = agents.add, list[bool]()

        def followed(agent: Agent) -> None:
            add(agent)
            agent.watchers.add(lambda event: said(agent, event))

        def said(agent: Agent, event: dict[str, object]) -> None:
            if event["kind"] == "log":
                lasting.append(agent.arrival is None)
                heard.set()

        agents.add = followed  # type: ignore[method-assign]
        await nodes.spawn("alpha", source, nodes.token())
        with trio.fail_after(20):
            await heard.wait()
        assert lasting == [True]


# -- what was not written has not happened --


@pytest.mark.parametrize(
    ("source", "state", "result", "fault"),
    [
        ("(+ 1 2)", "done", "3", None),
        ("(finish! 3)", "done", "3", None),
        ('(throw (ex-info "no" {}))', "failed", None, "no"),
        ('(finish! nil "no")', "failed", None, "no"),
    ],
)
async def test_an_end_that_is_not_written_has_not_come(
    tmp_path: Path, source: str, state: str, result: str | None, fault: str | None
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, paused=True)
        found = known(nodes, "alpha", agent)
        Writing(nodes.nodes["alpha"]).fail(lambda: found.ended)
        with trio.fail_after(20):
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            _, row = await nodes.settled("alpha", agent)
            assert (row["state"], row["reason"]) == ("paused", f"the storage failed: {NO_ROOM}")
            assert (row["result"], row["fault"], row["fault_data"]) == (None, None, None)
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["result"]) == (state, result)
        assert fault is None or fault in row["fault"]


async def test_a_kill_that_is_not_written_leaves_the_agent_paused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(+ 1 2)", paused=True)
        found = known(nodes, "alpha", agent)
        Writing(nodes.nodes["alpha"]).fail(lambda: found.ended)
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.ask("alpha", "agent.kill", id=agent.hex())
        row = await nodes.ask("alpha", "agent.show", id=agent.hex())
        assert (row["state"], row["reason"]) == ("paused", "spawned paused")
        row = await nodes.ask("alpha", "agent.kill", id=agent.hex())
        assert row["state"] == "killed"


async def test_an_agent_that_could_not_be_let_go_on_is_paused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(+ 1 2)", paused=True)
        found = known(nodes, "alpha", agent)
        Writing(nodes.nodes["alpha"]).fail(lambda: found.record.state is State.READY)
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
        assert (found.record.state, found.record.reason) == (State.PAUSED, "spawned paused")
        await nodes.ask("alpha", "agent.resume", id=agent.hex())
        assert (await nodes.settled("alpha", agent))[1]["result"] == "3"


async def test_what_is_left_at_an_end_comes_home_though_the_end_was_not_written_at_once(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token(budget={Resource.ROWS: 100})
        agent = await nodes.spawn("alpha", '(hop! "beta")', token)
        alpha, beta = nodes.nodes["alpha"], nodes.nodes["beta"]
        Writing(beta).fail(lambda: any(one.record.state is State.DONE for one in beta.agents))
        home, taken = trio.Event(), alpha.authority.estates._take_home

        def come(returned: Return, peer: PublicKey, kin: Kin) -> list[Return]:
            home.set()
            return taken(returned, peer, kin)

        alpha.authority.estates._take_home = come  # type: ignore[method-assign]
        with trio.fail_after(20):
            place, row = await nodes.settled("alpha", agent)
            assert (place, row["state"]) == ("beta", "paused")
            await nodes.ask("beta", "agent.resume", id=agent.hex())
            await home.wait()
        verified = alpha.authority.verify_chain(nodes.delegate(token, "alpha", agent))
        assert alpha.authority.left(verified)[0] == {Resource.ROWS: 100}


def rows(node: Node, table: str) -> list[tuple[bytes, bytes]]:
    with node.storage.transaction(write=False) as storage:
        return list(storage.scan(table))


@pytest.mark.parametrize("name", ["alpha", "beta"])
async def test_what_comes_home_and_is_not_written_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("yind.returns.RETURN_RETRY_S", 0.5)
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token = nodes.token(budget={Resource.ROWS: 100})
        source = '(do (hop! "beta") (hop! "gamma") (sleep 600000))'
        agent = await nodes.spawn("alpha", source, token)
        for place, state in [("alpha", "moved"), ("beta", "moved"), ("gamma", "waiting")]:
            await nodes.until(place, agent, state)
        node = nodes.nodes[name]
        while rows(node, LEAVING_TABLE):
            await trio.testing.wait_all_tasks_blocked(0.01)
        meter, writing = node.authority._meter, Writing(node)
        writing.fail(lambda: any(who.startswith(b"return") for who, _ in meter._settling))
        await nodes.ask("gamma", "agent.kill", id=agent.hex())
        with trio.fail_after(20):
            while not (noted := await comings(nodes, "alpha")):
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert writing._fails is None, "it did fail"
        assert noted == [(nodes.cluster.node("beta").key.text, "rows=100")]
        if name == "beta":
            assert await comings(nodes, name) == [
                (nodes.cluster.node("gamma").key.text, "rows=100")
            ]
        assert left(nodes, token) == {Resource.ROWS: 100}


async def comings(nodes: Fleet, name: str) -> list[tuple[str, str]]:
    """Return who has given budgets back to a node, and how much."""
    await nodes.nodes[name].agents.decided()
    found = [row for row in await audit(nodes, name) if row["verb"] == Keyword("return")]
    return [(row["who"], row["reason"]) for row in found]


async def test_a_fork_that_is_not_written_has_no_child(tmp_path: Path) -> None:
    source = "(when (fork! {:budget {:rows 7}}) (sleep 600000))"
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        writing = Writing(alpha)
        writing.fail(lambda: len(alpha.agents) == 2)
        purse = nodes.token(budget={Resource.CHILDREN: 1, Resource.ROWS: 10})
        agent = await nodes.spawn("alpha", source, purse)
        with trio.fail_after(20):
            _, row = await nodes.settled("alpha", agent)
            assert NO_ROOM in row["reason"]
            assert [one.record.id for one in alpha.agents] == [agent]
            await nodes.ask("alpha", "agent.resume", id=agent.hex())  # the one child is still free
            await nodes.until("alpha", agent, "waiting")
        (child,) = [one for one in alpha.agents if one.record.id != agent]
        with trio.fail_after(20):
            assert (await nodes.settled("alpha", child.record.id))[1]["state"] == "done"


async def test_an_agent_whose_beginning_is_not_written_can_be_spawned_again(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        Writing(alpha).fail(lambda: len(alpha.agents) == 1)
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.spawn("alpha", "(+ 1 2)", nodes.token(), nonce=bytes(16))
        assert len(alpha.agents) == 0
        assert await nodes.result("alpha", "(+ 1 2)", nodes.token(), nonce=bytes(16)) == "3"


async def tips(nodes: Fleet, agent: bytes) -> list[bytes]:
    """Return the last block of each token that an agent holds, as its node shows them."""
    rows = (await nodes.ask("alpha", "agent.tokens", id=agent.hex()))["value"]
    return [Token.from_bytes(row["token"]).ids[-1] for row in rows]


def left(nodes: Fleet, token: Token) -> dict[Resource, int]:
    """Return what is left of a token's first block, for an agent that has no share."""
    data = nodes.delegate(token, "alpha", bytes(32))
    authority = nodes.nodes["alpha"].authority
    return authority.left(authority.verify_chain(data))[0]


async def test_a_renewal_that_is_not_written_leaves_the_old_tokens(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        first, second = (nodes.token(budget={Resource.ROWS: n}) for n in (20, 30))
        agent = await nodes.spawn("alpha", "(sleep 600000)", first, paused=True)
        (tip,) = before = await tips(nodes, agent)
        share = nodes.delegate(second, "alpha", agent, budget={Resource.ROWS: 5})
        renewed = {"id": agent.hex(), "old": (tip,), "tokens": (share,)}
        Writing(nodes.nodes["alpha"]).fail()
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.ask("alpha", "agent.renew", **renewed)
        assert await tips(nodes, agent) == before
        assert left(nodes, second) == {Resource.ROWS: 30}
        await nodes.ask("alpha", "agent.renew", **renewed)
        assert await tips(nodes, agent) == [Token.from_bytes(share).ids[-1]]
        assert left(nodes, second) == {Resource.ROWS: 25}
        await nodes.ask("alpha", "agent.kill", id=agent.hex())
        assert left(nodes, second) == {Resource.ROWS: 30}


async def test_tokens_of_who_could_not_be_let_go_on_are_not_its_own(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        purse = nodes.token(budget={Resource.ROWS: 30})
        agent = await nodes.spawn("alpha", "(sleep 600000)", paused=True)
        share = nodes.delegate(purse, "alpha", agent, budget={Resource.ROWS: 5})
        Writing(nodes.nodes["alpha"]).fail()
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(share,))
        assert await tips(nodes, agent) == []
        assert left(nodes, purse) == {Resource.ROWS: 30}


async def test_of_what_was_allowed_and_not_written_nothing_is_in_the_audit(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        decided = nodes.nodes["alpha"].authority.audit
        Writing(nodes.nodes["alpha"]).fail(
            lambda: any(one.resource == "alpha/pay" for one in decided._staged)
        )
        source = '(transact! "pay" [{:n 1}])'
        agent = await nodes.spawn("alpha", source, nodes.token((Verb.APPEND, "alpha/pay")))
        with trio.fail_after(20):
            await nodes.until("alpha", agent, "paused")
        await nodes.ask("alpha", "stream.transact", stream="s", data=(Map({Keyword("n"): 2}),))
        who = agent.hex()[:12]
        assert [row for row in await audit(nodes, "alpha") if row["who"] == who] == []
        await nodes.ask("alpha", "agent.resume", id=agent.hex())
        with trio.fail_after(20):
            await nodes.until("alpha", agent, "done")
        told = [row for row in await audit(nodes, "alpha") if row["who"] == who]
        assert [(row["resource"], row["allowed"]) for row in told] == [("alpha/pay", True)]


async def test_who_was_not_ended_has_its_budget(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        share = nodes.token(budget={Resource.ROWS: 5, Resource.MEM: 30 << 20})
        agent = await nodes.spawn("alpha", "(sleep 600000)", share, paused=True)
        before = left(nodes, share)
        Writing(nodes.nodes["alpha"]).fail()
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.ask("alpha", "agent.kill", id=agent.hex())
        assert left(nodes, share) == before == {Resource.ROWS: 5, Resource.MEM: 0}


async def test_rows_that_were_not_written_are_not_paid_for(tmp_path: Path) -> None:
    source = '(transact! "facts" [{:n 1} {:n 2}])'
    async with fleet(tmp_path, "alpha") as nodes:
        purse = nodes.token(budget={Resource.ROWS: 3})
        agent = await nodes.spawn("alpha", source, purse, paused=True)
        alpha = nodes.nodes["alpha"]
        Writing(alpha).fail(lambda: alpha.streams.exists("facts"))
        with trio.fail_after(20):
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            assert NO_ROOM in (await nodes.settled("alpha", agent))[1]["reason"]
            assert left(nodes, purse) == {Resource.ROWS: 3}
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            assert (await nodes.settled("alpha", agent))[1]["state"] == "done"
        assert left(nodes, purse) == {Resource.ROWS: 1}


async def test_what_somebody_could_not_write_they_have_not_paid_for(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        purse = nodes.token(budget={Resource.ROWS: 3})
        Writing(nodes.nodes["alpha"]).fail()
        async with nodes.connected("alpha", purse) as channel:
            body = Map({"stream": "facts", "data": (Map({Keyword("n"): 1}),)})
            with pytest.raises(RemoteError, match=NO_ROOM):
                await channel.request("stream.transact", body)
        assert left(nodes, purse) == {Resource.ROWS: 3}


async def test_who_could_not_begin_has_cost_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        spawner = nodes.token(budget={Resource.CHILDREN: 1})
        purse = nodes.token(budget={Resource.MEM: 30 << 20})
        code = compile_source("1", "test.clj").program
        await nodes.ask("alpha", "code.put", program=code.to_bytes())
        operator_key = nodes.cluster.operator_key.public
        agent = agent_id(operator_key, code.hash, bytes(16), nodes.cluster.home("alpha"))

        async def spawn(memory: int) -> None:
            share = nodes.delegate(purse, "alpha", agent, budget={Resource.MEM: memory})
            body = {"program": code.hash, "nonce": bytes(16), "tokens": (share,), "paused": True}
            async with nodes.connected("alpha", spawner) as channel:
                await channel.request("agent.spawn", Map(body))

        for memory, why in ((0, "0 mem left"), (100, "100 bytes"), (31 << 20, "mem left, not")):
            with pytest.raises(RemoteError, match=why):
                await spawn(memory)
        Writing(nodes.nodes["alpha"]).fail(lambda: len(nodes.nodes["alpha"].agents) == 1)
        with pytest.raises(RemoteError, match=NO_ROOM):
            await spawn(20 << 20)
        assert left(nodes, spawner) == {Resource.CHILDREN: 1}
        assert left(nodes, purse) == {Resource.MEM: 30 << 20}
        await spawn(20 << 20)
        assert left(nodes, spawner) == {Resource.CHILDREN: 0}
        assert left(nodes, purse) == {Resource.MEM: 10 << 20}


# -- what lasts is not undone --


async def at_effect(nodes: Fleet) -> Agent:
    """Return an agent whose machine waits for the answer of an effect."""
    agent = await nodes.spawn("alpha", '(transact! "log" [])', nodes.token(), paused=True)
    found = known(nodes, "alpha", agent)
    assert found.machine is not None
    assert found.machine.run(1_000_000) is Status.EFFECT
    await nodes.nodes["alpha"].agents.commit(found)
    return found


def status(nodes: Fleet, agent: Agent) -> Status:
    """Return where an agent goes on from."""
    nodes.nodes["alpha"].agents.load(agent)
    assert agent.machine is not None
    return agent.machine.status


class Commits:
    """Commits of an agent that is at an effect, in transactions that a test composes: what is between two gates is one."""

    def __init__(self, node: Node, agent: Agent, nursery: trio.Nursery) -> None:
        self._agents, self._agent, self._nursery = node.agents, agent, nursery
        self.failed: list[str] = []

    async def gate(self) -> Gate:
        """Have what is written wait."""
        gate = Gate()
        self._agents.submit(lambda batch: gate.wait(), lambda error: None)
        await trio.testing.wait_all_tasks_blocked()
        return gate

    async def commit(self, name: str, stage: Callable[[Batch], None]) -> None:
        """Have the agent written."""
        self._nursery.start_soon(self._commit, name, stage)
        await trio.testing.wait_all_tasks_blocked()

    async def _commit(self, name: str, stage: Callable[[Batch], None]) -> None:
        try:
            await self._agents.commit(self._agent, stage)
        except StorageError:
            self.failed.append(name)

    def answer(self, batch: Batch) -> None:
        """Answer the effect."""
        assert self._agent.machine is not None
        self._agent.machine.resume(None)


async def test_a_write_that_fails_undoes_nothing_that_lasts(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha, found, last = nodes.nodes["alpha"], await at_effect(nodes), list[int]()
        Writing(alpha).fail(lambda: bool(last))
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                commits = Commits(alpha, found, nursery)
                first = await commits.gate()
                second = await commits.gate()
                await commits.commit("effect", commits.answer)
                first.open()
                await second.reached.wait()  # the effect is in this transaction, and not done yet
                await commits.commit("later", lambda batch: last.append(1))
                second.open()
        assert commits.failed == ["later"]
        assert status(nodes, found) is not Status.EFFECT


async def test_of_two_writes_that_fail_together_both_are_undone(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha, found, last = nodes.nodes["alpha"], await at_effect(nodes), list[int]()
        Writing(alpha).fail(lambda: bool(last))
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                commits = Commits(alpha, found, nursery)
                gate = await commits.gate()
                await commits.commit("effect", commits.answer)
                await commits.commit("later", lambda batch: last.append(1))
                gate.open()
        assert sorted(commits.failed) == ["effect", "later"]
        assert status(nodes, found) is Status.EFFECT
