"""Rules of values.

Is:     vectors, maps and sets that are computed, quoted data, @, #"...", dynamic variables.
Is not: how values are printed (`yang.layout`).
Fits:   listed in `yang.surface.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

from yang.forms import Form, call, text_of
from yang.surface.questions import Scope, is_call, is_readable
from yang.surface.writer import CallRule, Surface
from yang.walk import Walk


def write_prefix(reader_name: str) -> CallRule:
    """Return the rule of a call that the reader has a prefix for."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        if len(form.value) != 2:
            return None
        (operand,) = yield surface.all(form.value[1:], scope)
        return call(form.span, reader_name, operand)

    return rule


def write_pattern_literal(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a regular expression of the core library; in programs each is a definition, and others are plain calls."""
    if not surface.program.is_core:
        return None
    text = form.value[1] if len(form.value) == 2 else form
    if text.kind != "literal" or not isinstance(text.value, str):
        return None
    return call(form.span, "clojure.core/re-pattern", text)
    yield


def write_collection(kind: str) -> CallRule:
    """Return the rule of a call that makes what brackets make."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        operands = form.value[1:]
        keys = operands[::2] if kind == "map" else operands
        if kind != "vector" and (
            len(operands) % len((1, 2)[: 1 + (kind == "map")]) or not _are_distinct(keys)
        ):
            return None
        if all(_is_data(operand) for operand in operands):
            return None  # would be a constant
        parts = yield surface.all(operands, scope)
        return Form(kind, tuple(parts), form.span)  # type: ignore[arg-type]

    return rule


def _are_distinct(keys: Sequence[Form]) -> bool:
    constants = [text_of(key) for key in keys if key.kind in ("literal", "symbol")]
    return len(set(constants)) == len(constants)


def _is_data(form: Form) -> bool:
    return form.kind == "literal" or is_call(form, "quote")


def write_dynamic_value(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a dynamic variable, which is read where it is named."""
    (name,) = form.value[1:]
    is_known = name.kind == "symbol" and name.value in surface.program.dynamic
    if not is_known or name.value in scope or not is_readable(name.value):
        return None
    known = surface.program._replace(dynamic=frozenset())
    return Surface(known, surface.namespace).name(name, scope)
    yield


def write_quote(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write constant data, without a quote where it means itself."""
    quoted = form.value[1]
    return quoted if _evaluates_to_itself(quoted) else form
    yield


def _evaluates_to_itself(form: Form) -> bool:
    """Return whether data means itself without a quote. Depth is bounded by what the reader took."""
    if form.kind == "list":
        return not form.value
    if form.kind == "symbol":
        return False
    return form.is_leaf or all(_evaluates_to_itself(item) for item in form.value)


def write_parts(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write a form whose parts are all expressions."""
    return form._replace(value=(form.value[0], *(yield surface.all(form.value[1:], scope))))
