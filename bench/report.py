"""How a benchmark reports: a table for people, one line of JSON for programs.

Is:     medians of repeated runs, ratios against a peer measured in the same run.
Is not: a judge: timings never make anything fail.
Fits:   every file of `bench/`; the last line printed is the JSON.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


def median_ms(
    work: Callable[[], object],
    *,
    repeat: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time of a few runs by a clock of seconds, in milliseconds."""
    times = []
    for _ in range(repeat):
        started = clock()
        work()
        times.append((clock() - started) * 1000)
    return statistics.median(times)


@dataclass
class Report:
    """Rows of (what, ours, peer's, unit), printed side by side."""

    title: str
    rows: list[tuple[str, str, float, str, float | None]] = field(default_factory=list)

    def add(
        self, what: str, unit: str, ours: float, peer: str = "", theirs: float | None = None
    ) -> None:
        """Add a figure; a peer that is not installed has None."""
        self.rows.append((what, unit, ours, peer, theirs))

    def show(self) -> None:
        """Print the table, then the JSON line."""
        print(f"\n{self.title}")
        print(f"{'':<34}{'unit':>10}{'yin':>14}  {'peer':<14}{'figure':>14}{'ours/peer':>11}")
        for what, unit, ours, peer, theirs in self.rows:
            figure = "-" if theirs is None else f"{theirs:,.3f}"
            ratio = "-" if not theirs else f"{ours / theirs:.2f}"
            print(f"{what:<34}{unit:>10}{ours:>14,.3f}  {peer:<14}{figure:>14}{ratio:>11}")

    def figures(self) -> list[dict[str, object]]:
        """Return the rows as JSON objects."""
        return [
            {"what": what, "unit": unit, "yin": ours, "peer": peer, "figure": theirs}
            for what, unit, ours, peer, theirs in self.rows
        ]


def last_line(reports: list[Report]) -> None:
    """Print all figures as the one line of JSON that ends every benchmark."""
    print(json.dumps({report.title: report.figures() for report in reports}))
