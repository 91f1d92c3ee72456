"""Whether a node's audit stream goes on from what was seen of it.

Is:     the chain of hashes over a log, computed here from its records; and the last root seen of each node.
Is not: a proof that the node wrote down everything: it shows that nothing was changed afterwards.
Fits:   `yin audit verify`; the chain is that of every stream (`datomstore.roots`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cli.cluster import Cluster
from cli.commands.stream import records
from cli.connect import Missed, connected, none_reached
from cli.errors import NotReached

FILE = "audit-roots.json"


class Roots:
    """The last roots seen, by node, in a cluster's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._missed: Missed = {}
        self._seen: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._seen = json.loads(self._path.read_text())

    def checked(self, cluster: Cluster, node: str) -> dict[str, object]:
        """Return what a node's audit stream is now, and whether it contains what was seen.

        A node that is not reached has neither. Raises CliError.
        """
        from datomstore.roots import EMPTY_ROOT, digest, next_root

        seen = self._seen.get(node)
        seen_t = 0 if seen is None else seen["t"]
        t, root, at_seen = 0, EMPTY_ROOT, EMPTY_ROOT
        try:
            with connected(cluster, node) as client:
                for t, record in records(client, {"stream": "audit"}):
                    root = next_root(root, digest(record))
                    if t == seen_t:
                        at_seen = root
        except NotReached as error:
            self._missed[node] = error
            verdict = f"not reached: {error.state}"
            return {"node": node, "t": "-", "root": "-", "seen_t": seen_t, "verdict": verdict}
        verdict = "first seen"
        if seen is not None:
            verdict = "goes on" if t >= seen_t and at_seen.hex() == seen["root"] else "changed"
        return {"node": node, "t": t, "root": root.hex(), "seen_t": seen_t, "verdict": verdict}

    def keep(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Remember what was seen. Raises CliError if a node was not reached: its stream is not checked."""
        self._seen |= {
            str(row["node"]): {"t": row["t"], "root": row["root"]}
            for row in rows
            if row["node"] not in self._missed  # of those what was seen before counts
        }
        self._path.write_text(json.dumps(self._seen, indent=1) + "\n")
        if self._missed:
            raise none_reached(self._missed)
