"""Look-ups of many entities at once find what looking up one after the other finds, however dense the entities are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datom import TX_BASE, Datom
from datomstore.intern import intern
from datomstore.value import Keyword

SIZE = Keyword("size")
FACTS = st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 2)), unique=True, max_size=20)


@given(FACTS, st.lists(st.integers(-5, 15), max_size=12))
def test_many_look_ups_find_what_single_ones_find(
    facts: list[tuple[int, int]], wanted: list[int]
) -> None:
    database = Database.from_datoms([Datom(e, SIZE, v, TX_BASE + 1, True) for e, v in facts])
    a = intern(SIZE)
    probe, rows = database.scan_bound(a, e=np.array(wanted, np.int64) << 1)
    values = (database.facts.v[rows] >> 1).tolist()
    found = sorted(zip(probe.tolist(), values, strict=True))
    assert found == sorted((n, v) for n, one in enumerate(wanted) for e, v in facts if e == one)


def test_entities_without_a_gap_are_found_where_they_stand() -> None:
    facts = [Datom(e, SIZE, e * e, TX_BASE + 1, True) for e in range(10, 30)]
    database = Database.from_datoms(facts)
    a = intern(SIZE)
    probe, rows = database.scan_bound(a, e=np.array([29, 9, 10, 30, 20], np.int64) << 1)
    assert probe.tolist() == [0, 2, 4]
    assert (database.facts.v[rows] >> 1).tolist() == [841, 100, 400]
