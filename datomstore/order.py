"""The order in which indexes give datoms to people: by value, not by id.

Is:     a total order of values of all types, and datoms sorted by EAVT, AEVT, AVET or VAET.
Is not: the order of the engine's sorted parts, which is by ids (`datomstore.facts`).
Fits:   `Database.datoms`, `seek_datoms` and `index_range`. Datoms are made entity by entity, as they are asked for.

Attributes are ordered by name. Values are ordered by kind, then by size: booleans, numbers (1 before 1.0), characters,
strings, keywords, symbols, instants, UUIDs, bytes, tuples item by item (nil first), all else by its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from itertools import dropwhile
from uuid import UUID

import numpy as np

from datomstore.codec import pack
from datomstore.datom import Datom
from datomstore.errors import DatomstoreError
from datomstore.facts import Facts, Rows, datoms_at
from datomstore.intern import value_of
from datomstore.value import Char, Keyword, Symbol

INDEXES = {"eavt": "eav", "aevt": "aev", "avet": "ave", "vaet": "vae"}
_KINDS: tuple[type | tuple[type, ...], ...] = (
    bool,
    (int, float, Fraction),
    Char,
    str,
    Keyword,
    Symbol,
    datetime,
    UUID,
    bytes,
    tuple,
)
_NUMBERS = (int, float, Fraction)
_NUMBER, _TUPLE = 1, 9

Key = tuple[object, ...]


def names(index: str) -> str:
    """Return the components of an index, by letter. Raises DatomstoreError."""
    found = INDEXES.get(index)
    if found is None:
        raise DatomstoreError(f"no index {index!r}; there are {', '.join(INDEXES)}")
    return found


def value_key(value: object) -> Key:
    """Return a key by which values of all types sort."""
    if value is None:
        return (-1,)
    for rank, kind in enumerate(_KINDS):
        if isinstance(value, kind):
            if rank == _NUMBER:
                # NaN is no number to compare with: it comes before all of them.
                size = value if value == value else 0
                return (rank, value == value, size, _NUMBERS.index(type(value)))
            if rank == _TUPLE:
                assert isinstance(value, tuple), value
                return (rank, tuple(value_key(item) for item in value))
            return (rank, value.value if isinstance(value, Char) else value)
    return (len(_KINDS), pack(value))


def datom_key(datom: Datom, index: str) -> Key:
    """Return a key by which datoms sort as in an index."""
    parts: dict[str, object] = {"e": datom.e, "a": datom.a.name, "v": value_key(datom.v)}
    return (*(parts[name] for name in names(index)), datom.tx, datom.added)


def ordered(facts: Facts, rows: Rows, index: str) -> Iterator[Datom]:
    """Yield the datoms of rows in the order of an index, made group by group."""
    for group in _groups(facts, rows, index):
        yield from sorted(datoms_at(facts, group), key=lambda datom: datom_key(datom, index))


def of_entity(datoms: list[Datom]) -> list[Datom]:
    """Return the datoms of one entity in the order of EAVT; values are compared only where an attribute has many."""
    datoms.sort(key=_attribute_of)
    start = 0
    for end in range(1, len(datoms) + 1):
        if end == len(datoms) or datoms[end].a is not datoms[start].a:
            if end - start > 1:
                same = datoms[start:end]
                datoms[start:end] = sorted(same, key=lambda datom: datom_key(datom, "eavt"))
            start = end
    return datoms


def _attribute_of(datom: Datom) -> str:
    return datom.a.name


def from_key(datoms: Iterator[Datom], index: str, components: list[object]) -> Iterator[Datom]:
    """Leave out the datoms that stand before the components."""
    parts: list[object] = []
    for name, value in zip(names(index), components, strict=False):
        if name == "a":
            assert isinstance(value, Keyword), value
            parts.append(value.name)
        else:
            parts.append(value_key(value) if name == "v" else value)
    wanted = tuple(parts)
    return dropwhile(lambda datom: datom_key(datom, index)[: len(wanted)] < wanted, datoms)


def between(facts: Facts, rows: Rows, start: object, end: object) -> Rows:
    """Return the rows whose values are at least `start` and below `end`; None is no bound."""
    low = None if start is None else value_key(start)
    high = None if end is None else value_key(end)
    wanted = []
    for v in np.unique(facts.v[rows]).tolist():
        key = value_key(value_of(v))
        if (low is None or low <= key) and (high is None or key < high):
            wanted.append(v)
    return rows[np.isin(facts.v[rows], np.array(wanted, np.int64))]


def _groups(facts: Facts, rows: Rows, index: str) -> Iterator[Rows]:
    """Yield the rows of one entity, value or attribute after the other."""
    if not len(rows):
        return
    if index in ("eavt", "vaet"):
        yield from _split(rows, facts.e[rows] if index == "eavt" else facts.v[rows])
        return
    attributes = facts.a[rows]
    for a in sorted(np.unique(attributes).tolist(), key=lambda a: _name(a)):
        group = rows[attributes == a]
        if index == "aevt":
            yield from _split(group, facts.e[group])
            continue
        values = np.unique(facts.v[group])
        rank = np.empty(len(values), np.int64)
        by_value = sorted(range(len(values)), key=lambda i: value_key(value_of(int(values[i]))))
        rank[by_value] = np.arange(len(values))
        yield from _split(group, rank[np.searchsorted(values, facts.v[group])])


def _split(rows: Rows, keys: Rows) -> Iterator[Rows]:
    """Yield the rows of each key, keys ascending."""
    by_key = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[by_key])) + 1
    yield from np.split(rows[by_key], starts)


def _name(a: int) -> str:
    ident = value_of(a)
    assert isinstance(ident, Keyword), ident
    return ident.name
