"""Where bytes are kept: an interface small enough for many engines.

Is:     logs with compare-and-append, blobs by hash, one root per stream, and small tables, in transactions.
Is not: aware of what the bytes mean.
Fits:   `datomstore.streams` keeps its logs here, the daemon its agents; `memory` for tests and ephemeral nodes, `lmdb`
        where it must last.

A write transaction belongs to one thread, and there is one at a time. It is durable when its block has been left, and it has
not happened when the block was left by an exception; but who was told that it lasts may rely on that, whatever comes after.

Blobs are large and immutable, so they are written beside transactions, which need not wait for them: `Storage.create_blob`,
then `keep_blob` in a transaction, or `drop_blob`. A blob that is kept twice has to be deleted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from datomstore.errors import DatomstoreError

Buffer = bytes | bytearray | memoryview


class StorageError(DatomstoreError):
    """The engine could not do what it exists for; nothing of the transaction happened."""

    code = "storage/error"


class StorageCorrupt(StorageError):
    """What was read is not what was written; names the stream and the transaction."""

    code = "storage/corrupt"


class AppendConflict(DatomstoreError):
    """Somebody else appended first."""

    code = "storage/conflict"


class StorageTransaction(Protocol):
    """Reads see the writes of the same transaction."""

    def append(self, stream: str, expected_t: int, blob: bytes) -> int:
        """Append to a log that ends at `expected_t`; return the new end. Raises AppendConflict."""

    def extend(self, stream: str, expected_t: int, blobs: Sequence[bytes]) -> int:
        """Append many."""

    def replace(self, stream: str, t: int, blob: bytes) -> None:
        """Put another blob in the place of an old one: for excision alone. Raises StorageError if there is none."""

    def end(self, stream: str) -> int:
        """Return how many blobs a log has."""

    def read(self, stream: str, from_t: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (t, blob) of a log, for t > from_t. Raises StorageCorrupt."""

    def streams(self) -> list[str]:
        """Return the names of all logs that have a blob."""

    def put_blob(self, blob: bytes) -> bytes:
        """Keep a blob and return its SHA-256."""

    def keep_blob(self, digest: bytes) -> None:
        """Keep a blob that was written with `Storage.create_blob`. Raises StorageError if there is none."""

    def get_blob(self, digest: bytes) -> Buffer | None:
        """Return the blob of a digest."""

    def delete_blob(self, digest: bytes) -> None:
        """Keep a blob once less; it is gone when the transaction has happened and nobody keeps it."""

    def root(self, stream: str) -> bytes | None:
        """Return the root of a stream."""

    def when_lasting(self, told: Callable[[], None]) -> None:
        """Have `told` called, in this thread, if it is certain that the transaction lasts before others can see it.

        Should it then be impossible to show it, the engine refuses everything, and has done it when it is opened again.
        """

    def cas_root(self, stream: str, old: bytes | None, new: bytes) -> None:
        """Set the root of a stream if it is `old`. Raises AppendConflict."""

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Set an entry of a table."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return an entry of a table."""

    def delete(self, table: str, key: bytes) -> None:
        """Remove an entry of a table, if it is there."""

    def scan(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the entries of a table whose keys start with a prefix, in the order of keys."""


class BlobWriter(Protocol):
    """A blob on its way."""

    size: int  # bytes so far

    def write(self, part: Buffer) -> None:
        """Append bytes. Raises StorageError."""

    def finish(self) -> bytes:
        """Make the blob last, and return its SHA-256. Raises StorageError."""

    def abandon(self) -> None:
        """Forget what was written."""


class Storage(Protocol):
    """An engine."""

    waits: bool  # whether a commit waits for a disk
    maps: bool  # whether blobs are mapped, so that what is in them takes no memory

    def append(self, stream: str, expected_t: int, blob: bytes, root: bytes) -> None:
        """Append to a log that ends at `expected_t` and set its root, durably, in a transaction of its own. Raises AppendConflict."""

    def watch(self, stream: str, told: Callable[[int], object]) -> Callable[[], None]:
        """Call `told` with the end of a log after it has durably grown, in the thread that wrote; return how to stop it.

        An end says that the log has got so far: of transactions in several threads the newer may be told first, and the
        older after it. Read from the last t known.
        """

    def transaction(self, *, write: bool) -> AbstractContextManager[StorageTransaction]:
        """Open a transaction."""

    def create_blob(self) -> BlobWriter:
        """Begin a blob, in any thread; it is lost unless a transaction keeps it."""

    def drop_blob(self, digest: bytes) -> None:
        """Give up a blob that was finished and that no transaction will keep."""

    def blob(self, digest: bytes) -> Buffer | None:
        """Return a blob, which stays readable when it is deleted; mapped where there are files."""

    def purge(self) -> bool:
        """Remove the bytes of what was deleted or replaced; False if readers are in the way, so that it must be tried again."""

    def size(self) -> int:
        """Return the bytes that all of it takes where it is kept."""

    def backup(self, path: Path) -> None:
        """Write a copy, as of now, into a new folder, while others read and write. Raises StorageError."""

    def close(self) -> None:
        """Let go of the engine."""
