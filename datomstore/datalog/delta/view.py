"""A query's rows over some variables, as what transactions add to them and take away.

Is:     the bodies of a query together, and what they share: sources, inputs, rules that stay calls.
Is not: one body's changes (`bodies`).
Fits:   `follow` makes one for a followed query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datomstore._index import Walks
from datomstore.database import Database
from datomstore.datalog._columns import Counts
from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter
from datomstore.datalog.check import Program, bind
from datomstore.datalog.delta.bodies import Body, Derivations, Inside
from datomstore.datalog.delta.dependence import determined
from datomstore.datalog.delta.joins import Constants
from datomstore.datalog.delta.refusal import NotTold
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.limits import PLAN_GROWTH
from datomstore.datalog.plan import Planner, Stored
from datomstore.datalog.relation import Relation
from datomstore.datalog.rules import Evaluation
from datomstore.datalog.sources import TRUE, DatabaseSource, Source, source_of
from datomstore.datalog.syntax import DEFAULT_SOURCE, Clause, Constant, Pattern
from datomstore.datalog.unfold import Unfolder
from datomstore.intern import intern
from datomstore.value import Symbol

if TYPE_CHECKING:
    from datomstore.schema import Schema


class View:
    """A query's rows over some variables, as what a transaction adds to them and takes away.

    Args:
        inputs: the rows of the query's inputs.
        others: the sources but `$`.

    Raises:
        QueryError: a lookup ref of an attribute that is not unique.
    """

    def __init__(
        self,
        program: Program,
        outs: Sequence[Symbol],
        inputs: Relation,
        others: dict[Symbol, Source],
        database: Database,
    ) -> None:
        self.program = program
        self.schema = database.schema
        self.outs = list(outs)
        self.others = others
        self.unfolder = Unfolder(program)
        self.inputs = inputs.distinct(sorted(inputs.columns))
        self.stored: list[Stored] = []
        self._rules: dict[tuple[str, Symbol], Inside] = {}
        names = sorted(inputs.columns)
        if names:
            table = Table.of([self.inputs.columns[name] for name in names], self.inputs.count)
            self.stored.append(Stored(table, tuple(names), None))
        self.insides: list[Inside] = []
        self._source: Source | None = source_of(database)
        bodies = self.unfolder.bodies(program.where, {*outs, *inputs.columns})
        for body in bodies:
            if bind(body, set(inputs.columns), program.required, set(outs))[1]:
                raise NotTold("a rule must be told arguments")
        self.bodies = [Body(self, body, outs) for body in bodies]
        self._source = None  # it keeps much that no change looks at
        self.once = len(bodies) == 1 and self._tells(self.bodies[0], self.schema)
        self._planned_for = database.count_rows
        self._has_walks = False  # whether it is known if there are any
        self._walks: Walks | None = None  # from all clauses that can change
        self._form = program.where[0].form if program.where else None
        self._planned: Transaction | None = None
        self._planners: dict[bool, Planner] = {}

    def rule(self, name: str, source: Symbol) -> Inside | None:
        """Return the bodies of a rule over some source."""
        found = self._rules.get((name, source))
        if found is None:
            found = Inside(self, *self.unfolder.rule_bodies(name, source))
            self._rules[name, source] = found
        return found

    def constants(self, clause: Clause) -> Constants:
        """Return the ids of a pattern's constants, which may be no fact's yet; None: no fact can ever match."""
        assert isinstance(clause, Pattern), clause
        for term in clause.terms:
            if isinstance(term, Constant):
                intern(term.value)
        assert isinstance(self._source, DatabaseSource), "a stream's"
        key = self._source.key_of(clause)
        return None if key is None or key[4] not in (None, TRUE) else key

    def counts(self, database: Database, meter: Meter, *, cautious: bool = False) -> Counts:
        """Return how many derivations each row has. Raises QueryError, NotTold if they are too many."""
        moment = Transaction(database, database, frozenset(), meter, cautious=cautious)
        made = Counts(len(self.outs))
        for body in self.bodies:
            body.counts(moment, made)
        self._planned = None
        return made

    def planner(self, transaction: Transaction, *, before: bool) -> Planner:
        """Return what plans and answers clauses on one side of a transaction."""
        if self._planned is not transaction:
            self._planned = transaction
            self._planners = {}
        found = self._planners.get(before)
        if found is None:
            database = transaction.before if before else transaction.after
            sources = {**self.others, DEFAULT_SOURCE: source_of(database)}
            meter, cautious = transaction.meter, transaction.cautious
            evaluation = Evaluation(self.program, sources, meter, cautious=cautious)
            found = self._planners[before] = Planner(evaluation, DEFAULT_SOURCE)
        return found

    def changes(self, transaction: Transaction) -> Derivations:
        """Return how many derivations more or fewer each row has, of those of which a transaction changes any."""
        if transaction.end > PLAN_GROWTH * self._planned_for:
            self._forget(transaction.end)
        if not self._has_walks:
            self._find_walks(transaction)
        if self._walks is not None and transaction.is_small:
            found = transaction.after.changes(self._walks, transaction.start)
            transaction.meter.spend(self._walks.made, self._form)
            if found is not None:
                return found
        net: Derivations = {}
        for body in self.bodies:
            body.changes(transaction, net)
        self._planned = None  # nothing keeps the database values
        for inside in self.insides:
            inside.found = None
        return net

    def _forget(self, rows: int) -> None:
        """Drop what is planned: there are many more rows now."""
        self._planned_for = rows
        self._has_walks = False
        for flat in (*self.bodies, *(flat for inside in self.insides for flat in inside.flats)):
            flat.forget()

    def _find_walks(self, transaction: Transaction) -> None:
        """Have all ways compiled, and keep the walks if they are all there is to ask."""
        self._has_walks = True
        parts = [body.walks(transaction) for body in self.bodies]
        walks = [walk for part in parts for walk in part or ()]
        self._walks = None if None in parts else Walks(walks)
        self._planned = None

    def _tells(self, body: Body, schema: Schema) -> bool:
        """Return whether a row has one derivation at most: all variables follow from it."""
        known = set(self.outs)
        if self.inputs.count <= 1:
            known |= self.inputs.columns.keys()
        return body.names <= determined(body.clauses, known, schema)
