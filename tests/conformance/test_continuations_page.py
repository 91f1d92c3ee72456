"""The examples of docs/continuations.md, on both machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from language import MEMORY, Case, check, core_code, outcome_of, reference_core

from yang.compile import compile_source
from yang.lower import tree_of_source
from yind.cesk import Code, Machine
from yind.cesk.reference import ReferenceCode, ReferenceMachine

PAGE = Path(__file__).parents[2] / "docs" / "continuations.md"
BLOCK = re.compile(r"^```clojure\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VALUE = "; => "
ERROR = "error: "


def examples() -> Iterator[Case]:
    """Yield a program for each value on the page: its block up to there."""
    text = PAGE.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        lines: list[str] = []
        for number, line in enumerate(block[1].splitlines(), first):
            if line.startswith(VALUE):
                value = line.removeprefix(VALUE)
                expected = value.removeprefix(ERROR)
                yield Case("continuations", number, "\n".join(lines), expected, expected != value)
            else:
                lines.append(line)


EXAMPLES = list(examples())
each_example = pytest.mark.parametrize("case", EXAMPLES, ids=[case.name for case in EXAMPLES])


@each_example
def test_an_example_gives_on_the_compiled_machine_what_the_page_says(case: Case) -> None:
    code = Code(compile_source(case.source, "page.clj").segment, core_code())
    check(case, outcome_of(Machine(code, memory_max=MEMORY)))


@each_example
def test_an_example_gives_on_the_reference_machine_what_the_page_says(case: Case) -> None:
    code = ReferenceCode.of_tree(tree_of_source(case.source, "page.clj"), reference_core())
    check(case, outcome_of(ReferenceMachine(code, memory_max=MEMORY)))


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 25
