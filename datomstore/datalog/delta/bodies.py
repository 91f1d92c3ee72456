"""What a transaction changes in the rows of one body.

Is:     the sum over the body's clauses: the change of each, joined with the others before and after it.
Is not: the joins (`joins`), nor what bodies of a query come to together (`view`).
Fits:   a View has one for each flat body, and one for each body inside of a `not` or of a rule that stays a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from datomstore.datalog._columns import Counts
from datomstore.datalog._kernel import Table
from datomstore.datalog.check import bind, produces
from datomstore.datalog.delta.dependence import is_flat
from datomstore.datalog.delta.joins import Given, Operator, Probe, Sided, Steady, Test, is_test
from datomstore.datalog.delta.reads import Attributes, attributes_of, attributes_read
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.delta.walks import Compiled, compiled
from datomstore.datalog.delta.ways import SIGN, Leg, summed
from datomstore.datalog.limits import SUMMED_ROWS_MIN
from datomstore.datalog.plan import Part, Planner, Stored
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import TRUE
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Apply,
    Call,
    Clause,
    Constant,
    Not,
    Pattern,
    all_variables,
    is_variable,
    positive_variables,
)
from datomstore.intern import Ids, intern
from datomstore.value import Symbol

if TYPE_CHECKING:
    from datomstore._index import Walk
    from datomstore.datalog.delta.view import View

Row = tuple[int, ...]
Derivations = dict[Row, int]


class _Read:
    """One clause of a body that a transaction can change."""

    def __init__(self, place: int, clause: Clause, attributes: Attributes) -> None:
        self.place = place
        self.clause = clause
        self.attributes = attributes
        self.inside: Inside | None = None  # of a `not` or a call
        self.ways: dict[frozenset[Symbol], list[Leg]] = {}
        self.way: list[Leg] | None = None  # of a pattern's facts
        self.walk: Compiled | None = None  # the same, where rows are few


class Body:
    """A body without calls that could be unfolded.

    Args:
        outs: the variables that are wanted of it.
    """

    def __init__(self, view: View, clauses: Sequence[Clause], outs: Iterable[Symbol]) -> None:
        self.view = view
        self.clauses = clauses
        self.outs = list(dict.fromkeys(outs))
        names = {name for clause in clauses for name in positive_variables(clause)}
        self.names = frozenset({*names, *self.outs, *view.inputs.columns})
        self.kept = self.names | {SIGN}
        self.wanted = frozenset(self.outs)
        self.constants = [
            view.constants(clause) if is_followed(clause) else None for clause in clauses
        ]
        self.reads: list[_Read] = []
        self.attributes: list[Attributes] = []
        for place, clause in enumerate(clauses):
            attributes = attributes_read(view.program, [clause])
            self.attributes.append(attributes)
            if attributes is None or attributes:
                read = _Read(place, clause, attributes)
                self.reads.append(read)
                if isinstance(clause, Not):
                    shared = clause.variables or ()
                    read.inside = Inside(view, shared, view.unfolder.bodies(clause.body, shared))
                elif isinstance(clause, Call):
                    read.inside = view.rule(clause.name, clause.source)

    def forget(self) -> None:
        """Drop what is planned."""
        for read in self.reads:
            read.ways.clear()
            read.way = read.walk = None

    # -- the whole --

    def counts(self, moment: Transaction, counts: Counts) -> None:
        """Add the derivations of every row of `outs` in one database."""
        way = self.way([*self.view.stored, *self.clauses], frozenset(), moment)
        relation = Relation({SIGN: np.ones(1, np.int64)}, 1)
        for leg in way:
            relation = leg.go(relation, moment, before=False)
        if relation.count:
            columns = [relation.columns[name] for name in self.outs]
            goes = counts.add(columns, relation.columns[SIGN])
            assert goes, "nothing is taken away"

    # -- changes --

    def changes(self, transaction: Transaction, net: Derivations) -> None:
        """Add what a transaction does to the derivations of each row of `outs`."""
        for read in self.reads:
            if not transaction.touches(read.attributes):
                continue
            if isinstance(read.clause, Pattern):
                self._of_pattern(read, read.clause, transaction, net)
                continue
            concerned = self._concerned(read, transaction)
            if concerned is None:
                continue
            way = self._way_from(read, frozenset(concerned.columns), transaction, itself=True)
            for before in (False, True):
                sign = np.full(concerned.count, -1 if before else 1, np.int64)
                start = Relation({**concerned.columns, SIGN: sign}, concerned.count)
                self._count(self._joined(read, start, way, transaction, itself_before=before), net)

    def _of_pattern(
        self, read: _Read, clause: Pattern, transaction: Transaction, net: Derivations
    ) -> None:
        """Add what the facts of a pattern do."""
        if self.constants[read.place] is None:
            return  # no fact can match
        way = self._way_of(read, clause, transaction)
        if read.walk is not None and transaction.is_small:
            found = read.walk.rows(transaction)
            if found is not None:
                self._count(self._joined(read, found, read.walk.rest, transaction), net)
                return
        start = self._facts(read, transaction)
        if start is not None:
            self._count(self._joined(read, start, way, transaction), net)

    def walks(self, transaction: Transaction) -> list[Walk] | None:
        """Return the walks from all clauses that can change, None if these are not all there is."""
        made: list[Walk] = []
        for read in self.reads:
            if not isinstance(read.clause, Pattern):
                return None
            if self.constants[read.place] is None:
                continue  # no fact can match
            self._way_of(read, read.clause, transaction)
            if read.walk is None or read.walk.rest:
                return None
            made.append(read.walk.walk)
        return made

    def _count(self, found: Relation, net: Derivations) -> None:
        if not found.count:
            return
        if found.count > SUMMED_ROWS_MIN:
            found = summed(found, self.wanted)
        signs: list[int] = found.columns[SIGN].tolist()
        columns = [found.columns[name].tolist() for name in self.outs]
        rows = zip(*columns, strict=True) if columns else [()] * found.count
        for row, sign in zip(rows, signs, strict=True):
            net[row] = net.get(row, 0) + sign

    def _joined(
        self,
        read: _Read,
        start: Relation,
        way: Sequence[Leg],
        transaction: Transaction,
        *,
        itself_before: bool = False,
    ) -> Relation:
        """Return the rows joined with other clauses, those behind this one as they were; with itself on a side."""
        relation = start
        for leg in way:
            before = leg.place > read.place and transaction.touches(self.attributes[leg.place])
            if leg.place == read.place:
                before = itself_before
            relation = leg.go(relation, transaction, before=before)
        return relation

    def _way_of(self, read: _Read, clause: Pattern, transaction: Transaction) -> list[Leg]:
        """Return the way from a pattern's facts, and have it compiled."""
        if read.way is None:
            names = frozenset(filter(is_variable, clause.terms))
            read.way = way = self._way_from(read, names, transaction, itself=False)
            ids, needed = self.constants[read.place], self._needed(way, 0)
            read.walk = compiled(clause, ids, read.place, way, needed, self.outs)
        return read.way

    def _way_from(
        self, read: _Read, names: frozenset[Symbol], transaction: Transaction, *, itself: bool
    ) -> list[Leg]:
        """Return the joins with the other clauses, and with itself if that is asked for; planned once."""
        way = read.ways.get(names)
        if way is None:
            rest: list[Part] = [*self.view.stored, *self.clauses]
            if not itself:
                rest.remove(read.clause)
            way = read.ways[names] = self.way(rest, names, transaction)
        return way

    def way(
        self, parts: Sequence[Part], names: frozenset[Symbol], transaction: Transaction
    ) -> list[Leg]:
        """Return the joins with some clauses in the order that is best from here."""
        planner = self.view.planner(transaction, before=False)
        way: list[Leg] = []
        for part in planner.order(parts, names, self.names):
            if isinstance(part, Stored):
                way.append(Leg(-1, Given(part, self.kept), repeats=False))
                names |= {term for term in part.terms if is_variable(term)}
            else:
                place = self.clauses.index(part)
                operator = self._operator(part, place, names, planner)
                way.append(Leg(place, operator, repeats=_may_repeat(part)))
                names |= produces(part)
        for number, leg in enumerate(way):
            leg.needed = self._needed(way, number + 1)
        return way

    def _needed(self, way: Sequence[Leg], number: int) -> frozenset[Symbol]:
        """Return the variables that are wanted, or looked at by the joins of a way from one on."""
        needed = self.wanted
        for leg in way[number:]:
            if isinstance(leg.operator, Given):
                needed |= set(filter(is_variable, leg.operator.terms))
            else:
                needed |= all_variables(self.clauses[leg.place])
        return needed

    def _operator(
        self, clause: Clause, place: int, names: frozenset[Symbol], planner: Planner
    ) -> Operator:
        attributes = self.attributes[place]
        if is_followed(clause):
            assert isinstance(clause, Pattern), clause
            return Probe(clause, self.constants[place], names)
        if attributes is not None and not attributes and not isinstance(clause, (Not, Call)):
            (step,) = planner.steps([clause], names, self.kept, self.kept)
            if isinstance(clause, Apply) and is_test(clause):
                return Test(clause, step)
            return Steady(step)
        return Sided(self.view, clause, names, self.kept)

    # -- where changes begin --

    def _facts(self, read: _Read, transaction: Transaction) -> Relation | None:
        """Return the transaction's facts that match a pattern, with their signs."""
        clause, constants = read.clause, self.constants[read.place]
        assert isinstance(clause, Pattern), clause
        if constants is None:
            return None
        terms = clause.terms
        rows = transaction.of_attribute(constants[1])
        if not len(rows):
            return None
        e, a, v, signs = transaction.columns
        columns: dict[int, Ids] = {0: e[rows], 2: v[rows]}
        if constants[1] is None:
            columns[1] = a[rows]
        if len(terms) > 3 and terms[3] is not BLANK:
            columns[3] = transaction.t[rows]
        if len(terms) > 4:
            columns[4] = np.full(len(rows), TRUE, np.int64)
        made: dict[Symbol, Ids] = {SIGN: signs[rows]}
        relation = Relation(made, len(rows))
        checks: list[np.ndarray[tuple[int], np.dtype[np.bool_]]] = []
        for place, column in columns.items():
            term, wanted = terms[place], constants[place]
            if wanted is not None:
                checks.append(column == wanted)
            elif is_variable(term):
                if term in made:
                    checks.append(column == made[term])
                else:
                    made[term] = column
        if checks:
            relation = relation.take(np.logical_and.reduce(checks))
        return relation if relation.count else None

    def _concerned(self, read: _Read, transaction: Transaction) -> Relation | None:
        """Return rows over some variables of a clause, all for which it may have changed among them."""
        clause, inside = read.clause, read.inside
        if isinstance(clause, Apply):
            return _entities_of(clause, transaction)
        assert inside is not None, clause
        found = inside.concerned(transaction)
        if found is None or isinstance(clause, Not):
            return found
        assert isinstance(clause, Call), clause
        columns = {
            term: found.columns[name]
            for term, name in zip(clause.arguments, inside.outs, strict=True)
            if is_variable(term) and name in found.columns
        }
        return Relation(columns, found.count).distinct(sorted(columns))

    def changed_patterns(self, transaction: Transaction) -> Iterator[tuple[int, Relation]]:
        """Yield the places of patterns that a transaction has facts of, with these and their signs."""
        for read in self.reads:
            if isinstance(read.clause, Pattern) and transaction.touches(read.attributes):
                start = self._facts(read, transaction)
                if start is not None:
                    yield read.place, start

    def touched(self, transaction: Transaction) -> list[Relation]:
        """Return rows over some of `outs`, among them all that have another derivation now, or lost one."""
        found: list[Relation] = []
        for read in self.reads:
            if not transaction.touches(read.attributes):
                continue
            if isinstance(read.clause, Pattern):
                start = self._facts(read, transaction)
                if start is None:
                    continue
                added = start.columns.pop(SIGN) > 0
                for before, mask in ((False, added), (True, ~added)):
                    if mask.any():
                        found.extend(self._reached(read, start.take(mask), transaction, before))
            else:
                concerned = self._concerned(read, transaction)
                if concerned is not None:
                    for before in (False, True):
                        found.extend(self._reached(read, concerned, transaction, before))
        return found

    def _reached(
        self, read: _Read, start: Relation, transaction: Transaction, before: bool
    ) -> list[Relation]:
        """Return the rows of `outs` that some rows of one clause can be part of, if there are any."""
        wanted = frozenset(self.outs)
        names = frozenset(start.columns)
        if not names >= wanted:
            way = read.ways.get(names)
            if way is None:
                rest = [part for part in self.clauses if part is not read.clause]
                rest = [part for part in rest if not isinstance(part, Not)]
                _, stuck = bind(rest, set(names), self.view.program.required, set(self.names))
                parts = [part for part in rest if part not in stuck]
                way = read.ways[names] = self.way(parts, names, transaction)
            for leg in way:
                start = leg.go(start, transaction, before=before)
        if not start.count:
            return []
        return [start.distinct([name for name in self.outs if name in start.columns])]


class Inside:
    """The bodies of a `not` or of a rule: which of their rows a transaction may concern.

    Args:
        outs: the variables by which they are joined with what is around them.
    """

    def __init__(
        self, view: View, outs: tuple[Symbol, ...], bodies: Sequence[Sequence[Clause]]
    ) -> None:
        self.outs = outs
        self.flats = [Body(view, body, outs) for body in bodies]
        self.found: tuple[Transaction, Relation | None] | None = None
        view.insides.append(self)

    def concerned(self, transaction: Transaction) -> Relation | None:
        """Return rows over some of `outs`, among them all that are or were answers on one side only; None if there are none."""
        if self.found is None or self.found[0] is not transaction:
            found = [one for flat in self.flats for one in flat.touched(transaction)]
            self.found = transaction, _merged(self.outs, found)
        return self.found[1]


def _merged(outs: Sequence[Symbol], found: Sequence[Relation]) -> Relation | None:
    """Return the rows of several relations over the variables that all of them have."""
    if not found:
        return None
    common = [name for name in dict.fromkeys(outs) if all(name in one.columns for one in found)]
    if not common:
        return Relation.unit()
    table = Table(len(common))
    for one in found:
        table.add([one.columns[name] for name in common], one.count)
    return Relation({name: table.column(i) for i, name in enumerate(common)}, table.count)


def _entities_of(clause: Apply, transaction: Transaction) -> Relation | None:
    """Return the entities of a transaction that a function's answer depends on."""
    entity = clause.arguments[1]
    assert isinstance(entity, Symbol), entity
    read = attributes_of(clause)
    wanted = [intern(term.value) for term in read if isinstance(term, Constant)]
    found, attributes, *_ = transaction.columns
    if len(wanted) == len(read):
        found = found[np.isin(attributes, wanted)]
    return Relation({entity: np.unique(found)}, len(np.unique(found))) if len(found) else None


def is_followed(clause: Clause) -> bool:
    """Return whether a clause is a pattern of the followed source's facts."""
    return isinstance(clause, Pattern) and clause.source is DEFAULT_SOURCE


def _may_repeat(clause: Clause) -> bool:
    """Return whether joining with a clause may give a row twice that has the same variables."""
    if isinstance(clause, Apply):
        return not is_flat(clause.binding)
    return isinstance(clause, Call) or (isinstance(clause, Pattern) and not is_followed(clause))
