"""Sessions: what a name means now, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import HOST, MEMORY, RUNNING, Case, cases_of, check, core_code, outcome_of
from sessions import Entered

from datomstore.edn import read as read_edn
from yang.compile import compile_source
from yang.core import core_source
from yang.definitions import REWRITTEN
from yang.derived import DERIVED
from yang.errors import Source, SourceErrors, YangError
from yang.reader.clojure import is_complete, read
from yang.special import SPECIAL
from yang.usage import USAGE
from yind.cesk import Code, Machine

PROGRAMS = Path(__file__).parent.parent / "programs"


@pytest.fixture(name="session")
def _session() -> Entered:
    return Entered()


# -- definitions --


def test_a_function_sees_what_was_defined_anew(session: Entered) -> None:
    session.enter("(defn f [] 1) (defn g [] [(f)])")
    session.enter("(defn f [] 2)")
    assert session.enter("(g)") == "[2]"


def test_a_function_that_calls_itself_calls_its_new_definition(session: Entered) -> None:
    session.enter("(defn f [n] (if (= n 0) :old (f (dec n)))) (def old f)")
    session.enter("(defn f [n] :new)")
    assert session.enter("(old 1)") == ":new"


def test_a_value_may_be_of_another_kind_in_its_next_definition(session: Entered) -> None:
    session.enter("(defn f [] 1)")
    session.enter("(def f [1 2])")
    assert session.enter("(f 1)") == "2"
    session.enter("(defmacro f [x] (list 'quote x))")
    assert session.enter("(f (a b))") == "(a b)"
    session.enter("(defn f [x] x)")
    assert session.enter("(f 3)") == "3"


def test_a_definition_hides_the_library_for_what_comes_later(session: Entered) -> None:
    session.enter("(defn before [] (map inc [1]))")
    session.enter("(defn map [& _] :mine)")
    assert session.enter("[(map inc [1]) (before)]") == "[:mine (2)]"


def test_a_name_that_nothing_has_is_refused_with_a_near_one(session: Entered) -> None:
    session.enter("(defn apply-tax [x] x)")
    message = session.enter("(aply-tax 1)")
    assert "unresolved symbol: aply-tax" in message
    assert "did you mean apply-tax?" in message


def test_what_was_refused_has_defined_nothing(session: Entered) -> None:
    assert session.enter("(defn f [] (nothing))").startswith("refused")
    assert "unresolved symbol: f" in session.enter("(f)")


def test_forms_before_the_one_that_is_refused_have_run(session: Entered) -> None:
    assert session.enter("(def x 1) (nothing)").startswith("refused")
    assert session.enter("x") == "1"


def test_a_declared_name_is_called_once_it_is_defined(session: Entered) -> None:
    session.enter("(declare later) (defn f [] (later))")
    assert session.enter("(f)") == "error: later is not defined"
    session.enter("(defn later [] :now)")
    assert session.enter("(f)") == ":now"


def test_macros_of_earlier_entries_expand_and_may_be_defined_anew(session: Entered) -> None:
    session.enter("(defn twice [x] (list 'do x x)) (defmacro m [x] (twice x))")
    session.enter("(def n (atom 0)) (m (swap! n inc))")
    assert session.enter("@n") == "2"
    session.enter("(defmacro other [] :other) (defmacro m [x] :m) (defmacro third [] :third)")
    assert session.enter("[(m 1) (other) (third)]") == "[:m :other :third]"


def test_a_watch_sees_changes_made_by_functions_from_before_it(session: Entered) -> None:
    session.enter("(def a (atom 0)) (defn up [] (swap! a inc))")
    session.enter("(def seen (atom [])) (add-watch a :k (fn [_ _ old new] (swap! seen conj new)))")
    session.enter("(up) (up)")
    assert session.enter("@seen") == "[1 2]"


def test_roots_that_change_are_seen_by_functions_from_before(session: Entered) -> None:
    session.enter("(defn f [] 1) (defn g [] (f)) (def x 10) (defn h [] x)")
    assert session.enter("(with-redefs [f (fn [] 2) x 20] [(g) (h)])") == "[2 20]"
    assert session.enter("[(g) (h)]") == "[1 10]"
    assert session.enter("(alter-var-root #'x + 5)") == "15"
    assert session.enter("(h)") == "15"


def test_a_variable_does_not_become_dynamic_under_those_who_read_it(session: Entered) -> None:
    session.enter("(def x 1) (defn f [] x)")
    assert "not as a dynamic variable" in session.enter("(def ^:dynamic x 2)")
    assert session.enter("(f)") == "1"


def test_a_multimethod_gets_methods_in_later_entries(session: Entered) -> None:
    session.enter("(defmulti area :kind)")
    session.enter("(defmethod area :square [{a :a}] (* a a))")
    assert session.enter("(area {:kind :square :a 3})") == "9"


def test_a_protocol_is_extended_in_later_entries(session: Entered) -> None:
    session.enter("(defprotocol Shown (shown [this]))")
    session.enter("(defrecord Point [x] Shown (shown [_] [:point x]))")
    session.enter("(extend-type String Shown (shown [s] [:text s]))")
    assert session.enter('[(shown (->Point 1)) (shown "a")]') == '[[:point 1] [:text "a"]]'


# -- values and errors --


def test_the_last_values_are_kept(session: Entered) -> None:
    for text in ("1", "2", "(def x 9)", "3"):
        session.enter(text)
    assert session.enter("[*1 *2 *3]") == "[3 2 1]"


def test_the_last_error_is_kept_and_values_stay(session: Entered) -> None:
    session.enter("7")
    assert session.enter('(throw (ex-info "no" {:a 1}))') == "error: no"
    assert session.enter("[*1 (ex-data *e)]") == "[7 {:a 1}]"


def test_what_an_entry_did_before_its_error_stays(session: Entered) -> None:
    session.enter('(do (def x 5) (throw (ex-info "no" {})))')
    assert session.enter("x") == "5"


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("(range)", f"({' '.join(map(str, range(100)))} ...)"),
        ("(def x 1)", "#'user/x"),
        ("(defn f [])", "#'user/f"),
        ("(defmacro m [])", "#'user/m"),
        ("(declare y)", "#'user/y"),
        ("(ns other)", "nil"),
        ("nil", "nil"),
        ('"a\\nb"', '"a\\nb"'),
        ("inc", "#function[inc]"),
        ("()", "()"),
        ("{:a [1 #{2} '(3)]}", "{:a [1 #{2} (3)]}"),
        ("(sorted-map 2 :b 1 :a)", "{1 :a, 2 :b}"),
        ("(iterate vector 1)", "#"),
        ("(atom [1 (atom 2)])", "#atom[[1 #atom[2]]]"),
        ("(let [a (atom nil)] (reset! a a))", "#atom[#atom["),
        ("(lazy-seq nil)", "()"),
    ],
)
def test_values_are_shown_as_far_as_one_wants_to_see(
    session: Entered, entry: str, shown: str
) -> None:
    assert shown in session.enter(entry)


def test_how_much_is_shown_can_be_set(session: Entered) -> None:
    assert session.enter("(set! *print-length* 2)") == "2"
    assert session.enter("[(range) [1 2 3]]") == "[(0 1 ...) [1 2 ...]]"
    session.enter("(set! *print-level* 1)")
    assert session.enter("[1 [2]]") == "[1 #]"
    session.enter("(set! *print-level* nil) (set! *print-length* nil)")
    assert session.enter("(vec (range 200))") == str(list(range(200))).replace(",", "")


def test_a_value_of_infinite_width_and_depth_is_shown_in_a_thousand_items(
    session: Entered,
) -> None:
    session.enter("(def tree (fn tree [] (repeatedly tree)))")
    assert len(session.enter("(tree)")) < 20_000


# -- namespaces --


def test_a_namespace_is_entered_and_left(session: Entered) -> None:
    session.enter("(def x :user) (ns app.one) (def x :one)")
    assert session.session.namespace == "app.one"
    assert session.enter("[x user/x]") == "[:one :user]"
    session.enter("(in-ns 'user)")
    assert session.enter("[x app.one/x *ns*]") == "[:user :one user]"


def test_the_last_values_mean_the_same_in_every_namespace(session: Entered) -> None:
    session.enter("1 (ns app.one)")
    assert session.enter("*1") == "1"


def test_a_private_name_is_refused_elsewhere(session: Entered) -> None:
    session.enter("(ns app.one) (defn- f [] 1) (in-ns 'user)")
    assert "f is private in app.one" in session.enter("(app.one/f)")


def test_a_file_is_required_once_and_again_when_asked_to() -> None:
    text = ["(ns app.text) (defn f [] 1)"]
    host = HOST._replace(load=lambda name: ("app/text.clj", text[0]))
    session = Entered(host)
    assert session.enter("(require '[app.text :as t])") == "nil"
    assert session.enter("(t/f)") == "1"
    text[0] = "(ns app.text) (defn f [] 2)"
    session.enter("(require '[app.text :as t])")
    assert session.enter("(t/f)") == "1"
    session.enter("(require '[app.text :as t] :reload)")
    assert session.enter("(t/f)") == "2"


def test_a_file_is_loaded_and_its_last_value_shown() -> None:
    session = Entered(read={"a.clj": "(ns app) (defn f [] 1)\n(f)"}.__getitem__)
    assert session.enter('(load-file "a.clj")') == "1"
    assert session.session.namespace == "user"
    assert session.enter("(app/f)") == "1"


def test_an_error_in_a_loaded_file_is_told_there() -> None:
    session = Entered(read=lambda path: "(def x 1)\n(oops)")
    assert "a.clj:2:2: unresolved symbol: oops" in session.enter('(load-file "a.clj")')


# -- a session that goes on with the definitions of another --


def test_definitions_are_taken_over_from_units() -> None:
    first = Entered()
    texts = (
        "(def x nil) (def y '(def quoted 1)) (defn f [n] [n x]) (def ^:dynamic *d* 1)",
        "(defn rd [] *d*) (defmulti m :k) (defmethod m 1 [_] :one) (ns app.a) (defn g [] :g)",
        "(def fut (future 1)) (declare never)",
    )
    second = Entered()
    second.machine = first.machine
    for text in texts:
        for unit in list(first.session.units(Source("entry", text))):
            assert first.outcome(unit).error is None
            second.session.adopt(unit.program)
    assert second.session.namespace == "app.a"
    second.enter("(in-ns 'user)")
    assert second.enter("[(f 1) (rd) (app.a/g) @app.a/fut y]") == "[[1 nil] 1 :g 1 (def quoted 1)]"
    assert second.enter("(binding [*d* 2] (rd))") == "2"
    assert second.enter("(defmethod m 2 [_] :two) [(m {:k 1}) (m {:k 2})]") == "[:one :two]"
    assert second.enter("(defmacro twice [n] `(do ~(f n) ~(f n))) (twice 2)") == "[2 nil]"
    assert "unresolved symbol: quoted" in second.enter("quoted")
    second.enter("(def x 5)")
    assert second.enter("(f 1)") == "[1 5]"


def test_macros_texts_and_aliases_are_taken_over_from_units() -> None:
    first = Entered()
    texts = (
        "(ns app.m (:require [clojure.string :as s])) (defn- up [x] (s/upper-case x))",
        '(defmacro shout "Loudly." ([x] `(str ~(up x) "!")) ([x & more] `(str ~x ~@more)))',
        '(defmacro seen [] (list `quote (vec (keys &env)))) (def ^{:private true :doc "Two."} two 2)',
    )
    second = Entered()
    second.machine = first.machine
    for text in texts:
        for unit in first.session.units(Source("entry", text)):
            assert first.outcome(unit).error is None
            second.session.adopt(unit.program)
    assert second.enter('[(shout "a") (shout 1 2) (let [q 1] (seen)) (s/blank? "")]') == (
        '["A!" "12" [q] true]'
    )
    second.enter("(doc shout)")
    assert second.lines[1:] == ["app.m/shout", "([x] [x & more])", "macro", "  Loudly."]
    del second.lines[:]
    second.enter("(source two)")
    assert second.lines == ['(def ^{:private true :doc "Two."} two 2)']
    second.enter("(in-ns 'user)")
    assert "two is private in app.m" in second.enter("app.m/two")


# -- code that is made while it runs --


def test_what_was_evaluated_is_known_to_later_entries(session: Entered) -> None:
    session.enter("(def form (list 'defn 'area '[a b] '(* a b)))")
    assert session.enter("(eval form)") == "#function[area]"
    assert session.enter("(area 3 4)") == "12"
    session.enter('(load-string "(defmacro twice [x] (list \'do x x))")')
    assert session.enter("(def n (atom 0)) (twice (swap! n inc))") == "2"


def test_a_macro_of_a_session_is_known_to_eval(session: Entered) -> None:
    session.enter("(defmacro unless [test x] `(if ~test nil ~x))")
    session.enter("(defn run [form] (eval form))")
    assert session.enter("(run (list 'unless false 5))") == "5"
    session.enter("(defmacro unless [test x] :other)")
    assert session.enter("(run (list 'unless false 5))") == ":other"


# -- what people ask --


def asked(session: Entered, text: str) -> list[str]:
    session.lines.clear()
    session.enter(text)
    return session.lines


def test_doc_tells_arguments_and_doc_string(session: Entered) -> None:
    session.enter('(defn area "The area of a square." ([a] (* a a)) ([a b] (* a b)))')
    assert asked(session, "(doc area)")[1:] == [
        "user/area",
        "([a] [a b])",
        "  The area of a square.",
    ]
    assert asked(session, "(doc map)")[1] == "clojure.core/map"
    assert asked(session, "(doc clojure.string/join)")[1] == "clojure.string/join"
    assert asked(session, "(doc sleep)")[3] == "effect"
    assert asked(session, "(doc when)")[2:4] == ["(when test body ...)", "syntax"]
    assert asked(session, "(doc nothing)") == []


def test_source_shows_a_definition_as_it_was_written(session: Entered) -> None:
    session.enter("(defn f\n  [x]   ; kept\n  x)")
    assert asked(session, "(source f)") == ["(defn f", "  [x]   ; kept", "  x)"]
    assert asked(session, "(source clojure.set/union)")[0].startswith("(defn clojure.set/union")
    assert asked(session, "(source nothing)") == ["Source not found"]


def test_apropos_finds_names_by_a_part(session: Entered) -> None:
    session.enter("(defn my-upper [])")
    assert session.enter('(apropos "upper")') == (
        "[clojure.core/upper-case clojure.string/upper-case user/my-upper]"
    )


def test_dir_lists_a_namespace(session: Entered) -> None:
    session.enter("(def b 1) (def a 2)")
    assert asked(session, "(dir user)") == ["a", "b"]
    assert "union" in asked(session, "(dir clojure.set)")
    assert "no namespace nothing" in session.enter("(dir nothing)")


def test_what_a_session_adds_can_be_defined_by_a_program(session: Entered) -> None:
    session.enter("(defn doc [x] [:mine x])")
    assert session.enter("(doc 1)") == "[:mine 1]"


def test_every_name_that_can_be_written_is_known(session: Entered) -> None:
    session.enter("(defn mine []) (defn- hidden [])")
    names = session.session.names()
    assert {"mine", "hidden", "map", "let", "if", "*1", "doc", "/"} <= names
    assert not [name for name in names if name.startswith("impl/")]


def test_usage_is_told_of_forms_that_there_are() -> None:
    known = {*DERIVED, *REWRITTEN, *SPECIAL, "doc", "source", "apropos", "dir", "load-file"}
    assert USAGE.keys() - known == set()


# -- whole files and forms one by one --


def test_definitions_are_grouped_with_what_follows_them(session: Entered) -> None:
    text = "(def x 1) (defmacro m [] x) (defn f [] (m)) (f) (f) (def y 2)"
    units = list(session.session.units(Source("script", text), grouped=True))
    assert [unit.shown for unit in units] == [None, None, "#'user/y"]
    assert [session.outcome(unit).value for unit in units] == ["1", "1", None]


FILES = ("references", "macros", "protocols", "closures", "names")
CASES = [next(cases_of(path)) for path in sorted(PROGRAMS.glob("*.clj"))]
CASES += [case for case in RUNNING if case.file in FILES and not case.is_error][::7]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_forms_of_a_file_one_by_one_come_to_the_value_of_the_file(case: Case) -> None:
    check(case, list(Entered().values(case.source))[-1])


STATEMENTS = (
    "(def {new} {number})",
    "(def {new} [{old} {number}])",
    "(def {new} (atom {old}))",
    "(defn {new} [x] [x {old}])",
    "(defn {new} ([] (delay {old})) ([x & more] (cons {old} more)))",
    "(defmacro {new} [x] `(vector ~x {old}))",
    "(def {new} (let [{old} {number}] (fn [x] [{old} x])))",
    "(def {new} (lazy-seq (cons {old} nil)))",
    "(when true (def {new} {old}))",
    "(defmulti {new} identity) (defmethod {new} :default [x] {old})",
    "(defonce {new} {old})",
)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Return definitions, each with what was defined before, some of them anew; and what the last are good for."""
    names, macros, lines = ["seed"], set(), ["(def seed 0)"]
    for _ in range(draw(st.integers(1, 6))):
        statement = draw(st.sampled_from(STATEMENTS))
        new = draw(st.sampled_from([*"abcd"]))
        old = draw(st.sampled_from([name for name in names if name not in macros and name != new]))
        if new in names:  # of another kind, and earlier code would have to be compiled anew
            continue
        lines.append(statement.format(new=new, old=old, number=draw(st.integers(0, 9))))
        names.append(new)
        if "defmacro" in statement:
            macros.add(new)
    values = " ".join(
        f"(if (vector? {name}) (count {name}) (number? {name}))"
        for name in names
        if name not in macros
    )
    calls = " ".join(f"(try (count ({name} 5)) (catch Exception e :no))" for name in names)
    return "\n".join([*lines, f"[{values} {calls}]"])


@settings(max_examples=15)
@given(programs())
def test_forms_one_by_one_come_to_what_they_do_together(text: str) -> None:
    whole = Machine(Code(compile_source(text, host=HOST).segment, core_code()), memory_max=MEMORY)
    assert list(Entered().values(text))[-1] == outcome_of(whole)


# -- completeness --


@pytest.mark.parametrize(
    "text", ["(+ 1", '"abc', '(str "a', "'", "#_", "^{:a 1}", "#(inc %", "{:a", "(a) [b", '#"x']
)
def test_a_text_that_could_go_on_is_not_complete(text: str) -> None:
    assert not is_complete(text)


@pytest.mark.parametrize("text", ["", "1", "(+ 1 2)", ")", "(]", "(] (", "; note", "#_ x", "1e"])
def test_a_text_that_is_whole_or_wrong_is_complete(text: str) -> None:
    assert is_complete(text)


LIBRARY = core_source().text
FORMS = [
    "\n".join(LIBRARY.split("\n")[form.span.line - 1 : form.span.end_line])
    for form in read(LIBRARY)[:200]
]


@given(st.sampled_from(FORMS), st.data())
def test_the_beginning_of_a_form_is_complete_only_where_it_can_be_read(
    text: str, data: st.DataObject
) -> None:
    cut = data.draw(st.sampled_from([at for at in range(len(text)) if text[at].isspace()] or [0]))
    try:
        read(text[:cut])
    except (YangError, SourceErrors):
        assert not is_complete(text[:cut])
    else:
        assert is_complete(text[:cut])


@given(st.text(alphabet="()[]{}#'\"\\;^@~` \nax1:/", max_size=30))
def test_what_can_be_read_is_complete(text: str) -> None:
    try:
        read(text)
    except YangError:
        return
    assert is_complete(text)


def test_what_is_shown_of_data_reads_as_the_data(session: Entered) -> None:
    text = '{:a [1 2.5 "x\\"y" \\c nil true #{:k}], "b" (1 2)}'
    assert read_edn(session.enter(f"'{text}")) == read_edn(text)
