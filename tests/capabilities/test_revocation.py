"""A block revoked takes everything after it along, if the right key says so."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capabilities import revocation
from capabilities.authorize import Request, authorize
from capabilities.canonical import decode, encode, tuple_of
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import PrivateKey
from capabilities.limits import REVOCATION_BYTES_MAX, REVOCATION_SKEW_S
from capabilities.revocation import (
    D_REVOCATION,
    Revocation,
    RevocationSet,
    SignerRevocation,
    place_of,
    statement,
)
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedChain, verify, verify_chain

ROOT, A, B, C, STRANGER = (PrivateKey(bytes([n]) * 32) for n in range(21, 26))
ROOTS = {ROOT.public}
FIRST = mint(ROOT, A.public, Caveats(exp=1000, rights=(Rights(Verb.READ, "**"),)))
LEFT = FIRST.append(A, B.public, Caveats())
RIGHT = FIRST.append(A, C.public, Caveats())
LEAF = LEFT.append(B, C.public, Caveats())


def chain(token: Token) -> VerifiedChain:
    return verify_chain(token.to_bytes(), roots=ROOTS)


def refused_block(token: Token, revoked: RevocationSet) -> int | None:
    verified = verify(token.to_bytes(), roots=ROOTS, presenter=token.holder)
    request = Request(verb=Verb.READ, stream="alpha/x", at=A.public, now_s=1)
    try:
        authorize(verified, request, revoked=revoked)
    except TokenRefused as refused:
        return refused.block if refused.code == "token/revoked" else -1
    return None


def test_a_revoked_block_takes_what_was_derived_from_it_along_and_nothing_else() -> None:
    revoked = RevocationSet()
    assert revoked.add(Revocation.sign(A, LEFT, 1))
    assert [refused_block(token, revoked) for token in (FIRST, LEFT, RIGHT, LEAF)] == [
        None,
        1,
        None,
        1,
    ]
    revoked.add(Revocation.sign(ROOT, FIRST, 0))
    assert [refused_block(token, revoked) for token in (FIRST, LEFT, RIGHT, LEAF)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("revoker", "index", "counts"),
    [
        (ROOT, 0, True),
        (ROOT, 1, True),
        (ROOT, 2, True),
        (A, 0, True),
        (A, 1, True),
        (A, 2, True),
        (B, 0, False),
        (B, 1, True),
        (B, 2, True),
        (C, 0, False),
        (C, 1, False),
        (C, 2, True),
        (STRANGER, 0, False),
        (STRANGER, 1, False),
        (STRANGER, 2, False),
    ],
)
def test_a_block_is_revoked_by_its_signers_and_its_holder_only(
    revoker: PrivateKey, index: int, counts: bool
) -> None:
    revocation = Revocation.sign(revoker, LEAF, index)
    revoked = RevocationSet()
    revoked.add(revocation)
    assert (refused_block(LEAF, revoked) == index) is counts
    assert revocation.concerns(chain(LEAF)) is counts


def test_a_strangers_record_does_not_stand_in_the_owners_way() -> None:
    revoked = RevocationSet()
    assert revoked.add(said(STRANGER, None))  # which says that it lasts for ever
    assert refused_block(FIRST, revoked) is None
    assert revoked.add(Revocation.sign(ROOT, FIRST, 0))
    assert refused_block(FIRST, revoked) == 0


def said(by: PrivateKey, until: int | None) -> Revocation:
    """Return the statement of a key about the first block, whenever that ends."""
    told = FIRST.ids[0] + (b"" if until is None else until.to_bytes(8, "big"))
    return Revocation(FIRST.ids[0], by.public, by.sign(D_REVOCATION + told), until)


def test_a_statement_that_ends_soon_does_not_keep_out_one_that_lasts() -> None:
    revoked = RevocationSet()
    new = [revoked.add(said(A, until)) for until in (5, 4, 5, 1000, 5, None, 1000, None)]
    assert new == [True, False, False, True, False, True, False, False]
    assert (len(revoked), [one.until for one in revoked]) == (1, [None])
    revoked = RevocationSet()
    assert [revoked.add(said(A, until)) for until in (5, 10**9)] == [True, True]
    assert revoked.forget(6 + REVOCATION_SKEW_S) == []
    assert refused_block(FIRST, revoked) == 0


def test_a_statement_says_when_its_block_ends() -> None:
    right = Revocation.sign(A, LEFT, 1)
    assert right.until is not None
    assert right.ends_with(chain(LEFT))
    assert not right.ends_with(chain(RIGHT))  # another block
    end = FIRST.blocks[0].terms.until_s
    ends = [said(A, until).ends_with(chain(FIRST)) for until in (end, end - 1, end + 1, None)]
    assert ends == [True, False, False, False]


def test_a_token_signed_again_is_still_revoked() -> None:
    revoked = RevocationSet()
    revoked.add(Revocation.sign(ROOT, FIRST, 0))
    same = mint(ROOT, A.public, FIRST.blocks[0].caveats, nonce=FIRST.blocks[0].nonce)
    assert refused_block(same, revoked) == 0
    assert refused_block(same.with_secret(A), revoked) == 0


def test_a_forged_or_bent_revocation_is_refused() -> None:
    data = Revocation.sign(ROOT, FIRST, 0).to_bytes()
    assert Revocation.from_bytes(data).to_bytes() == data
    for position in range(len(data)):
        bent = bytearray(data)
        bent[position] ^= 1
        with pytest.raises(TokenInvalid):
            Revocation.from_bytes(bytes(bent))
    block_signature = FIRST.signed[0].signature
    with pytest.raises(TokenInvalid):
        Revocation(FIRST.ids[0], ROOT.public, block_signature)


ALL = [Revocation.sign(key, LEAF, index) for key in (ROOT, A, B, STRANGER) for index in range(3)]
ENDS = [said(key, until) for key in (ROOT, A) for until in (1, 2, None)]


@given(st.lists(st.sampled_from([*ALL, *ENDS])), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_the_set_is_the_same_in_any_order_and_comes_back_from_bytes(
    some: list[Revocation], random: Random
) -> None:
    left, right = RevocationSet(), RevocationSet()
    for one in some:
        left.add(one)
    for one in sorted(some * 2, key=lambda _: random.random()):
        right.add(one)
    assert left.encode() == right.encode() == RevocationSet.decode(left.encode()).encode()
    assert [one.place for one in left.after(b"", 99)] == sorted(one.place for one in left)
    assert len(left) == len({(one.block_id, one.revoker) for one in some})


def test_a_statement_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(TokenInvalid) as refused:
        Revocation.from_bytes(b"\x91" * (REVOCATION_BYTES_MAX + 1))
    assert refused.value.code == "token/bad-too-long"


def test_a_full_list_refuses_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "REVOCATIONS_MAX", 2)
    revoked = RevocationSet()
    for one in ALL[:2]:
        assert revoked.add(one)
    with pytest.raises(TokenInvalid) as refused:
        revoked.add(ALL[2])
    assert refused.value.code == "token/bad-full"
    assert not revoked.add(ALL[0])
    assert (len(revoked), revoked.generation) == (2, 2)


def test_a_list_that_is_full_of_others_statements_has_its_reserve_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revocation, "REVOCATIONS_MAX", 3)
    revoked = RevocationSet()
    assert [revoked.add(one, reserve=1) for one in ALL[:2]] == [True, True]
    with pytest.raises(TokenInvalid, match="holds 2 revocations already"):
        revoked.add(ALL[2], reserve=1)
    with pytest.raises(TokenInvalid, match="holds 2 revocations already"):
        _signer(revoked, 1)
    assert _signer(revoked, 0)
    assert len(revoked) == 3


def _signer(revoked: RevocationSet, reserve: int) -> bool:
    return revoked.add_signer(of_signer(), reserve=reserve)


def test_a_list_is_shown_in_parts_and_knows_what_it_has_by_its_bytes() -> None:
    revoked = RevocationSet()
    known: list[Revocation | SignerRevocation] = [*ALL[:5], of_signer()]
    assert all(revoked.add(one) for one in ALL[:5])
    assert _signer(revoked, 0)
    order = sorted(one.place for one in known)
    assert [one.place for one in revoked.after(b"", 4)] == order[:4]
    assert [one.place for one in revoked.after(order[3], 4)] == order[4:]
    assert [place_of(one.to_bytes()) for one in known] == [one.place for one in known]
    assert all(revoked.knows(one.to_bytes()) for one in known)
    bent = bytearray(ALL[0].to_bytes())
    bent[-20] ^= 1  # of the signature: the same place, and not what was checked
    assert place_of(bytes(bent)) == ALL[0].place
    assert [revoked.knows(data) for data in (bytes(bent), ALL[5].to_bytes())] == [False, False]
    generation = revoked.generation
    gone = revoked.forget(1001 + REVOCATION_SKEW_S)
    assert sorted(gone) == order
    assert (revoked.after(b"", 9), [*map(revoked.has, order)]) == ([], [False] * 6)
    assert revoked.generation > generation
    for data in (b"", b"\x90", b"\x91\x01", b"\xc0"):
        with pytest.raises(TokenInvalid):
            place_of(data)


def of_signer(until: int = 5) -> SignerRevocation:
    return SignerRevocation.sign(A, A.public, until)


def test_a_statement_about_a_signer_of_another_kind_is_refused() -> None:
    data = of_signer().to_bytes()
    assert statement(data).to_bytes() == data
    *parts, kind = tuple_of(decode(data), 5, "a statement")
    for strange in (True, 0, 2, "1", None):
        assert strange is True or strange != kind
        with pytest.raises(TokenInvalid):
            statement(encode([*parts, strange]))


def test_a_full_list_refuses_statements_about_signers_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revocation, "REVOCATIONS_MAX", 1)
    revoked = RevocationSet()
    revoked.add(ALL[0])
    for _ in range(2):
        with pytest.raises(TokenInvalid) as refused:
            revoked.add_signer(of_signer())
        assert refused.value.code == "token/bad-full"
    assert not revoked._by_signer  # nothing is left of who was refused
