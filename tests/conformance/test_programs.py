"""Whole programs made of continuations, on both machines, cut and carried about as images on the way."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from language import MEMORY, Case, Outcome, cases_of, check, core_code, outcome_of, reference_core

from yang.compile import compile_source
from yang.lower import tree_of_source
from yind.cesk import Code, Machine
from yind.cesk.reference import ReferenceCode, ReferenceMachine

PROGRAMS = Path(__file__).parent.parent / "programs"
CASES = {path.stem: next(cases_of(path)) for path in sorted(PROGRAMS.glob("*.clj"))}
CUTS_MAX = 250  # images of one run
PRIMES = (1, 3, 7, 13)  # slices that fall at other places each time

each_program = pytest.mark.parametrize("name", CASES)


@cache
def code_of(name: str) -> Code:
    return Code(compile_source(CASES[name].source, f"{name}.clj").segment, core_code())


def machine_of(name: str) -> Machine:
    return Machine(code_of(name), memory_max=MEMORY)


def carried(machine: Machine) -> Machine:
    """Return what a machine's image makes."""
    codes = {code.program_hash: code for code in (machine.code, core_code())}
    restored = Machine.restore(machine.image(), codes.__getitem__, memory_max=MEMORY)
    assert restored.image() == machine.image()
    return restored


def run_carried(case: Case, machine: Machine, slice_size: int) -> int:
    """Run in slices with an image after each, check the outcome and return the fuel spent."""
    last = machine

    def carry(stopped: Machine) -> Machine:
        nonlocal last
        last = carried(stopped)
        return last

    check(case, outcome_of(machine, carry, slice_size))
    return int(last.fuel_used)


@each_program
def test_a_program_gives_on_the_reference_machine_what_it_says(name: str) -> None:
    case = CASES[name]
    code = ReferenceCode.of_tree(tree_of_source(case.source, f"{name}.clj"), reference_core())
    check(case, outcome_of(ReferenceMachine(code, memory_max=MEMORY)))


@each_program
def test_a_program_gives_the_same_for_the_same_fuel_when_it_is_carried_about(name: str) -> None:
    machine = machine_of(name)
    check(CASES[name], outcome_of(machine))
    for prime in PRIMES:
        slice_size = max(prime, machine.fuel_used * len(PRIMES) // CUTS_MAX + prime)
        assert run_carried(CASES[name], machine_of(name), slice_size) == machine.fuel_used


@each_program
def test_a_program_leaves_little_behind(name: str) -> None:
    """What was captured and given up is freed: an image at the end has the result and the definitions."""
    machine = machine_of(name)
    assert outcome_of(machine) != Outcome()
    assert len(machine.image()) < 6_000
