"""The meter's own bounds."""

from __future__ import annotations

import pytest

from capabilities import budget
from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.custody import hand_on, take_back
from capabilities.errors import TokenRefused
from capabilities.keys import PrivateKey
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedToken, verify

ROOT, HERE, THERE = (PrivateKey(bytes([n]) * 32) for n in range(61, 64))


def token(**caveats: object) -> Token:
    rights = (Rights(Verb.READ, "**"),)
    return mint(ROOT, HERE.public, Caveats(exp=1000, rights=rights, **caveats))  # type: ignore[arg-type]


def verified(made: Token) -> VerifiedToken:
    return verified_at(made, HERE)


def verified_at(made: Token, holder: PrivateKey) -> VerifiedToken:
    return verify(made.to_bytes(), roots={ROOT.public}, presenter=holder.public)


def test_a_refund_gives_back_no_more_than_was_used() -> None:
    chain, meter = verified(token(budget={Resource.FUEL: 10})), Meter()
    meter.debit(chain, {Resource.FUEL: 3})
    meter.refund(chain, {Resource.FUEL: 9})
    assert meter.left(chain) == {Resource.FUEL: 10}
    with pytest.raises(TokenRefused):
        meter.debit(chain, {Resource.FUEL: 11})


def test_a_full_meter_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "METER_ENTRIES_MAX", 2)
    meter = Meter()
    chains = [verified(token(budget={Resource.ROWS: 10}, note=str(n))) for n in range(3)]
    for chain in chains[:2]:
        meter.debit(chain, {Resource.ROWS: 1})
    with pytest.raises(TokenRefused, match="full"):
        meter.debit(chains[2], {Resource.ROWS: 1})
    meter.debit(chains[0], {Resource.ROWS: 1})
    assert len(meter.changed()) == 2


def test_a_full_meter_goes_on_with_what_it_counts_already(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, meter = verified(token(budget={Resource.ROWS: 10})), Meter(HERE.public)
    meter.debit(chain, {Resource.ROWS: 1})
    monkeypatch.setattr(budget, "METER_ENTRIES_MAX", 0)  # it counts more than it has room for
    meter.debit(chain, {Resource.ROWS: 1})
    again = Meter(HERE.public)
    again.load((block, row or b"") for block, row in meter.changed())
    assert again.left(chain) == {Resource.ROWS: 8}
    with pytest.raises(TokenRefused, match="full"):
        again.expect(verified(token(budget={Resource.ROWS: 10}, note="another")))


def test_what_is_expected_of_who_comes_back_is_what_it_then_has() -> None:
    made, here, there = token(budget={Resource.MEM: 10}), Meter(HERE.public), Meter(THERE.public)
    over = hand_on(made, HERE, THERE.public, here, payer=b"agent")
    there.debit(verified_at(over, THERE), {Resource.MEM: 4})
    back = verified(hand_on(over, THERE, HERE.public, there, payer=b"agent"))
    assert there.expect(verified_at(over, THERE)) == {Resource.MEM: 0}, "it is there, and used up"
    assert here.expect(back) == {Resource.MEM: 6}
    assert here.left(back) == {Resource.MEM: 0}
    here.arrive(back)
    assert here.expect(back) == here.left(back) == {Resource.MEM: 6}
    forged = over.append(THERE, HERE.public, Caveats(budget={Resource.MEM: 10}))
    assert here.expect(verified(forged)) == {Resource.MEM: 4}, "all that went is no more"


def test_a_token_is_not_handed_on_where_it_may_not_go() -> None:
    made, meter = token(hops=0, budget={Resource.FUEL: 10}), Meter(HERE.public)
    with pytest.raises(TokenRefused, match="allows 0 hops"):
        hand_on(made, HERE, THERE.public, meter, payer=b"agent")
    assert meter.left(verified(made)) == {Resource.FUEL: 10}


def test_a_refused_hand_off_gives_back_once_though_it_is_handed_on_again() -> None:
    made, meter = token(budget={Resource.FUEL: 10}), Meter(HERE.public)
    away = hand_on(made, HERE, THERE.public, meter, payer=b"agent")
    assert meter.left(verified(made)) == {Resource.FUEL: 0}
    take_back(away, meter, payer=b"agent")
    assert meter.left(verified(made)) == {Resource.FUEL: 10}
    hand_on(made, HERE, THERE.public, meter, payer=b"agent")
    take_back(away, meter, payer=b"agent")
    assert meter.left(verified(made)) == {Resource.FUEL: 0}


def rows_of(meter: Meter) -> Meter:
    """Return what is known after a restart."""
    again = Meter(HERE.public)
    again.load((block, row) for block, row in meter.changed() if row is not None)
    return again


def test_what_was_let_out_for_a_write_that_failed_does_not_last() -> None:
    chain, meter = verified(token(budget={Resource.ROWS: 10})), Meter(HERE.public)
    meter.debit(chain, {Resource.ROWS: 1}, b"agent")
    meter.settle(b"agent")
    meter.debit(chain, {Resource.ROWS: 2}, b"agent")
    assert rows_of(meter).left(chain) == {Resource.ROWS: 9}
    meter.lost()
    assert rows_of(meter).left(chain) == {Resource.ROWS: 10}
    assert meter.left(chain) == {Resource.ROWS: 7}
    meter.settle(b"agent")
    meter.kept()
    meter.lost()  # of the next
    assert rows_of(meter).left(chain) == {Resource.ROWS: 7}


def test_what_came_to_nothing_is_as_it_was() -> None:
    made, meter = token(budget={Resource.ROWS: 10}), Meter(HERE.public)
    parent = verified(made)
    child = verified(made.append(HERE, HERE.public, Caveats(budget={Resource.ROWS: 4})))
    meter.debit(parent, {Resource.ROWS: 1}, b"agent")
    mark = meter.mark(b"agent")
    for _ in range(2):
        meter.fund(child, b"agent")
        meter.debit(child, {Resource.ROWS: 3}, b"agent")
        assert (meter.left(parent), meter.left(child)) == ({Resource.ROWS: 5}, {Resource.ROWS: 1})
        meter.settle(b"agent")
        meter.lost()
        meter.revert(b"agent", mark)
        assert meter.left(parent) == {Resource.ROWS: 9}
    meter.settle(b"agent")
    assert rows_of(meter).left(parent) == {Resource.ROWS: 9}


def test_a_share_that_was_not_released_after_all_is_there_again() -> None:
    made, meter = token(budget={Resource.ROWS: 10}), Meter(HERE.public)
    parent = verified(made)
    child = verified(made.append(HERE, HERE.public, Caveats(budget={Resource.ROWS: 4})))
    meter.fund(child, b"agent")
    mark = meter.mark(b"agent")
    meter.release(child, 1, b"agent")
    meter.debit(parent, {Resource.ROWS: 10}, b"another")  # what was not there to be had
    meter.revert(b"agent", mark)
    assert meter.left(child) == {Resource.ROWS: 0}
    assert meter.left(parent) == {Resource.ROWS: 0}
    meter.refund(parent, {Resource.ROWS: 10}, b"another")
    assert (meter.left(parent), meter.left(child)) == ({Resource.ROWS: 6}, {Resource.ROWS: 4})
