"""`yin token requests|grant|refuse|renew`: what agents lack, and people give.

Is:     the requests of agents on all nodes, and answers to them; new tokens for agents whose old ones ended.
Is not: the request itself (an agent's `request-token`), nor rules that answer it (the node's `[requests]`).
Fits:   part of `yin token`. What is given is narrowed from the person's own token, for one agent on one node.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import click

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.keys import PublicKey
from capabilities.tokens import Token
from cli.audit_selection import checked_block
from cli.caveats import BUDGET, caveats_of, parse_budget, sharing_options, ttl_option
from cli.cluster import Cluster
from cli.connect import (
    Missed,
    cluster_of,
    connected,
    each_node,
    find_agent,
    missed_facts,
    missed_text,
    none_reached,
    told_missed,
)
from cli.durations import lasting
from cli.ended_tokens import Shortage, has_ended, least_left, shortage_of
from cli.errors import CliError, Exit
from cli.following import followed
from cli.holding import checked, delegate, read_token, refusals, signer_of
from cli.output import (
    Column,
    echo_json,
    one_line,
    output_option,
    show_document,
    show_rows,
    tell_error,
)
from datomstore.value import Map
from protocol.client import Client

TTL_S = 3600  # of what is granted or renewed, if nobody says
ANSWERS = {"granted": "request.grant", "refused": "request.refuse"}
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
) -> int:
    """List what agents have asked for and wait to be answered."""
    cluster = cluster_of(ctx)
    form = "json" if as_json else output
    if follow:
        _follow(cluster, node, form)
    found, missed = _requests(cluster, node)
    rows = [_plain(row, name) for name, row in found]
    columns = [
        Column("id", "ID"),
        Column("name", "AGENT"),
        Column("node", "NODE"),
        Column("at_ms", "SINCE", form=_since),
        Column("wants", "WANTS"),
        Column("reason", "REASON"),
    ]
    show_rows("token.requests", rows, columns, output=form, more=missed_facts(missed))
    return told_missed(missed)


def _follow(cluster: Cluster, node: str | None, form: str) -> NoReturn:
    """Print requests as they come, each once; a node that does not answer is asked again."""
    names = [node] if node else [member.name for member in cluster.nodes()]
    told: set[object] = set()
    for name, row in followed(cluster, names, "request.follow", Map()):
        if row is None or row["id"] in told:
            continue
        told.add(row["id"])
        shown = _plain(row, name)
        if form == "text":
            line = f"{shown['id']}  {shown['name']} on {name}: {shown['wants']}  {shown['reason']}"
            click.echo(one_line(line.rstrip()))
        elif form == "ids":
            click.echo(shown["id"])
        elif form != "none":
            echo_json(shown)
        sys.stdout.flush()
    raise AssertionError("who follows is interrupted")


def _requests(cluster: Cluster, node: str | None) -> tuple[list[tuple[str, Map]], Missed]:
    """Return the requests of all nodes that answer, each with the node's name, and which do not."""
    return _of_each_node(cluster, "request.list", Map(), node)


def _of_each_node(
    cluster: Cluster, verb: str, body: Map, node: str | None = None
) -> tuple[list[tuple[str, Any]], Missed]:
    """Return the items that every node answers, each with its name, and which do not answer. Raises CliError."""
    answers, missed = each_node(
        cluster, lambda client: client.request(verb, body)["value"], [node] if node else None
    )
    if missed and not answers:
        raise none_reached(missed)
    return [(name, item) for name, items in answers.items() for item in items], missed


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
@sharing_options(ttl="what was asked for, or 1h")
@output_option
@click.pass_context
def token_grant(
    ctx: click.Context,
    /,
    request: str,
    source: str | None,
    output: str,
    as_json: bool,
    **options: object,
) -> None:
    """Grant what an agent asked for: exactly that, or what the options say. It goes on at the same step."""
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
    parent = _source(cluster, source)
    made = delegate(cluster, parent, cluster.node(node).key, row["agent"], caveats)
    body = Map({"id": row["id"], "tokens": (made,)})
    _answer(cluster, node, row, "granted", body, "json" if as_json else output)


def _source(cluster: Cluster, source: str | None) -> Token:
    """Return the token that new ones are taken from. Raises CliError."""
    return cluster.operator_token if source is None else checked(cluster, read_token(source))


def _answer(cluster: Cluster, node: str, row: Map, done: str, body: Map, output: str) -> None:
    """Answer a request at the node where it waits, and say so."""
    with connected(cluster, node) as client:
        told = client.request(ANSWERS[done], body)
    document = {"id": row["id"], "agent": row["agent"].hex(), "node": node, "state": told["state"]}
    text = f"{row['id']} {done} to {row['agent'].hex()[:12]}"
    show_document(f"token.{done}", document, text, output=output)


def _rights(row: Map) -> tuple[Rights, ...]:
    verbs = Verb(0)
    for name in row["verbs"]:
        verbs |= Verb[name.upper()]
    return tuple(Rights(verbs, stream) for stream in row["streams"])


@click.command("refuse")
@click.argument("request")
@click.option("--reason", default="", help="What the agent is told.")
@output_option
@click.pass_context
def token_refuse(ctx: click.Context, request: str, reason: str, output: str, as_json: bool) -> None:
    """Refuse what an agent asked for. It goes on with an error that it can catch."""
    cluster = cluster_of(ctx)
    node, row = _find_request(cluster, request)
    body = Map({"id": row["id"], "reason": reason})
    _answer(cluster, node, row, "refused", body, "json" if as_json else output)


def _find_request(cluster: Cluster, text: str) -> tuple[str, Map]:
    waiting, missed = _requests(cluster, None)
    found = [(node, row) for node, row in waiting if row["id"].startswith(text)]
    if not found and missed:  # where it may wait
        said = f"no request {text!r} waits on the nodes that answer; {missed_text(missed)}"
        raise CliError(said, exit_code=Exit.UNREACHABLE, hint="yin node ls")
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
    "--all", "every", is_flag=True, help="Also tokens that an agent could go on with as they are."
)
@FROM
@ttl_option("1h")
@BUDGET
@output_option
@click.pass_context
def token_renew(
    ctx: click.Context,
    agents: tuple[str, ...],
    block: str | None,
    every: bool,
    source: str | None,
    ttl: str | None,
    budget: tuple[str, ...],
    output: str,
    as_json: bool,
) -> int:
    """Replace tokens of agents that have ended by new ones; who waits for that goes on at the same step.

    A token has ended when it expired, was revoked, has no room for a further hop (of which there are about 60), or has less
    left of a budget than the agent was paused for. A new one allows what the old one did beyond its times, within --token; a
    budget is what was left of the old one's, or what --budget says.
    """
    if bool(agents) == (block is not None):
        raise CliError("name agents, or give --block", exit_code=Exit.USAGE)
    ttl_s = TTL_S if ttl is None else lasting(ttl)
    block = None if block is None else checked_block(block)
    amounts = parse_budget(budget)
    cluster = cluster_of(ctx)
    renewal = Renewal(cluster, _source(cluster, source), _now_s() + ttl_s, amounts, block, every)
    form = "json" if as_json else output
    done: list[dict[str, object]] = []
    failed: list[CliError] = []
    meant, missed = _meant(cluster, agents, block)
    for node, agent in meant:
        try:
            done.append(renewal.of(node, agent))
        except CliError as error:
            if len(agents) == 1:
                raise
            tell_error(error, agent.hex()[:12])
            failed.append(error)
            continue
        if form == "text":
            click.echo(f"{agent.hex()[:12]} {done[-1]['state']}")
    if form != "text":
        show_rows("token.renewed", done, [], output=form, more=missed_facts(missed))
    told_missed(missed)
    if not done and not failed and not missed:
        raise CliError(
            f"no agent has a token with the block {block}",
            exit_code=Exit.NOT_FOUND,
            hint="yin token inspect --agent ID",
        )
    if not done and failed:
        raise CliError("nothing was renewed", exit_code=failed[0].exit_code)
    if failed:
        return failed[0].exit_code
    return Exit.UNREACHABLE if missed else Exit.OK


def _meant(
    cluster: Cluster, agents: tuple[str, ...], block: str | None
) -> tuple[Iterable[tuple[str, bytes]], Missed]:
    """Return the agents that are named, or hold the block, with their nodes, and which nodes could not be asked for such."""
    if block is not None:
        return _of_each_node(cluster, "token.agents", Map({"block": block}))
    found = (find_agent(cluster, text) for text in agents)  # one after the other
    return ((node, row["id"]) for node, row in found), {}


class Renewal(NamedTuple):
    """What is renewed, and from what."""

    cluster: Cluster
    parent: Token
    exp: int
    budget: dict[Resource, int]
    block: str | None
    every: bool

    def of(self, node: str, agent: bytes) -> dict[str, object]:
        """Renew an agent's tokens, and return what became of it. Raises CliError when none has ended, or it cannot be now."""
        try:
            with connected(self.cluster, node) as client:
                made = self._made(client, node, agent)
                body = {"id": agent.hex(), "old": tuple(made), "tokens": tuple(made.values())}
                answer = client.request("agent.renew", Map(body))
        except CliError as error:
            if error.exit_code is Exit.DENIED and not self.budget:
                raise CliError(
                    f"{error}; a new token has the budget that the old one has left",
                    exit_code=Exit.DENIED,
                    hint=f"yin token renew {agent.hex()[:12]} --budget RESOURCE=N, for another one",
                ) from error
            if error.exit_code is not Exit.CONFLICT:
                raise
            raise CliError(
                f"{error}; it can get other tokens when it is paused",
                exit_code=Exit.CONFLICT,
                hint=f"yin pause {agent.hex()[:12]}",
            ) from error
        return {
            "id": agent.hex(),
            "node": node,
            "state": answer["state"],
            "resumed": answer["resumed"],
            "replaced": len(made),
        }

    def _made(self, client: Client, node: str, agent: bytes) -> dict[bytes, bytes]:
        """Return the tips of the tokens to be replaced, each with the token that replaces it. Raises CliError if none is."""
        shortage = shortage_of(client.request("agent.show", Map({"id": agent.hex()})))
        target = self.cluster.node(node).key
        made: dict[bytes, bytes] = {}
        for row in client.request("agent.tokens", Map({"id": agent.hex()}))["value"]:
            old = Token.from_bytes(row["token"])
            if self._is_meant(old, row, shortage):
                share = self._share(row, shortage)
                made[old.ids[-1]] = _renewed(
                    self.cluster, self.parent, old, target, agent, self.exp, share
                )
        if not made:
            raise CliError(
                "none of its tokens has ended; --all replaces them all the same",
                exit_code=Exit.NOT_FOUND,
                hint=f"yin token renew --all {agent.hex()[:12]}",
            )
        return made

    def _is_meant(self, old: Token, row: Map, shortage: Shortage | None) -> bool:
        named = self.block is not None and any(one.hex().startswith(self.block) for one in old.ids)
        return self.every or named or has_ended(row, shortage, _now_s())

    def _share(self, row: Map, shortage: Shortage | None) -> dict[Resource, int]:
        """Return the budget of a new token. Raises CliError if the agent would be paused for it again at once."""
        share = least_left(row["left"]) | self.budget
        if shortage is not None and share.get(shortage.resource, shortage.needed) < shortage.needed:
            name = shortage.resource.name.lower()
            raise CliError(
                f"{share[shortage.resource]} {name} are left of its budget, and it waits for {shortage.needed}",
                exit_code=Exit.LIMIT,
                hint=f"yin token renew AGENT --budget {name}=N",
            )
        return share


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
    with refusals():
        for narrower in _lasting(old):
            token = token.append(signer, signer.public, narrower, lineage=lineage)
    caveats = Caveats(exp=exp, budget=budget or None)
    return delegate(cluster, token.with_secret(parent.secret), node, agent, caveats)


def _lasting(old: Token) -> list[Caveats]:
    """Return what of the caveats of a token's blocks is meant for its successor, too, each once."""
    kept = (block.caveats for block in old.blocks)
    said = [
        Caveats(rights=one.rights, at=one.at, attrs=one.attrs, revage=one.revage) for one in kept
    ]
    return [one for one in dict.fromkeys(said) if one != Caveats()]


def _now_s() -> int:
    return time.time_ns() // 10**9


COMMANDS = (token_requests, token_grant, token_refuse, token_renew)
