"""`yin token revoke`: a block is taken back, and so everything that was narrowed from it.

Is:     the command, and telling all nodes.
Is not: the choice of a key that may do so (`cli.revoking`).
Fits:   part of `yin token`.
"""

from __future__ import annotations

import click

from capabilities.revocation import Revocation, SignerRevocation
from capabilities.tokens import Token
from cli.caveats import parse_moment
from cli.cluster import Cluster
from cli.connect import cluster_of, each_node, none_reached
from cli.errors import CliError, Exit
from cli.holding import checked_signatures, read_token
from cli.output import note, output_option, show_document
from cli.revoking import cluster_names, revoke_block, revoke_signer
from datomstore.value import Map

SIGNER_UNTIL = 2**40  # seconds; later than any token should end


@click.command("revoke")
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
    help="With --all-of-signer: only what ends by then, such as 2h or 2030-01-31T08:00, so that what lasts longer "
    "holds. [default: whenever it ends]",
)
@output_option
@click.pass_context
def token_revoke(
    ctx: click.Context,
    source: str,
    block: int | None,
    all_of_signer: bool,
    ending_by: str | None,
    output: str,
    as_json: bool,
) -> None:
    """Revoke a block of a token, and so everything that was narrowed from it, at every node.

    That takes the key of who signed the block, or a block before it, or the block's own. YIN_KEY_FILE names it; else it
    is the root's, where that is here, a bearer token's own, or the operator's.
    """
    if ending_by is not None and not all_of_signer:
        raise CliError("--ending-by goes with --all-of-signer", exit_code=Exit.USAGE)
    until_s = SIGNER_UNTIL if ending_by is None else parse_moment(ending_by)
    cluster = cluster_of(ctx)
    opened = checked_signatures(cluster, read_token(source), proof=False)
    index = len(opened.blocks) - 1 if block is None else block
    if index >= len(opened.blocks):
        raise CliError(f"the token has blocks 0 to {len(opened.blocks) - 1}", exit_code=Exit.USAGE)
    revocation: Revocation | SignerRevocation
    if all_of_signer:
        revocation = revoke_signer(cluster, opened, index, until_s)
    else:
        revocation = revoke_block(cluster, opened, index)
    told, missed = _told(cluster, revocation, opened)
    names = cluster_names(cluster)
    document = {
        "id": opened.ids[index].hex(),
        "block": index,
        "by": names.get(revocation.revoker, revocation.revoker.text),
        "all_of_signer": all_of_signer,
        "paused": told,
        "missed": missed,
    }
    form = "json" if as_json else output
    show_document("token.revocation", document, str(document["id"]), output=form)


def _told(
    cluster: Cluster, revocation: Revocation | SignerRevocation, opened: Token
) -> tuple[dict[str, int], list[str]]:
    """Tell all nodes, and return how many agents paused at each, and which nodes were not told: they hear it from the others.

    One that says no does not keep the others from being told. Raises CliError when none takes it.
    """
    refused: dict[str, CliError] = {}
    token = opened.with_secret(None)  # its secret is nobody's business
    body = Map({"revocation": revocation.to_bytes(), "token": token.to_bytes()})
    told, missed = each_node(
        cluster, lambda client: int(client.request("token.revoke", body)["paused"]), refused=refused
    )
    for name, count in told.items():
        note(f"{name}: revoked, {count} agents paused")
    if not told and refused:
        raise next(iter(refused.values()))
    if not told:
        raise none_reached(missed)
    for error in refused.values():
        note(f"refused by {error}")
    left = [*missed, *refused]
    if left:
        note(f"not told: {', '.join(left)}; they hear it from the others when they are back")
    return told, left
