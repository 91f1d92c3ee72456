"""The datom, our one unit of fact.

Is:     entity, attribute, value, transaction, and whether it was added or retracted.
Is not: how datoms are kept: as columns of ids (`datomstore.facts`).
Fits:   what reports, logs and `Database.datoms` hand out.

Provenance is not in the datom: the transaction is an entity, and who wrote it, when and why are facts about that.
"""

from __future__ import annotations

from typing import NamedTuple

from datomstore.value import Keyword

FIRST_ENTITY = 1_000  # smaller entity ids are never given out
TX_BASE = 1 << 48  # transaction t is the entity TX_BASE + t


class Datom(NamedTuple):
    """One immutable fact: `e` had `v` for `a` as of `tx`."""

    e: int
    a: Keyword
    v: object
    tx: int
    added: bool  # False is a retraction: a new fact, never an erasure


def t_of(tx: int) -> int:
    """Return the transaction number of a transaction entity; a small number is one already."""
    return tx - TX_BASE if tx >= TX_BASE else tx
