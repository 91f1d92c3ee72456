"""Who is a member follows from what was said by whom, in whatever order it was heard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capabilities.certificate import make_certificate
from capabilities.errors import MemberInvalid
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import CLOCK_SKEW_S, SEQ_MAX
from capabilities.membership import Ledger, Membership
from capabilities.statements import Appointment, Power, Record, Statement, Succession, sign

ROOT, NEW_ROOT, A, B, C, D, STRANGER = (PrivateKey(bytes([n]) * 32) for n in range(31, 38))
NOW_S = 1_000
HOLDS_S = NOW_S - CLOCK_SKEW_S


def record(name: str, key: PrivateKey, seq: int = 1, **changes: object) -> Record:
    certificate = make_certificate(key, name)
    made = Record(name, "node", key.public, certificate, ("127.0.0.1:7001",), seq, NOW_S)
    return replace(made, **changes)  # type: ignore[arg-type]


def appointment(key: PrivateKey, powers: Power = Power.ADMIT, seq: int = 1) -> Appointment:
    return Appointment(key.public, powers, NOW_S - 100, NOW_S + 100, seq)


def succession(old: PrivateKey, new: PrivateKey, from_s: int = NOW_S, seq: int = 1) -> Succession:
    return Succession(
        old.public, new.public, from_s, from_s + 50, seq, make_certificate(new, "alpha")
    )


def handed_on(old: PrivateKey, new: PrivateKey, from_s: int = NOW_S) -> Statement:
    return sign(succession(old, new, from_s), old, new)


ALPHA, BETA = sign(record("alpha", A), ROOT), sign(record("beta", B), ROOT)
TRUST = sign(appointment(A), ROOT)


def at(now_s: int, *statements: Statement) -> Membership:
    return Ledger(ROOT.public, statements).at(now_s)


def nodes(membership: Membership) -> dict[str, PublicKey]:
    return {member.name: member.key for member in membership}


def test_whom_the_root_signed_is_a_member_and_nobody_else() -> None:
    forged = sign(record("gamma", C), STRANGER)
    assert nodes(at(NOW_S, ALPHA, BETA, forged)) == {"alpha": A.public, "beta": B.public}


def test_the_record_with_the_highest_number_counts() -> None:
    moved = sign(record("alpha", A, 2, addresses=("127.0.0.1:7002",)), ROOT)
    member = at(NOW_S, moved, ALPHA).node("alpha")
    assert member is not None
    assert member.addresses == ("127.0.0.1:7002",)


def test_who_was_removed_is_out_under_every_name_until_the_root_says_otherwise() -> None:
    gone = sign(record("alpha", A, 2, removed=True), ROOT)
    again = sign(record("delta", A), B)
    trust = sign(appointment(B), ROOT)
    assert nodes(at(NOW_S, ALPHA, BETA, gone, trust, again)) == {"beta": B.public}
    back = sign(record("alpha", A, 3), ROOT)
    assert "alpha" in nodes(at(NOW_S, ALPHA, gone, back))


def test_who_is_appointed_admits_nodes_while_the_appointment_holds() -> None:
    delta = sign(record("delta", D), A)
    assert "delta" in nodes(at(NOW_S, ALPHA, TRUST, delta))
    assert "delta" in nodes(at(NOW_S + 10_000, ALPHA, TRUST, delta))
    assert "delta" not in nodes(at(NOW_S, ALPHA, delta))
    for when in (NOW_S - 101, NOW_S + 101):
        late = sign(record("delta", D, at_s=when), A)
        assert "delta" not in nodes(at(NOW_S, ALPHA, TRUST, late))


@pytest.mark.parametrize(
    "said",
    [
        record("delta", D, role="operator"),
        record("delta", D, removed=True),
        record("beta", D, 2),
        record("beta", D, 1),
        record("beta", B, 2, removed=True),
    ],
    ids=["operator", "removal", "another's name", "same number", "removes"],
)
def test_who_is_appointed_to_admit_nodes_may_nothing_else(said: Record) -> None:
    assert nodes(at(NOW_S, ALPHA, BETA, TRUST, sign(said, A))) == {
        "alpha": A.public,
        "beta": B.public,
    }


def test_who_is_appointed_may_renew_and_with_the_power_remove() -> None:
    moved = sign(record("beta", B, 2, addresses=("h:1",)), A)
    beta = at(NOW_S, ALPHA, BETA, TRUST, moved).node("beta")
    assert beta is not None
    assert beta.addresses == ("h:1",)
    gone = sign(record("beta", B, 2, removed=True), A)
    trust = sign(appointment(A, Power.REMOVE), ROOT)
    assert "beta" not in nodes(at(NOW_S, ALPHA, BETA, trust, gone))


SAID_BY_A = [
    sign(record("alpha", A, SEQ_MAX, addresses=("h:1",)), A),
    sign(record("beta", B, 3, addresses=("h:1",)), A),
    sign(record("beta", B, 4, addresses=("h:1",)), A),
    sign(record("beta", B, SEQ_MAX, addresses=("h:1",)), A),
]


@pytest.mark.parametrize("appointed", [True, False])
def test_the_root_has_the_last_word_about_a_name_whatever_the_numbers_of_others(
    appointed: bool,
) -> None:
    said = (ALPHA, BETA, *([TRUST] if appointed else []), *SAID_BY_A)
    before = at(NOW_S, *said)
    assert {(member.name, member.seq) for member in before} == {("alpha", 1), ("beta", 1)}
    gone = sign(record("alpha", A, before.numbers["node", "alpha"], removed=True), ROOT)
    moved = sign(record("beta", B, before.numbers["node", "beta"], addresses=("h:2",)), ROOT)
    after = at(NOW_S, *said, gone, moved)
    assert after.node("alpha") is None
    beta = after.node("beta")
    assert beta is not None
    assert beta.addresses == ("h:2",)


def test_what_counts_for_nothing_takes_no_name_away() -> None:
    early, unsaid = sign(record("delta", D, 2), A), sign(record("gamma", D), STRANGER)
    assert set(at(NOW_S, ALPHA, TRUST, early, unsaid).numbers) == {("node", "alpha")}
    by_member = sign(record("delta", A), A)
    assert set(at(NOW_S, ALPHA, by_member).numbers) == {("node", "alpha")}
    gone = sign(record("alpha", A, 2, removed=True), ROOT)
    assert at(NOW_S, ALPHA, gone).numbers == {("node", "alpha"): 3}


def test_who_was_removed_stays_out_when_the_name_is_given_to_another() -> None:
    gone = sign(record("alpha", A, 2, removed=True), ROOT)
    other = sign(record("alpha", C, 3), ROOT)
    said = (ALPHA, TRUST, sign(record("second", A), A), gone, other)
    assert nodes(at(NOW_S, *said)) == {"alpha": C.public}
    follows = (handed_on(A, D), sign(record("third", D), ROOT))
    assert nodes(at(NOW_S, *said, *follows)) == {"alpha": C.public}
    back = sign(record("alpha", A, 4), ROOT)
    assert nodes(at(NOW_S, *said, back)) == {"alpha": A.public, "second": A.public}


def test_whose_heir_the_root_lets_in_again_is_in() -> None:
    gone = sign(record("alpha", A, 2, removed=True), ROOT)
    said = (ALPHA, handed_on(A, C), gone)
    assert nodes(at(NOW_S, *said)) == {}
    assert nodes(at(NOW_S, *said, sign(record("alpha", C, 3), ROOT))) == {"alpha": C.public}


def test_heirs_in_a_circle_are_out_with_who_was_removed() -> None:
    circle = [A, B, C, D]
    steps = [
        handed_on(old, new, NOW_S + 60 * place)
        for place, (old, new) in enumerate(zip(circle, [*circle[1:], A], strict=True))
    ]
    gone = sign(record("alpha", A, 2, removed=True), ROOT)
    for key in circle:
        for now_s in (NOW_S, NOW_S + 150, NOW_S + 500):
            assert nodes(at(now_s, ALPHA, gone, *steps, sign(record("delta", key), ROOT))) == {}


def test_who_is_appointed_to_remove_nodes_removes_no_operator() -> None:
    person = sign(record("carol", C, role="operator"), ROOT)
    trust = sign(appointment(A, Power.REMOVE), ROOT)
    gone = record("gamma", C, removed=True)
    assert "carol" in nodes(at(NOW_S, ALPHA, person, trust, sign(gone, A)))
    assert "carol" not in nodes(at(NOW_S, ALPHA, person, trust, sign(gone, ROOT)))


def test_an_appointment_is_withdrawn_by_a_later_one() -> None:
    delta = sign(record("delta", D), A)
    ended = sign(replace(appointment(A, seq=2), until_s=NOW_S - 1), ROOT)
    assert "delta" not in nodes(at(NOW_S, ALPHA, TRUST, ended, delta))
    self_made = sign(appointment(A, seq=3), A)
    assert "delta" not in nodes(at(NOW_S, ALPHA, TRUST, ended, self_made, delta))


def test_both_keys_hold_during_a_rotation_and_then_the_new_one_alone() -> None:
    said = (ALPHA, handed_on(A, C))
    for now_s, keys in [
        (HOLDS_S - 1, [A]),
        (HOLDS_S, [C, A]),
        (NOW_S + 50, [C, A]),
        (NOW_S + 51, [C]),
    ]:
        alpha = at(now_s, *said).node("alpha")
        assert alpha is not None
        assert alpha.keys == tuple(key.public for key in keys)
        assert len(alpha.certificates) == len(keys)
        assert at(now_s, *said).of_key(C.public) == (alpha if C in keys else None)


def test_nobody_follows_a_follower_while_the_first_still_holds() -> None:
    early, later = handed_on(C, D, NOW_S + 10), handed_on(C, D, NOW_S + 60)
    alpha = at(NOW_S + 20, ALPHA, handed_on(A, C), early).node("alpha")
    assert alpha is not None
    assert alpha.keys == (C.public, A.public)
    alpha = at(NOW_S + 70, ALPHA, handed_on(A, C), later).node("alpha")
    assert alpha is not None
    assert alpha.keys == (D.public, C.public)


def test_a_key_that_names_two_successors_is_out_until_a_fresh_record() -> None:
    said = (ALPHA, BETA, handed_on(A, C), handed_on(A, D))
    assert nodes(at(NOW_S, *said)) == {"beta": B.public}
    fresh = sign(record("alpha", C, 2), ROOT)
    assert nodes(at(NOW_S, *said, fresh)) == {"alpha": C.public, "beta": B.public}


def test_a_record_may_be_renewed_for_the_key_that_follows() -> None:
    renewed = sign(record("beta", C, 2), A)
    said = (ALPHA, BETA, TRUST, renewed)
    assert nodes(at(NOW_S, *said))["beta"] == B.public
    beta = at(NOW_S, *said, handed_on(B, C)).node("beta")
    assert beta is not None
    assert beta.keys == (C.public,)


def test_who_is_appointed_may_say_which_of_two_successors_it_is() -> None:
    renewed = sign(record("beta", C, 2), A)
    said = (ALPHA, BETA, TRUST, handed_on(B, C), renewed)
    assert nodes(at(NOW_S, *said, handed_on(B, STRANGER)))["beta"] == C.public
    assert nodes(at(NOW_S, *said, handed_on(C, D, NOW_S + 120)))["beta"] == C.public
    later = sign(record("beta", D, 3), A)
    assert nodes(at(NOW_S, *said, later))["beta"] == C.public


def test_a_record_is_renewable_when_its_key_is_over() -> None:
    for now_s, renewable in ((NOW_S, False), (NOW_S + 51, True)):
        alpha = at(now_s, ALPHA, handed_on(A, C)).node("alpha")
        assert alpha is not None
        assert alpha.renewable is renewable


def test_the_root_is_followed_by_another() -> None:
    by_new = sign(record("gamma", C), NEW_ROOT)
    said = (ALPHA, sign(succession(ROOT, NEW_ROOT), ROOT, NEW_ROOT), by_new)
    during = at(NOW_S, *said)
    assert during.roots == {ROOT.public, NEW_ROOT.public}
    assert set(nodes(during)) == {"alpha", "gamma"}
    after = at(NOW_S + 51, *said)
    assert after.roots == {NEW_ROOT.public}
    assert set(nodes(after)) == {"gamma"}


def test_a_root_whose_time_is_over_is_worth_nothing_to_who_finds_it() -> None:
    ledger = Ledger(ROOT.public, [sign(succession(ROOT, NEW_ROOT), ROOT, NEW_ROOT)])
    assert not ledger.settle(NOW_S + 50)
    assert ledger.settle(NOW_S + 51)
    ledger.add([sign(succession(ROOT, STRANGER), ROOT, STRANGER)])
    assert ledger.at(NOW_S + 60).roots == {NEW_ROOT.public}


def test_what_will_change_is_known() -> None:
    assert at(NOW_S, ALPHA).next_change_s is None
    said = (ALPHA, handed_on(A, C, NOW_S + 500))
    assert at(NOW_S, *said).next_change_s == NOW_S + 500 - CLOCK_SKEW_S
    assert at(NOW_S + 500, *said).next_change_s == NOW_S + 551


def test_a_file_comes_back_and_a_bad_line_is_named() -> None:
    ledger = Ledger(ROOT.public, [ALPHA, BETA])
    assert list(Ledger.from_text(ledger.to_text() + "\n\n", ROOT.public)) == list(ledger)
    for bad in ("AAAA", "-", sign(record("gamma", C), STRANGER).to_text()):
        with pytest.raises(MemberInvalid, match="line 2"):
            Ledger.from_text(ALPHA.to_text() + "\n" + bad + "\n", ROOT.public)


BY_STRANGER = sign(record("beta", STRANGER, 9), STRANGER)
EVERYTHING = [
    ALPHA,
    BETA,
    TRUST,
    sign(record("delta", D), A),
    sign(record("beta", C, 2), A),
    handed_on(B, C),
    handed_on(C, D, NOW_S + 60),
    sign(succession(ROOT, NEW_ROOT), ROOT, NEW_ROOT),
    sign(record("alpha", A, 3, removed=True), NEW_ROOT),
    BY_STRANGER,
    sign(record("beta", D, 1), NEW_ROOT),
    handed_on(A, NEW_ROOT),
    sign(appointment(C), NEW_ROOT),
    sign(record("delta", D, 2, addresses=("h:1",)), A),
    sign(record("delta", D, 4), A),
    sign(record("alpha", A, SEQ_MAX), A),
    sign(record("beta", B, 2, removed=True), ROOT),
    handed_on(D, B),
    handed_on(D, C),
]


@given(
    said=st.lists(st.sampled_from(EVERYTHING), unique_by=lambda one: one.id),
    order=st.randoms(use_true_random=False),
    now_s=st.sampled_from([NOW_S - 100, NOW_S, NOW_S + 51, NOW_S + 70, NOW_S + 200]),
)
def test_the_order_in_which_statements_are_heard_does_not_matter(
    said: list[Statement], order: object, now_s: int
) -> None:
    first = Ledger(ROOT.public, said)
    shuffled = list(said)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    second = Ledger(ROOT.public)
    for statement in shuffled * 3:  # as often as it takes for those who wait for another
        second.add([statement])
    for _ in said:
        second.add(shuffled)
    assert list(first) == list(second)
    assert first.at(now_s) == second.at(now_s)
    assert first.at(now_s).numbers == second.at(now_s).numbers


@given(
    said=st.lists(st.sampled_from(EVERYTHING), unique_by=lambda one: one.id),
    name=st.sampled_from(["alpha", "beta", "delta", "gamma"]),
)
def test_the_next_number_is_in_force_when_the_root_says_it(
    said: list[Statement], name: str
) -> None:
    number = at(NOW_S, *said).numbers.get(("node", name), 1)
    moved = sign(record(name, STRANGER, number), ROOT)
    assert nodes(at(NOW_S, *said, moved))[name] == STRANGER.public
    gone = sign(record(name, STRANGER, number, removed=True), ROOT)
    assert at(NOW_S, *said, gone).node(name) is None


@given(
    said=st.lists(st.sampled_from(EVERYTHING), unique_by=lambda one: one.id),
    now_s=st.sampled_from([NOW_S, NOW_S + 51, NOW_S + 70]),
)
def test_no_member_has_three_keys_and_no_strangers_word_counts(
    said: list[Statement], now_s: int
) -> None:
    keys = [key for member in at(now_s, *said, BY_STRANGER) for key in member.keys]
    assert STRANGER.public not in keys
    assert all(len(member.keys) <= 2 for member in at(now_s, *said))
