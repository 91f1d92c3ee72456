"""The execution stream: ordered steps, as values and as datoms.

Is:     sorting derived steps into the order they stand in, resolving places to steps, and their facts.
Is not: the choice of steps (yang/rules/execution.dl), nor packing (`yang.assemble`).
Fits:   `yang.compile` makes steps from what the rules derive; their order is the pc of the assembled code.

Bodies follow each other, the program's top level first, then arities as they stand in the source. Within a body the
rules give every step a key of three numbers; a place that a step jumps to is such a key and means the first step
from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datomstore.datom import Datom
from datomstore.value import Keyword, Symbol
from yang.isa import INSTRUCTIONS, OPCODES
from yang.primitives import PRIMITIVES
from yang.segment import FunctionRef, PrimitiveRef

Array = NDArray[np.int64]
Mask = NDArray[np.bool_]

# instruction -> operand field -> kind, as in the table: {"jump": {"a": "L"}}
OPERANDS: dict[str, dict[str, str]] = {
    row.name: {
        field: kind
        for field, _, kind in (part.partition(":") for part in row.operands.split())
        if field != "n"
    }
    for row in INSTRUCTIONS
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Symbolic operands name nodes: a constant's, a function's lambda, a global's variable."""

    order: int
    instruction: str
    node: int
    body: int
    n: int
    a: int
    b: int
    c: int
    target: int | None  # order of the step it may jump to


class Guard(NamedTuple):
    """Steps start <= order < end continue at step `target` on an error; inner ones come first."""

    start: int
    end: int
    target: int


@dataclass(frozen=True, slots=True)
class Stream:
    """All steps of a program by order, as columns, with its guards and the range of each body.

    Nodes are numbered in pre-order.
    """

    opcode: Array
    node: Array
    body: Array
    n: Array
    operands: Array  # rows of a, b, c; a place is the order of the step that it means
    target: Array  # -1 where a step only goes on to the next one
    guards: tuple[Guard, ...]
    bodies: Mapping[int, tuple[int, int]]  # body -> first step, step after the last
    entries: Array  # node -> the step its evaluation begins with, -1 if it has none

    def __len__(self) -> int:
        return len(self.opcode)

    def steps(self, base: int) -> Iterator[Step]:
        """Return the steps one by one; nodes are entities from `base` on."""
        operands = self.operands + base * NAMES_NODE[self.opcode]
        columns = (self.opcode, self.node + base, self.body + base, self.n, operands, self.target)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for order, (opcode, node, body, n, (a, b, c), target) in enumerate(rows):
            goes = None if target < 0 else target
            yield Step(order, INSTRUCTIONS[opcode].name, node, body, n, a, b, c, goes)


def operands_of(kinds: str) -> Mask:
    """Return by opcode and operand a, b, c whether it is of one of these kinds."""
    return np.array(
        [[OPERANDS[row.name].get(f) in tuple(kinds) for f in "abc"] for row in INSTRUCTIONS]
    )


NAMES_NODE = operands_of("KGF")
NAMES_PLACE = operands_of("L")
USED = operands_of("RKFGCPL")
JUMP = OPCODES["jump"]


class _Keys:
    """Places of a program as single numbers, in the order of body, position, rank and sequence."""

    def __init__(self, node_count: int, ranks: Array, sequences: Array) -> None:
        self._nodes = node_count + 1
        self._minor = _distinct(_minor(ranks, sequences))
        assert self._nodes * self._nodes * (len(self._minor) + 1) < 1 << 63, node_count

    def of(self, body: Array, position: Array, rank: Array, sequence: Array) -> Array:
        """Return the numbers of places; one whose rank and sequence no step has is as the next that has."""
        minor = np.searchsorted(self._minor, _minor(rank, sequence))
        found: Array = (body * self._nodes + position) * (len(self._minor) + 1) + minor
        return found


def _distinct(numbers: Array) -> Array:
    """As np.unique, which imports all of numpy.ma when it is first called."""
    ordered = np.sort(numbers)
    found: Array = ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]
    return found


def _minor(rank: Array, sequence: Array) -> Array:
    return (rank << 32) + sequence


def arrange(steps: Array, handlers: Array, body_of: Array, depth: Array, entered: Array) -> Stream:
    """Return the stream of derived steps. Cost: O(n log n).

    Args:
        steps: rows of node, position, rank, sequence, opcode, n, a, b, c, see execution.dl.
        handlers: rows of node, start, end, end rank, end sequence, target, target sequence.
        body_of: by node.
        depth: by node.
        entered: nodes that are evaluated.
    """
    keys_of = _Keys(len(body_of), steps[:, 2], steps[:, 3])
    body = body_of[steps[:, 0]]
    keys = keys_of.of(body, *steps[:, 1:4].T)
    order = np.lexsort((steps[:, 0], keys))
    steps, body, keys = steps[order], body[order], keys[order]
    labels = _labels(steps, body, keys_of)
    idle = (steps[:, 4] == JUMP) & (np.searchsorted(keys, labels) == np.arange(len(keys)) + 1)
    steps, body, keys, labels = steps[~idle], body[~idle], keys[~idle], labels[~idle]
    opcode = steps[:, 4]
    jumps = NAMES_PLACE[opcode]
    goes: Mask = np.logical_or.reduce(jumps, axis=1)
    target = np.where(goes, np.searchsorted(keys, labels), -1)
    operands = np.where(jumps, target[:, None], steps[:, 6:9])
    operands[_after_place(jumps)] = 0
    bodies = _bodies(body)
    return Stream(
        opcode=opcode,
        node=steps[:, 0],
        body=body,
        n=np.where(goes, 0, steps[:, 5]),
        operands=operands,
        target=target,
        guards=_guards(handlers, body_of, depth, keys, keys_of),
        bodies=bodies,
        entries=_entries(entered, body_of, bodies, keys, keys_of),
    )


def _labels(steps: Array, body: Array, keys_of: _Keys) -> Array:
    """Return the place that each step names, see execution.dl; -1 for a step that names none."""
    jumps = NAMES_PLACE[steps[:, 4]]
    sequence = steps[:, 5]
    labels = np.full(len(steps), -1, np.int64)
    for place in range(3):
        rows = jumps[:, place]
        position = steps[rows, 6 + place]
        rank = steps[rows, 7 + place] if place < 2 else np.zeros(len(position), np.int64)
        labels[rows] = keys_of.of(body[rows], position, rank, sequence[rows])
    return labels


def _after_place(jumps: Mask) -> Mask:
    """Return where the rank of a place stood, or what no step of this kind uses."""
    after: Mask = np.greater(np.cumsum(jumps, axis=1) - jumps, 0)
    return after


def _bodies(body: Array) -> dict[int, tuple[int, int]]:
    found, first = np.unique(body, return_index=True)
    ends = np.append(first[1:], len(body))
    return dict(zip(found.tolist(), zip(first.tolist(), ends.tolist(), strict=True), strict=True))


def _guards(
    handlers: Array, body_of: Array, depth: Array, keys: Array, keys_of: _Keys
) -> tuple[Guard, ...]:
    handlers = handlers[np.lexsort((handlers[:, 0], -depth[handlers[:, 0]]))]
    node, start, end, end_rank, end_sequence, target, target_sequence = handlers.T
    body, zero = body_of[node], np.zeros(len(node), np.int64)
    places = (
        keys_of.of(body, start, zero, zero),
        keys_of.of(body, end, end_rank, end_sequence),
        keys_of.of(body, target, zero, target_sequence),
    )
    rows = zip(*(np.searchsorted(keys, place).tolist() for place in places), strict=True)
    return tuple(guard for guard in map(Guard._make, rows) if guard.start < guard.end)


def _entries(
    entered: Array,
    body_of: Array,
    bodies: Mapping[int, tuple[int, int]],
    keys: Array,
    keys_of: _Keys,
) -> Array:
    entered = entered[np.isin(body_of[entered], np.array(list(bodies), np.int64))]
    zero = np.zeros(len(entered), np.int64)
    entries = np.full(len(body_of), -1, np.int64)
    entries[entered] = np.searchsorted(keys, keys_of.of(body_of[entered], entered, zero, zero))
    return entries


# Steps of a call that are not the call itself, whatever instruction does that.
AROUND_CALLS = ("const", "move", "take", "jump", "branch-false", "branch-true", "return")
CALLS = ("apply", "tail-apply", "call", "tail-call", "primitive", "primitive-read")


def selector_of(instruction: str, c: int) -> int:
    """Return which of its node's constants a step names; see execution.dl."""
    return c if instruction == "const" else 0


_ATTRIBUTES = (
    "order instruction node body a b c n constant constant-kind name target function args lambda"
)
EXEC = {name: Keyword(f"exec/{name}") for name in _ATTRIBUTES.split()}
CONTAINS = Keyword("contains")


def exec_datoms(
    stream: Stream,
    *,
    base: int,
    first: int,
    tx: int,
    constant: Callable[[int, int], object],
    name: Callable[[int], str],
    operator: Mapping[int, int],
    operands: Mapping[int, Sequence[int]],
    functions: Sequence[int],
) -> list[Datom]:
    """Return the facts of a stream: step i is entity first + i, sets of arguments follow the steps.

    `constant` is given node and selector, `name` the node of a global; `operator` and `operands` the children of
    applications, `functions` the lambdas by their number in the segment.
    """
    datoms: list[Datom] = []
    next_entity = first + len(stream)

    def fact(entity: int, attribute: Keyword, value: object) -> None:
        datoms.append(Datom(entity, attribute, value, tx, True))

    for step in stream.steps(base):
        entity = first + step.order
        fact(entity, EXEC["order"], step.order)
        fact(entity, EXEC["instruction"], Keyword(step.instruction))
        fact(entity, EXEC["node"], step.node)
        fact(entity, EXEC["body"], step.body)
        kinds = OPERANDS[step.instruction]
        if step.n or step.instruction in CALLS:
            fact(entity, EXEC["n"], step.n)
        for field, value in (("a", step.a), ("b", step.b), ("c", step.c)):
            kind = kinds.get(field)
            if kind == "K":
                found = constant(value, selector_of(step.instruction, step.c))
                _constant_facts(fact, entity, found, functions)
            elif kind == "G":
                fact(entity, EXEC["name"], name(value))
            elif kind == "F":
                fact(entity, EXEC["lambda"], value)
            elif kind == "L":
                fact(entity, EXEC["target"], first + value)
            elif kind is not None:
                fact(entity, EXEC[field], value)
        if step.node in operator and step.instruction not in AROUND_CALLS:
            fact(entity, EXEC["function"], operator[step.node])
            fact(entity, EXEC["args"], next_entity)
            for operand in operands[step.node]:
                fact(next_entity, CONTAINS, operand)
            next_entity += 1
    return datoms


def _constant_facts(
    fact: Callable[[int, Keyword, object], None],
    entity: int,
    constant: object,
    functions: Sequence[int],
) -> None:
    """State a constant; functions are named, and nil, which no fact can hold, has a kind only."""
    if isinstance(constant, FunctionRef):
        fact(entity, EXEC["constant-kind"], Keyword("function"))
        if constant.core:
            fact(entity, EXEC["constant"], Symbol(f"yin.core/{constant.name}"))
        else:
            fact(entity, EXEC["lambda"], functions[constant.number])
    elif isinstance(constant, PrimitiveRef):
        fact(entity, EXEC["constant-kind"], Keyword("primitive"))
        fact(entity, EXEC["constant"], Symbol(PRIMITIVES[constant.number].name))
    elif constant is None:
        fact(entity, EXEC["constant-kind"], Keyword("nil"))
    else:
        fact(entity, EXEC["constant-kind"], Keyword("value"))
        fact(entity, EXEC["constant"], constant)
