"""Changes of a program's tree as transactions on its facts: replace, wrap, rename, extract; each with its inverse.

Is:     a draft, which is a tree whose nodes keep their entities while it is edited, and edits of it as ground facts.
Is not: the code that runs: `Draft.tree` gives the tree, which is compiled and named by its hash as any other.
Fits:   a draft lives in a stream of its own; the stream's history is the program's (`as_of` shows a former one).

In a draft, order is said by :ast/parent, :ast/role and :ast/position alone. What other code facts have besides
(:ast/index, :ast/depth, :ast/end, entities in pre-order) follows from these and would change everywhere with every edit;
`datoms_of` derives it when a draft is published. See docs/decisions/0004-identity-of-nodes.md.

An edit retracts and asserts exact facts. Its inverse is the same the other way round, so an edit and its inverse leave the
facts as they were. Every edit is checked before it is made: the tree it leads to is one of the table in `yang.nodes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from datomstore.database import Database
from datomstore.value import Keyword, Map
from yang.ast_datoms import PARENT, POSITION, ROLE, SCHEMA, literal_of, scalar_facts
from yang.errors import EditRefused, ProgramInvalid
from yang.nodes import (
    END_LOCATION,
    KINDS,
    LOCATION,
    ROLES,
    TYPE,
    VALUE,
    Item,
    Kind,
    Tree,
)
from yang.program import program_of
from yang.scopes import BINDERS, Scopes, scopes_of
from yang.segment import Span

if TYPE_CHECKING:
    from datomstore.streams import Stream
    from datomstore.transaction import TxReport

Fact: TypeAlias = tuple[int, Keyword, object]

_ADD = Keyword("db/add")
_RETRACT = Keyword("db/retract")
_EDIT = Keyword("edit/what")  # on the transaction of an edit
NOWHERE = Span(0, 0, 0, 0)  # the place of a node that no text has


class DraftNode(NamedTuple):
    """One node of a draft: its own fields, and its children per role, as entities."""

    kind: Kind
    scalars: tuple[object, ...]
    children: tuple[tuple[int, ...], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a draft: facts that go, facts that come."""

    what: str
    retracted: tuple[Fact, ...]
    asserted: tuple[Fact, ...]

    def inverse(self) -> Edit:
        """Return the edit that undoes this one."""
        return Edit(f"undo {self.what}", self.asserted, self.retracted)

    def tx_data(self) -> list[object]:
        """Return the edit as transaction data."""
        return [
            *[(_RETRACT, *fact) for fact in self.retracted],
            *[(_ADD, *fact) for fact in self.asserted],
        ]


@dataclass(frozen=True)
class Draft:
    """A program that is edited: an immutable value, as the database it is read from."""

    root: int
    nodes: Mapping[int, DraftNode]
    next_entity: int
    _above: dict[int, tuple[int, int, int]] = field(default_factory=dict, repr=False)

    # -- whole drafts --

    def tree(self) -> Tree:
        """Return the tree, checked. Raises ProgramInvalid."""
        return Tree(self._items(self.entities()))

    def entities(self) -> list[int]:
        """Return the entities of the nodes in pre-order."""
        return _preorder(self.nodes, self.root)

    def hash(self) -> bytes:
        """Return the hash of the program as it is now."""
        return program_of(self.tree()).hash

    def facts(self) -> set[Fact]:
        """Return all facts of the draft."""
        return {fact for entity in self.nodes for fact in self._facts(entity)}

    def span(self, entity: int) -> Span:
        """Return where a node was written; a node that an edit made has the place of the nearest one around it."""
        while self.nodes[entity].span == NOWHERE and entity != self.root:
            entity = self._place(entity)[0]
        return self.nodes[entity].span

    def entity_at(self, line: int, column: int) -> int:
        """Return the innermost node that was written at a place. Raises EditRefused."""
        found = [
            entity for entity in self.entities() if _contains(self.nodes[entity].span, line, column)
        ]
        if not found:
            raise EditRefused(
                "nothing of the program stands here", span=Span(line, column, line, column)
            )
        return found[-1]

    # -- edits --

    def replace(self, entity: int, items: Sequence[Item]) -> Edit:
        """Return the edit that puts an expression, given in pre-order, where a node is.

        Raises:
            EditRefused: the node is no expression, or the result is not well formed.
        """
        self._expression(entity)
        made, top, next_entity = _grown(items, self.next_entity)
        return self._edit(
            f"replace {entity}", entity, top, made, next_entity, gone=self._inside(entity)
        )

    def wrap(self, entity: int, items: Sequence[Item], hole: int) -> Edit:
        """Return the edit that puts an expression around a node, which stays itself at position `hole` of the items."""
        self._expression(entity)
        made, top, next_entity = _grown(items, self.next_entity)
        place = self.next_entity + hole
        if not 0 <= hole < len(items) or any(made[place].children):
            raise self.refused("what is wrapped goes where a leaf of the wrapper is", entity)
        del made[place]
        made = {
            number: node._replace(
                children=tuple(
                    [
                        tuple([entity if one == place else one for one in role])
                        for role in node.children
                    ]
                )
            )
            for number, node in made.items()
        }
        return self._edit(
            f"wrap {entity}", entity, entity if top == place else top, made, next_entity
        )

    def rename(self, entity: int, name: str) -> Edit:
        """Return the edit that renames a local, or a definition of the program, wherever it is meant.

        Raises:
            EditRefused: the node has no name, or another one would be captured or capture.
        """
        entities = self.entities()
        tree = Tree(self._items(entities))
        number = entities.index(entity)
        renamed = renaming(
            tree, number, name, lambda node, text: self.refused(text, entities[node])
        )
        after = dict(self.nodes)
        for at in renamed:
            node = after[entities[at]]
            after[entities[at]] = node._replace(scalars=(name, *node.scalars[1:]))
        before = tree.items[number].scalars[0]
        return self._between(
            f"rename {before} to {name}", Draft(self.root, after, self.next_entity)
        )

    def extract(self, entity: int, name: str) -> Edit:
        """Return the edit that makes an expression a function: its free locals are the parameters, in the order of the text.

        The expression stays itself, as the function's body; a call stands where it was.

        Raises:
            EditRefused: the expression renews a loop outside of it, or the name is taken.
        """
        return self._between(f"extract {name}", self.extracted(entity, name))

    def extracted(self, entity: int, name: str) -> Draft:
        """Return the draft after `extract`."""
        self._expression(entity)
        entities = self.entities()
        tree = Tree(self._items(entities))
        number = entities.index(entity)
        parameters = extraction(
            tree, number, name, lambda node, text: self.refused(text, entities[node])
        )
        statement = self._statement(entity)
        items = [_item("def", (name,), 1), _item("lambda", (None,), 1)]
        items += [_item("arity", (False,), len(parameters), 1)]
        items += [_item("parameter", (parameter,)) for parameter in parameters]
        made, top, following = _grown([*items, _item("literal", (None,))], self.next_entity)
        body = following - 1  # the place of the expression, inside the function
        del made[body]
        arity = self.next_entity + 2
        made[arity] = made[arity]._replace(children=(made[arity].children[0], (entity,)))
        call = [_item("application", (), 1, len(parameters)), _item("variable", (name,))]
        call += [_item("variable", (parameter,)) for parameter in parameters]
        called, call_top, next_entity = _grown(call, following)
        after = {**self.nodes, **made, **called}
        _put(after, self._place(entity), call_top)
        root = after[self.root]
        (statements,) = root.children
        at = statements.index(statement if statement != entity else call_top)
        after[self.root] = root._replace(children=((*statements[:at], top, *statements[at:]),))
        return Draft(self.root, after, next_entity)

    def applied(self, edit: Edit) -> Draft:
        """Return the draft after an edit. Raises EditRefused if the edit is of another draft."""
        facts = self.facts()
        gone, come = set(edit.retracted), set(edit.asserted)
        if not gone <= facts or come & facts:
            raise EditRefused(f"{edit.what}: the program has changed meanwhile", span=NOWHERE)
        return _draft_of_facts(facts - gone | come, self.root, self.next_entity)

    def refused(self, message: str, entity: int) -> EditRefused:
        """Return (not raise) the refusal of an edit, with the place of the node."""
        return EditRefused(message, span=self.span(entity), entity=entity)

    # -- inside --

    def _items(self, entities: Iterable[int]) -> list[Item]:
        return [
            Item(node.kind, node.scalars, tuple([len(role) for role in node.children]), node.span)
            for node in map(self.nodes.__getitem__, entities)
        ]

    def _place(self, entity: int) -> tuple[int, int, int]:
        """Return parent, number of the role, and position of a node."""
        if not self._above:
            self._above.update(_places(self.nodes))
        return self._above[entity]

    def _facts(self, entity: int) -> list[Fact]:
        node = self.nodes[entity]
        place = None if entity == self.root else self._place(entity)
        return _facts(self.nodes, entity, node, place)

    def _inside(self, entity: int) -> list[int]:
        return _preorder(self.nodes, entity)

    def _expression(self, entity: int) -> None:
        if entity not in self.nodes:
            raise EditRefused(f"no node {entity} in this program", span=NOWHERE)
        kinds = () if entity == self.root else self._role(entity)
        if entity == self.root or "literal" not in kinds:
            raise self.refused(f"a {self.nodes[entity].kind.name} is no expression", entity)

    def _role(self, entity: int) -> frozenset[str]:
        parent, role, _ = self._place(entity)
        return self.nodes[parent].kind.roles[role].kinds

    def _statement(self, entity: int) -> int:
        while (parent := self._place(entity)[0]) != self.root:
            entity = parent
        return entity

    def _edit(
        self,
        what: str,
        entity: int,
        top: int,
        made: Mapping[int, DraftNode],
        next_entity: int,
        gone: Iterable[int] = (),
    ) -> Edit:
        after = {**self.nodes, **made}
        for number in gone:
            del after[number]
        _put(after, self._place(entity), top)
        return self._between(what, Draft(self.root, after, next_entity))

    def _between(self, what: str, after: Draft) -> Edit:
        """Return the edit from this draft to another one, which is checked."""
        entities = after.entities()
        try:
            Tree(after._items(entities))
        except ProgramInvalid as error:
            place = entities[error.node] if error.node is not None else self.root
            raise EditRefused(f"{what}: {error}", span=after.span(place), entity=place) from None
        touched = self._touched(after)
        before, following = (
            {fact for entity in touched if entity in draft.nodes for fact in draft._facts(entity)}
            for draft in (self, after)
        )
        retracted = sorted(before - following, key=_key)
        return Edit(what, tuple(retracted), tuple(sorted(following - before, key=_key)))

    def _touched(self, after: Draft) -> set[int]:
        """Return the nodes that another draft has differently or elsewhere, or that one of both lacks."""
        changed = [
            entity
            for entity in self.nodes.keys() | after.nodes.keys()
            if self.nodes.get(entity) is not after.nodes.get(entity)
        ]
        touched = set(changed)
        for draft in (self, after):
            for entity in changed:
                node = draft.nodes.get(entity)
                touched.update(child for role in (node.children if node else ()) for child in role)
        return touched


# -- drafts in streams --


def schema_data(database: Database) -> list[object]:
    """Return transaction data for the schema of drafts that a database lacks."""
    return [
        Map([(Keyword("db/ident"), attribute), *schema.items()])
        for attribute, schema in SCHEMA.items()
        if database.entid(attribute) is None
    ]


def begin(stream: Stream, tree: Tree) -> int:
    """Write a tree into a stream as a draft; return the entity of its root."""
    missing = schema_data(stream.db())
    if missing:
        stream.transact(missing)
    first = stream.db().next_entity
    draft = draft_of(tree, first)
    facts = sorted(draft.facts(), key=_key)
    stream.transact([(_ADD, *fact) for fact in facts], meta={_EDIT: "begin"})
    return draft.root


def commit(stream: Stream, edit: Edit) -> TxReport:
    """Make an edit in its stream. Raises EditRefused if what it retracts is gone, or what it asserts is there."""
    database = stream.db()
    for facts, wanted in ((edit.retracted, True), (edit.asserted, False)):
        for e, a, v in facts:
            if (
                any(
                    datom.v == v and type(datom.v) is type(v)
                    for datom in database.datoms("eavt", e, a)
                )
                is not wanted
            ):
                raise EditRefused(
                    f"{edit.what}: the program has changed meanwhile", span=NOWHERE, entity=e
                )
    return stream.transact(edit.tx_data(), meta={_EDIT: edit.what})


def draft_in(database: Database, root: int) -> Draft:
    """Return the draft that a database has, at any time. Raises ProgramInvalid.

    Entities that a draft gave up are not given anew: the history of the stream still speaks of them.
    """
    facts: set[Fact] = set()
    left = [root]
    while left:
        entity = left.pop()
        for datom in database.datoms("eavt", entity):
            facts.add((datom.e, datom.a, datom.v))
            if datom.a in ROLES and isinstance(datom.v, int):
                left.append(datom.v)
    return _draft_of_facts(facts, root, database.next_entity)


def draft_of(tree: Tree, first: int) -> Draft:
    """Return a tree as a draft whose entities count from `first`."""
    nodes, root, next_entity = _grown(tree.items, first)
    return Draft(root, nodes, next_entity)


# -- what names mean --

Refusal: TypeAlias = Callable[[int, str], EditRefused]


def renaming(tree: Tree, number: int, name: str, refused: Refusal) -> list[int]:
    """Return the nodes whose name changes when one is renamed: a binder or definition, and what means it.

    Raises:
        EditRefused: the node has no name of its own, or some name would mean something else afterwards.
    """
    item = tree.items[number]
    scopes = scopes_of(tree)
    if item.kind.name == "variable":
        binder = scopes.binder_of.get(number)
        wanted = binder if binder is not None else _definition(tree, str(item.scalars[0]))
        if wanted is None:
            raise refused(number, f"{item.scalars[0]} is no definition of this program")
        return renaming(tree, wanted, name, refused)
    if item.kind.name == "def":
        changed = _global_renaming(tree, scopes, number, name, refused)
    elif item.kind.name in BINDERS and item.scalars[0] is not None:
        changed = [number, *scopes.uses(number)]
    else:
        raise refused(number, f"a {item.kind.name} has no name to change")
    refuse_other_meanings(tree, scopes, changed, name, refused)
    return changed


def _definition(tree: Tree, name: str) -> int | None:
    for number, item in enumerate(tree.items):
        if item.kind.name == "def" and item.scalars[0] == name:
            return number
    return None


def _global_renaming(
    tree: Tree, scopes: Scopes, number: int, name: str, refused: Refusal
) -> list[int]:
    before = tree.items[number].scalars[0]
    if _definition(tree, name) is not None:
        raise refused(number, f"{name} is defined already")
    used = [node for node, found in scopes.globals.items() if found == name]
    if used:
        raise refused(used[0], f"{name} means something else here already")
    defs = [
        n
        for n, item in enumerate(tree.items)
        if item.kind.name == "def" and item.scalars[0] == before
    ]
    return [*defs, *[node for node, found in scopes.globals.items() if found == before]]


def refuse_other_meanings(
    tree: Tree, scopes: Scopes, changed: Sequence[int], name: str, refused: Refusal
) -> None:
    """Refuse a change after which a variable has another binder than before."""
    items = list(tree.items)
    for number in changed:
        items[number] = items[number]._replace(scalars=(name, *items[number].scalars[1:]))
    after = scopes_of(Tree(items))
    for number, item in enumerate(tree.items):
        if item.kind.name != "variable":
            continue
        before, now = scopes.binder_of.get(number), after.binder_of.get(number)
        if before != now:
            other = f"the local {name}" if now is not None else f"the global {name}"
            raise refused(number, f"{item.scalars[0]} would mean {other} here")


def extraction(tree: Tree, number: int, name: str, refused: Refusal) -> list[str]:
    """Return the locals that an expression needs from outside, in the order of the text: the parameters of a function of it.

    Raises:
        EditRefused: it renews a loop or function around it, or the name of the function is taken.
    """
    scopes = scopes_of(tree)
    end = tree.places[number].end
    _refuse_recur(tree, number, end, refused)
    if _definition(tree, name) is not None:
        raise refused(number, f"{name} is defined already")
    if name in scopes.globals.values():
        raise refused(number, f"{name} means something else in this program already")
    outside = [
        at
        for at in range(number, end + 1)
        if at in scopes.binder_of and not number <= scopes.binder_of[at] <= end
    ]
    outside.sort(key=lambda at: (tree.items[at].span, at))
    parameters = list(dict.fromkeys([str(tree.items[at].scalars[0]) for at in outside]))
    if any(found == name for found in _names_seen(tree, number)):
        raise refused(number, f"a local {name} hides the function here")
    return parameters


def _names_seen(tree: Tree, number: int) -> set[str]:
    """Return the names of all binders around a node."""
    found: set[str] = set()
    at = number
    while at > 0:
        at = tree.places[at].parent
        stop = tree.places[at].end
        inner = at + 1
        while inner <= stop and inner < number:
            item = tree.items[inner]
            if item.kind.name in BINDERS and isinstance(item.scalars[0], str):
                found.add(item.scalars[0])
            inner = tree.places[inner].end + 1 if tree.places[inner].end < number else inner + 1
        if tree.items[at].kind.name in BINDERS and isinstance(tree.items[at].scalars[0], str):
            found.add(str(tree.items[at].scalars[0]))
    return found


def _refuse_recur(tree: Tree, number: int, end: int, refused: Refusal) -> None:
    for at in range(number, end + 1):
        if tree.items[at].kind.name != "recur":
            continue
        target = tree.places[at].parent
        while target >= number and tree.items[target].kind.name not in ("loop", "arity"):
            target = tree.places[target].parent
        if target < number:
            raise refused(at, "this recur renews what is outside of the expression")


# -- nodes and facts --


def _item(kind: str, scalars: tuple[object, ...], *counts: int) -> Item:
    return Item(KINDS[kind], scalars, counts, NOWHERE)


def _grown(items: Sequence[Item], first: int) -> tuple[dict[int, DraftNode], int, int]:
    """Return nodes of a pre-order list, its top, and the next free entity. Raises EditRefused if it is no whole tree."""
    nodes: dict[int, DraftNode] = {}
    built: list[int] = []
    for number in range(len(items) - 1, -1, -1):
        item = items[number]
        if sum(item.counts) > len(built):
            raise EditRefused("nodes are missing from this tree", span=item.span)
        children = tuple([tuple([built.pop() for _ in range(count)]) for count in item.counts])
        nodes[first + number] = DraftNode(item.kind, item.scalars, children, item.span)
        built.append(first + number)
    if built != [first]:
        raise EditRefused("this is not one tree", span=NOWHERE)
    return dict(sorted(nodes.items())), first, first + len(items)


def _put(nodes: dict[int, DraftNode], place: tuple[int, int, int], entity: int) -> None:
    """Put a node where another one is."""
    parent, role, position = place
    node = nodes[parent]
    children = [list(of_role) for of_role in node.children]
    children[role][position] = entity
    nodes[parent] = node._replace(children=tuple([tuple(of_role) for of_role in children]))


def _preorder(nodes: Mapping[int, DraftNode], root: int) -> list[int]:
    out: list[int] = []
    stack = [root]
    while stack:
        entity = stack.pop()
        out.append(entity)
        stack.extend(
            [child for role in reversed(nodes[entity].children) for child in reversed(role)]
        )
    return out


def _places(nodes: Mapping[int, DraftNode]) -> dict[int, tuple[int, int, int]]:
    return {
        child: (entity, number, position)
        for entity, node in nodes.items()
        for number, role in enumerate(node.children)
        for position, child in enumerate(role)
    }


def _facts(
    nodes: Mapping[int, DraftNode],
    entity: int,
    node: DraftNode,
    place: tuple[int, int, int] | None,
) -> list[Fact]:
    facts: list[Fact] = [(entity, TYPE, Keyword(node.kind.name))]
    facts += [(entity, a, v) for a, v in scalar_facts(node.kind, node.scalars)]
    facts.append((entity, LOCATION, (node.span.line, node.span.column)))
    facts.append((entity, END_LOCATION, (node.span.end_line, node.span.end_column)))
    if place is not None:
        parent, number, position = place
        role = nodes[parent].kind.roles[number].attribute
        facts += [(entity, PARENT, parent), (entity, ROLE, role), (entity, POSITION, position)]
        facts.append((parent, role, entity))
    return facts


def _draft_of_facts(facts: Iterable[Fact], root: int, next_entity: int) -> Draft:
    known: dict[int, dict[Keyword, object]] = {}
    for e, a, v in facts:
        if a not in ROLES:
            known.setdefault(e, {})[a] = v
    inside: dict[tuple[int, Keyword], list[tuple[int, int]]] = {}
    for e, of in known.items():
        parent, role, position = of.get(PARENT), of.get(ROLE), of.get(POSITION)
        if isinstance(parent, int) and isinstance(role, Keyword) and isinstance(position, int):
            inside.setdefault((parent, role), []).append((position, e))
    nodes = {e: _node(e, of, inside) for e, of in sorted(known.items()) if TYPE in of}
    if root not in nodes:
        raise ProgramInvalid(f"entity {root} is no node")
    return Draft(root, nodes, next_entity)


def _node(
    e: int,
    facts: Mapping[Keyword, object],
    inside: Mapping[tuple[int, Keyword], list[tuple[int, int]]],
) -> DraftNode:
    type_ = facts[TYPE]
    kind = KINDS.get(type_.name) if isinstance(type_, Keyword) else None
    if kind is None:
        raise ProgramInvalid(f"entity {e}: no node has the type {type_!r}")
    scalars = tuple(
        [
            literal_of(facts) if scalar.attribute is VALUE else facts.get(scalar.attribute)
            for scalar in kind.scalars
        ]
    )
    children = tuple(
        [
            tuple([child for _, child in sorted(inside.get((e, role.attribute), ()))])
            for role in kind.roles
        ]
    )
    start, end = facts[LOCATION], facts[END_LOCATION]
    return DraftNode(kind, scalars, children, Span(*start, *end))  # type: ignore[misc]


def _contains(span: Span, line: int, column: int) -> bool:
    return (span.line, span.column) <= (line, column) < (span.end_line, span.end_column)


def _key(fact: Fact) -> tuple[int, str, str]:
    return fact[0], fact[1].name, repr(fact[2])
