"""A pattern that stands in the text is compiled once, when the program begins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import core_code

from cli.sources import host_of
from yang.clojure import clojure_of
from yang.compile import compile_source
from yang.errors import Source
from yang.host import Host
from yang.lower import tree_of_source
from yang.program import program_of
from yang.session import Session
from yang.units import Units
from yind.cesk import Code, Machine, Status
from yind.cesk.evaluate import evaluate

LOOP = (
    '(loop [i 0 n 0] (if (< i {count}) (recur (inc i) (+ n (count (re-seq {pattern} "a1b22")))) n))'
)


def names(text: str) -> list[str]:
    """What a program defines, patterns first."""
    tree = tree_of_source(text, "p.clj", Host(evaluate))
    return [str(item.scalars[0]) for item in tree.items if item.kind.name == "def"]


def fuel(pattern: str, count: int) -> int:
    text = LOOP.format(pattern=pattern, count=count)
    machine = Machine(Code(compile_source(text, "p.clj").segment, core_code()), memory_max=1 << 26)
    assert machine.run(1 << 28) is Status.DONE
    assert machine.result == 2 * count
    return machine.fuel_used


def test_a_loop_does_not_compile_its_pattern_in_each_pass() -> None:
    once = fuel('(re-pattern "[0-9]+")', 1) - fuel('#"[0-9]+"', 1)
    assert abs(once) < 20
    assert fuel('(re-pattern "[0-9]+")', 50) > 1.5 * fuel('#"[0-9]+"', 50)


def test_every_literal_is_one_definition() -> None:
    found = names('(defn f [s] (re-find #"a" s)) (f #"b") (f #"a")')
    assert len(found) == 4
    assert [name.startswith("pattern~x") for name in found] == [True, True, True, False]


def test_a_pattern_of_a_macro_is_there_for_the_macro() -> None:
    text = '(defmacro words [s] (vec (re-seq #"[a-z]+" s))) (words "to be")'
    machine = Machine(
        Code(compile_source(text, "p.clj", host=Host(evaluate)).segment, core_code()),
        memory_max=1 << 26,
    )
    assert machine.run(1 << 22) is Status.DONE
    assert machine.result == ("to", "be")


def test_a_quoted_pattern_stays_a_form() -> None:
    assert names('\'(#"a")') == []


def test_another_pattern_before_it_changes_no_unit_behind() -> None:
    units = Units()
    rest = '(defn f [s] (re-find #"a+" s)) (defn g [s] (f s)) (g "a")'
    compile_source(rest, "p.clj", units=units)
    changed = compile_source(f'(defn h [s] (re-find #"b+" s)) {rest}', "p.clj", units=units)
    assert len(changed.anew) == 2  # h, and its pattern


@pytest.mark.parametrize(
    "text",
    [
        '(defn f [s] (re-find #"a" s))\n',
        '(f #"a" #"b" #"a")\n',
        '(re-pattern "a")\n(str #"a\\"\\\\d")\n',
        '[#"a" {:k #"a"}]\n',
    ],
)
def test_patterns_are_written_as_they_were(text: str) -> None:
    tree = tree_of_source(text)
    assert clojure_of(tree) == text
    assert program_of(tree_of_source(clojure_of(tree))).hash == program_of(tree).hash


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["a", "b", "a+", "[0-9]"]), min_size=1, max_size=6))
def test_programs_with_patterns_come_back_with_the_same_hash(patterns: list[str]) -> None:
    uses = [f'(-> "x" (f{n} #"{pattern}") (g #"{pattern}"))' for n, pattern in enumerate(patterns)]
    tree = tree_of_source("\n".join(uses))
    assert program_of(tree_of_source(clojure_of(tree))).hash == program_of(tree).hash


def test_a_session_has_each_pattern_once() -> None:
    session = Session(host_of(None))
    for number, text in enumerate(('(def r #"a")', '(re-find #"a" "a")', "(str r)")):
        (unit,) = session.units(Source(f"entry {number}", text))
        assert unit.program.to_bytes()
    assert not any("pattern~" in name for name in session.names())
