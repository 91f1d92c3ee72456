"""Counts of derivations: the same as a Counter's, whatever comes and goes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datomstore.datalog._columns import Counts

IDS = st.integers(0, 3) | st.integers(-(2**62), 2**62)


def held(counts: Counts) -> list[tuple[int, ...]]:
    return sorted(counts)


@given(
    width=st.integers(0, 3),
    changes=st.lists(st.dictionaries(st.tuples(IDS, IDS, IDS), st.integers(-2, 3)), max_size=30),
)
def test_rows_are_new_with_their_first_derivation_and_lost_with_the_last(
    width: int, changes: list[dict[tuple[int, ...], int]]
) -> None:
    counts, model = Counts(width), Counter[tuple[int, ...]]()
    for change in changes:
        net = {row[:width]: by for row, by in change.items()}
        if any(model[row] + by < 0 for row, by in net.items()):
            assert counts.turn(net) is None
            return
        before = {row for row in model if model[row]}
        model.update(net)
        after = {row for row in model if model[row]}
        found = counts.turn(net)
        assert found is not None
        new, lost = found
        assert (set(new), set(lost)) == (after - before, before - after)
        assert len(new) + len(lost) == len(after ^ before)
        assert (held(counts), len(counts)) == (sorted(after), len(after))


def test_columns_are_counted_row_by_row() -> None:
    counts = Counts(2)
    numbers = np.arange(2_000, dtype=np.int64)
    assert counts.add([numbers % 50, numbers % 20], np.ones(2_000, np.int64))
    assert len(counts) == 100
    assert counts.turn({(7, 7): -19, (8, 8): -20, (7, 8): 1}) == ([(7, 8)], [(8, 8)])
    assert not counts.add([np.array([7]), np.array([7])], np.array([-2]))
