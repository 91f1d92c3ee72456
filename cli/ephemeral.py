"""A cluster of one node that lives as long as a command.

Is:     a temporary folder, a daemon that keeps its data in memory, and a token for everything on it.
Is not: a machine inside the command.
Fits:   `yin run`, and `yin repl` without a node.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from capabilities.caveats import Caveats, Rights
from capabilities.tokens import Token, mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from cli.fleet import forked

NODE = "local"
DAY_S = 24 * 3600


class Ephemeral(NamedTuple):
    """The cluster, and a token for everything on its node."""

    cluster: Cluster
    token: Token


@contextlib.contextmanager
def ephemeral_node(*, memory_max: int, mode: str = "compiled") -> Iterator[Ephemeral]:
    """Run a node called `local` for the time of a block. `memory_max`: bytes that an agent may use."""
    with tempfile.TemporaryDirectory(prefix="yin-run-") as folder:
        cluster = create(Path(folder), name="run", now_s=time.time_ns() // 10**9)
        add_node(cluster, NODE, listen="127.0.0.1:0")
        settings = ("--memory-max", str(memory_max), "--storage", "memory", "--mode", mode)
        with forked(cluster, NODE, extra=settings):
            exp = time.time_ns() // 10**9 + DAY_S
            rights = Caveats(exp=exp, rights=(Rights(ALL_VERBS, "**"),))
            token = mint(cluster.root_key, cluster.operator_key.public, rights)
            yield Ephemeral(cluster, token)
