"""The facts with some constants, as columns that are looked up.

Is:     Extent: rows of a database, their columns read when they are asked for, with indexes of these; and what a
        transaction makes of one.
Is not: a choice of which are kept (`sources`), or the database's own orders (`datomstore.facts`).
Fits:   `steps` joins relations with extents.

The facts of one attribute stand in the order of their entities. Attributes that the same entities have share one
column of these, so joining them is no work at all: equal positions, equal entities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from datomstore.database import Database
from datomstore.datalog._columns import COMPARISONS, Index, is_ascending, rows_where
from datomstore.datalog._generic import Trie
from datomstore.datalog._kernel import Table
from datomstore.datalog.limits import FILTERED_FEW, FILTERED_IN_VAIN, GROUP_FILTERED_MAX
from datomstore.datalog.relation import Spend
from datomstore.facts import Rows
from datomstore.intern import Ids, intern

TRUE, FALSE = intern(True), intern(False)
Key = tuple[int | None, ...]
Share = Callable[[Ids], Ids]
Found = tuple[Rows | None, Rows | None]  # of a probe; None: all of them, in their order


class Extent:
    """Distinct rows of facts: columns e, a, v, tx, added. Fixed, and safe for threads."""

    __slots__ = (
        "_columns",
        "_database",
        "_indexes",
        "_ordered",
        "_table",
        "_tries",
        "_vain",
        "count",
        "rows",
    )
    arity = 5

    def __init__(self, database: Database, rows: Rows, columns: dict[int, Ids]) -> None:
        self._database = database
        self.rows = rows
        self.count = len(rows)
        self._columns = columns
        self._indexes: dict[int, Index] = {}
        self._table: Table | None = None
        self._ordered: dict[int, Rows | None] = {}
        self._tries: dict[tuple[int, ...], Trie] = {}
        self._vain: dict[int, int] = {}

    @staticmethod
    def of(database: Database, key: Key, share: Share) -> Extent:
        """Return the facts with some constants."""
        facts = database.facts
        rows = database.rows(key[0], key[1], key[2])
        if key[3] is not None:
            rows = rows[facts.t[rows] == key[3]]
        if key[4] is not None:
            rows = rows[facts.added[rows] == (key[4] == TRUE)]
        entities = facts.e[rows]
        if key[1] is not None and not is_ascending(entities):
            order = np.argsort(entities, kind="stable")
            rows, entities = rows[order], entities[order]
        return Extent(database, rows, {0: share(entities)})

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        columns = 8 * self.count * (1 + len(self._columns) + len(self._indexes))
        return columns + sum(trie.size for trie in self._tries.copy().values())

    def column(self, place: int) -> Ids:
        """Return entities, attributes, values, transactions, or whether the facts were added."""
        found = self._columns.get(place)
        if found is None:
            facts, rows = self._database.facts, self.rows
            match place:
                case 0:
                    found = facts.e[rows]
                case 1:
                    found = facts.a[rows]
                case 2:
                    found = facts.v[rows]
                case 3:
                    found = facts.t[rows]
                case _:
                    found = np.where(facts.added[rows], TRUE, FALSE)
            self._columns[place] = found
        return found

    def table(self) -> Table:
        """Return the same rows for a join of the kernel."""
        if self._table is None:
            self._table = Table.of([self.column(place) for place in range(5)])
        return self._table

    def trie(self, places: tuple[int, ...]) -> Trie:
        """Return the distinct rows over some columns in their order, for a join of several tables at once."""
        found = self._tries.get(places)
        if found is None:
            found = self._tries[places] = Trie([self.column(place) for place in places])
        return found

    def most(self, place: int) -> int:
        """Return how many rows have the commonest id of a column; all of them where that is not known."""
        index = self._index(place)
        return index.most if index.usable else self.count

    def has_index(self, place: int) -> bool:
        """Return whether a look-up by one column finds its index made."""
        return place in self._indexes or (
            self._table is not None and self._table.is_indexed((place,))
        )

    def _index(self, place: int) -> Index:
        found = self._indexes.get(place)
        if found is None:
            found = self._indexes[place] = Index(self.column(place))
        return found

    # -- joins --

    def probe(self, places: tuple[int, ...], keys: Sequence[Ids], spend: Spend) -> Found:
        """Return (number of the key, row) for every row whose columns at `places` are a key's; None: every one, once.

        Args:
            places: distinct columns, at least one.
            keys: a column of ids for each of them.
            spend: told how many rows there will be; raises if they are too many.
        """
        if len(places) == 1:
            (place,), (wanted,) = places, keys
            index = self._index(place)
            if index.unique and wanted is self._columns[place]:
                spend(self.count)
                return None, None
            if index.usable:
                return index.probe(wanted, spend)
            return self.table().probe(places, keys, spend)
        return self._probe_several(places, keys, spend)

    def _probe_several(self, places: tuple[int, ...], keys: Sequence[Ids], spend: Spend) -> Found:
        """Look up by the column that tells rows apart best, and compare the others."""
        at = min(range(len(places)), key=lambda at: self._most(places[at]))
        if self._most(places[at]) > GROUP_FILTERED_MAX:
            return self.table().probe(places, keys, spend)
        probe, rows = self._index(places[at]).probe(keys[at], spend)
        same: np.ndarray | None = None
        for place, wanted in zip(places, keys, strict=True):
            if place != places[at]:
                equal = self.column(place)[rows] == (wanted if probe is None else wanted[probe])
                same = equal if same is None else same & equal
        chosen = np.flatnonzero(same)  # type: ignore[arg-type]
        return chosen if probe is None else probe[chosen], rows[chosen]

    def _most(self, place: int) -> int:
        """Return how many rows have the commonest id of a column."""
        index = self._index(place)
        return index.most if index.usable else self.count + GROUP_FILTERED_MAX  # more than any

    # -- comparison with a constant --

    def rows_where(self, place: int, name: str, bound: int) -> Rows | None:
        """Return the rows whose value compares so with a small integer; None if some are not small integers.

        The first times the column is gone through. If little of it was wanted, its order is then made and searched.
        """
        ordered = self._ordered.get(place)
        if ordered is not None:
            return _within(self.column(place), ordered, name, bound)
        rows = rows_where(self.column(place), COMPARISONS[name], bound)
        if (
            rows is not None
            and place not in self._ordered
            and len(rows) * FILTERED_FEW < self.count
        ):
            vain = self._vain[place] = self._vain.get(place, 0) + 1
            if vain > FILTERED_IN_VAIN:
                self._ordered[place] = np.argsort(self.column(place), kind="stable")
        return rows

    # -- after a transaction --

    def after(self, database: Database, key: Key, share: Share) -> Extent:
        """Return the facts with these constants, of which one is an attribute, in a later value of the same database."""
        facts, start, end = database.facts, self._database.count_rows, database.count_rows
        changed = facts.a[start:end] == key[1]
        if key[2] is not None:
            changed &= facts.v[start:end] == key[2]
        window = np.flatnonzero(changed) + start
        if not len(window):
            return self
        last = {
            (e, v): row
            for e, v, row in zip(
                facts.e[window].tolist(), facts.v[window].tolist(), window.tolist(), strict=True
            )
        }
        entities, values = self.column(0), self.column(2)
        gone: list[int] = []
        for e, v in last:
            low, high = (int(np.searchsorted(entities, e, side)) for side in ("left", "right"))
            gone.extend((np.flatnonzero(values[low:high] == v) + low).tolist())
        fresh = np.array(
            sorted((row for row in last.values() if facts.added[row]), key=lambda r: facts.e[r]),
            np.int64,
        )
        kept = np.delete(entities, gone)
        at = np.searchsorted(kept, facts.e[fresh], "right")
        columns = {
            0: share(np.insert(kept, at, facts.e[fresh])),
            2: np.insert(np.delete(values, gone), at, facts.v[fresh]),
        }
        return Extent(database, np.insert(np.delete(self.rows, gone), at, fresh), columns)


def most_rows(column: Ids) -> int:
    """Return how many rows have the commonest id of a column; all of them where that is not known."""
    index = Index(column)
    return index.most if index.usable else len(column)


def _within(column: Ids, ordered: Rows, name: str, bound: int) -> Rows:
    """Return the rows of a column whose order is known that compare so with a bound."""
    side = "left" if name in ("<", ">=") else "right"
    at = int(np.searchsorted(column, bound, side, sorter=ordered))  # type: ignore[call-overload]
    return ordered[:at] if name in ("<", "<=") else ordered[at:]
