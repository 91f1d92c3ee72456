"""One transaction as a followed query sees it.

Is:     both database values, the facts between them, and what may be spent.
Is not: what it changes in a query.
Fits:   `follow` makes one after every commit; all of `delta` asks it.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property

import numpy as np

from datomstore.database import Database
from datomstore.datalog.budget import Meter
from datomstore.datalog.delta.reads import Attributes, touches
from datomstore.datalog.limits import WALK_FACTS_MAX
from datomstore.facts import Rows
from datomstore.intern import Ids


class Transaction:
    """One transaction as a followed query sees it: both database values, and its facts as ids.

    Args:
        attributes: the ids of those of the facts.
        cautious: clauses stay in the order they are written in.
    """

    def __init__(
        self,
        before: Database,
        after: Database,
        attributes: Set[int],
        meter: Meter,
        *,
        cautious: bool = False,
    ) -> None:
        self.before, self.after = before, after
        self.meter = meter
        self.cautious = cautious
        self.start, self.end = before.count_rows, after.count_rows  # rows of the facts
        self.is_small = self.end - self.start <= WALK_FACTS_MAX
        self.attributes = attributes

    @cached_property
    def columns(self) -> tuple[Ids, Ids, Ids, Ids]:
        """Return entities, attributes, values and signs: +1 for what is added, -1 for what is retracted."""
        return self.after.facts.changes(self.start, self.end)

    def touches(self, attributes: Attributes) -> bool:
        """Return whether the transaction has facts of one of some attributes."""
        return touches(self.attributes, attributes)

    def only_adds(self, attributes: Attributes) -> bool:
        """Return whether no fact of some attributes goes."""
        _, a, _, signs = self.columns
        gone = a[signs < 0]
        if attributes is None:
            return not len(gone)
        return attributes.isdisjoint(gone.tolist())

    def of_attribute(self, a: int | None) -> Rows:
        """Return the numbers of the facts of an attribute, or of all."""
        if a is None:
            return np.arange(len(self.columns[1]), dtype=np.int64)
        return np.flatnonzero(self.columns[1] == a).astype(np.int64)

    @cached_property
    def t(self) -> Ids:
        """Return the transactions of the facts: of those that are retracted, the ones that added them."""
        made = np.array(self.after.facts.t[self.start : self.end])
        e, a, v, signs = self.columns
        for row in np.flatnonzero(signs < 0).tolist():
            was = self.before.rows(int(e[row]), int(a[row]), int(v[row]))
            if len(was):
                made[row] = self.before.facts.t[was[0]]
        return made
