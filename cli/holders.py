"""Which agents rely on tokens of a root.

Is:     asking every node for its agents, and for the tokens of those that have not ended.
Is not: what becomes of them (`yin token renew`).
Fits:   `yin cluster rotate`, after which tokens of the former root hold for a while only.
"""

from __future__ import annotations

from capabilities.keys import PublicKey
from capabilities.tokens import Token
from cli.agent_rows import OVER
from cli.cluster import Cluster
from cli.connect import Missed, each_node
from datomstore.value import Map
from protocol.client import Client, RemoteError


def holders(cluster: Cluster, root: PublicKey) -> tuple[list[str], Missed]:
    """Return the first digits of the ids of agents that hold tokens of a root, and the nodes that were not reached."""

    def relying(client: Client) -> list[str]:
        rows = client.request("agent.list")["value"]
        running = [row["id"] for row in rows if row["state"] not in OVER]
        return [agent.hex()[:12] for agent in running if _relies_on(client, agent, root)]

    answers, missed = each_node(cluster, relying)
    return sorted({name for names in answers.values() for name in names}), missed


def _relies_on(client: Client, agent: bytes, root: PublicKey) -> bool:
    try:
        rows = client.request("agent.tokens", Map({"id": agent.hex()}))["value"]
    except RemoteError:  # it has ended or gone on meanwhile
        return False
    return any(Token.from_bytes(row["token"]).root == root for row in rows)
