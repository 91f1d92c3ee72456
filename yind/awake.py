"""A loop that does not sleep while an answer is about to come.

Is:     one task that keeps the event loop turning for AWAKE_NS after `stay`, unless something is being written.
Is not: a wait: nothing depends on it but how soon a node notices what comes.
Fits:   `yind.departures` asks for it when it has said Go: the target answers within half a millisecond, and the agent may
        be back in one. In a crowd of journeys the loop has no time to sleep anyway.
Source: adaptive polling, as in the halt polling of hypervisors.

A processor that has gone to sleep takes some 50 microseconds to come back, on a virtual machine more, which is a tenth
of a hand-off in memory. The price is at most a millisecond of a processor that had nothing else to do, for each agent
that leaves. A thread that writes needs what the loop would hold on to, so the loop sleeps as long as there is one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from yind.limits import AWAKE_NS


class Awake:
    """Keeps the event loop of a node awake.

    Args:
        ticks_ns: real time: under a clock of tests the loop would turn for ever.
        written: returns when no thread of the node is writing, at once if there is none.
    """

    def __init__(self, ticks_ns: Callable[[], int], written: Callable[[], Awaitable[None]]) -> None:
        self._ticks_ns = ticks_ns
        self._written = written
        self._until_ns = 0
        self._wanted = trio.lowlevel.ParkingLot()

    def stay(self) -> None:
        """Do not sleep for AWAKE_NS from now."""
        self._until_ns = self._ticks_ns() + AWAKE_NS
        self._wanted.unpark()

    async def run(self) -> None:
        """Turn the loop while that is asked for, until cancelled."""
        while True:
            while self._ticks_ns() < self._until_ns:
                await self._written()
                await trio.lowlevel.checkpoint()
            await self._wanted.park()
