"""The nodes of a program as columns, and facts made of columns.

Is:     what `yang.ast_datoms` says of a tree, as far as the compiler's rules ask for it, without an object for each fact.
Is not: where nodes stand in the source, or the facts that are kept: those are datoms.
Fits:   `yang.derivation` gives the rules these facts; nodes are numbered in pre-order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datomstore.database import Database
from datomstore.intern import intern, intern_many
from datomstore.schema import Schema
from datomstore.value import Keyword
from yang.ast_datoms import DEPTH, END, INDEX, PARENT, POSITION, ROLE, VALUE_KIND
from yang.nodes import (
    CLASS,
    KINDS,
    KINDS_BY_NUMBER,
    NAME,
    ROLES,
    TYPE,
    VALUE,
    VARIADIC,
    Item,
    Tree,
    value_kind,
)

Array = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROLE_NAMES = tuple(sorted(ROLES, key=lambda role: role.name))
_ROLE_NUMBERS = {None: -1} | {role: number for number, role in enumerate(ROLE_NAMES)}


def ids(attribute: Keyword) -> int:
    """Return the id of a keyword."""
    return intern(attribute)


def numbers(kinds: Sequence[str]) -> Array:
    """Return the numbers of kinds of nodes."""
    return np.array([KINDS[kind].number for kind in kinds], np.int64)


class Columns:
    """Kind, place and scalars of every node of a tree, by pre-order number."""

    def __init__(self, tree: Tree) -> None:
        self.items: Sequence[Item] = tree.items
        self.count = len(tree.items)
        self.kind = np.array([item.kind.number for item in tree.items], np.int64)
        placed = tree.placed
        self.role = np.array([_ROLE_NUMBERS[role] for role in placed.roles], np.int64)
        self.parent, self.position = _array(placed.parents), _array(placed.positions)
        self.index, self.depth = _array(placed.indexes), _array(placed.depths)
        self.end = _array(placed.ends)

    def of(self, *kinds: str) -> Array:
        """Return the nodes of some kinds, in order."""
        return np.flatnonzero(np.isin(self.kind, numbers(kinds)))

    def scalar(self, node: int) -> object:
        """Return a node's first value: its name, or that of a literal."""
        return self.items[node].scalars[0]

    def name(self, node: int) -> str | None:
        """Return the name of a node of a kind that may have one."""
        name = self.items[node].scalars[0]
        assert name is None or isinstance(name, str), node
        return name

    def with_literals(self, values: Mapping[int, object]) -> Columns:
        """Return the same nodes, some of them literals; these keep their places, and what is inside of them."""
        twin = copy(self)
        items = list(self.items)
        twin.kind = self.kind.copy()
        for node, value in values.items():
            items[node] = Item(KINDS["literal"], (value,), (), items[node].span)
            twin.kind[node] = _LITERAL
        twin.items = items
        return twin

    @cached_property
    def definitions(self) -> dict[str, list[int]]:
        """The definitions of every name."""
        found: dict[str, list[int]] = {}
        for node in self.of("def").tolist():
            found.setdefault(str(self.scalar(node)), []).append(node)
        return found

    def is_lambda(self, node: int) -> bool:
        """Return whether a node is a function."""
        return self.items[node].kind.name == "lambda"

    def arities(self, function: int) -> list[int]:
        """Return the bodies of a lambda."""
        found = []
        arity = function + 1
        for _ in range(self.items[function].counts[0]):
            found.append(arity)
            arity = int(self.end[arity]) + 1
        return found

    def body(self, arity: int) -> int:
        """Return the node that an arity evaluates: its last child, after parameters without children."""
        return arity + 1 + self.items[arity].counts[0]


def _array(column: Sequence[int]) -> Array:
    return np.array(column, np.int64)


class Facts:
    """Facts about entities `base` + number, as columns of ids."""

    def __init__(self, base: int) -> None:
        self.base = base
        self._parts: list[tuple[Array, Array, Array]] = []

    def add(self, e: Array, attribute: Keyword, v: Array) -> None:
        """State one attribute of entities; values are ids."""
        self._parts.append(((e + self.base) << 1, np.full(len(e), ids(attribute), np.int64), v))

    def refer(self, e: Array, attribute: Keyword, v: Array) -> None:
        """State that entities have entities under an attribute."""
        self.add(e, attribute, (v + self.base) << 1)

    def count(self, e: Array, attribute: Keyword, v: Array) -> None:
        """State numbers."""
        self.add(e, attribute, v << 1)

    def say(self, facts: Sequence[tuple[int, Keyword, object]]) -> None:
        """State single facts; a value that is an entity has its base already."""
        if facts:
            e, a, v = zip(*facts, strict=True)
            entities = (np.array(e, np.int64) + self.base) << 1
            self._parts.append((entities, intern_many(a), intern_many(v)))

    def say_nodes(self, columns: Columns, chosen: Mask) -> None:
        """State what the rules ask of nodes."""
        nodes = np.flatnonzero(chosen)
        self.add(nodes, TYPE, _TYPES[columns.kind[nodes]])
        self.count(nodes, DEPTH, columns.depth[nodes])
        self.refer(nodes, END, columns.end[nodes])
        inner = nodes[columns.role[nodes] >= 0]
        roles, parents = columns.role[inner], columns.parent[inner]
        self.refer(inner, PARENT, parents)
        self.count(inner, POSITION, columns.position[inner])
        self.count(inner, INDEX, columns.index[inner])
        self.add(inner, ROLE, _ROLES[roles])
        self._parts.append(((parents + self.base) << 1, _ROLES[roles], (inner + self.base) << 1))
        self._say_scalars(columns, chosen)

    def _say_scalars(self, columns: Columns, chosen: Mask) -> None:
        def those(mask: Mask) -> list[int]:
            found: list[int] = np.flatnonzero(mask & chosen).tolist()
            return found

        kind, items = columns.kind, columns.items
        named = [
            (node, name)
            for node in those(_NAMED[kind])
            if (name := items[node].scalars[0]) is not None
        ]
        self._say_values(NAME, named)
        self._say_values(
            VARIADIC, [(node, items[node].scalars[0]) for node in those(kind == _ARITY)]
        )
        self._say_values(CLASS, [(node, items[node].scalars[1]) for node in those(kind == _CATCH)])
        literals = [(node, items[node].scalars[0]) for node in those(kind == _LITERAL)]
        self._say_values(VALUE_KIND, [(node, value_kind(value)) for node, value in literals])
        self._say_values(VALUE, [(node, v) for node, v in literals if type(v) in COMPARED])

    def _say_values(self, attribute: Keyword, pairs: Sequence[tuple[int, object]]) -> None:
        if pairs:
            nodes, values = zip(*pairs, strict=True)
            self.add(np.array(nodes, np.int64), attribute, intern_many(values))

    def twin(self) -> Facts:
        """Return what was stated so far, to state more beside it."""
        twin = Facts(self.base)
        twin._parts = list(self._parts)
        return twin

    def database(
        self, tx: int, schema: Mapping[Keyword, Mapping[Keyword, object]] | None = None
    ) -> Database:
        """Return a database of what was stated; more can be stated afterwards."""
        e, a, v = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        return Database.from_columns(e, a, v, tx, Schema.from_maps(schema or {}))


_TYPES = np.array([ids(Keyword(kind.name)) for kind in KINDS_BY_NUMBER], np.int64)
_ROLES = np.array([ids(role) for role in ROLE_NAMES], np.int64)
_NAMED = np.array(
    [
        kind.name != "program" and any(scalar.attribute is NAME for scalar in kind.scalars)
        for kind in KINDS_BY_NUMBER
    ]
)
_ARITY, _CATCH, _LITERAL = (KINDS[name].number for name in ("arity", "catch", "literal"))
# Values that rules compare with their own; what else a literal is, its kind says.
COMPARED = (bool, int)
