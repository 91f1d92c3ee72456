"""Programs keep their hashes, and their code its bytes, when only the compiler's speed is worked on.

What was recorded is in `recorded_code.json`. When a change is meant (another expansion, other instructions), record anew:
`PYTHONPATH=.:tests/support python tests/yang/test_recorded_code.py`, and look at the difference.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from yang.compile import compile_program, compile_source
from yang.host import Host
from yang.segment import Segment
from yang.units import Units
from yind.cesk.evaluate import evaluate

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("recorded_code.json")
PLACES = ("tests/programs/*.clj", "bench/programs/*.clj", "bench/programs/modules/*.clj")
HEAD = "(ns shop.part (:require [clojure.string :as str] [clojure.set :as set]))\n"
RECORDED: dict[str, list[str]] = json.loads(RECORD.read_text()) if RECORD.exists() else {}


def text_of(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    if "/modules/" not in name:
        return text
    return HEAD + re.sub(r"@(n|a|b|c|word)\b", lambda hole: {"word": "w"}.get(hole[1], "7"), text)


def digest(segment: Segment) -> str:
    whole = hashlib.sha256(segment.code)
    for part in (
        *(segment.constants, segment.globals, segment.functions, segment.handlers),
        *(segment.nodes, segment.spans, segment.entries, segment.slots),
    ):
        whole.update(repr(part).encode() + b"\0")
    return whole.hexdigest()


def code_of(name: str) -> list[str]:
    compiled = compile_source(text_of(name), name, host=Host(evaluate), units=Units())
    return [compiled.program.hash.hex(), digest(compiled.segment)]


def test_every_program_is_recorded() -> None:
    names = {str(path.relative_to(ROOT)) for place in PLACES for path in ROOT.glob(place)}
    assert names == RECORDED.keys()


@pytest.mark.parametrize("name", RECORDED)
def test_a_program_has_the_hash_and_the_code_that_were_recorded(name: str) -> None:
    assert code_of(name) == RECORDED[name]


def test_code_of_shipped_bytes_is_that_of_the_text() -> None:
    compiled = compile_source(text_of("tests/programs/actors.clj"), "actors")
    shipped = compile_program(compiled.program, units=Units())
    assert digest(shipped.segment) == digest(compiled.segment)


if __name__ == "__main__":
    found = sorted(str(path.relative_to(ROOT)) for place in PLACES for path in ROOT.glob(place))
    RECORD.write_text(json.dumps({name: code_of(name) for name in found}, indent=1) + "\n")
