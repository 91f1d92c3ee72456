"""Lint: what rules find worth telling about a program, with its place in the source.

Is:     the shipped rules (`yang/rules/lint.dl`) and rule files of the user's own, evaluated over a program's passes.
Is not: a checker of style or layout: rules see the tree, not the text.
Fits:   `yin lint`; the passes do the work (`yang.passes`).

A rule file is EDN: a vector of Datalog rules, some of which derive

    (finding ?node ?severity ?code ?message)

or the same without ?code, which then is the file's name. They may read all facts of the AST and all relations of the
passes; what they say of a node is told where the node stands. A line with `; lint:ignore` in it, or with codes after that, is
not told of (or not of these).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import PurePath
from typing import Any, NamedTuple

from datomstore import edn
from datomstore.datalog import QueryError
from datomstore.datalog.errors import text_of
from datomstore.value import Keyword, List, Symbol
from yang import rules
from yang.analysis import Rows
from yang.compile import mistakes, with_later_errors
from yang.core import core_library
from yang.derivation import ERROR_RELATIONS
from yang.errors import Source, SourceError, SourceErrors
from yang.forms import Form, value_of
from yang.host import ALONE, Host
from yang.lower import expanded_tree
from yang.passes import PASSES, RELATIONS, Subject, subject_of
from yang.reader.clojure import read
from yang.segment import Span

FINDING = "finding"
SEVERITIES = ("error", "warning", "info")
COMPILE_CODE = "compile"  # of what the compiler refuses
IGNORE = re.compile(r";+\s*lint:ignore\b([^;]*)")


class RulesInvalid(SourceError):
    """A rule file that cannot be read or evaluated; `str` shows the place in it."""

    code = "lint/rules"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding, in the order of files and places."""

    file: str
    line: int
    column: int
    severity: str
    code: str
    message: str
    text_line: str = ""
    hint: str | None = None

    def __str__(self) -> str:
        shown = SourceError(
            f"{self.severity}: {self.message} [{self.code}]",
            source=self.file,
            line=self.line,
            column=self.column,
            text_line=self.text_line,
            hint=self.hint,
        )
        return str(shown)


class RuleFile(NamedTuple):
    """The rules of a file, and where each of its clauses stands."""

    name: str
    rules: rules.Rules
    source: Source
    places: Mapping[str, Span]  # by the clause's text


def lint(
    text: str, source_name: str, *, host: Host = ALONE, rule_files: Iterable[RuleFile] = ()
) -> list[Finding]:
    """Return what there is to tell of a source text and the files it requires, in the order of places.

    Raises:
        RulesInvalid: a rule file that cannot be evaluated.
    """
    try:
        tree, source = expanded_tree(Source(source_name, text), host=host)
    except (SourceError, SourceErrors) as error:
        return sorted(_refusals(with_later_errors(error, core_library())))
    subject = subject_of(tree, macro_uses=source.macro_uses)
    wrong = subject.relations(ERROR_RELATIONS)
    refused = mistakes(wrong, subject.ast, core_library(), source)
    found = [_finding(error, "error", COMPILE_CODE) for error in refused]
    found += _worded(subject.rows(FINDING), subject, source)
    for file in rule_files:
        found += _worded(_findings(file, subject), subject, source, file)
    return sorted({finding for finding in found if not _ignored(finding)})


# -- rule files --


def read_rules(text: str, name: str) -> RuleFile:
    """Return the rules of a text.

    Raises:
        RulesInvalid: it is no vector of rules, or the rules clash with those of the passes; several as SourceErrors.
    """
    source = Source(name, text)
    try:
        forms = read(text, name)
    except (SourceError, SourceErrors) as error:
        raise _translated(error) from error
    if len(forms) != 1 or forms[0].kind != "vector":
        span = forms[1].span if len(forms) > 1 else Span(1, 1, 1, 1)
        raise _invalid(
            "a rule file is one vector of rules",
            span,
            source,
            'it looks like [[(finding ?node :warning "...") clauses] ...]',
        )
    places: dict[str, Span] = {}
    found: list[tuple[object, ...]] = []
    for form in forms[0].value:
        rule = _rule_of(form, source)
        (spelt,) = rules.spelt_out((rule,), name)
        places[text_of(spelt)] = form.span
        for clause in _inside(form):
            places.setdefault(text_of(value_of(clause)), clause.span)
        found.append(spelt)
    return RuleFile(name, tuple(found), source, places)


def _rule_of(form: Form, source: Source) -> tuple[object, ...]:
    """Return a rule as a value, its head checked."""
    shape = (
        form.kind == "vector"
        and form.value
        and form.value[0].kind == "list"
        and form.value[0].value
    )
    if not shape or form.value[0].value[0].kind != "symbol":
        raise _invalid("not a rule", form.span, source, "a rule is [(name ?x ...) clauses ...]")
    head: Form = form.value[0]
    name: str = head.value[0].value
    if name != FINDING and name in _taken():
        raise _invalid(
            f"{name} is a relation of the passes", head.span, source, "give the rule another name"
        )
    if name == FINDING and len(head.value) not in (4, 5):
        hint = (
            "it is (finding ?node ?severity ?message) or (finding ?node ?severity ?code ?message)"
        )
        raise _invalid(f"a finding of {len(head.value) - 1} parts", head.span, source, hint)
    if name == FINDING:
        _check_severity(head.value[2], source)
    try:
        found, *clauses = [value_of(part) for part in form.value]
    except ValueError as error:
        raise _invalid(str(error), form.span, source) from error
    assert isinstance(found, List), form.kind
    if name == FINDING and len(found) == 4:
        found = List([*found[:3], Keyword(PurePath(source.name).stem), found[3]])
    return (found, *clauses)


def _check_severity(severity: Form, source: Source) -> None:
    if severity.kind == "symbol":
        return  # a variable
    if not isinstance(severity.value, Keyword) or severity.value.name not in SEVERITIES:
        hint = f"there are {', '.join(f':{name}' for name in SEVERITIES)}"
        raise _invalid("no such severity", severity.span, source, hint)


@cache
def _taken() -> frozenset[str]:
    """Return the names of all rules of the passes."""
    return frozenset(rule[0][0].name for name in PASSES for rule in rules.load(name))  # type: ignore[index]


def _inside(form: Form) -> Iterator[Form]:
    """Yield the clauses of a rule: its lists and vectors, the outer ones first."""
    for part in form.value:
        if part.kind in ("list", "vector"):
            yield part
            yield from _inside(part)


def _invalid(message: str, span: Span, source: Source, hint: str | None = None) -> RulesInvalid:
    return _translated(source.error(message, span, hint))


def _translated(error: SourceError | SourceErrors) -> RulesInvalid:
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


def _findings(file: RuleFile, subject: Subject) -> Rows:
    """Return the rows of a file's findings, evaluated with the passes that it reads. Raises RulesInvalid."""
    if not any(rule[0][0] == Symbol(FINDING) for rule in file.rules):  # type: ignore[index]
        hint = "[(finding ?node :warning ?message) clauses ...]"
        raise _invalid("no rule derives a finding", Span(1, 1, 1, 1), file.source, hint)
    needs = {RELATIONS[name].name for name in _names_in(file.rules) if name in RELATIONS}
    try:
        return subject.derive(file.rules, [FINDING], needs - {"lint"})[FINDING]
    except QueryError as error:
        span = file.places.get(error.clause_text, Span(1, 1, 1, 1))
        near = _near(error, file) if error.code == "query/unknown-rule" else None
        raise _invalid(error.message, span, file.source, near) from error


def _names_in(value: object) -> Iterator[str]:
    """Yield the names at the heads of all lists in a value."""
    if isinstance(value, List) and value and isinstance(value[0], Symbol):
        yield value[0].name
    if isinstance(value, tuple):
        for part in value:
            yield from _names_in(part)


def _near(error: QueryError, file: RuleFile) -> str | None:
    known = {*RELATIONS, *(rule[0][0].name for rule in file.rules)} - {FINDING}  # type: ignore[index]
    close = get_close_matches(error.message.rpartition(" ")[2], sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else None


# -- findings --


def _worded(
    rows: Rows, subject: Subject, source: Source, file: RuleFile | None = None
) -> Iterator[Finding]:
    for row in rows:
        node, severity, code, message = row
        known = isinstance(node, int) and 0 <= node - subject.ast.base < len(subject.ast.items)
        level = severity.name if isinstance(severity, Keyword) else ""
        if not known or level not in SEVERITIES:
            assert file is not None, row
            raise _unfit(row, file)
        name = code.name if isinstance(code, Keyword) else edn.write(code)
        text = message if isinstance(message, str) else edn.write(message)
        error = source.error(text, subject.ast.span(node))
        yield _finding(error, level, name)


def _unfit(row: Sequence[Any], file: RuleFile) -> RulesInvalid:
    """Return the error of a row that is no finding: at the first rule that derives findings."""
    span = next(
        file.places[text_of(rule)]
        for rule in file.rules
        if rule[0][0] == Symbol(FINDING)  # type: ignore[index]
    )
    hint = "?node is a node of the AST, ?severity one of :error :warning :info"
    return _invalid(f"no finding: {edn.write(tuple(row))}", span, file.source, hint)


def _refusals(errors: Iterable[SourceError]) -> list[Finding]:
    return [_finding(each, "error", COMPILE_CODE) for each in errors]


def _finding(error: SourceError, severity: str, code: str) -> Finding:
    return Finding(
        error.source,
        error.line,
        error.column,
        severity,
        code,
        error.message,
        error.text_line,
        error.hint,
    )


def _ignored(finding: Finding) -> bool:
    """Return whether the finding's line says that it is not to be told of; what does not compile always is."""
    mark = IGNORE.search(finding.text_line)
    if mark is None or finding.code == COMPILE_CODE:
        return False
    codes = mark[1].split()
    return not codes or finding.code in codes
