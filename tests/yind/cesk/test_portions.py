"""No instruction does much work, whatever it is given: a slice ends soon after its fuel does.

Counted in fuel, of which a unit is four steps of work: what a slice of little fuel overdraws is what its last
instruction took.
"""

from __future__ import annotations

import pytest
from language import core_code

from yang.compile import compile_source
from yind.cesk import Code, Machine, Status

SLICE = 100
# A portion is 2^15 steps of four to a unit of fuel; a slice that owes 2^11 units ends before the next instruction.
OVERDRAWN_MAX = (1 << 13) + (1 << 11) + (1 << 8)
MEMORY = 1 << 30

MANY = "(vec (range 300000))"
LIST = "(apply list (range 300000))"
MAP = "(zipmap (range 60000) (range 60000))"
DEEP = "(loop [i 0 v [1]] (if (< i 50000) (recur (inc i) [v]) v))"
TEXT = '(apply str (repeat 300000 "ab, "))'
WIDE = '(apply str (repeat 100000 "\u00e4 "))'
# About 1e5 decimal digits.
BIG = "(loop [i 0 a 5] (if (< i 17) (recur (inc i) (* a a)) a))"

NASTY = {
    "equal vectors": (f"[{MANY} {LIST}]", "(= (x 0) (x 1))"),
    "a test of equal maps": (f"[{MAP} {MAP}]", "(if (= (x 0) (x 1)) 1 2)"),
    "equal nested vectors": (f"[{DEEP} {DEEP}]", "(= (x 0) (x 1))"),
    "different texts": (f"[{TEXT} (str {TEXT} 1)]", "(= (str (x 0) 2) (x 1))"),
    "order of vectors": (f"[{MANY} {MANY}]", "(compare (x 0) (x 1))"),
    "order of nested vectors": (f"[{DEEP} {DEEP}]", "(compare (x 0) (x 1))"),
    "hash of a list": (LIST, "(hash x)"),
    "hash of a map": (MAP, "(hash x)"),
    "printing a vector": (MANY, "(count (pr-str x))"),
    "printing a map": (MAP, "(count (str x))"),
    "printing nested vectors": (DEEP, "(count (pr-str x))"),
    "printing a text": (TEXT, "(count (pr-str x))"),
    "printing lazy seqs in lazy seqs": (MANY, "(count (pr-str (map (fn [i] (map inc [i])) x)))"),
    "splitting": (TEXT, '(count (clojure.string/split x ","))'),
    "joining": (MANY, '(count (clojure.string/join "-" x))'),
    "replacing": (TEXT, '(count (clojure.string/replace x "a" "xyz"))'),
    "replacing by nothing": (TEXT, '(count (clojure.string/replace x "ab, " ""))'),
    "upper case": (WIDE, "(count (clojure.string/upper-case x))"),
    "a part of a text": (WIDE, "(count (subs x 3 150000))"),
    "a character of a text": (WIDE, "(nth x 199998)"),
    "finding what is not there": (TEXT, '(clojure.string/index-of x "abc")'),
    "trimming": ('(apply str (repeat 300000 " "))', '(clojure.string/trim (str x "a" x))'),
    "texts put together": (MANY, "(count (apply str x))"),
    "many arguments": (MANY, "(count (apply (fn [& more] more) x))"),
    "many arguments of conj": (MANY, "(count (apply conj #{} x))"),
    "a sum": (MANY, "(apply + x)"),
    "a vector of a list": (LIST, "(count (vec x))"),
    "a vector of a range": ("(range 300000)", "(count (vec x))"),
    "a set": (LIST, "(count (set x))"),
    "one map in another": (MAP, "(count (conj {0 1} x))"),
    "reverse": (MANY, "(count (reverse x))"),
    "a part of a vector": (MANY, "(count (subvec x 1))"),
    "counting a realised seq": ("(doall (map inc (range 300000)))", "(count x)"),
    "sorting": (MANY, "(first (sort > x))"),
    "frequencies": (MANY, "(count (frequencies x))"),
    "an argument of an effect": (MANY, "(log! x)"),
    "a large result": (MANY, "(map vector x)"),
    "a product": (BIG, "(even? (* x (inc x)))"),
    "a quotient": (BIG, "(= x (quot (* x 12345678901234567890123) 12345678901234567890123))"),
    "a quotient of two large": (BIG, "(= 3 (quot (+ x (* 3 (inc x))) (inc x)))"),
    "digits": (BIG, "(count (str x))"),
    "a sum of ratios": ("(bit-shift-left 1 20000)", "(denominator (+ (/ 1 x) (/ 1 (inc x))))"),
    "dropping it all": (f"(atom [{MANY} {LIST} {MAP} {DEEP}])", "(do (reset! x 1) (reduce + (range 1000)))"),
    "straight on": (
        "(vec (range 7000))",
        f"(do {' '.join(['(hash x)'] * 40)})",
    ),
}  # fmt: skip


def slices_of(source: str) -> tuple[Machine, int]:
    """Run a program in slices of little fuel; also the most that one of them took."""
    machine = Machine(
        Code(compile_source(source, "nasty.clj").segment, core_code()), memory_max=MEMORY
    )
    most = 0
    while machine.status in (Status.OUT_OF_FUEL, Status.EFFECT):
        before = machine.fuel_used
        machine.run(SLICE)
        most = max(most, machine.fuel_used - before)
        if machine.status is Status.EFFECT:
            machine.resume(None)
    return machine, most


@pytest.mark.parametrize("name", NASTY)
def test_no_instruction_overdraws_its_slice_by_much(name: str) -> None:
    given, call = NASTY[name]
    machine, most = slices_of(f"(let [x {given}] {call})")
    assert machine.status is Status.DONE, machine.fault
    assert most <= SLICE + OVERDRAWN_MAX


def test_what_was_dropped_is_given_back() -> None:
    machine, _ = slices_of(f"(let [x (atom {MANY})] (reset! x nil) 1)")
    assert machine.memory_used < 1 << 16


def test_memory_that_is_still_being_freed_makes_no_agent_run_out_of_it() -> None:
    source = f"(loop [i 0 x nil] (if (< i 20) (recur (inc i) {DEEP}) (count x)))"
    machine = Machine(
        Code(compile_source(source, "deep.clj").segment, core_code()), memory_max=12 << 20
    )
    while machine.run(SLICE) is Status.OUT_OF_FUEL:
        pass
    assert machine.status is Status.DONE


@pytest.mark.parametrize("coll", ["(range)", "(repeat 1)", "(cycle [1 2])", "(iterate inc 0)"])
def test_an_endless_last_argument_of_apply_ends_by_memory(coll: str) -> None:
    machine = Machine(
        Code(compile_source(f"(apply + {coll})", "endless.clj").segment, core_code()),
        memory_max=1 << 22,
    )
    assert machine.run(1 << 24) is Status.OUT_OF_MEMORY


def test_an_endless_range_as_last_argument_ends_by_memory() -> None:
    source = "(apply vector (range 0.0 1e300 1.0))"
    machine = Machine(
        Code(compile_source(source, "endless.clj").segment, core_code()), memory_max=1 << 22
    )
    assert machine.run(1 << 24) is Status.OUT_OF_MEMORY
