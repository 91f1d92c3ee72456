"""`yin policy` and `yin audit` as a person types them, against three daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import Yin, answers, cluster, code_of, working_in
from fleet import fleet

from cli.audit_words import EFFECTS, REQUESTS
from cli.cluster import open_cluster
from cli.fleet import stop_node
from cli.holding import read_token

POLICY = Path(__file__).parents[2] / "policy"
WRITE = '(transact! "log" [{:n 1}])'
NO_WRITES = str(POLICY / "no-writes.edn")
WRITER = '(defn save [x]\n  (transact! "log" [{:n x}]))\n(try (hop! "beta") (save 1) (catch Exception e (here)))\n'
ROUND = """
(let [n (fn [] (q '[:find (count ?e) . :where [?e :people/name _]] "people"))]
  [(n) (do (hop! "beta") (n)) (do (hop! "gamma") (here))])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("yin")
    (folder / "w.clj").write_text(WRITER)
    (folder / "round.clj").write_text(ROUND)
    (folder / "people.csv").write_text("name,age\nAnn,42\nBob,17\n")
    with working_in(folder), cluster(3):
        for node in ("alpha", "beta"):
            assert (
                code_of("--cluster", "dev", "stream", "import", f"{node}:people", "people.csv") == 0
            )
        granted = ("token", "mint", "--allow", "read,append,migrate:**", "--out", "all")
        assert code_of("--cluster", "dev", *granted) == 0
        yield folder


@pytest.fixture
def yin(place: Path, capsys: pytest.CaptureFixture[str]) -> Yin:
    return answers(capsys)


@pytest.fixture
def guarded(place: Path) -> Iterator[Path]:
    """The configuration of beta, for tests that give it policies."""
    settings = place / "dev" / "nodes" / "beta" / "yind.toml"
    plain = settings.read_text()
    yield settings
    settings.write_text(plain)
    assert code_of("--cluster", "dev", "policy", "reload", "--on", "beta") == 0


def test_a_program_is_checked_without_a_node(yin: Yin) -> None:
    answer = yin("policy", "check", "w.clj", "--policy", NO_WRITES)
    assert answer.code == 10
    assert answer.out == (
        "w.clj:2:3: from here it can append to a stream [no-writes]\n"
        '    (transact! "log" [{:n x}]))\n'
        "    ^\n"
    )
    answer = yin("policy", "check", "w.clj", "--policy", NO_WRITES, "--json")
    (item,) = json.loads(answer.out)["items"]
    assert (item["policy"], item["source"], item["span"][:2]) == ("no-writes", "w.clj", [2, 3])
    assert yin("policy", "check", "round.clj", "--policy", NO_WRITES).code == 0


def test_a_broken_policy_is_shown_with_its_place(yin: Yin, place: Path) -> None:
    (place / "broken.edn").write_text("[[(violation ?x 1)\n  (reches ?x :log)]]")
    answer = yin("policy", "check", "w.clj", "--policy", "broken.edn")
    assert answer.code == 2
    assert "broken.edn:2:3: no rule reches" in answer.err
    assert "did you mean reaches?" in answer.err


def test_policies_are_put_in_force_listed_shown_and_explained(yin: Yin, guarded: Path) -> None:
    assert yin("policy", "list", "--on", "beta", "-o", "ids").out == ""
    with guarded.open("a") as file:
        file.write(f'\n[admission]\npolicies = ["{NO_WRITES}"]\n')
    assert yin("policy", "reload", "--on", "beta", "-o", "ids").out == "no-writes\n"
    assert yin("policy", "show", "no-writes", "--on", "beta").out == Path(NO_WRITES).read_text()
    assert (
        "verdict    kept for the code" in yin("policy", "explain", "no-writes", "--on", "beta").out
    )
    unknown = yin("policy", "explain", "no-such", "--on", "beta")
    assert (unknown.code, "there are no-writes" in unknown.err) == (4, True)
    checked = yin("policy", "check", "w.clj", "--on", "beta")
    assert (checked.code, checked.out.split("\n")[0]) == (
        10,
        "w.clj:2:3: from here it can append to a stream [no-writes]",
    )
    spawned = yin("spawn", "w.clj", "--on", "beta", "--token", "@all")
    assert spawned.code == 10
    assert '        (transact! "log" [{:n x}]))\n        ^' in spawned.err
    travelled = yin("spawn", "w.clj", "--on", "alpha", "--token", "@all", "--wait")
    assert travelled.out.strip().endswith('"alpha"')
    stopped = yin(
        "spawn", "-e", f'(do (hop! "beta") {WRITE})', "--on", "alpha", "--token", "@all", "--wait"
    )
    assert (stopped.code, "(admission/refused)" in stopped.err) == (10, True)
    refused = yin("audit", "--on", "beta", "--refused", "--verb", "migrate", "--json")
    assert "no-writes" in json.loads(refused.out)["items"][-1]["reason"]


def test_a_signal_reads_the_policies_again(yin: Yin, guarded: Path) -> None:
    with guarded.open("a") as file:
        file.write(f'\n[admission]\npolicies = ["{NO_WRITES}"]\n')
    pid = int((guarded.parent / "yind.pid").read_text())
    os.kill(pid, signal.SIGHUP)
    for _ in range(200):  # each asks the daemon anew
        if yin("policy", "list", "--on", "beta", "-o", "ids").out == "no-writes\n":
            return
    raise AssertionError("the policies did not change")


def test_which_streams_an_agent_read_under_which_token_and_where_is_one_question(yin: Yin) -> None:
    spawned = yin("spawn", "round.clj", "--on", "alpha", "--token", "@all", "--wait", "--json")
    agent = json.loads(spawned.out)["id"][:12]
    told = json.loads(yin("audit", "--agent", agent, "--verb", "read", "--json").out)["items"]
    assert [(row["node"], row["resource"]) for row in told] == [
        ("alpha", "alpha/people"),
        ("beta", "beta/people"),
    ]
    assert all(len(row["block"]) == 64 for row in told)
    query = f"""[:find ?stream ?node ?token :where [?d :audit/who "{agent}"] [?d :audit/verb :read]
                 [?d :audit/resource ?stream] [?d :audit/node ?node] [?d :audit/block ?token]]"""
    answer = yin("audit", "--query", query, "--json")
    assert [row[:2] for row in json.loads(answer.out)["value"]] == [
        ["alpha/people", "alpha"],
        ["beta/people", "beta"],
    ]
    both = """[:find ?who ?here ?there :in $a $b :where [$a ?d :audit/who ?who] [$a ?d :audit/effect "q"]
               [$a ?d :audit/resource ?here] [$b ?c :audit/who ?who] [$b ?c :audit/effect "q"] [$b ?c :audit/resource ?there]]"""
    sources = ("--source", "alpha:audit", "--source", "beta:audit")
    rows = json.loads(yin("q", both, *sources, "--json").out)["value"]
    assert [agent, "alpha/people", "beta/people"] in rows
    assert {row["granted"] for row in told} == {read_token("@all").ids[-1].hex()}
    block = told[0]["block"]
    by_token = json.loads(yin("audit", "--token", block[:16], "--json").out)["items"]
    assert {row["who"] for row in by_token} == {agent}


def test_decisions_are_filtered(yin: Yin) -> None:
    assert yin("spawn", "round.clj", "--on", "alpha", "--token", "@all", "--wait").code == 0
    everything = json.loads(yin("audit", "-n", "1000", "--json").out)["items"]
    assert [row["at_ms"] for row in everything] == sorted(row["at_ms"] for row in everything)
    assert {row["node"] for row in everything} >= {"alpha", "beta"}
    only = json.loads(yin("audit", "--nodes", "beta,gamma", "-n", "1000", "--json").out)["items"]
    assert {row["node"] for row in only} <= {"beta", "gamma"}
    effects = json.loads(yin("audit", "--verb", "agent.spawn", "--json").out)["items"]
    assert {row["verb"] for row in effects} == {"spawn"}
    assert json.loads(yin("audit", "--allowed", "--stream", "alpha/people", "--json").out)["items"]
    assert yin("audit", "--since", "1s", "--agent", "f" * 12).out.count("\n") == 1
    assert yin("audit", "--nodes", "omega").code == 4


def test_a_decision_is_found_by_the_token_that_its_agent_was_given_and_those_before(
    yin: Yin,
) -> None:
    assert yin("token", "attenuate", "@all", "--ttl", "50m", "--out", "middle").code == 0
    assert yin("token", "attenuate", "@middle", "--ttl", "40m", "--out", "given").code == 0
    rounds = ("spawn", "round.clj", "--on", "alpha", "--token", "@given", "--wait", "--json")
    agent = json.loads(yin(*rounds).out)["id"][:12]
    paused = yin(
        "spawn", "round.clj", "--on", "alpha", "--token", "@given", "--paused", "-o", "ids"
    )
    ids = [identity.hex() for identity in read_token("@given").ids]
    for block in ids:  # as inspect prints them; revoke prints the last
        found = json.loads(yin("audit", "--token", block, "--verb", "read", "--json").out)["items"]
        mine = [row for row in found if row["who"] == agent]
        assert [(row["node"], row["granted"]) for row in mine] == [
            ("alpha", ids[-1]),
            ("beta", ids[-1]),
        ], "after a hop as well"
        assert mine[0]["block"] != mine[1]["block"], "every hop adds a block"
    assert yin("token", "revoke", "@given").out.strip() == ids[-1]
    assert yin("kill", paused.out.strip()).code == 0


def test_an_agent_is_found_by_whatever_names_it(yin: Yin) -> None:
    spawned = yin(
        "spawn", "round.clj", "--on", "alpha", "--token", "@all", "--wait", "--name", "eva"
    )
    assert spawned.code == 0
    rows = json.loads(yin("ps", "--json").out)["items"]
    (identity,) = {row["id"] for row in rows if row["name"] == "eva"}
    assert len(identity) == 64
    for who in (identity, identity[:20], identity[:8], identity.upper(), "eva"):
        found = json.loads(yin("audit", "--agent", who, "--verb", "read", "--json").out)["items"]
        assert [(row["who"], row["node"]) for row in found] == [
            (identity[:12], "alpha"),
            (identity[:12], "beta"),
        ], who
    operator = json.loads(yin("audit", "--agent", "operator", "--json").out)["items"]
    assert {row["effect"] for row in operator} >= {"agent.spawn", "agent.list"}
    key = operator[0]["who"]
    assert json.loads(yin("audit", "--agent", key[:12], "--json").out)["items"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (("--agent", "nobody"), "no agent of this cluster"),
        (("--agent", "f" * 65), "no agent of this cluster"),
        (("--verb", "raed"), "did you mean read"),
        (("--verb", "agent.spwan"), "did you mean agent.spawn"),
        (("--on-resource", "alpha:people"), "'alpha/people'"),
        (("--on-resource", "alpha//people"), "neither NODE nor NODE/STREAM"),
        (("--on-resource", "/alpha"), "neither NODE nor NODE/STREAM"),
        (("--on-resource", "[a/*"), "neither NODE nor NODE/STREAM"),
        (("--on-resource", "a/b/c"), "neither NODE nor NODE/STREAM"),
        (("--token", "all"), "not the id of a block"),
        (
            ("--query", "[:find ?e :where [?e :audit/who _]]", "--agent", "eva"),
            "--agent has no effect",
        ),
        (("--query", "[:find ?e :where [?e :audit/who _]]", "-f"), "--follow has no effect"),
        (("--query", "[:find ?e :where [?e :audit/who _]]", "-n", "5"), "-n has no effect"),
        (
            ("--query", "[:find ?e :where [?e :audit/who _]]", "--refused"),
            "--refused has no effect",
        ),
    ],
)
@pytest.mark.parametrize("more", [(), ("-f",)])
def test_what_would_find_nothing_by_mistake_is_refused(
    yin: Yin, wrong: tuple[str, ...], word: str, more: tuple[str, ...]
) -> None:
    if "--query" in wrong and more:
        return
    answer = yin("audit", *wrong, *more)
    assert (answer.code, answer.out) == (2, "")
    assert word in answer.err


def test_a_stream_of_a_node_that_there_is_not_is_refused(yin: Yin) -> None:
    assert yin("audit", "--stream", "alpah/people").code == 4
    assert yin("audit", "--stream", "alph?/people").code == 0


async def test_the_words_that_a_person_may_name_are_those_of_the_daemon(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        node = nodes.nodes["alpha"]
        assert node.control.verbs == REQUESTS
        assert node.effects.names | {"handshake"} == EFFECTS


def test_who_follows_sees_the_latest_first_in_order_of_time_below_a_head(
    yin: Yin, place: Path
) -> None:
    for node in ("gamma", "alpha", "beta"):
        assert yin("policy", "list", "--on", node).code == 0
    yin_of_its_own = [sys.executable, "-c", "from cli.main import main; main()"]
    command = [
        *yin_of_its_own,
        "--cluster",
        "dev",
        "audit",
        "-f",
        "-n",
        "3",
        "--verb",
        "policy.list",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=place) as follower:
        assert follower.stdout is not None
        lines = [follower.stdout.readline() for _ in range(4)]
        assert lines[0].split()[:4] == ["WHEN", "NODE", "WHO", "DID"]
        assert [line.split()[2] for line in lines[1:]] == ["gamma", "alpha", "beta"]
        assert yin("policy", "list", "--on", "gamma").code == 0
        assert follower.stdout.readline().split()[2] == "gamma"
        follower.send_signal(signal.SIGINT)


def test_decisions_are_followed(yin: Yin, place: Path) -> None:
    yin_of_its_own = [sys.executable, "-c", "from cli.main import main; main()"]
    command = [*yin_of_its_own, "--cluster", "dev", "audit", "-f", "-o", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=place) as follower:
        assert follower.stdout is not None
        json.loads(follower.stdout.readline())
        assert yin("ps", "--on", "gamma").code in (0, 2)
        assert yin("policy", "list", "--on", "gamma").code == 0
        for line in follower.stdout:
            if json.loads(line)["effect"] == "policy.list":
                break
        follower.send_signal(signal.SIGINT)
    assert follower.returncode == 130


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave no process behind where a test fails."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()


def test_who_follows_goes_on_without_a_node_that_is_lost_and_with_it_when_it_is_back(
    yin: Yin, place: Path
) -> None:
    beta = open_cluster(place / "dev").node_folder("beta")
    command = [sys.executable, "-c", "from cli.main import main; main()", "--cluster", "dev"]
    command += ["audit", "-f", "-n", "1", "--verb", "policy.show", "-o", "jsonl"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def decided_at(node: str) -> None:
        yin("policy", "explain", "no-such", "--on", node)

    def next_seen() -> tuple[str, int]:
        assert follower.stdout is not None
        row = json.loads(follower.stdout.readline())
        return str(row["node"]), int(row["entity"])

    def next_said() -> str:
        assert follower.stderr is not None
        lines: Iterator[str] = iter(follower.stderr)
        return next(line.rstrip() for line in lines if "earlier ones" not in line)

    lost, back = "no answer from beta: it is asked again", "beta answers now"
    decided_at("beta")
    decided_at("gamma")
    assert stop_node(beta)
    with (
        subprocess.Popen(command, text=True, cwd=place, **pipes) as follower,  # type: ignore[call-overload]
        ended(follower),
    ):
        assert next_said() == lost
        seen = [next_seen()]
        decided_at("gamma")
        seen.append(next_seen())
        for _ in range(2):  # it comes late, and then again
            assert yin("up", "--nodes", "3").code == 0
            decided_at("beta")
            assert next_said() == back
            seen.append(next_seen())
            assert stop_node(beta)
            assert next_said() == lost
        assert yin("up", "--nodes", "3").code == 0
        decided_at("gamma")
        seen.append(next_seen())
        follower.send_signal(signal.SIGINT)
        assert follower.wait() == 130
    assert [node for node, _ in seen] == ["gamma", "gamma", "beta", "beta", "gamma"]
    assert len(set(seen)) == 5


def test_who_follows_a_node_that_never_answered_is_told_so(yin: Yin, place: Path) -> None:
    assert stop_node(open_cluster(place / "dev").node_folder("beta"))
    try:
        answer = yin("audit", "-f", "--on", "beta")
    finally:
        assert yin("up", "--nodes", "3").code == 0
    assert (answer.code, answer.out) == (7, "")
    assert "node beta does not answer" in answer.err


def test_a_log_that_was_rewritten_is_noticed(yin: Yin, place: Path) -> None:
    first = yin("audit", "verify", "--nodes", "gamma", "--json")
    assert json.loads(first.out)["items"][0]["verdict"] == "first seen"
    again = yin("audit", "verify", "--nodes", "gamma", "--json")
    assert json.loads(again.out)["items"][0]["verdict"] == "goes on"
    seen = place / "dev" / "audit-roots.json"
    kept = json.loads(seen.read_text())
    root = kept["gamma"]["root"]
    kept["gamma"]["root"] = root[:-1] + ("0" if root[-1] != "0" else "1")
    seen.write_text(json.dumps(kept))
    changed = yin("audit", "verify", "--nodes", "gamma")
    assert changed.code == 1
    assert "is not the one that was seen before" in changed.err
