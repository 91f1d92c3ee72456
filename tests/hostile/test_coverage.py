"""The language cases run every instruction and every host function of the compiled machine.

Counted in this process: how often each was run, while every case is run in one piece and, one instruction a slice, from
an image. The compiler may give an instruction for what has a host function as well, so `+` counts once it is a value.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from language import MEMORY, RUNNING, core_code, machine_of, outcome_of, runs

from yang.isa import INSTRUCTIONS
from yang.primitives import PRIMITIVES
from yind.cesk import Code, Machine, Status
from yind.cesk._core import run_counts

STEPS_MAX = 400  # of a case, each in a fresh heap
CASES = [case for case in RUNNING if runs(case)]


EVERY = [f"instruction {row.name}" for row in INSTRUCTIONS]
EVERY += [f"host function {row.name}" for row in PRIMITIVES]


def counts() -> list[int]:
    """Return how often each of EVERY was run in this process."""
    instructions, primitives = run_counts()
    return instructions + primitives


def run_whole() -> None:
    for case in CASES:
        outcome_of(machine_of(case))


def run_from_images() -> None:
    for case in CASES:
        machine = machine_of(case)
        codes: dict[bytes, Code] = {code.program_hash: code for code in (machine.code, core_code())}

        def carried(machine: Machine, codes: dict[bytes, Code] = codes) -> Machine:
            codes |= {code.program_hash: code for code in machine.units()}
            return Machine.restore(machine.image(), codes.__getitem__, memory_max=MEMORY)

        for _ in range(STEPS_MAX):
            if machine.status is not Status.OUT_OF_FUEL:
                break
            machine = carried(machine)
            machine.run_steps(1)
        outcome_of(machine, carried)


@pytest.mark.parametrize("way", [run_whole, run_from_images])
def test_the_language_cases_run_every_instruction_and_host_function(
    way: Callable[[], None],
) -> None:
    before = counts()
    way()
    ran = [new > old for new, old in zip(counts(), before, strict=True)]
    assert [name for name, was_run in zip(EVERY, ran, strict=True) if not was_run] == []
