"""The AST as datoms, lossless both ways.

Is:     the facts of every node, entity ids being base + pre-order position; and the tree back from such facts.
Is not: analysis: nothing here needs to know what a node means.
Fits:   the rules in `yang/rules` read these facts; the `code` stream keeps them.

Per node: type, scalars, parent, role, position (in the role), index (among all children), depth, end (its last
descendant), source-location, source-end; on the parent one fact per child under the role's own attribute.
A literal has :ast/value-kind, and no :ast/value when it is nil. Where the value index cannot tell values apart that the
machine can (a list and a vector, maps in another order, 0.0 and -0.0, NaN), :ast/value-bytes holds the exact one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from datomstore.datom import Datom
from datomstore.value import Keyword, Map, Set
from yang.canonical import decode, encode
from yang.errors import ProgramInvalid
from yang.limits import PROGRAM_BYTES_MAX
from yang.nodes import (
    END_LOCATION,
    KINDS,
    LOCATION,
    ROLES,
    ROLES_MANY,
    TYPE,
    VALUE,
    Item,
    Kind,
    Node,
    Tree,
    tree_of_node,
    value_kind,
)
from yang.pause import collector_paused
from yang.segment import Span

ENTITY_BASE = 1 << 20  # of a program alone in its database; the `code` stream gives each its own
PARENT = Keyword("ast/parent")
ROLE = Keyword("ast/role")
POSITION = Keyword("ast/position")
INDEX = Keyword("ast/index")
DEPTH = Keyword("ast/depth")
END = Keyword("ast/end")
VALUE_KIND = Keyword("ast/value-kind")
VALUE_BYTES = Keyword("ast/value-bytes")
EXPANDED_FROM = Keyword("ast/expanded-from")  # the macro call that a node is the expansion of
MACRO = Keyword("expansion/macro")
CALL = Keyword("expansion/form")  # its source text
WITHIN = Keyword("expansion/within")  # the macro call whose expansion it stands in
CALL_LOCATION = Keyword("expansion/source-location")
PROGRAM_HASH = Keyword("program/hash")

_REF: dict[Keyword, object] = {Keyword("db/valueType"): Keyword("db.type/ref")}
_REF_MANY = {**_REF, Keyword("db/cardinality"): Keyword("db.cardinality/many")}
SCHEMA: dict[Keyword, dict[Keyword, object]] = {  # in DataScript's form
    PARENT: _REF,
    END: _REF,
    EXPANDED_FROM: _REF,
    WITHIN: _REF,
    **{role: _REF_MANY if role in ROLES_MANY else _REF for role in sorted(ROLES)},
}


def datoms_of(
    tree: Tree | Node, *, base: int = ENTITY_BASE, tx: int, program_hash: bytes | None = None
) -> list[Datom]:
    """Return the facts of a tree, in the order of its nodes. The root's entity is `base`.

    Raises:
        ProgramInvalid: the tree is not one of the table in `yang.nodes`.
    """
    with collector_paused():
        return _datoms_of(
            tree if isinstance(tree, Tree) else tree_of_node(tree), base, tx, program_hash
        )


def _datoms_of(whole: Tree, base: int, tx: int, program_hash: bytes | None) -> list[Datom]:
    out: list[Datom] = []
    for number, (item, place) in enumerate(zip(whole.items, whole.places, strict=True)):
        e = base + number
        span = item.span
        out.append(Datom(e, TYPE, _TYPES[item.kind.name], tx, True))
        out += [Datom(e, a, v, tx, True) for a, v in scalar_facts(item.kind, item.scalars)]
        if place.role is not None:
            parent = base + place.parent
            out += (
                Datom(e, PARENT, parent, tx, True),
                Datom(e, ROLE, place.role, tx, True),
                Datom(e, POSITION, place.position, tx, True),
                Datom(e, INDEX, place.index, tx, True),
                Datom(parent, place.role, e, tx, True),
            )
        out += (
            Datom(e, DEPTH, place.depth, tx, True),
            Datom(e, END, base + place.end, tx, True),
            Datom(e, LOCATION, (span.line, span.column), tx, True),
            Datom(e, END_LOCATION, (span.end_line, span.end_column), tx, True),
        )
    if program_hash is not None:
        out.append(Datom(base, PROGRAM_HASH, program_hash, tx, True))
    return out


def expansion_datoms(tree: Tree, *, base: int, first: int, tx: int) -> list[Datom]:
    """Return the facts of the macro calls that a tree comes from; their entities count from `first`.

    The call, as it was written, and its expansion, which is the node and all inside it, are both kept.
    """
    out: list[Datom] = []
    entity = first
    around: list[
        tuple[int, int]
    ] = []  # last node inside, and the call's entity; the innermost last
    for number in sorted(tree.expansions):
        while around and around[-1][0] < number:
            around.pop()
        for macro, text, span in tree.expansions[number]:
            facts = [(MACRO, macro), (CALL, text), (CALL_LOCATION, (span.line, span.column))]
            out += [Datom(entity, attribute, value, tx, True) for attribute, value in facts]
            if around:
                out.append(Datom(entity, WITHIN, around[-1][1], tx, True))
            around.append((tree.places[number].end, entity))
            entity += 1
        out.append(Datom(base + number, EXPANDED_FROM, entity - 1, tx, True))
    return out


_TYPES = {name: Keyword(name) for name in KINDS}


def scalar_facts(kind: Kind, scalars: Sequence[object]) -> list[tuple[Keyword, object]]:
    """Return what is said of a node's own fields."""
    facts: list[tuple[Keyword, object]] = []
    for scalar, value in zip(kind.scalars, scalars, strict=True):
        if scalar.attribute is VALUE:
            facts += value_facts(value)
        elif value is not None:
            facts.append((scalar.attribute, value))
    return facts


def value_facts(value: object) -> list[tuple[Keyword, object]]:
    """Return what is said of a literal's value."""
    facts: list[tuple[Keyword, object]] = [(VALUE_KIND, value_kind(value))]
    if value is not None:
        facts.append((VALUE, value))
    inexact = isinstance(value, tuple | Map | Set) or (
        isinstance(value, float) and (value == 0.0 or value != value)
    )
    if inexact:
        facts.append((VALUE_BYTES, encode(value)))
    return facts


def tree_of(datoms: Iterable[Datom]) -> Tree:
    """Return the tree of one program's facts, in any order; facts of other attributes are passed over.

    Raises:
        ProgramInvalid: the facts are not those of a whole tree.
    """
    nodes: dict[int, dict[Keyword, object]] = {}
    edges: set[tuple[int, object]] = set()
    for datom in datoms:
        if not datom.added:
            continue
        if datom.a in ROLES:
            edges.add((datom.e, datom.v))
        else:
            nodes.setdefault(datom.e, {})[datom.a] = datom.v
    nodes = {e: facts for e, facts in nodes.items() if TYPE in facts}
    counts: dict[tuple[object, object], int] = {}
    for facts in nodes.values():
        edge = (facts.get(PARENT), facts.get(ROLE))
        counts[edge] = counts.get(edge, 0) + 1
    items = [_item(e, nodes[e], counts) for e in sorted(nodes)]
    base = min(nodes, default=0)
    tree = Tree(items)
    for number, place in enumerate(tree.places):
        facts = nodes.get(base + number, {})
        parent = None if place.role is None else base + place.parent
        if facts.get(PARENT) != parent or facts.get(ROLE) is not place.role:
            raise ProgramInvalid(f"entity {base + number} is not where its position says")
        if parent is not None and (parent, base + number) not in edges:
            raise ProgramInvalid(f"entity {base + number} is not among its parent's")
    if len(edges) != len(items) - 1:
        raise ProgramInvalid(f"{len(edges)} children among {len(items)} nodes")
    return tree


def _item(e: int, facts: dict[Keyword, object], counts: dict[tuple[object, object], int]) -> Item:
    type_ = facts[TYPE]
    kind = KINDS.get(type_.name) if isinstance(type_, Keyword) else None
    if kind is None:
        raise ProgramInvalid(f"entity {e}: no node has the type {type_!r}")
    scalars = tuple(
        [
            _value(e, facts) if scalar.attribute is VALUE else facts.get(scalar.attribute)
            for scalar in kind.scalars
        ]
    )
    inside = tuple([counts.get((e, role.attribute), 0) for role in kind.roles])
    return Item(kind, scalars, inside, _span(e, facts))


def literal_of(facts: Mapping[Keyword, object]) -> object:
    """Return the exact value of a literal from the facts of its entity. Raises ProgramInvalid."""
    exact = facts.get(VALUE_BYTES)
    return decode(exact, PROGRAM_BYTES_MAX) if isinstance(exact, bytes) else facts.get(VALUE)


def _value(e: int, facts: dict[Keyword, object]) -> object:
    value = literal_of(facts)
    if facts.get(VALUE_KIND) is not _kind_of(value):
        raise ProgramInvalid(f"entity {e}: a value that is not {facts.get(VALUE_KIND)!r}")
    return value


def _kind_of(value: object) -> Keyword | None:
    try:
        return value_kind(value)
    except KeyError:
        return None


def _span(e: int, facts: dict[Keyword, object]) -> Span:
    start, end = facts.get(LOCATION), facts.get(END_LOCATION)
    whole = isinstance(start, tuple) and isinstance(end, tuple) and len(start) == len(end) == 2
    if not whole or not all(type(number) is int for number in (*start, *end)):  # type: ignore[misc]
        raise ProgramInvalid(f"entity {e} has no place in a source text")
    return Span(*start, *end)  # type: ignore[misc]
