"""Clojure's answers, as recorded, against yin's: on the compiled machine, and every few on the reference machine."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from clojure_answers import (
    FILES,
    FOLDER,
    Asked,
    agrees,
    asked_of,
    batches,
    compiled_answers,
    difference,
    direct_answers,
)

PAGE = Path(__file__).parent.parent.parent / "docs" / "clojure.md"
DOCUMENTED = FOLDER / "documented.clj"
COMPARED = [path for path in FILES if path != DOCUMENTED]
LEAST = 5000  # expressions that are compared
DIRECT_SHARE = 25  # one in so many runs on the reference machine, too: it is slow


def documented() -> frozenset[str]:
    """Return the expressions that may differ."""
    return frozenset(asked.text for asked in asked_of(DOCUMENTED))


def undocumented(asked: list[Asked]) -> list[Asked]:
    known = documented()
    return [one for one in asked if one.text not in known]


@pytest.mark.parametrize("path", COMPARED, ids=[path.stem for path in COMPARED])
def test_what_clojure_answers_is_what_we_answer(path: Path) -> None:
    answers = chain.from_iterable(
        compiled_answers(batch) for batch in batches(undocumented(asked_of(path)))
    )
    assert [difference(asked, found) for asked, found in answers if not agrees(asked, found)] == []


@pytest.mark.parametrize("path", COMPARED, ids=[path.stem for path in COMPARED])
def test_the_reference_machine_answers_the_same(path: Path) -> None:
    some = tuple(undocumented(asked_of(path))[::DIRECT_SHARE])
    assert [
        difference(asked, found)
        for asked, found in direct_answers(some)
        if not agrees(asked, found)
    ] == []


def test_every_documented_difference_is_one() -> None:
    answers = chain.from_iterable(compiled_answers((asked,)) for asked in asked_of(DOCUMENTED))
    assert [asked.text for asked, found in answers if agrees(asked, found)] == []


def test_every_difference_is_in_the_table_of_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [text for text in documented() if f"`{text}`" not in page] == []


def test_thousands_of_expressions_are_compared() -> None:
    assert len({asked.text for path in COMPARED for asked in asked_of(path)}) >= LEAST
