"""Tables and their indexes against sets of rows, where keys of several columns meet in one hash as well."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.datalog._kernel import Table
from datomstore.datalog.relation import distinct_rows, mixed
from datomstore.intern import Ids

Row = tuple[int, int]


def columns(rows: list[Row]) -> list[Ids]:
    return [np.array([row[place] for row in rows], np.int64) for place in (0, 1)]


def table_of(rows: list[Row]) -> Table:
    table = Table(2)
    table.add(columns(rows), len(rows))
    return table


def rows_of(table: Table) -> list[Row]:
    return list(zip(table.column(0).tolist(), table.column(1).tolist(), strict=True))


def meeting(first: int) -> list[Row]:
    """Rows that differ and have one mixed key."""
    found = []
    for left in (first, first + 2, first + 4):
        # mixed((left, x)) = (scrambled(left) + x) * odd, so any difference of the first is undone by the second.
        zero, one = np.array([left], np.int64), np.array([0], np.int64)
        scrambled = int(mixed([zero, one]).view(np.uint64)[0]) * pow(0x9E3779B97F4A7C15, -1, 2**64)
        right = -scrambled % 2**64
        found.append((left, right - 2**64 if right >= 2**63 else right))
    return found


def test_rows_that_meet_in_a_key_are_really_made() -> None:
    rows = meeting(10)
    assert len({int(key) for key in mixed(columns(rows))}) == 1
    assert len(set(rows)) == 3


SMALL = st.tuples(st.integers(-3, 3), st.sampled_from([0, 1, -1, 2**62, -(2**62)]))
MEETING = st.sampled_from([row for first in range(0, 12, 3) for row in meeting(first)])
BATCHES = st.lists(st.lists(SMALL | MEETING, min_size=1, max_size=12), max_size=6)
BULK = [(i, -i) for i in range(2_048)]


@pytest.mark.parametrize("before", [[], BULK], ids=["small", "large"])
@settings(max_examples=60)
@given(batches=BATCHES)
def test_a_table_holds_each_row_once(before: list[Row], batches: list[list[Row]]) -> None:
    table = Table(2)
    table.add(columns(before), len(before))
    known = set(before)
    for batch in batches:
        assert table.add(columns(batch), len(batch)) == len(set(batch) - known)
        known |= set(batch)
        assert table.count == len(known)
    assert set(rows_of(table)) == known


@settings(max_examples=60)
@given(
    BATCHES,
    st.lists(SMALL | MEETING, min_size=1, max_size=5),
    st.sampled_from([(0,), (1,), (0, 1), (1, 0)]),
)
def test_a_probe_finds_every_match_in_rows_that_grow(
    batches: list[list[Row]], wanted: list[Row], places: tuple[int, ...]
) -> None:
    table = table_of([])
    for batch in [[], *batches]:
        table.add(columns(batch), len(batch))
        spent: list[int] = []
        probe, rows = table.probe(
            places, [columns(wanted)[place] for place in places], spent.append
        )
        listed = rows_of(table)
        found = sorted(zip(probe.tolist(), rows.tolist(), strict=True))
        assert found == [
            (number, row)
            for number, key in enumerate(wanted)
            for row, values in enumerate(listed)
            if all(values[place] == key[place] for place in places)
        ]
        assert sum(spent) >= len(found)


@given(st.lists(SMALL | MEETING, min_size=1, max_size=30))
def test_distinct_rows_are_one_of_each(rows: list[Row]) -> None:
    kept = distinct_rows(columns(rows)).tolist()
    assert sorted(rows[number] for number in kept) == sorted(set(rows))
