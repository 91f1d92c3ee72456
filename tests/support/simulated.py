"""The nodes of a simulated world, as those see them who let things happen there, and those who look on.

Is:     a fleet whose nodes start and crash at places of a world, their settings, and what came of it all.
Is not: who lets things happen (`fate`, `people`), nor what must be true (`oracle`).
Fits:   `simulating` makes one of each for every world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import trio
from fleet import Fleet
from wires import at
from world import World

from datomstore.value import Map
from protocol.errors import ProtocolError
from yind.agent import Agent
from yind.node import Node

FOUNDERS = ("alpha", "beta", "gamma")
FIRST_PORT = 7001
PATIENCE_S = 20.0  # a person waits so long for an answer
REVAGES_S = (None, None, 6, 12)  # how old a node lets its list of revocations be
Pair = frozenset[str]


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
        super().__init__(folder, nursery, FOUNDERS, clock=world.clock, port=FIRST_PORT)
        self.world = world
        self.places: list[str] = []  # of all nodes that have ever run
        self.down: set[str] = set()
        self.listen: Callable[[Node], None] = lambda node: None
        self.shaken: Callable[[Pair, float], None] = lambda pair, seconds: None
        self.revage: dict[str, int | None] = {}

    async def found(self) -> None:
        """Start the nodes with which the world begins."""
        for name in FOUNDERS:
            self.revage[name] = self.world.chance.choice(REVAGES_S)
            self.configure(name)
            await self.start(name)

    async def start(self, name: str, **changes: object) -> Node:
        """Start a node at its place."""
        with at(name):
            node = await super().start(name, **changes)
        if name not in self.places:
            self.places.append(name)
        self.listen(node)
        return node

    def configure(self, name: str, policy: Path | None = None) -> None:
        """Write a node's settings: how old its list may be, and which policy says whom it takes."""
        settings = self.cluster.node_folder(name) / "yind.toml"
        plain = settings.with_name("plain.toml")
        if not plain.exists():
            plain.write_text(settings.read_text())
        revage = self.revage.get(name)
        more = "" if revage is None else f"revage = {revage}\n"
        more += "" if policy is None else f'[admission]\npolicies = ["{policy}"]\n'
        settings.write_text(plain.read_text() + more)

    def cut_off(self, name: str, *, power: bool = False) -> None:
        """Begin a crash: from now on nothing that a node does is written or heard of."""
        self._cut_off.add(name)
        self.down.add(name)
        self.world.unmount(name)
        self.world.wires.take_down(name, power=power)
        self._scopes[name].cancel()
        self.shake(name)

    async def rise(self, name: str, after_s: float) -> None:
        """Start a node that was cut off, after a while."""
        await self.crash(name)
        await trio.sleep(after_s)
        await self.start(name)
        self.down.discard(name)
        self.shake(name)

    def shake(self, name: str) -> None:
        """Have it known that something has happened to all that leads to a place."""
        for other in self.places:
            if other != name:
                self.shaken(frozenset({name, other}), 0.0)

    def pairs(self) -> list[Pair]:
        """Return every two places, in their order."""
        return [frozenset(pair) for pair in combinations(self.places, 2)]

    def standing(self) -> Iterator[tuple[str, Node]]:
        """Yield the nodes that are not down, with their names."""
        for name in self.places:
            if name not in self.down:
                yield name, self.nodes[name]

    def living(self) -> Iterator[tuple[str, Agent]]:
        """Yield the agents of nodes that are not down, as far as they have not ended, with their places."""
        for name, node in self.standing():
            for agent in node.agents:
                if not agent.ended:
                    yield name, agent

    async def try_ask(self, name: str, verb: str, /, **fields: object) -> Map | None:
        """Ask for something that may be impossible by now; return the answer, or None when it was not done, or may not have been."""
        with suppress(ProtocolError, trio.BrokenResourceError), trio.move_on_after(PATIENCE_S):
            answer: Map = await self.ask(name, verb, **fields)
            return answer
        return None
