"""Values in queries: exact joins, functions on columns and on single values, views of a database over time."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from itertools import product
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datalog import QueryError, explain, q
from datomstore.datalog.builtins import FUNCTIONS, FunctionError
from datomstore.datom import TX_BASE
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.transaction import TransactionError
from datomstore.value import Char, Keyword, List, Map, Set, exact_key, hash_key
from tests.datomstore.datalog.programs import ATTRIBUTES, Row, database_of, facts_of

V, W = ATTRIBUTES[:2]
WIDE = [2**61 - 1, 2**61, 2**61 + 1, 2**62, 2**63 - 1, 2**63, 2**64 + 1, 2**70]
NUMBERS: list[int | float | Fraction] = [
    *WIDE,
    *(-n for n in WIDE),
    0,
    1,
    -1,
    1.0,
    -1.0,
    0.5,
    Fraction(1, 2),
    float(2**61),
    0.0,
    -0.0,
    float("nan"),
]
OTHERS: list[object] = [
    True,
    False,
    None,
    "1",
    "",
    Keyword("k"),
    Char("1"),
    (1,),
    (1.0,),
    List((1,)),
    b"1",
]


@pytest.mark.parametrize("value", [*NUMBERS, *OTHERS], ids=repr)
def test_a_value_joins_with_itself_alone(value: object) -> None:
    values = [*NUMBERS, *OTHERS]
    database = database_of([(i, V, v, TX_BASE + 1, True) for i, v in enumerate(values)])
    same = {i for i, v in enumerate(values) if exact_key(v) == exact_key(value)}
    alike = {i for i, v in enumerate(values) if hash_key(v) == hash_key(value)}
    joined = [
        q("[:find [?e ...] :in $ ?v :where [?e :a ?v]]", database, value),
        q("[:find [?e ...] :in $ [?v ...] :where [?e :a ?v]]", database, [value]),
        q("[:find [?e ...] :in $ $2 :where [?e :a ?v] [$2 ?v]]", database, [(value,)]),
        q(
            "[:find [?e ...] :in $ % ?v :where (p ?e ?v)]",
            database,
            "[[(p ?e ?v) [?e :a ?v]]]",
            value,
        ),
    ]
    equal = [
        q("[:find [?e ...] :in $ ?w :where [?e :a ?v] [(= ?v ?w)]]", database, value),
        q("[:find [?e ...] :in $ ?w :where [?e :a ?v] (not [(not= ?v ?w)])]", database, value),
    ]
    assert [set(answer) for answer in joined] == [same] * len(joined)
    assert [set(answer) for answer in equal] == [alike] * len(equal)


ZEROS: list[object] = [
    [Map({Keyword("db/ident"): V}), (Keyword("db/add"), 2_001, V, 0.0)],
    [(Keyword("db/add"), 2_001, V, 1.5)],  # 0.0 is history
    [(Keyword("db/add"), 2_002, V, -0.0)],
    [(Keyword("db/add"), 2_003, V, 0.0)],
]


def test_zeros_of_two_signs_are_equal_and_do_not_join_in_any_view() -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("facts")
    for transaction in ZEROS:
        stream.transact(transaction)  # type: ignore[arg-type]
    now, last = stream.db(), stream.t
    views = [
        (now, {2_002, 2_003}),
        (now.as_of(last - 1), {2_002}),
        (now.since(last - 2), {2_002, 2_003}),
        (now.history(), {2_001, 2_002, 2_003}),
    ]
    for view, zeros in views:
        joined = q("[:find ?a ?b :where [?a :a ?v] [?b :a ?v] [(== ?v 0)]]", view)
        equal = q("[:find ?a ?b :where [?a :a ?v] [?b :a ?w] [(= ?v ?w)] [(== ?v 0)]]", view)
        positive = zeros - {2_002}
        assert set(joined) == set(product(positive, repeat=2)) | {(2_002, 2_002)}
        assert set(equal) == set(product(zeros, repeat=2))


def test_a_list_equals_a_vector_and_a_whole_ratio_an_integer() -> None:
    assert q("[:find ?x . :in ?x ?y :where [(= ?x ?y)]]", List((1, 2)), (1, 2)) == (1, 2)
    assert q("[:find ?x . :in ?x ?y :where [(= ?x ?y)]]", Fraction(4, 2), 2) == 2


@pytest.mark.parametrize("left", NUMBERS)
def test_numbers_are_compared_by_size_whatever_their_type(left: int | float | Fraction) -> None:
    query = "[:find [?y ...] :in ?x [?y ...] :where [(< ?x ?y)]]"
    found = q(query, left, NUMBERS)
    assert isinstance(found, tuple)
    assert {hash_key(y) for y in found} == {hash_key(y) for y in NUMBERS if left < y}


COLUMN_FUNCTIONS = ["+", "-", "*", "max", "min", "<", "<=", ">", ">=", "=", "not=", "!=", "=="]
INTEGERS = st.sampled_from([0, 1, -1, 2, 7, -12, *WIDE, *(-n for n in WIDE), 2**31, 3**20])


@settings(max_examples=60)
@given(
    st.sampled_from(COLUMN_FUNCTIONS),
    st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=6),
)
def test_a_function_of_columns_is_that_of_single_values(name: str, rows: list[Row]) -> None:
    wanted = {hash_key((a, b, FUNCTIONS[name](a, b))) for a, b in rows}
    if name in COLUMN_FUNCTIONS[:5]:
        found = q(f"[:find ?a ?b ?c :in [[?a ?b]] :where [({name} ?a ?b) ?c]]", rows)
        assert isinstance(found, Set)
        assert {hash_key(row) for row in found} == wanted
    else:
        found = q(f"[:find ?a ?b :in [[?a ?b]] :where [({name} ?a ?b)]]", rows)
        assert isinstance(found, Set)
        assert set(found) == {row for row in rows if FUNCTIONS[name](*row)}


CALLS: list[tuple[str, object]] = [
    ("(+)", 0), ("(+ 1 2 3)", 6), ("(- 5)", -5), ("(* 2 3 4)", 24), ("(/ 6 3)", 2), ("(/ 1 2)", Fraction(1, 2)),
    ("(/ 1 2.0)", 0.5), ("(quot -7 2)", -3), ("(rem -7 2)", -1), ("(mod -7 2)", 1), ("(inc 1.5)", 2.5), ("(dec 0)", -1),
    ("(quot 7 -2)", -3), ("(mod 7 -2)", -1), ("(abs -3)", 3), ("(max 1 3 2)", 3), ("(min 2 1)", 1),
    ("(max \"a\" \"b\")", "b"), ("(str)", ""), ("(str \"a\" 1 :k nil 1.0)", "a1:k1.0"), ("(subs \"hello\" 1)", "ello"),
    ("(subs \"hello\" 1 3)", "el"), ("(count \"abc\")", 3), ("(count [1 2])", 2), ("(count nil)", 0), ("(count {:a 1})", 1),
    ("(get {:a 1} :a)", 1), ("(get {:a 1} :b 7)", 7), ("(get [5 6] 1)", 6), ("(get \"ab\" 0)", Char("a")),
    ("(nth [5 6] 0)", 5), ("(first [5 6])", 5), ("(last [5 6])", 6), ("(identity nil)", None), ("(vector 1 2)", (1, 2)),
    ("(tuple 1 2)", (1, 2)), ("(list 1 2)", List((1, 2))), ("(namespace :a/b)", "a"), ("(name :a/b)", "b"),
    ("(keyword \"a\")", Keyword("a")), ("(keyword \"a\" \"b\")", Keyword("a/b")), ("(compare 1 2)", -1),
    ("(clojure.string/lower-case \"AbC\")", "abc"), ("(clojure.string/upper-case \"AbC\")", "ABC"), ("(ground 3)", 3),
]  # fmt: skip


@pytest.mark.parametrize(("call", "value"), CALLS)
def test_a_function_gives_its_value(call: str, value: object) -> None:
    found = q(f"[:find ?x . :in ?any :where [{call} ?x]]", 0)
    assert hash_key(found) == hash_key(value)


TRUE = """(< 1 2 3) (<= 1 1 2) (> 3 2) (>= 2 2) (= 1 1) (not= 1 1.0) (!= 1 true) (== 1 1.0) (zero? 0.0)
(pos? 1) (neg? -1) (even? 2) (odd? -1) (nil? nil) (some? 0) (true? true) (false? false) (not nil) (number? 1.5)
(integer? 1) (string? "") (keyword? :a) (vector? [1]) (map? {}) (contains? #{1} 1) (contains? {:a 1} :a)
(contains? [5] 0) (clojure.string/starts-with? "abc" "ab") (clojure.string/ends-with? "abc" "bc")
(clojure.string/includes? "abc" "b") (clojure.string/blank? " ") (< "a" "b") (< :a :b)"""
FALSE = """(< 1 3 2) (= 1 1.0) (= 1 true) (not= [1] [1]) (== 1 2) (contains? #{1} 1.0) (integer? true) (number? true)
(vector? "a") (contains? [5] 5) (clojure.string/blank? "a") (identity nil) (identity false)"""


@pytest.mark.parametrize("expression", [f"({part.strip()}" for part in TRUE.split("(")[1:]])
def test_a_predicate_holds(expression: str) -> None:
    assert q(f"[:find ?x . :in ?x :where [{expression}]]", 1) == 1


@pytest.mark.parametrize("expression", [f"({part.strip()}" for part in FALSE.split("(")[1:]])
def test_a_predicate_does_not_hold(expression: str) -> None:
    assert q(f"[:find ?x . :in ?x :where [{expression}]]", 1) is None


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(
        st.sampled_from([*NUMBERS, *OTHERS, Map(), Set([1]), float("nan"), float("inf")]),
        max_size=3,
    ),
)
def test_a_function_fails_only_as_a_query_error(name: str, arguments: list[object]) -> None:
    names = " ".join(f"?x{i}" for i in range(len(arguments)))
    try:
        q(f"[:find ?r :in {names} ?any :where [({name} {names}) ?r]]", *arguments, 0)
    except QueryError as error:
        code = error.code
    else:
        return
    assert code == "query/function"


def test_function_errors_are_not_query_errors_of_their_own() -> None:
    with pytest.raises(FunctionError):
        FUNCTIONS["+"]("a")


# -- functions that read a source --

PEOPLE = database_of(
    [(1, V, 10, 1, True), (1, W, "x", 1, True), (2, V, 20, 1, True), (True, V, 5, 1, True)]
)


def test_what_is_missing_has_a_default() -> None:
    query = '[:find ?e ?w :where [?e :a ?v] [(> ?v 5)] [(get-else $ ?e :b "none") ?w]]'
    assert q(query, PEOPLE) == Set([(1, "x"), (2, "none")])
    assert q("[:find [?e ...] :where [?e :a ?v] [(> ?v 5)] [(missing? $ ?e :b)]]", PEOPLE) == (2,)
    query = "[:find ?e ?a ?x :where [?e :a ?v] [(> ?v 5)] [(get-some $ ?e :b :a) [?a ?x]]]"
    assert q(query, PEOPLE) == Set([(1, W, "x"), (2, V, 20)])


@pytest.mark.parametrize(
    "entity", [2**62, -(2**63), 2**70, "text", None, 1.0, (), Keyword("nobody")]
)
def test_what_is_no_entity_has_no_attributes(entity: object) -> None:
    assert q("[:find ?x . :in $ ?e :where [(get-else $ ?e :a 0) ?x]]", PEOPLE, entity) == 0
    assert q("[:find ?x . :in $ ?e :where [?e :a ?x]]", PEOPLE, entity) is None


# -- time --


def test_views_over_time_are_answered_like_plain_facts() -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    reports = [stream.transact([Map({Keyword("db/id"): 2_000, V: v, W: v % 2})]) for v in (1, 2, 3)]
    t1, t2, t3 = (report.t for report in reports)
    database = stream.db()
    ask = "[:find ?v ?w :where [?e :a ?v] [?e :b ?w]]"
    assert q(ask, database) == Set([(3, 1)])
    assert q(ask, database.as_of(t1)) == Set([(1, 1)])
    assert q(ask, database.as_of(t2)) == Set([(2, 0)])
    assert q(ask, database.as_of(0)) == Set()
    assert q("[:find [?v ...] :where [_ :a ?v]]", database.since(t2)) == (3,)
    ups = "[:find ?v ?t ?up :where [_ :a ?v ?t ?up]]"
    assert q(ups, database.history()) == Set(
        [
            (1, TX_BASE + t1, True),
            (1, TX_BASE + t2, False),
            (2, TX_BASE + t2, True),
            (2, TX_BASE + t3, False),
            (3, TX_BASE + t3, True),
        ]
    )
    assert q(ups, database) == Set([(3, TX_BASE + t3, True)])
    both = "[:find ?then ?now :in $ $then :where [?e :a ?now] [$then ?e :a ?then]]"
    assert q(both, database, database.as_of(t1)) == Set([(1, 3)])


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([1, 2]), st.sampled_from([V, W]), st.integers(0, 3), st.booleans()
            ),
            min_size=1,
            max_size=3,
        ),
        max_size=5,
    )
)
@settings(max_examples=60)
def test_every_view_equals_its_own_facts_as_tuples(
    transactions: list[list[tuple[int, Keyword, int, bool]]],
) -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    for items in transactions:
        stream.transact(
            [
                (Keyword("db/add" if add else "db/retract"), 2_000 + e, a, v)
                for e, a, v, add in items
            ]
        )
    now = stream.db()
    for view in (
        now,
        now.history(),
        *(now.as_of(t) for t in range(4)),
        *(now.since(t) for t in range(4)),
    ):
        plain = [tuple(datom) for datom in view.datoms()]
        for query in (
            "[:find ?e ?v ?t ?up :where [?e :a ?v ?t ?up]]",
            "[:find ?e ?v ?w :where [?e :a ?v] [?e :b ?w]]",
            "[:find ?e ?a :where [?e ?a 1] (not [?e :b 2])]",
        ):
            assert q(query, view) == q(query, plain)


def test_what_was_taken_back_is_never_answered() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 0)
    stream = streams.create("s")
    ask = "[:find [?v ...] :where [_ :a ?v]]"
    with suppress(TransactionError), streams.batch() as batch:
        report = batch.transact(stream, [(Keyword("db/add"), 2_000, V, "taken back")])
        assert q(ask, report.db_after) == ("taken back",)
        batch.transact(stream, [42])
    assert q(ask, stream.db()) == ()
    stream.transact([(Keyword("db/add"), 2_000, V, "kept")])
    assert q(ask, stream.db()) == ("kept",)


# -- sources --


def test_an_entity_can_be_named_by_its_ident_or_a_unique_attribute() -> None:
    name, friend = Keyword("person/name"), Keyword("person/friend")
    schema = {
        name: {Keyword("db/unique"): Keyword("db.unique/identity")},
        friend: {Keyword("db/valueType"): Keyword("db.type/ref")},
    }
    items = [
        Map({Keyword("db/id"): "a", Keyword("db/ident"): Keyword("ann"), name: "Ann"}),
        Map({Keyword("db/id"): "b", name: "Bob", friend: "a"}),
    ]
    database = Database.empty(schema).with_(items).db_after
    assert q("[:find ?n . :where [:ann :person/name ?n]]", database) == "Ann"
    assert (
        q(
            '[:find ?n . :where [[:person/name "Bob"] :person/friend ?f] [?f :person/name ?n]]',
            database,
        )
        == "Ann"
    )
    assert q("[:find ?n . :where [?x :person/friend :ann] [?x :person/name ?n]]", database) == "Bob"
    assert q('[:find ?x . :where [[:person/name "Nobody"] :person/friend ?x]]', database) is None


def test_an_input_can_name_an_entity() -> None:
    name, friend = Keyword("person/name"), Keyword("person/friend")
    schema = {
        name: {Keyword("db/unique"): Keyword("db.unique/identity")},
        friend: {Keyword("db/valueType"): Keyword("db.type/ref")},
    }
    items = [
        Map({Keyword("db/id"): 2_001, Keyword("db/ident"): Keyword("ann"), name: "Ann"}),
        Map({Keyword("db/id"): 2_002, name: "Bob", friend: 2_001}),
    ]
    database = Database.empty(schema).with_(items).db_after
    ask = "[:find ?n . :in $ ?e :where [?e :person/name ?n]]"
    assert [
        q(ask, database, e) for e in (Keyword("ann"), (name, "Bob"), 2_002, (name, "Nobody"))
    ] == [
        "Ann",
        "Bob",
        "Bob",
        None,
    ]
    friends = (
        "[:find [?n ...] :in $ [?f ...] :where (or [?e :person/friend ?f]) [?e :person/name ?n]]"
    )
    assert q(friends, database, [(name, "Ann"), Keyword("nobody")]) == ("Bob",)
    with pytest.raises(QueryError, match=r"is not unique, in \[\?e :person/name \?n\]"):
        q(ask, database, (friend, 1))


def test_explain_tells_what_each_clause_did() -> None:
    database = database_of(facts_of([(e, V, e % 3) for e in range(30)] + [(4, W, "x")]))
    reports = explain("[:find ?e ?v :where [?e :a ?v] [?e :b _] [(< ?v 9)]]", database)
    assert [(report.clause, report.estimated, report.rows) for report in reports] == [
        ("[?e :b _]", 1, 1),
        ("[?e :a ?v]", 30, 1),
        ("[(< ?v 9)]", None, 1),
    ]
    assert all(report.milliseconds >= 0 for report in reports)


@pytest.mark.parametrize("aggregate", ["sum", "avg", "min", "max", "median", "variance", "stddev"])
@pytest.mark.parametrize("value", [10**400, Fraction(10**400), 1e308, float("inf"), "x", True])
def test_an_aggregate_fails_only_as_a_query_error(aggregate: str, value: object) -> None:
    try:
        q(f"[:find ({aggregate} ?x) . :in [?x ...]]", [1, value, 1e308, 2])
    except QueryError as error:
        text = str(error)
    else:
        return
    assert text.endswith(f"in ({aggregate} ?x)")


def test_sums_are_exact_beyond_64_bits() -> None:
    wide = [(i, 2**60 + i) for i in range(40)]
    assert q("[:find (sum ?x) . :in [[?i ?x]]]", wide) == sum(x for _, x in wide)
    assert q("[:find (min ?x) (max ?x) (sum ?x) :in [?x ...]]", [2**70, -1]) == Set(
        [(-1, 2**70, 2**70 - 1)]
    )


def test_further_aggregates_and_the_n_least_and_greatest() -> None:
    numbers = [3, 1, 2, 10]
    found = q(
        "[:find (median ?x) (min 2 ?x) (max 2 ?x) (count ?x) (distinct ?x) :in [?x ...]]", numbers
    )
    assert found == Set([(2.5, (1, 2), (10, 3), 4, Set(numbers))])


def test_a_constant_that_no_value_was_ever_equal_to_finds_the_rows_given() -> None:
    assert q('[:find ?x . :where [?x "never seen before"]]', [(7, "never seen before")]) == 7


def test_rows_of_any_width_match_the_terms_they_have() -> None:
    rows = [(1,), (1, 2), (1, 2, 3)]
    assert q("[:find ?b :where [1 ?b]]", rows) == Set([(2,)])
    assert q("[:find ?c :where [_ _ ?c]]", rows) == Set([(3,)])
    assert q("[:find ?a :where [?a]]", rows) == Set([(1,)])
    assert q("[:find ?k ?v :where [?k ?v]]", {Keyword("a"): 1}) == Set([(Keyword("a"), 1)])


def test_threads_share_the_index_of_a_database() -> None:
    database = database_of(facts_of([(e, V, e % 7) for e in range(2_000)]))
    query = "[:find (count ?e) . :in $ [?v ...] :where [?e :a ?v]]"
    found: list[object] = []
    for _ in range(5):
        view = Database.from_datoms(database.datoms())
        threads = [Thread(target=lambda: found.append(q(query, view, range(7)))) for _ in range(4)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [2_000] * 20
