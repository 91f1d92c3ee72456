"""Programs that no compiler made: refused by their own error, whatever stands where."""

from __future__ import annotations

import msgpack
import pytest

from yang.compile import compile_source
from yang.errors import ProgramInvalid
from yang.program import Program, hash_of, tree_of

SOURCE = '(defn f [x & more] (if x (f more) {:a [1 2.5 "s"]})) (f (let [y 1] (+ y y)))'
GOOD = compile_source(SOURCE, "foreign.clj").program


def values_of(data: bytes) -> list[object]:
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(data)
    return list(unpacker)


def program_with(values: list[object]) -> Program:
    ast = b"".join(msgpack.packb(value) for value in values)
    return Program.from_bytes(Program(hash_of(ast), ast, GOOD.spans, "foreign.clj").to_bytes())


@pytest.mark.parametrize(
    "strange", [[], {}, [1], {"a": 1}, None, -1, True, 2.5, "", b"x"], ids=repr
)
def test_a_value_of_another_kind_anywhere_in_a_tree_is_refused_or_means_itself(
    strange: object,
) -> None:
    values = values_of(GOOD.ast)
    assert tree_of(program_with(values)).items
    refused = 0
    for place in range(len(values)):
        try:
            tree_of(program_with([*values[:place], strange, *values[place + 1 :]]))
        except ProgramInvalid:
            refused += 1
    assert refused > len(values) // 2
