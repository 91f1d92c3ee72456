"""The rows of a query as its :find asks for them.

Is:     distinct rows, groups and their aggregates, pulled entities, and the shapes of a result.
Is not: the functions of aggregates (`aggregates`, `totals`), or how entities are pulled (`pull`).
Fits:   `query` calls it last: ids become values here.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from datomstore import edn
from datomstore.datalog._columns import tuples_of, types_of, values_in
from datomstore.datalog.aggregates import AGGREGATES, CHANCE, Aggregator, by_chance, with_argument
from datomstore.datalog.budget import Meter
from datomstore.datalog.builtins import FunctionError
from datomstore.datalog.errors import QueryError
from datomstore.datalog.limits import ROWS_PORTION
from datomstore.datalog.pull import pulled
from datomstore.datalog.pull_pattern import PullPattern
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import DatabaseSource, Source
from datomstore.datalog.syntax import Aggregate, Pull, Query
from datomstore.datalog.totals import Groups
from datomstore.datalog.vectors import inline
from datomstore.errors import AttributeForbidden, DatomstoreError
from datomstore.facts import Rows
from datomstore.intern import Ids, find, value_of, value_table, values_of
from datomstore.value import EXACT_TYPES, Keyword, Map, Set, Symbol, hash_key

ROW_IDS = 7  # a tuple, or an integer in it, takes about as many bytes as so many ids
Row = tuple[object, ...]
Column = Ids | list[object]


class Given(NamedTuple):
    """What the caller gave that only the result needs."""

    sources: dict[Symbol, Source]
    patterns: dict[Symbol, PullPattern]
    aggregates: dict[Symbol, Aggregator]
    seed: int | None
    meter: Meter


def shaped(query: Query, found: Relation, wanted: Sequence[Symbol], given: Given) -> object:
    """Return a Set of rows, a tuple of values, one row or one value; maps for rows if the query names them.

    What is pulled can be the same for different entities, so rows with it are a tuple, one for each entity.
    """
    if query.shape == "relation" and not query.keys and query.finds_variables:
        return set_of(query, found, wanted, given.meter)
    if query.shape == "collection" and query.finds_variables:
        return (
            tuple(_values(_id_columns(query, found, wanted)[0], given.meter)) if found.count else ()
        )
    rows, apart = _rows(query, found, wanted, given) if found.count else ([], True)
    match query.shape:
        case "collection":
            return tuple(row[0] for row in rows)
        case "scalar":
            return rows[0][0] if rows else None
    if query.keys:
        maps = [Map(zip(query.keys, row, strict=True)) for row in rows]
        if query.shape == "tuple":
            return maps[0] if maps else None
        return tuple(maps) if query.pulls else Set(maps)
    if query.shape == "tuple":
        return rows[0] if rows else None
    if query.pulls:
        return tuple(rows)
    return Set.of_distinct(rows) if apart else Set(rows)


def _rows(
    query: Query, found: Relation, wanted: Sequence[Symbol], given: Given
) -> tuple[list[Row], bool]:
    """Return rows, and whether it is known that no two of them are equal."""
    if query.finds_variables:
        return _tuples(_id_columns(query, found, wanted), given.meter), False
    distinct = found.distinct(wanted)
    if any(isinstance(element, Aggregate) for element in query.find):
        return _aggregated(query, distinct, given)
    if query.with_:  # without an aggregate, what differs only in these is one row
        names = [e if isinstance(e, Symbol) else e.variable for e in query.find]
        distinct = distinct.distinct(list(dict.fromkeys(names)))
    columns = [
        values_of(distinct.columns[e])
        if isinstance(e, Symbol)
        else _pulled(e, distinct.columns[e.variable], given)
        for e in query.find
        if not isinstance(e, Aggregate)
    ]
    return list(zip(*columns, strict=True)), False


def _aggregated(query: Query, distinct: Relation, given: Given) -> tuple[list[Row], bool]:
    """Return a row for each group of equal keys, and whether no two rows are equal."""
    names = [
        e if isinstance(e, Symbol) else e.variable
        for e in query.find
        if not isinstance(e, Aggregate)
    ]
    keys = [distinct.columns[name] for name in dict.fromkeys(names)]
    groups = Groups(keys, distinct.count)
    made = {  # sums tell the sizes of groups as well, so the keys come after them
        e: _totals(e, query, distinct, groups, given)
        for e in query.find
        if isinstance(e, Aggregate)
    }
    columns: list[list[object]] = []
    for element in query.find:
        if isinstance(element, Symbol):
            columns.append(groups.values(distinct.columns[element]))
        elif isinstance(element, Pull):
            column = distinct.columns[element.variable][groups.firsts()]
            columns.append(_pulled(element, column, given))
        else:
            columns.append(made[element])
    found = [column for e, column in zip(query.find, columns, strict=True) if isinstance(e, Symbol)]
    pulled = any(isinstance(e, Pull) for e in query.find)  # whose keys the rows do not show
    apart = not pulled and all(EXACT_TYPES.issuperset(map(type, column)) for column in found)
    return list(zip(*columns, strict=True)), apart


def _totals(
    element: Aggregate, query: Query, distinct: Relation, groups: Groups, given: Given
) -> list[object]:
    """Return an aggregate of every group."""
    given.meter.spend(0, element.form)
    made: list[object] | None = None
    if not element.arguments:
        made = groups.aggregate(element.function, distinct.columns[element.variable])
    if made is None:
        made = [_aggregate(element, query, distinct, rows, given) for rows in groups.members()]
    return made


def _told_apart(column: Ids) -> bool:
    """Return whether different ids in a column are values that are not equal; a list and a vector may be."""
    return EXACT_TYPES.issuperset(types_of(column, value_table()))


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
    if all(map(_told_apart, columns)):
        return Set.of_distinct(rows)
    return Set(rows)


def _tuples(columns: list[Ids], meter: Meter) -> list[Row]:
    """Return rows of values; between portions of them, other threads run and the budget is looked at."""
    count, table = len(columns[0]), value_table()
    meter.room(count, len(columns) * ROW_IDS + ROW_IDS, None)
    if count <= ROWS_PORTION:
        return tuples_of(columns, table, 0, count)
    rows: list[Row] = []
    for start in range(0, count, ROWS_PORTION):
        rows += tuples_of(columns, table, start, min(start + ROWS_PORTION, count))
        meter.spend(0, None)
    return rows


def _values(column: Ids, meter: Meter) -> list[object]:
    """Return the values of a column, portion by portion as rows are."""
    count, table = len(column), value_table()
    values: list[object] = []
    for start in range(0, count, ROWS_PORTION):
        values += values_in(column, table, start, min(start + ROWS_PORTION, count))
        meter.spend(0, None)
    return values


def columns_of(query: Query, found: Relation) -> tuple[Column, ...]:
    """Return the distinct rows of a query that finds variables, as columns."""
    names = [element for element in query.find if isinstance(element, Symbol)]
    if not found.count:
        return tuple(np.empty(0, np.int64) for _ in names)
    distinct = found.distinct(list(dict.fromkeys(names)))
    return tuple(column_of(distinct.columns[name]) for name in names)


def column_of(ids: Ids) -> Column:
    """Return a column of values: an array if all are small integers."""
    return ids >> 1 if inline([ids]) else values_of(ids)


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
        raise QueryError("query/binding", f"a pull of {text}, which is no entity", element.form)
    try:
        entity = source.database.entid(value)
    except AttributeForbidden:
        raise
    except DatomstoreError as error:
        raise QueryError("query/lookup", str(error), element.form) from error
    return None if entity is None else find(entity)


def _aggregate(
    element: Aggregate, query: Query, distinct: Relation, members: Rows, given: Given
) -> object:
    ids = distinct.columns[element.variable][members]
    name = element.function
    if element.given is not None:
        return _custom(element, values_of(ids), given)
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


def _custom(element: Aggregate, values: list[object], given: Given) -> object:
    """Return what a caller's own aggregate makes of the values of a group."""
    assert element.given is not None, element.form
    try:
        made = given.aggregates[element.given](tuple(values))
        hash_key(made)
    except QueryError:
        raise
    except Exception as error:  # whatever a caller's function raises
        message = f"the aggregate failed: {type(error).__name__}: {error}"
        raise QueryError("query/function", message, element.form) from error
    return made


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
