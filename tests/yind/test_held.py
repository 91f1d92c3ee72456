"""What changes while an agent is held is looked at when it is taken: from then on nothing can be refused, and no error ends the node."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from fleet import Fleet, deaf, fleet, until

from capabilities import budget
from capabilities.budget import Account
from capabilities.caveats import Resource
from capabilities.revocation import Revocation
from capabilities.tokens import Token
from protocol.errors import RemoteError
from protocol.messages import Go
from tests.yind.test_giving import NOT_FROM_ALPHA, WRITE, given, strict
from tests.yind.test_taken import arrivals_of, asleep
from yind.agent import Agent, State
from yind.config import AdmissionLimits
from yind.node import Node

MB = 1 << 20
HOP = '(try (do (hop! "beta") (here)) (catch Exception e (ex-message e)))'
NOBODY = '[[(violation ?a "nobody is let in") [?a :agent/from "alpha"]]]'


def purse(nodes: Fleet, **amounts: int) -> Token:
    return nodes.token(budget={Resource[name.upper()]: n for name, n in amounts.items()})


def agent_of(node: Node, agent: bytes) -> Agent:
    found = node.agents.get(agent)
    assert found is not None
    return found


async def held(nodes: Fleet, source: str, *tokens: Token) -> tuple[bytes, Callable[[], None]]:
    """Return an agent that beta holds, and what lets beta have the Go for it."""
    beta = nodes.nodes["beta"]
    goes = deaf(beta, Go)
    agent = await nodes.spawn("alpha", source, *tokens)
    await until(lambda: goes and arrivals_of(beta)._target(agent).held is not None)
    return agent, goes[-1]


def crowd(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a node's meter be full."""
    monkeypatch.setattr(budget, "METER_ENTRIES_MAX", 50)
    rows = {bytes([number]) * 32: Account(4_000_000_000) for number in range(50)}
    node.authority._meter._accounts.update(rows)


def make_room(node: Node) -> None:
    for number in range(50):
        del node.authority._meter._accounts[bytes([number]) * 32]


@pytest.mark.parametrize("resource", ["mem", "fuel"])
async def test_where_the_meter_is_full_who_has_a_budget_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        crowd(nodes.nodes["beta"], monkeypatch)
        agent = await nodes.spawn("alpha", HOP, purse(nodes, **{resource: 50 * MB}))
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, "the meter is full" in row["result"]) == ("alpha", True), row


@pytest.mark.parametrize("resource", ["mem", "fuel"])
async def test_a_meter_that_is_full_by_then_pauses_who_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent, go = await held(nodes, HOP, purse(nodes, **{resource: 50 * MB}))
        beta = nodes.nodes["beta"]
        crowd(beta, monkeypatch)
        go()
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"]) == ("beta", "paused")
        assert "the meter is full" in row["reason"]
        make_room(beta)
        await nodes.ask("beta", "agent.resume", id=agent.hex(), tokens=())
        with trio.fail_after(30):
            _, row = await nodes.settled("beta", agent)
        assert row["result"] == '"beta"'


async def test_what_a_full_meter_counts_all_the_same_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = '(do (hop! "beta") (hop! "alpha") (here))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        goes = deaf(alpha, Go)
        agent = await nodes.spawn("alpha", back, purse(nodes, mem=50 * MB))
        await until(lambda: goes and arrivals_of(alpha)._target(agent).held is not None)
        full = len(alpha.authority._meter._accounts)
        monkeypatch.setattr(budget, "METER_ENTRIES_MAX", full)
        goes[-1]()  # it comes back, and with it what has to be counted
        with trio.fail_after(30):
            await nodes.settled("alpha", agent)
        assert len(alpha.authority._meter._accounts) > full
        await nodes.crash("alpha")
        assert (await nodes.start("alpha")).agents.get(agent) is not None


async def test_memory_that_another_has_taken_by_then_pauses_who_is_taken(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = purse(nodes, mem=50 * MB)
        agent, go = await held(nodes, HOP, token)
        other = await nodes.spawn("beta", "(sleep 600000)", token, memory_max=30 * MB)
        go()
        with trio.fail_after(30):
            await nodes.until("beta", agent, "paused")
        beta = nodes.nodes["beta"]
        record = agent_of(beta, agent).record
        why = f"has {20 * MB} mem left, not {50 * MB}"
        assert (why in record.reason, record.memory_held) == (True, None)
        with pytest.raises(RemoteError, match=why):
            await nodes.ask("beta", "agent.resume", id=agent.hex(), tokens=())
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "moved")
        await nodes.crash("beta")
        beta = await nodes.start("beta")
        assert agent_of(beta, agent).record.state is State.PAUSED
        await nodes.ask("beta", "agent.kill", id=other.hex())
        await nodes.ask("beta", "agent.resume", id=agent.hex(), tokens=())
        with trio.fail_after(30):
            _, row = await nodes.settled("beta", agent)
        assert row["result"] == '"beta"'


async def test_who_comes_back_may_use_what_went_with_it(tmp_path: Path) -> None:
    source = '(do (hop! "beta") (hop! "alpha") (sleep 600000))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, purse(nodes, mem=50 * MB))
        alpha = nodes.nodes["alpha"]
        await until(lambda: agent_of(alpha, agent).record.epoch == 2)
        record = agent_of(alpha, agent).record
        assert (record.memory_max, record.memory_held is not None) == (50 * MB, True)


async def test_taken_back_it_goes_on_as_far_as_its_tokens_still_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.departures.HAND_OFF_CANCEL_S", 0.2)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent, _ = await held(nodes, HOP, purse(nodes, mem=50 * MB))
        alpha = nodes.nodes["alpha"]
        crowd(alpha, monkeypatch)
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, "withdrew" in row["result"]) == ("alpha", True), row["reason"]


@pytest.mark.parametrize("crash", [False, True])
async def test_what_is_revoked_while_it_is_held_pauses_it(tmp_path: Path, *, crash: bool) -> None:
    source = '(do (hop! "beta") (loop [] (recur)))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token()
        agent, go = await held(nodes, source, token)
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "beta", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        go()
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "moved")
        if crash:
            await nodes.crash("beta")
            await nodes.start("beta")
        found = agent_of(nodes.nodes["beta"], agent)
        assert (found.record.state, found.record.reason) == (
            State.PAUSED,
            "token revoked: block 0",
        )


@pytest.mark.parametrize("stale", [False, True])
async def test_who_comes_paused_by_a_person_does_not_lack_what_was_revoked_meanwhile(
    tmp_path: Path, *, stale: bool
) -> None:
    """Else it would go on with other tokens, though nobody has let it; who waits for a list waits for what that says."""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, beta, token = nodes.nodes["alpha"], nodes.nodes["beta"], nodes.token()
        agent = await nodes.spawn("alpha", "(loop [] (recur))", token)
        if stale:
            alpha.authority.revage = -1  # no list is as fresh
        else:
            await nodes.ask("alpha", "agent.pause", id=agent.hex())
        with trio.fail_after(10):
            await nodes.until("alpha", agent, "paused")
        lost = deaf(beta, Go)
        async with trio.open_nursery() as nursery:
            move = partial(nodes.ask, "alpha", "agent.migrate", id=agent.hex(), node="beta")
            nursery.start_soon(move)
            await until(lambda: lost)
            said = Revocation.sign(nodes.cluster.root_key, token, 0)
            await beta.revocations.take([said])
            lost[0]()
        row = agent_of(beta, agent).record
        told = ("token revoked: block 0", "a token that is not revoked")
        assert (row.reason, row.denied_right) == (told if stale else ("paused by a person", None))


async def test_who_was_to_pause_for_a_revocation_does_after_a_crash(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("alpha", "(loop [] (recur))", token)
        alpha = nodes.nodes["alpha"]
        alpha.revocations.pause_revoked = lambda: None  # type: ignore[method-assign]  # it comes no further
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        await nodes.crash("alpha")
        await nodes.start("alpha")
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "paused")


async def test_what_is_revoked_stops_who_has_not_been_loaded(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("alpha", "(sleep 600000)", token)
        found = agent_of(nodes.nodes["alpha"], agent)
        await nodes.until("alpha", agent, "waiting")
        found.tokens = []  # as after a restart
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        answer = await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        assert answer["paused"] == 1
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "paused")


async def test_what_is_held_is_asked_about_again_when_other_policies_are_in_force(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = nodes.nodes["beta"]
        hears = beta.peers.message
        agent, go = await held(nodes, HOP, nodes.token())
        beta.peers.message = hears  # from now on
        path = tmp_path / "policy.edn"
        path.write_text(NOBODY)
        beta.admission.reload(AdmissionLimits(policies=(str(path),)))
        go()
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, "nobody is let in" in row["result"]) == ("alpha", True), row["result"]


async def test_policies_that_change_during_a_check_are_asked(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = nodes.nodes["beta"]
        path = tmp_path / "policy.edn"
        path.write_text(NOBODY)
        arriving = beta.admission.arriving
        asked: list[object] = []

        async def arrives(*what: object) -> None:
            asked.append(what)
            if len(asked) == 1:
                beta.admission.reload(AdmissionLimits(policies=(str(path),)))
            else:
                await arriving(*what)  # type: ignore[arg-type]

        beta.admission.arriving = arrives  # type: ignore[method-assign,assignment]
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, len(asked)) == ("alpha", 2)
        assert "nobody is let in" in row["result"]


async def test_a_policy_is_told_who_gave_an_agent_before_that_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.arrivals.COMMIT_LATER_S", 1000)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, tmp_path, NOT_FROM_ALPHA)
        beta = nodes.nodes["beta"]
        asleep(beta)
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        await until(lambda: beta.agents.get(agent) is not None)
        more = (given(nodes, agent, WRITE),)
        with pytest.raises(RemoteError, match="alpha's have one token"):
            await nodes.ask("beta", "agent.renew", id=agent.hex(), old=(), tokens=more)
