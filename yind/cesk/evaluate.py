"""Macros on the machine: a program run to its end, with nothing but its argument.

Is:     what `yang.host.Host.evaluate` is for the command, the daemon and the tests.
Is not: an agent: no effect is answered but `log!`, which is lost, and fuel and memory are bounded.
Fits:   `cli.sources` and tests pass it to the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from datomstore.value import Map
from yang.core import core_segment
from yang.errors import MacroFault
from yang.segment import Segment
from yind.cesk._core import Code, Machine, Status
from yind.cesk.errors import ValueInvalid
from yind.cesk.limits import MACRO_FUEL_MAX, MACRO_MEMORY_MAX, MACRO_SLICE


@cache
def _core() -> Code:
    return Code(core_segment(), None)


class _Loaded:
    """The segment that was checked and loaded last: calls of macros that stand together run the same one."""

    def __init__(self) -> None:
        self._last: tuple[Segment, Code] | None = None

    def code_of(self, segment: Segment) -> Code:
        last = self._last
        if last is None or last[0] is not segment:
            last = self._last = segment, Code(segment, _core())
        return last[1]


_loaded = _Loaded()


def evaluate(
    segment: Segment, given: Map, charge: Callable[[int], None] = lambda fuel: None
) -> object:
    """Return the value of a program that is given a map as *args*.

    Args:
        segment: the program.
        given: its *args*.
        charge: is called with the fuel that was used, a slice at a time.

    Raises:
        MacroFault: it failed, asked for an effect, or used too much.
    """
    machine = Machine(
        _loaded.code_of(segment),
        memory_max=MACRO_MEMORY_MAX,
        fuel_max=MACRO_FUEL_MAX,
        globals={"*args*": given},
    )
    while True:
        before = machine.fuel_used
        status = machine.run(MACRO_SLICE)
        charge(machine.fuel_used - before)
        if status is Status.OUT_OF_FUEL and machine.fuel_used < MACRO_FUEL_MAX:
            continue
        if status is Status.DONE:
            try:
                return machine.result
            except ValueInvalid as error:
                raise MacroFault(f"what it made is no code: {error}") from None
        if status is Status.EFFECT and machine.effect[0] == "log!":
            machine.resume(None)
        elif status is Status.EFFECT:
            raise MacroFault(f"{machine.effect[0]} is an effect, which macros cannot do")
        elif status is Status.FAULT:
            raise MacroFault(machine.fault.message)
        else:
            raise MacroFault("it took too much time or memory")
