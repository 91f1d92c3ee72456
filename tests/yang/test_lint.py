"""The shipped lint rules, one program each, and rule files of the user's own."""

from __future__ import annotations

import pytest

from yang.host import Host
from yang.lint import Finding, RulesInvalid, lint, read_rules
from yind.cesk.evaluate import evaluate

HOST = Host(evaluate)


def told(text: str, *rules: str) -> list[str]:
    own = [read_rules(rule, "own.edn") for rule in rules]
    return [
        f"{finding.line}:{finding.column} {finding.severity} {finding.code}"
        for finding in lint(text, "a.clj", host=HOST, rule_files=own)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(let [a 1\nb 2] a)", ["2:1 warning unused-local"]),
        ("(defn f [] 1)\n(defn g [] 2)\n(g)", ["1:1 warning unused-definition"]),
        ("(if (= 1 2)\n(log! 1)\n3)", ["1:5 info constant-call", "2:1 warning dead-branch"]),
        ("(fn [x]\n(throw x)\n(log! x))", ["3:1 warning unreachable"]),
        ('(fn [x]\n"doc"\nx)', ["2:1 warning misplaced-docstring"]),
        ("(fn [x]\n(inc x)\nx)", ["2:1 warning discarded-value"]),
        ("(fn [x]\n(map log! x)\nx)", ["2:1 warning lazy-discarded"]),
        ('(fn [x]\n(+ 1 "a"))', ["2:1 warning always-fails"]),
        ("(defn f [n]\n(if (zero? n) 0\n(+ 1\n(f (dec n)))))\n(f 1)", ["4:1 info deep-recursion"]),
        (
            "(defn f [n] n)\n(let [f 1]\n(+ f 2)) (f 1)",
            ["2:7 info shadowed-definition", "3:1 info constant-call"],
        ),
        ("(fn [a] (fn [b\na] [a b]))", ["2:1 info shadowed-local"]),
        ("(fn [] (* 60\n60))", ["1:8 info constant-call"]),
        ("(foo 1)\n(let [x 1] 2)", ["1:2 error compile", "2:7 warning unused-local"]),
        ("(let [x", ["1:6 error compile"]),
    ],
)
def test_the_shipped_rules_find(text: str, expected: list[str]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '(defn f "doc" [x] x) (f 1)',
        "(fn [x] (throw x))",
        '(fn [x] (try (+ 1 "a") (catch Exception e x)))',
        "(loop [[a & more] [1 2]] (if more (recur more) a))",
        "(defmacro twice [x] `(do ~(wrap x) ~x)) (defn wrap [x] x)",
        "(defn wrap [x] x) (defmacro twice [x] (wrap x)) (twice 1)",
        "(defrecord Point [x y]) (->Point 1 2)",
        "(fn [x] (let [x (inc x)] x))",
        "(fn [xs] (doseq [x xs] (log! x)))",
        "(fn [x] (when x (log! x)) (cond (= x 1) 2 :else 3))",
        "(fn [{:keys [a b] :or {a 1}}] (or a b (and a b)))",
        "(for [x [1 2] y [3 4] :when (< x y)] [x y])",
        "(defn -main [] 1) (defn f [_x] 1) (f 1)",
        "(defmulti area :kind) (defmethod area :circle [c] (:r c)) (area {:kind :circle :r 1})",
        "(fn [x] (run! log! x) (swap! x inc) (deref x))",
        "(defprotocol P (m [this])) (defrecord R [a] P (m [this] a)) (m (->R 1))",
    ],
)
def test_usual_code_gives_nothing_but_remarks(text: str) -> None:
    assert [line for line in told(text) if " info " not in line] == []


def test_a_line_may_ask_not_to_be_told_of() -> None:
    text = "(let [a 1 ; lint:ignore\nb 2 ; lint:ignore unused-local\nc 3] ; lint:ignore other\n1)"
    assert told(text) == ["3:1 warning unused-local"]


def test_a_finding_shows_its_line_with_a_caret() -> None:
    (finding,) = lint("(let [a 1\n      b 2] a)", "a.clj")
    assert str(finding) == (
        "a.clj:2:7: warning: nothing reads b [unused-local]\n        b 2] a)\n        ^"
    )


def test_findings_in_required_files_are_told_in_those() -> None:
    host = Host(load={"lib": ("lib.clj", "(ns lib)\n(defn f []\n(let [x 1] 2))")}.get)
    found = lint("(ns app (:require [lib]))\n(lib/f)", "app.clj", host=host)
    assert [(each.file, each.line, each.column) for each in found] == [("lib.clj", 3, 7)]


# -- rule files --

POLICY = """; Only the ledger writes to the stream ledger.
[[(finding ?call :error :ledger ?message)
  (stream-access ?call "ledger" :stream/write)
  [(str "nobody may append to ledger") ?message]]
 [(finding ?call :info "prints") (printing ?call)]
 [(printing ?call) [?call :ast/operator ?f] [?f :ast/name "println"]]]"""


def test_rules_of_the_user_s_own_read_passes_and_the_tree() -> None:
    text = '(defn save [s]\n(transact! s []))\n(save "ledger")\n(println 1)'
    assert told(text, POLICY) == ["3:1 error ledger", "4:1 info own"]


ENDLESS = """[[(finding ?n :info "x") [?n :ast/type] (up ?n ?m)]
 [(up ?n ?m) [?n :ast/depth ?m]]
 [(up ?n ?m) (up ?n ?k) [(inc ?k) ?m]]]"""


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('[[(finding ?n :info "x")\n(efect ?n ?e)]]', "own.edn:2:1: no rule efect"),
        ("[[(finding ?n :info ?m)\n[?n :ast/type]]]", "own.edn:1:2: nothing binds ?m"),
        (
            "[[(finding ?n :info ?m)\n[?n :ast/value ?v]\n[(+ ?v 1) ?m]]]",
            'own.edn:3:1: "a" is not a number',
        ),
        ('[[(finding ?n :wrong "x") [?n :ast/type]]]', "own.edn:1:15: no such severity"),
        ('[[(finding ?n "x")]]', "own.edn:1:3: a finding of 2 parts"),
        ("[[(effect ?n) [?n :ast/type]]]", "own.edn:1:3: effect is a relation of the passes"),
        ('[[(finding ?n :info "x") [?m :ast/name ?n]]]', 'own.edn:1:2: no finding: ["f"'),
        ("[[(other ?n) [?n :ast/type]]]", "own.edn:1:1: no rule derives a finding"),
        ('[[(finding ?n :info "x")', "own.edn:1:2: [ is not closed"),
        (
            ENDLESS,
            "own.edn:3:14: more than 100000 rounds of a recursion",
        ),
        ("[:a]", "own.edn:1:2: not a rule"),
        ("{}", "own.edn:1:1: a rule file is one vector of rules"),
        ("", "own.edn:1:1: a rule file is one vector of rules"),
    ],
)
def test_a_wrong_rule_file_is_refused_with_the_place_in_it(rules: str, message: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        told('(f "a")', rules)
    assert str(caught.value).startswith(message)


def test_findings_are_in_the_order_of_places() -> None:
    first = Finding("a", 1, 2, "info", "x", "m")
    assert sorted([Finding("a", 2, 1, "error", "x", "m"), first])[0] is first
