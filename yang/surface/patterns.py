"""Bindings that came of patterns, as patterns again.

Is:     a parser of what `yang.destructure` makes, which raises NoPattern for all else.
Is not: the rules of let, fn and their kin, which use it.
Fits:   rules of bindings, functions and loops.
"""

from __future__ import annotations

from collections.abc import Callable

from datomstore.value import Keyword
from yang.forms import Form, literal, symbol, vector
from yang.surface.questions import (
    Pairs,
    Scope,
    is_call,
    is_constant,
    is_core,
    is_made,
    is_name,
    is_nil,
    is_readable,
    names_of,
    pairs_of,
)
from yang.surface.writer import NoPattern, Surface
from yang.walk import Walk


def only_pattern(surface: Surface, form: Form, scope: Scope) -> Walk[tuple[Form, Form]]:
    """Return the only pattern of a let, and its body. Raises NoPattern."""
    pairs = pairs_of(form.value[1])
    patterns = yield Patterns(surface, pairs, scope | names_of(pairs)).all()
    if len(patterns) != 1:
        raise NoPattern
    return patterns[0][0], form.value[2]


class Patterns:
    """Bindings that came of patterns, as patterns again: a parser of what `yang.destructure` makes."""

    def __init__(self, surface: Surface, pairs: Pairs, scope: Scope) -> None:
        self.surface = surface
        self.pairs = pairs
        self.scope = scope
        self.at = 0

    def all(self) -> Walk[Pairs]:
        """Return patterns and the values they take apart. Raises NoPattern."""
        found: Pairs = []
        while self.at < len(self.pairs):
            value = self.pairs[self.at][1]
            found.append(((yield self.target()), value))
        return found

    def target(self) -> Walk[Form]:
        """Return the pattern that begins here."""
        name = self.pairs[self.at][0]
        self.at += 1
        if is_made(name, "vector"):
            return (yield self.vector(name))  # type: ignore[no-any-return]
        if is_made(name, "map"):
            return (yield self.map(name))  # type: ignore[no-any-return]
        if "~" in name.value or not is_readable(name.value) or "/" in name.value:
            raise NoPattern
        return name

    def value(self) -> Form | None:
        """Return the value that is bound next, None at the end."""
        return self.pairs[self.at][1] if self.at < len(self.pairs) else None

    def taken(self) -> Form:
        """Return the next name, and go on after it."""
        self.at += 1
        return self.pairs[self.at - 1][0]

    def binds_call(self, function: str, operand: str) -> bool:
        """Return whether the next value is the call of a library's function with one name."""
        value = self.value()
        return value is not None and is_core(value, function, operand)

    def next_is(self, test: Callable[[Form], bool]) -> bool:
        """Return whether the next value is such one."""
        value = self.value()
        return value is not None and test(value)

    def vector(self, whole: Form) -> Walk[Form]:
        """Return `[a b & rest :as name]`."""
        items: list[Form] = []
        if self.binds_call("seq", whole.value) and is_made(self.pairs[self.at][0], "seq"):
            yield self.sequence(items, whole)
        else:
            while self.next_is(lambda value: _is_item(value, whole.value, len(items))):
                items.append((yield self.target()))
        if self.next_is(lambda value: is_name(value, whole.value)):
            items += (literal(Keyword("as"), whole.span), (yield self.target()))
        return vector(items, whole.span)

    def sequence(self, items: list[Form], whole: Form) -> Walk[None]:
        """Add the items of a pattern with a rest."""
        left = self.taken().value
        while self.binds_call("first", left):
            items.append((yield self.target()))
            if not self.binds_call("next", left):
                raise NoPattern
            left = self.taken().value
        value = self.value()
        if value is None or not is_name(value, left):
            raise NoPattern
        items += (symbol("&", whole.span), (yield self.target()))

    def map(self, given: Form) -> Walk[Form]:
        """Return `{:keys [a] b :c :or {a 1} :as name}`."""
        if not self.next_is(lambda value: _is_as_map(value, given.value)):
            raise NoPattern
        whole = self.pairs[self.at][0]
        self.at += 1
        span = whole.span
        entries: list[Form] = []
        defaults: list[Form] = []
        keys: list[Form] = []
        named: Form | None = None
        if self.next_is(lambda value: is_name(value, whole.value)):
            named = yield self.target()
        while self.next_is(lambda value: _is_get(value, whole.value)):
            value = self.value()
            assert value is not None
            name, key, rest = self.pairs[self.at][0], value.value[2], value.value[3:]
            target = yield self.target()
            if rest:
                if target.kind != "symbol":
                    raise NoPattern
                defaults += (name, (yield self.surface.form(rest[0], self.scope)))
            is_key = target.kind == "symbol" and is_constant(key, Keyword(name.value))
            if is_key and len(entries) <= 2 and (not entries or keys):
                keys.append(name)
                entries = [literal(Keyword("keys"), span), vector(keys, span)]
            else:
                entries += (target, (yield self.surface.form(key, self.scope)))
        if defaults:
            entries += (literal(Keyword("or"), span), Form("map", tuple(defaults), span))
        if named is not None:
            entries += (literal(Keyword("as"), span), named)
        return Form("map", tuple(entries), span)


def _is_item(value: Form, whole: str, index: int) -> bool:
    return (
        is_core(value, "nth", whole, None, None)
        and is_constant(value.value[2], index)
        and is_nil(value.value[3])
    )


def _is_get(value: Form, whole: str) -> bool:
    return is_core(value, "get", whole, None) or is_core(value, "get", whole, None, None)


def _is_as_map(value: Form, given: str) -> bool:
    return is_call(value, "if", 3) and is_core(value.value[1], "seq?", given)
