"""Least and largest values in recursion: `(min ?d)` and `(max ?d)` in the heads of rules.

Is:     the check that what is done with such a value keeps its order, and the comparison of values.
Is not: the table that keeps the best (`_kernel_best.pxi`).
Fits:   `check` refuses programs by it; `fixpoint` makes tables with it.
Source: Ross and Sagiv, Monotonic aggregation in deductive databases (1992).

A better value may come in any round, and what followed from a worse one has been derived by then. That is right only if
a better value never leads to a worse one, or to less: sums, least and largest of several, and bounds on the far side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from datomstore.datalog._kernel import Table
from datomstore.datalog.builtins import FunctionError, compare
from datomstore.datalog.errors import QueryError
from datomstore.datalog.syntax import (
    Apply,
    BindScalar,
    Call,
    Clause,
    Rule,
    all_variables,
    is_variable,
)
from datomstore.intern import value_of
from datomstore.value import Symbol

RISING = frozenset({"+", "inc", "dec", "identity", "ground", "min", "max"})  # in all arguments
FIRST_BELOW = frozenset({"<", "<="})
FIRST_ABOVE = frozenset({">", ">="})


def refuse_disorder(
    rules: Mapping[str, Sequence[Rule]], component: Mapping[str, int], recursive: frozenset[int]
) -> None:
    """Raise QueryError if a cycle does with a least or largest value what may lead from a better one to less."""
    for name, group in rules.items():
        number = component[name]
        if number not in recursive:
            continue
        within = {n: rules[n][0].best for n, c in component.items() if c == number and rules[n]}
        kinds = {best[1] for best in within.values() if best}
        if len(kinds) > 1:
            raise _refused("a min and a max need one another", group[0].form)
        for rule in group if kinds else ():
            _check(rule, within, kinds.copy().pop())


def values_from(rule: Rule, within: Mapping[str, tuple[int, str] | None]) -> set[Symbol]:
    """Return the variables of a rule that hold values of its cycle's min or max, or what is made from them."""
    found: set[Symbol] = set()
    for clause in rule.body:
        best = within.get(clause.name) if isinstance(clause, Call) else None
        if best is not None and isinstance(clause, Call):
            term = clause.arguments[best[0]]
            if not is_variable(term):
                raise _refused("a min or max is compared with a constant", clause.form)
            found.add(term)
    grows = True
    while grows:
        made = {
            clause.binding.term
            for clause in rule.body
            if isinstance(clause, Apply)
            and isinstance(clause.binding, BindScalar)
            and is_variable(clause.binding.term)
            and not found.isdisjoint(clause.arguments)
        }
        grows = not made <= found
        found |= made
    return found


def _check(rule: Rule, within: Mapping[str, tuple[int, str] | None], kind: str) -> None:
    values = values_from(rule, within)
    for place, parameter in enumerate(rule.parameters):
        if parameter in values and (rule.best is None or rule.best[0] != place):
            raise _refused(f"{parameter.name} must be a {kind} here, too", rule.form)
    bound: set[object] = set()
    for clause in rule.body:
        made: object = None
        if isinstance(clause, Apply):
            _check_apply(clause, values, kind)
            if isinstance(clause.binding, BindScalar):
                made = clause.binding.term
        else:
            best = within.get(clause.name) if isinstance(clause, Call) else None
            if best and isinstance(clause, Call):
                made = clause.arguments[best[0]]
            if _used(clause, best) & values:
                raise _refused(f"a {kind} is compared with what is there", clause.form)
        if made in values:
            if made in bound:
                raise _refused(f"a {kind} is compared with another value", clause.form)
            bound.add(made)


def _used(clause: Clause, best: tuple[int, str] | None) -> set[Symbol]:
    """Return the variables of a clause, but for what it has of a min or max."""
    if best is None or not isinstance(clause, Call):
        return set(all_variables(clause))
    return {t for place, t in enumerate(clause.arguments) if place != best[0] and is_variable(t)}


def _check_apply(clause: Apply, values: set[Symbol], kind: str) -> None:
    at = [place for place, term in enumerate(clause.arguments) if term in values]
    if not at:
        return
    if clause.binding is None:
        below = FIRST_BELOW if at == [0] else FIRST_ABOVE
        above = FIRST_ABOVE if at == [0] else FIRST_BELOW
        kept = len(at) == 1 and len(clause.arguments) == 2
        if kept and clause.function in (below if kind == "min" else above):
            return
    elif isinstance(clause.binding, BindScalar) and (
        clause.function in RISING or (clause.function == "-" and at == [0])
    ):
        return
    raise _refused(f"{clause.function} may turn a better {kind} into less", clause.form)


def _refused(message: str, form: object) -> QueryError:
    return QueryError("query/order-in-cycle", message, form)


def table_of(arity: int, best: tuple[int, str] | None) -> Table:
    """Return a table for the answers of a rule."""
    if best is None:
        return Table(arity)
    most = best[1] == "max"
    return Table(arity, best[0], most, partial(_better, most))


def _better(most: bool, one: int, other: int) -> bool:
    try:
        order = compare(value_of(one), value_of(other))
    except (FunctionError, ArithmeticError) as error:
        raise QueryError("query/function", str(error)) from error
    return order > 0 if most else order < 0
