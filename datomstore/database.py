"""A database: an immutable value of a stream as of a transaction.

Is:     current, as-of, since and history views; scans by ids for the query engine; entities and datoms for people.
Is not: a writer: `with_` makes another value and leaves this one alone.
Fits:   `datomstore.datalog` calls `scan`, `scan_bound` and `count`; everyone else `datoms`, `entity`, `entid`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore.datom import TX_BASE, Datom, t_of
from datomstore.errors import DatomstoreError
from datomstore.facts import NEVER, Facts, Rows, narrow, spread
from datomstore.intern import Ids, find, intern, value_of, values_of
from datomstore.schema import IDENT, Schema
from datomstore.value import Keyword, Map, Set

if TYPE_CHECKING:
    from datomstore.transaction import TxReport


class LookupRefused(DatomstoreError):
    """A lookup ref names an attribute that is not unique."""

    code = "database/lookup"


class Columns(NamedTuple):
    """Equally long columns of ids; `added` is of booleans."""

    e: Ids
    a: Ids
    v: Ids
    t: Ids
    added: object

    def __len__(self) -> int:  # the number of rows, not of columns
        return len(self.e)


class Database:
    """Rows [start, count) of `facts`, seen as of row `count`."""

    __slots__ = ("_all", "_start", "basis_t", "count_rows", "facts", "schema", "tx_ends")

    def __init__(
        self,
        facts: Facts,
        schema: Schema,
        tx_ends: list[tuple[int, int]],
        *,
        basis_t: int,
        count: int,
        start: int = 0,
        everything: bool = False,
    ) -> None:
        self.facts = facts
        self.schema = schema
        self.tx_ends = tx_ends  # (t, row after it), shared with the writer, only appended to
        self.basis_t = basis_t
        self.count_rows = count
        self._start = start
        self._all = everything

    # -- making --

    @staticmethod
    def empty(
        schema: Mapping[Keyword, Mapping[Keyword, object]] | Schema | None = None,
    ) -> Database:
        """Return a database without facts, with a schema in DataScript's form."""
        return Database(Facts(), _schema(schema), [], basis_t=0, count=0)

    @staticmethod
    def from_datoms(
        datoms: Iterable[Datom],
        schema: Mapping[Keyword, Mapping[Keyword, object]] | Schema | None = None,
    ) -> Database:
        """Return a database of facts as they are: nothing is checked, nothing resolved."""
        rows = list(datoms)
        facts = Facts(max(len(rows), 1))
        count = len(rows)
        facts.e[:count] = [datom.e << 1 for datom in rows]
        facts.a[:count] = [intern(datom.a) for datom in rows]
        facts.v[:count] = [intern(datom.v) for datom in rows]
        facts.t[:count] = [datom.tx << 1 for datom in rows]
        facts.added[:count] = [datom.added for datom in rows]
        facts.ended[:count] = NEVER
        _end_retracted(facts, count)
        facts.count = count
        ends: dict[int, int] = {}
        for row, datom in enumerate(rows):
            ends[t_of(datom.tx)] = row + 1
        basis = max(ends, default=0)
        return Database(facts, _schema(schema), sorted(ends.items()), basis_t=basis, count=count)

    def with_(self, tx_data: Iterable[object]) -> TxReport:
        """Return the report of a transaction that happens in a copy: what would be if. Costs a copy of all rows."""
        from datomstore.transaction import speculate

        return speculate(self, tx_data)

    # -- other points in time --

    def as_of(self, t: int) -> Database:
        """Return the database as it was after transaction t (a number or a transaction entity)."""
        wanted = t_of(t)
        count, basis = 0, 0
        for at, end in self.tx_ends:
            if at > wanted or end > self.count_rows:
                break
            count, basis = end, at
        return self._view(count=count, basis_t=basis)

    def since(self, t: int) -> Database:
        """Return the database of what was added after transaction t and is still so."""
        wanted = t_of(t)
        start = max((end for at, end in self.tx_ends if at <= wanted), default=0)
        return self._view(start=start)

    def history(self) -> Database:
        """Return a database of all additions and retractions."""
        return self._view(everything=True)

    def _view(self, **changed: int) -> Database:
        settings = {
            "basis_t": self.basis_t,
            "count": self.count_rows,
            "start": self._start,
            "everything": self._all,
        } | changed
        return Database(self.facts, self.schema, self.tx_ends, **settings)  # type: ignore[arg-type]

    # -- scans by ids --

    def scan(self, e: int | None, a: int | None, v: int | None) -> Columns:
        """Return the rows with the ids given, by the index that narrows most."""
        return self.columns(self.rows(e, a, v))

    def rows(self, e: int | None = None, a: int | None = None, v: int | None = None) -> Rows:
        """Return the numbers of the visible rows with the ids given."""
        if e is not None:
            name, keys = "eavt", (e, a, v if a is not None else None)
        elif a is not None and v is not None:
            name, keys = "avet", (a, v, None)
        elif a is not None:
            name, keys = "aevt", (a, None, None)
        elif v is not None:
            name, keys = "vaet", (v, None, None)
        else:
            return self._visible(np.arange(self._start, self.count_rows, dtype=np.int64))
        part = self.facts.order(name, self.count_rows)
        rows = part.rows[narrow(part, keys)]
        tail = self._tail(part.count, e, a, v)
        found = self._visible(np.concatenate((rows, tail)) if len(tail) else rows)
        if e is not None and a is None and v is not None:
            found = found[self.facts.v[found] == v]
        return found

    def _tail(self, after: int, e: int | None, a: int | None, v: int | None) -> Rows:
        """Return the rows behind the sorted part that match."""
        window = slice(after, self.count_rows)
        if after >= self.count_rows:
            return np.empty(0, np.int64)
        match = np.ones(self.count_rows - after, np.bool_)
        for key, column in ((e, self.facts.e), (a, self.facts.a), (v, self.facts.v)):
            if key is not None:
                match &= column[window] == key
        return np.flatnonzero(match).astype(np.int64) + after

    def _visible(self, rows: Rows) -> Rows:
        """Return those of the rows that this view shows."""
        return rows[self._shows(rows)]

    def _shows(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows this view shows."""
        facts, count = self.facts, self.count_rows
        keep = rows < count
        if not self._all:
            keep &= facts.added[rows] & (facts.ended[rows] >= count)
        if self._start:
            keep &= rows >= self._start
        return keep

    def columns(self, rows: Rows) -> Columns:
        """Return the columns of some rows."""
        facts = self.facts
        return Columns(
            facts.e[rows], facts.a[rows], facts.v[rows], facts.t[rows], facts.added[rows]
        )

    def count(self, e: int | None, a: int | None, v: int | None) -> int:
        """Return about how many rows `scan` would give: exact but for retracted rows and the tail."""
        if e is not None:
            part = self.facts.order("eavt", self.count_rows)
            found = narrow(part, (e, a, v if a is not None else None))
        elif a is not None and v is not None:
            part = self.facts.order("avet", self.count_rows)
            found = narrow(part, (a, v, None))
        elif a is not None:
            part = self.facts.order("aevt", self.count_rows)
            found = narrow(part, (a, None, None))
        elif v is not None:
            part = self.facts.order("vaet", self.count_rows)
            found = narrow(part, (v, None, None))
        else:
            return self.count_rows - self._start
        behind = max(0, self.count_rows - part.count)
        return int(found.stop) - int(found.start) + behind

    def scan_bound(
        self,
        a: int | None,
        *,
        e: Ids | None = None,
        v: Ids | None = None,
        spend: Callable[[int], None] | None = None,
    ) -> tuple[Rows, Rows]:
        """Return (probe number, row) of the rows of attribute `a`, or of any, for many entities or for many values.

        Exactly one of `e` and `v` is given. `spend` is told how many rows there are before they are made.
        Cost: O(probes * log rows + matches + rows behind the sorted part).
        """
        probes = e if e is not None else v
        assert probes is not None, "entities or values"
        assert e is None or v is None, "not both"
        if a is None:
            part = self.facts.order("eavt" if e is not None else "vaet", self.count_rows)
            keys, rows = part.first, part.rows
        else:
            part = self.facts.order("aevt" if e is not None else "avet", self.count_rows)
            window = narrow(part, (a, None, None))
            keys, rows = part.second[window], part.rows[window]
        found = [_matches(keys, rows, probes, spend)]
        tail = self._tail(part.count, None, a, None)
        if len(tail):
            keys = (self.facts.e if e is not None else self.facts.v)[tail]
            order = np.argsort(keys, kind="stable")
            found.append(_matches(keys[order], tail[order], probes, spend))
        probe = np.concatenate([f[0] for f in found])
        rows = np.concatenate([f[1] for f in found])
        keep = self._shows(rows)
        return probe[keep], rows[keep]

    def cardinality_one(self, a: int) -> bool:
        """Return whether an entity has at most one value of the attribute with this id."""
        ident = value_of(a)
        return isinstance(ident, Keyword) and not self.schema[ident].many and not self._all

    # -- for people --

    def datoms(self, index: str = "eavt", *components: object) -> Iterator[Datom]:
        """Yield datoms in an index's order; components narrow from the left, as in Datomic's `datoms`."""
        keys: dict[str, int | None] = {"e": None, "a": None, "v": None}
        for name, component in zip(_order_names(index), components, strict=False):
            wanted = self.entid(component) if name == "e" else component
            found = None if wanted is None else find(wanted)
            if found is None:
                return
            keys[name] = found
        found_rows = self.rows(keys["e"], keys["a"], keys["v"])
        yield from sorted(self._datoms_of(found_rows), key=lambda d: _sort_key(d, index))

    def _datoms_of(self, rows: Rows) -> list[Datom]:
        columns = self.columns(rows)
        added: list[bool] = columns.added.tolist()  # type: ignore[attr-defined]
        return [
            Datom(e, a, v, t, op)  # type: ignore[arg-type]
            for e, a, v, t, op in zip(
                values_of(columns.e),
                values_of(columns.a),
                values_of(columns.v),
                values_of(columns.t),
                added,
                strict=True,
            )
        ]

    def entid(self, reference: object) -> int | None:
        """Return the entity of an id, an ident or a lookup ref [attribute value]; None if there is none."""
        if isinstance(reference, bool):
            return None
        if isinstance(reference, int):
            return reference
        if isinstance(reference, Keyword):
            return self._entity_with(IDENT, reference)
        if (
            isinstance(reference, tuple)
            and len(reference) == 2
            and isinstance(reference[0], Keyword)
        ):
            attribute, value = reference
            if self.schema[attribute].unique is None and attribute is not IDENT:
                raise LookupRefused(f"lookup ref {reference!r}: {attribute!r} is not unique")
            return self._entity_with(attribute, value)
        return None

    def _entity_with(self, attribute: Keyword, value: object) -> int | None:
        a, v = find(attribute), find(value)
        if a is None or v is None:
            return None
        rows = self.rows(None, a, v)
        return int(self.facts.e[rows[0]]) >> 1 if len(rows) else None

    def entity(self, reference: object) -> Map:
        """Return what is known of an entity: attribute -> value, or -> set of values; empty if nothing is."""
        e = self.entid(reference)
        if e is None:
            return Map()
        gathered: dict[Keyword, list[object]] = {}
        for datom in self.datoms("eavt", e):
            gathered.setdefault(datom.a, []).append(datom.v)
        facts: list[tuple[object, object]] = [(Keyword("db/id"), e)]
        for attribute, values in gathered.items():
            many = self.schema[attribute].many
            facts.append((attribute, Set(values) if many else values[-1]))
        return Map(facts)

    def __len__(self) -> int:
        return len(self.rows())

    @property
    def next_entity(self) -> int:
        """Return an entity id that no fact of this database uses, transactions aside."""
        used = self.facts.e[: self.count_rows]
        entities = used[used < (TX_BASE << 1)]
        return max(1_000, (int(entities.max()) >> 1) + 1 if len(entities) else 0)


def _matches(
    keys: Ids, rows: Rows, probes: Ids, spend: Callable[[int], None] | None
) -> tuple[Rows, Rows]:
    """Return (probe number, row) for rows with ascending keys."""
    low = np.searchsorted(keys, probes, "left")
    counts = np.searchsorted(keys, probes, "right") - low
    total = int(counts.sum())
    if spend is not None:
        spend(total)
    probe, position = spread(low, counts, total)
    return probe, rows[position]


def _schema(schema: Mapping[Keyword, Mapping[Keyword, object]] | Schema | None) -> Schema:
    if isinstance(schema, Schema):
        return schema
    return Schema.from_maps(schema or {})


def _order_names(index: str) -> str:
    if index not in ("eavt", "aevt", "avet", "vaet"):
        raise DatomstoreError(f"no index {index!r}; there are eavt, aevt, avet, vaet")
    return index[:3]


def _sort_key(datom: Datom, index: str) -> tuple[object, ...]:
    value: tuple[object, ...] = (type(datom.v).__name__, str(datom.v))
    if isinstance(datom.v, (int, float)) and not isinstance(datom.v, bool):
        value = ("", datom.v)
    keys: dict[str, tuple[object, ...]] = {"e": (datom.e,), "a": (datom.a.name,), "v": value}
    return (*(keys[name] for name in index[:3]), datom.tx)


def _end_retracted(facts: Facts, count: int) -> None:
    """Set `ended` for facts given as a plain list with retractions in it."""
    if facts.added[:count].all():
        return
    open_rows: dict[tuple[int, int, int], int] = {}
    for row in range(count):
        key = (int(facts.e[row]), int(facts.a[row]), int(facts.v[row]))
        if facts.added[row]:
            open_rows[key] = row
        elif (opened := open_rows.pop(key, None)) is not None:
            facts.ended[opened] = row
