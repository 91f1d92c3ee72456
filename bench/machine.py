"""The executor beside CPython, Lua, Guile, Chez and Erlang; what its continuations cost.

Is:     14 programs with the same algorithm and kind of data in each language, and one checked answer; sorted
        maps, captures, images, parked agents, two threads.
Is not: a judge: figures are printed beside the bars, none makes anything fail.
Fits:   `python -m bench machine` (`make bench-machine`); `executor` is the short form in `python -m bench`.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from bench.continuations import DEPTHS, FRAMES, capture_us, control_us, image_figures, parked_bytes
from bench.parallel import timer_p99_ms, two_threads_ratio
from bench.peers import CPYTHON, LUA, PEERS, PROGRAMS, Peer, Timing, core_code, ours, theirs
from bench.report import Report
from bench.slices import longest_slice_us
from bench.sorted import sorted_rows

SHORT = ("fib", "loop", "map", "deep_recursion")


def run() -> Report:
    """Return the whole table of the machine."""
    report = Report("machine")
    core = core_code()
    ratios = _programs(report, PROGRAMS, PEERS)
    lua = [of[LUA.name] for of in ratios.values() if LUA.name in of]
    python = [of[CPYTHON.name] for of in ratios.values() if CPYTHON.name in of]
    geomean = math.exp(sum(map(math.log, lua)) / len(lua)) if lua else None
    report.summary = {
        "geomean_vs_lua54": geomean,
        "worst_vs_cpython": max(python),
        "programs": ratios,
    }
    if geomean is not None:
        report.add("geometric mean of time over Lua 5.4's", "ratio", geomean, "bar", 1.0)
    report.add("worst program over CPython", "ratio", max(python), "bar", 1.0)

    sorted_rows(report, core)
    captures = [capture_us(core, depth) for depth in DEPTHS]
    for depth, us in zip(DEPTHS, captures, strict=True):
        report.add(f"capture + resume at depth {depth:,}", "1/s", 1e6 / us, "bar", 1e6)
    report.summary["capture_resume_per_s"] = 1e6 / captures[0]
    report.summary["capture_depth_ratio"] = captures[-1] / captures[0]

    for name, us in control_us(core).items():
        report.add(name, "ns", us * 1e3)

    for frames in FRAMES:
        image = image_figures(core, frames)
        bar = frames == 50
        name = f"image of {frames} frames"
        report.add(name, "bytes", image.size, *(("bar", 5_000) if bar else ()))
        report.add(f"{name}, write", "us", image.write_us, *(("bar", 50) if bar else ()))
        report.add(f"{name}, read", "us", image.read_us, *(("bar", 50) if bar else ()))
        if bar:
            report.summary["image_bytes_50"] = image.size
            report.summary["image_write_us_50"] = image.write_us
            report.summary["image_read_us_50"] = image.read_us

    parked = parked_bytes("live")
    report.add("parked agent, live", "bytes", parked, "bar", 2_000)
    report.add("parked agent, as an image", "bytes", parked_bytes("images"), "bar", 2_000)
    report.summary["parked_bytes"] = parked

    for name, us in longest_slice_us(core).items():
        report.add(f"longest instruction, {name}", "us", us)

    ratio = two_threads_ratio(core)
    report.add("two agents: at once over in turn", "ratio", ratio, "bar", 0.5)
    report.add("1 ms timer while both run, p99 late", "ms", timer_p99_ms(core), "bar", 5.0)
    report.summary["two_threads_ratio"] = ratio
    return report


def overview() -> Report:
    """Return a few programs beside CPython and Lua."""
    report = Report("executor")
    _programs(report, SHORT, (CPYTHON, LUA))
    return report


def _programs(
    report: Report, programs: tuple[str, ...], peers: tuple[Peer, ...]
) -> dict[str, dict[str, float]]:
    """Add a line for each program; return its ratios by peer."""
    core = core_code()
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        for program in programs:
            mine = ours(program, core)
            others = {peer.name: theirs(peer, program, Path(folder)) for peer in peers}
            _same_answer(program, mine, others)
            times = {name: timing.ms if timing else None for name, timing in others.items()}
            report.add_beside(program, "ms", mine.ms, times)
            ratios[program] = {name: mine.ms / ms for name, ms in times.items() if ms}
    return ratios


def _same_answer(program: str, mine: Timing, others: dict[str, Timing | None]) -> None:
    for name, timing in others.items():
        if timing is not None and timing.answer != mine.answer:
            raise AssertionError(f"{program}: {mine.answer} here, {timing.answer} in {name}")
