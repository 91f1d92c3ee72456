"""Forms: source text as a tree of data, every part with its place.

Is:     one immutable shape for what was read and for what expansion makes of it; forms as values and as text.
Is not: the AST: a form does not know what it means.
Fits:   the reader makes forms, `yang.expand` rewrites them to core forms, `yang.lower` makes nodes of those.

    kind      value                     kind      value
    literal   an EDN value              list      tuple of forms
    symbol    its name, a str           vector    tuple of forms
    function  the forms inside #( )     map set   tuple of forms, keys and values alternating

Kinds that the reader makes and `yang.reader.resolve` replaces, since they depend on the namespace: auto (`::a`, its name),
namespaced (`#::a{}`: alias and map), syntax-quote, unquote, unquote-splicing (one form each). A tagged form (tag and
form) is one whose tag means nothing here; an unread one holds the leaves of a form at the top that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from datomstore import edn
from datomstore.codec import map_of, set_of
from datomstore.value import Keyword, List, Symbol
from yang.limits import NAME_LENGTH_MAX
from yang.segment import Span

FormKind = Literal[
    "literal",
    "symbol",
    "list",
    "vector",
    "map",
    "set",
    "function",
    "auto",
    "namespaced",
    "syntax-quote",
    "unquote",
    "unquote-splicing",
    "tagged",
    "unread",
]
_LEAVES = frozenset({"literal", "symbol", "auto"})


class Form(NamedTuple):
    """One form. `value` is a str for a symbol, a tuple of forms for a collection, an EDN value for a literal."""

    kind: FormKind
    value: Any
    span: Span
    # What ^ says of it, as pairs of forms; of equal keys the last counts. Any: mypy follows a tuple into itself for ever.
    meta: tuple[tuple[Any, Any], ...] = ()
    origin: tuple[
        Expansion, ...
    ] = ()  # the macro calls it is the expansion of, the outermost first

    @property
    def is_leaf(self) -> bool:
        """Return whether no forms are inside."""
        return self.kind in _LEAVES


_NOT_IN_NAMES = frozenset(' \t\r\n\f\v,()[]{}"@^`;\\')


def is_name(text: str) -> bool:
    """Return whether a node may have this name."""
    return 0 < len(text) <= NAME_LENGTH_MAX and _NOT_IN_NAMES.isdisjoint(text)


class Exact(str):
    """A name as the tree has it, which nothing resolves or shadows: what `#yin/name "and~1"` reads as.

    Names that expansion made have a number after `~`. Read back they get an `r` there, so that none is the same as a
    name made anew; `yang.lower` numbers both kinds again.
    """

    __slots__ = ()

    @staticmethod
    def of(text: str) -> Exact:
        """Return the name that a text stands for."""
        return Exact(_MADE.sub(r"\1~r\2", text))

    @property
    def plain(self) -> str:
        """Return the name as nodes have it."""
        return str.__str__(self)


_MADE = re.compile(r"(.+)~(\d+)")


class Expansion(NamedTuple):
    """A call of a macro, as it was written."""

    macro: str
    form: Form


def leaves_of(form: Form) -> tuple[Form, ...]:
    """Return the forms without parts that are in a form, in the order of the text."""
    found: list[Form] = []
    stack = [form]
    while stack:
        form = stack.pop()
        if form.is_leaf:
            found.append(form)
        else:
            stack.extend(reversed(form.value))
    return tuple(found)


def literal(value: object, span: Span) -> Form:
    """Return a form that means its value."""
    return Form("literal", value, span)


def symbol(name: str, span: Span) -> Form:
    """Return a symbol."""
    return Form("symbol", name, span)


def vector(items: Iterable[Form], span: Span) -> Form:
    """Return a vector form."""
    return Form("vector", tuple(items), span)


def call(span: Span, head: str, *arguments: Form) -> Form:
    """Return the list `(head arguments...)`."""
    return Form("list", (Form("symbol", head, span), *arguments), span)


def argument_names(body: Iterable[Form]) -> tuple[int, bool, bool]:
    """Return what `#( )` takes: the highest %n, whether %& occurs, whether the short % occurs."""
    highest, rest, short = 0, False, False
    stack = list(body)
    while stack:
        form = stack.pop()
        if form.kind == "symbol":
            name: str = form.value
            if name == "%":
                highest, short = max(highest, 1), True
            elif name == "%&":
                rest = True
            elif name[0] == "%" and name[1:].isdecimal():
                highest = max(highest, int(name[1:]))
        elif form.kind != "literal":
            stack.extend(form.value)
    return highest, rest, short


def function_list(form: Form) -> Form:
    """Return `#(body)` as `(fn* [%1 ...] (body))`. With both % and %1 in use, the first is another name of the second."""
    highest, rest, short = argument_names(form.value)
    span = form.span
    names = [f"%{number}" for number in range(1, highest + 1)]
    body = Form("list", form.value, span)
    if short:
        pair = vector([symbol("%", span), symbol("%1", span)], span)
        body = call(span, "let*", pair, body)
    parameters = [*names, "&", "%&"] if rest else names
    return call(span, "fn*", vector([symbol(name, span) for name in parameters], span), body)


def value_of(form: Form) -> object:
    """Return the data that a quoted form stands for. Recursion is bounded by the reader's NESTING_MAX.

    Raises:
        ValueError: a map with a key twice, a set with a member twice, or keys or members that are made to collide.
    """
    match form.kind:
        case "literal":
            return form.value
        case "symbol":
            return Symbol(form.value)
        case "list":
            return List([value_of(item) for item in form.value])
        case "vector":
            return tuple([value_of(item) for item in form.value])
        case "set":
            members = set_of([value_of(item) for item in form.value])
            if len(members) != len(form.value):
                raise ValueError("a set with a member twice")
            return members
        case "map":
            items = [value_of(item) for item in form.value]
            entries = map_of(list(zip(items[::2], items[1::2], strict=True)))
            if len(entries) * 2 != len(items):
                raise ValueError("a map with a key twice")
            return entries
        case "function":
            return value_of(function_list(form))
        case "auto":
            return Keyword(form.value)
        case "tagged":
            raise ValueError(f"no reader for the tag #{form.value[0].value}")
        case _:
            raise ValueError(f"{form.kind} outside of a program")


_OPENERS = {
    "list": "(",
    "vector": "[",
    "map": "{",
    "set": "#{",
    "function": "#(",
    "syntax-quote": "`",
    "unquote": "~",
    "unquote-splicing": "~@",
    "tagged": "#",
    "namespaced": "#::",
}
_CLOSERS = {"list": ")", "vector": "]", "map": "}", "set": "}", "function": ")"}
_WIDTH = 100
_BINDERS = {"let", "let*", "loop", "loop*", "letfn*", "for", "doseq", "yin.core/let"}


def text_of(form: Form, indent: int = 0) -> str:
    """Return a form as source text, broken into lines where it is wider than a page.

    Cost: linear; no recursion, so core forms of any depth can be shown.
    """
    widths = _widths(form)
    parts: list[str] = []
    # Entries: text to emit, or (form, column it starts at, whether its items belong together by two).
    stack: list[str | tuple[Form, int, bool]] = [(form, indent, False)]
    while stack:
        entry = stack.pop()
        if isinstance(entry, str):
            parts.append(entry)
            continue
        form, column, paired = entry
        if form.is_leaf:
            parts.append(_leaf_text(form))
            continue
        opener = _OPENERS[form.kind]
        broken = column + widths[id(form)] > _WIDTH
        inner = column + (2 if form.kind in ("list", "function") else len(opener))
        stack.append(_CLOSERS.get(form.kind, ""))
        binds = _head(form) in _BINDERS
        by_two = paired or form.kind == "map"
        for position in range(len(form.value) - 1, -1, -1):
            stack.append((form.value[position], inner, binds and position == 1))
            if position:
                breaks = broken and (position % 2 == 0 if by_two else position > 1)
                stack.append("\n" + " " * inner if breaks else " ")
        parts.append(opener)
    return "".join(parts)


def _leaf_text(form: Form) -> str:
    if form.kind == "auto":
        return f"::{form.value}"
    if form.kind == "symbol":
        return f'#yin/name "{form.value}"' if isinstance(form.value, Exact) else form.value
    return edn.write(form.value)


def _widths(root: Form) -> dict[int, int]:
    """Return the width on one line of every collection, by identity."""
    order, stack = [], [root]
    while stack:
        form = stack.pop()
        if not form.is_leaf:
            order.append(form)
            stack.extend(form.value)
    widths: dict[int, int] = {}
    for form in reversed(order):
        inner = sum(
            len(_leaf_text(item)) if item.is_leaf else widths[id(item)] for item in form.value
        )
        widths[id(form)] = inner + len(_OPENERS[form.kind]) + max(len(form.value), 1)
    return widths


def _head(form: Form) -> str | None:
    """Return the name of the symbol a list starts with."""
    if form.kind == "list" and form.value and form.value[0].kind == "symbol":
        return form.value[0].value  # type: ignore[no-any-return]
    return None
