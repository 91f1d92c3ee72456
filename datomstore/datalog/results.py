"""The rows of a query as its :find asks for them.

Is:     distinct rows, groups and their aggregates, pulled entities, and the shapes of a result.
Is not: the functions of aggregates (`aggregates`), or how entities are pulled (`pull`).
Fits:   `query` calls it last: ids become values here.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from datomstore import edn
from datomstore.datalog._columns import tuples_of, types_of
from datomstore.datalog.aggregates import AGGREGATES, CHANCE, by_chance, with_argument
from datomstore.datalog.budget import Meter
from datomstore.datalog.builtins import FunctionError
from datomstore.datalog.errors import QueryError
from datomstore.datalog.limits import ROWS_PORTION
from datomstore.datalog.pull import pulled
from datomstore.datalog.pull_pattern import PullPattern
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import DatabaseSource, Source
from datomstore.datalog.syntax import Aggregate, Pull, Query
from datomstore.datalog.vectors import inline
from datomstore.errors import DatomstoreError
from datomstore.facts import Rows
from datomstore.intern import Ids, find, value_of, value_table, values_of
from datomstore.value import EXACT_TYPES, Keyword, Map, Set, Symbol

Row = tuple[object, ...]
Column = Ids | list[object]
SUM_BOUND = 1 << 62  # of the magnitude of a sum that is made on a column
DOUBLE_BOUND = 1 << 53  # of the same where it is made as a double, exactly
KEY_SPREAD_MAX = 4  # ids for each row between the least and the largest of a group's key


class Given(NamedTuple):
    """What the caller gave that only the result needs."""

    sources: dict[Symbol, Source]
    patterns: dict[Symbol, PullPattern]
    seed: int | None
    meter: Meter


def shaped(query: Query, found: Relation, wanted: Sequence[Symbol], given: Given) -> object:
    """Return a Set of rows, a tuple of values, one row or one value; maps for rows if the query names them.

    What is pulled can be the same for different entities, so rows with it are a tuple, one for each entity.
    """
    if query.shape == "relation" and not query.keys and query.finds_variables:
        return set_of(query, found, wanted, given.meter)
    rows: Sequence[object] = _rows(query, found, wanted, given) if found.count else []
    match query.shape:
        case "collection":
            return tuple(row[0] for row in rows)  # type: ignore[index]
        case "scalar":
            return rows[0][0] if rows else None  # type: ignore[index]
    if query.keys:
        rows = [Map(zip(query.keys, row, strict=True)) for row in rows]  # type: ignore[call-overload]
    if query.shape == "tuple":
        return rows[0] if rows else None
    return tuple(rows) if any(isinstance(e, Pull) for e in query.find) else Set(rows)


def _rows(query: Query, found: Relation, wanted: Sequence[Symbol], given: Given) -> list[Row]:
    if query.finds_variables:
        return _tuples(_id_columns(query, found, wanted), given.meter)
    distinct = found.distinct(wanted)
    if not any(isinstance(element, Aggregate) for element in query.find):
        if query.with_:  # without an aggregate, what differs only in these is one row
            names = [e if isinstance(e, Symbol) else e.variable for e in query.find]
            distinct = distinct.distinct(list(dict.fromkeys(names)))
        groups = [np.array([row], np.int64) for row in range(distinct.count)]
    else:
        totals = _totals(query, distinct)
        if totals is not None:
            return totals
        keys = [e if isinstance(e, Symbol) else e.variable for e in query.find if _is_key(e)]
        groups = _groups([distinct.columns[name] for name in keys], distinct.count)
    firsts = np.array([members[0] for members in groups], np.int64)
    columns = [
        [_aggregate(e, query, distinct, members, given) for members in groups]
        if isinstance(e, Aggregate)
        else values_of(distinct.columns[e][firsts])
        if isinstance(e, Symbol)
        else _pulled(e, distinct.columns[e.variable][firsts], given)
        for e in query.find
    ]
    return list(zip(*columns, strict=True))


def _id_columns(query: Query, found: Relation, wanted: Sequence[Symbol]) -> list[Ids]:
    """Return the columns of the distinct rows of a query that finds variables."""
    distinct = found.distinct(wanted)
    names = [element for element in query.find if isinstance(element, Symbol)]
    if query.with_:  # without an aggregate, what differs only in these is one row
        distinct = distinct.distinct(list(dict.fromkeys(names)))
    return [distinct.columns[name] for name in names]


def set_of(query: Query, found: Relation, wanted: Sequence[Symbol], meter: Meter) -> Set:
    """Return the rows of a query that finds variables, as a set."""
    if not found.count:
        return Set()
    columns = _id_columns(query, found, wanted)
    rows = _tuples(columns, meter)
    # Distinct ids may yet be equal values, such as a list and a vector.
    if all(EXACT_TYPES.issuperset(types_of(column, value_table())) for column in columns):
        return Set.of_distinct(rows)
    return Set(rows)


def _tuples(columns: list[Ids], meter: Meter) -> list[Row]:
    """Return rows of values; between portions of them, other threads run and the budget is looked at."""
    count, table = len(columns[0]), value_table()
    if count <= ROWS_PORTION:
        return tuples_of(columns, table, 0, count)
    rows: list[Row] = []
    for start in range(0, count, ROWS_PORTION):
        rows += tuples_of(columns, table, start, min(start + ROWS_PORTION, count))
        meter.spend(0, None)
    return rows


def columns_of(query: Query, found: Relation) -> tuple[Column, ...]:
    """Return the distinct rows of a query that finds variables, as columns."""
    names = [element for element in query.find if isinstance(element, Symbol)]
    if not found.count:
        return tuple(np.empty(0, np.int64) for _ in names)
    distinct = found.distinct(list(dict.fromkeys(names)))
    return tuple(_column(distinct.columns[name]) for name in names)


def _column(ids: Ids) -> Column:
    return ids >> 1 if inline([ids]) else values_of(ids)


def _is_key(element: object) -> bool:
    return not isinstance(element, Aggregate)


def _groups(keys: Sequence[Ids], count: int) -> list[Rows]:
    """Return the numbers of the rows of each group."""
    if not keys:
        return [np.arange(count, dtype=np.int64)]
    order = np.lexsort(keys)
    changes = np.zeros(count - 1, np.bool_)
    for key in keys:
        changes |= key[order][1:] != key[order][:-1]
    return np.split(order, np.flatnonzero(changes) + 1)


def _totals(query: Query, distinct: Relation) -> list[Row] | None:
    """Return counts, sums and averages of integers by one key, counted and added up for all groups at once.

    None if something else is asked for, the key's ids are too far apart, or a sum could not be exact.
    """
    keys = {element for element in query.find if isinstance(element, Symbol)}
    aggregates = [element for element in query.find if isinstance(element, Aggregate)]
    if len(keys) != 1 or len(keys) + len(aggregates) != len(query.find):
        return None
    if any(e.arguments or e.function not in ("count", "sum", "avg") for e in aggregates):
        return None
    (key,) = keys
    ids = distinct.columns[key]
    least = int(ids.min())
    if int(ids.max()) - least > KEY_SPREAD_MAX * len(ids):
        return None
    codes = ids - least
    counts = np.bincount(codes)
    present = np.flatnonzero(counts)
    sizes: list[int] = counts[present].tolist()
    columns: list[list[object]] = []
    for element in query.find:
        if not isinstance(element, Aggregate):
            columns.append(values_of(present + least))
        elif element.function == "count":
            columns.append(list(sizes))
        else:
            column = distinct.columns[element.variable]
            numbers = column >> 1
            if not inline([column]) or _largest(numbers) * len(numbers) >= DOUBLE_BOUND:
                return None
            sums = np.bincount(codes, weights=numbers)[present].astype(np.int64).tolist()
            average = element.function == "avg"
            columns.append(list(map(_mean, sums, sizes)) if average else sums)
    return list(zip(*columns, strict=True))


def _largest(numbers: Ids) -> int:
    return max(int(numbers.max()), -int(numbers.min()))


def _mean(total: int, count: int) -> object:
    """Return the exact mean: an integer where it is one."""
    return total / count if total % count else total // count


def _pulled(element: Pull, column: Ids, given: Given) -> list[object]:
    source = given.sources[element.source]
    if not isinstance(source, DatabaseSource):
        message = f"{element.source.name} is not a database"
        raise QueryError("query/input", message, element.form)
    pattern = element.pattern
    parsed = given.patterns[pattern] if isinstance(pattern, Symbol) else pattern
    entities = [i if not i & 1 else _entity(source, i, element) for i in column.tolist()]
    return list(pulled(source.database, parsed, entities, given.meter))


def _entity(source: DatabaseSource, one: int, element: Pull) -> int | None:
    """Return the entity that a value names."""
    value = value_of(one)
    if not isinstance(value, (Keyword, tuple)):
        text = edn.write(value)
        raise QueryError("query/input", f"a pull of {text}, which is no entity", element.form)
    try:
        entity = source.database.entid(value)
    except DatomstoreError as error:
        raise QueryError("query/lookup", str(error), element.form) from error
    return None if entity is None else find(entity)


def _aggregate(
    element: Aggregate, query: Query, distinct: Relation, members: Rows, given: Given
) -> object:
    ids = distinct.columns[element.variable][members]
    name = element.function
    if name == "count":
        return len(ids)
    if name in ("sum", "avg", "min", "max") and not element.arguments and inline([ids]):
        numbers = ids >> 1
        if name == "min":
            return int(numbers.min())
        if name == "max":
            return int(numbers.max())
        if _largest(numbers) * len(ids) < SUM_BOUND:
            total = int(numbers.sum())
            return total if name == "sum" else _mean(total, len(ids))
    try:
        arguments = [argument.value for argument in element.arguments]
        if name in CHANCE:
            random = _random(element, query, distinct, members, given)
            return by_chance(name, arguments, values_of(ids), random)
        if arguments:
            return with_argument(name, arguments[0], values_of(ids))
        return AGGREGATES[name](values_of(ids))
    except (FunctionError, ArithmeticError) as error:
        raise QueryError("query/function", str(error), element.form) from error


def _random(
    element: Aggregate, query: Query, distinct: Relation, members: Rows, given: Given
) -> Random:
    """Return the chance of one group: of the same seed and group always the same."""
    if given.seed is None:
        raise QueryError("query/input", f"{element.function} needs a seed", element.form)
    key = tuple(
        value_of(int(distinct.columns[e][members[0]])) for e in query.find if isinstance(e, Symbol)
    )
    return Random(f"{given.seed} {edn.write(key)}")  # noqa: S311 - a sample, no secret
