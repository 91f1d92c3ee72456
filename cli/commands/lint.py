"""`yin lint`: what rules find worth telling about programs.

Is:     the shipped rules and the user's own over files, each finding with its place, line and caret.
Is not: the rules (`yang/rules/lint.dl`), nor their evaluation (`yang.lint`).
Fits:   runs here, without any node. Exit code 1 if something is an error, with --strict a warning as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import CliError, Exit
from cli.output import echo_json, note
from cli.sources import host_of, read_source

if TYPE_CHECKING:
    from yang.lint import Finding, RuleFile

COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--rules",
    "rule_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Datalog rules of your own that derive (finding ?node ?severity ?message).",
)
@click.option("--without", multiple=True, metavar="CODE", help="Findings not to tell of.")
@click.option("--info", "with_info", is_flag=True, help="Tell of remarks, too.")
@click.option("--strict", is_flag=True, help="Warnings, too, make the exit code 1.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "jsonl", "none"]),
    default="text",
    show_default=True,
    help="How to print the findings.",
)
@click.option("--json", "as_json", is_flag=True, help="Same as -o json.")
def lint(
    files: tuple[Path, ...],
    rule_files: tuple[Path, ...],
    without: tuple[str, ...],
    with_info: bool,
    strict: bool,
    output: str,
    as_json: bool,
) -> int:
    """Tell what is wrong, dead, unused or odd in FILES.

    A line with `; lint:ignore` in it is not told of; `; lint:ignore CODE` says of what only.
    """
    found = _all_findings(files, [_read_rules(file) for file in rule_files])
    told = [finding for finding in found if finding.code not in without]
    shown = [finding for finding in told if with_info or finding.severity != "info"]
    _print(shown, "json" if as_json else output)
    counts = Counter(finding.severity for finding in told)
    note(_summary(counts, len(files), with_info=with_info))
    failed = counts["error"] or (strict and counts["warning"])
    return Exit.FAILURE if failed else Exit.OK


def _all_findings(files: Sequence[Path], own: Sequence[RuleFile]) -> list[Finding]:
    """Return the findings of all files, each told once, though several may require the same one."""
    from yang.lint import RulesInvalid
    from yang.lint import lint as lint_source

    found: dict[Finding, None] = {}
    for file in files:
        text = read_source(file)
        try:
            of_file = lint_source(text, str(file), host=host_of(file), rule_files=own)
        except RulesInvalid as error:
            raise CliError(str(error), exit_code=Exit.USAGE) from error
        found.update(dict.fromkeys(of_file))
    return list(found)


def _read_rules(file: Path) -> RuleFile:
    from yang.lint import RulesInvalid, read_rules

    try:
        return read_rules(read_source(file), str(file))
    except RulesInvalid as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error


def _print(findings: Sequence[Finding], output: str) -> None:
    match output:
        case "json":
            echo_json({"$type": "lint.findings", "items": [_document(each) for each in findings]})
        case "jsonl":
            for each in findings:
                echo_json(_document(each))
        case "text":
            for each in findings:
                click.echo(_coloured(each))


def _document(finding: Finding) -> dict[str, object]:
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
    }


def _coloured(finding: Finding) -> str:
    """Return a finding as text, its severity in colour where the terminal has any."""
    word = f"{finding.severity}:"
    styled = click.style(word, fg=COLOURS[finding.severity], bold=True)
    return str(finding).replace(word, styled, 1)


def _summary(counts: Counter[str], file_count: int, *, with_info: bool) -> str:
    parts = [
        f"{counts[severity]} {severity}{'s' if counts[severity] != 1 else ''}"
        for severity in ("error", "warning")
    ]
    if counts["info"]:
        hidden = "" if with_info else " (--info shows them)"
        parts.append(f"{counts['info']} remark{'s' if counts['info'] != 1 else ''}{hidden}")
    return f"{', '.join(parts)} in {file_count} file{'s' if file_count != 1 else ''}"
