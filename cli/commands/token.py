"""`yin token mint|attenuate|seal`; the other commands of the group stand in files of their own.

Is:     making and narrowing tokens here, offline.
Is not: a place where a token's secret is printed by accident: a token is data on standard output only where it was
        asked for, and it is read from a file or standard input, never from an argument.
Fits:   on `capabilities`; what `mint` makes is a bearer token unless `--to KEY` binds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from capabilities.caveats import ON_STREAMS, Rights
from capabilities.keys import PrivateKey, PublicKey
from capabilities.tokens import Token, mint
from cli.caveats import caveat_options, caveats_of, parse_key, right_text
from cli.cluster import Cluster
from cli.commands.granting import COMMANDS
from cli.commands.inspecting import token_inspect
from cli.commands.revoking import token_revoke
from cli.connect import cluster_of
from cli.errors import CliError, Exit
from cli.holding import checked, checked_signatures, extended, read_token, refusals, signer_of
from cli.output import note, output_option, show_document
from cli.rights_in_all import rights_in_all
from cli.secret_files import write_secret
from cli.token_text import kind_of

TTL = "1h"  # of what is minted, if nobody says


@click.group()
def token() -> None:
    """Mint, narrow, read and revoke tokens."""


@token.command("mint")
@caveat_options(ttl=TTL)
@output_option
@click.pass_context
def token_mint(ctx: click.Context, /, output: str, as_json: bool, **options: object) -> None:
    """Mint a token with the cluster's root key."""
    cluster = cluster_of(ctx)
    if not options["allow"]:
        raise CliError("a token without --allow would allow nothing", exit_code=Exit.USAGE)
    options["ttl"] = options["ttl"] or TTL
    key, secret = _holder(cluster, options)
    caveats = caveats_of(cluster, options)
    _tell_idle(caveats.rights or ())
    with refusals():
        made = mint(cluster.root_key, key, caveats).with_secret(secret)
    _show(_useful(cluster, made), options["out"], "json" if as_json else output)


@token.command("attenuate")
@click.argument("source", metavar="@FILE|-")
@caveat_options(ttl="as long as the old one")
@output_option
@click.pass_context
def token_attenuate(
    ctx: click.Context, /, source: str, output: str, as_json: bool, **options: object
) -> None:
    """Narrow a token: the result allows what the old one does and all of this. It ends with the old one at the latest."""
    cluster = cluster_of(ctx)
    parent = checked(cluster, read_token(source))
    key, secret = _holder(cluster, options)
    caveats = caveats_of(cluster, options)
    _tell_idle(caveats.rights or ())
    _tell_useless(parent, caveats.rights or ())
    with refusals():
        made = extended(cluster, parent, key, caveats).with_secret(secret)
    _show(_useful(cluster, made), options["out"], "json" if as_json else output)


def _holder(cluster: Cluster, options: Mapping[str, object]) -> tuple[PublicKey, PrivateKey | None]:
    """Return the key a block names, and its secret when it is a fresh bearer key. Raises CliError."""
    holder = options["holder"]
    if holder is None:
        if options["via"]:  # nobody would accept a bearer token: who shows it is not known
            raise CliError("--via needs --to, which says who holds it", exit_code=Exit.USAGE)
        secret = PrivateKey.generate()
        return secret.public, secret
    return parse_key(cluster, str(holder)), None


def _tell_idle(rights: tuple[Rights, ...]) -> None:
    """Say which verbs are given on nothing, for nothing that they are about has such a name."""
    for right in rights:
        if right.idle & ON_STREAMS:
            told = (
                f"a stream is named NODE/STREAM, as in alpha/{right.pattern} or */{right.pattern}"
            )
        elif right.idle:
            told = f"a node is named by one part, as in {right.pattern.partition('/')[0]}"
        else:
            continue
        note(f"{right_text(Rights(right.idle, right.pattern))} covers nothing: {told}")


def _tell_useless(parent: Token, rights: tuple[Rights, ...]) -> None:
    """Say which of the rights in a further block allow nothing, for the blocks before do not."""
    for right in rights:
        if not rights_in_all([*(block.caveats.rights for block in parent.blocks), (right,)]):
            note(f"{right_text(right)} adds nothing: the token does not allow it")


def _useful(cluster: Cluster, made: Token) -> Token:
    """Return a token that somebody will accept. Raises CliError for one that nobody ever would."""
    checked_signatures(cluster, made, exit_code=Exit.USAGE)
    if not rights_in_all([block.caveats.rights for block in made.blocks]):
        raise CliError(
            "the token would allow nothing: its blocks have no right in common",
            exit_code=Exit.USAGE,
            hint="yin token inspect @FILE shows what the old one allows",
        )
    terms = made.blocks[-1].terms
    if terms.from_s > terms.until_s:
        raise CliError("the token would never hold: it ends before it begins", exit_code=Exit.USAGE)
    return made


def _check_out(path: Path) -> None:
    """Return if a token may be written there: nothing else is overwritten, such as a key. Raises CliError."""
    try:
        other = path.is_file() and path.read_bytes()
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from error
    if other and not other.startswith(b"yin1."):
        raise CliError(f"{path} exists, and is no token", exit_code=Exit.CONFLICT)


def _show(made: Token, out: object, output: str) -> None:
    document: dict[str, object] = {
        "id": made.ids[-1].hex(),
        "kind": kind_of(made.proof),
        "holder": made.holder.text,
        "blocks": len(made.blocks),
        "until_s": made.blocks[-1].terms.until_s,
    }
    if isinstance(out, Path):
        _check_out(out)
        write_secret(out, made.to_text() + "\n")
        note(f"wrote {out} (blocks: {len(made.blocks)})")
        form = "none" if output == "text" else output
        show_document("token.made", {**document, "file": str(out)}, "", output=form)
    else:
        text = made.to_text()
        show_document("token.made", {**document, "token": text}, text, output=output)


@token.command("seal")
@click.argument("source", metavar="@FILE|-")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write it to this file (mode 0600) instead of printing it.",
)
@output_option
@click.pass_context
def token_seal(
    ctx: click.Context, source: str, out: Path | None, output: str, as_json: bool
) -> None:
    """Close a token: whoever has it may use it, nobody may narrow it or hand it on."""
    cluster = cluster_of(ctx)
    opened = checked(cluster, read_token(source))
    with refusals():
        made = opened.seal(signer_of(cluster, opened))
    _show(
        checked_signatures(cluster, made, exit_code=Exit.USAGE), out, "json" if as_json else output
    )


for command in (token_inspect, token_revoke, *COMMANDS):
    token.add_command(command)
