"""A tree as Clojure source that compiles to the same hash.

Is:     statements written by `yang.surface`, laid out, compiled again, and compared node by node with what they came from.
Is not: the text a program was written in: comments, doc strings and macros are no part of a tree (macros can be added).
Fits:   `yin compile --emit clojure`; `yang.edit` and the refactorings show programs with it.

A statement is written in the plainest way that comes back the same: with the derived forms, in core forms, or at last with
every name exact. Two notations are for what no other text means:

    #yin/name "and~1"         a name as the tree has it, which nothing resolves or shadows
    ^{:yin/in app.text} form  a form of another namespace
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum

from datomstore.value import Keyword
from yang.definitions import PATTERNS, pattern_name
from yang.errors import ProgramInvalid, Source, SourceError, SourceErrors
from yang.expand import expand
from yang.forms import Form, literal, symbol
from yang.host import ALONE, Host
from yang.layout import layout
from yang.limits import POSITION_MAX
from yang.lower import lower
from yang.nodes import Item, Tree
from yang.program import canonical_items
from yang.raised import core_forms
from yang.reader.clojure import read_source
from yang.resolve import names_known
from yang.segment import Span
from yang.surface.exact import CORE_FORMS, exact_form, exact_internals
from yang.surface.rules import surface_of
from yang.surface.writer import Program
from yang.walk import run

_BINDERS = frozenset(["binding", "parameter", "lambda", "catch"])


class Manner(IntEnum):
    """How a statement is written, from the most readable to the most exact."""

    WRITTEN = 0  # macros and their calls as they were
    SURFACE = 1
    CORE = 2
    EXACT = 3


class NoSource(ProgramInvalid):
    """A tree has a node that no source text makes; `node` says which."""

    code = "program/no-source"


def clojure_of(
    tree: Tree, *, core: bool = False, source: Source | None = None, host: Host = ALONE
) -> str:
    """Return source text that compiles to the tree again, places aside. `core`: it is the core library's.

    With the source that the tree was made of, and a host that runs macros, their definitions and calls stay as they
    were written; a tree itself has neither, only what the calls expanded to.

    Cost: that of compiling the text up to the tree, up to four times.

    Raises:
        NoSource: no text makes this tree, which an edit or another front end may have made.
    """
    for number, item in enumerate(tree.items):
        if item.kind.name == "variable" and item.scalars[0] in CORE_FORMS:
            message = f"a variable called {item.scalars[0]}, which is a special form in every text"
            raise NoSource(message, node=number)
    if len(tree.items) == 1:
        return ""
    writing = _Writing(tree, core, macros_of(source) if source is not None else {}, host)
    wrong = list(range(len(writing.forms)))
    for manner in Manner:
        for number in wrong:
            writing.write(number, manner)
        wrong = writing.different()
        if not wrong:
            return writing.text()
    node = writing.starts[wrong[0]]
    raise NoSource("no source text makes this statement", node=node)


class _Writing:
    """The texts of a program's statements."""

    def __init__(self, tree: Tree, core: bool, macros: Mapping[Span, str], host: Host) -> None:
        self.core = core
        self.host = host
        self.tree = tree
        self.forms = core_forms(tree, origins=True)
        self.starts = [number for number, place in enumerate(tree.places) if place.depth == 1]
        self.program = _program(tree.items, core)
        self.namespaces = _namespaces(self.forms, self.program)
        self.texts = [""] * len(self.forms)
        self.macros = {
            number: macros[form.span]
            for number, form in enumerate(self.forms)
            if form.span in macros and form.kind == "literal"
        }

    def write(self, number: int, manner: Manner) -> None:
        """Write one statement."""
        form = self.forms[number]
        namespace = self.namespaces[number]
        if manner <= Manner.SURFACE and self._is_pattern(number):
            self.texts[number] = ""  # its uses say it
            return
        if manner is Manner.WRITTEN and number in self.macros:
            self.texts[number] = self.macros[number]
            return
        if manner <= Manner.SURFACE:
            keeps = manner is Manner.WRITTEN and bool(self.macros)
            form = run(surface_of(self.program, namespace, keeps_calls=keeps).statement(form))
        elif manner is Manner.EXACT:
            form = exact_form(form)
        if namespace != self.program.home and manner is not Manner.EXACT:
            key = literal(Keyword("yin/in"), form.span)
            form = form._replace(meta=((key, symbol(namespace, form.span)), *form.meta))
        self.texts[number] = layout(exact_internals(form))

    def text(self) -> str:
        """Return the whole text: a blank line before and after what takes several."""
        parts: list[str] = []
        before = ""
        for text in filter(None, self.texts):
            if before:
                parts.append("\n\n" if "\n" in text or "\n" in before else "\n")
            parts.append(text)
            before = text
        return "".join([*parts, "\n"])

    def _is_pattern(self, number: int) -> bool:
        item = self.tree.items[self.starts[number]]
        return item.kind.name == "def" and item.scalars[0] in self.program.patterns

    def different(self) -> list[int]:
        """Return the statements that do not come back as they were."""
        found = self._compiled()
        if isinstance(found, list):
            return found
        items = self.tree.items
        ends = [*self.starts[1:], len(items)]
        return [
            number
            for number, (start, end) in enumerate(zip(self.starts, ends, strict=True))
            if canonical_items(items[start:end]) != canonical_items(found.get(number, ()))
        ]

    def _compiled(self) -> dict[int, list[Item]] | list[int]:
        """Return the nodes that each statement's text makes, or the statements that make none."""
        text = self.text()
        source = Source("", text)
        lines = self._first_lines()
        try:
            forms = expand(read_source(source), source, core=self.core, host=self.host)
            tree = lower(*forms)
        except SourceError as error:
            return [_statement_at(lines, error.line)]
        except SourceErrors as errors:
            return sorted({_statement_at(lines, error.line) for error in errors.errors})
        hidden = {
            self.tree.items[start].scalars[0]: number
            for number, start in enumerate(self.starts)
            if not self.texts[number]
        }
        found: dict[int, list[Item]] = {}
        current: list[Item] = []
        for item, place in zip(tree.items[1:], tree.places[1:], strict=True):
            if place.depth == 1:
                own = hidden.get(item.scalars[0]) if item.kind.name == "def" else None
                number = _statement_at(lines, item.span.line) if own is None else own
                current = found.setdefault(number, [])
            current.append(item)
        return found

    def _first_lines(self) -> list[int]:
        """Return where each statement begins; one without a text, where the next one does."""
        lines: list[int] = []
        line, before = 1, ""
        for text in filter(None, self.texts):
            if before:
                line += before.count("\n") + (2 if "\n" in text or "\n" in before else 1)
            lines.append(line)
            before = text
        following = iter([*lines, POSITION_MAX])
        place = next(following)
        found: list[int] = []
        for text in self.texts:
            found.append(place)
            if text:
                place = next(following)
        return found


def macros_of(source: Source) -> dict[Span, str]:
    """Return the texts of the macros that a source defines at its top level, by their places."""
    lines = source.text.split("\n")
    found: dict[Span, str] = {}
    for form in read_source(source):
        head = form.value[0] if form.kind == "list" and form.value else form
        if head.kind == "symbol" and head.value == "defmacro":
            text = lines[form.span.line - 1 : form.span.end_line]
            text[-1] = text[-1][: form.span.end_column - 1]
            text[0] = text[0][form.span.column - 1 :]
            found[form.span] = "\n".join(text)
    return found


def _statement_at(lines: Sequence[int], line: int) -> int:
    return max(bisect_right(lines, line) - 1, 0)


def _program(items: Sequence[Item], core: bool) -> Program:
    from yang.core import (
        core_library,
    )  # the library is compiled with modules that come before this one

    defined = {str(item.scalars[0]) for item in items if item.kind.name == "def"}
    bound = {
        str(item.scalars[0])
        for item in items
        if item.kind.name in _BINDERS and item.scalars[0] is not None
    }
    dynamic = {
        str(items[number].scalars[0])
        for number in range(len(items) - 2)
        if items[number].kind.name == "def"
        and items[number + 1].kind.name == "application"
        and items[number + 2].scalars[:1] == ("yin.core/impl/dynamic",)
    }
    local = {name.rpartition("/")[2] for name in defined}
    patterns = dict(_patterns(items))
    names = frozenset() if core else frozenset(names_known(core_library()))
    return Program(
        frozenset(defined),
        frozenset(bound | local),
        frozenset(dynamic),
        names,
        is_core=core,
        patterns=patterns,
    )


def _patterns(items: Sequence[Item]) -> Iterator[tuple[str, Form]]:
    """Yield the definitions that patterns in the text have made, and their texts."""
    for number, item in enumerate(items):
        name = str(item.scalars[0]) if item.kind.name == "def" else ""
        if name.startswith(PATTERNS):
            text = items[number + 3] if len(items) > number + 3 else item
            value = text.scalars[0] if text.kind.name == "literal" else None
            if isinstance(value, str) and name.startswith(pattern_name(value)):
                yield name, literal(value, item.span)


def _namespaces(forms: Sequence[Form], program: Program) -> list[str]:
    """Return the namespace of each statement: that of the name it defines, or that of the one before if it names it."""
    found: list[str] = []
    here = program.home
    for form in forms:
        defined = _namespace_defined(form, program)
        here = defined or (
            here if here != program.home and _mentions(form, f"{here}/") else program.home
        )
        found.append(here)
    return found


def _namespace_defined(form: Form, program: Program) -> str | None:
    if program.is_core:
        return program.home
    if form.kind != "list" or not form.value or form.value[0].value != "def":
        return None
    before, slash, local = form.value[1].value.rpartition("/")
    return before if slash and before and local else program.home


def _mentions(form: Form, beginning: str) -> bool:
    stack = [form]
    while stack:
        form = stack.pop()
        if form.kind == "symbol" and form.value.startswith(beginning):
            return True
        if not form.is_leaf:
            stack += form.value
    return False
