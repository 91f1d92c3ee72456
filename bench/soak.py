"""Many agents travel between three daemons that are killed all the time; then everything is counted.

Is:     a count of hops, of kills, of what was lost and of what was done twice. Both must be nothing.
Is not: a benchmark of speed; how long it takes depends on the kills.
Fits:   `python -m bench soak [MIGRATIONS]` and `make soak`; exits non-zero if anything was lost or doubled.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.report import Report
from capabilities.caveats import Caveats, Rights
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from cli.commands.agents import spawn_agent
from cli.connect import connected
from cli.errors import CliError
from cli.fleet import running, start_node, stop_node
from datomstore.value import Keyword, Map

NODES = ("alpha", "beta", "gamma")
MIGRATIONS = 2_000
STEPS_EACH = 50  # a token has at most 64 blocks, and every hop adds one
AGENT = """
(def me (:me *args*))
(def steps (:steps *args*))
(defn travel [to]
  (when-not (try (hop! to) (catch Exception e nil))
    (sleep 50)
    (recur to)))
(loop [i 0]
  (if (= i steps)
    i
    (do (transact! "steps" [{:step/agent me :step/number i}])
        (travel (rand-nth (vec (remove #(= % (here)) (nodes)))))
        (recur (inc i)))))
"""
STEPS = "[:find ?e ?agent ?number :where [?e :step/agent ?agent] [?e :step/number ?number]]"


def run(migrations: int = MIGRATIONS, seed: int = 1) -> Report:
    """Return the counts. Raises SystemExit if an agent or a step was lost or doubled."""
    chance = random.Random(seed)
    count, steps = -(-migrations // STEPS_EACH), STEPS_EACH
    report = Report("soak")
    with tempfile.TemporaryDirectory() as folder:
        cluster = create(Path(folder), name="soak", now_s=time.time_ns() // 10**9)
        for name in NODES:
            add_node(cluster, name, listen="127.0.0.1:0")
        with running(cluster, list(NODES)):
            started = time.perf_counter()
            agents = [_spawn(cluster, number, steps) for number in range(count)]
            kills = _kill_until_done(cluster, chance)
            elapsed_s = time.perf_counter() - started
            states, counted = _count(cluster, agents)
    wanted = Counter((f"agent-{a}", n) for a in range(count) for n in range(steps))
    lost, doubled = wanted - counted, counted - wanted
    report.add("migrations", "", count * steps)
    report.add("kills -9", "", kills)
    report.add("seconds", "s", elapsed_s)
    report.add("agents that ended well", "", states["done"])
    report.add("steps lost", "", sum(lost.values()))
    report.add("steps done twice", "", sum(doubled.values()))
    if lost or doubled or states != {"done": count}:
        report.show()
        sys.exit(f"soak: {dict(states)}, lost {dict(lost)}, doubled {dict(doubled)}")
    return report


def _spawn(cluster: Cluster, number: int, steps: int) -> bytes:
    caveats = Caveats(exp=time.time_ns() // 10**9 + 7200, rights=(Rights(ALL_VERBS, "**"),))
    token = mint(cluster.root_key, cluster.operator_key.public, caveats)
    arguments = Map({Keyword("me"): f"agent-{number}", Keyword("steps"): steps})
    return spawn_agent(
        cluster,
        NODES[number % 3],
        AGENT,
        "soak.clj",
        tokens=[token],
        arguments=arguments,
        name=f"agent-{number}",
    )


def _kill_until_done(cluster: Cluster, chance: random.Random) -> int:
    kills = 0
    while _states(cluster).keys() - {"done", "failed", "paused"}:
        time.sleep(chance.uniform(0, 0.4))
        victim = chance.choice(NODES)
        stop_node(cluster.node_folder(victim), signal_number=signal.SIGKILL)
        start_node(cluster, victim)
        kills += 1
    return kills


def _states(cluster: Cluster) -> Counter[str]:
    """Return how many agents are in each state, tombstones aside."""
    states: Counter[str] = Counter()
    for name in NODES:
        with contextlib.suppress(CliError), connected(cluster, name) as client:
            rows = client.request("agent.list")["value"]
            states.update(row["state"] for row in rows if row["state"] != "moved")
    return states


def _count(cluster: Cluster, agents: list[bytes]) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    counted: Counter[tuple[str, int]] = Counter()
    for name in NODES:
        with connected(cluster, name) as client:
            answer = client.request("query", Map({"stream": "steps", "query": STEPS}))["value"]
        counted.update((agent, number) for _, agent, number in answer)
    return _states(cluster), counted
