"""Sends back what comes, over the daemon's own TLS: the other end of `bench.migration`'s bare round trip.

Is:     one connection at a time, frames of a size that is told as an argument.
Is not: a node.
Fits:   `python -m bench.workers.tls_echo SIZE` prints the port it listens on, and ends with its standard input.
"""

from __future__ import annotations

import sys

import trio

from bench.echo import read_exactly
from capabilities.keys import PrivateKey
from protocol.stream import SecureStream
from protocol.tls import server_context


async def main() -> None:
    """Serve until standard input ends."""
    size = int(sys.argv[1])
    seed, certificate, trusted = (bytes.fromhex(sys.stdin.readline()) for _ in range(3))
    context = server_context(PrivateKey.from_seed(seed), certificate, [trusted])

    async def echo(plain: trio.SocketStream) -> None:
        stream = SecureStream(plain, context, server_side=True)
        await stream.shake_hands()
        while data := await read_exactly(stream, size):
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        print(listeners[0].socket.getsockname()[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
