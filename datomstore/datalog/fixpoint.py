"""Fixpoints of cycles of rules.

Is:     goals, which tables need one another, and how the rules of one cycle become bodies over tables.
Is not: a choice of what to ask or how (`rules`), the rounds (`rounds`), or the shorter way of linear cycles (`linear`).
Fits:   `rules` makes one for each cycle and set of arguments that is asked for.
Source: Bancilhon and Ramakrishnan on semi-naive evaluation; Beeri and Ramakrishnan on supplementary magic sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datomstore.datalog._kernel import Table
from datomstore.datalog.check import components, produces
from datomstore.datalog.limits import ADORNMENTS_MAX
from datomstore.datalog.plan import Part, Planner, Stored, bound_places
from datomstore.datalog.rounds import Body, Component
from datomstore.datalog.syntax import Call, Pattern, Rule, Term, all_variables
from datomstore.value import Symbol

if TYPE_CHECKING:
    from datomstore.datalog.rules import Evaluation

Key = tuple[str, Symbol, tuple[int, ...]]  # a rule, its source, and the places of what it is told


class Goal:
    """The answers of one rule over one source for some bound arguments, and what was asked of it."""

    def __init__(self, name: str, source: Symbol, answers: Table, places: Sequence[int]) -> None:
        self.name = name
        self.source = source
        self.places = tuple(places)
        self.answers = answers
        self.asked = Table(len(places)) if places else None

    def told(self, rule: Rule) -> tuple[Symbol, ...]:
        """Return the parameters that the caller binds."""
        return tuple(rule.parameters[place] for place in self.places)


class Fixpoint:
    """Bodies that are answered until nothing is new: those whose tables need one another together, the others in turn."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self._bodies: list[Body] = []
        self._parts: list[Component] | None = None

    def add(
        self,
        planner: Planner,
        head: Table,
        terms: Sequence[Term],
        body: Sequence[Part],
        outside: Sequence[Symbol],
        *,
        eager: bool = False,
    ) -> None:
        """Add a body. `eager`: all answers of rules it calls may be made, since most will be asked for."""
        assert self._parts is None, "it has run"
        self.evaluation.meter.fills(head)
        self._bodies.append(Body(planner, head, terms, body, outside, eager=eager))

    def run(self) -> None:
        """Derive until nothing is new."""
        if self._parts is None:
            self._parts = _arranged(self._bodies)
        for part in self._parts:
            part.run(self.evaluation.meter)

    def tables(self) -> list[Table]:
        """Return the tables that it fills."""
        return [body.head for body in self._bodies]

    def restart(self) -> None:
        """Be as before it ran, with all that was planned."""
        for body in self._bodies:
            body.head.restart()
        for part in self._parts or ():
            part.restart()


def _arranged(bodies: Sequence[Body]) -> list[Component]:
    """Return bodies by the tables they add to, those that others read first."""
    reads: dict[int, list[int]] = {id(body.head): [] for body in bodies}
    for body in bodies:
        tables = (id(part.table) for part in body.stored)
        reads[id(body.head)].extend(table for table in tables if table in reads)
    number = components(reads)
    groups: dict[int, list[Body]] = {}
    for body in bodies:
        groups.setdefault(number[id(body.head)], []).append(body)
    return [Component(groups[place]) for place in sorted(groups)]


class Cycle:
    """Builds the fixpoint of one cycle of rules, from the goal that was asked for."""

    def __init__(self, evaluation: Evaluation, entry: Goal) -> None:
        self.evaluation = evaluation
        self.number = evaluation.program.component[entry.name]
        self.goals = {(entry.name, entry.source, entry.places): entry}
        self.fixpoint = Fixpoint(evaluation)
        waiting = [entry]
        while waiting:
            goal = waiting.pop()
            for rule in evaluation.program.rules[goal.name]:
                waiting.extend(self._add(goal, rule))

    def _add(self, goal: Goal, rule: Rule) -> list[Goal]:
        """Add the variants of a rule; return the goals it is the first to call."""
        planner = Planner(self.evaluation, goal.source)
        if self._finds_nothing(planner, rule):
            return []
        fresh: list[Goal] = []
        body: list[Part] = []
        told = goal.told(rule)
        if goal.asked is not None:
            body.append(Stored(goal.asked, told, rule.form))
        bound = set(told)
        ordered = planner.order(rule.body, told, rule.parameters)
        self.evaluation.program.planned.add(id(rule))
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
        parameters = rule.parameters
        eager = goal.asked is None
        self.fixpoint.add(planner, goal.answers, parameters, body, parameters, eager=eager)
        return fresh

    def _finds_nothing(self, planner: Planner, rule: Rule) -> bool:
        """Return whether a rule whose plan has been made before reads what has no rows at all."""
        if not self.evaluation.is_whole:
            return False
        if id(rule) not in self.evaluation.program.planned:
            return False  # it may be one that cannot be planned, which is an error
        for clause in rule.body:
            if isinstance(clause, Pattern) and not planner.size(clause):
                return True
            if isinstance(clause, Call) and self.evaluation.is_empty(
                clause.name, planner.source_of(clause)
            ):
                return True
        return False

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
