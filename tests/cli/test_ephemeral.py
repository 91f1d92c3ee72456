"""The node of `yin run`: begun as a fork of the command, gone with it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cli.connect import connected
from cli.ephemeral import NODE, Ephemeral, ephemeral_node
from cli.errors import CliError
from cli.fleet import forked
from datomstore.value import Map

MEMORY = 1 << 26


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def agents_on(own: Ephemeral) -> tuple[Map, ...]:
    with connected(own.cluster, NODE) as client:
        rows: tuple[Map, ...] = client.request("agent.list", Map({}))["value"]
        return rows


def test_a_forked_node_answers_and_is_gone_after_the_block() -> None:
    before = children()
    with ephemeral_node(memory_max=MEMORY) as own:
        assert len(children() - before) == 1
        assert agents_on(own) == ()
    assert children() == before


def test_a_forked_node_leads_a_session_of_its_own_and_writes_to_its_log() -> None:
    with ephemeral_node(memory_max=MEMORY) as own:
        (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1:]
        assert os.getsid(int(pid)) == int(pid)
        assert "listening" in (own.cluster.node_folder(NODE) / "yind.log").read_text()


def test_a_process_with_several_threads_starts_its_node_instead_of_forking() -> None:
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with ephemeral_node(memory_max=MEMORY) as own:
            assert (own.cluster.node_folder(NODE) / "yind.pid").exists()
            assert agents_on(own) == ()
    finally:
        over.set()
        other.join()


def test_a_forked_node_that_cannot_start_says_why() -> None:
    before = children()
    with ephemeral_node(memory_max=MEMORY) as own:
        (own.cluster.node_folder(NODE) / "yind.toml").write_text("nonsense = 1\n")
        refused = pytest.raises(CliError, match=r"node local did not start: .*nonsense")
        with refused, forked(own.cluster, NODE):
            pass
    assert children() == before
