"""A stream is checked in a bound memory, however long its log, and what is wrong with it is named."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from datomstore import edn
from datomstore.check import check
from datomstore.codec import pack
from datomstore.intern import value_table
from datomstore.record import RECORD_VERSION
from datomstore.roots import digest, next_root
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Keyword

ADD = Keyword("db/add")
NAME, AGE, WORD = Keyword("p/name"), Keyword("p/age"), Keyword("p/word")
TRANSACTIONS, SIZE = 40, 1_000


def opened(path: Path) -> Streams:
    return Streams(LmdbStorage(path, map_size=1 << 28), now_ms=lambda: 7, merge_rows=1_000)


def read(data: str) -> Any:
    return edn.read(data)


def text(number: int, size: int) -> str:
    return hashlib.shake_128(str(number).encode()).hexdigest(size // 2)


def written(path: Path, transactions: int) -> None:
    """Write transactions of 100 long names, and end some of them."""
    streams = opened(path)
    stream = streams.open("s")
    stream.transact(read("[{:db/ident :p/name :db/unique :db.unique/value}]"))
    for t in range(transactions):
        first = 2_000 + 100 * t
        stream.transact([(ADD, e, NAME, text(e, SIZE)) for e in range(first, first + 100)])
        stream.transact([(ADD, first - 50, NAME, text(-first, SIZE))])
    streams.merge(stream, whole=True)
    streams.settle()
    streams.close()


def test_memory_is_bound_whatever_the_length_of_the_log(tmp_path: Path) -> None:
    written(tmp_path, TRANSACTIONS)
    streams = opened(tmp_path)
    assert streams.get("s").db().count_rows > TRANSACTIONS * 100
    known = len(value_table())
    tracemalloc.start()
    try:
        assert check(streams, "s", rows=200) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    streams.close()
    assert len(value_table()) == known  # no value of the log has got an id
    assert 2 * peak < TRANSACTIONS * 100 * SIZE


def sound() -> Streams:
    """Return a stream of three people."""
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    streams.create("s").transact(
        read("""[{:db/ident :p/name :db/unique :db.unique/value}
                     {:db/ident :p/age :db/valueType :db.type/long}
                     {:db/id 2001 :p/name "Ann" :p/age 4} {:db/id 2002 :p/name "Bob" :p/age 4}
                     {:db/id 2003 :p/age 4 :p/word "x"}]""")
    )
    streams.get("s").transact(read('[[:db/retract 2003 :p/word "x"]]'))
    return streams


def forged(e: int, a: Keyword, value: object, *, added: bool) -> Streams:
    """Return the same with a transaction of one fact that no writer would have written."""
    storage = sound().storage
    blob = pack((RECORD_VERSION, 7, (a.name,), (e,), (0,), (value,), (added,)))
    with storage.transaction(write=False) as reading:
        root = reading.root("s")
    assert root is not None
    storage.append("s", 2, blob, next_root(root, digest(blob)))
    return Streams(storage, now_ms=lambda: 7)


FORGED = [
    (2_001, AGE, 5, True, {"attribute"}),
    (2_002, AGE, 4, True, {"facts", "attribute"}),
    (2_002, AGE, 9, False, {"facts"}),
    (2_003, NAME, "Ann", True, {"attribute"}),
    (2_004, AGE, "old", True, {"attribute"}),
    (2_003, WORD, "x", False, {"facts"}),
    (2_003, WORD, "x", True, set()),
]


@pytest.mark.parametrize("rows", [1, 3, 1_000])
@pytest.mark.parametrize(("e", "a", "value", "added", "wrong"), FORGED)
def test_portions_find_what_the_whole_does(
    rows: int, e: int, a: Keyword, value: object, added: bool, wrong: set[str]
) -> None:
    assert check(sound(), "s", rows=rows) == []
    found = check(forged(e, a, value, added=added), "s", rows=rows)
    assert {fault.rule for fault in found} == wrong
