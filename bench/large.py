"""A stream larger than memory should be: written, opened by another process, and asked.

Is:     `make bench-large`; ARGUMENTS="--datoms=100000000 --folder=..." chooses how much, and where it is kept.
Is not: part of CI, nor of `bench.datomstore`: 100 million datoms take many minutes and gigabytes of disk.
Fits:   the last line is JSON; the goal is less than a gigabyte of anonymous memory in the process that asks.

Parts of the stream are written by processes of their own, one after the other: values that a process has seen stay in its
table. What is mapped from files is not anonymous memory: the system takes it back when it needs the room.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from datomstore.datalog import q
from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword

NAMES = ("name", "city", "age", "salary", "boss")
KEYS = [Keyword(f"person/{name}") for name in NAMES]
NAME, CITY, AGE, SALARY, BOSS = KEYS
ADD = Keyword("db/add")
FIRST = 1_000_000  # entity of the first person
BATCH_PEOPLE = 10_000  # in one transaction
PROCESS_PEOPLE = 1_000_000  # written by one process
CITIES, AGES, SALARIES = 5_000, 90, 100_000
SCHEMA = [
    {
        Keyword("db/ident"): BOSS,
        Keyword("db/valueType"): Keyword("db.type/ref"),
    }
]
LOOK_UP = "[:find [?p ...] :in $ ?name :where [?p :person/name ?name]]"
JOINS = {
    "boss's city": """[:find ?city ?age :in $ ?name :where [?p :person/name ?name] [?p :person/boss ?b]
                      [?b :person/city ?city] [?b :person/age ?age]]""",
    "one city, one age": """[:find ?name ?salary :in $ ?city :where [?p :person/city ?city] [?p :person/age 42]
                      [?p :person/name ?name] [?p :person/salary ?salary]]""",
    "a salary and its bosses": """[:find ?p ?boss :in $ ?salary :where [?p :person/salary ?salary]
                      [?p :person/boss ?b] [?b :person/name ?boss]]""",
}
CHANGED = 1_000  # people whose age is another one in the last transaction


def main() -> None:
    """Write and ask, each in processes of their own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datoms", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--part", choices=("write", "merge", "ask"), help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help="make one run of all")
    given = parser.parse_args()
    if given.part == "write":
        write(given.folder, given.first, given.count)
    elif given.part == "merge":
        merge(given.folder)
    elif given.part == "ask":
        ask(given.folder, given.datoms)
    elif given.folder is not None:
        run(given.folder, given.datoms, whole=given.whole)
    else:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            run(Path(folder) / "large", given.datoms, whole=given.whole)


def run(folder: Path, datoms: int, *, whole: bool) -> None:
    """Write what is not there yet, then ask in a fresh process."""
    people = datoms // len(NAMES)
    started = time.perf_counter()
    done = _people(folder) if folder.exists() else 0
    while done < people:
        count = min(PROCESS_PEOPLE, people - done)
        _self("write", folder, "--first", str(done), "--count", str(count))
        done += count
        passed = time.perf_counter() - started
        print(f"{done * len(NAMES):>13,} datoms  {passed:8.0f} s", flush=True)
    if whole:
        _self("merge", folder)
    written_s = time.perf_counter() - started
    print(f"written and merged in {written_s:.0f} s", flush=True)
    found = _self("ask", folder, "--datoms", str(datoms))
    lines = found.splitlines()
    print("\n".join(lines[:-1]))
    print(json.dumps({"write_s": round(written_s, 1), **json.loads(lines[-1])}))


def _self(part: str, folder: Path, *more: str) -> str:
    command = [sys.executable, "-m", "bench.large", "--part", part, "--folder", str(folder), *more]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _streams(folder: Path) -> Streams:
    return Streams(LmdbStorage(folder), now_ms=lambda: time.time_ns() // 1_000_000)


def _people(folder: Path) -> int:
    """Return how many people have been written: a process writes all of its own, or is asked again."""
    streams = _streams(folder)
    try:
        if not streams.exists("people"):
            return 0
        rows = streams.get("people").db().rows
        highest = streams.get("people").db().next_entity - FIRST
        return highest if len(rows((FIRST + highest - 1) << 1)) else 0
    finally:
        streams.close()


def _facts(first: int, count: int) -> Iterator[tuple[Keyword, int, Keyword, object]]:
    for number in range(first, first + count):
        e, mixed = FIRST + number, number * 2_654_435_761 % 4_294_967_291
        yield ADD, e, NAME, f"person {number}"
        yield ADD, e, CITY, f"city {mixed % CITIES}"
        yield ADD, e, AGE, mixed % AGES
        yield ADD, e, SALARY, mixed % SALARIES
        yield ADD, e, BOSS, FIRST + number // 10


def write(folder: Path, first: int, count: int) -> None:
    """Write some people."""
    streams = _streams(folder)
    stream = streams.open("people")
    if not first:
        stream.transact(SCHEMA)
    for start in range(first, first + count, BATCH_PEOPLE):
        stream.transact(list(_facts(start, min(BATCH_PEOPLE, first + count - start))))
    streams.merge(stream)
    streams.close()


def merge(folder: Path) -> None:
    """Make one run of all."""
    streams = _streams(folder)
    streams.merge(streams.get("people"), whole=True)
    streams.close()


class Memory:
    """The most anonymous memory that this process has had, looked at again and again."""

    def __init__(self) -> None:
        self.peak_kb = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.peak_kb = max(self.peak_kb, _rss("RssAnon"))

    def stop(self) -> int:
        """Return the peak in bytes."""
        self._done.set()
        self._thread.join()
        return max(self.peak_kb, _rss("RssAnon")) * 1024


def _rss(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def ask(folder: Path, datoms: int) -> None:
    """Print what is asked, and how long it takes."""
    memory = Memory()
    people = datoms // len(NAMES)
    started = time.perf_counter()
    streams = _streams(folder)
    stream = streams.get("people")
    opened = time.perf_counter() - started
    found: dict[str, float] = {"open_s": opened}
    stats = stream.stats()
    print(f"{stats.datoms:,} datoms in {stats.segments} runs, opened in {opened:.2f} s")
    found |= _asked(stream, people)
    disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    peak = memory.stop()
    print(f"on disk {disk / 2**30:.2f} GiB, {disk / stats.datoms:.1f} bytes a datom")
    print(
        f"anonymous memory at most {peak / 2**20:.0f} MiB, mapped {_rss('RssFile') / 2**10:.0f} MiB"
    )
    figures = {name: round(value, 3) for name, value in found.items()}
    figures |= {"datoms": stats.datoms, "disk_bytes": disk, "anonymous_bytes": peak}
    figures["bytes_per_datom"] = round(disk / stats.datoms, 2)
    print(json.dumps(figures))
    streams.close()


def _asked(stream: Stream, people: int) -> dict[str, float]:
    chance = random.Random(1)
    database = stream.db()
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[int], object]) -> None:
        times, answers = [], 0
        for number in [chance.randrange(people) for _ in range(20)]:
            started = time.perf_counter()
            answer = work(number)
            times.append((time.perf_counter() - started) * 1000)
            answers += len(answer) if hasattr(answer, "__len__") else 1
        first, later = times[0], sorted(times[1:])[len(times[1:]) // 2]
        print(f"{name:<32} first {first:9.2f} ms, then {later:9.3f} ms  ({answers} answers)")
        found[f"{name}, ms"] = later
        found[f"{name} first, ms"] = first

    timed("look-up of a name", lambda n: q(LOOK_UP, database, f"person {n}"))
    timed("look-up of no name", lambda n: q(LOOK_UP, database, f"nobody {n}"))
    timed("an entity", lambda n: database.entity(FIRST + n))
    timed("join: boss's city", lambda n: q(JOINS["boss's city"], database, f"person {n}"))
    timed(
        "join: one city, one age",
        lambda n: q(JOINS["one city, one age"], database, f"city {n % CITIES}"),
    )
    timed(
        "join: a salary and its bosses",
        lambda n: q(JOINS["a salary and its bosses"], database, n % SALARIES),
    )
    t = stream.t
    changes = [(ADD, FIRST + chance.randrange(people), AGE, 91 + n % 9) for n in range(CHANGED)]
    stream.transact(changes)
    before, now = stream.db().as_of(t), stream.db()
    timed(
        "as of before a change",
        lambda n: q(JOINS["one city, one age"], before, f"city {n % CITIES}"),
    )
    timed(
        "the same now",
        lambda n: q(JOINS["one city, one age"], now, f"city {n % CITIES}"),
    )
    return found


if __name__ == "__main__":
    main()
