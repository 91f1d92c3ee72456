"""Rules to their fixpoint.

Is:     for each cycle of rules a semi-naive fixpoint over tables, callees first, only what is asked for.
Is not: the answer of one body (`steps`).
Fits:   `query` makes one Evaluation for each query.
Source: Bancilhon and Ramakrishnan on semi-naive evaluation; Beeri and Ramakrishnan on magic sets.

A rule that needs some parameters bound (`check.Program.required`) has a second table: the arguments it was asked for.
Its bodies start from there, and calls inside its own cycle add to it. So recursion that counts down, or tests its
arguments before it does anything, ends where its caller's arguments end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from datomstore.datalog.budget import Meter
from datomstore.datalog.check import Program, calls_of
from datomstore.datalog.plan import Part, Planner, Stored
from datomstore.datalog.relation import Relation, Table
from datomstore.datalog.sources import Source
from datomstore.datalog.steps import Delta, Step, column_of, run
from datomstore.datalog.syntax import DEFAULT_SOURCE, Call, Clause, Rule, Term, is_variable
from datomstore.intern import Ids
from datomstore.value import Symbol


class Goal:
    """The answers of one rule over one source, and what was asked of it."""

    def __init__(self, name: str, source: Symbol, arity: int, places: Sequence[int]) -> None:
        self.name = name
        self.source = source
        self.places = list(places)
        self.answers = Table(arity)
        self.asked = Table(len(places)) if places else None


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
        found = run(self.steps, Relation.unit(), meter)
        if found.count:
            self.head.add([column_of(term, found) for term in self.terms], found.count)
        return True


class _Fixpoint:
    """The goals of one cycle."""

    def __init__(self, evaluation: Evaluation, entry: Goal) -> None:
        self.evaluation = evaluation
        self.number = evaluation.program.component[entry.name]
        self.goals = {(entry.name, entry.source): entry}
        self.once: list[_Variant] = []
        self.variants: list[_Variant] = []
        waiting = [entry]
        while waiting:
            goal = waiting.pop()
            for rule in evaluation.program.rules[goal.name]:
                waiting.extend(self._add(goal, rule))

    def _add(self, goal: Goal, rule: Rule) -> list[Goal]:
        """Add the variants of a rule; return the goals it is the first to call."""
        planner = Planner(self.evaluation, goal.source)
        fresh: list[Goal] = []
        asked: list[Part] = []
        if goal.asked is not None:
            terms = tuple(rule.parameters[place] for place in goal.places)
            asked.append(Stored(goal.asked, terms, rule.form))
        outside = rule.parameters
        given = [rule.parameters[place] for place in goal.places]
        ordered = planner.order(rule.body, given, outside)
        body: list[Part] = list(asked)
        for clause in ordered:
            callee = self._callee(planner, clause, fresh)  # type: ignore[arg-type]
            if callee is None:
                body.append(clause)
                continue
            assert isinstance(clause, Call), clause
            if callee.asked is not None:
                wanted = [clause.arguments[place] for place in callee.places]
                self._variants(planner, callee.asked, wanted, list(body), outside)
            body.append(Stored(callee.answers, clause.arguments, clause.form))
        self._variants(planner, goal.answers, rule.parameters, body, outside)
        return fresh

    def _callee(self, planner: Planner, clause: Clause, fresh: list[Goal]) -> Goal | None:
        """Return the goal of a call into this cycle."""
        program = self.evaluation.program
        if not isinstance(clause, Call) or program.component[clause.name] != self.number:
            return None
        key = (clause.name, planner.source_of(clause))
        goal = self.goals.get(key)
        if goal is None:
            goal = self.goals[key] = self.evaluation.new_goal(*key)
            fresh.append(goal)
        return goal

    def _variants(
        self,
        planner: Planner,
        head: Table,
        terms: Sequence[Term],
        body: list[Part],
        outside: Sequence[Symbol],
    ) -> None:
        keep = [term for term in terms if is_variable(term)]
        stored = [part for part in body if isinstance(part, Stored)]
        if not stored:
            steps = planner.steps(planner.order(body, (), outside), (), keep, outside)  # type: ignore[arg-type]
            self.once.append(_Variant(head, terms, steps, None))
        for first in stored:
            rest = [part for part in body if part is not first]
            bound = {term for term in first.terms if is_variable(term)}
            ordered = [first, *planner.order(rest, bound, {*outside, *bound})]  # type: ignore[arg-type]
            steps = planner.steps(ordered, (), keep, outside, delta=True)  # type: ignore[arg-type]
            self.variants.append(_Variant(head, terms, steps, first.table))

    def run(self) -> None:
        """Derive until nothing is new."""
        meter = self.evaluation.meter
        once, self.once = self.once, []
        for variant in once:
            variant.run(meter)
        while any([variant.run(meter) for variant in self.variants]):
            pass


class Evaluation:
    """One program over its sources; keeps the tables of rules while a query runs."""

    def __init__(self, program: Program, sources: dict[Symbol, Source], meter: Meter) -> None:
        self.program = program
        self.sources = sources
        self.meter = meter
        self._goals: dict[tuple[str, Symbol], Goal] = {}
        self._demand: dict[tuple[str, Symbol], tuple[Goal, _Fixpoint]] = {}

    def new_goal(self, name: str, source: Symbol) -> Goal:
        """Return an empty goal."""
        arity = len(self.program.rules[name][0].parameters)
        return Goal(name, source, arity, sorted(self.program.required[name]))

    def complete(self, name: str, source: Symbol) -> Table:
        """Return all answers of a rule that needs nothing bound."""
        if (name, source) not in self._goals:
            for key in self._callees_first(name, source):
                if key not in self._goals:
                    self._complete(*key)
        return self._goals[name, source].answers

    def _complete(self, name: str, source: Symbol) -> None:
        fixpoint = _Fixpoint(self, self.new_goal(name, source))
        fixpoint.run()
        for key, made in fixpoint.goals.items():
            if made.asked is None:
                self._goals[key] = made

    def _callees_first(self, name: str, source: Symbol) -> list[tuple[str, Symbol]]:
        """Return the rules that this one stands on and that need nothing bound, itself last.

        In this order no fixpoint has to start another one, so the depth of strata never becomes one of Python calls.
        """
        found = {(name, source)}
        waiting = [(name, source)]
        while waiting:
            caller, at = waiting.pop()
            for rule in self.program.rules[caller]:
                for clause in rule.body:
                    for call, _ in calls_of(clause):
                        key = (call.name, at if call.source is DEFAULT_SOURCE else call.source)
                        if key not in found:
                            found.add(key)
                            waiting.append(key)
        complete = [key for key in found if not self.program.required[key[0]]]
        return sorted(complete, key=lambda key: self.program.component[key[0]])

    def size(self, name: str, source: Symbol) -> int | None:
        """Return how many answers a rule has, None while they are not known."""
        goal = self._goals.get((name, source))
        return None if goal is None else goal.answers.count

    def demanded(self, name: str, source: Symbol) -> Callable[[list[Ids], int], Table]:
        """Return a function from asked arguments to a table that has at least their answers."""

        def answer(columns: list[Ids], count: int) -> Table:
            found = self._demand.get((name, source))
            if found is None:
                goal = self.new_goal(name, source)
                found = self._demand[name, source] = (goal, _Fixpoint(self, goal))
            goal, fixpoint = found
            assert goal.asked is not None, name
            goal.asked.add(columns, count)
            fixpoint.run()
            return goal.answers

        return answer
