"""A session: code that is compiled entry by entry, each against the definitions before it.

Is:     the compiler's side of a read-eval-print loop: what names mean now, and one program for each form.
Is not: a machine: whoever keeps one enters each unit in turn (`yind.cesk.Machine.enter`), here or on another node.
Fits:   `cli.repl` reads people's entries with it; a node needs nothing of it, for a unit is a program like any other.

A unit is a program that can be compiled without the units before it. It says at its beginning which names it shares
with them, in definitions that are never reached:

    (if false (do (def f nil) (def x nil) '{...}))

Names with two definitions are globals, looked up when they are read, so a definition that comes later is seen by all
code before it; the map says of names what code does not (`yang.environment`), so that a session can be taken up again.
Macros run while a unit is compiled and see the definitions of units before it, not their values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from yang import about
from yang.about import About
from yang.compile import compile_forms
from yang.derived import DERIVED, Derived
from yang.environment import (
    FEATURES,
    adopt,
    declarations,
    definitions_in,
    divided,
    head_of,
    record_of,
)
from yang.errors import Source
from yang.expand import ALIASES, Expander, Known
from yang.forms import Form, call, literal, symbol, vector
from yang.host import ALONE, Host
from yang.lower import lower
from yang.macros import names_in
from yang.namespaces import SLASHED
from yang.nodes import Tree
from yang.program import Program, tree_of
from yang.raised import core_forms
from yang.reader.clojure import read_source
from yang.segment import Segment, Span
from yang.special import SPECIAL

LAST_ERROR = "*e"  # the global that the machine sets; see Machine.enter
LENGTH, LEVEL = "*print-length*", "*print-level*"
BEGINNING = f"""\
(def *1 nil) (def *2 nil) (def *3 nil) (def {LAST_ERROR} nil)
(def ^:dynamic {LENGTH} 100)
(def ^:dynamic {LEVEL} 12)"""
OWN_NAMES = frozenset({"*1", "*2", "*3", LAST_ERROR, LENGTH, LEVEL})
_SILENT = frozenset({"ns", "in-ns", "require", "use", "refer", "alias", "comment"})
_GROUP_MAX = 500  # forms of a unit

Read = Callable[[str], str]


class Unit(NamedTuple):
    """One form of an entry, compiled. Its value is the text to show, or nil where `shown` says it."""

    program: Program
    segment: Segment
    shown: str | None  # what to show instead of a value; empty for nothing at all
    source: Source


class Session:
    """The definitions of a session so far."""

    def __init__(self, host: Host = ALONE, read: Read | None = None) -> None:
        """Begin.

        Args:
            host: as of any compilation.
            read: the text of a file for `load-file`. Raises OSError or ValueError.
        """
        self._read = read
        more: dict[str, Derived] = {
            "doc": self._doc,
            "source": self._source,
            "apropos": self._apropos,
            "dir": self._dir,
            "load-file": self._load_file,
            "set!": self._set,
        }
        source = Source("session", "")
        known = Known(features=FEATURES)
        self._expander = Expander(source, core=False, known=known, host=host, more=more)
        self._expander.globals.close_home()
        self._known = known
        self._defined: set[str] = set()  # what units define, also what no source text can name
        self._expander.globals.everywhere = OWN_NAMES
        (self.first,) = self._compiled(Source("session", BEGINNING))

    @property
    def namespace(self) -> str:
        """Return the name of the current namespace."""
        return self._expander.namespace

    # -- compiling --

    def units(self, source: Source, *, shows: bool = True, grouped: bool = False) -> Iterator[Unit]:
        """Yield the units of an entry; each is compiled when those before it have been taken.

        Args:
            source: what was entered.
            shows: the value of a unit is the text to show for it; else it is the value itself, which is not kept.
            grouped: definitions are in one unit with what follows them, as in a file; else each form is one.

        Raises:
            SourceError, SourceErrors: nothing of the form where the error is has become part of the session.
        """
        forms = read_source(source)
        for group in _groups(forms) if grouped else [(form,) for form in forms]:
            yield self._unit(source, group, shows=shows)

    def _compiled(self, source: Source) -> list[Unit]:
        return [self._unit(source, read_source(source), shows=False)]

    def _unit(self, source: Source, forms: tuple[Form, ...], *, shows: bool) -> Unit:
        expander, known, statements = self._expanded(source, forms)
        span = forms[-1].span
        shown = _shown(forms[-1], statements[-1], expander)
        if shown is not None:
            statements.append(literal(None, span))
        elif shows:
            statements[-1] = _remembered(statements[-1], span)
        hidden = [form for name, form in expander.prelude.items() if name not in self._defined]
        whole = [*hidden, *statements]
        defined = self._defined | definitions_in(whole)
        shared = names_in(whole) & (defined | expander.globals.table.keys())
        before = self._expander if self._defined else None
        record = record_of(before, expander, texts=True)
        first = declarations(shared, record, span)
        compiled = compile_forms([first, *whole], self._with_words(expander))
        self._expander, self._known, self._defined = expander, known, defined
        return Unit(compiled.program, compiled.segment, shown, expander.source)

    def _with_words(self, expander: Expander) -> Source:
        """Return the source with all names that a misspelt one may have meant."""
        source = expander.source_with_words()
        words = {name for name in expander.globals.table if "~" not in name}
        return replace(source, words=source.words | words)

    def _expanded(
        self, source: Source, forms: tuple[Form, ...]
    ) -> tuple[Expander, Known, list[Form]]:
        """Return core forms, and the expander that knows what they define."""
        known = self._known
        while True:
            expander = self._expander.branch(source, known)
            statements = expander.expanded(forms)
            found = expander.found_out()
            if found == known:
                return expander, known, statements or [literal(None, forms[-1].span)]
            known = found

    def adopt(self, program: Program) -> None:
        """Take over what a unit of an earlier session, or one that `eval` made, defined.

        Raises:
            ProgramInvalid: it is no program.
        """
        whole = core_forms(tree_of(program))
        record, forms = divided(whole)
        self._defined |= definitions_in(whole)
        if record is not None:
            adopt(self._expander, record, forms, texts=True)

    # -- looking at code without entering it --

    def core_forms(self, source: Source) -> list[Form]:
        """Return the core forms of a text. Raises SourceError or SourceErrors; the session stays as it is."""
        forms = read_source(source)
        return self._expanded(source, forms)[2] if forms else []

    def tree(self, source: Source) -> Tree:
        """Return the AST of a text, as `core_forms` does."""
        return lower(self.core_forms(source), source)

    def segment(self, source: Source) -> Segment:
        """Return the code of a text, as `core_forms` does."""
        forms = self.core_forms(source)
        shared = names_in(forms) & (self._defined | definitions_in(forms))
        return compile_forms([declarations(shared, None, Span(1, 1, 1, 1)), *forms], source).segment

    # -- what people ask --

    def about(self, name: str) -> About | None:
        """Return what is known of a name as it is written here, None if nothing is."""
        expander = self._expander
        own = expander.globals.find(name)
        if own is not None and own in expander.written:
            return about.about_form(expander.var_name(own), *expander.written[own])
        before, slash, local = name.partition("/")
        if not slash or name in SLASHED:
            return about.library().get(about.full_name(name, None))
        return about.library().get(about.full_name(local, expander.library_of(before) or before))

    def namespaces(self) -> dict[str, list[str]]:
        """Return the names that each namespace shows, the library's included."""
        found = about.namespaces()
        own = self._expander.globals
        for namespace in own.namespaces:
            found[namespace] = sorted(own.publics(namespace).keys() - OWN_NAMES)
        return found

    def aliases(self) -> dict[str, str]:
        """Return the namespaces that short names stand for here."""
        return {**ALIASES, **self._expander.globals.current.aliases}

    def names(self) -> set[str]:
        """Return every name that can be written here without a namespace."""
        own = self._expander.globals
        here = own.publics(self.namespace).keys() | own.current.referred.keys() | OWN_NAMES
        private = {
            name.removeprefix(f"{self.namespace}/")
            for name, known in own.table.items()
            if known.namespace == self.namespace
        }
        known = {*SPECIAL, *self._expander.syntax, *self._expander.core_names}
        names = {name for name in known if "/" not in name or name in SLASHED}
        return {name for name in names | here | private if "~" not in name}

    # -- the forms that only sessions have --

    def _doc(self, expander: Expander, form: Form) -> Form:
        (name,) = expander.count(form, 1, 1, "(doc name)")
        found = self.about(_name(expander, name))
        return _printed("" if found is None else found.text(), form.span)

    def _source(self, expander: Expander, form: Form) -> Form:
        (name,) = expander.count(form, 1, 1, "(source name)")
        found = self.about(_name(expander, name))
        return _printed((found and found.source) or "Source not found", form.span)

    def _apropos(self, expander: Expander, form: Form) -> Form:
        (asked,) = expander.count(form, 1, 1, '(apropos "part of a name")')
        part = asked.value
        if not isinstance(part, str):
            raise expander.error("apropos takes a string", asked.span)
        found = sorted(
            f"{namespace}/{name}"
            for namespace, names in self.namespaces().items()
            for name in names
            if part in name
        )
        return call(
            form.span, "quote", vector([symbol(name, form.span) for name in found], form.span)
        )

    def _dir(self, expander: Expander, form: Form) -> Form:
        (asked,) = expander.count(form, 1, 1, "(dir namespace)")
        name = _name(expander, asked)
        namespace = expander.namespace_of(name) or name
        namespace = about.LIBRARY if namespace == "yin.core" else namespace
        names = self.namespaces().get(namespace)
        if names is None:
            raise expander.error(f"no namespace {name}", asked.span)
        return _printed("\n".join(names), form.span)

    def _load_file(self, expander: Expander, form: Form) -> Form:
        (asked,) = expander.count(form, 1, 1, '(load-file "path")')
        if self._read is None or not isinstance(asked.value, str):
            raise expander.error("load-file takes the path of a file, as a string", asked.span)
        try:
            text = self._read(asked.value)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise expander.error(f"{asked.value} cannot be read: {why}", asked.span) from None
        expander.include(asked.value, text)
        return literal(None, form.span)

    def _set(self, expander: Expander, form: Form) -> Form:
        """Return the change of how values are shown; of other variables it is as everywhere."""
        name = form.value[1] if len(form.value) == 3 else form
        if name.kind == "symbol" and name.value in (LENGTH, LEVEL):
            value = symbol(expander.fresh("value"), form.span)
            cell = call(form.span, "yin.core/impl/dynamic", value)
            changed = call(form.span, "do", call(form.span, "define~", name, cell), value)
            return call(form.span, "let*", vector([value, form.value[2]], form.span), changed)
        return DERIVED["set!"](expander, form)


def _groups(forms: tuple[Form, ...]) -> Iterator[tuple[Form, ...]]:
    """Yield forms with the definitions before them."""
    group: list[Form] = []
    for form in forms:
        group.append(form)
        if not _is_definition(form) or len(group) == _GROUP_MAX:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def _is_definition(form: Form) -> bool:
    """Return whether a form looks as if it defined something; a guess, which decides nothing but groups."""
    return (head_of(form) or "").startswith(("def", "extend", "declare"))


def _shown(form: Form, statement: Form, expander: Expander) -> str | None:
    """Return what is shown for a form, or the last statement of what it loads, instead of its value; None if that is."""
    head = head_of(form) or ""
    if head in _SILENT and not expander.is_own(head):
        return "nil"
    if head_of(statement) == "def" and statement.value[1].value in expander.globals.table:
        return f"#'{expander.var_name(statement.value[1].value)}"
    if not head.startswith("def") and head != "declare":
        return None
    name = form.value[-1 if head == "declare" else 1] if len(form.value) > 1 else form
    found = expander.globals.find(name.value) if name.kind == "symbol" else None
    if found is None or found not in expander.written:
        return None
    if head != "defmethod" and expander.written[found][0].span != form.span:
        return None
    return f"#'{expander.var_name(found)}"


def _remembered(statement: Form, span: Span) -> Form:
    """Return a statement whose value becomes *1, and the text to show for it."""
    value = symbol("value~", span)

    def set_(name: str, form: Form) -> Form:
        return call(span, "def", symbol(name, span), form)

    text = call(
        span, "yin.core/impl/session-text", value, _dynamic(LENGTH, span), _dynamic(LEVEL, span)
    )
    moved = [set_("*3", symbol("*2", span)), set_("*2", symbol("*1", span)), set_("*1", value)]
    return call(span, "let*", vector([value, statement], span), call(span, "do", *moved, text))


def _dynamic(name: str, span: Span) -> Form:
    return call(span, "yin.core/dynamic-value", symbol(name, span))


def _name(expander: Expander, form: Form) -> str:
    if form.kind == "list" and len(form.value) == 2 and form.value[0].value in ("quote", "var"):
        form = form.value[1]
    if form.kind != "symbol":
        raise expander.error("that takes a name", form.span)
    return form.value  # type: ignore[no-any-return]


def _printed(text: str, span: Span) -> Form:
    """Return a form that prints lines."""
    lines = [call(span, "yin.core/println", literal(line, span)) for line in text.splitlines()]
    return call(span, "do", *lines, literal(None, span))
