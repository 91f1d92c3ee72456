"""A round trip of so many bytes over the daemon's own TLS, and nothing else.

Is:     the least that a hand-off over this stack can take: the bytes there and back.
Is not: frames, messages, signatures of tokens.
Fits:   `bench.migration` measures it in turns with migrations; `bench/workers/tls_echo.py` is the other end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey
from protocol.stream import SecureStream
from protocol.tls import client_context


@dataclass(frozen=True)
class Member:
    """A key and its certificate."""

    private: PrivateKey
    certificate: bytes

    @staticmethod
    def make(name: str) -> Member:
        """Return a new one."""
        private = PrivateKey.generate()
        return Member(private, make_certificate(private, name))


@dataclass(frozen=True)
class Echo:
    """The other end, running."""

    port: int
    client: Member
    server: Member

    def round_trips_ms(self, size: int, count: int) -> list[float]:
        """Return how long so many round trips take, each."""
        return trio.run(_round_trips_ms, self, size, count)


async def read_exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    """Return so many bytes, or none at the end."""
    data = b""
    while len(data) < size:
        part = bytes(await stream.receive_some(1 << 16))
        if not part:
            return b""
        data += part
    return data


@contextmanager
def echoing(size: int) -> Iterator[Echo]:
    """Run the other end."""
    server, client = Member.make("server"), Member.make("client")
    with subprocess.Popen(
        [sys.executable, "-m", "bench.workers.tls_echo", str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None, "a pipe was asked for"
        assert process.stdout is not None, "a pipe was asked for"
        for part in (server.private.seed, server.certificate, client.certificate):
            print(part.hex(), file=process.stdin, flush=True)
        yield Echo(int(process.stdout.readline()), client, server)
        process.stdin.close()


async def _round_trips_ms(echo: Echo, size: int, count: int) -> list[float]:
    context = client_context(
        echo.client.private, echo.client.certificate, [echo.server.certificate]
    )
    data = os.urandom(size)
    times = []
    plain = await trio.open_tcp_stream("127.0.0.1", echo.port)
    async with SecureStream(plain, context) as stream:
        await stream.shake_hands()
        for _ in range(count):
            started = time.perf_counter()
            await stream.send_all(data)
            await read_exactly(stream, size)
            times.append((time.perf_counter() - started) * 1000)
    return times
