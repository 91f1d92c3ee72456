"""`yin token mint|attenuate|inspect|revoke`.

Is:     making and narrowing tokens here, offline; telling nodes about revocations.
Is not: a place where a token's secret is printed by accident: a token is data on standard output only where it was
        asked for, and it is read from a file or standard input, never from an argument.
Fits:   on `capabilities`; what `mint` makes is a bearer token unless `--to KEY` binds it.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey
from capabilities.revocation import Revocation
from capabilities.tokens import Token, mint
from cli.cluster import Cluster, write_secret
from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.output import echo_json, note
from datomstore.value import Map

DURATION = re.compile(r"(\d+)(s|m|h|d)")
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group()
def token() -> None:
    """Mint, narrow, read and revoke tokens."""


def caveat_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that say what a block allows."""
    options = [
        click.option(
            "--allow",
            multiple=True,
            metavar="VERBS:PATTERN",
            help="Right, such as read,append:*/web; may be given again.",
        ),
        click.option("--ttl", help="How long it lasts, such as 90s, 10m, 2h, 7d."),
        click.option(
            "--hops", type=click.IntRange(0, 255), help="How often its holder may change."
        ),
        click.option(
            "--depth", type=click.IntRange(0, 255), help="How often it may be narrowed further."
        ),
        click.option("--at", multiple=True, metavar="NODE", help="Only on these nodes."),
        click.option(
            "--to",
            "holder",
            metavar="NODE|KEY",
            help="Bind it to a node or a public key; else it is a bearer token.",
        ),
        click.option("--note", help="A remark for the audit stream."),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            help="Write it to this file (mode 0600) instead of printing it.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


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
        mint(cluster.root_key, key, _caveats(cluster, options)).with_secret(secret), options["out"]
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
    narrowed = parent.append(signer_of(cluster, parent), key, _caveats(cluster, options))
    _print(narrowed.with_secret(secret), options["out"])


def _holder(cluster: Cluster, holder: object) -> tuple[PublicKey, PrivateKey | None]:
    """Return the key a block names, and its secret when it is a fresh bearer key."""
    if holder is None:
        secret = PrivateKey.generate()
        return secret.public, secret
    for member in cluster.nodes():
        if member.name == holder:
            return member.key, None
    try:
        return PublicKey.parse(str(holder)), None
    except CapabilityError as error:
        raise CliError(
            f"{holder!r} is neither a node nor a public key: {error}", exit_code=Exit.USAGE
        ) from error


def signer_of(cluster: Cluster, parent: Token) -> PrivateKey:
    """Return the private key that may extend a token: its bearer secret or the operator's. Raises CliError."""
    if parent.secret is not None:
        return parent.secret
    operator = cluster.operator_key
    if parent.holder == operator.public:
        return operator
    raise CliError(
        "this token is bound to a key that is not yours, so you cannot extend it",
        exit_code=Exit.AUTHENTICATION,
    )


def _caveats(cluster: Cluster, options: dict[str, object]) -> Caveats:
    ttl, allow = options["ttl"], options["allow"]
    assert isinstance(allow, tuple), allow
    return Caveats(
        exp=None if ttl is None else time.time_ns() // 10**9 + parse_duration(str(ttl)),
        rights=tuple(parse_right(text) for text in allow) or None,
        at=_keys(cluster, options["at"]),
        hops=options["hops"],  # type: ignore[arg-type]
        depth=options["depth"],  # type: ignore[arg-type]
        note=options["note"],  # type: ignore[arg-type]
    )


def _keys(cluster: Cluster, names: object) -> frozenset[PublicKey] | None:
    assert isinstance(names, tuple), names
    return frozenset(cluster.node(name).key for name in names) or None


def parse_duration(text: str) -> int:
    """Return seconds of a text such as 90s, 10m, 2h, 7d. Raises CliError."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise CliError(
            f"{text!r} is not a duration such as 90s, 10m, 2h or 7d", exit_code=Exit.USAGE
        )
    return int(match[1]) * UNIT_S[match[2]]


def parse_right(text: str) -> Rights:
    """Return the right of VERB[,VERB...]:PATTERN. Raises CliError."""
    verbs, colon, pattern = text.partition(":")
    if not colon or not pattern:
        raise CliError(
            f"{text!r} is not VERBS:PATTERN, such as read:*/stdlib", exit_code=Exit.USAGE
        )
    mask = Verb(0)
    for name in verbs.split(","):
        try:
            mask |= Verb[name.upper()]
        except KeyError:
            known = ", ".join(str(verb.name).lower() for verb in Verb)
            raise CliError(f"no verb {name!r} (verbs: {known})", exit_code=Exit.USAGE) from None
    return Rights(mask, pattern)


def read_token(source: str) -> Token:
    """Return the token of @FILE or standard input (-). Raises CliError."""
    if source == "-":
        text = sys.stdin.read()
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_text()
        except OSError as error:
            raise CliError(f"{source[1:]}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error
    else:
        raise CliError(
            "a token is given as @FILE or -, never on the command line", exit_code=Exit.USAGE
        )
    try:
        return Token.from_text(text.strip())
    except CapabilityError as error:
        raise CliError(f"{source}: {error}", exit_code=Exit.AUTHENTICATION) from error


def _print(made: Token, out: object) -> None:
    if isinstance(out, Path):
        write_secret(out, made.to_text() + "\n")
        note(f"wrote {out} ({len(made.blocks)} blocks)")
    else:
        click.echo(made.to_text())


@token.command("inspect")
@click.argument("source", metavar="@FILE|-")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def token_inspect(ctx: click.Context, source: str, as_json: bool) -> None:
    """Print a token block by block; its signatures are checked against the cluster's root key."""
    from capabilities.inspect import inspect

    cluster = cluster_of(ctx)
    opened = read_token(source)
    try:
        blocks = inspect(opened, roots={cluster.root}, names=_names(cluster))
    except CapabilityError as error:
        raise CliError(f"{source}: {error}", exit_code=Exit.AUTHENTICATION) from error
    if as_json:
        echo_json({"$type": "token", "blocks": blocks})
        return
    for index, block in enumerate(blocks):
        click.echo(click.style(f"block {index}", bold=True) + f"  {block['id']}")
        for key, value in block.items():
            if key != "id":
                click.echo(f"  {key:<8} {value}")


def _names(cluster: Cluster) -> dict[PublicKey, str]:
    return {cluster.root: "the root"} | {member.key: member.name for member in cluster.members}


@token.command("revoke")
@click.argument("source", metavar="@FILE|-")
@click.option(
    "--block",
    type=click.IntRange(0),
    help="Which block. [default: the last, so that its parents live on]",
)
@click.pass_context
def token_revoke(ctx: click.Context, source: str, block: int | None) -> None:
    """Revoke a block of a token, and so everything that was narrowed from it, at every node."""
    cluster = cluster_of(ctx)
    opened = read_token(source)
    index = len(opened.blocks) - 1 if block is None else block
    if index >= len(opened.blocks):
        raise CliError(f"the token has blocks 0 to {len(opened.blocks) - 1}", exit_code=Exit.USAGE)
    revocation = Revocation.sign(cluster.root_key, opened, index)
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
    click.echo(opened.ids[index].hex())
    if missed:
        note(f"not told: {', '.join(missed)}; they hear it from the others when they are back")
