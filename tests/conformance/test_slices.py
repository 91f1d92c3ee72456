"""A program gives the same when it is cut into slices and carried from machine to machine as an image."""

from __future__ import annotations

import pytest
from language import MEMORY, RUNNING, Case, Code, Machine, check, core_code, machine_of, outcome_of

from yang.errors import SourceError, SourceErrors

ALL_OF = ("atoms", "call_cc", "closures", "effects", "errors", "lazy_seqs", "loops")
EVERY = 8  # of the other files' cases
CUTS_MAX = 60  # slices of one run: an image is taken after each


def starts(case: Case) -> bool:
    """Return whether a case compiles; errors of the compiler have no machine."""
    if not case.is_error:
        return True
    try:
        machine_of(case)
    except (SourceError, SourceErrors):
        return False
    return True


CASES = [
    case
    for number, case in enumerate(RUNNING)
    if (case.file in ALL_OF or number % EVERY == 0) and starts(case)
]
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def fuel_of(case: Case) -> int:
    """Return what a case costs in one piece; effects are not counted exactly, which does not matter."""
    machine = machine_of(case)
    outcome_of(machine)
    fuel: int = machine.fuel_used
    return fuel


def carried(machine: Machine) -> Machine:
    """Return the machine that an image makes; its own image is the same."""
    codes: dict[bytes, Code] = {code.program_hash: code for code in (machine.code, core_code())}
    image = machine.image()
    assert set(Machine.programs_of(image)) <= set(codes)
    restored = Machine.restore(image, codes.__getitem__, memory_max=MEMORY)
    assert restored.status is machine.status
    assert restored.image() == image
    return restored


@each_case
def test_images_between_slices_change_nothing(case: Case) -> None:
    size = 1 + fuel_of(case) // CUTS_MAX
    for fuel in (size, 2 * size + 1):
        check(case, outcome_of(machine_of(case), carried, fuel))


@each_case
def test_slices_change_neither_outcome_nor_cost(case: Case) -> None:
    whole = machine_of(case)
    check(case, outcome_of(whole))
    for fuel in (1, 2, 7):
        sliced = machine_of(case)
        check(case, outcome_of(sliced, fuel=fuel))
        assert sliced.fuel_used == whole.fuel_used
