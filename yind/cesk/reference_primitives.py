"""The host functions of the reference machine.

Is:     every PURE row of `yang.primitives` as a Python function of the store and the arguments.
Is not: `apply`, `call/cc` and effects, which change the continuation (`reference`); argument counts are checked there.
Fits:   `FUNCTIONS` finds them by name; a test holds it against the table.
Source: Clojure 1.11's clojure.core and clojure.string.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias
from uuid import UUID

from pyrsistent import pvector

from datomstore.value import Char, Keyword, Symbol
from yind.cesk.reference_values import (
    CALLABLES,
    COLLECTIONS,
    EMPTY,
    EMPTY_MAP,
    EMPTY_SET,
    FUNCTION_KINDS,
    INDEXED,
    SEQS,
    SEQUENTIALS,
    VECTORS,
    Atom,
    Closure,
    Empty,
    ErrorValue,
    GuestFault,
    HashMap,
    HashSet,
    Lazy,
    LazyState,
    Pair,
    Range,
    Slice,
    Store,
    Value,
    all_items,
    equal,
    is_integer,
    is_number,
    items,
    key_of,
    list_of,
    realised,
    rest,
    seq,
    str_of,
    text_of,
    type_fault,
    type_name,
    with_entry,
    with_member,
)

Function: TypeAlias = Callable[..., Value]

FUNCTIONS: dict[str, Function] = {}

_INTEGER_BITS_MAX = 8 << 15  # of an integer's magnitude


def _primitive(*names: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        for name in names:
            FUNCTIONS[name] = function
        return function

    return register


def _predicate(name: str, test: Callable[[Value], bool]) -> None:
    FUNCTIONS[name] = lambda store, value: test(value)


# -- arguments --


def _number(name: str, value: Value) -> Value:
    if not is_number(value):
        raise type_fault(name, "a number", value)
    return value


def _integer(name: str, value: Value) -> int:
    if not is_integer(_number(name, value)):
        raise type_fault(name, "an integer", value)
    return value  # type: ignore[no-any-return]


def _string(name: str, value: Value) -> str:
    if not isinstance(value, str):
        raise type_fault(name, "a string", value)
    return value


def _index(name: str, value: Value) -> int:
    if not is_integer(value):
        raise type_fault(name, "an index", value)
    return value  # type: ignore[no-any-return]


def _out_of_bounds(name: str, index: int, count: int) -> GuestFault:
    return GuestFault("index", f"{name}: index {index} out of bounds for length {count}")


# -- arithmetic --


def _exact(value: Value) -> Value:
    """Return a number in its simplest kind: a ratio with denominator 1 is an integer. Raises GuestFault if too large."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if type(value) is int and value.bit_length() > _INTEGER_BITS_MAX:
        raise GuestFault("limit", "integer too large")
    return value


def _double(value: Value) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _any_double(a: Value, b: Value) -> bool:
    return isinstance(a, float) or isinstance(b, float)


def _add(a: Value, b: Value) -> Value:
    return _double(a) + _double(b) if _any_double(a, b) else _exact(a + b)


def _subtract(a: Value, b: Value) -> Value:
    return _double(a) - _double(b) if _any_double(a, b) else _exact(a - b)


def _multiply(a: Value, b: Value) -> Value:
    return _double(a) * _double(b) if _any_double(a, b) else _exact(a * b)


def _divide(a: Value, b: Value) -> Value:
    if _any_double(a, b):
        a, b = _double(a), _double(b)
        if b != 0:
            return a / b
        if a == 0 or math.isnan(a):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    if b == 0:
        raise GuestFault("arithmetic", "Divide by zero")
    return _exact(Fraction(a) / b)


def _quotient(a: Value, b: Value) -> Value:
    if b == 0:
        raise GuestFault("arithmetic", "Divide by zero")
    if _any_double(a, b):
        quotient = _double(a) / _double(b)
        return float(math.trunc(quotient)) if math.isfinite(quotient) else quotient
    whole = a // b
    return _exact(whole + 1 if whole < 0 and whole * b != a else whole)


def _remainder(a: Value, b: Value) -> Value:
    if _any_double(a, b):
        if b == 0:
            raise GuestFault("arithmetic", "Divide by zero")
        a, b = _double(a), _double(b)
        return math.nan if math.isinf(a) or math.isnan(a) or math.isnan(b) else math.fmod(a, b)
    return _exact(a - b * _quotient(a, b))


def _modulus(a: Value, b: Value) -> Value:
    remainder = _remainder(a, b)
    return _add(remainder, b) if remainder != 0 and (remainder < 0) != (b < 0) else remainder


def _fold(
    name: str, operation: Callable[[Value, Value], Value], arguments: tuple[Value, ...]
) -> Value:
    """Return a1 operation a2 operation a3 ..."""
    result = _number(name, arguments[0])
    for argument in arguments[1:]:
        result = operation(result, _number(name, argument))
    return result


@_primitive("+")
def _plus(store: Store, *arguments: Value) -> Value:
    return _fold("+", _add, arguments) if arguments else 0


@_primitive("-")
def _minus(store: Store, *arguments: Value) -> Value:
    if len(arguments) == 1:
        return _exact(-_number("-", arguments[0]))
    return _fold("-", _subtract, arguments)


@_primitive("*")
def _times(store: Store, *arguments: Value) -> Value:
    return _fold("*", _multiply, arguments) if arguments else 1


@_primitive("/")
def _by(store: Store, *arguments: Value) -> Value:
    return _fold("/", _divide, arguments if len(arguments) > 1 else (1, *arguments))


@_primitive("quot")
def _quot(store: Store, a: Value, b: Value) -> Value:
    return _quotient(_number("quot", a), _number("quot", b))


@_primitive("rem")
def _rem(store: Store, a: Value, b: Value) -> Value:
    return _remainder(_number("rem", a), _number("rem", b))


@_primitive("mod")
def _mod(store: Store, a: Value, b: Value) -> Value:
    return _modulus(_number("mod", a), _number("mod", b))


@_primitive("inc")
def _inc(store: Store, a: Value) -> Value:
    return _add(_number("+", a), 1)


@_primitive("dec")
def _dec(store: Store, a: Value) -> Value:
    return _subtract(_number("-", a), 1)


def _extreme(name: str, sign: int, arguments: tuple[Value, ...]) -> Value:
    """Return the greatest (sign 1) or least (-1) number; NaN wins, of equal ones the first."""
    best = _number(name, arguments[0])
    for argument in arguments[1:]:
        better = sign * (_number(name, argument) > best) - sign * (argument < best) > 0
        if argument != argument or better:
            best = argument
    return best


@_primitive("max")
def _max(store: Store, *arguments: Value) -> Value:
    return _extreme("max", 1, arguments)


@_primitive("min")
def _min(store: Store, *arguments: Value) -> Value:
    return _extreme("min", -1, arguments)


@_primitive("abs")
def _abs(store: Store, a: Value) -> Value:
    return _exact(abs(_number("abs", a)))


# -- equality and order --


@_primitive("=")
def _equals(store: Store, *arguments: Value) -> bool:
    return all(equal(store, a, b) for a, b in pairwise(arguments))


@_primitive("not=")
def _not_equals(store: Store, *arguments: Value) -> bool:
    return not _equals(store, *arguments)


def _ordered(name: str, test: Callable[[Value, Value], bool]) -> None:
    """Register a function that tests all neighbours; one argument alone is not looked at."""

    def function(store: Store, *arguments: Value) -> bool:
        return all(test(_number(name, a), _number(name, b)) for a, b in pairwise(arguments))

    FUNCTIONS[name] = function


def _compared(a: Value, b: Value) -> int:
    """Return -1, 0 or 1 for two numbers, 2 if one is NaN; as doubles if one is a double."""
    if _any_double(a, b):
        a, b = _double(a), _double(b)
        if math.isnan(a) or math.isnan(b):
            return 2
    return int(a > b) - int(a < b)


_ordered("==", lambda a, b: _compared(a, b) == 0)
_ordered("<", lambda a, b: _compared(a, b) == -1)
_ordered("<=", lambda a, b: _compared(a, b) in (-1, 0))
_ordered(">", lambda a, b: _compared(a, b) == 1)
_ordered(">=", lambda a, b: _compared(a, b) in (1, 0))

_ORDERED_KINDS: tuple[tuple[type, ...], ...] = (
    (int, float, Fraction),
    (str,),
    (Keyword,),
    (Symbol,),
    (Char,),
    (bool,),
    (datetime,),
    (bytes,),
    (UUID,),
)


def _order_key(value: Value) -> Value:
    """Return what two values of one kind are ordered by."""
    if isinstance(value, Keyword | Symbol):
        return (value.namespace or "", value.local_name)
    return value.value if isinstance(value, Char) else value


@_primitive("compare")
def _compare(store: Store, a: Value, b: Value) -> int:
    stack = [(a, b)]
    while stack:
        a, b = stack.pop()
        if isinstance(a, VECTORS) and isinstance(b, VECTORS):
            if len(a) != len(b):
                return -1 if len(a) < len(b) else 1
            stack.extend(reversed(list(zip(a, b, strict=True))))
        elif order := _compare_simple(a, b):
            return order
    return 0


def _compare_simple(a: Value, b: Value) -> int:
    if a is None or b is None:
        return (a is not None) - (b is not None)
    for value in (a, b):
        if not isinstance(value, VECTORS) and type(value) not in sum(_ORDERED_KINDS, ()):
            raise type_fault("compare", "something with an order", value)
    if is_number(a) and is_number(b):
        order = _compared(a, b)
        return 0 if order == 2 else order
    if type(a) is not type(b):
        raise type_fault("compare", type_name(a), b)
    a, b = _order_key(a), _order_key(b)
    return int(a > b) - int(a < b)


_SIGNS: tuple[tuple[str, Callable[[Value], bool]], ...] = (
    ("zero?", lambda value: value == 0),
    ("pos?", lambda value: value > 0),
    ("neg?", lambda value: value < 0),
)
for _name, _test in _SIGNS:
    FUNCTIONS[_name] = lambda store, value, name=_name, test=_test: test(_number(name, value))


@_primitive("even?")
def _even(store: Store, value: Value) -> bool:
    if not is_integer(value):
        raise type_fault("even?", "an integer", value)
    return value % 2 == 0  # type: ignore[no-any-return]


@_primitive("odd?")
def _odd(store: Store, value: Value) -> bool:
    if not is_integer(value):
        raise type_fault("odd?", "an integer", value)
    return value % 2 == 1  # type: ignore[no-any-return]


@_primitive("identical?")
def _identical(store: Store, a: Value, b: Value) -> bool:
    return _same(a, b)


def _same(a: Value, b: Value) -> bool:
    """Return whether two values are one object, or equal ones without parts."""
    if a is b:
        return True
    simple = (int, float, bool, str, Char, Keyword, Symbol, Atom, Lazy, bytes, UUID, datetime)
    return type(a) is type(b) and isinstance(a, simple) and bool(a == b)


@_primitive("hash")
def _hash(store: Store, value: Value) -> int:
    bits = key_of(store, value).hash & 0xFFFFFFFF
    return bits - (1 << 32) if bits >= 1 << 31 else bits


# -- bits and kinds of numbers --


def _bitwise(name: str, operation: Callable[[int, int], int]) -> None:
    def two(a: Value, b: Value) -> int:
        return operation(_integer(name, a), _integer(name, b))

    FUNCTIONS[name] = lambda store, *arguments: _fold(name, two, arguments)


_bitwise("bit-and", lambda a, b: a & b)
_bitwise("bit-or", lambda a, b: a | b)
_bitwise("bit-xor", lambda a, b: a ^ b)


@_primitive("bit-not")
def _bit_not(store: Store, value: Value) -> int:
    if not is_integer(value):
        raise type_fault("bit-not", "an integer", value)
    return ~value  # type: ignore[no-any-return]


def _shift_distance(name: str, value: Value) -> int:
    distance = _integer(name, value)
    if not 0 <= distance < 1 << 63:
        raise GuestFault("arithmetic", "shift by a negative or too large number")
    return distance


@_primitive("bit-shift-left")
def _shift_left(store: Store, value: Value, distance: Value) -> Value:
    shifted, by = _integer("bit-shift-left", value), _shift_distance("bit-shift-left", distance)
    if by > _INTEGER_BITS_MAX:
        raise GuestFault("limit", "integer too large")
    return _exact(shifted << by)


@_primitive("bit-shift-right")
def _shift_right(store: Store, value: Value, distance: Value) -> int:
    return _integer("bit-shift-right", value) >> _shift_distance("bit-shift-right", distance)


@_primitive("int", "long")
def _truncate(store: Store, value: Value) -> int:
    if isinstance(value, Char):
        return ord(value.value)
    if isinstance(_number("int", value), float) and not math.isfinite(value):
        raise GuestFault("arithmetic", "int: not a finite number")
    return int(value)


@_primitive("double")
def _to_double(store: Store, value: Value) -> float:
    return _double(_number("double", value))


@_primitive("numerator")
def _numerator(store: Store, value: Value) -> int:
    if not is_integer(value) and not isinstance(value, Fraction):
        raise type_fault("numerator", "a ratio", value)
    return value.numerator  # type: ignore[no-any-return]


@_primitive("denominator")
def _denominator(store: Store, value: Value) -> int:
    if not is_integer(value) and not isinstance(value, Fraction):
        raise type_fault("denominator", "a ratio", value)
    return value.denominator  # type: ignore[no-any-return]


@_primitive("parse-long")
def _parse_long(store: Store, value: Value) -> int | None:
    text = _string("parse-long", value)
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    number = int(text) if len(text) < 32 else 1 << 64
    return number if -(1 << 63) <= number < 1 << 63 else None


@_primitive("parse-double")
def _parse_double(store: Store, value: Value) -> float | None:
    text = _strip(_string("parse-double", value))
    number = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?Infinity|[+-]?NaN"
    return float(text) if re.fullmatch(number, text) else None


# -- questions about kinds --


@_primitive("not")
def _not(store: Store, value: Value) -> bool:
    return value is None or value is False


@_primitive("boolean")
def _boolean(store: Store, value: Value) -> bool:
    return not (value is None or value is False)


_predicate("nil?", lambda value: value is None)
_predicate("some?", lambda value: value is not None)
_predicate("true?", lambda value: value is True)
_predicate("false?", lambda value: value is False)
_predicate("boolean?", lambda value: isinstance(value, bool))
_predicate("number?", is_number)
_predicate("int?", is_integer)
_predicate("integer?", is_integer)
_predicate("float?", lambda value: isinstance(value, float))
_predicate("double?", lambda value: isinstance(value, float))
_predicate("ratio?", lambda value: isinstance(value, Fraction))
_predicate("rational?", lambda value: is_integer(value) or isinstance(value, Fraction))
_predicate("string?", lambda value: isinstance(value, str))
_predicate("char?", lambda value: isinstance(value, Char))
_predicate("keyword?", lambda value: isinstance(value, Keyword))
_predicate("symbol?", lambda value: isinstance(value, Symbol))
_predicate("vector?", lambda value: isinstance(value, VECTORS))
_predicate("map?", lambda value: isinstance(value, HashMap))
_predicate("set?", lambda value: isinstance(value, HashSet))
_predicate("list?", lambda value: value is EMPTY or (isinstance(value, Pair) and value.is_list))
_predicate("seq?", lambda value: isinstance(value, SEQS))
_predicate("coll?", lambda value: isinstance(value, COLLECTIONS))
_predicate("sequential?", lambda value: isinstance(value, SEQUENTIALS))
_predicate("associative?", lambda value: isinstance(value, (*VECTORS, HashMap)))
_predicate("fn?", lambda value: isinstance(value, FUNCTION_KINDS))
_predicate("ifn?", lambda value: isinstance(value, CALLABLES))
_predicate("atom?", lambda value: isinstance(value, Atom))
_predicate("error?", lambda value: isinstance(value, ErrorValue))
_predicate("lazy-seq?", lambda value: isinstance(value, Lazy))


@_primitive("counted?")
def _counted(store: Store, value: Value) -> bool:
    if isinstance(value, Slice):
        return isinstance(value.items, VECTORS)
    if isinstance(value, Range):
        return is_integer(value.start)
    return isinstance(value, (*VECTORS, HashMap, HashSet, Empty)) or (
        isinstance(value, Pair) and value.is_list
    )


# -- text --


@_primitive("str")
def _str(store: Store, *arguments: Value) -> str:
    return "".join(str_of(store, argument) for argument in arguments)


@_primitive("pr-str")
def _pr_str(store: Store, *arguments: Value) -> str:
    return " ".join(text_of(store, argument, readable=True) for argument in arguments)


@_primitive("print-str")
def _print_str(store: Store, *arguments: Value) -> str:
    return " ".join(text_of(store, argument, readable=False) for argument in arguments)


@_primitive("join-text")
def _join(store: Store, separator: Value, source: Value) -> str:
    between = _string("join", separator)
    return between.join(str_of(store, item) for item in all_items(store, source))


@_primitive("subs")
def _subs(store: Store, value: Value, start: Value, end: Value = None) -> str:
    text = _string("subs", value)
    first = _index("subs", start)
    last = len(text) if end is None else _index("subs", end)
    if not 0 <= last <= len(text):
        raise _out_of_bounds("subs", last, len(text))
    if not 0 <= first <= last:
        raise _out_of_bounds("subs", first, last)
    return text[first:last]


@_primitive("name")
def _name_of(store: Store, value: Value) -> str:
    if isinstance(value, Keyword | Symbol):
        return value.local_name
    if isinstance(value, str):
        return value
    raise type_fault("name", "a keyword, symbol or string", value)


@_primitive("namespace")
def _namespace(store: Store, value: Value) -> str | None:
    if isinstance(value, Keyword | Symbol):
        return value.namespace
    raise type_fault("namespace", "a keyword or symbol", value)


def _qualified(name: str, namespace: Value, local: Value) -> str:
    if namespace is None:
        return _string(name, local)
    return f"{_string(name, namespace)}/{_string(name, local)}"


@_primitive("keyword")
def _keyword(store: Store, *arguments: Value) -> Keyword | None:
    if len(arguments) == 2:
        return Keyword(_qualified("keyword", *arguments))
    (value,) = arguments
    if isinstance(value, Keyword | Symbol):
        return Keyword(value.name)
    return Keyword(value) if isinstance(value, str) else None


@_primitive("symbol")
def _symbol(store: Store, *arguments: Value) -> Symbol:
    if len(arguments) == 2:
        return Symbol(_qualified("symbol", *arguments))
    (value,) = arguments
    if isinstance(value, Keyword | Symbol):
        return Symbol(value.name)
    if isinstance(value, str):
        return Symbol(value)
    raise type_fault("symbol", "a string, keyword or symbol", value)


@_primitive("char")
def _char(store: Store, value: Value) -> Char:
    if isinstance(value, Char):
        return value
    if not is_integer(value):
        raise type_fault("char", "a code point", value)
    if not 0 <= value <= 0x10FFFF or 0xD800 <= value < 0xE000:
        raise GuestFault("argument", "char: the number is not the code point of a character")
    return Char(chr(value))


_SPACES = (
    "".join(map(chr, [*range(9, 14), *range(28, 33), 0x1680, *range(0x2000, 0x2007)]))
    + (
        "\u2008\u2009\u200a\u2028\u2029\u205f\u3000"  # what Java calls whitespace: no-break spaces are none
    )
)


def _strip(text: str) -> str:
    return text.strip(_SPACES)


@_primitive("upper-case")
def _upper(store: Store, value: Value) -> str:
    return _string("upper-case", value).upper()


@_primitive("lower-case")
def _lower(store: Store, value: Value) -> str:
    return _string("lower-case", value).lower()


@_primitive("trim")
def _trim(store: Store, value: Value) -> str:
    return _strip(_string("trim", value))


@_primitive("blank?")
def _blank(store: Store, value: Value) -> bool:
    return value is None or not _strip(_string("blank?", value))


@_primitive("starts-with?")
def _starts_with(store: Store, value: Value, part: Value) -> bool:
    return _string("starts-with?", value).startswith(_string("starts-with?", part))


@_primitive("ends-with?")
def _ends_with(store: Store, value: Value, part: Value) -> bool:
    return _string("ends-with?", value).endswith(_string("ends-with?", part))


@_primitive("includes?")
def _includes(store: Store, value: Value, part: Value) -> bool:
    text = _string("includes?", value)
    return _string("includes?", part) in text


@_primitive("index-of")
def _index_of(store: Store, value: Value, part: Value, start: Value = 0) -> int | None:
    text, sought = _string("index-of", value), _string("index-of", part)
    at = text.find(sought, min(max(_index("index-of", start), 0), len(text)))
    return None if at < 0 else at


@_primitive("replace-text")
def _replace(store: Store, value: Value, match: Value, replacement: Value) -> str:
    text, sought = _string("replace", value), _string("replace", match)
    return text.replace(sought, _string("replace", replacement))


@_primitive("split-text")
def _split(store: Store, value: Value, separator: Value) -> Value:
    text, between = _string("split", value), _string("split", separator)
    parts = text.split(between) if between else list(text) or [""]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    if parts == [""] and text:
        parts = []  # nothing but separators
    return pvector(parts)


# -- seqs and collections --


@_primitive("list")
def _list(store: Store, *arguments: Value) -> Value:
    return list_of(arguments)


@_primitive("vector")
def _vector(store: Store, *arguments: Value) -> Value:
    return pvector(arguments)


@_primitive("hash-map")
def _hash_map(store: Store, *arguments: Value) -> Value:
    if len(arguments) % 2:
        raise GuestFault("argument", "hash-map: the last key has no value")
    found = EMPTY_MAP
    for key, value in zip(arguments[::2], arguments[1::2], strict=True):
        found = with_entry(store, found, key, value)
    return found


@_primitive("hash-set")
def _hash_set(store: Store, *arguments: Value) -> Value:
    found = EMPTY_SET
    for argument in arguments:
        found = with_member(store, found, argument)
    return found


@_primitive("vec")
def _vec(store: Store, source: Value) -> Value:
    return source if isinstance(source, VECTORS) else pvector(all_items(store, source))


@_primitive("set")
def _set(store: Store, source: Value) -> Value:
    return source if isinstance(source, HashSet) else _hash_set(store, *all_items(store, source))


@_primitive("conj")
def _conj(store: Store, *arguments: Value) -> Value:
    if not arguments:
        return pvector()
    target = arguments[0]
    for argument in arguments[1:]:
        target = _conj_one(store, target, argument)
    return target


def _conj_one(store: Store, target: Value, item: Value) -> Value:
    if target is None:
        return list_of([item])
    if isinstance(target, VECTORS):
        return target.append(item)
    if isinstance(target, HashSet):
        return with_member(store, target, item)
    if isinstance(target, HashMap):
        return _conj_entries(store, target, item)
    if isinstance(target, SEQS):
        is_list = target is EMPTY or (isinstance(target, Pair) and target.is_list)
        return Pair(item, target, is_list)
    raise type_fault("conj", "a collection", target)


def _conj_entries(store: Store, target: HashMap, item: Value) -> HashMap:
    if item is None:
        return target
    if isinstance(item, VECTORS):
        if len(item) != 2:
            message = "conj: an entry of a map is a vector of two, [key value]"
            raise GuestFault("argument", message)
        return with_entry(store, target, item[0], item[1])
    if not isinstance(item, HashMap):
        raise type_fault("conj", "a map or an entry [key value]", item)
    for key, value in item.entries.values():
        target = with_entry(store, target, key, value)
    return target


@_primitive("cons")
def _cons(store: Store, item: Value, source: Value) -> Value:
    if source is None:
        return list_of([item])
    if isinstance(source, SEQS):
        return Pair(item, source, False)
    found = seq(store, source)
    return Pair(item, EMPTY if found is None else found, False)


@_primitive("seq")
def _seq(store: Store, source: Value) -> Value:
    return seq(store, source)


@_primitive("first")
def _first(store: Store, source: Value) -> Value:
    return next(items(store, source), None)


@_primitive("rest")
def _rest(store: Store, source: Value) -> Value:
    return rest(store, source)


@_primitive("next")
def _next(store: Store, source: Value) -> Value:
    return seq(store, rest(store, source))


@_primitive("count")
def _count(store: Store, source: Value) -> int:
    if isinstance(source, str):
        return len(source)
    if not isinstance(source, COLLECTIONS) and source is not None:
        raise type_fault("count", "a collection", source)
    return len(all_items(store, source))


@_primitive("empty?")
def _is_empty(store: Store, source: Value) -> bool:
    if not isinstance(source, (*COLLECTIONS, str)) and source is not None:
        raise type_fault("empty?", "a collection", source)
    return seq(store, source) is None


@_primitive("empty")
def _empty(store: Store, source: Value) -> Value:
    if isinstance(source, VECTORS):
        return pvector()
    if isinstance(source, HashMap):
        return EMPTY_MAP
    if isinstance(source, HashSet):
        return EMPTY_SET
    return EMPTY if isinstance(source, SEQS) else None


_ABSENT = object()


@_primitive("nth")
def _nth(store: Store, source: Value, index: Value, default: Value = _ABSENT) -> Value:
    at = _index("nth", index)
    if source is None:
        return None if default is _ABSENT else default
    if isinstance(source, INDEXED):
        if 0 <= at < len(source):
            return Char(source[at]) if isinstance(source, str) else source[at]
        message = f"nth: index {at} out of bounds for length {len(source)}"
    elif isinstance(source, SEQS):
        for position, item in enumerate(items(store, source) if at >= 0 else ()):
            if position == at:
                return item
        message = f"nth: index {at} out of bounds"
    else:
        raise type_fault("nth", "a vector, seq or string", source)
    if default is _ABSENT:
        raise GuestFault("index", message)
    return default


@_primitive("get")
def _get(store: Store, source: Value, key: Value, default: Value = None) -> Value:
    if isinstance(source, HashMap):
        entry = source.entries.get(key_of(store, key))
        return default if entry is None else entry[1]
    if isinstance(source, HashSet):
        return source.members.get(key_of(store, key), default)
    if isinstance(source, INDEXED) and is_integer(key) and 0 <= key < len(source):
        return Char(source[key]) if isinstance(source, str) else source[key]
    return default


@_primitive("assoc")
def _assoc(store: Store, target: Value, *entries: Value) -> Value:
    if len(entries) % 2:
        raise GuestFault("argument", "assoc: the last key has no value")
    if target is None:
        target = EMPTY_MAP
    for key, value in zip(entries[::2], entries[1::2], strict=True):
        if isinstance(target, HashMap):
            target = with_entry(store, target, key, value)
        elif isinstance(target, VECTORS):
            at = _index("assoc", key)
            if not 0 <= at <= len(target):
                raise _out_of_bounds("assoc", at, len(target))
            target = target.set(at, value)
        else:
            raise type_fault("assoc", "a map or a vector", target)
    return target


@_primitive("dissoc")
def _dissoc(store: Store, target: Value, *keys: Value) -> Value:
    if target is None:
        return None
    if not isinstance(target, HashMap):
        raise type_fault("dissoc", "a map", target)
    entries = target.entries
    for key in keys:
        entries = entries.discard(key_of(store, key))
    return HashMap(entries)


@_primitive("disj")
def _disj(store: Store, target: Value, *members: Value) -> Value:
    if target is None:
        return None
    if not isinstance(target, HashSet):
        raise type_fault("disj", "a set", target)
    left = target.members
    for member in members:
        left = left.discard(key_of(store, member))
    return HashSet(left)


@_primitive("contains?")
def _contains(store: Store, source: Value, key: Value) -> bool:
    if source is None:
        return False
    if isinstance(source, HashMap):
        return key_of(store, key) in source.entries
    if isinstance(source, HashSet):
        return key_of(store, key) in source.members
    if isinstance(source, INDEXED):
        return is_integer(key) and 0 <= key < len(source)
    raise type_fault("contains?", "a map, set, vector or string", source)


@_primitive("find")
def _find(store: Store, source: Value, key: Value) -> Value:
    if isinstance(source, HashMap):
        entry = source.entries.get(key_of(store, key))
        return None if entry is None else pvector(entry)
    if isinstance(source, VECTORS):
        found = is_integer(key) and 0 <= key < len(source)
        return pvector([key, source[key]]) if found else None
    if source is None:
        return None
    raise type_fault("find", "a map or a vector", source)


def _parts(store: Store, name: str, part: int, source: Value) -> Value:
    """Return a seq of the keys (part 0) or values (1) of a map, or of a seq of entries."""
    found = []
    for entry in all_items(store, source):
        if not isinstance(entry, VECTORS) or len(entry) != 2:
            raise type_fault(name, "entries of a map", entry)
        found.append(entry[part])
    return Slice(found, 0) if found else None


@_primitive("keys")
def _keys(store: Store, source: Value) -> Value:
    return _parts(store, "keys", 0, source)


@_primitive("vals")
def _vals(store: Store, source: Value) -> Value:
    return _parts(store, "vals", 1, source)


def _part(name: str, part: int, entry: Value) -> Value:
    if not isinstance(entry, VECTORS) or len(entry) != 2:
        raise type_fault(name, "an entry [key value]", entry)
    return entry[part]


@_primitive("key")
def _entry_key(store: Store, entry: Value) -> Value:
    return _part("key", 0, entry)


@_primitive("val")
def _entry_value(store: Store, entry: Value) -> Value:
    return _part("val", 1, entry)


@_primitive("peek")
def _peek(store: Store, source: Value) -> Value:
    if isinstance(source, VECTORS):
        return source[-1] if len(source) else None
    if source is None or source is EMPTY:
        return None
    if isinstance(source, Pair) and source.is_list:
        return source.first
    raise type_fault("peek", "a vector or a list", source)


@_primitive("pop")
def _pop(store: Store, source: Value) -> Value:
    if isinstance(source, VECTORS):
        if not len(source):
            raise GuestFault("state", "pop: Can't pop empty vector")
        return source[:-1]
    if source is EMPTY:
        raise GuestFault("state", "pop: Can't pop empty list")
    if source is None:
        return None
    if isinstance(source, Pair) and source.is_list:
        return source.rest
    raise type_fault("pop", "a vector or a list", source)


@_primitive("subvec")
def _subvec(store: Store, source: Value, start: Value, end: Value = None) -> Value:
    if not isinstance(source, VECTORS):
        raise type_fault("subvec", "a vector", source)
    first = _index("subvec", start)
    last = len(source) if end is None else _index("subvec", end)
    if not 0 <= last <= len(source):
        raise _out_of_bounds("subvec", last, len(source))
    if not 0 <= first <= last:
        raise _out_of_bounds("subvec", first, last)
    return source[first:last]


@_primitive("reverse")
def _reverse(store: Store, source: Value) -> Value:
    return list_of(reversed(all_items(store, source)))


@_primitive("number-range")
def _number_range(store: Store, start: Value, end: Value, step: Value) -> Value:
    """Return a Range, EMPTY, or None where the core library has to make the seq: mixed kinds, a step of zero."""
    for number in (start, end, step):
        _number("range", number)
    if not type(start) is type(end) is type(step) or not isinstance(start, int | float):
        return None
    if isinstance(start, int) and max(abs(start), abs(end), abs(step)) >= 1 << 63:
        return None
    if step == 0 or any(number != number for number in (start, end, step)):
        return None
    return Range(start, end, step) if (start < end if step > 0 else start > end) else EMPTY


# -- cells, errors, lazy seqs --


def _cell(name: str, value: Value) -> int:
    if not isinstance(value, Atom):
        raise type_fault(name, "an atom", value)
    return value.address


@_primitive("atom")
def _atom(store: Store, value: Value) -> Atom:
    return Atom(store.new(value))


@_primitive("deref")
def _deref(store: Store, cell: Value) -> Value:
    return store.read(_cell("deref", cell))


@_primitive("reset!")
def _reset(store: Store, cell: Value, value: Value) -> Value:
    store.write(_cell("reset!", cell), value)
    return value


@_primitive("compare-and-set!")
def _compare_and_set(store: Store, cell: Value, old: Value, new: Value) -> bool:
    address = _cell("compare-and-set!", cell)
    if not _same(store.read(address), old):
        return False
    store.write(address, new)
    return True


@_primitive("ex-info")
def _ex_info(store: Store, message: Value, data: Value, cause: Value = None) -> ErrorValue:
    if message is not None:
        _string("ex-info", message)
    if not isinstance(data, HashMap):
        raise type_fault("ex-info", "a map", data)
    if cause is not None and not isinstance(cause, ErrorValue):
        raise type_fault("ex-info", "an error", cause)
    return ErrorValue(message, data, cause)


@_primitive("ex-message")
def _ex_message(store: Store, value: Value) -> Value:
    return value.message if isinstance(value, ErrorValue) else None


@_primitive("ex-data")
def _ex_data(store: Store, value: Value) -> Value:
    return value.data if isinstance(value, ErrorValue) else None


@_primitive("ex-cause")
def _ex_cause(store: Store, value: Value) -> Value:
    return value.cause if isinstance(value, ErrorValue) else None


def _lazy(name: str, expected: str, value: Value) -> Lazy:
    if not isinstance(value, Lazy):
        raise type_fault(name, expected, value)
    return value


@_primitive("lazy-seq*")
def _lazy_seq(store: Store, thunk: Value) -> Lazy:
    if not isinstance(thunk, Closure):
        raise type_fault("lazy-seq*", "a function", thunk)
    return Lazy(store.new(LazyState(thunk, None)))


@_primitive("lazy-thunk")
def _lazy_thunk(store: Store, value: Value) -> Value:
    return store.read(_lazy("lazy-thunk", "a lazy seq", value).address).thunk


@_primitive("lazy-set!")
def _lazy_set(store: Store, value: Value, found: Value) -> None:
    """What a lazy seq holds never changes; it may be another lazy seq, but not itself."""
    lazy = _lazy("lazy-set!", "a lazy seq", value)
    while isinstance(found, Lazy) and store.read(found.address).thunk is None:
        found = store.read(found.address).value
    if found == lazy:
        raise GuestFault("argument", "lazy-seq: the seq is its own value")
    if store.read(lazy.address).thunk is not None:
        store.write(lazy.address, LazyState(None, found))


@_primitive("lazy-value")
def _lazy_value(store: Store, value: Value) -> Value:
    return realised(store, _lazy("lazy-value", "a realised lazy seq", value))
