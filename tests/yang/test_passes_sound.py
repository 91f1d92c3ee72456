"""What the passes say of programs holds when these run: kinds, constants, effects, dead code, on the language's own cases."""

from __future__ import annotations

from functools import cache

import pytest
from language import HOST, RUNNING, Case, outcome_of, reference_core, GLOBALS
from observed import ObservedMachine

from datomstore.value import Keyword
from yang.core import core_source
from yang.errors import SourceError, SourceErrors
from yang.lower import tree_of_files, tree_of_source
from yang.passes import Subject, subject, subject_of
from yind.cesk.reference import ReferenceCode

# What the machine realises lazy seqs with; the effects of those are their makers'.
REALISING = frozenset({"realize", "realize-all"})
FILES = sorted({case.file for case in RUNNING})


@cache
def library() -> Subject:
    return subject(tree_of_files(core_source(), core=True), None, {})


def effects_of(analysed: Subject) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for function, effect in analysed.rows("effect"):
        found.setdefault(function, set()).add(effect.name)
    for function, _ in analysed.rows("calls-argument"):
        found.setdefault(function, set()).add("unknown")
    return found


def check(case_source: str) -> list[str]:
    try:
        tree = tree_of_source(case_source, "case", HOST)
    except (SourceError, SourceErrors):
        return []  # the case is that it does not compile
    analysed = subject_of(tree)
    code = ReferenceCode.of_tree(tree, reference_core())
    machine = ObservedMachine(code, globals=GLOBALS)
    outcome_of(machine)
    return [*wrong_kinds(analysed, machine), *wrong_values(analysed, machine), *wrong_reach(analysed, machine), *wrong_dead(analysed, machine)]


def place(analysed: Subject, node: int) -> str:
    span = analysed.ast.span(node)
    return f"{analysed.ast.kind(node)} at {span.line}:{span.column}"


def wrong_kinds(analysed: Subject, machine: ObservedMachine) -> list[str]:
    derived: dict[int, set[str]] = {}
    for node, kind in analysed.rows("kind"):
        derived.setdefault(node, set()).add(kind.name)
    return [
        f"{place(analysed, node)} is {kinds}, not {derived.get(node, set())}"
        for node, kinds in machine.kinds.items()
        if "any" not in derived.get(node, set()) and not kinds <= derived.get(node, set())
    ]


def wrong_values(analysed: Subject, machine: ObservedMachine) -> list[str]:
    return [
        f"{place(analysed, node)} is {seen!r}, not {value!r}"
        for node, value in analysed.rows("value")
        for seen in machine.values.get(node, ())
        if type(seen) is not type(value) or seen != value
    ]


def wrong_reach(analysed: Subject, machine: ObservedMachine) -> list[str]:
    own, core = effects_of(analysed), effects_of(library())
    return [
        f"{entity} {where.ast.name(entity)} reaches {effect}: {(own if code is machine.code else core).get(entity)}"
        for code, entity, effect in machine.reached
        for where in (analysed if code is machine.code else library(),)
        if not (where is not analysed and where.analysis.function_name(entity) in REALISING)
        and not {effect, "unknown"} & (own if code is machine.code else core).get(entity, set())
    ]


def wrong_dead(analysed: Subject, machine: ObservedMachine) -> list[str]:
    dead = [node for node, _ in analysed.rows("unreachable")]
    unused = [function for (function,) in analysed.rows("unused-function")]
    inside = {
        inner
        for root in dead
        for inner in range(root, analysed.ast.base + analysed.ast.places[root - analysed.ast.base].end + 1)
    }
    bodies = {
        inner
        for root in unused
        for inner in range(root + 1, analysed.ast.base + analysed.ast.places[root - analysed.ast.base].end + 1)
    }
    never = {node for (node,) in analysed.rows("never-completes")}
    return [
        *(f"dead {place(analysed, node)} ran" for node in (inside | bodies) & machine.entered),
        *(f"{place(analysed, node)} came to an end" for node in never & machine.kinds.keys()),
    ]


@pytest.mark.parametrize("file", FILES)
def test_what_is_derived_holds_when_programs_run(file: str) -> None:
    wrong: dict[str, list[str]] = {}
    for case in RUNNING:
        if case.file == file and (found := check(case.source)):
            wrong[case.name] = found
    assert wrong == {}
