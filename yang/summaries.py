"""What the analyses know of the core library's functions: derived from their source, once.

Is:     the passes run over the library, their answers as signatures by name, and the file that saves doing it again.
Is not: part of compiling: programs compile without it; only who analyses a program asks.
Fits:   `yang.passes` states these beside the rows of `yang.signatures`.

A function gets one signature per arity: the kinds it returns, what it reaches, and which of its parameters it calls.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from functools import cache

import msgpack

from yang.analysis import Ast
from yang.core import core_source, sources_digest
from yang.kept import find, keep
from yang.lower import tree_of_files
from yang.passes import subject
from yang.signatures import Signature

Summaries = Mapping[str, Sequence[Signature]]


@cache
def library_signatures() -> Summaries:
    """Return the signatures of the core library's functions. Cost: the first time ever, analysing it; then reading a file."""
    name = f"core-{sources_digest().hex()[:32]}.signatures"
    kept = find(name)
    if kept is not None:
        with contextlib.suppress(ValueError, TypeError, msgpack.UnpackException):
            return _decoded(kept)
    found = derive_signatures()
    keep(name, _encoded(found))
    return found


def derive_signatures() -> Summaries:
    """Return the signatures of the core library's functions, derived now."""
    library = subject(tree_of_files(core_source(), core=True), None, {})
    answers = library.relations(
        ["body-effect", "returns", "called-parameter", "throws", "counted", "gives-back"]
    )
    functions = library.analysis.scope["static"]
    effects, kinds = _grouped(answers["body-effect"]), _grouped(answers["returns"])
    called = {parameter for (parameter,) in answers["called-parameter"]}
    failing = {node for (node,) in answers["throws"]}
    counted = {arity for (arity,) in answers["counted"]}
    given: defaultdict[int, set[int]] = defaultdict(set)
    for arity, parameter in answers["gives-back"]:
        given[arity].add(parameter)
    arities, bodies = library.ast.children("lambda"), library.ast.children("arity")
    return {
        name: [
            _signature(library.ast, arity, bodies, arities[function])._replace(
                calls=_positions(bodies[arity], called),
                gives=_positions(bodies[arity], given[arity]),
                results=kinds[arity],
                effects=effects[arity],
                returns=bodies[arity][-1] not in failing,
                counted=arity in counted,
            )
            for arity in arities[function]
        ]
        for definition, function in functions
        if (name := library.ast.name(definition)) is not None
    }


def _grouped(rows: Sequence[tuple[int, object]]) -> Mapping[int, tuple[str, ...]]:
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for key, value in rows:
        groups[key].append(value.name)  # type: ignore[attr-defined]
    return defaultdict(tuple, {key: tuple(sorted(names)) for key, names in groups.items()})


def _signature(
    ast: Ast, arity: int, bodies: Mapping[int, Sequence[int]], siblings: Sequence[int]
) -> Signature:
    """Return how many arguments an arity takes: a variadic one what the others leave."""
    count = len(bodies[arity]) - 1  # the last child is the body
    if not ast.scalar(arity, "ast/variadic"):
        return Signature((), least=count, most=count)
    fixed = [len(bodies[other]) - 1 for other in siblings if other != arity]
    return Signature((), least=max([count - 1, *(other + 1 for other in fixed)]))


def _positions(children: Sequence[int], chosen: Set[int]) -> tuple[tuple[int, int], ...]:
    return tuple([(place, place) for place, child in enumerate(children) if child in chosen])


def _encoded(summaries: Summaries) -> bytes:
    packed: bytes = msgpack.packb({name: list(rows) for name, rows in summaries.items()})
    return packed


def _decoded(data: bytes) -> Summaries:
    """Raises ValueError or TypeError when the bytes are not what `_encoded` makes."""
    found = msgpack.unpackb(data, use_list=False)
    return {name: [Signature(*row) for row in rows] for name, rows in found.items()}
