from fractions import Fraction

import pytest

from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.errors import SourceError
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
    ],
)
def test_text_is_read_as_the_value(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


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
        ("::a", 1, 1, "::a: keywords resolved by namespace are not supported"),
        ("`a", 1, 1, "syntax quote ` is not supported"),
        ("~a", 1, 1, "unquote ~ is not supported"),
        ("#'a", 1, 1, "var quote #' is not supported"),
        ('#"a"', 1, 1, "regular expressions"),
        ("#?(:clj 1)", 1, 1, "reader conditionals #? are not supported"),
        ("#=(+ 1 2)", 1, 1, "read-time evaluation #= is not supported"),
        ("#foo 1", 1, 1, "no tag #foo"),
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
    _, shown, caret = str(raised.value).split("\n")
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
