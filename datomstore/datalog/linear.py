"""Linear cycles: rules that hand on what they are not told, followed from each first call.

Is:     the test for such cycles, their fixpoint, and the guess whether following beats asking for all calls together.
Is not: the general way (`fixpoint`).
Fits:   `rules` tries it first.
Source: Naughton, Ramakrishnan, Sagiv and Ullman, Efficient evaluation of right-, left- and multi-linear rules.

In `(path ?a ?b)` from `[?a :edge ?c] (path ?c ?b)`, told ?a, every answer of the inner call is one of the outer's. So it
is enough to follow what each first call leads to (the tables `reached`: what was asked first, what is asked now) and to
take the answers of the rules that call no further. Demand alone would find the answers of every call on the way: of a
long chain the square of its length, here its length. But if many first calls lead through the same ones, each of them
walks the same way again; then asking together may cost less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from datomstore.datalog._kernel import Table
from datomstore.datalog.check import bind
from datomstore.datalog.fixpoint import Fixpoint, Goal, Key
from datomstore.datalog.limits import ADORNMENTS_MAX, SEEDS_MAX
from datomstore.datalog.plan import Planner, Stored, bound_places
from datomstore.datalog.relation import distinct_rows
from datomstore.datalog.syntax import DEFAULT_SOURCE, Call, Clause, Rule, Term, all_variables
from datomstore.intern import Ids
from datomstore.value import Symbol

if TYPE_CHECKING:
    from datomstore.datalog.rules import Evaluation


class Move(NamedTuple):
    """A rule of a linear cycle: what it is told, and the call that it hands all else on to, if it calls."""

    key: Key
    rule: Rule
    rest: list[Clause]  # the body without the call
    callee: Key | None
    wanted: list[Term]  # what the call is told


def linear_moves(evaluation: Evaluation, entry: Goal) -> list[Move] | None:
    """Return the rules of a cycle all of which only hand their unbound arguments on, else None."""
    program = evaluation.program
    number = program.component[entry.name]
    if number not in program.recursive or number in program.inventive:
        return None
    if any(program.best(name) for name, n in program.component.items() if n == number):
        return None
    waiting: list[Key] = [(entry.name, entry.source, entry.places)]
    known = set(waiting)
    moves: list[Move] = []
    while waiting:
        key = waiting.pop()
        for rule in program.rules[key[0]]:
            within = [
                clause
                for clause in rule.body
                if isinstance(clause, Call) and program.component[clause.name] == number
            ]
            if not within:
                moves.append(Move(key, rule, list(rule.body), None, []))
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


def _handed_on(evaluation: Evaluation, key: Key, rule: Rule, within: list[Call]) -> Move | None:
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
    return Move(key, rule, rest, (call.name, source, handed), wanted)


class Following:
    """The fixpoint of a cycle whose rules only hand their unbound arguments on."""

    def __init__(self, evaluation: Evaluation, goal: Goal, moves: Sequence[Move]) -> None:
        assert goal.asked is not None, goal.name
        self.goal = goal
        self.asked = goal.asked
        self.fixpoint = Fixpoint(evaluation)
        seeds = [Symbol(f"?seed {place}") for place in range(len(goal.places))]
        start: Key = (goal.name, goal.source, goal.places)
        self.reached = {start: Table(2 * len(seeds))}
        for move in moves:
            if move.callee is not None and move.callee not in self.reached:
                self.reached[move.callee] = Table(len(seeds) + len(move.wanted))
        first = Stored(self.asked, tuple(seeds), None)
        planner = Planner(evaluation, goal.source)
        self.fixpoint.add(planner, self.reached[start], [*seeds, *seeds], [first], seeds)
        for move in moves:
            self._add(Planner(evaluation, move.key[1]), move, seeds)

    def _add(self, planner: Planner, move: Move, seeds: list[Symbol]) -> None:
        told = [move.rule.parameters[place] for place in move.key[2]]
        state = Stored(self.reached[move.key], (*seeds, *told), move.rule.form)
        body, outside = [state, *move.rest], [*seeds, *move.rule.parameters]
        if move.callee is None:
            passed = [name for name in move.rule.parameters if name not in told]
            terms = _answer_terms(self.goal, seeds, passed)
            self.fixpoint.add(planner, self.goal.answers, terms, body, outside)
        else:
            head = self.reached[move.callee]
            self.fixpoint.add(planner, head, [*seeds, *move.wanted], body, outside)

    def takes(self, columns: Sequence[Ids], count: int) -> bool:
        """Return whether following so many first calls costs no more than asking for all calls together.

        A few are always followed. What they reached tells what to expect of the others: rows for each of them if they
        are followed; if asked together, the answers of each call, of which there are fewer where ways have met.
        """
        if self.asked.count + count <= SEEDS_MAX:
            return True
        if self.asked.count < SEEDS_MAX:
            few = SEEDS_MAX - self.asked.count
            self.asked.add([column[:few] for column in columns], min(few, count))
            self.fixpoint.run()
        followed = self.asked.count
        rows = sum(table.count for table in self.reached.values())
        calls = sum(
            _distinct_calls(table, len(self.goal.places)) for table in self.reached.values()
        )
        expected = rows * (followed + count) / followed
        together = expected if calls > 0.9 * rows else 2.0 * calls
        return expected <= together * max(1.0, self.goal.answers.count / followed)


def _distinct_calls(table: Table, seeds: int) -> int:
    if not table.count:
        return 0
    return len(distinct_rows([table.column(place) for place in range(seeds, table.arity)]))


def _answer_terms(entry: Goal, seeds: list[Symbol], passed: list[Symbol]) -> list[Symbol]:
    """Return an answer of the entry: what was asked of it first, and what was handed on."""
    told, free = iter(seeds), iter(passed)
    arity = range(entry.answers.arity)
    return [next(told) if place in entry.places else next(free) for place in arity]
