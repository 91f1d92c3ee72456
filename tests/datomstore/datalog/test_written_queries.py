"""Queries as people wrote them before there was an engine, unedited, over facts written out by hand."""

from __future__ import annotations

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import q

MANY = ("exec/arg", "contains", "node/args", "ast/calls", "continuation/frame")
SCHEMA = edn.read(
    "{" + " ".join(f":{name} {{:db/cardinality :db.cardinality/many}}" for name in MANY) + "}"
)
FACTS = """
[{:db/id 1 :ast/type :application :ast/operator 2 :ast/operands [[0 3] [1 4]]}
 {:db/id 3 :ast/type :variable :ast/name "count" :ast/source-location [7 3] :type/certainty :dynamic}
 {:db/id 4 :ast/type :literal :ast/value 1 :type/certainty :static}
 {:db/id 11 :exec/node 3 :exec/instruction :local :exec/order 0 :exec/value 41}
 {:db/id 12 :exec/node 4 :exec/instruction :const :exec/order 1}
 {:db/id 13 :exec/node 1 :exec/instruction :apply :exec/order 2 :exec/function 20 :exec/args 21
  :exec/value 42 :exec/produced-by 11}
 {:db/id 20 :type/certainty :static}
 {:db/id 21 :contains [3 4]}
 {:db/id 30 :ast/type :function :ast/calls [31]}
 {:db/id 31 :stream/access "stream-X"}
 {:db/id 32 :ast/type :function :ast/calls [33]}
 {:db/id 33 :stream/access "stream-Y"}
 {:db/id 40 :continuation/id "cont-123" :continuation/status :blocked
  :continuation/block-reason :io-wait :continuation/frame [42]}
 {:db/id 41 :continuation/id "cont-124" :continuation/status :blocked
  :continuation/block-reason :lock :continuation/frame [43]}
 {:db/id 42 :frame/locals {"n" 5}}
 {:db/id 50 :node/type :lambda :node/size 4}
 {:db/id 51 :node/type :lambda :node/size 40}
 {:db/id 52 :node/type :call :node/fn "=" :node/target 50}
 {:db/id 53 :node/type :lambda :node/size 3}]
"""
QUERIES: tuple[tuple[str, set[tuple[object, ...]]], ...] = (
    ("""[:find ?step ?instruction ?order
:where
[?step :exec/node ?node]
[?step :exec/instruction ?instruction]
[?step :exec/order ?order]
[?node :ast/name "count"]]""", {(11, edn.read(":local"), 0)}),
    ("""[:find ?source-node ?transform-step
:where
[?current-step :exec/value ?val]
[?current-step :exec/produced-by ?transform-step]
[?transform-step :exec/node ?source-node]
[?source-node :ast/source-location ?loc]]""", {(3, 11)}),
    ("""[:find ?call-step ?arg-node
:where
[?call-step :exec/instruction :apply]
[?call-step :exec/function ?fn]
[?fn :type/certainty :static] ; High certainty function
[?call-step :exec/args ?args]
[?args :contains ?arg-node]
[?arg-node :type/certainty :dynamic]] ; Low certainty data""", {(13, 3)}),
    (""";; Find all functions that access stream X
[:find ?fn
:where
[?fn :ast/type :function]
[?fn :ast/calls ?call]
[?call :stream/access "stream-X"]]""", {(30,)}),
    (""";; Which continuations are blocked on I/O?
[:find ?cont ?reason
:where
[?cont :continuation/status :blocked]
[?cont :continuation/block-reason ?reason]
[(= ?reason :io-wait)]]""", {(40, edn.read(":io-wait"))}),
    (""";; Why is this continuation stuck?
[:find ?cont ?frame ?locals
:where
[?cont :continuation/id "cont-123"]
[?cont :continuation/frame ?frame]
[?frame :frame/locals ?locals]]""", {(40, 42, edn.read('{"n" 5}'))}),
    ("""[:find ?call ?fn-name
:where
[?call :node/type :call]
[?call :node/fn ?fn-name]]""", {(52, "=")}),
    (""";; Dead code detection
[:find ?node
:where
[?node :node/type :lambda]
(not [?call :node/target ?node])]""", {(51,), (53,)}),
    ("""[:find ?node ?attr ?value ?tx :in $ ?node :where [?node ?attr ?value ?tx]]""", set()),
)  # fmt: skip


def database() -> Database:
    empty = Database.empty(SCHEMA)  # type: ignore[arg-type]
    return empty.with_(edn.read(FACTS)).db_after  # type: ignore[arg-type]


@pytest.mark.parametrize(("query", "rows"), QUERIES[:-1], ids=[row[0] for row in QUERIES[:-1]])
def test_a_query_finds_what_it_was_written_for(query: str, rows: set[tuple[object, ...]]) -> None:
    assert set(q(query, database())) == rows


def test_how_a_node_came_to_be_is_asked_with_its_transactions() -> None:
    found = q(QUERIES[-1][0], database(), 31)
    assert {(e, a.name, v) for e, a, v, _ in found} == {(31, "stream/access", "stream-X")}


SINGLE_USE = """;; Inline opportunities
[:find ?fn
:where
[?fn :node/type :lambda]
[?fn :node/size ?size]
[(< ?size 10)]
(single-use ?fn)]"""
STEPS = """[:find ?step ?instruction ?order
:in $ ?start
:where
;; Traverse AST and emit execution steps
(execution-order ?start ?step ?instruction ?order)]"""


def test_rules_that_everybody_has_need_not_be_passed() -> None:
    facts = """[{:db/id 60 :ast/type :def :ast/name "f" :ast/init 61}
                {:db/id 61 :ast/type :lambda :ast/parent 60 :node/type :lambda :node/size 4}
                {:db/id 62 :ast/type :application :ast/operator 63}
                {:db/id 63 :ast/type :variable :ast/name "f" :ast/parent 62
                 :scope/definition 60}]"""
    known = database().with_(edn.read(facts)).db_after  # type: ignore[arg-type]
    assert set(q(SINGLE_USE, known)) == {(61,)}
    assert {row[0] for row in q(STEPS, known, 1)} >= {13}


FOLDING = """[[(constant-foldable ?node ?result)
[?node :node/type :call]
[?node :node/fn ?op]
[(contains? #{+ - * /} ?op)]
[?node :node/args ?args]
(all-literal ?args)
(compute ?op ?args ?result)]]"""


def test_an_optimisation_is_a_rule_over_rules_that_are_given() -> None:
    rules = edn.read(FOLDING)
    more = edn.read("""[[(all-literal ?args) [?args :argument/left ?l] [?args :argument/right ?r]
                         [?l :node/type :literal] [?r :node/type :literal]]
                        [(compute ?op ?args ?result) [(contains? #{+} ?op)]
                         [?args :argument/left ?l] [?args :argument/right ?r]
                         [?l :node/value ?a] [?r :node/value ?b] [(+ ?a ?b) ?result]]]""")
    facts = """[{:db/id 70 :node/type :call :node/fn + :node/args 71}
                {:db/id 71 :argument/left 72 :argument/right 73}
                {:db/id 72 :node/type :literal :node/value 2}
                {:db/id 73 :node/type :literal :node/value 3}]"""
    known = Database.empty().with_(edn.read(facts)).db_after  # type: ignore[arg-type]
    found = q(
        "[:find ?node ?result :in $ % :where (constant-foldable ?node ?result)]",
        known,
        (*rules, *more),  # type: ignore[misc]
    )
    assert set(found) == {(70, 5)}


def test_two_sources_join_on_a_tuple_in_the_place_of_a_value() -> None:
    query = """[:find ?node-type ?frame-type :in $code $runtime
                :where [$runtime ?frame :cont/pending-arg [0 ?node]]
                       [$code ?node :yin/type ?node-type]
                       [$runtime ?frame :cont/type ?frame-type]]"""
    code = [(5, edn.read(":yin/type"), edn.read(":call"))]
    runtime = [
        (9, edn.read(":cont/pending-arg"), (0, 5)),
        (9, edn.read(":cont/type"), edn.read(":eval-args")),
    ]
    assert set(q(query, code, runtime)) == {(edn.read(":call"), edn.read(":eval-args"))}


NESTED = """[{:node/id "factorial"
:node/type :lambda
:node/params [{:node/type :param :node/name "n"}]
:node/body {:node/type :if
:node/condition {:node/type :call
:node/fn "="
:node/args ["n" 0]}}}]"""


def test_a_tree_of_maps_is_facts_once_its_edges_are_declared() -> None:
    schema = """{:node/id {:db/unique :db.unique/identity} :node/type {}
                 :node/parent {:db/valueType :db.type/ref}
                 :node/children {:db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
                 :node/params {:db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
                 :node/body {:db/valueType :db.type/ref}
                 :node/condition {:db/valueType :db.type/ref}
                 :node/args {:db/cardinality :db.cardinality/many}}"""
    known = Database.empty(edn.read(schema)).with_(edn.read(NESTED)).db_after  # type: ignore[arg-type]
    found = q(QUERIES[6][0], known)
    assert [name for _, name in found] == ["="]
