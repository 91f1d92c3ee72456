"""The one writer of a Facts: it appends rows, keeps what is so now, and can take its newest rows back.

Is:     the rows of a transaction: cardinality, uniqueness, retraction, composites, schema.
Is not: aware of tempids and forms (`datomstore.transaction` resolves them), nor durable: `datomstore.streams` makes the
        log record first and calls `commit` after it is on disk.
Fits:   a Writer (`datomstore._transact`) appends, commits and takes back; here is what goes beyond single rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from datomstore import excision
from datomstore._transact import Ends, Held, Roots, Staged, Writer
from datomstore.database import Database
from datomstore.datom import FIRST_ENTITY, TX_BASE
from datomstore.facts import Facts, Rows
from datomstore.intern import intern, value_of, values_of
from datomstore.limits import HELD_FACTS_MAX
from datomstore.live import Base
from datomstore.refused import CasFailed, TransactionError, UniqueConflict
from datomstore.schema import (
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
from datomstore.segments.times import Appendable
from datomstore.value import Keyword

__all__ = ["CasFailed", "Staged", "TransactionError", "Transactor", "UniqueConflict", "replayed"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Transactor(Writer):
    """The writer of one Facts. Not thread-safe: its owner lets one transaction in at a time."""

    def __init__(
        self,
        facts: Facts,
        schemas: list[tuple[int, Schema]],
        tx_ends: Appendable[tuple[int, int]],
        *,
        base: Database | None = None,
        roots: Appendable[bytes] | None = None,
    ) -> None:
        super().__init__(facts, schemas, tx_ends, base=base, roots=roots)
        database = self.database()
        self.base = _base_of(database)
        self.next_entity = FIRST_ENTITY if self.base is None else self.base.next_entity
        if self.t:
            self.instant_ms = database.instant_ms(self.t)

    # -- the life of a transaction --

    def rebase(self, tx_ends: Any, roots: Any, /) -> None:
        """Take other sequences that say the same; if much of what is so now is in memory, let go of it."""
        super().rebase(tx_ends, roots)
        if sum(map(len, self.helds.values())) > HELD_FACTS_MAX:
            self.forget()
            self.base = Base(self.database(), self.next_entity)

    def settle(self, staged: Staged) -> None:
        """Add what the facts of a transaction imply."""
        self._renew_composites(staged)
        self._learn_schema(staged)
        if staged.excisions:
            staged.excised = excision.plan(self, staged)

    def stage_rows(
        self, t: int, instant_ms: int, rows: Sequence[tuple[int, Keyword, object, bool]]
    ) -> Staged:
        """Append the rows of a transaction of another log, which must be what they do. Raises TransactionError."""
        if t != self.t + 1:
            raise TransactionError(f"transaction {t} does not follow {self.t}", rule="order")
        staged = self.begin(t, instant_ms)
        try:
            for e, attribute, value, added in rows:
                self._restore(staged, e, attribute, value, added=added)
            self._renew_composites(staged)
            self._learn_schema(staged)
            if self.rows - staged.start != len(rows):
                raise TransactionError(f"the facts of transaction {t} imply others", rule="facts")
            self.finish(staged)
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

    def set_instant(self, staged: Staged, instant: datetime) -> None:
        """Give a transaction another instant than now; not before the transaction that precedes it."""
        wanted = (instant - _EPOCH) // timedelta(milliseconds=1)
        if wanted < staged.instant_before:
            raise TransactionError(
                f":db/txInstant {instant} is before the transaction that precedes it",
                rule="db/txInstant",
                datom=(staged.tx, TX_INSTANT, instant),
            )
        self.move_instant(staged, wanted)

    # -- rows --

    def make_held(self, ident: Keyword) -> Held:
        """Begin to keep what is so now for an attribute."""
        if not isinstance(ident, Keyword):
            raise TransactionError(f"an attribute is a keyword, not {ident!r}")
        found = Held(intern(ident), self.schema[ident], self.schema, self.base)
        self.keep(found)
        return found

    def entity_with(self, attribute: Keyword, value: object) -> int | None:
        """Return the entity that has a unique value, staged facts included."""
        return self.held(attribute).owner(intern(value))

    def live_values(self, e: int, attribute: Keyword) -> list[object]:
        """Return the values an entity has now, staged facts included."""
        return [value_of(v) for v in self.held(attribute).live(e)]

    # -- composites --

    def _renew_composites(self, staged: Staged) -> None:
        """Give every touched entity the composites its parts make now; ends come before additions, so values may swap."""
        made: list[tuple[Held, int, tuple[object, ...]]] = []
        for ident, e in staged.touched or ():
            held = self.held(ident)
            value = self.composite_of(held.attribute, e)
            for v in held.live(e):
                if value is None or v != intern(value):
                    self.end(staged, held, e, v)
            if value is not None:
                made.append((held, e, value))
        if staged.touched:
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
        for e in staged.properties_of or ():
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
        a, facts = intern(IDENT), self.facts
        for ended in staged.ends.values():
            if ended < staged.start and (facts.e_at(ended), int(facts.a[ended])) == (e << 1, a):
                found = value_of(facts.v_at(ended))
                return found if isinstance(found, Keyword) else None
        return None

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
            self.reshape(changed)
        if schema[ident].tuple_attrs and not before.tuple_attrs:
            self._fill_composite(staged, schema[ident])

    def reshape(self, ident: Keyword) -> None:
        """Keep an attribute's facts as its properties want it, from the next look on."""
        database = self.staged_database()
        base = Base(database, self.next_entity) if database.count_rows else None
        self.keep(Held(intern(ident), self.schema[ident], self.schema, base))

    def _fill_composite(self, staged: Staged, attribute: Attribute) -> None:
        """Mark the entities that have parts of a new composite already."""
        database, touched = self.staged_database(), staged.touched
        assert touched is not None, "a change of the schema is watched"
        for part in attribute.tuple_attrs:
            rows = database.rows(None, intern(part))
            for e in np.unique(database.facts.e[rows]).tolist():
                touched[attribute.ident, e >> 1] = None

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


def _base_of(database: Database) -> Base | None:
    return Base(database, max(FIRST_ENTITY, database.next_entity)) if database.count_rows else None


def replayed(
    rows: Iterable[tuple[int, list[tuple[int, Keyword, object, bool]]]], roots: list[bytes]
) -> Transactor:
    """Return the writer of a log's facts, given (t, rows) of every transaction; `roots` may be filled meanwhile."""
    facts, tx_ends = Facts.of_log(rows)
    return Transactor(facts, schemas_of(facts), Ends(more=tx_ends), roots=Roots(more=roots))


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
