"""What a transaction changes in the rows of a body, from its facts alone.

Is:     the derivations that a transaction's facts make and break, each with a sign.
Is not: which answers these come to (`follow` counts them), nor recursion, aggregates or pulls.
Fits:   `follow` makes one View for a followed query and asks it after every transaction.
Source: Gupta, Mumick and Subrahmanian, Maintaining views incrementally: counting.

A derivation is a row over all variables of a flat body (`unfold`). What a transaction does to the derivations of a body
is the sum over its clauses of: that clause's change, joined with the clauses before it as they are now and those
after it as they were. The change of a pattern is the transaction's own facts, +1 or -1. That of a `not`, of a call
which is not unfolded, or of a function of an entity is found in two steps: the rows it could concern, from the facts
inside of it, then these rows with the clause as it is now, +1, and as it was, -1; what did not change cancels.

So no clause is read as a whole: each is looked up in the database's own index for the few rows at hand. The order of
look-ups is planned once for each clause that can change, and kept.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from datomstore.database import Database
from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter
from datomstore.datalog.builtins import FUNCTIONS, SOURCE_FUNCTIONS
from datomstore.datalog.check import Program, bind, produces
from datomstore.datalog.limits import DERIVATIONS_MAX, FEW_ROWS, PLAN_GROWTH, SUMMED_ROWS_MIN
from datomstore.datalog.plan import Part, Planner, Stored
from datomstore.datalog.relation import Relation, unmetered
from datomstore.datalog.rules import Evaluation
from datomstore.datalog.sources import TRUE, DatabaseSource, Source, source_of
from datomstore.datalog.steps import LookUp, Step, run
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Apply,
    BindCollection,
    BindTuple,
    Call,
    Clause,
    Constant,
    Not,
    Pattern,
    Term,
    all_variables,
    binding_variables,
    inputs_of,
    is_variable,
    positive_variables,
)
from datomstore.datalog.unfold import Body, Unfolder
from datomstore.intern import Ids, intern, values_of
from datomstore.value import Keyword, Symbol

if TYPE_CHECKING:
    from datomstore.facts import Facts, Rows
    from datomstore.schema import Schema

Row = tuple[int, ...]
Derivations = dict[Row, int]
Attributes = frozenset[int] | None  # ids; None is any
SIGN = Symbol("sign")  # the column of +1 and -1: no variable has this name
# Functions whose change is known by the entity they are asked.
READS = frozenset({"get-else", "get-some", "missing?"})
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
Constants = tuple[int | None, ...] | None  # ids of a pattern's five places


class NotTold(Exception):
    """The changed facts alone do not tell which answers have changed."""


class Transaction:
    """One transaction as a followed query sees it: both database values, and its facts as ids."""

    def __init__(
        self, before: Database, after: Database, meter: Meter, *, cautious: bool = False
    ) -> None:
        self.before, self.after = before, after
        self.meter = meter
        self.cautious = cautious  # clauses stay in the order they are written in
        self._start, self._end = before.count_rows, after.count_rows
        self.is_small = self._end - self._start <= FEW_ROWS
        if self.is_small:  # one by one where that costs less than setting up columns
            self.lists = after.facts.listed_changes(self._start, self._end)
            self.attributes = frozenset(self.lists[1])
        else:
            self.attributes = frozenset(self.columns[1].tolist())

    @cached_property
    def columns(self) -> tuple[Ids, Ids, Ids, Ids]:
        """Return entities, attributes, values and signs: +1 for what is added, -1 for what is retracted."""
        return self.after.facts.changes(self._start, self._end)

    def touches(self, attributes: Attributes) -> bool:
        """Return whether the transaction has facts of one of some attributes."""
        return attributes is None or not attributes.isdisjoint(self.attributes)

    def of_attribute(self, a: int) -> Rows:
        """Return the numbers of the facts of an attribute."""
        return np.flatnonzero(self.columns[1] == a).astype(np.int64)

    @cached_property
    def t(self) -> Ids:
        """Return the transactions of the facts: of those that are retracted, the ones that added them."""
        made = np.array(self.after.facts.t[self._start : self._end])
        e, a, v, signs = self.columns
        for row in np.flatnonzero(signs < 0).tolist():
            was = self.before.rows(int(e[row]), int(a[row]), int(v[row]))
            if len(was):
                made[row] = self.before.facts.t[was[0]]
        return made


# -- what a clause reads --


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
            terms = _attributes_of(clause)
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


def _attributes_of(clause: Apply) -> Sequence[Term]:
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


# -- operators: each joins rows with one clause, on one side of a transaction --


class _Steady:
    """A clause that no transaction changes."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows after this clause."""
        return self.step.execute(relation, transaction.meter)


class _Sided:
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


class _Probe:
    """The facts of a pattern, by the database's own index."""

    def __init__(
        self, clause: Pattern, constants: Constants, bound: frozenset[Symbol], schema: Schema
    ) -> None:
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
        # The variable of the one value that an entity has of an attribute, if nothing else is asked.
        self.single: Symbol | None = None
        if self.by is not None and self.by[0] == 0 and not self.compared:
            named = clause.terms[1].value if isinstance(clause.terms[1], Constant) else None
            one = isinstance(named, Keyword) and not schema[named].many
            if one and [place for place, _ in self.reads] == [2]:
                self.single = self.reads[0][1]

    def execute(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows joined with the facts of one side."""
        database = transaction.before if before else transaction.after
        if self.constants is None:
            return NONE
        meter, form = transaction.meter, self.clause.form
        if self.single is not None and relation.count <= FEW_ROWS:
            meter.spend(relation.count, form)
            return self._one_each(relation, database, self.single)
        meter.spend(0, form)
        e, a, v, t, _ = self.constants
        facts = database.facts
        if self.by is None:
            found = database.rows(e, a, v)
            meter.spend(len(found) * relation.count, form)
            probe = np.repeat(np.arange(relation.count, dtype=np.int64), len(found))
            rows = np.tile(found, relation.count)
        else:
            place, name = self.by
            key, spend = relation.columns[name], meter.of(form)
            if place == 0:
                probe, rows = database.scan_bound(a, e=key, spend=spend)
            else:
                probe, rows = database.scan_bound(a, v=key, spend=spend)
        checks: list[tuple[Ids, Ids | int]] = [
            (_column(facts, rows, place), relation.columns[name][probe])
            for place, name in self.compared
        ]
        if v is not None and self.by is not None:
            checks.append((facts.v[rows], v))
        if t is not None:
            checks.append((facts.t[rows], t))
        for left, right in self.repeats:
            checks.append((_column(facts, rows, left), _column(facts, rows, right)))
        for mine, theirs in checks:
            same = mine == theirs
            if not same.all():
                keep = np.logical_and.reduce([left == right for left, right in checks])
                probe, rows = probe[keep], rows[keep]
                break
        if not len(rows):
            return NONE
        made = {name: column[probe] for name, column in relation.columns.items()}
        for place, name in self.reads:
            made[name] = _column(facts, rows, place)
        return Relation(made, len(rows))

    def _one_each(self, relation: Relation, database: Database, name: Symbol) -> Relation:
        """Return the rows with the one value that each entity has, if it has any."""
        assert self.by is not None, "it is looked up"
        assert self.constants is not None, "some fact can match"
        probe, rows = database.scan_bound(self.constants[1], e=relation.columns[self.by[1]])
        values = database.facts.v[rows]
        if len(rows) == relation.count:
            column = np.empty(relation.count, np.int64)
            column[probe] = values
            return Relation({**relation.columns, name: column}, relation.count)
        if not len(rows):
            return NONE
        made = {known: column[probe] for known, column in relation.columns.items()}
        made[name] = values
        return Relation(made, len(rows))


def _column(facts: Facts, rows: Rows, place: int) -> Ids:
    if place == 4:
        return np.full(len(rows), TRUE, np.int64)
    return (facts.e, facts.a, facts.v, facts.t)[place][rows]


class _Test:
    """A predicate, on so few rows that each is asked by itself."""

    def __init__(self, clause: Apply, step: Step) -> None:
        self.step = step
        self.arguments = clause.arguments
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


def _kept(relation: Relation, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Relation:
    return relation if mask.all() else relation.take(mask)


_Operator = _Steady | _Sided | _Probe | _Test


class _Leg:
    """One join on the way from some rows to those of a whole body; `place` is its clause's.

    Args:
        repeats: the join may give a row twice.
    """

    def __init__(self, place: int, operator: _Operator, *, repeats: bool) -> None:
        self.place = place
        self.operator = operator
        self.repeats = repeats
        self.needed: frozenset[Symbol] = frozenset()  # variables that are looked at further on
        self.is_filter = (
            False  # whether it can be asked of a transaction's facts before anything else
        )

    def go(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows after the join; where they are many, without variables that are not needed any more."""
        if not relation.count:
            return relation
        relation = self.operator.execute(relation, transaction, before=before)
        if self.repeats and relation.count:
            relation = relation.distinct(list(relation.columns))
        if relation.count > SUMMED_ROWS_MIN:
            return _summed(relation, self.needed)
        return relation


def _summed(relation: Relation, needed: frozenset[Symbol]) -> Relation:
    """Return the distinct rows over some variables, with the sum of their signs if they have any."""
    names = [name for name in relation.columns if name in needed]
    signed = SIGN in relation.columns
    if len(names) + signed == len(relation.columns):
        return relation
    if not signed:
        return relation.distinct(names)
    signs = relation.columns[SIGN]
    if not names:
        return Relation({SIGN: np.array([signs.sum()], np.int64)}, 1)
    table = Table(len(names))
    count = table.add([relation.columns[name] for name in names], relation.count)
    if count == relation.count:
        return relation.keep({*names, SIGN})
    keys = [relation.columns[name] for name in names]
    probe, row = table.probe(tuple(range(len(names))), keys, unmetered)
    sums = np.zeros(count, np.int64)
    np.add.at(sums, row, signs[probe])
    if int(np.abs(sums).max()) > DERIVATIONS_MAX:
        raise NotTold("there are too many derivations")
    made = {name: table.column(place) for place, name in enumerate(names)}
    return Relation({**made, SIGN: sums}, count)


# -- one body --


class _Read:
    """One clause of a body that a transaction can change."""

    def __init__(self, place: int, clause: Clause, attributes: Attributes) -> None:
        self.place = place
        self.clause = clause
        self.attributes = attributes
        self.inside: _Inside | None = None  # of a `not` or a call
        self.ways: dict[frozenset[Symbol], list[_Leg]] = {}
        self.has_filtered = False  # the facts at hand
        self.walk: _Walk | None = None
        self.filters: list[_Filter] = []  # what the first of the joins ask of the facts themselves


class _Walk(NamedTuple):
    """A way on which each fact goes by itself: from entities to the one value that each has, time and again."""

    a: int  # of the pattern's facts
    probes: list[tuple[int, int, _Leg]]  # column of the entities, attribute, join
    outs: list[int]  # columns that are wanted
    form: object

    def go(self, flat: _Flat, read: _Read, transaction: Transaction, net: Derivations) -> bool:
        """Add what the facts do to derivations; False if something has to be looked at as a whole."""
        e, a, v, signs = transaction.lists
        rows = [row for row, one in enumerate(a) if one == self.a]
        for filtered in read.filters:
            ids = e if filtered.place == 0 else v
            if any(ids[row] & 1 for row in rows):  # of something else than a small integer
                return False
            rows = filtered.keep(rows, ids)
        table: list[list[Any]] = [[e[row] for row in rows], [v[row] for row in rows]]
        sign = [signs[row] for row in rows]
        for column, attribute, leg in self.probes:
            if not sign:
                return True
            transaction.meter.spend(len(sign), self.form)
            before = leg.place > read.place and transaction.touches(flat.attributes[leg.place])
            database = transaction.before if before else transaction.after
            found = database.ones(attribute, table[column])
            table.append(found)
            if None in found:
                kept = [place for place, one in enumerate(found) if one is not None]
                table = [[one[place] for place in kept] for one in table]
                sign = [sign[place] for place in kept]
        for row, one in zip(
            zip(*[table[out] for out in self.outs], strict=True), sign, strict=True
        ):
            net[row] = net.get(row, 0) + one
        return True


class _Filter(NamedTuple):
    """A comparison of an entity or a value with a small integer."""

    place: int
    compare: Callable[[Any, Any], Any]
    wanted: int  # an id
    is_left: bool  # whether it stands before what it is compared with

    def keep(self, rows: list[int], ids: list[int]) -> list[int]:
        """Return the rows for which it holds."""
        compare, wanted = self.compare, self.wanted
        if self.is_left:
            return [row for row in rows if compare(wanted, ids[row])]
        return [row for row in rows if compare(ids[row], wanted)]


class _Flat:
    """A body without calls that could be unfolded.

    Args:
        outs: the variables that are wanted of it.
    """

    def __init__(self, view: View, clauses: Body, outs: Iterable[Symbol]) -> None:
        self.view = view
        self.clauses = clauses
        self.outs = list(dict.fromkeys(outs))
        names = {name for clause in clauses for name in positive_variables(clause)}
        self.names = frozenset({*names, *self.outs, *view.inputs.columns})
        self.kept = self.names | {SIGN}
        self.wanted = frozenset(self.outs)
        self.constants = [
            view.constants(clause) if _is_followed(clause) else None for clause in clauses
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
                    read.inside = _Inside(view, shared, view.unfolder.bodies(clause.body, shared))
                elif isinstance(clause, Call):
                    read.inside = view.rule(clause.name, clause.source)

    def forget(self) -> None:
        """Drop what is planned."""
        for read in self.reads:
            read.ways.clear()
            read.filters.clear()
            read.walk = None

    # -- the whole --

    def counts(self, moment: Transaction, net: Derivations) -> None:
        """Add the derivations of every row of `outs` in one database."""
        way = self._way([*self.view.stored, *self.clauses], frozenset(), moment)
        relation = Relation({SIGN: np.ones(1, np.int64)}, 1)
        for leg in way:
            relation = leg.go(relation, moment, before=False)
        self._count(relation, net)

    # -- changes --

    def changes(self, transaction: Transaction, net: Derivations) -> None:
        """Add what a transaction does to the derivations of each row of `outs`."""
        for read in self.reads:
            if not transaction.touches(read.attributes):
                continue
            if isinstance(read.clause, Pattern):
                walk = read.walk if transaction.is_small else None
                if walk is not None and walk.go(self, read, transaction, net):
                    continue
                start = self._facts(read, transaction)
                if start is not None:
                    found = self._joined(read, start, transaction, None)
                    self._count(found, net)
                continue
            concerned = self._concerned(read, transaction)
            if concerned is None:
                continue
            for before in (False, True):
                sign = np.full(concerned.count, -1 if before else 1, np.int64)
                start = Relation({**concerned.columns, SIGN: sign}, concerned.count)
                self._count(self._joined(read, start, transaction, before), net)

    def _count(self, found: Relation, net: Derivations) -> None:
        if not found.count:
            return
        if found.count > SUMMED_ROWS_MIN:
            found = _summed(found, self.wanted)
        signs: list[int] = found.columns[SIGN].tolist()
        columns = [found.columns[name].tolist() for name in self.outs]
        rows = zip(*columns, strict=True) if columns else [()] * found.count
        for row, sign in zip(rows, signs, strict=True):
            net[row] = net.get(row, 0) + sign

    def _joined(
        self, read: _Read, start: Relation, transaction: Transaction, own: bool | None
    ) -> Relation:
        """Return the rows joined with the other clauses, those behind this one as they were; with itself on a side."""
        names = frozenset(start.columns) - {SIGN}
        way = read.ways.get(names)
        if way is None:
            rest: list[Part] = [*self.view.stored, *self.clauses]
            if own is None:
                rest.remove(read.clause)
            way = read.ways[names] = self._way(rest, names, transaction)
            if own is None:
                read.filters = _filters(read.clause, way)
                read.walk = self._walk(read.clause, way)
        relation = start
        for leg in way:
            if leg.is_filter and read.has_filtered:
                continue
            before = leg.place > read.place and transaction.touches(self.attributes[leg.place])
            if leg.place == read.place:
                before = bool(own)
            relation = leg.go(relation, transaction, before=before)
        return relation

    def _way(
        self, parts: Sequence[Part], names: frozenset[Symbol], transaction: Transaction
    ) -> list[_Leg]:
        """Return the joins with some clauses in the order that is best from here."""
        planner = self.view.planner(transaction, before=False)
        way: list[_Leg] = []
        for part in planner.order(parts, names, self.names):
            if isinstance(part, Stored):
                step = LookUp(_always(part.table), part.terms, part.form, self.kept)
                way.append(_Leg(-1, _Steady(step), repeats=False))
                names |= {term for term in part.terms if is_variable(term)}
            else:
                place = self.clauses.index(part)
                operator = self._operator(part, place, names, planner)
                way.append(_Leg(place, operator, repeats=_may_repeat(part)))
                names |= produces(part)
        needed = self.wanted
        for leg in reversed(way):
            leg.needed = needed
            if leg.place >= 0:
                needed |= all_variables(self.clauses[leg.place])
            else:
                needed |= self.view.inputs.columns.keys()
        return way

    def _walk(self, clause: Clause, way: Sequence[_Leg]) -> _Walk | None:
        """Return a way as a walk, if it is one."""
        assert isinstance(clause, Pattern), clause
        e, named, v = clause.terms[:3]
        plain = len(clause.terms) == 3 and is_variable(e) and is_variable(v) and e is not v
        if not plain or not isinstance(named, Constant):
            return None
        known: list[Term] = [e, v]
        probes: list[tuple[int, int, _Leg]] = []
        for leg in way:
            probe = leg.operator
            if leg.is_filter:
                continue
            if not isinstance(probe, _Probe) or probe.single is None:
                return None
            assert probe.by is not None, "a value is looked up"
            assert probe.constants is not None, "some fact can match"
            assert probe.constants[1] is not None, "of one attribute"
            probes.append((known.index(probe.by[1]), probe.constants[1], leg))
            known.append(probe.single)
        if not known or not all(name in known for name in self.outs):
            return None
        outs = [known.index(name) for name in self.outs]
        return _Walk(intern(named.value), probes, outs, clause.form)

    def _operator(
        self, clause: Clause, place: int, names: frozenset[Symbol], planner: Planner
    ) -> _Operator:
        attributes = self.attributes[place]
        if _is_followed(clause):
            assert isinstance(clause, Pattern), clause
            return _Probe(clause, self.constants[place], names, self.view.schema)
        if attributes is not None and not attributes and not isinstance(clause, (Not, Call)):
            (step,) = planner.steps([clause], names, self.kept, self.kept)
            if isinstance(clause, Apply) and _is_test(clause):
                return _Test(clause, step)
            return _Steady(step)
        return _Sided(self.view, clause, names, self.kept)

    # -- where changes begin --

    def _facts(self, read: _Read, transaction: Transaction) -> Relation | None:
        """Return the transaction's facts that match a pattern, with their signs."""
        clause, constants = read.clause, self.constants[read.place]
        assert isinstance(clause, Pattern), clause
        if constants is None:
            return None
        terms = clause.terms
        rows = self._rows_of(read, constants[1], transaction)
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

    def _rows_of(self, read: _Read, a: int | None, transaction: Transaction) -> Rows:
        """Return the numbers of the facts of an attribute, or of any, for which the filters hold."""
        read.has_filtered = False
        if a is None:
            return np.arange(len(transaction.columns[0]), dtype=np.int64)
        if not read.filters or not transaction.is_small:
            return transaction.of_attribute(a)
        e, attributes, v, _ = transaction.lists
        rows = [row for row, one in enumerate(attributes) if one == a]
        for filtered in read.filters:
            ids = e if filtered.place == 0 else v
            if any(ids[row] & 1 for row in rows):  # of something else than a small integer
                return transaction.of_attribute(a)
            rows = filtered.keep(rows, ids)
        read.has_filtered = True
        return np.array(rows, np.int64)

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
                way = read.ways[names] = self._way(parts, names, transaction)
            for leg in way:
                start = leg.go(start, transaction, before=before)
        if not start.count:
            return []
        return [start.distinct([name for name in self.outs if name in start.columns])]


class _Inside:
    """The bodies of a `not` or of a rule: which of their rows a transaction may concern.

    Args:
        outs: the variables by which they are joined with what is around them.
    """

    def __init__(self, view: View, outs: tuple[Symbol, ...], bodies: Sequence[Body]) -> None:
        self.outs = outs
        self.flats = [_Flat(view, body, outs) for body in bodies]
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


def _always(table: Table) -> Callable[[], Table]:
    return lambda: table


def _entities_of(clause: Apply, transaction: Transaction) -> Relation | None:
    """Return the entities of a transaction that a function's answer depends on."""
    entity = clause.arguments[1]
    assert isinstance(entity, Symbol), entity
    read = _attributes_of(clause)
    wanted = [intern(term.value) for term in read if isinstance(term, Constant)]
    found, attributes, *_ = transaction.columns
    if len(wanted) == len(read):
        found = found[np.isin(attributes, wanted)]
    return Relation({entity: np.unique(found)}, len(np.unique(found))) if len(found) else None


def _is_followed(clause: Clause) -> bool:
    return isinstance(clause, Pattern) and clause.source is DEFAULT_SOURCE


def _may_repeat(clause: Clause) -> bool:
    """Return whether joining with a clause may give a row twice that has the same variables."""
    if isinstance(clause, Apply):
        return not _is_flat(clause.binding)
    return isinstance(clause, Call) or (isinstance(clause, Pattern) and not _is_followed(clause))


# -- the whole --


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
        self._rules: dict[tuple[str, Symbol], _Inside] = {}
        names = sorted(inputs.columns)
        if names:
            table = Table.of([self.inputs.columns[name] for name in names], self.inputs.count)
            self.stored.append(Stored(table, tuple(names), None))
        self.insides: list[_Inside] = []
        self._source: Source | None = source_of(database)
        bodies = self.unfolder.bodies(program.where, {*outs, *inputs.columns})
        for body in bodies:
            if bind(body, set(inputs.columns), program.required, set(outs))[1]:
                raise NotTold("a rule must be told arguments")
        self.bodies = [_Flat(self, body, outs) for body in bodies]
        self._source = None  # it keeps much that no change looks at
        self.once = len(bodies) == 1 and self._tells(self.bodies[0], self.schema)
        self._planned_for = database.count_rows
        self._planned: Transaction | None = None
        self._planners: dict[bool, Planner] = {}

    def rule(self, name: str, source: Symbol) -> _Inside:
        """Return the bodies of a rule over some source."""
        found = self._rules.get((name, source))
        if found is None:
            found = _Inside(self, *self.unfolder.rule_bodies(name, source))
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

    def counts(self, database: Database, meter: Meter, *, cautious: bool = False) -> Derivations:
        """Return how many derivations each row has. Raises QueryError, NotTold if they are too many."""
        moment = Transaction(database, database, meter, cautious=cautious)
        made: Derivations = {}
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
        rows = transaction.after.count_rows
        if rows > PLAN_GROWTH * self._planned_for:
            self._planned_for = rows
            for flat in (*self.bodies, *(flat for inside in self.insides for flat in inside.flats)):
                flat.forget()
        net: Derivations = {}
        for body in self.bodies:
            body.changes(transaction, net)
        self._planned = None  # nothing keeps the database values
        for inside in self.insides:
            inside.found = None
        return net

    def _tells(self, body: _Flat, schema: Schema) -> bool:
        """Return whether a row has one derivation at most: all variables follow from it."""
        known = set(self.outs)
        if self.inputs.count <= 1:
            known |= self.inputs.columns.keys()
        growing = True
        while growing:
            before = len(known)
            for clause in body.clauses:
                known |= _follows(clause, known, schema)
            growing = len(known) > before
        return body.names <= known


def _follows(clause: Clause, known: set[Symbol], schema: Schema) -> set[Symbol]:
    """Return the variables of a clause that have one value at most once those that are known have one."""

    def settled(place: int) -> bool:
        if place >= len(terms):
            return False
        term = terms[place]
        return isinstance(term, Constant) or term in known

    if isinstance(clause, Apply):
        if not inputs_of(clause) <= known or not _is_flat(clause.binding):
            return set()
        return binding_variables(clause.binding)
    if not isinstance(clause, Pattern) or not _is_followed(clause):
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


def _filters(clause: Clause, way: Sequence[_Leg]) -> list[_Filter]:
    """Return what the first joins of a way ask of a pattern's facts themselves, and mark them."""
    assert isinstance(clause, Pattern), clause
    found: list[_Filter] = []
    for leg in way:
        test = leg.operator
        if not isinstance(test, _Test) or test.compare is None:
            break
        left, right = test.ids
        known, wanted = (right, left) if isinstance(left, int) else (left, right)
        places = [place for place in (0, 2) if clause.terms[place] is known]
        if not isinstance(wanted, int) or wanted & 1 or not places:
            break
        leg.is_filter = True
        found.append(_Filter(places[0], test.compare, wanted, isinstance(left, int)))
    return found


def _is_test(clause: Apply) -> bool:
    return clause.binding is None and clause.function in FUNCTIONS and bool(clause.arguments)


def _is_flat(binding: object) -> bool:
    if isinstance(binding, BindTuple):
        return all(map(_is_flat, binding.items))
    return not isinstance(binding, BindCollection)


# -- which queries --


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
