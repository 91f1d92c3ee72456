"""Which variables of a body follow from others.

Is:     whether a row over some variables has one derivation at most.
Is not: how many it has, if it can have several.
Fits:   `view` counts derivations only where it must.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from datomstore.datalog.syntax import (
    DEFAULT_SOURCE,
    Apply,
    BindCollection,
    BindTuple,
    Clause,
    Constant,
    Pattern,
    binding_variables,
    inputs_of,
    is_variable,
)
from datomstore.value import Keyword, Symbol

if TYPE_CHECKING:
    from datomstore.schema import Schema


def determined(clauses: Iterable[Clause], known: set[Symbol], schema: Schema) -> set[Symbol]:
    """Return the variables of a body that have one value at most once some are known, these included."""
    found, growing = set(known), True
    while growing:
        before = len(found)
        for clause in clauses:
            found |= _follows(clause, found, schema)
        growing = len(found) > before
    return found


def _follows(clause: Clause, known: set[Symbol], schema: Schema) -> set[Symbol]:
    """Return the variables of a clause that have one value at most once those that are known have one."""

    def settled(place: int) -> bool:
        if place >= len(terms):
            return False
        term = terms[place]
        return isinstance(term, Constant) or term in known

    if isinstance(clause, Apply):
        if not inputs_of(clause) <= known or not is_flat(clause.binding):
            return set()
        return binding_variables(clause.binding)
    if not isinstance(clause, Pattern) or clause.source is not DEFAULT_SOURCE:
        return set()
    terms = clause.terms
    found: set[Symbol] = {term for term in terms[4:5] if is_variable(term)}
    named = terms[1].value if isinstance(terms[1], Constant) else None
    if isinstance(named, Keyword):
        attribute = schema[named]
        if settled(0) and not attribute.many and is_variable(terms[2]):
            found.add(terms[2])
        if settled(2) and attribute.unique is not None and is_variable(terms[0]):
            found.add(terms[0])
    if settled(0) and settled(1) and settled(2):
        found |= {term for term in terms[3:4] if is_variable(term)}
    return found


def is_flat(binding: object) -> bool:
    """Return whether a binding gives each row one row at most."""
    if isinstance(binding, BindTuple):
        return all(map(is_flat, binding.items))
    return not isinstance(binding, BindCollection)
