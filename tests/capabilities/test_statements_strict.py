"""Statements that are rightly signed and wrong all the same, and who would fill the list."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from capabilities import membership, statements
from capabilities.canonical import encode
from capabilities.certificate import make_certificate
from capabilities.errors import MemberInvalid
from capabilities.keys import PrivateKey
from capabilities.limits import CERTIFICATE_BYTES_MAX
from capabilities.membership import Ledger
from capabilities.statements import Appointment, Power, Record, Statement, Succession, sign

ROOT, NODE, NEXT = (PrivateKey(bytes([n]) * 32) for n in range(41, 44))
CERTIFICATE = make_certificate(NODE, "alpha")
NOW_S = 1_000


def signed(body: object, *keys: PrivateKey, domain: bytes = statements.D_MEMBER) -> bytes:
    data = body if isinstance(body, bytes) else encode(body)
    return encode([data, [[key.public.bytes, key.sign(domain + data)] for key in keys]])


def record(certificate: object = CERTIFICATE, kind: int = 1) -> list[object]:
    return [kind, "alpha", "node", NODE.public.bytes, certificate, ["h:1"], 1, 50, 0]


def test_a_statement_of_another_shape_is_refused() -> None:
    assert isinstance(Statement.from_bytes(signed(record(), ROOT)).fact, Record)
    for body in (record(), "body"):
        with pytest.raises(MemberInvalid, match="not bytes"):
            Statement.from_bytes(encode([body, [[ROOT.public.bytes, bytes(64)]]]))
    for bad in (
        signed(record(kind=4), ROOT),
        signed([True, *record()[1:]], ROOT),
        signed([], ROOT),
        encode([]),
    ):
        with pytest.raises(MemberInvalid):
            Statement.from_bytes(bad)


def test_no_kind_has_the_domain_of_another() -> None:
    domains = [statements.D_MEMBER, statements.D_APPOINTMENT, statements.D_SUCCESSION]
    assert len(set(domains)) == 3
    for domain in domains[1:]:
        with pytest.raises(MemberInvalid):
            Statement.from_bytes(signed(record(), ROOT, domain=domain))


@pytest.mark.parametrize("certificate", ["text", b"x" * (CERTIFICATE_BYTES_MAX + 1)], ids=len)
def test_a_certificate_that_is_text_or_long_is_refused(certificate: object) -> None:
    with pytest.raises(MemberInvalid, match="at most"):
        Statement.from_bytes(signed(record(certificate), ROOT))


TRUSTED, STRANGER = (PrivateKey(bytes([n]) * 32) for n in range(44, 46))


def of(key: PrivateKey, name: str, seq: int = 1, *, removed: bool = False) -> Record:
    certificate = make_certificate(key, name)
    return Record(name, "node", key.public, certificate, ("h:1",), seq, NOW_S, removed)


def step(old: PrivateKey, new: PrivateKey) -> Statement:
    certificate = make_certificate(new, "alpha")
    return sign(Succession(old.public, new.public, NOW_S, NOW_S + 50, 1, certificate), old, new)


def appointed(key: PrivateKey, by: PrivateKey) -> Statement:
    return sign(Appointment(key.public, Power.ADMIT, 0, 2 * NOW_S, 1), by)


def names(*statements: Statement) -> set[str]:
    """Return who is a member once every succession is over."""
    return {member.name for member in Ledger(ROOT.public, statements).at(NOW_S + 100)}


def test_who_was_removed_does_not_come_back_with_the_key_that_follows() -> None:
    gone = sign(of(NODE, "alpha", 2, removed=True), ROOT)
    again = sign(of(NEXT, "delta"), TRUSTED)
    said = (sign(of(NODE, "alpha"), ROOT), step(NODE, NEXT), appointed(TRUSTED, ROOT), again)
    assert names(*said) == {"alpha", "delta"}
    assert names(*said, gone) == set()


def test_who_was_removed_does_not_stay_under_another_name_with_the_key_before() -> None:
    said = (sign(of(NODE, "delta"), ROOT), step(NODE, NEXT))
    assert names(*said) == {"delta"}
    assert names(*said, sign(of(NEXT, "alpha", removed=True), ROOT)) == set()


def test_a_root_whose_time_is_over_appoints_nobody() -> None:
    delta = sign(of(NODE, "delta"), TRUSTED)
    said = (step(ROOT, NEXT), sign(of(TRUSTED, "alpha"), NEXT), delta)
    assert names(*said, appointed(TRUSTED, NEXT)) == {"alpha", "delta"}
    assert names(*said, appointed(TRUSTED, ROOT)) == {"alpha"}


def test_a_root_that_names_two_successors_has_none() -> None:
    ledger = Ledger(ROOT.public, [step(ROOT, NEXT), step(ROOT, STRANGER)])
    assert ledger.at(NOW_S + 100).roots == {ROOT.public}


def test_nobody_fills_the_list_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "STATEMENTS_OF_ONE_MAX", 3)
    ledger = Ledger(ROOT.public, [Statement.from_bytes(signed(record(), ROOT))])
    said = [Record("alpha", "node", NODE.public, CERTIFICATE, ("h:1",), n, 0) for n in range(9)]
    assert len(ledger.add(sign(one, NODE) for one in said)) == 3
    assert len(ledger.add(sign(one, ROOT) for one in said[2:])) == 7


def test_heirs_say_no_more_than_who_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "STATEMENTS_OF_ONE_MAX", 9)
    ledger = Ledger(ROOT.public, [sign(of(NODE, "alpha"), ROOT)])
    key, heirs = NODE, [PrivateKey.generate() for _ in range(5)]
    for heir in heirs:
        ledger.add([step(key, heir), *(step(key, PrivateKey.generate()) for _ in range(3))])
        key = heir
    assert len(ledger) == 1 + 9
    ledger.add([sign(of(NODE, "alpha", 2, removed=True), ROOT)])
    assert ledger.add(step(heir, PrivateKey.generate()) for heir in heirs) == []


def test_each_statement_is_looked_at_twice_at_most_in_whatever_order_it_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [NODE, *(PrivateKey.generate() for _ in range(100))]
    heirs = [step(old, new) for old, new in pairwise(keys)]
    nobodys = [sign(Appointment(NEXT.public, Power.ADMIT, 0, n, 1), STRANGER) for n in range(50)]
    said = [*nobodys, *reversed(heirs)]
    asked = 0
    has_standing = Ledger._has_standing

    def counted(self: Ledger, statement: Statement) -> bool:
        nonlocal asked
        asked += 1
        return has_standing(self, statement)

    ledger = Ledger(ROOT.public, [sign(of(NODE, "alpha"), ROOT)])
    monkeypatch.setattr(Ledger, "_has_standing", counted)
    assert len(ledger.add(said)) == len(heirs)
    assert asked <= 2 * len(said)


def test_a_reading_walks_no_line_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [TRUSTED, *(PrivateKey.generate() for _ in range(100))]
    said = [sign(of(TRUSTED, "alpha"), ROOT), appointed(TRUSTED, ROOT)]
    for place, (old, new) in enumerate(pairwise(keys)):
        over_s = NOW_S + place
        said.append(sign(Succession(old.public, new.public, over_s, over_s, 1), old, new))
        said.append(sign(of(new, "alpha", place + 2), TRUSTED))
        said.append(sign(of(old, f"n{place}"), TRUSTED))
    ledger, walked = Ledger(ROOT.public, said), 0
    after = membership._Reading._after

    def counted(self: membership._Reading, step: Succession) -> Succession | None:
        nonlocal walked
        walked += 1
        return after(self, step)

    monkeypatch.setattr(membership._Reading, "_after", counted)
    known = ledger.at(NOW_S + 1_000)
    assert {member.key for member in known} == {keys[-1].public}
    assert known.numbers["node", "alpha"] == 102
    assert walked <= 3 * len(keys)


def test_who_becomes_a_root_brings_its_heirs_along_in_whatever_order_it_is_heard() -> None:
    said = [
        sign(of(NODE, "alpha"), ROOT),
        step(NODE, NEXT),
        step(ROOT, NODE),
        appointed(TRUSTED, NEXT),
    ]
    for order in permutations(said):
        assert len(Ledger(ROOT.public, order)) == len(said)


def test_heirs_that_name_each_other_in_a_circle_say_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "STATEMENTS_OF_ONE_MAX", 9)
    circle = [NODE, *(PrivateKey.generate() for _ in range(5))]
    said = [step(old, new) for old, new in zip(circle, [*circle[1:], NODE], strict=True)]
    more = [step(old, PrivateKey.generate()) for old in circle for _ in range(9)]
    ledger = Ledger(ROOT.public, [sign(of(NODE, "alpha"), ROOT), *said])
    assert len(ledger.add(more)) == 9 - len(said)


def test_whom_a_member_records_says_nothing() -> None:
    records = sign(of(NODE, "alpha"), ROOT), sign(of(STRANGER, "beta"), NODE)
    said = step(STRANGER, PrivateKey.generate())
    ledger = Ledger(ROOT.public, [*records, said])
    assert said not in ledger
    assert said in Ledger(ROOT.public, [*records, sign(of(STRANGER, "beta"), ROOT), said])
    ledger.add([appointed(NODE, ROOT), said])
    assert said in ledger


def test_who_follows_an_appointed_key_lets_others_speak_in_whatever_order_it_is_heard() -> None:
    said = [
        appointed(TRUSTED, ROOT),
        step(TRUSTED, NEXT),
        sign(of(NEXT, "alpha"), TRUSTED),
        sign(of(NODE, "beta"), NEXT),
        step(NODE, PrivateKey.generate()),
    ]
    for order in permutations(said):
        ledger = Ledger(ROOT.public)
        for statement in order * len(said):  # nodes tell each other again and again
            ledger.add([statement])
        assert len(ledger) == len(said)
