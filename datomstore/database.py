"""A database: an immutable value of a stream as of a transaction.

Is:     current, as-of, since and history views; scans by ids for the query engine; entities and datoms for people.
Is not: a writer: `with_` makes another value and leaves this one alone.
Fits:   `datomstore.datalog` calls `scan`, `scan_bound` and `count`; everyone else `datoms`, `entity`, `entid`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore import order
from datomstore.datom import TX_BASE, Datom, t_of
from datomstore.errors import DatomstoreError
from datomstore.facts import ORDERS, Facts, Rows, datoms_at, narrow, spread
from datomstore.intern import Ids, find, intern, value_of
from datomstore.roots import DatabaseName
from datomstore.schema import IDENT, REF, TX_INSTANT, Schema
from datomstore.value import Keyword, Map, Set

if TYPE_CHECKING:
    from datomstore.entity import Entity
    from datomstore.transaction import TxReport

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Point = int | datetime  # a transaction's number or entity, or a time


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

    __slots__ = (
        "_all",
        "_hidden",
        "basis_t",
        "count_rows",
        "facts",
        "roots",
        "schema",
        "schemas",
        "start",
        "tx_ends",
    )

    def __init__(
        self,
        facts: Facts,
        schema: Schema,
        tx_ends: list[tuple[int, int]],
        *,
        basis_t: int,
        count: int,
        schemas: list[tuple[int, Schema]] | None = None,
        roots: list[bytes] | None = None,
        start: int = 0,
        everything: bool = False,
    ) -> None:
        self.facts = facts
        self.schema = schema
        # These three are shared with the writer, and only appended to.
        self.tx_ends = tx_ends  # (t, row after it)
        self.schemas = schemas if schemas is not None else [(0, schema)]  # (t, from then on)
        self.roots = roots  # of every transaction; None if this is no stream's
        self.basis_t = basis_t
        self.count_rows = count
        self.start = start
        self._all = everything
        self._hidden = _ids_without_history(schema) if everything else None

    @property
    def _start(self) -> int:
        return self.start

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
        facts = Facts.of_columns(
            np.array([datom.e << 1 for datom in rows], np.int64),
            np.array([intern(datom.a) for datom in rows], np.int64),
            np.array([intern(datom.v) for datom in rows], np.int64),
            np.array([datom.tx << 1 for datom in rows], np.int64),
            np.array([datom.added for datom in rows], np.bool_),
        )
        facts.distinct = facts.is_set()
        ends: dict[int, int] = {}
        for row, datom in enumerate(rows):
            ends[t_of(datom.tx)] = row + 1
        basis = max(ends, default=0)
        return Database(
            facts, _schema(schema), sorted(ends.items()), basis_t=basis, count=len(rows)
        )

    def with_(self, tx_data: Iterable[object], *, now_ms: int = 0) -> TxReport:
        """Return the report of a transaction that happens in a fork: what would be if. A fork can be forked again."""
        from datomstore.transaction import speculate

        return speculate(self, tx_data, now_ms=now_ms)

    def on(self, facts: Facts) -> Database:
        """Return this view of other facts whose first rows are the same; nothing is shared with the writer."""
        return Database(
            facts,
            self.schema,
            self.tx_ends[: self._transactions_up_to(self.basis_t)],
            basis_t=self.basis_t,
            count=self.count_rows,
            schemas=[(t, schema) for t, schema in self.schemas if t <= self.basis_t],
            start=self.start,
        )

    def starting_at(self, row: int) -> Database:
        """Return the view of what was added from a row on."""
        return self._view(start=row) if row else self

    # -- other points in time --

    def as_of(self, t: Point) -> Database:
        """Return the database as it was after transaction t (number, transaction entity or time), schema included."""
        index = self._transactions_up_to(self._t_of(t))
        basis, count = self.tx_ends[index - 1] if index else (0, 0)
        schema = self.schemas[bisect_right(self.schemas, basis, key=_first) - 1][1]
        return self._view(count=count, basis_t=basis, schema=schema)

    def since(self, t: Point) -> Database:
        """Return the database of what was added after transaction t and is still so."""
        index = self._transactions_up_to(self._t_of(t))
        return self._view(start=self.tx_ends[index - 1][1] if index else 0)

    def history(self) -> Database:
        """Return a database of all additions and retractions."""
        return self._view(everything=True)

    @property
    def name(self) -> DatabaseName | None:
        """Return what names exactly these datoms on every node: (root hash, t). None if this is no stream's value."""
        if self.roots is None or self.start or self._all or self.basis_t > len(self.roots):
            return None
        return DatabaseName.of(self.roots, self.basis_t)

    def tx_range(self, start: Point | None = None, end: Point | None = None) -> Iterator[TxDatoms]:
        """Yield the transactions from `start` on, before `end`, each with its datoms."""
        first = (
            0 if start is None else bisect_right(self.tx_ends, self._t_of(start) - 1, key=_first)
        )
        past = self.basis_t if end is None else min(self._t_of(end) - 1, self.basis_t)
        row = self.tx_ends[first - 1][1] if first else 0
        for t, after in self.tx_ends[first : self._transactions_up_to(past)]:
            yield TxDatoms(t, self.instant_ms(t), datoms_at(self.facts, np.arange(row, after)))
            row = after

    def instant_ms(self, t: int) -> int:
        """Return when a transaction happened; 0 if it does not say."""
        e, a = (TX_BASE + t) << 1, intern(TX_INSTANT)
        for row in self._matching("eavt", (e, a, None)).tolist():
            value = value_of(int(self.facts.v[row]))
            if self.facts.added[row] and isinstance(value, datetime):
                return (value - _EPOCH) // timedelta(milliseconds=1)
        return 0

    def _t_of(self, point: Point) -> int:
        """Return the number of a transaction, or of the last one at or before a time."""
        if not isinstance(point, datetime):
            return t_of(point)
        ms = (point - _EPOCH) // timedelta(milliseconds=1)
        low, high = 0, self._transactions_up_to(self.basis_t)
        while low < high:  # instants do not run backwards
            middle = (low + high) // 2
            if self.instant_ms(self.tx_ends[middle][0]) <= ms:
                low = middle + 1
            else:
                high = middle
        return self.tx_ends[low - 1][0] if low else 0

    def _transactions_up_to(self, t: int) -> int:
        """Return how many transactions there are up to t in this value."""
        return bisect_right(self.tx_ends, min(t, self.basis_t), key=_first)

    def _view(
        self,
        *,
        schema: Schema | None = None,
        count: int | None = None,
        basis_t: int | None = None,
        start: int | None = None,
        everything: bool | None = None,
    ) -> Database:
        return Database(
            self.facts,
            self.schema if schema is None else schema,
            self.tx_ends,
            basis_t=self.basis_t if basis_t is None else basis_t,
            count=self.count_rows if count is None else count,
            schemas=self.schemas,
            roots=self.roots,
            start=self.start if start is None else start,
            everything=self._all if everything is None else everything,
        )

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
            return self._visible(np.arange(self.start, self.count_rows, dtype=np.int64))
        found = self._visible(self._matching(name, keys))
        if e is not None and a is None and v is not None:
            found = found[self.facts.v[found] == v]
        return found

    def _matching(self, name: str, keys: tuple[int | None, int | None, int | None]) -> Rows:
        """Return the rows with the leading keys of an order, visible or not."""
        part = self.facts.order(name, self.count_rows)
        rows = part.rows[narrow(part, keys)]
        by_column = dict(zip(ORDERS[name], keys, strict=True))
        tail = self._tail(part.count, by_column["e"], by_column["a"], by_column["v"])
        return np.concatenate((rows, tail)) if len(tail) else rows

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
        elif self._hidden is not None:
            live = facts.added[rows] & (facts.ended[rows] >= count)
            keep &= live | ~np.isin(facts.a[rows], self._hidden)
        if self.start:
            keep &= rows >= self.start
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
            return self.count_rows - self.start
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

    @property
    def distinct(self) -> bool:
        """Return whether it is known that no two datoms have the same entity, attribute and value."""
        return self.facts.distinct and not self._all

    # -- for people --

    def datoms(self, index: str = "eavt", *components: object) -> Iterator[Datom]:
        """Yield datoms in an index's order; components narrow from the left, as in Datomic's `datoms`."""
        names = order.names(index)
        keys: dict[str, int | None] = {"e": None, "a": None, "v": None}
        for name, component in zip(names, self._components(names, components), strict=False):
            found = None if component is None else find(component)
            if found is None:
                return iter(())
            keys[name] = found
        rows = self.rows(keys["e"], keys["a"], keys["v"])
        if len(components) > 3:
            wanted = components[3]
            assert isinstance(wanted, int), wanted
            rows = rows[self.facts.t[rows] == (TX_BASE + t_of(wanted)) << 1]
        return order.ordered(self.facts, self._of_index(index, rows), index)

    def seek_datoms(self, index: str = "eavt", *components: object) -> Iterator[Datom]:
        """Yield datoms in an index's order from where the components stand, or would stand, to the end."""
        names = order.names(index)
        wanted = self._components(names, components)
        if any(component is None for component in wanted):
            raise LookupRefused(f"no entity among {components!r}")
        rows = self.rows()
        if wanted and names[0] == "e":
            assert isinstance(wanted[0], int), wanted
            rows = rows[self.facts.e[rows] >= wanted[0] << 1]
        return order.from_key(
            order.ordered(self.facts, self._of_index(index, rows), index), index, wanted
        )

    def index_range(
        self, attribute: Keyword, start: object = None, end: object = None
    ) -> Iterator[Datom]:
        """Yield the datoms of an attribute whose values are at least `start` and below `end`, in the order of values."""
        rows = self.rows(None, intern(attribute))
        low, high = (
            self._components("av", (attribute, start)),
            self._components("av", (attribute, end)),
        )
        return order.ordered(self.facts, order.between(self.facts, rows, low[1], high[1]), "avet")

    def _of_index(self, index: str, rows: Rows) -> Rows:
        """Return those of the rows that an index has: VAET is of references."""
        if index != "vaet":
            return rows
        kinds = np.unique(self.facts.a[rows])
        refs = [a for a in kinds.tolist() if self.schema[value_of(a)].is_ref]  # type: ignore[index]
        return rows[np.isin(self.facts.a[rows], np.array(refs, np.int64))]

    def _components(self, names: str, components: tuple[object, ...]) -> list[object]:
        """Return an index's components with references resolved."""
        given = dict(zip(names, components, strict=False))
        attribute = given.get("a")
        is_ref = names[0] == "v" or (
            isinstance(attribute, Keyword) and self.schema[attribute].is_ref
        )
        return [
            self.entid(value) if name == "e" or (name == "v" and is_ref) else value
            for name, value in given.items()
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
            if self.schema[attribute].unique is None:
                raise LookupRefused(f"lookup ref {reference!r}: {attribute!r} is not unique")
            return self._entity_with(attribute, self._lookup_value(attribute, value))
        return None

    def _lookup_value(self, attribute: Keyword, value: object) -> object:
        """Return the value of a lookup ref, with references in it resolved."""
        properties = self.schema[attribute]
        if properties.is_ref:
            return self.entid(value)
        if isinstance(value, tuple) and (properties.tuple_attrs or properties.tuple_types):
            parts = properties.tuple_attrs
            refs = (
                [self.schema[part].is_ref for part in parts]
                if parts
                else [kind is REF for kind in properties.tuple_types]
            )
            pairs = zip(refs, value, strict=False)
            return tuple(self.entid(item) if is_ref else item for is_ref, item in pairs)
        return value

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

    def lazy_entity(self, reference: object) -> Entity | None:
        """Return a view of an entity that reads what is asked for, and walks along references."""
        from datomstore.entity import Entity

        e = self.entid(reference)
        return None if e is None else Entity(self, e)

    def __len__(self) -> int:
        return len(self.rows())

    @property
    def next_entity(self) -> int:
        """Return an entity id that no fact of this database uses, transactions aside."""
        facts, count = self.facts, self.count_rows
        refs = [intern(attribute.ident) for attribute in self.schema if attribute.is_ref]
        values = facts.v[:count][np.isin(facts.a[:count], np.array(refs, np.int64))]
        used = np.concatenate((facts.e[:count], values))
        entities = used[used < (TX_BASE << 1)]
        return max(1_000, (int(entities.max()) >> 1) + 1 if len(entities) else 0)


class TxDatoms(NamedTuple):
    """One transaction of a database value."""

    t: int
    instant_ms: int
    datoms: list[Datom]


def _first(pair: tuple[int, object]) -> int:
    return pair[0]


def _ids_without_history(schema: Schema) -> Ids | None:
    ids = [intern(attribute.ident) for attribute in schema if attribute.no_history]
    return np.array(ids, np.int64) if ids else None


def _matches(
    keys: Ids, rows: Rows, probes: Ids, spend: Callable[[int], None] | None
) -> tuple[Rows, Rows]:
    """Return (probe number, row) for rows with ascending keys."""
    found = _gathered(keys, probes)
    if found is not None:
        if spend is not None:
            spend(len(found[0]))
        return found[0], rows[found[1]]
    low = np.searchsorted(keys, probes, "left")
    counts = np.searchsorted(keys, probes, "right") - low
    total = int(counts.sum())
    if spend is not None:
        spend(total)
    probe, position = spread(low, counts, total)
    return probe, rows[position]


def _gathered(keys: Ids, probes: Ids) -> tuple[Rows, Rows] | None:
    """Return (probe number, position) where keys follow one another without a gap, else None.

    That an entity has one value, and its neighbours too, is what most attributes of a whole import look like: then a key
    stands where it is expected, and alone. It is looked at for the probes only.
    """
    last = len(keys) - 1
    if last < 1 or int(keys[last]) - int(keys[0]) != 2 * last:
        return None
    guess = probes - keys[0]
    number = np.flatnonzero((guess >= 0) & (guess <= 2 * last) & (guess & 1 == 0))
    position, wanted = guess[number] >> 1, probes[number]
    alone = keys[position] == wanted
    alone &= (keys[np.maximum(position - 1, 0)] != wanted) | (position == 0)
    alone &= (keys[np.minimum(position + 1, last)] != wanted) | (position == last)
    return (number.astype(np.int64), position) if alone.all() else None


def _schema(schema: Mapping[Keyword, Mapping[Keyword, object]] | Schema | None) -> Schema:
    if isinstance(schema, Schema):
        return schema
    return Schema.from_maps(schema or {})
