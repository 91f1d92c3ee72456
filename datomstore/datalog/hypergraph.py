"""Which clauses form cycles: their variables as edges that may join more than two ends.

Is:     the core that is left of such edges without their ears.
Is not: a choice of what to do with it (`plan`), or the join (`cyclic`).
Fits:   `plan` asks it of the patterns of a body.
Source: Graham; Yu and Ozsoyoglu (the reduction GYO, by which acyclic schemas are told).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TypeVar

from datomstore.datalog.limits import CORES_KEPT

V = TypeVar("V")


def cyclic_core(edges: Sequence[AbstractSet[V]]) -> list[int]:
    """Return the numbers of the edges that form cycles, in order; none if all can be joined without any.

    An ear is an edge whose variables, but for those it has alone, are all in one other edge. Without ears, and with the
    edges beside it that have no variable of their own, the core is what two by two may make too many rows of.
    """
    return list(_core(tuple(frozenset(edge) for edge in edges)))


@lru_cache(CORES_KEPT)
def _core(edges: tuple[frozenset[V], ...]) -> tuple[int, ...]:
    left = dict(enumerate(edges))
    while True:
        times = Counter(one for edge in left.values() for one in edge)
        inner = {n: frozenset(v for v in edge if times[v] > 1) for n, edge in left.items()}
        ear = next((n for n in inner if _is_ear(n, inner)), None)
        if ear is None:
            break
        del left[ear]
    reached = frozenset(one for edge in left.values() for one in edge)
    return tuple([n for n, edge in enumerate(edges) if n in left or (edge and reached >= edge)])


def _is_ear(number: int, inner: dict[int, frozenset[V]]) -> bool:
    edge = inner[number]
    return not edge or any(other >= edge for n, other in inner.items() if n != number)
