"""Functions and aggregates, one literal case each; the meaning is Clojure's."""

from __future__ import annotations

import pytest

from datomstore import edn
from datomstore.datalog import QueryError, q
from datomstore.value import equal

VALUES = [
    ("(and true 1 :x)", ":x"),
    ("(and true nil :x)", "nil"),
    ("(or nil false 3)", "3"),
    ("(or nil false)", "nil"),
    ("(long 2.9)", "2"),
    ("(double 1/2)", "0.5"),
    ("(bit-and 12 10)", "8"),
    ("(bit-or 12 10 1)", "15"),
    ("(bit-xor 12 10)", "6"),
    ("(bit-not 0)", "-1"),
    ("(bit-shift-left 1 70)", "1180591620717411303424"),
    ("(bit-shift-right -8 1)", "-4"),
    ('(inst-ms #inst "1970-01-01T00:00:01.500Z")', "1500"),
    ("(empty? [])", "true"),
    ("(not-empty [])", "nil"),
    ("(not-empty [1])", "[1]"),
    ("(range 3)", "[0 1 2]"),
    ("(range 5 1 -2)", "[5 3]"),
    ("(set [1 1 2])", "#{1 2}"),
    ("(hash-map :a 1 :b 2)", "{:a 1 :b 2}"),
    ("(keys {:a 1})", "[:a]"),
    ("(vals {:a 1})", "[1]"),
    ("(assoc {:a 1} :a 2)", "{:a 2}"),
    ("(get-in {:a [1 {:b 2}]} [:a 1 :b])", "2"),
    ("(get-in {:a nil} [:a :b] 5)", "5"),
    ("(conj [1] 2 3)", "[1 2 3]"),
    ("(concat [1] nil [2 3])", "[1 2 3]"),
    ("(reverse [1 2 3])", "[3 2 1]"),
    ("(sort [3 1 2])", "[1 2 3]"),
    ("(distinct [1 1.0 1])", "[1 1.0]"),
    ("(first [])", "nil"),
    ("(second [1 2])", "2"),
    ("(rest [1 2 3])", "[2 3]"),
    ("(take 2 [1 2 3])", "[1 2]"),
    ("(drop 2 [1 2 3])", "[3]"),
    ('(pr-str "a" :b)', '"\\"a\\" :b"'),
    ('(print-str "a" :b)', '"a :b"'),
    ('(parse-long "-12")', "-12"),
    ('(parse-long "1.5")', "nil"),
    ('(parse-double "1.5")', "1.5"),
    ('(clojure.string/trim " a ")', '"a"'),
    ('(clojure.string/capitalize "aBC")', '"Abc"'),
    ('(clojure.string/reverse "abc")', '"cba"'),
    ('(clojure.string/join ", " [1 "b" nil])', '"1, b, "'),
    ('(clojure.string/replace "abab" "b" "c")', '"acac"'),
    ('(clojure.string/split "a,b,,c,," ",")', '["a" "b" "" "c"]'),
    ('(clojure.string/split-lines "a\\nb")', '["a" "b"]'),
    ('(clojure.string/index-of "abc" "c")', "2"),
    ('(clojure.string/index-of "abc" "d")', "nil"),
    ("(ratio? 1/2)", "true"),
    ("(rational? 1.0)", "false"),
    ("(list? 1)", "false"),
    ("(coll? #{1})", "true"),
    ("(boolean nil)", "false"),
]


@pytest.mark.parametrize(("call", "value"), VALUES)
def test_a_function_returns_what_clojure_returns(call: str, value: str) -> None:
    found = q(f"[:find ?x . :in :where [{call} ?x]]")
    assert equal(found, edn.read(value)), found


TOO_MUCH = [
    "(range 100000)",
    "(range 1 5 0)",
    "(bit-shift-left 1 100000)",
    "(bit-and 1.5 1)",
    '(clojure.string/replace "aaa" "" "b")',
    "(hash-map 1)",
    "(keys [1])",
    "(first 5)",
    "(parse-long 5)",
    "(take :a [1])",
    "(sort [1 :a])",
    "(get-in {} 5)",
]


@pytest.mark.parametrize("call", TOO_MUCH)
def test_what_a_function_does_not_take_is_an_error_with_its_clause(call: str) -> None:
    with pytest.raises(QueryError, match="in ") as error:
        q(f"[:find ?x . :in :where [{call} ?x]]")
    assert error.value.code == "query/function"


def test_texts_cannot_grow_without_bound() -> None:
    rule = "[[(up [?s ?n] ?r) [(< ?n 30)] [(vector ?s ?s) ?p] [(clojure.string/join ?p) ?t] [(inc ?n) ?m] (up ?t ?m ?r)]"
    rule += " [(up [?s ?n] ?r) [(= ?n 30)] [(count ?s) ?r]]]"
    with pytest.raises(QueryError, match="1048576 characters"):
        q('[:find ?r :in % :where (up "x" 0 ?r)]', rule)


ROWS = [(1, "b"), (2, "a"), (3, "b")]
AGGREGATES = [
    ("(frequencies ?v)", '{"a" 1 "b" 2}'),
    ("(set ?v)", '#{"a" "b"}'),
    ("(sort ?v)", '["a" "b" "b"]'),
    ('(clojure.string/join "-" ?v)', '"a-b-b"'),
    ("(clojure.string/join ?v)", '"abb"'),
]


@pytest.mark.parametrize(("aggregate", "value"), AGGREGATES)
def test_an_aggregate_gathers_a_group(aggregate: str, value: str) -> None:
    found = q(f"[:find {aggregate} . :with ?k :where [?k ?v]]", ROWS)
    assert equal(found, edn.read(value)), found


def test_chance_comes_from_the_seed_alone() -> None:
    rows = [(n % 3, f"value {n}") for n in range(60)]
    query = "[:find ?g (sample 4 ?v) (rand ?v) (rand 70 ?v) :where [?g ?v]]"
    first, again, other = (q(query, rows, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert q(query, rows[::-1], seed=1) == first
    for _, sample, one, many in first:
        assert (len(set(sample)), len(many), one in {v for _, v in rows}) == (4, 70, True)


def test_a_sample_is_at_most_the_group() -> None:
    assert sorted(q("[:find (sample 9 ?v) . :where [_ ?v]]", ROWS, seed=0)) == ["a", "b"]


def test_chance_without_a_seed_is_refused() -> None:
    with pytest.raises(QueryError, match=r"sample needs a seed, in \(sample 1 \?v\)"):
        q("[:find (sample 1 ?v) :where [_ ?v]]", ROWS)
    for aggregate in ("(sample ?v)", "(rand 1 2 ?v)"):
        with pytest.raises(QueryError) as error:
            q(f"[:find {aggregate} :where [_ ?v]]", ROWS, seed=1)
        assert error.value.code == "query/arity"
    with pytest.raises(QueryError, match="takes no such argument"):
        q("[:find (rand -1 ?v) :where [_ ?v]]", ROWS, seed=1)
