"""Mistakes put into the hand-off on purpose; the exploration must find every one.

Is:     for each a journey on which it shows, and the rules with the mistake in.
Is not: an excuse: a mistake that nobody finds is a hole in the exploration.
Fits:   `exploring` runs them; so do the tests.
"""

from __future__ import annotations

import msgspec
from explored import Journey, Outcome, Rules
from msgspec.structs import replace

from protocol.handoff import (
    Aborted,
    Action,
    Attempt,
    Event,
    Force,
    Owned,
    Persist,
    Received,
    Refused,
    Resume,
    Retry,
    Send,
    Source,
    Target,
    Verified,
    Withdraw,
)
from protocol.messages import Go, Own, Refuse, Want

TargetOutcome = tuple[Target, list[Action]]

# As they are without a mistake, also in a process that has got one.
_begin, _source_step, _target_step = Source.begin, Source.step, Target.step


class Mistake(msgspec.Struct, frozen=True):
    """Rules with something wrong, and a journey on which that shows."""

    rules: Rules
    journey: Journey


def _go_at_once(
    agent: bytes, epoch: int, target: bytes, attempt: int, *, forgets: bool = False
) -> Outcome:
    source, actions = _begin(agent, epoch, target, attempt, forgets=forgets)
    return source, [*actions, Send(Go, target, agent, epoch + 1, attempt)]


def _offer_says_go(
    agent: bytes, epoch: int, target: bytes, attempt: int, *, forgets: bool = False
) -> Outcome:
    source, actions = _begin(agent, epoch, target, attempt, forgets=forgets)
    return source, [
        replace(action, given=True) if isinstance(action, Send) else action for action in actions
    ]


def _reclaim_on_time_out(source: Source, event: Event) -> Outcome:
    if isinstance(event, Retry) and source.durable and source.writing is None:
        given = source.given
        record = Aborted(given.agent, given.epoch, given.target, given.attempt, "", "")
        return replace(source, writing=record), [Persist(record)]
    return _source_step(source, event)


def _reclaim_when_withdrawn(source: Source, event: Event) -> Outcome:
    if isinstance(event, Withdraw):
        return source, [Resume(source.given.agent, source.given.epoch - 1, "", "")]
    return _source_step(source, event)


def _resume_before_durable(source: Source, event: Event) -> Outcome:
    after, actions = _source_step(source, event)
    early: list[Action] = [
        Resume(action.record.agent, action.record.epoch - 1, "", "")
        for action in actions
        if isinstance(action, Persist) and isinstance(action.record, Aborted)
    ]
    late = [action for action in actions if not isinstance(action, Resume)]
    return after, late + early


def _any_refusal_counts(source: Source, event: Event) -> Outcome:
    match event:
        case Received(Refuse() as message, peer):
            mine = source.given.attempt.to_bytes(16, "big")
            message = replace(message, attempt=mine, epoch=source.given.epoch)
            return _source_step(source, Received(message, source.given.target if peer else peer))
    return _source_step(source, event)


def _any_own_counts(source: Source, event: Event) -> Outcome:
    match event:
        case Received(Own() as message, peer) if peer == source.given.target:
            mine = source.given.attempt.to_bytes(16, "big")
            return _source_step(source, Received(replace(message, attempt=mine), peer))
    return _source_step(source, event)


def _never_ask_again(source: Source, event: Event) -> Outcome:
    return (source, []) if isinstance(event, Retry) else _source_step(source, event)


def _never_sent_again(source: Source, event: Event) -> Outcome:
    match event:
        case Received(Want(), _):
            return source, []
    return _source_step(source, event)


def _no_epoch(target: Target, event: Event) -> TargetOutcome:
    return _target_step(replace(target, epoch=-1, taken=()), event)


def _epoch_may_repeat(target: Target, event: Event) -> TargetOutcome:
    lower = replace(target, epoch=target.epoch - 1, taken=())
    after, actions = _target_step(lower, event)
    return replace(after, epoch=max(after.epoch, target.epoch)), actions


def _own_before_durable(target: Target, event: Event) -> TargetOutcome:
    after, actions = _target_step(target, event)
    early: list[Action] = [
        Send(
            Own,
            action.record.source,
            action.record.agent,
            action.record.epoch,
            action.record.attempt,
        )
        for action in actions
        if isinstance(action, Persist) and isinstance(action.record, Owned)
    ]
    return after, actions + early


def _own_when_asked_again(target: Target, event: Event) -> TargetOutcome:
    return _target_step(replace(target, lasting=target.epoch), event)


def _refuse_before_durable(target: Target, event: Event) -> TargetOutcome:
    after, actions = _target_step(target, event)
    early: list[Action] = [
        Send(
            Refuse,
            action.record.source,
            action.record.agent,
            action.record.epoch,
            action.record.attempt,
        )
        for action in actions
        if isinstance(action, Persist) and isinstance(action.record, Refused)
    ]
    return after, actions + early


def _start_without_go(target: Target, event: Event) -> TargetOutcome:
    after, actions = _target_step(target, event)
    if isinstance(event, Verified) and after.held is not None:
        after, more = _target_step(after, Received(_go_for(after.held), after.held.source))
        return after, actions + more
    return after, actions


def _go_for(held: Attempt) -> Go:
    return Go(held.agent, held.epoch, held.attempt.to_bytes(16, "big"))


def _go_for_another_attempt(target: Target, event: Event) -> TargetOutcome:
    match event:
        case Received(Go(), peer) if target.held is not None:
            held = target.held.attempt.to_bytes(16, "big")
            return _target_step(target, Received(replace(event.message, attempt=held), peer))
    return _target_step(target, event)


def _refusals_forgotten(target: Target, event: Event) -> TargetOutcome:
    return _target_step(replace(target, refused=()), event)


def _refuse_what_was_taken(target: Target, event: Event) -> TargetOutcome:
    match event:
        case Received(message, peer) if message.epoch == target.epoch and peer is not None:
            attempt = int.from_bytes(message.attempt, "big")
            return target, [Send(Refuse, peer, message.agent, message.epoch, attempt, "", "")]
    return _target_step(target, event)


def _taken_without_a_check(target: Target, event: Event) -> TargetOutcome:
    match event:
        case Verified(ok=False):
            return _target_step(target, Verified(True))
    return _target_step(target, event)


def _forced_before_durable(source: Source, event: Event) -> Outcome:
    if isinstance(event, Force) and source.writing is None:
        return source, [Resume(source.given.agent, source.given.epoch + 1, "", "")]
    return _source_step(source, event)


def _refused_whatever_is_known(target: Target, event: Event) -> TargetOutcome:
    match event:
        case Received(message, peer, refused_to) if peer is not None:
            attempt = int.from_bytes(message.attempt, "big")
            if attempt <= refused_to:
                return target, [Send(Refuse, peer, message.agent, message.epoch, attempt, "", "")]
    return _target_step(target, event)


def _never_want(target: Target, event: Event) -> TargetOutcome:
    after, actions = _target_step(target, event)
    return after, [one for one in actions if not (isinstance(one, Send) and one.kind is Want)]


THERE = Journey()
TWICE = Journey(attempts=2)
BACK = Journey(("A", "B", "A"))
REFUSED = Journey(refusals=1, attempts=2)
DROPPED = Journey(refusals=1, attempts=2, drops=1)
WITHDRAWN = Journey(withdrawals=1, attempts=2)
EITHER = Journey(("A", "BC"), crashes=1, refusals=1, withdrawals=1, attempts=2)
BESIEGED = Journey(("A", "M", "A"), crashes=0, hostile="M")

MISTAKES: dict[str, Mistake] = {
    "go before given is durable": Mistake(Rules(begin=_go_at_once), THERE),
    "an offer says go before given is durable": Mistake(Rules(begin=_offer_says_go), THERE),
    "reclaim on a time-out": Mistake(Rules(source=_reclaim_on_time_out), THERE),
    "reclaim when withdrawn": Mistake(Rules(source=_reclaim_when_withdrawn), WITHDRAWN),
    "tombstone forgotten": Mistake(
        Rules(tombstones=False), Journey(("A", "B", "A", "B"), crashes=0)
    ),
    "offer not checked against the highest epoch": Mistake(Rules(target=_no_epoch), BACK),
    "an epoch may be taken twice": Mistake(Rules(target=_epoch_may_repeat), TWICE),
    "go accepted for another attempt": Mistake(Rules(target=_go_for_another_attempt), EITHER),
    "own sent before it is durable": Mistake(Rules(target=_own_before_durable), THERE),
    "own sent to who asks again before it is durable": Mistake(
        Rules(target=_own_when_asked_again), THERE
    ),
    "refuse sent before it is durable": Mistake(Rules(target=_refuse_before_durable), REFUSED),
    "started without go": Mistake(Rules(target=_start_without_go), THERE),
    "a refusal of anybody counts": Mistake(Rules(source=_any_refusal_counts), EITHER),
    "refusals forgotten": Mistake(Rules(target=_refusals_forgotten), WITHDRAWN),
    "what was taken is refused": Mistake(Rules(target=_refuse_what_was_taken), THERE),
    "never asked again": Mistake(Rules(source=_never_ask_again), THERE),
    "an offer that is lost is not sent again": Mistake(Rules(source=_never_sent_again), THERE),
    "an offer that is lost is not asked for": Mistake(Rules(target=_never_want), THERE),
    "given is not flushed": Mistake(
        Rules(flushes=lambda record: type(record).__name__ != "Given"), THERE
    ),
    "owned is not flushed": Mistake(
        Rules(flushes=lambda record: not isinstance(record, Owned)), THERE
    ),
    "refused is not flushed": Mistake(
        Rules(flushes=lambda record: not isinstance(record, Refused)), REFUSED
    ),
    "what was forgotten is taken again": Mistake(Rules(remembers=False), replace(BACK, forgets=1)),
    "what was refused and forgotten is taken": Mistake(Rules(floors=False), DROPPED),
    "what was taken is refused with what was forgotten": Mistake(
        Rules(target=_refused_whatever_is_known), Journey(drops=1)
    ),
    "refused with what was forgotten before that is durable": Mistake(
        Rules(floors_last=False), Journey(attempts=2, drops=1)
    ),
    "the agent acts before owned is durable": Mistake(Rules(in_order=False), THERE),
    "what is offered of an agent that runs again is kept": Mistake(Rules(lives=False), BESIEGED),
    "forced before that is on record": Mistake(
        Rules(source=_forced_before_durable), replace(THERE, forces=1)
    ),
}

# What looks like a mistake and is none: the exploration says so, too.
HARMLESS: dict[str, Mistake] = {
    "resumed before aborted is durable": Mistake(Rules(source=_resume_before_durable), REFUSED),
    "own accepted for any attempt": Mistake(Rules(source=_any_own_counts), EITHER),
}
