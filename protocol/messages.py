"""The messages of the protocol: a closed set of types, each an array of its type number and its fields.

Is:     frozen classes, `encode` and `decode`; every field's type and size is checked.
Is not: who may say what when (`connection`, `handoff`).
Fits:   one frame holds one message, or a part of a long one; an unknown type, a missing field or a wrong one is a
        RemoteFault.

`epoch` in a message of the hand-off is the epoch the target would own; `attempt` names one try of giving it away.
"""

from __future__ import annotations

import msgspec

from datomstore.value import Map
from protocol._shapes import Form, Shape
from protocol.codec import pack, unpack
from protocol.errors import LocalFault, RemoteError, RemoteFault
from protocol.limits import (
    EPOCH_MAX,
    FEATURES_MAX,
    HASHES_MAX,
    MESSAGE_BYTES_MAX,
    PART_BYTES_MAX,
    TEXT_BYTES_MAX,
    TOKENS_MAX,
)

AGENT_BYTES = 32
ATTEMPT_BYTES = 16
DIGEST_BYTES = 32
NONCE_BYTES = 16
CODE_CHARACTERS_MAX = 64


class Hello(msgspec.Struct, frozen=True):
    """The first message of both sides: which versions it speaks, who it says it is."""

    version_min: int
    version_max: int
    nonce: bytes
    name: str
    features: tuple[str, ...] = ()  # what it can do beyond its versions; unknown ones are ignored


class Ping(msgspec.Struct, frozen=True):
    """Are you there?"""

    number: int


class Pong(msgspec.Struct, frozen=True):
    """Yes."""

    number: int


class Request(msgspec.Struct, frozen=True):
    """Asks for something; its id is the asker's, and free again after the Reply."""

    id: int
    verb: str
    body: Map


class Reply(msgspec.Struct, frozen=True):
    """Ends a request. When not ok, the body holds code, message and data."""

    id: int
    ok: bool
    body: Map


class Item(msgspec.Struct, frozen=True):
    """One of any number of answers before the Reply."""

    id: int
    body: Map


class Cancel(msgspec.Struct, frozen=True):
    """The asker no longer wants the answer; a Reply comes all the same."""

    id: int


class Offer(msgspec.Struct, frozen=True):
    """An agent, frozen: its image, its tokens, the programs it needs. The target does not run it before Go."""

    agent: bytes
    epoch: int
    attempt: bytes
    digest: bytes  # of the body, as the body has it (`continuation`)
    programs: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    body: bytes
    given: bool = False  # it says Go as well


class Go(msgspec.Struct, frozen=True):
    """The source has durably given the agent away: the target may take it."""

    agent: bytes
    epoch: int
    attempt: bytes


class Own(msgspec.Struct, frozen=True):
    """The target has durably taken the agent."""

    agent: bytes
    epoch: int
    attempt: bytes


class Refuse(msgspec.Struct, frozen=True):
    """The target has durably refused this attempt and will never take it."""

    agent: bytes
    epoch: int
    attempt: bytes
    code: str
    reason: str


class CancelOffer(msgspec.Struct, frozen=True):
    """The source asks the target to refuse, unless it has taken the agent already."""

    agent: bytes
    epoch: int
    attempt: bytes


class Want(msgspec.Struct, frozen=True):
    """The target was told Go for an attempt that it knows nothing of: the source sends its Offer once more."""

    agent: bytes
    epoch: int
    attempt: bytes


class Goodbye(msgspec.Struct, frozen=True):
    """The last message of a side."""

    reason: str


class Part(msgspec.Struct, frozen=True):
    """Some bytes of a message that is longer than a frame. Only `connection` sees it."""

    last: bool
    data: bytes


HandOff = Offer | Go | Own | Refuse | CancelOffer | Want
Message = Hello | Ping | Pong | Request | Reply | Item | Cancel | HandOff | Goodbye | Part


def _sized(size: int) -> Form:
    return Form(bytes, size, size)


_NUMBER, _EPOCH = Form(int, 0, (1 << 63) - 1), Form(int, 0, EPOCH_MAX)
_TEXT, _BYTES = Form(str, 0, TEXT_BYTES_MAX), Form(bytes, 0, MESSAGE_BYTES_MAX)
_MAP, _BOOLEAN = Form(Map), Form(bool)
_AGENT, _ATTEMPT, _DIGEST = _sized(AGENT_BYTES), _sized(ATTEMPT_BYTES), _sized(DIGEST_BYTES)
_HASHES = Form(tuple, 0, HASHES_MAX, _DIGEST)
_TOKENS = Form(tuple, 0, TOKENS_MAX, _BYTES)
_FEATURES = Form(tuple, 0, FEATURES_MAX, _TEXT)


def _shape(kind: type[Message], *forms: Form) -> Shape:
    return Shape(kind, kind.__struct_fields__, *forms)


# Types from here on are ignored by who does not know them, so that a later release may send them to an earlier one.
IGNORABLE = 128

# ORDER: the numbers are the protocol; append only.
_SHAPES = {
    1: _shape(Hello, _NUMBER, _NUMBER, _sized(NONCE_BYTES), _TEXT, _FEATURES),
    2: _shape(Ping, _NUMBER),
    3: _shape(Pong, _NUMBER),
    4: _shape(Request, _NUMBER, _TEXT, _MAP),
    5: _shape(Reply, _NUMBER, _BOOLEAN, _MAP),
    6: _shape(Item, _NUMBER, _MAP),
    7: _shape(Cancel, _NUMBER),
    8: _shape(Offer, _AGENT, _EPOCH, _ATTEMPT, _DIGEST, _HASHES, _TOKENS, _BYTES, _BOOLEAN),
    9: _shape(Go, _AGENT, _EPOCH, _ATTEMPT),
    10: _shape(Own, _AGENT, _EPOCH, _ATTEMPT),
    11: _shape(Refuse, _AGENT, _EPOCH, _ATTEMPT, _TEXT, _TEXT),
    12: _shape(CancelOffer, _AGENT, _EPOCH, _ATTEMPT),
    13: _shape(Goodbye, _TEXT),
    14: _shape(Part, _BOOLEAN, Form(bytes, 1, PART_BYTES_MAX)),
    IGNORABLE: _shape(Want, _AGENT, _EPOCH, _ATTEMPT),
}
_NUMBERS = {shape.kind: number for number, shape in _SHAPES.items()}


def encode(message: Message) -> bytes:
    """Return a message's bytes. Raises LocalFault if `decode` would not accept them."""
    number = _NUMBERS[type(message)]
    try:
        return pack((number, *_SHAPES[number].values(message)))
    except ValueError as error:  # the peer would end the connection
        raise LocalFault(str(error)) from None


def decode(data: bytes) -> Message | None:
    """Return the message of a frame, None if it is of a type that may be ignored. Raises RemoteFault for any other bytes.

    Fields behind those we know are a later release's, and are not looked at.
    """
    array = unpack(data)
    if type(array) is not tuple or not array or type(array[0]) is not int:
        raise RemoteFault("wire/message", "a message is an array that begins with its type")
    shape = _SHAPES.get(array[0])
    if shape is None:
        if array[0] >= IGNORABLE:
            return None
        known = max(array[0], -1)  # a long integer has no text
        raise RemoteFault("wire/message", f"no message has type {known}")
    try:
        message: Message = shape.message(array[1:])
    except ValueError as error:
        raise RemoteFault("wire/message", str(error)) from None
    return message


def error_body(code: str, message: str, data: object = None) -> Map:
    """Return the body of a Reply that says no."""
    return Map({"code": code, "message": message, "data": data})


def remote_error(body: Map) -> RemoteError:
    """Return the error that the body of a Reply tells, whatever the body holds.

    What is no text is not made into any: that of a long enough integer is an error, and not the peer's.
    """
    code, message = body.get("code"), body.get("message")
    return RemoteError(
        code[:CODE_CHARACTERS_MAX] if isinstance(code, str) else "wire/error",
        message[:TEXT_BYTES_MAX] if isinstance(message, str) else "",
        body.get("data"),
    )
