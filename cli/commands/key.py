"""`yin key new|show|rotate`: people's keys, to hold tokens with.

Is:     a fresh key in a file that only its owner reads; its public text, which others bind tokens to; another key for the operator.
Is not: the keys of nodes and clusters (`yin node rotate`, `yin cluster rotate`).
Fits:   `yin token ... --to KEY` binds to it, YIN_KEY_FILE uses it.
"""

from __future__ import annotations

from pathlib import Path

import click

from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey, load_private, save_private
from cli.connect import cluster_of
from cli.durations import overlap_option
from cli.errors import CliError, Exit
from cli.moments import moment_of
from cli.output import note, output_option, show_document


@click.group()
def key() -> None:
    """Make, show and change keys that hold tokens."""


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@output_option
def key_new(file: Path, output: str, as_json: bool) -> None:
    """Write a new key to FILE (mode 0600) and print its public text."""
    if file.exists():
        raise CliError(f"{file} exists already", exit_code=Exit.CONFLICT)
    made = PrivateKey.generate()
    try:
        save_private(file, made)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
    _show(file, made.public, "json" if as_json else output)
    note(f"wrote {file}, which is for its owner alone; what is printed is its public text")
    note("  next, whoever gives it a right: yin token attenuate @FILE --to TEXT")


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@output_option
def key_show(file: Path, output: str, as_json: bool) -> None:
    """Print the public text of the key in FILE."""
    try:
        public = load_private(file).public
    except CapabilityError as error:
        raise CliError(str(error), exit_code=Exit.AUTHENTICATION) from error
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error
    _show(file, public, "json" if as_json else output)


def _show(file: Path, public: PublicKey, output: str) -> None:
    """Print the public text alone, for commands that take it from here."""
    document = {"key": public.text, "file": str(file)}
    show_document("key", document, public.text, output=output, identity="key")


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

    opened = cluster_of(ctx)
    step = membership.rotate_operator(opened, overlap_s)
    document = {"old": step.old.text, "new": step.new.text, "until": step.until_s}
    text = (
        f"the operator of {opened.name} has the key {step.new.text}\n"
        f"  the one before, {step.old.text}, holds until {moment_of(step.until_s)}"
    )
    form = "json" if as_json else output
    show_document("key.rotation", document, text, output=form, identity="new")
    note(f"{opened.folder} has the new key, and its token is bound to it")
    note(
        "  next, until then: copy its operator.* and members to other folders that have the old key"
    )
    note("  next, after that: yin cluster sync, where the root's key is")
