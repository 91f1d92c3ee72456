"""Agents that travel among nodes inside the test while messages are lost, late and doubled, and nodes are cut off.

Where `test_soak` has processes, sockets that break and chance in time, here chance says which message of a hand-off is
lost and after which of its steps a node crashes: that is where two of an agent would come from. The seed fixes these
choices, not how the nodes' work interleaves. MISFORTUNE_SEEDS=500 in the environment looks for what is rare.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet
from soaking import ARRIVALS
from soaking import STEPS as DONE

from capabilities.caveats import Resource
from datomstore.value import Keyword, Map
from protocol.messages import HandOff
from protocol.transport import Channel
from yind.agent import State
from yind.journeys import Journeys, Stage
from yind.node import Node

NODES = ("alpha", "beta", "gamma")
AGENTS, STEPS = 6, 10
CRASHES = 8
EVERY = 3  # steps, an agent does something that has to be durable
JUST_ENOUGH = {Resource.ROWS: 2 * -(-STEPS // EVERY), Resource.HOPS: STEPS}  # none may be lost
SEEDS = int(os.environ.get("MISFORTUNE_SEEDS", "8"))
TRAVELLER = """
(defn travel [to]
  (when-not (try (hop! to) (catch Exception e nil))
    (recur (rand-nth (vec (remove #(= % (here)) (nodes)))))))
(loop [i 0 trail []]
  (if (= i (:steps *args*))
    trail
    (let [place (here)]
      (when (= 0 (mod i (:every *args*)))
        (transact! "steps" [{:step/agent (:me *args*) :step/number i}]))
      (travel (rand-nth (vec (remove #(= % (here)) (nodes)))))
      (recur (inc i) (conj trail place)))))
"""


class Misfortune:
    """What befalls the nodes of a fleet."""

    def __init__(self, nodes: Fleet, nursery: trio.Nursery, chance: random.Random) -> None:
        self._nodes = nodes
        self._nursery = nursery
        self._chance = chance
        self._crashes = CRASHES
        self._down: set[str] = set()
        self._calm = False
        self._risen = trio.lowlevel.ParkingLot()

    def befall(self, node: Node) -> None:
        """Let what a node hears and does go wrong now and then."""
        node.peers.message = partial(self._message, node.peers.message)
        journeys: Journeys = node.migration.journeys
        journeys.mark = partial(self._mark, node.config.name, journeys.mark)  # type: ignore[method-assign]

    async def end(self) -> None:
        """Let nothing go wrong any more; returns when all nodes are there."""
        self._calm = True
        while self._down:
            await self._risen.park()

    def _message(
        self, real: Callable[[Channel, HandOff], None], channel: Channel, message: HandOff
    ) -> None:
        fate = 1.0 if self._calm else self._chance.random()
        if fate < 0.15:
            return
        if fate < 0.3:
            self._nursery.start_soon(self._late, real, channel, message)
            return
        real(channel, message)
        if fate < 0.4:
            self._nursery.start_soon(self._late, real, channel, message)

    async def _late(
        self, real: Callable[[Channel, HandOff], None], channel: Channel, message: HandOff
    ) -> None:
        await trio.sleep(self._chance.choice([0.0, 0.02, 0.2]))
        if not self._down and not channel.ended:
            real(channel, message)

    def _mark(
        self,
        name: str,
        real: Callable[[bytes, int, Stage], None],
        agent: bytes,
        epoch: int,
        stage: Stage,
    ) -> None:
        real(agent, epoch, stage)
        if not self._calm and self._crashes and not self._down and self._chance.random() < 0.02:
            self._crashes -= 1
            self._down.add(name)
            self._nodes.cut_off(name)
            self._nursery.start_soon(self._rise, name)

    async def _rise(self, name: str) -> None:
        await self._nodes.crash(name)
        await trio.sleep(self._chance.choice([0.0, 0.1]))
        self.befall(await self._nodes.start(name))
        self._down.discard(name)
        self._risen.unpark_all()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_befalls_them_agents_are_once_and_do_all_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 0.1)
    monkeypatch.setattr("yind.departures.HAND_OFF_CANCEL_S", chance.choice([0.4, 60.0]))
    for module in ("commits", "arrivals"):
        monkeypatch.setattr(f"yind.{module}.COMMIT_LATER_S", chance.choice([0.0, 0.05, 1.0]))
    monkeypatch.setattr("protocol.backoff.RECONNECT_MOST_S", 0.2)
    places = NODES[: chance.choice([2, 3])]
    async with fleet(tmp_path, *places) as nodes, trio.open_nursery() as nursery:
        names: dict[bytes, str] = {}
        for number in range(AGENTS):
            name = f"agent-{number}"
            words = {"me": name, "steps": STEPS, "every": EVERY}
            arguments = Map({Keyword(word): value for word, value in words.items()})
            place = places[number % len(places)]
            token = nodes.token(budget=JUST_ENOUGH)
            names[await nodes.spawn(place, TRAVELLER, token, arguments=arguments)] = name
        misfortune = Misfortune(nodes, nursery, chance)
        for node in nodes.nodes.values():
            misfortune.befall(node)
        with trio.move_on_after(40) as scope:
            while states(nodes, names)[State.DONE] < AGENTS:
                await trio.testing.wait_all_tasks_blocked(0.02)
            await misfortune.end()
            while states(nodes, names).keys() != {State.DONE, State.MOVED}:  # all have heard so
                await trio.testing.wait_all_tasks_blocked(0.02)
        assert not scope.cancelled_caught, story(nodes, names)
        nursery.cancel_scope.cancel()
        await check(nodes, names)


def states(nodes: Fleet, names: dict[bytes, str]) -> Counter[State]:
    """Return in which states the agents are, at all nodes together."""
    records = [
        found.record
        for node in nodes.nodes.values()
        for agent in names
        if (found := node.agents.get(agent)) is not None
    ]
    stopped = [one for one in records if one.state in (State.FAILED, State.PAUSED)]
    assert not stopped, [(one.state, one.reason, one.fault) for one in stopped]
    return Counter(one.state for one in records)


def story(nodes: Fleet, names: dict[bytes, str]) -> str:
    """Return what the nodes know of agents that come to no end."""
    lines = []
    for place, node in nodes.nodes.items():
        arrivals, departures = node.migration._arrivals, node.migration._departures
        for agent, name in names.items():
            found, leaving = node.agents.get(agent), departures._under_way.get(agent)
            here = found and (found.record.epoch, found.record.state, found.record.reason)
            lines.append(f"{place} {name}: {here}")
            lines.append(f"  {leaving and leaving.source} {arrivals._targets.get(agent)}")
    return "\n".join(lines)


async def check(nodes: Fleet, names: dict[bytes, str]) -> None:
    """Return if every agent is once, has ended, and each step and each arrival is there once."""
    wanted: Counter[tuple[str, int, str]] = Counter()
    arrived: Counter[tuple[str, int]] = Counter()
    for agent, name in names.items():
        (record,) = [
            found.record
            for node in nodes.nodes.values()
            if (found := node.agents.get(agent)) is not None
            and found.record.state is not State.MOVED
        ]
        assert record.state is State.DONE, (name, record.state, record.reason, record.fault)
        trail = [word for word in str(record.result).split('"') if word in NODES]
        assert len(trail) == STEPS
        wanted.update((name, at, trail[at]) for at in range(0, STEPS, EVERY))
        arrived.update((agent.hex()[:12], epoch) for epoch in range(1, record.epoch + 1))
    done: Counter[tuple[str, int, str]] = Counter()
    noted: Counter[tuple[str, int]] = Counter()
    for place in nodes.nodes:
        rows = (await nodes.ask(place, "query", stream="steps", query=DONE))["value"]
        done.update((name, number, place) for _, name, number in rows)
        rows = (await nodes.ask(place, "query", stream="audit", query=ARRIVALS))["value"]
        noted.update((who, epoch) for _, who, epoch in rows)
    assert done == wanted
    assert noted == arrived
