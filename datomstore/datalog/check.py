"""Meaning of rules before any data: what each needs bound, what each stands on, what may not be negated.

Is:     `or` and derived attributes turned into rules, names and arities resolved, required parameters found, negation in cycles refused.
Is not: an order of clauses (`plan`).
Fits:   `query` makes one Program for each query and rule set and keeps it.
Source: Tarjan's strongly connected components; stratified negation after Apt, Blair and Walker.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import TypeVar

from datomstore.datalog.builtins import CLOSED_FUNCTIONS, FUNCTIONS, SOURCE_FUNCTIONS
from datomstore.datalog.errors import QueryError
from datomstore.datalog.lattice import refuse_disorder, values_from
from datomstore.datalog.standard import PREFIX, standard_rules
from datomstore.datalog.syntax import (
    CLAUSES_KEPT,
    DEFAULT_SOURCE,
    Apply,
    Call,
    Clause,
    Not,
    Or,
    Pattern,
    Rule,
    Rules,
    all_variables,
    binding_variables,
    inputs_of,
    positive_variables,
)
from datomstore.datalog.views import NO_VIEWS, Views, shown
from datomstore.value import Symbol

KNOWN = FUNCTIONS.keys() | SOURCE_FUNCTIONS


class Program:
    """A query body and the rules it reaches, ready to be planned."""

    def __init__(
        self,
        where: Sequence[Clause],
        found: Iterable[Symbol],
        bound: Iterable[Symbol],
        rules: Rules,
        views: Views = NO_VIEWS,
    ) -> None:
        self.rules: dict[str, tuple[Rule, ...]] = {}
        self.orders: dict[object, tuple[int, ...]] = {}  # what planners have decided
        # What `rules` answers before a rule, itself last.
        self.callees: dict[tuple[str, Symbol], list[tuple[str, Symbol]]] = {}
        self.planned: set[int] = set()  # rules, by identity, for which there was an order
        self._given = rules
        self._views = views
        self._made = 0
        self.bound = frozenset(bound)
        self.found = frozenset(found)
        self.where = self._lift(where, self.found | self.bound)
        self._reach(self.where)
        self.component = _components(self.rules)
        self._refuse_negation_in_cycles()
        self.recursive = self._recursive()
        refuse_disorder(self.rules, self.component, self.recursive)
        self.inventive = self._inventive()
        self._reached: dict[str, frozenset[str]] = {}
        self.required: dict[str, frozenset[int]] = self._required()
        self._refuse_unbound_best()
        self._check_query()

    # -- or becomes rules --

    def _lift(self, clauses: Sequence[Clause], outside: frozenset[Symbol]) -> tuple[Clause, ...]:
        """Return the clauses with every `or` replaced by a call of a rule made for it."""
        lifted: list[Clause] = []
        for place, clause in enumerate(clauses):
            if isinstance(clause, Pattern):
                clause = self._views.asked(clause)
            elif isinstance(clause, (Or, Not)):
                others = set(outside)
                for other_place, other in enumerate(clauses):
                    if other_place != place:
                        others |= all_variables(other)
                clause = self._lift_one(clause, frozenset(others))
            lifted.append(clause)
        return tuple(lifted)

    def _lift_one(self, clause: Or | Not, outside: frozenset[Symbol]) -> Clause:
        if isinstance(clause, Not):
            inside = frozenset(clause.variables) if clause.variables is not None else outside
            return Not(clause.variables, self._lift(clause.body, inside), clause.form)
        names = tuple(clause.variables or self._or_variables(clause, outside))
        self._made += 1
        name = f"or {self._made}"  # no rule that is read from text has a space in its name
        rules = []
        for branch in clause.branches:
            body = self._lift(branch, frozenset(names))
            rules.append(Rule(name, names, clause.required, body, clause.form))
        self.rules[name] = tuple(rules)
        return Call(DEFAULT_SOURCE, name, names, clause.form)

    def _or_variables(self, clause: Or, outside: frozenset[Symbol]) -> list[Symbol]:
        union = positive_variables(clause)
        for branch in clause.branches:
            names = {name for part in branch for name in all_variables(part)}
            if not union <= names:
                missing = ", ".join(sorted(name.name for name in union - names))
                raise QueryError(
                    "query/or-variables",
                    f"a branch of or does not mention {missing}; use or-join",
                    clause.form,
                )
        return sorted(union | (all_variables(clause) & outside))

    # -- names and cycles --

    def _reach(self, where: Sequence[Clause]) -> None:
        waiting = [
            *where,
            *(clause for rules in self.rules.values() for r in rules for clause in r.body),
        ]
        while waiting:
            clause = waiting.pop()
            if isinstance(clause, Not):
                waiting.extend(clause.body)
            elif isinstance(clause, Call):
                waiting.extend(self._called(clause))
            elif isinstance(clause, Apply) and clause.function not in KNOWN:
                raise QueryError(
                    "query/unknown-function", f"no function {clause.function}", clause.form
                )

    def _called(self, call: Call) -> Iterator[Clause]:
        """Yield the clauses of a rule that is called for the first time."""
        known = self.rules.get(call.name)
        if known is None:
            given = (
                self._given.by_name.get(call.name)
                or standard_rules().get(call.name)
                or self._views.rules.get(call.name)
            )
            if given is None:
                raise QueryError("query/unknown-rule", f"no rule {call.name}", call.form)
            self.rules[call.name] = ()
            before = set(self.rules)
            known = tuple(
                Rule(
                    r.name,
                    r.parameters,
                    r.required,
                    self._lift(r.body, frozenset(r.parameters)),
                    r.form,
                    r.best,
                )
                for r in given
            )
            self.rules[call.name] = known
            for name in {call.name, *(set(self.rules) - before)}:
                for rule in self.rules[name]:
                    yield from rule.body
        if known and len(known[0].parameters) != len(call.arguments):
            raise QueryError(
                "query/arity",
                f"rule {call.name} takes {len(known[0].parameters)} arguments",
                call.form,
            )

    def _refuse_negation_in_cycles(self) -> None:
        for name, rules in self.rules.items():
            for rule in rules:
                for clause in rule.body:
                    for call, negation in calls_of(clause):
                        if (
                            negation is not None
                            and self.component[call.name] == self.component[name]
                        ):
                            raise QueryError(
                                "query/negation-in-cycle",
                                f"{_shown(name)} depends on its own negation through {_shown(call.name)}",
                                negation.form,
                            )

    def _refuse_unbound_best(self) -> None:
        """Raise QueryError for a min or max that a caller would have to tell."""
        for name, rules in self.rules.items():
            for rule in rules:
                if rule.best is not None and rule.best[0] in self.required[name]:
                    raise QueryError(
                        "query/unbound",
                        f"nothing binds {rule.parameters[rule.best[0]].name}",
                        rule.form,
                    )

    def best(self, name: str) -> tuple[int, str] | None:
        """Return the place and the function of the argument of a rule that is a min or max."""
        rules = self.rules[name]
        return rules[0].best if rules else None

    def _recursive(self) -> frozenset[int]:
        """Return the numbers of the cycles that are more than one rule that calls itself no further."""
        return frozenset(
            self.component[name]
            for name, rules in self.rules.items()
            for rule in rules
            for clause in rule.body
            if isinstance(clause, Call) and self.component[clause.name] == self.component[name]
        )

    def _inventive(self) -> frozenset[int]:
        """Return the numbers of the cycles whose functions could make new values in every round."""
        return frozenset(
            self.component[name]
            for name, rules in self.rules.items()
            if self.component[name] in self.recursive
            for rule in rules
            for clause in rule.body
            if isinstance(clause, Apply)
            and clause.binding is not None
            and clause.function not in CLOSED_FUNCTIONS
            and not binding_variables(clause.binding) <= self._values(name, rule)
        )

    def _values(self, name: str, rule: Rule) -> set[Symbol]:
        """Return the variables that hold a min or max: of these only the best stay, so they come to an end."""
        number = self.component[name]
        return values_from(
            rule,
            {n: r[0].best for n, r in self.rules.items() if r and self.component[n] == number},
        )

    def reach(self, name: str) -> frozenset[str]:
        """Return a rule and all that it stands on."""
        found = self._reached.get(name)
        if found is None:
            names, waiting = {name}, [name]
            while waiting:
                for rule in self.rules[waiting.pop()]:
                    fresh = {c.name for part in rule.body for c, _ in calls_of(part)} - names
                    names |= fresh
                    waiting.extend(fresh)
            found = self._reached[name] = frozenset(names)
        return found

    # -- what must be bound --

    def _required(self) -> dict[str, frozenset[int]]:
        required = {
            name: frozenset(
                place
                for rule in rules
                for place, parameter in enumerate(rule.parameters)
                if parameter in rule.required
            )
            for name, rules in self.rules.items()
        }
        cycles: dict[int, list[str]] = {}
        for name, number in self.component.items():
            cycles.setdefault(number, []).append(name)
        for number in sorted(cycles):  # callees first
            while self._need_more(cycles[number], required):
                pass
        return required

    def _need_more(self, names: Sequence[str], required: dict[str, frozenset[int]]) -> bool:
        """Add what the rules of one cycle need; return whether that was more than was known."""
        changed = False
        for name in names:
            for rule in self.rules[name]:
                more = self._needs(rule, required)
                if not more <= required[name]:
                    required[name] |= more
                    changed = True
        return changed

    def _needs(self, rule: Rule, required: dict[str, frozenset[int]]) -> frozenset[int]:
        """Return the parameters that the caller must bind so that every clause can be answered."""
        parameters = set(rule.parameters)
        bound = {rule.parameters[place] for place in required[rule.name]}
        while True:
            reached, stuck = bind(rule.body, bound, required, parameters)
            if not stuck and parameters <= reached:
                return frozenset(p for p, name in enumerate(rule.parameters) if name in bound)
            wanted = {
                n for clause in stuck for n in waits_for(clause, required, rule.body, parameters)
            }
            wanted = (wanted & parameters) - reached
            # What a stuck clause binds once it goes on need not come from the caller.
            more = wanted.difference(*map(produces, stuck))
            more = more or self._enough(rule, bound, wanted, required)
            if not more:
                more = parameters - reached if not stuck else set()
            if not more:
                raise unbound(stuck[0], reached, required, rule.body)
            bound |= more

    def _enough(
        self,
        rule: Rule,
        bound: set[Symbol],
        wanted: set[Symbol],
        required: dict[str, frozenset[int]],
    ) -> set[Symbol]:
        """Return one of the variables that clauses wait for in turn, if it sets all of them going; otherwise all.

        What the query is given comes first: it is what an `or` gets.
        """
        for name in sorted(wanted, key=lambda n: (n not in self.bound, rule.parameters.index(n))):
            if not bind(rule.body, bound | {name}, required, set(rule.parameters))[1]:
                return {name}
        return wanted

    def _check_query(self) -> None:
        reached, stuck = bind(self.where, set(self.bound), self.required, set(self.found))
        if stuck:
            raise unbound(stuck[0], reached, self.required, self.where)
        missing = self.found - reached
        if missing:
            names = ", ".join(sorted(name.name for name in missing))
            raise QueryError("query/unbound", f"nothing binds {names} of :find or :with")
        self._check_negations(self.where, self.found | self.bound)
        for rules in self.rules.values():
            for rule in rules:
                self._check_negations(rule.body, frozenset(rule.parameters))

    def _check_negations(self, body: Sequence[Clause], outside: frozenset[Symbol]) -> None:
        """Refuse a `not` whose own variables nothing binds, whether or not it is ever asked."""
        for clause in body:
            if isinstance(clause, Not):
                shared = shared_variables(clause, body, outside)
                reached, stuck = bind(clause.body, shared, self.required, shared)
                if stuck:
                    raise unbound(stuck[0], reached, self.required, clause.body)
                self._check_negations(clause.body, frozenset(shared))


def calls_of(clause: Clause, negation: Not | None = None) -> Iterator[tuple[Call, Not | None]]:
    """Yield the rule calls in a clause with the `not` they stand in."""
    if isinstance(clause, Call):
        yield clause, negation
    elif isinstance(clause, Not):
        for part in clause.body:
            yield from calls_of(part, clause)


def bind(
    body: Sequence[Clause],
    bound: set[Symbol],
    required: dict[str, frozenset[int]],
    outside: set[Symbol],
) -> tuple[set[Symbol], list[Clause]]:
    """Return the variables that the body binds, starting from some, and the clauses that cannot be answered."""
    reached = set(bound)
    waiting = [(clause, waits_for(clause, required, body, outside)) for clause in body]
    while True:
        later = []
        for clause, needed in waiting:
            if needed <= reached:
                reached |= produces(clause)
            else:
                later.append((clause, needed))
        if not later or len(later) == len(waiting):
            return reached, [clause for clause, _ in later]
        waiting = later


def waits_for(
    clause: Clause,
    required: dict[str, frozenset[int]],
    body: Sequence[Clause],
    outside: Iterable[Symbol],
) -> Set[Symbol]:
    """Return the variables that must be bound before a clause can be answered."""
    if isinstance(clause, Apply):
        return inputs_of(clause)
    if isinstance(clause, Call):
        needed = (clause.arguments[place] for place in required[clause.name])
        # Nothing ever binds BLANK, so that it stands in the error.
        return {term for term in needed if isinstance(term, Symbol)}
    if isinstance(clause, Not):
        return shared_variables(clause, body, outside)
    return set()


def shared_variables(clause: Not, body: Sequence[Clause], outside: Iterable[Symbol]) -> set[Symbol]:
    """Return the variables that a `not` shares with what stands around it; its others are existential."""
    if clause.variables is not None:
        return set(clause.variables)
    others = set(outside)
    for other in body:
        if other is not clause:
            others |= positive_variables(other)
    return others & all_variables(clause)


@lru_cache(CLAUSES_KEPT)
def produces(clause: Clause) -> frozenset[Symbol]:
    """Return the variables that are bound once a clause has been answered."""
    if isinstance(clause, Apply):
        return frozenset(binding_variables(clause.binding))
    if isinstance(clause, (Pattern, Call)):
        return positive_variables(clause)
    return frozenset()


def unbound(
    clause: Clause,
    reached: set[Symbol],
    required: dict[str, frozenset[int]],
    body: Sequence[Clause],
) -> QueryError:
    """Return the error for a clause whose variables nothing binds."""
    missing = waits_for(clause, required, body, ()) - reached or all_variables(clause) - reached
    names = ", ".join(sorted(name.name for name in missing))
    return QueryError("query/unbound", f"nothing binds {names}", clause.form)


def _shown(name: str) -> str:
    return "an or" if name.startswith("or ") else shown(name.removeprefix(PREFIX))


def _components(rules: dict[str, tuple[Rule, ...]]) -> dict[str, int]:
    """Return for each rule name the number of its cycle; callees have lower numbers than callers."""
    return components(
        {
            name: [
                call.name for rule in group for clause in rule.body for call, _ in calls_of(clause)
            ]
            for name, group in rules.items()
        }
    )


K = TypeVar("K", bound=Hashable)


def components(callees: Mapping[K, Sequence[K]]) -> dict[K, int]:
    """Return the number of each node's strongly connected component; callees have lower numbers than callers."""
    order: dict[K, int] = {}
    low: dict[K, int] = {}
    stack: list[K] = []
    component: dict[K, int] = {}
    for root in callees:
        if root in order:
            continue
        work = [(root, iter(callees[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        while work:
            name, rest = work[-1]
            for callee in rest:
                if callee not in order:
                    order[callee] = low[callee] = len(order)
                    stack.append(callee)
                    work.append((callee, iter(callees[callee])))
                    break
                if callee not in component:
                    low[name] = min(low[name], order[callee])
            else:
                work.pop()
                if work:
                    caller = work[-1][0]
                    low[caller] = min(low[caller], low[name])
                if low[name] == order[name]:
                    number = len(component)
                    while True:
                        member = stack.pop()
                        component[member] = number
                        if member == name:
                            break
    return component
