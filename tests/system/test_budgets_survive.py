"""Budgets of agents that travel between daemons which are killed with -9: what was granted is spent, all of it, once.

The oracle counts effects: every row that an agent pays for is a fact that stays.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capabilities.caveats import Caveats, Resource, Rights
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from cli.commands.agents import await_agent, spawn_agent
from cli.connect import connected
from cli.fleet import start_node, stop_node
from datomstore.value import Keyword, Map
from yind.clock import System

NODES = ("alpha", "beta", "gamma")
NOW_S = System().now_ms() // 1000
KILLS, AGENTS, SHARE = 8, 3, 20
WALK = """
(loop [at ["beta" "gamma" "alpha"] i 0]
  (transact! "spent" [{:spent/by (str (:me *args*) "/" i)}])
  (try (hop! (first at)) (catch Exception e nil))
  (recur (conj (subvec at 1) (first at)) (inc i)))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = create(tmp_path / "cluster", name="test", now_s=NOW_S)
    for name in NODES:
        add_node(made, name, listen="127.0.0.1:0")
    yield made
    for name in NODES:
        stop_node(made.node_folder(name))


def begin(cluster: Cluster) -> list[bytes]:
    """Start agents that share one budget, each with its part."""
    purse = Caveats(
        exp=NOW_S + 3600,
        rights=(Rights(ALL_VERBS, "**"),),
        budget={Resource.ROWS: AGENTS * SHARE},
        account=cluster.node("alpha").key,
    )
    token = mint(cluster.root_key, cluster.operator_key.public, purse)
    share = Caveats(budget={Resource.ROWS: SHARE})
    agents = []
    for number in range(AGENTS):
        name = f"walker-{number}"
        arguments = Map({Keyword("me"): name})
        agents.append(
            spawn_agent(
                cluster,
                "alpha",
                WALK,
                "walk.clj",
                tokens=[token],
                arguments=arguments,
                name=name,
                share=share,
            )
        )
    return agents


def spent(cluster: Cluster, *, but: str = "") -> list[str]:
    """Return what the nodes say was done, all of them or all but one."""
    done: list[str] = []
    body = Map({"stream": "spent", "query": "[:find [?by ...] :where [_ :spent/by ?by]]"})
    for name in NODES:
        if name != but:
            with connected(cluster, name) as client:
                streams = {row["name"] for row in client.request("stream.list", Map())["value"]}
                if f"{name}/spent" in streams:
                    done += client.request("query", body)["value"]
    return done


@pytest.mark.timeout(170)
def test_what_was_granted_is_spent_once_whoever_is_killed_when(cluster: Cluster) -> None:
    chance = random.Random(7)
    for name in NODES:
        start_node(cluster, name)
    agents = begin(cluster)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.4))  # the moment is the point
        name = chance.choice(NODES)
        stop_node(cluster.node_folder(name), signal_number=signal.SIGKILL)
        assert len(spent(cluster, but=name)) <= AGENTS * SHARE
        start_node(cluster, name)
    rows = [await_agent(cluster, "alpha", agent, follow=False)[1] for agent in agents]
    reasons = [row["reason"] for row in rows]
    assert [row["state"] for row in rows] == ["paused"] * AGENTS, reasons
    assert all(" left" in reason for reason in reasons), reasons
    done = spent(cluster)
    assert len(done) == len(set(done)), "something was done twice"
    assert len(done) == AGENTS * SHARE
