"""A hand-off between two real daemons, with the power of either cut at every moment that is worth one.

What a node has not flushed is lost with its power (`tests/support/powerloss.c`); kill -9 alone would leave it. The
moments are those before and after each flush and each message. What counts are the agent's effects at both nodes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import NO_FLUSH, Daemons, daemons

from capabilities.caveats import Caveats, Rights
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from cli.commands.agents import spawn_agent
from cli.connect import connected
from cli.errors import CliError, Exit
from datomstore.value import Keyword, Map
from yind.clock import System

# A node that dies before TLS has begun leaves a socket that `ssl` has taken over, and closes only when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

NOW_S = System().now_ms() // 1000
NODES = ("alpha", "beta")
WAIT_S = 20.0  # for an agent to come to its end; a source asks again every half second
POLL_MS = 100
SOAK = os.environ.get("YIN_SOAK") == "1"
STRIDE = 1 if SOAK else 3  # moments from one cut to the next
MOMENTS_MIN = 12  # of a hand-off, at either node
ENDED = ("done", "failed", "paused", "killed")
AGENT = """
(def me (:me *args*))
(transact! "steps" [{:step/agent me :step/at (here)}])
(try (hop! "beta") (catch Exception e nil))
(transact! "steps" [{:step/agent me :step/at (str "then " (here))}])
(here)
"""
APPENDS = '[:find (count ?e) . :where [?e :audit/effect "transact!"] [?e :audit/allowed true]]'
STEPS = "[:find ?e ?agent ?at :where [?e :step/agent ?agent] [?e :step/at ?at]]"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    made = create(tmp_path / "cluster", name="test", now_s=NOW_S)
    for name in NODES:
        add_node(made, name, listen="127.0.0.1:0")
    return made


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Daemons]:
    with daemons(cluster, power=True) as made:
        yield made


def spawn(cluster: Cluster, name: str) -> bytes:
    """Start an agent; what it was called is how its effects are told from others'."""
    caveats = Caveats(exp=NOW_S + 3600, rights=(Rights(ALL_VERBS, "**"),))
    return spawn_agent(
        cluster,
        "alpha",
        AGENT,
        "test.clj",
        tokens=[mint(cluster.root_key, cluster.operator_key.public, caveats)],
        arguments=Map({Keyword("me"): name}),
        name=name,
    )


def ended(daemons: Daemons, agent: bytes, victim: str) -> str | None:
    """Return the result of an agent wherever it ended; None if a node has lost it, or the victim is dead."""
    deadline = time.monotonic() + WAIT_S
    node, body = NODES[0], Map({"id": agent.hex(), "timeout_ms": POLL_MS})
    while time.monotonic() < deadline and not daemons.is_dead(victim):
        try:
            with connected(daemons.cluster, node) as client:
                row = client.request("agent.wait", body, timeout_s=None)
        except CliError as error:
            if error.exit_code is Exit.NOT_FOUND:
                return None
            continue  # the victim is dying
        if row["state"] in ENDED:
            return str(row["result"])
        if row["state"] == "moved":
            node = row["moved_to"]
    return None


def counted(cluster: Cluster) -> Counter[tuple[str, str]]:
    """Return how often each agent has done what, at both nodes together."""
    found: Counter[tuple[str, str]] = Counter()
    for node in NODES:
        try:
            with connected(cluster, node) as client:
                answer = client.request("query", Map({"stream": "steps", "query": STEPS}))["value"]
        except CliError:
            continue  # nothing was written there
        found.update((agent, at) for _, agent, at in answer)
    return found


def decided(cluster: Cluster) -> int:
    """Return how many appends of agents were allowed, at both nodes together."""
    total = 0
    for node in NODES:
        with connected(cluster, node) as client:
            answer = client.request("query", Map({"stream": "audit", "query": APPENDS}))["value"]
            total += answer or 0
    return total


class Cut:
    """One agent, and one node whose power is cut on the agent's way."""

    def __init__(self, daemons: Daemons, victim: str, moments: int, *, power: bool) -> None:
        self._daemons = daemons
        self._cluster = daemons.cluster
        self._victim = victim
        self._power = power
        self.name = f"{victim} {moments}"
        self.agent: bytes | None = None
        self.result: str | None = None
        daemons.cut_power_after(victim, moments)
        try:
            self.agent = spawn(self._cluster, self.name)
            self.result = ended(daemons, self.agent, victim)
        except CliError:
            pass  # the node it was asked of is dead
        self.at = daemons.cut_at(victim)
        if self.at:
            self._restart()

    def _restart(self) -> None:
        (self._daemons.lose_power if self._power else self._daemons.kill)(self._victim)
        self._daemons.start(self._victim)
        if self.agent is not None:
            self.result = ended(self._daemons, self.agent, self._victim)

    def wrong(self, found: Counter[tuple[str, str]]) -> str:
        """Return what is wrong with what the agent has done, or ""."""
        done = {at: count for (agent, at), count in found.items() if agent == self.name}
        doubled = [at for at, count in done.items() if count > 1]
        if doubled or len(done) > 2:
            return f"{self.name}, {self.at}: doubled: {done}"
        if self.agent is not None and (self.result is None or len(done) < 2):
            return f"{self.name}, {self.at}: lost: {done}, {self.result}"
        return ""


def every_moment(
    daemons: Daemons, victim: str, *, power: bool = True, stride: int = 1
) -> Iterator[Cut]:
    """Yield what came of cutting a node's power at each moment of a hand-off."""
    for moments in itertools.count(1, stride):
        cut = Cut(daemons, victim, moments, power=power)
        if not cut.at:
            return
        yield cut


@pytest.mark.parametrize("victim", NODES)
@pytest.mark.timeout(300)
def test_a_hand_off_survives_a_loss_of_power_at_every_moment(running: Daemons, victim: str) -> None:
    for name in NODES:
        running.start(name)
    cuts = list(every_moment(running, victim, stride=STRIDE))
    found = counted(running.cluster)
    assert [wrong for cut in cuts if (wrong := cut.wrong(found))] == []
    assert found.total() == decided(running.cluster), (
        "no append without its decision, none the other way round"
    )
    kinds = {f"{when} a {what}" for when in ("before", "after") for what in ("flush", "message")}
    assert {cut.at for cut in cuts} <= kinds
    assert len(cuts) >= MOMENTS_MIN / STRIDE


# -- mistakes that the loss of power must find --


def first_wrong(daemons: Daemons, victim: str, flaw: str, *, power: bool, most: int = 60) -> str:
    """Return the first thing that goes wrong at nodes with a mistake in them, or ""."""
    daemons.flaw = flaw
    for name in NODES:
        daemons.start(name)
    for cut in itertools.islice(every_moment(daemons, victim, power=power), most):
        wrong = cut.wrong(counted(daemons.cluster))
        if wrong:
            return wrong
    return ""


@pytest.mark.parametrize(
    ("flaw", "victim"),
    [
        (NO_FLUSH, "beta"),
        (NO_FLUSH, "alpha"),
        ("own sent before it is durable", "beta"),
    ],
)
def test_a_mistake_put_in_is_found_by_a_loss_of_power(
    running: Daemons, flaw: str, victim: str
) -> None:
    assert "lost" in first_wrong(running, victim, flaw, power=True)


def test_kill_alone_does_not_see_that_nothing_is_flushed(running: Daemons) -> None:
    assert first_wrong(running, "beta", NO_FLUSH, power=False, most=4) == ""
