"""Which rule writes which core form, and the rules of bindings that try others.

Is:     the tables of `yang.surface.writer`, filled; `surface_of`.
Is not: a proof that a rule is right: `yang.clojure` compiles what comes out and compares.
Fits:   names that expansion made (`and~1`) are gone where a rule undoes what made them; where none does, they are exact.
"""

from __future__ import annotations

from yang.forms import Form, call, vector
from yang.surface.chains import cond_step, some_step, write_doto, write_threaded
from yang.surface.conditionals import (
    write_and_or,
    write_case,
    write_condp,
    write_if,
    write_if_binding,
    write_when_first,
)
from yang.surface.control import (
    write_binding,
    write_capturing,
    write_control,
    write_finally,
    write_logic,
    write_prompt,
    write_thunk_call,
    write_try,
)
from yang.surface.functions import write_def, write_fn, write_function
from yang.surface.loops import (
    write_doseq,
    write_dotimes,
    write_for,
    write_pattern_loop,
    write_while,
)
from yang.surface.patterns import Patterns
from yang.surface.questions import Scope, is_name, names_of, pairs_of
from yang.surface.values import (
    write_collection,
    write_dynamic_value,
    write_parts,
    write_pattern_literal,
    write_prefix,
    write_quote,
)
from yang.surface.writer import (
    APPLIED,
    CALLS,
    RULES,
    LetRule,
    NoPattern,
    Program,
    Surface,
)
from yang.walk import Walk


def _let(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    if len(form.value) == 3 and form.value[1].value:
        for rule in _LETS if len(form.value[1].value) == 2 else _LETS_OF_MANY:
            try:
                written = yield rule(surface, form, scope)
            except NoPattern:
                continue
            if written is not None:
                return written  # type: ignore[no-any-return]
    pairs = pairs_of(form.value[1])
    inside = scope | names_of(pairs)
    try:
        found = yield Patterns(surface, pairs, inside).all()
    except NoPattern:
        return (yield _plain_let(surface, form, scope, "let*"))  # type: ignore[no-any-return]
    bindings: list[Form] = []
    for pattern, value in found:
        bindings += (pattern, (yield surface.form(value, inside)))
    body = yield surface.body(form.value[2], inside)
    return surface.made(form, "let", vector(bindings, form.span), *body)


def _plain_let(surface: Surface, form: Form, scope: Scope, head: str) -> Walk[Form]:
    """Write bindings of names alone, some of them exact."""
    bindings: list[Form] = []
    for name, value in pairs_of(form.value[1]):
        bindings += (surface.local(name), (yield surface.form(value, scope)))
        scope = scope | {name.value}
    body = yield surface.body(form.value[2], scope)
    return call(form.span, head, vector(bindings, form.span), *body)


def _loop(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    for rule in (write_while, write_doseq):
        try:
            written = yield rule(surface, form, scope)
        except NoPattern:
            continue
        if written is not None:
            return written  # type: ignore[no-any-return]
    head = "loop*" if any("~" in name.value for name, _ in pairs_of(form.value[1])) else "loop"
    written = yield _plain_let(surface, form, scope, head)
    if head == "loop":
        return written._replace(value=(surface.head("loop", form), *written.value[1:]))  # type: ignore[no-any-return]
    return written  # type: ignore[no-any-return]


def _letfn(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    pairs = pairs_of(form.value[1])
    scope = scope | names_of(pairs)
    functions: list[Form] = []
    for name, function in pairs:
        written = yield write_function(surface, function, scope)
        own = function.value[1].kind == "symbol"
        if not own or not is_name(function.value[1], name.value):
            return (yield _plain_letfn(surface, form, scope))  # type: ignore[no-any-return]
        functions.append(written._replace(value=written.value[1:]))
    body = yield surface.body(form.value[2], scope)
    if any("~" in name.value for name, _ in pairs):
        return (yield _plain_letfn(surface, form, scope))  # type: ignore[no-any-return]
    return surface.made(form, "letfn", vector(functions, form.span), *body)


def _plain_letfn(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    bindings: list[Form] = []
    for name, function in pairs_of(form.value[1]):
        bindings += (surface.local(name), (yield write_function(surface, function, scope)))
    body = yield surface.body(form.value[2], scope)
    return call(form.span, "letfn*", vector(bindings, form.span), *body)


RULES.update(
    {
        "quote": write_quote,
        "if": write_if,
        "do": write_parts,
        "recur": write_parts,
        "throw": write_parts,
        "def": write_def,
        "let*": _let,
        "loop*": _loop,
        "letfn*": _letfn,
        "fn*": write_fn,
        "try": write_try,
    }
)

_THREADS = (write_threaded("cond", cond_step), write_threaded("some", some_step))
# By number of bindings: one, or several.
_LETS: tuple[LetRule, ...] = (
    write_and_or("and", 3, 2),
    write_and_or("or", 2, 3),
    write_if_binding,
    write_when_first,
    write_case,
    write_dotimes,
    write_doto,
    write_binding,
    write_control,
    write_pattern_loop,
)
_LETS_OF_MANY: tuple[LetRule, ...] = (
    *_THREADS,
    write_binding,
    write_condp,
    write_pattern_loop,
)

CALLS.update(
    {
        "yin.core/finally*": write_finally,
        "yin.core/lazy-seq*": write_thunk_call("lazy-seq"),
        "yin.core/with-out-str*": write_thunk_call("with-out-str"),
        "yin.core/spawn": write_thunk_call("async"),
        "yin.core/prompt*": write_prompt,
        "yin.core/shift*": write_capturing("shift-at"),
        "yin.core/control*": write_capturing("control0"),
        "yin.core/impl/fresh": write_logic("fresh"),
        "yin.core/impl/run": write_logic("run*"),
        "yin.core/deref": write_prefix("clojure.core/deref"),
        "yin.core/re-pattern": write_pattern_literal,
        "yin.core/vector": write_collection("vector"),
        "yin.core/hash-map": write_collection("map"),
        "yin.core/hash-set": write_collection("set"),
        "yin.core/dynamic-value": write_dynamic_value,
    }
)

APPLIED.append(write_for)


def surface_of(program: Program, namespace: str, *, keeps_calls: bool = False) -> Surface:
    """Return what writes one statement that stands in a namespace; `keeps_calls` of macros, too, as they were written."""
    surface = Surface(program, namespace)
    surface.keeps_calls = keeps_calls
    return surface
