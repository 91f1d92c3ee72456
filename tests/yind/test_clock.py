"""A node's time goes on, whatever somebody does to the machine's clock."""

from __future__ import annotations

import pytest

from capabilities.authorize import Request, authorize
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import TokenRefused
from capabilities.keys import PrivateKey
from capabilities.revocation import RevocationSet
from capabilities.tokens import mint
from capabilities.verify import verify
from yind.clock import System

ROOT, HOLDER = PrivateKey(bytes(32)), PrivateKey(b"h" * 32)


def test_a_clock_that_is_set_back_revives_no_token() -> None:
    wall_s = [100, 101, 5, 6, 102]
    clock = System(lambda: wall_s.pop(0) * 10**9)
    token = mint(ROOT, HOLDER.public, Caveats(exp=100, rights=(Rights(Verb.READ, "**"),)))
    verified = verify(token.to_bytes(), roots={ROOT.public}, presenter=HOLDER.public)
    answers = []
    while wall_s:
        now_s = clock.now_ms() // 1000
        request = Request(verb=Verb.READ, stream="alpha/x", at=HOLDER.public, now_s=now_s)
        try:
            authorize(verified, request, revoked=RevocationSet())
            answers.append("allowed")
        except TokenRefused as refused:
            answers.append(refused.code)
    assert answers == ["allowed", *["token/exp"] * 4]


def test_time_goes_on_with_the_clock() -> None:
    clock = System(iter([1_000_000, 3_000_000, 2_000_000, 4_000_000]).__next__)
    assert [clock.now_ms() for _ in range(4)] == [1, 3, 3, 4]
    with pytest.raises(StopIteration):
        clock.now_ms()
