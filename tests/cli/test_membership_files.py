"""The cluster's folder, when what a person began with its keys was interrupted."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from commands import code_of

from capabilities.keys import PrivateKey, load_private, save_private
from capabilities.limits import SEQ_MAX
from capabilities.statements import Record, Succession, sign
from cli.cluster import Cluster, add_node, create, free_port, now_s, open_cluster
from cli.errors import CliError, Exit
from cli.membership import join, remove, rotate_root


def test_another_root_says_again_what_the_first_one_said(tmp_path: Path) -> None:
    cluster = create(tmp_path, name="test", now_s=now_s())
    old = cluster.root_key
    cluster = rotate_root(cluster, 3600)
    members = open_cluster(tmp_path).members
    assert members.former_root == old.public
    assert members.root == cluster.root_key.public == cluster.operator_token.root
    later = cluster.ledger.at(now_s() + 3601)
    assert later.roots == {members.root}
    assert [member.name for member in later] == ["operator"]
    with pytest.raises(CliError, match="nobody follows a follower"):
        rotate_root(cluster, 3600)


def test_what_counts_for_nothing_changes_no_number_of_the_roots_records(tmp_path: Path) -> None:
    cluster = create(tmp_path, name="test", now_s=now_s())
    add_node(cluster, "alpha", listen="127.0.0.1:0")
    mallory = add_node(cluster, "mallory", listen="127.0.0.1:0")
    key = load_private(cluster.node_folder("mallory") / "node.key")
    for name in ("alpha", "mallory"):
        said = Record(name, "node", mallory.key, mallory.certificate, (), SEQ_MAX, now_s())
        cluster.say(sign(said, key))
        assert cluster.next_seq(name) == 2
    remove(cluster, "mallory")
    assert [member.name for member in cluster.nodes()] == ["alpha"]
    assert cluster.next_seq("mallory") == 3


@pytest.mark.parametrize("announced", [True, False])
def test_a_rotation_that_was_interrupted_is_finished_if_it_was_announced(
    tmp_path: Path, announced: bool
) -> None:
    cluster = create(tmp_path, name="test", now_s=now_s())
    old, new = cluster.root_key, PrivateKey.generate()
    save_private(tmp_path / "root.key.next", new)
    if announced:
        step = Succession(old.public, new.public, now_s(), now_s() + 3600, 1)
        cluster.say(sign(step, old, new))
    opened = open_cluster(tmp_path)
    root = (new if announced else old).public
    assert load_private(tmp_path / "root.key").public == root
    assert opened.members.root == opened.operator_token.root == root


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("members", b"AAAA\n"),
        ("members", b"\xff"),
        ("operator.token", b"yin1.AAAA\n"),
        ("operator.key", b""),
        ("cluster.toml", b"root = "),
        ("cluster.toml", b'name = "test"\n'),
    ],
)
def test_a_file_that_is_not_what_belongs_there_is_named(
    tmp_path: Path, file: str, text: bytes
) -> None:
    create(tmp_path, name="test", now_s=now_s())
    (tmp_path / file).write_bytes(text)
    with pytest.raises(CliError) as refused:
        read_all(open_cluster(tmp_path))
    assert str(refused.value).startswith(f"{tmp_path / file}: ")


def read_all(cluster: Cluster) -> tuple[object, ...]:
    """Return what is read of a cluster when it is asked for."""
    return (
        cluster.members,
        cluster.operator_key,
        cluster.operator_certificate,
        cluster.operator_token,
    )


def test_who_was_removed_may_come_back_with_another_record(tmp_path: Path) -> None:
    cluster = create(tmp_path, name="test", now_s=now_s())
    member = add_node(cluster, "alpha", listen="127.0.0.1:0")
    remove(cluster, "alpha")
    assert cluster.nodes() == []
    assert cluster.ledger.at(now_s()).of_key(member.key) is None
    with pytest.raises(CliError) as refused:
        remove(cluster, "alpha")
    assert refused.value.exit_code is Exit.NOT_FOUND


@pytest.mark.parametrize("ticket", ["", "x", "a:1#b#c", "a:1##", "127.0.0.1:1#" + "a" * 55 + "#aa"])
def test_what_is_no_ticket_is_not_tried(tmp_path: Path, ticket: str) -> None:
    with pytest.raises(CliError, match="ticket") as refused:
        join(ticket, tmp_path, name="delta", listen="h:1", address="h:1", root=None)
    assert refused.value.exit_code is Exit.USAGE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    ["cluster appoint", "cluster ticket", "cluster rotate", "cluster sync", "node rotate", "join"],
)
def test_every_command_about_members_explains_itself(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(*command.split(), "--help") == 0
    printed = capsys.readouterr().out
    assert "--json" in printed


def test_a_new_node_gets_a_port_that_no_connection_will_have() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    port = free_port("127.0.0.1")
    assert port < min(low, 32_768)
    with socket.create_server(("127.0.0.1", port)):
        assert free_port("127.0.0.1") != port


def test_a_new_node_gets_no_port_of_one_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = free_port("127.0.0.1")
    ports = frozenset({first, free_port("127.0.0.1", besides={first})})
    monkeypatch.setattr("cli.cluster.PORTS", sorted(ports))
    made = create(tmp_path / "dev", name="dev", now_s=now_s())
    for name in ("alpha", "beta"):
        add_node(made, name, listen="127.0.0.1:0")
    assert made.ports() == ports
    with pytest.raises(CliError, match="can be listened on: all are taken"):
        add_node(made, "gamma", listen="127.0.0.1:0")


def test_a_host_without_a_port_says_why() -> None:
    with pytest.raises(CliError, match=r"no port of 203\.0\.113\.1 can be listened on: .*assign"):
        free_port("203.0.113.1")


@pytest.mark.parametrize(
    ("text", "profile", "code", "said"),
    [
        ("x = [", "", 1, "config.toml: "),
        ("profiles = 3", "", 1, "profiles is no table"),
        ("[profiles.default]\nx = 1", "", 1, "profile 'default' has no cluster"),
        ("[profiles.home]\ncluster = 'c'", "prod", 4, "no profile 'prod' (profiles: home)"),
        ("profile = 'prod'", "", 4, "no profile 'prod' (profiles: none)"),
        ("[profiles.home]\ncluster = 'nowhere'", "home", 4, "no cluster in nowhere"),
        ("[profiles.home]\ncluster = 'c'", "", 4, "no cluster in "),
    ],
)
def test_a_profile_that_says_no_cluster_is_not_taken_for_another_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    profile: str,
    code: int,
    said: str,
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("YIN_PROFILE", profile)
    monkeypatch.delenv("YIN_CLUSTER", raising=False)
    (tmp_path / "yin").mkdir()
    (tmp_path / "yin" / "config.toml").write_text(text)
    assert code_of("ps") == code
    assert said in capsys.readouterr().err


def test_a_key_that_is_not_here_is_said_once_and_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(tmp_path / "c", name="c", now_s=now_s())
    (tmp_path / "c" / "operator.key").unlink()
    assert code_of("--cluster", str(tmp_path / "c"), "key", "rotate") == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert first == f"yin: {tmp_path}/c/operator.key: No such file or directory"
    assert hint.startswith("  try: ")
    (tmp_path / "c" / "root.key").unlink()
    assert code_of("--cluster", str(tmp_path / "c"), "node", "add", "a", "--listen", ":1") == 3
    assert "with a folder that has it" in capsys.readouterr().err
