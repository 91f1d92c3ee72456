"""The hand-off step by step, and its records. Every order of the steps: `test_handoff_explored`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from msgspec.structs import replace

from protocol.errors import RemoteFault
from protocol.handoff import (
    Aborted,
    Action,
    Attempt,
    Drop,
    Force,
    Given,
    Gone,
    Interrupted,
    Lives,
    Owned,
    Persist,
    Persisted,
    Received,
    Reclaimed,
    Record,
    Refused,
    Release,
    Resume,
    Retry,
    Send,
    Source,
    Start,
    Target,
    Verified,
    Verify,
    Withdraw,
    attempt_bytes,
    decode,
    encode,
    latest_attempt,
    new_attempt,
    running,
    unfinished,
)
from protocol.limits import EPOCH_MAX, REFUSED_MAX, TAKEN_MAX
from protocol.messages import CancelOffer, Go, HandOff, Offer, Own, Refuse, Want
from protocol.messages import decode as decode_message
from protocol.messages import encode as encode_message

AGENT = b"a" * 32
KEYS = {"A": b"A" * 32, "B": b"B" * 32}
HELD = Attempt(AGENT, 1, KEYS["A"], 7)
OWNED = Owned(AGENT, 1, KEYS["A"], 7)


# -- single steps --


def held_target() -> Target:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, actions = target.step(Verified(True))
    assert (target.held, actions) == (HELD, [])
    return target


def offer(attempt: int = 7, epoch: int = 1, *, given: bool = False) -> Offer:
    number = attempt.to_bytes(16, "big")
    return Offer(AGENT, epoch, number, b"d" * 32, (), (), b"image", given)


def go(attempt: int = 7) -> Go:
    return Go(AGENT, 1, attempt.to_bytes(16, "big"))


def owned_target() -> Target:
    target, _ = held_target().step(Received(go(), KEYS["A"]))
    return target.step(Persisted(OWNED))[0]


def test_the_offer_leaves_before_the_disk_is_done_and_go_after() -> None:
    source, actions = Source.begin(AGENT, 0, KEYS["B"], 7)
    given = Given(AGENT, 1, KEYS["B"], 7)
    assert actions == [Send(Offer, KEYS["B"], AGENT, 1, 7), Persist(given)]
    source, actions = source.step(Persisted(given))
    assert actions == [Send(Go, KEYS["B"], AGENT, 1, 7)]
    assert source.step(Persisted(given))[1] == []


def test_a_node_that_keeps_nothing_says_go_with_its_offer() -> None:
    source, actions = Source.begin(AGENT, 0, KEYS["B"], 7, forgets=True)
    given = Given(AGENT, 1, KEYS["B"], 7)
    assert actions == [Send(Offer, KEYS["B"], AGENT, 1, 7, given=True), Persist(given)]
    assert source.step(Persisted(given)) == (source, [])
    assert kinds(source.step(Retry())[1]) == [Go]


def kinds(actions: list[Action]) -> list[type[HandOff]]:
    return [action.kind for action in actions if isinstance(action, Send)]


def want(attempt: int = 7) -> Want:
    return Want(AGENT, 1, attempt.to_bytes(16, "big"))


def test_a_source_repeats_go_until_it_is_answered() -> None:
    source, actions = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    assert kinds(actions) == [Go]
    _, actions = source.step(Retry())
    assert kinds(actions) == [Go]
    own = Own(AGENT, 1, (7).to_bytes(16, "big"))
    source, actions = source.step(Received(own, KEYS["B"]))
    assert actions == [Persist(Gone(AGENT, 1, KEYS["B"], 7), later=True)]
    assert source.step(Retry())[1] == []
    assert source.step(Persisted(Gone(AGENT, 1, KEYS["B"], 7)))[1] == [Drop(AGENT, 0)]


def test_a_source_sends_its_offer_again_only_to_the_target_that_wants_it() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    after, actions = source.step(Received(want(), KEYS["B"]))
    assert (after, actions) == (source, [Send(Offer, KEYS["B"], AGENT, 1, 7, given=True)])
    assert source.step(Received(want(), b"M" * 32)) == (source, [])
    assert source.step(Received(want(8), KEYS["B"])) == (source, [])


def test_until_given_is_durable_nothing_is_repeated_and_nothing_wanted_is_sent() -> None:
    source, _ = Source.begin(AGENT, 0, KEYS["B"], 7)
    assert source.step(Retry()) == (source, [])
    assert source.step(Received(want(), KEYS["B"])) == (source, [])


def test_what_is_withdrawn_or_over_is_not_sent_again() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    withdrawn, _ = source.step(Withdraw())
    assert withdrawn.step(Received(want(), KEYS["B"])) == (withdrawn, [])
    ended, _ = source.step(Received(Own(AGENT, 1, want().attempt), KEYS["B"]))
    assert ended.step(Received(want(), KEYS["B"])) == (ended, [])


def test_a_target_wants_what_it_is_told_to_take_and_does_not_have() -> None:
    fresh = Target.fresh(AGENT)
    assert fresh.step(Received(go(), KEYS["A"])) == (fresh, [Send(Want, KEYS["A"], AGENT, 1, 7)])
    held = held_target()
    assert kinds(held.step(Received(go(8), KEYS["A"]))[1]) == [Want]
    checking, _ = fresh.step(Received(offer(), KEYS["A"]))
    assert kinds(checking.step(Received(go(8), KEYS["A"]))[1]) == []


def test_a_target_wants_nothing_that_is_settled_passed_or_maybe_forgotten() -> None:
    assert kinds(owned_target().step(Received(go(), KEYS["A"]))[1]) == [Own]
    assert kinds(owned_target().step(Received(go(8), KEYS["A"]))[1]) == []
    forgetful = Target.fresh(AGENT, forgotten=7)
    assert forgetful.step(Received(go(), KEYS["A"])) == (forgetful, [])
    assert kinds(forgetful.step(Received(go(8), KEYS["A"]))[1]) == [Want]


def test_a_refused_source_resumes_with_the_reason_once_that_is_durable() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    no = Refuse(AGENT, 1, (7).to_bytes(16, "big"), "token/refused", "block 2 forbids it")
    source, actions = source.step(Received(no, KEYS["B"]))
    aborted = Aborted(AGENT, 1, KEYS["B"], 7, "token/refused", "block 2 forbids it")
    assert actions == [Persist(aborted)]
    assert source.step(Persisted(aborted))[1] == [
        Resume(AGENT, 0, "token/refused", "block 2 forbids it")
    ]


def test_an_answer_of_a_node_that_is_not_the_target_is_ignored() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    own = Own(AGENT, 1, (7).to_bytes(16, "big"))
    assert source.step(Received(own, b"M" * 32)) == (source, [])


def test_go_of_a_node_that_is_not_the_source_starts_nothing() -> None:
    target = held_target()
    after, actions = target.step(Received(go(), b"M" * 32))
    assert (after, kinds(actions)) == (target, [Want])


STARTED = [Persist(OWNED, later=True), Start(AGENT, 1)]
OWN = Send(Own, KEYS["A"], AGENT, 1, 7)


@pytest.mark.parametrize("message", [go(), offer(given=True)])
def test_what_is_held_starts_on_go_and_waits_for_nothing(message: HandOff) -> None:
    target, actions = held_target().step(Received(message, KEYS["A"]))
    assert actions == STARTED
    assert (target.held, target.epoch) == (None, 1)


@pytest.mark.parametrize("message", [go(), offer(given=True)])
def test_go_that_comes_during_the_check_starts_what_is_found_good(message: HandOff) -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, actions = target.step(Received(message, KEYS["A"]))
    assert actions == []
    assert target.step(Verified(True))[1] == STARTED


def test_an_offer_that_says_go_needs_no_other() -> None:
    target, actions = Target.fresh(AGENT).step(Received(offer(given=True), KEYS["A"]))
    assert actions == [Verify(offer(given=True))]
    assert target.step(Verified(True))[1] == STARTED


@pytest.mark.parametrize("message", [go(), offer(), CancelOffer(AGENT, 1, go().attempt)])
def test_own_is_said_when_it_lasts_and_not_before(message: HandOff) -> None:
    target, _ = held_target().step(Received(go(), KEYS["A"]))
    assert target.step(Received(message, KEYS["A"])) == (target, [])
    target, actions = target.step(Persisted(OWNED))
    assert actions == [OWN]
    assert target.step(Received(message, KEYS["A"])) == (target, [OWN])


def test_an_offer_withdrawn_during_the_check_is_refused_though_go_was_said() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, _ = target.step(Received(go(), KEYS["A"]))
    target, _ = target.step(Received(CancelOffer(AGENT, 1, go().attempt), KEYS["A"]))
    _, actions = target.step(Verified(True))
    assert [type(action.record) for action in actions if isinstance(action, Persist)] == [Refused]


def test_what_was_taken_and_not_written_is_wanted_after_a_crash() -> None:
    target = Target.fresh(AGENT)  # no record tells of it
    target, actions = target.step(Received(go(), KEYS["A"]))
    assert kinds(actions) == [Want]
    target, _ = target.step(Received(offer(given=True), KEYS["A"]))
    assert target.step(Verified(True))[1] == STARTED


# -- what is offered of an agent that runs here again --


def test_a_hold_of_an_agent_that_runs_here_is_given_up() -> None:
    target, actions = held_target().step(Lives(0))
    assert (target.held, actions) == (None, [Release(HELD)])
    assert kinds(target.step(Received(go(), KEYS["A"]))[1]) == [Want]


def test_what_is_being_checked_of_an_agent_that_runs_here_is_refused() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, actions = target.step(Lives(0))
    assert actions == []
    target, _ = target.step(Received(go(), KEYS["A"]))
    _, actions = target.step(Verified(True))
    (refused,) = [one.record for one in actions if isinstance(one, Persist)]
    assert isinstance(refused, Refused)
    assert refused.code == "agent/state"


def test_a_hold_is_given_up_while_something_else_is_being_written() -> None:
    cancel = CancelOffer(AGENT, 1, go(8).attempt)
    target, _ = held_target().step(Received(cancel, KEYS["A"]))
    target, actions = target.step(Lives(0))
    assert actions == [Release(HELD)]
    assert target.held is None


def test_what_is_held_is_given_up_without_a_word() -> None:
    target, actions = held_target().step(Interrupted())
    assert (target.held, actions) == (None, [Release(HELD)])


@pytest.mark.parametrize("message", [offer(), go(), CancelOffer(AGENT, 1, go().attempt)])
def test_what_is_taken_is_confirmed_again_and_not_started_again(message: HandOff) -> None:
    target = owned_target()
    assert target.step(Received(message, KEYS["A"])) == (
        target,
        [Send(Own, KEYS["A"], AGENT, 1, 7)],
    )


def test_an_offer_of_an_epoch_that_has_passed_is_ignored() -> None:
    target = owned_target()
    assert target.step(Received(offer(attempt=8), KEYS["A"])) == (target, [])


def test_cancelling_an_offer_that_never_came_refuses_it_durably() -> None:
    cancel = CancelOffer(AGENT, 1, (7).to_bytes(16, "big"))
    target, actions = Target.fresh(AGENT).step(Received(cancel, KEYS["A"]))
    assert [type(action) for action in actions] == [Persist]
    assert isinstance(actions[0], Persist)
    target, actions = target.step(Persisted(actions[0].record))
    refuse = Send(
        Refuse, KEYS["A"], AGENT, 1, 7, "handoff/cancelled", "the source withdrew its offer"
    )
    assert actions == [refuse]
    assert target.step(Received(offer(), KEYS["A"]))[1] == [refuse]
    assert target.step(Received(go(), KEYS["A"]))[1] == [refuse]


def test_an_interrupted_check_leaves_room_for_the_offer_to_come_again() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    assert target.step(Received(offer(), KEYS["A"]))[1] == []
    target, actions = target.step(Interrupted())
    assert actions == []
    assert target.step(Received(offer(), KEYS["A"]))[1] == [Verify(offer())]


def test_refusals_stay_refused_though_only_some_are_remembered_one_by_one() -> None:
    target = Target.fresh(AGENT)
    count = REFUSED_MAX + 10
    for attempt in range(1, count + 1):
        target, _ = target.step(Received(offer(attempt), KEYS["A"]))
        target, actions = target.step(Verified(False, "token/refused", "no"))
        assert isinstance(actions[0], Persist)
        target, _ = target.step(Persisted(decode(encode(actions[0].record))))
    target = Target.restart(target.refused)
    for attempt in range(1, count + 1):
        _, actions = target.step(Received(offer(attempt), KEYS["A"]))
        assert [action.kind for action in actions if isinstance(action, Send)] == [Refuse]
    assert isinstance(target.step(Received(offer(count + 1), KEYS["A"]))[1][0], Verify)


def test_up_to_where_more_was_refused_than_is_known_nothing_is_taken() -> None:
    target = Target.fresh(AGENT)
    for message in (offer(), go(), CancelOffer(AGENT, 1, attempt_bytes(7))):
        after, actions = target.step(Received(message, KEYS["A"], refused_to=7))
        assert after == target
        assert [action.kind for action in actions if isinstance(action, Send)] == [Refuse]
        _, actions = target.step(Received(message, KEYS["A"], refused_to=6))
        assert not any(isinstance(action, Send) and action.kind is Refuse for action in actions)


def test_what_is_held_or_checked_or_was_had_is_not_refused_with_what_is_not_known() -> None:
    checking, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    assert checking.step(Received(go(), KEYS["A"], refused_to=9))[0].pending is not None
    _, actions = held_target().step(Received(go(), KEYS["A"], refused_to=9))
    assert [type(action) for action in actions] == [Persist, Start]
    assert Target.fresh(AGENT, epoch=1).step(Received(go(), KEYS["A"], refused_to=9))[1] == []
    forgotten = Target.fresh(AGENT, forgotten=7)
    assert forgotten.step(Received(go(), KEYS["A"], refused_to=9))[1] == [], "it may have been had"


def test_a_refusal_is_dropped_with_all_that_it_tells_of_and_no_later_one() -> None:
    refused = Refused(AGENT, 1, KEYS["A"], 7, "no", "no", earlier=((1, 8),))
    other = Refused(AGENT, 1, KEYS["B"], 3, "no", "no")
    target = Target.restart([refused, other])
    assert target.without_refusal(KEYS["A"], 7) == target
    assert target.without_refusal(KEYS["A"], 8).refused == (other,)


def test_another_source_is_not_bound_by_the_refusals_of_one() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, _ = target.step(Verified(False, "token/refused", "no"))
    refused = Refused(AGENT, 1, KEYS["A"], 7, "token/refused", "no")
    target, _ = target.step(Persisted(refused))
    assert target.step(Received(offer(), KEYS["B"]))[1] == [Verify(offer())]


def test_a_new_attempt_makes_room_for_itself_once_it_is_checked() -> None:
    target, actions = held_target().step(Received(offer(attempt=8), KEYS["A"]))
    assert actions == [Verify(offer(attempt=8))]
    assert target.held == HELD
    target, actions = target.step(Verified(True))
    assert (target.held, actions) == (Attempt(AGENT, 1, KEYS["A"], 8), [Release(HELD)])
    assert target.step(Received(go(7), KEYS["A"])) == (target, [Send(Want, KEYS["A"], AGENT, 1, 7)])


def test_an_agent_taken_back_by_force_is_later_than_what_the_target_may_have() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    source, actions = source.step(Force())
    reclaimed = Reclaimed(AGENT, 1, KEYS["B"], 7)
    assert actions == [Persist(reclaimed)]
    own = Own(AGENT, 1, (7).to_bytes(16, "big"))
    assert source.step(Received(own, KEYS["B"])) == (source, [])
    _, actions = source.step(Persisted(reclaimed))
    reason = "taken back by force; the target may run it, too"
    assert actions == [Resume(AGENT, 2, "handoff/forced", reason)]
    assert running([reclaimed]) == 2


def test_force_comes_too_late_when_the_target_has_answered() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    source, _ = source.step(Received(Own(AGENT, 1, (7).to_bytes(16, "big")), KEYS["B"]))
    assert source.step(Force()) == (source, [])


def test_a_node_that_has_forgotten_is_silent_about_what_it_may_have_known() -> None:
    records: list[Record] = [
        Owned(AGENT, 3, KEYS["A"], 9, ((KEYS["B"], 1, 7),)),
        Gone(AGENT, 4, KEYS["B"], 12),
    ]
    assert latest_attempt(records) == 12
    target = Target.fresh(AGENT, forgotten=12)
    for attempt in (7, 12):
        assert target.step(Received(offer(attempt), KEYS["A"])) == (target, [])
        assert target.step(Received(go(attempt), KEYS["A"])) == (target, [])
    assert target.step(Received(offer(13), KEYS["A"]))[1] == [Verify(offer(13))]


def test_the_last_journey_of_each_source_can_be_confirmed() -> None:
    target = owned_target()
    for epoch in range(3, 3 + 2 * TAKEN_MAX, 2):
        source = KEYS["A"] if epoch % 4 == 1 else KEYS["B"]
        target, _ = target.step(Received(offer(epoch, epoch), source))
        target, _ = target.step(Verified(True))
        go_on = replace(go(epoch), epoch=epoch)
        target, actions = target.step(Received(go_on, source))
        assert isinstance(actions[0], Persist)
        target, _ = target.step(Persisted(actions[0].record))
    assert len(target.taken) == 2
    last = {source: (epoch, attempt) for source, epoch, attempt in target.taken}
    again = replace(go(last[KEYS["A"]][1]), epoch=last[KEYS["A"]][0])
    _, actions = target.step(Received(again, KEYS["A"]))
    assert [action.kind for action in actions if isinstance(action, Send)] == [Own]


def test_what_was_taken_is_known_after_a_restart_though_the_agent_left_and_came_back() -> None:
    owned = Owned(AGENT, 1, KEYS["A"], 7)
    target = Target.restart([owned, Reclaimed(AGENT, 2, KEYS["B"], 9)])
    assert target.step(Received(go(), KEYS["A"]))[1] == [Send(Own, KEYS["A"], AGENT, 1, 7)]


def test_an_epoch_that_leaves_no_room_to_count_up_is_no_message() -> None:
    highest = replace(go(), epoch=EPOCH_MAX)
    assert decode_message(encode_message(highest)) == highest
    with pytest.raises(RemoteFault):
        decode_message(
            encode_message(go()).replace(b"\x01", (b"\xcf" + (EPOCH_MAX + 1).to_bytes(8, "big")), 1)
        )


# -- records --

RECORDS: list[Record] = [
    Given(AGENT, 1, KEYS["B"], 7),
    Aborted(AGENT, 1, KEYS["B"], 7, "token/refused", "no"),
    Gone(AGENT, 1, KEYS["B"], (1 << 128) - 1),
    Reclaimed(AGENT, 1, KEYS["B"], 8),
    Owned(AGENT, 3, KEYS["A"], 9, ((KEYS["A"], 1, 7),)),
    Refused(AGENT, 3, KEYS["A"], 9, "a", "b", ((3, 8),), (2, 5)),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_the_same_after_its_bytes(record: Record) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize("record", RECORDS)
def test_a_damaged_record_is_another_record_or_a_fault(record: Record) -> None:
    data = encode(record)
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]
            with suppress(RemoteFault):
                assert decode(damaged) != record
    for end in range(len(data)):
        with pytest.raises(RemoteFault):
            decode(data[:end])


def test_where_an_agent_runs_follows_from_the_records_in_any_order() -> None:
    given, back = Given(AGENT, 1, KEYS["B"], 7), Owned(AGENT, 2, KEYS["B"], 9)
    assert running([], born_here=True) == 0
    assert running([]) is None
    assert running([given], born_here=True) is None
    assert running([Aborted(AGENT, 1, KEYS["B"], 7, "", "")], born_here=True) == 0
    assert running([given, back]) == running([back, given]) == 2
    assert unfinished([given]) == given
    assert unfinished([given, back]) is None


def test_an_agent_that_lives_here_is_not_taken_at_its_own_epoch_after_a_restart() -> None:
    target = Target.restart([Given(AGENT, 1, KEYS["B"], 7)], epoch=1)
    assert target.step(Received(go(), KEYS["A"])) == (target, [])


def test_attempts_grow_with_the_clock_and_differ_within_it() -> None:
    assert new_attempt(5, b"\xff" * 10) < new_attempt(6, b"\x00" * 10)
    assert new_attempt(5, b"\x00" * 10) != new_attempt(5, b"\x01" * 10)
