"""Chance against the machine: segments, images and programs that nobody wrote.

Is:     three sources of cases, each made from a number alone, and what a node does with any of them.
Is not: a search; it does not learn from what it ran. `make fuzz` runs it under AddressSanitizer and UBSan for a time.
Fits:   `python -m fuzzing --seconds 60`; tests/yind/cesk/test_fuzz.py runs a few cases of each source.

Any case may be refused by the error its reader is said to raise, or run; whatever runs stays within its memory and fuel,
and gives the same when it is carried about as an image. A finding is named by its source and number: `--case images:17`.
"""

from __future__ import annotations

import argparse
import faulthandler
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count as counted
from pathlib import Path
from random import Random
from typing import Any

import machine_build

machine_build.choose()

import msgpack  # noqa: E402 (after the choice of the machine)
from language import HOST, MEMORY, RUNNING, core_code, exactly, outcome_of, runs  # noqa: E402

from datomstore.value import Keyword, Map, Set  # noqa: E402
from yang.compile import compile_source  # noqa: E402
from yang.isa import INSTRUCTION_FORMAT, INSTRUCTION_SIZE, INSTRUCTIONS  # noqa: E402
from yang.primitives import PRIMITIVES  # noqa: E402
from yang.segment import Arity, Function, Handler, PrimitiveRef, Segment  # noqa: E402
from yind.cesk import Code, CodeInvalid, ImageInvalid, Machine, Status, ValueInvalid  # noqa: E402
from yind.cesk._core import IS_HOSTILE  # noqa: E402

MEMORY_MAX = 1 << 20
FUEL = 700  # of a slice
SLICES = 12
HANG_S = 30  # one case may not take as long, even under the sanitizer
SLOW_S = 4.0  # worth a line

WRITTEN = """
    (def g (atom {:a 1}))
    (defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
    (let [m (reduce (fn [m i] (assoc m [i (str i)] i)) {} (range 20)) s (set (range 20)) v (vec (range 40))
          l (map (fn [x] (+ x (count v))) (range 10 50 3)) a (atom nil) r (/ 3 7) b (reduce * (range 1 30)) c \\x
          sq (seq m) sv (rest (seq v)) st (rest "héllo") k (call/cc (fn [k] k)) rng (range 0 100 7) d (double 1.5)]
      (reset! a [a l])
      (letfn [(even [n] (if (= n 0) (here) (odd (dec n)))) (odd [n] (if (= n 0) :odd (even (dec n))))]
        (try (let [h (even 6)] (swap! g assoc :h h) (count (concat l (map inc sv))))
          (catch :default e (ex-message e))
          (finally (swap! g assoc :f (fib 5)))))
      (loop [i 0 x []] (if (< i 5) (recur (inc i) (conj x i)) x))
      (if (fn? k) (k 5) [k (count s) r b c d rng st (first sq) (apply + v) (sort-by - v) (pr-str l)]))"""


# ---- what a node does with a machine


def use(machine: Machine, random: Random) -> None:
    """Run a few slices and look at everything on the way; now and then go on from an image."""
    codes = {code.program_hash: code for code in (machine.code, machine.code.core) if code}
    for _ in range(SLICES):
        if random.random() < 0.3:
            image = machine.image()
            machine = Machine.restore(image, codes.__getitem__, memory_max=MEMORY_MAX * 2)
            assert machine.image() == image
        machine.frames()
        match machine.status:
            case Status.EFFECT:
                answer(machine, random)
            case Status.DONE:
                assert machine.result_text
                break
            case Status.FAULT:
                assert machine.fault.message is not None
                str(machine.fault)
                break
            case Status.OUT_OF_MEMORY:
                break
        machine.run(random.choice((1, 3, FUEL)))
        assert machine.memory_used <= MEMORY_MAX * 2
    if IS_HOSTILE:
        machine.audit()


def answer(machine: Machine, random: Random) -> None:
    """Answer an effect with something, whatever was asked."""
    try:
        assert machine.effect
    except ValueInvalid:
        machine.resume_error("no data", Map())
        return
    if random.random() < 0.3:
        machine.resume_error("refused", Map([(Keyword("fault"), Keyword("node"))]))
    else:
        machine.resume(random.choice(("node", 5, None, (1, "a"), Set([1]))))


# ---- segments


@cache
def seeds() -> list[Segment]:
    """Return segments of every kind of program, to be changed."""
    sources = [WRITTEN] + [case.source for case in RUNNING[::61] if runs(case)]
    return [compile_source(source, "fuzz.clj", host=HOST).segment for source in sources]


def some_number(random: Random, old: int) -> int:
    """Return a number that is near the old one, small, or at an edge."""
    return random.choice(
        (
            old + random.randint(-3, 3),
            random.randint(0, 40),
            random.randint(-2, 300),
            old + random.choice((-1, 1)),
            random.choice((-1, 1 << 16, 1 << 31, (1 << 31) - 1, -(1 << 31), 0xFFFF)),
        )
    )


def changed_code(random: Random, code: bytes) -> bytes:
    """Return code with a few instructions changed, moved or missing."""
    rows = [list(row) for row in struct.iter_unpack(INSTRUCTION_FORMAT, code)]
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(rows))
        match random.randrange(5):
            case 0:
                rows[place][0] = random.randrange(len(INSTRUCTIONS) + 1)
            case 1:
                rows[place] = list(random.choice(rows))
            case 2:
                other = random.randrange(len(rows))
                rows[place], rows[other] = rows[other], rows[place]
            case _:
                field = random.randint(1, 4)
                value = some_number(random, rows[place][field])
                rows[place][field] = value & 0xFFFF if field == 1 else clipped(value)
    return b"".join(struct.pack(INSTRUCTION_FORMAT, *row) for row in rows)


def clipped(number: int) -> int:
    return max(-(1 << 31), min((1 << 31) - 1, number))


def changed_functions(random: Random, functions: tuple[Function, ...]) -> tuple[Function, ...]:
    place = random.randrange(len(functions))
    function = functions[place]
    if random.random() < 0.4:
        function = function._replace(capture_count=some_number(random, function.capture_count))
    else:
        arities = list(function.arities)
        which = random.randrange(len(arities))
        arities[which] = changed_arity(random, arities[which])
        function = function._replace(arities=tuple(arities))
    return (*functions[:place], function, *functions[place + 1 :])


def changed_arity(random: Random, arity: Arity) -> Arity:
    match random.randrange(5):
        case 0:
            return arity._replace(variadic=not arity.variadic)
        case 1:
            count = some_number(random, arity.parameter_count)
            return arity._replace(parameter_count=count)
        case 2:
            return arity._replace(entry=some_number(random, arity.entry))
        case 3:
            return arity._replace(end=some_number(random, arity.end))
        case _:
            return arity._replace(slot_count=some_number(random, arity.slot_count))


def changed_segment(random: Random) -> Segment:
    """Return a segment that no compiler made."""
    segment = random.choice(seeds())
    for _ in range(random.randint(1, 2)):
        match random.randrange(8):
            case 0:
                functions = changed_functions(random, segment.functions)
                segment = replace(segment, functions=functions)
            case 1 if segment.handlers:
                handlers = list(segment.handlers)
                place = random.randrange(len(handlers))
                numbers = (some_number(random, number) for number in handlers[place])
                handlers[place] = Handler(*numbers)
                segment = replace(segment, handlers=tuple(handlers))
            case 2 if segment.constants:
                constants = list(segment.constants)
                other = random.choice([*constants, None, PrimitiveRef(random.randint(0, 400))])
                constants[random.randrange(len(constants))] = other
                segment = replace(segment, constants=tuple(constants))
            case _:
                segment = replace(segment, code=changed_code(random, segment.code))
    return segment


def segment_case(random: Random) -> None:
    """Load a changed segment; what is let through runs."""
    segment = changed_segment(random)
    assert len(segment.code) % INSTRUCTION_SIZE == 0
    try:
        code = Code(segment, core_code())
    except CodeInvalid:
        return
    arguments = {"*args*": Map([(Keyword("who"), (1, "x"))])}
    use(Machine(code, memory_max=MEMORY_MAX, fuel_max=1 << 20, globals=arguments), random)


# ---- images


@cache
def images() -> list[tuple[bytes, Code]]:
    """Return images of agents at many places of their lives."""
    found: list[tuple[bytes, Code]] = []
    for segment in seeds():
        code = Code(segment, core_code())
        machine = Machine(code, memory_max=MEMORY)
        found.append((machine.image(), code))
        for _ in range(20):
            if machine.status is Status.EFFECT:
                machine.resume("node")
            machine.run(41)
            found.append((machine.image(), code))
    return found


def changed_bytes(random: Random, image: bytes) -> bytes:
    """Return bytes with a few changed, moved or missing."""
    changed = bytearray(image)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(changed))
        match random.randrange(4):
            case 0:
                del changed[place : place + random.randint(1, 9)]
            case 1:
                other = random.randrange(len(changed))
                changed[place:place] = changed[other : other + random.randint(1, 40)]
            case _:
                changed[place] = random.randrange(256)
        changed = changed or bytearray(1)
    return bytes(changed)


def changed_fields(random: Random, image: bytes) -> bytes:
    """Return an image, well formed as msgpack, with a few fields changed: what passes the first checks."""
    fields: list[Any] = msgpack.unpackb(image, strict_map_key=False)
    objects: list[Any] = fields[6]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        part = objects if objects and random.random() < 0.85 else fields
        place = random.randrange(len(part))
        part[place] = changed_field(random, part[place], objects or fields)
    if random.random() < 0.05 and objects:
        place = random.randrange(len(objects))
        del objects[place : place + random.randint(1, 4)]
    if random.random() < 0.1:
        fields[5] = some_number(random, fields[5]) if type(fields[5]) is int else fields[5]
    packed: bytes = msgpack.packb(fields)
    return packed


def changed_field(random: Random, field: Any, fields: list[Any]) -> Any:
    if random.random() < 0.3:
        return random.choice(fields)
    if type(field) is int:
        return max(-(1 << 63), min((1 << 64) - 1, some_number(random, field)))
    if isinstance(field, msgpack.ExtType):
        if random.random() < 0.2:
            return msgpack.ExtType(random.randint(0, 10), field.data)
        number = some_number(random, int.from_bytes(field.data, "big")) & 0xFFFF
        return msgpack.ExtType(field.code, number.to_bytes(1 if number < 256 else 2, "big"))
    if isinstance(field, list) and field:
        place = random.randrange(len(field))
        return [
            changed_field(random, item, fields) if at == place else item
            for at, item in enumerate(field)
        ]
    return random.choice((None, True, 0, 1.5, "é", b"\xff", []))


def image_case(random: Random) -> None:
    """Restore a changed image; what is let through runs."""
    image, code = random.choice(images())
    changed = (changed_bytes if random.random() < 0.4 else changed_fields)(random, image)
    codes = {one.program_hash: one for one in (code, core_code())}
    try:
        machine = Machine.restore(
            changed, lambda name: codes.get(name, code), memory_max=MEMORY_MAX, fuel_max=1 << 40
        )
    except ImageInvalid:
        return
    assert machine.memory_used <= MEMORY_MAX
    use(machine, random)


# ---- programs


@cache
def generator() -> Callable[[int], str]:
    """Return the generator of the tests that compare both machines."""
    path = Path(__file__).parent.parent / "conformance" / "test_random_programs.py"
    spec = spec_from_file_location("random_programs", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[int], str] = module.program
    return found


def program_case(random: Random) -> None:
    """Run a program in one piece and in slices with images between: the same, for the same fuel."""
    source = generator()(random.randrange(1 << 40))
    code = Code(compile_source(source, "fuzz.clj", host=HOST).segment, core_code())
    codes = {one.program_hash: one for one in (code, core_code())}

    def carried(machine: Machine) -> Machine:
        return Machine.restore(machine.image(), codes.__getitem__, memory_max=MEMORY)

    whole = Machine(code, memory_max=MEMORY)
    expected = outcome_of(whole)
    size = 1 + whole.fuel_used // random.choice((1, 10, 100))
    found = outcome_of(Machine(code, memory_max=MEMORY), carried, size)
    assert found.error == expected.error
    assert Set([exactly(found.value)]) == Set([exactly(expected.value)])


SOURCES: dict[str, Callable[[Random], None]] = {
    "segments": segment_case,
    "images": image_case,
    "programs": program_case,
}
SHARES = {"segments": 24, "images": 48, "programs": 1}  # a program takes longer to compile


def run_case(source: str, number: int) -> None:
    """Run one case; the same number is the same case."""
    SOURCES[source](Random(f"{source} {number}"))


CURRENT = Path("build/fuzz-case")  # the case that runs: what a crash leaves


def main() -> None:
    """Run cases for a time, or one case by name."""
    parser = argparse.ArgumentParser(description="Fuzz the machine.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", help="only this one, as images:17")
    arguments = parser.parse_args()
    if arguments.case:
        source, _, number = arguments.case.partition(":")
        run_case(source, int(number))
        return
    CURRENT.parent.mkdir(exist_ok=True)
    end = time.monotonic() + arguments.seconds
    done = dict.fromkeys(SOURCES, 0)
    for turn in counted(arguments.first):
        for source, share in SHARES.items():
            for number in range(turn * share, (turn + 1) * share):
                if time.monotonic() > end:
                    print(", ".join(f"{amount} {name}" for name, amount in done.items()))  # noqa: T201
                    return
                CURRENT.write_text(f"{source}:{number}")
                timed_case(source, number)
                done[source] += 1


def timed_case(source: str, number: int) -> None:
    """Run a case; the process ends with a trace if it hangs."""
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    begin = time.monotonic()
    try:
        run_case(source, number)
    except BaseException:
        print(f"\nfound by --case {source}:{number}")  # noqa: T201
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()
    if time.monotonic() - begin > SLOW_S:
        print(f"slow: {source}:{number} took {time.monotonic() - begin:.1f} s")  # noqa: T201


assert len(PRIMITIVES) < 400
if __name__ == "__main__":
    faulthandler.enable()
    main()
