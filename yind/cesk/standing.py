"""Where a machine stands in its programs: frames, functions that are values, an effect that waits.

Is:     what `Machine.standing` noted, in terms of each program's nodes.
Is not: the walk (`_standing.pxi`), nor what can be reached from there (`yang/rules/reach.dl`).
Fits:   `yind.admission` asks policies about an agent that arrives.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from yang.core import core_segment
from yang.primitives import PRIMITIVES
from yang.resolve import plain_name
from yang.segment import Segment
from yind.cesk._core import Machine

_KIND, _NUMBER = 61, 32  # ORDER: standing; bits below them
_POSITION_MASK = (1 << _NUMBER) - 1
_NUMBER_MASK = (1 << (_KIND - _NUMBER)) - 1


class Kind(IntEnum):
    """ORDER: standing."""

    RUNS = 0  # the node comes next
    WAITS = 1  # the call has been made
    HOLDS = 2  # the :lambda is a value
    HOLDS_HOST = 3
    ASKS = 4
    HOLDS_CORE = 5  # or runs


class Standing(NamedTuple):
    """One place of an agent in one of its programs."""

    program: bytes  # hash
    kind: Kind
    node: int  # by pre-order index; of a host function that is held 0, the program
    body: int = 0  # of a frame: the :arity or :program it runs
    host: str = (
        ""  # name of a function of the host or of the core library, "" for one inside of another
    )


def standing(machine: Machine) -> list[Standing]:
    """Return where a machine stands; functions of the host and the core library are told of its last unit."""
    return list(_places([unit.segment for unit in machine.units()], machine.standing()))


def _places(units: Sequence[Segment], notes: bytes) -> Iterator[Standing]:
    last = units[-1].program_hash
    for noted in array("Q", notes):
        kind = Kind(noted >> _KIND)
        number = noted >> _NUMBER & _NUMBER_MASK
        match kind:
            case Kind.HOLDS:
                unit, number = _unit(units, [len(unit.functions) for unit in units], number)
                yield Standing(unit.program_hash, kind, _function_node(unit, number))
            case Kind.HOLDS_HOST | Kind.ASKS:
                yield Standing(last, kind, 0, host=PRIMITIVES[number].name)
            case Kind.HOLDS_CORE:
                name = core_segment().functions[number].name or ""
                yield Standing(last, kind, 0, host=plain_name(name))
            case _:
                counts = [sum(len(f.arities) for f in unit.functions) for unit in units]
                unit, number = _unit(units, counts, number)
                body = [arity.node for f in unit.functions for arity in f.arities][number]
                yield Standing(
                    unit.program_hash, kind, unit.nodes[noted & _POSITION_MASK], body=body
                )


def _unit(units: Sequence[Segment], counts: Sequence[int], number: int) -> tuple[Segment, int]:
    """Return the unit that something is of, counted through all, and its number there."""
    for unit, count in zip(units, counts, strict=True):
        if number < count:
            return unit, number
        number -= count
    raise AssertionError(number)


def _function_node(unit: Segment, number: int) -> int:
    """Return the node of a function's first body; its :lambda is the parent."""
    return unit.functions[number].arities[0].node
