"""Strategies for the values of the data model."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from datomstore.decimals import decimal_of
from datomstore.value import Char, Keyword, List, Map, Set, Symbol

NAMES = st.from_regex(r"[a-z][a-z0-9*+!?<>=-]{0,6}(/[a-z][a-z0-9-]{0,6})?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC, microsecond=at.microsecond // 1000 * 1000)
)
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(allow_nan=False),
    st.fractions().filter(lambda ratio: ratio.denominator != 1),
    st.builds(decimal_of, st.integers(-(1 << 70), 1 << 70), st.integers(-30, 30)),
    TEXTS,
    st.binary(max_size=12),
    st.characters(exclude_categories=["Cs"]).map(Char),
    NAMES.map(Keyword),
    NAMES.filter(lambda name: name not in ("nil", "true", "false")).map(Symbol),
    INSTANTS,
    st.uuids(),
)


def collections_of(atoms: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return values of all collections that have such atoms in them."""
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4).map(tuple),
            st.lists(inner, max_size=4).map(List),
            st.lists(inner, max_size=4).map(Set),
            st.lists(st.tuples(inner, inner), max_size=4).map(Map),
        ),
        max_leaves=12,
    )


VALUES = collections_of(ATOMS)
