"""A database without some attributes is the one that a person would make by leaving their datoms out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import Change, follow, q
from datomstore.datalog.errors import QueryError
from datomstore.datalog.pull import pull
from datomstore.datom import Datom
from datomstore.errors import AttributeForbidden
from datomstore.filtered import ShownReport, _copies, filtered
from datomstore.order import INDEXES
from datomstore.schema import Schema
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Set
from tests.datomstore.test_whole_oracle import BEGINNING, BODIES, RULES, histories, schemas

IDENT = Keyword("db/ident")
ABOUT_NAMES = {"ident", "doc", "valueType", "cardinality", "unique", "isComponent", "tupleAttrs"}
WHOLES = {"o/key": {"o/x", "o/y"}}


@dataclass(frozen=True)
class Names:
    """A filter that allows some names."""

    names: frozenset[str]

    def allows(self, attribute: str, /) -> bool:
        return attribute in self.names


def only(*names: str) -> Names:
    return Names(frozenset(names))


def stream_of(*transactions: str) -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    for transaction in transactions:
        stream.transact(read(transaction))
    return stream


def read(text: str) -> Any:
    return edn.read(text)


# -- the oracle: each datom of the log is looked at --


def allowed(name: str, names: frozenset[str]) -> bool:
    return name in names and WHOLES.get(name, set()) <= names


def left_of(datoms: list[Datom], names: frozenset[str]) -> list[Datom]:
    called: dict[int, set[str]] = {}
    for datom in datoms:
        if datom.a is IDENT:
            called.setdefault(datom.e, set()).add(datom.v.name)  # type: ignore[attr-defined]

    def is_left(datom: Datom) -> bool:
        about = datom.a.namespace == "db" and datom.a.local_name in ABOUT_NAMES
        if about and datom.e in called:
            return all(allowed(name, names) for name in called[datom.e])
        return allowed(datom.a.name, names)

    return [datom for datom in datoms if is_left(datom)]


def by_hand(stream: Stream, names: frozenset[str]) -> Database:
    datoms = [datom for record in stream.log() for datom in record.datoms]
    whole = stream.db().schema
    schema = Schema({one.ident: one for one in whole if allowed(one.ident.name, names)})
    return Database.from_datoms(left_of(datoms, names), schema)


def views(database: Database, *points: int) -> list[Database]:
    early, late = points
    return [
        database,
        database.as_of(late),
        database.since(early),
        database.as_of(late).since(early),
        database.history(),
        database.as_of(late).history(),
    ]


def shown(database: Database) -> list[list[str]]:
    """Return what there is, in every order."""
    return [[repr(datom) for datom in database.datoms(index)] for index in sorted(INDEXES)]


def named_in(text: str) -> set[str]:
    return {name for name in re.findall(r":([\w.]+/\w+)", text) if not name.startswith("db")}


def reached(body: str) -> set[str]:
    """Return the attributes that a body names, and those of the rules that it calls."""
    rules = {name: f"({name} " for name in ("linked", "below", "even", "odd", "lonely")}
    found, waiting = named_in(body), [name for name, call in rules.items() if call in body]
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        done.add(name)
        for rule in read(RULES):
            if rule[0][0].name == name:
                text = edn.write(rule[1:])
                found |= named_in(text)
                waiting += [r for r, call in rules.items() if call in text and r not in done]
    return found


@settings(max_examples=40)
@given(st.data())
def test_a_filtered_view_is_a_database_of_the_datoms_that_are_left(data: st.DataObject) -> None:
    schema, plain = data.draw(schemas())
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    every = sorted({ident.name for ident, _ in plain} | {"o/key"})
    names = frozenset(data.draw(st.lists(st.sampled_from([*every, "db/txInstant"]), unique=True)))
    watched, late = only(*names), data.draw(st.booleans())
    for transaction in [schema, BEGINNING, *data.draw(histories(plain))]:
        try:
            stream.transact(transaction)
        except TransactionError:
            continue
        if not late:
            stream.db().only(watched)  # which grows with the stream
    points = sorted(data.draw(st.tuples(*[st.integers(1, stream.t)] * 2)))
    filtered, oracle = stream.db().only(watched), by_hand(stream, names)
    for view, wanted in zip(views(filtered, *points), views(oracle, *points), strict=True):
        assert shown(view) == shown(wanted)
        assert len(view) == len(wanted)
    assert filtered.schema == oracle.schema
    p, r = data.draw(st.sampled_from(every)), data.draw(st.sampled_from(every))
    bodies = [body.format(p=f":{p}", r=f":{r}") for body in BODIES]
    bodies.append("[?a ?b ?c]")
    for body in data.draw(st.lists(st.sampled_from(bodies), min_size=2, max_size=3, unique=True)):
        text = f"[:find ?a ?b (count ?c) :in $ % :where {body}]"
        hidden = {name for name in reached(body) if not allowed(name, names)}
        for view, wanted in zip(views(filtered, *points), views(oracle, *points), strict=True):
            if hidden:
                with pytest.raises(AttributeForbidden) as raised:
                    q(text, view, RULES)
                named = str(raised.value.attribute)[1:]
                assert named in hidden.union(*(WHOLES.get(name, set()) for name in hidden))
                continue
            assert q(text, view, RULES) == q(text, wanted, RULES), body
    for e in (2001, 2002, 2003, 2004):
        assert pull(filtered, "[*]", e) == pull(oracle, "[*]", e)
        assert filtered.entity(e) == oracle.entity(e)


STAFF = (
    """[{:db/ident :p/email :db/unique :db.unique/identity}
        {:db/ident :p/ssn :db/unique :db.unique/identity :db/doc "number"}
        {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
        {:db/ident :p/boss :db/valueType :db.type/ref}
        {:db/ident :p/key :db/tupleAttrs [:p/name :p/ssn] :db/unique :db.unique/identity}]""",
    """[{:db/id 2001 :p/email "a" :p/ssn "1" :p/name "A" :p/boss 2002 :p/friend 2002}
        {:db/id 2002 :p/email "b" :p/ssn "2" :p/name "B" :p/pay 7}]""",
)
SOME = only("p/email", "p/name", "p/friend", "p/key")


@pytest.mark.parametrize(
    ("query", "attribute"),
    [
        ("[:find ?e :where [?e :p/ssn]]", "p/ssn"),
        ('[:find ?n :where [[:p/ssn "1"] :p/name ?n]]', "p/ssn"),
        ("[:find ?n :where [?e :p/name ?n] (not [?e :p/pay])]", "p/pay"),
        ("[:find ?n :where [?e :p/name ?n] (or [?e :p/pay] [?e :p/email])]", "p/pay"),
        ("[:find ?n ?x :where [?e :p/name ?n] [(get-else $ ?e :p/pay 0) ?x]]", "p/pay"),
        ("[:find ?n :where [?e :p/name ?n] [(missing? $ ?e :p/pay)]]", "p/pay"),
        ("[:find ?x :where [?e :p/name] [(get-some $ ?e :p/email :p/pay :p/ssn) ?x]]", None),
        ("[:find (pull ?e [:p/name {:p/friend [:p/pay]}]) :where [?e :p/name]]", "p/pay"),
        ("[:find (pull ?e [:p/_boss]) :where [?e :p/name]]", "p/boss"),
        ("[:find (pull ?e [(:p/pay :as :x)]) :where [?e :p/name]]", "p/pay"),
        ("[:find ?e :where [?e :p/key _]]", "p/ssn"),
        ('[:find ?e :where [(fulltext $ :p/ssn "1") [[?e]]]]', "p/ssn"),
        ("[:find ?t :where [_ :db/txInstant ?t]]", "db/txInstant"),
    ],
)
def test_a_query_that_names_what_is_hidden_is_refused(query: str, attribute: str | None) -> None:
    database = stream_of(*STAFF).db().only(SOME)
    if attribute is None:
        assert q(query, database)
        return
    with pytest.raises(AttributeForbidden) as raised:
        q(query, database)
    assert str(raised.value.attribute) == f":{attribute}"


def test_a_rule_that_names_what_is_hidden_is_refused_where_it_is_called() -> None:
    database = stream_of(*STAFF).db().only(SOME)
    rules = "[[(paid ?e) [?e :p/pay]] [(known ?e) [?e :p/name]]]"
    assert len(q("[:find ?e :in $ % :where (known ?e)]", database, rules)) == 2
    with pytest.raises(AttributeForbidden, match=":p/pay"):
        q("[:find ?e :in $ % :where (known ?e) (paid ?e)]", database, rules)


def test_what_is_hidden_is_found_by_nothing_that_varies() -> None:
    database = stream_of(*STAFF).db().only(SOME)
    seen = {str(a) for (a,) in q("[:find ?a :where [_ ?a]]", database)}
    assert seen == {":db/ident", ":db/unique", ":db/valueType", ":db/cardinality"} | {
        ":p/email",
        ":p/name",
        ":p/friend",
    }
    assert q("[:find ?e ?a :in $ ?v :where [?e ?a ?v]]", database, "1") == Set()
    assert q("[:find ?e :in $ ?a :where [?e ?a]]", database, Keyword("p/ssn")) == Set()
    assert q("[:find ?a . :in $ ?v :where [?a :db/ident ?v]]", database, Keyword("p/ssn")) is None
    assert q("[:find (count ?e) . :where [?e :db/ident]]", database) == 2
    assert database.entid(Keyword("p/ssn")) is None
    assert database.schema.get(Keyword("p/ssn")) is None
    assert list(database.datoms("vaet", 2002)) == list(
        database.datoms("vaet", 2002, Keyword("p/friend"))
    )
    assert sorted(map(str, pull(database, "[*]", 2001) or ())) == [
        ":db/id",
        ":p/email",
        ":p/friend",
        ":p/name",
    ]
    assert database.name is None


def test_a_composite_is_seen_with_all_its_parts_and_only_so() -> None:
    stream = stream_of(*STAFF)
    whole = stream.db().only(only("p/key", "p/name", "p/ssn"))
    assert q("[:find ?k . :where [2001 :p/key ?k]]", whole) == ("A", "1")
    for part in (only("p/key", "p/name"), only("p/key", "p/ssn"), only("p/key")):
        database = stream.db().only(part)
        assert {datom.a for datom in database.datoms("eavt", 2001)} <= {
            Keyword("p/name"),
            Keyword("p/ssn"),
        }
        assert database.schema.get(Keyword("p/key")) is None


def test_what_was_a_composite_stays_one() -> None:
    stream = stream_of(*STAFF)
    stream.transact(read("[[:db/retractEntity 2001] [:db/retractEntity 2002]]"))
    stream.transact(read("[[:db/retract :p/key :db/tupleAttrs [:p/name :p/ssn]]]"))
    stream.transact(read("[[:db/retract :p/key :db/unique :db.unique/identity]]"))
    stream.transact(read('[{:db/id 2003 :p/name "C"}]'))
    database = stream.db().only(only("p/key", "p/name")).history()
    assert Keyword("p/key") not in {datom.a for datom in database.datoms() if datom.e > 2000}


def test_what_describes_an_attribute_goes_with_every_name_that_it_has_had() -> None:
    stream = stream_of(*STAFF)
    stream.transact(read('[{:db/ident :p/old :db/doc "private"}]'))
    shows = only("p/new", "p/old")
    assert stream.db().only(shows).entid(Keyword("p/old")) is not None
    hides = only("p/new", "db/ident")
    assert stream.db().only(hides).entid(Keyword("p/old")) is None
    stream.transact(read("[{:db/id :p/old :db/ident :p/new}]"))
    assert stream.db().only(shows).entid(Keyword("p/new")) is not None
    assert stream.db().only(hides).entid(Keyword("p/new")) is None


def test_a_value_of_before_a_name_came_shows_what_it_showed() -> None:
    stream = stream_of('[{:db/id 2001 :db/doc "plain"}]')
    shows = only("db/doc")
    before = stream.db()
    assert len(before.only(shows)) == 1
    stream.transact(read("[{:db/id 2001 :db/ident :p/secret}]"))
    assert len(stream.db().only(shows)) == 0
    assert len(before.only(shows)) == 1
    assert len(stream.db().only(shows)) == 0


def test_filters_can_be_put_one_on_another() -> None:
    database = stream_of(*STAFF).db().only(SOME).only(only("p/name", "p/ssn", "p/pay"))
    assert {str(a) for (a,) in q("[:find ?a :where [_ ?a]]", database)} == {":p/name"}
    for hidden in ("p/ssn", "p/email"):
        with pytest.raises(AttributeForbidden, match=hidden):
            q(f"[:find ?e :where [?e :{hidden}]]", database)


def test_what_if_is_asked_of_what_is_seen() -> None:
    database = stream_of(*STAFF).db().only(SOME)
    report = database.with_(read('[{:p/ssn "1" :p/name "C"}]'))
    assert q("[:find (count ?e) . :where [?e :p/name]]", report.db_after) == 3  # nobody has it


def test_nothing_is_derived_by_programs_from_a_part() -> None:
    database = stream_of(*STAFF).db().only(SOME)
    with pytest.raises(QueryError, match="from a part of a database"):
        q("[:find ?x :where [?e :p/name] [(derived $ ?e :p/kind) ?x]]", database)


def test_an_excision_reaches_the_copy() -> None:
    stream = stream_of(*STAFF)
    assert len(stream.db().only(SOME).history()) > 0
    stream.transact(read("[{:db/excise 2001}]"))
    left = {datom.e for datom in stream.db().only(SOME).history().datoms()}
    assert 2001 not in left
    assert 2002 in left


class Seen:
    """A stream as one sees it whose token has a filter."""

    def __init__(self, stream: Stream, names: Names) -> None:
        self.stream, self.names = stream, names

    def db(self) -> Database:
        return self.stream.db().only(self.names)

    def listen(self, listener: Any, /) -> Any:
        return self.stream.listen(lambda report: listener(ShownReport(report, self.names)))


@settings(max_examples=30)
@given(st.data())
def test_what_is_followed_changes_as_the_filtered_answers_do(data: st.DataObject) -> None:
    schema, plain = data.draw(schemas())
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    names = only(
        "o/x", "o/link", "o/name", "o/part", "o/key", data.draw(st.sampled_from(plain))[0].name
    )
    query = data.draw(
        st.sampled_from(
            [
                "[:find ?a ?b ?c :where [?a ?b ?c]]",
                "[:find ?a ?c :where [?a :o/link ?b] [?b :o/x ?c]]",
                "[:find ?b (count ?a) :where [?a ?b]]",
                "[:find (pull ?a [*]) :where [?a :o/name]]",
            ]
        )
    )
    for transaction in data.draw(st.sampled_from([[], [schema], [schema, BEGINNING]])):
        stream.transact(transaction)
    changes: list[Change] = []
    subscription = follow(query, Seen(stream, names), changes.append)
    answers = subscription.first
    for transaction in [schema, BEGINNING, *data.draw(histories(plain))]:
        try:
            stream.transact(transaction)
        except TransactionError:
            continue
        for change in changes:
            assert change.error is None
            answers = Set([*(row for row in answers if row not in change.removed), *change.added])
        changes.clear()
        now = q(query, stream.db().only(names))
        assert answers == (now if isinstance(now, Set) else Set(now))
    stream.transact(read("[{:db/excise 2001}]"))
    subscription.stop()


def test_a_transaction_of_what_is_hidden_tells_a_follower_nothing() -> None:
    stream = stream_of(*STAFF)
    changes: list[Change] = []
    subscription = follow(
        "[:find ?e ?a ?v ?t :where [?e ?a ?v ?t]]", Seen(stream, SOME), changes.append
    )
    stream.transact(read("[{:db/id 2001 :p/pay 9} [:db/retract 2001 :p/ssn]]"))
    assert changes == []
    stream.transact(read('[{:db/id 2001 :p/pay 10 :p/name "AA"}]'))
    assert [len(change.added) for change in changes] == [1]
    subscription.stop()


def test_threads_that_filter_at_once_see_whole_transactions() -> None:
    stream = stream_of("[{:db/ident :p/at :db/cardinality :db.cardinality/many}]")
    wrong: list[object] = []

    def look() -> None:
        for _ in range(60):
            database = stream.db().only(only("p/x", "p/y"))
            counts = q("[:find ?a (count ?e) :where [?e ?a ?v]]", database)
            if len({count for _, count in counts}) > 1:
                wrong.append(counts)

    threads = [Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(150):
        stream.transact(read(f"[{{:p/x {number} :p/y {number} :p/z 1}}]"))
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(stream.db().only(only("p/x", "p/y"))) == 300


def test_what_was_not_used_for_longest_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datomstore.filtered.FILTERED_ROWS_MAX", 2 << 14)
    stream = stream_of(*STAFF)
    first, others = stream.db().only(SOME), [only("p/pay"), only("p/ssn")]
    stream.db().only(others[0])
    assert stream.db().only(SOME).facts is first.facts
    second = stream.db().only(others[1])
    assert stream.db().only(SOME).facts is first.facts
    assert stream.db().only(others[1]).facts is second.facts
    stream.db().only(others[0])
    assert stream.db().only(SOME).facts is not first.facts
    assert shown(stream.db().only(SOME)) == shown(first)
    assert filtered(stream.db(), SOME).basis_t == stream.t


def test_filters_without_number_are_not_kept_without_number() -> None:
    stream = stream_of(*STAFF)
    for number in range(1_000):
        stream.db().only(only(f"p/x{number}"))
    assert sum(len(kept) for kept in _copies._of.values()) <= 512
