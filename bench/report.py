"""How a benchmark reports: a table for people, one line of JSON for programs.

Is:     medians of repeated runs, ratios against peers measured in the same run.
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
    """Rows of (what, ours, peer's, unit), printed side by side.

    Attributes:
        beside: rows with several peers: (what, unit, ours, figure by peer).
        summary: what the last line says when this report stands alone; empty for all figures.
    """

    title: str
    rows: list[tuple[str, str, float, str, float | None]] = field(default_factory=list)
    beside: list[tuple[str, str, float, dict[str, float | None]]] = field(default_factory=list)
    summary: dict[str, object] = field(default_factory=dict)

    def add(
        self, what: str, unit: str, ours: float, peer: str = "", theirs: float | None = None
    ) -> None:
        """Add a figure; a peer that is not installed has None."""
        self.rows.append((what, unit, ours, peer, theirs))

    def add_beside(
        self, what: str, unit: str, ours: float, theirs: dict[str, float | None]
    ) -> None:
        """Add a figure beside those of several peers; all such rows have the same ones."""
        self.beside.append((what, unit, ours, theirs))

    def show(self) -> None:
        """Print the tables."""
        print(f"\n{self.title}")
        if self.beside:
            names = list(self.beside[0][3])
            heads = "".join(f"{name:>14}{'ratio':>7}" for name in names)
            print(f"{'':<16}{'unit':>5}{'yin':>10}{heads}")
        for what, unit, ours, theirs in self.beside:
            cells = "".join(f"{_figure(x):>14}{_ratio(ours, x):>7}" for x in theirs.values())
            print(f"{what:<16}{unit:>5}{ours:>10,.1f}{cells}")
        if self.rows:
            print(f"{'':<38}{'unit':>8}{'yin':>16}  {'peer':<12}{'figure':>16}{'ours/peer':>11}")
        for what, unit, ours, peer, figure in self.rows:
            print(
                f"{what:<38}{unit:>8}{ours:>16,.3f}  {peer:<12}{_figure(figure, 3):>16}{_ratio(ours, figure):>11}"
            )

    def figures(self) -> list[dict[str, object]]:
        """Return the rows as JSON objects."""
        beside: list[dict[str, object]] = [
            {"what": what, "unit": unit, "yin": ours, "peer": peer, "figure": figure}
            for what, unit, ours, theirs in self.beside
            for peer, figure in theirs.items()
        ]
        return beside + [
            {"what": what, "unit": unit, "yin": ours, "peer": peer, "figure": theirs}
            for what, unit, ours, peer, theirs in self.rows
        ]


def last_line(reports: list[Report]) -> None:
    """Print the one line of JSON that ends every benchmark: all figures, or the summary of the only report."""
    if len(reports) == 1 and reports[0].summary:
        print(json.dumps(_rounded(reports[0].summary)))
    else:
        print(json.dumps({report.title: report.figures() for report in reports}))


def _figure(figure: float | None, digits: int = 1) -> str:
    return "-" if figure is None else f"{figure:,.{digits}f}"


def _ratio(ours: float, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if theirs else "-"


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
