"""A code segment as a listing.

Is:     unpacking instructions and printing them with what their operands name.
Is not: the execution stream, which `yang.render` shows with its nodes.
Fits:   for people, tests and error reports; needs the segment only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from datomstore import edn
from yang.execution import CALLS, OPERANDS
from yang.isa import INSTRUCTION_FORMAT, INSTRUCTIONS
from yang.primitives import PRIMITIVES
from yang.segment import FunctionRef, PrimitiveRef, Segment


class Line(NamedTuple):
    """One instruction."""

    pc: int
    instruction: str
    n: int
    a: int
    b: int
    c: int


def instructions(segment: Segment) -> Iterator[Line]:
    """Yield the instructions of a segment's code."""
    for pc, (opcode, n, a, b, c) in enumerate(struct.iter_unpack(INSTRUCTION_FORMAT, segment.code)):
        yield Line(pc, INSTRUCTIONS[opcode].name, n, a, b, c)


def constant_text(value: object) -> str:
    """Return a constant as text; functions by name."""
    if isinstance(value, FunctionRef):
        return f"#function[{value.name}]"
    if isinstance(value, PrimitiveRef):
        return f"#host[{PRIMITIVES[value.number].name}]"
    return edn.write(value)


def disassemble(segment: Segment) -> str:
    """Return the listing: a heading for each body, then its instructions."""
    headings = {
        arity.entry: _heading(segment, number, place)
        for number, function in enumerate(segment.functions)
        for place, arity in enumerate(function.arities)
    }
    lines: list[str] = []
    for line in instructions(segment):
        if line.pc in headings:
            lines.append(headings[line.pc])
        span = segment.spans[segment.nodes[line.pc]]
        text = f"{line.pc:5}  {line.instruction:13} {operand_text(segment, line)}"
        lines.append(f"{text:60}; {span.line}:{span.column}".rstrip())
    lines.extend(
        f"handler {handler.start}..{handler.end} -> {handler.target}"
        for handler in segment.handlers
    )
    return "\n".join(lines)


def operand_text(segment: Segment, line: Line) -> str:
    """Return the operands of an instruction, resolved."""
    parts: list[str] = []
    for field, kind in OPERANDS[line.instruction].items():
        value: int = getattr(line, field)
        match kind:
            case "K":
                parts.append(constant_text(segment.constants[value]))
            case "F":
                parts.append(f"f{value}")
            case "G":
                parts.append(segment.globals[value])
            case "P":
                parts.append(PRIMITIVES[value].name)
            case "L":
                parts.append(f"-> {value}")
            case "C":
                parts.append(f"c{value}")
            case _:
                parts.append(f"r{value}")
    if line.instruction in CALLS or line.instruction == "closure":
        parts.append(f"n={line.n}")
    return " ".join(parts)


def _heading(segment: Segment, number: int, place: int) -> str:
    function = segment.functions[number]
    arity = function.arities[place]
    name = function.name or ("(top level)" if number == 0 else "(anonymous)")
    rest = " & rest" if arity.variadic else ""
    captures = f", captures {' '.join(function.capture_names)}" if function.capture_names else ""
    return (
        f"f{number} {name}: {arity.parameter_count} parameters{rest}, "
        f"{arity.slot_count} slots{captures}"
    )
