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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from datomstore import edn
from datomstore.datalog import QueryError
from datomstore.datalog.errors import text_of
from datomstore.value import Keyword, List, Symbol
from yang.analysis import Rows
from yang.compile import mistakes, with_later_errors
from yang.core import core_library
from yang.derivation import ERROR_RELATIONS
from yang.errors import Source, SourceError, SourceErrors
from yang.forms import Form
from yang.host import ALONE, Host
from yang.lower import expanded_tree
from yang.passes import Subject, subject_of
from yang.rule_files import (
    START,
    RuleFile,
    RulesInvalid,
    check_free,
    failed,
    head_name,
    invalid,
    passes_of,
    rule_file,
    rule_forms,
    taken,
)

__all__ = ["Finding", "RuleFile", "RulesInvalid", "lint", "read_rules"]

FINDING = "finding"
SEVERITIES = ("error", "warning", "info")
COMPILE_CODE = "compile"  # of what the compiler refuses
IGNORE = re.compile(r";+\s*lint:ignore\b([^;]*)")


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
    source, forms = rule_forms(text, name)
    for form in forms:
        if head_name(form) == FINDING:
            _check_finding(form.value[0], source)
        else:
            check_free(form, source, taken())
    code = Keyword(PurePath(name).stem)
    return rule_file(source, forms, lambda value: _with_code(value, code))


def _with_code(value: object, code: Keyword) -> object:
    """Return a rule whose head is (finding ?node ?severity ?code ?message), the code that of the file if it has none."""
    if isinstance(value, tuple) and value and isinstance(value[0], List):
        head, *clauses = value
        if len(head) == 4 and head[0] == Symbol(FINDING):
            return (List([*head[:3], code, head[3]]), *clauses)
    return value


def _check_finding(head: Form, source: Source) -> None:
    if len(head.value) not in (4, 5):
        hint = (
            "it is (finding ?node ?severity ?message) or (finding ?node ?severity ?code ?message)"
        )
        raise invalid(f"a finding of {len(head.value) - 1} parts", head.span, source, hint)
    _check_severity(head.value[2], source)


def _check_severity(severity: Form, source: Source) -> None:
    if severity.kind == "symbol":
        return  # a variable
    if not isinstance(severity.value, Keyword) or severity.value.name not in SEVERITIES:
        hint = f"there are {', '.join(f':{name}' for name in SEVERITIES)}"
        raise invalid("no such severity", severity.span, source, hint)


def _findings(file: RuleFile, subject: Subject) -> Rows:
    """Return the rows of a file's findings, evaluated with the passes that it reads. Raises RulesInvalid."""
    if not any(rule[0][0] == Symbol(FINDING) for rule in file.rules):  # type: ignore[index]
        hint = "[(finding ?node :warning ?message) clauses ...]"
        raise invalid("no rule derives a finding", START, file.source, hint)
    try:
        return subject.derive(file.rules, [FINDING], passes_of(file.rules) - {"lint"})[FINDING]
    except QueryError as error:
        raise failed(error, file) from error


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
    return invalid(f"no finding: {edn.write(tuple(row))}", span, file.source, hint)


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
