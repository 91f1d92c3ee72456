"""The loop of a node that waits for an answer does not sleep, but not for long, and not while a thread writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import trio
from trio.testing import wait_all_tasks_blocked

from protocol.transport import Channel
from yind.awake import Awake
from yind.limits import AWAKE_NS

TURN_NS = AWAKE_NS // 10


class Looking:
    """A connection that notes for how long it is to look."""

    def __init__(self) -> None:
        self.expects: list[Callable[[], bool]] = []

    def expect(self, expects: Callable[[], bool]) -> None:
        self.expects.append(expects)


class Node:
    """A clock that goes on by a tenth of the time whenever somebody looks, and a disk."""

    def __init__(self) -> None:
        self.looks = 0
        self.writing = False
        self.rested = trio.Event()
        self.connection = Looking()
        self.awake = Awake(self.ticks_ns, lambda: self.writing, self.written)

    def ticks_ns(self) -> int:
        self.looks += 1
        return self.looks * TURN_NS

    async def written(self) -> None:
        while self.writing:
            await self.rested.wait()

    async def rest(self) -> None:
        """End what is being written."""
        self.writing = False
        self.rested.set()
        await wait_all_tasks_blocked()

    def stay(self) -> None:
        self.awake.stay(cast(Channel, self.connection))

    def looked(self) -> int:
        """Return how often the connection looks, by what it was told last."""
        count = 0
        while self.connection.expects[-1]():
            count += 1
        return count


async def test_a_connection_looks_until_the_time_is_over(nursery: trio.Nursery) -> None:
    node = Node()
    nursery.start_soon(node.awake.run)
    await wait_all_tasks_blocked()
    assert not node.connection.expects
    node.stay()
    await wait_all_tasks_blocked()
    assert node.looked() == 9  # the tenth look finds that the time is over
    assert len(node.connection.expects) == 1


async def test_it_does_not_look_while_something_is_written(nursery: trio.Nursery) -> None:
    node = Node()
    nursery.start_soon(node.awake.run)
    node.stay()
    await wait_all_tasks_blocked()
    node.writing = True
    assert node.looked() == 0


async def test_it_looks_once_what_is_written_is_written(nursery: trio.Nursery) -> None:
    node = Node()
    node.writing = True
    nursery.start_soon(node.awake.run)
    node.stay()
    await wait_all_tasks_blocked()
    assert not node.connection.expects
    await node.rest()
    assert node.looked() == 9


async def test_who_stays_again_looks_from_then_on(nursery: trio.Nursery) -> None:
    node = Node()
    nursery.start_soon(node.awake.run)
    for _ in range(3):
        node.stay()
        await wait_all_tasks_blocked()
        assert node.looked() == 9


async def test_of_two_connections_the_last_one_looks(nursery: trio.Nursery) -> None:
    node = Node()
    node.writing = True
    nursery.start_soon(node.awake.run)
    node.stay()
    first, node.connection = node.connection, Looking()
    await wait_all_tasks_blocked()
    node.stay()
    await node.rest()
    assert first.expects == []
    assert node.looked() == 9
