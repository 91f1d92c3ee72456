"""Expressions that Clojure was asked, its answers, and yin's.

A file of tests/conformance/clojure has an expression a line; the file of the same name with the suffix `.answers` has what
Clojure said, a line each: `= ` and the printed value, or `! ` and the class of the error. `ask.clj` there writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from evaluated import noted, noted_tree
from language import HOST, MEMORY, Node, core_code, exactly, reference_core

from datomstore.edn import EdnError, read
from datomstore.value import Keyword, Map, Set
from yang.compile import compile_source
from yang.errors import SourceError, SourceErrors
from yang.lower import tree_of_source
from yind.cesk import Code, Machine, Status
from yind.cesk.reference import ReferenceCode, ReferenceMachine

FOLDER = Path(__file__).parent.parent / "conformance" / "clojure"
FILES = sorted(path for path in FOLDER.glob("*.clj") if not path.name.startswith("ask"))
HEAD = """(ns user (:require [clojure.string :as str] [clojure.set :as set] [clojure.walk :as walk]
  [clojure.edn :as edn] [clojure.math :as math]))
"""
FUEL = 20_000_000
_REFUSED = "refused: "
BATCH = 40  # expressions compiled as one program: one by one is slow
_ALONE = ("(def", "(declare", "(ns ", "(require")  # what has a meaning only at the top level
_BIG = re.compile(r"(?<![\w.])(\d+)N\b")  # integers are one kind here
_OPAQUE = re.compile(
    r"#(function|continuation|object|reduced)\[[^\]]*\]"
)  # functions have no text of their own
# What the compiler refuses although Clojure finds it only when it runs.
_EARLY = frozenset({"ArityException", "IllegalArgumentException", "RuntimeException"})


class Asked(NamedTuple):
    """An expression and Clojure's answer."""

    file: str
    line: int
    text: str
    answer: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}"


def expressions_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the expressions of a file with their lines."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith(";"):
            yield number, line


def asked_of(path: Path) -> list[Asked]:
    """Return the expressions of a file and what was recorded."""
    expressions = list(expressions_of(path))
    answers = path.with_suffix(".answers").read_text(encoding="utf-8").splitlines()
    assert len(answers) == len(expressions), f"{path.name}: run `make clojure-differences`"
    return [
        Asked(path.stem, number, text, answer)
        for (number, text), answer in zip(expressions, answers, strict=True)
    ]


# -- yin's answers --


class Batch(NamedTuple):
    """Expressions compiled as one program; a number among its arguments says which one it is."""

    expressions: tuple[Asked, ...]
    source: str


def _tried(text: str) -> str:
    return f"(fn [] (pr-str {text}\n))"


def batch_of(expressions: tuple[Asked, ...]) -> Batch:
    """Return the program of some expressions."""
    if len(expressions) == 1 and any(head in expressions[0].text for head in _ALONE):
        return Batch(expressions, f"{HEAD}(def answer {expressions[0].text}\n)\n(pr-str answer)")
    functions = "\n".join(_tried(asked.text) for asked in expressions)
    return Batch(expressions, f"{HEAD}((nth [{functions}] (:number *args*)))")


class Found(NamedTuple):
    """What yin made of an expression: text, or the error; that of the compiler has no data."""

    text: str | None
    error: str | None = None
    data: Map | None = None


def _run(machine: Any) -> Any:
    node = Node()
    left = FUEL
    while True:
        before = machine.fuel_used
        status = machine.run(min(left, 1_000_000))
        left -= machine.fuel_used - before
        if status is Status.EFFECT:
            node.answer(machine)
        elif status is not Status.OUT_OF_FUEL or left <= 0:
            return machine


def _found(machine: Any) -> Found:
    status = _run(machine).status
    if status is Status.DONE:
        return Found(machine.result)
    if status is Status.FAULT:
        return Found(None, machine.fault.message, machine.fault.data)
    return Found(None, f"status {status.name}")


@cache
def _catcher() -> Code:
    source = '(catches? (:class *args*) (ex-info "" (:data *args*)))'
    return Code(compile_source(source, "catches.clj").segment, core_code())


@cache
def is_caught_by(name: str, data: Map) -> bool:
    """Return whether `catch` with a class of the JVM is meant for an error with such data."""
    given = Map([(Keyword("class"), name), (Keyword("data"), data)])
    machine = Machine(_catcher(), memory_max=MEMORY, globals={"*args*": given})
    return bool(_run(machine).result)


def _globals(number: int) -> dict[str, object]:
    return {"*args*": Map([(Keyword("number"), number)])}


def compiled_answers(expressions: tuple[Asked, ...]) -> Iterator[tuple[Asked, Found]]:
    """Yield what the compiled machine makes of each; halves a batch that the compiler refuses."""
    batch = batch_of(expressions)
    try:
        code = Code(
            noted(compile_source(batch.source, "asked.clj", host=HOST)).segment, core_code()
        )
    except (SourceError, SourceErrors) as error:
        if len(expressions) == 1:
            yield expressions[0], Found(None, f"{_REFUSED}{error}")
            return
        middle = len(expressions) // 2
        yield from compiled_answers(expressions[:middle])
        yield from compiled_answers(expressions[middle:])
        return
    for number, asked in enumerate(expressions):
        machine = Machine(code, memory_max=MEMORY, globals=_globals(number))
        yield asked, _found(machine)


def direct_answers(expressions: tuple[Asked, ...]) -> Iterator[tuple[Asked, Found]]:
    """Yield what the reference machine makes of each, of those that it accepts."""
    for number, asked in enumerate(expressions):
        tree = noted_tree(tree_of_source(batch_of((asked,)).source, "asked.clj", HOST))
        code = ReferenceCode.of_tree(tree, reference_core())
        yield asked, _found(ReferenceMachine(code, memory_max=MEMORY, globals=_globals(0)))
        del number


def batches(expressions: list[Asked]) -> Iterator[tuple[Asked, ...]]:
    """Yield the expressions in batches; those that stand alone one by one."""
    alone = [asked for asked in expressions if any(head in asked.text for head in _ALONE)]
    yield from ((asked,) for asked in alone)
    others = [asked for asked in expressions if asked not in set(alone)]
    for start in range(0, len(others), BATCH):
        yield tuple(others[start : start + BATCH])


# -- comparison --


def agrees(asked: Asked, found: Found) -> bool:
    """Return whether yin's answer is Clojure's: the same text but for the order in maps and sets, or kind of error."""
    kind, _, answer = asked.answer.partition(" ")
    if kind == "!":
        if found.data is None:
            return found.error is not None and found.error.startswith(_REFUSED) and answer in _EARLY
        return is_caught_by(answer, found.data)
    if found.text is None:
        return False
    text = _OPAQUE.sub("#object", found.text.replace("\n", "\\newline "))
    answer = _BIG.sub(r"\1", answer)
    if text == answer or "{" not in answer:
        return text == answer
    return _parsed(text) == _parsed(answer) is not None


def _parsed(text: str) -> object:
    try:
        return Set([exactly(read(text))])
    except EdnError:
        return None


def difference(asked: Asked, found: Found) -> str:
    """Return a difference for people."""
    mine = found.text if found.text is not None else f"error: {found.error}"
    return f"{asked.name}: {asked.text}\n    clojure {asked.answer}\n    yin     {mine}"
