"""Who is at the door: connections whose other end is not proven yet, and how many of each peer are inside.

Is:     bounds in number and time on what strangers, and members, can hold open.
Is not: the proof (`tls`) or the conversation (`transport`).
Fits:   `transport.serve` asks it for every connection it accepts.

A plain limit on strangers would let a few slow ones lock everybody out. So there is always room for one more: the oldest
makes it, of the same address if that has many at the door, because an honest peer is through within milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from capabilities.keys import PublicKey
from protocol.limits import (
    CONNECTIONS_MAX,
    CONNECTIONS_OF_PEER,
    HANDSHAKE_S,
    PRE_AUTHENTICATION_MAX,
    PRE_AUTHENTICATION_OF_SOURCE,
)


class Entrance:
    """The door of one listener."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[str, trio.CancelScope]] = {}  # in the order they came
        self._of_source: Counter[str] = Counter()
        self._inside: Counter[PublicKey] = Counter()
        self._next = 0

    @contextmanager
    def handshake(self, source: str) -> Iterator[None]:
        """Bound the block in time, and let it be cancelled by newer ones."""
        number, self._next = self._next, self._next + 1
        with trio.move_on_after(HANDSHAKE_S) as scope:
            self._make_room(source)
            self._waiting[number] = source, scope
            self._of_source[source] += 1
            try:
                yield
            finally:
                self._leave(number)

    def _make_room(self, source: str) -> None:
        if self._of_source[source] >= PRE_AUTHENTICATION_OF_SOURCE:
            oldest = next(n for n, (other, _) in self._waiting.items() if other == source)
        elif len(self._waiting) >= PRE_AUTHENTICATION_MAX:
            oldest = next(iter(self._waiting))
        else:
            return
        _, scope = self._waiting[oldest]
        self._leave(oldest)
        scope.cancel()

    def _leave(self, number: int) -> None:
        found = self._waiting.pop(number, None)
        if found is not None:
            source, _ = found
            self._of_source[source] -= 1
            if not self._of_source[source]:
                del self._of_source[source]

    @contextmanager
    def inside(self, peer: PublicKey) -> Iterator[bool]:
        """Count a proven connection for the time of the block; yield whether there is room for it."""
        room = self._inside[peer] < CONNECTIONS_OF_PEER and self._inside.total() < CONNECTIONS_MAX
        self._inside[peer] += 1
        try:
            yield room
        finally:
            self._inside[peer] -= 1
            if not self._inside[peer]:
                del self._inside[peer]
