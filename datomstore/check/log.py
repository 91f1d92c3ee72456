"""A log against its checksums and its root, and the columns of a stream against the log.

Is:     two readings from the first transaction to the last, in portions.
Is not: the rules of facts: once the columns are what the log says, these are looked at there.
Fits:   `datomstore.check` begins with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from datomstore.check.fault import Fault
from datomstore.check.values import Values, same
from datomstore.codec import CodecError, unpack
from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import intern
from datomstore.record import Row, decode_record
from datomstore.roots import EMPTY_ROOT, digest, next_root
from datomstore.schema import SCHEMA_ATTRIBUTES
from datomstore.storage import StorageCorrupt
from datomstore.streams import Stream, Streams
from datomstore.transactor import schemas_of

Progress = Callable[[int, int], None]  # transactions read, transactions there are
Portion = list[tuple[int, bytes, list[Row]]]  # t, root after it, rows


def check_bytes(streams: Streams, name: str, faults: list[Fault], progress: Progress | None) -> int:
    """Read a log against its checksums and its root; return its last transaction."""
    root, t = EMPTY_ROOT, 0
    with streams.storage.transaction(write=False) as storage:
        end, kept = storage.end(name), storage.root(name)
        try:
            for t, blob in storage.read(name):
                unpack(blob)  # canonical, or it could not be proved
                decode_record(name, t, blob)
                root = next_root(root, digest(blob))
                if progress is not None:
                    progress(t, end)
        except (StorageCorrupt, CodecError) as error:
            faults.append(Fault("bytes", t, str(error)))
            return t
    if kept is not None and kept != root:
        faults.append(Fault("root", t, f"the log leads to {root.hex()}, not to {kept.hex()}"))
    return t


def check_columns(streams: Streams, stream: Stream, faults: list[Fault], rows: int) -> bool:
    """Compare the columns that answer queries with the log; return whether they are what it says."""
    database = stream.db()
    wrong: dict[str, None] = {}
    schema_rows: list[tuple[int, list[Row]]] = []
    compared = _Compared(stream, database)
    for portion in _portions(streams, stream.name, rows):
        for t, _, found in portion:
            of_schema = [row for row in found if row[1] in SCHEMA_ATTRIBUTES]
            if of_schema:
                schema_rows.append((t, of_schema))
        wrong.update(dict.fromkeys(compared.wrong_in(portion)))
        if compared.ended:
            break
    if not compared.ended and compared.row != database.count_rows:
        wrong["have not the same rows"] = None
    if schemas_of(Facts.of_log(schema_rows)[0])[-1][1] != database.schema:
        wrong["differ in the schema"] = None
    faults += [Fault("memory", database.basis_t, f"memory and log {what}") for what in wrong]
    return not wrong


def _portions(streams: Streams, name: str, rows_max: int) -> Iterator[Portion]:
    """Yield the transactions of a log, so many together that they have about as many rows."""
    portion: Portion = []
    root, rows = EMPTY_ROOT, 0
    with streams.storage.transaction(write=False) as storage:
        for t, blob in storage.read(name):
            root = next_root(root, digest(blob))
            portion.append((t, root, decode_record(name, t, blob)[1]))
            rows += len(portion[-1][2])
            if rows >= rows_max:
                yield portion
                portion, rows = [], 0
    if portion:
        yield portion


class _Compared:
    """How far the columns have been compared: up to `row`; `ended` if not even rows and transactions agree."""

    def __init__(self, stream: Stream, database: Database) -> None:
        self.row = 0
        self.ended = False
        self._database = database
        self._roots = stream.transactor.roots
        self._values = Values(database.facts, database.count_rows)
        self._transactions = 0

    def wrong_in(self, portion: Portion) -> Iterator[str]:
        """Yield in what the next portion differs."""
        facts, start = self._database.facts, self.row
        if not self._has(portion):
            self.ended = True
            yield "have not the same rows"
            return
        rows = slice(start, self.row)
        for name, column in _columns(portion):
            if not np.array_equal(getattr(facts, name)[rows], column):
                yield f"differ in column {name}"
        mine = self._values.of(np.arange(start, self.row))
        theirs = (row[2] for _, _, found in portion for row in found)
        if not all(map(same, mine, theirs)):
            yield "differ in column v"

    def _has(self, portion: Portion) -> bool:
        """Return whether these transactions are there, with as many rows each and their roots."""
        ends, roots = self._database.tx_ends, self._roots
        assert roots is not None, "a stream has roots"
        for t, root, found in portion:
            self.row += len(found)
            place = self._transactions
            if place >= min(len(ends), len(roots)) or self.row > self._database.count_rows:
                return False
            if tuple(ends[place]) != (t, self.row) or roots[place] != root:
                return False
            self._transactions += 1
        return True


def _columns(portion: Portion) -> Iterator[tuple[str, NDArray[np.int64] | NDArray[np.bool_]]]:
    """Yield the columns but that of values."""
    rows = [row for _, _, found in portion for row in found]
    sizes = [len(found) for _, _, found in portion]
    yield "e", np.array([row[0] << 1 for row in rows], np.int64)
    yield "a", np.array([intern(row[1]) for row in rows], np.int64)
    yield "t", np.repeat(np.array([(TX_BASE + t) << 1 for t, _, _ in portion], np.int64), sizes)
    yield "added", np.array([row[3] for row in rows], np.bool_)
