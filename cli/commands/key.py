"""`yin key new|show|rotate`: people's keys, to hold tokens with.

Is:     a fresh key in a file that only its owner reads; its public text, which others bind tokens to; another key for the operator.
Is not: the keys of nodes and clusters (`yin node rotate`, `yin cluster rotate`).
Fits:   `yin token ... --to KEY` binds to it, YIN_KEY_FILE uses it.
"""

from __future__ import annotations

from pathlib import Path

import click

from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, load_private, save_private
from cli.connect import cluster_of
from cli.durations import overlap_option
from cli.errors import CliError, Exit
from cli.output import output_option, show_document


@click.group()
def key() -> None:
    """Make, show and change keys that hold tokens."""


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
def key_new(file: Path) -> None:
    """Write a new key to FILE (mode 0600) and print its public text."""
    if file.exists():
        raise CliError(f"{file} exists already", exit_code=Exit.CONFLICT)
    made = PrivateKey.generate()
    try:
        save_private(file, made)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(made.public.text)


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
def key_show(file: Path) -> None:
    """Print the public text of the key in FILE."""
    try:
        click.echo(load_private(file).public.text)
    except (CapabilityError, OSError) as error:
        raise CliError(f"{file}: {error}", exit_code=Exit.AUTHENTICATION) from error


@key.command("rotate")
@overlap_option("7d")
@output_option
@click.pass_context
def key_rotate(ctx: click.Context, overlap_s: int, output: str, as_json: bool) -> None:
    """Give the operator, who this cluster's folder is, another key, while everything runs.

    Both keys let in until the overlap is over; other folders with the old key need the new one by then. Tokens that name the old key
    hold for the new one, one step; the operator's own token is bound to the new key at once.
    """
    from cli import membership

    step = membership.rotate_operator(cluster_of(ctx), overlap_s)
    document = {"old": step.old.text, "new": step.new.text, "until": step.until_s}
    form = "json" if as_json else output
    show_document("key.rotation", document, step.new.text, output=form)
