"""A program of two thousand lines: what Clojure prints, as recorded, is what yin prints."""

from __future__ import annotations

from pathlib import Path

from cli.sources import host_of
from yang.compile import compile_source
from yang.core import core_segment
from yind.cesk import Code, Machine, Status

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / "examples" / "catalogue.clj"
FILES = [PROGRAM, *sorted((ROOT / "examples" / "catalogue").glob("*.clj"))]
RECORDED = Path(__file__).parent / "clojure" / "catalogue.output"  # `make clojure-differences`
LINES_LEAST = 2000
MEMORY = 256 << 20
FUEL = 1 << 40


def printed() -> list[str]:
    """Return the lines that the program logs."""
    compiled = compile_source(PROGRAM.read_text("utf-8"), PROGRAM.name, host=host_of(PROGRAM))
    machine = Machine(Code(compiled.segment, Code(core_segment(), None)), memory_max=MEMORY)
    lines: list[str] = []
    while (status := machine.run(FUEL)) is Status.EFFECT:
        name, (text,) = machine.effect
        assert name == "log!"
        assert isinstance(text, str)
        lines += text.split("\n")
        machine.resume(None)
    assert status is Status.DONE, machine.fault
    return lines


def test_a_program_of_two_thousand_lines_prints_what_clojure_prints() -> None:
    assert printed() == RECORDED.read_text("utf-8").split("\n")[:-1]


def test_the_program_has_two_thousand_lines() -> None:
    lines = [line for file in FILES for line in file.read_text("utf-8").splitlines()]
    assert sum(1 for line in lines if line.strip()) >= LINES_LEAST
