"""Segments no assembler makes are refused, each for its reason; what is left is safe to run without looking."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from yang.isa import INSTRUCTION_FORMAT, OPCODES
from yang.primitives import PRIMITIVE_NUMBERS
from yang.segment import Arity, Function, FunctionRef, Handler, PrimitiveRef, Segment, Span
from yind.cesk import Code, CodeInvalid, Machine, Status

SLOTS = 4


def row(name: str, *, n: int = 0, a: int = 0, b: int = 0, c: int = 0) -> bytes:
    return struct.pack(INSTRUCTION_FORMAT, OPCODES[name], n, a, b, c)


def body(entry: int, end: int, parameters: int = 0, *, variadic: bool = False) -> Arity:
    return Arity(parameters, variadic, entry, end, SLOTS, 0, (None,) * SLOTS)


def segment(*rows: bytes, functions: tuple[Function, ...] = (), **fields: Any) -> Segment:
    """Return a program of one body, and other functions with bodies behind it."""
    top = Function(
        None, 0, (), (body(0, functions[0].arities[0].entry if functions else len(rows)),)
    )
    whole: dict[str, Any] = {
        "program_hash": bytes(32),
        "source_name": "bad.clj",
        "code": b"".join(rows),
        "constants": (7,),
        "globals": ("g",),
        "functions": (top, *functions),
        "handlers": (),
        "nodes": (0,) * len(rows),
        "spans": (Span(1, 1, 1, 2),),
    }
    return Segment(**whole | fields)


CONST, RETURN = row("const"), row("return")
EMPTY = replace(segment(), functions=())
ONE = Function("one", 1, ("x",), (body(2, 3, 1),))  # behind two instructions of the program

BAD: dict[str, tuple[Segment, str]] = {
    "a short hash": (segment(CONST, RETURN, program_hash=b""), "32 bytes"),
    "half an instruction": (segment(CONST, RETURN, code=CONST + RETURN[:8]), "whole instructions"),
    "no code": (segment(functions=(), code=b"", nodes=()), "no end"),
    "no functions": (EMPTY, "functions"),
    "an unknown instruction": (
        segment(struct.pack(INSTRUCTION_FORMAT, len(OPCODES), 0, 0, 0, 0), RETURN),
        "no instruction",
    ),
    "a slot behind the frame": (segment(row("const", a=SLOTS), RETURN), "operand a"),
    "a slot before the frame": (segment(row("move", b=-1), RETURN), "operand b"),
    "a constant that is not there": (segment(row("const", b=1), RETURN), "operand b"),
    "a slot moved to itself": (segment(CONST, row("move"), RETURN), "to itself"),
    "a slot taken by itself": (segment(CONST, row("take"), RETURN), "to itself"),
    "a captured value that is not there": (segment(row("captured"), RETURN), "operand b"),
    "a global that is not there": (segment(row("global", b=1), RETURN), "operand b"),
    "a host function that is not there": (segment(row("primitive", b=9999), RETURN), "operand b"),
    "a function that is not there": (segment(row("closure", b=1), RETURN), "operand b"),
    "a jump out of the body": (segment(row("jump", a=2), RETURN), "operand a"),
    "a jump to itself": (segment(row("jump"), RETURN), "operand a"),
    "a jump back": (segment(CONST, row("jump"), RETURN), "operand a"),
    "a branch back": (segment(CONST, row("branch-false"), RETURN), "operand b"),
    "a body that runs on": (segment(RETURN, CONST), "runs on"),
    "arguments behind the frame": (
        segment(row("apply", n=SLOTS, b=0), RETURN),
        "too many arguments",
    ),
    "arguments of a host function behind the frame": (
        segment(row("primitive", n=2, b=PRIMITIVE_NUMBERS["+"], c=SLOTS - 1), RETURN),
        "too many arguments",
    ),
    "too few arguments": (
        segment(row("primitive", b=PRIMITIVE_NUMBERS["-"]), RETURN),
        "number of arguments",
    ),
    "too few captured values": (
        segment(row("closure", b=1), RETURN, RETURN, functions=(ONE,)),
        "captured values",
    ),
    "a closure over more than its sibling has": (
        segment(row("sibling", b=1), RETURN, RETURN, functions=(ONE,)),
        "captured values",
    ),
    "a constant function that captures": (
        segment(CONST, RETURN, RETURN, functions=(ONE,), constants=(FunctionRef(False, 1, "one"),)),
        "captured values",
    ),
    "a constant function that is not there": (
        segment(CONST, RETURN, constants=(FunctionRef(False, 3, "f"),)),
        "no such function",
    ),
    "a core function that is not there": (
        segment(CONST, RETURN, constants=(FunctionRef(True, -1, "map"),)),
        "no core map",
    ),
    "a constant host function that is not there": (
        segment(CONST, RETURN, constants=(PrimitiveRef(9999),)),
        "no such primitive",
    ),
    "a constant that is no value": (segment(CONST, RETURN, constants=(object(),)), "no EDN value"),
    "a program with parameters": (
        replace(segment(RETURN), functions=(Function(None, 0, (), (body(0, 1, 1),)),)),
        "top level",
    ),
    "two bodies for one count": (
        segment(
            *(CONST, RETURN, RETURN, RETURN),
            functions=(Function("f", 0, (), (body(2, 3, 1), body(3, 4, 1))),),
        ),
        "one count",
    ),
    "two variadic bodies": (
        segment(
            *(CONST, RETURN, RETURN, RETURN),
            functions=(
                Function("f", 0, (), (body(2, 3, 0, variadic=True), body(3, 4, 1, variadic=True))),
            ),
        ),
        "variadic",
    ),
    "more parameters than slots": (
        segment(CONST, RETURN, RETURN, functions=(Function("f", 0, (), (body(2, 3, SLOTS + 1),)),)),
        "number of slots",
    ),
    "code in two bodies": (
        segment(
            *(CONST, RETURN, RETURN, RETURN),
            functions=(Function("f", 0, (), (body(2, 4),)), Function("g", 0, (), (body(3, 4),))),
        ),
        "two",
    ),
    "code in no body": (
        segment(*(CONST, RETURN, RETURN, RETURN), functions=(Function("f", 0, (), (body(2, 3),)),)),
        "in no body",
    ),
    "a handler that is no catch": (
        segment(CONST, RETURN, handlers=(Handler(0, 1, 1),)),
        "no catch",
    ),
    "a handler that guards itself": (
        segment(row("catch"), RETURN, handlers=(Handler(0, 2, 0),)),
        "in or before its range",
    ),
    "a handler before what it guards": (
        segment(row("catch"), row("throw"), handlers=(Handler(1, 2, 0),)),
        "in or before its range",
    ),
    "a handler of nothing": (
        segment(CONST, row("catch"), RETURN, handlers=(Handler(1, 1, 1),)),
        "range",
    ),
    "a handler in another body": (
        segment(
            *(CONST, RETURN, row("catch"), RETURN),
            functions=(Function("f", 0, (), (body(2, 4),)),),
            handlers=(Handler(0, 1, 2),),
        ),
        "one body",
    ),
    "an instruction without a node": (segment(CONST, RETURN, nodes=(0,)), "one node"),
    "a node without a span": (segment(CONST, RETURN, nodes=(0, 1)), "no span"),
}


def test_the_segment_that_the_others_are_made_from_runs() -> None:
    machine = Machine(Code(segment(CONST, RETURN), None), memory_max=1 << 16)
    assert machine.run(10) is Status.DONE
    assert machine.result == 7


@pytest.mark.parametrize(("bad", "problem"), BAD.values(), ids=BAD)
def test_a_segment_that_is_not_safe_is_refused(bad: Segment, problem: str) -> None:
    with pytest.raises(CodeInvalid, match=problem):
        Code(bad, None)


@pytest.mark.parametrize("target", [0, 1, 2])
def test_a_loop_may_go_anywhere_in_its_body_for_it_costs_fuel(target: int) -> None:
    machine = Machine(Code(segment(CONST, row("loop", a=target), RETURN), None), memory_max=1 << 16)
    machine.run(100)
    assert machine.fuel_used == (100 if target < 2 else 1)
