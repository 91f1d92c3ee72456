"""What people see of texts that others wrote: all of it, in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.output import Column, one_line, show_document, show_rows


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31mred", r"\x9b31mred"),
        ("a\u202eb\u2066c\u200fd", r"a\u202eb\u2066c\u200fd"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\u200bann", r"\u200bann"),
        ("\ud800", r"\ud800"),
        (
            "Zo\u00eb \u5c71\u3000\u5ddd \U0001f600 a\u00a0b",
            "Zo\u00eb \u5c71\u3000\u5ddd \U0001f600 a\u00a0b",
        ),
    ],
)
def test_what_is_not_seen_is_escaped(text: str, seen: str) -> None:
    assert one_line(text) == seen


@given(st.text())
def test_a_row_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_a_table_has_as_many_lines_as_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "a\nforged  row", "n": 1}, {"name": "b", "n": 2}]
    show_rows("x", rows, [Column("name", "NAME"), Column("n", "N", right=True)], output="text")
    assert capsys.readouterr().out.splitlines() == [
        "NAME            N",
        r"a\nforged  row  1",
        "b               2",
    ]


def test_a_text_of_several_lines_keeps_its_lines_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_document("x", {}, "one\n\ttwo\x1b[2J", output="text")
    assert capsys.readouterr().out == "one\n\ttwo\\x1b[2J\n"
