"""Refactorings of what is one thing in the text and several in the tree: macros, records, forms of a body."""

from __future__ import annotations

import pytest

from cli.sources import host_of
from yang.errors import SourceError
from yang.lower import tree_of_source
from yang.program import program_of
from yang.refactor import Refactored, apply, extract, rename

TEXT = """(ns shop.main)
(defmacro unless
  "unless, as in other languages"
  [test & body]
  `(if ~test nil (do ~@body)))
(defmacro twice [x] `(unless false ~x ~x))
(defn f [unless] (inc unless))
(unless false (twice (f 1)))
(defmulti area "of a shape" :kind)
(defmethod area :square [{:keys [side]}] (* side side))
(defmethod area :default [area] area)
(defprotocol Shape
  (size [this] [this unit]))
(defrecord Square [side]
  Shape
  (size [this] side)
  (size [this unit] (* side unit)))
(extend-type String Shape (size [s] (count s)))
[(area {:kind :square :side 2}) (size (->Square 3)) (size (Square. 4) 2)
 (size (map->Square {:side 1})) (instance? Square 1) (satisfies? Shape "a") :Square "size"]
"""


def renamed(word: str, new: str, text: str = TEXT) -> Refactored:
    at = text.index(word)
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return rename(text, "a.clj", line, column, new, host=host_of(None))


def test_rename_of_a_macro_leaves_the_program_what_it_is() -> None:
    done = renamed("unless\n", "if-not*")
    assert done.before == done.after
    text = done.files["a.clj"]
    assert "(defmacro if-not*\n" in text
    assert "`(if-not* false ~x ~x)" in text
    assert "(if-not* false (twice (f 1)))" in text
    assert "(defn f [unless] (inc unless))" in text
    assert '"unless, as in other languages"' in text


def test_a_macro_may_be_renamed_where_it_is_called() -> None:
    assert renamed("unless false (twice", "if-not*") == renamed("unless\n", "if-not*")


def test_rename_of_a_multimethod_takes_its_methods_along() -> None:
    text = renamed("area ", "surface").files["a.clj"]
    assert text == (
        TEXT.replace("(defmulti area", "(defmulti surface")
        .replace("(defmethod area", "(defmethod surface")
        .replace("[(area", "[(surface")
    )


@pytest.mark.parametrize("word", ["Square [side]", "->Square 3", "Square. 4", "map->Square {"])
def test_rename_of_a_record_takes_what_makes_one_along(word: str) -> None:
    text = renamed(word, "Quad").files["a.clj"]
    assert text == TEXT.replace("Square", "Quad").replace(":Quad ", ":Square ")


def test_rename_of_a_protocol_and_of_its_methods() -> None:
    assert renamed("Shape\n", "Form").files["a.clj"] == TEXT.replace("Shape", "Form")
    text = renamed("size [this] [", "extent").files["a.clj"]
    assert text == TEXT.replace("(size", "(extent")


@pytest.mark.parametrize("word", ["Square [", "Shape\n", "size [this] ["])
def test_a_rename_there_and_back_is_the_same_program(word: str) -> None:
    done = renamed(word, "other-name")
    assert done.before != done.after
    assert done.before == program_of(tree_of_source(TEXT, "a.clj", host_of(None))).hash
    back = done.files["a.clj"]
    again = renamed("other-name", word.split()[0], back)
    assert again.files["a.clj"] == TEXT
    assert again.after == done.before


@pytest.mark.parametrize(
    ("word", "new", "reason"),
    [
        ("unless\n", "twice", "twice means something in this program already"),
        ("unless\n", "unless", "unless has this name already"),
        ("area ", "f", "f means something in this program already"),
        ("Square [", "Shape", "Shape means something in this program already"),
        ("unless\n", "if", "if cannot be a name"),
        ("unless\n", "a/b", "a/b cannot be a name"),
    ],
)
def test_a_name_that_would_mean_something_else_is_refused(word: str, new: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        renamed(word, new)


def test_a_macro_whose_name_is_data_is_refused() -> None:
    with pytest.raises(SourceError, match="it would be another program"):
        renamed("pair [", "two", "(defmacro pair [x] [x x]) (pair 1) 'pair")


BODY = """(defn report [orders tax]
  (println "begin")
  (let [sum (reduce + orders)
        total (* sum tax)]
    (println "orders" (count orders)) ; how many
    (println "sum" sum)
    (println "total" total)
    total))
(report [1 2 3] 2)
"""


def extracted(first: str, last: str, text: str = BODY) -> Refactored:
    start, end = text.index(first), text.index(last) + len(last)
    begin, after = (
        (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)) for at in (start, end)
    )
    return extract(text, "a.clj", begin, after, "tell", host=host_of(None))


def test_several_forms_of_a_body_are_extracted_into_one_function() -> None:
    done = extracted('(println "orders"', '(println "sum" sum)')
    assert done.files["a.clj"] == (
        """(defn tell [orders sum]
  (println "orders" (count orders)) ; how many
  (println "sum" sum))

(defn report [orders tax]
  (println "begin")
  (let [sum (reduce + orders)
        total (* sum tax)]
    (tell orders sum)
    (println "total" total)
    total))
(report [1 2 3] 2)
"""
    )
    assert apply(BODY, done.changes) == done.files["a.clj"]


def test_the_whole_body_is_a_range_too() -> None:
    text = extracted('(println "orders"', "\n    total").files["a.clj"]
    assert "(tell orders sum total)))\n" in text
    assert '(println "total" total)\n  total)\n' in text


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("(defn f [x] (+ x 1 2))", "x 1", "1 2"),
        ("(defn f [x] (if x (inc 1) (dec 2)))", "(inc 1)", "(dec 2)"),
        ("(defn f [x] (loop [i 0] (println i) (recur (inc i))))", "(println i)", "(recur (inc i))"),
    ],
)
def test_forms_that_are_no_statements_stay_where_they_are(text: str, first: str, last: str) -> None:
    with pytest.raises(SourceError):
        extracted(first, last, text)
