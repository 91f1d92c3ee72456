"""Out and in again is the same log; and what is not a log is refused. Copies, checks, shared commits."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore import edn
from datomstore.check import check
from datomstore.exchange import (
    FORMATS,
    ExchangeError,
    csv_entities,
    export,
    json_entities,
    load,
    restore,
)
from datomstore.storage import StorageCorrupt, StorageError
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map

ADD, RETRACT, ONE, MANY = (Keyword(name) for name in ("db/add", "db/retract", "x/one", "x/many"))
SCHEMA = edn.read("""[{:db/ident :x/many :db/cardinality :db.cardinality/many}
                      {:db/ident :x/both :db/tupleAttrs [:x/one :x/two]}]""")
VALUES = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=3),
    st.sampled_from([Keyword("k"), edn.read("sym"), edn.read(r"\x"), edn.read("[1 [nil 2]]")]),
    st.fractions(),
    st.uuids(),
)
histories = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([ADD, RETRACT]),
            st.integers(2_000, 2_002),
            st.sampled_from([ONE, MANY]),
            VALUES,
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=5,
)


def make(history: list[list[tuple[object, ...]]]) -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 7).create("s")
    stream.transact(SCHEMA)  # type: ignore[arg-type]
    for transaction in history:
        stream.transact(transaction)
    return stream


def empty() -> tuple[Streams, Stream]:
    streams = Streams(MemoryStorage(), now_ms=lambda: 99)
    return streams, streams.create("copy")


@pytest.mark.parametrize("form", FORMATS)
@given(history=histories)
def test_out_and_in_again_is_the_same_log(
    form: str, history: list[list[tuple[object, ...]]]
) -> None:
    stream, seen = make(history), list[tuple[int, int]]()
    file = io.BytesIO()
    assert export(stream, file, form, progress=lambda t, n: seen.append((t, n))) == stream.t
    assert [t for t, _ in seen] == list(range(1, stream.t + 1))
    file.seek(0)
    streams, copy = empty()
    assert restore(streams, copy, file, form) == stream.t
    assert copy.db().name == stream.db().name
    assert list(copy.db().history().datoms()) == list(stream.db().history().datoms())
    assert check(streams, "copy") == []
    copy.transact([(ADD, 2_000, MANY, 5)])


@pytest.mark.parametrize("form", FORMATS)
def test_the_rest_of_a_log_can_follow(form: str) -> None:
    stream = make([[(ADD, 2_000, ONE, value)] for value in range(5)])
    streams, copy = empty()
    first, rest = io.BytesIO(), io.BytesIO()
    export(stream, first, form)
    stream.transact([(ADD, 2_000, ONE, "later")])
    export(stream, rest, form, from_t=copy.t + 6)
    for file in (first, rest):
        file.seek(0)
        restore(streams, copy, file, form)
    assert copy.db().name == stream.db().name
    rest.seek(0)
    with pytest.raises(TransactionError, match="does not follow"):
        restore(streams, copy, rest, form)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("edn", "["),
        ("edn", "[1]"),
        ("edn", "{:t 1 :instant 1 :datoms [[1 :a 1]]}"),
        ("edn", '{:t 1 :instant "x" :datoms []}'),
        ("json", "{"),
        ("json", "{}"),
        ("json", '{"t": 1, "instant": 1, "datoms": [[1, "a", {}, true]]}'),
        ("json", '{"t": 1, "instant": 1, "datoms": [["1", "a", 1, true]]}'),
        ("csv", "a,b\n"),
        ("csv", "t,instant,e,a,v,added\n1,1,1,a,1,yes\n"),
        ("csv", "t,instant,e,a,v,added\n1,1,1\n"),
        ("msgpack", "\x01"),
        ("nonsense", ""),
    ],
)
def test_what_is_no_log_is_refused(form: str, text: str) -> None:
    streams, copy = empty()
    with pytest.raises(ExchangeError):
        restore(streams, copy, io.BytesIO(text.encode()), form)
    assert copy.t == 0


@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for form in FORMATS:
        streams, copy = empty()
        try:
            restore(streams, copy, io.BytesIO(data), form)
        except (ExchangeError, TransactionError, StorageCorrupt):
            assert copy.t == 0


@pytest.mark.parametrize(
    "datoms",
    [
        "[[5000 :x/one 1 true] [5000 :x/one 2 true]]",  # two values of one
        "[[5000 :x/one 1 false]]",  # the end of what is not
        "[[5000 :x/one 1 true] [5000 :x/one 1 true]]",
        "[[5000 :x/one 1 true]]",  # its composite is missing
        "[[5000 :x/one nil true]]",
        "[[5000 :db/cardinality 7 true]]",
        "[[-1 :x/many 1 true]]",
    ],
)
def test_facts_that_contradict_themselves_are_refused(datoms: str) -> None:
    stream = make([])
    with pytest.raises(TransactionError):
        restore(
            stream._streams,
            stream,
            io.BytesIO(f"{{:t 2 :instant 9 :datoms {datoms}}}".encode()),
            "edn",
        )
    assert stream.t == 1
    stream.transact([(ADD, 2_000, ONE, 1)])


def test_rows_of_a_table_are_entities() -> None:
    stream = make([])
    table = io.BytesIO(b'name,age\nAnn,71\n"B, b",\n')
    pages: list[tuple[int, int]] = []
    load(
        stream, csv_entities(table, {"age": int}, "p/"), page=1, progress=lambda *n: pages.append(n)
    )
    assert pages == [(1, 3), (2, 5)]
    found = [(d.a, d.v) for d in stream.db().datoms("aevt", Keyword("p/name"))]
    assert [v for _, v in found] == ["Ann", "B, b"]
    with pytest.raises(ExchangeError, match="line 2"):
        list(csv_entities(io.BytesIO(b"a\nx\n"), {"a": int}))
    with pytest.raises(ExchangeError, match="line 2: 2 cells"):
        list(csv_entities(io.BytesIO(b"a\nx,y\n")))


def test_objects_are_entities() -> None:
    stream = make([])
    lines = (
        b'{"x/one": "a", "x/many": [1, "two", true], "x/none": null, "x/sub": {"x/one": "b"}}\n\n'
    )
    stream.transact(
        [
            Map(
                {
                    Keyword("db/ident"): Keyword("x/sub"),
                    Keyword("db/valueType"): Keyword("db.type/ref"),
                }
            )
        ]
    )
    load(stream, json_entities(io.BytesIO(lines)))
    assert [d.v for d in stream.db().datoms("aevt", MANY)].count("two") == 1
    assert sorted(str(d.v) for d in stream.db().datoms("aevt", ONE)) == ["a", "b"]
    with pytest.raises(ExchangeError, match="not an object"):
        list(json_entities(io.BytesIO(b"[1]")))


# -- copies and checks --


def test_a_backup_is_the_storage_of_that_moment(tmp_path: Path) -> None:
    for storage in (MemoryStorage(), LmdbStorage(tmp_path / "a", map_size=1 << 24)):
        stream = Streams(storage, now_ms=lambda: 7).create("s")
        stream.transact([(ADD, 2_000, ONE, 1)])
        target = tmp_path / f"backup-{type(storage).__name__}"
        with storage.transaction(write=False):  # somebody reads
            storage.backup(target)
        stream.transact([(ADD, 2_000, ONE, 2)])
        with pytest.raises(StorageError, match="not empty"):
            storage.backup(target)
        copy = LmdbStorage(target, map_size=1 << 24)
        streams = Streams(copy, now_ms=lambda: 7)
        assert streams.get("s").db().name == stream.db().as_of(1).name
        assert check(streams, "s") == []
        copy.close()
        storage.close()


def test_a_log_that_was_tampered_with_is_noticed() -> None:
    stream = make([[(ADD, 2_000, ONE, 1)], [(ADD, 2_000, ONE, 2)]])
    streams = stream._streams
    assert check(streams, "s") == []
    with streams.storage.transaction(write=True) as storage:
        ((_, blob),) = [found for found in storage.read("s", 1) if found[0] == 2]
        storage.replace("s", 2, blob[:-1] + b"\xc2")
    assert [fault.rule for fault in check(streams, "s")] == ["root"]
    with pytest.raises(StorageCorrupt, match="do not lead to its root"):
        Streams(streams.storage, now_ms=lambda: 7).get("s")
    with streams.storage.transaction(write=True) as storage:
        storage.replace("s", 2, b"\xc1")
    assert check(streams, "s")[0].rule == "bytes"


def test_memory_that_differs_from_the_log_is_noticed() -> None:
    stream = make([[(ADD, 2_000, ONE, 1)]])
    facts = stream.transactor.facts
    facts.replace_value(1, facts.v_at(1) + 2)
    rules = {fault.rule for fault in check(stream._streams, "s")}
    assert "memory" in rules


# -- shared commits --


def test_writers_that_wait_share_a_commit_and_fail_alone(tmp_path: Path) -> None:
    storage = LmdbStorage(tmp_path / "db", map_size=1 << 24)
    streams = Streams(storage, now_ms=lambda: 7)
    stream, other = streams.create("s"), streams.create("other")
    outcomes: dict[int, object] = {}

    def write(number: int) -> None:
        target = other if number % 3 == 0 else stream
        item = 42 if number % 7 == 0 else (ADD, 5_000 + number, ONE, number)
        try:
            outcomes[number] = target.transact([item]).t
        except TransactionError as error:
            outcomes[number] = type(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(40)]
    with streams.write_lock:
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(10)
    assert {n for n, outcome in outcomes.items() if outcome is TransactionError} == {
        0,
        7,
        14,
        21,
        28,
        35,
    }
    done = {n for n, outcome in outcomes.items() if isinstance(outcome, int)}
    assert len(done) == 34
    again = Streams(storage, now_ms=lambda: 7)
    found = {d.v for name in ("s", "other") for d in again.get(name).db().datoms("aevt", ONE)}
    assert found == done
    assert check(again, "s") == check(again, "other") == []
    storage.close()
