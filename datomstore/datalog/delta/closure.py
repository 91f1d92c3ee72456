"""What follows from new facts, where rules are recursive.

Is:     the rows of the rules that a query calls, and its own, kept and grown by what new facts add.
Is not: for facts that go: a row that loses a derivation may have others, and whoever keeps this begins anew.
Fits:   `follow` has one for a query of rules without negation, from a transaction that only adds facts to the next.
Source: semi-naive evaluation, begun with the new facts; Gupta, Mumick and Subrahmanian: what is only added to needs no count.

Each body of a rule, and of the query, is joined from every clause that has new rows: first the patterns, from the
transaction's facts, then, round by round, the calls, from the rows that the round before has found. The other clauses are
as they are now. A row that is found again is not new, so rounds end when nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from datomstore.database import Database
from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter, Overrun
from datomstore.datalog.builtins import SOURCE_FUNCTIONS
from datomstore.datalog.check import Program, bind
from datomstore.datalog.delta.bodies import Body, Inside, Row
from datomstore.datalog.delta.refusal import NotTold
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.delta.view import View
from datomstore.datalog.delta.ways import SIGN, Leg
from datomstore.datalog.plan import Part, Stored
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import Source, source_of
from datomstore.datalog.steps import run
from datomstore.datalog.syntax import Apply, Call, Constant, Not, Term, is_variable
from datomstore.intern import Ids, intern
from datomstore.value import Symbol

Key = tuple[str, Symbol]  # a rule, and the source it reads


class Closure(View):
    """A query's rows, and those of the rules it calls, for as long as facts are only added.

    Args:
        rows_max: rows that may be made to find all there are, and again for each transaction.

    Raises:
        NotTold: there is more to the query than joins of facts and rules, or its rules have too many rows.
    """

    def __init__(
        self,
        program: Program,
        outs: Sequence[Symbol],
        inputs: Relation,
        others: dict[Symbol, Source],
        database: Database,
        meter: Meter,
        rows_max: int,
    ) -> None:
        self._tables: dict[Key, Table] = {}
        self._rows_max = rows_max
        super().__init__(program, outs, inputs, others, database)
        self._source = source_of(database)
        self._answers = Table(len(self.outs))
        bodies = [_Derived(self, body, self._answers, self.stored) for body in self.bodies]
        self._bodies = [*self._of_rules(), *bodies]
        self._source = None
        with self._bounded(meter):
            self._fill(Transaction(database, database, frozenset(), meter), bodies)
        self._planned = None

    @contextmanager
    def _bounded(self, meter: Meter) -> Iterator[None]:
        try:
            with meter.within(self._rows_max):
                yield
        except Overrun:
            raise NotTold("its rules have too many rows") from None

    def rule(self, name: str, source: Symbol) -> Inside | None:
        """Keep the rows of a rule; there is nothing inside of it to look at."""
        key = (name, source)
        if key not in self._tables:
            parameters = self.program.rules[name][0].parameters
            if not parameters:
                raise NotTold(f"rule {name} has no parameters")
            self._tables[key] = Table(len(parameters))
        return None

    def table(self, call: Call) -> Table:
        """Return the rows of the rule that is called."""
        return self._tables[call.name, call.source]

    def _of_rules(self) -> list[_Derived]:
        """Return the bodies of all rules that are called, from rules as well."""
        made: list[_Derived] = []
        done: set[Key] = set()
        while len(done) < len(self._tables):
            key = next(key for key in self._tables if key not in done)
            done.add(key)
            outs, bodies = self.unfolder.rule_bodies(*key)
            for clauses in bodies:
                if bind(clauses, set(), self.program.required, set(outs))[1]:
                    raise NotTold("a rule must be told arguments")
                made.append(_Derived(self, Body(self, clauses, outs), self._tables[key], ()))
        return made

    def _fill(self, moment: Transaction, bodies: Sequence[_Derived]) -> None:
        """Find all rows there are."""
        planner = self.planner(moment, before=False)
        for (name, source), table in self._tables.items():
            rule = self.program.rules[name][0]
            outs = frozenset(rule.parameters)
            call = Call(source, name, rule.parameters, rule.form)
            found = run(
                planner.steps([call], frozenset(), outs, outs), Relation.unit(), moment.meter
            )
            _put(table, rule.parameters, found)
        for body in bodies:
            body.derive(None, Relation.unit(), moment)

    def rows(self) -> list[Row]:
        """Return all rows of the query."""
        return _rows(self._answers, 0)

    def grow(self, transaction: Transaction) -> list[Row]:
        """Return the rows that a transaction adds, all of whose facts are new.

        Raises:
            QueryError, NotTold: some rows may be missing from then on.
        """
        before = self._answers.count
        with self._bounded(transaction.meter):
            self._derive(transaction)
        self._planned = None  # nothing keeps the database value
        return _rows(self._answers, before)

    def _derive(self, transaction: Transaction) -> None:
        """Derive from the new facts, and then from what has been derived, until nothing is new."""
        read = {key: table.count for key, table in self._tables.items()}
        for body in self._bodies:
            body.from_facts(transaction)
        rounds = 0
        while True:
            fresh = {
                key: (read[key], table.count)
                for key, table in self._tables.items()
                if table.count > read[key]
            }
            if not fresh:
                break
            rounds += 1
            transaction.meter.turn(rounds, None)
            for body in self._bodies:
                body.from_calls(fresh, transaction)
            read.update((key, end) for key, (_, end) in fresh.items())


class _Derived:
    """A body, and the table that has its rows."""

    def __init__(self, closure: Closure, body: Body, head: Table, given: Sequence[Stored]) -> None:
        self._closure = closure
        self._body = body
        self._head = head
        self._given = list(given)
        self._parts: list[Part] = []
        self._ways: dict[int | None, list[Leg]] = {}
        for clause in body.clauses:
            if isinstance(clause, Not):
                raise NotTold("a not may lose what a new fact adds")
            if isinstance(clause, Apply) and clause.function in SOURCE_FUNCTIONS:
                raise NotTold(f"{clause.function} may lose what a new fact adds")
            if isinstance(clause, Call):
                self._parts.append(Stored(closure.table(clause), clause.arguments, clause.form))
            else:
                self._parts.append(clause)

    def from_facts(self, transaction: Transaction) -> None:
        """Derive what new facts come to."""
        for place, start in self._body.changed_patterns(transaction):
            del start.columns[SIGN]
            self.derive(place, start, transaction)

    def from_calls(self, fresh: dict[Key, tuple[int, int]], transaction: Transaction) -> None:
        """Derive what the new rows of rules come to."""
        for place, clause in enumerate(self._body.clauses):
            if isinstance(clause, Call) and (clause.name, clause.source) in fresh:
                low, high = fresh[clause.name, clause.source]
                table = self._closure.table(clause)
                columns = [table.column(n)[low:high].copy() for n in range(len(clause.arguments))]
                start = _matched(clause.arguments, columns, high - low)
                if start.count:
                    self.derive(place, start, transaction)

    def derive(self, place: int | None, start: Relation, transaction: Transaction) -> None:
        """Join rows of one clause, or of none, with all others."""
        way = self._ways.get(place)
        if way is None:
            rest = [*self._given, *(part for at, part in enumerate(self._parts) if at != place)]
            way = self._ways[place] = self._body.way(rest, frozenset(start.columns), transaction)
        for leg in way:
            start = leg.go(start, transaction, before=False)
        _put(self._head, self._body.outs, start)


def _put(table: Table, names: Sequence[Symbol], found: Relation) -> None:
    if found.count:
        table.add([np.array(found.columns[name]) for name in names], found.count)


def _rows(table: Table, start: int) -> list[Row]:
    columns = [table.column(place)[start:].tolist() for place in range(table.arity)]
    return list(zip(*columns, strict=True))


def _matched(terms: Sequence[Term], columns: Sequence[Ids], count: int) -> Relation:
    """Return the rows that agree with the terms of a call, over its variables."""
    made: dict[Symbol, Ids] = {}
    checks: list[NDArray[np.bool_]] = []
    for term, column in zip(terms, columns, strict=True):
        if isinstance(term, Constant):
            checks.append(column == intern(term.value))
        elif is_variable(term) and term in made:
            checks.append(column == made[term])
        elif is_variable(term):
            made[term] = column
    relation = Relation(made, count)
    return relation.take(np.logical_and.reduce(checks)) if checks else relation
