"""The steps that small programs compile to, and the facts about them."""

from __future__ import annotations

import struct
from functools import cache

import pytest

from datomstore.database import Database
from datomstore.datalog import q
from datomstore.value import Keyword, Symbol
from yang.code_schema import CODE_SCHEMA
from yang.compile import Compiled, compile_core, compile_program, compile_source
from yang.disassemble import disassemble
from yang.errors import Source, SourceError, SourceErrors
from yang.isa import INSTRUCTION_FORMAT, INSTRUCTION_SIZE
from yang.lower import tree_of_source
from yang.program import program_of
from yang.resolve import CoreLibrary


@cache
def library() -> CoreLibrary:
    segment = compile_core(Source("core.clj", "(def twice (fn* twice ([x] (+ x x))))")).segment
    return CoreLibrary(segment, {"twice": segment.functions[1]})


def compiled(source: str) -> Compiled:
    return compile_source(source, "t.clj", core=library())


def listing(source: str) -> list[str]:
    lines = disassemble(compiled(source).segment).splitlines()
    return [" ".join(line.partition(";")[0].split()) for line in lines]


def test_a_recursive_function_compiles_to_this_listing() -> None:
    source = "(def fib (fn* fib ([n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))) (fib 10)"
    assert listing(source) == [
        "f0 (top level): 0 parameters, 1 slots",
        "0 const r0 10",
        "1 tail-call r0 #function[fib] n=1",
        "f1 fib: 1 parameters, 3 slots",
        "2 unless-less-constant r0 2 -> 4",
        "3 return r0",
        "4 decrement r1 r0",
        "5 call r1 r1 #function[fib] n=1",
        "6 subtract-constant r2 r0 2",
        "7 call r2 r2 #function[fib] n=1",
        "8 add r1 r1 r2",
        "9 return r1",
    ]


def test_a_loop_writes_its_variables_in_place_where_nothing_reads_them_later() -> None:
    assert listing("(loop* [i 0 acc 0] (if (= i 9) acc (recur (inc i) (+ acc i))))")[3:] == [
        "2 unless-equal-constant r0 9 -> 4",
        "3 return r1",
        "4 increment r2 r0",
        "5 add r1 r1 r0",
        "6 take r0 r2",
        "7 loop -> 2",
    ]


def test_a_function_that_calls_itself_at_its_end_jumps() -> None:
    source = "(def gcd (fn* gcd ([a b] (if (= b 0) a (gcd b (rem a b)))))) (gcd 12 18)"
    assert listing(source)[4:] == [
        "f1 gcd: 2 parameters, 5 slots",
        "3 unless-equal-constant r1 0 -> 5",
        "4 return r0",
        "5 move r2 r1",
        "6 take r3 r0",
        "7 take r4 r1",
        "8 primitive r1 rem r3 n=2",
        "9 take r0 r2",
        "10 loop -> 3",
    ]


def test_an_argument_that_is_read_later_stays_where_it_is() -> None:
    assert listing("(def f (fn* f ([m] (conj m (count m) (fn* ([] m))))))")[3:11] == [
        "f1 f: 1 parameters, 4 slots",
        "2 move r1 r0",
        "3 primitive-read r2 count r0 n=1",
        "4 take r3 r0",
        "5 closure r3 f2 r3 n=1",
        "6 primitive r1 conj r1 n=3",
        "7 return r1",
        "f2 (anonymous): 0 parameters, 1 slots, captures m",
    ]


def test_functions_of_a_letrec_share_their_captured_values() -> None:
    source = "(let* [k 3] (letfn* [f (fn* ([n] (g n k))) g (fn* ([n m] (f n)))] (f 1)))"
    assert listing(source) == [
        "f0 (top level): 0 parameters, 5 slots",
        "0 const r0 3",
        "1 move r3 r0",
        "2 closure r1 f1 r3 n=1",
        "3 share r2 f2 r1",
        "4 take r3 r1",
        "5 const r4 1",
        "6 tail-apply r3 n=1",
        "f1 (anonymous): 1 parameters, 4 slots, captures k",
        "7 sibling r1 f2",
        "8 take r2 r0",
        "9 captured r3 c0",
        "10 tail-apply r1 n=2",
        "f2 (anonymous): 2 parameters, 4 slots, captures k",
        "11 sibling r2 f1",
        "12 take r3 r0",
        "13 tail-apply r2 n=1",
    ]


def test_a_finally_is_a_call_of_the_library_with_two_functions() -> None:
    source = "(try (count 1) (catch :default e (count e)) (finally (count 2)))"
    lines = disassemble(compile_source(source, "t.clj").segment).splitlines()
    code = [" ".join(line.partition(";")[0].split()) for line in lines]
    assert code[1:4] == [
        "0 const r0 #function[]",
        "1 const r1 #function[]",
        "2 tail-call r0 #function[finally*] n=2",
    ]


def test_names_mean_locals_then_definitions_then_the_library_then_the_machine() -> None:
    assert "1 tail-call r0 #function[twice] n=1" in listing("(twice 2)")
    assert "2 primitive r0 + r0 n=3" not in listing("(let* [+ twice] (+ 1 2 3))")
    assert "3 call r0 r0 #function[count] n=3" in listing(
        "(count 1 2 3) 4 (def count (fn* ([a b c] a)))"
    )
    assert "0 global r0 x" in listing("(x) (def x 1) (def x 2)")
    assert "0 global r0 *args*" in listing("*args*")
    assert "0 const r0 #host[+]" in listing("+")


def test_yin_core_names_cannot_be_shadowed() -> None:
    lines = listing("(def count 1) (let* [vector 2] (yin.core/vector (yin.core/count [])))")
    assert any("primitive" in line and "vector" in line for line in lines)
    assert any("primitive" in line and "count" in line for line in lines)


def test_effects_are_one_instruction_and_control_functions_are_called() -> None:
    assert "1 primitive r0 hop! r0 n=1" in listing('(hop! "beta")')
    assert "0 const r0 #host[call/cc]" in listing("(call/cc count)")
    assert "2 tail-apply r0 n=1" in listing("(call/cc count)")


def test_every_step_names_its_node_and_the_node_its_place() -> None:
    result = compiled("(count\n  (vector 1))")
    segment = result.segment
    assert len(segment.code) == len(segment.nodes) * INSTRUCTION_SIZE
    assert [segment.spans[node].line for node in segment.nodes] == [2, 2, 1, 1]


def test_a_node_makes_the_same_segment_from_the_program_alone() -> None:
    source = "(def f (fn* f ([x & r] (if x (f r) 'ok)))) (f 1 2)"
    program = program_of(tree_of_source(source, "t.clj"))
    assert compile_program(program, core=library()).segment == compiled(source).segment


def test_a_quoted_list_and_an_equal_vector_are_two_constants() -> None:
    constants = compiled("(vector '(1 2) [1 2] 1 1.0 0.0 -0.0)").segment.constants
    assert [type(value).__name__ for value in constants] == [
        "List",
        "tuple",
        "int",
        "float",
        "float",
        "float",
    ]


def test_slots_cover_every_operand() -> None:
    segment = compiled("(fn* ([a b] (vector a (vector b a (vector 1 2 3)))))").segment
    (arity,) = segment.functions[1].arities
    for pc in range(arity.entry, arity.end):
        _, n, a, _, c = struct.unpack_from(INSTRUCTION_FORMAT, segment.code, pc * INSTRUCTION_SIZE)
        assert max(a, c + n - 1) < arity.slot_count
    assert arity.slot_names[:2] == ("a", "b")


# -- facts --


def facts_of(result: Compiled) -> Database:
    return Database.from_datoms([*result.ast_db.datoms(), *result.exec_datoms], CODE_SCHEMA)


def test_all_steps_that_touch_a_variable_can_be_asked_for() -> None:
    database = facts_of(compiled("(let* [counter 1] (vector counter 2 counter))"))
    found = q(
        """[:find ?order ?instruction
            :where [?step :exec/node ?node] [?step :exec/instruction ?instruction]
                   [?step :exec/order ?order] [?node :ast/name "counter"]
                   [?node :ast/type :variable]]""",
        database,
    )
    assert set(found) == {(1, Keyword("move")), (3, Keyword("take"))}


def test_arguments_of_a_call_can_be_asked_for() -> None:
    database = facts_of(compiled("(twice 21)"))
    found = q(
        """[:find ?name ?value
            :where [?call :exec/instruction :tail-call] [?call :exec/function ?function]
                   [?function :ast/name ?name] [?call :exec/args ?args]
                   [?args :contains ?argument] [?argument :ast/value ?value]]""",
        database,
    )
    assert set(found) == {("twice", 21)}


def test_a_call_that_is_one_instruction_has_its_function_and_arguments() -> None:
    source = "(def f (fn* f ([x] (if (< x 9) (f (inc x)) (- x 1))))) (f 1)"
    found = q(
        """[:find ?instruction ?name
            :where [?call :exec/function ?function] [?function :ast/name ?name]
                   [?call :exec/args ?args] [?args :contains _] [?call :exec/instruction ?instruction]]""",
        facts_of(compiled(source)),
    )
    assert {(instruction.name, name) for instruction, name in found} == {
        ("unless-less-constant", "<"),
        ("loop", "f"),
        ("increment", "inc"),
        ("decrement", "-"),
        ("tail-call", "f"),
    }


def test_a_jump_refers_to_the_step_it_goes_to() -> None:
    database = facts_of(compiled("(if *args* 2 3)"))
    found = q(
        """[:find ?from ?to
            :where [?step :exec/target ?target] [?step :exec/order ?from]
                   [?target :exec/order ?to]]""",
        database,
    )
    assert set(found) == {(1, 4)}


def test_functions_as_constants_are_named_in_the_facts() -> None:
    database = facts_of(compiled("(vector twice + nil)"))
    found = q(
        """[:find ?kind ?value
            :where [?step :exec/constant-kind ?kind] [?step :exec/constant ?value]]""",
        database,
    )
    assert set(found) == {
        (Keyword("function"), Symbol("yin.core/twice")),
        (Keyword("primitive"), Symbol("+")),
    }


# -- refusals --


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(let* [a 1]\n  (foo a))", "t.clj:2:4: unresolved symbol: foo"),
        ("(vectr 1)", "hint: did you mean vector?"),
        ("(lazy-set! 1 2)", "unresolved symbol: lazy-set!"),
        ("(loop* [a 1] (vector (recur 2)))", "recur is not in tail position"),
        ("(recur)", "recur is not in tail position"),
        ("(loop* [a 1] (try (recur 2) (catch :default e 3)))", "recur is not in tail position"),
        ("(loop* [a 1] (recur 2 3))", "recur with 2 arguments, where there are 1 to renew"),
        ("(loop* [a 1] (recur))", "recur with 0 arguments, where there are 1 to renew"),
        ("(nth [1])", "wrong number of arguments (1) passed to nth"),
        ("(nth [1])", "it takes 2 or 3"),
        ("(twice 1 2)", "wrong number of arguments (2) passed to twice"),
        ("(yin.core/twice)", "wrong number of arguments (0) passed to twice"),
        ("(-)", "it takes 1 or more"),
    ],
)
def test_a_mistake_is_refused_with_its_place(source: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        compiled(source)
    assert message in str(caught.value)
    assert "^" in str(caught.value)


def test_several_mistakes_are_told_together_in_order() -> None:
    with pytest.raises(SourceErrors) as caught:
        compiled("(foo)\n(bar)")
    assert [error.line for error in caught.value.errors] == [1, 2]
