"""Images of the machine: what goes through one goes on as if nothing had happened."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import inf

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.compile import compile_source
from yang.core import core_segment
from yind.cesk import Code, ImageInvalid, Machine, StateInvalid, Status

MEMORY_MAX = 1 << 24
FUEL = 1 << 26
SLICES_MAX = 20_000

relaxed = settings(max_examples=60)


@cache
def core() -> Code:
    return Code(core_segment(), None)


@cache
def code_of_source(source: str) -> Code:
    return Code(compile_source(source, "test.clj").segment, core())


def machine_of(source: str, arguments: object = None) -> Machine:
    return Machine(code_of_source(source), memory_max=MEMORY_MAX, globals={"*args*": arguments})


def stopped(source: str, arguments: object = None) -> Machine:
    """Run until an effect or the end."""
    machine = machine_of(source, arguments)
    assert machine.run(FUEL) is not Status.OUT_OF_FUEL
    return machine


def copied(
    machine: Machine, *, memory_max: int = MEMORY_MAX, fuel_max: int | None = None
) -> Machine:
    code = machine.code
    return Machine.restore(
        machine.image(), lambda _: code, memory_max=memory_max, fuel_max=fuel_max
    )


def outcome(machine: Machine) -> tuple[object, ...]:
    """What can be told from outside about a machine that has ended."""
    if machine.status is Status.FAULT:
        fault = machine.fault
        return machine.status, fault.message, fault.data, fault.trace, machine.fuel_used
    return machine.status, machine.result_text, machine.fuel_used


def moved_on(machine: Machine) -> Machine:
    """Return the machine after one more step, which is as short as a step can be."""
    if machine.status is Status.EFFECT:
        machine.resume(machine.effect[0])
    else:
        machine.run(1)
    return machine


def answered(machine: Machine) -> Machine:
    """Run to the end; each effect is answered with its name."""
    while machine.status in (Status.OUT_OF_FUEL, Status.EFFECT):
        if machine.status is Status.EFFECT:
            machine.resume(machine.effect[0])
        machine.run(FUEL)
    return machine


PROGRAMS = {
    "recursion": "(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (fib 7)",
    "loop": "(loop [i 0 sum 0] (if (< i 20) (recur (inc i) (+ sum i)) sum))",
    "closures": "(let [adder (fn [x] (fn [y] (+ x y)))] (mapv (adder 3) [1 2 3]))",
    "letfn": """
        (letfn [(even [n] (if (= n 0) :even (odd (dec n)))) (odd [n] (if (= n 0) :odd (even (dec n))))]
          [(even 7) (odd 7)])""",
    "named function": "((fn down [n] (if (pos? n) (cons n (down (dec n))) ())) 5)",
    "variadic": "(defn f ([] 0) ([a] a) ([a & more] (apply + a more))) [(f) (f 1) (f 1 2 3 4)]",
    "try and finally": """
        (let [seen (atom [])]
          (try
            (try (throw (ex-info "first" {:n 1}))
              (finally (swap! seen conj :finally)))
            (catch ExceptionInfo error
              [(ex-message error) (ex-data error) @seen])))""",
    "fault in a callee": "(defn f [x] (+ x nil)) (try (mapv f [1 2]) (catch :default e (ex-data e)))",
    "uncaught": '(defn f [n] (if (= n 0) (throw (ex-info "no" {:a [1]})) (inc (f (dec n))))) (f 4)',
    "call/cc as return": "(+ 1 (call/cc (fn [k] (+ 10 (k 1)))))",
    "call/cc many times": """
        (let [seen (atom []) k (atom nil) n (atom 0)]
          (let [v (call/cc (fn [c] (reset! k c) 0))]
            (swap! seen conj v)
            (swap! n inc)
            (if (< @n 4) (@k @n) @seen)))""",
    "generator by continuations": """
        (defn visit [tree yield] (if (vector? tree) (run! (fn [t] (visit t yield)) tree) (yield tree)))
        (defn next-of [state]
          (call/cc (fn [back]
            (reset! (:back state) back)
            (if-let [k @(:resume state)]
              (k nil)
              (do (visit [1 [2 3] [[4]]]
                         (fn [v] (call/cc (fn [k] (reset! (:resume state) k) (@(:back state) v)))))
                  (@(:back state) :end))))))
        (let [state {:back (atom nil) :resume (atom nil)}]
          [(next-of state) (next-of state) (next-of state) (next-of state) (next-of state)])""",
    "delimited continuations, shared and put back twice": """
        (let [step (prompt :p (+ 1 (prompt :q (* 2 (control0 :p k [k k])))))
              deep (prompt :p (reduce (fn [sum x] (+ sum (control0 :p k [k x]))) 0 [1 2]))]
          [((first step) 3) ((second step) 4) (first (prompt :p ((first deep) (second deep))))
           (identical? (first step) (second step))
           (prompt :p ((first (prompt :p ((first deep) 10))) 20))])""",
    "an escape past finalizers": """
        (let [seen (atom [])]
          [(prompt :p (try (inc (try (abort :p 5) (finally (swap! seen conj 1)))) (finally (swap! seen conj 2))))
           (call/cc (fn [k] (try (k 7) (finally (swap! seen conj 3)))))
           @seen])""",
    "generators": "(take 4 (generator (fn [] (run! yield (range 3)) (loop [i 9] (yield i) (recur (inc i))))))",
    "green threads": """
        (run-threads (fn []
          (let [c (chan 1) sum (async (loop [n 0] (if-let [x (take! c)] (recur (+ n x)) n)))]
            (dotimes [i 3] (put! c i))
            (close! c)
            (await sum))))""",
    "effect handlers": """
        (handle {:get (fn [k] (fn [state] ((k state) state))) :put (fn [k x] (fn [_] ((k nil) x)))
                 :return (fn [x] (fn [state] [x state]))}
          (fn [] (perform :put (inc (perform :get))) (perform :get)))""",
    "logic": "(run* [q] (fresh [x] (any (unify x 1) (unify x [q])) (unify q [x])))",
    "lazy seqs": "(take 5 (map inc (filter odd? (iterate inc 1))))",
    "lazy seq that contains itself": "(def ones (lazy-seq (cons 1 ones))) (take 3 (map + ones ones))",
    "cycle through atoms": """
        (let [a (atom nil) b (atom a) v [1 a b]]
          (reset! a v)
          (loop [i 0] (if (< i 3) (recur (inc i)) nil))
          [(identical? (nth @a 1) a) (identical? @(nth @a 2) a) (first @a)])""",
    "maps and sets": """
        (let [m (reduce (fn [m i] (assoc m i (* i i))) {} (range 40))
              s (into #{} (map str (range 20)))]
          [(reduce + (vals (dissoc m 3 4))) (count (disj s "7")) (get m 39) (contains? s "11")])""",
    "vectors": "(let [v (vec (range 70))] [(reduce + (mapv inc (conj v 1))) (peek (pop v)) (nth v 64)])",
    "numbers": "(let [big (reduce * (range 1 26))] [(/ big 7) (/ 1 3) (- big) 1.5 (quot big (- big))])",
    "strings": '(apply str (interpose ", " (map str [:a \'b \\c "d" nil 1.0])))',
    "effects": '(let [a (str (here) "!")] (try [a (now) (rand)] (finally (log! a))))',
    "effect in a lazy seq": "(mapv identity (map (fn [_] (here)) [1 2 3]))",
    "globals": "(def a 1) (def f (fn [x] (+ x a))) (def b (f (f 2))) [a b *args*]",
}


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_an_image_at_every_step_changes_nothing(source: str) -> None:
    straight = answered(machine_of(source, (1, 2)))
    assert straight.status is Status.FAULT or straight.status is Status.DONE

    machine = machine_of(source, (1, 2))
    for _ in range(SLICES_MAX):
        image = machine.image()
        machine = copied(machine)
        assert machine.image() == image
        if machine.status not in (Status.OUT_OF_FUEL, Status.EFFECT):
            break
        machine = moved_on(machine)

    assert outcome(machine) == outcome(straight)


def test_two_machines_in_one_state_have_the_same_image() -> None:
    """Calls alone cost fuel here, so that slices end exactly."""
    first, second = machine_of(PROGRAMS["recursion"]), machine_of(PROGRAMS["recursion"])
    first.run(30)
    for _ in range(10):
        second.run(3)
    assert first.image() == second.image()


def test_values_of_every_kind_come_back() -> None:
    value = (
        *(None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**40, -(10**40)),
        *(
            0.0,
            -0.0,
            1.5,
            inf,
            -inf,
            Fraction(1, 3),
            Fraction(-(10**30), 7),
            "",
            "häß€🐍",
            "a" * 300,
        ),
        *(
            Char("x"),
            Char("🐍"),
            Keyword("a/b"),
            Symbol("s"),
            b"",
            b"\0\xff" * 40,
            List(()),
            (),
            Map(),
            Set(),
        ),
        *(List((1, (2,))), Map({1: 2, "a": Map({Keyword("k"): Set((1, 2))})}), tuple(range(1100))),
        Map({number: str(number) for number in range(200)}),
    )
    machine = copied(machine_of("*args*", value))
    machine.run(FUEL)
    assert machine.result == value


integers = st.one_of(st.integers(), st.integers(-(2**70), 2**70))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    st.floats(allow_nan=False),
    texts,
    texts.map(lambda text: Keyword("k" + text)),
    st.binary(max_size=40),
    st.uuids(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=40).map(tuple),
        st.lists(inner, max_size=4).map(List),
        st.dictionaries(st.one_of(integers, texts), inner, max_size=20).map(Map),
        st.lists(integers, max_size=20).map(Set),
    ),
    max_leaves=60,
)


@relaxed
@given(values)
def test_any_value_comes_back(value: object) -> None:
    machine = machine_of("(here) *args*", value)
    machine.run(FUEL)
    other = copied(machine)
    assert other.image() == machine.image()
    assert answered(other).result == value


# ---- what is kept


@pytest.mark.parametrize(
    "source",
    [
        "(let [v [1 *args*] w [v v]] (here) (identical? (w 0) (w 1)))",
        "(let [a (atom 1) f (fn [] a)] (here) (swap! (f) inc) (= 2 @a))",
        "(let [s (str *args* 1) v [s s]] (here) (identical? (v 0) (v 1)))",
        "(let [l (list *args*) m {:a l :b l}] (here) (identical? (:a m) (:b m)))",
        "(let [f inc g [f]] (here) (identical? (g 0) inc))",
        "(defn f [] 1) (let [g [f f]] (here) (and (identical? (g 0) f) (identical? (g 1) f)))",
        "(let [x (map inc [1 2]) v [x x]] (here) (first (v 0)) (identical? (v 0) (v 1)))",
    ],
)
def test_what_is_one_object_stays_one(source: str) -> None:
    assert answered(copied(stopped(source, "x"))).result is True


def test_what_was_a_constant_of_the_code_is_that_constant_again() -> None:
    source = "(def v [[1 2] {:a #{1}}]) (let [w v] (here) [(identical? w v) (identical? (nth w 0) (nth v 0)) (= w v)])"
    machine = Machine(code_of_source(source), memory_max=MEMORY_MAX)
    fuel = answered(machine).fuel_used
    carried = answered(copied(stopped(source)))
    assert carried.result == (True, True, True)
    assert carried.fuel_used == fuel


def test_a_frame_shared_by_continuations_stays_one_frame() -> None:
    def size_with(continuations: int) -> int:
        captured = " ".join(["(call/cc (fn [k] k))"] * continuations)
        capturing = f"(defn g [] (let [ks [{captured}]] (here) (count ks)))"
        return len(
            stopped(f"{capturing} (defn f [n] (inc (if (= n 0) (g) (f (dec n))))) (f 300)").image()
        )

    assert size_with(9) - size_with(1) < 1000 < size_with(1)


def test_versions_of_a_vector_and_a_map_share_in_the_image_what_they_share_on_the_heap() -> None:
    vectors = "(let [vs (vec (reductions conj [] (range 300)))] (here) (count (last vs)))"
    maps = "(let [ms (vec (reductions (fn [m i] (assoc m i i)) {} (range 300)))] (here) (count (last ms)))"
    for source in (vectors, maps):
        machine = stopped(source)
        assert len(machine.image()) < 60_000
        other = copied(machine)
        assert other.memory_used <= machine.memory_used
        assert answered(other).result == 300


def test_a_seq_stays_where_it_was() -> None:
    source = """
        (let [grown (into {} (map (fn [i] [i (str i)]) (range 30)))
              shrunk (reduce dissoc grown (range 27))
              seqs [(rest (seq grown)) (rest (keys grown)) (nnext (seq shrunk)) (rest (set (range 40)))
                    (rest "häß") (next (vec (range 40))) (rest (range 5)) (rest (list 1 2 3)) (rest (range 0.0 1.0 0.25))]]
          (here)
          (mapv vec seqs))"""
    straight = answered(machine_of(source))
    assert answered(copied(stopped(source))).result_text == straight.result_text


def test_keys_with_one_hash_are_found_again() -> None:
    source = """
        (let [atoms (mapv atom (range 12)) m (zipmap atoms (range)) functions (mapv (fn [i] (fn [] i)) (range 12))
              s (set functions)]
          (here)
          [(mapv m atoms) (every? s functions) (count s) (count (disj s (first functions)))])"""
    result = answered(copied(stopped(source))).result
    assert result == (tuple(range(12)), True, 12, 11)


def test_an_effect_waits_in_the_restored_machine() -> None:
    machine = copied(
        stopped('(try (str "got " (q [:find 1] {:a "b"})) (catch :default e (ex-message e)))')
    )
    assert machine.status is Status.EFFECT
    name, arguments = machine.effect
    assert (name, arguments) == ("q", ((Keyword("find"), 1), Map({Keyword("a"): "b"})))
    other = copied(machine)
    machine.resume(5)
    assert answered(machine).result == "got 5"
    other.resume_error("refused", Map())
    assert answered(copied(other)).result == "refused"


def test_the_trace_of_a_fault_comes_back() -> None:
    machine = stopped(PROGRAMS["uncaught"])
    other = copied(machine)
    assert str(other.fault) == str(machine.fault)
    assert [(entry.function, entry.times) for entry in other.fault.trace] == [("f", 1), ("f", 4)]
    assert other.fault.data == Map({Keyword("a"): (1,)})


def test_frames_look_the_same() -> None:
    machine = stopped(
        "(defn f [n] (let [twice (* 2 n)] (if (= n 0) (count (here)) (+ twice (f (dec n)))))) (f 3)"
    )
    assert copied(machine).frames() == machine.frames()


def test_out_of_memory_comes_back_as_a_status_alone() -> None:
    machine = Machine(code_of_source("(loop [l ()] (recur (cons 1 l)))"), memory_max=1 << 16)
    assert machine.run(FUEL) is Status.OUT_OF_MEMORY
    other = copied(machine)
    assert other.status is Status.OUT_OF_MEMORY
    assert other.run(FUEL) is Status.OUT_OF_MEMORY
    assert other.fuel_used == machine.fuel_used
    assert other.frames() == []


# ---- sizes and limits


def test_a_small_agent_has_a_small_image() -> None:
    deep = "(defn f [n] (if (= n 0) (count (here)) (+ (f (dec n)) n))) (f 50)"
    assert len(stopped('(str "x" (here))').image()) < 150
    assert len(stopped(deep).image()) < 1000


def test_an_image_does_not_grow_with_the_program() -> None:
    deep = "(defn f [n] (if (= n 0) (count (here)) (+ (f (dec n)) n))) (f 50)"
    unused = " ".join(f'(defn g{n} [x] (str x "unused {n}" [1 2 {n}]))' for n in range(30))
    assert len(stopped(deep + unused).image()) <= len(stopped(unused + deep).image()) + 60
    assert len(stopped(unused + deep).image()) <= len(stopped(deep).image()) + 200


def test_what_nothing_reaches_is_not_in_the_image() -> None:
    source = "(let [a (atom (vec (range 1000)))] (here) (reset! a nil) (here) @a)"
    machine = stopped(source)
    full = len(machine.image())
    machine.resume(None)
    machine.run(FUEL)
    assert len(machine.image()) < 200 < 2000 < full


def test_depth_is_no_matter() -> None:
    frames = "(defn f [n] (if (= n 0) (count (here)) (+ (f (dec n)) 1))) (f 100000)"
    nested = "(let [l (loop [i 0 l nil] (if (< i 100000) (recur (inc i) [l]) l))] (here) (count l))"
    chain = "(let [l (loop [i 0 l nil] (if (< i 100000) (recur (inc i) (cons i l)) l))] (here) (count l))"
    cells = (
        "(let [l (loop [i 0 l nil] (if (< i 100000) (recur (inc i) (atom l)) l))] (here) (atom? l))"
    )
    for source, result in ((frames, 100_004), (nested, 1), (chain, 100_000), (cells, True)):
        machine = stopped(source)
        other = copied(machine)
        assert other.memory_used <= machine.memory_used
        assert answered(other).result == result


def test_memory_and_fuel_are_those_of_the_new_place() -> None:
    machine = stopped("(let [v (vec (range 5000))] (here) (loop [] (recur)))")
    with pytest.raises(ImageInvalid, match="memory"):
        copied(machine, memory_max=1 << 14)
    other = copied(machine, memory_max=1 << 18, fuel_max=machine.fuel_used + 100)
    assert other.memory_used <= other.memory_max == 1 << 18
    assert other.fuel_used == machine.fuel_used
    other.resume(None)
    assert other.run(FUEL) is Status.OUT_OF_FUEL
    assert other.fuel_used == machine.fuel_used + 100


def test_an_agent_at_the_end_of_its_memory_has_an_image() -> None:
    machine = stopped("(let [v (vec (range 20000))] (here) (count v))")
    tight = copied(machine, memory_max=machine.memory_used)
    assert tight.image() == machine.image()


# ---- code


def test_the_programs_an_image_needs_are_named() -> None:
    machine = machine_of("(+ 1 2)")
    image = machine.image()
    assert Machine.programs_of(image) == [machine.code.program_hash, core().program_hash]
    alone = Machine(core(), memory_max=MEMORY_MAX)
    assert Machine.programs_of(alone.image()) == [core().program_hash]


def test_code_is_asked_for_once_by_its_hash() -> None:
    machine = machine_of("(+ 1 2)")
    asked = []

    def code_of(program_hash: bytes) -> Code:
        asked.append(program_hash)
        return machine.code

    Machine.restore(machine.image(), code_of, memory_max=MEMORY_MAX)
    assert asked == [machine.code.program_hash]


def test_other_code_is_refused() -> None:
    image = machine_of("(+ 1 2)").image()
    with pytest.raises(ImageInvalid, match="another program"):
        Machine.restore(image, lambda _: code_of_source("(+ 1 3)"), memory_max=MEMORY_MAX)
    alone = Machine(core(), memory_max=MEMORY_MAX).image()
    fields = msgpack.unpackb(alone)
    fields[2].append(bytes(32))
    with pytest.raises(ImageInvalid, match="core library"):
        Machine.restore(msgpack.packb(fields), lambda _: core(), memory_max=MEMORY_MAX)


def test_what_the_code_library_raises_passes_through() -> None:
    def unknown(program_hash: bytes) -> Code:
        raise LookupError(program_hash)

    with pytest.raises(LookupError):
        Machine.restore(machine_of("1").image(), unknown, memory_max=MEMORY_MAX)


def test_a_machine_that_has_not_begun_has_no_image() -> None:
    with pytest.raises(StateInvalid):
        Machine.__new__(Machine).image()
