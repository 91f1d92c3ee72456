"""Every language case, one instruction a slice: audited, imaged and restored before each, agents taking turns by chance."""

from __future__ import annotations

from random import Random

import pytest
from language import (
    FUEL,
    MEMORY,
    RUNNING,
    Case,
    Node,
    Outcome,
    check,
    core_code,
    machine_of,
    outcome_of,
    runs,
)

from yind.cesk import Code, Machine, Status

STEPS_MAX = 1_500  # of a case that are taken one by one; then further and further apart
AGENTS = 5  # that take turns
SEEDS = 12

CASES = [case for case in RUNNING if runs(case)]


class Stepped:
    """An agent that begins anew from its image after each of its first steps."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.machine = machine_of(case)
        self.outcome: Outcome | None = None
        self._codes: dict[bytes, Code] = {
            code.program_hash: code for code in (self.machine.code, core_code())
        }
        self._node = Node()
        self._steps = 0

    def step(self) -> None:
        """Carry the machine into a fresh heap and run its next step there."""
        machine = self.machine
        machine.audit()
        image = machine.image()
        self._codes |= {code.program_hash: code for code in machine.units()}
        self.machine = Machine.restore(image, self._codes.__getitem__, memory_max=MEMORY)
        self.machine.audit()
        assert self.machine.image() == image
        self.run()

    def run(self) -> None:
        """Run the next step where the machine is."""
        machine = self.machine
        if machine.status is Status.EFFECT:
            self._node.answer(machine)
        before = machine.fuel_used
        machine.run_steps(1 + max(0, self._steps - STEPS_MAX))
        self._steps += 1
        assert machine.fuel_used - before <= FUEL
        if machine.status is Status.DONE:
            self.outcome = Outcome(machine.result)
        elif machine.status is Status.FAULT:
            self.outcome = Outcome(error=machine.fault.message)
        assert machine.status is not Status.OUT_OF_MEMORY


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_fresh_heap_at_every_instruction_changes_nothing(case: Case) -> None:
    whole = machine_of(case)
    check(case, outcome_of(whole))
    agent = Stepped(case)
    stays = Stepped(case)
    while agent.outcome is None:
        agent.step()
        stays.run()
        assert agent.machine.image() == stays.machine.image()
    check(case, agent.outcome)
    assert agent.machine.fuel_used == whole.fuel_used


@pytest.mark.parametrize("seed", range(SEEDS))
def test_agents_that_take_turns_do_not_disturb_each_other(seed: int) -> None:
    random = Random(seed)
    agents = [Stepped(case) for case in random.sample(CASES, AGENTS)]
    while agents:
        agent = random.choice(agents)
        agent.step()
        if agent.outcome is not None:
            check(agent.case, agent.outcome)
            agents.remove(agent)
