"""Sorted maps and sets keep their order and balance through any changes, and so do the versions somebody holds."""

from __future__ import annotations

from functools import cache
from math import nan
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from language import core_code

from datomstore.value import Keyword
from yang.compile import compile_source
from yind.cesk import Code, ImageInvalid, Machine, Status

FUEL = 1 << 30
MEMORY = 1 << 26
relaxed = settings(max_examples=60)

# A change is [key value] or [key], which removes; every version is kept when a change says so with a third part.
CHANGED = """
(loop [m (sorted-map) kept [] left (seq *args*)]
  (if left
    (let [[k v keep?] (first left)
          next-m (if (nil? v) (dissoc m k) (assoc m k v))]
      (recur next-m (if keep? (conj kept next-m) kept) (next left)))
    (let [both [m kept]]
      (here)
      (mapv (fn [m] [(vec m) (count m) (vec (rseq m)) (mapv (fn [k] (get m k :none)) (range -2 70 9))])
            (conj kept m)))))
"""


@cache
def code(source: str) -> Code:
    return Code(compile_source(source, "sorted.clj").segment, core_code())


def ran(source: str, argument: object = None) -> Machine:
    machine = Machine(code(source), memory_max=MEMORY, globals={"*args*": argument})
    machine.run(FUEL)
    return machine


def again(machine: Machine) -> Machine:
    """Return the machine out of its image, which is the same once more."""
    image = machine.image()
    copy = Machine.restore(image, lambda _: machine.code, memory_max=MEMORY)
    assert copy.image() == image
    return copy


def ended(machine: Machine) -> object:
    assert machine.status is Status.EFFECT
    machine.resume("node")
    assert machine.run(FUEL) is Status.DONE, machine.fault.message
    return machine.result


changes = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 60), st.integers(-5, 400)),
        st.one_of(st.none(), st.integers(0, 5)),
        st.sampled_from([True, None, None, None, None, None, None]),
    ),
    max_size=300,
)


def seen(model: dict[int, int]) -> tuple[Any, ...]:
    entries = tuple(sorted(model.items()))
    looked_up = tuple(model.get(key, Keyword("none")) for key in range(-2, 70, 9))
    return entries, len(entries), entries[::-1], looked_up


@relaxed
@given(changes)
@example([(i, 1, i == 150 or None) for i in range(300)] + [(i, None, None) for i in range(300)])
@example([(i, 1, None) for i in range(300, 0, -1)] + [(i, None, True) for i in range(300, 280, -1)])
def test_any_changes_give_what_a_dictionary_has_in_order(
    changed: list[tuple[int, int | None, bool | None]],
) -> None:
    model: dict[int, int] = {}
    kept = []
    for key, value, keep in changed:
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
        if keep:
            kept.append(seen(model))
    machine = ran(CHANGED, tuple(changed))
    expected = (*kept, seen(model))
    copy = again(machine)
    assert ended(machine) == expected
    assert ended(copy) == expected


NUMBERS = st.one_of(
    st.sampled_from([2**53, 2**53 + 1, 2.0**53, -(2**53) - 1, -(2.0**53)]),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(allow_nan=True),
    st.fractions(),
)
PAIRS = st.tuples(st.sampled_from([2**53, 2**53 + 1, 2.0**53, 0, 1, nan]), st.integers(0, 5))


@relaxed
@given(
    st.one_of(
        st.tuples(st.lists(NUMBERS, max_size=40), st.lists(NUMBERS, max_size=20)),
        st.tuples(st.lists(PAIRS, max_size=40), st.lists(PAIRS, max_size=20)),
    )
)
@example(([(2**53 + 1, 1), (2.0**53, 3), (2**53, 5)], [(2.0**53, 3)]))
@example(([(1, 5), (nan, 6), (0, 7)], [(nan, 6)]))
def test_numbers_of_all_kinds_stay_in_order(changed: tuple[list[object], list[object]]) -> None:
    """Its image is refused if a set is out of order."""
    added, removed = changed
    source = (
        "(let [s (reduce disj (into (sorted-set) (nth *args* 0)) (nth *args* 1))]"
        " (here) (every? (fn [x] (contains? s x)) s))"
    )
    assert ended(again(ran(source, (tuple(added), tuple(removed))))) is True


def test_what_is_shared_in_the_state_is_shared_in_its_image() -> None:
    one = "(let [a (into (sorted-set) (range 2000))] (here) (count a))"
    many = (
        "(let [a (into (sorted-set) (range 2000)) all (mapv (fn [i] (disj a i)) (range 20))]"
        " (here) [(count a) (count all)])"
    )
    assert len(ran(many).image()) < 2 * len(ran(one).image())
    assert ended(again(ran(many))) == (2000, 20)


def test_a_set_that_is_emptied_leaves_nothing_behind() -> None:
    machine = ran(
        "(let [s (loop [s (into (sorted-set) (range 3000)) i 0]"
        " (if (< i 3000) (recur (disj s (rem (* i 7) 3000)) (inc i)) s))] (here) s)"
    )
    empty = ran("(let [s (sorted-set)] (here) s)")
    assert machine.memory_used <= empty.memory_used + 1024


EQUAL_LARGE = """
(let [n 3000 down (fn [a b] (compare b a)) up (fn [a b] (compare a b))
      sets [(into (sorted-set-by down) (range n)) (into (sorted-set-by up) (range n)) (set (range n))
            (into (sorted-set) (range n)) (into (sorted-set-by >) (range n))]
      other (mapv (fn [s] (conj (disj s 5) -5)) sets)
      maps [(zipmap (range n) (range n)) (into (sorted-map) (zipmap (range n) (range n)))
            (into (sorted-map-by down) (zipmap (range n) (range n)))]]
  [(every? true? (for [a sets b sets] (= a b)))
   (every? true? (for [a sets b sets] (= {:a [1 a]} {:a [1 b]})))
   (every? false? (for [a sets b other] (= a b)))
   (every? true? (for [a maps b maps] (= a b)))
   (every? false? (for [a maps b maps] (= a (assoc b 7 8))))
   (apply = (map hash sets))])
"""


def test_large_maps_and_sets_of_any_order_are_compared_in_portions() -> None:
    machine = ran(EQUAL_LARGE)
    assert machine.status is Status.DONE, machine.fault.message
    assert machine.result == (True,) * 6


# ---- images made with care

LIST, SORTED_MAP, SORTED_SET, VECTOR_LEAF, SORTED_NODE, SORTED_LEAF = 23, 31, 32, 38, 42, 43


def reference(number: int) -> msgpack.ExtType:
    return msgpack.ExtType(0, bytes([number]))


def primitive(number: int) -> msgpack.ExtType:
    return msgpack.ExtType(7, bytes([number]))


def leaf(*keys: object) -> list[object]:
    return [SORTED_LEAF, len(keys), *(part for key in keys for part in (key, None))]


def restored(objects: list[object], count: int) -> Machine:
    machine = ran("nil")
    fields = msgpack.unpackb(machine.image())
    fields[5:8] = [count, objects, [None, None, None, [], None, reference(count - 1)]]
    return Machine.restore(msgpack.packb(fields), lambda _: machine.code, memory_max=MEMORY)


TENS = [leaf(*range(start, start + 10)) for start in (0, 10, 20)]


def test_what_is_made_with_care_is_restored() -> None:
    small = restored([*leaf(1, 2), SORTED_SET, reference(0), None], 2)
    assert small.result_text == "#{1 2}"
    node = [SORTED_NODE, 2, reference(0), reference(1), SORTED_SET, reference(2), None]
    assert (
        restored([*TENS[0], *TENS[1], *node], 4).result_text
        == f"#{{{' '.join(map(str, range(20)))}}}"
    )
    assert restored([SORTED_MAP, None, None], 1).result_text == "{}"
    falling = restored([*leaf(2, 1), SORTED_SET, reference(0), primitive(17)], 2)
    assert falling.result_text == "#{2 1}"


BAD = {
    "keys out of order": ([*leaf(2, 1), SORTED_SET, reference(0), None], 2, "not in order"),
    "a key twice": ([*leaf(1, 1), SORTED_SET, reference(0), None], 2, "not in order"),
    "keys that have no order": ([*leaf(1, "a"), SORTED_SET, reference(1), None], 3, "not in order"),
    "rising keys in falling order": (
        [*leaf(1, 2), SORTED_SET, reference(0), primitive(17)],
        2,
        "not in order",
    ),
    "children out of order": (
        [
            *TENS[1],
            *TENS[0],
            SORTED_NODE,
            2,
            reference(0),
            reference(1),
            SORTED_SET,
            reference(2),
            None,
        ],
        4,
        "not in order",
    ),
    "a child twice": (
        [*TENS[0], SORTED_NODE, 2, reference(0), reference(0), SORTED_SET, reference(1), None],
        3,
        "twice",
    ),
    "a child that is too small": (
        [
            *leaf(1, 2),
            *TENS[1],
            SORTED_NODE,
            2,
            reference(0),
            reference(1),
            SORTED_SET,
            reference(2),
            None,
        ],
        4,
        "balance",
    ),
    "leaves of different depth": (
        [
            *TENS[0],
            *TENS[1],
            SORTED_NODE,
            2,
            reference(0),
            reference(1),
            *TENS[2],
            SORTED_NODE,
            2,
            reference(2),
            reference(3),
            SORTED_SET,
            reference(4),
            None,
        ],
        6,
        "balance",
    ),
    "a node with one child": (
        [*TENS[0], SORTED_NODE, 1, reference(0), SORTED_SET, reference(1), None],
        3,
        "range",
    ),
    "a leaf that is too large": (
        [*leaf(*range(21)), SORTED_SET, reference(0), None],
        2,
        "range",
    ),
    "an empty leaf": ([SORTED_LEAF, 0, SORTED_SET, reference(0), None], 2, "range"),
    "a set with values": (
        [SORTED_LEAF, 1, 1, 1, SORTED_SET, reference(0), None],
        2,
        "no root",
    ),
    "a root of another kind": ([VECTOR_LEAF, 1, 1, SORTED_SET, reference(0), None], 2, "no root"),
    "a comparator that is none": ([SORTED_SET, None, 5], 1, "comparator"),
    "compare by its name": ([SORTED_SET, None, primitive(19)], 1, "comparator"),
    "one part in two orders": (
        [
            *leaf(1),
            SORTED_SET,
            reference(0),
            None,
            SORTED_SET,
            reference(0),
            primitive(17),
            LIST,
            reference(1),
            [],
            LIST,
            reference(2),
            reference(3),
        ],
        5,
        "two orders",
    ),
}


@pytest.mark.parametrize(("objects", "count", "problem"), BAD.values(), ids=BAD)
def test_a_tree_no_program_could_have_made_is_refused(
    objects: list[object], count: int, problem: str
) -> None:
    with pytest.raises(ImageInvalid, match=problem):
        restored(objects, count)
