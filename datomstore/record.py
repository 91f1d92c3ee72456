"""The bytes of one transaction in a log.

Is:     instant, attributes by number, and entities, values and operations as columns, in the values' own encoding.
Is not: where the bytes are kept.
Fits:   `datomstore.streams` writes and reads these; roots are chains over them.

    (version, instant in ms, names of attributes, entities, attribute numbers, values, added)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datomstore.codec import CodecError, pack, unpack_trusted
from datomstore.facts import Facts, Rows
from datomstore.intern import value_of, values_of
from datomstore.storage import StorageCorrupt
from datomstore.value import Keyword

if TYPE_CHECKING:
    from datomstore.database import Database

RECORD_VERSION = 1
Row = tuple[int, Keyword, object, bool]  # entity, attribute, value, added


def encode_record(instant_ms: int, facts: Facts, rows: Rows | slice) -> bytes:
    """Return the log record of rows of one transaction. Raises CodecError."""
    attributes: list[int] = facts.a[rows].tolist()
    number = {a: place for place, a in enumerate(dict.fromkeys(attributes))}
    return pack(
        (
            RECORD_VERSION,
            instant_ms,
            tuple(_name(a) for a in number),
            tuple((facts.e[rows] >> 1).tolist()),
            tuple([number[a] for a in attributes]),
            tuple(values_of(facts.v[rows])),
            tuple(facts.added[rows].tolist()),
        )
    )


def records_of(database: Database, after: int, upto: int) -> Iterator[tuple[int, bytes]]:
    """Yield number and record of the transactions of a value after one, up to another, that have rows in it."""
    row = database.as_of(after).count_rows
    for t, end in database.tx_ends[after:upto]:
        if end > row:
            yield t, encode_record(database.instant_ms(t), database.facts, slice(row, end))
        row = end


def _name(a: int) -> str:
    ident = value_of(a)
    assert isinstance(ident, Keyword), ident
    return ident.name


def decode_record(stream: str, t: int, blob: bytes) -> tuple[int, list[Row]]:
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
