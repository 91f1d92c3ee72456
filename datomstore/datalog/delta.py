"""What a transaction changes in the rows of a body, from its datoms alone.

Is:     for each clause, the rows that its new or lost facts take part in; then which of these are answers before and
        after.
Is not: recursion, aggregates or pulls: `incremental` tells which queries it is for.
Fits:   `follow` asks it after every transaction.
Source: counting-free variant of Gupta, Mumick and Subrahmanian, Maintaining views incrementally.

A row that is new has a derivation after the transaction that uses an added fact, or lacks one that a retracted fact
took from a `not`; a row that is lost had one before. So the derivations through each changed fact are found, the other
clauses read from the database on that side, and only their rows are asked for on both sides. Too many candidates cost
time, never an answer; so a clause that cannot be answered without its surroundings may be left out on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from datomstore.database import Database
from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter
from datomstore.datalog.builtins import SOURCE_FUNCTIONS
from datomstore.datalog.check import Program, bind, shared_variables
from datomstore.datalog.plan import Part, Planner, Stored, blanked
from datomstore.datalog.relation import Relation
from datomstore.datalog.rules import Evaluation
from datomstore.datalog.sources import FALSE, TRUE, Source, source_of
from datomstore.datalog.steps import LookUp, run
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Aggregate,
    Apply,
    Call,
    Clause,
    Constant,
    Not,
    Pattern,
    Pull,
    Query,
    Term,
    is_variable,
)
from datomstore.intern import Ids, intern, intern_many
from datomstore.schema import Schema
from datomstore.transaction import TxReport
from datomstore.value import Keyword, Symbol

Row = tuple[int, ...]
READS = frozenset(
    {"get-else", "get-some", "missing?"}
)  # functions whose change is known by the entity they are asked


def incremental(query: Query, program: Program, schema: Schema) -> bool:
    """Return whether the changes of a query can be told from the changed facts."""
    if any(isinstance(element, (Aggregate, Pull)) for element in query.find):
        return False
    if program.recursive or any(program.required.values()):
        return False
    return all(_simple(clause, body, schema) for body in _bodies(program) for clause in body)


def _bodies(program: Program) -> list[Sequence[Clause]]:
    return [program.where, *(rule.body for rules in program.rules.values() for rule in rules)]


def _simple(clause: Clause, body: Sequence[Clause], schema: Schema) -> bool:
    if isinstance(clause, Not):
        return all(_simple(part, [*clause.body, *body], schema) for part in clause.body)
    if isinstance(clause, Pattern):
        return not _names_entities(clause, schema)
    if isinstance(clause, Apply) and clause.function in SOURCE_FUNCTIONS:
        entity = clause.arguments[1] if len(clause.arguments) > 1 else None
        found = any(isinstance(part, Pattern) and part.terms[0] is entity for part in body)
        return clause.function in READS and found and is_variable(entity)
    return True


def _names_entities(clause: Pattern, schema: Schema) -> bool:
    """Return whether an ident or lookup ref stands in a pattern: it may name another entity after a transaction."""
    for place, term in enumerate(clause.terms):
        if isinstance(term, Constant) and isinstance(term.value, (Keyword, tuple)):
            if place in (0, 3):
                return True
            attribute = clause.terms[1]
            if place == 2 and isinstance(attribute, Constant):
                name = attribute.value
                return isinstance(name, Keyword) and schema[name].is_ref
    return False


def attributes_read(program: Program, schema: Schema) -> frozenset[int] | None:
    """Return the ids of the attributes on which answers can depend, None if that is any."""
    found: set[int] = set()
    waiting = [clause for body in _bodies(program) for clause in body]
    while waiting:
        clause = waiting.pop()
        terms: Sequence[Term] = ()
        if isinstance(clause, Not):
            waiting.extend(clause.body)
        elif isinstance(clause, Pattern):
            terms = clause.terms[1:2] or (BLANK,)
            if _names_entities(clause, schema):
                return None
        elif isinstance(clause, Apply) and clause.function in SOURCE_FUNCTIONS:
            terms = _attributes_of(clause)
        for term in terms:
            if not isinstance(term, Constant):
                return None
            found.add(intern(term.value))
    return frozenset(found)


def _attributes_of(clause: Apply) -> Sequence[Term]:
    """Return the attributes that a function reads."""
    if clause.function == "get-some":
        return clause.arguments[2:]
    return clause.arguments[2:3] if clause.function in READS else clause.arguments[1:2]


class Delta:
    """The changes of one transaction, seen by one program.

    Args:
        others: the sources but `$`.
        inputs: the rows of the query's inputs.
    """

    def __init__(
        self,
        program: Program,
        others: dict[Symbol, Source],
        inputs: Relation,
        report: TxReport,
        meter: Meter,
    ) -> None:
        self.program = program
        self.meter = meter
        self.report = report
        self._others = others
        names = sorted(inputs.columns)
        self._inputs: list[Stored] = []
        if names:
            table = Table.of([inputs.columns[name] for name in names], inputs.count)
            self._inputs.append(Stored(table, tuple(names), None))
        self._after = self._evaluation(report.db_after)
        self._before = self._evaluation(report.db_before)
        self._facts = {added: self._changed(added=added) for added in (True, False)}

    def _evaluation(self, database: Database) -> Evaluation:
        sources = {**self._others, DEFAULT_SOURCE: source_of(database)}
        return Evaluation(self.program, sources, self.meter)

    def _changed(self, *, added: bool) -> list[Ids]:
        datoms = [datom for datom in self.report.datoms if datom.added is added]
        return [
            np.array([datom.e << 1 for datom in datoms], np.int64),
            intern_many(datom.a for datom in datoms),
            intern_many(datom.v for datom in datoms),
            np.array([datom.tx << 1 for datom in datoms], np.int64),
            np.full(len(datoms), TRUE if added else FALSE, np.int64),
        ]

    # -- the whole --

    def changes(self, names: Sequence[Symbol]) -> tuple[set[Row], set[Row]]:
        """Return the rows over some variables that are answers now and were none, and the other way round."""
        outs = list(dict.fromkeys(names))
        found = Table(len(outs))
        for gain in (True, False):
            for rows in self._derived(self.program.where, outs, DEFAULT_SOURCE, gain, self._inputs):
                if not rows.count:
                    continue
                if not rows.columns.keys() >= set(outs):
                    raise NotTold
                found.add([rows.columns[name] for name in outs], rows.count)
        if not found.count:
            return set(), set()
        asked = Relation(
            {name: found.column(place) for place, name in enumerate(outs)}, found.count
        )
        now, was = self._answers(self._after, asked, outs), self._answers(self._before, asked, outs)
        places = [outs.index(name) for name in names]
        new, lost = now - was, was - now
        return (
            {tuple(row[place] for place in places) for row in new},
            {tuple(row[place] for place in places) for row in lost},
        )

    def _answers(self, evaluation: Evaluation, asked: Relation, outs: Sequence[Symbol]) -> set[Row]:
        body = [*self._inputs, *self.program.where]
        found = self._run(Planner(evaluation, DEFAULT_SOURCE), body, asked, outs)
        if not found.count:
            return set()
        distinct = found.distinct(outs)
        return set(zip(*(distinct.columns[name].tolist() for name in outs), strict=True))

    # -- one body --

    def _derived(
        self,
        body: Sequence[Clause],
        outs: Collection[Symbol],
        source: Symbol,
        gain: bool,
        given: Sequence[Stored] = (),
    ) -> Iterator[Relation]:
        """Yield the rows that may be derived through a fact that is new, or was lost; of `outs` those that are bound."""
        planner = Planner(self._after if gain else self._before, source)
        for place, clause in enumerate(body):
            start = self._start(planner, clause, body, outs, gain)
            if start is None or not start.count:
                continue
            rest = list(body) if isinstance(clause, Apply) else [*body[:place], *body[place + 1 :]]
            inputs = {name for part in given for name in part.terms if is_variable(name)}
            bound = {*start.columns, *inputs}
            reached, stuck = bind(rest, bound, self.program.required, {*outs, *bound})
            # Without what is stuck, a `not` would have fewer variables in common with it and forbid more.
            kept = [part for part in rest if part not in stuck and not (stuck and _negates(part))]
            parts: list[Part] = [*given, *kept]
            wanted = [name for name in outs if name in reached]
            yield self._run(planner, parts, start, wanted)

    def _run(
        self, planner: Planner, body: Sequence[Part], start: Relation, outs: Sequence[Symbol]
    ) -> Relation:
        visible = {*outs, *start.columns}
        ordered = planner.order(body, start.columns, visible)
        steps = planner.steps(ordered, start.columns, outs, visible)
        found = run(steps, start, self.meter)
        return found.keep(outs) if found.count else Relation({}, 0)

    def _start(
        self,
        planner: Planner,
        clause: Clause,
        body: Sequence[Clause],
        outs: Collection[Symbol],
        gain: bool,
    ) -> Relation | None:
        """Return the rows of one clause's variables that its changed facts give."""
        if isinstance(clause, Pattern):
            return self._facts_of(planner, clause, gain)
        if isinstance(clause, Call):
            return self._calls_of(planner, clause, gain)
        if isinstance(clause, Not):
            return self._freed(planner, clause, body, outs, gain)
        if isinstance(clause, Apply) and clause.function in READS:
            return self._entities_of(planner, clause)
        return None

    def _facts_of(self, planner: Planner, clause: Pattern, gain: bool) -> Relation | None:
        if not _followed(planner, clause.source):
            return None
        key = planner.find(clause.source, clause.form).key_of(clause)
        columns = self._facts[gain]
        if key is None or not len(columns[0]):
            return None
        keep = np.ones(len(columns[0]), np.bool_)
        for column, wanted in zip(columns, key, strict=True):
            if wanted is not None:
                keep &= column == wanted
        if not keep.any():
            return None
        table = Table.of([column[keep] for column in columns])
        terms = blanked(clause.terms)
        return self._looked_up(table, terms, clause)

    def _calls_of(self, planner: Planner, clause: Call, gain: bool) -> Relation | None:
        rules = self.program.rules[clause.name]
        table = Table(len(clause.arguments))
        source = planner.source_of(clause)
        for rule in rules:
            for rows in self._derived(rule.body, rule.parameters, source, gain):
                if rows.count:
                    if not rows.columns.keys() >= set(rule.parameters):
                        raise NotTold
                    table.add([rows.columns[name] for name in rule.parameters], rows.count)
        return self._looked_up(table, clause.arguments, clause) if table.count else None

    def _freed(
        self,
        planner: Planner,
        clause: Not,
        body: Sequence[Clause],
        outs: Collection[Symbol],
        gain: bool,
    ) -> Relation | None:
        """Return what a `not` no longer forbids, or forbids from now on."""
        shared = sorted(shared_variables(clause, body, outs))
        tables: dict[tuple[Symbol, ...], Table] = {}
        for rows in self._derived(clause.body, shared, planner.source, not gain):
            names = tuple(name for name in shared if name in rows.columns)
            if rows.count:
                table = tables.setdefault(names, Table(len(names)))
                table.add([rows.columns[name] for name in names], rows.count)
        if not tables:
            return None
        names = min(tables, key=len)  # the fewest names are the most rows
        if len(tables) == 1:
            return Relation(
                {n: tables[names].column(i) for i, n in enumerate(names)}, tables[names].count
            )
        common = [name for name in names if all(name in other for other in tables)]
        if not common:
            return Relation.unit()
        whole = Table(len(common))
        for others, table in tables.items():
            columns = [table.column(others.index(name)) for name in common]
            whole.add(columns, table.count)
        return Relation({n: whole.column(i) for i, n in enumerate(common)}, whole.count)

    def _entities_of(self, planner: Planner, clause: Apply) -> Relation | None:
        """Return the entities whose attributes a function reads that have changed."""
        source, entity = clause.arguments[0], clause.arguments[1]
        assert isinstance(source, Symbol), source
        assert isinstance(entity, Symbol), entity
        if not _followed(planner, source):
            return None
        read = _attributes_of(clause)
        wanted = [intern(term.value) for term in read if isinstance(term, Constant)]
        found: set[int] = set()
        for e, a, *_ in self._facts.values():
            keep = np.isin(a, wanted) if len(wanted) == len(read) else np.ones(len(a), np.bool_)
            found.update(e[keep].tolist())
        return Relation({entity: np.array(sorted(found), np.int64)}, len(found)) if found else None

    def _looked_up(self, table: Table, terms: Sequence[Term], clause: Clause) -> Relation:
        keep = frozenset(term for term in terms if is_variable(term))
        step = LookUp(lambda: table, terms, clause.form, keep)
        return step.execute(Relation.unit(), self.meter)


class NotTold(Exception):
    """The changed facts alone do not tell which answers may have changed."""


def _negates(clause: Clause) -> bool:
    return isinstance(clause, Not)


def _followed(planner: Planner, source: Symbol) -> bool:
    return (planner.source if source is DEFAULT_SOURCE else source) is DEFAULT_SOURCE
