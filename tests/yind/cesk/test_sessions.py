"""Sessions: a machine that enters one unit after another."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yang.compile import compile_source
from yang.core import core_segment
from yang.segment import Segment
from yind.cesk import Code, Machine, Status
from yind.cesk.errors import CodeInvalid, ImageInvalid, StateInvalid

MEMORY = 1 << 24


@cache
def core() -> Code:
    return Code(core_segment(), None)


@cache
def segment_of(text: str, knows: str) -> Segment:
    declared = " ".join(f"(def {name} nil)" for name in knows.split())
    return compile_source(f"(if false (do {declared}))\n{text}").segment


def unit(text: str, *, knows: str = "", before: Code | None = None) -> Code:
    """Return the code of a unit that knows definitions of those before it."""
    return Code(segment_of(text, knows), core(), before)


def run(machine: Machine) -> str:
    assert machine.run(10**7) is Status.DONE, machine.fault
    return machine.result_text


def entered(machine: Machine, text: str, knows: str = "") -> str:
    machine.enter(unit(text, knows=knows, before=machine.code))
    return run(machine)


def begun(text: str, knows: str = "") -> Machine:
    machine = Machine(unit(text, knows=knows), memory_max=MEMORY)
    run(machine)
    return machine


def again(machine: Machine) -> Machine:
    """Return the machine that its image makes."""
    known = {code.program_hash: Code(code.segment, core()) for code in machine.units()}
    known[core().program_hash] = core()
    image = machine.image()
    restored = Machine.restore(image, known.__getitem__, memory_max=MEMORY)
    assert restored.image() == image
    return restored


def test_a_unit_sees_what_units_before_it_defined() -> None:
    machine = begun("(def x [1 2]) (defn f [a] (conj x a))", "x f")
    assert entered(machine, "(f 3)", "f") == "[1 2 3]"


def test_a_function_calls_what_its_name_means_now() -> None:
    machine = begun("(defn f [] 1) (defn g [] (f))", "f g")
    assert entered(machine, "(g)", "g") == "1"
    entered(machine, "(defn f [] 2)", "f")
    assert entered(machine, "(g)", "g") == "2"


def test_a_name_without_a_value_yet_is_an_error_when_it_is_read() -> None:
    machine = begun("1")
    machine.enter(unit("later", knows="later", before=machine.code))
    assert machine.run(10**6) is Status.FAULT
    assert machine.fault.message == "later is not defined"


def test_an_error_ends_the_unit_and_not_the_session() -> None:
    machine = begun("(def x 1)", "x")
    machine.enter(
        unit('(do (def x 2) (throw (ex-info "no" {:a 1})))', knows="x", before=machine.code)
    )
    assert machine.run(10**6) is Status.FAULT
    machine.enter(unit("[x (ex-data *e)]", knows="x *e", before=machine.code), "*e")
    assert run(machine) == "[2 {:a 1}]"


def test_an_evaluation_that_never_ends_is_given_up() -> None:
    machine = begun("(def x 1)", "x")
    machine.enter(unit("(loop [i 0] (recur (inc i)))", before=machine.code))
    assert machine.run(10**4) is Status.OUT_OF_FUEL
    assert entered(machine, "x", "x") == "1"


def test_what_waits_for_an_effect_is_given_up() -> None:
    machine = begun("1")
    machine.enter(unit("(sleep 1000)", before=machine.code))
    assert machine.run(10**6) is Status.EFFECT
    assert entered(machine, "(+ 1 1)") == "2"


def test_what_was_given_up_leaves_no_memory_behind() -> None:
    machine = begun("1")
    entered(machine, "2")
    used = machine.memory_used
    machine.enter(
        unit("(let [v (vec (range 5000))] (loop [i 0] (recur (count v))))", before=machine.code)
    )
    machine.run(10**5)
    assert machine.memory_used > used
    entered(machine, "3")
    assert machine.memory_used == used


def test_an_image_of_a_session_names_all_its_units() -> None:
    machine = begun('(def x "k") (defn f [] x)', "x f")
    entered(machine, '(def y [f x "another"])', "y f x")
    assert Machine.programs_of(machine.image()) == [
        *(code.program_hash for code in machine.units()),
        core().program_hash,
    ]
    restored = again(machine)
    assert entered(restored, "[((first y)) y]", "y") == '["k" [#function[f] "k" "another"]]'


def test_a_unit_is_restored_in_the_middle_of_a_call_into_another() -> None:
    machine = begun("(defn f [n] (if (= n 0) 0 (+ 1 (f (- n 1)))))", "f")
    machine.enter(unit("(f 1000)", knows="f", before=machine.code))
    while machine.run(997) is Status.OUT_OF_FUEL:
        machine = again(machine)
    assert machine.result == 1000


def test_an_image_whose_unit_is_another_program_is_refused() -> None:
    machine = begun("(defn f [] [1 2])", "f")
    entered(machine, "(def y (fn [] (f)))", "y f")
    known = {machine.units()[0].program_hash: machine.units()[0]}
    with pytest.raises(ImageInvalid):
        Machine.restore(machine.image(), lambda name: known.get(name, core()), memory_max=MEMORY)


def test_code_that_continues_something_else_is_refused() -> None:
    machine = begun("1")
    with pytest.raises(StateInvalid):
        machine.enter(unit("2"))


def test_units_of_different_libraries_are_refused() -> None:
    first = unit("1")
    with pytest.raises(CodeInvalid):
        Code(first.segment, Code(core_segment(), None), first)


UNITS = (
    "(def a (conj (if (vector? a) (vec (take 3 a)) []) b))",
    "(def b (fn [] [a c]))",
    "(def c (list 1 a (b)))",
    '(def b (let [k {:a "text" :b a}] (fn [] k)))',
    "(def c (atom a))",
    "(def a (map (fn [x] [x c]) [1 2]))",
    "(throw (ex-info (str b) {:c c}))",
    "(loop [i 0] (recur (inc i)))",
)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(UNITS), max_size=8), st.integers(0, 7))
def test_a_session_that_was_restored_goes_on_as_one_that_stayed(texts: list[str], cut: int) -> None:
    start = "(def a []) (def b (fn [] 0)) (def c nil)"
    stayed, moved = begun(start, "a b c"), begun(start, "a b c")
    for number, text in enumerate(texts):
        for machine in (stayed, moved):
            machine.enter(unit(text, knows="a b c *e", before=machine.code), "*e")
            machine.run(5000)
        if number == cut:
            moved = again(moved)
        assert stayed.image() == moved.image()
