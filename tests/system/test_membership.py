"""A cluster of real daemons that grows, changes its keys and loses a member while an agent runs; as a person does it."""

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
from commands import Yin, answers, cluster, working_in

from capabilities.keys import PrivateKey
from cli.cluster import open_cluster

TOUR = '(do (hop! "delta") (sleep 50) (hop! "alpha") (here))'


@contextmanager
def daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the node of a folder for the time of a block."""
    read_end, write_end = os.pipe()
    command = [sys.executable, "-m", "yind.main", "--config", str(folder / "yind.toml")]
    with (folder / "yind.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--ready-fd", str(write_end)], pass_fds=(write_end,), stderr=log
        )
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb") as ready:
            assert ready.read(1) == b"\n", (folder / "yind.log").read_text()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_a_cluster_grows_changes_its_keys_and_loses_a_member(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yin: Yin = answers(capsys)

    def ok(*arguments: str) -> str:
        answer = yin(*arguments)
        assert answer.code == 0, (arguments, answer.err)
        return answer.out.strip()

    def tour() -> str:
        return ok("spawn", "--on", "alpha", "-e", TOUR, "--token", "@all", "--wait")

    delta = tmp_path / "delta"
    with working_in(tmp_path), cluster(2):
        ok("token", "mint", "--allow", "read,append,migrate:**", "--out", "all")
        assert yin("cluster", "ticket", "alpha").code == 5  # nobody has appointed it
        ok("cluster", "appoint", "alpha")
        ticket = ok("cluster", "ticket", "alpha", "--name", "delta")
        joined = ["join", ticket, str(delta), "--name", "delta", "--listen", "127.0.0.1:7391"]
        elsewhere = yin(*joined, "--root", PrivateKey.generate().public.text)
        assert (elsewhere.code, "of another cluster" in elsewhere.err) == (3, True)
        assert ok("node", "ls", "-o", "ids").split() == ["alpha", "beta"]
        joined += ["--root", open_cluster(tmp_path / "dev").root.text]
        document = json.loads(ok(*joined, "--json"))
        assert (document["$type"], document["nodes"]) == ("node.admission", 3)
        with daemon(delta):
            assert ok("node", "ls", "-o", "ids").split() == ["alpha", "beta", "delta"]
            rows = json.loads(ok("node", "ls", "--json"))["items"]
            assert {row["state"] for row in rows} == {"up"}
            assert tour() == '"alpha"'

            other = ["join", ticket, str(tmp_path / "eve"), "--name", "delta"]
            answer = yin(*other, "--listen", "127.0.0.1:7392")
            assert (answer.code, "has been used" in answer.err) == (5, True)

            for name in ("delta", "alpha"):
                key = json.loads(ok("node", "rotate", name, "--overlap", "1h", "--json"))["new"]
                assert key in ok("node", "ls")
            assert tour() == '"alpha"'
            old = ok("cluster", "sync", "--json")
            new = json.loads(ok("cluster", "rotate", "--overlap", "1h", "--json"))["new"]
            assert new not in old
            assert new in ok("cluster", "sync", "--json")
            ok("token", "mint", "--allow", "read,append,migrate:**", "--out", "anew")
            assert (
                ok("spawn", "--on", "alpha", "-e", TOUR, "--token", "@anew", "--wait") == '"alpha"'
            )
            assert tour() == '"alpha"'

            ok("cluster", "dismiss", "alpha")
            assert yin("cluster", "ticket", "alpha").code == 5
            ok("node", "leave", "delta")
            assert ok("node", "ls", "-o", "ids").split() == ["alpha", "beta"]
            answer = yin("spawn", "--on", "alpha", "-e", TOUR, "--token", "@all", "--wait")
            assert (answer.code, "delta" in answer.err) == (9, True)
