"""A program gives the same, for the same fuel, when it is cut into slices and carried about as images."""

from __future__ import annotations

import pytest
from language import MEMORY, RUNNING, Case, check, core_code, machine_of, outcome_of, runs

from yind.cesk import Code, Machine

CUTS_MAX = 60  # images of one run; a case that takes fewer units of fuel has one after each

CASES = [case for case in RUNNING if runs(case)]
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def fuel_of(case: Case) -> int:
    """Return what a case costs in one piece, after checking that it comes to what it should."""
    machine = machine_of(case)
    check(case, outcome_of(machine))
    fuel: int = machine.fuel_used
    return fuel


class Carrier:
    """Replaces a machine by what its image makes, and remembers the last one."""

    def __init__(self, machine: Machine) -> None:
        self.last = machine
        self.codes: dict[bytes, Code] = {
            code.program_hash: code for code in (machine.code, core_code())
        }

    def carry(self, machine: Machine) -> Machine:
        image = machine.image()
        self.codes |= {code.program_hash: code for code in machine.units()}  # also what it made
        assert set(Machine.programs_of(image)) <= set(self.codes)
        self.last = Machine.restore(image, self.codes.__getitem__, memory_max=MEMORY)
        assert self.last.status is machine.status
        assert self.last.image() == image
        return self.last


@each_case
def test_images_between_slices_change_nothing(case: Case) -> None:
    fuel = fuel_of(case)
    machine = machine_of(case)
    carrier = Carrier(machine)
    check(case, outcome_of(machine, carrier.carry, 1 + fuel // CUTS_MAX, fuel_max=2 * fuel + 2))
    assert carrier.last.fuel_used == fuel


@each_case
def test_slices_change_neither_outcome_nor_cost(case: Case) -> None:
    fuel = fuel_of(case)
    for size in (1, 7):
        machine = machine_of(case)
        check(case, outcome_of(machine, fuel=size, fuel_max=2 * fuel + 2))
        assert machine.fuel_used == fuel
