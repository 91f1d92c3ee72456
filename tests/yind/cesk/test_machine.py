"""The machine as its node sees it: slices, effects, faults, limits, looking inside, and nothing left behind."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from importlib import resources
from threading import Thread
from uuid import UUID

import pytest

from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.compile import compile_source
from yang.core import core_segment
from yang.segment import Span
from yind.cesk import Code, Machine, StateInvalid, Status, ValueInvalid
from yind.cesk.limits import MEMORY_MAX as MEMORY_MAX_MOST
from yind.cesk.limits import MEMORY_MIN

MEMORY_MAX = 1 << 24
NO_VALUE = ...
FUEL = 1 << 26
ENDLESS = "(loop [i 0] (recur (inc i)))"
FIB = "(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (fib 15)"


@cache
def core() -> Code:
    return Code(core_segment(), None)


@cache
def code_of_source(source: str) -> Code:
    return Code(compile_source(source, "test.clj").segment, core())


def machine_of(
    source: str,
    *,
    memory_max: int = MEMORY_MAX,
    fuel_max: int | None = None,
    arguments: object = None,
) -> Machine:
    return Machine(
        code_of_source(source),
        memory_max=memory_max,
        fuel_max=fuel_max,
        globals={"*args*": arguments},
    )


def stopped(source: str, *, memory_max: int = MEMORY_MAX, arguments: object = None) -> Machine:
    """Run until an effect or the end."""
    machine = machine_of(source, memory_max=memory_max, arguments=arguments)
    assert machine.run(FUEL) is not Status.OUT_OF_FUEL
    return machine


def result_of(source: str, *, arguments: object = None) -> object:
    return stopped(source, arguments=arguments).result


# ---- slices


def test_a_new_machine_has_done_nothing() -> None:
    machine = machine_of("(+ 1 2)")
    assert machine.status is Status.OUT_OF_FUEL
    assert machine.fuel_used == 0
    assert 0 < machine.memory_used < 1000
    assert machine.memory_max == MEMORY_MAX
    assert machine.code is code_of_source("(+ 1 2)")
    assert machine.fuel_max is None


def test_a_program_runs_to_its_value() -> None:
    machine = machine_of("(+ 1 2)")
    assert machine.run(1000) is Status.DONE
    assert machine.status is Status.DONE
    assert machine.result == 3
    assert machine.result_text == "3"


def test_a_machine_that_has_ended_stays_ended() -> None:
    machine = stopped("(+ 1 2)")
    fuel = machine.fuel_used
    assert machine.run(1000) is Status.DONE
    assert machine.fuel_used == fuel
    assert machine.frames() == []


@pytest.mark.parametrize("fuel", [0, -1, -(10**30)])
def test_without_fuel_nothing_runs(fuel: int) -> None:
    machine = machine_of("(+ 1 2)")
    assert machine.run(fuel) is Status.OUT_OF_FUEL
    assert machine.fuel_used == 0


def test_more_fuel_than_a_word_holds_is_given_in_part() -> None:
    assert machine_of("(+ 1 2)").run(10**30) is Status.DONE


@pytest.mark.parametrize("slice_fuel", [1, 2, 7, 1000])
def test_slices_change_neither_result_nor_fuel(slice_fuel: int) -> None:
    whole, sliced = stopped(FIB), machine_of(FIB)
    slices = 0
    while sliced.run(slice_fuel) is Status.OUT_OF_FUEL:
        slices += 1
    assert sliced.result == whole.result == 610
    assert sliced.fuel_used == whole.fuel_used
    assert slices == (whole.fuel_used - 1) // slice_fuel


def test_a_slice_takes_the_fuel_it_was_given() -> None:
    machine = machine_of(ENDLESS)
    for slices in range(1, 20):
        assert machine.run(10) is Status.OUT_OF_FUEL
        assert machine.fuel_used == 10 * slices


def test_work_of_host_functions_costs_fuel() -> None:
    few = stopped("(count (vec (range 100)))").fuel_used
    many = stopped("(count (vec (range 10000)))").fuel_used
    assert many > few + 500


def test_the_fuel_of_a_life_is_bounded() -> None:
    machine = machine_of(ENDLESS, fuel_max=100)
    assert machine.run(60) is Status.OUT_OF_FUEL
    assert machine.run(60) is Status.OUT_OF_FUEL
    assert machine.fuel_used == 100
    assert machine.run(60) is Status.OUT_OF_FUEL
    assert machine.fuel_used == 100
    assert machine.fuel_max == 100


def test_two_machines_of_one_code_do_not_know_each_other() -> None:
    source = "(def cell (atom 0)) (swap! cell + *args*) (swap! cell + *args*) @cell"
    first, second = machine_of(source, arguments=1), machine_of(source, arguments=10)
    while Status.OUT_OF_FUEL in (first.status, second.status):
        first.run(1)
        second.run(1)
    assert (first.result, second.result) == (2, 20)


def test_a_machine_that_runs_in_another_thread_is_left_alone() -> None:
    """It runs without the interpreter's lock, so this thread sees it while it does."""
    machine = machine_of(ENDLESS)
    thread = Thread(target=machine.run, args=(20_000_000,))
    refused = 0
    thread.start()
    while thread.is_alive():
        try:
            machine.frames()
        except StateInvalid:
            refused += 1
    assert refused > 0
    assert machine.frames()
    assert machine.fuel_used == 20_000_000


# ---- values in and out


VALUES = [
    *(None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, 10**40, 1.5, Fraction(2, 3)),
    *("", "häß🐍", Char("x"), Keyword("a/b"), Symbol("s"), b"\0\xff", UUID(int=7)),
    *((), (1, (2, "x")), List((1, 2)), List(), Map({1: "a"}), Map(), Set((1, 2)), Set()),
    datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_given_comes_out_again(value: object) -> None:
    result = result_of("*args*", arguments=value)
    assert result == value
    assert type(result) is type(value)


def test_names_the_program_does_not_mention_are_ignored() -> None:
    machine = Machine(
        code_of_source("1"), memory_max=MEMORY_MAX, globals={"*args*": 1, "nothing": 2}
    )
    assert machine.run(FUEL) is Status.DONE


@pytest.mark.parametrize(
    "value", [NO_VALUE, [1], {1: 2}, {1}, (1, [2]), Map({1: NO_VALUE})], ids=str
)
def test_what_is_no_value_is_refused(value: object) -> None:
    with pytest.raises(ValueInvalid):
        machine_of("*args*", arguments=value)


def test_a_result_is_realised() -> None:
    machine = stopped("{:a (map inc [1 2])}")
    assert machine.result == Map({Keyword("a"): List((2, 3))})
    assert machine.result_text == "{:a (2 3)}"


@pytest.mark.parametrize(
    "source", ["(fn f [x] x)", "(atom 1)", "[+]", '(ex-info "a" {})', "(call/cc (fn [k] k))"]
)
def test_a_result_without_data_form_has_text(source: str) -> None:
    machine = stopped(source)
    assert "#" in machine.result_text
    with pytest.raises(ValueInvalid):
        _ = machine.result


def test_values_nested_deep_come_out() -> None:
    machine = stopped("(loop [i 0 v []] (if (< i 100000) (recur (inc i) [v]) v))")
    value, depth = machine.result, 0
    while value:
        assert isinstance(value, tuple)
        (value,) = value
        depth += 1
    assert depth == 100_000
    assert machine.result_text.count("[") == 100_001


# ---- effects


def test_an_effect_ends_the_slice_with_its_name_and_arguments() -> None:
    machine = stopped('(q [:find "x"] {:a (map inc [1])} 1.5)')
    assert machine.status is Status.EFFECT
    assert machine.effect == ("q", ((Keyword("find"), "x"), Map({Keyword("a"): List((2,))}), 1.5))


def test_an_effect_waits_until_it_is_answered() -> None:
    machine = stopped("(here)")
    fuel = machine.fuel_used
    assert machine.run(1000) is Status.EFFECT
    assert machine.fuel_used == fuel


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_an_answer_is_the_value_of_the_effect(value: object) -> None:
    machine = stopped("[(here) 1]")
    machine.resume(value)
    assert machine.run(FUEL) is Status.DONE
    assert machine.result == (value, 1)


def test_effects_can_stand_anywhere() -> None:
    source = """
        (defn ask [] (here))
        [(ask) (apply log! ["a"]) (mapv (fn [_] (here)) [1 2]) (let [f here] (f)) (if (here) (here) 0)]"""
    machine = stopped(source)
    answers = iter(range(1, 100))
    names = []
    while machine.status is Status.EFFECT:
        names.append(machine.effect[0])
        machine.resume(next(answers))
        machine.run(FUEL)
    assert machine.result == (1, 2, (3, 4), 5, 7)
    assert names == ["here", "log!", "here", "here", "here", "here", "here"]


def test_an_answer_that_is_no_value_leaves_the_effect_waiting() -> None:
    machine = stopped("(here)")
    with pytest.raises(ValueInvalid):
        machine.resume(object())
    assert machine.status is Status.EFFECT
    machine.resume(1)
    assert machine.run(FUEL) is Status.DONE


def test_an_answer_that_does_not_fit_ends_the_agent() -> None:
    machine = stopped("(count (here))", memory_max=1 << 14)
    machine.resume("x" * (1 << 15))
    assert machine.status is Status.OUT_OF_MEMORY


def test_a_refused_effect_can_be_caught() -> None:
    machine = stopped("(try (here) (catch ExceptionInfo e [(ex-message e) (ex-data e)]))")
    machine.resume_error("refused", Map({Keyword("why"): 1}))
    assert machine.status is Status.OUT_OF_FUEL
    assert machine.run(FUEL) is Status.DONE
    assert machine.result == ("refused", Map({Keyword("why"): 1}))


def test_a_refused_effect_runs_finally_blocks_and_callers_handlers() -> None:
    source = """
        (defn f [log] (try (inc (here)) (finally (swap! log conj :finally))))
        (let [log (atom [])] (try (f log) (catch :default e (conj @log (ex-message e)))))"""
    machine = stopped(source)
    machine.resume_error("refused", Map())
    machine.run(FUEL)
    assert machine.result == (Keyword("finally"), "refused")


def test_a_refused_effect_that_nobody_catches_is_a_fault_where_it_was_asked() -> None:
    machine = stopped("(defn f []\n  (inc (here)))\n(inc (f))")
    machine.resume_error("refused", Map({Keyword("why"): 1}))
    assert machine.status is Status.FAULT
    assert machine.fault.message == "refused"
    assert machine.fault.data == Map({Keyword("why"): 1})
    assert [(entry.function, entry.span.line) for entry in machine.fault.trace] == [
        ("f", 2),
        ("top level", 3),
    ]


def test_the_trace_names_the_file_of_the_core_library() -> None:
    machine = stopped("(first\n  (map (fn [x] (throw x)) [1]))")
    assert [(entry.function, entry.source) for entry in machine.fault.trace[1:]] == [
        ("fn", "seqs.clj"),
        ("realize", "seqs.clj"),
        ("top level", "test.clj"),
    ]
    lines = (resources.files("yang") / "lib" / "seqs.clj").read_text().split("\n")
    assert "(cons (f (first left))" in lines[machine.fault.trace[1].span.line - 1]


@pytest.mark.parametrize(
    "argument", ["(fn [x] x)", "inc", "(atom 1)", "[(call/cc (fn [k] k))]", "{:a {:b +}}"]
)
def test_an_effect_takes_data_only(argument: str) -> None:
    machine = stopped(f"(log! {argument})")
    assert machine.status is Status.FAULT
    assert "effect: expected data" in machine.fault.message


def test_data_that_looks_like_an_effect_is_data() -> None:
    assert result_of("[['here] {:effect :here} (symbol \"here\") '(here)]") == (
        (Symbol("here"),),
        Map({Keyword("effect"): Keyword("here")}),
        Symbol("here"),
        List((Symbol("here"),)),
    )


# ---- what a status allows


def test_each_status_has_its_own_questions() -> None:
    done, waiting, fault = stopped("1"), stopped("(here)"), stopped("(/ 1 0)")
    for machine in (done, fault, machine_of("1")):
        with pytest.raises(StateInvalid):
            _ = machine.effect
        with pytest.raises(StateInvalid):
            machine.resume(1)
        with pytest.raises(StateInvalid):
            machine.resume_error("x", Map())
    for machine in (waiting, fault, machine_of("1")):
        with pytest.raises(StateInvalid):
            _ = machine.result
        with pytest.raises(StateInvalid):
            _ = machine.result_text
    for machine in (waiting, done, machine_of("1")):
        with pytest.raises(StateInvalid):
            _ = machine.fault


def test_a_machine_begins_once() -> None:
    machine = machine_of("1")
    with pytest.raises(StateInvalid):
        machine.__init__(code_of_source("2"), memory_max=MEMORY_MAX)  # type: ignore[misc]
    assert machine.run(FUEL) is Status.DONE
    assert machine.result == 1


# ---- faults

FAULTS = {
    "type": ("(+ 1 nil)", "nil"),
    "arity": ("((fn [x] x))", "wrong number of arguments (0)"),
    "not-a-function": ("(5 1)", "is not a function"),
    "arithmetic": ("(/ 1 0)", "zero"),
    "index": ("(nth [1] 5)", "index"),
    "unbound": ("later", "later is not defined"),
    "argument": ("(hash-map 1)", "hash-map"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_has_kind_and_message(kind: str) -> None:
    body, message = FAULTS[kind]
    machine = stopped(f"(defn f [] (str {body})) (str (f)) (def later 1)")
    assert machine.status is Status.FAULT
    assert message in machine.fault.message
    assert machine.fault.data == Map({Keyword("fault"): Keyword(kind)})
    assert machine.fault.trace[0].function == "f"


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_can_be_caught(kind: str) -> None:
    body, _ = FAULTS[kind]
    caught = "(try (f) (catch :default e (:fault (ex-data e))))"
    source = f"(defn f [] (str {body})) (let [kind {caught}] (def later 1) kind)"
    assert result_of(source) == Keyword(kind)


def test_an_uncaught_error_has_the_trace_of_the_throw() -> None:
    source = (
        '(defn g [x]\n  (throw (ex-info "no" {:x x})))\n(defn f [x]\n  (inc (g x)))\n(str (f 1))'
    )
    fault = stopped(source).fault
    assert fault.message == "no"
    assert fault.data == Map({Keyword("x"): 1})
    program = fault.trace[0].program_hash
    assert program == compile_source(source, "test.clj").segment.program_hash
    assert fault.trace[0][:4] == ("g", "test.clj", Span(2, 3, 2, 32), program)
    assert fault.trace[0].node < fault.trace[1].node
    assert str(fault).splitlines() == [
        "no",
        "  {:x 1}",
        "  at g (test.clj:2:3)",
        "  at f (test.clj:4:8)",
        "  at top level (test.clj:5:6)",
    ]


def test_calls_alike_are_told_once() -> None:
    source = "(defn f [n]\n  (if (= n 0)\n    (/ 1 n)\n    (inc (f (dec n)))))\n(str (f 100000))"
    fault = stopped(source).fault
    assert [entry.times for entry in fault.trace] == [1, 100_000, 1]
    assert str(fault).splitlines() == [
        "Divide by zero",
        "  at f (test.clj:3:5)",
        "  at f (test.clj:4:10)",
        "  ... 99,999 more",
        "  at top level (test.clj:5:6)",
    ]


def test_of_a_deep_stack_both_ends_are_told() -> None:
    source = "(declare g)\n(defn f [n] (if (= n 0) (/ 1 n) (inc (g (dec n)))))\n(defn g [n] (inc (f n)))\n(str (f 10000))"
    trace = stopped(source).fault.trace
    assert len(trace) == 49
    assert sum(entry.times for entry in trace) == 20_002
    assert [entry.function for entry in trace[30:35]] == ["f", "g", "", "f", "g"]
    assert trace[-1].function == "top level"


def test_a_cause_is_told_with_its_own() -> None:
    source = """
        (try (try (throw (ex-info "inner" {:a 1})) (catch :default e (throw (ex-info "middle" {} e))))
          (catch :default e (throw (ex-info "outer" {:b 2} e))))"""
    fault = stopped(source).fault
    assert fault.cause is not None
    assert fault.cause.cause is not None
    assert fault.cause.cause.data == Map({Keyword("a"): 1})
    told = str(fault).splitlines()
    assert [line for line in told if not line.startswith("  at ")] == [
        "outer",
        "  {:b 2}",
        "caused by: middle",
        "caused by: inner",
        "  {:a 1}",
    ]


def test_an_error_with_data_that_has_no_form_is_still_told() -> None:
    fault = stopped('(throw (ex-info "no" {:f inc}))').fault
    assert fault.message == "no"
    assert fault.data == Map()
    assert fault.data_text == "{:f #function[inc]}"


def test_a_machine_that_faulted_stays_so() -> None:
    machine = stopped("(/ 1 0)")
    fuel = machine.fuel_used
    assert machine.run(1000) is Status.FAULT
    assert machine.fuel_used == fuel


# ---- memory


def test_memory_beyond_the_bound_ends_the_agent() -> None:
    machine = stopped(
        "(try (loop [l ()] (recur (cons 1 l))) (catch :default e :caught))", memory_max=1 << 16
    )
    assert machine.status is Status.OUT_OF_MEMORY
    assert machine.memory_used <= 1 << 16
    assert machine.run(1000) is Status.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "source",
    [
        "(defn f [n] (inc (f (inc n)))) (f 0)",
        "(loop [v []] (recur (conj v v)))",
        '(loop [s "ab"] (recur (str s s)))',
        "(loop [m {} i 0] (recur (assoc m i i) (inc i)))",
        "(loop [s #{} i 0] (recur (conj s (str i)) (inc i)))",
        "(loop [k nil] (recur (fn [] k)))",
        "(let [a (atom nil)] (loop [] (reset! a [@a @a]) (recur)))",
        "(loop [n 3] (recur (* n n)))",
        "(apply + (repeat 1000000 1))",
        "(reduce conj () (iterate inc 0))",
    ],
)
def test_no_program_takes_more_memory_than_it_may(source: str) -> None:
    machine = machine_of(source, memory_max=1 << 16)
    machine.run(1 << 20)
    assert machine.status in (Status.OUT_OF_MEMORY, Status.FAULT, Status.OUT_OF_FUEL)
    assert machine.memory_used <= 1 << 16


@pytest.mark.parametrize("memory_max", [0, MEMORY_MIN - 1, MEMORY_MAX_MOST + 1])
def test_a_bound_that_makes_no_sense_is_refused(memory_max: int) -> None:
    with pytest.raises(ValueError, match="memory_max"):
        machine_of("1", memory_max=memory_max)


def test_a_machine_too_small_to_begin_is_out_of_memory() -> None:
    slots = " ".join(f"a{n} {n}" for n in range(400))
    machine = machine_of(f"(let [{slots}] (here))", memory_max=MEMORY_MIN)
    assert machine.status is Status.OUT_OF_MEMORY
    assert machine.run(10) is Status.OUT_OF_MEMORY


# Each is run a few and many times: what is alive afterwards must be the same.
REPEATED = {
    "calls": "((fn f [n] (if (= n 0) 0 (inc (f (dec n))))) 20)",
    "closures": "(reduce + (map (fn [x] (let [y x] ((fn [] (* x y))))) (range 10)))",
    "collections": "[(count (assoc (zipmap (range 30) (range)) :a 1)) (peek (pop (vec (range 70))))]",
    "sets and removal": "(count (reduce disj (set (range 50)) (range 45)))",
    "texts": '(count (apply str (map (fn [n] (subs (str n "abc" :k) 1)) (range 20))))',
    "numbers": "(- (reduce * (range 1 30)) (/ 1 3))",
    "lazy seqs": "(count (take 5 (filter odd? (map inc (iterate inc 1)))))",
    "errors": '(try (try (throw (ex-info "a" {:n [1]})) (finally 1)) (catch :default e (count (ex-message e))))',
    "faults": "(try (+ 1 (count 5)) (catch :default e 1))",
    "continuations": "(+ 1 (call/cc (fn [k] (mapv (fn [x] (if (= x 2) (k x) x)) [1 2 3]))))",
    "atoms": "(let [a (atom {})] (swap! a assoc :x [1]) (compare-and-set! a 1 2) @a)",
    "comparisons": "(sort-by first (map (fn [x] [(mod (* x 7) 10) (= [x] (list x))]) (range 10)))",
    "printing": '(pr-str {:a [1 2.5 "x"] :b (map inc [1 2]) :c #{1/2} :f inc})',
    "application": "(apply max 1 2 (map (fn [x] (* x x)) (range 5)))",
    "effects": '(str (here) (try (log! "a") (catch :default e (ex-message e))))',
}


def memory_after(body: str, times: int) -> int:
    machine = machine_of(f"(loop [i 0] (if (< i {times}) (do {body} (recur (inc i))) i))")
    while machine.status in (Status.OUT_OF_FUEL, Status.EFFECT):
        if machine.status is Status.EFFECT and machine.effect[0] == "log!":
            machine.resume_error("refused", Map({Keyword("why"): "no"}))
        elif machine.status is Status.EFFECT:
            machine.resume((1, "two"))
        machine.run(50)
    assert machine.result == times
    return machine.memory_used


@pytest.mark.parametrize("body", REPEATED.values(), ids=REPEATED)
def test_nothing_is_left_behind(body: str) -> None:
    assert memory_after(body, 40) == memory_after(body, 3)


# ---- looking inside


def test_frames_show_functions_places_and_locals() -> None:
    source = "(defn f [n]\n  (let [twice (* 2 n)]\n    (+ twice (count (here)))))\n(str (f 21))"
    machine = stopped(source)
    inner, outer = machine.frames()
    assert inner.function == "f"
    assert inner.program_hash == machine.code.program_hash
    assert (inner.span.line, inner.span.column) == (3, 21)
    assert dict(inner.locals)["n"] == "21"
    assert dict(inner.locals)["twice"] == "42"
    assert outer.function == "top level"
    assert outer.span.line == 4
    segment = machine.code.segment
    assert segment.spans[inner.node] == inner.span
    assert segment.nodes[inner.pc] == inner.node


def test_frames_between_slices_show_where_it_will_go_on() -> None:
    machine = machine_of("(loop [i 0]\n  (recur (inc i)))")
    machine.run(5)
    (frame,) = machine.frames()
    assert frame.function == "top level"
    assert frame.span.line == 2
    before = dict(frame.locals)["i"]
    machine.run(5)
    assert int(dict(machine.frames()[0].locals)["i"]) == int(before) + 5


def test_frames_of_a_fault_are_those_of_the_throw() -> None:
    machine = stopped("(defn f [x] (+ (nth [] x) x)) (str (f 3))")
    assert [frame.function for frame in machine.frames()] == ["f", "top level"]
    assert dict(machine.frames()[0].locals)["x"] == "3"


def test_looking_at_a_deep_or_large_machine_is_bounded() -> None:
    machine = stopped(
        "(defn f [n v] (if (= n 0) (count (here)) (inc (f (dec n) v)))) (f 5000 (vec (range 5000)))"
    )
    frames = machine.frames()
    assert len(frames) == 200
    assert all(len(text) < 300 for frame in frames for _, text in frame.locals)


def test_looking_changes_nothing() -> None:
    machine = stopped("(let [m {:a (map inc [1 2])} n 5] (here) m)")
    image, memory = machine.image(), machine.memory_used
    machine.frames()
    _ = machine.effect
    assert machine.image() == image
    assert machine.memory_used == memory


def test_a_program_without_a_core_library_runs() -> None:
    segment = compile_source("(loop [i 0] (if (< i 5) (recur (inc i)) i))", "test.clj").segment
    machine = Machine(Code(segment, None), memory_max=MEMORY_MAX)
    assert machine.run(FUEL) is Status.DONE
    assert machine.result == 5
