"""May this token do that, here and now?

Is:     one decision: every block must allow it, and nothing must have revoked any of them.
Is not: verification of the token (`verify`), or a place where a clock is read.
Fits:   the daemon asks on every request and effect, at the moment of use, through a handle (`capabilities.handles`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.errors import TokenRefused
from capabilities.keys import PublicKey
from capabilities.patterns import AttributeFilter, allows_attribute, matches
from capabilities.verify import VerifiedChain, VerifiedToken

# Verbs about facts: a filter on attributes concerns these and no others.
ABOUT_FACTS = (
    Verb.READ
    | Verb.APPEND
    | Verb.RETRACT
    | Verb.HISTORY
    | Verb.SUBSCRIBE
    | Verb.QUERY
    | Verb.SCHEMA
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to do."""

    verb: Verb  # exactly one
    stream: str  # "node/name", or "node" for the node itself
    at: PublicKey  # the node that executes the request
    now_s: int
    agent: bytes | None = None  # the id of the agent that asks, if an agent asks
    ancestors: tuple[bytes, ...] = ()  # of that agent: who started it, and who started them
    # Without their colons: what is named of facts of which the others are filtered by `attributes_of`; None of all facts.
    attributes: frozenset[str] | None = None
    formerly: PublicKey | None = None  # the key that `at` follows: a token may name it still
    cost: Mapping[Resource, int] = msgspec.field(default_factory=dict)
    revocation_age_s: int | None = None  # how old our list of revocations may be; None is unknown

    def __post_init__(self) -> None:
        if self.verb._value_.bit_count() != 1:
            raise ValueError(f"{self.verb!r} is not one verb")
        if self.attributes and any(attribute.startswith(":") for attribute in self.attributes):
            raise ValueError(f"an attribute of {self.attributes!r} is written with its colon")
        if self.cost and min(self.cost.values()) < 0:
            raise ValueError(f"a cost is negative: {dict(self.cost)}")


class Authorized(NamedTuple):
    """The request is allowed."""

    block: bytes  # id of the last block, for the audit
    request: Request


ROOT_OVER = "is signed by a key that is no root of this cluster any more"


class Revocations(Protocol):
    """What knows whether a block has been revoked, such as `revocation.RevocationSet`."""

    @property
    def generation(self) -> int:
        """Return a number that is another whenever more may be revoked."""

    def first_revoked(self, chain: VerifiedChain) -> int | None:
        """Return the index of the first block that somebody entitled to it has revoked."""

    def is_over(self, root: PublicKey) -> bool:
        """Return whether the time of a root is over, so that what it signed counts as revoked."""


def attributes_of(token: VerifiedChain) -> AttributeFilter | None:
    """Return which attributes all blocks of a token allow; None for all."""
    blocks = tuple(
        (index, caveats.attrs)
        for index, caveats in token.terms.conditions
        if caveats.attrs is not None
    )
    return AttributeFilter(blocks) if blocks else None


def authorize(
    token: VerifiedToken,
    request: Request,
    *,
    revoked: Revocations,
    meter: Meter | None = None,
) -> Authorized:
    """Return that the token allows the request, its cost debited. Raises TokenRefused; then nothing was debited."""
    _check(token, request, revoked, _refusal)
    _debit(token, request, meter)
    return Authorized(token.blocks[-1].id, request)


def check_use(token: VerifiedToken, request: Request, *, revoked: Revocations) -> None:
    """Return if the token is good for who asks, there and then, whatever it lets them do. Raises TokenRefused."""
    _check(token, request, revoked, _unfit)


def check_times(token: VerifiedToken, request: Request, *, revoked: Revocations) -> None:
    """Return if nothing of the token is revoked and all its times hold, wherever it is good. Raises TokenRefused."""
    _check(token, request, revoked, _untimely)


def _check(
    token: VerifiedToken,
    request: Request,
    revoked: Revocations,
    refusal: Callable[[Caveats, Request], tuple[str, str] | None],
) -> None:
    gone = revoked.first_revoked(token)
    if gone is not None:
        why = ROOT_OVER if revoked.is_over(token.root) else "is revoked"
        raise TokenRefused(why, block=gone, caveat="revoked")
    for index, caveats in token.terms.conditions:
        refused = refusal(caveats, request)
        if refused is not None:
            caveat, message = refused
            raise TokenRefused(message, block=index, caveat=caveat)


def _untimely(caveats: Caveats, request: Request) -> tuple[str, str] | None:
    """Return which caveat does not allow a request then, and why; None if all do."""
    if caveats.exp is not None and request.now_s > caveats.exp:
        return "exp", f"expired {request.now_s - caveats.exp} s ago"
    if caveats.nbf is not None and request.now_s < caveats.nbf:
        return "nbf", f"holds only in {caveats.nbf - request.now_s} s"
    return None


def _unfit(caveats: Caveats, request: Request) -> tuple[str, str] | None:
    """Return the first caveat that does not allow a request there and then by whoever asks, and why; None if all do."""
    if (untimely := _untimely(caveats, request)) is not None:
        return untimely
    if caveats.revage is not None:
        age = request.revocation_age_s
        if age is None or age > caveats.revage:
            return "revage", f"asks for a list of revocations at most {caveats.revage} s old"
    if caveats.at is not None and not {request.at, request.formerly} & caveats.at:
        return "at", "does not hold on this node"
    if (
        caveats.agent is not None
        and request.agent != caveats.agent
        and caveats.agent not in request.ancestors
    ):
        return "agent", "belongs to another agent"
    return None


def _refusal(caveats: Caveats, request: Request) -> tuple[str, str] | None:
    """Return the first caveat that does not allow the request, and why; None if all do."""
    if (unfit := _unfit(caveats, request)) is not None:
        return unfit
    if caveats.rights is not None and not _covered(caveats.rights, request):
        return "rights", f"forbids {_what(request)}"
    if caveats.attrs is not None and request.verb & ABOUT_FACTS:
        if request.attributes is None:
            return "attrs", f"forbids {_what(request)} of all attributes"
        for attribute in sorted(request.attributes):
            if not allows_attribute(caveats.attrs, attribute):
                return "attrs", f"forbids {_what(request)}, attribute :{attribute}"
    return None


def _covered(rights: tuple[Rights, ...], request: Request) -> bool:
    """Return whether an entry has the verb and matches the stream."""
    verb = request.verb._value_  # an enumeration's own operators are slow
    return any(
        right.verbs._value_ & verb and matches(right.pattern, request.stream) for right in rights
    )


def _what(request: Request) -> str:
    kind = "stream" if "/" in request.stream else "node"
    return f"{(request.verb.name or '').lower()} on {kind} {request.stream}"


def _debit(token: VerifiedToken, request: Request, meter: Meter | None) -> None:
    if not request.cost:
        return
    if meter is not None:
        meter.debit(token, request.cost, request.agent)
        return
    for index, block in enumerate(token.blocks):
        # Without a meter a budget cannot be kept, so what it limits is not allowed.
        if any(
            amount and resource in (block.caveats.budget or {})
            for resource, amount in request.cost.items()
        ):
            raise TokenRefused("has a budget, and nothing counts it", block=index, caveat="budget")
