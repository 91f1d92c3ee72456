"""Whom the names of a tree mean: which binder each variable belongs to.

Is:     one pass over a tree in pre-order; every binder is seen in one run of positions.
Is not: `yang/rules/scope.dl`, which derives the same (and slots, captures) as facts: edits and refactorings ask before and
        after every change, of trees that are in no database.
Fits:   `yang.edit` and `yang.refactor`. Tests compare it with the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from yang.nodes import Tree

BINDERS = frozenset(
    ["binding", "parameter", "lambda", "catch"]
)  # kinds that may give a local its name


class Scopes(NamedTuple):
    """The names of one tree; nodes are positions in pre-order."""

    binder_of: Mapping[int, int]  # of each variable that is a local
    globals: Mapping[int, str]  # of each other variable

    def uses(self, binder: int) -> list[int]:
        """Return the variables that a binder binds."""
        return [variable for variable, found in self.binder_of.items() if found == binder]


def scopes_of(tree: Tree) -> Scopes:
    """Return whom all variables of a tree mean. Cost: linear."""
    starting: dict[int, list[tuple[str, int, int]]] = {}
    for number, name, first, last in _binders(tree):
        starting.setdefault(first, []).append((name, number, last))
    seen: dict[str, list[tuple[int, int]]] = {}
    binder_of: dict[int, int] = {}
    free: dict[int, str] = {}
    for number, item in enumerate(tree.items):
        for name, binder, last in starting.get(number, ()):
            seen.setdefault(name, []).append((binder, last))
        if item.kind.name != "variable":
            continue
        name = str(item.scalars[0])
        stack = seen.get(name, [])
        while stack and stack[-1][1] < number:
            stack.pop()
        if stack:
            binder_of[number] = stack[-1][0]
        else:
            free[number] = name
    return Scopes(binder_of, free)


def _binders(tree: Tree) -> Iterable[tuple[int, str, int, int]]:
    """Yield each binder, its name, and the run of positions in which it is seen."""
    for number, (item, place) in enumerate(zip(tree.items, tree.places, strict=True)):
        name = item.scalars[0] if item.kind.name in BINDERS else None
        if not isinstance(name, str):
            continue
        match item.kind.name:
            case "lambda" | "catch":
                yield number, name, number + 1, place.end
            case "parameter":
                yield number, name, number + 1, tree.places[place.parent].end
            case _:
                is_recursive = tree.items[place.parent].kind.name == "letrec"
                first = place.parent + 1 if is_recursive else place.end + 1
                yield number, name, first, tree.places[place.parent].end
