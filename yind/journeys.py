"""What the last journeys of a node's agents took, stage by stage.

Is:     a ring of marks in memory: which agent, which epoch, which stage, when.
Is not: a record of what happened (`yind.agent.Hop` is), nor kept over a restart.
Fits:   departures and arrivals mark; the request `node.journeys` shows. Of two nodes on one machine the marks can be
        compared, since both look at its one clock.

    source  frozen -> captured -> signed -> packed -> offered ... given ... told
    target            offer -> verified -> restored ... taken -> resumed ... owned
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from yind.limits import JOURNEY_MARKS_KEPT


class Stage(StrEnum):
    """What has just been done."""

    FROZEN = "frozen"  # at the source: the agent does not run any more
    CAPTURED = "captured"  # its image is there
    SIGNED = "signed"  # its tokens are bound to the target
    PACKED = "packed"  # the offer is bytes
    OFFERED = "offered"  # and is with the connection
    GIVEN = "given"  # the source cannot forget that it has given the agent away
    TOLD = "told"  # the target's Own has come
    OFFER = "offer"  # at the target: the offer has come
    VERIFIED = "verified"  # every signature and caveat holds
    RESTORED = "restored"  # the machine is there
    TAKEN = "taken"  # the target has been told Go, and the agent runs there
    RESUMED = "resumed"  # its `hop!` is answered, it goes on
    OWNED = "owned"  # the target cannot forget that it has the agent


class Mark(NamedTuple):
    """One stage of one journey."""

    agent: bytes
    epoch: int  # the one the target owns
    stage: Stage
    at_ns: int  # of the machine's clock that only goes forward


class Journeys:
    """The marks of one node."""

    def __init__(self, ticks_ns: Callable[[], int]) -> None:
        self._ticks_ns = ticks_ns
        self._marks: deque[tuple[bytes, int, Stage, int]] = deque(maxlen=JOURNEY_MARKS_KEPT)

    def mark(self, agent: bytes, epoch: int, stage: Stage) -> None:
        """Note that a stage is done."""
        self._marks.append((agent, epoch, stage, self._ticks_ns()))

    def __iter__(self) -> Iterator[Mark]:
        return map(Mark._make, tuple(self._marks))
