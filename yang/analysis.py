"""What is known of a program's nodes before steps are chosen.

Is:     nodes by entity, and what the scope rules derive, with captured values numbered and names looked up.
Is not: scoping itself (yang/rules/scope.dl).
Fits:   `yang.compile` makes one per program; its facts are what the later rules read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from datomstore.datom import TX_BASE, Datom
from datomstore.value import Keyword
from yang.nodes import Item, Place
from yang.resolve import CoreLibrary, Fact, facts_of_name
from yang.segment import FunctionRef, Span

Rows = list[tuple[Any, ...]]
TX = TX_BASE + 1  # of a program's facts in a database of their own

BINDER = Keyword("scope/binder")
BODY = Keyword("scope/body")
STATIC = Keyword("scope/static")
GROUP = Keyword("scope/group")
CAPTURE_GROUP = Keyword("capture/group")
CAPTURE_BINDER = Keyword("capture/binder")
CAPTURE_INDEX = Keyword("capture/index")
CAPTURE_COUNT = Keyword("capture/count")

SCOPE_RELATIONS = ("local", "body", "static", "group", "captured")  # of scope.dl
LOOK_UP = "yin.core/get"  # what a call of a keyword does


class Ast:
    """The nodes of a program by entity."""

    def __init__(self, items: Sequence[Item], where: Sequence[Place], base: int) -> None:
        self.items = items
        self.places = where
        self.base = base

    def item(self, node: int) -> Item:
        """Return a node's own fields."""
        return self.items[node - self.base]

    def kind(self, node: int) -> str:
        """Return the name of a node's kind."""
        return self.item(node).kind.name

    def name(self, node: int) -> str | None:
        """Return a node's :ast/name."""
        name: str | None = self.scalar(node, "ast/name")
        return name

    def scalar(self, node: int, attribute: str) -> Any:
        """Return one of a node's values, None where it has none."""
        item = self.item(node)
        for scalar, value in zip(item.kind.scalars, item.scalars, strict=True):
            if scalar.attribute.name == attribute:
                return value
        return None

    def parent(self, node: int) -> int:
        """Return the node around a node."""
        return self.places[node - self.base].parent + self.base

    def end(self, node: int) -> int:
        """Return the last node inside a node, or itself."""
        return self.places[node - self.base].end + self.base

    def nodes(self, kind: str) -> list[int]:
        """Return the nodes of a kind, in order."""
        return [
            self.base + number for number, item in enumerate(self.items) if item.kind.name == kind
        ]

    def depths(self) -> dict[int, int]:
        """Return how deep each node stands."""
        return {self.base + number: place.depth for number, place in enumerate(self.places)}

    def span(self, node: int) -> Span:
        """Return where in the source a node comes from."""
        return self.item(node).span

    def children(self, kind: str) -> dict[int, list[int]]:
        """Return the children of every node of a kind, in order."""
        found: dict[int, list[int]] = {node: [] for node in self.nodes(kind)}
        for number, place in enumerate(self.places):
            if place.parent + self.base in found:
                found[place.parent + self.base].append(self.base + number)
        return found


class Analysis:
    """What scope.dl has derived, and what follows from it by numbering and look-up."""

    def __init__(self, ast: Ast, scope: Mapping[str, Rows], core: CoreLibrary | None) -> None:
        self.ast = ast
        self.core = core
        self.scope = scope
        self.body_of: dict[int, int] = dict(scope["body"])
        self.body_of[ast.base] = ast.base
        self.static: dict[int, int] = dict(scope["static"])
        self.group_of: dict[int, int] = dict(scope["group"])
        captured: dict[int, list[int]] = defaultdict(list)
        for group, binder in sorted(scope["captured"]):
            captured[group].append(binder)
        self.captured = captured
        self.lambdas = ast.nodes("lambda")
        self.number_of = {node: number for number, node in enumerate(self.lambdas, 1)}
        definitions = {name for node in ast.nodes("def") if (name := ast.name(node)) is not None}
        self.definitions = definitions
        names = {name for node in ast.nodes("variable") if (name := ast.name(node)) is not None}
        names.add(LOOK_UP)
        self.hosts: dict[int, list[Fact]] = {}
        for entity, name in enumerate(sorted(names), ast.base + len(ast.items)):
            facts = facts_of_name(name, core, definitions)
            if facts:
                self.hosts[entity] = facts

    def datoms(self) -> list[Datom]:
        """Return the facts for the rules that follow."""
        facts: list[tuple[int, Keyword, object]] = []
        for relation, attribute in (("local", BINDER), ("static", STATIC), ("group", GROUP)):
            facts += [(node, attribute, value) for node, value in self.scope[relation]]
        facts += [(node, BODY, body) for node, body in self.body_of.items()]
        facts += [
            (entity, attribute, value)
            for entity, known in self.hosts.items()
            for attribute, value in known
        ]
        entity = self.ast.base + 2 * len(self.ast.items)  # above the nodes and the names
        for group, binders in self.captured.items():
            facts.append((group, CAPTURE_COUNT, len(binders)))
            for index, binder in enumerate(binders):
                facts += [
                    (entity, CAPTURE_GROUP, group),
                    (entity, CAPTURE_BINDER, binder),
                    (entity, CAPTURE_INDEX, index),
                ]
                entity += 1
        return [Datom(e, a, v, TX, True) for e, a, v in facts]

    def function_ref(self, node: int) -> FunctionRef:
        """Return the constant that is a lambda without captured values."""
        return FunctionRef(False, self.number_of[node], self.function_name(node) or "")

    def function_name(self, node: int) -> str | None:
        """Return a lambda's own name, or that of the definition it is."""
        name = self.ast.name(node)
        if name is None and self.ast.kind(self.ast.parent(node)) == "def":
            return self.ast.name(self.ast.parent(node))
        return name
