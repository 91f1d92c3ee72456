"""Direct, compiled and hybrid: the same values, errors, traces and effects, wherever a hybrid run moves over."""

from __future__ import annotations

from pathlib import Path

import pytest
from language import RUNNING, Case, cases_of, globals_of, runs
from modes import Program, Trail, Walker, moved_everywhere, program_of, program_with

CASES = [case for case in RUNNING if runs(case)]
SPARSER = 30  # steps; up to there a move is made at every safe point
HOT_COUNT = 3  # calls or rounds

PROGRAMS = {
    path.stem: next(cases_of(path))
    for path in sorted((Path(__file__).parent.parent / "programs").glob("*.clj"))
}


def check_modes(program: Program, name: str, sparser: int = SPARSER, **given: object) -> None:
    compiled = Walker(name).finish(program.compiled_machine(**given))

    def check(trail: Trail, steps: int) -> None:
        assert trail == compiled, f"moved after {steps} steps"

    assert moved_everywhere(program, Walker(name), check, sparser, **given) == compiled
    hybrid = program.hybrid_machine(HOT_COUNT, **given)
    assert Walker(name).finish(hybrid, fuel=50) == compiled


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_language_case_does_the_same_in_all_modes(case: Case) -> None:
    check_modes(program_with(case), f"{case.file}.clj", globals=globals_of(case))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_continuations_does_the_same_in_all_modes(name: str) -> None:
    check_modes(program_of(PROGRAMS[name].source, f"{name}.clj"), f"{name}.clj", 200)
