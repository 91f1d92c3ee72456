"""Who does not read slows who sends to it, and nobody else; what waits to be sent is bounded."""

from __future__ import annotations

import os
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from members import FRIEND, NODE, Member, member
from serving import serving

from datomstore.value import Map
from protocol.connection import Connection
from protocol.holdings import Holdings
from protocol.limits import REQUESTS_MAX, SEND_BUFFER_BYTES
from protocol.messages import Request
from protocol.stream import SecureStream
from protocol.tls import client_context
from protocol.transport import Channel, SendItem, connect

OTHER = member("other")
ITEM_BYTES = 1 << 16


class Flood:
    """Answers without end, and counts how far it got."""

    def __init__(self) -> None:
        self.sent = self.echoed = 0

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        self.echoed += verb == "echo"
        while verb == "flood":
            await send(Map({"data": os.urandom(ITEM_BYTES)}))
            self.sent += 1
        return body

    def message(self, channel: Channel, message: object) -> None:
        raise AssertionError(message)


def context_of(who: Member) -> ssl.SSLContext:
    return client_context(who.private, who.certificate, [NODE.certificate])


@asynccontextmanager
async def deaf(
    address: tuple[str, int], verb: str = "flood", count: int = REQUESTS_MAX, size: int = 0
) -> AsyncIterator[None]:
    """Be a member that asks for a lot, as long as it may, and reads nothing but the greeting."""
    async with SecureStream(await trio.open_tcp_stream(*address), context_of(OTHER)) as stream:
        connection = Connection(name="deaf", nonce=bytes(16))
        await stream.shake_hands()
        await stream.send_all(connection.hello())
        connection.receive_data(await stream.receive_some())

        async def ask() -> None:
            for number in range(count):
                request = Request(number, verb, Map({"data": bytes(size)}))
                await stream.send_all(connection.send(request))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            yield
            nursery.cancel_scope.cancel()


async def settled(handler: Flood) -> None:
    """Return when no more is sent: everything waits for who does not read."""
    before = (-1, -1)
    while before != (handler.sent, handler.echoed):
        before = (handler.sent, handler.echoed)
        await trio.testing.wait_all_tasks_blocked(0.1)


async def test_what_waits_for_who_does_not_read_is_bounded_and_others_are_served() -> None:
    handler = Flood()
    async with serving(handler, OTHER) as address, deaf(address):
        await settled(handler)
        tracemalloc.start()
        sent, waits = handler.sent, []
        async with connect(
            f"{address[0]}:{address[1]}",
            context=context_of(FRIEND),
            server=NODE.key,
            name="friend",
            nonce=bytes(16),
            handler=Flood(),
        ) as channel:
            for number in range(200):
                began = time.perf_counter()
                body = Map({"number": number, "data": os.urandom(ITEM_BYTES)})
                assert await channel.request("echo", body) == body
                waits.append(time.perf_counter() - began)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # What the system's own buffers took, one frame for each request, and the buffer of the channel.
        in_memory = (REQUESTS_MAX + 1) * ITEM_BYTES + SEND_BUFFER_BYTES
        assert handler.sent == sent
        assert kept < 4 << 20
        assert sent * ITEM_BYTES < in_memory + (16 << 20)
        assert sorted(waits)[len(waits) // 2] < 0.1


async def test_an_answer_that_nobody_reads_is_a_request_under_way() -> None:
    handler, holdings = Flood(), Holdings()
    async with (
        serving(handler, OTHER, holdings=holdings) as address,
        deaf(address, "echo", 4_000, ITEM_BYTES // 2),
    ):
        await settled(handler)
        buffered = SEND_BUFFER_BYTES + (16 << 20)  # the channel's, and the system's
        waiting = REQUESTS_MAX * ITEM_BYTES
        assert handler.echoed * ITEM_BYTES // 2 < buffered + waiting < 4_000 * ITEM_BYTES // 2
        assert holdings.held(OTHER.key) <= waiting
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert holdings.held(OTHER.key) == 0


async def test_parts_that_nobody_reads_are_bounded() -> None:
    handler, holdings = Flood(), Holdings(of_peer=4 * ITEM_BYTES)
    async with serving(handler, OTHER, holdings=holdings) as address, deaf(address):
        await settled(handler)
        assert 0 < holdings.held(OTHER.key) <= 4 * ITEM_BYTES
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert holdings.held(OTHER.key) == 0
