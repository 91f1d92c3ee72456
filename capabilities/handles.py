"""A token as the node keeps it for who uses it: often asked, so what has been found stays found while it can.

Is:     a verified token, at this node and for one agent or none; and for which verbs and streams every block allows it.
Is not: an answer from before: time, revocations and budgets are looked at each time, and a refusal is always found anew.
Fits:   agents and sessions hold handles, never bytes; `authorize` decides what a handle does not know.

What a block says of verbs, streams, nodes and agents does not change, so that all blocks allow a verb on a stream is kept.
What may change is kept as bounds: the seconds between which every block holds, the age of our list of revocations that all
accept, and the generation of that list in which none was revoked.
"""

from __future__ import annotations

from collections.abc import Mapping

from capabilities.authorize import (
    Request,
    Revocations,
    attributes_of,
    authorize,
    check_times,
    check_use,
)
from capabilities.budget import Meter
from capabilities.caveats import Resource, Verb
from capabilities.keys import PublicKey
from capabilities.limits import HANDLE_STREAMS_MAX
from capabilities.patterns import AttributeFilter
from capabilities.verify import VerifiedToken

FREE: Mapping[Resource, int] = {}


class Handle:
    """The right to ask for what a token allows."""

    __slots__ = (
        "_agent",
        "_allowed",
        "_ancestors",
        "_at",
        "_fit",
        "_formerly",
        "_generation",
        "_meter",
        "_revoked",
        "_terms",
        "limited",
        "tip",
        "token",
    )

    def __init__(
        self,
        token: VerifiedToken,
        *,
        at: PublicKey,
        agent: bytes | None,
        revoked: Revocations,
        meter: Meter | None = None,
        formerly: PublicKey | None = None,
        ancestors: tuple[bytes, ...] = (),
    ) -> None:
        """Take a token; `at` is the node that executes what is asked for, `agent` the id of the agent that asks.

        `formerly` is the key that the node's key follows, if it was rotated; `ancestors` are the ids of the agents that
        the agent descends from: what is theirs is its, too, as far as a token was handed down.
        """
        self.token, self.tip = token, token.blocks[-1].id
        self._at, self._agent, self._revoked, self._meter = at, agent, revoked, meter
        self._formerly, self._ancestors = formerly, ancestors
        self._terms = terms = token.terms
        self.limited = terms.limited  # the resources that have a budget
        self._allowed: dict[str, int] = {}  # stream -> verbs
        self._generation = -1  # of the revocations, as of `_allowed`
        self._fit = -1  # the generation in which the token was good here

    def authorize(
        self,
        verb: Verb,
        stream: str,
        now_s: int,
        *,
        attributes: frozenset[str] | None = None,
        cost: Mapping[Resource, int] = FREE,
        revocation_age_s: int | None = None,
    ) -> bytes:
        """Return the id of the last block of the token, which allows this; see `Request`. Raises TokenRefused."""
        if (
            self._allowed.get(stream, 0) & verb._value_
            and self.holds(now_s)
            and self._generation == self._revoked.generation
            and not cost
            and (
                (most := self._terms.age_max) is None
                or (revocation_age_s is not None and revocation_age_s <= most)
            )
        ):
            return self.tip
        request = Request(
            verb=verb,
            stream=stream,
            at=self._at,
            formerly=self._formerly,
            agent=self._agent,
            ancestors=self._ancestors,
            now_s=now_s,
            attributes=attributes,
            cost=cost,
            revocation_age_s=revocation_age_s,
        )
        generation = self._revoked.generation
        authorize(self.token, request, revoked=self._revoked, meter=self._meter)
        if attributes is None or self.attributes is None:  # of all, and so of each
            self._keep(verb, stream, generation)
        return self.tip

    @property
    def is_for_here(self) -> bool:
        """Return whether all blocks let the token be used at this node."""
        here = {self._at, self._formerly}
        nodes = (caveats.at for _, caveats in self._terms.conditions)
        return all(at is None or here & at for at in nodes)

    def check_use(self, now_s: int) -> None:
        """Return if the token is good at this node now, whatever it allows and however old the list is. Raises TokenRefused."""
        generation = self._revoked.generation
        if self._fit == generation and self.holds(now_s):
            return
        check_use(self.token, self._asking(now_s), revoked=self._revoked)
        self._fit = generation

    def check_times(self, now_s: int) -> None:
        """Return if nothing of the token is revoked and its times hold, also if it is good at another node. Raises TokenRefused."""
        check_times(self.token, self._asking(now_s), revoked=self._revoked)

    def _asking(self, now_s: int) -> Request:
        """Return a request of which only who asks, where and when, is looked at."""
        return Request(
            verb=Verb.READ,
            stream="",
            at=self._at,
            formerly=self._formerly,
            agent=self._agent,
            ancestors=self._ancestors,
            now_s=now_s,
            revocation_age_s=0,
        )

    @property
    def attributes(self) -> AttributeFilter | None:
        """Return which attributes' facts may be seen or written; None for all."""
        return attributes_of(self.token)

    @property
    def asks_age(self) -> bool:
        """Return whether a block asks how old the list of revocations is; finding out takes a look at every node."""
        return self._terms.age_max is not None

    def holds(self, now_s: int) -> bool:
        """Return whether every block's times hold."""
        terms = self._terms
        return terms.from_s <= now_s <= terms.until_s

    def _keep(self, verb: Verb, stream: str, generation: int) -> None:
        """Note that every block allows a verb on a stream."""
        if generation != self._generation or len(self._allowed) >= HANDLE_STREAMS_MAX:
            self._allowed.clear()
            self._generation = generation
        self._allowed[stream] = self._allowed.get(stream, 0) | verb._value_
