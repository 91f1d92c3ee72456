"""A node that does not sleep while an answer is about to come.

Is:     one task that has a connection look for what comes, for AWAKE_NS after `stay`, unless something is being written.
Is not: a wait: nothing depends on it but how soon a node notices what comes.
Fits:   `yind.departures` asks for it when it has said Go: a target that waits for no disk answers within half a
        millisecond, and the agent may be back in one. In a crowd of journeys the loop has no time to sleep anyway.
Source: adaptive polling, as in the halt polling of hypervisors.

A processor that has gone to sleep takes some 50 microseconds to come back, on a virtual machine more, which is a tenth
of a hand-off in memory. The price is at most a millisecond of a processor that had nothing else to do, for each agent
that leaves. A thread that writes needs what the loop would hold on to, so the loop sleeps as long as there is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from protocol.transport import Channel
from yind.limits import AWAKE_NS


class Awake:
    """Keeps a node awake.

    Args:
        ticks_ns: real time: under a clock of tests a connection would look for ever.
        writing: whether a thread of the node is writing.
        written: returns when none is, at once if that is so.
    """

    def __init__(
        self,
        ticks_ns: Callable[[], int],
        writing: Callable[[], bool],
        written: Callable[[], Awaitable[None]],
    ) -> None:
        self._ticks_ns = ticks_ns
        self._writing = writing
        self._written = written
        self._until_ns = 0
        self._channels: deque[Channel] = deque(maxlen=1)  # the last one that was asked for
        self._wanted = trio.lowlevel.ParkingLot()

    def stay(self, channel: Channel) -> None:
        """Look for what comes over a connection, for AWAKE_NS from now."""
        self._until_ns = self._ticks_ns() + AWAKE_NS
        self._channels.append(channel)
        self._wanted.unpark()

    def _expects(self) -> bool:
        return not self._writing() and self._ticks_ns() < self._until_ns

    async def run(self) -> None:
        """Have connections look as soon as nothing is being written, until cancelled."""
        while True:
            while not self._channels:
                await self._wanted.park()
            await self._written()
            self._channels.pop().expect(self._expects)
