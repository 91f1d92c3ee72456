"""Keys that somebody chose to collide cost no more than others."""

from __future__ import annotations

from functools import cache
from random import Random
from time import thread_time

import msgpack
import pytest
from hashes import colliding
from language import core_code

from yang.compile import compile_source
from yind.cesk import Code, ImageInvalid, Machine, Status

COUNT = 3000
FUEL = 1 << 40
MEMORY = 1 << 26
INSERT_AND_FIND = """
(let [m (reduce (fn [m k] (assoc m k 1)) {} *args*)
      n (reduce (fn [n k] (+ n (get m k))) 0 *args*)
      half (reduce dissoc m (take (quot n 2) *args*))]
  [(count m) n (count half) (every? (fn [k] (contains? half k)) (drop (quot n 2) *args*))
   (count (reduce-kv (fn [s k v] (conj s k)) #{} m)) (= m (zipmap (reverse *args*) (repeat 1)))])
"""


@cache
def code() -> Code:
    return Code(compile_source(INSERT_AND_FIND, "flood.clj").segment, core_code())


def scattered(count: int) -> tuple[int, ...]:
    random = Random(1)
    return tuple(random.randrange(-(1 << 63), 1 << 63) for _ in range(count))


def run(keys: tuple[object, ...], hash_key: bytes = b"an agent") -> Machine:
    machine = Machine(code(), memory_max=MEMORY, globals={"*args*": keys}, hash_key=hash_key)
    assert machine.run(FUEL) is Status.DONE
    return machine


def seconds(keys: tuple[object, ...]) -> float:
    found = []
    for _ in range(3):
        begin = thread_time()
        run(keys)
        found.append(thread_time() - begin)
    return min(found)


def test_colliding_keys_are_all_found_and_removed() -> None:
    half = COUNT // 2
    for keys in (colliding(COUNT), scattered(COUNT)):
        assert run(keys).result == (COUNT, COUNT, COUNT - half, True, COUNT, True)


def test_colliding_keys_cost_no_more_than_three_times_others() -> None:
    assert seconds(colliding(COUNT)) < 3 * seconds(scattered(COUNT))


def test_collections_that_collide_below_what_the_first_hash_sees_are_spread() -> None:
    def nested(item: object) -> object:
        for _ in range(12):
            item = (item,)
        return item

    keys = tuple(nested(i) for i in range(300))
    assert run(keys).result == (300, 300, 150, True, 300, True)


def machine_with_keys(source: str, hash_key: bytes) -> Machine:
    code = Code(compile_source(source, "flood.clj").segment, core_code())
    machine = Machine(code, memory_max=MEMORY, globals={"*args*": colliding(40)}, hash_key=hash_key)
    assert machine.run(FUEL) is Status.EFFECT
    return machine


def test_an_image_keeps_the_key_and_what_it_spreads() -> None:
    source = "(let [m (zipmap *args* (range)) s (drop 3 m)] (first s) (now) [(count s) (map m *args*) (= (into {} m) m)])"
    machine = machine_with_keys(source, b"one")
    image = machine.image()
    codes = {loaded.program_hash: loaded for loaded in (machine.code, core_code())}
    again = Machine.restore(image, codes.__getitem__, memory_max=MEMORY)
    assert again.image() == image
    again.resume(None)
    assert again.run(FUEL) is Status.DONE
    assert again.result == (37, tuple(range(40)), True)
    assert machine_with_keys(source, b"one").image() == image
    assert machine_with_keys(source, b"two").image() != image


def test_an_image_with_another_key_than_its_maps_were_made_with_is_refused() -> None:
    machine = machine_with_keys("(let [m (zipmap *args* (range))] (now) m)", b"one")
    fields = msgpack.unpackb(machine.image())
    codes = {loaded.program_hash: loaded for loaded in (machine.code, core_code())}
    for key, problem in ((bytes(16), "not where its hash says"), (bytes(15), "hash key")):
        fields[9] = key
        with pytest.raises(ImageInvalid, match=problem):
            Machine.restore(msgpack.packb(fields), codes.__getitem__, memory_max=MEMORY)
