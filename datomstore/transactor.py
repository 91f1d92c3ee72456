"""The one writer of a Facts: it appends rows, keeps what is so now, and can take its newest rows back.

Is:     the rows of a transaction: cardinality, uniqueness, retraction, composites, schema.
Is not: aware of tempids and forms (`datomstore.transaction` resolves them), nor durable: `datomstore.streams` makes the
        log record first and calls `commit` after it is on disk.
Fits:   rows are gathered in lists and go into the columns at the end of a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from datomstore import excision
from datomstore.database import Database
from datomstore.datom import FIRST_ENTITY, TX_BASE
from datomstore.errors import DatomstoreError
from datomstore.facts import DatomRows, Facts, Rows
from datomstore.intern import intern, value_of, values_of
from datomstore.live import Base, Held
from datomstore.roots import EMPTY_ROOT
from datomstore.schema import (
    EXCISE,
    IDENT,
    PROPERTIES,
    SCHEMA_ATTRIBUTES,
    TX_INSTANT,
    Attribute,
    Schema,
    SchemaError,
    attribute_of,
    check_composite,
    refusal,
)
from datomstore.value import Keyword

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TransactionError(DatomstoreError):
    """The transaction data is wrong. `rule` is what it breaks, `datom` the fact (e, a, v) at fault, `item` where it stands."""

    code = "transaction/invalid"

    def __init__(
        self,
        message: str,
        *,
        rule: str = "form",
        datom: tuple[object, object, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.datom = datom
        self.item: object = None


class UniqueConflict(TransactionError):
    """Another entity has the unique value already."""

    code = "transaction/unique"


class CasFailed(TransactionError):
    """The value is not the expected one."""

    code = "transaction/cas"


@dataclass(slots=True)
class Staged:
    """One transaction that is in the columns but not committed."""

    t: int
    tx: int
    start: int  # first row
    schema_before: Schema
    instant_before: int
    instant_ms: int = 0
    end: int = 0  # row after the last
    tempids: dict[object, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)  # row of a retraction -> the row it ends
    touched: dict[tuple[Keyword, int], None] = field(default_factory=dict)  # composites to renew
    properties_of: dict[int, None] = field(default_factory=dict)  # entities of attributes changed
    reshaped: list[Keyword] = field(default_factory=list)  # attributes kept in another way since
    schema_after: Schema | None = None
    excisions: dict[int, None] = field(default_factory=dict)  # entities that ask for some
    excised: Rows | None = None  # the rows they ask to remove
    root: bytes | None = None  # after it, once its bytes are known


class Transactor:
    """The writer of one Facts. Not thread-safe: its owner lets one transaction in at a time."""

    def __init__(
        self,
        facts: Facts,
        schemas: list[tuple[int, Schema]],
        tx_ends: list[tuple[int, int]],
        *,
        base: Database | None = None,
        roots: list[bytes] | None = None,
    ) -> None:
        self.facts = facts
        self.roots = (
            roots  # after every transaction, shared like `schemas`; None if this is no stream
        )
        self.schemas = schemas  # (t, schema from then on), shared with database values
        self.schema = schemas[-1][1]
        self.tx_ends = tx_ends
        self.t = tx_ends[-1][0] if tx_ends else 0
        self.rows = facts.count  # staged rows included
        self.instant_ms = 0  # of the newest transaction; time does not run backwards in a stream
        self.helds: dict[object, Held] = {}
        self._helds_by_id: dict[int, Held] = {}
        self._e: list[int] = []  # rows that are not in the columns yet: from `_flushed` on
        self._a: list[int] = []
        self._v: list[int] = []
        self._ends: list[tuple[int, int]] = []  # (retraction, row it ends) among these
        self._flushed = facts.count
        self._staged: list[Staged] = []
        self._committed = base or self._view(facts.count, self.t)
        self._base = self._base_of(self._committed)
        self._next = FIRST_ENTITY if self._base is None else self._base.next_entity
        if self.t:
            self.instant_ms = self._committed.instant_ms(self.t)

    def _base_of(self, database: Database) -> Base | None:
        if not database.count_rows:
            return None
        return Base(database, max(FIRST_ENTITY, database.next_entity))

    # -- the life of a transaction --

    def database(self) -> Database:
        """Return the committed database."""
        return self._committed  # one attribute, so that a reader never sees half a commit

    def staged_database(self) -> Database:
        """Return the database with all staged transactions, complete once they are committed."""
        self.flush()
        return self._view(self.rows, self.t)

    def _view(self, count: int, t: int) -> Database:
        return Database(
            self.facts,
            self.schema,
            self.tx_ends,
            basis_t=t,
            count=count,
            schemas=self.schemas,
            roots=self.roots,
        )

    @property
    def root(self) -> bytes:
        """Return the root after the newest transaction whose bytes are known."""
        for staged in reversed(self._staged):
            if staged.root is not None:
                return staged.root
        return self.roots[-1] if self.roots else EMPTY_ROOT

    @property
    def staged_count(self) -> int:
        """Return how many transactions are not committed."""
        return len(self._staged)

    def stage(
        self,
        now_ms: int,
        meta: Mapping[Keyword, object],
        resolve: Callable[[Staged], None],
    ) -> Staged:
        """Append the rows that `resolve` makes, without showing them. Raises TransactionError, nothing changed."""
        staged = self._begin(self.t + 1)
        staged.instant_ms = self.instant_ms = max(now_ms, self.instant_ms)
        try:
            self._append(staged.tx, intern(TX_INSTANT), intern(_instant(staged.instant_ms)))
            for attribute, value in meta.items():
                self.add(staged, self.held(attribute), staged.tx, value)
            resolve(staged)
            self._renew_composites(staged)
            self._learn_schema(staged)
            if staged.excisions:
                staged.excised = excision.plan(self, staged)
            self._finish(staged)
        except BaseException:
            self.rollback(staged)
            raise
        return staged

    def stage_rows(
        self, t: int, instant_ms: int, rows: Sequence[tuple[int, Keyword, object, bool]]
    ) -> Staged:
        """Append the rows of a transaction of another log, which must be what they do. Raises TransactionError."""
        if t != self.t + 1:
            raise TransactionError(f"transaction {t} does not follow {self.t}", rule="order")
        staged = self._begin(t)
        staged.instant_ms = self.instant_ms = max(instant_ms, self.instant_ms)
        try:
            for e, attribute, value, added in rows:
                self._restore(staged, e, attribute, value, added=added)
            self._renew_composites(staged)
            self._learn_schema(staged)
            if self.rows - staged.start != len(rows):
                raise TransactionError(f"the facts of transaction {t} imply others", rule="facts")
            self._finish(staged)
        except BaseException:
            self.rollback(staged)
            raise
        return staged

    def _restore(
        self, staged: Staged, e: int, attribute: Keyword, value: object, *, added: bool
    ) -> None:
        if type(e) is not int or not 0 <= e < TX_BASE << 12:
            raise TransactionError(f"{e!r} is no entity", rule="reference")
        held, before = self.held(attribute), self.rows
        self.reserve_entity(e)
        if added:
            problem = "nil is no value" if value is None else refusal(held.attribute, value)
            if problem is not None:
                raise TransactionError(problem, datom=(e, attribute, value), rule="type")
            if held.attribute.is_ref and isinstance(value, int):
                self.reserve_entity(value)
            self.add(staged, held, e, value)
        else:
            self.end(staged, held, e, intern(value))
        if self.rows != before + 1:
            raise TransactionError(
                f"[{e} {attribute!r} {value!r}] changes something else, or nothing",
                datom=(e, attribute, value),
                rule="facts",
            )

    def _begin(self, t: int) -> Staged:
        staged = Staged(t, TX_BASE + t, self.rows, self.schema, self.instant_ms)
        self._staged.append(staged)
        self.t = t
        return staged

    def _finish(self, staged: Staged) -> None:
        self.flush()
        staged.end = self.rows
        staged.schema_after = self.schema

    def set_instant(self, staged: Staged, instant: datetime) -> None:
        """Give a transaction another instant than now; not before the transaction that precedes it."""
        wanted = (instant - _EPOCH) // timedelta(milliseconds=1)
        if wanted < staged.instant_before:
            raise TransactionError(
                f":db/txInstant {instant} is before the transaction that precedes it",
                rule="db/txInstant",
                datom=(staged.tx, TX_INSTANT, instant),
            )
        staged.instant_ms = self.instant_ms = wanted
        v = intern(_instant(wanted))
        if self._flushed <= staged.start:
            self._v[staged.start - self._flushed] = v
        else:
            self.facts.replace_value(staged.start, v)

    def commit(self, staged: Staged) -> None:
        """Show the rows of the oldest staged transaction to new database values."""
        assert self._staged[0] is staged, "transactions commit in the order they were staged"
        del self._staged[0]
        schema = staged.schema_after
        assert schema is not None, "a transaction is staged to its end before it is committed"
        if schema is not staged.schema_before:
            self.schemas.append((staged.t, schema))
        if self.roots is not None:
            assert staged.root is not None, "a stream's transaction has bytes"
            self.roots.append(staged.root)
        self.tx_ends.append((staged.t, staged.end))
        self.facts.count = staged.end
        self._committed = Database(
            self.facts,
            schema,
            self.tx_ends,
            basis_t=staged.t,
            count=staged.end,
            schemas=self.schemas,
            roots=self.roots,
        )

    def rollback(self, staged: Staged) -> None:
        """Take back the newest staged transaction."""
        assert self._staged[-1] is staged, "the newest transaction is taken back first"
        self.flush()
        self._staged.pop()
        facts, start = self.facts, staged.start
        entities, attributes = facts.e[start : self.rows] >> 1, facts.a[start : self.rows]
        values = facts.v[start : self.rows].tolist()
        undone = list(zip(entities.tolist(), attributes.tolist(), values, strict=True))
        for row in range(self.rows - 1, start - 1, -1):
            e, a, v = undone[row - start]
            held = self._held_of(a)
            ended = staged.ends.get(row)
            if ended is None:
                held.forget(e, v)
            else:
                held.note(e, v, ended)
                facts.live_again(ended)
        self.rows = self._flushed = start
        facts.take_back(start)
        self.t = staged.t - 1
        self.instant_ms = staged.instant_before
        self.schema = staged.schema_before
        for ident in staged.reshaped:
            self._reshape(ident)

    def datoms_of(self, staged: Staged) -> DatomRows:
        """Return the datoms of a staged transaction, made when they are looked at."""
        return DatomRows(self.facts, staged.start, staged.end)

    # -- rows --

    def new_entity(self) -> int:
        """Return a fresh entity id."""
        self._next += 1
        return self._next - 1

    def reserve_entity(self, e: int) -> None:
        """Never give out an id that the transaction data names itself."""
        if self._next <= e < TX_BASE:
            self._next = e + 1

    def held(self, ident: Keyword) -> Held:
        """Return what is so now for an attribute."""
        found = self.helds.get(ident)
        if found is None:
            if not isinstance(ident, Keyword):
                raise TransactionError(f"an attribute is a keyword, not {ident!r}")
            found = Held(intern(ident), self.schema[ident], self.schema, self._base)
            self.helds[ident] = self._helds_by_id[found.a] = found
        return found

    def _held_of(self, a: int) -> Held:
        found = self._helds_by_id.get(a)
        if found is None:
            ident = value_of(a)
            assert isinstance(ident, Keyword), ident
            found = self.held(ident)
        return found

    def entity_with(self, attribute: Keyword, value: object) -> int | None:
        """Return the entity that has a unique value, staged facts included."""
        return self.held(attribute).owner(intern(value))

    def live_values(self, e: int, attribute: Keyword) -> list[object]:
        """Return the values an entity has now, staged facts included."""
        return [
            value_of(self.v_at(row) if v is None else v) for row, v in self.held(attribute).live(e)
        ]

    def v_at(self, row: int) -> int:
        """Return the value id of a row."""
        if row >= self._flushed:
            return self._v[row - self._flushed]
        return self.facts.v_at(row)

    def add(self, staged: Staged, held: Held, e: int, value: object) -> None:
        """Append a fact unless it is so already; a cardinality-one value ends the one before."""
        v = intern(value)
        if held.unique:
            owner = held.owner(v)
            if owner is not None and owner != e:
                raise UniqueConflict(
                    f"{held.ident!r} {value!r} is unique and belongs to entity {owner}, not {e}",
                    rule="db/unique",
                    datom=(e, held.ident, value),
                )
        if held.many:
            values = held.values(e)
            if v in values:
                return
            values[v] = self.rows
        else:
            row = held.row(e)
            if row is not None:
                before = self.v_at(row)
                if before == v:
                    return
                self._end(staged, held, e, before, row)
            held.one[e] = self.rows
        if held.unique:
            held.owners[v] = e
        if held.watched:
            self._watch(staged, held, e)
        self._e.append(e << 1)
        self._a.append(held.a)
        self._v.append(v)
        self.rows += 1

    def end(self, staged: Staged, held: Held, e: int, v: int) -> None:
        """Append a retraction of a live fact; nothing when it is not live."""
        if held.many:
            row = held.values(e).get(v)
        else:
            row = held.row(e)
            if row is not None and self.v_at(row) != v:
                return
        if row is not None:
            self._end(staged, held, e, v, row)

    def _end(self, staged: Staged, held: Held, e: int, v: int, row: int) -> None:
        held.forget(e, v)
        if held.watched:
            self._watch(staged, held, e)
        staged.ends[self.rows] = row
        self._ends.append((self.rows, row))
        self._append(e, held.a, v)

    def _watch(self, staged: Staged, held: Held, e: int) -> None:
        for composite in held.composites:
            staged.touched[composite, e] = None
        if held.ident in SCHEMA_ATTRIBUTES:
            staged.properties_of[e] = None
        elif held.ident is EXCISE:
            staged.excisions[e] = None

    def _append(self, e: int, a: int, v: int) -> None:
        self._e.append(e << 1)
        self._a.append(a)
        self._v.append(v)
        self.rows += 1

    def flush(self) -> None:
        """Write the rows of the newest transaction into the columns."""
        if not self._e:
            return
        tx = self._staged[-1].tx << 1
        self.facts.write(self._flushed, self._e, self._a, self._v, tx, self._ends)
        self._flushed = self.rows
        self._e.clear()
        self._a.clear()
        self._v.clear()
        self._ends.clear()

    # -- composites --

    def _renew_composites(self, staged: Staged) -> None:
        """Give every touched entity the composites its parts make now; ends come before additions, so values may swap."""
        made: list[tuple[Held, int, tuple[object, ...]]] = []
        for ident, e in staged.touched:
            held = self.held(ident)
            value = self.composite_of(held.attribute, e)
            row = held.row(e)
            if row is not None and (value is None or self.v_at(row) != intern(value)):
                self._end(staged, held, e, self.v_at(row), row)
            if value is not None:
                made.append((held, e, value))
        staged.touched.clear()
        for held, e, value in made:
            self.add(staged, held, e, value)

    def composite_of(self, attribute: Attribute, e: int) -> tuple[object, ...] | None:
        """Return the tuple of an entity's parts, None where it has none; None if it has no part at all."""
        parts = [self.live_values(e, part) for part in attribute.tuple_attrs]
        return tuple(part[0] if part else None for part in parts) if any(parts) else None

    # -- schema --

    def _learn_schema(self, staged: Staged) -> None:
        """Apply what the transaction says about attributes."""
        for e in staged.properties_of:
            before = self._ident_before(staged, e)
            now = self.live_values(e, IDENT)
            ident = now[0] if now else None
            if before is not None and before is not ident:
                self._change(staged, before, None)
            if isinstance(ident, Keyword):
                properties = {name: self.live_values(e, name) for name in PROPERTIES}
                known = {name: found[0] for name, found in properties.items() if found}
                if known or self.schema.get(ident) is not None:
                    try:
                        self._change(staged, ident, attribute_of(ident, known) if known else None)
                    except SchemaError as error:
                        raise TransactionError(
                            str(error), rule="schema", datom=(e, IDENT, ident)
                        ) from error
        self._renew_composites(staged)  # those that the schema has made

    def _ident_before(self, staged: Staged, e: int) -> Keyword | None:
        a = intern(IDENT)
        for ended in staged.ends.values():
            if ended < staged.start and self._row_is(ended, e, a):
                found = value_of(self.v_at(ended))
                return found if isinstance(found, Keyword) else None
        return None

    def _row_is(self, row: int, e: int, a: int) -> bool:
        return self.facts.e_at(row) == e << 1 and int(self.facts.a[row]) == a

    def _change(self, staged: Staged, ident: Keyword, after: Attribute | None) -> None:
        """Set or remove the properties of an attribute. Raises TransactionError."""
        before, declared = self.schema[ident], self.schema.get(ident)
        if after == declared:
            return
        schema = self.schema.without(ident) if after is None else self.schema.with_attribute(after)
        check_composite(schema, schema[ident])
        for composite in schema.composites_of(ident):
            check_composite(schema, composite)
        self._check_change(before, schema[ident])
        self.schema = schema
        # What the attribute, its parts and its wholes hold is kept in another way from now on.
        wholes = [found.ident for found in schema.composites_of(ident)]
        for changed in (ident, *before.tuple_attrs, *schema[ident].tuple_attrs, *wholes):
            staged.reshaped.append(changed)
            self._reshape(changed)
        if schema[ident].tuple_attrs and not before.tuple_attrs:
            self._fill_composite(staged, schema[ident])

    def _reshape(self, ident: Keyword) -> None:
        """Keep an attribute's facts as its properties want it, from the next look on."""
        held = self.helds.pop(ident, None)
        if held is not None:
            self._helds_by_id.pop(held.a)
        database = self.staged_database()
        base = Base(database, self._next) if database.count_rows else None
        made = Held(intern(ident), self.schema[ident], self.schema, base)
        self.helds[ident] = self._helds_by_id[made.a] = made

    def _fill_composite(self, staged: Staged, attribute: Attribute) -> None:
        """Mark the entities that have parts of a new composite already."""
        database = self.staged_database()
        for part in attribute.tuple_attrs:
            rows = database.rows(None, intern(part))
            for e in np.unique(database.facts.e[rows]).tolist():
                staged.touched[attribute.ident, e >> 1] = None

    def _check_change(self, before: Attribute, after: Attribute) -> None:
        """Refuse what the facts that exist do not allow."""
        database = self.staged_database()
        rows = database.rows(None, intern(before.ident))
        if not len(rows):
            return
        entities, values = database.facts.e[rows], database.facts.v[rows]
        if before.many and not after.many and len(np.unique(entities)) < len(entities):
            self._refuse_change(before, "db/cardinality", "some entity has many values")
        if after.unique and not before.unique and len(np.unique(values)) < len(values):
            self._refuse_change(before, "db/unique", "two entities have one value")
        if before.tuple_attrs != after.tuple_attrs:
            self._refuse_change(before, "db/tupleAttrs", "a composite's parts are for ever")
        if _shape(before) != _shape(after):
            for v in np.unique(values).tolist():
                problem = refusal(after, value_of(v))
                if problem is not None:
                    self._refuse_change(before, "db/valueType", problem)

    def _refuse_change(self, attribute: Attribute, rule: str, reason: str) -> None:
        raise TransactionError(
            f"{attribute.ident!r} has facts already: its :{rule} cannot change, for {reason}",
            rule=rule,
            datom=(None, attribute.ident, None),
        )


def _shape(attribute: Attribute) -> tuple[object, ...]:
    return (attribute.value_type, attribute.tuple_types, attribute.tuple_type)


def _instant(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def replayed(
    rows: Iterable[tuple[int, list[tuple[int, Keyword, object, bool]]]], roots: list[bytes]
) -> Transactor:
    """Return the writer of a log's facts, given (t, rows) of every transaction; `roots` may be filled meanwhile."""
    facts, tx_ends = Facts.of_log(rows)
    return Transactor(facts, schemas_of(facts), tx_ends, roots=roots)


def schemas_of(facts: Facts, rows: Rows | None = None) -> list[tuple[int, Schema]]:
    """Return (t, schema from then on) of facts as a log has them; `rows` are those that speak of attributes, if known."""
    if rows is None:
        rows = schema_rows(facts, 0)
    known: dict[int, dict[Keyword, object]] = {}  # entity -> its properties
    schema, schemas = Schema(), [(0, Schema())]
    touched: dict[int, Keyword | None] = {}  # entities of the transaction, with the ident before
    entities, names, values = (values_of(column[rows]) for column in (facts.e, facts.a, facts.v))
    ts = ((facts.t[rows] >> 1) - TX_BASE).tolist()
    added = facts.added[rows].tolist()
    for place, (e, name, value) in enumerate(zip(entities, names, values, strict=True)):
        assert isinstance(e, int), e
        assert isinstance(name, Keyword), name
        properties = known.setdefault(e, {})
        before = properties.get(IDENT)
        assert before is None or isinstance(before, Keyword), before
        touched.setdefault(e, before)
        if added[place]:
            properties[name] = value
        else:
            properties.pop(name, None)
        if place + 1 == len(ts) or ts[place + 1] != ts[place]:
            schema = _relearnt(schema, known, touched)
            schemas.append((ts[place], schema))
            touched = {}
    return schemas


def schema_rows(facts: Facts, start: int) -> Rows:
    """Return the rows from `start` on that speak of attributes."""
    wanted = np.array([intern(ident) for ident in SCHEMA_ATTRIBUTES])
    found = np.flatnonzero(np.isin(facts.a[start : facts.count], wanted))
    return found.astype(np.int64) + start


def _relearnt(
    schema: Schema, known: dict[int, dict[Keyword, object]], touched: dict[int, Keyword | None]
) -> Schema:
    for e, before in touched.items():
        ident = known[e].get(IDENT)
        if before is not None and before is not ident:
            schema = schema.without(before)
        if isinstance(ident, Keyword):
            properties = {name: known[e][name] for name in PROPERTIES if name in known[e]}
            if properties:
                schema = schema.with_attribute(attribute_of(ident, properties))
            else:
                schema = schema.without(ident)
    return schema
