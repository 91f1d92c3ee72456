"""What is so now, attribute by attribute: the writer's own index.

Is:     for one attribute, the live row of every entity, and the owner of every unique value.
Is not: complete from the start: what the sorted orders know already is looked up there when it is first asked for,
        and read as a whole once many have asked.
Fits:   `datomstore.transactor` asks before it appends a row, and notes the row here afterwards.

So a log of a million facts opens without a dictionary being filled, a what-if on it costs what it touches, and an import
of new entities looks nothing up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datomstore.datom import TX_BASE
from datomstore.limits import LOOKUP_MISSES_MAX
from datomstore.schema import EXCISE, IDENTITY, PYTHON_TYPES, SCHEMA_ATTRIBUTES, Attribute, Schema
from datomstore.value import Char, Keyword, Symbol

if TYPE_CHECKING:
    from datomstore.database import Database

# Values of these types are kept as they are; others may have something in them to resolve or to convert.
_SCALARS = frozenset({str, int, float, bool, bytes, Keyword, Symbol, Char})


class Base:
    """The facts that were there before the writer: a database, and the entities it may know."""

    __slots__ = ("database", "next_entity")

    def __init__(self, database: Database, next_entity: int) -> None:
        self.database = database
        self.next_entity = next_entity

    def may_know(self, e: int) -> bool:
        """Return whether the entity can have facts in the base."""
        return e < self.next_entity or e >= TX_BASE


class Held:
    """The live rows of one attribute."""

    __slots__ = (
        "_asked",
        "_asked_values",
        "_base",
        "_misses",
        "a",
        "attribute",
        "composites",
        "ident",
        "identity",
        "many",
        "one",
        "owners",
        "plain",
        "scalars",
        "sets",
        "unique",
        "watched",
    )

    def __init__(self, a: int, attribute: Attribute, schema: Schema, base: Base | None) -> None:
        self.a = a
        self.attribute = attribute
        self.ident = attribute.ident
        self.many = attribute.many
        self.unique = attribute.unique is not None
        self.identity = attribute.unique is IDENTITY
        self.composites = tuple(found.ident for found in schema.composites_of(attribute.ident))
        self.watched = bool(
            self.composites or attribute.ident in SCHEMA_ATTRIBUTES or attribute.ident is EXCISE
        )
        self.plain = not (self.many or attribute.is_ref or attribute.tuple_attrs)
        self.scalars = _scalars(attribute)
        self.one: dict[int, int] = {}  # entity -> live row, cardinality one
        self.sets: dict[int, dict[int, int]] = {}  # entity -> value id -> live row
        self.owners: dict[int, int] = {}  # unique value id -> entity
        self._base = base
        self._asked: set[int] = set()
        self._asked_values: set[int] = set()
        self._misses = 0

    def row(self, e: int) -> int | None:
        """Return the live row of an entity, cardinality one."""
        found = self.one.get(e)
        if found is None and self._base is not None and self._unasked(e):
            return self.one.get(e)
        return found

    def values(self, e: int) -> dict[int, int]:
        """Return value id -> live row of an entity, cardinality many; the caller may change it."""
        found = self.sets.get(e)
        if found is None:
            if self._base is not None:
                self._unasked(e)
            found = self.sets.setdefault(e, {})
        return found

    def owner(self, v: int) -> int | None:
        """Return the entity that has a unique value."""
        found = self.owners.get(v)
        if found is None and self._base is not None and v not in self._asked_values:
            if not self._read_all_if_often():
                self._asked_values.add(v)
                for row in self._base.database.rows(None, self.a, v).tolist():
                    self.owners[v] = int(self._base.database.facts.e[row]) >> 1
            return self.owners.get(v)
        return found

    def live(self, e: int) -> list[tuple[int, int | None]]:
        """Return (row, value id) of the live facts of an entity; the id is None where only the row knows it."""
        if self.many:
            return [(row, v) for v, row in self.values(e).items()]
        row = self.row(e)
        return [] if row is None else [(row, None)]

    def forget(self, e: int, v: int) -> None:
        """A live fact is none any more."""
        if self.unique and self.owner(v) == e:
            del self.owners[v]
        if self.many:
            self.values(e).pop(v, None)
        else:
            self.one.pop(e, None)

    def note(self, e: int, v: int, row: int) -> None:
        """A fact is live in a row."""
        if self.many:
            self.values(e)[v] = row
        else:
            self.one[e] = row
        if self.unique:
            self.owners[v] = e

    def _unasked(self, e: int) -> bool:
        """Read an entity's facts of the base on first use; return whether there was something to ask."""
        assert self._base is not None, "only a base has facts to ask for"
        if e in self._asked or not self._base.may_know(e):
            return False
        if not self._read_all_if_often():
            self._asked.add(e)
            database = self._base.database
            for row in database.rows(e << 1, self.a).tolist():
                self._fill(e, int(database.facts.v[row]), row)
        return True

    def _fill(self, e: int, v: int, row: int) -> None:
        if self.many:
            self.sets.setdefault(e, {})[v] = row
        else:
            self.one[e] = row

    def _read_all_if_often(self) -> bool:
        """Read the whole attribute once it has been asked for often; return whether it was."""
        self._misses += 1
        if self._misses <= LOOKUP_MISSES_MAX:
            return False
        assert self._base is not None, "the base is let go of only here"
        database, self._base = self._base.database, None
        rows = database.rows(None, self.a)
        entities, values = database.facts.e[rows] >> 1, database.facts.v[rows]
        for e, v, row in zip(entities.tolist(), values.tolist(), rows.tolist(), strict=True):
            if e not in self._asked:  # what was asked for may have changed since
                self._fill(e, v, row)
            if self.unique and v not in self._asked_values:
                self.owners[v] = e
        return True


def _scalars(attribute: Attribute) -> frozenset[type]:
    """Return the types whose values an attribute takes without a further look."""
    kind = attribute.value_type
    if kind is None:
        return _SCALARS
    return _SCALARS & frozenset(PYTHON_TYPES[kind])
