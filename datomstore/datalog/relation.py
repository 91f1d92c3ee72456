"""Relations: named columns of ids.

Is:     Relation, the rows found so far while a body is answered.
Is not: the tables it is joined with (`_kernel`).
Fits:   `steps` joins a Relation with a Table.

Duplicates are found by a mixed 64-bit hash; rows that meet in it are compared column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from datomstore.datalog._columns import first_rows, span_of
from datomstore.datalog._kernel import Table
from datomstore.facts import Rows
from datomstore.intern import Ids
from datomstore.value import Symbol

CLOSE = 4  # ids from the least to the greatest for each row, up to which one is found by its number
CLOSE_ROWS_MIN = 64
REPEATS_ROWS_MIN = 1 << 16  # fewer are looked through at once
REPEATS_SAMPLE = 4_096
REPEATS_STRIDE = 2_654_435_761  # Knuth's multiplier: rows as if by chance, the same in every run
EMPTY = np.empty(0, np.int64)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Relation:
    """Rows over variables; the same row may stand in it twice, unless it is known that none does."""

    __slots__ = ("columns", "count", "is_distinct")

    def __init__(
        self, columns: dict[Symbol, Ids], count: int, *, is_distinct: bool = False
    ) -> None:
        self.columns = columns
        self.count = count
        self.is_distinct = is_distinct or count < 2

    @staticmethod
    def unit() -> Relation:
        """Return the relation of one row and no variables: true."""
        return Relation({}, 1)

    def take(self, rows: Rows | NDArray[np.bool_]) -> Relation:
        """Return the rows with these numbers, or those of a mask."""
        if rows.dtype != np.bool_:
            columns = {name: column[rows] for name, column in self.columns.items()}
            return Relation(columns, len(rows))
        chosen = np.flatnonzero(rows)  # cheaper than the mask, once for all columns
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Relation(columns, len(chosen), is_distinct=self.is_distinct)

    def part(self, start: int, end: int) -> Relation:
        """Return the rows [start, end), without copying them."""
        columns = {name: column[start:end] for name, column in self.columns.items()}
        count = max(0, min(end, self.count) - start)
        return Relation(columns, count, is_distinct=self.is_distinct)

    def keep(self, names: Iterable[Symbol]) -> Relation:
        """Return the relation without the variables that are not named."""
        wanted = frozenset(names)
        if self.columns.keys() <= wanted:
            return self
        return Relation({n: c for n, c in self.columns.items() if n in wanted}, self.count)

    def distinct(self, names: Sequence[Symbol]) -> Relation:
        """Return the distinct rows over some of the variables."""
        if not names:
            return Relation({}, min(self.count, 1))
        columns = {name: self.columns[name] for name in names}
        if self.is_distinct and len(columns) == len(self.columns):
            return Relation(columns, self.count, is_distinct=True)
        if len(names) == 1 and self.count > CLOSE_ROWS_MIN:
            (column,) = columns.values()
            low, step, span = span_of(column)
            if span <= CLOSE * self.count:
                rows = first_rows(column, low, step - 1, span)
                return Relation({names[0]: column[rows]}, len(rows), is_distinct=True)
        table = Table(len(columns))
        count = table.add(list(columns.values()), self.count)
        made = {name: table.column(place) for place, name in enumerate(columns)}
        return Relation(made, count, is_distinct=True)


def repeated(columns: Sequence[Ids], count: int) -> bool:
    """Return whether it looks as if less than half of many rows were distinct, from how many of a few are the same.

    Of k rows taken by chance from d distinct ones, about k * k / 2d are the same as another.
    """
    if count < REPEATS_ROWS_MIN or not columns:
        return True
    rows = np.arange(REPEATS_SAMPLE, dtype=np.int64) * REPEATS_STRIDE % count
    sample = [column[rows] for column in columns]
    same = REPEATS_SAMPLE - len(distinct_rows(sample))
    return same * count > REPEATS_SAMPLE * REPEATS_SAMPLE


def together(parts: Sequence[Relation]) -> Relation:
    """Return the rows of all parts, which have the same variables; the same row may stand in two."""
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    return Relation(columns, sum(part.count for part in parts))


def mixed(columns: Sequence[Ids]) -> Ids:
    """Return one key for each row: the column itself, or a hash of several."""
    if len(columns) == 1:
        return columns[0]
    key = columns[0].view(np.uint64) * _MIX
    for column in columns[1:]:
        key = (key ^ (key >> _SHIFT)) + column.view(np.uint64)
        key *= _MIX
    return key.view(np.int64)


def distinct_rows(columns: Sequence[Ids]) -> Rows:
    """Return the number of one row of each distinct row, in the order of their mixed keys."""
    if len(columns[0]) < 2:
        return np.arange(len(columns[0]), dtype=np.int64)
    keys = mixed(columns)
    order = np.argsort(keys)
    fresh = _changes([keys[order]])
    if len(columns) > 1 and not np.array_equal(fresh, _changes([c[order] for c in columns])):
        order = np.lexsort(columns)  # two rows met in one key
        fresh = _changes([column[order] for column in columns])
    return order[fresh].astype(np.int64)


def _changes(ordered: Sequence[Ids]) -> NDArray[np.bool_]:
    """Return which rows differ from the row before."""
    fresh = np.zeros(len(ordered[0]), np.bool_)
    fresh[0] = True
    for column in ordered:
        fresh[1:] |= column[1:] != column[:-1]
    return fresh


Spend = Callable[
    [int], None
]  # told how many rows a look-up is about to make; raises if they are too many


def unmetered(rows: int) -> None:
    """Count nothing."""
