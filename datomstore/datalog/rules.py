"""Rules: what is asked of them, and how that is answered.

Is:     the choice between all answers and those to what is asked; each rule's tables while one query runs.
Is not: the rounds of a fixpoint (`fixpoint`, `linear`), or the answer of one body (`steps`).
Fits:   `query` makes one Evaluation for each query.
Source: Beeri and Ramakrishnan, On the power of magic.

A call some of whose arguments are bound (constants, or variables that have values by then) tells the rule their
values: the goal has a second table, of what was asked. Its bodies start from there, and calls inside its own cycle
add to it. So `(path 1000 ?b)` walks from 1000, and recursion that counts down ends where its caller's arguments end.
Some rules need it (`check.Program.required`); for the others all answers are made once most have been asked for.

Negation stays sound: a `not` only ever asks rules of lower strata, and those answer completely what they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter, Overrun
from datomstore.datalog.check import Program, calls_of
from datomstore.datalog.fixpoint import Cycle, Fixpoint, Goal, Key
from datomstore.datalog.lattice import table_of
from datomstore.datalog.limits import ASKED_PART, ASKED_ROWS_MIN, KEPT_BYTES_MAX, NESTED_MAX
from datomstore.datalog.linear import Following, linear_moves
from datomstore.datalog.plan import Planner
from datomstore.datalog.sources import Source
from datomstore.datalog.syntax import DEFAULT_SOURCE, Pattern
from datomstore.intern import Ids
from datomstore.value import Symbol


class _Demand:
    """A rule for given arguments."""

    def __init__(self, evaluation: Evaluation, key: Key) -> None:
        self.evaluation = evaluation
        self.goal = evaluation.new_goal(*key)
        self.fixpoint: Fixpoint | None = None
        followed = evaluation.new_goal(*key)
        moves = linear_moves(evaluation, followed)
        self.following = None if moves is None else Following(evaluation, followed, moves)

    def asked(self) -> int:
        """Return how many arguments were given so far."""
        assert self.goal.asked is not None, self.goal.name
        return self.goal.asked.count + (self.following.asked.count if self.following else 0)

    def fixpoints(self) -> list[Fixpoint]:
        """Return what has been run, perhaps."""
        made = [self.fixpoint] if self.fixpoint is not None else []
        return made if self.following is None else [*made, self.following.fixpoint]

    def restart(self) -> None:
        """Be as before the first call."""
        for fixpoint in self.fixpoints():
            fixpoint.restart()
        for goal in (self.goal, *((self.following.goal,) if self.following else ())):
            assert goal.asked is not None, goal.name
            goal.asked.restart()
            goal.answers.restart()

    def answer(self, columns: list[Ids], count: int) -> Table:
        """Return a table that has at least the answers for these arguments."""
        following = self.following
        if self.fixpoint is None and following is not None and following.takes(columns, count):
            goal, fixpoint = following.goal, following.fixpoint
        else:
            if self.fixpoint is None:
                self.fixpoint = Cycle(self.evaluation, self.goal).fixpoint
            goal, fixpoint = self.goal, self.fixpoint
        assert goal.asked is not None, goal.name
        goal.asked.add(columns, count)
        self.evaluation.run(fixpoint)
        return goal.answers.settled()


class Evaluation:
    """One program over its sources; keeps the tables of rules while a query runs.

    Args:
        whole: answer every rule for all arguments, callees first: for programs all of whose answers are wanted.
        cautious: answer clauses in the order they are written in, since a function failed in another one.
    """

    def __init__(
        self,
        program: Program,
        sources: dict[Symbol, Source],
        meter: Meter,
        *,
        whole: bool = False,
        cautious: bool = False,
    ) -> None:
        self.program = program
        self.sources = sources
        self.meter = meter
        self.cautious = cautious
        self._whole = whole
        self._depth = 0
        self._goals: dict[tuple[str, Symbol], Goal] = {}
        self._cycles: dict[tuple[str, Symbol], Cycle] = {}  # whole answers, that are all there
        self._demand: dict[Key, _Demand] = {}
        self._sizes: dict[tuple[str, Symbol], int] = {}
        self._firsts: dict[tuple[str, Symbol], int] = {}
        self._dear: set[tuple[str, Symbol]] = set()  # rules that all answers of are too much

    # -- one query after another --

    def end(self) -> bool:
        """Empty all tables for another run; False if this one is not worth being kept, or has rows that gave way."""
        if any(self.program.best(name) for name in self.program.rules):
            return False
        fixpoints = self._fixpoints()
        if sum(t.size for made in fixpoints for t in made.tables()) > KEPT_BYTES_MAX:
            return False
        for cycle in self._cycles.values():
            cycle.fixpoint.restart()
        for demand in self._demand.values():
            demand.restart()
        self._goals.clear()
        self._depth = 0
        return True

    def let_go(self) -> None:
        """Forget all tables and plans. They hold one another and this, so they would wait for the cycle collector."""
        self._goals.clear()
        self._cycles.clear()
        self._demand.clear()

    def begin(self, meter: Meter) -> None:
        """Be run for another query."""
        self.meter = meter
        if meter.memory is not None:
            for fixpoint in self._fixpoints():
                for table in fixpoint.tables():
                    meter.fills(table)

    def _fixpoints(self) -> list[Fixpoint]:
        made = [cycle.fixpoint for cycle in self._cycles.values()]
        return made + [part for demand in self._demand.values() for part in demand.fixpoints()]

    # -- what planners ask --

    def required(self, name: str) -> tuple[int, ...]:
        """Return the arguments that a rule cannot do without."""
        return tuple(sorted(self.program.required[name]))

    def places(self, name: str, bound: Sequence[int]) -> tuple[int, ...]:
        """Return which of the bound arguments a call tells its rule.

        A cycle that makes new values may need the order its rules are written for to come to an end, so it is told
        only what it cannot do without.
        """
        if self._whole or self.program.component[name] in self.program.inventive:
            return self.required(name)
        best = self.program.best(name)
        return tuple(place for place in bound if best is None or place != best[0])

    def size(self, name: str, source: Symbol) -> int:
        """Return about how many answers a rule has: while they are not known, more than the facts it reads."""
        goal = self._goals.get((name, source))
        return goal.answers.count if goal is not None else 4 * self._facts_read(name, source)

    def _facts_read(self, name: str, source: Symbol) -> int:
        """Return the size of the largest pattern that a rule stands on."""
        found = self._sizes.get((name, source))
        if found is None:
            planner = Planner(self, source)
            patterns = [
                clause
                for caller in self.program.reach(name)
                for rule in self.program.rules[caller]
                for clause in rule.body
                if isinstance(clause, Pattern)
            ]
            sizes = (planner.size(pattern) for pattern in patterns)
            found = self._sizes[name, source] = max(sizes, default=0)
        return found

    @property
    def is_whole(self) -> bool:
        """Return whether every rule is answered for all arguments, those it calls first."""
        return self._whole

    def is_empty(self, name: str, source: Symbol) -> bool:
        """Return whether all answers of a rule are there, and are none."""
        goal = self._goals.get((name, source))
        return goal is not None and not goal.answers.count

    def _found_first(self, name: str, source: Symbol) -> int:
        """Return how many rows the smallest patterns of a rule's bodies have: what its answers are made from."""
        found = self._firsts.get((name, source))
        if found is None:
            planner, most = Planner(self, source), self._facts_read(name, source)
            found = 0
            for rule in self.program.rules[name]:
                sizes = [
                    planner.size(clause) for clause in rule.body if isinstance(clause, Pattern)
                ]
                found += min(sizes, default=most)
            self._firsts[name, source] = found
        return found

    def forget_asked(self) -> None:
        """Ask rules anew from now on: some may have been left in the middle of a round."""
        self._demand.clear()

    # -- whole answers --

    def new_goal(self, name: str, source: Symbol, places: Sequence[int]) -> Goal:
        """Return an empty goal."""
        first = self.program.rules[name][0]
        return Goal(name, source, table_of(len(first.parameters), first.best), places)

    def complete(self, name: str, source: Symbol) -> Table:
        """Return all answers of a rule that needs nothing bound."""
        found = self._goals.get((name, source))
        if found is not None:
            return found.answers
        if self._whole or self._depth >= NESTED_MAX:
            for key in self._callees_first(name, source):
                if key not in self._goals:
                    self._complete(*key)
        else:
            self._complete(name, source)
        return self._goals[name, source].answers

    def whole(self, name: str, source: Symbol, *, eager: bool) -> Table | None:
        """Return all answers of a rule if they are there, or, if `eager`, can be had without too much work."""
        found = self._goals.get((name, source))
        if found is not None:
            return found.answers
        number, recursive = self.program.component[name], self.program.recursive
        if not eager or self.cautious or self.program.required[name] or number in recursive:
            return None
        return self._tried_whole(name, source)

    def _tried_whole(self, name: str, source: Symbol) -> Table | None:
        """Return all answers of a rule without recursion, None if they take many more rows than there are facts."""
        if (name, source) in self._dear or self._depth >= NESTED_MAX:
            return None
        try:
            with self.meter.within(max(ASKED_ROWS_MIN, 2 * self._facts_read(name, source))):
                return self.complete(name, source)
        except Overrun:
            self.forget_asked()
            self._dear.add((name, source))
            return None

    def _complete(self, name: str, source: Symbol) -> None:
        # One that is left in the middle is not used again.
        cycle = self._cycles.pop((name, source), None)
        if cycle is None:
            cycle = Cycle(self, self.new_goal(name, source, ()))
        self.run(cycle.fixpoint)
        self._cycles[name, source] = cycle
        for key, made in cycle.goals.items():
            if made.asked is None:
                made.answers = made.answers.settled()
                made.answers.finish()
                self._goals[key[:2]] = made

    def run(self, fixpoint: Fixpoint) -> None:
        """Derive until nothing is new, counting how many fixpoints wait for this one."""
        self._depth += 1
        try:
            fixpoint.run()
        finally:
            self._depth -= 1

    def _callees_first(self, name: str, source: Symbol) -> list[tuple[str, Symbol]]:
        """Return the rules that this one stands on and that need nothing bound, itself last.

        In this order no fixpoint has to start another one, so the depth of strata never becomes one of Python calls.
        """
        kept = self.program.callees.get((name, source))
        if kept is not None:
            return kept
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
        ordered = sorted(complete, key=lambda key: self.program.component[key[0]])
        self.program.callees[name, source] = ordered
        return ordered

    # -- answers for some arguments --

    def demanded(
        self, name: str, source: Symbol, places: tuple[int, ...]
    ) -> Callable[[list[Ids], int], Table]:
        """Return a function from asked arguments to a table that has at least their answers."""

        def answer(columns: list[Ids], count: int) -> Table:
            whole = self._goals.get((name, source))
            if whole is not None:
                return whole.answers
            key = (name, source, places)
            demand = self._demand.get(key)
            if demand is None:
                demand = self._demand[key] = _Demand(self, key)
            if self.program.required[name]:
                return demand.answer(columns, count)
            if self._prefer_whole(demand, count):
                return self.complete(name, source)
            if self.program.component[name] in self.program.recursive:
                return demand.answer(columns, count)
            if (demand.asked() + count) * ASKED_PART > self._found_first(name, source):
                tried = self._tried_whole(name, source)
                if tried is not None:
                    return tried
            return self._tried(demand, columns, count)

        return answer

    def _tried(self, demand: _Demand, columns: list[Ids], count: int) -> Table:
        """Return the answers to what is asked, or all answers where those to what is asked take more rows than there are facts.

        A rule may look facts up by values that many of them have: then asking it for some arguments makes more rows
        than all its answers do.
        """
        goal = demand.goal
        try:
            with self.meter.within(max(ASKED_ROWS_MIN, self._facts_read(goal.name, goal.source))):
                return demand.answer(columns, count)
        except Overrun:
            self.forget_asked()
            return self.complete(goal.name, goal.source)

    def _prefer_whole(self, demand: _Demand, count: int) -> bool:
        """Return whether a rule is asked for so much that answering all of it costs less, or is nested too deeply."""
        if self.cautious or self._whole:
            return self._whole
        most = self._facts_read(demand.goal.name, demand.goal.source)
        return self._depth >= NESTED_MAX or (demand.asked() + count) * ASKED_PART > most
