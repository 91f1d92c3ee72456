"""Sorted maps beside plain ones.

Is:     100,000 scattered keys put into a map one by one, then looked up.
Is not: a peer's figures: our two kinds of maps are each other's.
Fits:   rows of `bench.machine`.
"""

from __future__ import annotations

import time

from bench.report import Report, median_ms
from yang.compile import compile_source
from yind.cesk import Code, Machine, Status

_KEY = "(rem (* i 7919) 1000003)"
_PUT = f"(loop [i 0 m {{empty}}] (if (< i 100000) (recur (inc i) (assoc m {_KEY} i)) m))"
_GET = f"(loop [i 0 n 0] (if (< i 100000) (recur (inc i) (+ n (get m {_KEY}))) n))"


def sorted_rows(report: Report, core: Code) -> None:
    """Add how long sorted maps take, beside plain ones."""
    (put, found), (plain_put, plain_found) = (_ms(core, empty) for empty in ("(sorted-map)", "{}"))
    report.add("100,000 keys put into a sorted map", "ms", put, "a plain map", plain_put)
    report.add("100,000 keys found in a sorted map", "ms", found, "a plain map", plain_found)


def _ms(core: Code, empty: str) -> tuple[float, float]:
    """Return processor milliseconds of putting and of finding."""
    put = _PUT.format(empty=empty)
    putting = _run_ms(core, f"(count {put})")
    return putting, _run_ms(core, f"(let [m {put}] {_GET})") - putting


def _run_ms(core: Code, source: str) -> float:
    code = Code(compile_source(source, "sorted.clj").segment, core)

    def work() -> None:
        machine = Machine(code, memory_max=1 << 28)
        assert machine.run(1 << 40) is Status.DONE

    return median_ms(work, clock=time.process_time)
