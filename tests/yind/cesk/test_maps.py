"""Maps and sets against a model in Python: held versions, removal, chosen hashes, order, and images in between."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, NamedTuple, cast

import pytest
from hashes import colliding, with_hash
from hypothesis import example, given, settings
from hypothesis import strategies as st
from language import core_code

from datomstore.value import Keyword, Map
from yang.compile import compile_source
from yind.cesk import Code, Machine, Status
from yind.cesk._core import IS_HOSTILE

MEMORY_MAX = 1 << 28
FUEL = 1 << 30
SMALL = 8  # keys of a map without an index

relaxed = settings(max_examples=30 if IS_HOSTILE else 60)

# One step on the versions so far. A step of `apart` leaves the version it starts from in its place, so that both share
# what they have in common; otherwise the map has one owner while it is changed.
STEP = """
(defn put [c k v] (if (map? c) (assoc c k v) (conj c k)))
(defn without [c k] (if (map? c) (dissoc c k) (disj c k)))
(defn changed [c op ks v]
  (case op
    :put (reduce (fn [c k] (put c k v)) c ks)
    :remove (reduce without c ks)
    :remove-first (reduce without c (map (fn [x] (if (map? c) (key x) x)) (take v (seq c))))
    :rebuilt (into (empty c) (reverse (seq c)))))

(defn step [versions [apart which op ks v]]
  (let [i (rem which (count versions))
        c (nth versions i)]
    (if apart
      (conj versions (changed c op ks v))
      (let [versions (assoc versions i nil)]
        (assoc versions i (changed c op ks v))))))

(defn same? [a b] (and (= a b) (= b a) (= (hash a) (hash b))))

(defn seen [c]
  (let [again (into (empty c) (reverse (seq c)))]
    [(same? c again)
     (= (count c) (count (seq c)) (count again))
     (if (map? c)
       (every? (fn [[k v]] (and (contains? c k) (= v (get c k :none) (c k)))) c)
       (every? (fn [k] (and (contains? c k) (= k (get c k :none)))) c))
     (not (contains? c [:no :key]))
     (= (put c :more 1) (put again :more 1))]))

(defn whole [start steps]
  (let [versions (loop [versions [start] left (seq steps)]
                   (if left (recur (step versions (first left)) (next left)) versions))]
    [(mapv (fn [c] (if (map? c) [(vec (keys c)) (vec (vals c))] [(vec c)])) versions)
     (distinct (mapcat seen versions))
     (vec (distinct (map (fn [a] (mapv (fn [b] (= a b)) versions)) versions)))]))

[(whole {} *args*) (first (whole #{} *args*))]
"""


class Step(NamedTuple):
    apart: bool
    which: int
    op: Keyword
    keys: tuple[Hashable, ...]
    value: int


class Model:
    """Pairs in order of insertion; of a map that once had many keys the last one fills the place of a removed one."""

    def __init__(self, pairs: list[tuple[Hashable, int]], indexed: bool) -> None:
        self.pairs = pairs
        self.indexed = indexed

    def put(self, key: Hashable, value: int) -> None:
        for place, (known, _) in enumerate(self.pairs):
            if known == key:
                self.pairs[place] = (known, value)
                return
        self.pairs.append((key, value))
        self.indexed = self.indexed or len(self.pairs) > SMALL

    def remove(self, key: Hashable) -> None:
        for place, (known, _) in enumerate(self.pairs):
            if known == key:
                if self.indexed:
                    last = self.pairs.pop()
                    self.pairs[place : place + 1] = [last] if place < len(self.pairs) else []
                    self.indexed = len(self.pairs) > 0
                else:
                    del self.pairs[place]
                return

    def changed(self, op: str, keys: tuple[Hashable, ...], value: int) -> Model:
        made = Model(list(self.pairs), self.indexed)
        if op == "put":
            for key in keys:
                made.put(key, value)
        elif op == "remove":
            for key in keys:
                made.remove(key)
        elif op == "remove-first":
            for key, _ in self.pairs[:value]:
                made.remove(key)
        else:
            made = Model(self.pairs[::-1], len(self.pairs) > SMALL)
        return made


def model_of(steps: list[Step]) -> list[Model]:
    versions = [Model([], False)]
    for apart, which, op, keys, value in steps:
        i = which % len(versions)
        made = versions[i].changed(op.name, keys, value)
        if apart:
            versions.append(made)
        else:
            versions[i] = made
    return versions


# Hashes that are all one, that differ in the last digits only, and in the digits of a few levels.
CHOSEN = (
    *colliding(30),
    *(with_hash(0xABCDEF00 + number % 40, number) for number in range(60)),
    *(with_hash(number << 20, number) for number in range(60)),
)
keys = st.one_of(
    st.integers(-3, 60),
    st.sampled_from(CHOSEN),
    st.text(max_size=3),
    st.sampled_from([None, Keyword("k"), (1, 2), ("a", (1,)), Map({1: 2}), "x" * 40]),
)
some_keys = st.one_of(
    st.lists(keys, max_size=4),
    st.builds(
        lambda start, n: list(range(start, start + n)), st.integers(0, 200), st.integers(0, 300)
    ),
    st.builds(
        lambda start, n: list(CHOSEN[start : start + n]), st.integers(0, 150), st.integers(0, 90)
    ),
)
steps_of = st.lists(
    st.builds(
        Step,
        st.booleans(),
        st.integers(0, 50),
        st.sampled_from(
            [Keyword(op) for op in ("put", "put", "remove", "remove-first", "rebuilt")]
        ),
        some_keys.map(tuple),
        st.integers(0, 40),
    ),
    max_size=10,
)

MANY = tuple(range(700))


@cache
def code_of(source: str) -> Code:
    return Code(compile_source(source, "maps.clj").segment, core_code())


def machine_of(source: str, arguments: object = None) -> Machine:
    return Machine(code_of(source), memory_max=MEMORY_MAX, globals={"*args*": arguments})


def copied(machine: Machine) -> Machine:
    codes = {code.program_hash: code for code in (machine.code, core_code())}
    return Machine.restore(machine.image(), codes.__getitem__, memory_max=MEMORY_MAX)


def check(machine: Machine, steps: list[Step]) -> None:
    versions = model_of(steps)
    of_maps, sets = cast(tuple[Any, Any], machine.result)
    maps, truths, equal = of_maps
    assert maps == tuple(
        (tuple(key for key, _ in model.pairs), tuple(value for _, value in model.pairs))
        for model in versions
    )
    assert sets == tuple((tuple(key for key, _ in model.pairs),) for model in versions)
    assert set(truths) <= {True}
    dicts = [dict(model.pairs) for model in versions]
    assert list(equal) == list(dict.fromkeys(tuple(a == b for b in dicts) for a in dicts))


PUT, REMOVE, REMOVE_FIRST, REBUILT = map(Keyword, ("put", "remove", "remove-first", "rebuilt"))
GROWN_AND_SHRUNK = [
    Step(False, 0, PUT, MANY, 1),
    Step(True, 0, REMOVE, MANY[5::2], 0),
    Step(True, 1, REMOVE, MANY[1:], 0),
    Step(True, 2, REMOVE, MANY, 0),
    Step(True, 3, PUT, MANY[:20], 2),
    Step(True, 0, PUT, CHOSEN, 3),
]
ALL_CHOSEN = [
    Step(False, 0, PUT, CHOSEN, 1),
    Step(True, 0, REMOVE, CHOSEN[:25], 0),
    Step(True, 1, PUT, CHOSEN[10:40], 2),
    Step(False, 1, REMOVE, CHOSEN, 2),
    Step(True, 0, REMOVE, CHOSEN[::-1], 2),
]


@relaxed
@given(steps_of)
@example(GROWN_AND_SHRUNK)
@example(ALL_CHOSEN)
def test_maps_and_sets_are_as_their_model_says(steps: list[Step]) -> None:
    machine = machine_of(STEP, tuple(map(tuple, steps)))
    assert machine.run(FUEL) is Status.DONE
    check(machine, steps)


@settings(relaxed, max_examples=15)
@given(steps_of, st.integers(40, 3000))
@example(GROWN_AND_SHRUNK, 2000)
@example(ALL_CHOSEN, 400)
def test_an_agent_that_moves_goes_on_with_the_same_maps(steps: list[Step], fuel: int) -> None:
    stays, moves = (machine_of(STEP, tuple(map(tuple, steps))) for _ in range(2))
    moves = copied(moves)
    while stays.run(fuel) is Status.OUT_OF_FUEL:
        assert moves.run(fuel) is Status.OUT_OF_FUEL
        image = stays.image()
        assert moves.image() == image
        moves = copied(moves)
        assert moves.image() == image
    assert moves.run(fuel) is Status.DONE
    assert moves.fuel_used == stays.fuel_used
    check(moves, steps)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 9, 16, 17, 100, 121, 513, 3000])
def test_a_map_takes_as_much_memory_in_a_fresh_heap(count: int) -> None:
    source = "(let [m (reduce (fn [m i] (assoc m i i)) {} (range *args*))] (here) (count m))"
    machine = machine_of(source, count)
    assert machine.run(FUEL) is Status.EFFECT
    machine.collect()
    assert copied(machine).memory_used == machine.memory_used


def test_a_map_that_loses_its_keys_gives_its_memory_back() -> None:
    source = """
    (let [m (reduce (fn [m i] (assoc m (* i i) i)) {} (range 20000))
          a (here)
          m (reduce (fn [m i] (dissoc m (* i i))) m (range 19990))
          b (here)
          m (reduce (fn [m i] (dissoc m (* i i))) m (range 19990 20000))
          c (here)]
      (count m))"""
    machine = machine_of(source)
    used = []
    for _ in range(3):
        assert machine.run(FUEL) is Status.EFFECT
        used.append(machine.memory_used)
        machine.resume(None)
    assert machine.run(FUEL) is Status.DONE
    assert used[0] > 20_000 * 40
    assert used[1] < 20_000
    assert used[2] < used[1]


def test_a_walk_is_in_order_of_insertion_and_an_old_one_stays() -> None:
    source = """
    (let [m (reduce (fn [m i] (assoc m (- i) i)) {} (range 40))
          old (drop 3 m)
          m (assoc (dissoc m -1 -5) -2 :two :new 1)]
      [(first old) (count old) (mapv key (take 6 m)) (key (last m)) (get m -2)])"""
    machine = machine_of(source)
    assert machine.run(FUEL) is Status.DONE
    # -39 fills the place of -1, and -38 that of -5
    assert machine.result == (
        (-3, 3),
        37,
        (0, -39, -2, -3, -4, -38),
        Keyword("new"),
        Keyword("two"),
    )
