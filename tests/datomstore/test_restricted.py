"""Who may use some attributes only writes no others, and learns nothing of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.errors import AttributeForbidden
from datomstore.restricted import _Restricted
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError, TxReport
from datomstore.value import Keyword
from tests.datomstore.test_filtered import Names, allowed, only, shown
from tests.datomstore.test_whole_oracle import BEGINNING, histories, schemas

SCHEMA = """[{:db/ident :p/email :db/unique :db.unique/identity}
             {:db/ident :p/ssn :db/unique :db.unique/identity :db/doc "number"}
             {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
             {:db/ident :p/boss :db/valueType :db.type/ref}
             {:db/ident :p/part :db/valueType :db.type/ref :db/isComponent true}
             {:db/ident :p/vault :db/valueType :db.type/ref :db/isComponent true}
             {:db/ident :p/key :db/tupleAttrs [:p/city :p/ssn] :db/unique :db.unique/identity}]"""
SOME = only("p/email", "p/name", "p/friend", "p/part", "p/city")


def read(text: str) -> Any:
    return edn.read(text)


class Two:
    """Two streams that differ in what is hidden."""

    def __init__(self, more: str) -> None:
        self.streams = Streams(MemoryStorage(), now_ms=lambda: 0)
        self.there, self.absent = (self.streams.create(name) for name in ("there", "absent"))
        for stream in (self.there, self.absent):
            stream.transact(read(SCHEMA))
            stream.transact(read('[{:db/id 2001 :p/email "a"} {:db/id 2002 :p/email "b"}]'))
        self.there.transact(read(more))
        self.absent.transact([])

    def told(self, stream: Stream, text: str, names: Names = SOME) -> tuple[object, ...]:
        """Return what is told of a transaction, which is then taken back."""
        try:
            with self.streams.batch() as batch:
                report = batch.transact(stream, read(text), only=names)
                found = (dict(report.tempids), len(report.datoms))
                raise _Enough
        except _Enough:
            return found
        except (TransactionError, AttributeForbidden) as error:
            return type(error).__name__, str(error), error.code


class _Enough(Exception):
    """It is taken back."""


HIDDEN = """[{:db/id 2001 :p/ssn "1" :p/pay 7 :p/boss 2002 :p/vault 2003} {:db/id 2003 :p/name "V"}
             {:db/id 2002 :p/ssn "2"} {:db/id 2009 :db/ident :p/secret :db/doc "d"} {:p/secret 1}]"""


@pytest.mark.parametrize(
    "text",
    [
        # lookup refs, idents
        '[[:db/add [:p/ssn "1"] :p/name "x"]]',
        '[{:db/id [:p/ssn "1"] :p/name "x"}]',
        '[[:db/add 2002 :p/friend [:p/ssn "1"]]]',
        '[{:p/email "c" :p/friend [[:p/ssn "1"]]}]',
        '[{:p/email "c" :p/friend [:p/ssn "1"]}]',
        '[{:p/email "c" :p/_friend [:p/ssn "1"]}]',
        '[[:db/retractEntity [:p/ssn "1"]]]',
        '[[:db/add :p/secret :p/name "x"]]',
        '[[:db/add [:db/ident :p/secret] :p/name "x"]]',
        "[[:db/add 2002 :p/friend :p/secret]]",
        # upserts and unique conflicts
        '[{:p/ssn "1" :p/name "x"}]',
        '[{:db/id "t" :p/ssn "1"} [:db/add "t" :p/name "x"]]',
        '[[:db/add "t" :p/ssn "1"] [:db/add "t" :p/name "x"]]',
        '[{:p/email "b" :p/ssn "1"}]',
        '[{:db/id "t" :db/ident :p/secret :p/email "b"}]',
        '[[:db/add "t" :db/ident :p/secret] {:db/id "t" :p/email "b"}]',
        "[{:db/ident :p/secret}]",
        # what is so already, or not
        '[[:db/add 2001 :p/ssn "1"]]',
        "[{:db/id 2001 :p/pay 7}]",
        '[[:db/retract 2001 :p/ssn "1"]]',
        "[[:db/retract 2001 :p/pay]]",
        "[[:db.fn/retractAttribute 2001 :p/pay]]",
        "[[:db/cas 2001 :p/pay 7 8]]",
        "[[:db/cas 2001 :p/pay nil 8]]",
        "[{:db/id 2002 :p/_boss 2001}]",
        "[[:db/add 2002 :p/friend {:p/pay 7}]]",
        # composites with a part that is hidden
        '[{:db/id 2001 :p/city "x"}]',
        '[[:db/add 2001 :p/city "x"]]',
        "[[:db/add 2001 :p/key [nil nil]]]",
        "[{:db/ident :p/new :db/tupleAttrs [:p/name :p/pay] :db/unique :db.unique/value}]",
        # what describes an attribute
        '[[:db/cas 1001 :db/doc "number" "x"]]',
        '[[:db/add 1001 :db/doc "number"]]',
        # excision
        "[{:db/excise 2001}]",
        "[{:db/excise 2001 :db.excise/attrs [:p/name]}]",
        # all of an entity, as far as it can be seen
        "[[:db/retractEntity 2002]]",
        # the transaction itself
        '[[:db/add "datomic.tx" :db/txInstant #inst "2030-01-01T00:00:00.000-00:00"]]',
        '[{:db/id "datomic.tx" :tx/agent "somebody"}]',
    ],
)
def test_what_is_hidden_changes_nothing_that_is_told(text: str) -> None:
    two = Two(HIDDEN)
    there, absent = two.told(two.there, text), two.told(two.absent, text)
    assert there == absent


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ('[{:p/ssn "9"}]', "p/ssn"),
        ('[{:p/name "x" :p/friend [{:p/name "y" :p/pay 1}]}]', "p/pay"),
        ('[{:p/name "x" :p/_boss 2001}]', "p/boss"),
        ("[[:db/add 2001 :p/pay 1]]", "p/pay"),
        ("[[:db/retract 2001 :p/pay 7]]", "p/pay"),
        ("[[:db/retract 2001 :p/pay]]", "p/pay"),
        ("[[:db/cas 2001 :p/pay 7 8]]", "p/pay"),
        ('[{:p/city "x"}]', "p/key"),
        ("[{:db/excise 2001}]", "db/excise"),
        ('[{:db/id 2009 :db/doc "x"}]', "db/doc"),
        ("[{:db/ident :p/secret}]", "db/ident"),
        ('[{:db/id 1000 :db/doc "x"}]', None),
        ('[{:db/id 1001 :db/doc "x"}]', "db/doc"),
        ("[{:db/id 1001 :db/unique :db.unique/value}]", "db/unique"),
        ("[[:db/retract 1001 :db/unique :db.unique/identity]]", "db/unique"),
        ('[[:db/cas 1001 :db/doc "number" "x"]]', "db/doc"),
        ('[[:db/add 1001 :db/doc "number"]]', "db/doc"),
        ("[[:db/retractEntity 2001]]", None),
        ('[{:db/ident :p/name :db/doc "x"}]', None),
        ('[{:db/ident :p/other :db/doc "x"}]', "db/ident"),
        ('[{:db/doc "of nothing"}]', "db/doc"),
    ],
)
def test_a_transaction_writes_what_its_filter_allows(text: str, attribute: str | None) -> None:
    two = Two(HIDDEN)
    before = two.there.t
    with two.streams.batch() as batch:
        if attribute is None:
            batch.transact(two.there, read(text), only=SOME)
        else:
            with pytest.raises(AttributeForbidden) as raised:
                batch.transact(two.there, read(text), only=SOME)
            assert str(raised.value.attribute) == f":{attribute}"
    assert two.there.t == before + (attribute is None)


def test_an_entity_is_retracted_as_far_as_it_can_be_seen() -> None:
    two = Two(HIDDEN)
    two.there.transact(
        read('[{:db/id 2001 :p/name "A" :p/part {:db/id 2004 :p/name "P" :p/pay 1}}]')
    )
    transact(two.streams, two.there, "[[:db/retractEntity 2001] [:db/retractEntity 2002]]", SOME)
    left = {(d.e, str(d.a)) for d in two.there.db().datoms() if 2000 < d.e < 2009}
    assert left == {
        (2001, ":p/ssn"),
        (2001, ":p/pay"),
        (2001, ":p/boss"),
        (2001, ":p/vault"),
        (2001, ":p/key"),
        (2002, ":p/ssn"),
        (2002, ":p/key"),
        (2003, ":p/name"),
        (2004, ":p/pay"),
    }


def transact(streams: Streams, stream: Stream, text: str, names: Names) -> TxReport:
    with streams.batch() as batch:
        return batch.transact(stream, read(text), only=names)


def test_the_rows_themselves_are_looked_at_when_all_is_resolved() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 0)
    stream = streams.create("s")
    data = '[{:db/id 2001 :db/doc "x"} {:db/id 2001 :db/ident :p/name}]'
    with pytest.raises(AttributeForbidden, match=":db/doc"):
        transact(streams, stream, '[{:db/id 2001 :db/doc "x"}]', only("p/name"))
    transact(streams, stream, data, only("p/name"))
    assert stream.t == 1


def test_what_the_node_says_of_a_transaction_is_its_own() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 0)
    stream = streams.create("s")
    with streams.batch() as batch:
        meta = {Keyword("tx/agent"): "me"}
        batch.transact(stream, read("[{:p/name 1}]"), meta=meta, only=only("p/name"))
    assert {str(d.a) for d in stream.db().datoms()} == {":db/txInstant", ":tx/agent", ":p/name"}


@settings(max_examples=60)
@given(st.data())
def test_no_transaction_changes_what_is_hidden_or_is_changed_by_it(data: st.DataObject) -> None:
    """What may be written is written as if nothing else were there, and nothing else changes."""
    schema, plain = data.draw(schemas())
    every = sorted({ident.name for ident, _ in plain} | {"o/key"})
    chosen = data.draw(st.lists(st.sampled_from(every), unique=True, min_size=3))
    names, rest = only(*chosen), only(*(set(every) - set(chosen)))
    streams = Streams(MemoryStorage(), now_ms=lambda: 0)
    full, bare = streams.create("full"), streams.create("bare")
    full.transact(schema)
    bare.transact(schema)
    for stream, kept in ((full, None), (bare, names)):
        for item in BEGINNING:
            given_ = {
                k: v
                for k, v in item.items()
                if kept is None or k.name == "db/id" or allowed(k.name, kept.names)
            }
            given_ = {k: v for k, v in given_.items() if k.name != "o/part"}
            stream.transact([given_])
    for transaction in data.draw(histories(plain)):
        hidden = shown(full.db().only(rest))
        results = []
        for stream in (full, bare):
            try:
                with streams.batch() as batch:
                    results.append(
                        sorted(map(str, batch.transact(stream, transaction, only=names).tempids))
                    )
            except AttributeForbidden as error:
                results.append([str(error.attribute)])
            except TransactionError as error:
                results.append([type(error).__name__])
        assert results[0] == results[1]
        assert shown(full.db().only(rest)) == hidden


EVERYTHING_ELSE = ("db/excise", "db/ident", "db/doc", "db/unique", "db/tupleAttrs")


def refused(two: Two, text: str, names: Names) -> str:
    with two.streams.batch() as batch, pytest.raises(AttributeForbidden) as raised:
        batch.transact(two.there, read(text), only=names)
    return str(raised.value.attribute)


def test_who_may_excise_by_name_and_sees_a_part_excises_nothing() -> None:
    names = only("p/name", *EVERYTHING_ELSE)
    assert refused(Two(HIDDEN), "[{:db/excise 2001}]", names) == ":db/excise"


def test_a_name_is_given_if_it_may_be_used() -> None:
    names = only("p/name", "p/new", *EVERYTHING_ELSE)
    named = [f"[[:db/add 2001 :db/ident :p/{name}]]" for name in ("secret", "none")]
    for text in ("[{:db/ident :p/secret}]", "[{:db/ident :p/none}]", *named):
        assert refused(Two(HIDDEN), text, names) == ":db/ident"
    two = Two(HIDDEN)
    transact(two.streams, two.there, "[{:db/ident :p/new}]", names)


def test_a_composite_of_what_is_hidden_is_not_made() -> None:
    names = only("p/new", "p/name", *EVERYTHING_ELSE)
    made = """[{:db/ident :p/new :db/tupleAttrs [:p/name :p/pay] :db/unique :db.unique/value}]"""
    alike = '[{:db/id 2001 :p/name "A" :p/pay 1} {:db/id 2002 :p/name "A" :p/pay 1}]'
    assert refused(Two(alike), made, names) == ":db/tupleAttrs"


def composite(unique: str, facts: str) -> tuple[Streams, Stream]:
    """Return a stream in which the composite of :p/a and :p/b is unique, with some facts."""
    streams = Streams(MemoryStorage(), now_ms=lambda: 0)
    stream = streams.create("s")
    made = "[{:db/ident :p/key :db/tupleAttrs [:p/a :p/b] :db/unique :db.unique/%s}]"
    stream.transact(read(made % unique))
    stream.transact(read(facts))
    return streams, stream


def test_no_entity_is_found_by_a_composite_that_is_hidden() -> None:
    """Else a map that has its parts would be another entity's, and told so, before its rows are refused."""
    _, stream = composite("identity", "[{:db/id 2001 :p/a 1 :p/b 2}]")
    resolver = _Restricted(stream.transactor, only("p/a", "p/b"))
    assert resolver.identities_of(stream.db().schema) == []
    resolver = _Restricted(stream.transactor, only("p/a", "p/b", "p/key"))
    assert [held.ident for held in resolver.identities_of(stream.db().schema)] == [Keyword("p/key")]


def test_a_part_of_a_hidden_composite_is_refused_before_it_meets_another() -> None:
    streams, stream = composite("value", "[{:db/id 2001 :p/a 1 :p/b 7} {:db/id 2002 :p/b 7}]")
    with streams.batch() as batch, pytest.raises(AttributeForbidden, match=":p/b"):
        batch.transact(stream, read("[{:db/id 2002 :p/a 1}]"), only=only("p/a", "p/key"))


def test_a_lookup_ref_of_what_is_hidden_finds_nothing() -> None:
    two = Two(HIDDEN)
    resolver = _Restricted(two.there.transactor, SOME)
    assert resolver.entity_with(Keyword("p/ssn"), "1") is None
    assert resolver.entity_with(Keyword("p/email"), "a") == 2001
    assert resolver.entity_with(Keyword("db/ident"), Keyword("p/email")) == 1000


def test_a_vector_of_what_is_hidden_is_a_value() -> None:
    two = Two(HIDDEN)
    transact(two.streams, two.there, '[{:db/id 2001 :p/name [:p/ssn "1"]}]', SOME)
    resolver = _Restricted(two.there.transactor, SOME)
    assert not resolver.is_unique(Keyword("p/ssn"))
    assert resolver.is_unique(Keyword("p/email"))


def test_a_reverse_attribute_is_checked_before_its_source_is_looked_up() -> None:
    two = Two(HIDDEN)
    missing = '[{:db/id 2001 :p/_boss [:p/email "nobody"]}]'
    assert refused(two, missing, SOME) == ":p/boss"


@pytest.mark.parametrize(
    "text",
    ['[{"n" 1}]', "[{1 2}]", "[{[:p/name] 1}]", "[{{:a 1} 1}]", "[7]", "[[]]", "[{:p/name nil}]"],
)
def test_what_is_no_transaction_is_refused_as_such(text: str) -> None:
    two = Two(HIDDEN)
    for names in (None, SOME):
        with two.streams.batch() as batch, pytest.raises(TransactionError):
            batch.transact(two.there, read(text), only=names)
