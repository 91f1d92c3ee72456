"""The messages of the protocol: a closed set of types, each an array of its type number and its fields.

Is:     frozen classes, `encode` and `decode`; every field's type and size is checked.
Is not: who may say what when (`connection`, `handoff`).
Fits:   one frame holds one message; an unknown type, a missing field or a wrong one is a RemoteFault.

`epoch` in a message of the hand-off is the epoch the target would own; `attempt` names one try of giving it away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from datomstore.value import Map
from protocol.codec import pack, unpack
from protocol.errors import LocalFault, RemoteError, RemoteFault
from protocol.limits import EPOCH_MAX, FEATURES_MAX, HASHES_MAX, TEXT_BYTES_MAX, TOKENS_MAX

AGENT_BYTES = 32
ATTEMPT_BYTES = 16
DIGEST_BYTES = 32
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of both sides: which versions it speaks, who it says it is."""

    version_min: int
    version_max: int
    nonce: bytes
    name: str
    features: tuple[str, ...] = ()  # what it can do beyond its versions; unknown ones are ignored


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?"""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Yes."""

    number: int


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for something; its id is the asker's, and free again after the Reply."""

    id: int
    verb: str
    body: Map


@dataclass(frozen=True, slots=True)
class Reply:
    """Ends a request. When not ok, the body holds code, message and data."""

    id: int
    ok: bool
    body: Map


@dataclass(frozen=True, slots=True)
class Item:
    """One of any number of answers before the Reply."""

    id: int
    body: Map


@dataclass(frozen=True, slots=True)
class Cancel:
    """The asker no longer wants the answer; a Reply comes all the same."""

    id: int


@dataclass(frozen=True, slots=True)
class Offer:
    """An agent, frozen: its image, its tokens, the programs it needs. The target holds it and does not run it."""

    agent: bytes
    epoch: int
    attempt: bytes
    digest: bytes  # of the body, as the body has it (`continuation`)
    programs: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Go:
    """The source has durably given the agent away: the target may take it."""

    agent: bytes
    epoch: int
    attempt: bytes


@dataclass(frozen=True, slots=True)
class Own:
    """The target has durably taken the agent."""

    agent: bytes
    epoch: int
    attempt: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """The target has durably refused this attempt and will never take it."""

    agent: bytes
    epoch: int
    attempt: bytes
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancelOffer:
    """The source asks the target to refuse, unless it has taken the agent already."""

    agent: bytes
    epoch: int
    attempt: bytes


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last message of a side."""

    reason: str


HandOff = Offer | Go | Own | Refuse | CancelOffer
Message = Hello | Ping | Pong | Request | Reply | Item | Cancel | HandOff | Goodbye

Check = Callable[[object], bool]


def _number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _epoch(value: object) -> bool:
    return type(value) is int and 0 <= value <= EPOCH_MAX


def _text(value: object) -> bool:
    return type(value) is str and len(value.encode(errors="replace")) <= TEXT_BYTES_MAX


def _bytes(value: object) -> bool:
    return type(value) is bytes


def _map(value: object) -> bool:
    return type(value) is Map


def _boolean(value: object) -> bool:
    return type(value) is bool


def _sized(size: int) -> Check:
    return lambda value: type(value) is bytes and len(value) == size


def _many(check: Check, count_max: int) -> Check:
    return lambda value: type(value) is tuple and len(value) <= count_max and all(map(check, value))


_AGENT, _ATTEMPT, _DIGEST = _sized(AGENT_BYTES), _sized(ATTEMPT_BYTES), _sized(DIGEST_BYTES)
_HASHES = _many(_DIGEST, HASHES_MAX)
_FEATURES = _many(_text, FEATURES_MAX)

# ORDER: the numbers are the protocol; append only.
_SHAPES: dict[int, tuple[type[Message], tuple[Check, ...]]] = {
    1: (Hello, (_number, _number, _sized(NONCE_BYTES), _text, _FEATURES)),
    2: (Ping, (_number,)),
    3: (Pong, (_number,)),
    4: (Request, (_number, _text, _map)),
    5: (Reply, (_number, _boolean, _map)),
    6: (Item, (_number, _map)),
    7: (Cancel, (_number,)),
    8: (
        Offer,
        (_AGENT, _epoch, _ATTEMPT, _DIGEST, _HASHES, _many(_bytes, TOKENS_MAX), _bytes),
    ),
    9: (Go, (_AGENT, _epoch, _ATTEMPT)),
    10: (Own, (_AGENT, _epoch, _ATTEMPT)),
    11: (Refuse, (_AGENT, _epoch, _ATTEMPT, _text, _text)),
    12: (CancelOffer, (_AGENT, _epoch, _ATTEMPT)),
    13: (Goodbye, (_text,)),
}
_NUMBERS = {kind: number for number, (kind, _) in _SHAPES.items()}
# Types from here on are ignored by who does not know them, so that a later release may send them to an earlier one.
IGNORABLE = 128
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _NUMBERS}


def encode(message: Message) -> bytes:
    """Return a message's bytes. Raises LocalFault if `decode` would not accept them."""
    kind = type(message)
    number = _NUMBERS[kind]
    values = [getattr(message, name) for name in _FIELDS[kind]]
    for name, check, value in zip(_FIELDS[kind], _SHAPES[number][1], values, strict=True):
        if not check(value):  # the peer would end the connection
            raise LocalFault(f"{kind.__name__}: the field {name} is wrong")
    return pack((number, *values))


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
        raise RemoteFault("wire/message", f"no message has type {array[0]}")
    kind, checks = shape
    values = array[1 : 1 + len(checks)]
    if len(values) < len(checks):
        raise RemoteFault("wire/message", f"{kind.__name__} has {len(checks)} fields")
    for name, check, value in zip(_FIELDS[kind], checks, values, strict=True):
        if not check(value):
            raise RemoteFault("wire/message", f"{kind.__name__}: the field {name} is wrong")
    return kind(*values)


def error_body(code: str, message: str, data: object = None) -> Map:
    """Return the body of a Reply that says no."""
    return Map({"code": code, "message": message, "data": data})


def remote_error(body: Map) -> RemoteError:
    """Return the error that the body of a Reply tells."""
    return RemoteError(
        str(body.get("code", "wire/error")), str(body.get("message", "")), body.get("data")
    )
