"""How long to wait before one tries again.

Is:     waits at random, up to a bound that doubles with each failure ("full jitter").
Is not: waiting (`yind.peers`), nor the system's randomness, which comes in.
Fits:   one for each node that one wants to be connected to.
Source: Brooker, "Exponential backoff and jitter" (2015): nodes that lost a peer together do not come back together.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol.limits import RECONNECT_FIRST_S, RECONNECT_HEALTHY_S, RECONNECT_MOST_S


class Backoff:
    """The waits between attempts; `random` returns doubles in [0, 1)."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._most_s = RECONNECT_FIRST_S

    def wait_s(self) -> float:
        """Return how long to wait now; the next wait may be twice as long."""
        most_s, self._most_s = self._most_s, min(2 * self._most_s, RECONNECT_MOST_S)
        return self._random() * most_s

    def lived(self, seconds: float) -> None:
        """Note how long a connection lived: one that was healthy makes the next wait short again."""
        if seconds >= RECONNECT_HEALTHY_S:
            self._most_s = RECONNECT_FIRST_S
