"""What a node remembers of hand-offs that it has refused: of each source the last ones, and of those before that there were.

Is:     which refusals are kept, of each source REFUSALS_EACH_MAX, and up to which attempt of it there were more.
Is not: the rules (`protocol.handoff.Target`), nor how refusals become old with all else (`yind.forgetting`).
Fits:   `yind.arrivals` adds each refusal that it writes, and writes what becomes of those that make room.

A refusal is said for ever: its source runs the agent again, so an offer of that attempt that was late must not be taken. Whoever
wants can offer an agent that nobody has heard of, and is refused; so there has to be an end to what is kept. What makes
room leaves its number: all attempts of this source up to there of which nothing else is known are refused, as most of
them have been. So only a source that is refused all the time finds something refused that might have been taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from datomstore.batch import Batch
from protocol import handoff
from yind.limits import REFUSALS_EACH_MAX

FLOOR_TABLE = "refused"  # source -> up to which of its attempts more was refused than is known


class Kept(NamedTuple):
    """A refusal that is remembered."""

    agent: bytes
    slot: bytes
    latest: int  # attempt that it tells of


class Room(NamedTuple):
    """What makes room for a refusal, and what is remembered of it."""

    dropped: list[Kept]
    floor: int


class Refusals:
    """All of one node."""

    def __init__(self) -> None:
        self.floors: dict[bytes, int] = {}  # source -> as its row says, once that lasts
        self._raised: dict[bytes, int] = {}  # the same, on its way to the disk
        self._kept: dict[bytes, dict[bytes, Kept]] = {}  # source, agent; the oldest first

    def load(self, batch: Batch, records: Iterable[handoff.Record]) -> None:
        """Read what earlier runs have refused."""
        rows = batch.scan(FLOOR_TABLE)
        self.floors = {source: int.from_bytes(floor, "big") for source, floor in rows}
        self._raised = dict(self.floors)
        refused = [record for record in records if isinstance(record, handoff.Refused)]
        for record in sorted(refused, key=lambda one: handoff.latest_attempt([one])):
            self._keep(record)

    def add(self, refused: handoff.Refused) -> Room | None:
        """Keep a refusal that is about to be written; return what has to make room in the same write, if anything has.

        The oldest make room, all of which has been asked to be written before.
        """
        kept = self._keep(refused)
        dropped: list[Kept] = []
        while len(kept) > REFUSALS_EACH_MAX:
            dropped.append(kept.pop(next(iter(kept))))
        if not dropped:
            return None
        before = self._raised.get(refused.source, handoff.NOTHING_FORGOTTEN)
        floor = self._raised[refused.source] = max([before, *(one.latest for one in dropped)])
        return Room(dropped, floor)

    def _keep(self, refused: handoff.Refused) -> dict[bytes, Kept]:
        kept = self._kept.setdefault(refused.source, {})
        kept.pop(refused.agent, None)
        latest = handoff.latest_attempt([refused])
        kept[refused.agent] = Kept(refused.agent, handoff.slot(refused), latest)
        return kept

    def forget(self, agents: Iterable[bytes]) -> None:
        """Keep no refusals of agents of which all is forgotten."""
        gone = list(agents)
        for kept in self._kept.values():
            for agent in gone:
                kept.pop(agent, None)
