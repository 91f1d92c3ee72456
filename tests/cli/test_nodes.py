"""Nodes as people deal with them: where they listen and are reached, who is put out, what rotations say, how they start."""

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
from commands import Yin, answers, beside, cluster, code_of, working_in
from fleet import fleet

from capabilities.errors import MemberInvalid
from capabilities.keys import PrivateKey
from capabilities.tickets import Ticket
from cli.cluster import add_node, create, free_port, now_s, open_cluster
from cli.errors import CliError, Exit
from cli.fleet import start_node, stop_node
from cli.membership import join, move
from cli.waiting import waiting

NEVER = "(loop [] (sleep 1000) (recur))"
TICKET = Ticket("127.0.0.1:1", PrivateKey(b"n" * 32).public, b"s" * 16).to_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running fleet `dev`, used by all tests of this file."""
    folder = tmp_path_factory.mktemp("yin")
    with working_in(folder), cluster(2):
        granted = ("token", "mint", "--allow", "read,migrate:**", "--out", "all")
        assert code_of("--cluster", "dev", *granted) == 0
        yield folder


@pytest.fixture
def yin(place: Path, capsys: pytest.CaptureFixture[str]) -> Yin:
    return answers(capsys)


def spawned(yin: Yin, *arguments: str) -> str:
    answer = yin("spawn", *arguments, "-o", "ids")
    assert answer.code == 0, answer.err
    return answer.out.strip()[:12]


# -- addresses and names --


@pytest.mark.parametrize("listen", ["0.0.0.0:7400", "[::]:7400", ":7400", "0.0.0.0:0"])
def test_a_machine_that_listens_everywhere_must_say_where_it_is_reached(
    tmp_path: Path, listen: str
) -> None:
    with pytest.raises(CliError) as refused:
        join(TICKET, tmp_path, name="delta", listen=listen, address=listen, root=None)
    assert (refused.value.exit_code, "--address" in refused.value.hint) == (Exit.USAGE, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a/b", {"listen": "1.2.3.4:1"}),
        ("..", {"listen": "1.2.3.4:1"}),
        ("", {"listen": "1.2.3.4:1"}),
        ("a" * 300, {"listen": "1.2.3.4:1"}),
        ("alpha", {"listen": "0.0.0.0:7400"}),
        ("alpha", {"listen": "nowhere"}),
        ("alpha", {"listen": "127.0.0.1:0", "address": "h:0"}),
        ("alpha", {"listen": "127.0.0.1:0", "address": "h"}),
    ],
)
def test_a_node_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    made = create(tmp_path, name="test", now_s=now_s())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CliError) as refused:
        add_node(made, name, **options)
    assert refused.value.exit_code is Exit.USAGE
    assert sorted(tmp_path.rglob("*")) == before
    assert made.nodes() == []


def test_a_node_may_be_reached_elsewhere_than_it_listens(tmp_path: Path) -> None:
    made = create(tmp_path, name="test", now_s=now_s())
    member = add_node(made, "alpha", listen="0.0.0.0:7400", address="alpha.example.org:7401")
    assert member.addresses == ("alpha.example.org:7401",)
    assert 'listen = "0.0.0.0:7400"' in (made.node_folder("alpha") / "yind.toml").read_text()
    with pytest.raises(CliError):
        move(made, "alpha", "0.0.0.0:7400")
    moved = move(made, "alpha", "alpha.example.org:7402")
    assert (moved.addresses, moved.key) == (("alpha.example.org:7402",), member.key)


def test_the_folder_of_a_node_that_was_put_out_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yin = ("--cluster", str(tmp_path / "c"))
    assert code_of("cluster", "init", str(tmp_path / "c")) == 0
    assert code_of(*yin, "node", "add", "alpha", "--listen", "127.0.0.1:0") == 0
    assert code_of(*yin, "node", "leave", "alpha", "--yes") == 0
    assert code_of(*yin, "node", "add", "alpha", "--listen", "127.0.0.1:0") == 6
    assert "put out" in capsys.readouterr().err
    (tmp_path / "c/nodes/alpha").rename(tmp_path / "c/nodes/alpha.before")
    assert code_of(*yin, "node", "add", "alpha", "--listen", "127.0.0.1:0") == 0


def test_what_makes_keys_says_what_it_prints_and_what_is_next_and_has_it_all_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, key = tmp_path / "c", str(tmp_path / "ann.key")

    def said(*command: str) -> tuple[str, str]:
        capsys.readouterr()
        assert code_of(*command) == 0
        return capsys.readouterr()

    out, err = said("cluster", "init", str(folder), "--json")
    assert json.loads(out)["root"] == open_cluster(folder).root.text
    assert "its root's public text" in err
    yin = ("--cluster", str(folder))
    out, err = said(*yin, "node", "add", "alpha", "--listen", "127.0.0.1:0", "--json")
    made = json.loads(out)
    member = open_cluster(folder).node("alpha")
    assert (made["key"], made["address"]) == (member.key.text, member.addresses[0])
    assert f"yind --config {made['settings']}" in err
    out, err = said("key", "new", key)
    assert f"wrote {key}" in err
    assert "--to TEXT" in err
    assert said("key", "show", key) == (out, "")
    out, err = said(*yin, "node", "leave", "alpha", "--yes", "--json")
    assert json.loads(out) == {"$type": "node.left", "name": "alpha"}


def test_a_node_that_has_moved_is_found_at_its_new_address(yin: Yin) -> None:
    opened = open_cluster(Path("dev"))
    folder, old = opened.node_folder("beta"), opened.node("beta").addresses[0]
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    assert stop_node(folder)
    settings = folder / "yind.toml"
    settings.write_text(settings.read_text().replace(old, address))
    start_node(opened, "beta")
    answer = yin("ps", "--on", "beta")
    assert (answer.code, answer.err.splitlines()[-1]) == (7, "  try: yin up")
    assert yin("node", "move", "beta", "--address", address).code == 0
    assert yin("ps", "--on", "beta").code == 0
    tour = ("spawn", "-e", '(do (hop! "beta") (here))', "--on", "alpha", "--token", "@all")
    assert yin(*tour, "--wait").out.strip() == '"beta"'


# -- agents that do not answer --


def test_one_agent_that_there_is_not_does_not_keep_the_others(yin: Yin) -> None:
    first, last = (spawned(yin, "-e", NEVER, "--on", "alpha") for _ in range(2))
    answer = yin("pause", first, "nosuch", last)
    assert answer.code == 4
    assert answer.out.splitlines() == [f"{first} paused", f"{last} paused"]
    assert "nosuch: no agent" in answer.err
    answer = yin("resume", first, "nosuch", last)
    assert (answer.code, len(answer.out.splitlines())) == (4, 2)
    assert yin("kill", first, last).code == 0
    assert yin("kill", first, "nosuch").code == 1  # of several kinds


def test_a_name_of_several_agents_says_whose_and_no_name_is_nobodys(yin: Yin) -> None:
    agents = [spawned(yin, "-e", NEVER, "--on", "alpha", "--name", "twin") for _ in range(6)]
    answer = yin("kill", "twin")
    assert (answer.code, "'twin' names 6 agents: " in answer.err) == (2, True)
    assert sum(agent in answer.err for agent in agents) == 4
    assert ", 2 more\n" in answer.err
    assert f"{agents[-1]} (ready on alpha)" in answer.err or "waiting on alpha" in answer.err
    answer = yin("kill", "", "--json")
    assert (answer.code, "by its id or its name" in answer.err) == (2, True)
    answer = yin("kill", *agents, "nobody", "--json")
    document = json.loads(answer.out)
    assert answer.code == 4
    assert {row["state"] for row in document["items"]} == {"killed"}
    assert [row["id"][:12] for row in document["items"]] == agents
    assert document["failed"] == {"nobody": "no agent 'nobody'"}


def test_a_node_that_does_not_answer_in_time_is_said_so(
    yin: Yin, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = spawned(yin, "-e", NEVER, "--on", "beta")
    pid = int((open_cluster(Path("dev")).node_folder("beta") / "yind.pid").read_text())

    @contextmanager
    def frozen(what: str) -> Iterator[None]:
        os.kill(pid, signal.SIGSTOP)
        with waiting(what):
            yield

    with monkeypatch.context() as patched:
        patched.setattr("cli.waiting.SAY_AFTER_S", 0.0)
        patched.setattr("cli.commands.agents.waiting", frozen)
        try:
            answer = yin("kill", agent, "--timeout", "0.3")
        finally:
            os.kill(pid, signal.SIGCONT)
    assert answer.code == 7
    assert f"waiting for {agent} to stop on beta" in answer.err
    assert "node beta has not answered within the time" in answer.err
    assert "yin up" not in answer.err


def test_an_agent_that_is_there_already_stays(yin: Yin) -> None:
    agent = spawned(yin, "-e", NEVER, "--on", "alpha", "--token", "@all")
    answer = yin("migrate", agent, "alpha")
    assert (answer.code, "is on alpha already" in answer.err) == (0, True)
    assert answer.out.split()[0::2] == [agent, "alpha"]
    assert yin("kill", agent).code == 0


# -- what is put out, and what is rotated --


def test_whom_a_node_does_not_admit_is_told_why_and_what_to_do(yin: Yin, tmp_path: Path) -> None:
    answer = yin("cluster", "ticket", "beta")
    assert (answer.code, "try: yin cluster appoint beta" in answer.err) == (5, True)
    for nothing in (("appoint", "beta"), ("ticket", "beta")):
        answer = yin("cluster", *nothing, "--ttl", "0s")
        assert (answer.code, "is over at once" in answer.err) == (2, True)
    beta = open_cluster(Path("dev")).node("beta")
    over = Ticket(beta.addresses[0], beta.key, b"s" * 16).to_text()
    answer = yin("join", over, str(tmp_path), "--name", "new", "--listen", "127.0.0.1:17400")
    assert answer.code == 5
    assert answer.err.startswith("yin: not admitted: ")
    assert "try: yin cluster ticket NODE" in answer.err
    assert yin("cluster", "appoint", "beta", "--ttl", "1h").code == 0
    assert yin("cluster", "ticket", "beta").code == 0
    assert yin("cluster", "tickets", "beta").out.splitlines()[1].endswith("  no")
    rows = [line.split() for line in yin("cluster", "sync").out.splitlines()]
    assert ["appointment", "beta", "the", "root"] in rows
    assert ["member", "operator", "operator", "the", "root"] in rows


def test_who_puts_a_node_out_is_told_of_its_agents_and_asked(yin: Yin, place: Path) -> None:
    opened = open_cluster(Path("dev"))
    assert yin("up", "--nodes", "3").code == 0
    spawned(yin, "-e", NEVER, "--on", "gamma")
    answer = yin("node", "leave", "gamma")
    assert answer.code == 2
    assert "1 agent is on gamma" in answer.err
    assert opened.node("gamma").name == "gamma"
    assert yin("node", "leave", "gamma", "--yes").code == 0
    log = (opened.node_folder("gamma") / "yind.log").read_text()
    assert "put out of the cluster" in log


def test_a_rotation_says_what_holds_until_when(yin: Yin) -> None:
    answer = yin("node", "rotate", "alpha", "--overlap", "1h")
    assert answer.code == 0
    assert "alpha has the key " in answer.out
    assert "holds until" in answer.out
    agent = spawned(yin, "-e", NEVER, "--on", "alpha", "--token", "@all")
    without = spawned(yin, "-e", NEVER, "--on", "alpha")
    answer = yin("cluster", "rotate", "--overlap", "1h")
    assert answer.code == 0
    assert "holds until" in answer.out
    assert agent in answer.err
    assert without not in answer.err
    answer = yin("cluster", "rotate")
    assert (answer.code, "the former root holds until " in answer.err) == (6, True)
    assert yin("kill", agent, without).code == 0


# -- the daemon --


def daemon(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "yind.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_an_address_that_is_in_use_is_one_line(tmp_path: Path, place: Path) -> None:
    taken = open_cluster(Path("dev")).node("alpha").addresses[0]
    made = create(tmp_path, name="test", now_s=now_s())
    add_node(made, "alpha", listen=taken)
    ended = daemon("--config", str(made.node_folder("alpha") / "yind.toml"))
    assert ended.returncode == 75
    assert ended.stderr.splitlines()[-1] == f"yind: listen: {taken}: Address already in use"
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "flaw",
    [
        "nothing",
        "mode",
        "no member",
        "no certificate",
        "another's",
        "root",
        "no folder",
        "below a file",
    ],
)
def test_what_keeps_a_node_from_starting_is_found_when_its_configuration_is_checked(
    tmp_path: Path, flaw: str
) -> None:
    made = create(tmp_path, name="test", now_s=now_s())
    add_node(made, "alpha", listen="127.0.0.1:0")
    folder = made.node_folder("alpha")
    settings = folder / "yind.toml"
    match flaw:
        case "mode":
            (folder / "node.key").chmod(0o644)
        case "no member":
            settings.write_text(settings.read_text().replace('"alpha"', '"beta"'))
        case "no certificate":
            (folder / "node.crt").unlink()
        case "another's":
            (folder / "node.crt").write_bytes(made.operator_certificate)
        case "no folder":
            (folder / "data").write_text("")
        case "below a file":
            settings.write_text('data = "node.crt/data"\n' + settings.read_text())
        case "root":
            settings.write_text(settings.read_text().replace(made.root.text, "x"))
    checked = daemon("--config", str(settings), "--check-config")
    if flaw == "nothing":
        assert (checked.returncode, checked.stderr) == (0, "")
        return
    started = daemon("--config", str(settings))
    assert checked.returncode == started.returncode == 78
    assert checked.stderr == started.stderr


def test_a_certificate_of_another_key_is_told_by_who_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = create(tmp_path / "c", name="test", now_s=now_s())
    add_node(made, "alpha", listen="127.0.0.1:0")
    certificate = made.folder / "operator.crt"
    certificate.write_bytes((made.node_folder("alpha") / "node.crt").read_bytes())
    assert code_of("--cluster", str(made.folder), "ps") == 1
    why = f"yin: {certificate}: the certificate of another key than that beside it\n"
    assert capsys.readouterr().err.startswith(why)


# -- words --


@pytest.mark.parametrize(
    ("word", "meant"), [("inspect", "yin show"), ("migrat", "yin migrate"), ("xyzzy", "yin --help")]
)
def test_a_command_that_there_is_not_leads_to_the_one_that_is_meant(
    capsys: pytest.CaptureFixture[str], word: str, meant: str
) -> None:
    assert code_of(word, "x") == 2
    assert capsys.readouterr().err == f"yin: no command {word!r}\n  try: {meant}\n"


# -- a node that says no --


async def test_one_node_that_says_no_does_not_keep_the_others_from_hearing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(items: object) -> int:
        raise MemberInvalid("I would rather not")

    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, beta = nodes.nodes["alpha"].members, nodes.nodes["beta"].members
        monkeypatch.setattr(alpha, "take_said", refuse)
        answer = await beside(nodes.cluster, capsys, "cluster", "appoint", "beta")
        assert answer.code == 0
        assert "alpha does not take it: alpha: I would rather not" in answer.err
        assert beta.current.appointment(nodes.cluster.node("beta").key) is not None
        monkeypatch.setattr(beta, "take_said", refuse)
        answer = await beside(nodes.cluster, capsys, "cluster", "dismiss", "beta")
        assert (answer.code, "rather not" in answer.err) == (3, True)


async def test_a_node_that_says_what_is_no_statement_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        monkeypatch.setattr(nodes.nodes["alpha"].members, "listed", lambda after: (b"?",))
        answer = await beside(nodes.cluster, capsys, "node", "ls", "-o", "ids")
        assert (answer.code, answer.out.split()) == (0, ["alpha", "beta"])
        assert "alpha does not say what it knows" in answer.err
