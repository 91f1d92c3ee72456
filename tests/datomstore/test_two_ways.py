"""Plain items go a short way from the transaction to the log; all others, and any kind of item, can go the long way."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.codec import CodecError
from datomstore.record import encode_record
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Char, Keyword, List, Map, Set, Symbol

ADD, RETRACT, ID = Keyword("db/add"), Keyword("db/retract"), Keyword("db/id")
SCHEMA = edn.read(
    """[{:db/ident :tags :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
        {:db/ident :any :db/cardinality :db.cardinality/many}
        {:db/ident :friend :db/valueType :db.type/ref}
        {:db/ident :friends :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
        {:db/ident :email :db/valueType :db.type/string :db/unique :db.unique/identity}
        {:db/ident :badge :db/valueType :db.type/long :db/unique :db.unique/value}
        {:db/ident :size :db/valueType :db.type/double}
        {:db/ident :pair :db/valueType :db.type/tuple :db/tupleType :db.type/long}
        {:db/ident :both :db/valueType :db.type/tuple :db/tupleAttrs [:size :name]}]"""
)
NAMES = "tags any friend friends email badge size pair both name note db/doc"
ATTRIBUTES = [Keyword(name) for name in NAMES.split(" ")]

scalars = st.one_of(
    st.integers(-3, 6),
    st.sampled_from([1 << 61, -(1 << 61), (1 << 61) - 1, 1 << 64, 1_000, 1 << 48, 1 << 60]),
    st.sampled_from(["", "a", "b", "é" * 40, "c" * 300, "\ud800"]),
    st.sampled_from([0.0, -0.0, 1.5, float("nan"), True, False, None]),
    st.sampled_from([Keyword("a"), Keyword("k" * 16), Symbol("s"), Char("c"), b"", b"bytes"]),
    st.sampled_from([b"a" * 255, b"b" * 256, b"c" * 65_536, datetime(2026, 1, 1, tzinfo=UTC)]),
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3).map(tuple),
    st.lists(st.integers(0, 9), min_size=2, max_size=2).map(tuple),
    st.lists(st.sampled_from("abc"), max_size=3).map(lambda members: Set(set(members))),
)
entities = st.one_of(st.integers(1, 8), st.sampled_from(["t", "u", -1, 1 << 48, 1 << 60, True]))
maps = st.tuples(
    st.sampled_from([Map, dict]),
    st.none() | entities,
    st.lists(st.tuples(st.sampled_from(ATTRIBUTES), values), min_size=1, max_size=4),
).map(lambda made: made[0](([] if made[1] is None else [(ID, made[1])]) + made[2]))
operations = st.tuples(
    st.sampled_from([ADD, ADD, ADD, RETRACT]), entities, st.sampled_from(ATTRIBUTES), values
)
transactions = st.lists(
    st.tuples(st.lists(st.one_of(maps, operations), max_size=4), st.booleans()), max_size=5
)


def long_way(item: object) -> object:
    """Return an item of a type that has no short way."""
    if isinstance(item, (Map, dict)):
        return MappingProxyType({key: item[key] for key in item})
    assert isinstance(item, tuple), item
    return List(item)


def _stream() -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 1_700_000_000_123).create("s")
    assert isinstance(SCHEMA, tuple), SCHEMA
    stream.transact(SCHEMA)
    return stream


def outcome(stream: Stream, items: list[object]) -> object:
    """Return what a transaction did, or in what it was refused."""
    try:
        report = stream.transact(items)
    except TransactionError as error:
        message = str(error).partition(", in item")[0]
        return type(error), message, error.rule, repr(error.datom)
    except Exception as error:
        return type(error), str(error)
    # Ids, because nan is not equal to itself.
    return report.t, repr(list(report.datoms)), report.tempids, report.db_after.count_rows


def attributes(stream: Stream, items: list[object]) -> object:
    """Return the attributes of what a transaction did; ids of new entities are not given again."""
    try:
        return [(datom.a, datom.added) for datom in stream.transact(items).datoms]
    except Exception as error:
        return type(error)


@settings(max_examples=150)
@given(transactions)
def test_both_ways_lead_to_the_same(made: list[tuple[list[object], bool]]) -> None:
    short, long = _stream(), _stream()
    for items, look in made:
        assert outcome(short, items) == outcome(long, [long_way(item) for item in items])
        if look:  # whoever looks moves rows into the columns
            assert repr(list(short.db().datoms())) == repr(list(long.db().datoms()))
    assert list(short.records(0, short.t)) == list(long.records(0, long.t))
    assert short.db().name == long.db().name


@settings(max_examples=100)
@given(transactions)
def test_a_record_has_the_bytes_that_the_columns_give(
    made: list[tuple[list[object], bool]],
) -> None:
    stream = _stream()
    for items, look in made:
        outcome(stream, items)
        if look:
            stream.db()
    facts, start = stream.transactor.facts, 0
    ends = [end for _, end in stream.transactor.tx_ends]
    for (_, blob), end in zip(stream.records(0, stream.t), ends, strict=True):
        assert blob == encode_record(1_700_000_000_123, facts, slice(start, end))
        start = end


@settings(max_examples=100)
@given(transactions, transactions)
def test_what_is_taken_back_was_never_there(
    made: list[tuple[list[object], bool]], given_up: list[tuple[list[object], bool]]
) -> None:
    stream, other = _stream(), _stream()
    for items, look in made:
        try:
            with stream._streams.batch() as batch:
                for more, look_inside in given_up:
                    try:
                        report = batch.transact(stream, more)
                    except (TransactionError, CodecError):
                        continue
                    if look_inside:
                        assert len(report.datoms)
                raise KeyError
        except KeyError:
            pass
        assert attributes(stream, items) == attributes(other, items)
        if look:
            assert stream.db().count_rows == other.db().count_rows
    assert stream.t == other.t


def test_rows_wait_until_somebody_looks() -> None:
    stream = _stream()
    before = stream.db()
    reports = [stream.transact([(ADD, 5, Keyword("note"), str(n))]) for n in range(10)]
    assert [d.v for d in stream.db().datoms("eavt", 5)] == ["9"]
    assert [d.v for r in reports for d in r.db_before.datoms("eavt", 5)] == list("012345678")
    assert [[d.v for d in r.datoms if d.e == 5 and d.added] for r in reports[3:5]] == [["3"], ["4"]]
    assert [d.v for d in before.datoms("eavt", 5)] == []
    assert [d.v for d in reports[6].db_after.datoms("eavt", 5)] == ["6"]
