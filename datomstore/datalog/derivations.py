"""Attributes of entities that a program derives when a query asks, not rules.

Is:     the one place where a program says how, and where `(derived $ ?entity :attribute)` finds it.
Is not: a cache, or stored: what is derived is a function of the database, and the program's to keep.
Fits:   `yang.asked` says it for code. Rules of an attribute (`:db/rule`) call `derived`, so queries do not see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from datomstore.database import Database
from datomstore.datalog.builtins import FunctionError

Lookup: TypeAlias = Callable[[object, object], Sequence[object]]  # entity, attribute -> values
_provided: list[Callable[[Database], Lookup]] = []


def provide(make: Callable[[Database], Lookup]) -> None:
    """Say how attributes of a database's entities are derived; what was said before is replaced."""
    _provided[:] = [make]


def lookup_in(database: Database) -> Lookup:
    """Return what derives attributes of a database. Raises FunctionError where nobody said how, or a part is hidden."""
    if database.shown:  # what is derived tells of all facts, and may be kept by their name
        raise FunctionError("nothing is derived from a part of a database")
    if not _provided:
        raise FunctionError("nothing derives attributes here")
    return _provided[0](database)
