"""A chain tells the way an agent went, and no node can tell another one."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capabilities.canonical import decode, encode, tuple_of
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.journey import Receipt, check_legs, given_at
from capabilities.keys import PrivateKey
from capabilities.lineage import Lineage
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedChain, verify_chain

ROOT, PERSON, X, Y, Z = (PrivateKey(bytes([n]) * 32) for n in range(71, 76))
HOSTS = frozenset(key.public.bytes for key in (X, Y, Z))
AGENT, STATES = b"a" * 32, [bytes([n]) * 32 for n in range(9)]
GIVEN = (
    mint(ROOT, PERSON.public, Caveats(exp=1000, rights=(Rights(Verb.READ, "**"),)))
    .append(PERSON, X.public, Caveats(agent=AGENT))
)  # fmt: skip


def hop(token: Token, giver: PrivateKey, taker: PrivateKey, epoch: int, state: int = 0) -> Token:
    return token.append(giver, taker.public, Caveats(epoch=epoch, state=STATES[state]))


def chain(token: Token) -> VerifiedChain:
    return verify_chain(token.to_bytes(), roots={ROOT.public})


def refused_block(token: Token, epoch: int) -> int:
    with pytest.raises(TokenRefused) as refused:
        check_legs(chain(token), AGENT, epoch, HOSTS)
    assert refused.value.code == "token/epoch"
    return refused.value.block


THERE_AND_BACK = hop(hop(hop(GIVEN, X, Y, 1, 1), Y, Z, 2, 2), Z, X, 3, 3)


def epochs(token: Token, agent: bytes) -> list[tuple[int, int]]:
    """Return index and epoch of the hand-overs of an agent, found the plain way."""
    blocks = token.blocks
    start = next((i for i, block in enumerate(blocks) if block.caveats.agent == agent), len(blocks))
    found = [(i, block.caveats.epoch) for i, block in enumerate(blocks) if i >= start]
    return [(index, epoch) for index, epoch in found if epoch is not None]


def test_hand_overs_that_lead_to_an_epoch_one_by_one_are_accepted() -> None:
    check_legs(chain(THERE_AND_BACK), AGENT, 3, HOSTS)
    check_legs(chain(GIVEN), AGENT, 0, HOSTS)


def test_another_epoch_than_the_one_handed_over_is_refused() -> None:
    for epoch in (2, 4):
        assert refused_block(THERE_AND_BACK, epoch) == 4


@pytest.mark.parametrize("epoch", [0, 1, 3, 4, 9])
def test_a_host_that_kept_an_old_image_cannot_give_a_later_epoch(epoch: int) -> None:
    had = hop(GIVEN, X, Y, 1)  # Y had it at epoch 1, gave epoch 2 to Z, and tries again
    check_legs(chain(hop(had, Y, Z, 2)), AGENT, 2, HOSTS)
    assert refused_block(hop(had, Y, Z, epoch), epoch) == 3


def test_a_host_that_gives_the_agent_to_itself_has_no_more_epochs_to_give() -> None:
    had = hop(GIVEN, X, Y, 1)
    assert refused_block(hop(hop(had, Y, Y, 2), Y, Z, 3), 3) == 3
    between = hop(had, Y, Y, 2).append(Y, Y.public, Caveats())
    assert refused_block(hop(between, Y, Z, 3), 3) == 3
    successor = PrivateKey(b"s" * 32)  # another key of the same node
    token, hosts = (
        chain(hop(hop(had, Y, successor, 2), successor, Z, 3)),
        {*HOSTS, successor.public.bytes},
    )
    check_legs(token, AGENT, 3, hosts)
    with pytest.raises(TokenRefused):
        check_legs(token, AGENT, 3, hosts, Lineage(old_of={successor.public: Y.public}))


def test_a_host_does_not_give_the_agent_to_a_key_that_is_no_nodes_and_take_it_back() -> None:
    """It would be ahead by as many epochs as it likes, and never sign for one of them twice."""
    ghost, had = PrivateKey(b"g" * 32), hop(GIVEN, X, Y, 1)
    there = hop(had, Y, ghost, 2)
    back = hop(there, ghost, Y, 3)
    onwards = hop(back, Y, Z, 4)
    assert refused_block(there, 2) == 3
    assert refused_block(back, 3) == 3
    assert refused_block(onwards, 4) == 3
    unsaid = had.append(Y, ghost.public, Caveats())  # not as a hand-over
    assert refused_block(hop(unsaid, ghost, Z, 2), 2) == 4
    check_legs(chain(onwards), AGENT, 4, {*HOSTS, ghost.public.bytes})


def test_nobody_is_given_an_agent_by_the_first_block_of_a_token() -> None:
    token = mint(ROOT, X.public, Caveats(exp=9, rights=(), agent=AGENT, epoch=1))
    assert refused_block(token, 1) == 0


def test_epochs_of_another_agent_on_the_same_token_do_not_count() -> None:
    child = b"c" * 32
    parents = hop(GIVEN, X, Y, 7).append(Y, Y.public, Caveats(agent=child))
    check_legs(chain(parents), child, 0, HOSTS)
    check_legs(chain(hop(parents, Y, Z, 1)), child, 1, HOSTS)
    with pytest.raises(TokenRefused):
        check_legs(chain(hop(parents, Y, Z, 8)), child, 1, HOSTS)
    again = hop(hop(GIVEN, X, Y, 1).append(Y, Y.public, Caveats(agent=AGENT)), Y, Z, 9)
    assert refused_block(again, 9) == 4  # naming the agent again forgets nothing


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, AGENT, b"c" * 32]),
            st.none() | st.integers(0, 3),
            st.sampled_from([X, Y]),
        )
    ),
    st.integers(0, 3),
)
def test_the_hand_overs_of_any_chain_are_judged_like_the_list_of_them(
    said: list[tuple[bytes | None, int | None, PrivateKey]], epoch: int
) -> None:
    token, holder = mint(ROOT, X.public, Caveats(exp=1000, rights=())), X
    for agent, handed, taker in said[:8]:
        token = token.append(holder, taker.public, Caveats(agent=agent, epoch=handed))
        holder = taker
    found = epochs(token, AGENT)
    wrong = [after[0] for before, after in pairwise(found) if after[1] != before[1] + 1]
    if found and found[-1][1] != epoch:
        wrong.append(found[-1][0])
    for index, _ in found[-2:-1]:
        if token.blocks[index - 1].key == token.blocks[index].key:
            wrong.append(index)
    with pytest.raises(TokenRefused) if wrong else nullcontext() as refused:
        check_legs(chain(token), AGENT, epoch, HOSTS)
    assert refused is None or refused.value.block == wrong[0]


def test_two_receipts_for_one_epoch_prove_that_the_giver_lied() -> None:
    first = Receipt.of(hop(GIVEN, X, Y, 1), X.public)
    again = Receipt.from_bytes(first.to_bytes(), X.public)
    assert again == first
    assert first.leg == (None, Y.public, 1, STATES[0])
    assert not first.contradicts(again)
    assert first.contradicts(Receipt.of(hop(GIVEN, X, Z, 1), X.public))
    assert first.contradicts(Receipt.of(hop(GIVEN, X, Y, 1, 5), X.public))
    assert not first.contradicts(Receipt.of(hop(GIVEN, X, Z, 2), X.public))
    plain = Receipt.of(GIVEN.append(X, Y.public, Caveats()), X.public)
    assert not plain.contradicts(Receipt.of(GIVEN.append(X, Z.public, Caveats()), X.public))
    later = hop(hop(GIVEN, X, Y, 1), Y, Z, 2)
    assert not first.contradicts(Receipt.of(later, Y.public))


def test_with_which_token_an_agent_was_given_away_makes_no_difference() -> None:
    named, other = Caveats(agent=AGENT, epoch=1), Caveats(agent=b"b" * 32, epoch=1)
    first = Receipt.of(GIVEN.append(X, Y.public, named), X.public)
    later = GIVEN.append(X, X.public, Caveats())  # a block for itself
    granted = mint(ROOT, X.public, Caveats(exp=9, rights=(Rights(Verb.READ, "**"),)))
    for token in (later, granted):
        assert first.contradicts(Receipt.of(token.append(X, Z.public, named), X.public))
        assert not first.contradicts(Receipt.of(token.append(X, Y.public, named), X.public))
        assert not first.contradicts(Receipt.of(token.append(X, Z.public, other), X.public))
        plain = token.append(X, Z.public, Caveats(epoch=1))  # which nobody takes an agent for
        assert not first.contradicts(Receipt.of(plain, X.public))
    bare = granted.append(X, Y.public, named)
    assert epochs(bare, AGENT) == [(1, 1)]
    check_legs(chain(hop(bare, Y, Z, 2)), AGENT, 2, HOSTS)
    assert refused_block(hop(bare, Y, Z, 3), 3) == 2
    assert Receipt.of(hop(bare, Y, Z, 2), X.public, 1) == Receipt.of(bare, X.public)


def test_a_chain_tells_which_block_gave_an_epoch_away() -> None:
    way = chain(THERE_AND_BACK)
    assert [given_at(way, AGENT, epoch) for epoch in range(5)] == [None, 2, 3, 4, None]
    granted = chain(mint(ROOT, Y.public, Caveats(exp=9, rights=(), epoch=1)))
    assert given_at(granted, AGENT, 1) is None  # nobody on the way signed it
    child = chain(hop(hop(GIVEN, X, Y, 7).append(Y, Y.public, Caveats(agent=b"c" * 32)), Y, Z, 1))
    assert given_at(child, b"c" * 32, 7) is None  # of its parent


def test_nobody_makes_a_receipt_for_another_node() -> None:
    token = hop(GIVEN, X, Y, 1)
    with pytest.raises(TokenInvalid):
        Receipt.of(token, Y.public)
    data = Receipt.of(token, X.public).to_bytes()
    with pytest.raises(TokenInvalid):
        Receipt.from_bytes(data, Y.public)
    for position in range(len(data)):
        bent = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(TokenInvalid):
            Receipt.from_bytes(bent, X.public)
    previous, body, signature = tuple_of(decode(data), 3, "a receipt")
    for bad in (
        [previous, "text", signature],
        [previous, body, signature, 0],
        [previous, b"x" * 5_000, signature],
    ):
        with pytest.raises(TokenInvalid):
            Receipt.from_bytes(encode(bad), X.public)


def test_a_receipt_that_is_long_or_of_another_shape_is_refused() -> None:
    for bad, why in (
        ([b"p" * 32, b"x" * 5_000, bytes(64)], "too-long"),
        ([b"p" * 32, "text", bytes(64)], "shape"),
        ([b"p" * 31, b"x", bytes(64)], "shape"),
    ):
        with pytest.raises(TokenInvalid) as refused:
            Receipt.from_bytes(encode(bad), X.public)
        assert refused.value.code == f"token/bad-{why}"
