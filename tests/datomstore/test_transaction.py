"""Tempids, upserts, lookup refs, uniqueness, compare-and-set: what people know from Datomic."""

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.transaction import CasFailed, TransactionError, UniqueConflict
from datomstore.value import Keyword, Map, Set

SCHEMA = edn.read("""{:person/name {:db/unique :db.unique/identity}
 :person/mail {:db/unique :db.unique/value}
 :person/age {:db/valueType :db.type/long}
 :person/friend {:db/valueType :db.type/ref, :db/cardinality :db.cardinality/many}
 :person/home {:db/valueType :db.type/ref, :db/isComponent true}}""")
ADA = (Keyword("person/name"), "ada")


def _with(*texts: str) -> Database:
    assert isinstance(SCHEMA, Map)
    database = Database.empty(SCHEMA)  # type: ignore[arg-type]
    for text in texts:
        data = edn.read(text)
        assert isinstance(data, tuple)
        database = database.with_(data).db_after
    return database


def _entity(database: Database, name: str) -> Map:
    entity = database.entity((Keyword("person/name"), name))
    return Map((key, value) for key, value in entity.items() if key is not Keyword("db/id"))


def test_a_map_with_a_known_identity_updates_that_entity() -> None:
    database = _with(
        '[{:person/name "ada" :person/age 36}]', '[{:person/name "ada" :person/age 37}]'
    )
    assert _entity(database, "ada") == edn.read('{:person/name "ada" :person/age 37}')


def test_a_tempid_used_before_its_map_is_the_same_entity() -> None:
    database = _with(
        '[{:person/name "bob"}]',
        '[[:db/add "b" :person/age 5] {:person/name "ada" :person/friend "b"} {:db/id "b" :person/name "bob"}]',
    )
    bob = database.entid((Keyword("person/name"), "bob"))
    assert _entity(database, "ada").get(Keyword("person/friend")) == Set([bob])
    assert _entity(database, "bob").get(Keyword("person/age")) == 5


def test_nested_maps_and_reverse_attributes_make_references() -> None:
    database = _with(
        '[{:person/name "ada" :person/home {:home/city "London"}}]',
        '[{:person/name "bob" :person/_friend [:person/name "ada"]}]',
    )
    bob = database.entid((Keyword("person/name"), "bob"))
    assert _entity(database, "ada").get(Keyword("person/friend")) == Set([bob])
    home = _entity(database, "ada").get(Keyword("person/home"))
    assert database.entity(home).get(Keyword("home/city")) == "London"


def test_retracting_an_entity_takes_its_components_and_references_along() -> None:
    database = _with(
        '[{:db/id "a" :person/name "ada" :person/home {:home/city "London"}} {:person/name "bob" :person/friend "a"}]',
        '[[:db/retractEntity [:person/name "ada"]]]',
    )
    assert _entity(database, "bob") == edn.read('{:person/name "bob"}')
    assert list(database.datoms("aevt", Keyword("home/city"))) == []


def test_a_unique_value_of_another_entity_is_refused_by_name() -> None:
    with pytest.raises(UniqueConflict, match=r"person/mail.*a@b"):
        _with('[{:person/name "ada" :person/mail "a@b"} {:person/name "bob" :person/mail "a@b"}]')


def test_compare_and_set_needs_the_expected_value() -> None:
    database = _with('[{:person/name "ada" :person/age 1}]')
    changed = database.with_([(Keyword("db/cas"), ADA, Keyword("person/age"), 1, 2)]).db_after
    assert _entity(changed, "ada").get(Keyword("person/age")) == 2
    with pytest.raises(CasFailed, match="is 2, not 1"):
        changed.with_([(Keyword("db/cas"), ADA, Keyword("person/age"), 1, 3)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{:person/name "ada" :person/age "old"}]', "takes :db.type/long"),
        ('[{:person/name "ada" :person/age true}]', "takes :db.type/long"),
        ('[[:db/add [:person/name "zoe"] :person/age 1]]', "no entity"),
        ("[[:db/frobnicate 1 2]]", "no operation :db/frobnicate"),
        ("[{:person/name nil}]", "nil"),
        ('[{"name" 1}]', "an attribute is a keyword"),
        ("[17]", "a map or a vector"),
        ("[{:db/ident :x :db/valueType :db.type/colour}]", "db.type/colour"),
    ],
)
def test_wrong_data_is_refused_with_the_item(text: str, said: str) -> None:
    with pytest.raises(TransactionError, match=said):
        _with(text)


def test_schema_is_facts() -> None:
    database = _with(
        "[{:db/ident :tag/of :db/cardinality :db.cardinality/many}]",
        '[[:db/add 5000 :tag/of "a"] [:db/add 5000 :tag/of "b"]]',
    )
    assert database.entity(5000).get(Keyword("tag/of")) == Set(["a", "b"])


def test_cardinality_cannot_change_under_existing_facts() -> None:
    with pytest.raises(TransactionError, match="cannot change"):
        _with(
            '[[:db/add 5000 :tag/of "a"]]',
            "[{:db/ident :tag/of :db/cardinality :db.cardinality/many}]",
        )
