"""The executor beside CPython and Lua 5.4, the same algorithms in each, by processor time.

Is:     fib, a counting loop, a map in a loop and deep recursion.
Is not: start-up or compile time: every program is compiled before the clock starts.
Fits:   `python -m bench machine`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

from bench.report import Report, median_ms
from yang.compile import compile_source
from yang.core import core_segment
from yind.cesk import Code, Machine, Status

PROGRAMS: dict[str, tuple[str, str, str]] = {
    "fib 27": (
        "(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (fib 27)",
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(27)",
        "local function fib(n) if n < 2 then return n end return fib(n-1) + fib(n-2) end fib(27)",
    ),
    "loop, sum to 3,000,000": (
        "(loop [i 0 sum 0] (if (< i 3000000) (recur (inc i) (+ sum i)) sum))",
        "def f():\n    i = s = 0\n    while i < 3000000:\n        s += i\n        i += 1\n    return s\nf()",
        "local i, s = 0, 0 while i < 3000000 do s = s + i i = i + 1 end",
    ),
    "map, 100,000 keys": (
        "(loop [i 0 m {}] (if (< i 100000) (recur (inc i) (assoc m i i)) (count m)))",
        "def f():\n    m = {}\n    for i in range(100000): m[i] = i\n    return len(m)\nf()",
        "local m = {} for i = 0, 99999 do m[i] = i end",
    ),
    "recursion 100,000 deep": (
        "(defn down [n] (if (= n 0) 0 (+ 1 (down (- n 1))))) (down 100000)",
        "import sys\nsys.setrecursionlimit(200000)\ndef down(n): return 0 if n == 0 else 1 + down(n - 1)\ndown(100000)",
        "local function down(n) if n == 0 then return 0 end return 1 + down(n-1) end down(100000)",
    ),
}


def run() -> Report:
    """Return the table of the executor."""
    report = Report("machine")
    core = Code(core_segment(), None)
    lua = shutil.which("lua5.4")
    for name, (ours, python, lua_text) in PROGRAMS.items():
        code = Code(compile_source(ours, name).segment, core)
        mine = median_ms(lambda code=code: _finish(code), clock=time.process_time)
        compiled = compile(python, name, "exec")
        theirs = median_ms(lambda compiled=compiled: _python(compiled), clock=time.process_time)
        report.add(
            name, "ms", mine, f"CPython {sys.version_info.major}.{sys.version_info.minor}", theirs
        )
        if lua is not None:
            report.add(name, "ms", mine, "Lua 5.4", _lua_ms(lua, lua_text))
    return report


def _finish(code: Code) -> None:
    machine = Machine(code, memory_max=1 << 30)
    while (status := machine.run(10_000_000)) is Status.OUT_OF_FUEL:
        pass
    assert status is Status.DONE, (status, machine.fault)


def _python(compiled: object) -> None:
    exec(compiled, {})  # type: ignore[arg-type]


def _lua_ms(lua: str, text: str) -> float:
    program = (
        "local times = {} for k = 1, 5 do local t = os.clock() "
        f"do {text} end times[k] = (os.clock() - t) * 1000 end table.sort(times) print(times[3])"
    )
    return float(subprocess.run([lua, "-e", program], check=True, capture_output=True).stdout)
