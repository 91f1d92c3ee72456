"""`yin audit`: what was decided, who asked, and why not.

Is:     a query to the `audit` stream of every node, put in order of time.
Is not: a source of its own: `yin q --stream audit` asks the same facts anything else.
Fits:   on `cli.connect`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import click

from cli.caveats import parse_duration
from cli.cluster import Cluster
from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.output import Column, note, output_option, show_rows
from datomstore.value import Map

QUERY = """
[:find ?e ?at ?who ?verb ?resource ?allowed ?reason
 :where [?e :audit/at-ms ?at] [?e :audit/who ?who] [?e :audit/verb ?verb] [?e :audit/resource ?resource]
        [?e :audit/allowed ?allowed] [(get-else $ ?e :audit/reason "") ?reason]]
"""


@click.command()
@click.option("--on", "node", metavar="NODE", help="Only this node's decisions.")
@click.option(
    "--agent", "who", metavar="ID", help="Only those about an agent, or a key, that begins so."
)
@click.option("--on-resource", "resource", metavar="PATTERN", help="Such as 'alpha/*'.")
@click.option("--since", metavar="DURATION", help="Only of the last 90s, 10m, 2h, 7d.")
@click.option("--refused", is_flag=True, help="Only what was not allowed.")
@click.option(
    "-n", "limit", type=click.IntRange(1), default=50, show_default=True, help="The latest."
)
@output_option
@click.pass_context
def audit(
    ctx: click.Context,
    node: str | None,
    who: str | None,
    resource: str | None,
    since: str | None,
    refused: bool,
    limit: int,
    output: str,
    as_json: bool,
) -> None:
    """Show decisions: who was allowed what, where, and why not."""
    cluster = cluster_of(ctx)
    start_ms = 0 if since is None else time.time_ns() // 10**6 - 1000 * parse_duration(since)
    rows = [
        row
        for row in _decisions(cluster, node)
        if int(str(row["at_ms"])) >= start_ms
        and not (refused and row["allowed"])
        and str(row["who"]).startswith(who or "")
        and fnmatchcase(str(row["resource"]), resource or "*")
    ]
    rows.sort(key=lambda row: int(str(row["at_ms"])))
    columns = [
        Column("at_ms", "WHEN", form=_time),
        Column("node", "NODE"),
        Column("who", "WHO", form=lambda value: str(value)[:12]),
        Column("verb", "VERB"),
        Column("resource", "RESOURCE"),
        Column("allowed", "", form=lambda value: "yes" if value else "no"),
        Column("reason", "REASON"),
    ]
    shown = rows[-limit:]
    show_rows("audit", shown, columns, output="json" if as_json else output, identity="who")
    if len(rows) > len(shown):
        note(f"{len(rows) - len(shown)} earlier ones are not shown")


def _decisions(cluster: Cluster, node: str | None) -> list[dict[str, object]]:
    """Return the decisions of one node, or of all that answer. Raises CliError if none does."""
    names = [node] if node else [member.name for member in cluster.nodes()]
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    for name in names:
        try:
            with connected(cluster, name) as client:
                answer = client.request("query", Map({"query": QUERY, "stream": "audit"}))["value"]
        except CliError as error:
            if error.exit_code is not Exit.UNREACHABLE or node:
                raise
            missed.append(name)
            continue
        for _, at_ms, who, verb, resource, allowed, reason in answer:
            rows.append(
                {
                    "at_ms": at_ms,
                    "node": name,
                    "who": who,
                    "verb": verb.name,
                    "resource": resource,
                    "allowed": allowed,
                    "reason": reason,
                }
            )
    if len(missed) == len(names):
        raise CliError(
            f"no answer from {', '.join(missed)}", exit_code=Exit.UNREACHABLE, hint="yin up"
        )
    if missed:
        note(f"no answer from {', '.join(missed)}")
    return rows


def _time(value: object) -> str:
    return datetime.fromtimestamp(int(str(value)) / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[
        :-3
    ]
