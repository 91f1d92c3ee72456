"""What is excised is gone: from every view, from the log, from the file; and that it happened is known."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.batch import BatchClosed
from datomstore.check import check
from datomstore.datom import TX_BASE
from datomstore.edn import read
from datomstore.excision import ExcisionNotAlone, ExcisionRefused
from datomstore.roots import RootUnknown
from datomstore.storage import Storage
from datomstore.storage.lmdb import PURGED, LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError, TxReport
from datomstore.value import Keyword, Map

ADD, RETRACT = Keyword("db/add"), Keyword("db/retract")
A, B = Keyword("p/a"), Keyword("p/b")
SCHEMA = """
[{:db/ident :p/many :db/cardinality :db.cardinality/many}
 {:db/ident :p/ssn :db/valueType :db.type/string}
 {:db/ident :p/born :db/valueType :db.type/long}
 {:db/ident :p/key :db/tupleAttrs [:p/ssn :p/born]}
 {:db/ident :p/home :db/valueType :db.type/ref :db/isComponent true}]
"""
SECRET = "secret-" + "3141592653589793"


def make(storage: Storage) -> Stream:
    stream = Streams(storage, now_ms=lambda: 7).create("s")
    stream.transact(read(SCHEMA))  # type: ignore[arg-type]
    return stream


def transact(stream: Stream, text: str) -> dict[object, int]:
    return stream.transact(read(text)).tempids  # type: ignore[arg-type]


def excise(stream: Stream, e: object, **bounds: object) -> None:
    more = {Keyword(f"db.excise/{name}"): value for name, value in bounds.items()}
    stream.transact([Map({Keyword("db/excise"): e, **more})])


def everything(stream: Stream) -> str:
    return repr(list(stream.db().history().datoms())) + repr(list(stream.log()))


def test_an_excised_entity_is_nowhere_and_the_file_has_no_byte_of_it(
    storage: Storage, tmp_path: Path
) -> None:
    stream = make(storage)
    ids = transact(
        stream,
        f'[{{:db/id "a" :p/ssn "{SECRET}" :p/born 1 :p/home {{:p/many ["{SECRET}2"]}}}} {{:p/born 5}}]',
    )
    stream.transact([(ADD, ids["a"], Keyword("p/ssn"), SECRET + "3")])
    held = stream.db()
    file = tmp_path / "db" / "data.mdb"
    if file.exists():
        assert SECRET.encode() in file.read_bytes()
    excise(stream, ids["a"])
    assert SECRET not in everything(stream)
    assert list(stream.db().datoms("eavt", ids["a"])) == []
    assert held.entity(ids["a"]).get(Keyword("p/born")) == 1  # a value that is held is a value
    if file.exists():
        assert SECRET.encode() not in file.read_bytes()
    assert check(stream._streams, "s") == []
    again = Streams(storage, now_ms=lambda: 7).get("s")
    assert list(again.db().history().datoms()) == list(stream.db().history().datoms())
    assert [d.v for d in again.db().datoms("aevt", Keyword("p/born"))] == [5]
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file


def test_that_it_happened_is_a_fact(storage: Storage) -> None:
    stream = make(storage)
    e = transact(stream, '[{:db/id "a" :p/a 1 :p/b 2}]')["a"]
    name, first = stream.db().name, stream.db().as_of(1).name
    assert name is not None
    assert first is not None
    excise(stream, e, attrs=[A])
    (audit,) = stream.db().datoms("aevt", Keyword("db/excise"))
    assert audit.v == e
    found = stream.db().entity(audit.e)
    assert found[Keyword("db.excise/count")] == 1
    assert found[Keyword("db.excise/root")] == name.root
    assert stream.db().entity(e) == Map({Keyword("db/id"): e, B: 2})
    with pytest.raises(RootUnknown, match="from before the excision of 3"):
        stream.at(name)
    assert stream.at(first).basis_t == 1  # what was before the facts that went has its name still


def test_only_what_was_said_before_a_time_goes(storage: Storage) -> None:
    stream = make(storage)
    e = transact(stream, '[{:db/id "a" :p/a 1 :p/b 1}]')["a"]
    stream.transact([(ADD, e, A, 2)])
    t = stream.t
    stream.transact([(ADD, e, A, 3)])
    excise(stream, e, beforeT=t)
    values = [(d.a, d.v, d.added) for d in stream.db().history().datoms("eavt", e)]
    assert values == [(A, 2, True), (A, 2, False), (A, 3, True)]
    assert stream.db().as_of(2).entity(e) == Map({Keyword("db/id"): e})


def test_an_attribute_goes_everywhere_and_from_composites(storage: Storage) -> None:
    stream = make(storage)
    transact(stream, f'[{{:p/ssn "{SECRET}" :p/born 1}} {{:p/ssn "{SECRET}" :p/born 2}}]')
    excise(stream, Keyword("p/ssn"))
    assert SECRET not in everything(stream)
    assert sorted(d.v for d in stream.db().datoms("aevt", Keyword("p/born"))) == [1, 2]  # type: ignore[type-var]
    assert stream.db().schema.get(Keyword("p/ssn")) is not None


def test_a_stream_goes_on_after_an_excision(storage: Storage) -> None:
    stream = make(storage)
    heard: list[TxReport] = []
    stream.listen(heard.append)
    e = transact(stream, '[{:db/id "a" :p/a 1 :p/many ["x" "y"]}]')["a"]
    excise(stream, e, attrs=[A])
    stream.transact([(ADD, e, A, 1), (RETRACT, e, Keyword("p/many"), "x")])
    assert stream.db().entity(e).get(A) == 1
    assert [report.t for report in heard] == [2, 3, 4]
    assert check(stream._streams, "s") == []


def test_what_must_stay_stays(storage: Storage) -> None:
    stream = make(storage)
    e = transact(stream, '[{:db/id "a" :p/a 1}]')["a"]
    excise(stream, e, attrs=[B])
    (audit,) = stream.db().datoms("aevt", Keyword("db/excise"))
    before = everything(stream)
    for target, bounds in [
        (TX_BASE + 1, {}),
        (audit.e, {}),
        (e, {"attrs": [Keyword("db/unique")]}),
    ]:
        with pytest.raises(ExcisionRefused):
            excise(stream, target, **bounds)
    with pytest.raises(TransactionError):
        excise(stream, Keyword("no/ident"))
    with pytest.raises(ExcisionRefused):
        stream.db().with_([Map({Keyword("db/excise"): e})])
    assert everything(stream) == before


def test_an_excision_says_nothing_else_of_what_it_excises(storage: Storage) -> None:
    stream = make(storage)
    e = transact(stream, '[{:db/id "a" :p/a 1}]')["a"]
    for item in ((ADD, e, A, 2), (RETRACT, e, A, 1), (ADD, e, B, 1)):
        with pytest.raises(ExcisionRefused, match="says something of it"):
            stream.transact([Map({Keyword("db/excise"): e}), item])
    assert check(stream._streams, "s") == []


def test_an_excision_shares_a_batch_with_other_streams_only(storage: Storage) -> None:
    stream = make(storage)
    other = stream._streams.create("other")
    e = transact(stream, '[{:db/id "a" :p/a 1}]')["a"]
    request = [Map({Keyword("db/excise"): e})]

    def together(*transactions: list[Map]) -> None:
        with stream._streams.batch() as batch:
            for transaction in transactions:
                batch.transact(stream, transaction)

    with pytest.raises(ExcisionNotAlone):
        together([Map({A: 1})], request)
    with pytest.raises(BatchClosed):
        together(request, [Map({A: 1})])
    assert stream.db().entity(e).get(A) == 1
    with stream._streams.batch() as batch:
        batch.transact(other, [Map({A: 1})])
        batch.transact(stream, request)
    assert (other.t, stream.db().entity(e)) == (1, Map({Keyword("db/id"): e}))


def test_a_purge_that_readers_stop_is_made_up_for_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datomstore.storage.lmdb.PURGE_WAIT_S", 0.01)
    storage = LmdbStorage(tmp_path / "db", map_size=1 << 24)
    stream = make(storage)
    e = transact(stream, f'[{{:db/id "a" :p/ssn "{SECRET}"}}]')["a"]
    reading, done = threading.Event(), threading.Event()

    def reader() -> None:
        with storage.transaction(write=False):
            reading.set()
            done.wait(10)

    thread = threading.Thread(target=reader)
    thread.start()
    reading.wait(10)
    excise(stream, e)
    done.set()
    thread.join()
    file = tmp_path / "db" / "data.mdb"
    assert SECRET.encode() in file.read_bytes()
    Streams(storage, now_ms=lambda: 7)
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    storage.close()


def test_a_purge_that_cannot_be_written_is_nobodys_failure_and_made_up_for(tmp_path: Path) -> None:
    storage = LmdbStorage(tmp_path / "db", map_size=1 << 24)
    stream = make(storage)
    e = transact(stream, f'[{{:db/id "a" :p/ssn "{SECRET}"}}]')["a"]
    in_its_way = tmp_path / "db" / PURGED
    in_its_way.mkdir()  # as on a disk without room for a second copy
    excise(stream, e)
    assert stream.db().entity(e) == Map({Keyword("db/id"): e})
    streams = Streams(storage, now_ms=lambda: 7)
    assert "purge" in str(streams.purge_failure)
    assert SECRET.encode() in (tmp_path / "db" / "data.mdb").read_bytes()
    in_its_way.rmdir()
    assert Streams(storage, now_ms=lambda: 7).purge_failure is None
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    storage.close()


operations = st.tuples(
    st.sampled_from([ADD, RETRACT]),
    st.integers(2_000, 2_002),
    st.sampled_from([A, B, Keyword("p/many")]),
    st.integers(0, 2),
)


@given(
    st.lists(st.lists(operations, min_size=1, max_size=4), min_size=1, max_size=6),
    st.integers(2_000, 2_002),
    st.sets(st.sampled_from([A, B])),
    st.integers(1, 9),
)
def test_what_is_left_is_what_naive_removal_leaves(
    history: list[list[tuple[object, ...]]], e: int, attributes: set[Keyword], before: int
) -> None:
    stream = make(MemoryStorage())
    stream.transact([(ADD, 2_003, A, 0)])  # so that the request is none of the entities
    for transaction in history:
        stream.transact(transaction)
    rows = [d for record in stream.log() for d in record.datoms]
    doomed: set[int] = set()
    open_rows: dict[tuple[object, ...], int] = {}
    for place, datom in enumerate(rows):
        fact = (datom.e, datom.a, datom.v)
        matches = datom.e == e and (not attributes or datom.a in attributes)
        if matches and datom.tx < TX_BASE + before:
            doomed.add(place)
        if datom.added:
            open_rows[fact] = place
        elif open_rows.pop(fact) in doomed:
            doomed.add(place)
    excise(stream, e, attrs=sorted(attributes), beforeT=before)
    left = [d for record in stream.log(0, stream.t - 1) for d in record.datoms]
    assert left == [d for place, d in enumerate(rows) if place not in doomed]
    assert check(stream._streams, "s") == []
