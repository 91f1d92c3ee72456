"""Rules to their fixpoint.

Is:     for each cycle of rules a semi-naive fixpoint over tables: of all answers, or of those to what is asked.
Is not: the answer of one body (`steps`).
Fits:   `query` makes one Evaluation for each query.
Source: Bancilhon and Ramakrishnan on semi-naive evaluation; Beeri and Ramakrishnan on (supplementary) magic sets.

A call some of whose arguments are bound (constants, or variables that have values by then) tells the rule their
values: the goal has a second table, of what was asked. Its bodies start from there, and calls inside its own cycle
add to it. So `(path 1000 ?b)` walks from 1000, and recursion that counts down ends where its caller's arguments end.
Some rules need it (`check.Program.required`); for the others all answers are made once most have been asked for.

Negation stays sound: a `not` only ever asks rules of lower strata, and those answer completely what they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from datomstore.datalog.budget import Meter
from datomstore.datalog.check import Program, bind, calls_of, produces
from datomstore.datalog.limits import ADORNMENTS_MAX, ASKED_PART, NESTED_MAX, SEEDS_MAX
from datomstore.datalog.plan import Part, Planner, Stored, bound_places
from datomstore.datalog.relation import Relation, Table
from datomstore.datalog.sources import Source
from datomstore.datalog.steps import Delta, Step, column_of, run
from datomstore.datalog.syntax import (
    DEFAULT_SOURCE,
    Call,
    Clause,
    Pattern,
    Rule,
    Term,
    all_variables,
    is_variable,
)
from datomstore.intern import Ids
from datomstore.value import Symbol


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


class _Cycle:
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


Key = tuple[str, Symbol, tuple[int, ...]]  # a rule, its source, and the places of what it is told


class _Move(NamedTuple):
    """A rule of a linear cycle: what it is told, and the call that it hands all else on to, if it calls."""

    key: Key
    rule: Rule
    rest: list[Clause]  # the body without the call
    callee: Key | None
    wanted: list[Term]  # what the call is told


def _linear_moves(evaluation: Evaluation, entry: Goal) -> list[_Move] | None:
    """Return the rules of a cycle all of which only hand their unbound arguments on, else None."""
    program = evaluation.program
    number = program.component[entry.name]
    if number not in program.recursive or number in program.inventive:
        return None
    waiting: list[Key] = [(entry.name, entry.source, entry.places)]
    known = set(waiting)
    moves: list[_Move] = []
    while waiting:
        key = waiting.pop()
        for rule in program.rules[key[0]]:
            within = [
                clause
                for clause in rule.body
                if isinstance(clause, Call) and program.component[clause.name] == number
            ]
            if not within:
                moves.append(_Move(key, rule, list(rule.body), None, []))
                continue
            move = _handed_on(evaluation, key, rule, within)
            if move is None or move.callee is None:
                return None
            moves.append(move)
            if move.callee not in known:
                known.add(move.callee)
                waiting.append(move.callee)
                if len(known) > ADORNMENTS_MAX:
                    return None
    return moves


def _handed_on(evaluation: Evaluation, key: Key, rule: Rule, within: list[Call]) -> _Move | None:
    """Return the move of a rule whose one call into its cycle is handed all that the rule is not told."""
    call, required = within[0], evaluation.program.required
    rest = [clause for clause in rule.body if clause is not call]
    told = {rule.parameters[place] for place in key[2]}
    passed = [name for name in rule.parameters if name not in told]
    reached, stuck = bind(rest, told, required, set(rule.parameters))
    handed = bound_places(call, reached)
    others = [term for place, term in enumerate(call.arguments) if place not in handed]
    used = {name for clause in rest for name in all_variables(clause)}
    if len(within) > 1 or stuck or not handed or others != passed or used & set(passed):
        return None
    if not required[call.name] <= set(handed):
        return None
    source = key[1] if call.source is DEFAULT_SOURCE else call.source
    wanted = [call.arguments[place] for place in handed]
    return _Move(key, rule, rest, (call.name, source, handed), wanted)


def _linear_fixpoint(evaluation: Evaluation, entry: Goal, moves: Sequence[_Move]) -> Fixpoint:
    """Return the fixpoint of a cycle whose rules only hand their unbound arguments on.

    In `(path ?a ?b)` from `[?a :edge ?c] (path ?c ?b)`, told ?a, every answer of the inner call is one of the outer's.
    So it is enough to follow what each first call leads to (the tables `reached`: what was asked first, what is asked
    now) and to take the answers of the rules that call no further. Demand alone would find the answers of every call
    on the way: of a long chain the square of its length, here its length.

    Source: Naughton, Ramakrishnan, Sagiv and Ullman, Efficient evaluation of right-, left- and multi-linear rules.
    """
    assert entry.asked is not None, entry.name
    fixpoint = Fixpoint(evaluation.meter)
    seeds = [Symbol(f"?seed {place}") for place in range(len(entry.places))]
    start: Key = (entry.name, entry.source, entry.places)
    reached = {start: Table(2 * len(seeds))}
    for move in moves:
        if move.callee is not None and move.callee not in reached:
            reached[move.callee] = Table(len(seeds) + len(move.wanted))
    asked = Stored(entry.asked, tuple(seeds), None)
    fixpoint.add(
        Planner(evaluation, entry.source), reached[start], [*seeds, *seeds], [asked], seeds
    )
    for move in moves:
        planner = Planner(evaluation, move.key[1])
        told = [move.rule.parameters[place] for place in move.key[2]]
        body = [Stored(reached[move.key], (*seeds, *told), move.rule.form), *move.rest]
        outside = [*seeds, *move.rule.parameters]
        if move.callee is None:
            terms = _answer_terms(entry, seeds, [n for n in move.rule.parameters if n not in told])
            fixpoint.add(planner, entry.answers, terms, body, outside)
        else:
            fixpoint.add(planner, reached[move.callee], [*seeds, *move.wanted], body, outside)
    return fixpoint


def _answer_terms(entry: Goal, seeds: list[Symbol], passed: list[Symbol]) -> list[Symbol]:
    """Return an answer of the entry: what was asked of it first, and what was handed on."""
    told, free = iter(seeds), iter(passed)
    arity = range(entry.answers.arity)
    return [next(told) if place in entry.places else next(free) for place in arity]


class _Demand:
    """A rule for given arguments: few of them are followed one by one if its cycle is linear, else all together."""

    def __init__(self, evaluation: Evaluation, key: Key) -> None:
        self.evaluation = evaluation
        self.goal = evaluation.new_goal(*key)
        self.fixpoint: Fixpoint | None = None
        self.followed = evaluation.new_goal(*key)
        self.moves = _linear_moves(evaluation, self.followed)
        self.following: Fixpoint | None = None

    def asked(self) -> int:
        """Return how many arguments were given so far."""
        return sum(g.asked.count for g in (self.goal, self.followed) if g.asked is not None)

    def answer(self, columns: list[Ids], count: int) -> Table:
        """Return a table that has at least the answers for these arguments."""
        goal, fixpoint = self._choose(count)
        assert goal.asked is not None, goal.name
        goal.asked.add(columns, count)
        self.evaluation.run(fixpoint)
        return goal.answers

    def _choose(self, count: int) -> tuple[Goal, Fixpoint]:
        assert self.followed.asked is not None, self.followed.name
        if self.moves is not None and self.followed.asked.count + count <= SEEDS_MAX:
            if self.following is None:
                self.following = _linear_fixpoint(self.evaluation, self.followed, self.moves)
            return self.followed, self.following
        if self.fixpoint is None:
            self.fixpoint = _Cycle(self.evaluation, self.goal).fixpoint
        return self.goal, self.fixpoint


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
        self._demand: dict[Key, _Demand] = {}
        self._sizes: dict[tuple[str, Symbol], int] = {}

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
        return tuple(bound)

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

    # -- whole answers --

    def new_goal(self, name: str, source: Symbol, places: Sequence[int]) -> Goal:
        """Return an empty goal."""
        return Goal(name, source, len(self.program.rules[name][0].parameters), places)

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

    def _complete(self, name: str, source: Symbol) -> None:
        cycle = _Cycle(self, self.new_goal(name, source, ()))
        self.run(cycle.fixpoint)
        for key, made in cycle.goals.items():
            if made.asked is None:
                self._goals[key[:2]] = made

    def run(self, fixpoint: Fixpoint) -> None:
        """Derive until nothing is new, counting how many fixpoints wait for this one."""
        self._depth += 1
        fixpoint.run()
        self._depth -= 1

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
            if not self.program.required[name] and self._prefer_whole(demand, count):
                return self.complete(name, source)
            return demand.answer(columns, count)

        return answer

    def _prefer_whole(self, demand: _Demand, count: int) -> bool:
        """Return whether a rule is asked for so much that answering all of it costs less, or is nested too deeply."""
        if self.cautious or self._whole:
            return self._whole
        most = self._facts_read(demand.goal.name, demand.goal.source)
        return self._depth >= NESTED_MAX or (demand.asked() + count) * ASKED_PART > most
