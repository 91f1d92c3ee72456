"""The clock and randomness of a node, handed to everyone who needs them.

Is:     the only place that asks the system for time or random bytes.
Is not: trio's clock, which measures durations and which tests may replace.
Fits:   `yind.node` makes one `System`; tests make a `Clock` with fixed answers.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What the daemon needs from the outside besides bytes."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC); never goes back."""

    def ticks_ns(self) -> int:
        """Return nanoseconds since any moment; never goes back."""

    def random_bytes(self, count: int) -> bytes:
        """Return unpredictable bytes."""

    def random_double(self) -> float:
        """Return a double in [0, 1), uniform over multiples of 2**-53."""


class System:
    """The machine's own clock and randomness.

    Time does not go back while the process lives: what has ended stays ended though somebody sets the clock back.
    """

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._latest_ms = 0

    def now_ms(self) -> int:  # noqa: D102
        self._latest_ms = max(self._latest_ms, self._wall_ns() // 1_000_000)
        return self._latest_ms

    ticks_ns = staticmethod(time.perf_counter_ns)

    def random_bytes(self, count: int) -> bytes:  # noqa: D102
        return os.urandom(count)

    def random_double(self) -> float:  # noqa: D102
        return secrets.randbits(53) / (1 << 53)
