"""The streams of one node: named append-only logs of transactions, each a database at any time.

Is:     streams by name over one storage: their logs, values, segments and listeners.
Is not: the transactor's rules (`datomstore.transaction`), nor the order of writers (`datomstore.writers`).
Fits:   the daemon holds one `Streams`.

Order of a commit: rows are staged in memory, the log record goes into the storage transaction, the storage commits, the
rows become visible. A crash before the third step leaves nothing, after it everything. Readers hold database values and
wait for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from datomstore._queue import Commit
from datomstore.batch import SUPERSEDED, TO_PURGE
from datomstore.database import Database
from datomstore.datom import TX_BASE, Datom
from datomstore.errors import DatomstoreError
from datomstore.limits import LOG_PAGE, MERGE_BACKLOG_ROWS, MERGE_ROWS, STREAM_NAME_MAX
from datomstore.opening import Opened, opened
from datomstore.record import decode_record
from datomstore.roots import DatabaseName, Proof, RootUnknown, digest
from datomstore.segments import manifest as manifests
from datomstore.segments.kept import Kept
from datomstore.storage import Storage, StorageError
from datomstore.transaction import TxReport
from datomstore.upkeep import Upkeep
from datomstore.value import Keyword
from datomstore.writers import OpenBatch, WriteLock, Writers

Listener = Callable[[TxReport], None]


class StreamUnknown(DatomstoreError):
    """No stream has this name."""

    code = "stream/unknown"


class StreamExists(DatomstoreError):
    """A stream has this name already."""

    code = "stream/exists"


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
        """Commit a transaction of its own; those of threads that come meanwhile share one. Raises TransactionError."""
        return self._streams.writers.transact(self, tx_data, meta)

    def submit(
        self, tx_data: Iterable[object], *, meta: Mapping[Keyword, object] | None = None
    ) -> Commit:
        """Have a transaction committed, and do not wait: `result()` of what is returned does. Raises WritersBusy.

        Transactions of one caller commit in the order they were submitted, as many together as have come meanwhile.
        """
        return self._streams.writers.submit(self, tx_data, meta)

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
        self.write_lock = WriteLock()
        self.writers = Writers(self)
        with storage.transaction(write=False) as transaction:
            self._names = set(transaction.streams())
            to_purge = transaction.get(TO_PURGE, b"") is not None
        self.purge_failure: StorageError | None = None
        if to_purge:
            self.try_purge()

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
        self.writers.refuse_inside_batch()
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
        """Commit what was submitted, end the merging, and let go of the storage."""
        self.writers.close()
        self._upkeep.close()
        self.storage.close()

    def purge(self) -> bool:
        """Remove the bytes of excised facts from the storage; an excision does so itself. False if readers are in the way."""
        with self.write_lock:
            if not self.storage.purge():
                return False
            with self.storage.transaction(write=True) as storage:
                storage.delete(TO_PURGE, b"")
            return True

    def try_purge(self) -> None:
        """Remove the bytes of excised facts, if that can be done now: else with the next excision, or the next start.

        That they are gone for all who ask lasts already, so this is nobody's failure; `purge_failure` has it.
        """
        try:
            self.purge()
            self.purge_failure = None
        except StorageError as error:
            self.purge_failure = error

    def excised_at(self, stream: str, name: DatabaseName) -> int | None:
        """Return the transaction whose excision made a name of a stream one of the past."""
        with self.storage.transaction(write=False) as storage:
            for key, entry in storage.scan(SUPERSEDED, stream.encode() + b"\0"):
                place = name.t - int.from_bytes(entry[:8], "big")
                if place >= 0 and entry[8 + 32 * place : 40 + 32 * place] == name.root:
                    return int.from_bytes(key[-8:], "big")
        return None

    def committed(self, stream: Stream) -> None:
        """A stream has grown."""
        if self.merges:
            self._upkeep.grown(stream)

    def keep_up(self, stream: Stream) -> None:
        """Wait while a stream has too much in memory; not while holding the write lock."""
        if self.merges:
            self._upkeep.keep_up(stream)

    def batch(self) -> OpenBatch:
        """Open one storage transaction over streams and tables; all of it happens when the block ends, or nothing."""
        return OpenBatch(self, self.writers)


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
