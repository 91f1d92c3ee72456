"""What is stored and what is newest look like one list."""

from __future__ import annotations

from bisect import bisect_right
from itertools import product

import numpy as np
import pytest

from datomstore.segments.times import Ends, EndsPart, Roots

ENDS = [(1, 3), (2, 3), (3, 10), (4, 12), (5, 20)]
ROOTS = [bytes([n]) * 32 for n in range(5)]


def ends() -> Ends:
    stored = [EndsPart(0, np.array([3, 3], np.uint32)), EndsPart(3, np.array([7], np.uint32))]
    made = Ends(stored)
    made.append((4, 12))
    made.append((5, 20))
    return made


def roots() -> Roots:
    whole = np.frombuffer(b"".join(ROOTS), np.uint8)
    return Roots([whole[:32], whole[32:96]], ROOTS[3:])


def equal(made: object, listed: object) -> bool:
    return made == listed


def test_every_index_and_slice_is_that_of_the_list() -> None:
    for made, listed in ((ends(), ENDS), (roots(), ROOTS)):
        assert len(made) == 5
        assert equal(made, listed)
        assert list(made) == listed
        assert [made[n] for n in range(-5, 5)] == [listed[n] for n in range(-5, 5)]
        for start, end in product([None, *range(-7, 7)], repeat=2):
            assert made[start:end] == listed[start:end]
        with pytest.raises(IndexError):
            made[5]
        with pytest.raises(IndexError):
            made[-6]


def test_a_transaction_is_found_by_bisection() -> None:
    found = [bisect_right(ends(), t, key=lambda pair: pair[0]) for t in range(7)]
    assert found == [0, 1, 2, 3, 4, 5, 5]


def test_what_differs_is_not_equal() -> None:
    assert not equal(ends(), ENDS[:4])
    assert not equal(ends(), [*ENDS[:4], (5, 21)])
    assert equal(Ends(), [])
