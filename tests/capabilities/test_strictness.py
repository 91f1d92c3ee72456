"""What is rightly signed and wrong all the same, and proofs that are borrowed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import token_vectors as made

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import KeyInvalid, TokenInvalid
from capabilities.keys import PrivateKey
from capabilities.tokens import Token, mint
from capabilities.verify import BlockCache, Challenge, VerifiedToken, verify

ROOT, A, B, C = (PrivateKey(bytes([n]) * 32) for n in (1, 12, 13, 14))
BROAD = Caveats(exp=1000, rights=(Rights(Verb.READ, "**"),))
NODE = made.NODE.public


def check(data: bytes) -> VerifiedToken:
    return verify(data, roots={ROOT.public}, presenter=NODE)


@pytest.mark.parametrize(
    "body",
    [
        [NODE.bytes.hex()[:32], made.NONCE, made.FIRST],
        [NODE.bytes, made.NONCE.decode(), made.FIRST],
        [NODE.bytes, made.NONCE, {1: 1000, 3: [[3, b"alpha/**"]]}],
        [NODE.bytes, made.NONCE, {1: 1000, 3: [[3, "alpha/**", 0]]}],
        [NODE.bytes, made.NONCE, {1: 1000, 3: [{3: "alpha/**"}]}],
        [NODE.bytes, made.NONCE, {**made.FIRST, 10: [b"shop/*"]}],
        [NODE.bytes, made.NONCE, {**made.FIRST, 10: [7]}],
    ],
    ids=str,
)
def test_a_field_of_another_type_is_refused(body: list[object]) -> None:
    check(made.one(made.FIRST))
    with pytest.raises(TokenInvalid):
        check(made.envelope(made.signed(made.pack(body))))


def test_a_pattern_that_cannot_be_written_is_not_minted() -> None:
    for caveats in (
        BROAD._replace(rights=(Rights(Verb.READ, "\ud800"),)),
        BROAD._replace(attrs=("\ud800",)),
    ):
        with pytest.raises(TokenInvalid) as refused:
            mint(ROOT, A.public, caveats)
        assert refused.value.code == "token/bad-caveat"


def test_a_block_that_its_holder_appended_for_itself_cannot_be_left_out() -> None:
    token = mint(ROOT, A.public, BROAD).append(A, A.public, Caveats(rights=()))
    token = token.append(A, NODE, Caveats(note="last"))
    check(token.to_bytes())
    with pytest.raises(TokenInvalid, match="block 1: the signature is wrong"):
        check(made.envelope([list(token.signed[0]), list(token.signed[2])]))


def test_a_possession_is_good_for_one_token() -> None:
    token, other = (mint(ROOT, B.public, BROAD._replace(note=note)) for note in ("one", "other"))
    challenge = Challenge(C.public, b"nonce")
    proved = token.prove(B, C.public, b"nonce")
    verify(proved.to_bytes(), roots={ROOT.public}, presenter=None, challenge=challenge)
    borrowed = replace(other, proof=proved.proof)
    with pytest.raises(TokenInvalid) as refused:
        verify(borrowed.to_bytes(), roots={ROOT.public}, presenter=None, challenge=challenge)
    assert refused.value.code == "token/bad-possession"


def test_a_secret_is_not_kept_with_what_is_known() -> None:
    cache = BlockCache()
    bearer = mint(ROOT, B.public, BROAD).with_secret(B).to_bytes()
    verify(bearer, roots={ROOT.public}, presenter=None, cache=cache)
    assert cache.token(bearer) is None


@pytest.mark.parametrize("text", ["", "yin2.AAAA", "yin1.*", "yin1.AAAA", "yin1.AAAA\n", "yin1.é"])
def test_a_line_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenInvalid):
        Token.from_text(text)


def test_only_the_holder_makes_a_proof() -> None:
    token = mint(ROOT, B.public, BROAD)
    with pytest.raises(KeyInvalid):
        token.prove(C, C.public, b"nonce")
    with pytest.raises(KeyInvalid):
        token.seal(C)
    with pytest.raises(KeyInvalid):
        token.with_secret(C)


def test_a_block_or_a_token_over_its_limit_is_not_made() -> None:
    many = tuple(Rights(Verb.READ, "a" * 250) for _ in range(9))
    with pytest.raises(TokenInvalid) as refused:
        mint(ROOT, A.public, BROAD._replace(rights=many))
    assert refused.value.code == "token/bad-too-long"
    token = mint(ROOT, A.public, BROAD)
    for _ in range(8):
        token = token.append(A, A.public, Caveats(rights=many[:7]))
    with pytest.raises(TokenInvalid) as refused:
        token.append(A, A.public, Caveats(rights=many[:7]))
    assert refused.value.code == "token/bad-too-long"


def test_a_line_that_is_too_long_is_refused_undecoded() -> None:
    with pytest.raises(TokenInvalid) as refused:
        Token.from_text("yin1." + "*" * 50_000)
    assert refused.value.code == "token/bad-too-long"


def test_a_line_of_another_kind_is_told_so() -> None:
    with pytest.raises(TokenInvalid, match="begins with yin1"):
        Token.from_text("yin2.AAAA")
