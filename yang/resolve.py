"""What the host knows of a name: core library, host functions, globals that the node sets.

Is:     the facts about names that the rules (names.dl) read.
Is not: the decision between a program's own names and these; the rules make it.
Fits:   `yang.compile` states these facts for the names a program mentions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import NamedTuple

from datomstore.value import Keyword
from yang.primitives import PRIMITIVE_NUMBERS, PRIMITIVES, Kind, Primitive
from yang.segment import Function, Segment

CORE_PREFIXES = ("yin.core/", "clojure.core/")
# Set by the node before the program starts.
HOST_GLOBALS = frozenset({"*args*"})
# Host functions that only the core library may name: they see the inside of a lazy seq, or who holds it.
CORE_ONLY = frozenset(
    {"lazy-thunk", "lazy-set!", "lazy-value", "lazy-folder", "call-with-list", "ask-for"}
)
CORE_ONLY |= {row.name for row in PRIMITIVES if row.kind is Kind.PORTION}
CORE_ONLY |= {"decimal-parts", "round-decimal", "divide-decimal"}
CORE_ONLY |= {"compile*"}  # what it takes is data that `impl/coded` has made of forms
# They see the places in a sorted collection, or put something there whatever its comparator says.
CORE_ONLY |= {
    *("sorted-empty", "sorted-order", "sorted-calls?", "sorted-rank", "sorted-key", "sorted-val"),
    *("sorted-insert", "sorted-replace", "sorted-remove", "sorted-from"),
}


class CoreLibrary(NamedTuple):
    """The core library's segment and what programs may name of it."""

    segment: Segment
    exports: Mapping[str, Function]


class Fusion(NamedTuple):
    """An instruction that does the work of a host function for this number of arguments."""

    instruction: str
    argument_count: int
    swapped: bool = False


FUSED: dict[str, Fusion] = {
    "+": Fusion("add", 2),
    "-": Fusion("subtract", 2),
    "*": Fusion("multiply", 2),
    "<": Fusion("less", 2),
    "<=": Fusion("less-equal", 2),
    ">": Fusion("less", 2, swapped=True),
    ">=": Fusion("less-equal", 2, swapped=True),
    "=": Fusion("equal", 2),
    "inc": Fusion("increment", 1),
    "dec": Fusion("decrement", 1),
    "not": Fusion("not", 1),
    "nil?": Fusion("is-nil", 1),
}

# Host functions of one argument that change it in place when they own it: it is never read where it lies.
TAKES = frozenset({"pop"})

_ATTRIBUTES = "name kind number arity variadic-from own function fused fused-count swapped takes"
HOST = {name: Keyword(f"host/{name}") for name in _ATTRIBUTES.split()}
Fact = tuple[Keyword, object]


def plain_name(name: str) -> str:
    """Return a name without the prefix that says it is the core library's."""
    for prefix in CORE_PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def facts_of_name(name: str, core: CoreLibrary | None, definitions: Set[str]) -> list[Fact]:
    """Return what the host knows of a name, or nothing.

    Args:
        name: as the program writes it.
        core: None while the core library itself is compiled.
        definitions: names that the program defines.
    """
    plain = plain_name(name)
    if core is None and plain != name and plain in definitions:
        return [(HOST["name"], name), (HOST["own"], plain)]
    if core is not None and plain in core.exports:
        return list(_function_facts(name, plain, core.exports[plain]))
    if plain in PRIMITIVE_NUMBERS and (core is None or plain not in CORE_ONLY):
        return list(_primitive_facts(name, PRIMITIVES[PRIMITIVE_NUMBERS[plain]]))
    if name in HOST_GLOBALS:
        return [(HOST["name"], name), (HOST["kind"], Keyword("global"))]
    return []


def names_known(core: CoreLibrary | None) -> Iterable[str]:
    """Return every name the host knows, to suggest one for a misspelt one."""
    return {*PRIMITIVE_NUMBERS, *HOST_GLOBALS, *(core.exports if core else ())} - CORE_ONLY


def _function_facts(name: str, plain: str, function: Function) -> Iterator[Fact]:
    yield HOST["name"], name
    yield HOST["kind"], Keyword("function")
    yield HOST["function"], plain
    for arity in function.arities:
        if arity.variadic:
            yield HOST["variadic-from"], arity.parameter_count
        else:
            yield HOST["arity"], arity.parameter_count


def _primitive_facts(name: str, primitive: Primitive) -> Iterator[Fact]:
    yield HOST["name"], name
    kind = Kind.PURE if primitive.kind is Kind.PORTION else primitive.kind
    yield HOST["kind"], Keyword(kind.name.lower())
    yield HOST["number"], PRIMITIVE_NUMBERS[primitive.name]
    if primitive.most is None:
        yield HOST["variadic-from"], primitive.least
    else:
        for count in range(primitive.least, primitive.most + 1):
            yield HOST["arity"], count
    if primitive.name in TAKES:
        yield HOST["takes"], True
    fusion = FUSED.get(primitive.name)
    if fusion is not None:
        yield HOST["fused"], Keyword(fusion.instruction)
        yield HOST["fused-count"], fusion.argument_count
        yield HOST["swapped"], fusion.swapped


def accepted(facts: Iterable[Fact]) -> str:
    """Return in words how many arguments a function takes."""
    counts = sorted(value for attribute, value in facts if attribute is HOST["arity"])  # type: ignore[type-var]
    least = [value for attribute, value in facts if attribute is HOST["variadic-from"]]
    counts = [count for count in counts if not least or count < least[0]]  # type: ignore[operator]
    words = [str(count) for count in counts] + [f"{count} or more" for count in least]
    return " or ".join(words)
