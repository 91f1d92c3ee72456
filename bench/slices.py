"""How long the longest slice of little fuel is, whatever its instructions are given.

Is:     processor time of the longest of all slices of programs that compare, print, split, multiply and drop a lot.
Is not: the bound itself, which is counted in steps of work (tests/yind/cesk/test_portions.py).
Fits:   `bench.machine` prints it.
"""

from __future__ import annotations

import time

from yang.compile import compile_source
from yind.cesk import Code, Machine, Status

FUEL = 100
RUNS = 3
MANY = "(vec (range 1000000))"
BIG = "(loop [i 0 a 5] (if (< i 17) (recur (inc i) (* a a)) a))"  # 92,000 digits
PROGRAMS = {
    "equality": f"(= {MANY} (apply list (range 1000000)))",
    "printing": f"(count (pr-str {MANY}))",
    "text": '(count (clojure.string/split (clojure.string/join ", " (range 1000000)) ", "))',
    "big integers": f"(let [a {BIG}] (count (str (* a (inc a)))))",
    "release": f"(let [x (atom (mapv vector {MANY}))] (reset! x nil) (reduce + (range 10000)))",
}


def longest_slice_us(core: Code) -> dict[str, float]:
    """Return the processor time of the longest slice of each program; of several runs the least disturbed one."""
    return {
        name: min(
            _longest_us(Code(compile_source(source, name).segment, core)) for _ in range(RUNS)
        )
        for name, source in PROGRAMS.items()
    }


def _longest_us(code: Code) -> float:
    machine = Machine(code, memory_max=1 << 30)
    longest = 0.0
    while machine.status is Status.OUT_OF_FUEL:
        begin = time.thread_time()
        machine.run(FUEL)
        longest = max(longest, time.thread_time() - begin)
    assert machine.status is Status.DONE
    return longest * 1e6
