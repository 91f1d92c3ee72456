"""The writes of a running node, as a test wants them: one waits before it lasts, or fails.

Is:     a hook at the end of each storage transaction of a node, in the thread that writes.
Is not: a disk that lies, or tears what is written (`disks`).
Fits:   tests of what a node says while something is being written, and of what it is after a write has failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import trio

from datomstore.batch import Batch
from datomstore.storage import StorageError
from yind.node import Node

NO_ROOM = "no room on the disk"
OPEN_S = 20.0  # a test that fails leaves no thread behind

When = Callable[[], bool]


class Gate:
    """Something in a thread that waits for the test."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self._opened = threading.Event()
        self._loop = trio.lowlevel.current_trio_token()

    def wait(self) -> None:
        """In the thread: return when the test lets it."""
        self._loop.run_sync_soon(self.reached.set)
        self._opened.wait(OPEN_S)

    def open(self) -> None:
        """Let what waits go on, and what comes pass."""
        self._opened.set()


class Writing:
    """What a node writes from now on."""

    def __init__(self, node: Node) -> None:
        commits = node.agents._commits
        self._last = commits._last
        self._gates: list[tuple[When, Gate]] = []
        self._fails: When | None = None
        commits._last = self._end

    def gate(self, when: When = lambda: True) -> Gate:
        """Have the next transaction of a kind wait before it lasts."""
        gate = Gate()
        self._gates.append((when, gate))
        return gate

    def fail(self, when: When = lambda: True) -> None:
        """Have the next transaction of a kind fail."""
        self._fails = when

    def _end(self, batch: Batch, *, brief: bool) -> None:
        self._last(batch, brief=brief)
        for when, gate in tuple(self._gates):
            if when():
                self._gates.remove((when, gate))
                gate.wait()
        if self._fails is not None and self._fails():
            self._fails = None
            raise StorageError(NO_ROOM)
