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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from datomstore.codec import CodecError, pack, unpack_trusted
from datomstore.database import Database
from datomstore.datom import TX_BASE, Datom
from datomstore.errors import DatomstoreError
from datomstore.facts import Facts
from datomstore.limits import STREAM_NAME_MAX
from datomstore.schema import Schema
from datomstore.storage import Storage, StorageCorrupt, StorageTransaction
from datomstore.transaction import Staged, Transactor, TxReport
from datomstore.value import Keyword

RECORD_VERSION = 1
Listener = Callable[[TxReport], None]


class StreamUnknown(DatomstoreError):
    """No stream has this name."""

    code = "stream/unknown"


class StreamExists(DatomstoreError):
    """A stream has this name already."""

    code = "stream/exists"


class BatchOpen(DatomstoreError):
    """A batch inside a batch: the outer one would not know what the inner one wrote."""

    code = "stream/batch-open"


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
    bytes: int  # of its log


class Stream:
    """One named log and its database."""

    def __init__(self, streams: Streams, name: str, transactor: Transactor, log_bytes: int) -> None:
        self._streams = streams
        self.name = name
        self.transactor = transactor
        self.log_bytes = log_bytes
        self.listeners: list[Listener] = []

    @property
    def t(self) -> int:
        """Return the number of committed transactions."""
        ends = self.transactor.tx_ends
        return ends[-1][0] if ends else 0

    def db(self) -> Database:
        """Return the current database value."""
        return self.transactor.database()

    def transact(
        self, tx_data: Iterable[object], *, meta: Mapping[Keyword, object] | None = None
    ) -> TxReport:
        """Commit a transaction of its own. Raises TransactionError."""
        with self._streams.batch() as batch:
            return batch.transact(self, tx_data, meta=meta)

    def log(self, from_t: int = 0) -> Iterator[TxRecord]:
        """Yield the committed transactions after `from_t`."""
        with self._streams.storage.transaction(write=False) as storage:
            records = [(t, blob) for t, blob in storage.read(self.name, from_t)]
        for t, blob in records:
            instant_ms, rows = decode_record(self.name, t, blob)
            yield TxRecord(t, instant_ms, [Datom(e, a, v, TX_BASE + t, op) for e, a, v, op in rows])

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every commit, in the committing thread; return how to stop it."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def stats(self) -> StreamStats:
        """Return how large the stream is."""
        return StreamStats(self.transactor.facts.count, self.t, self.log_bytes)


class Streams:
    """All streams of a node."""

    def __init__(self, storage: Storage, *, now_ms: Callable[[], int]) -> None:
        self.storage = storage
        self.now_ms = now_ms
        self._open: dict[str, Stream] = {}
        self.write_lock = threading.RLock()
        self._batch_open = False
        with storage.transaction(write=False) as transaction:
            self._names = set(transaction.streams())

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
        transactor = Transactor(Facts(), Schema(), [])
        size = 0
        with self.storage.transaction(write=False) as storage:
            for t, blob in storage.read(name):
                _, rows = decode_record(name, t, blob)
                transactor.commit(transactor.stage_datoms(t, rows))
                size += len(blob)
        return Stream(self, name, transactor, size)

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Open one storage transaction over streams and tables; all of it happens when the block ends, or nothing."""
        with self.write_lock:
            if self._batch_open:
                raise BatchOpen("this thread has a batch open already; use that one")
            batch: Batch | None = None
            self._batch_open = True
            try:
                with self.storage.transaction(write=True) as storage:
                    batch = Batch(self, storage)
                    yield batch
            except BaseException:
                if batch is not None:
                    batch.rollback()
                raise
            finally:
                self._batch_open = False
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


class Batch:
    """What commits together."""

    def __init__(self, streams: Streams, storage: StorageTransaction) -> None:
        self._streams = streams
        self._storage = storage
        self._staged: list[tuple[Stream, Staged, list[Datom], int, TxReport]] = []
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
        transactor = stream.transactor
        now_ms = self._streams.now_ms()
        before = transactor.staged_database()
        staged = transactor.stage(tx_data, now_ms, meta)
        datoms = transactor.datoms_of(staged)
        try:
            blob = encode_record(now_ms, datoms)
            self._storage.append(stream.name, staged.t - 1, blob)
        except BaseException:
            transactor.rollback(staged)
            raise
        after = transactor.staged_database()
        report = TxReport(before, after, datoms, staged.tempids, staged.t, staged.tx)
        self._staged.append((stream, staged, datoms, len(blob), report))
        return report

    def rollback(self) -> None:
        """Take back what was staged, newest first."""
        for stream, staged, _, _, _ in reversed(self._staged):
            stream.transactor.rollback(staged)
        self._staged.clear()

    def commit(self) -> None:
        """Show what was staged and tell the listeners."""
        for stream, staged, _, size, _ in self._staged:
            stream.transactor.commit(staged)
            stream.log_bytes += size
        for stream, _, _, _, report in self._staged:
            for listener in tuple(stream.listeners):
                listener(report)


def encode_record(instant_ms: int, datoms: list[Datom]) -> bytes:
    """Return the log record of a transaction: attributes by number, entities, values and ops as columns."""
    attributes = list(dict.fromkeys(datom.a for datom in datoms))
    number = {attribute: index for index, attribute in enumerate(attributes)}
    return pack(
        (
            RECORD_VERSION,
            instant_ms,
            tuple(attribute.name for attribute in attributes),
            tuple(datom.e for datom in datoms),
            tuple(number[datom.a] for datom in datoms),
            tuple(datom.v for datom in datoms),
            tuple(datom.added for datom in datoms),
        )
    )


def decode_record(
    stream: str, t: int, blob: bytes
) -> tuple[int, list[tuple[int, Keyword, object, bool]]]:
    """Return instant and rows of a log record. Raises StorageCorrupt."""
    try:
        record: Any = unpack_trusted(blob)
        version, instant_ms, names, entities, numbers, values, added = record
        if version != RECORD_VERSION:
            raise ValueError(f"version {version!r}")
        attributes = [Keyword(name) for name in names]
        columns = zip(entities, (attributes[n] for n in numbers), values, added, strict=True)
        return instant_ms, list(columns)
    except (CodecError, TypeError, ValueError, IndexError) as error:
        raise StorageCorrupt(
            f"stream {stream!r}: transaction {t} is not a record of version {RECORD_VERSION}: {error}"
        ) from error
