"""Who waits at the door: the oldest stranger makes room, of the same place first; who is inside is counted."""

from __future__ import annotations

from contextlib import ExitStack

import trio
import trio.testing
from members import FRIEND, STRANGER

from protocol.entrance import Entrance
from protocol.limits import (
    CONNECTIONS_MAX,
    CONNECTIONS_OF_PEER,
    HANDSHAKE_S,
    PRE_AUTHENTICATION_MAX,
    PRE_AUTHENTICATION_OF_SOURCE,
)


async def sent_away(*sources: str) -> list[int]:
    """Return which of those who come, one after the other, and stay are sent away."""
    entrance = Entrance()
    left: list[int] = []

    async def stay(number: int, source: str) -> None:
        with entrance.handshake(source):
            await trio.sleep_forever()
        left.append(number)

    async with trio.open_nursery() as nursery:
        for number, source in enumerate(sources):
            nursery.start_soon(stay, number, source)
            await trio.testing.wait_all_tasks_blocked()
        found = list(left)
        nursery.cancel_scope.cancel()
    return found


async def test_the_oldest_of_one_place_makes_room_for_the_next_of_it() -> None:
    many = ["here"] * (PRE_AUTHENTICATION_OF_SOURCE + 2)
    assert await sent_away("there", *many) == [1, 2]


async def test_the_oldest_of_all_makes_room_when_there_are_too_many() -> None:
    assert await sent_away(*map(str, range(PRE_AUTHENTICATION_MAX + 2))) == [0, 1]


async def test_nobody_stays_at_the_door_for_long(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    with trio.fail_after(HANDSHAKE_S + 1):
        with Entrance().handshake("here"):
            await trio.sleep_forever()


def test_a_peer_has_few_connections_and_all_together_have_not_too_many() -> None:
    entrance = Entrance()
    with ExitStack() as stack:
        mine = [
            stack.enter_context(entrance.inside(FRIEND.key)) for _ in range(CONNECTIONS_OF_PEER + 1)
        ]
        assert mine == [True] * CONNECTIONS_OF_PEER + [False]
        assert stack.enter_context(entrance.inside(STRANGER.key))
    entrance._inside[FRIEND.key] = CONNECTIONS_MAX
    with entrance.inside(STRANGER.key) as room:
        assert not room
