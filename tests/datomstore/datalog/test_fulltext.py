"""Full text: what a search finds, in every view of a database, and that it finds what reading all texts finds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import QueryError, follow, q
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

SCHEMA = "[{:db/ident :text :db/fulltext true}]"
TEXTS = """[{:db/id 1001 :text "The quick brown fox"} {:db/id 1002 :text "the lazy dog, the dog"}
            {:db/id 1003 :text "Quick quick dogs"} {:db/id 1004 :text 5} {:db/id 1005 :other "fox"}]"""
SEARCH = "[:find [?e ...] :in $ ?words :where [(fulltext $ :text ?words) [[?e]]]]"


def read(text: str) -> Any:
    return edn.read(text)


def stream_of(*transactions: str) -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("texts")
    for transaction in transactions:
        stream.transact(read(transaction))
    return stream


FOUND = [
    ("fox", [1001]),
    ("FOX", [1001]),
    ("quick dog", [1001, 1002, 1003]),
    ("+quick +dogs", [1003]),
    ("quick -fox", [1003]),
    ("dog*", [1002, 1003]),
    ('"quick brown"', [1001]),
    ('"brown quick"', []),
    ('+the -"lazy dog"', [1001]),
    ("-fox", []),
    ("cat", []),
    ("", []),
    ("!?", []),
]


@pytest.mark.parametrize(("words", "entities"), FOUND)
def test_a_search_finds_the_facts_that_hold_its_words(words: str, entities: list[int]) -> None:
    assert sorted(q(SEARCH, stream_of(SCHEMA, TEXTS).db(), words)) == entities


def test_a_fact_is_found_with_value_transaction_and_score() -> None:
    stream = stream_of(SCHEMA, TEXTS)
    query = '[:find ?e ?v ?t ?s :where [(fulltext $ :text "quick") [[?e ?v ?t ?s]]]]'
    found = {e: (v, t, s) for e, v, t, s in q(query, stream.db())}
    tx = q("[:find ?t . :where [1001 :text _ ?t]]", stream.db())
    assert found[1003] == ("Quick quick dogs", tx, 1.0)
    assert 0.5 < found[1001][2] < 1.0


def test_each_view_finds_what_it_shows() -> None:
    stream = stream_of(SCHEMA, TEXTS, '[[:db/add 1001 :text "a cat"] [:db/add 1006 :text "fox"]]')
    now = stream.db()
    assert sorted(q(SEARCH, now, "fox")) == [1006]
    assert sorted(q(SEARCH, now.as_of(2), "fox")) == [1001]
    assert sorted(q(SEARCH, now.since(2), "quick fox")) == [1006]
    assert sorted(q(SEARCH, now.with_(read('[{:db/id 1007 :text "fox"}]')).db_after, "fox")) == [
        1006,
        1007,
    ]
    assert sorted(q(SEARCH, now, "fox")) == [1006]


def test_a_search_is_followed() -> None:
    stream, told = stream_of(SCHEMA, TEXTS), []  # type: tuple[Stream, list[object]]
    follow(
        SEARCH.replace("[?e ...]", "?e"),
        stream,
        lambda change: told.append(list(change.added)),
        "fox",
    )
    stream.transact(read('[{:db/id 1006 :text "fox"} {:db/id 1007 :other "fox"}]'))
    assert told == [[(1006,)]]


REFUSED = [
    '[(fulltext $ :other "fox") [[?e]]]',
    "[(fulltext $ :text 5) [[?e]]]",
    '[(fulltext $ "text" "fox") [[?e]]]',
    f'[(fulltext $ :text "{"fox " * 70}") [[?e]]]',
    "[(fulltext $ :text) [[?e]]]",
]


@pytest.mark.parametrize("clause", REFUSED)
def test_a_search_is_refused(clause: str) -> None:
    with pytest.raises(QueryError) as error:
        q(f"[:find ?e :where {clause}]", stream_of(SCHEMA, TEXTS).db())
    assert error.value.code == "query/function"


WORDS = st.sampled_from(["tea", "teas", "rum", "gin"])
STEP = st.lists(
    st.tuples(st.integers(1001, 1004), st.lists(WORDS, min_size=1, max_size=4)),
    min_size=1,
    max_size=3,
)


@given(steps=st.lists(STEP, min_size=1, max_size=4), words=st.lists(WORDS, min_size=1, max_size=3))
@settings(max_examples=60)
def test_the_index_finds_what_reading_finds(
    steps: list[list[tuple[int, list[str]]]], words: list[str]
) -> None:
    stream = stream_of(SCHEMA)
    views: list[Database] = []
    for step in steps:
        last = dict(step)
        stream.transact(
            [Map([(Keyword("db/id"), e), (Keyword("text"), " ".join(t))]) for e, t in last.items()]
        )
        q(SEARCH, stream.db(), "tea")
        views.append(stream.db())
    for view in views:
        read_all = [
            d.e
            for d in view.datoms("aevt", Keyword("text"))
            if set(re.split(" ", str(d.v))) & set(words)
        ]
        assert sorted(q(SEARCH, view, " ".join(words))) == sorted(read_all)
