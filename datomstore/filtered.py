"""Database values without the facts of some attributes.

Is:     what a filter shows of a database (`Shown`), and a copy of just these facts that grows with the stream.
Is not: a mask that searches have to mind: in a filtered value there is nothing else to be found, counted or joined.
Fits:   `Database.only` comes here; the daemon filters for tokens that name attributes. `datomstore.restricted` asks the
        same `Shown` before it writes.
Source: Datomic's `d/filter`, which asks for every datom that is read; here it is asked once.

An attribute is shown if the filter allows it and, where it is a composite or has ever been one, all its parts. What
describes a named entity (its :db/ident, :db/doc and the properties of an attribute) goes with the name: it is shown if every
name that the entity has had is allowed. So the schema of what is shown is shown, and no other.

Cost: a pass over the rows when a filter is first used on a stream, and the memory of what it shows; later, the new rows. All
is made again when a name or a composite comes. What was not used for longest goes first when the copies have
FILTERED_ROWS_MAX rows, where each counts as FILTERED_ROWS_MIN at least.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator
from functools import cached_property
from itertools import count
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from datomstore.appended import append
from datomstore.errors import AttributeForbidden
from datomstore.facts import Facts
from datomstore.intern import Ids, intern, value_of
from datomstore.limits import FILTERED_PAGE_ROWS, FILTERED_ROWS_MAX, FILTERED_ROWS_MIN
from datomstore.schema import DOC, IDENT, SCHEMA_ATTRIBUTES, TUPLE_ATTRS, Schema
from datomstore.segments.times import Ends
from datomstore.value import Keyword

if TYPE_CHECKING:
    from datomstore.database import Database
    from datomstore.segments.times import Appendable
    from datomstore.transaction import TxReport

# Of facts that go with the name of their entity.
DESCRIBING = SCHEMA_ATTRIBUTES | {DOC, Keyword("db/fulltext")}


class Filter(Hashable, Protocol):
    """Which attributes may be seen."""

    def allows(self, attribute: str, /) -> bool:
        """Return whether an attribute may be, by its name without the colon."""


class Shown:
    """What a filter shows of a database, which decides by its names and its composites."""

    def __init__(self, database: Database, only: Filter) -> None:
        self.only = only
        self._parts = _composites(database)
        self._known: dict[Keyword, Keyword | None] = {}
        self.named = {e: all(map(self.attribute, names)) for e, names in _names(database).items()}

    def __eq__(self, other: object) -> bool:
        """Return whether both show the same of facts that are in both databases."""
        if not isinstance(other, Shown) or self.only != other.only:
            return False
        return (self._parts, self.named) == (other._parts, other.named)

    __hash__ = None  # type: ignore[assignment]

    def attribute(self, ident: object) -> bool:
        """Return whether the facts of an attribute are shown; those that describe named entities aside."""
        return isinstance(ident, Keyword) and self._refused(ident) is None

    def _refused(self, ident: Keyword) -> Keyword | None:
        """Return what the filter does not allow: the attribute, or a part of it."""
        if ident not in self._known:
            of = (ident, *sorted(self._parts.get(ident, ())))
            self._known[ident] = next((one for one in of if not self.only.allows(one.name)), None)
        return self._known[ident]

    def fact(self, e: int, ident: Keyword) -> bool:
        """Return whether an attribute of an entity is shown."""
        if ident in DESCRIBING and e in self.named:
            return self.named[e]
        return self.attribute(ident)

    def check(self, ident: Keyword) -> None:
        """Return if an attribute can be asked for. Raises AttributeForbidden."""
        refused = None if ident in DESCRIBING else self._refused(ident)
        if refused is not None:
            raise AttributeForbidden(refused, self)

    def schema(self, schema: Schema) -> Schema:
        """Return a schema of the attributes that are shown."""
        return Schema({one.ident: one for one in schema if self.attribute(one.ident)})

    def mask(self, e: Ids, a: Ids) -> NDArray[np.bool_]:
        """Return which of some facts, by entities and attributes, are shown."""
        kinds = np.unique(a).tolist()
        seen = np.isin(a, [one for one in kinds if self.attribute(value_of(one))])
        describing = np.isin(a, [one for one in kinds if value_of(one) in DESCRIBING])
        if describing.any():
            for shown in (True, False):
                ids = [named << 1 for named, is_shown in self.named.items() if is_shown is shown]
                seen[describing & np.isin(e, ids)] = shown
        return seen


def _composites(database: Database) -> dict[Keyword, frozenset[Keyword]]:
    """Return the parts of all attributes that are or were composites."""
    parts: dict[Keyword, frozenset[Keyword]] = {}
    schemas = [schema for t, schema in database.schemas if t <= database.basis_t]
    for schema in (*schemas, database.schema):
        for one in schema.composites:
            parts[one.ident] = parts.get(one.ident, frozenset()).union(one.tuple_attrs)
    return parts


def _names(database: Database) -> dict[int, set[object]]:
    """Return the names that each entity has or had."""
    found: dict[int, set[object]] = {}
    facts, count = database.facts, database.count_rows
    rows = facts.view(count).rows(None, intern(IDENT), None, count, 0, True)
    for e, v in zip(facts.e[rows].tolist(), facts.v[rows].tolist(), strict=True):
        found.setdefault(e >> 1, set()).add(value_of(v))
    return found


_NAMING = frozenset({intern(IDENT), intern(TUPLE_ATTRS)})  # facts that change what is shown


class _Copy:
    """The facts of one stream that a filter shows, as a stream of its own with the same transactions."""

    def __init__(self, database: Database, shown: Shown) -> None:
        self.shown = shown
        # The first and the last count of rows of the values for which it is known to be right.
        self.first = self.last = database.count_rows
        self._lock = Lock()  # around taking rows in
        self.used = 0  # the greater, the later
        self._facts: Facts | None = None
        numbered = isinstance(database.tx_ends, Ends)  # from 1 without a gap
        self._ends: Appendable[tuple[int, int]] = Ends() if numbered else []
        self._rows = 0  # of the source that have been looked at
        self._schemas: list[tuple[int, Schema]] = []
        self._made: dict[int, tuple[Schema, Schema]] = {}  # by id: a schema, what is shown of it

    def __len__(self) -> int:
        return 0 if self._facts is None else self._facts.count

    def view(self, database: Database) -> Database:
        """Return what is shown of a value of the same facts, which it takes in."""
        from datomstore.database import Database

        with self._lock:
            if self._facts is None or database.count_rows > self._rows:
                self._facts = self._taken(database)
            while len(self._schemas) < len(database.schemas):
                t, schema = database.schemas[len(self._schemas)]
                if t > database.basis_t:
                    break
                self._schemas.append((t, self._schema(schema)))
        return Database(
            self._facts,
            self._schema(database.schema),
            self._ends,
            basis_t=database.basis_t,
            count=self._row(database, database.count_rows),
            schemas=self._schemas,
            start=self._row(database, database.start),
            everything=database._all,
            shown=(*database.shown, self.shown),
        )

    def _schema(self, schema: Schema) -> Schema:
        found = self._made.get(id(schema))
        if found is None:
            found = self._made[id(schema)] = schema, self.shown.schema(schema)
        return found[1]

    def _row(self, database: Database, row: int) -> int:
        """Return the row here for the end of a transaction there."""
        if not row:
            return 0
        place = bisect_left(database.tx_ends, row, key=itemgetter(1))
        assert database.tx_ends[place][1] == row, "whole transactions are shown"
        return self._ends[place][1]

    def _taken(self, database: Database) -> Facts:
        """Return the facts with what is shown of the rows up to a value's last."""
        facts, mine = database.facts, self._facts
        first = len(self._ends)
        after = [end for end in database.tx_ends[first:] if end[1] <= database.count_rows]
        pages = [
            _shown(facts, rows, self.shown) for rows in _pages(self._rows, database.count_rows)
        ]
        kept = np.concatenate([np.empty(0, np.int64), *pages])
        ends = np.array([end for _, end in after], np.int64)
        places = (len(self) + np.searchsorted(kept, ends)).tolist()
        columns = (facts.e[kept], facts.a[kept], facts.v[kept])
        added = facts.added[kept]
        own = [(t, place) for (t, _), place in zip(after, places, strict=True)]
        if mine is None:
            mine = Facts.of_columns(*columns, facts.t[kept], added)
        else:
            append(mine, own, *columns, added)
        mine.distinct = facts.distinct
        for end in own:
            self._ends.append(end)
        self._rows = database.count_rows
        return mine


def _pages(start: int, end: int) -> Iterator[range]:
    for first in range(start, end, FILTERED_PAGE_ROWS):
        yield range(first, min(first + FILTERED_PAGE_ROWS, end))


def _shown(facts: Facts, rows: range, shown: Shown) -> Ids:
    """Return those of a range of rows that are shown."""
    part = slice(rows.start, rows.stop)
    return np.flatnonzero(shown.mask(facts.e[part], facts.a[part])).astype(np.int64) + rows.start


class _Copies:
    """The copies of all streams of the process."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Facts, dict[Filter, _Copy]] = WeakKeyDictionary()
        self._uses = count()
        self._lock = Lock()

    def view(self, database: Database, only: Filter) -> Database:
        """Return what a filter shows of a database."""
        with self._lock:
            kept = self._of.setdefault(database.facts, {})
            known = kept.get(only)
            copy = self._current(known, database, only)
            if known is None or copy.last >= known.last:
                kept[only] = copy
            copy.used = next(self._uses)
        view = copy.view(database)
        with self._lock:
            self._make_room()
        return view

    def _current(self, copy: _Copy | None, database: Database, only: Filter) -> _Copy:
        """Return a copy that is right for a value: the one there is, or a new one."""
        count = database.count_rows
        if copy is not None and copy.first <= count <= copy.last:
            return copy
        if copy is not None and copy.last < count:
            new = database.facts.attributes_of(copy.last, count)
            if _NAMING.isdisjoint(new):
                copy.last = count
                return copy
        shown = Shown(database, only)
        if copy is None or copy.shown != shown:
            return _Copy(database, shown)
        copy.first, copy.last = min(copy.first, count), max(copy.last, count)
        return copy

    def _make_room(self) -> None:
        """Let go of copies while all of them have too many rows; the one that was used last stays."""
        copies = [
            (copy.used, kept, only) for kept in self._of.values() for only, copy in kept.items()
        ]
        taken = sum(max(len(kept[only]), FILTERED_ROWS_MIN) for _, kept, only in copies)
        if taken > FILTERED_ROWS_MAX:
            for _, kept, only in sorted(copies, key=itemgetter(0))[:-1]:
                if taken > FILTERED_ROWS_MAX:
                    taken -= max(len(kept.pop(only)), FILTERED_ROWS_MIN)


_copies = _Copies()


def filtered(database: Database, only: Filter) -> Database:
    """Return a database value that has the facts that a filter shows, and nothing else."""
    return _copies.view(database, only)


class ShownReport:
    """What a filter shows of a transaction, to who follows a stream."""

    def __init__(self, report: TxReport, only: Filter) -> None:
        self.t, self.rewrites = report.t, report.rewrites
        self.db_after = report.db_after.only(only)
        self._report, self._only = report, only

    @cached_property
    def db_before(self) -> Database:
        """Return the database before it; where something else is shown since, that takes a copy."""
        return self.db_after if self.rewrites else self._report.db_before.only(self._only)

    @property
    def schema(self) -> Schema:
        """Return the schema after it, another one also if something else is shown since."""
        return self.db_after.schema

    @property
    def attributes(self) -> set[int]:
        """Return the ids of the attributes of its facts; to be asked for only if the schema is as it was."""
        before, after = self.db_before, self.db_after
        assert before.facts is after.facts, "the same is shown"
        return after.facts.attributes_of(before.count_rows, after.count_rows)
