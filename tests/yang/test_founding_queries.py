"""The queries this project began with, as they were printed, asked of the stream `code` of a program."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import q
from datomstore.value import Keyword, Symbol
from yang.code_schema import code_schema
from yang.compile import compile_source
from yang.host import Host
from yang.stored import code_datoms, code_facts
from yind.cesk.evaluate import evaluate

PRINTED = Path(__file__).with_name("founding_queries.txt")

PROGRAM = """(defn total [m] (reduce + 0 (vals m)))
(defn note [x] (transact! "stream-X" [{:n x}]))
(defn look [] (let [s "stream-Y"] (q "[:find ?n :where [_ :n ?n]]" s)))
(defn small [] (inc 41))
(defn never [y] (* y (+ 1 2)))
(defn fact [n] (if (= n 0) 1 (* n (fact (dec n)))))
(let [count 3
      twice (fn [x] (* x 2))]
  (note (+ count (/ 6 2)))
  (look)
  (fact count)
  (twice (parse-long "4"))
  (unless-zero count (small)))
(note (total {:a 1}))"""
MACRO = "(defmacro unless-zero [n body] `(if (= ~n 0) nil ~body))\n"

# What cannot answer yet, and why.
PENDING = {
    "Q3": "which value a step made is known only of a run that is recorded as facts",
    "Q6": "continuations of agents are not facts yet",
    "Q7": "frames of continuations are not facts yet",
    "upstream frames": "frames of continuations are not facts yet",
}


@cache
def printed() -> dict[str, str]:
    """Return the queries by name, unedited."""
    parts = PRINTED.read_text().split("=== ")[1:]
    return {name: text for name, _, text in (part.partition("\n") for part in parts)}


def form(name: str, beginning: str = "[:find") -> str:
    """Return the vector in a printed text that begins so."""
    text = printed()[name]
    start = text.index(beginning)
    depth = 0
    for place in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[place], 0)
        if depth == 0:
            return text[start : place + 1]
    raise AssertionError(name)


@cache
def code() -> Database:
    """Return a stream `code` with another program before the one that is asked about."""
    database = Database.empty()
    for source in (
        "(defn fact [n] (recur n)) (defn other [x] (note x))\n(def note 1)",
        MACRO + PROGRAM,
    ):
        database = database.with_(code_schema(database)).db_after
        compiled = compile_source(source, "p.clj", host=Host(evaluate))
        database = database.with_(code_datoms(code_facts(compiled), database)).db_after
    return database


def ask(query: str, *inputs: object) -> set[tuple[Any, ...]]:
    return set(q(query, code(), *inputs))


def function(name: str) -> object:
    """Return the last function of this name: that of the program."""
    return max(q("[:find [?f ...] :in $ ?name :where [?f :node/id ?name]]", code(), name))


def test_compilation_is_asked_for_in_the_order_of_execution() -> None:
    steps = ask(form("Q1"), function("small"))
    ordered = sorted((order, instruction.name) for _, instruction, order in steps)
    assert [name for _, name in ordered] == ["const", "return"]  # (inc 41) is a constant
    assert [order - ordered[0][0] for order, _ in ordered] == [0, 1]


def test_steps_that_touch_a_variable_are_found_by_its_name() -> None:
    found = ask(form("Q2"))
    assert [instruction.name for _, instruction, _ in found] == ["move"]
    assert ask(form("Q2").replace('"count"', "(quote count)")) == found


def test_dynamic_data_that_flows_into_a_known_function_is_found() -> None:
    ((_, argument),) = ask(form("Q4"))
    assert (
        q("[:find ?n . :in $ ?a :where [?a :node/fn ?n] [(string? ?n)]]", code(), argument)
        == "parse-long"
    )


def test_functions_that_access_a_stream_are_found() -> None:
    assert ask(form("Q5")) == {(function("note"),)}
    asked = form("Q5").replace("stream-X", "stream-Y")
    assert ask(asked) == {(function("look"),)}


def test_calls_are_found_with_the_name_of_what_they_call() -> None:
    found = [name for _, name in ask(form("Q9"))]
    assert {"fact", "note", "parse-long", "twice"} <= set(found)
    assert {Symbol(name) for name in found if isinstance(name, str)} == {
        name for name in found if isinstance(name, Symbol)
    }


def test_code_that_nothing_calls_is_dead() -> None:
    dead = {row[0] for row in ask(form("Q10"))}
    assert function("never") in dead
    assert not dead & {function("small"), function("note"), function("total")}


def test_small_functions_that_are_named_once_may_be_inlined() -> None:
    assert function("small") in {row[0] for row in ask(form("Q11"))}
    assert function("note") not in {row[0] for row in ask(form("Q11"))}


def test_constants_are_folded_by_the_rules_as_they_were_printed() -> None:
    rules = form("Q12", "[[")
    query = "[:find ?node ?result :in $ % :where (constant-foldable ?node ?result)]"
    assert sorted(result for _, result in ask(query, rules)) == [3, 3]


def test_a_tree_of_maps_answers_once_its_edges_are_declared() -> None:
    """The schema as printed lacks the declarations of three references, without which no database nests maps."""
    schema = edn.read(printed()["Q8"].partition("(def ast-schema")[2].partition(")")[0])
    reference = edn.read("{:db/valueType :db.type/ref :db/cardinality :db.cardinality/many}")
    more = {Keyword(f"node/{name}"): reference for name in ("params", "body", "condition")}
    facts = form("Q8", '[{:node/id "factorial"')
    known = Database.empty({**dict(schema.items()), **more}).with_(edn.read(facts)).db_after  # type: ignore[attr-defined, arg-type, dict-item]
    assert {name for _, name in q(form("Q9"), known)} == {"="}


def test_the_history_of_a_node_and_its_language_are_asked_with_transactions() -> None:
    node = function("small")
    facts = ask(form("upstream evolution"), node)
    assert (Keyword("ast/type"), Keyword("lambda")) in {(a, v) for _, a, v, _ in facts}
    assert len({tx for *_, tx in facts}) == 1
    assert {language for _, language, _ in ask(form("upstream languages"))} == {Keyword("clojure")}


def test_functions_that_change_nothing_are_found() -> None:
    pure = {row[0] for row in ask(form("upstream pure"))}
    assert {function("total"), function("fact"), function("look")} <= pure
    assert function("note") not in pure


def test_exactly_what_needs_facts_of_a_run_is_pending() -> None:
    small = function("small")
    inputs: dict[str, list[object]] = {
        "Q1": [small],
        "upstream evolution": [small],
        "upstream frames": [code()],
    }
    queries = [name for name in printed() if name not in ("Q8", "Q12")]
    empty = {name for name in queries if not ask(form(name), *inputs.get(name, []))}
    assert empty == set(PENDING)


# What was only said in prose, and how it is asked.
PROSE: tuple[tuple[str, str, int], ...] = (
    (
        "What AST node created this execution step?",
        "[:find ?type :where [?step :exec/order 0] [?step :exec/node ?node] [?node :ast/type ?type]]",
        1,
    ),
    (
        "Show me the semantic meaning of this operation",
        "[:find ?children :where [?step :exec/instruction :call] [?step :exec/node ?n] [?n :ast/children ?children]]",
        6,
    ),
    (
        "Trace this value back to source code location",
        "[:find ?location :where [?step :exec/instruction :primitive] (step-location ?step ?location)]",
        7,
    ),
    (
        "Find all execution steps that mutate variable 'count'",
        """[:find ?step :where [?binding :ast/name (quote count)] [?binding :ast/init ?node]
                         [?step :exec/node ?node] [?binding :ast/type :binding]]""",
        1,
    ),
    (
        "What was the transformation lineage of this node?",
        """[:find ?macro ?form :where [?node :ast/expanded-from ?call] [?call :expansion/macro ?macro]
                                [?call :expansion/form ?form]]""",
        1,
    ),
    (
        "Find all function definitions",
        "[:find ?name :where [?fn :node/id ?name] [?fn :ast/type :function]]",
        7,
    ),
    (
        "Trace variable usage",
        """[:find ?use :where [?use :scope/binder ?binder] [?binder :ast/name "n"] [?use :ast/type :variable]]""",
        4,
    ),
    ("Analyze call chains", "[:find ?name :where (call-chain ?f ?g) [?g :node/id ?name]]", 1),
    (
        "Find all recursive functions",
        "[:find ?name :where (recursive-function ?f) [?f :node/id ?name]]",
        1,
    ),
    (
        "A custom lint rule: a function without parameters that only gives a constant",
        """[:find ?fn :where [?fn :node/body ?body] [?body :ast/type :literal] (not [?fn :node/params])]""",
        0,
    ),
    (
        "Check security properties: who writes, directly or through others?",
        "[:find ?name :where [?fn :op/mutates? true] [?fn :node/id ?name]]",
        2,  # note, and one that calls a value that nobody knows
    ),
    (
        "Generate documentation from code structure",
        """[:find ?name (count ?parameter) :where [?fn :node/id ?name] [?fn :node/params ?parameter]]""",
        5,
    ),
)


@pytest.mark.parametrize(("question", "query", "count"), PROSE, ids=[row[0] for row in PROSE])
def test_a_question_in_prose_has_a_query(question: str, query: str, count: int) -> None:
    assert len(ask(query)) == count, question
