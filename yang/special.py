"""Special forms to core forms: what cannot be expressed by others, and cannot be shadowed.

Is:     one function per special form, which checks its shape and expands its parts in their scope.
Is not: derived forms (`yang.derived`), nor the walk (`yang.expand`).
Fits:   `yang.expand` looks heads up in `SPECIAL`. Names with ~ are no source text's: derived forms use them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from datomstore.value import Keyword
from yang.forms import (
    Exact,
    Form,
    call,
    function_list,
    literal,
    symbol,
    text_of,
    value_of,
    vector,
)
from yang.macros import mentions
from yang.namespaces import SLASHED
from yang.types_and_protocols import construct
from yang.walk import Walk

if TYPE_CHECKING:
    from yang.expand import Expander

Scope: TypeAlias = frozenset[str]


def _quote(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    (quoted,) = expander.count(form, 1, 1, "(quote form)")
    try:
        value_of(quoted)
    except ValueError as error:
        raise expander.error(str(error), quoted.span) from None
    return _with_metadata(quoted) if _has_metadata(quoted) else form
    yield


def _has_metadata(form: Form) -> bool:
    """Return whether ^ stands anywhere in a form."""
    stack = [form]
    while stack:
        form = stack.pop()
        if form.meta:
            return True
        if not form.is_leaf:
            stack += form.value
    return False


_MAKERS = {"list": "list", "vector": "vector", "map": "hash-map", "set": "hash-set"}


def _with_metadata(form: Form) -> Form:
    """Return the code of a quoted form in which there is metadata. Recursion is bounded by the reader's NESTING_MAX."""
    span = form.span
    if not _has_metadata(form._replace(meta=())):
        made = call(span, "quote", form._replace(meta=()))
    elif form.kind == "function":
        made = _with_metadata(function_list(form))
    else:
        parts = [_with_metadata(item) for item in form.value]
        made = call(span, f"yin.core/{_MAKERS[form.kind]}", *parts)
    if not form.meta:
        return made
    entries = {text_of(key): (key, value) for key, value in form.meta}
    parts = [_with_metadata(part) for entry in entries.values() for part in entry]
    return call(span, "yin.core/with-meta", made, Form("map", tuple(parts), span))


def _if(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    arguments = expander.count(form, 2, 3, "(if test then else)")
    return call(form.span, "if", *(yield expander.all(arguments, scope)))


def _plain(head: str) -> Special:
    def expand_plain(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
        return call(form.span, head, *(yield expander.all(form.value[1:], scope)))

    return expand_plain


def _throw(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    arguments = expander.count(form, 1, 1, "(throw error)")
    return call(form.span, "throw", *(yield expander.all(arguments, scope)))


def _def(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    name, *rest = expander.count(form, 1, 3, "(def name value)")
    if name.kind != "symbol":
        raise expander.error("def takes a name", name.span)
    if len(rest) == 2:
        doc = rest.pop(0)
        if doc.kind != "literal" or not isinstance(doc.value, str):
            raise expander.error("the form is (def name doc value); doc is a string", doc.span)
        entry = (literal(Keyword("doc"), doc.span), doc)
        name = name._replace(meta=(*name.meta, entry))
    if name.value.__class__ is Exact:
        (init,) = yield expander.all(rest or [literal(None, form.span)], scope)
        return call(form.span, "def", name._replace(value=name.value.plain), init)
    if not rest:
        expander.define(name)
        return literal(None, form.span)  # a declaration
    name = expander.define(name)
    (init,) = yield expander.all(rest, scope)
    if not expander.core:
        expander.globals.table[name.value].is_function = _head(init) == "fn*"
    if name.value in expander.dynamic:
        init = call(form.span, "yin.core/impl/dynamic", init)
    return call(form.span, "def", name._replace(meta=()), init)


def global_name(expander: Expander, form: Form) -> Form:
    """Return the symbol of a definition as core forms have it. Raises SourceError."""
    name: str = form.value
    if name in SPECIAL or name == "&":
        raise expander.error(f"{name} is a special form and cannot be defined", form.span)
    if expander.core:
        return form
    if "/" in name and name not in SLASHED:
        before, _, name = name.partition("/")
        if before != expander.namespace:
            raise expander.error(
                f"{form.value} belongs to another namespace and cannot be defined", form.span
            )
    return form._replace(value=expander.globals.global_name(name))


def _defmacro(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    """Take a macro's function, with the call and the locals around it as first parameters."""
    shape = "(defmacro name [parameters] body ...)"
    name, *rest = expander.count(form, 2, None, shape)
    if name.kind != "symbol":
        raise expander.error("defmacro takes a name", name.span)
    meta = name.meta
    while rest and (
        rest[0].kind == "map" or (isinstance(rest[0].value, str) and rest[0].kind == "literal")
    ):
        if rest[0].kind == "literal":
            meta = (*meta, (literal(Keyword("doc"), rest[0].span), rest[0]))
        rest = rest[1:]
    if rest and rest[0].kind == "vector":
        rest = [Form("list", tuple(rest), form.span)]
    if not rest:
        raise expander.error(f"the form is {shape}", form.span)
    arities: list[Form] = []
    arglists: list[Form] = []
    for arity in rest:
        if arity.kind != "list" or not arity.value or arity.value[0].kind != "vector":
            raise expander.error("an arity is ([parameters] body ...)", arity.span)
        parameters = arity.value[0]
        arglists.append(parameters)
        given = [symbol("&form", parameters.span), symbol("&env", parameters.span)]
        parameters = parameters._replace(value=(*given, *parameters.value))
        arities.append(arity._replace(value=(parameters, *arity.value[1:])))
    found = expander.define(name._replace(meta=meta), "macro")
    sees_locals = mentions(rest, "&env")
    placeholder = expander.globals.table[found.value]
    error_count = len(expander.errors)
    function = yield expander.form(call(form.span, "yin.core/fn", *arities), scope)
    if len(expander.errors) > error_count:
        expander.broken.add(placeholder.name)
    definition = call(form.span, "def", found._replace(meta=()), function)
    expander.macros.define(
        placeholder.name, definition, sees_locals=sees_locals, arglists=tuple(arglists)
    )
    # Code that comes later needs the macro, too; where none can come nothing is left of it.
    return definition if expander.is_open else literal(None, form.span)


def _binding_form(head: str) -> Special:
    def expand_bindings(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
        bindings, *body = expander.count(form, 1, None, f"({head} [name value ...] body ...)")
        out: list[Form] = []
        for name, value in expander.pairs(bindings, f"({head} [name value ...] body ...)"):
            local = expander.check_local(name)
            (value,) = yield expander.all([value], scope)
            out += (expander.local(name), value)
            scope = scope | {local}
        forms = yield expander.all(body, scope)
        return call(form.span, head, vector(out, bindings.span), *forms)

    return expand_bindings


def _letfn(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    shape = "(letfn* [name (fn* ...) ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    pairs = expander.pairs(bindings, shape)
    names = [expander.check_local(name) for name, _ in pairs]
    for name, _ in pairs:
        if names.count(name.value) > 1:
            raise expander.error(f"letfn has {name.value} twice", name.span)
    scope = scope | frozenset(names)
    inits = yield expander.all([value for _, value in pairs], scope)
    for init in inits:
        if init.kind != "list" or not init.value or init.value[0].value != "fn*":
            raise expander.error("letfn binds functions only", init.span)
    out = [
        part
        for (name, _), init in zip(pairs, inits, strict=True)
        for part in (expander.local(name), init)
    ]
    forms = yield expander.all(body, scope)
    if not out:
        return call(form.span, "do", *forms)
    return call(form.span, "letfn*", vector(out, bindings.span), *forms)


def _fn(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    rest: tuple[Form, ...] = form.value[1:]
    head: tuple[Form, ...] = ()
    if rest and rest[0].kind == "symbol":
        scope = scope | {expander.check_local(rest[0])}
        head, rest = (expander.local(rest[0]),), rest[1:]
    if rest and rest[0].kind == "vector":
        rest = (Form("list", rest, form.span),)
    if not rest:
        raise expander.error("the form is (fn [parameters] body ...)", form.span)
    arities: list[Form] = []
    taken: dict[tuple[int, bool], Form] = {}
    for arity in rest:
        if arity.kind != "list" or not arity.value or arity.value[0].kind != "vector":
            raise expander.error("an arity is ([parameters] body ...)", arity.span)
        names, variadic = _parameters(expander, arity.value[0])
        _check_arity(expander, arity, len(names) - variadic, variadic, taken)
        inner = scope | frozenset(name.value for name in names)
        body = yield expander.all(arity.value[1:], inner)
        names = [expander.local(name) for name in names]
        if variadic:
            names.insert(-1, symbol("&", names[-1].span))
        parameters = vector(names, arity.value[0].span)
        arities.append(Form("list", (parameters, *body), arity.span))
    return call(form.span, "fn*", *head, *arities)


def _parameters(expander: Expander, form: Form) -> tuple[list[Form], bool]:
    """Return parameter names and whether the last takes the rest; of equal names only the last keeps its name."""
    items: list[Form] = list(form.value)
    variadic = len(items) >= 2 and items[-2].kind == "symbol" and items[-2].value == "&"
    if variadic:
        del items[-2]
    for item in items:
        expander.check_local(item)
    last = {item.value: position for position, item in enumerate(items)}
    names = [
        item if last[item.value] == position else symbol(expander.fresh(item.value), item.span)
        for position, item in enumerate(items)
    ]
    return names, variadic


def _check_arity(
    expander: Expander,
    arity: Form,
    count: int,
    variadic: bool,
    taken: dict[tuple[int, bool], Form],
) -> None:
    """Refuse arities that could be meant by the same call."""
    if (count, variadic) in taken:
        raise expander.error("two arities with the same number of parameters", arity.span)
    if variadic and any(other for _, other in taken):
        raise expander.error("two arities that take the rest of the arguments", arity.span)
    taken[count, variadic] = arity
    rest_counts = [number for number, other in taken if other]
    if rest_counts and any(number > rest_counts[0] for number, other in taken if not other):
        message = "an arity with more parameters than the one that takes the rest"
        raise expander.error(message, arity.span)


def _try(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    parts: list[Form] = []
    stage = "body"
    for part in form.value[1:]:
        head = _head(part)
        if stage == "finally":
            raise expander.error("finally comes last in try", part.span)
        if head == "catch":
            stage = "catch"
            parts.append((yield _catch(expander, part, scope)))
        elif head == "finally":
            stage = "finally"
            body = yield expander.all(part.value[1:], scope)
            parts.append(call(part.span, "finally", *body))
        elif stage != "body":
            raise expander.error("after a catch come only catch and finally", part.span)
        else:
            parts += yield expander.all([part], scope)
    return call(form.span, "try", *parts)


def _head(form: Form) -> str | None:
    if form.kind == "list" and form.value and form.value[0].kind == "symbol":
        return form.value[0].value  # type: ignore[no-any-return]
    return None


def _catch(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    class_, name, *body = expander.count(form, 2, None, "(catch Class name body ...)")
    local = expander.check_local(name)
    if class_.kind == "symbol":
        matches = class_.value.rpartition("/")[2].rpartition(".")[2]
    elif class_.kind == "literal" and class_.value is Keyword("default"):
        matches = ":default"
    else:
        raise expander.error("catch takes a class or :default", class_.span)
    if not matches:
        raise expander.error(f"{class_.value} is not a class", class_.span)
    forms = yield expander.all(body, scope | {local})
    return call(form.span, "catch", symbol(matches, class_.span), expander.local(name), *forms)


def _outside(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    raise expander.error(f"{form.value[0].value} outside try", form.span)
    yield


def _raw(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    """Return a global itself, also when it is a dynamic variable or hidden by a local."""
    name: Form
    (name,) = expander.count(form, 1, 1, "(global~ name)")
    if name.kind != "symbol":
        raise expander.error("global~ takes a name", name.span)
    if name.value in scope:
        expander.hidden.add(name.value)
    return name
    yield


def _define(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    """Return the definition of a name that is made here."""
    name, init = expander.count(form, 2, 2, "(define~ name value)")
    if name.kind != "symbol":
        raise expander.error("define~ takes a name", name.span)
    (value,) = yield expander.all([init], scope)
    return call(form.span, "def", name, value)


def _var(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    (name,) = expander.count(form, 1, 1, "(var name)")
    if name.kind != "symbol":
        raise expander.error("var takes a name", name.span)
    made = expander.variable(name)
    if made.kind == "symbol":
        return expander.name(made, frozenset())
    return (yield expander.form(made, scope))  # type: ignore[no-any-return]


def _new(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    made = construct(expander, form)
    if made is None:
        raise expander.error("new is not supported: there are no classes", form.span)
    return (yield expander.form(made, scope))  # type: ignore[no-any-return]


def _refused(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    raise expander.error(f"{form.value[0].value} is not supported", form.span)
    yield


Special: TypeAlias = Callable[["Expander", Form, Scope], Walk[Form]]

SPECIAL: dict[str, Special] = {
    "quote": _quote,
    "if": _if,
    "do": _plain("do"),
    "recur": _plain("recur"),
    "throw": _throw,
    "def": _def,
    "defmacro": _defmacro,
    "var": _var,
    "new": _new,
    "global~": _raw,
    "define~": _define,
    "let*": _binding_form("let*"),
    "loop*": _binding_form("loop*"),
    "letfn*": _letfn,
    "fn*": _fn,
    "try": _try,
    "catch": _outside,
    "finally": _outside,
    **dict.fromkeys(
        [".", "monitor-enter", "monitor-exit", "case*", "reify*", "deftype*"],
        _refused,
    ),
}
