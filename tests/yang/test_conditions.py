"""Conditions jump straight to their branch; `yang/rules/conditions.dl` says how."""

from __future__ import annotations

import pytest

from yang.compile import compile_source
from yang.disassemble import disassemble


def instructions(test: str) -> list[str]:
    """Return the instructions of a function that gives 1 or 2 as its parameters answer a test."""
    segment = compile_source(f"(fn* [a b c] (if {test} 1 2))", "t").segment
    lines = disassemble(segment).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("f1"))
    return [line.split(";")[0].split(None, 1)[1].strip() for line in lines[start + 1 :]]


FIRST = ["const         r3 1", "return        r3"]
SECOND = ["const         r3 2", "return        r3"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("(and (< a b) (= b c))", ["unless-less   r0 r1 -> 6", "unless-equal  r1 r2 -> 6"]),
        ("(not (or a b))", ["branch-true   r0 -> 6", "branch-true   r1 -> 6"]),
        ("(or a b)", ["branch-true   r0 -> 4", "branch-false  r1 -> 6"]),
        ("(not (not (nil? a)))", ["unless-nil    r0 -> 5"]),
        ("(let* [] (do b a))", ["branch-false  r0 -> 5"]),
    ],
)
def test_the_parts_of_a_condition_jump_to_its_branches(test: str, expected: list[str]) -> None:
    assert instructions(test) == [*expected, *FIRST, *SECOND]


def test_a_part_that_holds_jumps_over_the_rest_of_an_or() -> None:
    assert instructions("(or (= a b) (< b c))") == [
        "unless-equal  r0 r1 -> 4",
        "jump          -> 5",
        "unless-less   r1 r2 -> 7",
        *FIRST,
        *SECOND,
    ]


def test_a_branch_that_is_known_is_a_jump_and_no_value() -> None:
    assert instructions("(if a b false)") == [
        "branch-false  r0 -> 5",
        "branch-false  r1 -> 8",
        "jump          -> 6",
        "jump          -> 8",
        *FIRST,
        *SECOND,
    ]


def test_a_name_that_is_mentioned_again_keeps_its_value() -> None:
    kept = instructions("(let* [x (= a b)] (if x x (conj c x)))")
    assert kept[0].startswith("equal ")
