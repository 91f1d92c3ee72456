"""Rules of control: thunks that the library calls.

Is:     try with finally, binding, prompts and what captures up to them, lazy-seq, logic.
Is not: what these functions do (`yang/lib`).
Fits:   listed in `yang.surface.rules`.
"""

from __future__ import annotations

from datomstore.value import Keyword
from yang.forms import Form, call, vector
from yang.namespaces import CORE
from yang.surface.questions import (
    Scope,
    function_of,
    is_call,
    is_constant,
    is_core,
    is_made,
    names_of,
    pairs_of,
    thunk_body,
)
from yang.surface.writer import CallRule, Surface
from yang.walk import Walk

_RESET = Keyword("yin.core/reset")


def write_control(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write the capture of a continuation whose body is above its prompt again."""
    (tag, value), taken = form.value[1].value, form.value[2]
    if not is_made(tag, "tag") or not is_core(taken, "control*", tag.value, None):
        return None
    found = function_of(taken.value[2])
    if found is None or not is_core(found[1], "prompt*", tag.value, None):
        return None
    name, body = found[0], thunk_body(found[1].value[2])
    if body is None:
        return None
    written = yield surface.form(value, scope)
    parts = yield surface.body(body, scope | {name.value})
    return surface.made(form, "control", written, name, *parts)


def write_binding(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write nested calls that bind dynamic variables."""
    pairs = pairs_of(form.value[1])
    inner = form.value[2]
    written: list[Form] = []
    for name, value in pairs:
        if not is_made(name, "bound") or not is_core(inner, "impl/bind", None, name.value, None):
            return None
        cell, body = inner.value[1], thunk_body(inner.value[3])
        if body is None or cell.kind != "symbol" or cell.value in scope:
            return None
        written += (cell, (yield surface.form(value, scope)))
        inner = body
    parts = yield surface.body(inner, scope | names_of(pairs))
    return surface.made(form, "binding", vector(written, form.span), *parts)


def write_finally(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a try with cleanup, which is a call with two thunks."""
    if len(form.value) != 3:
        return None
    attempt, last = (thunk_body(item) for item in form.value[1:])
    if attempt is None or last is None or not is_call(attempt, "try"):
        return None
    last = last.value[1] if is_call(last, "try", 1) else last
    whole = yield surface.form(attempt, scope)
    parts = yield surface.body(last, scope)
    return whole._replace(value=(*whole.value, call(form.span, "finally", *parts)))  # type: ignore[no-any-return]


def write_try(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write a try with its catches."""
    _, body, *catches = form.value
    parts = yield surface.body(body, scope)
    for one in catches:
        _, class_, name, inner = one.value
        inside = yield surface.body(inner, scope | {name.value})
        parts.append(call(one.span, "catch", class_, surface.local(name), *inside))
    return call(form.span, "try", *parts)


def write_thunk_call(word: str) -> CallRule:
    """Return the rule of a call with one thunk: the body of a form."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        body = thunk_body(form.value[1]) if len(form.value) == 2 else None
        if body is None:
            return None
        return surface.made(form, word, *(yield surface.body(body, scope)))

    return rule


def write_prompt(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a prompt, and reset, which is one with its own tag."""
    body = thunk_body(form.value[2]) if len(form.value) == 3 else None
    if body is None:
        return None
    parts = yield surface.body(body, scope)
    if is_constant(form.value[1], _RESET):
        return surface.made(form, "reset", *parts)
    return surface.made(form, "prompt", (yield surface.form(form.value[1], scope)), *parts)


def write_capturing(word: str) -> CallRule:
    """Return the rule of the capture of a continuation up to a tag that is constant."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        found = function_of(form.value[2]) if len(form.value) == 3 else None
        if found is None or form.value[1].kind != "literal":
            return None
        name, body = found
        parts = yield surface.body(body, scope | {name.value})
        if word == "shift-at" and is_constant(form.value[1], _RESET):
            return surface.made(form, "shift", name, *parts)
        return surface.made(form, word, form.value[1], name, *parts)

    return rule


def write_logic(word: str) -> CallRule:
    """Return the rule of goals that hold for some values of new variables."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        function = form.value[2] if len(form.value) == 3 else form
        if not is_call(function, "fn*", 1) or not function.value[1].value:
            return None
        names, body = function.value[1].value
        is_plain = is_constant(form.value[1], len(names.value)) and is_call(body, CORE + "all")
        if not is_plain or any("~" in name.value or name.value == "&" for name in names.value):
            return None
        goals = yield surface.all(body.value[1:], scope | {name.value for name in names.value})
        return surface.made(form, word, names, *goals)

    return rule
