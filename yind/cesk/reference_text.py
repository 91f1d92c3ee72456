"""The host functions of the reference machine on texts: printing, names, characters, strings, numbers from texts.

Is:     the text part of `yang.primitives` as Python functions.
Is not: how values look (`reference_values`).
Fits:   `reference_primitives` has the whole table.
Source: Clojure 1.11's clojure.core and clojure.string.
"""

from __future__ import annotations

import re

from pyrsistent import pvector

from datomstore.value import Char, Keyword, Symbol
from yind.cesk.reference_arguments import check_index, check_string, out_of_bounds, primitive
from yind.cesk.reference_values import (
    GuestFault,
    Store,
    Value,
    all_items,
    is_integer,
    str_of,
    text_of,
    type_fault,
)

# -- text --


@primitive("ascii?")
def _is_ascii(store: Store, value: Value) -> bool:
    return isinstance(value, str) and value.isascii()


@primitive("str")
def _str(store: Store, *arguments: Value) -> str:
    return "".join(str_of(store, argument) for argument in arguments)


@primitive("pr-str")
def _pr_str(store: Store, *arguments: Value) -> str:
    return " ".join(text_of(store, argument, readable=True) for argument in arguments)


@primitive("print-str")
def _print_str(store: Store, *arguments: Value) -> str:
    return " ".join(text_of(store, argument, readable=False) for argument in arguments)


@primitive("join-text")
def _join(store: Store, separator: Value, source: Value) -> str:
    between = check_string("join", separator)
    return between.join(str_of(store, item) for item in all_items(store, source))


@primitive("subs")
def _subs(store: Store, value: Value, start: Value, end: Value = None) -> str:
    text = check_string("subs", value)
    first = check_index("subs", start)
    last = len(text) if end is None else check_index("subs", end)
    if not 0 <= last <= len(text):
        raise out_of_bounds("subs", last, len(text))
    if not 0 <= first <= last:
        raise out_of_bounds("subs", first, last)
    return text[first:last]


@primitive("name")
def _name_of(store: Store, value: Value) -> str:
    if isinstance(value, Keyword | Symbol):
        return value.local_name
    if isinstance(value, str):
        return value
    raise type_fault("name", "a keyword, symbol or string", value)


@primitive("namespace")
def _namespace(store: Store, value: Value) -> str | None:
    if isinstance(value, Keyword | Symbol):
        return value.namespace
    raise type_fault("namespace", "a keyword or symbol", value)


def _qualified(name: str, namespace: Value, local: Value) -> str:
    if namespace is None:
        return check_string(name, local)
    return f"{check_string(name, namespace)}/{check_string(name, local)}"


@primitive("keyword")
def _keyword(store: Store, *arguments: Value) -> Keyword | None:
    if len(arguments) == 2:
        return Keyword(_qualified("keyword", *arguments))
    (value,) = arguments
    if isinstance(value, Keyword | Symbol):
        return Keyword(value.name)
    return Keyword(value) if isinstance(value, str) else None


@primitive("symbol")
def _symbol(store: Store, *arguments: Value) -> Symbol:
    if len(arguments) == 2:
        return Symbol(_qualified("symbol", *arguments))
    (value,) = arguments
    if isinstance(value, Keyword | Symbol):
        return Symbol(value.name)
    if isinstance(value, str):
        return Symbol(value)
    raise type_fault("symbol", "a string, keyword or symbol", value)


@primitive("char")
def _char(store: Store, value: Value) -> Char:
    if isinstance(value, Char):
        return value
    if not is_integer(value):
        raise type_fault("char", "a code point", value)
    if not 0 <= value <= 0x10FFFF or 0xD800 <= value < 0xE000:
        raise GuestFault("argument", "char: the number is not the code point of a character")
    return Char(chr(value))


_SPACES = (
    "".join(map(chr, [*range(9, 14), *range(28, 33), 0x1680, *range(0x2000, 0x2007)]))
    + (
        "\u2008\u2009\u200a\u2028\u2029\u205f\u3000"  # what Java calls whitespace: no-break spaces are none
    )
)


def _strip(text: str) -> str:
    return text.strip(_SPACES)


@primitive("upper-case")
def _upper(store: Store, value: Value) -> str:
    return check_string("upper-case", value).upper()


@primitive("lower-case")
def _lower(store: Store, value: Value) -> str:
    return check_string("lower-case", value).lower()


@primitive("trim")
def _trim(store: Store, value: Value) -> str:
    return _strip(check_string("trim", value))


@primitive("blank?")
def _blank(store: Store, value: Value) -> bool:
    return value is None or not _strip(check_string("blank?", value))


@primitive("starts-with?")
def _starts_with(store: Store, value: Value, part: Value) -> bool:
    return check_string("starts-with?", value).startswith(check_string("starts-with?", part))


@primitive("ends-with?")
def _ends_with(store: Store, value: Value, part: Value) -> bool:
    return check_string("ends-with?", value).endswith(check_string("ends-with?", part))


@primitive("includes?")
def _includes(store: Store, value: Value, part: Value) -> bool:
    text = check_string("includes?", value)
    return check_string("includes?", part) in text


@primitive("index-of")
def _index_of(store: Store, value: Value, part: Value, start: Value = 0) -> int | None:
    text, sought = check_string("index-of", value), check_string("index-of", part)
    at = text.find(sought, min(max(check_index("index-of", start), 0), len(text)))
    return None if at < 0 else at


@primitive("replace-text")
def _replace(store: Store, value: Value, match: Value, replacement: Value) -> str:
    text, sought = check_string("replace", value), check_string("replace", match)
    return text.replace(sought, check_string("replace", replacement))


@primitive("split-text")
def _split(store: Store, value: Value, separator: Value) -> Value:
    text, between = check_string("split", value), check_string("split", separator)
    parts = text.split(between) if between else list(text) or [""]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    if parts == [""] and text:
        parts = []  # nothing but separators
    return pvector(parts)


@primitive("parse-long")
def _parse_long(store: Store, value: Value) -> int | None:
    text = check_string("parse-long", value)
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    number = int(text) if len(text) < 32 else 1 << 64
    return number if -(1 << 63) <= number < 1 << 63 else None


@primitive("parse-double")
def _parse_double(store: Store, value: Value) -> float | None:
    text = _strip(check_string("parse-double", value))
    number = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?Infinity|[+-]?NaN"
    return float(text) if re.fullmatch(number, text) else None
