"""Channels: over streams in memory with virtual time, and over sockets with certificates."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing
from members import FRIEND, NODE, STRANGER, Member
from serving import serving

from capabilities.keys import PrivateKey
from datomstore.value import Map
from protocol.connection import Connection
from protocol.errors import AuthenticationFailed, LocalFault, RemoteError, Unreachable
from protocol.framing import encode_frame
from protocol.limits import (
    DEAD_S,
    HANDSHAKE_S,
    IDLE_PING_S,
    MESSAGE_BYTES_MAX,
    PRE_AUTHENTICATION_MAX,
    REQUESTS_MAX,
    SEND_BUFFER_BYTES,
    SLOW_READER_S,
)
from protocol.messages import (
    Go,
    Goodbye,
    HandOff,
    Hello,
    Message,
    Own,
    Ping,
    Pong,
    Reply,
    Request,
    encode,
)
from protocol.stream import SecureStream
from protocol.tls import client_context
from protocol.transport import Channel, SendItem, _dial, connect, open_channel

KEY = PrivateKey.from_seed(b"k" * 32).public


class Busy(Exception):
    """What the daemon raises to say no."""

    code = "node/busy"


@dataclass
class Handler:
    """Answers what the tests ask; remembers what it was told."""

    messages: list[HandOff] = field(default_factory=list)
    cancelled: int = 0
    waiting: int = 0
    release: trio.Event = field(default_factory=trio.Event)
    told: trio.Event = field(default_factory=trio.Event)

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        match verb:
            case "echo":
                return body
            case "count":
                for number in range(100):
                    await send(Map({"number": number}))
                return Map({"count": 100})
            case "wait":
                self.waiting += 1
                try:
                    await self.release.wait()
                except trio.Cancelled:
                    self.cancelled += 1
                    raise
                return Map()
            case "refuse":
                raise Busy("come back later")
            case "large":
                return Map({"data": bytes(MESSAGE_BYTES_MAX)})
            case "who":
                return Map({"key": channel.peer.bytes, "name": channel.name})
        raise ZeroDivisionError(verb)

    def message(self, channel: Channel, message: HandOff) -> None:
        del channel
        self.messages.append(message)
        self.told.set()


# -- in memory --


def ready_connections() -> tuple[Connection, Connection]:
    left = Connection(name="left", nonce=bytes(16))
    right = Connection(name="right", nonce=bytes(16))
    hello_left, hello_right = left.hello(), right.hello()
    left.receive_data(hello_right)
    right.receive_data(hello_left)
    return left, right


@asynccontextmanager
async def channels(handler: Handler) -> AsyncIterator[tuple[Channel, Channel]]:
    """Yield both ends; the second one answers with `handler`."""
    left_stream, right_stream = trio.testing.memory_stream_pair()
    left, right = ready_connections()
    async with (
        open_channel(left_stream, left, handler=Handler(), peer=KEY) as asker,
        open_channel(right_stream, right, handler=handler, peer=KEY) as answerer,
    ):
        yield asker, answerer


@asynccontextmanager
async def channel_by_hand(
    handler: Handler,
) -> AsyncIterator[tuple[trio.abc.Stream, Connection, Channel]]:
    """Yield a stream and a connection that the test drives itself, and the channel at their other end."""
    left_stream, right_stream = trio.testing.memory_stream_pair()
    left, right = ready_connections()
    async with open_channel(right_stream, right, handler=handler, peer=KEY) as channel:
        yield left_stream, left, channel


async def test_a_request_is_answered() -> None:
    async with channels(Handler()) as (asker, _):
        assert await asker.request("echo", Map({"a": 1})) == Map({"a": 1})
        assert await asker.request("echo") == Map()


async def test_both_sides_may_ask() -> None:
    async with channels(Handler()) as (asker, answerer):
        with pytest.raises(RemoteError, match="node/busy"):
            await asker.request("refuse")
        assert await answerer.request("echo", Map({"b": 2})) == Map({"b": 2})


async def test_many_requests_at_once_each_get_their_own_answer() -> None:
    answers: dict[int, Map] = {}

    async def ask(channel: Channel, number: int) -> None:
        answers[number] = await channel.request("echo", Map({"n": number}))

    async with channels(Handler()) as (asker, _), trio.open_nursery() as nursery:
        for number in range(REQUESTS_MAX):
            nursery.start_soon(ask, asker, number)
    assert answers == {number: Map({"n": number}) for number in range(REQUESTS_MAX)}


async def test_items_come_in_order_and_the_reply_last() -> None:
    async with channels(Handler()) as (asker, _), aclosing(asker.stream("count")) as answers:
        got = [answer async for answer in answers]
    assert [item.body.get("number") for item in got[:-1]] == list(range(100))
    assert isinstance(got[-1], Reply)


async def test_a_no_of_the_handler_keeps_its_code_and_the_channel() -> None:
    async with channels(Handler()) as (asker, _):
        with pytest.raises(RemoteError) as refused:
            await asker.request("refuse")
        assert (refused.value.code, refused.value.message) == ("node/busy", "come back later")
        assert await asker.request("echo") == Map()


async def test_an_answer_over_the_limit_is_an_error_and_not_the_end() -> None:
    async with channels(Handler()) as (asker, _):
        with pytest.raises(RemoteError, match="wire/local"):
            await asker.request("large")
        assert await asker.request("echo") == Map()


async def test_a_request_over_the_limit_is_our_fault_and_not_the_end() -> None:
    async with channels(Handler()) as (asker, _):
        with pytest.raises(LocalFault):
            await asker.request("echo", Map({"data": bytes(MESSAGE_BYTES_MAX)}))
        assert await asker.request("echo") == Map()


async def test_a_fault_of_the_handler_is_told_to_the_peer_and_goes_up() -> None:
    with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True, flatten_subgroups=True):
        async with channels(Handler()) as (asker, _):
            with pytest.raises(RemoteError, match="node/internal"):
                await asker.request("divide")
            await trio.sleep_forever()


async def test_a_cancelled_request_is_cancelled_at_the_other_side() -> None:
    handler = Handler()
    async with channels(handler) as (asker, _):
        with trio.move_on_after(0.01):
            await asker.request("wait")
        await trio.testing.wait_all_tasks_blocked()
        assert handler.cancelled == 1
        assert await asker.request("echo") == Map()


async def test_leaving_a_stream_early_cancels_it() -> None:
    async with channels(Handler()) as (asker, _):
        async with aclosing(asker.stream("count")) as answers:
            async for _ in answers:
                break
        assert await asker.request("echo") == Map()


async def test_one_request_too_many_is_refused_and_the_others_go_on() -> None:
    handler = Handler()
    refused: list[str] = []

    async def ask(channel: Channel) -> None:
        try:
            await channel.request("wait")
        except RemoteError as error:
            refused.append(error.code)
            handler.release.set()

    async with channels(handler) as (asker, _), trio.open_nursery() as nursery:
        for _ in range(REQUESTS_MAX + 1):
            nursery.start_soon(ask, asker)
    assert refused == ["wire/busy"]
    assert handler.waiting == REQUESTS_MAX


async def test_messages_of_the_hand_off_arrive_in_order() -> None:
    handler = Handler()
    sent = [Go(b"a" * 32, epoch, bytes(16)) for epoch in range(100)]
    async with channels(handler) as (asker, _):
        for message in sent:
            await asker.send(message)
        await asker.request("echo")
        await trio.testing.wait_all_tasks_blocked()
    assert handler.messages == sent


async def test_who_waits_for_an_answer_hears_that_the_channel_ended() -> None:
    async with channels(Handler()) as (asker, answerer):
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(Unreachable):
                    await asker.request("wait")

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            answerer.close()
            await answerer._stream.aclose()
        await asker.wait_closed()
        with pytest.raises(Unreachable):
            await asker.request("echo")


async def test_leaving_the_block_says_goodbye() -> None:
    left_stream, right_stream = trio.testing.memory_stream_pair()
    left, right = ready_connections()
    async with open_channel(left_stream, left, handler=Handler(), peer=KEY) as stays:
        async with open_channel(right_stream, right, handler=Handler(), peer=KEY):
            pass
        await stays.wait_closed()
        assert stays.closed_reason == "the peer said goodbye: done"


async def test_what_the_protocol_does_not_allow_ends_the_channel_with_a_reason() -> None:
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        await stream.send_all(encode_frame(encode(Hello(1, 1, bytes(16), "again"))))
        await channel.wait_closed()
        assert "Hello while ready" in str(channel.closed_reason)
        (goodbye,) = connection.receive_data(bytes(await stream.receive_some()))
        assert "wire/order" in goodbye.reason  # type: ignore[union-attr]


class Answering(Handler):
    """Answers every message, like the target of a hand-off."""

    def message(self, channel: Channel, message: HandOff) -> None:
        super().message(channel, message)
        with suppress(Unreachable):
            channel.send_nowait(Own(b"a" * 32, 1, bytes(16)))


async def test_answering_what_came_just_before_a_goodbye_is_no_fault_of_ours() -> None:
    handler = Answering()
    async with channel_by_hand(handler) as (stream, connection, channel):
        data = b"".join(connection.send(Go(b"a" * 32, epoch, bytes(16))) for epoch in range(9))
        await stream.send_all(data + connection.send(Goodbye("done")))
        await channel.wait_closed()
        await trio.testing.wait_all_tasks_blocked()
    assert len(handler.messages) == 9


async def test_the_same_request_number_twice_ends_the_channel() -> None:
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        request = connection.send(Request(1, "wait", Map()))
        await stream.send_all(request + connection.send(Request(1, "wait", Map())))
        await channel.wait_closed()
        assert "under way" in str(channel.closed_reason)


async def test_answers_that_nobody_asked_for_are_ignored() -> None:
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        await stream.send_all(connection.send(Reply(77, True, Map())))
        await stream.send_all(connection.send(Ping(3)))
        assert connection.receive_data(bytes(await stream.receive_some())) == [Pong(3)]
        assert channel.closed_reason is None


async def test_a_silent_peer_is_asked_and_then_given_up(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        began = trio.current_time()
        assert connection.receive_data(bytes(await stream.receive_some())) == [Ping(0)]
        await channel.wait_closed()
        assert trio.current_time() - began == pytest.approx(DEAD_S)
        assert "silent" in str(channel.closed_reason)


async def test_silence_counts_from_when_the_peer_was_heard_last(
    autojump_clock: trio.abc.Clock,
) -> None:
    del autojump_clock
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        for pause_s in (3, 1, 4):  # after each Ping, or from the start
            await trio.sleep(pause_s)
            await stream.send_all(connection.send(Pong(0)))
            heard = trio.current_time()
            assert connection.receive_data(bytes(await stream.receive_some())) == [Ping(0)]
            assert trio.current_time() - heard == pytest.approx(IDLE_PING_S)
        await channel.wait_closed()
        assert trio.current_time() - heard == pytest.approx(DEAD_S)


async def test_a_quiet_channel_stays_open(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    async with channels(Handler()) as (asker, answerer):
        await trio.sleep(10 * DEAD_S)
        assert asker.closed_reason is answerer.closed_reason is None
        assert await asker.request("echo") == Map()


async def test_a_peer_that_takes_no_bytes_is_given_up(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    left_stream, right_stream = trio.testing.lockstep_stream_pair()  # nobody reads the left one
    del left_stream
    _, right = ready_connections()
    async with open_channel(right_stream, right, handler=Handler(), peer=KEY) as channel:
        await channel.send(Ping(1))
        await channel.wait_closed()
        silent = f"the peer was silent for {DEAD_S:.0f} s"  # which is as true, at the same moment
        assert channel.closed_reason in ("the peer takes no bytes", silent)
        with pytest.raises(Unreachable):
            await channel.send(Ping(2))


async def test_who_sends_more_than_the_peer_takes_waits(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    left_stream, right_stream = trio.testing.lockstep_stream_pair()
    left, right = ready_connections()
    body = Map({"data": bytes(SEND_BUFFER_BYTES // 4)})
    sent = 0
    async with (
        open_channel(right_stream, right, handler=Handler(), peer=KEY) as channel,
        trio.open_nursery() as nursery,
    ):

        async def send_all() -> None:
            nonlocal sent
            for number in range(20):
                await channel.send(Reply(number, True, body))
                sent += 1

        nursery.start_soon(send_all)
        await trio.testing.wait_all_tasks_blocked()
        assert sent <= 1 + 4, "one being written, and as many as there is room for"
        got: list[Message] = []
        while len(got) < 20:
            got += left.receive_data(bytes(await left_stream.receive_some(1 << 16)))
        assert [message.id for message in got if isinstance(message, Reply)] == list(range(20))


async def test_what_is_sent_in_one_turn_leaves_in_one_write() -> None:
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        sent = [Go(b"a" * 32, epoch, bytes(16)) for epoch in range(50)]
        for message in sent:
            await channel.send(message)
        assert connection.receive_data(bytes(await stream.receive_some(1 << 16))) == sent


async def test_who_says_something_short_does_not_wait_for_what_is_long(
    autojump_clock: trio.abc.Clock,
) -> None:
    del autojump_clock
    left_stream, right_stream = trio.testing.lockstep_stream_pair()
    left, right = ready_connections()
    long = Map({"data": bytes(8 * SEND_BUFFER_BYTES)})
    async with (
        open_channel(right_stream, right, handler=Handler(), peer=KEY) as channel,
        trio.open_nursery() as nursery,
    ):
        for number in range(3):
            nursery.start_soon(channel.send, Reply(number, True, long))
        await trio.testing.wait_all_tasks_blocked()
        assert not channel.has_room
        with trio.fail_after(1):
            await channel.send(Reply(99, True, Map()))
        got: list[Message] = []
        while len(got) < 4:
            got += left.receive_data(bytes(await left_stream.receive_some(1 << 16)))
        assert got[0] == Reply(99, True, Map())
        assert {message.id for message in got[1:] if isinstance(message, Reply)} == {0, 1, 2}
        assert channel.has_room


async def test_a_send_that_is_cancelled_leaves_whole_frames(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    left_stream, right_stream = trio.testing.lockstep_stream_pair()
    left, right = ready_connections()
    async with open_channel(right_stream, right, handler=Handler(), peer=KEY) as channel:
        with trio.move_on_after(1) as cancelled:
            for number in range(20):
                await channel.send(Reply(number, True, Map({"data": bytes(SEND_BUFFER_BYTES)})))
        assert cancelled.cancelled_caught
        channel.send_nowait(Reply(99, True, Map()))
        got: list[Message] = []
        while not got or got[-1] != Reply(99, True, Map()):
            got += left.receive_data(bytes(await left_stream.receive_some(1 << 16)))
        ids = [message.id for message in got if isinstance(message, Reply)]
        assert ids == [*range(len(ids) - 1), 99]


async def test_many_pings_at_once_are_answered_by_one_pong() -> None:
    async with channel_by_hand(Handler()) as (stream, connection, channel):
        del channel
        await stream.send_all(b"".join(connection.send(Ping(number)) for number in range(1_000)))
        assert connection.receive_data(bytes(await stream.receive_some(1 << 16))) == [Pong(999)]


async def test_answers_nobody_takes_are_given_up_and_the_channel_goes_on(
    autojump_clock: trio.abc.Clock,
) -> None:
    del autojump_clock
    async with channels(Handler()) as (asker, _):
        async with aclosing(asker.stream("count")) as answers:
            await answers.__anext__()
            await trio.sleep(2 * SLOW_READER_S)
            with pytest.raises(RemoteError, match="wire/slow-reader"):
                async for _ in answers:
                    pass
        assert await asker.request("echo") == Map()


# -- over sockets --


def text_of(address: tuple[str, int]) -> str:
    host, port = address
    return f"{host}:{port}"


@asynccontextmanager
async def connected(
    address: tuple[str, int] | str,
    as_member: Member = FRIEND,
    server: Member = NODE,
    expected: Member = NODE,
) -> AsyncIterator[Channel]:
    context = client_context(as_member.private, as_member.certificate, [server.certificate])
    async with connect(
        address if isinstance(address, str) else text_of(address),
        context=context,
        server=expected.key,
        name="friend",
        nonce=os.urandom(16),
        handler=Handler(),
    ) as channel:
        yield channel


async def test_a_known_key_is_let_in_and_both_sides_know_each_other() -> None:
    async with serving(Handler()) as address, connected(address) as channel:
        assert channel.peer == NODE.key
        assert channel.name == "node"
        answer = await channel.request("who")
        assert answer == Map({"key": FRIEND.key.bytes, "name": "friend"})


async def test_an_unknown_key_is_not_let_in() -> None:
    handler = Handler()
    async with serving(handler) as address:
        with pytest.raises((AuthenticationFailed, Unreachable)):
            async with connected(address, STRANGER):
                pass
        async with connected(address) as channel:
            assert await channel.request("echo") == Map()


async def test_a_node_that_is_not_the_one_meant_is_left() -> None:
    async with serving(Handler()) as address:
        with pytest.raises(AuthenticationFailed):
            async with connected(address, server=STRANGER):
                pass
        with pytest.raises(AuthenticationFailed):
            async with connected(address, expected=STRANGER):
                pass


async def test_nobody_there_is_unreachable() -> None:
    async with serving(Handler()) as address:
        pass
    for nowhere in (address, "127.0.0.1", "127.0.0.1:99999999", "nothing:x"):
        with pytest.raises(Unreachable):
            async with connected(nowhere):
                pass


async def read_to_the_end(stream: trio.abc.ReceiveStream) -> None:
    with suppress(trio.BrokenResourceError):
        while await stream.receive_some(1_000):
            pass


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 64,
        b"\xff" * 64,
        encode_frame(encode(Hello(1, 1, bytes(16), "plain"))),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 600,
    ],
    ids=["http", "zeros", "ones", "hello without TLS", "half a TLS hello"],
)
async def test_strange_bytes_on_the_port_close_only_their_connection(data: bytes) -> None:
    async with serving(Handler()) as address, connected(address) as channel:
        stranger = await trio.open_tcp_stream(*address)
        async with stranger:
            await stranger.send_all(data)
            await stranger.send_eof()
            with trio.fail_after(10):
                await read_to_the_end(stranger)
        assert await channel.request("echo") == Map()


async def test_a_member_that_breaks_the_protocol_loses_only_its_connection() -> None:
    context = client_context(FRIEND.private, FRIEND.certificate, [NODE.certificate])
    async with serving(Handler()) as address, connected(address) as channel:
        plain = await trio.open_tcp_stream(*address)
        async with trio.SSLStream(plain, context) as stream:
            await stream.send_all(b"\xff" * 100)
            with trio.fail_after(10):
                await read_to_the_end(stream)
        assert await channel.request("echo") == Map()


async def test_a_fault_in_one_connection_is_told_and_the_others_go_on() -> None:
    faults: list[Exception] = []
    async with (
        serving(Handler(), failed=faults.append) as address,
        connected(address) as one,
        connected(address) as other,
    ):
        with pytest.raises(RemoteError, match="node/internal"):
            await one.request("divide")
        await one.wait_closed()
        assert await other.request("echo") == Map()
    assert len(faults) == 1


async def test_silent_strangers_make_room_for_a_member() -> None:
    async with AsyncExitStack() as strangers, serving(Handler()) as address:
        for _ in range(2 * PRE_AUTHENTICATION_MAX):
            stream = await trio.open_tcp_stream(*address)
            await strangers.enter_async_context(stream)
        with trio.fail_after(HANDSHAKE_S):
            async with connected(address) as channel:
                assert await channel.request("echo") == Map()


async def test_the_oldest_stranger_makes_room_and_the_newest_stays() -> None:
    async with AsyncExitStack() as strangers, serving(Handler()) as address:
        streams = []
        for _ in range(PRE_AUTHENTICATION_MAX + 1):
            stream = await trio.open_tcp_stream(*address)
            streams.append(await strangers.enter_async_context(stream))
        with trio.fail_after(HANDSHAKE_S / 2):
            assert await streams[0].receive_some(1) == b""
        with trio.move_on_after(0.05) as waited:
            await streams[-1].receive_some(1)
        assert waited.cancelled_caught


@pytest.mark.parametrize("slow", ["says nothing", "dribbles"])
async def test_a_stranger_that_is_slow_is_given_up(
    slow: str, autojump_clock: trio.abc.Clock
) -> None:
    del autojump_clock
    async with serving(Handler()) as address, trio.open_nursery() as nursery:
        stranger = await trio.open_tcp_stream(*address)

        async def dribble() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                for byte in b"\x16\x03\x01\x02\x00" + b"\x01" * 500:
                    await stranger.send_all(bytes([byte]))
                    await trio.sleep(0.5)

        if slow == "dribbles":
            nursery.start_soon(dribble)
        with trio.fail_after(HANDSHAKE_S + 2):
            with suppress(trio.BrokenResourceError):
                assert await stranger.receive_some(1) == b""
        await stranger.aclose()


async def test_a_channel_that_is_cancelled_says_goodbye_and_does_not_wait() -> None:
    async with serving(Handler()) as address:
        began = trio.current_time()
        with trio.CancelScope() as scope:
            async with connected(address) as channel:
                assert await channel.request("echo") == Map()
                scope.cancel()
                await channel.wait_closed()
        assert trio.current_time() - began < 0.9, "nobody was left to write the goodbye"


async def test_a_megabyte_goes_both_ways() -> None:
    body = Map({"data": os.urandom(1 << 20)})
    async with serving(Handler()) as address, connected(address) as channel:
        assert await channel.request("echo", body) == body


async def test_a_request_right_behind_the_hello_is_answered() -> None:
    context = client_context(FRIEND.private, FRIEND.certificate, [NODE.certificate])
    async with serving(Handler()) as address:
        stream = SecureStream(await trio.open_tcp_stream(*address), context)
        await stream.shake_hands()
        connection = Connection(name="friend", nonce=bytes(16))
        hello = connection.hello()
        connection.receive_data(await stream.receive_some())  # the node does not wait for ours
        await stream.send_all(hello + connection.send(Request(1, "echo", Map({"a": 1}))))
        assert connection.receive_data(await stream.receive_some()) == [
            Reply(1, True, Map({"a": 1}))
        ]
        await stream.aclose()


async def test_a_pushed_message_arrives_and_so_does_what_follows_it() -> None:
    handler = Handler()
    sent = [Go(b"a" * 32, epoch, bytes(16)) for epoch in range(100)]
    async with serving(handler) as address, connected(address) as channel:
        for message in sent:
            (channel.push if message.epoch % 3 else channel.send_nowait)(message)
        assert await channel.request("echo") == Map()
        assert handler.messages == sent


async def test_pushing_more_than_the_peer_takes_loses_nothing() -> None:
    handler = Handler()
    body = Map({"data": bytes(60_000)})
    async with serving(handler) as address, connected(address) as channel:
        for number in range(100):  # answers that nobody asked for: the node reads them and goes on
            channel.push(Reply(number, True, body))
        assert await channel.request("echo") == Map()


async def test_a_host_that_cannot_be_encoded_is_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when an address is split that should not have been."""
    monkeypatch.setattr("protocol.transport.split_address", lambda address: ("a..b", 7400))
    context = client_context(FRIEND.private, FRIEND.certificate, [NODE.certificate])
    with pytest.raises(Unreachable):
        await _dial("a..b:7400", context, NODE.key, "x", bytes(16))
