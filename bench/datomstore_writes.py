"""Writing: durable ingest by batch, shared commits, what looking back, a fact and a subscription cost.

Is:     ours in LMDB beside Datalevin, SQLite with the same three orders, and a bare file with fdatasync.
Is not: adding to databases in memory (`bench.datomstore_queries`).
Fits:   `bench.datomstore`.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.datomstore_peers import DATALEVIN, SQLITE
from bench.datomstore_rounds import Rounds
from datomstore._queue import Commit
from datomstore.database import Database
from datomstore.datalog import follow, q
from datomstore.storage.files import BLOBS
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

NAMES = ("name", "city", "age", "salary", "mail")
KEYS = [Keyword(f"person/{name}") for name in NAMES]
RAW = "raw log"
ADD = Keyword("db/add")
RUNS = 3
WRITERS, COMMITS = 100, 20
CHANGED = 10  # facts of a transaction that a subscription sees
JOIN = (
    "[:find ?name ?city :where [?p :person/age 42] [?p :person/name ?name] [?p :person/city ?city]]"
)
WHOLE = """[:find ?name ?city :where [?p :person/age ?age] [(> ?age 41)] [?p :person/name ?name]
            [?p :person/city ?city]]"""
NEAR = "[:find ?a ?b :in $ % :where [?a :person/age 42] (near ?a ?b)]"
RULES = (
    "[[(near ?a ?b) [?a :person/city ?c] [?b :person/city ?c] [?b :person/age ?age] [(> ?age 41)]]]"
)

Fact = tuple[int, int, object]


def _batches(datoms: int, batch: int) -> list[list[Fact]]:
    """Return facts (entity, attribute's number, value) of people with five each, `batch` in a transaction."""
    facts: list[Fact] = []
    for number in range(datoms // len(NAMES)):
        values = (
            f"person {number}",
            f"city {number % 300}",
            number % 90,
            number * 7 % 5000,
            f"mail{number}@example.org",
        )
        facts.extend((1_000 + number, a, value) for a, value in enumerate(values))
    return [facts[start : start + batch] for start in range(0, len(facts), batch)]


def run(rounds: Rounds) -> None:
    """Measure writing."""
    quick = rounds.settings.quick
    sizes = ((10_000, 100_000), (100, 20_000), (1, 1_000))
    for batch, datoms in sizes:
        _ingest(rounds, batch, max(batch, datoms // 20) if quick else datoms)
    _writers(rounds)
    people = 1_000 if quick else 20_000
    _as_of(rounds, people)
    _bytes(rounds, people)
    _subscriptions(rounds, people)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ingest(rounds: Rounds, batch: int, datoms: int) -> None:
    """Note datoms a second of each; three runs each, in turn."""
    batches = _batches(datoms, batch)
    file = rounds.file(".json")
    file.write_text(json.dumps(batches))
    mine: list[float] = []
    theirs: dict[str, list[float]] = {DATALEVIN: [], SQLITE: [], RAW: []}
    for _ in range(1 if rounds.settings.quick else RUNS):
        records, passed = _ours(rounds.file(""), batches)
        mine.append(passed)
        theirs[RAW].append(_raw_log(rounds.file(".raw"), records))
        for name in (DATALEVIN, SQLITE):
            names = [f"person/{name}" for name in NAMES]
            asked = {
                "facts": str(file),
                "path": str(rounds.file("")),
                "batch": batch,
                "names": names,
            }
            found = rounds.ask(name, "ingest", **asked)
            if found is not None:
                theirs[name].append(found)
    rounds.note(
        f"ingest_{batch}",
        f"durable ingest, batches of {batch:,}",
        "ms",
        statistics.median(mine) * 1000,
        {
            name: statistics.median(times) * 1000 if times else None
            for name, times in theirs.items()
        },
    )


def _ours(path: Path, batches: list[list[Fact]]) -> tuple[list[bytes], float]:
    """Return the records written, and the seconds."""
    prepared = [_transaction(batch) for batch in batches]
    streams = Streams(LmdbStorage(path), now_ms=_now_ms)
    stream = streams.create("people")
    started = time.perf_counter()
    for batch in prepared:
        stream.transact(batch)
    passed = time.perf_counter() - started
    records = [blob for _, blob in stream.records(0, stream.t)]
    streams.storage.close()
    return records, passed


def _transaction(batch: list[Fact]) -> list[object]:
    """Return facts as entity maps, or one fact as an operation."""
    if len(batch) == 1:
        return [(ADD, e, KEYS[a], v) for e, a, v in batch]
    entities: dict[int, list[tuple[Keyword, object]]] = {}
    for e, a, v in batch:
        entities.setdefault(e, []).append((KEYS[a], v))
    return [Map(pairs) for pairs in entities.values()]


def _raw_log(path: Path, records: list[bytes]) -> float:
    """Return the seconds that appending the same records takes, each with an fdatasync."""
    started = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for record in records:
            file.write(record)
            os.fdatasync(file.fileno())
    return time.perf_counter() - started


def _writers(rounds: Rounds) -> None:
    """Commits of many writers at once, each after its last is on disk, over those of one writer in the same time.

    Writers submit, and go on when they are called; as threads they are woken one by one, which costs more than a commit.
    """
    commits = 2 if rounds.settings.quick else COMMITS
    alone: list[float] = []
    together: list[float] = []
    threads: list[float] = []
    for _ in range(1 if rounds.settings.quick else RUNS):
        streams = Streams(LmdbStorage(rounds.file("")), now_ms=_now_ms)
        stream = streams.create("s")
        started = time.perf_counter()
        for number in range(WRITERS * 2):
            stream.transact([Map({KEYS[0]: number})])
        alone.append((time.perf_counter() - started) / (WRITERS * 2))
        together.append(_submitted(stream, commits) / (WRITERS * commits))
        threads.append(_in_threads(stream, commits) / (WRITERS * commits))
        streams.close()
    single, shared, threaded = map(statistics.median, (alone, together, threads))
    rounds.note("group_commit", "a commit of one writer", "ms", single * 1000)
    rounds.note("group_commit", f"a commit of one of {WRITERS} writers", "ms", shared * 1000)
    rounds.note("group_commit", f"a commit of one of {WRITERS} threads", "ms", threaded * 1000)
    rounds.note("group_commit", "gain of shared commits, threads", "times", single / threaded)
    rounds.note("group_commit_gain", "gain of shared commits", "times", single / shared)


def _submitted(stream: Stream, commits: int) -> float:
    """Return the seconds in which all writers commit so often each, all of them callbacks."""
    left = threading.Semaphore(0)

    def write(writer: int) -> None:
        facts = iter([[Map({KEYS[0]: writer * commits + number})] for number in range(commits)])

        def go_on(before: Commit | None) -> None:
            if before is not None:
                before.result()
            fact = next(facts, None)
            if fact is None:
                left.release()
            else:
                stream.submit(fact).add_done_callback(go_on)

        go_on(None)

    started = time.perf_counter()
    for writer in range(WRITERS):
        write(writer)
    for _ in range(WRITERS):
        left.acquire()
    return time.perf_counter() - started


def _in_threads(stream: Stream, commits: int) -> float:
    """Return the seconds in which all writers commit so often each, all of them threads."""
    ready = threading.Barrier(WRITERS + 1)

    def write(writer: int) -> None:
        ready.wait()
        for number in range(commits):
            stream.transact([Map({KEYS[0]: writer * commits + number})])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _stream(people: int, storage: LmdbStorage | None = None) -> Stream:
    stream = Streams(storage or MemoryStorage(), now_ms=_now_ms).create("people")
    for batch in _batches(people * len(NAMES), 10_000):
        stream.transact([(ADD, e, KEYS[a], v) for e, a, v in batch])
    return stream


def _as_of(rounds: Rounds, people: int) -> None:
    """The same query now and at a point after which half of the ages have changed."""
    stream = _stream(people)
    t, age = stream.t, KEYS[2]
    changes = [(ADD, 1_000 + number, age, (number + 2) % 90) for number in range(0, people, 2)]
    for start in range(0, len(changes), 1_000):
        stream.transact(changes[start : start + 1_000])
    for what, fresh in (("again", False), ("first time", True)):
        now, then = (_asker(stream, point, fresh=fresh) for point in (stream.t, t))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(3 if rounds.settings.quick else 21):
            times[0].append(_cpu_ms(now))
            times[1].append(_cpu_ms(then))
        current, back = (statistics.median(part) for part in times)
        rounds.note("as_of", f"join now, {what}", "ms", current)
        rounds.note("as_of", f"join as of an earlier t, {what}", "ms", back)
        rounds.note("as_of_cost", f"as-of cost, {what}", "times", back / current)


def _asker(stream: Stream, t: int, *, fresh: bool) -> Callable[[], object]:
    database = stream.db().as_of(t)

    def ask() -> object:
        view = database
        if fresh:  # nothing is kept for a schema that is another object
            view = stream.db().as_of(t)
            view.schema = type(view.schema)({found.ident: found for found in view.schema})
        return q(JOIN, view)

    ask()
    return ask


def _cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


def _bytes(rounds: Rounds, people: int) -> None:
    """What a fact takes on disk after a merge: log, all orders and columns, dictionary; every file counted."""
    folder = rounds.file("")
    stream = _stream(people, LmdbStorage(folder))
    streams = stream._streams
    streams.merge(stream, whole=True)
    streams.close()
    count = stream.stats().datoms
    files = {path: path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()}
    blobs = sum(size for path, size in files.items() if path.parent.name == BLOBS)
    whole = sum(files.values())
    rounds.note("bytes", "log and tables, on disk", "bytes", (whole - blobs) / count)
    rounds.note("bytes", "columns, orders and dictionary, on disk", "bytes", blobs / count)
    rounds.note("bytes_per_datom", "a fact in log and all orders", "bytes", whole / count)


def _subscriptions(rounds: Rounds, people: int) -> None:
    """What a transaction of ten facts costs who follows a query, over the query itself on the new value.

    The key is of queries with thousands of answers; one with a few hundred costs little more than what it follows.
    """
    key = "subscription_cost"
    for what, query, given, group in (
        ("join", WHOLE, (), key),
        ("rule", NEAR, (RULES,), key),
        ("selective join", JOIN, (), "subscription"),
    ):
        stream = _stream(people)
        heard: list[object] = []
        followed: list[float] = []
        full: list[float] = []
        subscription = follow(query, stream, heard.append, *given)
        assert subscription.incremental, what
        _time_listener(stream, followed)
        for number in range(2 if rounds.settings.quick else 11):
            stream.transact(_changes(people, number))
            full.append(_asked_ms(query, stream.db(), given))
        assert heard, "the changes are of ages that the query asks for"
        cost, whole = statistics.median(followed), statistics.median(full)
        rounds.note("subscription", f"change of a followed {what}", "ms", cost)
        rounds.note("subscription", f"full {what} on the new value", "ms", whole)
        rounds.note(group, f"followed over full, {what}", "times", cost / whole)


def _asked_ms(query: str, database: Database, given: tuple[str, ...]) -> float:
    return _cpu_ms(lambda: q(query, database, *given))


def _changes(people: int, number: int) -> list[tuple[Keyword, int, Keyword, int]]:
    """Return ten new ages, some of which the queries ask for."""
    return [
        (ADD, 1_000 + (place * 37 + number) % people, KEYS[2], 41 + (place + number) % 3)
        for place in range(CHANGED)
    ]


def _time_listener(stream: Stream, times: list[float]) -> None:
    """Note the milliseconds of the only listener at every commit."""
    (listener,) = stream.listeners
    stream.listeners[:] = [lambda report: times.append(_cpu_ms(lambda: listener(report)))]
