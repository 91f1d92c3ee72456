"""What clauses read of the followed source.

Is:     the attributes on which a clause's rows depend, and those by which a query's constants name entities.
Is not: how the rows change.
Fits:   `follow` asks nothing of a transaction that has no facts of these attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING

from datomstore.datalog.builtins import SOURCE_FUNCTIONS
from datomstore.datalog.check import Program
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Apply,
    Call,
    Clause,
    Constant,
    Not,
    Pattern,
    Term,
)
from datomstore.intern import intern
from datomstore.value import Keyword, Symbol

if TYPE_CHECKING:
    from datomstore.schema import Schema

Attributes = frozenset[int] | None  # ids; None is any
# Functions whose change is known by the entity they are asked.
READS = frozenset({"get-else", "get-some", "missing?"})


def touches(found: Set[int], wanted: Attributes) -> bool:
    """Return whether facts of some attributes are of one that is wanted."""
    return wanted is None or not wanted.isdisjoint(found)


def attributes_read(program: Program, clauses: Iterable[Clause]) -> Attributes:
    """Return the ids of the attributes of `$` on which the answers of some clauses can depend."""
    found: set[int] = set()
    waiting = [(clause, DEFAULT_SOURCE) for clause in clauses]
    called: set[tuple[str, Symbol]] = set()
    while waiting:
        clause, at = waiting.pop()
        terms: Sequence[Term] = ()
        if isinstance(clause, Not):
            waiting.extend((part, at) for part in clause.body)
        elif isinstance(clause, Call):
            source = at if clause.source is DEFAULT_SOURCE else clause.source
            if (clause.name, source) not in called:
                called.add((clause.name, source))
                rules = program.rules[clause.name]
                waiting.extend((part, source) for rule in rules for part in rule.body)
        elif isinstance(clause, Pattern) and _placed(clause.source, at) is DEFAULT_SOURCE:
            terms = clause.terms[1:2] or (BLANK,)
        elif isinstance(clause, Apply) and _reads_source(clause, at):
            terms = attributes_of(clause)
        for term in terms:
            if not isinstance(term, Constant):
                return None
            found.add(intern(term.value))
    return frozenset(found)


def _reads_source(clause: Apply, at: Symbol) -> bool:
    if clause.function not in SOURCE_FUNCTIONS:
        return False
    return _placed(clause.arguments[0], at) is DEFAULT_SOURCE


def _placed(source: Term, at: Symbol) -> Term:
    return at if source is DEFAULT_SOURCE else source


def attributes_of(clause: Apply) -> Sequence[Term]:
    """Return the attributes that a function reads."""
    if clause.function == "get-some":
        return clause.arguments[2:]
    return clause.arguments[2:3] if clause.function in READS else clause.arguments[1:2]


def names_read(clauses: Iterable[Clause], schema: Schema) -> frozenset[Keyword]:
    """Return the attributes by which constants name entities: with them, a pattern's meaning changes."""
    found: set[Keyword] = set()
    waiting = list(clauses)
    while waiting:
        clause = waiting.pop()
        if isinstance(clause, Not):
            waiting.extend(clause.body)
        elif isinstance(clause, Pattern):
            for place, term in enumerate(clause.terms):
                if isinstance(term, Constant) and _names_entity(clause, place, schema):
                    found |= naming(term.value)
    return frozenset(found)


def _names_entity(clause: Pattern, place: int, schema: Schema) -> bool:
    if place in (0, 3):
        return True
    attribute = clause.terms[1]
    if place != 2 or not isinstance(attribute, Constant):
        return False
    return isinstance(attribute.value, Keyword) and schema[attribute.value].is_ref


def naming(value: object) -> frozenset[Keyword]:
    """Return the attribute by which a value names an entity, if it is an ident or a lookup ref."""
    if isinstance(value, Keyword):
        return frozenset({Keyword("db/ident")})
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Keyword):
        return frozenset({value[0], *naming(value[1])})
    return frozenset()
