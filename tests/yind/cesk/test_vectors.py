"""Vectors against Python's tuples: all forms of leaves, held versions, images in between, and what memory they take."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from language import core_code, exactly

from datomstore.value import Char, Keyword, List
from yang.compile import compile_source
from yind.cesk import Code, Machine, Status
from yind.cesk._core import IS_HOSTILE

MEMORY_MAX = 1 << 28
FUEL = 1 << 30
LEAF = 32

relaxed = settings(max_examples=60 if IS_HOSTILE else 150)

# One step on the versions so far. A step of `apart` leaves the version it starts from in its place, so that both share
# what they have in common; otherwise the vector has one owner while it is changed.
STEP = """
(defn changed [v op a b]
  (case op
    :conj (conj v b)
    :conj-all (into v b)
    :range (into v (range a (+ a b)))
    :repeat (into v (repeat a b))
    :self (into v v)
    :assoc (if (< a (count v)) (assoc v a b) v)
    :assoc-all (loop [v v i 0] (if (< i (count v)) (recur (assoc v i b) (inc i)) v))
    :every (loop [v v i 0] (if (< i (count v)) (recur (assoc v i b) (+ i a)) v))
    :pop (loop [v v i 0] (if (and (< i a) (pos? (count v))) (recur (pop v) (inc i)) v))
    :subvec (let [n (count v) start (min a n)] (subvec v start (min n (+ start b))))
    :concat (vec (concat v b))
    :pair (conj v [a b])))

(defn step [versions [apart which op a b]]
  (let [i (rem which (count versions))
        v (nth versions i)]
    (if apart
      (conj versions (changed v op a b))
      (let [versions (assoc versions i nil)]
        (assoc versions i (changed v op a b))))))

(defn seen [v]
  [(= v (vec (map identity v))) (= (count v) (count (seq v))) (= (map (fn [i] (nth v i)) (range (count v))) v)])

(let [versions (loop [versions [[]] left (seq *args*)]
                 (if left (recur (step versions (first left)) (next left)) versions))]
  [versions (distinct (mapcat seen versions))])
"""


class Step(NamedTuple):
    apart: bool
    which: int
    op: Keyword
    a: int
    b: object


def changed(v: list[object], op: str, a: int, b: object) -> list[object]:
    match op, b:
        case "conj", _:
            return [*v, b]
        case (("conj-all" | "concat"), tuple()):
            return [*v, *b]
        case "range", int():
            return [*v, *range(a, a + b)]
        case "repeat", _:
            return [*v, *[b] * a]
        case "self", _:
            return [*v, *v]
        case "assoc", _:
            return [*v[:a], b, *v[a + 1 :]] if a < len(v) else v
        case "assoc-all", _:
            return [b] * len(v)
        case "every", _:
            return [item if i % a else b for i, item in enumerate(v)]
        case "pop", _:
            return v[: max(0, len(v) - a)]
        case "subvec", int():
            return v[a : a + b]
        case "pair", _:
            return [*v, (a, b)]
    raise AssertionError(op)


def model_of(steps: list[Step]) -> list[list[object]]:
    versions: list[list[object]] = [[]]
    for step in steps:
        i = step.which % len(versions)
        after = changed(versions[i], str(step.op.name), step.a, step.b)
        if step.apart:
            versions.append(after)
        else:
            versions[i] = after
    return versions


# Few of each family, so that leaves change form to and fro.
items = st.one_of(
    st.sampled_from([None, True, False]),
    st.sampled_from([0, -1, 2**63 - 1, -(2**63), 2**70]),
    st.sampled_from([0.0, -0.0, 1.5, float("inf")]),
    st.sampled_from(["", "abc", Keyword("k"), Char("c"), List(()), (1, None), b"x"]),
)
few = st.lists(items, max_size=70).map(tuple)
places = st.integers(0, 70)


def steps_of(
    op: str, a: st.SearchStrategy[int], b: st.SearchStrategy[object]
) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.booleans(), st.integers(0, 5), st.just(Keyword(op)), a, b)


steps = st.one_of(
    steps_of("conj", st.just(0), items),
    steps_of("conj-all", st.just(0), few),
    steps_of("concat", st.just(0), few),
    steps_of("range", places, st.integers(0, 1200)),
    steps_of("repeat", st.integers(0, 1200), items),
    steps_of("self", st.just(0), st.none()),
    steps_of("assoc", places, items),
    steps_of("assoc-all", st.just(0), items),
    steps_of("every", st.integers(1, 40), items),
    steps_of("pop", st.integers(1, 70), st.none()),
    steps_of("subvec", places, st.integers(0, 1100)),
    steps_of("pair", places, items),
)


@cache
def code_of(source: str) -> Code:
    return Code(compile_source(source, "vectors.clj").segment, core_code())


def machine_of(source: str, arguments: object = None) -> Machine:
    return Machine(code_of(source), memory_max=MEMORY_MAX, globals={"*args*": arguments})


def audit(machine: Machine) -> None:
    """Compare all counts with the references there are, and leaves with their items, where the build can."""
    if IS_HOSTILE:
        machine.audit()


def copied(machine: Machine) -> Machine:
    code = machine.code
    codes = {code.program_hash: code, core_code().program_hash: core_code()}
    return Machine.restore(machine.image(), codes.__getitem__, memory_max=MEMORY_MAX)


def finished(machine: Machine) -> Machine:
    while machine.run(FUEL) is Status.OUT_OF_FUEL:
        pass
    assert machine.status is Status.DONE, machine.fault.message
    return machine


@relaxed
@given(st.lists(steps, max_size=12), st.integers(20, 3000))
@example([Step(True, 0, Keyword("repeat"), 33, True), Step(True, 1, Keyword("assoc"), 32, 7)], 40)
@example([Step(False, 0, Keyword("range"), 0, 1057), Step(False, 0, Keyword("pop"), 2, None)], 90)
def test_versions_of_vectors_are_those_of_tuples(drawn: list[Step], fuel: int) -> None:
    """One agent runs in one heap, the other begins in a fresh one after each slice: both come to what Python says."""
    given_steps = tuple((step.apart, step.which, step.op, step.a, step.b) for step in drawn)
    expected = (tuple(tuple(version) for version in model_of(drawn)), List((True,)))
    stays, moves = machine_of(STEP, given_steps), machine_of(STEP, given_steps)
    slices = 0
    while stays.run(fuel) is Status.OUT_OF_FUEL and slices < 60:
        slices += 1
        assert moves.run(fuel) is Status.OUT_OF_FUEL
        assert stays.image() == moves.image()
        moves = copied(moves)
        audit(stays)
        audit(moves)
    finished(stays)
    finished(moves)
    assert exactly(stays.result) == exactly(expected)
    assert exactly(moves.result) == exactly(expected)
    assert stays.fuel_used == moves.fuel_used


def stopped(source: str) -> Machine:
    """Run a program until its effect, with nothing on the heap but what it holds then."""
    machine = machine_of(source)
    while machine.run(FUEL) is Status.OUT_OF_FUEL:
        pass
    assert machine.status is Status.EFFECT
    machine.collect()
    return machine


def held(expression: str) -> str:
    return f"(let [v {expression}] (here) (count v))"


MADE = {
    "integers": "(vec (range 1000))",
    "integers one by one": "(loop [v [] i 0] (if (< i 1000) (recur (conj v i) (inc i)) v))",
    "booleans": "(vec (repeat 1000 true))",
    "doubles": "(mapv (fn [i] (+ i 0.5)) (range 1000))",
    "characters": '(vec (apply str (repeat 1000 "c")))',
    "strings": '(vec (repeat 1000 "abc"))',
    "mixed": "(mapv (fn [i] (if (even? i) i nil)) (range 1000))",
    "mixed, then integers": "(reduce (fn [v i] (assoc v i i)) (vec (repeat 1000 nil)) (range 1000))",
    "integers, then mixed": "(reduce (fn [v i] (assoc v i nil)) (vec (range 1000)) (range 0 1000 7))",
    "popped": "(loop [v (vec (range 1100))] (if (< 1000 (count v)) (recur (pop v)) v))",
    "popped to few": "(loop [v (vec (range 1100))] (if (< 17 (count v)) (recur (pop v)) v))",
    "versions": "(vec (reductions conj [] (range 100)))",
    "versions, popped": "(vec (reductions (fn [v _] (pop v)) (vec (range 100)) (range 99)))",
    "a part": "(subvec (vec (range 1000)) 5 900)",
}


@pytest.mark.parametrize("name", MADE)
def test_vectors_take_as_many_bytes_in_a_fresh_heap(name: str) -> None:
    machine = stopped(held(MADE[name]))
    restored = copied(machine)
    audit(restored)
    assert restored.memory_used == machine.memory_used
    assert restored.image() == machine.image()


LITERAL = f"[{' '.join(map(str, range(1100)))}]"


@pytest.mark.parametrize(
    "change", ["(conj v 1)", "(assoc v 40 nil)", "(pop (pop v))", "(into v v)"]
)
def test_what_a_vector_has_of_a_constant_is_not_in_an_image(change: str) -> None:
    source = (
        f"(let [v {LITERAL} w {change}] (here) [(count w) (reduce + (map (fn [x] (or x 0)) w))])"
    )
    machine = stopped(source)
    restored = copied(machine)
    audit(restored)
    assert restored.memory_used == machine.memory_used
    assert restored.image() == machine.image()
    if change != "(into v v)":
        assert len(machine.image()) < 600
    for each in (machine, restored):
        each.resume("here")
        finished(each)
    assert restored.result == machine.result


def bytes_each(expression: str, n: int = 10_000) -> float:
    empty = stopped(f"(let [n {n} v []] (here) (count v))").memory_used
    return (stopped(f"(let [n {n} v {expression}] (here) (count v))").memory_used - empty) / n


def test_items_of_one_family_take_few_bytes() -> None:
    assert bytes_each("(vec (range n))") < 9
    assert bytes_each("(vec (repeat n false))") < 2
    assert bytes_each("(vec (repeat n 1.5))") < 9
    assert bytes_each('(vec (repeat n "abc"))') < 9
    assert bytes_each("(reduce (fn [v i] (assoc v i i)) (vec (repeat n nil)) (range n))") < 9
    assert bytes_each("(assoc (vec (repeat n false)) 5 1)") < 2
    assert bytes_each("(vec (interleave (range n) (repeat n nil)))", 5000) / 2 < 17


def test_a_vector_shows_nothing_of_what_a_longer_one_has() -> None:
    """What is behind the end of a vector belongs to others: an image of it alone does not have it."""
    source = """(defn longer [v] (count (conj v 77777)))
                (let [v (vec (range 5)) n (longer v)] (here) (+ n (count v)))"""
    assert (77777).to_bytes(4, "big") not in stopped(source).image()


def value(source: str, arguments: object = None) -> object:
    return finished(machine_of(source, arguments)).result


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 1000, 20_000])
def test_vectors_are_equal_when_all_items_are(n: int) -> None:
    source = """(defn differs? [v item]
                  (every? (fn [i] (and (not= v (assoc v i item)) (not= (assoc v i item) v)))
                          [0 (quot *args* 2) (dec *args*)]))
                (defn check [x other]
                  (let [v (vec (repeat *args* x)) w (vec (repeat *args* x))]
                    [(= v w) (= (seq v) w) (= (rest v) (rest w)) (= v (conj (pop w) x)) (differs? v other)
                     (not= v (conj w x)) (not= (conj w x) v)]))
                (mapv (fn [[x other]] (every? true? (check x other)))
                      [[1 2] [1 nil] [true false] [nil false] [1.5 2.5] [\\a \\b] [\\a 97] [97 \\a] ["s" "t"] [:k nil]])"""
    assert value(source, n) == (True,) * 10


def test_doubles_in_vectors_are_equal_as_doubles() -> None:
    source = """(let [zeros (vec (repeat 100 0.0)) nans (vec (repeat 100 ##NaN))]
                  [(= zeros (mapv - zeros)) (= zeros (vec (repeat 100 0))) (= nans (vec (repeat 100 ##NaN)))])"""
    assert value(source) == (True, False, False)


def test_sums_of_vectors_go_beyond_64_bits() -> None:
    source = """[(reduce + (vec (repeat 100 *args*))) (reduce + 0.5 (vec (range 100)))
                 (reduce + (- *args*) (vec (repeat 3 *args*))) (reduce + (vec (cons *args* (range 70))))]"""
    most = 2**63 - 1
    assert value(source, most) == (100 * most, 4950.5, 2 * most, most + sum(range(70)))
