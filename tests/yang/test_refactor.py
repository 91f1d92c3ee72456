"""Renames and extractions change as little text as can be, and never what a program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import core_code, exactly, outcome_of

from cli.sources import host_of
from yang.compile import compile_source
from yang.errors import SourceError
from yang.lower import tree_of_source
from yang.nodes import Tree
from yang.program import program_of
from yang.refactor import Change, apply, extract, rename
from yang.scopes import BINDERS, scopes_of
from yind.cesk import Code, Machine

TEXT = """; Sizes of things.
(defn area
  "Width times height."
  [width height] ; both in metres
  (let [size (* width height)]
    ;; never below nothing
    (if (pos? size) size 0)))

(defn volumes [{:keys [width height] :or {height 2}} depths]
  (for [d depths :when (pos? d)]
    (* d (area width height))))

(loop [i 0, sum 0]
  (if (< i 10)
    (recur (inc i) (+ sum (area i 2)))
    [sum (volumes {:width 2} [1 -1 3])]))
"""


def place(text: str, word: str, nth: int = 0) -> tuple[int, int]:
    at = -1
    for _ in range(nth + 1):
        at = text.index(word, at + 1)
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def renamed(text: str, word: str, new: str, nth: int = 0) -> str:
    return rename(text, "a.clj", *place(text, word, nth), new, host=host_of(None)).files["a.clj"]


def extracted(text: str, form: str, name: str) -> str:
    start = place(text, form)
    at = text.index(form) + len(form)
    end = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
    return extract(text, "a.clj", start, end, name, host=host_of(None)).files["a.clj"]


def value(text: str) -> object:
    """What a program comes to on the machine."""
    code = Code(compile_source(text, "a.clj").segment, core_code())
    outcome = outcome_of(Machine(code, memory_max=1 << 24))
    assert outcome.error is None
    return exactly(outcome.value)


def test_rename_of_a_local_changes_its_names_and_nothing_else() -> None:
    assert renamed(TEXT, "size", "product", nth=0) == (
        TEXT.replace("[size (*", "[product (*").replace(
            "(if (pos? size) size 0)", "(if (pos? product) product 0)"
        )
    )


def test_rename_of_a_definition_changes_all_of_its_calls() -> None:
    after = renamed(TEXT, "area width", "surface")
    assert after == TEXT.replace("(defn area", "(defn surface").replace("(area ", "(surface ")


def test_name_among_keys_is_bound_with_its_key_spelled_out() -> None:
    after = renamed(TEXT, "width height] :or", "w")
    assert "{w :width :keys [height] :or {height 2}}" in after
    assert "(area w height)" in after
    after = renamed(TEXT, "height] :or", "h")
    assert "{:keys [width] h :height :or {h 2}}" in after
    after = renamed("(fn [{:keys [a b c]}] b)", "b c", "x")
    assert after == "(fn [{:keys [a] x :b c :c}] x)"
    assert "{b :a/x}" in renamed("(fn [{:a/keys [x]}] x)", "x]", "b")
    assert '{b "x"}' in renamed("(fn [{:strs [x]}] x)", "x]", "b")


@pytest.mark.parametrize(
    ("text", "word", "nth", "new", "expected"),
    [
        (
            "(loop [[a & b] [1 2] n 0] (if a (recur b (+ n a)) n))",
            "n",
            0,
            "m",
            "(loop [[a & b] [1 2] m 0] (if a (recur b (+ m a)) m))",
        ),
        (
            "(letfn [(f [x] (g x)) (g [x] x)] (f 1))",
            "g",
            1,
            "h",
            "(letfn [(f [x] (h x)) (h [x] x)] (f 1))",
        ),
        ("(fn self [x] (self x))", "self", 1, "again", "(fn again [x] (again x))"),
        (
            "(try 1 (catch Exception e (ex-message e)))",
            "e)))",
            0,
            "error",
            "(try 1 (catch Exception error (ex-message error)))",
        ),
        ("(let [a 1 a (inc a)] a)", "a", 0, "b", "(let [b 1 a (inc b)] a)"),
        ("(let [a 1 a (inc a)] a)", "a]", 0, "b", None),
        (
            "(def ^:dynamic *x* 1) (binding [*x* 2] *x*)",
            "*x*",
            2,
            "*y*",
            "(def ^:dynamic *y* 1) (binding [*y* 2] *y*)",
        ),
        (
            "(declare g) (defn f [] (g)) (defn g [] 1)",
            "g [",
            0,
            "h",
            "(declare h) (defn f [] (h)) (defn h [] 1)",
        ),
        ("(defn x [] 1) #'x", "x", 1, "y", "(defn y [] 1) #'y"),
        (
            "(defn add [a b] (-> a (+ b) (cond-> (pos? b) inc)))",
            "b]",
            0,
            "c",
            "(defn add [a c] (-> a (+ c) (cond-> (pos? c) inc)))",
        ),
        (
            "(when-let [found (first [1])] (println found) found)",
            "found",
            2,
            "x",
            "(when-let [x (first [1])] (println x) x)",
        ),
        (
            "(defmacro m [] `(f 1)) (defn f [x] x) [(m) (f 2)]",
            "f [x]",
            0,
            "g",
            "(defmacro m [] `(g 1)) (defn g [x] x) [(m) (g 2)]",
        ),
        (
            "(defmacro twice [x] `(helper ~x)) (defn helper [x] (* 2 x)) (helper 1)",
            "helper 1",
            0,
            "doubled",
            "(defmacro twice [x] `(doubled ~x)) (defn doubled [x] (* 2 x)) (doubled 1)",
        ),
    ],
)
def test_every_way_to_write_a_name_is_found(
    text: str, word: str, nth: int, new: str, expected: str | None
) -> None:
    if expected is not None:
        assert renamed(text, word, new, nth) == expected


@pytest.mark.parametrize(
    ("text", "word", "new", "message"),
    [
        ("(let [a 1] (let [b 2] a))", "a 1", "b", "a would mean the local b here"),
        ("(let [b 2] (fn [a] b))", "a]", "b", "b would mean the local b here"),
        ("(defn f [a] (inc a))", "a]", "inc", "inc would mean the local inc here"),
        ("(def a 1) (def b a)", "b a", "a", "a is defined already"),
        ("(def a 1) (inc a)", "a 1", "inc", "inc means something else here already"),
        ("(inc 1)", "inc", "add", "inc is of the library, not of this program"),
        ('(f "a" 1)(def f 1)', "1)(", "x", "there is no name here|1 is no name"),
        ("#(+ % 1)", "%", "x", "% is made by|would be another program|cannot be"),
        ("(def a 1)", "a 1", "if", "if cannot be a name"),
        ("(def a 1)", "a 1", "1a", "1a cannot be a name"),
        ("(def a 1)", "a 1", "a", "a has this name already"),
        ("(defn f [a] (when a 1))", "a]", "when", "with the name when"),
    ],
)
def test_rename_that_would_change_the_program_is_refused(
    text: str, word: str, new: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        renamed(text, word, new)


def test_rename_goes_through_all_files_of_a_program(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/text.clj").write_text(
        "(ns app.text)\n(defn words [s] (count s)) ; words\n(defn more [s] (words s))\n"
    )
    main = tmp_path / "main.clj"
    main.write_text(
        "(ns main (:require [app.text :as t :refer [words]]))\n[(words [1]) (t/words [1 2]) (app.text/words [])]\n"
    )
    done = rename(main.read_text(), str(main), 2, 3, "sizes", host=host_of(main))
    assert done.files[str(main)] == (
        "(ns main (:require [app.text :as t :refer [sizes]]))\n[(sizes [1]) (t/sizes [1 2]) (app.text/sizes [])]\n"
    )
    assert done.files[str(tmp_path / "app/text.clj")] == (
        "(ns app.text)\n(defn sizes [s] (count s)) ; words\n(defn more [s] (sizes s))\n"
    )


def test_extracted_form_is_a_function_of_its_free_locals() -> None:
    after = extracted(TEXT, "(if (pos? size) size 0)", "not-negative")
    assert after == TEXT.replace(
        "; Sizes of things.\n(defn area",
        "(defn not-negative [size] (if (pos? size) size 0))\n\n; Sizes of things.\n(defn area",
    ).replace("    (if (pos? size) size 0)))", "    (not-negative size)))")


def test_extracted_lines_are_indented_anew_and_keep_their_comments() -> None:
    form = "(for [d depths :when (pos? d)]\n    (* d (area width height)))"
    after = extracted(TEXT, form, "each")
    assert (
        "(defn each [depths width height]\n  (for [d depths :when (pos? d)]\n    (* d (area width height))))\n\n(defn volumes"
    ) in after
    assert "  (each depths width height))" in after


@pytest.mark.parametrize(
    ("text", "form", "name", "message"),
    [
        (TEXT, "(recur (inc i) (+ sum (area i 2)))", "step", "this recur renews what is outside"),
        (TEXT, "[size (* width height)]", "f", "this is no expression"),
        (TEXT, "size) size", "f", "this is not one form"),
        (TEXT, "(* width height)", "area", "area is defined already"),
        (TEXT, "(* width height)", "pos?", "pos\\? means something else"),
        (TEXT, "(* width height)", "if", "if cannot be a name"),
        ("(defn g [x] x)", "(defn g [x] x)", "f", "this is a definition already"),
        ("(-> 1 (+ 2))", "(+ 2)", "f", "extracted, it would be another program"),
        ("(map #(+ % 1) [1])", "(+ % 1)", "f", "this is not one form"),
        ("(let [f 1] (+ 1 2))", "(+ 1 2)", "f", "a local f hides the function here"),
        ("(defmacro m [x] `(+ ~x 1)) (m (inc 2))", "(m (inc 2))", "f", ""),
    ],
)
def test_extraction_that_would_change_the_program_is_refused(
    text: str, form: str, name: str, message: str
) -> None:
    if not message:
        assert extracted(text, form, name)
        return
    with pytest.raises(SourceError, match=message):
        extracted(text, form, name)


@given(st.data())
@settings(max_examples=40)
def test_renamed_program_is_the_same_modulo_the_name(choose: st.DataObject) -> None:
    line = choose.draw(st.integers(1, TEXT.count("\n")))
    column = choose.draw(st.integers(1, 50))
    try:
        done = rename(TEXT, "a.clj", line, column, "fresh-name")
    except SourceError:
        return
    before, after = tree_of_source(TEXT), tree_of_source(done.files["a.clj"])
    assert shape(before) == shape(after)
    assert done.after == program_of(after).hash
    again = done.files["a.clj"]
    word = re.findall(r"[^\s()\[\]{}]*$", TEXT.split("\n")[line - 1][: column - 1])[0]
    rest = re.findall(r"^[^\s()\[\]{}]*", TEXT.split("\n")[line - 1][column - 1 :])[0]
    undone = rename(again, "a.clj", *place(again, "fresh-name"), word + rest)
    assert undone.after == done.before


def shape(tree: Tree) -> list[object]:
    """Nodes without names: of a local its binder, of a global the number of its first use."""
    binder_of = scopes_of(tree).binder_of
    seen: dict[object, int] = {}
    shapes: list[object] = []
    for number, item in enumerate(tree.items):
        meant: object = item.scalars
        if item.kind.name in BINDERS:
            meant = None
        elif number in binder_of:
            meant = binder_of[number]
        elif item.kind.name in ("variable", "def"):
            meant = seen.setdefault(item.scalars[0], -1 - len(seen))
        shapes.append((item.kind.name, meant, item.counts))
    return shapes


@pytest.mark.parametrize(
    "form",
    [
        "(* width height)",
        "(area width height)",
        "(area i 2)",
        "(inc i)",
        "[sum (volumes {:width 2} [1 -1 3])]",
        "(pos? size)",
    ],
)
def test_extracted_program_runs_the_same(form: str) -> None:
    assert value(extracted(TEXT, form, "made")) == value(TEXT)


def test_changes_of_one_line_do_not_disturb_each_other() -> None:
    changes = [Change("a", (1, 1), (1, 2), "xyz"), Change("a", (1, 3), (1, 4), "")]
    assert apply("a b c", changes) == "xyz  c"
