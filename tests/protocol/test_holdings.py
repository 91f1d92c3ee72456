"""What a peer has us hold is bounded over all its connections, and no other peer is concerned."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from members import FRIEND, NODE, Member, member
from serving import serving

from datomstore.value import Map
from protocol.connection import Connection
from protocol.errors import RemoteError
from protocol.holdings import Holdings
from protocol.messages import Goodbye, Part
from protocol.stream import SecureStream
from protocol.tls import client_context
from protocol.transport import Channel, SendItem, connect

OTHER = member("other")
SOME = 40_000  # bytes; two of them are too many
MOST = 70_000


class Patient:
    """Answers when it may."""

    def __init__(self) -> None:
        self.may = trio.Event()
        self.asked = 0

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        self.asked += 1
        if verb == "wait":
            await self.may.wait()
        return Map({"size": len(body["data"])})

    def message(self, channel: Channel, message: object) -> None:
        raise AssertionError(message)


@asynccontextmanager
async def greeted(
    address: tuple[str, int], who: Member
) -> AsyncIterator[tuple[SecureStream, Connection]]:
    context = client_context(who.private, who.certificate, [NODE.certificate])
    async with SecureStream(await trio.open_tcp_stream(*address), context) as stream:
        connection = Connection(name="somebody", nonce=bytes(16))
        await stream.shake_hands()
        await stream.send_all(connection.hello())
        connection.receive_data(await stream.receive_some())
        yield stream, connection


@asynccontextmanager
async def channel_of(address: tuple[str, int], who: Member) -> AsyncIterator[Channel]:
    async with connect(
        f"{address[0]}:{address[1]}",
        context=client_context(who.private, who.certificate, [NODE.certificate]),
        server=NODE.key,
        name="somebody",
        nonce=os.urandom(16),
        handler=Patient(),
    ) as channel:
        yield channel


async def begin_long(stream: SecureStream, connection: Connection) -> str | None:
    """Send the beginning of a message; return what the node's goodbye says, None if it goes on."""
    await stream.send_all(connection.send(Part(False, bytes(SOME))))
    await trio.testing.wait_all_tasks_blocked(0.05)
    with trio.move_on_after(0.2):
        data = await stream.receive_some()
        (said,) = connection.receive_data(data)
        assert isinstance(said, Goodbye)
        return said.reason
    return None


async def test_messages_that_do_not_end_are_bounded_over_all_connections() -> None:
    async with (
        serving(Patient(), OTHER, holdings=Holdings(MOST)) as address,
        greeted(address, OTHER) as first,
    ):
        assert await begin_long(*first) is None
        async with greeted(address, OTHER) as second:
            assert "wire/busy" in (await begin_long(*second) or "")
        async with greeted(address, FRIEND) as friend:
            assert await begin_long(*friend) is None
        await first[0].aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        async with greeted(address, OTHER) as third:
            assert await begin_long(*third) is None


async def test_requests_under_way_are_bounded_over_all_connections() -> None:
    handler, body = Patient(), Map({"data": bytes(SOME)})
    async with (
        serving(handler, OTHER, holdings=Holdings(MOST)) as address,
        trio.open_nursery() as nursery,
        channel_of(address, OTHER) as one,
        channel_of(address, OTHER) as two,
    ):
        nursery.start_soon(one.request, "wait", body)
        await trio.testing.wait_all_tasks_blocked(0.05)
        for channel in (one, two):
            with pytest.raises(RemoteError, match=f"at most {MOST} bytes of requests"):
                await channel.request("ask", body)
        async with channel_of(address, FRIEND) as friend:
            assert (await friend.request("ask", body))["size"] == SOME
        assert handler.asked == 2
        handler.may.set()
        await trio.testing.wait_all_tasks_blocked(0.05)
        for channel in (one, two):
            assert (await channel.request("ask", body))["size"] == SOME


async def test_who_leaves_in_the_middle_holds_nothing() -> None:
    handler, body = Patient(), Map({"data": bytes(SOME)})
    async with serving(handler, OTHER, holdings=Holdings(MOST)) as address:
        for number in range(3):
            async with channel_of(address, OTHER) as channel, trio.open_nursery() as nursery:
                nursery.start_soon(channel.request, "wait", body)
                while handler.asked == number:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked(0.05)


def test_all_peers_together_have_a_bound() -> None:
    holdings = Holdings(MOST, 2 * MOST)
    assert holdings.take(OTHER.key, MOST)
    assert not holdings.take(OTHER.key, 1)
    assert holdings.take(FRIEND.key, MOST)
    assert not holdings.take(NODE.key, 1)
    holdings.give(OTHER.key, 10)
    assert holdings.take(NODE.key, 10)
    holdings.give(OTHER.key, MOST - 10)
    assert holdings.take(OTHER.key, MOST - 10)
