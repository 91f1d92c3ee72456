"""Commands that ask every node, while one is silent or somebody else answers at its address."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
from commands import Yin, answers, cluster, code_of, working_in

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey
from capabilities.statements import Record
from cli.agent_rows import STATES, UNREACHABLE
from cli.cluster import open_cluster
from cli.fleet import stop_node
from datomstore.value import Map
from protocol.address import split_address
from protocol.client import Client
from protocol.errors import RemoteError
from protocol.tls import server_context
from yind.agent import State

STRANGER = PrivateKey(b"s" * 32)
KINDS = ("nobody", "http", "another key", "hangs up")


def http(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def another_key(connection: socket.socket) -> None:
    certificate = make_certificate(STRANGER, "beta")
    server_context(STRANGER, certificate, [certificate]).wrap_socket(connection, server_side=True)


def hangs_up(connection: socket.socket) -> None:
    connection.recv(1)


ANSWERS = {"http": http, "another key": another_key, "hangs up": hangs_up}


@contextmanager
def listening(address: str, kind: str) -> Iterator[None]:
    """Have somebody answer at an address who is not the node."""
    server = socket.create_server(split_address(address), reuse_port=False)

    def serve() -> None:
        with suppress(OSError):  # closed: the block is over
            while True:
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    ANSWERS[kind](connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running fleet `dev` whose beta has been stopped; an agent is there."""
    folder = tmp_path_factory.mktemp("yin")
    with working_in(folder), cluster(3):
        dev = ("--cluster", "dev")
        assert code_of(*dev, "token", "mint", "--allow", "migrate:**", "--out", "all") == 0
        gone = '(do (hop! "beta") (loop [] (sleep 1000) (recur)))'
        spawn = ("spawn", "-e", gone, "--on", "alpha", "--token", "@all", "--name", "gone")
        assert code_of(*dev, *spawn) == 0
        wait_until_on_beta()
        assert stop_node(open_cluster(Path("dev")).node_folder("beta"))
        yield folder


def wait_until_on_beta() -> None:
    from cli.connect import find_agent

    opened = open_cluster(Path("dev"))
    while find_agent(opened, "gone")[0] != "beta":
        threading.Event().wait(0.05)


@pytest.fixture
def yin(place: Path, capsys: pytest.CaptureFixture[str]) -> Yin:
    return answers(capsys)


@pytest.fixture(params=KINDS)
def kind(place: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    address = open_cluster(Path("dev")).node("beta").addresses[0]
    with nullcontext() if request.param == "nobody" else listening(address, request.param):
        yield request.param


def missed_by(kind: str) -> str:
    return "beta (wrong key)" if kind in ("http", "another key") else "beta"


@pytest.mark.parametrize(
    "command",
    [
        ("ps",),
        ("stream", "ls"),
        ("cluster", "sync"),
        ("audit",),
        ("token", "requests"),
        ("token", "renew", "--block", "00" * 16),
    ],
    ids=" ".join,
)
def test_what_shows_the_nodes_shows_the_others_and_says_so(
    yin: Yin, kind: str, command: tuple[str, ...]
) -> None:
    answer = yin(*command, "--json")
    assert answer.code == 7
    assert f"no answer from {missed_by(kind)}" in answer.err
    document = json.loads(answer.out)
    assert list(document["missed"]) == ["beta"]
    assert bool(document["items"]) is (command[0] != "token")


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "--query", "[:find (count ?e) . :where [?e :audit/verb _]]"),
        ("show", "nobody"),
        ("token", "grant", "00"),
        ("cluster", "appoint", "alpha"),
    ],
    ids=" ".join,
)
def test_what_asks_or_tells_every_node_carries_on(
    yin: Yin, kind: str, command: tuple[str, ...]
) -> None:
    answer = yin(*command)
    assert "beta" in answer.err
    assert answer.code == (0 if command[0] == "cluster" else 7)
    assert "handshake" not in answer.err


def test_a_revocation_reaches_the_others(yin: Yin, kind: str) -> None:
    name = f"token-{kind}".replace(" ", "-")
    assert yin("token", "mint", "--allow", "read:**", "--out", name).code == 0
    answer = yin("token", "revoke", f"@{name}")
    assert "alpha: revoked" in answer.err
    assert "gamma: revoked" in answer.err
    assert "not told: beta" in answer.err


def test_a_revocation_reaches_the_others_though_one_says_no(
    yin: Yin, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, alpha = Client.request, open_cluster(Path("dev")).node("alpha").key

    def request(self: Client, verb: str, body: Map | None = None) -> Map:
        if self.peer == alpha and verb == "token.revoke":
            raise RemoteError("auth/denied", "alpha says no")
        answer: Map = real(self, verb, body)
        return answer

    monkeypatch.setattr(Client, "request", request)
    assert yin("token", "mint", "--allow", "read:**", "--out", "unloved").code == 0
    answer = yin("token", "revoke", "@unloved")
    assert answer.code == 0
    assert "gamma: revoked" in answer.err
    assert "refused by alpha: alpha says no" in answer.err
    assert "not told: beta, alpha" in answer.err


def test_the_list_says_who_answers_and_who_is_somebody_else(yin: Yin, kind: str) -> None:
    answer = yin("node", "ls", "--json")
    states = {row["name"]: row["state"] for row in json.loads(answer.out)["items"]}
    other = "wrong key" if "wrong key" in missed_by(kind) else "down"
    assert states == {"alpha": "up", "beta": other, "gamma": "up"}


def test_the_audit_of_the_others_is_checked_and_the_exit_code_says_whose_is_not(
    yin: Yin, kind: str
) -> None:
    answer = yin("audit", "verify", "--json")
    assert answer.code == 7
    verdicts = {row["node"]: row["verdict"] for row in json.loads(answer.out)["items"]}
    assert verdicts["beta"].startswith("not reached: ")
    assert not verdicts["alpha"].startswith("not reached: ")


def test_who_was_not_asked_for_contradictions_is_told_by_the_exit_code(yin: Yin, kind: str) -> None:
    answer = yin("audit", "contradictions")
    assert (answer.code, "beta was not asked" in answer.err) == (7, True)


def test_one_node_that_somebody_else_stands_for_is_named_and_the_hint_is_of_use(
    yin: Yin, kind: str
) -> None:
    answer = yin("ps", "--on", "beta")
    assert answer.code == 7
    if missed_by(kind) == "beta":
        assert "try: yin up" in answer.err  # a development cluster's
    else:
        assert "does not prove to be beta" in answer.err
        assert "try: yin cluster sync" in answer.err


def test_an_agent_that_went_where_nobody_answers_is_listed(yin: Yin) -> None:
    (row,) = json.loads(yin("ps", "--json").out)["items"]
    assert (row["name"], row["node"], row["state"]) == ("gone", "beta", UNREACHABLE)
    assert "unreachable" in yin("ps").out
    assert len(yin("ps", "--state", UNREACHABLE, "-o", "ids").out.split()) == 1
    assert yin("ps", "--state", "ready", "-o", "ids").out == ""


def test_an_agent_that_cannot_be_moved_where_nobody_answers_stays(yin: Yin) -> None:
    assert (
        yin(
            "spawn", "-e", "(sleep 600000)", "--on", "alpha", "--token", "@all", "--name", "stays"
        ).code
        == 0
    )
    answer = yin("migrate", "stays", "beta")
    assert (answer.code, "node beta" in answer.err) == (7, True)
    (row,) = json.loads(yin("ps", "--on", "alpha", "--json").out)["items"]
    assert (row["name"], row["state"]) == ("stays", "waiting")
    assert yin("kill", "stays").code == 0


def test_a_state_that_there_is_not_is_a_usage_error_that_names_those(yin: Yin) -> None:
    answer = yin("ps", "--state", "bogus")
    assert answer.code == 2
    assert all(state in answer.err for state in STATES)
    assert set(STATES) == {*map(str, State), UNREACHABLE}


def test_a_node_that_the_folder_has_not_heard_of_is_asked_for(yin: Yin) -> None:
    opened = open_cluster(Path("dev"))
    whole = (opened.folder / "members").read_text()
    kept = [
        statement.to_text()
        for statement in opened.ledger
        if not (isinstance(statement.fact, Record) and statement.fact.name == "gamma")
    ]
    try:
        (opened.folder / "members").write_text("\n".join(kept) + "\n")
        assert yin("ps", "--on", "gamma").code == 0
    finally:
        (opened.folder / "members").write_text(whole)
    answer = yin("ps", "--on", "delta")
    assert (answer.code, "no node 'delta'" in answer.err) == (4, True)
