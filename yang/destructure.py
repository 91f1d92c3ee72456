"""Destructuring: a pattern and a value to plain bindings.

Is:     Clojure's vector and map patterns, spelled out with the core's nth, seq, first, next and get.
Is not: matching: a pattern never fails, what is absent is nil or its :or default.
Fits:   `yang.derived` uses it for let, loop, fn, for, doseq and their kin.
Source: clojure.core/destructure of Clojure 1.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from datomstore.value import Keyword, Symbol
from yang.forms import Form, call, literal, symbol

if TYPE_CHECKING:
    from yang.expand import Expander

Pair: TypeAlias = tuple[Form, Form]  # pattern or name, value


def destructure(expander: Expander, pairs: Iterable[Pair]) -> list[Form]:
    """Return names and values alternating, as `let*` takes them, in the order they are evaluated.

    Raises:
        SourceError: a pattern that is none.
    """
    out: list[Form] = []
    stack = list(pairs)[::-1]
    while stack:
        pattern, value = stack.pop()
        if pattern.kind == "symbol":
            expander.check_local(pattern)
            out += (pattern, value)
        elif pattern.kind == "vector":
            whole = symbol(expander.fresh("vector"), pattern.span)
            out += (whole, value)
            stack.extend(reversed(_vector_pairs(expander, pattern, whole)))
        elif pattern.kind == "map":
            given = symbol(expander.fresh("map"), pattern.span)
            whole = symbol(expander.fresh("map"), pattern.span)
            out += (given, value, whole, _as_map(given))
            stack.extend(reversed(_map_pairs(expander, pattern, whole)))
        else:
            raise expander.error(
                "this cannot be bound: a name, a vector or a map pattern stands here", pattern.span
            )
    return out


def _as_map(given: Form) -> Form:
    """Return what reads keyword arguments, a seq of keys and values, as a map."""
    span = given.span
    spread = call(span, "yin.core/apply", symbol("yin.core/hash-map", span), given)
    one = call(span, "yin.core/first", given)
    empty = Form("map", (), span)
    some = call(span, "if", call(span, "yin.core/seq", given), one, empty)
    entries = call(span, "if", call(span, "yin.core/next", given), spread, some)
    return call(span, "if", call(span, "yin.core/seq?", given), entries, given)


def _vector_pairs(expander: Expander, pattern: Form, whole: Form) -> list[Pair]:
    items: tuple[Form, ...] = pattern.value
    rest_at = next((i for i, item in enumerate(items) if _is(item, "&")), None)
    as_at = next((i for i, item in enumerate(items) if _is_keyword(item, "as")), None)
    fixed_end = min([at for at in (rest_at, as_at) if at is not None], default=len(items))
    pairs: list[Pair] = []
    if rest_at is None:
        for index, item in enumerate(items[:fixed_end]):
            span = item.span
            value = call(span, "yin.core/nth", whole, literal(index, span), literal(None, span))
            pairs.append((item, value))
        tail = items[fixed_end:]
    else:
        pairs, tail = _seq_pairs(expander, items, rest_at, whole)
    if not tail:
        return pairs
    if len(tail) != 2 or not _is_keyword(tail[0], "as") or tail[1].kind != "symbol":
        raise expander.error(
            "after the items of a vector pattern comes `& rest` or `:as name`", tail[0].span
        )
    return [*pairs, (tail[1], whole)]


def _seq_pairs(
    expander: Expander, items: tuple[Form, ...], rest_at: int, whole: Form
) -> tuple[list[Pair], tuple[Form, ...]]:
    """Return the pairs of `[a b & rest ...]` and what comes after the rest."""
    ampersand = items[rest_at]
    if rest_at + 1 >= len(items) or _is(items[rest_at + 1], "&"):
        raise expander.error("& has no name after it", ampersand.span)
    span = whole.span
    left = symbol(expander.fresh("seq"), span)
    pairs: list[Pair] = [(left, call(span, "yin.core/seq", whole))]
    for item in items[:rest_at]:
        pairs.append((item, call(item.span, "yin.core/first", left)))
        following = symbol(expander.fresh("seq"), span)
        pairs.append((following, call(span, "yin.core/next", left)))
        left = following
    pairs.append((items[rest_at + 1], left))
    return pairs, items[rest_at + 2 :]


def _map_pairs(expander: Expander, pattern: Form, whole: Form) -> list[Pair]:
    entries = list(zip(pattern.value[::2], pattern.value[1::2], strict=True))
    defaults = _defaults(expander, entries)
    before: list[Pair] = []
    pairs: list[Pair] = []
    for key, value in entries:
        named = key.value if key.kind == "literal" and isinstance(key.value, Keyword) else None
        if named is None:
            pairs.append((key, _get(whole, value, defaults.get(_local_name(key)), key)))
        elif named.name == "as":
            before.append((value, whole))
        elif named.local_name in ("keys", "strs", "syms"):
            pairs.extend(_listed(expander, named, value, whole, defaults))
        elif named.name != "or":
            raise expander.error(
                f"{named!r} in a map pattern; there are :keys :strs :syms :as :or", key.span
            )
    return before + pairs


def _defaults(expander: Expander, entries: list[Pair]) -> dict[str, Form]:
    for key, value in entries:
        if not _is_keyword(key, "or"):
            continue
        if value.kind != "map" or any(name.kind != "symbol" for name in value.value[::2]):
            raise expander.error(":or takes a map from names to defaults", value.span)
        return {
            name.value: default
            for name, default in zip(value.value[::2], value.value[1::2], strict=True)
        }
    return {}


def _listed(
    expander: Expander, directive: Keyword, names: Form, whole: Form, defaults: dict[str, Form]
) -> list[Pair]:
    """Return the pairs of `:keys [a ns/b]`, `:strs [a]`, `:syms [a]`, `:ns/keys [a]`."""
    if names.kind != "vector":
        raise expander.error(f"{directive!r} takes a vector of names", names.span)
    pairs: list[Pair] = []
    for name in names.value:
        is_keyword = name.kind == "literal" and isinstance(name.value, Keyword)
        if name.kind != "symbol" and not is_keyword:
            raise expander.error(f"{directive!r} takes a vector of names", name.span)
        full = Symbol(name.value if name.kind == "symbol" else name.value.name)
        local = full.local_name
        namespace = full.namespace or directive.namespace
        key = _key(directive, local if namespace is None else f"{namespace}/{local}", name)
        bound = symbol(local, name.span)
        pairs.append((bound, _get(whole, key, defaults.get(local), name)))
    return pairs


def _key(directive: Keyword, name: str, place: Form) -> Form:
    if directive.local_name == "keys":
        return literal(Keyword(name), place.span)
    if directive.local_name == "strs":
        return literal(name, place.span)
    return call(place.span, "quote", symbol(name, place.span))


def _get(whole: Form, key: Form, default: Form | None, place: Form) -> Form:
    arguments = (whole, key) if default is None else (whole, key, default)
    return call(place.span, "yin.core/get", *arguments)


def _local_name(pattern: Form) -> str:
    return pattern.value if pattern.kind == "symbol" else ""


def _is(form: Form, name: str) -> bool:
    return form.kind == "symbol" and bool(form.value == name)


def _is_keyword(form: Form, name: str) -> bool:
    return form.kind == "literal" and isinstance(form.value, Keyword) and form.value.name == name
