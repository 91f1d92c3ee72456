"""Lists are compared part by part: what was cut off goes on, and what is refused keeps out nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

import pytest
import trio
import trio.testing

from capabilities.errors import TokenInvalid
from capabilities.keys import PrivateKey, PublicKey
from datomstore.storage import StorageError
from datomstore.value import Map
from protocol.transport import Channel
from yind.gossip import Gossip
from yind.limits import (
    GOSSIP_S,
    GOSSIP_TOLD_MAX,
    GOSSIP_UNTOLD_MAX,
    REVOCATIONS_SHOWN_MAX,
    STATEMENTS_SHOWN_BYTES,
)

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


class Node(Slow):
    """A node that answers at once, with what the test says."""

    def __init__(self, listed: tuple[bytes, ...] = (), fault: Exception | None = None) -> None:
        super().__init__()
        self.told: list[int] = []
        self.answers = trio.Event()
        self._listed = listed
        self._fault = fault

    async def request(self, verb: str, body: Map | None = None) -> Map:
        if self._fault is not None:
            raise self._fault
        if verb.endswith("digest"):
            return Map({"digest": b"another"})
        assert body is not None
        if verb.endswith("tell"):
            self.told.append(len(cast("tuple[bytes, ...]", body["items"])))
            await self.answers.wait()
        return Map({"items": self._listed})


def gossip_with(letters: Letters, nodes: dict[str, Node]) -> Gossip:
    async def channel(name: str) -> Channel:
        return cast("Channel", nodes[name])

    return Gossip(
        letters,
        others=lambda: list(nodes),
        channel=channel,
        is_node=lambda key: True,
        refused=lambda who, why: None,
    )


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


@pytest.mark.parametrize("fault", [StorageError("full"), ValueError("too many digits")])
async def test_what_one_node_answers_keeps_nobody_from_hearing_the_others(
    autojump_clock: trio.testing.MockClock, fault: Exception
) -> None:
    letters, friend = Letters(), Node(tuple(PARTS))
    friend.answers.set()
    gossip = gossip_with(letters, {"mallory": Node(fault=fault), "beta": friend})
    async with trio.open_nursery() as nursery:
        await nursery.start(gossip.run)
        gossip.tell([b"a"])
        await trio.sleep(2 * GOSSIP_S)
        nursery.cancel_scope.cancel()
    assert friend.told == [1]
    assert letters.known == set(PARTS)


async def test_a_node_that_does_not_answer_is_told_by_one_task_and_not_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    silent = Node()
    gossip = gossip_with(Letters(), {"mallory": silent})
    async with trio.open_nursery() as nursery:
        await nursery.start(gossip.run)
        await trio.sleep(GOSSIP_S / 2)
        for _ in range(3 * GOSSIP_UNTOLD_MAX):
            gossip.tell([b"a"])
        await trio.testing.wait_all_tasks_blocked()
        assert silent.told == [GOSSIP_TOLD_MAX]
        assert len(gossip._untold["mallory"]) <= GOSSIP_UNTOLD_MAX
        await trio.sleep(GOSSIP_S + 1)
        assert not gossip._untold
        nursery.cancel_scope.cancel()


async def test_what_is_new_while_a_node_is_being_told_is_told_it_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    slow = Node()
    gossip = gossip_with(Letters(), {"beta": slow})
    async with trio.open_nursery() as nursery:
        await nursery.start(gossip.run)
        gossip.tell([b"a"])
        await trio.testing.wait_all_tasks_blocked()
        gossip.tell([b"b", b"c"])
        slow.answers.set()
        await trio.testing.wait_all_tasks_blocked()
        assert slow.told == [1, 2]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "listed",
    [(b"a",) * (REVOCATIONS_SHOWN_MAX + 1), (b"a", bytes(STATEMENTS_SHOWN_BYTES))],
)
async def test_a_list_longer_than_honest_ones_is_not_looked_at(
    autojump_clock: trio.testing.MockClock, listed: tuple[bytes, ...]
) -> None:
    letters = Letters()
    gossip = gossip_with(letters, {"mallory": Node(listed)})
    async with trio.open_nursery() as nursery:
        await nursery.start(gossip.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert not letters.known


async def test_a_list_is_taken_in_a_few_at_a_time_and_what_was_refused_once_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Counting(Letters):
        taken: ClassVar[list[int]] = []

        async def take_bytes(self, items: Iterable[bytes], teller: PublicKey) -> int:
            said = list(items)
            self.taken.append(len(said))
            return await super().take_bytes(said, teller)

    letters = Counting(refused=b"a")
    gossip = gossip_with(letters, {"beta": Node((b"a",) * (GOSSIP_TOLD_MAX + 1))})
    async with trio.open_nursery() as nursery:
        await nursery.start(gossip.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert letters.taken == [GOSSIP_TOLD_MAX, 1] * 2
