"""TLS as bytes: however they come cut, cut off, doubled in one read, changed, or not at all."""

from __future__ import annotations

import os
import ssl
import struct

import pytest
import trio
import trio.testing
from members import FRIEND, NODE, STRANGER, Member

from protocol.secure import SecureBytes
from protocol.stream import SecureStream
from protocol.tls import client_context, server_context


def contexts(known: Member = FRIEND) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return those of FRIEND, who connects, and of NODE, which knows one member."""
    return (
        client_context(FRIEND.private, FRIEND.certificate, [NODE.certificate]),
        server_context(NODE.private, NODE.certificate, [known.certificate]),
    )


# -- between bytes and bytes --


def sides() -> tuple[SecureBytes, SecureBytes]:
    asking, answering = contexts()
    return SecureBytes(asking, server_side=False), SecureBytes(answering, server_side=True)


def shaken(chunk: int = 1 << 16) -> tuple[SecureBytes, SecureBytes]:
    """Return both sides after their handshake, its bytes carried so many at a time."""
    left, right = sides()
    while not (left.shake_hands() & right.shake_hands()):
        carry(left, right, chunk)
        carry(right, left, chunk)
    carry(left, right, chunk)
    return left, right


def carry(source: SecureBytes, target: SecureBytes, chunk: int) -> None:
    data = source.take()
    for start in range(0, len(data), chunk):
        target.feed(data[start : start + chunk])
        target.shake_hands()


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_a_handshake_in_pieces_is_a_handshake(chunk: int) -> None:
    left, right = shaken(chunk)
    left.write(b"hello")
    right.feed(left.take())
    assert right.read() == b"hello"
    assert (left.protocol, right.certificate) == ("yin/1", FRIEND.certificate)


def test_every_cut_of_a_record_is_the_same_record() -> None:
    left, right = shaken()
    said = os.urandom(100)
    for cut in range(1, 100):
        left.write(said)
        data = left.take()
        right.feed(data[:cut])
        assert right.read() == b""
        right.feed(data[cut:])
        assert right.read() == said


def test_records_that_come_together_are_read_together() -> None:
    left, right = shaken()
    for number in range(10):
        left.write(bytes([number]) * 5_000)
    right.feed(left.take())
    assert right.read() == b"".join(bytes([number]) * 5_000 for number in range(10))
    assert right.read() == b""
    assert not right.ended


def test_a_read_takes_no_more_than_it_was_asked_for() -> None:
    left, right = shaken()
    left.write(bytes(40_000))
    right.feed(left.take())
    sizes = []
    while part := right.read(1_000):
        sizes.append(len(part))
    assert sizes == [1_000] * 40


def test_what_is_written_before_hands_are_shaken_is_kept_back_and_not_lost() -> None:
    left, right = sides()
    left.write(b"early ")
    left.write(b"bird")
    assert left.kept_back == b"early bird"
    while not (left.shake_hands() & right.shake_hands()):
        carry(left, right, 1 << 16)
        carry(right, left, 1 << 16)
    left.write()
    assert not left.kept_back
    right.feed(left.take())
    assert right.read() == b"early bird"


def test_a_flipped_bit_is_an_error() -> None:
    for position in (0, 5, 40):
        left, right = shaken()
        left.write(b"x" * 50)
        data = bytearray(left.take())
        data[position] ^= 1
        right.feed(bytes(data))
        with pytest.raises(ssl.SSLError):
            right.read()


def test_a_record_twice_is_an_error() -> None:
    left, right = shaken()
    left.write(b"once")
    data = left.take()
    right.feed(data + data)
    assert right._tls.read(4) == b"once"
    with pytest.raises(ssl.SSLError):
        right.read()


def test_the_end_of_the_bytes_is_the_end_also_in_the_middle_of_a_record() -> None:
    left, right = shaken()
    left.write(b"whole")
    whole = left.take()
    left.write(b"half")
    right.feed(whole + left.take()[:-1])
    right.feed(b"")
    assert right.read() == b"whole"
    assert right.read() == b""
    assert right.ended


# -- over streams --


class Narrow(trio.abc.Stream):
    """A stream that carries a few bytes at a time, in both directions."""

    def __init__(self, below: trio.abc.Stream, width: int) -> None:
        self._below, self._width = below, width

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        for start in range(0, len(data), self._width):
            await self._below.send_all(data[start : start + self._width])

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._below.receive_some(self._width))

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._below.aclose()


async def streams(width: int | None = None) -> tuple[SecureStream, SecureStream]:
    """Return both ends after their handshake."""
    one: trio.abc.Stream
    other: trio.abc.Stream
    one, other = trio.testing.memory_stream_pair()
    if width is not None:
        one, other = Narrow(one, width), Narrow(other, width)
    asking, answering = contexts()
    left = SecureStream(one, asking)
    right = SecureStream(other, answering, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.shake_hands)
        nursery.start_soon(right.shake_hands)
    return left, right


async def read_exactly(stream: SecureStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.receive_some()
        assert part, "the end came early"
        data += part
    return data


@pytest.mark.parametrize("width", [1, 100, 5_000])
async def test_bytes_arrive_whole_through_a_narrow_stream(width: int) -> None:
    left, right = await streams(width)
    data = os.urandom(20_000)
    got: list[bytes] = []

    async def read() -> None:
        got.append(await read_exactly(right, len(data)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await left.send_all(data)
    assert got == [data]


async def test_both_ends_write_more_than_fits_and_read_at_the_same_time() -> None:
    one, other = trio.testing.lockstep_stream_pair()  # a write waits for its reader
    asking, answering = contexts()
    left = SecureStream(one, asking)
    right = SecureStream(other, answering, server_side=True)
    size = 300_000

    async def use(stream: SecureStream) -> None:
        await stream.shake_hands()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, bytes(size))
            assert len(await read_exactly(stream, size)) == size

    async with trio.open_nursery() as nursery:
        nursery.start_soon(use, left)
        nursery.start_soon(use, right)


async def test_a_write_cancelled_in_the_middle_breaks_the_stream() -> None:
    one, other = trio.testing.lockstep_stream_pair()
    asking, answering = contexts()
    left = SecureStream(one, asking)
    right = SecureStream(other, answering, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.shake_hands)
        nursery.start_soon(right.shake_hands)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.send_all, b"x" * 10_000)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.BrokenResourceError):
        await left.send_all(b"y")


class Expecting:
    """Expects bytes for so many turns."""

    def __init__(self, turns: float) -> None:
        self.turns, self.asked = turns, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked <= self.turns


async def connected() -> tuple[SecureStream, SecureStream]:
    """Return both ends of a connection over a socket after their handshake."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    one = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    other = await listener.accept()
    await listener.aclose()
    asking, answering = contexts()
    left, right = SecureStream(one, asking), SecureStream(other, answering, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.shake_hands)
        nursery.start_soon(right.shake_hands)
    return left, right


async def read_into(stream: SecureStream, got: list[bytes | Exception]) -> None:
    try:
        got.append(await stream.receive_some())
    except Exception as error:
        got.append(error)


@pytest.mark.parametrize("turns", [0, 1, 5, float("inf")])
@pytest.mark.parametrize("asleep", [False, True])
async def test_who_expects_bytes_has_them_whether_it_looks_or_sleeps(
    turns: float, asleep: bool, nursery: trio.Nursery
) -> None:
    left, right = await connected()
    expecting, got = Expecting(turns), list[bytes | Exception]()
    if not asleep:
        right.expect(expecting)
    nursery.start_soon(read_into, right, got)
    if asleep:
        await trio.testing.wait_all_tasks_blocked()
        right.expect(expecting)
    with trio.fail_after(10):
        while expecting.asked < min(turns + 1, 20):  # it looks, or looks no more
            await trio.lowlevel.checkpoint()
        assert got == []
        await left.send_all(b"here I am")
        while not got:
            await trio.lowlevel.checkpoint()
    assert got == [b"here I am"]
    await trio.aclose_forcefully(left)
    await trio.aclose_forcefully(right)


async def test_who_looks_for_bytes_lets_others_have_their_turns_and_can_be_cancelled() -> None:
    left, right = await connected()
    expecting = Expecting(float("inf"))
    right.expect(expecting)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(right.receive_some)
            while expecting.asked < 100:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(left)
    await trio.aclose_forcefully(right)


async def test_a_stream_that_is_closed_while_it_looks_is_closed_for_who_reads(
    nursery: trio.Nursery,
) -> None:
    left, right = await connected()
    expecting, got = Expecting(float("inf")), list[bytes | Exception]()
    right.expect(expecting)
    nursery.start_soon(read_into, right, got)
    while not expecting.asked:
        await trio.lowlevel.checkpoint()
    await right.aclose()
    with trio.fail_after(10):
        while not got:
            await trio.lowlevel.checkpoint()
    assert [type(one) for one in got] == [trio.ClosedResourceError]
    await trio.aclose_forcefully(left)


async def test_a_peer_that_closes_is_the_end_of_reading() -> None:
    left, right = await streams()
    await left.send_all(b"last words")
    await left.aclose()
    assert await right.receive_some() == b"last words"
    assert await right.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await right.send_all(b"are you there?")


async def test_a_half_closed_connection_still_carries_the_other_direction() -> None:
    one, other = trio.testing.memory_stream_pair()
    asking, answering = contexts()
    left = SecureStream(one, asking)
    right = SecureStream(other, answering, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.shake_hands)
        nursery.start_soon(right.shake_hands)
    await one.send_eof()
    assert await right.receive_some() == b""
    await right.send_all(b"I heard you leave")
    assert await left.receive_some() == b"I heard you leave"


async def test_a_reset_connection_is_broken_for_who_reads() -> None:
    left, right = await streams()
    await trio.aclose_forcefully(left)
    with pytest.raises(trio.ClosedResourceError):
        await left.receive_some()
    assert await right.receive_some() == b""


async def test_bytes_that_are_no_tls_break_the_stream() -> None:
    one, other = trio.testing.memory_stream_pair()
    _, answering = contexts()
    right = SecureStream(other, answering, server_side=True)
    await one.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(trio.BrokenResourceError) as broken:
        await right.shake_hands()
    assert isinstance(broken.value.__cause__, ssl.SSLError)
    with pytest.raises(trio.BrokenResourceError):
        await right.send_all(b"x")


async def test_a_side_that_is_not_known_is_told_so() -> None:
    one, other = trio.testing.memory_stream_pair()
    asking, answering = contexts(known=STRANGER)
    left = SecureStream(one, asking)
    right = SecureStream(other, answering, server_side=True)
    refused: list[trio.BrokenResourceError] = []

    async def admit() -> None:
        try:
            await right.shake_hands()
        except trio.BrokenResourceError as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(admit)
        await left.shake_hands()  # TLS 1.3: the client has finished before the server has looked
    assert len(refused) == 1
    with pytest.raises(trio.BrokenResourceError) as told:
        await left.receive_some()
    assert "ALERT" in str(told.value.__cause__).upper()


# -- over sockets: what is written at once --


async def connected_streams() -> tuple[SecureStream, SecureStream]:
    """Return both ends of a connection on loopback after their handshake."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    asking, answering = contexts()
    async with listener:
        host, port = listener.socket.getsockname()[:2]
        plain = await trio.open_tcp_stream(host, port)
        left = SecureStream(plain, asking)
        right = SecureStream(await listener.accept(), answering, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.shake_hands)
        nursery.start_soon(right.shake_hands)
    return left, right


async def test_what_is_sent_at_once_arrives() -> None:
    left, right = await connected_streams()
    async with left, right:
        assert left.send_now(b"now")
        assert await right.receive_some() == b"now"


async def test_what_the_socket_does_not_take_is_sent_by_who_waits_and_in_order() -> None:
    left, right = await connected_streams()
    sent: list[bytes] = []
    got = bytearray()
    async with left, right:
        while True:
            sent.append(bytes([len(sent) % 251]) * 50_000)
            if not left.send_now(sent[-1]):
                break
        assert len(sent) > 1

        async def send_the_rest() -> None:
            await left.send_all(b"")
            await left.send_all(b"the end")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_the_rest)
            wanted = b"".join(sent) + b"the end"
            while len(got) < len(wanted):
                got += await right.receive_some()
    assert bytes(got) == wanted


async def test_sending_at_once_to_who_is_gone_breaks_the_stream() -> None:
    left, right = await connected_streams()
    await right.aclose()

    async def send_until_it_breaks() -> None:
        while True:
            left.send_now(b"x" * 10_000)
            await trio.testing.wait_all_tasks_blocked()

    with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
        await send_until_it_breaks()
    with pytest.raises(trio.BrokenResourceError):
        await left.send_all(b"y")
    await left.aclose()


async def test_without_a_socket_nothing_is_sent_at_once_and_nothing_is_lost() -> None:
    left, right = await streams()
    assert not left.send_now(b"first ")
    await left.send_all(b"second")
    assert await read_exactly(right, 12) == b"first second"


async def test_who_sends_without_end_leaves_others_their_turns() -> None:
    left, right = await connected_streams()
    turns = reads = 0
    async with left, right, trio.open_nursery() as nursery:

        async def send() -> None:
            while True:
                await left.send_all(bytes(100_000))

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(send)
        nursery.start_soon(count)
        while reads < 200:
            await right.receive_some()
            reads += 1
        nursery.cancel_scope.cancel()
    assert turns >= 50, "a turn for two reads, of which each is some records"


async def test_closing_wakes_who_reads() -> None:
    left, right = await connected_streams()
    async with left, trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await right.receive_some()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await right.aclose()


async def test_a_connection_that_is_reset_is_broken() -> None:
    left, right = await connected_streams()
    below = left._below
    assert isinstance(below, trio.SocketStream)
    below.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
    await left.aclose()
    with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
        await right.receive_some()
    await right.aclose()
