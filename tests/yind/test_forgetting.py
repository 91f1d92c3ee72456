"""What a node knew of agents that are not there is forgotten in the end, and what is forgotten is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing
from dishonest import besieged
from fleet import Fleet, fleet

from datomstore.value import Map
from protocol.errors import Unreachable
from protocol.handoff import NOTHING_FORGOTTEN, Received, attempt_bytes, new_attempt
from protocol.messages import CancelOffer, Go, HandOff, Offer
from protocol.transport import Channel
from yind.clock import System
from yind.departures import RECORD_TABLE
from yind.node import Node

HOUR_MS = 3_600_000
HOP = '(hop! "beta") (here)'
NOT_HEARD = """
[:find ?e ?who :where [?e :audit/verb :migrate] [?e :audit/allowed false] [?e :audit/who ?who]
                      [?e :audit/reason ?why] [(clojure.string/includes? ?why "not heard")]]
"""


class Ahead(System):
    """A clock that is ahead of the machine's."""

    def __init__(self, ahead_ms: int) -> None:
        super().__init__()
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._ahead_ms


class Gone:
    """A channel that ends."""

    ended = False

    def send_nowait(self, message: HandOff) -> None:
        raise Unreachable("gone")


async def forgotten_by(node: Node, ahead_ms: int) -> int:
    node.migration.forgetting._clock = Ahead(ahead_ms)
    return await node.migration.forgetting.sweep()


async def hopped(nodes: Fleet) -> bytes:
    """Return an agent that has left alpha and ended at beta; its tokens last an hour."""
    agent = await nodes.spawn("alpha", HOP, nodes.token(ttl_s=3600))
    place, row = await nodes.settled("alpha", agent)
    assert (place, row["state"]) == ("beta", "done")
    await nodes.until("alpha", agent, "moved")
    return agent


async def until_settled(node: Node, agent: bytes) -> None:
    """Return when what a node knows of an agent is on the disk."""
    with trio.fail_after(30):
        while node.migration._arrivals.expects(agent):
            await trio.testing.wait_all_tasks_blocked()


async def known(nodes: Fleet, name: str) -> list[Map]:
    return list((await nodes.ask(name, "agent.list"))["value"])


async def test_a_tombstone_is_forgotten_when_the_tokens_have_expired_and_a_day_has_passed(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await hopped(nodes)
        alpha = nodes.nodes["alpha"]
        assert await forgotten_by(alpha, 0) == 0
        assert await forgotten_by(alpha, 23 * HOUR_MS) == 0, "an attempt may still be under way"
        assert await forgotten_by(alpha, 25 * HOUR_MS) == 1
        assert await known(nodes, "alpha") == []
        target = alpha.migration._arrivals._target(agent)
        assert target.forgotten > NOTHING_FORGOTTEN
        await alpha.agents.write(lambda batch: None)
        await nodes.crash("alpha")
        again = await nodes.start("alpha")
        assert await known(nodes, "alpha") == []
        assert again.migration._arrivals._target(agent) == target


async def test_a_tombstone_is_kept_while_a_token_is_worth_something(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", HOP, nodes.token(ttl_s=100 * 3600))
        await nodes.settled("alpha", agent)
        await nodes.until("alpha", agent, "moved")
        assert await forgotten_by(nodes.nodes["alpha"], 99 * HOUR_MS) == 0
        assert await forgotten_by(nodes.nodes["alpha"], 101 * HOUR_MS) == 1


async def test_an_agent_that_ended_here_is_not_forgotten(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await hopped(nodes)
        assert await forgotten_by(nodes.nodes["beta"], 1_000 * HOUR_MS) == 0
        assert len(await known(nodes, "beta")) == 1


async def test_refusals_of_agents_that_never_came_are_forgotten_a_day_later(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        arrivals = alpha.migration._arrivals
        attempt = new_attempt(System().now_ms(), b"\x01" * 10)
        cancel = CancelOffer(b"a" * 32, 1, attempt_bytes(attempt))
        arrivals._tell(Gone(), cancel.agent, Received(cancel, b"k" * 32))  # type: ignore[arg-type]
        await until_settled(alpha, cancel.agent)
        assert arrivals.known() == [cancel.agent]
        assert await forgotten_by(alpha, 23 * HOUR_MS) == 0
        assert await forgotten_by(alpha, 25 * HOUR_MS) == 1
        assert arrivals._target(cancel.agent).forgotten == attempt


async def test_an_attempt_that_says_it_is_of_the_future_is_not_heard(tmp_path: Path) -> None:
    async with besieged(tmp_path, "beta") as (nodes, mallory):
        beta = nodes.nodes["beta"]
        now_ms = beta.clock.now_ms()
        ahead = [new_attempt(now_ms + hours * HOUR_MS, b"\x01" * 10) for hours in (23, 25, 10**6)]
        async with mallory.connected("beta") as channel:
            for number, attempt in enumerate(ahead):
                cancel = CancelOffer(bytes([number]) * 32, 1, attempt_bytes(attempt))
                await channel.send(cancel)
                await channel.send(cancel)
            with trio.fail_after(30):
                await mallory.answered.wait()
            await channel.request("node.info")  # what came before has been taken
        assert {answer.agent[0] for answer in mallory.answers} == {0}
        assert beta.migration._arrivals.known() == [bytes(32)]
        rows = (await nodes.ask("beta", "query", stream="audit", query=NOT_HEARD))["value"]
        assert [who for _, who in rows] == [mallory.key.public.text], "it is noted once"


async def test_refusals_are_forgotten_however_many_there_are_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.forgetting.FORGET_AT_ONCE", 3)
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        arrivals = alpha.migration._arrivals
        now_ms = System().now_ms()
        for number in range(20):
            of_ms = now_ms + (HOUR_MS if number < 10 else 0)
            attempt = attempt_bytes(new_attempt(of_ms, b"\x01" * 10))
            cancel = CancelOffer(bytes([number]) * 32, 1, attempt)
            arrivals._tell(Gone(), cancel.agent, Received(cancel, b"k" * 32))  # type: ignore[arg-type]
        for number in range(20):
            await until_settled(alpha, bytes([number]) * 32)
        assert await forgotten_by(alpha, 24 * HOUR_MS + HOUR_MS // 2) == 10
        assert arrivals.known() == [bytes([number]) * 32 for number in range(10)]
        assert await forgotten_by(alpha, 26 * HOUR_MS) == 10
        assert arrivals.known() == []
        with alpha.streams.batch() as batch:
            assert list(batch.scan(RECORD_TABLE)) == []


async def test_nothing_is_kept_of_what_there_was_no_time_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.arrivals.ARRIVALS_MAX", 0)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        arrivals = nodes.nodes["beta"].migration._arrivals
        busy = trio.Event()
        begin_check = arrivals._begin_check

        def begins(channel: Channel, offer: Offer) -> None:
            begin_check(channel, offer)
            busy.set()

        arrivals._verify = begins  # type: ignore[method-assign]
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            await busy.wait()
        assert arrivals.known() == []
        del arrivals._verify
        monkeypatch.undo()
        with trio.fail_after(30):
            place, _ = await nodes.settled("alpha", agent)
        assert place == "beta"


async def test_what_is_held_and_never_given_makes_room_and_may_come_again(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = nodes.nodes["beta"]
        arrivals, real, deaf = beta.migration._arrivals, beta.peers.message, True

        def message(channel: object, message: object) -> None:
            if not (deaf and isinstance(message, Go)):
                real(channel, message)  # type: ignore[arg-type]

        beta.peers.message = message
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            while arrivals._target(agent).held is None:
                await trio.testing.wait_all_tasks_blocked()
        arrivals.give_up_holds(System().now_ms() + HOUR_MS)
        assert not list(arrivals._guests)
        assert arrivals.known() == []
        deaf = False
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["result"]) == ("beta", '"beta"')
