"""Agents that travel among whole nodes in a simulated world, in which everything goes wrong that a seed can think of.

Is:     what chance does to nodes, connections and agents, and an oracle: every agent and child is once and has ended, each
        of its steps is at the node where it says it made it, once, each arrival is in the audit stream, once, budgets that
        are just enough have been enough, and at no moment does an agent run at two nodes.
Is not: what makes the world (`world`).
Fits:   `make simulate` runs thousands of seeds; the tests some. `python -m simulating --seed 7 --trace` shows what happens.

A seed that finds something finds it again, the same way, whatever the machine does meanwhile.
"""

from __future__ import annotations

import argparse
import contextvars
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
import trio
from fleet import Fleet
from missteps import MISSTEPS, misstep
from soaking import ARRIVALS, STEPS
from wires import at
from world import World

from capabilities.caveats import Resource
from datomstore.value import Keyword, Map
from protocol.errors import ProtocolError
from yind.agent import State
from yind.journeys import Journeys, Stage
from yind.node import Node

NODES = ("alpha", "beta", "gamma")
FIRST_PORT = 7001
TRAVELLERS, PARENTS, CHILDREN = 3, 2, 2
TRIPS, CHILD_TRIPS = 6, 3
HOPS, CHILD_HOPS = 60, 16  # more than they need: a person may move them as well
TROUBLES, CRASHES, MOVES = 150, 8, 16  # in all, and of these
ALIVE_S = 600.0  # so much of the world's time is enough for everything to end
LOOK_S = 0.5
OPERATOR = "operator"
PROGRAM = """
(defn elsewhere [] (rand-nth (vec (remove #(= % (here)) (nodes)))))
(defn travel [to]  ; a node that cannot be reached is an error that a program may catch
  (when-not (try (hop! to) (catch Exception e nil))
    (sleep 20)
    (recur (elsewhere))))
(defn journey [me trips]
  (loop [i 0 trail []]
    (if (= i trips)
      [me trail]
      (let [place (here)]
        (transact! "steps" [{:step/agent me :step/number i}])
        (when (= 0 (mod i 2)) (sleep (rand-nth [1 40 70 3000])))
        (travel (elsewhere))
        (recur (inc i) (conj trail place))))))
(dotimes [n (:children *args*)]
  (let [name (str (:me *args*) "/" n) trips (:child-trips *args*)]
    (spawn! (fn [] (journey name trips)) {:budget {:rows (* 2 trips) :hops (:child-hops *args*) :children 0}})
    (travel (elsewhere))))
(journey (:me *args*) (:trips *args*))
"""


@dataclass
class Found:
    """What came of one world."""

    seed: int
    digest: str = ""
    events: int = 0
    seconds: float = 0.0  # of the world
    hops: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return all of it in a line."""
        faults = " ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        said = f"seed {self.seed:>6}  {self.hops:>3} hops  {self.seconds:>7.1f} s  {self.events:>7,} events"
        return f"{said}  {self.digest}  {faults}" + "".join(f"\n    {one}" for one in self.wrong)


class Simulated(Fleet):
    """Nodes of one cluster in a world."""

    def __init__(self, folder: Path, nursery: trio.Nursery, world: World) -> None:
        super().__init__(folder, nursery, NODES, clock=world.clock, port=FIRST_PORT)
        self._world = world
        self.listen: Callable[[Node], None] = lambda node: None

    async def start(self, name: str, **changes: object) -> Node:
        """Start a node at its place."""
        with at(name):
            node = await super().start(name, **changes)
        self.listen(node)
        return node

    def cut_off(self, name: str, *, power: bool = False) -> None:
        """Begin a crash: from now on nothing that a node does is written or heard of."""
        self._cut_off.add(name)
        self._world.unmount(name)
        self._world.wires.take_down(name, power=power)
        self._scopes[name].cancel()


class Fate:
    """What befalls the nodes and agents of a world."""

    def __init__(self, world: World, nodes: Simulated, found: Found) -> None:
        self._world = world
        self._nodes = nodes
        self._found = found
        self._chance = world.chance
        self._crashes = CRASHES
        self._moves = MOVES
        self._down: set[str] = set()
        self._troubles = 0  # that are not over yet
        self._over = trio.lowlevel.ParkingLot()
        self.calm = False
        self._pause_s = self._chance.choice([0.05, 0.5, 5.0])
        self._crash_at_mark = self._chance.choice([0.0, 0.005, 0.03])
        self._context = contextvars.copy_context()  # not that of who is being struck down
        nodes.listen = self._listen

    def begin(self) -> None:
        """Let things happen from now on."""
        for node in self._nodes.nodes.values():
            self._listen(node)
        self._nodes.nursery.start_soon(self._happen)

    async def end(self) -> None:
        """Let nothing happen any more; returns when everything is as it should be again."""
        self.calm = True
        while self._troubles:
            await self._over.park()

    def _listen(self, node: Node) -> None:
        journeys: Journeys = node.migration.journeys
        journeys.mark = partial(self._mark, node.config.name, journeys.mark)  # type: ignore[method-assign]

    def _mark(
        self,
        name: str,
        real: Callable[[bytes, int, Stage], None],
        agent: bytes,
        epoch: int,
        stage: Stage,
    ) -> None:
        real(agent, epoch, stage)
        if name in self._down:
            return
        self._world.note(f"{name} {agent.hex()[:6]} {epoch} {stage}")
        if stage is Stage.TAKEN:
            self._found.hops += 1
            self._check_alone(name, agent)
        if not self.calm and self._chance.random() < self._crash_at_mark:
            self._crash(name)

    def _check_alone(self, name: str, agent: bytes) -> None:
        """Note it if an agent that begins to run at a node runs at another one."""
        for other, node in self._nodes.nodes.items():
            found = node.agents.get(agent)
            if other in (name, *self._down) or found is None or found.ended:
                continue
            if not node.migration.holds(found):
                self._found.wrong.append(f"{agent.hex()[:6]} runs at {name} and {other}")

    # -- troubles --

    async def _happen(self) -> None:
        kinds = (
            *[self._strike_down] * 3,
            *[self._cut] * 3,
            *[self._part] * 2,
            *[self._slow] * 2,
            *[self._pause] * 2,
            self._send_off,
        )
        for _ in range(TROUBLES):
            await trio.sleep(self._chance.expovariate(1 / self._pause_s))
            if self.calm:
                return
            self._begin(self._chance.choice(kinds))

    def _begin(self, trouble: Callable[[], Awaitable[None]]) -> None:
        self._troubles += 1
        self._context.run(self._nodes.nursery.start_soon, self._have, trouble)

    async def _have(self, trouble: Callable[[], Awaitable[None]]) -> None:
        try:
            await trouble()
        finally:
            self._troubles -= 1
            self._over.unpark_all()

    def _note(self, kind: str, what: str) -> None:
        self._found.faults[kind] += 1
        self._world.note(f"-- {kind} {what}")

    def _pair(self) -> frozenset[str]:
        return frozenset(self._chance.sample(NODES, 2))

    async def _strike_down(self) -> None:
        standing = [name for name in NODES if name not in self._down]
        if standing:
            self._crash(self._chance.choice(standing))

    def _crash(self, name: str) -> None:
        if not self._crashes or name in self._down:
            return
        self._crashes -= 1
        power = self._chance.random() < 0.3
        self._note("power" if power else "kill", name)
        self._down.add(name)
        self._nodes.cut_off(name, power=power)
        self._begin(partial(self._rise, name))

    async def _rise(self, name: str) -> None:
        await self._nodes.crash(name)
        await trio.sleep(self._chance.choice([0.0, 0.0, 0.2, 3.0, 30.0]))
        await self._nodes.start(name)
        self._down.discard(name)
        self._world.note(f"-- {name} is there again")

    async def _cut(self) -> None:
        pair = self._pair()
        self._note("cut", "-".join(sorted(pair)))
        self._world.wires.cut(pair)

    async def _part(self) -> None:
        pair = self._pair()
        self._note("part", "-".join(sorted(pair)))
        self._world.wires.part(pair)
        await trio.sleep(self._chance.choice([0.01, 0.3, 3.0, 40.0]))
        self._world.wires.join(pair)

    async def _slow(self) -> None:
        pair = self._pair()
        self._note("slow", "-".join(sorted(pair)))
        self._world.wires.slow(pair, self._chance.choice([0.005, 0.1, 1.0]))
        await trio.sleep(self._chance.choice([0.1, 2.0]))
        self._world.wires.slow(pair, 0.0)

    # -- people --

    def _somebody(self) -> tuple[str, bytes] | None:
        here = [
            (name, agent.record.id)
            for name, node in self._nodes.nodes.items()
            for agent in node.agents
            if name not in self._down and not agent.ended
        ]
        return self._chance.choice(here) if here else None

    async def _ask(self, name: str, verb: str, agent: bytes, **fields: object) -> bool:
        """Ask for something that may be impossible by now; return whether it was done."""
        with suppress(ProtocolError, trio.BrokenResourceError), trio.move_on_after(20):
            await self._nodes.ask(name, verb, id=agent.hex(), **fields)
            return True
        return False

    async def _pause(self) -> None:
        found = self._somebody()
        if found is None:
            return
        name, agent = found
        self._note("pause", f"{agent.hex()[:6]} at {name}")
        await self._ask(name, "agent.pause", agent)
        await trio.sleep(self._chance.choice([0.0, 0.03, 0.3]))
        await self._ask(name, "agent.resume", agent)

    async def _send_off(self) -> None:
        """Have a person move an agent, which may want to go elsewhere."""
        found = self._somebody()
        if found is None or not self._moves:
            return
        name, agent = found
        self._moves -= 1
        to = self._chance.choice([other for other in NODES if other != name])
        self._note("migrate", f"{agent.hex()[:6]} from {name} to {to}")
        await self._ask(name, "agent.migrate", agent, node=to)


class Simulation:
    """One world, its agents, and what comes of it."""

    def __init__(self, seed: int, told: Callable[[str], None] = lambda line: None) -> None:
        self.world = World(seed)
        self.world.told = told
        self.found = Found(seed)
        self._names: set[str] = set()

    def run(self) -> Found:
        """Run it."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                self.world.run(partial(self._main, Path(folder)))
            except Exception as error:
                self.found.wrong.append(f"{type(error).__name__}: {_told(error)}")
        self.found.digest, self.found.events = self.world.digest, self.world.events
        return self.found

    async def _main(self, folder: Path, world: World) -> None:
        with at(OPERATOR):
            async with trio.open_nursery() as nursery:
                nodes = Simulated(folder, nursery, world)
                for name in NODES:
                    await nodes.start(name)
                await self._spawn_all(nodes)
                fate = Fate(world, nodes, self.found)
                began = trio.current_time()
                fate.begin()
                with trio.move_on_after(ALIVE_S) as scope:
                    await self._ended(nodes, fate)
                self.found.seconds = trio.current_time() - began
                if scope.cancelled_caught:
                    self.found.wrong.append("not all come to their end")
                    self.found.wrong += _story(nodes)
                else:
                    await self._check(nodes)
                nursery.cancel_scope.cancel()

    async def _spawn_all(self, nodes: Simulated) -> None:
        for number in range(TRAVELLERS + PARENTS):
            children = CHILDREN if number >= TRAVELLERS else 0
            words = {"me": f"agent-{number}", "trips": TRIPS}
            words |= {"children": children, "child-trips": CHILD_TRIPS, "child-hops": CHILD_HOPS}
            arguments = Map({Keyword(word): value for word, value in words.items()})
            trips = TRIPS + children * CHILD_TRIPS
            enough = {Resource.ROWS: 2 * trips, Resource.CHILDREN: children, Resource.HOPS: HOPS}
            place = NODES[number % len(NODES)]
            token = nodes.token(budget=enough)
            await nodes.spawn(place, PROGRAM, token, arguments=arguments)
            self._names.add(f"agent-{number}")
            self._names |= {f"agent-{number}/{child}" for child in range(children)}

    async def _ended(self, nodes: Simulated, fate: Fate) -> None:
        """Return when every agent has ended and all nodes have heard so; after half of the time nothing goes wrong."""
        with trio.move_on_after(ALIVE_S / 2):
            while _states(nodes)[State.DONE] < len(self._names):  # noqa: ASYNC110  # its time costs nothing
                await trio.sleep(LOOK_S)
        await fate.end()
        while _states(nodes).keys() - {State.DONE, State.MOVED}:
            await self._resume_all(nodes)
            await trio.sleep(LOOK_S)

    async def _resume_all(self, nodes: Simulated) -> None:
        """Let go on whom a person has paused."""
        for name, node in nodes.nodes.items():
            for agent in list(node.agents):
                if agent.record.state is State.PAUSED and "by a person" in agent.record.reason:
                    with suppress(ProtocolError):
                        await nodes.ask(name, "agent.resume", id=agent.record.id.hex())

    async def _check(self, nodes: Simulated) -> None:
        """Note whatever is not as it has to be, of agents that have ended."""
        wrong = self.found.wrong
        wanted: Counter[tuple[str, int, str]] = Counter()
        arrived: Counter[tuple[str, int]] = Counter()
        names: Counter[str] = Counter()
        for node in nodes.nodes.values():
            for agent in node.agents:
                record = agent.record
                if record.state is State.MOVED:
                    continue
                said = [word for word in str(record.result).split('"') if word.strip("[] ")]
                if record.state is not State.DONE or not said:
                    wrong.append(f"{record.state} {record.reason} {record.fault} {record.result}")
                    continue
                name, *trail = said
                names[name] += 1
                wanted.update((name, number, place) for number, place in enumerate(trail))
                arrived.update((record.id.hex()[:12], at) for at in range(1, record.epoch + 1))
        if names != Counter(self._names):
            wrong.append(f"agents: {dict(names)}")
        done: Counter[tuple[str, int, str]] = Counter()
        noted: Counter[tuple[str, int]] = Counter()
        for place in NODES:
            rows = (await nodes.ask(place, "query", stream="steps", query=STEPS))["value"]
            done.update((name, number, place) for _, name, number in rows)
            rows = (await nodes.ask(place, "query", stream="audit", query=ARRIVALS))["value"]
            noted.update((who, epoch) for _, who, epoch in rows)
        wrong += [f"step lost: {one}" for one in (wanted - done).elements()]
        wrong += [f"step too often: {one}" for one in (done - wanted).elements()]
        wrong += [f"arrival not noted: {one}" for one in (arrived - noted).elements()]
        wrong += [f"arrival noted too often: {one}" for one in (noted - arrived).elements()]


def _states(nodes: Simulated) -> Counter[State]:
    return Counter(agent.record.state for node in nodes.nodes.values() for agent in node.agents)


def _story(nodes: Simulated) -> list[str]:
    """Return what the nodes know of agents that come to no end."""
    lines = []
    for place, node in nodes.nodes.items():
        arrivals, departures = node.migration._arrivals, node.migration._departures
        for agent in node.agents:
            record = agent.record
            if record.state not in (State.MOVED, State.DONE):
                leaving = departures._under_way.get(record.id)
                target = arrivals._targets.get(record.id)
                said = f"epoch {record.epoch} {record.state} {record.reason} {record.fault}"
                lines.append(f"{place} {record.id.hex()[:6]} {said}")
                lines.append(f"  {leaving and leaving.source} {target}")
    return lines


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(f"{type(one).__name__}: {_told(one)}" for one in error.exceptions)
    return str(error)


def simulate(seed: int, told: Callable[[str], None] = lambda line: None) -> Found:
    """Return what comes of a world."""
    return Simulation(seed, told).run()


def main() -> None:
    """Run worlds, and say of each what came of it."""
    parser = argparse.ArgumentParser(prog="simulating")
    parser.add_argument("--seed", type=int, help="one world; without it, new ones")
    parser.add_argument(
        "--worlds", type=int, default=1, help="how many, by the seeds from there on"
    )
    parser.add_argument(
        "--mistake", choices=MISSTEPS, help="with a mistake in every node, until it shows"
    )
    parser.add_argument("--trace", action="store_true", help="show what happens, moment by moment")
    options = parser.parse_args()
    if "PYTHONHASHSEED" not in os.environ:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "simulating", *sys.argv[1:]], environment)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    first = random.randrange(1 << 20) if options.seed is None else options.seed
    bad = 0
    with nullcontext() if options.mistake is None else misstep(options.mistake):
        for seed in range(first, first + options.worlds):
            found = simulate(seed, print if options.trace else lambda line: None)
            print(found.line(), flush=True)
            bad += bool(found.wrong)
            if bad and options.mistake is not None:
                break
    sys.exit(f"simulating: {bad} of {options.worlds} worlds went wrong" if bad else 0)


if __name__ == "__main__":
    main()
