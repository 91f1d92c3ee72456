"""Who makes room at the door, and how many of one peer are inside."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import trio
import trio.testing
from members import FRIEND, NODE

from protocol.entrance import Entrance
from protocol.limits import (
    CONNECTIONS_MAX,
    CONNECTIONS_OF_PEER,
    PRE_AUTHENTICATION_MAX,
    PRE_AUTHENTICATION_OF_SOURCE,
)


class Door:
    """Strangers that wait until they are shown out."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.entrance = Entrance()
        self.out: list[str] = []
        self._nursery = nursery

    async def come(self, name: str, source: str) -> None:
        await self._nursery.start(self._wait, name, source)
        await trio.testing.wait_all_tasks_blocked()

    async def _wait(self, name: str, source: str, *, task_status: trio.TaskStatus[None]) -> None:
        with self.entrance.handshake(source):
            task_status.started()
            await trio.sleep_forever()
        self.out.append(name)


async def test_one_address_makes_room_for_itself(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        door = Door(nursery)
        await door.come("friend", "10.0.0.1")
        for number in range(PRE_AUTHENTICATION_OF_SOURCE + 2):
            await door.come(str(number), "10.0.0.2")
        assert door.out == ["0", "1"]
        nursery.cancel_scope.cancel()


async def test_of_many_addresses_the_oldest_makes_room(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        door = Door(nursery)
        for number in range(PRE_AUTHENTICATION_MAX + 1):
            await door.come(str(number), f"10.0.0.{number}")
        assert door.out == ["0"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("others", [False, True])
def test_there_is_room_for_so_many_of_one_peer_and_so_many_in_all(others: bool) -> None:
    entrance = Entrance()
    with ExitStack() as inside:
        for _ in range(CONNECTIONS_OF_PEER):
            assert inside.enter_context(entrance.inside(FRIEND.key))
        with entrance.inside(FRIEND.key) as room:
            assert not room
        with entrance.inside(NODE.key) as room:
            assert room
        for _ in range(CONNECTIONS_MAX if others else 0):
            inside.enter_context(entrance.inside(NODE.key))
    with entrance.inside(FRIEND.key) as room:
        assert room
