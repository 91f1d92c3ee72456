"""Streams of several nodes, brought together here for one query.

Is:     a node's stream as a database of this process; decisions of several nodes as one database.
Is not: for streams that are large: then the query, or an agent, goes to the data.
Fits:   `yin q --source`, `yin audit --query`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cli.cluster import Cluster
from cli.connect import Missed, connected, each_node, none_reached
from datomstore.value import Keyword, Map

if TYPE_CHECKING:
    from datomstore.database import Database
    from datomstore.streams import Streams
    from protocol.client import Client

DECISIONS = "[:find ?e ?a ?v :where [?e :audit/at-ms _] [?e ?a ?v]]"


def database_of(cluster: Cluster, node: str, name: str) -> Database:
    """Return a stream of a node as it is now, history included. Raises CliError."""
    from cli.commands.stream import records
    from datomstore.record import decode_record

    streams = _streams(name)
    with connected(cluster, node) as client, streams.batch() as batch:
        for t, record in records(client, {"stream": name}):
            instant_ms, rows = decode_record(name, t, record)
            batch.restore(streams.get(name), t, instant_ms, rows)
    return streams.get(name).db()


def decisions_of(cluster: Cluster, nodes: Iterable[str]) -> tuple[Database, Missed]:
    """Return the decisions of the nodes that answer as one database, in which :audit/node says whose each is; and who does not.

    Raises CliError when none does.
    """
    streams = _streams("audit")
    answers, missed = each_node(cluster, _decisions, nodes)
    if missed and not answers:
        raise none_reached(missed)
    for rows in answers.values():
        entities: defaultdict[int, dict[Keyword, Any]] = defaultdict(dict)
        for entity, attribute, value in rows:
            entities[entity][attribute] = value
        streams.get("audit").transact([Map(facts) for facts in entities.values()])
    return streams.get("audit").db(), missed


def _decisions(client: Client) -> Iterable[tuple[Any, Any, Any]]:
    """Return entity, attribute and value of all that a node's audit stream says."""
    body = Map({"query": DECISIONS, "stream": "audit"})
    rows: Iterable[tuple[Any, Any, Any]] = client.request("query", body)["value"]
    return rows


def _streams(name: str) -> Streams:
    from datomstore.storage.memory import MemoryStorage
    from datomstore.streams import Streams

    streams = Streams(MemoryStorage(), now_ms=lambda: time.time_ns() // 1_000_000)
    streams.create(name)
    return streams
