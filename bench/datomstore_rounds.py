"""Rounds of measurement: ours and every peer's in turn, so that a busy machine is busy for all of them.

Is:     warm-up, samples in turn, medians; answers compared before anything is timed; rows and the keys made of them.
Is not: the workloads.
Fits:   the groups (`bench.datomstore_queries`, ...) call `compare` and `note`; `bench.datomstore` prints.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.datomstore_peers import DATALEVIN, DATASCRIPT, DUCKDB, SQLITE, PeerFailed, Peers
from datomstore.value import Keyword, Set

Request = dict[str, object]
PEERS = (DATASCRIPT, DATALEVIN, DUCKDB, SQLITE)


class AnswerDiffers(Exception):
    """A peer answers something else than we do: a figure would compare different work."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is run."""

    quick: bool = False
    clock: str = "wall"  # or "cpu": processor time, for a machine on which others work
    rounds: int = 5
    warm_ms: float = 300.0
    warm_ms_by_peer: Mapping[str, float] = field(
        # The first two compile while they run; the last is as fast the first time.
        default_factory=lambda: {DATASCRIPT: 700.0, DATALEVIN: 1_500.0, SQLITE: 0.0}
    )
    sample_ms: float = 30.0

    @staticmethod
    def of(*, quick: bool, clock: str = "wall") -> Settings:
        """Return the settings of a whole run, or of one that only shows that everything works."""
        if quick:
            return Settings(True, clock, 2, 0.0, {}, 0.0)
        return Settings(clock=clock)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside those of the peers; None for a peer that is missing or does not have the workload."""

    group: str
    what: str
    unit: str
    yin: float
    peers: dict[str, float | None]

    def ratio(self, names: Sequence[str]) -> float | None:
        """Return the best peer's time over ours; None if one of them is missing."""
        times = [self.peers.get(name) for name in names]
        return None if None in times else min(t for t in times if t is not None) / self.yin

    def __str__(self) -> str:
        cells = [
            f"{name} {'-' if figure is None else f'{figure:,.3f}'}"
            for name, figure in self.peers.items()
        ]
        return f"  {self.what:<40}{self.yin:>16,.3f} {self.unit:<10}{'   '.join(cells)}"

    def as_json(self) -> dict[str, object]:
        """Return the row as a JSON object."""
        return {
            "group": self.group,
            "what": self.what,
            "unit": self.unit,
            "yin": self.yin,
            **self.peers,
        }


class Rounds:
    """Everything that is measured in one run."""

    def __init__(self, peers: Peers, settings: Settings, folder: Path) -> None:
        self.peers = peers
        self.settings = settings
        self.folder = folder
        self.rows: list[Row] = []
        self._files = 0

    def file(self, suffix: str) -> Path:
        """Return the path of a new file."""
        self._files += 1
        return self.folder / f"{self._files}{suffix}"

    def ask(self, name: str, do: str, **request: object) -> Any:
        """Return a peer's answer, None if it is missing or fails."""
        peer = self.peers.get(name)
        if peer is None:
            return None
        try:
            return peer.ask(do, **request)
        except PeerFailed as failure:
            self.peers.failed(failure)
            return None

    def note(
        self,
        group: str,
        what: str,
        unit: str,
        yin: float,
        peers: Mapping[str, float | None] | None = None,
    ) -> None:
        """Add a figure."""
        row = Row(group, what, unit, yin, dict(peers or {}))
        self.rows.append(row)
        print(row, flush=True)

    def compare(
        self,
        group: str,
        what: str,
        ours: Callable[[], object],
        theirs: Mapping[str, Request],
        *,
        same: Callable[[object], object] | None = None,
        rounds: int | None = None,
        warm: bool = True,
    ) -> None:
        """Measure one workload here and in peers, once all answers agree. Raises AnswerDiffers.

        Args:
            ours: does the work once and returns the answer.
            theirs: what to ask each peer.
            same: makes an answer comparable, ours and theirs; None: rows.
            rounds: how many samples, if not as many as usual.
            warm: whether it runs before it is measured, besides for the answer.
        """
        asked = self._agreeing(what, ours, theirs, same or rows_of)
        settings = self.settings
        warm_ms = settings.warm_ms_by_peer
        if warm:
            self._sample(ours, settings.warm_ms)
            for name, request in asked.items():
                ms = warm_ms.get(name, settings.warm_ms)
                if ms:
                    self.ask(name, "time", **request, sample_ms=ms, clock=settings.clock)
        mine: list[float] = []
        others: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(rounds or settings.rounds):
            mine.append(self._sample(ours, settings.sample_ms))
            for name, request in asked.items():
                passed = self.ask(
                    name, "time", **request, sample_ms=settings.sample_ms, clock=settings.clock
                )
                others[name].append(math.nan if passed is None else passed)
        medians = {name: _median(times) for name, times in others.items()}
        self.note(group, what, "ms", statistics.median(mine), medians)

    def _agreeing(
        self,
        what: str,
        ours: Callable[[], object],
        theirs: Mapping[str, Request],
        same: Callable[[object], object],
    ) -> dict[str, Request]:
        """Return the requests of the peers that are there and answer what we do."""
        mine = same(ours()) if theirs else None
        asked: dict[str, Request] = {}
        for name, request in theirs.items():
            peer = self.peers.get(name)
            if peer is None:
                continue
            try:
                answer = peer.ask("answer", **request)
            except PeerFailed as failure:
                self.peers.failed(failure)
                continue
            if not _equal(mine, same(answer)):
                raise AnswerDiffers(
                    f"{what}: {name} answers something else: {_short(mine, same(answer))}"
                )
            asked[name] = {key: value for key, value in request.items() if key != "file"}
        return asked

    def fastest(self, work: Callable[[], object]) -> float:
        """Return the milliseconds of the fastest of several samples of our own."""
        self._sample(work, self.settings.warm_ms / 4)
        return min(self._sample(work, self.settings.sample_ms / 4) for _ in range(7))

    def _sample(self, work: Callable[[], object], sample_ms: float) -> float:
        """Return the milliseconds of one run: the mean of as many as fit, one at least."""
        clock = time.process_time if self.settings.clock == "cpu" else time.perf_counter
        started = clock()
        count, passed = 0, 0.0
        while not count or passed < sample_ms:
            work()
            count += 1
            passed = (clock() - started) * 1000
        return passed / count

    def worst(self, group: str, names: Sequence[str]) -> float | None:
        """Return the worst ratio of a group, best peer's time over ours; None if a peer is missing for any row."""
        ratios = [row.ratio(names) for row in self.rows if row.group == group]
        if not ratios or None in ratios:
            return None
        return min(ratio for ratio in ratios if ratio is not None)


def _median(times: list[float]) -> float | None:
    return None if not times or any(map(math.isnan, times)) else statistics.median(times)


def plain(value: object) -> object:
    """Return a value as every peer has it: keywords as texts."""
    if isinstance(value, Keyword):
        return value.name
    if isinstance(value, str):
        return value.removeprefix(":")
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return value


def rows_of(answer: object) -> object:
    """Return an answer of rows as a set of tuples of plain values."""
    if isinstance(answer, (Set, list, tuple, set)):
        return {
            tuple(plain(v) for v in row) if isinstance(row, (list, tuple)) else row
            for row in answer
        }
    return plain(answer)


def columns_of(answer: object) -> object:
    """Return columns of integers, ours or those in a file, as sorted rows."""
    columns = [np.asarray(column, np.int64) for column in answer]  # type: ignore[attr-defined]
    table = np.stack(columns)
    return table[:, np.lexsort(table[::-1])]


def _equal(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.array_equal(np.asarray(left), np.asarray(right))
    return left == right


def _short(mine: object, theirs: object) -> str:
    if isinstance(mine, set) and isinstance(theirs, set):
        return f"{len(mine)} rows here, {len(theirs)} there; {list(mine - theirs)[:3]} {list(theirs - mine)[:3]}"
    return f"{str(mine)[:100]} {str(theirs)[:100]}"
