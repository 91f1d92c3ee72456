"""The host functions of the reference machine on doubles, and on what Unicode says of characters.

Is:     what C's mathematical functions say, also where Python's raise.
Is not: arithmetic (`reference_numbers`).
Fits:   `reference_primitives` imports it; it fills the table.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable

from datomstore.value import Char
from yind.cesk.reference_arguments import check_number, primitive
from yind.cesk.reference_numbers import to_double
from yind.cesk.reference_values import Store, Value, is_integer, type_fault

# ORDER: real functions. As in _primitives_math.pxi and yang/lib/math.clj.
_OF_ONE: tuple[Callable[[float], float], ...] = (
    math.sqrt,
    math.cbrt,
    math.exp,
    math.expm1,
    math.log,
    math.log10,
    math.log1p,
    math.sin,
    math.cos,
    math.tan,
    math.asin,
    math.acos,
    math.atan,
    math.sinh,
    math.cosh,
    math.tanh,
    math.floor,
    math.ceil,
    round,
)
_OF_TWO: tuple[Callable[[float, float], float], ...] = (
    math.pow,
    math.atan2,
    math.hypot,
    math.remainder,
    math.copysign,
    math.nextafter,
)
_ROUNDING = (16, 17, 18)
_LOGARITHMS = (4, 5, 6)
_SINH = 13


def _of_one(number: int, a: float) -> float:
    if number in _ROUNDING:
        return math.copysign(float(_OF_ONE[number](a)), a) if math.isfinite(a) else a
    try:
        return _OF_ONE[number](a)
    except OverflowError:
        return math.copysign(math.inf, a) if number == _SINH else math.inf
    except ValueError:
        pole = a == (-1.0 if number == _LOGARITHMS[2] else 0.0)
        return -math.inf if number in _LOGARITHMS and pole else math.nan


def _of_two(number: int, a: float, b: float) -> float:
    try:
        return _OF_TWO[number](a, b)
    except OverflowError:
        return math.copysign(math.inf, a) if number == 0 and b % 2 == 1 else math.inf
    except ValueError:
        if number == 0 and a == 0.0:  # to a negative power
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return math.nan


@primitive("real-function")
def _real_function(store: Store, number: Value, *arguments: Value) -> float:
    functions: tuple[object, ...] = _OF_TWO if len(arguments) == 2 else _OF_ONE
    if not is_integer(number) or not 0 <= number < len(functions):
        raise type_fault("real-function", "the number of a function", number)
    doubles = [to_double(check_number("math", argument)) for argument in arguments]
    return _of_two(number, *doubles) if len(doubles) == 2 else _of_one(number, *doubles)


@primitive("char-kind")
def _char_kind(store: Store, value: Value) -> str:
    if not isinstance(value, Char):
        raise type_fault("char-kind", "a character", value)
    return unicodedata.category(value.value)
