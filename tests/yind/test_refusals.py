"""How many refusals of one node another one keeps, and that none is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from dishonest import Dishonest, besieged
from fleet import until

from protocol.handoff import attempt_bytes, decode, new_attempt
from protocol.messages import CancelOffer, Go, Refuse, Want
from protocol.transport import Channel
from yind.departures import RECORD_TABLE
from yind.node import Node

DAY_MS = 86_400_000


def attempt(node: Node, number: int, ahead_ms: int = 0) -> bytes:
    """Return an attempt that is made now, or at another time."""
    now_ms = node.clock.now_ms() + ahead_ms
    return attempt_bytes(new_attempt(now_ms, number.to_bytes(10, "big")))


def on_disk(node: Node) -> set[int]:
    with node.streams.batch() as batch:
        return {decode(row).agent[0] for _, row in batch.scan(RECORD_TABLE)}


async def answers(host: Dishonest, channel: Channel, *messages: CancelOffer | Go) -> list[type]:
    """Return of which kinds a node's answers are, one after each message."""
    found: list[type] = []
    host.message = lambda channel, message: found.append(type(message))  # type: ignore[method-assign]
    for number, message in enumerate(messages, 1):
        await channel.send(message)
        await until(lambda number=number: len(found) >= number)  # type: ignore[misc]
    return found


def cancelled(number: int, attempt: bytes) -> CancelOffer:
    return CancelOffer(bytes([number]) * 32, 1, attempt)


@pytest.mark.parametrize("restarts", [False, True])
async def test_of_one_node_only_so_many_refusals_are_kept_and_all_stay_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarts: bool
) -> None:
    monkeypatch.setattr("yind.refusals.REFUSALS_EACH_MAX", 4)
    async with besieged(tmp_path, "beta") as (nodes, mallory):
        beta = nodes.nodes["beta"]
        withdrawn = [cancelled(number, attempt(beta, number)) for number in range(20)]
        async with mallory.connected("beta") as channel:
            assert await answers(mallory, channel, *withdrawn) == [Refuse] * 20
        assert on_disk(beta) == {16, 17, 18, 19}
        if restarts:
            await nodes.crash("beta")
            beta = await nodes.start("beta")
        known = beta.migration._arrivals.known
        assert {agent[0] for agent in known()} == {16, 17, 18, 19}
        async with mallory.connected("beta") as channel:
            again = [Go(one.agent, one.epoch, one.attempt) for one in withdrawn]
            assert await answers(mallory, channel, *again) == [Refuse] * 20
            later = Go(bytes(32), 1, attempt(beta, 20))
            assert await answers(mallory, channel, later) == [Want]
        assert {agent[0] for agent in known()} == {16, 17, 18, 19}, "who asks again is not kept"


async def test_what_makes_room_for_one_node_concerns_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.refusals.REFUSALS_EACH_MAX", 1)
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        beta = nodes.nodes["beta"]
        ahead = [attempt(beta, number, ahead_ms=3_600_000) for number in range(3)]
        async with mallory.connected("beta") as channel:
            withdrawn = [cancelled(number, one) for number, one in enumerate(ahead)]
            assert await answers(mallory, channel, *withdrawn) == [Refuse] * 3
        assert beta.migration._arrivals._refusals.floors.keys() == {mallory.key.public.bytes}
        with trio.fail_after(20):
            assert (
                await nodes.result("alpha", '(do (hop! "beta") (here))', nodes.token()) == '"beta"'
            )


async def test_what_is_forgotten_with_its_age_makes_no_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.refusals.REFUSALS_EACH_MAX", 2)
    async with besieged(tmp_path, "beta") as (nodes, mallory):
        beta = nodes.nodes["beta"]
        arrivals = beta.migration._arrivals
        async with mallory.connected("beta") as channel:
            for days in (3, 1):
                old = [attempt(beta, n, ahead_ms=-days * DAY_MS - 1) for n in range(2)]
                withdrawn = [cancelled(10 * days + n, one) for n, one in enumerate(old)]
                assert await answers(mallory, channel, *withdrawn) == [Refuse] * 2
                await beta.migration.forgetting.sweep()
                assert arrivals.known() == []
        assert arrivals._refusals.floors == {}
        assert on_disk(beta) == set()
