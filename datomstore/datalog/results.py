"""The rows of a query as its :find asks for them.

Is:     distinct rows, groups and their aggregates, and the four shapes of a result.
Is not: the functions of aggregates (`aggregates`).
Fits:   `query` calls it last: ids become values here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datomstore.datalog.aggregates import AGGREGATES, first_n
from datomstore.datalog.builtins import FunctionError
from datomstore.datalog.errors import QueryError
from datomstore.datalog.relation import Relation
from datomstore.datalog.syntax import Aggregate, Query
from datomstore.datalog.vectors import inline
from datomstore.facts import Rows
from datomstore.intern import Ids, value_of, values_of
from datomstore.value import Set, Symbol

Row = tuple[object, ...]
SUM_BOUND = 1 << 62  # of the magnitude of a sum that is made on a column


def shaped(query: Query, found: Relation, wanted: Sequence[Symbol]) -> object:
    """Return a Set of rows, a tuple of values, one row or one value."""
    rows = _rows(query, found, wanted) if found.count else []
    match query.shape:
        case "relation":
            return Set(rows)
        case "collection":
            return tuple(row[0] for row in rows)
        case "tuple":
            return rows[0] if rows else None
    return rows[0][0] if rows else None


def _rows(query: Query, found: Relation, wanted: Sequence[Symbol]) -> list[Row]:
    distinct = found.distinct(wanted)
    plain = [element for element in query.find if isinstance(element, Symbol)]
    if len(plain) == len(query.find):
        if query.with_:  # without an aggregate, what differs only in these is one row
            distinct = distinct.distinct(list(dict.fromkeys(plain)))
        values = {name: values_of(column) for name, column in distinct.columns.items()}
        return list(zip(*(values[name] for name in plain), strict=True))
    keys = [distinct.columns[name] for name in plain]
    return [_group(query, distinct, members) for members in _groups(keys, distinct.count)]


def _groups(keys: Sequence[Ids], count: int) -> list[Rows]:
    """Return the numbers of the rows of each group."""
    if not keys:
        return [np.arange(count, dtype=np.int64)]
    order = np.lexsort(keys)
    changes = np.zeros(count - 1, np.bool_)
    for key in keys:
        changes |= key[order][1:] != key[order][:-1]
    return np.split(order, np.flatnonzero(changes) + 1)


def _group(query: Query, distinct: Relation, members: Rows) -> Row:
    return tuple(
        _aggregate(element, distinct.columns[element.variable][members])
        if isinstance(element, Aggregate)
        else value_of(int(distinct.columns[element][members[0]]))
        for element in query.find
    )


def _aggregate(element: Aggregate, ids: Ids) -> object:
    name = element.function
    if name == "count":
        return len(ids)
    if name in ("sum", "min", "max") and not element.arguments and inline([ids]):
        numbers = ids >> 1
        if name == "min":
            return int(numbers.min())
        if name == "max":
            return int(numbers.max())
        if max(int(numbers.max()), -int(numbers.min())) * len(ids) < SUM_BOUND:
            return int(numbers.sum())
    try:
        if element.arguments:
            return first_n(name, element.arguments[0].value, values_of(ids))
        return AGGREGATES[name](values_of(ids))
    except (FunctionError, ArithmeticError) as error:
        raise QueryError("query/function", str(error), element.form) from error
