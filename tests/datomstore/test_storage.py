"""Both engines keep the same promises; the one on disk keeps them through a crash."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import lmdb
import pytest

from datomstore.storage import AppendConflict, Storage, StorageCorrupt
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.mapped import KeyTooLong, StorageFull
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map

MAP_SIZE = 1 << 24
Open = Callable[[], Storage]


def test_a_log_gives_back_its_blobs_in_order(storage: Storage) -> None:
    with storage.transaction(write=True) as tx:
        assert [tx.append("s", t, b"%d" % t) for t in range(300)] == list(range(1, 301))
        tx.append("s2", 0, b"other")
    with storage.transaction(write=False) as tx:
        assert list(tx.read("s", 298)) == [(299, b"298"), (300, b"299")]
        assert len(list(tx.read("s"))) == 300
        assert tx.end("s") == 300
        assert tx.streams() == ["s", "s2"]


def test_an_append_at_another_end_is_refused(storage: Storage) -> None:
    with storage.transaction(write=True) as tx:
        tx.append("s", 0, b"one")
        with pytest.raises(AppendConflict, match="ends at 1, not at 0"):
            tx.append("s", 0, b"again")


def test_a_transaction_left_by_an_exception_has_not_happened(storage: Storage) -> None:
    with storage.transaction(write=True) as tx:
        tx.put("agents", b"kept", b"1")
        tx.put("agents", b"deleted", b"2")
    with suppress(KeyError), storage.transaction(write=True) as tx:
        tx.append("s", 0, b"one")
        tx.put("agents", b"kept", b"changed")
        tx.delete("agents", b"deleted")
        tx.put("agents", b"new", b"3")
        raise KeyError
    with storage.transaction(write=False) as tx:
        assert tx.streams() == []
        assert list(tx.scan("agents")) == [(b"deleted", b"2"), (b"kept", b"1")]


def test_a_table_is_scanned_by_prefix_and_ends_where_the_next_begins(storage: Storage) -> None:
    with storage.transaction(write=True) as tx:
        for key in (b"b1", b"a", b"b", b"c", b"\xff"):
            tx.put("t", key, key)
        tx.put("ta", b"b", b"another table")
        assert [key for key, _ in tx.scan("t", b"b")] == [b"b", b"b1"]
        assert [key for key, _ in tx.scan("t")] == [b"a", b"b", b"b1", b"c", b"\xff"]
        tx.delete("t", b"missing")
        assert tx.get("t", b"missing") is None


def test_a_root_moves_only_from_where_the_caller_saw_it(storage: Storage) -> None:
    with storage.transaction(write=True) as tx:
        tx.cas_root("s", None, b"1")
        tx.cas_root("s", b"1", b"2")
        with pytest.raises(AppendConflict):
            tx.cas_root("s", b"1", b"3")
        assert tx.root("s") == b"2"


def test_a_blob_is_found_by_its_hash(storage: Storage) -> None:
    with storage.transaction(write=True) as tx:
        digest = tx.put_blob(b"content")
        assert tx.get_blob(digest) == b"content"
        assert tx.get_blob(bytes(32)) is None


def raw_change(folder: Path, key: bytes, change: Callable[[bytes], bytes | None]) -> None:
    environment = lmdb.open(str(folder), map_size=MAP_SIZE, max_dbs=0)
    with environment.begin(write=True) as tx:
        found = tx.get(key)
        assert found is not None, key
        changed = change(bytes(found))
        if changed is None:
            tx.delete(key)
        else:
            tx.put(key, changed)
    environment.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda blob: blob[:-1] + b"?", "stream 's': transaction 2 has a wrong checksum"),
        (lambda blob: blob[:2], "stream 's': transaction 2 has a wrong checksum"),
        (lambda blob: None, "stream 's': transaction 2 is missing"),
    ],
    ids=["bit", "short", "missing"],
)
def test_a_corrupt_log_record_is_named(
    tmp_path: Path, change: Callable[[bytes], bytes | None], message: str
) -> None:
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    stream = Streams(engine, now_ms=lambda: 0).create("s")
    for value in range(3):
        stream.transact([Map({Keyword("x"): value})])
    engine.close()
    raw_change(tmp_path, b"ls\0" + (2).to_bytes(8, "big"), change)
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    with pytest.raises(StorageCorrupt, match=message):
        Streams(engine, now_ms=lambda: 0).get("s")
    engine.close()


def test_a_missing_last_record_is_named(tmp_path: Path) -> None:
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    with engine.transaction(write=True) as tx:
        tx.append("s", 0, b"1")
        tx.append("s", 1, b"2")
    engine.close()
    raw_change(tmp_path, b"ls\0" + (2).to_bytes(8, "big"), lambda blob: None)
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    with (
        engine.transaction(write=False) as tx,
        pytest.raises(StorageCorrupt, match="transaction 2 is missing"),
    ):
        list(tx.read("s"))
    engine.close()


def test_a_record_that_is_no_transaction_is_named() -> None:
    engine = MemoryStorage()
    with engine.transaction(write=True) as tx:
        tx.append("s", 0, b"\x93\x01\x02\x03")
    with pytest.raises(StorageCorrupt, match="stream 's': transaction 1"):
        Streams(engine, now_ms=lambda: 0).get("s")


def test_a_full_environment_keeps_what_it_had(tmp_path: Path) -> None:
    engine = LmdbStorage(tmp_path, map_size=1 << 16)
    streams = Streams(engine, now_ms=lambda: 0)
    stream = streams.create("s")
    stream.transact([Map({Keyword("x"): 1})])
    with pytest.raises(StorageFull):
        stream.transact([Map({Keyword("x"): random.Random(1).randbytes(1 << 17)})])
    assert stream.t == 1
    assert stream.transact([Map({Keyword("x"): 2})]).t == 2
    engine.close()


def test_a_key_too_long_for_the_engine_is_refused_by_name(tmp_path: Path) -> None:
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    with pytest.raises(KeyTooLong), engine.transaction(write=True) as tx:
        tx.put("t", b"k" * 600, b"")
    engine.close()


WRITER = """
import sys
from pathlib import Path
from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map
streams = Streams(LmdbStorage(Path(sys.argv[1]), map_size=1 << 24), now_ms=lambda: 0)
stream, other = streams.create("s"), streams.create("other")
n = 0
while True:
    n += 1
    with streams.batch() as batch:
        batch.transact(stream, [Map({Keyword("n"): n})])
        batch.transact(other, [Map({Keyword("n"): n})])
        batch.put("agents", b"n", b"%d" % n)
    print(n, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = 0
    while acknowledged < 15:
        acknowledged = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
    child.wait()
    child.stdout.close()
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    streams = Streams(engine, now_ms=lambda: 0)
    kept = [datom.v for datom in streams.get("s").db().datoms("aevt", Keyword("n"))]
    also = [datom.v for datom in streams.get("other").db().datoms("aevt", Keyword("n"))]
    assert len(kept) >= acknowledged
    assert kept == also == list(range(1, len(kept) + 1))
    with engine.transaction(write=False) as tx:
        assert tx.get("agents", b"n") == b"%d" % len(kept)
    assert streams.get("s").transact([Map({Keyword("n"): 0})]).t == len(kept) + 1
    engine.close()


def test_who_watches_a_log_is_told_where_it_ends_once_that_is_durable(storage: Storage) -> None:
    told: list[int] = []

    def tell(end: int) -> None:
        with storage.transaction(write=False) as tx:
            assert tx.end("s") == end
        told.append(end)

    stop = storage.watch("s", tell)
    with storage.transaction(write=True) as tx:
        tx.extend("s", 0, [b"1", b"2"])
        tx.append("other", 0, b"1")
        assert told == []
    with suppress(KeyError), storage.transaction(write=True) as tx:
        tx.append("s", 2, b"3")
        raise KeyError
    storage.append("s", 2, b"3", b"root")
    stop()
    storage.append("s", 3, b"4", b"root")
    assert told == [2, 3]


def test_an_error_of_who_watches_is_not_the_writers(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: said.append(found.exc_value))
    storage.watch("s", lambda end: end // 0)
    storage.append("s", 0, b"1", b"root")
    assert [type(error) for error in said] == [ZeroDivisionError]
