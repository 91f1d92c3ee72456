"""Transaction data to datoms: tempids, upserts, lookup refs, uniqueness, compare-and-set.

Is:     the one writer of a Facts: it resolves, checks and appends rows, and can take its rows back.
Is not: durable: `datomstore.streams` makes the log record first and calls `commit` after it is on disk.
Fits:   names and forms are Datomic's and DataScript's.

    {:db/id "tempid" :person/name "Ada" :person/friend {...}}     entity map; nested maps are entities of their own
    [:db/add e a v]  [:db/retract e a v]  [:db/retract e a]  [:db/retractEntity e]  [:db/cas e a old new]

e is an entity id, a tempid (a string or a negative integer), an ident, or a lookup ref [attribute value]; "datomic.tx" is the
transaction itself. An error leaves everything as it was and names the item at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from datomstore.database import Database
from datomstore.datom import FIRST_ENTITY, TX_BASE, Datom
from datomstore.errors import DatomstoreError
from datomstore.facts import NEVER, Facts
from datomstore.intern import intern, value_of
from datomstore.schema import (
    IDENT,
    IDENTITY,
    PYTHON_TYPES,
    SCHEMA_ATTRIBUTES,
    Attribute,
    Schema,
    SchemaError,
    changed,
)
from datomstore.value import Keyword, List, Map, Set

TX_INSTANT = Keyword("db/txInstant")
ID = Keyword("db/id")
_ADD = Keyword("db/add")
_RETRACT = Keyword("db/retract")
_RETRACT_ENTITY = frozenset({Keyword("db/retractEntity"), Keyword("db.fn/retractEntity")})
_CAS = frozenset({Keyword("db/cas"), Keyword("db.fn/cas")})
CURRENT_TX = frozenset({"datomic.tx", "db/current-tx"})


class TransactionError(DatomstoreError):
    """The transaction data is wrong; names the item."""

    code = "transaction/invalid"


class UniqueConflict(TransactionError):
    """Another entity has the unique value already."""

    code = "transaction/unique"


class CasFailed(TransactionError):
    """The value is not the expected one."""

    code = "transaction/cas"


class TxReport(NamedTuple):
    """What a transaction did."""

    db_before: Database
    db_after: Database
    datoms: list[Datom]
    tempids: dict[object, int]
    t: int
    tx: int


@dataclass(slots=True)
class Staged:
    """One transaction that is in the columns but not committed."""

    t: int
    tx: int
    start: int  # first row
    tempids: dict[object, int] = field(default_factory=dict)
    undo: list[Callable[[], object]] = field(default_factory=list)
    schema_before: Schema | None = None
    schema_after: Schema | None = None


class Transactor:
    """The writer of one Facts. Not thread-safe: its owner lets one transaction in at a time."""

    def __init__(self, facts: Facts, schema: Schema, tx_ends: list[tuple[int, int]]) -> None:
        self.facts = facts
        self.schema = schema
        self.tx_ends = tx_ends
        self.t = tx_ends[-1][0] if tx_ends else 0
        self._rows = facts.count  # staged rows included
        self._one: dict[tuple[int, int], int] = {}  # (e, a) -> live row, cardinality one
        self._many: dict[tuple[int, int], dict[int, int]] = {}  # (e, a) -> v -> live row
        self._unique: dict[tuple[int, int], int] = {}  # (a, v) -> e
        self._next = FIRST_ENTITY
        self._staged: list[Staged] = []
        self._index_live_rows()
        self._committed = self._view(facts.count, self.t)

    def _index_live_rows(self) -> None:
        facts = self.facts
        for row in range(facts.count):
            e, a, v = int(facts.e[row]), int(facts.a[row]), int(facts.v[row])
            self.reserve_entity(e >> 1)
            if v & 1 == 0 and self._attribute(a).is_ref:
                self.reserve_entity(v >> 1)
            if facts.added[row] and facts.ended[row] == NEVER:
                self._note_live(e, a, v, row)

    def _note_live(self, e: int, a: int, v: int, row: int) -> None:
        attribute = self._attribute(a)
        if attribute.many:
            self._many.setdefault((e, a), {})[v] = row
        else:
            self._one[e, a] = row
        if attribute.unique is not None or attribute.ident is IDENT:
            self._unique[a, v] = e

    def _attribute(self, a: int) -> Attribute:
        ident = value_of(a)
        assert isinstance(ident, Keyword), ident
        return self.schema[ident]

    # -- the life of a transaction --

    def database(self) -> Database:
        """Return the committed database."""
        return self._committed  # one attribute, so that a reader never sees half a commit

    def staged_database(self) -> Database:
        """Return the database with all staged transactions, complete once they are committed."""
        return self._view(self._rows, self.t)

    def _view(self, count: int, t: int) -> Database:
        return Database(self.facts, self.schema, self.tx_ends, basis_t=t, count=count)

    def stage(
        self, tx_data: Iterable[object], now_ms: int, meta: Mapping[Keyword, object] | None = None
    ) -> Staged:
        """Append the rows of a transaction without showing them. Raises TransactionError, nothing changed."""
        staged = Staged(self.t + 1, TX_BASE + self.t + 1, self._rows, schema_before=self.schema)
        self._staged.append(staged)
        self.t = staged.t
        try:
            instant = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
            self._add(staged, staged.tx, TX_INSTANT, instant)
            for attribute, value in (meta or {}).items():
                self._add(staged, staged.tx, attribute, value)
            _Resolver(self, staged).run(tx_data)
            self._learn_schema(staged)
            staged.schema_after = self.schema
        except BaseException:
            self.rollback(staged)
            raise
        return staged

    def stage_datoms(self, t: int, datoms: Iterable[tuple[int, Keyword, object, bool]]) -> Staged:
        """Append the rows of a log record as they are."""
        staged = Staged(t, TX_BASE + t, self._rows, schema_before=self.schema)
        self._staged.append(staged)
        self.t = t
        for e, attribute, value, added in datoms:
            self.reserve_entity(e)
            if type(value) is int and self.schema[attribute].is_ref:
                self.reserve_entity(value)
            if added:
                self._append_added(staged, e << 1, intern(attribute), intern(value))
            else:
                self._end(staged, e << 1, intern(attribute), intern(value))
        self._learn_schema(staged)
        staged.schema_after = self.schema
        return staged

    def commit(self, staged: Staged) -> None:
        """Show the rows of the oldest staged transaction to new database values."""
        assert self._staged[0] is staged, "transactions commit in the order they were staged"
        del self._staged[0]
        end = self._staged[0].start if self._staged else self._rows
        self.tx_ends.append((staged.t, end))
        self.facts.count = end
        staged.undo.clear()
        schema = staged.schema_after
        assert schema is not None, "a transaction is staged to its end before it is committed"
        self._committed = Database(self.facts, schema, self.tx_ends, basis_t=staged.t, count=end)

    def rollback(self, staged: Staged) -> None:
        """Take back the newest staged transaction."""
        assert self._staged[-1] is staged, "the newest transaction is taken back first"
        self._staged.pop()
        for undo in reversed(staged.undo):
            undo()
        self._rows = staged.start
        self.facts.forget_after(staged.start)
        self.t = staged.t - 1
        if staged.schema_before is not None:
            self.schema = staged.schema_before

    def datoms_of(self, staged: Staged) -> list[Datom]:
        """Return the datoms of the newest staged transaction."""
        facts = self.facts
        return [
            Datom(
                int(facts.e[row]) >> 1,
                value_of(int(facts.a[row])),  # type: ignore[arg-type]
                value_of(int(facts.v[row])),
                staged.tx,
                bool(facts.added[row]),
            )
            for row in range(staged.start, self._rows)
        ]

    # -- rows --

    def new_entity(self) -> int:
        """Return a fresh entity id."""
        self._next += 1
        return self._next - 1

    def reserve_entity(self, e: int) -> None:
        """Never give out an id that the transaction data names itself."""
        if self._next <= e < TX_BASE:
            self._next = e + 1

    def entity_with(self, attribute: Keyword, value: object) -> int | None:
        """Return the entity that has a unique value, staged facts included."""
        found = self._unique.get((intern(attribute), intern(value)))
        return None if found is None else found >> 1

    def live_values(self, e: int, attribute: Keyword) -> list[object]:
        """Return the values an entity has now, staged facts included."""
        key = (e << 1, intern(attribute))
        if self.schema[attribute].many:
            return [value_of(v) for v in self._many.get(key, ())]
        row = self._one.get(key)
        return [] if row is None else [value_of(int(self.facts.v[row]))]

    def _add(self, staged: Staged, e: int, attribute: Keyword, value: object) -> None:
        """Append a fact unless it is so already; a cardinality-one value ends the one before."""
        properties = self.schema[attribute]
        e_id, a_id, v_id = e << 1, intern(attribute), intern(value)
        if properties.unique is not None or attribute is IDENT:
            owner = self._unique.get((a_id, v_id))
            if owner is not None and owner != e_id:
                raise UniqueConflict(
                    f"{attribute!r} {value!r} is unique and belongs to entity {owner >> 1}, not {e}"
                )
        if properties.many:
            if v_id in self._many.get((e_id, a_id), ()):
                return
        else:
            row = self._one.get((e_id, a_id))
            if row is not None:
                before = int(self.facts.v[row])
                if before == v_id:
                    return
                self._end(staged, e_id, a_id, before)
        self._append_added(staged, e_id, a_id, v_id)

    def _append_added(self, staged: Staged, e: int, a: int, v: int) -> None:
        row = self._append(staged, e, a, v, added=True)
        attribute = self._attribute(a)
        if attribute.many:
            values = self._many.setdefault((e, a), {})
            values[v] = row
            staged.undo.append(lambda: values.pop(v, None))
        else:
            self._one[e, a] = row
            staged.undo.append(lambda: self._one.pop((e, a), None))
        if attribute.unique is not None or attribute.ident is IDENT:
            self._unique[a, v] = e
            staged.undo.append(lambda: self._unique.pop((a, v), None))

    def _end(self, staged: Staged, e: int, a: int, v: int) -> None:
        """Append a retraction of a live fact; nothing when it is not live."""
        attribute = self._attribute(a)
        if attribute.many:
            values = self._many.get((e, a), {})
            if v not in values:
                return
            row = values.pop(v)
            staged.undo.append(lambda: values.__setitem__(v, row))
        else:
            kept = self._one.get((e, a))
            if kept is None or int(self.facts.v[kept]) != v:
                return
            row = kept
            del self._one[e, a]
            staged.undo.append(lambda: self._one.__setitem__((e, a), kept))
        if self._unique.get((a, v)) == e:
            del self._unique[a, v]
            staged.undo.append(lambda: self._unique.__setitem__((a, v), e))
        retraction = self._append(staged, e, a, v, added=False)
        ended_row = row
        self.facts.ended[ended_row] = retraction
        staged.undo.append(lambda: self.facts.ended.__setitem__(ended_row, NEVER))

    def _append(self, staged: Staged, e: int, a: int, v: int, *, added: bool) -> int:
        row, facts = self._rows, self.facts
        facts.reserve(row + 1)
        facts.e[row], facts.a[row], facts.v[row] = e, a, v
        facts.t[row] = staged.tx << 1
        facts.added[row] = added
        facts.ended[row] = NEVER
        self._rows = row + 1
        return row

    def _learn_schema(self, staged: Staged) -> None:
        """Apply what the transaction says about attributes."""
        for datom in self._schema_datoms(staged):
            idents = self.live_values(datom.e, IDENT)
            if idents and isinstance(idents[0], Keyword) and datom.added and datom.a is not IDENT:
                try:
                    attribute = changed(self.schema[idents[0]], datom.a, datom.v)
                except SchemaError as error:
                    raise TransactionError(str(error)) from error
                self._check_change(self.schema[idents[0]], attribute)
                self.schema = self.schema.with_property(idents[0], datom.a, datom.v)

    def _schema_datoms(self, staged: Staged) -> Iterator[Datom]:
        wanted = {intern(attribute) for attribute in SCHEMA_ATTRIBUTES}
        facts = self.facts
        touched = [row for row in range(staged.start, self._rows) if int(facts.a[row]) in wanted]
        if touched:
            yield from (datom for datom in self.datoms_of(staged) if datom.a in SCHEMA_ATTRIBUTES)

    def _check_change(self, before: Attribute, after: Attribute) -> None:
        """Refuse to change how facts that exist already are kept."""
        if before.many == after.many and before.unique == after.unique:
            return
        a = intern(before.ident)
        used = any(key[1] == a for key in self._one) or any(key[1] == a for key in self._many)
        if used:
            raise TransactionError(
                f"{before.ident!r} has facts already: its cardinality and uniqueness cannot change"
            )


class _Resolver:
    """Turns the items of one transaction into rows."""

    def __init__(self, transactor: Transactor, staged: Staged) -> None:
        self.transactor = transactor
        self.staged = staged

    def run(self, tx_data: Iterable[object]) -> None:
        items = list(tx_data)
        self._upsert_tempids(items)
        for item in items:
            try:
                self._item(item)
            except TransactionError as error:
                if not error.args or "in item" in str(error):
                    raise
                raise type(error)(f"{error}, in item {_shorten(item)}") from error
            except RecursionError:
                raise TransactionError("an item is nested too deeply") from None
            except (TypeError, DatomstoreError) as error:
                raise TransactionError(f"{error}, in item {_shorten(item)}") from error

    def _upsert_tempids(self, items: list[object]) -> None:
        """Bind the tempids whose identity exists already, before anything refers to them."""
        for item in items:
            if isinstance(item, Mapping):
                self._bind(item.get(ID), item)
            elif isinstance(item, tuple) and len(item) == 4 and item[0] is _ADD:
                self._bind(item[1], {item[2]: item[3]})

    def _bind(self, tempid: object, facts: Mapping[object, object]) -> None:
        """Bind a tempid to the entity that has the unique identities among its facts."""
        if not _is_tempid(tempid) or tempid in CURRENT_TX:
            return
        e = self._identity(facts)
        if e is not None:
            known = self.staged.tempids.setdefault(tempid, e)
            if known != e:
                raise TransactionError(f"tempid {tempid!r} would be entities {known} and {e}")

    def _item(self, item: object) -> None:
        if isinstance(item, Mapping):
            self._map(item)
            return
        if isinstance(item, Datom):
            item = (_ADD if item.added else _RETRACT, item.e, item.a, item.v)
        if not isinstance(item, tuple) or not item:
            raise TransactionError("an item is a map or a vector")
        operation, *arguments = item
        match operation, arguments:
            case Keyword() as op, [e, Keyword() as a, v] if op is _ADD:
                self._add(self._entity(e), a, v)
            case Keyword() as op, [e, Keyword() as a, v] if op is _RETRACT:
                self._retract(self._existing(e), a, self._value(self.attribute(a), v))
            case Keyword() as op, [e, Keyword() as a] if op is _RETRACT:
                for value in self.transactor.live_values(self._existing(e), a):
                    self._retract(self._existing(e), a, value)
            case Keyword() as op, [e] if op in _RETRACT_ENTITY:
                self._retract_entity(self._existing(e))
            case Keyword() as op, [e, Keyword() as a, old, new] if op in _CAS:
                self._cas(self._existing(e), a, old, new)
            case _:
                raise TransactionError(
                    f"no operation {operation!r} with {len(arguments)} arguments"
                )

    def attribute(self, ident: Keyword) -> Attribute:
        return self.transactor.schema[ident]

    # -- entities --

    def _map(self, item: Mapping[object, object]) -> int:
        """Assert an entity map and return its entity."""
        given = item.get(ID)
        if given is None:
            e = self._identity(item)
            e = self.transactor.new_entity() if e is None else e
        else:
            if given not in self.staged.tempids:  # the identity may be new in this transaction
                self._bind(given, item)
            e = self._entity(given)
        facts = [(key, value) for key, value in item.items() if key is not ID]
        for key, value in facts:
            if not isinstance(key, Keyword):
                raise TransactionError(f"an attribute is a keyword, not {key!r}")
            if value is None:
                raise TransactionError(f"{key!r} is nil: a fact has a value")
            if "_" in key.name and key.local_name.startswith("_") and len(key.local_name) > 1:
                self._reverse(e, key, value)
            else:
                attribute = self.attribute(key)
                for single in self._values(attribute, value):
                    self.transactor._add(self.staged, e, key, self._value(attribute, single))
        return e

    def _reverse(self, e: int, key: Keyword, value: object) -> None:
        """`:person/_friend x`: x has this entity as its :person/friend."""
        namespace, local = key.namespace, key.local_name[1:]
        forward = Keyword(local if namespace is None else f"{namespace}/{local}")
        others = value if isinstance(value, (Set, list)) else [value]
        for other in others:
            source = self._map(other) if isinstance(other, Mapping) else self._entity(other)
            self._add(source, forward, e)

    def _values(self, attribute: Attribute, value: object) -> Iterable[object]:
        if not attribute.many:
            return (value,)
        if isinstance(value, Set) or type(value) in (list, List):
            return value  # type: ignore[return-value]
        if type(value) is tuple and not (attribute.is_ref and self._is_lookup(value)):
            return value
        return (value,)

    def _identity(self, item: Mapping[object, object]) -> int | None:
        """Return the entity that the map's unique identities name, if one exists."""
        found: int | None = None
        for key, value in item.items():
            if not isinstance(key, Keyword) or key is ID:
                continue
            if self.attribute(key).unique is IDENTITY or key is IDENT:
                e = self.transactor.entity_with(key, value)
                if e is not None and found is not None and e != found:
                    raise TransactionError(
                        f"the map's identities name two entities: {found} and {e}"
                    )
                found = e if e is not None else found
        return found

    def _entity(self, reference: object) -> int:
        """Return the entity of a reference; a tempid is made one."""
        if _is_tempid(reference):
            if reference in CURRENT_TX:
                return self.staged.tx
            e = self.staged.tempids.get(reference)
            if e is None:
                e = self.staged.tempids[reference] = self.transactor.new_entity()
            return e
        return self._existing(reference)

    def _existing(self, reference: object) -> int:
        if isinstance(reference, bool):
            raise TransactionError(f"{reference!r} is no entity")
        if isinstance(reference, int) and reference >= 0:
            if reference >= TX_BASE << 12:
                raise TransactionError(f"{reference} is too large for an entity id")
            self.transactor.reserve_entity(reference)
            return reference
        if _is_tempid(reference) and (reference in self.staged.tempids or reference in CURRENT_TX):
            return self._entity(reference)
        found: int | None = None
        if isinstance(reference, Keyword):
            found = self.transactor.entity_with(IDENT, reference)
        elif self._is_lookup(reference):
            assert isinstance(reference, tuple), reference
            found = self.transactor.entity_with(reference[0], reference[1])
        if found is None:
            raise TransactionError(f"no entity {reference!r}")
        return found

    def _is_lookup(self, value: object) -> bool:
        return (
            isinstance(value, tuple)
            and len(value) == 2
            and isinstance(value[0], Keyword)
            and self.attribute(value[0]).unique is not None
        )

    # -- facts --

    def _add(self, e: int, a: Keyword, value: object) -> None:
        self.transactor._add(self.staged, e, a, self._value(self.attribute(a), value))

    def _retract(self, e: int, a: Keyword, value: object) -> None:
        self.transactor._end(self.staged, e << 1, intern(a), intern(value))

    def _value(self, attribute: Attribute, value: object) -> object:
        """Return the value as it is kept: references resolved, type checked."""
        if attribute.is_ref:
            return self._map(value) if isinstance(value, Mapping) else self._entity(value)
        if isinstance(value, Mapping) and not isinstance(value, Map):
            value = Map(value)
        kinds = None if attribute.value_type is None else PYTHON_TYPES[attribute.value_type]
        if kinds is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        ):
            raise TransactionError(
                f"{attribute.ident!r} takes {attribute.value_type!r}, not {value!r}"
            )
        return value

    def _cas(self, e: int, a: Keyword, old: object, new: object) -> None:
        attribute = self.attribute(a)
        now = self.transactor.live_values(e, a)
        expected = [] if old is None else [self._value(attribute, old)]
        if [intern(v) for v in now] != [intern(v) for v in expected]:
            raise CasFailed(f"{a!r} of entity {e} is {now[0] if now else None!r}, not {old!r}")
        self._add(e, a, new)

    def _retract_entity(self, e: int) -> None:
        """Retract all facts of an entity, its components, and every reference to it."""
        pending, gone = [e], set()
        while pending:
            entity = pending.pop()
            if entity in gone:
                continue
            gone.add(entity)
            for a, value in self._facts_of(entity):
                if self.attribute(a).component and isinstance(value, int):
                    pending.append(value)
                self._retract(entity, a, value)
            for source, a in self._referrers(entity):
                self._retract(source, a, entity)

    def _facts_of(self, e: int) -> list[tuple[Keyword, object]]:
        transactor = self.transactor
        view = transactor.staged_database()
        attributes = {value_of(int(a)) for a in transactor.facts.a[view.rows(e << 1)]}
        found: list[tuple[Keyword, object]] = []
        for attribute in sorted(attributes):  # type: ignore[type-var]
            assert isinstance(attribute, Keyword), attribute
            found += [(attribute, value) for value in transactor.live_values(e, attribute)]
        return found

    def _referrers(self, e: int) -> list[tuple[int, Keyword]]:
        facts, view = self.transactor.facts, self.transactor.staged_database()
        found = []
        for row in view.rows(None, None, e << 1):
            attribute = value_of(int(facts.a[row]))
            if isinstance(attribute, Keyword) and self.attribute(attribute).is_ref:
                found.append((int(facts.e[row]) >> 1, attribute))
        return found


def _is_tempid(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, int) and not isinstance(value, bool) and value < 0
    )


def _shorten(item: object) -> str:
    from datomstore import edn

    try:
        text = edn.write(Map(item) if isinstance(item, dict) else item)
    except TypeError:
        text = repr(item)
    return text if len(text) <= 200 else text[:197] + "..."


def speculate(database: Database, tx_data: Iterable[object]) -> TxReport:
    """Return the report of a transaction on a copy of a database's visible facts."""
    columns = database.columns(database.rows())
    count = len(columns.e)
    facts = Facts(max(count, 1))
    facts.e[:count], facts.a[:count], facts.v[:count] = columns.e, columns.a, columns.v
    facts.t[:count], facts.added[:count], facts.ended[:count] = columns.t, True, NEVER
    facts.count = count
    ends = [(database.basis_t, count)] if count or database.basis_t else []
    transactor = Transactor(facts, database.schema, ends)
    before = transactor.database()
    staged = transactor.stage(tx_data, now_ms=0)
    datoms = transactor.datoms_of(staged)
    transactor.commit(staged)
    return TxReport(before, transactor.database(), datoms, staged.tempids, staged.t, staged.tx)
