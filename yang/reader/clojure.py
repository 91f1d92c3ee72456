"""Clojure source text to forms with spans.

Is:     the two loops over the tables of clojure.lark, the meaning of its rules, and errors that name what is unclosed,
        unexpected or not supported; several of them in one run, each form without errors being read all the same.
Is not: expansion; `#( )`, quote and deref are only spelled out as forms. What depends on the namespace (`::a`, syntax
        quote) keeps a kind of its own until `yang.reader.resolve` knows that.
Fits:   first station of the compiler; `yang.expand` takes the forms.
Source: Clojure 1.11's reader. Grammar in clojure.lark; both loops keep their own stacks: deep text cannot exhaust Python's.

After an error reading goes on at the next line that begins with a parenthesis. That such a line begins a form at the top
is what editors take for granted, too (Emacs: open-paren-in-column-0-is-defun-start); nothing depends on it in text that
can be read. What lies between is one form of the kind `unread`: its symbols and literals, so that later stations can see
what it would have defined.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
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
_CUT = "CUT"  # the type of a token that stands where a string is not closed
_STARTS = frozenset({"LIST_OPEN", "CONDITIONAL_OPEN"})  # of a form at the top, in column 1
_AFTER_STRINGS = frozenset(" \t\r\n\f\v,)]};")  # what stands behind one that ends where it should
_NEW_FORM = "\n("
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


class Reading(NamedTuple):
    """The top-level forms of a text, those that cannot be read among them as `unread`, and what is wrong with these."""

    forms: tuple[Form, ...]
    errors: list[SourceError]
    is_whole: bool  # False: there are so many errors that reading ended before the text


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

    Raises:
        SourceError, SourceErrors: what cannot be read.
    """
    forms, errors, _ = read_on(source, text, lines_before)
    raise_all(errors)
    return forms


def read_on(source: Source, text: str | None = None, lines_before: int = 0) -> Reading:
    """Return all that can be read of a source, or of the part of it that comes after so many lines, and what cannot.

    Cost: linear, about 25 us a line; with errors once more for each of them, which are ERRORS_SHOWN_MAX at most.

    Raises:
        SourceError: it is too long, or not text.
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
    errors = _errors(source, reading.faults)
    return Reading(forms, errors, len(errors) < ERRORS_SHOWN_MAX)


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
        self._cut_at = 0  # tokens up to the last string that is not closed

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
                position = self._skip(text, position, tokens)
                line = 1 + self.lines_before + text.count("\n", 0, position)
                line_start = text.rfind("\n", 0, position) + 1
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

    def _skip(self, text: str, position: int, tokens: list[Token]) -> int:
        """Note a place where no token starts; return where to go on."""
        if len(self.faults) >= ERRORS_SHOWN_MAX:
            return len(text)
        two = text[position : position + 2]
        if two[0] == '"' or two == '#"':
            self.is_cut = True
            return self._cut(text, position, tokens)
        message = _REFUSED.get(two) or f"unexpected {two[0]}"
        self._note(message, _span_at(text, position, self.lines_before))
        return position + (2 if two in _REFUSED else 1)

    def _cut(self, text: str, position: int, tokens: list[Token]) -> int:
        """Take back what was read since a string that is not closed; return where the next form begins.

        All later quotes close where they should open. So it is not the last one that is to blame, but the first that
        has the beginning of a form in it and code right behind it, if there is such a string.
        """
        kept = len(tokens)
        for number, start, end in self._long_strings(text, tokens):
            if text[end : end + 1] not in _AFTER_STRINGS and _NEW_FORM in text[start:end]:
                kept, position = number, start
                break
        span = _span_at(text, position, self.lines_before)
        del tokens[kept:]
        self.faults = [fault for fault in self.faults if fault.span < span]
        what = "string" if text[position] == '"' else "regular expression"
        self._note(f"this {what} is not closed", span, 'close it with "')
        tokens.append((_CUT, _Mark(_CUT, "", span, kept)))
        self._cut_at = len(tokens)
        following = text.find(_NEW_FORM, position)
        return len(text) if following < 0 else following + 1

    def _long_strings(self, text: str, tokens: list[Token]) -> Iterator[tuple[int, int, int]]:
        """Yield the strings of several lines since the last one that was not closed: number, start and end."""
        lines = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
        for number in range(self._cut_at, len(tokens)):
            type_, form = tokens[number]
            if type_ in ("STRING", "REGEX") and form.span.line < form.span.end_line:
                first, last = form.span.line - self.lines_before, form.span.end_line
                end = lines[last - self.lines_before - 1] + form.span.end_column - 1
                yield number, lines[first - 1] + form.span.column - 1, end

    # -- tokens to forms --

    def parse(self, tokens: list[Token]) -> tuple[Form, ...]:
        """Return the forms of tokens, those with faults in them unread."""
        _, actions, start, end, names = tables()
        states: list[Any] = [start]
        values: Parts = []
        rules = {name: getattr(self, f"_{name}") for name in names}
        done: list[Form] = []  # what was read before the last recovery
        is_deep = False
        number = 0
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
                first, number = self._recover(tokens, number, values)
                done += values[0] if values else ()
                done.append(_unread(tokens[first:number]))
                states, values = [start], []
        forms = (*done, *values[0])
        if is_deep and not self.faults:
            self._refuse_deep(forms)
        return self._sound(forms, tokens) if self.faults else forms

    def _recover(self, tokens: list[Token], number: int, values: Parts) -> tuple[int, int]:
        """Note the fault of a token that cannot stand where it does; return from where to where tokens are not read."""
        waiting = [entry for entry in values if isinstance(entry, _Mark)]
        at_end = number == len(tokens)
        self.is_open = self.is_open or (at_end and not self.faults)
        if not waiting:
            return self._recover_outside(tokens, number, values[0] if values else [])
        openers = [mark for mark in waiting if mark.type in _CLOSERS]
        resume = self._next_start(tokens, (openers or waiting)[0].token + 1)
        if openers and resume < number:
            before = [mark for mark in openers if mark.token < resume]
            line = tokens[resume][1].span.line - self.lines_before
            self._note_open(before[-1], f"the form of line {line} begins before its")
        elif not at_end and tokens[number][0] == _CUT:
            pass  # which was told where it was cut
        elif waiting[-1].type not in _CLOSERS:
            self._note(f"{waiting[-1].text} has no form after it", waiting[-1].span)
        elif at_end:
            self._note_open(waiting[-1], "the text ends before its")
        else:
            self._note_wrong(waiting[-1], tokens[number][1])
        return waiting[0].token, resume

    def _recover_outside(
        self, tokens: list[Token], number: int, items: list[Form]
    ) -> tuple[int, int]:
        """As `_recover`, of what closes nothing: the form before it may have ended too early, and is not read."""
        type_, mark = tokens[number]
        resume = self._next_start(tokens, number + 1)
        if type_ == _CUT:
            return number, resume
        self._note(f"{mark.text} closes nothing", mark.span)
        first = number
        while items:
            suspect = items.pop().span
            while first and tokens[first][1].span > suspect:
                first -= 1
            if suspect.column == 1:
                break
        return first, resume

    def _next_start(self, tokens: list[Token], number: int) -> int:
        """Return the next token that begins a form at the top as far as one can see."""
        if len(self.faults) >= ERRORS_SHOWN_MAX:
            return len(tokens)
        for following in range(number, len(tokens)):
            type_, token = tokens[following]
            if type_ in _STARTS and token.span.column == 1:
                return following
        return len(tokens)

    def _sound(self, forms: tuple[Form, ...], tokens: list[Token]) -> tuple[Form, ...]:
        """Return forms, those with a fault in them unread."""
        faults = sorted([fault.span[:2] for fault in self.faults])
        starts = [token.span[:2] for _, token in tokens]
        sound: list[Form] = []
        for form in forms:
            at = bisect_left(faults, form.span[:2])
            if form.kind != "unread" and at < len(faults) and faults[at] < form.span[2:]:
                first = bisect_left(starts, form.span[:2])
                form = _unread(tokens[first : bisect_left(starts, form.span[2:])])
            sound.append(form)
        return tuple(sound)

    def _note_open(self, opener: _Mark, before: str) -> None:
        hint = f"{before} {_CLOSERS[opener.type]}"
        self._note(f"{opener.text} is not closed", opener.span, hint)

    def _note_wrong(self, opener: _Mark, closing: _Mark) -> None:
        place = f"line {opener.span.line - self.lines_before}, column {opener.span.column}"
        message = f"{closing.text} does not close {opener.text} of {place}"
        self._note(message, closing.span, f"expected {_CLOSERS[opener.type]}")

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


def _unread(tokens: Sequence[Token]) -> Form:
    """Return the form that stands for tokens that make none."""
    span = _between(tokens[0][1].span, tokens[-1][1].span)
    return Form("unread", tuple([token for _, token in tokens if token.__class__ is Form]), span)


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
