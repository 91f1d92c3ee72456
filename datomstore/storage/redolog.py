"""A redo log in two files of a folder that are used in turn.

Is:     appending what a transaction changes, in one wait for the disk; taking the last one back; going over to the other
        file; and reading all of it after a crash.
Is not: aware of when what was logged need not be logged any more: that is `datomstore.storage.durable`'s.
Fits:   `datomstore.storage.redo` has the form of what is in the files.

Both files are written full of zeros when they are made, so that a record changes neither their size nor where they are:
the disk has nothing but the record to write. They never have a hole and never grow. Records go past the system's cache,
which would have to find their pages, and mark them, write them and unmark them one by one.

`redo.0` gets its name when it has a header and `redo.1` is there; from then on, until it is removed, there is always a
whole header in one of them: a new one is written into the file that does not have the one that counts. The header of the
greater turn counts. Its file has records after it, and when these have ended the other file may have more, under the
next key; that file has no header of its own yet. A header without pages says that nothing has to be done again.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import NamedTuple

from datomstore.storage import StorageCorrupt, flushing, redo

NAMES = ("redo.0", "redo.1")
_NEW = "redo.new"


class Place(NamedTuple):
    """Of a record that is not there yet."""

    number: int
    at: int


class Found(NamedTuple):
    """What a log says."""

    pages: bytes  # to begin with
    records: list[redo.Record]  # to be done again on that


class RedoLog:
    """A log that is written; one thread at a time may call it, and another one `begin_here`."""

    def __init__(self, folder: Path, size: int, pages: bytes) -> None:
        self._folder = folder
        self._size = size // redo.BLOCK * redo.BLOCK  # of a file
        self._start = redo.start(len(pages))
        self._header = redo.Header(0, 1, secrets.token_bytes(redo.KEY), pages)  # of this turn
        self._key = self._header.key
        self.place = Place(1, self._start)
        self._files = self._made()
        self._file = self._files[0]
        self._begun = b""  # what there is of the block in which the next record begins
        self._begun_before = b""  # the same for the last record

    def _made(self) -> tuple[int, int]:
        """Make both files; nobody knows of them before the first has its name. Raises OSError."""
        data = redo.header(self._header).ljust(self._size, b"\0")
        other = first = -1
        try:
            other = flushing.opened_through(self._folder / NAMES[1], create=True, direct=True)
            flushing.write_through(other, bytes(self._size), 0)
            first = flushing.opened_through(self._folder / _NEW, create=True, direct=True)
            flushing.write_through(first, data, 0)
            flushing.flush_folder(self._folder)
            (self._folder / _NEW).replace(self._folder / NAMES[0])
            flushing.flush_folder(self._folder)
        except BaseException:
            for file in (other, first):
                if file >= 0:
                    os.close(file)
            raise
        return first, other

    @property
    def room(self) -> int:
        """Return how many bytes more this turn's file takes."""
        return self._size - self.place.at

    def record(self, changes: list[redo.Change]) -> bytes:
        """Return the record of the next transaction."""
        return redo.record(self.place.number, changes, self._key)

    def append(self, record: bytes) -> None:
        """Make a transaction last. Raises OSError: then it must be struck out."""
        number, at = self.place
        self.place = Place(number + 1, at + len(record))
        self._begun_before = self._begun
        data = self._begun + record
        flushing.write_through(self._file, redo.blocks(data), at - len(self._begun))
        self._begun = data[len(data) // redo.BLOCK * redo.BLOCK :]

    def strike_out(self, place: Place) -> None:
        """Make it last that what has its place there has not happened. Raises OSError: then nobody can say."""
        self._begun = self._begun_before
        data = redo.blocks(self._begun + bytes(redo.RECORD_MIN))
        flushing.write_through(self._file, data, place.at - len(self._begun))
        self.place = place

    def turn(self, pages: bytes) -> None:
        """Go on in the other file, and note the pages that have all that was appended so far."""
        self._key = redo.next_key(self._key)
        turn, number = self._header.turn + 1, self.place.number
        self._header = redo.Header(turn, number, self._key, pages)
        self._file = self._files[turn % 2]
        self._begun = b""
        self.place = Place(number, self._start)

    def begin_here(self) -> None:
        """Make it last that a recovery begins with this turn: the pages of `turn`, and what they lead to, last by now."""
        header = redo.blocks(redo.header(self._header))
        flushing.write_through(self._files[self._header.turn % 2], header, 0)

    def remove(self) -> None:
        """Remove the log: the environment is flushed, and nothing has to be done again."""
        self.close()
        remove(self._folder)

    def close(self) -> None:
        """Let go of the files, and leave them as they are."""
        for file in self._files:
            os.close(file)


def exists(folder: Path) -> bool:
    """Return whether a folder has a log, whole or not."""
    return any((folder / name).exists() for name in (*NAMES, _NEW))


def read(folder: Path) -> Found | None:
    """Return what the log of a folder says; None if there is none, or it has ended. Raises StorageCorrupt."""
    data = [path.read_bytes() if (path := folder / name).exists() else b"" for name in NAMES]
    headers = [redo.read_header(content) for content in data]
    found = max((header for header in headers if header is not None), default=None)
    if found is None:
        if data[0]:
            raise StorageCorrupt(f"{folder}: the redo log has no header")
        return None
    if not found.pages:
        return None
    here, other = data if headers[0] is found else data[::-1]
    start = redo.start(len(found.pages))
    read = [
        *redo.records(here[start:], found.key),
        *redo.records(other[start:], redo.next_key(found.key)),
    ]
    for number, record in enumerate(read, found.number):
        if record.number != number:
            raise StorageCorrupt(f"{folder}: transaction {number} is missing in the redo log")
    return Found(found.pages, read)


def remove(folder: Path) -> None:
    """Remove the log of a folder, or what there is of one.

    Recovery needs both files. So first the one without the header that counts gets the next one, which says that there is
    nothing to be done.
    """
    if not exists(folder):
        return
    headers = [_header(folder / name) for name in NAMES]
    found = max((header for header in headers if header is not None), default=None)
    last = 1 if found is None else headers.index(found)
    if found is not None and found.pages:
        last = 1 - last
        _write_header(folder / NAMES[last], found._replace(turn=found.turn + 1, pages=b""))
    for name in (_NEW, NAMES[1 - last], NAMES[last]):
        if (folder / name).exists():
            (folder / name).unlink()
            flushing.flush_folder(folder)  # so that the next one does not go before it


def _header(path: Path) -> redo.Header | None:
    return redo.read_header(path.read_bytes()) if path.exists() else None


def _write_header(path: Path, header: redo.Header) -> None:
    file = flushing.opened_through(path)
    try:
        flushing.write_through(file, redo.header(header), 0)
    finally:
        os.close(file)
