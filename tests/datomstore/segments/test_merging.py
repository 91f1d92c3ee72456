"""Segments change nothing but where rows are: every view says the same before, after, and in another process."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.check import check
from datomstore.database import Database
from datomstore.datalog import q
from datomstore.edn import read
from datomstore.storage import Storage
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

ADD, RETRACT = Keyword("db/add"), Keyword("db/retract")
A, B, MANY, REF, KEY = (Keyword(f"p/{name}") for name in ("a", "b", "many", "ref", "key"))
SCHEMA = read("""
[{:db/ident :p/many :db/cardinality :db.cardinality/many}
 {:db/ident :p/key :db/unique :db.unique/identity}
 {:db/ident :p/ref :db/valueType :db.type/ref}]
""")
VALUES = (1, -1, 0, "text", "more text", 1.5, True, 1 << 40, 1 << 80, Keyword("k"), b"bytes")


def streams_on(storage: Storage, rows: int = 10) -> Streams:
    return Streams(storage, now_ms=lambda: 7, merge_rows=rows)


def transactions(count: int, seed: int) -> list[list[object]]:
    """Return transactions that add, change and retract."""
    chance = random.Random(seed)
    made: list[list[object]] = [SCHEMA]  # type: ignore[list-item]
    for _ in range(count):
        items: dict[tuple[int, Keyword], object] = {}
        for _ in range(chance.randrange(1, 6)):
            e, a = chance.randrange(2_000, 2_012), chance.choice((A, B, MANY, REF))
            v = chance.randrange(2_000, 2_012) if a is REF else chance.choice(VALUES)
            verb = RETRACT if chance.random() < 0.3 else ADD
            items[e, a] = (verb, e, a, v)
        made.append(list(items.values()))
    return made


def write(stream: Stream, items: list[list[object]]) -> None:
    for item in items:
        stream.transact(item)


def said(database: Database) -> list[object]:
    """Return what a database answers, in many ways."""
    datoms = [tuple(datom) for datom in database.datoms("eavt")]
    found: list[object] = [sorted(map(repr, datoms)), len(database)]
    found += [
        [repr(tuple(datom)) for datom in database.datoms(index)]
        for index in ("aevt", "avet", "vaet")
    ]
    for e in range(2_000, 2_012):
        found.append(repr(sorted(map(repr, database.entity(e).items()))))
        found.append([repr(tuple(datom)) for datom in database.datoms("vaet", e)])
    found += [
        [datom.e for datom in database.datoms("avet", attribute, value)]
        for value in VALUES
        for attribute in (A, B, MANY)
    ]
    pairs = q("[:find ?e ?v :where [?e :p/ref ?f] [?f :p/a ?v]]", database)
    found.append(sorted(map(repr, pairs)))
    return found


def views(database: Database) -> list[object]:
    """Return what a database and those of its past say."""
    found: list[object] = [said(database), said(database.history())]
    for t in range(0, database.basis_t + 1, 7):
        found += [said(database.as_of(t)), said(database.since(t))]
    return found


def test_every_view_is_that_of_a_stream_without_segments(storage: Storage) -> None:
    plain = Streams(MemoryStorage(), now_ms=lambda: 7).create("s")
    streams = streams_on(storage)
    stream = streams.create("s")
    items = transactions(60, 1)
    write(plain, items)
    write(stream, items)
    streams.settle()
    assert stream.stats().segments >= 1
    assert stream.fresh < 10
    assert views(stream.db()) == views(plain.db())
    assert stream.db().name == plain.db().name
    assert check(streams, "s") == []
    again = streams_on(storage).get("s")
    assert views(again.db()) == views(plain.db())
    assert [again.db().as_of(t).name for t in range(60)] == [
        plain.db().as_of(t).name for t in range(60)
    ]
    assert list(again.log()) == list(plain.log())
    more = transactions(30, 2)[1:]
    write(plain, more)
    write(again, more)
    again._streams.settle()
    assert views(again.db()) == views(plain.db())
    assert check(again._streams, "s") == []


def test_a_value_that_is_held_says_the_same_after_merges() -> None:
    streams = streams_on(MemoryStorage())
    stream = streams.create("s")
    items = transactions(80, 3)
    write(stream, items[:30])
    held = stream.db()
    before = views(held)
    write(stream, items[30:])
    streams.merge(stream, whole=True)
    assert stream.stats().segments == 1
    assert views(held) == before
    assert held.entity(2_000) == stream.db().as_of(held.basis_t).entity(2_000)


def test_what_was_ended_since_is_put_apart_by_a_merge() -> None:
    streams = streams_on(MemoryStorage())
    stream = streams.create("s")
    stream.transact([(ADD, 2_000, A, n) for n in (1,)] + [(ADD, 2_001 + n, B, n) for n in range(8)])
    streams.merge(stream)
    stream.transact([(ADD, 2_000, A, 2)])
    streams.merge(stream, whole=True)
    assert stream.kept is not None
    (part,) = stream.kept.stored
    assert len(part.run.order("eavt")[1]) == 2  # the value that was, and its retraction
    assert part.place.past_until > 0
    assert stream.db().entity(2_000)[A] == 2
    assert stream.db().as_of(1).entity(2_000)[A] == 1


def test_unique_values_are_owned_after_a_merge_and_a_restart() -> None:
    storage = MemoryStorage()
    streams = streams_on(storage, 5)
    stream = streams.create("s")
    stream.transact(SCHEMA)  # type: ignore[arg-type]
    for n in range(30):
        stream.transact([Map({KEY: f"key {n}", A: n})])
    streams.settle()
    for opened in (streams, streams_on(storage, 5)):
        found = opened.get("s")
        before = len(found.db())
        found.transact([Map({KEY: "key 3", A: 300})])
        assert len(found.db()) == before + 1  # the transaction's instant
        assert found.db().entity((KEY, "key 3"))[A] == 300
        assert found.db().entid((KEY, "key 29")) is not None
        assert found.db().entid((KEY, "no key")) is None


def test_a_stream_is_opened_without_reading_the_log_before_its_segments() -> None:
    storage = MemoryStorage()
    streams = streams_on(storage, 5)
    stream = streams.create("s")
    for n in range(30):
        stream.transact([(ADD, 2_000 + n, A, f"value {n}")])
    streams.merge(stream)
    stream.transact([(ADD, 2_000, A, "newest")])
    for t in range(1, 31):  # a record that is read would be refused
        key = b"ls\0" + t.to_bytes(8, "big")
        storage._values[key] = b"gone"
    again = streams_on(storage).get("s")
    assert again.t == 31
    assert [again.db().entity(2_000 + n)[A] for n in (0, 29)] == ["newest", "value 29"]
    assert again.stats()._replace(segments=0, segment_bytes=0) == stream.stats()._replace(
        segments=0, segment_bytes=0
    )


def test_a_long_log_without_segments_gets_them_when_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryStorage()
    plain = Streams(storage, now_ms=lambda: 7).create("s")
    write(plain, transactions(400, 4))
    monkeypatch.setattr("datomstore.streams.MERGE_BACKLOG_ROWS", 200)
    stream = streams_on(storage, 50).get("s")
    assert stream.stats().segments >= 1
    assert views(stream.db()) == views(plain.db())
    assert check(stream._streams, "s") == []


def test_segments_are_made_anew_from_the_log(storage: Storage) -> None:
    streams = streams_on(storage)
    stream = streams.create("s")
    write(stream, transactions(60, 5))
    streams.settle()
    assert stream.kept is not None
    before, blobs = views(stream.db()), stream.kept.manifest.blobs()
    streams.rebuild("s")
    assert views(stream.db()) == before
    assert stream.fresh == 0
    assert stream.kept is not None
    gone = set(blobs) - set(stream.kept.manifest.blobs())
    assert all(storage.blob(digest) is None for digest in gone)
    assert check(streams, "s") == []


def test_a_forked_value_stands_on_segments(storage: Storage) -> None:
    streams = streams_on(storage)
    stream = streams.create("s")
    write(stream, transactions(40, 6))
    streams.settle()
    database = stream.db()
    e = 2_003
    after = database.with_([(ADD, e, A, "what if"), (RETRACT, e, B, database.entity(e).get(B))])
    assert after.db_after.entity(e)[A] == "what if"
    assert B not in after.db_after.entity(e)
    again = after.db_after.with_([(ADD, e, A, "again")])
    assert again.db_after.entity(e)[A] == "again"
    assert views(stream.db()) == views(database)


def test_followers_and_readers_are_undisturbed_while_runs_are_merged() -> None:
    streams = streams_on(MemoryStorage(), 50)
    stream = streams.create("s")
    stream.transact([(ADD, 2_000 + n, A, n) for n in range(100)])
    held = stream.db()
    heard: list[int] = []
    stream.listen(lambda report: heard.append(report.t))
    wrong: list[object] = []
    done = threading.Event()

    def reading() -> None:
        while not done.is_set():
            total = q("[:find (sum ?v) . :with ?e :where [?e :p/a ?v]]", held)
            if total != 4_950:
                wrong.append(total)

    thread = threading.Thread(target=reading)
    thread.start()
    for n in range(300):
        stream.transact([(ADD, 2_000 + n % 100, A, n), (ADD, 3_000 + n, B, f"text {n}")])
    streams.settle()
    done.set()
    thread.join()
    assert wrong == []
    assert heard == list(range(2, 302))
    assert stream.stats().segments >= 1
    assert check(streams, "s") == []


def test_a_batch_that_is_given_up_leaves_segments_as_they_are() -> None:
    streams = streams_on(MemoryStorage(), 10)
    stream = streams.create("s")
    write(stream, transactions(30, 7))
    streams.settle()
    before = views(stream.db())
    with pytest.raises(KeyError), streams.batch() as batch:  # noqa: PT012
        batch.transact(stream, [(ADD, 2_000, A, "given up"), (ADD, 9_000, Keyword("p/new"), 1)])
        raise KeyError
    assert views(stream.db()) == before
    write(stream, transactions(30, 8)[1:])
    streams.merge(stream, whole=True)
    assert check(streams, "s") == []


operations = st.tuples(
    st.sampled_from([ADD, ADD, RETRACT]),
    st.integers(2_000, 2_005),
    st.sampled_from([A, B, MANY]),
    st.sampled_from(VALUES),
)


@settings(max_examples=30)
@given(
    st.lists(st.lists(operations, min_size=1, max_size=4, unique_by=lambda o: o[1:3]), max_size=20),
    st.sets(st.integers(0, 19)),
    st.integers(0, 19),
)
def test_where_runs_end_makes_no_difference(
    history: list[list[tuple[object, ...]]], merges: set[int], whole: int
) -> None:
    storage = MemoryStorage()
    streams = streams_on(storage, 10_000)
    stream = streams.create("s")
    stream.transact(SCHEMA)  # type: ignore[arg-type]
    for number, transaction in enumerate(history):
        stream.transact(transaction)
        if number in merges:
            streams.merge(stream, whole=number == whole)
    plain = Streams(MemoryStorage(), now_ms=lambda: 7).create("s")
    plain.transact(SCHEMA)  # type: ignore[arg-type]
    for transaction in history:
        plain.transact(transaction)
    assert said(stream.db()) == said(plain.db())
    assert said(stream.db().history()) == said(plain.db().history())
    assert check(streams, "s") == []
    again = streams_on(storage, 10_000)
    assert said(again.get("s").db().as_of(3)) == said(plain.db().as_of(3))
    assert said(again.get("s").db()) == said(plain.db())
    assert check(again, "s") == []


OTHER_PROCESS = """
import sys
from pathlib import Path
from datomstore.datalog import q
from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map
streams = Streams(LmdbStorage(Path(sys.argv[1]), map_size=1 << 24), now_ms=lambda: 7)
stream = streams.get("s")
db, key = stream.db(), Keyword("p/key")
e = db.entid((key, "key 7"))
found = [
    db.entid((key, "no key")),
    db.entity(e)[Keyword("p/a")],
    [d.e == e for d in db.datoms("avet", key, "key 7")],
    list(q('[:find ?a :where [?e :p/key "key 8"] [?e :p/a ?a]]', db)),
    list(q('[:find ?a :where [?e :p/key "no key"] [?e :p/a ?a]]', db)),
    list(q('[:find ?a :in $ ?k :where [?e :p/key ?k] [?e :p/a ?a]]', db, "key 9")),
    len(stream.transact([Map({key: "key 3", Keyword("p/a"): 300})]).datoms),
    stream.db().entity((key, "key 3"))[Keyword("p/a")],
]
print(found)
streams.close()
"""


def test_another_process_finds_values_that_it_has_never_seen(tmp_path: Path) -> None:
    streams = streams_on(LmdbStorage(tmp_path / "db", map_size=1 << 24), 5)
    stream = streams.create("s")
    stream.transact(SCHEMA)  # type: ignore[arg-type]
    for n in range(30):
        stream.transact([Map({KEY: f"key {n}", A: n})])
    streams.merge(stream)
    streams.close()
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "db")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[None, 7, [True], [(8,)], [], [(9,)], 3, 300]"


def test_a_writer_that_lets_go_of_what_is_so_now_writes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("datomstore.transactor.HELD_FACTS_MAX", 3)
    monkeypatch.setattr("datomstore._transact.HELD_READ_MAX", 5)
    plain = Streams(MemoryStorage(), now_ms=lambda: 7).create("s")
    streams = streams_on(MemoryStorage())
    stream = streams.create("s")
    for number, items in enumerate(transactions(150, 9)):
        keyed = [*items, Map({KEY: f"key {number % 40}", A: number})]
        assert len(stream.transact(keyed).datoms) == len(plain.transact(keyed).datoms)
        if number % 10 == 0:
            streams.settle()
            held = stream.transactor.helds.values()
            assert sum(map(len, held)) <= 60
    assert list(stream.log()) == list(plain.log())
    assert said(stream.db()) == said(plain.db())
    assert check(streams, "s") == []
