"""What waits to be written: short messages go ahead of the parts of long ones.

Is:     an order of frames, and how many bytes of them there may be.
Is not: I/O, or what a frame says.
Fits:   a channel of `transport` leaves frames here, and its writer takes them.

A long message, an agent that carries much, may take seconds on a slow line. What others wait for meanwhile, to be told Go
or that a token was revoked, goes between its parts. What belongs together stays in its order: messages about one agent,
those of one request; and Goodbye is the last one. Of long messages one follows the other.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from protocol.limits import SEND_BUFFER_BYTES
from protocol.messages import Cancel, Goodbye, HandOff, Item, Message, Reply, Request

Lane = bytes | int | None  # agent, or number of a request


class Outbox:
    """The frames of one connection that have not been written yet."""

    def __init__(self) -> None:
        self._short: list[bytes] = []
        self.short_bytes = 0
        self._long: deque[tuple[Lane, bytes]] = deque()  # and what has to stay behind them
        self._long_bytes = 0
        self._lanes: Counter[Lane] = Counter()  # of frames in `_long`

    def __bool__(self) -> bool:
        return bool(self._short or self._long)

    def has_room(self, *, long: bool = True) -> bool:
        """Return whether who sends a message, a long one or any, need not wait."""
        return self.short_bytes < SEND_BUFFER_BYTES and not (
            long and self._long_bytes >= SEND_BUFFER_BYTES
        )

    def put(self, message: Message, frames: Sequence[bytes]) -> None:
        """Leave the frames that say a message."""
        if len(frames) == 1 and not (self._long and self._stays_behind(message)):
            self._short.append(frames[0])
            self.short_bytes += len(frames[0])
            return
        lane = _lane(message)
        self._long.extend((lane, frame) for frame in frames)
        self._long_bytes += sum(map(len, frames))
        self._lanes[lane] += len(frames)

    def take(self) -> bytes:
        """Return what is to be written next: all short messages, and then a part of a long one."""
        frames = self._short
        if self._long:
            lane, part = self._long.popleft()
            self._long_bytes -= len(part)
            self._lanes[lane] -= 1
            frames.append(part)
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        self.short_bytes = 0
        return data

    def _stays_behind(self, message: Message) -> bool:
        return isinstance(message, Goodbye) or self._lanes[_lane(message)] > 0


def _lane(message: Message) -> Lane:
    """Return what a message belongs to."""
    if isinstance(message, HandOff):
        return message.agent
    if isinstance(message, Request | Reply | Item | Cancel):
        return message.id
    return None
