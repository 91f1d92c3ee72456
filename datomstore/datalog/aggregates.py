"""Aggregates of :find.

Is:     count, sum, median, frequencies, sample and the like over one group's values; the set is closed, but for functions
        that a caller in this process hands over.
Is not: the grouping (`query`).
Fits:   `query` gives each function the values of a group, in the rows' order, duplicates of :with included.
Source: Datomic's query reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cmp_to_key
from random import Random

from datomstore import edn
from datomstore.codec import pack
from datomstore.datalog.builtins import FUNCTIONS, FunctionError, compare, number
from datomstore.datalog.errors import QueryError
from datomstore.datalog.limits import VALUE_ITEMS_MAX
from datomstore.value import Map, Set, Symbol, hash_key

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


def _frequencies(values: Sequence[object]) -> Map:
    counts: dict[object, int] = {}
    for value in values:
        key = hash_key(value)
        counts[key] = counts.get(key, 0) + 1
    return Map((value, counts[hash_key(value)]) for value in values)


def _extreme(name: str) -> Aggregator:
    """Return min or max; of values that are equal, as 1 and 1.0, it is the same one whatever their order."""
    choose = FUNCTIONS[name]

    def chosen(values: Sequence[object]) -> object:
        best = choose(*values)
        if not isinstance(best, (int, float, Fraction, tuple)):
            return best
        alike = [value for value in values if value == best]
        plain = type(best) is int or (type(best) is float and best != 0)
        if plain and all(type(value) is type(best) for value in alike):
            return best
        return min(alike, key=pack, default=best)

    return chosen


# Those without arguments before the variable.
AGGREGATES: dict[str, Aggregator] = {
    "count": len,
    "count-distinct": lambda values: len(Set(values)),
    "distinct": Set,
    "set": Set,
    "frequencies": _frequencies,
    "sort": lambda values: tuple(_ordered(values)),
    "sum": _sum,
    "avg": _average,
    "median": _median,
    "variance": _variance,
    "stddev": lambda values: _variance(values) ** 0.5,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "rand": lambda values: values[0],
    "sample": Set,
    "clojure.string/join": lambda values: _join("", values),
}
# How many arguments may stand before the variable; none for the others.
PARAMETERS = {
    "min": (0, 1),
    "max": (0, 1),
    "sample": (1, 1),
    "rand": (0, 1),
    "clojure.string/join": (0, 1),
}
CHANCE = frozenset({"rand", "sample"})


def aggregate_of(given: object) -> Aggregator:
    """Return what an input of `(aggregate ?f ?x)` does: a function of Python, or one that is named here."""
    if callable(given):
        return given
    name = given.name if isinstance(given, Symbol) else given
    if not isinstance(name, str) or name not in AGGREGATES or name in CHANCE:
        raise QueryError("query/input", "an aggregate is a function, or the name of one")
    return AGGREGATES[name]


def with_argument(name: str, argument: object, values: Sequence[object]) -> object:
    """Return the n least or greatest distinct values of `(min n ?x)`, or the text of `(clojure.string/join ", " ?x)`."""
    if name == "clojure.string/join":
        return _join(argument, values)
    n = _number_of(name, argument)
    ordered = _ordered(list(Set(values)))
    return tuple(ordered[:n] if name == "min" else ordered[::-1][:n])


def by_chance(
    name: str, arguments: Sequence[object], values: Sequence[object], random: Random
) -> object:
    """Return one value, n values of which some may be the same, or a sample of at most n distinct ones."""
    texts = {hash_key(value): (edn.write(value), value) for value in values}
    known = [value for _, value in sorted(texts.values(), key=lambda pair: pair[0])]
    if not arguments:
        return random.choice(known)
    n = _number_of(name, arguments[0])
    if name == "rand":
        return tuple(random.choices(known, k=n))
    return tuple(random.sample(known, min(n, len(known))))


def _number_of(name: str, argument: object) -> int:
    if type(argument) is not int or not 0 <= argument <= VALUE_ITEMS_MAX:
        raise FunctionError(f"{name} takes no such argument")
    return argument


def _join(separator: object, values: Sequence[object]) -> object:
    return FUNCTIONS["clojure.string/join"](separator, tuple(_ordered(values)))
