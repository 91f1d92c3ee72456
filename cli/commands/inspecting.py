"""`yin token inspect`: a token as people read it, or those of an agent.

Is:     the command; what the signatures say is found here, what is left of budgets and what was revoked is asked of a node.
Is not: the words (`cli.token_text`).
Fits:   part of `yin token`. It shows what is not trusted here as well, and says so: then people look most.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import click

from capabilities.errors import CapabilityError
from capabilities.inspect import inspect, moment
from capabilities.tokens import Token
from cli.cluster import Cluster
from cli.connect import cluster_of, connected, find_agent
from cli.errors import CliError, Exit
from cli.holding import read_token
from cli.output import echo_json, note
from cli.revoking import cluster_names
from cli.token_text import kind_of, token_lines
from datomstore.value import Map


@click.command("inspect")
@click.argument("source", required=False, metavar="[@FILE|-]")
@click.option("--agent", metavar="ID", help="The tokens of an agent instead.")
@click.option(
    "--node",
    metavar="NODE",
    help="Ask this node what is left of each budget, and whether a block was revoked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def token_inspect(
    ctx: click.Context, source: str | None, agent: str | None, node: str | None, as_json: bool
) -> None:
    """Print a token: what kind it is, until when it holds, and of each block who signed, who holds, what it takes away."""
    cluster = cluster_of(ctx)
    if (source is None) == (agent is None):
        raise CliError("give @FILE, - or --agent ID", exit_code=Exit.USAGE)
    if agent is not None:
        node, found = find_agent(cluster, agent)
        agent = found["id"].hex()
        with connected(cluster, node) as client:
            rows = client.request("agent.tokens", Map({"id": agent}))["value"]
        shown = [(Token.from_bytes(row["token"]), row) for row in rows]
    else:
        assert source is not None, "checked above"
        opened = read_token(source)
        shown = [(opened, None if node is None else _left(cluster, node, opened))]
    documents = [_document(cluster, opened, row, node) for opened, row in shown]
    if as_json:
        whole = {"$type": "agent.tokens", "agent": agent, "items": documents}
        echo_json(documents[0] if agent is None else whole)
        return
    for document in documents:
        _show(document)
    if not documents:
        note("the agent has no tokens")
    elif node is None:
        note("whether a block was revoked was not looked up: --node NODE asks there")


def _left(cluster: Cluster, node: str, opened: Token) -> Map:
    """Return what a node says about a token, whoever holds it."""
    with connected(cluster, node) as client:
        bound = opened.with_secret(None)  # its secret is nobody's business
        answer: Map = client.request("token.left", Map({"token": bound.to_bytes()}))
    return answer


def _document(
    cluster: Cluster, opened: Token, row: Map | None, node: str | None
) -> dict[str, object]:
    members, names = cluster.members, cluster_names(cluster)
    roots = members.roots | {opened.root}
    try:
        blocks = inspect(opened, roots=roots, names=names, lineage=members.lineage)
    except CapabilityError as error:
        raise CliError(f"the token is not valid: {error}", exit_code=Exit.AUTHENTICATION) from error
    terms = opened.blocks[-1].terms
    document: dict[str, object] = {
        "$type": "token",
        "kind": kind_of(opened.proof),
        "holder": names.get(opened.holder, opened.holder.text),
        "root": opened.root.text,
        "trusted": opened.root in members.roots,
        "from": moment(terms.from_s) if terms.from_s else None,
        "until": moment(terms.until_s),
        "blocks": blocks,
    }
    if row is not None:
        document |= {"node": node, "revoked": row["revoked"], "invalid": row["invalid"]}
        for block, left in zip(blocks, row["left"], strict=False):  # none, if it is not valid there
            if left:
                block["left"] = dict(left.items())
    return document


def _show(document: Mapping[str, object]) -> None:
    for line in token_lines(document, now=datetime.fromtimestamp(time.time_ns() / 1e9, UTC)):
        click.echo(line)
