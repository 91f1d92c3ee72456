"""The rules of facts, some entities at a time.

Is:     nothing is added that is so already, nothing retracted that is not; what ended each row; one value of an attribute
        where its cardinality is one; types; composites.
Is not: unique values, for which entities must be seen together (`unique`).
Fits:   the columns have been compared with the log before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from datomstore.check.fault import Fault
from datomstore.check.values import Values, same
from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.facts import NEVER, Rows
from datomstore.intern import intern, value_of
from datomstore.schema import Attribute, Schema, refusal
from datomstore.value import Keyword

_SAMPLE = 1 << 16  # rows from which it is guessed where as many rows are below as above
_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def check_facts(database: Database, faults: list[Fault], rows_max: int) -> None:
    """Look at all facts, some entities at a time."""
    checker = _Checker(database, faults)
    for rows in _by_entities(database, rows_max):
        checker.check(rows)


def _by_entities(database: Database, rows_max: int) -> Iterator[Rows]:
    """Yield the rows of some entities, ascending, so many together that they are about as many rows."""
    facts, count = database.facts, database.count_rows
    parts = -(-count // rows_max)
    if parts <= 1:
        yield np.arange(count)
        return
    sample = np.sort(facts.e[np.arange(0, count, -(-count // _SAMPLE))])
    bounds = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    for low, high in pairwise([_LEAST, *bounds.tolist(), _MOST]):
        found = []
        for start in range(0, count, rows_max):
            e = facts.e[start : min(start + rows_max, count)]
            found.append(start + np.flatnonzero((low <= e) & (e < high)))
        yield np.concatenate(found)


class _Checker:
    """Looks at the facts of entities, all of each together."""

    def __init__(self, database: Database, faults: list[Fault]) -> None:
        self._facts = database.facts
        self._schema: Schema = database.schema
        self._t = database.basis_t
        self._values = Values(database.facts, database.count_rows)
        self._count = database.count_rows
        self._faults = faults
        self._said: set[str] = set()

    def check(self, rows: Rows) -> None:
        """Look at the facts of some entities; `rows` are all of theirs, ascending."""
        facts = self._facts
        keys = self._values.keys(rows)
        order = np.lexsort(
            (keys, facts.a[rows], facts.e[rows])
        )  # rows of equal facts stay in order
        e, a, keys, rows = facts.e[rows][order], facts.a[rows][order], keys[order], rows[order]
        added = facts.added[rows]
        follows = np.zeros(len(rows), np.bool_)
        follows[1:] = (e[1:] == e[:-1]) & (a[1:] == a[:-1]) & (keys[1:] == keys[:-1])
        was = np.zeros(len(rows), np.bool_)
        was[1:] = follows[1:] & added[:-1]
        self._say_facts(rows[added == was])
        ended = np.full(len(rows), NEVER)
        ends = np.flatnonzero(was & ~added)
        ended[ends - 1] = rows[ends]
        if not np.array_equal(self._ended(rows), ended):
            self._say("memory", "memory and log differ in column ended")
        live = np.sort(rows[added & (ended == NEVER)])
        self._check_attributes(live)

    def _ended(self, rows: Rows) -> Rows:
        """Return what ended rows below the number that there are."""
        found = np.asarray(self._facts.ended[rows])
        return np.where(found < self._count, found, NEVER)

    def _say_facts(self, rows: Rows) -> None:
        for row in np.sort(rows).tolist():
            (value,) = self._values.of(np.array([row]))
            e, a = int(self._facts.e[row]) >> 1, value_of(int(self._facts.a[row]))
            t = (int(self._facts.t[row]) >> 1) - TX_BASE
            verb = "added twice" if self._facts.added[row] else "retracted without being so"
            self._faults.append(Fault("facts", t, f"[{e} {a!r} {value!r}] is {verb}"))

    def _say(self, rule: str, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            self._faults.append(Fault(rule, self._t, problem))

    def _check_attributes(self, rows: Rows) -> None:
        a = self._facts.a[rows]
        for number in np.unique(a).tolist():
            ident = value_of(number)
            assert isinstance(ident, Keyword), ident
            attribute = self._schema[ident]
            mine = rows[a == number]
            if not attribute.many and len(np.unique(self._facts.e[mine])) < len(mine):
                self._say("attribute", f"{ident!r}: an entity has two values")
            _, first = np.unique(self._values.keys(mine), return_index=True)
            for value in self._values.of(mine[np.sort(first)]):
                problem = refusal(attribute, value)
                if problem is not None:
                    self._say("attribute", problem)
        for attribute in self._schema.composites:
            self._check_composite(attribute, rows, a)

    def _check_composite(self, attribute: Attribute, rows: Rows, a: Rows) -> None:
        parts = attribute.tuple_attrs
        made: dict[int, list[object]] = defaultdict(lambda: [None] * len(parts))
        for place, part in enumerate(parts):
            for e, value in self._pairs(rows[a == intern(part)]):
                made[e][place] = value
        kept = dict(self._pairs(rows[a == intern(attribute.ident)]))
        if kept.keys() != made.keys() or not all(same(kept[e], tuple(made[e])) for e in kept):
            self._say("attribute", f"{attribute.ident!r} is not what its parts make")

    def _pairs(self, rows: Rows) -> Iterator[tuple[int, object]]:
        return zip(self._facts.e[rows].tolist(), self._values.of(rows), strict=True)
