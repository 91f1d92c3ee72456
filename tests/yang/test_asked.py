"""What passes derive is asked of the stream `code` like any fact."""

from __future__ import annotations

from functools import cache

import pytest

from datomstore.database import Database
from datomstore.datalog import q
from datomstore.datalog.errors import QueryError
from datomstore.value import Keyword
from yang import asked
from yang.asked import PASS_OF, Asked
from yang.ast_datoms import ENTITY_BASE
from yang.code_schema import CODE_SCHEMA, code_schema
from yang.compile import compile_source
from yang.passes import subject_of
from yang.stored import code_datoms, code_facts
from yang.vocabulary import vocabulary

FIRST = "(defn f [x] (if (pos? x) (f (dec x)) :done)) (defn unused [] (log! 1)) (f 3)"
SECOND = """(def limit (* 2 5))
(defn f [s facts] (transact! s facts))
(defn each [g xs] (map (fn [x] (g x)) xs))
(defn count-up [n] (loop [i 0 found []] (if (< i n) (recur (inc i) (conj found i)) found)))
(f "events" [{:n limit}])
(each inc (count-up (if (= 1 2) 3 4)))"""


@cache
def stream() -> tuple[Database, dict[str, int]]:
    """The facts of two programs with a function of the same name, and where their roots are."""
    database = Database.empty()
    roots: dict[str, int] = {}
    for source in (FIRST, SECOND):
        database = database.with_(code_schema(database)).db_after
        roots[source] = max(database.next_entity, ENTITY_BASE)
        compiled = compile_source(source, "p.clj")
        database = database.with_(code_datoms(code_facts(compiled), database)).db_after
    return database, roots


@pytest.mark.parametrize("attribute", PASS_OF, ids=lambda attribute: attribute.name)
def test_a_query_finds_what_the_pass_says_of_each_program(attribute: Keyword) -> None:
    database, roots = stream()
    is_node = vocabulary()[attribute] and attribute.name in (
        "scope/free call/target fn/calls fn/recursion-group inline/function variable/last-use"
    )
    expected = set()
    for source, root in roots.items():
        shift = root - ENTITY_BASE
        for datom in subject_of(compile_source(source, "p.clj").program).datoms(PASS_OF[attribute]):
            if datom.a is attribute:
                value = datom.v + shift if is_node else datom.v  # type: ignore[operator]
                expected.add((datom.e + shift, value))
    found = set(q(f"[:find ?node ?value :where [?node {attribute!r} ?value]]", database))
    assert found == expected
    assert expected


def test_every_attribute_of_a_pass_is_in_the_vocabulary_and_nowhere_else() -> None:
    derived = {a for a, given in vocabulary().items() if f"(derived $ ?node {a!r})" in str(given)
               or f"(derived $ ?fn {a!r})" in str(given) or f"(derived $ ?call {a!r})" in str(given)}  # fmt: skip
    assert derived - {Keyword("op/mutates?")} == PASS_OF.keys()
    assert derived <= CODE_SCHEMA.keys()


def test_functions_that_change_something_are_told_from_those_that_do_not() -> None:
    database, _ = stream()
    query = "[:find ?name ?m :where [?fn :op/mutates? ?m] [?fn :node/id ?name] [?d :ast/init ?fn]]"
    assert set(q(query, database)) == {
        ("f", False), ("f", True), ("unused", True), ("each", False), ("count-up", False)
    }  # fmt: skip


def test_a_program_is_analysed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    database, _ = stream()
    query = "[:find (count ?e) . :where [_ :fn/effect ?e]]"
    before = q(query, database)
    monkeypatch.setattr(asked, "ASKED_NODES_MAX", 0)
    assert q(query, database) == before


def test_one_query_has_not_all_programs_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    database, _ = stream()
    monkeypatch.setattr(asked, "ASKED_NODES_MAX", 10)
    monkeypatch.setattr(asked, "_KNOWN", asked._Known())
    with pytest.raises(QueryError, match="more than 10 nodes"):
        q("[:find ?fn :where [?fn :fn/purity :pure]]", database)


def test_what_no_pass_says_and_what_is_no_node_has_no_value() -> None:
    database, _ = stream()
    lookup = Asked(database).values
    assert list(lookup(3, Keyword("fn/effect"))) == []
    assert list(lookup("x", Keyword("fn/effect"))) == []
    with pytest.raises(QueryError, match="no pass says"):
        q("[:find ?v :where [?e :ast/type :lambda] [(derived $ ?e :no/pass) [?v ...]]]", database)
