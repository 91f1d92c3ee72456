"""Rules of loops.

Is:     while, dotimes, doseq, for, and loop with patterns.
Is not: plain loop, which is a rule of bindings (`yang.surface.rules`).
Fits:   listed in `yang.surface.rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from datomstore.value import Keyword
from yang.forms import Form, literal, vector
from yang.surface.patterns import Patterns, only_pattern
from yang.surface.questions import (
    Scope,
    is_call,
    is_constant,
    is_core,
    is_made,
    is_name,
    is_nil,
    names_of,
    pairs_of,
    thunk_body,
)
from yang.surface.writer import NoPattern, Surface
from yang.walk import Walk


def write_pattern_loop(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a loop whose names are taken apart in each round."""
    looped = form.value[2]
    if not is_call(looped, "loop*", 2) or not is_call(looped.value[2], "let*", 2):
        return None
    rounds, inner = pairs_of(looped.value[1]), looped.value[2]
    if not any(is_made(name, "loop") for name, _ in rounds):
        return None
    starts = {name.value: value for name, value in reversed(pairs_of(form.value[1]))}
    inside = scope | names_of(pairs_of(form.value[1])) | names_of(pairs_of(inner.value[1]))
    found = yield Patterns(surface, pairs_of(inner.value[1]), inside).all()
    patterns = {value.value: pattern for pattern, value in found if value.kind == "symbol"}
    bindings: list[Form] = []
    for name, again in rounds:
        if not is_name(again, name.value) or name.value not in starts:
            return None
        start = yield surface.form(starts[name.value], inside)
        bindings += (patterns.get(name.value, name), start)
    body = yield surface.body(inner.value[2], inside)
    return surface.made(form, "loop", vector(bindings, form.span), *body)


def write_while(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a loop without names."""
    choice = form.value[2]
    if form.value[1].value or not is_call(choice, "if", 3) or not is_nil(choice.value[3]):
        return None
    body = choice.value[2]
    parts = body.value[1:] if is_call(body, "do") else (body,)
    if not is_call(parts[-1], "recur", 0):
        return None
    test = yield surface.form(choice.value[1], scope)
    return surface.made(form, "while", test, *(yield surface.all(parts[:-1], scope)))


def write_dotimes(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a loop that counts up to a number."""
    (bound, count), looped = form.value[1].value, form.value[2]
    if not is_made(bound, "count") or not is_core(count, "long", None):
        return None
    if not is_call(looped, "loop*", 2) or len(looped.value[1].value) != 2:
        return None
    (name, start), choice = looped.value[1].value, looped.value[2]
    if not is_constant(start, 0) or not is_call(choice, "if", 3):
        return None
    if not is_core(choice.value[1], "<", name.value, bound.value):
        return None
    body = choice.value[2]
    parts = body.value[1:] if is_call(body, "do") else (body,)
    again = parts[-1]
    if not is_call(again, "recur", 1) or not is_core(again.value[1], "inc", name.value):
        return None
    written = yield surface.form(count.value[1], scope)
    bindings = vector([surface.local(name), written], form.span)
    inside = yield surface.all(parts[:-1], scope | {name.value})
    return surface.made(form, "dotimes", bindings, *inside)


def write_doseq(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write loops over collections, one inside of the other."""
    bindings: list[Form] = []
    whole = form
    while True:
        step = yield _doseq_level(surface, form, scope, bindings)
        if step is None:
            return None
        body, scope = step
        if is_call(body, "loop*", 2) and _is_seq_loop(body):
            form = body
            continue
        parts = body.value[1:-1] if is_call(body, "do") else ()
        if is_call(body, "do") and not is_nil(body.value[-1]):
            return None
        written = yield surface.all(parts, scope)
        return surface.made(whole, "doseq", vector(bindings, whole.span), *written)


def _is_seq_loop(form: Form) -> bool:
    pairs = pairs_of(form.value[1])
    return len(pairs) == 1 and is_made(pairs[0][0], "seq") and is_core(pairs[0][1], "seq", None)


def _doseq_level(
    surface: Surface, form: Form, scope: Scope, bindings: list[Form]
) -> Walk[tuple[Form, Scope] | None]:
    """Add one collection with its modifiers; return what is inside."""
    if not _is_seq_loop(form):
        return None
    left, items = form.value[1].value
    choice = form.value[2]
    if not is_call(choice, "if", 3) or not is_name(choice.value[1], left.value):
        return None
    found = yield _item(surface, choice.value[2], left, scope)
    if found is None:
        return None
    pattern, step, inside = found
    bindings += (pattern, (yield surface.form(items.value[1], scope)))

    def is_again(form: Form) -> bool:
        return is_call(form, "recur", 1) and is_core(form.value[1], "next", left.value)

    step, inside = yield _modifiers(surface, step, inside, bindings, is_again)
    if not is_call(step, "do", 2) or not is_again(step.value[2]):
        return None
    return step.value[1], inside


def _item(
    surface: Surface, form: Form, left: Form, scope: Scope
) -> Walk[tuple[Form, Form, Scope] | None]:
    """Return the pattern of `(let* [pattern (first left)] step)`, the step, and its scope."""
    if not is_call(form, "let*", 2) or not form.value[1].value:
        return None
    pairs = pairs_of(form.value[1])
    if not is_core(pairs[0][1], "first", left.value):
        return None
    pattern, step = yield only_pattern(surface, form, scope | {left.value})
    return pattern, step, scope | names_of(pairs) | {left.value}


def _modifiers(
    surface: Surface,
    step: Form,
    scope: Scope,
    bindings: list[Form],
    is_again: Callable[[Form], bool],
) -> Walk[tuple[Form, Scope]]:
    """Add the modifiers :let, :when and :while around a step; return what is inside, and its scope."""
    while True:
        if is_call(step, "if", 3) and (is_again(step.value[3]) or is_nil(step.value[3])):
            word = "when" if is_again(step.value[3]) else "while"
            test = yield surface.form(step.value[1], scope)
            bindings += (literal(Keyword(word), step.span), test)
            step = step.value[2]
        elif is_call(step, "let*", 2) and not is_made(step.value[1].value[0], "results"):
            pairs = pairs_of(step.value[1])
            scope = scope | names_of(pairs)
            found = yield Patterns(surface, pairs, scope).all()
            written: list[Form] = []
            for pattern, value in found:
                written += (pattern, (yield surface.form(value, scope)))
            bindings += (literal(Keyword("let"), step.span), vector(written, step.span))
            step = step.value[2]
        else:
            return step, scope


def write_for(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write nested lazy seqs as one comprehension."""
    bindings: list[Form] = []
    whole = form
    try:
        while True:
            found = yield _for_level(surface, form, scope, bindings)
            if found is None:
                return None
            step, scope, rest = found
            if is_call(step, "let*", 2):
                form = step.value[1].value[1].value[1]
                if form.kind != "list":
                    return None
                continue
            if not is_core(step, "cons", None, None) or not rest(step.value[2]):
                return None
            body = yield surface.form(step.value[1], scope)
            return surface.made(whole, "for", vector(bindings, whole.span), body)
    except NoPattern:
        return None


_Level: TypeAlias = tuple[Form, Scope, Callable[[Form], bool]]


def _for_level(
    surface: Surface, form: Form, scope: Scope, bindings: list[Form]
) -> Walk[_Level | None]:
    """Add one collection of a `for` with its modifiers; return what is inside."""
    looped = _for_loop(form)
    if looped is None:
        return None
    iterate, step = looped
    left, source = step.value[1].value
    choice = step.value[2]
    if not is_made(left, "left") or not is_core(source, "seq", None):
        return None
    if not is_call(choice, "if", 3) or not is_name(choice.value[1], left.value):
        return None
    found = yield _item(surface, choice.value[2], left, scope)
    if found is None:
        return None
    pattern, inner, inside = found
    bindings += (pattern, (yield surface.form(form.value[1], scope)))

    def is_again(form: Form) -> bool:
        return is_call(form, "recur", 1) and is_core(form.value[1], "rest", left.value)

    def is_rest(form: Form) -> bool:
        return is_call(form, iterate, 1) and is_core(form.value[1], "rest", left.value)

    inner, inside = yield _modifiers(surface, inner, inside, bindings, is_again)
    if is_call(inner, "let*", 2) and not is_core(inner.value[1].value[1], "seq", None):
        return None
    return inner, inside, is_rest


def _for_loop(form: Form) -> tuple[str, Form] | None:
    """Return the function's name and the let inside of `((fn* for ([given] (lazy-seq (loop* ...)))) items)`."""
    if form.kind != "list" or len(form.value) != 2 or not is_call(form.value[0], "fn*", 2):
        return None
    name, arity = form.value[0].value[1:]
    if not is_made(name, "for") or not is_core(arity.value[1], "lazy-seq*", None):
        return None
    looped = thunk_body(arity.value[1].value[1])
    if looped is None or not is_call(looped, "loop*", 2) or not is_call(looped.value[2], "let*"):
        return None
    return name.value, looped.value[2]
