"""The language cases of tests/language, and what runs them.

A case is a program and, in the comment after it, its value as EDN or a part of its error:
`; expect: 3`, `; expect error: Divide by zero`. Cases of refused.clj concern the compiler alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from evaluated import answer_evaluation, noted

from datomstore.edn import read
from datomstore.value import Keyword, List, Map, Set
from yang.compile import compile_source
from yang.core import core_segment, core_source
from yang.errors import SourceError, SourceErrors
from yang.host import Host
from yang.lower import tree_of_files
from yind.cesk import Code, Machine, Status
from yind.cesk.evaluate import evaluate
from yind.cesk.reference import ReferenceCode

LANGUAGE = Path(__file__).parent.parent / "language"
FUEL = 3_000_000
MEMORY = 64 << 20
NODES = ("alpha", "beta", "gamma")
WHO = (Keyword("who"), "tests")
GLOBALS = {"*args*": Map([WHO])}
HOST = Host(evaluate)


class Case(NamedTuple):
    file: str
    line: int
    source: str
    expected: str
    is_error: bool

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}"


def cases_of(path: Path) -> Iterator[Case]:
    lines: list[str] = []
    start = 1
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for marker, is_error in (("; expect: ", False), ("; expect error: ", True)):
            if line.startswith(marker):
                expected = line.removeprefix(marker)
                yield Case(path.stem, start, "\n".join(lines), expected, is_error)
                lines, start = [], number + 1
                break
        else:
            lines.append(line)
    assert not "".join(lines).strip(), f"{path}: the last program has no expectation"


ALL = [case for path in sorted(LANGUAGE.glob("*.clj")) for case in cases_of(path)]
RUNNING = [case for case in ALL if case.file != "refused"]
REFUSED = [case for case in ALL if case.file == "refused"]


# -- what comes out --


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
            case (("sleep" | "log!"), (_,)):
                machine.resume(None)
            case "request-token", (Map() as wanted,):
                if wanted.get(Keyword("reason")) == "none":
                    machine.resume_error("the request was refused: no reason", Map())
                else:
                    machine.resume(True)
            case "fork!", (Map() as options,):  # the answer of the child, for those called so
                machine.resume(None if options.get(Keyword("name")) == "child" else "id")
            case "finish!", (value, *why):
                machine.resume((value, *why))  # a case goes on, so that its value is seen
            case "compile*", _:
                answer_evaluation(machine, arguments)
            case _:
                raise AssertionError(f"an effect without answer: {name} {arguments}")


def same(machine: Any) -> Any:
    return machine


def outcome_of(
    machine: Any,
    next_machine: Callable[[Any], Any] = same,
    fuel: int = FUEL,
    fuel_max: int = 4 * FUEL,
) -> Outcome:
    """Run a machine to its end in slices; `next_machine` gives what goes on after each."""
    node = Node()
    fuel_used = 0
    while True:
        before = machine.fuel_used
        status = machine.run(fuel)
        fuel_used += machine.fuel_used - before
        if status is Status.DONE:
            return Outcome(machine.result)
        if status is Status.FAULT:
            return Outcome(error=machine.fault.message)
        assert status is not Status.OUT_OF_MEMORY
        assert fuel_used < fuel_max, "the program does not end"
        machine = next_machine(machine)
        if status is Status.EFFECT:
            node.answer(machine)


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


# -- the machines --


@cache
def reference_core() -> ReferenceCode:
    source = core_source()
    return ReferenceCode.of_tree(tree_of_files(source, core=True), None, source.parts)


# What has a meaning only at the top level, or is told by the compiler; and what chooses among the cases of a file.
_ALONE = (
    "(def",
    "(declare",
    "(ns ",
    "(require",
    "*args*",
    "(in-ns",
    "(use ",
    "(alias",
    "gensym",
    "(binding",
    "eval",
)


@cache
def core_code() -> Code:
    return Code(core_segment(), None)


def _stands_alone(case: Case) -> bool:
    return case.is_error or any(head in case.source for head in _ALONE)


@cache
def _source_of_file(file: str) -> str:
    """Return a program of all cases of a file that need none of their own: compiling one by one is slow."""
    cases = [case for case in RUNNING if case.file == file and not _stands_alone(case)]
    functions = "\n".join(f"(fn []\n{case.source}\n)" for case in cases)
    numbers = "\n".join(f"{case.line} {number}" for number, case in enumerate(cases))
    return f"((nth [{functions}] (get {{{numbers}}} (:line *args*))))"


def source_of(case: Case) -> str:
    """Return the program that has a case, perhaps among others."""
    return case.source if _stands_alone(case) else _source_of_file(case.file)


def globals_of(case: Case) -> Mapping[str, object]:
    """Return what chooses the case among those of its program."""
    if _stands_alone(case):
        return GLOBALS
    return {"*args*": Map([WHO, (Keyword("line"), case.line)])}


@cache
def _code_of_source(source: str, name: str) -> Code:
    return Code(noted(compile_source(source, name, host=HOST)).segment, core_code())


def code_of(case: Case) -> Code:
    """Return the code of a case. Raises SourceError, SourceErrors."""
    return _code_of_source(source_of(case), f"{case.file}.clj")


def machine_of(case: Case) -> Machine:
    """Return a machine that will run a case. Raises SourceError, SourceErrors."""
    return Machine(code_of(case), memory_max=MEMORY, globals=globals_of(case))


def runs(case: Case) -> bool:
    """Return whether a case compiles; errors of the compiler have no machine."""
    if not case.is_error:
        return True
    try:
        machine_of(case)
    except (SourceError, SourceErrors):
        return False
    return True
