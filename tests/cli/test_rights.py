"""Rights as people deal with them: what is left, what agents ask for, and what takes the place of what ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Answer, Yin, answers, cluster, code_of, working_in

from cli.cluster import open_cluster

COUNT = '(count (q \'[:find ?p :where [?p :people/name _]] "people"))'
ASKS = f"""
(let [got (try (request-token {{:verbs [:read] :streams ["alpha/people"] :budget {{:rows 2}} :reason "to count"}})
               (catch Exception e (ex-message e)))]
  (if (true? got) {COUNT} got))
"""
WRITES = """
(loop [i 0]
  (transact! "log" [{:i i}])
  (if (= i 20) [i (here)] (do (sleep 100) (recur (inc i)))))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running fleet `dev`, used by all tests of this file."""
    folder = tmp_path_factory.mktemp("yin")
    (folder / "people.csv").write_text("name,age,city\nAnn,42,Oslo\nBob,17,Rome\n")
    (folder / "asks.clj").write_text(ASKS)
    (folder / "writes.clj").write_text(WRITES)
    with working_in(folder), cluster(3):
        for node in ("alpha", "beta"):
            made = ("stream", "import", f"{node}:people", "people.csv")
            assert code_of("--cluster", "dev", *made) == 0
        yield folder


@pytest.fixture
def yin(place: Path, capsys: pytest.CaptureFixture[str]) -> Yin:
    return answers(capsys)


def ok(answer: Answer) -> str:
    assert answer.code == 0, answer
    return answer.out


def spawned(yin: Yin, *arguments: str) -> str:
    return ok(yin("spawn", *arguments, "-o", "ids")).strip()


def mint(yin: Yin, name: str, *arguments: str) -> None:
    ok(yin("token", "mint", *arguments, "--out", name))


def test_a_token_is_read_block_by_block_with_what_is_left(yin: Yin) -> None:
    budgets = ("--budget", "rows=10,fuel=5M", "--budget", "hops=2")
    mint(yin, "purse", "--allow", "read,migrate:**", *budgets, "--account", "alpha")
    narrow = ("--allow", "read:alpha/people", "--ttl", "10m", "--at", "alpha", "--revage", "1h")
    ok(yin("token", "attenuate", "@purse", *narrow, "--note", "for Ann", "--out", "small"))
    agent = spawned(yin, "-e", COUNT, "--on", "alpha", "--token", "@purse", "--budget", "rows=4")
    assert ok(yin("result", agent)).strip() == "2"
    shown = ok(yin("token", "inspect", "@small", "--node", "alpha"))
    assert "block 0  signed by the root, held by" in shown
    assert "10 rows, 8 left at alpha" in shown

    assert re.search(r"5,000,000 fuel, \d,\d{3},\d{3} left at alpha; .*2 hops, 2 left", shown)
    assert "its budget is drawn at alpha first" in shown
    assert "allows   read:alpha/people" in shown
    assert re.search(r"until .* \(in (10m|9m \d+s)\)", shown)
    assert "only where revocations are known up to 3600 s ago" in shown
    assert "note     for Ann" in shown
    document = json.loads(ok(yin("token", "inspect", "@small", "--node", "alpha", "--json")))
    assert document["blocks"][0]["left"]["rows"] == 8
    assert "left" not in json.loads(ok(yin("token", "inspect", "@small", "--json")))["blocks"][0]


def test_the_tokens_of_an_agent_are_read(yin: Yin) -> None:
    mint(yin, "purse2", "--allow", "read:**", "--budget", "rows=10")
    agent = spawned(yin, "-e", f'[{COUNT} (hop! "beta")]', "--on", "alpha", "--token", "@purse2")
    ok(yin("pause", agent)) if "waiting" in ok(yin("ps")) else None
    yin("result", agent)
    shown = ok(yin("token", "inspect", "--agent", agent))
    assert f"only {agent}" in shown
    assert "10 rows, 8 left at alpha" in shown
    assert json.loads(ok(yin("token", "inspect", "--agent", agent, "--json")))["items"]


def test_what_an_agent_asks_for_is_granted(yin: Yin) -> None:
    agent = spawned(yin, "asks.clj", "--on", "alpha")
    assert yin("result", agent).code == 5
    listed = ok(yin("token", "requests"))
    assert "read:alpha/people rows=2" in listed
    assert "to count" in listed
    (row,) = json.loads(ok(yin("token", "requests", "--json")))["items"]
    assert (row["agent"], row["node"], row["budget"]) == (agent, "alpha", {"rows": 2})
    ok(yin("token", "grant", row["id"]))
    assert ok(yin("result", agent)).strip() == "2"
    assert yin("token", "grant", row["id"]).code == 4


def test_the_owners_example_says_where_its_hashes_come_from(yin: Yin) -> None:
    agent = spawned(yin, "-e", "(here)", "--on", "alpha")
    shown = json.loads(ok(yin("show", agent, "--json")))
    assert re.fullmatch("[0-9a-f]{64}", shown["program"])


def test_a_reason_does_not_forge_a_row(yin: Yin) -> None:
    reason = '"to count\\nabcdefabcdef  boss  beta  1s  \u202eread"'
    asks = f'(request-token {{:verbs [:read] :streams ["alpha/people"] :reason {reason}}})'
    agent = spawned(yin, "-e", asks, "--on", "alpha", "--name", "x\ny")
    yin("result", agent)
    listed = ok(yin("token", "requests"))
    assert len(listed.splitlines()) == 2, "a head and one row"
    assert r"to count\nabcdefabcdef  boss  beta  1s  \u202eread" in listed
    assert r"x\ny" in listed
    (identity,) = ok(yin("token", "requests", "-o", "ids")).split()
    ok(yin("token", "refuse", identity))


def test_what_an_agent_asks_for_is_refused(yin: Yin) -> None:
    agent = spawned(yin, "asks.clj", "--on", "alpha")
    yin("result", agent)
    (identity,) = ok(yin("token", "requests", "-o", "ids")).split()
    ok(yin("token", "refuse", identity, "--reason", "not today"))
    assert ok(yin("result", agent)).strip() == '"the request was refused: not today"'


def test_more_than_one_holds_cannot_be_granted(yin: Yin) -> None:
    mint(yin, "little", "--allow", "read:**", "--budget", "rows=1")
    agent = spawned(yin, "asks.clj", "--on", "alpha")
    yin("result", agent)
    (identity,) = ok(yin("token", "requests", "-o", "ids")).split()
    answer = yin("token", "grant", identity, "--token", "@little")
    assert answer.code == 5
    assert "has 1 rows left, not 2" in answer.err
    ok(yin("token", "refuse", identity))
    assert "refused" in ok(yin("result", agent))


def test_agents_paused_by_a_revocation_go_on_everywhere_with_a_renewed_token(
    yin: Yin, place: Path
) -> None:
    mint(yin, "old", "--allow", "append,read:**", "--budget", "rows=1k")
    agents = [spawned(yin, "writes.clj", "--on", n, "--token", "@old") for n in ("alpha", "beta")]
    block = ok(yin("token", "revoke", "@old")).strip()
    for agent in agents:
        assert yin("result", agent).code != 0
        assert "revoked" in ok(yin("show", agent))
    renewed = ok(yin("token", "renew", "--block", block[:16]))
    assert len(renewed.splitlines()) == 2
    assert [ok(yin("result", agent)).strip() for agent in agents] == ['[20 "alpha"]', '[20 "beta"]']
    query = "[:find (count ?i) . :where [_ :i ?i]]"
    for node in ("alpha", "beta"):
        assert ok(yin("q", query, "--on", node, "--stream", "log")).strip() == "21"


def test_an_agent_whose_token_expired_goes_on_with_a_renewed_one(yin: Yin) -> None:
    mint(yin, "short", "--allow", "append,read:**", "--ttl", "1s")
    agent = spawned(yin, "writes.clj", "--on", "gamma", "--token", "@short")
    assert yin("result", agent).code == 5
    assert "expired" in ok(yin("show", agent))
    assert "ago)" in ok(yin("token", "inspect", "--agent", agent))
    ok(yin("token", "renew", agent, "--ttl", "1h"))
    assert ok(yin("result", agent)).strip() == '[20 "gamma"]'
    assert yin("token", "renew", agent).code != 0


def test_an_agent_whose_budget_is_used_up_goes_on_with_more(yin: Yin) -> None:
    mint(yin, "two-rows", "--allow", "read:**", "--budget", "rows=1,fuel=1M")
    agent = spawned(yin, "-e", COUNT, "--on", "alpha", "--token", "@two-rows")
    assert "has 1 rows left, not 2" in yin("result", agent).err
    little = yin("token", "renew", agent)
    assert little.code == 8
    assert "1 rows are left of its budget, and it waits for 2" in little.err
    assert "--budget rows=N" in little.err
    (row,) = json.loads(ok(yin("token", "renew", agent, "--budget", "rows=10", "--json")))["items"]
    assert (row["id"], row["state"], row["replaced"]) == (agent, "ready", 1)
    assert ok(yin("result", agent)).strip() == "2"
    shown = ok(yin("token", "inspect", "--agent", agent))
    assert "10 rows, 8 left at alpha" in shown
    assert "fuel" in shown, "what was left of the other budget goes with it"


def test_an_agent_that_has_no_fuel_left_goes_on_with_more(yin: Yin) -> None:
    mint(yin, "fuel", "--allow", "read:**", "--budget", "fuel=10k")
    program = "(loop [i 0] (if (= i 20000) i (recur (inc i))))"
    agent = spawned(yin, "-e", program, "--on", "alpha", "--token", "@fuel")
    assert yin("result", agent).code == 5
    assert yin("token", "renew", agent).code == 8
    ok(yin("token", "renew", agent, "--budget", "fuel=10M"))
    assert ok(yin("result", agent)).strip() == "20000"


def test_an_agent_that_has_no_room_for_a_further_hop_goes_on_with_a_renewed_token(
    yin: Yin,
) -> None:
    mint(yin, "far", "--allow", "migrate:**", "--to", "operator")
    program = '(dotimes [i 70] (hop! (if (even? i) "beta" "alpha")))'
    agent = spawned(yin, "-e", program, "--on", "alpha", "--token", "@far")
    assert "65 blocks" in yin("result", agent).err
    ok(yin("token", "renew", agent))
    assert yin("result", agent).code == 0
    assert json.loads(ok(yin("show", agent, "--json")))["hops"] == 70


def test_what_cannot_be_renewed_is_said_with_what_to_do(yin: Yin) -> None:
    mint(yin, "good", "--allow", "append,read:**")
    agent = spawned(yin, "-e", "(do (sleep 600000) (here))", "--on", "alpha", "--token", "@good")
    answer = yin("token", "renew", agent)
    assert answer.code == 4
    assert "none of its tokens has ended" in answer.err
    assert f"yin token renew --all {agent[:12]}" in answer.err
    for _ in range(100):
        if json.loads(ok(yin("show", agent, "--json")))["state"] == "waiting":
            break
    answer = yin("token", "renew", agent, "--all")
    assert answer.code == 6
    assert f"yin pause {agent[:12]}" in answer.err
    ok(yin("pause", agent))
    assert agent[:12] in ok(yin("token", "renew", agent, "--all"))
    ok(yin("kill", agent))


@pytest.fixture
def without_root(place: Path) -> Iterator[None]:
    """The cluster's folder, as it is where the root's key is kept elsewhere."""
    kept = place / "dev" / "root.key"
    kept.rename(place / "root.key.elsewhere")
    yield
    (place / "root.key.elsewhere").rename(kept)


def test_who_signed_a_block_and_who_holds_it_revoke_it_without_the_roots_key(
    yin: Yin, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    keys = {who: ok(yin("key", "new", f"{who}1.key")).strip() for who in ("ann", "bob", "eve")}
    mint(yin, "anns", "--allow", "read:**", "--to", keys["ann"])
    monkeypatch.setenv("YIN_KEY_FILE", "ann1.key")
    for name in ("bobs", "bobs2"):
        ok(yin("token", "attenuate", "@anns", "--to", keys["bob"], "--out", name))
    request.getfixturevalue("without_root")
    for who, name in (("ann", "bobs"), ("bob", "bobs2")):
        monkeypatch.setenv("YIN_KEY_FILE", f"{who}1.key")
        told = json.loads(ok(yin("token", "revoke", f"@{name}", "--block", "1", "--json")))
        assert (told["by"], sorted(told["paused"])) == (keys[who], ["alpha", "beta", "gamma"])
        shown = ok(yin("token", "inspect", f"@{name}", "--node", "beta"))
        assert "\nrevoked  block 1, and so everything after it\nwould hold until " in shown
    assert "revoked  block" not in ok(yin("token", "inspect", "@anns", "--node", "beta"))


def test_a_key_that_was_named_and_does_not_count_is_not_replaced_by_the_roots(
    yin: Yin, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(yin("key", "new", "stranger.key"))
    operator = open_cluster(place / "dev").operator_key.public
    mint(yin, "mine", "--allow", "read:**", "--to", operator.text)
    monkeypatch.setenv("YIN_KEY_FILE", "stranger.key")
    for more in ((), ("--all-of-signer",)):
        answer = yin("token", "revoke", "@mine", *more)
        assert answer.code == 3
        assert "the key of YIN_KEY_FILE may not revoke" in answer.err
        assert "the root" in answer.err
    assert "revoked  block" not in ok(yin("token", "inspect", "@mine", "--node", "alpha"))


def test_without_the_roots_key_the_operators_counts_and_whose_would_do_is_said(
    yin: Yin, without_root: None, place: Path
) -> None:
    ok(yin("token", "attenuate", "@dev/operator.token", "--ttl", "1h", "--out", "mine"))
    ok(yin("token", "revoke", "@mine"))
    assert "revoked  block 1" in ok(yin("token", "inspect", "@mine", "--node", "alpha"))
    answer = yin("token", "revoke", "@dev/operator.token", "--all-of-signer")
    assert answer.code == 3
    assert "none of the keys here may revoke all that" in answer.err
    assert "that takes the key of the root" in answer.err


@pytest.mark.parametrize(
    "wrong", [("--ending-by", "2h"), ("--all-of-signer", "--ending-by", "tomorrow")]
)
def test_nothing_is_revoked_where_an_option_makes_no_sense(
    yin: Yin, wrong: tuple[str, ...]
) -> None:
    mint(yin, "kept", "--allow", "read:**")
    assert yin("token", "revoke", "@kept", *wrong).code == 2
    assert "revoked  block" not in ok(yin("token", "inspect", "@kept", "--node", "alpha"))


def test_all_of_a_signer_is_revoked(yin: Yin) -> None:
    mint(yin, "hand", "--allow", "read:**")
    for name in ("one", "two"):
        ok(yin("token", "attenuate", "@hand", "--ttl", "10m", "--out", name))
    agent = spawned(yin, "-e", "(loop [] (recur))", "--on", "alpha", "--token", "@two")
    ok(yin("token", "revoke", "@one", "--all-of-signer", "--ending-by", "20m"))
    assert yin("result", agent).code == 5
    assert "revoked  block 1" in ok(yin("token", "inspect", "@two", "--node", "beta"))
    assert "revoked" not in ok(yin("token", "inspect", "@hand", "--node", "beta"))


def test_a_sealed_token_is_used_and_not_extended(yin: Yin, place: Path) -> None:
    mint(yin, "open", "--allow", "read:**")
    ok(yin("token", "seal", "@open", "--out", "sealed"))
    assert "block 0" in ok(yin("token", "inspect", "@sealed"))
    assert yin("token", "attenuate", "@sealed", "--ttl", "1m").code != 0


def test_who_has_used_a_budget_up_is_told_the_command_that_gives_more(yin: Yin) -> None:
    mint(yin, "small", "--allow", "read:alpha/people", "--budget", "rows=1")
    count = """(q '[:find ?p :where [?p :people/name _]] "people")"""
    answer = yin("spawn", "-e", count, "--on", "alpha", "--token", "@small", "--wait")
    agent = answer.err.split()[1]
    assert answer.code == 5
    assert f"try: yin token renew {agent} --budget rows=N" in answer.err
    answer = yin("token", "renew", agent)
    assert (answer.code, answer.out) == (8, "")
    assert answer.err.splitlines()[1] == "  try: yin token renew AGENT --budget rows=N"
    assert yin("token", "renew", agent, "--budget", "rows=100").code == 0
    assert yin("result", agent).code == 0


@pytest.mark.parametrize(
    ("block", "code", "said"), [("zz", 2, "not the id"), ("00", 4, "no agent has")]
)
def test_a_block_that_nobody_has_is_not_renewed(yin: Yin, block: str, code: int, said: str) -> None:
    answer = yin("token", "renew", "--block", block)
    assert (answer.code, said in answer.err) == (code, True)


def test_a_token_that_is_written_to_a_file_prints_nothing(yin: Yin) -> None:
    assert yin("token", "mint", "--allow", "read:**", "--out", "quiet").out == ""


def test_a_named_holder_uses_a_token_by_proving_to_hold_it(
    yin: Yin, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = ok(yin("key", "new", "ann.key")).strip()
    assert ok(yin("key", "show", "ann.key")).strip() == ann
    shown = json.loads(ok(yin("key", "show", "ann.key", "--json")))
    assert shown == {"$type": "key", "key": ann, "file": "ann.key"}
    mint(yin, "hers", "--allow", "read:alpha/people", "--to", ann)
    query = ("q", "[:find (count ?p) . :where [?p :people/name _]]", "--stream", "people", "--on")
    monkeypatch.setenv("YIN_TOKEN_FILE", "hers")
    alone = yin(*query, "alpha")
    assert alone.code == 3, "the token alone is worth nothing"
    assert alone.err.splitlines() == [
        "yin: hers is bound to another key than the operator's",
        "  try: YIN_KEY_FILE=FILE yin ...",
    ]
    ok(yin("key", "new", "bob.key"))
    monkeypatch.setenv("YIN_KEY_FILE", "bob.key")
    assert yin(*query, "alpha").code == 3, "nor is somebody else's key"
    monkeypatch.setenv("YIN_KEY_FILE", "ann.key")
    assert ok(yin(*query, "alpha")).strip() == "2"
    assert yin(*query, "beta").code == 5
    ok(yin("token", "attenuate", "@hers", "--ttl", "1m", "--to", ann, "--out", "shorter"))
    monkeypatch.setenv("YIN_TOKEN_FILE", "shorter")
    assert ok(yin(*query, "alpha")).strip() == "2"


def test_a_token_for_some_attributes_shows_and_writes_these(
    yin: Yin, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = ok(yin("key", "new", "some.key")).strip()
    mint(yin, "all-of-it", "--allow", "read,history,subscribe,append:alpha/staff", "--to", ann)
    facts = '[{:p/name "Ann" :p/pay 9} {:p/name "Bob" :p/pay 7}]'
    (place / "staff.edn").write_text(facts)
    ok(yin("stream", "import", "alpha:staff", "staff.edn"))
    monkeypatch.setenv("YIN_KEY_FILE", "some.key")
    narrow = ("--attr", "p/*", "--attr", "!p/pay", "--to", ann)
    ok(yin("token", "attenuate", "@all-of-it", *narrow, "--out", "some"))
    assert "p/*" in ok(yin("token", "inspect", "@some"))
    monkeypatch.setenv("YIN_TOKEN_FILE", "some")
    on = ("--on", "alpha", "--stream", "staff")
    assert ok(yin("q", "[:find [?a ...] :where [_ ?a]]", *on)).strip() == "[:p/name]"
    assert "2" in ok(yin("q", "[:find (count ?v) . :where [_ _ ?v]]", *on, "--history"))
    for more in ((), ("--explain",), ("--history",)):
        answer = yin("q", "[:find ?v :where [_ :p/pay ?v]]", *on, *more)
        assert answer.code == 5
        assert "block 1 forbids read on stream alpha/staff, attribute :p/pay" in answer.err
    (row,) = json.loads(ok(yin("stream", "ls", "--on", "alpha", "--json")))["items"]
    assert (row["name"], row["datoms"], row["bytes"]) == ("alpha/staff", 2, None)
    assert "-" in ok(yin("stream", "ls", "--on", "alpha"))
    tail = ok(yin("stream", "tail", "alpha:staff"))
    assert "Ann" in tail
    assert "pay" not in tail
    (place / "more.edn").write_text('[{:p/name "Eve"}]')
    ok(yin("stream", "import", "alpha:staff", "more.edn"))
    (place / "more.edn").write_text('[{:p/name "Eve" :p/pay 1}]')
    answer = yin("stream", "import", "alpha:staff", "more.edn")
    assert answer.code == 5
    assert "attribute :p/pay" in answer.err
    assert ok(yin("q", "[:find (count ?e) . :where [?e :p/name]]", *on)).strip() == "3"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--budget", "gold=1"),
        ("--budget", "rows"),
        ("--budget", "rows=-1"),
        ("--account", "omega"),
        ("--agent", "abc"),
        ("--via", "nobody"),
        ("--from", "tomorrow"),
    ],
)
def test_an_option_that_makes_no_sense_is_said_so(yin: Yin, wrong: tuple[str, ...]) -> None:
    answer = yin("token", "mint", "--allow", "read:**", *wrong)
    assert answer.code in (2, 4)
    assert "internal" not in answer.err


@pytest.mark.parametrize("of", [(), ("--node", "beta")])
def test_who_follows_requests_sees_them_as_they_come(
    yin: Yin, place: Path, of: tuple[str, ...]
) -> None:
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "--cluster",
        "dev",
        "token",
        "requests",
        "--follow",
    ]
    with subprocess.Popen(
        [*command, *of, "-o", "ids"], stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        try:
            agent = spawned(yin, "asks.clj", "--on", "beta")
            identity = follower.stdout.readline().strip()
            ok(yin("token", "refuse", identity))
            assert "refused" in ok(yin("result", agent))
        finally:
            follower.kill()
