"""The loop of a node that waits for an answer does not sleep, but not for long, and not while a thread writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio.testing import wait_all_tasks_blocked

from yind.awake import Awake
from yind.limits import AWAKE_NS

TURN_NS = AWAKE_NS // 10


class Ticks:
    """A clock that goes on by a tenth of the time whenever somebody looks."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.looks * TURN_NS


async def nothing_is_written() -> None:
    """Return at once."""


async def looks_after_stay(written: Callable[[], Awaitable[None]]) -> tuple[int, int]:
    """Return how often the task looked before it was asked to stay awake, and from then until it slept."""
    ticks = Ticks()
    awake = Awake(ticks, written)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(awake.run)
        await wait_all_tasks_blocked()
        before = ticks.looks
        awake.stay()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return before, ticks.looks - before


async def test_the_loop_turns_until_the_time_is_over() -> None:
    before, looks = await looks_after_stay(nothing_is_written)
    assert before == 1
    assert looks == 1 + 10  # of `stay` itself, and one for each turn


async def test_the_loop_sleeps_while_something_is_written() -> None:
    _, looks = await looks_after_stay(trio.sleep_forever)
    assert looks == 1 + 1


async def test_the_loop_turns_once_what_is_written_is_written() -> None:
    ticks, written = Ticks(), trio.Event()
    awake = Awake(ticks, written.wait)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(awake.run)
        awake.stay()
        await wait_all_tasks_blocked()
        before = ticks.looks
        written.set()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert ticks.looks > before


async def test_who_stays_again_stays_from_then_on() -> None:
    ticks = Ticks()
    awake = Awake(ticks, nothing_is_written)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(awake.run)
        for _ in range(3):
            awake.stay()
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert ticks.looks == 3 * 11  # the first `stay` comes before the task has begun to look
