"""Entities as trees, by pattern.

Is:     `pull` and `pull_many`: what a pattern says of one entity or many, nested maps.
Is not: the grammar of patterns (`pull_pattern`), or a choice of entities: that is a query's.
Fits:   people call it; `results` does for `(pull ?e pattern)` in :find.
Source: Datomic's pull reference; DataScript's tests where it leaves things open.

Facts are read ahead, all entities of one level and attribute at once; then each tree is put together from what was
read. So a thousand entities cost about as many look-ups as one. A recursion that comes back to an entity on its way
gives `{:db/id n}` for it; the way begins below the first entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from datomstore.database import Database
from datomstore.datalog.budget import Budget, Meter
from datomstore.datalog.builtins import FUNCTIONS, FunctionError
from datomstore.datalog.errors import BudgetExceeded, QueryError
from datomstore.datalog.limits import PULL_DEPTH_MAX, PULL_ENTITIES_MAX, PULL_VALUES
from datomstore.datalog.pull_pattern import (
    ABSENT,
    EVERYTHING,
    FOREVER,
    ID,
    PullPattern,
    Spec,
    parse_pattern,
)
from datomstore.errors import AttributeForbidden, DatomstoreError
from datomstore.facts import Rows
from datomstore.intern import find, value_of, values_of
from datomstore.value import Keyword, Map

Pair = tuple[object, object]
Levels = Mapping[Spec, int]  # how often a recursion may still be followed
NOWHERE: frozenset[int] = frozenset()
UNFOLLOWED: Levels = {}


def pull(
    database: Database, pattern: object, entity: object, *, budget: Budget | None = None
) -> Map | None:
    """Return what a pattern finds of an entity (an id, an ident or a lookup ref), None if that is nothing.

    Raises:
        QueryError: the pattern, or a lookup ref of an attribute that is not unique; BudgetExceeded.
    """
    return pull_many(database, pattern, [entity], budget=budget)[0]


def pull_many(
    database: Database,
    pattern: object,
    entities: Iterable[object],
    *,
    budget: Budget | None = None,
) -> tuple[Map | None, ...]:
    """Return the same for many entities, in their order. Cost: about that of one, and of the maps."""
    parsed = parse_pattern(pattern)
    wanted: list[int | None] = []
    for reference in entities:
        try:
            found = database.entid(reference)
        except AttributeForbidden:
            raise
        except DatomstoreError as error:
            raise QueryError("query/lookup", str(error)) from error
        wanted.append(None if found is None else find(found))
    return tuple(pulled(database, parsed, wanted, Meter(budget)))


def pulled(
    database: Database, pattern: PullPattern, entities: Sequence[int | None], meter: Meter
) -> list[Map | None]:
    """Return the trees of entities given by their ids in columns; None for None."""
    for attribute in pattern.attributes():
        database.check_named(attribute)
    puller = _Puller(database, meter)
    known = [entity for entity in entities if entity is not None]
    puller.read_ahead(pattern, known)
    made = {e: puller.tree(pattern, e, NOWHERE, UNFOLLOWED, 0) for e in dict.fromkeys(known)}
    return [None if entity is None else made[entity] for entity in entities]


class _Kind(NamedTuple):
    """What a pull asks of an attribute's schema."""

    ref: bool
    component: bool
    single_backwards: bool
    many: bool


class _Puller:
    """What has been read of one database."""

    def __init__(self, database: Database, meter: Meter) -> None:
        if database._all:
            raise QueryError("query/input", "a history has no entities to pull")
        self.database = database
        self.schema = database.schema
        self.meter = meter
        self.made = 0
        self._kinds: dict[Keyword, _Kind] = {}
        self._plain: dict[Keyword, Spec] = {}
        self._values: dict[tuple[Keyword, bool], dict[int, list[int]]] = {}
        self._all: dict[int, dict[Keyword, list[int]]] = {}
        self._pairs: dict[Spec, dict[int, Pair | None]] = {}  # of values that need no further look
        self._keyed: dict[PullPattern, bool] = {}  # whether all its keys are keywords

    # -- reading --

    def values(self, attribute: Keyword, e: int, *, reverse: bool = False) -> list[int]:
        """Return the ids of an attribute's values, or backwards of the entities that have it as theirs."""
        table = self._values.get((attribute, reverse))
        if table is None or e not in table:
            self._read(attribute, [e], reverse=reverse)
            table = self._values[attribute, reverse]
        return table[e]

    def everything(self, e: int) -> dict[Keyword, list[int]]:
        """Return all attributes of an entity with the ids of their values."""
        if e not in self._all:
            self._read_all([e])
        return self._all[e]

    def _read(self, attribute: Keyword, entities: Iterable[int], *, reverse: bool) -> None:
        table = self._values.setdefault((attribute, reverse), {})
        fresh = [e for e in dict.fromkeys(entities) if e not in table]
        for e in fresh:
            table[e] = []
        a = find(attribute)
        if a is None or not fresh:
            return
        probes = np.array(fresh, np.int64)
        spend = self.meter.of(attribute)
        if reverse:
            probe, rows = self.database.scan_bound(a, v=probes, spend=spend)
        else:
            probe, rows = self.database.scan_bound(a, e=probes, spend=spend)
        facts = self.database.facts
        other = (facts.e if reverse else facts.v)[rows]
        for place, one in zip(probe.tolist(), other.tolist(), strict=True):
            table[fresh[place]].append(one)
        for e in fresh:
            if len(table[e]) > 1:
                table[e] = _in_order(table[e])

    def _read_plain(self, spec: Spec, entities: Iterable[int]) -> None:
        """Read the values of an attribute that are shown as they are, as the pairs of the maps to be."""
        pairs = self._pairs.setdefault(spec, {})
        fresh = [e for e in dict.fromkeys(entities) if e not in pairs]
        key, absent = spec.key, None if spec.default is ABSENT else (spec.key, spec.default)
        pairs.update(dict.fromkeys(fresh, absent))
        a = find(spec.attribute)
        if a is None or not fresh:
            return
        probe, rows = self.database.scan_bound(
            a, e=np.array(fresh, np.int64), spend=self.meter.of(spec.attribute)
        )
        values, places = values_of(self.database.facts.v[rows]), probe.tolist()
        many = self._kind(spec.attribute).many
        if not many and len(set(places)) == len(places):
            pairs.update(
                zip(map(fresh.__getitem__, places), zip(repeat(key), values), strict=False)
            )
            return
        lists: dict[int, list[object]] = {}
        for place, value in zip(places, values, strict=True):
            lists.setdefault(place, []).append(value)
        for place, listed in lists.items():
            if len(listed) > 1:
                whole = all(type(value) is int for value in listed)
                listed.sort(key=None if whole else _place)
            shown = listed[: spec.limit]
            pairs[fresh[place]] = (key, tuple(shown) if many else shown[-1])

    def _is_plain(self, spec: Spec) -> bool:
        """Return whether the values of an attribute are shown as they are."""
        if spec.attribute is ID or spec.reverse or spec.xform is not None or spec.limit == 0:
            return False
        return spec.within is None and spec.levels is None and not self._kind(spec.attribute).ref

    def _read_all(self, entities: Iterable[int]) -> None:
        fresh = [e for e in dict.fromkeys(entities) if e not in self._all]
        found: list[dict[int, list[int]]] = [{} for _ in fresh]
        if fresh:
            probe, rows = self.database.scan_bound(
                None, e=np.array(fresh, np.int64), spend=self.meter.of(ID)
            )
            facts = self.database.facts
            for place, a, v in _listed(probe, facts.a[rows], facts.v[rows]):
                found[place].setdefault(a, []).append(v)
        for e, attributes in zip(fresh, found, strict=True):
            named = {self._attribute(a): values for a, values in attributes.items()}
            self._all[e] = {
                name: _in_order(named[name]) if len(named[name]) > 1 else named[name]
                for name in sorted(named)
            }

    def _attribute(self, a: int) -> Keyword:
        name = value_of(a)
        assert isinstance(name, Keyword), name
        return name

    def read_ahead(self, pattern: PullPattern, entities: Sequence[int]) -> None:
        """Read what a pattern asks of entities, level by level; what is missing is read when it is needed."""
        done: dict[PullPattern, set[int]] = {}
        waiting = [(pattern, list(entities), 0)]
        while waiting:
            part, reached, level = waiting.pop()
            known = done.setdefault(part, set())
            fresh = [e for e in dict.fromkeys(reached) if e not in known]
            if not fresh or level > PULL_DEPTH_MAX:
                continue
            known.update(fresh)
            if part.star:
                self._read_all(fresh)
                components = [
                    v
                    for e in fresh
                    for name, values in self._all[e].items()
                    if self._is_component(name)
                    for v in values[:PULL_VALUES]
                ]
                waiting.append((EVERYTHING, components, level + 1))
            farthest = _farthest(part)
            for spec in part.specs:
                if spec.attribute is ID:
                    continue
                if self._is_plain(spec):
                    self._read_plain(spec, fresh)
                    continue
                self._read(spec.attribute, fresh, reverse=spec.reverse)
                table = self._values[spec.attribute, spec.reverse]
                below = [v for e in fresh for v in table[e][: spec.limit]]
                if spec.within is not None:
                    waiting.append((spec.within, below, level + 1))
                elif spec.levels is not None:
                    if level < farthest:
                        waiting.append((part, below, level + 1))
                elif not spec.reverse and self._is_component(spec.attribute):
                    waiting.append((EVERYTHING, below, level + 1))

    def _kind(self, attribute: Keyword) -> _Kind:
        found = self._kinds.get(attribute)
        if found is None:
            properties = self.schema[attribute]
            component = properties.component and properties.is_ref
            made = _Kind(properties.is_ref, component, properties.component, properties.many)
            found = self._kinds[attribute] = made
        return found

    def _is_component(self, attribute: Keyword) -> bool:
        return self._kind(attribute).component

    def _named_so(self, attribute: Keyword) -> Spec:
        """Return what `*` asks of an attribute."""
        found = self._plain.get(attribute)
        if found is None:
            found = self._plain[attribute] = Spec(attribute, False, attribute)
        return found

    # -- trees --

    def tree(
        self, pattern: PullPattern, e: int, way: frozenset[int], left: Levels, depth: int
    ) -> Map | None:
        """Return an entity's map; `way` are the entities above it that a recursion came through."""
        self.made += 1
        if self.made > PULL_ENTITIES_MAX:
            raise BudgetExceeded(f"more than {PULL_ENTITIES_MAX} entities in one pull")
        if depth > PULL_DEPTH_MAX:
            raise QueryError("query/depth", f"entities nested more than {PULL_DEPTH_MAX} deep")
        self.meter.spend(1, None)
        pairs: list[tuple[object, object]] = []
        if pattern.star:
            known = self.everything(e)
            named = {spec.attribute for spec in pattern.specs if not spec.reverse}
            pairs.append((ID, value_of(e)))
            for attribute, ids in known.items():
                if attribute not in named:
                    spec = self._named_so(attribute)
                    value = self._value(spec, pattern, ids[:PULL_VALUES], way, left, depth)
                    pairs.append((attribute, value))
        for spec in pattern.specs:
            ready = self._pairs.get(spec)
            if ready is not None and e in ready:
                pair = ready[e]
                if pair is not None:
                    pairs.append(pair)
                continue
            value = self._spec(spec, pattern, e, way, left, depth)
            if value is not ABSENT:
                pairs.append((spec.key, value))
        if not pairs:
            return None
        return Map.of_names(pairs) if self._is_keyed(pattern) else Map(pairs)

    def _is_keyed(self, pattern: PullPattern) -> bool:
        found = self._keyed.get(pattern)
        if found is None:
            found = all(isinstance(spec.key, Keyword) for spec in pattern.specs)
            self._keyed[pattern] = found
        return found

    def _spec(
        self,
        spec: Spec,
        pattern: PullPattern,
        e: int,
        way: frozenset[int],
        left: Levels,
        depth: int,
    ) -> object:
        value: object = ABSENT
        if spec.attribute is ID:
            value = value_of(e)
        else:
            ids = self.values(spec.attribute, e, reverse=spec.reverse)
            if ids:
                value = self._value(spec, pattern, ids[: spec.limit], way, left, depth)
        if value is ABSENT:
            return spec.default
        return value if spec.xform is None else _transformed(spec.xform, value)

    def _value(
        self,
        spec: Spec,
        pattern: PullPattern,
        ids: Sequence[int],
        way: frozenset[int],
        left: Levels,
        depth: int,
    ) -> object:
        """Return the value or values of an attribute, entities as maps; ABSENT if nothing is left of them."""
        kind = self._kind(spec.attribute)
        if not kind.ref and spec.within is None and spec.levels is None and not spec.reverse:
            return tuple(values_of(ids)) if kind.many else value_of(ids[-1])
        items: list[object]
        if spec.within is not None:
            inside = spec.within
            items = [self.tree(inside, i, NOWHERE, UNFOLLOWED, depth + 1) for i in ids]
        elif spec.levels is not None:
            items = self._again(spec, pattern, ids, way, left, depth)
        elif not spec.reverse and kind.component:
            items = [
                _named(i)
                if i in way
                else self.tree(EVERYTHING, i, way | {i}, UNFOLLOWED, depth + 1)
                for i in ids
            ]
        else:
            items = [_named(i) for i in ids]
        kept = [item for item in items if item is not None]
        if not kept:
            return ABSENT
        many = not kind.single_backwards if spec.reverse else kind.many
        return tuple(kept) if many else kept[-1]

    def _again(
        self,
        spec: Spec,
        pattern: PullPattern,
        ids: Sequence[int],
        way: frozenset[int],
        left: Levels,
        depth: int,
    ) -> list[object]:
        """Return the maps of a recursion's next level."""
        assert spec.levels is not None, spec.key
        rest = left.get(spec, spec.levels)
        below = {**left, spec: rest - 1 if rest != FOREVER else FOREVER}
        found: list[object] = []
        for i in ids:
            if i in way:
                found.append(_named(i))
            elif rest:
                found.append(self.tree(pattern, i, way | {i}, below, depth + 1))
        return found


def _named(e: int) -> Map:
    return Map.of_names([(ID, value_of(e))])


def _listed(*columns: Rows) -> Iterable[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _in_order(ids: list[int]) -> list[int]:
    """Return values in an order that does not depend on ids: numbers by size, then others by type and text."""
    if not any(i & 1 for i in ids):
        return sorted(ids)
    return sorted(ids, key=lambda i: _place(value_of(i)))


def _place(value: object) -> tuple[str, object]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "", value
    return type(value).__name__, str(value)


def _farthest(pattern: PullPattern) -> float:
    """Return how many levels the recursions of a pattern reach together."""
    levels = [spec.levels for spec in pattern.specs if spec.levels is not None]
    return float("inf") if FOREVER in levels else float(sum(levels))


def _transformed(name: str, value: object) -> object:
    try:
        return FUNCTIONS[name](value)
    except FunctionError as error:
        raise QueryError("query/function", f":xform {name}: {error}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise QueryError("query/function", f":xform {name} does not take this: {error}") from error
