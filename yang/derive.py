"""Relations that rules derive from a database.

Is:     one evaluation of a set of rules, with the rows of several relations as the answer.
Is not: the evaluator (`datomstore.datalog`).
Fits:   `yang.compile` calls it once per stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datomstore.database import Database
from datomstore.datalog import q
from datomstore.value import Keyword, List, Symbol
from yang.rules import Rules

Rows = list[tuple[Any, ...]]


def derive(database: Database, rules: Rules, wanted: Mapping[str, int]) -> dict[str, Rows]:
    """Return the rows of the relations named in `wanted` (name -> number of columns), in no order."""
    width = max(wanted.values())
    columns = [Symbol(f"?column{place}") for place in range(width)]
    relation = Symbol("?relation")
    head = List([Symbol("derived"), relation, *columns])
    union = tuple(
        (
            head,
            List([Symbol(name), *columns[:arity]]),
            (List([Symbol("ground"), Keyword(name)]), relation),
            *((List([Symbol("ground"), 0]), column) for column in columns[arity:]),
        )
        for name, arity in wanted.items()
    )
    find = (Keyword("find"), relation, *columns, Keyword("in"), Symbol("$"), Symbol("%"))
    answer = q((*find, Keyword("where"), head), database, (*rules, *union))
    found: dict[str, Rows] = {name: [] for name in wanted}
    for name, *row in answer:
        found[name.name].append(tuple(row[: wanted[name.name]]))
    return found
