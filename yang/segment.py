"""A code segment: what the assembler makes and the machine loads.

Is:     packed instructions, constants, functions, handlers, and the map from pc back to AST nodes.
Is not: shipped. A node assembles its own segments from AST datoms whose hash it checked.
Fits:   `yang.assemble` makes it from the execution stream; `yind.cesk` checks and loads it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A range of source text; lines and columns count from 1, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Part(NamedTuple):
    """One file of a source text that was put together from several."""

    line: int  # of the whole text, where it starts
    name: str


def place_in(parts: Sequence[Part], name: str, span: Span) -> tuple[str, Span]:
    """Return the file of a place and its span there; of a text without parts, its name and the same span."""
    number = bisect_right(parts, span.line, key=lambda part: part.line) - 1
    if number < 0:
        return name, span
    shift = parts[number].line - 1
    return parts[number].name, span._replace(line=span.line - shift, end_line=span.end_line - shift)


class PrimitiveRef(NamedTuple):
    """A constant that is the host function with this number (`yang.primitives`)."""

    number: int


class FunctionRef(NamedTuple):
    """A constant that is a top-level function without captured values, of this segment or of the core library."""

    core: bool  # True: a function of the core library's segment, named by `name`
    number: int  # position in `functions` of this segment; -1 for core
    name: str


class Arity(NamedTuple):
    """One body of a function."""

    parameter_count: int  # required parameters, in slots 0 .. parameter_count - 1
    variadic: bool  # slot parameter_count then holds the list of the rest, or nil
    entry: int  # pc of the first instruction
    end: int  # pc after the last instruction
    slot_count: int  # slots of a frame
    node: int  # pre-order index of the AST node (:arity)
    slot_names: tuple[
        str | None, ...
    ]  # the source name last bound to a slot, for people and queries


class Function(NamedTuple):
    """A lambda: its bodies, by number of parameters; at most one is variadic."""

    name: str | None
    capture_count: int
    capture_names: tuple[str, ...]
    arities: tuple[Arity, ...]


class Handler(NamedTuple):
    """An error raised while start <= pc < end continues at `target` (a `catch`); inner handlers come first."""

    start: int
    end: int
    target: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One assembled program. Function 0 has one arity without parameters: the program's top level."""

    program_hash: bytes  # 32 bytes: the identity of the AST it was assembled from
    source_name: str
    code: bytes  # INSTRUCTION_SIZE bytes each
    constants: tuple[object, ...]  # EDN values, PrimitiveRef, FunctionRef
    globals: tuple[str, ...]  # names of G operands
    functions: tuple[Function, ...]
    handlers: tuple[Handler, ...]
    nodes: tuple[int, ...]  # per instruction: pre-order index of the AST node it came from
    spans: tuple[Span, ...]  # per AST node, by pre-order index; empty when they are not known
    parts: tuple[
        Part, ...
    ] = ()  # the files of the source text, when it was put together from several
    entries: tuple[int, ...] = ()  # per AST node: pc where its evaluation begins, -1 for none
    slots: tuple[int, ...] = ()  # per AST node: slot of its name or of its value, -1 for none

    def place(self, node: int) -> tuple[str, Span]:
        """Return the source name and the span of a node."""
        span = self.spans[node] if self.spans else Span(0, 0, 0, 0)
        return place_in(self.parts, self.source_name, span)
