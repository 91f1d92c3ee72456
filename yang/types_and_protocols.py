"""Derived forms of protocols and types: defprotocol, defrecord, deftype, reify, extend-type, extend-protocol.

Is:     one function per form; which names of Clojure's classes may be extended.
Is not: dispatch, which is a function of the library (yang/lib/definitions.clj).
Fits:   part of `yang.definitions`' tables. A record is a map with its type under :yin.core/type; what deftype and reify make
        is opaque, and only its methods look into it.
Source: clojure.core's macros, Clojure 1.11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from datomstore.value import Keyword, Symbol
from yang.forms import Form, call, literal, symbol, text_of, vector
from yang.segment import Span

if TYPE_CHECKING:
    from yang.expand import Expander
    from yang.namespaces import Global


def core(span: Span, name: str, *arguments: Form) -> Form:
    """Return a call of a function of the library."""
    return call(span, f"yin.core/{name}", *arguments)


def raw(name: str, span: Span) -> Form:
    """Return the form that gives a global itself, not what a dynamic variable holds."""
    return call(span, "global~", symbol(name, span))


def quoted(name: str, span: Span) -> Form:
    """Return a symbol as data."""
    return literal(Symbol(name), span)


def global_of_kind(expander: Expander, form: Form, kind: str, what: str) -> Global:
    """Return the definition that a symbol names. Raises SourceError if it is of another kind."""
    found = expander.global_of(form, frozenset()) if form.kind == "symbol" else None
    if found is None or found.kind != kind:
        raise expander.error(f"{text_of(form)} is not {what} of this program", form.span)
    return found


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
    text = quoted(expander.var_name(made.value), span)
    protocol = core(span, "impl/protocol", text, vector(methods, span))
    first = call(span, "define~", made._replace(meta=()), protocol)
    return call(span, "do", first, *statements)


def _dispatching(expander: Expander, protocol: Form, key: Form, count: int, span: Span) -> Form:
    names = [symbol(expander.fresh("argument"), span) for _ in range(count)]
    found = core(span, "impl/method", raw(protocol.value, span), key, names[0])
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
    made = global_of_kind(expander, protocol, "protocol", "a protocol")
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
        for part in (literal(Keyword(key), span), core(span, "fn", *bodies))
    ]
    return raw(made.name, span), Form("map", tuple(entries), span)


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
    whole = core(span, "let", vector(bound, span), *body)
    return Form("list", (vector([this, *parameters.value[1:]], span), whole), span)


def _type(expander: Expander, form: Form) -> Form:
    """Return the key of a type in protocols: a symbol of the program's own, a string for what Clojure calls a class."""
    if form.kind == "literal" and form.value is None:
        return literal("nil", form.span)
    if form.kind != "symbol":
        raise expander.error("the name of a type stands here", form.span)
    found = expander.global_of(form, frozenset())
    if found is not None and found.kind == "type":
        return quoted(expander.var_name(found.name), form.span)
    name: str = form.value.rpartition(".")[2]
    if name not in CLASSES:
        raise expander.error(f"no type {form.value}", form.span)
    return literal(name, form.span)


_JAVA_LANG = """
    String CharSequence Comparable Object Long Integer Number Double Boolean Character Iterable
    RuntimeException Exception Throwable
"""
_JAVA_UTIL = """
    List Collection Map Set Date UUID
"""
_CLOJURE_LANG = """
    Ratio Keyword Named IFn Symbol PersistentVector APersistentVector IPersistentVector Vector
    Indexed Associative Sequential IPersistentCollection Seqable Counted PersistentArrayMap
    PersistentHashMap PersistentTreeMap APersistentMap IPersistentMap PersistentHashSet
    PersistentTreeSet APersistentSet IPersistentSet PersistentList IPersistentList ISeq LazySeq
    Cons AFn Fn ExceptionInfo IExceptionInfo Atom IAtom IDeref Inst
"""
# What of Clojure's classes may be extended and asked for; their names are symbols here.
CLASS_NAMES: dict[str, str] = {
    **{name: f"java.lang.{name}" for name in _JAVA_LANG.split()},
    **{name: f"java.util.{name}" for name in _JAVA_UTIL.split()},
    **{name: f"clojure.lang.{name}" for name in _CLOJURE_LANG.split()},
    "Pattern": "java.util.regex.Pattern",
    "BigDecimal": "java.math.BigDecimal",
}
CLASSES = frozenset(CLASS_NAMES)
FULL_NAMES = frozenset(CLASS_NAMES.values())
IMPORTED = frozenset(
    name for name, full in CLASS_NAMES.items() if full.startswith(("java.lang.", "java.math."))
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
            statements.append(core(span, "impl/add-extension", made, key, entries))
    return call(span, "do", *statements, literal(None, span))


def _nothing(this: Form, number: int) -> Form:
    return this


def defrecord(expander: Expander, form: Form) -> Form:
    """Return the constructors of a map with a type, and its methods."""
    name, fields, rest = _typed(expander, form, "defrecord")
    span = form.span
    keys = [literal(Keyword(field.value), field.span) for field in fields]
    made = expander.define(name, "type")
    key = quoted(expander.var_name(made.value), name.span)
    tag = literal(Keyword("yin.core/type"), span)
    pairs = [part for pair in zip(keys, fields, strict=True) for part in pair]
    whole = Form("map", (tag, key, *pairs), span)
    nils = [part for field in keys for part in (field, literal(None, span))]
    blank = Form("map", (tag, key, *nils), span)
    given = symbol(expander.fresh("given"), span)
    of_map = call(span, "fn*", vector([given], span), core(span, "merge", blank, given))

    def getter(this: Form, number: int) -> Form:
        return core(span, "get", this, keys[number])

    return _type_statements(expander, form, name, fields, rest, key, whole, of_map, getter)


def deftype(expander: Expander, form: Form) -> Form:
    """Return the constructor of a value that only its methods look into."""
    name, fields, rest = _typed(expander, form, "deftype")
    span = form.span
    made = expander.define(name, "type")
    key = quoted(expander.var_name(made.value), name.span)
    whole = core(span, "impl/instance", key, vector(fields, span))

    def getter(this: Form, number: int) -> Form:
        return core(span, "impl/field", this, literal(number, span))

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
        statements.append(core(span, "impl/add-extension", of_protocol, key, entries))
    return call(span, "do", *statements, key)


def reify(expander: Expander, form: Form) -> Form:
    """Return a value with methods of its own."""
    span = form.span
    parts: list[Form] = []
    for protocol, methods in _implementations(expander, form.value[1:], form):
        made, entries = _methods(expander, protocol, methods, (), _nothing)
        parts += (core(span, "get", made, literal(Keyword("on"), span)), entries)
    return core(span, "impl/reified", Form("map", tuple(parts), span))


def instance(expander: Expander, form: Form) -> Form | None:
    """Return the question whether a value is of a type that is known here."""
    if len(form.value) != 3 or form.value[1].kind != "symbol":
        return None
    type_, value = form.value[1:]
    found = expander.global_of(type_, frozenset())
    if found is not None and found.kind == "protocol":
        return core(form.span, "satisfies?", type_, value)
    is_type = found is not None and found.kind == "type"
    if not is_type and type_.value.rpartition(".")[2] not in CLASSES:
        return None
    return core(form.span, "impl/instance?", _type(expander, type_), value)


def extend(expander: Expander, form: Form) -> Form | None:
    """Return the call with the key of a type that is known here."""
    if len(form.value) < 2 or (form.value[1].kind == "literal" and form.value[1].value is not None):
        return None
    return core(form.span, "extend", _type(expander, form.value[1]), *form.value[2:])


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
