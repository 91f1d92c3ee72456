"""Ingest and one join beside SQLite from the standard library.

Is:     durable ingest in batches of 10,000 datoms, and a two-way join over 100,000.
Is not: the full set of workloads (`bench.datomstore`).
Fits:   `python -m bench`, the overview.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

from bench.report import Report, median_ms
from datomstore.datalog import q
from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map

PEOPLE = 20_000
BATCH = 2_000
QUERY = (
    "[:find ?name ?city :where [?p :person/age 42] [?p :person/name ?name] [?p :person/city ?city]]"
)


def _rows() -> list[tuple[str, int, str, int, str]]:
    return [
        (f"person {i}", i % 90, f"city {i % 300}", i * 7 % 5000, f"mail{i}@example.org")
        for i in range(PEOPLE)
    ]


def run() -> Report:
    """Return the table of the store."""
    report = Report("store")
    rows = _rows()
    names = ("name", "age", "city", "salary", "mail")
    keys = [Keyword(f"person/{name}") for name in names]
    with tempfile.TemporaryDirectory() as folder:
        streams = Streams(
            LmdbStorage(Path(folder) / "ours"), now_ms=lambda: time.time_ns() // 1_000_000
        )
        stream = streams.create("people")
        started = time.perf_counter()
        for start in range(0, PEOPLE, BATCH):
            stream.transact(
                [Map(zip(keys, row, strict=True)) for row in rows[start : start + BATCH]]
            )
        ours_s = time.perf_counter() - started
        peer, theirs_s = _sqlite(Path(folder) / "peer.db", rows)
        datoms = PEOPLE * len(names)
        report.add(
            "durable ingest, batches of 10,000",
            "datoms/s",
            datoms / ours_s,
            "SQLite",
            datoms / theirs_s,
        )
        database = stream.db()
        q(QUERY, database)
        mine = median_ms(lambda: q(QUERY, database), repeat=21)
        theirs = median_ms(lambda: peer.execute(SQL).fetchall(), repeat=21)
        report.add("join of three attributes", "ms", mine, "SQLite", theirs)
    return report


SQL = """select n.v, c.v from datoms a join datoms n on n.e = a.e and n.a = 'name'
         join datoms c on c.e = a.e and c.a = 'city' where a.a = 'age' and a.v = 42"""


def _sqlite(
    path: Path, rows: list[tuple[str, int, str, int, str]]
) -> tuple[sqlite3.Connection, float]:
    """Return a database of the same facts with the same three orders, and the seconds it took."""
    connection = sqlite3.connect(path)
    connection.executescript(
        "pragma journal_mode=wal; pragma synchronous=full;"
        "create table datoms (e integer, a text, v, primary key (e, a)) without rowid;"
        "create index aev on datoms (a, e, v); create index ave on datoms (a, v, e);"
    )
    names = ("name", "age", "city", "salary", "mail")
    started = time.perf_counter()
    for start in range(0, PEOPLE, BATCH):
        with connection:
            connection.executemany(
                "insert into datoms values (?, ?, ?)",
                [
                    (start + i, name, value)
                    for i, row in enumerate(rows[start : start + BATCH])
                    for name, value in zip(names, row, strict=True)
                ],
            )
    return connection, time.perf_counter() - started
