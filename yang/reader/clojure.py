"""Clojure source text to forms with spans.

Is:     the grammar's actions, and errors that name what is unclosed, unexpected or not supported.
Is not: expansion; `#( )`, quote and deref are only spelled out as forms.
Fits:   first station of the compiler; `yang.expand` takes the forms.
Source: Clojure 1.11's reader. Grammar in clojure.lark, parsed by lark's LALR(1), which keeps its own stack: deep text
        cannot exhaust Python's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from datomstore.edn import parse_char, parse_instant, parse_number, unescape_string
from datomstore.value import Keyword
from yang.errors import Source, SourceError
from yang.forms import Form, FormKind, value_of
from yang.limits import NESTING_MAX, SOURCE_BYTES_MAX
from yang.pause import collector_paused
from yang.segment import Span

_CONSTANTS: dict[str, object] = {"nil": None, "true": True, "false": False}
_SYMBOLIC = {"##Inf": float("inf"), "##-Inf": float("-inf"), "##NaN": float("nan")}
_CLOSERS = {
    "LIST_OPEN": ")",
    "FUNCTION_OPEN": ")",
    "VECTOR_OPEN": "]",
    "MAP_OPEN": "}",
    "SET_OPEN": "}",
}
_PREFIXES = {"QUOTE", "DEREF", "META", "TAG", "DISCARD"}
_REFUSED = {
    "`": "syntax quote ` is not supported: there are no macros yet",
    "~": "unquote ~ is not supported: there are no macros yet",
    "#'": "var quote #' is not supported: there are no vars",
    '#"': 'regular expressions #"..." are not supported',
    "#?": "reader conditionals #? are not supported",
    "#=": "read-time evaluation #= is not supported",
    "#:": "namespaced maps #: are not supported",
    "#^": "old metadata syntax #^ is not supported",
    "#<": "unreadable form",
}
_MATCHING = {")": "(", "]": "[", "}": "{"}


class _Fault(NamedTuple):
    """What is wrong at a place; becomes an error where the source text is known."""

    message: str
    span: Span
    hint: str | None = None


class _FaultRaised(Exception):
    """Carries a fault out of the parser; never leaves this module."""

    def __init__(self, message: str, span: Span, hint: str | None = None) -> None:
        super().__init__(message)
        self.fault = _Fault(message, span, hint)


def _span(token: Token) -> Span:
    return Span(token.line, token.column, token.end_line, token.end_column)  # type: ignore[arg-type]


def _between(first: Token, last: Token | Form) -> Span:
    if isinstance(last, Form):
        end_line, end_column = last.span.end_line, last.span.end_column
    else:
        end_line, end_column = last.end_line, last.end_column  # type: ignore[assignment]
    return Span(first.line, first.column, end_line, end_column)  # type: ignore[arg-type]


Parts: TypeAlias = list[Any]  # tokens and forms of one rule


class _Discarded:
    """What `#_` leaves behind, until the surrounding form drops it."""


_DISCARDED = _Discarded()


def _kept(items: Parts) -> tuple[Form, ...]:
    return tuple([item for item in items if item is not _DISCARDED])


class _Actions(Transformer[Token, Any]):
    """One method for each terminal and rule of the grammar, run while parsing; no state."""

    def SYMBOL(self, token: Token) -> Form:  # noqa: N802
        text = str(token)
        if text in _CONSTANTS:
            return Form("literal", _CONSTANTS[text], _span(token))
        if text != "/" and (text[0] == "/" or (text[-1] == "/" and not text.endswith("//"))):
            raise _FaultRaised(f"{text} is not a symbol", _span(token))
        return Form("symbol", text, _span(token))

    def NUMBER(self, token: Token) -> Form:  # noqa: N802
        try:
            value = parse_number(str(token))
        except ValueError as error:
            raise _FaultRaised(str(error), _span(token)) from None
        if value is None:
            raise _FaultRaised(f"{token} is not a number", _span(token))
        return Form("literal", value, _span(token))

    def STRING(self, token: Token) -> Form:  # noqa: N802
        try:
            return Form("literal", unescape_string(token[1:-1]), _span(token))
        except (ValueError, OverflowError) as error:
            raise _FaultRaised(str(error), _span(token)) from None

    def CHARACTER(self, token: Token) -> Form:  # noqa: N802
        try:
            return Form("literal", parse_char(str(token)), _span(token))
        except (ValueError, OverflowError) as error:
            raise _FaultRaised(str(error), _span(token)) from None

    def KEYWORD(self, token: Token) -> Form:  # noqa: N802
        name = token[1:]
        if name.startswith(":"):
            message = f"{token}: keywords resolved by namespace are not supported"
            raise _FaultRaised(message, _span(token), f"write the namespace out: :user/{name[1:]}")
        if not name or (name != "/" and name.endswith("/")):
            raise _FaultRaised(f"{token} is not a keyword", _span(token))
        return Form("literal", Keyword(name), _span(token))

    def SYMBOLIC(self, token: Token) -> Form:  # noqa: N802
        if token not in _SYMBOLIC:
            message = f"no value {token}; there are ##Inf, ##-Inf, ##NaN"
            raise _FaultRaised(message, _span(token))
        return Form("literal", _SYMBOLIC[token], _span(token))

    def list(self, parts: Parts) -> Form:
        return self._collection("list", parts)

    def vector(self, parts: Parts) -> Form:
        return self._collection("vector", parts)

    def set(self, parts: Parts) -> Form:
        form = self._collection("set", parts)
        _refuse_twice(form, form.value, "a set with a member twice")
        return form

    def map(self, parts: Parts) -> Form:
        form = self._collection("map", parts)
        if len(form.value) % 2:
            raise _FaultRaised("a map with a key that has no value", form.value[-1].span)
        _refuse_twice(form, form.value[::2], "a map with a key twice")
        return form

    def function(self, parts: Parts) -> Form:
        form = self._collection("function", parts)
        stack = [item for item in form.value if not item.is_leaf]
        while stack:
            inner = stack.pop()
            if inner.kind == "function":
                raise _FaultRaised(
                    "#( ) inside #( )", inner.span, "write the inner one as (fn [x] ...)"
                )
            stack.extend(item for item in inner.value if not item.is_leaf)
        return form

    def _collection(self, kind: FormKind, parts: Parts) -> Form:
        return Form(kind, _kept(parts[1:-1]), _between(parts[0], parts[-1]))

    def quote(self, parts: Parts) -> Form:
        return self._prefixed("quote", parts)

    def deref(self, parts: Parts) -> Form:
        return self._prefixed("yin.core/deref", parts)

    def _prefixed(self, head: str, parts: Parts) -> Form:
        span = _between(parts[0], parts[-1])
        return Form("list", (Form("symbol", head, _span(parts[0])), parts[-1]), span)

    def meta(self, parts: Parts) -> Form:
        """Return the form alone: type hints and other metadata mean nothing here."""
        _, metadata, form = [part for part in parts if part is not _DISCARDED]
        named = metadata.kind == "symbol" or metadata.kind == "map"
        if not named and not isinstance(metadata.value, Keyword | str):
            raise _FaultRaised("metadata is a symbol, keyword, string or map", metadata.span)
        return form  # type: ignore[no-any-return]

    def tagged(self, parts: Parts) -> Form:
        tag, form = str(parts[0]), parts[-1]
        span = _between(parts[0], form)
        read = _TAGS.get(tag)
        if read is None:
            raise _FaultRaised(f"no tag {tag}; there are #inst, #uuid, #bytes", _span(parts[0]))
        if form.kind != "literal" or not isinstance(form.value, str):
            raise _FaultRaised(f"{tag} is followed by a string", form.span)
        try:
            return Form("literal", read(form.value), span)
        except (ValueError, OverflowError) as error:
            raise _FaultRaised(f"{tag}: {error}", form.span) from None

    def discard(self, parts: Parts) -> _Discarded:
        return _DISCARDED

    def start(self, parts: Parts) -> tuple[Form, ...]:
        return _kept(parts)


_TAGS: dict[str, Any] = {"#inst": parse_instant, "#uuid": UUID, "#bytes": bytes.fromhex}


def _refuse_twice(form: Form, keys: tuple[Form, ...], message: str) -> None:
    """Refuse equal constant keys; a key that is computed may turn out equal only when it runs."""
    constants = [key for key in keys if key.is_leaf]
    whole = Form("set", tuple(constants), form.span)
    try:
        value_of(whole)
    except ValueError:
        raise _FaultRaised(message, form.span) from None


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("clojure.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_Actions())


def read(text: str, source_name: str = "<source>") -> tuple[Form, ...]:
    """Return the top-level forms of a source text, as `read_source` does."""
    return read_source(Source(source_name, text))


def read_source(source: Source) -> tuple[Form, ...]:
    """Return the top-level forms of a source.

    Cost: linear; about 20 us a line.

    Raises:
        SourceError: at the first place that cannot be read.
    """
    text = source.text
    start = Span(1, 1, 1, 1)
    if len(text) > SOURCE_BYTES_MAX:
        raise source.error(f"source text of more than {SOURCE_BYTES_MAX} characters", start)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = "half of a surrogate pair, not a character"
        raise source.error(message, _span_at(text, error.start)) from None
    try:
        with collector_paused():
            forms: tuple[Form, ...] = _parser().parse(text)  # type: ignore[assignment]
    except _FaultRaised as raised:
        raise source.error(*raised.fault) from None
    except UnexpectedCharacters as error:
        raise _character_error(source, error) from None
    except UnexpectedToken as error:
        raise _token_error(source, error) from None
    _refuse_deep(source, forms)
    return forms


def _span_at(text: str, position: int) -> Span:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return Span(line, column, line, column + 1)


def _character_error(source: Source, error: UnexpectedCharacters) -> SourceError:
    """Return the error of a place where no token starts."""
    position = error.pos_in_stream
    assert position is not None
    span, two = _span_at(source.text, position), source.text[position : position + 2]
    if two[0] == '"':
        return source.error("this string is not closed", span, 'close it with "')
    message = _REFUSED.get(two) or _REFUSED.get(two[0]) or f"unexpected {two[0]}"
    return source.error(message, span)


def _token_error(source: Source, error: UnexpectedToken) -> SourceError:
    """Return the error of a closer that closes nothing, or of an end before everything is closed."""
    waiting = [
        entry
        for entry in error.state.value_stack
        if isinstance(entry, Token) and (entry.type in _CLOSERS or entry.type in _PREFIXES)
    ]
    token = error.token
    at_end = token.type == "$END"
    if waiting and waiting[-1].type in _PREFIXES:
        return source.error(f"{waiting[-1]} has no form after it", _span(waiting[-1]))
    if not waiting:
        return source.error(f"{token} closes nothing", _span(token))
    opener = waiting[-1]
    closer = _CLOSERS[opener.type]
    if at_end:
        message = f"{opener} is not closed"
        return source.error(message, _span(opener), f"the text ends before its {closer}")
    message = f"{token} does not close {opener} of line {opener.line}, column {opener.column}"
    return source.error(message, _span(token), f"expected {closer}")


def _refuse_deep(source: Source, forms: tuple[Form, ...]) -> None:
    level = [form for form in forms if not form.is_leaf]
    for _ in range(NESTING_MAX):
        if not level:
            return
        level = [inner for form in level for inner in form.value if not inner.is_leaf]
    if level:
        raise source.error(f"forms nested deeper than {NESTING_MAX}", level[0].span)
