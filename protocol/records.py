"""What a node keeps of an agent's hand-offs, so that a crash changes nothing.

Is:     the records of both sides, where each is kept (`slot`), and their bytes.
Is not: the rules that make them (`handoff`), or the storage.
Fits:   the daemon stores `encode(record)` under `slot(record)`; after a restart `decode` gives them back.

The epoch in every record is the new one, that the target would own.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import msgspec

from protocol.codec import pack, unpack
from protocol.errors import RemoteFault
from protocol.limits import REFUSED_MAX, TAKEN_MAX, TEXT_BYTES_MAX
from protocol.messages import AGENT_BYTES, ATTEMPT_BYTES

ATTEMPT_MAX = (1 << 8 * ATTEMPT_BYTES) - 1
EPOCH_MAX = (1 << 63) - 1

Journey = tuple[int, int]  # epoch, attempt: orders the tries of giving one agent


class Given(msgspec.Struct, frozen=True):
    """Source: the agent is on offer; only the target's answer decides whose it is."""

    agent: bytes
    epoch: int  # the new one
    target: bytes  # node key
    attempt: int


class Aborted(msgspec.Struct, frozen=True):
    """Source: the target refused; the epoch before is this node's again."""

    agent: bytes
    epoch: int
    target: bytes
    attempt: int
    code: str
    reason: str


class Gone(msgspec.Struct, frozen=True):
    """Source: the tombstone. The agent is the target's, or was."""

    agent: bytes
    epoch: int
    target: bytes
    attempt: int


class Reclaimed(msgspec.Struct, frozen=True):
    """Source: taken back by force, with the target's answer unknown. There may be two of the agent from here on."""

    agent: bytes
    epoch: int
    target: bytes
    attempt: int


class Owned(msgspec.Struct, frozen=True):
    """Target: taken. Also what can still be confirmed of earlier visits, the last of each other source."""

    agent: bytes
    epoch: int
    source: bytes
    attempt: int
    earlier: tuple[tuple[bytes, int, int], ...] = ()  # source, epoch, attempt; oldest first


class Refused(msgspec.Struct, frozen=True):
    """Target: this attempt of the source, and the earlier ones it names, will never be taken."""

    agent: bytes
    epoch: int
    source: bytes
    attempt: int
    code: str
    reason: str
    earlier: tuple[Journey, ...] = ()  # ascending
    floor: Journey = (0, 0)  # everything of this source up to here is refused, too


SourceRecord = Given | Aborted | Gone | Reclaimed
TargetRecord = Owned | Refused
Record = SourceRecord | TargetRecord


def slot(record: Record) -> bytes:
    """Return where a node keeps a record: a later record of the same slot takes the earlier one's place."""
    place = record.agent + _PLACES[type(record)]
    return place + record.source if isinstance(record, Refused) else place


_PLACES: dict[type[Record], bytes] = {
    Given: b"/source",
    Aborted: b"/source",
    Gone: b"/source",
    Reclaimed: b"/source",
    Owned: b"/owned",
    Refused: b"/refused/",  # and whose offer it was: a place for each source
}


# -- records as bytes --

# ORDER: the numbers are the storage's; append only.
_KINDS: dict[int, type[Record]] = {
    1: Given,
    2: Aborted,
    3: Gone,
    4: Owned,
    5: Refused,
    6: Reclaimed,
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_FIELDS: dict[type[Record], tuple[str, ...]] = {
    Given: ("agent", "epoch", "node", "attempt"),
    Gone: ("agent", "epoch", "node", "attempt"),
    Reclaimed: ("agent", "epoch", "node", "attempt"),
    Aborted: ("agent", "epoch", "node", "attempt", "text", "text"),
    Owned: ("agent", "epoch", "node", "attempt", "visits"),
    Refused: ("agent", "epoch", "node", "attempt", "text", "text", "journeys", "journey"),
}


_VALUES = {kind: attrgetter(*kind.__struct_fields__) for kind in _FIELDS}


def encode(record: Record) -> bytes:
    """Return a record's bytes."""
    kind = type(record)
    return pack((_NUMBERS[kind], *_VALUES[kind](record)))


def decode(data: bytes) -> Record:
    """Return the record of bytes. Raises RemoteFault for any other bytes."""
    array = unpack(data)
    if not isinstance(array, tuple) or not array or type(array[0]) is not int:
        raise RemoteFault("wire/record", "a record is an array that begins with its kind")
    kind = _KINDS.get(array[0])
    if kind is None:
        raise RemoteFault("wire/record", "a record is of no kind that is known")
    fields = _FIELDS[kind]
    if len(array) != 1 + len(fields):
        raise RemoteFault("wire/record", f"{kind.__name__} has {len(fields)} fields")
    for name, value in zip(fields, array[1:], strict=True):
        if not _CHECKS[name](value):
            raise RemoteFault("wire/record", f"{kind.__name__}: {name} is wrong")
    return kind(*array[1:])


def _is_epoch(value: object) -> bool:
    return type(value) is int and 0 <= value <= EPOCH_MAX


def _is_attempt(value: object) -> bool:
    return type(value) is int and 0 <= value <= ATTEMPT_MAX


def _is_node(value: object) -> bool:
    return type(value) is bytes and len(value) <= AGENT_BYTES


def _is_journey(value: object) -> bool:
    return (
        type(value) is tuple and len(value) == 2 and _is_epoch(value[0]) and _is_attempt(value[1])
    )


def _is_visit(value: object) -> bool:
    return (
        type(value) is tuple
        and len(value) == 3
        and _is_node(value[0])
        and _is_journey(tuple(value[1:]))
    )


_CHECKS: dict[str, Callable[[object], bool]] = {
    "agent": lambda value: type(value) is bytes and len(value) == AGENT_BYTES,
    "epoch": _is_epoch,
    "node": _is_node,
    "attempt": _is_attempt,
    "text": lambda value: (
        type(value) is str and len(value.encode(errors="replace")) <= TEXT_BYTES_MAX
    ),
    "journey": _is_journey,
    "journeys": lambda value: (
        type(value) is tuple and len(value) <= REFUSED_MAX and all(map(_is_journey, value))
    ),
    "visits": lambda value: (
        type(value) is tuple and len(value) <= TAKEN_MAX and all(map(_is_visit, value))
    ),
}
