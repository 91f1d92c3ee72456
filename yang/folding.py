"""Calls that come to a constant before the program runs, and are compiled as that constant.

Is:     finding calls that are of literals throughout, asking constants.dl what they come to, and the tree as the other
        rules see it: with a literal in place of such a call.
Is not: a change of the AST: nodes, hash and places stay as they are, and the constant's step is that of the call.
Fits:   `yang.derivation` folds before it derives steps. What a call came to is kept as rows of numbers, as all is
        that is kept of a unit.

A call that names are involved in is not folded, whatever `yang.passes` knows of them: a unit depends on nothing beyond
its own nodes and what its functions take.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from datomstore.datalog import derive
from yang import rules
from yang.analysis import TX
from yang.ast_datoms import ENTITY_BASE, value_facts
from yang.canonical import decode, encode
from yang.columns import Array, Columns, Facts, Mask
from yang.host_facts import PLAIN
from yang.limits import FOLDED_BYTES_MAX
from yang.nodes import KINDS
from yang.resolve import plain_name
from yang.units import Names

# The functions that constants.dl knows: others are not worth asking about.
_FOLDED = """+ - * quot rem mod max min bit-and bit-or bit-xor inc dec abs < <= > >= = not= zero? pos? neg? even? odd?
    not boolean nil? some? count str name"""
FOLDED = frozenset(_FOLDED.split())
_STAGES = ("tail", "names", "constants")
_LITERAL, _VARIABLE, _APPLICATION = (
    KINDS[kind].number for kind in ("literal", "variable", "application")
)
_CHUNK = 3  # bytes of a value in one row: kept numbers have four, and a sign


def folded(columns: Columns, chosen: Mask, names: Names) -> dict[int, object]:
    """Return the outermost calls among the chosen nodes that come to a constant, and the constants."""
    calls = _calls(columns, chosen, names)
    if not len(calls):
        return {}
    facts = Facts(ENTITY_BASE)
    inside = np.zeros(columns.count, np.bool_)
    for call in calls.tolist():
        inside[call : columns.end[call] + 1] = True
    facts.say_nodes(columns, inside)
    _say_values(facts, columns, inside)
    _say_names(facts, columns, inside, names)
    found = derive(rules.load(*_STAGES), ["folds"], facts.database(TX))["folds"]
    values = {
        call - ENTITY_BASE: value for call, value in found if len(encode(value)) <= FOLDED_BYTES_MAX
    }
    return {
        call: value for call, value in sorted(values.items()) if columns.parent[call] not in values
    }


def _calls(columns: Columns, chosen: Mask, names: Names) -> Array:
    """Return the calls of functions that may be folded, with literals and such calls for arguments, outermost ones."""
    called = (columns.index == 0) & (columns.kind[columns.parent] == _APPLICATION)
    literal = (columns.kind == _LITERAL) & ~called & chosen
    operator = (columns.kind == _VARIABLE) & called & chosen
    call = (columns.kind == _APPLICATION) & ~called & chosen
    calls = np.flatnonzero(_closed(columns, literal | operator, call))
    if not len(calls):
        return calls
    bound = _bound(columns)
    for function, statement in zip((calls + 1).tolist(), _statements(columns, calls), strict=True):
        name = str(columns.scalar(function))
        own = (statement, name) in bound or names.definitions(name)
        if own or plain_name(name) not in FOLDED:
            operator[function] = False
    candidates = _closed(columns, literal | operator, call)
    return np.flatnonzero(candidates & ~candidates[columns.parent])


def _closed(columns: Columns, leaves: Mask, call: Mask) -> Mask:
    """Return the calls that have nothing but leaves and such calls inside."""
    sound = leaves.copy()
    while True:
        wrong = np.bincount(columns.parent[1:][~sound[1:]], minlength=columns.count)
        more = sound | (call & (wrong == 0))
        if (more == sound).all():
            return call & sound
        sound = more


def _bound(columns: Columns) -> set[tuple[int, str | None]]:
    """Return the names of all locals, each with the statement it is in."""
    binders = columns.of("parameter", "binding", "catch", "lambda")
    names = map(columns.name, binders.tolist())
    return set(zip(_statements(columns, binders), names, strict=True))


def _statements(columns: Columns, nodes: Array) -> list[int]:
    """Return the numbers of the statements at the top level that nodes are in."""
    found: list[int] = np.searchsorted(np.flatnonzero(columns.parent == 0), nodes, "right").tolist()
    return found


def _say_values(facts: Facts, columns: Columns, inside: Mask) -> None:
    """State the values that rules do not ask for otherwise."""
    literals = np.flatnonzero(inside & (columns.kind == _LITERAL)).tolist()
    facts.say([(node, *fact) for node in literals for fact in value_facts(columns.scalar(node))])


def _say_names(facts: Facts, columns: Columns, inside: Mask, names: Names) -> None:
    operators = np.flatnonzero(inside & (columns.kind == _VARIABLE)).tolist()
    found = sorted({str(columns.scalar(node)) for node in operators})
    for entity, name in enumerate(found, columns.count):
        facts.say([(entity, PLAIN, plain_name(name))])
        facts.say([(entity, *fact) for fact in names.facts(name)])


# -- as rows of numbers --


def rows_of(values: Mapping[int, object]) -> Array:
    """Return constants as rows of node, place and number."""
    rows = [
        (node, place, number)
        for node, value in values.items()
        for place, number in enumerate(_numbers(encode(value)))
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def values_of(rows: Array) -> dict[int, object]:
    """Return what `rows_of` was given."""
    numbers: dict[int, list[int]] = {}
    for node, _, number in rows.tolist():
        numbers.setdefault(node, []).append(number)
    return {node: decode(_bytes(found), FOLDED_BYTES_MAX) for node, found in numbers.items()}


def _numbers(data: bytes) -> list[int]:
    starts = range(0, len(data), _CHUNK)
    return [len(data), *(int.from_bytes(data[at : at + _CHUNK], "little") for at in starts)]


def _bytes(numbers: list[int]) -> bytes:
    size, *chunks = numbers
    return b"".join(chunk.to_bytes(_CHUNK, "little") for chunk in chunks)[:size]
