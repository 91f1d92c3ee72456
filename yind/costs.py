"""What data costs, in rows and bytes; and queries, in fuel.

Is:     counting of answers that are read and of facts that are appended, as budgets count them; the fuel of a query.
Is not: who pays (`yind.authority`), nor the fuel of a program, which the machine counts itself.
Fits:   `yind.effects` for agents, `yind.control` for people.

A row is a row of an answer. Of a transaction as many are counted as attributes with their values stand in its data, or
facts that the store adds, or that it takes back, whichever are most; and one at least. Bytes are those of the value on the
wire, counted only where somebody has a budget of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from capabilities.caveats import Resource
from datomstore.transaction import ID
from datomstore.value import Map, Set
from protocol import codec
from yind.limits import QUERY_FUEL_ONCE, QUERY_FUEL_PORTION, QUERY_FUEL_ROW

Cost = Mapping[Resource, int]


def cost_of_answer(answer: object, *, sized: bool) -> Cost:
    """Return what an answer of a query costs."""
    if answer is None:
        rows = 0
    elif isinstance(answer, (Set, tuple)):
        rows = len(answer)
    else:
        rows = 1
    return _cost(rows, answer, sized=sized)


def cost_of_rows(rows: int, value: object, *, sized: bool) -> Cost:
    """Return what so many rows cost, which a value has."""
    return _cost(rows, value, sized=sized)


def cost_of_change(change: Map, *, sized: bool) -> Cost:
    """Return what a change of a query's answers costs: what is added, and what is taken away."""
    parts = [change.get(name) for name in ("added", "removed")]
    rows = sum(cost_of_answer(part, sized=False)[Resource.ROWS] for part in parts)
    return _cost(rows, change, sized=sized)


def cost_of_facts(tx_data: tuple[object, ...], *, sized: bool) -> Cost:
    """Return what transaction data costs, unless the store makes more facts of it."""
    rows, found = 0, list(tx_data)
    while found:
        item = found.pop()
        if isinstance(item, Map):
            rows += len(item) - (ID in item)
            found += [value for value in item.values() if isinstance(value, (Map, tuple))]
        elif isinstance(item, tuple) and any(isinstance(part, Map) for part in item):
            found += item
        elif isinstance(item, tuple):
            rows += 1
    return _cost(max(1, rows, len(tx_data)), tx_data, sized=sized)


def _cost(rows: int, value: object, *, sized: bool) -> Cost:
    cost = {Resource.ROWS: rows}
    if sized:
        cost[Resource.BYTES] = len(codec.pack(value))
    return cost


def parts_of(value: object, most: int) -> int:
    """Return how many parts a value has when it is written out; beyond `most` it is not counted on."""
    return _parts(value, most)


class QueryFuel:
    """The fuel of one query, taken in portions while it works.

    Args:
        pay: takes fuel from the agent; what it raises ends the query.
    """

    def __init__(self, pay: Callable[[int], None]) -> None:
        self._pay = pay
        self._owed = 0

    def begin(self, given: object) -> None:
        """Take what it costs to be asked at all; more for more that it is given."""
        self._pay(QUERY_FUEL_ONCE + QUERY_FUEL_ROW * _parts(given))

    def add(self, rows: int) -> None:
        """Count work; the price of a portion is taken before it goes on."""
        self._owed += QUERY_FUEL_ROW * rows
        if self._owed >= QUERY_FUEL_PORTION:
            self.settle()

    def settle(self) -> None:
        """Take what is still owed."""
        owed, self._owed = self._owed, 0
        if owed:
            self._pay(owed)


def _parts(value: object, most: float = math.inf) -> int:
    """Return how many parts a value has, or some number beyond `most`; a long text has several."""
    count, stack = 0, [value]
    while stack and count <= most:
        part = stack.pop()
        count += 1
        if isinstance(part, Map):
            for entry in part.items():
                stack += entry
        elif isinstance(part, (tuple, Set)):
            stack += part
        elif isinstance(part, (str, bytes)):
            count += len(part) // 64
    return count
