"""What a node knew of agents that are not there is forgotten in the end, and what is forgotten is not guessed."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing
from fleet import Fleet, fleet

from datomstore.value import Map
from protocol.errors import Unreachable
from protocol.handoff import NOTHING_FORGOTTEN, Received, attempt_bytes, new_attempt
from protocol.messages import CancelOffer, Go, HandOff
from yind.clock import System
from yind.node import Node

HOUR_MS = 3_600_000
HOP = '(hop! "beta") (here)'


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


def forgotten_by(node: Node, ahead_ms: int) -> int:
    node.migration.forgetting._clock = Ahead(ahead_ms)
    return node.migration.forgetting.sweep()


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
        assert forgotten_by(alpha, 0) == 0
        assert forgotten_by(alpha, 23 * HOUR_MS) == 0, "an attempt may still be under way"
        assert forgotten_by(alpha, 25 * HOUR_MS) == 1
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
        assert forgotten_by(nodes.nodes["alpha"], 99 * HOUR_MS) == 0
        assert forgotten_by(nodes.nodes["alpha"], 101 * HOUR_MS) == 1


async def test_an_agent_that_ended_here_is_not_forgotten(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await hopped(nodes)
        assert forgotten_by(nodes.nodes["beta"], 1_000 * HOUR_MS) == 0
        assert len(await known(nodes, "beta")) == 1


async def test_refusals_of_agents_that_never_came_are_forgotten_a_day_later(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        arrivals = alpha.migration._arrivals
        attempt = new_attempt(System().now_ms(), b"\x01" * 10)
        cancel = CancelOffer(b"a" * 32, 1, attempt_bytes(attempt))
        arrivals._tell(Gone(), cancel.agent, Received(cancel, b"k" * 32))  # type: ignore[arg-type]
        await until_settled(alpha, cancel.agent)
        assert arrivals.only_refused() == [cancel.agent]
        assert forgotten_by(alpha, 23 * HOUR_MS) == 0
        assert forgotten_by(alpha, 25 * HOUR_MS) == 1
        assert arrivals._target(cancel.agent).forgotten == attempt


async def test_an_attempt_that_says_it_is_of_the_future_is_not_forgotten(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        arrivals = alpha.migration._arrivals
        cancel = CancelOffer(b"a" * 32, 1, b"\xff" * 16)
        arrivals._tell(Gone(), cancel.agent, Received(cancel, b"k" * 32))  # type: ignore[arg-type]
        await until_settled(alpha, cancel.agent)
        assert forgotten_by(alpha, 1_000_000 * HOUR_MS) == 0, "else nobody would be heard any more"


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
        assert arrivals._target(agent).held is None
        deaf = False
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["result"]) == ("beta", '"beta"')
