"""What it takes to hand a warm agent of 5 KB from one daemon to another, in memory and durably.

Is:     two `yind` processes on loopback and an agent that goes back and forth between them: from its freeze at the source
        to its going on at the target, stage by stage; and many agents at once. Between durable nodes its going on means
        that the source's disk has it as given. When the target's has it, too, is told beside it: that goes with the
        agent's first commit, here with its next hop, and what it does has no effect before.
        In turns with it, on the same disk and over the same TLS: as many bytes written and synced, as many bytes sent
        and echoed.
Is not: a hop whose program is not known at the other side (that is done once), or over a real network.
        Two nodes stand for two hosts, so where one agent travels each has a processor to itself: otherwise the system
        would now and then put both on one, where they would wait for each other. The agent begins when all connections
        are there, so that nobody shakes hands with a node meanwhile.
Fits:   `make bench-migration`; the nodes' own marks (`node.journeys`) are the clock, one for both of them.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.echo import echoing
from bench.report import Report
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.tokens import mint
from cli.cluster import Cluster, add_node, create
from cli.commands.agents import spawn_agent
from cli.connect import connected
from cli.fleet import running, running_pid
from datomstore.value import Keyword, Map
from protocol.client import Client

NODES = ("alpha", "beta")
ROUNDS, HOPS, WARM_UP = 24, 32, 2  # a token takes 62 hops; the first two bring the program
CROWD, CROWD_HOPS = 128, 40
POLL_S = 0.05
BALLAST = 850  # numbers that make the image one of 5 KB
AGENT = """
(let [ballast (vec (map (fn [n] (* n 7919)) (range (:ballast *args*)))) hops (:hops *args*)]
  (loop [i 0]
    (if (= i hops)
      [i (count ballast)]
      (do (hop! (if (= (here) "alpha") "beta" "alpha")) (recur (inc i))))))
"""

Marks = dict[str, int]  # stage -> nanoseconds
STAGES = (
    ("capture", "frozen", "captured"),
    ("pack", "captured", "packed"),
    ("sign", "packed", "signed"),
    ("socket", "signed", "offer"),
    ("verify", "offer", "verified"),
    ("restore", "verified", "restored"),
    ("wait for Go", "restored", "taken"),
    ("go on", "taken", "resumed"),
    ("given durable, beside these", "signed", "given"),
    ("from then to going on", "given", "resumed"),
)


@dataclass
class Journeys:
    """What was measured of many hops of one kind."""

    journeys: list[Marks] = field(default_factory=list)
    image_bytes: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)  # of image and tokens

    def times_ms(self, begin: str, end: str) -> list[float]:
        """Return what there was between two stages, of all hops that have both."""
        return [(m[end] - m[begin]) / 1e6 for m in self.journeys if begin in m and end in m]


def run() -> Report:
    """Measure."""
    report = Report("migration")
    memory = _bouncing(storage="memory")
    durable = _bouncing(storage="lmdb")
    rate, cpu_ms = _crowd()
    size = round(statistics.median(durable.hops.bytes))
    in_memory, on_disk = (
        memory.hops.times_ms("frozen", "resumed"),
        durable.hops.times_ms("frozen", "resumed"),
    )
    tls_ms, sync_ms = (
        statistics.median(memory.tls_ms + durable.tls_ms),
        statistics.median(durable.sync_ms),
    )
    _add_latency(report, "in memory", in_memory, "bare TLS", tls_ms)
    _add_latency(report, "both durable", on_disk, "fdatasync", sync_ms)
    bound = 2 * sync_ms + 0.5
    report.add("both durable, p50", "ms", statistics.median(on_disk), "2 syncs+0.5", bound)
    for name, hops in (("in memory", memory.hops), ("durable", durable.hops)):
        owned = hops.times_ms("frozen", "owned")
        report.add(
            f"{name}: freeze to the target's having it for good, p50",
            "ms",
            statistics.median(owned),
        )
        for stage, begin, end in STAGES:
            times = hops.times_ms(begin, end)
            if times:
                report.add(f"  {stage}, p50", "ms", statistics.median(times))
    report.add("many at once, both durable", "1/s", rate)
    report.add("  processor time of both nodes, each", "ms", cpu_ms)
    image = round(statistics.median(durable.hops.image_bytes))
    report.add("image, p50", "bytes", image)
    report.add("image with tokens, p50", "bytes", size)
    report.summary = {
        "migration_memory_p50_ms": statistics.median(in_memory),
        "migration_p50_ms": statistics.median(on_disk),
        "migration_p99_ms": _percentile(on_disk, 99),
        "fdatasync_p50_ms": sync_ms,
        "bare_tls_p50_ms": tls_ms,
        "migrations_per_s": rate,
        "image_bytes": image,
        "offer_bytes": size,
        "migration_cpu_ms": cpu_ms,
        "memory_owned_p50_ms": statistics.median(memory.hops.times_ms("frozen", "owned")),
        "owned_p50_ms": statistics.median(durable.hops.times_ms("frozen", "owned")),
    }
    return report


def _add_latency(report: Report, name: str, times: list[float], peer: str, theirs: float) -> None:
    report.add(f"{name}: freeze to going on, p50", "ms", statistics.median(times), peer, theirs)
    report.add(f"{name}: least", "ms", min(times))
    report.add(f"{name}: p99 of {len(times)}", "ms", _percentile(times, 99))


def _percentile(values: Iterable[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


# -- one agent, back and forth --


@dataclass
class Bouncing:
    """Hops, and what was measured in turns with them."""

    hops: Journeys = field(default_factory=Journeys)
    sync_ms: list[float] = field(default_factory=list)
    tls_ms: list[float] = field(default_factory=list)


def _bouncing(*, storage: str, rounds: int = ROUNDS) -> Bouncing:
    """Measure hops one after the other between two nodes, in rounds with everything else in between."""
    found = Bouncing()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cluster = _cluster(folder)
        with running(cluster, list(NODES), extra=("--storage", storage)), both(cluster) as clients:
            _separate(cluster)
            size = 0
            for turn in range(rounds):
                agent = _spawn(cluster, NODES[turn % 2], HOPS, paused=True)
                _resume(clients[turn % 2], agent)
                _await_all(clients, {agent})
                _collect(clients, agent, found.hops)
                size = size or round(statistics.median(found.hops.bytes))
                found.sync_ms += _fdatasyncs_ms(folder / "sync", size, HOPS)
                with echoing(size) as echo:
                    found.tls_ms += echo.round_trips_ms(size, HOPS)[WARM_UP:]
    return found


def _separate(cluster: Cluster) -> None:
    """Give each node a processor of its own, if there are as many."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < len(NODES):
        return
    for name, processor in zip(NODES, processors, strict=False):
        for thread in Path(f"/proc/{_pid(cluster, name)}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {processor})


def _pid(cluster: Cluster, name: str) -> int:
    pid = running_pid(cluster.node_folder(name).resolve())
    assert pid is not None, f"{name} runs"
    return pid


def _collect(clients: list[Client], agent: bytes, hops: Journeys) -> None:
    """Add an agent's hops but for the first ones, as both nodes saw them."""
    journeys: defaultdict[int, Marks] = defaultdict(dict)
    for client in clients:
        marks = client.request("node.journeys", Map({"agent": agent}))["value"]
        for _, epoch, stage, at_ns in marks:
            journeys[epoch].setdefault(stage, at_ns)
        for hop in client.request("agent.hops", Map({"id": agent.hex()}))["value"]:
            if hop["epoch"] > WARM_UP:
                hops.image_bytes.append(hop["image_bytes"])
                hops.bytes.append(hop["image_bytes"] + hop["token_bytes"])
    hops.journeys += [marks for epoch, marks in sorted(journeys.items()) if epoch > WARM_UP]


def _fdatasyncs_ms(path: Path, size: int, count: int) -> list[float]:
    data = os.urandom(size)
    times = []
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            started = time.perf_counter()
            file.write(data)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return times


# -- many at once --


def _crowd(*, storage: str = "lmdb") -> tuple[float, float]:
    """Return how many hops a second many agents make together, and the processor time of each in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        cluster = _cluster(Path(name))
        with running(cluster, list(NODES), extra=("--storage", storage)):
            first = _spawn(cluster, "alpha", WARM_UP)
            agents = [
                (number % 2, _spawn(cluster, NODES[number % 2], CROWD_HOPS, paused=True))
                for number in range(CROWD)
            ]
            with both(cluster) as clients:
                _await_all(clients, {first})
                before_s = _cpu_s(cluster)
                for place, agent in agents:
                    _resume(clients[place], agent)
                crowd = {agent for _, agent in agents}
                _await_all(clients, crowd)
                cpu_s = _cpu_s(cluster) - before_s
                began_ns, ended_ns = _span_ns(clients, crowd)
    hops = CROWD * CROWD_HOPS
    return hops / ((ended_ns - began_ns) / 1e9), cpu_s / hops * 1000


def _span_ns(clients: list[Client], agents: set[bytes]) -> tuple[int, int]:
    """Return when the first of the agents left, and when the last one had arrived."""
    frozen: list[int] = []
    others: list[int] = []
    for client in clients:
        for agent, _, stage, at_ns in client.request("node.journeys")["value"]:
            if agent in agents:
                (frozen if stage == "frozen" else others).append(at_ns)
    return min(frozen), max(others)


def _cpu_s(cluster: Cluster) -> float:
    ticks = 0
    for name in NODES:
        fields = Path(f"/proc/{_pid(cluster, name)}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# -- nodes and agents --


def _cluster(folder: Path) -> Cluster:
    cluster = create(folder, name="bench", now_s=time.time_ns() // 10**9)
    for name in NODES:
        add_node(cluster, name, listen="127.0.0.1:0")
    return cluster


@contextmanager
def both(cluster: Cluster) -> Iterator[list[Client]]:
    """Yield a connection to each node."""
    with ExitStack() as stack:
        yield [stack.enter_context(connected(cluster, name)) for name in NODES]


def _await_all(clients: list[Client], agents: set[bytes]) -> None:
    """Wait until agents have ended; asks seldom, since the nodes have other things to do."""
    left = set(agents)
    while left:
        time.sleep(POLL_S)
        for client in clients:
            for row in client.request("agent.list")["value"]:
                assert row["id"] not in left or row["state"] not in (
                    "failed",
                    "killed",
                    "paused",
                ), row
                if row["state"] == "done":
                    left.discard(row["id"])


def _resume(client: Client, agent: bytes) -> None:
    client.request("agent.resume", Map({"id": agent.hex()}))


def _spawn(cluster: Cluster, node: str, hops: int, *, paused: bool = False) -> bytes:
    secret = PrivateKey.generate()
    caveats = Caveats(exp=time.time_ns() // 10**9 + 600, rights=(Rights(Verb.MIGRATE, "*"),))
    token = mint(cluster.root_key, secret.public, caveats).with_secret(secret)
    arguments = Map({Keyword("ballast"): BALLAST, Keyword("hops"): hops})
    return spawn_agent(
        cluster,
        node,
        AGENT,
        "bounce.clj",
        tokens=[token],
        arguments=arguments,
        name="bounce",
        paused=paused,
    )
