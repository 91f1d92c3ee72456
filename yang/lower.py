"""Core forms to the Universal AST.

Is:     one node for one core form; constant collections become literals, others calls of the core's constructors.
Is not: a checker: `yang.expand` has refused what is malformed; names are resolved by rules, later.
Fits:   between `yang.expand` and `yang.ast_datoms`. `tree_of_source` runs all stations up to here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pyrsistent import pvector

from datomstore.value import Keyword
from yang.errors import ProgramInvalid, Source
from yang.expand import expand
from yang.forms import Expansion, Form, text_of, value_of
from yang.host import ALONE, Host
from yang.nodes import (
    CLASS,
    KINDS,
    NAME,
    VALUE,
    VARIADIC,
    Item,
    Node,
    Tree,
    Written,
    kind_of,
    make,
    span_of,
    walk,
)
from yang.pause import collector_paused
from yang.reader.clojure import read_source
from yang.segment import Span
from yang.walk import Walk, run

_MADE = re.compile(r"(.+)~r?\d+")  # the names of `Expander.fresh`, and these as `Exact` reads them
_NAMED = frozenset(
    ["variable", "binding", "parameter", "lambda", "catch"]
)  # what has or uses a local
ORIGIN = Keyword("ast/expanded-from")  # of a node here: the macro calls it comes from
_ARITIES = Keyword("ast/arities")
_PARAMS = Keyword("ast/params")
_BODY = Keyword("ast/body")
_BINDINGS = Keyword("ast/bindings")
_INIT = Keyword("ast/init")
_OPERATOR = Keyword("ast/operator")
_OPERANDS = Keyword("ast/operands")
_STATEMENTS = Keyword("ast/statements")
_TEST = Keyword("ast/test")
_CONSEQUENT = Keyword("ast/consequent")
_ALTERNATIVE = Keyword("ast/alternative")
_CATCHES = Keyword("ast/catches")
_OPERAND = Keyword("ast/operand")
_CONSTRUCTORS = {
    "vector": "yin.core/vector",
    "map": "yin.core/hash-map",
    "set": "yin.core/hash-set",
}


def tree_of_source(text: str, source_name: str = "<source>", host: Host = ALONE) -> Tree:
    """Return the AST of a Clojure source text.

    Raises:
        SourceError, SourceErrors: what is wrong, with places.
    """
    return expanded_tree(Source(source_name, text), host=host)[0]


def tree_of_files(source: Source, *, core: bool = False) -> Tree:
    """As `tree_of_source`, of a source that may have parts. `core`: it is the core library, which may define qualified names."""
    return expanded_tree(source, core=core)[0]


def expanded_tree(source: Source, *, core: bool = False, host: Host = ALONE) -> tuple[Tree, Source]:
    """Return the AST of a source, and the source with the files it required."""
    with collector_paused():
        forms, whole = expand(read_source(source), source, core=core, host=host)
        return lower(forms, whole), whole


def lower(forms: Sequence[Form], source: Source) -> Tree:
    """Return the :program of core forms. Raises SourceError if it is too deep or too large."""
    lines = source.text.split("\n")
    first = source.parts[1].line - 1 if len(source.parts) > 1 else len(lines)
    lines = lines[:first]
    span = Span(1, 1, len(lines), len(lines[-1]) + 1)
    items = [Item(KINDS["program"], (source.name,), (len(forms),), span)]
    expansions: dict[int, tuple[Written, ...]] = {}
    for form in forms:
        walked = walk(run(_any(form)))
        for number, (_, node) in enumerate(walked, len(items)):
            if ORIGIN in node:
                expansions[number] = tuple([_written(one) for one in node[ORIGIN]])
        items += numbered([item for item, _ in walked])
    try:
        return Tree(items, None, source.parts, expansions)
    except ProgramInvalid as error:
        place = span if error.node is None else items[error.node].span
        raise source.error(str(error), place) from None


def numbered(items: Sequence[Item]) -> list[Item]:
    """Return the nodes of one statement with the names that expansion made numbered from 1 for each beginning.

    So a statement is the same whatever stands before it, and whichever forms it was written with.
    """
    numbers: dict[str, str] = {}
    counts: dict[str, int] = {}
    out = list(items)
    for at, item in enumerate(items):
        name = item.scalars[0] if item.scalars else None
        if not isinstance(name, str) or "~" not in name or item.kind.name not in _NAMED:
            continue
        made = _MADE.fullmatch(name)
        if made is None:
            continue
        if name not in numbers:
            counts[made[1]] = counts.get(made[1], 0) + 1
            numbers[name] = f"{made[1]}~{counts[made[1]]}"
        out[at] = item._replace(scalars=(numbers[name], *item.scalars[1:]))
    return out


def _written(one: Expansion) -> Written:
    return Written(one.macro, text_of(one.form), one.form.span)


def _any(form: Form) -> Walk[Node]:
    return _expanded(form) if form.origin else _lower(form)


def _expanded(form: Form) -> Walk[Node]:
    """Lower a form that macro calls expanded to; the node says so."""
    node = yield _lower(form)
    return node.set(ORIGIN, (*form.origin, *node.get(ORIGIN, ())))  # type: ignore[no-any-return]


def _lower(form: Form) -> Walk[Node]:
    if form.kind == "literal" or form.kind == "symbol":
        return _leaf(form)
        yield
    if form.kind != "list":
        return (yield _collection(form))  # type: ignore[no-any-return]
    items: tuple[Form, ...] = form.value
    if not items:
        return _literal(value_of(form), form.span)
    head = items[0]
    special = _SPECIAL.get(head.value) if head.kind == "symbol" else None
    return (yield special(form) if special is not None else _application(form))  # type: ignore[no-any-return]


def _leaf(form: Form) -> Node:
    if form.kind == "literal":
        return _literal(form.value, form.span)
    return make("variable", form.span, {NAME: form.value})


def _literal(value: object, span: Span) -> Node:
    return make("literal", span, {VALUE: value})


def _all(forms: Sequence[Form]) -> Walk[list[Node]]:
    nodes: list[Node] = []
    for form in forms:
        plain = form.is_leaf and not form.origin
        node = _leaf(form) if plain else (yield _any(form))
        nodes.append(node)
    return nodes


def _body(forms: Sequence[Form], span: Span) -> Walk[Node]:
    """Return one node for the forms of a body: nil when there are none."""
    nodes = yield _all(forms)
    if not nodes:
        return _literal(None, span)
    if len(nodes) == 1:
        return nodes[0]  # type: ignore[no-any-return]
    return make("do", span, {_STATEMENTS: pvector(nodes)})


def _is_constant(form: Form) -> bool:
    stack = [form]
    while stack:
        form = stack.pop()
        if form.kind in _CONSTRUCTORS:
            stack.extend(form.value)
        elif form.kind == "list":
            if form.value and not _is_quote(form):
                return False
        elif form.kind != "literal":
            return False
    return True


def _is_quote(form: Form) -> bool:
    return bool(form.value[0].kind == "symbol" and form.value[0].value == "quote")


def _unquoted(form: Form) -> Form:
    """Return a constant form without its quotes. Depth is bounded by the reader's NESTING_MAX."""
    if form.is_leaf or not form.value:
        return form
    if form.kind == "list":
        return form.value[1]  # type: ignore[no-any-return]
    return form._replace(value=tuple([_unquoted(item) for item in form.value]))


def _collection(form: Form) -> Walk[Node]:
    if _is_constant(form):
        try:
            return _literal(value_of(_unquoted(form)), form.span)
        except ValueError:  # equal keys or members, some of them quoted: the constructor decides
            pass
    constructor = make("variable", form.span, {NAME: _CONSTRUCTORS[form.kind]})
    operands = yield _all(form.value)
    return make("application", form.span, {_OPERATOR: constructor, _OPERANDS: pvector(operands)})


def _application(form: Form) -> Walk[Node]:
    operator, *operands = yield _all(form.value)
    return make("application", form.span, {_OPERATOR: operator, _OPERANDS: pvector(operands)})


def _quote(form: Form) -> Walk[Node]:
    return _literal(value_of(form.value[1]), form.span)
    yield


def _if(form: Form) -> Walk[Node]:
    test, consequent, *rest = yield _all(form.value[1:])
    alternative = rest[0] if rest else _literal(None, form.span)
    return make("if", form.span, {_TEST: test, _CONSEQUENT: consequent, _ALTERNATIVE: alternative})


def _do(form: Form) -> Walk[Node]:
    return (yield _body(form.value[1:], form.span))  # type: ignore[no-any-return]


def _def(form: Form) -> Walk[Node]:
    _, name, init = form.value
    (node,) = yield _all([init])
    return make("def", form.span, {NAME: name.value, _INIT: node})


def _bindings(form: Form) -> Walk[Any]:
    names, inits = form.value[::2], form.value[1::2]
    nodes = yield _all(inits)
    return pvector(
        [
            make("binding", _join(name.span, init.span), {NAME: name.value, _INIT: node})
            for name, init, node in zip(names, inits, nodes, strict=True)
        ]
    )


def _join(first: Span, last: Span) -> Span:
    """Return the span from one place to another, or the first when they are not in that order."""
    if (last.end_line, last.end_column) < (first.line, first.column):
        return first
    return Span(first.line, first.column, last.end_line, last.end_column)


def _binding_form(kind: str) -> Callable[[Form], Walk[Node]]:
    def lower_bindings(form: Form) -> Walk[Node]:
        bindings = yield _bindings(form.value[1])
        body = yield _body(form.value[2:], form.span)
        if not bindings and kind != "loop":
            return body  # type: ignore[no-any-return]
        return make(kind, form.span, {_BINDINGS: bindings, _BODY: body})

    return lower_bindings


def _recur(form: Form) -> Walk[Node]:
    operands = yield _all(form.value[1:])
    return make("recur", form.span, {_OPERANDS: pvector(operands)})


def _fn(form: Form) -> Walk[Node]:
    """Lower `(fn* name? ([parameters] body...) ...)`."""
    rest = form.value[1:]
    fields: dict[Keyword, object] = {}
    if rest and rest[0].kind == "symbol":
        fields[NAME] = rest[0].value
        rest = rest[1:]
    arities: list[Node] = []
    for arity in rest:
        lowered = yield _arity(arity)
        arities.append(lowered)
    return make("lambda", form.span, {**fields, _ARITIES: pvector(arities)})


def _arity(form: Form) -> Walk[Node]:
    parameters, body_forms = form.value[0], form.value[1:]
    names = [item for item in parameters.value if item.value != "&"]
    body = yield _body(body_forms, form.span)
    nodes = [make("parameter", name.span, {NAME: name.value}) for name in names]
    variadic = len(names) != len(parameters.value)
    return make("arity", form.span, {VARIADIC: variadic, _PARAMS: pvector(nodes), _BODY: body})


def _try(form: Form) -> Walk[Node]:
    """Lower `(try body... (catch Class name body...)... (finally body...)?)`.

    With a finally it is a call of the core library's `finally*` with two functions.
    """
    body_forms: list[Form] = []
    catches: list[Node] = []
    finalizer: Node | None = None
    for part in form.value[1:]:
        head = _head(part)
        if head == "catch":
            catches.append((yield _catch(part)))
        elif head == "finally":
            finalizer = yield _body(part.value[1:], part.span)
        else:
            body_forms.append(part)
    body = yield _body(body_forms, form.span)
    attempt = make("try", form.span, {_BODY: body, _CATCHES: pvector(catches)})
    if finalizer is None:
        return attempt
    operator = make("variable", form.span, {NAME: "yin.core/finally*"})
    operands = pvector([_thunk(attempt), _thunk(finalizer)])
    return make("application", form.span, {_OPERATOR: operator, _OPERANDS: operands})


def _thunk(body: Node) -> Node:
    """Return a function without parameters; as in a try, nothing in it is in tail position."""
    span = span_of(body)
    if kind_of(body).name != "try":
        body = make("try", span, {_BODY: body, _CATCHES: pvector()})
    arity = make("arity", span, {VARIADIC: False, _PARAMS: pvector(), _BODY: body})
    return make("lambda", span, {_ARITIES: pvector([arity])})


def _catch(form: Form) -> Walk[Node]:
    _, class_, name, *body_forms = form.value
    body = yield _body(body_forms, form.span)
    fields = {NAME: name.value, CLASS: class_.value, _BODY: body}
    return make("catch", form.span, fields)


def _head(form: Form) -> str | None:
    if form.kind == "list" and form.value and form.value[0].kind == "symbol":
        return form.value[0].value  # type: ignore[no-any-return]
    return None


def _throw(form: Form) -> Walk[Node]:
    (operand,) = yield _all(form.value[1:])
    return make("throw", form.span, {_OPERAND: operand})


_SPECIAL: dict[str, Callable[[Form], Walk[Node]]] = {
    "quote": _quote,
    "if": _if,
    "do": _do,
    "def": _def,
    "let*": _binding_form("let"),
    "loop*": _binding_form("loop"),
    "letfn*": _binding_form("letrec"),
    "recur": _recur,
    "fn*": _fn,
    "try": _try,
    "throw": _throw,
}
