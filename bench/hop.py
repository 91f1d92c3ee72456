"""A hop between two daemons on loopback, both sides durable.

Is:     an agent that goes back and forth between two nodes; the source's own clock from frozen image to the
        target's durable acceptance. Beside it a bare fdatasync of the same number of bytes.
Is not: throughput.
Fits:   `python -m bench hop`; uses the command line's own parts to start the nodes.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import Report
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.tokens import mint
from cli.cluster import add_node, create
from cli.commands.agents import await_agent, spawn_agent
from cli.connect import connected
from cli.fleet import running
from datomstore.value import Map

HOPS = 20
AGENT = f"""(loop [i 0]
  (if (< i {HOPS})
    (do (hop! (if (= (here) "alpha") "beta" "alpha")) (recur (inc i)))
    i))"""


def run() -> Report:
    """Return the table of the hop."""
    report = Report("hop")
    with tempfile.TemporaryDirectory() as folder:
        now_s = time.time_ns() // 10**9
        cluster = create(Path(folder), name="bench", now_s=now_s)
        for name in ("alpha", "beta"):
            add_node(cluster, name, listen="127.0.0.1:0")
        with running(cluster, ["alpha", "beta"]):
            secret = PrivateKey.generate()
            rights = (Rights(Verb.MIGRATE, "*"),)
            token = mint(cluster.root_key, secret.public, Caveats(exp=now_s + 600, rights=rights))
            agent = spawn_agent(
                cluster,
                "alpha",
                AGENT,
                "hop.clj",
                tokens=[token.with_secret(secret)],
                arguments=Map({}),
                name="hop",
            )
            _, row = await_agent(cluster, "alpha", agent, follow=False)
            assert row["state"] == "done", row
            times: list[float] = []
            sizes: list[int] = []
            for name in ("alpha", "beta"):
                with connected(cluster, name) as client:
                    for hop in client.request("agent.hops", Map({"id": agent.hex()}))["value"]:
                        times.append(hop["elapsed_us"] / 1000)
                        sizes.append(hop["image_bytes"] + hop["token_bytes"])
        sync_ms = _fdatasync_ms(Path(folder) / "sync", max(sizes))
    report.add("hop, both sides durable, p50", "ms", statistics.median(times), "fdatasync", sync_ms)
    report.add("hop, slowest", "ms", max(times))
    report.add("bytes of image and tokens, p50", "bytes", statistics.median(sizes))
    return report


def _fdatasync_ms(path: Path, size: int) -> float:
    data = os.urandom(size)
    times = []
    with path.open("wb") as file:
        for _ in range(100):
            started = time.perf_counter()
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
