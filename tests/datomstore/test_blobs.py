"""A blob is there, whole, from the transaction that keeps it to the one that deletes it; a log blob is what was given."""

from __future__ import annotations

import hashlib
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.limits import SQUEEZE_MIN
from datomstore.storage import Storage, StorageCorrupt, StorageError
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.storage.squeeze import Unsqueezable, squeezed, unsqueezed

MAP_SIZE = 1 << 24
LONG = b"name and address " * 100


def written(storage: Storage, *parts: bytes) -> bytes:
    writer = storage.create_blob()
    for part in parts:
        writer.write(part)
    return writer.finish()


def keep(storage: Storage, digest: bytes) -> None:
    with storage.transaction(write=True) as tx:
        tx.keep_blob(digest)


def delete(storage: Storage, digest: bytes) -> None:
    with storage.transaction(write=True) as tx:
        tx.delete_blob(digest)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "db" / "blobs").iterdir())


def test_a_blob_is_kept_by_a_transaction_and_named_by_its_hash(storage: Storage) -> None:
    digest = written(storage, b"con", b"tent")
    assert digest == hashlib.sha256(b"content").digest()
    with storage.transaction(write=False) as tx:
        assert tx.get_blob(digest) is None
    keep(storage, digest)
    with storage.transaction(write=False) as tx:
        assert tx.get_blob(digest) == b"content"
    assert storage.blob(digest) == b"content"


def test_a_blob_that_is_read_stays_readable_when_it_is_deleted(storage: Storage) -> None:
    digest = written(storage, b"content")
    keep(storage, digest)
    held = storage.blob(digest)
    delete(storage, digest)
    assert storage.blob(digest) is None
    assert held == b"content"


def test_a_blob_kept_twice_is_there_until_it_is_deleted_twice(storage: Storage) -> None:
    for _ in range(2):
        keep(storage, written(storage, b"content"))
    digest = hashlib.sha256(b"content").digest()
    delete(storage, digest)
    assert storage.blob(digest) == b"content"
    delete(storage, digest)
    assert storage.blob(digest) is None


def test_a_blob_that_is_given_up_leaves_one_that_is_kept(storage: Storage) -> None:
    digest = written(storage, b"content")
    storage.drop_blob(digest)
    assert storage.blob(digest) is None
    keep(storage, written(storage, b"content"))
    storage.drop_blob(written(storage, b"content"))
    assert storage.blob(digest) == b"content"


def test_a_blob_written_again_while_it_is_deleted_stays(storage: Storage) -> None:
    keep(storage, written(storage, b"content"))
    digest = written(storage, b"content")
    delete(storage, digest)
    keep(storage, digest)
    assert storage.blob(digest) == b"content"


def test_what_is_not_there_cannot_be_kept(storage: Storage) -> None:
    with pytest.raises(StorageError, match="no blob"):
        keep(storage, bytes(32))


def test_a_blob_of_a_transaction_that_did_not_happen_is_gone(storage: Storage) -> None:
    with pytest.raises(KeyError), storage.transaction(write=True) as tx:  # noqa: PT012
        digest = tx.put_blob(b"content")
        raise KeyError
    assert storage.blob(digest) is None


def test_an_empty_blob_is_a_blob(storage: Storage) -> None:
    digest = written(storage)
    keep(storage, digest)
    assert storage.blob(digest) == b""


def test_what_a_crash_leaves_is_removed_at_the_next_start(tmp_path: Path) -> None:
    engine = LmdbStorage(tmp_path / "db", map_size=MAP_SIZE)
    kept = written(engine, b"kept")
    keep(engine, kept)
    written(engine, b"never kept")
    half = engine.create_blob()
    half.write(b"half")
    assert len(files(tmp_path)) == 3
    engine.close()
    engine = LmdbStorage(tmp_path / "db", map_size=MAP_SIZE)
    assert files(tmp_path) == [kept.hex()]
    half.abandon()
    engine.close()


def test_a_file_that_went_missing_is_named(tmp_path: Path) -> None:
    engine = LmdbStorage(tmp_path / "db", map_size=MAP_SIZE)
    digest = written(engine, b"kept")
    keep(engine, digest)
    (tmp_path / "db" / "blobs" / digest.hex()).unlink()
    with (
        engine.transaction(write=False) as tx,
        pytest.raises(StorageCorrupt, match=f"{digest.hex()} is missing"),
    ):
        tx.get_blob(digest)
    engine.close()


def test_a_backup_has_the_blobs(storage: Storage, tmp_path: Path) -> None:
    kept = written(storage, LONG)
    keep(storage, kept)
    lost = written(storage, b"never kept")
    storage.backup(tmp_path / "copy")
    copy = LmdbStorage(tmp_path / "copy", map_size=MAP_SIZE)
    assert copy.blob(kept) == LONG
    assert copy.blob(lost) is None
    assert copy.size() > len(LONG)
    copy.close()


def test_a_long_log_blob_takes_less_and_reads_the_same(storage: Storage) -> None:
    before = storage.size()
    with storage.transaction(write=True) as tx:
        tx.append("s", 0, LONG * 100)
        assert list(tx.read("s")) == [(1, LONG * 100)]
    assert storage.size() - before < len(LONG) * 20


def test_a_log_of_before_compression_is_read() -> None:
    engine = MemoryStorage()
    record = b"\x97\x01 an array of seven"
    with engine.transaction(write=True) as tx:
        tx.append("s", 0, b"")
    key = b"ls\0" + (1).to_bytes(8, "big")
    engine._values[key] = zlib.crc32(record).to_bytes(4, "big") + record
    with engine.transaction(write=False) as tx:
        assert list(tx.read("s")) == [(1, record)]


@given(st.binary(max_size=SQUEEZE_MIN * 2))
def test_every_blob_comes_back(blob: bytes) -> None:
    assert unsqueezed(squeezed(blob)) == blob


@given(st.binary(max_size=64))
def test_any_bytes_are_a_blob_or_refused(kept: bytes) -> None:
    with suppress(Unsqueezable):
        unsqueezed(b"\x01" + kept)


def test_a_frame_that_is_cut_or_claims_too_much_is_refused() -> None:
    frame = squeezed(LONG)
    assert frame[0] == 1
    with pytest.raises(Unsqueezable):
        unsqueezed(frame[:-3])
    huge = b"\x28\xb5\x2f\xfd\xe0" + (1 << 50).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(Unsqueezable, match="bytes, or so many"):
        unsqueezed(b"\x01" + huge)
