"""Tuples, types, components, schema changes: what an attribute may be, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from datomstore.database import Database
from datomstore.edn import read
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError, UniqueConflict
from datomstore.value import Keyword, Map, Set

SCHEMA = """
[{:db/ident :p/email :db/unique :db.unique/identity}
 {:db/ident :p/boss  :db/valueType :db.type/ref}
 {:db/ident :p/home  :db/valueType :db.type/ref :db/isComponent true}
 {:db/ident :r/room  :db/valueType :db.type/string}
 {:db/ident :r/owner :db/valueType :db.type/ref}
 {:db/ident :r/key   :db/tupleAttrs [:r/room :r/owner] :db/unique :db.unique/identity}
 {:db/ident :x/pair  :db/tupleTypes [:db.type/long :db.type/string]}
 {:db/ident :x/path  :db/tupleType :db.type/ref :db/cardinality :db.cardinality/many}]
"""


def items(text: str) -> tuple[object, ...]:
    form = read(text)
    assert isinstance(form, tuple), form
    return form


@pytest.fixture
def stream() -> Stream:
    made = Streams(MemoryStorage(), now_ms=lambda: 1_000).create("s")
    made.transact(items(SCHEMA))
    return made


def get(entity: Map, name: str) -> object:
    return entity.get(Keyword(name))


def again(stream: Stream) -> Database:
    """Return the database that the log alone makes."""
    return Streams(stream._streams.storage, now_ms=lambda: 0).get("s").db()


# -- composites --


def test_a_composite_follows_its_parts(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :r/room "x"}]')).tempids["a"]
    key = Keyword("r/key")
    assert stream.db().entity(e).get(key) == ("x", None)
    stream.transact([(Keyword("db/add"), e, Keyword("r/owner"), 7)])
    assert stream.db().entity(e).get(key) == ("x", 7)
    stream.transact([(Keyword("db/retract"), e, Keyword("r/room"))])
    assert stream.db().entity(e).get(key) == (None, 7)
    stream.transact([(Keyword("db/retractEntity"), e)])
    assert list(stream.db().datoms("eavt", e)) == []
    assert [d.v for d in again(stream).history().datoms("eavt", e, key) if d.added] == [
        (None, 7),
        ("x", None),
        ("x", 7),
    ]


def test_a_composite_identity_finds_its_entity_by_parts_or_whole(stream: Stream) -> None:
    stream.transact(items('[{:p/email "o@x"}]'))
    owner = stream.db().entid(read('[:p/email "o@x"]'))
    first = stream.transact(items('[{:db/id "r" :r/room "x" :r/owner [:p/email "o@x"]}]'))
    by_parts = stream.transact(
        items('[{:db/id "q" :r/room "x" :r/owner [:p/email "o@x"] :x/pair [1 "a"]}]')
    )
    by_whole = stream.transact(
        items('[{:db/id "q" :r/key ["x" [:p/email "o@x"]] :x/pair [2 nil]}]')
    )
    e = first.tempids["r"]
    assert by_parts.tempids["q"] == by_whole.tempids["q"] == e
    assert stream.db().entid((Keyword("r/key"), ("x", owner))) == e
    assert stream.db().entid(read('[:r/key ["x" [:p/email "o@x"]]]')) == e
    assert get(stream.db().entity(e), "x/pair") == (2, None)


def test_a_new_composite_is_made_of_its_parts(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :r/key ["x" 7]}]')).tempids["a"]
    assert get(stream.db().entity(e), "r/room") == "x"
    assert get(stream.db().entity(e), "r/owner") == 7


def test_two_entities_may_swap_a_unique_composite(stream: Stream) -> None:
    ids = stream.transact(
        items('[{:db/id "a" :r/room "x" :r/owner 7} {:db/id "b" :r/room "y" :r/owner 7}]')
    ).tempids
    add, room = Keyword("db/add"), Keyword("r/room")
    with pytest.raises(UniqueConflict) as caught:
        stream.transact([(add, ids["a"], room, "y")])
    assert caught.value.datom == (ids["a"], Keyword("r/key"), ("y", 7))
    assert caught.value.rule == "db/unique"
    stream.transact([(add, ids["a"], room, "y"), (add, ids["b"], room, "x")])
    assert stream.db().entid(read('[:r/key ["x" 7]]')) == ids["b"]


def test_a_composite_declared_later_is_filled_for_what_exists(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :y/a 1 :y/b 2}]')).tempids["a"]
    stream.transact(items("[{:db/ident :y/ab :db/tupleAttrs [:y/a :y/b]}]"))
    assert get(stream.db().entity(e), "y/ab") == (1, 2)
    stream.transact([(Keyword("db/add"), e, Keyword("y/a"), 3)])
    assert get(again(stream).entity(e), "y/ab") == (3, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{:x/pair ["1" "a"]}]', "takes :db.type/long as item 0"),
        ('[{:x/pair [1 "a" 2]}]', "tuples of 2 items"),
        ("[{:x/path [[1]]}]", "2 to 8 items"),
        ("[[:db/retract 1001 :r/key]]", "made of its parts"),
        ("[{:db/ident :y/m :db/cardinality :db.cardinality/many :db/tupleAttrs [:a :b]}]", "one"),
        ("[{:db/ident :y/t :db/tupleAttrs [:r/key :b]}]", "composite itself"),
        ("[{:db/ident :y/t :db/tupleTypes [:db.type/long :nonsense]}]", "no type"),
        ("[{:db/ident :y/t :db/valueType :db.type/long :db/tupleType :db.type/long}]", "a tuple"),
        ("[{:db/ident :y/t :db/isComponent true}]", "a component is"),
        ("[{:db/ident :y/t :db/cardinality :nonsense}]", "one of :db.cardinality/one"),
    ],
)
def test_wrong_tuples_are_refused(stream: Stream, text: str, message: str) -> None:
    before = list(stream.db().history().datoms())
    with pytest.raises(TransactionError, match=message):
        stream.transact(items(text))
    assert list(stream.db().history().datoms()) == before


def test_references_in_a_tuple_are_resolved(stream: Stream) -> None:
    stream.transact(items('[{:p/email "a@x"}]'))
    report = stream.transact(
        items('[{:db/id "p" :x/path [[[:p/email "a@x"] "n"] ["n" nil]]} {:db/id "n" :z 1}]')
    )
    a, n = stream.db().entid(read('[:p/email "a@x"]')), report.tempids["n"]
    found = get(stream.db().entity(report.tempids["p"]), "x/path")
    assert found == Set([(a, n), (n, None)])


# -- types --


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", "a", 1),
        ("keyword", Keyword("k"), "k"),
        ("symbol", read("sym"), Keyword("k")),
        ("long", -(1 << 63), 1 << 63),
        ("long", 1 << 62, True),
        ("bigint", 1 << 100, 1.0),
        ("double", 1.5, 1),
        ("boolean", False, 0),
        ("instant", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)),
        ("uuid", read('#uuid "123e4567-e89b-12d3-a456-426614174000"'), "123e4567"),
        ("bytes", b"ab", "ab"),
        ("ref", 5, True),
        ("tuple", (1, "a"), "a"),
    ],
)
def test_a_type_takes_its_values_and_no_others(
    stream: Stream, kind: str, good: object, bad: object
) -> None:
    attribute = Keyword(f"t/{kind}")
    stream.transact(
        [Map({Keyword("db/ident"): attribute, Keyword("db/valueType"): Keyword(f"db.type/{kind}")})]
    )
    e = stream.transact([Map({Keyword("db/id"): "e", attribute: good})]).tempids["e"]
    assert stream.db().entity(e).get(attribute) == good
    with pytest.raises(TransactionError) as caught:
        stream.transact([Map({Keyword("db/id"): e, attribute: bad})])
    assert caught.value.item is not None
    if kind != "ref":
        assert caught.value.datom == (e, attribute, bad)
        assert caught.value.rule == f"db.type/{kind}"


# -- references --


def test_a_lookup_ref_stands_wherever_an_entity_does(stream: Stream) -> None:
    stream.transact(items('[{:p/email "a@x"} {:p/email "b@x"}]'))
    stream.transact(
        items("""[{:db/id [:p/email "a@x"] :p/boss [:p/email "b@x"] :n 1}
                  [:db/cas [:p/email "a@x"] :n 1 2]
                  [:db/cas [:p/email "a@x"] :p/boss [:p/email "b@x"] [:p/email "a@x"]]]""")
    )
    a = stream.db().entid(read('[:p/email "a@x"]'))
    found = stream.db().entity(a)
    assert (get(found, "n"), get(found, "p/boss")) == (2, a)
    stream.transact(items('[[:db/retract [:p/email "a@x"] :p/boss [:p/email "a@x"]]]'))
    assert get(stream.db().entity(a), "p/boss") is None
    stream.transact(items('[[:db.fn/retractEntity [:p/email "a@x"]]]'))
    assert stream.db().entid(read('[:p/email "a@x"]')) is None


def test_a_reverse_attribute_takes_one_or_several(stream: Stream) -> None:
    stream.transact(items('[{:p/email "a@x"} {:p/email "b@x"}]'))
    e = stream.transact(
        items(
            '[{:db/id "e" :n 1 :p/_boss [[:p/email "a@x"] {:p/email "c@x"} "d"]} {:db/id "d" :n 2}]'
        )
    ).tempids["e"]
    bosses = list(stream.db().datoms("avet", Keyword("p/boss"), e))
    assert len(bosses) == 3
    one = stream.transact(items('[{:db/id "f" :n 1 :p/_boss [:p/email "b@x"]}]')).tempids["f"]
    assert len(list(stream.db().datoms("avet", Keyword("p/boss"), one))) == 1


def test_cas_refuses_many_values_and_takes_nil_for_nothing(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "e" :n 1}]')).tempids["e"]
    stream.transact([(Keyword("db/cas"), e, Keyword("n"), 1, None)])
    assert get(stream.db().entity(e), "n") is None
    with pytest.raises(TransactionError, match="cardinality many"):
        stream.transact([(Keyword("db/cas"), e, Keyword("x/path"), None, (1, 2))])


# -- transactions --


def test_a_transaction_may_say_when_it_was_but_not_go_back(stream: Stream) -> None:
    report = stream.transact(
        items('[{:db/id "datomic.tx" :db/txInstant #inst "2020-01-01T00:00:00Z"} {:n 1}]')
    )
    instants = [d.v for d in report.datoms if d.a is Keyword("db/txInstant")]
    assert instants == [datetime(2020, 1, 1, tzinfo=UTC)]
    assert [r.instant_ms for r in stream.log(1)] == [1_577_836_800_000]
    later = stream.transact(items("[{:n 2}]"))  # whose clock is behind
    assert stream.db().instant_ms(later.t) == 1_577_836_800_000
    with pytest.raises(TransactionError, match="precedes"):
        stream.transact(items('[{:db/id "datomic.tx" :db/txInstant #inst "2019-01-01T00:00:00Z"}]'))


# -- schema changes --


def test_one_value_may_become_many_and_back_while_there_is_one(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :n 1}]')).tempids["a"]
    stream.transact(items("[{:db/ident :n :db/cardinality :db.cardinality/many}]"))
    stream.transact([(Keyword("db/add"), e, Keyword("n"), 2)])
    t = stream.t
    assert get(stream.db().entity(e), "n") == Set([1, 2])
    one = items("[{:db/ident :n :db/cardinality :db.cardinality/one}]")
    with pytest.raises(TransactionError, match="some entity has many values"):
        stream.transact(one)
    stream.transact([(Keyword("db/retract"), e, Keyword("n"), 1)])
    stream.transact(one)
    for database in (stream.db(), again(stream)):
        assert get(database.entity(e), "n") == 2
        assert get(database.as_of(t).entity(e), "n") == Set([1, 2])  # with the schema of its time
        assert not database.as_of(2).schema[Keyword("n")].many


def test_uniqueness_may_come_later_if_values_are(stream: Stream) -> None:
    ids = stream.transact(items('[{:db/id "a" :n 1} {:db/id "b" :n 1}]')).tempids
    unique = items("[{:db/ident :n :db/unique :db.unique/identity}]")
    with pytest.raises(TransactionError, match="two entities have one value"):
        stream.transact(unique)
    stream.transact([(Keyword("db/add"), ids["b"], Keyword("n"), 2)])
    stream.transact(unique)
    assert stream.transact(items('[{:db/id "x" :n 2}]')).tempids["x"] == ids["b"]
    stream.transact(items("[[:db/retract :n :db/unique]]"))
    assert stream.transact(items('[{:db/id "x" :n 2}]')).tempids["x"] != ids["b"]
    assert again(stream).schema == stream.db().schema


def test_a_type_may_come_later_if_all_values_have_it(stream: Stream) -> None:
    stream.transact(items('[{:n 1} {:m "a"}]'))
    stream.transact(items("[{:db/ident :n :db/valueType :db.type/long}]"))
    with pytest.raises(TransactionError, match="cannot change") as caught:
        stream.transact(items("[{:db/ident :m :db/valueType :db.type/long}]"))
    assert caught.value.rule == "db/valueType"
    with pytest.raises(TransactionError):
        stream.transact(items('[{:n "a"}]'))


def test_a_schema_change_that_fails_later_is_taken_back(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :n 1 :m "x"}]')).tempids["a"]
    with pytest.raises(TransactionError):
        stream.transact(
            items("""[{:db/ident :n :db/cardinality :db.cardinality/many :db/unique :db.unique/value}
                      {:db/ident :m :db/valueType :db.type/long}]""")
        )
    stream.transact([(Keyword("db/add"), e, Keyword("n"), 2)])
    stream.transact(items("[{:n 2}]"))
    assert get(stream.db().entity(e), "n") == 2


def test_history_leaves_out_what_wants_none(stream: Stream) -> None:
    stream.transact(items("[{:db/ident :n :db/noHistory true}]"))
    e = stream.transact(items('[{:db/id "a" :n 1}]')).tempids["a"]
    stream.transact([(Keyword("db/add"), e, Keyword("n"), 2)])
    assert [d.v for d in stream.db().history().datoms("eavt", e)] == [2]
