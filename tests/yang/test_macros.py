"""Macros and namespaces: places, provenance, files."""

from __future__ import annotations

import pytest

from yang.ast_datoms import expansion_datoms
from yang.compile import compile_source
from yang.core import core_segment
from yang.errors import Source, SourceError, SourceErrors
from yang.expand import expand
from yang.forms import text_of
from yang.host import Host
from yang.lower import lower, tree_of_source
from yang.program import Program, program_of, tree_of
from yang.raised import core_forms
from yang.reader.clojure import read
from yind.cesk import Code, Machine, Status
from yind.cesk.evaluate import evaluate

FILES = {
    "app.text": "(ns app.text (:require [app.base :as base]))\n"
    '(defn- hidden [x] x)\n(defn shout [x] (hidden (str (base/upper x) "!")))\n'
    "(defmacro loudly [x] `(shout ~x))\n(defn map [x] [:mine x])\n(defn both [] [(map 1) (count [1])])",
    "app.base": "(ns app.base)\n(defn upper [x] (clojure.string/upper-case x))\n(defn fail [x] (str (/ x 0)))",
    "app.wrong": "(ns app.wrong)\n(defn f [x]\n  (undefined x))",
    "app.silent": "(def x 1)",
    "app.first": "(ns app.first (:require [app.second :refer [two]])) (def one (dec two))",
    "app.second": "(ns app.second) (def two 2)",
    "app.shape": "(ns app.shape)\n(defprotocol Shape (area [this]))\n"
    "(defrecord Square [side] Shape (area [_] (* side side)))\n"
    "(defmacro square [side] `(->Square ~side))",
}
HOST = Host(evaluate, lambda name: (f"{name}.clj", FILES[name]) if name in FILES else None)


def value(text: str) -> object:
    machine = Machine(
        Code(compile_source(text, "a.clj", host=HOST).segment, Code(core_segment(), None)),
        memory_max=1 << 24,
    )
    assert machine.run(1_000_000) is Status.DONE
    return machine.result


def errors(text: str) -> list[SourceError]:
    with pytest.raises((SourceError, SourceErrors)) as raised:
        compile_source(text, "a.clj", host=HOST)
    found = raised.value
    if isinstance(found, SourceErrors):
        return list(found.errors)
    assert isinstance(found, SourceError)
    return [found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('(ns a (:require [app.text :as t])) (t/shout "a")', "A!"),
        ('(ns a (:require [app.text :refer [shout]])) (shout "a")', "A!"),
        ('(ns a (:require [app.text :refer :all])) (shout "a")', "A!"),
        ('(ns a (:require [app.text :refer [shout] :rename {shout cry}])) (cry "a")', "A!"),
        (
            '(ns a (:require (app [text :as t] base))) [(t/loudly "a") (app.base/upper "b")]',
            ("A!", "B"),
        ),
        ('(ns a (:use app.text)) (loudly "b")', "B!"),
        ("(ns a (:use [app.text :only [shout]])) (map inc [1])", (2,)),
        ('(require \'[app.text :as t]) (let [shout 1] (t/loudly "b"))', "B!"),
        ("(require 'app.text) (app.text/both)", ((1,), 1)),
        ("(ns a) (defn f [] 1) (in-ns 'b) (defn f [] 2) [(f) (a/f)]", (2, 1)),
        ("(ns a) (def x 1) (ns b (:require [a])) (alias 'q 'a) [q/x a/x ::q/y]", None),
        ("(ns a (:require [later :as-alias l])) (name ::l/x)", "x"),
        ("(ns a (:refer-clojure :exclude [map])) (defn map [x] x) (map 3)", 3),
        # what the first requires is required later in the same form, too
        ("(ns a (:require [app.first :as f] [app.second :as s])) [f/one s/two]", (1, 2)),
        # a macro that mentions a record needs the record's constructor, not the protocol it extends
        ("(ns a (:require [app.shape :as s])) (s/area (s/square 3))", 9),
    ],
)
def test_namespaces_mean_what_they_do_in_clojure(text: str, expected: object) -> None:
    if expected is not None:
        found = value(text)
        if "both" in text:
            assert found[1] == 1  # type: ignore[index]
        else:
            assert found == expected
    else:
        assert len(value(text)) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("\n(require 'no.where)", 2, "no namespace no.where to require"),
        ("(require 'app.silent)", 1, "app.silent.clj does not say (ns app.silent)"),
        ("(ns a (:require [app.text :as t]))\n(t/hidden 1)", 2, "t/hidden is private in app.text"),
        ("(ns a (:require [app.text :refer [nothing]]))", 1, "app.text has no nothing"),
        (
            "(ns a (:require [app.text :as t]))\n(t/nothing 1)",
            2,
            "unresolved symbol: t/nothing",
        ),
        ("(ns a)\n(b/c 1)", 2, "no namespace b, so no b/c"),
        ("(ns a (:import java.util.Date))", 1, ":import in ns is not supported"),
    ],
)
def test_what_a_namespace_lacks_is_refused_at_its_place(text: str, line: int, message: str) -> None:
    (error,) = errors(text)
    assert (error.source, error.line) == ("a.clj", line)
    assert message in error.message


def test_error_in_a_required_file_names_that_file() -> None:
    (error,) = errors("(require 'app.wrong)\n(+ 1 2)")
    assert (error.source, error.line, error.column) == ("app.wrong.clj", 3, 4)
    assert error.text_line == "  (undefined x))"


def test_error_in_what_was_given_to_a_macro_is_told_where_it_was_written() -> None:
    (error,) = errors("(defmacro unless [t x] `(if ~t nil ~x))\n(unless 1\n  (+ 1 missing))")
    assert (error.line, error.column) == (3, 8)


def test_error_in_what_a_macro_made_is_told_at_the_call() -> None:
    (error,) = errors("(defmacro m [x] `(+ ~x missing))\n(list 1\n  (m 2))")
    assert (error.line, error.column) == (3, 3)


def test_several_errors_are_told_in_one_run() -> None:
    found = errors("(defmacro m [x] x)\n(m)\n(let [a] 1)\n(m 1 2)")
    assert [error.line for error in found] == [2, 3, 4]


def test_expansion_keeps_the_call_it_is_made_of() -> None:
    text = "(defmacro twice [x] `(+ ~x ~x))\n(defmacro m [x] `(twice ~x))\n(m 2)"
    form = expand(read(text), Source("a.clj", text), host=HOST).forms[-1]
    assert [(one.macro, text_of(one.form)) for one in form.origin] == [
        ("m", "(m 2)"),
        ("twice", "(user/twice 2)"),
    ]


def test_program_without_a_machine_says_that_macros_need_one() -> None:
    with pytest.raises(SourceError, match="macros need a machine"):
        compile_source("(defmacro m [] 1) (m)", "a.clj")


def test_namespace_of_a_program_is_not_part_of_its_hash() -> None:
    plain = compile_source("(def x 1) x", "a.clj").program.hash
    assert compile_source("(ns b) (def x 1) x", "a.clj").program.hash != plain  # ns is nil there
    one, other = (compile_source(f"(ns {name}) (def x 1) x", "a.clj") for name in ("b", "c"))
    assert one.program.hash == other.program.hash


def test_macro_calls_are_facts_beside_the_nodes_they_became() -> None:
    text = "(defmacro twice [x] `(+ ~x ~x))\n(defmacro m [x] `(list ~x (twice 1)))\n(m 2)"
    compiled = compile_source(text, "a.clj", host=HOST)
    tree = tree_of(Program.from_bytes(compiled.program.to_bytes()))
    facts = expansion_datoms(tree, base=0, first=100, tx=1)
    found = {(datom.e, datom.a.name): datom.v for datom in facts}
    assert found[100, "expansion/macro"] == "m"
    assert found[100, "expansion/form"] == "(m 2)"
    assert found[100, "expansion/source-location"] == (3, 1)
    assert (found[101, "expansion/macro"], found[101, "expansion/within"]) == ("twice", 100)
    roots = {datom.v: datom.e for datom in facts if datom.a.name == "ast/expanded-from"}
    assert [tree.items[roots[entity]].kind.name for entity in (100, 101)] == ["application"] * 2
    assert roots[100] < roots[101]


def test_fault_in_a_required_file_names_that_file() -> None:
    segment = compile_source(
        "(require 'app.text)\n(str (app.base/fail 1))", "a.clj", host=HOST
    ).segment
    machine = Machine(Code(segment, Code(core_segment(), None)), memory_max=1 << 24)
    assert machine.run(1_000_000) is Status.FAULT
    places = [(entry.source, entry.span[0]) for entry in machine.fault.trace]
    assert ("app.base.clj", 3) in places
    assert ("a.clj", 2) in places


LIBRARY = """
(def ^:private base [1 '(a "b") {:k #{1.5 nil}}])
(defmacro twice [x] `(* 2 ~x))
(defn fact [n] (if (zero? n) 1 (* n (fact (dec n)))))
(defn all [& {:keys [a b] :or {b 5}}] [(twice a) b base])
(defn caught [f] (try (f) (catch ArithmeticException e :divided) (catch :default e (ex-data e)) (finally nil)))
(defn sum [n] (loop [i 0 total 0] (if (< i n) (recur (inc i) (+ total i)) total)))
(defn even-count [xs] (letfn [(ev [l] (if (seq l) (od (rest l)) true)) (od [l] (if (seq l) (ev (rest l)) false))] (ev xs)))
(throw-not 1)
(defn throw-not [x] x)
"""


def test_core_forms_of_a_tree_lower_to_the_same_program() -> None:
    tree = tree_of_source(LIBRARY, "library.clj", HOST)
    text = "\n".join(text_of(form) for form in core_forms(tree))
    source = Source("a.clj", text)
    again = lower(expand(core_forms(tree), source).forms, source)
    assert program_of(again).hash == program_of(tree).hash


def test_code_is_required_by_its_hash() -> None:
    program = compile_source(LIBRARY, "library.clj", host=HOST).program
    text = f"""(ns a (:require ["{program.hash.hex()}" :as l :refer [fact]]))
    (defn sum [] :mine)
    [(fact 5) (l/all :a 2) (l/caught (fn [] (/ 1 0))) (l/sum 4) (sum) (l/even-count [1 2])]"""
    host = HOST._replace(program={program.hash: program}.get)
    segment = compile_source(text, "a.clj", host=host).segment
    machine = Machine(Code(segment, Code(core_segment(), None)), memory_max=1 << 24)
    assert machine.run(1_000_000) is Status.DONE
    assert machine.result_text == ('[120 [4 5 [1 (a "b") {:k #{1.5 nil}}]] :divided 6 :mine true]')
    assert "no program" in errors(text)[0].message


def test_another_program_than_the_one_that_was_asked_for_is_refused() -> None:
    program = compile_source("1", "a.clj").program
    host = Host(evaluate, None, lambda digest: program)
    with pytest.raises(SourceError, match="another program than 000000"):
        compile_source(f'(require \'["{"00" * 32}" :as l])', "a.clj", host=host)
    with pytest.raises(SourceError, match="is not the hash of a program"):
        compile_source('(require \'["abc" :as l])', "a.clj", host=host)
