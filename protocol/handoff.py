"""Giving an agent from one node to another, exactly once: the rules, without bytes, clock or storage.

Is:     two state machines, `Source` (the node that gives) and `Target` (the node that takes), and their records.
Is not: what an offer carries, or checking it: that is the daemon's, who is told by `Verify`.
Fits:   the daemon carries out the actions of each step in their order; tests explore every order of events.
Source: presumed-nothing two-phase commit (Gray 1978) with the target as the one who decides; epochs as in fencing
        tokens (Gray and Cheriton, "Leases", 1989).

    source                                              target
    Persist(Given) ; Send(Offer) --------------------->  Verify
    ... Given is durable ; Send(Go) ------------------>  Persist(Owned) ; Start
    Send(Offer that says Go) <--------------- Send(Want)  of what it knows nothing of
    Persist(Gone) -> Drop  <------------ ... Owned is durable ; Send(Own)
    Persist(Aborted) -> Resume  <----- ... Refused is durable ; Send(Refuse)

The epoch in every record and message is the new one, that the target would own; the source owns the one before.

What always holds, whatever crashes, and whatever is lost, doubled, late or out of order:

I1  An effect of the agent is committed at most once: an epoch is started once, and again, there or elsewhere, only if a
    crash has undone all it did.
I2  From every state that can come about, if nothing crashes any more, the agent can get to its end: never lost,
    never stuck. Exceptions need a person: a node that never comes back, or has forgotten (`forgotten`).
I3  At most one node's disk says that it owns the agent, and one has it: the source's from Given until Gone, the target's
    from Owned on, which is before.
I4  The epochs that a node owns grow.
I5  The fuel that is left never grows: an image carries what was used, and an offer no more than what was granted.
I6  What the target gets are the source's tokens, each with one block more, which can only narrow.

The first four are these state machines', and explored; I5 and I6 are about what an offer carries, and checked where it
is checked. A person's `Force` gives up the first three for one agent, and leaves a record that says so.

Why it holds. The source never runs again once it offers, unless the target has durably refused that attempt; the
target never takes an attempt it has refused, nor an epoch it has passed; it starts only after a Go, and the source
says Go only once it cannot forget. No waiting time makes anybody an owner. Each side answers every repetition of what
is settled, so who repeats itself gets to an end. The source repeats its Go alone: an Offer may be large, and the target
that has it needs no other. One that lacks it says so.

The agent goes on when the source's disk has been waited for, and no other. Owned follows with whatever the target writes
next, before anything that the agent does. A crash in between undoes all of that, and the target knows nothing of the
agent: so does one that held it, and was not told Go. The source has heard no Own, keeps it, and says Go again.

What the daemon owes. Records are made durable in the order of their Persist actions, and all that an agent does from its
Start on after its Owned; only a Refused may pass an Owned. Several may be one transaction. Offer, image and tokens become
durable with Given at the source and with Owned at the target. `Persisted` comes only after the disk has it. A node keeps
one record of each `slot`, a later one in place of the earlier. An attempt's number is never used again, not even after a
crash (`new_attempt`). With Persist(Owned) an unfinished `Source` of no higher epoch at the same node is over. A target is
told `Lives` with each Resume. `Force` of a source comes only while the agent is not on its way back (`Target.expecting`);
with Persist(Reclaimed) its target is `living` at the epoch that will run. A node that forgets what it knew of an agent
remembers the latest attempt that was in it (`latest_attempt`), and is silent about all up to there; it forgets nothing of
an agent that it holds. A Refused alone may be forgotten sooner, if none of its slot is on its way to the disk: what is
remembered of it, durable in the same transaction, is the latest attempt in it, for its source. From then on, and not before,
`Received` says so (`refused_to`), and the target is `without_refusal`.

For a node that keeps nothing (`forgets`) all is durable at once, and a crash is its end: the above holds among others as
long as it lives. What it had is lost with it, and where it had taken an agent and its Own is lost, too, it may be given the
same epoch once more.

A node that breaks these rules can keep an agent, or give it to two others. It cannot bring one that keeps them to run two
copies or to act twice at one epoch, whatever it says, and whatever is found good: that is explored, too, within bounds.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from protocol.limits import REFUSED_MAX, TAKEN_MAX, TEXT_BYTES_MAX
from protocol.messages import (
    AGENT_BYTES,
    ATTEMPT_BYTES,
    CancelOffer,
    Go,
    HandOff,
    Offer,
    Own,
    Refuse,
    Want,
)
from protocol.records import (
    ATTEMPT_MAX,
    EPOCH_MAX,
    Aborted,
    Given,
    Gone,
    Journey,
    Owned,
    Reclaimed,
    Record,
    Refused,
    decode,
    encode,
    slot,
)

__all__ = [
    "FORCED",
    "NOTHING_FORGOTTEN",
    "Aborted",
    "Attempt",
    "Drop",
    "Event",
    "Force",
    "Given",
    "Gone",
    "Interrupted",
    "Lives",
    "Owned",
    "Persist",
    "Persisted",
    "Received",
    "Reclaimed",
    "Record",
    "Refused",
    "Release",
    "Resume",
    "Retry",
    "Send",
    "Source",
    "Start",
    "Target",
    "Verified",
    "Verify",
    "Withdraw",
    "attempt_bytes",
    "attempt_ms",
    "decode",
    "encode",
    "latest_attempt",
    "new_attempt",
    "reclaimed_epoch",
    "running",
    "slot",
    "unfinished",
]

CANCELLED = ("handoff/cancelled", "the source withdrew its offer")
TOO_LATE = ("handoff/refused", "too many later offers of this node were refused to take it now")
LIVES = ("agent/state", "the agent runs here already")
FORCED = ("handoff/forced", "taken back by force; the target may run it, too")
NOTHING_FORGOTTEN = -1


# -- events and actions --


class Persisted(msgspec.Struct, frozen=True):
    """The record is on the disk."""

    record: Record


class Received(msgspec.Struct, frozen=True):
    """A message came.

    `peer` is the proven node key of its sender; a message of anyone but the other side of the hand-off is ignored.
    Leave it out only where the caller has compared it.
    """

    message: HandOff
    peer: bytes | None = None
    refused_to: int = NOTHING_FORGOTTEN  # to a target: up to this attempt of the peer it has refused more than it knows


class Retry(msgspec.Struct, frozen=True):
    """Source: some time has passed without an answer."""


class Withdraw(msgspec.Struct, frozen=True):
    """Source: stop trying, if the target has not taken the agent already."""


class Force(msgspec.Struct, frozen=True):
    """Source: a person says that the target is gone for good. The agent may be running there: that is recorded."""


class Verified(msgspec.Struct, frozen=True):
    """Target: the answer to `Verify`."""

    ok: bool
    code: str = ""
    reason: str = ""


class Interrupted(msgspec.Struct, frozen=True):
    """Target: `Verify` came to no verdict, as when the source is gone; or what is held is held no longer.

    The offer may come again.
    """


class Lives(msgspec.Struct, frozen=True):
    """Target: the agent runs here again, at an epoch. What may still come of it is a second one.

    There is such a one only after a `Force`, or where another node breaks the rules.
    """

    epoch: int


Event = Persisted | Received | Retry | Withdraw | Force | Verified | Interrupted | Lives


class Persist(msgspec.Struct, frozen=True):
    """Make durable, then tell with `Persisted`; with `later` it may go with what is written next."""

    record: Record
    later: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """One try of one node to give an agent away, as its target sees it."""

    agent: bytes
    epoch: int
    source: bytes  # node key
    attempt: int


class Release(msgspec.Struct, frozen=True):
    """Forget what came with an offer that is held no longer."""

    held: Attempt


class Send(msgspec.Struct, frozen=True):
    """Send a message of a kind; `message` makes it, but for an Offer, which `offer` makes of what the caller keeps."""

    kind: type[HandOff]
    to: bytes  # node key; empty where the caller never told one
    agent: bytes
    epoch: int
    attempt: int
    code: str = ""
    reason: str = ""
    given: bool = False  # of an Offer: that it says Go as well

    def message(self) -> HandOff:
        """Return the message. Not for an Offer."""
        attempt = attempt_bytes(self.attempt)
        if self.kind is Refuse:
            return Refuse(self.agent, self.epoch, attempt, self.code, self.reason)
        assert self.kind is not Offer, self.kind
        kind: type[Go | Own | CancelOffer | Want] = self.kind  # type: ignore[assignment]  # those left
        return kind(self.agent, self.epoch, attempt)

    def offer(
        self, *, digest: bytes, programs: tuple[bytes, ...], tokens: tuple[bytes, ...], body: bytes
    ) -> Offer:
        """Return the message of an Offer."""
        assert self.kind is Offer, self.kind
        attempt = attempt_bytes(self.attempt)
        return Offer(self.agent, self.epoch, attempt, digest, programs, tokens, body, self.given)


class Verify(msgspec.Struct, frozen=True):
    """Check all that the offer carries, and that the agent does not run here; tell with `Verified`."""

    offer: Offer


class Resume(msgspec.Struct, frozen=True):
    """Run the agent again, as it was when it was frozen; the attempt is over."""

    agent: bytes
    epoch: int  # the one that it had; after `Force` one that is higher than the target's
    code: str
    reason: str


class Start(msgspec.Struct, frozen=True):
    """Run the agent of the offer; what it does becomes durable after its Owned."""

    agent: bytes
    epoch: int


class Drop(msgspec.Struct, frozen=True):
    """Forget image and tokens of this epoch (not of a later one, should the agent be back already)."""

    agent: bytes
    epoch: int


Action = Persist | Release | Send | Verify | Resume | Start | Drop


# -- the side that gives --

CHANCE_BYTES = 10


def new_attempt(now_ms: int, chance: bytes) -> int:
    """Return the number of a new attempt: it grows with the clock, and chance makes it unlike all others.

    Counting up from what a node remembers would not do: a crash forgets attempts whose offers are under way.
    """
    assert len(chance) == CHANCE_BYTES, len(chance)
    return (now_ms << 8 * CHANCE_BYTES | int.from_bytes(chance, "big")) & ATTEMPT_MAX


def attempt_ms(attempt: int) -> int:
    """Return when an attempt was made, by its source's clock, in milliseconds since 1970."""
    return attempt >> 8 * CHANCE_BYTES


def attempt_bytes(attempt: int) -> bytes:
    """Return an attempt as messages have it."""
    return attempt.to_bytes(ATTEMPT_BYTES, "big")


class Source(msgspec.Struct, frozen=True):
    """One attempt of giving one agent away. A value: `step` returns the next one."""

    given: Given
    durable: bool  # Given is on the disk
    withdrawn: bool = False
    writing: Aborted | Gone | Reclaimed | None = None  # the end, on its way to the disk
    over: bool = False

    @staticmethod
    def begin(
        agent: bytes, epoch_now: int, target: bytes, attempt: int, *, forgets: bool = False
    ) -> tuple[Source, list[Action]]:
        """Offer a frozen agent that this node owns at `epoch_now`. From here on it does not run.

        Of a node that `forgets` everything with a crash nothing has to be durable first.
        """
        assert len(agent) == AGENT_BYTES, len(agent)
        assert 0 <= epoch_now < EPOCH_MAX, epoch_now
        assert 0 <= attempt <= ATTEMPT_MAX, attempt
        given = Given(agent, epoch_now + 1, target, attempt)
        source = Source(given, durable=forgets)
        return source, [source._send(Offer), Persist(given)]

    @staticmethod
    def restart(record: Given) -> tuple[Source, list[Action]]:
        """Go on after a restart that found this record."""
        source = Source(record, durable=True)
        return source, source._ask()

    def step(self, event: Event) -> tuple[Source, list[Action]]:
        """Return what follows an event. What does not concern this attempt, or comes again, changes nothing."""
        match event:
            case Persisted(record) if record == self.given and not self.durable:
                source = replace(self, durable=True)
                return source, source._ask()
            case Persisted(record) if record == self.writing and not self.over:
                return replace(self, over=True), [_after(record)]
            case Received(message, peer) if self.concerns(message, peer):
                return self._received(message)
            case Retry() if self.writing is None:
                return self, self._ask()
            case Withdraw() if self.writing is None:
                source = replace(self, withdrawn=True)
                return source, source._ask()
            case Force() if self.writing is None:
                given = self.given
                return self._ending(
                    Reclaimed(given.agent, given.epoch, given.target, given.attempt)
                )
            case _:
                return self, []

    def _received(self, message: HandOff) -> tuple[Source, list[Action]]:
        """Take the target's answer, or question. An answer before Given is durable is left for its repetition."""
        given = self.given
        journey = (given.agent, given.epoch, given.target, given.attempt)
        if not self.durable or self.writing is not None:
            return self, []
        match message:
            case Own():
                return self._ending(Gone(*journey))
            case Refuse(code=code, reason=reason):
                return self._ending(Aborted(*journey, code, reason))
            case Want() if not self.withdrawn:
                return self, [self._send(Offer)]
            case _:
                return self, []

    def _ending(self, end: Aborted | Gone | Reclaimed) -> tuple[Source, list[Action]]:
        # Nobody waits for Gone: a source that forgets it says Go again, and hears the same.
        return replace(self, writing=end), [Persist(end, later=isinstance(end, Gone))]

    def _ask(self) -> list[Action]:
        """Return what asks for an answer; until Given is durable none counts, and what will be is its Go."""
        if not self.durable:
            return []
        return [self._send(CancelOffer if self.withdrawn else Go)]

    def concerns(self, message: HandOff, peer: bytes | None) -> bool:
        """Return whether a message is the target's, about this attempt."""
        given = self.given
        return (
            message.agent == given.agent
            and (message.epoch, _attempt(message)) == (given.epoch, given.attempt)
            and (peer is None or peer == given.target)
        )

    def _send(self, kind: type[HandOff]) -> Send:
        given = self.given
        says_go = kind is Offer and self.durable
        return Send(kind, given.target, given.agent, given.epoch, given.attempt, given=says_go)


def _after(end: Record) -> Action:
    """Return what the source does once its end is durable."""
    match end:
        case Aborted():
            return Resume(end.agent, end.epoch - 1, end.code, end.reason)
        case Reclaimed():
            return Resume(end.agent, reclaimed_epoch(end), *FORCED)
        case _:
            return Drop(end.agent, end.epoch - 1)


# -- the side that takes --


class _Pending(msgspec.Struct, frozen=True):
    """What is under way for one attempt; there is one at a time, and others are left for their repetition."""

    attempt: Attempt
    refused: Refused | None = None  # on its way to the disk; None while the offer is checked
    go: bool = False
    # Stronger than `go`: to refuse is always safe before the start.
    refusal: tuple[str, str] | None = None  # code and reason


class Target(msgspec.Struct, frozen=True):
    """What one node knows of one agent that others offer it. A value: `step` returns the next one."""

    agent: bytes
    epoch: int = -1  # the highest this node has ever owned
    lasting: int = -1  # the highest of those it took whose Owned is on the disk
    taken: tuple[
        tuple[bytes, int, int], ...
    ] = ()  # source, epoch, attempt; the last of each source
    forgotten: int = (
        NOTHING_FORGOTTEN  # up to this attempt the node may have known more than it does
    )
    held: Attempt | None = None  # was found good; only in memory
    refused: tuple[Refused, ...] = ()  # at most one of each source
    pending: _Pending | None = None

    @staticmethod
    def fresh(agent: bytes, epoch: int = -1, forgotten: int = NOTHING_FORGOTTEN) -> Target:
        """Return what a node without records knows; `epoch` is that of an agent that lives here."""
        return Target(agent, epoch, forgotten=forgotten)

    @staticmethod
    def restart(
        records: Iterable[Record], epoch: int = -1, forgotten: int = NOTHING_FORGOTTEN
    ) -> Target:
        """Return what the node's records of one agent say, in any order; at least one.

        `epoch` is that of an agent that lives here. Starts nothing: whether it runs here, `running` tells.
        """
        kept = list(records)
        assert len({record.agent for record in kept}) == 1, kept
        target = Target(kept[0].agent, max(epoch, _highest(kept)), forgotten=forgotten)
        for record in kept:
            match record:
                case Owned():
                    target = replace(target, lasting=record.epoch)._with_taken(record)
                case Refused():
                    target = target._with_refused(record)
        return target._pruned()

    @property
    def is_fresh(self) -> bool:
        """Return whether nothing is known but an epoch."""
        return not (self.pending or self.held or self.taken or self.refused) and self.lasting < 0

    @property
    def expecting(self) -> bool:
        """Whether an offer is being checked or refused: the agent may be here soon."""
        return self.pending is not None

    def has_taken(self, offer: Offer, peer: bytes | None) -> bool:
        """Return whether an offer is one that was taken, though that may not last yet."""
        return (peer, offer.epoch, _attempt(offer)) in self.taken

    def living(self, epoch: int) -> Target:
        """Return the same, of a node where the agent lives at an epoch."""
        return self if epoch <= self.epoch else replace(self, epoch=epoch)._pruned()

    def step(self, event: Event) -> tuple[Target, list[Action]]:
        """Return what follows an event. What is settled is answered again; the rest changes nothing."""
        pending = self.pending
        match event:
            case Received(message, peer, refused_to) if message.agent == self.agent:
                return self._received(message, b"" if peer is None else peer, refused_to)
            case Persisted(Owned() as owned):
                return self._lasts(owned)
            case Persisted(record) if pending is not None and record == pending.refused:
                return self._refused(pending.refused)
            case Verified() if pending is not None and pending.refused is None:
                return self._verified(pending, event)
            case Interrupted() if pending is not None and pending.refused is None:
                return self._interrupted(pending)
            case Interrupted() if pending is None and self.held is not None:
                return replace(self, held=None), [Release(self.held)]
            case Lives(epoch):
                return self.living(epoch)._crowded_out()
            case _:
                return self, []

    def _crowded_out(self) -> tuple[Target, list[Action]]:
        """Give up what has been offered of an agent that runs here; there are two of it already."""
        pending = None if self.pending is None else replace(self.pending, refusal=LIVES)
        actions: list[Action] = [] if self.held is None else [Release(self.held)]
        return replace(self, held=None, pending=pending), actions

    def _received(
        self, message: HandOff, peer: bytes, refused_to: int
    ) -> tuple[Target, list[Action]]:
        if not isinstance(message, Offer | Go | CancelOffer):
            return self, []
        asked = Attempt(self.agent, message.epoch, peer, _attempt(message))
        settled = self._settled(asked)
        if settled is not None:
            return self, [settled]
        if asked.epoch <= self.epoch:
            return self, []  # too late, or too early: Own comes as soon as it lasts
        if self.pending is not None:
            return self._while_pending(self.pending, asked, message), []
        if asked.attempt <= self.forgotten:
            return self, []  # it may have been taken, or refused
        if asked.attempt <= refused_to and asked != self.held:
            return self, [_answer(Refuse, asked, *TOO_LATE)]  # it may have been, and was not taken
        match message:
            case Offer() if asked != self.held:
                # A hold of another attempt stays until this one has been checked, and then makes room.
                return replace(self, pending=_Pending(asked, go=message.given)), [Verify(message)]
            case Go() | Offer(given=True) if asked == self.held:
                return self._start(asked)
            case Go():
                return self, [_answer(Want, asked)]
            case CancelOffer():
                return self._refuse(asked, *CANCELLED)
            case _:
                return self, []

    def _while_pending(self, pending: _Pending, asked: Attempt, message: HandOff) -> Target:
        """Remember what comes while the check is awaited, if it concerns the same attempt."""
        if asked != pending.attempt:
            return self
        match message:
            case Go() | Offer(given=True):
                return replace(self, pending=replace(pending, go=True))
            case CancelOffer():
                return replace(self, pending=replace(pending, refusal=CANCELLED))
            case _:
                return self

    def _verified(self, pending: _Pending, verdict: Verified) -> tuple[Target, list[Action]]:
        if verdict.ok:
            return self._found_good(pending)
        code, reason = pending.refusal or (verdict.code, verdict.reason)
        return self._refuse(pending.attempt, code, reason)

    def _found_good(self, pending: _Pending) -> tuple[Target, list[Action]]:
        """Hold it; what was held until now makes room, also for one that is refused after all."""
        target = replace(self, held=pending.attempt, pending=None)
        actions: list[Action] = []
        if pending.refusal is not None:
            target, actions = target._refuse(pending.attempt, *pending.refusal)
        elif pending.go:
            target, actions = target._start(pending.attempt)
        return target, actions if self.held is None else [Release(self.held), *actions]

    def _interrupted(self, pending: _Pending) -> tuple[Target, list[Action]]:
        if pending.refusal is not None:
            return self._refuse(pending.attempt, *pending.refusal)
        return replace(self, pending=None), []

    def _start(self, held: Attempt) -> tuple[Target, list[Action]]:
        """Take what is held, at once: a crash before Owned is durable has undone it, and it will be offered again."""
        others = tuple(visit for visit in self.taken if visit[0] != held.source)
        owned = Owned(held.agent, held.epoch, held.source, held.attempt, others[1 - TAKEN_MAX :])
        target = replace(self, epoch=owned.epoch, held=None)._with_taken(owned)._pruned()
        return target, [Persist(owned, later=True), Start(owned.agent, owned.epoch)]

    def _lasts(self, owned: Owned) -> tuple[Target, list[Action]]:
        """Tell the source that the agent is this node's."""
        target = replace(self, lasting=max(self.lasting, owned.epoch))
        asked = Attempt(owned.agent, owned.epoch, owned.source, owned.attempt)
        own = target._settled(asked)
        return target, [] if own is None else [own]

    def _refuse(self, asked: Attempt, code: str, reason: str) -> tuple[Target, list[Action]]:
        earlier, floor = self._refused_journeys(asked.source)
        refused = Refused(
            asked.agent,
            asked.epoch,
            asked.source,
            asked.attempt,
            _short(code),
            _short(reason),
            earlier,
            floor,
        )
        held = None if self.held == asked else self.held
        return replace(self, held=held, pending=_Pending(asked, refused)), [Persist(refused)]

    def _refused(self, refused: Refused) -> tuple[Target, list[Action]]:
        """Tell the source that this attempt has failed."""
        asked = Attempt(refused.agent, refused.epoch, refused.source, refused.attempt)
        target = replace(self, pending=None)._with_refused(refused)._pruned()
        return target, [_answer(Refuse, asked, refused.code, refused.reason)]

    # -- memory --

    def _settled(self, asked: Attempt) -> Send | None:
        """Return the answer that stands already, if one does."""
        visit = (asked.source, asked.epoch, asked.attempt)
        if visit in self.taken and asked.epoch <= self.lasting:
            return _answer(Own, asked)
        journey = (asked.epoch, asked.attempt)
        for refused in self.refused:
            if refused.source != asked.source or asked.epoch <= self.epoch:
                continue
            if journey == (refused.epoch, refused.attempt):
                return _answer(Refuse, asked, refused.code, refused.reason)
            if journey in refused.earlier or journey <= refused.floor:
                return _answer(Refuse, asked, "handoff/refused", "this attempt was refused before")
        return None

    def _refused_journeys(self, source: bytes) -> tuple[tuple[Journey, ...], Journey]:
        """Return what the next refusal of a source must go on remembering.

        Beyond REFUSED_MAX the lowest are remembered as a floor: attempts grow, so what is below is not asked again.
        """
        for refused in self.refused:
            if refused.source == source:
                known = {*refused.earlier, (refused.epoch, refused.attempt)}
                journeys = sorted(pair for pair in known if pair[0] > self.epoch)
                floor = refused.floor
                while len(journeys) >= REFUSED_MAX:
                    floor = max(floor, journeys.pop(0))
                return tuple(journeys), floor
        return (), (0, 0)

    def _with_taken(self, owned: Owned) -> Target:
        """Remember who gave it last, and each one's last before: who gives again waits for nothing earlier."""
        taken = (*owned.earlier, (owned.source, owned.epoch, owned.attempt))
        return replace(self, taken=taken)

    def _with_refused(self, refused: Refused) -> Target:
        others = tuple(other for other in self.refused if other.source != refused.source)
        return replace(self, refused=(*others, refused))

    def without_refusal(self, source: bytes, attempt: int) -> Target:
        """Return the same without the refusal of a source that tells of attempts up to one; see `Received.refused_to`."""
        refused = tuple(
            one for one in self.refused if one.source != source or latest_attempt([one]) > attempt
        )
        return replace(self, refused=refused)

    def _pruned(self) -> Target:
        """Forget refusals below the epoch, which refuses by itself."""
        refused = tuple(one for one in self.refused if _epoch_max(one) > self.epoch)
        return replace(self, refused=refused)


# -- after a restart --


def unfinished(records: Iterable[Record]) -> Given | None:
    """Return the attempt that a restarted node goes on with (`Source.restart`), of one agent's records."""
    kept = list(records)
    for record in kept:
        if isinstance(record, Given) and record.epoch > _highest(kept):
            return record
    return None


def running(records: Iterable[Record], *, born_here: bool = False) -> int | None:
    """Return the epoch at which the agent of these records runs on this node, or None.

    `born_here`: it was spawned on this node and so owned epoch 0 without a record.
    """
    kept = list(records)
    epoch = max(_highest(kept), 0 if born_here else -1)
    away = any(isinstance(record, Given | Gone) and record.epoch > epoch for record in kept)
    return None if away or epoch < 0 else epoch


def latest_attempt(records: Iterable[Record]) -> int:
    """Return the highest attempt that records tell of: what a node that forgets them has to remember."""
    return max((attempt for record in records for attempt in _attempts(record)), default=-1)


def _attempts(record: Record) -> list[int]:
    match record:
        case Owned():
            return [record.attempt, *(attempt for _, _, attempt in record.earlier)]
        case Refused():
            journeys = (*record.earlier, record.floor)
            return [record.attempt, *(attempt for _, attempt in journeys)]
        case _:
            return [record.attempt]


def reclaimed_epoch(record: Reclaimed) -> int:
    """Return the epoch of an agent that was taken back: later than the one its target may own."""
    return record.epoch + 1


def _highest(records: list[Record]) -> int:
    return max((_owned_epoch(record) for record in records), default=-1)


def _owned_epoch(record: Record) -> int:
    """Return the highest epoch that a record proves this node has owned."""
    match record:
        case Owned():
            return record.epoch
        case Given() | Aborted() | Gone():
            return record.epoch - 1
        case Reclaimed():
            return reclaimed_epoch(record)
        case Refused():
            return -1


def _epoch_max(refused: Refused) -> int:
    return max(refused.epoch, refused.floor[0], *(epoch for epoch, _ in refused.earlier))


def _attempt(message: HandOff) -> int:
    return int.from_bytes(message.attempt, "big")


def _answer(kind: type[HandOff], asked: Attempt, code: str = "", reason: str = "") -> Send:
    return Send(kind, asked.source, asked.agent, asked.epoch, asked.attempt, code, reason)


def _short(text: str) -> str:
    """Return at most as much of a text as a message may carry."""
    return text.encode(errors="replace")[:TEXT_BYTES_MAX].decode(errors="ignore")
