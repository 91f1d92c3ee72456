"""Earlier, later, what if: database values by transaction, by time, by content; and the indexes in their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datom import Datom
from datomstore.edn import read
from datomstore.entity import Entity
from datomstore.order import INDEXES, datom_key, value_key
from datomstore.roots import EMPTY_ROOT, DatabaseName, ProofInvalid, RootUnknown, verify
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map, Set

ADD, RETRACT = Keyword("db/add"), Keyword("db/retract")
ONE, MANY, NAME, FRIEND = (Keyword(f"x/{name}") for name in ("one", "many", "name", "friend"))
SCHEMA = read("""
[{:db/ident :x/many :db/cardinality :db.cardinality/many}
 {:db/ident :x/name :db/unique :db.unique/identity}
 {:db/ident :x/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :x/home :db/valueType :db.type/ref :db/isComponent true}]""")
ENTITIES = range(2_000, 2_004)
VALUES = st.sampled_from([0, 1, 1.0, True, "1", Keyword("k"), -1, 2**70, (1, None), b"x"])

operations = st.one_of(
    st.tuples(
        st.sampled_from([ADD, RETRACT]),
        st.sampled_from(ENTITIES),
        st.sampled_from([ONE, MANY]),
        VALUES,
    ),
    st.tuples(
        st.sampled_from([ADD, RETRACT]),
        st.sampled_from(ENTITIES),
        st.just(FRIEND),
        st.sampled_from(ENTITIES),
    ),
    st.tuples(st.just(Keyword("db/retractEntity")), st.sampled_from(ENTITIES)),
)
histories = st.lists(st.lists(operations, min_size=1, max_size=4), max_size=8)


def make() -> Stream:
    clock = iter(range(0, 1_000_000, 1_000))
    stream = Streams(MemoryStorage(), now_ms=lambda: next(clock)).create("s")
    stream.transact(SCHEMA)  # type: ignore[arg-type]
    return stream


def facts(database: Database) -> list[tuple[object, ...]]:
    """Return what a database shows, transactions' own facts aside."""
    return [(d.e, d.a, d.v, type(d.v), d.added) for d in database.datoms() if d.e in ENTITIES]


@given(histories)
def test_what_if_is_what_will_be(history: list[list[tuple[object, ...]]]) -> None:
    stream = make()
    supposed = stream.db()
    for transaction in history:
        report = supposed.with_(transaction)  # forks of forks
        before = facts(supposed)
        stream.transact(transaction)
        assert facts(report.db_after) == facts(stream.db())
        assert facts(report.db_after.history()) == facts(stream.db().history())
        assert facts(report.db_before) == before
        supposed = report.db_after
    assert facts(supposed.as_of(2)) == facts(stream.db().as_of(2))


@given(histories, st.integers(0, 8), operations)
def test_what_if_from_any_point(
    history: list[list[tuple[object, ...]]], t: int, operation: tuple[object, ...]
) -> None:
    stream, other = make(), make()
    for transaction in history:
        stream.transact(transaction)
    for transaction in history[: max(t - 1, 0)]:
        other.transact(transaction)
    other.transact([operation])
    if t:
        assert facts(stream.db().as_of(t).with_([operation]).db_after) == facts(other.db())


@given(histories, operations)
def test_a_reopened_stream_goes_on_as_if_it_had_not_been_closed(
    history: list[list[tuple[object, ...]]], operation: tuple[object, ...]
) -> None:
    stream = make()
    for transaction in history:
        stream.transact(transaction)
    again = Streams(stream._streams.storage, now_ms=lambda: 0).get("s")
    ours, theirs = stream.db().with_([operation]), again.transact([operation])
    assert facts(ours.db_after.history()) == facts(theirs.db_after.history())


@given(histories)
def test_indexes_are_in_the_order_of_values(history: list[list[tuple[object, ...]]]) -> None:
    stream = make()
    for transaction in history:
        stream.transact(transaction)
    database = stream.db()
    everything = list(database.datoms())
    assert len(everything) == len(database)
    for index in INDEXES:
        found = list(database.datoms(index))
        keys = [datom_key(datom, index) for datom in found]
        assert keys == sorted(keys)
        if index != "vaet":
            assert set(map(repr, found)) == set(map(repr, everything))
        for at in range(0, len(found), 7):
            assert list(database.seek_datoms(index, *_components(found[at], index))) == found[at:]


def _components(datom: Datom, index: str) -> list[object]:
    return [{"e": datom.e, "a": datom.a, "v": datom.v}[name] for name in INDEXES[index]]


@given(st.lists(st.integers(-5, 5), max_size=20), st.integers(-6, 6), st.integers(-6, 6))
def test_an_index_range_has_the_values_between(values: list[int], low: int, high: int) -> None:
    database = Database.empty().with_([Map({ONE: value}) for value in values]).db_after
    found = [datom.v for datom in database.index_range(ONE, low, high)]
    assert found == sorted(value for value in values if low <= value < high)
    assert [d.v for d in database.index_range(ONE, low)] == sorted(v for v in values if v >= low)


def test_values_of_all_kinds_have_an_order() -> None:
    ordered = read(r"""[false true -1 1 1.0 3/2 2 \a "a" "b" :a :b a #inst "2020-01-01T00:00:00Z"
                        #uuid "00000000-0000-0000-0000-000000000000" #bytes "00" [nil 1] [1 "a"] {:a 1}]""")
    assert isinstance(ordered, tuple)
    keys = [value_key(value) for value in ordered]
    assert keys == sorted(keys)


def test_a_time_names_the_last_transaction_until_then() -> None:
    stream = make()
    for value in range(3):
        stream.transact([(ADD, 2_000, ONE, value)])  # at 1, 2 and 3 seconds
    start = datetime(1970, 1, 1, tzinfo=UTC)

    def at(seconds: float) -> object:
        return stream.db().as_of(start + timedelta(seconds=seconds)).entity(2_000).get(ONE)

    assert [at(s) for s in (0, 0.999, 1, 2.5, 3, 99)] == [None, None, 0, 1, 2, 2]
    assert stream.db().as_of(start - timedelta(seconds=1)).basis_t == 0
    assert facts(stream.db().since(start + timedelta(seconds=2))) == facts(stream.db().since(3))


def test_a_range_of_transactions_is_what_the_log_says() -> None:
    stream = make()
    for value in range(5):
        stream.transact([(ADD, 2_000, ONE, value)])
    log = [(record.t, record.instant_ms, record.datoms) for record in stream.log()]
    assert [tuple(found) for found in stream.db().tx_range()] == log
    assert [found.t for found in stream.db().tx_range(2, 4)] == [2, 3]
    assert [found.t for found in stream.db().as_of(3).tx_range(2)] == [2, 3]
    assert [record.t for record in stream.log(2, 4)] == [3, 4]


# -- names --


def test_equal_logs_have_equal_names_and_others_do_not() -> None:
    a, b = make(), make()
    assert a.db().name == b.db().name
    a.transact([(ADD, 2_000, ONE, 1)])
    b.transact([(ADD, 2_000, ONE, 1.0)])
    assert a.db().name != b.db().name
    assert a.db().as_of(1).name == b.db().as_of(1).name
    assert a.db().as_of(0).name == DatabaseName(EMPTY_ROOT, 0)
    assert a.db().history().name is None
    assert a.db().with_([]).db_after.name is None


def test_a_name_finds_exactly_its_database_or_nothing() -> None:
    a, b = make(), make()
    a.transact([(ADD, 2_000, ONE, 1)])
    b.transact([(ADD, 2_000, ONE, 2)])
    name = a.db().name
    assert name is not None
    a.transact([(ADD, 2_000, ONE, 3)])
    assert a.at(name).entity(2_000).get(ONE) == 1
    again = Streams(a._streams.storage, now_ms=lambda: 0).get("s")
    assert again.at(name).name == name
    with pytest.raises(RootUnknown, match="of another log"):
        b.at(name)
    with pytest.raises(RootUnknown, match="ends at 2"):
        b.at(DatabaseName(name.root, 9))


def test_a_proof_convinces_who_has_only_the_name() -> None:
    stream = make()
    for value in range(4):
        stream.transact([(ADD, 2_000, ONE, value)])
    name = stream.db().name
    assert name is not None
    for t in range(1, 6):
        proof = stream.prove(t, name)
        assert verify(name, proof) == dict(stream.records(0, 9))[t]
    with pytest.raises(ProofInvalid):
        verify(name, proof._replace(record=proof.record + b"x"))
    with pytest.raises(ProofInvalid):
        verify(name, proof._replace(before=b"0" * 32))
    with pytest.raises(ProofInvalid):
        verify(name, proof._replace(t=2))
    with pytest.raises(RootUnknown):
        stream.prove(0, name)


# -- entities --


def test_an_entity_is_walked_along_its_references() -> None:
    stream = make()
    ids = stream.transact(
        read("""[{:db/id "a" :x/name "Ann" :x/many [1 1.0] :x/friend ["b"]
                  :x/home {:db/id "h" :x/one "here" :x/home {:x/one "inner"}}}
                 {:db/id "b" :x/name "Bob" :x/friend ["a"]}]""")  # type: ignore[arg-type]
    ).tempids
    ann = stream.db().lazy_entity((NAME, "Ann"))
    assert ann is not None
    assert ann[MANY] == Set([1, 1.0])
    (bob,) = cast("frozenset[Entity]", ann[FRIEND])
    assert bob[NAME] == "Bob"
    assert bob[FRIEND] == frozenset([ann])
    assert ann[Keyword("x/_friend")] == frozenset([bob])
    home = ann[Keyword("x/home")]
    assert home[ONE] == "here"  # type: ignore[index]
    assert home[Keyword("x/_home")] == ann  # type: ignore[index]
    assert ann.get(Keyword("x/none")) is None
    assert set(ann) == {NAME, MANY, FRIEND, Keyword("x/home")}
    touched = ann.touch()
    assert touched[FRIEND] == Set([ids["b"]])
    assert touched[Keyword("x/home")][Keyword("x/home")][ONE] == "inner"
    assert stream.db().lazy_entity((NAME, "Zoe")) is None


def test_a_batch_that_fails_gives_back_names_and_time() -> None:
    stream = make()
    name = stream.db().name
    with pytest.raises(TransactionError):
        stream.transact([(ADD, 2_000, ONE, 1), 42])
    assert stream.db().name == name
    stream.transact([(ADD, 2_000, ONE, 1)])
    twin = make()
    twin.transact(
        [Map({Keyword("db/id"): "datomic.tx", Keyword("db/txInstant"): stream_time(stream)})]
    )
    assert twin.t == stream.t


def stream_time(stream: Stream) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        milliseconds=stream.db().instant_ms(stream.t)
    )
