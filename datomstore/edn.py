"""EDN as text: reading data, writing data.

Is:     a reader of whole texts with positions in its errors, and a deterministic writer.
Is not: the reader of programs, which keeps the span of every form (`yang.reader`); that one shares the
        parsers of single literals here.
Fits:   queries, schemas, import files, results.
Source: the EDN specification (github.com/edn-format/edn); ratios and `#bytes` are additions.

The reader keeps its own stack, so depth is bounded by DEPTH_MAX alone.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from datomstore import decimals
from datomstore.codec import map_of, set_of
from datomstore.errors import DatomstoreError
from datomstore.limits import CODEC_RATIO_PART_MAX, EDN_DEPTH_MAX, EDN_NUMBER_LENGTH_MAX
from datomstore.value import Char, Keyword, List, Map, Set, Symbol


class EdnError(DatomstoreError):
    """The text is not EDN; says where and what."""

    code = "edn/syntax"

    def __init__(self, message: str, line: int, column: int, source: str) -> None:
        super().__init__(f"{source}:{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.source = source


_TOKEN = re.compile(
    r"""
    (?P<space>  [\s,]+ | ;[^\n]* )
  | (?P<string> "(?:[^"\\]|\\.)*" )
  | (?P<open>   \#\{ | [(\[{] )
  | (?P<close>  [)\]}] )
  | (?P<discard> \#_ )
  | (?P<tag>    \#[A-Za-z][^\s,;"()\[\]{}\\]* | \#\#-?[A-Za-z]+ )
  | (?P<char>   \\(?:[A-Za-z0-9]+|.) )
  | (?P<atom>   [^\s,;"()\[\]{}\\]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSERS = {"(": ")", "[": "]", "{": "}", "#{": "}"}
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)N?")
_RATIO = re.compile(r"([+-]?[0-9]+)/([0-9]+)")
_FLOAT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?M?")
_HEX = re.compile(r"([+-]?)0[xX]([0-9A-Fa-f]+)N?")
_RADIX = re.compile(r"([+-]?)([0-9]{1,2})[rR]([0-9A-Za-z]+)N?")
_OCTAL = re.compile(r"([+-]?)0([0-7]+)N?")
_NAMED_CHARS = {
    "newline": "\n",
    "return": "\r",
    "space": " ",
    "tab": "\t",
    "formfeed": "\f",
    "backspace": "\b",
}
_CHAR_NAMES = {text: name for name, text in _NAMED_CHARS.items()}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_WRITTEN_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\b": "\\b",
    "\f": "\\f",
}
_CONSTANTS = {"nil": None, "true": True, "false": False}
_SYMBOLIC = {"Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}


# -- single literals --


def parse_number(text: str) -> int | float | Fraction | Decimal | None:
    """Return the number of a literal, or None if the text is none.

    Raises:
        ValueError: a number with a zero denominator, a digit outside its radix, or too many digits.
    """
    if not (text[0].isdigit() or (text[0] in "+-" and text[1:2].isdigit())):
        return None
    if len(text) > EDN_NUMBER_LENGTH_MAX:
        raise ValueError(f"a number of more than {EDN_NUMBER_LENGTH_MAX} characters")
    if _INTEGER.fullmatch(text):
        return int(text.rstrip("N"))
    if match := _RATIO.fullmatch(text):
        return _ratio(int(match[1]), int(match[2]))
    if match := _HEX.fullmatch(text):
        return int(match[1] + match[2], 16)
    if match := _OCTAL.fullmatch(text):
        return int(match[1] + match[2], 8)
    if match := _RADIX.fullmatch(text):
        return _radix(match[1], int(match[2]), match[3])
    if _FLOAT.fullmatch(text):
        return decimals.parse(text[:-1]) if text[-1] == "M" else float(text)
    raise ValueError(f"{text!r} is not a number")


def _ratio(numerator: int, denominator: int) -> int | Fraction:
    if denominator == 0:
        raise ValueError("a ratio with denominator zero")
    if max(numerator.bit_length(), denominator.bit_length()) > 8 * CODEC_RATIO_PART_MAX:
        raise ValueError(f"a ratio of more than {CODEC_RATIO_PART_MAX} bytes above or below")
    ratio = Fraction(numerator, denominator)
    return ratio.numerator if ratio.denominator == 1 else ratio


def _radix(sign: str, radix: int, digits: str) -> int:
    if not 2 <= radix <= 36:
        raise ValueError(f"radix {radix} is not between 2 and 36")
    return int(sign + digits, radix)


def parse_char(text: str) -> Char:
    r"""Return the character of a literal such as `\a`, `\newline`, `\u03bb`, `\o101`. Raises ValueError."""
    name = text[1:]
    if len(name) == 1:
        return Char(name)
    if name in _NAMED_CHARS:
        return Char(_NAMED_CHARS[name])
    if name[0] == "u" and re.fullmatch(r"[0-9A-Fa-f]{4}", name[1:]):
        return Char(_code_point(int(name[1:], 16)))
    if name[0] == "o" and re.fullmatch(r"[0-3]?[0-7]{1,2}", name[1:]):
        return Char(chr(int(name[1:], 8)))
    raise ValueError(f"no character is named {text}")


def _code_point(number: int) -> str:
    if 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"\\u{number:04x} is half of a surrogate pair, not a character")
    return chr(number)


def unescape_string(text: str) -> str:
    """Return what a string literal, given without its quotes, stands for. Raises ValueError."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(u[0-9A-Fa-f]{4}|u|[0-3]?[0-7]{1,2}|.)", _unescape, text, flags=re.DOTALL)


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if escape in _ESCAPES:
        return _ESCAPES[escape]
    if escape[0] == "u" and len(escape) == 5:
        return _code_point(int(escape[1:], 16))
    if escape[0].isdigit():
        return chr(int(escape, 8))
    raise ValueError(f"no escape \\{escape} in strings")


def parse_instant(text: str) -> datetime:
    """Return the instant of an RFC 3339 text, UTC when it names no offset. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    return (instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant).astimezone(UTC)


_TAGS: dict[str, Callable[[str], object]] = {
    "inst": parse_instant,
    "uuid": UUID,
    "bytes": bytes.fromhex,
}


def parse_atom(text: str) -> object:
    """Return the number, keyword, symbol or constant of a text without delimiters. Raises ValueError."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    number = parse_number(text)
    if number is not None:
        return number
    if text[0] == ":":
        if len(text) == 1 or text.startswith("::") or (text.endswith("/") and text != ":/"):
            raise ValueError(f"{text!r} is not a keyword")
        return Keyword(text[1:])
    if text[0] == "#":
        raise ValueError(f"{text!r} cannot be read")
    return Symbol(text)


# -- reading --


class _Reader:
    """One pass over a text; open collections are on a stack."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.done: list[object] = []
        # (opener, position, items, marks): marks are indexes of items that a tag or discard waits for
        self.stack: list[tuple[str, int, list[object], list[tuple[int, str]]]] = []
        self.marks: list[
            tuple[int, str]
        ] = []  # (position, "#_" or "#tag") waiting for the next form

    def error(self, message: str, position: int) -> EdnError:
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        return EdnError(message, line, column, self.source)

    def run(self) -> list[object]:
        position, text = 0, self.text
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                what = (
                    "the string is not closed" if text[position] == '"' else "unexpected character"
                )
                raise self.error(what, position)
            kind = match.lastgroup
            if kind != "space":
                self.token(str(kind), match[0], position)
            position = match.end()
        if self.stack:
            opener, where, _, _ = self.stack[-1]
            raise self.error(f"{opener!r} is not closed", where)
        if self.marks:
            raise self.error(f"{self.marks[-1][1]} has no form after it", self.marks[-1][0])
        return self.done

    def token(self, kind: str, text: str, position: int) -> None:
        try:
            match kind:
                case "string":
                    self.add(unescape_string(text[1:-1]), position)
                case "open":
                    self.open(text, position)
                case "close":
                    self.close(text, position)
                case "discard":
                    self.marks.append((position, text))
                case "tag" if text.startswith("##"):
                    self.add(self.symbolic(text[2:]), position)
                case "tag":
                    self.marks.append((position, text))
                case "char":
                    self.add(parse_char(text), position)
                case _:
                    self.add(parse_atom(text), position)
        except EdnError:
            raise
        except RecursionError:
            raise self.error("nested too deeply for a key or a member", position) from None
        except (ValueError, TypeError, OverflowError) as error:
            raise self.error(str(error), position) from error

    def symbolic(self, name: str) -> float:
        if name not in _SYMBOLIC:
            raise ValueError(f"no value ##{name}; there are ##Inf, ##-Inf, ##NaN")
        return _SYMBOLIC[name]

    def open(self, opener: str, position: int) -> None:
        if len(self.stack) >= EDN_DEPTH_MAX:
            raise self.error(f"nested deeper than {EDN_DEPTH_MAX}", position)
        self.stack.append((opener, position, self.done, self.marks))
        self.done, self.marks = [], []

    def close(self, closer: str, position: int) -> None:
        if not self.stack:
            raise self.error(f"{closer!r} closes nothing", position)
        opener, where, outer, marks = self.stack.pop()
        if _CLOSERS[opener] != closer:
            raise self.error(f"{closer!r} does not close {opener!r}", position)
        if self.marks:
            raise self.error(f"{self.marks[-1][1]} has no form after it", self.marks[-1][0])
        items, self.done, self.marks = self.done, outer, marks
        self.add(self.collection(opener, items, where), where)

    def collection(self, opener: str, items: list[object], where: int) -> object:
        match opener:
            case "(":
                return List(items)
            case "[":
                return tuple(items)
            case "#{":
                members = set_of(items)
                if len(members) != len(items):
                    raise self.error("a set with a member twice", where)
                return members
            case _:
                if len(items) % 2:
                    raise self.error("a map with a key that has no value", where)
                entries = map_of(list(zip(items[::2], items[1::2], strict=True)))
                if len(entries) * 2 != len(items):
                    raise self.error("a map with a key twice", where)
                return entries

    def add(self, value: object, position: int) -> None:
        while self.marks:
            mark_position, mark = self.marks.pop()
            if mark == "#_":
                return
            read = _TAGS.get(mark[1:])
            if read is None:
                raise self.error(f"no tag {mark}; there are #inst, #uuid, #bytes", mark_position)
            if not isinstance(value, str):
                raise self.error(f"{mark} is followed by a string", position)
            value = read(value)
        self.done.append(value)


def read_all(text: str, *, source: str = "<string>") -> list[object]:
    """Return every form of a text. Raises EdnError."""
    return _Reader(text, source).run()


def read(text: str, *, source: str = "<string>") -> object:
    """Return the one form of a text. Raises EdnError when there is none or more than one."""
    reader = _Reader(text, source)
    forms = reader.run()
    if len(forms) != 1:
        raise reader.error(f"{len(forms)} forms where one is expected", 0)
    return forms[0]


# -- writing --


def write(value: object) -> str:
    """Return readable EDN; equal vectors give equal text. Raises TypeError for what is no value."""
    parts: list[str] = []
    # The work list holds values to write and, wrapped in `_Text`, text that stands between them.
    pending: list[object] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, _Text):
            parts.append(item.text)
        elif isinstance(item, Map):
            _push(
                pending, "{", [part for entry in item.items() for part in entry], "}", paired=True
            )
        elif isinstance(item, Set):
            _push(pending, "#{", list(item), "}")
        elif isinstance(item, List):
            _push(pending, "(", list(item), ")")
        elif isinstance(item, tuple):
            _push(pending, "[", list(item), "]")
        else:
            parts.append(_write_atom(item))
    return "".join(parts)


class _Text:
    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _push(
    pending: list[object], opener: str, items: list[object], closer: str, *, paired: bool = False
) -> None:
    pending.append(_Text(closer))
    for index in range(len(items) - 1, -1, -1):
        pending.append(items[index])
        if index:
            pending.append(_Text(", " if paired and index % 2 == 0 else " "))
    pending.append(_Text(opener))


def _write_atom(value: object) -> str:
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + re.sub(r'["\\\n\t\r\b\f]', lambda m: _WRITTEN_ESCAPES[m[0]], value) + '"'
        case int():
            return _write_integer(value)
        case Keyword() | Symbol():
            return repr(value)
        case float():
            return write_double(value)
        case Fraction():
            return f"{_write_integer(value.numerator)}/{_write_integer(value.denominator)}"
        case Decimal():
            return f"{decimals.write(value)}M"
        case Char():
            return "\\" + _CHAR_NAMES.get(value.value, value.value)
        case bytes():
            return f'#bytes "{value.hex()}"'
        case datetime():
            return f'#inst "{value.astimezone(UTC).isoformat(timespec="milliseconds")}"'.replace(
                "+00:00", "-00:00"
            )
        case UUID():
            return f'#uuid "{value}"'
    raise TypeError(f"{type(value).__name__} has no EDN form: {value!r}")


def _write_integer(value: int) -> str:
    """Return an integer as text; one of thousands of digits in base 16, for the time that other bases take has no bound."""
    try:
        return str(value)
    except ValueError:
        return hex(value)


def write_double(value: float) -> str:
    """Return a double as Java and Clojure print it, the shortest digits that read back the same: 1.0, 1.0E10, ##Inf.

    Where one digit would do, Java takes the nearest two, which may differ below the normal range.
    """
    if not math.isfinite(value):
        return "##NaN" if math.isnan(value) else "##Inf" if value > 0 else "##-Inf"
    shortest = repr(value)
    if 0 < abs(value) < sys.float_info.min and float(f"{value:.1e}") == value:
        shortest = f"{value:.1e}"
    sign, numbers, _ = Decimal(shortest).as_tuple()
    digits = "".join(map(str, numbers)).rstrip("0") or "0"
    exponent = Decimal(shortest).adjusted() if value else 0
    minus = "-" if sign else ""
    if not -3 <= exponent < 7:
        return f"{minus}{digits[0]}.{digits[1:] or '0'}E{exponent}"
    if exponent < 0:
        return f"{minus}0.{'0' * (-exponent - 1)}{digits}"
    digits = digits.ljust(exponent + 2, "0")
    return f"{minus}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
