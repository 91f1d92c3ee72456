"""Calls of literals are constants in the code; what programs come to, and what they are, stays the same."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from modes import Trail, Walker, moved_everywhere, program_of

from datomstore.value import Char, Keyword
from yang import rules
from yang.canonical import encode
from yang.compile import Compiled, compile_source
from yang.disassemble import disassemble
from yang.errors import SourceError, SourceErrors
from yang.folding import FOLDED, rows_of, values_of
from yang.isa import INSTRUCTIONS
from yang.limits import FOLDED_BYTES_MAX
from yang.lower import tree_of_source
from yang.program import program_of as shipped
from yang.units import Units

LITERALS = st.sampled_from(
    [*["0", "1", "-1", "2", "7", "-8", "63", "9223372036854775807", "-9223372036854775808", "12345678901234567890"],
     *["1.5", "-0.25", "0.0", "-0.0", "1e300", "1/2", "nil", "true", "false", '""', '"ab"', ":k", ":n/k", "\\a"]]
)  # fmt: skip
ORDERS = ("<", "<=", ">", ">=")


def call(name: str, arguments: list[str]) -> str:
    return f"({name} {' '.join(arguments)})"


EXPRESSIONS = st.recursive(
    LITERALS,
    lambda inner: st.one_of(
        st.builds(call, st.sampled_from(ORDERS), st.lists(inner, min_size=2, max_size=4)),
        st.builds(call, st.sampled_from(sorted(FOLDED - set(ORDERS))), st.lists(inner, max_size=4)),
    ),
    max_leaves=8,
)


def compiled(text: str) -> Compiled:
    return compile_source(text, "fold.clj", units=Units())


def constants(text: str) -> list[object]:
    """The constants of code that are no literals of its text."""
    found = compiled(text)
    return list(values_of(found.tables["folded"]).values())


@settings(phases=[Phase.generate])
@given(EXPRESSIONS)
def test_a_call_of_literals_comes_to_what_it_does_when_it_is_run(expression: str) -> None:
    text = f"(try {expression} (catch Exception e :failed))"  # compiled, > may be told as <
    try:
        program = program_of(text, "fold.clj")
    except (SourceError, SourceErrors):
        return  # a wrong number of arguments
    assert Walker("fold.clj").finish(program.compiled_machine()) == Walker("fold.clj").finish(
        program.direct_machine()
    )


def test_the_functions_that_are_folded_are_those_that_the_rules_know() -> None:
    named: set[object] = set()
    stack: list[object] = [rules.load("constants")]
    while stack:
        part = stack.pop()
        if isinstance(part, tuple):
            stack.extend(part)
        elif isinstance(part, str):
            named.add(part)
    assert named == FOLDED


def test_the_tree_and_its_hash_are_those_of_the_text() -> None:
    text = "(def day (* 60 60 24))"
    found = compiled(text)
    assert found.program.hash == shipped(tree_of_source(text, "fold.clj")).hash
    assert [item.kind.name for item in found.tree.items].count("literal") == 3
    assert constants(text) == [86400]


def test_the_step_of_a_constant_is_that_of_the_call() -> None:
    found = compiled("(def a\n  (str 'x\n    (+ 1 2)))")
    steps = [
        (INSTRUCTIONS[opcode].name, found.segment.spans[node])
        for opcode, node in zip(found.segment.code[::16], found.segment.nodes, strict=True)
    ]
    assert [tuple(span) for name, span in steps if name == "const"][-1] == (3, 5, 3, 12)
    folded = [datom for datom in found.exec_datoms if datom.a is Keyword("exec/node")]
    assert {datom.v for datom in folded} == {
        found.base + node for node in found.segment.nodes
    }  # each of which is a node of the tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(+ 1 (* 2 3))", [7]),
        ("(def x 1) (+ x (* 2 3))", [6]),
        ("(fn [x] [(- 1) (str \"a\" \"b\") (name :k)])", [-1, "ab", "k"]),
        ("(let [+ -] (+ 1 2))", []),
        ("(let [+ -] (+ 1 2)) (+ 1 2)", [3]),
        ("(defn f [inc] (inc 1)) (inc 1)", [2]),
        ("(defn inc [x] (+ x 100)) (inc 1)", []),
        ("(quot 1 0)", []),
        ("(+ 1 :a)", []),
        ("(+ 1 nil)", []),
        ("((+ 1 2) 3)", []),
        ("((str \"a\") 1)", []),
        ("(:k {})", []),
        ("(println \"a\")", []),
        ("(if (= 1 1) (+ 1 1) (- 1))", [True, 2, -1]),
        ("(* 4611686018427387904 4611686018427387904)", [1 << 124]),
        (f'(str "{"a" * 200}" "b")', ["a" * 200 + "b"]),
        (f'(str "{"a" * 255}" "{"b" * 255}")', []),
    ],
)  # fmt: skip
def test_only_what_is_safe_is_folded(text: str, expected: list[object]) -> None:
    assert constants(text) == expected


def test_a_constant_is_an_operand_of_instructions_as_literals_are() -> None:
    text = disassemble(compiled("(defn f [x] (if (< x (* 2 8)) (+ x (- 5 2)) 0))").segment)
    assert "unless-less-constant" in text
    assert "add-constant" in text


def test_what_a_unit_folds_depends_on_the_unit_alone() -> None:
    units = Units()
    first = compile_source("(defn f [] (+ 1 2)) (f)", "a.clj", units=units)
    again = compile_source("(defn g [+] +) (defn f [] (+ 1 2)) (f)", "a.clj", units=units)
    anew = compile_source("(defn g [+] +) (defn f [] (+ 1 2)) (f)", "a.clj", units=Units())
    assert again.segment == anew.segment
    assert len(first.anew) == 2
    assert len(again.anew) == 1


@pytest.mark.parametrize(
    "value",
    [0, -1, 1 << 125, 1.5, "", "ab", "ä" * 20, Keyword("a/b"), Char("x"), True, None],
)
def test_constants_are_kept_as_rows_of_numbers(value: object) -> None:
    rows = rows_of({3: value, 9: value})
    assert len(encode(value)) <= FOLDED_BYTES_MAX
    assert rows.max() < 1 << 31
    assert rows.min() >= 0
    assert values_of(rows) == {3: value, 9: value}


def test_a_program_in_the_midst_of_a_call_that_is_folded_can_be_moved() -> None:
    program = program_of('(let [x (inc (+ 1 (* 2 3)))] [x (str "a" (str "b" "c"))])', "fold.clj")
    whole = Walker("fold.clj").finish(program.compiled_machine())

    def same(trail: Trail, fuel: int) -> None:
        assert trail == whole, fuel

    assert moved_everywhere(program, Walker("fold.clj"), same, 10_000) == whole
