"""Chance against what a node takes from others: frames, tokens, statements, records, programs, and agents with their images.

Is:     cases made from a number alone, most of them nearly right: bytes changed, fields changed at the level of msgpack, and
        what was changed signed again, or given its right digest, so that it comes further.
Is not: the machine's own fuzzing (`fuzzing`, under sanitizers), from which the images are.
Fits:   `make fuzz-wire`; tests/test_wire_fuzzing.py runs a few cases of each source.

What is asked of every case: it is accepted or refused by the error its reader is said to raise, with a code; what is accepted
has no other encoding; it takes no more than CASE_S of a core; and memory is at the end what it was when all had run a while.
A finding is named by its source and number: `--case tokens:17`.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import multiprocessing
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import fuzzing
import msgpack
import msgspec
import token_vectors as made
from language import core_code

from capabilities import statements
from capabilities.authorize import Request, authorize
from capabilities.budget import Meter
from capabilities.caveats import Resource, Verb
from capabilities.certificate import make_certificate, public_key_of
from capabilities.errors import CapabilityError, TokenInvalid, TokenRefused
from capabilities.handles import Handle
from capabilities.journey import Receipt
from capabilities.keys import PrivateKey, PublicKey
from capabilities.revocation import Revocation, RevocationSet
from capabilities.statements import Appointment, Power, Record, Statement, Succession, sign
from capabilities.tickets import Ticket, proof_of
from capabilities.tokens import Token, agent_id, child_id
from capabilities.verify import BlockCache, VerifiedToken, verify
from datomstore.value import Keyword, Map
from protocol import codec, continuation, messages, records
from protocol.codec import pack as pack_value
from protocol.connection import Connection
from protocol.errors import RemoteFault
from protocol.joining import (
    Admission,
    Application,
    Rejection,
    decode_answer,
    encode_answer,
)
from protocol.limits import PART_BYTES_MAX
from protocol.messages import (
    CancelOffer,
    Go,
    Goodbye,
    Hello,
    Item,
    Message,
    Offer,
    Own,
    Part,
    Ping,
    Refuse,
    Reply,
    Want,
)
from protocol.messages import (
    Request as Asked,
)
from yang.compile import compile_program, compile_source
from yang.errors import YangError
from yang.policy import read_policy
from yang.program import Program, hash_of, tree_of
from yang.rule_files import rule_forms
from yind.agent import Birth, encode_record
from yind.cesk import ImageInvalid, Machine
from yind.code import CodeUnknown, _check_memory
from yind.errors import YindError
from yind.luggage import Luggage, check_origin, descent, opened, record_of

CASE_S = 3.0  # of a core, for one case; the largest message of values takes 0.7 on a machine that is idle
HANG_S = 30  # for one case, by the clock
GROWTH_MAX = 48 << 20  # bytes of a process, from when it has warmed up to its end
WARM_SHARE = 0.2
ACCEPTED = "accepted"


# ---- changes


def changed_bytes(random: Random, data: bytes) -> bytes:
    """Return bytes with a few changed, doubled or missing."""
    return data if random.random() < 0.02 else fuzzing.changed_bytes(random, data or b"\0")


def changed_packed(random: Random, data: bytes, times: int = 1) -> bytes:
    """Return msgpack of which a few values are others, or the same value in another encoding."""
    value: Any = msgpack.unpackb(data, strict_map_key=False)
    for _ in range(times):
        value = changed(random, value, value)
    if random.random() < 0.1:
        return repacked(random, value)
    return packed(value)


def packed(value: Any) -> bytes:
    """Return plain msgpack; bytes that no value has for what cannot be packed."""
    try:
        data: bytes = msgpack.packb(value, use_bin_type=True)
    except (ValueError, OverflowError, TypeError):
        return b"\xc1"
    return data


def repacked(random: Random, value: Any) -> bytes:
    """Return msgpack in which a header or a number takes more bytes than it needs."""
    data = packed(value)
    place = random.randrange(len(data))
    head = data[place]
    longer = {
        head < 0x80: b"\xcc" + bytes([head]),
        0x90 <= head < 0xA0: b"\xdc\x00" + bytes([head & 0x0F]),
        0x80 <= head < 0x90: b"\xde\x00" + bytes([head & 0x0F]),
        0xA0 <= head < 0xC0: b"\xd9" + bytes([head & 0x1F]),
        head == 0xC4: b"\xc5\x00",
    }.get(True, data[place : place + 1])
    return data[:place] + longer + data[place + 1 :]


def changed(random: Random, value: Any, whole: Any) -> Any:
    """Return a value with one thing in it changed."""
    if isinstance(value, (list, tuple)) and value and random.random() < 0.85:
        return changed_list(random, list(value), whole)
    if isinstance(value, dict) and value and random.random() < 0.85:
        pairs = changed_list(random, [list(pair) for pair in value.items()], whole)
        return map_of(pairs)
    if isinstance(value, msgpack.ExtType) and random.random() < 0.85:
        return changed_extension(random, value)
    return changed_leaf(random, value, whole)


def changed_list(random: Random, items: list[Any], whole: Any) -> list[Any]:
    place = random.randrange(len(items))
    match random.randrange(25):
        case 0:
            del items[place]
        case 1:
            items.insert(place, items[random.randrange(len(items))])
        case 2:
            other = random.randrange(len(items))
            items[place], items[other] = items[other], items[place]
        case _:
            items[place] = changed(random, items[place], whole)
    return items


def map_of(pairs: list[Any]) -> Any:
    """Return a map of pairs; what is no pair, or has a key that cannot be one, stays a list."""
    try:
        return dict(pair for pair in pairs)
    except (TypeError, ValueError):
        return pairs


def changed_extension(random: Random, value: msgpack.ExtType) -> msgpack.ExtType:
    """Return an extension of another kind, or with other values inside."""
    if random.random() < 0.1:
        return msgpack.ExtType(random.randint(0, 12), value.data)
    try:
        inside = list(msgpack.Unpacker(_Bytes(value.data), strict_map_key=False))
    except (ValueError, msgpack.UnpackException):
        inside = []
    if not inside or random.random() < 0.3:
        return msgpack.ExtType(value.code, changed_bytes(random, value.data))
    again = b"".join(packed(item) for item in changed_list(random, inside, inside))
    return msgpack.ExtType(value.code, again)


class _Bytes:
    """A file of bytes, of which msgpack reads one value after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data


def changed_leaf(random: Random, value: Any, whole: Any) -> Any:
    if random.random() < 0.1:
        return random.choice(STRANGE)
    if type(value) is int:
        number = fuzzing.some_number(random, value)
        return max(-(1 << 63), min((1 << 64) - 1, number))
    if type(value) is bytes:
        return changed_bytes(random, value)
    if type(value) is str:
        places = random.randrange(len(value) + 1)
        piece = random.choice(("*", "**", "/", "!", ":", "\0", "é", "a" * 300, ""))
        return value[:places] + piece + value[places + random.randrange(2) :]
    return random.choice((whole, *STRANGE)) if random.random() < 0.05 else random.choice(STRANGE)


HASH = b"h" * 32
SMALL_ORDER = [bytes(32), b"\x01" + bytes(31), made.SMALL_ORDER]
STRANGE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    1 << 63,
    (1 << 64) - 1,
    1.0,
    float("nan"),
    "",
    "a",
]
STRANGE += [b"", b"x" * 32, [], {}, [[]], {0: 0}, msgpack.ExtType(5, b""), *SMALL_ORDER]


# ---- tokens

KEYS = (made.ROOT, made.ALICE, made.BOB)
ROOTS = {made.ROOT.public}
STREAMS = ("alpha/orders", "alpha/people/x", "beta/orders", "alpha", "alpha//x", "")
REVOKED = RevocationSet()
BLOCKS = BlockCache(500, 50)


@cache
def tokens() -> list[bytes]:
    """Return the tokens of the vectors that are of a usual size."""
    return [
        data
        for vector in made.vectors()
        if 0 < len(data := bytes.fromhex(str(vector["token"]))) < 3_000
    ]


@cache
def bodies() -> list[tuple[bytes, ...]]:
    """Return the blocks of chains from the root over Alice and Bob to the node."""
    chains = [Token.from_bytes(one) for one in tokens() if is_chain(one)]
    return [tuple(block.body for block in token.signed) for token in chains]


def is_chain(data: bytes) -> bool:
    """Return whether the keys of a token's blocks are those that sign again here."""
    try:
        token = Token.from_bytes(data)
    except TokenInvalid:
        return False
    holders = tuple(block.key for block in token.blocks[:-1])
    keys = tuple(key.public for key in KEYS)
    return (
        token.root == keys[0]
        and 0 < len(token.blocks) <= 3
        and holders == keys[1 : 1 + len(holders)]
    )


def signed_again(random: Random) -> bytes:
    """Return a token of which a block was changed before it was signed."""
    blocks = list(random.choice(bodies()))
    place = random.randrange(len(blocks))
    if random.random() < 0.15:
        blocks[place] = changed_bytes(random, blocks[place])
    else:
        blocks[place] = changed_packed(random, blocks[place], random.choice((1, 1, 2, 4)))
    proof = random.choice(((2,), (2,), (2,), (0, made.NODE.seed), (3, bytes(64)), (1, bytes(64))))
    return made.envelope(made.signed(*blocks), proof=proof)


# Values of each caveat, most of them such that a request may pass.
POOLS: dict[int, list[Any]] = {
    1: [made.END, made.NOW, made.NOW - 1],
    2: [made.NOW, 0, made.NOW + 1],
    3: [[[2047, "**"]], [[1, "alpha/*"], [2, "*/orders"]], [[1, "alpha/**"]], []],
    4: [[made.NODE.public.bytes], sorted([made.NODE.public.bytes, made.BOB.public.bytes]), []],
    5: [made.AGENT, HASH],
    6: [
        sorted(key.public.bytes for key in (made.ALICE, made.BOB, made.NODE)),
        [made.BOB.public.bytes],
    ],
    7: [0, 1, 2, 255],
    8: [0, 1, 2, 255],
    9: [{0: 5, 2: 3}, {2: 1}, {2: 0}],
    10: [["shop/*"], ["!shop/price"], ["x", "shop/*", "!shop/cost"]],
    11: [0, 59, 60, 1 << 40],
    12: ["", "note"],
    13: [HASH],
    14: [0, 4],
}


def composed(random: Random) -> bytes:
    """Return a token of which every block is well formed; now and then one value is strange."""
    blocks = []
    holders = [made.ALICE.public, made.BOB.public, made.NODE.public][-random.randint(1, 3) :]
    for place, key in enumerate(holders):
        numbers = {n for n in POOLS if random.random() < 0.15} | ({1, 3} if place == 0 else set())
        caveats: Any = {
            number: POOLS[number][0] if random.random() < 0.7 else random.choice(POOLS[number])
            for number in sorted(numbers)
        }
        if random.random() < 0.1:
            caveats = changed(random, caveats, caveats)
        blocks.append(packed([key.bytes, random.randbytes(8), caveats]))
    signers = {3: KEYS, 2: (made.ROOT, made.BOB), 1: (made.ROOT,)}[len(holders)]
    return made.envelope(made.signed(*blocks, signers=signers))


def token_case(random: Random) -> str:
    """Verify a token, and ask it for something."""
    chance = random.random()
    if chance < 0.2:
        data = changed_bytes(random, random.choice(tokens()))
    elif chance < 0.35:
        data = changed_tree(random, random.choice(tokens()))
    elif chance < 0.65:
        data = signed_again(random)
    else:
        data = composed(random)
    presenter = made.NODE.public
    try:
        token = verify(data, roots=ROOTS, presenter=presenter, cache=BLOCKS)
    except TokenInvalid as error:
        if random.random() < 0.1:
            check_cold(data, presenter, (error.code, error.block))
        return error.code
    assert Token.from_bytes(data).to_bytes() == data, "two encodings of a token"
    return asked(random, token)


def changed_tree(random: Random, data: bytes) -> bytes:
    """Return a token with a part of its envelope changed; bytes if it is none."""
    try:
        return changed_packed(random, data)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return changed_bytes(random, data)


def check_cold(data: bytes, presenter: PublicKey, expected: tuple[str, int | None]) -> None:
    """Check that what is known from before changes no answer."""
    answer: tuple[str, int | None] = (ACCEPTED, None)
    try:
        verify(data, roots=ROOTS, presenter=presenter)
    except TokenInvalid as error:
        answer = error.code, error.block
    assert answer == expected, "the cache changed an answer"


def asked(random: Random, token: VerifiedToken) -> str:
    """Ask a token for something; a handle answers the same, and so does the token without its last block if it is yes."""
    request = Request(
        verb=random.choice(list(Verb)),
        stream=random.choice(STREAMS),
        at=made.NODE.public,
        agent=random.choice((made.AGENT, None)),
        now_s=made.NOW,
        attributes=random.choice(
            (None, None, frozenset({"shop/price"}), frozenset({"shop/x", "x"}))
        ),
        cost=random.choice(({}, {}, {Resource.ROWS: 2})),
        revocation_age_s=random.choice((0, 60, None)),
    )
    handle = Handle(
        token, at=request.at, agent=request.agent, revoked=REVOKED, meter=Meter(made.NODE.public)
    )
    for _ in range(2 if not request.cost else 1):
        answer = answer_of(
            lambda: authorize(token, request, revoked=REVOKED, meter=Meter(made.NODE.public))
        )
        again = answer_of(
            lambda: handle.authorize(
                request.verb,
                request.stream,
                request.now_s,
                attributes=request.attributes,
                cost=request.cost,
                revocation_age_s=request.revocation_age_s,
            )
        )
        assert answer == again, "a handle answers something else"
    if answer == ACCEPTED and len(token.blocks) > 1 and not request.cost:
        shorter = VerifiedToken(token.root, token.blocks[:-1])
        authorize(shorter, request, revoked=REVOKED)  # a block more never allows more
    return answer


def answer_of(ask: Callable[[], object]) -> str:
    try:
        ask()
    except TokenRefused as error:
        return error.code
    return ACCEPTED


# ---- statements, revocations, keys, certificates

NODE_CERTIFICATE = make_certificate(made.NODE, "alpha")
NEXT_CERTIFICATE = make_certificate(made.OTHER, "alpha")
SAID: list[tuple[Statement, tuple[PrivateKey, ...]]] = [
    (sign(fact, *keys), keys)
    for fact, keys in (
        (
            Record("alpha", "node", made.NODE.public, NODE_CERTIFICATE, ("h:1", "h:2"), 1, 50),
            (made.ROOT,),
        ),
        (Appointment(made.NODE.public, Power.ADMIT, 10, 20, 1), (made.ROOT,)),
        (
            Succession(made.NODE.public, made.OTHER.public, 10, 20, 1, NEXT_CERTIFICATE),
            (made.NODE, made.OTHER),
        ),
    )
]


def statement_case(random: Random) -> str:
    """Read a statement about the cluster."""
    said, keys = random.choice(SAID)
    if random.random() < 0.4:
        data = (
            changed_bytes(random, said.data)
            if random.random() < 0.5
            else changed_packed(random, said.data)
        )
    else:
        body: bytes = msgpack.unpackb(said.data)[0]
        body = changed_packed(random, body, random.choice((1, 1, 2)))
        kind = msgpack.unpackb(said.data)[0][1]
        domain = (statements.D_MEMBER, statements.D_APPOINTMENT, statements.D_SUCCESSION)[kind - 1]
        data = packed([body, [[key.public.bytes, key.sign(domain + body)] for key in keys]])
    try:
        found = Statement.from_bytes(data)
    except CapabilityError as error:
        return error.code
    assert found.data == data
    by = {key.public: key for key in (*KEYS, made.NODE, made.OTHER)}
    signers = [by[key] for key in found.signers]
    assert sign(found.fact, *signers).data == data, "two encodings of a statement"
    return ACCEPTED


@cache
def revocations() -> list[bytes]:
    """Return revocations of blocks of a chain."""
    return [Revocation.sign(key, made.chain(), index).to_bytes() for index, key in enumerate(KEYS)]


def revocation_case(random: Random) -> str:
    """Read a revocation, one of which the block was changed before it was signed among them."""
    data = random.choice(revocations())
    if random.random() < 0.3:
        identity = changed_bytes(random, random.randbytes(32))
        data = packed([identity, made.ROOT.public.bytes, made.ROOT.sign(b"yin/1/rev\0" + identity)])
    elif random.random() < 0.5:
        data = changed_bytes(random, data)
    else:
        data = changed_packed(random, data)
    try:
        found = Revocation.from_bytes(data)
    except TokenInvalid as error:
        return error.code
    assert found.to_bytes() == data, "two encodings of a revocation"
    return ACCEPTED


def certificate_case(random: Random) -> str:
    """Read the key out of a certificate."""
    data = changed_bytes(random, random.choice((NODE_CERTIFICATE, NEXT_CERTIFICATE)))
    try:
        public_key_of(data)
    except CapabilityError as error:
        return error.code
    return ACCEPTED


TICKET = Ticket("127.0.0.1:7001", made.NODE.public, b"s" * 16)
APPLICATIONS = [
    Application.make(
        TICKET, name="delta", addresses=("h:1", "h:2"), certificate=NODE_CERTIFICATE, root=root
    )
    for root in (None, made.ROOT.public)
]
ANSWERS = [
    encode_answer(Admission(made.ROOT.public, tuple(said.data for said, _ in SAID))),
    encode_answer(Rejection("ticket/unknown", "no")),
]


def application_case(random: Random) -> str:
    """Read who wants in, which anybody may send, and the answer to it; now and then the proof is right for what was changed."""
    if random.random() < 0.3:
        data = changed_payload(random, random.choice(ANSWERS))
        read: Callable[[bytes], object] = decode_answer
    else:
        application = random.choice(APPLICATIONS)
        data, read = application.to_bytes(), Application.from_bytes
        if random.random() < 0.6:
            inner = changed_payload(random, application.signed)
            data = packed([inner, proof_of(TICKET.key, TICKET.node, inner)])
        else:
            data = changed_payload(random, data)
    try:
        found = read(data)
    except RemoteFault as fault:
        return fault.code
    if isinstance(found, Application):
        assert found.to_bytes() == data, "two encodings of an application"
    return ACCEPTED


RECEIPTS = [Receipt.of(made.chain(), made.BOB.public).to_bytes()]


def receipt_case(random: Random) -> str:
    """Read a receipt, one of which the block was changed before it was signed among them."""
    previous, body, _ = msgpack.unpackb(RECEIPTS[0])
    if random.random() < 0.6:
        body = changed_packed(random, body)
        identity = hashlib.sha256(b"yin/1/blk\0" + previous + body).digest()
        data = packed([previous, body, made.BOB.sign(b"yin/1/sig\0" + identity)])
    else:
        data = changed_payload(random, RECEIPTS[0])
    try:
        found = Receipt.from_bytes(data, made.BOB.public)
        assert found.to_bytes() == data, "two encodings of a receipt"
        assert not found.contradicts(found)
    except TokenInvalid as error:
        return error.code
    return ACCEPTED


@cache
def policy_texts() -> list[str]:
    """Return the policies that come with yin."""
    folder = Path(__file__).parents[2] / "policy"
    return [path.read_text() for path in sorted(folder.glob("*.edn"))]


def policy_case(random: Random) -> str:
    """Read a policy of which a few words were moved or taken away."""
    words = re.split(r"(\s+|[()\[\]])", random.choice(policy_texts()))
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(words))
        match random.randrange(3):
            case 0:
                del words[place]
            case 1:
                words[place] = random.choice(words)
            case _:
                words[place] = random.choice(("(", "]", "?x", "7", "not", '"', "#{", "violation"))
    try:
        rule_forms("".join(words), "policy.edn")
        if random.random() < 0.01:  # it is evaluated to see whether it can be
            read_policy("".join(words), "policy.edn")
    except YangError as error:
        return error.code
    return ACCEPTED


def text_case(random: Random) -> str:
    """Read a key, a token and a ticket from lines of text."""
    line = random.choice((made.NODE.public.text, made.chain().to_text(), TICKET.to_text()))
    letters = list(line)
    for _ in range(random.randint(0, 3)):
        place = random.randrange(len(letters))
        letters[place : place + random.randrange(2)] = random.choice("aA2_-=é\n*\0")
    text = "".join(letters)
    try:
        if "#" in text:
            assert Ticket.parse(text).to_text() == text.strip(), "two texts of a ticket"
        elif text.startswith("yin"):
            assert Token.from_text(text).to_text() == text, "two texts of a token"
        else:
            assert PublicKey.parse(text).text == text.lower(), "two texts of a key"
    except CapabilityError as error:
        return error.code
    return ACCEPTED


# ---- frames and records

SAMPLE = Map({"stream": "alpha/orders", "data": (Map({Keyword("n"): 1}), b"x" * 40, 1.5, None)})
SENT: list[Message] = [
    Ping(7),
    Asked(1, "stream.transact", SAMPLE),
    Reply(1, False, messages.error_body("token/refused", "no", (1, 2))),
    Item(3, SAMPLE),
    Offer(b"a" * 32, 4, b"t" * 16, HASH, (HASH, HASH), (b"token", b"other"), b"image" * 9),
    Go(b"a" * 32, 4, b"t" * 16),
    Own(b"a" * 32, 4, b"t" * 16),
    Refuse(b"a" * 32, 4, b"t" * 16, "token/refused", "no"),
    CancelOffer(b"a" * 32, 4, b"t" * 16),
    Want(b"a" * 32, 4, b"t" * 16),
    Part(False, b"a part of something"),
    Part(True, b"its end"),
    Goodbye("done"),
]
PAYLOADS = [messages.encode(message) for message in SENT]
LONG = messages.encode(Item(3, Map({"data": bytes(range(256)) * 300})))
KEPT: list[records.Record] = [
    records.Given(b"a" * 32, 4, HASH, 7),
    records.Aborted(b"a" * 32, 4, HASH, 7, "token/refused", "no"),
    records.Gone(b"a" * 32, 4, HASH, 7),
    records.Owned(b"a" * 32, 4, HASH, 7, ((HASH, 1, 7), (HASH, 2, 9))),
    records.Refused(b"a" * 32, 4, HASH, 7, "a", "b", ((4, 8), (4, 9)), (2, 5)),
]
RECORDS = [records.encode(record) for record in KEPT]


def changed_payload(random: Random, payload: bytes) -> bytes:
    chance = random.random()
    if chance < 0.35:
        return changed_bytes(random, payload)
    return changed_packed(random, payload, random.choice((1, 1, 2, 3)))


def parts_case(random: Random) -> list[bytes]:
    """Return the parts of a long message, cut anywhere, of which some may be changed, missing, or there twice."""
    cuts = [0, *sorted(random.sample(range(len(LONG)), 3)), len(LONG)]
    parts = [
        Part(end == len(LONG), LONG[begin:end]) for begin, end in pairwise(cuts) if end > begin
    ]
    payloads = [messages.encode(part) for part in parts if len(part.data) <= PART_BYTES_MAX]
    if random.random() < 0.5:
        place = random.randrange(len(payloads))
        payloads[place : place + 1] = [changed_payload(random, payloads[place])] * random.randrange(
            3
        )
    return payloads


def frame_case(random: Random) -> str:
    """Feed a connection, in pieces."""
    if random.random() < 0.7:
        return message_case(random)
    connection = Connection(name="node", nonce=bytes(16))
    connection.hello()
    hello = messages.encode(Hello(1, 1, bytes(16), "peer"))
    if random.random() < 0.3:
        hello = changed_payload(random, hello)
    payloads = [hello, *(changed_payload(random, random.choice(PAYLOADS)) for _ in range(3))]
    if random.random() < 0.02:
        payloads[1:1] = parts_case(random)
    # By hand: what has been changed may be longer than a frame, and is to be refused.
    data = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    if random.random() < 0.2:
        data = changed_bytes(random, data)
    try:
        position = 0
        while position < len(data):
            size = random.choice((1, 3, 50, 5_000))
            connection.receive_data(data[position : position + size])
            position += size
    except RemoteFault as fault:
        return fault.code
    return ACCEPTED


def message_case(random: Random) -> str:
    if random.random() < 1e-4:
        return bomb_case(random)
    data = changed_payload(random, random.choice(PAYLOADS))
    try:
        message = messages.decode(data)
    except RemoteFault as fault:
        return fault.code
    if (
        message is not None
    ):  # a later release's; else of a later release may be what stands behind its fields
        known, array = codec.unpack(messages.encode(message)), codec.unpack(data)
        assert isinstance(known, tuple)
        assert isinstance(array, tuple)
        assert codec.pack(array[: len(known)]) == codec.pack(known), "two encodings of a message"
        assert codec.pack(array) == data, "two encodings of a message"
    return ACCEPTED


def bomb_case(random: Random) -> str:
    """Read a large message of small values, or one that is deep."""
    size = random.choice((1 << 16, 1 << 20, (1 << 20) + 1, 2 << 20))
    head = random.choice(
        (b"\x90", b"\xc0", b"\x91", b"\xd4\x04", b"\xd5\x05\x00", b"\xa0", b"\x81\x00")
    )
    data = b"\xdd" + size.to_bytes(4, "big") + (head * (size // len(head)))
    try:
        messages.decode(data)
    except RemoteFault as fault:
        return fault.code
    return ACCEPTED


def record_case(random: Random) -> str:
    """Read a record of a hand-off."""
    data = changed_payload(random, random.choice(RECORDS))
    try:
        record = records.decode(data)
    except RemoteFault as fault:
        return fault.code
    assert records.encode(record) == data, "two encodings of a record"
    return ACCEPTED


# ---- agents and programs

LUGGAGE = Luggage(
    name="agent",
    owner=made.ALICE.public.bytes,
    home="alpha",
    program=HASH,
    nonce=bytes(16),
    created_ms=0,
    memory_max=fuzzing.MEMORY_MAX,
    fuel_max=None,
    paused=False,
    reason="",
    wake_ms=None,
    hop_count=1,
    log=["line"],
    log_dropped=0,
    home_key=made.NODE.public.bytes,
)


def sealed(random: Random, image: bytes, programs: tuple[bytes, ...], meta: bytes) -> bytes:
    """Return what travels; now and then a part of it is changed, and the digest is right all the same."""
    parts: Map = Map(
        {"version": continuation.VERSION, "image": image, "programs": programs, "meta": meta}
    )
    payload = pack_value(parts)
    if random.random() < 0.3:
        payload = changed_packed(random, payload)
    return hashlib.sha256(b"yin/1/img\0" + payload).digest() + payload


def agent_case(random: Random) -> str:
    """Open an offer and restore its machine, as a node does before it holds an agent; what is accepted runs a little."""
    image, code = random.choice(fuzzing.images())
    codes = {one.program_hash: one for one in (code, core_code())}
    luggage = msgspec.structs.replace(LUGGAGE, program=code.program_hash)
    agent = agent_id(made.ALICE.public, luggage.program, luggage.nonce, made.NODE.public)
    if random.random() < 0.2:  # a child of that one
        birth = Birth(agent, luggage.program, luggage.nonce, made.NODE.public.bytes)
        agent = child_id(agent, luggage.program, luggage.nonce, made.NODE.public)
        luggage = msgspec.structs.replace(luggage, births=[birth])
    meta = msgspec.msgpack.encode(luggage)
    chance = random.random()
    if chance < 0.3:
        image = fuzzing.changed_bytes(random, image)
    elif chance < 0.75:
        image = fuzzing.changed_fields(random, image)
    else:
        meta = changed_packed(random, meta, 2) if chance < 0.9 else changed_bytes(random, meta)
    try:
        programs = tuple(Machine.programs_of(image))
    except ImageInvalid:
        programs = tuple(codes)
    body = sealed(random, image, programs, meta)
    if random.random() < 0.1:
        body = changed_bytes(random, body)
    digest = body[:32] if random.random() < 0.98 else HASH
    offer = Offer(
        agent if random.random() < 0.98 else HASH, 4, b"t" * 16, digest, programs, (), body
    )
    return restored(offer, codes)


def restored(offer: Offer, codes: dict[bytes, Any]) -> str:
    def code_of(program: bytes) -> Any:
        if program not in codes:
            raise CodeUnknown("unknown")
        return codes[program]

    try:
        luggage, found = opened(offer)
        memory_max = min(luggage.memory_max, fuzzing.MEMORY_MAX)
        descent(luggage, offer.agent)
        check_origin(offer, luggage)
        _check_memory(memory_max)
        machine = Machine.restore(found, code_of, memory_max=memory_max, fuel_max=luggage.fuel_max)
        encode_record(record_of(offer, luggage, found, memory_max, 0))
    except RemoteFault as fault:
        return fault.code
    except ImageInvalid:
        return "image/invalid"
    except (YindError, CapabilityError) as error:
        return error.code
    assert machine.memory_used <= memory_max
    machine.run(300)
    return ACCEPTED


@cache
def programs() -> list[bytes]:
    """Return a few programs as they travel."""
    texts = (
        "(+ 1 2)",
        '(defn f [x & y] (if x (f y) {:a #{1 2.5} "s" [nil \\c]}))',
        "(map inc [1 2])",
    )
    return [compile_source(text, "fuzz.clj").program.to_bytes() for text in texts]


def program_case(random: Random) -> str:
    """Read a program and its tree; now and then, what is one is compiled."""
    parts: list[Any] = list(msgpack.Unpacker(_Bytes(random.choice(programs()))))
    place = random.choice((0, 1, 2, 2, 2, 3, 3, 4))
    if type(parts[place]) is bytes and random.random() < 0.8:
        parts[place] = changed_sequence(random, parts[place])
        parts[1] = hash_of(parts[2])
    else:
        parts[place] = changed(random, parts[place], parts[place])
    data = b"".join(map(packed, parts))
    try:
        program = Program.from_bytes(data)
        assert Program.from_bytes(program.to_bytes()) == program
        tree_of(program)
        if random.random() < 0.02:
            compile_program(program)
    except YangError as error:
        return error.code
    return ACCEPTED


def changed_sequence(random: Random, data: bytes) -> bytes:
    """Return values, one after the other, of which one is changed."""
    if random.random() < 0.3:
        return changed_bytes(random, data)
    try:
        values = list(msgpack.Unpacker(_Bytes(data), strict_map_key=False))
    except (ValueError, msgpack.UnpackException):
        return changed_bytes(random, data)
    return (
        b"".join(packed(item) for item in changed_list(random, values, values)) if values else b""
    )


SOURCES: dict[str, tuple[Callable[[Random], str], int]] = {
    "tokens": (token_case, 40),
    "frames": (frame_case, 24),
    "agents": (agent_case, 12),
    "records": (record_case, 8),
    "statements": (statement_case, 6),
    "revocations": (revocation_case, 4),
    "programs": (program_case, 3),
    "certificates": (certificate_case, 2),
    "texts": (text_case, 1),
    "applications": (application_case, 5),
    "receipts": (receipt_case, 3),
    "policies": (policy_case, 1),
}
SHARES = sum(share for _, share in SOURCES.values())


# ---- running


def run_case(source: str, number: int) -> str:
    """Run one case and return its answer; the same number is the same case."""
    random = Random(f"{source} {number}")
    began = time.thread_time()
    answer = SOURCES[source][0](random)
    spent_s = time.thread_time() - began
    assert spent_s < CASE_S, f"{source}:{number} took {spent_s:.1f} s of a core"
    return answer


@dataclass
class Tally:
    """What became of some cases."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    warm_bytes: int = 0  # of the process, once every source had run a while
    end_bytes: int = 0
    slowest: tuple[float, str] = (0.0, "")
    finding: str = ""


def resident_bytes() -> int:
    """Return how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def cases(first: int, count: int, step: int) -> Iterator[tuple[str, int]]:
    """Yield every `step`-th case of all sources in their shares."""
    wheel = [source for source, (_, share) in SOURCES.items() for _ in range(share)]
    Random(0).shuffle(wheel)
    for number in range(first, count, step):
        yield wheel[number % SHARES], number


def tally(first: int, count: int, step: int) -> Tally:
    """Run cases in this process. A finding ends it and is named."""
    faulthandler.enable()
    found = Tally()
    warm = first + (int(count * WARM_SHARE) // step) * step
    for source, number in cases(first, count, step):
        if number == warm:
            found.warm_bytes = resident_bytes()
        if number % 512 == first:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
        began = time.thread_time()
        try:
            found.answers[source, run_case(source, number)] += 1
        except Exception as error:
            found.finding = f"--case {source}:{number}: {type(error).__name__}: {error}"
            break
        found.slowest = max(found.slowest, (time.thread_time() - began, f"{source}:{number}"))
    faulthandler.cancel_dump_traceback_later()
    found.end_bytes = resident_bytes()
    return found


@cache
def prepared() -> None:
    """Make what all cases begin from, once for all processes."""
    for source, (case, _) in SOURCES.items():
        case(Random(f"{source} prepared"))
    fuzzing.images()
    programs()
    bodies()


def report(tallies: list[Tally], seconds: float) -> bool:
    """Print what became of all cases; return whether all is as it must be."""
    answers: Counter[tuple[str, str]] = Counter()
    for one in tallies:
        answers.update(one.answers)
    for source in SOURCES:
        rows = {answer: n for (of, answer), n in answers.items() if of == source}
        said = ", ".join(
            f"{answer} {n:,}" for answer, n in sorted(rows.items(), key=lambda row: -row[1])
        )
        print(f"{source:13}{sum(rows.values()):>9,}  {said}")  # noqa: T201
    fine = True
    for one in tallies:
        grown = one.end_bytes - one.warm_bytes
        fine &= not one.finding and grown <= GROWTH_MAX
        print(  # noqa: T201
            f"memory {one.warm_bytes >> 20} MiB -> {one.end_bytes >> 20} MiB; "
            f"slowest {one.slowest[1]} {one.slowest[0] * 1e3:.0f} ms"
        )
        if one.finding:
            print(f"FOUND {one.finding}")  # noqa: T201
    accepted = sum(n for (_, answer), n in answers.items() if answer == ACCEPTED)
    print(f"{sum(answers.values()):,} cases, {accepted:,} accepted, {seconds:.0f} s")  # noqa: T201
    return fine


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--case", help="only this one, as tokens:17")
    options = parser.parse_args()
    if options.case:
        source, _, number = options.case.partition(":")
        print(run_case(source, int(number)))  # noqa: T201
        return 0
    prepared()
    began = time.monotonic()
    count, processes = options.cases, options.processes
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        parts = [(first, count, processes) for first in range(processes)]
        tallies = pool.starmap(tally, parts)
    return 0 if report(tallies, time.monotonic() - began) else 1


if __name__ == "__main__":
    sys.exit(main())
