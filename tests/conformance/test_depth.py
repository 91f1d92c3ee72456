"""Depth is bounded by memory alone, on both machines: calls, nested data, chains of lazy seqs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from language import core_code, outcome_of, reference_core

from yang.compile import compile_source
from yang.lower import tree_of_source
from yind.cesk import Code, Machine
from yind.cesk.reference import ReferenceCode, ReferenceMachine

DEPTH = 100_000  # on the compiled machine; more would be too much for one instruction to print
DEPTH_REFERENCE = 3_000  # three times Python's own limit
MEMORY = 1 << 30

NEST = "(defn nest [n] (loop [v [] i 0] (if (= i n) v (recur [v] (inc i)))))"
PROGRAMS: dict[str, tuple[str, Callable[[int], object]]] = {
    "calls": ("((fn depth [n] (if (zero? n) 0 (inc (depth (dec n))))) *args*)", lambda n: n),
    "calls left by an error": (
        """(try ((fn f [n] (if (zero? n) (throw (ex-info "" {})) (inc (f (dec n))))) *args*)
                (catch Exception e :caught))""",
        lambda n: "caught",
    ),
    "calls left by a continuation": (
        "(call/cc (fn [k] ((fn f [n] (if (zero? n) (k :left) (inc (f (dec n))))) *args*)))",
        lambda n: "left",
    ),
    "handlers": (
        "((fn f [n] (try (if (zero? n) 0 (f (dec n))) (finally n))) *args*)",
        lambda n: 0,
    ),
    "printing": (f"{NEST} (count (pr-str (nest *args*)))", lambda n: 2 * n + 2),
    "equality": (f"{NEST} (= (nest *args*) (nest *args*))", lambda n: True),
    "hash": (f"{NEST} (= (hash (nest 50)) (hash (nest 50)))", lambda n: True),
    "release": (f"{NEST} (do (nest *args*) (nest *args*) :released)", lambda n: "released"),
    "arguments": ("(apply + (range *args*))", lambda n: n * (n - 1) // 2),
    "lazy seqs inside lazy seqs": (
        "(first (reduce concat (map list (range (quot *args* 100)))))",
        lambda n: 0,
    ),
    "functions around functions": (
        "((apply comp (repeat (quot *args* 100) inc)) 0)",
        lambda n: n // 100,
    ),
}
each_program = pytest.mark.parametrize("name", PROGRAMS)


def value_of(found: object) -> object:
    return getattr(found, "name", found)  # keywords by name


@each_program
def test_the_compiled_machine_goes_as_deep_as_memory_allows(name: str) -> None:
    source, expected = PROGRAMS[name]
    code = Code(compile_source(source, "depth.clj").segment, core_code())
    machine = Machine(code, memory_max=MEMORY, globals={"*args*": DEPTH})
    assert value_of(outcome_of(machine).value) == expected(DEPTH)


@each_program
def test_the_reference_machine_needs_no_stack_of_its_own(name: str) -> None:
    source, expected = PROGRAMS[name]
    code = ReferenceCode.of_tree(tree_of_source(source, "depth.clj"), reference_core())
    machine = ReferenceMachine(code, memory_max=MEMORY, globals={"*args*": DEPTH_REFERENCE})
    assert value_of(outcome_of(machine).value) == expected(DEPTH_REFERENCE)


def test_a_result_of_any_depth_comes_out() -> None:
    source = "(loop [v [] i 0] (if (= i 100000) v (recur [v] (inc i))))"
    machine = Machine(
        Code(compile_source(source, "depth.clj").segment, core_code()), memory_max=MEMORY
    )
    value = outcome_of(machine).value
    depth = 0
    while isinstance(value, tuple) and value:
        (value,) = value
        depth += 1
    assert depth == DEPTH
