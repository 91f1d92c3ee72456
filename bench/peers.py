"""The programs of `bench/programs` in every language that is installed, timed by their own processor clock.

Is:     one process per program and peer, which answers and then runs the program a few times; ours in this process.
Is not: start-up or compile time: every program is compiled before its clock starts.
Fits:   `bench.machine` prints what this measures; a program or a peer that is missing gives nothing.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yang.compile import compile_source
from yang.core import core_segment
from yind.cesk import Code, Machine, Status

FOLDER = Path(__file__).parent / "programs"
PROGRAMS = (
    "fib",
    "tak",
    "ack",
    "nqueens",
    "loop",
    "mandelbrot",
    "map",
    "vector",
    "string",
    "generator",
    "deep_recursion",
    "higher_order",
    "word_count",
    "sieve",
)
RUNS = 5
TIMEOUT_S = 120
SLICE = 10_000_000  # of fuel
MEMORY_MAX = 1 << 31
ERLANG_NAMES = {"string": "string_join"}  # a module of Erlang's own has the name


@dataclass(frozen=True, slots=True)
class Timing:
    """What a program answered, and the median time of its runs."""

    answer: str
    ms: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Another language: how its process is started; None for a program it does not have."""

    name: str
    command: Callable[[str, int, Path], list[str] | None]
    executable: str


def _file(program: str, suffix: str) -> str | None:
    path = FOLDER / f"{program}.{suffix}"
    return str(path) if path.exists() else None


def _simple(executable: list[str], runner: str, suffix: str) -> Callable[..., list[str] | None]:
    def command(program: str, runs: int, folder: Path) -> list[str] | None:
        path = _file(program, suffix)
        return path and [*executable, str(FOLDER / runner), path, str(runs)]  # type: ignore[return-value]

    return command


def _guile(program: str, runs: int, folder: Path) -> list[str] | None:
    path = _file(program, "scm")
    if path is None:
        return None
    runner = str(FOLDER / "run_guile.scm")
    output = str(folder / f"{program}.go")
    return ["guile", "--no-auto-compile", runner, path, str(runs), output]


def _erlang(program: str, runs: int, folder: Path) -> list[str] | None:
    name = ERLANG_NAMES.get(program, program)
    path = _file(name, "erl")
    if path is None:
        return None
    sources = [path, str(FOLDER / "run.erl")]
    subprocess.run(["erlc", "-o", str(folder), *sources], check=True, timeout=TIMEOUT_S)
    one_busy_thread = ["+S", "1", "+sbwt", "none"]
    quiet = ["-noshell", "-noinput", "-pa", str(folder)]
    return ["erl", *one_busy_thread, *quiet, "-run", "run", "start", name, str(runs)]


CPYTHON = Peer(
    f"CPython {sys.version_info.major}.{sys.version_info.minor}",
    _simple([sys.executable], "run.py", "py"),
    sys.executable,
)
LUA = Peer("Lua 5.4", _simple(["lua5.4"], "run.lua", "lua"), "lua5.4")
PEERS = (
    CPYTHON,
    LUA,
    Peer("Guile", _guile, "guile"),
    Peer("Chez", _simple(["chezscheme", "--script"], "run_chez.scm", "scm"), "chezscheme"),
    Peer("Erlang", _erlang, "erl"),
)


def theirs(peer: Peer, program: str, folder: Path, *, runs: int = RUNS) -> Timing | None:
    """Time a program in a peer's language; None if either is missing."""
    if shutil.which(peer.executable) is None:
        return None
    command = peer.command(program, runs, folder)
    if command is None:
        return None
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    answer, *times = done.stdout.split()
    return Timing(answer, statistics.median(float(text) for text in times))


def ours(program: str, core: Code, *, runs: int = RUNS) -> Timing:
    """Time a program in yin's Clojure."""
    path = FOLDER / f"{program}.clj"
    code = Code(compile_source(path.read_text(), path.name).segment, core)
    answer = str(finished(code).result)
    times = []
    for _ in range(runs):
        started = time.process_time()
        finished(code)
        times.append((time.process_time() - started) * 1000)
    return Timing(answer, statistics.median(times))


def core_code() -> Code:
    """Return the loaded core library."""
    return Code(core_segment(), None)


def finished(code: Code) -> Machine:
    """Run a program to its end."""
    machine = Machine(code, memory_max=MEMORY_MAX)
    while (status := machine.run(SLICE)) is Status.OUT_OF_FUEL:
        pass
    if status is not Status.DONE:
        raise AssertionError(f"{status.name} {machine.fault if status is Status.FAULT else ''}")
    return machine
