"""A stream as it is opened: its segments mapped, and what the log has after them replayed.

Is:     from storage to a writer; a log without segments, or with too much after them, gets them on the way.
Is not: the streams of a node (`datomstore.streams`), nor the merging that goes on afterwards (`datomstore.upkeep`).
Fits:   what is replayed takes memory, so at most a backlog of rows is at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore._index import Ended
from datomstore.appended import append
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import Ids, intern
from datomstore.limits import LOG_PAGE, REPLAY_ROWS
from datomstore.record import Row, decode_record
from datomstore.roots import EMPTY_ROOT, digest, next_root
from datomstore.schema import Schema
from datomstore.segments import kept as segments
from datomstore.segments import manifest as manifests
from datomstore.segments.kept import Kept
from datomstore.segments.merge import Growth, grown
from datomstore.segments.times import Ends, Roots
from datomstore.storage import Storage, StorageCorrupt
from datomstore.transactor import Transactor, schema_rows, schemas_of


class Opened(NamedTuple):
    """A stream's writer, its segments, and the bytes of its log."""

    transactor: Transactor
    kept: Kept | None
    log_bytes: int


def opened(storage: Storage, name: str, backlog: int | None) -> Opened:
    """Open a stream; rows beyond `backlog` become segments. Nobody writes meanwhile. Raises StorageCorrupt."""
    with storage.transaction(write=False) as transaction:
        kept = segments.opened(storage, transaction, name)
        wanted = transaction.root(name)
    opening = _Opening(storage, name, kept)
    for page in _pages(storage, name, opening.t):
        opening.replay(page)
        if backlog is not None and opening.fresh >= backlog:
            opening.write()
    opening.flush()
    if wanted is not None and wanted != opening.root:
        raise StorageCorrupt(f"stream {name!r}: its transactions do not lead to its root")
    return opening.finished()


def _pages(storage: Storage, name: str, t: int) -> Iterator[list[tuple[int, bytes]]]:
    """Yield (t, bytes) of a log in pages; no storage transaction stays open between two."""
    while True:
        page: list[tuple[int, bytes]] = []
        with storage.transaction(write=False) as transaction:
            for record in transaction.read(name, t):
                page.append(record)
                if len(page) == LOG_PAGE:
                    break
        if not page:
            return
        yield page
        t = page[-1][0]


class _Opening:
    """Rows of a stream on their way into its Facts."""

    def __init__(self, storage: Storage, name: str, kept: Kept | None) -> None:
        self._storage = storage
        self._name = name
        self._kept = kept
        self.facts = _facts_of(kept)
        self._ends = kept.ends() if kept is not None else Ends()
        self._roots = kept.roots() if kept is not None else Roots()
        self._schema_rows = kept.schema_rows() if kept is not None else np.empty(0, np.int64)
        self._log_bytes = kept.manifest.log_bytes if kept is not None else 0
        self.root = kept.manifest.root if kept is not None else EMPTY_ROOT
        self.t = len(self._ends)
        self._waiting: list[Sequence[Row]] = []  # of transactions that are not in the facts yet
        self._rows_waiting = 0

    @property
    def fresh(self) -> int:
        """Return how many rows are in no segment."""
        stored = self._kept.manifest.rows if self._kept is not None else 0
        return self.facts.count + self._rows_waiting - stored

    def replay(self, page: list[tuple[int, bytes]]) -> None:
        """Take transactions of the log."""
        for t, blob in page:
            self.root = next_root(self.root, digest(blob))
            self._log_bytes += len(blob)
            self._roots.append(self.root)
            rows = decode_record(self._name, t, blob)[1]
            self._waiting.append(rows)
            self._rows_waiting += len(rows)
            self.t = t
            if self._rows_waiting >= REPLAY_ROWS:
                self.flush()

    def flush(self) -> None:
        """Put the rows that wait into the facts."""
        start = self.facts.count
        if not self._waiting:
            return
        first_t = len(self._ends) + 1
        for number, rows in enumerate(self._waiting, first_t):
            before = self._ends[-1][1] if number > 1 else 0
            self._ends.append((number, before + len(rows)))
        columns = _columns([row for rows in self._waiting for row in rows])
        if start:
            append(self.facts, self._ends[first_t - 1 :], *columns)
        else:
            t_ids = (TX_BASE + first_t + np.arange(len(self._waiting))) << 1
            t = np.repeat(t_ids, [len(rows) for rows in self._waiting])
            self.facts = Facts.of_columns(*columns[:3], t, columns[3])
        self.facts.distinct = True
        self._waiting = []
        self._rows_waiting = 0
        more = schema_rows(self.facts, start)
        self._schema_rows = np.concatenate((self._schema_rows, more))

    def write(self) -> None:
        """Make segments of what is in memory."""
        self.flush()
        kept = self._kept
        before = len(kept.ends()) if kept is not None else 0
        growth = Growth(
            kept.manifest.rows if kept is not None else 0,
            before + 1,
            np.array([end for _, end in self._ends[before:]], np.int64),
            b"".join(self._roots[before:]),
            self._log_bytes,
        )
        made = grown(self._storage, self.facts, kept, growth)
        with self._storage.transaction(write=True) as transaction:
            manifests.save(transaction, self._name, made.manifest)
        made.dictionary.written(made.pages)
        self._kept = made
        self.facts = _facts_of(made)
        self._ends, self._roots = made.ends(), made.roots()

    def finished(self) -> Opened:
        """Return what was opened."""
        schemas: list[tuple[int, Schema]] = schemas_of(self.facts, self._schema_rows)
        transactor = Transactor(self.facts, schemas, self._ends, roots=self._roots)
        return Opened(transactor, self._kept, self._log_bytes)


def _facts_of(kept: Kept | None) -> Facts:
    if kept is None:
        return Facts()
    ended = Ended()
    rows, by = kept.ended()
    ended.set_many(by, by)
    ended.set_many(rows, by)
    return Facts.of_runs([part.run for part in kept.stored], ended, kept.attributes)


def _columns(rows: list[Row]) -> tuple[Ids, Ids, Ids, NDArray[np.bool_]]:
    """Return e, a, v (ids) and added of rows."""
    count = len(rows)
    return (
        np.fromiter((row[0] << 1 for row in rows), np.int64, count),
        np.fromiter((intern(row[1]) for row in rows), np.int64, count),
        np.fromiter((intern(row[2]) for row in rows), np.int64, count),
        np.fromiter((row[3] for row in rows), np.bool_, count),
    )
