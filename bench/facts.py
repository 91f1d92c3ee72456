"""What the model of facts costs: commits, looking back, what-if, opening, proofs.

Is:     durable ingest by batch size beside a raw log with fdatasync, shared commits, and queries at other points in time
        beside the same query now.
Is not: joins and rules (`bench.datomstore`).
Fits:   `python -m bench facts`.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

from bench.report import Report, median_ms
from datomstore.datalog import q
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

NAMES = ("name", "age", "city", "salary", "mail")
KEYS = [Keyword(f"person/{name}") for name in NAMES]
PEOPLE = 20_000
WRITERS = 100
COMMITS = 20  # of each
QUERY = (
    "[:find ?name ?city :where [?p :person/age 42] [?p :person/name ?name] [?p :person/city ?city]]"
)


def _people(count: int) -> list[Map]:
    rows = (
        (f"person {i}", i % 90, f"city {i % 300}", i * 7 % 5000, f"mail{i}@example.org")
        for i in range(count)
    )
    return [Map(zip(KEYS, row, strict=True)) for row in rows]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def run() -> Report:
    """Return the table of the model."""
    report = Report("facts")
    with tempfile.TemporaryDirectory() as folder:
        _ingest(report, Path(folder))
        _writers(report, Path(folder))
    _time(report)
    return report


def _ingest(report: Report, folder: Path) -> None:
    people = _people(PEOPLE)
    for batch, count in ((10_000, PEOPLE), (100, 2_000), (5, 200)):
        streams = Streams(LmdbStorage(folder / f"b{batch}"), now_ms=_now_ms)
        stream = streams.create("people")
        step = batch // len(NAMES)
        cpu, started = time.process_time(), time.perf_counter()
        for start in range(0, count, step):
            stream.transact(people[start : start + step])
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        datoms = count * len(NAMES)
        raw = _raw_log(folder / f"raw{batch}", stream)
        what = f"durable ingest, batches of {batch:,}"
        report.add(what, "datoms/s", datoms / wall, "raw log", datoms / raw)
        report.add(f"{what}, processor time", "datoms/s", datoms / cpu)
        streams.storage.close()


def _raw_log(path: Path, stream: Stream) -> float:
    """Return the seconds that appending the same records takes, each with an fdatasync."""
    records = [blob for _, blob in stream.records(0, stream.t)]
    started = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for record in records:
            file.write(record)
            os.fdatasync(file.fileno())
    return time.perf_counter() - started


def _writers(report: Report, folder: Path) -> None:
    """One commit each for many threads at once, beside the same commits one after the other."""
    stream = Streams(LmdbStorage(folder / "group"), now_ms=_now_ms).create("s")

    def write(number: int) -> None:
        stream.transact([Map({KEYS[0]: number})])

    started = time.perf_counter()
    for number in range(WRITERS):
        write(number)
    alone = time.perf_counter() - started
    ready = threading.Barrier(WRITERS + 1)

    def go_on(writer: int) -> None:
        ready.wait()
        for number in range(COMMITS):
            write(writer * COMMITS + number)

    threads = [threading.Thread(target=go_on, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    together = (time.perf_counter() - started) / COMMITS
    report.add(
        f"commits of {WRITERS} writers at once",
        "commits/s",
        WRITERS / together,
        "one writer",
        WRITERS / alone,
    )


def _time(report: Report) -> None:
    storage = MemoryStorage()
    stream = Streams(storage, now_ms=_now_ms).create("s")
    people = _people(PEOPLE)
    for start in range(0, PEOPLE, 2_000):
        stream.transact(people[start : start + 2_000])
    t, age = stream.t, KEYS[1]
    half = [(Keyword("db/add"), 1_000 + i, age, i % 89) for i in range(0, PEOPLE, 2)]
    for start in range(0, len(half), 1_000):
        stream.transact(half[start : start + 1_000])
    now, then = stream.db(), stream.db().as_of(t)
    for database in (now, then):
        q(QUERY, database)
    current, back = [_fresh(stream, t) for t in (stream.t, t)]
    report.add("query as of an earlier t, columns kept", "ms", back[0], "now", current[0])
    report.add("query as of an earlier t, first time", "ms", back[1], "now", current[1])
    fork = median_ms(lambda: now.with_([(Keyword("db/add"), 1_000, age, 5)]))
    report.add("what-if of one fact on 120,000", "ms", fork)
    opened = median_ms(lambda: Streams(storage, now_ms=_now_ms).get("s"), repeat=3)
    report.add("opening a log of 120,000", "ms", opened)
    name = now.name
    assert name is not None, "a stream's database has a name"
    report.add("proof of a transaction", "ms", median_ms(lambda: stream.prove(3, name)))


def _fresh(stream: Stream, t: int) -> tuple[float, float]:
    """Return the time of a query at t when asked again, and when no source of it is kept."""
    database = stream.db().as_of(t)
    again = median_ms(lambda: q(QUERY, database), repeat=21, clock=time.process_time)

    def first() -> None:
        view = stream.db().as_of(t)
        view.schema = type(view.schema)({found.ident: found for found in view.schema})
        q(QUERY, view)

    return again, median_ms(first, repeat=21, clock=time.process_time)
