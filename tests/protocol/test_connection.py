"""Two connections whose bytes are carried by hand."""

from __future__ import annotations

import contextlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.value import Map
from protocol.connection import Connection, State
from protocol.errors import LocalFault, RemoteFault
from protocol.framing import encode_frame
from protocol.limits import FRAME_BYTES_MAX, HELLO_BYTES_MAX, MESSAGE_BYTES_MAX, PART_BYTES_MAX
from protocol.messages import Goodbye, Hello, Item, Message, Part, Ping, Request, encode


def connection(name: str = "alpha") -> Connection:
    return Connection(name=name, nonce=name.encode().ljust(16))


def ready_pair() -> tuple[Connection, Connection]:
    left, right = connection("left"), connection("right")
    hello_left, hello_right = left.hello(), right.hello()
    left.receive_data(hello_right)
    right.receive_data(hello_left)
    return left, right


def test_both_are_ready_after_both_hellos_byte_by_byte() -> None:
    left, right = connection("left"), connection("right")
    to_right, to_left = left.hello(), right.hello()
    for position in range(len(to_right)):
        assert right.state is State.HELLO_SENT
        right.receive_data(to_right[position : position + 1])
    for position in range(len(to_left)):
        assert left.state is State.HELLO_SENT
        left.receive_data(to_left[position : position + 1])
    assert left.state is right.state is State.READY
    assert left.version == right.version == 1
    assert left.peer is not None
    assert left.peer.name == "right"


def test_messages_arrive_byte_by_byte_in_their_order() -> None:
    left, right = ready_pair()
    sent: list[Message] = [Ping(1), Request(1, "verb", Map({"a": b"x" * 5_000})), Goodbye("done")]
    data = b"".join(left.send(message) for message in sent)
    received: list[Message] = []
    for position in range(len(data)):
        received += right.receive_data(data[position : position + 1])
    assert received == sent
    assert left.state is right.state is State.CLOSED


def test_a_message_may_follow_the_hello_in_the_same_bytes() -> None:
    left, right = connection("left"), connection("right")
    right_hello = right.hello()
    data = left.hello()
    left.receive_data(right_hello)
    data += left.send(Ping(1))
    assert [type(message) for message in right.receive_data(data)] == [Hello, Ping]


def test_nothing_but_a_hello_may_come_first() -> None:
    one = connection()
    one.hello()
    with pytest.raises(RemoteFault) as refused:
        one.receive_data(encode_frame(encode(Ping(1))))
    assert refused.value.code == "wire/order"


def test_a_second_hello_is_refused() -> None:
    left, right = ready_pair()
    del left
    with pytest.raises(RemoteFault, match="Hello while ready"):
        right.receive_data(connection().hello())


def test_nothing_comes_after_goodbye() -> None:
    left, right = ready_pair()
    data = left.send(Goodbye("done")) + encode_frame(encode(Ping(1)))
    with pytest.raises(RemoteFault, match="closed"):
        right.receive_data(data)


@pytest.mark.parametrize(("low", "high"), [(2, 3), (0, 0)])
def test_a_peer_without_a_common_version_is_refused(low: int, high: int) -> None:
    one = connection()
    one.hello()
    with pytest.raises(RemoteFault) as refused:
        one.receive_data(encode_frame(encode(Hello(low, high, bytes(16), "new"))))
    assert refused.value.code == "wire/version"


def test_the_highest_common_version_is_taken() -> None:
    one = connection()
    one.hello()
    one.receive_data(encode_frame(encode(Hello(0, 9, bytes(16), "new"))))
    assert one.version == 1


def test_before_the_hello_a_long_frame_is_refused_by_its_header() -> None:
    header = (HELLO_BYTES_MAX + 1).to_bytes(4, "big")
    with pytest.raises(RemoteFault) as refused:
        connection().receive_data(header)
    assert refused.value.code == "wire/frame-size"
    left, right = ready_pair()
    del left
    assert right.receive_data(header) == []


def test_messages_out_of_turn_are_our_fault_and_change_nothing() -> None:
    one = connection()
    with pytest.raises(LocalFault):
        one.send(Ping(1))
    assert one.state is State.FRESH
    one.hello()
    with pytest.raises(LocalFault):
        one.hello()
    one.send(Goodbye("done"))
    with pytest.raises(LocalFault):
        one.send(Goodbye("done"))


def test_a_message_that_has_no_bytes_changes_nothing() -> None:
    left, _ = ready_pair()
    with pytest.raises(LocalFault):
        left.send(Goodbye("\ud800"))
    assert left.state is State.READY


@given(st.binary(max_size=64), st.booleans())
def test_any_bytes_are_messages_or_a_fault(data: bytes, ready: bool) -> None:
    one = ready_pair()[0] if ready else connection()
    with contextlib.suppress(RemoteFault):
        one.receive_data(data)


def item_of(size: int) -> Item:
    """Return a message whose payload has so many bytes."""
    for pad in range(10):  # headers grow with what is in them
        data = bytes(size - len(encode(Item(1, Map({"data": b"", "pad": bytes(pad)})))) - 6)
        item = Item(1, Map({"data": data, "pad": bytes(pad)}))
        missing = size - len(encode(item))
        item = Item(1, Map({"data": data + bytes(max(missing, 0)), "pad": bytes(pad)}))
        if len(encode(item)) == size:
            return item
    raise AssertionError(size)


@pytest.mark.parametrize(
    ("size", "frames"),
    [
        (FRAME_BYTES_MAX, 1),
        (FRAME_BYTES_MAX + 1, 2),
        (2 * PART_BYTES_MAX, 2),
        (2 * PART_BYTES_MAX + 1, 3),
        (MESSAGE_BYTES_MAX, -(-MESSAGE_BYTES_MAX // PART_BYTES_MAX)),
    ],
)
def test_what_is_longer_than_a_frame_goes_in_parts_that_fit(size: int, frames: int) -> None:
    left, right = ready_pair()
    sent = left.frames(item_of(size))
    assert len(sent) == frames
    assert max(map(len, sent)) <= 4 + FRAME_BYTES_MAX
    assert right.receive_data(b"".join(sent)) == [item_of(size)]
    assert right.receive_data(left.send(Ping(1))) == [Ping(1)]
    assert left.send(item_of(size)) == b"".join(sent)


def test_a_message_over_the_limit_is_not_sent_and_changes_nothing() -> None:
    left, right = ready_pair()
    with pytest.raises(LocalFault, match="a message of 16777217 bytes"):
        left.send(item_of(MESSAGE_BYTES_MAX + 1))
    assert right.receive_data(left.send(Ping(1))) == [Ping(1)]


def test_parts_of_more_than_a_message_may_have_are_refused_before_they_are_kept() -> None:
    left, right = ready_pair()
    part = left.send(Part(False, bytes(PART_BYTES_MAX)))
    whole = MESSAGE_BYTES_MAX // PART_BYTES_MAX
    for _ in range(whole):
        assert right.receive_data(part) == []
    with pytest.raises(RemoteFault) as refused:
        right.receive_data(part)
    assert refused.value.code == "wire/value-size"
    assert len(right._parts) == whole * PART_BYTES_MAX


@pytest.mark.parametrize("size", [1, FRAME_BYTES_MAX])
def test_what_fits_into_a_frame_does_not_come_in_parts(size: int) -> None:
    left, right = ready_pair()
    payload = encode(item_of(size)) if size > 1 else encode(Ping(1))
    halves = payload[: len(payload) // 2], payload[len(payload) // 2 :]
    assert right.receive_data(left.send(Part(False, halves[0]))) == []
    with pytest.raises(RemoteFault) as refused:
        right.receive_data(left.send(Part(True, halves[1])))
    assert refused.value.code == "wire/order"


@given(st.lists(st.sampled_from([10, 40_000, 70_000, 200_000]), max_size=6), st.randoms())
def test_long_messages_arrive_whole_with_short_ones_between_their_parts(
    sizes: list[int], random: Random
) -> None:
    left, right = ready_pair()
    items = [Item(number, Map({"data": bytes(size)})) for number, size in enumerate(sizes)]
    data, pings = b"", 0
    for item in items:
        for frame in left.frames(item):
            data += frame
            if random.random() < 0.5:
                data += left.send(Ping(pings))
                pings += 1
    received: list[Message] = []
    for at in range(0, len(data), 50_000):
        received += right.receive_data(data[at : at + 50_000])
    assert [one for one in received if isinstance(one, Item)] == items
    assert [one for one in received if isinstance(one, Ping)] == [*map(Ping, range(pings))]


def test_after_the_hello_a_frame_of_a_whole_message_is_refused() -> None:
    _, right = ready_pair()
    assert right.receive_data(FRAME_BYTES_MAX.to_bytes(4, "big")) == []
    _, right = ready_pair()
    with pytest.raises(RemoteFault) as refused:
        right.receive_data((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    assert refused.value.code == "wire/frame-size"
