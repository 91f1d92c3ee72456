"""Leaves of source text: one token to one form.

Is:     symbols, keywords, numbers, strings, characters, symbolic values, regular expressions, and the tags with a meaning.
Is not: brackets and prefixes (`yang.reader.clojure`).
Fits:   `LEAVES` by the names of terminals in clojure.lark. A function raises ValueError for what is no such literal.
Source: Clojure 1.11's reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from datomstore.edn import parse_char, parse_instant, parse_number, unescape_string
from datomstore.value import Keyword
from yang.forms import Form
from yang.segment import Span

_CONSTANTS: dict[str, object] = {"nil": None, "true": True, "false": False}
_SYMBOLIC = {"##Inf": float("inf"), "##-Inf": float("-inf"), "##NaN": float("nan")}


def is_internal(name: str) -> bool:
    """Return whether a qualified name means a part of the core library that is for the compiler, as `yin.core/impl/x`."""
    return name.count("/") > 1 and name.partition("/")[2].startswith(("impl/", "long/"))


def _symbol(text: str, span: Span) -> Form:
    if text in _CONSTANTS:
        return Form("literal", _CONSTANTS[text], span)
    if "/" in text and text != "/" and (text[0] == "/" or text[-1] == "/" != text[-2]):
        raise ValueError(f"{text} is not a symbol")
    if is_internal(text):
        raise ValueError(f"{text}: only the core library names its own parts")
    return Form("symbol", text, span)


def _keyword(text: str, span: Span) -> Form:
    name = text[1:]
    if name.startswith(":"):
        if len(name) < 2 or name.endswith("/") or name.startswith(":/"):
            raise ValueError(f"{text} is not a keyword")
        return Form("auto", name[1:], span)
    if not name or (name != "/" and (name[-1] == "/" or name[0] == "/")):
        raise ValueError(f"{text} is not a keyword")
    return Form("literal", Keyword(name), span)


def _number(text: str, span: Span) -> Form:
    value = parse_number(text)
    if value is None:
        raise ValueError(f"{text} is not a number")
    return Form("literal", value, span)


def _string(text: str, span: Span) -> Form:
    return Form("literal", unescape_string(text[1:-1]), span)


def _character(text: str, span: Span) -> Form:
    return Form("literal", parse_char(text), span)


def _symbolic(text: str, span: Span) -> Form:
    if text not in _SYMBOLIC:
        raise ValueError(f"no value {text}; there are ##Inf, ##-Inf, ##NaN")
    return Form("literal", _SYMBOLIC[text], span)


def _regex(text: str, span: Span) -> Form:
    """Return the call that makes it; backslashes are the expression's own."""
    pattern = Form("literal", text[2:-1], span)
    return Form("list", (Form("symbol", "clojure.core/re-pattern", span), pattern), span)


LEAVES: dict[str, Callable[[str, Span], Form]] = {
    "SYMBOL": _symbol,
    "KEYWORD": _keyword,
    "NUMBER": _number,
    "STRING": _string,
    "CHARACTER": _character,
    "SYMBOLIC": _symbolic,
    "REGEX": _regex,
}

_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d))?)?)?)?")


def _instant(text: str) -> datetime:
    """Return an instant; of what is left out at the end, the first."""
    match = _PARTIAL.fullmatch(text)
    if match is None:
        return parse_instant(text)
    year, month, day, hour, minute = [int(part) if part else None for part in match.groups()]
    return parse_instant(
        f"{year:04}-{month or 1:02}-{day or 1:02}T{hour or 0:02}:{minute or 0:02}:00+00:00"
    )


TAGS: dict[str, Callable[[str], object]] = {
    "#inst": _instant,
    "#uuid": UUID,
    "#bytes": bytes.fromhex,
}
