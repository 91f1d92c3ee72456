"""The walk from core forms to what people write, and how names are written.

Is:     one `Surface` for one statement in its namespace; the tables of rules, which `yang.surface.rules` fills.
Is not: the rules.
Fits:   rules are given the `Surface` and walk on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from yang.definitions import PATTERN, REWRITTEN
from yang.derived import DERIVED
from yang.expand import UNSUPPORTED
from yang.forms import Form, call, symbol, vector
from yang.namespaces import CORE, SLASHED
from yang.special import SPECIAL
from yang.surface.questions import CONSTANTS, Scope, exactly, is_call, is_readable
from yang.walk import Walk

# Calls that are ordinary ones in a program where nothing is watched and nobody waits.
_PLAIN_CALLS = frozenset(
    [
        "deref",
        "re-pattern",
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
    patterns: Mapping[str, Form] = {}  # the texts of patterns by the names of their definitions


class Surface:
    """The writing of one statement in its namespace."""

    def __init__(self, program: Program, namespace: str) -> None:
        self.program = program
        self.namespace = namespace
        self.keeps_calls = False  # of macros, where the text has their definitions
        self.in_function = False  # inside of #( ), which stands in no other

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
        return form if is_plain else exactly(form)

    def name(self, form: Form, scope: Scope) -> Form:
        """Return a symbol so that it means the same name again."""
        name: str = form.value
        if name in scope:
            return self.local(form)
        known = self.program
        if name in known.patterns:
            return call(form.span, PATTERN, known.patterns[name])
        if not is_readable(name) or name in known.dynamic:
            return exactly(form)
        if known.is_core:
            return form
        before, slash, local = ("", "", name) if name in SLASHED else name.rpartition("/")
        if not slash:
            if self.namespace != known.home:
                is_own = name in known.defined
                return form._replace(value=f"{known.home}/{name}") if is_own else exactly(form)
            is_syntax = name in SPECIAL or name in DERIVED or name in UNSUPPORTED
            return exactly(form) if is_syntax and name not in known.defined else form
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
        return written if is_plain else exactly(form)

    # -- the walk --

    def form(self, form: Form, scope: Scope) -> Walk[Form]:
        """Return a core form as it is written."""
        if form.origin and self.keeps_calls:
            return form.origin[0].form
        if form.kind == "symbol":
            return self.name(form, scope)
        if form.kind != "list" or not form.value:
            return form
        head = form.value[0]
        rule = RULES.get(head.value) if head.kind == "symbol" else None
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
        parts = form.value[1:] if is_call(form, "do") else (form,)
        return (yield self.all(parts, scope))  # type: ignore[no-any-return]

    def application(self, form: Form, scope: Scope) -> Walk[Form]:
        """Write a call; of some functions of the library, as the syntax that means it."""
        head, *operands = form.value
        if head.kind != "symbol" or head.value in scope:
            if head.kind == "list":
                for applied in APPLIED:
                    written = yield applied(self, form, scope)
                    if written is not None:
                        return written  # type: ignore[no-any-return]
            return form._replace(value=tuple((yield self.all(form.value, scope))))
        rule = CALLS.get(head.value)
        written = (yield rule(self, form, scope)) if rule is not None else None
        if written is not None:
            return written  # type: ignore[no-any-return]
        parts = yield self.all(operands, scope)
        return form._replace(value=(self.operator(head, scope), *parts))

    def statement(self, form: Form) -> Walk[Form]:
        """Write a top-level form, where the parts of a `do` would be statements themselves."""
        none: Scope = frozenset()
        if is_call(form, "do"):
            parts = yield self.all(form.value[1:], none)
            return call(form.span, "let*", vector([], form.span), *parts)
        return (yield self.form(form, none))  # type: ignore[no-any-return]


_HEADS = SPECIAL.keys() | DERIVED.keys() | REWRITTEN.keys() | UNSUPPORTED | CONSTANTS


Rule: TypeAlias = Callable[[Surface, Form, Scope], Walk[Form]]


LetRule: TypeAlias = Callable[[Surface, Form, Scope], Walk["Form | None"]]


CallRule: TypeAlias = LetRule

RULES: dict[str, Rule] = {}  # by head of the core form; filled by `yang.surface.rules`
CALLS: dict[str, CallRule] = {}  # by name of the library's function
APPLIED: list[CallRule] = []  # calls of functions that are written where they are called
