"""An entity as something to walk through: its facts are read when they are asked for.

Is:     a mapping from attributes to values, in which references are entities again, forwards and backwards.
Is not: a copy: it is a pair of a database value and an id, and equal to every other view of that entity.
Fits:   `Database.lazy_entity`; for all facts as plain values there is `Database.entity`.
Source: Datomic's and DataScript's entity API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from datomstore.intern import find, intern, value_of, values_of
from datomstore.value import Keyword, Map, Set

if TYPE_CHECKING:
    from datomstore.database import Database

ID = Keyword("db/id")


class Entity(Mapping[Keyword, object]):
    """One entity of one database value."""

    __slots__ = ("database", "e")

    def __init__(self, database: Database, e: int) -> None:
        self.database = database
        self.e = e

    def __getitem__(self, attribute: Keyword) -> object:
        if attribute is ID:
            return self.e
        local = attribute.local_name
        if local.startswith("_") and len(local) > 1:
            return self._referrers(attribute, local[1:])
        a = find(attribute)
        if a is None:
            raise KeyError(attribute)
        rows = self.database.rows(self.e << 1, a)
        if not len(rows):
            raise KeyError(attribute)
        properties = self.database.schema[attribute]
        values: list[object] = values_of(self.database.facts.v[rows])
        if properties.is_ref:
            entities = [Entity(self.database, e) for e in values]  # type: ignore[arg-type]
            return frozenset(entities) if properties.many else entities[-1]
        return Set(values) if properties.many else values[-1]

    def _referrers(self, attribute: Keyword, local: str) -> object:
        """Return the entities that refer to this one; the owner alone if it is a component."""
        forward = Keyword(f"{attribute.namespace}/{local}" if attribute.namespace else local)
        rows = self.database.rows(None, intern(forward), self.e << 1)
        found = [Entity(self.database, e >> 1) for e in self.database.facts.e[rows].tolist()]
        if not found:
            raise KeyError(attribute)
        return found[0] if self.database.schema[forward].component else frozenset(found)

    def __iter__(self) -> Iterator[Keyword]:
        rows = self.database.rows(self.e << 1)
        attributes = [value_of(a) for a in np.unique(self.database.facts.a[rows]).tolist()]
        return iter(sorted(attributes))  # type: ignore[type-var, arg-type]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entity) and self.e == other.e

    def __hash__(self) -> int:
        return hash((Entity, self.e))

    def __repr__(self) -> str:
        return f"Entity({self.e})"

    def touch(self) -> Map:
        """Return all facts as values: components as maps of their own, other references as ids."""
        return self._touch(frozenset())

    def _touch(self, above: frozenset[int]) -> Map:
        facts: list[tuple[object, object]] = [(ID, self.e)]
        for attribute in self:
            value = self[attribute]
            inside = self.database.schema[attribute].component
            several = isinstance(value, frozenset) or self.database.schema[attribute].many
            members: Iterable[object] = value if several else (value,)  # type: ignore[assignment]
            shown = [
                member._touch(above | {self.e})
                if isinstance(member, Entity) and inside and member.e not in above | {self.e}
                else member.e
                if isinstance(member, Entity)
                else member
                for member in members
            ]
            facts.append((attribute, Set(shown) if several else shown[0]))
        return Map(facts)
