"""Loaded code is shared by agents on several threads without a lock: whatever runs, nothing in it is written."""

from __future__ import annotations

from language import RUNNING, core_code, machine_of, outcome_of, runs

from yind.cesk._core import constants_digest


def test_no_language_case_writes_to_the_constants_of_its_code() -> None:
    for case in RUNNING:
        if runs(case):
            machine = machine_of(case)
            code = machine.code
            before = constants_digest(code), constants_digest(core_code())
            outcome_of(machine)
            machine.image()
            machine.frames()
            after = constants_digest(code), constants_digest(core_code())
            assert before == after, case.name
