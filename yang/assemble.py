"""A code segment from the execution stream.

Is:     numbering of constants, globals and functions, and packing of steps into instructions.
Is not: any choice of instructions, slots or order: the stream has made them.
Fits:   `yang.compile` calls it; `yind.cesk` checks and loads the segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yang.canonical import encode
from yang.columns import Array
from yang.execution import USED, Stream, operands_of, selector_of
from yang.isa import INSTRUCTION_SIZE, INSTRUCTIONS, OPCODES
from yang.segment import Arity, Function, FunctionRef, Handler, PrimitiveRef, Segment, Span

CONSTANTS, GLOBALS, FUNCTIONS, SLOTS = map(operands_of, "KGFR")
_POOLED = CONSTANTS | GLOBALS
_PACKED = np.dtype([("opcode", "<u2"), ("n", "<u2"), ("operands", "<i4", 3)])  # INSTRUCTION_FORMAT
assert _PACKED.itemsize == INSTRUCTION_SIZE, _PACKED


@dataclass(frozen=True, slots=True)
class Body:
    """A body as the facts have it; nodes are pre-order numbers."""

    node: int
    parameter_count: int  # required ones
    variadic: bool
    slot_names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function as the facts have it."""

    node: int
    name: str | None
    captures: tuple[str, ...]
    bodies: tuple[Body, ...]


def assemble(
    stream: Stream,
    *,
    program_hash: bytes,
    source_name: str,
    top: Body,
    lambdas: Sequence[Lambda],
    constant: Callable[[int, int], object],
    name: Callable[[int], str],
    spans: Sequence[Span],
    slots: Array,
) -> Segment:
    """Return the segment of a stream.

    Args:
        stream: the ordered steps; a step's order becomes its pc.
        program_hash: the identity of the program.
        source_name: for people.
        top: the program's top level, function 0.
        lambdas: the other functions, in the order of their numbers (from 1).
        constant: its value by node and selector.
        name: of a global, by node.
        spans: by node.
        slots: of names and values, by node; -1 for none.
    """
    pool = _Pool()
    code = _packed(stream, pool, lambdas, constant, name)
    widths = _slot_counts(stream)
    functions = [Function(None, 0, (), (_arity(top, stream, widths),))]
    for function in lambdas:
        arities = tuple(_arity(body, stream, widths) for body in function.bodies)
        functions.append(
            Function(function.name, len(function.captures), function.captures, arities)
        )
    return Segment(
        program_hash=program_hash,
        source_name=source_name,
        code=code,
        constants=tuple(pool.constants),
        globals=tuple(pool.globals),
        functions=tuple(functions),
        handlers=tuple(Handler(guard.start, guard.end, guard.target) for guard in stream.guards),
        nodes=tuple(stream.node.tolist()),
        spans=tuple(spans),
        entries=tuple(stream.entries.tolist()),
        slots=tuple(slots.tolist()),
    )


class _Pool:
    """The segment's constants and globals, each once."""

    def __init__(self) -> None:
        self.constants: list[object] = []
        self.globals: list[str] = []
        self._constant_numbers: dict[object, int] = {}
        self._global_numbers: dict[str, int] = {}

    def constant(self, value: object) -> int:
        key = constant_key(value)
        number = self._constant_numbers.setdefault(key, len(self.constants))
        if number == len(self.constants):
            self.constants.append(value)
        return number

    def global_name(self, name: str) -> int:
        number = self._global_numbers.setdefault(name, len(self.globals))
        if number == len(self.globals):
            self.globals.append(name)
        return number


def constant_key(value: object) -> object:
    """Return what tells constants apart: exact bytes, which unlike `=` know lists from vectors."""
    if isinstance(value, FunctionRef | PrimitiveRef):
        return type(value).__name__, tuple(value)
    return encode(value)


def _packed(
    stream: Stream,
    pool: _Pool,
    lambdas: Sequence[Lambda],
    constant: Callable[[int, int], object],
    name: Callable[[int], str],
) -> bytes:
    """Return the instructions, and number constants and globals in the order in which they first stand there."""
    operands = np.where(USED[stream.opcode], stream.operands, 0)
    number_of = np.zeros(len(stream.entries) + 1, np.int64)
    for number, function in enumerate(lambdas, 1):
        number_of[function.node] = number
    functions = FUNCTIONS[stream.opcode]
    operands[functions] = number_of[operands[functions]]
    rows, places = np.nonzero(_POOLED[stream.opcode])
    global_ = GLOBALS[stream.opcode[rows], places].tolist()
    nodes, selectors = operands[rows, places].tolist(), stream.operands[rows, 2].tolist()
    opcodes = stream.opcode[rows].tolist()
    operands[rows, places] = [
        pool.global_name(name(node))
        if is_global
        else pool.constant(constant(node, selector_of(INSTRUCTIONS[opcode].name, selector)))
        for node, selector, opcode, is_global in zip(
            nodes, selectors, opcodes, global_, strict=True
        )
    ]
    packed = np.empty(len(stream), _PACKED)
    packed["opcode"], packed["n"], packed["operands"] = stream.opcode, stream.n, operands
    return packed.tobytes()


# instruction -> (operand, slots beyond it that n counts): R[b] .. R[b + n] of a call
_RUNS = {
    "apply": ("b", 1),
    "tail-apply": ("b", 1),
    "call": ("b", 0),
    "tail-call": ("b", 0),
    "primitive": ("c", 0),
    "closure": ("c", 0),
}


def slots_used(stream: Stream) -> Array:
    """Return one more than the highest slot that each step names."""
    used: Array = np.where(SLOTS[stream.opcode], stream.operands + 1, 0).max(axis=1, initial=0)
    for instruction, (field, more) in _RUNS.items():
        rows = stream.opcode == OPCODES[instruction]
        count = stream.n[rows] + more
        last = np.where(count > 0, stream.operands[rows, "abc".index(field)] + count, 0)
        used[rows] = np.maximum(used[rows], last)
    return used


def _slot_counts(stream: Stream) -> Mapping[int, int]:
    used = slots_used(stream)
    return {
        body: int(used[start:end].max(initial=0)) for body, (start, end) in stream.bodies.items()
    }


def _arity(body: Body, stream: Stream, widths: Mapping[int, int]) -> Arity:
    entry, end = stream.bodies[body.node]
    slot_count = max(widths[body.node], body.parameter_count + body.variadic)
    names = tuple(body.slot_names.get(slot) for slot in range(slot_count))
    return Arity(
        parameter_count=body.parameter_count,
        variadic=body.variadic,
        entry=entry,
        end=end,
        slot_count=slot_count,
        node=body.node,
        slot_names=names,
    )
