"""Macros: functions of the program from form to form, run while it is compiled.

Is:     the program that a macro's call runs as, forms as data and data as forms again with their places.
Is not: the machine, which the host gives (`yang.host`); nor syntax quote (`yang.reader.resolve`).
Fits:   `yang.expand` keeps one `Macros` per program and hands it the calls.

A macro may use every definition that stands before it: these are compiled with it into a program of its own, which does
no effects. Nothing it changes outlives a call. What a macro was given and handed back keeps the place where it was
written; what the macro made has the place of the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as Set_
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datomstore.value import Keyword, List, Map, Set, Symbol
from yang.canonical import encode
from yang.errors import MacroFault, Source, YangError
from yang.forms import Form, call, literal, symbol, text_of, value_of
from yang.limits import MACRO_CALLS_MAX, NESTING_MAX
from yang.reader.literals import is_internal
from yang.segment import Segment, Span

if TYPE_CHECKING:
    from yang.host import Host

COUNTER = "gensym~counter"  # the definition that `gensym` counts with
_NO_MACHINE = "macros need a machine to run on, and there is none here"


@dataclass(slots=True)
class Macro:
    """One macro: the global name of its function, and its number in the program that runs macros."""

    name: str
    number: int
    sees_locals: bool  # it mentions &env
    arglists: tuple[Form, ...]  # a vector of parameters for each of its bodies

    def takes(self, count: int) -> bool:
        """Return whether it can be called with so many arguments."""
        for parameters in self.arglists:
            names = [item.value for item in parameters.value if item.kind == "symbol"]
            size = len(parameters.value)
            if "&" in names:
                if count >= size - 2:
                    return True
            elif count == size:
                return True
        return False


@dataclass(slots=True, eq=False)
class _Runner:
    """A program that runs some macros, and the names that what is in it mentions."""

    segment: Segment
    names: Set_[str]
    is_stale: bool = False  # one of the names has got another meaning


class Macros:
    """The macros of one program.

    Each is run by a program that has what the macro needs and nothing else, so that it serves until one of the names in it
    is defined anew. Macros that were defined one after another share one.
    """

    def __init__(self, host: Host, source: Source) -> None:
        self.host = host
        self.source = source
        self.table: dict[str, Macro] = {}
        self._number = 0  # of the next macro
        self._definitions: dict[str, Form] = {}  # core forms, macros among them
        self._places: dict[str, int] = {}  # of definitions, in the order they first stood in
        self._mentioned: dict[str, frozenset[str]] = {}  # by definition, once it was asked for
        # Statements that add to a definition, by its name; with the place of each among all.
        self._registrations: dict[str, list[tuple[int, Form]]] = {}
        self._runners: dict[str, _Runner] = {}  # by macro
        self._users: dict[str, list[_Runner]] = {}  # by a name that they mention
        self._registered = 0
        self._calls = 0

    def branch(self, source: Source) -> Macros:
        """Return the same macros for what follows; those that it defines are not here."""
        twin = Macros(self.host, source)
        twin.table, twin._number = dict(self.table), self._number
        twin._definitions, twin._places = dict(self._definitions), dict(self._places)
        twin._mentioned, twin._runners = dict(self._mentioned), dict(self._runners)
        twin._registrations = {name: list(forms) for name, forms in self._registrations.items()}
        twin._registered = self._registered
        twin._users = {name: list(runners) for name, runners in self._users.items()}
        return twin

    def define(
        self, name: str, definition: Form, *, sees_locals: bool, arglists: tuple[Form, ...]
    ) -> None:
        """Take the core form `(def name (fn* ...))` of a macro."""
        self._define(name, definition)
        self._runners.pop(name, None)
        self.table[name] = Macro(name, self._number, sees_locals, arglists)
        self._number += 1

    def mentioned(self) -> frozenset[str]:
        """Return the names that the macros themselves mention: what only these use is in no tree."""
        return frozenset().union(*(self._names_of(name) for name in self.table))

    def note(self, statement: Form) -> None:
        """Take a top-level core form, which macros that follow may use."""
        if statement.kind != "list" or not statement.value:
            return
        head, *rest = statement.value
        if head.kind == "symbol" and head.value == "def":
            self._define(rest[0].value, statement)
        elif head.kind == "symbol" and head.value == "do":
            for inner in rest:
                self.note(inner)
        elif head.kind == "symbol" and head.value.startswith("yin.core/impl/add-"):
            self._register(rest[0], statement)

    def _register(self, target: Form, statement: Form) -> None:
        if target.kind != "symbol":
            return  # what it adds to is not known here
        self._registered += 1
        self._registrations.setdefault(target.value, []).append((self._registered, statement))
        self._forget(target.value)

    def _define(self, name: str, definition: Form) -> None:
        self._definitions[name] = definition
        self._places.setdefault(name, len(self._places))
        self._mentioned.pop(name, None)
        self._forget(name)

    def _forget(self, name: str) -> None:
        """Let no program be used again in which a name had the meaning before this one."""
        for runner in self._users.pop(name, ()):
            runner.is_stale = True

    def expand(self, macro: Macro, form: Form, names: Iterable[str], made: int) -> tuple[Form, int]:
        """Return what a call expands to, and the count of made names after it.

        Raises:
            MacroFault: the macro failed, or what it made is no code.
        """
        self._calls += 1
        if self._calls > MACRO_CALLS_MAX:
            raise MacroFault(f"more than {MACRO_CALLS_MAX} macro calls in one program")
        given_count = len(form.value) - 1
        if not macro.takes(given_count):
            shown_ = " or ".join(text_of(parameters) for parameters in macro.arglists)
            raise MacroFault(f"wrong number of arguments ({given_count}); it takes {shown_}")
        if self.host.evaluate is None:
            raise MacroFault(_NO_MACHINE)
        originals: dict[bytes, Form] = {}
        arguments = [_data(item, originals) for item in form.value[1:]]
        locals_ = (
            Map([(Symbol(name), Symbol(name)) for name in sorted(names)])
            if macro.sees_locals
            else None
        )
        given = Map(
            [
                (Keyword("macro"), macro.number),
                (Keyword("form"), List([_data(form.value[0], originals), *arguments])),
                (Keyword("env"), locals_ or None),
                (Keyword("arguments"), List(arguments)),
                (Keyword("gensym"), made),
            ]
        )
        result = self.host.evaluate(self._segment(macro), given)
        assert isinstance(result, tuple)
        value, count = result
        return _form(value, form.span, originals), count

    def _segment(self, macro: Macro) -> Segment:
        """Return the program that runs a macro: with all that have none now, or alone when those do not compile."""
        found = self._runners.get(macro.name)
        if found is None or found.is_stale:
            waiting = [one for one in self.table.values() if self._waits(one)]
            try:
                found = self._compiled(waiting)
            except YangError:
                waiting = [macro]
                found = self._compiled(waiting)
            self._runners.update(dict.fromkeys([one.name for one in waiting], found))
            for name in found.names:
                self._users.setdefault(name, []).append(found)
        return found.segment

    def _waits(self, macro: Macro) -> bool:
        runner = self._runners.get(macro.name)
        return runner is None or runner.is_stale

    def _compiled(self, macros: list[Macro]) -> _Runner:
        from yang.compile import compile_forms  # which expands with this module

        span = Span(1, 1, 1, 1)
        needed = self._needed([macro.name for macro in macros])
        given = symbol("*args*", span)
        whole = literal(None, span)
        for macro in macros:
            number = call(span, "yin.core/get", given, literal(Keyword("macro"), span))
            test = call(span, "yin.core/=", number, literal(macro.number, span))
            whole = call(span, "if", test, symbol(macro.name, span), whole)
        parts = [
            call(span, "yin.core/get", given, literal(Keyword(key), span))
            for key in ("form", "env", "arguments")
        ]
        result = call(span, "yin.core/apply", whole, *parts)
        count = call(span, "yin.core/get", given, literal(Keyword("gensym"), span))
        if COUNTER in needed:
            cell = symbol(COUNTER, span)
            needed[COUNTER] = call(span, "def", cell, call(span, "yin.core/atom", count))
            count = call(span, "yin.core/deref", cell)
        last = call(span, "yin.core/impl/macro-result", result, _thunk(count, span))
        inside = sorted(needed, key=self._places.__getitem__)
        added = sorted([entry for name in inside for entry in self._registrations.get(name, ())])
        statements = [*[needed[name] for name in inside], *[form for _, form in added]]
        segment = compile_forms([*statements, last], self.source).segment
        names = set(inside).union(*[self._names_of(name) for name in inside])
        return _Runner(segment, names | names_in([form for _, form in added]))

    def _needed(self, names: list[str]) -> dict[str, Form]:
        """Return the definitions that some need, themselves included."""
        needed: dict[str, Form] = {}
        left = list(names)
        while left:
            name = left.pop()
            if name in needed or name not in self._definitions:
                continue
            needed[name] = self._definitions[name]
            left += self._names_of(name)
            for _, form in self._registrations.get(name, ()):
                left += names_in([form])
        return needed

    def _names_of(self, definition: str) -> frozenset[str]:
        """Return the names that a definition mentions."""
        found = self._mentioned.get(definition)
        if found is None:
            found = frozenset(names_in([self._definitions[definition]]))
            self._mentioned[definition] = found
        return found


def _thunk(body: Form, span: Span) -> Form:
    return call(span, "fn*", Form("list", (Form("vector", (), span), body), span))


def names_in(forms: Iterable[Form]) -> set[str]:
    """Return the symbols that occur in forms."""
    found: set[str] = set()
    stack = list(forms)
    while stack:
        form = stack.pop()
        if form.kind == "symbol":
            found.add(form.value)
        elif not form.is_leaf:
            stack += form.value
    return found


def mentions(forms: Iterable[Form], name: str) -> bool:
    """Return whether a symbol occurs in forms as they are written."""
    return name in names_in(forms)


# -- forms and data --


def _data(form: Form, originals: dict[bytes, Form]) -> Any:
    """Return a form as data, and keep every part of it by its data. Recursion is bounded by NESTING_MAX."""
    if form.kind == "list" or form.kind == "vector":
        items = [_data(item, originals) for item in form.value]
        value: object = List(items) if form.kind == "list" else tuple(items)
    else:
        if not form.is_leaf and form.kind != "function":
            for item in form.value:
                _data(item, originals)
        try:
            value = value_of(form)
        except ValueError as error:
            raise MacroFault(str(error)) from None
    if form.kind != "literal":
        originals.setdefault(encode(value), form)
    return value


def _form(value: object, span: Span, originals: Mapping[bytes, Form], depth: int = 0) -> Form:
    """Return data as a form; what was given is the form it was given as."""
    if depth > NESTING_MAX:
        raise MacroFault(f"what the macro made is nested deeper than {NESTING_MAX}")
    if isinstance(value, Symbol | tuple | Map | Set):
        found = originals.get(encode(value))
        if found is not None:
            return found
    if isinstance(value, Symbol):
        if not value.name:
            raise MacroFault("what the macro made has a symbol without a name")
        if is_internal(value.name):
            raise MacroFault(
                f"{value.name} is a part of the core library that only the library names"
            )
        return symbol(value.name, span)
    if isinstance(value, tuple):
        kind = "list" if isinstance(value, List) else "vector"
        items = [_form(item, span, originals, depth + 1) for item in value]
        return Form(kind, tuple(items), span)  # type: ignore[arg-type]
    if isinstance(value, Map):
        parts = [part for entry in value.items() for part in entry]
        return Form("map", tuple([_form(p, span, originals, depth + 1) for p in parts]), span)
    if isinstance(value, Set):
        return Form("set", tuple([_form(v, span, originals, depth + 1) for v in value]), span)
    return literal(value, span)


def form_of(value: object, span: Span) -> Form:
    """Return data as a form that stands at a place."""
    return _form(value, span, {})


def shown(form: Form) -> str:
    """Return the beginning of a form's text, for messages."""
    text = " ".join(text_of(form).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
