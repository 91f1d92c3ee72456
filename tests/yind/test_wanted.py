"""An offer is sent once; again only to a target that wants it because it has none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet

from protocol.messages import Go, HandOff, Offer, Own, Want
from protocol.transport import Channel
from yind.agent import Agent
from yind.node import Node

HOP = '(hop! "beta") (here)'


class Losing:
    """Counts what a node hears of hand-offs, and loses the first messages of some kinds."""

    def __init__(self, node: Node, lost: dict[type[HandOff], int]) -> None:
        self.heard: Counter[type[HandOff]] = Counter()
        self._lost = Counter(lost)
        node.peers.message = partial(self._message, node.peers.message)

    def _message(
        self, real: Callable[[Channel, HandOff], None], channel: Channel, message: HandOff
    ) -> None:
        kind = type(message)
        self.heard[kind] += 1
        if self.heard[kind] > self._lost[kind]:
            real(channel, message)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 0.05)


@pytest.mark.parametrize("storage", ["memory", "lmdb"])
async def test_an_offer_that_was_lost_is_wanted_and_sent_again(
    tmp_path: Path, storage: str
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        if storage == "memory":
            await in_memory(nodes)
        alpha, beta = Losing(nodes.nodes["alpha"], {}), Losing(nodes.nodes["beta"], {Offer: 1})
        assert await nodes.result("alpha", HOP, nodes.token()) == '"beta"'
        assert (beta.heard[Offer], alpha.heard[Want] >= 1) == (2, True)


async def test_an_offer_that_has_come_is_not_sent_again_however_often_its_answer_is_lost(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        Losing(nodes.nodes["alpha"], {Own: 4})
        beta = Losing(nodes.nodes["beta"], {})
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        await nodes.until("alpha", agent, "moved")
        assert beta.heard[Offer] == 1
        assert beta.heard[Go] >= 5


async def test_a_source_that_was_cut_off_does_not_send_what_has_come(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = Losing(nodes.nodes["alpha"], {Own: 1000})
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            while not alpha.heard[Own]:
                await trio.testing.wait_all_tasks_blocked()
        await nodes.crash("alpha")
        beta = Losing(nodes.nodes["beta"], {})
        await nodes.start("alpha")
        await nodes.until("alpha", agent, "moved")
        assert (beta.heard[Offer], beta.heard[Go] >= 1) == (0, True)


async def test_a_source_that_was_cut_off_sends_what_is_wanted_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 1000)  # nothing waits for that
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = Losing(nodes.nodes["beta"], {Offer: 1, Go: 1})
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            while not beta.heard[Go]:
                await trio.testing.wait_all_tasks_blocked()
            await nodes.crash("alpha")
            await nodes.start("alpha")
            await nodes.until("alpha", agent, "moved")
        assert beta.heard[Offer] == 2


async def test_who_wants_an_offer_ever_so_often_does_not_fill_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        Losing(nodes.nodes["beta"], {Offer: 1000, Go: 1000})
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        departures = nodes.nodes["alpha"].migration._departures
        with trio.fail_after(30):
            while not departures.holds(agent) or not departures._under_way[agent].source.durable:
                await trio.testing.wait_all_tasks_blocked()
        leaving = departures._under_way[agent]
        full = trio.Event()
        with monkeypatch.context() as patched:
            patched.setattr(Channel, "has_room", property(lambda channel: False))
            patched.setattr(Channel, "send", lambda channel, message: full.wait())
            want = Want(agent, 1, leaving.offer.attempt)
            for _ in range(100):
                leaving.offered = -math.inf  # however long ago that was
                departures.answered(want, leaving.source.given.target)
            assert [type(message) for message in leaving.unsent] == [Offer]
            full.set()
            await trio.testing.wait_all_tasks_blocked()
        assert not leaving.unsent


async def test_an_offer_is_sent_no_oftener_than_it_would_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 0.5)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = Losing(nodes.nodes["beta"], {Offer: 1000})
        alpha = Losing(nodes.nodes["alpha"], {})
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        leaving = nodes.nodes["alpha"].migration._departures._under_way
        with trio.fail_after(30):
            while not alpha.heard[Want]:
                await trio.testing.wait_all_tasks_blocked()
        want = Want(agent, 1, leaving[agent].offer.attempt)
        for _ in range(100):
            nodes.nodes["alpha"].migration._departures.answered(
                want, leaving[agent].source.given.target
            )
        began = trio.current_time()
        while beta.heard[Offer] < 3:
            await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() - began > 0.4


class Fault(Exception):
    """What a node may have in it."""


def _break(agent: Agent) -> None:
    raise Fault(agent.text_id)


async def _run_into_a_fault(folder: Path, source: str, target: str) -> None:
    async with fleet(folder, "alpha", "beta") as nodes:
        await in_memory(nodes)
        hop = f'(hop! "{target}")'
        await nodes.result(source, hop, nodes.token())  # from then on the program is there
        nodes.nodes[target].agents.add = _break  # type: ignore[method-assign]
        agent = await nodes.spawn(source, hop, nodes.token())
        await nodes.settled(source, agent)


@pytest.mark.parametrize(("source", "target"), [("alpha", "beta"), ("beta", "alpha")])
async def test_a_step_that_fails_ends_the_node_and_not_just_the_connection(
    tmp_path: Path, source: str, target: str
) -> None:
    with trio.fail_after(10), pytest.raises(BaseExceptionGroup) as raised:
        await _run_into_a_fault(tmp_path, source, target)
    assert raised.group_contains(Fault)


async def in_memory(nodes: Fleet) -> None:
    """Have the nodes keep nothing on a disk."""
    for name in ("alpha", "beta"):
        await nodes.stop(name)
        await nodes.start(name, storage="memory")
