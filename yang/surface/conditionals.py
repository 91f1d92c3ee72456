"""Rules of conditionals.

Is:     when, cond, case, and, or, if-let and their kin, assert.
Is not: loops, which are conditionals inside (`yang.surface.loops`).
Fits:   listed in `yang.surface.rules`.
"""

from __future__ import annotations

from datomstore.value import Keyword
from yang.forms import Form, literal, text_of, vector
from yang.surface.patterns import only_pattern
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
)
from yang.surface.writer import LetRule, Surface
from yang.walk import Walk

_FAILED = "Assert failed: "


def write_if(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write a choice: when, when-not, cond, an assertion, or if."""
    _, test, consequent, alternative = form.value
    asserted = yield _assert(surface, form, scope)
    if asserted is not None:
        return asserted  # type: ignore[no-any-return]
    if is_call(alternative, "if", 3) and not _is_assertion(alternative):
        return (yield _cond(surface, form, scope))  # type: ignore[no-any-return]
    if is_nil(alternative):
        parts = yield surface.body(consequent, scope)
        return surface.made(form, "when", (yield surface.form(test, scope)), *parts)
    if is_nil(consequent):
        parts = yield surface.body(alternative, scope)
        return surface.made(form, "when-not", (yield surface.form(test, scope)), *parts)
    return form._replace(value=(form.value[0], *(yield surface.all(form.value[1:], scope))))


def _cond(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    clauses: list[Form] = []
    rest = form
    while is_call(rest, "if", 3) and not _is_assertion(rest):
        clauses += rest.value[1:3]
        rest = rest.value[3]
    written = yield surface.all(clauses, scope)
    test = clauses[-2]
    if not is_nil(rest) or (test.kind == "literal" and test.value not in (None, False)):
        written += [literal(Keyword("else"), rest.span), (yield surface.form(rest, scope))]
    return surface.made(form, "cond", *written)


def _failure(form: Form, kind: str) -> Form | None:
    """Return the message of `(throw (ex-info message {:fault kind}))`."""
    if not is_call(form, "throw", 1) or not is_core(form.value[1], "ex-info", None, None):
        return None
    _, message, data = form.value[1].value
    quoted = data.value[1] if is_call(data, "quote", 1) else data
    is_kind = quoted.kind == "map" and [item.value for item in quoted.value] == [
        Keyword("fault"),
        Keyword(kind),
    ]
    return message if is_kind else None


def _is_assertion(form: Form) -> bool:
    return is_nil(form.value[2]) and _failure(form.value[3], "assert") is not None


def _assert(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    _, test, _, alternative = form.value
    message = _failure(alternative, "assert") if is_nil(form.value[2]) else None
    if message is None:
        return None
    written = yield surface.form(test, scope)
    if is_constant(message, _FAILED + text_of(written)):
        return surface.made(form, "assert", written)
    return None


def write_case(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write tests of one value against constants."""
    (name, subject), rest = form.value[1].value, form.value[2]
    if not is_made(name, "case"):
        return None
    parts = [(yield surface.form(subject, scope))]
    scope = scope | {name.value}
    while is_call(rest, "if", 3):
        constants = _constants(rest.value[1], name.value)
        if constants is None:
            break
        one = constants[0] if len(constants) == 1 and constants[0].kind != "list" else None
        parts.append(one or Form("list", tuple(constants), rest.span))
        parts.append((yield surface.form(rest.value[2], scope)))
        rest = rest.value[3]
    message = _failure(rest, "case")
    if message is None or not is_core(message, "str", None, name.value):
        parts.append((yield surface.form(rest, scope)))
    return surface.made(form, "case", *parts)


def write_condp(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write tests of one value by one predicate."""
    pairs = pairs_of(form.value[1])
    if (
        len(pairs) != 2
        or not is_made(pairs[0][0], "predicate")
        or not is_made(pairs[1][0], "value")
    ):
        return None
    (predicate, function), (name, subject) = pairs
    parts = yield surface.all([function, subject], scope)
    scope = scope | names_of(pairs)
    rest = form.value[2]
    while True:
        clause = _condp_clause(rest, predicate.value, name.value)
        if clause is None:
            break
        test, result, hands_on, rest = clause
        parts.append((yield surface.form(test, scope)))
        if hands_on:
            parts.append(literal(Keyword(">>"), test.span))
        parts.append((yield surface.form(result, scope)))
    message = _failure(rest, "case")
    if message is None or not is_core(message, "str", None, name.value):
        parts.append((yield surface.form(rest, scope)))
    return surface.made(form, "condp", *parts)


def _condp_clause(form: Form, predicate: str, name: str) -> tuple[Form, Form, bool, Form] | None:
    """Return test, result, whether the result is a function of what the predicate gave, and what comes else."""

    def tested(call: Form) -> Form | None:
        is_test = is_call(call, predicate, 2) and is_name(call.value[2], name)
        return call.value[1] if is_test else None

    if is_call(form, "if", 3):
        test = tested(form.value[1])
        return None if test is None else (test, form.value[2], False, form.value[3])
    if not is_call(form, "let*", 2) or len(form.value[1].value) != 2:
        return None
    (found, call), choice = form.value[1].value, form.value[2]
    test = tested(call)
    is_shape = is_made(found, "found") and is_call(choice, "if", 3)
    if test is None or not is_shape or not is_name(choice.value[1], found.value):
        return None
    handed = choice.value[2]
    is_handed = handed.kind == "list" and len(handed.value) == 2
    if not is_handed or not is_name(handed.value[1], found.value):
        return None
    return test, handed.value[0], True, choice.value[3]


def _constants(test: Form, name: str) -> list[Form] | None:
    """Return the constants that a test of `case` compares with."""
    found: list[Form] = []
    while True:
        more = is_call(test, "if", 3) and is_constant(test.value[2], True)
        one = test.value[1] if more else test
        if not is_core(one, "=", name, None):
            return None
        constant = one.value[2]
        found.append(constant.value[1] if is_call(constant, "quote", 1) else constant)
        if constant.kind == "symbol" or (constant.kind == "list" and constant is found[-1]):
            return None
        if not more:
            return found
        test = test.value[3]


def write_and_or(word: str, first: int, second: int) -> LetRule:
    """Return the rule of `(let* [and~1 a] (if and~1 b and~1))` and of its counterpart."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        parts: list[Form] = []
        rest = form
        while is_call(rest, "let*", 2) and len(rest.value[1].value) == 2:
            name, value = rest.value[1].value
            body = rest.value[2]
            if not is_made(name, word) or not is_call(body, "if", 3):
                break
            if not is_name(body.value[1], name.value) or not is_name(body.value[first], name.value):
                break
            parts.append(value)
            rest = body.value[second]
        if not parts:
            return None
        return surface.made(form, word, *(yield surface.all([*parts, rest], scope)))

    return rule


def write_if_binding(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write if-let, if-some and their kin."""
    (name, value), choice = form.value[1].value, form.value[2]
    if not is_made(name, "test") or not is_call(choice, "if", 3):
        return None
    test, then, otherwise = choice.value[1:]
    some = is_core(test, "nil?", name.value)
    if some:
        then, otherwise = otherwise, then
    elif not is_name(test, name.value):
        return None
    inner = _single_let(then, name)
    if inner is None:
        return None
    pattern, body = yield only_pattern(surface, inner, scope | {name.value})
    written = yield surface.form(value, scope)
    bindings = vector([pattern, written], form.span)
    inside = scope | names_of(pairs_of(inner.value[1]))
    kind = "some" if some else "let"
    if is_nil(otherwise):
        return surface.made(form, f"when-{kind}", bindings, *(yield surface.body(body, inside)))
    parts = [(yield surface.form(body, inside)), (yield surface.form(otherwise, scope))]
    return surface.made(form, f"if-{kind}", bindings, *parts)


def _single_let(form: Form, name: Form) -> Form | None:
    """Return a let whose first value is a made name."""
    if not is_call(form, "let*", 2) or not form.value[1].value:
        return None
    return form if is_name(form.value[1].value[1], name.value) else None


def write_when_first(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a body that takes the first item of a collection, if there is one."""
    (name, items), choice = form.value[1].value, form.value[2]
    is_shape = is_made(name, "seq") and is_core(items, "seq", None) and is_call(choice, "if", 3)
    if not is_shape or not is_name(choice.value[1], name.value) or not is_nil(choice.value[3]):
        return None
    inner = choice.value[2]
    if not is_call(inner, "let*", 2) or not is_core(inner.value[1].value[1], "first", name.value):
        return None
    pattern, body = yield only_pattern(surface, inner, scope | {name.value})
    written = yield surface.form(items.value[1], scope)
    inside = scope | names_of(pairs_of(inner.value[1]))
    parts = yield surface.body(body, inside)
    return surface.made(form, "when-first", vector([pattern, written], form.span), *parts)
