from datetime import UTC, datetime
from fractions import Fraction
from time import process_time
from uuid import UUID

import pytest

from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.errors import SourceError, SourceErrors
from yang.forms import text_of, value_of
from yang.limits import NESTING_MAX
from yang.reader.clojure import read
from yang.segment import Span


def value(text: str) -> object:
    (form,) = read(text)
    return value_of(form)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nil", None),
        ("true", True),
        ("-42", -42),
        ("0x1F", 31),
        ("1/2", Fraction(1, 2)),
        ("1e3", 1000.0),
        ("12345678901234567890N", 12345678901234567890),
        ('"a\\n\\u03bb"', "a\nλ"),
        ("\\a", Char("a")),
        ("\\newline", Char("\n")),
        ("\\(", Char("(")),
        (":a.b/c", Keyword("a.b/c")),
        ("a'", Symbol("a'")),
        ("/", Symbol("/")),
        ("call/cc", Symbol("call/cc")),
        ("-", Symbol("-")),
        ("->x", Symbol("->x")),
        ("(1 2)", List((1, 2))),
        ("[1, 2]", (1, 2)),
        ("{:a 1}", Map([(Keyword("a"), 1)])),
        ("#{1 2}", Set([1, 2])),
        ("'x", List((Symbol("quote"), Symbol("x")))),
        ("^String x", Symbol("x")),
        ("^{:doc 1} ^:b x", Symbol("x")),
        ("[#_ a #_ #_ b c d]", (Symbol("d"),)),
        ("[a ; comment\n b]", (Symbol("a"), Symbol("b"))),
        ('#bytes "00ff"', b"\x00\xff"),
        ("##Inf", float("inf")),
        ("-0x1f", -31),
        ("017", 15),
        ("36rZZ", 1295),
        ("\\u03bb", Char("λ")),
        ("\\o101", Char("A")),
        ("\\,", Char(",")),
        ('"\\101\\t"', "A\t"),
        ('#"\\d+\\""', List((Symbol("clojure.core/re-pattern"), '\\d+\\"'))),
        ("#'x", List((Symbol("var"), Symbol("x")))),
        ("@x", List((Symbol("clojure.core/deref"), Symbol("x")))),
        (
            "#:a{:b 1, :_/c 2, :d/e 3}",
            Map([(Keyword("a/b"), 1), (Keyword("c"), 2), (Keyword("d/e"), 3)]),
        ),
        ("#:a{b 1}", Map([(Symbol("a/b"), 1)])),
        ("[#?(:clj 1 :yin 2) #?(:cljs #js {}) #?@(:default [3 4])]", (2, 3, 4)),
        ("[#?(:default 1 :yin 2)]", (1,)),
        ("[#! to the end\n1]", (1,)),
        ("#^:old x", Symbol("x")),
        ('#inst "2020-02"', datetime(2020, 2, 1, tzinfo=UTC)),
        ('#uuid "00000000-0000-0000-0000-000000000001"', UUID(int=1)),
    ],
)
def test_text_is_read_as_the_value(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


def test_metadata_stays_with_the_form() -> None:
    (form,) = read("^{:doc 1} ^String ^:private x")
    assert [(key.value.name, value.value) for key, value in form.meta] == [
        ("private", True),
        ("tag", "String"),
        ("doc", 1),
    ]


def test_reading_goes_on_after_an_error_where_a_line_starts_with_a_bracket() -> None:
    with pytest.raises(SourceErrors) as raised:
        read("(def a 1x)\n(def b [)\n (c\n(def d #{1 1})\n)\n(def e \\foo)\n", "a.clj")
    assert [(error.line, error.column) for error in raised.value.errors] == [
        (1, 8),
        (2, 9),
        (4, 8),
        (5, 1),
        (6, 8),
    ]


def test_ten_thousand_lines_are_read_in_time() -> None:
    line = '(defn f [x & more] (let [y (+ x 1)] {:a y "b" \\c})) ; as usual\n'
    text = line * 10_000
    read("1")
    start = process_time()
    assert len(read(text)) == 10_000
    assert process_time() - start < 2  # s; 0.6 of them measured


def test_every_form_has_the_span_it_was_written_at() -> None:
    (form,) = read('(f\n  [a "bc"])')
    function, arguments = form.value
    assert form.span == Span(1, 1, 2, 12)
    assert function.span == Span(1, 2, 1, 3)
    assert arguments.span == Span(2, 3, 2, 11)
    assert arguments.value[1].span == Span(2, 6, 2, 10)


def test_quote_spans_from_its_mark() -> None:
    (form,) = read("  'abc")
    assert form.span == Span(1, 3, 1, 7)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("(a\n (b [c])", 1, 1, "( is not closed"),
        ("(a\n [b {c d", 2, 5, "{ is not closed"),
        ("#{a", 1, 1, "#{ is not closed"),
        ("#(a", 1, 1, "#( is not closed"),
        ("(a [b)", 1, 6, ") does not close [ of line 1, column 4"),
        ("a ]", 1, 3, "] closes nothing"),
        ('(a "b)', 1, 4, "this string is not closed"),
        ("(a ')", 1, 4, "' has no form after it"),
        ("#_", 1, 1, "#_ has no form after it"),
        ("^x", 1, 1, "^ has no form after it"),
        ("{:a}", 1, 2, "a map with a key that has no value"),
        ("{:a 1 :a 2}", 1, 1, "a map with a key twice"),
        ("#{1 1}", 1, 1, "a set with a member twice"),
        ("1x", 1, 1, "'1x' is not a number"),
        ("1/0", 1, 1, "a ratio with denominator zero"),
        ("\\foo", 1, 1, "no character is named \\foo"),
        ('"\\q"', 1, 1, "no escape \\q in strings"),
        ("#=(+ 1 2)", 1, 1, "read-time evaluation #= is not supported"),
        ("##Foo", 1, 1, "no value ##Foo"),
        ("#(a #(b))", 1, 5, "#( ) inside #( )"),
        ("x/", 1, 1, "x/ is not a symbol"),
    ],
)
def test_unreadable_text_is_refused_at_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(SourceError) as raised:
        read(text, "a.clj")
    assert (raised.value.line, raised.value.column) == (line, column)
    assert message in raised.value.message


def test_error_shows_file_line_and_caret() -> None:
    with pytest.raises(SourceError) as raised:
        read("(def x 1)\n\t(let [a (if b]\n c)", "a.clj")
    assert str(raised.value) == (
        "a.clj:2:15: ] does not close ( of line 2, column 10\n"
        "  \t(let [a (if b]\n"
        "  \t             ^\n"
        "  hint: expected )"
    )


def test_caret_of_a_long_line_stays_in_view() -> None:
    with pytest.raises(SourceError) as raised:
        read("a " * 10_000 + ")")
    _, shown, caret, _hint = str(raised.value).split("\n")
    assert len(shown) < 200
    assert shown[caret.index("^")] == ")"


def test_deep_nesting_is_refused_with_a_place() -> None:
    assert read("(" * NESTING_MAX + ")" * NESTING_MAX)
    with pytest.raises(SourceError, match="nested deeper") as raised:
        read("(" * 50_000 + ")" * 50_000)
    assert raised.value.column == NESTING_MAX + 1


def test_a_million_open_brackets_are_an_error() -> None:
    with pytest.raises(SourceError, match="is not closed"):
        read("(" * 100_000)


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(SourceError, match="surrogate"):
        read('"\ud800"')


def test_forms_are_written_as_they_are_read() -> None:
    text = '(defn f [x] {:a #{1 "b"} \\c (quote (x y))})'
    assert text_of(read(text)[0]) == text
