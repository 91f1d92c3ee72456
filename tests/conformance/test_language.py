"""Every language case on the reference machine and on the compiled one.

A case of tests/language is a program and, in the comment after it, its value as EDN or a part of its error:
`; expect: 3`, `; expect error: Divide by zero`. Cases of refused.clj concern the compiler alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from datomstore.edn import read
from datomstore.value import Keyword, List, Map, Set
from yang.compile import compile_source
from yang.core import core_segment, core_text
from yang.errors import SourceError, SourceErrors
from yang.lower import tree_of_source
from yind.cesk import Code, Machine, Status
from yind.cesk.reference import ReferenceCode, ReferenceMachine

LANGUAGE = Path(__file__).parent.parent / "language"
FUEL = 3_000_000
MEMORY = 64 << 20
GLOBALS = {"*args*": Map([(Keyword("who"), "tests")])}
NODES = ("alpha", "beta", "gamma")


class Case(NamedTuple):
    file: str
    line: int
    source: str
    expected: str
    is_error: bool


def cases_of(path: Path) -> Iterator[Case]:
    lines: list[str] = []
    start = 1
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for marker, is_error in (("; expect: ", False), ("; expect error: ", True)):
            if line.startswith(marker):
                yield Case(
                    path.stem, start, "\n".join(lines), line.removeprefix(marker), is_error
                )
                lines, start = [], number + 1
                break
        else:
            lines.append(line)
    assert not "".join(lines).strip(), f"{path}: the last program has no expectation"


ALL = [case for path in sorted(LANGUAGE.glob("*.clj")) for case in cases_of(path)]
RUNNING = [case for case in ALL if case.file != "refused"]
REFUSED = [case for case in ALL if case.file == "refused"]


def name_of(case: Case) -> str:
    return f"{case.file}:{case.line}"


each_case = pytest.mark.parametrize("case", RUNNING, ids=name_of)


class Outcome(NamedTuple):
    """What a program came to: the value, or the message of the error."""

    value: object = None
    error: str | None = None


class Node:
    """The node that answers the effects of a case; see effects.clj."""

    def __init__(self) -> None:
        self.name = NODES[0]

    def answer(self, machine: Any) -> None:
        name, arguments = machine.effect
        match name, arguments:
            case "here", ():
                machine.resume(self.name)
            case "nodes", ():
                machine.resume(NODES)
            case "hop!", (str(target),) if target in NODES:
                self.name = target
                machine.resume(target)
            case "hop!", (target,):
                fault = Map([(Keyword("fault"), Keyword("node"))])
                machine.resume_error(f"no node is named {target}", fault)
            case "now", ():
                machine.resume(datetime(2024, 1, 1, tzinfo=UTC))
            case "rand", ():
                machine.resume(0.25)
            case "q", (_, *inputs):
                machine.resume(Set([tuple(inputs)]))
            case "transact!", (stream, facts):
                count = len(facts)
                machine.resume(Map([(Keyword("stream"), stream), (Keyword("count"), count)]))
            case "streams", ():
                machine.resume(("facts",))
            case ("sleep" | "log!"), (_,):
                machine.resume(None)
            case _:
                raise AssertionError(f"an effect without answer: {name} {arguments}")


def outcome_of(machine: Any, next_machine: Callable[[Any], Any], fuel: int) -> Outcome:
    """Run a machine to its end; `next_machine` may replace it after each slice of `fuel`."""
    node = Node()
    while True:
        status = machine.run(fuel)
        if status is Status.DONE:
            return Outcome(machine.result)
        if status is Status.FAULT:
            return Outcome(error=machine.fault.message)
        assert status is not Status.OUT_OF_MEMORY
        assert machine.fuel_used < FUEL, "the program does not end"
        machine = next_machine(machine)
        if status is Status.EFFECT:
            node.answer(machine)


def same(machine: Any) -> Any:
    return machine


def exactly(value: object) -> object:
    """Return a value for comparison that tells lists from vectors, too; NaN equals itself."""
    if isinstance(value, Map):
        return Map([(exactly(key), exactly(item)) for key, item in value.items()])
    if isinstance(value, Set):
        return Set([exactly(member) for member in value])
    if isinstance(value, tuple):
        kind = Keyword("list" if isinstance(value, List) else "vector")
        return (kind, *(exactly(item) for item in value))
    if isinstance(value, float) and math.isnan(value):
        return Keyword("NaN")
    return value


def check(case: Case, outcome: Outcome) -> None:
    if case.is_error:
        assert outcome.error is not None, f"a value: {outcome.value!r}"
        assert case.expected in outcome.error
    else:
        assert outcome.error is None
        found = Set([exactly(outcome.value)])  # sets compare their members as EDN does
        assert found == Set([exactly(read(case.expected))])


# -- the reference machine --


@cache
def reference_core() -> ReferenceCode:
    return ReferenceCode.of_tree(tree_of_source(core_text(), "core.clj", core=True), None)


def on_reference(case: Case) -> Outcome:
    try:
        tree = tree_of_source(case.source, case.file)
    except (SourceError, SourceErrors) as error:
        return Outcome(error=str(error))
    code = ReferenceCode.of_tree(tree, reference_core())
    machine = ReferenceMachine(code, memory_max=MEMORY, globals=GLOBALS)
    return outcome_of(machine, same, FUEL)


@each_case
def test_the_reference_machine_gives_what_clojure_gives(case: Case) -> None:
    check(case, on_reference(case))


# -- the compiled machine --


@cache
def core_code() -> Code:
    return Code(core_segment(), None)


def code_of(case: Case) -> Code:
    return Code(compile_source(case.source, case.file).segment, core_code())


def on_compiled(case: Case) -> Outcome:
    try:
        code = code_of(case)
    except (SourceError, SourceErrors) as error:
        return Outcome(error=str(error))
    machine = Machine(code, memory_max=MEMORY, globals=GLOBALS)
    return outcome_of(machine, same, FUEL)


@each_case
def test_the_compiled_machine_gives_what_clojure_gives(case: Case) -> None:
    check(case, on_compiled(case))


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_the_compiler_refuses_what_it_does_not_support(case: Case) -> None:
    with pytest.raises((SourceError, SourceErrors)) as caught:
        compile_source(case.source, case.file)
    assert case.expected in str(caught.value)
