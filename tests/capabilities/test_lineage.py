"""A key that follows another: where it stands, and where it does not."""

from __future__ import annotations

import pytest

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.handles import Handle
from capabilities.keys import PrivateKey
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.revocation import RevocationSet
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedToken, verify

ROOT, OLD, NEW, NEWEST, STRANGER = (PrivateKey(bytes([n]) * 32) for n in range(51, 56))
STEPS = [(OLD.public, NEW.public), (NEW.public, NEWEST.public)]
LINEAGE = Lineage(dict(STEPS), {new: old for old, new in STEPS})
BROAD = Caveats(exp=1000, rights=(Rights(Verb.READ, "**"),))


def present(token: Token, presenter: PrivateKey, lineage: Lineage = LINEAGE) -> VerifiedToken:
    return verify(
        token.to_bytes(), roots={ROOT.public}, presenter=presenter.public, lineage=lineage
    )


def test_a_successor_stands_where_the_key_before_it_is_named_and_nobody_else() -> None:
    token = mint(ROOT, OLD.public, BROAD._replace(via=frozenset({OLD.public})))
    present(token, OLD)
    present(token, NEW)
    assert LINEAGE.stands_among(NEW.public, {OLD.public})
    for key in (NEWEST, STRANGER):
        assert not LINEAGE.stands_among(key.public, {OLD.public})
        with pytest.raises(TokenInvalid):
            present(token, key)
    with pytest.raises(TokenInvalid):
        present(token, NEW, NO_LINEAGE)


def test_a_strangers_signature_counts_for_no_key_that_was_rotated() -> None:
    token = mint(ROOT, NEW.public, BROAD)
    mine = token.append(NEW, NEW.public, Caveats())
    for signer, counts in ((NEW, True), (NEWEST, True), (STRANGER, False), (OLD, False)):
        body = mine.signed[1].body
        signature = signer.sign(b"yin/1/sig\0" + mine.ids[1])
        forged = Token(
            mine.root,
            (mine.signed[0], mine.signed[1]._replace(body=body, signature=signature)),
            mine.blocks,
            mine.proof,
        )
        if counts:
            present(forged, NEW)
        else:
            with pytest.raises(TokenInvalid, match="block 1: the signature"):
                present(forged, NEW)


def test_tokens_of_a_root_whose_time_is_over_are_refused() -> None:
    revoked = RevocationSet()
    verified = present(mint(ROOT, OLD.public, BROAD), OLD)
    handle = Handle(verified, at=OLD.public, agent=None, revoked=revoked)
    handle.authorize(Verb.READ, "alpha/orders", 1)
    revoked.follow(LINEAGE, frozenset({STRANGER.public}))
    handle.authorize(Verb.READ, "alpha/orders", 1)
    revoked.follow(LINEAGE, frozenset({ROOT.public}))
    with pytest.raises(TokenRefused, match="no root of this cluster any more"):
        handle.authorize(Verb.READ, "alpha/orders", 1)
