"""What the passes say of programs holds when these run: kinds, constants, effects, dead code, on the language's own cases."""

from __future__ import annotations

import contextlib
from functools import cache

import pytest
from evaluated import noted_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from language import GLOBALS, HOST, RUNNING, Case, outcome_of, reference_core
from observed import ObservedMachine

from yang.core import core_source
from yang.errors import SourceError, SourceErrors
from yang.lower import tree_of_files, tree_of_source
from yang.passes import Subject, subject, subject_of
from yind.cesk.errors import ValueInvalid
from yind.cesk.reference import ReferenceCode

# What the machine realises lazy seqs with; the effects of those are their makers'.
REALISING = frozenset({"realize", "realize-all"})
STEPS = 20_000
# What evaluates code has a node that knows the program; here there is none.
SAMPLE = [case for case in RUNNING if case.file != "evaluation"][
    ::16
]  # each case takes a tenth of a second


@cache
def library() -> Subject:
    return subject(tree_of_files(core_source(), core=True), None, {})


def effects_of(analysed: Subject) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for function, effect in analysed.rows("effect"):
        found.setdefault(function, set()).add(effect.name)
    for function, _ in analysed.rows("calls-argument"):
        found.setdefault(function, set()).add("unknown")
    return found


def check(case_source: str) -> list[str]:
    try:
        tree = noted_tree(tree_of_source(case_source, "case", HOST))
    except (SourceError, SourceErrors):
        return []  # the case is that it does not compile
    analysed = subject_of(tree)
    code = ReferenceCode.of_tree(tree, reference_core())
    machine = ObservedMachine(code, globals=GLOBALS)
    with contextlib.suppress(AssertionError, ValueInvalid):  # it does not end, or in a function
        outcome_of(machine, fuel=STEPS, fuel_max=STEPS)
    return [
        *wrong_kinds(analysed, machine),
        *wrong_values(analysed, machine),
        *wrong_reach(analysed, machine),
        *wrong_dead(analysed, machine),
    ]


def place(analysed: Subject, node: int) -> str:
    span = analysed.ast.span(node)
    return f"{analysed.ast.kind(node)} at {span.line}:{span.column}"


def wrong_kinds(analysed: Subject, machine: ObservedMachine) -> list[str]:
    derived: dict[int, set[str]] = {}
    for node, kind in analysed.rows("kind"):
        derived.setdefault(node, set()).add(kind.name)
    return [
        f"{place(analysed, node)} is {kinds}, not {derived.get(node, set())}"
        for node, kinds in machine.kinds.items()
        if "any" not in derived.get(node, set()) and not kinds <= derived.get(node, set())
    ]


def wrong_values(analysed: Subject, machine: ObservedMachine) -> list[str]:
    return [
        f"{place(analysed, node)} is {seen!r}, not {value!r}"
        for node, value in analysed.rows("value")
        for seen in machine.values.get(node, ())
        if type(seen) is not type(value) or seen != value
    ]


def wrong_reach(analysed: Subject, machine: ObservedMachine) -> list[str]:
    own, core = effects_of(analysed), effects_of(library())
    return [
        f"{entity} {where.ast.name(entity)} reaches {effect}: {(own if code is machine.code else core).get(entity)}"
        for code, entity, effect in machine.reached
        for where in (analysed if code is machine.code else library(),)
        if not (where is not analysed and where.analysis.function_name(entity) in REALISING)
        and not {effect, "unknown"} & (own if code is machine.code else core).get(entity, set())
    ]


def wrong_dead(analysed: Subject, machine: ObservedMachine) -> list[str]:
    dead = [node for node, _ in analysed.rows("unreachable")]
    unused = [function for (function,) in analysed.rows("unused-function")]
    inside = {
        inner
        for root in dead
        for inner in range(
            root, analysed.ast.base + analysed.ast.places[root - analysed.ast.base].end + 1
        )
    }
    bodies = {
        inner
        for root in unused
        for inner in range(
            root + 1, analysed.ast.base + analysed.ast.places[root - analysed.ast.base].end + 1
        )
    }
    never = {node for (node,) in analysed.rows("never-completes")}
    return [
        *(f"dead {place(analysed, node)} ran" for node in (inside | bodies) & machine.entered),
        *(f"{place(analysed, node)} came to an end" for node in never & machine.kinds.keys()),
    ]


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.name)
def test_what_is_derived_holds_when_a_program_runs(case: Case) -> None:
    assert check(case.source) == []


# -- generated programs --

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    NAMES,
    st.sampled_from(
        [
            "0",
            "1",
            "-2",
            "1/2",
            "2.5",
            "nil",
            "true",
            "false",
            '"s"',
            ":k",
            "[]",
            "{}",
            "()",
            "#{1}",
        ]
    ),
)
UNARY = st.sampled_from(
    [
        "inc",
        "dec",
        "abs",
        "-",
        "+",
        "not",
        "count",
        "seq",
        "first",
        "rest",
        "str",
        "nil?",
        "vec",
        "f",
        "g",
    ]
)
BINARY = st.sampled_from(
    ["+", "-", "*", "/", "quot", "max", "<", "=", "conj", "cons", "get", "f", "map", "h"]
)


def expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {})".format, UNARY, inner),
        st.builds("({} {} {})".format, BINARY, inner, inner),
        st.builds("(+ {} {} {})".format, inner, inner, inner),
        st.builds("(if {} {} {})".format, inner, inner, inner),
        st.builds("(let [{} {} {} {}] {})".format, NAMES, inner, NAMES, inner, inner),
        st.builds("(do {} {})".format, inner, inner),
        st.builds("(try {} (catch Exception b {}))".format, inner, inner),
        st.builds("(throw (ex-info {} {{}}))".format, inner),
        st.builds("(fn [a] {})".format, inner),
        st.builds("((fn [{}] {}) {})".format, NAMES, inner, inner),
        st.builds(
            "(loop [a {} i 0] (if (< i 2) (recur {} (inc i)) {}))".format, inner, inner, inner
        ),
        st.builds("(letfn [(b [c] {})] (b {}))".format, inner, inner),
        st.builds("(swap! cell conj {})".format, inner),
        st.builds("(reset! cell {})".format, inner),
        st.builds("(log! (str {}))".format, inner),
        st.builds("(mapv {} [{} {}])".format, inner, inner, inner),
    )


BODY = st.recursive(LEAVES, expressions, max_leaves=10)
PROGRAM = st.builds(
    "(def cell (atom []))\n(defn h [a b] {})\n(defn g [a] {})\n"
    "(defn f ([a] {}) ([a b & c] {}))\n(let [a 1 b [2] c :c] {})".format,
    *[BODY] * 5,
)


@settings(max_examples=20)
@given(PROGRAM)
def test_what_is_derived_holds_of_generated_programs(source: str) -> None:
    assert check(source) == []


def test_the_witness_sees_what_it_is_to_see() -> None:
    tree = tree_of_source('(defn f [x] (if x (log! "a") 2)) (f 1) (f nil)', "case", HOST)
    machine = ObservedMachine(ReferenceCode.of_tree(tree, reference_core()), globals=GLOBALS)
    outcome_of(machine)
    ast = subject_of(tree).ast
    (branch,) = ast.nodes("if")
    (function,) = ast.nodes("lambda")
    assert machine.kinds[branch] == {"nil", "integer"}
    assert {effect for code, entity, effect in machine.reached if entity == function} == {"log"}
