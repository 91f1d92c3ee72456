"""Who may do what on this node, decided from tokens and written down.

Is:     verification of presented tokens, the decision on every request, and the list of revocations.
Is not: the token format (`capabilities`), nor any right by identity or place: no token, no right.
Fits:   `yind.effects` asks for agents, `yind.control` for people; every decision goes to `yind.audit`.

Resources are named by text: a stream is "node/name", a node itself (to spawn on it, to travel to it, to look at
its agents) is "node".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from capabilities.authorize import ROOT_OVER
from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource, Verb
from capabilities.custody import hand_on, take_back
from capabilities.errors import CapabilityError, Shortage, TokenRefused
from capabilities.handles import FREE, Handle
from capabilities.journey import Leg, Receipt, check_legs
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import REVOCATION_SKEW_S, REVOCATIONS_RESERVED
from capabilities.lineage import NO_LINEAGE
from capabilities.membership import Membership
from capabilities.patterns import AttributeFilter
from capabilities.revocation import Revocation, RevocationSet, SignerRevocation
from capabilities.tokens import Token
from capabilities.verify import (
    BlockCache,
    Challenge,
    VerifiedChain,
    VerifiedToken,
    verify,
    verify_chain,
)
from datomstore.batch import Batch
from datomstore.errors import AttributeForbidden
from datomstore.value import Keyword
from yind.agent import Agent, State, ancestors_of
from yind.audit import FROM, RECEIPT, Audit, Decision
from yind.clock import Clock
from yind.errors import Denied
from yind.estates import Estates, Kin, Return, grant_of

NO_ATTRIBUTES: frozenset[str] = frozenset()
FRESH = "a list of revocations that is fresh enough"
HOLDING = "a token that holds"
MEMORY = "memory"  # what an agent lacks for which its tokens have not enough
METER_TABLE = "meter"  # block id -> its account

_GRANTED = Keyword("audit/granted")
_BUDGET, _NEEDED = Keyword("audit/budget"), Keyword("audit/needed")
_TO, _EPOCH, _STATE = Keyword("audit/to"), Keyword("audit/epoch"), Keyword("audit/state")

Facts = tuple[tuple[Keyword, object], ...]  # further ones of a decision


class Paid(NamedTuple):
    """What let something happen, and what that cost."""

    handle: Handle
    cost: Mapping[Resource, int]

    @property
    def only(self) -> AttributeFilter | None:
        """Return which attributes it may have to do with; None for all."""
        return self.handle.attributes


class Reserved(NamedTuple):
    """Fuel that was taken from a token for one slice."""

    handle: Handle
    amount: int


class Authority:
    """Decides for one node."""

    def __init__(
        self, *, roots: frozenset[PublicKey], key: PrivateKey, clock: Clock, audit: Audit
    ) -> None:
        self._roots = roots
        self._key = key
        self._former: PrivateKey | None = None
        self._lineage = NO_LINEAGE
        self._hosts: frozenset[bytes] = frozenset()
        self._clock = clock
        self.audit = audit
        self._cache = BlockCache()
        self._meter = Meter(key.public)
        self.estates = Estates(self, self._meter, audit, clock.now_ms)
        self.revoked = RevocationSet()
        self.revage: int | None = None  # how old the list may be for agents, as the operator says
        self.revocation_age_s: Callable[[], int | None] = lambda: None  # how old it may be

    def load(self, batch: Batch) -> None:
        """Read what earlier runs of this node knew."""
        self._meter.load(batch.scan(METER_TABLE))
        self.audit.load(batch)

    # -- keys --

    def follow(self, membership: Membership) -> None:
        """Take over which roots count now, and which keys stand for others."""
        over = self._roots - membership.roots
        self._roots, self._hosts = membership.roots, membership.hosts
        self._meter.follow(membership.lineage)
        if over or membership.lineage != self._lineage:
            self._lineage = membership.lineage
            self._cache = BlockCache()
            self.revoked.follow(membership.lineage, over)

    @property
    def key(self) -> PublicKey:
        """Return the node's key."""
        return self._key.public

    @property
    def origin(self) -> PublicKey:
        """Return the node's first key, which names it whatever key it has now."""
        return self.origin_of(self._key.public)

    def check_legs(self, token: VerifiedChain, agent: bytes, epoch: int) -> None:
        """Return if the hand-overs of an agent that a token tells of lead to an epoch, among nodes. Raises TokenRefused."""
        check_legs(token, agent, epoch, self._hosts, self._lineage)

    def origin_of(self, key: PublicKey) -> PublicKey:
        """Return the first key of whoever has a key now."""
        return self._lineage.origin(key)

    def become(self, key: PrivateKey, former: PrivateKey | None) -> None:
        """Be another key from now on, which follows the one before; the former one signs while both hold."""
        self._key, self._former = key, former

    def _signer(self, token: Token) -> PrivateKey:
        """Return the key that hands a token on: the one it names, so that who has not heard of a rotation accepts it."""
        former = self._former
        return former if former is not None and token.holder == former.public else self._key

    def concerns(self, revocation: Revocation | SignerRevocation, chain: VerifiedChain) -> bool:
        """Return whether a revocation takes back a block of a chain."""
        if isinstance(revocation, SignerRevocation):
            indexes = range(len(chain.blocks))
            return any(revocation.revokes(chain, index, self._lineage) for index in indexes)
        return revocation.concerns(chain, self._lineage)

    # -- tokens --

    def verify(
        self, data: bytes, presenter: PublicKey, challenge: bytes | None = None
    ) -> VerifiedToken:
        """Return the verified token of `presenter`, an authenticated key that holds it or has the holder's signature.

        Raises TokenInvalid.
        """
        asked = None if challenge is None else Challenge(self._key.public, challenge)
        return verify(
            data,
            roots=self._roots,
            presenter=presenter,
            cache=self._cache,
            challenge=asked,
            lineage=self._lineage,
        )

    def verify_chain(self, data: bytes) -> VerifiedChain:
        """Return the blocks of a token, whoever shows it. Raises TokenInvalid."""
        return verify_chain(data, roots=self._roots, cache=self._cache, lineage=self._lineage)

    def handle(
        self, token: VerifiedToken, agent: bytes | None, ancestors: tuple[bytes, ...] = ()
    ) -> Handle:
        """Return the handle of a token for an agent on this node, or for None for who is at the other end of a connection."""
        return Handle(
            token,
            at=self._key.public,
            agent=agent,
            revoked=self.revoked,
            meter=self._meter,
            formerly=self._lineage.predecessor(self._key.public),
            ancestors=ancestors,
        )

    def handle_own(self, data: bytes, agent: bytes, ancestors: tuple[bytes, ...] = ()) -> Handle:
        """Return the handle of an agent's token, which is bound to this node. Raises TokenInvalid."""
        return self.handle(self.verify(data, self._key.public), agent, ancestors)

    def narrowed_own(self, data: bytes, caveats: Caveats) -> bytes:
        """Return a token of this node, narrowed and still bound to it. Raises TokenInvalid or KeyInvalid."""
        return Token.from_bytes(data).append(self._key, self._key.public, caveats).to_bytes()

    # -- budgets --

    def hand_on(
        self, agent: Agent, to: PublicKey, name: str, *, state: bytes, epoch: int
    ) -> tuple[bytes, ...]:
        """Return an agent's tokens bound to another node, what is left of their budgets with them.

        It is away as soon as the agent's state is durable. The new blocks say which state of the agent goes with them,
        and at which epoch: who signed them gave just that away. Raises Denied when one may not go there; then nothing went.
        """
        self._free_memory(agent)
        made: list[bytes] = []
        try:
            for data in agent.record.tokens:
                token = self._token(data)
                handed = hand_on(
                    token,
                    self._signer(token),
                    to,
                    self._meter,
                    payer=agent.record.id,
                    lineage=self._lineage,
                    state=state,
                    epoch=epoch,
                )
                made.append(handed.to_bytes())
                self._cache.add_signed(handed, made[-1])
        except CapabilityError as error:
            self.take_back(agent, made)
            right = f"migrate {name}"
            self.refuse(agent.text_id, "migrate", name, str(error))
            raise Denied(f"{right}: {error}", right=right) from error
        return tuple(made)

    def take_back(self, agent: Agent, handed: Iterable[bytes]) -> None:
        """Take back tokens that `hand_on` made, and what went with them; once."""
        for data in handed:
            take_back(Token.from_bytes(data), self._meter, payer=agent.record.id)
        self.hold_memory(agent)

    def arrived(self, agent: Agent) -> None:
        """Set aside what comes back with an agent that had been here, and hold its memory: `settle_arrival` lets it out.

        It is this node's already, whatever has happened since it was offered: what it lacks now, it pauses for.
        """
        payer = _arrival(agent)
        for handle in self.handles_of(agent):
            if handle.limited:
                self._meter.arrive(handle.token, payer)
        self.stop_if_revoked(agent)
        self.hold_memory(agent, payer=payer)
        if agent.requested is State.PAUSED:
            self._begin_paused(agent)

    def _begin_paused(self, agent: Agent) -> None:
        """Let an agent that is asked to pause do so before its first turn here, so that its arrival lasts with that.

        One that comes paused stays so for what it was: it is asked again when it is let go on. What waits for a fresh list is
        let go on by nobody, and has heard what there is to hear.
        """
        record, right = agent.record, agent.requested_right
        if record.state is State.READY:
            agent.become(State.PAUSED, self._clock.now_ms(), agent.requested_reason)
            record.denied_right, record.shortage = right, agent.requested_shortage
        elif record.denied_right == FRESH:
            record.reason = agent.requested_reason
            record.denied_right, record.shortage = right, agent.requested_shortage
        elif right == MEMORY:  # which it is to hold before it goes on
            record.denied_right, record.shortage = right, agent.requested_shortage
        agent.requested = agent.requested_right = None

    def memory_for(self, tokens: Iterable[Handle], most: int) -> int:
        """Return how much memory there is for an agent that arrives with tokens, at most so much.

        Raises Denied if there is none, or no room to count what the tokens are worth here: later, nothing can be refused.
        """
        try:
            expected = [self._meter.expect(handle.token) for handle in tokens if handle.limited]
        except TokenRefused as error:
            raise Denied(f"budget: {error}", right="budget") from error
        limits = [one[Resource.MEM] for one in expected if Resource.MEM in one]
        if limits and not any(limits):
            raise Denied(f"{MEMORY}: no token has any left here", right=MEMORY)
        return min(most, max(limits, default=most))

    def endow(self, agent: Agent) -> None:
        """Set aside what the tokens of an agent that begins promise it, and hold its memory; it may use no more of it.

        To be called in an `attempt`. Raises Denied.
        """
        given = agent.tokens
        if (
            agent.record.births
        ):  # who starts it has handed all down, also what is good elsewhere, or no more
            given = [handle for handle in given if not self._is_refused(handle.check_times)]
        self._give(agent, given, agent.tokens, least=1)

    def let_go_on(self, agent: Agent, given: Sequence[Handle]) -> None:
        """Set aside what further tokens of a paused agent promise it, and hold the memory that it lacks, if it does.

        To be called in an `attempt`. Raises Denied.
        """
        lacks = agent.record.denied_right == MEMORY
        payers = [*self.handles_of(agent), *given] if lacks else []
        self._give(agent, given, payers, least=agent.record.memory_max)

    def _give(
        self, agent: Agent, given: Sequence[Handle], payers: Sequence[Handle], least: int
    ) -> None:
        self.fund(agent, given)
        self._hold(agent, payers, least, agent.record.id)

    def fund(self, agent: Agent, tokens: Sequence[Handle]) -> None:
        """Set aside what tokens that an agent is given promise it. To be called in an `attempt`.

        Raises Denied, also for a token that is revoked, or does not hold now: it could only keep others from what is left.
        """
        right = HOLDING
        try:
            for handle in tokens:
                handle.check_times(self._now_s())
            right = "budget"
            for handle in tokens:
                self._meter.fund(handle.token, agent.record.id)
        except TokenRefused as error:
            denied = Denied(f"{right}: {error}", right=right, shortage=error.shortage)
            raise self._noted(agent, "fund", denied) from error

    def replace(
        self,
        agent: Agent,
        old: Sequence[Handle],
        new: Sequence[Handle],
        kin: Kin,
    ) -> list[Return]:
        """Give back what old tokens of an agent have left, and set aside what new ones promise; see `finish`.

        Nothing goes back to a token that is no good any more: who renews that one, by what is left of it, would grant it
        twice. Its memory is held from what it has then; if that is not enough, it is to pause.

        To be called in an `attempt`. Raises Denied.
        """
        holds = agent.record.memory_held is not None or agent.record.denied_right == MEMORY
        self._free_memory(agent)  # which the new ones may promise
        self.fund(agent, new)
        good = [one for one in old if self._is_good(grant_of(one.token, agent.record.id))]
        returns = self.estates.replace(agent, good, kin)
        if holds:
            self.hold_memory(agent, [*(h for h in agent.tokens if h not in old), *new])
        return returns

    @contextmanager
    def attempt(self, agent: Agent) -> Iterator[None]:
        """Have an agent's budgets, memory and tokens as they were if a block raises in which they change.

        In it nothing else of the agent may become durable, unless the block then comes to its end.
        """
        record = agent.record
        mark = self._meter.mark(record.id)
        memory = record.memory_held, record.memory_max
        tokens = list(record.tokens), list(agent.tokens)
        asked = agent.requested
        try:
            yield
        except BaseException:
            self._meter.revert(record.id, mark)
            record.memory_held, record.memory_max = memory
            record.tokens, agent.tokens = tokens
            if asked is None and agent.requested_right == MEMORY:  # which it has again
                agent.requested = agent.requested_right = None
            raise

    def finish(self, agent: Agent, kin: Kin) -> list[Return]:
        """Give what an agent that has ended leaves to those it was taken from; return what other nodes are to have back."""
        try:
            self._free_memory(agent)
            return self.estates.end(agent, kin)
        except CapabilityError as error:  # not trusted any more: then nothing is theirs to give
            self.refuse(agent.text_id, "release", agent.record.home, str(error))
            return []

    def _is_good(self, chain: VerifiedChain) -> bool:
        """Return whether a token can still be used, as far as its times and revocations go."""
        now_s = self._now_s()
        over = bool(chain.blocks) and chain.blocks[-1].terms.until_s < now_s
        return not over and self.revoked_block(chain) is None

    def handles_of(self, agent: Agent) -> list[Handle]:
        """Return the handles of an agent's tokens, also of one that has not been restored."""
        if not agent.tokens:
            record = agent.record
            agent.tokens = [
                self.handle_own(data, record.id, ancestors_of(record.births))
                for data in record.tokens
            ]
        return agent.tokens

    def left(self, token: VerifiedChain) -> list[dict[Resource, int]]:
        """Return what each block of a token would still let through here."""
        return self._meter.left_of_blocks(token)

    def hold_memory(
        self, agent: Agent, tokens: Sequence[Handle] | None = None, payer: bytes | None = None
    ) -> None:
        """Reserve the memory of an agent that has a machine while it is here; if there is less, it is asked to pause."""
        record = agent.record
        try:
            payers = self.handles_of(agent) if tokens is None else tokens
            self._hold(agent, payers, record.memory_max, payer or record.id)
        except (CapabilityError, Denied) as error:
            agent.ask_to_stop(State.PAUSED, str(error), MEMORY, shortage=error.shortage)

    def _hold(self, agent: Agent, tokens: Sequence[Handle], least: int, payer: bytes) -> None:
        """Reserve an agent's memory, from the first of tokens that has so much; it may use no more. Raises Denied."""
        record = agent.record
        limited = _limiting(tokens, Resource.MEM)
        if not limited or record.memory_held is not None:
            return
        payers = [handle for handle in limited if not self._is_refused(handle.check_use)]
        if not payers:
            why = f"{MEMORY}: no token that limits it holds now"
            raise self._noted(agent, "hold", Denied(why, right=MEMORY))
        left = [self._meter.left(handle.token)[Resource.MEM] for handle in payers]
        first = next((i for i, most in enumerate(left) if most >= least), len(left) - 1)
        handle, amount = payers[first], min(record.memory_max, max(left[first], least))
        try:
            self._meter.debit(handle.token, {Resource.MEM: amount}, payer)
        except TokenRefused as error:
            denied = Denied(f"{MEMORY}: {error}", right=MEMORY, shortage=error.shortage)
            raise self._noted(agent, "hold", denied) from error
        record.memory_held, record.memory_max = (handle.tip, amount), amount

    def lend_memory(self, agent: Agent, amount: int) -> None:
        """Let an agent hold so much less memory that an amount of it can be set aside for a child; it may use no more then.

        To be called in an `attempt`. Where it has not so much, or need not, nothing changes.
        """
        record = agent.record
        if record.memory_held is None:
            return
        tip, held = record.memory_held
        payer = next((handle for handle in self.handles_of(agent) if handle.tip == tip), None)
        if payer is None:
            return
        missing = amount - self._meter.left(payer.token)[Resource.MEM]
        if 0 < missing < held:
            self._meter.refund(payer.token, {Resource.MEM: missing}, record.id)
            record.memory_held, record.memory_max = (tip, held - missing), held - missing

    def _free_memory(self, agent: Agent) -> None:
        held, agent.record.memory_held = agent.record.memory_held, None
        for handle in self.handles_of(agent) if held is not None else ():
            if held is not None and handle.tip == held[0]:
                self._meter.refund(handle.token, {Resource.MEM: held[1]}, agent.record.id)

    def _is_refused(self, check: Callable[[int], None]) -> bool:
        """Return whether a check of a handle refuses it now."""
        try:
            check(self._now_s())
        except TokenRefused:
            return True
        return False

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000

    def _payers(self, agent: Agent, resource: Resource) -> list[Handle]:
        return _limiting(self.handles_of(agent), resource)

    def reserve_fuel(self, agent: Agent, most: int) -> Reserved | None:
        """Take fuel for a slice before it runs; None if nothing limits it. Raises Denied when there is none left."""
        payers = self._payers(agent, Resource.FUEL)
        for handle in payers:
            owed = agent.record.fuel_owed
            good = not self._is_refused(handle.check_use)
            left = self._meter.left(handle.token)[Resource.FUEL] if good else 0
            amount = min(left, most + owed)
            try:
                self._meter.debit(handle.token, {Resource.FUEL: amount}, agent.record.id)
            except TokenRefused as error:
                denied = Denied(f"fuel: {error}", right="fuel", shortage=error.shortage)
                raise self._noted(agent, "compute", denied) from error
            agent.record.fuel_owed = max(0, owed - amount)
            if amount > owed:
                return Reserved(handle, amount - owed)
        if payers:
            denied = Denied("fuel: no token has any left", right="fuel", shortage=("fuel", 1))
            raise self._noted(agent, "compute", denied)
        return None

    def pay_fuel(self, agent: Agent, fuel: int) -> None:
        """Take the fuel of work that is done for an agent outside of a slice, before it is. Raises Denied."""
        reserved = self.reserve_fuel(agent, fuel)
        if reserved is not None and reserved.amount < fuel:
            why = f"fuel: this takes {fuel} at once"
            denied = Denied(why, right="fuel", shortage=("fuel", fuel))
            raise self._noted(agent, "compute", denied)

    def settle_fuel(self, agent: Agent, reserved: Reserved, used: int) -> None:
        """Give back the fuel that a slice did not use; what its last instruction took beyond is taken or owed."""
        token = reserved.handle.token
        if used <= reserved.amount:
            unused = {Resource.FUEL: reserved.amount - used}
            self._meter.refund(token, unused, agent.record.id)
            return
        over = used - reserved.amount
        taken = min(over, self._meter.left(token)[Resource.FUEL])
        self._meter.debit(token, {Resource.FUEL: taken}, agent.record.id)
        agent.record.fuel_owed += over - taken

    def settle(self, agent: Agent) -> None:
        """Let out what an agent spent: its state becomes durable in the transaction at hand."""
        self._meter.settle(agent.record.id)

    def settle_arrival(self, agent: Agent) -> None:
        """Let out what came with an agent, and nothing that it has spent since: its arrival becomes durable."""
        self._meter.settle(_arrival(agent))

    def revoke(self, revocation: Revocation | SignerRevocation) -> bool:
        """Take a revocation in and return whether it is new; it counts against tokens its signer may revoke.

        Raises TokenInvalid when the list is full. What others fill it with leaves room for those of roots.
        """
        reserve = 0 if self.is_root(revocation.revoker) else REVOCATIONS_RESERVED
        if isinstance(revocation, SignerRevocation):
            return self.revoked.add_signer(revocation, reserve=reserve)
        return self.revoked.add(revocation, reserve=reserve)

    def is_root(self, key: PublicKey) -> bool:
        """Return whether a key is a root's that counts now, or its successor."""
        return self._lineage.stands_among(key, self._roots)

    def note_revoked(self, one: Revocation | SignerRevocation) -> None:
        """Note that somebody revokes a block, or what a key has signed; the statement is signed by who may."""
        what = one.block_id.hex() if isinstance(one, Revocation) else one.signer.text
        self.accept(one.revoker.text, "revoke", what, "")

    def revoked_block(self, token: VerifiedChain) -> int | None:
        """Return the index of the first revoked block of a token."""
        return self.revoked.first_revoked(token)

    def stop_if_revoked(self, agent: Agent) -> bool:
        """Ask an agent that holds a revoked token to pause, also one that has not been restored; return whether it does.

        Who is about to stop for another reason does so for that one, and is asked when it is let go on.
        """
        if self.revoked.is_empty:
            return False
        for chain in self.chains_of(agent):
            block = self.revoked_block(chain)
            if block is not None:
                if agent.requested is None or agent.requested_right == FRESH:
                    reason, right = f"token revoked: block {block}", "a token that is not revoked"
                    if self.revoked.is_over(chain.root):
                        renew = f"yin token renew {agent.text_id}"
                        reason = f"token: block 0 {ROOT_OVER}; new ones are had by {renew}"
                        right = "a token of the cluster's root"
                    self.refuse(agent.text_id, "run", self.audit.node, reason)
                    agent.ask_to_stop(State.PAUSED, reason, right)
                return True
        return False

    def chains_of(self, agent: Agent) -> list[VerifiedChain]:
        """Return the blocks of an agent's tokens, which this node has verified when it got them; it may not have been restored."""
        if agent.tokens:
            return [handle.token for handle in agent.tokens]
        tokens = [self._token(data) for data in agent.record.tokens]
        return [VerifiedChain(token.root, token.blocks) for token in tokens]

    # -- decisions --

    def allow_agent(
        self,
        agent: Agent,
        verb: Verb,
        resource: str,
        cost: Mapping[Resource, int] = FREE,
        attributes: frozenset[str] | None = None,
    ) -> Paid:
        """Let an agent do something, or raise Denied; the decision is audited either way. `attributes`: see `allow`."""
        if self.is_stale():
            reason = f"{verb_name(verb)} {resource}: this node waits for {FRESH}"
            self.refuse(agent.text_id, verb_name(verb), resource, reason)
            raise Denied(reason, right=FRESH)
        return self.allow(
            agent.tokens, verb, resource, who=agent.text_id, cost=cost, attributes=attributes
        )

    def forget(self, now_s: int) -> list[bytes]:
        """Drop revocations and accounts of blocks that have ended so long ago that no clock lets them hold.

        Returns the places of those revocations.
        """
        self._meter.forget(now_s - REVOCATION_SKEW_S)
        return self.revoked.forget(now_s)

    def is_stale(self) -> bool:
        """Return whether the node's list of revocations is older than it lets agents rely on."""
        if self.revage is None:
            return False
        age_s = self.revocation_age_s()
        return age_s is None or age_s > self.revage

    def permits_agent(self, agent: Agent, verb: Verb, resource: str) -> bool:
        """Return whether an agent could do something, if not with all facts, without an entry in the audit stream."""
        return self.permits(agent.tokens, verb, resource)

    def permits(self, tokens: Iterable[Handle], verb: Verb, resource: str) -> bool:
        """Return whether the tokens allow something, if not with all facts, without an entry in the audit stream."""
        return self.permitted(tokens, verb, resource) is not None

    def permitted(self, tokens: Iterable[Handle], verb: Verb, resource: str) -> Paid | None:
        """Return which token allows something, if not with all facts, without an entry in the audit stream; None if none."""
        try:
            return self._decide(tokens, verb, resource, attributes=NO_ATTRIBUTES)
        except Denied:
            return None

    def allow(
        self,
        tokens: Iterable[Handle],
        verb: Verb,
        resource: str,
        *,
        who: str,
        cost: Mapping[Resource, int] = FREE,
        attributes: frozenset[str] | None = None,
    ) -> Paid:
        """Return how the token that allows it paid; raise Denied with the reason of the nearest one.

        `attributes` are those that are named of facts: then the caller shows and writes no others than `Paid.only` allows.
        Without, a token that is good for some attributes only does not help.
        """
        try:
            paid = self._decide(tokens, verb, resource, cost, attributes)
        except Denied as refusal:
            self._note_denied(who, verb, resource, refusal)
            raise
        self._note(who, verb, resource, by=paid.handle.token)
        return paid

    def charge(
        self,
        tokens: Iterable[Handle],
        verb: Verb,
        resource: str,
        *,
        who: str,
        cost: Mapping[Resource, int] = FREE,
        attributes: frozenset[str] | None = None,
        only: AttributeFilter | None = None,
    ) -> Paid:
        """Let what was allowed cost what it turned out to, or go on; only a refusal is a decision of its own. Raises Denied.

        `only` says which attributes were shown, where `attributes` were named: a token that shows less does not pay.
        """
        try:
            return self._charge(tokens, verb, resource, cost, attributes, only)
        except Denied as refusal:
            self._note_denied(who, verb, resource, refusal)
            raise

    def take(
        self,
        tokens: Iterable[Handle],
        verb: Verb,
        resource: str,
        cost: Mapping[Resource, int],
        attributes: frozenset[str] | None,
        only: AttributeFilter | None,
    ) -> Paid | None:
        """Do the same as `charge` without an entry in the audit stream; return None if it is not allowed."""
        try:
            return self._charge(tokens, verb, resource, cost, attributes, only)
        except Denied:
            return None

    def may_see(
        self, tokens: Iterable[Handle], resource: str, only: AttributeFilter | None
    ) -> bool:
        """Return whether the tokens let one see what a filter shows of a stream, without an entry in the audit stream."""
        return self.take(tokens, Verb.READ, resource, FREE, NO_ATTRIBUTES, only) is not None

    def _charge(
        self,
        tokens: Iterable[Handle],
        verb: Verb,
        resource: str,
        cost: Mapping[Resource, int],
        attributes: frozenset[str] | None,
        only: AttributeFilter | None,
    ) -> Paid:
        if attributes is not None:
            tokens = [handle for handle in tokens if _shows(handle.attributes, only)]
        return self._decide(tokens, verb, resource, cost, attributes)

    def name(
        self,
        named: frozenset[str],
        forbidden: AttributeForbidden,
        verb: Verb,
        resource: str,
        who: str,
    ) -> frozenset[str]:
        """Return what is to be asked for again, with an attribute that turned out to be named.

        Raises Denied if that was known, or there is no more to it.
        """
        attribute = str(forbidden.attribute).removeprefix(":")
        if attribute not in named and not attribute.startswith(":"):  # no pattern names such
            return named | {attribute}
        right = f"{verb_name(verb)} {resource}"
        reason = f"{right}: attribute :{attribute} of what is hidden"
        self.refuse(who, verb_name(verb), resource, reason)
        raise Denied(reason, right=right) from forbidden

    def refund(self, paid: Paid, payer: bytes | None) -> None:
        """Give back what was paid for something that did not happen."""
        self._meter.refund(paid.handle.token, paid.cost, payer)

    def _decide(
        self,
        tokens: Iterable[Handle],
        verb: Verb,
        resource: str,
        cost: Mapping[Resource, int] = FREE,
        attributes: frozenset[str] | None = None,
    ) -> Paid:
        """Return the token that allows it and what it paid. Raises Denied."""
        now_s = self._now_s()
        refusals: list[Denied] = []
        nearest: Denied | None = None  # of a token that is good for other attributes
        for handle in tokens:
            paid = {r: n for r, n in cost.items() if n and r in handle.limited} if cost else FREE
            try:
                handle.authorize(
                    verb,
                    resource,
                    now_s,
                    attributes=attributes,
                    cost=paid,
                    revocation_age_s=self.revocation_age_s() if handle.asks_age else None,
                )
                return Paid(handle, paid)
            except TokenRefused as refused:
                right = f"{verb_name(verb)} {resource}"
                revoked = refused.caveat == "revoked"
                why = f"{right}: {refused}"
                token, shortage = handle.token, refused.shortage
                refusals.append(
                    Denied(why, right=right, revoked=revoked, shortage=shortage, token=token)
                )
                if refused.caveat == "attrs":
                    nearest = refusals[-1]
        if not refusals:
            right = f"{verb_name(verb)} {resource}"
            raise Denied(f"{right}: no token was presented", right=right)
        revoked_one = next((refusal for refusal in refusals if refusal.revoked), None)
        raise revoked_one or nearest or refusals[-1]

    # -- audit --

    def refuse(
        self,
        who: str,
        verb: str,
        resource: str,
        reason: str,
        more: Facts = (),
        token: VerifiedChain | None = None,
    ) -> None:
        """Note a refusal that was decided elsewhere, such as a token that did not verify; `token` is what did not allow it."""
        block, now_ms = None, self._clock.now_ms()
        if token is not None:
            block, more = token.blocks[-1].id, (*more, *_granted(token))
        self.audit.note(Decision(who, verb, resource, False, reason, block, now_ms, more=more))

    def _token(self, data: bytes) -> Token:
        """Return a token whose bytes this node has verified, or made."""
        return self._cache.token(data) or Token.from_bytes(data)

    def expiry_s(self, tokens: Iterable[bytes]) -> int:
        """Return when the last of tokens that this node made expires, in seconds since 1970; 0 for none."""
        return max((self._token(data).blocks[-1].terms.until_s for data in tokens), default=0)

    def arrival(self, data: bytes, token: VerifiedChain, who: str, node: str) -> None:
        """Note who gave this node an agent, at which epoch and in which state, with the block that was signed as proof."""
        giver, last = token.blocks[-2].key, token.blocks[-1]
        leg = Leg(last.caveats.agent, last.key, last.caveats.epoch, last.caveats.state)
        more = (*_facts_of(giver, leg, Receipt.bytes_of(self._token(data))), *_granted(token))
        now_ms = self._clock.now_ms()
        self.audit.note(Decision(who, "arrive", node, True, "", last.id, now_ms, more=more))

    def forked(self, receipt: Receipt, who: str, node: str, reason: str) -> None:
        """Note that an agent is offered that went another way than the one this node has had, with the block that proves it."""
        more = _facts_of(receipt.giver, receipt.leg, receipt.to_bytes())
        self.refuse(who, "migrate", node, reason, more)

    def contradicted(self, who: str, offered: list[Receipt]) -> Receipt | None:
        """Return one of the receipts of an agent that is offered that one of its arrivals here contradicts, if any does."""
        for giver, data in self.audit.receipts(who):
            had = Receipt.from_bytes(data, PublicKey.parse(giver))
            for receipt in offered:
                if receipt.contradicts(had, self._lineage):
                    return receipt
        return None

    def giver(self, agent: Agent) -> PublicKey | None:
        """Return which node gave an agent to this one; None of an agent that began here."""
        if agent.arrival is not None:  # its receipt is not in the stream yet
            return agent.arrival.giver
        for giver, data in self.audit.receipts(agent.text_id):
            had = Receipt.from_bytes(data, PublicKey.parse(giver)).leg
            if (had.agent, had.epoch) == (agent.record.id, agent.record.epoch):
                return PublicKey.parse(giver)
        return None

    def accept(self, who: str, verb: str, resource: str, reason: str) -> None:
        """Note what was allowed for another reason than a token, such as a ticket."""
        self.audit.note(Decision(who, verb, resource, True, reason, None, self._clock.now_ms()))

    def _note(self, who: str, verb: Verb, resource: str, *, by: VerifiedChain) -> None:
        """Note what was allowed by a token."""
        now_ms, block = self._clock.now_ms(), by.blocks[-1].id
        self.audit.note(
            Decision(who, verb_name(verb), resource, True, "", block, now_ms, more=_granted(by))
        )

    def _noted(self, agent: Agent, what: str, denied: Denied) -> Denied:
        """Return why an agent gets no budget, which is noted."""
        self.refuse(agent.text_id, what, self.audit.node, str(denied), _lacking(denied.shortage))
        return denied

    def _note_denied(self, who: str, verb: Verb, resource: str, refusal: Denied) -> None:
        """Note why something was not allowed."""
        more, token = _lacking(refusal.shortage), refusal.token
        self.refuse(who, verb_name(verb), resource, str(refusal), more, token)

    def write_decisions(self, batch: Batch, *, brief: bool = False) -> None:
        """Write the waiting decisions and what was spent, in the storage transaction given; see `Audit.stage`."""
        self.audit.stage(batch, brief=brief)
        for block, row in self._meter.changed():
            if row is None:
                batch.delete(METER_TABLE, block)
            else:
                batch.put(METER_TABLE, block, row)

    def written(self) -> None:
        """Note that the last storage transaction of the node is durable."""
        self.audit.durable()
        self._meter.kept()

    def lost(self) -> None:
        """Note that the last storage transaction of the node has not happened."""
        self._meter.lost()


def _facts_of(giver: PublicKey, leg: Leg, receipt: bytes) -> Facts:
    """Return what the audit stream says of a hand-over."""
    facts = (
        (FROM, giver.text),
        (_TO, leg.taker.text),
        (_EPOCH, leg.epoch),
        (_STATE, leg.state),
        (RECEIPT, receipt),
    )
    return tuple(fact for fact in facts if fact[1] is not None)


def _lacking(shortage: Shortage | None) -> Facts:
    """Return what the audit stream says of a budget of which less was left than was needed."""
    return () if shortage is None else ((_BUDGET, Keyword(shortage[0])), (_NEEDED, shortage[1]))


def _granted(token: VerifiedChain) -> Facts:
    """Return what the audit stream says of the token that an agent was given, whose last block is not the agent's own.

    Every hop adds a block; this one stays, and is the last one of the token that whoever gave it has.
    """
    block = token.blocks[token.terms.granted]
    return () if block is token.blocks[-1] else ((_GRANTED, block.id),)


_WORDS = {int(verb): (verb.name or "").lower() for verb in Verb}


def narrowest(paid: Iterable[Paid]) -> AttributeFilter | None:
    """Return which attributes all tokens that let something happen allow; None for all."""
    found: AttributeFilter | None = None
    for one in paid:
        if one.only is not None:
            found = one.only if found is None else found & one.only
    return found


def _shows(own: AttributeFilter | None, only: AttributeFilter | None) -> bool:
    """Return whether a filter allows all that another does, as far as one can tell without knowing all attributes."""
    return own is None or (only is not None and only & own == only)


def verb_name(verb: Verb) -> str:
    """Return the word people use for a verb."""
    return _WORDS[verb._value_]  # an enumeration's own names are slow


def _limiting(tokens: Iterable[Handle], resource: Resource) -> list[Handle]:
    """Return the tokens that limit a resource at this node; what is good at others only does so there."""
    return [handle for handle in tokens if resource in handle.limited and handle.is_for_here]


def _arrival(agent: Agent) -> bytes:
    """Return who pays for what comes with an agent."""
    return b"arrival" + agent.record.id
