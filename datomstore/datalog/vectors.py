"""Arithmetic and comparison on whole columns of small integers, and comparison of doubles.

Is:     the common functions where every value is an inline integer (`datomstore.intern`) or, compared, a double; else None.
Is not: the meaning of the functions, which is that of `builtins`; a test compares the two.
Fits:   `steps.Compute` tries these first.

An inline integer n is the id 2n, and |2n| < 2**62, so one sum or difference of two ids cannot overflow 64 bits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from datomstore.datalog._columns import doubles_of
from datomstore.intern import INLINE_BOUND, Ids, value_of, value_table
from datomstore.value import Char, Keyword, Symbol, equal

Doubles = NDArray[np.float64]
COMPARE: dict[str, Callable[[Ids, Ids], NDArray[np.bool_]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# By `compare`, what is no number is neither below nor above another.
DOUBLES: dict[str, Callable[[Doubles, Doubles], NDArray[np.bool_]]] = {
    "<": np.less,
    "<=": lambda left, right: ~np.greater(left, right),
    ">": np.greater,
    ">=": lambda left, right: ~np.less(left, right),
}
DOUBLES_ROWS_MIN = 32
_ID_BOUND = 2 * INLINE_BOUND
_PLAIN = (int, str, Keyword, Symbol, Char, bytes, type(None))
DISTINCT_LOOKED_AT = 64


def predicate(name: str, columns: Sequence[Ids]) -> NDArray[np.bool_] | None:
    """Return which rows a predicate holds for, or None if it must be asked value by value."""
    if len(columns) != 2:
        return None
    left, right = columns
    if name == "=":
        return _equal(left, right)
    if name in ("not=", "!="):
        return ~_equal(left, right)
    compare = COMPARE.get(name)
    if compare is None:
        return None
    if inline(columns):
        return compare(left, right)
    return _compared(name, left, right)


def _compared(name: str, left: Ids, right: Ids) -> NDArray[np.bool_] | None:
    """Return which rows compare so as doubles; None if some value is not exactly one."""
    if len(left) < DOUBLES_ROWS_MIN:
        return None
    table = value_table()
    numbers = doubles_of(left, table)
    others = None if numbers is None else doubles_of(right, table)
    if numbers is None or others is None:
        return None
    return DOUBLES[name](numbers, others)


def function(name: str, columns: Sequence[Ids], count: int) -> Ids | None:
    """Return the column of results, or None if they must be made value by value."""
    if name in ("identity", "ground") and len(columns) == 1:
        return columns[0]
    if name not in ("+", "-", "*", "inc", "dec", "max", "min") or not inline(columns):
        return None
    if name in ("inc", "dec") and len(columns) == 1:
        return _bounded(columns[0] + (2 if name == "inc" else -2))
    if len(columns) != 2:
        return None
    left, right = columns
    match name:
        case "+":
            return _bounded(left + right)
        case "-":
            return _bounded(left - right)
        case "max":
            return np.maximum(left, right)
        case "min":
            return np.minimum(left, right)
        case "*":
            return _product(left, right) if count else None
    return None


def _equal(left: Ids, right: Ids) -> NDArray[np.bool_]:
    """Return which rows are equal. One id is one value; two ids may still be equal: a list and a vector, 0.0 and -0.0."""
    same = np.equal(left, right)
    if _plain(left) or _plain(right):
        return same
    for row in np.flatnonzero(~same & ((left & right & 1) == 1)).tolist():
        same[row] = equal(value_of(int(left[row])), value_of(int(right[row])))
    return same


def _plain(column: Ids) -> bool:
    """Return whether it is easily seen that all values are of types where equal is the same."""
    distinct = set(column[:DISTINCT_LOOKED_AT].tolist())
    if len(column) > DISTINCT_LOOKED_AT and not (column == column[0]).all():
        return not (column & 1).any()
    return all(isinstance(value_of(one), _PLAIN) for one in distinct)


def inline(columns: Sequence[Ids]) -> bool:
    """Return whether every id is a small integer's."""
    return not any(bool((column & 1).any()) for column in columns)


def _bounded(made: Ids) -> Ids | None:
    if len(made) and (int(made.max()) >= _ID_BOUND or int(made.min()) <= -_ID_BOUND):
        return None
    return made


def _product(left: Ids, right: Ids) -> Ids | None:
    most = max(abs(int(left.max())), abs(int(left.min()))) * max(
        abs(int(right.max())), abs(int(right.min()))
    )
    if most >= _ID_BOUND:
        return None
    return (left >> 1) * right
