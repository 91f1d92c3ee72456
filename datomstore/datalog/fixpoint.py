"""Fixpoints of cycles of rules.

Is:     goals, semi-naive rounds over tables, and how the rules of one cycle become variants.
Is not: a choice of what to ask or how (`rules`), or the shorter way of linear cycles (`linear`).
Fits:   `rules` makes one for each cycle and set of arguments that is asked for.
Source: Bancilhon and Ramakrishnan on semi-naive evaluation; Beeri and Ramakrishnan on supplementary magic sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter
from datomstore.datalog.check import produces
from datomstore.datalog.fused import fuse
from datomstore.datalog.limits import ADORNMENTS_MAX
from datomstore.datalog.plan import Part, Planner, Stored, bound_places
from datomstore.datalog.relation import Relation
from datomstore.datalog.steps import Delta, Step, column_of, run
from datomstore.datalog.syntax import Call, Rule, Term, all_variables, is_variable
from datomstore.value import Symbol

if TYPE_CHECKING:
    from datomstore.datalog.rules import Evaluation

Key = tuple[str, Symbol, tuple[int, ...]]  # a rule, its source, and the places of what it is told


class Goal:
    """The answers of one rule over one source for some bound arguments, and what was asked of it."""

    def __init__(self, name: str, source: Symbol, arity: int, places: Sequence[int]) -> None:
        self.name = name
        self.source = source
        self.places = tuple(places)
        self.answers = Table(arity)
        self.asked = Table(len(places)) if places else None

    def told(self, rule: Rule) -> tuple[Symbol, ...]:
        """Return the parameters that the caller binds."""
        return tuple(rule.parameters[place] for place in self.places)


class _Variant:
    """One body, read from one table's new rows; what it finds goes to a head."""

    def __init__(
        self, head: Table, terms: Sequence[Term], steps: Sequence[Step], read: Table | None
    ) -> None:
        self.head = head
        self.terms = terms
        self.steps = steps
        self.read = read
        self.read_to = 0
        self.fused = None if read is None else fuse(head, terms, steps)

    def run(self, meter: Meter) -> bool:
        """Answer for the rows that are new since the last time; return whether there were any."""
        if self.read is not None:
            end = self.read.count
            if self.read_to == end:
                return False
            first = self.steps[0]
            assert isinstance(first, Delta), first
            first.window = (self.read_to, end)
            self.read_to = end
            if self.fused is not None and self.fused.run(first.window, meter):
                return True
        found = run(self.steps, Relation.unit(), meter)
        if found.count:
            self.head.add([column_of(term, found) for term in self.terms], found.count)
        return True


class Fixpoint:
    """Bodies that are answered again until nothing is new."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.once: list[_Variant] = []
        self.variants: list[_Variant] = []

    def add(
        self,
        planner: Planner,
        head: Table,
        terms: Sequence[Term],
        body: Sequence[Part],
        outside: Sequence[Symbol],
    ) -> None:
        """Add a body: one variant for each table of this fixpoint that it reads."""
        keep = [term for term in terms if is_variable(term)]
        stored = [part for part in body if isinstance(part, Stored)]
        if not stored:
            steps = planner.steps(planner.order(body, (), outside), (), keep, outside)
            self.once.append(_Variant(head, terms, steps, None))
        for first in stored:
            rest = [part for part in body if part is not first]
            bound = {term for term in first.terms if is_variable(term)}
            ordered = [first, *planner.order(rest, bound, {*outside, *bound})]
            steps = planner.steps(ordered, (), keep, outside, delta=True)
            self.variants.append(_Variant(head, terms, steps, first.table))

    def run(self) -> None:
        """Derive until nothing is new."""
        once, self.once = self.once, []
        for variant in once:
            variant.run(self.meter)
        running = True
        while running:
            running = False
            for variant in self.variants:
                running |= variant.run(self.meter)


class Cycle:
    """Builds the fixpoint of one cycle of rules, from the goal that was asked for."""

    def __init__(self, evaluation: Evaluation, entry: Goal) -> None:
        self.evaluation = evaluation
        self.number = evaluation.program.component[entry.name]
        self.goals = {(entry.name, entry.source, entry.places): entry}
        self.fixpoint = Fixpoint(evaluation.meter)
        waiting = [entry]
        while waiting:
            goal = waiting.pop()
            for rule in evaluation.program.rules[goal.name]:
                waiting.extend(self._add(goal, rule))

    def _add(self, goal: Goal, rule: Rule) -> list[Goal]:
        """Add the variants of a rule; return the goals it is the first to call."""
        planner = Planner(self.evaluation, goal.source)
        fresh: list[Goal] = []
        body: list[Part] = []
        told = goal.told(rule)
        if goal.asked is not None:
            body.append(Stored(goal.asked, told, rule.form))
        bound = set(told)
        ordered = planner.order(rule.body, told, rule.parameters)
        for place, clause in enumerate(ordered):
            if not isinstance(clause, Call) or not self._calls_within(clause):
                body.append(clause)
                bound |= produces(clause)
                continue
            callee = self._callee(planner, clause, goal, bound, fresh)
            if callee.asked is not None:
                later = {name for part in ordered[place:] for name in all_variables(part)}
                before = sorted(bound & later.union(rule.parameters))
                body = [self._supplement(planner, rule, body, before)]
                wanted = [clause.arguments[place] for place in callee.places]
                if callee is not goal or wanted != list(told):
                    self.fixpoint.add(planner, callee.asked, wanted, body, rule.parameters)
            body.append(Stored(callee.answers, clause.arguments, clause.form))
            bound |= produces(clause)
        self.fixpoint.add(planner, goal.answers, rule.parameters, body, rule.parameters)
        return fresh

    def _supplement(
        self, planner: Planner, rule: Rule, body: list[Part], names: list[Symbol]
    ) -> Stored:
        """Return a table of what the clauses before a call give: for what it asks, and for its answers to join with."""
        if len(body) == 1 and isinstance(body[0], Stored):
            return body[0]
        table = Table(len(names))
        self.fixpoint.add(planner, table, names, body, rule.parameters)
        return Stored(table, tuple(names), rule.form)

    def _calls_within(self, call: Call) -> bool:
        return self.evaluation.program.component[call.name] == self.number

    def _callee(
        self, planner: Planner, call: Call, goal: Goal, bound: set[Symbol], fresh: list[Goal]
    ) -> Goal:
        """Return the goal of a call into this cycle: of what is bound there, if the caller is so restricted itself."""
        required = self.evaluation.required(call.name)
        places = required
        if goal.places != self.evaluation.required(goal.name):
            places = self.evaluation.places(call.name, bound_places(call, bound))
        source = planner.source_of(call)
        found = self.goals.get((call.name, source, places))
        if found is None:
            same = sum(key[:2] == (call.name, source) for key in self.goals)
            if same >= ADORNMENTS_MAX:
                places = required
        if (call.name, source, places) not in self.goals:
            made = self.evaluation.new_goal(call.name, source, places)
            self.goals[call.name, source, places] = made
            fresh.append(made)
        return self.goals[call.name, source, places]
