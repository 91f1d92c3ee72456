"""All that one key has signed is taken back at once, as far as it ends by a time."""

from __future__ import annotations

import pytest

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import TokenInvalid
from capabilities.keys import PrivateKey
from capabilities.limits import REVOCATION_SKEW_S
from capabilities.revocation import Revocation, RevocationSet, SignerRevocation, statement
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedChain

ROOT, A, B, C, STRANGER = (PrivateKey(bytes([n]) * 32) for n in range(21, 26))
FIRST = mint(ROOT, A.public, Caveats(exp=1000, rights=(Rights(Verb.READ, "**"),)))
EARLY = FIRST.append(A, B.public, Caveats(exp=500))
LATE = FIRST.append(A, B.public, Caveats())
LEAF = EARLY.append(B, C.public, Caveats())


def revoked_blocks(token: Token, *said: SignerRevocation) -> list[int]:
    found = RevocationSet()
    for one in said:
        found.add_signer(one)
    chain = VerifiedChain(token.root, token.blocks)
    return [index for index in range(len(chain.blocks)) if found.revokes(chain, index)]


@pytest.mark.parametrize(
    ("revoker", "signer", "until", "early", "late", "leaf"),
    [
        (A, A, 500, [1], [], [1]),
        (A, A, 499, [], [], []),
        (A, A, 1000, [1], [1], [1]),
        (ROOT, A, 1000, [1], [1], [1]),
        (ROOT, ROOT, 1000, [0], [0], [0]),
        (ROOT, B, 1000, [], [], [2]),
        (A, B, 1000, [], [], [2]),
        (B, A, 1000, [], [], []),
        (C, B, 1000, [], [], []),
        (STRANGER, A, 1000, [], [], []),
    ],
)
def test_what_a_signer_signed_is_revoked_by_it_and_by_those_before_it(
    revoker: PrivateKey,
    signer: PrivateKey,
    until: int,
    early: list[int],
    late: list[int],
    leaf: list[int],
) -> None:
    said = SignerRevocation.sign(revoker, signer.public, until)
    assert [revoked_blocks(token, said) for token in (EARLY, LATE, LEAF)] == [early, late, leaf]


def test_statements_come_back_as_they_went_and_each_kind_is_its_own() -> None:
    said = SignerRevocation.sign(A, A.public, 700)
    block = Revocation.sign(A, EARLY, 1)
    assert [statement(one.to_bytes()) for one in (said, block)] == [said, block]
    for data in (said.to_bytes()[:-1] + b"\x02", said.to_bytes() + b"\0", b"\x91" * 300):
        with pytest.raises(TokenInvalid):
            statement(data)
    with pytest.raises(TokenInvalid):
        SignerRevocation(A.public, 701, A.public, said.signature)


def test_a_later_time_says_more_and_an_earlier_one_nothing() -> None:
    found = RevocationSet()
    assert found.add_signer(SignerRevocation.sign(A, A.public, 700))
    generation = found.generation
    assert not found.add_signer(SignerRevocation.sign(A, A.public, 600))
    assert found.generation == generation
    assert found.add_signer(SignerRevocation.sign(A, A.public, 800))
    assert (len(found), [one.until for one in found.signers()]) == (1, [800])
    again = RevocationSet.decode(found.encode())
    assert again.encode() == found.encode()
    assert again.forget(800 + REVOCATION_SKEW_S) == []
    assert len(again.forget(801 + REVOCATION_SKEW_S)) == 1
    assert (len(again), list(again.signers()), again._by_signer) == (0, [], {})
