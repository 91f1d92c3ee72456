"""A network that misbehaves: a proxy before every node, which delays, holds back, cuts and repeats what nodes say.

Is:     TCP only: it sees frames encrypted, so what it can do is what a network can do.
Is not: a choice of what goes wrong when: the caller's, from a seed.
Fits:   members' addresses are the proxies'; connections of anybody but a node pass untouched.

Whose connection it is, is found out from the system: the process at its other end is a node's. So pairs of nodes can be
parted although all are at 127.0.0.1, without being root.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

CHUNK_BYTES = 65_536
REPEATED_BYTES = 4_096  # of what a connection began with, kept to be said again
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
Pair = frozenset[str]


class _Connection:
    """One connection through a proxy, from node to node."""

    def __init__(
        self, ends: Pair, address: int, near: trio.SocketStream, far: trio.SocketStream
    ) -> None:
        self.ends = ends
        self.address = address  # the port of the node that was called
        self.near, self.far = near, far
        self.began = b""
        self.cut_within = False  # the next bytes are passed on by half, then it is cut

    def cut(self) -> None:
        """Break it for both sides, at once."""
        for stream in (self.near, self.far):
            with suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            stream.socket.close()

    def cut_half(self) -> None:
        """Break it for the side that was called; the other hears nothing of that."""
        self.far.socket.close()


class Network:
    """The proxies of a cluster, in a thread of their own. Methods are for other threads.

    Args:
        nodes: for each proxy's port the node's name and real port.
        pid: the process of a node, or None if it has none now.
    """

    def __init__(self, nodes: dict[int, tuple[str, int]], pid: Callable[[str], int | None]) -> None:
        self._nodes = nodes
        self._pid = pid
        self._connections: set[_Connection] = set()
        self._parted: dict[Pair, trio.Event] = {}
        self._delay_s: dict[Pair, float] = {}
        self._old: list[_Connection] = []
        self._ready = threading.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._thread = threading.Thread(target=trio.run, args=(self._run,))
        self.passed_bytes = 0

    # -- what goes wrong --

    def cut(self, pair: Pair, *, within: bool = False) -> None:
        """Break all connections between two nodes; with `within`, in the middle of what is said next."""
        for connection in self._between(pair):
            if within:
                connection.cut_within = True
            else:
                connection.cut()

    def cut_half(self, pair: Pair) -> None:
        """Break all connections between two nodes so that one side does not hear of it."""
        for connection in self._between(pair):
            connection.cut_half()

    def part(self, pair: Pair) -> None:
        """Hold back all that two nodes say to each other, until `join`."""
        self._parted.setdefault(pair, trio.Event())

    def join(self, pair: Pair) -> None:
        """Let two nodes hear each other again, what was held back first."""
        event = self._parted.pop(pair, None)
        if event is not None:
            event.set()

    def delay(self, pair: Pair, seconds: float) -> None:
        """Pass on what two nodes say so much later."""
        self._delay_s[pair] = seconds

    def repeat(self, pair: Pair) -> None:
        """Say the beginning of an old connection once more, on a new one."""
        assert self._nursery is not None
        for connection in [old for old in self._old if old.ends == pair][-1:]:
            self._nursery.start_soon(self._repeat, connection)

    def do(self, change: Callable[[], None]) -> None:
        """Do one of these in the proxies' thread; return when it has been done."""
        assert self._token is not None
        done = threading.Event()

        def work() -> None:
            change()
            done.set()

        self._token.run_sync_soon(work)
        assert done.wait(30), "the proxies do nothing"

    # -- the thread --

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        """Break everything and end the thread."""
        self.do(self._scope.cancel)
        self._thread.join()

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for port, (name, real) in self._nodes.items():
                    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
                    nursery.start_soon(self._listen, listener, name, real)
                self._ready.set()

    async def _listen(self, listener: trio.SocketListener, name: str, real: int) -> None:
        async def accepted(near: trio.SocketStream) -> None:
            with suppress(*_GONE):
                far = await trio.open_tcp_stream("127.0.0.1", real)
                caller = self._caller(near)
                ends = frozenset({caller, name}) if caller else frozenset()
                await self._join_up(_Connection(ends, real, near, far))

        await trio.serve_listeners(accepted, [listener])

    def _caller(self, near: trio.SocketStream) -> str | None:
        """Return the node whose process is at the other end of a connection."""
        inode = _inode(near.socket.getpeername()[1])
        for name, _ in self._nodes.values():
            pid = self._pid(name)
            if pid is not None and inode in _inodes(pid):
                return name
        return None

    async def _join_up(self, connection: _Connection) -> None:
        self._connections.add(connection)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, connection, connection.near, connection.far)
                nursery.start_soon(self._pump, connection, connection.far, connection.near)
        finally:
            self._connections.discard(connection)
            if connection.ends:
                self._old = [*self._old[-20:], connection]
            connection.cut()

    async def _pump(
        self, connection: _Connection, source: trio.SocketStream, target: trio.SocketStream
    ) -> None:
        ends = connection.ends
        with suppress(*_GONE):
            while data := bytes(await source.receive_some(CHUNK_BYTES)):
                if source is connection.near and len(connection.began) < REPEATED_BYTES:
                    connection.began += data
                await trio.sleep(self._delay_s.get(ends, 0.0))
                while (parted := self._parted.get(ends)) is not None:
                    await parted.wait()
                self.passed_bytes += len(data)
                if connection.cut_within:
                    await target.send_all(data[: len(data) // 2])
                    connection.cut()
                    return
                await target.send_all(data)
        with suppress(*_GONE):
            await target.send_eof()

    async def _repeat(self, connection: _Connection) -> None:
        with suppress(*_GONE):
            stream = await trio.open_tcp_stream("127.0.0.1", connection.address)
            async with stream:
                await stream.send_all(connection.began)
                with trio.move_on_after(1):
                    await stream.receive_some(CHUNK_BYTES)

    def _between(self, pair: Pair) -> list[_Connection]:
        return [connection for connection in self._connections if connection.ends == pair]


def _inode(port: int) -> str:
    """Return the inode of the socket that has a local port, as text."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == f"0100007F:{port:04X}":
            return fields[9]
    return ""


def _inodes(pid: int) -> set[str]:
    """Return the inodes of all sockets of a process, as texts."""
    found = set()
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


@contextmanager
def network(
    nodes: dict[int, tuple[str, int]], pid: Callable[[str], int | None]
) -> Iterator[Network]:
    """Run proxies for the time of a block."""
    made = Network(nodes, pid)
    made.start()
    try:
        yield made
    finally:
        made.stop()
