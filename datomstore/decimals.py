"""Decimal numbers as Clojure has them: an integer and a scale, which tells 1.5 from 1.50.

Is:     arithmetic, order, rounding and text of `decimal.Decimal` by the rules of java.math.BigDecimal; results are exact.
Is not: Python's decimal contexts, nor numbers of other kinds: who mixes them says what becomes of them.
Fits:   values of the kind decimal, in `datomstore` and in both machines.
Source: java.math.BigDecimal and clojure.lang.Numbers of Clojure 1.11.

There is no negative zero, infinity or NaN. A decimal has at most DECIMAL_DIGITS_MAX digits and a scale of at most as many, so
that every operation on two of them is a bounded amount of work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from datomstore.errors import DatomstoreError
from datomstore.limits import DECIMAL_DIGITS_MAX

Exact: TypeAlias = int | Fraction | Decimal
_TEXT = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?")
_BOUND = 10**DECIMAL_DIGITS_MAX
_DIGITS = bytes((number + ord("0")) % 256 for number in range(256))  # 7 -> "7"

DIVIDE_BY_ZERO = "Divide by zero"
NON_TERMINATING = "Non-terminating decimal expansion; no exact representable decimal result."
TOO_LARGE = f"a decimal of more than {DECIMAL_DIGITS_MAX} digits"
ROUNDING_NECESSARY = "Rounding necessary"


class DecimalFault(DatomstoreError, ValueError):
    """The result is no decimal; the message is one of the four above."""

    code = "decimal/fault"


def decimal_of(unscaled: int, scale: int) -> Decimal:
    """Return unscaled / 10 ** scale. Raises DecimalFault if it is too large."""
    if not -_BOUND < unscaled < _BOUND or abs(scale) > DECIMAL_DIGITS_MAX:
        raise DecimalFault(TOO_LARGE)
    return Decimal(f"{unscaled}E{-scale}")


def parts(value: Decimal) -> tuple[int, int]:
    """Return the integer and the scale of a decimal."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), value
    unscaled = int(bytes(digits).translate(_DIGITS) or b"0")
    return -unscaled if sign else unscaled, -exponent


def parse(text: str) -> Decimal:
    """Return the decimal of a text such as -1.50 or 1e3. Raises ValueError or DecimalFault."""
    match = _TEXT.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"{text!r} is not a decimal")
    whole, fraction = match[2], match[3] or ""
    if len(whole) + len(fraction) > 2 * DECIMAL_DIGITS_MAX:
        raise DecimalFault(TOO_LARGE)
    unscaled = int(whole + fraction)
    scale = len(fraction) - int(match[4] or 0)
    return decimal_of(-unscaled if match[1] == "-" else unscaled, scale)


def write(value: Decimal) -> str:
    """Return a decimal as Java prints it, without the M."""
    unscaled, scale = parts(value)
    digits = str(abs(unscaled))
    minus = "-" if unscaled < 0 else ""
    exponent = len(digits) - 1 - scale
    if scale == 0:
        return minus + digits
    if scale > 0 and exponent >= -6:
        padded = digits.rjust(scale + 1, "0")
        return f"{minus}{padded[:-scale]}.{padded[-scale:]}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    shown = f"E{exponent:+d}" if exponent else ""
    return f"{minus}{digits[0]}{fraction}{shown}"


def normal(value: Decimal) -> tuple[int, int]:
    """Return integer and scale of a decimal without zeros at its end: equal ones have the same."""
    unscaled, scale = parts(value)
    if unscaled == 0:
        return 0, 0
    if unscaled % 10:
        return unscaled, scale
    text = str(unscaled)
    left = text.rstrip("0")
    return int(left), scale - (len(text) - len(left))


def is_equal(a: Decimal, b: Decimal) -> bool:
    """Return whether two decimals are the same number."""
    return normal(a) == normal(b)


def exact(value: Exact) -> Decimal:
    """Return a number as a decimal. Raises DecimalFault for a ratio that is none."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int):
        return decimal_of(value, 0)
    return divide(decimal_of(value.numerator, 0), decimal_of(value.denominator, 0))


def of_any(value: Exact | float | str) -> Decimal:
    """Return what `bigdec` makes of a number or a text. Raises ValueError or DecimalFault."""
    if isinstance(value, float):
        value = java_text(value)
    return parse(value) if isinstance(value, str) else exact(value)


def java_text(value: float) -> str:
    """Return a double as Java writes it, which tells its scale. Raises ValueError for one that is not finite."""
    from datomstore.edn import write_double  # which reads decimals with this module

    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("not a finite number")
    return write_double(value)


def order(a: Exact, b: Exact) -> int:
    """Return -1, 0 or 1 for two numbers of which one is a decimal. Raises DecimalFault."""
    (m, k), (n, j) = parts(exact(a)), parts(exact(b))
    scale = max(k, j)
    left: int = m * 10 ** (scale - k)
    right: int = n * 10 ** (scale - j)
    return (left > right) - (left < right)


def add(a: Decimal, b: Decimal) -> Decimal:
    """Return the sum, of the greater scale."""
    (m, k), (n, j) = parts(a), parts(b)
    scale = max(k, j)
    return decimal_of(m * 10 ** (scale - k) + n * 10 ** (scale - j), scale)


def negate(a: Decimal) -> Decimal:
    """Return -a, of the same scale."""
    unscaled, scale = parts(a)
    return decimal_of(-unscaled, scale)


def subtract(a: Decimal, b: Decimal) -> Decimal:
    """Return the difference, of the greater scale."""
    return add(a, negate(b))


def multiply(a: Decimal, b: Decimal) -> Decimal:
    """Return the product; its scale is the sum of the scales."""
    (m, k), (n, j) = parts(a), parts(b)
    return decimal_of(m * n, k + j)


def divide(a: Decimal, b: Decimal) -> Decimal:
    """Return the exact quotient, of the least scale from the difference of the scales on."""
    (m, k), (n, j) = parts(a), parts(b)
    if n == 0:
        raise DecimalFault(DIVIDE_BY_ZERO)
    if m == 0:
        return decimal_of(0, max(-DECIMAL_DIGITS_MAX, min(DECIMAL_DIGITS_MAX, k - j)))
    ratio = Fraction(m, n)
    twos, left = _power(ratio.denominator, 2)
    fives, left = _power(left, 5)
    if left != 1:
        raise DecimalFault(NON_TERMINATING)
    digits = max(twos, fives)
    return _stripped(ratio.numerator * 10**digits // ratio.denominator, digits + k - j, k - j)


def _power(value: int, prime: int) -> tuple[int, int]:
    """Return how often a prime divides a number, and what is left of it."""
    count = 0
    while value % prime == 0:
        value //= prime
        count += 1
    return count, value


def _stripped(unscaled: int, scale: int, least: int) -> Decimal:
    """Return a decimal without zeros at its end, as far as the scale does not fall below one."""
    while scale > least and unscaled % 10 == 0:
        unscaled //= 10
        scale -= 1
    return decimal_of(unscaled, scale)


def quotient(a: Decimal, b: Decimal) -> Decimal:
    """Return the quotient, cut towards zero; its scale is the difference of the scales where that can be."""
    (m, k), (n, j) = parts(a), parts(b)
    if n == 0:
        raise DecimalFault(DIVIDE_BY_ZERO)
    wanted = k - j
    m, n = m * 10 ** max(0, j - k), n * 10 ** max(0, k - j)
    whole = abs(m) // abs(n) * (1 if (m < 0) == (n < 0) else -1)
    if wanted >= 0:
        return decimal_of(whole * 10**wanted, wanted)
    return _stripped(whole, 0, wanted) if whole else decimal_of(0, wanted)


def remainder(a: Decimal, b: Decimal) -> Decimal:
    """Return what the quotient leaves of a."""
    return subtract(a, multiply(quotient(a, b), b))


def modulus(a: Decimal, b: Decimal) -> Decimal:
    """Return the remainder with the sign of b."""
    left = remainder(a, b)
    return left if left == 0 or (a > 0) == (b > 0) else add(left, b)


# -- rounding --

_TIE, _ABOVE = 0, 1  # how what is cut off compares with a half; below is -1
_UP: dict[str, Callable[[bool, int, bool], bool]] = {  # negative?, against a half, odd?
    "UP": lambda negative, half, odd: True,
    "DOWN": lambda negative, half, odd: False,
    "CEILING": lambda negative, half, odd: not negative,
    "FLOOR": lambda negative, half, odd: negative,
    "HALF_UP": lambda negative, half, odd: half >= _TIE,
    "HALF_DOWN": lambda negative, half, odd: half == _ABOVE,
    "HALF_EVEN": lambda negative, half, odd: half == _ABOVE or (half == _TIE and odd),
}
MODES = frozenset({*_UP, "UNNECESSARY"})


def rounded(value: Decimal, precision: int, mode: str) -> Decimal:
    """Return a decimal of at most so many digits; 0 is no bound. Raises DecimalFault or ValueError."""
    if mode not in MODES or precision < 0:
        raise ValueError(f"no rounding to {precision} digits by {mode}")
    unscaled, scale = parts(value)
    while precision and len(str(abs(unscaled))) > precision:  # twice where 99 becomes 100
        dropped = len(str(abs(unscaled))) - precision
        unscaled, scale = _cut(unscaled, 10**dropped, mode), scale - dropped
    return decimal_of(unscaled, scale)


def _cut(value: int, by: int, mode: str) -> int:
    """Return value / by, rounded."""
    whole, left = divmod(abs(value), by)
    if left:
        if mode == "UNNECESSARY":
            raise DecimalFault(ROUNDING_NECESSARY)
        half = (2 * left > by) - (2 * left < by)
        whole += _UP[mode](value < 0, half, whole % 2 == 1)
    return -whole if value < 0 else whole


def divide_rounded(a: Decimal, b: Decimal, precision: int, mode: str) -> Decimal:
    """Return the quotient of at most so many digits. Raises DecimalFault or ValueError."""
    if precision == 0:
        return divide(a, b)
    if mode not in MODES or not 0 < precision <= DECIMAL_DIGITS_MAX:
        raise ValueError(f"no rounding to {precision} digits by {mode}")
    (m, k), (n, j) = parts(a), parts(b)
    if n == 0:
        raise DecimalFault(DIVIDE_BY_ZERO)
    if m == 0:
        return decimal_of(0, max(-DECIMAL_DIGITS_MAX, min(DECIMAL_DIGITS_MAX, k - j)))
    more = max(0, precision + len(str(abs(n))) - len(str(abs(m))) + 2)
    whole, left = divmod(abs(m) * 10**more, abs(n))
    whole = whole * 10 + (1 if left else 0)  # a last digit that says there is more
    scale = k - j + more + 1
    sign = 1 if (m < 0) == (n < 0) else -1
    if not left:
        return rounded(_stripped(sign * whole, scale, k - j), precision, mode)
    return rounded(decimal_of(sign * whole, scale), precision, mode)
