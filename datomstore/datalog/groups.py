"""Aggregates of a followed query, kept while rows come and go.

Is:     for each group the number of rows, sums, and how often each value occurs; only touched groups are looked at.
Is not: the meaning of the aggregates (`aggregates`), or where the rows come from (`delta`).
Fits:   `follow` gives it the rows over a query's variables that are new or lost.

count, and sum and avg of integers, take the same time however large the group is. min and max look through a group only
when its extreme goes. The others are computed anew for the groups that changed, from the values of these groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from datomstore.datalog.aggregates import AGGREGATES, with_argument
from datomstore.datalog.builtins import FunctionError
from datomstore.datalog.errors import QueryError
from datomstore.datalog.syntax import Aggregate, Query
from datomstore.intern import value_of, values_of
from datomstore.value import Symbol, equal

Row = tuple[int, ...]
Answer = tuple[object, ...]


class _Count:
    """How many values."""

    def __init__(self) -> None:
        self.rows = 0

    def add(self, value: int, times: int) -> None:
        self.rows += times

    def result(self) -> object:
        return self.rows


class _Values:
    """An aggregate of how often each value occurs."""

    def __init__(self, element: Aggregate) -> None:
        self.element = element
        self.values: Counter[int] = Counter()

    def add(self, value: int, times: int) -> None:
        left = self.values[value] + times
        if left:
            self.values[value] = left
        else:
            del self.values[value]

    def result(self) -> object:
        element = self.element
        values = values_of(list(self.values.elements()))
        try:
            if element.arguments:
                return with_argument(element.function, element.arguments[0].value, values)
            return AGGREGATES[element.function](values)
        except (FunctionError, ArithmeticError) as error:
            raise QueryError("query/function", str(error), element.form) from error


class _Total(_Values):
    """The sum or average of values; of integers, by adding."""

    def __init__(self, element: Aggregate) -> None:
        super().__init__(element)
        self.total = 0
        self.rows = 0
        self.others = 0  # rows whose value is no small integer

    def add(self, value: int, times: int) -> None:
        super().add(value, times)
        self.rows += times
        if value & 1:
            self.others += times
        else:
            self.total += (value >> 1) * times

    def result(self) -> object:
        if self.others:
            return super().result()
        if self.element.function == "sum":
            return self.total
        whole, rest = divmod(self.total, self.rows)
        return self.total / self.rows if rest else whole


class _Extreme(_Values):
    """The least or greatest value."""

    def __init__(self, element: Aggregate) -> None:
        super().__init__(element)
        self.best: int | None = None
        self.others = 0
        self.choose = min if element.function == "min" else max

    def add(self, value: int, times: int) -> None:
        super().add(value, times)
        self.others += times if value & 1 else 0
        if times < 0:
            if value == self.best and value not in self.values:
                self.best = None
        elif self.best is not None:
            self.best = self.choose(self.best, value)

    def result(self) -> object:
        if self.others:
            self.best = None
            return super().result()
        if self.best is None:
            self.best = self.choose(self.values)
        return value_of(self.best)


_KEPT: dict[str, type[_Values]] = {"sum": _Total, "avg": _Total, "min": _Extreme, "max": _Extreme}


class _Group:
    def __init__(self, aggregates: Sequence[Aggregate]) -> None:
        self.rows = 0
        self.answer: Answer | None = None
        self.states = [_state(element) for element in aggregates]


def _state(element: Aggregate) -> _Count | _Values:
    if element.function == "count":
        return _Count()
    kept = None if element.arguments else _KEPT.get(element.function)
    return (kept or _Values)(element)


class Groups:
    """The groups of a query with aggregates.

    Args:
        wanted: the variables of the rows it is given.
    """

    def __init__(self, query: Query, wanted: Sequence[Symbol]) -> None:
        self._find = query.find
        self._aggregates = [e for e in query.find if isinstance(e, Aggregate)]
        keys = [e for e in query.find if isinstance(e, Symbol)]
        self._keys = [wanted.index(name) for name in keys]
        self._places = [wanted.index(element.variable) for element in self._aggregates]
        self._groups: dict[Row, _Group] = {}

    def change(self, new: Iterable[Row], lost: Iterable[Row]) -> tuple[list[Answer], list[Answer]]:
        """Take rows that are new or lost; return the answers that come and those that go."""
        touched: dict[Row, _Group] = {}
        for rows, times in ((new, 1), (lost, -1)):
            for row in rows:
                key = tuple([row[place] for place in self._keys])
                group = self._groups.get(key)
                if group is None:
                    group = self._groups[key] = _Group(self._aggregates)
                touched[key] = group
                group.rows += times
                for place, state in zip(self._places, group.states, strict=True):
                    state.add(row[place], times)
        come: list[Answer] = []
        gone: list[Answer] = []
        for key, group in touched.items():
            before, group.answer = group.answer, self._answer(key, group) if group.rows else None
            if group.answer is None:
                del self._groups[key]
            elif before is not None and equal(before, group.answer):
                continue
            else:
                come.append(group.answer)
            if before is not None:
                gone.append(before)
        return come, gone

    def answers(self) -> list[Answer]:
        """Return the answers of all groups."""
        return [group.answer for group in self._groups.values() if group.answer is not None]

    def _answer(self, key: Row, group: _Group) -> Answer:
        values = iter(values_of(key))
        states = iter(group.states)
        return tuple(
            next(values) if isinstance(element, Symbol) else next(states).result()
            for element in self._find
        )
