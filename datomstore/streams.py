"""The streams of one node: named append-only logs of transactions, each a database at any time.

Is:     streams by name over one storage, the log record's bytes, and batches that commit several streams and tables at
        once.
Is not: the transactor's rules (`datomstore.transaction`).
Fits:   the daemon holds one `Streams`; an agent's append and its next image go through one `Batch`.

Order of a commit: rows are staged in memory, the log record goes into the storage transaction, the storage commits, the
rows become visible. A crash before the third step leaves nothing, after it everything. One batch at a time; readers hold
database values and wait for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from datomstore._queue import Queue, Request
from datomstore.database import Database
from datomstore.datom import TX_BASE, Datom
from datomstore.errors import DatomstoreError
from datomstore.excision import ExcisionNotAlone
from datomstore.facts import Rows
from datomstore.limits import (
    GROUP_MAX,
    LOG_PAGE,
    MERGE_BACKLOG_ROWS,
    MERGE_ROWS,
    STREAM_NAME_MAX,
)
from datomstore.opening import Opened, opened
from datomstore.record import Row, decode_record, encode_record
from datomstore.roots import (
    EMPTY_ROOT,
    DatabaseName,
    Proof,
    RootUnknown,
    digest,
    next_root,
)
from datomstore.segments import manifest as manifests
from datomstore.segments.kept import Kept
from datomstore.storage import Storage, StorageTransaction
from datomstore.transaction import TxReport, stage
from datomstore.transactor import Staged
from datomstore.upkeep import Upkeep
from datomstore.value import Keyword

Listener = Callable[[TxReport], None]
_SUPERSEDED = "superseded-roots"  # table: stream 0 t of the excision -> first t u64 | roots
_TO_PURGE = "to-purge"  # table: b"" -> anything, while replaced bytes may be on disk still


class StreamUnknown(DatomstoreError):
    """No stream has this name."""

    code = "stream/unknown"


class StreamExists(DatomstoreError):
    """A stream has this name already."""

    code = "stream/exists"


class BatchOpen(DatomstoreError):
    """A batch inside a batch: the outer one would not know what the inner one wrote."""

    code = "stream/batch-open"


class BatchClosed(DatomstoreError):
    """The batch takes no more transactions of this stream: its log has been rewritten."""

    code = "stream/batch-closed"


class StreamNameInvalid(DatomstoreError):
    """No stream can have this name."""

    code = "stream/name"


class TxRecord(NamedTuple):
    """One transaction of a log."""

    t: int
    instant_ms: int
    datoms: list[Datom]


class StreamStats(NamedTuple):
    """How large a stream is."""

    datoms: int  # rows, retractions and transaction facts included
    transactions: int
    bytes: int  # of its log, not compressed
    fresh: int  # datoms that are in memory alone
    segments: int  # runs of datoms on disk
    segment_bytes: int  # of these and of their dictionary


class Stream:
    """One named log and its database."""

    def __init__(self, streams: Streams, name: str, found: Opened) -> None:
        self._streams = streams
        self.name = name
        self.listeners: list[Listener] = []
        self.become(found)

    def become(self, found: Opened) -> None:
        """Take another writer."""
        self.transactor, self.kept, self.log_bytes = found

    def rebase(self, kept: Kept) -> None:
        """Take other segments of the same rows, and let go of what they replace. Only with the write lock held."""
        before = {part.run for part in self.kept.stored} if self.kept is not None else set()
        facts, t = self.transactor.facts, kept.manifest.t
        for part in kept.stored:
            if part.run not in before:
                facts.keep_stored(part.run)
        kept.dictionary.written(kept.pages)
        ends, roots = kept.ends(), kept.roots()
        assert self.transactor.roots is not None, "a stream has roots"
        for end in self.transactor.tx_ends[t:]:
            ends.append(end)
        for root in self.transactor.roots[t:]:
            roots.append(root)
        self.kept = kept
        self.transactor.rebase(ends, roots)

    @property
    def fresh(self) -> int:
        """Return how many committed rows are in no segment."""
        kept = self.kept
        return self.transactor.committed_rows - (kept.manifest.rows if kept is not None else 0)

    @property
    def t(self) -> int:
        """Return the number of committed transactions."""
        ends = self.transactor.tx_ends
        return ends[-1][0] if ends else 0

    def db(self) -> Database:
        """Return the current database value."""
        return self.transactor.database()

    def at(self, name: DatabaseName) -> Database:
        """Return exactly the database that a name names. Raises RootUnknown."""
        database = self.db()
        if name.t > database.basis_t:
            raise RootUnknown(f"stream {self.name!r} ends at {database.basis_t}, before {name.t}")
        found = database.as_of(name.t)
        if found.name != name:
            at = self._streams.excised_at(self.name, name)
            why = "of another log" if at is None else f"from before the excision of {at}"
            raise RootUnknown(f"stream {self.name!r}: {name.root.hex()} at {name.t} is {why}")
        return found

    def prove(self, t: int, name: DatabaseName) -> Proof:
        """Return the proof that transaction t is part of a named database. Raises RootUnknown."""
        database = self.at(name)
        if not 1 <= t <= name.t:
            raise RootUnknown(f"transaction {t} is not one of the first {name.t}")
        assert database.roots is not None, "a stream's value has roots"
        before = DatabaseName.of(database.roots, t - 1).root
        records = self.records(t - 1, name.t)
        _, record = next(records)
        return Proof(t, before, record, tuple(digest(blob) for _, blob in records))

    def transact(
        self, tx_data: Iterable[object], *, meta: Mapping[Keyword, object] | None = None
    ) -> TxReport:
        """Commit a transaction of its own; those of threads that come meanwhile share its commit. Raises TransactionError."""
        return self._streams.transact(self, tx_data, meta)

    def log(self, from_t: int = 0, to_t: int | None = None) -> Iterator[TxRecord]:
        """Yield the committed transactions after `from_t`, up to `to_t`, as the log has them."""
        for t, blob in self.records(from_t, self.t if to_t is None else to_t):
            instant_ms, rows = decode_record(self.name, t, blob)
            yield TxRecord(t, instant_ms, [Datom(e, a, v, TX_BASE + t, op) for e, a, v, op in rows])

    def records(self, from_t: int, to_t: int) -> Iterator[tuple[int, bytes]]:
        """Yield (t, bytes) of the log; no storage transaction stays open between two of them."""
        while from_t < to_t:
            page: list[tuple[int, bytes]] = []
            with self._streams.storage.transaction(write=False) as storage:
                for t, blob in storage.read(self.name, from_t):
                    if t > to_t:
                        break
                    page.append((t, blob))
                    if len(page) == LOG_PAGE:
                        break
            if not page:
                return
            yield from page
            from_t = page[-1][0]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every commit, in the committing thread; return how to stop it."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def stats(self) -> StreamStats:
        """Return how large the stream is."""
        kept = self.kept
        return StreamStats(
            self.transactor.committed_rows,
            self.t,
            self.log_bytes,
            self.fresh,
            len(kept.stored) if kept is not None else 0,
            kept.size if kept is not None else 0,
        )


class Streams:
    """All streams of a node."""

    def __init__(
        self,
        storage: Storage,
        *,
        now_ms: Callable[[], int],
        merge_rows: int | None = None,
        backlog_rows: int = MERGE_BACKLOG_ROWS,
    ) -> None:
        """Take a storage; `merge_rows` rows of a stream in memory become a segment, or MERGE_ROWS where these are mapped."""
        self.storage = storage
        self.now_ms = now_ms
        self.merges = storage.maps or merge_rows is not None
        self._upkeep = Upkeep(self, MERGE_ROWS if merge_rows is None else merge_rows, backlog_rows)
        self._open: dict[str, Stream] = {}
        self.write_lock = threading.RLock()
        self._batch_thread: int | None = None  # that has a batch open
        self._queue = Queue()
        with storage.transaction(write=False) as transaction:
            self._names = set(transaction.streams())
            to_purge = transaction.get(_TO_PURGE, b"") is not None
        if to_purge:
            self.purge()

    def names(self) -> list[str]:
        """Return the names of all streams."""
        return sorted(self._names | set(self._open))

    def exists(self, name: str) -> bool:
        """Return whether there is such a stream."""
        return name in self._open or name in self._names

    def get(self, name: str) -> Stream:
        """Return a stream; its log is read on first use. Raises StreamUnknown, StorageCorrupt."""
        if not self.exists(name):
            raise StreamUnknown(f"no stream {name!r}")
        return self.open(name)

    def create(self, name: str) -> Stream:
        """Make a stream; it is kept from its first transaction on. Raises StreamExists."""
        if self.exists(name):
            raise StreamExists(f"stream {name!r} exists already")
        return self.open(name)

    def open(self, name: str) -> Stream:
        """Return a stream, made if there is none."""
        found = self._open.get(name)
        if found is not None:
            return found
        _check_name(name)
        with self.write_lock:
            if name not in self._open:
                self._open[name] = self._replay(name)
            return self._open[name]

    def _replay(self, name: str) -> Stream:
        return Stream(self, name, opened(self.storage, name, self._backlog()))

    def _backlog(self) -> int | None:
        """Return how many rows may be in memory when a stream is opened; None if none become segments."""
        return max(self._upkeep.rows, MERGE_BACKLOG_ROWS) if self.merges else None

    def reload(self, stream: Stream) -> None:
        """Read a stream anew after its log was rewritten; database values that are held stay as they were."""
        stream.become(opened(self.storage, stream.name, self._backlog()))

    # -- segments --

    def merge(self, stream: Stream, *, whole: bool = False) -> None:
        """Write the rows of a stream that are in memory as segments; `whole` makes these as few as can be. Raises StorageError."""
        if self._batch_thread == threading.get_ident():
            raise BatchOpen("this thread has a batch open, and a merge commits one of its own")
        self._upkeep.merge(stream, 1, whole=whole)

    @property
    def merge_failure(self) -> Exception | None:
        """Return why the newest merge in the background failed, None if it did not. It is tried again when there is more."""
        return self._upkeep.failure

    def rebuild(self, name: str) -> None:
        """Drop a stream's segments, whatever is wrong with them, and make them anew from its log. Raises StorageError."""
        _check_name(name)
        with self.write_lock:
            with self.storage.transaction(write=True) as storage:
                manifests.save(storage, name, None)
            found = self._open.get(name)
            if found is not None:
                self.reload(found)
        self.merge(self.get(name))

    def settle(self) -> None:
        """Wait until nothing is merged."""
        self._upkeep.settle()

    def close(self) -> None:
        """End the merging, and let go of the storage."""
        self._upkeep.close()
        self.storage.close()

    def purge(self) -> bool:
        """Remove the bytes of excised facts from the storage; an excision does so itself. False if readers are in the way."""
        with self.write_lock:
            if not self.storage.purge():
                return False
            with self.storage.transaction(write=True) as storage:
                storage.delete(_TO_PURGE, b"")
            return True

    def excised_at(self, stream: str, name: DatabaseName) -> int | None:
        """Return the transaction whose excision made a name of a stream one of the past."""
        with self.storage.transaction(write=False) as storage:
            for key, entry in storage.scan(_SUPERSEDED, stream.encode() + b"\0"):
                place = name.t - int.from_bytes(entry[:8], "big")
                if place >= 0 and entry[8 + 32 * place : 40 + 32 * place] == name.root:
                    return int.from_bytes(key[-8:], "big")
        return None

    def committed(self, stream: Stream) -> None:
        """A stream has grown."""
        if self.merges:
            self._upkeep.grown(stream)

    def transact(
        self, stream: Stream, tx_data: Iterable[object], meta: Mapping[Keyword, object] | None
    ) -> TxReport:
        """Commit a transaction: at once if nobody else writes, else together with those of others."""
        items = list(tx_data)
        if self.merges:
            self._upkeep.keep_up(stream)
        if not self._queue.led and self.write_lock.acquire(blocking=False):
            try:
                report = self._commit_alone(stream, items, meta)
            finally:
                self.write_lock.release()
            if report is not None:
                return report
        return self._commit_together(stream, items, meta)

    def _commit_alone(
        self, stream: Stream, items: list[object], meta: Mapping[Keyword, object] | None
    ) -> TxReport | None:
        """Commit a transaction of its own; None, and nothing done, if it needs a batch."""
        if self._batch_thread is not None:
            raise BatchOpen("this thread has a batch open already; use that one")
        transactor = stream.transactor
        staged = stage(transactor, items, self.now_ms(), meta)
        if staged.excised is not None:
            transactor.rollback(staged)
            return None
        try:
            blob = transactor.record(staged)
            assert staged.root is not None, "a record has a root"
            self.storage.append(stream.name, staged.t - 1, blob, staged.root)
        except BaseException:
            transactor.rollback(staged)
            raise
        report = TxReport.of(transactor, staged)
        transactor.commit(staged)
        stream.log_bytes += len(blob)
        self.committed(stream)
        if stream.listeners:
            for listener in tuple(stream.listeners):
                listener(report)
        return report

    def _commit_together(
        self, stream: Stream, items: list[object], meta: Mapping[Keyword, object] | None
    ) -> TxReport:
        """Commit a transaction; one thread at a time leads, and commits what all have brought until then.

        The lead is passed to the first that has come meanwhile: the others wait for their result, not for the lock.
        """
        if self._batch_thread == threading.get_ident():
            raise BatchOpen("this thread has a batch open already; use that one")
        queue, request = self._queue, Request(stream, items, meta)
        lead = queue.enter(request)
        if not lead and self.write_lock.acquire(blocking=False):  # this thread may hold it
            try:
                self._commit_waiting(request)
            finally:
                self.write_lock.release()
        while True:
            if lead:
                try:
                    with self.write_lock:
                        self._commit_waiting(request)
                finally:
                    queue.pass_lead()
            lead, request.leads = request.leads, False
            if request.done and not lead:
                break
            if not lead:
                self._wait(request)
        if request.error is not None:
            raise request.error
        assert request.report is not None, "a request that is done has a report or an error"
        return request.report

    def _wait(self, request: Request) -> None:
        try:
            self._queue.wait(request)
        except BaseException:  # interrupted: what is not committed yet will not be
            self._queue.leave(request)
            if request.leads:
                self._queue.pass_lead()
            raise

    def _commit_waiting(self, mine: Request) -> None:
        """Commit what waits, until one's own request is done."""
        while not mine.done:
            group = self._queue.take(GROUP_MAX)
            try:
                self._commit_group(group, mine)
            finally:
                self._queue.done(group, mine)

    def _commit_group(self, group: list[Request], mine: Request) -> None:
        """Commit transactions of several writers together; one that is refused does not touch the others."""
        reports: list[tuple[Request, TxReport]] = []
        again: list[Request] = []  # those that cannot share a commit with the others
        try:
            with self.batch() as batch:
                for request in group:
                    try:
                        report = batch.transact(request.stream, request.items, meta=request.meta)
                        reports.append((request, report))
                    except (BatchClosed, ExcisionNotAlone):
                        again.append(request)
                    except Exception as error:  # it is the writer's, who raises it
                        if batch.broken:
                            raise
                        request.fail(error)
        except BaseException as error:
            for request, report in reports:
                if report.t <= request.stream.t:  # committed: a listener failed
                    request.finish(report)
            for request in group:
                if not request.done:
                    request.fail(error)
            if mine.error is None:
                raise
            return
        if again:
            self._queue.give_back(again)
        for request, report in reports:
            request.finish(batch.final(report))

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Open one storage transaction over streams and tables; all of it happens when the block ends, or nothing."""
        with self.write_lock:
            if self._batch_thread is not None:
                raise BatchOpen("this thread has a batch open already; use that one")
            batch: Batch | None = None
            self._batch_thread = threading.get_ident()
            try:
                with self.storage.transaction(write=True) as storage:
                    batch = Batch(self, storage)
                    yield batch
                    batch.seal()
            except BaseException:
                if batch is not None:
                    batch.rollback()
                raise
            finally:
                self._batch_thread = None
            batch.commit()


def _check_name(name: str) -> None:
    """Refuse names that could not be a part of a key. Raises StreamNameInvalid."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise StreamNameInvalid(f"stream name {name!r} is not UTF-8") from None
    if not 0 < size <= STREAM_NAME_MAX or "\0" in name:
        raise StreamNameInvalid(
            f"stream name {name[:40]!r}: 1 to {STREAM_NAME_MAX} bytes, none of them zero"
        )


class _Part(NamedTuple):
    """One staged transaction of a batch."""

    stream: Stream
    staged: Staged
    size: int  # bytes of its record
    report: TxReport


class Batch:
    """What commits together."""

    def __init__(self, streams: Streams, storage: StorageTransaction) -> None:
        self._streams = streams
        self._storage = storage
        self._parts: list[_Part] = []
        self._roots_before: dict[str, bytes | None] = {}
        self._excising: set[str] = set()
        self.broken = False  # the storage failed in the middle: nothing of the batch can commit
        self.put = storage.put
        self.get = storage.get
        self.delete = storage.delete
        self.scan = storage.scan

    def transact(
        self,
        stream: Stream,
        tx_data: Iterable[object],
        *,
        meta: Mapping[Keyword, object] | None = None,
    ) -> TxReport:
        """Stage a transaction; its report's `db_after` is complete once the batch is committed. Raises TransactionError."""
        self._check_open(stream)
        return self._keep(stream, stage(stream.transactor, tx_data, self._streams.now_ms(), meta))

    def restore(self, stream: Stream, t: int, instant_ms: int, rows: Sequence[Row]) -> TxReport:
        """Stage a transaction as another log has it: number, instant, ids and all. Raises TransactionError."""
        self._check_open(stream)
        return self._keep(stream, stream.transactor.stage_rows(t, instant_ms, rows))

    def _check_open(self, stream: Stream) -> None:
        if stream.name in self._excising:
            raise BatchClosed(f"an excision is the last transaction of stream {stream.name!r}")

    def _keep(self, stream: Stream, staged: Staged) -> TxReport:
        """Append the record of a staged transaction."""
        transactor = stream.transactor
        try:
            blob = transactor.record(staged)
        except BaseException:
            transactor.rollback(staged)
            raise
        try:
            self._append(stream, staged, blob)
        except BaseException:
            self.broken = True
            transactor.rollback(staged)
            raise
        report = TxReport.of(transactor, staged)
        self._parts.append(_Part(stream, staged, len(blob), report))
        return report

    def _append(self, stream: Stream, staged: Staged, blob: bytes) -> None:
        if stream.name not in self._roots_before:
            self._roots_before[stream.name] = self._storage.root(stream.name)
        self._storage.append(stream.name, staged.t - 1, blob)
        if staged.excised is not None:
            self._rewrite(stream, staged)

    def _rewrite(self, stream: Stream, staged: Staged) -> None:
        """Replace the records that have excised rows, and find the roots anew from the first of them on."""
        transactor, gone = stream.transactor, staged.excised
        assert gone is not None, "an excision has rows, if none"
        self._excising.add(stream.name)
        self._storage.put(_TO_PURGE, b"", b"1")
        manifests.save(self._storage, stream.name, None)  # segments are made anew
        assert transactor.roots is not None, "a stream has roots"
        first, roots = 0, list(transactor.roots)
        root = EMPTY_ROOT
        keep = np.ones(staged.end, np.bool_)
        keep[gone] = False
        start = 0
        for t, end in [*transactor.tx_ends, (staged.t, staged.end)]:
            if not keep[start:end].all() and not first:
                first, root = t, DatabaseName.of(roots, t - 1).root
            if first:
                root = self._rewritten(stream, t, root, start + np.flatnonzero(keep[start:end]))
            start = end
        if first:
            transactor.set_root(staged, root)
            key = stream.name.encode() + b"\0" + staged.t.to_bytes(8, "big")
            self._storage.put(
                _SUPERSEDED, key, first.to_bytes(8, "big") + b"".join(roots[first - 1 :])
            )

    def _rewritten(self, stream: Stream, t: int, root: bytes, rows: Rows) -> bytes:
        """Write a transaction with only some of its rows, if it has others; return the root after it."""
        (_, blob) = next(iter(self._storage.read(stream.name, t - 1)))
        instant_ms, kept = decode_record(stream.name, t, blob)
        if len(kept) != len(rows):
            blob = encode_record(instant_ms, stream.transactor.facts, rows)
            self._storage.replace(stream.name, t, blob)
        return next_root(root, digest(blob))

    def seal(self) -> None:
        """Write the roots."""
        last = {part.stream.name: part.staged for part in self._parts}
        for name, staged in last.items():
            assert staged.root is not None, "a staged transaction has bytes"
            self._storage.cas_root(name, self._roots_before[name], staged.root)

    def rollback(self) -> None:
        """Take back what was staged, newest first."""
        for part in reversed(self._parts):
            part.stream.transactor.rollback(part.staged)
        self._parts.clear()

    def commit(self) -> None:
        """Show what was staged and tell the listeners."""
        for part in self._parts:
            part.stream.transactor.commit(part.staged)
            part.stream.log_bytes += part.size
        if self._excising:
            for name in sorted(self._excising):
                self._streams.reload(self._streams.get(name))
            self._streams.purge()
        for stream in {id(part.stream): part.stream for part in self._parts}.values():
            self._streams.committed(stream)
        for part in self._parts:
            for listener in tuple(part.stream.listeners):
                listener(self.final(part.report))

    def final(self, report: TxReport) -> TxReport:
        """Return the report of a committed transaction: after an excision the facts are others."""
        if not self._excising:
            return report
        for part in self._parts:
            if part.report is report and part.stream.name in self._excising:
                database = part.stream.db()
                datoms = [datom for datom in report.datoms if datom.tx == report.tx]
                return report.with_(db_before=database, db_after=database, datoms=datoms)
        return report
