"""Core forms to the forms people write: what `yang.derived` and `yang.destructure` did, undone.

Is:     one rule per derived form, tried from the outside in; names written so that they mean the same again.
Is not: a proof: a rule may take for a `when-let` what was none. `yang.clojure` compiles what comes out and compares.
Fits:   between `yang.raised`, which gives the core forms of a tree, and `yang.layout`, which lays forms out.

Names that expansion made (`and~1`) are gone where a rule undoes what made them; where none does, they are `Exact`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from datomstore.value import Keyword
from yang.definitions import REWRITTEN
from yang.derived import DERIVED
from yang.expand import UNSUPPORTED
from yang.forms import Exact, Form, argument_names, call, literal, symbol, text_of, vector
from yang.namespaces import CORE, SLASHED
from yang.special import SPECIAL
from yang.walk import Walk

Scope: TypeAlias = frozenset[str]
Pairs: TypeAlias = list[tuple[Form, Form]]

_SYMBOL = re.compile(r"[^\s,()\[\]{}\"@^`~;\\#':0-9][^\s,()\[\]{}\"@^`~;\\]*")
_CONSTANTS = frozenset(["nil", "true", "false", "gensym", "*ns*", "&"])
# Calls that are ordinary ones in a program where nothing is watched and nobody waits.
_PLAIN_CALLS = frozenset(
    [
        "deref",
        "meta",
        "await",
        "atom",
        "swap!",
        "swap-vals!",
        "reset!",
        "reset-vals!",
        "compare-and-set!",
        "promise",
        "deliver",
        "settled?",
        "fail-promise",
    ]
)
_FAILED = "Assert failed: "
_UNMATCHED = "No matching clause: "
_RESET = Keyword("yin.core/reset")


class NoPattern(Exception):
    """Bindings that no pattern makes; never leaves this module."""


class Program(NamedTuple):
    """What has to be known of a whole program to write one of its statements."""

    defined: frozenset[str]
    taken: frozenset[str]  # names of locals and definitions, which hide derived forms
    dynamic: frozenset[str]
    core_names: frozenset[str]
    home: str = "user"
    is_core: bool = False


class Surface:
    """The writing of one statement in its namespace."""

    def __init__(self, program: Program, namespace: str) -> None:
        self.program = program
        self.namespace = namespace
        self._in_function = False  # inside of #( ), which stands in no other

    # -- names --

    def head(self, name: str, place: Form) -> Form:
        """Return the symbol of a derived form, which nothing hides."""
        return symbol(CORE + name if name in self.program.taken else name, place.span)

    def made(self, place: Form, name: str, *parts: Form) -> Form:
        """Return the list of a derived form and its parts."""
        return Form("list", (self.head(name, place), *parts), place.span)

    def local(self, form: Form) -> Form:
        """Return the symbol of a local where it is bound or used."""
        is_plain = is_readable(form.value) and "/" not in form.value
        return form if is_plain else _exactly(form)

    def name(self, form: Form, scope: Scope) -> Form:
        """Return a symbol so that it means the same name again."""
        name: str = form.value
        if name in scope:
            return self.local(form)
        known = self.program
        if not is_readable(name) or name in known.dynamic:
            return _exactly(form)
        if known.is_core:
            return form
        before, slash, local = ("", "", name) if name in SLASHED else name.rpartition("/")
        if not slash:
            if self.namespace != known.home:
                is_own = name in known.defined
                return form._replace(value=f"{known.home}/{name}") if is_own else _exactly(form)
            is_syntax = name in SPECIAL or name in DERIVED or name in UNSUPPORTED
            return _exactly(form) if is_syntax and name not in known.defined else form
        if self.namespace == known.home or local in scope or local in _HEADS:
            return form
        if before == self.namespace and local not in known.core_names:
            return form._replace(value=local)
        is_core = before == "yin.core" and local in known.core_names
        hidden = f"{self.namespace}/{local}" in known.defined
        return form._replace(value=local) if is_core and not hidden else form

    def operator(self, form: Form, scope: Scope) -> Form:
        """Return a symbol at the head of a call, where it could mean syntax."""
        name: str = form.value
        written = self.name(form, scope)
        if name in scope or name in self.program.defined or name in _PLAIN_CALLS:
            return written
        local = name.removeprefix(CORE)
        is_syntax = local in SPECIAL or local in DERIVED or local in REWRITTEN
        is_plain = not is_syntax or (local in _PLAIN_CALLS and name.startswith(CORE))
        return written if is_plain else _exactly(form)

    # -- the walk --

    def form(self, form: Form, scope: Scope) -> Walk[Form]:
        """Return a core form as it is written."""
        if form.kind == "symbol":
            return self.name(form, scope)
        if form.kind != "list" or not form.value:
            return form
        head = form.value[0]
        rule = _RULES.get(head.value) if head.kind == "symbol" else None
        if rule is not None:
            return (yield rule(self, form, scope))  # type: ignore[no-any-return]
        return (yield self.application(form, scope))  # type: ignore[no-any-return]

    def all(self, forms: Sequence[Form], scope: Scope) -> Walk[list[Form]]:
        """Return several forms as they are written."""
        out: list[Form] = []
        for form in forms:
            written = yield self.form(form, scope)
            out.append(written)
        return out

    def body(self, form: Form, scope: Scope) -> Walk[list[Form]]:
        """Return what stands where several forms may."""
        parts = form.value[1:] if _is_call(form, "do") else (form,)
        return (yield self.all(parts, scope))  # type: ignore[no-any-return]

    def application(self, form: Form, scope: Scope) -> Walk[Form]:
        """Write a call; of some functions of the library, as the syntax that means it."""
        head, *operands = form.value
        if head.kind != "symbol" or head.value in scope:
            if head.kind == "list":
                written = yield _for(self, form, scope)
                if written is not None:
                    return written  # type: ignore[no-any-return]
            return form._replace(value=tuple((yield self.all(form.value, scope))))
        rule = _CALLS.get(head.value)
        written = (yield rule(self, form, scope)) if rule is not None else None
        if written is not None:
            return written  # type: ignore[no-any-return]
        parts = yield self.all(operands, scope)
        return form._replace(value=(self.operator(head, scope), *parts))

    def statement(self, form: Form) -> Walk[Form]:
        """Write a top-level form, where the parts of a `do` would be statements themselves."""
        none: Scope = frozenset()
        if _is_call(form, "do"):
            parts = yield self.all(form.value[1:], none)
            return call(form.span, "let*", vector([], form.span), *parts)
        return (yield self.form(form, none))  # type: ignore[no-any-return]


_HEADS = SPECIAL.keys() | DERIVED.keys() | REWRITTEN.keys() | UNSUPPORTED | _CONSTANTS


def exact_form(form: Form) -> Form:
    """Return a core form with all its names exact, for when nothing else will do. Recursion is as deep as the form."""
    if form.kind == "symbol":
        return _exactly(form)
    if form.is_leaf or not form.value:
        return form
    head, *rest = form.value
    if not _is_symbol(head) or head.value not in CORE_FORMS:
        return form._replace(value=tuple([exact_form(item) for item in form.value]))
    if head.value == "quote":
        return form
    if head.value == "catch":
        rest = [rest[0], *[exact_form(item) for item in rest[1:]]]
        return form._replace(value=(head, *rest))
    return form._replace(value=(head, *[_exact_part(item) for item in rest]))


def _exact_part(form: Form) -> Form:
    """Return a part of a core form; & stays as it is among parameters."""
    if form.kind == "list" and form.value and form.value[0].kind == "vector":
        parameters, *body = form.value
        return form._replace(value=(_exact_part(parameters), *[exact_form(item) for item in body]))
    if form.kind == "vector":
        items = [item if _is_name(item, "&") else exact_form(item) for item in form.value]
        return form._replace(value=tuple(items))
    return exact_form(form)


CORE_FORMS = frozenset(
    ["quote", "if", "do", "def", "let*", "loop*", "letfn*", "fn*", "recur", "try", "throw", "catch"]
)


# -- questions about forms --


def is_readable(name: str) -> bool:
    """Return whether a name is read as a symbol, and stands for itself."""
    return (
        _SYMBOL.fullmatch(name) is not None
        and name not in _CONSTANTS
        and name[0] not in "."
        and name[-1] != "."
        and (name in SLASHED or (name[0] != "/" and name[-1] != "/") or name.endswith("//"))
        and not re.fullmatch(r"[+-][0-9].*", name)
    )


def _exactly(form: Form) -> Form:
    return form._replace(value=Exact(form.value))


def _is_symbol(form: Form) -> bool:
    return form.kind == "symbol"


def _is_name(form: Form, name: str) -> bool:
    return form.kind == "symbol" and bool(form.value == name)


def _is_made(form: Form, beginning: str) -> bool:
    return form.kind == "symbol" and bool(re.fullmatch(rf"{re.escape(beginning)}~\d+", form.value))


def _is_call(form: Form, head: str, count: int | None = None) -> bool:
    return (
        form.kind == "list"
        and bool(form.value)
        and _is_name(form.value[0], head)
        and (count is None or len(form.value) == count + 1)
    )


def _is_core(form: Form, name: str, *operands: str | None) -> bool:
    """Return whether a form is the call of a function of the library with such names as operands; None for any form."""
    return _is_call(form, CORE + name, len(operands)) and all(
        operand is None or _is_name(item, operand)
        for operand, item in zip(operands, form.value[1:], strict=True)
    )


def _is_nil(form: Form) -> bool:
    return form.kind == "literal" and form.value is None


def _is_constant(form: Form, value: object) -> bool:
    return form.kind == "literal" and type(form.value) is type(value) and form.value == value


def _pairs(form: Form) -> Pairs:
    return list(zip(form.value[::2], form.value[1::2], strict=True))


def _names(pairs: Pairs) -> Scope:
    return frozenset([name.value for name, _ in pairs])


def _thunk_body(form: Form) -> Form | None:
    """Return the body of `(fn* ([] body))`."""
    if not _is_call(form, "fn*", 1) or form.value[1].kind != "list":
        return None
    parameters, body = form.value[1].value
    return None if parameters.value else body


def _function_of(form: Form) -> tuple[Form, Form] | None:
    """Return parameter and body of `(fn* ([x] body))`."""
    if not _is_call(form, "fn*", 1) or form.value[1].kind != "list":
        return None
    parameters, body = form.value[1].value
    is_plain = len(parameters.value) == 1 and "~" not in parameters.value[0].value
    return (parameters.value[0], body) if is_plain else None


# -- conditionals --


def _if(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    _, test, consequent, alternative = form.value
    asserted = yield _assert(surface, form, scope)
    if asserted is not None:
        return asserted  # type: ignore[no-any-return]
    if _is_call(alternative, "if", 3) and not _is_assertion(alternative):
        return (yield _cond(surface, form, scope))  # type: ignore[no-any-return]
    if _is_nil(alternative):
        parts = yield surface.body(consequent, scope)
        return surface.made(form, "when", (yield surface.form(test, scope)), *parts)
    if _is_nil(consequent):
        parts = yield surface.body(alternative, scope)
        return surface.made(form, "when-not", (yield surface.form(test, scope)), *parts)
    return form._replace(value=(form.value[0], *(yield surface.all(form.value[1:], scope))))


def _cond(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    clauses: list[Form] = []
    rest = form
    while _is_call(rest, "if", 3) and not _is_assertion(rest):
        clauses += rest.value[1:3]
        rest = rest.value[3]
    written = yield surface.all(clauses, scope)
    test = clauses[-2]
    if not _is_nil(rest) or (test.kind == "literal" and test.value not in (None, False)):
        written += [literal(Keyword("else"), rest.span), (yield surface.form(rest, scope))]
    return surface.made(form, "cond", *written)


def _failure(form: Form, kind: str) -> Form | None:
    """Return the message of `(throw (ex-info message {:fault kind}))`."""
    if not _is_call(form, "throw", 1) or not _is_core(form.value[1], "ex-info", None, None):
        return None
    _, message, data = form.value[1].value
    quoted = data.value[1] if _is_call(data, "quote", 1) else data
    is_kind = quoted.kind == "map" and [item.value for item in quoted.value] == [
        Keyword("fault"),
        Keyword(kind),
    ]
    return message if is_kind else None


def _is_assertion(form: Form) -> bool:
    return _is_nil(form.value[2]) and _failure(form.value[3], "assert") is not None


def _assert(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    _, test, _, alternative = form.value
    message = _failure(alternative, "assert") if _is_nil(form.value[2]) else None
    if message is None:
        return None
    written = yield surface.form(test, scope)
    if _is_constant(message, _FAILED + text_of(written)):
        return surface.made(form, "assert", written)
    return None


def _case(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    (name, subject), rest = form.value[1].value, form.value[2]
    if not _is_made(name, "case"):
        return None
    parts = [(yield surface.form(subject, scope))]
    scope = scope | {name.value}
    while _is_call(rest, "if", 3):
        constants = _constants(rest.value[1], name.value)
        if constants is None:
            break
        one = constants[0] if len(constants) == 1 and constants[0].kind != "list" else None
        parts.append(one or Form("list", tuple(constants), rest.span))
        parts.append((yield surface.form(rest.value[2], scope)))
        rest = rest.value[3]
    message = _failure(rest, "case")
    if message is None or not _is_core(message, "str", None, name.value):
        parts.append((yield surface.form(rest, scope)))
    return surface.made(form, "case", *parts)


def _constants(test: Form, name: str) -> list[Form] | None:
    """Return the constants that a test of `case` compares with."""
    found: list[Form] = []
    while True:
        more = _is_call(test, "if", 3) and _is_constant(test.value[2], True)
        one = test.value[1] if more else test
        if not _is_core(one, "=", name, None):
            return None
        constant = one.value[2]
        found.append(constant.value[1] if _is_call(constant, "quote", 1) else constant)
        if constant.kind == "symbol" or (constant.kind == "list" and constant is found[-1]):
            return None
        if not more:
            return found
        test = test.value[3]


def _and_or(word: str, first: int, second: int) -> LetRule:
    """Return the rule of `(let* [and~1 a] (if and~1 b and~1))` and of its counterpart."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        parts: list[Form] = []
        rest = form
        while _is_call(rest, "let*", 2) and len(rest.value[1].value) == 2:
            name, value = rest.value[1].value
            body = rest.value[2]
            if not _is_made(name, word) or not _is_call(body, "if", 3):
                break
            if not _is_name(body.value[1], name.value) or not _is_name(
                body.value[first], name.value
            ):
                break
            parts.append(value)
            rest = body.value[second]
        if not parts:
            return None
        return surface.made(form, word, *(yield surface.all([*parts, rest], scope)))

    return rule


def _if_binding(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write if-let, if-some and their kin."""
    (name, value), choice = form.value[1].value, form.value[2]
    if not _is_made(name, "test") or not _is_call(choice, "if", 3):
        return None
    test, then, otherwise = choice.value[1:]
    some = _is_core(test, "nil?", name.value)
    if some:
        then, otherwise = otherwise, then
    elif not _is_name(test, name.value):
        return None
    inner = _single_let(then, name)
    if inner is None:
        return None
    pattern, body = yield _pattern(surface, inner, scope | {name.value})
    written = yield surface.form(value, scope)
    bindings = vector([pattern, written], form.span)
    inside = scope | _names(_pairs(inner.value[1]))
    kind = "some" if some else "let"
    if _is_nil(otherwise):
        return surface.made(form, f"when-{kind}", bindings, *(yield surface.body(body, inside)))
    parts = [(yield surface.form(body, inside)), (yield surface.form(otherwise, scope))]
    return surface.made(form, f"if-{kind}", bindings, *parts)


def _single_let(form: Form, name: Form) -> Form | None:
    """Return a let whose first value is a made name."""
    if not _is_call(form, "let*", 2) or not form.value[1].value:
        return None
    return form if _is_name(form.value[1].value[1], name.value) else None


def _pattern(surface: Surface, form: Form, scope: Scope) -> Walk[tuple[Form, Form]]:
    """Return the only pattern of a let, and its body. Raises NoPattern."""
    pairs = _pairs(form.value[1])
    patterns = yield _Patterns(surface, pairs, scope | _names(pairs)).all()
    if len(patterns) != 1:
        raise NoPattern
    return patterns[0][0], form.value[2]


def _when_first(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    (name, items), choice = form.value[1].value, form.value[2]
    is_shape = _is_made(name, "seq") and _is_core(items, "seq", None) and _is_call(choice, "if", 3)
    if not is_shape or not _is_name(choice.value[1], name.value) or not _is_nil(choice.value[3]):
        return None
    inner = choice.value[2]
    if not _is_call(inner, "let*", 2) or not _is_core(inner.value[1].value[1], "first", name.value):
        return None
    pattern, body = yield _pattern(surface, inner, scope | {name.value})
    written = yield surface.form(items.value[1], scope)
    inside = scope | _names(_pairs(inner.value[1]))
    parts = yield surface.body(body, inside)
    return surface.made(form, "when-first", vector([pattern, written], form.span), *parts)


# -- bindings --


def _let(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    if len(form.value) == 3 and form.value[1].value:
        for rule in _LETS if len(form.value[1].value) == 2 else _LETS_OF_MANY:
            try:
                written = yield rule(surface, form, scope)
            except NoPattern:
                continue
            if written is not None:
                return written  # type: ignore[no-any-return]
    pairs = _pairs(form.value[1])
    inside = scope | _names(pairs)
    try:
        found = yield _Patterns(surface, pairs, inside).all()
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
    for name, value in _pairs(form.value[1]):
        bindings += (surface.local(name), (yield surface.form(value, scope)))
        scope = scope | {name.value}
    body = yield surface.body(form.value[2], scope)
    return call(form.span, head, vector(bindings, form.span), *body)


class _Patterns:
    """Bindings that came of patterns, as patterns again: a parser of what `yang.destructure` makes."""

    def __init__(self, surface: Surface, pairs: Pairs, scope: Scope) -> None:
        self.surface = surface
        self.pairs = pairs
        self.scope = scope
        self.at = 0

    def all(self) -> Walk[Pairs]:
        """Return patterns and the values they take apart. Raises NoPattern."""
        found: Pairs = []
        while self.at < len(self.pairs):
            value = self.pairs[self.at][1]
            found.append(((yield self.target()), value))
        return found

    def target(self) -> Walk[Form]:
        """Return the pattern that begins here."""
        name = self.pairs[self.at][0]
        self.at += 1
        if _is_made(name, "vector"):
            return (yield self.vector(name))  # type: ignore[no-any-return]
        if _is_made(name, "map"):
            return (yield self.map(name))  # type: ignore[no-any-return]
        if "~" in name.value or not is_readable(name.value) or "/" in name.value:
            raise NoPattern
        return name

    def value(self) -> Form | None:
        """Return the value that is bound next, None at the end."""
        return self.pairs[self.at][1] if self.at < len(self.pairs) else None

    def taken(self) -> Form:
        """Return the next name, and go on after it."""
        self.at += 1
        return self.pairs[self.at - 1][0]

    def binds_call(self, function: str, operand: str) -> bool:
        """Return whether the next value is the call of a library's function with one name."""
        value = self.value()
        return value is not None and _is_core(value, function, operand)

    def next_is(self, test: Callable[[Form], bool]) -> bool:
        """Return whether the next value is such one."""
        value = self.value()
        return value is not None and test(value)

    def vector(self, whole: Form) -> Walk[Form]:
        """Return `[a b & rest :as name]`."""
        items: list[Form] = []
        if self.binds_call("seq", whole.value) and _is_made(self.pairs[self.at][0], "seq"):
            yield self.sequence(items, whole)
        else:
            while self.next_is(lambda value: _is_item(value, whole.value, len(items))):
                items.append((yield self.target()))
        if self.next_is(lambda value: _is_name(value, whole.value)):
            items += (literal(Keyword("as"), whole.span), (yield self.target()))
        return vector(items, whole.span)

    def sequence(self, items: list[Form], whole: Form) -> Walk[None]:
        """Add the items of a pattern with a rest."""
        left = self.taken().value
        while self.binds_call("first", left):
            items.append((yield self.target()))
            if not self.binds_call("next", left):
                raise NoPattern
            left = self.taken().value
        value = self.value()
        if value is None or not _is_name(value, left):
            raise NoPattern
        items += (symbol("&", whole.span), (yield self.target()))

    def map(self, given: Form) -> Walk[Form]:
        """Return `{:keys [a] b :c :or {a 1} :as name}`."""
        if not self.next_is(lambda value: _is_as_map(value, given.value)):
            raise NoPattern
        whole = self.pairs[self.at][0]
        self.at += 1
        span = whole.span
        entries: list[Form] = []
        defaults: list[Form] = []
        keys: list[Form] = []
        named: Form | None = None
        if self.next_is(lambda value: _is_name(value, whole.value)):
            named = yield self.target()
        while self.next_is(lambda value: _is_get(value, whole.value)):
            value = self.value()
            assert value is not None
            name, key, rest = self.pairs[self.at][0], value.value[2], value.value[3:]
            target = yield self.target()
            if rest:
                if target.kind != "symbol":
                    raise NoPattern
                defaults += (name, (yield self.surface.form(rest[0], self.scope)))
            is_key = target.kind == "symbol" and _is_constant(key, Keyword(name.value))
            if is_key and len(entries) <= 2 and (not entries or keys):
                keys.append(name)
                entries = [literal(Keyword("keys"), span), vector(keys, span)]
            else:
                entries += (target, (yield self.surface.form(key, self.scope)))
        if defaults:
            entries += (literal(Keyword("or"), span), Form("map", tuple(defaults), span))
        if named is not None:
            entries += (literal(Keyword("as"), span), named)
        return Form("map", tuple(entries), span)


def _is_item(value: Form, whole: str, index: int) -> bool:
    return (
        _is_core(value, "nth", whole, None, None)
        and _is_constant(value.value[2], index)
        and _is_nil(value.value[3])
    )


def _is_get(value: Form, whole: str) -> bool:
    return _is_core(value, "get", whole, None) or _is_core(value, "get", whole, None, None)


def _is_as_map(value: Form, given: str) -> bool:
    return _is_call(value, "if", 3) and _is_core(value.value[1], "seq?", given)


def _loop(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    for rule in (_while, _doseq):
        try:
            written = yield rule(surface, form, scope)
        except NoPattern:
            continue
        if written is not None:
            return written  # type: ignore[no-any-return]
    head = "loop*" if any("~" in name.value for name, _ in _pairs(form.value[1])) else "loop"
    written = yield _plain_let(surface, form, scope, head)
    if head == "loop":
        return written._replace(value=(surface.head("loop", form), *written.value[1:]))  # type: ignore[no-any-return]
    return written  # type: ignore[no-any-return]


def _pattern_loop(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write a loop whose names are taken apart in each round."""
    looped = form.value[2]
    if not _is_call(looped, "loop*", 2) or not _is_call(looped.value[2], "let*", 2):
        return None
    rounds, inner = _pairs(looped.value[1]), looped.value[2]
    if not any(_is_made(name, "loop") for name, _ in rounds):
        return None
    starts = {name.value: value for name, value in reversed(_pairs(form.value[1]))}
    inside = scope | _names(_pairs(form.value[1])) | _names(_pairs(inner.value[1]))
    found = yield _Patterns(surface, _pairs(inner.value[1]), inside).all()
    patterns = {value.value: pattern for pattern, value in found if value.kind == "symbol"}
    bindings: list[Form] = []
    for name, again in rounds:
        if not _is_name(again, name.value) or name.value not in starts:
            return None
        start = yield surface.form(starts[name.value], inside)
        bindings += (patterns.get(name.value, name), start)
    body = yield surface.body(inner.value[2], inside)
    return surface.made(form, "loop", vector(bindings, form.span), *body)


def _control(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    (tag, value), taken = form.value[1].value, form.value[2]
    if not _is_made(tag, "tag") or not _is_core(taken, "control*", tag.value, None):
        return None
    found = _function_of(taken.value[2])
    if found is None or not _is_core(found[1], "prompt*", tag.value, None):
        return None
    name, body = found[0], _thunk_body(found[1].value[2])
    if body is None:
        return None
    written = yield surface.form(value, scope)
    parts = yield surface.body(body, scope | {name.value})
    return surface.made(form, "control", written, name, *parts)


def _while(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    choice = form.value[2]
    if form.value[1].value or not _is_call(choice, "if", 3) or not _is_nil(choice.value[3]):
        return None
    body = choice.value[2]
    parts = body.value[1:] if _is_call(body, "do") else (body,)
    if not _is_call(parts[-1], "recur", 0):
        return None
    test = yield surface.form(choice.value[1], scope)
    return surface.made(form, "while", test, *(yield surface.all(parts[:-1], scope)))


def _dotimes(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    (bound, count), looped = form.value[1].value, form.value[2]
    if not _is_made(bound, "count") or not _is_core(count, "long", None):
        return None
    if not _is_call(looped, "loop*", 2) or len(looped.value[1].value) != 2:
        return None
    (name, start), choice = looped.value[1].value, looped.value[2]
    if not _is_constant(start, 0) or not _is_call(choice, "if", 3):
        return None
    if not _is_core(choice.value[1], "<", name.value, bound.value):
        return None
    body = choice.value[2]
    parts = body.value[1:] if _is_call(body, "do") else (body,)
    again = parts[-1]
    if not _is_call(again, "recur", 1) or not _is_core(again.value[1], "inc", name.value):
        return None
    written = yield surface.form(count.value[1], scope)
    bindings = vector([surface.local(name), written], form.span)
    inside = yield surface.all(parts[:-1], scope | {name.value})
    return surface.made(form, "dotimes", bindings, *inside)


def _doseq(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    bindings: list[Form] = []
    whole = form
    while True:
        step = yield _doseq_level(surface, form, scope, bindings)
        if step is None:
            return None
        body, scope = step
        if _is_call(body, "loop*", 2) and _is_seq_loop(body):
            form = body
            continue
        parts = body.value[1:-1] if _is_call(body, "do") else ()
        if _is_call(body, "do") and not _is_nil(body.value[-1]):
            return None
        written = yield surface.all(parts, scope)
        return surface.made(whole, "doseq", vector(bindings, whole.span), *written)


def _is_seq_loop(form: Form) -> bool:
    pairs = _pairs(form.value[1])
    return len(pairs) == 1 and _is_made(pairs[0][0], "seq") and _is_core(pairs[0][1], "seq", None)


def _doseq_level(
    surface: Surface, form: Form, scope: Scope, bindings: list[Form]
) -> Walk[tuple[Form, Scope] | None]:
    """Add one collection with its modifiers; return what is inside."""
    if not _is_seq_loop(form):
        return None
    left, items = form.value[1].value
    choice = form.value[2]
    if not _is_call(choice, "if", 3) or not _is_name(choice.value[1], left.value):
        return None
    found = yield _item(surface, choice.value[2], left, scope)
    if found is None:
        return None
    pattern, step, inside = found
    bindings += (pattern, (yield surface.form(items.value[1], scope)))

    def is_again(form: Form) -> bool:
        return _is_call(form, "recur", 1) and _is_core(form.value[1], "next", left.value)

    step, inside = yield _modifiers(surface, step, inside, bindings, is_again)
    if not _is_call(step, "do", 2) or not is_again(step.value[2]):
        return None
    return step.value[1], inside


def _item(
    surface: Surface, form: Form, left: Form, scope: Scope
) -> Walk[tuple[Form, Form, Scope] | None]:
    """Return the pattern of `(let* [pattern (first left)] step)`, the step, and its scope."""
    if not _is_call(form, "let*", 2) or not form.value[1].value:
        return None
    pairs = _pairs(form.value[1])
    if not _is_core(pairs[0][1], "first", left.value):
        return None
    pattern, step = yield _pattern(surface, form, scope | {left.value})
    return pattern, step, scope | _names(pairs) | {left.value}


def _modifiers(
    surface: Surface,
    step: Form,
    scope: Scope,
    bindings: list[Form],
    is_again: Callable[[Form], bool],
) -> Walk[tuple[Form, Scope]]:
    """Add the modifiers :let, :when and :while around a step; return what is inside, and its scope."""
    while True:
        if _is_call(step, "if", 3) and (is_again(step.value[3]) or _is_nil(step.value[3])):
            word = "when" if is_again(step.value[3]) else "while"
            test = yield surface.form(step.value[1], scope)
            bindings += (literal(Keyword(word), step.span), test)
            step = step.value[2]
        elif _is_call(step, "let*", 2) and not _is_made(step.value[1].value[0], "results"):
            pairs = _pairs(step.value[1])
            scope = scope | _names(pairs)
            found = yield _Patterns(surface, pairs, scope).all()
            written: list[Form] = []
            for pattern, value in found:
                written += (pattern, (yield surface.form(value, scope)))
            bindings += (literal(Keyword("let"), step.span), vector(written, step.span))
            step = step.value[2]
        else:
            return step, scope


def _for(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    bindings: list[Form] = []
    whole = form
    try:
        while True:
            found = yield _for_level(surface, form, scope, bindings)
            if found is None:
                return None
            step, scope, rest = found
            if _is_call(step, "let*", 2):
                form = step.value[1].value[1].value[1]
                if form.kind != "list":
                    return None
                continue
            if not _is_core(step, "cons", None, None) or not rest(step.value[2]):
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
    if not _is_made(left, "left") or not _is_core(source, "seq", None):
        return None
    if not _is_call(choice, "if", 3) or not _is_name(choice.value[1], left.value):
        return None
    found = yield _item(surface, choice.value[2], left, scope)
    if found is None:
        return None
    pattern, inner, inside = found
    bindings += (pattern, (yield surface.form(form.value[1], scope)))

    def is_again(form: Form) -> bool:
        return _is_call(form, "recur", 1) and _is_core(form.value[1], "rest", left.value)

    def is_rest(form: Form) -> bool:
        return _is_call(form, iterate, 1) and _is_core(form.value[1], "rest", left.value)

    inner, inside = yield _modifiers(surface, inner, inside, bindings, is_again)
    if _is_call(inner, "let*", 2) and not _is_core(inner.value[1].value[1], "seq", None):
        return None
    return inner, inside, is_rest


def _for_loop(form: Form) -> tuple[str, Form] | None:
    """Return the function's name and the let inside of `((fn* for ([given] (lazy-seq (loop* ...)))) items)`."""
    if form.kind != "list" or len(form.value) != 2 or not _is_call(form.value[0], "fn*", 2):
        return None
    name, arity = form.value[0].value[1:]
    if not _is_made(name, "for") or not _is_core(arity.value[1], "lazy-seq*", None):
        return None
    looped = _thunk_body(arity.value[1].value[1])
    if looped is None or not _is_call(looped, "loop*", 2) or not _is_call(looped.value[2], "let*"):
        return None
    return name.value, looped.value[2]


def _threaded(
    word: str, unwrapped: Callable[[Form, str], tuple[Form | None, Form] | None]
) -> LetRule:
    """Return the rule of cond-> or some->: each value is made of the one before."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        (name, value), *rest = _pairs(form.value[1])
        last = rest[-1][0] if rest else name
        if not _is_made(name, "value") or not rest or not _is_name(form.value[2], last.value):
            return None
        steps: list[tuple[Form | None, Form]] = []
        for following, made in rest:
            step = unwrapped(made, name.value)
            if step is None or not _is_made(following, "value"):
                return None
            steps.append(step)
            name = following
        names = [_pairs(form.value[1])[0][0], *[following for following, _ in rest]]
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
    return {place for place, item in places.items() if _is_name(item, name)}


def _is_special(form: Form) -> bool:
    return form.kind == "symbol" and (form.value in _RULES or form.value in _CALLS)


def _cond_step(form: Form, name: str) -> tuple[Form | None, Form] | None:
    is_step = _is_call(form, "if", 3) and _is_name(form.value[3], name)
    return (form.value[1], form.value[2]) if is_step else None


def _some_step(form: Form, name: str) -> tuple[Form | None, Form] | None:
    is_step = (
        _is_call(form, "if", 3) and _is_core(form.value[1], "nil?", name) and _is_nil(form.value[2])
    )
    return (None, form.value[3]) if is_step else None


def _doto(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    (name, value), body = form.value[1].value, form.value[2]
    if not _is_made(name, "value") or not _is_call(body, "do"):
        return None
    *steps, last = body.value[1:]
    if not _is_name(last, name.value):
        return None
    if not all("first" in _place_of(step, name.value) for step in steps):
        return None
    parts = [(yield surface.form(value, scope))]
    for step in steps:
        items = (step.value[0], *step.value[2:])
        parts.append((yield surface.application(step._replace(value=items), scope)))
    return surface.made(form, "doto", *parts)


def _binding(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write nested calls that bind dynamic variables."""
    pairs = _pairs(form.value[1])
    inner = form.value[2]
    written: list[Form] = []
    for name, value in pairs:
        if not _is_made(name, "bound") or not _is_core(inner, "impl/bind", None, name.value, None):
            return None
        cell, body = inner.value[1], _thunk_body(inner.value[3])
        if body is None or cell.kind != "symbol" or cell.value in scope:
            return None
        written += (cell, (yield surface.form(value, scope)))
        inner = body
    parts = yield surface.body(inner, scope | _names(pairs))
    return surface.made(form, "binding", vector(written, form.span), *parts)


def _letfn(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    pairs = _pairs(form.value[1])
    scope = scope | _names(pairs)
    functions: list[Form] = []
    for name, function in pairs:
        written = yield _function(surface, function, scope)
        own = function.value[1].kind == "symbol"
        if not own or not _is_name(function.value[1], name.value):
            return (yield _plain_letfn(surface, form, scope))  # type: ignore[no-any-return]
        functions.append(written._replace(value=written.value[1:]))
    body = yield surface.body(form.value[2], scope)
    if any("~" in name.value for name, _ in pairs):
        return (yield _plain_letfn(surface, form, scope))  # type: ignore[no-any-return]
    return surface.made(form, "letfn", vector(functions, form.span), *body)


def _plain_letfn(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    bindings: list[Form] = []
    for name, function in _pairs(form.value[1]):
        bindings += (surface.local(name), (yield _function(surface, function, scope)))
    body = yield surface.body(form.value[2], scope)
    return call(form.span, "letfn*", vector(bindings, form.span), *body)


# -- functions and definitions --


def _fn(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    short = yield _short_function(surface, form, scope)
    if short is not None:
        return short  # type: ignore[no-any-return]
    return (yield _function(surface, form, scope))  # type: ignore[no-any-return]


def _function(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
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
    conditions = any(_is_constant(key, Keyword(name)) for key in keys for name in ("pre", "post"))
    return not conditions


def _arity(surface: Surface, arity: Form, scope: Scope) -> Walk[Form]:
    parameters, body = arity.value
    inside = scope | frozenset([item.value for item in parameters.value])
    names = _unrepeated(parameters.value)
    taken = [item.value for item in parameters.value if _is_made(item, "parameter")]
    if taken and _is_call(body, "let*", 2):
        pairs = _pairs(body.value[1])
        within = inside | _names(pairs)
        try:
            found = yield _Patterns(surface, pairs, within).all()
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
        if made and before in later and _is_made(item, before):
            item = item._replace(value=before)
        later.add(item.value)
        out.append(item)
    return out[::-1]


def _short_function(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    """Write `#(body)`, when its parameters are called as those are."""
    if surface._in_function or len(form.value) != 2 or form.value[1].kind != "list":
        return None
    parameters, body = form.value[1].value
    names = [item.value for item in parameters.value]
    if not names and not _is_call(body, "quote"):
        return None
    if not names or not all(name[0] == "%" or name == "&" for name in names):
        return None
    short = _is_call(body, "let*", 2) and [
        item.value for item in body.value[1].value if item.kind == "symbol"
    ] == ["%", "%1"]
    inside = scope | set(names) | {"%"}
    surface._in_function = True
    written = yield surface.form(body.value[2] if short else body, inside)
    surface._in_function = False
    if written.kind != "list" or not written.value or not _keeps_list(written):
        return None
    highest, rest, uses_short = argument_names(written.value)
    expected = [f"%{number}" for number in range(1, highest + 1)] + (["&", "%&"] if rest else [])
    if expected != names or uses_short != short:
        return None
    return Form("function", written.value, form.span)


def _keeps_list(form: Form) -> bool:
    """Return whether a list is written with its brackets."""
    return not any(_is_call(form, head) for head in _PREFIXED)


_PREFIXED = ("quote", "clojure.core/deref", "clojure.core/re-pattern", "var")


def _def(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    name, init = form.value[1:]
    written = _definition_name(surface, name)
    if isinstance(written.value, Exact):
        return call(form.span, "def", written, (yield surface.form(init, scope)))
    if name.value in surface.program.dynamic and _is_core(init, "impl/dynamic", None):
        flag = (literal(Keyword("dynamic"), name.span), literal(True, name.span))
        value = yield surface.form(init.value[1], scope)
        return call(form.span, "def", written._replace(meta=(flag,)), value)
    if _is_call(init, "fn*") and init.value[1].kind == "list":
        function = yield _function(surface, init, scope)
        if not _is_call(function, "fn*"):
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
            return _exactly(name)
    is_plain = (
        is_readable(plain) and plain not in SPECIAL and ("/" not in plain or plain in SLASHED)
    )
    return name._replace(value=plain) if is_plain else _exactly(name)


# -- calls of the library --


def _finally(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    if len(form.value) != 3:
        return None
    attempt, last = (_thunk_body(item) for item in form.value[1:])
    if attempt is None or last is None or not _is_call(attempt, "try"):
        return None
    last = last.value[1] if _is_call(last, "try", 1) else last
    whole = yield surface.form(attempt, scope)
    parts = yield surface.body(last, scope)
    return whole._replace(value=(*whole.value, call(form.span, "finally", *parts)))  # type: ignore[no-any-return]


def _try(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    _, body, *catches = form.value
    parts = yield surface.body(body, scope)
    for one in catches:
        _, class_, name, inner = one.value
        inside = yield surface.body(inner, scope | {name.value})
        parts.append(call(one.span, "catch", class_, surface.local(name), *inside))
    return call(form.span, "try", *parts)


def _thunk_call(word: str) -> CallRule:
    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        body = _thunk_body(form.value[1]) if len(form.value) == 2 else None
        if body is None:
            return None
        return surface.made(form, word, *(yield surface.body(body, scope)))

    return rule


def _prompt(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    body = _thunk_body(form.value[2]) if len(form.value) == 3 else None
    if body is None:
        return None
    parts = yield surface.body(body, scope)
    if _is_constant(form.value[1], _RESET):
        return surface.made(form, "reset", *parts)
    return surface.made(form, "prompt", (yield surface.form(form.value[1], scope)), *parts)


def _capturing(word: str) -> CallRule:
    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        found = _function_of(form.value[2]) if len(form.value) == 3 else None
        if found is None or form.value[1].kind != "literal":
            return None
        name, body = found
        parts = yield surface.body(body, scope | {name.value})
        if word == "shift-at" and _is_constant(form.value[1], _RESET):
            return surface.made(form, "shift", name, *parts)
        return surface.made(form, word, form.value[1], name, *parts)

    return rule


def _logic(word: str) -> CallRule:
    """Return the rule of goals that hold for some values of new variables."""

    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        function = form.value[2] if len(form.value) == 3 else form
        if not _is_call(function, "fn*", 1) or not function.value[1].value:
            return None
        names, body = function.value[1].value
        is_plain = _is_constant(form.value[1], len(names.value)) and _is_call(body, CORE + "all")
        if not is_plain or any("~" in name.value or name.value == "&" for name in names.value):
            return None
        goals = yield surface.all(body.value[1:], scope | {name.value for name in names.value})
        return surface.made(form, word, names, *goals)

    return rule


def _prefix(reader_name: str) -> CallRule:
    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        if len(form.value) != 2:
            return None
        (operand,) = yield surface.all(form.value[1:], scope)
        return call(form.span, reader_name, operand)

    return rule


def _pattern_literal(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    text = form.value[1] if len(form.value) == 2 else form
    if text.kind != "literal" or not isinstance(text.value, str):
        return None
    return call(form.span, "clojure.core/re-pattern", text)
    yield


def _collection(kind: str) -> CallRule:
    def rule(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
        operands = form.value[1:]
        keys = operands[::2] if kind == "map" else operands
        if kind != "vector" and (
            len(operands) % len((1, 2)[: 1 + (kind == "map")]) or not _are_distinct(keys)
        ):
            return None
        if all(_is_data(operand) for operand in operands):
            return None  # would be a constant
        parts = yield surface.all(operands, scope)
        return Form(kind, tuple(parts), form.span)  # type: ignore[arg-type]

    return rule


def _are_distinct(keys: Sequence[Form]) -> bool:
    constants = [text_of(key) for key in keys if key.kind in ("literal", "symbol")]
    return len(set(constants)) == len(constants)


def _is_data(form: Form) -> bool:
    return form.kind == "literal" or _is_call(form, "quote")


def _dynamic_value(surface: Surface, form: Form, scope: Scope) -> Walk[Form | None]:
    (name,) = form.value[1:]
    is_known = name.kind == "symbol" and name.value in surface.program.dynamic
    if not is_known or name.value in scope or not is_readable(name.value):
        return None
    known = surface.program._replace(dynamic=frozenset())
    return Surface(known, surface.namespace).name(name, scope)
    yield


def _quote(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    quoted = form.value[1]
    return quoted if _evaluates_to_itself(quoted) else form
    yield


def _evaluates_to_itself(form: Form) -> bool:
    """Return whether data means itself without a quote. Depth is bounded by what the reader took."""
    if form.kind == "list":
        return not form.value
    if form.kind == "symbol":
        return False
    return form.is_leaf or all(_evaluates_to_itself(item) for item in form.value)


def _parts(surface: Surface, form: Form, scope: Scope) -> Walk[Form]:
    return form._replace(value=(form.value[0], *(yield surface.all(form.value[1:], scope))))


Rule: TypeAlias = Callable[[Surface, Form, Scope], Walk[Form]]
LetRule: TypeAlias = Callable[[Surface, Form, Scope], Walk["Form | None"]]
CallRule: TypeAlias = LetRule

_RULES: dict[str, Rule] = {
    "quote": _quote,
    "if": _if,
    "do": _parts,
    "recur": _parts,
    "throw": _parts,
    "def": _def,
    "let*": _let,
    "loop*": _loop,
    "letfn*": _letfn,
    "fn*": _fn,
    "try": _try,
}

_THREADS = (_threaded("cond", _cond_step), _threaded("some", _some_step))
# By number of bindings: one, or several.
_LETS: tuple[LetRule, ...] = (
    _and_or("and", 3, 2),
    _and_or("or", 2, 3),
    _if_binding,
    _when_first,
    _case,
    _dotimes,
    _doto,
    _binding,
    _control,
    _pattern_loop,
)
_LETS_OF_MANY: tuple[LetRule, ...] = (*_THREADS, _binding, _pattern_loop)

_CALLS: dict[str, CallRule] = {
    "yin.core/finally*": _finally,
    "yin.core/lazy-seq*": _thunk_call("lazy-seq"),
    "yin.core/with-out-str*": _thunk_call("with-out-str"),
    "yin.core/spawn": _thunk_call("async"),
    "yin.core/prompt*": _prompt,
    "yin.core/shift*": _capturing("shift-at"),
    "yin.core/control*": _capturing("control0"),
    "yin.core/impl/fresh": _logic("fresh"),
    "yin.core/impl/run": _logic("run*"),
    "yin.core/deref": _prefix("clojure.core/deref"),
    "yin.core/re-pattern": _pattern_literal,
    "yin.core/vector": _collection("vector"),
    "yin.core/hash-map": _collection("map"),
    "yin.core/hash-set": _collection("set"),
    "yin.core/dynamic-value": _dynamic_value,
}
