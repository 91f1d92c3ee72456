"""Aggregates of :find.

Is:     count, count-distinct, sum, avg, min, max, distinct, median, variance, stddev over one group's values.
Is not: the grouping (`query`).
Fits:   `query` gives each function the values of a group, in the rows' order, duplicates of :with included.
Source: Datomic's query reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cmp_to_key

from datomstore.datalog.builtins import FUNCTIONS, FunctionError, compare, number
from datomstore.value import Set

Aggregator = Callable[[Sequence[object]], object]


def _sum(values: Sequence[object]) -> object:
    return FUNCTIONS["+"](*values)


def _average(values: Sequence[object]) -> object:
    total = _sum(values)
    if isinstance(total, float):
        return total / len(values)
    assert isinstance(total, (int, Fraction)), total
    mean = Fraction(total) / len(values)
    return mean.numerator if mean.denominator == 1 else float(mean)


def _ordered(values: Sequence[object]) -> list[object]:
    return sorted(values, key=cmp_to_key(compare))


def _median(values: Sequence[object]) -> object:
    ordered = _ordered(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else _average(ordered[middle - 1 : middle + 1])


def _variance(values: Sequence[object]) -> float:
    numbers = [float(number(value)) for value in values]
    mean = sum(numbers) / len(numbers)
    squares = [(value - mean) ** 2 for value in numbers]
    return sum(squares) / len(numbers)


AGGREGATES: dict[str, Aggregator] = {
    "count": len,
    "count-distinct": lambda values: len(Set(values)),
    "distinct": Set,
    "sum": _sum,
    "avg": _average,
    "median": _median,
    "variance": _variance,
    "stddev": lambda values: _variance(values) ** 0.5,
    "min": lambda values: FUNCTIONS["min"](*values),
    "max": lambda values: FUNCTIONS["max"](*values),
}


def first_n(name: str, n: object, values: Sequence[object]) -> object:
    """Return the n least or greatest distinct values, as `(min n ?x)` has it."""
    if name not in ("min", "max") or type(n) is not int or n < 0:
        raise FunctionError(f"{name} takes no such argument")
    ordered = _ordered(list(Set(values)))
    return tuple(ordered[:n] if name == "min" else ordered[::-1][:n])
