"""The parts of a parsed query.

Is:     immutable records: clauses, bindings, rules, queries; each clause keeps the form it was written as.
Is not: anything about how they are answered.
Fits:   `parse` makes them, `check` rewrites them, `plan` orders them.

A term is a variable (a Symbol whose name begins with `?`), BLANK, a source (`$name`), or a Constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeGuard

from datomstore.datalog.pull_pattern import PullPattern
from datomstore.value import Symbol

BLANK = Symbol("_")
DEFAULT_SOURCE = Symbol("$")
CLAUSES_KEPT = 8_192  # clauses whose variables are remembered
RULES = Symbol("%")


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that stands in the query itself."""

    value: object


Term = Symbol | Constant


@dataclass(frozen=True, slots=True, eq=False)
class BindScalar:
    """One value: a variable, BLANK, or a constant it must equal."""

    term: Term


@dataclass(frozen=True, slots=True, eq=False)
class BindTuple:
    """`[?a ?b]`: the items of one sequence."""

    items: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BindCollection:
    """`[?x ...]`: a row for each item."""

    item: Binding


Binding = BindScalar | BindTuple | BindCollection  # `[[?a ?b]]` is a collection of tuples


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """`[?e :attribute ?v]`: facts of a source."""

    source: Symbol
    terms: tuple[Term, ...]
    form: object


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """`(rule ?x ?y)`."""

    source: Symbol
    name: str
    arguments: tuple[Term, ...]
    form: object


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """`[(function ?x) ?y]`, or a predicate if there is no binding."""

    function: str
    arguments: tuple[Term, ...]
    binding: Binding | None
    form: object
    lenient: bool = False  # a value that does not fit the binding is no match, not an error


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    """No row of the body; `variables` are those of not-join, else None."""

    variables: tuple[Symbol, ...] | None
    body: tuple[Clause, ...]
    form: object


@dataclass(frozen=True, slots=True, eq=False)
class Or:
    """Rows of any branch; `variables` are those of or-join, else None. `check` turns it into rules."""

    variables: tuple[Symbol, ...] | None
    required: frozenset[Symbol]
    branches: tuple[tuple[Clause, ...], ...]
    form: object


Clause = Pattern | Call | Apply | Not | Or


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """`[(name ?x) clause ...]`; `required` variables must be bound by the caller.

    `best` is the place and the function of a parameter such as `(min ?x)`.
    """

    name: str
    parameters: tuple[Symbol, ...]
    required: frozenset[Symbol]
    body: tuple[Clause, ...]
    form: object
    best: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """`(sum ?x)` in :find; `arguments` stand before the variable, as in `(min 3 ?x)`.

    `given` names the input of `(aggregate ?f ?x)` that says what is done.
    """

    function: str
    arguments: tuple[Constant, ...]
    variable: Symbol
    form: object
    given: Symbol | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pull:
    """`(pull $ ?e pattern)` in :find; the pattern may be named by a symbol of :in."""

    source: Symbol
    variable: Symbol
    pattern: PullPattern | Symbol
    form: object


FindElement = Symbol | Aggregate | Pull


@dataclass(frozen=True, eq=False)
class Query:
    """A whole query. `shape` is relation, collection, tuple or scalar."""

    shape: str
    find: tuple[FindElement, ...]
    with_: tuple[Symbol, ...]
    inputs: tuple[Symbol | Binding, ...]
    where: tuple[Clause, ...]
    form: object
    keys: tuple[object, ...] = ()  # of :keys, :strs or :syms: rows are maps with these

    def variables(self) -> list[Symbol]:
        """Return the variable of each element of :find."""
        return [e if isinstance(e, Symbol) else e.variable for e in self.find]

    @cached_property
    def finds_variables(self) -> bool:
        """Whether :find names variables only."""
        return all(isinstance(element, Symbol) for element in self.find)

    @cached_property
    def patterns(self) -> frozenset[Symbol]:
        """The inputs that are pull patterns."""
        found = {e.pattern for e in self.find if isinstance(e, Pull)}
        return frozenset(name for name in found if isinstance(name, Symbol))

    @cached_property
    def aggregates(self) -> frozenset[Symbol]:
        """The inputs that are aggregates."""
        found = {e.given for e in self.find if isinstance(e, Aggregate)}
        return frozenset(name for name in found if name is not None)

    @cached_property
    def pulls(self) -> bool:
        """Whether :find pulls something."""
        return any(isinstance(element, Pull) for element in self.find)


@dataclass(frozen=True, eq=False)
class Rules:
    """Rules by name, in the order they were written."""

    by_name: dict[str, tuple[Rule, ...]] = field(default_factory=dict)


def is_variable(term: object) -> TypeGuard[Symbol]:
    """Return whether a term is a variable."""
    return isinstance(term, Symbol) and term.name.startswith("?")


def is_source(term: object) -> TypeGuard[Symbol]:
    """Return whether a term names a source."""
    return isinstance(term, Symbol) and term.name.startswith("$")


def binding_variables(binding: Binding | None) -> set[Symbol]:
    """Return the variables that a binding sets."""
    if binding is None:
        return set()
    if isinstance(binding, BindScalar):
        return {binding.term} if is_variable(binding.term) else set()
    if isinstance(binding, BindCollection):
        return binding_variables(binding.item)
    return {name for item in binding.items for name in binding_variables(item)}


@lru_cache(CLAUSES_KEPT)
def positive_variables(clause: Clause) -> frozenset[Symbol]:
    """Return the variables of a clause that stand outside of any `not`."""
    if isinstance(clause, Pattern):
        return frozenset(term for term in clause.terms if is_variable(term))
    if isinstance(clause, Call):
        return frozenset(term for term in clause.arguments if is_variable(term))
    if isinstance(clause, Apply):
        return inputs_of(clause) | binding_variables(clause.binding)
    if isinstance(clause, Not):
        return frozenset()
    if clause.variables is not None:
        return frozenset(clause.variables)
    return frozenset(
        name for branch in clause.branches for part in branch for name in positive_variables(part)
    )


@lru_cache(CLAUSES_KEPT)
def all_variables(clause: Clause) -> frozenset[Symbol]:
    """Return the variables of a clause that its neighbours can see, those inside `not` included."""
    if isinstance(clause, Not):
        if clause.variables is not None:
            return frozenset(clause.variables)
        return frozenset(name for part in clause.body for name in all_variables(part))
    if isinstance(clause, Or) and clause.variables is None:
        return frozenset(
            name for branch in clause.branches for part in branch for name in all_variables(part)
        )
    return positive_variables(clause)


def inputs_of(clause: Apply) -> frozenset[Symbol]:
    """Return the variables a function needs."""
    return frozenset(term for term in clause.arguments if is_variable(term))
