"""A handle answers what `authorize` answers, however often it was asked, and whatever has changed meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capabilities.authorize import Request, authorize
from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.errors import TokenRefused
from capabilities.handles import Handle
from capabilities.keys import PrivateKey
from capabilities.limits import HANDLE_STREAMS_MAX
from capabilities.revocation import Revocation, RevocationSet
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedToken, verify

ROOT, HOLDER, OTHER, NODE = (PrivateKey(bytes([n]) * 32) for n in range(1, 5))
AGENT = b"a" * 32
STREAMS = ["alpha/orders", "alpha/people", "beta/orders", "alpha"]
PATTERNS = ["**", "alpha/*", "*/orders", "alpha/**", "beta/orders"]

verbs = st.sampled_from([Verb.READ, Verb.APPEND, Verb.QUERY])
times = st.integers(0, 12)


@st.composite
def caveats(draw: st.DrawFn, *, first: bool) -> Caveats:
    right = st.builds(
        Rights,
        st.sets(verbs, min_size=1).map(lambda some: Verb(sum(some))),
        st.sampled_from(PATTERNS),
    )
    rights = st.lists(right, max_size=2).map(tuple)
    return Caveats(
        exp=draw(times if first else st.none() | times),
        rights=draw(rights if first else st.none() | rights),
        nbf=draw(st.none() | st.integers(0, 6)),
        at=draw(st.none() | st.just(frozenset({NODE.public})) | st.just(frozenset({ROOT.public}))),
        agent=draw(st.none() | st.just(AGENT)),
        attrs=draw(st.none() | st.just(("shop/*",))),
        revage=draw(st.none() | times),
        budget=draw(st.none() | st.just({Resource.ROWS: 3})),
    )


@st.composite
def tokens(draw: st.DrawFn) -> Token:
    token = mint(ROOT, HOLDER.public, draw(caveats(first=True)), nonce=b"8 bytes.")
    for narrower in draw(st.lists(caveats(first=False), max_size=2)):
        token = token.append(HOLDER, HOLDER.public, narrower, nonce=b"8 bytes.")
    return token


asked = st.tuples(
    verbs,
    st.sampled_from(STREAMS),
    times,
    st.none() | st.sampled_from(["shop/price", "other"]),
    st.sampled_from([{}, {}, {Resource.ROWS: 1}, {Resource.ROWS: 2}]),
    st.none() | times,
)
revoked_block = st.integers(0, 2)


def named(attribute: str | None) -> frozenset[str] | None:
    return None if attribute is None else frozenset({attribute})


def verified(token: Token) -> VerifiedToken:
    return verify(token.to_bytes(), roots={ROOT.public}, presenter=HOLDER.public)


@given(tokens(), st.lists(asked | revoked_block, max_size=12))
def test_a_handle_answers_as_if_asked_for_the_first_time(
    token: Token, steps: list[int | tuple[Verb, str, int, str | None, dict[Resource, int], int]]
) -> None:
    chain, revoked = verified(token), RevocationSet()
    meters = Meter(), Meter()
    handle = Handle(chain, at=NODE.public, agent=AGENT, revoked=revoked, meter=meters[0])
    for step in steps:
        if isinstance(step, int):
            revoked.add(Revocation.sign(ROOT, chain, step % len(chain.blocks)))
            continue
        verb, stream, now_s, attribute, cost, age_s = step
        request = Request(
            verb=verb,
            stream=stream,
            at=NODE.public,
            agent=AGENT,
            now_s=now_s,
            attributes=named(attribute),
            cost=cost,
            revocation_age_s=age_s,
        )
        answers: list[object] = []
        try:
            answers.append(authorize(chain, request, revoked=revoked, meter=meters[1]).block)
        except TokenRefused as refused:
            answers.append((str(refused), refused.block, refused.caveat))
        try:
            answers.append(
                handle.authorize(
                    verb,
                    stream,
                    now_s,
                    attributes=named(attribute),
                    cost=cost,
                    revocation_age_s=age_s,
                )
            )
        except TokenRefused as refused:
            answers.append((str(refused), refused.block, refused.caveat))
        assert answers[0] == answers[1]


def handle_of(token: Token, revoked: RevocationSet, agent: bytes | None = None) -> Handle:
    return Handle(verified(token), at=NODE.public, agent=agent, revoked=revoked)


def test_what_was_allowed_is_refused_once_it_is_revoked_or_late() -> None:
    everything = Caveats(exp=100, rights=(Rights(Verb.READ, "**"),))
    token, revoked = mint(ROOT, HOLDER.public, everything), RevocationSet()
    handle = handle_of(token, revoked)
    for _ in range(2):
        assert handle.authorize(Verb.READ, "alpha/orders", 100) == token.ids[-1]
    with pytest.raises(TokenRefused, match="expired"):
        handle.authorize(Verb.READ, "alpha/orders", 101)
    with pytest.raises(TokenRefused, match="forbids append"):
        handle.authorize(Verb.APPEND, "alpha/orders", 100)
    revoked.add(Revocation.sign(OTHER, token, 0))  # a stranger's changes nothing
    assert handle.authorize(Verb.READ, "alpha/orders", 100) == token.ids[-1]
    revoked.add(Revocation.sign(ROOT, token, 0))
    with pytest.raises(TokenRefused, match="revoked"):
        handle.authorize(Verb.READ, "alpha/orders", 100)


def test_what_costs_is_counted_each_time() -> None:
    budget = Caveats(exp=100, rights=(Rights(Verb.READ, "**"),), budget={Resource.ROWS: 3})
    handle = Handle(
        verified(mint(ROOT, HOLDER.public, budget)),
        at=NODE.public,
        agent=None,
        revoked=RevocationSet(),
        meter=Meter(),
    )
    for _ in range(3):
        handle.authorize(Verb.READ, "alpha/orders", 1)
        handle.authorize(Verb.READ, "alpha/orders", 1, cost={Resource.ROWS: 1})
    with pytest.raises(TokenRefused, match="0 rows left"):
        handle.authorize(Verb.READ, "alpha/orders", 1, cost={Resource.ROWS: 1})
    handle.authorize(Verb.READ, "alpha/orders", 1)


def test_a_handle_forgets_streams_rather_than_grow() -> None:
    everything = Caveats(exp=100, rights=(Rights(Verb.READ, "**"),))
    handle = handle_of(mint(ROOT, HOLDER.public, everything), RevocationSet())
    for number in range(3 * HANDLE_STREAMS_MAX):
        handle.authorize(Verb.READ, f"alpha/{number}", 1)
        assert len(handle._allowed) <= HANDLE_STREAMS_MAX


def test_a_clock_set_back_ends_what_has_not_begun() -> None:
    caveats = Caveats(exp=100, nbf=50, rights=(Rights(Verb.READ, "**"),))
    handle = handle_of(mint(ROOT, HOLDER.public, caveats), RevocationSet())
    handle.authorize(Verb.READ, "alpha/orders", 50)
    with pytest.raises(TokenRefused, match="holds only in"):
        handle.authorize(Verb.READ, "alpha/orders", 49)


def test_what_is_allowed_of_one_attribute_is_not_of_all() -> None:
    caveats = Caveats(exp=100, rights=(Rights(Verb.READ, "**"),), attrs=("shop/*",))
    handle = handle_of(mint(ROOT, HOLDER.public, caveats), RevocationSet())
    handle.authorize(Verb.READ, "alpha/orders", 1, attributes=frozenset({"shop/price"}))
    with pytest.raises(TokenRefused, match="of all attributes"):
        handle.authorize(Verb.READ, "alpha/orders", 1)


def test_a_list_that_has_grown_old_ends_what_was_allowed() -> None:
    caveats = Caveats(exp=100, rights=(Rights(Verb.READ, "**"),), revage=10)
    handle = handle_of(mint(ROOT, HOLDER.public, caveats), RevocationSet())
    handle.authorize(Verb.READ, "alpha/orders", 1, revocation_age_s=10)
    for age_s in (11, None):
        with pytest.raises(TokenRefused, match="revocations"):
            handle.authorize(Verb.READ, "alpha/orders", 1, revocation_age_s=age_s)


def test_what_was_found_before_a_revocation_is_forgotten() -> None:
    everything = Caveats(exp=100, rights=(Rights(Verb.READ, "**"),))
    token, revoked = mint(ROOT, HOLDER.public, everything), RevocationSet()
    handle = handle_of(token, revoked)
    handle.authorize(Verb.READ, "alpha/orders", 1)
    revoked.add(Revocation.sign(OTHER, token, 0))
    handle.authorize(Verb.READ, "alpha/people", 1)
    assert set(handle._allowed) == {"alpha/people"}
