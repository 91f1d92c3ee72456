"""The table of protections is true: each stands in the code once, and the tests that notice its absence are there."""

from __future__ import annotations

import mutants
import pytest

ENTRIES = mutants.table()


@pytest.mark.parametrize("mutant", ENTRIES, ids=lambda mutant: f"{mutant.file}: {mutant.name}")
def test_a_protection_stands_in_the_code_once(mutant: mutants.Mutant) -> None:
    compile(mutant.source(), mutant.file, "exec", dont_inherit=True)
    assert mutant.source() != (mutants.ROOT / mutant.file).read_text()


def test_the_tests_that_notice_are_there() -> None:
    assert mutants.missing_tests(ENTRIES) == []


def test_there_are_many_protections_and_each_has_a_name() -> None:
    names = [(mutant.file, mutant.name) for mutant in ENTRIES]
    assert len(set(names)) == len(names) >= 60
    assert all(mutant.noticed_by for mutant in ENTRIES)


def test_what_is_lost_is_an_error() -> None:
    entry = mutants.Mutant("x", "capabilities/patterns.py", "no such text", "", ("test_x.py::a",))
    with pytest.raises(ValueError, match="0 times"):
        entry.source()
    assert mutants.missing_tests([entry]) == ["test_x.py::a"]
    places = mutants.unprotected("capabilities/patterns.py", [entry])
    kept = [entry for entry in ENTRIES if entry.file == "capabilities/patterns.py"]
    assert len(places) == (mutants.ROOT / entry.file).read_text().count("raise TokenInvalid")
    assert mutants.unprotected("capabilities/patterns.py", kept) == []
