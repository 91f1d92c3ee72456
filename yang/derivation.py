"""What the rules derive of units, and of whole programs from those of their units.

Is:     the facts that the rules are given of some units, their answers as tables, and tables of units put together.
Is not: the rules (`yang/rules`), the choice of units (`yang.units`), or an order of steps (`yang.execution`).
Fits:   `yang.compile` calls `derived` for the units it does not know, and `linked` for all.

Of a unit that is left out the rules are told what it defines: the definition, and how many arguments it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from datomstore.datalog import derive_columns
from datomstore.value import Keyword
from yang import rules
from yang.analysis import (
    BINDER,
    BODY,
    CAPTURE_BINDER,
    CAPTURE_COUNT,
    CAPTURE_GROUP,
    CAPTURE_INDEX,
    GROUP,
    LOOK_UP,
    SCOPE_RELATIONS,
    STATIC,
    TX,
)
from yang.ast_datoms import END, ENTITY_BASE, INDEX, PARENT
from yang.columns import Array, Columns, Facts, Mask
from yang.execution import operands_of
from yang.folding import folded, rows_of
from yang.isa import OPCODES
from yang.nodes import NAME, TYPE, VARIADIC
from yang.units import OUTSIDE, Derived, Names, Unit

BASE = ENTITY_BASE
INIT, EVALUATED = Keyword("ast/init"), Keyword("ast/body")
STEP_RELATIONS = (
    "step",
    "handler",
    "slot",
    "destination",
    "static-reference",
    "host-reference",
)
ERROR_RELATIONS = (
    "unresolved",
    "recur-misplaced",
    "recur-count",
    "argument-count",
    "own-argument-count",
)
STAGES = ("tail", "names", "conditions", "slots", "liveness", "execution", "errors")

# Relation -> its columns that are kept, by what they hold: N a node, # a number, I an instruction, * what the
# instruction says. The other side of a reference is found by its name.
KEPT: dict[str, str] = {
    "local": "NN",
    "body": "NN",
    "static": "NN",
    "group": "NN",
    "captured": "NN",
    "step": "NN##I#***",
    "handler": "NNN##N#",
    "slot": "N#",
    "destination": "N#",
    "static-reference": "N",
    "host-reference": "N",
    "folded": "N##",
}
_STEP_OPERANDS = (6, 7, 8)  # a, b, c
NAMES_NODE = operands_of("KGFL")  # a place begins with one


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with some units, by relation; nodes are entities."""

    rows: Mapping[str, list[tuple[int, ...]]]

    def __bool__(self) -> bool:
        return any(self.rows.values())


def derived(
    columns: Columns, units: Sequence[Unit], chosen: Sequence[int], names: Names
) -> tuple[list[Derived], Findings]:
    """Return what the rules say of the chosen units, in their order, and what is wrong with them."""
    mask = np.zeros(columns.count, np.bool_)
    for number in chosen:
        mask[units[number].start : units[number].end] = True
    outside = _outside(columns, units, chosen, names, mask)
    facts = _facts(columns, names, mask, outside)
    found = derive_columns(rules.load("scope"), SCOPE_RELATIONS, facts.database(TX))
    scope = {name: _table(name, found[name]) for name in SCOPE_RELATIONS}
    constants = folded(columns, mask, names)
    if constants:
        for node in constants:
            mask[node + 1 : columns.end[node] + 1] = False
        facts = _facts(columns.with_literals(constants), names, mask, outside)
    _say_scope(facts, columns, scope)
    _say_hosts(facts, columns, units, chosen, names)
    found = derive_columns(
        rules.load(*STAGES), (*STEP_RELATIONS, *ERROR_RELATIONS), facts.database(TX)
    )
    tables = scope | {name: _table(name, found[name]) for name in STEP_RELATIONS}
    tables["folded"] = rows_of(constants)
    rows = {name: _rows(found[name]) for name in ERROR_RELATIONS}
    return _by_unit(tables, units, chosen), Findings(rows)


def _outside(
    columns: Columns, units: Sequence[Unit], chosen: Sequence[int], names: Names, mask: Mask
) -> list[int]:
    """Return the definitions of other units that the chosen ones mention."""
    mentioned = {name for number in chosen for name in units[number].names}
    return sorted(
        {node for name in mentioned for node in names.definitions(name) if not mask[node]}
    )


def _facts(columns: Columns, names: Names, mask: Mask, outside: Sequence[int]) -> Facts:
    """Return the facts of some nodes of the tree, and what they may know of definitions elsewhere."""
    facts = Facts(BASE)
    root = np.zeros(1, np.int64)
    if not mask[0]:
        facts.say([(0, TYPE, Keyword("program"))])
        facts.refer(root, END, columns.end[:1])
    facts.say_nodes(columns, mask)
    _say_definitions(facts, columns, names, outside)
    return facts


def _say_definitions(
    facts: Facts, columns: Columns, names: Names, definitions: Iterable[int]
) -> None:
    """State what other units know of definitions, see `Names.interface`."""
    said: list[tuple[int, Keyword, object]] = []
    for node in definitions:
        name = str(columns.scalar(node))
        said += [(node, TYPE, Keyword("def")), (node, NAME, name)]
        function = names.function(name)
        if function is None:
            continue
        said += [(node, PARENT, BASE), (node, INIT, BASE + function)]
        said.append((function, TYPE, Keyword("lambda")))
        for arity in columns.arities(function):
            body = columns.body(arity)
            said += [
                (arity, TYPE, Keyword("arity")),
                (arity, PARENT, BASE + function),
                (arity, VARIADIC, columns.scalar(arity)),
                (arity, EVALUATED, BASE + body),
                (body, INDEX, columns.items[arity].counts[0]),
            ]
    facts.say(said)


def _say_scope(facts: Facts, columns: Columns, scope: Mapping[str, Array]) -> None:
    relations = (("local", BINDER), ("static", STATIC), ("group", GROUP), ("body", BODY))
    for relation, attribute in relations:
        node, value = scope[relation].T
        facts.refer(node, attribute, value)
    facts.refer(np.zeros(1, np.int64), BODY, np.zeros(1, np.int64))
    group, binder = scope["captured"].T
    first = np.flatnonzero(np.diff(group, prepend=-1))
    counts = np.diff(first, append=len(group))
    index = np.arange(len(group)) - np.repeat(first, counts)
    entity = 2 * columns.count + 2 + np.arange(len(group))  # above the nodes and the names
    facts.count(group[first], CAPTURE_COUNT, counts)
    facts.refer(entity, CAPTURE_GROUP, group)
    facts.refer(entity, CAPTURE_BINDER, binder)
    facts.count(entity, CAPTURE_INDEX, index)


def _say_hosts(
    facts: Facts, columns: Columns, units: Sequence[Unit], chosen: Sequence[int], names: Names
) -> None:
    mentioned = {name for number in chosen for name in units[number].names} | {LOOK_UP}
    facts.say(
        [
            (entity, attribute, value)
            for entity, name in enumerate(sorted(mentioned), columns.count)
            for attribute, value in names.facts(name)
        ]
    )


def _table(relation: str, found: Sequence[Array | list[object]]) -> Array:
    """Return the rows of a relation, sorted; nodes without their base."""
    kinds = KEPT[relation]
    made = []
    for kind, column in zip(kinds, found, strict=False):
        if kind == "I":
            opcodes = [OPCODES[one.name] for one in column]  # type: ignore[union-attr]
            column = np.array(opcodes, np.int64)
        made.append(np.asarray(column, np.int64) - (BASE if kind == "N" else 0))
    if relation == "step":
        for place, operand in enumerate(_STEP_OPERANDS):
            made[operand] = made[operand] - BASE * NAMES_NODE[made[4], place]
    table = np.stack(made, axis=1)
    return table[np.lexsort(table.T[::-1])]


def _rows(found: Sequence[Array | list[object]]) -> list[tuple[int, ...]]:
    columns = [np.asarray(column, np.int64).tolist() for column in found]
    return list(zip(*columns, strict=True))


def _by_unit(
    tables: Mapping[str, Array], units: Sequence[Unit], chosen: Sequence[int]
) -> list[Derived]:
    """Return the rows of each chosen unit, its nodes counted from its first one."""
    made: list[dict[str, Array]] = [{} for _ in chosen]
    bounds = [(units[number].start, units[number].end) for number in chosen]
    starts = np.array([start for start, _ in bounds], np.int64)
    for name, table in tables.items():
        edges = np.searchsorted(table[:, 0], np.array(bounds, np.int64))
        counts = edges[:, 1] - edges[:, 0]
        rows = table[_ranges(edges[:, 0], counts)]
        moved = _shift(name, rows, -np.repeat(starts, counts))
        if name == "body":
            moved[rows[:, 1] == 0, 1] = OUTSIDE
        ends = np.cumsum(counts).tolist()
        for unit, last, count in zip(made, ends, counts.tolist(), strict=True):
            unit[name] = moved[last - count : last].copy()
    return [Derived(found) for found in made]


def _ranges(starts: Array, counts: Array) -> Array:
    """Return the numbers of ranges, one range after the other."""
    ends = np.cumsum(counts)
    first = np.repeat(starts - (ends - counts), counts)
    return first + np.arange(int(ends[-1]) if len(ends) else 0)


def _shift(relation: str, table: Array, shift: Array) -> Array:
    """Return rows whose nodes are counted from another one, by a shift for each row."""
    table = table.copy()
    for place, kind in enumerate(KEPT[relation]):
        if kind == "N":
            table[:, place] += shift
    if relation == "step":
        operands = table[:, _STEP_OPERANDS[0] : _STEP_OPERANDS[-1] + 1]
        operands += shift[:, None] * NAMES_NODE[table[:, 4]]
    return table


def linked(units: Sequence[Unit], found: Sequence[Derived]) -> dict[str, Array]:
    """Return the tables of a program whose units have these; nodes are counted from the program's root."""
    starts = np.array([unit.start for unit in units], np.int64)
    made: dict[str, Array] = {}
    for name in KEPT:
        parts = [derived_.tables[name] for derived_ in found]
        table = np.concatenate(parts)
        moved = _shift(name, table, np.repeat(starts, [len(part) for part in parts]))
        if name == "body":
            moved[table[:, 1] == OUTSIDE, 1] = 0
        made[name] = moved
    return made
