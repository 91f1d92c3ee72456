"""Pull: the cases of DataScript's own tests and of Datomic's page, and trees against a naive reading of the facts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import Budget, BudgetExceeded, QueryError, pull, pull_many, q
from datomstore.value import Keyword, Map, Set

SCHEMA = edn.read("""
    {:name   {:db/unique :db.unique/identity}
     :aka    {:db/cardinality :db.cardinality/many}
     :child  {:db/cardinality :db.cardinality/many :db/valueType :db.type/ref}
     :friend {:db/cardinality :db.cardinality/many :db/valueType :db.type/ref}
     :enemy  {:db/cardinality :db.cardinality/many :db/valueType :db.type/ref}
     :father {:db/valueType :db.type/ref}
     :part   {:db/valueType :db.type/ref :db/isComponent true :db/cardinality :db.cardinality/many}
     :spec   {:db/valueType :db.type/ref :db/isComponent true}}""")
FACTS = """
    [[:db/add 1 :name "Petr"] [:db/add 1 :aka "Devil"] [:db/add 1 :aka "Tupen"]
     [:db/add 2 :name "David"] [:db/add 3 :name "Thomas"] [:db/add 4 :name "Lucy"]
     [:db/add 5 :name "Elizabeth"] [:db/add 6 :name "Matthew"] [:db/add 7 :name "Eunan"]
     [:db/add 8 :name "Kerri"] [:db/add 9 :name "Rebecca"]
     [:db/add 1 :child 2] [:db/add 1 :child 3]
     [:db/add 2 :father 1] [:db/add 3 :father 1] [:db/add 6 :father 3]
     [:db/add 10 :name "Part A"] [:db/add 11 :name "Part A.A"] [:db/add 10 :part 11]
     [:db/add 12 :name "Part A.A.A"] [:db/add 11 :part 12]
     [:db/add 13 :name "Part A.A.A.A"] [:db/add 12 :part 13]
     [:db/add 14 :name "Part A.A.A.B"] [:db/add 12 :part 14]
     [:db/add 15 :name "Part A.B"] [:db/add 10 :part 15]]"""
FRIENDS = """
    [[:db/add 4 :friend 5] [:db/add 5 :friend 6] [:db/add 6 :friend 7] [:db/add 7 :friend 8]
     [:db/add 4 :enemy 6] [:db/add 5 :enemy 7] [:db/add 6 :enemy 8] [:db/add 7 :enemy 4]]"""


def after(*transactions: str) -> Database:
    database = Database.empty(SCHEMA)  # type: ignore[arg-type]
    for transaction in transactions:
        database = database.with_(edn.read(transaction)).db_after  # type: ignore[arg-type]
    return database


FAMILY = after(FACTS)
CASES = [
    ("[:name :aka]", 1, '{:name "Petr" :aka ["Devil" "Tupen"]}'),
    ("[:name :father :db/id]", 6, '{:name "Matthew" :father {:db/id 3} :db/id 6}'),
    ("[:name :_child]", 2, '{:name "David" :_child [{:db/id 1}]}'),
    ("[:name {:_child [:name]}]", 2, '{:name "David" :_child [{:name "Petr"}]}'),
    ("[:name :_father]", 1, '{:name "Petr" :_father [{:db/id 2} {:db/id 3}]}'),
    (
        "[:name {:_father [:name]}]",
        1,
        '{:name "Petr" :_father [{:name "David"} {:name "Thomas"}]}',
    ),
    (
        "[:name :part]",
        11,
        (
            '{:name "Part A.A" :part [{:db/id 12 :name "Part A.A.A" :part'
            ' [{:db/id 13 :name "Part A.A.A.A"} {:db/id 14 :name "Part A.A.A.B"}]}]}'
        ),
    ),
    ("[:name :_part]", 11, '{:name "Part A.A" :_part {:db/id 10}}'),
    ("[:name {:_part [:name]}]", 11, '{:name "Part A.A" :_part {:name "Part A"}}'),
    ("[*]", 1, '{:db/id 1 :name "Petr" :aka ["Devil" "Tupen"] :child [{:db/id 2} {:db/id 3}]}'),
    ("[* :_child]", 2, '{:db/id 2 :name "David" :_child [{:db/id 1}] :father {:db/id 1}}'),
    (
        "[[:aka :as :alias] [:name :as :first-name] *]",
        1,
        '{:alias ["Devil" "Tupen"] :child [{:db/id 2} {:db/id 3}] :first-name "Petr" :db/id 1}',
    ),
    ("[(limit :aka 1)]", 1, '{:aka ["Devil"]}'),
    ("[[:aka :limit 1]]", 1, '{:aka ["Devil"]}'),
    ("[:name {(limit :child 1) [:name]}]", 1, '{:name "Petr" :child [{:name "David"}]}'),
    ("[:foo]", 1, "nil"),
    ('[(default :foo "bar")]', 1, '{:foo "bar"}'),
    ('[[:foo :default "bar"]]', 1, '{:foo "bar"}'),
    ("[[:foo :default false]]", 1, "{:foo false}"),
    ("[[:foo :as :bar :default false]]", 1, "{:bar false}"),
    ("[:db/id [:child :default 1]]", 2, "{:child 1 :db/id 2}"),
    ("[:db/id [:_child :default 2]]", 1, "{:_child 2 :db/id 1}"),
    ('[[:name :as "Name"] [:aka :as :alias]]', 1, '{"Name" "Petr" :alias ["Devil" "Tupen"]}'),
    ('[[:x :as "Name" :default "Nothing"]]', 1, '{"Name" "Nothing"}'),
    ("[:name {:father [:name]}]", 6, '{:name "Matthew" :father {:name "Thomas"}}'),
    ("[:name {:father [:name]}]", 1, '{:name "Petr"}'),
    ("[:name {:child [:foo]}]", 1, '{:name "Petr"}'),
    (
        "[:name {:part [:name]}]",
        10,
        '{:name "Part A" :part [{:name "Part A.A"} {:name "Part A.B"}]}',
    ),
    ("[:name {:part 1}]", 10, '{:name "Part A" :part [{:name "Part A.A"} {:name "Part A.B"}]}'),
    ("[[:name :xform clojure.string/upper-case]]", 1, '{:name "PETR"}'),
    ("[[:aka :xform count]]", 1, "{:aka 2}"),
]


@pytest.mark.parametrize(("pattern", "entity", "found"), CASES)
def test_a_pattern_finds_what_the_documentation_says(pattern: str, entity: int, found: str) -> None:
    assert pull(FAMILY, pattern, entity) == edn.read(found)


def test_a_recursion_follows_as_far_as_it_is_told() -> None:
    friends = after(FACTS, FRIENDS)
    assert pull(friends, "[:db/id :name {:friend ...}]", 4) == edn.read("""
        {:db/id 4 :name "Lucy" :friend [{:db/id 5 :name "Elizabeth" :friend
         [{:db/id 6 :name "Matthew" :friend [{:db/id 7 :name "Eunan" :friend
          [{:db/id 8 :name "Kerri"}]}]}]}]}""")
    assert pull(friends, "[:db/id :name {:friend 2 :enemy 2}]", 4) == edn.read("""
        {:db/id 4 :name "Lucy"
         :friend [{:db/id 5 :name "Elizabeth"
                   :friend [{:db/id 6 :name "Matthew" :enemy [{:db/id 8 :name "Kerri"}]}]
                   :enemy [{:db/id 7 :name "Eunan" :friend [{:db/id 8 :name "Kerri"}]
                            :enemy [{:db/id 4 :name "Lucy" :friend [{:db/id 5}]}]}]}]
         :enemy [{:db/id 6 :name "Matthew"
                  :friend [{:db/id 7 :name "Eunan" :friend [{:db/id 8 :name "Kerri"}]
                            :enemy [{:db/id 4 :name "Lucy" :enemy [{:db/id 6}]
                                     :friend [{:db/id 5 :name "Elizabeth" :enemy [{:db/id 7}]
                                               :friend [{:db/id 6}]}]}]}]
                  :enemy [{:db/id 8 :name "Kerri"}]}]}""")


def test_a_recursion_in_a_ring_ends_with_the_entity_it_came_through() -> None:
    ring = after(FACTS, "[[:db/add 4 :friend 5] [:db/add 5 :friend 4]]")
    assert (
        pull(ring, "[:name {:friend ...}]", 4)
        == edn.read("""
        {:name "Lucy" :friend [{:name "Elizabeth" :friend [{:name "Lucy" :friend [{:db/id 5}]}]}]}""")
    )


def test_two_recursions_share_their_way() -> None:
    schema = edn.read("{:part {:db/valueType :db.type/ref} :spec {:db/valueType :db.type/ref}}")
    facts = """[[:db/add 1 :part 2] [:db/add 2 :part 3] [:db/add 3 :part 1]
                [:db/add 1 :spec 2] [:db/add 2 :spec 1]]"""
    database = Database.empty(schema).with_(edn.read(facts)).db_after  # type: ignore[arg-type]
    below = "{:db/id 1 :spec {:db/id 2} :part {:db/id 2}}"
    assert pull(database, "[:db/id {:part ...} {:spec ...}]", 1) == edn.read(f"""
        {{:db/id 1
          :spec {{:db/id 2 :spec {below} :part {{:db/id 3 :part {below}}}}}
          :part {{:db/id 2 :spec {below} :part {{:db/id 3 :part {below}}}}}}}""")


def test_components_in_a_ring_end() -> None:
    ring = after(FACTS, "[[:db/add 15 :part 10]]")
    assert pull(ring, "[:name :part]", 15) == edn.read("""
        {:name "Part A.B" :part [{:db/id 10 :name "Part A" :part
          [{:db/id 11 :name "Part A.A" :part [{:db/id 12 :name "Part A.A.A" :part
             [{:db/id 13 :name "Part A.A.A.A"} {:db/id 14 :name "Part A.A.A.B"}]}]}
           {:db/id 15 :name "Part A.B" :part [{:db/id 10}]}]}]}""")


def test_one_attribute_gives_a_thousand_values_unless_told_otherwise() -> None:
    names = " ".join(f'[:db/add 8 :aka "aka-{n}"]' for n in range(1_100))
    database = after(FACTS, f"[{names}]")

    def counted(pattern: str) -> int:
        found = pull(database, pattern, 8)
        assert found is not None
        return len(found[Keyword("aka")])

    assert counted("[:aka]") == counted("[*]") == 1_000
    assert counted("[(limit :aka 500)]") == 500
    assert counted("[(limit :aka 1050)]") == 1_050
    assert counted("[[:aka :limit nil]]") == 1_100


def test_many_entities_keep_their_order_and_gaps() -> None:
    references = [(Keyword("name"), name) for name in ("Elizabeth", "Petr", "Unknown")]
    known = Map([(Keyword("aka"), ("Devil", "Tupen"))])
    assert pull_many(FAMILY, "[:aka]", references) == (None, known, None)
    assert pull(FAMILY, "[*]", (Keyword("name"), "No such name")) is None


def test_a_query_pulls_what_it_finds() -> None:
    rows = q("[:find (pull ?e [:name]) ?a :where [?e :aka ?a]]", FAMILY)
    petr = Map([(Keyword("name"), "Petr")])
    assert sorted(rows, key=str) == [(petr, "Devil"), (petr, "Tupen")]
    one = "[:find (pull ?e [:name {:father [:name]}]) . :in $ ?n :where [?e :name ?n]]"
    assert q(one, FAMILY, "Matthew") == edn.read('{:name "Matthew" :father {:name "Thomas"}}')
    all_of = "[:find [(pull $ ?e pattern) ...] :in $ pattern :where [?e :father 1]]"
    assert set(q(all_of, FAMILY, "[:db/id]")) == {
        Map([(Keyword("db/id"), 2)]),
        Map([(Keyword("db/id"), 3)]),
    }
    grouped = "[:find (pull ?f [:name]) (count ?e) :where [?e :father ?f]]"
    assert set(q(grouped, FAMILY)) == {(petr, 2), (Map([(Keyword("name"), "Thomas")]), 1)}


def test_equal_trees_of_two_entities_are_two_rows() -> None:
    assert q("[:find (pull ?e [[:foo :default 0]]) :where [?e :father 1]]", FAMILY) == (
        (Map([(Keyword("foo"), 0)]),),
        (Map([(Keyword("foo"), 0)]),),
    )


def test_rows_are_maps_where_the_query_names_them() -> None:
    where = ":where [?e :father ?f] [?e :name ?n] [?f :name ?m]]"
    assert q(f"[:find ?n ?m :keys child father :in $ ?n {where}", FAMILY, "Matthew") == Set(
        [edn.read('{:child "Matthew" :father "Thomas"}')]
    )
    tuple_shape = f"[:find [?n ?m] :strs child father :in $ ?n {where}"
    assert q(tuple_shape, FAMILY, "Matthew") == edn.read('{"child" "Matthew" "father" "Thomas"}')
    assert q(f"[:find [?n ?m] :syms c f :in $ ?n {where}", FAMILY, "Nobody") is None


REFUSED = [
    ("[]", "query/pull"),
    ("{:a [:b]}", "query/pull"),
    ("[?x]", "query/pull"),
    ("[{:a 0}]", "query/pull"),
    ("[{:a []}]", "query/pull"),
    ("[[:a :limit 0]]", "query/pull"),
    ("[[:a :limit]]", "query/pull"),
    ("[[:a :of 1]]", "query/pull"),
    ("[[:a :xform eval]]", "query/unknown-function"),
    ("[" * 100 + "]" * 100, "query/pull"),
    ("[{:a " * 100 + "[:b]" + "}]" * 100, "query/pull"),
    ("[", "query/pull"),
]


@pytest.mark.parametrize(("pattern", "code"), REFUSED)
def test_a_pattern_is_refused(pattern: str, code: str) -> None:
    with pytest.raises(QueryError) as error:
        pull(FAMILY, pattern, 1)
    assert error.value.code == code


WRONG = [
    ("[:find (pull ?e) :where [?e :name]]", "query/arity"),
    ("[:find (pull ?e pattern) :where [?e :name]]", "query/syntax"),
    ("[:find (pull $other ?e [:name]) :where [?e :name]]", "query/unknown-source"),
    ("[:find (pull ?n [:name]) :where [_ :name ?n]]", "query/binding"),
    ("[:find ?e :keys a b :where [?e :name]]", "query/syntax"),
    ("[:find ?e ?n :keys a a :where [?e :name ?n]]", "query/syntax"),
    ("[:find ?e . :keys a :where [?e :name]]", "query/syntax"),
    ("[:find ?e :keys a :strs b :where [?e :name]]", "query/syntax"),
]


@pytest.mark.parametrize(("query", "code"), WRONG)
def test_a_query_that_pulls_wrongly_is_refused(query: str, code: str) -> None:
    with pytest.raises(QueryError) as error:
        q(query, FAMILY)
    assert error.value.code == code


def test_a_ladder_of_two_ways_spends_a_budget() -> None:
    rungs = " ".join(
        f"[:db/add {n} :friend {m}]" for n in range(100, 140, 2) for m in (n + 2, n + 3)
    ) + " ".join(f"[:db/add {n} :friend {n + 1}]" for n in range(101, 141, 2))
    database = after(f"[{rungs}]")
    with pytest.raises(BudgetExceeded):
        pull(database, "[:db/id {:friend ...}]", 100, budget=Budget(rows=2_000))


def test_a_long_way_ends_in_an_error() -> None:
    steps = " ".join(f"[:db/add {n} :friend {n + 1}]" for n in range(100, 400))
    with pytest.raises(QueryError, match="nested more than"):
        pull(after(f"[{steps}]"), "[{:friend ...}]", 100)


def test_a_history_is_not_pulled() -> None:
    with pytest.raises(QueryError, match="a history"):
        pull(FAMILY.history(), "[*]", 1)


# -- against the facts --

EDGES = st.lists(
    st.tuples(
        st.integers(1, 5), st.sampled_from(["friend", "father", "part", "aka"]), st.integers(1, 5)
    ),
    max_size=12,
)
PLAIN = st.sampled_from(
    ["friend", "father", "part", "aka", "_friend", "_father", "_part", "db/id", "foo"]
)
PATTERN = st.recursive(
    st.lists(PLAIN, min_size=1, max_size=3),
    lambda inner: st.lists(
        PLAIN | st.tuples(st.sampled_from(["friend", "father", "part", "_friend", "_part"]), inner),
        min_size=1,
        max_size=3,
    ),
    max_leaves=5,
)


def text_of(pattern: Sequence[object]) -> str:
    parts = [
        f"{{:{part[0]} {text_of(part[1])}}}" if isinstance(part, tuple) else f":{part}"
        for part in pattern
    ]
    return f"[{' '.join(parts)}]"


class Reader:
    """Pull as it is described, one fact at a time."""

    def __init__(self, database: Database) -> None:
        self.facts = list(database.datoms("eavt"))

    def values(self, name: str, e: int) -> list[int]:
        if name.startswith("_"):
            return sorted(d.e for d in self.facts if d.a is Keyword(name[1:]) and d.v == e)
        return sorted(d.v for d in self.facts if d.a is Keyword(name) and d.e == e)  # type: ignore[misc]

    def tree(self, pattern: Sequence[object], e: int) -> Map | None:
        found: dict[Keyword, object] = {}
        for part in pattern:
            name, inner = part if isinstance(part, tuple) else (part, None)
            if name == "db/id":
                found[Keyword(name)] = e
                continue
            items: list[object] = [self.item(name, inner, v) for v in self.values(name, e)]
            items = [item for item in items if item is not None]
            found.pop(Keyword(name), None)
            if items:
                single = name in ("father", "_part")
                found[Keyword(name)] = items[-1] if single else tuple(items)
        return Map(found) if found else None

    def item(self, name: str, inner: Sequence[object] | None, v: int) -> object:
        if inner is not None:
            return self.tree(inner, v)
        if name == "aka":
            return v
        return self.whole(v, {v}) if name == "part" else Map([(Keyword("db/id"), v)])

    def whole(self, e: int, way: set[int]) -> Map:
        found: dict[Keyword, object] = {Keyword("db/id"): e}
        for name in ("friend", "father", "part", "aka"):
            items: list[object] = []
            for v in self.values(name, e):
                if name == "aka":
                    items.append(v)
                elif name == "part" and v not in way:
                    items.append(self.whole(v, way | {v}))
                else:
                    items.append(Map([(Keyword("db/id"), v)]))
            if items:
                found[Keyword(name)] = items[-1] if name == "father" else tuple(items)
        return Map(found)


@given(edges=EDGES, pattern=PATTERN)
@settings(max_examples=150)
def test_a_tree_is_what_the_facts_say(
    edges: list[tuple[int, str, int]], pattern: list[object]
) -> None:
    facts = " ".join(f"[:db/add {e} :{a} {v}]" for e, a, v in dict.fromkeys(edges))
    database = after(f"[{facts}]")
    reader = Reader(database)
    expected = tuple(reader.tree(pattern, e) for e in range(1, 6))
    assert pull_many(database, text_of(pattern), range(1, 6)) == expected
