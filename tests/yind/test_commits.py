"""Group commit: many writers, one transaction, each with its own outcome."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from datomstore.batch import Batch
from datomstore.errors import DatomstoreError
from datomstore.excision import ExcisionNotAlone
from datomstore.storage import StorageError, StorageTransaction
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map
from yind.commits import GroupCommit, Work
from yind.limits import COMMIT_LATER_S

N = Keyword("n")


def appending(streams: Streams, *facts: object) -> Work:
    def work(batch: Batch) -> None:
        batch.transact(streams.open("s"), facts)

    return work


def numbers(streams: Streams) -> list[object]:
    return sorted(datom.v for datom in streams.get("s").db().datoms("aevt", N))  # type: ignore[type-var]


async def test_writers_that_wait_share_a_transaction() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    sizes: list[int] = []
    written = [0]

    def last(batch: Batch, *, brief: bool) -> None:
        sizes.append(streams.open("s").transactor.t - written[0])
        written[0] = streams.open("s").transactor.t

    commits = GroupCommit(streams, last)
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(commits.commit, appending(streams, Map({N: number})))
    assert numbers(streams) == list(range(50))
    assert sum(sizes) == 50
    assert len(sizes) < 50


async def test_one_that_fails_does_not_concern_the_others() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    undone: list[int] = []
    failed: list[str] = []

    async def write(number: int) -> None:
        fact = 42 if number % 5 == 0 else Map({N: number})
        try:
            await commits.commit(
                appending(streams, fact),
                undo=partial(undone.append, number),
            )
        except DatomstoreError as error:
            failed.append(str(error))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, number)
    assert numbers(streams) == [number for number in range(20) if number % 5]
    assert sorted(undone) == [0, 5, 10, 15]
    assert len(failed) == 4


async def test_an_excision_does_not_concern_those_who_wait_with_it() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    first = streams.open("s").transact([Map({Keyword("db/id"): "gone", N: -1})])
    gone = first.tempids["gone"]
    groups: list[int] = []
    commits = GroupCommit(streams, lambda batch, brief: groups.append(1))
    async with trio.open_nursery() as nursery:
        for number in range(20):
            facts = Map({N: number})
            if number % 5 == 4:
                facts = Map({Keyword("db/excise"): gone})
            nursery.start_soon(commits.commit, appending(streams, facts))
    assert numbers(streams) == [number for number in range(20) if number % 5 != 4]
    assert len(groups) < 20


async def test_an_excision_that_contradicts_itself_fails_alone() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)

    def twice(batch: Batch) -> None:
        batch.transact(streams.open("s"), [Map({N: 1})])
        batch.transact(streams.open("s"), [Map({Keyword("db/excise"): 1})])

    with pytest.raises(ExcisionNotAlone):
        await commits.commit(twice)


async def test_a_failing_storage_concerns_everyone(tmp_path: Path) -> None:
    streams = Streams(LmdbStorage(tmp_path, map_size=1 << 18), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    undone: list[int] = []
    outcomes: list[str] = []

    async def write(number: int) -> None:
        fact = Map({N: f"{number} {random.Random(number).randbytes(1000).hex()}"})
        try:
            await commits.commit(
                appending(streams, fact),
                undo=partial(undone.append, number),
            )
        except StorageError:
            outcomes.append("failed")
        else:
            outcomes.append("written")

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(write, number)
    assert outcomes.count("failed") == len(undone) > 0
    assert len(numbers(streams)) == outcomes.count("written")


async def test_work_taken_along_happens_though_its_task_is_cancelled() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    with trio.CancelScope() as scope:
        scope.cancel()
        await commits.commit(appending(streams, Map({N: 1})))
    assert numbers(streams) == [1]


async def test_what_fails_after_it_lasts_is_told_to_nobody_as_a_failure_and_ends_the_node(
    tmp_path: Path,
) -> None:
    streams = Streams(LmdbStorage(tmp_path, map_size=1 << 20), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    undone: list[int] = []

    def listener(report: object) -> None:
        raise OSError("after the commit")

    streams.open("s").listeners.append(listener)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(commits.run)
            undo = partial(undone.append, 1)
            await commits.commit(appending(streams, Map({N: 1})), undo=undo)
            await trio.sleep_forever()
    assert (numbers(streams), undone) == ([1], [])


async def test_a_transaction_that_cannot_begin_fails_its_work(tmp_path: Path) -> None:
    storage = LmdbStorage(tmp_path)
    commits = GroupCommit(Streams(storage, now_ms=lambda: 7), lambda batch, brief: None)
    storage.close()
    with pytest.raises(StorageError):
        await commits.commit(lambda batch: None)


async def test_who_submits_is_told_of_each(tmp_path: Path) -> None:
    for storage in (MemoryStorage(), LmdbStorage(tmp_path)):
        streams = Streams(storage, now_ms=lambda: 7)
        commits = GroupCommit(streams, lambda batch, brief: None)
        told: list[tuple[int, bool]] = []

        def done(
            number: int, error: BaseException | None, told: list[tuple[int, bool]] = told
        ) -> None:
            told.append((number, error is None))

        for number in range(20):
            fact = 42 if number % 5 == 0 else Map({N: number})
            commits.submit(appending(streams, fact), partial(done, number))
        await commits.commit(lambda batch: None)
        assert told == [(number, number % 5 != 0) for number in range(20)]
        assert numbers(streams) == [number for number in range(20) if number % 5]
        streams.close()


async def test_what_can_wait_goes_with_what_comes_next_in_its_order() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    groups: list[int] = []
    commits = GroupCommit(streams, lambda batch, brief: groups.append(1))
    order: list[str] = []

    def put(batch: Batch, name: str) -> None:
        order.append(name)

    commits.submit(partial(put, name="later"), lambda error: order.append("told"), later=True)
    assert order == []
    commits.submit(partial(put, name="now"), lambda error: None)
    assert (order, groups) == (["later", "now", "told"], [1])


def _wait(go_on: threading.Event) -> None:
    assert go_on.wait(10)


async def test_what_can_wait_does_not_wait_for_ever(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    del autojump_clock
    streams = Streams(LmdbStorage(tmp_path), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    written = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(commits.run)
        commits.submit(appending(streams, Map({N: 1})), lambda error: written.set(), later=True)
        began = trio.current_time()
        await written.wait()
        assert trio.current_time() - began == pytest.approx(COMMIT_LATER_S)
        nursery.cancel_scope.cancel()
    streams.close()


async def test_where_there_is_no_disk_what_can_wait_is_written_in_the_next_turn() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 7)
    groups: list[int] = []
    commits = GroupCommit(streams, lambda batch, brief: groups.append(1))
    async with trio.open_nursery() as nursery:
        await nursery.start(commits.run)
        for number in range(3):
            commits.submit(appending(streams, Map({N: number})), lambda error: None, later=True)
        assert groups == []
        await trio.testing.wait_all_tasks_blocked()
        assert groups == [1]
        assert numbers(streams) == [0, 1, 2]
        nursery.cancel_scope.cancel()


class Held(LmdbStorage):
    """A storage that leaves no write transaction before `go_on`, and then maybe fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go_on = threading.Event()
        self.failing = False

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        with super().transaction(write=write) as transaction:
            yield transaction
        if write:
            assert self.go_on.wait(10), "nobody was told that it lasts"
            if self.failing:
                raise StorageError("it cannot be shown")


async def test_who_looks_for_nothing_is_told_as_soon_as_it_lasts(tmp_path: Path) -> None:
    storage = Held(tmp_path)
    streams = Streams(storage, now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    order: list[str] = []
    over = trio.Event()

    def unseen(error: BaseException | None) -> None:
        assert error is None
        order.append("lasts")
        storage.go_on.set()

    def seen(error: BaseException | None) -> None:
        assert error is None
        assert storage.go_on.is_set()
        order.append("seen")
        over.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(commits.run)
        commits.submit(lambda batch: batch.put("t", b"0", b""), seen, later=True)
        commits.submit(lambda batch: batch.put("t", b"1", b""), unseen, unseen=True)
        await over.wait()
        nursery.cancel_scope.cancel()
    assert order == ["lasts", "seen"]
    streams.close()


async def test_what_was_said_to_last_and_cannot_be_shown_ends_the_node(tmp_path: Path) -> None:
    storage = Held(tmp_path)
    storage.failing = True
    commits = GroupCommit(Streams(storage, now_ms=lambda: 7), lambda batch, brief: None)
    told: list[BaseException | None] = []

    def unseen(error: BaseException | None) -> None:
        told.append(error)
        storage.go_on.set()

    with pytest.RaisesGroup(StorageError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(commits.run)
            commits.submit(lambda batch: batch.put("t", b"1", b""), unseen, unseen=True)
    assert told == [None]
    storage.close()


async def test_a_node_that_stops_waits_for_what_is_being_written(tmp_path: Path) -> None:
    streams = Streams(LmdbStorage(tmp_path), now_ms=lambda: 7)
    commits = GroupCommit(streams, lambda batch, brief: None)
    told: list[BaseException | None] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(commits.run)
        commits.submit(appending(streams, Map({N: 1})), told.append)
        nursery.cancel_scope.cancel()
    assert told == [None]
    assert numbers(streams) == [1]
    streams.close()


async def test_who_cannot_bear_a_failure_ends_the_node(tmp_path: Path) -> None:
    storage = LmdbStorage(tmp_path)
    commits = GroupCommit(Streams(storage, now_ms=lambda: 7), lambda batch, brief: None)
    storage.close()

    def done(error: BaseException | None) -> None:
        assert error is not None
        raise error

    with pytest.RaisesGroup(StorageError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(commits.run)
            commits.submit(lambda batch: None, done)


async def test_a_transaction_for_those_who_look_for_nothing_is_brief(tmp_path: Path) -> None:
    streams = Streams(LmdbStorage(tmp_path), now_ms=lambda: 7)
    kinds: list[bool] = []
    commits = GroupCommit(streams, lambda batch, brief: kinds.append(brief))

    async def kind_of(*entries: dict[str, bool]) -> bool:
        """Return whether a transaction of such entries is brief."""
        go_on, left, over = threading.Event(), len(entries), trio.Event()

        def done(error: BaseException | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                over.set()

        commits.submit(lambda batch: _wait(go_on), lambda error: None)
        for number, how in enumerate(entries):  # which wait, and so go together
            later, unseen = how.get("later", False), how.get("unseen", False)
            commits.submit(partial(put, name=str(number)), done, later=later, unseen=unseen)
        go_on.set()
        await over.wait()
        await commits.written()
        return kinds[-1]

    def put(batch: Batch, name: str) -> None:
        batch.put("t", name.encode(), b"")

    unseen, later, other = {"unseen": True}, {"later": True}, dict[str, bool]()
    assert await kind_of(unseen)
    assert await kind_of(unseen, later, unseen)
    assert not await kind_of(unseen, other)
    assert not await kind_of(later, other)
    assert not await kind_of(other)
    streams.close()


async def test_after_a_brief_transaction_comes_one_that_is_not_if_nobody_asks_for_one(
    autojump_clock: trio.abc.Clock, tmp_path: Path
) -> None:
    del autojump_clock
    streams = Streams(LmdbStorage(tmp_path), now_ms=lambda: 7)
    kinds: list[bool] = []
    commits = GroupCommit(streams, lambda batch, brief: kinds.append(brief))

    def tell(over: trio.Event, error: BaseException | None) -> None:
        over.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(commits.run)
        for _ in range(3):
            over = trio.Event()
            commits.submit(lambda batch: batch.put("t", b"", b""), partial(tell, over), unseen=True)
            await over.wait()
            await commits.written()
        assert True in kinds
        counts = []
        for _ in range(5):
            await trio.sleep(2 * COMMIT_LATER_S)
            await commits.written()
            assert kinds[-1] is False
            counts.append(len(kinds))
        nursery.cancel_scope.cancel()
    streams.close()
    assert counts[1:] == counts[-1:] * 4, "then there is nothing left to do"


async def test_where_there_is_no_disk_no_transaction_is_brief() -> None:
    kinds: list[bool] = []
    commits = GroupCommit(
        Streams(MemoryStorage(), now_ms=lambda: 7), lambda batch, brief: kinds.append(brief)
    )
    commits.submit(lambda batch: batch.put("t", b"", b""), lambda error: None, unseen=True)
    assert kinds == [False]


class Failing(LmdbStorage):
    """A storage that lets nobody write any more once it fails."""

    failing = False

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[StorageTransaction]:
        if write and self.failing:
            raise StorageError("no more")
        with super().transaction(write=write) as transaction:
            yield transaction


async def test_who_cannot_bear_a_failure_does_not_keep_it_from_others(tmp_path: Path) -> None:
    storage = Failing(tmp_path)
    commits = GroupCommit(Streams(storage, now_ms=lambda: 7), lambda batch, brief: None)
    go_on, told = threading.Event(), list[str]()

    def unbearable(error: BaseException | None) -> None:
        assert error is not None
        raise error

    async def write() -> None:
        try:
            await commits.commit(lambda batch: None)
        except StorageError as error:
            told.append(str(error))

    with trio.fail_after(10), pytest.RaisesGroup(StorageError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(commits.run)
            commits.submit(lambda batch: _wait(go_on), lambda error: None)
            commits.submit(lambda batch: None, unbearable)
            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            storage.failing = True
            go_on.set()
    assert told == ["no more"]
    storage.close()
