"""The order in which indexes give datoms to people: by value, not by id.

Is:     a total order of values of all types, and datoms sorted by EAVT, AEVT, AVET or VAET.
Is not: the order of the engine's sorted parts, which is by ids (`datomstore.facts`).
Fits:   `Database.datoms`, `seek_datoms` and `index_range`. Datoms are made in parts, as they are asked for.

Attributes are ordered by name. Values are ordered by kind, then by size: booleans, numbers (1 before 1.0), characters,
strings, keywords, symbols, instants, UUIDs, bytes, tuples item by item (nil first), all else by its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import dropwhile
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from datomstore.codec import pack
from datomstore.datom import Datom
from datomstore.errors import DatomstoreError
from datomstore.facts import Facts, Rows, datoms_at
from datomstore.intern import Ids, value_of
from datomstore.limits import DATOMS_PAGE
from datomstore.value import Char, Keyword, Symbol

INDEXES = {"eavt": "eav", "aevt": "aev", "avet": "ave", "vaet": "vae"}
_KINDS: tuple[type | tuple[type, ...], ...] = (
    bool,
    (int, float, Fraction, Decimal),
    Char,
    str,
    Keyword,
    Symbol,
    datetime,
    UUID,
    bytes,
    tuple,
)
_NUMBERS = (int, float, Fraction, Decimal)
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
                size = Fraction(size) if isinstance(size, Decimal) else size
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
    """Yield the datoms of rows in the order of an index; they are made in parts, as they are asked for."""
    if not len(rows):
        return
    e, a, v = facts.e[rows], facts.a[rows], facts.v[rows]
    keys = {"e": e, "a": _ranks(a, lambda found: _name(found))}
    if index == "avet":
        keys["v"] = _value_ranks(v)
    elif index == "vaet":
        keys["v"] = v  # of references: the order of ids is that of entities
    order = np.lexsort(
        (facts.added[rows], facts.t[rows], *(keys[n] for n in reversed(names(index)) if n in keys))
    )
    rows, e, a = rows[order], e[order], a[order]
    # Values of one attribute of one entity: only these are not in order yet.
    tied = (e[1:] == e[:-1]) & (a[1:] == a[:-1]) & (index in ("eavt", "aevt"))
    start = 0
    while start < len(rows):
        end = min(start + DATOMS_PAGE, len(rows))
        while end < len(rows) and tied[end - 1]:
            end += 1
        datoms = datoms_at(facts, rows[start:end])
        _untie(datoms, tied[start : end - 1], index)
        yield from datoms
        start = end


def _untie(datoms: list[Datom], tied: NDArray[np.bool_], index: str) -> None:
    """Sort datoms where neighbours are tied."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], tied, [False])).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        same = datoms[first : last + 1]
        datoms[first : last + 1] = sorted(same, key=lambda datom: datom_key(datom, index))


def _ranks(ids: Ids, key: Callable[[int], Any]) -> Ids:
    """Return for each id its place among all, by a key."""
    found, place = np.unique(ids, return_inverse=True)
    rank = np.empty(len(found), np.int64)
    rank[sorted(range(len(found)), key=lambda i: key(int(found[i])))] = np.arange(len(found))
    return rank[place]


def _value_ranks(ids: Ids) -> Ids:
    if not (ids & 1).any():
        return ids  # integers, in their order
    return _ranks(ids, lambda found: value_key(value_of(found)))


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


def _name(a: int) -> str:
    ident = value_of(a)
    assert isinstance(ident, Keyword), ident
    return ident.name
