"""Compiling unit by unit: what is derived anew after a change, and that it makes no difference."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from yang.compile import Compiled, compile_program, compile_source
from yang.units import Derived, Units

PROGRAM = [
    "(defn half [n] (quot n 2))",
    "(defn steps [n] (loop [n n k 0] (if (= n 1) k (recur (if (even? n) (half n) (inc (* 3 n))) (inc k)))))",
    "(def limit 30)",
    "(defn longest [] (apply max (map steps (range 1 limit))))",
    "(println (longest) (steps 27))",
]


def compiled(statements: list[str], units: Units) -> Compiled:
    return compile_source("\n".join(statements), "u.clj", units=units)


def anew(statements: list[str], units: Units) -> list[int]:
    """Return the numbers of the units that are derived anew."""
    made = compiled(statements, units)
    return [number for number, unit in enumerate(made.units) if unit.key in made.anew]


def changed(place: int, text: str) -> list[str]:
    return [*PROGRAM[:place], text, *PROGRAM[place + 1 :]]


def test_all_units_are_derived_once() -> None:
    units = Units()
    assert anew(PROGRAM, units) == [0, 1, 2, 3, 4]
    assert anew(PROGRAM, units) == []


def test_a_change_inside_a_function_derives_that_function() -> None:
    units = Units()
    anew(PROGRAM, units)
    assert anew(changed(0, "(defn half [n] (bit-shift-right n 1))"), units) == [0]


def test_a_change_of_what_a_function_takes_derives_those_who_name_it() -> None:
    units = Units()
    anew(PROGRAM, units)
    assert anew(changed(0, "(defn half ([n] (half n 2)) ([n k] (quot n k)))"), units) == [0, 1]


def test_a_function_that_becomes_a_value_derives_those_who_name_it() -> None:
    units = Units()
    anew(PROGRAM, units)
    assert anew(changed(1, "(def steps count)"), units) == [1, 3, 4]


def test_a_second_definition_derives_those_who_name_it() -> None:
    units = Units()
    anew(PROGRAM, units)
    more = "(def limit 40)"  # it was a value already
    assert anew([*PROGRAM[:4], more, PROGRAM[4]], units) == [4]
    assert anew([*PROGRAM[:4], "(defn half [n] n)", PROGRAM[4]], units) == [0, 1, 4]


def test_what_moves_or_is_commented_is_not_derived_anew() -> None:
    units = Units()
    anew(PROGRAM, units)
    assert anew(["; halves", *PROGRAM[1::-1], "", *PROGRAM[2:]], units) == []


def test_the_last_statement_is_the_value_of_the_program() -> None:
    units = Units()
    anew(PROGRAM, units)
    assert anew(PROGRAM[:4], units) == [3]


def test_results_that_were_kept_as_bytes_make_the_same_code() -> None:
    first = compiled(PROGRAM, Units())
    store = {key: derived.to_bytes() for key, derived in first.anew.items()}
    again = compiled(PROGRAM, Units(find=store.get))
    assert not again.anew
    assert again.segment == first.segment
    assert again.exec_datoms == first.exec_datoms


def test_what_was_longest_unused_is_forgotten() -> None:
    units = Units(bytes_max=1)
    anew(PROGRAM, units)
    assert anew(PROGRAM, units) == [0, 1, 2, 3]


def test_a_node_that_gets_the_program_makes_the_same_code() -> None:
    first = compiled(PROGRAM, Units())
    assert compile_program(first.program, units=Units()).segment == first.segment


def test_tables_come_back_from_their_bytes() -> None:
    for derived in compiled(PROGRAM, Units()).anew.values():
        again = Derived.from_bytes(derived.to_bytes())
        assert {n: t.tolist() for n, t in again.tables.items()} == {
            n: t.tolist() for n, t in derived.tables.items()
        }


# Statements that name each other, one by one or all the time: functions, values, redefinitions, captured variables.
NAMES = st.sampled_from("abcd")
EXPRESSIONS = st.recursive(
    st.sampled_from(["1", "x", "nil", ":k", '"s"', "[1 x]", "'(1 2)"]) | NAMES,
    lambda inner: st.one_of(
        st.builds("(if {} {} {})".format, inner, inner, inner),
        st.builds("(let [x {} y x] (vector x y {}))".format, inner, inner),
        st.builds("(+ {} 1)".format, inner),
        st.builds("((fn [y] (list y {})) {})".format, inner, inner),
        st.builds("(try ({} {}) (catch :default e {}))".format, NAMES, inner, inner),
        st.builds(
            "(loop [i 0 x {}] (if (< i 3) (recur (inc i) {}) (or x {})))".format,
            inner,
            inner,
            inner,
        ),
        st.builds("(try (throw {}) (catch :default e e))".format, inner),
        st.builds("(:k {} {})".format, inner, inner),
    ),
    max_leaves=5,
)
STATEMENTS = st.one_of(
    st.builds("(defn {} [x] {})".format, NAMES, EXPRESSIONS),
    st.builds("(defn {} ([x] {}) ([x & more] (apply list x more)))".format, NAMES, EXPRESSIONS),
    st.builds("(def {} (let [x 5] {}))".format, NAMES, EXPRESSIONS),
    st.builds("(let [x 1] {})".format, EXPRESSIONS),
    st.builds("(let [x 2] (def {} (fn [y] (list x y {}))))".format, NAMES, EXPRESSIONS),
)
START = [f"(defn {name} [x] x)" for name in "abcd"]
EDITS = st.lists(
    st.tuples(st.sampled_from(["insert", "replace", "delete"]), st.integers(0, 9), STATEMENTS),
    max_size=2,
)


def edited(statements: list[str], edit: tuple[str, int, str]) -> list[str]:
    what, where, text = edit
    place = len(START) + where % (len(statements) - len(START) + 1)
    if what == "insert" or place == len(statements):
        return [*statements[:place], text, *statements[place:]]
    return [*statements[:place], *([text] if what == "replace" else []), *statements[place + 1 :]]


@settings(max_examples=15)
@given(st.lists(STATEMENTS, min_size=1, max_size=4), EDITS)
def test_a_program_that_was_edited_is_the_same_as_one_from_scratch(
    statements: list[str], edits: list[tuple[str, int, str]]
) -> None:
    units = Units()
    program = START + statements
    compiled(program, units)
    for edit in edits:
        program = edited(program, edit)
        by_parts, whole = compiled(program, units), compiled(program, Units())
        assert by_parts.segment == whole.segment
        assert {name: table.tolist() for name, table in by_parts.tables.items()} == {
            name: table.tolist() for name, table in whole.tables.items()
        }
        assert len(by_parts.anew) <= len(whole.anew)
