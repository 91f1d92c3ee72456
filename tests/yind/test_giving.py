"""Policies that read tokens are asked again before an agent gets some that it did not arrive with."""

from __future__ import annotations

import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet
from writing import Gate, Writing

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.handles import Handle
from capabilities.tokens import Token, mint
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from protocol.messages import Item
from yind.agent import Agent, State
from yind.cesk import StateInvalid, Status
from yind.config import AdmissionLimits, Answers
from yind.fields import Fields
from yind.session import Session

NO_APPENDS = """
[[(violation ?token ?why) [_ :agent/token ?token] [?token :token/verb :append] [?token :token/name ?name]
  [(str ?name " may append") ?why]]]
"""
WRITERS_WRITE = """
[[(violation ?node "who can append has but one token")
  (reaches ?node :stream/write) [_ :agent/token ?one] [_ :agent/token ?other] [(not= ?one ?other)]]]
"""
NOT_FROM_ALPHA = """
[[(violation ?agent "alpha's have one token")
  [?agent :agent/from "alpha"] [?agent :agent/token ?one] [?agent :agent/token ?other] [(not= ?one ?other)]]]
"""
TWO_AT_MOST = """
[[(violation ?c "two at most") [_ :agent/token ?a] [_ :agent/token ?b] [_ :agent/token ?c]
  [(not= ?a ?b)] [(not= ?a ?c)] [(not= ?b ?c)]]]
"""
ASK = '(try (request-token {:verbs [:append] :streams ["beta/log"]}) (catch Exception e :refused))'
READ = (Verb.READ, "**")
WRITE = (Verb.APPEND, "**")
MOVE = (Verb.MIGRATE, "**")


async def strict(nodes: Fleet, folder: Path, policy: str, **more: object) -> None:
    """Start beta again, with a policy."""
    path = folder / "policy.edn"
    path.write_text(policy)
    await nodes.stop("beta")
    await nodes.start("beta", admission=AdmissionLimits(policies=(str(path),)), **more)


def given(nodes: Fleet, agent: bytes, *rights: tuple[Verb, str]) -> bytes:
    return nodes.delegate(nodes.token(*rights), "beta", agent)


def held(nodes: Fleet, agent: bytes) -> list[bytes]:
    found = nodes.nodes["beta"].agents.get(agent)
    assert found is not None
    return found.record.tokens


async def refused(nodes: Fleet, verb: str, **fields: object) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await nodes.ask("beta", verb, **fields)
    assert caught.value.code == "admission/refused"
    return caught.value


async def why_not(nodes: Fleet) -> list[str]:
    """Return what beta did not let agents have."""
    query = "[:find ?e ?why :where [?e :audit/verb :give] [?e :audit/allowed false] [?e :audit/reason ?why]]"
    rows = (await nodes.ask("beta", "query", stream="audit", query=query))["value"]
    return [why for _, why in sorted(rows)]


async def test_what_a_policy_refuses_at_the_door_is_not_given_inside(tmp_path: Path) -> None:
    async with fleet(tmp_path, "beta") as nodes:
        await strict(nodes, tmp_path, NO_APPENDS)
        agent = await nodes.spawn("beta", "(do (sleep 1) :slept)", nodes.token(READ), paused=True)
        before = list(held(nodes, agent))
        told = await refused(
            nodes, "agent.resume", id=agent.hex(), tokens=(given(nodes, agent, WRITE),)
        )
        data: Any = told.data
        (violation,) = data[Keyword("violations")]
        assert violation[Keyword("policy")] == "policy"
        assert violation[Keyword("message")] == "token 2 may append"
        old = Token.from_bytes(before[0]).ids[-1]
        more = {"old": (old,), "tokens": (given(nodes, agent, READ, WRITE),)}
        told = await refused(nodes, "agent.renew", id=agent.hex(), **more)
        assert "token 1 may append [policy]" in told.message  # it would not have the old one
        assert held(nodes, agent) == before
        assert [f"agent {agent.hex()[:12]}" in why for why in await why_not(nodes)] == [True, True]
        await nodes.ask(
            "beta", "agent.renew", id=agent.hex(), old=(old,), tokens=(given(nodes, agent, READ),)
        )
        await nodes.ask("beta", "agent.resume", id=agent.hex(), tokens=(given(nodes, agent, READ),))
        assert len(held(nodes, agent)) == 2
        with trio.fail_after(20):
            assert (await nodes.settled("beta", agent))[1]["result"] == ":slept"


async def test_a_request_that_a_policy_refuses_stays_open_and_can_be_refused(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "beta") as nodes:
        await strict(nodes, tmp_path, NO_APPENDS)
        agent = await nodes.spawn("beta", ASK)
        await nodes.settled("beta", agent)
        (request,) = (await nodes.ask("beta", "request.list"))["value"]
        await refused(
            nodes, "request.grant", id=request["id"], tokens=(given(nodes, agent, WRITE),)
        )
        assert held(nodes, agent) == []
        await nodes.ask("beta", "request.refuse", id=request["id"], reason="policy")
        with trio.fail_after(20):
            assert (await nodes.settled("beta", agent))[1]["result"] == ":refused"


async def test_rules_grant_nothing_that_a_policy_refuses(tmp_path: Path) -> None:
    async with fleet(tmp_path, "beta") as nodes:
        (tmp_path / "rules.edn").write_text(
            "[[(grant ?r ?v ?s) [?r :request/verb ?v] [?r :request/stream ?s]]]"
        )
        caveats = Caveats(exp=4_000_000_000, rights=(Rights(Verb.APPEND | Verb.READ, "**"),))
        token = mint(nodes.cluster.root_key, nodes.cluster.node("beta").key, caveats)
        (tmp_path / "token").write_text(token.to_text())
        answers = Answers(rules=str(tmp_path / "rules.edn"), token=str(tmp_path / "token"))
        await strict(nodes, tmp_path, NO_APPENDS, requests=answers)
        agent = await nodes.spawn("beta", ASK)
        with trio.fail_after(20):
            await nodes.settled("beta", agent)
        ((request),) = (await nodes.ask("beta", "request.list"))["value"]  # left to a person
        assert request["agent"] == agent
        assert held(nodes, agent) == []
        (why,) = await why_not(nodes)
        assert "token 1 may append" in why


async def test_an_agent_that_runs_is_asked_about_where_it_stands_and_goes_on(
    tmp_path: Path,
) -> None:
    source = """
    (when (nil? *args*) (transact! "log" []))
    (log! "past it")
    (loop [n 0] (if *args* (recur (inc n)) n))
    """
    writer = """
    (log! "before it")
    (loop [n 0] (if (< n -1) (transact! "log" []) (recur (inc n))))
    """
    async with fleet(tmp_path, "beta") as nodes:
        await strict(nodes, tmp_path, WRITERS_WRITE)
        for text, fits in ((source, True), (writer, False)):
            agent = await nodes.spawn("beta", text, nodes.token(READ))
            fields = {"id": agent.hex(), "old": (), "tokens": (given(nodes, agent, READ),)}
            found = nodes.nodes["beta"].agents.get(agent)
            assert found is not None
            with trio.fail_after(20):
                await has_logged(nodes, agent)
                if fits:
                    answer = await nodes.ask("beta", "agent.renew", **fields)
                    assert answer["state"] == "ready"
                else:
                    await refused(nodes, "agent.renew", **fields)
                await goes_on(found)
            assert len(found.tokens) == (2 if fits else 1)
            await nodes.ask("beta", "agent.kill", id=agent.hex())


async def has_logged(nodes: Fleet, agent: bytes) -> None:
    """Return when an agent has logged something."""
    async with (
        nodes.connected("beta") as channel,
        aclosing(channel.stream("agent.follow", Map({"id": agent.hex()}))) as news,
    ):
        async for item in news:
            assert isinstance(item, Item), item
            if item.body["kind"] == "log":
                return


async def goes_on(agent: Agent) -> None:
    """Return when an agent has had another turn, and was saved after it."""
    saved = trio.Event()
    agent.watchers.add(lambda event: saved.set())
    await saved.wait()


async def test_of_two_who_give_at_once_the_second_is_asked_with_what_the_first_gave(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "beta") as nodes:
        await strict(nodes, tmp_path, TWO_AT_MOST)
        agent = await nodes.spawn("beta", "(loop [n 0] (recur (inc n)))", nodes.token(READ))
        told: list[str] = []

        async def give() -> None:
            fields = {"id": agent.hex(), "old": (), "tokens": (given(nodes, agent, READ),)}
            try:
                await nodes.ask("beta", "agent.renew", **fields)
                told.append("given")
            except RemoteError as error:
                told.append(error.code)

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(give)
        assert sorted(told) == ["admission/refused", "admission/refused", "given"]
        assert len(held(nodes, agent)) == 2


async def test_a_policy_still_knows_where_the_agent_came_from(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, tmp_path, NOT_FROM_ALPHA)
        agent = await nodes.spawn(
            "alpha",
            '(do (hop! "beta") (here) (q (quote [:find ?e :where [?e :n _]]) "facts"))',
            nodes.token(MOVE),
        )
        with trio.fail_after(20):
            place, _ = await nodes.settled("alpha", agent)
        here = await nodes.spawn("beta", "(sleep 1)", nodes.token(READ), paused=True)
        await nodes.ask("beta", "agent.resume", id=here.hex(), tokens=(given(nodes, here, READ),))
        fields = {"id": agent.hex(), "old": (), "tokens": (given(nodes, agent, READ),)}
        assert place == "beta"
        await refused(nodes, "agent.renew", **fields)


class Computing:
    """A machine that takes as long as a test wants for what it does in a thread."""

    def __init__(self, machine: Any) -> None:
        self._machine = machine
        self._loop = threading.current_thread()
        self.slice = Gate()
        self._runs = False

    def run(self, fuel: int) -> Status:
        if threading.current_thread() is not self._loop:
            self._runs = True
            self.slice.wait()
            self._runs = False
        status: Status = self._machine.run(fuel)
        return status

    def image(self) -> bytes:
        if self._runs:
            raise StateInvalid("the machine is running")
        image: bytes = self._machine.image()
        return image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)


async def test_an_agent_that_computes_is_renewed_when_its_slice_has_ended(tmp_path: Path) -> None:
    async with fleet(tmp_path, "beta") as nodes:
        agent = await nodes.spawn("beta", "(loop [] (recur))", nodes.token(READ), paused=True)
        beta = nodes.nodes["beta"]
        found = beta.agents.get(agent)
        assert found is not None
        machine = Computing(found.machine)
        found.machine = machine  # type: ignore[assignment]
        told: list[Map] = []
        before = list(found.record.tokens)
        fields = {"old": tuple(Token.from_bytes(data).ids[-1] for data in before)}

        async def renew() -> None:
            tokens = (given(nodes, agent, READ),)
            told.append(
                await nodes.ask("beta", "agent.renew", id=agent.hex(), tokens=tokens, **fields)
            )

        with trio.fail_after(20):
            await nodes.ask("beta", "agent.resume", id=agent.hex())
            await machine.slice.reached.wait()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(renew)
                while found.held is None and found.record.tokens == before:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                await beta.agents.write(lambda batch: None)  # after all that was to be written
                assert (told, found.record.tokens) == ([], before)
                machine.slice.open()
            assert [row["state"] for row in told] == ["ready"]
            assert found.record.tokens != before
            await goes_on(found)


async def test_an_agent_that_is_to_wait_for_long_is_not_waited_for(tmp_path: Path) -> None:
    source = "(loop [i 0] (when (< i 100000) (recur (inc i)))) (sleep 600000)"
    async with fleet(tmp_path, "beta") as nodes:
        agent = await nodes.spawn("beta", source, nodes.token(READ), paused=True)
        found = nodes.nodes["beta"].agents.get(agent)
        assert found is not None
        machine = Computing(found.machine)
        found.machine = machine  # type: ignore[assignment]
        with trio.fail_after(20):
            await nodes.ask("beta", "agent.resume", id=agent.hex())
            await machine.slice.reached.wait()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(waits, nodes, agent)
                while found.held is None:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                machine.slice.open()
        assert found.record.state is State.WAITING


async def waits(nodes: Fleet, agent: bytes) -> None:
    with pytest.raises(RemoteError, match="waiting: timer"):
        await nodes.ask(
            "beta", "agent.renew", id=agent.hex(), old=(), tokens=(given(nodes, agent, READ),)
        )


async def test_an_answer_to_a_request_waits_until_its_pause_is_written(tmp_path: Path) -> None:
    async with fleet(tmp_path, "beta") as nodes:
        beta = nodes.nodes["beta"]
        agent = await nodes.spawn("beta", ASK, paused=True)
        found = beta.agents.get(agent)
        assert found is not None
        gate = Writing(beta).gate(
            lambda: found.record.asked is not None and found.record.state is State.PAUSED
        )
        with trio.fail_after(20):
            await nodes.ask("beta", "agent.resume", id=agent.hex())
            await gate.reached.wait()
            assert found.record.asked is not None
            session = Session(nodes.cluster.operator_key.public)
            session.tokens = [operator(nodes)]
            fields = Fields(Map({"id": found.record.asked.id}))
            refuse = beta.control._about_tokens["request.refuse"]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refuse, session, fields, unsent)
                await trio.testing.wait_all_tasks_blocked()
                assert (found.record.state, found.running) == (State.PAUSED, True)
                gate.open()
            assert (await nodes.settled("beta", agent))[1]["result"] == ":refused"


def operator(nodes: Fleet) -> Handle:
    authority = nodes.nodes["beta"].authority
    data, key = nodes.cluster.operator_token.to_bytes(), nodes.cluster.operator_key.public
    return authority.handle(authority.verify(data, key), None)


async def unsent(item: Map) -> None:
    pass
