"""`yin refactor`: changes of source files that keep what the program does.

Is:     rename and extract over the files of a program: a diff, and with --write the files.
Is not: deciding what changes, nor the proof that the program stays the same (`yang.refactor`).
Fits:   on `yang.refactor`. Nothing is written without --write, and nothing at all if any file has a fault.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import CliError, Exit
from cli.output import note, output_option, show_document
from cli.sources import host_of, read_source

if TYPE_CHECKING:
    from yang.refactor import Position, Refactored

_PLACE = re.compile(r"(\d+):(\d+)")


@click.group()
def refactor() -> None:
    """Change source files so that the program stays the same."""


def _write_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command `--write` and `--diff`."""
    command = click.option(
        "--write", is_flag=True, help="Write the files; else only the diff is shown."
    )(command)
    return click.option("--diff", is_flag=True, help="Show the diff, also with --write.")(command)


@refactor.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("place", metavar="LINE:COLUMN")
@click.argument("new", metavar="NEW")
@_write_options
@output_option
def rename(
    file: Path, place: str, new: str, write: bool, diff: bool, output: str, as_json: bool
) -> None:
    """Give the name at LINE:COLUMN of FILE another one, in all files of the program."""
    from yang.refactor import rename as renamed

    text = read_source(file)
    line, column = _place(place)
    done = _done(lambda: renamed(text, str(file), line, column, new, host=host_of(file)))
    _finish("refactor.rename", done, {"new": new}, write, diff, "json" if as_json else output)


@refactor.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("span", metavar="LINE:COLUMN-LINE:COLUMN")
@click.argument("name")
@_write_options
@output_option
def extract(
    file: Path, span: str, name: str, write: bool, diff: bool, output: str, as_json: bool
) -> None:
    """Make the form from one place to another of FILE the body of a new function NAME.

    The second place is that of the closing bracket, or right after it.
    """
    from yang.refactor import extract as extracted

    text = read_source(file)
    first, dash, last = span.partition("-")
    if not dash:
        raise CliError(f"{span} is not LINE:COLUMN-LINE:COLUMN", exit_code=Exit.USAGE)
    start, end = _place(first), _place(last)
    done = _done(lambda: extracted(text, str(file), start, end, name, host=host_of(file)))
    _finish("refactor.extract", done, {"name": name}, write, diff, "json" if as_json else output)


def _place(text: str) -> Position:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise CliError(f"{text} is not LINE:COLUMN", exit_code=Exit.USAGE)
    return int(found[1]), int(found[2])


def _done(make: Callable[[], Refactored]) -> Refactored:
    from yang.errors import SourceError, SourceErrors

    try:
        return make()
    except (SourceError, SourceErrors) as error:
        raise CliError(str(error)) from error


def _finish(
    kind: str, done: Refactored, more: dict[str, object], write: bool, diff: bool, output: str
) -> None:
    before = {name: read_source(Path(name)) for name in done.files}
    if write:
        for name, text in done.files.items():
            Path(name).write_text(text, encoding="utf-8")
    changes = [
        {
            "file": change.file,
            "start": list(change.start),
            "end": list(change.end),
            "text": change.text,
        }
        for change in done.changes
    ]
    document = {
        **more,
        "written": write,
        "changes": changes,
        "files": sorted(done.files),
        "program_before": done.before.hex(),
        "program_after": done.after.hex(),
    }
    text = "" if write and not diff else _diff(before, done)
    if text or output != "text":
        show_document(kind, document, text, output=output)
    count = f"{len(done.changes)} changes in {len(done.files)} file{'s' * (len(done.files) > 1)}"
    note(f"{count} written" if write else f"{count}; --write makes them")


def _diff(before: dict[str, str], done: Refactored) -> str:
    lines: list[str] = []
    for name, text in sorted(done.files.items()):
        old, new = before[name].splitlines(), text.splitlines()
        lines += difflib.unified_diff(old, new, name, name, lineterm="")
    return "\n".join(lines)
