"""Which queries' changes cannot be told from the changed facts.

Is:     the reason, in words.
Is not: where it is raised: much is found out later, by planning or by counting.
Fits:   `follow` asks such queries again.
"""

from __future__ import annotations

from collections.abc import Sequence

from datomstore.datalog.builtins import SOURCE_FUNCTIONS
from datomstore.datalog.check import Program
from datomstore.datalog.delta.reads import READS
from datomstore.datalog.syntax import Apply, Clause, Not, Pattern, is_variable


class NotTold(Exception):
    """The changed facts alone do not tell which answers have changed."""


def refused(program: Program) -> str | None:
    """Return why the changes of a query's rows cannot be told from changed facts, None if they can."""
    names = [name for name, number in program.component.items() if number in program.recursive]
    if names:
        return f"rule {min(names)} is recursive"
    names = [name for name in program.rules if program.best(name)]
    if names:
        return f"rule {min(names)} has a min or max"
    bodies = [program.where, *(rule.body for rules in program.rules.values() for rule in rules)]
    for body in bodies:
        for clause in body:
            found = _unfollowed(clause, body)
            if found is not None:
                return found
    return None


def _unfollowed(clause: Clause, body: Sequence[Clause]) -> str | None:
    if isinstance(clause, Not):
        found = (_unfollowed(part, [*clause.body, *body]) for part in clause.body)
        return next((reason for reason in found if reason is not None), None)
    if isinstance(clause, Apply) and clause.function in SOURCE_FUNCTIONS:
        if clause.function not in READS:
            return f"{clause.function} reads more than one entity"
        entity = clause.arguments[1] if len(clause.arguments) > 1 else None
        found_by = any(isinstance(part, Pattern) and part.terms[0] is entity for part in body)
        if not found_by or not is_variable(entity):
            return f"the entity of {clause.function} is no pattern's"
    return None
