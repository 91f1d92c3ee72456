"""A unique value belongs to one entity.

Is:     the values of each unique attribute by their keys, some of the keys at a time.
Is not: the index by value: it is not asked.
Fits:   `datomstore.check`, when facts and what ended them have been looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datomstore.check.fault import Fault
from datomstore.check.values import Values
from datomstore.codec import pack
from datomstore.database import Database
from datomstore.facts import Rows
from datomstore.intern import Ids, intern

KEYS_PER_ROW = 16  # keys that are held in the place of one row


def check_unique(database: Database, faults: list[Fault], rows_max: int) -> None:
    """Look at all unique attributes."""
    values = Values(database.facts, database.count_rows)
    for attribute in database.schema:
        if attribute.unique is None:
            continue
        a = intern(attribute.ident)
        parts = -(-database.count(None, a, None) // (KEYS_PER_ROW * rows_max))
        if any(_is_shared(database, values, a, parts, part, rows_max) for part in range(parts)):
            problem = f"{attribute.ident!r}: two entities have one value"
            faults.append(Fault("attribute", database.basis_t, problem))


def _is_shared(
    database: Database, values: Values, a: int, parts: int, part: int, rows_max: int
) -> bool:
    """Return whether a value, of one part of them, is there twice."""
    keys: list[Ids] = []
    rows: list[Rows] = []
    for found in _live(database, a, rows_max):
        made = values.keys(found)
        mine = (made >> 1) % parts == part
        keys.append(made[mine])
        rows.append(found[mine])
    together, of = np.concatenate(keys or [_NONE]), np.concatenate(rows or [_NONE])
    order = np.argsort(together, kind="stable")
    alike = np.flatnonzero(together[order][1:] == together[order][:-1])
    twice = np.unique(np.concatenate([of[order][alike], of[order][alike + 1]]))
    packed = [
        pack(value) for value in values.of(twice)
    ]  # keys may, once in a lifetime, agree by chance
    return len(set(packed)) < len(packed)


def _live(database: Database, a: int, rows_max: int) -> Iterator[Rows]:
    """Yield the rows of an attribute that are so now, in portions."""
    facts, count = database.facts, database.count_rows
    for start in range(0, count, rows_max):
        rows = start + np.flatnonzero(facts.a[start : min(start + rows_max, count)] == a)
        yield rows[facts.added[rows] & (np.asarray(facts.ended[rows]) >= count)]


_NONE = np.empty(0, np.int64)
