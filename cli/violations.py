"""Why a policy refuses, as people read it: the place, the line with a caret, the expression.

Is:     violations that were found here, or that a node told as data, as text and as documents.
Is not: how they are found (`yang.policy`).
Fits:   `yin policy check`, and every command that a node's policies refuse something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cli.sources import SUFFIXES
from datomstore.value import Keyword, Map


def told(data: object) -> list[dict[str, object]]:
    """Return the violations in the data of a refusal, as documents."""
    violations = _get(data, "violations")
    if not isinstance(violations, tuple):
        return []
    names = ("policy", "message", "program", "node", "kind", "source", "span", "text")
    return [
        {name: value for name in names if (value := _get(each, name)) is not None}
        for each in violations
        if isinstance(each, Map)
    ]


def _get(data: object, name: str) -> object:
    if not isinstance(data, Map):
        return None
    return data.get(Keyword(name), data.get(name))


def violations_text(found: Iterable[Mapping[str, object]], texts: Mapping[str, str]) -> str:
    """Return violations as text; `texts` are those of source files, by name. Files in this folder are looked up."""
    return "\n".join(_text(each, texts) for each in found)


def _text(each: Mapping[str, object], texts: Mapping[str, str]) -> str:
    from yang.errors import SourceError

    message = f"{each['message']} [{each['policy']}]"
    span, source = each.get("span"), str(each.get("source", ""))
    if not isinstance(span, (tuple, list)) or not span[0]:
        return f"  {message}"
    shown = SourceError(
        message,
        source=source,
        line=span[0],
        column=span[1],
        text_line=_line(source, span[0], texts),
    )
    text = each.get("text")
    return f"{shown}" if shown.text_line or not text else f"{shown}\n  {text}"


def _line(source: str, line: int, texts: Mapping[str, str]) -> str:
    text = texts.get(source)
    path = Path(source)
    if text is None and path.suffix in SUFFIXES and not path.is_absolute() and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    lines = [] if text is None else text.split("\n")
    return lines[line - 1] if 0 < line <= len(lines) else ""
