"""What the passes derive of small programs, and that their tables are whole."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from datomstore.datalog import q
from datomstore.value import Keyword
from yang import rules
from yang.lower import tree_of_source
from yang.passes import PASSES, RELATIONS, SCHEMA, PassUnknown, Subject, files_of, subject_of
from yang.primitives import PRIMITIVES, Kind
from yang.signatures import EFFECTS, KINDS, SIGNATURES
from yang.summaries import library_signatures


def analysed(text: str) -> Subject:
    return subject_of(tree_of_source(text))


def shown(subject: Subject, node: object) -> object:
    """Return a node as its line and column, another value as it is, a keyword by its name."""
    if isinstance(node, Keyword):
        return node.name
    base = subject.ast.base
    if isinstance(node, int) and base <= node < base + len(subject.ast.items):
        span = subject.ast.span(node)
        return f"{span.line}:{span.column}"
    return node


def answers(text: str, relation: str) -> list[tuple[object, ...]]:
    subject = analysed(text)
    rows = [tuple(shown(subject, value) for value in row) for row in subject.rows(relation)]
    return sorted(rows, key=str)


# -- tables --


def test_every_primitive_has_a_signature() -> None:
    assert SIGNATURES.keys() == {row.name for row in PRIMITIVES}


def test_every_effect_of_the_host_is_one_of_a_signature() -> None:
    silent = [
        p.name for p in PRIMITIVES if p.kind is Kind.EFFECT and not SIGNATURES[p.name].effects
    ]
    assert silent == []


def test_signatures_name_kinds_and_effects_of_the_tables() -> None:
    library = [row for rows in library_signatures().values() for row in rows]
    for signature in [*SIGNATURES.values(), *library]:
        assert set(signature.results) <= {*KINDS, "any", "other"}
        assert set(signature.effects) <= EFFECTS.keys()


def test_a_relation_is_derived_in_one_file() -> None:
    files: dict[str, set[str]] = {}
    for name in PASSES:
        for rule in rules.load(name):
            files.setdefault(rule[0][0].name, set()).add(name)  # type: ignore[index]
    assert {name: found for name, found in files.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_runs_with_the_files_it_says_it_needs(name: str) -> None:
    assert set(files_of([name])) >= {name, *PASSES[name].needs}
    found = analysed("(defn f [x] (inc x)) (f 1)").run(name)
    assert found.keys() == set(PASSES[name].relations)


@pytest.mark.parametrize("name", list(PASSES))
def test_a_rule_file_says_first_what_it_derives(name: str) -> None:
    comment = rules.text_of(f"{name}.dl").partition("[\n")[0]
    assert all(line.startswith(";") for line in comment.splitlines())
    assert "Derived:" in comment


def test_an_unknown_pass_is_refused() -> None:
    with pytest.raises(PassUnknown, match="no pass nonsense"):
        analysed("1").run("nonsense")


# -- passes as facts --


def test_queries_join_the_tree_with_what_passes_derive() -> None:
    subject = analysed('(defn f [s] (transact! s [])) (f "events") (defn g [] 1) (g)')
    found = q(
        """[:find ?name ?stream :where [?def :ast/init ?fn] [?def :ast/name ?name]
            [?call :call/target ?fn] [?call :stream/access ?stream]]""",
        subject.database("effects", "callgraph"),
    )
    assert list(found) == [("f", "events")]


def test_every_attribute_of_derived_facts_has_a_schema() -> None:
    attributes = {Keyword(name) for row in PASSES.values() for _, name, _ in row.facts}
    assert attributes == SCHEMA.keys()


# -- variables --


def test_storage_says_where_the_value_of_a_symbol_is() -> None:
    text = '(def a 1)\n(fn [b]\n(fn [c] b))\n(let [d\n(q \'[:find ?x :where [?x :a]] "s")]\nd)'
    assert answers(text, "storage") == [
        ("1:1", "global"),
        ("2:6", "captured"),
        ("3:6", "local"),
        ("4:7", "local"),
        ("4:7", "stream-backed"),
    ]


def test_free_variables_pass_through_functions_in_between() -> None:
    text = "(fn [a]\n(fn []\n(fn [b] a)))"
    assert answers(text, "free-variable") == [("2:1", "1:6"), ("3:1", "1:6")]


# -- constants --


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(+ 1 2)", 3),
        ("(+ 1 2 3 4)", 10),
        ("(* 99999999999 99999999999)", 99999999999**2),
        ("(let [x 3] (* x x))", 9),
        ("(quot -7 2)", -3),
        ("(mod -7 2)", 1),
        ("(rem -7 2)", -1),
        ("(< 1 2.5)", True),
        ("(= 1 1.0)", False),
        ('(str "a" "b")', "ab"),
        ('(count "äöü")', 3),
        ("(not nil)", True),
        ("(max 3 4)", 4),
        ("(+ 0.5 0.25)", 0.75),
    ],
)
def test_calls_of_literals_fold(text: str, value: object) -> None:
    found = [row[1] for row in analysed(text).rows("folds")]
    assert found == [value]
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "(quot 1 0)",
        '(+ 1 "a")',
        "(rand)",
        "(def x 1) (+ x 1)",
        "(fn [x] (+ x 1))",
        "(let [+ -] (+ 1 2))",
        "(first [1])",
        "(+ 0 :c 1)",
        "(let [c :c] (loop [a (+ 0 c a)] a))",
        '(str (name "a") (count 1))',
        "(* 0.0 1.0)",
        "(* 99999999999999999999 99999999999999999999)",
    ],
)
def test_what_may_fail_or_change_does_not_fold(text: str) -> None:
    assert analysed(text).rows("folds") == []


# -- call graph --


def test_functions_that_call_each_other_are_one_recursion_group() -> None:
    text = "(defn a [n] (b n))\n(defn b [n] (c n) (a n))\n(defn c [n] n)\n(defn d [n] (d n))\n(a 1)"
    assert answers(text, "recursion-group") == [("1:1", "1:1"), ("2:1", "1:1"), ("4:1", "4:1")]


def test_a_function_that_is_handed_over_is_called() -> None:
    text = "(defn twice [f x]\n(f (f x)))\n(defn g [x] x)\n(defn h [x] (twice g x))\n(h 1)"
    assert ("4:1", "3:1") in answers(text, "calls-function")


def test_local_functions_and_recursion_through_a_name_are_followed() -> None:
    text = "(let [f (fn go [n]\n(go n))]\n(f 1))"
    assert answers(text, "enters-function") == [("2:1", "1:9"), ("3:1", "1:9")]


# -- effects --


@pytest.mark.parametrize(
    ("body", "effects"),
    [
        ("(+ x 1)", []),
        ("(log! x)", ["log"]),
        ("(map inc x)", []),
        ("(map log! x)", ["log"]),
        ("(map (fn [y] (log! y)) x)", ["log"]),
        ("(let [g log!] (g x))", ["log"]),
        ("(apply log! x)", ["log"]),
        ("(apply map log! x)", ["log"]),
        ("(map (comp log! str) x)", ["log"]),
        ("(map (partial log!) x)", ["log"]),
        ("(map (identity inc) x)", []),
        ("(map (comp inc (partial + 1)) x)", []),
        ("((first x) 1)", ["unknown"]),
        ("(map (first x) [1])", ["unknown"]),
        ("(map (fn [g] (g 1)) x)", ["unknown"]),
        ("(swap! (atom 1) inc)", ["cell/new", "cell/read", "cell/write"]),
        ("(lazy-seq (log! x) nil)", ["log"]),
        ("(:k x)", []),
        ("(reduce + 0 (filter even? (range x)))", []),
        ("(sort-by :a (group-by :b x))", []),
        ("(hop! x)", ["node/hop"]),
    ],
)
def test_effects_of_a_function_are_those_it_can_reach(body: str, effects: list[str]) -> None:
    subject = analysed(f"(defn f [x] {body}) (f 1)")
    (f,) = [
        node
        for node in subject.ast.nodes("lambda")
        if subject.ast.parent(node) == subject.ast.nodes("def")[0]
    ]
    assert sorted(effect.name for fn, effect in subject.rows("effect") if fn == f) == effects


def test_a_function_that_calls_its_argument_is_as_pure_as_that_is() -> None:
    text = "(defn twice [f x] (f (f x)))\n(defn a [x] (twice inc x))\n(defn b [x] (twice log! x))\n[(a 1) (b 1)]"
    assert answers(text, "purity") == [
        ("1:1", "impure"),
        ("1:1", "pure-if-given-pure"),
        ("2:1", "pure"),
        ("3:1", "impure"),
    ]


def test_streams_are_found_through_names_and_parameters() -> None:
    text = (
        '(def where "b")\n(defn write [s] (transact! s []))\n(let [s "a"]\n(write s))\n'
        '(q \'[:find ?x :in $ ?n $two :where [?x :a ?n] [$two ?x]]\nwhere "no" "c")\n(fn [x] (write x))'
    )
    assert answers(text, "stream-access") == [
        ("4:1", "a", "stream/write"),
        ("5:1", "b", "stream/read"),
        ("5:1", "c", "stream/read"),
    ]


# -- types --


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("1", ["integer"]),
        ("(+ 1 2.0)", ["double"]),
        ("(/ 1 2)", ["integer", "ratio"]),
        ('(if (rand) 1 "a")', ["integer", "string"]),
        ("(loop [i 0 acc []] (if (< i 3) (recur (inc i) (conj acc i)) acc))", ["vector"]),
        ("(defn f [n] (if (zero? n) 0 (f (dec n)))) (f 3)", ["integer"]),
        ('(defn f [x] x) (f "a")', ["string"]),
        ('(defn f [x] x) (f "a") (map f [1]) (f 1)', ["any", "integer", "string"]),
        ("(assoc {} :a 1)", ["map"]),
        ("(first [1])", ["any"]),
        ("(list 3)", ["seq"]),
        ("(conj)", ["vector"]),
        ("(throw 1)", []),
        ("(try 1 (catch Exception e :k))", ["integer", "keyword"]),
        ("(fn [& xs] 1)", ["function"]),
    ],
)
def test_kinds_of_a_program_s_value(text: str, kinds: list[str]) -> None:
    subject = analysed(text)
    last = max(node for node in subject.ast.children("program")[subject.ast.base])
    assert sorted(kind.name for node, kind in subject.rows("kind") if node == last) == kinds
    found = next((certainty for node, certainty in subject.rows("certainty") if node == last), None)
    expected = "static" if len(kinds) == 1 and kinds != ["any"] else "dynamic"
    assert found is (Keyword(expected) if kinds else None)


# -- dead code --


def test_branches_that_are_never_taken_and_what_stands_behind_a_throw() -> None:
    text = "(if (= 1 2)\n:a\n:b)\n(fn [x]\n(throw x)\n(inc x))\n(if []\n1\n2)"
    assert answers(text, "unreachable") == [
        ("2:1", "never-taken"),
        ("6:1", "never-reached"),
        ("9:1", "never-taken"),
    ]


def test_what_stands_behind_a_call_that_always_throws() -> None:
    text = '(defn fail [m]\n(throw (ex-info m {})))\n(fn [] (fail "a")\n(inc 1))'
    assert answers(text, "unreachable") == [("4:1", "never-reached")]


def test_definitions_that_nothing_running_mentions() -> None:
    text = "(defn a [] (b))\n(defn b [] (a))\n(defn c [] 1)\n(def d (c))\n(defn e [] 2)\n(e)"
    assert answers(text, "unused-definition") == [("1:1",), ("2:1",), ("4:1",)]


def test_a_library_uses_all_its_definitions() -> None:
    assert answers("(defn a [] 1)\n(def b 2)", "unused-definition") == []


def test_locals_that_nothing_reads() -> None:
    text = "(let [a 1\nb 2\n_c 3\n[d\ne] [4 5]]\n(+ a d))"
    assert answers(text, "unused-local") == [("2:1",), ("5:1",)]


# -- inlining --


def test_candidates_for_inlining() -> None:
    text = (
        "(defn small [x] (inc x))\n(defn once [x] (if (pos? x) (small x) (small (* x x x x x x))))\n"
        "(defn again [n] (again n))\n[(once 1)\n(again 1)]"
    )
    assert answers(text, "inline-candidate") == [
        ("2:29", "1:1", "small"),
        ("2:39", "1:1", "small"),
        ("4:2", "2:1", "single-use"),
    ]


# -- the page --


def test_every_example_of_the_page_prints_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "analyses.md").read_text(encoding="utf-8")
    example = doctest.DocTestParser().get_doctest(page, {}, "analyses.md", "analyses.md", 0)
    assert len(example.examples) > 15
    result = doctest.DocTestRunner().run(example)
    assert result.failed == 0, capsys.readouterr().out


def test_every_relation_on_the_page_is_one_of_a_pass() -> None:
    page = (Path(__file__).parents[2] / "docs" / "analyses.md").read_text(encoding="utf-8")
    table = page.partition("## Relations")[2].partition("## What")[0]
    named = set(re.findall(r"`\(([a-z-]+) ", table))
    assert len(named) > 15
    assert named - RELATIONS.keys() == set()
