"""Idents and lookup refs among the inputs of a query.

Is:     an input variable that stands for an entity gets the entity that its value names.
Is not: the same for constants (`sources`), or for values that facts or functions give: those are values.
Fits:   `query` calls it once, when the inputs are bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from datomstore.datalog.errors import QueryError
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import DatabaseSource, Source
from datomstore.datalog.syntax import Clause, Constant, Not, Or, Pattern
from datomstore.errors import AttributeForbidden, DatomstoreError
from datomstore.intern import Ids, find, value_of
from datomstore.value import Keyword, Symbol


def resolved(
    relation: Relation, where: Sequence[Clause], sources: Mapping[Symbol, Source]
) -> Relation:
    """Return the rows of the inputs with entities in place of what names them; what names none stays as it is.

    Raises:
        QueryError: a lookup ref of an attribute that is not unique.
    """
    columns = dict(relation.columns)
    for name, column in relation.columns.items():
        if (column & 1).any():
            used = [p for p in _patterns(where) if _as_entity(p, name, sources)]
            if len({pattern.source for pattern in used}) == 1:
                source = sources[used[0].source]
                assert isinstance(source, DatabaseSource), used[0].source
                columns[name] = _entities(column, source, used[0])
    return Relation(columns, relation.count)


def depends_on_names(
    relation: Relation, where: Sequence[Clause], sources: Mapping[Symbol, Source]
) -> bool:
    """Return whether some input stands for an entity by an ident or a lookup ref: another one perhaps, some day."""
    return any(
        isinstance(value_of(one), (Keyword, tuple))
        and any(_as_entity(pattern, name, sources) for pattern in _patterns(where))
        for name, column in relation.columns.items()
        for one in np.unique(column[(column & 1) == 1]).tolist()
    )


def _patterns(where: Sequence[Clause]) -> Iterator[Pattern]:
    for clause in where:
        if isinstance(clause, Pattern):
            yield clause
        elif isinstance(clause, Not):
            yield from _patterns(clause.body)
        elif isinstance(clause, Or):
            for branch in clause.branches:
                yield from _patterns(branch)


def _as_entity(pattern: Pattern, name: Symbol, sources: Mapping[Symbol, Source]) -> bool:
    """Return whether a variable is the entity of a pattern, or the value of an attribute whose values are entities."""
    source, terms = sources.get(pattern.source), pattern.terms
    if not isinstance(source, DatabaseSource):
        return False
    if terms[0] is name:
        return True
    if len(terms) < 3 or terms[2] is not name or not isinstance(terms[1], Constant):
        return False
    attribute = terms[1].value
    return isinstance(attribute, Keyword) and source.database.schema[attribute].is_ref


def _entities(column: Ids, source: DatabaseSource, pattern: Pattern) -> Ids:
    made = column.copy()
    for one in np.unique(column[(column & 1) == 1]).tolist():
        value = value_of(one)
        try:
            entity = source.database.entid(value) if isinstance(value, (Keyword, tuple)) else None
        except AttributeForbidden:
            raise
        except DatomstoreError as error:
            raise QueryError("query/lookup", str(error), pattern.form) from error
        found = None if entity is None else find(entity)
        if found is not None:
            made[column == one] = found
    return made
