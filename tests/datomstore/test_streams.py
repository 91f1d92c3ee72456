"""Streams commit together or not at all, and readers wait for nobody."""

from __future__ import annotations

import threading

import pytest

from datomstore.batch import Batch, BatchOpen, Made
from datomstore.codec import CodecError
from datomstore.intern import intern
from datomstore.storage import Storage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import (
    StreamExists,
    StreamNameInvalid,
    Streams,
    StreamUnknown,
)
from datomstore.transaction import TransactionError, TxReport
from datomstore.value import Keyword, Map, Set

N = Keyword("n")
SCHEMA = Map({Keyword("db/ident"): N, Keyword("db/cardinality"): Keyword("db.cardinality/many")})


def fact(value: object) -> Map:
    return Map({Keyword("db/id"): 5000, N: value})


@pytest.fixture
def streams(storage: Storage) -> Streams:
    return Streams(storage, now_ms=lambda: 7)


def values(streams: Streams, name: str) -> list[object]:
    return [datom.v for datom in streams.get(name).db().datoms("aevt", N)]


def test_a_batch_commits_streams_and_tables_together(streams: Streams, storage: Storage) -> None:
    a, b = streams.create("a"), streams.create("b")
    with streams.batch() as batch:
        batch.transact(a, [fact(1)])
        batch.transact(b, [fact(2)])
        batch.transact(a, [fact(3)])
        batch.put("agents", b"k", b"v")
        assert values(streams, "a") == []
    assert (values(streams, "a"), values(streams, "b")) == ([3], [2])
    again = Streams(storage, now_ms=lambda: 7)
    assert (values(again, "a"), values(again, "b"), again.names()) == ([3], [2], ["a", "b"])


def test_a_batch_left_by_an_exception_leaves_no_trace(streams: Streams, storage: Storage) -> None:
    a, b = streams.create("a"), streams.create("b")
    a.transact([SCHEMA])
    a.transact([fact(1)])

    def stage(batch: Batch) -> None:
        report = batch.transact(a, [fact(2)])
        assert len(list(report.db_after.datoms("aevt", N))) == 2  # sorts rows that will go away
        batch.transact(b, [fact(2)])
        batch.transact(a, [42])

    with pytest.raises(TransactionError), streams.batch() as batch:
        stage(batch)
    assert (values(streams, "a"), values(streams, "b"), a.t, b.t) == ([1], [], 2, 0)
    a.transact([fact(3)])
    assert values(streams, "a") == [1, 3]
    assert values(Streams(storage, now_ms=lambda: 7), "a") == [1, 3]


def test_a_second_transaction_of_a_batch_sees_the_first(streams: Streams) -> None:
    a = streams.create("a")
    with streams.batch() as batch:
        batch.transact(a, [fact(1)])
        report = batch.transact(a, [(Keyword("db/retractEntity"), 5000)])
        assert [datom.v for datom in report.db_before.datoms("aevt", N)] == [1]
    assert values(streams, "a") == []
    assert [d.added for d in a.db().history().datoms("aevt", N)] == [True, False]


class NoSuch(Exception):
    """What a check raises."""


@pytest.mark.parametrize("meta", [None, {Keyword("says"): "x"}])
def test_what_a_transaction_makes_is_looked_at_before_it_is_kept(
    streams: Streams, meta: dict[Keyword, object] | None
) -> None:
    a, found = streams.create("a"), []

    def refuse(made: Made) -> None:
        found.append(made)
        raise NoSuch

    a.transact([SCHEMA])
    a.transact([fact(1), fact(2), Map({Keyword("db/id"): 5000, Keyword("m"): 1})])
    for data, made in (
        ([Map({Keyword("db/id"): 5000, N: Set([2, 3, 4, 5])})], Made(3, frozenset({N}))),
        ([Map({Keyword("db/id"): 5000, Keyword("m"): 2})], Made(1, frozenset({Keyword("m")}))),
        ([(Keyword("db/retractEntity"), 5000)], Made(6, frozenset({N, Keyword("m")}))),
        ([], Made(0, frozenset())),
    ):
        with streams.batch() as batch:
            with pytest.raises(NoSuch):
                batch.transact(a, data, meta=meta, check=refuse)
            assert found.pop() == made
            batch.transact(a, data, meta=meta, check=found.append)
            assert found.pop() == made
    assert a.t == 6
    assert Streams(streams.storage, now_ms=lambda: 7).get("a").t == 6


def test_what_an_excision_removes_is_what_it_makes(streams: Streams) -> None:
    a = streams.create("a")
    found: list[Made] = []
    a.transact([SCHEMA, fact(1)])
    a.transact([fact(2), Map({Keyword("db/id"): 5000, Keyword("db/doc"): "x"})])
    with streams.batch() as batch:
        batch.transact(a, [Map({Keyword("db/excise"): 5000})], check=found.append)
    ((facts, attributes),) = found
    assert facts == 3
    assert attributes > {N, Keyword("db/doc"), Keyword("db/excise")}


def test_a_schema_is_not_seen_before_its_commit(streams: Streams) -> None:
    a = streams.create("a")
    with streams.batch() as batch:
        batch.transact(a, [SCHEMA])
        assert a.db().schema.get(N) is None
    assert a.db().schema[N].many


def test_a_batch_inside_a_batch_is_refused(streams: Streams) -> None:
    a = streams.create("a")
    with pytest.raises(BatchOpen), streams.batch():
        a.transact([fact(1)])
    assert a.transact([fact(2)]).t == 1


def test_a_stream_can_be_replayed_inside_a_batch(storage: Storage) -> None:
    Streams(storage, now_ms=lambda: 7).create("a").transact([fact(1)])
    streams = Streams(storage, now_ms=lambda: 7)
    with streams.batch() as batch:
        assert batch.transact(streams.get("a"), [fact(2)]).t == 2
    assert values(streams, "a") == [2]


@pytest.mark.parametrize("value", ["\ud800", 1 << 600_000], ids=["surrogate", "integer"])
def test_a_value_without_encoding_is_refused_and_taken_back(
    streams: Streams, value: object
) -> None:
    a = streams.create("a")
    with pytest.raises(CodecError):
        a.transact([fact(value)])
    assert (a.transact([fact(1)]).t, values(streams, "a")) == (1, [1])


def test_a_deep_value_is_kept_or_refused_but_never_lost(streams: Streams, storage: Storage) -> None:
    a, kept = streams.create("a"), 0
    for depth in (50, 99, 100, 101, 150, 600):
        value: object = 1
        for _ in range(depth):
            value = Map({1: value})
        try:
            a.transact([fact(value)])
            kept += 1
        except (CodecError, TransactionError):
            assert depth > 99
    assert Streams(storage, now_ms=lambda: 7).get("a").t == kept


def test_a_listener_hears_of_commits_until_it_stops(streams: Streams) -> None:
    a, heard = streams.create("a"), list[TxReport]()
    stop = a.listen(heard.append)
    report = a.transact([fact(1)])
    with pytest.raises(TransactionError):
        a.transact([42])
    stop()
    a.transact([fact(2)])
    assert heard == [report]


def test_the_log_can_be_read_from_an_offset(streams: Streams) -> None:
    a = streams.create("a")
    for value in range(4):
        a.transact([fact(value)])
    assert [(r.t, r.instant_ms, r.datoms[-1].v) for r in a.log(2)] == [(3, 7, 2), (4, 7, 3)]
    assert (a.stats().transactions, a.stats().bytes > 0) == (4, True)


def test_names_are_found_refused_and_unknown(streams: Streams) -> None:
    streams.create("a")
    with pytest.raises(StreamExists):
        streams.create("a")
    with pytest.raises(StreamUnknown):
        streams.get("b")
    for name in ("", "a\0b", "x" * 401, "\ud800"):
        with pytest.raises(StreamNameInvalid):
            streams.open(name)


def test_entities_made_after_a_replay_are_new(storage: Storage) -> None:
    ref = Map({Keyword("db/ident"): Keyword("to"), Keyword("db/valueType"): Keyword("db.type/ref")})
    first = Streams(storage, now_ms=lambda: 7).create("a")
    first.transact([ref])
    first.transact([Map({Keyword("db/id"): "x", Keyword("to"): 9000})])
    again = Streams(storage, now_ms=lambda: 7).get("a")
    assert again.transact([Map({Keyword("db/id"): "y", N: 1})]).tempids["y"] > 9000


def test_readers_see_whole_transactions_while_a_writer_writes() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    a = streams.create("a")
    a.transact([SCHEMA])
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            database = a.db()
            columns = database.scan(None, intern(N), None)
            if len(columns) != 10 * (database.basis_t - 1):
                wrong.append((database.basis_t, len(columns)))
            past = database.as_of(max(1, database.basis_t // 2))
            if len(past.scan(intern(5000), intern(N), None)) != 10 * (past.basis_t - 1):
                wrong.append(("past", past.basis_t))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for t in range(500):
        a.transact([Map({Keyword("db/id"): 5000, N: tuple(range(t * 10, t * 10 + 10))})])
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
