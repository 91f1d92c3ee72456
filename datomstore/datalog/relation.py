"""Relations: named columns of ids, and tables that grow without duplicates.

Is:     Relation (the rows found so far while a body is answered) and Table (facts of one predicate, with indexes).
Is not: a choice of order or of index: `plan` and the steps choose.
Fits:   `steps` joins a Relation with a Table; `rules` adds to Tables.

Several columns are looked up by a mixed 64-bit hash; every match is then compared column by column, so two keys that
meet in a hash never meet in an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore.datalog.limits import SET_ROWS_MAX
from datomstore.facts import Rows, spread
from datomstore.intern import Ids
from datomstore.value import Symbol

EMPTY = np.empty(0, np.int64)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Relation:
    """Rows over variables; the same row may stand in it twice."""

    __slots__ = ("columns", "count")

    def __init__(self, columns: dict[Symbol, Ids], count: int) -> None:
        self.columns = columns
        self.count = count

    @staticmethod
    def unit() -> Relation:
        """Return the relation of one row and no variables: true."""
        return Relation({}, 1)

    def take(self, rows: Rows | NDArray[np.bool_]) -> Relation:
        """Return the rows with these numbers, or those of a mask."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        count = int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
        return Relation(columns, count)

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
        rows = distinct_rows([self.columns[name] for name in names])
        return Relation({name: self.columns[name][rows] for name in names}, len(rows))


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


class _Run(NamedTuple):
    """Keys of some rows of a table in ascending order, and the rows."""

    keys: Ids
    rows: Rows


class _Index:
    """Sorted runs over some columns of a table; new rows become a new run, runs merge when they are alike in size."""

    def __init__(self, table: Table, places: tuple[int, ...]) -> None:
        self.table = table
        self.places = places
        # Number of rows covered, and the runs: replaced as a whole, since a table of facts is shared by threads.
        self._state: tuple[int, tuple[_Run, ...]] = (0, ())

    def probe(self, keys: Sequence[Ids], spend: Spend) -> tuple[Rows, Rows]:
        """Return (number of the key, row of the table) for every match."""
        wanted = mixed(keys)
        found = []
        for run in self._runs():
            low = run.keys.searchsorted(wanted, "left")
            counts = run.keys.searchsorted(wanted, "right") - low
            total = int(counts.sum())
            if total:
                spend(total)
                probe, position = spread(low, counts, total)
                found.append((probe, run.rows[position]))
        if not found:
            return EMPTY, EMPTY
        probe, rows = found[0] if len(found) == 1 else _joined(found)
        if len(self.places) > 1:
            same = np.ones(len(probe), np.bool_)
            for place, key in zip(self.places, keys, strict=True):
                same &= self.table.column(place)[rows] == key[probe]
            if not same.all():
                probe, rows = probe[same], rows[same]
        return probe, rows

    def contains(self, keys: Sequence[Ids]) -> NDArray[np.bool_]:
        """Return which of the keys some row has."""
        wanted = mixed(keys)
        found = np.zeros(len(wanted), np.bool_)
        for run in self._runs():
            position = run.keys.searchsorted(wanted)
            position[position == len(run.keys)] = 0
            hit = run.keys[position] == wanted
            rows = run.rows[position[hit]]
            for place, key in zip(self.places, keys, strict=True):
                if not np.array_equal(self.table.column(place)[rows], key[hit]):
                    return self._contains_exactly(keys)
            found |= hit
        return found

    def _contains_exactly(self, keys: Sequence[Ids]) -> NDArray[np.bool_]:
        """Return the same where two rows met in one mixed key."""
        found = np.zeros(len(keys[0]), np.bool_)
        found[self.probe(keys, unmetered)[0]] = True
        return found

    def _runs(self) -> tuple[_Run, ...]:
        """Return runs that cover every row."""
        covered, runs = self._state
        end = self.table.count
        if covered == end:
            return runs
        start = covered
        while runs and len(runs[-1].keys) < 2 * (end - start):
            start -= len(runs[-1].keys)
            runs = runs[:-1]
        keys = mixed([self.table.column(place)[start:end] for place in self.places])
        order = np.argsort(keys, kind="stable")
        runs = (*runs, _Run(keys[order], (order + start).astype(np.int64)))
        self._state = (end, runs)
        return runs


def _joined(found: list[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def unmetered(rows: int) -> None:
    """Count nothing."""


class Table:
    """Distinct rows of ids, only ever added to.

    A small table knows its rows as a set of tuples; a larger one looks new rows up in its index of all columns.
    """

    def __init__(self, arity: int) -> None:
        self.arity = arity
        self.count = 0
        self._columns = [np.empty(16, np.int64) for _ in range(arity)]
        self._seen: set[tuple[int, ...]] | None = set()
        self._indexes: dict[tuple[int, ...], _Index] = {}

    @staticmethod
    def of(columns: Sequence[Ids], count: int | None = None) -> Table:
        """Return a table over columns that are distinct rows already and never grow."""
        table = Table(0)
        table.arity = len(columns)
        table.count = len(columns[0]) if count is None else count
        table._columns = list(columns)
        return table

    def column(self, place: int) -> Ids:
        """Return one column, of all rows."""
        return self._columns[place][: self.count]

    def add(self, columns: Sequence[Ids], count: int) -> int:
        """Add rows; return how many of them are new."""
        if not count:
            return 0
        if not self.arity:
            fresh = 1 - self.count
            self.count = 1
            return fresh
        if self._seen is not None and max(self.count, count) < SET_ROWS_MAX:
            return self._add_few(columns, self._seen)
        self._seen = None
        rows = distinct_rows(columns)
        if self.count:
            known = self._index(tuple(range(self.arity))).contains([c[rows] for c in columns])
            rows = rows[~known]
        self._append([column[rows] for column in columns], len(rows))
        return len(rows)

    def _add_few(self, columns: Sequence[Ids], seen: set[tuple[int, ...]]) -> int:
        rows = set(zip(*(column.tolist() for column in columns), strict=True))
        rows -= seen
        if rows:
            seen |= rows
            made = np.array(list(rows), np.int64)
            self._append([made[:, place] for place in range(self.arity)], len(rows))
        return len(rows)

    def _append(self, columns: Sequence[Ids], count: int) -> None:
        end = self.count + count
        self._reserve(end)
        for column, made in zip(self._columns, columns, strict=True):
            column[self.count : end] = made
        self.count = end

    def _reserve(self, total: int) -> None:
        if total <= len(self._columns[0]):
            return
        size = max(total, 2 * len(self._columns[0]))
        for place, column in enumerate(self._columns):
            grown = np.empty(size, np.int64)
            grown[: self.count] = column[: self.count]
            self._columns[place] = grown

    def probe(
        self, places: tuple[int, ...], keys: Sequence[Ids], spend: Spend
    ) -> tuple[Rows, Rows]:
        """Return (number of the key, row) for every row whose columns at `places` are a key's."""
        return self._index(places).probe(keys, spend)

    def is_indexed(self, places: tuple[int, ...]) -> bool:
        """Return whether a look-up by these columns finds its index made."""
        return places in self._indexes

    def _index(self, places: tuple[int, ...]) -> _Index:
        index = self._indexes.get(places)
        if index is None:
            index = self._indexes[places] = _Index(self, places)
        return index
