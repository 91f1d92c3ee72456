"""What went wrong in an agent, as people read it.

Is:     message, data, causes and waiting calls, the innermost first, with the line of source where the text is known.
Is not: an error of the command itself (`cli.errors`) or of the compiler, which shows its own line (`yang.errors`).
Fits:   `yin spawn --wait`, `yin run`, `yin result` and `yin show` print it; the node tells a fault as data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.output import as_message, one_line
from datomstore import edn
from datomstore.edn import EdnError
from datomstore.value import Map

WINDOW = 120  # characters of a long line that are shown, around the place


def fault_text(row: Mapping[str, object] | Map, sources: Mapping[str, str]) -> str:
    """Return the fault of an agent's row; `sources` are texts by the names that the trace has for them."""
    from yang.advice import advice_running

    fault = row.get("fault_data")
    if not isinstance(fault, Map):
        return str(row["fault"])
    lines = [as_message(str(fault["message"]))]
    lines += _data_lines(fault["data"], sources)
    for place in fault["places"]:
        lines += _place_lines(place, sources)
    for cause in fault["causes"]:
        lines.append(f"caused by: {as_message(cause['message'])}")
        lines += _data_lines(cause["data"], sources)
    hint = advice_running(str(fault["message"]))
    if hint is not None:
        lines.append(f"hint: {hint}")
    return "\n".join(lines)


def _data_lines(data: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield the data of an error: why policies refuse as everywhere, anything else as it is."""
    from cli.violations import told, violations_text

    found = told(_read(data)) if ":violations" in data else []
    if found:
        yield from violations_text(found, sources).splitlines()
    elif data:
        yield f"  {data}"


def _read(data: str) -> object:
    """Return the value of a text; None of one that has no EDN form."""
    try:
        return edn.read(data)
    except EdnError:
        return None


def _place_lines(place: Map, sources: Mapping[str, str]) -> Iterator[str]:
    if not place["function"]:
        yield f"  ... {place['times']:,} more"
        return
    line, column, end_line, end_column = place["span"]
    yield f"  at {one_line(place['function'])} ({one_line(place['source'])}:{line}:{column})"
    text = sources.get(place["source"])
    if text is not None:
        yield from _marked(text, line, column, end_column if end_line == line else None)
    if place["times"] > 1:
        yield f"  ... {place['times'] - 1:,} more"


def _marked(text: str, line: int, column: int, end_column: int | None) -> Iterator[str]:
    """Yield a line of a text, and below it carets under the columns; without an end, to the end of the line."""
    lines = text.split("\n")
    if not 0 < line <= len(lines):
        return
    whole = lines[line - 1].rstrip("\r")
    start = max(0, column - 1 - WINDOW // 2) if len(whole) > WINDOW else 0
    shown = whole[start : start + WINDOW]
    end = len(whole) if end_column is None else end_column - 1
    width = max(1, min(end, start + WINDOW) - (column - 1))
    indent = "".join("\t" if letter == "\t" else " " for letter in whole[start : column - 1])
    yield f"      {shown}"
    yield f"      {indent}{'^' * width}"
