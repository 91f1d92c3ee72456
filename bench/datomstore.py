"""The datom store beside DataScript, Datalevin, DuckDB, SQLite and a raw log, all in one run.

Is:     the groups of workloads, their bars, and the last line: one JSON object with a key for each group.
Is not: a judge: a ratio below its bar makes nothing fail. A peer that answers otherwise does.
Fits:   `make bench-datomstore` (`python -m bench datomstore`, `--quick` for a short one, `--cpu` to measure processor time);
        `make bench-datomstore-peers` installs the peers.

Each key is the worst of its group, the best peer's time over ours. A peer that is missing is shown as `-`, and the keys
that need it are null.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import (
    datomstore_ast,
    datomstore_graphs,
    datomstore_joins,
    datomstore_queries,
    datomstore_writes,
)
from bench.datomstore_peers import BUILD, DATALEVIN, DATASCRIPT, DUCKDB, SQLITE, Peers
from bench.datomstore_rounds import PEERS, Rounds, Row, Settings
from bench.datomstore_writes import RAW
from bench.report import Report

RECURSION = 10_000  # Python's own parser makes deep trees of deep sources


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the last line: a ratio against the best of some peers, or a figure of ours that has a bar."""

    name: str
    group: str
    bar: float
    peers: tuple[str, ...] = ()
    most: bool = False  # the bar is what it may be at most

    def value(self, rounds: Rounds) -> float | None:
        """Return the worst of the group; None if nothing was measured."""
        if self.peers:
            return rounds.worst(self.group, self.peers)
        figures = [row.yin for row in rounds.rows if row.group == self.group]
        return (max if self.most else min)(figures) if figures else None

    def verdict(self, value: float | None) -> str:
        """Return whether the bar is reached."""
        if value is None:
            return "not measured"
        reached = value <= self.bar if self.most else value >= self.bar
        return "reached" if reached else "missed"


KEYS = (
    Key("q1_q4_vs_best", "q1_q4", 8, (DATASCRIPT, DATALEVIN)),
    Key("qpred_vs_best", "qpred", 3, (DATASCRIPT, DATALEVIN)),
    Key("rules_vs_datalevin", "rules", 2, (DATALEVIN,)),
    Key("add_vs_best", "add", 2, (DATASCRIPT, DATALEVIN)),
    Key("closure_vs_duckdb", "closure", 1, (DUCKDB,)),
    Key("cyclic_vs_duckdb", "cyclic", 1, (DUCKDB,)),
    Key("ast_rules_vs_duckdb", "ast", 1, (DUCKDB,)),
    Key("joins_1m_vs_best", "joins_1m", 1.5, PEERS),
    Key("aggregate_vs_duckdb", "aggregate", 3, (DUCKDB,)),
    Key("ingest_10k_vs_datalevin", "ingest_10000", 6, (DATALEVIN,)),
    Key("ingest_100_vs_sqlite", "ingest_100", 1.5, (SQLITE,)),
    Key("durable_1_vs_raw_log", "ingest_1", 0.5, (RAW,)),
    Key("group_commit_gain", "group_commit_gain", 20),
    Key("as_of_cost", "as_of_cost", 2, most=True),
    Key("bytes_per_datom", "bytes_per_datom", 40, most=True),
    Key("subscription_cost", "subscription_cost", 0.05, most=True),
)
GROUPS: dict[str, tuple[Callable[[Rounds], None], tuple[str, ...]]] = {
    "queries": (datomstore_queries.run, (DATASCRIPT, DATALEVIN)),
    "graphs": (datomstore_graphs.run, (DUCKDB, SQLITE)),
    "ast": (datomstore_ast.run, (DUCKDB, SQLITE)),
    "joins": (datomstore_joins.run, PEERS),
    "writes": (datomstore_writes.run, (DATALEVIN, SQLITE)),
}


@dataclass
class StoreReport(Report):
    """The keys beside their bars; rows were printed when they were measured."""

    keys: list[tuple[Key, float | None]] = field(default_factory=list)
    failures: Sequence[str] = ()

    def show(self) -> None:
        """Print the keys."""
        print(f"\n{self.title}{'':<20}{'figure':>12}{'bar':>10}")
        for key, value in self.keys:
            figure = "-" if value is None else f"{value:,.3g}"
            bar = f"{'<=' if key.most else '>='} {key.bar:g}"
            print(f"{key.name:<30}{figure:>12}{bar:>10}  {key.verdict(value)}")
        for failure in self.failures:
            print(f"a peer failed: {failure}")


def run() -> Report:
    """Return the keys of all groups, or of those named after `--groups=`."""
    chosen = next((a.removeprefix("--groups=") for a in sys.argv if a.startswith("--groups=")), "")
    names = chosen.split(",") if chosen else list(GROUPS)
    settings = Settings.of(
        quick="--quick" in sys.argv, clock="cpu" if "--cpu" in sys.argv else "wall"
    )
    sys.setrecursionlimit(RECURSION)
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as folder:
        peers = Peers(Path(folder).resolve())
        try:
            rounds = Rounds(peers, settings, Path(folder).resolve())
            versions = peers.versions({peer for name in names for peer in GROUPS[name][1]})
            print("  ".join(f"{name} {version or '-'}" for name, version in versions.items()))
            for name in names:
                print(f"{name}:", flush=True)
                GROUPS[name][0](rounds)
            return _report(rounds)
        finally:
            peers.close()


def _report(rounds: Rounds) -> Report:
    keys = [(key, key.value(rounds)) for key in KEYS]
    summary: dict[str, object] = {key.name: value for key, value in keys}
    summary["rows"] = [_row(row) for row in rounds.rows]
    report = StoreReport("datomstore", keys=keys, failures=rounds.peers.failures)
    report.summary = summary
    return report


def _row(row: Row) -> dict[str, object]:
    return {name: _short(value) for name, value in row.as_json().items()}


def _short(value: object) -> object:
    return float(f"{value:.5g}") if isinstance(value, float) else value
