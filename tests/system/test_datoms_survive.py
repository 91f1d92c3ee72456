"""A store whose process is killed at any moment, or whose machine loses what was not flushed, has all that it acknowledged.

`make soak-store` (YIN_SOAK=1) has the full sizes: 200 kills of each kind, and a million datoms under a reader.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import struct
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from disks import on

from cli.fleet import is_readable
from datomstore._queue import Commit
from datomstore.check import check
from datomstore.datalog import q
from datomstore.storage import flushing
from datomstore.storage.files import BLOBS
from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map

SOAK = os.environ.get("YIN_SOAK") == "1"
KILLS = 200 if SOAK else 8
ROUNDS_OF_ONE_STORE = 8
DATOMS = 1_000_000 if SOAK else 40_000
WRITERS = 5
THREADS = 3  # of the writers, the first; the others submit, and go on when they are called
MAP_SIZE = 1 << 28
MERGE_ROWS, BACKLOG_ROWS = 150, 1_000  # so small that there is always a merge under way

ADD = Keyword("db/add")
WRITER, NUMBER, TEXT, OTHER, COUNTER = (
    Keyword(f"w/{name}") for name in ("writer", "number", "text", "other", "counter")
)
_ACKNOWLEDGED = struct.Struct("<HI")


def streams_on(storage: LmdbStorage) -> Streams:
    return Streams(storage, now_ms=lambda: 7, merge_rows=MERGE_ROWS, backlog_rows=BACKLOG_ROWS)


def transaction(writer: int, number: int) -> list[object]:
    """Return one that adds an entity and changes a counter."""
    entity = {WRITER: writer, NUMBER: number, TEXT: f"text {writer} {number}", OTHER: number % 7}
    return [Map(entity), (ADD, 2_000 + writer, COUNTER, number)]


def write_for_ever(storage: LmdbStorage, first: list[int], acknowledge: int) -> None:
    streams = streams_on(storage)
    stream = streams.open("s")

    def write(writer: int) -> None:
        for number in itertools.count(first[writer]):
            stream.transact(transaction(writer, number))
            os.write(acknowledge, _ACKNOWLEDGED.pack(writer, number))

    def submit(writer: int, number: int) -> None:
        def go_on(commit: Commit) -> None:
            if commit.error is not None:
                os._exit(1)
            os.write(acknowledge, _ACKNOWLEDGED.pack(writer, number))
            submit(writer, number + 1)

        stream.submit(transaction(writer, number)).add_done_callback(go_on)

    for writer in range(THREADS, WRITERS):
        submit(writer, first[writer])
    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed(write: Callable[[int], None], commits: int, moment_s: float) -> list[tuple[int, int]]:
    """Let a child write, kill it some moment after so many commits, and return what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            write(writing)
        finally:
            os._exit(1)
    os.close(writing)
    found = b""
    while len(found) < commits * _ACKNOWLEDGED.size:
        part = os.read(reading, 1 << 16)
        assert part, "the child has failed"
        found += part
    threading.Event().wait(moment_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while is_readable(reading, 0) and (part := os.read(reading, 1 << 16)):
        found += part
    os.close(reading)
    whole = len(found) // _ACKNOWLEDGED.size * _ACKNOWLEDGED.size
    return list(_ACKNOWLEDGED.iter_unpack(found[:whole]))


def verify(folder: Path, acknowledged: list[int]) -> list[int]:
    """Return the next number of each writer, if all that was acknowledged is there and nothing is by halves."""
    streams = streams_on(LmdbStorage(folder, map_size=MAP_SIZE))
    stream = streams.open("s")
    database = stream.db()
    found = q(
        "[:find ?w ?n ?x ?o :where [?e :w/number ?n] [?e :w/writer ?w] [?e :w/text ?x] [?e :w/other ?o]]",
        database,
    )
    numbers: dict[int, list[int]] = defaultdict(list)
    for writer, number, text, other in sorted(found):
        assert (text, other) == (f"text {writer} {number}", number % 7)
        numbers[writer].append(number)
    for attribute in (WRITER, NUMBER, TEXT, OTHER):
        assert len(list(database.datoms("aevt", attribute))) == len(found)
    for writer in range(WRITERS):
        last = len(numbers[writer])
        assert numbers[writer] == list(range(1, last + 1))
        assert acknowledged[writer] <= last <= acknowledged[writer] + 1
        assert database.entity(2_000 + writer).get(COUNTER) == (last or None)
    assert check(streams, "s") == []
    streams.close()
    return [len(numbers[writer]) for writer in range(WRITERS)]


@pytest.mark.timeout(1200)
def test_a_killed_process_has_lost_nothing_it_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(4)
    for number in range(KILLS):
        folder = tmp_path / str(number // ROUNDS_OF_ONE_STORE)
        if number % ROUNDS_OF_ONE_STORE == 0:
            last = [0] * WRITERS

        def write(acknowledge: int, folder: Path = folder, last: list[int] = last) -> None:
            storage = LmdbStorage(folder, map_size=MAP_SIZE)
            write_for_ever(storage, [n + 1 for n in last], acknowledge)

        heard = killed(write, chance.randrange(1, 150), chance.random() * 0.02)
        for writer, done in heard:
            last[writer] = max(last[writer], done)
        last = verify(folder, last)


class Flushed:
    """In the place of `datomstore.storage.flushing`: keeps, in another folder, what would be left if all that is not flushed were lost.

    A file has its content once it was flushed, and its name once its folder was; a file that has a name and was not flushed
    is empty. Of `data.mdb`, which others may write while it is flushed, more may be left.
    """

    def __init__(self, path: Path, left: Path) -> None:
        self._path = path
        self._left = left
        self._lock = threading.RLock()
        (left / BLOBS).mkdir(parents=True)
        (left / "contents").mkdir()
        if path.exists():
            self._note_data()
            for blob in (path / BLOBS).iterdir():  # flushed long ago
                self._content(blob.stat()).hardlink_to(blob)
            self._note_names(BLOBS)

    def _content(self, file: os.stat_result) -> Path:
        return self._left / "contents" / str(file.st_ino)

    def opened_through(self, path: Path, *, create: bool = False, direct: bool = False) -> int:
        file = os.open(path, os.O_RDWR | os.O_DSYNC | (os.O_CREAT | os.O_TRUNC if create else 0))
        content = self._content(os.fstat(file))
        if create:
            content.unlink(missing_ok=True)
        content.touch()
        return file

    def write_through(self, file: int, data: bytes, at: int) -> None:
        assert os.pwrite(file, data, at) == len(data)
        with self._content(os.fstat(file)).open("r+b") as content:
            content.seek(at)
            content.write(data)

    def flush_file(self, file: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        os.fsync(file)
        with self._lock:
            content = self._content(path.stat())
            content.unlink(missing_ok=True)
            content.hardlink_to(path)

    def flush_folder(self, path: Path) -> None:
        with self._lock:
            self._note_names(str(path.relative_to(self._path)))

    def flush_environment(self, environment: lmdb.Environment) -> None:
        environment.sync(True)
        with self._lock:
            self._note_data()

    def _note_data(self) -> None:
        shutil.copyfile(self._path / "data.mdb", self._left / "copy")
        (self._left / "copy").replace(self._left / "data.mdb")

    def _note_names(self, folder: str) -> None:
        """Take over the names that are in a folder now."""
        names = {}
        for path in (self._path / folder).iterdir():
            names[path.name] = path
            left = self._left / folder / path.name
            content = self._content(path.stat())
            if path.is_dir() or path.name in OTHERS or (left.exists() and folder == BLOBS):
                continue
            left.unlink(missing_ok=True)
            if content.exists():
                left.hardlink_to(content)
            else:
                left.touch()
        for left in (self._left / folder).iterdir():
            if left.name not in names and left.name not in OTHERS and not left.is_dir():
                left.unlink()


OTHERS = ("data.mdb", "lock.mdb", "owner", "readers", "copy")  # kept otherwise, or not needed


@pytest.mark.timeout(1200)
def test_a_machine_that_loses_what_was_not_flushed_has_all_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    folder = tmp_path / "0"
    for number in range(KILLS):
        if number % ROUNDS_OF_ONE_STORE == 0:
            last = [0] * WRITERS
            folder = tmp_path / str(number)
        left = tmp_path / f"left of {number}"

        def write(
            acknowledge: int, folder: Path = folder, left: Path = left, last: list[int] = last
        ) -> None:
            with on(Flushed(folder, left), flushing):
                storage = LmdbStorage(folder, map_size=MAP_SIZE)
                write_for_ever(storage, [n + 1 for n in last], acknowledge)

        heard = killed(write, chance.randrange(1, 150), chance.random() * 0.02)
        for writer, done in heard:
            last[writer] = max(last[writer], done)
        shutil.rmtree(left / "contents")
        shutil.rmtree(folder, ignore_errors=True)
        folder = left
        last = verify(folder, last)


@pytest.mark.timeout(1200)
def test_a_value_that_is_held_answers_the_same_while_much_is_written_and_merged(
    tmp_path: Path,
) -> None:
    streams = Streams(
        LmdbStorage(tmp_path, map_size=1 << 34), now_ms=lambda: 7, merge_rows=DATOMS // 50
    )
    stream = streams.create("s")
    stream.transact([(ADD, 10_000 + n, NUMBER, n) for n in range(1_000)])
    stream.transact([(ADD, 10_000 + n, TEXT, f"text {n % 10}") for n in range(1_000)])
    held = stream.db()

    def asked() -> list[object]:
        return [
            q("[:find (sum ?n) . :where [?e :w/number ?n]]", held),
            sorted(q('[:find ?n :where [?e :w/text "text 3"] [?e :w/number ?n]]', held)),
            held.entity(10_999),
            held.as_of(1).entity(10_999),
            len(held),
            held.name,
        ]

    before = asked()
    answers: list[bool] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            answers.append(asked() == before)

    reader = threading.Thread(target=read)
    reader.start()
    written = 0
    batch = 2_000
    while written < DATOMS:
        changes: list[object] = [(ADD, 10_000 + n % 1_000, NUMBER, written + n) for n in range(100)]
        changes += [
            (ADD, 20_000 + written + n, TEXT, f"new {written + n}") for n in range(batch - 200)
        ]
        stream.transact(changes)
        written += batch
    streams.settle()
    done.set()
    reader.join()
    assert len(answers) > 2
    assert all(answers)
    assert stream.stats().segments >= 1
    assert stream.fresh < DATOMS // 50 + batch
    assert asked() == before
    if not SOAK:
        assert check(streams, "s") == []
    streams.close()
