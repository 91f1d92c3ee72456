"""Rule files of the user's own: vectors of Datalog rules, each clause with its place in the text.

Is:     reading them, errors that show the line, and evaluation beside the passes.
Is not: what the rules are for: findings (`yang.lint`), violations (`yang.policy`).
Fits:   both of these read their files here; what rules may read is what the passes derive (`yang.passes`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from datomstore.datalog import QueryError
from datomstore.datalog.errors import text_of
from datomstore.value import List, Symbol
from yang import rules
from yang.errors import Source, SourceError, SourceErrors
from yang.forms import Form, value_of
from yang.passes import PASSES, RELATIONS
from yang.reader.clojure import read
from yang.segment import Span

START = Span(1, 1, 1, 1)

Rewrite = Callable[[object], object]


class RulesInvalid(SourceError):
    """A rule file that cannot be read or evaluated; `str` shows the place in it."""

    code = "lint/rules"


class RuleFile(NamedTuple):
    """The rules of a file, and where each of its clauses stands."""

    name: str
    rules: rules.Rules
    source: Source
    places: Mapping[str, Span]  # by the clause's text


def rule_forms(text: str, name: str) -> tuple[Source, list[Form]]:
    """Return the rules of a text as forms, each with a head that is a list. Raises RulesInvalid."""
    source = Source(name, text)
    try:
        forms = read(text, name)
    except (SourceError, SourceErrors) as error:
        raise translated(error) from error
    if len(forms) != 1 or forms[0].kind != "vector":
        span = forms[1].span if len(forms) > 1 else START
        hint = 'it looks like [[(finding ?node :warning "...") clauses] ...]'
        raise invalid("a rule file is one vector of rules", span, source, hint)
    for form in forms[0].value:
        if not _is_rule(form):
            hint = "a rule is [(name ?x ...) clauses ...]"
            raise invalid("not a rule", form.span, source, hint)
    return source, list(forms[0].value)


def _is_rule(form: Form) -> bool:
    if form.kind != "vector" or not form.value:
        return False
    head = form.value[0]
    return head.kind == "list" and bool(head.value) and head.value[0].kind == "symbol"


def head_name(form: Form) -> str:
    """Return the name of the relation that a rule derives."""
    name: str = form.value[0].value[0].value
    return name


def rule_file(
    source: Source, forms: Sequence[Form], rewrite: Rewrite = lambda value: value
) -> RuleFile:
    """Return the rules of forms; `rewrite` is applied to every rule and every clause. Raises RulesInvalid."""
    places: dict[str, Span] = {}
    found: list[tuple[object, ...]] = []
    for form in forms:
        try:
            rule = rewrite(value_of(form))
        except ValueError as error:
            raise invalid(str(error), form.span, source) from error
        (spelt,) = rules.spelt_out((rule,), source.name)
        places[text_of(spelt)] = form.span
        for clause in _inside(form):
            places.setdefault(text_of(rewrite(value_of(clause))), clause.span)
        found.append(spelt)
    return RuleFile(source.name, tuple(found), source, places)


def _inside(form: Form) -> Iterator[Form]:
    """Yield the clauses of a rule: its lists and vectors, the outer ones first."""
    for part in form.value:
        if part.kind in ("list", "vector"):
            yield part
            yield from _inside(part)


@cache
def taken() -> frozenset[str]:
    """Return the names of all rules of the passes."""
    return frozenset(rule[0][0].name for name in PASSES for rule in rules.load(name))  # type: ignore[index]


def check_free(form: Form, source: Source, names: Container[str]) -> None:
    """Refuse a rule with one of the names that are taken by the passes. Raises RulesInvalid."""
    name = head_name(form)
    if name in names:
        hint = "give the rule another name"
        raise invalid(f"{name} is a relation of the passes", form.value[0].span, source, hint)


def invalid(message: str, span: Span, source: Source, hint: str | None = None) -> RulesInvalid:
    """Return the error of a place in a rule file."""
    return translated(source.error(message, span, hint))


def translated(error: SourceError | SourceErrors) -> RulesInvalid:
    """Return the first error of a rule file's text as one of rules."""
    first = error.errors[0] if isinstance(error, SourceErrors) else error
    return RulesInvalid(
        first.message,
        source=first.source,
        line=first.line,
        column=first.column,
        text_line=first.text_line,
        hint=first.hint,
    )


def names_in(value: object) -> Iterator[str]:
    """Yield the names at the heads of all lists in a value."""
    if isinstance(value, List) and value and isinstance(value[0], Symbol):
        yield value[0].name
    if isinstance(value, tuple):
        for part in value:
            yield from names_in(part)


def passes_of(own: rules.Rules) -> frozenset[str]:
    """Return the passes whose relations some rules read."""
    return frozenset(RELATIONS[name].name for name in names_in(own) if name in RELATIONS)


def failed(error: QueryError, file: RuleFile) -> RulesInvalid:
    """Return what a failed evaluation says of a file, at the clause it is about."""
    span = file.places.get(error.clause_text, START)
    near = _near(error, file) if error.code == "query/unknown-rule" else None
    return invalid(error.message, span, file.source, near)


def _near(error: QueryError, file: RuleFile) -> str | None:
    own = {rule[0][0].name for rule in file.rules}  # type: ignore[index]
    known = {*RELATIONS, *own} - {"finding"}
    close = get_close_matches(error.message.rpartition(" ")[2], sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else None
