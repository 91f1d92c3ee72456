"""Agents on several threads: they run at once, share loaded code, and leave other threads their turn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier, Event

import pytest
import trio

from yang.compile import compile_source
from yang.core import core_segment
from yind.cesk import Code, Machine, Status

MEMORY_MAX = 64 << 20
ENDLESS = "(loop [i 0 x 0] (recur (inc i) (+ x (rem i 7))))"
# Reads constants of every kind from all threads: texts, numbers, collections, functions, core functions.
SHARING = """
    (def table {:a [1 2 {:b "text" :c #{1 2 :x}}] :big 123456789012345678901234567890 :ratio 22/7 "k" 'symbol})
    (defn turn [n]
      (let [m (assoc table :n n "k" (str "text" n)) v (conj (:a m) n)]
        [(= table (dissoc m :n)) (hash table) (get-in m [:a 2 :b]) (count v) (contains? (get-in m [:a 2 :c]) :x)
         (+ (:big m) n) (* (:ratio m) n) (name :c) (pr-str table) (sort [3 1 2]) (into #{} (map inc [1 2 3]))]))
    (loop [i 0 seen #{}] (if (< i 300) (recur (inc i) (conj seen (hash (turn i)))) (count seen)))"""
THREADS = 4


@cache
def code_of(source: str) -> Code:
    return Code(compile_source(source, "threads.clj").segment, Code(core_segment(), None))


def machine_of(source: str) -> Machine:
    return Machine(code_of(source), memory_max=MEMORY_MAX)


def test_two_agents_make_progress_at_once() -> None:
    """Each is in the middle of one slice while the other is: a slice that held the lock would never meet the other."""
    machines = [machine_of(ENDLESS), machine_of(ENDLESS)]
    both = Barrier(2, timeout=30)
    stop = Event()
    begun: list[float] = []
    ended: list[float] = []

    def run(machine: Machine) -> None:
        both.wait()
        begun.append(time.perf_counter())
        machine.run(8_000_000)
        ended.append(time.perf_counter())
        stop.set()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(run, machine) for machine in machines]:
            future.result()
    assert [machine.fuel_used for machine in machines] == [8_000_000] * 2
    assert max(begun) < min(ended)  # neither waited for the end of the other
    alone = machine_of(ENDLESS)
    start = time.perf_counter()
    alone.run(8_000_000)
    one = time.perf_counter() - start
    print(f"two at once took {(max(ended) - min(begun)) / one:.2f} x the time of one")  # noqa: T201 (a figure to read)


def test_a_thread_that_runs_no_agent_has_its_turn_during_a_slice() -> None:
    machine = machine_of(ENDLESS)
    turns = 0
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(machine.run, 8_000_000)
        while not future.done():
            turns += 1
    assert turns > 100


async def test_the_loop_of_the_daemon_stays_responsive_while_agents_run() -> None:
    """Only that it turns is judged; how late it is depends on what else the computer does."""
    machines = [machine_of(ENDLESS), machine_of(ENDLESS)]
    late: list[float] = []
    running = len(machines)

    async def run(machine: Machine) -> None:
        nonlocal running
        for _ in range(20):
            await trio.to_thread.run_sync(machine.run, 300_000)
        running -= 1

    async with trio.open_nursery() as nursery:
        for machine in machines:
            nursery.start_soon(run, machine)
        while running:
            due = trio.current_time() + 0.001
            await trio.sleep_until(due)
            late.append(trio.current_time() - due)
    late.sort()
    print(f"a timer was late by {1e3 * late[len(late) * 99 // 100]:.1f} ms at p99 of {len(late)}")  # noqa: T201 (a figure to read)
    assert len(late) > 20


@pytest.mark.parametrize("size", [50, 10_000])
def test_agents_that_share_code_do_not_disturb_each_other(size: int) -> None:
    alone = machine_of(SHARING)
    while alone.run(1 << 20) is Status.OUT_OF_FUEL:
        pass

    def run() -> tuple[str, int]:
        machine = machine_of(SHARING)
        while machine.run(size) is Status.OUT_OF_FUEL:
            pass
        return machine.result_text, machine.fuel_used

    with ThreadPoolExecutor(THREADS) as pool:
        found = [future.result() for future in [pool.submit(run) for _ in range(2 * THREADS)]]
    assert set(found) == {(alone.result_text, alone.fuel_used)}


# What it drops is large, and is freed little by little.
DROPPING = """
    (loop [i 0 kept nil]
      (if (< i 150) (recur (inc i) (mapv (fn [n] [n (str n)]) (range 3000))) (reduce + (map first kept))))"""


def test_an_agent_may_be_looked_at_while_it_runs() -> None:
    """What is shown of a running agent leaves its heap alone."""
    machine = machine_of(DROPPING)

    def run() -> None:
        while machine.run(2_000_000) is Status.OUT_OF_FUEL:
            pass

    seen: set[int] = set()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        while not future.done():
            seen.add(machine.memory_used)
            assert machine.fuel_used <= 1 << 30
        future.result()
    assert machine.result_text == str(sum(range(3000)))
    assert len(seen) > 10
    assert max(seen) <= MEMORY_MAX
    at_rest = machine.memory_used
    assert at_rest == machine.memory_used
