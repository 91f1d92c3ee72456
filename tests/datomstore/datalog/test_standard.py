"""The standard rules, over facts as the compiler states them, written out by hand."""

from __future__ import annotations

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import QueryError, q

# (defn twice [x] (+ x x))  (def f (fn [] (twice (+ 1 2))))  (defn loop [] (loop))
PROGRAM = (
    Database.empty(
        edn.read("{:ast/operands {:db/cardinality :db.cardinality/many}}")  # type: ignore[arg-type]
    )
    .with_(
        edn.read("""
    [{:db/id 1000 :ast/type :program}
     {:db/id 1001 :ast/type :def :ast/name "twice" :ast/init 1002 :ast/parent 1000}
     {:db/id 1002 :ast/type :lambda :ast/parent 1001}
     {:db/id 1003 :ast/type :application :ast/operator 1004 :ast/operands [1005 1006] :ast/parent 1002}
     {:db/id 1004 :ast/type :variable :ast/name "+" :ast/parent 1003}
     {:db/id 1005 :ast/type :variable :ast/name "x" :ast/position 0 :ast/parent 1003 :scope/binder 1009}
     {:db/id 1006 :ast/type :variable :ast/name "x" :ast/position 1 :ast/parent 1003 :scope/binder 1009}
     {:db/id 1011 :ast/type :def :ast/name "f" :ast/init 1012 :ast/parent 1000}
     {:db/id 1012 :ast/type :lambda :ast/parent 1011}
     {:db/id 1013 :ast/type :application :ast/operator 1014 :ast/operands [1015] :ast/parent 1012}
     {:db/id 1014 :ast/type :variable :ast/name "twice" :ast/parent 1013 :scope/definition 1001}
     {:db/id 1015 :ast/type :application :ast/operator 1016 :ast/operands [1017 1018]
      :ast/position 0 :ast/parent 1013}
     {:db/id 1016 :ast/type :variable :ast/name "+" :ast/parent 1015}
     {:db/id 1017 :ast/type :literal :ast/value 1 :ast/position 0 :ast/parent 1015}
     {:db/id 1018 :ast/type :literal :ast/value 2 :ast/position 1 :ast/parent 1015}
     {:db/id 1021 :ast/type :def :ast/name "loop" :ast/init 1022 :ast/parent 1000}
     {:db/id 1022 :ast/type :lambda :ast/parent 1021}
     {:db/id 1023 :ast/type :application :ast/operator 1024 :ast/parent 1022}
     {:db/id 1024 :ast/type :variable :ast/name "loop" :ast/parent 1023 :scope/definition 1021}
     {:db/id 2001 :exec/node 1017 :exec/instruction :const :exec/order 0}
     {:db/id 2002 :exec/node 1018 :exec/instruction :const :exec/order 1}
     {:db/id 2003 :exec/node 1015 :exec/instruction :add :exec/order 2}
     {:db/id 2004 :exec/node 1013 :exec/instruction :tail-apply :exec/order 3}]""")  # type: ignore[arg-type]
    )
    .db_after
)


def test_steps_come_in_the_order_of_execution() -> None:
    query = """[:find ?step ?instruction ?order :in $ ?start
                :where (execution-order ?start ?step ?instruction ?order)]"""
    assert sorted((step, order) for step, _, order in q(query, PROGRAM, 1015)) == [
        (2001, 0),
        (2002, 1),
        (2003, 2),
    ]
    assert len(q(query, PROGRAM, 1012)) == 4


ANSWERS = [
    ("(single-use ?x)", [1002, 1022]),
    ("(unused ?x)", [1012]),
    ("(recursive-function ?x)", [1022]),
    ("(calls 1012 ?x)", [1002]),
    ("(constant-foldable 1015 ?x)", [3]),
    ("(constant-foldable ?x _)", [1015]),
    ("(all-literal ?x)", [1015, 1023]),
    ("(reachable :ast/parent 1017 ?x)", [1000, 1011, 1012, 1013, 1015]),
    ("(within ?x 1013)", [1014, 1015, 1016, 1017, 1018]),
]


@pytest.mark.parametrize(("clause", "answers"), ANSWERS)
def test_a_standard_rule_needs_no_rules_given(clause: str, answers: list[int]) -> None:
    assert sorted(q(f"[:find [?x ...] :where {clause}]", PROGRAM)) == answers


def test_a_rule_of_the_query_comes_before_a_standard_one() -> None:
    mine = "[[(within ?x ?y) [?x :ast/operator ?y]]]"
    assert q("[:find [?y ...] :in $ % :where (within 1013 ?y)]", PROGRAM, mine) == (1014,)


def test_standard_rules_do_not_call_those_of_the_query() -> None:
    mine = "[[(within ?x) [?x :ast/parent _]]]"
    assert q("[:find [?x ...] :in $ % :where (calls 1012 ?x)]", PROGRAM, mine) == (1002,)


def test_a_name_that_is_nowhere_is_still_unknown() -> None:
    with pytest.raises(QueryError, match="no rule wthin"):
        q("[:find ?x :where (wthin ?x 1)]", PROGRAM)
