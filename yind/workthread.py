"""A thread that does one thing at a time for the event loop.

Is:     the thread, and the two pipes over which it is called and calls back.
Is not: a pool, or a queue: who has the thread says what is next when it has been told.
Fits:   `yind.commits` writes through it.

A thread of trio's cache is woken by a lock and calls back through a queue that the event loop looks into when it has been
woken. Both ends of a pipe sleep in the kernel, and it wakes one as soon as the other has written: the way there and back
takes a third of the time. The thread ends when it is closed, or with the event loop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import outcome
import trio

T = TypeVar("T")

_GO, _SAYS, _END = b"g", b"s", b"e"


class WorkThread(Generic[T]):
    """A thread for work that gives a T; `told` hears on the event loop how it went. It starts when there is work."""

    def __init__(self, name: str, told: Callable[[outcome.Outcome[T]], None]) -> None:
        self._name = name
        self._told = told
        self._running: _Running[T] | None = None

    def begin(self, work: Callable[[], T]) -> None:
        """Have something done; not before `told` has heard of what was begun before."""
        if self._running is None:
            self._running = _Running(self._name, self._told)
            trio.lowlevel.spawn_system_task(self._listen, self._running, name=self._name)
        self._running.begin(work)

    def say(self, what: Callable[[], None]) -> None:
        """In the thread, at most once for each thing it does: have something called on the event loop, before `told`."""
        assert self._running is not None, "it works"
        self._running.say(what)

    async def _listen(self, running: _Running[T]) -> None:
        try:
            await running.listen()
        finally:  # the event loop ends
            running.close()

    def close(self) -> None:
        """End the thread, once it has done what it does; if there is more work, another one starts."""
        if self._running is not None:
            self._running.close()
            self._running = None


class _Running(Generic[T]):
    """The thread while it runs. A byte calls it, and a byte is its answer."""

    def __init__(self, name: str, told: Callable[[outcome.Outcome[T]], None]) -> None:
        self._told = told
        self._work: Callable[[], T] | None = None
        self._said: Callable[[], None] | None = None
        self._found: outcome.Outcome[T] | None = None
        self._called, self._call = os.pipe()
        self._answered, self._answer = os.pipe()
        os.set_blocking(self._answered, False)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def begin(self, work: Callable[[], T]) -> None:
        assert self._work is None, "one thing at a time"
        self._work = work
        os.write(self._call, _GO)

    def _run(self) -> None:
        """In the thread: work until it is to end."""
        while os.read(self._called, 1) == _GO:
            assert self._work is not None, "that is why it is called"
            self._found = outcome.capture(self._work)
            os.write(self._answer, _GO)

    def say(self, what: Callable[[], None]) -> None:
        """In the thread: have something called on the event loop."""
        self._said = what
        os.write(self._answer, _SAYS)
        os.sched_yield()  # on one processor the loop goes first: somebody waits for what it says

    async def listen(self) -> None:
        """On the event loop: tell what comes back, until it is closed."""
        with suppress(trio.ClosedResourceError):
            while True:
                await trio.lowlevel.wait_readable(self._answered)
                if os.read(self._answered, 1) == _SAYS:
                    said, self._said = self._said, None
                    assert said is not None, "that is what it calls for"
                    said()
                else:
                    found, self._found, self._work = self._found, None, None
                    assert found is not None, "that is what it answers"
                    self._told(found)

    def close(self) -> None:
        if self._thread.is_alive():
            os.write(self._call, _END)
            self._thread.join()
            trio.lowlevel.notify_closing(self._answered)
            for end in (self._called, self._call, self._answered, self._answer):
                os.close(end)
