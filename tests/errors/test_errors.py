"""What people are told about bad programs, word for word.

A file of cases has for each: a title after `###`, the program (and after `>> path` other files of it), `----`, and what is
printed. `pytest tests/errors --rewrite` writes what is printed now; a person reads the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from language import core_code

from cli.faults import fault_text
from cli.sources import host_of
from datomstore.value import Map
from yang.compile import compile_source
from yang.errors import YangError
from yind.agent import fault_data
from yind.cesk import Code, Machine, Status

FOLDER = Path(__file__).parent
MAIN = "main.clj"
FUEL = 1 << 22
LIBRARY = "|".join(sorted(file.stem for file in (FOLDER.parents[1] / "yang/lib").glob("*.clj")))
IN_LIBRARY = re.compile(
    rf"\(({LIBRARY})\.clj:\d+:\d+\)"
)  # whose lines are not the program's matter


class Case(NamedTuple):
    """One bad program and what is said about it."""

    file: str
    title: str
    program: str
    expected: str


def cases_of(path: Path) -> Iterator[Case]:
    for block in path.read_text(encoding="utf-8").split("### ")[1:]:
        title, _, rest = block.partition("\n")
        program, _, expected = rest.partition("----\n")
        yield Case(path.name, title, program.removesuffix("\n"), expected.rstrip("\n"))


CASES = [case for path in sorted(FOLDER.glob("*.txt")) for case in cases_of(path)]


def texts_of(program: str) -> dict[str, str]:
    """The files of a program, by path."""
    main, *others = program.split(">> ")
    texts = {MAIN: main.removesuffix("\n") if others else main}
    for other in others:
        name, _, text = other.partition("\n")
        texts[name] = text.removesuffix("\n")
    return texts


def printed(program: str, folder: Path) -> str:
    """What a person reads after running a program."""
    texts = texts_of(program)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    try:
        compiled = compile_source(texts[MAIN], MAIN, host=host_of(folder / MAIN))
    except YangError as error:
        return str(error).replace(f"{folder}/", "")
    machine = Machine(Code(compiled.segment, core_code()), memory_max=1 << 26)
    status = machine.run(FUEL)
    assert status is Status.FAULT, status
    paths = {str(folder / name): text for name, text in texts.items()}
    found = fault_text(row_of(machine), {**texts, **paths}).replace(f"{folder}/", "")
    return IN_LIBRARY.sub(r"(\1.clj)", found)


def row_of(machine: Machine) -> Mapping[str, object]:
    """A fault as a node tells it."""
    found = fault_data(machine.fault)
    places = tuple(
        Map({**msgspec.structs.asdict(place), "span": tuple(place.span)}) for place in found.places
    )
    causes = tuple(Map({"message": message, "data": data}) for message, data in found.causes)
    fault = Map({"message": found.message, "data": found.data, "places": places, "causes": causes})
    return {"fault": found.message, "fault_data": fault}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file[:-4]}: {case.title}")
def test_a_bad_program_is_told_so(
    case: Case, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = printed(case.program, tmp_path)
    if request.config.getoption("--rewrite"):
        rewrite(case, found)
    else:
        assert found == case.expected


def rewrite(case: Case, found: str) -> None:
    path = FOLDER / case.file
    blocks = [
        Case(*other[:3], found if other.title == case.title else other.expected)
        for other in cases_of(path)
    ]
    text = "\n".join(f"### {b.title}\n{b.program}\n----\n{b.expected}\n" for b in blocks)
    path.write_text(text, encoding="utf-8")


def test_there_are_cases_of_every_kind_and_no_two_alike() -> None:
    assert len(CASES) >= 60
    assert len({(case.file, case.title) for case in CASES}) == len(CASES)


def test_every_message_has_its_place_its_line_with_a_caret_and_a_hint() -> None:
    for case in CASES:
        in_library = case.file == "runtime.txt" and "main.clj:" not in case.expected
        assert ".clj" in case.expected, case.title
        assert "^" in case.expected or in_library, case.title
        assert "hint: " in case.expected or "throw" in case.program, case.title
