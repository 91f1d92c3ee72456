"""The execution stream: ordered steps, as values and as datoms.

Is:     sorting derived steps into the order they stand in, resolving places to steps, and their facts.
Is not: the choice of steps (yang/rules/execution.dl), nor packing (`yang.assemble`).
Fits:   `yang.compile` makes steps from what the rules derive; their order is the pc of the assembled code.

Bodies follow each other, the program's top level first, then arities as they stand in the source. Within a body the
rules give every step a key of three numbers; a place that a step jumps to is such a key and means the first step
from there on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from datomstore.datom import Datom
from datomstore.value import Keyword, Symbol
from yang.isa import INSTRUCTIONS
from yang.primitives import PRIMITIVES
from yang.segment import FunctionRef, PrimitiveRef

Key = tuple[int, int, int]  # position, rank, sequence

# instruction -> operand field -> kind, as in the table: {"jump": {"a": "L"}}
OPERANDS: dict[str, dict[str, str]] = {
    row.name: {
        field: kind
        for field, _, kind in (part.partition(":") for part in row.operands.split())
        if field != "n"
    }
    for row in INSTRUCTIONS
}


class StepRow(NamedTuple):
    """A step as the rules derive it; `instruction` is the name of a row of the table."""

    node: int
    position: int
    rank: int
    sequence: int
    instruction: str
    n: int
    a: int
    b: int
    c: int


class HandlerRow(NamedTuple):
    """A guarded range as the rules derive it."""

    node: int  # the :try
    start: int  # position; rank and sequence are 0
    end: int
    end_rank: int
    end_sequence: int
    target: int
    target_sequence: int


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
    """All steps of a program, by order, with its guards and the range of each body."""

    steps: tuple[Step, ...]
    guards: tuple[Guard, ...]
    bodies: Mapping[int, tuple[int, int]]  # body -> first step, step after the last
    entries: Mapping[int, int]  # node -> the step its evaluation begins with


def arrange(
    rows: Iterable[StepRow],
    handlers: Iterable[HandlerRow],
    body_of: Mapping[int, int],
    depth_of: Mapping[int, int],
) -> Stream:
    """Return the stream of derived steps. Cost: O(n log n)."""
    by_body: dict[int, list[tuple[Key, StepRow]]] = {}
    for row in rows:
        key = (row.position, row.rank, row.sequence)
        by_body.setdefault(body_of[row.node], []).append((key, row))
    keys: dict[int, list[Key]] = {}
    starts: dict[int, int] = {}
    steps: list[Step] = []
    for body in sorted(by_body):
        entries = sorted(by_body[body])
        entries = _without_idle_jumps(entries)
        keys[body] = [key for key, _ in entries]
        starts[body] = len(steps)
        for key, row in entries:
            steps.append(_step(len(steps), row, body, keys[body], starts[body]))
            assert key <= keys[body][-1], key
    bodies = {body: (starts[body], starts[body] + len(keys[body])) for body in keys}

    def place(body: int, key: Key) -> int:
        return starts[body] + bisect_left(keys[body], key)

    ordered = sorted(handlers, key=lambda row: (-depth_of[row.node], row.node))
    guards = (
        Guard(
            place(body_of[row.node], (row.start, 0, 0)),
            place(body_of[row.node], (row.end, row.end_rank, row.end_sequence)),
            place(body_of[row.node], (row.target, 0, row.target_sequence)),
        )
        for row in ordered
    )
    begins = {node: place(body, (node, 0, 0)) for node, body in body_of.items() if body in keys}
    return Stream(tuple(steps), tuple(row for row in guards if row.start < row.end), bodies, begins)


CALLS = ("apply", "tail-apply", "call", "tail-call", "primitive", "primitive-read")


def constant_of(step: Step) -> tuple[int, int] | None:
    """Return node and selector of the constant that a step names, if it names one; see execution.dl."""
    if step.instruction == "const":
        return step.b, step.c
    for field, kind in OPERANDS[step.instruction].items():
        if kind == "K":
            node: int = getattr(step, field)
            return node, 0
    return None


def _label(row: StepRow) -> Key | None:
    """Return the place a derived step names, see execution.dl."""
    operands = OPERANDS[row.instruction]
    if operands.get("a") == "L":
        return row.a, row.b, row.n
    if operands.get("b") == "L":
        return row.b, row.c, row.n
    if operands.get("c") == "L":
        return row.c, 0, row.n
    return None


def _without_idle_jumps(entries: list[tuple[Key, StepRow]]) -> list[tuple[Key, StepRow]]:
    """Return the steps without jumps to the step that follows anyway."""
    keys = [key for key, _ in entries]
    return [
        (key, row)
        for place, (key, row) in enumerate(entries)
        if not (
            row.instruction == "jump"
            and (label := _label(row)) is not None
            and bisect_left(keys, label) == place + 1
        )
    ]


def _step(order: int, row: StepRow, body: int, keys: Sequence[Key], start: int) -> Step:
    label = _label(row)
    if label is None:
        return Step(order, row.instruction, row.node, body, row.n, row.a, row.b, row.c, target=None)
    place = bisect_left(keys, label)
    assert place < len(keys), (row, "a jump past the end of its body")
    target = start + place
    if OPERANDS[row.instruction].get("a") == "L":
        return Step(order, row.instruction, row.node, body, 0, target, 0, 0, target)
    if OPERANDS[row.instruction].get("b") == "L":
        return Step(order, row.instruction, row.node, body, 0, row.a, target, 0, target)
    return Step(order, row.instruction, row.node, body, 0, row.a, row.b, target, target)


_ATTRIBUTES = (
    "order instruction node body a b c n constant constant-kind name target function args lambda"
)
EXEC = {name: Keyword(f"exec/{name}") for name in _ATTRIBUTES.split()}
CONTAINS = Keyword("contains")


def exec_datoms(
    stream: Stream,
    *,
    base: int,
    tx: int,
    constants: Mapping[tuple[int, int], object],
    names: Mapping[int, str],
    operator: Mapping[int, int],
    operands: Mapping[int, Sequence[int]],
    functions: Sequence[int],
) -> list[Datom]:
    """Return the facts of a stream: step i is entity base + i, sets of arguments follow the steps.

    `constants` are by (node, selector), `names` the globals' by node, `operator` and `operands` the children of
    applications, `functions` the lambdas by their number in the segment.
    """
    datoms: list[Datom] = []
    next_entity = base + len(stream.steps)

    def fact(entity: int, attribute: Keyword, value: object) -> None:
        datoms.append(Datom(entity, attribute, value, tx, True))

    for step in stream.steps:
        entity = base + step.order
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
                key = constant_of(step)
                assert key is not None
                _constant_facts(fact, entity, constants[key], functions)
            elif kind == "G":
                fact(entity, EXEC["name"], names[value])
            elif kind == "F":
                fact(entity, EXEC["lambda"], value)
            elif kind == "L":
                fact(entity, EXEC["target"], base + value)
            elif kind is not None:
                fact(entity, EXEC[field], value)
        if step.node in operator and step.instruction in CALLS:
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
