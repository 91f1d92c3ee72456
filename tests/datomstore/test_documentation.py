"""The examples of the documentation are true."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from datomstore.datalog import errors, limits

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "datalog.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["datalog.md", "facts.md"])
def test_every_example_prints_what_the_page_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    example = doctest.DocTestParser().get_doctest(page, {}, name, name, 0)
    assert len(example.examples) > 50
    result = doctest.DocTestRunner().run(example)
    assert result.failed == 0, capsys.readouterr().out


def test_every_code_of_an_error_is_on_the_page() -> None:
    folder = Path(errors.__file__).parent
    codes = {
        part
        for file in folder.glob("*.py")
        for part in file.read_text(encoding="utf-8").split('"')
        if part.startswith("query/") and part != "query/error"
    }
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_the_limits_on_the_page_are_those_of_the_engine() -> None:
    assert limits.VALUE_ITEMS_MAX == 65_536
    assert limits.VALUE_DEPTH_MAX == 100
    assert limits.INTEGER_BITS_MAX == 1 << 16
    assert limits.TEXT_LENGTH_MAX == 1 << 20
    assert limits.JOIN_ROWS_MAX == 50_000_000
