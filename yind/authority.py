"""Who may do what on this node, decided from tokens and written down.

Is:     verification of presented tokens, the decision on every request, the list of revocations, and the audit
        stream, where every refusal and every allowed effect becomes a fact.
Is not: the token format (`capabilities`), nor any right by identity or place: no token, no right.
Fits:   `yind.effects` asks for agents, `yind.control` for people; decisions wait in memory until the next storage
        transaction of the node takes them along (`write_decisions`).

Resources are named by text: a stream is "node/name", a node itself (to spawn on it, to travel to it, to look at
its agents) is "node".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from capabilities.budget import Meter
from capabilities.caveats import Caveats, Verb
from capabilities.errors import CapabilityError, TokenRefused
from capabilities.handles import Handle
from capabilities.keys import PrivateKey, PublicKey
from capabilities.lineage import NO_LINEAGE
from capabilities.membership import Membership
from capabilities.revocation import Revocation, RevocationSet
from capabilities.tokens import Token
from capabilities.verify import (
    BlockCache,
    VerifiedChain,
    VerifiedToken,
    check_hop,
    verify,
    verify_chain,
)
from datomstore.batch import Batch
from datomstore.streams import Stream
from datomstore.value import Keyword, Map
from yind.agent import Agent
from yind.clock import Clock
from yind.errors import Denied

TABLE = "authority"
REVOCATIONS = b"revocations"
METER = b"meter"


class Decision(NamedTuple):
    """One answer to "may I?", before it is a fact."""

    who: str  # an agent's id, or the key of whoever asked
    verb: str
    resource: str
    allowed: bool
    reason: str
    block: bytes | None  # id of the block that decided
    at_ms: int


class Authority:
    """Decides for one node."""

    def __init__(
        self, *, roots: frozenset[PublicKey], key: PrivateKey, clock: Clock, audit: Stream
    ) -> None:
        self._roots = roots
        self._key = key
        self._lineage = NO_LINEAGE
        self._clock = clock
        self._audit = audit
        self._cache = BlockCache()
        self._meter = Meter()
        self.revoked = RevocationSet()
        self.revocation_age_s: Callable[[], int | None] = lambda: None  # how old it may be
        self._decisions: list[Decision] = []

    def load(self, batch: Batch) -> None:
        """Read what earlier runs of this node knew."""
        if (revocations := batch.get(TABLE, REVOCATIONS)) is not None:
            for statement in RevocationSet.decode(revocations):
                self.revoked.add(statement)
        if (meter := batch.get(TABLE, METER)) is not None:
            self._meter.load(meter)

    # -- keys --

    def follow(self, membership: Membership) -> None:
        """Take over which roots count now, and which keys stand for others."""
        over = self._roots - membership.roots
        self._roots = membership.roots
        if over or membership.lineage != self._lineage:
            self._lineage = membership.lineage
            self._cache = BlockCache()
            self.revoked.follow(membership.lineage, over)

    def become(self, key: PrivateKey) -> None:
        """Sign with another key from now on, which follows the one before."""
        self._key = key

    def concerns(self, revocation: Revocation, chain: VerifiedChain) -> bool:
        """Return whether a revocation takes back a block of a chain."""
        return revocation.concerns(chain, self._lineage)

    # -- tokens --

    def verify(self, data: bytes, presenter: PublicKey) -> VerifiedToken:
        """Return the verified token that `presenter` (an authenticated key) holds. Raises TokenInvalid."""
        return verify(
            data,
            roots=self._roots,
            presenter=presenter,
            cache=self._cache,
            lineage=self._lineage,
        )

    def verify_chain(self, data: bytes) -> VerifiedChain:
        """Return the blocks of a token, whoever shows it. Raises TokenInvalid."""
        return verify_chain(data, roots=self._roots, cache=self._cache, lineage=self._lineage)

    def handle(self, token: VerifiedToken, agent: bytes | None) -> Handle:
        """Return the handle of a token for an agent on this node, or for None for who is at the other end of a connection."""
        return Handle(
            token,
            at=self._key.public,
            agent=agent,
            revoked=self.revoked,
            meter=self._meter,
            formerly=self._lineage.predecessor(self._key.public),
        )

    def handle_own(self, data: bytes, agent: bytes) -> Handle:
        """Return the handle of an agent's token, which is bound to this node. Raises TokenInvalid."""
        return self.handle(self.verify(data, self._key.public), agent)

    def hand_on(self, data: bytes, verified: VerifiedToken, to: PublicKey, name: str) -> bytes:
        """Return a token of this node, bound to another one. Raises Denied when it may not go there."""
        try:
            check_hop(verified, to, self._lineage)
            return Token.from_bytes(data).append(self._key, to, Caveats()).to_bytes()
        except CapabilityError as error:
            right = f"migrate {name}"
            raise Denied(f"{right}: {error}", right=right) from error

    def revoke(self, revocation: Revocation) -> bool:
        """Take a revocation in and return whether it is new; it counts against tokens its signer may revoke."""
        return self.revoked.add(revocation)

    def revoked_block(self, token: VerifiedToken) -> int | None:
        """Return the index of the first revoked block of a token."""
        for index in range(len(token.blocks)):
            if self.revoked.revokes(token, index):
                return index
        return None

    # -- decisions --

    def allow_agent(self, agent: Agent, verb: Verb, resource: str) -> None:
        """Let an agent do something, or raise Denied; the decision is audited either way."""
        self.allow(agent.tokens, verb, resource, who=agent.text_id)

    def permits_agent(self, agent: Agent, verb: Verb, resource: str) -> bool:
        """Return whether an agent could do something, without an entry in the audit stream."""
        return self.permits(agent.tokens, verb, resource)

    def permits(self, tokens: Iterable[Handle], verb: Verb, resource: str) -> bool:
        """Return whether the tokens allow something, without an entry in the audit stream."""
        try:
            self._decide(tokens, verb, resource)
        except Denied:
            return False
        return True

    def allow(self, tokens: Iterable[Handle], verb: Verb, resource: str, *, who: str) -> None:
        """Return if one of the tokens allows it; raise Denied with the reason of the nearest one."""
        try:
            block = self._decide(tokens, verb, resource)
        except Denied as refusal:
            self._note(who, verb, resource, allowed=False, reason=str(refusal), block=None)
            raise
        self._note(who, verb, resource, allowed=True, reason="", block=block)

    def _decide(self, tokens: Iterable[Handle], verb: Verb, resource: str) -> bytes:
        """Return the id of the last block of the token that allows it. Raises Denied."""
        now_s, age_s = self._clock.now_ms() // 1000, self.revocation_age_s()
        refusals: list[Denied] = []
        for handle in tokens:
            try:
                return handle.authorize(verb, resource, now_s, revocation_age_s=age_s)
            except TokenRefused as refused:
                right = f"{verb_name(verb)} {resource}"
                revoked = refused.caveat == "revoked"
                refusals.append(Denied(f"{right}: {refused}", right=right, revoked=revoked))
        if not refusals:
            right = f"{verb_name(verb)} {resource}"
            raise Denied(f"{right}: no token was presented", right=right)
        raise next((refusal for refusal in refusals if refusal.revoked), refusals[-1])

    # -- audit --

    def refuse(self, who: str, verb: str, resource: str, reason: str) -> None:
        """Note a refusal that was decided elsewhere, such as a token that did not verify."""
        self._decisions.append(
            Decision(who, verb, resource, False, reason, None, self._clock.now_ms())
        )

    def _note(
        self,
        who: str,
        verb: Verb,
        resource: str,
        *,
        allowed: bool,
        reason: str,
        block: bytes | None,
    ) -> None:
        self._decisions.append(
            Decision(who, verb_name(verb), resource, allowed, reason, block, self._clock.now_ms())
        )

    @property
    def undecided_count(self) -> int:
        """Return how many decisions wait to be written."""
        return len(self._decisions)

    def write_decisions(self, batch: Batch) -> None:
        """Append the waiting decisions to the audit stream, in the storage transaction given."""
        decisions, self._decisions = self._decisions, []
        if decisions:
            batch.transact(self._audit, [_facts(decision) for decision in decisions])
        batch.put(TABLE, METER, self._meter.snapshot())

    def write_revocations(self, batch: Batch) -> None:
        """Make the list of revocations durable."""
        batch.put(TABLE, REVOCATIONS, self.revoked.encode())


def verb_name(verb: Verb) -> str:
    """Return the word people use for a verb."""
    return (verb.name or str(int(verb))).lower()


def _facts(decision: Decision) -> Map:
    facts: dict[Keyword, object] = {
        Keyword("audit/who"): decision.who,
        Keyword("audit/verb"): Keyword(decision.verb),
        Keyword("audit/resource"): decision.resource,
        Keyword("audit/allowed"): decision.allowed,
        Keyword("audit/at-ms"): decision.at_ms,
    }
    if decision.reason:
        facts[Keyword("audit/reason")] = decision.reason
    if decision.block is not None:
        facts[Keyword("audit/block")] = decision.block
    return Map(facts)
