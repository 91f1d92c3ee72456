"""The standard rules, which a query may call without being given them.

Is:     the rules of `standard.dl`, parsed once.
Is not: a place for rules of one caller; those come by `%`.
Fits:   `check` looks here for a rule that the query does not bring.

A standard rule calls others under a name that no text can hold, so a query's own rule of the same name changes
nothing for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from datomstore.datalog.parse import parse_rules
from datomstore.datalog.syntax import Call, Clause, Not, Or, Rule

PREFIX = "standard "


@cache
def standard_rules() -> dict[str, tuple[Rule, ...]]:
    """Return the rules by their names, and once more by the names under which they call each other."""
    text = Path(__file__).with_name("standard.dl").read_text(encoding="utf-8")
    plain = parse_rules(text).by_name
    names = {name: PREFIX + name for name in plain}
    found: dict[str, tuple[Rule, ...]] = {}
    for name, rules in plain.items():
        inner = tuple(
            replace(rule, name=PREFIX + name, body=renamed(rule.body, names)) for rule in rules
        )
        found[PREFIX + name] = inner
        found[name] = tuple(replace(rule, name=name) for rule in inner)
    return found


def renamed(body: tuple[Clause, ...], names: Mapping[str, str]) -> tuple[Clause, ...]:
    """Return the clauses of a rule that calls others by other names."""
    return tuple(_with_names(clause, names) for clause in body)


def _with_names(clause: Clause, names: Mapping[str, str]) -> Clause:
    if isinstance(clause, Call) and clause.name in names:
        return replace(clause, name=names[clause.name])
    if isinstance(clause, Not):
        return replace(clause, body=renamed(clause.body, names))
    if isinstance(clause, Or):
        return replace(clause, branches=tuple(renamed(b, names) for b in clause.branches))
    return clause
