"""How many came lately that had no ticket, and who is not listened to because of that.

Is:     two bounds on applications that prove nothing: one for each address, and one for all together.
Is not: what an application is or who is admitted (`yind.joining`), or a defence of the sockets (`protocol.entrance`).
Fits:   `yind.joining` asks before it reads an application.

Who guesses from one address closes the door for that address alone. The bound on all is what a node is willing to work
for strangers at many addresses: it is so much higher that one address cannot reach it. The table of addresses is bounded
by the same number, as each that is in it has come within the time.

Who is not listened to is counted, and told about once for each REJECTED_S: a fact for each would let strangers fill the disk.
"""

from __future__ import annotations

from collections import deque

from yind.limits import REJECTED_ALL_MAX, REJECTED_MAX, REJECTED_S


class Strangers:
    """The applications of the last REJECTED_S that proved nothing."""

    def __init__(self) -> None:
        self._came: deque[tuple[int, str]] = deque()  # at which millisecond, from which address
        self._of: dict[str, int] = {}
        self._unheard = 0
        self._told_ms: int | None = None

    def rejected(self, source: str, now_ms: int) -> None:
        """Remember that somebody at an address had no ticket."""
        self._forget(now_ms)
        self._came.append((now_ms, source))
        self._of[source] = self._of.get(source, 0) + 1

    def may_ask(self, source: str, now_ms: int) -> bool:
        """Return whether somebody at an address is listened to."""
        self._forget(now_ms)
        return len(self._came) < REJECTED_ALL_MAX and self._of.get(source, 0) < REJECTED_MAX

    def unheard(self, now_ms: int) -> int:
        """Count one that is not listened to; return how many there were, when that is to be told, else 0."""
        self._unheard += 1
        if self._told_ms is not None and now_ms - self._told_ms < REJECTED_S * 1000:
            return 0
        self._told_ms, count, self._unheard = now_ms, self._unheard, 0
        return count

    def _forget(self, now_ms: int) -> None:
        while self._came and now_ms - self._came[0][0] >= REJECTED_S * 1000:
            _, source = self._came.popleft()
            self._of[source] -= 1
            if not self._of[source]:
                del self._of[source]
