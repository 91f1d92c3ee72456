"""Edits of a program are transactions that can be undone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword
from yang import rules
from yang.analysis import TX
from yang.ast_datoms import ENTITY_BASE, SCHEMA, datoms_of
from yang.clojure import clojure_of
from yang.edit import Draft, Edit, begin, commit, draft_in, draft_of
from yang.errors import EditRefused
from yang.lower import tree_of_source
from yang.nodes import Item, Tree
from yang.program import program_of
from yang.scopes import scopes_of

PROGRAM = """(defn area [width height]
  (let [size (* width height)]
    (if (pos? size) size 0)))

(loop [i 0 sum 0]
  (if (< i 10)
    (recur (inc i) (+ sum (area i 2)))
    sum))
"""


def stream() -> Stream:
    return Streams(MemoryStorage(), now_ms=lambda: 1).create("draft")


def draft(text: str = PROGRAM) -> Draft:
    return draft_of(tree_of_source(text, "a.clj"), 1_000)


def expression(text: str) -> list[Item]:
    return list(tree_of_source(text).items[1:])


def shown(draft: Draft) -> str:
    return clojure_of(draft.tree())


def find(draft: Draft, kind: str, name: object, nth: int = 0) -> int:
    found = [
        entity
        for entity in draft.entities()
        if draft.nodes[entity].kind.name == kind and draft.nodes[entity].scalars[:1] == (name,)
    ]
    return found[nth]


def test_draft_is_its_tree() -> None:
    tree = tree_of_source(PROGRAM, "a.clj")
    assert draft().tree() == tree
    assert draft().hash() == program_of(tree).hash


def test_rename_of_a_local_changes_its_binder_and_its_uses() -> None:
    before = draft()
    edit = before.rename(find(before, "binding", "size"), "product")
    assert len(edit.retracted) == len(edit.asserted) == 3 + 0
    after = before.applied(edit)
    assert "(let [product (* width height)] (when" not in shown(after)
    assert "(let [product (* width height)] (if (pos? product) product 0))" in shown(after)


def test_rename_of_a_definition_changes_what_means_it() -> None:
    before = draft()
    after = before.applied(before.rename(find(before, "variable", "area"), "surface"))
    assert "(defn surface [width height]" in shown(after)
    assert "(surface i 2)" in shown(after)


def test_wrapped_node_stays_itself() -> None:
    before = draft()
    node = find(before, "variable", "size")
    wrapper = expression("(abs x)")
    after = before.applied(before.wrap(node, wrapper, hole=2))
    assert "(pos? (abs size))" in shown(after)
    assert after.nodes[node] == before.nodes[node]


def test_replaced_expression_is_another_node() -> None:
    before = draft()
    node = find(before, "literal", 0)
    after = before.applied(before.replace(node, expression('(throw (ex-info "none" {}))')))
    assert node not in after.nodes
    assert '(throw (ex-info "none" {}))' in shown(after)


def test_extracted_expression_is_the_body_of_a_function() -> None:
    before = draft()
    node = before.entity_at(3, 5)  # the if
    edit = before.extract(node, "clamped")
    after = before.applied(edit)
    assert shown(after).startswith("(defn clamped [size] (if (pos? size) size 0))\n")
    assert "(let [size (* width height)] (clamped size))" in shown(after)
    assert after.nodes[node] == before.nodes[node]
    assert after.span(node) == before.span(node)


@pytest.mark.parametrize(
    ("make", "message", "place"),
    [
        (
            lambda d: d.rename(find(d, "binding", "size"), "pos?"),
            "size would mean|pos\\? would mean",
            None,
        ),
        (lambda d: d.rename(find(d, "binding", "i"), "sum"), "would mean", None),
        (lambda d: d.rename(find(d, "def", "area"), "inc"), "means something else", (7, 13)),
        (lambda d: d.rename(find(d, "literal", 0), "x"), "a literal has no name", (3, 26)),
        (lambda d: d.rename(find(d, "variable", "inc"), "x"), "inc is no definition", (7, 13)),
        (
            lambda d: d.extract(d.entity_at(7, 5), "step"),
            "this recur renews what is outside",
            (7, 5),
        ),
        (lambda d: d.extract(find(d, "literal", 0), "area"), "area is defined already", None),
        (
            lambda d: d.replace(find(d, "parameter", "width"), expression("1")),
            "is no expression",
            (1, 13),
        ),
        (lambda d: d.replace(d.root, expression("1")), "a program is no expression", None),
        (
            lambda d: d.replace(find(d, "literal", 0), expression("1 2")),
            "this is not one tree",
            None,
        ),
        (lambda d: d.replace(5, expression("1")), "no node 5", None),
        (
            lambda d: d.wrap(find(d, "literal", 0), expression("(f x)"), hole=0),
            "where a leaf",
            None,
        ),
    ],
)
def test_edit_that_would_break_the_program_is_refused(
    make: object, message: str, place: tuple[int, int] | None
) -> None:
    with pytest.raises(EditRefused, match=message) as raised:
        make(draft())  # type: ignore[operator]
    if place is not None:
        assert (raised.value.span.line, raised.value.span.column) == place


def test_history_of_a_stream_is_that_of_its_program() -> None:
    kept = stream()
    root = begin(kept, tree_of_source(PROGRAM, "a.clj"))
    first = draft_in(kept.db(), root)
    t = kept.t
    facts = set(first.facts())
    edit = first.rename(find(first, "binding", "size"), "product")
    commit(kept, edit)
    second = draft_in(kept.db(), root)
    assert second.hash() != first.hash()
    assert draft_in(kept.db().as_of(t), root).hash() == first.hash()
    commit(kept, edit.inverse())
    assert draft_in(kept.db(), root).facts() == facts
    assert draft_in(kept.db(), root).hash() == first.hash()
    with pytest.raises(EditRefused, match="has changed meanwhile"):
        commit(kept, edit.inverse())


def test_stream_says_what_an_edit_was() -> None:
    kept = stream()
    root = begin(kept, tree_of_source("(f 1)"))
    found = draft_in(kept.db(), root)
    report = commit(kept, found.replace(find(found, "literal", 1), expression("2")))
    said = {datom.v for datom in report.datoms if datom.a is Keyword("edit/what")}
    assert said == {f"replace {find(found, 'literal', 1)}"}


TEXTS = [
    PROGRAM,
    "(fn f [a b] (letfn [(g [x] (f x a))] (try (g b) (catch E e [e a]))))",
    "(for [x [1 2] y [x]] (and x y (or a x)))",
    "(def a 1) (def b (let [a a] a)) [a b #(+ % a)]",
]
NAMES = ["a", "b", "x", "fresh", "size", "inc"]


def edits(before: Draft, choose: st.DataObject) -> Edit:
    node = choose.draw(st.sampled_from(before.entities()))
    name = choose.draw(st.sampled_from(NAMES))
    match choose.draw(st.sampled_from(["rename", "extract", "replace", "wrap"])):
        case "rename":
            return before.rename(node, name)
        case "extract":
            return before.extract(node, name)
        case "replace":
            return before.replace(node, expression("(g [1 x])"))
        case _:
            return before.wrap(node, expression("(if a x nil)"), hole=2)


@given(st.sampled_from(TEXTS), st.data())
@settings(max_examples=150)
def test_every_edit_is_undone_by_its_inverse(text: str, choose: st.DataObject) -> None:
    before = draft(text)
    try:
        edit = edits(before, choose)
    except EditRefused:
        return
    after = before.applied(edit)
    assert after.tree().places  # well formed
    kept = before.nodes.keys() & after.nodes.keys()
    assert all(before.nodes[entity].span == after.nodes[entity].span for entity in kept)
    undone = after.applied(edit.inverse())
    assert undone.facts() == before.facts()
    assert undone.hash() == before.hash()
    assert edit.inverse().inverse().asserted == edit.asserted


@pytest.mark.parametrize("text", TEXTS)
def test_names_mean_what_the_rules_say(text: str) -> None:
    from datomstore.database import Database
    from datomstore.datalog import derive

    tree = tree_of_source(text)
    database = Database.from_datoms(datoms_of(tree, tx=TX), SCHEMA)
    derived = derive(rules.load("scope"), ("local",), database)["local"]
    found = {(row[0] - ENTITY_BASE, row[1] - ENTITY_BASE) for row in derived}
    assert set(scopes_of(tree).binder_of.items()) == found


def test_tree_is_checked_after_an_edit() -> None:
    before = draft("(letfn [(f [] 1)] (f))")
    function = next(e for e in before.entities() if before.nodes[e].kind.name == "lambda")
    with pytest.raises(EditRefused, match="binds a :literal"):
        before.replace(function, expression("1"))
    assert isinstance(before.tree(), Tree)
