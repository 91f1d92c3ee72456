"""One run tells what is wrong with every form, whatever is wrong with others."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yang.compile import compile_source
from yang.errors import Source, SourceError, SourceErrors, errors_in
from yang.forms import text_of
from yang.host import Host
from yang.limits import ERRORS_SHOWN_MAX
from yang.lint import lint
from yang.reader.clojure import is_complete, read_on


class Top(NamedTuple):
    """A form at the top: its text, with {n} for a number of its own, and lines in it with an error of compilation."""

    text: str
    wrong: tuple[int, ...] = ()
    is_unread: bool = False


SOUND = (
    Top('(defn sound-{n} [x]\n  (str "a ({{" x)\n\n  {{:k [1 #{{x}}]}})'),
    Top("(def value-{n} {{:a [1 2 3], :b #(inc %)}})"),
    Top('(println "two\nlines" \\( \\) [:x])'),
    Top("; a ( in a comment\n(let [x 1]\n  ; ) too\n  (+ x {n}))"),
    Top("(def quoted-{n} '(list @y))"),
    Top("(comment [1 2 {n}])"),
)
WRONG = (
    Top("(println missing-{n})", (0,)),
    Top("(defn wrong-{n} [x]\n  (str x)\n  (recur 1 2))", (2,)),
    Top("(let [x] x)", (0,)),
    Top("(defn calls-{n} []\n  (inc 1 2 3)\n  [absent-{n}])", (1, 2)),
)
UNREAD = (
    Top("(defn other-{n} [x)\n  (inc x))", is_unread=True),
    Top("(defn map-{n} [x]\n  {{:k 1 (inc x))", is_unread=True),
    Top("(def odd-{n}\n  {{:a 1 :b}})", is_unread=True),
    Top("(def twice-{n} #{{1 2 1}})", is_unread=True),
    Top("(def number-{n} [1x (missing 2)])", is_unread=True),
    Top("(def quote-{n} (list 'a '))", is_unread=True),
    Top("(def inner-{n} (map #(map #(inc %) %) []))", is_unread=True),
)
# Too few brackets, or too many: one of these behind one of those would be right again.
UNBALANCED = (
    (
        Top("(defn open-{n} [x]\n  (let [y 1]\n    (+ x y)", is_unread=True),
        Top("(defmacro made-{n} [x]\n  `(do ~x)", is_unread=True),
    ),
    (Top("(defn over-{n} [x]\n  (inc x)))", is_unread=True),),
)
TEXT = Top('(defn text-{n} [x]\n  (str "open x))', is_unread=True)


def together(tops: list[Top]) -> tuple[str, list[range], set[int]]:
    """A program's text, the lines of each form that cannot be read, and the lines of all other mistakes."""
    lines: list[str] = []
    unread: list[range] = []
    wrong: set[int] = set()
    for number, top in enumerate(tops):
        first = len(lines) + 1
        lines += top.text.format(n=number).split("\n")
        if top.is_unread:
            unread.append(range(first, len(lines) + 1))
        wrong |= {first + line for line in top.wrong}
        lines += [""] * (number % 3)
    return "\n".join(lines), unread, wrong


def told(text: str) -> list[SourceError]:
    try:
        compile_source(text, "all.clj")
    except (SourceError, SourceErrors) as error:
        return errors_in(error)
    return []


@given(
    st.sampled_from(UNBALANCED).flatmap(
        lambda some: st.lists(
            st.sampled_from([*SOUND, *SOUND, *WRONG, *UNREAD, *some]), min_size=1, max_size=14
        )
    ),
    st.none() | st.integers(0, 14),
)
def test_what_is_told_is_each_broken_form_once_and_all_that_is_wrong_with_the_others(
    tops: list[Top], place: int | None
) -> None:
    if (
        place is not None
    ):  # one string that is not closed: two would make strings of what is between
        tops = [*tops[:place], TEXT, *tops[place:]]
    text, unread, wrong = together(tops)
    if len(unread) + len(wrong) >= ERRORS_SHOWN_MAX:
        return
    places = [(error.line, error.column) for error in told(text)]
    assert places == sorted(places)
    for lines in unread:
        assert len([line for line, _ in places if line in lines]) == 1, (lines, places)
    rest = {line for line, _ in places if not any(line in lines for lines in unread)}
    assert rest == wrong
    if unread:
        assert [(found.line, found.column) for found in lint(text, "all.clj")] == places


@given(st.lists(st.sampled_from([*SOUND, *UNREAD, *UNBALANCED[0]]), min_size=1, max_size=10))
def test_forms_that_can_be_read_are_read_as_they_are_alone(tops: list[Top]) -> None:
    text, unread, _ = together(tops)
    forms, errors, is_whole = read_on(Source("all.clj", text))
    alone = [
        text_of(form)
        for number, top in enumerate(tops)
        if not top.is_unread
        for form in read_on(Source("all.clj", top.text.format(n=number))).forms
    ]
    assert [text_of(form) for form in forms if form.kind != "unread"] == alone
    assert len(errors) == len(unread)
    assert is_whole


def lines_told(text: str) -> list[int]:
    return [error.line for error in told(text)]


@pytest.mark.parametrize(
    "broken",
    [
        "(defn area [w h]\n  (* w h)",
        "(def area {:a 1 :b})",
        "(declare area",
        "(def ^String area [1x])",
        "(defonce ^:private area (fn [w h] (* w 12x)))",
    ],
)
def test_what_a_form_that_cannot_be_read_defines_is_not_missed(broken: str) -> None:
    assert len(told(f"{broken}\n(println (area 1 2))\n(println aera)")) == 2


@pytest.mark.parametrize(
    ("broken", "use"),
    [
        ("(defmulti area :kind", "(defmethod area :square [{:keys [a]}] (* a a))"),
        ("(defprotocol Shape (area [this])", "(extend-type String Shape (area [s] (count s)))"),
        ("(defrecord Square [side 1x])", "(println (->Square 1) (Square. 2) (:side (map->Square {})))"),
        ("(defmacro unless [t x] `(if ~t nil ~x)", "(unless [no such names] (here or there))"),
        ("(ns app (:require [other.place :as place :refer [thing]])", "(place/run (thing 1))"),
        ("(require '[other.place :as place)", "(place/run anything)"),
        ("(ns app (:require [clojure.string :as text])", '(text/upper-case "a")'),
    ],
)  # fmt: skip
def test_what_follows_from_a_form_that_cannot_be_read_is_not_told(broken: str, use: str) -> None:
    assert lines_told(f"{broken}\n{use}\n{use}") == [1]


def test_a_name_of_a_library_is_looked_up_although_the_ns_form_cannot_be_read() -> None:
    text = '(ns app (:require [clojure.string :as text])\n(text/upper-case "a" 1 2)'
    assert lines_told(text) == [1, 2]


def test_a_macro_that_can_be_read_is_used_although_other_forms_cannot() -> None:
    text = "(def a 1x)\n(defmacro twice [x] `(do ~x ~x))\n(twice (missing 1))"
    assert lines_told(text) == [1, 3]


def test_only_a_parenthesis_in_the_first_column_is_taken_for_the_next_form() -> None:
    assert lines_told("(def a [\n[1 missing]\n'missing\n(missing 1)") == [1, 4]


def test_a_form_is_told_open_where_the_next_one_begins() -> None:
    (error,) = told("(defn f [x]\n  (let [y 1]\n    (+ x y)\n(def a 1)\n(def b 2)")
    assert (error.line, error.column) == (2, 3)
    assert error.hint == "the form of line 4 begins before its )"


def test_the_string_that_is_not_closed_is_the_one_with_a_form_in_it() -> None:
    text = '(println "a)\n(println "b" "c")\n(defn f [] "d")'
    (error,) = told(text)
    assert (error.line, error.column) == (1, 10)
    text = '(defn f\n  "Examples:\n(f 1)"\n  [x] x)\n(println "a)\n(println "b" missing)'
    assert lines_told(text) == [5, 6]


def test_errors_of_files_that_are_required_are_told_together_with_the_others() -> None:
    files = {"app.text": ("text.clj", "(ns app.text)\n(def a [1 2)\n(def b missing)\n(def c 1)")}
    host = Host(load=files.get)
    text = "(ns app (:require [app.text :as t]))\n(println t/a t/c t/d)\n(println 1x)\n"
    try:
        compile_source(text, "app.clj", host=host)
    except (SourceError, SourceErrors) as error:
        places = [(each.source, each.line) for each in errors_in(error)]
    assert places == [("app.clj", 2), ("app.clj", 3), ("text.clj", 2), ("text.clj", 3)]


def test_there_are_never_more_errors_than_people_read() -> None:
    assert len(told("(def a [1 2)\n" * 1000)) == ERRORS_SHOWN_MAX
    assert len(told("(let [x] x)\n" * 10 + "(def a [1 2)\n" * 15)) == ERRORS_SHOWN_MAX


@pytest.mark.parametrize("text", ["(\n" * 20_000, '"\n(' * 20_000, "#=" * 20_000, ")\n" * 20_000])
def test_hostile_text_takes_time_in_proportion_to_its_length(text: str) -> None:
    assert 0 < len(told(text)) <= ERRORS_SHOWN_MAX


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ('(println "a\n(b', False),
        ('(println "a\n(b"', False),
        ('(println "a\n(b")', True),
        ("(defn f []\n(inc 1", False),
        ("(def a [1)", True),
    ],
)
def test_an_entry_is_complete_as_before(text: str, complete: bool) -> None:
    assert is_complete(text) is complete
