"""A code segment from the execution stream.

Is:     numbering of constants, globals and functions, and packing of steps into instructions.
Is not: any choice of instructions, slots or order: the stream has made them.
Fits:   `yang.compile` calls it; `yind.cesk` checks and loads the segment.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yang.canonical import encode
from yang.execution import OPERANDS, Step, Stream, constant_of
from yang.isa import INSTRUCTION_FORMAT, OPCODES
from yang.segment import Arity, Function, FunctionRef, Handler, PrimitiveRef, Segment, Span


@dataclass(frozen=True, slots=True)
class Body:
    """A body as the facts have it; nodes are entities."""

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
    base: int,
    top: Body,
    lambdas: Sequence[Lambda],
    constants: Mapping[tuple[int, int], object],
    names: Mapping[int, str],
    spans: Sequence[Span],
    slots: Mapping[int, int],
) -> Segment:
    """Return the segment of a stream.

    Args:
        stream: the ordered steps; a step's order becomes its pc.
        program_hash: the identity of the program.
        source_name: for people.
        base: entity of the program's first node; nodes in the segment are counted from it.
        top: the program's top level, function 0.
        lambdas: the other functions, in the order of their numbers (from 1).
        constants: by (node, selector).
        names: of globals, by node.
        spans: by node, counted from `base`.
        slots: of names and values, by node.
    """
    pool = _Pool()
    number_of = {function.node: number for number, function in enumerate(lambdas, 1)}
    operand_of = _Operands(pool, constants, names, number_of)
    code = b"".join(_pack(step, operand_of) for step in stream.steps)
    widths = _slot_counts(stream)
    functions = [Function(None, 0, (), (_arity(top, stream, widths, base),))]
    for function in lambdas:
        arities = tuple(_arity(body, stream, widths, base) for body in function.bodies)
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
        nodes=tuple(step.node - base for step in stream.steps),
        spans=tuple(spans),
        entries=tuple(stream.entries.get(base + number, -1) for number in range(len(spans))),
        slots=tuple(slots.get(base + number, -1) for number in range(len(spans))),
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


@dataclass(frozen=True, slots=True)
class _Operands:
    pool: _Pool
    constants: Mapping[tuple[int, int], object]
    names: Mapping[int, str]
    number_of: Mapping[int, int]

    def __call__(self, step: Step, field: str, value: int) -> int:
        match OPERANDS[step.instruction].get(field):
            case None:
                return 0
            case "K":
                key = constant_of(step)
                assert key is not None
                return self.pool.constant(self.constants[key])
            case "G":
                return self.pool.global_name(self.names[value])
            case "F":
                return self.number_of[value]
            case _:
                return value


def _pack(step: Step, operand_of: _Operands) -> bytes:
    return struct.pack(
        INSTRUCTION_FORMAT,
        OPCODES[step.instruction],
        step.n,
        operand_of(step, "a", step.a),
        operand_of(step, "b", step.b),
        operand_of(step, "c", step.c),
    )


# instruction -> (operand, slots beyond it that n counts): R[b] .. R[b + n] of a call
_RUNS = {
    "apply": ("b", 1),
    "tail-apply": ("b", 1),
    "call": ("b", 0),
    "tail-call": ("b", 0),
    "primitive": ("c", 0),
    "closure": ("c", 0),
}


def slots_used(step: Step) -> int:
    """Return one more than the highest slot a step names."""
    operands = {"a": step.a, "b": step.b, "c": step.c}
    kinds = OPERANDS[step.instruction]
    used = max((operands[field] + 1 for field, kind in kinds.items() if kind == "R"), default=0)
    if step.instruction in _RUNS:
        field, more = _RUNS[step.instruction]
        used = max(used, operands[field] + step.n + more) if step.n + more else used
    return used


def _slot_counts(stream: Stream) -> dict[int, int]:
    widths: dict[int, int] = {}
    for step in stream.steps:
        widths[step.body] = max(widths.get(step.body, 0), slots_used(step))
    return widths


def _arity(body: Body, stream: Stream, widths: Mapping[int, int], base: int) -> Arity:
    entry, end = stream.bodies[body.node]
    slot_count = max(widths[body.node], body.parameter_count + body.variadic)
    names = tuple(body.slot_names.get(slot) for slot in range(slot_count))
    return Arity(
        parameter_count=body.parameter_count,
        variadic=body.variadic,
        entry=entry,
        end=end,
        slot_count=slot_count,
        node=body.node - base,
        slot_names=names,
    )
