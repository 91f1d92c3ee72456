"""`yin token mint|attenuate|seal|inspect|revoke`; what agents ask for is in `cli.commands.granting`.

Is:     making and narrowing tokens here, offline; telling nodes about revocations.
Is not: a place where a token's secret is printed by accident: a token is data on standard output only where it was
        asked for, and it is read from a file or standard input, never from an argument.
Fits:   on `capabilities`; what `mint` makes is a bearer token unless `--to KEY` binds it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey
from capabilities.revocation import Revocation, SignerRevocation
from capabilities.tokens import Token, mint
from cli.caveats import caveat_options, caveats_of, parse_key, parse_moment
from cli.cluster import Cluster, write_secret
from cli.commands.granting import COMMANDS
from cli.connect import cluster_of, connected, find_agent
from cli.errors import CliError, Exit
from cli.holding import extended, read_token, signer_of
from cli.output import echo_json, note
from cli.token_text import token_lines
from datomstore.value import Map

SIGNER_UNTIL = 2**40  # seconds; later than any token should end


@click.group()
def token() -> None:
    """Mint, narrow, read and revoke tokens."""


@token.command("mint")
@caveat_options
@click.pass_context
def token_mint(ctx: click.Context, /, **options: object) -> None:
    """Mint a token with the cluster's root key."""
    cluster = cluster_of(ctx)
    if not options["allow"]:
        raise CliError("a token without --allow would allow nothing", exit_code=Exit.USAGE)
    options["ttl"] = options["ttl"] or "1h"
    key, secret = _holder(cluster, options["holder"])
    _print(
        mint(cluster.root_key, key, caveats_of(cluster, options)).with_secret(secret),
        options["out"],
    )


@token.command("attenuate")
@click.argument("source", metavar="@FILE|-")
@caveat_options
@click.pass_context
def token_attenuate(ctx: click.Context, /, source: str, **options: object) -> None:
    """Narrow a token: the result allows what the old one does and all of this."""
    cluster = cluster_of(ctx)
    parent = read_token(source)
    key, secret = _holder(cluster, options["holder"])
    narrowed = extended(cluster, parent, key, caveats_of(cluster, options))
    _print(narrowed.with_secret(secret), options["out"])


def _holder(cluster: Cluster, holder: object) -> tuple[PublicKey, PrivateKey | None]:
    """Return the key a block names, and its secret when it is a fresh bearer key."""
    if holder is None:
        secret = PrivateKey.generate()
        return secret.public, secret
    return parse_key(cluster, str(holder)), None


def _print(made: Token, out: object) -> None:
    if isinstance(out, Path):
        write_secret(out, made.to_text() + "\n")
        note(f"wrote {out} ({len(made.blocks)} blocks)")
    else:
        click.echo(made.to_text())


@token.command("inspect")
@click.argument("source", required=False, metavar="[@FILE|-]")
@click.option("--agent", metavar="ID", help="The tokens of an agent instead.")
@click.option("--node", metavar="NODE", help="Ask this node what is left of each budget.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def token_inspect(
    ctx: click.Context, source: str | None, agent: str | None, node: str | None, as_json: bool
) -> None:
    """Print a token block by block: who signed, who holds, what each block takes away, what is left of its budgets."""
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
        _show(document, node or "")
    if not documents:
        note("the agent has no tokens")


def _left(cluster: Cluster, node: str, opened: Token) -> Map:
    """Return what a node says about a token, whoever holds it."""
    with connected(cluster, node) as client:
        bound = opened.with_secret(None)  # its secret is nobody's business
        answer: Map = client.request("token.left", Map({"token": bound.to_bytes()}))
    if answer["invalid"] is not None:
        raise CliError(f"{node}: {answer['invalid']}", exit_code=Exit.AUTHENTICATION)
    return answer


def _document(
    cluster: Cluster, opened: Token, row: Map | None, node: str | None
) -> dict[str, object]:
    from capabilities.inspect import inspect

    try:
        blocks = inspect(opened, roots=cluster.members.roots, names=_names(cluster))
    except CapabilityError as error:
        raise CliError(f"the token is not valid: {error}", exit_code=Exit.AUTHENTICATION) from error
    document: dict[str, object] = {"$type": "token", "blocks": blocks}
    if row is not None:
        document |= {"node": node, "revoked": row["revoked"]}
        for block, left in zip(blocks, row["left"], strict=True):
            if left:
                block["left"] = dict(left.items())
    return document


def _show(document: Mapping[str, object], where: str) -> None:
    blocks = document["blocks"]
    assert isinstance(blocks, list), blocks
    left = [block.get("left", {}) for block in blocks]
    now = datetime.fromtimestamp(time.time_ns() / 1e9, UTC)
    for line in token_lines(blocks, left, where=where, now=now):
        click.echo(line)
    if document.get("revoked") is not None:
        click.echo(f"  revoked  block {document['revoked']}, and so everything after it")


@token.command("seal")
@click.argument("source", metavar="@FILE|-")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write it to this file (mode 0600) instead of printing it.",
)
@click.pass_context
def token_seal(ctx: click.Context, source: str, out: Path | None) -> None:
    """Close a token: whoever has it may use it, nobody may narrow it or hand it on."""
    cluster = cluster_of(ctx)
    opened = read_token(source)
    _print(opened.seal(signer_of(cluster, opened)), out)


def _names(cluster: Cluster) -> dict[PublicKey, str]:
    return {cluster.root: "the root"} | {member.key: member.name for member in cluster.members}


@token.command("revoke")
@click.argument("source", metavar="@FILE|-")
@click.option(
    "--block",
    type=click.IntRange(0),
    help="Which block. [default: the last, so that its parents live on]",
)
@click.option(
    "--all-of-signer",
    is_flag=True,
    help="Everything that the signer of that block has signed, in this token and in others.",
)
@click.option(
    "--ending-by",
    metavar="TIME",
    help="With --all-of-signer: only what ends by then, so that what lasts longer holds. [default: whenever it ends]",
)
@click.pass_context
def token_revoke(
    ctx: click.Context, source: str, block: int | None, all_of_signer: bool, ending_by: str | None
) -> None:
    """Revoke a block of a token, and so everything that was narrowed from it, at every node."""
    cluster = cluster_of(ctx)
    opened = read_token(source)
    index = len(opened.blocks) - 1 if block is None else block
    if index >= len(opened.blocks):
        raise CliError(f"the token has blocks 0 to {len(opened.blocks) - 1}", exit_code=Exit.USAGE)
    revocation: Revocation | SignerRevocation = Revocation.sign(cluster.root_key, opened, index)
    if all_of_signer:
        signer = opened.root if index == 0 else opened.blocks[index - 1].key
        until = SIGNER_UNTIL if ending_by is None else parse_moment(ending_by)
        revocation = SignerRevocation.sign(cluster.root_key, signer, until)
    _tell_revocation(cluster, revocation, opened)
    click.echo(opened.ids[index].hex())


def _tell_revocation(
    cluster: Cluster, revocation: Revocation | SignerRevocation, opened: Token
) -> None:
    """Tell all nodes; they tell each other what some did not hear. Raises CliError when none answers."""
    missed: list[str] = []
    for member in cluster.nodes():
        try:
            with connected(cluster, member.name) as client:
                body = Map({"revocation": revocation.to_bytes(), "token": opened.to_bytes()})
                paused = client.request("token.revoke", body)["paused"]
                note(f"{member.name}: revoked, {paused} agents paused")
        except CliError as error:
            if error.exit_code is not Exit.UNREACHABLE:
                raise
            missed.append(member.name)
    if len(missed) == len(cluster.nodes()):
        raise CliError(
            f"no answer from {', '.join(missed)}", exit_code=Exit.UNREACHABLE, hint="yin up"
        )
    if missed:
        note(f"not told: {', '.join(missed)}; they hear it from the others when they are back")


for command in COMMANDS:
    token.add_command(command)
