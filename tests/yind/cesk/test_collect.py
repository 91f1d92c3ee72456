"""Circles through atoms are freed when the budget asks for it, and on demand; nothing else is."""

from __future__ import annotations

from functools import cache

import pytest
from language import core_code

from yang.compile import compile_source
from yind.cesk import Code, Machine, StateInvalid, Status

FUEL = 1 << 40
MEMORY = 1 << 18


@cache
def code(source: str) -> Code:
    return Code(compile_source(source, "collect.clj").segment, core_code())


def machine_of(source: str, memory_max: int = MEMORY) -> Machine:
    return Machine(code(source), memory_max=memory_max)


CIRCLES = {
    "an atom that holds itself": "(let [a (atom nil)] (reset! a [a i]))",
    "two atoms": "(let [a (atom nil) b (atom {:a a :i i})] (reset! a b))",
    "an atom and a function": "(let [a (atom nil)] (reset! a (fn [] @a)))",
    "an atom and a lazy seq": "(let [a (atom nil) s (lazy-seq (cons i @a))] (reset! a s) (first s))",
    "an atom and a continuation": "(let [a (atom nil)] (call/cc (fn [k] (reset! a [k i]) nil)))",
    "a large vector in an atom": "(let [a (atom (vec (range 300)))] (swap! a conj a))",
    "a map with many keys": "(let [a (atom (zipmap (range 40) (range)))] (swap! a assoc :a a))",
}


@pytest.mark.parametrize("circle", CIRCLES.values(), ids=CIRCLES.keys())
def test_garbage_in_circles_does_not_fill_the_memory(circle: str) -> None:
    machine = machine_of(f"(loop [i 0] (do {circle} (recur (inc i))))")
    for _ in range(20):
        assert machine.run(100_000) is Status.OUT_OF_FUEL
        assert machine.memory_used <= MEMORY
    assert machine.collect() >= 0
    assert machine.memory_used < MEMORY // 8
    assert machine.run(1000) is Status.OUT_OF_FUEL


def test_what_is_alive_stays_as_it_is() -> None:
    source = """
    (let [kept (atom {:v (vec (range 100)) :m (zipmap (range 50) (map str (range)))
                      :l (list 1 "two" 3.0) :s (map inc (range 10))
                      :big 123456789012345678901234567890})]
      (swap! kept assoc :self kept)
      (loop [i 0]
        (when (< i 20000)
          (let [a (atom i)] (reset! a [a @kept]))
          (recur (inc i))))
      (let [k @kept] [(reduce + (:v k)) (get (:m k) 7) (:l k) (vec (:s k)) (:big k) (identical? kept (:self k))]))
    """
    machine = machine_of(source)
    assert machine.run(FUEL) is Status.DONE
    assert machine.result_text == (
        '[4950 "7" (1 "two" 3.0) [1 2 3 4 5 6 7 8 9 10] 123456789012345678901234567890 true]'
    )


def test_a_pass_costs_no_fuel_and_changes_no_image() -> None:
    source = "(defn f [] (dotimes [i 100] (let [a (atom i)] (reset! a a)))) (f) (now) 1"
    machine, other = machine_of(source), machine_of(source)
    assert machine.run(FUEL) is other.run(FUEL) is Status.EFFECT
    used = machine.memory_used
    freed = machine.collect()
    assert freed >= 100 * 32
    assert machine.memory_used == used - freed
    assert machine.collect() == 0
    assert machine.image() == other.image()
    assert machine.fuel_used == other.fuel_used
    machine.resume(None)
    assert machine.run(FUEL) is Status.DONE
    assert machine.result == 1


def test_fuel_is_the_same_whether_memory_is_tight_or_not() -> None:
    source = "(loop [i 0] (if (< i 30000) (let [a (atom i)] (reset! a [a]) (recur (inc i))) i))"
    tight, roomy = machine_of(source, 1 << 17), machine_of(source, 1 << 26)
    assert tight.run(FUEL) is roomy.run(FUEL) is Status.DONE
    assert tight.fuel_used == roomy.fuel_used


def test_an_agent_that_keeps_everything_still_runs_out_of_memory() -> None:
    machine = machine_of("(loop [l ()] (recur (cons (atom l) l)))")
    assert machine.run(FUEL) is Status.OUT_OF_MEMORY
    assert machine.collect() == 0


def test_circles_far_deeper_than_any_stack_are_freed() -> None:
    source = """
    (defn f []
      (let [a (atom nil)]
        (reset! a (loop [i 0 l (list a)] (if (< i 300000) (recur (inc i) (cons i l)) l)))
        (reset! a [@a a])
        nil))
    (f)
    (now)
    """
    machine = machine_of(source, 1 << 26)
    assert machine.run(FUEL) is Status.EFFECT
    assert machine.collect() > 300000 * 32
    assert machine.memory_used < 4096


def test_much_is_freed_in_portions() -> None:
    source = "(defn f [] (count (loop [i 0 l ()] (if (< i 500000) (recur (inc i) (cons i l)) l)))) (f) (now)"
    machine = machine_of(source, 1 << 26)
    assert machine.run(FUEL) is Status.EFFECT
    machine.collect()
    assert machine.memory_used < 4096


def test_memory_of_a_dead_list_serves_at_once() -> None:
    build = "(count (loop [i 0 l ()] (if (< i 300000) (recur (inc i) (cons i l)) l)))"
    machine = machine_of(f"[{' '.join([build] * 6)}]", 24 << 20)
    assert machine.run(FUEL) is Status.DONE


def test_a_machine_that_has_not_begun_collects_nothing() -> None:
    with pytest.raises(StateInvalid):
        Machine.__new__(Machine).collect()
