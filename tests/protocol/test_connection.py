"""Two connections whose bytes are carried by hand."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.value import Map
from protocol.connection import Connection, State
from protocol.errors import LocalFault, RemoteFault
from protocol.framing import encode_frame
from protocol.limits import HELLO_BYTES_MAX
from protocol.messages import Goodbye, Hello, Message, Ping, Request, encode


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
