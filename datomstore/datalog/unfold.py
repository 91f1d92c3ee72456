"""Rules that stand in for themselves: bodies in which calls are replaced by what the rules say.

Is:     flat bodies of a program, with a variable for every entity, attribute and value that a fact has.
Is not: for recursion, or where choices multiply beyond `BODIES_MAX`: such calls stay calls.
Fits:   `delta` follows a body clause by clause; what has no calls needs no more than facts.

A `not` gets the variables it shares with its surroundings written out, since its surroundings become others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from datomstore.datalog.builtins import SOURCE_FUNCTIONS
from datomstore.datalog.check import Program, shared_variables
from datomstore.datalog.limits import BODIES_MAX
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Apply,
    BindCollection,
    Binding,
    BindScalar,
    BindTuple,
    Call,
    Clause,
    Constant,
    Not,
    Pattern,
    Rule,
    Term,
    all_variables,
    is_variable,
)
from datomstore.value import Keyword, Symbol

Body = tuple[Clause, ...]
FACT_TERMS = 3  # entity, attribute, value


class Unfolder:
    """Unfolds the bodies of one program; variables it makes have a space in their names, as no variable read has."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._fresh = count(1)
        self._sizes: dict[str, int] = {}

    def bodies(self, clauses: Sequence[Clause], outside: Iterable[Symbol]) -> list[Body]:
        """Return the bodies that a body is the union of; `outside` are the variables its surroundings see."""
        return self._bodies(_explicit(clauses, frozenset(outside)))

    def rule_bodies(self, name: str, source: Symbol) -> tuple[tuple[Symbol, ...], list[Body]]:
        """Return variables in place of a rule's parameters, and the bodies of the rule over some source."""
        rules = self.program.rules[name]
        outs = tuple(self._new(parameter) for parameter in rules[0].parameters)
        bodies: list[Body] = []
        for rule in rules:
            names: dict[Symbol, Term] = dict(zip(rule.parameters, outs, strict=True))
            bodies.extend(self._bodies(self._opened(rule, names, source)))
        return outs, bodies

    def _bodies(self, clauses: Sequence[Clause]) -> list[Body]:
        made: list[list[Clause]] = [[]]
        for clause in clauses:
            if isinstance(clause, Call) and len(made) * self._size(clause.name) <= BODIES_MAX:
                options = self._inlined(clause)
                made = [[*one, *option] for one in made for option in options]
            else:
                made = [[*one, self._full(clause)] for one in made]
        return [tuple(body) for body in made]

    def _size(self, name: str) -> int:
        """Return how many bodies a call of a rule unfolds to; too many if it is recursive."""
        found = self._sizes.get(name)
        if found is None:
            program, total = self.program, 0
            self._sizes[name] = BODIES_MAX + 1
            if program.component[name] in program.recursive:
                return BODIES_MAX + 1
            for rule in program.rules[name]:
                product = 1
                for clause in rule.body:
                    if isinstance(clause, Call):
                        product = min(product * self._size(clause.name), BODIES_MAX + 1)
                total += product
            found = self._sizes[name] = min(total, BODIES_MAX + 1)
        return found

    def _inlined(self, call: Call) -> list[Body]:
        bodies: list[Body] = []
        for rule in self.program.rules[call.name]:
            names: dict[Symbol, Term] = {}
            given: list[Clause] = []
            for parameter, argument in zip(rule.parameters, call.arguments, strict=True):
                if argument is BLANK:
                    argument = self._new(parameter)
                elif isinstance(argument, Constant) and isinstance(
                    argument.value, (Keyword, tuple)
                ):
                    # In a pattern it would name an entity; as an argument it is a value.
                    named = self._new(parameter)
                    bound = BindScalar(named)
                    given.append(Apply("identity", (argument,), bound, call.form))
                    argument = named
                names[parameter] = argument
            bodies.extend(self._bodies([*given, *self._opened(rule, names, call.source)]))
        return bodies

    def _opened(self, rule: Rule, names: dict[Symbol, Term], source: Symbol) -> list[Clause]:
        """Return the clauses of a rule under the names of its caller."""
        body = _explicit(rule.body, frozenset(rule.parameters))
        for clause in body:
            for name in sorted(_mentioned(clause) - names.keys()):
                names[name] = self._new(name)
        return [_renamed(clause, names, source) for clause in body]

    def _new(self, name: Symbol) -> Symbol:
        return Symbol(f"{name.name.split(' ')[0]} {next(self._fresh)}")

    def _full(self, clause: Clause) -> Clause:
        """Return a pattern of the followed source with a variable in every place that tells facts apart."""
        if not isinstance(clause, Pattern) or clause.source is not DEFAULT_SOURCE:
            return clause
        terms = [*clause.terms, *[BLANK] * (FACT_TERMS - len(clause.terms))]
        for place in range(FACT_TERMS):
            if terms[place] is BLANK:
                terms[place] = self._new(Symbol("?blank"))
        return Pattern(clause.source, tuple(terms), clause.form)


def _explicit(clauses: Sequence[Clause], outside: frozenset[Symbol]) -> list[Clause]:
    return [
        Not(tuple(sorted(shared_variables(clause, clauses, outside))), clause.body, clause.form)
        if isinstance(clause, Not)
        else clause
        for clause in clauses
    ]


def _mentioned(clause: Clause) -> frozenset[Symbol]:
    """Return all variables of a clause, those that only the inside of a `not` has included."""
    found = all_variables(clause)
    if isinstance(clause, Not):
        found = found.union(clause.variables or (), *map(_mentioned, clause.body))
    return found


def _renamed(clause: Clause, names: Mapping[Symbol, Term], source: Symbol) -> Clause:
    """Return a clause under other names, read from another source where it reads the default one."""

    def named(terms: Iterable[Term]) -> tuple[Term, ...]:
        return tuple(names.get(t, t) if isinstance(t, Symbol) else t for t in terms)

    def placed(one: Symbol) -> Symbol:
        return source if one is DEFAULT_SOURCE else one

    if isinstance(clause, Pattern):
        return Pattern(placed(clause.source), named(clause.terms), clause.form)
    if isinstance(clause, Call):
        return Call(placed(clause.source), clause.name, named(clause.arguments), clause.form)
    if isinstance(clause, Apply):
        arguments = named(clause.arguments)
        if clause.function in SOURCE_FUNCTIONS and isinstance(arguments[0], Symbol):
            arguments = (placed(arguments[0]), *arguments[1:])
        binding = None if clause.binding is None else _bound(clause.binding, names)
        return Apply(clause.function, arguments, binding, clause.form, clause.lenient)
    assert isinstance(clause, Not), "every or has become a rule"
    variables = clause.variables
    if variables is not None:
        variables = tuple(dict.fromkeys(t for t in named(variables) if is_variable(t)))
    body = tuple(_renamed(part, names, source) for part in clause.body)
    return Not(variables, body, clause.form)


def _bound(binding: Binding, names: Mapping[Symbol, Term]) -> Binding:
    if isinstance(binding, BindScalar):
        term = binding.term
        return BindScalar(names.get(term, term) if isinstance(term, Symbol) else term)
    if isinstance(binding, BindCollection):
        return BindCollection(_bound(binding.item, names))
    return BindTuple(tuple(_bound(item, names) for item in binding.items))
