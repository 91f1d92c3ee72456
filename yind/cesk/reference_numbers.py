"""The host functions of the reference machine on numbers, and equality and order of all values.

Is:     the first part of `yang.primitives` as Python functions.
Is not: numbers as text (`reference_text`).
Fits:   `reference_primitives` has the whole table.
Source: Clojure 1.11's clojure.core; integers grow instead of overflowing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from pyrsistent import pvector

from datomstore import decimals
from datomstore.value import Char, Keyword, Symbol
from yind.cesk.reference_arguments import (
    FUNCTIONS,
    check_integer,
    check_number,
    is_same,
    primitive,
)
from yind.cesk.reference_values import (
    VECTORS,
    GuestFault,
    Store,
    Value,
    bare,
    equal,
    is_integer,
    is_number,
    type_fault,
    type_name,
)

_INTEGER_BITS_MAX = 1 << 30  # far more than a test needs

# -- arithmetic --

_DIGITS_OF_RATIOS = Context(prec=16, Emin=MIN_EMIN, Emax=MAX_EMAX)


def _exact(value: Value) -> Value:
    """Return a number in its simplest kind: a ratio with denominator 1 is an integer. Raises GuestFault if too large."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if type(value) is int and value.bit_length() > _INTEGER_BITS_MAX:
        raise GuestFault("limit", "integer too large")
    return value


def to_double(value: Value) -> float:
    """Return a number as a double, infinite beyond their range; of a ratio by way of 16 digits, as Clojure."""
    try:
        if isinstance(value, Fraction):
            return float(
                _DIGITS_OF_RATIOS.divide(Decimal(value.numerator), Decimal(value.denominator))
            )
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _any_double(a: Value, b: Value) -> bool:
    return isinstance(a, float) or isinstance(b, float)


def _any_decimal(a: Value, b: Value) -> bool:
    """Return whether an operation is one on decimals: doubles come before them."""
    return (isinstance(a, Decimal) or isinstance(b, Decimal)) and not _any_double(a, b)


def _decimal(operation: Callable[[Decimal, Decimal], Value], a: Value, b: Value) -> Value:
    """Return the result of an operation on two numbers as decimals. Raises GuestFault."""
    try:
        return operation(decimals.exact(a), decimals.exact(b))
    except decimals.DecimalFault as error:
        raise GuestFault("arithmetic", str(error)) from None


def _add(a: Value, b: Value) -> Value:
    if _any_decimal(a, b):
        return _decimal(decimals.add, a, b)
    return to_double(a) + to_double(b) if _any_double(a, b) else _exact(a + b)


def _subtract(a: Value, b: Value) -> Value:
    if _any_decimal(a, b):
        return _decimal(decimals.subtract, a, b)
    return to_double(a) - to_double(b) if _any_double(a, b) else _exact(a - b)


def _multiply(a: Value, b: Value) -> Value:
    if _any_decimal(a, b):
        return _decimal(decimals.multiply, a, b)
    return to_double(a) * to_double(b) if _any_double(a, b) else _exact(a * b)


def _divide(a: Value, b: Value) -> Value:
    if _any_double(a, b):
        a, b = to_double(a), to_double(b)
        if b != 0:
            return a / b
        if a == 0 or math.isnan(a):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    if b == 0:
        raise GuestFault("arithmetic", "Divide by zero")
    if _any_decimal(a, b):
        return _decimal(decimals.divide, a, b)
    return _exact(Fraction(a) / b)


def _quotient(a: Value, b: Value) -> Value:
    if b == 0:
        raise GuestFault("arithmetic", "Divide by zero")
    if _any_double(a, b):
        quotient = to_double(a) / to_double(b)
        return float(int(quotient)) if math.isfinite(quotient) else quotient  # never -0.0
    if _any_decimal(a, b):
        return _decimal(decimals.quotient, a, b)
    whole = a // b
    return _exact(whole + 1 if whole < 0 and whole * b != a else whole)


def _remainder(a: Value, b: Value) -> Value:
    quotient = _quotient(a, b)
    if _any_double(a, b):  # as Clojure has it, not C's fmod: the product is rounded
        return to_double(a) - quotient * to_double(b)
    return _subtract(a, _multiply(quotient, b))


def _modulus(a: Value, b: Value) -> Value:
    remainder = _remainder(a, b)
    return remainder if remainder == 0 or (a > 0) == (b > 0) else _add(remainder, b)


def _fold(
    name: str, operation: Callable[[Value, Value], Value], arguments: tuple[Value, ...]
) -> Value:
    """Return a1 operation a2 operation a3 ..."""
    result = check_number(name, arguments[0])
    for argument in arguments[1:]:
        result = operation(result, check_number(name, argument))
    return result


@primitive("+")
def _plus(store: Store, *arguments: Value) -> Value:
    return _fold("+", _add, arguments) if arguments else 0


def _negated(a: Value) -> Value:
    return decimals.negate(a) if isinstance(a, Decimal) else _exact(-a)


@primitive("-")
def _minus(store: Store, *arguments: Value) -> Value:
    if len(arguments) == 1:
        return _negated(check_number("-", arguments[0]))
    return _fold("-", _subtract, arguments)


@primitive("*")
def _times(store: Store, *arguments: Value) -> Value:
    return _fold("*", _multiply, arguments) if arguments else 1


@primitive("/")
def _by(store: Store, *arguments: Value) -> Value:
    return _fold("/", _divide, arguments if len(arguments) > 1 else (1, *arguments))


@primitive("quot")
def _quot(store: Store, a: Value, b: Value) -> Value:
    return _quotient(check_number("quot", a), check_number("quot", b))


@primitive("rem")
def _rem(store: Store, a: Value, b: Value) -> Value:
    return _remainder(check_number("rem", a), check_number("rem", b))


@primitive("mod")
def _mod(store: Store, a: Value, b: Value) -> Value:
    return _modulus(check_number("mod", a), check_number("mod", b))


@primitive("inc")
def _inc(store: Store, a: Value) -> Value:
    return _add(check_number("+", a), 1)


@primitive("dec")
def _dec(store: Store, a: Value) -> Value:
    return _subtract(check_number("-", a), 1)


def _extreme(name: str, sign: int, arguments: tuple[Value, ...]) -> Value:
    """Return the greatest (sign 1) or least (-1) number; NaN wins, of equal ones the last."""
    best = check_number(name, arguments[0])
    for argument in arguments[1:]:
        worse = sign * _compared(check_number(name, argument), best) < 0
        if argument != argument or not (worse or best != best):
            best = argument
    return best


@primitive("max")
def _max(store: Store, *arguments: Value) -> Value:
    return _extreme("max", 1, arguments)


@primitive("min")
def _min(store: Store, *arguments: Value) -> Value:
    return _extreme("min", -1, arguments)


@primitive("abs")
def _abs(store: Store, a: Value) -> Value:
    if isinstance(check_number("abs", a), Decimal):
        return _negated(a) if a < 0 else a
    return _exact(abs(a))


# -- equality and order --


@primitive("=")
def _equals(store: Store, *arguments: Value) -> bool:
    return all(equal(store, a, b) for a, b in pairwise(arguments))


@primitive("not=")
def _not_equals(store: Store, *arguments: Value) -> bool:
    return not _equals(store, *arguments)


def _ordered(name: str, test: Callable[[Value, Value], bool]) -> None:
    """Register a function that tests all neighbours; one argument alone is not looked at."""

    def function(store: Store, *arguments: Value) -> bool:
        return all(
            test(check_number(name, a), check_number(name, b)) for a, b in pairwise(arguments)
        )

    FUNCTIONS[name] = function


def _compared(a: Value, b: Value) -> int:
    """Return -1, 0 or 1 for two numbers, 2 if one is NaN; as doubles if one is a double."""
    if _any_double(a, b):
        a, b = to_double(a), to_double(b)
        if math.isnan(a) or math.isnan(b):
            return 2
    if _any_decimal(a, b):
        return _decimal(decimals.order, a, b)  # type: ignore[no-any-return]
    return int(a > b) - int(a < b)


_ordered("==", lambda a, b: _compared(a, b) == 0)
_ordered("<", lambda a, b: _compared(a, b) == -1)
_ordered("<=", lambda a, b: _compared(a, b) in (-1, 0))
_ordered(">", lambda a, b: _compared(a, b) == 1)
_ordered(">=", lambda a, b: _compared(a, b) in (1, 0))

_ORDERED_KINDS: tuple[tuple[type, ...], ...] = (
    (int, float, Fraction, Decimal),
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


@primitive("compare")
def _compare(store: Store, a: Value, b: Value) -> int:
    return _compare_values(a, b, total=False)


def total_order(store: Store, a: Value, b: Value) -> int:
    """Return the order of `compare`, but exact between doubles and others, with a NaN before all numbers: transitive."""
    return _compare_values(a, b, total=True)


def _compare_values(a: Value, b: Value, *, total: bool) -> int:
    stack = [(a, b)]
    while stack:
        a, b = (bare(value) for value in stack.pop())
        if isinstance(a, VECTORS) and isinstance(b, VECTORS):
            if len(a) != len(b):
                return -1 if len(a) < len(b) else 1
            stack.extend(reversed(list(zip(a, b, strict=True))))
        elif order := _compare_simple(a, b, total):
            return order
    return 0


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _compare_simple(a: Value, b: Value, total: bool) -> int:
    if a is None or b is None:
        return (a is not None) - (b is not None)
    for value in (a, b):
        if not isinstance(value, VECTORS) and type(value) not in sum(_ORDERED_KINDS, ()):
            raise type_fault("compare", "something with an order", value)
    if is_number(a) and is_number(b):
        if not total:
            order = _compared(a, b)
            return 0 if order == 2 else order
        if _is_nan(a) or _is_nan(b):
            return _is_nan(b) - _is_nan(a)
        if _any_decimal(a, b):
            return _compared(a, b)
        return int(a > b) - int(a < b)  # exact between kinds
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
    FUNCTIONS[_name] = lambda store, value, name=_name, test=_test: test(check_number(name, value))


@primitive("even?")
def _even(store: Store, value: Value) -> bool:
    if not is_integer(value):
        raise type_fault("even?", "an integer", value)
    return value % 2 == 0  # type: ignore[no-any-return]


@primitive("odd?")
def _odd(store: Store, value: Value) -> bool:
    if not is_integer(value):
        raise type_fault("odd?", "an integer", value)
    return value % 2 == 1  # type: ignore[no-any-return]


@primitive("identical?")
def _identical(store: Store, a: Value, b: Value) -> bool:
    return is_same(a, b)


# -- bits and kinds of numbers --


def _bitwise(name: str, operation: Callable[[int, int], int]) -> None:
    def two(a: Value, b: Value) -> int:
        return operation(check_integer(name, a), check_integer(name, b))

    FUNCTIONS[name] = lambda store, *arguments: _fold(name, two, arguments)


_bitwise("bit-and", lambda a, b: a & b)
_bitwise("bit-or", lambda a, b: a | b)
_bitwise("bit-xor", lambda a, b: a ^ b)


@primitive("bit-not")
def _bit_not(store: Store, value: Value) -> int:
    if not is_integer(value):
        raise type_fault("bit-not", "an integer", value)
    return ~value  # type: ignore[no-any-return]


def _shift_distance(name: str, value: Value) -> int:
    distance = check_integer(name, value)
    if not 0 <= distance < 1 << 63:
        raise GuestFault("arithmetic", "shift by a negative or too large number")
    return distance


@primitive("bit-shift-left")
def _shift_left(store: Store, value: Value, distance: Value) -> Value:
    shifted, by = (
        check_integer("bit-shift-left", value),
        _shift_distance("bit-shift-left", distance),
    )
    if by > _INTEGER_BITS_MAX:
        raise GuestFault("limit", "integer too large")
    return _exact(shifted << by)


@primitive("bit-shift-right")
def _shift_right(store: Store, value: Value, distance: Value) -> int:
    return check_integer("bit-shift-right", value) >> _shift_distance("bit-shift-right", distance)


@primitive("int", "long")
def _truncate(store: Store, value: Value) -> int:
    if isinstance(value, Char):
        return ord(value.value)
    if isinstance(check_number("int", value), float) and not math.isfinite(value):
        raise GuestFault("arithmetic", "int: not a finite number")
    return int(value)


@primitive("double")
def _to_double(store: Store, value: Value) -> float:
    return to_double(check_number("double", value))


@primitive("numerator")
def _numerator(store: Store, value: Value) -> int:
    if not is_integer(value) and not isinstance(value, Fraction):
        raise type_fault("numerator", "a ratio", value)
    return value.numerator  # type: ignore[no-any-return]


@primitive("denominator")
def _denominator(store: Store, value: Value) -> int:
    if not is_integer(value) and not isinstance(value, Fraction):
        raise type_fault("denominator", "a ratio", value)
    return value.denominator  # type: ignore[no-any-return]


# -- decimals --


@primitive("bigdec")
def _bigdec(store: Store, value: Value) -> Value:
    if not isinstance(value, str):
        check_number("bigdec", value)
    try:
        return decimals.of_any(value)
    except decimals.DecimalFault as error:
        raise GuestFault("arithmetic", str(error)) from None
    except ValueError:
        raise GuestFault("number", "bigdec: this is no decimal") from None


@primitive("decimal-parts")
def _decimal_parts(store: Store, value: Value) -> Value:
    if not isinstance(value, Decimal):
        raise type_fault("decimal-parts", "a decimal", value)
    return pvector(decimals.parts(value))


@primitive("round-decimal")
def _round_decimal(store: Store, value: Value, precision: Value, mode: Value) -> Value:
    return _with_precision(lambda a, b: decimals.rounded(a, precision, mode), value, value)


@primitive("divide-decimal")
def _divide_decimal(store: Store, a: Value, b: Value, precision: Value, mode: Value) -> Value:
    return _with_precision(lambda a, b: decimals.divide_rounded(a, b, precision, mode), a, b)


def _with_precision(operation: Callable[[Decimal, Decimal], Value], a: Value, b: Value) -> Value:
    for value in (a, b):
        if not is_number(value) or isinstance(value, float):
            raise type_fault("with-precision", "an exact number", value)
    try:
        return _decimal(operation, a, b)
    except (ValueError, TypeError):
        raise GuestFault("argument", "with-precision: no such precision or rounding") from None
