"""A transaction of LMDB as an ordered map, and LMDB's errors as ours.

Is:     the operations that `datomstore.storage.keyed` asks for; a writing one notes what it changes.
Is not: a commit: `datomstore.storage.durable`.
Fits:   between the two.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Self

import lmdb

from datomstore.errors import DatomstoreError
from datomstore.limits import REDO_TRANSACTION_MAX
from datomstore.storage import StorageCorrupt, StorageError
from datomstore.storage.redo import Change

ENTRY = 64  # bytes that a change counts for besides its value


class StorageFull(StorageError):
    """The environment has reached its map size, or the disk is full."""

    code = "storage/full"


class KeyTooLong(DatomstoreError):
    """The engine's keys have at most 511 bytes."""

    code = "storage/key"


def ours(error: lmdb.Error | OSError) -> DatomstoreError:
    """Return the engine's error as one of ours."""
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return StorageFull(str(error)) if full else StorageError(str(error))
    if isinstance(error, (lmdb.MapFullError, lmdb.DiskError)):
        return StorageFull(str(error))
    if isinstance(error, (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)):
        return StorageCorrupt(str(error))
    if isinstance(error, lmdb.BadValsizeError):
        return KeyTooLong("a table's name and key together are too long for the engine")
    return StorageError(str(error))


class Mapped:
    """A transaction that reads, until it is left; an error of the engine that leaves it becomes one of ours."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self.transaction = transaction
        self.lasts: Callable[[], None] | None = None  # told when it is certain to last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.transaction.abort()
        if isinstance(error, lmdb.Error):
            raise ours(error) from error

    def get(self, key: bytes) -> bytes | None:
        """Return a value."""
        value = self.transaction.get(key)
        return None if value is None else bytes(value)

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries from `start` on, in order, as long as their keys have the prefix."""
        with self.transaction.cursor() as cursor:
            if not cursor.set_range(start):
                return
            for found, value in cursor:
                key = bytes(found)
                if not key.startswith(prefix):
                    return
                yield key, bytes(value)

    def put(self, key: bytes, value: bytes) -> None:
        """Refuse to write."""
        raise StorageError("the transaction was opened for reading")

    def put_all(self, entries: list[tuple[bytes, bytes]]) -> None:
        """Refuse to write."""
        raise StorageError("the transaction was opened for reading")

    def delete(self, key: bytes) -> None:
        """Refuse to write."""
        raise StorageError("the transaction was opened for reading")


class Changing(Mapped):
    """A transaction that writes, and notes what it changes as long as that is little enough to be logged.

    Errors are translated where they happen, too: who caught one of ours in the midst of it knows that all is lost.
    """

    def __init__(self, transaction: lmdb.Transaction) -> None:
        super().__init__(transaction)
        self.changes: list[Change] = []
        self.size = 0  # bytes of all changes

    @property
    def large(self) -> bool:
        """Return whether it has changed too much, so that nothing is noted any more."""
        return self.size > REDO_TRANSACTION_MAX

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value."""
        try:
            self.transaction.put(key, value)
        except lmdb.Error as error:
            raise ours(error) from error
        self.changes.append((key, value))
        self.size += len(value) + ENTRY
        if self.size > REDO_TRANSACTION_MAX:
            self.changes.clear()

    def put_all(self, entries: list[tuple[bytes, bytes]]) -> None:
        """Set values."""
        try:
            with self.transaction.cursor() as cursor:
                cursor.putmulti(entries)
        except lmdb.Error as error:
            raise ours(error) from error
        self.changes += entries
        self.size += sum(len(value) + ENTRY for _, value in entries)
        if self.size > REDO_TRANSACTION_MAX:
            self.changes.clear()

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""
        try:
            self.transaction.delete(key)
        except lmdb.Error as error:
            raise ours(error) from error
        self.changes.append((key, None))
        self.size += ENTRY
