"""Rows of a log put behind those of a Facts.

Is:     transactions as they were: nothing is checked, nothing implied; what each retraction ends is found.
Is not: a writer (`datomstore.transactor`).
Fits:   `opening` replays a log with it, `filtered` lets a copy grow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import Ids
from datomstore.schema import Schema


def append(
    facts: Facts, ends: list[tuple[int, int]], e: Ids, a: Ids, v: Ids, added: NDArray[np.bool_]
) -> None:
    """Put the rows of transactions, (t, row after it), behind those that are there."""
    base = start = facts.count
    ended = _ended(facts, e, a, v, added)
    by = sorted(ended)
    at = 0
    for t, end in ends:
        place = slice(start - base, end - base)
        pairs = []
        while at < len(by) and by[at] < end:
            pairs.append((by[at], ended[by[at]]))
            at += 1
        facts.write(start, e[place], a[place], v[place], (TX_BASE + t) << 1, pairs)  # type: ignore[arg-type]
        facts.count = start = end


def _ended(facts: Facts, e: Ids, a: Ids, v: Ids, added: NDArray[np.bool_]) -> dict[int, int]:
    """Return row of a retraction -> row it ends, for rows that are to come; what ends nothing ends itself."""
    base = facts.count
    retractions = np.flatnonzero(~added)
    if not len(retractions):
        return {}
    same = np.isin(e, e[retractions])  # only these can be among what is ended
    rows = np.flatnonzero(same)
    rows = rows[np.lexsort((v[rows], a[rows], e[rows]))]  # equal facts stay in the order of the log
    before, after = rows[:-1], rows[1:]
    pairs = (
        (e[before] == e[after])
        & (a[before] == a[after])
        & (v[before] == v[after])
        & added[before]
        & ~added[after]
    )
    found = dict(zip((after[pairs] + base).tolist(), (before[pairs] + base).tolist(), strict=True))
    known = Database(facts, Schema(), [], basis_t=0, count=base)
    for row in retractions.tolist():
        if row + base not in found:
            live = known.rows(int(e[row]), int(a[row]), int(v[row]))
            found[row + base] = int(live[-1]) if len(live) else row + base
    return found
