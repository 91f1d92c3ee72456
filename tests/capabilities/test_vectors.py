"""The vectors of `tests/vectors/tokens.json`: every attack is refused, with its own code, at the block that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
import token_vectors

from capabilities.authorize import Request, authorize
from capabilities.budget import Meter
from capabilities.caveats import Resource, Verb
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import PublicKey
from capabilities.revocation import Revocation, RevocationSet
from capabilities.verify import BlockCache, Challenge, verify

VECTORS: list[dict[str, Any]] = json.loads(token_vectors.FILE.read_text())


def key(text: str | None) -> PublicKey | None:
    return None if text is None else PublicKey(bytes.fromhex(text))


def answer(vector: dict[str, Any], cache: BlockCache | None) -> tuple[str | None, int | None]:
    """Return the code and the block of a refusal, or twice None."""
    given = vector["given"]
    challenge = given["challenge"]
    try:
        token = verify(
            bytes.fromhex(vector["token"]),
            roots={PublicKey(bytes.fromhex(root)) for root in given["roots"]},
            presenter=key(given["presenter"]),
            cache=cache,
            challenge=None
            if challenge is None
            else Challenge(PublicKey(bytes.fromhex(challenge[0])), bytes.fromhex(challenge[1])),
        )
        revoked = RevocationSet()
        for statement in given["revoked"]:
            revoked.add(Revocation.from_bytes(bytes.fromhex(statement)))
        at = key(given["at"])
        assert at is not None
        request = Request(
            verb=Verb[given["verb"].upper()],
            stream=given["stream"],
            at=at,
            agent=None if given["agent"] is None else bytes.fromhex(given["agent"]),
            now_s=given["now"],
            attributes=None if given["attribute"] is None else frozenset({given["attribute"]}),
            cost={Resource(int(which)): amount for which, amount in given["cost"].items()},
            revocation_age_s=given["age"],
        )
        authorize(token, request, revoked=revoked, meter=Meter())
    except (TokenInvalid, TokenRefused) as error:
        return error.code, error.block
    return None, None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_is_answered_as_it_says(vector: dict[str, Any]) -> None:
    expected = vector["code"], vector["block"]
    assert answer(vector, None) == expected
    cache = BlockCache()  # what is known from before changes no answer
    assert [answer(vector, cache) for _ in range(2)] == [expected, expected]


def test_a_cache_that_has_seen_all_vectors_answers_them_all() -> None:
    cache = BlockCache()
    for _ in range(2):
        for vector in VECTORS:
            assert answer(vector, cache) == (vector["code"], vector["block"]), vector["name"]


def test_there_are_many_attacks_of_every_kind_and_each_has_a_name() -> None:
    bad = [vector for vector in VECTORS if vector["code"] is not None]
    assert VECTORS[: len(bad)] == bad, "bad ones first"
    assert len(bad) >= 60
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)
    kinds = {
        *("encoding", "shape", "version", "too-long", "key", "caveat", "root", "signature", "hops"),
        *("depth", "via", "holder", "possession", "secret", "seal"),
    }
    reasons = {"exp", "nbf", "rights", "at", "agent", "attrs", "revage", "budget", "revoked"}
    codes = {f"token/bad-{kind}" for kind in kinds} | {f"token/{reason}" for reason in reasons}
    assert {vector["code"] for vector in bad} == codes


def test_the_file_is_what_is_made() -> None:
    assert token_vectors.FILE.read_text() == token_vectors.text()
