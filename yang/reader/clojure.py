"""Clojure source text to forms with spans.

Is:     the two loops over the tables of clojure.lark, the meaning of its rules, and errors that name what is unclosed,
        unexpected or not supported; several of them in one run.
Is not: expansion; `#( )`, quote and deref are only spelled out as forms. What depends on the namespace (`::a`, syntax
        quote) keeps a kind of its own until `yang.reader.resolve` knows that.
Fits:   first station of the compiler; `yang.expand` takes the forms.
Source: Clojure 1.11's reader. Grammar in clojure.lark; both loops keep their own stacks: deep text cannot exhaust Python's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from datomstore.value import Keyword
from yang.errors import Source, SourceError, raise_all
from yang.forms import Exact, Form, FormKind, is_name, literal, symbol, value_of
from yang.limits import ERRORS_SHOWN_MAX, NESTING_MAX, SOURCE_BYTES_MAX
from yang.pause import collector_paused
from yang.reader import literals
from yang.reader.tables import APPEND, tables
from yang.segment import Span

FEATURES = frozenset({"yin", "default"})  # what reader conditionals choose among

NAME_TAG = "#yin/name"  # before a string: the name of a node, as it is in the tree

_CLOSERS = {
    "LIST_OPEN": ")",
    "FUNCTION_OPEN": ")",
    "CONDITIONAL_OPEN": ")",
    "VECTOR_OPEN": "]",
    "MAP_OPEN": "}",
    "SET_OPEN": "}",
    "NAMESPACED_OPEN": "}",
}
_REFUSED = {
    "#=": "read-time evaluation #= is not supported",
    "#<": "unreadable form",
    "#:": "#:name is followed by a map",
    "#?": "#? is followed by a list: #?(:yin form :default form)",
}


class _Fault(NamedTuple):
    """What is wrong at a place; becomes an error where the source text is known."""

    message: str
    span: Span
    hint: str | None = None


class _Mark(NamedTuple):
    """A bracket or prefix, and where it stands."""

    type: str
    text: str
    span: Span
    token: int  # position among the tokens


class _Splice(NamedTuple):
    """What a reader conditional stands for: no form, one, or several."""

    forms: tuple[Form, ...]
    span: Span


class _Refused(Exception):
    """Carries a fault out of an action; never leaves this module."""

    def __init__(self, message: str, span: Span, hint: str | None = None) -> None:
        super().__init__(message)
        self.fault = _Fault(message, span, hint)


Token: TypeAlias = tuple[str, Any]  # its type, and a form or a mark
Parts: TypeAlias = list[Any]  # marks, forms and lists of forms of one rule


def read(text: str, source_name: str = "<source>") -> tuple[Form, ...]:
    """Return the top-level forms of a source text, as `read_source` does."""
    return read_source(Source(source_name, text))


def read_source(source: Source, text: str | None = None, lines_before: int = 0) -> tuple[Form, ...]:
    """Return the top-level forms of a source, or of the part of it that comes after so many lines.

    Cost: linear; about 25 us a line.

    Raises:
        SourceError, SourceErrors: what cannot be read; after an error reading goes on where a line starts with a bracket.
    """
    text = source.text if text is None else text
    start = Span(1 + lines_before, 1, 1 + lines_before, 1)
    if len(text) > SOURCE_BYTES_MAX:
        raise source.error(f"source text of more than {SOURCE_BYTES_MAX} characters", start)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = "half of a surrogate pair, not a character"
        raise source.error(message, _span_at(text, error.start, lines_before)) from None
    with collector_paused():
        reading = _Reading(lines_before)
        tokens = reading.scan(text)
        forms = reading.parse(tokens)
    raise_all(_errors(source, reading.faults))
    return forms


def is_complete(text: str) -> bool:
    """Return whether a text is to be read as it is; False if what is open at its end could still be closed."""
    if len(text) > SOURCE_BYTES_MAX:
        return True
    reading = _Reading(0)
    reading.parse(reading.scan(text))
    return not (reading.is_cut or reading.is_open)


def _errors(source: Source, faults: list[_Fault]) -> list[SourceError]:
    found = sorted(set(faults), key=lambda fault: fault.span)[:ERRORS_SHOWN_MAX]
    return [source.error(*fault) for fault in found]


def _span_at(text: str, position: int, lines_before: int) -> Span:
    line = text.count("\n", 0, position) + 1 + lines_before
    column = position - text.rfind("\n", 0, position)
    return Span(line, column, line, column + 1)


class _Reading:
    """One run over a text: the faults so far."""

    def __init__(self, lines_before: int) -> None:
        self.lines_before = lines_before
        self.faults: list[_Fault] = []
        self.is_cut = (
            False  # the text ends inside a string, so what is open is open because of that
        )
        self.is_open = False  # it ends inside a form, and nothing before is misplaced

    # -- text to tokens --

    def scan(self, text: str) -> list[Token]:
        """Return the tokens of a text; leaves are forms already."""
        tokens: list[Token] = []
        match = tables().scanner.match
        line, line_start, position, size = 1 + self.lines_before, 0, 0, len(text)
        leaves = _LEAVES
        while position < size:
            found = match(text, position)
            if found is None:
                position = self._skip(text, position, _span_at(text, position, self.lines_before))
                continue
            name = found.lastgroup
            position, end = found.span(name)  # type: ignore[arg-type]
            if name == "BLANK":
                newlines = text.count("\n", position, end)
                if newlines:
                    line += newlines
                    line_start = text.rfind("\n", position, end) + 1
                position = end
                continue
            column = position - line_start + 1
            piece = text[position:end]
            if "\n" in piece:
                start_line = line
                line += piece.count("\n")
                line_start = text.rfind("\n", position, end) + 1
                span = Span(start_line, column, line, end - line_start + 1)
            else:
                span = Span(line, column, line, column + end - position)
            read_leaf = leaves.get(name)  # type: ignore[arg-type]
            if read_leaf is None:
                tokens.append((name, _Mark(name, piece, span, len(tokens))))  # type: ignore[arg-type]
            else:
                try:
                    tokens.append((name, read_leaf(piece, span)))  # type: ignore[arg-type]
                except (ValueError, OverflowError) as error:
                    self.faults.append(_Fault(str(error), span, getattr(error, "hint", None)))
                    tokens.append((name, literal(None, span)))  # type: ignore[arg-type]
            position = end
        return tokens

    def _skip(self, text: str, position: int, span: Span) -> int:
        """Note a place where no token starts; return where to go on."""
        two = text[position : position + 2]
        if two[0] == '"' or two == '#"':
            what = "string" if two[0] == '"' else "regular expression"
            self.faults.append(_Fault(f"this {what} is not closed", span, 'close it with "'))
            self.is_cut = True
            return len(text)
        message = _REFUSED.get(two) or f"unexpected {two[0]}"
        self.faults.append(_Fault(message, span))
        return position + (2 if two in _REFUSED else 1)

    # -- tokens to forms --

    def parse(self, tokens: list[Token]) -> tuple[Form, ...]:
        """Return the forms of tokens; after a fault, what could still be read."""
        _, actions, start, end, names = tables()
        states: list[Any] = [start]
        values: Parts = []
        rules = {name: getattr(self, f"_{name}") for name in names}
        is_deep = False
        number, count = 0, len(tokens)
        following: list[Token] = [*tokens, ("$END", None)]
        while True:
            type_, token = following[number]
            action = actions[states[-1]].get(type_)
            if action.__class__ is int:
                number += 1
                if action == APPEND:
                    values[-1].append(token)
                    continue
                states.append(action)
                values.append(token)
                if len(states) > NESTING_MAX:
                    is_deep = True
            elif action is not None:
                size, rule, origin = action  # type: ignore[misc]
                if rule is not None:
                    parts = values[len(values) - size :]
                    del states[len(states) - size :], values[len(values) - size :]
                    try:
                        value = rules[rule](parts)
                    except _Refused as refused:
                        self.faults.append(refused.fault)
                        value = literal(None, refused.fault.span)
                else:
                    states.pop()
                    value = values.pop()
                state = actions[states[-1]][origin]
                if state == APPEND:
                    self._items_form([values[-1], value])
                    continue
                values.append(value)
                states.append(state)
                if type_ == "$END" and state == end:
                    break
            else:
                number = self._recover(tokens, number, values)
                if number < 0:
                    break
                if number == count or tokens[number][1].span.column == 1:
                    states, values = [start], []
        forms: tuple[Form, ...] = tuple(values[0]) if values and isinstance(values[0], list) else ()
        if is_deep and not self.faults:
            self._refuse_deep(forms)
        return forms

    def _recover(self, tokens: list[Token], number: int, values: Parts) -> int:
        """Note the fault of a token that cannot stand where it does; return where to go on, -1 for nowhere."""
        waiting = [entry for entry in values if isinstance(entry, _Mark)]
        at_end = number == len(tokens)
        self.is_open = self.is_open or (at_end and not self.faults)
        if waiting and waiting[-1].type not in _CLOSERS:
            self._note(f"{waiting[-1].text} has no form after it", waiting[-1].span)
            start = waiting[0]
        elif not waiting:
            mark: _Mark = tokens[number][1]
            self._note(f"{mark.text} closes nothing", mark.span)
            start = mark
        else:
            start = waiting[0]
            self._note_open(waiting, None if at_end else tokens[number][1])
        for following in range(start.token + 1, len(tokens)):
            type_, token = tokens[following]
            if token.span.column == 1 and type_ in _CLOSERS and following != number:
                return following
        return -1

    def _note_open(self, waiting: list[_Mark], closing: _Mark | None) -> None:
        opener = waiting[-1]
        closer = _CLOSERS[opener.type]
        if closing is not None:
            place = f"line {opener.span.line}, column {opener.span.column}"
            self._note(
                f"{closing.text} does not close {opener.text} of {place}",
                closing.span,
                f"expected {closer}",
            )
        elif not self.is_cut:
            message = f"{opener.text} is not closed"
            self._note(message, opener.span, f"the text ends before its {closer}")

    def _note(self, message: str, span: Span, hint: str | None = None) -> None:
        self.faults.append(_Fault(message, span, hint))

    def _refuse_deep(self, forms: tuple[Form, ...]) -> None:
        level = [form for form in forms if not form.is_leaf]
        for _ in range(NESTING_MAX):
            if not level:
                return
            level = [inner for form in level for inner in form.value if not inner.is_leaf]
        if level:
            self._note(f"forms nested deeper than {NESTING_MAX}", level[0].span)

    # -- the rules of the grammar --

    def _items_none(self, parts: Parts) -> Parts:
        return []

    def _items_form(self, parts: Parts) -> Parts:
        items, form = parts
        if form.__class__ is _Splice:
            items.extend(form.forms)
        else:
            items.append(form)
        return items  # type: ignore[no-any-return]

    def _items_discard(self, parts: Parts) -> Parts:
        return parts[0]  # type: ignore[no-any-return]

    def _start(self, parts: Parts) -> Parts:
        return parts[0]  # type: ignore[no-any-return]

    def _skipped(self, parts: Parts) -> None:
        return None

    _discard = _skipped

    def _list(self, parts: Parts) -> Form:
        return Form("list", tuple(parts[1]), _between(parts[0].span, parts[2].span))

    def _vector(self, parts: Parts) -> Form:
        return Form("vector", tuple(parts[1]), _between(parts[0].span, parts[2].span))

    def _set(self, parts: Parts) -> Form:
        form = self._collection("set", parts)
        _refuse_twice(form, form.value, "a set with a member twice")
        return form

    def _map(self, parts: Parts) -> Form:
        form = self._collection("map", parts)
        if len(form.value) % 2:
            raise _Refused("a map with a key that has no value", form.value[-1].span)
        _refuse_twice(form, form.value[::2], "a map with a key twice")
        return form

    def _collection(self, kind: FormKind, parts: Parts) -> Form:
        return Form(kind, tuple(parts[1]), _between(parts[0].span, parts[2].span))

    def _function(self, parts: Parts) -> Form:
        form = self._collection("function", parts)
        stack = [item for item in form.value if not item.is_leaf]
        while stack:
            inner = stack.pop()
            if inner.kind == "function":
                hint = "write the inner one as (fn [x] ...)"
                raise _Refused("#( ) inside #( )", inner.span, hint)
            stack.extend([item for item in inner.value if not item.is_leaf])
        return form

    def _conditional(self, parts: Parts) -> _Splice:
        """Return what stands after the first feature that is ours."""
        opener, items, closer = parts
        span = _between(opener.span, closer.span)
        if len(items) % 2:
            raise _Refused("a feature without a form", items[-1].span)
        for feature, form in zip(items[::2], items[1::2], strict=True):
            if feature.kind != "literal" or not isinstance(feature.value, Keyword):
                raise _Refused("a feature is a keyword: :yin, :clj, :default", feature.span)
            if feature.value.name not in FEATURES:
                continue
            if "@" not in opener.text:
                return _Splice((form,), span)
            if form.kind not in ("list", "vector"):
                raise _Refused("#?@ puts the items of a list or vector here", form.span)
            return _Splice(form.value, span)
        return _Splice((), span)

    def _namespaced(self, parts: Parts) -> Form:
        form = self._map(parts)
        prefix = parts[0].text[2:].rstrip("{ \t\r\n\f\v,")
        if prefix.startswith(":"):
            name = symbol(prefix[1:], parts[0].span)
            return Form("namespaced", (name, form), form.span)
        if not prefix:
            raise _Refused("#: has no namespace after it", parts[0].span)
        return with_namespace(form, prefix)

    def _quote(self, parts: Parts) -> Form:
        return _prefixed("quote", parts)

    def _deref(self, parts: Parts) -> Form:
        return _prefixed("clojure.core/deref", parts)

    def _var(self, parts: Parts) -> Form:
        return _prefixed("var", parts)

    def _syntax_quote(self, parts: Parts) -> Form:
        return _marked("syntax-quote", parts)

    def _unquote(self, parts: Parts) -> Form:
        return _marked("unquote", parts)

    def _unquote_splicing(self, parts: Parts) -> Form:
        return _marked("unquote-splicing", parts)

    def _tagged(self, parts: Parts) -> Form:
        mark, _, given = parts
        form = _single(mark, given)
        span = _between(mark.span, form.span)
        if mark.text == NAME_TAG:
            return _exact(form, span)
        reader = literals.TAGS.get(mark.text)
        if reader is None:
            return Form("tagged", (symbol(mark.text[1:], mark.span), form), span)
        if form.kind != "literal" or not isinstance(form.value, str):
            raise _Refused(f"{mark.text} is followed by a string", form.span)
        try:
            return literal(reader(form.value), span)
        except (ValueError, OverflowError) as error:
            raise _Refused(f"{mark.text}: {error}", form.span) from None

    def _meta(self, parts: Parts) -> Form:
        mark, _, given, _, described = parts
        metadata, form = _single(mark, given), _single(mark, described)
        if form.kind in ("literal", "auto"):
            raise _Refused("metadata stands before a symbol or a collection", form.span)
        if metadata.kind == "map":
            items = metadata.value
            entries = tuple(zip(items[::2], items[1::2], strict=True))
        elif metadata.kind == "symbol" or isinstance(metadata.value, str):
            entries = ((literal(Keyword("tag"), metadata.span), metadata),)
        elif (
            metadata.kind == "literal" and isinstance(metadata.value, Keyword)
        ) or metadata.kind == "auto":
            entries = ((metadata, literal(True, metadata.span)),)
        else:
            raise _Refused("metadata is a symbol, keyword, string or map", metadata.span)
        return form._replace(meta=(*form.meta, *entries))


def _exact(form: Form, span: Span) -> Form:
    """Return the symbol of `#yin/name "x"`."""
    if form.kind != "literal" or not isinstance(form.value, str) or not is_name(form.value):
        raise _Refused(f"{NAME_TAG} is followed by a name in a string", form.span)
    return symbol(Exact.of(form.value), span)


def _between(first: Span, last: Span) -> Span:
    return Span(first.line, first.column, last.end_line, last.end_column)


def _single(mark: _Mark, given: Form | _Splice) -> Form:
    if isinstance(given, Form):
        return given
    if len(given.forms) != 1:
        raise _Refused(f"{mark.text} has no form after it", mark.span)
    return given.forms[0]


def _prefixed(head: str, parts: Parts) -> Form:
    mark, _, given = parts
    form = _single(mark, given)
    return Form("list", (symbol(head, mark.span), form), _between(mark.span, form.span))


def _marked(kind: FormKind, parts: Parts) -> Form:
    mark, _, given = parts
    form = _single(mark, given)
    return Form(kind, (form,), _between(mark.span, form.span))


def with_namespace(form: Form, namespace: str) -> Form:
    """Return a map form with the namespace put before its plain keys; `_/x` is plain x."""
    return form._replace(
        value=tuple(
            [
                _with_namespace(item, namespace) if position % 2 == 0 else item
                for position, item in enumerate(form.value)
            ]
        )
    )


def _with_namespace(key: Form, namespace: str) -> Form:
    is_keyword = key.kind == "literal" and isinstance(key.value, Keyword)
    if key.kind != "symbol" and not is_keyword:
        return key
    name: str = key.value.name if is_keyword else key.value
    if name.startswith("_/"):
        name = name[2:]
    elif "/" not in name:
        name = f"{namespace}/{name}"
    return key._replace(value=Keyword(name) if is_keyword else name)


def _refuse_twice(form: Form, keys: tuple[Form, ...], message: str) -> None:
    """Refuse equal constant keys; a key that is computed may turn out equal only when it runs."""
    constants = tuple([key for key in keys if key.kind == "literal" or key.kind == "symbol"])
    if len(constants) < 2:
        return
    try:
        value_of(Form("set", constants, form.span))
    except ValueError:
        raise _Refused(message, form.span) from None


_LEAVES: dict[str, Callable[[str, Span], Form]] = literals.LEAVES
