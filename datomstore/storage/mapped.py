"""A transaction of LMDB as an ordered map, and LMDB's errors as ours.

Is:     the operations that `datomstore.storage.keyed` asks for; a writing one notes what it changes.
Is not: a commit: `datomstore.storage.durable`.
Fits:   between the two.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import lmdb

from datomstore.errors import DatomstoreError
from datomstore.limits import REDO_TRANSACTION_MAX
from datomstore.storage import StorageCorrupt, StorageError
from datomstore.storage.redo import Change


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


@contextmanager
def translated() -> Iterator[None]:
    """Turn the engine's errors into ours, where they happen: who caught one of ours knows that all is lost."""
    try:
        yield
    except lmdb.Error as error:
        raise ours(error) from error


class Mapped:
    """A transaction that reads."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self.transaction = transaction

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
    """A transaction that writes, and notes what it changes as long as that is little enough to be logged."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        super().__init__(transaction)
        self.changes: list[Change] = []
        self._room = REDO_TRANSACTION_MAX  # bytes

    @property
    def large(self) -> bool:
        """Return whether it has changed too much."""
        return self._room < 0

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value."""
        try:
            self.transaction.put(key, value)
        except lmdb.Error as error:
            raise ours(error) from error
        self._note(key, value, len(value))

    def put_all(self, entries: list[tuple[bytes, bytes]]) -> None:
        """Set values."""
        try:
            with self.transaction.cursor() as cursor:
                cursor.putmulti(entries)
        except lmdb.Error as error:
            raise ours(error) from error
        for key, value in entries:
            self._note(key, value, len(value))

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""
        try:
            self.transaction.delete(key)
        except lmdb.Error as error:
            raise ours(error) from error
        self._note(key, None, 0)

    def _note(self, key: bytes, value: bytes | None, size: int) -> None:
        self._room -= len(key) + size
        if self._room >= 0:
            self.changes.append((key, value))
        else:
            self.changes.clear()
