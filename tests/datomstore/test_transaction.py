"""What transaction data means: upsert, references, cardinality, retraction, compare-and-set, refusal."""

from __future__ import annotations

import pytest

from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.edn import read
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import CasFailed, TransactionError, UniqueConflict
from datomstore.value import Keyword, Map, Set

SCHEMA = """
[{:db/ident :p/email  :db/unique :db.unique/identity}
 {:db/ident :p/badge  :db/unique :db.unique/value}
 {:db/ident :p/tag    :db/cardinality :db.cardinality/many}
 {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :p/boss   :db/valueType :db.type/ref}
 {:db/ident :p/home   :db/valueType :db.type/ref :db/isComponent true}
 {:db/ident :p/age    :db/valueType :db.type/long}]
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


def entity(stream: Stream, reference: str) -> Map:
    return stream.db().entity(read(reference))


def get(entity: Map, name: str) -> object:
    return entity.get(Keyword(name))


def test_a_unique_identity_finds_the_entity_it_names(stream: Stream) -> None:
    first = stream.transact(items('[{:db/id "a" :p/email "a@x" :p/age 1}]')).tempids["a"]
    report = stream.transact(items('[{:db/id "b" :p/email "a@x" :p/age 2}]'))
    assert report.tempids == {"b": first}
    assert get(entity(stream, '[:p/email "a@x"]'), "p/age") == 2


def test_an_identity_new_in_the_transaction_joins_its_maps(stream: Stream) -> None:
    report = stream.transact(
        items('[{:db/id "a" :p/email "a@x" :p/age 1} {:db/id "b" :p/email "a@x" :p/tag "t"}]')
    )
    assert report.tempids["a"] == report.tempids["b"]


def test_a_single_fact_with_an_identity_upserts_too(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :p/email "a@x"}]')).tempids["a"]
    report = stream.transact(items('[[:db/add "b" :p/age 9] [:db/add "b" :p/email "a@x"]]'))
    assert report.tempids == {"b": e}
    assert get(stream.db().entity(e), "p/age") == 9


def test_a_tempid_is_one_entity_wherever_it_stands(stream: Stream) -> None:
    report = stream.transact(
        items('[{:db/id "a" :p/age 1 :p/boss "b"} [:db/add "b" :p/age 2] {:db/id -1 :p/boss "a"}]')
    )
    a, b = report.tempids["a"], report.tempids["b"]
    assert get(stream.db().entity(a), "p/boss") == b
    assert get(stream.db().entity(report.tempids[-1]), "p/boss") == a


def test_maps_nest_and_lists_are_many_values(stream: Stream) -> None:
    e = stream.transact(
        items('[{:db/id "a" :p/tag ["x" "y"] :p/friend [{:p/age 1} {:p/age 2}]}]')
    ).tempids["a"]
    found = stream.db().entity(e)
    assert get(found, "p/tag") == Set(["x", "y"])
    friends = get(found, "p/friend")
    assert isinstance(friends, Set), friends
    assert sorted(int(str(get(stream.db().entity(f), "p/age"))) for f in friends) == [1, 2]


def test_a_reverse_attribute_points_here(stream: Stream) -> None:
    report = stream.transact(items('[{:db/id "a" :p/age 1} {:db/id "b" :p/_boss "a"}]'))
    assert get(stream.db().entity(report.tempids["a"]), "p/boss") == report.tempids["b"]


def test_cardinality_one_replaces_and_keeps_history(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :p/age 1}]')).tempids["a"]
    report = stream.transact([(Keyword("db/add"), e, Keyword("p/age"), 2)])
    assert [(d.v, d.added) for d in report.datoms if d.a is Keyword("p/age")] == [
        (1, False),
        (2, True),
    ]
    assert get(report.db_before.entity(e), "p/age") == 1
    assert get(report.db_after.entity(e), "p/age") == 2
    assert get(stream.db().as_of(report.t - 1).entity(e), "p/age") == 1


def test_a_fact_that_holds_already_is_not_written_again(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :p/age 1 :p/tag "x"}]')).tempids["a"]
    report = stream.transact(
        [Map({Keyword("db/id"): e, Keyword("p/age"): 1, Keyword("p/tag"): "x"})]
    )
    assert [d.a for d in report.datoms] == [Keyword("db/txInstant")]


def test_one_true_and_one_point_zero_are_three_values(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :p/tag [1 1.0 true]}]')).tempids["a"]
    assert get(stream.db().entity(e), "p/tag") == Set([1, 1.0, True])
    stream.transact([(Keyword("db/retract"), e, Keyword("p/tag"), True)])
    assert get(stream.db().entity(e), "p/tag") == Set([1, 1.0])


def test_retracting_an_entity_takes_its_components_and_references_along(stream: Stream) -> None:
    ids = stream.transact(
        items('[{:db/id "a" :p/age 1 :p/home {:db/id "h" :p/tag "home"}} {:db/id "b" :p/boss "a"}]')
    ).tempids
    stream.transact([(Keyword("db/retractEntity"), ids["a"])])
    database = stream.db()
    assert [list(database.datoms("eavt", ids[name])) for name in ("a", "h", "b")] == [[], [], []]
    assert get(database.as_of(database.basis_t - 1).entity(ids["b"]), "p/boss") == ids["a"]


def test_a_retracted_unique_value_is_free_again(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :p/badge 7}]')).tempids["a"]
    with pytest.raises(UniqueConflict, match="unique and belongs to entity"):
        stream.transact(items("[{:p/badge 7}]"))
    stream.transact([(Keyword("db/retract"), e, Keyword("p/badge"), 7)])
    stream.transact(items("[{:p/badge 7}]"))


def test_compare_and_set_compares_exactly(stream: Stream) -> None:
    e = stream.transact(items('[{:db/id "a" :x 1}]')).tempids["a"]
    cas, x = Keyword("db/cas"), Keyword("x")
    with pytest.raises(CasFailed, match=r"is 1, not 1\.0"):
        stream.transact([(cas, e, x, 1.0, 2)])
    stream.transact([(cas, e, x, 1, 2)])
    stream.transact([(Keyword("db.fn/cas"), e, Keyword("y"), None, 5)])
    assert get(stream.db().entity(e), "x") == 2
    assert get(stream.db().entity(e), "y") == 5


def test_the_transaction_is_an_entity_with_its_own_facts(stream: Stream) -> None:
    report = stream.transact(
        items('[{:db/id "datomic.tx" :tx/why "because"}]'), meta={Keyword("tx/who"): "ada"}
    )
    found = stream.db().entity(report.tx)
    assert report.tx == TX_BASE + report.t
    assert get(found, "tx/why") == "because"
    assert get(found, "tx/who") == "ada"
    assert str(get(found, "db/txInstant")) == "1970-01-01 00:00:01+00:00"


def test_lookup_refs_and_idents_name_entities(stream: Stream) -> None:
    stream.transact(items('[{:p/email "a@x"} {:db/ident :role/admin :p/age 1}]'))
    stream.transact(items('[[:db/add [:p/email "a@x"] :p/boss :role/admin]]'))
    boss = get(entity(stream, '[:p/email "a@x"]'), "p/boss")
    assert boss == stream.db().entid(Keyword("role/admin"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{:p/age "old"}]', ":p/age takes :db.type/long"),
        ("[{:p/age true}]", ":p/age takes :db.type/long"),
        ("[{:x nil}]", ":x is nil"),
        ('[{"x" 1}]', "an attribute is a keyword"),
        ("[[:db/nonsense 1 2]]", "no operation :db/nonsense"),
        ('[[:db/add [:p/email "nobody"] :x 1]]', "no entity"),
        ("[[:db/add :no/ident :x 1]]", "no entity"),
        ("[[:db/add true :x 1]]", "no entity"),
        ("[42]", "a map or a vector"),
        ("[[]]", "a map or a vector"),
        ("[{:db/ident :bad :db/valueType :db.type/nonsense}]", "no value type"),
        ("[{:db/ident :p/age :db/valueType :db.type/string}]", "cannot change"),
    ],
)
def test_wrong_data_is_refused_by_name_and_changes_nothing(
    stream: Stream, text: str, message: str
) -> None:
    stream.transact(items("[{:p/age 1}]"))
    t, before = stream.t, list(stream.db().history().datoms())
    with pytest.raises((TransactionError, ValueError), match=message):
        stream.transact((*items('[{:db/id "ok" :p/age 5 :p/email "new"}]'), *items(text)))
    assert (stream.t, list(stream.db().history().datoms())) == (t, before)
    assert stream.db().entid(read('[:p/email "new"]')) is None


def test_what_if_leaves_the_database_alone() -> None:
    database = Database.empty(
        {Keyword("p/tag"): {Keyword("db/cardinality"): Keyword("db.cardinality/many")}}
    )
    report = database.with_(items('[{:db/id 5 :p/tag ["a" "b"]}]'))
    assert len(database) == 0
    assert get(report.db_after.entity(5), "p/tag") == Set(["a", "b"])
