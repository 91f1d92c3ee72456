"""Ways of few rows, compiled.

Is:     the longest beginning of a way that needs nothing but ids: facts looked up, rows that are given, comparisons.
Is not: the joins themselves (`datomstore._index`), which say when they cannot go: other values than small integers are
        compared, or the rows become many. Then the way is gone in columns (`ways`).
Fits:   `bodies` compiles a way once it is planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datomstore._index import WALK_WIDTH_MAX, Walk
from datomstore.datalog.delta.joins import Constants, Given, Probe, Test
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.delta.ways import SIGN, Leg
from datomstore.datalog.limits import FEW_ROWS, WALK_ROWS_MAX
from datomstore.datalog.relation import Relation
from datomstore.datalog.syntax import BLANK, Constant, Pattern, Term
from datomstore.intern import Ids
from datomstore.value import Symbol

Place = tuple[str, int]  # a term: its kind, and an id or a column
PLACES = 4  # of a fact: entity, attribute, value, transaction


@dataclass(frozen=True, slots=True)
class Compiled:
    """A walk, and the joins behind it.

    Args:
        names: the variables of its columns.
        rest: the joins that are not part of it.
        form: the clause it begins with.
    """

    walk: Walk
    names: list[Symbol]
    rest: list[Leg]
    form: object

    def rows(self, transaction: Transaction) -> Relation | None:
        """Return the rows where the walk ends, None if it cannot go."""
        found = transaction.after.walk_columns(self.walk, transaction.start)
        transaction.meter.spend(self.walk.made, self.form)
        if found is None:
            return None
        return Relation(dict(zip([SIGN, *self.names], found, strict=True)), len(found[0]))


def compiled(
    clause: Pattern,
    constants: Constants,
    place: int,
    way: Sequence[Leg],
    needed: frozenset[Symbol],
    outs: Sequence[Symbol],
) -> Compiled | None:
    """Return a way from the changed facts of a pattern as a walk, None if not even its beginning is one.

    `place` is that of the pattern among its body's clauses; `needed` are the variables that are looked at on the way, or
    wanted, and `outs` those that are wanted.
    """
    columns = _Columns()
    start = columns.facts(clause, constants)
    if start is None or (len(clause.terms) > 3 and clause.terms[3] is not BLANK):
        return None  # a retraction is of another transaction than the fact it ends
    steps: list[tuple[str, list[Place], Ids | str | None, bool, list[int]]] = [
        ("facts", start, None, False, columns.of(needed))
    ]
    for leg in way:
        step = columns.step(leg)
        if step is None or len(columns.names) > WALK_WIDTH_MAX:
            break
        needed = leg.needed
        kind, terms, what = step
        steps.append((kind, terms, what, leg.place > place, columns.of(needed)))
    rest = list(way[len(steps) - 1 :])
    names = [name for name in columns.names if name in needed] if rest else list(outs)
    width = len(columns.names)
    if width > WALK_WIDTH_MAX or not columns.names.keys() >= set(names):
        return None
    walk = Walk(width, steps, columns.of(names), WALK_ROWS_MAX)
    return Compiled(walk, names, rest, clause.form)


class _Columns:
    """The columns that variables have been given so far."""

    def __init__(self) -> None:
        self.names: dict[Symbol, int] = {}

    def of(self, names: Sequence[Symbol] | frozenset[Symbol]) -> list[int]:
        """Return the columns of those variables that have one."""
        return [self.names[name] for name in names if name in self.names]

    def step(self, leg: Leg) -> tuple[str, list[Place], Ids | str | None] | None:
        """Return a join as a step, None if it cannot be one."""
        join = leg.operator
        if isinstance(join, Probe) and self._is_sought(join):
            terms = self.facts(join.clause, join.constants)
            return None if terms is None else ("facts", terms, None)
        if isinstance(join, Given) and join.table.count <= FEW_ROWS:
            rows = [join.table.column(place) for place in range(len(join.terms))]
            return (
                "rows",
                self._places(join.terms, [None] * len(rows)),
                np.column_stack(rows).ravel(),
            )
        if isinstance(join, Test) and join.compare is not None:
            return "test", [self._operand(one) for one in join.ids], join.name
        return None

    def _is_sought(self, probe: Probe) -> bool:
        """Return whether facts are found by their entity, or by attribute and value."""
        known = {
            place
            for place, term in enumerate(probe.clause.terms)
            if isinstance(term, Constant) or term in self.names
        }
        return 0 in known or known >= {1, 2}

    def facts(self, clause: Pattern, constants: Constants) -> list[Place] | None:
        """Return the places of a pattern's facts, None if there is more to it."""
        terms = clause.terms
        if constants is None or (len(terms) > PLACES and terms[PLACES] is not BLANK):
            return None
        if any(
            isinstance(term, Constant) and constants[place] is None
            for place, term in enumerate(terms)
        ):
            return None
        return self._places(terms[:PLACES], constants)

    def _places(self, terms: Sequence[Term], ids: Sequence[int | None]) -> list[Place]:
        made: list[Place] = []
        fresh: set[Symbol] = set()
        for term, id_ in zip(terms, ids, strict=False):
            if id_ is not None:
                made.append(("same", id_))
            elif not isinstance(term, Symbol) or term is BLANK:
                made.append(("any", 0))
            elif term in self.names:
                made.append(("again" if term in fresh else "known", self.names[term]))
            else:
                self.names[term] = len(self.names)
                fresh.add(term)
                made.append(("new", self.names[term]))
        return made

    def _operand(self, one: int | Term) -> Place:
        if isinstance(one, int):
            return "same", one
        assert isinstance(one, Symbol), one
        return "known", self.names[one]
