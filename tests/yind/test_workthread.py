"""A thread beside the event loop: one thing at a time, told of on the loop, gone when it is closed or the loop ends."""

from __future__ import annotations

import threading
from collections.abc import Callable

import outcome
import pytest
import trio

from yind.workthread import WorkThread


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


class Told:
    """What a thread has told, and waits for it."""

    def __init__(self, name: str) -> None:
        self.thread = WorkThread(name, self._told)
        self._heard: outcome.Outcome[object] | None = None
        self._event = trio.Event()

    def _told(self, found: outcome.Outcome[object]) -> None:
        self._heard = found
        self._event.set()

    async def of(self, work: Callable[[], object]) -> object:
        self._event = trio.Event()
        self.thread.begin(work)
        await self._event.wait()
        assert self._heard is not None
        return self._heard.unwrap()


async def test_all_work_is_done_in_one_thread_that_is_not_the_loops() -> None:
    told = Told("one")
    found = {await told.of(threading.get_ident) for _ in range(20)}
    assert len(found) == 1
    assert threading.get_ident() not in found


async def test_an_error_is_told_and_the_next_work_is_done() -> None:
    told = Told("errors")
    with pytest.raises(KeyError):
        await told.of({}.popitem)
    assert await told.of(lambda: 7) == 7


async def test_who_is_told_may_have_the_next_thing_done() -> None:
    heard: list[object] = []
    over = trio.Event()

    def on(found: outcome.Outcome[int]) -> None:
        heard.append(found.unwrap())
        if len(heard) < 5:
            thread.begin(lambda: len(heard))
        else:
            over.set()

    thread = WorkThread("more", on)
    thread.begin(lambda: 0)
    await over.wait()
    assert heard == [0, 1, 2, 3, 4]


async def test_what_work_says_is_heard_before_its_end_is_told() -> None:
    heard: list[object] = []
    over = trio.Event()
    said = threading.Event()

    def on(found: outcome.Outcome[object]) -> None:
        heard.append(found.unwrap())
        over.set()

    def hear() -> None:
        heard.append("said")
        said.set()

    def work() -> str:
        thread.say(hear)
        assert said.wait(10), "the loop has not heard it"
        return "done"

    thread = WorkThread("says", on)
    for _ in range(3):
        thread.begin(work)
        await over.wait()
        said.clear()
        over = trio.Event()
    assert heard == ["said", "done"] * 3


async def test_a_thread_that_was_closed_is_gone_and_another_takes_its_place() -> None:
    told = Told("closed")
    await told.of(lambda: None)
    assert len(threads("closed")) == 1
    told.thread.close()
    told.thread.close()
    assert not threads("closed")
    assert await told.of(lambda: 7) == 7


def test_a_thread_ends_with_the_event_loop_and_what_it_does_is_done() -> None:
    began, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        began.set()
        go_on.wait()
        done.append("work")

    async def main() -> None:
        thread: WorkThread[None] = WorkThread("ends", lambda found: None)
        thread.begin(work)
        await trio.to_thread.run_sync(began.wait)
        go_on.set()

    trio.run(main)
    assert done == ["work"]
    assert not threads("ends")
