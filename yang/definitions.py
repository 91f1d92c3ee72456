"""Derived forms of definitions: dynamic variables, multimethods, protocols and types, references; macros as data.

Is:     one function per form; names of hidden definitions that these need.
Is not: what they do when they run: yang/lib/definitions.clj.
Fits:   part of `yang.derived`'s tables.
Source: clojure.core's macros, Clojure 1.11.

REWRITTEN are calls that mean something only here, where a name is known to be a macro, a multimethod or a variable; a function
of the table returns None for a call that is an ordinary one. FEATURES are names that change what others in the whole
program mean: `future` makes `deref` wait, `add-watch` makes every atom one that can be watched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from datomstore.value import Keyword, Map
from yang import types_and_protocols as types
from yang.errors import MacroFault
from yang.forms import Form, call, literal, symbol, text_of, vector
from yang.segment import Segment, Span
from yang.types_and_protocols import core, global_of_kind, quoted, raw

if TYPE_CHECKING:
    from yang.expand import Expander
    from yang.host import Host

Derived: TypeAlias = Callable[["Expander", Form], Form]
Rewriting: TypeAlias = Callable[["Expander", Form], Form | None]

HIERARCHY = "hierarchy~"
THREADS = "threads~"
NAMESPACES = (
    "namespaces~"  # the namespace that evaluated code has entered, by the one it was written in
)
METAS = "metas~"


PATTERNS = "pattern~x"  # the beginning of the names of patterns that stand in the text
PATTERN = "clojure.core/re-pattern"  # what the reader makes of #"..."


def pattern_name(text: str) -> str:
    """Return the name of the definition that a pattern of the program's text is; of equal ones, that of the first.

    It does not depend on other patterns, so that a change of one leaves the other statements what they were.
    """
    return PATTERNS + sha256(text.encode()).hexdigest()[:16]


def _is_pattern(host: Host, text: str) -> bool:
    """Return whether the library can compile a pattern. Cost: what compiling it takes."""
    assert host.evaluate is not None
    try:
        return host.evaluate(_pattern_check(), Map([(Keyword("text"), text)])) is True
    except MacroFault:
        return False  # it takes too much


@cache
def _pattern_check() -> Segment:
    from yang.compile import compile_source  # which expands with this module

    text = "(try (do (clojure.core/re-pattern (get *args* :text)) true) (catch :default _ false))"
    return compile_source(text, "pattern").segment


def _pattern(expander: Expander, form: Form) -> Form | None:
    """Make #"..." the name of a hidden definition, so that a pattern is compiled once and not each time it is passed."""
    text = form.value[-1]
    if form.value[0].value != PATTERN or text.kind != "literal" or not isinstance(text.value, str):
        return None
    if expander.host.evaluate is not None and not _is_pattern(expander.host, text.value):
        return None  # an error where it is used, not before all else
    first = name = pattern_name(text.value)
    count = 1
    while name in expander.prelude:  # as in Clojure, no two are equal
        count += 1
        name = f"{first}-{count}"
    expander.hide(name, core(form.span, "re-pattern", text))
    return raw(name, form.span)


def _thunk(span: Span, body: Sequence[Form]) -> Form:
    return call(span, "fn*", vector([], span), *body)


# -- dynamic variables --


def binding(expander: Expander, form: Form) -> Form:
    """Return nested calls, the values evaluated before any holds."""
    shape = "(binding [variable value ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    span = form.span
    names: list[Form] = []
    values: list[Form] = []
    cells: list[Form] = []
    for name, value in expander.pairs(bindings, shape):
        hint = f"(def ^:dynamic {text_of(name)} ...)"
        cells.append(raw(expander.dynamic_cell(name, hint), name.span))
        names.append(symbol(expander.fresh("bound"), value.span))
        values.append(value)
    whole = call(span, "do", *body)
    for name, cell in zip(reversed(names), reversed(cells), strict=True):
        whole = core(span, "impl/bind", cell, name, _thunk(span, [whole]))
    pairs = [part for pair in zip(names, values, strict=True) for part in pair]
    return call(span, "let*", vector(pairs, bindings.span), whole)


def with_redefs(expander: Expander, form: Form) -> Form:
    """Return a call that changes roots; the variables are dynamic from the beginning of the program on."""
    shape = "(with-redefs [variable value ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    pairs = expander.pairs(bindings, shape)
    if expander.is_open and not any(expander.is_dynamic(name) for name, _ in pairs):
        return _redefined(expander, form.span, pairs, body)
    cells: list[Form] = []
    values: list[Form] = []
    for name, value in pairs:
        cells.append(raw(expander.changing_cell(name), name.span))
        values.append(value)
    span = form.span
    thunk = _thunk(span, body)
    return core(span, "impl/with-roots", vector(cells, span), vector(values, span), thunk)


def alter_var_root(expander: Expander, form: Form) -> Form:
    """Return the change of a root; the variable is dynamic from the beginning of the program on."""
    variable, function, *rest = expander.count(form, 2, None, "(alter-var-root #'name f ...)")
    name = _variable(variable)
    if name is None:
        raise expander.error("alter-var-root takes #'name", variable.span)
    span = form.span
    if expander.is_open and not expander.is_dynamic(name):
        value = symbol(expander.fresh("root"), span)
        changed = Form("list", (function, raw(expander.own_name(name), span), *rest), span)
        defined = call(span, "do", _set_global(expander, name, value), value)
        return call(span, "let*", vector([value, changed], span), defined)
    cell = raw(expander.changing_cell(name), name.span)
    return core(span, "impl/alter-root", cell, function, *rest)


def _set_global(expander: Expander, name: Form, value: Form) -> Form:
    return call(name.span, "define~", symbol(expander.own_name(name), name.span), value)


def _redefined(
    expander: Expander, span: Span, pairs: list[tuple[Form, Form]], body: list[Form]
) -> Form:
    """Return a body around which variables of a session are defined anew, and then again as they were."""
    before = [symbol(expander.fresh("before"), span) for _ in pairs]
    after = [symbol(expander.fresh("after"), span) for _ in pairs]
    bound: list[Form] = []
    for (name, value), old, new in zip(pairs, before, after, strict=True):
        bound += [old, raw(expander.own_name(name), span), new, value]
    names = [name for name, _ in pairs]
    changed = [_set_global(expander, *pair) for pair in zip(names, after, strict=True)]
    restored = [_set_global(expander, *pair) for pair in zip(names, before, strict=True)]
    tried = call(span, "try", *changed, *body, call(span, "finally", *restored))
    return call(span, "let*", vector(bound, span), tried)


def set_bang(expander: Expander, form: Form) -> Form:
    """Return the change of the innermost binding."""
    name, value = expander.count(form, 2, 2, "(set! *variable* value)")
    if name.kind != "symbol":
        raise expander.error("set! changes dynamic variables; there are no fields", name.span)
    cell = expander.dynamic_cell(name, "atoms are changed by reset! and swap!")
    text = quoted(expander.var_name(cell), name.span)
    return core(form.span, "impl/set-dynamic", raw(cell, name.span), text, value)


def bound_fn(expander: Expander, form: Form) -> Form:
    """Return a function that sees the bindings of where it was made."""
    span = form.span
    function = core(span, "fn", *form.value[1:])
    cells = sorted(expander.dynamic)
    names = [symbol(expander.fresh("bound"), span) for _ in cells]
    rest = symbol(expander.fresh("rest"), span)
    made = symbol(expander.fresh("f"), span)
    whole = core(span, "apply", made, rest)
    pairs = [made, function]
    for name, cell in zip(names, cells, strict=True):
        whole = core(span, "impl/bind", raw(cell, span), name, _thunk(span, [whole]))
        pairs += (name, core(span, "dynamic-value", raw(cell, span)))
    inner = call(span, "fn*", vector([symbol("&", span), rest], span), whole)
    return call(span, "let*", vector(pairs, span), inner)


# -- variables --


def _variable(form: Form) -> Form | None:
    """Return the name in `#'name`."""
    if form.kind == "list" and len(form.value) == 2 and form.value[0].value == "var":
        return form.value[1]  # type: ignore[no-any-return]
    return None


def _deref(expander: Expander, form: Form) -> Form | None:
    name = _variable(form.value[1]) if len(form.value) == 2 else None
    if name is not None:
        return expander.var_value(name)
    return _waiting("impl/deref-with", "deref")(expander, form)


def _var_get(expander: Expander, form: Form) -> Form | None:
    name = _variable(form.value[1]) if len(form.value) == 2 else None
    return None if name is None else expander.var_value(name)


def _meta(expander: Expander, form: Form) -> Form | None:
    name = _variable(form.value[1]) if len(form.value) == 2 else None
    return None if name is None else expander.var_meta(name)


def _called_variable(expander: Expander, form: Form) -> Form | None:
    (name,) = form.value[1:] or (None,)
    found = None if name is None else _variable(name)
    return None if found is None else literal(True, form.span)


# -- decimals --


def with_precision(expander: Expander, form: Form) -> Form:
    """Return a body in which arithmetic that is written there rounds decimals."""
    shape = "(with-precision digits :rounding MODE body ...)"
    precision, *body = expander.count(form, 1, None, shape)
    span = form.span
    mode = "HALF_UP"
    if len(body) > 1 and text_of(body[0]) == ":rounding":
        if body[1].kind != "symbol":
            raise expander.error(f"the form is {shape}", body[1].span)
        mode, body = body[1].value, body[2:]
    made = symbol(expander.fresh("arithmetic"), span)
    bound = [made, core(span, "impl/with-precision", precision, literal(mode, span))]
    for place, name in enumerate(("+", "-", "*", "/", "inc", "dec")):
        bound += (symbol(name, span), core(span, "nth", made, literal(place, span)))
    return call(span, "let*", vector(bound, span), *body)


# -- multimethods and hierarchies --


def _hierarchy(expander: Expander, span: Span) -> Form:
    expander.hide(HIERARCHY, core(span, "atom", core(span, "make-hierarchy")))
    return symbol(HIERARCHY, span)


def defmulti(expander: Expander, form: Form) -> Form:
    """Return the atom of its methods, and the function that dispatches."""
    shape = "(defmulti name dispatch-function :default value)"
    name, *rest = expander.count(form, 2, None, shape)
    if name.kind != "symbol":
        raise expander.error("defmulti takes a name", name.span)
    while len(rest) > 1 and (
        rest[0].kind == "map" or (rest[0].kind == "literal" and isinstance(rest[0].value, str))
    ):
        rest = rest[1:]
    dispatch, *options = rest
    if len(options) % 2:
        raise expander.error(f"the form is {shape}", form.span)
    given = {text_of(k): v for k, v in zip(options[::2], options[1::2], strict=True)}
    span = form.span
    default = given.get(":default", literal(Keyword("default"), span))
    hierarchy = given.get(":hierarchy")
    if hierarchy is not None and hierarchy.kind == "list":
        hierarchy = _variable(hierarchy) or hierarchy
    table = hierarchy or raw(_hierarchy(expander, span).value, span)
    if hierarchy is not None:
        table = core(span, "volatile!", hierarchy)
    made = expander.define(name, "multimethod")
    cell = f"{made.value}~methods"
    expander.globals.table[made.value].more = cell
    arguments = symbol(expander.fresh("arguments"), span)
    text = quoted(name.value, span)
    state = core(span, "impl/multimethod", text, dispatch, default, table)
    run = core(span, "impl/call-multi", raw(cell, span), arguments)
    function = call(span, "fn*", vector([symbol("&", span), arguments], span), run)
    return call(
        span,
        "do",
        call(span, "define~", symbol(cell, span), state),
        call(span, "define~", symbol(made.value, name.span), function),
    )


def defmethod(expander: Expander, form: Form) -> Form:
    """Return the statement that adds a method."""
    name, value, *tail = expander.count(form, 3, None, "(defmethod name value [parameters] ...)")
    multi = global_of_kind(expander, name, "multimethod", "a multimethod")
    span = form.span
    function = core(span, "fn", *tail)
    return core(span, "impl/add-method", raw(str(multi.more), name.span), value, function)


def _of_multimethod(function: str) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        name, *rest = expander.count(form, 1, None, f"({form.value[0].value} multimethod ...)")
        multi = global_of_kind(expander, name, "multimethod", "a multimethod")
        return core(form.span, f"impl/{function}", raw(str(multi.more), name.span), *rest)

    return rewrite


def _of_hierarchy(count: int, function: str, *, changes: bool = False) -> Rewriting:
    """Return the call with the program's hierarchy, when it names none."""

    def rewrite(expander: Expander, form: Form) -> Form | None:
        if len(form.value) - 1 != count:
            return None
        span = form.span
        cell = raw(_hierarchy(expander, span).value, span)
        if changes:
            return core(span, function, cell, *form.value[1:])
        return call(span, f"yin.core/{function}", core(span, "deref", cell), *form.value[1:])

    return rewrite


# -- delays, futures, promises, watched atoms --


def _threads(expander: Expander, span: Span) -> Form:
    pair = vector([Form("list", (), span), Form("list", (), span)], span)
    expander.hide(THREADS, core(span, "atom", pair))
    return raw(THREADS, span)


def delay(expander: Expander, form: Form) -> Form:
    """Return a value that is made when it is asked for."""
    expander.need("references")
    return core(form.span, "impl/delayed", _thunk(form.span, form.value[1:]))


def future(expander: Expander, form: Form) -> Form:
    """Return a green thread that runs until it waits for another."""
    expander.need("references")
    threads = _threads(expander, form.span)
    return core(form.span, "impl/future", threads, _thunk(form.span, form.value[1:]))


def _future_call(expander: Expander, form: Form) -> Form:
    expander.need("references")
    return core(form.span, "impl/future", _threads(expander, form.span), *form.value[1:])


def _waiting(function: str, name: str) -> Rewriting:
    """Return a call that may wait, when the program has something to wait for."""

    def rewrite(expander: Expander, form: Form) -> Form | None:
        if not expander.has("references") and not expander.has("watches"):
            expander.want(name)
            return None
        span = form.span
        arguments = form.value[1:]
        if name == "deref" and len(arguments) == 3:
            target, _, default = arguments
            arguments = (target, _thunk(span, [default]))
        return core(span, function, _threads(expander, span), *arguments)

    return rewrite


def _renamed(feature: str, function: str) -> Rewriting:
    """Return the call of what a function is in programs that have a feature."""

    def rewrite(expander: Expander, form: Form) -> Form | None:
        if not expander.has(feature):
            expander.want(form.value[0].value)
            return None
        return core(form.span, function, *form.value[1:])

    return rewrite


def _raw_promise(expander: Expander, form: Form) -> Form | None:
    if not expander.has("references") or len(form.value) < 2:
        return None
    promise = form.value[1]
    if (
        promise.kind == "list"
        and promise.value[:1]
        and promise.value[0].value == "yin.core/impl/raw"
    ):
        return None
    raw = core(promise.span, "impl/raw", promise)
    return form._replace(value=(form.value[0], raw, *form.value[2:]))


def _needing(feature: str, function: str) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        expander.need(feature)
        return core(form.span, function, *form.value[1:])

    return rewrite


def _atom(expander: Expander, form: Form) -> Form | None:
    if len(form.value) > 2:
        options = [text_of(item) for item in form.value[2::2]]
        if ":validator" in options:
            expander.need("watches")
        elif options == [":meta"]:
            return form._replace(value=form.value[:2])
    return _renamed("watches", "impl/watched-atom")(expander, form)


# -- macros as data, and data as code --
#
# Where all forms stand quoted in the program they are compiled with it; so are definitions, which code beside them may use.
# All others come to the node while the program runs, as data of `compile*`, together with the namespace in which they are
# meant: that of the place where it is written, unless code that was evaluated there has entered another one.


def _quoted_form(argument: Form) -> Form | None:
    """Return the form that is known while the program is compiled."""
    if argument.kind == "list" and len(argument.value) == 2 and argument.value[0].value == "quote":
        return argument.value[1]  # type: ignore[no-any-return]
    return argument if argument.is_leaf and argument.kind == "literal" else None


def _is_definition(form: Form) -> bool:
    head = form.value[0] if form.kind == "list" and form.value else form
    return head.kind == "symbol" and head.value.startswith("def") and head is not form


def _evaluated(expander: Expander, span: Span, function: str, *arguments: Form) -> Form:
    """Return the call of a function that compiles at run time."""
    expander.need("eval")
    expander.hide(NAMESPACES, core(span, "atom", Form("map", (), span)))
    here = quoted(expander.namespace, span)
    return core(span, f"impl/{function}", symbol(NAMESPACES, span), here, *arguments)


def evaluating(expander: Expander, form: Form) -> Form:
    """Return one of EVALUATING as a value, in core forms."""
    span = form.span
    function, count = EVALUATING[form.value]
    names = [symbol(expander.fresh("given"), span) for _ in range(count)]
    whole = _evaluated(expander, span, function, *names)
    return call(span, "fn*", Form("list", (vector(names, span), whole), span))


def _compiling(name: str, inline: Rewriting) -> Rewriting:
    """Return a call whose last argument may be a quoted form; then it is done while the program is compiled."""
    function, count = EVALUATING[name]

    def rewrite(expander: Expander, form: Form) -> Form | None:
        arguments = expander.count(form, count, count, f"({name}{' form' * count})")
        code = _quoted_form(arguments[-1])
        if code is not None and (_is_definition(code) or not expander.is_open):
            found = inline(expander, form)
            if found is not None:
                return found
        return _evaluated(expander, form.span, function, *arguments)

    return rewrite


def _macroexpand(*, once: bool) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        whole = _quoted_form(form.value[1])
        assert whole is not None
        return call(form.span, "quote", expanded_form(expander, whole, once=once))

    return rewrite


def expanded_form(expander: Expander, whole: Form, *, once: bool) -> Form:
    """Return what the head of a form expands to."""
    for _ in range(1 if once else 1_000):
        following = expander.expand_once(whole)
        if following is None:
            break
        whole = following
    return whole


def _resolve(expander: Expander, form: Form) -> Form | None:
    """Return what a quoted name means here, nil for nothing."""
    name = _quoted_form(form.value[1])
    if name is None or name.kind != "symbol":
        raise expander.error("a name is resolved", form.span)
    found = resolved(expander, name)
    return literal(None, form.span) if found is None else found


def resolved(expander: Expander, name: Form) -> Form | None:
    """Return the form of what a name means here, None for nothing."""
    if expander.global_of(name, frozenset()) is not None:
        return call(name.span, "var", name)
    before, slash, local = name.value.partition("/")
    if not slash or not local:
        return name if name.value in expander.core_names else None
    library = expander.library_of(before)
    full = local if library == "yin.core" else f"{library}/{local}"
    return name if library is not None and full in expander.core_names else None


def _eval(expander: Expander, form: Form) -> Form:
    code = _quoted_form(form.value[1])
    assert code is not None
    return Form("list", (_thunk(form.span, [code]),), form.span)


def _at_run_time(expander: Expander, form: Form) -> Form | None:
    return None


# -- metadata of variables --


def _changed_meta(function: str) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        shape = f"({form.value[0].value} #'name ...)"
        variable, *rest = expander.count(form, 2, None, shape)
        name = _variable(variable)
        if name is None:
            raise expander.error(
                f"the form is {shape}", variable.span, "(vary-meta x f) for values"
            )
        span = form.span
        found = expander.global_of(name, frozenset())
        said = expander.var_meta(name)
        full = quoted(expander.var_name(found.name) if found is not None else name.value, span)
        return core(span, f"impl/{function}", expander.changing_metas(span), full, said, *rest)

    return rewrite


# Functions that compile at run time: what each is in the library, and how many arguments it takes.
EVALUATING: dict[str, tuple[str, int]] = {
    "eval": ("eval", 1),
    "load-string": ("load-string", 1),
    "macroexpand": ("macroexpand", 1),
    "macroexpand-1": ("macroexpand-1", 1),
    "resolve": ("resolve", 1),
    "requiring-resolve": ("resolve", 1),
    "ns-resolve": ("ns-resolve", 2),
    "find-var": ("find-var", 1),
    "intern": ("intern", 3),
}


DEFINITIONS: dict[str, Derived] = {
    "binding": binding,
    "with-redefs": with_redefs,
    "alter-var-root": alter_var_root,
    "set!": set_bang,
    "bound-fn": bound_fn,
    "with-precision": with_precision,
    "defmulti": defmulti,
    "defmethod": defmethod,
    "defprotocol": types.defprotocol,
    "defrecord": types.defrecord,
    "deftype": types.deftype,
    "extend-type": types.extend_type,
    "extend-protocol": types.extend_protocol,
    "reify": types.reify,
    "delay": delay,
    "future": future,
}

REWRITTEN: dict[str, Rewriting] = {
    "re-pattern": _pattern,
    "deref": _deref,
    "var-get": _var_get,
    "var?": _called_variable,
    "meta": _meta,
    "get-method": _of_multimethod("get-method"),
    "methods": _of_multimethod("methods"),
    "prefers": _of_multimethod("prefers"),
    "prefer-method": _of_multimethod("prefer-method"),
    "remove-method": _of_multimethod("remove-method"),
    "remove-all-methods": _of_multimethod("remove-all-methods"),
    "derive": _of_hierarchy(2, "impl/derive-globally", changes=True),
    "underive": _of_hierarchy(2, "impl/underive-globally", changes=True),
    "isa?": _of_hierarchy(2, "isa?"),
    "parents": _of_hierarchy(1, "parents"),
    "ancestors": _of_hierarchy(1, "ancestors"),
    "descendants": _of_hierarchy(1, "descendants"),
    "instance?": types.instance,
    "extend": types.extend,
    "future-call": _future_call,
    "promise": _renamed("references", "impl/promise"),
    "deliver": _renamed("references", "impl/deliver"),
    "await": _waiting("impl/await", "await"),
    "settled?": _raw_promise,
    "fail-promise": _raw_promise,
    "realized?": _needing("references", "impl/realized?"),
    "atom": _atom,
    "add-watch": _needing("watches", "impl/add-watch"),
    "remove-watch": _needing("watches", "impl/remove-watch"),
    "set-validator!": _needing("watches", "impl/set-validator"),
    "get-validator": _needing("watches", "impl/get-validator"),
    "swap!": _renamed("watches", "impl/watched-swap"),
    "swap-vals!": _renamed("watches", "impl/watched-swap-vals"),
    "reset!": _renamed("watches", "impl/watched-reset"),
    "reset-vals!": _renamed("watches", "impl/watched-reset-vals"),
    "compare-and-set!": _renamed("watches", "impl/watched-compare"),
    "eval": _compiling("eval", _eval),
    "load-string": _compiling("load-string", _at_run_time),
    "resolve": _compiling("resolve", _resolve),
    "requiring-resolve": _compiling("requiring-resolve", _resolve),
    "ns-resolve": _compiling("ns-resolve", _at_run_time),
    "find-var": _compiling("find-var", _resolve),
    "intern": _compiling("intern", _at_run_time),
    "alter-meta!": _changed_meta("alter-meta"),
    "reset-meta!": _changed_meta("reset-meta"),
    "future-done?": _needing("references", "impl/realized?"),
    "macroexpand": _compiling("macroexpand", _macroexpand(once=False)),
    "macroexpand-1": _compiling("macroexpand-1", _macroexpand(once=True)),
}

# What such a name is as a value, in programs with the feature.
VALUES: dict[str, tuple[str, str]] = {
    "promise": ("references", "impl/promise"),
    "deliver": ("references", "impl/deliver"),
    "swap!": ("watches", "impl/watched-swap"),
    "reset!": ("watches", "impl/watched-reset"),
    "atom": ("watches", "impl/watched-atom"),
}
