"""Whatever is transacted, schema changes included: log, memory and indexes agree, and so does who reads the log again."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.check import check
from datomstore.edn import read
from datomstore.excision import ExcisionRefused
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map

SCHEMA = read("""
[{:db/ident :x/a} {:db/ident :x/b} {:db/ident :x/c}
 {:db/ident :x/ab :db/tupleAttrs [:x/a :x/b] :db/unique :db.unique/value}]""")
ATTRIBUTES = st.sampled_from([Keyword(f"x/{name}") for name in "abc"])
ENTITIES = st.sampled_from([2_000, 2_001, 2_002])
VALUES = st.sampled_from([0, 1, "1", 2_001])
PROPERTIES = st.sampled_from(
    [
        (Keyword("db/cardinality"), Keyword("db.cardinality/many")),
        (Keyword("db/cardinality"), Keyword("db.cardinality/one")),
        (Keyword("db/unique"), Keyword("db.unique/identity")),
        (Keyword("db/unique"), Keyword("db.unique/value")),
        (Keyword("db/valueType"), Keyword("db.type/long")),
        (Keyword("db/valueType"), Keyword("db.type/ref")),
    ]
)
VERBS = st.sampled_from([Keyword("db/add"), Keyword("db/retract")])

items = st.one_of(
    st.tuples(VERBS, ENTITIES, ATTRIBUTES, VALUES),
    st.builds(
        lambda e, a, v: Map([(Keyword("db/id"), e), *zip(a, v, strict=False)]),
        st.sampled_from(["t", -1, 2_000]),
        st.lists(ATTRIBUTES, min_size=1, max_size=3, unique=True),
        st.tuples(VALUES, VALUES, VALUES),
    ),
    st.builds(
        lambda e, v, w: Map({Keyword("db/id"): e, Keyword("x/ab"): (v, w)}),
        ENTITIES,
        VALUES,
        VALUES,
    ),
    st.tuples(st.just(Keyword("db/retractEntity")), ENTITIES),
    st.tuples(st.just(Keyword("db/cas")), ENTITIES, ATTRIBUTES, st.none() | VALUES, VALUES),
    st.builds(lambda verb, a, p: (verb, a, *p), VERBS, ATTRIBUTES, PROPERTIES),
    st.builds(lambda e: Map({Keyword("db/excise"): e}), ENTITIES),
)


@settings(max_examples=60)
@given(st.lists(st.lists(items, min_size=1, max_size=4), max_size=10), st.integers(0, 9))
def test_nothing_that_is_accepted_is_unsound(history: list[list[object]], reopened: int) -> None:
    storage = MemoryStorage()
    streams = Streams(storage, now_ms=lambda: 0)
    streams.create("s").transact(SCHEMA)  # type: ignore[arg-type]
    for number, transaction in enumerate(history):
        if number == reopened:  # and goes on from the log alone
            streams = Streams(storage, now_ms=lambda: 0)
        stream = streams.get("s")
        before = list(stream.db().history().datoms())
        t = stream.t
        with contextlib.suppress(TransactionError, ExcisionRefused):
            stream.transact(transaction)
        if stream.t == t:
            assert list(stream.db().history().datoms()) == before
        assert check(streams, "s") == []
