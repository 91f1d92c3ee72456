"""A world with one seed: time, network, disks and threads are inside the process, and chance says what comes first.

Is:     what whole nodes run in, unchanged: the same seed is the same run again, to the byte, and an hour takes seconds.
Is not: a double of any part of a node. Scheduler, streams, hand-off, tokens and TLS are the real ones.
Fits:   `simulating` lets agents travel in it. Nothing in a world may wait for the real clock, a socket or a thread.
Source: FoundationDB (Zhou et al., SIGMOD 2021, section 4) and TigerBeetle's VOPR test so.

Time goes on when every task waits, to the moment for which the first one does. What a thread would do is done in one go
after a while: its end and the telling of it are two moments, and a crash may come before, between and after. A disk has
each transaction whole or not at all, from the moment on at which it was written.

Iteration over sets is the same in two processes with one PYTHONHASHSEED only; `simulating` sees to that.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast
from unittest import mock

import outcome
import trio
import trio.testing
from wires import Wires

import yind.commits
import yind.node
from datomstore.storage import Storage, StorageError, StorageTransaction
from datomstore.storage.memory import MemoryStorage
from datomstore.storage.watches import Watches
from yind.config import Config

T = TypeVar("T")

BEGAN_MS = 1_800_000_000_000  # the world's first moment, in milliseconds since 1970
WRITES_S = (0.0, 0.0002, 0.001, 0.01, 0.1)
TOLD_S = (0.0, 0.0, 0.0002, 0.01)
THREADS_S = (0.0, 0.0001, 0.002, 0.05)


class Disk(MemoryStorage):
    """What a node has written, over all its runs."""

    waits = True

    def forget_watches(self) -> None:
        """Tell nobody any more: who wanted to know is gone."""
        self._watches = Watches()


class Mounted:
    """A disk in one run of a node; when that has crashed, nothing is read or written by it."""

    waits = True
    maps = False

    def __init__(self, disk: Disk, written: Callable[[], None]) -> None:
        self.lost = False
        self._disk = disk
        self._written = written

    def transaction(self, *, write: bool) -> AbstractContextManager[StorageTransaction]:
        """Open a transaction. Raises StorageError after a crash."""
        self._check()
        if write:
            self._written()
        return self._disk.transaction(write=write)

    def append(self, stream: str, expected_t: int, blob: bytes, root: bytes) -> None:
        """Append to a log. Raises StorageError after a crash."""
        self._check()
        self._written()
        self._disk.append(stream, expected_t, blob, root)

    def _check(self) -> None:
        if self.lost:
            raise StorageError("the node has crashed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)


class WorldClock:
    """The clock of all nodes, and where their chance comes from."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def now_ms(self) -> int:
        return BEGAN_MS + int(trio.current_time() * 1000)

    def ticks_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    def random_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def random_double(self) -> float:
        return self._chance.random()


class World:
    """What nodes run in."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # decides what happens
        self._made = random.Random(seed + 1)  # keys and nonces
        self._trace = hashlib.sha256()
        self.events = 0
        self.told: Callable[[str], None] = lambda line: None
        self.clock = WorldClock(random.Random(seed + 2))
        self.wires = Wires(self.chance, self.note)
        self._disks: dict[str, Disk] = {}
        self._mounted: dict[str, Mounted] = {}

    def note(self, what: str) -> None:
        """Have something in the trace: two runs with one seed have the same."""
        line = f"{trio.current_time():.6f} {what}"
        self.events += 1
        self._trace.update(line.encode() + b"\n")
        self.told(line)

    @property
    def digest(self) -> str:
        """Return what tells one trace from another."""
        return self._trace.hexdigest()[:16]

    # -- disks --

    def mount(self, config: Config) -> Storage:
        """Return the disk of a node that starts."""
        name = config.name
        disk = self._disks.setdefault(name, Disk())
        self._mounted[name] = Mounted(disk, lambda: self.note(f"{name} writes"))
        return cast(Storage, self._mounted[name])

    def unmount(self, name: str) -> None:
        """Let a node that has crashed neither read nor write any more."""
        self._mounted[name].lost = True
        self._disks[name].forget_watches()

    # -- threads --

    async def run_sync(self, work: Callable[..., T], *args: object, **_: object) -> T:
        """Stand for `trio.to_thread.run_sync`."""
        with trio.CancelScope(shield=True):
            await trio.sleep(self.chance.choice(THREADS_S))
        return work(*args)

    def randomness(self, count: int) -> bytes:
        """Stand for `os.urandom`."""
        return self._made.randbytes(count)

    # -- the run --

    def run(self, main: Callable[[World], Awaitable[T]]) -> T:
        """Run a program in the world, from its first moment on."""

        async def begun() -> T:
            return await main(self)

        threads = threading.active_count()
        with self._in_place():
            found = trio.run(begun, clock=trio.testing.MockClock(autojump_threshold=0))
        assert threading.active_count() == threads, "a thread of its own makes a run another one"
        return found

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        run = trio._core._run
        replaced = (
            (os, "urandom", self.randomness),
            (random, "_urandom", self.randomness),
            (time, "time_ns", lambda: BEGAN_MS * 1_000_000),
            (trio, "open_tcp_stream", self.wires.open_tcp_stream),
            (trio, "open_tcp_listeners", self.wires.open_tcp_listeners),
            (trio.to_thread, "run_sync", self.run_sync),
            (yind.commits, "WorkThread", lambda name, told: _Thread(self, told)),
            (yind.node, "_opened_storage", self.mount),
            (run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
            (run, "_r", random.Random(self.chance.random())),
        )
        patches = [mock.patch.object(where, name, what) for where, name, what in replaced]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in reversed(patches):
                patch.stop()


class _Thread:
    """Stands for the thread that writes: what it does is done in one go after a while, and told after another."""

    def __init__(self, world: World, told: Callable[[outcome.Outcome[Any]], None]) -> None:
        self._world = world
        self._told = told
        self._said: list[Callable[[], None]] = []

    def begin(self, work: Callable[[], Any]) -> None:
        trio.lowlevel.spawn_system_task(self._do, work)

    def say(self, what: Callable[[], None]) -> None:
        self._said.append(what)

    async def _do(self, work: Callable[[], Any]) -> None:
        world = self._world
        await trio.sleep(world.chance.choice(WRITES_S))
        found = outcome.capture(work)
        await trio.sleep(world.chance.choice(TOLD_S))
        said, self._said = self._said, []
        for what in said:
            what()
        await trio.sleep(world.chance.choice(TOLD_S))
        self._told(found)

    def close(self) -> None:
        """Nothing waits for it."""
