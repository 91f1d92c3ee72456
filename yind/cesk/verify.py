"""The check that makes a segment safe to run unchecked.

Is:     every operand of every instruction, every function, handler and reference, looked at once.
Is not: a proof that a program means what its source says; a wrong segment may fault, it cannot crash the machine.
Fits:   `Code` calls this before it copies anything; the loop then indexes without looking.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import iter_unpack
from typing import NamedTuple

from yang.isa import INSTRUCTION_FORMAT, INSTRUCTION_SIZE, INSTRUCTIONS, OPCODES
from yang.primitives import PRIMITIVES, Kind
from yang.segment import Arity, Function, FunctionRef, PrimitiveRef, Segment
from yind.cesk.errors import CodeInvalid
from yind.cesk.limits import CALL_SLOT_MAX, FUNCTIONS_MAX, SLOTS_MAX, STEPS_MAX

_LAST = frozenset(
    OPCODES[name] for name in ("return", "tail-apply", "tail-call", "jump", "loop", "throw")
)  # what may end a body
_OPERANDS = tuple(
    tuple(tuple(part.split(":")) for part in row.operands.split() if part != "n")
    for row in INSTRUCTIONS
)


class _Row(NamedTuple):
    opcode: int
    n: int
    a: int
    b: int
    c: int


class _Body(NamedTuple):
    function: Function
    arity: Arity


CoreFunctions = Callable[[str], Function | None]


def verify(segment: Segment, core_functions: CoreFunctions) -> None:
    """Check a segment; `core_functions` gives the core library's function of a name.

    Cost: about a microsecond per instruction and operand.

    Raises:
        CodeInvalid: with the pc and what is wrong there.
    """
    _require(len(segment.program_hash) == 32, "the program hash is not 32 bytes")
    _require(len(segment.code) % INSTRUCTION_SIZE == 0, "the code is not whole instructions")
    rows = [_Row(*row) for row in iter_unpack(INSTRUCTION_FORMAT, segment.code)]
    _require(len(rows) <= STEPS_MAX, f"more than {STEPS_MAX} instructions")
    _require(len(segment.nodes) == len(rows), "not one node for each instruction")
    _verify_constants(segment, core_functions)
    bodies = _verify_functions(segment, len(rows))
    for body in bodies:
        for pc in range(body.arity.entry, body.arity.end):
            _verify_step(segment, body, pc, rows[pc], core_functions)
        _require(
            rows[body.arity.end - 1].opcode in _LAST, f"pc {body.arity.end - 1}: the body runs on"
        )
    _verify_handlers(segment, rows, bodies)
    for node in segment.nodes:
        _require(0 <= node < max(1, len(segment.spans)), f"node {node} has no span")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CodeInvalid(message)


def _verify_constants(segment: Segment, core_functions: CoreFunctions) -> None:
    for index, constant in enumerate(segment.constants):
        if isinstance(constant, PrimitiveRef):
            _require(0 <= constant.number < len(PRIMITIVES), f"constant {index}: no such primitive")
        elif isinstance(constant, FunctionRef) and constant.core:
            known = core_functions(constant.name) is not None
            _require(known, f"constant {index}: no core {constant.name}")
        elif isinstance(constant, FunctionRef):
            _require(
                0 <= constant.number < len(segment.functions), f"constant {index}: no such function"
            )
            _require(
                segment.functions[constant.number].capture_count == 0,
                f"constant {index}: the function has captured values",
            )


def _verify_functions(segment: Segment, step_count: int) -> list[_Body]:
    """Return the bodies in the order of their code, which they divide among them."""
    functions = segment.functions
    _require(0 < len(functions) <= FUNCTIONS_MAX, "no functions, or too many")
    top = functions[0]
    _require(
        top.capture_count == 0 and len(top.arities) == 1 and top.arities[0].parameter_count == 0,
        "function 0 is not a program's top level",
    )
    _require(not top.arities[0].variadic, "function 0 is not a program's top level")
    bodies = []
    for index, function in enumerate(functions):
        counts = [arity.parameter_count for arity in function.arities if not arity.variadic]
        _require(len(function.arities) > 0, f"function {index}: no bodies")
        _require(len(counts) == len(set(counts)), f"function {index}: two bodies for one count")
        _require(len(function.arities) - len(counts) <= 1, f"function {index}: two variadic bodies")
        _require(0 <= function.capture_count <= SLOTS_MAX, f"function {index}: captured values")
        bodies += [_Body(function, arity) for arity in function.arities]
    bodies.sort(key=lambda body: body.arity.entry)
    pc = 0
    for _, arity in bodies:
        _require(arity.entry == pc, f"pc {pc}: in no body, or in two")
        _require(arity.entry < arity.end <= step_count, f"pc {pc}: the body has no end")
        _require(
            arity.parameter_count >= 0
            and arity.parameter_count + arity.variadic <= arity.slot_count <= SLOTS_MAX,
            f"pc {pc}: number of slots",
        )
        pc = arity.end
    _require(pc == step_count, f"pc {pc}: in no body")
    return bodies


def _callee(segment: Segment, constant: object, core_functions: CoreFunctions) -> Function | None:
    """Return the function that a constant is, or None; constants are checked already."""
    if not isinstance(constant, FunctionRef):
        return None
    if constant.core:
        return core_functions(constant.name)
    return segment.functions[constant.number]


def _verify_step(
    segment: Segment, body: _Body, pc: int, row: _Row, core_functions: CoreFunctions
) -> None:
    _require(row.opcode < len(INSTRUCTIONS), f"pc {pc}: no instruction {row.opcode}")
    name = INSTRUCTIONS[row.opcode].name
    arity, function = body.arity, body.function
    limits = {
        "R": arity.slot_count,
        "K": len(segment.constants),
        "C": function.capture_count,
        "F": len(segment.functions),
        "G": len(segment.globals),
        "P": len(PRIMITIVES),
    }
    for field, kind in _OPERANDS[row.opcode]:
        value = row.a if field == "a" else row.b if field == "b" else row.c
        if kind == "L":
            # Only `loop` goes back, because it costs fuel: without it a slice might never end.
            valid = (arity.entry if name == "loop" else pc + 1) <= value < arity.end
        elif kind == "R" and field == "b" and name in ("call", "tail-call"):
            valid = 0 <= value <= min(arity.slot_count - row.n, CALL_SLOT_MAX)
        elif kind == "R" and field == "c" and row.n == 0 and name in ("primitive", "closure"):
            valid = 0 <= value <= arity.slot_count  # no arguments: the place does not matter
        else:
            valid = 0 <= value < limits[kind]
        _require(valid, f"pc {pc}: {name}: operand {field} is out of range")
    if name in ("move", "take"):
        _require(row.a != row.b, f"pc {pc}: {name}: a slot to itself")
    elif name in ("apply", "tail-apply"):
        _require(row.b + row.n < arity.slot_count, f"pc {pc}: {name}: too many arguments")
    elif name in ("call", "tail-call"):
        callee = _callee(segment, segment.constants[row.c], core_functions)
        _require(
            callee is not None
            and any(
                found.parameter_count == row.n and not found.variadic for found in callee.arities
            ),
            f"pc {pc}: {name}: no function for so many arguments",
        )
    elif name in ("primitive", "primitive-read"):
        _require(row.c + row.n <= arity.slot_count, f"pc {pc}: {name}: too many arguments")
        primitive = PRIMITIVES[row.b]
        most = row.n if primitive.most is None else primitive.most
        _require(
            primitive.least <= row.n <= most, f"pc {pc}: {primitive.name}: number of arguments"
        )
        _require(
            name == "primitive" or (primitive.kind in (Kind.PURE, Kind.PORTION) and row.n == 1),
            f"pc {pc}: {primitive.name} does not read one slot",
        )
    elif name == "closure":
        _require(row.c + row.n <= arity.slot_count, f"pc {pc}: {name}: too many captured values")
        _require(
            row.n == segment.functions[row.b].capture_count, f"pc {pc}: {name}: captured values"
        )
    elif name == "sibling":
        _require(
            segment.functions[row.b].capture_count <= function.capture_count,
            f"pc {pc}: {name}: captured values",
        )


def _verify_handlers(segment: Segment, rows: list[_Row], bodies: list[_Body]) -> None:
    spans = {arity.entry: arity for _, arity in bodies}
    body_of: list[int] = []
    for entry in sorted(spans):
        body_of += [entry] * (spans[entry].end - entry)
    for index, (start, end, target) in enumerate(segment.handlers):
        _require(
            0 <= start < end <= len(rows) and 0 <= target < len(rows), f"handler {index}: range"
        )
        _require(
            body_of[start] == body_of[end - 1] == body_of[target],
            f"handler {index}: not in one body",
        )
        _require(
            rows[target].opcode == OPCODES["catch"], f"handler {index}: the target is no catch"
        )
        _require(target >= end, f"handler {index}: the target lies in or before its range")
