"""The AST as core forms again: what `yang.lower` did, undone.

Is:     one core form for one node; the forms of a program whose hash is known, to be required by another.
Is not: the source as it was written: derived forms and macro calls stay expanded.
Fits:   `yang.expand` requires code by hash through it. Lowering the forms gives the same tree, spans aside.
"""

from __future__ import annotations

from collections.abc import Sequence

from datomstore.value import Keyword, List, Map, Set, Symbol
from yang.errors import SourceError, SourceErrors
from yang.forms import Expansion, Form, call, literal, symbol, vector
from yang.macros import form_of
from yang.nodes import Item, Tree, Written
from yang.reader.clojure import read
from yang.segment import Span

_QUOTED = (Symbol, List, tuple, Map, Set)


def core_forms(tree: Tree, *, origins: bool = False) -> tuple[Form, ...]:
    """Return the top-level core forms of a tree, with `origins` also the macro calls that they come from.

    Cost: linear, no recursion: from the last node to the first.
    """
    built: list[Form] = []
    for number in range(len(tree.items) - 1, -1, -1):
        item = tree.items[number]
        children = [[built.pop() for _ in range(count)] for count in item.counts]
        if item.kind.name == "program":
            return tuple(children[0])
        form = _form(item, children)
        calls = tree.expansions.get(number, ()) if origins else ()
        built.append(form._replace(origin=_origin(calls)) if calls else form)
    raise AssertionError("a tree begins with its program")


def _origin(calls: Sequence[Written]) -> tuple[Expansion, ...]:
    """Return the macro calls of a node as forms; of one whose text is none, nothing is known."""
    try:
        return tuple([Expansion(one.macro, read(one.text)[0]) for one in calls])
    except (SourceError, SourceErrors, IndexError):
        return ()


def _form(item: Item, children: list[list[Form]]) -> Form:
    span = item.span
    match item.kind.name:
        case "literal":
            return _literal(item.scalars[0], span)
        case "variable" | "parameter":
            return symbol(str(item.scalars[0]), span)
        case "def":
            return call(span, "def", symbol(str(item.scalars[0]), span), *children[0])
        case "lambda":
            own = () if item.scalars[0] is None else (symbol(str(item.scalars[0]), span),)
            return call(span, "fn*", *own, *children[0])
        case "arity":
            parameters, body = children
            if item.scalars[0]:
                parameters.insert(-1, symbol("&", span))
            return Form("list", (vector(parameters, span), *body), span)
        case "application":
            return Form("list", (*children[0], *children[1]), span)
        case "binding":
            name = symbol(str(item.scalars[0]), span)
            return vector([name, *children[0]], span)
        case "let" | "loop" | "letrec" as kind:
            head = {"let": "let*", "loop": "loop*", "letrec": "letfn*"}[kind]
            pairs = [part for pair in children[0] for part in pair.value]
            return call(span, head, vector(pairs, span), *children[1])
        case "catch":
            caught, class_ = (str(scalar) for scalar in item.scalars)
            matched = _class(class_, span)
            return call(span, "catch", matched, symbol(caught, span), *children[0])
        case kind:  # if, do, recur, try, throw: their children in order
            return call(span, kind, *[child for role in children for child in role])


def _class(name: str, span: Span) -> Form:
    return literal(Keyword(name[1:]), span) if name.startswith(":") else symbol(name, span)


def _literal(value: object, span: Span) -> Form:
    if isinstance(value, _QUOTED):
        return call(span, "quote", form_of(value, span))
    return literal(value, span)
