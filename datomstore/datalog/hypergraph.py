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
CYCLE_MIN = 3  # edges of a cycle: two of the same variables are joined as they are


def cyclic_core(edges: Sequence[AbstractSet[V]]) -> list[int]:
    """Return the numbers of the edges that form cycles, in order; none if all can be joined without any.

    An ear is an edge whose variables, but for those it has alone, are all in one other edge. Without ears, and with the
    edges beside it that have no variable of their own, the core is what two by two may make too many rows of.
    """
    if len(edges) < CYCLE_MIN:
        return []
    return list(_core(tuple([frozenset(edge) for edge in edges])))


@lru_cache(CORES_KEPT)
def _core(edges: tuple[frozenset[V], ...]) -> tuple[int, ...]:
    left: dict[int, frozenset[V]] = dict(enumerate(edges))
    times = Counter(one for edge in edges for one in edge)
    if sum(len([one for one in edge if times[one] > 1]) > 1 for edge in edges) < CYCLE_MIN:
        return ()  # the most bodies, and soon told
    ear: int | None = -1
    while ear is not None:
        ear = next((number for number in left if _is_ear(number, left, times)), None)
        if ear is not None:
            times.subtract(left.pop(ear))
    reached = frozenset(one for edge in left.values() for one in edge)
    return tuple([n for n, edge in enumerate(edges) if n in left or (edge and reached >= edge)])


def _is_ear(number: int, left: dict[int, frozenset[V]], times: Counter[V]) -> bool:
    inner = [one for one in left[number] if times[one] > 1]
    if len(inner) < 2:
        return True
    return any(other.issuperset(inner) for n, other in left.items() if n != number)
