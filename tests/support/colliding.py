"""Keys that make a dictionary slow, as an attacker would choose them.

Is:     values of one hash, and integers of different hashes that walk a long way over each other's places.
Is not: what finds them out (`datomstore._codec`).
Fits:   tests of what reads values from outside.
Source: CPython's Objects/dictobject.c, and `hash` of numbers: the remainder by 2**61 - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from uuid import UUID

import numpy as np

from datomstore.value import Map, Set

_MODULUS = (1 << 61) - 1
# What makes the value of a number, so that all of them have one hash.
ALIKE: dict[str, Callable[[int], object]] = {
    "integers": lambda k: (k + 8) * _MODULUS,
    "negative integers": lambda k: -(k + 8) * _MODULUS - 7,
    "uuids": lambda k: UUID(int=(k + 8) * _MODULUS),
    "ratios": lambda k: Fraction(1 + 2 * (k + 8) * _MODULUS, 2),
    "vectors": lambda k: ((k + 8) * _MODULUS,),
    "maps": lambda k: Map({0: (k + 8) * _MODULUS}),
    "sets": lambda k: Set([(k + 8) * _MODULUS]),
}


def alike(kind: str, count: int) -> list[object]:
    """Return so many values of a kind that have one hash."""
    found = [ALIKE[kind](k) for k in range(count)]
    assert len(set(map(hash, found))) == 1, kind
    return found


def walking(log2: int = 11) -> list[object]:
    """Return integers, of different hashes, that fill a dictionary of 2**log2 places.

    The first ones lie along the cycle i -> 5 i + 1, which a key goes when its hash is used up. The others, larger, find all
    places taken until it is, and come to that cycle near its beginning.
    """
    places, filled = 1 << log2, (1 << log2) // 3 + 1
    cycle = [0]
    while len(cycle) < filled:
        cycle.append((5 * cycle[-1] + 1) % places)
    at = np.full(places, places)  # where along the cycle a place is
    at[cycle] = np.arange(filled)
    wanted, start = 2 * places // 3 - filled - 2, 1 << 32
    found: list[object] = []
    while len(found) < wanted:
        hashes = np.arange(start, start + (1 << 20))
        start += len(hashes)
        place, left = hashes % places, hashes
        while left.any():
            taken = at[place] < places
            hashes, place, left = hashes[taken], place[taken], left[taken] >> 5
            place = (5 * place + left + 1) % places
        found += hashes[at[place] < filled // 4].tolist()
    return [*cycle, *found[:wanted]]
