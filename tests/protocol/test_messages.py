"""Messages: each type's bytes, and what is not a message."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.value import List, Map
from protocol import codec
from protocol.errors import LocalFault, RemoteFault
from protocol.limits import HASHES_MAX, TEXT_BYTES_MAX, TOKENS_MAX
from protocol.messages import (
    IGNORABLE,
    Cancel,
    CancelOffer,
    Go,
    Goodbye,
    Hello,
    Item,
    Message,
    Offer,
    Own,
    Ping,
    Pong,
    Refuse,
    Reply,
    Request,
    Want,
    decode,
    encode,
    error_body,
    remote_error,
)

AGENT, ATTEMPT, DIGEST = b"a" * 32, b"t" * 16, b"d" * 32
BODY = Map({"stream": "alpha/orders", "count": 3})
EXAMPLES: list[Message] = [
    Hello(1, 1, b"n" * 16, "alpha"),
    Ping(0),
    Pong((1 << 63) - 1),
    Request(1, "agent.list", BODY),
    Reply(1, True, BODY),
    Reply(1, False, error_body("token/refused", "no", (1, 2))),
    Item(1, Map()),
    Cancel(1),
    Offer(AGENT, 1, ATTEMPT, DIGEST, (DIGEST,), (b"token",), b"image"),
    Go(AGENT, 1, ATTEMPT),
    Own(AGENT, 1, ATTEMPT),
    Refuse(AGENT, 1, ATTEMPT, "token/refused", "block 2 forbids it"),
    CancelOffer(AGENT, 1, ATTEMPT),
    Want(AGENT, 1, ATTEMPT),
    Goodbye("done"),
]

IDS = [f"{type(message).__name__}-{number}" for number, message in enumerate(EXAMPLES)]


@pytest.mark.parametrize("message", EXAMPLES, ids=IDS)
def test_a_message_is_the_same_after_its_bytes(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=IDS)
def test_a_field_too_few_is_refused_and_one_too_many_is_a_later_releases(
    message: Message,
) -> None:
    array = codec.unpack(encode(message))
    assert isinstance(array, tuple)
    with pytest.raises(RemoteFault, match="fields"):
        decode(codec.pack(array[:-1]))
    assert decode(codec.pack((*array, 0, "more"))) == message


@pytest.mark.parametrize("number", [IGNORABLE + 3, 200, 1 << 40])
def test_a_type_from_128_on_may_be_ignored_and_no_other(number: int) -> None:
    assert decode(codec.pack((number, 1, "x"))) is None
    with pytest.raises(RemoteFault, match="no message has type"):
        decode(codec.pack((IGNORABLE - 1, 1)))


@pytest.mark.parametrize("message", EXAMPLES, ids=IDS)
def test_no_field_takes_a_value_of_another_type(message: Message) -> None:
    array = codec.unpack(encode(message))
    assert isinstance(array, tuple)
    for position in range(1, len(array)):
        for strange in (None, 1.5, -1, List([1])):
            wrong = (*array[:position], strange, *array[position + 1 :])
            with pytest.raises(RemoteFault) as refused:
                decode(codec.pack(wrong))
            assert refused.value.code == "wire/message"


@pytest.mark.parametrize(
    "value",
    [None, (), 1, "text", (True, 1), (0, 1), (14, ""), (-1,), ("2", 1), Map(), List([2, 1])],
)
def test_what_is_no_message_is_refused(value: object) -> None:
    with pytest.raises(RemoteFault) as refused:
        decode(codec.pack(value))
    assert refused.value.code == "wire/message"


def test_true_is_not_the_number_of_a_type() -> None:
    hello = codec.unpack(encode(EXAMPLES[0]))
    assert isinstance(hello, tuple)
    with pytest.raises(RemoteFault):
        decode(codec.pack((True, *hello[1:])))


@pytest.mark.parametrize(
    "message",
    [
        Ping(1 << 63),
        Ping(-1),
        Ping(True),
        Goodbye("x" * (TEXT_BYTES_MAX + 1)),
        Goodbye("\ud800"),
        Offer(AGENT, 1, ATTEMPT, DIGEST, (DIGEST,) * (HASHES_MAX + 1), (), b""),
        Offer(AGENT, 1, ATTEMPT, DIGEST, (DIGEST[:31],), (), b""),
        Go(AGENT[:31], 1, ATTEMPT),
        Go(AGENT, 1, ATTEMPT[:15]),
        Offer(AGENT, 1, ATTEMPT, DIGEST, (), (b"",) * (TOKENS_MAX + 1), b""),
        Request(1, "verb", {"a": 1}),  # type: ignore[arg-type]
    ],
)
def test_a_message_that_the_peer_would_refuse_is_not_sent(message: Message) -> None:
    with pytest.raises(LocalFault):
        encode(message)


def check_form(data: bytes) -> None:
    """What is a message has the bytes that it would be sent with, and a later release's fields behind them."""
    message = decode(data)
    array, known = codec.unpack(data), () if message is None else codec.unpack(encode(message))
    assert isinstance(array, tuple)
    assert isinstance(known, tuple)
    assert array[: len(known)] == known
    assert codec.pack(array) == data


@given(st.binary(max_size=48))
def test_any_bytes_are_a_message_or_a_fault(data: bytes) -> None:
    with contextlib.suppress(RemoteFault):
        check_form(data)


@given(st.sampled_from(EXAMPLES), st.integers(0), st.integers(0, 255))
def test_a_damaged_message_is_a_message_or_a_fault(
    message: Message, position: int, byte: int
) -> None:
    data = bytearray(encode(message))
    data[position % len(data)] = byte
    with contextlib.suppress(RemoteFault):
        check_form(bytes(data))


def test_an_error_of_the_peer_keeps_its_code_and_data() -> None:
    error = remote_error(error_body("token/refused", "no", (1, 2)))
    assert (error.code, error.message, error.data) == ("token/refused", "no", (1, 2))


@pytest.mark.parametrize("body", [Map(), Map({"code": 1, "message": None}), Map({"code": ()})])
def test_an_error_of_the_peer_may_have_any_body(body: Map) -> None:
    assert isinstance(remote_error(body).code, str)


@pytest.mark.parametrize(
    "strange", [10**6_000, None, (), b"no"], ids=["long integer", "nil", "vector", "bytes"]
)
def test_what_is_no_text_is_made_into_none(strange: object) -> None:
    error = remote_error(error_body(strange, strange, strange))  # type: ignore[arg-type]
    assert (error.code, error.message, error.data) == ("wire/error", "", strange)


def test_an_error_that_a_peer_tells_is_short() -> None:
    error = remote_error(error_body("c" * 100_000, "m" * 100_000))
    assert len(str(error)) < 2_000


def test_a_type_of_more_digits_than_fit_into_text_is_a_fault_of_the_peer() -> None:
    with pytest.raises(RemoteFault, match="no message has type -1"):
        decode(codec.pack((-(10**9_000),)))
