"""What is wrong on disk is named, never believed; what is excised is in no file; a copy is whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from datomstore.batch import BatchOpen
from datomstore.check import check
from datomstore.codec import pack
from datomstore.segments.manifest import TABLE, decoded, encoded
from datomstore.storage import BlobWriter, StorageCorrupt, StorageError
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

A, NAME = Keyword("p/a"), Keyword("p/name")
ADD = Keyword("db/add")
MAP_SIZE = 1 << 24
SECRET = "secret-" + "3141592653589793"


def opened(path: Path) -> Streams:
    return Streams(LmdbStorage(path, map_size=MAP_SIZE), now_ms=lambda: 7, merge_rows=20)


def filled(streams: Streams) -> Stream:
    stream = streams.open("s")
    for n in range(20):
        stream.transact([(ADD, 2_000 + n % 7, A, n), (ADD, 2_000 + n % 7, NAME, f"name {n}")])
    streams.merge(stream)
    streams.settle()
    return stream


def everything(stream: Stream) -> str:
    return repr(list(stream.db().history().datoms()))


def blobs(path: Path) -> list[Path]:
    return sorted((path / "blobs").iterdir())


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(bytes(data))


def test_a_flipped_bit_of_a_segment_is_named_and_the_log_repairs_it(tmp_path: Path) -> None:
    streams = opened(tmp_path)
    before = everything(filled(streams))
    streams.close()
    for number in range(4):
        path = blobs(tmp_path)[number % len(blobs(tmp_path))]
        flip(path, 64)  # the first byte of the first section
        streams = opened(tmp_path)
        with pytest.raises(StorageCorrupt, match=path.name):
            everything(streams.get("s"))  # values are read when they are wanted
        (fault,) = check(streams, "s")
        assert fault.rule == "segments"
        assert path.name in fault.message
        streams.rebuild("s")
        assert check(streams, "s") == []
        assert everything(streams.get("s")) == before
        streams.close()
        streams = opened(tmp_path)
        assert everything(streams.get("s")) == before
        streams.close()


@pytest.mark.parametrize("cut", [0, 10, 200, -1])
def test_a_cut_or_missing_segment_is_named(tmp_path: Path, cut: int) -> None:
    streams = opened(tmp_path)
    filled(streams)
    streams.close()
    for path in blobs(tmp_path):
        whole = path.read_bytes()
        path.write_bytes(whole[:cut])
        streams = opened(tmp_path)
        with pytest.raises(StorageCorrupt, match=path.name):
            streams.get("s")
        streams.close()
        path.unlink()
        streams = opened(tmp_path)
        with pytest.raises(StorageCorrupt, match=f"{path.name} is missing"):
            streams.get("s")
        streams.close()
        path.write_bytes(whole)


def test_every_byte_of_a_manifest_counts() -> None:
    storage = MemoryStorage()
    filled(Streams(storage, now_ms=lambda: 7, merge_rows=20))
    with storage.transaction(write=False) as tx:
        record = tx.get(TABLE, b"s")
    assert record is not None
    for place in range(len(record)):
        changed = bytearray(record)
        changed[place] ^= 1
        with pytest.raises(StorageCorrupt, match="list of segments"):
            decoded(bytes(changed), "s")
    for size in range(len(record)):
        with pytest.raises(StorageCorrupt):
            decoded(record[:size], "s")


def test_a_manifest_that_does_not_add_up_is_refused() -> None:
    storage = MemoryStorage()
    stream = filled(Streams(storage, now_ms=lambda: 7, merge_rows=20))
    assert stream.kept is not None
    manifest = stream.kept.manifest
    run = manifest.runs[-1]
    wrong = [
        manifest._replace(rows=manifest.rows + 1),
        manifest._replace(t=manifest.t + 1),
        manifest._replace(root=b"short"),
        manifest._replace(runs=(*manifest.runs, run)),
        manifest._replace(runs=manifest.runs[:-1]),
        manifest._replace(dictionaries=(*manifest.dictionaries, manifest.dictionaries[0])),
        manifest._replace(
            runs=(
                *manifest.runs[:-1],
                run._replace(place=run.place._replace(past_until=1 << 40)),
            )
        ),
    ]
    for changed in wrong:
        with pytest.raises(StorageCorrupt):
            decoded(encoded(changed), "s")
    assert decoded(encoded(manifest), "s") == manifest


def test_segments_of_another_log_are_named() -> None:
    storage, other = MemoryStorage(), MemoryStorage()
    filled(Streams(storage, now_ms=lambda: 7, merge_rows=20))
    stream = Streams(other, now_ms=lambda: 8).open("s")
    for n in range(40):
        stream.transact([(ADD, 2_000, A, n)])
    with storage.transaction(write=False) as tx:
        record = tx.get(TABLE, b"s")
        assert record is not None
        blobs_kept = [storage.blob(digest) for digest in decoded(record, "s").blobs()]  # type: ignore[union-attr]
    with other.transaction(write=True) as tx:
        for blob in blobs_kept:
            assert blob is not None
            tx.put_blob(bytes(blob))
        tx.put(TABLE, b"s", record)
    again = Streams(other, now_ms=lambda: 8, merge_rows=20)
    with pytest.raises(StorageCorrupt, match="do not lead to its root"):
        again.get("s")
    (fault,) = check(again, "s")
    assert fault.rule == "segments"
    again.rebuild("s")
    assert check(again, "s") == []


def test_a_manifest_of_another_version_is_left_alone_and_replaced_by_a_merge() -> None:
    storage = MemoryStorage()
    stream = filled(Streams(storage, now_ms=lambda: 7, merge_rows=20))
    before = everything(stream)
    with storage.transaction(write=True) as tx:
        body = pack((2, "unknown"))
        tx.put(TABLE, b"s", zlib.crc32(body).to_bytes(4, "big") + body)
    again = Streams(storage, now_ms=lambda: 7, merge_rows=20)
    assert everything(again.get("s")) == before
    again.merge(again.get("s"))
    assert check(again, "s") == []
    assert again.get("s").stats().segments == 1


def files_in(folder: Path) -> Iterator[bytes]:
    """Yield what is in all files of a folder; one that a merge takes away meanwhile is there no more."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.read_bytes()


def test_what_is_excised_is_in_no_file(tmp_path: Path) -> None:
    streams = opened(tmp_path)
    stream = filled(streams)
    stream.transact([Map({Keyword("db/id"): "x", NAME: SECRET})])
    e = stream.db().datoms("avet", NAME, SECRET)
    entity = next(iter(e)).e
    streams.merge(stream, whole=True)
    assert any(SECRET.encode() in path.read_bytes() for path in blobs(tmp_path))
    held = stream.db()
    stream.transact([Map({Keyword("db/excise"): entity})])
    assert not any(SECRET.encode() in data for data in files_in(tmp_path))
    streams.settle()
    assert not any(SECRET.encode() in data for data in files_in(tmp_path))
    assert held.entity(entity)[NAME] == SECRET  # a value that is held is a value
    assert SECRET not in everything(stream)
    assert check(streams, "s") == []
    streams.close()
    streams = opened(tmp_path)
    assert SECRET not in everything(streams.get("s"))
    streams.close()


def test_a_copy_has_log_and_segments_as_of_one_moment(tmp_path: Path) -> None:
    streams = opened(tmp_path / "db")
    stream = filled(streams)
    streams.storage.backup(tmp_path / "copy")
    before = everything(stream)
    filled(streams)
    streams.close()
    copy = opened(tmp_path / "copy")
    assert everything(copy.get("s")) == before
    assert copy.get("s").stats().segments >= 1
    assert check(copy, "s") == []
    copy.close()


class Full(MemoryStorage):
    """An engine that has no room for a blob, for a while."""

    full = True

    def create_blob(self) -> BlobWriter:
        if self.full:
            raise StorageError("full")
        return super().create_blob()


def test_a_merge_that_fails_is_known_and_made_up_for() -> None:
    storage = Full()
    streams = Streams(storage, now_ms=lambda: 7, merge_rows=20)
    stream = streams.create("s")
    for n in range(30):
        stream.transact([(ADD, 2_000, A, n), (ADD, 2_001, NAME, f"name {n}")])
    streams.settle()
    assert isinstance(streams.merge_failure, StorageError)
    assert stream.stats().segments == 0
    storage.full = False
    for n in range(30):
        stream.transact([(ADD, 2_000, A, -n - 1)])
    streams.settle()
    assert streams.merge_failure is None
    assert stream.stats().segments >= 1
    assert check(streams, "s") == []


def test_closing_gives_up_what_is_being_merged(tmp_path: Path) -> None:
    for stop in range(6):
        path = tmp_path / str(stop)
        streams = opened(path)
        stream = streams.create("s")
        for n in range(20 + stop):
            stream.transact([(ADD, 2_000 + n, A, n), (ADD, 2_000 + n, NAME, f"name {n}")])
        streams.close()
        with pytest.raises(StorageError):
            stream.transact([(ADD, 2_000, A, 1)])
        streams = opened(path)
        assert len(list(streams.get("s").db().datoms("aevt", A))) == 20 + stop
        assert check(streams, "s") == []
        streams.close()


def test_a_merge_inside_a_batch_is_refused() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7, merge_rows=20)
    stream = filled(streams)
    with streams.batch() as batch:
        batch.transact(stream, [(ADD, 2_000, A, 1)])
        with pytest.raises(BatchOpen):
            streams.merge(stream)
