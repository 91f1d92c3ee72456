"""Giving an agent from one node to another, exactly once: the rules, without bytes, clock or storage.

Is:     two state machines, `Source` (the node that gives) and `Target` (the node that takes), and their records.
Is not: what an offer carries, or checking it: that is the daemon's, who is told by `Verify`.
Fits:   the daemon carries out the actions of each step in their order; tests explore every order of events.
Source: presumed-nothing two-phase commit (Gray 1978) with the target as the one who decides; epochs as in fencing
        tokens (Gray and Cheriton, "Leases", 1989).

    source                                              target
    Persist(Given) ; Send(Offer) --------------------->  Verify -> Persist(Held)
    ... Given is durable ; Send(Go) ------------------>  ... Held is durable
    Send(Offer) ; Send(Go) <----------------- Send(Want)  of what it knows nothing of
    Persist(Gone) -> Drop  <---------------- Send(Own) ; Persist(Owned) ; Start
    Persist(Aborted) -> Resume  <-------- Send(Refuse) ; ... Refused is durable

The epoch in every record and message is the new one, that the target would own; the source owns the one before.

What always holds, whatever crashes, and whatever is lost, doubled, late or out of order:

I1  An effect of the agent is committed at most once: an epoch is started at one node, and there again only if a crash
    has undone all it did there.
I2  From every state that can come about, if nothing crashes any more, the agent can get to its end: never lost,
    never stuck. Exceptions need a person: a node that never comes back, or has forgotten (`forgotten`).
I3  At most one node's disk says that it owns the agent. None does from when the source wrote Gone until the target
    has written Owned; then the target's says that it holds it.
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

Both sides write at the same time, so one wait for the disk is on the way: when Go comes, Held is durable or nearly. The
target starts then, and Owned follows with whatever is written next. A crash in between undoes all that the agent did,
since Owned is durable before any of it; and the target knows that it may have said Own, and that the source may be
gone, for what is held in a restarted node (`Target.asking`) is in doubt:

- It is not taken, refused or forgotten by the target itself, nor for a CancelOffer: only the source knows. The target
  asks it (Ask) until it is answered, by Go or by Void. A Go that is late says the same as one that is new: Given was
  durable, and the source has not been refused.
- The source answers Go when Given or Gone of that attempt is durable. It answers Void when it knows nothing of it, so
  Given never was and no Go was sent, or a later journey stands in its place, which started here or was brought by
  someone who had Owned; or when it took the agent back by force. Void is never taken back. It is silent while it
  writes, and about what it may have forgotten.
- An offer of a higher epoch that is found good ends the doubt: this node never gave away the epoch that it holds, so
  somebody else owned that. Other offers are left for their repetition.

What is held and not in doubt may be refused, and given up without a word: no Own was said, so the source says Go again, and
hears that the offer is wanted.

What the daemon owes. Records are made durable in the order of their Persist and Release actions, and all that an agent
does from its Start on after its Owned; only a Refused may pass an Owned that nobody waits for, and a Held a Gone. Several
may be one transaction. Offer, image and tokens become durable with Given at the source and with Held, or else Owned, at the
target; what came with Held stays as long as that record, and then belongs to Owned. It is not an agent of the node
before. `Persisted` comes only after the disk has it. A node keeps one record of each `slot`, a later one in place of
the earlier. An attempt's number is never used again, not even after a crash (`new_attempt`). With Persist(Owned) an
unfinished `Source` of no higher epoch at the same node is over. A target is told `Lives` with each Resume, and at a restart
where the agent runs. `Force` of a source comes only while the agent is not on its way back (`Target.expecting`); with
Persist(Reclaimed) its target is `living` at the epoch that will run. A node that forgets what it knew of an agent remembers
the latest attempt that was in it (`latest_attempt`), and is silent about all up to there; it forgets nothing of an agent
that it holds.

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
    Ask,
    CancelOffer,
    Go,
    HandOff,
    Offer,
    Own,
    Refuse,
    Void,
    Want,
)
from protocol.records import (
    ATTEMPT_MAX,
    EPOCH_MAX,
    Aborted,
    Given,
    Gone,
    Held,
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
    "Decline",
    "Drop",
    "Event",
    "Force",
    "Given",
    "Gone",
    "Held",
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
    "answer_ask",
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
LIVES = ("agent/state", "the agent runs here already")
VOID = ("handoff/void", "the source has not given the agent away")
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


class Retry(msgspec.Struct, frozen=True):
    """Some time has passed without an answer."""


class Withdraw(msgspec.Struct, frozen=True):
    """Source: stop trying, if the target has not taken the agent already."""


class Force(msgspec.Struct, frozen=True):
    """A person says that the other side is gone for good. The agent may be running there: that is recorded."""


class Verified(msgspec.Struct, frozen=True):
    """Target: the answer to `Verify`."""

    ok: bool
    code: str = ""
    reason: str = ""


class Interrupted(msgspec.Struct, frozen=True):
    """Target: `Verify` came to no verdict, as when the source is gone, or what is held is in the way.

    The offer may come again.
    """


class Decline(msgspec.Struct, frozen=True):
    """Target: this node no longer wants what it holds, if it still only holds it."""

    code: str
    reason: str


class Lives(msgspec.Struct, frozen=True):
    """Target: the agent runs here again, at an epoch. What may still come of it is a second one.

    There is such a one only after a `Force`, or where another node breaks the rules.
    """

    epoch: int


Event = Persisted | Received | Retry | Withdraw | Force | Verified | Interrupted | Decline | Lives


class Persist(msgspec.Struct, frozen=True):
    """Make durable, then tell with `Persisted`; with `later` nobody waits for it."""

    record: Record
    later: bool = False


class Release(msgspec.Struct, frozen=True):
    """Delete the record of what is no longer held, with what came with it, if it stands; nobody waits for it."""

    held: Held


class Send(msgspec.Struct, frozen=True):
    """Send a message of a kind; `message` makes it, but for an Offer, which `offer` makes of what the caller keeps."""

    kind: type[HandOff]
    to: bytes  # node key; empty where the caller never told one
    agent: bytes
    epoch: int
    attempt: int
    code: str = ""
    reason: str = ""

    def message(self) -> HandOff:
        """Return the message. Not for an Offer."""
        attempt = attempt_bytes(self.attempt)
        if self.kind is Refuse:
            return Refuse(self.agent, self.epoch, attempt, self.code, self.reason)
        assert self.kind is not Offer, self.kind
        kind: type[Go | Own | CancelOffer | Ask | Void | Want] = self.kind  # type: ignore[assignment]  # those left
        return kind(self.agent, self.epoch, attempt)

    def offer(
        self, *, digest: bytes, programs: tuple[bytes, ...], tokens: tuple[bytes, ...], body: bytes
    ) -> Offer:
        """Return the message of an Offer."""
        assert self.kind is Offer, self.kind
        attempt = attempt_bytes(self.attempt)
        return Offer(self.agent, self.epoch, attempt, digest, programs, tokens, body)


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
    """Run the agent of the offer that was held; what it does becomes durable after its Owned."""

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
        agent: bytes, epoch_now: int, target: bytes, attempt: int
    ) -> tuple[Source, list[Action]]:
        """Offer a frozen agent that this node owns at `epoch_now`. From here on it does not run."""
        assert len(agent) == AGENT_BYTES, len(agent)
        assert 0 <= epoch_now < EPOCH_MAX, epoch_now
        assert 0 <= attempt <= ATTEMPT_MAX, attempt
        given = Given(agent, epoch_now + 1, target, attempt)
        source = Source(given, durable=False)
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
        if isinstance(message, Ask):
            given_away = self.durable and isinstance(self.writing, Gone | None)
            return self, [self._send(Go)] if given_away else []
        if not self.durable or self.writing is not None:
            return self, []
        match message:
            case Own():
                return self._ending(Gone(*journey))
            case Refuse(code=code, reason=reason):
                return self._ending(Aborted(*journey, code, reason))
            case Want() if not self.withdrawn:
                return self, [self._send(Offer), self._send(Go)]
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
        return Send(kind, given.target, given.agent, given.epoch, given.attempt)


def _after(end: Record) -> Action:
    """Return what the source does once its end is durable."""
    match end:
        case Aborted():
            return Resume(end.agent, end.epoch - 1, end.code, end.reason)
        case Reclaimed():
            return Resume(end.agent, reclaimed_epoch(end), *FORCED)
        case _:
            return Drop(end.agent, end.epoch - 1)


def answer_ask(
    ask: Ask,
    peer: bytes,
    records: Iterable[Record],
    under_way: Source | None = None,
    forgotten: int = NOTHING_FORGOTTEN,
) -> Send | None:
    """Return what a node answers who holds an attempt; None while it is not settled, or if it may have been forgotten.

    `records`: the node's of the agent. `under_way`: what the node is giving just now.
    """
    if under_way is not None and under_way.concerns(ask, peer):
        _, actions = under_way.step(Received(ask, peer))
        return next((action for action in actions if isinstance(action, Send)), None)
    attempt = _attempt(ask)
    kind: type[Go | Void] | None = None if attempt <= forgotten else Void
    for record in records:
        if isinstance(record, Given | Aborted | Gone | Reclaimed) and (
            (record.epoch, record.target, record.attempt) == (ask.epoch, peer, attempt)
        ):
            kind = Go if isinstance(record, Given | Gone) else Void
    return None if kind is None else Send(kind, peer, ask.agent, ask.epoch, attempt)


# -- the side that takes --


class _Pending(msgspec.Struct, frozen=True):
    """What is under way for one attempt; there is one at a time, and others are left for their repetition."""

    held: Held  # the attempt
    record: Held | Owned | Refused | None  # on its way to the disk; None while the offer is checked
    go: bool = False
    # Stronger than `go`: to refuse is always safe before the start.
    refusal: tuple[str, str] | None = None  # code and reason


class Target(msgspec.Struct, frozen=True):
    """What one node knows of one agent that others offer it. A value: `step` returns the next one."""

    agent: bytes
    epoch: int = -1  # the highest this node has ever owned
    taken: tuple[
        tuple[bytes, int, int], ...
    ] = ()  # source, epoch, attempt; the last of each source
    forgotten: int = (
        NOTHING_FORGOTTEN  # up to this attempt the node may have known more than it does
    )
    held: Held | None = None  # is durable
    asking: bool = False  # what is held is from an earlier life: only the source knows whose it is
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

        `epoch` is that of an agent that lives here. Starts nothing: whether it runs here, `running` tells. With
        `asking`, a Retry asks.
        """
        kept = list(records)
        assert len({record.agent for record in kept}) == 1, kept
        target = Target(kept[0].agent, max(epoch, _highest(kept)), forgotten=forgotten)
        for record in kept:
            match record:
                case Owned():
                    target = target._with_taken(record)
                case Refused():
                    target = target._with_refused(record)
                case Held():
                    target = replace(target, held=record, asking=True)
        return target._pruned()

    @property
    def expecting(self) -> bool:
        """Whether the agent may be here soon, or is and this node does not know."""
        return self.pending is not None or self.asking

    def living(self, epoch: int) -> Target:
        """Return the same, of a node where the agent lives at an epoch."""
        return self if epoch <= self.epoch else replace(self, epoch=epoch)._pruned()

    def step(self, event: Event) -> tuple[Target, list[Action]]:
        """Return what follows an event. What is settled is answered again; the rest changes nothing."""
        match event:
            case Received(message, peer) if message.agent == self.agent:
                return self._received(message, b"" if peer is None else peer)
            case Verified() if self.pending is not None and self.pending.record is None:
                return self._verified(self.pending, event)
            case Interrupted() if self.pending is not None and self.pending.record is None:
                return self._interrupted(self.pending)
            case Persisted(record) if self.pending is not None and record == self.pending.record:
                return self._persisted(self.pending)
            case Lives(epoch):
                return self.living(epoch)._crowded_out()
            case _ if self.held is not None and self.pending is None:
                return self._while_held(self.held, event)
            case _:
                return self, []

    def _crowded_out(self) -> tuple[Target, list[Action]]:
        """Give up what has been offered of an agent that runs here, whatever is in doubt; there are two of it already."""
        pending = None if self.pending is None else replace(self.pending, refusal=LIVES)
        actions: list[Action] = [] if self.held is None else [Release(self.held)]
        return replace(self, held=None, asking=False, pending=pending), actions

    def _while_held(self, held: Held, event: Event) -> tuple[Target, list[Action]]:
        match event:
            case Interrupted() if not self.asking:
                return replace(self, held=None), [Release(held)]
            case Decline(code, reason) if not self.asking:
                return self._refuse(held, code, reason)
            case Retry() if self.asking:
                return self, [_answer(Ask, held)]
            case Force() if self.asking:
                return self._take(held)
            case _:
                return self, []

    def _received(self, message: HandOff, peer: bytes) -> tuple[Target, list[Action]]:
        if not isinstance(message, Offer | Go | CancelOffer | Void):
            return self, []
        asked = Held(self.agent, message.epoch, peer, _attempt(message))
        settled = self._settled(asked)
        if settled is not None:
            return self, [settled]
        if asked.epoch <= self.epoch:
            return self, []  # too late: whoever owned the epoch before has had its answer
        if self.pending is not None:
            return self._while_pending(self.pending, asked, message), []
        if asked.attempt <= self.forgotten and asked != self.held:
            return self, []  # it may have been taken, or refused
        if self.asking and not self._ends_doubt(asked, message):
            return self, []
        match message:
            case Offer() if asked != self.held:
                # A hold of another attempt stays until this one has been checked, and then makes room.
                return replace(self, pending=_Pending(asked, None)), [Verify(message)]
            case Go() if asked == self.held:
                return self._start(asked)
            case Go():
                return self, [_answer(Want, asked)]
            case CancelOffer():
                return self._refuse(asked, *CANCELLED)
            case Void() if asked == self.held:
                return self._refuse(asked, *VOID)
            case _:
                return self, []

    def _ends_doubt(self, asked: Held, message: HandOff) -> bool:
        """Return whether a message tells, or may tell, whose the agent is that an earlier life of this node held."""
        assert self.held is not None, "that is what is in doubt"
        match message:
            case Offer():
                return asked.epoch > self.held.epoch
            case Go():
                return asked == self.held or asked.epoch > self.held.epoch
            case Void():
                return asked == self.held
            case _:
                return asked != self.held

    def _while_pending(self, pending: _Pending, asked: Held, message: HandOff) -> Target:
        """Remember what comes while the disk or the check is awaited, if it concerns the same attempt."""
        if asked != pending.held:
            return self
        match message:
            case Go():
                return replace(self, pending=replace(pending, go=True))
            case CancelOffer() | Void():
                return replace(self, pending=replace(pending, refusal=CANCELLED))
            case _:
                return self

    def _verified(self, pending: _Pending, verdict: Verified) -> tuple[Target, list[Action]]:
        if verdict.ok:
            return self._found_good(pending)
        code, reason = pending.refusal or (verdict.code, verdict.reason)
        return self._refuse(pending.held, code, reason)

    def _found_good(self, pending: _Pending) -> tuple[Target, list[Action]]:
        """Hold it; what was held until now makes room, also for one that is refused after all."""
        target = replace(self, held=None, asking=False)
        if pending.refusal is None and not pending.go:  # it takes the place of what was held
            written = replace(pending, record=pending.held)
            return replace(target, pending=written), [Persist(pending.held)]
        if pending.refusal is not None:
            target, actions = target._refuse(pending.held, *pending.refusal)
        else:
            target, actions = target._take(pending.held)
        return target, actions if self.held is None else [Release(self.held), *actions]

    def _interrupted(self, pending: _Pending) -> tuple[Target, list[Action]]:
        if pending.refusal is not None:
            return self._refuse(pending.held, *pending.refusal)
        return replace(self, pending=None), []

    def _persisted(self, pending: _Pending) -> tuple[Target, list[Action]]:
        match pending.record:
            case Held() as held:
                return replace(self, held=held, pending=None)._is_held(pending)
            case Owned() as owned:
                return self._taken(owned), [
                    _answer(Own, pending.held),
                    Start(owned.agent, owned.epoch),
                ]
            case Refused() as refused:
                target = replace(self, pending=None)._with_refused(refused)._pruned()
                return target, [_answer(Refuse, pending.held, refused.code, refused.reason)]
            case None:
                return self, []

    def _is_held(self, pending: _Pending) -> tuple[Target, list[Action]]:
        """Do what was asked for while the hold was on its way to the disk."""
        if pending.refusal is not None:
            return self._refuse(pending.held, *pending.refusal)
        return self._start(pending.held) if pending.go else (self, [])

    def _start(self, held: Held) -> tuple[Target, list[Action]]:
        """Take what is durably held, at once: a crash before Owned is durable asks the source."""
        owned = self._owned(held)
        return self._taken(owned), [
            _answer(Own, held),
            Persist(owned, later=True),
            Start(owned.agent, owned.epoch),
        ]

    def _take(self, held: Held) -> tuple[Target, list[Action]]:
        """Take what is not held durably, or by a person's word, once that is on the disk."""
        owned = self._owned(held)
        return replace(self, pending=_Pending(held, owned)), [Persist(owned)]

    def _owned(self, held: Held) -> Owned:
        others = tuple(visit for visit in self.taken if visit[0] != held.source)
        return Owned(held.agent, held.epoch, held.source, held.attempt, others[1 - TAKEN_MAX :])

    def _taken(self, owned: Owned) -> Target:
        return replace(self, epoch=owned.epoch, pending=None)._with_taken(owned)._pruned()

    def _refuse(self, asked: Held, code: str, reason: str) -> tuple[Target, list[Action]]:
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
        return replace(self, pending=_Pending(asked, refused)), [Persist(refused)]

    # -- memory --

    def _settled(self, asked: Held) -> Send | None:
        """Return the answer that stands already, if one does."""
        if (asked.source, asked.epoch, asked.attempt) in self.taken:
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

    def _pruned(self) -> Target:
        """Forget what is below the epoch, which refuses it by itself, and a hold that is settled."""
        target = replace(
            self,
            refused=tuple(refused for refused in self.refused if _epoch_max(refused) > self.epoch),
        )
        held = target.held
        if held is not None and (held.epoch <= self.epoch or target._settled(held) is not None):
            return replace(target, held=None, asking=False)
        return target


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
        case Held() | Refused():
            return -1


def _epoch_max(refused: Refused) -> int:
    return max(refused.epoch, refused.floor[0], *(epoch for epoch, _ in refused.earlier))


def _attempt(message: HandOff) -> int:
    return int.from_bytes(message.attempt, "big")


def _answer(kind: type[HandOff], asked: Held, code: str = "", reason: str = "") -> Send:
    return Send(kind, asked.source, asked.agent, asked.epoch, asked.attempt, code, reason)


def _short(text: str) -> str:
    """Return at most as much of a text as a message may carry."""
    return text.encode(errors="replace")[:TEXT_BYTES_MAX].decode(errors="ignore")
