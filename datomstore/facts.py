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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from datomstore.datom import TX_BASE, Datom
from datomstore.intern import Ids, intern, values_of
from datomstore.limits import TAIL_ROWS_MIN
from datomstore.value import Keyword

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
        # Whether no two live rows have the same e, a and v: a writer makes none, others may.
        self.distinct = True
        self.generation = 0  # how often staged rows were given up: row numbers then come again
        self.e = np.empty(capacity, np.int64)
        self.a = np.empty(capacity, np.int64)
        self.v = np.empty(capacity, np.int64)
        self.t = np.empty(capacity, np.int64)
        self.added = np.empty(capacity, np.bool_)
        self.ended = np.empty(capacity, np.int64)
        self._sorted: dict[str, Sorted] = {}

    @staticmethod
    def of_columns(e: Ids, a: Ids, v: Ids, t: Ids, added: NDArray[np.bool_]) -> Facts:
        """Return the facts of columns in the order of a log; what each row ended is found by sorting."""
        facts = Facts(0)
        facts.distinct = False  # unless its caller knows
        facts.e, facts.a, facts.v, facts.t, facts.added = e, a, v, t, added
        facts.count = len(e)
        facts.ended = np.full(len(e), NEVER, np.int64)
        if not added.all():
            part = facts.order("eavt", len(e))
            rows = part.rows  # equal facts stand in the order of the log
            same = (
                (part.first[1:] == part.first[:-1])
                & (part.second[1:] == part.second[:-1])
                & (part.third[1:] == part.third[:-1])
                & added[rows[:-1]]
                & ~added[rows[1:]]
            )
            facts.ended[rows[:-1][same]] = rows[1:][same]
        return facts

    @staticmethod
    def of_log(
        transactions: Iterable[tuple[int, Sequence[tuple[int, Keyword, object, bool]]]],
    ) -> tuple[Facts, list[tuple[int, int]]]:
        """Return the facts of (t, rows) and (t, row after it) of every transaction."""
        e: list[int] = []
        a: list[int] = []
        v: list[int] = []
        added: list[bool] = []
        ends: list[tuple[int, int]] = []
        for t, rows in transactions:
            for entity, attribute, value, op in rows:
                e.append(entity << 1)
                a.append(intern(attribute))
                v.append(intern(value))
                added.append(op)
            ends.append((t, len(e)))
        tx = np.array([(TX_BASE + t) << 1 for t, _ in ends], np.int64)
        after = np.array([0, *(end for _, end in ends)], np.int64)
        facts = Facts.of_columns(
            np.array(e, np.int64),
            np.array(a, np.int64),
            np.array(v, np.int64),
            np.repeat(tx, after[1:] - after[:-1]),
            np.array(added, np.bool_),
        )
        facts.distinct = True
        return facts, ends

    def fork(self, count: int) -> Facts:
        """Return facts with the first `count` rows, to which another writer may append; sorted parts are shared."""
        made = Facts(0)
        made.count = count
        made.distinct = self.distinct
        room = count + TAIL_ROWS_MIN
        for name in ("e", "a", "v", "t", "added", "ended"):
            column = getattr(self, name)
            grown = np.empty(room, column.dtype)
            grown[:count] = column[:count]
            setattr(made, name, grown)
        made.ended[:count][made.ended[:count] >= count] = NEVER  # ended in a future of the original
        made._sorted = {
            name: part for name, part in self._sorted.copy().items() if part.count <= count
        }
        return made

    def is_set(self) -> bool:
        """Return whether no fact stands here twice, by sorting; False also where some are retracted."""
        if not self.count or not self.added[: self.count].all():
            return not self.count
        part = self._sort("eavt", self.count)
        same = (
            (part.first[1:] == part.first[:-1])
            & (part.second[1:] == part.second[:-1])
            & (part.third[1:] == part.third[:-1])
        )
        return not same.any()

    def _reserve(self, total: int) -> None:
        """Make room for `total` rows. Readers keep the arrays they have."""
        if total <= len(self.e):
            return
        size = max(total, 2 * len(self.e))
        for name in ("e", "a", "v", "t", "added", "ended"):
            column = getattr(self, name)
            grown = np.empty(size, column.dtype)
            grown[: len(column)] = column
            setattr(self, name, grown)

    # -- the writer: nobody else changes rows --

    def write(
        self,
        start: int,
        e: Sequence[int],
        a: Sequence[int],
        v: Sequence[int],
        tx: int,
        ends: Iterable[tuple[int, int]],
    ) -> None:
        """Put the rows of a transaction, as ids, behind what is committed or staged; nothing shows them yet.

        `start` is the first of these rows, `tx` the id of the transaction; `ends` are (row of a retraction, the row that
        it ends), and all other rows are additions.
        """
        end = start + len(e)
        self._reserve(end)
        self.e[start:end], self.a[start:end], self.v[start:end] = e, a, v
        self.t[start:end] = tx
        self.added[start:end] = True
        self.ended[start:end] = NEVER
        for row, ended in ends:
            self.added[row] = False
            self.end(ended, row)

    def take_back(self, start: int) -> None:
        """Give up the staged rows from `start` on; their numbers come again. What they ended is `live_again` before."""
        self._forget_after(start)

    def end(self, row: int, by: int) -> None:
        """Note which row retracts a row."""
        self.ended[row] = by

    def live_again(self, row: int) -> None:
        """Note that no row retracts a row after all."""
        self.ended[row] = NEVER

    def replace_value(self, row: int, v: int) -> None:
        """Give a staged row, which nobody has seen, another value."""
        self.v[row] = v

    def e_at(self, row: int) -> int:
        """Return the id of a row's entity."""
        return int(self.e[row])

    def v_at(self, row: int) -> int:
        """Return the id of a row's value."""
        return int(self.v[row])

    # -- sorted parts --

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

    def _forget_after(self, count: int) -> None:
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


class DatomRows(Sequence[Datom]):
    """The datoms of some rows, made when they are looked at."""

    __slots__ = ("_end", "_facts", "_start")

    def __init__(self, facts: Facts, start: int, end: int) -> None:
        self._facts = facts
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return self._end - self._start

    @overload
    def __getitem__(self, index: int) -> Datom: ...
    @overload
    def __getitem__(self, index: slice) -> list[Datom]: ...
    def __getitem__(self, index: int | slice) -> Datom | list[Datom]:
        rows = np.arange(self._start, self._end, dtype=np.int64)
        if isinstance(index, slice):
            return datoms_at(self._facts, rows[index])
        return datoms_at(self._facts, rows[index : index + 1 or None])[0]

    def __iter__(self) -> Iterator[Datom]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, DatomRows)) and self[:] == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self[:])


def datoms_at(facts: Facts, rows: Rows) -> list[Datom]:
    """Return the datoms of some rows."""
    columns = (facts.e, facts.a, facts.v, facts.t)
    added: list[bool] = facts.added[rows].tolist()
    return list(map(Datom, *(values_of(column[rows]) for column in columns), added))
