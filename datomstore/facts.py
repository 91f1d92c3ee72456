"""All datoms of a stream as growing columns of ids, and the four sorted orders over them.

Is:     rows in the order of the log, with for each added row the row that ended it; permutations that sort the
        rows by EAVT, AEVT, AVET and VAET, made when they are first needed.
Is not: a database value: that is a Facts together with how many of its rows it sees.
Fits:   one writer appends (`datomstore.transaction`); any number of threads read below the row count they hold.
Source: the covering indexes of Datomic; columns of interned ids after column stores such as QLever.

A row is live at n if it was added below n and not ended below n. So the current database, any earlier one and the whole
history are the same columns under another n, and looking back costs what looking now costs. New rows stand behind the
sorted part as a tail that every scan filters; the tail is merged when it has grown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datomstore.intern import Ids
from datomstore.limits import TAIL_ROWS_MIN

NEVER = np.iinfo(np.int64).max
Rows = NDArray[np.int64]  # row numbers

# ORDER: the sort keys of each index, first key first.
ORDERS: dict[str, tuple[str, str, str]] = {
    "eavt": ("e", "a", "v"),
    "aevt": ("a", "e", "v"),
    "avet": ("a", "v", "e"),
    "vaet": ("v", "a", "e"),
}


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows [0, count) in one order, with the keys in that order."""

    count: int
    rows: Rows
    first: Ids
    second: Ids
    third: Ids


class Facts:
    """Columns e, a, v, t (ids), added, and `ended`: the row that retracted this one, or NEVER."""

    def __init__(self, capacity: int = 64) -> None:
        self.count = 0  # committed rows; the writer may have staged more behind them
        self.generation = 0  # how often staged rows were given up: row numbers then come again
        self.e = np.empty(capacity, np.int64)
        self.a = np.empty(capacity, np.int64)
        self.v = np.empty(capacity, np.int64)
        self.t = np.empty(capacity, np.int64)
        self.added = np.empty(capacity, np.bool_)
        self.ended = np.empty(capacity, np.int64)
        self._sorted: dict[str, Sorted] = {}

    def reserve(self, total: int) -> None:
        """Make room for `total` rows. Readers keep the arrays they have."""
        if total <= len(self.e):
            return
        size = max(total, 2 * len(self.e))
        for name in ("e", "a", "v", "t", "added", "ended"):
            column = getattr(self, name)
            grown = np.empty(size, column.dtype)
            grown[: len(column)] = column
            setattr(self, name, grown)

    def order(self, name: str, count: int) -> Sorted:
        """Return a sorted part of at most `count` rows, close to all of them."""
        found = self._sorted.get(name)
        if (
            found is not None
            and found.count <= count
            and count - found.count <= _tail_max(found.count)
        ):
            return found
        if found is not None and found.count > count:
            return found  # a reader in the past: scans filter by row number
        made = self._sort(name, count)
        self._sorted[name] = made
        return made

    def forget_after(self, count: int) -> None:
        """Drop sorted parts that hold rows from `count` on, which are about to be others."""
        self.generation += 1
        for name, part in list(self._sorted.items()):
            if part.count > count:
                self._sorted.pop(name, None)

    def _sort(self, name: str, count: int) -> Sorted:
        first, second, third = (getattr(self, key)[:count] for key in ORDERS[name])
        rows = np.lexsort((third, second, first)).astype(np.int64)
        return Sorted(count, rows, first[rows], second[rows], third[rows])


def _tail_max(sorted_count: int) -> int:
    return max(TAIL_ROWS_MIN, sorted_count // 4)


def narrow(part: Sorted, keys: tuple[int | None, int | None, int | None]) -> slice:
    """Return where the rows stand whose leading keys are those given; None ends the prefix."""
    low, high = 0, part.count
    for column, key in zip((part.first, part.second, part.third), keys, strict=True):
        if key is None:
            break
        window = column[low:high]
        low, high = (
            low + int(np.searchsorted(window, key, "left")),
            low + int(np.searchsorted(window, key, "right")),
        )
    return slice(low, high)


def spread(low: Rows, counts: Rows, total: int) -> tuple[Rows, Rows]:
    """Return (number, position) for every position of ranges that begin at `low`; `total` is the sum of `counts`."""
    number = np.repeat(np.arange(len(low), dtype=np.int64), counts)
    starts = np.repeat(low - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    return number, (np.arange(total, dtype=np.int64) + starts).astype(np.int64)
