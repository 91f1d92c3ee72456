"""The segments of all streams, kept up in the background.

Is:     one thread, there while there is work: rows in memory become runs, runs become fewer, and what they replace is let go.
Is not: in the way of a commit: the write lock is held for the exchange of the manifest alone.
Fits:   `datomstore.streams` says after a commit that a stream has grown, and waits when memory has grown too much.

What is written belongs to nobody until a storage transaction exchanges the manifest. If the stream has another writer by
then (its log has been rewritten), or the storage has been closed, it is given up, and a crash leaves files that the next
start removes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datomstore.errors import DatomstoreError
from datomstore.limits import BACKLOG_WAIT_S
from datomstore.segments import manifest as manifests
from datomstore.segments.kept import Kept
from datomstore.segments.merge import (
    Growth,
    grown,
    merged_runs,
    merged_values,
    new_blobs,
    runs_due,
    values_due,
)

if TYPE_CHECKING:
    from datomstore.streams import Stream, Streams


class GivenUp(DatomstoreError):
    """A merge was not finished."""

    code = "storage/merge"


class _Due(NamedTuple):
    """Adjacent runs, or blobs of values, that are to be one."""

    values: bool
    first: int
    past: int


class Upkeep:
    """Merges, one after the other."""

    def __init__(self, streams: Streams, rows: int, backlog: int) -> None:
        self._streams = streams
        self.rows = rows  # in memory from which on a stream is due
        self._backlog = max(rows, backlog)  # at which its writers wait
        self._merging = threading.Lock()  # one merge at a time, whoever asks for it
        self._changed = threading.Condition()
        self._due: dict[str, None] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self.failure: Exception | None = None  # of the newest merge
        self._not_before: dict[str, int] = {}  # stream -> rows in memory, after a failure

    def grown(self, stream: Stream) -> None:
        """A stream has committed; its rows may be due."""
        if stream.fresh < self._not_before.get(stream.name, self.rows):
            return
        with self._changed:
            if self._closed:
                return
            self._due[stream.name] = None
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="datomstore-upkeep", daemon=True
                )
                self._thread.start()

    def keep_up(self, stream: Stream) -> None:
        """Wait while a stream has too many rows in memory, if somebody is at it; not while holding the write lock."""
        if stream.fresh < self._backlog:
            return
        with self._changed:
            self._changed.wait_for(
                lambda: self._thread is None or stream.fresh < self._backlog, BACKLOG_WAIT_S
            )

    def settle(self) -> None:
        """Wait until nothing is due."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None)

    def close(self) -> None:
        """Begin nothing more, and wait for what is being written: that is given up at its next step."""
        with self._changed:
            self._closed = True
            self._due.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._thread = None
                    self._changed.notify_all()
                    return
                name = next(iter(self._due))
                del self._due[name]
            stream = self._streams.get(name)
            try:
                self.merge(stream, self.rows)
                self.failure = None
                self._not_before.pop(name, None)
            except GivenUp:
                pass
            except Exception as error:  # nobody waits for this thread: who asks is told
                self.failure = error
                self._not_before[name] = stream.fresh + self.rows
            with self._changed:
                self._changed.notify_all()

    def merge(self, stream: Stream, rows: int, *, whole: bool = False) -> None:
        """Write the rows in memory, if there are so many, and make runs fewer; `whole` makes them one. Raises StorageError."""
        with self._merging:
            while self._grow(stream, rows):
                with self._changed:
                    self._changed.notify_all()
                if whole:
                    continue
                self._shrink(stream, _due)
            if whole:
                self._shrink(stream, _all)

    def _grow(self, stream: Stream, rows: int) -> bool:
        with self._streams.write_lock:
            fresh, kept, transactor = stream.fresh, stream.kept, stream.transactor
            if self._closed or fresh < max(rows, 1):
                return False
            facts, before = transactor.facts, kept.manifest.t if kept is not None else 0
            assert transactor.roots is not None, "a stream has roots"
            ends = np.array([end for _, end in transactor.tx_ends[before:]], np.int64)
            growth = Growth(
                kept.manifest.rows if kept is not None else 0,
                before + 1,
                ends,
                b"".join(transactor.roots[before:]),
                stream.log_bytes,
            )
        made = grown(self._streams.storage, facts, kept, growth)
        return self._exchange(stream, kept, made)

    def _shrink(self, stream: Stream, due: Callable[[Kept], _Due | None]) -> None:
        while not self._closed:
            kept, facts, storage = stream.kept, stream.transactor.facts, self._streams.storage
            found = due(kept) if kept is not None else None
            if kept is None or found is None:
                return
            if found.values:
                made = merged_values(storage, kept, found.first, found.past)
            else:
                made = merged_runs(storage, facts, kept, found.first, found.past, self._proceed)
            if not self._exchange(stream, kept, made):
                return

    def _proceed(self) -> None:
        """Raise GivenUp when nothing of a merge is wanted any more."""
        if self._closed:
            raise GivenUp("the streams have been closed")

    def _exchange(self, stream: Stream, before: Kept | None, after: Kept) -> bool:
        """Put segments in the place of those they were made from; False if these are not the stream's any more."""
        storage = self._streams.storage
        old = before.manifest if before is not None else None
        try:
            with self._streams.write_lock:
                if stream.kept is before and not self._closed:
                    with storage.transaction(write=True) as transaction:
                        manifests.save(transaction, stream.name, after.manifest)
                    stream.rebase(after)
                    return True
        except BaseException:
            self._drop(old, after)
            raise
        self._drop(old, after)
        return False

    def _drop(self, old: manifests.Manifest | None, after: Kept) -> None:
        for digest in new_blobs(old, after.manifest):
            self._streams.storage.drop_blob(digest)


def _due(kept: Kept) -> _Due | None:
    runs, values = runs_due(kept), values_due(kept)
    if runs is not None:
        return _Due(False, *runs)
    return _Due(True, *values) if values is not None else None


def _all(kept: Kept) -> _Due | None:
    if len(kept.stored) > 1:
        return _Due(False, 0, len(kept.stored))
    return _Due(True, 0, len(kept.pages)) if len(kept.pages) > 1 else None
