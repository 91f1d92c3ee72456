"""Writes the generated expressions: templates filled from pools, the same ones at every run.

Is:     `python tests/conformance/clojure/generate.py` writes `generated_*.clj` beside it.
Is not: Clojure's answers; `make clojure-differences` asks for them.
Fits:   curated expressions stand in the other files. Maps have few entries and sets are sorted or small, since their order
        when printed is no promise; integers stay below 64 bits, beyond which Clojure's `+` fails.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

FOLDER = Path(__file__).parent
SEED = 20261121
ODD_SHARE = 0.07  # of arguments that are of any kind


def _words(text: str) -> list[str]:
    return text.split()


POOLS: dict[str, list[str]] = {
    "mc": [
        *(
            "[]",
            "[1 2]",
            "'()",
            "'(1 2)",
            "{}",
            "{:a 1}",
            "#{}",
            "#{1}",
            "(sorted-map :a 1)",
            "(sorted-set 2 1)",
        ),
        *(
            "(list 1 2)",
            "(vec (range 40))",
            "(zipmap (range 3) (range 3))",
            "[[1] [2]]",
            "(range 3)",
        ),
    ],
    "mv": ["[]", "[3 1 2]", "'(2 1)", "(vec (range 35))", "[1]", "(list 4 3)"],
    "mm": ["{}", "{:a 1}", "{:a 1, :b 2}", "(sorted-map :a 1)", "(hash-map :a 1)", "{:b [1]}"],
    "mk": _words("empty identity seq rest vec set sort reverse count first not-empty list* doall"),
    "md": ["{:a 1}", ":b", "{:a 1 :b [2]}", "String", '{:doc "d"}', ":c/d"],
    "ml": ["[1 2]", "{:a 1}", "#{1}", "[]", "{}", "(fn [x] x)", "#{}", "[[1]]"],
    "mq": ["[1 2]", "{:a 1}", "#{1}", "sym", "ns/sym", "[]"],
    "mf": ["inc", "(fn [x] (str x))", "identity", "(comp inc inc)", "(partial + 1)", "str"],
    "e": _words(
        "0M 1M -1M 1.5M -1.50M 0.1M 2.25M 100M 1e3M -7.0M 0.00M 1E-7M 12345.678M 0.3M 3M 8M 99.95M -0.005M"
    ),
    "en": _words("1M 1.50M -2.5M 0M 1 -3 7 1/2 1/4 -3/4 0.5 2.0 4M 10M 1e2M"),
    "ep": _words("1 2 3 5 10"),
    "em": _words("UP DOWN CEILING FLOOR HALF_UP HALF_DOWN HALF_EVEN"),
    "n": _words(
        "0 1 -1 2 3 7 -7 10 100 255 1/2 -3/4 7/3 0.0 0.5 -2.5 3.0 1.0E10 1.0E-5 123.456 9007199254740993"
    ),
    "i": _words("0 1 2 3 4"),
    "z": _words("0 1 -1 2 -2 3 5 -7 8 13 64 255 -256 1023 65536 4294967296"),
    "c": [
        "[]",
        "[1 2 3]",
        "'()",
        "'(1 2 3)",
        "{}",
        "{:a 1}",
        "{:a 1, :b 2}",
        "#{}",
        "#{1}",
        "nil",
        '""',
        '"abc"',
        "(range 5)",
        "[nil]",
        "[[1 2] [3 4]]",
        "[:a :b]",
        "'(a b c)",
        "(map inc [1 2])",
        "[3 1 2]",
        "[1 1 2 3 3]",
        "(list 5 4 3)",
        "[1 nil 2]",
        "(filter odd? (range 9))",
        "[\\a \\b]",
        '["x" "y"]',
        "(sorted-set 3 1 2)",
        "(sorted-map :b 1 :a 2)",
        "(concat [1] [2 3])",
        "(repeat 3 :x)",
        "(rest [1 2 3])",
    ],
    "q": [  # items that numbers functions accept
        "[]",
        "[1 2 3]",
        "'(1 2 3)",
        "(range 5)",
        "[3 1 2]",
        "[1 1 2 3 3]",
        "(list 5 4 3)",
        "(range 10 0 -3)",
        "nil",
        "(map inc [1 2])",
        "(sorted-set 3 1 2)",
        "[0.5 2 1/2]",
        "(vec (range 12))",
        "#{4}",
        "[-1 4 -9 16]",
    ],
    "s": [
        '""',
        '"abc"',
        '"Hello, World"',
        '"  padded  "',
        '"a,b,c"',
        '"aaa"',
        '"line one\\nline two\\n"',
        '"x=1;y=2"',
        '"1234"',
        '"CamelCaseText"',
        '"tab\\there"',
        '"(nested (parens))"',
        '"a1b22c333"',
    ],
    "u": ['""', '"a"', '"b"', '","', '"o"', '"abc"', '"aa"', '" "', '"l"', '"1"'],
    "m": [
        "{}",
        "{:a 1}",
        "{:a 1, :b 2}",
        '{"x" 1}',
        "{:a {:b {:c 3}}}",
        "{1 2, 3 4}",
        "nil",
        "{:a nil}",
        "{[1 2] :pair}",
        "(sorted-map 1 :one 2 :two)",
        "{'s 1, \\c 2}",
        "{:k [1 2 3]}",
        "{nil 0}",
    ],
    "v": [
        "[]",
        "[1 2 3]",
        "[:a :b]",
        "[nil false]",
        "[[1] [2]]",
        "(vec (range 8))",
        '["a" "b" "c"]',
        "[3 1 2]",
    ],
    "k": [":a", ":b", ":c", ":x/y", "'s", '"x"', "1", "nil", "[1 2]"],
    "x": [
        "nil",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "1.5",
        "1/2",
        "\\a",
        '"abc"',
        ":a",
        ":n/k",
        "'sym",
        "'n/sym",
        "[]",
        "[1 2]",
        "'(1 2)",
        "{}",
        "{:a 1}",
        "#{}",
        "#{1}",
        "()",
        '""',
        "(range 3)",
        "1.0",
        "inc",
    ],
    "d": [  # data
        "nil",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "1.5",
        "1/2",
        "\\a",
        '"abc"',
        ":a",
        ":n/k",
        "'sym",
        "[]",
        "[1 2]",
        "'(1 2)",
        "{}",
        "{:a 1}",
        "#{}",
        "#{1}",
        '""',
        "(range 3)",
        "1.0",
        "[[]]",
        "[nil]",
        "{nil nil}",
    ],
    "f": [
        "inc",
        "dec",
        "identity",
        "str",
        "vector",
        "list",
        "#(* 2 %)",
        "(fn [x] [x x])",
        "(constantly 1)",
        "pr-str",
        "-",
        "(comp inc inc)",
        "(partial + 10)",
        "{1 :one}",
        "#{1 2}",
    ],
    "g": [
        "identity",
        "str",
        "vector",
        "list",
        "(fn [x] [x x])",
        "(constantly 1)",
        "pr-str",
        "nil?",
        "count",
    ],
    "p": [
        "even?",
        "odd?",
        "pos?",
        "neg?",
        "zero?",
        "#(> % 2)",
        "#{1 2}",
        "(complement odd?)",
        "number?",
        "some?",
        "(constantly false)",
    ],
    "o": [
        "+",
        "-",
        "max",
        "min",
        "*",
        "conj",
        "(fn [a b] b)",
        "(fn [a b] a)",
        "str",
        "vector",
        "(fn [a b] (if (> b 2) (reduced a) (+ a b)))",
    ],
    "t": [
        "#{}",
        "#{1}",
        "#{1 2 3}",
        "#{2 3}",
        "#{:a}",
        "#{nil}",
        "(sorted-set 1 2 3)",
        "#{[1] [2]}",
    ],
    "xf": [
        "(map inc)",
        "(filter odd?)",
        "(remove odd?)",
        "(take 2)",
        "(drop 2)",
        "(take-while #(< % 3))",
        "(drop-while #(< % 3))",
        "(partition-all 2)",
        "(partition-by odd?)",
        "(dedupe)",
        "(distinct)",
        "(interpose :x)",
        "(map-indexed vector)",
        "(keep #(when (odd? %) (* % %)))",
        "(keep-indexed (fn [i x] (when (odd? i) x)))",
        "(mapcat #(list % %))",
        "(take-nth 2)",
        "(replace {1 :one})",
        "(comp (map inc) (filter even?))",
        "(comp (take 3) (map -))",
        "(comp (mapcat range) (distinct))",
        "(halt-when #(> % 3))",
        "(comp (partition-all 2) cat)",
        "(comp (drop 1) (take 2) (interpose 0))",
        "(random-sample 1)",
    ],
    "re": [
        '#"a"',
        '#"[a-z]+"',
        '#"\\d+"',
        '#"(\\w)(\\d)"',
        '#"^a"',
        '#"c$"',
        '#"\\s+"',
        '#"[,;=]"',
        '#"a*"',
        '#"(?i)HELLO"',
        '#"l{2}"',
        '#"(a|b)+"',
        '#".o"',
        '#"\\bW"',
        '#"[^a-z]"',
        '#"x?"',
        '#"([a-z])=(\\d)"',
        '#"\\([^()]*\\)"',
        '#"a+?"',
        '#"(?:a|ab)(c)"',
        '#"\\p{Upper}"',
        '#"\\W"',
        '#"$"',
    ],
    "cmp": ["<", ">", "compare", "(fn [a b] (compare b a))", "(comparator >)"],
    "ch": ["65", "97", "10", "32", "955", "-1", "\\a", "nil"],
    "w": ["\\a", "\\Z", "\\0", "\\space", "\\newline", "\\é"],
    "fi": [
        "%d",
        "%5d",
        "%-5d|",
        "%05d",
        "%+d",
        "%,d",
        "%x",
        "%X",
        "%o",
        "%(d",
        "% d",
        "%08x",
        "%s",
        "%10s|",
        "%-10s|",
    ],
    "fd": [
        "%f",
        "%.2f",
        "%8.3f",
        "%-9.1f|",
        "%09.2f",
        "%+.1f",
        "%e",
        "%.3e",
        "%E",
        "%g",
        "%.3g",
        "%,.2f",
        "%s",
        "%.0f",
        "%(.2f",
    ],
    "fs": ["%s", "%10s", "%-10s|", "%.2s", "%5.1s|", "%S", "%b", "%c", "%%", "%n", "%d", "%x"],
    "fl": [
        "0.0",
        "1.0",
        "-1.0",
        "3.14159",
        "1234567.891",
        "1.0E-10",
        "0.5",
        "1.5",
        "2.5",
        "0.125",
        "-0.001",
        "1.0E20",
        "99.995",
        "##Inf",
        "##NaN",
    ],
}

# File -> templates; `*9` at the end: so many expressions instead of the usual number.
USUAL = 11
TEMPLATES: dict[str, str] = {
    "decimals": """
(+ {e} {en})
(- {e} {en})
(* {e} {en})
(/ {e} {en})
(/ {e} {e})
(quot {e} {en})
(rem {e} {en})
(mod {e} {en})
(= {e} {en})
(== {e} {en})
(< {e} {en} {e})
(>= {e} {en})
(compare {e} {en})
(max {e} {en} {e})
(min {e} {en})
[(inc {e}) (dec {e}) (- {e}) (abs {e})]
[(zero? {e}) (pos? {e}) (neg? {e})]
[(str {e}) (pr-str {e}) (print-str {e})]
[(bigdec {n}) (decimal? {n})]
[(long {e}) (double {e}) (rationalize {e})]
(reduce + [{e} {e} {en}])
(apply * [{e} {e} {e}])
(sort [{e} {e} {e} {e}])
(get {{e} :a} {e})
(contains? #{{e}} {e})
(= (hash {e}) (hash {e}))
(with-precision {ep} (/ {e} {en}))
(with-precision {ep} :rounding {em} (/ {e} {en}))
(with-precision {ep} :rounding {em} (* {e} {en}))
(with-precision {ep} (+ {e} {en} {e}))
(with-precision {ep} (- {e} {en}))
(format "%.2f|%s|%8.1f" {e} {e} {e})
(read-string "{e}")
(edn/read-string "[{e} {e}]")
(mapv #(* 2 %) [{e} {en}])
(frequencies [{e} {e} {en}])
(distinct [{e} {e} {e}])
(frequencies (map class [{e} {en}]))
""",
    "metadata": """
(let [x (with-meta {mc} {:m 1})] (meta ({mk} x))) *40
(let [x (with-meta {mc} {:m 1})] [(= x {mc}) (= {mc} x) (= (hash x) (hash {mc})) (contains? (hash-set x) {mc}) (get {{mc} :found} x) (pr-str x)]) *16
(let [x (with-meta {mv} {:m 1})] [(meta (conj x 9)) (conj x 9)]) *8
(let [x (with-meta {mv} {:m 1})] [(meta (into x [7 8])) (into x (range 3))]) *8
(let [x (with-meta {mm} {:m 1})] [(meta (assoc x :k 1)) (meta (dissoc x :a)) (meta (merge x {:q 1})) (meta (merge {:q 1} x)) (merge x {:q 1})]) *8
(let [x (with-meta {mm} {:m 1})] (map meta [(update x :z (constantly 1)) (assoc-in x [:p :q] 1) (select-keys x [:a]) (update-vals x str) (update-keys x str) (into {} x) (zipmap (keys x) (vals x))])) *8
(meta (vary-meta (with-meta {mc} {:m 1}) assoc :n 2)) *14
(meta (vary-meta {mc} assoc :n 2)) *14
(meta (with-meta (with-meta {mc} {:m 1}) nil)) *10
(meta (with-meta {mc} {})) *8
(with-meta {mc} {c}) *24
(with-meta {x} {:a 1}) *30
(meta {x}) *20
(let [x (with-meta {mc} {:m 1})] [(count x) (first x) (seq x) (empty? x)]) *16
(let [x (with-meta {mv} {:m 1})] [(map meta [(rest x) (next x) (reverse x) (map identity x) (filter some? x) (sort x) (vec x) (set x) (cons 1 x) (concat x x) (mapv identity x) (empty x)])]) *10
(let [[a & more :as all] (with-meta {mv} {:m 1})] [a more (meta all) (meta more)]) *8
(let [{:keys [a b] :as m} (with-meta {mm} {:m 1})] [a b (meta m)]) *8
(meta ^{md} {ml}) *24
(meta (quote ^{md} {mq})) *16
(map meta [^{md} {ml} ^{md} {ml}]) *10
(let [f (with-meta {mf} {:f 1})] [(f 1) (meta f) (map f [1 2]) (fn? f) (apply f [3])]) *8
(meta (first (conj {mv} (with-meta {mc} {:i 1})))) *6
(let [i (with-meta {mc} {:i 1})] (map meta [(first [i]) (:k {:k i}) (peek [i]) (last [i]) (val (first {:k i})) (first (list i)) (get [i] 0) (deref (atom i)) (some identity [i]) (reduce conj i [])])) *12
(meta (get (assoc {} :k (with-meta {mc} {:i 1})) :k)) *6
[(keyword? (with-meta (quote a) {:m 1})) (symbol? (with-meta (quote a) {:m 1})) (name (with-meta (quote a/b) {:m 1})) (= (quote a) (with-meta (quote a) {:m 1}))] *1
(meta (walk/postwalk identity (with-meta {mv} {:m 1}))) *6
(meta (walk/postwalk identity (with-meta (quote (1 2)) {:m 1}))) *1
(meta (set/union (with-meta #{1 2 3} {:m 1}) (hash-set 4))) *1
(map meta [(set/difference (with-meta #{1 2} {:m 1}) (hash-set 1)) (set/intersection (with-meta #{1 2} {:m 1}) (hash-set 1)) (set/rename-keys (with-meta {:a 1} {:m 1}) {:a :b})]) *1
(meta (swap! (atom (with-meta [] {:m 1})) conj 1)) *1
(meta (reduce (fn [v x] (conj v x)) (with-meta [] {:m 1}) (range 50))) *1
(meta (transduce (map inc) conj (with-meta [] {:m 1}) [1 2])) *1
(meta (into (with-meta [] {:m 1}) (map inc) [1 2])) *1
(map meta [(partition 2 (with-meta [1 2] {:m 1})) (subvec (with-meta [1 2] {:m 1}) 1) (pop (with-meta [1 2] {:m 1})) (pop (with-meta (quote (1 2)) {:m 1})) (replace {1 2} (with-meta [1 2] {:m 1})) (disj (with-meta #{1 2} {:m 1}) 1)]) *1
""",
    "numbers": """
(+ {n} {n}) *14
(- {n} {n}) *14
(* {n} {n}) *14
(/ {n} {n}) *20
(quot {n} {n}) *14
(rem {n} {n}) *14
(mod {n} {n}) *14
(max {n} {n} {n})
(min {n} {n} {n})
(+ {n})
(- {n})
(* {n})
(/ {n})
(inc {n})
(dec {n})
(inc' {z})
(+' {z} {z})
(-' {z} {z})
(*' {i} {z})
(abs {n})
(< {n} {n})
(<= {n} {n} {n})
(> {n} {n})
(>= {n} {n} {n})
(== {n} {n})
(= {n} {n})
(compare {n} {n})
(zero? {n})
(pos? {n})
(neg? {n})
(even? {z})
(odd? {z})
(int {n})
(long {n})
(double {n})
(float {n})
(num {n})
(byte {i})
(short {z})
(rationalize {n})
(numerator 3/4)
(denominator {ra})
(numerator {ra})
(number? {x})
(integer? {n})
(int? {n})
(float? {n})
(double? {n})
(ratio? {n})
(rational? {n})
(decimal? {n})
(pos-int? {n})
(neg-int? {n})
(nat-int? {n})
(NaN? {n})
(infinite? {n})
(bit-and {z} {z})
(bit-or {z} {z})
(bit-xor {z} {z})
(bit-not {z})
(bit-and-not {z} {z})
(bit-shift-left {z} {i})
(bit-shift-right {z} {i})
(unsigned-bit-shift-right {z} {i})
(bit-test {z} {i})
(bit-set {z} {i})
(bit-clear {z} {i})
(bit-flip {z} {i})
(unchecked-add {z} {z})
(unchecked-subtract {z} {z})
(unchecked-multiply {z} {i})
(unchecked-inc {z})
(unchecked-dec {z})
(unchecked-negate {z})
(unchecked-int {z})
(unchecked-long {n})
(parse-long {s})
(parse-double {s})
(str {n})
(pr-str {n})
(hash-map {n} {n})
(math/sqrt {n})
(math/floor {n})
(math/ceil {n})
(math/round {n})
(math/pow {n} {i})
(math/abs {n}) *0
(math/signum {n})
(math/floor-div {z} {z})
(math/floor-mod {z} {z})
(math/cbrt {cube})
(math/hypot 3 4)
""",
    "collections": """
(first {c})
(second {c})
(rest {c})
(next {c})
(last {c})
(butlast {c})
(nth {c} {i}) *16
(nth {c} {i} :none) *14
(count {c})
(empty? {c})
(empty {c})
(not-empty {c})
(seq {c})
(vec {c})
(set {q})
(conj {c} {x}) *16
(conj {c} [{k} {x}])
(cons {x} {c})
(into {c} {c}) *16
(get {c} {k}) *14
(get {c} {i} :none) *14
(get {m} {k} :none)
(contains? {c} {k}) *14
(contains? {c} {i})
(find {m} {k})
(assoc {m} {k} {x})
(assoc {v} {i} {x})
(dissoc {m} {k})
(disj {t} {x})
(keys {m})
(vals {m})
(key (first {m}))
(val (first {m}))
(peek {c})
(pop {c})
(subvec {v} {i})
(subvec {v} {i} {i})
(reverse {c})
(rseq {v})
(get-in {m} [{k} {k}])
(get-in {m} [:a :b] :none)
(assoc-in {m} [{k} {k}] {x})
(update {m} {k} {g})
(update-in {m} [{k} {k}] {g})
(select-keys {m} [{k} {k}])
(merge {m} {m})
(merge-with + {m} {m})
(merge-with vector {m} {m})
(zipmap {c} {c})
(update-vals {m} {g})
(update-keys {m} {g})
(reduce-kv (fn [a k v] (conj a [v k])) [] {m})
(reduce-kv + 0 {v})
(map-entry? (first {m})) *0
(group-by {g} {c})
(frequencies {c})
(distinct (seq {c}))
(dedupe {c})
(sort {q})
(sort {cmp} {q})
(sort-by {g} {cmp} {q})
(sort-by - {q})
(sort {c})
(sorted-map {n} {x} {n} {x})
(sorted-set {n} {n} {n})
(sorted-map-by > {i} {x} {i} {x})
(sorted-set-by > {i} {i} {i})
(subseq (sorted-set 1 2 3 4 5) {op} {i})
(rsubseq (sorted-set 1 2 3 4 5) {op} {i})
(subseq (sorted-map 1 :a 2 :b 3 :c) >= {i} < {i})
(rsubseq (sorted-map 1 :a 2 :b 3 :c) > {i} <= {i})
(hash-set {i} {i})
(hash-map {k} {x})
(array-map {k} {x})
(list* {x} {c})
(list* {x} {x} {c})
(vector {x} {x})
(apply vector {c})
(apply str {c})
(apply max {q})
(peek {v})
(nthrest {c} {i})
(nthnext {c} {i})
(ffirst {c})
(nfirst {c})
(fnext {c})
(nnext {c})
(replace {m} {v})
(map {m} [{k} {k}])
({m} {k})
({k} {m})
({v} {i})
({t} {x})
(mapv {m} [{k}])
""",
    "seqs": """
(map {f} {q})
(map {g} {c})
(map {o} {q} {q})
(mapv {f} {q})
(mapv {o} {q} {q})
(filter {p} {q})
(filterv {p} {q})
(remove {p} {q})
(keep {g} {c})
(keep-indexed (fn [i x] (when (odd? i) [i x])) {c})
(map-indexed vector {c})
(mapcat {gl} {c})
(reduce {o} {q}) *14
(reduce {o} {x} {q})
(reductions {o} {q})
(reductions {o} {i} {q})
(take {i} {c})
(drop {i} {c})
(take-last {i} {c})
(drop-last {c})
(drop-last {i} {c})
(take-while {p} {q})
(drop-while {p} {q})
(take-nth {j} {c})
(split-at {i} {c})
(split-with {p} {q})
(partition {j} {c})
(partition {j} {j} {c})
(partition {j} {j} [:pad] {c})
(partition-all {j} {c})
(partition-all {j} {j} {c})
(partition-by {p} {q})
(interleave {c} {c})
(interleave {c} {c} {c})
(interpose {x} {c})
(concat {c} {c})
(lazy-cat {c} {c})
(flatten [{c} [{c}]])
(some {p} {q})
(every? {p} {q})
(not-any? {p} {q})
(not-every? {p} {q})
(take {i} (cycle {c}))
(take {i} (iterate {f} {i}))
(take {i} (repeat {x}))
(repeat {i} {x})
(range {z0} {i})
(range {i} {z0} {st})
(take 4 (range))
(doall {c})
(dorun {c})
(run! identity {c})
(max-key {nk} {q1} {q1})
(min-key {nk} {q1} {q1} {q1})
(tree-seq sequential? seq [{c} {c}])
(sequence {c})
(seq? {c})
(realized? (map inc {q}))
(into [] {xf} {q}) *45
(sequence {xf} {q}) *45
(transduce {xf} + {q})
(transduce {xf} conj {q}) *24
(transduce {xf} {o} {i} {q})
(into [] (comp {xf} {xf}) {q}) *30
(eduction {xf} {q})
(reduce + 0 (eduction {xf} {q}))
(for [x {q} y {q} :when (< x y)] [x y])
(for [x {q} :while (< x 3) :let [y (* x x)]] y)
(let [[a b & more] {c}] [a b more])
(let [{:keys [a b] :or {b 9}} {m}] [a b])
(apply {o} {q})
(apply {o} {i} {q})
(every-pred {p} {p})  *0
((every-pred {p} {p}) {i} {i})
((some-fn {p} {p}) {i} {i})
((comp {f} {g}) {i})
((juxt {f} {g}) {i})
((partial {o} {i}) {i})
((fnil {f} {i}) {nz})
((complement {p}) {i})
((memoize {f}) {i})
(trampoline (fn [] (fn [] {x})))
(nth (cycle {v}) {i})
(empty? (filter {p} {q}))
(count (take {i} (repeatedly (fn [] 1))))
(distinct? {i} {i} {i})
(reduce (fn [a x] (if (= x {i}) (reduced [:stop a]) (conj a x))) [] {q})
(completing {o}) *0
(transduce (map inc) (completing {o} str) {q})
(vector? {c})
(doall (map {f} {c}))
""",
    "text": """
(str {x} {x})
(str {c})
(pr-str {x})
(pr-str {c})
(print-str {x} {x})
(prn-str {x})
(println-str {c})
(with-out-str (print {x} {x}))
(with-out-str (println {c}))
(with-out-str (prn {x} {x}))
(with-out-str (pr {c}))
(subs {s} {i})
(subs {s} {i} {i})
(count {s})
(name {x})
(namespace {x})
(keyword {x})
(symbol {x})
(keyword {u} {u})
(symbol {u} {u})
(char {ch})
(int {w})
(char? {x})
(str/upper-case {s})
(str/lower-case {s})
(str/capitalize {s})
(str/trim {s})
(str/triml {s})
(str/trimr {s})
(str/trim-newline {s})
(str/blank? {s})
(str/reverse {s})
(str/join {c})
(str/join ", " {c})
(str/join {u} {c})
(str/split {s} {re}) *40
(str/split {s} {re} {i}) *24
(str/split {s} {re} -1)
(str/split-lines {s})
(str/replace {s} {u} {u})
(str/replace {s} {re} {u}) *30
(str/replace {s} {re} "<$0>") *20
(str/replace {s} {re} (fn [m] (str "[" m "]"))) *20
(str/replace {s} {re} str/upper-case)
(str/replace {s} {w} \\-)
(str/replace-first {s} {u} {u})
(str/replace-first {s} {re} {u}) *20
(str/replace-first {s} {re} (fn [m] (pr-str m))) *14
(str/includes? {s} {u})
(str/starts-with? {s} {u})
(str/ends-with? {s} {u})
(str/index-of {s} {u})
(str/index-of {s} {u} {i})
(str/last-index-of {s} {u})
(str/last-index-of {s} {u} {i})
(str/escape {s} {\\a "<a>", \\space "_"})
(re-find {re} {s}) *40
(re-matches {re} {s}) *30
(re-seq {re} {s}) *40
(re-pattern {u})
(re-quote-replacement {u}) *0
(str/re-quote-replacement {u})
(format "{fi}" {z}) *60
(format "{fd}" {fl}) *90
(format "{fs}" {x}) *50
(format "{fi} {fs}" {z} {x}) *20
(parse-boolean {s})
(parse-uuid {s})
(boolean {x})
(string? {x})
(edn/read-string {ed}) *40
(read-string {ed}) *20
""",
    "kinds": """
(= {d} {d}) *30
(not= {d} {d})
(= {d} {d} {d})
(identical? {x} {x}) *0
(compare {d} {d}) *30
(= (hash {d}) (hash {d}))
(not {x})
(boolean {x})
(nil? {x})
(some? {x})
(true? {x})
(false? {x})
(boolean? {x})
(keyword? {x})
(symbol? {x})
(string? {x})
(vector? {x})
(map? {x})
(set? {x})
(list? {x})
(seq? {x})
(coll? {x})
(sequential? {x})
(associative? {x})
(counted? {x})
(reversible? {x})
(indexed? {x})
(seqable? {x})
(sorted? {x})
(fn? {x})
(ifn? {x})
(ident? {x})
(simple-keyword? {x})
(qualified-keyword? {x})
(simple-symbol? {x})
(qualified-symbol? {x})
(simple-ident? {x})
(qualified-ident? {x})
(special-symbol? {x})
(any? {x})
(inst? {x})
(uuid? {x})
(uri? {x})
(bytes? {x})
(record? {x})
(var? {x})
(delay? {x})
(volatile? {x})
(future? {x})
(reduced? {x})
(reduced? (reduced {x}))
(unreduced {x})
(unreduced (reduced {x}))
(deref (reduced {x}))
(class? {x})
(distinct? {d} {d})
(identity {x})
(if {x} :yes :no)
(and {x} {x})
(or {x} {x})
(when {x} 1)
(cond {x} 1 :else 2)
(case {d} nil 0 1 :one \\a :char "abc" :string :a :keyword sym :symbol [1 2] :vector :other)
(condp = {d} 1 :one :a :keyword :other)
(set/union {t} {t})
(set/intersection {t} {t})
(set/difference {t} {t})
(set/subset? {t} {t})
(set/superset? {t} {t})
(set/select odd? {ti})
(set/map-invert {m})
(set/rename-keys {m} {:a :z})
(set/project #{:a 1, :b 2} [{k}])
(set/index #{:a 1, :b 2} [{k}])
(set/join #{:a 1} #{:a 1, :c 3})
(walk/postwalk (fn [x] (if (number? x) (inc x) x)) {d})
(walk/prewalk (fn [x] (if (vector? x) (list* x) x)) {d})
(walk/postwalk-replace {:a :z, 1 :one} {d})
(walk/prewalk-replace {:a :z, 1 :one} {d})
(walk/keywordize-keys {m})
(walk/stringify-keys {m})
(walk/walk identity pr-str {c})
(ex-message (ex-info "boom" {m}))
(ex-data (ex-info "boom" {m}))
(try (throw (ex-info "boom" {:x {d}})) (catch Exception e [(ex-message e) (ex-data e)]))
(deref (atom {x}))
(swap! (atom {i}) {o} {i})
(let [a (atom {x})] (reset! a {x}))
(let [v (volatile! {i})] (vswap! v + {i}) (deref v))
(let [a (atom {i})] [(swap-vals! a inc) (reset-vals! a :r) @a])
(persistent! (conj! (transient {c1}) {i}))
(persistent! (assoc! (transient {m}) {k} {d}))
(persistent! (dissoc! (transient {m}) {k}))
(persistent! (reduce conj! (transient []) {c}))
(bounded-count {i} {c})
(ensure-reduced {i}) *0
(clojure.core/str {d})
(let [x {d}] (-> x vector (conj 1)))
(some-> {m} :a)
(some->> {q1} (+ 1))
(cond-> {v} true (conj 1) false (conj 2))
(as-> {i} x (+ x 1) [x x])
(doto (atom {i}) (swap! inc)) *0
(if-let [x {x}] [:then x] :else)
(when-some [x {x}] [:some x])
(if-not {x} 1 2)
(when-first [x {c}] [:first x])
""",
}
POOLS |= {
    "ra": ["1/2", "-3/4", "7/3", "22/7", "1/1000000"],
    "cube": ["0", "1", "8", "27.0", "-64"],
    "op": ["<", "<=", ">", ">="],
    "j": ["1", "2", "3", "4"],
    "gl": ["list", "vector", "(fn [x] [x x])", "(fn [x] nil)", "(fn [x] (list x 1))"],
    "st": ["1", "2", "-1", "0.5", "3"],
    "z0": ["0", "1", "-3", "5", "10", "2.5"],
    "nk": ["-", "identity", "count", "first", "(fn [x] (* x x))"],
    "q1": ["1", "-4", "2", "0", "3.5"],
    "nz": ["nil", "1", "2"],
    "ti": ["#{}", "#{1}", "#{1 2 3}", "(sorted-set 1 2 3)"],
    "c1": ["[]", "[1]", "#{}", "#{7}", "[1 2]"],
    "ed": [
        '"1"',
        '"[1 2.5 -3]"',
        '"{:a 1}"',
        '"#{1}"',
        '"(a b c)"',
        '":k/w"',
        '"\\"str\\""',
        '"\\\\newline"',
        '"nil"',
        '"true"',
        '"#inst \\"2024-01-02T03:04:05.678-00:00\\""',
        '"#uuid \\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\\""',
        '"1/2"',
        '"1e3"',
        '"; comment\\n7"',
        '"#_ignored 8"',
        '"-"',
        '"foo/bar"',
        '"[1"',
        '")"',
        '"{:a}"',
        '"\\\\u0041"',
        '"##Inf"',
        '"0x1F"',
        '"017"',
        '"2r101"',
        '"36rZZ"',
        '"+5"',
        '"#{1 1}"',
        '"{:a 1 :a 2}"',
        '"1 2 3"',
        '"[[[]]]"',
        '"1a"',
        '"\\\\x"',
        '"a:b"',
        '"#foo 1"',
    ],
}
_PLACE = re.compile(r"\{([a-z0-9]+)\}")


def filled(chance: random.Random, template: str) -> str:
    """Return a template with each place taken from its pool, now and then from that of any kind."""

    def one(place: re.Match[str]) -> str:
        name = place.group(1)
        odd = chance.random() < ODD_SHARE and name not in _KEPT
        return chance.choice(POOLS["x" if odd else name])

    return _PLACE.sub(one, template)


_KEPT = frozenset({"em", "ep", "re", "xf", "op", "fi", "fd", "fs", "ed", "gl", "nk"})


def expressions(chance: random.Random, templates: str) -> list[str]:
    """Return different expressions, in the order of their templates."""
    found: dict[str, None] = {}
    for line in templates.strip().splitlines():
        template, _, number = (
            line.partition(" *") if re.search(r" \*\d+$", line) else (line, "", "")
        )
        wanted = int(number) if number else USUAL
        before = len(found)
        for _ in range(4 * wanted):
            if len(found) - before < wanted:
                found[filled(chance, template.strip())] = None
    return list(found)


def main() -> None:
    """Write the files."""
    for topic, templates in TEMPLATES.items():
        lines = expressions(random.Random(f"{SEED}{topic}"), templates)
        text = "".join(f"{line}\n" for line in lines)
        (FOLDER / f"generated_{topic}.clj").write_text(
            f";; Written by generate.py.\n\n{text}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
