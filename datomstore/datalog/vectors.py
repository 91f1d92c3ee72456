"""Arithmetic and comparison on whole columns of small integers.

Is:     the common functions where every value is an inline integer (`datomstore.intern`); else None.
Is not: the meaning of the functions, which is that of `builtins`; a test compares the two.
Fits:   `steps.Compute` tries these first.

An inline integer n is the id 2n, and |2n| < 2**62, so one sum or difference of two ids cannot overflow 64 bits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from datomstore.intern import INLINE_BOUND, Ids

_COMPARE: dict[str, Callable[[Ids, Ids], NDArray[np.bool_]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ID_BOUND = 2 * INLINE_BOUND


def predicate(name: str, columns: Sequence[Ids]) -> NDArray[np.bool_] | None:
    """Return which rows a predicate holds for, or None if it must be asked value by value."""
    if len(columns) != 2:
        return None
    left, right = columns
    if name == "=":
        return np.equal(left, right)
    if name in ("not=", "!="):
        return np.not_equal(left, right)
    compare = _COMPARE.get(name)
    if compare is None or not inline(columns):
        return None
    return compare(left, right)


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
