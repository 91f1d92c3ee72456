"""The three ways to run a program, for tests that compare them: results, effects in their order, traces of faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from evaluated import noted
from language import (
    FUEL,
    HOST,
    MEMORY,
    Case,
    Node,
    core_code,
    exactly,
    reference_core,
    source_of,
)

from datomstore.value import Set
from yang.compile import compile_source
from yang.lower import tree_of_source
from yind.cesk import Code, Machine, Status
from yind.cesk.hybrid import HybridMachine
from yind.cesk.reference import ReferenceCode, ReferenceMachine
from yind.cesk.transfer import is_safe, transferred

_ORDERS = re.compile("^>(?==?: )")  # compiled, `(> a b)` may be told as `(< b a)`


class Trail(NamedTuple):
    """What a program came to, and what it asked for on the way."""

    value: object
    error: str | None
    trace: tuple[tuple[str, str, object, int], ...]
    effects: tuple[object, ...]


class Program(NamedTuple):
    """A program for both machines."""

    direct: ReferenceCode
    code: Code

    def direct_machine(self, **given: Any) -> ReferenceMachine:
        return ReferenceMachine(self.direct, memory_max=MEMORY, **given)

    def compiled_machine(self, **given: Any) -> Machine:
        return Machine(self.code, memory_max=MEMORY, **given)

    def hybrid_machine(self, hot_count: int | None, **given: Any) -> HybridMachine:
        code = self.code
        return HybridMachine(
            self.direct, lambda: code, memory_max=MEMORY, hot_count=hot_count, **given
        )


@cache
def program_of(source: str, name: str) -> Program:
    """Return a program. Raises SourceError, SourceErrors."""
    code = Code(noted(compile_source(source, name, host=HOST)).segment, core_code())
    tree = tree_of_source(source, name, HOST)
    return Program(ReferenceCode.of_tree(tree, reference_core(), tree.parts), code)


def program_with(case: Case) -> Program:
    """Return the program that has a language case."""
    return program_of(source_of(case), f"{case.file}.clj")


class Walker:
    """Answers the effects of one run and keeps them."""

    def __init__(self, source_name: str) -> None:
        self.source_name = source_name
        self.node = Node()
        self.effects: list[object] = []

    def copy(self) -> Walker:
        copy = Walker(self.source_name)
        copy.node.name = self.node.name
        copy.effects = list(self.effects)
        return copy

    def answer(self, machine: Any) -> None:
        name, arguments = machine.effect
        self.effects.append((name, exactly(arguments)))
        self.node.answer(machine)

    def finish(self, machine: Any, fuel: int = FUEL) -> Trail:
        """Run a machine to its end."""
        while True:
            status = machine.run(fuel)
            if status is Status.EFFECT:
                self.answer(machine)
            elif status is Status.DONE:
                value = Set([exactly(machine.result)])  # sets compare their members as EDN does
                return Trail(value, None, (), tuple(self.effects))
            elif status is Status.FAULT:
                fault = machine.fault
                message = _ORDERS.sub("<", fault.message)
                return Trail(None, message, self._trace(fault), tuple(self.effects))
            else:
                assert status is Status.OUT_OF_FUEL
                assert machine.fuel_used < 4 * FUEL, "the program does not end"

    def _trace(self, fault: Any) -> tuple[tuple[str, str, object, int], ...]:
        """Return the entries of the program itself: the library's may take another way to the same result."""
        return tuple(
            (entry.function, entry.source, entry.span, entry.times)
            for entry in fault.trace
            if entry.source == self.source_name
        )


def moved_everywhere(
    program: Program,
    walker: Walker,
    check: Callable[[Trail, int], None],
    sparser: int,
    **given: Any,
) -> Trail:
    """Run directly to the end, and from safe points on the way also compiled; return what the direct run came to.

    From `sparser` steps on safe points are taken further and further apart.
    """
    machine = program.direct_machine(**given)
    following = 0
    while machine.status not in (Status.DONE, Status.FAULT):
        if machine.fuel_used >= following and is_safe(machine):
            _move(program, machine, walker.copy(), check)
            following = max(machine.fuel_used + 1, machine.fuel_used * 2 - sparser)
        if machine.status is Status.EFFECT:
            walker.answer(machine)
        machine.run(1)
        assert machine.fuel_used < 4 * FUEL, "the program does not end"
    if is_safe(machine):
        _move(program, machine, walker.copy(), check)
    return walker.finish(machine)


def _move(
    program: Program,
    machine: ReferenceMachine,
    walker: Walker,
    check: Callable[[Trail, int], None],
) -> None:
    """Go on compiled, after a way through an image."""
    compiled = transferred(machine, program.code, memory_max=MEMORY)
    image = compiled.image()
    codes = {code.program_hash: code for code in (program.code, core_code())}
    restored = Machine.restore(image, codes.__getitem__, memory_max=MEMORY)
    assert restored.image() == image
    if compiled.status is Status.EFFECT:
        walker.answer(compiled)
    check(walker.finish(compiled), machine.fuel_used)
