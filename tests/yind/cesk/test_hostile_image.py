"""Strangers' images: refused for the reason there is, or a machine that runs; never a crash, a hang or too much memory."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datomstore.value import List, Map, Set
from yang.compile import compile_source
from yang.core import core_segment
from yind.cesk import Code, ImageInvalid, Machine, Status, ValueInvalid

MEMORY_MAX = 1 << 24
FUEL = 1 << 26

relaxed = settings(max_examples=60)


@cache
def core() -> Code:
    return Code(core_segment(), None)


@cache
def code_of_source(source: str) -> Code:
    return Code(compile_source(source, "test.clj").segment, core())


def stopped(source: str) -> Machine:
    """Run until an effect or the end."""
    machine = Machine(code_of_source(source), memory_max=MEMORY_MAX)
    assert machine.run(FUEL) is not Status.OUT_OF_FUEL
    return machine


# ---- changed by chance

EVERYTHING = """
    (def g (atom {:a 1}))
    (let [m (reduce (fn [m i] (assoc m [i (str i)] i)) {} (range 40)) s (set (range 40)) v (vec (range 70))
          l (map (fn [x] (+ x (count v))) (range 10 50 3)) a (atom nil) r (/ 3 7) b (reduce * (range 1 40)) c \\x
          sq (seq m) sv (rest (seq v)) st (rest "héllo") k (call/cc (fn [k] k)) rng (range 0 100 7) d (double 1.5)
          fs (reduce conj #{} (map (fn [i] (fn [] i)) (range 12)))
          md (with-meta [(with-meta 'a {:tag 1})] (with-meta {:m l} {:n 1})) mf (with-meta (fn [x] (+ x (count v))) {:f 1})
          sm (into (sorted-map) m) ss (into (sorted-set-by >) (range 30)) sr (next (rseq sm)) sk (keys (dissoc sm [1 "1"]))]
      (reset! a [a l])
      (first l)
      (prompt :p
        (+ 1 (prompt :q (try (let [h (here)] (swap! g assoc :h h) (control0 :p part (swap! g assoc :part part) (part 1))
                               (count (concat l (map inc sv))))
                             (finally (swap! g assoc :f 1))))))
      (if (fn? k) (k 5) [k (count s) (count fs) r b c d rng st (first sq) (disj ss 3) (first sr) (count sk) (conj md 1) (meta md) (mf 1) (meta mf)]))"""


@cache
def images_of_everything() -> list[bytes]:
    machine = Machine(code_of_source(EVERYTHING), memory_max=MEMORY_MAX)
    images = [machine.image()]
    while machine.status in (Status.OUT_OF_FUEL, Status.EFFECT):
        if machine.status is Status.EFFECT:
            machine.resume("node")
        machine.run(97)
        images.append(machine.image())
    assert machine.status is Status.DONE
    return images


def use(image: bytes) -> None:
    """Restore what may be anything and do all that a node does; only these errors may come."""
    code = code_of_source(EVERYTHING)
    try:
        machine = Machine.restore(image, lambda _: code, memory_max=1 << 20, fuel_max=1 << 40)
    except ImageInvalid:
        return
    assert machine.memory_used <= 1 << 20
    machine.image()
    machine.frames()
    for _ in range(4):
        try:
            if machine.status is Status.EFFECT:
                assert machine.effect
                machine.resume("node")
            if machine.status is Status.FAULT:
                assert machine.fault.message is not None
            if machine.status is Status.DONE:
                assert machine.result_text
                assert machine.result is not machine
        except ValueInvalid:
            machine.resume_error("no data", Map())
        machine.run(2000)


def test_a_cut_image_is_refused() -> None:
    code = code_of_source(EVERYTHING)
    image = images_of_everything()[4]
    for length in range(0, len(image), 7):
        with pytest.raises(ImageInvalid):
            Machine.restore(image[:length], lambda _: code, memory_max=MEMORY_MAX)
    with pytest.raises(ImageInvalid, match="follows"):
        Machine.restore(image + b"\0", lambda _: code, memory_max=MEMORY_MAX)


@relaxed
@given(st.data())
def test_changed_bytes_do_no_harm(data: st.DataObject) -> None:
    image = bytearray(data.draw(st.sampled_from(images_of_everything())))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(image) - 1))
        image[place] = data.draw(st.integers(0, 255))
    use(bytes(image))


@relaxed
@given(st.data())
def test_moved_and_missing_bytes_do_no_harm(data: st.DataObject) -> None:
    image = bytearray(data.draw(st.sampled_from(images_of_everything())))
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(image))] * 2)))
    source = data.draw(st.integers(0, len(image)))
    image[begin : min(end, begin + 30)] = image[source : source + data.draw(st.integers(0, 30))]
    use(bytes(image))


@relaxed
@given(st.data())
def test_changed_fields_do_no_harm(data: st.DataObject) -> None:
    """Changes that keep the msgpack valid get further than changed bytes."""
    fields = msgpack.unpackb(data.draw(st.sampled_from(images_of_everything())))
    objects = fields[6]
    if not objects:
        return
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(objects) - 1))
        objects[place] = data.draw(
            st.one_of(
                st.sampled_from(objects),
                st.integers(-1, 70),
                st.integers(0, fields[5]).map(reference),
            )
        )
    use(msgpack.packb(fields))


@relaxed
@given(st.binary(max_size=200))
@example(b"\xdd\xff\xff\xff\xff")
def test_bytes_that_are_no_image_are_refused(image: bytes) -> None:
    with pytest.raises(ImageInvalid):
        Machine.programs_of(image)


# ---- made with care. Kinds are those of the machine's layout.

DECIMAL = 52
RATIO, LIST, CONS, LAZY, RANGE, SEQ, VECTOR, MAP, SET = range(22, 31)
SORTED_MAP, SORTED_SET, CLOSURE, CONTINUATION, ATOM, ERROR, VECTOR_NODE, VECTOR_LEAF = range(31, 39)
MAP_ARRAY, MAP_NODE, MAP_INDEX, SORTED_NODE, SORTED_LEAF, CAPTURES, FRAME, MARK = range(39, 47)
MAP_PAGE, DESCRIBED = 50, 51
LIST_NEXT, CONS_NEXT, LAZY_REALIZED, FILL, HALT, CONTINUATION_PART = range(64, 70)


def ext(kind: int, number: int) -> msgpack.ExtType:
    size = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4
    return msgpack.ExtType(kind, number.to_bytes(size, "big"))


def reference(number: int) -> msgpack.ExtType:
    return ext(0, number)


def made(objects: list[Any], result: object, *, count: int) -> bytes:
    """Make an image of a program that has ended with a result."""
    fields = msgpack.unpackb(stopped("nil").image())
    fields[5:8] = [count, objects, [None, None, None, [], None, result]]
    return msgpack.packb(fields)


def restored(image: bytes) -> Machine:
    return Machine.restore(image, lambda _: code_of_source("nil"), memory_max=MEMORY_MAX)


# The pairs of a map with the keys 1 and 2, those of one with 0 to 15, and the positions of the first in its index: the
# hash of 2 is the lesser one.
PAIRS = [MAP_ARRAY, 2, 1, None, 2, None]
LEAF = [MAP_ARRAY, 16, *[part for key in range(16) for part in (key, None)]]
BOTH = b"\1\0"


def leaf_and_vector(items: list[object]) -> list[object]:
    return [VECTOR_LEAF, len(items), *items, VECTOR, len(items), None, reference(0)]


def test_what_is_made_with_care_is_restored() -> None:
    """So that the refusals below are for the reason they name."""
    assert restored(made(leaf_and_vector([1, None]), reference(1), count=2)).result == (1, None)
    assert restored(made([LIST, "a", [], LIST_NEXT, 5], reference(2), count=3)).result == List(
        (5, "a")
    )
    assert restored(made([], "text", count=1)).result == "text"
    pairs = made([MAP_ARRAY, 1, "k", 5, MAP, reference(1), None], reference(2), count=3)
    assert restored(pairs).result == Map({"k": 5})
    assert restored(
        made([MAP_ARRAY, 1, 7, None, SET, reference(0), None], reference(1), count=2)
    ).result == Set((7,))
    paged = [MAP_ARRAY, 2, 1, "a", 2, "b", MAP_PAGE, 0, 2, BOTH, MAP, reference(2), reference(3)]
    assert restored(made(paged, reference(4), count=5)).result == Map({1: "a", 2: "b"})
    assert restored(made([RATIO, 1, 3], reference(0), count=1)).result == Fraction(1, 3)
    assert str(restored(made([DECIMAL, 150, 2], reference(0), count=1)).result) == "1.50"
    assert restored(made([RANGE, 1, 4, 2], reference(0), count=1)).result == List((1, 3))
    assert restored(made([LAZY_REALIZED, FILL, None], reference(0), count=1)).result == List()
    atom = restored(made([ATOM, FILL, reference(0)], reference(0), count=1))
    assert atom.result_text.startswith("#")


BAD_VALUES = {
    "an object later": ([LIST, reference(5), []], reference(0), 1, "names nothing"),
    "an object that is itself": ([LIST, reference(0), []], reference(0), 1, "names nothing"),
    "an inner object": ([VECTOR_LEAF, 1, 1], reference(0), 1, "inner object"),
    "an inner object in a list": (
        [CAPTURES, 1, 1, LIST, reference(0), []],
        reference(1),
        2,
        "inner object",
    ),
    "an array": ([], [1], 0, "array"),
    "a map of msgpack": ([], {}, 0, "begins nothing"),
    "a text that is not utf-8": ([], msgpack.ExtType(1, b"\xc3"), 1, "utf-8"),
    "a text with an overlong form": ([], msgpack.ExtType(1, b"\xc0\x80"), 1, "utf-8"),
    "a text beyond unicode": ([], msgpack.ExtType(1, b"\xf4\x90\x80\x80"), 1, "utf-8"),
    "a uuid of 4 bytes": ([], msgpack.ExtType(3, b"\0" * 4), 1, "uuid"),
    "a big integer that fits": ([], msgpack.ExtType(4, b"\0" + b"\xff" * 7 + b"\x7f"), 1, "fits"),
    "a least integer as a big one": (
        [],
        msgpack.ExtType(4, b"\1" + b"\0" * 7 + b"\x80"),
        1,
        "fits",
    ),
    "a big integer with a leading zero": (
        [],
        msgpack.ExtType(4, b"\0" + b"\xff" * 9 + b"\0"),
        1,
        "form",
    ),
    "a big integer that begins with zero": (
        [],
        msgpack.ExtType(4, b"\0" + b"\xff" * 9 + b"\0"),
        1,
        "form",
    ),
    "a character beyond unicode": ([], ext(5, 0x110000), 0, "names nothing"),
    "an instant beyond the calendar": ([], msgpack.ExtType(6, b"\x7f" * 8), 0, "instant"),
    "an unknown host function": ([], ext(7, 60_000), 0, "names nothing"),
    "an unknown function": ([], ext(8, 60_000), 0, "names nothing"),
    "an unknown constant": ([], ext(9, 60_000), 0, "names nothing"),
    "an unknown ext": ([], ext(99, 1), 0, "names nothing"),
    "a number in too many bytes": ([], msgpack.ExtType(0, b"\0\0"), 0, "length"),
    "a decimal of doubles": ([DECIMAL, 1.0, 3], reference(0), 1, "integers"),
    "a decimal whose scale is a ratio": ([DECIMAL, 1, None], reference(0), 1, "integers"),
    "a decimal of too many places": ([DECIMAL, 1, 2001], reference(0), 1, "scale"),
    "a ratio of doubles": ([RATIO, 1.0, 3], reference(0), 1, "integers"),
    "a ratio over zero": ([RATIO, 1, 0], reference(0), 1, "denominator"),
    "a ratio that is not reduced": ([RATIO, 2, 4], reference(0), 1, "reduced"),
    "a list that ends in a number": ([LIST, 1, 2], reference(0), 1, "no list"),
    "a list after nothing": ([LIST_NEXT, 1], reference(0), 1, "no object before"),
    "a list that ends in a text": (
        [LIST, "a", [], LIST, 1, reference(0)],
        reference(2),
        3,
        "no list",
    ),
    "a seq that ends in a vector": (
        [*leaf_and_vector([1]), CONS, 1, reference(1)],
        reference(2),
        3,
        "no seq",
    ),
    "a lazy seq without a function": ([LAZY, FILL, 5], reference(0), 1, "function"),
    "a lazy seq that is itself": ([LAZY_REALIZED, FILL, reference(0)], reference(0), 1, "its own"),
    "two lazy seqs that are each other": (
        [LAZY_REALIZED, LAZY_REALIZED, FILL, reference(1), FILL, reference(0)],
        reference(0),
        2,
        "its own",
    ),
    "an atom without content": ([ATOM], reference(0), 1, "without content"),
    "content without an atom": ([FILL, 1], None, 0, "to fill"),
    "a range without end": ([RANGE, 0, 10, 0], reference(0), 1, "range"),
    "a range that is empty": ([RANGE, 10, 0, 1], reference(0), 1, "range"),
    "a range of mixed numbers": ([RANGE, 0, 1.0, 1], reference(0), 1, "range"),
    "a range of NaN": ([RANGE, 0.0, 1.0, float("nan")], reference(0), 1, "range"),
    "a seq of a number": ([SEQ, 0, 5, 0], reference(0), 1, "stands nowhere"),
    "a seq behind a vector": (
        [*leaf_and_vector([1]), SEQ, 0, reference(1), 1],
        reference(2),
        3,
        "nowhere",
    ),
    "a seq inside a character": ([SEQ, 0, "é", 1], reference(1), 2, "nowhere"),
    "a seq behind a text": ([SEQ, 0, "é", 2], reference(1), 2, "nowhere"),
    "a seq of keys of a vector": (
        [*leaf_and_vector([1]), SEQ, 1, reference(1), 0],
        reference(2),
        3,
        "nowhere",
    ),
    "a seq of an empty map": (
        [MAP, None, None, SEQ, 0, reference(0), 0],
        reference(1),
        2,
        "nowhere",
    ),
    "a seq behind a map": (
        [MAP_ARRAY, 1, 1, 2, MAP, reference(0), None, SEQ, 0, reference(1), 1],
        reference(2),
        3,
        "nowhere",
    ),
    "a leaf without items": ([VECTOR_LEAF, 0, VECTOR, 0, None, None], reference(1), 2, "range"),
    "a leaf of 33 items": (leaf_and_vector([0] * 33), reference(1), 2, "range"),
    "a vector that sees too much": (
        [VECTOR_LEAF, 1, 1, VECTOR, 2, None, reference(0)],
        reference(1),
        2,
        "count",
    ),
    "a vector that sees too little": (
        [VECTOR_LEAF, 2, 1, 2, VECTOR, 1, None, reference(0)],
        reference(1),
        2,
        "count",
    ),
    "a vector whose tail is a node": (
        [VECTOR_LEAF, 32, *[0] * 32, VECTOR_NODE, 1, reference(0), VECTOR, 32, None, reference(1)],
        reference(2),
        3,
        "kind",
    ),
    "a vector without a tail": (
        [VECTOR_LEAF, 1, 1, VECTOR, 1, None, None],
        reference(1),
        2,
        "tail",
    ),
    "a vector's root that is a leaf": (
        [*leaf_and_vector([1])[:-2], reference(0), None],
        reference(1),
        2,
        "kind",
    ),
    "a vector's node that is not full": (
        [VECTOR_LEAF, 1, 1, VECTOR_NODE, 1, reference(0), VECTOR, 2, reference(1), reference(0)],
        reference(2),
        3,
        "not full",
    ),
    "a vector's node of texts": ([VECTOR_NODE, 1, "a"], reference(1), 2, "another kind"),
    "a vector deeper than it need be": (
        [
            *(VECTOR_LEAF, 32, *[0] * 32),
            *(VECTOR_NODE, 1, reference(0), VECTOR_NODE, 1, reference(1)),
            *(VECTOR, 32, reference(2), reference(0)),
        ],
        reference(3),
        4,
        "deeper",
    ),
    "a map with a key twice": (
        [MAP_ARRAY, 2, "a", 1, "a", 2, MAP, reference(2), None],
        reference(3),
        4,
        "twice",
    ),
    "a map of nine pairs in a row": (
        [MAP_ARRAY, 9, *range(18), MAP, reference(0), None],
        reference(1),
        2,
        "without an index",
    ),
    "a set with values": (
        [MAP_ARRAY, 1, 1, 1, SET, reference(0), None],
        reference(1),
        2,
        "no root",
    ),
    "a map's root that is a leaf": (
        [VECTOR_LEAF, 1, 1, MAP, reference(0), None],
        reference(1),
        2,
        "no root",
    ),
    "a page that is no root": (
        [MAP_PAGE, 0, 1, b"\0", MAP, reference(0), None],
        None,
        2,
        "no root",
    ),
    "a map's node of nothing": ([MAP_NODE, 0], None, 1, "range"),
    "a map's node of numbers": ([MAP_NODE, 1, 5], None, 1, "another kind"),
    "a map's node that is not full": (
        [*PAIRS, MAP_NODE, 2, reference(0), reference(0)],
        None,
        2,
        "not full",
    ),
    "a map's node with two levels": (
        [*LEAF, MAP_NODE, 1, reference(0), MAP_NODE, 2, reference(0), reference(1)],
        None,
        3,
        "two levels",
    ),
    "a map deeper than it need be": (
        [*LEAF, MAP_NODE, 1, reference(0), MAP, reference(1), None],
        None,
        3,
        "deeper",
    ),
    "a map of nodes without an index": (
        [*LEAF, MAP_NODE, 2, reference(0), reference(0), MAP, reference(1), None],
        None,
        3,
        "without an index",
    ),
    "an index of nothing": (
        [MAP_PAGE, 0, 1, b"\0", MAP, None, reference(0)],
        None,
        2,
        "the index of a map is none",
    ),
    "an index that is a leaf": (
        [*PAIRS, MAP, reference(0), reference(0)],
        None,
        2,
        "the index of a map is none",
    ),
    "an index with too few entries": (
        [*PAIRS, MAP_PAGE, 0, 1, b"\0", MAP, reference(0), reference(1)],
        None,
        3,
        "not its own",
    ),
    "an index behind the pairs": (
        [*PAIRS, MAP_PAGE, 0, 2, b"\0\2", MAP, reference(0), reference(1)],
        None,
        3,
        "not its own",
    ),
    "an index below the top": (
        [*PAIRS, MAP_PAGE, 1, 2, BOTH, MAP, reference(0), reference(1)],
        None,
        3,
        "not its own",
    ),
    "an index with one position twice": (
        [*PAIRS, MAP_PAGE, 0, 2, b"\0\0", MAP, reference(0), reference(1)],
        reference(2),
        3,
        "twice",
    ),
    "an index out of order": (
        [*PAIRS, MAP_PAGE, 0, 2, BOTH[::-1], MAP, reference(0), reference(1)],
        reference(2),
        3,
        "hash",
    ),
    "an index with a key under a wrong digit": (
        [
            *(*PAIRS, MAP_PAGE, 1, 2, BOTH),
            *(MAP_INDEX, 0, *[None] * 15, reference(1), MAP, reference(0), reference(2)),
        ],
        reference(3),
        4,
        "hash",
    ),
    "an index of another map": (
        [
            *(*PAIRS, MAP_PAGE, 0, 2, BOTH, MAP, reference(0), reference(1)),
            *(MAP_ARRAY, 2, 3, None, 4, None, MAP, reference(3), reference(1)),
            *(LIST, reference(2), [], LIST, reference(4), reference(5)),
        ],
        reference(6),
        7,
        "hash",
    ),
    "an indexed map with a key twice": (
        [MAP_ARRAY, 2, 1, 1, 1, 1, MAP_PAGE, 0, 2, b"\0\1", MAP, reference(0), reference(1)],
        reference(2),
        3,
        "twice",
    ),
    "a page of nothing": ([MAP_PAGE, 0, 0, b""], None, 1, "range"),
    "a page that is too long": ([MAP_PAGE, 0, 200, bytes(200)], None, 1, "too long"),
    "a page with wide positions": ([MAP_PAGE, 0, 1, b"\0\1"], None, 1, "wrong length"),
    "a page with narrow positions": ([MAP_PAGE, 0, 2, b"\0"], None, 1, "wrong length"),
    "a page that is cut": ([MAP_PAGE, 0, 2, b"\1\0\2"], None, 1, "wrong length"),
    "a page too deep": ([MAP_PAGE, 17, 1, b"\0"], None, 1, "range"),
    "an index node too deep": ([MAP_INDEX, 16, *[None] * 16], None, 1, "range"),
    "an index node of nothing": ([MAP_INDEX, 0, *[None] * 16], None, 1, "empty"),
    "an index node of numbers": ([MAP_INDEX, 0, *[5] * 16], None, 1, "another kind"),
    "an index node at a wrong level": (
        [MAP_PAGE, 2, 1, b"\0", MAP_INDEX, 0, reference(0), *[None] * 15],
        None,
        2,
        "wrong level",
    ),
    "a function that is not there": (
        [CLOSURE, 60_001, None],
        reference(0),
        1,
        "no such function",
    ),
    "captured values that are none": ([CAPTURES, 0], None, 1, "range"),
    "a continuation of nothing": ([CONTINUATION, None, None], reference(0), 1, "another kind"),
    "marks of another kind": (
        [HALT, 0, 1, CONTINUATION_PART, reference(0), 1],
        None,
        2,
        "another kind",
    ),
    "a mark with a tag that is none": ([HALT, 0, 1, MARK, 1, reference(0), None], None, 2, "tag"),
    "a mark in a slot": (
        [HALT, 0, 1, MARK, None, reference(0), None],
        reference(1),
        2,
        "inner object",
    ),
    "marks without frames": (
        [HALT, 0, 1, MARK, None, reference(0), None],
        None,
        2,
        "nothing refers",
    ),
    "metadata of a number": (
        [MAP, None, None, DESCRIBED, 1, reference(0)],
        None,
        2,
        "cannot have metadata",
    ),
    "metadata that is a list": ([DESCRIBED, [], []], None, 1, "no map"),
    "a record of no kind": ([53], None, 0, "unknown kind"),
    "a record that is cut": ([LIST, 1], None, 0, "array"),
    "more objects than announced": (leaf_and_vector([1]), reference(1), 1, "more objects"),
    "fewer objects than announced": (leaf_and_vector([1]), reference(1), 3, "fewer objects"),
    "an object nobody refers to": ([LIST, 1, []], None, 1, "nothing refers"),
    "too many objects": ([], None, 1 << 31, "out of range"),
}


@pytest.mark.parametrize(
    ("objects", "result", "count", "problem"), BAD_VALUES.values(), ids=BAD_VALUES
)
def test_a_value_no_program_could_have_made_is_refused(
    objects: list[Any], result: object, count: int, problem: str
) -> None:
    with pytest.raises(ImageInvalid, match=problem):
        restored(made(objects, result, count=count))


def test_a_key_where_its_hash_does_not_belong_is_refused() -> None:
    machine = stopped("(let [m (zipmap (range 20) (range))] (here) (count m))")
    fields = msgpack.unpackb(machine.image())
    place = fields[6].index(MAP_PAGE) + 3
    positions = fields[6][place]
    fields[6][place] = positions[1:2] + positions[:1] + positions[2:]
    with pytest.raises(ImageInvalid, match="hash"):
        Machine.restore(msgpack.packb(fields), lambda _: machine.code, memory_max=MEMORY_MAX)


def test_keys_that_take_too_long_to_compare_are_refused() -> None:
    """Sharing makes two keys of 2 ** 39 items out of 80 vectors."""
    objects: list[object] = []
    for number in range(0, 160, 2):
        below = reference(number - 3) if number > 2 else 1
        objects += [VECTOR_LEAF, 2, below, reference(number - 3) if number > 2 else 1]
        objects += [VECTOR, 2, None, reference(number)]
    objects += [MAP_ARRAY, 2, reference(157), 1, reference(159), 1, MAP, reference(160), None]
    with pytest.raises(ImageInvalid, match="costly"):
        restored(made(objects, reference(161), count=162))


# ---- frames

WAITING = """
    (def kept 1)
    (defn f [n] (let [m (+ n 1)] (if (= n 0) (count (here)) (+ m (f (dec n))))))
    (str kept (f 1))"""


def frame_records(fields: list[Any]) -> list[int]:
    """Return where the records of the frames begin; the image must hold nothing else that looks like one."""
    return [place for place, field in enumerate(fields[6]) if type(field) is int and field == FRAME]


Edit = Callable[[list[Any], list[int]], None]


def edit_frame(frame: int, field: int, value: object) -> Edit:
    def edit(fields: list[Any], frames: list[int]) -> None:
        fields[6][frames[frame] + field] = value

    return edit


def edit_field(part: int, value: object) -> Edit:
    def edit(fields: list[Any], frames: list[int]) -> None:
        fields[part] = value

    return edit


def edit_root(part: int, value: object) -> Edit:
    def edit(fields: list[Any], frames: list[int]) -> None:
        fields[7][part] = value

    return edit


# Frames: 0 of the top level, 1 of (f 1), 2 of (f 0), which waits for the effect.
BAD_STATES: dict[str, tuple[Edit, str]] = {
    "another version": (edit_field(0, 999), "version 999"),
    "other instructions": (edit_field(1, 999), "version 999 of the instructions"),
    "no program": (edit_field(2, []), "names its program"),
    "a short hash": (edit_field(2, [b"short"]), "32 bytes"),
    "an unknown status": (edit_field(3, 9), "status"),
    "fuel below zero": (edit_field(4, -1), "fuel"),
    "a frame that waits and runs": (edit_field(3, 0), "runs waits"),
    "an end with frames": (edit_field(3, 2), "frames do not fit"),
    "no memory with frames": (edit_field(3, 4), "frames do not fit"),
    "a body that is not there": (edit_frame(0, 1, 9998), "no such body"),
    "a position outside the body": (edit_frame(2, 2, 100_000), "out of range"),
    "a position before the body": (edit_frame(2, 2, 0), "out of range"),
    "a slot that is not the call's": (edit_frame(1, 3, 0), "parent of a frame does not wait"),
    "a slot that is not there": (edit_frame(1, 3, 500), "out of range"),
    "no parent": (edit_frame(1, 4, None), "another kind"),
    "a parent that is no frame": (edit_frame(1, 4, "text"), "another kind"),
    "a closure that is none": (edit_frame(1, 5, reference(0)), "another kind"),
    "an inner object in a slot": (edit_frame(1, 6, reference(0)), "inner object"),
    "a frame that does not wait for the effect": (edit_frame(2, 3, 0), "not wait for an effect"),
    "no frame": (edit_root(0, None), "frames do not fit"),
    "marks that are none": (edit_root(1, 5), "another kind"),
    "an effect that changes nothing outside": (edit_root(2, 0), "effect is none"),
    "an effect that is not there": (edit_root(2, 9999), "out of range"),
    "too many arguments": (edit_root(3, [1]), "number of arguments"),
    "an error that is none": (edit_root(4, 5), "another kind"),
    "a result before the end": (edit_root(5, 5), "result does not fit"),
    "an unknown global": (edit_field(8, [9999, 1]), "out of range"),
    "a global without a value": (edit_field(8, [0]), "without a value"),
    "a global twice": (edit_field(8, [0, 1, 0, 2]), "out of range"),
    "an inner object in a global": (edit_field(8, [0, reference(0)]), "inner object"),
}


@pytest.mark.parametrize(("edit", "problem"), BAD_STATES.values(), ids=BAD_STATES)
def test_a_state_no_machine_could_be_in_is_refused(edit: Edit, problem: str) -> None:
    machine = stopped(WAITING)
    fields = msgpack.unpackb(machine.image())
    edit(fields, frame_records(fields))
    with pytest.raises(ImageInvalid, match=problem):
        Machine.restore(msgpack.packb(fields), lambda _: machine.code, memory_max=MEMORY_MAX)


def test_a_running_frame_that_is_shared_is_refused() -> None:
    """It would be freed twice."""
    machine = stopped(WAITING)
    fields = msgpack.unpackb(machine.image())
    fields[6] += [CONTINUATION, fields[7][0], None]
    fields[8][1] = reference(fields[5])
    fields[5] += 1
    with pytest.raises(ImageInvalid, match="frame that runs is shared"):
        Machine.restore(msgpack.packb(fields), lambda _: machine.code, memory_max=MEMORY_MAX)


def test_a_frame_of_another_function_is_refused() -> None:
    """Its captured values would not be those its code reads."""
    machine = stopped(
        "(defn g [x] (inc (x))) (let [a 1 b 2] (str (g (fn [] (+ a b (count (here)))))))"
    )
    fields = msgpack.unpackb(machine.image())
    closure = fields[6].index(CLOSURE)
    fields[6][closure + 1] = 2 * 1
    with pytest.raises(ImageInvalid, match="another function"):
        Machine.restore(msgpack.packb(fields), lambda _: machine.code, memory_max=MEMORY_MAX)


def test_a_closure_with_too_few_captured_values_is_refused() -> None:
    machine = stopped("(let [a (atom 1) b 2 f (fn [] (+ @a b))] (here) (f))")
    fields = msgpack.unpackb(machine.image())
    captures = fields[6].index(CAPTURES)
    fields[6][captures + 1] -= 1
    del fields[6][captures + 3]
    with pytest.raises(ImageInvalid, match="too few captured"):
        Machine.restore(msgpack.packb(fields), lambda _: machine.code, memory_max=MEMORY_MAX)


def test_longer_forms_of_a_number_are_refused() -> None:
    machine = stopped("1")
    image = machine.image()
    assert image[:2] == b"\x9a\x05"
    with pytest.raises(ImageInvalid, match="not an image"):
        Machine.restore(b"\x9a\xcc\x05" + image[2:], lambda _: machine.code, memory_max=MEMORY_MAX)


def test_an_image_says_where_it_is_wrong() -> None:
    image = made([LIST, 1, 2], reference(0), count=1)
    with pytest.raises(ImageInvalid, match=r"\(at byte \d+\)"):
        restored(image)
