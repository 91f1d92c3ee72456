"""The Universal AST: its node kinds, their attributes and children, and its map projection.

Is:     the table of kinds; nodes as persistent maps (pyrsistent); trees to pre-order lists and back.
Is not: the datom form (`yang.ast_datoms`) or the canonical bytes (`yang.program`); both are made from the pre-order list.
Fits:   every front end ends here; everything after reads datoms whose entity ids are pre-order positions.

A node in the map projection: {:ast/type :if, :ast/source-location [line column], :ast/source-end [line column],
scalars, and per role a node (roles of exactly or at most one child) or a vector of nodes (all other roles)}.
Children are in evaluation order: the order of roles in the table, then position. Walks keep their own stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from pyrsistent import PMap, pmap, pvector

from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.errors import ProgramInvalid
from yang.forms import is_name
from yang.limits import NODE_COUNT_MAX, TREE_DEPTH_MAX
from yang.segment import Part, Span

Node: TypeAlias = PMap[Keyword, Any]

TYPE = Keyword("ast/type")
LOCATION = Keyword("ast/source-location")
END_LOCATION = Keyword("ast/source-end")
NAME = Keyword("ast/name")
VALUE = Keyword("ast/value")
VARIADIC = Keyword("ast/variadic")
CLASS = Keyword("ast/class")


class Scalar(NamedTuple):
    """One attribute that holds a value: its Python type and whether a node may lack it."""

    attribute: Keyword
    type: type
    optional: bool = False


class Role(NamedTuple):
    """One kind of children: how many, and which node kinds they are."""

    attribute: Keyword
    least: int
    most: int | None
    kinds: frozenset[str]

    @property
    def single(self) -> bool:
        """Return whether the map projection has the child itself, not a vector."""
        return self.most == 1


class Kind(NamedTuple):
    """One row of the table."""

    name: str
    scalars: tuple[Scalar, ...]
    roles: tuple[Role, ...]
    number: int  # in canonical bytes


EXPRESSIONS = frozenset(
    (
        "literal",
        "variable",
        "def",
        "lambda",
        "application",
        "if",
        "do",
        "let",
        "loop",
        "recur",
        "letrec",
        "try",
        "throw",
    )
)


def _role(name: str, least: int, most: int | None, kinds: Iterable[str] = EXPRESSIONS) -> Role:
    return Role(Keyword(f"ast/{name}"), least, most, frozenset(kinds))


_NAMED = (Scalar(NAME, str),)

# ORDER: node kinds. Numbers are positions; hashes of programs depend on them and on the order of the columns, so
# append only.
_TABLE: tuple[tuple[str, tuple[Scalar, ...], tuple[Role, ...]], ...] = (
    ("program", (Scalar(NAME, str, optional=True),), (_role("statements", 0, None),)),
    ("literal", (Scalar(VALUE, object),), ()),
    ("variable", _NAMED, ()),
    ("def", _NAMED, (_role("init", 1, 1),)),
    ("lambda", (Scalar(NAME, str, optional=True),), (_role("arities", 1, None, ["arity"]),)),
    (
        "arity",
        (Scalar(VARIADIC, bool),),
        (_role("params", 0, None, ["parameter"]), _role("body", 1, 1)),
    ),
    ("parameter", _NAMED, ()),
    ("application", (), (_role("operator", 1, 1), _role("operands", 0, None))),
    ("if", (), (_role("test", 1, 1), _role("consequent", 1, 1), _role("alternative", 1, 1))),
    ("do", (), (_role("statements", 1, None),)),
    ("let", (), (_role("bindings", 0, None, ["binding"]), _role("body", 1, 1))),
    ("binding", _NAMED, (_role("init", 1, 1),)),
    ("loop", (), (_role("bindings", 0, None, ["binding"]), _role("body", 1, 1))),
    ("recur", (), (_role("operands", 0, None),)),
    ("letrec", (), (_role("bindings", 1, None, ["binding"]), _role("body", 1, 1))),
    (
        "try",
        (),
        (_role("body", 1, 1), _role("catches", 0, None, ["catch"])),
    ),
    ("catch", (Scalar(NAME, str), Scalar(CLASS, str)), (_role("body", 1, 1),)),
    ("throw", (), (_role("operand", 1, 1),)),
)
KINDS: dict[str, Kind] = {row[0]: Kind(*row, number) for number, row in enumerate(_TABLE)}
KINDS_BY_NUMBER: tuple[Kind, ...] = tuple(KINDS.values())
ROLES: frozenset[Keyword] = frozenset(
    role.attribute for kind in KINDS_BY_NUMBER for role in kind.roles
)
# A role's attribute is cardinality many when any kind has it more than once.
ROLES_MANY: frozenset[Keyword] = frozenset(
    role.attribute for kind in KINDS_BY_NUMBER for role in kind.roles if not role.single
)
_TYPES = {name: Keyword(name) for name in KINDS}


_VARIABLE, _ARITY, _LAMBDA, _LETREC = (
    KINDS[name] for name in ("variable", "arity", "lambda", "letrec")
)
(_INIT,) = KINDS["binding"].roles


def make(kind: str, span: Span, fields: Mapping[Keyword, object]) -> Node:
    """Return a node; `fields` are scalars and, per role, a node or a vector of nodes."""
    return pmap(
        {
            TYPE: _TYPES[kind],
            LOCATION: (span.line, span.column),
            END_LOCATION: (span.end_line, span.end_column),
            **fields,
        }
    )


def kind_of(node: Node) -> Kind:
    """Return the row of a node's type."""
    return KINDS[node[TYPE].name]


def span_of(node: Node) -> Span:
    """Return where in the source text a node comes from."""
    return Span(*node[LOCATION], *node[END_LOCATION])


_VALUE_KINDS: dict[type, Keyword] = {
    type(None): Keyword("nil"),
    bool: Keyword("boolean"),
    int: Keyword("integer"),
    Fraction: Keyword("ratio"),
    Decimal: Keyword("decimal"),
    float: Keyword("double"),
    str: Keyword("string"),
    Char: Keyword("character"),
    Keyword: Keyword("keyword"),
    Symbol: Keyword("symbol"),
    tuple: Keyword("vector"),
    List: Keyword("list"),
    Map: Keyword("map"),
    Set: Keyword("set"),
    bytes: Keyword("bytes"),
    datetime: Keyword("instant"),
    UUID: Keyword("uuid"),
}


def value_kind(value: object) -> Keyword:
    """Return the kind of a literal's value: :nil, :integer, :vector ..."""
    return _VALUE_KINDS[type(value)]


class Item(NamedTuple):
    """One node of a tree, in pre-order: its own fields and how many children it has per role."""

    kind: Kind
    scalars: tuple[object, ...]  # in the order of the table; None where an optional one is absent
    counts: tuple[int, ...]  # per role
    span: Span


class Place(NamedTuple):
    """Where a node stands in its tree."""

    parent: int  # pre-order index, -1 for the root
    role: Keyword | None
    position: int  # within its role
    index: int  # type: ignore[assignment]  # among all children of the parent
    depth: int
    end: int  # pre-order index of the last descendant, or its own


class Placed(NamedTuple):
    """Where all nodes of a tree stand: the columns of their places."""

    parents: list[int]
    roles: list[Keyword | None]
    positions: list[int]
    indexes: list[int]
    depths: list[int]
    ends: list[int]


# parent, role, position, index, depth
_Slot: TypeAlias = tuple[int, Role | None, int, int, int]


class Written(NamedTuple):
    """The call of a macro that a node is the expansion of."""

    macro: str
    text: str  # of the call
    span: Span


Expansions: TypeAlias = Mapping[
    int, tuple[Written, ...]
]  # by pre-order index, the outermost call first


class Tree:
    """One whole, checked AST: its nodes in pre-order and where each stands; the map projection on demand.

    Beside it, for people and queries: the files it was written in, and what macro calls its nodes come from. Equal to another tree exactly if all nodes, values and spans are. Raises ProgramInvalid when made of what is no tree.
    """

    __slots__ = ("_places", "_root", "expansions", "items", "parts", "placed")

    def __init__(
        self,
        items: Sequence[Item],
        root: Node | None = None,
        parts: Sequence[Part] = (),
        expansions: Expansions | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self.expansions = expansions or {}
        self.items = tuple(items)
        self.placed = placed(items)
        self._places: tuple[Place, ...] | None = None
        self._root = root

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where each node stands."""
        if self._places is None:
            self._places = tuple(map(Place._make, zip(*self.placed, strict=True)))
        return self._places

    @property
    def root(self) -> Node:
        """Return the :program node, with all others inside it."""
        if self._root is None:
            self._root = build(self.items)
        return self._root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.items == other.items

    def __hash__(self) -> int:
        return hash(self.items)


def tree_of_node(root: Node) -> Tree:
    """Return the tree of a map projection."""
    return Tree(flatten(root), root)


def flatten(tree: Tree | Node) -> Sequence[Item]:
    """Return the nodes of a tree in pre-order. Cost: linear, no recursion."""
    if isinstance(tree, Tree):
        return tree.items
    return [item for item, _ in walk(tree)]


def walk(tree: Node) -> list[tuple[Item, Node]]:
    """Return the nodes of a map projection in pre-order, each in both forms. Cost: linear, no recursion."""
    items: list[tuple[Item, Node]] = []
    stack: list[Node] = [tree]
    while stack:
        node = stack.pop()
        kind = KINDS[node[TYPE].name]
        children: list[Node] = []
        counts: list[int] = []
        for role in kind.roles:
            found = node.get(role.attribute)
            if role.single:
                of_role: Sequence[Node] = () if found is None else (found,)
            else:
                of_role = found if found is not None else ()
            children.extend(of_role)
            counts.append(len(of_role))
        scalars = tuple([node.get(scalar.attribute) for scalar in kind.scalars])
        items.append((Item(kind, scalars, tuple(counts), span_of(node)), node))
        children.reverse()
        stack += children
    return items


def build(items: Sequence[Item]) -> Node:
    """Return the tree of a checked pre-order list. Cost: linear, no recursion.

    Works from the back: the children of a node are then the last ones built, the first on top.
    """
    built: list[Node] = []
    for item in reversed(items):
        fields: dict[Keyword, object] = {}
        for scalar, value in zip(item.kind.scalars, item.scalars, strict=True):
            if value is not None or scalar.type is object:
                fields[scalar.attribute] = value
        for role, count in zip(item.kind.roles, item.counts, strict=True):
            children = [built.pop() for _ in range(count)]
            if not role.single:
                fields[role.attribute] = pvector(children)
            elif children:
                fields[role.attribute] = children[0]
        built.append(make(item.kind.name, item.span, fields))
    (tree,) = built
    return tree


def placed(items: Sequence[Item]) -> Placed:
    """Return where each node of a pre-order list stands, and check that the list is one tree of the table's shape.

    Raises:
        ProgramInvalid: not one :program, a child of a wrong kind or count, too deep, or too many nodes.
    """
    if not 0 < len(items) <= NODE_COUNT_MAX:
        raise ProgramInvalid(f"{len(items)} nodes; a program has 1 to {NODE_COUNT_MAX}")
    if items[0].kind.name != "program":
        raise ProgramInvalid(f"the root is :{items[0].kind.name}, not :program")
    count = len(items)
    roles: list[Keyword | None] = [None] * count
    parents, positions, indexes, depths = ([0] * count for _ in range(4))
    names: set[object] = set()  # that have been looked at
    arities: list[int] = []
    of_letrec: int | None = None  # the first node that a :letrec binds and that is no function
    # Slots still to be filled, the next one last: (parent, role, position, index, depth).
    slots: list[_Slot] = [(-1, None, 0, 0, 0)]
    for number, item in enumerate(items):
        if not slots:
            raise ProgramInvalid(f"node {number} has no parent")
        parent, role, positions[number], indexes[number], depth = slots.pop()
        kind, scalars, counts, _ = item
        if role is not None:
            if kind.name not in role.kinds:
                raise ProgramInvalid(f"node {number}: :{kind.name} as {role.attribute!r}")
            if depth > TREE_DEPTH_MAX:
                message = f"nested deeper than {TREE_DEPTH_MAX} after expansion"
                raise ProgramInvalid(message, node=number)
            roles[number] = role.attribute
            if kind is not _LAMBDA and role is _INIT and items[parents[parent]].kind is _LETREC:
                of_letrec = number if of_letrec is None else of_letrec
        parents[number], depths[number] = parent, depth
        if counts or kind is not _VARIABLE or scalars[0] not in names:
            _check_item(number, item, count)
            names.update(scalars if kind is _VARIABLE else ())
        if counts:
            slots += _child_slots(number, item, depth + 1)
            if kind is _ARITY:
                arities.append(number)
    if slots:
        raise ProgramInvalid(f"{len(slots)} nodes are missing")
    if of_letrec is not None:
        raise ProgramInvalid(f"node {of_letrec}: :letrec binds a :{items[of_letrec].kind.name}")
    _check_arities([(parents[number], items[number]) for number in arities])
    return Placed(parents, roles, positions, indexes, depths, _ends(parents))


def _ends(parents: Sequence[int]) -> list[int]:
    """Return the last descendant of each node, or its own number."""
    ends = list(range(len(parents)))
    for number in range(len(parents) - 1, 0, -1):
        parent, end = parents[number], ends[number]
        if end > ends[parent]:
            ends[parent] = end
    return ends


def _child_slots(number: int, item: Item, depth: int) -> list[_Slot]:
    """Return the places of a node's children, the first one last."""
    slots: list[_Slot] = []
    for role, count in zip(item.kind.roles, item.counts, strict=True):
        for position in range(count):
            slots.append((number, role, position, len(slots), depth))
    slots.reverse()
    return slots


def _check_item(number: int, item: Item, node_count: int) -> None:
    """Check one node by itself, before anything is made in proportion to its counts."""
    for role, count in zip(item.kind.roles, item.counts, strict=True):
        if (
            count < role.least
            or count > node_count
            or (role.most is not None and count > role.most)
        ):
            raise ProgramInvalid(f"node {number}: {count} {role.attribute!r}")
    for scalar, value in zip(item.kind.scalars, item.scalars, strict=True):
        if scalar.type is object or (value is None and scalar.optional):
            continue
        if type(value) is not scalar.type:
            raise ProgramInvalid(f"node {number}: {scalar.attribute!r} is a {scalar.type.__name__}")
        if isinstance(value, str) and item.kind.name != "program" and not is_name(value):
            raise ProgramInvalid(f"node {number}: {scalar.attribute!r} is not a name")
    if item.kind.name == "arity" and item.scalars[0] and not item.counts[0]:
        raise ProgramInvalid(f"node {number}: variadic without a parameter")


def _check_arities(arities: Sequence[tuple[int, Item]]) -> None:
    """Refuse lambdas with two arities for the same call; of each arity its lambda is given."""
    taken: dict[int, dict[bool, list[int]]] = {}
    for function, item in arities:
        variadic = item.scalars[0] is True
        of_lambda = taken.setdefault(function, {False: [], True: []})
        of_lambda[variadic].append(item.counts[0] - variadic)
    for number, counts in taken.items():
        fixed, rest = counts[False], counts[True]
        if (
            len(set(fixed)) < len(fixed)
            or len(rest) > 1
            or (rest and max(fixed, default=0) > rest[0])
        ):
            raise ProgramInvalid("two arities for the same call", node=number)
