"""Transaction data to rows: tempids, upserts, lookup refs, nested maps, transaction functions.

Is:     the resolver of one transaction's items; what it adds and ends goes through a Transactor.
Is not: the rules of facts themselves (`datomstore.transactor`).
Fits:   names and forms are Datomic's and DataScript's.

    {:db/id "tempid" :person/name "Ada" :person/friend {...}}     entity map; nested maps are entities of their own
    [:db/add e a v]  [:db/retract e a v]  [:db/retract e a]  [:db/retractEntity e]  [:db/cas e a old new]

e is an entity id, a tempid (a string or a negative integer), an ident, or a lookup ref [attribute value]; "datomic.tx" is the
transaction itself. An error leaves everything as it was and names the item at fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from datomstore._transact import Held, Items, Staged, TxReport
from datomstore.database import Database
from datomstore.datom import TX_BASE, Datom
from datomstore.errors import DatomstoreError
from datomstore.intern import intern, value_of
from datomstore.refused import CasFailed, TransactionError, UniqueConflict
from datomstore.schema import IDENT, REF, TX_INSTANT, Attribute, Schema, refusal
from datomstore.transactor import Transactor
from datomstore.value import Keyword, List, Map, Set

if TYPE_CHECKING:
    from datomstore.filtered import Filter

__all__ = [
    "CasFailed",
    "TransactionError",
    "TxReport",
    "UniqueConflict",
    "speculate",
    "stage",
]

ID = Keyword("db/id")
_ADD = Keyword("db/add")
_RETRACT = Keyword("db/retract")
_RETRACT_ATTRIBUTE = Keyword("db.fn/retractAttribute")
_RETRACT_ENTITY = frozenset({Keyword("db/retractEntity"), Keyword("db.fn/retractEntity")})
_CAS = frozenset({Keyword("db/cas"), Keyword("db.fn/cas")})
CURRENT_TX = frozenset({"datomic.tx", "db/current-tx"})
_NO_ID = object()


class Reverse(NamedTuple):
    """An attribute seen from the entity it refers to: `:person/_friend`."""

    forward: Keyword
    identity: bool = False


Fact = tuple[Held | Reverse, object]


def stage(
    transactor: Transactor,
    tx_data: Iterable[object],
    now_ms: int,
    meta: Mapping[Keyword, object] | None = None,
    only: Filter | None = None,
) -> Staged:
    """Append the rows of a transaction without showing them. Raises TransactionError, nothing changed.

    With `only`, what that does not allow is not there to be found, and AttributeForbidden to be written.
    """
    if only is not None:
        from datomstore.restricted import stage_only

        return stage_only(transactor, tx_data, now_ms, meta, only)
    if transactor.resolver is None:
        transactor.resolver = Resolver(transactor)
    return transactor.stage(now_ms, meta, transactor.resolver, tx_data)


class Resolver(Items):
    """Turns the items of one transaction into rows; `run` comes here with those that are not plain."""

    transactor: Transactor

    def identities_of(self, schema: Schema) -> list[Held]:
        """Return the composites of a schema that find an entity by its parts."""
        return [
            self.transactor.held(attribute.ident)
            for attribute in schema.composites
            if attribute.unique is not None
        ]

    def refuse_item(self, item: object, error: Exception) -> None:
        """Raise what an error in an item is to the writer of the transaction, or let it be raised as it is."""
        if isinstance(error, TransactionError):
            error.item = item
            error.args = (f"{error}, in item {_shorten(item)}",)
        elif isinstance(error, RecursionError):
            raise TransactionError("an item is nested too deeply") from None
        elif isinstance(error, (TypeError, DatomstoreError)):
            found = TransactionError(f"{error}, in item {_shorten(item)}")
            found.item = item
            raise found from error

    # -- what there is: a resolver that may not touch all of it has others of these --

    @property
    def known(self) -> dict[object, Held]:
        """Return what is so for attributes that have been asked for."""
        return self.transactor.helds

    def held(self, ident: Keyword) -> Held:
        """Return what is so for an attribute."""
        return self.transactor.held(ident)

    def entity_with(self, attribute: Keyword, value: object) -> int | None:
        """Return the entity that has a unique value, staged facts included."""
        return self.transactor.entity_with(attribute, value)

    def is_unique(self, ident: Keyword) -> bool:
        """Return whether an attribute finds an entity."""
        return self.transactor.schema[ident].unique is not None

    def check_fact(self, e: int, ident: Keyword, value: object) -> None:
        """Return if a fact may be added or retracted."""

    # -- tempids --

    def bind_tempid(self, item: object) -> None:
        """Bind a tempid whose identity exists already, before anything refers to it."""
        if isinstance(item, Mapping):
            tempid = item.get(ID)
            if _is_tempid(tempid) and tempid not in CURRENT_TX:
                self._bind(tempid, self._facts_of_map(item)[1])
            return
        match item:
            case (Keyword() as op, tempid, Keyword() as a, v) if (
                op is _ADD and _is_tempid(tempid) and tempid not in CURRENT_TX
            ):
                self._bind(tempid, [(self.slot(a), v)])

    def _bind(self, tempid: object, facts: list[Fact]) -> None:
        """Bind a tempid to the entity that has the unique identities among its facts."""
        e = self._identity(facts)
        if e is not None:
            known = self.staged.tempids.setdefault(tempid, e)
            if known != e:
                raise TransactionError(
                    f"tempid {tempid!r} would be entities {known} and {e}",
                    rule="db.unique/identity",
                )

    def _identity(self, facts: list[Fact]) -> int | None:
        """Return the entity that unique identities among the facts name, if one exists."""
        found: int | None = None
        for held, value in facts:
            if held.identity and isinstance(held, Held):
                found = self._same(found, held, self._peek(held.attribute, value))
        for held in self.identities:
            given = {slot.ident: value for slot, value in facts if isinstance(slot, Held)}
            parts = held.attribute.tuple_attrs
            if held.identity and all(part in given for part in parts):
                attributes = self.transactor.schema
                peeked = [self._peek(attributes[part], given[part]) for part in parts]
                if None not in peeked:
                    found = self._same(found, held, tuple(peeked))
        return found

    def _same(self, known: int | None, held: Held, value: object) -> int | None:
        e = None if value is None else held.owner(intern(value))
        if e is not None and known is not None and e != known:
            raise TransactionError(
                f"the map's identities name two entities: {known} and {e}",
                rule="db.unique/identity",
                datom=(e, held.ident, value),
            )
        return known if e is None else e

    def _peek(self, attribute: Attribute, value: object) -> object:
        """Return a value as it would be kept, or None if it names an entity that does not exist yet."""
        if attribute.is_ref:
            return None if isinstance(value, Mapping) else self._find(value)
        if attribute.value_type is not None and isinstance(value, tuple):
            types = self._item_types(attribute, len(value))
            items = (
                self._find(item) if kind is REF and item is not None else item
                for kind, item in zip(types, value, strict=True)
            )
            return tuple(items)
        return value

    # -- items --

    def other(self, item: object) -> None:
        """Assert an entity map of another type, or carry out an operation."""
        if isinstance(item, Mapping):
            self.entity_map(item)
        else:
            self.operation(item)

    def operation(self, item: object) -> None:
        if isinstance(item, Datom):
            item = (_ADD if item.added else _RETRACT, item.e, item.a, item.v)
        if not isinstance(item, tuple) or not item:
            raise TransactionError("an item is a map or a vector")
        operation, *arguments = item
        match operation, arguments:
            case Keyword() as op, [e, Keyword() as a, v] if op is _ADD:
                self._assert(self.slot(a), self._entity(e), v)
            case Keyword() as op, [e, Keyword() as a, v] if op is _RETRACT:
                self._retract(self._existing(e), a, v)
            case Keyword() as op, [e, Keyword() as a] if op in (_RETRACT, _RETRACT_ATTRIBUTE):
                self._retract_all(self._existing(e), a)
            case Keyword() as op, [e] if op in _RETRACT_ENTITY:
                self._retract_entity(self._existing(e))
            case Keyword() as op, [e, Keyword() as a, old, new] if op in _CAS:
                self._cas(self._existing(e), a, old, new)
            case _:
                raise TransactionError(
                    f"no operation {operation!r} with {len(arguments)} arguments"
                )

    def entity_map(self, item: Mapping[object, object]) -> int:
        """Assert an entity map and return its entity."""
        given, facts = self._facts_of_map(item)
        if given is _NO_ID:
            e = self._identity(facts)
            if e is None:
                e = self.transactor.new_entity()
        else:
            if _is_tempid(given) and given not in self.staged.tempids and given not in CURRENT_TX:
                self._bind(given, facts)  # the identity may be new in this transaction
            e = self._entity(given)
        for held, value in facts:
            self._fact(held, e, value)
        return e

    def _facts_of_map(self, item: Mapping[object, object]) -> tuple[object, list[Fact]]:
        """Return the :db/id of an entity map and its facts. Raises TransactionError."""
        given: object = _NO_ID
        slots = self.known
        facts: list[Fact] = []
        pairs = item._entries.values() if type(item) is Map else item.items()
        for key, value in pairs:
            held: Held | Reverse | None = slots.get(key)
            if held is None:
                if key is ID:
                    given = value
                    continue
                held = self.slot(key)
            if value is None:
                raise TransactionError(
                    f"{key!r} is nil: a fact has a value",
                    rule="nil",
                    datom=(item.get(ID), key, None),
                )
            facts.append((held, value))
        return given, facts

    def slot(self, key: object) -> Held | Reverse:
        """Return what is so for an attribute, or the attribute that a reverse one reverses."""
        if isinstance(key, Keyword) and key.local_name.startswith("_") and len(key.local_name) > 1:
            local = key.local_name[1:]
            return Reverse(Keyword(f"{key.namespace}/{local}" if key.namespace else local))
        return self.held(key)  # type: ignore[arg-type]

    # -- entities --

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
        found = self._find(reference)
        if found is None:
            raise TransactionError(f"no entity {reference!r}", rule="reference")
        return found

    def _find(self, reference: object) -> int | None:
        """Return the entity of a reference, if there is one. Raises TransactionError."""
        if isinstance(reference, bool):
            raise TransactionError(f"{reference!r} is no entity", rule="reference")
        if isinstance(reference, int) and reference >= 0:
            if reference >= TX_BASE << 12:
                raise TransactionError(
                    f"{reference} is too large for an entity id", rule="reference"
                )
            self.transactor.reserve_entity(reference)
            return reference
        if _is_tempid(reference):
            if reference in CURRENT_TX:
                return self.staged.tx
            return self.staged.tempids.get(reference)
        if isinstance(reference, Keyword):
            return self.entity_with(IDENT, reference)
        if self._is_lookup(reference):
            assert isinstance(reference, tuple), reference
            value = self._peek(self.transactor.schema[reference[0]], reference[1])
            return None if value is None else self.entity_with(reference[0], value)
        return None

    def _is_lookup(self, value: object) -> bool:
        return (
            isinstance(value, tuple)
            and len(value) == 2
            and isinstance(value[0], Keyword)
            and self.is_unique(value[0])
        )

    # -- facts --

    def _fact(self, held: Held | Reverse, e: int, value: object) -> None:
        """Assert one attribute of an entity: of a reverse one its sources, of one with many values each."""
        if isinstance(held, Reverse):
            self._reverse(e, held.forward, value)
        elif held.attribute.tuple_attrs:
            self._composite(held, e, value)
        else:
            for single in self._singles(held.attribute, value):
                self._add(held, e, single)

    def _add(self, held: Held, e: int, value: object) -> None:
        """Assert one value."""
        self.check_fact(e, held.ident, value)
        kept = self._value(e, held.attribute, value)
        if held.ident is TX_INSTANT and e == self.staged.tx:
            assert isinstance(kept, datetime), kept
            self.transactor.set_instant(self.staged, kept)
        else:
            self.transactor.add(self.staged, held, e, kept)

    def _assert(self, held: Held | Reverse, e: int, value: object) -> None:
        """Assert one fact: a vector is one value here."""
        if isinstance(held, Held) and not held.attribute.tuple_attrs:
            self._add(held, e, value)
        else:
            self._fact(held, e, value)

    def _reverse(self, e: int, forward: Keyword, value: object) -> None:
        """`:person/_friend x`: x has this entity as its :person/friend."""
        held = self.held(forward)
        several = isinstance(value, (Set, set, frozenset, list)) or (
            type(value) in (tuple, List) and not self._is_lookup(value)
        )
        others: Iterable[object] = value if several else (value,)  # type: ignore[assignment]
        for other in others:
            source = self.entity_map(other) if isinstance(other, Mapping) else self._entity(other)
            self._fact(held, source, e)

    def _composite(self, held: Held, e: int, value: object) -> None:
        """Assert a composite: that is, its parts."""
        parts = held.attribute.tuple_attrs
        if not isinstance(value, tuple) or len(value) != len(parts):
            self._refuse(e, held.attribute, value, "tupleAttrs", f"is a tuple of {len(parts)}")
        for part, item in zip(parts, value, strict=True):
            if item is not None:
                self._fact(self.held(part), e, item)

    def _singles(self, attribute: Attribute, value: object) -> Collection[object]:
        if not attribute.many:
            return (value,)
        if isinstance(value, (Set, set, frozenset)) or type(value) in (list, List):
            return value  # type: ignore[return-value]
        if type(value) is tuple and not (
            (attribute.is_ref and self._is_lookup(value)) or self._is_tuple(attribute, value)
        ):
            return value
        return (value,)

    def _is_tuple(self, attribute: Attribute, value: tuple[object, ...]) -> bool:
        """Return whether a vector is one value of an attribute of tuples, not several."""
        tuples = attribute.tuple_types or attribute.tuple_type
        return bool(tuples) and not all(isinstance(item, tuple) for item in value)

    def _value(self, e: object, attribute: Attribute, value: object) -> object:
        """Return the value as it is kept: references resolved, type checked."""
        if attribute.is_ref:
            return self.entity_map(value) if isinstance(value, Mapping) else self._entity(value)
        if value is None:
            self._refuse(e, attribute, value, "nil", "takes a value, not nil")
        if isinstance(value, Mapping) and not isinstance(value, Map):
            value = Map(value)
        elif isinstance(value, tuple) and attribute.value_type is not None:
            types = self._item_types(attribute, len(value))
            if REF in types:
                value = tuple(
                    self._entity(item) if kind is REF and item is not None else item
                    for kind, item in zip(types, value, strict=True)
                )
        problem = refusal(attribute, value)
        if problem is not None:
            kind = attribute.value_type
            assert kind is not None, attribute
            raise TransactionError(problem, rule=kind.name, datom=(e, attribute.ident, value))
        return value

    def _item_types(self, attribute: Attribute, count: int) -> list[Keyword | None]:
        """Return the type of every item of a tuple."""
        if attribute.tuple_attrs:
            kinds = [self.transactor.schema[part].value_type for part in attribute.tuple_attrs]
            return [kinds[place] if place < len(kinds) else None for place in range(count)]
        return [attribute.item_type(place) for place in range(count)]

    def _refuse(
        self, e: object, attribute: Attribute, value: object, rule: str, problem: str
    ) -> NoReturn:
        raise TransactionError(
            f"{attribute.ident!r} {problem}: {value!r}",
            rule=rule,
            datom=(e, attribute.ident, value),
        )

    def _retract(self, e: int, a: Keyword, value: object) -> None:
        held = self.held(a)
        self.check_fact(e, a, value)
        self._refuse_composite(held, e)
        kept = self._peek(held.attribute, value)
        if kept is None and held.attribute.is_ref:
            raise TransactionError(f"no entity {value!r}", rule="reference", datom=(e, a, value))
        problem = refusal(held.attribute, kept)
        if problem is not None:
            assert held.attribute.value_type is not None, held.attribute
            rule = held.attribute.value_type.name
            raise TransactionError(problem, rule=rule, datom=(e, a, value))
        self.transactor.end(self.staged, held, e, intern(kept))

    def _retract_all(self, e: int, a: Keyword) -> None:
        held = self.held(a)
        self.check_fact(e, a, None)
        self._refuse_composite(held, e)
        for value in self.transactor.live_values(e, a):
            self.transactor.end(self.staged, held, e, intern(value))

    def _refuse_composite(self, held: Held, e: int) -> None:
        if held.attribute.tuple_attrs:
            raise TransactionError(
                f"{held.ident!r} is made of its parts: retract those",
                rule="db/tupleAttrs",
                datom=(e, held.ident, None),
            )

    def _cas(self, e: int, a: Keyword, old: object, new: object) -> None:
        held = self.held(a)
        self.check_fact(e, a, None)
        attribute = held.attribute
        if held.many:
            raise TransactionError(
                f"{a!r} has cardinality many: :db/cas is for one value",
                rule="db/cas",
                datom=(e, a, new),
            )
        now = self.transactor.live_values(e, a)
        expected = [] if old is None else [self._value(e, attribute, old)]
        if [intern(v) for v in now] != [intern(v) for v in expected]:
            raise CasFailed(
                f"{a!r} of entity {e} is {now[0] if now else None!r}, not {old!r}",
                rule="db/cas",
                datom=(e, a, now[0] if now else None),
            )
        if new is None:
            self._retract_all(e, a)
        else:
            self._fact(held, e, new)

    def _retract_entity(self, e: int) -> None:
        """Retract all facts of an entity, its components, and every reference to it."""
        transactor = self.transactor
        pending, gone = [e], set()
        while pending:
            entity = pending.pop()
            if entity in gone:
                continue
            gone.add(entity)
            for held in self.helds_of(entity):
                for value in transactor.live_values(entity, held.ident):
                    if held.attribute.component and isinstance(value, int):
                        pending.append(value)
                    transactor.end(self.staged, held, entity, intern(value))
            for source, a in self.referrers(entity):
                transactor.end(self.staged, self.held(a), source, entity << 1)

    def helds_of(self, e: int) -> list[Held]:
        """Return the attributes an entity has."""
        facts, view = self.transactor.facts, self.transactor.staged_database()
        attributes = {value_of(int(a)) for a in facts.a[view.rows(e << 1)]}
        return [self.transactor.held(a) for a in sorted(attributes)]  # type: ignore[arg-type, type-var]

    def referrers(self, e: int) -> list[tuple[int, Keyword]]:
        facts, view = self.transactor.facts, self.transactor.staged_database()
        found = []
        for row in view.rows(None, None, e << 1):
            attribute = value_of(int(facts.a[row]))
            if isinstance(attribute, Keyword) and self.transactor.schema[attribute].is_ref:
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


def speculate(database: Database, tx_data: Iterable[object], *, now_ms: int = 0) -> TxReport:
    """Return the report of a transaction on a fork of a database: its cost is a copy of columns."""
    facts, count = database.facts.fork(database.count_rows), database.count_rows
    forked = database.on(facts)
    transactor = Transactor(facts, forked.schemas, forked.tx_ends, base=forked)
    staged = stage(transactor, tx_data, now_ms)
    report = TxReport.of(transactor, staged)
    transactor.commit(staged)
    after = transactor.database().starting_at(database.start)
    assert after.count_rows >= count, "a fork only grows"
    return report.with_(db_before=database, db_after=after)
