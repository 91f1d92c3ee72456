"""Threads that write at once share commits; threads that read meanwhile see whole transactions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datomstore import writers
from datomstore._queue import Commit
from datomstore.batch import BatchOpen
from datomstore.check import check
from datomstore.record import encode_record
from datomstore.schema import EXCISE
from datomstore.storage import StorageError, StorageTransaction
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError, TxReport
from datomstore.value import Keyword, Map
from datomstore.writers import WritersBusy

KEY, ADD, IDENT = Keyword("key"), Keyword("db/add"), Keyword("db/ident")
WAIT_S = 30.0


class Slow(MemoryStorage):
    """An engine that lets other threads in before a commit is done."""

    def append(self, stream: str, expected_t: int, blob: bytes, root: bytes) -> None:
        threading.Event().wait(0.0002)
        super().append(stream, expected_t, blob, root)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        with super().transaction(write=write) as transaction:
            yield transaction
            if write:
                threading.Event().wait(0.0002)


class Counting(Slow):
    """An engine that counts its write transactions."""

    transactions = 0

    def append(self, stream: str, expected_t: int, blob: bytes, root: bytes) -> None:
        self.transactions += 1
        super().append(stream, expected_t, blob, root)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        self.transactions += write
        with super().transaction(write=write) as transaction:
            yield transaction


class Failing(MemoryStorage):
    """An engine whose next write transaction fails at its end."""

    fails = False

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        with super().transaction(write=write) as transaction:
            yield transaction
            if write and self.fails:
                self.fails = False
                raise StorageError("the disk is gone")


def together(count: int, work: Callable[[int], None]) -> None:
    """Do work in many threads at once."""
    ready = threading.Barrier(count)
    failed: list[BaseException] = []

    def run(number: int) -> None:
        ready.wait()
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive(), "a writer sleeps for ever"
    assert not failed, failed


def _made(streams: Streams, stream: Stream) -> list[object]:
    """Return the values of a stream, whose log has to be what its columns are."""
    facts, start = stream.transactor.facts, 0
    ends = [end for _, end in stream.transactor.tx_ends]
    for (_, blob), end in zip(stream.records(0, stream.t), ends, strict=True):
        assert blob == encode_record(1, facts, slice(start, end))
        start = end
    return _values(stream)


def _values(stream: Stream) -> list[object]:
    return sorted(datom.v for datom in stream.db().datoms("aevt", KEY))  # type: ignore[type-var]


def test_every_writer_of_a_shared_commit_is_woken() -> None:
    streams = Streams(Slow(), now_ms=lambda: 1)
    stream = streams.create("s")

    def write(number: int) -> None:
        for turn in range(number % 7):  # some leave early, and wake nobody
            value = number * 10 + turn
            report = stream.transact([Map({KEY: value})])
            assert [datom.v for datom in report.datoms][1:] == [value]
            assert report.t <= stream.t

    together(60, write)
    assert _made(streams, stream) == sorted(
        number * 10 + turn for number in range(60) for turn in range(number % 7)
    )


def test_one_that_is_refused_does_not_touch_the_others() -> None:
    streams = Streams(Slow(), now_ms=lambda: 1)
    stream = streams.create("s")
    refused: list[str] = []

    def write(number: int) -> None:
        for turn in range(5):
            try:
                wrong = {IDENT: number} if turn == 2 else {}
                stream.transact([Map({KEY: number * 10 + turn, **wrong})])
            except TransactionError as error:
                refused.append(str(error))

    together(20, write)
    assert len(refused) == 20
    assert len(_made(streams, stream)) == stream.t


def test_readers_see_whole_transactions_while_rows_move() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream = streams.create("s")
    stop = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for turn in range(3_000):
                stream.transact([(ADD, 1_000 + turn % 50, KEY, turn), (ADD, 7, KEY, turn)])
                if turn % 5 == 0:
                    try:
                        stream.transact([(ADD, 9, KEY, turn), (ADD, 9, IDENT, 1)])
                    except TransactionError:
                        continue
            stop.set()
            return
        while not stop.is_set():
            database = stream.db()
            assert database.count_rows == (
                database.tx_ends[database.basis_t - 1][1] if database.basis_t else 0
            )
            assert not list(database.datoms("eavt", 9))
            if database.basis_t:
                assert [datom.v for datom in database.datoms("eavt", 7)] == [database.basis_t - 1]

    together(3, work)
    assert len(_made(streams, stream)) == 51


# -- submitted --


def submitted(stream: Stream, writers: int, each: int) -> None:
    """Let writers without a thread submit one transaction after the other, and wait for all."""
    left = threading.Semaphore(0)

    def writer(number: int) -> None:
        turns = iter(range(each))

        def go_on(before: Commit | None) -> None:
            assert before is None or before.exception() is None
            turn = next(turns, None)
            if turn is None:
                left.release()
                return
            commit = stream.submit([Map({KEY: number * each + turn})])
            commit.add_done_callback(go_on)

        go_on(None)

    for number in range(writers):
        writer(number)
    for _ in range(writers):
        assert left.acquire(timeout=WAIT_S), "a writer waits for ever"


def test_writers_without_a_thread_share_commits() -> None:
    storage = Counting()
    streams = Streams(storage, now_ms=lambda: 1)
    stream = streams.create("s")
    heard: list[int] = []
    stream.listen(lambda report: heard.append(report.t))
    submitted(stream, 100, 5)
    assert _made(streams, stream) == list(range(500))
    assert heard == list(range(1, 501))
    assert storage.transactions < 50
    streams.close()


def test_what_one_submits_is_committed_in_order() -> None:
    streams = Streams(Slow(), now_ms=lambda: 1)
    one, other = streams.create("one"), streams.create("other")
    commits = [
        (one if number % 3 else other).submit([(ADD, 7, KEY, number)]) for number in range(200)
    ]
    for stream in (one, other):
        reports = [commit.result(WAIT_S) for commit in commits if commit.stream is stream]
        assert [report.t for report in reports] == list(range(1, len(reports) + 1))
    assert [datom.v for datom in one.db().datoms("eavt", 7)] == [199]
    assert [datom.v for datom in other.db().datoms("eavt", 7)] == [198]


def test_one_submitted_that_is_refused_does_not_touch_the_others() -> None:
    streams = Streams(Slow(), now_ms=lambda: 1)
    stream = streams.create("s")
    commits = [
        stream.submit([Map({KEY: number, **({IDENT: 1} if number % 5 == 0 else {})})])
        for number in range(50)
    ]
    commits.append(stream.submit([Map({KEY: "\ud800"})]))  # refused by the record
    refused = [number for number, commit in enumerate(commits) if commit.exception(WAIT_S)]
    assert refused == [*range(0, 50, 5), 50]
    with pytest.raises(TransactionError):
        commits[0].result()
    assert _made(streams, stream) == [number for number in range(50) if number % 5]


def test_an_excision_among_others_is_committed_alone() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream = streams.create("s")
    with streams.write_lock:  # so that they come together
        commits = [stream.submit([(ADD, 1_000 + n, KEY, n)]) for n in range(5)]
        commits.append(stream.submit([Map({EXCISE: 1_002})]))
        commits += [stream.submit([(ADD, 2_000 + n, KEY, 10 + n)]) for n in range(5)]
        commits.append(stream.submit([Map({EXCISE: 2_001})]))
    assert [commit.result(WAIT_S).t for commit in commits] == list(range(1, 13))
    assert _values(stream) == [0, 1, 3, 4, 10, 12, 13, 14]
    assert check(streams, "s") == []


def test_a_storage_that_fails_takes_back_a_group_and_nothing_else() -> None:
    storage = Failing()
    streams = Streams(storage, now_ms=lambda: 1)
    stream, other = streams.create("s"), streams.create("t")
    stream.transact([Map({KEY: 0})])
    with streams.write_lock:
        storage.fails = True
        commits = [(stream if n % 2 else other).submit([Map({KEY: n})]) for n in range(1, 7)]
    errors = [commit.exception(WAIT_S) for commit in commits]
    assert all(isinstance(error, StorageError) for error in errors)
    assert (stream.t, other.t) == (1, 0)
    assert stream.submit([Map({KEY: 9})]).result(WAIT_S).t == 2
    assert _made(streams, stream) == [0, 9]
    assert other.transact([Map({KEY: 9})]).t == 1


def test_a_listener_that_writes_is_not_in_its_own_way() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream, copy = streams.create("s"), streams.create("copy")

    def follow(report: TxReport) -> None:
        copy.transact([Map({KEY: report.t})])
        if report.t == 1:
            copy.submit([Map({KEY: 100})])

    stream.listen(follow)
    submitted(stream, 20, 3)
    assert _made(streams, copy) == [*range(1, 61), 100]


def test_an_error_of_a_listener_is_of_the_transaction_it_heard_of() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream = streams.create("s")

    def listener(report: TxReport) -> None:
        if report.t == 2:
            raise LookupError("not this one")

    stream.listen(listener)
    with streams.write_lock:
        commits = [stream.submit([Map({KEY: n})]) for n in range(3)]
    assert [type(commit.exception(WAIT_S)) for commit in commits] == [
        type(None),
        LookupError,
        type(None),
    ]
    assert stream.t == 3


def test_a_callback_that_fails_is_reported_and_the_next_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: said.append(found.exc_value))
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream, told = streams.create("s"), threading.Event()
    with streams.write_lock:
        commit = stream.submit([Map({KEY: 1})])
        commit.add_done_callback(lambda _: 1 // 0)
        commit.add_done_callback(lambda _: told.set())
    assert told.wait(WAIT_S)
    assert [type(error) for error in said] == [ZeroDivisionError]
    late: list[Commit] = []
    commit.add_done_callback(late.append)
    assert late == [commit]


def test_waiting_for_a_result_can_end_before_it_is_there() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream = streams.create("s")
    with streams.write_lock:
        commit = stream.submit([Map({KEY: 1})])
        assert not commit.done()
        with pytest.raises(TimeoutError):
            commit.result(0.001)
    assert commit.result(WAIT_S).t == 1
    assert commit.done()


def test_a_batch_comes_in_between_writers_that_go_on() -> None:
    streams = Streams(Slow(), now_ms=lambda: 1)
    stream, other = streams.create("s"), streams.create("other")
    stop = threading.Event()
    left = threading.Semaphore(0)

    def go_on(_: Commit | None = None) -> None:
        if stop.is_set():
            left.release()
        else:
            stream.submit([Map({KEY: 1})]).add_done_callback(go_on)

    for _ in range(10):
        go_on()
    for _ in range(20):
        with streams.batch() as batch:
            batch.transact(other, [Map({KEY: 2})])
    stop.set()
    for _ in range(10):
        assert left.acquire(timeout=WAIT_S)
    assert other.t == 20


def test_more_than_memory_is_set_aside_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "WAITING_MAX", 3)
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream = streams.create("s")
    with streams.write_lock:
        commits: list[Commit] = []
        with pytest.raises(WritersBusy):
            commits.extend(stream.submit([Map({KEY: n})]) for n in range(10))
    assert [commit.result(WAIT_S).t for commit in commits] == list(range(1, len(commits) + 1))


def test_what_was_submitted_is_committed_before_the_streams_close(tmp_path: Path) -> None:
    streams = Streams(LmdbStorage(tmp_path), now_ms=lambda: 1)
    stream = streams.create("s")
    commits = [stream.submit([Map({KEY: n})]) for n in range(50)]
    streams.close()
    assert [commit.result(0).t for commit in commits] == list(range(1, 51))
    with pytest.raises(StorageError, match="closed"):
        stream.submit([Map({KEY: 1})])
    again = Streams(LmdbStorage(tmp_path), now_ms=lambda: 1)
    assert _made(again, again.get("s")) == list(range(50))
    again.close()


def test_inside_a_batch_nothing_is_submitted() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    stream = streams.create("s")
    with streams.batch() as batch:
        batch.transact(stream, [Map({KEY: 1})])
        with pytest.raises(BatchOpen):
            stream.submit([Map({KEY: 2})])
    assert stream.t == 1
