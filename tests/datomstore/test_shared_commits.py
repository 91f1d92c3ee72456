"""Threads that write at once share commits; threads that read meanwhile see whole transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from datomstore.record import encode_record
from datomstore.storage import StorageTransaction
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map

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
