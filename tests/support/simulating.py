"""Agents that travel among whole nodes in a simulated world, in which everything goes wrong that a seed can think of.

Is:     one world from its beginning to its end: nodes, agents with budgets that are just enough, those who let things
        happen, and those who look on.
Is not: what makes the world (`world`), what happens there (`fate`, `people`, `newcomer`), or what must be true (`oracle`).
Fits:   `make simulate` runs thousands of seeds; the tests some. `python -m simulating --seed 7 --trace` shows what happens.

A seed that finds something finds it again, the same way, whatever the machine does meanwhile.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import structlog
import trio
from fate import Fate
from missteps import MISSTEPS, misstep
from newcomer import Newcomer
from oracle import End, Watch
from people import ROWS_OF_A_STEP, People
from simulated import FOUNDERS, Found, Simulated
from wires import at
from world import World

from capabilities.caveats import Resource
from datomstore.value import Keyword, Map
from yind.agent import State

TRAVELLERS, PARENTS, CHILDREN = 3, 2, 2
TRIPS, CHILD_TRIPS = 6, 3
HOPS, CHILD_HOPS = 60, 16  # more than they need: a person may move them as well
ALIVE_S = 600.0  # so much of the world's time is enough for everything to end
LOOK_S = 0.5
COMES_S = (2.0, 6.0, 20.0)  # when a newcomer does
OPERATOR = "operator"
PROGRAM = """
(defn elsewhere [] (rand-nth (vec (remove #(= % (here)) (nodes)))))
(defn travel [to]  ; a node that cannot be reached, or does not want it, is an error that a program may catch
  (when-not (try (hop! to) (catch Exception e nil))
    (sleep 20)
    (recur (elsewhere))))
(defn step [me i] (:tx (transact! "steps" [{:step/agent me :step/number i}])))
(defn ask []  ; a person may say no
  (when-not (try (request-token {:budget {:rows 2} :reason "one more step"}) (catch Exception e nil))
    (sleep 20)
    (recur)))
(defn journey [me trips]  ; and a step that its budget has no room for
  (loop [i 0 trail []]
    (if (= i trips)
      (do (when (:asks *args*) (ask))
          [me (conj trail (step me i))])
      (let [tx (step me i)]
        (when (= 0 (mod i 2)) (sleep (rand-nth [1 40 70 3000])))
        (travel (elsewhere))
        (recur (inc i) (conj trail tx))))))
(dotimes [n (:children *args*)]
  (let [name (str (:me *args*) "/" n) trips (:child-trips *args*)]
    (spawn! (fn [] (journey name trips)) {:budget {:rows (* 2 trips) :hops (:child-hops *args*) :children 0}})
    (travel (elsewhere))))
(journey (:me *args*) (:trips *args*))
"""


class Simulation:
    """One world, its agents, and what comes of it."""

    def __init__(self, seed: int, told: Callable[[str], None] = lambda line: None) -> None:
        self.world = World(seed)
        self.world.told = told
        self.found = Found(seed)
        self._names: set[str] = set()
        self._askers: set[str] = set()

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
                watch = Watch(nodes, self.found)
                people = People(nodes, self.found, watch)
                newcomer = Newcomer(nodes, self.found)
                await nodes.found()
                await newcomer.appoint()
                await self._spawn_all(nodes, watch)
                acts = (*[people.pause] * 2, people.move, *[people.revoke] * 2, people.be_strict)
                fate = Fate(nodes, self.found, acts, watch.taken)
                nursery.start_soon(watch.run)
                nursery.start_soon(people.sit)
                began = trio.current_time()
                fate.begin()
                if world.chance.random() < 0.5:
                    fate.begin_one(partial(self._come, newcomer))
                with trio.move_on_after(ALIVE_S) as scope:
                    await self._ended(nodes, fate, people)
                self.found.seconds = trio.current_time() - began
                if scope.cancelled_caught:
                    self.found.wrong.append("not all come to their end")
                    self.found.wrong += _story(nodes)
                else:
                    await End(nodes, self.found, watch).check(self._names, self._askers)
                    await newcomer.check()
                nursery.cancel_scope.cancel()

    async def _come(self, newcomer: Newcomer) -> None:
        await trio.sleep(self.world.chance.choice(COMES_S))
        await newcomer.come()

    async def _spawn_all(self, nodes: Simulated, watch: Watch) -> None:
        for number in range(TRAVELLERS + PARENTS):
            children = CHILDREN if number >= TRAVELLERS else 0
            names = {f"agent-{number}", *(f"agent-{number}/{child}" for child in range(children))}
            words = {"me": f"agent-{number}", "trips": TRIPS, "asks": number % 2 == 1}
            words |= {"children": children, "child-trips": CHILD_TRIPS, "child-hops": CHILD_HOPS}
            arguments = Map({Keyword(word): value for word, value in words.items()})
            rows = ROWS_OF_A_STEP * (TRIPS + children * CHILD_TRIPS)
            enough = {Resource.ROWS: rows, Resource.CHILDREN: children, Resource.HOPS: HOPS}
            place = FOUNDERS[number % len(FOUNDERS)]
            agent = await nodes.spawn(
                place, PROGRAM, nodes.token(budget=enough), arguments=arguments
            )
            begun = nodes.nodes[place].agents.get(agent)
            for data in () if begun is None else begun.record.tokens:
                watch.see(data)
            self._names |= names
            self._askers |= names if words["asks"] else set()

    async def _ended(self, nodes: Simulated, fate: Fate, people: People) -> None:
        """Return when every agent has ended and all nodes have heard so; after half of the time nothing goes wrong."""
        with trio.move_on_after(ALIVE_S / 2):
            while _states(nodes)[State.DONE] < len(self._names):  # noqa: ASYNC110  # its time costs nothing
                await trio.sleep(LOOK_S)
        await fate.end()
        people.calm = True
        while _states(nodes).keys() - {State.DONE, State.MOVED}:  # noqa: ASYNC110
            await trio.sleep(LOOK_S)


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
