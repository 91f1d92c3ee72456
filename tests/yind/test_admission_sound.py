"""Policies miss nothing: what a program reaches when it runs, from wherever it stood before, was told.

Generated programs are run; whenever they stop, `reaches` is asked from there. Whatever they do later on the machine has
to be among the answers. The programs hand functions on in every way there is: names, data, cells, continuations, apply.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.value import Map
from yang.compile import compile_program, compile_source
from yang.core import core_segment
from yang.policy import Policy, code_of, judge, read_policy
from yind.admission import facts_of_standing
from yind.cesk import Code, Machine, Status
from yind.cesk.standing import standing

FUEL, STOPS = 200_000, 8
SEEN = """
[[(violation ?program ?effect) (reaches ?node ?effect) [?program :ast/type :program]]]
"""


@cache
def watched() -> Policy:
    return read_policy(SEEN, "seen.edn")


@cache
def core() -> Code:
    return Code(core_segment(), None)


EFFECTS = {
    "transact!": ":stream/write",
    "log!": ":log",
    "hop!": ":node/hop",
    "here": ":node/look",
    "now": ":clock",
}


@st.composite
def calls(draw: st.DrawFn, depth: int = 3) -> str:
    """An expression that may do something, or gives a function that may."""
    leaf = ['(transact! "log" [])', '(log! "x")', '(hop! "beta")', "(here)", "1", "(now)"]
    if depth == 0:
        return draw(st.sampled_from(leaf))
    inner = calls(depth=depth - 1)
    shape = draw(
        st.sampled_from(
            [
                "(do {} {} {})",
                "(let [f (fn [] {})] {} (f))",
                "(let [f (fn [g] (g))] (f (fn [] {})) {})",
                "(let [m {{:a (fn [] {}) :b (fn [] {})}}] {} ((get m (if (= (rand-here) 1) :a :b))))",
                "(run! (fn [x] {}) [1 2])",
                "(apply (fn [x y] {}) [1 2])",
                "(do (reset! cell (fn [] {})) {} (@cell))",
                "(do (reset! cell (fn [] {})) {})",
                "(loop [i 0] (when (< i 2) {} {} (recur (inc i))))",
                "(if (= (rand-here) 1) {} {})",
                '(try (throw (ex-info "e" {{:f (fn [] {})}})) (catch Exception e {} ((:f (ex-data e)))))',
                "(doall (map (fn [x] {}) [1 2]))",
                "(call/cc (fn [k] {} (k (fn [] {}))))",
                "(let [s (map (fn [x] {}) [1 2])] {} (first s))",
                "(let [f (comp (fn [x] {}) (fn [x] {}))] {} (f 1))",
                "(helper (fn [] {}))",
                "(do {} (helper log-it))",
                "(do {} (other 1))",
                "(let [f (partial (fn [x y] {}) 1)] {} (f 2))",
                "(try {} (finally {}))",
                "(do (swap! cells conj (fn [] {})) {} ((peek @cells)))",
                "(reduce (fn [a b] {}) 0 [1 2])",
                "(letfn [(a [n] (if (< n 1) {} (b (dec n)))) (b [n] (a n))] (a 2) {})",
            ]
        )
    )
    return shape.format(*(draw(inner) for _ in range(shape.count("{}"))))


@st.composite
def programs(draw: st.DrawFn) -> str:
    return "\n".join(
        [
            "(def cell (atom (fn [] 0)))",
            "(def cells (atom [(fn [] 0)]))",
            "(defn rand-here [] (count (str (here))))",
            "(defn helper [f] (f))",
            f"(defn log-it [] {draw(calls(depth=1))})",
            f"(defn other [n] (if (= n 1) {draw(calls(depth=1))} (helper log-it)))",
            f"(defn unused [] {draw(calls(depth=2))})",
            *draw(st.lists(calls(depth=3), min_size=1, max_size=3)),
        ]
    )


def answer(name: str) -> object:
    return {"here": "a", "transact!": Map(), "hop!": "beta"}.get(name)


def reached_from(machine: Machine, code: object) -> frozenset[str]:
    facts = facts_of_standing(standing(machine), code.hash)  # type: ignore[attr-defined]
    told = judge([watched()], code, facts)  # type: ignore[arg-type]
    return frozenset(each.message for each in told.violations)


@settings(max_examples=20)
@given(programs())
def test_what_a_program_does_was_reachable_from_everywhere_it_stood(text: str) -> None:
    check(text)


def check(text: str) -> None:
    program = compile_source(text, "generated.clj").program
    code = code_of(program)
    machine = Machine(Code(compile_program(program).segment, core()), memory_max=1 << 26)
    expected: list[frozenset[str]] = [reached_from(machine, code)]
    while len(expected) <= STOPS:
        status = machine.run(FUEL)
        if status is not Status.EFFECT:
            break
        name, _ = machine.effect
        effect = EFFECTS[name]
        expected.append(reached_from(machine, code))
        for number, told in enumerate(expected):
            assert effect in told, (number, len(expected), name, told)
        machine.resume(answer(name))


@pytest.mark.parametrize(
    "text",
    [
        '(let [f (fn [] (transact! "log" []))] (hop! "b") (f))',
        '(def f [transact!]) (hop! "b") ((first f) "log" [])',
        '(run! (fn [x] (hop! "b") (transact! "log" [])) [1 2])',
        '(loop [i 0] (when (< i 3) (when (= i 1) (transact! "log" [])) (hop! "b") (recur (inc i))))',
        '(defn f [i] (when (< i 3) (when (= i 1) (transact! "log" [])) (hop! "b") (f (inc i)))) (f 0)',
        '(try (hop! "b") (throw (ex-info "x" {})) (catch Exception e (transact! "log" [])))',
        '(try (hop! "b") (finally (transact! "log" [])))',
        '(def k (atom nil)) (call/cc (fn [c] (reset! k c))) (transact! "log" []) (when @k (let [c @k] (reset! k nil) (hop! "b") (c 1)))',
        '(def s (map (fn [x] (transact! "log" x)) [[] []])) (hop! "b") (first s)',
        '(hop! "b") (run! log! ["a"])',
        '(run! println ["a" "b"])',
        '(let [v (vec (repeat 40 transact!))] (hop! "b") ((nth v 3) "log" []))',
        '(let [m (sorted-map-by (fn [a b] (hop! "b") (compare a b)) 1 2)] (assoc m 3 4))',
    ],
)
def test_a_write_behind_a_hop_was_reachable(text: str) -> None:
    check(text)


def test_what_lies_behind_is_not_reached_again() -> None:
    text = '(defn save [] (transact! "log" [])) (save) (hop! "b") (q (quote [:find ?x :where [?x :a]]) "log")'
    program = compile_source(text, "generated.clj").program
    machine = Machine(Code(compile_program(program).segment, core()), memory_max=1 << 26)
    code = code_of(program)
    assert ":stream/write" in reached_from(machine, code)
    while machine.run(FUEL) is Status.EFFECT and machine.effect[0] != "hop!":
        machine.resume(Map())
    assert reached_from(machine, code) == {":node/hop", ":stream/read"}


def test_every_shipped_policy_is_read() -> None:
    for path in sorted((Path(__file__).parents[2] / "policy").glob("*.edn")):
        assert read_policy(path.read_text(), path.name).name == path.stem
