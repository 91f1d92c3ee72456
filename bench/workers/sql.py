"""A worker for DuckDB or SQLite: requests as lines of JSON on stdin, answers as lines of JSON on stdout.

Is:     tables loaded from numpy files, queries answered and timed where they run, durable ingest into SQLite.
Is not: part of our process: it runs under the Python that has the peer installed.
Fits:   `bench.datomstore_peers` starts it as `python sql.py duckdb|sqlite`.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ENGINE = sys.argv[1]
INGEST = """create table datoms (e integer, a integer, v, t integer, primary key (e, a, v)) without rowid;
            create index aev on datoms (a, e, v); create index ave on datoms (a, v, e);"""


class Worker:
    """One connection, in memory unless it ingests."""

    def __init__(self) -> None:
        self.connection: Any = None
        self.reset({})

    def reset(self, request: dict[str, Any]) -> None:
        """Begin with an empty database."""
        if self.connection is not None:
            self.connection.close()
        if ENGINE == "duckdb":
            import duckdb  # type: ignore[import-not-found]

            self.connection = duckdb.connect(config={"threads": 1})
        else:
            self.connection = sqlite3.connect(":memory:", isolation_level=None)

    def version(self, request: dict[str, Any]) -> str:
        """Return the engine's version."""
        if ENGINE == "duckdb":
            return str(self.connection.execute("select version()").fetchone()[0])
        return sqlite3.sqlite_version

    def load(self, request: dict[str, Any]) -> float:
        """Make tables (name -> columns) of a file's columns, then run the statements of `after`; return milliseconds."""
        arrays = np.load(request["file"])
        started = time.perf_counter()
        for table, names in request["tables"].items():
            columns = {name: arrays[f"{table}.{name}"] for name in names}
            if ENGINE == "duckdb":
                self._load_duckdb(table, columns)
            else:
                self._load_sqlite(table, columns)
        for statement in request["after"]:
            self.connection.execute(statement)
        return (time.perf_counter() - started) * 1000

    def _load_duckdb(self, table: str, columns: dict[str, Any]) -> None:
        source = {
            name: column.astype(object) if column.dtype.kind == "U" else column
            for name, column in columns.items()
        }
        self.connection.register("source", source)
        self.connection.execute(f"create table {table} as select * from source")
        self.connection.unregister("source")

    def _load_sqlite(self, table: str, columns: dict[str, Any]) -> None:
        marks = ", ".join("?" * len(columns))
        self.connection.execute(f"create table {table} ({', '.join(columns)})")
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        self.connection.execute("begin")
        self.connection.executemany(f"insert into {table} values ({marks})", rows)
        self.connection.execute("commit")

    def answer(self, request: dict[str, Any]) -> object:
        """Return the rows of a query; with `file`, write its columns of integers there."""
        sql = request["sql"]
        if "file" not in request:
            return self.connection.execute(sql, request.get("inputs", [])).fetchall()
        if ENGINE == "duckdb":
            found = self.connection.execute(sql).fetchnumpy()
            columns = [np.asarray(column) for column in found.values()]
        else:
            rows = self.connection.execute(sql).fetchall()
            columns = list(np.array(rows, np.int64).T)
        np.savez(request["file"], *columns)
        return len(columns[0]) if columns else 0

    def time(self, request: dict[str, Any]) -> float:
        """Return the milliseconds of one run: the mean of as many as fit into `sample_ms`, one at least."""
        inputs = request.get("inputs", [])
        sql, columns = request.get("timed", request["sql"]), request.get("columns", False)

        def run() -> object:
            found = self.connection.execute(sql, inputs)
            return found.fetchnumpy() if columns and ENGINE == "duckdb" else found.fetchall()

        clock = time.process_time if request["clock"] == "cpu" else time.perf_counter
        started = clock()
        count, passed = 0, 0.0
        while not count or passed < request["sample_ms"]:
            run()
            count += 1
            passed = (clock() - started) * 1000
        return passed / count

    def ingest(self, request: dict[str, Any]) -> float:
        """Return the seconds of writing facts durably, `batch` in a transaction, with three orders."""
        rows = [
            (e, a, v, t)
            for t, batch in enumerate(json.loads(Path(request["facts"]).read_text()))
            for e, a, v in batch
        ]
        path = request["path"]
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript("pragma journal_mode=wal; pragma synchronous=full;" + INGEST)
        batch = request["batch"]
        started = time.perf_counter()
        for start in range(0, len(rows), batch):
            connection.execute("begin immediate")
            connection.executemany(
                "insert into datoms values (?, ?, ?, ?)", rows[start : start + batch]
            )
            connection.execute("commit")
        passed = time.perf_counter() - started
        connection.close()
        return passed


def main() -> None:
    """Answer requests until the input ends."""
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(worker, request["do"])(request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
