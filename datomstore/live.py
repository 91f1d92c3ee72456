"""What is so now, attribute by attribute: the writer's own index.

Is:     the facts that were there before the writer, and the types of values that need no further look.
Is not: the index itself: a `Held` of `datomstore._transact` has, for one attribute, the live row of every entity and the
        owner of every unique value.
Fits:   `datomstore.transactor` asks a Held before it appends a row, and notes the row there afterwards.

It is not complete from the start: what the sorted orders know already is looked up there when it is first asked for, and
read as a whole once many have asked. So a log of a million facts opens without a table being filled, a what-if on it costs
what it touches, and an import of new entities looks nothing up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datomstore.schema import PYTHON_TYPES, Attribute
from datomstore.value import Char, Keyword, Symbol

if TYPE_CHECKING:
    from datomstore.database import Database

# Values of these types are kept as they are; others may have something in them to resolve or to convert.
_SCALARS = frozenset({str, int, float, bool, bytes, Keyword, Symbol, Char})


class Base:
    """The facts that were there before the writer: a database, and from where on entities are new to it."""

    __slots__ = ("database", "next_entity")

    def __init__(self, database: Database, next_entity: int) -> None:
        self.database = database
        self.next_entity = next_entity  # but for transactions, which are entities above all others


def scalars_of(attribute: Attribute) -> frozenset[type]:
    """Return the types whose values an attribute takes without a further look."""
    kind = attribute.value_type
    if kind is None:
        return _SCALARS
    return _SCALARS & frozenset(PYTHON_TYPES[kind])
