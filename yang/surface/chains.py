"""Rules of forms that hand a value on.

Is:     cond->, some-> and their kin, doto.
Is not: -> and ->>, of which nothing is left in a tree.
Fits:   listed in `yang.surface.rules`.
"""

from __future__ import annotations

from collections.abc import Callable

from yang.forms import Form
from yang.surface.questions import Scope, is_call, is_core, is_made, is_name, is_nil, pairs_of
from yang.surface.writer import CALLS, RULES, LetRule, Surface
from yang.walk import Walk


def write_threaded(
    word: str, unwrapped: Callable[[Form, str], tuple[Form | None, Form] | None]
) -> LetRule:
    """Return the rule of cond-> or some->: each value is made of the one before."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        (name, value), *rest = pairs_of(form.value[1])
        last = rest[-1][0] if rest else name
        if not is_made(name, "value") or not rest or not is_name(form.value[2], last.value):
            return None
        steps: list[tuple[Form | None, Form]] = []
        for following, made in rest:
            step = unwrapped(made, name.value)
            if step is None or not is_made(following, "value"):
                return None
            steps.append(step)
            name = following
        names = [pairs_of(form.value[1])[0][0], *[following for following, _ in rest]]
        before = [name.value for name in names]
        places = [_place_of(step, used) for (_, step), used in zip(steps, before, strict=False)]
        is_last = not all("first" in place for place in places)
        if is_last and not all("last" in place for place in places):
            return None
        parts = [(yield surface.form(value, scope))]
        for test, taken in steps:
            if test is not None:
                parts.append((yield surface.form(test, scope)))
            items = taken.value[:-1] if is_last else (taken.value[0], *taken.value[2:])
            written = yield surface.application(taken._replace(value=items), scope)
            parts.append(written.value[0] if len(items) == 1 else written)
        return surface.made(form, f"{word}->{'>' if is_last else ''}", *parts)

    return rule


def _place_of(step: Form, name: str) -> set[str]:
    """Return where in a call a name stands: first, last, both or neither."""
    if step.kind != "list" or len(step.value) < 2 or _is_special(step.value[0]):
        return set()
    places = {"first": step.value[1], "last": step.value[-1]}
    return {place for place, item in places.items() if is_name(item, name)}


def _is_special(form: Form) -> bool:
    return form.kind == "symbol" and (form.value in RULES or form.value in CALLS)


def cond_step(form: Form, name: str) -> tuple[Form | None, Form] | None:
    """Return test and step of a round of `cond->`."""
    is_step = is_call(form, "if", 3) and is_name(form.value[3], name)
    return (form.value[1], form.value[2]) if is_step else None


def some_step(form: Form, name: str) -> tuple[Form | None, Form] | None:
    """Return the step of a round of `some->`."""
    is_step = (
        is_call(form, "if", 3) and is_core(form.value[1], "nil?", name) and is_nil(form.value[2])
    )
    return (None, form.value[3]) if is_step else None


def write_doto(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write calls with one value as first argument, which is handed back."""
    (name, value), body = form.value[1].value, form.value[2]
    if not is_made(name, "value") or not is_call(body, "do"):
        return None
    *steps, last = body.value[1:]
    if not is_name(last, name.value):
        return None
    if not all("first" in _place_of(step, name.value) for step in steps):
        return None
    parts = [(yield surface.form(value, scope))]
    for step in steps:
        items = (step.value[0], *step.value[2:])
        parts.append((yield surface.application(step._replace(value=items), scope)))
    return surface.made(form, "doto", *parts)
