"""What a node says about an agent that leaves it is read strictly: it may be any node."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from capabilities.keys import PrivateKey
from capabilities.tokens import agent_id
from protocol import continuation
from protocol.errors import RemoteFault
from protocol.messages import Offer
from yind.agent import AgentRecord, Asked
from yind.errors import HopRefused
from yind.limits import LOG_LINES_KEPT
from yind.luggage import COUNT_MAX, Luggage, check_origin, opened, record_of

GOOD = Luggage(
    name="agent",
    owner=b"o" * 32,
    home="alpha",
    program=b"p" * 32,
    nonce=b"n" * 16,
    created_ms=1,
    memory_max=1 << 20,
    fuel_max=None,
    paused=False,
    reason="",
    wake_ms=None,
    hop_count=1,
    log=["line"],
    log_dropped=0,
    home_key=b"h" * 32,
)


def offer(meta: object, programs: tuple[bytes, ...] = ()) -> Offer:
    body = continuation.seal(b"image", programs, meta)
    digest = continuation.digest_of(body)
    return Offer(b"a" * 32, 1, b"t" * 16, digest, programs, (), body)


def with_changes(**changes: object) -> bytes:
    fields = {name: getattr(GOOD, name) for name in Luggage.__struct_fields__}
    return msgspec.msgpack.encode({**fields, **changes})


def test_luggage_comes_back_as_it_was_packed() -> None:
    assert opened(offer(msgspec.msgpack.encode(GOOD))) == (GOOD, b"image")


@pytest.mark.parametrize(
    "changes",
    [
        {"fuel_owed": -1},  # would be given back to a budget
        {"memory_max": -1},
        {"fuel_max": -1},
        {"created_ms": 1 << 63},
        {"hop_count": COUNT_MAX + 1},
        {"wake_ms": -5},
        {"log_dropped": 1.5},
        {"owner": b"o" * 31},
        {"program": b""},
        {"log": ["x"] * (LOG_LINES_KEPT + 1)},
        {"log": [b"bytes"]},
        {"session": 1},
        {"shortage": ("gold", 1)},
        {"shortage": ("rows", -1)},
        {"unknown": 1},
        {"name": None},
    ],
    ids=str,
)
def test_a_number_below_zero_or_a_field_of_another_kind_is_refused(
    changes: dict[str, object],
) -> None:
    with pytest.raises(HopRefused, match="malformed"):
        opened(offer(with_changes(**changes)))


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(HopRefused, match="malformed"):
        opened(offer(with_changes().replace(b"alpha", b"\xff\xfe\xff\xfe\xff")))


@pytest.mark.parametrize("meta", [b"", b"\xc1", b"\x91" * 5_000, "text", None], ids=repr)
def test_what_is_no_luggage_is_refused(meta: object) -> None:
    with pytest.raises(HopRefused):
        opened(offer(meta))


def test_an_offer_that_contradicts_itself_is_refused() -> None:
    good = offer(msgspec.msgpack.encode(GOOD), (b"p" * 32,))
    with pytest.raises(HopRefused, match="not those that were offered"):
        opened(replace(good, digest=b"d" * 32))
    with pytest.raises(HopRefused, match="other programs"):
        opened(replace(good, programs=()))
    with pytest.raises(RemoteFault):
        opened(replace(good, body=good.body[:-1], digest=good.body[:32]))


def test_every_field_of_a_record_that_travels_is_bounded() -> None:
    travels = set(Luggage.__struct_fields__) - {"paused"}
    assert travels <= set(AgentRecord.__struct_fields__)


@pytest.mark.parametrize("answer", ["granted", "refused"])
def test_an_answer_that_was_not_heard_travels_and_a_question_does_not(answer: str) -> None:
    """An agent that has been given something, and asks again, would be given it twice."""
    asked = Asked("1f", 1, ["alpha/facts"], {}, None, "", 1, answer)
    for said, there in ((asked, asked), (replace(asked, answer="pending"), None)):
        sent = offer(msgspec.msgpack.encode(replace(GOOD, asked=said)))
        assert record_of(sent, *opened(sent), 1 << 20, 1).asked == there


def test_an_image_without_the_agents_program_is_refused() -> None:
    owner, home = (PrivateKey(bytes([n]) * 32).public for n in (1, 2))
    fields = {"owner": owner.bytes, "home_key": home.bytes}
    good = msgspec.structs.replace(GOOD, **fields)
    identity = agent_id(owner, good.program, good.nonce, home)
    whole = replace(offer(msgspec.msgpack.encode(good), (good.program,)), agent=identity)
    check_origin(whole, opened(whole)[0])
    for bad, why in (
        (replace(whole, programs=()), "none of the agent's program"),
        (replace(whole, agent=b"a" * 32), "owner, program and home"),
    ):
        with pytest.raises(HopRefused, match=why):
            check_origin(bad, good)
