"""A statement comes back as it was signed, and in no other way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capabilities.canonical import decode, encode, tuple_of
from capabilities.certificate import make_certificate, public_key_of
from capabilities.errors import KeyInvalid, MemberInvalid
from capabilities.keys import PrivateKey
from capabilities.limits import SEQ_MAX, STATEMENT_BYTES_MAX
from capabilities.statements import Appointment, Fact, Power, Record, Statement, Succession, sign

ROOT, NODE, OTHER = (PrivateKey(bytes([n]) * 32) for n in range(31, 34))
CERTIFICATE, NEXT = make_certificate(NODE, "alpha"), make_certificate(OTHER, "alpha")
RECORD = Record("alpha", "node", NODE.public, CERTIFICATE, ("127.0.0.1:7001",), 1, 50)
APPOINTMENT = Appointment(NODE.public, Power.ADMIT | Power.REMOVE, 10, 20, 1)
SUCCESSION = Succession(NODE.public, OTHER.public, 10, 20, 1, NEXT)
SIGNED: list[tuple[Fact, tuple[PrivateKey, ...]]] = [
    (RECORD, (ROOT,)),
    (APPOINTMENT, (ROOT,)),
    (SUCCESSION, (NODE, OTHER)),
]
IDS = ["record", "appointment", "succession"]


def test_a_certificate_holds_the_key_it_was_made_for() -> None:
    assert public_key_of(CERTIFICATE) == NODE.public
    for bad in (b"", b"x", CERTIFICATE[:-1]):
        with pytest.raises(KeyInvalid):
            public_key_of(bad)


@pytest.mark.parametrize(("fact", "keys"), SIGNED, ids=IDS)
def test_a_statement_comes_back_as_it_was_signed(fact: Fact, keys: tuple[PrivateKey, ...]) -> None:
    made = sign(fact, *keys)
    assert made.fact == fact
    assert made.signers == tuple(key.public for key in keys)
    assert Statement.from_bytes(made.data) == Statement.from_text(made.to_text()) == made


@pytest.mark.parametrize(("fact", "keys"), SIGNED, ids=IDS)
def test_a_flipped_bit_or_a_missing_byte_is_refused(
    fact: Fact, keys: tuple[PrivateKey, ...]
) -> None:
    data = sign(fact, *keys).data
    for position in range(len(data)):
        flipped = (
            data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]
        )
        for bad in (flipped, data[:position]):
            with pytest.raises(MemberInvalid):
                Statement.from_bytes(bad)
    with pytest.raises(MemberInvalid):
        Statement.from_bytes(data + b"\0")


@pytest.mark.parametrize(
    "fact",
    [
        replace(RECORD, role="king"),
        replace(RECORD, key=OTHER.public),
        replace(RECORD, certificate=b"none"),
        replace(RECORD, name=""),
        replace(RECORD, name="../alpha"),
        replace(RECORD, name="a b"),
        replace(RECORD, name="a" * 64),
        replace(RECORD, addresses=("a",) * 9),
        replace(RECORD, addresses=("",)),
        replace(RECORD, seq=-1),
        replace(RECORD, seq=SEQ_MAX + 1),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(fact: Record) -> None:
    with pytest.raises(MemberInvalid):
        sign(fact, ROOT)


@pytest.mark.parametrize(("fact", "keys"), SIGNED, ids=IDS)
def test_after_every_number_there_is_another(fact: Fact, keys: tuple[PrivateKey, ...]) -> None:
    assert sign(replace(fact, seq=SEQ_MAX), *keys).fact.seq == SEQ_MAX
    for seq in (SEQ_MAX + 1, 2**64 - 1):
        with pytest.raises(MemberInvalid, match="seq"):
            sign(replace(fact, seq=seq), *keys)


@pytest.mark.parametrize(
    ("fact", "keys"),
    [
        (replace(SUCCESSION, new=NODE.public, certificate=CERTIFICATE), (NODE, NODE)),
        (replace(SUCCESSION, certificate=CERTIFICATE), (NODE, OTHER)),
        (replace(SUCCESSION, until_s=9), (NODE, OTHER)),
        (SUCCESSION, (OTHER, NODE)),
        (SUCCESSION, (NODE, NODE)),
        (SUCCESSION, (ROOT, OTHER)),
        (SUCCESSION, (NODE,)),
        (RECORD, (ROOT, NODE)),
        (RECORD, ()),
    ],
    ids=["to itself", "foreign certificate", "ends before", "swapped", "no consent", "not the old",
         "one signature", "two signatures", "no signature"],
)  # fmt: skip
def test_a_succession_needs_both_keys(fact: Fact, keys: tuple[PrivateKey, ...]) -> None:
    with pytest.raises(MemberInvalid):
        sign(fact, *keys)


def test_a_signature_over_one_kind_is_none_over_another() -> None:
    body, signed = tuple_of(decode(sign(APPOINTMENT, ROOT).data), 2, "a statement")
    assert isinstance(body, bytes)
    items = tuple_of(decode(body), 6, "the body")
    for number in (0, 1, 3, 4):
        with pytest.raises(MemberInvalid):
            Statement.from_bytes(encode([encode([number, *items[1:]]), signed]))


def test_a_long_statement_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(MemberInvalid, match="too long"):
        Statement.from_bytes(bytes(STATEMENT_BYTES_MAX + 1))
