"""A database: an immutable value of a stream as of a transaction.

Is:     current, as-of, since and history views; scans by ids for the query engine; entities and datoms for people.
Is not: a writer: `with_` makes another value and leaves this one alone.
Fits:   `datomstore.datalog` calls `scan`, `scan_bound` and `count`; everyone else `datoms`, `entity`, `entid`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from datomstore import order
from datomstore._index import DIRECT
from datomstore.datom import TX_BASE, Datom, t_of
from datomstore.errors import DatomstoreError
from datomstore.facts import FactColumn, Facts, Rows, datoms_at
from datomstore.intern import INLINE_BOUND, Ids, find, intern, intern_many, value_of
from datomstore.limits import DATOMS_PAGE
from datomstore.roots import DatabaseName
from datomstore.schema import IDENT, REF, TX_INSTANT, Schema
from datomstore.value import Keyword, Map, Set

if TYPE_CHECKING:
    from datomstore._index import Segments, Walk, Walks
    from datomstore.entity import Entity
    from datomstore.filtered import Filter, Shown
    from datomstore.segments.times import Appendable
    from datomstore.transaction import TxReport

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Point = int | datetime  # a transaction's number or entity, or a time


class LookupRefused(DatomstoreError):
    """A lookup ref names an attribute that is not unique."""

    code = "database/lookup"


class Columns:
    """The columns of some rows, each made when it is first asked for."""

    __slots__ = ("_facts", "_made", "rows")

    def __init__(self, facts: Facts, rows: Rows) -> None:
        self.rows = rows
        self._facts = facts
        self._made: dict[str, Ids] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def _column(self, name: str) -> Ids:
        found = self._made.get(name)
        if found is None:
            column: FactColumn = getattr(self._facts, name)
            found = self._made[name] = column[self.rows]
        return found

    @property
    def e(self) -> Ids:
        """Return the ids of entities."""
        return self._column("e")

    @property
    def a(self) -> Ids:
        """Return the ids of attributes."""
        return self._column("a")

    @property
    def v(self) -> Ids:
        """Return the ids of values."""
        return self._column("v")

    @property
    def t(self) -> Ids:
        """Return the ids of transactions."""
        return self._column("t")

    @property
    def added(self) -> NDArray[np.bool_]:
        """Return which rows are additions."""
        return self._facts.added[self.rows]


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
        "shown",
        "start",
        "tx_ends",
    )

    def __init__(
        self,
        facts: Facts,
        schema: Schema,
        tx_ends: Appendable[tuple[int, int]],
        *,
        basis_t: int,
        count: int,
        schemas: list[tuple[int, Schema]] | None = None,
        roots: Appendable[bytes] | None = None,
        start: int = 0,
        everything: bool = False,
        shown: tuple[Shown, ...] = (),
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
        self.shown = shown  # what filters leave of the attributes that there are elsewhere
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
        e, a, v, t, added = (list(map(itemgetter(place), rows)) for place in range(5))
        entities, tx = np.array(e, np.int64), np.array(t, np.int64)
        for column in (entities, tx):
            if len(column) and np.abs(column).max() >= INLINE_BOUND:
                raise DatomstoreError(f"entities are smaller than {INLINE_BOUND}")
        facts = Facts.of_columns(
            entities << 1,
            intern_many(a),
            intern_many(v),
            tx << 1,
            np.array(added, np.bool_),
        )
        facts.distinct = facts.is_set()
        ts, places = np.unique(np.where(tx >= TX_BASE, tx - TX_BASE, tx)[::-1], return_index=True)
        ends = list(zip(ts.tolist(), (len(rows) - places).tolist(), strict=True))
        basis = ends[-1][0] if ends else 0
        return Database(facts, _schema(schema), ends, basis_t=basis, count=len(rows))

    @staticmethod
    def from_columns(e: Ids, a: Ids, v: Ids, tx: int, schema: Schema | None = None) -> Database:
        """Return a database of the facts of one transaction, as ids, each once: nothing is checked or resolved."""
        count = len(e)
        facts = Facts.of_columns(
            e, a, v, np.full(count, tx << 1, np.int64), np.ones(count, np.bool_)
        )
        facts.distinct = True
        t = tx - TX_BASE if tx >= TX_BASE else tx
        return Database(facts, schema or Schema(), [(t, count)], basis_t=t, count=count)

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
            shown=self.shown,
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

    def only(self, attributes: Filter) -> Database:
        """Return the database without the facts of attributes that a filter does not allow; see `datomstore.filtered`.

        In every other respect it is a database of its own. How many transactions there have been stays; a time as a
        point needs :db/txInstant.
        """
        from datomstore.filtered import filtered

        return filtered(self, attributes)

    def check_named(self, attribute: Keyword) -> None:
        """Return if a question can name an attribute. Raises AttributeForbidden if a filter hides it."""
        for shown in self.shown:
            shown.check(attribute)

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
        for row in self._seen().rows(e, a, None, self.count_rows, 0, True).tolist():
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
            shown=self.shown,
        )

    # -- scans by ids --

    def scan(self, e: int | None, a: int | None, v: int | None) -> Columns:
        """Return the rows with the ids given, by the index that narrows most."""
        return self.columns(self.rows(e, a, v))

    def rows(self, e: int | None = None, a: int | None = None, v: int | None = None) -> Rows:
        """Return the numbers of the visible rows with the ids given."""
        return self._unhidden(self._seen().rows(e, a, v, self.count_rows, self.start, self._all))

    def _seen(self) -> Segments:
        """Return what the rows of this view are looked up in."""
        return self.facts.view(self.count_rows)

    def showing(self, rows: Rows) -> Rows:
        """Return those of some rows that this view shows."""
        return self._unhidden(self._seen().showing(rows, self.count_rows, self.start, self._all))

    def _unhidden(self, rows: Rows) -> Rows:
        return rows if self._hidden is None else rows[self._unhides(rows)]

    def _unhides(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows of a history its attributes let show."""
        facts, count = self.facts, self.count_rows
        assert self._hidden is not None, "a history that hides something"
        live = facts.added[rows] & (facts.ended[rows] >= count)
        return live | ~np.isin(facts.a[rows], self._hidden)

    def columns(self, rows: Rows) -> Columns:
        """Return the columns of some rows."""
        return Columns(self.facts, rows)

    def count(self, e: int | None, a: int | None, v: int | None) -> int:
        """Return about how many rows `scan` would give: exact but for rows retracted lately. Cost: O(log rows)."""
        return self._seen().counted(e, a, v, self.count_rows, self.start, self._all)

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
        Cost: O(probes * log rows + matches), less where entities are dense or probes ascend.
        """
        probes = e if e is not None else v
        assert probes is not None, "entities or values"
        assert e is None or v is None, "not both"
        probe, rows = self._seen().bound(
            a, v is not None, probes, spend, self.count_rows, self.start, self._all
        )
        if self._hidden is not None:
            keep = self._unhides(rows)
            return probe[keep], rows[keep]
        return probe, rows

    def changes(self, walks: Walks, start: int) -> dict[tuple[int, ...], int] | None:
        """Return what walks say that the rows from `start` on change; None if one of them cannot go."""
        return walks.changes(self._seen(), start, self.count_rows)

    def walk_columns(self, walk: Walk, start: int) -> list[Ids] | None:
        """Return the signs and columns that a walk from the rows from `start` on comes to; None if it cannot go."""
        return walk.columns(self._seen(), start, self.count_rows)

    def rows_between(self, a: int, low: int, high: int) -> Rows:
        """Return the rows of an attribute whose values are integers from `low` to `high`, both included, in no order.

        Integers are those below `INLINE_BOUND` in magnitude; larger ones and other numbers are not looked at, and
        `has_integers_only` tells whether there are any. Cost: O(log rows + matches).
        """
        low, high = max(low, 1 - INLINE_BOUND), min(high, INLINE_BOUND - 1)
        if low > high:
            return np.empty(0, np.int64)
        return self._unhidden(
            self._seen().between(a, low << 1, high << 1, self.count_rows, self.start, self._all)
        )

    def count_between(self, a: int, low: int, high: int) -> int:
        """Return about how many rows `rows_between` would give. Cost: O(log rows)."""
        low, high = max(low, 1 - INLINE_BOUND), min(high, INLINE_BOUND - 1)
        return self._seen().counted_between(a, low << 1, high << 1, self.count_rows, self.start)

    def has_integers_only(self, a: int) -> bool:
        """Return whether all values of an attribute, past ones too, are integers that `rows_between` finds."""
        return self._seen().has_integers_only(a, self.count_rows)

    @property
    def distinct(self) -> bool:
        """Return whether it is known that no two datoms have the same entity, attribute and value."""
        return self.facts.distinct and not self._all

    # -- for people --

    def datoms(self, index: str = "eavt", *components: object) -> Iterator[Datom]:
        """Yield datoms in an index's order; components narrow from the left, as in Datomic's `datoms`."""
        if components and type(components[0]) is int and index == "eavt" and not self._all:
            few = self._few(components)
            if few is not None:
                return iter(few)
        if not components and index in order.INDEXES:
            return self.seek_datoms(index)
        names = order.names(index)
        keys: dict[str, int | None] = {"e": None, "a": None, "v": None}
        for name, component in zip(names, self._components(names, components), strict=False):
            found = None if component is None else self.facts.find(component)
            if found is None:
                return iter(())
            keys[name] = found
        rows = self.rows(keys["e"], keys["a"], keys["v"])
        if len(components) > 3:
            wanted = components[3]
            assert isinstance(wanted, int), wanted
            rows = rows[self.facts.t[rows] == (TX_BASE + t_of(wanted)) << 1]
        return order.ordered(self.facts, self._of_index(index, rows), index)

    def _few(self, components: tuple[object, ...]) -> list[Datom] | None:
        """Return the datoms of an entity, or of one attribute of it, in order; None for more components."""
        e = components[0]
        assert type(e) is int, e
        a = None
        if len(components) == 2:
            a = find(components[1])
            if a is None:
                return []
        elif len(components) > 2:
            return None
        if not -INLINE_BOUND < e < INLINE_BOUND:
            return []
        found = self._seen().datoms(e << 1, a, None, self.count_rows, self.start)
        return found if len(found) < 2 else order.of_entity(found)

    def seek_datoms(self, index: str = "eavt", *components: object) -> Iterator[Datom]:
        """Yield datoms in an index's order from where the components stand, or would stand, to the end."""
        names = order.names(index)
        wanted = self._components(names, components)
        if any(component is None for component in wanted):
            raise LookupRefused(f"no entity among {components!r}")
        if index == "eavt":
            first = wanted[0] if wanted else 1 - INLINE_BOUND
            assert isinstance(first, int), wanted
            return order.from_key(self._from_entity(first), index, wanted)
        if index == "vaet":
            rows = self._of_index(index, self.rows())
            return order.from_key(order.ordered(self.facts, rows, index), index, wanted)
        name = wanted[0].name if wanted and isinstance(wanted[0], Keyword) else ""
        return order.from_key(self._from_attribute(name, index), index, wanted)

    def _from_attribute(self, first: str, index: str) -> Iterator[Datom]:
        """Yield the datoms of attributes whose names are not before `first`, in the order of AEVT or AVET."""
        named = [(value_of(a), a) for a in self.facts.attributes_known(self.count_rows)]
        for ident, a in sorted(named):
            assert isinstance(ident, Keyword), ident
            if ident.name >= first:
                yield from order.ordered(self.facts, self.rows(None, a), index)

    def _from_entity(self, first: int) -> Iterator[Datom]:
        """Yield the datoms of entities from `first` on, in the order of EAVT.

        Entities are asked for by number, some hundreds at once, where there are enough of them among the numbers.
        """
        seen, facts = self._seen(), self.facts
        top = seen.highest_entity((), self.count_rows)
        below_zero = any(run.e.rule == DIRECT for run in seen.runs)  # as nobody but a caller makes
        if below_zero or not -1 < top - max(first, 0) <= 8 * self.count_rows:
            rows = self.rows()
            yield from order.ordered(facts, rows[facts.e[rows] >> 1 >= first], "eavt")
            return
        for start in range(max(first, 0), top + 1, DATOMS_PAGE):
            entities = np.arange(start, min(start + DATOMS_PAGE, top + 1), dtype=np.int64) << 1
            yield from order.ordered(facts, self.scan_bound(None, e=entities)[1], "eavt")
        rows = self._unhidden(seen.rows_of_transactions(self.count_rows, self.start, self._all))
        yield from order.ordered(facts, rows[facts.e[rows] >> 1 >= first], "eavt")

    def index_range(
        self, attribute: Keyword, start: object = None, end: object = None
    ) -> Iterator[Datom]:
        """Yield the datoms of an attribute whose values are at least `start` and below `end`, in the order of values."""
        a = intern(attribute)
        low = self._components("av", (attribute, start))[1]
        high = self._components("av", (attribute, end))[1]
        if _is_whole(low) and _is_whole(high) and self.has_integers_only(a):
            first = 1 - INLINE_BOUND if low is None else low
            past = INLINE_BOUND if high is None else high
            return order.ordered(self.facts, self.rows_between(a, first, past - 1), "avet")
        rows = order.between(self.facts, self.rows(None, a), low, high)
        return order.ordered(self.facts, rows, "avet")

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
            self.check_named(attribute)
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
        a, v = find(attribute), self.facts.find(value)
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
        refs = tuple(intern(attribute.ident) for attribute in self.schema if attribute.is_ref)
        return max(1_000, self._seen().highest_entity(refs, self.count_rows) + 1)


class TxDatoms(NamedTuple):
    """One transaction of a database value."""

    t: int
    instant_ms: int
    datoms: list[Datom]


def _is_whole(bound: object) -> TypeGuard[int | None]:
    return bound is None or type(bound) is int


def _first(pair: tuple[int, object]) -> int:
    return pair[0]


def _ids_without_history(schema: Schema) -> Ids | None:
    ids = [intern(attribute.ident) for attribute in schema if attribute.no_history]
    return np.array(ids, np.int64) if ids else None


def _schema(schema: Mapping[Keyword, Mapping[Keyword, object]] | Schema | None) -> Schema:
    if isinstance(schema, Schema):
        return schema
    return Schema.from_maps(schema or {})
