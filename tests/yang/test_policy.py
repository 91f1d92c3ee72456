"""What policies say of programs: the shipped ones by example, and what a policy file may not be."""

from __future__ import annotations

import doctest
from collections.abc import Iterable
from pathlib import Path

import pytest

from datomstore.datalog import Budget
from datomstore.value import Keyword
from yang.compile import compile_source
from yang.policy import Entity, Fact, Judgement, Policy, code_of, derived, judge, read_policy
from yang.rule_files import RulesInvalid

FOLDER = Path(__file__).parents[2] / "policy"
FILES = sorted(FOLDER.glob("*.edn"))
BEGINS: Fact = (0, "standing/begins", Entity(0, is_node=True))


def shipped(name: str) -> Policy:
    path = FOLDER / f"{name}.edn"
    return read_policy(path.read_text(), str(path))


def judged(
    policies: Iterable[Policy], text: str, *facts: Fact, budget: Budget | None = None
) -> Judgement:
    code = code_of(compile_source(text, "agent.clj").program)
    return judge(list(policies), code, [BEGINS, *facts], budget=budget)


def told(name: str, text: str, *facts: Fact) -> list[str]:
    return [str(each).split("\n")[0] for each in judged([shipped(name)], text, *facts).counted]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_policy_begins_with_what_it_says(path: Path) -> None:
    policy = read_policy(path.read_text(), str(path))
    assert policy.doc.split("\n")[1] == ""
    assert policy.doc[0].isupper()


@pytest.mark.parametrize(
    "text",
    [
        '(transact! "log" [])',
        '(defn save [x] (transact! "log" x)) (save [])',
        '(let [save (fn [x] (transact! "log" x))] (save []))',
        '(run! (partial transact! "log") [[]])',
        '(map (fn [x] (transact! "log" x)) [[]])',
        '(apply transact! ["log" []])',
        '((get {:save (fn [x] (transact! "log" x))} :save) [])',
        "(def table {:save transact!}) ((table :save) 1 2)",
        '(defn pick [f] (f "log" [])) (pick transact!)',
        '(defn pick [f] (f "log" [])) (pick (if (here) transact! str))',
        '(defmulti save identity) (defmethod save :x [_] (transact! "log" [])) (save :x)',
        '(defprotocol Saves (save [x])) (defrecord Log [] Saves (save [x] (transact! "log" []))) (save (->Log))',
        '(def cell (atom nil)) (reset! cell (fn [] (transact! "log" []))) (@cell)',
        '(loop [f (fn [] 1)] (f) (recur (fn [] (transact! "log" []))))',
        '(try (throw (ex-info "x" {:f (fn [] (transact! "log" []))})) (catch Exception e ((:f (ex-data e)))))',
        '(call/cc (fn [k] (k 1))) (doseq [f [(fn [] (transact! "log" []))]] (f))',
        '(defn a [n] (if (= n 0) (transact! "log" []) (b (dec n)))) (defn b [n] (a n)) (a 3)',
        '(def save (fn [x] (transact! "log" x))) (def save save) (save [])',
    ],
)
def test_a_write_that_can_be_reached_is_refused(text: str) -> None:
    assert told("no-writes", text)


@pytest.mark.parametrize(
    "text",
    [
        '(q \'[:find ?x :where [?x :a]] "log")',
        '(defn save [x] (transact! "log" x)) (inc 1)',
        '(defn save [x] (transact! "log" x)) (defn look [f] (f 1)) (look inc)',
        '(def unused {:save (fn [x] (transact! "log" x))}) (inc 1)',
        "(map (fn [x] (str x)) [1 2 3])",
    ],
)
def test_a_program_that_cannot_come_to_a_write_is_taken(text: str) -> None:
    assert told("no-writes", text) == []


def test_a_violation_says_where_it_is_and_what_stands_there() -> None:
    (violation,) = judged(
        [shipped("no-writes")], '(defn save [x]\n  (transact! "log" x))\n(save [])'
    ).counted
    assert (violation.source, violation.span.line, violation.span.column) == ("agent.clj", 2, 3)
    assert violation.text == '(transact! "log" x)'


PRIVATE: Fact = (1, "private/stream", "salaries")


def test_rows_of_a_private_stream_are_refused_and_aggregates_are_not() -> None:
    rows = '(q (quote [:find ?who ?much :where [?e :who ?who] [?e :much ?much]]) "salaries")'
    sums = '(q (quote [:find (sum ?much) . :with ?e :where [?e :much ?much]]) "salaries")'
    grouped = (
        '(q (quote [:find ?who (sum ?much) :where [?e :who ?who] [?e :much ?much]]) "salaries")'
    )
    least = '(q (quote [:find (min ?much) :where [_ :much ?much]]) "salaries")'
    assert len(told("only-aggregates", rows, PRIVATE)) == 1
    assert len(told("only-aggregates", grouped, PRIVATE)) == 1
    assert len(told("only-aggregates", least, PRIVATE)) == 1
    assert told("only-aggregates", sums, PRIVATE) == []
    assert told("only-aggregates", rows) == []
    assert told("only-aggregates", rows.replace("salaries", "weather"), PRIVATE) == []


def test_operators_that_are_not_listed_are_refused_wherever_they_stand() -> None:
    assert told(
        "allowed-operators", '(defn never [] (transact! "log" [])) (sleep 1) (swap! (atom 1) inc)'
    ) == ["agent.clj:1:17: transact! is not among the allowed operators [allowed-operators]"]


def test_nesting_counts_loops_through_calls_and_functions_that_are_handed_on() -> None:
    loop = "(loop [i 0] (when (< i 3) {} (recur (inc i))))"
    three = loop.format(loop.format(loop.format("1")))
    assert told("loop-nesting", three) == []
    assert "4 loops inside each other" in told("loop-nesting", loop.format(three))[0]
    called = f"(defn f [] {three}) {loop.format('(f)')}"
    assert told("loop-nesting", called)[0].startswith("agent.clj:1:")
    assert told("loop-nesting", f"(defn f [] {three}) (map (fn [x] (f)) [1])")
    assert told("loop-nesting", f"(defn f [n] {loop.format('(f (dec n))')}) (f 3)")


TOKEN: tuple[Fact, ...] = (
    (2, "agent/token", Entity(3)),
    (3, "token/name", "token 1"),
    (3, "token/lifetime", 3600),
    (3, "token/caveat", Keyword("agent")),
)


def test_tokens_hold_for_so_long_at_most_and_name_the_agent() -> None:
    policy = shipped("token-limits")
    assert policy.of_agent
    assert not policy.of_code
    assert judge([policy], None, TOKEN).counted == ()
    long = [(e, a, 10**6 if a == "token/lifetime" else v) for e, a, v in TOKEN]
    assert "1000000 more seconds" in judge([policy], None, long).counted[0].message
    assert "no caveat" in judge([policy], None, TOKEN[:3]).counted[0].message


def test_the_agents_of_a_trusted_owner_are_exempt() -> None:
    trusted = shipped("trusted").text.replace("the key of an owner", "KEY")
    policies = [shipped("no-writes"), read_policy(trusted, "trusted.edn")]
    text = '(transact! "log" [])'
    assert judged(policies, text, (5, "agent/owner", "KEY")).counted == ()
    assert judged(policies, text, (5, "agent/owner", "OTHER")).counted


def test_policies_of_the_same_names_do_not_meet() -> None:
    first = read_policy(
        '[[(mine 1)] [(violation ?x "one") (mine 1) [?x :ast/type :program]]]', "a.edn"
    )
    second = read_policy(
        '[[(mine 2)] [(violation ?x "two") (mine 1) [?x :ast/type :program]]]', "b.edn"
    )
    assert [each.message for each in judged([first, second], "1").counted] == ["one"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[(finding ?x :error 1) [?x :a 1]]]", "own.edn:1:1: no rule derives a violation"),
        ("[[(violation ?x) [?x :a 1]]]", "own.edn:1:3: it has 1 parts"),
        (
            "[[(violation ?x 1)\n  [?x :ast/type 1] (reches ?x :log)]]",
            "own.edn:2:20: no rule reches",
        ),
        ("[[(violation ?x ?y) [?x :ast/type :def]]]", "own.edn:1:2:"),
        (
            '[[(reaches ?x ?y) [?x ?y]] [(violation ?x "") (reaches ?x ?x)]]',
            "own.edn:1:3: reaches is",
        ),
        ("[[(violation ?x 1) (not (violation ?x 1)) [?x :a]]]", "own.edn:1:"),
        ("[1", "own.edn:1:"),
        ("[1]", "own.edn:1:2: not a rule"),
    ],
)
def test_a_broken_policy_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read_policy(text, "own.edn")
    assert str(caught.value).startswith(place)


def test_a_policy_that_does_not_end_in_its_budget_fails_at_its_clause() -> None:
    endless = (
        "[[(n ?x 0) [?x :ast/type :program]]\n"
        " [(n ?x ?n) (n ?x ?m) [(+ ?m 1) ?n]]\n"
        ' [(violation ?x "x") (n ?x -1)]]'
    )
    policy = read_policy(endless, "own.edn")
    with pytest.raises(RulesInvalid, match=r"own\.edn:2"):
        judged([policy], "1", budget=Budget(seconds=0.2, rounds=1000))


def test_a_file_answers_questions_about_facts_alone() -> None:
    text = '[[(grant ?r) [?r :request/verb :read]] [(violation ?r "writes") [?r :request/verb :append]]]'
    facts: list[Fact] = [(7, "request/verb", Keyword("read"))]
    assert len(derived(read_policy(text, "own.edn"), "grant", facts)) == 1


def test_every_example_of_the_page_prints_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (FOLDER.parent / "docs" / "admission.md").read_text(encoding="utf-8")
    example = doctest.DocTestParser().get_doctest(page, {}, "admission.md", "admission.md", 0)
    assert len(example.examples) > 12
    result = doctest.DocTestRunner().run(example)
    assert result.failed == 0, capsys.readouterr().out


def test_the_page_names_every_shipped_policy() -> None:
    page = (FOLDER.parent / "docs" / "admission.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in page for path in FILES)
