"""What chance does to the nodes of a simulated world, and to what is between them.

Is:     crashes, losses of power, cuts, partitions, delays, one after the other; among them what people want.
Is not: what people do (`people`), nor what makes a crash one (`world`, `wires`).
Fits:   `simulating` lets it begin and end.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio
from simulated import Found, Pair, Simulated

from yind.journeys import Journeys, Stage
from yind.node import Node

TROUBLES, CRASHES = 150, 8  # in all, and of these
Trouble = Callable[[], Awaitable[None]]
Taken = Callable[[str, bytes], None]


class Fate:
    """What befalls the nodes and agents of a world; `acts` is what people may do at any time."""

    def __init__(
        self, nodes: Simulated, found: Found, acts: Sequence[Trouble], taken: Taken
    ) -> None:
        self._nodes = nodes
        self._world = nodes.world
        self._wires = nodes.world.wires
        self._found = found
        self._chance = nodes.world.chance
        self._acts = acts
        self._taken = taken  # told where an agent begins to run
        self._crashes = CRASHES
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
        if name in self._nodes.down:
            return
        self._world.note(f"{name} {agent.hex()[:6]} {epoch} {stage}")
        if stage is Stage.TAKEN:
            self._found.hops += 1
            self._taken(name, agent)
        if not self.calm and self._chance.random() < self._crash_at_mark:
            self._crash(name)

    # -- troubles --

    async def _happen(self) -> None:
        kinds = (
            *[self._strike_down] * 3,
            *[self._cut] * 3,
            *[self._part] * 2,
            *[self._slow] * 2,
            *self._acts,
        )
        for _ in range(TROUBLES):
            await trio.sleep(self._chance.expovariate(1 / self._pause_s))
            if self.calm:
                return
            self.begin_one(self._chance.choice(kinds))

    def begin_one(self, trouble: Trouble) -> None:
        """Let one thing happen, as long as it takes."""
        self._troubles += 1
        self._context.run(self._nodes.nursery.start_soon, self._have, trouble)

    async def _have(self, trouble: Trouble) -> None:
        try:
            await trouble()
        finally:
            self._troubles -= 1
            self._over.unpark_all()

    def _note(self, kind: str, what: str) -> None:
        self._found.faults[kind] += 1
        self._world.note(f"-- {kind} {what}")

    def _pair(self) -> Pair:
        return frozenset(self._chance.sample(self._nodes.places, 2))

    async def _strike_down(self) -> None:
        standing = [name for name, _ in self._nodes.standing()]
        if standing:
            self._crash(self._chance.choice(standing))

    def _crash(self, name: str) -> None:
        if not self._crashes or name in self._nodes.down:
            return
        self._crashes -= 1
        power = self._chance.random() < 0.3
        self._note("power" if power else "kill", name)
        self._nodes.cut_off(name, power=power)
        self.begin_one(partial(self._rise, name))

    async def _rise(self, name: str) -> None:
        await self._nodes.rise(name, self._chance.choice([0.0, 0.0, 0.2, 3.0, 30.0]))
        self._world.note(f"-- {name} is there again")

    async def _cut(self) -> None:
        pair = self._pair()
        self._note("cut", "-".join(sorted(pair)))
        self._wires.cut(pair)
        self._nodes.shaken(pair, 0.0)

    async def _part(self) -> None:
        pair = self._pair()
        self._note("part", "-".join(sorted(pair)))
        self._wires.part(pair)
        self._nodes.shaken(pair, 0.0)
        await trio.sleep(self._chance.choice([0.01, 0.3, 3.0, 40.0]))
        self._wires.join(pair)
        self._nodes.shaken(pair, 0.0)

    async def _slow(self) -> None:
        pair, seconds = self._pair(), self._chance.choice([0.005, 0.1, 1.0])
        self._note("slow", "-".join(sorted(pair)))
        self._wires.slow(pair, seconds)
        await trio.sleep(self._chance.choice([0.1, 2.0]))
        self._wires.slow(pair, 0.0)
        self._nodes.shaken(pair, seconds)  # for so long some of it is under way
