"""The way from the rows of one clause to those of a whole body.

Is:     joins one after another; rows that have become the same on the way are summed.
Is not: the order of the joins, which `bodies` has planned, nor a join itself (`joins`).
Fits:   a body has one way for each clause that can change.
"""

from __future__ import annotations

import numpy as np

from datomstore.datalog._kernel import Table
from datomstore.datalog.delta.joins import Operator
from datomstore.datalog.delta.refusal import NotTold
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.limits import DERIVATIONS_MAX, SUMMED_ROWS_MIN
from datomstore.datalog.relation import Relation, unmetered
from datomstore.value import Symbol

SIGN = Symbol("sign")  # the column of +1 and -1: no variable has this name


class Leg:
    """One join on the way from some rows to those of a whole body; `place` is its clause's.

    Args:
        repeats: the join may give a row twice.
    """

    def __init__(self, place: int, operator: Operator, *, repeats: bool) -> None:
        self.place = place
        self.operator = operator
        self.repeats = repeats
        self.needed: frozenset[Symbol] = frozenset()  # variables that are looked at further on

    def go(self, relation: Relation, transaction: Transaction, *, before: bool) -> Relation:
        """Return the rows after the join; where they are many, without variables that are not needed any more."""
        if not relation.count:
            return relation
        relation = self.operator.execute(relation, transaction, before=before)
        if self.repeats and relation.count:
            relation = relation.distinct(list(relation.columns))
        if relation.count > SUMMED_ROWS_MIN:
            return summed(relation, self.needed)
        return relation


def summed(relation: Relation, needed: frozenset[Symbol]) -> Relation:
    """Return the distinct rows over some variables, with the sum of their signs if they have any."""
    names = [name for name in relation.columns if name in needed]
    signed = SIGN in relation.columns
    if len(names) + signed == len(relation.columns):
        return relation
    if not signed:
        return relation.distinct(names)
    signs = relation.columns[SIGN]
    if not names:
        return Relation({SIGN: np.array([signs.sum()], np.int64)}, 1)
    table = Table(len(names))
    count = table.add([relation.columns[name] for name in names], relation.count)
    if count == relation.count:
        return relation.keep({*names, SIGN})
    keys = [relation.columns[name] for name in names]
    probe, row = table.probe(tuple(range(len(names))), keys, unmetered)
    sums = np.zeros(count, np.int64)
    np.add.at(sums, row, signs[probe])
    if int(np.abs(sums).max()) > DERIVATIONS_MAX:
        raise NotTold("there are too many derivations")
    made = {name: table.column(place) for place, name in enumerate(names)}
    return Relation({**made, SIGN: sums}, count)
