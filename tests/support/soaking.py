"""Agents that travel among real daemons while these are killed, parted and cut off; then everything is counted.

Is:     journeys, faults by a seed, and an oracle: every agent ended once, with the right result, each of its effects is at
        the node where the agent says it made it, once, and so is each of its arrivals in the audit streams.
Is not: a benchmark of speed; how long it takes depends on the faults.
Fits:   `make soak` has 10,000 hops (`python -m soaking --help`); the tests have some hundred.

The seed fixes which faults come in which order, and the pauses between them. When they meet the agents is up to the
machine, so a seed that found something finds it again often, not always.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daemons import Daemons, daemons
from proxies import Network, Pair, network

from capabilities.caveats import Caveats, Resource, Rights
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create, free_port
from cli.commands.agents import spawn_agent
from cli.connect import connected
from cli.errors import CliError
from datomstore.value import Keyword, Map

NODES = ("alpha", "beta", "gamma")
STEPS_EACH = 50  # a token has at most 64 blocks, and every hop adds one
STUCK_S = 90.0  # without anything new, when nothing goes wrong any more
WAVE = 12  # agents that begin together; the next do when half of them have ended
ROWS_OF_A_STEP = (
    2  # attributes with values; budgets are just enough, so that none may be lost on the way
)
LOOK_S = 1.0  # how often it is asked how far the agents are
ENDED = frozenset({"done", "failed", "killed", "paused"})
AGENT = """
(def me (:me *args*))
(def steps (:steps *args*))
(defn travel [to]  ; a node that cannot be reached is an error that a program may catch
  (when-not (try (hop! to) (catch Exception e nil))
    (sleep 50)
    (recur (rand-nth (vec (remove #(= % (here)) (nodes)))))))
(loop [i 0 trail []]
  (if (= i steps)
    trail
    (let [place (here)]
      (transact! "steps" [{:step/agent me :step/number i}])
      (travel (rand-nth (vec (remove #(= % (here)) (nodes)))))
      (recur (inc i) (conj trail place)))))
"""
STEPS = "[:find ?e ?agent ?number :where [?e :step/agent ?agent] [?e :step/number ?number]]"
ARRIVALS = """[:find ?e ?who ?epoch :where [?e :audit/verb :arrive] [?e :audit/allowed true] [?e :audit/who ?who]
                                        [?e :audit/epoch ?epoch]]"""
Step = tuple[str, int, str]  # agent, number, node
Arrival = tuple[str, int]  # agent, epoch


@dataclass
class Outcome:
    """What was counted."""

    migrations: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    lost: Counter[Step] = field(default_factory=Counter)
    doubled: Counter[Step] = field(default_factory=Counter)
    noted: Counter[Arrival] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # agents that are not as they should be, and why

    @property
    def good(self) -> bool:
        """Return whether nothing was lost, doubled or wrong."""
        return not (self.lost or self.doubled or self.wrong)

    def lines(self) -> Iterator[str]:
        """Yield what there is to say."""
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        yield f"{self.migrations:,} migrations in {self.seconds:.0f} s"
        yield f"faults: {faults}"
        yield f"agents: {', '.join(f'{count} {state}' for state, count in self.states.items())}"
        yield f"effects lost: {sum(self.lost.values())}, done twice: {sum(self.doubled.values())}"
        yield f"arrivals in the audit streams: {sum(self.noted.values()):,}"
        yield from self.wrong


class Storm:
    """What goes wrong, one thing after the other, by a seed."""

    def __init__(self, chance: random.Random, nodes: Daemons, net: Network) -> None:
        self.counts: Counter[str] = Counter()
        self._chance = chance
        self._nodes = nodes
        self._net = net
        self._kinds = {
            "kill": (8, self._kill),
            "two killed": (1, self._kill_two),
            "cut": (6, self._cut),
            "cut within a frame": (6, self._cut_within),
            "parted": (4, self._part),
            "late": (3, self._delay),
            "half open": (1, self._cut_half),
            "repeated": (2, self._repeat),
        }

    def strike(self) -> None:
        """Let the next thing go wrong, and be right again."""
        names = list(self._kinds)
        (kind,) = self._chance.choices(names, [self._kinds[name][0] for name in names])
        self.counts[kind] += 1
        self._kinds[kind][1]()
        time.sleep(self._chance.uniform(0, 0.15))

    def _pair(self) -> Pair:
        return frozenset(self._chance.sample(NODES, 2))

    def _kill(self) -> None:
        victim = self._chance.choice(NODES)
        self._nodes.kill(victim)
        time.sleep(self._chance.choice([0.0, 0.2]))
        self._nodes.start(victim)

    def _kill_two(self) -> None:
        victims = self._chance.sample(NODES, 2)
        for victim in victims:
            self._nodes.kill(victim)
        for victim in victims:
            self._nodes.start(victim)

    def _cut(self) -> None:
        pair = self._pair()
        self._net.do(lambda: self._net.cut(pair))

    def _cut_within(self) -> None:
        pair = self._pair()
        self._net.do(lambda: self._net.cut(pair, within=True))

    def _part(self) -> None:
        pair = self._pair()
        self._net.do(lambda: self._net.part(pair))
        time.sleep(self._chance.uniform(0.1, 1.0))
        self._net.do(lambda: self._net.join(pair))

    def _delay(self) -> None:
        pair, seconds = self._pair(), self._chance.uniform(0.001, 0.05)
        self._net.do(lambda: self._net.delay(pair, seconds))
        time.sleep(self._chance.uniform(0.1, 0.5))
        self._net.do(lambda: self._net.delay(pair, 0.0))

    def _cut_half(self) -> None:
        pair = self._pair()
        self._net.do(lambda: self._net.cut_half(pair))

    def _repeat(self) -> None:
        pair = self._pair()
        self._net.do(lambda: self._net.repeat(pair))


class Soak:
    """One run."""

    def __init__(self, cluster: Cluster, nodes: Daemons, net: Network, seed: int) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._chance = random.Random(seed)
        self._storm = Storm(self._chance, nodes, net)
        self.outcome = Outcome()

    def run(self, agents: int, steps: int) -> Outcome:
        """Let agents travel in a storm until all have ended, and count."""
        for name in NODES:
            self._nodes.start(name)
        began = time.monotonic()
        names: dict[bytes, str] = {}
        while len(names) < agents:
            for _ in range(min(WAVE, agents - len(names))):
                names[self._spawn(len(names), steps)] = f"agent-{len(names)}"
            self._until_all_ended(len(names), but=0 if len(names) == agents else WAVE // 2)
        self.outcome.seconds = time.monotonic() - began
        self.outcome.faults = self._storm.counts
        self._until_all_have_heard()
        self._count(names, steps)
        return self.outcome

    def _spawn(self, number: int, steps: int) -> bytes:
        name = f"agent-{number}"
        now_s = time.time_ns() // 10**9
        budget = {Resource.ROWS: ROWS_OF_A_STEP * steps, Resource.HOPS: steps}
        caveats = Caveats(exp=now_s + 7200, rights=(Rights(ALL_VERBS, "**"),), budget=budget)
        token = mint(self._cluster.root_key, self._cluster.operator_key.public, caveats)
        return spawn_agent(
            self._cluster,
            NODES[number % len(NODES)],
            AGENT,
            "soak.clj",
            tokens=[token],
            arguments=Map({Keyword("me"): name, Keyword("steps"): steps}),
            name=name,
        )

    def _until_all_ended(self, count: int, *, but: int) -> None:
        """Let things go wrong while more than so many agents travel; leave them in peace if nothing new happens for long."""
        progress, since, looked = (-1, -1), time.monotonic(), 0.0
        while time.monotonic() - since < STUCK_S:
            if time.monotonic() - looked > LOOK_S:
                rows, looked = self._rows(), time.monotonic()
                ended = sum(row["state"] in ENDED for row in rows.values())
                if ended >= count - but:
                    return
                now = ended, sum(row["epoch"] for row in rows.values())
                if now != progress:
                    progress, since = now, time.monotonic()
            if time.monotonic() - since < STUCK_S / 3:
                self._storm.strike()
            else:
                time.sleep(LOOK_S)

    def _until_all_have_heard(self) -> None:
        """Let nothing go wrong until whom an agent has left knows that it has arrived; it may have ended since."""
        for name in NODES:
            with connected(self._cluster, name) as client:
                for row in client.request("agent.list")["value"]:
                    if row["state"] == "waiting":
                        body = Map({"id": row["id"].hex(), "timeout_ms": int(STUCK_S * 1000)})
                        client.request("agent.wait", body, timeout_s=None)

    def _rows(self) -> dict[bytes, Map]:
        """Return what the nodes say of each agent, tombstones aside; the highest epoch counts."""
        found: dict[bytes, Map] = {}
        for row in self._all_rows():
            if row["id"] not in found or row["epoch"] > found[row["id"]]["epoch"]:
                found[row["id"]] = row
        return found

    def _all_rows(self) -> Iterator[Map]:
        for name in NODES:
            with contextlib.suppress(CliError), connected(self._cluster, name) as client:
                rows = client.request("agent.list")["value"]
                yield from (row for row in rows if row["state"] != "moved")

    # -- the oracle --

    def _count(self, names: dict[bytes, str], steps: int) -> None:
        outcome = self.outcome
        wanted: Counter[Step] = Counter()
        alive = Counter(row["id"] for row in self._all_rows())
        for agent, row in self._rows().items():
            trail = re.findall(r'"(\w+)"', row["result"] or "")
            outcome.states[row["state"]] += 1
            outcome.migrations += row["hops"]
            wanted.update((names[agent], number, place) for number, place in enumerate(trail))
            if row["state"] != "done" or len(trail) != steps or alive[agent] != 1:
                outcome.wrong.append(f"{_said(names[agent], row)}, at {alive[agent]} nodes")
        known = self._rows().keys()
        outcome.wrong += [
            f"{name} is nowhere" for agent, name in names.items() if agent not in known
        ]
        done = self._done()
        outcome.lost, outcome.doubled = wanted - done, done - wanted
        outcome.noted = self._noted()
        made = Counter(
            (agent.hex()[:12], epoch)
            for agent, row in self._rows().items()
            for epoch in range(1, row["epoch"] + 1)
        )
        for what, arrivals in ("not noted", made - outcome.noted), ("noted", outcome.noted - made):
            outcome.wrong += [
                f"arrival {what}: agent {who}, epoch {epoch}" for who, epoch in arrivals
            ]

    def _noted(self) -> Counter[Arrival]:
        noted: Counter[Arrival] = Counter()
        for place in NODES:
            with connected(self._cluster, place) as client:
                body = Map({"stream": "audit", "query": ARRIVALS})
                noted.update((who, at) for _, who, at in client.request("query", body)["value"])
        return noted

    def _done(self) -> Counter[Step]:
        done: Counter[Step] = Counter()
        for place in NODES:
            with connected(self._cluster, place) as client:
                answer = client.request("query", Map({"stream": "steps", "query": STEPS}))["value"]
            done.update((agent, number, place) for _, agent, number in answer)
        return done


def _said(name: str, row: Map) -> str:
    return f"{name}: {row['state']} ({row['reason'] or row['fault']}), {row['hops']} hops"


@contextlib.contextmanager
def soak(folder: Path, seed: int) -> Iterator[Soak]:
    """Yield a run in a folder: a cluster whose nodes reach each other through proxies."""
    cluster = create(folder / "cluster", name="soak", now_s=time.time_ns() // 10**9)
    proxied: dict[int, tuple[str, int]] = {}
    for name in NODES:
        add_node(cluster, name, listen="127.0.0.1:0")
        seen = int(cluster.node(name).addresses[0].rpartition(":")[2])
        proxied[seen] = name, _moved(cluster.node_folder(name) / "yind.toml", seen)
    with daemons(cluster) as nodes, network(proxied, nodes.pids.get) as net:
        yield Soak(cluster, nodes, net, seed)


def _moved(path: Path, port: int) -> int:
    """Let a node listen elsewhere than others are told; return where."""
    real = free_port("127.0.0.1")
    path.write_text(path.read_text().replace(f"127.0.0.1:{port}", f"127.0.0.1:{real}"))
    return real


def main() -> None:
    """Run with the sizes of the command line, and say what was counted."""
    parser = argparse.ArgumentParser(prog="soaking")
    parser.add_argument("--migrations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--keep", type=Path, help="a new folder for the cluster, to look at afterwards"
    )
    options = parser.parse_args()
    seed = int.from_bytes(os.urandom(4)) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, soak(options.keep or Path(folder), seed) as run:
        outcome = run.run(-(-options.migrations // STEPS_EACH), STEPS_EACH)
    print("\n".join(outcome.lines()))
    sys.exit(0 if outcome.good else f"soak: not everything exactly once; seed {seed}")


if __name__ == "__main__":
    main()
