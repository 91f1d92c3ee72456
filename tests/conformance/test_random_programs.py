"""The compiled machine does what the reference machine does, on programs nobody wrote.

Expressions are made by kind, so that most of them have a value, with a value of another kind here and there, so that
faults are compared too; of type faults only the kind, as `(> a b)` may be told as `(< b a)`. Nothing depends on the order of a map's or a set's parts, which is not promised.
"""

from __future__ import annotations

from random import Random

import pytest
from language import MEMORY, core_code, exactly, outcome_of, reference_core

from datomstore.value import Set
from yang.compile import compile_source
from yang.lower import tree_of_source
from yind.cesk import Code, Machine
from yind.cesk.reference import ReferenceCode, ReferenceMachine

EXPRESSIONS = 12  # of one program: compiling it costs more than running it
DEPTH = 3
SEEDS = 24
ODD_SHARE = 0.04  # of expressions that are of some other kind

NUMBERS = [
    *("0", "1", "2", "-1", "3", "7", "-5", "10", "100", "1.5", "-0.5", "0.0", "0.1", "1e10"),
    *("1/2", "-2/3", "##Inf", "4294967296"),
    *("9223372036854775807", "-9223372036854775808", "9223372036854775808"),
]
TEXTS = ['""', '"a"', '"b c"', '"Äx"', '"aXbX"', '"\\n"', '"-12"', '"1.5"', '" pad "']
NAMES = [":a", ":b", ":n/a", "'a", "'n/b", "\\a", "\\space", '"a"']
ODD = ["nil", "true", ":k", "5", '"s"', "[1]", "{:a 1}", "#{1}", "()", "2.5", "false"]

# A template has holes: N number, S text, K name, B test, V sequence, M map, T set, F function of one argument,
# G function of two, I small integer.
TEMPLATES: dict[str, str] = {
    "N": """(+ N N) (- N N) (* N N) (/ N N) (quot N N) (rem N N) (mod N N) (inc N) (dec N) (- N) (max N N N)
        (min N N) (abs N) (bit-and N N) (bit-or I I) (bit-xor N I) (bit-not I) (bit-shift-left I I)
        (bit-shift-right N I) (int N) (double N) (count V) (count S) (count M) (count T) (reduce + V) (reduce G N V)
        (apply + V) (compare N N) (compare S S) (compare K K) (parse-long S) (parse-double S) (get M K N)
        (nth V I N) (index-of S S) (int (first S)) (+ N N N) (if B N N) (let [x N y N] (+ x (* x y)))
        (loop [i 0 x N] (if (< i 3) (recur (inc i) (+ x i)) x)) (call/cc (fn [k] (+ 1 (k N))))
        (+ N (call/cc (fn [k] N))) (try N (catch Exception e 0)) (try (throw (ex-info "e" {:n N})) (catch
        ExceptionInfo e (:n (ex-data e)))) (let [a (atom N)] (swap! a F) @a) ((fn [x & more] (+ x (count more))) N N)
        (case I 0 N 1 N N) (numerator N) (some F V) (get V I) (second V) (last V) (reduce-kv (fn [n k v] (+ n 1)) 0 M)
        (let [[a b] V] (+ a b)) (let [{:keys [a b] :or {b 1}} M] [a b]) (peek V) (F N) (G N N)
        (let [k (atom nil) n (atom 0) x (call/cc (fn [c] (reset! k c) N))] (if (< (swap! n inc) 3) (@k (F x)) x))
        (call/cc (fn [out] (reduce (fn [x y] (if (= y N) (out x) (G x y))) N V)))
        (try (F (/ N 0)) (catch ArithmeticException e N) (finally N)) (-> N (+ N) (vector N) count) (->> V (map F) (reduce G))
        (letfn [(f [n] (if (pos? n) (g (dec n)) N)) (g [n] (f n))] (f I)) (do N N) (first (sort V))""",
    "B": """(= N N) (= V V) (= S S) (== N N) (< N N) (<= N N N) (> N N) (not B) (zero? N) (pos? N) (neg? N) (even? N)
        (odd? I) (empty? V) (contains? M K) (contains? V I) (contains? T N) (nil? K) (string? S) (seq? V) (vector? V)
        (and B B) (or B B) (every? F V) (starts-with? S S) (includes? S S) (blank? S) (= M M) (= T T) (number? N)
        (integer? N) (ratio? N) (sequential? V) (counted? V) (ifn? K) (keyword? K) (distinct? N N N) (not= K K) (some? K)
        (list? V) (coll? V) (reduced? N) (boolean N) (identical? K K)""",
    "S": """(str N) (str K S) (str V) (pr-str N K) (pr-str V) (subs S I) (subs S I I) (upper-case S) (lower-case S) (trim S)
        (replace-text S S S) (join-text S V) (name K) (print-str V S) (apply str V) (str/reverse S) (str/capitalize S)
        (str/replace-first S S S) (ex-message (ex-info S {})) (try N (catch Exception e (ex-message e)))""",
    "K": "(keyword S) (symbol S) (first S) (namespace K) (keyword S S) (nth S I) (if B K K) (find M K) (first V)",
    "V": """(list N S) (vector N K) [N V] [] (vec V) (conj V N) (cons K V) (rest V) (next V) (seq V) (map F V) (map G V V)
        (mapv F V) (filter F V) (remove F V) (take I V) (drop I V) (take-while F V) (reverse V) (concat V V) (range I)
        (range I I) (repeat I N) (interleave V V) (interpose N V) (partition 2 V) (partition-all 2 V) (sort V) (sort-by F V)
        (distinct V) (flatten V) (map-indexed vector V) (into [] V) (into () V) (for [x V] [x]) (for [x V :when (F x)] x)
        (reductions G V) (split-at I V) (butlast V) (subvec V I) (assoc V I N) (update V I F) (pop V) (mapcat list V V)
        (split-text S S) (keep F V) (list* N V) (let [[a & more :as all] V] [a more all]) (lazy-seq V) (take I (iterate F N))
        (take I (cycle V)) (try V (catch Exception e [(:fault (ex-data e))])) (drop-last V) (take-last I V) (nthrest V I)
        (loop [x N out []] (if (< (count out) 3) (recur (F x) (conj out x)) out)) (dedupe V) (str/split S S) (empty V)
        (partition-by F V) (tree-seq sequential? seq V) (transduce (map F) conj [] V) (if B V V) (replace {1 2} V)
        (let [a (atom [])] (doseq [x V] (swap! a conj x)) @a) (seq S) ((juxt F F) N)
        (let [log (atom [])] (try (swap! log conj N (F N)) (catch Exception e (swap! log conj :e)) (finally (swap! log
        conj :f))) @log) (call/cc (fn [out] (mapv (fn [x] (if (F x) (out [x]) x)) V))) (try (mapv (fn [x] (throw
        (ex-info "t" {:x (F x)}))) V) (catch ExceptionInfo e [(:x (ex-data e))]))
        (let [k (atom nil) out (atom [])] (doseq [x V] (swap! out conj (call/cc (fn [c] (reset! k c) x)))) (if (< (count
        @out) 6) (if @k (@k N) @out) @out)) (rseq V) (filterv F V) (map F S) (seq (into (sorted-set) V))
        (seq (sorted-set-by G N N N)) (subseq (sorted-set N N N) > N) (rsubseq (into (sorted-set-by G) V) <= N)
        (rseq (sorted-set-by > N N N)) (vals (sorted-map-by G N N N N N N)) (keys (sorted-map N K N N))""",
    "M": """{} {K N} {:a N} (assoc M K N) (dissoc M K) (merge M M) (zipmap V V) (update M K F) (assoc-in M [K K] N)
        (select-keys M [K K]) (hash-map K N K N) (conj M [K N]) (into M {K V}) (update-vals M F) (group-by F V)
        (frequencies V) (merge-with G M M) (if B M M) (into (sorted-map) M) (sorted-map-by G N K N N)
        (sorted-map N K N N) (empty M)""",
    "T": "#{} #{N} (set V) (conj T N) (disj T N) (hash-set N K) (set/union T T) (set/difference T T) (into T V) (sorted-set N N) (sorted-set-by G N N) (into (sorted-set) T)",
    "F": """inc dec str identity first count not keyword vector :a even? (fn [x] (+ x N)) (fn [x] x) (partial + N)
        (comp F F) (constantly N) {1 2} #{1 2} (fn [x] [x x]) number? (complement F) pos? (fn [x] (if (number? x) x 0))
        (fn [x] N) (memoize F) (fnil F N)""",
    "G": "+ - * max = vector conj < (fn [x y] (+ x y)) (fn [x y] y) str (comp F G) (fn [x y] N) compare",
    "I": "0 1 2 3 5 -1",
}


def templates(text: str) -> list[str]:
    """Split templates at the spaces outside brackets."""
    found: list[str] = []
    depth = 0
    for word in text.split():
        if depth:
            found[-1] += " " + word
        else:
            found.append(word)
        depth += sum(word.count(c) for c in "([{") - sum(word.count(c) for c in ")]}")
    return found


BY_KIND = {kind: templates(text) for kind, text in TEMPLATES.items()}
LEAVES = {
    "N": NUMBERS,
    "B": ["true", "false", "nil"],
    "S": TEXTS,
    "K": NAMES,
    "V": [
        "[]",
        "()",
        "nil",
        "[1 2 3]",
        "'(3 1 2)",
        "(range 4)",
        '["b" "a"]',
        "[nil 1 :a]",
        "(map inc [1 2])",
    ],
    "M": ["{}", "nil", "{:a 1}", "{:a 1 :b nil}"],
    "T": ["#{}", "#{1}", "#{1 :a}"],
    "F": ["inc", "identity", "str"],
    "G": ["+", "vector"],
    "I": BY_KIND["I"],
}
HOLES = frozenset(LEAVES)


def expression(random: Random, kind: str, depth: int) -> str:
    """Return the text of an expression of a kind."""
    if kind not in "FGI" and random.random() < ODD_SHARE:
        return random.choice(ODD)
    if depth == 0:
        return random.choice(LEAVES[kind])
    template = random.choice(BY_KIND[kind])
    out: list[str] = []
    for at, letter in enumerate(template):
        around = template[max(at - 1, 0) : at] + template[at + 1 : at + 2]
        if letter in HOLES and not around.strip("([{}])@ "):
            out.append(expression(random, letter, depth - 1))
        else:
            out.append(letter)
    return "".join(out)


def program(seed: int) -> str:
    """Return a program whose value is a vector: of each expression its value, or kind and message of its fault."""
    random = Random(seed)
    realised = "(let [x {}] (pr-str x) (if (fn? x) :function x))"
    caught = "(try {} (catch :default e [:error (:fault (ex-data e)) (if (= :type (:fault (ex-data e))) nil (ex-message e))]))"
    parts = [expression(random, random.choice("NBSKVMT"), DEPTH) for _ in range(EXPRESSIONS)]
    return "[" + "\n".join(caught.format(realised.format(part)) for part in parts) + "]"


def values_of(found: object) -> tuple[object, ...]:
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_machines_give_the_same_for_any_program(seed: int) -> None:
    source = program(seed)
    compiled = Machine(
        Code(compile_source(source, "random.clj").segment, core_code()), memory_max=MEMORY
    )
    reference = ReferenceMachine(
        ReferenceCode.of_tree(tree_of_source(source, "random.clj"), reference_core())
    )
    expected, found = outcome_of(reference), outcome_of(compiled)
    assert found.error == expected.error
    values = zip(values_of(found.value), values_of(expected.value), strict=True)
    for text, (one, other) in zip(source.split("\n"), values, strict=True):
        assert Set([exactly(one)]) == Set([exactly(other)]), f"{text}\n{one!r}\n{other!r}"
