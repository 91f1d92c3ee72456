"""`yin migrate --force`: an agent offered to a node that never comes back is taken back, and the audit stream says so."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from commands import answers
from daemons import daemons

from capabilities.caveats import Caveats, Rights
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from cli.commands.agents import await_agent, spawn_agent
from datomstore.value import Map
from yind.clock import System

NOW_S = System().now_ms() // 1000
HOP = '[(try (hop! "beta") (catch Exception e (ex-message e))) (here)]'


def spawn(cluster: Cluster, name: str) -> bytes:
    caveats = Caveats(exp=NOW_S + 3600, rights=(Rights(ALL_VERBS, "**"),))
    token = mint(cluster.root_key, cluster.operator_key.public, caveats)
    return spawn_agent(cluster, "alpha", HOP, "hop.clj", tokens=[token], arguments=Map(), name=name)


def test_an_agent_is_taken_back_from_a_node_that_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster = create(tmp_path / "dev", name="dev", now_s=NOW_S)
    for name in ("alpha", "beta"):
        add_node(cluster, name, listen="127.0.0.1:0")
    yin = answers(capsys)
    with daemons(cluster) as nodes:
        for name in ("alpha", "beta"):
            nodes.start(name)
        await_agent(
            cluster, "alpha", spawn(cluster, "first"), follow=False
        )  # now they are connected
        os.kill(nodes.pids["beta"], signal.SIGSTOP)
        agent = spawn(cluster, "second")
        deadline = time.monotonic() + 30
        while (row := _row(yin("ps", "--on", "alpha", "--json").out))["travelling_to"] != "beta":
            assert time.monotonic() < deadline, row
        assert row["reason"].startswith("travelling to beta")
        nodes.kill("beta")
        assert yin("migrate", "second").code == 2
        answer = yin("migrate", "second", "--force", "--json")
        assert answer.code == 0, answer.err
        assert "beta may be running it, too" in answer.err
        assert json.loads(answer.out)["epoch"] == 2
        _, after = await_agent(cluster, "alpha", agent, follow=False)
        reason = "taken back from node beta by force; it may run there, too (handoff/forced)"
        assert after["result"] == f'["{reason}" "alpha"]'
        said = yin("audit", "--agent", agent.hex()[:12], "--json").out
        (fact,) = [fact for fact in json.loads(said)["items"] if fact["verb"] == "reclaim"]
        assert fact["reason"].startswith("possible duplicate: taken back from beta by force, by ")
        assert yin("migrate", "second", "--force").code == 6


def _row(printed: str) -> dict[str, str]:
    (row,) = [row for row in json.loads(printed)["items"] if row["name"] == "second"]
    return dict(row)
