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
from typing import TYPE_CHECKING, TypeAlias

from datomstore.value import Keyword, Symbol
from yang.forms import Form, call, literal, symbol, text_of, vector
from yang.segment import Span

if TYPE_CHECKING:
    from yang.expand import Expander
    from yang.namespaces import Global

Derived: TypeAlias = Callable[["Expander", Form], Form]
Rewriting: TypeAlias = Callable[["Expander", Form], Form | None]

HIERARCHY = "hierarchy~"
THREADS = "threads~"
_RAW = "global~"  # the special form that gives a global itself, not what a dynamic variable holds


def _core(span: Span, name: str, *arguments: Form) -> Form:
    return call(span, f"yin.core/{name}", *arguments)


def _raw(name: str, span: Span) -> Form:
    return call(span, _RAW, symbol(name, span))


def _quoted(name: str, span: Span) -> Form:
    return literal(Symbol(name), span)


def _thunk(span: Span, body: Sequence[Form]) -> Form:
    return call(span, "fn*", vector([], span), *body)


def _global(expander: Expander, form: Form, kind: str, what: str) -> Global:
    """Return the definition that a symbol names. Raises SourceError if it is of another kind."""
    found = expander.global_of(form, frozenset()) if form.kind == "symbol" else None
    if found is None or found.kind != kind:
        raise expander.error(f"{text_of(form)} is not {what} of this program", form.span)
    return found


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
        cells.append(_raw(expander.dynamic_cell(name, hint), name.span))
        names.append(symbol(expander.fresh("bound"), value.span))
        values.append(value)
    whole = call(span, "do", *body)
    for name, cell in zip(reversed(names), reversed(cells), strict=True):
        whole = _core(span, "impl/bind", cell, name, _thunk(span, [whole]))
    pairs = [part for pair in zip(names, values, strict=True) for part in pair]
    return call(span, "let*", vector(pairs, bindings.span), whole)


def with_redefs(expander: Expander, form: Form) -> Form:
    """Return a call that changes roots; the variables are dynamic from the beginning of the program on."""
    shape = "(with-redefs [variable value ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    cells: list[Form] = []
    values: list[Form] = []
    for name, value in expander.pairs(bindings, shape):
        cells.append(_raw(expander.changing_cell(name), name.span))
        values.append(value)
    span = form.span
    thunk = _thunk(span, body)
    return _core(span, "impl/with-roots", vector(cells, span), vector(values, span), thunk)


def alter_var_root(expander: Expander, form: Form) -> Form:
    """Return the change of a root; the variable is dynamic from the beginning of the program on."""
    variable, function, *rest = expander.count(form, 2, None, "(alter-var-root #'name f ...)")
    name = _variable(variable)
    if name is None:
        raise expander.error("alter-var-root takes #'name", variable.span)
    cell = _raw(expander.changing_cell(name), name.span)
    return _core(form.span, "impl/alter-root", cell, function, *rest)


def set_bang(expander: Expander, form: Form) -> Form:
    """Return the change of the innermost binding."""
    name, value = expander.count(form, 2, 2, "(set! *variable* value)")
    if name.kind != "symbol":
        raise expander.error("set! changes dynamic variables; there are no fields", name.span)
    cell = expander.dynamic_cell(name, "atoms are changed by reset! and swap!")
    text = _quoted(expander.var_name(cell), name.span)
    return _core(form.span, "impl/set-dynamic", _raw(cell, name.span), text, value)


def bound_fn(expander: Expander, form: Form) -> Form:
    """Return a function that sees the bindings of where it was made."""
    span = form.span
    function = _core(span, "fn", *form.value[1:])
    cells = sorted(expander.dynamic)
    names = [symbol(expander.fresh("bound"), span) for _ in cells]
    rest = symbol(expander.fresh("rest"), span)
    made = symbol(expander.fresh("f"), span)
    whole = _core(span, "apply", made, rest)
    pairs = [made, function]
    for name, cell in zip(names, cells, strict=True):
        whole = _core(span, "impl/bind", _raw(cell, span), name, _thunk(span, [whole]))
        pairs += (name, _core(span, "dynamic-value", _raw(cell, span)))
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


# -- multimethods and hierarchies --


def _hierarchy(expander: Expander, span: Span) -> Form:
    expander.hide(HIERARCHY, _core(span, "atom", _core(span, "make-hierarchy")))
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
    table = hierarchy or _raw(_hierarchy(expander, span).value, span)
    if hierarchy is not None:
        table = _core(span, "atom", hierarchy)
    made = expander.define(name, "multimethod")
    cell = f"{made.value}~methods"
    expander.globals.table[made.value].more = cell
    arguments = symbol(expander.fresh("arguments"), span)
    text = _quoted(name.value, span)
    state = _core(span, "impl/multimethod", text, dispatch, default, table)
    run = _core(span, "impl/call-multi", _raw(cell, span), arguments)
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
    multi = _global(expander, name, "multimethod", "a multimethod")
    span = form.span
    function = _core(span, "fn", *tail)
    return _core(span, "impl/add-method", _raw(str(multi.more), name.span), value, function)


def _of_multimethod(function: str) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        name, *rest = expander.count(form, 1, None, f"({form.value[0].value} multimethod ...)")
        multi = _global(expander, name, "multimethod", "a multimethod")
        return _core(form.span, f"impl/{function}", _raw(str(multi.more), name.span), *rest)

    return rewrite


def _of_hierarchy(count: int, function: str, *, changes: bool = False) -> Rewriting:
    """Return the call with the program's hierarchy, when it names none."""

    def rewrite(expander: Expander, form: Form) -> Form | None:
        if len(form.value) - 1 != count:
            return None
        span = form.span
        cell = _raw(_hierarchy(expander, span).value, span)
        if changes:
            return _core(span, function, cell, *form.value[1:])
        return call(span, f"yin.core/{function}", _core(span, "deref", cell), *form.value[1:])

    return rewrite


# -- protocols and types --


def defprotocol(expander: Expander, form: Form) -> Form:
    """Return the protocol, and a function for each of its methods."""
    name, *rest = expander.count(form, 1, None, "(defprotocol Name (method [this ...]) ...)")
    if name.kind != "symbol":
        raise expander.error("defprotocol takes a name", name.span)
    span = form.span
    signatures = [item for item in rest if item.kind == "list"]
    made = expander.define(name, "protocol")
    methods: list[Form] = []
    statements: list[Form] = []
    for signature in signatures:
        if not signature.value or signature.value[0].kind != "symbol":
            raise expander.error("a method is (name [this ...] doc)", signature.span)
        method, *arglists = signature.value
        arglists = [item for item in arglists if item.kind == "vector"]
        if not arglists or any(not item.value for item in arglists):
            raise expander.error("a method has [this ...]", signature.span)
        key = literal(Keyword(method.value), method.span)
        methods.append(key)
        arities = [_dispatching(expander, made, key, len(item.value), span) for item in arglists]
        function = call(span, "fn*", *arities)
        expander.define(method)
        statements.append(call(span, "def", method, function))
    text = _quoted(expander.var_name(made.value), span)
    protocol = _core(span, "impl/protocol", text, vector(methods, span))
    first = call(span, "define~", made._replace(meta=()), protocol)
    return call(span, "do", first, *statements)


def _dispatching(expander: Expander, protocol: Form, key: Form, count: int, span: Span) -> Form:
    names = [symbol(expander.fresh("argument"), span) for _ in range(count)]
    found = _core(span, "impl/method", _raw(protocol.value, span), key, names[0])
    return Form("list", (vector(names, span), Form("list", (found, *names), span)), span)


def _implementations(
    expander: Expander, items: Sequence[Form], place: Form
) -> list[tuple[Form, list[Form]]]:
    """Return protocols, each with its methods, of what follows in defrecord, extend-type, reify."""
    found: list[tuple[Form, list[Form]]] = []
    for item in items:
        if item.kind == "symbol" or (item.kind == "literal" and item.value is None):
            found.append((item, []))
        elif item.kind == "list" and found:
            found[-1][1].append(item)
        else:
            raise expander.error("a protocol and its methods stand here", item.span)
    return found


def _methods(
    expander: Expander,
    protocol: Form,
    methods: Sequence[Form],
    fields: Sequence[Form],
    getter: Callable[[Form, int], Form],
) -> tuple[Form, Form]:
    """Return a protocol and the map of its methods; fields are locals in them."""
    name = protocol.value if protocol.kind == "symbol" else "nil"
    if name in ("Object", "java.lang.Object"):
        raise expander.error("methods of Java's Object are not supported", protocol.span)
    made = _global(expander, protocol, "protocol", "a protocol")
    arities: dict[str, list[Form]] = {}
    for method in methods:
        if len(method.value) < 2 or method.value[1].kind != "vector" or not method.value[1].value:
            raise expander.error("a method is (name [this ...] body ...)", method.span)
        head, parameters, *body = method.value
        arities.setdefault(head.value, []).append(
            _method_arity(expander, parameters, body, fields, getter)
        )
    span = protocol.span
    entries = [
        part
        for key, bodies in arities.items()
        for part in (literal(Keyword(key), span), _core(span, "fn", *bodies))
    ]
    return _raw(made.name, span), Form("map", tuple(entries), span)


def _method_arity(
    expander: Expander,
    parameters: Form,
    body: Sequence[Form],
    fields: Sequence[Form],
    getter: Callable[[Form, int], Form],
) -> Form:
    span = parameters.span
    hidden = {item.value for item in parameters.value if item.kind == "symbol"}
    this = symbol(expander.fresh("this"), span)
    bound: list[Form] = [parameters.value[0], this]
    for number, field in enumerate(fields):
        if field.value not in hidden:
            bound += (field, getter(this, number))
    if not fields:
        return Form("list", (parameters, *body), span)
    whole = _core(span, "let", vector(bound, span), *body)
    return Form("list", (vector([this, *parameters.value[1:]], span), whole), span)


def _type(expander: Expander, form: Form) -> Form:
    """Return the key of a type in protocols: a symbol of the program's own, a string for what Clojure calls a class."""
    if form.kind == "literal" and form.value is None:
        return literal("nil", form.span)
    if form.kind != "symbol":
        raise expander.error("the name of a type stands here", form.span)
    found = expander.global_of(form, frozenset())
    if found is not None and found.kind == "type":
        return _quoted(expander.var_name(found.name), form.span)
    name: str = form.value.rpartition(".")[2]
    if name not in CLASSES:
        raise expander.error(f"no type {form.value}", form.span)
    return literal(name, form.span)


CLASSES = frozenset(
    [
        "String",
        "CharSequence",
        "Comparable",
        "Object",
        "Long",
        "Integer",
        "Number",
        "Double",
        "Ratio",
        "Boolean",
        "Character",
        "Keyword",
        "Named",
        "IFn",
        "Symbol",
        "PersistentVector",
        "APersistentVector",
        "IPersistentVector",
        "Vector",
        "Indexed",
        "Associative",
        "List",
        "Sequential",
        "IPersistentCollection",
        "Seqable",
        "Collection",
        "Iterable",
        "Counted",
        "PersistentArrayMap",
        "PersistentHashMap",
        "PersistentTreeMap",
        "APersistentMap",
        "IPersistentMap",
        "Map",
        "PersistentHashSet",
        "PersistentTreeSet",
        "APersistentSet",
        "IPersistentSet",
        "Set",
        "PersistentList",
        "IPersistentList",
        "ISeq",
        "LazySeq",
        "Cons",
        "AFn",
        "Fn",
        "ExceptionInfo",
        "IExceptionInfo",
        "RuntimeException",
        "Exception",
        "Throwable",
        "Atom",
        "IAtom",
        "IDeref",
        "Date",
        "Inst",
        "UUID",
    ]
)


def extend_type(expander: Expander, form: Form) -> Form:
    """Return one statement for each protocol."""
    type_, *rest = expander.count(
        form, 1, None, "(extend-type Type Protocol (method [this] ...) ...)"
    )
    return _extensions(expander, form, [(type_, rest)])


def extend_protocol(expander: Expander, form: Form) -> Form:
    """Return one statement for each type."""
    shape = "(extend-protocol Protocol Type (method [this] ...) ...)"
    protocol, *rest = expander.count(form, 1, None, shape)
    groups = _implementations(expander, rest, form)
    return _extensions(expander, form, [(type_, [protocol, *methods]) for type_, methods in groups])


def _extensions(
    expander: Expander, form: Form, groups: Sequence[tuple[Form, Sequence[Form]]]
) -> Form:
    span = form.span
    statements: list[Form] = []
    for type_, rest in groups:
        key = _type(expander, type_)
        for protocol, methods in _implementations(expander, rest, form):
            made, entries = _methods(expander, protocol, methods, (), _nothing)
            statements.append(_core(span, "impl/add-extension", made, key, entries))
    return call(span, "do", *statements, literal(None, span))


def _nothing(this: Form, number: int) -> Form:
    return this


def defrecord(expander: Expander, form: Form) -> Form:
    """Return the constructors of a map with a type, and its methods."""
    name, fields, rest = _typed(expander, form, "defrecord")
    span = form.span
    keys = [literal(Keyword(field.value), field.span) for field in fields]
    made = expander.define(name, "type")
    key = _quoted(expander.var_name(made.value), name.span)
    tag = literal(Keyword("yin.core/type"), span)
    pairs = [part for pair in zip(keys, fields, strict=True) for part in pair]
    whole = Form("map", (tag, key, *pairs), span)
    nils = [part for field in keys for part in (field, literal(None, span))]
    blank = Form("map", (tag, key, *nils), span)
    given = symbol(expander.fresh("given"), span)
    of_map = call(span, "fn*", vector([given], span), _core(span, "merge", blank, given))

    def getter(this: Form, number: int) -> Form:
        return _core(span, "get", this, keys[number])

    return _type_statements(expander, form, name, fields, rest, key, whole, of_map, getter)


def deftype(expander: Expander, form: Form) -> Form:
    """Return the constructor of a value that only its methods look into."""
    name, fields, rest = _typed(expander, form, "deftype")
    span = form.span
    made = expander.define(name, "type")
    key = _quoted(expander.var_name(made.value), name.span)
    whole = _core(span, "impl/instance", key, vector(fields, span))

    def getter(this: Form, number: int) -> Form:
        return _core(span, "impl/field", this, literal(number, span))

    return _type_statements(expander, form, name, fields, rest, key, whole, None, getter)


def _typed(expander: Expander, form: Form, head: str) -> tuple[Form, list[Form], list[Form]]:
    name, fields, *rest = expander.count(form, 2, None, f"({head} Name [fields] Protocol ...)")
    if name.kind != "symbol" or fields.kind != "vector":
        raise expander.error(f"the form is ({head} Name [fields] Protocol ...)", form.span)
    for field in fields.value:
        expander.check_local(field)
        for key, _ in field.meta:
            if text_of(key) in (":unsynchronized-mutable", ":volatile-mutable"):
                raise expander.error("fields do not change; put an atom into one", field.span)
    plain = [field._replace(meta=()) for field in fields.value]
    return name, plain, rest


def _type_statements(
    expander: Expander,
    form: Form,
    name: Form,
    fields: Sequence[Form],
    rest: Sequence[Form],
    key: Form,
    whole: Form,
    of_map: Form | None,
    getter: Callable[[Form, int], Form],
) -> Form:
    span = form.span
    constructor = symbol(f"->{name.value}", name.span)
    made = call(span, "fn*", vector(fields, span), whole)
    statements = [
        call(span, "define~", symbol(expander.globals.global_name(name.value), name.span), key),
        call(span, "def", constructor, made),
    ]
    if of_map is not None:
        statements.append(call(span, "def", symbol(f"map->{name.value}", name.span), of_map))
    for protocol, methods in _implementations(expander, rest, form):
        of_protocol, entries = _methods(expander, protocol, methods, fields, getter)
        statements.append(_core(span, "impl/add-extension", of_protocol, key, entries))
    return call(span, "do", *statements, key)


def reify(expander: Expander, form: Form) -> Form:
    """Return a value with methods of its own."""
    span = form.span
    parts: list[Form] = []
    for protocol, methods in _implementations(expander, form.value[1:], form):
        made, entries = _methods(expander, protocol, methods, (), _nothing)
        parts += (_core(span, "get", made, literal(Keyword("on"), span)), entries)
    return _core(span, "impl/reified", Form("map", tuple(parts), span))


def _instance(expander: Expander, form: Form) -> Form | None:
    if len(form.value) != 3 or form.value[1].kind != "symbol":
        return None
    type_, value = form.value[1:]
    found = expander.global_of(type_, frozenset())
    if found is not None and found.kind == "protocol":
        return _core(form.span, "satisfies?", type_, value)
    return _core(form.span, "impl/instance?", _type(expander, type_), value)


def _extend(expander: Expander, form: Form) -> Form | None:
    if len(form.value) < 2 or (form.value[1].kind == "literal" and form.value[1].value is not None):
        return None
    return _core(form.span, "extend", _type(expander, form.value[1]), *form.value[2:])


def construct(expander: Expander, form: Form) -> Form | None:
    """Return `(Name. field ...)` and `(new Name field ...)` as the call of the constructor; None for other types."""
    head, *rest = form.value
    name = head._replace(value=head.value[:-1])
    if head.value == "new":
        name, *rest = rest or [head]
    found = expander.global_of(name, frozenset())
    if found is None or found.kind != "type":
        return None
    before, _, local = name.value.rpartition("/")
    made = f"{before}/->{local}" if before else f"->{local}"
    return Form("list", (symbol(made, head.span), *rest), form.span)


# -- delays, futures, promises, watched atoms --


def _threads(expander: Expander, span: Span) -> Form:
    pair = vector([Form("list", (), span), Form("list", (), span)], span)
    expander.hide(THREADS, _core(span, "atom", pair))
    return _raw(THREADS, span)


def delay(expander: Expander, form: Form) -> Form:
    """Return a value that is made when it is asked for."""
    expander.need("references")
    return _core(form.span, "impl/delayed", _thunk(form.span, form.value[1:]))


def future(expander: Expander, form: Form) -> Form:
    """Return a green thread that runs until it waits for another."""
    expander.need("references")
    threads = _threads(expander, form.span)
    return _core(form.span, "impl/future", threads, _thunk(form.span, form.value[1:]))


def _future_call(expander: Expander, form: Form) -> Form:
    expander.need("references")
    return _core(form.span, "impl/future", _threads(expander, form.span), *form.value[1:])


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
        return _core(span, function, _threads(expander, span), *arguments)

    return rewrite


def _renamed(feature: str, function: str) -> Rewriting:
    """Return the call of what a function is in programs that have a feature."""

    def rewrite(expander: Expander, form: Form) -> Form | None:
        if not expander.has(feature):
            expander.want(form.value[0].value)
            return None
        return _core(form.span, function, *form.value[1:])

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
    raw = _core(promise.span, "impl/raw", promise)
    return form._replace(value=(form.value[0], raw, *form.value[2:]))


def _needing(feature: str, function: str) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        expander.need(feature)
        return _core(form.span, function, *form.value[1:])

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


def _quoted_argument(expander: Expander, form: Form) -> Form:
    (argument,) = expander.count(form, 1, 1, f"({form.value[0].value} 'form)")
    if argument.kind == "list" and len(argument.value) == 2 and argument.value[0].value == "quote":
        return argument.value[1]  # type: ignore[no-any-return]
    if argument.is_leaf and argument.kind == "literal":
        return argument
    name = form.value[0].value
    hint = f"({name} '(...)): all code is compiled before the program runs"
    raise expander.error(f"{name} takes a quoted form", argument.span, hint)


def _macroexpand(*, once: bool) -> Rewriting:
    def rewrite(expander: Expander, form: Form) -> Form:
        whole = _quoted_argument(expander, form)
        for _ in range(1 if once else 1_000):
            following = expander.expand_once(whole)
            if following is None:
                break
            whole = following
        return call(form.span, "quote", whole)

    return rewrite


def _eval(expander: Expander, form: Form) -> Form:
    code = _quoted_argument(expander, form)
    return Form("list", (_thunk(form.span, [code]),), form.span)


DEFINITIONS: dict[str, Derived] = {
    "binding": binding,
    "with-redefs": with_redefs,
    "alter-var-root": alter_var_root,
    "set!": set_bang,
    "bound-fn": bound_fn,
    "defmulti": defmulti,
    "defmethod": defmethod,
    "defprotocol": defprotocol,
    "defrecord": defrecord,
    "deftype": deftype,
    "extend-type": extend_type,
    "extend-protocol": extend_protocol,
    "reify": reify,
    "delay": delay,
    "future": future,
    "eval": _eval,
}

REWRITTEN: dict[str, Rewriting] = {
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
    "instance?": _instance,
    "extend": _extend,
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
    "macroexpand": _macroexpand(once=False),
    "macroexpand-1": _macroexpand(once=True),
}

# What such a name is as a value, in programs with the feature.
VALUES: dict[str, tuple[str, str]] = {
    "promise": ("references", "impl/promise"),
    "deliver": ("references", "impl/deliver"),
    "swap!": ("watches", "impl/watched-swap"),
    "reset!": ("watches", "impl/watched-reset"),
    "atom": ("watches", "impl/watched-atom"),
}
