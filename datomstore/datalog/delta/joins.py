"""Rows joined with one clause, as it is after a transaction or as it was before.

Is:     an operator for each kind of clause.
Is not: their order (`ways`), nor how few rows are joined in compiled code (`walks`).
Fits:   the legs of a way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datomstore.datalog.builtins import FUNCTIONS
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.limits import FEW_ROWS
from datomstore.datalog.plan import Stored
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import TRUE
from datomstore.datalog.steps import LookUp, Step, run
from datomstore.datalog.syntax import BLANK, Apply, Clause, Constant, Pattern, is_variable
from datomstore.intern import Ids, intern, values_of
from datomstore.value import Symbol

if TYPE_CHECKING:
    from datomstore.database import Database
    from datomstore.datalog.budget import Meter
    from datomstore.datalog.delta.view import View
    from datomstore.facts import Facts, Rows

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "not=": operator.ne,
    "!=": operator.ne,
}
NONE = Relation({}, 0)
Mask = NDArray[np.bool_]
Constants = tuple[int | None, ...] | None  # ids of a pattern's five places; None matches nothing


class Steady:
    """A clause that no transaction changes."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows after this clause."""
        return self.step.execute(relation, transaction.meter)


class Given:
    """The rows of a table: of the query's inputs, or of a rule whose rows are kept."""

    def __init__(self, stored: Stored, keep: frozenset[Symbol]) -> None:
        self.table = stored.table
        self.terms = stored.terms
        self.step = LookUp(lambda: stored.table, stored.terms, stored.form, keep)

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows joined with those that are given."""
        return self.step.execute(relation, transaction.meter)


class Sided:
    """A clause that the query engine answers, on the side that is asked for."""

    def __init__(
        self, view: View, clause: Clause, bound: frozenset[Symbol], names: frozenset[Symbol]
    ) -> None:
        self.view = view
        self.clause = clause
        self.bound = bound
        self.names = names

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows after this clause."""
        planner = self.view.planner(transaction, before=before)
        steps = planner.steps([self.clause], self.bound, self.names, self.names)
        return run(steps, relation, transaction.meter)


class Probe:
    """The facts of a pattern, by the database's own index."""

    def __init__(self, clause: Pattern, constants: Constants, bound: frozenset[Symbol]) -> None:
        self.clause = clause
        self.constants = constants
        self.wanted: list[tuple[int, Symbol]] = []  # places that must agree with a column
        self.reads: list[tuple[int, Symbol]] = []
        self.repeats: list[tuple[int, int]] = []  # places that must agree with one another
        first: dict[Symbol, int] = {}
        for place, term in enumerate(clause.terms):
            if isinstance(term, Constant) or term is BLANK:
                continue
            if term in bound:
                self.wanted.append((place, term))
            elif term in first:
                self.repeats.append((first[term], place))
            else:
                first[term] = place
                self.reads.append((place, term))
        self.by: tuple[int, Symbol] | None = (
            None  # the place that is looked up, the others are compared
        )
        if constants is not None and constants[0] is None:
            entity = [pair for pair in self.wanted if pair[0] == 0]
            value = [pair for pair in self.wanted if pair[0] == 2]
            self.by = next(iter(entity or value), None)
        self.compared = [pair for pair in self.wanted if pair != self.by]

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows joined with the facts of one side."""
        database = transaction.before if before else transaction.after
        if self.constants is None:
            return NONE
        probe, rows = self._found(relation, database, transaction.meter)
        keep = self._agreeing(relation, database.facts, probe, rows)
        if keep is not None:
            probe, rows = probe[keep], rows[keep]
        if not len(rows):
            return NONE
        made = {name: column[probe] for name, column in relation.columns.items()}
        for place, name in self.reads:
            made[name] = _column(database.facts, rows, place)
        return Relation(made, len(rows))

    def _found(self, relation: Relation, database: Database, meter: Meter) -> tuple[Rows, Rows]:
        """Return (number of the relation's row, fact) of what is looked up, nothing compared yet."""
        assert self.constants is not None, "some fact can match"
        e, a, v, *_ = self.constants
        form = self.clause.form
        meter.spend(0, form)
        if self.by is not None:
            place, name = self.by
            key, spend = relation.columns[name], meter.of(form)
            if place == 0:
                return database.scan_bound(a, e=key, spend=spend)
            return database.scan_bound(a, v=key, spend=spend)
        found = database.rows(e, a, v)
        meter.spend(len(found) * relation.count, form)
        probe = np.repeat(np.arange(relation.count, dtype=np.int64), len(found))
        return probe, np.tile(found, relation.count)

    def _agreeing(self, relation: Relation, facts: Facts, probe: Rows, rows: Rows) -> Mask | None:
        """Return which facts agree with what they are joined with, None if all do."""
        assert self.constants is not None, "some fact can match"
        _, _, v, t, _ = self.constants
        checks: list[Mask] = [
            _column(facts, rows, place) == relation.columns[name][probe]
            for place, name in self.compared
        ]
        if v is not None and self.by is not None:
            checks.append(facts.v[rows] == v)
        if t is not None:
            checks.append(facts.t[rows] == t)
        for left, right in self.repeats:
            checks.append(_column(facts, rows, left) == _column(facts, rows, right))
        return None if all(check.all() for check in checks) else np.logical_and.reduce(checks)


def _column(facts: Facts, rows: Rows, place: int) -> Ids:
    if place == 4:
        return np.full(len(rows), TRUE, np.int64)
    return (facts.e, facts.a, facts.v, facts.t)[place][rows]


class Test:
    """A predicate, on so few rows that each is asked by itself."""

    def __init__(self, clause: Apply, step: Step) -> None:
        self.step = step
        self.arguments = clause.arguments
        self.name = clause.function
        self.function = FUNCTIONS[clause.function]
        self.ids = [intern(t.value) if isinstance(t, Constant) else t for t in self.arguments]
        plain = len(self.ids) == 2 and any(is_variable(term) for term in self.ids)
        self.compare = COMPARE.get(clause.function) if plain else None

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows for which it holds."""
        if relation.count > FEW_ROWS:
            return self.step.execute(relation, transaction.meter)
        terms = self.arguments
        if self.compare is not None:
            left, right = (relation.columns[t] if isinstance(t, Symbol) else t for t in self.ids)
            if _all_even(left) and _all_even(right):
                return _kept(relation, self.compare(left, right))
        columns = [
            [term.value] * relation.count
            if isinstance(term, Constant)
            else values_of(relation.columns[term])
            for term in terms
        ]
        try:
            held = [self.function(*row) for row in zip(*columns, strict=True)]
        except Exception:
            return self.step.execute(relation, transaction.meter)  # which says what is wrong
        return _kept(relation, np.array([one is not None and one is not False for one in held]))


def _all_even(ids: Ids | int) -> bool:
    """Return whether ids are those of small integers, whose order is that of the integers."""
    return not (ids if isinstance(ids, int) else int(np.bitwise_or.reduce(ids))) & 1


def _kept(relation: Relation, mask: Mask) -> Relation:
    return relation if mask.all() else relation.take(mask)


def is_test(clause: Clause) -> bool:
    """Return whether a clause is a predicate that can be asked row by row."""
    if not isinstance(clause, Apply) or clause.binding is not None:
        return False
    return clause.function in FUNCTIONS and bool(clause.arguments)


Operator = Steady | Given | Sided | Probe | Test
