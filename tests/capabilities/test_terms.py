"""What blocks say together is what each of them says, whichever way the chain came to be known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.terms import NO_TERMS, HandOver, Terms
from capabilities.tokens import Block, Token, mint
from capabilities.verify import BlockCache, verify_chain

KEY = PrivateKey(bytes(range(32)))
HASHES = st.sampled_from([b"a" * 32, b"b" * 32])
SECONDS = st.integers(0, 9)
CAVEATS = st.builds(
    Caveats,
    exp=st.none() | SECONDS,
    nbf=st.none() | SECONDS,
    rights=st.sampled_from([None, (), (Rights(Verb.READ, "**"),)]),
    at=st.sampled_from([None, frozenset({KEY.public})]),
    agent=st.none() | HASHES,
    via=st.sampled_from([None, frozenset({KEY.public})]),
    hops=st.none() | SECONDS,
    depth=st.sampled_from([None, 9]),
    budget=st.sampled_from([None, {Resource.ROWS: 3}, {Resource.FUEL: 1, Resource.ROWS: 0}]),
    attrs=st.sampled_from([None, ("a/*",)]),
    revage=st.none() | SECONDS,
    note=st.none(),
    state=st.none(),
    epoch=st.none() | SECONDS,
    account=st.none(),
)
FIRST = Caveats(exp=5, rights=())
SAMPLES: dict[str, Caveats] = {
    "exp": Caveats(exp=1),
    "nbf": Caveats(nbf=1),
    "rights": Caveats(rights=()),
    "at": Caveats(at=frozenset({KEY.public})),
    "agent": Caveats(agent=b"a" * 32),
    "via": Caveats(via=frozenset({KEY.public})),
    "hops": Caveats(hops=1),
    "depth": Caveats(depth=1),
    "budget": Caveats(budget={Resource.ROWS: 1}),
    "attrs": Caveats(attrs=("a/*",)),
    "revage": Caveats(revage=1),
    "epoch": Caveats(epoch=1),
    "note": Caveats(note="for people"),
    "state": Caveats(state=b"s" * 32),
    "account": Caveats(account=KEY.public),
}
REQUEST = {"exp", "nbf", "rights", "at", "agent", "attrs", "revage"}
HOLDER = {"via", "hops", "depth"}
ELSEWHERE = {"budget", "epoch"}  # in terms of their own
TOLD = {"note", "state", "account"}  # bind nobody by themselves


def said(blocks: tuple[Block, ...]) -> Terms:
    """Return what blocks say together, found the plain way."""
    caveats = [block.caveats for block in blocks]
    handed = [(i, one.epoch) for i, one in enumerate(caveats) if one.epoch is not None]
    agents = [(i, one.agent) for i, one in enumerate(caveats) if one.agent is not None]
    names = [name for _, name in agents]
    return Terms(
        length=len(blocks),
        from_s=max((one.nbf for one in caveats if one.nbf is not None), default=0),
        until_s=min(one.exp for one in caveats if one.exp is not None),
        age_max=min((one.revage for one in caveats if one.revage is not None), default=None),
        limited=frozenset(which for one in caveats for which in one.budget or {}),
        conditions=tuple((i, one) for i, one in enumerate(caveats) if _is_new(one, caveats[:i])),
        holding=tuple((i, one) for i, one in enumerate(caveats) if _says(one, HOLDER)),
        named=tuple((name, i) for at, (i, name) in enumerate(agents) if name not in names[:at]),
        handed=HandOver(*handed[-1], handed[-2][0] if handed[1:] else None) if handed else None,
        leaps=tuple(
            (handed[at][0], handed[at + 1][0])
            for at in range(len(handed) - 1)
            if handed[at + 1][1] != handed[at][1] + 1
        ),
        hosts=frozenset(
            key
            for i, _ in handed
            for key in (blocks[i - 1].key.bytes if i else b"", blocks[i].key.bytes)
        ),
    )


def _is_new(caveats: Caveats, before: list[Caveats]) -> bool:
    """Return whether a block has anything for a request; an agent's name once more is nothing."""
    again = any(caveats.agent == one.agent for one in before)
    return _says(caveats, REQUEST - {"agent"} if again else REQUEST)


def _says(caveats: Caveats, names: set[str]) -> bool:
    return any(getattr(caveats, name) is not None for name in names)


@given(st.lists(CAVEATS, max_size=6))
def test_terms_are_those_of_all_blocks_however_they_are_found(more: list[Caveats]) -> None:
    token = mint(KEY, KEY.public, FIRST)
    for caveats in more:
        token = token.append(KEY, KEY.public, caveats)
    expected = [said(token.blocks[: index + 1]) for index in range(len(token.blocks))]
    assert [block.terms for block in token.blocks] == expected
    read = Token.from_bytes(token.to_bytes())
    assert [block.terms for block in read.blocks] == expected


@given(st.lists(CAVEATS.map(lambda one: one._replace(hops=None)), max_size=5))
def test_a_token_that_grows_is_verified_to_the_same_chain_as_at_once(more: list[Caveats]) -> None:
    cache, token = BlockCache(), mint(KEY, KEY.public, FIRST)
    for caveats in more:
        token = token.append(KEY, KEY.public, caveats)
        grown = verify_chain(token.to_bytes(), roots={KEY.public}, cache=cache)
        assert grown == verify_chain(token.to_bytes(), roots={KEY.public})


def test_an_agent_that_is_named_with_each_hop_is_asked_for_once() -> None:
    terms = NO_TERMS.extended(SAMPLES["agent"])
    assert terms.extended(Caveats(agent=b"a" * 32, epoch=1)).conditions == terms.conditions
    for other in (Caveats(agent=b"b" * 32), Caveats(agent=b"a" * 32, exp=1)):
        assert terms.extended(other).conditions == (*terms.conditions, (1, other))


def test_what_was_granted_ends_before_the_first_block_that_names_an_agent() -> None:
    person = NO_TERMS.extended(FIRST).extended(Caveats(exp=1))
    assert person.granted == 1
    agent = person.extended(Caveats(agent=b"a" * 32))
    hopped = agent.extended(Caveats(agent=b"a" * 32, epoch=1)).extended(Caveats(agent=b"b" * 32))
    assert (agent.granted, hopped.granted) == (1, 1)
    assert NO_TERMS.extended(Caveats(agent=b"a" * 32)).granted == 0


@pytest.mark.parametrize("name", Caveats._fields)
def test_every_caveat_has_its_place(name: str) -> None:
    caveats = SAMPLES[name]
    terms = NO_TERMS.extended(caveats)
    assert sum(name in group for group in (REQUEST, HOLDER, ELSEWHERE, TOLD)) == 1
    assert terms.conditions == (((0, caveats),) if name in REQUEST else ())
    assert terms.holding == (((0, caveats),) if name in HOLDER else ())
    assert (terms == Terms(length=1)) == (name in TOLD)
