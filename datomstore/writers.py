"""Writers that share commits: a transaction alone when nobody else writes, otherwise with all that have come meanwhile.

Is:     who writes, and when: the calling thread where it can, and a thread of its own for what waits or was submitted.
Is not: what a transaction means (`datomstore.transaction`), or what else commits with it (`datomstore.batch`).
Fits:   `Stream.transact` waits here for its commit, `Stream.submit` does not. A wait for the disk serves everyone.
Source: DeWitt et al., "Implementation techniques for main memory database systems" (1984), section 5.2.

Transactions of a group are staged in the order they came; one that is refused leaves nothing, and does not concern the
others. Then their records go into one storage transaction, and when that has happened all become visible, the listeners
hear of each, and each writer. If the storage fails, all of the group are taken back, newest first, and fail. An excision
rewrites its log, so it is alone in its commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from datomstore._queue import Commit, Queue
from datomstore.batch import Batch, BatchOpen
from datomstore.errors import DatomstoreError
from datomstore.excision import ExcisionNotAlone
from datomstore.limits import GROUP_MAX, WAITING_MAX, WRITER_IDLE_S
from datomstore.storage import StorageError
from datomstore.transaction import TxReport, stage
from datomstore.transactor import Staged
from datomstore.value import Keyword

if TYPE_CHECKING:
    from datomstore.streams import Stream, Streams


class WritersBusy(DatomstoreError):
    """More transactions wait for their commit than memory is set aside for: submit less at a time."""

    code = "stream/busy"


class WriteLock:
    """A lock that one thread may take twice. Who waits for it has it before who comes back in turn."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._turn = threading.Lock()
        # Take the lock if it is free, or this thread's already; return whether it was.
        self.try_acquire = partial(self._lock.acquire, blocking=False)
        self.release = self._lock.release

    def acquire_in_turn(self) -> None:
        """Take the lock after those that wait for it. Not for a thread that has it."""
        with self._turn:
            self._lock.acquire()

    def __enter__(self) -> None:
        if not self.try_acquire():
            self.acquire_in_turn()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Part(NamedTuple):
    """A transaction of a group, staged."""

    commit: Commit
    staged: Staged
    blob: bytes  # its record


class Writers:
    """All writers of a node's streams."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._lock = streams.write_lock
        self._queue = Queue()
        self.batch_thread: int | None = None  # that has a batch open
        self._called = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    # -- one transaction --

    def transact(
        self, stream: Stream, tx_data: Iterable[object], meta: Mapping[Keyword, object] | None
    ) -> TxReport:
        """Commit a transaction: at once if nobody else writes, else together with those of others."""
        items = list(tx_data)
        self._streams.keep_up(stream)
        if not self._queue.led and self._lock.try_acquire():
            try:
                report = self._commit_alone(stream, items, meta)
            finally:
                self._lock.release()
            if report is not None:
                return report
        self.refuse_inside_batch()
        commit = Commit(stream, items, meta, sleeps=True)
        self._enter(commit)
        if self._lock.try_acquire():  # it is free by now, or this thread's: a listener writes
            try:
                while not commit.over:
                    self._commit_waiting()
            finally:
                self._lock.release()
        else:
            self._wait(commit)
        return commit.result()

    def _commit_alone(
        self, stream: Stream, items: list[object], meta: Mapping[Keyword, object] | None
    ) -> TxReport | None:
        """Commit a transaction of its own; None, and nothing done, if it needs a batch."""
        self.refuse_inside_batch()
        transactor = stream.transactor
        staged = stage(transactor, items, self._streams.now_ms(), meta)
        if staged.excised is not None:
            transactor.rollback(staged)
            return None
        try:
            blob = transactor.record(staged)
            assert staged.root is not None, "a record has a root"
            self._streams.storage.append(stream.name, staged.t - 1, blob, staged.root)
        except BaseException:
            transactor.rollback(staged)
            raise
        report = TxReport.of(transactor, staged)
        transactor.commit(staged)
        stream.log_bytes += len(blob)
        self._streams.committed(stream)
        if stream.listeners:
            for listener in tuple(stream.listeners):
                listener(report)
        return report

    def _wait(self, commit: Commit) -> None:
        try:
            self._queue.wait(commit)
        except BaseException:  # interrupted: what is not committed yet will not be
            self._queue.leave(commit)
            raise

    # -- what waits --

    def submit(
        self, stream: Stream, tx_data: Iterable[object], meta: Mapping[Keyword, object] | None
    ) -> Commit:
        """Have a transaction committed by a thread of its own. Raises WritersBusy, StorageError when closed."""
        if self._queue.count >= WAITING_MAX:
            raise WritersBusy(f"{WAITING_MAX:,} transactions wait for their commit")
        self.refuse_inside_batch()
        commit = Commit(stream, list(tx_data), meta)
        self._enter(commit)
        return commit

    def _enter(self, commit: Commit) -> None:
        """Let a transaction wait, and call the thread that commits if it is not at work."""
        if not self._queue.enter(commit):
            return
        with self._called:
            try:
                if self._closed:
                    raise StorageError("the streams have been closed")
                if self._thread is None:
                    thread = threading.Thread(
                        target=self._work, name="datomstore-writer", daemon=True
                    )
                    thread.start()
                    self._thread = thread
                self._called.notify()
            except BaseException:
                self._queue.leave(commit)
                self._queue.rest()
                raise

    def _work(self) -> None:
        """Commit what waits, until nothing has come for a while."""
        while self._called_for():
            for stream in self._queue.streams():
                self._streams.keep_up(stream)
            self._lock.acquire_in_turn()
            try:
                self._commit_waiting()
            finally:
                self._lock.release()

    def _called_for(self) -> bool:
        """Return whether there is something to commit, or soon will be."""
        with self._called:
            if self._queue.rest():
                self._called.wait_for(lambda: self._closed or self._queue.led, WRITER_IDLE_S)
            if self._queue.rest():
                self._thread = None
                return False
            return True

    def close(self) -> None:
        """Commit what waits, and take nothing more."""
        with self._called:
            self._closed = True
            self._called.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # -- a group --

    def _commit_waiting(self) -> None:
        """Commit what waits; with the write lock held."""
        group = self._queue.take(GROUP_MAX)
        try:
            self._commit_group(group)
        finally:
            self._queue.done(group)

    def _commit_group(self, group: list[Commit]) -> None:
        """Commit transactions of several writers; afterwards each has its report or its error."""
        waiting = deque(group)
        parts: list[_Part] = []
        while waiting:
            try:
                self._stage(waiting, parts)
                self._store(parts)
            except BaseException as error:
                _take_back(parts)
                if not isinstance(error, Exception):
                    for commit in group:
                        if not commit.over:
                            commit.fail(StorageError("the commit was interrupted"))
                    raise
                for part in parts:
                    part.commit.fail(error)
            else:
                self._show(parts)
            parts.clear()
            if waiting:
                self._commit_in_batch(waiting.popleft())

    def _stage(self, waiting: deque[Commit], parts: list[_Part]) -> None:
        """Stage what waits, up to the first excision."""
        now_ms = self._streams.now_ms()
        while waiting:
            commit = waiting[0]
            transactor = commit.stream.transactor
            try:
                staged = stage(transactor, commit.items, now_ms, commit.meta)
            except ExcisionNotAlone:
                return
            except Exception as error:  # it is the writer's, who raises it
                commit.fail(error)
            else:
                if staged.excised is not None:
                    transactor.rollback(staged)
                    return
                try:
                    parts.append(_Part(commit, staged, transactor.record(staged)))
                except Exception as error:
                    transactor.rollback(staged)
                    commit.fail(error)
            waiting.popleft()

    def _store(self, parts: list[_Part]) -> None:
        """Write the records of staged transactions."""
        of_streams: dict[Stream, list[_Part]] = {}
        for part in parts:
            of_streams.setdefault(part.commit.stream, []).append(part)
        if not of_streams:
            return
        with self._streams.storage.transaction(write=True) as storage:
            for stream, its in of_streams.items():
                roots, root = stream.transactor.roots, its[-1].staged.root
                assert root is not None, "a record has a root"
                storage.extend(stream.name, its[0].staged.t - 1, [part.blob for part in its])
                storage.cas_root(stream.name, roots[-1] if len(roots) else None, root)

    def _show(self, parts: list[_Part]) -> None:
        """Show what is on disk, and tell the listeners."""
        for commit, staged, blob in parts:
            stream = commit.stream
            commit.finish(TxReport.of(stream.transactor, staged))
            stream.transactor.commit(staged)
            stream.log_bytes += len(blob)
        for stream in dict.fromkeys(part.commit.stream for part in parts):
            self._streams.committed(stream)
            if stream.listeners:
                self._tell(stream, parts)

    def _tell(self, stream: Stream, parts: list[_Part]) -> None:
        for commit, _, _ in parts:
            if commit.stream is stream:
                try:
                    for listener in tuple(stream.listeners):
                        listener(commit.report)
                except Exception as error:  # as if it had committed alone
                    commit.fail(error)

    def _commit_in_batch(self, commit: Commit) -> None:
        """Commit a transaction that cannot share its commit."""
        try:
            with self._streams.batch() as batch:
                report = batch.transact(commit.stream, commit.items, meta=commit.meta)
            commit.finish(batch.final(report))
        except BaseException as error:
            commit.fail(error)
            if not isinstance(error, Exception):
                raise

    # -- batches --

    def refuse_inside_batch(self) -> None:
        """Refuse a commit inside a batch, whose thread this is. Raises BatchOpen."""
        if self.batch_thread is not None and self.batch_thread == threading.get_ident():
            raise BatchOpen("this thread has a batch open already; use that one")

    def begin_batch(self) -> None:
        """Let this thread alone write, in one batch. Raises BatchOpen."""
        self.refuse_inside_batch()
        if not self._lock.try_acquire():
            self._lock.acquire_in_turn()
        self.batch_thread = threading.get_ident()


class OpenBatch:
    """A batch, as long as its block. Once it has `happened` it lasts, whatever the block still raises."""

    __slots__ = ("_batch", "_storage", "_streams", "_writers", "happened")
    _batch: Batch

    def __init__(self, streams: Streams, writers: Writers) -> None:
        self._streams = streams
        self._writers = writers
        self.happened = False

    def __enter__(self) -> Batch:
        self._writers.begin_batch()
        try:
            self._storage = self._streams.storage.transaction(write=True)
            self._batch = Batch(self._streams, self._storage.__enter__())
        except BaseException:
            self._writers.batch_thread = None
            self._streams.write_lock.release()
            raise
        return self._batch

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        batch = self._batch
        try:
            try:
                self._storage.__exit__(kind, error, trace)
                self.happened = kind is None
            finally:
                if not self.happened:
                    batch.rollback()
                self._writers.batch_thread = None  # a listener may open another one
            if self.happened:
                batch.commit()
        finally:
            self._streams.write_lock.release()


def _take_back(parts: list[_Part]) -> None:
    for part in reversed(parts):
        part.commit.stream.transactor.rollback(part.staged)
