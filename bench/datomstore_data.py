"""The data of the store's benchmarks: people, trees, graphs, entities to join, the AST of Python's standard library.

Is:     made from fixed seeds, so every run and every peer has the same.
Is not: loaded anywhere: the groups of workloads do that.
Fits:   `bench.datomstore_queries`, `_graphs`, `_joins`, `_ast` and `_writes`.
Source: people, `wide` and `long` are those of DataScript's benchmark.
"""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]
Person = dict[str, Any]

NAMES = ("Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis")
LAST_NAMES = ("Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi")
ALIASES = (
    "A. C. Q. W.",
    "A. J. Finn",
    "A.A. Fair",
    "Aapeli",
    "Aaron Wolfe",
    "Abigail Van Buren",
    "Jeanne Phillips",
    "Abram Tertz",
    "Abu Nuwas",
    "Acton Bell",
    "Adunis",
)


def _person(chance: random.Random, number: int) -> Person:
    name, last_name = chance.choice(NAMES), chance.choice(LAST_NAMES)
    aliases = [chance.choice(ALIASES) for _ in range(chance.randrange(10))]
    return {
        ":db/id": number,
        "name": name,
        "last-name": last_name,
        "full-name": f"{name} {last_name}",
        "alias": list(dict.fromkeys(aliases)),
        "sex": chance.choice(("male", "female")),
        "age": chance.randrange(100),
        "salary": chance.randrange(100_000),
    }


def people(count: int) -> list[Person]:
    """Return people in random order; entities from 1 on."""
    chance = random.Random(1)
    made = [_person(chance, number) for number in range(1, count + 1)]
    chance.shuffle(made)
    return made


def wide(depth: int, width: int) -> list[Person]:
    """Return a tree of people who follow `width` others each."""
    chance = random.Random(2)
    made: list[Person] = []

    def grow(number: int, depth: int) -> None:
        person = _person(chance, number)
        made.append(person)
        if depth:
            person["follows"] = [number * width + place for place in range(width)]
            for child in person["follows"]:
                grow(child, depth - 1)

    grow(1, depth)
    return made


def long(depth: int, width: int) -> list[Person]:
    """Return `width` chains of people of whom each follows the next; entities from 1 on."""
    chance = random.Random(3)
    made: list[Person] = []
    for chain in range(width):
        first = 1 + chain * (depth + 1)
        for number in range(first, first + depth + 1):
            person = _person(chance, number)
            if number < first + depth:
                person["follows"] = [number + 1]
            made.append(person)
    return made


def facts_of(people: list[Person]) -> Iterator[tuple[int, str, Any]]:
    """Yield (entity, attribute, value)."""
    for person in people:
        for attribute, value in person.items():
            if attribute == ":db/id":
                continue
            for one in value if isinstance(value, list) else (value,):
                yield person[":db/id"], attribute, one


class Edges(NamedTuple):
    """A graph: from, to."""

    a: Column
    b: Column


def chain(nodes: int) -> Edges:
    """Return a chain."""
    a = np.arange(1, nodes + 1, dtype=np.int64)
    return Edges(a, a + 1)


def scattered(nodes: int, edges: int, seed: int = 4) -> Edges:
    """Return a random graph without equal edges."""
    made = np.random.default_rng(seed).integers(1, nodes + 1, (edges, 2))
    distinct = np.unique(made, axis=0).astype(np.int64)
    return Edges(distinct[:, 0].copy(), distinct[:, 1].copy())


def tree(nodes: int) -> Edges:
    """Return a binary tree, from parents to children."""
    children = np.arange(2, nodes + 1, dtype=np.int64)
    return Edges(children // 2, children)


def power_law(nodes: int, edges: int, power: float = 2.2, *, both_ways: bool = False) -> Edges:
    """Return a graph in which few nodes have most edges, the fewer the higher the power.

    Edges go from smaller numbers to larger ones, or `both_ways`, so that a node with many edges has many in and out.
    """
    chance = np.random.default_rng(5)
    ends = (nodes * chance.random((edges * 2, 2)) ** power).astype(np.int64) + 1
    if not both_ways:
        ends.sort(axis=1)
    distinct = np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0)
    kept = distinct[np.sort(chance.permutation(len(distinct))[:edges])]
    return Edges(kept[:, 0].copy(), kept[:, 1].copy())


def points_to(variables: int) -> dict[str, Edges]:
    """Return a program of `variables` for Andersen's analysis: new, assign, load, store."""
    chance = np.random.default_rng(6)

    def some(count: int, left: int, right: int) -> Edges:
        made = np.stack([chance.integers(1, left + 1, count), chance.integers(1, right + 1, count)])
        distinct = np.unique(made.astype(np.int64), axis=1)
        return Edges(distinct[0].copy(), distinct[1].copy())

    heap = max(1, variables // 10)
    new = some(variables // 10, variables, heap)
    return {
        "new": Edges(new.a, new.b + 10_000_000),
        "assign": some(variables // 2, variables, variables),
        "load": some(variables // 10, variables, variables),
        "store": some(variables // 10, variables, variables),
    }


def entities(datoms: int) -> dict[str, NDArray[Any]]:
    """Return the columns of datoms/5 people: e, name, city, age, salary, boss. The first is everybody's boss in the end."""
    count = datoms // 5
    chance = np.random.default_rng(7)
    number = np.arange(count, dtype=np.int64)
    boss = (number * chance.random(count)).astype(np.int64)
    e = number + 1
    return {
        "e": e,
        "name": np.char.add("name ", chance.integers(0, 1_000, count).astype(str)),
        "city": np.char.add("city ", chance.integers(0, 100, count).astype(str)),
        "age": chance.integers(0, 100, count).astype(np.int64),
        "salary": chance.integers(0, 100_000, count).astype(np.int64),
        "boss": boss + 1,
    }


# -- Python's standard library as facts --


class Ast(NamedTuple):
    """Facts by attribute: entities and values; numbers of the texts that values stand for."""

    relations: dict[str, Edges]
    texts: list[str]
    nodes: int

    @property
    def datoms(self) -> int:
        """Return how many facts there are."""
        return sum(len(edges.a) for edges in self.relations.values())


TEXTUAL = frozenset({"type", "field", "name", "context"})
_NAMED = {
    ast.Name: "id",
    ast.arg: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.Attribute: "attr",
    ast.keyword: "arg",
}


class _Facts:
    """Numbers the nodes in pre-order and notes what each is."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self.relations: dict[str, list[tuple[int, int]]] = {
            name: []
            for name in ("type", "parent", "field", "position", "end", "line", "name", "context")
        }
        self.nodes = 0

    def note(self, attribute: str, node: int, value: int | str) -> None:
        if isinstance(value, str):
            value = self.texts.setdefault(value, len(self.texts))
        self.relations[attribute].append((node, value))

    def add(self, tree: ast.AST, parent: int = 0, field: str = "", position: int = 0) -> None:
        self.nodes += 1
        number = self.nodes
        self.note("type", number, type(tree).__name__)
        if parent:
            self.note("parent", number, parent)
            self.note("field", number, field)
            self.note("position", number, position)
        if hasattr(tree, "lineno"):
            self.note("line", number, tree.lineno)
        name = self._name(tree)
        if name is not None:
            self.note("name", number, name)
        if isinstance(tree, ast.Name):
            self.note("context", number, type(tree.ctx).__name__)
        for name, value in ast.iter_fields(tree):
            for place, child in enumerate(value if isinstance(value, list) else (value,)):
                if isinstance(child, ast.AST) and not isinstance(
                    child,
                    (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop),
                ):
                    self.add(child, number, name, place)
        self.note("end", number, self.nodes)

    def _name(self, tree: ast.AST) -> str | None:
        if isinstance(tree, ast.alias):
            return (tree.asname or tree.name).partition(".")[0]
        attribute = _NAMED.get(type(tree))
        found = getattr(tree, attribute) if attribute else None
        return found if isinstance(found, str) else None


def standard_library(datoms: int) -> Ast:
    """Return the facts of as many modules of the standard library, by name, as give that many."""
    made = _Facts()
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        made.add(ast.parse(path.read_bytes()))
        if sum(map(len, made.relations.values())) >= datoms:
            break
    relations = {}
    for name, pairs in made.relations.items():
        columns = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        relations[name] = Edges(columns[:, 0].copy(), columns[:, 1].copy())
    return Ast(relations, list(made.texts), made.nodes)
