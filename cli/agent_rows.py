"""Agents of all nodes as rows, those included that went to a node which does not answer.

Is:     which summary of an agent counts, when several nodes have one.
Is not: asking the nodes (`cli.connect`) or printing (`cli.output`).
Fits:   `yin ps`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

Row = dict[str, Any]

ENDED = ("done", "failed", "killed")
OVER = (*ENDED, "moved")  # of an agent that a node does not run any more
UNREACHABLE = "unreachable"
# ORDER: agent states. What `yind.agent` has, and what is said here of agents that nobody can ask.
STATES = ("ready", "waiting", "paused", "done", "failed", "killed", "moved", UNREACHABLE)


def rows_of(answers: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[Row]:
    """Return the summaries that nodes gave, each with its node."""
    return [
        {**dict(row.items()), "node": name, "id": row["id"].hex()}
        for name, rows in answers.items()
        for row in rows
    ]


def out_of_reach(rows: Iterable[Row], missed: Container[str]) -> list[Row]:
    """Return a row for each agent whose last trace leads to a node that was not reached.

    Args:
        rows: summaries of the nodes that answered; those of state `moved` say where to.
        missed: names of the nodes that did not.
    """
    newest: dict[str, Row] = {}
    for row in rows:
        known = newest.setdefault(row["id"], row)
        if (row["epoch"], row["state"] != "moved") > (known["epoch"], known["state"] != "moved"):
            newest[row["id"]] = row
    return [
        {
            **row,
            "node": row["moved_to"],
            "state": UNREACHABLE,
            "reason": f"{row['moved_to']} does not answer; {row['node']} knows that it went there",
        }
        for row in newest.values()
        if row["state"] == "moved" and row["moved_to"] in missed
    ]
