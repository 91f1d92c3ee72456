"""Receipts that nodes have shown, and what they cannot all mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.journey import Receipt
from capabilities.keys import PrivateKey
from capabilities.lineage import Lineage
from capabilities.tokens import Token, mint
from cli.contradictions import (
    Contradiction,
    Found,
    Names,
    Note,
    Shown,
    _excuse,
    _take,
    contradictions,
)

KEYS = {
    name: PrivateKey(bytes([n]) * 32) for n, name in enumerate(["root", "x", "y", "z", "new"], 81)
}
AGENT = b"\xab" * 32
WHO = AGENT.hex()[:12]
NAMES = Names(
    Lineage(
        {KEYS["x"].public: KEYS["new"].public},
        {KEYS["new"].public: KEYS["x"].public},
    ),
    {KEYS[name].public: name for name in "xyz"},
)  # fmt: skip


def held(name: str, nonce: int = 0) -> Token:
    """Return a token of the agent, on a node."""
    rights = (Rights(Verb.READ, "**"),)
    token = mint(
        KEYS["root"], KEYS["root"].public, Caveats(exp=9, rights=rights), nonce=bytes([nonce]) * 8
    )
    return token.append(KEYS["root"], KEYS[name].public, Caveats(agent=AGENT))


def receipt(
    giver: str, taker: str, epoch: int, state: bytes = b"s" * 32, token: int = 0
) -> Receipt:
    hop = Caveats(agent=AGENT, epoch=epoch, state=state)
    return Receipt.of(
        held(giver, token).append(KEYS[giver], KEYS[taker].public, hop), KEYS[giver].public
    )


def shown(one: Receipt, node: str, at_s: int = 0, *, taken: bool = True) -> Shown:
    return Shown(node, 1000 * at_s, WHO, taken, one, one.leg)


def kinds(*shown: Shown) -> list[tuple[str, int | None, list[str]]]:
    return [(one.kind, one.epoch, one.dishonest) for one in contradictions(shown, NAMES)]


def test_with_which_token_and_which_of_its_keys_a_node_signed_makes_no_difference() -> None:
    first = shown(receipt("x", "y", 3), "y")
    for other in (receipt("x", "z", 3, token=1), receipt("new", "z", 3)):
        assert kinds(first, shown(other, "z")) == [("twice", 3, ["x"])]
    assert kinds(first, shown(receipt("new", "y", 3, b"t" * 32), "y")) == [("twice", 3, ["x"])]
    assert kinds(first, shown(receipt("x", "y", 3, token=1), "y", 5)) == []


def test_two_givers_of_one_epoch_had_one_agent() -> None:
    assert kinds(shown(receipt("x", "y", 3), "y"), shown(receipt("z", "y", 3), "y", 1)) == [
        ("two ways", 3, ["x", "z"])
    ]


def test_an_old_epoch_that_comes_later_than_clocks_differ_is_late() -> None:
    newer = shown(receipt("y", "z", 5), "z", 100)
    assert kinds(newer, shown(receipt("x", "y", 4), "y", 160)) == []
    assert kinds(newer, shown(receipt("x", "y", 4), "y", 161)) == [("late", 4, ["x"])]
    refused = shown(receipt("x", "y", 4), "y", 500, taken=False)
    assert kinds(newer, refused) == []


def test_the_same_receipt_at_two_nodes_is_one() -> None:
    one, other = receipt("x", "y", 3), receipt("x", "z", 3)
    found = contradictions(
        [shown(one, "y", 9), shown(other, "y", 1, taken=False), shown(other, "z", 20)], NAMES
    )
    ((first, second),) = [each.shown for each in found]
    assert (first.node, second.node, first.taken, second.taken) == ("y", "z", True, True)


@pytest.mark.parametrize(
    ("node", "who", "data"),
    [
        ("y", WHO, b"no receipt"),
        ("y", WHO, receipt("z", "y", 3).to_bytes()),  # which x did not sign
        ("y", "0" * 12, receipt("x", "y", 3).to_bytes()),
        ("z", WHO, receipt("x", "y", 3).to_bytes()),
    ],
    ids=["no receipt", "of another giver", "of another agent", "for another node"],
)
def test_a_node_that_shows_what_is_not_its_own_is_named(node: str, who: str, data: bytes) -> None:
    found = Found()
    _take(found, NAMES, node, (1, 2, who, True, KEYS["x"].public.text, data))
    ((kind, dishonest),) = [(one.kind, one.dishonest) for one in found.forged]
    assert (kind, dishonest, found.shown) == ("forged", [node], [])
    assert found.forged[0].counts


def test_what_a_person_wanted_does_not_count() -> None:
    (ways,) = contradictions(
        [shown(receipt("x", "y", 3), "y"), shown(receipt("z", "y", 3), "y", 1)], NAMES
    )
    assert ways.counts
    force = Note("x", WHO, 0, "reclaim", "y", "possible duplicate: taken back from y by force")
    assert not excused(ways, force).counts
    assert excused(ways, force._replace(agent="other")).counts


def test_a_giver_may_say_that_it_was_refused_and_one_of_the_two_lies() -> None:
    (twice,) = contradictions(
        [shown(receipt("x", "y", 3), "y"), shown(receipt("x", "z", 3), "z")], NAMES
    )
    refusal = Note("x", WHO, 0, "migrate", "y", "node y refused the agent: no room")
    told = excused(twice, refusal)
    assert told.excuse == "x wrote down: node y refused the agent: no room"
    assert told.counts
    assert not excused(twice, refusal._replace(node="z")).excuse  # z says nothing of x's offers


def excused(found: Contradiction, *notes: Note) -> Contradiction:
    return replace(found, excuse=_excuse(found, list(notes), NAMES))
