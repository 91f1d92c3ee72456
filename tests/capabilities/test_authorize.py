"""A block more never allows more; every caveat is noticed, at its very edge."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capabilities.authorize import Request, attributes_of, authorize
from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import PrivateKey, PublicKey
from capabilities.patterns import AttributeFilter, allows_attribute, matches
from capabilities.revocation import RevocationSet
from capabilities.tokens import Token, mint
from capabilities.verify import (
    BlockCache,
    Challenge,
    VerifiedToken,
    allows_hop,
    check_hop,
    verify,
)

ROOT, A, B, C, D = (PrivateKey(bytes([n]) * 32) for n in range(11, 16))
ROOTS = {ROOT.public}
ALL = Verb(sum(Verb))
WIDE = Caveats(exp=1000, rights=(Rights(ALL, "**"),))
NOBODY_REVOKED = RevocationSet()
CACHE = BlockCache()


def present(token: Token, presenter: PublicKey | None = None) -> VerifiedToken:
    return verify(token.to_bytes(), roots=ROOTS, presenter=presenter or token.holder, cache=CACHE)


def narrowed(*blocks: Caveats, first: Caveats = WIDE) -> VerifiedToken:
    token = mint(ROOT, A.public, first, nonce=bytes(8))
    for caveats in blocks:
        token = token.append(A, A.public, caveats, nonce=bytes(8))
    return present(token)


def request(**fields: Any) -> Request:
    defaults: dict[str, Any] = {
        "verb": Verb.READ,
        "stream": "alpha/orders",
        "at": A.public,
        "now_s": 500,
    }
    return Request(**(defaults | fields))


def ask(token: VerifiedToken, **fields: Any) -> str:
    """Return "allowed" or the caveat that refused."""
    try:
        authorize(token, request(**fields), revoked=NOBODY_REVOKED, meter=Meter())
    except TokenRefused as refused:
        return refused.caveat
    return "allowed"


def test_a_refusal_says_block_verb_and_stream() -> None:
    token = narrowed(Caveats(), Caveats(rights=(Rights(Verb.READ, "beta/*"),)))
    with pytest.raises(TokenRefused, match=r"^block 2 forbids append on stream beta/orders$") as e:
        authorize(token, request(verb=Verb.APPEND, stream="beta/orders"), revoked=NOBODY_REVOKED)
    assert (e.value.code, e.value.block, e.value.caveat) == ("token/rights", 2, "rights")


@pytest.mark.parametrize("block", [0, 1, 2])
def test_exp_and_nbf_hold_to_the_second_in_every_block(block: int) -> None:
    blocks = [Caveats(), Caveats()]
    timed = Caveats(exp=700, nbf=300, rights=WIDE.rights)
    token = (
        narrowed(*blocks, first=timed)
        if block == 0
        else narrowed(*(timed if n == block else Caveats() for n in (1, 2)))
    )
    assert [ask(token, now_s=now) for now in (299, 300, 700, 701)] == [
        "nbf",
        "allowed",
        "allowed",
        "exp",
    ]


def test_rights_of_every_block_count() -> None:
    token = narrowed(
        Caveats(rights=(Rights(Verb.READ | Verb.APPEND, "alpha/*"),)),
        Caveats(rights=(Rights(Verb.READ, "**"), Rights(Verb.APPEND, "beta/*"))),
    )
    assert ask(token) == "allowed"
    assert ask(token, verb=Verb.APPEND) == "rights"
    assert ask(token, verb=Verb.APPEND, stream="beta/x") == "rights"
    assert ask(token, stream="beta/x") == "rights"


def test_no_rights_allow_nothing() -> None:
    assert ask(narrowed(Caveats(rights=()))) == "rights"


def test_history_is_not_reading() -> None:
    token = narrowed(Caveats(rights=(Rights(Verb.READ, "**"),)))
    assert ask(token, verb=Verb.HISTORY) == "rights"


def test_a_token_is_used_only_at_its_nodes_and_by_its_agent() -> None:
    token = narrowed(Caveats(at=frozenset({A.public, B.public}), agent=b"a" * 32))
    assert ask(token, at=B.public, agent=b"a" * 32) == "allowed"
    assert ask(token, at=C.public, agent=b"a" * 32) == "at"
    assert ask(token, at=B.public, agent=b"b" * 32) == "agent"
    assert ask(token, at=B.public) == "agent"
    assert ask(narrowed(Caveats(at=frozenset()))) == "at"


def test_an_attribute_filter_refuses_what_it_does_not_name() -> None:
    token = narrowed(Caveats(attrs=("person/*", "!person/secret")))
    assert ask(token, attributes=frozenset({"person/name"})) == "allowed"
    assert ask(token, attributes=frozenset({"person/secret"})) == "attrs"
    assert ask(token, attributes=frozenset({"order/total"})) == "attrs"
    assert ask(token, attributes=frozenset({"person/"})) == "attrs"
    assert ask(token) == "attrs"
    assert ask(token, verb=Verb.MIGRATE, stream="beta") == "allowed"
    only_negative = narrowed(Caveats(attrs=("!person/*",)))
    assert ask(only_negative, attributes=frozenset({"order/total"})) == "allowed"
    assert ask(only_negative, attributes=frozenset({"person/name"})) == "attrs"


def test_attributes_that_are_named_must_all_be_allowed_by_every_block() -> None:
    token = narrowed(Caveats(attrs=("person/*",)), Caveats(attrs=("!person/secret", "!person/x")))
    assert ask(token, attributes=frozenset()) == "allowed"  # what is not named is filtered
    assert ask(token, attributes=frozenset({"person/name", "person/age"})) == "allowed"
    refused = request(attributes=frozenset({"person/name", "person/secret"}))
    message = r"^block 2 forbids read on stream alpha/orders, attribute :person/secret$"
    with pytest.raises(TokenRefused, match=message):
        authorize(token, refused, revoked=NOBODY_REVOKED)
    found = attributes_of(token)
    assert found is not None
    assert [found.refusing(name) for name in ("person/name", "person/x", "order/y")] == [None, 2, 1]
    assert attributes_of(narrowed(Caveats())) is None


@given(st.lists(st.sampled_from([("a/*",), ("!a/y",), ("a/x", "b"), ("a/*", "!a/x")]), max_size=3))
def test_a_filter_allows_what_every_block_allows(blocks: list[tuple[str, ...]]) -> None:
    found = attributes_of(narrowed(*(Caveats(attrs=patterns) for patterns in blocks)))
    for name in ("a/x", "a/y", "a/z", "b", "c"):
        allowed = [allows_attribute(patterns, name) for patterns in blocks]
        assert (found is None or found.allows(name)) == all(allowed)
        for patterns in blocks:  # both together allow what both allow
            assert found is not None
            both = found & AttributeFilter(((1, patterns),))
            assert both.allows(name) == (found.allows(name) and allows_attribute(patterns, name))


def test_an_old_or_unknown_list_of_revocations_is_refused() -> None:
    token = narrowed(Caveats(revage=60))
    assert [ask(token, revocation_age_s=age) for age in (None, 61, 60)] == [
        "revage",
        "revage",
        "allowed",
    ]


def test_a_request_is_for_one_verb_without_a_colon_or_a_gift() -> None:
    for fields in (
        {"verb": Verb(0)},
        {"verb": Verb.READ | Verb.APPEND},
        {"attributes": frozenset({":person/name"})},
        {"cost": {Resource.ROWS: -1}},
    ):
        with pytest.raises(ValueError, match=r"verb|colon|negative"):
            request(**fields)


# -- the chain: hops, depth, via --


def handed(*steps: tuple[PrivateKey, Caveats], first: Caveats = WIDE) -> Token:
    """Return a token minted to A and handed from key to key."""
    token, signer = mint(ROOT, A.public, first), A
    for key, caveats in steps:
        token, signer = token.append(signer, key.public, caveats), key
    return token


def wide(**caveats: Any) -> Caveats:
    return Caveats(exp=1000, rights=WIDE.rights, **caveats)


def test_hops_count_changes_of_key_after_the_block() -> None:
    two = wide(hops=2)
    none = Caveats()
    present(handed((B, none), (B, none), (C, none), first=two))
    with pytest.raises(TokenInvalid, match="block 0: allows 2 hops, not 3"):
        present(handed((B, none), (C, none), (A, none), first=two))
    with pytest.raises(TokenInvalid, match="block 1: allows 0 hops"):
        present(handed((B, Caveats(hops=0)), (C, none)))
    present(handed((B, Caveats(hops=0)), (B, none)))


def test_a_later_block_cannot_give_hops_back() -> None:
    with pytest.raises(TokenInvalid, match="block 0"):
        present(handed((B, Caveats(hops=255)), (C, Caveats(hops=255)), first=wide(hops=1)))


def test_depth_counts_blocks_after_the_block() -> None:
    present(handed((A, Caveats()), first=wide(depth=1)))
    with pytest.raises(TokenInvalid, match="block 0"):
        present(handed((A, Caveats()), (A, Caveats()), first=wide(depth=1)))
    with pytest.raises(TokenInvalid, match="block 0"):
        present(handed((A, Caveats()), first=wide(depth=0)))


def test_via_holds_for_its_own_key_and_every_later_one() -> None:
    via = frozenset({A.public, B.public})
    present(handed((B, Caveats()), (A, Caveats()), first=wide(via=via)))
    with pytest.raises(TokenInvalid, match="block 0"):
        present(handed((B, Caveats()), (C, Caveats()), first=wide(via=via)))
    with pytest.raises(TokenInvalid, match="block 1"):
        present(handed((C, Caveats(via=via))))


def test_a_hop_is_refused_before_it_is_signed() -> None:
    token = present(handed((B, Caveats()), first=wide(hops=1)))
    assert allows_hop(token, B.public)
    assert not allows_hop(token, C.public)
    with pytest.raises(TokenRefused, match="block 0 allows 1 hops, not 2") as caught:
        check_hop(token, C.public)
    assert caught.value.caveat == "hops"
    assert not allows_hop(present(handed(first=wide(depth=0))), A.public)
    assert not allows_hop(present(handed(first=wide(via=frozenset({A.public})))), B.public)


# -- who presents --


def test_a_stolen_token_is_of_no_use() -> None:
    token = handed((B, Caveats()))
    present(token, B.public)
    for thief in (A.public, C.public, ROOT.public):
        with pytest.raises(TokenInvalid, match="another key"):
            present(token, thief)
    with pytest.raises(TokenInvalid, match="another key"):
        verify(token.to_bytes(), roots=ROOTS, presenter=None)


def test_an_untrusted_root_is_refused() -> None:
    token = mint(D, A.public, WIDE)
    with pytest.raises(TokenInvalid, match="not trusted"):
        present(token)


def test_a_bearer_token_needs_the_secret_of_its_last_key() -> None:
    token = handed((B, Caveats()))
    present(token.with_secret(B), C.public)
    data = token.with_secret(B).to_bytes().replace(B.seed, C.seed)
    with pytest.raises(TokenInvalid, match="secret"):
        verify(data, roots=ROOTS, presenter=C.public)


def test_a_possession_is_good_for_one_verifier_and_one_challenge() -> None:
    token = handed((B, Caveats()))
    data = token.prove(B, C.public, b"nonce 1").to_bytes()
    verify(data, roots=ROOTS, presenter=None, challenge=Challenge(C.public, b"nonce 1"))
    for challenge in (None, Challenge(C.public, b"nonce 2"), Challenge(D.public, b"nonce 1")):
        with pytest.raises(TokenInvalid):
            verify(data, roots=ROOTS, presenter=B.public, challenge=challenge)


def test_a_sealed_token_can_be_used_and_not_extended() -> None:
    token = handed((B, Caveats())).seal(B)
    present(token, C.public)
    with pytest.raises(TokenInvalid, match="sealed"):
        token.append(B, C.public, Caveats())
    forged = handed((B, Caveats())).seal(B).to_bytes()
    with pytest.raises(TokenInvalid, match="signature"):
        verify(forged[:-1] + bytes([forged[-1] ^ 1]), roots=ROOTS, presenter=C.public)


@pytest.mark.parametrize("kind", ["seal", "bearer"])
def test_a_host_cannot_make_a_bound_token_one_for_everybody(kind: str) -> None:
    token = handed((B, Caveats()), first=wide(via=frozenset({A.public, B.public})))
    laundered = token.seal(B) if kind == "seal" else token.with_secret(B)
    with pytest.raises(TokenInvalid, match="via"):
        present(laundered, C.public)
    verify(
        token.prove(B, C.public, b"n").to_bytes(),
        roots=ROOTS,
        presenter=None,
        challenge=Challenge(C.public, b"n"),
    )


# -- patterns and chains against oracles --

SEGMENT = st.sampled_from(["a", "b", "ab", "*", "a.b", "ä"])
PATTERN = st.builds(
    lambda segments, end: "/".join([*segments, *end]),
    st.lists(SEGMENT, min_size=1, max_size=3),
    st.sampled_from([[], ["**"]]),
) | st.just("**")
NAME = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "ä", "axb"]), min_size=1, max_size=5).map(
    "/".join
)


@given(PATTERN, NAME)
@settings(max_examples=150)
def test_patterns_agree_with_regular_expressions(pattern: str, name: str) -> None:
    parts = [
        {"*": "[^/]+", "**": "[^/]+(/[^/]+)*"}.get(part, re.escape(part))
        for part in pattern.split("/")
    ]
    assert matches(pattern, name) == (re.fullmatch("/".join(parts), name) is not None)


def test_a_name_with_an_empty_segment_matches_nothing() -> None:
    assert not any(
        matches(pattern, name)
        for pattern in ("**", "*", "*/*", "alpha/**")
        for name in ("", "/", "alpha/", "/alpha", "alpha//x")
    )


NODES = [A.public, B.public, C.public]
BLOCK = st.fixed_dictionaries(
    {},
    optional={
        "exp": st.integers(0, 6),
        "nbf": st.integers(0, 6),
        "rights": st.lists(
            st.tuples(
                st.sampled_from([1, 2, 3]), st.sampled_from(["n/x", "n/*", "*/x", "**", "m/**"])
            ),
            max_size=2,
        ),
        "at": st.sets(st.integers(0, 2)),
        "agent": st.sampled_from([b"p" * 32, b"q" * 32]),
        "rows": st.integers(0, 4),
        "attrs": st.sampled_from([("a/*",), ("!a/y",), ("a/x",), ("a/*", "!a/x")]),
        "revage": st.integers(0, 3),
    },
)
ASKED = st.fixed_dictionaries(
    {
        "verb": st.sampled_from([1, 2]),
        "stream": st.sampled_from(["n/x", "n/y", "m/x"]),
        "at": st.integers(0, 2),
        "agent": st.sampled_from([None, b"p" * 32]),
        "now": st.integers(0, 7),
        "rows": st.integers(0, 4),
        "attribute": st.sampled_from(["a/x", "a/y", "b/x"]),
        "age": st.sampled_from([None, 0, 2]),
    }
)


def caveats_of(block: dict[str, Any]) -> Caveats:
    fields: dict[str, Any] = {
        key: block[key] for key in ("exp", "nbf", "agent", "attrs", "revage") if key in block
    }
    if "rights" in block:
        fields["rights"] = tuple(Rights(Verb(mask), pattern) for mask, pattern in block["rights"])
    if "at" in block:
        fields["at"] = frozenset(NODES[n] for n in block["at"])
    if "rows" in block:
        fields["budget"] = {Resource.ROWS: block["rows"]}
    return Caveats(**fields)


COVERED = {
    "n/x": {"n/x"},
    "n/*": {"n/x", "n/y"},
    "*/x": {"n/x", "m/x"},
    "**": {"n/x", "n/y", "m/x"},
    "m/**": {"m/x"},
}
SEEN = {
    ("a/*",): {"a/x", "a/y"},
    ("!a/y",): {"a/x", "b/x"},
    ("a/x",): {"a/x"},
    ("a/*", "!a/x"): {"a/y"},
}


def oracle(blocks: list[dict[str, Any]], asked: dict[str, Any]) -> bool:
    """Return what should come out, from the literal blocks, by no code of the package."""
    return all(
        asked["now"] <= block.get("exp", 99)
        and asked["now"] >= block.get("nbf", 0)
        and (
            "rights" not in block
            or any(
                mask & asked["verb"] and asked["stream"] in COVERED[pattern]
                for mask, pattern in block["rights"]
            )
        )
        and ("at" not in block or asked["at"] in block["at"])
        and ("agent" not in block or asked["agent"] == block["agent"])
        and asked["rows"] <= block.get("rows", 99)
        and ("attrs" not in block or asked["attribute"] in SEEN[block["attrs"]])
        and (
            "revage" not in block or (asked["age"] is not None and asked["age"] <= block["revage"])
        )
        for block in blocks
    )


def decided(blocks: list[dict[str, Any]], asked: dict[str, Any]) -> bool:
    answer = ask(
        narrowed(*(caveats_of(block) for block in blocks)),
        verb=Verb(asked["verb"]),
        stream=asked["stream"],
        at=NODES[asked["at"]],
        agent=asked["agent"],
        now_s=asked["now"],
        cost={Resource.ROWS: asked["rows"]},
        attributes=None if asked["attribute"] is None else frozenset({asked["attribute"]}),
        revocation_age_s=asked["age"],
    )
    return answer == "allowed"


@given(st.lists(BLOCK, max_size=3), ASKED)
@settings(max_examples=150)
def test_decisions_agree_with_an_oracle_and_a_block_more_never_allows_more(
    blocks: list[dict[str, Any]], asked: dict[str, Any]
) -> None:
    verdicts = [decided(blocks[:size], asked) for size in range(len(blocks) + 1)]
    assert verdicts == [oracle(blocks[:size], asked) for size in range(len(blocks) + 1)]
    assert verdicts == sorted(verdicts, reverse=True)


# -- budgets --


def test_children_together_cannot_spend_more_than_their_parent() -> None:
    parent = mint(ROOT, A.public, wide(budget={Resource.ROWS: 100}))
    children = [
        present(parent.append(A, key.public, Caveats(budget={Resource.ROWS: 1000})))
        for key in (B, C, D)
    ]
    meter, used = Meter(), 0
    refusals = set()
    for turn in range(30):
        try:
            authorize(
                children[turn % 3],
                request(cost={Resource.ROWS: 7}),
                revoked=NOBODY_REVOKED,
                meter=meter,
            )
            used += 7
        except TokenRefused as refused:
            refusals.add((refused.block, refused.caveat))
    assert refusals == {(0, "budget")}
    assert used == 98
    assert meter.used(parent.ids[0], Resource.ROWS) == 98


def test_a_refused_request_costs_nothing() -> None:
    token = narrowed(Caveats(budget={Resource.ROWS: 3}), first=wide(budget={Resource.ROWS: 10}))
    meter = Meter()
    with pytest.raises(TokenRefused, match="block 1 has 3 rows left, not 4"):
        authorize(token, request(cost={Resource.ROWS: 4}), revoked=NOBODY_REVOKED, meter=meter)
    assert meter.used(token.blocks[0].id, Resource.ROWS) == 0


def test_a_budget_without_a_meter_allows_nothing_it_limits() -> None:
    token = narrowed(Caveats(budget={Resource.ROWS: 3}))
    authorize(token, request(), revoked=NOBODY_REVOKED)
    with pytest.raises(TokenRefused, match="nothing counts"):
        authorize(token, request(cost={Resource.ROWS: 1}), revoked=NOBODY_REVOKED)


def test_a_meter_outlives_a_restart_refunds_and_forgets_the_expired() -> None:
    token = narrowed(first=wide(budget={Resource.FUEL: 10}))
    meter, again = Meter(), Meter()
    meter.debit(token, {Resource.FUEL: 9})
    again.load([(block, row) for block, row in meter.changed() if row is not None])
    with pytest.raises(TokenRefused):
        again.debit(token, {Resource.FUEL: 2})
    again.refund(token, {Resource.FUEL: 4})
    again.debit(token, {Resource.FUEL: 5})
    again.forget(1000)
    assert again.used(token.blocks[0].id, Resource.FUEL) == 10
    again.forget(1001)
    assert again.used(token.blocks[0].id, Resource.FUEL) == 0
    with pytest.raises(TokenInvalid):
        again.load([(bytes(32), b"\xc0")])
