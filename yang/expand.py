"""Forms to core forms: derived forms rewritten, names resolved to what they can mean, malformed forms refused.

Is:     the walk over special forms with the scope of local names; namespaces and their aliases.
Is not: the derived forms themselves (`yang.derived`), nor resolution of names to slots (rules).
Fits:   between the reader and `yang.lower`, which takes core forms without checking them.

Core forms: quote, if, do, def, let*, loop*, letfn*, fn*, recur, try/catch/finally, throw, and calls. As in Clojure these
cannot be shadowed; derived forms can, by locals and by the program's own definitions. What a derived form
expands to names functions as `yin.core/x`, which nothing shadows, and locals as `x~1`, which no reader accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from datomstore.value import Keyword
from yang.derived import DERIVED, WRITTEN_OUT
from yang.errors import Source, SourceError, raise_all
from yang.forms import Form, call, function_list, literal, symbol, value_of, vector
from yang.limits import ERRORS_SHOWN_MAX
from yang.segment import Span
from yang.walk import Walk, run

Scope: TypeAlias = frozenset[str]

CORE = "yin.core/"
ALIASES = {
    "str": "clojure.string",
    "string": "clojure.string",
    "set": "clojure.set",
    "clojure.core": "yin.core",
}
NAMESPACES = frozenset({"yin.core", "clojure.string", "clojure.set"})
_SLASHED = frozenset({"/", "call/cc"})  # names of the core whose slash separates nothing

# Of Clojure, and refused by name rather than compiled to something else. A program may define such a name itself.
UNSUPPORTED = frozenset(
    [
        "..",
        "add-classpath",
        "alter-var-root",
        "amap",
        "areduce",
        "binding",
        "bound-fn",
        "bound-fn*",
        "defmacro",
        "defmethod",
        "defmulti",
        "defprotocol",
        "defrecord",
        "defstruct",
        "deftype",
        "definline",
        "definterface",
        "delay",
        "dosync",
        "eval",
        "extend",
        "extend-protocol",
        "extend-type",
        "future",
        "gen-class",
        "gen-interface",
        "import",
        "in-ns",
        "intern",
        "io!",
        "load",
        "load-file",
        "load-reader",
        "load-string",
        "locking",
        "macroexpand",
        "macroexpand-1",
        "memfn",
        "pmap",
        "proxy",
        "proxy-super",
        "pvalues",
        "pcalls",
        "read-line",
        "refer",
        "refer-clojure",
        "reify",
        "requiring-resolve",
        "resolve",
        "send",
        "send-off",
        "slurp",
        "spit",
        "sync",
        "time",
        "use",
        "vswap!",
        "with-bindings",
        "with-in-str",
        "with-local-vars",
        "with-open",
        "with-out-str",
        "with-precision",
        "with-redefs",
        "with-redefs-fn",
    ]
)


class Expander:
    """One expansion: what the program defined so far, its namespace and aliases, and the count of made names."""

    def __init__(self, source: Source, *, core: bool, own: frozenset[str]) -> None:
        self.source = source
        self.core = core
        self.namespace = "yin.core" if core else "user"
        self.defined: set[str] = set()
        self.own = own  # names that mean the program's definitions, also before these
        self.written_out: set[str] = set()
        self.aliases = dict(ALIASES)
        self.referred: dict[str, str] = {}
        self._made = 0

    def fresh(self, name: str) -> str:
        """Return a local name that nothing else has."""
        self._made += 1
        return f"{name}~{self._made}"

    def error(self, message: str, span: Span, hint: str | None = None) -> SourceError:
        """Return (not raise) the error of a place."""
        return self.source.error(message, span, hint)

    def check_local(self, form: Form) -> str:
        """Return the name a form gives to a local. Raises SourceError."""
        if form.kind != "symbol":
            raise self.error("a local's name is a symbol", form.span)
        name: str = form.value
        if name == "&":
            raise self.error("& stands only before the last parameter", form.span)
        if "/" in name and name not in _SLASHED:
            raise self.error(f"a local cannot have the qualified name {name}", form.span)
        return name

    # -- names --

    def name(self, form: Form, scope: Scope) -> Form:
        """Return a symbol as core forms have it: local, global of the program, or full name of a library's."""
        name: str = form.value
        if name in scope:
            return form
        if "/" in name and name not in _SLASHED:
            return self._qualified(form)
        if name in self.defined:
            return form
        if name in self.referred:
            return form._replace(value=self.referred[name])
        self._refuse_syntax(name, name, form.span)
        if name in UNSUPPORTED:
            raise self.error(f"{name} is not supported", form.span)
        if "." in name.strip("."):
            raise self.error(f"there are no classes, so no {name}", form.span)
        if name != "..." and (name[0] == "." or name[-1] == "."):
            raise self.error(
                f"{name}: Java's methods and constructors do not exist here", form.span
            )
        return form

    def _refuse_syntax(self, local: str, name: str, span: Span) -> None:
        if local in SPECIAL:
            raise self.error(f"{name} is a special form, it has no value", span)
        if local in DERIVED:
            raise self.error(f"{name} is syntax, it has no value", span, f"wrap it: #({name} ...)")

    def _qualified(self, form: Form) -> Form:
        name: str = form.value
        if self.core and name in self.defined:
            return form
        before, _, local = name.partition("/")
        namespace = self.aliases.get(before, before)
        if namespace == "yin.core":
            self._refuse_syntax(local, name, form.span)
            if local in UNSUPPORTED:
                raise self.error(f"{name} is not supported", form.span)
            return form._replace(value=CORE + local)
        if namespace in NAMESPACES:
            return form._replace(value=f"{namespace}/{local}")
        if namespace == self.namespace:
            self._refuse_syntax(local, name, form.span)
            return form._replace(value=local)
        raise self.error(
            f"no namespace {before}, so no {name}",
            form.span,
            "there are clojure.string (str/) and clojure.set (set/)",
        )

    def _derived(self, form: Form, scope: Scope) -> Callable[[Expander, Form], Form] | None:
        """Return the derived form that a head means, unless it is shadowed."""
        name: str = form.value[0].value
        found = DERIVED.get(name)
        if found is not None:
            return None if name in scope or name in self.defined else found
        found = WRITTEN_OUT.get((name, len(form.value) - 1))
        if found is not None:
            if (
                self.core
                or name in scope
                or name in self.referred
                or name in self.defined | self.own
            ):
                return None
            self.written_out.add(name)
            return found
        if name.startswith((CORE, "clojure.core/")):
            return DERIVED.get(name.partition("/")[2])
        return None

    # -- the walk --

    def form(self, form: Form, scope: Scope) -> Walk[Form]:
        """Expand one form."""
        while (form.kind == "list" and form.value) or form.kind == "function":
            if form.kind == "function":
                form = function_list(form)
                continue
            head: Form = form.value[0]
            if head.kind != "symbol":
                break
            special = SPECIAL.get(head.value)
            if special is not None:
                return (yield special(self, form, scope))  # type: ignore[no-any-return]
            derived = self._derived(form, scope)
            if derived is None:
                break
            form = derived(self, form)
        if form.is_leaf:
            return self.leaf(form, scope)
        return form._replace(value=(yield self.all(form.value, scope)))

    def leaf(self, form: Form, scope: Scope) -> Form:
        """Expand a form without parts."""
        return self.name(form, scope) if form.kind == "symbol" else form

    def all(self, forms: Sequence[Form], scope: Scope) -> Walk[tuple[Form, ...]]:
        """Expand forms in order."""
        out: list[Form] = []
        for form in forms:
            expanded = self.leaf(form, scope) if form.is_leaf else (yield self.form(form, scope))
            out.append(expanded)
        return tuple(out)

    def count(self, form: Form, least: int, most: int | None, shape: str) -> tuple[Form, ...]:
        """Return the arguments of a form. Raises SourceError if there are too few or too many."""
        arguments: tuple[Form, ...] = form.value[1:]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            raise self.error(f"the form is {shape}", form.span)
        return arguments

    def pairs(self, form: Form, shape: str) -> list[tuple[Form, Form]]:
        """Return names and values of a binding vector. Raises SourceError."""
        if form.kind != "vector":
            raise self.error(f"bindings stand in a vector: {shape}", form.span)
        if len(form.value) % 2:
            raise self.error("a name in the bindings has no value", form.value[-1].span)
        return list(zip(form.value[::2], form.value[1::2], strict=True))


def expand(
    forms: Sequence[Form], source: Source, *, core: bool = False, own: frozenset[str] = frozenset()
) -> tuple[Form, ...]:
    """Return the core forms of a program's forms.

    A function of the library that the program defines itself may be called before that; such names are in `own`, for
    which all is done again.

    Raises:
        SourceError, SourceErrors: every top-level form is looked at, so errors of several are raised together.
    """
    expander = Expander(source, core=core, own=own)
    out: list[Form] = []
    errors: list[SourceError] = []
    for form in forms:
        try:
            out.append(run(expander.form(form, frozenset())))
        except SourceError as error:
            errors.append(error)
            if len(errors) == ERRORS_SHOWN_MAX:
                break
    raise_all(errors)
    if expander.written_out & expander.defined:
        return expand(forms, source, core=core, own=own | expander.defined)
    return tuple(out)


# -- special forms --


def _quote(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    (quoted,) = expander.count(form, 1, 1, "(quote form)")
    try:
        value_of(quoted)
    except ValueError as error:
        raise expander.error(str(error), quoted.span) from None
    return form
    yield


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
    name = _global_name(expander, name)
    expander.defined.add(name.value)
    if len(rest) == 2:
        doc = rest.pop(0)
        if doc.kind != "literal" or not isinstance(doc.value, str):
            raise expander.error("the form is (def name doc value); doc is a string", doc.span)
    if not rest:
        return literal(None, form.span)  # a declaration
    init = yield expander.all(rest, scope)
    return call(form.span, "def", name, *init)


def _global_name(expander: Expander, form: Form) -> Form:
    name: str = form.value
    if name in SPECIAL or name == "&":
        raise expander.error(f"{name} is a special form and cannot be defined", form.span)
    if "/" not in name or name in _SLASHED or expander.core:
        return form
    before, _, local = name.partition("/")
    if before != expander.namespace:
        raise expander.error(
            f"{name} belongs to another namespace and cannot be defined", form.span
        )
    return form._replace(value=local)


def _binding_form(head: str) -> Special:
    def expand_bindings(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
        bindings, *body = expander.count(form, 1, None, f"({head} [name value ...] body ...)")
        out: list[Form] = []
        for name, value in expander.pairs(bindings, f"({head} [name value ...] body ...)"):
            local = expander.check_local(name)
            (value,) = yield expander.all([value], scope)
            out += (name, value)
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
    out = [part for (name, _), init in zip(pairs, inits, strict=True) for part in (name, init)]
    forms = yield expander.all(body, scope)
    if not out:
        return call(form.span, "do", *forms)
    return call(form.span, "letfn*", vector(out, bindings.span), *forms)


def _fn(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    rest: tuple[Form, ...] = form.value[1:]
    head: tuple[Form, ...] = ()
    if rest and rest[0].kind == "symbol":
        scope = scope | {expander.check_local(rest[0])}
        head, rest = rest[:1], rest[1:]
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
    return call(form.span, "catch", symbol(matches, class_.span), name, *forms)


def _outside(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    raise expander.error(f"{form.value[0].value} outside try", form.span)
    yield


def _refused(expander: Expander, form: Form, scope: Scope) -> Walk[Form]:
    raise expander.error(f"{form.value[0].value} is not supported", form.span)
    yield


Special: TypeAlias = Callable[[Expander, Form, Scope], Walk[Form]]

SPECIAL: dict[str, Special] = {
    "quote": _quote,
    "if": _if,
    "do": _plain("do"),
    "recur": _plain("recur"),
    "throw": _throw,
    "def": _def,
    "let*": _binding_form("let*"),
    "loop*": _binding_form("loop*"),
    "letfn*": _letfn,
    "fn*": _fn,
    "try": _try,
    "catch": _outside,
    "finally": _outside,
    **dict.fromkeys(
        ["set!", "new", ".", "var", "monitor-enter", "monitor-exit", "case*", "reify*", "deftype*"],
        _refused,
    ),
}
