"""A folder that a killed process has left is copied and opened right, and neither while the other goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datomstore.storage import locks, redolog
from datomstore.storage.copying import copy
from datomstore.storage.lmdb import LmdbStorage

MAP_SIZE = 1 << 24

WRITER = """
import sys
from pathlib import Path
from datomstore.storage.lmdb import LmdbStorage
storage = LmdbStorage(Path(sys.argv[1]), map_size=1 << 24)
with storage.transaction(write=True) as tx:
    tx.put_blob(b"blob")
for number in range(5000):
    storage.append("s", number, b"%d" % number * 20, b"root")
print("there", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(program: str, folder: Path) -> Iterator[None]:
    """A process that has done its part with a folder, and is killed at the end."""
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"there\n"
            yield
        finally:
            child.kill()


def logged(folder: Path) -> int:
    engine = LmdbStorage(folder, map_size=MAP_SIZE)
    with engine.transaction(write=False) as tx:
        count = sum(record == b"%d" % (t - 1) * 20 for t, record in tx.read("s"))
    assert len(list((folder / "blobs").iterdir())) == 1
    engine.close()
    return count


def bytes_of(folder: Path) -> dict[str, bytes]:
    names = ("data.mdb", *redolog.NAMES)
    return {name: (folder / name).read_bytes() for name in names}


def test_a_killed_process_leaves_all_it_wrote(tmp_path: Path) -> None:
    with other_process(WRITER, tmp_path / "db"):
        pass
    assert redolog.exists(tmp_path / "db")
    assert logged(tmp_path / "db") == 5_000
    assert not redolog.exists(tmp_path / "db")


def test_a_copy_of_a_crashed_folder_is_recovered_and_the_folder_stays(tmp_path: Path) -> None:
    with other_process(WRITER, tmp_path / "db"):
        pass
    before = bytes_of(tmp_path / "db")
    copy(tmp_path / "db", tmp_path / "copy", map_size=MAP_SIZE)
    assert bytes_of(tmp_path / "db") == before
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["blobs", "data.mdb"]
    assert logged(tmp_path / "copy") == logged(tmp_path / "db") == 5_000


def test_a_folder_that_is_written_is_copied_as_it_is_now(tmp_path: Path) -> None:
    with other_process(WRITER, tmp_path / "db"):
        copy(tmp_path / "db", tmp_path / "copy", map_size=MAP_SIZE)
    assert logged(tmp_path / "copy") == 5_000


def test_what_has_to_be_recovered_waits_for_who_copies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datomstore.storage.lmdb.PURGE_WAIT_S", 0.02)
    with other_process(WRITER, tmp_path / "db"):
        pass
    with locks.reading(tmp_path / "db"), pytest.raises(locks.StorageInUse, match="being copied"):
        LmdbStorage(tmp_path / "db", map_size=MAP_SIZE)
    assert logged(tmp_path / "db") == 5_000


def test_a_purge_leaves_what_is_being_copied_alone(tmp_path: Path) -> None:
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    engine.append("s", 0, b"record", b"root")
    with locks.reading(tmp_path):
        assert not engine.purge()
    assert engine.purge()
    engine.append("s", 1, b"record", b"root")
    engine.close()


READER = """
import lmdb, sys
environment = lmdb.open(sys.argv[1], readonly=True, max_dbs=0, map_size=1 << 24)
transaction = environment.begin()
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("commits", [8, 9])
def test_a_purge_while_another_process_reads_keeps_everything(tmp_path: Path, commits: int) -> None:
    """LMDB's lock file would go on with the number of the old file's newest transaction, which is none of the new one's."""
    engine = LmdbStorage(tmp_path, map_size=MAP_SIZE)
    for number in range(commits):
        engine.append("s", number, b"record", b"root")
    with other_process(READER, tmp_path):
        assert engine.purge()
        engine.append("s", commits, b"record", b"root")
        with engine.transaction(write=False) as tx:
            assert len(list(tx.read("s"))) == commits + 1
    engine.close()
