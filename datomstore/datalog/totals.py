"""Groups of rows, and aggregates of all groups at once.

Is:     rows numbered by the ids of their keys; counts, sums, means, extremes, medians, deviations and distinct values of
        columns of numbers, worked out without an object for each value.
Is not: what an aggregate means (`aggregates`), or the only way to work one out: None says that values must be looked at.
Fits:   `results` asks for each aggregate of :find.

A group's number is (id - low) >> shift of its key where ids lie close together, so numbering costs nothing; else keys
are put in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from datomstore.datalog._columns import (
    counts_of,
    doubles_of,
    gathered,
    span_of,
    sums_of,
    totals_of,
    types_of,
)
from datomstore.facts import Rows
from datomstore.intern import Ids, value_table, values_of
from datomstore.value import EXACT_TYPES

ADDRESSES_PER_ROW = 4  # numbers of groups for each row, up to which a number is an address
ADDRESSES_FREE = 1_024  # ... however few rows there are
NUMBERS_MAX = 1 << 62
SQUARE_MAX = 1e150  # of a deviation, whose square is a double and a sum of many still is


class Groups:
    """Rows by group; groups are in the order of their numbers."""

    def __init__(self, keys: Sequence[Ids], count: int) -> None:
        self.count = count  # rows
        self._codes, self._low, self._shift, self._span = _codes(keys, count)
        self._rows: tuple[Rows, Rows] | None = None
        self._counts: Ids | None = None
        self._present_: Rows | None = None

    # -- sizes, which a sum tells as well --

    def _counted(self, counts: Ids) -> None:
        if self._counts is None:
            self._present_ = np.flatnonzero(counts)
            self._counts = counts[self._present_]

    @property
    def sizes(self) -> Ids:
        """How many rows each group has."""
        if self._counts is None:
            self._counted(counts_of(self._codes, self._low, self._shift, self._span))
        assert self._counts is not None, "counted"
        return self._counts

    @property
    def _present(self) -> Rows:
        """The numbers that are those of groups."""
        assert len(self.sizes), "rows of no group"
        assert self._present_ is not None, "counted"
        return self._present_

    # -- rows --

    def rows(self) -> tuple[Rows, Rows]:
        """Return (order, starts): the rows group by group, and where each group begins."""
        if self._rows is None:
            order, starts = gathered(self._numbers(), self._span)
            bounds = np.append(starts[self._present], self.count)
            self._rows = order, bounds
        return self._rows

    def _numbers(self) -> Ids:
        if self._low == 0 and self._shift == 0:
            return self._codes
        return (self._codes - self._low) >> self._shift

    def members(self) -> list[Rows]:
        """Return the numbers of the rows of each group."""
        order, bounds = self.rows()
        return [order[start:end] for start, end in pairwise(bounds.tolist())]

    def firsts(self) -> Rows:
        """Return the first row of each group."""
        order, bounds = self.rows()
        return order[bounds[:-1]]

    def values(self, key: Ids) -> list[object]:
        """Return the value that a key has in each group."""
        if key is self._codes:
            return values_of((self._present << self._shift) + self._low)
        return values_of(key[self.firsts()])

    # -- aggregates --

    def aggregate(self, name: str, column: Ids) -> list[object] | None:
        """Return an aggregate without arguments for each group; None if it is not made of whole columns."""
        match name:
            case "count":
                return self.sizes.tolist()  # type: ignore[no-any-return]
            case "sum" | "avg":
                return self._sum(column, mean=name == "avg")
            case "min" | "max":
                return self._extreme(name, column)
            case "median":
                return self._median(column)
            case "variance" | "stddev":
                return self._variance(column, root=name == "stddev")
            case "count-distinct":
                return self._distinct(column)
        return None

    def _integer_sums(self, column: Ids) -> Ids | None:
        """Return exact sums of small integers."""
        found = sums_of(self._codes, self._low, self._shift, self._span, column)
        if found is None:
            return None
        self._counted(found[0])
        return found[1][self._present]

    def _sum(self, column: Ids, *, mean: bool) -> list[object] | None:
        sums = self._integer_sums(column)
        if sums is not None:
            made = sums.tolist()
            return list(map(mean_of, made, self.sizes.tolist())) if mean else made
        doubles = _doubles(column)
        if doubles is None:
            return None
        totals = self._added(doubles)
        return (totals / self.sizes if mean else totals).tolist()  # type: ignore[no-any-return]

    def _added(self, doubles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sums of doubles, each group's added in the order of its rows, as the aggregate itself does."""
        numbers = self._numbers()
        sums = np.bincount(numbers, weights=doubles, minlength=self._span).astype(np.float64)
        return sums[self._present]

    def _extreme(self, name: str, column: Ids) -> list[object] | None:
        found = totals_of(self._codes, self._low, self._shift, self._span, column)
        if found is not None:
            self._counted(found[0])
            return (found[2] if name == "min" else found[3])[self._present].tolist()  # type: ignore[no-any-return]
        doubles = _doubles(column)
        if doubles is None or np.isnan(doubles).any() or (doubles == 0).any():
            return None  # which of 0.0 and -0.0 it is depends on the order
        order, bounds = self.rows()
        reduce = np.minimum if name == "min" else np.maximum
        return reduce.reduceat(doubles[order], bounds[:-1]).tolist()  # type: ignore[no-any-return]

    def _median(self, column: Ids) -> list[object] | None:
        if (column & 1).any():
            return None
        bounds = self.rows()[1]
        ordered = column[np.lexsort((column, self._numbers()))] >> 1
        sizes = np.diff(bounds)
        high = ordered[bounds[:-1] + sizes // 2]
        low = ordered[bounds[:-1] + (sizes - 1) // 2]
        return [
            b if a == b else mean_of(a + b, 2)
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]

    def _variance(self, column: Ids, *, root: bool) -> list[object] | None:
        doubles = doubles_of(column, value_table())
        if doubles is None or not np.abs(doubles).max() < SQUARE_MAX:
            return None  # too large for a double, or no number
        means = np.zeros(self._span)
        means[self._present] = self._added(doubles) / self.sizes
        off = doubles - means[self._numbers()]
        found = self._added(off * off) / self.sizes
        return (np.sqrt(found) if root else found).tolist()  # type: ignore[no-any-return]

    def _distinct(self, column: Ids) -> list[object] | None:
        if not EXACT_TYPES.issuperset(types_of(column, value_table())):
            return None
        numbers = self._numbers()
        order = np.lexsort((column, numbers))
        ordered, groups = column[order], numbers[order]
        fresh = np.ones(self.count, np.bool_)
        fresh[1:] = (ordered[1:] != ordered[:-1]) | (groups[1:] != groups[:-1])
        return np.bincount(groups[fresh], minlength=self._span)[self._present].tolist()  # type: ignore[no-any-return]


def mean_of(total: int, count: int) -> object:
    """Return the exact mean: an integer where it is one."""
    return total / count if total % count else total // count


def _doubles(column: Ids) -> NDArray[np.float64] | None:
    """Return a column all of whose values are doubles."""
    return doubles_of(column, value_table()) if (column & 1).all() else None


def _codes(keys: Sequence[Ids], count: int) -> tuple[Ids, int, int, int]:
    """Return (codes, low, shift, span): the group of a row is (code - low) >> shift, below span."""
    most = ADDRESSES_PER_ROW * count + ADDRESSES_FREE
    if not keys:
        return np.zeros(count, np.int64), 0, 0, 1
    if len(keys) == 1:
        low, step, span = span_of(keys[0])
        if span <= most:
            return keys[0], low, step - 1, span
    made, total = np.zeros(count, np.int64), 1
    for key in keys:
        low, step, span = span_of(key)
        if total * span > most:  # only those that there are
            distinct, numbers = np.unique(key, return_inverse=True)
            span = len(distinct)
        else:
            numbers = (key - low) >> (step - 1)
        if total * span >= NUMBERS_MAX:
            distinct, made = np.unique(made, return_inverse=True)
            total = len(distinct)
        made = made * span + numbers
        total *= span
        if total > most:
            distinct, made = np.unique(made, return_inverse=True)
            total = len(distinct)
    return made.astype(np.int64, copy=False), 0, 0, total
