"""Rules of functions and definitions.

Is:     fn, #( ), defn, def.
Is not: patterns of parameters (`yang.surface.patterns`).
Fits:   listed in `yang.surface.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

from datomstore.value import Keyword
from yang.forms import Exact, Form, argument_names, call, literal
from yang.namespaces import SLASHED
from yang.special import SPECIAL
from yang.surface.patterns import Patterns
from yang.surface.questions import (
    Scope,
    exactly,
    is_call,
    is_constant,
    is_core,
    is_made,
    is_readable,
    names_of,
    pairs_of,
)
from yang.surface.writer import NoPattern, Surface
from yang.walk import Walk


def write_fn(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write a function: short if its parameters are called so."""
    short = yield _short_function(surface, form, scope)
    if short is not None:
        return short  # type: ignore[no-any-return]
    return (yield write_function(surface, form, scope))  # type: ignore[no-any-return]


def write_function(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write `(fn name? [parameters] body ...)`."""
    own = form.value[1] if form.value[1].kind == "symbol" else None
    if own is not None:
        scope = scope | {own.value}
    arities: list[Form] = []
    for arity in form.value[2 if own is not None else 1 :]:
        written = yield _arity(surface, arity, scope)
        arities.append(written)
    head = [] if own is None else [surface.local(own)]
    parts = [*head, *(arities[0].value if len(arities) == 1 else arities)]
    is_plain = all(_is_for_fn(arity) for arity in arities)
    if not is_plain:
        return call(form.span, "fn*", *parts)
    return surface.made(form, "fn", *parts)


def _is_for_fn(arity: Form) -> bool:
    """Return whether `fn` would take an arity for what it is: no conditions, no exact names."""
    _, *body = arity.value
    keys = body[0].value[::2] if len(body) > 1 and body[0].kind == "map" else ()
    conditions = any(is_constant(key, Keyword(name)) for key in keys for name in ("pre", "post"))
    return not conditions


def _arity(surface: Surface, arity: Form, scope: Scope) -> Walk[Form]:
    parameters, body = arity.value
    inside = scope | frozenset([item.value for item in parameters.value])
    names = _unrepeated(parameters.value)
    taken = [item.value for item in parameters.value if is_made(item, "parameter")]
    if taken and is_call(body, "let*", 2):
        pairs = pairs_of(body.value[1])
        within = inside | names_of(pairs)
        try:
            found = yield Patterns(surface, pairs, within).all()
        except NoPattern:
            found = []
        if [value.value for _, value in found] == taken:
            patterns = {value.value: pattern for pattern, value in found}
            names = [patterns.get(item.value, item) for item in names]
            body, inside = body.value[2], within
    written = [
        surface.local(item) if item.kind == "symbol" and item.value != "&" else item
        for item in names
    ]
    parts = yield surface.body(body, inside)
    return arity._replace(value=(parameters._replace(value=tuple(written)), *parts))


def _unrepeated(parameters: Sequence[Form]) -> list[Form]:
    """Return parameters with the plain name for each that a later one of the same name hides."""
    later: set[str] = set()
    out: list[Form] = []
    for item in reversed(parameters):
        before, made, _ = item.value.partition("~")
        if made and before in later and is_made(item, before):
            item = item._replace(value=before)
        later.add(item.value)
        out.append(item)
    return out[::-1]


def _short_function(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write `#(body)`, when its parameters are called as those are."""
    if surface.in_function or len(form.value) != 2 or form.value[1].kind != "list":
        return None
    parameters, body = form.value[1].value
    names = [item.value for item in parameters.value]
    if not names and not is_call(body, "quote"):
        return None
    if not names or not all(name[0] == "%" or name == "&" for name in names):
        return None
    short = is_call(body, "let*", 2) and [
        item.value for item in body.value[1].value if item.kind == "symbol"
    ] == ["%", "%1"]
    inside = scope | set(names) | {"%"}
    surface.in_function = True
    written = yield surface.form(body.value[2] if short else body, inside)
    surface.in_function = False
    if written.kind != "list" or not written.value or not _keeps_list(written):
        return None
    highest, rest, uses_short = argument_names(written.value)
    expected = [f"%{number}" for number in range(1, highest + 1)] + (["&", "%&"] if rest else [])
    if expected != names or uses_short != short:
        return None
    return Form("function", written.value, form.span)


def _keeps_list(form: Form) -> bool:
    """Return whether a list is written with its brackets."""
    return not any(is_call(form, head) for head in _PREFIXED)


_PREFIXED = ("quote", "clojure.core/deref", "clojure.core/re-pattern", "var")


def write_def(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    """Write a definition: that of a function as defn."""
    name, init = form.value[1:]
    written = _definition_name(surface, name)
    if isinstance(written.value, Exact):
        return call(form.span, "def", written, (yield surface.form(init, scope)))
    if name.value in surface.program.dynamic and is_core(init, "impl/dynamic", None):
        flag = (literal(Keyword("dynamic"), name.span), literal(True, name.span))
        value = yield surface.form(init.value[1], scope)
        return call(form.span, "def", written._replace(meta=(flag,)), value)
    if is_call(init, "fn*") and init.value[1].kind == "list":
        function = yield write_function(surface, init, scope)
        if not is_call(function, "fn*"):
            return surface.made(form, "defn", written, *function.value[1:])
        return call(form.span, "def", written, function)
    return call(form.span, "def", written, (yield surface.form(init, scope)))


def _definition_name(surface: Surface, name: Form) -> Form:
    """Return the name of a definition where its namespace is the current one, or else exactly."""
    known = surface.program
    plain: str = name.value
    if known.is_core:
        return name
    if surface.namespace != known.home:
        plain = plain.removeprefix(f"{surface.namespace}/")
        if plain == name.value:
            return exactly(name)
    is_plain = (
        is_readable(plain) and plain not in SPECIAL and ("/" not in plain or plain in SLASHED)
    )
    return name._replace(value=plain) if is_plain else exactly(name)
