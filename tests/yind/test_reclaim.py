"""An agent whose target is gone for good: it stays frozen until a person takes it back, and that is on record."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
import trio.testing
from commands import beside
from fleet import Fleet, deaf, fleet, until
from writing import Writing

from capabilities.caveats import Resource
from capabilities.tokens import Token
from datomstore.value import Map
from protocol.errors import Unreachable
from protocol.messages import Go, Own
from protocol.records import Record
from protocol.transport import RemoteError
from yind.agent import decode_record
from yind.agents import AGENT_TABLE
from yind.config import AdmissionLimits
from yind.departures import LEAVING_TABLE, Departure, Departures
from yind.peers import Peers

HOP = """
(try (hop! "beta") (catch Exception e (log! (ex-message e))))
(transact! "done" [{:done (here)}])
(here)
"""
AUDIT = """
[:find ?who ?reason :where [?e :audit/verb :reclaim] [?e :audit/who ?who] [?e :audit/resource "beta"]
                           [?e :audit/reason ?reason]]
"""


async def frozen(nodes: Fleet) -> bytes:
    """Return an agent that waits for a node which is gone."""
    deaf(nodes.nodes["beta"], Go)
    agent = await nodes.spawn("alpha", HOP, nodes.token())
    await nodes.until("alpha", agent, "waiting")
    departures: Departures = nodes.nodes["alpha"].migration._departures
    await until(lambda: _is_given(departures, agent))
    await nodes.crash("beta")
    return agent


def _is_given(departures: Departures, agent: bytes) -> bool:
    departure = departures._under_way.get(agent)
    return departure is not None and departure.source.durable


async def row_of(nodes: Fleet, name: str, agent: bytes) -> Map:
    rows = (await nodes.ask(name, "agent.list"))["value"]
    (row,) = [Map(row.items()) for row in rows if row["id"] == agent]
    return row


async def test_the_image_of_an_agent_on_its_way_is_kept_once(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await frozen(nodes)
        alpha = nodes.nodes["alpha"]
        found = alpha.agents.get(agent)
        assert found is not None
        image = found.record.image
        with alpha.streams.batch() as batch:
            row, leaving = batch.get(AGENT_TABLE, agent), batch.get(LEAVING_TABLE, agent)
        assert row is not None
        assert leaving is not None
        assert decode_record(row).image == b""
        assert len(leaving) > len(image) > 0
        await nodes.crash("alpha")
        found = (await nodes.start("alpha")).agents.get(agent)
        assert found is not None
        assert found.record.image == image


async def test_an_agent_whose_target_is_gone_is_frozen_and_says_for_whom_it_waits(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await frozen(nodes)
        row = await row_of(nodes, "alpha", agent)
        assert (row["state"], row["travelling_to"]) == ("waiting", "beta")
        assert row["reason"].startswith("travelling to beta")
        assert row["since_ms"] >= row["created_ms"]
        await nodes.crash("alpha")
        await nodes.start("alpha")
        row = await row_of(nodes, "alpha", agent)
        assert (row["state"], row["travelling_to"]) == ("waiting", "beta")


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_agent_taken_back_by_force_goes_on_and_that_is_on_record(
    tmp_path: Path, restarted: bool
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await frozen(nodes)
        if restarted:
            await nodes.crash("alpha")
            await nodes.start("alpha")
        await nodes.ask("alpha", "agent.reclaim", id=agent.hex())
        place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"], row["result"]) == ("alpha", "done", '"alpha"')
        assert row["epoch"] == 2  # later than the one that beta may have
        answer = await nodes.ask("alpha", "query", stream="audit", query=AUDIT)
        ((who, reason),) = answer["value"]
        assert who == agent.hex()[:12]
        assert reason.startswith("possible duplicate: taken back from beta by force, by ")


class Away:
    """The other nodes, with none of which there is a connection yet."""

    def __init__(self, peers: Peers, channel: Callable[[str], Awaitable[NoReturn]]) -> None:
        self._peers = peers
        self.channel = channel

    def open_channel(self, name: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peers, name)


async def test_what_comes_to_nothing_later_says_nothing_of_who_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await frozen(nodes)
        alpha, tried, fails = nodes.nodes["alpha"], trio.Event(), trio.Event()

        async def channel(name: str) -> NoReturn:
            tried.set()
            await fails.wait()
            raise Unreachable("no answer")

        departures = alpha.migration._departures
        monkeypatch.setattr(departures, "_peers", Away(alpha.peers, channel))
        with trio.fail_after(20):
            await tried.wait()
        await nodes.ask("alpha", "agent.reclaim", id=agent.hex())
        await nodes.settled("alpha", agent)
        fails.set()
        await trio.testing.wait_all_tasks_blocked()
        row = await row_of(nodes, "alpha", agent)
        assert (row["state"], row["reason"]) == ("done", "")


def left_of(nodes: Fleet, token: Token, agent: bytes) -> int:
    authority = nodes.nodes["alpha"].authority
    chain = authority.verify_chain(nodes.delegate(token, "alpha", agent))
    return authority.left(chain)[0][Resource.ROWS]


async def test_of_two_people_who_take_an_agent_back_one_does_and_the_other_keeps_what_they_gave(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await frozen(nodes)
        purses = [nodes.token(budget={Resource.ROWS: 100}) for _ in range(2)]
        told: list[str] = []

        async def take_back(purse: Token) -> None:
            share = nodes.delegate(purse, "alpha", agent, budget={Resource.ROWS: 60})
            try:
                await nodes.ask("alpha", "agent.reclaim", id=agent.hex(), tokens=(share,))
                told.append("taken back")
            except RemoteError as error:
                told.append(error.code)

        gate = Writing(nodes.nodes["alpha"]).gate()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_back, purses[0])
            await gate.reached.wait()  # the first is being written
            nursery.start_soon(take_back, purses[1])
            with trio.move_on_after(5):  # its refusal waits behind that
                await until(lambda: bool(nodes.nodes["alpha"].agents._commits._waiting))
            gate.open()
        assert sorted(told) == ["agent/state", "taken back"]
        await nodes.settled("alpha", agent)
        # what the one gave was good for a fact; of what the other gave nothing is missing
        assert sorted(left_of(nodes, purse, agent) for purse in purses) == [99, 100]


async def test_who_takes_back_an_agent_that_has_gone_is_told_at_once_and_keeps_what_they_gave(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        lost = deaf(nodes.nodes["alpha"], Own)
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        await until(lambda: bool(lost))
        purse = nodes.token(budget={Resource.ROWS: 100})
        share = nodes.delegate(purse, "alpha", agent, budget={Resource.ROWS: 60})
        lost[0]()  # which is written down some time later
        with pytest.raises(RemoteError, match="agent/state"):
            await nodes.ask("alpha", "agent.reclaim", id=agent.hex(), tokens=(share,))
        assert left_of(nodes, purse, agent) == 100


ONWARD = """
(hop! "beta")
(try (hop! "gamma") (catch Exception e nil))
[(try (hop! "alpha") (catch Exception e "stays")) (here)]
"""


@pytest.mark.parametrize("renewed", [False, True])
async def test_an_agent_taken_back_travels_on_with_tokens_of_the_person_only(
    tmp_path: Path, renewed: bool
) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        deaf(nodes.nodes["gamma"], Go)
        agent = await nodes.spawn("alpha", ONWARD, nodes.token())
        departures: Departures = nodes.nodes["beta"].migration._departures
        await until(lambda: _is_given(departures, agent))
        await nodes.crash("gamma")
        tokens = (nodes.delegate(nodes.token(), "beta", agent),) if renewed else ()
        await nodes.ask("beta", "agent.reclaim", id=agent.hex(), tokens=tokens)
        with trio.fail_after(30):
            place, row = await nodes.settled("beta", agent)
        assert row["state"] == "done", (row["reason"], row["fault"])
        expected = ("alpha", '["alpha" "alpha"]') if renewed else ("beta", '["stays" "beta"]')
        assert (place, row["result"]) == expected


async def test_a_person_is_told_how_to_take_it_back_and_what_it_needs_to_travel_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        yin = partial(beside, nodes.cluster, capsys)
        deaf(nodes.nodes["gamma"], Go)
        away = '(do (hop! "beta") (hop! "gamma"))'
        agent = (await nodes.spawn("alpha", away, nodes.token())).hex()
        departures: Departures = nodes.nodes["beta"].migration._departures
        await until(lambda: _is_given(departures, bytes.fromhex(agent)))
        await nodes.crash("gamma")
        force = f"try: yin migrate {agent[:12]} --force, if gamma is gone for good"
        for command in (("pause", agent), ("resume", agent), ("migrate", agent, "alpha")):
            answer = await yin(*command)
            assert (answer.code, force in answer.err) == (6, True), command
        answer = await yin("migrate", agent, "--force")
        renew = f"yin token renew --all {agent[:12]}"
        assert (answer.code, renew in answer.err) == (0, True)
        await nodes.settled("beta", bytes.fromhex(agent))
        answer = await yin("migrate", agent, "alpha")
        assert (answer.code, f"try: {renew}" in answer.err) == (10, True)
        assert (await yin("token", "renew", "--all", agent)).code == 0
        assert (await yin("migrate", agent, "alpha")).code == 0


async def test_a_policy_is_asked_about_tokens_that_are_given_with_it(tmp_path: Path) -> None:
    policy = tmp_path / "none.edn"
    policy.write_text('[[(violation ?token "no token here") [_ :agent/token ?token]]]')
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await frozen(nodes)
        nodes.nodes["alpha"].admission.reload(AdmissionLimits(policies=(str(policy),)))
        tokens = (nodes.delegate(nodes.token(), "alpha", agent),)
        with pytest.raises(RemoteError, match="no token here") as refused:
            await nodes.ask("alpha", "agent.reclaim", id=agent.hex(), tokens=tokens)
        assert refused.value.code == "admission/refused"
        assert (await row_of(nodes, "alpha", agent))["state"] == "waiting"
        await nodes.ask("alpha", "agent.reclaim", id=agent.hex())
        with trio.fail_after(20):
            assert (await nodes.settled("alpha", agent))[1]["state"] == "done"


async def test_an_agent_that_waits_for_nobody_cannot_be_taken_back(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(sleep 60000)", nodes.token())
        with pytest.raises(RemoteError, match="does not wait for another node"):
            await nodes.ask("alpha", "agent.reclaim", id=agent.hex())


async def test_what_comes_back_while_it_is_taken_by_force_comes_too_late(tmp_path: Path) -> None:
    """It is held here already when a person decides; from then on it is given to nobody."""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, go = nodes.nodes["alpha"], threading.Event()
        departures, arrivals = alpha.migration._departures, alpha.migration._arrivals
        deaf(alpha, Own)
        heard = deaf(alpha, Go)
        agent = await nodes.spawn(
            "alpha", '(do (hop! "beta") (hop! "alpha") (here))', nodes.token()
        )
        await until(lambda: arrivals._target(agent).held is not None and heard)
        real = departures._persist

        def persist(departure: Departure, record: Record, *, later: bool) -> None:
            alpha.agents.submit(lambda batch: _wait(go), lambda error: None)  # a slow disk
            real(departure, record, later=later)

        departures._persist = persist  # type: ignore[method-assign]
        found = alpha.agents.get(agent)
        assert found is not None
        async with nodes.connected("alpha") as channel, trio.open_nursery() as nursery:
            nursery.start_soon(channel.request, "agent.reclaim", Map({"id": agent.hex()}))
            record = found.record
            await until(lambda: record.epoch > 0)
            heard[0]()
            assert alpha.agents.get(agent) is found
            go.set()
        assert arrivals._target(agent).held is None
        await nodes.crash("alpha")
        alpha = await nodes.start("alpha")
        found = alpha.agents.get(agent)
        assert found is not None
        assert found.record.epoch == 2
        assert not found.ended
        assert not alpha.migration.holds(found)


def _wait(go: threading.Event) -> None:
    assert go.wait(20)
