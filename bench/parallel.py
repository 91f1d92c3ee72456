"""Two agents that compute, on two threads, and a timer beside them.

Is:     wall time of two on two threads against one after the other; how late a 1 ms trio timer wakes while both run.
Is not: a scheduler: slices are as the node has them, without its storage.
Fits:   `bench.machine` prints it.
"""

from __future__ import annotations

import threading
import time
from functools import partial

import trio

from yang.compile import compile_source
from yind.cesk import Code, Machine, Status

PROGRAM = (
    "(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (loop [i 0] (fib 31) (recur i))"
)
SLICES = 60
FUEL = 200_000  # a few milliseconds
TIMER_S = 0.001


def two_threads_ratio(core: Code) -> float:
    """Return wall time of two agents on two threads over that of one after the other, the best of three."""
    ratios = []
    for _ in range(3):
        together = _timed([_machine(core), _machine(core)], at_once=True)
        in_turn = _timed([_machine(core), _machine(core)], at_once=False)
        ratios.append(together / in_turn)
    return min(ratios)


def timer_p99_ms(core: Code) -> float:
    """Return the 99th percentile of how late a 1 ms timer is while two agents run."""
    late = trio.run(partial(_lateness, core))
    late.sort()
    return late[len(late) * 99 // 100] * 1000


def _machine(core: Code) -> Machine:
    return Machine(Code(compile_source(PROGRAM, "busy.clj").segment, core), memory_max=1 << 24)


def _run(machine: Machine) -> None:
    for _ in range(SLICES):
        if machine.run(FUEL) is not Status.OUT_OF_FUEL:
            raise AssertionError(machine.status)


def _timed(machines: list[Machine], *, at_once: bool) -> float:
    threads = [threading.Thread(target=_run, args=(machine,)) for machine in machines]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
        if not at_once:
            thread.join()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


async def _lateness(core: Code) -> list[float]:
    late: list[float] = []
    running = 2

    async def agent(machine: Machine) -> None:
        nonlocal running
        await trio.to_thread.run_sync(_run, machine)
        running -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(running):
            nursery.start_soon(agent, _machine(core))
        while running:
            started = trio.current_time()
            await trio.sleep(TIMER_S)
            late.append(trio.current_time() - started - TIMER_S)
    return late
