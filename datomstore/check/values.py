"""The values of rows, without an id for each.

Is:     values and keys of rows, from the dictionary of a stored run or from the process's table.
Is not: for queries: ids are what those work with, and a value that has got one stays in the process.
Fits:   `datomstore.check` looks at every value once.
"""

from __future__ import annotations

import hashlib

import numpy as np

from datomstore._index import STORED, Run
from datomstore.codec import pack
from datomstore.facts import Facts, Rows
from datomstore.intern import Ids, values_of
from datomstore.segments.dictionary import Dictionary

_PLAIN = frozenset({int, str, bool, bytes})  # equal ones of one type are the same value


class Values:
    """The values of the first `count` rows."""

    def __init__(self, facts: Facts, count: int) -> None:
        self._facts = facts
        self._runs = facts.view(count).runs

    def of(self, rows: Rows) -> list[object]:
        """Return the values of rows, ascending. Raises StorageCorrupt."""
        made: list[object] = []
        for part, table in self._parts(rows):
            if table is None:
                made += values_of(part)
                continue
            codes, places = np.unique(part, return_inverse=True)
            values = _known(codes, table)
            made += [values[place] for place in places.tolist()]
        return made

    def keys(self, rows: Rows) -> Ids:
        """Return a number for each of some rows, ascending: equal for equal values, and as good as never for others.

        Integers that are their own ids have these, which are even.
        """
        made = [np.empty(0, np.int64)]
        for part, table in self._parts(rows):
            codes, places = np.unique(part, return_inverse=True)
            odd = (codes & 1).astype(np.bool_)
            codes[odd] = [key_of(value) for value in _known(codes[odd], table)]
            made.append(codes[places])
        return np.concatenate(made)

    def _parts(self, rows: Rows) -> list[tuple[Ids, Dictionary | None]]:
        """Return the rows' codes, part by part, with the dictionary that tells what they stand for; None: they are ids."""
        made: list[tuple[Ids, Dictionary | None]] = []
        at = 0
        for run in self._runs:
            end = int(np.searchsorted(rows, run.end))
            if at < end:
                made.append(self._coded(run, rows[at:end]))
                at = end
        made.append((self._facts.v[rows[at:]], None))
        return made

    def _coded(self, run: Run, rows: Rows) -> tuple[Ids, Dictionary | None]:
        table = run.v.table
        if run.v.rule == STORED and isinstance(table, Dictionary):
            return run.v.codes[rows - run.start].astype(np.int64), table
        return self._facts.v[rows], None


def _known(codes: Ids, table: Dictionary | None) -> list[object]:
    """Return the values of codes, ascending; without a dictionary these are ids."""
    if table is None:
        return values_of(codes)
    odd = (codes & 1).astype(np.bool_)
    values = iter(table.values(codes[odd] >> 1))
    return [next(values) if code & 1 else code >> 1 for code in codes.tolist()]


def key_of(value: object) -> int:
    """Return the key of a value that is not its own id: 63 bits of a hash, and odd."""
    found = hashlib.blake2b(pack(value), digest_size=8).digest()
    return int.from_bytes(found, "little", signed=True) | 1


def same(left: object, right: object) -> bool:
    """Return whether two values are one, types, signs of zero and all."""
    if type(left) is type(right) and type(left) in _PLAIN:
        return left == right
    return pack(left) == pack(right)
