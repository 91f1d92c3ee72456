"""The bytes of a redo log: what transactions changed, and where to begin.

Is:     records and headers as bytes, and telling whole ones from anything else that may stand in their place.
Is not: files, or what the keys mean.
Fits:   `datomstore.storage.redolog` has the files.

A record is the changes of one transaction, in their order (all integers are big-endian):

    seal 16 | length of the changes u32 | number of the transaction u64 | changes
    change: length of the key u16 | length of the value u32, or ffffffff | key | value

The seal is the BLAKE2b-128 of what follows it, keyed with the *turn's* key. The files are used again and again, each time
under another key, so what stands in them from before is never a record, nor is a value that somebody wrote in the hope
that it is read as one some day: no key can be known before it is used. A record that was not written to its end is none.

Records follow each other without a gap. They are written in whole blocks: with a record the bytes before it in its first
block are written once more, as they are, and zeros after it up to the end of its last one.

A header says where to begin: with the first pages of the environment's file as they were at some moment, and with the
records that follow in the same file, and then those in the other one. It is sealed without a key, since it has the key.

    seal 16 | "yin redo" | version u32 | length of the pages u32 | turn u64 | number of the first transaction after it u64 | key 32 | pages

The first record begins at the block after it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

Change = tuple[bytes, bytes | None]  # a key and its value; None if it is removed

SEAL = 16
HEAD = struct.Struct(">IQ")
RECORD_MIN = SEAL + HEAD.size
KEY = 32
BLOCK = (
    4_096  # bytes; what goes past the system's cache is a number of these, as what goes through it
)
FIELDS = 4_096  # bytes that a header's fields have, before the pages
_CHANGE = struct.Struct(">HI")
_REMOVED = 0xFFFFFFFF
_HEADER = struct.Struct(">8sIIQQ32s")
_MAGIC, _VERSION = b"yin redo", 1


class Header(NamedTuple):
    """Where to begin."""

    turn: int  # how often the files have been exchanged
    number: int  # of the first transaction that is not in the pages
    key: bytes  # of the records in this file
    pages: bytes


class Record(NamedTuple):
    """A transaction."""

    number: int
    changes: list[Change]


def _seal(data: bytes, key: bytes = b"") -> bytes:
    return blake2b(data, digest_size=SEAL, key=key).digest()


def record(number: int, changes: Sequence[Change], key: bytes) -> bytes:
    """Return the record of a transaction."""
    parts: list[bytes] = []
    for name, value in changes:
        if value is None:
            parts += _CHANGE.pack(len(name), _REMOVED), name
        else:
            parts += _CHANGE.pack(len(name), len(value)), name, value
    made = b"".join(parts)
    body = HEAD.pack(len(made), number) + made
    return _seal(body, key) + body


def records(data: bytes, key: bytes) -> Iterator[Record]:
    """Yield the records at the beginning of some bytes, up to what is none."""
    at = 0
    while at + RECORD_MIN <= len(data):
        length, number = HEAD.unpack_from(data, at + SEAL)
        end = at + RECORD_MIN + length
        if end > len(data) or data[at : at + SEAL] != _seal(data[at + SEAL : end], key):
            return
        yield Record(number, list(_changes(data, at + RECORD_MIN, end)))
        at = end


def _changes(data: bytes, at: int, end: int) -> Iterator[Change]:
    while at < end:
        key, value = _CHANGE.unpack_from(data, at)
        at += _CHANGE.size
        name = data[at : at + key]
        at += key
        if value == _REMOVED:
            yield name, None
        else:
            yield name, data[at : at + value]
            at += value


def next_key(key: bytes) -> bytes:
    """Return the key of the turn after the one of a key: it is known before that turn has its header."""
    return blake2b(b"next turn", digest_size=KEY, key=key).digest()


def header(found: Header) -> bytes:
    """Return the bytes of a header."""
    turn, number, key, pages = found
    fields = _HEADER.pack(_MAGIC, _VERSION, len(pages), turn, number, key)
    body = fields.ljust(FIELDS - SEAL, b"\0") + pages
    return _seal(body) + body


def read_header(data: bytes) -> Header | None:
    """Return the header at the beginning of some bytes; None if there is no whole one."""
    if len(data) < FIELDS:
        return None
    magic, version, length, turn, number, key = _HEADER.unpack_from(data, SEAL)
    end = FIELDS + length
    if (magic, version) != (_MAGIC, _VERSION) or data[:SEAL] != _seal(data[SEAL:end]):
        return None
    return Header(turn, number, key, data[FIELDS:end])


def start(pages: int) -> int:
    """Return where the records of a file begin whose header has so many bytes of pages."""
    return -(-(FIELDS + pages) // BLOCK) * BLOCK


def blocks(data: bytes) -> bytes:
    """Return some bytes with zeros behind them, up to the end of their last block."""
    return data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0")
