"""What was committed is there after a loss of power at any moment, whatever else the disk has kept; what was not, is not by halves."""

from __future__ import annotations

import itertools
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest
from disks import Disk, on
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from datomstore.storage import StorageError, flushing, redolog
from datomstore.storage.durable import Durable, Work
from datomstore.storage.mapped import StorageFull

MAP_SIZE = 1 << 20
FILE_SIZE = 1 << 15  # 20 KiB of it for records
Content = dict[bytes, bytes]
Changes = list[tuple[bytes, bytes | None]]

keys = st.integers(0, 30).map(lambda n: b"key %d" % n)
values = st.tuples(
    st.integers(0, 255), st.sampled_from([0, 20, 300, 300, 1_000, 3_000, 5_000])
).map(lambda made: bytes([made[0]]) * made[1])
changes = st.lists(st.tuples(keys, st.one_of(st.none(), values, values)), max_size=6)
cuts = st.one_of(st.none(), st.integers(1, 14))


class Later:
    """What runs in the background, when it is told to, or when somebody waits for it."""

    def __init__(self) -> None:
        self._work: list[Work] = []

    def __call__(self, work: Work) -> Work:
        self._work.append(work)
        return self.run

    def run(self) -> None:
        while self._work:
            self._work.pop(0)()


def content(durable: Durable) -> Content:
    with durable.read() as found:
        return dict(found.scan(b"", b""))


def apply(durable: Durable, changed: Changes) -> None:
    with durable.write() as transaction:
        for key, value in changed:
            if value is None:
                transaction.delete(key)
            else:
                transaction.put(key, value)


def after(before: Content, changed: Changes) -> Content:
    made = dict(before)
    for key, value in changed:
        if value is None:
            made.pop(key, None)
        else:
            made[key] = value
    return made


class PowerLoss(RuleBasedStateMachine):
    """A map in an environment beside a dictionary, with the power cut anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._top = Path(tempfile.mkdtemp())
        self._numbers = itertools.count()
        self._chance = random.Random(0)
        self._model: Content = {}
        self._folder = self._fresh()
        self._folder.mkdir()
        self._open()

    def teardown(self) -> None:
        with on(self._disk, flushing):
            self._durable.close()
        self._disk.close()
        shutil.rmtree(self._top)

    def _fresh(self) -> Path:
        return self._top / str(next(self._numbers))

    def _open(self) -> None:
        self._disk = Disk(self._folder, self._chance)
        self._later = Later()
        with on(self._disk, flushing):
            self._durable = Durable(
                self._folder, MAP_SIZE, file_size=FILE_SIZE, background=self._later
            )

    def _run(self, work: Work, cut: int | None) -> bool:
        """Do something, and return whether it is done; the power may have gone meanwhile."""
        if cut is not None:
            self._disk.cut_after(cut, self._fresh())
        with on(self._disk, flushing):
            work()
        if self._disk.left is None:
            self._disk.cut_after(1 << 60, self._folder)
            return True
        return False

    def _recover(self, allowed: list[Content], cuts: list[int]) -> None:
        """Open what is left, with the power cut while it is recovered; what is there is one of what is allowed."""
        left = self._disk.left
        assert left is not None
        with on(self._disk, flushing):
            self._durable.close()
        self._disk.close()
        self._folder = left
        for cut in cuts:
            disk = Disk(self._folder, self._chance)
            disk.cut_after(cut, self._fresh())
            with on(disk, flushing):
                Durable(self._folder, MAP_SIZE, file_size=FILE_SIZE).close()
            disk.close()
            if disk.left is not None:
                self._folder = disk.left
        self._open()
        found = content(self._durable)
        assert found in allowed
        self._model = found

    @rule(
        changed=changes,
        cut=cuts,
        seed=st.integers(0, 1 << 20),
        again=st.lists(st.integers(1, 12), max_size=2),
    )
    def commit(self, changed: Changes, cut: int | None, seed: int, again: list[int]) -> None:
        self._chance.seed(seed)
        wanted = after(self._model, changed)
        if self._run(lambda: apply(self._durable, changed), cut):
            self._model = wanted
            assert content(self._durable) == wanted
        else:
            self._recover([self._model, wanted], again)

    @rule(sizes=st.lists(st.integers(1, 400), min_size=5, max_size=20))
    def commit_many(self, sizes: list[int]) -> None:
        for number, size in enumerate(sizes):
            changed: Changes = [(b"many %d" % number, bytes(size))]
            self._run(lambda changed=changed: apply(self._durable, changed), None)  # type: ignore[misc]
            self._model = after(self._model, changed)

    @rule(
        cut=cuts,
        seed=st.integers(0, 1 << 20),
        again=st.lists(st.integers(1, 12), max_size=2),
    )
    def finish_the_checkpoint(self, cut: int | None, seed: int, again: list[int]) -> None:
        self._chance.seed(seed)
        if not self._run(self._later.run, cut):
            self._recover([self._model], again)

    @rule(seed=st.integers(0, 1 << 20), again=st.lists(st.integers(1, 12), max_size=2))
    def lose_power(self, seed: int, again: list[int]) -> None:
        self._chance.seed(seed)
        self._disk.cut_now(self._fresh())
        self._recover([self._model], again)

    @rule(cut=cuts, seed=st.integers(0, 1 << 20), again=st.lists(st.integers(1, 12), max_size=2))
    def close_and_open(self, cut: int | None, seed: int, again: list[int]) -> None:
        self._chance.seed(seed)
        if self._run(lambda: self._durable.close(), cut):
            assert not redolog.exists(self._folder)
            self._disk.close()
            self._open()
            assert content(self._durable) == self._model
        else:
            self._recover([self._model], again)

    def _refuses(self) -> bool:
        try:
            assert content(self._durable) == self._model
        except StorageError:
            return True
        return False

    @rule(changed=changes, failing=st.integers(1, 2), lost=st.booleans(), seed=st.integers(0, 99))
    @precondition(lambda self: self._model)
    def the_disk_fails(self, changed: Changes, failing: int, lost: bool, seed: int) -> None:
        self._chance.seed(seed)
        self._disk.failing = failing
        wanted = after(self._model, changed)
        try:
            self._run(lambda: apply(self._durable, changed), None)
        except StorageError:
            allowed = [self._model, wanted] if self._refuses() else [self._model]
        else:
            allowed = [wanted]
        self._disk.failing = 0
        if lost:
            self._disk.cut_now(self._fresh())
            self._recover(allowed, [])
            return
        with on(self._disk, flushing):
            self._durable.close()
        self._disk.close()
        self._open()
        self._model = content(self._durable)
        assert self._model in allowed


PowerLoss.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
TestPowerLoss = PowerLoss.TestCase


class FailsToCommit:
    """A transaction of LMDB whose commit fails."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self._transaction = transaction

    def abort(self) -> None:
        self._transaction.abort()

    def commit(self) -> None:
        raise lmdb.MapFullError("at the commit")


def opened_again(folder: Path) -> Content:
    """Return what is there for who opens a folder."""
    durable = Durable(folder, MAP_SIZE)
    try:
        return content(durable)
    finally:
        durable.close()


def crashed(folder: Path, left: Path) -> Path:
    """Return a copy of what a process that has just been killed would leave."""
    shutil.copytree(folder, left)
    return left


def test_a_commit_that_fails_after_it_was_logged_has_not_happened(tmp_path: Path) -> None:
    durable = Durable(tmp_path / "db", MAP_SIZE)
    apply(durable, [(b"a", b"1")])
    with pytest.raises(StorageFull), durable.write() as changing:  # noqa: PT012
        changing.put(b"b", b"2")
        changing.transaction = FailsToCommit(changing.transaction)  # type: ignore[assignment]
    assert content(durable) == {b"a": b"1"}
    assert opened_again(crashed(tmp_path / "db", tmp_path / "left")) == {b"a": b"1"}
    apply(durable, [(b"c", b"3")])
    left = opened_again(crashed(tmp_path / "db", tmp_path / "left again"))
    assert left == content(durable) == {b"a": b"1", b"c": b"3"}
    durable.close()


def test_who_is_told_that_a_transaction_lasts_may_rely_on_it(tmp_path: Path) -> None:
    durable = Durable(tmp_path / "db", MAP_SIZE)
    apply(durable, [(b"a", b"1")])
    with pytest.raises(StorageFull), durable.write() as changing:  # noqa: PT012
        changing.put(b"b", b"2")
        changing.lasts = lambda: None
        changing.transaction = FailsToCommit(changing.transaction)  # type: ignore[assignment]
    for ask in (content, lambda durable: apply(durable, [(b"c", b"3")])):
        with pytest.raises(StorageError, match="a transaction that lasts cannot be shown"):
            ask(durable)
    durable.close()
    assert opened_again(tmp_path / "db") == {b"a": b"1", b"b": b"2"}


def test_when_it_is_told_the_transaction_lasts_and_cannot_be_seen(tmp_path: Path) -> None:
    folder, left = tmp_path / "db", tmp_path / "left"
    with on_a_disk(folder) as (disk, durable):
        seen: list[Content] = []

        def told() -> None:
            disk.cut_now(left)
            seen.append(content(durable))

        with durable.write() as changing:
            changing.put(b"b", b"2")
            changing.lasts = told
        assert seen == [{b"a": b"1"}]
        assert content(durable) == {b"a": b"1", b"b": b"2"}
    assert opened_again(left) == {b"a": b"1", b"b": b"2"}


@contextmanager
def on_a_disk(folder: Path) -> Iterator[tuple[Disk, Durable]]:
    """Yield a disk that can fail, and what is on it, with a first transaction."""
    folder.mkdir()
    disk = Disk(folder, random.Random(1))
    with on(disk, flushing):
        durable = Durable(folder, MAP_SIZE)
        apply(durable, [(b"a", b"1")])
        yield disk, durable
        durable.close()
    disk.close()


def test_when_nobody_knows_whether_a_transaction_has_happened_everything_is_refused(
    tmp_path: Path,
) -> None:
    with on_a_disk(tmp_path / "db") as (disk, durable):
        disk.failing = 2
        with pytest.raises(StorageError, match="the disk has failed"):
            apply(durable, [(b"b", b"2")])
        for ask in (content, lambda durable: apply(durable, [(b"c", b"3")])):
            with pytest.raises(StorageError, match="nobody can say"):
                ask(durable)


def test_a_checkpoint_that_fails_refuses_everything_and_loses_nothing(tmp_path: Path) -> None:
    with on_a_disk(tmp_path / "db") as (disk, durable):
        disk.failing = 1
        with pytest.raises(StorageError, match="a checkpoint failed"):
            apply(durable, [(b"large", bytes(200_000))])
        with pytest.raises(StorageError, match="a checkpoint failed"):
            content(durable)
    assert opened_again(tmp_path / "db") == {b"a": b"1"}


@pytest.mark.parametrize("size", [1, 200_000])
def test_an_interrupt_in_a_commit_refuses_everything_and_loses_nothing(
    tmp_path: Path, size: int
) -> None:
    with on_a_disk(tmp_path / "db") as (disk, durable):
        disk.interrupts = True
        with pytest.raises(KeyboardInterrupt):
            apply(durable, [(b"b", bytes(size))])
        disk.interrupts = False
        with pytest.raises(StorageError):
            content(durable)
    found = opened_again(tmp_path / "db")
    assert found.pop(b"b", bytes(size)) == bytes(size)
    assert found == {b"a": b"1"}


def test_a_map_that_is_nearly_full_takes_changes_for_ever(tmp_path: Path) -> None:
    durable = Durable(tmp_path, 1 << 16)
    for number in range(300):
        apply(durable, [(b"key %d" % (number % 3), b"%d" % number * 200)])
    with pytest.raises(StorageFull):
        apply(durable, [(b"large", bytes(60_000))])
    apply(durable, [(b"key 0", b"")])
    assert sorted(content(durable)) == [b"key 0", b"key 1", b"key 2"]
    durable.close()


def test_an_environment_grows_no_more_than_what_is_between_checkpoints(tmp_path: Path) -> None:
    durable = Durable(tmp_path, 1 << 30, file_size=1 << 15)
    for number in range(1_000):
        apply(durable, [(b"key", b"%d" % number * 50)])
    durable.close()
    assert (tmp_path / "data.mdb").stat().st_size < 1 << 21


def test_a_reader_does_not_see_what_is_not_durable(tmp_path: Path) -> None:
    durable = Durable(tmp_path, MAP_SIZE)
    apply(durable, [(b"a", b"1")])
    seen: list[Content] = []
    real, readers = flushing.flush_environment, list[threading.Thread]()

    def slow(environment: lmdb.Environment) -> None:
        reader = threading.Thread(target=lambda: seen.append(content(durable)))
        reader.start()
        reader.join(0.05)
        readers.append(reader)
        assert seen == []
        real(environment)

    flushing.flush_environment = slow
    try:
        apply(durable, [(b"large", bytes(200_000))])
    finally:
        flushing.flush_environment = real
    for reader in readers:
        reader.join()
    assert [len(found) for found in seen] == [2]
    durable.close()


def test_what_was_closed_is_a_plain_environment(tmp_path: Path) -> None:
    durable = Durable(tmp_path, MAP_SIZE)
    apply(durable, [(b"a", b"1")])
    assert redolog.exists(tmp_path)
    durable.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.mdb", "lock.mdb"]
    with pytest.raises(StorageError, match="closed"):
        apply(durable, [(b"b", b"2")])
