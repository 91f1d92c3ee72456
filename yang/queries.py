"""What a query gives back, told from its form.

Is:     whether its `:find` gives numbers about rows, or parts of rows.
Is not: a check of the query, which the store does (`datomstore.datalog`).
Fits:   policies read it as a fact (`yang.host_facts`); a node asks it of queries of private streams (`yind.admission`).
"""

from __future__ import annotations

from collections.abc import Iterator

from datomstore.value import Keyword, List, Map, Symbol

# Aggregates whose answer is a number about all rows; `min`, `max`, `median`, `distinct`, `rand` and `sample` give values of rows.
AGGREGATES = frozenset({"count", "count-distinct", "sum", "avg", "variance", "stddev"})
_MARKS = frozenset({".", "..."})


def gives_only_aggregates(query: object) -> bool:
    """Return whether every element of a query's `:find` is one of AGGREGATES."""
    elements = list(_elements(query))
    return bool(elements) and all(map(_is_aggregate, elements))


def _is_aggregate(element: object) -> bool:
    return (
        isinstance(element, List)
        and len(element) > 1
        and isinstance(element[0], Symbol)
        and element[0].name in AGGREGATES
    )


def _elements(query: object) -> Iterator[object]:
    for part in _find(query):
        inner = part if isinstance(part, tuple) and not isinstance(part, List) else (part,)
        for element in inner:
            if not (isinstance(element, Symbol) and element.name in _MARKS):
                yield element


def _find(query: object) -> Iterator[object]:
    """Yield the parts of a query's `:find`."""
    if isinstance(query, Map):
        found = query.get(Keyword("find"), ())
        yield from found if isinstance(found, tuple) else ()
    elif isinstance(query, tuple):
        inside = False
        for part in query:
            if isinstance(part, Keyword):
                inside = part.name == "find"
            elif inside:
                yield part
