"""A network inside the process: connections whose bytes take their time, and that chance cuts, holds up and silences.

Is:     what `trio.open_tcp_stream` and `trio.open_tcp_listeners` are in a simulated world: streams, in order, as of TCP.
Is not: a sender that has to wait: there is room for everything that is on its way.
Fits:   `world` puts it in the place of the system's network. TLS and all that is above it are as ever.

A place is a node, or who asks one. Two places that are parted lose nothing, and hear nothing of each other until they are
joined. A place that is down refuses connections; one whose host has lost its power says nothing, until it is there again.
"""

from __future__ import annotations

import errno
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import trio

LATENCIES_S = (0.0, 0.0001, 0.0005, 0.002, 0.02)
PIECES = 0.05  # how likely bytes arrive in two pieces
NOWHERE = "nowhere"

_here: ContextVar[str] = ContextVar("here", default=NOWHERE)


@contextmanager
def at(place: str) -> Iterator[None]:
    """Have what the block does, and the tasks it starts, be at a place."""
    token = _here.set(place)
    try:
        yield
    finally:
        _here.reset(token)


class _Way:
    """One direction of a connection: bytes, and when they arrive."""

    def __init__(self, wires: Wires, source: str, target: str) -> None:
        self._wires = wires
        self.source = source
        self.target = target
        self.pair = frozenset({source, target})
        self.broken = False
        self.silent = False
        self._coming: deque[tuple[float, bytes]] = deque()  # b"" is the end
        self._last = 0.0
        self._changed = trio.lowlevel.ParkingLot()

    def put(self, data: bytes) -> None:
        if self.silent:
            return
        chance = self._wires.chance
        if len(data) > 1 and chance.random() < PIECES:
            cut = chance.randrange(1, len(data))
            self._add(data[:cut])
            data = data[cut:]
        self._add(data)

    def _add(self, data: bytes) -> None:
        latency = self._wires.latency_s(self.pair)
        self._last = max(self._last, trio.current_time() + latency)
        self._coming.append((self._last, data))
        self._changed.unpark_all()

    def cut(self) -> None:
        """Lose what is on its way, and have both ends know it."""
        self.broken = True
        self.wake()

    def end(self) -> None:
        """Let what is on its way arrive, and nothing more."""
        self.put(b"")
        self.silent = True

    def silence(self) -> None:
        """Lose what is on its way and what comes, and tell nobody."""
        self.silent = True
        self._coming.clear()

    def wake(self) -> None:
        self._changed.unpark_all()

    async def get(self, size_max: int) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            if self.broken:
                raise trio.BrokenResourceError("the connection was cut")
            due = self._coming[0][0] if self._coming else math.inf
            if due <= trio.current_time() and not self._wires.parted(self.pair):
                return self._take(size_max)
            if due == math.inf or due <= trio.current_time():
                await self._changed.park()
            else:
                with trio.move_on_at(due):
                    await self._changed.park()

    def _take(self, size_max: int) -> bytes:
        at_s, data = self._coming[0]
        if not data:
            return b""  # for ever
        if len(data) > size_max:
            self._coming[0] = at_s, data[size_max:]
        else:
            self._coming.popleft()
        self._wires.heard(self.pair, len(data[:size_max]))
        return data[:size_max]


class _Name:
    """What is asked of a socket: who is at its other side, and where it listens."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def getpeername(self) -> tuple[str, int]:
        return self._address

    getsockname = getpeername


class Wire(trio.abc.Stream):
    """One end of a connection."""

    def __init__(self, out: _Way, back: _Way, address: tuple[str, int]) -> None:
        self.socket = _Name(address)
        self._out = out
        self._back = back
        self._closed = False

    def setsockopt(self, *_: object) -> None:
        """Nothing that is set here shows."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        await self.wait_send_all_might_not_block()
        self._out.put(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if self._out.broken:
            raise trio.BrokenResourceError("the connection was cut")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._closed:
            raise trio.ClosedResourceError
        return await self._back.get(max_bytes or 65_536)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._out.put(b"")
            self._back.cut()
        await trio.lowlevel.checkpoint()


class _Listener(trio.abc.Listener[Wire]):
    """Accepts who connects to one place."""

    def __init__(self, place: str, address: tuple[str, int], closed: Callable[[], None]) -> None:
        self.place = place
        self.socket = _Name(address)
        self._closed = closed
        self.arrive, self._arrived = trio.open_memory_channel[Wire](math.inf)

    async def accept(self) -> Wire:
        return await self._arrived.receive()

    async def aclose(self) -> None:
        self._closed()
        self._arrived.close()
        await trio.lowlevel.checkpoint()


class Wires:
    """All connections of a world."""

    def __init__(self, chance: random.Random, told: Callable[[str], None]) -> None:
        self.chance = chance
        self._told = told
        self._listeners: dict[int, _Listener] = {}
        self._ways: list[_Way] = []
        self._parted: set[frozenset[str]] = set()
        self._slow: dict[frozenset[str], float] = {}
        self._dark: set[str] = set()  # places without power

    # -- for the nodes --

    async def open_tcp_stream(self, host: str, port: int) -> Wire:
        """Connect to who listens at a port."""
        here = _here.get()
        await trio.sleep(self.chance.choice(LATENCIES_S))
        listener = self._listeners.get(port)
        if listener is None:
            if self._dark:
                await trio.sleep_forever()  # nobody is there to say that nobody listens
            raise OSError(errno.ECONNREFUSED, "nobody listens there")
        pair = frozenset({here, listener.place})
        if self.parted(pair) or here in self._dark:
            await trio.sleep_forever()
        there, back = _Way(self, here, listener.place), _Way(self, listener.place, here)
        self._ways = [way for way in self._ways if not way.broken] + [there, back]
        listener.arrive.send_nowait(Wire(back, there, ("10.0.0.1", 1)))
        return Wire(there, back, (host, port))

    async def open_tcp_listeners(
        self, port: int, *, host: str | None = None, backlog: int | None = None
    ) -> list[_Listener]:
        """Listen at a port."""
        await trio.lowlevel.checkpoint()
        if port in self._listeners:
            raise OSError(errno.EADDRINUSE, "somebody listens there already")
        place = _here.get()
        self._dark.discard(place)
        address = (host or "127.0.0.1", port)
        listener = _Listener(place, address, lambda: self._close(port, listener))
        self._listeners[port] = listener
        for way in self._of(place):  # from before it lost its power: nobody knows of them here
            if way.silent:
                way.cut()
        return [listener]

    def _close(self, port: int, listener: _Listener) -> None:
        if self._listeners.get(port) is listener:
            del self._listeners[port]

    # -- for chance --

    def parted(self, pair: frozenset[str]) -> bool:
        """Return whether nothing gets from one place to the other."""
        return pair in self._parted

    def clear(self, pair: frozenset[str]) -> bool:
        """Return whether nothing holds up what gets from one place to the other."""
        return not (self.parted(pair) or self._slow.get(pair))

    def latency_s(self, pair: frozenset[str]) -> float:
        """Return how long bytes take that are sent now."""
        return self.chance.choice(LATENCIES_S) + self._slow.get(pair, 0.0)

    def heard(self, pair: frozenset[str], size: int) -> None:
        """Have it noted that bytes have arrived."""
        self._told(f"{'-'.join(sorted(pair))} {size} bytes")

    def part(self, pair: frozenset[str]) -> None:
        """Let nothing get from one place to the other."""
        self._parted.add(pair)

    def join(self, pair: frozenset[str]) -> None:
        """Let through what was sent meanwhile, too."""
        self._parted.discard(pair)
        for way in self._ways:
            way.wake()

    def slow(self, pair: frozenset[str], seconds: float) -> None:
        """Have bytes take longer by some time."""
        self._slow[pair] = seconds

    def cut(self, pair: frozenset[str]) -> None:
        """End all connections between two places; what is on its way is lost."""
        for way in self._ways:
            if way.pair == pair:
                way.cut()

    def take_down(self, place: str, *, power: bool) -> None:
        """End a place. With its process its connections end, once what it has sent is there; without power it says nothing of that."""
        for port, listener in list(self._listeners.items()):
            if listener.place == place:
                del self._listeners[port]
        for way in self._of(place):
            if power:
                way.silence()
            elif way.source == place:
                way.end()
            else:
                way.cut()
        if power:
            self._dark.add(place)

    def _of(self, place: str) -> list[_Way]:
        return [way for way in self._ways if place in way.pair]
