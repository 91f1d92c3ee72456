"""Core forms to the Universal AST.

Is:     one node for one core form; constant collections become literals, others calls of the core's constructors.
Is not: a checker: `yang.expand` has refused what is malformed; names are resolved by rules, later.
Fits:   between `yang.expand` and `yang.ast_datoms`. `tree_of_source` runs all stations up to here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from yang.errors import ProgramInvalid, Source, raise_all
from yang.expand import expand
from yang.forms import Expansion, Form, literal, text_of, value_of
from yang.host import ALONE, Host
from yang.nodes import KINDS, Item, Kind, Tree, Written
from yang.pause import collector_paused
from yang.reader.clojure import read_on
from yang.segment import Span

_PROGRAM, _LITERAL, _VARIABLE = KINDS["program"], KINDS["literal"], KINDS["variable"]
_DEF, _LAMBDA, _ARITY, _PARAMETER = (
    KINDS["def"],
    KINDS["lambda"],
    KINDS["arity"],
    KINDS["parameter"],
)
_APPLICATION, _IF, _DO, _RECUR = KINDS["application"], KINDS["if"], KINDS["do"], KINDS["recur"]
_LET, _LOOP, _LETREC, _BINDING = KINDS["let"], KINDS["loop"], KINDS["letrec"], KINDS["binding"]
_TRY, _CATCH, _THROW = KINDS["try"], KINDS["catch"], KINDS["throw"]
_NAMED = frozenset(
    ["variable", "binding", "parameter", "lambda", "catch"]
)  # what has or uses a local
_MADE = re.compile(r"(.+)~r?\d+")  # the names of `Expander.fresh`, and these as `Exact` reads them
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
        read, errors, is_whole = read_on(source)
        if not is_whole:
            raise_all(errors)
        forms, whole = expand(read, source, core=core, host=host, errors=errors)
        return lower(forms, whole), whole


def lower(forms: Sequence[Form], source: Source) -> Tree:
    """Return the :program of core forms. Raises SourceError if it is too deep or too large."""
    lines = source.text.split("\n")
    first = source.parts[1].line - 1 if len(source.parts) > 1 else len(lines)
    lines = lines[:first]
    span = Span(1, 1, len(lines), len(lines[-1]) + 1)
    lowering = _Lowering()
    lowering.add(_PROGRAM, (source.name,), (len(forms),), span)
    items = lowering.items
    for form in forms:
        start = len(items)
        lowering.statement(form)
        number_made(items, start)
    try:
        return Tree(items, None, source.parts, lowering.expansions())
    except ProgramInvalid as error:
        place = span if error.node is None else items[error.node].span
        raise source.error(str(error), place) from None


def number_made(items: list[Item], start: int = 0) -> None:
    """Number the names that expansion made in the last statement from 1 for each beginning.

    So a statement is the same whatever stands before it, and whichever forms it was written with.
    """
    numbers: dict[str, str] = {}
    counts: dict[str, int] = {}
    for at in range(start, len(items)):
        kind, scalars, _, _ = items[at]
        if kind.name not in _NAMED or scalars[0] is None or "~" not in scalars[0]:  # type: ignore[operator]
            continue
        name = str(scalars[0])
        made = _MADE.fullmatch(name)
        if made is None:
            continue
        if name not in numbers:
            counts[made[1]] = counts.get(made[1], 0) + 1
            numbers[name] = f"{made[1]}~{counts[made[1]]}"
        items[at] = items[at]._replace(scalars=(numbers[name], *scalars[1:]))


class _Lowering:
    """One walk over core forms: the nodes so far, in pre-order, and what waits for its turn, the next one last.

    What waits is a form, or a function of this class with a form for what is no form by itself: a binding, an arity, a
    body. A node is noted before what is inside it, which is why its children are counted beforehand.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._origins: dict[int, tuple[Expansion, ...]] = {}
        self._waiting: list[Form | tuple[Callable[[_Lowering, Form], None], Form]] = []

    def expansions(self) -> dict[int, tuple[Written, ...]]:
        """Return the macro calls that nodes come from."""
        return {
            number: tuple([Written(one.macro, text_of(one.form), one.form.span) for one in calls])
            for number, calls in self._origins.items()
        }

    def statement(self, form: Form) -> None:
        """Note the nodes of one form. Cost: linear, no recursion."""
        waiting = self._waiting
        waiting.append(form)
        while waiting:
            entry = waiting.pop()
            if type(entry) is Form:
                self._form(entry)
            else:
                entry[0](self, entry[1])  # type: ignore[operator]

    def add(
        self, kind: Kind, scalars: tuple[object, ...], counts: tuple[int, ...], span: Span
    ) -> None:
        """Note the next node."""
        self.items.append(Item(kind, scalars, counts, span))

    def _form(self, form: Form) -> None:
        kind, value, span, _, origin = form
        if origin:
            number = len(self.items)
            self._origins[number] = (*self._origins.get(number, ()), *origin)
        if kind == "symbol":
            self.items.append(Item(_VARIABLE, (value,), (), span))
        elif kind == "literal":
            self.items.append(Item(_LITERAL, (value,), (), span))
        elif kind != "list":
            self._collection(form)
        elif not value:
            self.items.append(Item(_LITERAL, (value_of(form),), (), span))
        else:
            head = value[0]
            special = _SPECIAL.get(head.value) if head.kind == "symbol" else None
            if special is not None:
                special(self, form)
            else:
                self.items.append(Item(_APPLICATION, (), (1, len(value) - 1), span))
                self._waiting.extend(value[::-1])

    def _collection(self, form: Form) -> None:
        """Note a literal where all inside is constant, else a call of the constructor."""
        if _is_constant(form):
            try:
                self.add(_LITERAL, (value_of(_unquoted(form)),), (), form.span)
                return
            except (
                ValueError
            ):  # equal keys or members, some of them quoted: the constructor decides
                pass
        self.add(_APPLICATION, (), (1, len(form.value)), form.span)
        self.add(_VARIABLE, (_CONSTRUCTORS[form.kind],), (), form.span)
        self._waiting.extend(form.value[::-1])

    def _body(self, forms: Sequence[Form], span: Span) -> None:
        """Note one node for the forms of a body: nil when there are none."""
        if not forms:
            self.add(_LITERAL, (None,), (), span)
        elif len(forms) > 1:
            self.add(_DO, (), (len(forms),), span)
        self._waiting.extend(forms[::-1])

    def quote(self, form: Form) -> None:
        """Note a quoted value."""
        self.add(_LITERAL, (value_of(form.value[1]),), (), form.span)

    def if_(self, form: Form) -> None:
        """Note a choice, nil being what a missing alternative gives."""
        test, consequent, *rest = form.value[1:]
        self.add(_IF, (), (1, 1, 1), form.span)
        alternative = rest[0] if rest else literal(None, form.span)
        self._waiting += (alternative, consequent, test)

    def do(self, form: Form) -> None:
        """Note a sequence."""
        self._body(form.value[1:], form.span)

    def def_(self, form: Form) -> None:
        """Note a definition."""
        _, name, init = form.value
        self.add(_DEF, (name.value,), (1,), form.span)
        self._waiting.append(init)

    def let(self, form: Form) -> None:
        """Note the bindings of a let; without any it is its body."""
        if form.value[1].value:
            self._binds(_LET, form)
        else:
            self.after_head(form)

    def letrec(self, form: Form) -> None:
        """Note functions that see one another."""
        if form.value[1].value:
            self._binds(_LETREC, form)
        else:
            self.after_head(form)

    def loop(self, form: Form) -> None:
        """Note the place that a recur goes to."""
        self._binds(_LOOP, form)

    def _binds(self, kind: Kind, form: Form) -> None:
        bindings: tuple[Form, ...] = form.value[1].value
        self.add(kind, (), (len(bindings) // 2, 1), form.span)
        self._waiting.append((_Lowering.after_head, form))
        for place in range(len(bindings) - 2, -1, -2):
            pair = Form("vector", bindings[place : place + 2], form.span)
            self._waiting.append((_Lowering.binding, pair))

    def binding(self, pair: Form) -> None:
        """Note one name with its value."""
        name, init = pair.value
        self.add(_BINDING, (name.value,), (1,), _join(name.span, init.span))
        self._waiting.append(init)

    def after_head(self, form: Form) -> None:
        """Note the body that stands after two forms."""
        self._body(form.value[2:], form.span)

    def recur(self, form: Form) -> None:
        """Note the way back to a loop."""
        self.add(_RECUR, (), (len(form.value) - 1,), form.span)
        self._waiting.extend(form.value[:0:-1])

    def fn(self, form: Form) -> None:
        """Note `(fn* name? ([parameters] body...) ...)`."""
        arities = form.value[1:]
        name = None
        if arities and arities[0].kind == "symbol":
            name, arities = arities[0].value, arities[1:]
        self.add(_LAMBDA, (name,), (len(arities),), form.span)
        self._waiting.extend([(_Lowering.arity, arity) for arity in arities[::-1]])

    def arity(self, form: Form) -> None:
        """Note one body of a function."""
        parameters = form.value[0].value
        names = [item for item in parameters if item.value != "&"]
        is_variadic = len(names) != len(parameters)
        self.add(_ARITY, (is_variadic,), (len(names), 1), form.span)
        self.items += [Item(_PARAMETER, (name.value,), (), name.span) for name in names]
        self._body(form.value[1:], form.span)

    def try_(self, form: Form) -> None:
        """Note `(try body... (catch Class name body...)... (finally body...)?)`.

        With a finally it is a call of the core library's `finally*` with two functions.
        """
        parts = [part for part in form.value[1:] if _head(part) == "finally"]
        if not parts:
            self.attempt(form)
            return
        finalizer = parts[-1]
        self.add(_APPLICATION, (), (1, 2), form.span)
        self.add(_VARIABLE, ("yin.core/finally*",), (), form.span)
        self._waiting.append((_Lowering.finalizer, finalizer))
        self._thunk(form.span)
        self.attempt(form)

    def attempt(self, form: Form) -> None:
        """Note a try and its catches."""
        parts = form.value[1:]
        catches = [part for part in parts if _head(part) == "catch"]
        body = [part for part in parts if _head(part) not in ("catch", "finally")]
        self.add(_TRY, (), (1, len(catches)), form.span)
        self._waiting.extend([(_Lowering.catch, part) for part in catches[::-1]])
        self._body(body, form.span)

    def finalizer(self, form: Form) -> None:
        """Note the function of a finally; as in a try, nothing in it is in tail position."""
        body = _settled(form.value[1:], form.span)
        self._thunk(body.span)
        if _head(body) != "try" or any(_head(part) == "finally" for part in body.value):
            self.add(_TRY, (), (1, 0), body.span)
        self._body(form.value[1:], form.span)

    def _thunk(self, span: Span) -> None:
        self.add(_LAMBDA, (None,), (1,), span)
        self.add(_ARITY, (False,), (0, 1), span)

    def catch(self, form: Form) -> None:
        """Note what is done about an error."""
        _, class_, name, *body = form.value
        self.add(_CATCH, (name.value, class_.value), (1,), form.span)
        self._body(body, form.span)

    def throw(self, form: Form) -> None:
        """Note the raising of an error."""
        self.add(_THROW, (), (1,), form.span)
        self._waiting.append(form.value[1])


def _settled(forms: Sequence[Form], span: Span) -> Form:
    """Return the form whose node is that of a body, or what has its place where there is no such form."""
    while len(forms) == 1:
        (form,) = forms
        head = _head(form)
        if head == "do":
            forms, span = form.value[1:], form.span
        elif head in ("let*", "letfn*") and not form.value[1].value:
            forms, span = form.value[2:], form.span
        else:
            return form
    return Form("vector", tuple(forms), span)  # several or none: neither a form nor a try


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


def _join(first: Span, last: Span) -> Span:
    """Return the span from one place to another, or the first when they are not in that order."""
    if (last.end_line, last.end_column) < (first.line, first.column):
        return first
    return Span(first.line, first.column, last.end_line, last.end_column)


def _head(form: Form) -> str | None:
    if form.kind == "list" and form.value and form.value[0].kind == "symbol":
        return form.value[0].value  # type: ignore[no-any-return]
    return None


_SPECIAL: dict[str, Callable[[_Lowering, Form], None]] = {
    "quote": _Lowering.quote,
    "if": _Lowering.if_,
    "do": _Lowering.do,
    "def": _Lowering.def_,
    "let*": _Lowering.let,
    "loop*": _Lowering.loop,
    "letfn*": _Lowering.letrec,
    "recur": _Lowering.recur,
    "fn*": _Lowering.fn,
    "try": _Lowering.try_,
    "throw": _Lowering.throw,
}
