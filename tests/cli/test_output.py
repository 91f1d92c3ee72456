"""What people see of texts that others wrote: all of it, in its place."""

from __future__ import annotations

import pytest
from commands import code_of
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import CliError
from cli.output import (
    Column,
    as_message,
    note,
    one_line,
    show_document,
    show_rows,
    tell_error,
)


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


FORGED = "no\x1b[2J\ryin: done\n  try: yin kill all\x9b1A\n\tat f (a.clj:1:1)"


def test_a_message_begins_in_one_line_and_what_follows_stands_below_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note(FORGED)
    tell_error(CliError(FORGED, hint="yin show 'a\nyin: b'"), "yin")
    below = ["      try: yin kill all\\x9b1A", "    \tat f (a.clj:1:1)"]
    assert capsys.readouterr().err.splitlines() == [
        r"no\x1b[2J\ryin: done",
        *below,
        r"yin: no\x1b[2J\ryin: done",
        *below,
        r"  try: yin show 'a\nyin: b'",
    ]


@given(st.text())
def test_no_message_has_a_line_that_could_be_another(text: str) -> None:
    more = as_message(text).splitlines()[1:]
    assert all(line.startswith("    ") for line in more if line)
    assert all(char.isprintable() or char in "\n\t" or char.isspace() for char in as_message(text))


def test_what_a_person_mistyped_is_seen_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("ps", "--on\x1b[2J") == 2
    assert "\x1b" not in capsys.readouterr().err


def test_an_error_of_our_own_is_escaped_like_any_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError(FORGED)

    monkeypatch.setattr("cli.main.yin.main", fails)
    assert code_of("ps") == 70
    assert (
        capsys.readouterr()
        .err.splitlines()[0]
        .startswith(r"yin: internal error: ValueError: no\x1b")
    )
