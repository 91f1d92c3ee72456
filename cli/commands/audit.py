"""`yin audit`: what was decided, who asked, by which token, where, and why not.

Is:     the decisions of one node or of all, filtered, in order of time, followed; one query over all of them; and whether
        a node's audit stream is still the one that was seen before.
Is not: a source of its own: `yin q --stream audit` asks the same facts anything else.
Fits:   on `cli.connect` and `cli.gather`.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from cli.audit_selection import AGENT_DIGITS, HEX, Selection, selection_of
from cli.cluster import Cluster
from cli.connect import (
    Missed,
    cluster_of,
    each_node,
    missed_facts,
    none_reached,
    told_missed,
)
from cli.durations import parse_duration
from cli.errors import CliError, Exit
from cli.following import followed
from cli.output import Column, cells_of, echo_json, note, output_option, show_rows
from datomstore.value import Map


@click.group(invoke_without_command=True)
@click.option("--on", "node", metavar="NODE", help="Only this node's decisions.")
@click.option("--nodes", default="all", show_default=True, metavar="A,B", help="Of these nodes.")
@click.option(
    "--agent", "who", metavar="AGENT", help="About an agent, by id or name; or a member, or a key."
)
@click.option("--stream", "--on-resource", "resource", metavar="PATTERN", help="Such as 'alpha/*'.")
@click.option("--verb", metavar="VERB", help="Such as read, append, migrate; or q, agent.spawn.")
@click.option(
    "--token",
    "block",
    metavar="BLOCK",
    help="By a token with this block, whose id `yin token inspect` and `revoke` print.",
)
@click.option("--since", metavar="DURATION", help="Only of the last 90s, 10m, 2h, 7d.")
@click.option(
    "--refused/--allowed", "refused", default=None, help="Only what was not, or was, allowed."
)
@click.option(
    "-f", "--follow", is_flag=True, help="Go on as decisions are made, after the latest (-n)."
)
@click.option(
    "-q", "--query", "query", metavar="EDN", help="A query over the decisions of all nodes at once."
)
@click.option(
    "-n", "limit", type=click.IntRange(1), default=50, show_default=True, help="The latest."
)
@output_option
@click.pass_context
def audit(
    ctx: click.Context,
    node: str | None,
    nodes: str,
    who: str | None,
    resource: str | None,
    verb: str | None,
    block: str | None,
    since: str | None,
    refused: bool | None,
    follow: bool,
    query: str | None,
    limit: int,
    output: str,
    as_json: bool,
) -> int:
    """Show decisions: who was allowed what, by which token, where, and why not.

    `yin audit --agent AGENT --verb read` says which streams an agent has read, under which token, on which node.
    """
    if ctx.invoked_subcommand is not None:
        return Exit.OK
    if query is not None:
        _refuse_with_query(ctx)
    cluster = cluster_of(ctx)
    output = "json" if as_json else output
    start_ms = None if since is None else time.time_ns() // 10**6 - 1000 * parse_duration(since)
    names = _nodes(cluster, node or nodes)
    if query is not None:
        return _ask(cluster, names, query, output)
    wanted = selection_of(
        cluster,
        who=who,
        resource=resource,
        verb=verb,
        allowed=None if refused is None else not refused,
        since_ms=start_ms,
        block=block,
    )
    if follow:
        _follow(cluster, names, wanted, limit, output)
    rows, missed = _decisions(cluster, names, wanted, strict=node is not None)
    _show(rows, limit, output, missed_facts(missed))
    return told_missed(missed)


WITH_QUERY = ("node", "nodes", "query", "output", "as_json")  # the rest a query says itself


def _refuse_with_query(ctx: click.Context) -> None:
    """Return if no option is given that a query would not heed. Raises CliError."""
    for option in ctx.command.params:
        source = ctx.get_parameter_source(option.name or "")
        if option.name not in WITH_QUERY and source is ParameterSource.COMMANDLINE:
            given = max(option.opts, key=len)
            raise CliError(
                f"{given} has no effect with --query: a query says itself what it looks for",
                exit_code=Exit.USAGE,
            )


def _nodes(cluster: Cluster, given: str) -> list[str]:
    if given == "all":
        return [member.name for member in cluster.nodes()]
    return [cluster.node(name.strip()).name for name in given.split(",")]


COLUMNS = [
    Column("at_ms", "WHEN", form=lambda value: _time(value)),
    Column("node", "NODE"),
    Column("who", "WHO", form=lambda value: str(value)[:12]),
    Column("effect", "DID"),
    Column("verb", "VERB"),
    Column("resource", "RESOURCE"),
    Column("allowed", "", form=lambda value: "yes" if value else "no"),
    Column("granted", "TOKEN", form=lambda value: str(value)[:12]),
    Column("reason", "REASON"),
]


def _show(
    rows: list[dict[str, Any]],
    limit: int,
    output: str,
    more: Mapping[str, object] | None = None,
) -> None:
    rows.sort(key=_when)
    show_rows("audit", rows[-limit:], COLUMNS, output=output, identity="who", more=more)
    _tell_cut(rows, limit)


def _when(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["at_ms"], row["node"], row["entity"]


def _decisions(
    cluster: Cluster, names: list[str], wanted: Selection, *, strict: bool
) -> tuple[list[dict[str, Any]], Missed]:
    """Return the decisions of the nodes that answer, and which do not. Raises CliError if none does, or one does not and `strict`."""
    query, inputs = wanted.query()
    body = Map({"query": query, "stream": "audit", "inputs": inputs})
    answers, missed = each_node(
        cluster, lambda client: client.request("query", body)["value"], names
    )
    if missed and (strict or not answers):
        raise none_reached(missed)
    rows = [row for name, answer in answers.items() for row in wanted.rows(name, answer)]
    return rows, missed


# -- following --


def _follow(
    cluster: Cluster, names: list[str], wanted: Selection, limit: int, output: str
) -> NoReturn:
    """Print the latest decisions of all nodes, then others as they are made, until interrupted.

    A node that is lost and found again sends all of its decisions once more: those are printed that it has made since.
    """
    query, inputs = wanted.query()
    body = Map({"query": query, "stream": "audit", "inputs": inputs})
    latest: list[dict[str, Any]] = []
    seen: defaultdict[str, set[object]] = defaultdict(set)  # of each node that has been heard
    waiting = set(names)  # for what they have decided before, or for that they are not reached
    for name, item in followed(cluster, names, "query.follow", body):
        rows: list[dict[str, Any]] = []
        is_new = item is not None and name not in seen
        if item is not None:
            rows = _unseen(wanted.rows(name, item["added"]), seen[name])
        if not waiting:
            _print(rows[-limit:] if is_new else rows, output)
            if is_new:
                _tell_cut(rows, limit)
            continue
        latest += rows
        waiting.discard(name)
        if not waiting:
            _show(latest, limit, "jsonl" if output == "json" else output)
            latest = []
        sys.stdout.flush()
    raise AssertionError("who follows is interrupted")


def _unseen(rows: Iterable[dict[str, Any]], seen: set[object]) -> list[dict[str, Any]]:
    """Return the decisions of a node that have not been seen, in order of time, and note that they have been.

    A node that keeps nothing numbers its decisions anew when it starts, so the number alone does not tell them apart.
    """
    new = [row for row in rows if (row["entity"], row["at_ms"]) not in seen]
    seen.update((row["entity"], row["at_ms"]) for row in new)
    return sorted(new, key=_when)


def _tell_cut(rows: list[dict[str, Any]], limit: int) -> None:
    """Say how many decisions there are before those that are shown."""
    if len(rows) > limit:
        note(f"{len(rows) - limit} earlier ones are not shown")


def _print(rows: Iterable[Mapping[str, Any]], output: str) -> None:
    """Print decisions that came later, below the table."""
    for row in rows:
        if output in ("json", "jsonl"):
            echo_json(row)
        elif output == "ids":
            click.echo(row["who"])
        elif output == "text":
            click.echo("  ".join(cells_of(row, COLUMNS)).rstrip())
    sys.stdout.flush()


# -- one query --


def _ask(cluster: Cluster, names: list[str], text: str, output: str) -> int:
    """Print the answer of one query over the decisions of all nodes that answer."""
    from cli.commands.query import read_argument, show_answer
    from cli.gather import decisions_of
    from datomstore.datalog import QueryError, q

    query = read_argument(text)
    try:
        decisions, missed = decisions_of(cluster, names)
        answer = q(query, decisions)
    except QueryError as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error
    show_answer(query, answer, output if output != "ids" else "jsonl", None)
    return told_missed(missed)


# -- the chain --


@audit.command()
@click.option("--nodes", default="all", show_default=True, metavar="A,B", help="These nodes.")
@output_option
@click.pass_context
def verify(ctx: click.Context, nodes: str, output: str, as_json: bool) -> int:
    """Check that audit streams are still those that were seen before.

    Every transaction's record is hashed into the root of all before it. The last roots seen are kept in the cluster's folder:
    a node that has changed, dropped or put in anything since cannot show a log that leads over the same root.
    """
    from cli.audit_roots import Roots

    cluster = cluster_of(ctx)
    roots = Roots(cluster.folder)
    rows = [roots.checked(cluster, name) for name in _nodes(cluster, nodes)]
    columns = [
        Column("node", "NODE"),
        Column("t", "TRANSACTIONS", right=True),
        Column("root", "ROOT", form=lambda value: str(value)[:16]),
        Column("seen_t", "SEEN AT", right=True),
        Column("verdict", ""),
    ]
    show_rows("audit.roots", rows, columns, output="json" if as_json else output, identity="root")
    wrong = [row["node"] for row in rows if row["verdict"] == "changed"]
    if wrong:
        note(
            f"the audit stream of {', '.join(map(str, wrong))} is not the one that was seen before"
        )
        return Exit.FAILURE
    roots.keep(rows)
    return Exit.OK


# -- receipts --


@audit.command()
@click.option("--nodes", default="all", show_default=True, metavar="A,B", help="These nodes.")
@click.option("--agent", "who", default="", metavar="ID", help="Of agents whose id begins so.")
@output_option
@click.pass_context
def contradictions(ctx: click.Context, nodes: str, who: str, output: str, as_json: bool) -> int:
    """Find what nodes have signed of agents' journeys that cannot all be true: who gave an agent away twice, or an old image.

    The receipts of all arrivals are asked of all nodes, verified here, and compared. The exit code is 1 when something was found. A node
    that does not answer is named; what only its audit stream has cannot be found.
    """
    from cli.contradictions import Names, contradictions, excused, gathered

    if who and not HEX.fullmatch(who.lower()):
        raise CliError(f"{who!r} is not an agent's id, nor its beginning", exit_code=Exit.USAGE)
    cluster = cluster_of(ctx)
    names = Names.of(cluster)
    found = gathered(cluster, _nodes(cluster, nodes), names, who.lower()[:AGENT_DIGITS])
    said = found.forged + contradictions(found.shown, names)
    if said:
        said = excused(cluster, said, names)
    rows = [one.row(names) for one in said]
    more = {"receipts": len(found.shown), "missed": found.missed}
    form = "json" if as_json else output
    show_rows(
        "audit.contradictions", rows, CONTRADICTIONS, output=form, identity="agent", more=more
    )
    for name, why in found.missed.items():
        note(f"{name} was not asked: {why}")
    count = len(found.shown)
    note(f"{count} receipt{'' if count == 1 else 's'} compared")
    if any(one.counts for one in said):
        return Exit.FAILURE
    return Exit.UNREACHABLE if found.missed else Exit.OK


CONTRADICTIONS = [
    Column("agent", "AGENT"),
    Column("epoch", "EPOCH", right=True),
    Column("kind", "WHAT"),
    Column("dishonest", "DISHONEST", form=lambda value: " or ".join(_texts(value))),
    Column("first", "FIRST", form=lambda value: _shown_text(value)),
    Column("second", "SECOND", form=lambda value: _shown_text(value)),
    Column("excuse", "EXCUSE"),
]


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _shown_text(value: object) -> str:
    """Return whom an agent was given to, and where and when that arrived."""
    if not isinstance(value, Mapping):
        return ""
    arrived = "" if value["taken"] else f", refused at {value['node']}"
    return f"to {value['to']} {_time(value['at_ms'])}{arrived}"


def _time(value: object) -> str:
    return datetime.fromtimestamp(int(str(value)) / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[
        :-3
    ]
