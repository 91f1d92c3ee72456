"""Data on standard output, in the form that was asked for.

Is:     `-o text|json|jsonl|ids|none` for every command that answers with rows or one document.
Is not: messages and progress: those go to standard error (`note`).
Fits:   commands build plain rows; `show_rows` and `show_document` print them.

Machine output is never cut off. JSON documents carry a "$type".

What agents and strangers wrote (names, reasons, notes) is data, not layout: in a table a line break would forge a row, and
what turns the direction of text, or moves the cursor, would forge any cell. So people see these characters escaped.
Messages on standard error quote agents and peers, too: what one of them says beyond its first line stands indented below
it, where it is not taken for a message of its own.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import click

from cli.errors import CliError

LAYOUT = re.compile(r"([\n\t])")  # what a text of several lines consists of besides
BELOW = "    "  # deeper than any line of a message that is our own
FORMATS = ("text", "json", "jsonl", "ids", "none")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table for people."""

    key: str
    title: str
    right: bool = False  # numbers stand to the right
    form: Callable[[object], str] = str


def output_option(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command `-o FORMAT` and `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="Same as -o json.")(command)
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="How to print the data.",
    )(command)


def show_rows(
    kind: str,
    rows: Sequence[Mapping[str, object]],
    columns: Iterable[Column],
    *,
    output: str,
    identity: str = "id",
    more: Mapping[str, object] | None = None,
) -> None:
    """Print rows: a table for people, or all their fields for programs; `more` stands beside them in a JSON document."""
    match output:
        case "json":
            echo_json({"$type": kind, "items": list(rows), **(more or {})})
        case "jsonl":
            for row in rows:
                echo_json(row)
        case "ids":
            for row in rows:
                click.echo(str(row[identity]))
        case "text":
            table(rows, list(columns))


def show_document(
    kind: str,
    document: Mapping[str, object],
    text: str,
    *,
    output: str,
    identity: str = "id",
) -> None:
    """Print one document: `text` for people, all fields for programs; `identity` is the field that names it."""
    match output:
        case "json" | "jsonl":
            echo_json({"$type": kind, **document})
        case "ids":
            click.echo(str(document.get(identity, "")))
        case "text":
            click.echo(seen(text))


def seen(text: str) -> str:
    """Return a text of several lines in which every character is seen."""
    return "".join(part if part in "\n\t" else one_line(part) for part in LAYOUT.split(text))


def one_line(text: str) -> str:
    """Return a text as one line in which every character is seen: others, such as line breaks and controls, are escaped."""
    if text.isprintable():
        return text
    return "".join(map(_seen, text))


def _seen(char: str) -> str:
    if char.isprintable() or unicodedata.category(char) == "Zs":
        return char
    return char.encode("unicode_escape").decode()


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[Column]) -> None:
    """Print a table with aligned columns; nothing but the header when there are no rows."""
    cells = [cells_of(row, columns) for row in rows]
    widths = [
        max([len(column.title), *(len(line[index]) for line in cells)])
        for index, column in enumerate(columns)
    ]
    click.echo(click.style(_line([column.title for column in columns], widths, columns), bold=True))
    for line in cells:
        click.echo(_line(line, widths, columns))


def cells_of(row: Mapping[str, object], columns: Sequence[Column]) -> list[str]:
    """Return the cells of a row, each one line."""
    return [one_line(column.form(row.get(column.key, ""))) for column in columns]


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    padded = [
        cell.rjust(width) if column.right else cell.ljust(width)
        for cell, width, column in zip(cells, widths, columns, strict=True)
    ]
    return "  ".join(padded).rstrip()


def echo_json(value: object) -> None:
    """Print one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: object) -> object:
    from datomstore import edn
    from datomstore.value import Map, Set

    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Map):
        return {
            key if isinstance(key, str) else edn.write(key): item for key, item in value.items()
        }
    if isinstance(value, Set):
        return list(value)
    return edn.write(value)


def note(message: str) -> None:
    """Tell the person something; never data."""
    click.echo(as_message(message), err=True)


def tell_error(error: CliError, who: str) -> None:
    """Tell the person what went wrong, and what to try."""
    note(f"{who}: {error}")
    if error.hint:
        click.echo(f"  try: {one_line(error.hint)}", err=True)


def as_message(text: str) -> str:
    """Return a text whose further lines, if it has some, stand below the first one, and of which every character is seen."""
    first, *more = seen(text).split("\n")
    return "\n".join([first, *(f"{BELOW}{line}" if line else "" for line in more)])


def interactive() -> bool:
    """Return whether progress may be drawn."""
    return sys.stderr.isatty()


def size(value: object) -> str:
    """Return a number of bytes as people read it; what is not known is not shown."""
    if value is None:
        return "-"
    number = float(value) if isinstance(value, (int, float)) else 0.0
    for unit in ("B", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def count(value: object) -> str:
    """Return an integer with thousands set apart."""
    return f"{value:,}" if isinstance(value, int) else str(value)
