"""Transactions of several streams, and tables, that commit together.

Is:     what one storage transaction holds: records, roots, entries of tables; and the undoing of all of it.
Is not: who may write, and when (`datomstore.writers`).
Fits:   an agent's append and its next image go through one Batch; `Streams.batch` opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datomstore.errors import DatomstoreError
from datomstore.facts import Rows
from datomstore.intern import value_of
from datomstore.record import Row, decode_record, encode_record
from datomstore.roots import EMPTY_ROOT, DatabaseName, digest, next_root
from datomstore.segments import manifest as manifests
from datomstore.storage import StorageTransaction
from datomstore.transaction import TxReport, stage
from datomstore.transactor import Staged
from datomstore.value import Keyword

if TYPE_CHECKING:
    from datomstore.filtered import Filter
    from datomstore.streams import Stream, Streams
    from datomstore.transactor import Transactor

SUPERSEDED = "superseded-roots"  # table: stream 0 t of the excision -> first t u64 | roots
TO_PURGE = "to-purge"  # table: b"" -> anything, while replaced bytes may be on disk still


class BatchOpen(DatomstoreError):
    """A batch inside a batch: the outer one would not know what the inner one wrote."""

    code = "stream/batch-open"


class BatchClosed(DatomstoreError):
    """The batch takes no more transactions of this stream: its log has been rewritten."""

    code = "stream/batch-closed"


class _Part(NamedTuple):
    """One staged transaction of a batch."""

    stream: Stream
    staged: Staged
    size: int  # bytes of its record
    report: TxReport


_STREAM = attrgetter("stream")


class Made(NamedTuple):
    """What a transaction makes, beside what is said of the transaction itself: its instant and `meta`."""

    facts: int  # that it adds, or takes back and removes, whichever are more
    attributes: frozenset[Keyword]  # of all of these

    @staticmethod
    def of(transactor: Transactor, staged: Staged, own: int) -> Made:
        """Return what a staged transaction makes, whose first rows are its own."""
        first, excised = staged.start + own, staged.excised
        gone = [] if excised is None else transactor.facts.a[excised].tolist()
        ended = len(staged.ends)
        found = {*transactor.attributes_of(first, staged.end), *gone}
        return Made(
            max(staged.end - first - ended, ended + len(gone)),
            frozenset(value_of(number) for number in found),  # type: ignore[misc]  # an attribute is a keyword
        )


Check = Callable[[Made], None]


class Batch:
    """What commits together."""

    def __init__(self, streams: Streams, storage: StorageTransaction) -> None:
        self._streams = streams
        self._storage = storage
        self._parts: list[_Part] = []
        self._excising: set[str] = set()
        self.broken = False  # the storage failed in the middle: nothing of the batch can commit
        self.put = storage.put
        self.get = storage.get
        self.delete = storage.delete
        self.scan = storage.scan
        self.when_lasting = storage.when_lasting

    def transact(
        self,
        stream: Stream,
        tx_data: Iterable[object],
        *,
        meta: Mapping[Keyword, object] | None = None,
        only: Filter | None = None,
        check: Check | None = None,
    ) -> TxReport:
        """Stage a transaction; its report's `db_after` is complete once the batch is committed. Raises TransactionError.

        With `only`, also AttributeForbidden: see `transaction.stage`. What `check` raises takes it back.
        """
        if self._excising:
            self._check_open(stream)
        staged = stage(stream.transactor, tx_data, self._streams.now_ms(), meta, only)
        if check is not None:
            try:
                check(Made.of(stream.transactor, staged, 1 + len(meta or ())))
            except BaseException:
                stream.transactor.rollback(staged)
                raise
        return self._keep(stream, staged)

    def restore(self, stream: Stream, t: int, instant_ms: int, rows: Sequence[Row]) -> TxReport:
        """Stage a transaction as another log has it: number, instant, ids and all. Raises TransactionError."""
        if self._excising:
            self._check_open(stream)
        return self._keep(stream, stream.transactor.stage_rows(t, instant_ms, rows))

    def _check_open(self, stream: Stream) -> None:
        if stream.name in self._excising:
            raise BatchClosed(f"an excision is the last transaction of stream {stream.name!r}")

    def _keep(self, stream: Stream, staged: Staged) -> TxReport:
        """Append the record of a staged transaction."""
        transactor = stream.transactor
        try:
            before = transactor.root if staged.t > 1 else None
            blob = transactor.record(staged)
        except BaseException:
            transactor.rollback(staged)
            raise
        try:
            self._append(stream, staged, before, blob)
        except BaseException:
            self.broken = True
            transactor.rollback(staged)
            raise
        report = TxReport.of(transactor, staged)
        self._parts.append(_Part(stream, staged, len(blob), report))
        return report

    def _append(self, stream: Stream, staged: Staged, before: bytes | None, blob: bytes) -> None:
        """Write a record and the root after it."""
        self._storage.append(stream.name, staged.t - 1, blob)
        if staged.excised is not None:
            self._rewrite(stream, staged)
        assert staged.root is not None, "a record has a root"
        self._storage.cas_root(stream.name, before, staged.root)

    def _rewrite(self, stream: Stream, staged: Staged) -> None:
        """Replace the records that have excised rows, and find the roots anew from the first of them on."""
        transactor, gone = stream.transactor, staged.excised
        assert gone is not None, "an excision has rows, if none"
        self._excising.add(stream.name)
        self._storage.put(TO_PURGE, b"", b"1")
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
                SUPERSEDED, key, first.to_bytes(8, "big") + b"".join(roots[first - 1 :])
            )

    def _rewritten(self, stream: Stream, t: int, root: bytes, rows: Rows) -> bytes:
        """Write a transaction with only some of its rows, if it has others; return the root after it."""
        (_, blob) = next(iter(self._storage.read(stream.name, t - 1)))
        instant_ms, kept = decode_record(stream.name, t, blob)
        if len(kept) != len(rows):
            blob = encode_record(instant_ms, stream.transactor.facts, rows)
            self._storage.replace(stream.name, t, blob)
        return next_root(root, digest(blob))

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
            self._streams.try_purge()
        for stream in dict.fromkeys(map(_STREAM, self._parts)):
            self._streams.committed(stream)
        for part in self._parts:
            if part.stream.listeners:
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
