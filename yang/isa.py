"""The one instruction table of the machine.

Is:     number, name, operands and meaning of every instruction, in one line each.
Is not: how an instruction is chosen (yang/rules) or run (yind.cesk); host functions are in `yang.primitives`.
Fits:   the rules emit these names, `yang.assemble` packs them, `yind.cesk` has one case for each and its
        `_opcodes.pxd` is generated from this table.
Source: register-style operands after Lua 5's virtual machine (Ierusalimschy, de Figueiredo, Celes 2005).

An instruction is 16 bytes: opcode u16, n u16, and three operands a, b, c as i32 (`INSTRUCTION_FORMAT`).
Operands name slots of the running frame (R), constants of the segment (K), functions of the segment (F),
names of the segment's globals (G), captured values of the running closure (C), host functions (P), or a
position in the same segment's code (L). What an instruction does not use is zero.

Slots own what they hold. `take`, the arguments of a call and those of `primitive`, and the values of a closure are
moved: the slot shows nothing afterwards, so that whoever receives the value may be its only owner and change it in
place (yang/rules/liveness.dl says when a slot is read for the last time).

A `call` names a function that is known when the code is loaded, with a body for just so many arguments: nothing is
looked at when it runs. Instructions with a constant operand stand for the same operation on a slot that holds it.

A call returns into its caller's frame: every frame keeps the slot that its callee's value goes to.
"""

# ORDER: opcodes. Numbers are positions in this table; images name positions in code, so any change of the
# table or of the rules that emit it must raise ISA_VERSION.

from __future__ import annotations

from typing import NamedTuple

ISA_VERSION = 4
INSTRUCTION_FORMAT = "<HHiii"  # opcode, n, a, b, c
INSTRUCTION_SIZE = 16  # bytes
OPERAND_COUNT_MAX = 0xFFFF  # what n can say: arguments of a call, captured values of a closure


class Instruction(NamedTuple):
    """One row: `operands` names the kinds of n, a, b, c that are used, in that order."""

    name: str
    operands: str
    meaning: str


INSTRUCTIONS: tuple[Instruction, ...] = (
    Instruction("const", "a:R b:K", "R[a] := K[b]"),
    Instruction("move", "a:R b:R", "R[a] := R[b]"),
    Instruction("take", "a:R b:R", "R[a] := R[b]; R[b] shows nothing from then on"),
    Instruction("captured", "a:R b:C", "R[a] := C[b]"),
    Instruction("self", "a:R", "R[a] := the running closure"),
    Instruction(
        "sibling", "a:R b:F", "R[a] := closure of F[b] over the running closure's captured values"
    ),
    Instruction("global", "a:R b:G", "R[a] := globals[G[b]]; fault if unbound"),
    Instruction("def-global", "a:G b:R", "globals[G[a]] := R[b]"),
    Instruction(
        "closure", "n a:R b:F c:R", "R[a] := closure of F[b] over R[c] .. R[c+n-1], which are taken"
    ),
    Instruction(
        "share", "a:R b:F c:R", "R[a] := closure of F[b] over the captured values of closure R[c]"
    ),
    Instruction("apply", "n a:R b:R", "R[a] := R[b](R[b+1] .. R[b+n]); the frame waits"),
    Instruction("tail-apply", "n b:R", "return R[b](R[b+1] .. R[b+n]); the frame is released"),
    Instruction(
        "call", "n a:R b:R c:K", "R[a] := function K[c](R[b] .. R[b+n-1]); the frame waits"
    ),
    Instruction(
        "tail-call", "n b:R c:K", "return function K[c](R[b] .. R[b+n-1]); the frame is released"
    ),
    Instruction("primitive", "n a:R b:P c:R", "R[a] := P[b](R[c] .. R[c+n-1]), which are taken"),
    Instruction("primitive-read", "n a:R b:P c:R", "R[a] := P[b](R[c]), which stays; n is 1"),
    Instruction("return", "a:R", "leave the frame with R[a]"),
    Instruction("jump", "a:L", "pc := L"),
    Instruction("loop", "a:L", "pc := L, backwards; costs fuel"),
    Instruction("branch-false", "a:R b:L", "if R[a] is nil or false: pc := L"),
    Instruction("branch-true", "a:R b:L", "if R[a] is neither nil nor false: pc := L"),
    Instruction("unless-nil", "a:R b:L", "if R[a] is not nil: pc := L"),
    Instruction("unless-less", "a:R b:R c:L", "unless R[a] < R[b]: pc := L"),
    Instruction("unless-less-equal", "a:R b:R c:L", "unless R[a] <= R[b]: pc := L"),
    Instruction("unless-equal", "a:R b:R c:L", "unless R[a] = R[b]: pc := L"),
    Instruction("unless-less-constant", "a:R b:K c:L", "unless R[a] < K[b]: pc := L"),
    Instruction("unless-less-equal-constant", "a:R b:K c:L", "unless R[a] <= K[b]: pc := L"),
    Instruction("unless-greater-constant", "a:R b:K c:L", "unless K[b] < R[a]: pc := L"),
    Instruction("unless-greater-equal-constant", "a:R b:K c:L", "unless K[b] <= R[a]: pc := L"),
    Instruction("unless-equal-constant", "a:R b:K c:L", "unless R[a] = K[b]: pc := L"),
    Instruction("add", "a:R b:R c:R", "R[a] := R[b] + R[c]"),
    Instruction("subtract", "a:R b:R c:R", "R[a] := R[b] - R[c]"),
    Instruction("multiply", "a:R b:R c:R", "R[a] := R[b] * R[c]"),
    Instruction("less", "a:R b:R c:R", "R[a] := R[b] < R[c]"),
    Instruction("less-equal", "a:R b:R c:R", "R[a] := R[b] <= R[c]"),
    Instruction("equal", "a:R b:R c:R", "R[a] := R[b] = R[c], Clojure's equality"),
    Instruction("add-constant", "a:R b:R c:K", "R[a] := R[b] + K[c]"),
    Instruction("subtract-constant", "a:R b:R c:K", "R[a] := R[b] - K[c]"),
    Instruction("multiply-constant", "a:R b:R c:K", "R[a] := R[b] * K[c]"),
    Instruction("less-constant", "a:R b:R c:K", "R[a] := R[b] < K[c]"),
    Instruction("less-equal-constant", "a:R b:R c:K", "R[a] := R[b] <= K[c]"),
    Instruction("greater-constant", "a:R b:R c:K", "R[a] := K[c] < R[b]"),
    Instruction("greater-equal-constant", "a:R b:R c:K", "R[a] := K[c] <= R[b]"),
    Instruction("equal-constant", "a:R b:R c:K", "R[a] := R[b] = K[c], Clojure's equality"),
    Instruction("increment", "a:R b:R", "R[a] := R[b] + 1"),
    Instruction("decrement", "a:R b:R", "R[a] := R[b] - 1"),
    Instruction("not", "a:R b:R", "R[a] := true if R[b] is nil or false, else false"),
    Instruction("is-nil", "a:R b:R", "R[a] := true if R[b] is nil, else false"),
    Instruction("throw", "a:R", "throw the error R[a]"),
    Instruction("catch", "a:R", "R[a] := the error in flight; entered only by a handler"),
)

OPCODES: dict[str, int] = {row.name: number for number, row in enumerate(INSTRUCTIONS)}
