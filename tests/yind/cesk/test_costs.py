"""Every host function costs fuel in proportion to its work, before it does it; and no instruction takes long.

The table has, for each function, what it is given (made of a size n, before the measurement) and the call. A call that
is `flat` costs the same for any size.
"""

from __future__ import annotations

from functools import cache
from time import thread_time
from typing import NamedTuple

import pytest
from language import core_code

from yang.compile import compile_source
from yang.primitives import PRIMITIVES, Kind
from yind.cesk import Code, Machine, Status

FUEL = 1 << 40
MEMORY = 1 << 30
SMALL, LARGE = 1500, 15000
HUGE = 150_000
# Of processor time, for one instruction. It takes some milliseconds; what grows faster than its input takes minutes.
SECONDS_MAX = 1.0


class Call(NamedTuple):
    given: str
    call: str
    flat: bool = False
    # Times as much fuel for ten times the size: big integers cost something at any size, and the first portion, which is
    # in vain when a long form does the rest, costs the same at any size.
    least: int = 4


def text_of(part: str) -> str:
    size = f"(* n {len(part)})"
    return f'(loop [s "{part}"] (if (< (count s) {size}) (recur (str s s)) (subs s 0 {size})))'


NUMBERS = "(vec (range n))"
DOUBLES = "(mapv (fn [i] (+ i 0.3)) (range n))"
TEXT = text_of("abcdefgh")
SPACES = text_of("        ")
WIDE = text_of("\u00e4\u00f6")
LIST = "(apply list (range n))"
PAIRS = "(vec (mapcat list (range n) (range n)))"
MAP = "(zipmap (range n) (range n))"
SET = "(into #{} (range n))"
SORTED = "(into (sorted-set) (range n))"
FALLING = "(into (sorted-set-by >) (range n))"
REALISED = "(let [s (map inc (range n))] (count s) s)"
BIG = "(bit-shift-left 1 (min 60000 (* 4 n)))"
BIGS = f"(let [b {BIG}] [b (inc b)])"
RATIO = "(/ (inc (bit-shift-left 1 (min 30000 (* 2 n)))) (bit-shift-left 1 (min 30000 (* 2 n))))"
NESTED = "(loop [i 0 v [1]] (if (< i n) (recur (inc i) [v]) v))"
KEYWORD = f"(keyword {TEXT})"


def flat(given: str, call: str) -> Call:
    return Call(given, call, True)


def same(name: str, given: str = NUMBERS) -> Call:
    return Call(given, f"(apply {name} x)")


def asked(name: str) -> Call:
    return flat(NUMBERS, f"({name} x)")


CALLS: dict[str, Call] = {
    "+": same("+"),
    "-": same("-"),
    "*": same("*", "(vec (repeat n 1))"),
    "/": same("/", "(vec (cons 7 (repeat n 1)))"),
    "quot": flat(BIG, "(quot 5 3)"),
    "rem": Call(BIGS, "(rem (nth x 0) 12345)"),
    "mod": Call(BIGS, "(mod (nth x 0) 12345)"),
    "inc": Call(BIG, "(inc x)"),
    "dec": Call(BIG, "(dec x)"),
    "max": same("max"),
    "min": same("min"),
    "abs": Call(f"(- {BIG})", "(abs x)", least=3),
    "=": Call(f"[{NUMBERS} {LIST}]", "(= (nth x 0) (nth x 1))"),
    "==": same("==", "(vec (repeat n 1))"),
    "not=": Call(f"[{NESTED} {NESTED}]", "(not= (nth x 0) (nth x 1))"),
    "<": same("<"),
    "<=": same("<="),
    ">": same(">", "(vec (range n 0 -1))"),
    ">=": same(">=", "(vec (range n 0 -1))"),
    "compare": Call(f"[{NUMBERS} {NUMBERS}]", "(compare (nth x 0) (nth x 1))"),
    "zero?": Call(BIG, "(zero? x)", least=3),
    "pos?": Call(BIG, "(pos? x)", least=3),
    "neg?": Call(BIG, "(neg? x)", least=3),
    "even?": flat(BIG, "(even? x)"),
    "odd?": flat(BIG, "(odd? x)"),
    "bit-and": same("bit-and"),
    "bit-or": same("bit-or"),
    "bit-xor": same("bit-xor"),
    "bit-not": Call(BIG, "(bit-not x)"),
    "bit-shift-left": Call("(min 60000 (* 4 n))", "(bit-shift-left 1 x)"),
    "bit-shift-right": Call(BIG, "(bit-shift-right x 3)"),
    "int": flat(BIG, "(int x)"),
    "long": flat(BIG, "(long x)"),
    "double": Call(BIG, "(double x)"),
    "numerator": flat(RATIO, "(numerator x)"),
    "decimal?": flat(BIG, "(decimal? x)"),
    "bigdec": flat(BIG, "(bigdec 15)"),
    "denominator": flat(RATIO, "(denominator x)"),
    "parse-long": Call(text_of("00000000"), "(parse-long x)"),
    "parse-double": Call(SPACES, "(parse-double x)"),
    "not": asked("not"),
    "boolean": asked("boolean"),
    "nil?": asked("nil?"),
    "some?": asked("some?"),
    "true?": asked("true?"),
    "false?": asked("false?"),
    "boolean?": asked("boolean?"),
    "number?": asked("number?"),
    "int?": asked("int?"),
    "integer?": asked("integer?"),
    "float?": asked("float?"),
    "double?": asked("double?"),
    "ratio?": asked("ratio?"),
    "rational?": asked("rational?"),
    "string?": asked("string?"),
    "char?": asked("char?"),
    "keyword?": asked("keyword?"),
    "symbol?": asked("symbol?"),
    "vector?": asked("vector?"),
    "map?": asked("map?"),
    "set?": asked("set?"),
    "list?": asked("list?"),
    "seq?": asked("seq?"),
    "coll?": asked("coll?"),
    "sequential?": asked("sequential?"),
    "associative?": asked("associative?"),
    "counted?": asked("counted?"),
    "fn?": asked("fn?"),
    "ifn?": asked("ifn?"),
    "atom?": asked("atom?"),
    "error?": asked("error?"),
    "lazy-seq?": asked("lazy-seq?"),
    "ascii?": flat(TEXT, "(ascii? x)"),
    "reduced?": asked("reduced?"),
    "opaque*": flat(NUMBERS, '(opaque* :a "a" x)'),
    "opaque-kind": asked("opaque-kind"),
    "opaque-content": asked("opaque-content"),
    "real-function": flat("1.0", "(real-function 0 x)"),
    "char-kind": flat("\\a", "(char-kind x)"),
    "meta": flat("(with-meta [1] {:a 1})", "(meta x)"),
    "with-meta": flat(NUMBERS, "(with-meta x {:a 1})"),
    "inst-of-ms": flat("1", "(inst-of-ms x)"),
    "identical?": Call(f"[{KEYWORD} {KEYWORD}]", "(identical? (nth x 0) (nth x 1))"),
    "hash": Call(NUMBERS, "(hash x)"),
    "str": same("str"),
    "pr-str": Call(MAP, "(pr-str x)"),
    "print-str": Call(DOUBLES, "(print-str x)"),
    "subs": Call(WIDE, "(subs x 1)"),
    "name": Call(KEYWORD, "(name x)"),
    "namespace": Call(KEYWORD, "(namespace x)"),
    "keyword": Call(TEXT, "(keyword x)"),
    "symbol": Call(TEXT, "(symbol x)"),
    "char": flat("65", "(char x)"),
    "upper-case": Call(TEXT, "(upper-case x)"),
    "lower-case": Call(WIDE, "(lower-case x)"),
    "trim": Call(SPACES, "(trim x)"),
    "blank?": Call(SPACES, "(blank? x)"),
    "starts-with?": Call(TEXT, "(starts-with? x x)"),
    "ends-with?": Call(TEXT, "(ends-with? x x)"),
    "includes?": Call(TEXT, '(includes? x "hb")'),
    "index-of": Call(TEXT, '(index-of x "hb")'),
    "replace-text": Call(TEXT, '(replace-text x "a" "bc")'),
    "split-text": Call(TEXT, '(split-text x "a")'),
    "join-text": Call(NUMBERS, '(join-text ", " x)'),
    "list": same("list"),
    "vector": same("vector"),
    "hash-map": same("hash-map", PAIRS),
    "hash-set": same("hash-set"),
    "vec*": Call(LIST, "(vec* x)"),
    "conj": Call(NUMBERS, "(apply conj #{} x)"),
    "cons": flat(LIST, "(cons 1 x)"),
    "seq": flat(MAP, "(seq x)"),
    "first": flat(MAP, "(first x)"),
    "rest": flat(LIST, "(rest x)"),
    "next": flat(NUMBERS, "(next x)"),
    "count": Call(REALISED, "(count x)"),
    "empty?": flat(REALISED, "(empty? x)"),
    "empty": flat(NUMBERS, "(empty x)"),
    "nth": Call(REALISED, "(nth x (dec (count x)))"),
    "get": Call(WIDE, "(get x (dec (count x)))"),
    "assoc": Call(PAIRS, "(apply assoc {} x)"),
    "dissoc": Call(f"[{MAP} {NUMBERS}]", "(apply dissoc (nth x 0) (nth x 1))"),
    "disj": Call(f"[{SET} {NUMBERS}]", "(apply disj (nth x 0) (nth x 1))"),
    "contains?": Call(f"[(conj {SET} {NUMBERS}) {NUMBERS}]", "(contains? (nth x 0) (nth x 1))"),
    "find": Call(f"[(assoc {MAP} {NUMBERS} 1) {NUMBERS}]", "(find (nth x 0) (nth x 1))"),
    "keys": Call("(mapv vector (range n) (range n))", "(keys x)"),
    "vals": Call("(mapv vector (range n) (range n))", "(vals x)"),
    "key": flat("[1 2]", "(key x)"),
    "val": flat("[1 2]", "(val x)"),
    "peek": flat(NUMBERS, "(peek x)"),
    "pop": flat(NUMBERS, "(pop x)"),
    "subvec": Call(NUMBERS, "(subvec x 1)"),
    "reverse": Call(NUMBERS, "(reverse x)"),
    "number-range": flat("n", "(range 0 x 1)"),
    "atom": flat(NUMBERS, "(atom x)"),
    "deref": flat(f"(atom {NUMBERS})", "(deref x)"),
    "suspended-with": flat(f"(prompt :p (suspend* :p {NUMBERS}))", "(suspended-with x)"),
    "reset!": flat("(atom nil)", "(reset! x 1)"),
    "compare-and-set!": Call(
        f"[(atom {TEXT}) {TEXT}]", "(compare-and-set! (nth x 0) (nth x 1) nil)"
    ),
    "ex-info": flat(MAP, '(ex-info "m" x)'),
    "ex-message": flat(f'(ex-info "m" {MAP})', "(ex-message x)"),
    "ex-data": flat(f'(ex-info "m" {MAP})', "(ex-data x)"),
    "ex-cause": flat(f'(ex-info "m" {MAP})', "(ex-cause x)"),
    "fold-fn?": flat("+", "(fold-fn? x)"),
    "fold-items": Call(NUMBERS, "(fold-items + 0 x 0 n)"),
    "range-bounds": flat("(range 0 n 1)", "(range-bounds x)"),
    "count-each": Call(NUMBERS, "(count-each {} x 0 n)"),
    "bytes?": asked("bytes?"),
    "inst?": asked("inst?"),
    "uuid?": asked("uuid?"),
    "inst-ms": flat('#inst "2024-01-01T00:00:00.000-00:00"', "(inst-ms x)"),
    "parse-uuid": flat(TEXT, "(parse-uuid x)"),
    "lazy-seq*": flat(NUMBERS, "(lazy-seq x)"),
    "sorted-map": same("sorted-map", PAIRS),
    "sorted-set": same("sorted-set"),
    "sorted?": asked("sorted?"),
}
LIBRARY_ONLY = {  # constant by their nature, or nearly so
    *("lazy-thunk", "lazy-set!", "lazy-value", "lazy-folder"),
    *("sorted-empty", "sorted-order", "sorted-calls?", "sorted-rank", "sorted-key", "sorted-val"),
    *("sorted-insert", "sorted-replace", "sorted-remove", "sorted-from"),
    *("decimal-parts", "round-decimal", "divide-decimal"),
}

MORE: dict[str, Call] = {
    "product of big integers": Call("(bit-shift-left 1 (min 30000 (* 2 n)))", "(* x x)"),
    "quotient of big integers": Call(BIGS, "(quot (nth x 0) (inc (bit-shift-right (nth x 1) 99)))"),
    "order of big integers": Call(BIGS, "(< (nth x 0) (nth x 1))"),
    "sum of ratios": Call(RATIO, "(+ x 1/3)"),
    "a big integer as text": Call(BIG, "(str x)"),
    "equal texts": Call(f"[{TEXT} {TEXT}]", "(= (nth x 0) (nth x 1))"),
    "equal maps": Call(f"[{MAP} {MAP}]", "(= (nth x 0) (nth x 1))"),
    "equal sets": Call(f"[{SET} {SET}]", "(= (nth x 0) (nth x 1))"),
    "equal sorted sets": Call(f"[{SORTED} {SORTED}]", "(= (nth x 0) (nth x 1))"),
    "a set in two orders": Call(f"[{SORTED} {FALLING}]", "(= (nth x 0) (nth x 1))"),
    "hash of a sorted set": Call(SORTED, "(hash x)"),
    "a sorted set as text": Call(SORTED, "(pr-str x)"),
    "many members at once": Call(NUMBERS, "(apply conj (sorted-set) x)"),
    "order of texts": Call(f"[{TEXT} {TEXT}]", "(compare (nth x 0) (nth x 1))"),
    "hash of a text": Call(TEXT, "(hash x)"),
    "hash of a map": Call(MAP, "(hash x)"),
    "a quoted text": Call(TEXT, "(pr-str x)"),
    "nested vectors as text": Call(NESTED, "(pr-str x)"),
    "equal vectors with metadata": Call(
        f"[(with-meta {NUMBERS} {{:a 1}}) (with-meta {NUMBERS} {{:a 2}})]",
        "(= (nth x 0) (nth x 1))",
    ),
    "hash of a vector with metadata": Call(f"(with-meta {NUMBERS} {{:a 1}})", "(hash x)"),
    "many items for a vector with metadata": Call(NUMBERS, "(into (with-meta [] {:a 1}) x)"),
    "one map in another": Call(f"[{MAP} {{}}]", "(conj (nth x 1) (nth x 0))"),
    "a call with many arguments": Call(NUMBERS, "(apply (fn [& more] 1) x)"),
    "a key that is a text": Call(TEXT, "(get {:a 1} x)"),
    "an argument of an effect": Call(NUMBERS, "(log! x)"),
}
EVERYTHING = CALLS | MORE
NAMES = list(EVERYTHING)


@cache
def code() -> Code:
    functions = "\n".join(
        f"(fn [n] (let [x {row.given}] (now) (nil? {row.call})))" for row in EVERYTHING.values()
    )
    source = f"((nth [{functions}] (nth *args* 0)) (nth *args* 1))"
    return Code(compile_source(source, "costs.clj").segment, core_code())


def ready(name: str, size: int) -> Machine:
    """Return a machine that is about to make the call."""
    arguments = (NAMES.index(name), size)
    machine = Machine(code(), memory_max=MEMORY, globals={"*args*": arguments})
    assert machine.run(FUEL) is Status.EFFECT
    machine.resume(None)
    return machine


def fuel_of(name: str, size: int) -> int:
    machine = ready(name, size)
    before = machine.fuel_used
    while machine.run(FUEL) is Status.EFFECT:
        machine.resume(None)
    assert machine.status is Status.DONE, machine.fault.message
    return machine.fuel_used - before


def test_the_table_has_every_host_function() -> None:
    pure = {row.name for row in PRIMITIVES if row.kind is Kind.PURE}
    assert pure == set(CALLS) | LIBRARY_ONLY


@pytest.mark.parametrize("name", NAMES)
def test_ten_times_the_work_costs_ten_times_the_fuel(name: str) -> None:
    small, large = fuel_of(name, SMALL), fuel_of(name, LARGE)
    if EVERYTHING[name].flat:
        assert small == large <= 60
    else:
        assert large >= EVERYTHING[name].least * small


@pytest.mark.parametrize("name", NAMES)
def test_no_instruction_takes_long(name: str) -> None:
    """It is refused, done in portions, or short."""
    machine = ready(name, HUGE)
    longest = 0.0
    for _ in range(50):
        begin = thread_time()
        status = machine.run(1)
        longest = max(longest, thread_time() - begin)
        if status is not Status.OUT_OF_FUEL:
            break
    assert longest < SECONDS_MAX
