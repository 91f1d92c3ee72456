"""What travels with an agent, as an Offer.

Is:     the offer of a frozen agent, made and read: image, programs, tokens, and what the node knows beside them.
Is not: a check of any of it (`yind.arrivals`).
Fits:   between `yind.agent`'s records and `protocol`'s messages.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from capabilities.caveats import Resource
from capabilities.errors import KeyInvalid
from capabilities.keys import public_key
from capabilities.tokens import agent_id, child_id
from protocol import continuation
from protocol.errors import LocalFault
from protocol.limits import EPOCH_MAX
from protocol.messages import ATTEMPT_BYTES, Offer
from yind.agent import AgentRecord, Asked, Birth, State, ancestors_of
from yind.cesk import Machine
from yind.errors import HopRefused
from yind.limits import BIRTHS_MAX, FIRST_IDS_KEPT, LOG_LINES_KEPT

COUNT_MAX = 1 << 62
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Budget = Annotated[str, Meta(pattern=f"^({'|'.join(one.name.lower() for one in Resource)})$")]
Log = Annotated[list[str], Meta(max_length=LOG_LINES_KEPT)]


class Luggage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the node the agent leaves says about it. Numbers count something: none is below zero, or too large to be kept."""

    name: str
    owner: Hash
    home: str
    program: Hash
    nonce: bytes
    created_ms: Count
    memory_max: Count
    fuel_max: Count | None
    paused: bool
    reason: str
    wake_ms: Count | None
    hop_count: Count
    log: Log
    log_dropped: Count
    home_key: Hash
    session: bool = False
    fuel_owed: Count = 0
    births: list[Birth] = []
    denied_right: str | None = None  # what it is paused for, if it lacks something
    shortage: tuple[Budget, Count] | None = None  # ... of a budget, and how much it needs of it
    asked: Asked | None = None  # what its `request-token` was answered, if it has not heard it yet


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Luggage)


class Packed(NamedTuple):
    """An agent as bytes."""

    body: bytes
    digest: bytes  # what the body says of itself: the state's name
    programs: tuple[bytes, ...]  # that it needs


def packed_of(record: AgentRecord, *, paused: bool, reason: str) -> Packed:
    """Return an agent as its record has it. Raises LocalFault when it is too large to travel.

    Nobody can answer there what it has asked for here: where it waits for that, it goes on, and asks again.
    """
    waits = record.denied_right is not None and _is_pending(record.asked)
    if record.epoch >= EPOCH_MAX:
        raise LocalFault(f"an agent has at most {EPOCH_MAX} journeys")
    luggage = Luggage(
        name=record.name,
        owner=record.owner,
        home=record.home,
        program=record.program,
        nonce=record.nonce,
        created_ms=record.created_ms,
        memory_max=record.memory_max,
        fuel_max=record.fuel_max,
        paused=paused and not waits,
        reason="" if waits else reason,
        wake_ms=record.wake_ms,
        hop_count=record.hop_count,
        log=record.log,
        log_dropped=record.log_dropped,
        session=record.session,
        fuel_owed=record.fuel_owed,
        births=record.births,
        home_key=record.home_key,
        denied_right=record.denied_right if paused and not waits else None,
        shortage=record.shortage if paused and not waits else None,
        asked=None if _is_pending(record.asked) else record.asked,
    )
    programs = tuple(Machine.programs_of(record.image))
    body = continuation.seal(record.image, programs, _encoder.encode(luggage))
    return Packed(body, continuation.digest_of(body), programs)


def offer_of(record: AgentRecord, packed: Packed, attempt: int, tokens: tuple[bytes, ...]) -> Offer:
    """Return the offer of a packed agent."""
    return Offer(
        agent=record.id,
        epoch=record.epoch + 1,
        attempt=attempt.to_bytes(ATTEMPT_BYTES, "big"),
        digest=packed.digest,
        programs=packed.programs,
        tokens=tokens,
        body=packed.body,
    )


def opened(offer: Offer) -> tuple[Luggage, bytes]:
    """Return the luggage and the image of an offer. Raises RemoteFault or HopRefused."""
    found = continuation.open_(offer.body)
    if found.digest != offer.digest:
        raise HopRefused("the agent's bytes are not those that were offered")
    if tuple(found.programs) != offer.programs:
        raise HopRefused("the image names other programs than the offer")
    if not isinstance(found.meta, bytes):
        raise HopRefused("what travels with the agent is not bytes")
    try:
        return _decoder.decode(found.meta), found.image
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise HopRefused(f"what travels with the agent is malformed: {error}") from error


def descent(luggage: Luggage, agent: bytes) -> tuple[bytes, ...]:
    """Return the ids of the agents that an offered one descends from. Raises HopRefused when it does not."""
    births = luggage.births
    if not births:
        return ()
    if len(births) > BIRTHS_MAX:
        raise HopRefused(f"the agent has {len(births)} ancestors; at most {BIRTHS_MAX}")
    children = [*(birth.parent for birth in births[1:]), agent]
    try:
        made = [
            child_id(birth.parent, birth.program, birth.nonce, public_key(birth.home))
            for birth in births
        ]
    except KeyInvalid as error:
        raise HopRefused(f"an ancestor's home is no key: {error}") from error
    if made != children:
        raise HopRefused("the agent does not descend from whom it says")
    return ancestors_of(births)


def check_origin(offer: Offer, luggage: Luggage) -> None:
    """Return if the agent is who its id says: owner, program and home cannot be changed on the way.

    A child's id is that of its birth, which `descent` checks. Raises HopRefused or KeyInvalid.
    """
    born = luggage.program, luggage.nonce, luggage.home_key
    if luggage.births:
        last = luggage.births[-1]
        fits = born == (last.program, last.nonce, last.home)
    else:
        fits = _first_id(luggage.owner, *born) == offer.agent
    if not fits:
        raise HopRefused("the agent's id is not that of its owner, program and home")
    if luggage.program not in offer.programs:
        raise HopRefused("the image has none of the agent's program")


@lru_cache(FIRST_IDS_KEPT)
def _first_id(owner: bytes, program: bytes, nonce: bytes, home: bytes) -> bytes:
    """Return the id of an agent that nobody else started. Raises KeyInvalid."""
    return agent_id(public_key(owner), program, nonce, public_key(home))


def record_of(
    offer: Offer, luggage: Luggage, image: bytes, memory_max: int, now_ms: int
) -> AgentRecord:
    """Return the record with which the agent of an opened offer begins here."""
    return AgentRecord(
        id=offer.agent,
        name=luggage.name,
        owner=luggage.owner,
        home=luggage.home,
        program=luggage.program,
        nonce=luggage.nonce,
        created_ms=luggage.created_ms,
        memory_max=min(luggage.memory_max, memory_max),
        fuel_max=luggage.fuel_max,
        epoch=offer.epoch,
        state=State.PAUSED if luggage.paused else State.READY,
        reason=luggage.reason,
        since_ms=now_ms,
        image=image,
        tokens=list(offer.tokens),
        hop_count=luggage.hop_count + 1,
        log=luggage.log,
        log_dropped=luggage.log_dropped,
        wake_ms=luggage.wake_ms,
        session=luggage.session,
        fuel_owed=luggage.fuel_owed,
        births=luggage.births,
        home_key=luggage.home_key,
        denied_right=luggage.denied_right if luggage.paused else None,
        shortage=luggage.shortage if luggage.paused else None,
        asked=None if _is_pending(luggage.asked) else luggage.asked,
    )


def _is_pending(asked: Asked | None) -> bool:
    return asked is not None and asked.answer not in ("granted", "refused")
