"""A program as bytes: what is hashed, shipped and checked.

Is:     the canonical bytes of an AST, the program's identity made of them, its spans beside them.
Is not: anything executable: a node makes AST datoms and its own code segment of these bytes.
Fits:   agents name their code by the hash; `protocol` moves the bytes; `yang.compile` starts from them.

Canonical bytes are msgpack scalars in pre-order, one after the other, without nesting: a format number, then per node its
kind's number, its scalars (a literal's value as in `yang.canonical`), its child counts per role that may vary. The source name
and spans are not in them; names of locals are. Only the encoding this module would produce itself is accepted, so a
program has one hash. Spans are not authenticated: they are for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yang.canonical import pack, scalars_of, take, unpack
from yang.errors import ProgramInvalid
from yang.limits import (
    NAME_LENGTH_MAX,
    NODE_COUNT_MAX,
    POSITION_MAX,
    PROGRAM_BYTES_MAX,
    SHIPPED_BYTES_MAX,
    SPANS_BYTES_MAX,
)
from yang.nodes import KINDS_BY_NUMBER, VALUE, Item, Node, Scalar, Tree, Written, tree_of_node
from yang.pause import collector_paused
from yang.segment import Part, Span

HASH_SIZE = 32
_DOMAIN = b"yin/1/code\0"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Program:
    """One program; nothing about it is checked until `tree_of`."""

    hash: bytes  # SHA-256 of b"yin/1/code\0" and `ast`
    ast: bytes
    spans: bytes
    source_name: str

    @property
    def size(self) -> int:
        """Return about how many bytes it is kept as."""
        return len(self.ast) + len(self.spans)

    def to_bytes(self) -> bytes:
        """Return the program as it is kept and shipped."""
        return pack([_FORMAT, self.hash, self.ast, self.spans, self.source_name])

    @staticmethod
    def from_bytes(data: bytes) -> Program:
        """Return the program of such bytes; its hash is that of its tree. Raises ProgramInvalid."""
        parts = list(unpack(data, SHIPPED_BYTES_MAX))
        if [type(part) for part in parts] != [int, bytes, bytes, bytes, str] or parts[0] != _FORMAT:
            raise ProgramInvalid("these bytes are not a program's")
        program = Program(*parts[1:])  # type: ignore[arg-type]
        if hash_of(program.ast) != program.hash:
            raise ProgramInvalid("the bytes are not those of the program's hash")
        return program


def program_of(tree: Tree | Node, statements: Sequence[bytes] | None = None) -> Program:
    """Return the program of a tree. Raises ProgramInvalid for one that is too large to ship.

    `statements`: the canonical bytes of what stands at its top level, if they are known.
    """
    items = tree.items if isinstance(tree, Tree) else tree_of_node(tree).items
    ast = _encode(items) if statements is None else _joined(items, statements)
    if len(ast) > PROGRAM_BYTES_MAX:
        raise ProgramInvalid(f"{len(ast)} bytes; at most {PROGRAM_BYTES_MAX} are taken")
    name = items[0].scalars[0]
    whole = tree if isinstance(tree, Tree) else None
    spans = _encode_spans(items, whole)
    return Program(hash_of(ast), ast, spans, name if isinstance(name, str) else "")


def tree_of(program: Program) -> Tree:
    """Return the tree of a program from anywhere. Cost: linear in its bytes, in time and memory.

    Raises:
        ProgramInvalid: the hash is not that of the bytes, or these are not the canonical bytes of a program.
    """
    if hash_of(program.ast) != program.hash:
        raise ProgramInvalid("the bytes are not those of the program's hash")
    if len(program.source_name) > NAME_LENGTH_MAX:
        raise ProgramInvalid("the source name is too long")
    with collector_paused():
        decoded = _decode(program.ast, program.source_name)
        spans, parts, expansions = _decode_spans(program.spans, len(decoded))
        items = [item._replace(span=span) for item, span in zip(decoded, spans, strict=True)]
        tree = Tree(items, None, parts, expansions)
        if _encode(tree.items) != program.ast:
            raise ProgramInvalid("the bytes are not in canonical form")
    return tree


def hash_of(ast: bytes) -> bytes:
    """Return the identity of a program with these canonical bytes."""
    return hashlib.sha256(_DOMAIN + ast).digest()


def _encode(items: Sequence[Item]) -> bytes:
    return pack([_FORMAT, len(items)]) + canonical_items(items)


def _joined(items: Sequence[Item], statements: Sequence[bytes]) -> bytes:
    return b"".join([pack([_FORMAT, len(items)]), canonical_items(items[:1]), *statements])


def canonical_statements(tree: Tree) -> list[bytes]:
    """Return the canonical bytes of each statement at a program's top level."""
    found: list[bytes] = []
    start = 1
    while start < len(tree.items):
        end = tree.placed.ends[start] + 1
        found.append(canonical_items(tree.items[start:end]))
        start = end
    return found


def canonical_items(items: Sequence[Item]) -> bytes:
    """Return the canonical bytes of some nodes: equal exactly if the nodes are, places aside."""
    scalars: list[object] = []
    for item in items:
        scalars.append(item.kind.number)
        for scalar, value in zip(item.kind.scalars, item.scalars, strict=True):
            if scalar.attribute is VALUE:
                scalars += scalars_of(value)
            elif item.kind.number:  # the program's name is not part of what it is
                scalars.append(value)
        for role, count in zip(item.kind.roles, item.counts, strict=True):
            if role.least != role.most:
                scalars.append(count)
    return pack(scalars)


def _decode(ast: bytes, source_name: str) -> list[Item]:
    scalars = unpack(ast, PROGRAM_BYTES_MAX)
    try:
        version, node_count = next(scalars), next(scalars)
        if version != _FORMAT or type(version) is not int:
            raise ProgramInvalid(f"programs of format {version!r} are not known here")
        if type(node_count) is not int or not 0 < node_count <= NODE_COUNT_MAX:
            raise ProgramInvalid(f"{node_count!r} is not a number of nodes")
        items = [_decode_item(scalars, source_name) for _ in range(node_count)]
    except StopIteration:
        raise ProgramInvalid("the bytes end inside a program") from None
    for _ in scalars:
        raise ProgramInvalid("bytes after the program")
    return items


def _decode_item(scalars: Iterator[object], source_name: str) -> Item:
    number = next(scalars)
    if type(number) is not int or not 0 <= number < len(KINDS_BY_NUMBER):
        raise ProgramInvalid(f"no node has the kind {number!r}")
    kind = KINDS_BY_NUMBER[number]
    fields = [_decode_scalar(scalars, scalar) if number else source_name for scalar in kind.scalars]
    counts: list[int] = []
    for role in kind.roles:
        count = role.least if role.least == role.most else next(scalars)
        if type(count) is not int or count < 0:
            raise ProgramInvalid(f"{count!r} is not a number of children")
        counts.append(count)
    return Item(kind, tuple(fields), tuple(counts), Span(0, 0, 0, 0))


def _decode_scalar(scalars: Iterator[object], scalar: Scalar) -> object:
    if scalar.attribute is VALUE:
        return take(scalars)
    value = next(scalars)
    if isinstance(value, (list, dict)):  # what a node is checked with looks names up
        raise ProgramInvalid(f"{scalar.attribute!r} is a list or a map")
    return value


def _encode_spans(items: Sequence[Item], whole: Tree | None) -> bytes:
    """Return four numbers per node: lines as differences, since most nodes are near the one before.

    After them, if there are any: the files (count, then line and name), and the macro calls (node, macro, text, span).
    """
    scalars: list[object] = []
    line = 0
    for item in items:
        span = item.span
        scalars += (span.line - line, span.column, span.end_line - span.line, span.end_column)
        line = span.line
    if whole is not None and (whole.parts or whole.expansions):
        scalars.append(len(whole.parts))
        for part in whole.parts:
            scalars += part
        for number, calls in whole.expansions.items():
            for macro, text, span in calls:
                scalars += (number, macro, text, *span)
    return pack(scalars)


def _decode_spans(
    data: bytes, node_count: int
) -> tuple[list[Span], list[Part], dict[int, tuple[Written, ...]]]:
    scalars = unpack(data, SPANS_BYTES_MAX)
    numbers = [number for _, number in zip(range(4 * node_count), scalars, strict=False)]
    if len(numbers) != 4 * node_count or not all(type(number) is int for number in numbers):
        raise ProgramInvalid("spans are four numbers per node")
    spans: list[Span] = []
    line = 0
    for start in range(0, len(numbers), 4):
        step, column, height, end_column = numbers[start : start + 4]
        line += step  # type: ignore[operator]
        spans.append(_span(line, column, line + height, end_column))  # type: ignore[operator]
    return spans, *_decode_rest(list(scalars), node_count)


def _span(*numbers: object) -> Span:
    for number in numbers:
        if type(number) is not int or not 0 <= number <= POSITION_MAX:
            raise ProgramInvalid("a span outside any text")
    return Span(*numbers)  # type: ignore[arg-type]


def _decode_rest(
    scalars: list[object], node_count: int
) -> tuple[list[Part], dict[int, tuple[Written, ...]]]:
    """Return the files and macro calls after the spans."""
    count = scalars[0] if scalars else 0
    if type(count) is not int or not 0 <= 2 * count < max(len(scalars), 1):
        raise ProgramInvalid("the files after the spans are not whole")
    parts = [_part(*scalars[at : at + 2]) for at in range(1, 1 + 2 * count, 2)]
    rest = scalars[1 + 2 * count :]
    if len(rest) % 7:
        raise ProgramInvalid("the macro calls after the spans are not whole")
    expansions: dict[int, tuple[Written, ...]] = {}
    for at in range(0, len(rest), 7):
        number, macro, text, *span = rest[at : at + 7]
        if type(number) is not int or not 0 <= number < node_count:
            raise ProgramInvalid("a macro call of no node")
        if type(macro) is not str or type(text) is not str:
            raise ProgramInvalid("a macro call has a name and a text")
        expansions[number] = (*expansions.get(number, ()), Written(macro, text, _span(*span)))
    return parts, expansions


def _part(line: object, name: object) -> Part:
    if type(line) is not int or not 0 < line <= POSITION_MAX or type(name) is not str:
        raise ProgramInvalid("a file has a line and a name")
    return Part(line, name)
