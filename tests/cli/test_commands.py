"""Every command as a person would type it, against a fleet of three daemons."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Answer, Yin, answers, cluster, code_of, working_in

N = """
(let [n (fn [] (q '[:find (count ?e) . :where [?e :people/name _]] "people"))]
  (+ (n) (do (hop! "beta") (n))))
"""
ENDLESS = "(loop [] (recur))"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running fleet `dev`, used by all tests of this file."""
    folder = tmp_path_factory.mktemp("yin")
    (folder / "n.clj").write_text(N)
    (folder / "people.csv").write_text("name,age,city\nAnn,42,Oslo\nBob,17,Rome\n")
    with working_in(folder), cluster(3):
        for node in ("alpha", "beta"):
            made = ("stream", "import", f"{node}:people", "people.csv")
            assert code_of("--cluster", "dev", *made) == 0
        granted = ("token", "mint", "--allow", "read,append,migrate:**", "--out", "all")
        assert code_of("--cluster", "dev", *granted) == 0
        yield folder


@pytest.fixture
def yin(place: Path, capsys: pytest.CaptureFixture[str]) -> Yin:
    return answers(capsys)


def spawn(yin: Yin, *arguments: str) -> str:
    answer = yin("spawn", *arguments, "-o", "ids")
    assert answer.code == 0, answer.err
    return answer.out.strip()


def test_the_fleet_is_listed(yin: Yin) -> None:
    assert yin("node", "ls", "-o", "ids").out.split() == ["alpha", "beta", "gamma"]
    items = json.loads(yin("node", "ls", "--json").out)["items"]
    assert {item["state"] for item in items} == {"up"}


def test_imported_rows_are_facts(yin: Yin) -> None:
    answer = yin(
        "q",
        "[:find ?name ?age :where [?p :people/name ?name] [?p :people/age ?age]]",
        "--on",
        "alpha",
        "--stream",
        "people",
        "-o",
        "edn",
    )
    assert answer.out.strip() in ('#{["Ann" 42] ["Bob" 17]}', '#{["Bob" 17] ["Ann" 42]}')
    assert "alpha/people" in yin("stream", "ls").out


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("[:find ?x :where [?x :a", "query:1:18: '[' is not closed"),
        ("[:find ?x :where [?x :a ?y] (foo ?y)]", "no rule foo, in (foo ?y)"),
        ("[:find ?x :where [?x :a ?y] [(< ?y ?z)]]", "nothing binds ?z, in [(< ?y ?z)]"),
        ("[:find ?x :where [?x :people/age ?a] [(+ ?a :k) ?b]]", "in [(+ ?a :k) ?b]"),
    ],
)
def test_a_bad_query_names_its_clause(yin: Yin, query: str, said: str) -> None:
    answer = yin("q", query, "--on", "alpha", "--stream", "people")
    assert answer.code != 0
    assert said in answer.err


def test_a_bad_program_shows_the_place(yin: Yin, place: Path) -> None:
    (place / "bad.clj").write_text("(defn f [x]\n  (+ x yyy))\n")
    for command in (
        ["run", "bad.clj"],
        ["compile", "bad.clj"],
        ["spawn", "bad.clj", "--on", "alpha"],
    ):
        answer = yin(*command)
        assert answer.code != 0
        assert (
            "bad.clj:2:8: unresolved symbol: yyy\n        (+ x yyy))\n             ^" in answer.err
        )


def test_an_agent_travels_and_its_result_is_printed(yin: Yin) -> None:
    answer = yin("spawn", "n.clj", "--on", "alpha", "--token", "@all", "--wait")
    assert (answer.code, answer.out) == (0, "4\n")
    agent = re.findall(r"agent (\w+) on alpha", answer.err)[0]
    assert yin("result", agent).out == "4\n"
    shown = yin("show", agent).out
    assert "beta (home alpha, 1 hops)" in shown


def test_an_agent_without_the_right_is_paused_and_can_be_helped(yin: Yin) -> None:
    answer = yin("spawn", "n.clj", "--on", "alpha", "--wait")
    assert answer.code == 5
    agent = re.findall(r"agent (\w+) on alpha", answer.err)[0]
    assert "read alpha/people: no token was presented" in answer.err
    assert "read alpha/people" in yin("ps").out
    assert yin("resume", agent, "--token", "@all").code == 0
    assert yin("result", agent).out == "4\n"


def test_an_agent_that_reaches_its_limit_of_fuel_is_paused_and_goes_on_with_more(yin: Yin) -> None:
    count = "(loop [i 0] (if (< i 20000) (recur (inc i)) i))"
    answer = yin("spawn", "-e", count, "--on", "alpha", "--fuel", "1000", "--wait")
    assert (answer.code, answer.out) == (8, "")
    _, why, hint = answer.err.splitlines()
    assert why == "yin: the agent is paused on alpha: fuel limit of 1000 reached"
    agent = hint.split()[3]
    assert hint == f"  try: yin resume {agent} --fuel N"
    again = yin("resume", agent)
    assert (again.code, "goes on with a new one" in again.err) == (6, True)
    assert f"try: yin resume {agent} --fuel N" in again.err
    assert yin("resume", agent, "--fuel", "10000000").code == 0
    assert yin("result", agent).out == "20000\n"


def test_an_agent_that_was_started_is_a_document_for_programs(yin: Yin) -> None:
    started = json.loads(yin("spawn", "-e", "(here)", "--on", "alpha", "--json").out)
    assert (started["$type"], started["node"]) == ("agent.spawned", "alpha")
    assert yin("result", started["id"]).out == '"alpha"\n'


def test_an_agent_is_paused_resumed_moved_and_killed(yin: Yin) -> None:
    agent = spawn(yin, "-e", ENDLESS, "--on", "alpha", "--token", "@all")
    assert yin("pause", agent).code == 0
    shown = yin("show", agent)
    assert "paused by a person" in shown.out
    assert "line 1:10" in shown.out
    assert yin("resume", agent).code == 0
    assert yin("migrate", agent, "gamma").code == 0
    (row,) = [
        row for row in json.loads(yin("ps", "--json").out)["items"] if row["id"].startswith(agent)
    ]
    assert (row["node"], row["hops"]) == ("gamma", 1)
    assert yin("kill", agent).code == 0
    assert yin("result", agent).code == 9
    assert yin("kill", agent).code == 6


def test_what_an_agent_says_neither_moves_the_cursor_nor_forges_a_line(yin: Yin) -> None:
    throws = '(do (log! "\\u001b[2Ja\\nb") (throw (ex-info "no\\u001b[2J\\nyin: all is well" {})))'
    name = "\x1b[2J\nforged"
    spawn = ("spawn", "-e", throws, "--on", "alpha", "--name", name)
    answer = yin(*spawn, "--follow")
    assert answer.code == 9
    lines = answer.err.splitlines()
    assert [line for line in lines if line.startswith("yin:")] == ["yin: the agent failed on alpha"]
    assert any("no\\x1b[2J" in line for line in lines)
    agent = lines[0].split()[1]
    shown = yin("show", agent)
    assert shown.code == 0
    for text in (answer.err, shown.out, yin("result", agent).err):
        assert "\x1b" not in text
        assert not {"forged", "yin: all is well"} & set(text.splitlines())


def test_a_failed_agent_leaves_its_trace(yin: Yin) -> None:
    answer = yin("spawn", "-e", "(defn f [x] (/ x 0)) (inc (f 1))", "--on", "alpha", "--wait")
    assert answer.code == 9
    assert answer.err.splitlines()[1:] == [
        "yin: the agent failed on alpha",
        "    Divide by zero",
        "      at f (<expr>:1:13)",
        "          (defn f [x] (/ x 0)) (inc (f 1))",
        "                      ^^^^^^^",
        "      at top level (<expr>:1:27)",
        "          (defn f [x] (/ x 0)) (inc (f 1))",
        "                                    ^^^^^",
        "    hint: test with zero? before; (/ 1.0 0) gives ##Inf",
    ]
    agent = answer.err.split()[1]
    shown = yin("show", agent).out
    assert (
        "    Divide by zero\n      at f (<expr>:1:13)\n      at top level (<expr>:1:27)\n" in shown
    )
    fault = json.loads(yin("show", agent, "--json").out)["fault_data"]
    assert [place["function"] for place in fault["places"]] == ["f", "top level"]
    assert fault["places"][0]["span"] == [1, 13, 1, 20]


def test_tokens_are_narrowed_and_read(yin: Yin, place: Path) -> None:
    answer = yin(
        "token",
        "attenuate",
        "@all",
        "--allow",
        "read:alpha/people",
        "--hops",
        "3",
        "--ttl",
        "10m",
        "--out",
        "narrow",
    )
    assert answer.code == 0, answer.err
    assert (place / "narrow").stat().st_mode & 0o777 == 0o600
    shown = yin("token", "inspect", "@narrow").out
    assert "block 1" in shown
    assert "read:alpha/people" in shown
    answer = yin("spawn", "n.clj", "--on", "alpha", "--token", "@narrow", "--wait")
    assert answer.code == 5
    assert "block 1 forbids migrate on node beta" in answer.err


def test_a_tampered_token_names_its_block(yin: Yin, place: Path) -> None:
    from base64 import urlsafe_b64decode, urlsafe_b64encode

    prefix, body = (place / "all").read_text().strip().split(".")
    data = bytearray(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    data[-60] ^= 1  # in the last signature, before the bearer secret
    (place / "bad").write_text(f"{prefix}.{urlsafe_b64encode(bytes(data)).decode().rstrip('=')}\n")
    (place / "bad").chmod(0o600)
    answer = yin("token", "inspect", "@bad")
    assert answer.code == 3
    assert "block 0" in answer.err


def test_a_revoked_token_pauses_its_agents(yin: Yin) -> None:
    assert yin("token", "mint", "--allow", "read:**", "--out", "gone").code == 0
    agent = spawn(yin, "-e", ENDLESS, "--on", "alpha", "--token", "@gone")
    assert yin("token", "revoke", "@gone").code == 0
    assert yin("result", agent).code == 5
    (line,) = [line for line in yin("ps").out.splitlines() if line.startswith(agent[:12])]
    assert "paused" in line
    assert "revoked" in line


def test_until_when_somebody_admits_is_said_in_words(yin: Yin) -> None:
    assert re.fullmatch(
        r"gamma may admit until .* \(in 1h 5[89]m\)\n",
        yin("cluster", "appoint", "gamma", "--ttl", "119m").out,
    )
    assert yin("cluster", "ticket", "gamma", "--ttl", "9m").code == 0
    assert re.search(r"\(in [89]m", yin("cluster", "tickets", "gamma").out)
    assert yin("cluster", "dismiss", "gamma").out == "gamma admits nobody from now on\n"


def test_decisions_are_shown(yin: Yin) -> None:
    answer = yin("spawn", "n.clj", "--on", "alpha", "--wait")
    agent = re.findall(r"agent (\w+) on alpha", answer.err)[0]
    shown = yin("audit", "--agent", agent, "--refused")
    assert re.search(
        rf"alpha +{agent[:12]} +q +read +alpha/people +no +read alpha/people: no token", shown.out
    )
    items = json.loads(yin("audit", "--on", "alpha", "--on-resource", "alpha/*", "--json").out)[
        "items"
    ]
    resources = {item["resource"] for item in items}
    assert "alpha/people" in resources
    assert all(resource.startswith("alpha/") for resource in resources)


def test_the_steps_of_a_program_are_facts(yin: Yin) -> None:
    steps = yin("compile", "n.clj", "--emit", "exec").out
    assert re.search(r"^ +0 .*; node \d+ at 2:\d+", steps, re.MULTILINE)
    yin("spawn", "n.clj", "--on", "alpha", "--token", "@all", "--wait")
    query = (
        "[:find ?i ?at :where [?s :exec/instruction ?i] [?s :exec/node ?n]"
        " [?n :ast/source-location ?at]]"
    )
    found = yin("q", query, "--on", "alpha", "--stream", "code").out
    assert ":primitive" in found


def test_what_does_not_exist_is_said_so(yin: Yin, place: Path) -> None:
    for arguments, code in [
        (["show", "abcdef"], 4),
        (["spawn", "missing.clj", "--on", "alpha"], 4),
        (["spawn", "n.clj", "--on", "omega"], 4),
        (["stream", "import", "alpha:x", "people.txt"], 2),
        (["q", "[:find ?x :where [?x]]", "--on", "alpha", "--stream", "none"], 1),
        (["token", "inspect", "@missing"], 4),
    ]:
        answer = yin(*arguments)
        assert answer.code == code, (arguments, answer)
        assert answer.err.startswith(("yin: ", "Usage: ")), answer.err


def test_secrets_are_not_printed(yin: Yin, place: Path) -> None:
    logs = "".join(path.read_text() for path in place.glob("dev/nodes/*/yind.log"))
    secret = (place / "dev" / "root.key").read_text().strip()
    assert secret not in logs
    assert "yin1" not in logs


def test_a_cluster_made_by_hand_runs_and_who_was_put_out_of_it_is_stopped_too(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("cluster", "init", "hand") == 0
    assert code_of("--cluster", "hand", "node", "add", "alpha", "--listen", "127.0.0.1:0") == 0
    assert code_of("--cluster", "hand", "ps") == 7
    assert code_of("--cluster", "hand", "up") == 0
    try:
        capsys.readouterr()
        assert code_of("--cluster", "hand", "node", "ls", "-o", "ids") == 0
        assert capsys.readouterr().out == "alpha\n"
        assert code_of("--cluster", "hand", "node", "leave", "alpha") == 0
    finally:
        assert code_of("--cluster", "hand", "down") == 0


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("(let [f (fn f [n] (if (< n 2) n (+ (f (- n 1)) (f (- n 2)))))] (f 25))", "75025"),
        ("(+ 1 (call/cc (fn [k] (* 10 (k 4)))))", "5"),
        ("(loop [i 0] (if (= i 3000000) i (recur (inc i))))", "3000000"),
        ("(defn f [n] (if (= n 0) 0 (inc (f (dec n))))) (f 1000000)", "1000000"),
        ('(do (require \'[clojure.string :as s]) (s/upper-case "a"))', '"A"'),
    ],
)
def test_run_prints_the_value(
    place: Path, capsys: pytest.CaptureFixture[str], program: str, value: str
) -> None:
    capsys.readouterr()
    assert code_of("run", "-e", program) == 0
    assert capsys.readouterr().out == value + "\n"


# -- sessions --


@pytest.fixture
def repl(yin: Yin, monkeypatch: pytest.MonkeyPatch) -> Yin:
    """A session whose standard input is a script."""

    def run(script: str, *arguments: str) -> Answer:
        monkeypatch.setattr("sys.stdin", io.StringIO(script))
        return yin("repl", *arguments)

    return run


def test_a_script_runs_on_a_node_of_its_own(repl: Yin) -> None:
    answer = repl('(def x 20)\n(println "hi" x)\n(+ x 3)')
    assert (answer.code, answer.out, answer.err) == (0, "hi 20\n23\n", "")


def test_a_script_runs_on_a_node_with_the_rights_of_a_token(repl: Yin) -> None:
    count = '(q \'[:find (count ?e) . :where [?e :people/name _]] "people")'
    answer = repl(f'(here) {count} (hop! "beta") (here)', "--node", "alpha", "--token", "@all")
    assert (answer.code, answer.out) == (0, '"alpha"\n2\n"beta"\n"beta"\n')
    answer = repl(f"1 {count} 2", "--node", "alpha")
    assert (answer.code, answer.out) == (5, "1\n")
    assert "denied on alpha: read alpha/people" in answer.err


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("(+ 1\n  yyy)", 1, "<stdin>:2:3: unresolved symbol: yyy\n    yyy)\n    ^"),
        ("(+ 1", 1, "( is not closed"),
        (
            "(defn f [x]\n  (/ x 0))\n(f 1)",
            9,
            "at f (<stdin>:2:3)\n        (/ x 0))\n        ^^^^^^^",
        ),
    ],
)
def test_a_script_that_fails_says_where_and_how(
    repl: Yin, script: str, code: int, said: str
) -> None:
    answer = repl(f"{script}\n(println :not-reached)", "--node", "alpha")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_a_session_can_be_kept_and_moved(repl: Yin, yin: Yin) -> None:
    assert repl("(def x 1)", "--node", "alpha", "--token", "@all", "--keep").code == 0
    rows = json.loads(yin("ps", "--json").out)["items"]
    (kept,) = [row for row in rows if row["session"] and row["state"] == "paused"]
    assert "waits for the next entry" in kept["reason"]
    agent = kept["id"][:12]
    assert yin("migrate", agent, "gamma").code == 0
    assert "gamma" in yin("show", agent).out
    assert repl("(def y [x (here)])", "--resume", agent, "--keep").code == 0
    answer = repl("(conj y x)", "--resume", agent)
    assert (answer.code, answer.out) == (0, '[1 "gamma" 1]\n')
    answer = repl("1", "--resume", agent)
    assert answer.code == 6
    assert "is no session that waits for an entry" in answer.err


def test_files_are_loaded_before_a_script(repl: Yin, place: Path) -> None:
    (place / "shop.clj").write_text("(ns shop)\n(defn price [n] (* n 3))\n")
    answer = repl("(shop/price 5)", "--load", "shop.clj", "--node", "alpha")
    assert (answer.code, answer.out) == (0, "15\n")
