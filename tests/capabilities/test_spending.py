"""What was granted is spent once: over nodes, children, hops, refusals and crashes."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purses import GRANT, KEPT, KEYS, PERSON, Node, World, before, chain, granted

from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource
from capabilities.custody import hand_on, take_back
from capabilities.errors import TokenRefused
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain


# From a number, not of hypothesis' own choosing, which is too plain to come to the end of a budget.
@given(st.integers(0, 1 << 32), st.booleans())
@settings(max_examples=120)
def test_what_a_tree_of_agents_spends_never_exceeds_the_grant(seed: int, account: bool) -> None:
    world = World(random.Random(seed), account)
    for _ in range(60):
        world.turn()
        spent = world.spent()
        assert all(spent[r] <= GRANT[r] for r in KEPT), spent


@given(st.randoms(use_true_random=False))
@settings(max_examples=120)
def test_nothing_is_lost_when_everybody_comes_home(chance: random.Random) -> None:
    """Nobody counts hops here: a child without a share of them could not follow a parent who took all of them along."""
    world = World(chance, account=False)
    world.shared = KEPT[:-1]
    world.begin(granted({r: GRANT[r] for r in world.shared}))
    shareable = [world.spend, world.slice, world.commit, world.spawn, world.leave]
    for _ in range(25):
        agent = chance.choice(list(world.live.values()))
        if agent.leaving is not None:
            world.answer(agent)
        elif chance.random() < 0.1:
            world.crash(chance.randrange(3))
        else:
            chance.choice(shareable)(agent)
    for agent_id in list(world.live):
        bring_home(world, agent_id)
    left, spent = world.nodes[0].meter.left(chain(world.first)), world.spent()
    assert {r: left[r] + spent[r] for r in world.shared} == {r: GRANT[r] for r in world.shared}


@given(st.integers(0, 1 << 32))
@settings(max_examples=200)
def test_nothing_is_lost_wherever_an_agent_ends(seed: int) -> None:
    """An agent without children, that goes anywhere, also where it had been; every message is heard in the end."""
    world = World(random.Random(seed), account=False)
    world.heard, world.shared = 1.0, KEPT[:2]
    world.begin(granted({r: GRANT[r] for r in world.shared}))
    (agent_id,) = world.live
    for _ in range(40):
        agent = world.live[agent_id]
        if agent.leaving is not None:
            world.answer(agent)
        elif world.chance.random() < 0.1:
            world.crash(world.chance.randrange(3))
        else:
            world.chance.choice([world.spend, world.slice, world.leave, world.leave])(agent)
    agent = world.live[agent_id]
    if agent.leaving is not None:
        world.save(agent.id)
        world.answer(agent)
    world.end(agent)
    while world.waiting:
        world.hear()
    left, spent = world.nodes[0].meter.left(chain(world.first)), world.spent()
    assert {r: left[r] + spent[r] for r in world.shared} == {r: GRANT[r] for r in world.shared}


@given(st.integers(0, 1 << 32))
@settings(max_examples=200)
def test_an_agent_makes_every_hop_that_it_was_granted(seed: int) -> None:
    """Also the last ones, of which nothing is left to go along, whoever refuses it and whatever crashes."""
    world = World(random.Random(seed), account=False)
    grant = {Resource.HOPS: 4} if seed % 2 else {Resource.HOPS: 4, Resource.ROWS: 40}
    world.begin(granted(grant))
    (agent_id,) = world.live
    for _ in range(60):
        agent = world.live[agent_id]
        if agent.leaving is not None:
            world.answer(agent)
        elif world.chance.random() < 0.1:
            world.crash(world.chance.randrange(3))
        else:
            world.chance.choice([world.spend, world.commit, world.leave, world.leave])(agent)
        agent = world.live[agent_id]
        if agent.leaving is None:
            left = world.nodes[agent.node].meter.left(chain(agent.token))
            assert left == {r: n - agent.spent[r] for r, n in grant.items()}


def way(*nodes: int) -> tuple[list[Meter], Token]:
    """Return the meters of nodes, and a token with ten rows that has gone from one to the next."""
    meters = [Meter(key.public) for key in KEYS]
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[nodes[0]].public, Caveats())
    for here, there in pairwise(nodes):
        token = hand_on(token, KEYS[here], KEYS[there].public, meters[here], payer=b"a")
        meters[there].arrive(chain(token), b"a")
    return meters, token


@pytest.mark.parametrize(
    ("nodes", "hops"),
    [
        ((0, 1, 0, 1), [(1, 0)]),
        ((0, 1, 2, 1), [(1, 0)]),
        ((0, 1, 2, 1, 2), [(2, 1), (1, 0)]),
        ((0, 1, 2, 0, 2), [(2, 0)]),
        ((0, 1, 2, 1, 0), []),
        ((0, 1, 0, 2, 1, 2), [(2, 0)]),
    ],
)
def test_what_is_left_goes_back_without_the_loops_of_its_way(
    nodes: tuple[int, ...], hops: list[tuple[int, int]]
) -> None:
    meters, token = way(*nodes)
    here, gone, left = nodes[-1], [], chain(token)
    meters[here].release(left, 1)
    while found := meters[here].hand_back(left, 1):
        (handed,) = found
        left = before(handed)
        back = meters[here].given_back(handed.blocks[-1].id)
        there = next(i for i, key in enumerate(KEYS) if key.public == handed.blocks[-2].key)
        gone.append((here, there))
        assert meters[here].left(handed) == {Resource.ROWS: 0}
        assert meters[there].credit(handed, back) == {Resource.ROWS: 10}
        assert meters[there].credit(handed, back) == {}
        meters[there].release(left, 1)
        here = there
    assert gone == hops
    assert meters[0].left(VerifiedChain(token.root, token.blocks[:2])) == {Resource.ROWS: 10}


def test_what_two_give_back_with_one_block_counts_as_far_as_it_lasts() -> None:
    """What one of them undoes is in nobody's message; an old message is no message."""
    meters, token = way(0, 1)
    meter, last = meters[1], token.ids[-1]
    shares = [
        token.append(
            KEYS[1], KEYS[1].public, Caveats(agent=bytes([n]) * 32, budget={Resource.ROWS: 4})
        )
        for n in range(2)
    ]
    for share in shares:
        meter.fund(chain(share))
    mark = meter.mark(b"first")
    for share, payer in zip(shares, (b"first", b"second"), strict=True):
        meter.release(chain(share), 3, payer)
        assert meter.hand_back(chain(token), 1, payer) == [chain(token)]
    assert meter.given_back(last, b"second") == {Resource.ROWS: 4}
    meter.settle(b"second")
    meter.revert(b"first", mark)
    assert meter.given_back(last) == {Resource.ROWS: 4}
    assert meter.left(chain(shares[0])) == {Resource.ROWS: 4}
    meter.release(chain(shares[0]), 3)
    meter.hand_back(chain(token), 1)
    assert meter.given_back(last) == {Resource.ROWS: 10}
    there = meters[0]
    heard = [there.credit(chain(token), {Resource.ROWS: n}) for n in (4, 4, 10, 4, 11)]
    assert heard == [{Resource.ROWS: 4}, {}, {Resource.ROWS: 6}, {}, {}]


def test_no_more_comes_back_than_is_away_with_any_block_before() -> None:
    """Two of the same agent's tokens, of which a liar says that both have come back, are worth no more than went."""
    meters, home = way(0, 1, 0)
    meter = meters[0]
    again = hand_on(home, KEYS[0], KEYS[1].public, meter, payer=b"a")
    first = Token.from_bytes(again.to_bytes())
    back = again.append(KEYS[1], KEYS[0].public, Caveats(budget={Resource.ROWS: 6}))
    assert meter.arrive(chain(back), b"a") == {Resource.ROWS: 6}
    went = VerifiedChain(home.root, home.blocks[:-1])
    assert meter.credit(went, {Resource.ROWS: 10}) == {Resource.ROWS: 4}
    assert meter.credit(chain(first), {Resource.ROWS: 10}) == {}


def test_what_was_refused_does_not_come_back_with_an_earlier_block() -> None:
    meters, home = way(0, 1, 0)
    meter, went = meters[0], VerifiedChain(home.root, home.blocks[:-1])
    there = hand_on(home, KEYS[0], KEYS[1].public, meter, payer=b"a")
    take_back(there, meter, payer=b"a")
    assert meter.left(chain(home)) == {Resource.ROWS: 10}
    assert meter.credit(went, {Resource.ROWS: 10}) == {}, "it is here"


def test_what_has_gone_back_may_come_once_more() -> None:
    """From who has it again, to where it had come back: it is away from there again, and no more than that."""
    meters, home = way(0, 1, 0)
    there = hand_on(home, KEYS[0], KEYS[1].public, meters[0], payer=b"a")
    meters[1].arrive(chain(there), b"a")
    (handed,) = meters[1].hand_back(chain(there), 1)
    meters[0].credit(handed, meters[1].given_back(handed.blocks[-1].id))
    backs = [
        home.append(KEYS[0], KEYS[1].public, Caveats(budget={Resource.ROWS: n})) for n in (6, 5)
    ]
    assert [meters[1].arrive(chain(back))[Resource.ROWS] for back in backs] == [6, 4]


def bring_home(world: World, agent_id: bytes) -> None:
    """Let a hand-off under way end, hop to the first node, end there."""
    agent = world.live[agent_id]
    if agent.leaving is not None:
        world.save(agent.id)
        world.answer(agent, refused=False)
    if agent.node:
        node = world.nodes[agent.node]
        agent.leaving = hand_on(agent.token, node.key, KEYS[0].public, node.meter, payer=agent.id)
        agent.target = 0
        world.save(agent.id)
        world.answer(agent, refused=False)
    world.end(agent)


def test_a_copy_has_nothing_left_after_the_original_has_gone() -> None:
    alpha = Meter(KEYS[0].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    alpha.debit(chain(token), {Resource.ROWS: 3})
    gone = hand_on(token, KEYS[0], KEYS[1].public, alpha, payer=b"a")
    assert gone.blocks[-1].caveats.budget == {Resource.ROWS: 7}
    with pytest.raises(TokenRefused, match="block 0 has 0 rows left, not 1"):
        alpha.debit(chain(token), {Resource.ROWS: 1})


def test_what_comes_back_is_there_again_once() -> None:
    alpha, beta = Meter(KEYS[0].public), Meter(KEYS[1].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    there = hand_on(token, KEYS[0], KEYS[1].public, alpha, payer=b"a")
    beta.debit(chain(there), {Resource.ROWS: 4})
    back = hand_on(there, KEYS[1], KEYS[0].public, beta, payer=b"a")
    assert alpha.arrive(chain(back)) == {Resource.ROWS: 6}
    assert alpha.arrive(chain(back)) == {}
    alpha.debit(chain(back), {Resource.ROWS: 6})
    with pytest.raises(TokenRefused, match="has 0 rows left"):
        alpha.debit(chain(back), {Resource.ROWS: 1})


def test_all_that_comes_back_is_never_more_than_went() -> None:
    alpha = Meter(KEYS[0].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    there = hand_on(token, KEYS[0], KEYS[1].public, alpha, payer=b"a")
    backs = [
        there.append(KEYS[1], KEYS[0].public, Caveats(budget={Resource.ROWS: 6})) for _ in range(3)
    ]
    with pytest.raises(TokenRefused, match="handed on from here and has not come back"):
        alpha.debit(chain(backs[0]), {Resource.ROWS: 1})
    assert [alpha.arrive(chain(back))[Resource.ROWS] for back in backs] == [6, 4, 0]


def test_a_host_that_says_more_has_come_back_is_believed_up_to_what_left() -> None:
    alpha = Meter(KEYS[0].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    alpha.debit(chain(token), {Resource.ROWS: 8})
    there = hand_on(token, KEYS[0], KEYS[1].public, alpha, payer=b"a")
    back = there.append(KEYS[1], KEYS[0].public, Caveats(budget={Resource.ROWS: 1000}))
    assert alpha.arrive(chain(back)) == {Resource.ROWS: 2}
    silent = there.append(KEYS[1], KEYS[0].public, Caveats())
    assert alpha.left(chain(silent)) == {Resource.ROWS: 0}


def test_a_refused_hand_off_gives_everything_back_once() -> None:
    alpha = Meter(KEYS[0].public)
    token = granted({Resource.ROWS: 10, Resource.HOPS: 2}).append(PERSON, KEYS[0].public, Caveats())
    there = hand_on(token, KEYS[0], KEYS[1].public, alpha, payer=b"a")
    assert alpha.left(chain(token)) == {Resource.ROWS: 0, Resource.HOPS: 0}
    take_back(there, alpha, payer=b"a")
    take_back(there, alpha, payer=b"a")
    assert alpha.left(chain(token)) == {Resource.ROWS: 10, Resource.HOPS: 2}


def test_a_refused_hand_off_gives_the_last_hop_back_though_nothing_else_went() -> None:
    alpha = Meter(KEYS[0].public)
    token = granted({Resource.HOPS: 3}).append(PERSON, KEYS[0].public, Caveats())
    alpha.debit(chain(token), {Resource.HOPS: 2})
    for _ in range(3):
        there = hand_on(token, KEYS[0], KEYS[1].public, alpha, payer=b"a")
        assert there.blocks[-1].caveats.budget == {Resource.HOPS: 0}
        take_back(there, alpha, payer=b"a")
        take_back(there, alpha, payer=b"a")
        assert alpha.left(chain(token)) == {Resource.HOPS: 1}


def test_a_share_is_the_childs_even_when_its_parent_spends_the_rest() -> None:
    alpha = Meter(KEYS[0].public)
    parent = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    child = parent.append(KEYS[0], KEYS[0].public, Caveats(budget={Resource.ROWS: 4}))
    alpha.fund(chain(child))
    alpha.debit(chain(parent), {Resource.ROWS: 6})
    alpha.debit(chain(child), {Resource.ROWS: 3})
    assert alpha.release(chain(child), 2) == {Resource.ROWS: 1}
    assert alpha.release(chain(child), 2) == {Resource.ROWS: 0}
    assert alpha.left(chain(parent)) == {Resource.ROWS: 1}


def test_what_is_left_at_an_end_elsewhere_goes_back_the_way_it_came() -> None:
    meters = [Meter(key.public) for key in KEYS]
    token = granted({Resource.ROWS: 10}).append(
        PERSON, KEYS[0].public, Caveats(budget={Resource.ROWS: 8})
    )
    meters[0].fund(chain(token))
    there = hand_on(token, KEYS[0], KEYS[1].public, meters[0], payer=b"a")
    further = hand_on(there, KEYS[1], KEYS[2].public, meters[1], payer=b"a")
    meters[2].debit(chain(further), {Resource.ROWS: 3})
    (handed,) = meters[2].hand_back(chain(further), 1)
    assert handed == chain(further)
    assert meters[2].given_back(further.ids[-1]) == {Resource.ROWS: 5}
    assert meters[2].left(chain(further)) == {Resource.ROWS: 0}
    assert meters[1].credit(chain(further), {Resource.ROWS: 5}) == {Resource.ROWS: 5}
    assert meters[1].credit(chain(further), {Resource.ROWS: 5}) == {}
    assert meters[1].hand_back(chain(there), 1) == [chain(there)]
    assert meters[0].credit(chain(there), {Resource.ROWS: 500}) == {Resource.ROWS: 8}
    meters[0].release(chain(token), 1)
    assert meters[0].hand_back(chain(token), 1) == []
    parent = VerifiedChain(token.root, token.blocks[:1])
    assert meters[0].left(parent) == {Resource.ROWS: 10}, "a liar gets back at most what went"


def test_a_share_that_is_not_there_is_refused() -> None:
    alpha = Meter(KEYS[0].public)
    parent = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    child = parent.append(KEYS[0], KEYS[0].public, Caveats(budget={Resource.ROWS: 11}))
    with pytest.raises(TokenRefused, match="block 0 has 10 rows left, not 11"):
        alpha.fund(chain(child))
    assert alpha.left(chain(parent)) == {Resource.ROWS: 10}


def test_a_budget_kept_at_one_node_is_drawn_there_first() -> None:
    alpha, beta = Meter(KEYS[0].public), Meter(KEYS[1].public)
    token = granted({Resource.ROWS: 10}, account=KEYS[0])
    directly = token.append(PERSON, KEYS[1].public, Caveats())
    with pytest.raises(TokenRefused, match="kept at another node"):
        beta.debit(chain(directly), {Resource.ROWS: 1})
    over = hand_on(
        token.append(PERSON, KEYS[0].public, Caveats()), KEYS[0], KEYS[1].public, alpha, payer=b"a"
    )
    beta.debit(chain(over), {Resource.ROWS: 10})
    forged = directly.append(KEYS[1], KEYS[1].public, Caveats(budget={Resource.ROWS: 5}))
    assert beta.left(chain(forged)) == {Resource.ROWS: 0}


def test_a_crash_loses_the_debits_of_the_work_it_undoes_and_no_others() -> None:
    node = Node(KEYS[0])
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    node.meter.debit(chain(token), {Resource.ROWS: 1}, b"a")
    node.meter.debit(chain(token), {Resource.ROWS: 2}, b"b")
    node.meter.debit(chain(token), {Resource.ROWS: 4})
    node.commit(b"b")
    node.crash()
    assert node.meter.left(chain(token)) == {Resource.ROWS: 4}


def test_rows_that_could_not_be_written_are_written_next_time() -> None:
    alpha = Meter(KEYS[0].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    alpha.debit(chain(token), {Resource.ROWS: 1})
    assert alpha.changed() == alpha.changed() != []
    alpha.kept()
    assert alpha.changed() == []


def test_what_comes_back_is_written_with_who_brings_it_and_keeps_nobody_elses_debits_back() -> None:
    node, other = Node(KEYS[0]), Meter(KEYS[1].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    over = hand_on(token, KEYS[0], KEYS[1].public, node.meter, payer=b"a")
    node.commit(b"a")
    back = hand_on(over, KEYS[1], KEYS[0].public, other, payer=b"a")
    node.meter.arrive(chain(back), b"a")
    node.meter.debit(chain(back), {Resource.ROWS: 3})
    node.commit()
    node.crash()
    assert node.meter.left(chain(back)) == {Resource.ROWS: 0}, "it has not come back"
    node.meter.arrive(chain(back), b"a")
    assert node.meter.left(chain(back)) == {Resource.ROWS: 7}
    node.commit(b"a")
    node.crash()
    assert node.meter.left(chain(back)) == {Resource.ROWS: 7}


def test_what_two_have_caused_and_does_not_last_is_left_out_together() -> None:
    node = Node(KEYS[0])
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    node.meter.debit(chain(token), {Resource.ROWS: 4}, b"a")
    node.meter.refund(chain(token), {Resource.ROWS: 4}, b"b")
    node.meter.debit(chain(token), {Resource.ROWS: 1})
    node.commit()
    node.crash()
    assert node.meter.left(chain(token)) == {Resource.ROWS: 9}


def test_what_is_returned_while_somebody_comes_back_is_returned_once() -> None:
    node, other = Node(KEYS[0]), Meter(KEYS[1].public)
    token = granted({Resource.ROWS: 10}).append(PERSON, KEYS[0].public, Caveats())
    over = hand_on(token, KEYS[0], KEYS[1].public, node.meter, payer=b"a")
    node.commit(b"a")
    share = over.append(KEYS[1], KEYS[1].public, Caveats(budget={Resource.ROWS: 6}))
    back = hand_on(share, KEYS[1], KEYS[0].public, other, payer=b"b")
    for _ in range(3):
        node.meter.arrive(chain(back), b"b")
        node.meter.credit(chain(over), {Resource.ROWS: 4})
        node.commit()
        node.crash()  # which undoes that it came back, and not what was returned
        assert node.meter.left(chain(token)) == {Resource.ROWS: 4}
    node.meter.arrive(chain(back), b"b")
    node.commit(b"b")
    node.crash()
    assert node.meter.left(chain(back)) == {Resource.ROWS: 6}, "what came with it is still its own"
    assert node.meter.left(chain(token)) == {Resource.ROWS: 4}


@pytest.mark.parametrize(("share", "left"), [(None, 0), ({Resource.CHILDREN: 0}, 5)])
def test_who_shares_a_budget_takes_along_what_is_left_of_it(
    share: dict[Resource, int] | None, left: int
) -> None:
    meter = Meter(KEYS[0].public)
    parent = granted({Resource.CHILDREN: 5}).append(PERSON, KEYS[0].public, Caveats())
    child = parent.append(KEYS[0], KEYS[0].public, Caveats(budget=share))
    meter.fund(chain(child))
    hand_on(child, KEYS[0], KEYS[1].public, meter, payer=b"child")
    assert meter.left(chain(parent)) == {Resource.CHILDREN: left}
