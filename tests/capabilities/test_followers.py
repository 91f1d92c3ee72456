"""Who follows whom is found in one pass, and is what walking along every line would find."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from capabilities.followers import Followers
from capabilities.keys import PrivateKey, PublicKey

KEYS = [PrivateKey(bytes([n]) * 32).public for n in range(51, 59)]
STEPS = st.sets(st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS)), max_size=20)


def walked(steps: set[tuple[PublicKey, PublicKey]], first: PublicKey) -> set[PublicKey]:
    """Return a key and its followers, the long way."""
    found = {first}
    while fresh := {new for old, new in steps if old in found} - found:
        found |= fresh
    return found


@given(STEPS)
def test_who_follows_is_who_is_reached_step_by_step(
    steps: set[tuple[PublicKey, PublicKey]],
) -> None:
    named: dict[PublicKey, set[PublicKey]] = {}
    for old, new in steps:
        named.setdefault(old, set()).add(new)
    followers = Followers(named, KEYS)
    for old in KEYS:
        assert {key for key in KEYS if followers.is_or_follows(key, old)} == walked(steps, old)


def test_a_line_may_be_longer_than_the_stack() -> None:
    keys = [PrivateKey(n.to_bytes(32)).public for n in range(1, 3_000)]
    named = {old: {new} for old, new in pairwise(keys)}
    followers = Followers(named, (keys[0], keys[-1]))
    assert followers.is_or_follows(keys[-1], keys[0])
    assert not followers.is_or_follows(keys[0], keys[-1])
