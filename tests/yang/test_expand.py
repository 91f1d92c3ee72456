import pytest

from yang.errors import Source, SourceError, SourceErrors
from yang.expand import expand
from yang.forms import text_of
from yang.reader.clojure import read


def core(text: str) -> str:
    forms = expand(read(text), Source("a.clj", text)).forms
    return " ".join(" ".join(text_of(form).split()) for form in forms)


def error(text: str) -> SourceError:
    with pytest.raises(SourceError) as raised:
        expand(read(text), Source("a.clj", text))
    return raised.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(when a b c)", "(if a (do b c) nil)"),
        ("(when-not a b)", "(if a nil (do b))"),
        ("(if-not a b c)", "(if a c b)"),
        ("(if-not a b)", "(if a nil b)"),
        ("(cond)", "nil"),
        ("(cond a 1 b 2)", "(if a 1 (if b 2 nil))"),
        ("(cond a 1 :else 2)", "(if a 1 2)"),
        ("(cond :else 1 b 2)", "(if :else 1 (if b 2 nil))"),
        ("(and)", "true"),
        ("(and a)", "a"),
        ("(and a b)", "(let* [and~1 a] (if and~1 b and~1))"),
        ("(or)", "nil"),
        ("(or a b)", "(let* [or~1 a] (if or~1 or~1 b))"),
        ("(if-let [a b] a c)", "(let* [test~1 b] (if test~1 (let* [a test~1] a) c))"),
        ("(when-let [a b] c d)", "(let* [test~1 b] (if test~1 (let* [a test~1] (do c d)) nil))"),
        (
            "(if-some [a b] a c)",
            "(let* [test~1 b] (if (yin.core/nil? test~1) c (let* [a test~1] a)))",
        ),
        (
            "(when-some [a b] a)",
            "(let* [test~1 b] (if (yin.core/nil? test~1) nil (let* [a test~1] (do a))))",
        ),
        (
            "(when-first [a b] c)",
            "(let* [seq~1 (yin.core/seq b)] (if seq~1 (let* [a (yin.core/first seq~1)] c) nil))",
        ),
        ("(-> a (f 1) g :k)", "(:k (g (f a 1)))"),
        ("(->> a (f 1) g)", "(g (f 1 a))"),
        ("(-> a (when b))", "(if a (do b) nil)"),
        ("(as-> 1 a (f a) (g a 2))", "(let* [a 1 a (f a)] (g a 2))"),
        (
            "(some-> a f)",
            "(let* [value~1 a value~2 (if (yin.core/nil? value~1) nil (f value~1))] value~2)",
        ),
        (
            "(some->> a (f 1))",
            "(let* [value~1 a value~2 (if (yin.core/nil? value~1) nil (f 1 value~1))] value~2)",
        ),
        ("(cond-> a b (f 1))", "(let* [value~1 a value~2 (if b (f value~1 1) value~1)] value~2)"),
        ("(cond->> a b (f 1))", "(let* [value~1 a value~2 (if b (f 1 value~1) value~1)] value~2)"),
        ("(doto a (f 1) g)", "(let* [value~1 a] (f value~1 1) (g value~1) value~1)"),
        ("(fn [x] x)", "(fn* ([x] x))"),
        ("(fn f ([x] x) ([x & y] y))", "(fn* f ([x] x) ([x & y] y))"),
        ("#(f % %2)", "(fn* ([%1 %2] (let* [% %1] (f % %2))))"),
        ("#(f %&)", "(fn* ([& %&] (f %&)))"),
        ("(defn f [x] x)", "(def f (fn* ([x] x)))"),
        ('(defn- f "doc" {:a 1} ([] 1) ([x] x) {:b 2})', "(def f (fn* ([] 1) ([x] x)))"),
        ('(def x "doc" 1)', "(def x 1)"),
        ("(def x)", "nil"),
        ("(declare f g)", "nil"),
        ("(defonce x 1) (defonce x 2)", "(def x 1) nil"),
        (
            "(letfn [(f [x] (g x)) (g [x] x)] (f 1))",
            "(letfn* [f (fn* f ([x] (g x))) g (fn* g ([x] x))] (f 1))",
        ),
        ("(while a b)", "(loop* [] (if a (do b (recur)) nil))"),
        (
            "(dotimes [i n] (f i))",
            (
                "(let* [count~1 (yin.core/long n)] (loop* [i 0] "
                "(if (yin.core/< i count~1) (do (f i) (recur (yin.core/inc i))) nil)))"
            ),
        ),
        ("(lazy-seq a)", "(yin.core/lazy-seq* (fn* ([] a)))"),
        ("(comment a (b", None),
        ("(comment a (/ 1 0))", "nil"),
        ("@a", "(yin.core/deref a)"),
        ("(throw e)", "(throw e)"),
        ("(let [a 1 b a] b)", "(let* [a 1 b a] b)"),
        (
            "(let [[a b] c] a)",
            "(let* [vector~1 c a (yin.core/nth vector~1 0 nil) b (yin.core/nth vector~1 1 nil)] a)",
        ),
        (
            "(let [[a & b :as c] d] a)",
            (
                "(let* [vector~1 d seq~2 (yin.core/seq vector~1) a (yin.core/first seq~2) "
                "seq~3 (yin.core/next seq~2) b seq~3 c vector~1] a)"
            ),
        ),
        (
            "(case a 1 :x (2 b) :y :z)",
            (
                "(let* [case~1 a] (if (yin.core/= case~1 (quote 1)) :x "
                "(if (if (yin.core/= case~1 (quote 2)) true (yin.core/= case~1 (quote b))) :y :z)))"
            ),
        ),
        (
            "(condp f a 1 :x :y)",
            "(let* [predicate~1 f value~2 a] (if (predicate~1 1 value~2) :x :y))",
        ),
        (
            "(doseq [a b :when c] d)",
            (
                "(loop* [seq~1 (yin.core/seq b)] (if seq~1 (let* [a (yin.core/first seq~1)] "
                "(if c (do (do d nil) (recur (yin.core/next seq~1))) (recur (yin.core/next seq~1)))) nil))"
            ),
        ),
        (
            "(try a (catch java.lang.Exception e b) (catch :default e c) (finally d))",
            "(try a (catch Exception e b) (catch :default e c) (finally d))",
        ),
    ],
)
def test_derived_form_expands_to_core_forms(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(SourceError):
            core(text)
    else:
        assert core(text) == expected


def test_map_pattern_takes_keys_defaults_and_keyword_arguments() -> None:
    text = core("(let [{:keys [a n/b] :n/keys [c] :strs [d] :syms [e] f :g :or {a 1} :as m} x] a)")
    for binding in (
        "m map~2",
        "a (yin.core/get map~2 :a 1)",
        "b (yin.core/get map~2 :n/b)",
        "c (yin.core/get map~2 :n/c)",
        'd (yin.core/get map~2 "d")',
        "e (yin.core/get map~2 (quote e))",
        "f (yin.core/get map~2 :g)",
        "(if (yin.core/next map~1) (yin.core/apply yin.core/hash-map map~1)",
    ):
        assert binding in text


def test_patterns_of_parameters_are_taken_apart_inside() -> None:
    assert core("(fn [[a] b] a)") == (
        "(fn* ([parameter~1 b] (let* [vector~2 parameter~1 a (yin.core/nth vector~2 0 nil)] a)))"
    )


def test_loop_with_patterns_takes_them_apart_in_each_round() -> None:
    text = core("(loop [[a] b n a] (recur n n))")
    assert text.count("(yin.core/nth") == 2
    assert "(loop* [loop~1 loop~1 n n]" in text


def test_for_is_lazy_and_honours_its_modifiers() -> None:
    text = core("(for [a b :let [c a] :when d e f :while g] [a e])")
    assert text.count("yin.core/lazy-seq*") == 2
    assert "(yin.core/concat results~" in text
    assert "(let* [c a] (if d" in text


def test_conditions_become_assertions() -> None:
    text = core("(fn [x] {:pre [(f x)] :post [(g %)]} x)")
    assert '(if (f x) nil (throw (yin.core/ex-info "Assert failed: (f x)"' in text
    assert "(let* [% (do x)] (if (g %) nil" in text
    assert core("(fn [x] {:pre 1})") == "(fn* ([x] {:pre 1}))"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(let [when 1] (when 2))", "(let* [when 1] (when 2))"),
        ("(fn [->] (-> 1))", "(fn* ([->] (-> 1)))"),
        ("(defn when [x] x) (when 1)", "(def when (fn* ([x] x))) (when 1)"),
        ("(when (let [when 1] when) 2)", "(if (let* [when 1] when) (do 2) nil)"),
        ("(let [if 1] (if 2 3 4))", "(let* [if 1] (if 2 3 4))"),
        ("(let [let 1] (clojure.core/when let 2))", "(let* [let 1] (if let (do 2) nil))"),
        ("(let [seq 1 first 2] (doseq [x seq] x))", None),
    ],
)
def test_names_of_the_program_shadow_derived_forms_only(text: str, expected: str | None) -> None:
    if expected is None:
        assert "(yin.core/seq seq)" in core(text)
    else:
        assert core(text) == expected


def test_equal_parameters_leave_the_last() -> None:
    assert core("(fn [_ a _] _)") == "(fn* ([_~1 a _] _))"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(str/join a)", "(clojure.string/join a)"),
        ("(clojure.core/map f)", "(yin.core/map f)"),
        ("(set/union a)", "(clojure.set/union a)"),
        (
            "(ns a.b (:require [clojure.string :as s])) (s/trim a.b/x)",
            "nil (clojure.string/trim x)",
        ),
        ("(require '[clojure.set :refer [union]]) (union a)", "nil (clojure.set/union a)"),
        (
            "(require '[clojure.set :refer [union]]) (let [union 1] union)",
            "nil (let* [union 1] union)",
        ),
        ("(call/cc f)", "(call/cc f)"),
        ("(yin.core/call/cc f)", "(yin.core/call/cc f)"),
    ],
)
def test_aliases_become_full_names(text: str, expected: str) -> None:
    assert core(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("(set! a 1)", 7, "no variable a"),
        ("(new A)", 1, "new is not supported"),
        ("(. a b)", 1, ". is not supported"),
        ("(.method a)", 2, ".method: Java's methods"),
        ("(Date. 1)", 2, "Date.: Java's methods"),
        ("(.. a b)", 2, ".. is not supported"),
        ("(Math/abs 1)", 2, "no namespace Math"),
        ("java.io.File", 1, "there are no classes"),
        ("(binding [a 1] a)", 11, "no variable a"),
        ("(import 'a.b)", 2, "import is not supported"),
        ('(slurp "/etc/passwd")', 2, "slurp is not supported"),
        ("(require 'clojure.java.io)", 11, "no namespace clojure.java.io to require"),
        ("(ns a (:require [b.c :as c]))", 18, "no namespace b.c to require"),
        ("(ns a (:import java.io.File))", 7, ":import in ns is not supported"),
        ("(ns a (:use clojure.set))", 13, "say which names"),
        ("(map and a)", 6, "and is syntax"),
        ("(map if a)", 6, "if is a special form"),
        ("(user/if 1 2)", 2, "user/if is a special form"),
        ("(def if 1)", 6, "if is a special form and cannot be defined"),
        ("(def clojure.core/map 1)", 6, "belongs to another namespace"),
        ("(if)", 1, "(if test then else)"),
        ("(if 1 2 3 4)", 1, "(if test then else)"),
        ("(let [a] 1)", 7, "has no value"),
        ("(let (a 1) 1)", 6, "bindings stand in a vector"),
        ("(let [a/b 1] 1)", 7, "qualified name a/b"),
        ("(let [1 2] 1)", 7, "cannot be bound"),
        ("(let [[a &] 1] 1)", 10, "& has no name after it"),
        ("(let [{:kys [a]} 1] 1)", 8, ":kys in a map pattern"),
        ("(fn [& a b] 1)", 6, "& stands only before the last parameter"),
        ("(fn ([a] 1) ([b] 2))", 13, "two arities with the same number"),
        ("(fn ([a b] 1) ([& c] 2))", 15, "more parameters than the one"),
        ("(fn ([& a] 1) ([b & c] 2))", 15, "two arities that take the rest"),
        ("(fn a)", 1, "(fn [parameters] body ...)"),
        ("(defn f)", 1, "(defn name [parameters] body ...)"),
        ("(catch E e 1)", 1, "catch outside try"),
        ("(try 1 (finally 2) 3)", 20, "finally comes last"),
        ("(try 1 (catch E e 2) 3)", 22, "after a catch"),
        ("(throw)", 1, "(throw error)"),
        ("(quote)", 1, "(quote form)"),
        ("(cond a)", 7, "a test in cond has no expression"),
        ("(case a 1 2 1 3)", 13, "case has 1 twice"),
        ("(for [:when a] a)", 7, ":when comes after a collection"),
        ("(for [a b :wen c] a)", 11, ":wen here"),
        ("(-> a #(f %))", 7, "nothing can be threaded into #( )"),
    ],
)
def test_unsupported_or_malformed_form_is_refused_by_name(
    text: str, column: int, message: str
) -> None:
    refused = error(text)
    assert message in refused.message
    assert (refused.line, refused.column) == (1, column)


def test_errors_of_several_forms_come_together() -> None:
    text = "(if)\n(def a 1)\n(set! a 2)"
    with pytest.raises(SourceErrors) as raised:
        expand(read(text), Source("a.clj", text))
    assert [refused.line for refused in raised.value.errors] == [1, 3]
    assert "a.clj:3:7: a is not dynamic" in str(raised.value)


def test_long_chains_need_no_python_stack() -> None:
    assert core("(-> a " + "(f) " * 5_000 + ")").startswith("(f (f (f")
    assert core("(cond " + "a b " * 5_000 + ")").endswith("nil" + ")" * 5_000)


def test_expansion_goes_on_after_an_error_in_a_form() -> None:
    text = "(defn f [x]\n (let [y] 1)\n (if))\n(def 5)\n(f (let x))"
    with pytest.raises(SourceErrors) as raised:
        expand(read(text), Source("a.clj", text))
    places = [(error.line, error.column) for error in raised.value.errors]
    assert places == [(2, 8), (3, 2), (4, 6), (5, 9)]
