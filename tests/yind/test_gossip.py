"""Lists are compared part by part: what was cut off goes on, and what is refused keeps out nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import pytest
import trio
import trio.testing

from capabilities.errors import TokenInvalid
from capabilities.keys import PrivateKey, PublicKey
from datomstore.value import Map
from protocol.transport import Channel
from yind.gossip import Gossip

PARTS = [bytes([n]) for n in range(1, 10)]


class Letters:
    """A set of single bytes."""

    topic = "letters"

    def __init__(self, refused: bytes = b"") -> None:
        self.known: set[bytes] = set()
        self._refused = refused

    def digest(self) -> bytes:
        return b"".join(sorted(self.known))

    def listed(self, after: bytes) -> tuple[bytes, ...]:
        return ()

    def place(self, item: bytes) -> bytes:
        return item

    async def take_bytes(self, items: Iterable[bytes], teller: PublicKey) -> int:
        for item in items:
            if item == self._refused:
                raise TokenInvalid("no room", why="full")
            self.known.add(item)
        return 0


class Slow:
    """A node that has all parts, and needs two seconds for each."""

    def __init__(self) -> None:
        self.peer = PrivateKey.generate().public
        self.asked: list[bytes] = []

    async def request(self, verb: str, body: Map | None = None) -> Map:
        if verb.endswith("digest"):
            return Map({"digest": b"".join(PARTS)})
        assert body is not None
        await trio.sleep(2)
        after = cast("bytes", body["after"])
        self.asked.append(after)
        return Map({"items": tuple([part for part in PARTS if part > after][:1])})


async def compared(letters: Letters, slow: Slow, seconds: float) -> int | None:
    """Return how old the set is after comparing for so long."""

    async def channel(name: str) -> Channel:
        return cast("Channel", slow)

    gossip = Gossip(
        letters,
        others=lambda: ["beta"],
        channel=channel,
        is_node=lambda key: True,
        refused=lambda who, why: None,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(gossip.run)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    return gossip.age_s()


async def test_a_list_that_takes_longer_than_a_turn_goes_on_where_it_was_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    letters, slow = Letters(), Slow()
    assert await compared(letters, slow, 29) == 4  # compared when the turn at 25 s began
    assert letters.known == set(PARTS)
    assert slow.asked == [b"", *PARTS]


async def test_a_list_that_was_cut_off_is_as_old_as_its_beginning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert await compared(Letters(), Slow(), 24.5) == 24


@pytest.mark.parametrize("refused", [PARTS[0], PARTS[4]])
async def test_what_is_refused_keeps_out_nothing_that_comes_later_and_the_set_is_not_compared(
    autojump_clock: trio.testing.MockClock, refused: bytes
) -> None:
    letters = Letters(refused)
    assert await compared(letters, Slow(), 29) is None
    assert letters.known == {*PARTS} - {refused}
