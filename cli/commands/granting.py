"""`yin token requests|grant|refuse|renew`: what agents lack, and people give.

Is:     the requests of agents on all nodes, and answers to them; new tokens for agents whose old ones ended.
Is not: the request itself (an agent's `request-token`), nor rules that answer it (the node's `[requests]`).
Fits:   part of `yin token`. What is given is narrowed from the person's own token, for one agent on one node.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.keys import PublicKey
from capabilities.tokens import Block, Token
from cli.caveats import BUDGET, TTL, caveats_of, parse_budget, sharing_options
from cli.cluster import Cluster
from cli.connect import cluster_of, connected, find_agent
from cli.durations import parse_duration
from cli.errors import CliError, Exit
from cli.following import followed
from cli.holding import delegate, read_token, signer_of
from cli.output import Column, echo_json, note, output_option, show_rows
from datomstore.value import Map
from protocol.client import Client

TTL_S = 3600  # of what is granted or renewed, if nobody says
FROM = click.option(
    "--token", "source", metavar="@FILE|-", help="What it is taken from. [default: the operator's]"
)


@click.command("requests")
@click.option("--follow", is_flag=True, help="Go on printing those to come.")
@click.option("--node", metavar="NODE", help="Of this node only.")
@output_option
@click.pass_context
def token_requests(
    ctx: click.Context, follow: bool, node: str | None, output: str, as_json: bool
) -> None:
    """List what agents have asked for and wait to be answered."""
    cluster = cluster_of(ctx)
    form = "json" if as_json else output
    if follow:
        _follow(cluster, node, form)
        return
    rows = [_plain(row, name) for name, row in _requests(cluster, node)]
    columns = [
        Column("id", "ID"),
        Column("name", "AGENT"),
        Column("node", "NODE"),
        Column("at_ms", "SINCE", form=_since),
        Column("wants", "WANTS"),
        Column("reason", "REASON"),
    ]
    show_rows("token.requests", rows, columns, output=form)


def _follow(cluster: Cluster, node: str | None, form: str) -> None:
    """Print requests as they come, each once; a node that does not answer is asked again."""
    names = [node] if node else [member.name for member in cluster.nodes()]
    told: set[object] = set()
    for name, row in followed(cluster, names, "request.follow", Map(), again=node is None):
        if row["id"] in told:
            continue
        told.add(row["id"])
        shown = _plain(row, name)
        if form == "text":
            line = f"{shown['id']}  {shown['name']} on {name}: {shown['wants']}  {shown['reason']}"
            click.echo(line.rstrip())
        elif form == "ids":
            click.echo(shown["id"])
        elif form != "none":
            echo_json(shown)
        sys.stdout.flush()


def _requests(cluster: Cluster, node: str | None) -> Iterator[tuple[str, Map]]:
    """Yield the requests of all nodes that answer, with the node's name."""
    for name, client in _each_node(cluster, node):
        for row in client.request("request.list", Map())["value"]:
            yield name, row


def _each_node(cluster: Cluster, node: str | None = None) -> Iterator[tuple[str, Client]]:
    """Yield a connection to every node that answers; say which do not."""
    missed: list[str] = []
    names = [node] if node else [member.name for member in cluster.nodes()]
    for name in names:
        try:
            with connected(cluster, name) as client:
                yield name, client
        except CliError as error:
            if error.exit_code is not Exit.UNREACHABLE or node:
                raise
            missed.append(name)
    if missed and len(missed) == len(names):
        raise CliError(
            f"no answer from {', '.join(missed)}", exit_code=Exit.UNREACHABLE, hint="yin up"
        )
    if missed:
        note(f"no answer from {', '.join(missed)}")


def _plain(row: Map, node: str) -> dict[str, object]:
    """Return a request as rows print it."""
    budget = {str(name): amount for name, amount in row["budget"].items()}
    wants = [f"{','.join(row['verbs'])}:{stream}" for stream in row["streams"]]
    wants += [f"{name}={amount}" for name, amount in budget.items()]
    return {
        **dict(row.items()),
        "agent": row["agent"].hex(),
        "budget": budget,
        "node": node,
        "wants": " ".join(wants),
    }


def _since(value: object) -> str:
    return f"{max(0, time.time_ns() // 10**9 - int(str(value)) // 1000)}s"


# -- answers --


@click.command("grant")
@click.argument("request")
@FROM
@sharing_options
@click.pass_context
def token_grant(ctx: click.Context, /, request: str, source: str | None, **options: object) -> None:
    """Grant what an agent asked for: exactly that for an hour, or what the options say. It goes on at the same step."""
    cluster = cluster_of(ctx)
    node, row = _find_request(cluster, request)
    given = caveats_of(cluster, options)
    ttl_s = row["ttl_s"] or TTL_S
    caveats = Caveats(
        exp=given.exp or _now_s() + ttl_s,
        rights=given.rights or _rights(row),
        budget=given.budget
        or {Resource[name.upper()]: amount for name, amount in row["budget"].items()}
        or None,
    )
    parent = cluster.operator_token if source is None else read_token(source)
    made = delegate(cluster, parent, cluster.node(node).key, row["agent"], caveats)
    with connected(cluster, node) as client:
        client.request("request.grant", Map({"id": row["id"], "tokens": (made,)}))
    click.echo(f"{row['id']} granted to {row['agent'].hex()[:12]}")


def _rights(row: Map) -> tuple[Rights, ...]:
    verbs = Verb(0)
    for name in row["verbs"]:
        verbs |= Verb[name.upper()]
    return tuple(Rights(verbs, stream) for stream in row["streams"])


@click.command("refuse")
@click.argument("request")
@click.option("--reason", default="", help="What the agent is told.")
@click.pass_context
def token_refuse(ctx: click.Context, request: str, reason: str) -> None:
    """Refuse what an agent asked for. It goes on with an error that it can catch."""
    cluster = cluster_of(ctx)
    node, row = _find_request(cluster, request)
    with connected(cluster, node) as client:
        client.request("request.refuse", Map({"id": row["id"], "reason": reason}))
    click.echo(f"{row['id']} refused to {row['agent'].hex()[:12]}")


def _find_request(cluster: Cluster, text: str) -> tuple[str, Map]:
    found = [(node, row) for node, row in _requests(cluster, None) if row["id"].startswith(text)]
    if not found:
        raise CliError(
            f"no request {text!r} waits", exit_code=Exit.NOT_FOUND, hint="yin token requests"
        )
    if len(found) > 1:
        raise CliError(f"{text!r} names {len(found)} requests", exit_code=Exit.USAGE)
    return found[0]


# -- renewal --


@click.command("renew")
@click.argument("agents", nargs=-1, metavar="AGENT...")
@click.option(
    "--block", metavar="ID", help="All agents whose tokens have this block, on all nodes."
)
@click.option(
    "--all", "every", is_flag=True, help="Also tokens that have neither ended nor been revoked."
)
@FROM
@TTL
@BUDGET
@click.pass_context
def token_renew(
    ctx: click.Context,
    agents: tuple[str, ...],
    block: str | None,
    every: bool,
    source: str | None,
    ttl: str | None,
    budget: tuple[str, ...],
) -> None:
    """Replace tokens of agents that have expired or were revoked by new ones; who waits for that goes on at the same step.

    A new token allows what the old one did beyond its times, within --token; a budget is what was left of the old one's.
    """
    cluster = cluster_of(ctx)
    if bool(agents) == (block is not None):
        raise CliError("name agents, or give --block", exit_code=Exit.USAGE)
    parent = cluster.operator_token if source is None else read_token(source)
    exp = _now_s() + (TTL_S if ttl is None else parse_duration(ttl))
    renewed = 0
    for node, agent in _meant(cluster, agents, block):
        with connected(cluster, node) as client:
            made = _renewals(
                cluster, client, parent, node, agent, block, exp, parse_budget(budget), every
            )
            if not made:
                note(f"{agent.hex()[:12]}: none of its tokens has ended")
                continue
            body = {"id": agent.hex(), "old": tuple(made), "tokens": tuple(made.values())}
            answer = client.request("agent.renew", Map(body))
        renewed += 1
        click.echo(f"{agent.hex()[:12]} {answer['state']}")
    if not renewed:
        raise CliError(
            "nothing was renewed", exit_code=Exit.NOT_FOUND, hint="yin token inspect --agent ID"
        )


def _meant(
    cluster: Cluster, agents: tuple[str, ...], block: str | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the agents that are named, or hold the block, with their nodes."""
    for text in agents:
        node, row = find_agent(cluster, text)
        yield node, row["id"]
    if block is not None:
        for name, client in _each_node(cluster):
            for agent in client.request("token.agents", Map({"block": block}))["value"]:
                yield name, agent


def _renewals(
    cluster: Cluster,
    client: Client,
    parent: Token,
    node: str,
    agent: bytes,
    block: str | None,
    exp: int,
    budget: dict[Resource, int],
    every: bool,
) -> dict[bytes, bytes]:
    """Return the tips of the tokens to be replaced, each with the token that replaces it."""
    made: dict[bytes, bytes] = {}
    for row in client.request("agent.tokens", Map({"id": agent.hex()}))["value"]:
        old = Token.from_bytes(row["token"])
        ends = old.blocks[-1].terms.until_s
        dead = row["revoked"] is not None or row["invalid"] is not None or ends < _now_s()
        named = block is not None and any(one.hex().startswith(block) for one in old.ids)
        if dead or every or named:
            share = budget or _least_left(row["left"])
            target = cluster.node(node).key
            made[old.ids[-1]] = _renewed(cluster, parent, old, target, agent, exp, share)
    return made


def _least_left(left: tuple[Map, ...]) -> dict[Resource, int]:
    found: dict[Resource, int] = {}
    for amounts in left:
        for name, amount in amounts.items():
            resource = Resource[name.upper()]
            found[resource] = min(amount, found.get(resource, amount))
    return found


def _renewed(
    cluster: Cluster,
    parent: Token,
    old: Token,
    node: PublicKey,
    agent: bytes,
    exp: int,
    budget: dict[Resource, int],
) -> bytes:
    """Return a token from `parent` with everything that the old one's blocks narrow, but for times and budgets."""
    signer, lineage = signer_of(cluster, parent), cluster.members.lineage
    token = parent
    for one in old.blocks:
        narrower = _lasting(one)
        if narrower != Caveats():
            token = token.append(signer, signer.public, narrower, lineage=lineage)
    caveats = Caveats(exp=exp, budget=budget or None)
    return delegate(cluster, token.with_secret(parent.secret), node, agent, caveats)


def _lasting(block: Block) -> Caveats:
    """Return what of a block's caveats is meant for its successor, too."""
    kept = block.caveats
    return Caveats(rights=kept.rights, at=kept.at, attrs=kept.attrs, revage=kept.revage)


def _now_s() -> int:
    return time.time_ns() // 10**9


COMMANDS = (token_requests, token_grant, token_refuse, token_renew)
