"""A tree is written as source text that compiles to the same hash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.sources import host_of
from datomstore.value import Keyword, Symbol
from yang.clojure import NoSource, clojure_of
from yang.core import core_source
from yang.errors import Source, SourceError, SourceErrors
from yang.expand import expand
from yang.lower import lower, tree_of_files, tree_of_source
from yang.nodes import KINDS, Item, Tree
from yang.program import program_of
from yang.reader.clojure import read
from yang.segment import Span

ROOT = Path(__file__).parents[2]
FOLDERS = ("tests/programs", "bench/programs", "examples", "tests/language")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).glob("*.clj"))
# Files whose statements are cases of their own, some of which are not whole programs.
REFUSED = {"comprehensions.clj", "conditionals.clj", "refused.clj"}


def written(text: str) -> str:
    tree = tree_of_source(text, "a.clj", host_of(None))
    again = clojure_of(tree)
    assert program_of(tree_of_source(again)).hash == program_of(tree).hash
    return again


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_program_here_comes_back(file: Path) -> None:
    try:
        tree = tree_of_source(file.read_text(), file.name, host_of(file))
    except (SourceError, SourceErrors):
        assert file.name in REFUSED
        return
    text = clojure_of(tree)
    assert program_of(tree_of_source(text)).hash == program_of(tree).hash
    wide = [line for line in text.splitlines() if '"' not in line and len(line) > 100]
    assert all(
        line.startswith(" " * 40) for line in wide
    )  # deep inside, nothing else is left to do


def test_core_library_comes_back_without_exact_names_but_one() -> None:
    tree = tree_of_files(core_source(), core=True)
    text = clojure_of(tree, core=True)
    forms = expand(read(text), Source("core.clj", text), core=True)
    assert program_of(lower(*forms)).hash == program_of(tree).hash
    assert text.count("#yin/name") == 1  # gensym calls what is syntax everywhere else


ATOMS = ["a", "b", "nil", "1", "-0.0", '"s"', ":k", "'(1 [2])", "[1 2]", "()", "1/2", "\\c"]
SHAPES = [
    "({} {})",
    "(if {} {} {})",
    "(let [a {} [b & c] {}] {} {})",
    "(let [{{:keys [a b] :or {{b {}}} :as c}} {}] {})",
    "(fn f ([a] {}) ([a & b] {}))",
    "(fn [[a b] {{c :c}}] {} {})",
    "#(vector % {})",
    "(loop [a {}] (recur {}))",
    "(loop [[a & b] {} c {}] (if a (recur b {}) c))",
    "(letfn [(f [x] {}) (g [] {})] {})",
    "(try {} (catch E e {}) (finally {}))",
    "(throw {})",
    "[{} {{:a {}}} #{{{}}}]",
    "(def d {})",
    "(do {} {})",
    "(for [a {} :let [b {}] :when b c {} :while c] {})",
    "(doseq [a {} :when {}] {})",
    "(dotimes [a {}] {})",
    "(when {} {} {})",
    "(when-not {} {})",
    "(cond {} {} {} {} :else {})",
    "(cond {} {} :k {})",
    "(and {} {} {})",
    "(or {} {})",
    "(if-let [a {}] {} {})",
    "(when-let [[a b] {}] {})",
    "(if-some [a {}] {} {})",
    "(when-first [a {}] {})",
    "(case {} 1 {} (2 x) {} {})",
    "(case {} :a {})",
    "(condp = {} 1 {} {})",
    "(cond-> {} {} (f 1) {} g)",
    "(some->> {} (f 1) g)",
    "(-> {} (f {}) (when {}))",
    "(doto {} (f {}))",
    "(while {} {})",
    "(lazy-seq {})",
    "(assert {})",
    "(control {} k {})",
    "(reset {} (shift k {}))",
    '(re-find #"a\\.b" {})',
    "@{}",
]


def programs() -> st.SearchStrategy[str]:
    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        def filled(shape: str) -> st.SearchStrategy[str]:
            parts = st.lists(inner, min_size=6, max_size=6)
            return parts.map(lambda found: shape.format(*found))

        return st.sampled_from(SHAPES).flatmap(filled)

    return st.lists(st.recursive(st.sampled_from(ATOMS), more, max_leaves=12), max_size=3).map(
        "\n".join
    )


@given(programs())
@settings(max_examples=60)
def test_generated_programs_come_back(text: str) -> None:
    try:
        written(text)
    except SourceError as error:
        if error.message != "#( ) inside #( )":
            raise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(defn f [x] (when x (g x) 1))", "(defn f [x] (when x (g x) 1))\n"),
        ("(and a (or b c) d)", "(and a (or b c) d)\n"),
        ("(let [[a & b] c] a)", "(let [[a & b] c] a)\n"),
        (
            "(let [when 1] (if when (do when 2) nil))",
            "(let [when 1] (yin.core/when when when 2))\n",
        ),
        ("(if a 1 (if b 2 3))", "(cond a 1 b 2 :else 3)\n"),
        ("(case a 1 2 (3 x) 4)", "(case a 1 2 (3 x) 4)\n"),
        ("'(a \"b\" \\c) [1 'a]", "'(a \"b\" \\c)\n'[1 a]\n"),
        ("(fn [_ _] 1)", "(fn [_ _] 1)\n"),
        ("#(+ % 1) #(+ %1 %2)", "#(+ % 1)\n#(+ %1 %2)\n"),
        ('@a #"\\d"', '@a\n#"\\d"\n'),
        (
            "(def ^:dynamic *x* 1) (binding [*x* 2] *x*)",
            "(def ^:dynamic *x* 1)\n(binding [*x* 2] *x*)\n",
        ),
        ("(try 1 (catch E e 2) (finally 3))", "(try 1 (catch E e 2) (finally 3))\n"),
        ("(condp = a 1 2 3)", "(condp = a 1 2 3)\n"),
        ("(condp some [a] #{1} :>> inc [2] 3)", "(condp some [a] #{1} :>> inc [2] 3)\n"),
    ],
)
def test_forms_are_written_as_people_write_them(text: str, expected: str) -> None:
    assert written(text) == expected


def test_what_does_not_fit_is_broken_as_clojure_is() -> None:
    text = (
        "(defn classify [numbers] (let [evens (filter even? numbers) odds (remove even? numbers)]"
        " (cond (empty? numbers) :none (every? even? numbers) {:kind :even :numbers evens :count 1}"
        " :else (reduce (fn [found number] (if (even? number) (conj found number) found)) [] odds))))"
    )
    assert written(text) == (
        "(defn classify [numbers]\n"
        "  (let [evens (filter even? numbers)\n"
        "        odds (remove even? numbers)]\n"
        "    (cond\n"
        "      (empty? numbers) :none\n"
        "      (every? even? numbers) {:kind :even :numbers evens :count 1}\n"
        "      :else (reduce (fn [found number] (if (even? number) (conj found number) found)) [] odds))))\n"
    )


def test_names_of_other_namespaces_are_written_in_theirs(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/text.clj").write_text(
        "(ns app.text) (defn words [s] (map count s)) (defn more [s] (words s))"
    )
    text = "(ns main (:require [app.text :as t])) (defn run [s] (t/more s)) (run [])"
    tree = tree_of_source(text, "main.clj", host_of(tmp_path / "main.clj"))
    again = clojure_of(tree)
    assert "^{:yin/in app.text} (defn words [s] (map count s))" in again
    assert "(defn run [s] (app.text/more s))" in again
    assert program_of(tree_of_source(again)).hash == program_of(tree).hash


def test_macros_and_their_calls_stay_where_the_source_is_known() -> None:
    text = """(defmacro unless
  "The other way round."
  [test then]
  `(if ~test nil ~then))

(defn f [x]
  (unless (neg? x) (unless (zero? x) (/ 1 x))))
"""
    source, host = Source("a.clj", text), host_of(None)
    tree = tree_of_source(text, "a.clj", host)
    assert clojure_of(tree, source=source, host=host) == text.replace(
        "(defn f [x]\n  (unless", "(defn f [x] (unless"
    )
    alone = clojure_of(tree)
    assert alone == "nil\n(defn f [x] (cond (neg? x) nil (zero? x) nil :else (/ 1 x)))\n"
    again = tree_of_source(alone)
    assert program_of(again).hash == program_of(tree).hash


def test_names_that_nothing_made_are_exact() -> None:
    text = '(let* [#yin/name "odd~7" 1] (f #yin/name "odd~7"))'
    assert written(text) == '(let* [#yin/name "odd~1" 1] (f #yin/name "odd~1"))\n'


def test_statements_are_the_same_whatever_stands_before_them() -> None:
    alone = tree_of_source("(and a b)").items[1:]
    after = tree_of_source("(or c d) (and x y) (and a b)").items[-len(alone) :]
    assert [item.scalars for item in alone] == [item.scalars for item in after]


def test_tree_without_a_source_is_refused() -> None:
    span = Span(1, 1, 1, 1)

    def item(kind: str, scalars: tuple[object, ...], counts: tuple[int, ...]) -> Item:
        return Item(KINDS[kind], scalars, counts, span)

    called = [item("application", (), (1, 1)), item("variable", ("if",), ())]
    tree = Tree([item("program", ("a",), (1,)), *called, item("literal", (1,), ())])
    with pytest.raises(NoSource) as raised:
        clojure_of(tree)
    assert raised.value.node == 2


def test_literals_of_every_kind_come_back() -> None:
    span = Span(1, 1, 1, 1)
    for value in (Symbol("a b"), Keyword("k"), 2**70, float("nan"), -0.0, 'a\n"b', b"\x01", ()):
        literal = Item(KINDS["literal"], (value,), (), span)
        tree = Tree([Item(KINDS["program"], ("a",), (1,), span), literal])
        try:
            assert program_of(tree_of_source(clojure_of(tree))).hash == program_of(tree).hash
        except NoSource:
            assert value == Symbol("a b")
