"""Bodies answered until nothing is new: in rounds, or one group of rows after another.

Is:     the bodies of tables that need one another, as variants that read new rows, and how these are run.
Is not: the loops (`_kernel`), or which bodies there are (`fixpoint`).
Fits:   `fixpoint` makes a Component of the bodies of each strongly connected set of tables.
Source: Bancilhon and Ramakrishnan on semi-naive evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datomstore.datalog._kernel import Join, JoinGivenUp, Rounds, Table, Walk
from datomstore.datalog.budget import Meter
from datomstore.datalog.errors import BudgetExceeded
from datomstore.datalog.fused import Fused, fuse, waits
from datomstore.datalog.limits import JOIN_PAUSE_ROWS, JOIN_ROWS_MAX
from datomstore.datalog.plan import Part, Planner, Stored
from datomstore.datalog.relation import Relation
from datomstore.datalog.steps import Delta, Step, column_of, run
from datomstore.datalog.syntax import Term, is_variable
from datomstore.intern import Ids
from datomstore.value import Symbol


class Body:
    """A body, and the table its answers go to."""

    def __init__(
        self,
        planner: Planner,
        head: Table,
        terms: Sequence[Term],
        parts: Sequence[Part],
        outside: Sequence[Symbol],
        *,
        eager: bool,
    ) -> None:
        self.planner = planner
        self.head = head
        self.terms = tuple(terms)
        self.parts = list(parts)
        self.outside = outside
        self.eager = eager
        self.stored = [part for part in parts if isinstance(part, Stored)]
        self._steps: list[Step] | None = None

    def without(self, table: Table | None) -> Body:
        """Return the same body without what it reads of a table."""
        if table is None:
            return self
        kept = [p for p in self.parts if not (isinstance(p, Stored) and p.table is table)]
        return Body(self.planner, self.head, self.terms, kept, self.outside, eager=self.eager)

    def steps(self, first: Stored | None = None) -> list[Step]:
        """Return its steps in a good order; the first of them reads new rows, if there is one to do so."""
        keep = [term for term in self.terms if is_variable(term)]
        if first is None:
            if self._steps is None:
                ordered = self.planner.order(self.parts, (), self.outside)
                self._steps = self.planner.steps(ordered, (), keep, self.outside)
            return self._steps
        rest = [part for part in self.parts if part is not first]
        bound = {term for term in first.terms if is_variable(term)}
        ordered = [first, *self.planner.order(rest, bound, {*self.outside, *bound})]
        return self.planner.steps(ordered, (), keep, self.outside, delta=True)

    def found(self, steps: Sequence[Step], meter: Meter) -> list[Ids] | None:
        """Return the columns of what steps find, which may be none at all; None where they find nothing."""
        return self._columns(run(steps, Relation.unit(), meter))

    def _columns(self, relation: Relation) -> list[Ids] | None:
        return [column_of(term, relation) for term in self.terms] if relation.count else None

    def add(self, found: list[Ids] | None) -> None:
        """Add what was found to the head."""
        if found is not None:
            self.head.add(found, len(found[0]) if found else 1)

    def answer(self, meter: Meter) -> None:
        """Add what the body gives, all its tables being complete."""
        relation = run(self.steps(), Relation.unit(), meter)
        columns = self._columns(relation)
        apart = relation.is_distinct and relation.columns.keys() <= set(self.terms)
        if columns and apart and not self.head.count and not self.head.has_best:
            self.head.extend(columns, relation.count)
        else:
            self.add(columns)


class Variant:
    """A body that reads the new rows of one table first."""

    def __init__(self, body: Body, first: Stored, read_to: int = 0) -> None:
        self.body = body
        self.steps = body.steps(first)
        self.form = self.steps[0].form
        self.read = first.table
        self.read_to = read_to
        self.gave_up = False
        self._fused: Fused | None = None
        self._waits = True  # for rules it calls, whose answers are not all there yet

    def restart(self) -> bool:
        """Read from the beginning again; return whether the join is still the same."""
        self.read_to = 0
        if self._fused is None:
            return False
        if not self._fused.lasts:
            self._fused, self._waits = None, True
            return False
        return self._fused.restart()

    def join(self, rows: int) -> Join | None:
        """Return the body as a join, if it can be one and is worth the indexes for so many rows."""
        if self.gave_up or (self._fused is None and not self._waits):
            return None
        if self._fused is None:
            self._fused = fuse(self.body.head, self.body.terms, self.steps, eager=self.body.eager)
            self._waits = self._fused is None and waits(self.steps)
        return None if self._fused is None else self._fused.join(rows)

    def columns(self, meter: Meter) -> list[Ids] | None:
        """Return what the rows that are new since the last time give, as columns; None if that is nothing."""
        start, self.read_to = self.read_to, self.read.count
        if start == self.read_to:
            return None
        first = self.steps[0]
        assert isinstance(first, Delta), first
        first.window = (start, self.read_to)
        return self.body.found(self.steps, meter)

    def run(self, meter: Meter) -> bool:
        """Answer for the rows that are new since the last time; return whether there were any."""
        if self.read_to == self.read.count:
            return False
        join = self.join(self.read.count)
        if join is not None and self._joined(join, meter):
            return True
        self.body.add(self.columns(meter))
        return True

    def _joined(self, join: Join, meter: Meter) -> bool:
        head, end = self.body.head, self.read.count
        most = head.count + JOIN_ROWS_MAX
        join.begin(self.read_to, end)
        try:
            while join.running:
                meter.spend(join.run(meter.portion(JOIN_PAUSE_ROWS)), self.form)
                bounded(head, most, self.form, meter)
        except JoinGivenUp:
            self.gave_up = True
            return False
        self.read_to = end
        return True


def bounded(head: Table, most: int, form: object, meter: Meter) -> None:
    """Raise BudgetExceeded for a table that a join has made too large, or all of them."""
    meter.weigh(form)
    if head.count > most:
        raise BudgetExceeded(f"more than {JOIN_ROWS_MAX} rows of one join", form)


class Component:
    """The bodies of tables that need one another, or of one table alone."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self.bodies = bodies
        self.heads = {id(body.head): body.head for body in bodies}
        self._read: dict[int, int] | None = None  # rows read of each table of others
        self._variants: list[Variant] = []
        self._own: int | None = None  # of them, those that are there from the beginning
        self._plain: list[Body] = []  # bodies that read no table
        self._group: _Group | None = None
        self._walks = False
        self._whole = False  # whether variants for the tables of others are there

    def run(self, meter: Meter) -> None:
        """Derive until nothing is new."""
        if self._read is None:
            self._begin(meter)
            return
        if self._outside() != self._read:
            if self._walks and self._group is not None and self._group.again(meter):
                self._read = self._outside()
                return
            self._add_others()
            self._read = self._outside()
        self._walks = False
        _rounds(self._variants, meter)

    def restart(self) -> None:
        """Be as before the first run, all tables being empty; the plans stay."""
        if self._read is None:
            return
        self._read = None
        self._whole = False
        del self._variants[self._own :]
        if self._group is not None:
            self._group.restart()
            return
        for variant in self._variants:
            variant.restart()

    def _outside(self) -> dict[int, int]:
        return {
            id(part.table): part.table.count
            for body in self.bodies
            for part in body.stored
            if id(part.table) not in self.heads
        }

    def _begin(self, meter: Meter) -> None:
        self._read = self._outside()
        if self._own is None:
            self._make(meter)
        else:
            for body in self._plain:
                body.answer(meter)
        self._walks = self._group is not None and self._group.begin(meter)
        if not self._walks:
            _rounds(self._variants, meter)

    def _make(self, meter: Meter) -> None:
        """Plan the variants, and answer the bodies that have none: what these find tells sizes."""
        self._group = _Group.of(self.bodies) if len(self.heads) == 1 else None
        if self._group is not None:
            self._variants = list(self._group.variants)
        for body in () if self._group else self.bodies:
            own = [part for part in body.stored if id(part.table) in self.heads]
            firsts = own or body.stored[:1]
            self._variants.extend(Variant(body, first) for first in firsts)
            if not firsts:
                self._plain.append(body)
                body.answer(meter)
        self._own = len(self._variants)

    def _add_others(self) -> None:
        """Have a variant for every table that a body reads: some that belong to others have grown."""
        if self._whole:
            return
        self._whole = True
        assert self._read is not None, "it has run"
        known = {(id(variant.body), id(variant.read)) for variant in self._variants}
        for body in self.bodies:
            for part in body.stored:
                key = id(part.table)
                if (id(body), key) not in known and key in self._read:
                    self._variants.append(Variant(body, part, self._read[key]))


class _Group:
    """Bodies of one table, the recursive ones of which hand on all its columns but one: see `_kernel_rounds.pxi`."""

    def __init__(self, bodies: Sequence[Body], place: int) -> None:
        self.head = bodies[0].head
        self.place = place
        self.asked = self._asked(bodies)
        self.base: list[Body] = []
        self.variants: list[Variant] = []
        for body in bodies:
            own = [part for part in body.stored if part.table is self.head]
            if own:
                self.variants.append(Variant(body.without(self.asked), own[0]))
            else:
                self.base.append(body)
        self._firsts = [Variant(body, body.stored[0]) for body in self.base if self.asked]
        self._walk: Walk | None = None

    @staticmethod
    def of(bodies: Sequence[Body]) -> _Group | None:
        """Return the group of bodies of one table that can be walked, else None."""
        head = bodies[0].head
        if not head.arity or head.count or head.has_best:
            return None
        places = set(range(head.arity))
        recursive = False
        for body in bodies:
            own = [part for part in body.stored if part.table is head]
            if len(own) > 1:
                return None
            for part in own:
                recursive = True
                pairs = enumerate(zip(body.terms, part.terms, strict=True))
                places &= {p for p, _ in enumerate(body.terms)}
                moved = {p for p, (new, old) in pairs if new is not old or not is_variable(new)}
                if len(moved) > 1:
                    return None
                places = places & moved if moved else places
        return _Group(bodies, min(places)) if recursive and places else None

    def _asked(self, bodies: Sequence[Body]) -> Table | None:
        """Return the one other table that all bodies read, if each of its rows begins groups of its own.

        Recursive bodies need not read it then: what is handed on came from it.
        """
        others = {id(p.table): p for b in bodies for p in b.stored if p.table is not self.head}
        if len(others) != 1:
            return None
        (asked,) = (part.table for part in others.values())
        for body in bodies:
            parts = [part for part in body.stored if part.table is asked]
            handed = {term for place, term in enumerate(body.terms) if place != self.place}
            if len(parts) != 1 or not handed.issuperset(parts[0].terms):
                return None
        return asked

    def begin(self, meter: Meter) -> bool:
        """Find the first rows and walk from them; False if that is to be done in rounds."""
        if self.asked is not None:
            return self.again(meter)
        return self._from([body.found(body.steps(), meter) for body in self.base], meter)

    def again(self, meter: Meter) -> bool:
        """Walk from what was asked since the last time; False if that is to be done in rounds."""
        if self.asked is None:
            return False
        return self._from([first.columns(meter) for first in self._firsts], meter)

    def restart(self) -> None:
        """Be as before the first walk."""
        for first in self._firsts:
            first.restart()
        same = [variant.restart() for variant in self.variants]
        if not all(same):
            self._walk = None

    def _from(self, found: Sequence[list[Ids] | None], meter: Meter) -> bool:
        parts = [columns for columns in found if columns]
        if not parts:
            return True
        columns = parts[0]
        if len(parts) > 1:
            columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        count = len(columns[0])
        if self._walked(self._sorted(columns), count, meter):
            for variant in self.variants:
                variant.read_to = self.head.count
            return True
        self.head.add(columns, count)
        return False

    def _sorted(self, columns: list[Ids]) -> list[Ids]:
        """Return rows so that those of one group follow one another."""
        keys = [column for place, column in enumerate(columns) if place != self.place]
        if not keys or (len(keys) == 1 and bool((keys[0][1:] >= keys[0][:-1]).all())):
            return columns
        order = np.argsort(keys[0]) if len(keys) == 1 else np.lexsort(keys)
        return [column[order] for column in columns]

    def _walked(self, columns: list[Ids], count: int, meter: Meter) -> bool:
        if self._walk is None:
            joins = [variant.join(count) for variant in self.variants]
            made = [join for join in joins if join is not None]
            if len(made) < len(joins):
                return False
            self._walk = Walk(self.head, self.place, made)
        walk, form = self._walk, self.variants[0].form
        most = self.head.count + JOIN_ROWS_MAX
        walk.begin(columns, count)
        try:
            while walk.running:
                meter.spend(walk.run(meter.portion(JOIN_PAUSE_ROWS)), form)
                meter.turn(walk.rounds, form)
                bounded(self.head, most, form, meter)
        except JoinGivenUp:
            self._walk = None  # it stands in the middle of a group
            return False
        finally:
            walk.end()
        return True


def _rounds(variants: Sequence[Variant], meter: Meter) -> None:
    """Run variants until nothing is new: all rounds in one go where all of them are joins."""
    running, turned = True, 0
    while running:
        joins: list[Join] = []
        for variant in variants:
            join = variant.join(variant.read.count)
            if join is None:
                break
            joins.append(join)
        else:
            if not joins or _joined(variants, joins, meter):
                return
        running = False
        for variant in variants:
            running |= variant.run(meter)
        turned += running
        meter.turn(turned, variants[0].form if variants else None)


def _joined(variants: Sequence[Variant], joins: list[Join], meter: Meter) -> bool:
    """Run joins until nothing is new; False if one of them gave up."""
    rounds = Rounds(joins, [variant.read_to for variant in variants])
    heads = {id(variant.body.head): variant.body.head for variant in variants}
    most = {key: head.count + JOIN_ROWS_MAX for key, head in heads.items()}
    form = variants[0].form
    rounds.begin()
    try:
        while rounds.running:
            meter.spend(rounds.run(meter.portion(JOIN_PAUSE_ROWS)), form)
            meter.turn(rounds.rounds, form)
            for key, head in heads.items():
                bounded(head, most[key], form, meter)
    except JoinGivenUp:
        variants[rounds.current].gave_up = True
        return False
    finally:
        for variant, read_to in zip(variants, rounds.read_to(), strict=True):
            variant.read_to = read_to
    return True
