"""What data costs, in rows and bytes.

Is:     counting of answers that are read and of facts that are appended, as budgets count them.
Is not: who pays (`yind.authority`), nor fuel, which the machine counts itself.
Fits:   `yind.effects` for agents, `yind.control` for people.

A row is a row of an answer, or one attribute with its value in transaction data; a bound of what the store will make of
it, known before. Bytes are those of the value on the wire, counted only where somebody has a budget of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from capabilities.caveats import Resource
from datomstore.value import Map, Set
from protocol import codec

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


def cost_of_facts(tx_data: tuple[object, ...], *, sized: bool) -> Cost:
    """Return what transaction data costs."""
    rows, found = 0, list(tx_data)
    while found:
        item = found.pop()
        if isinstance(item, Map):
            rows += len(item)
            found += [value for value in item.values() if isinstance(value, (Map, tuple))]
        elif isinstance(item, tuple) and any(isinstance(part, Map) for part in item):
            found += item
        elif isinstance(item, tuple):
            rows += 1
    return _cost(max(rows, len(tx_data)), tx_data, sized=sized)


def _cost(rows: int, value: object, *, sized: bool) -> Cost:
    cost = {Resource.ROWS: rows}
    if sized:
        cost[Resource.BYTES] = len(codec.pack(value))
    return cost
