"""`yin key new|show`: a person's own key, to hold tokens with.

Is:     a fresh key in a file that only its owner reads; its public text, which others bind tokens to.
Is not: the keys of nodes and clusters (`yin node`, `yin cluster`).
Fits:   `yin token ... --to KEY` binds to it, YIN_KEY_FILE uses it.
"""

from __future__ import annotations

from pathlib import Path

import click

from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, load_private, save_private
from cli.errors import CliError, Exit


@click.group()
def key() -> None:
    """Make and show keys that hold tokens."""


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
def key_new(file: Path) -> None:
    """Write a new key to FILE (mode 0600) and print its public text."""
    if file.exists():
        raise CliError(f"{file} exists already", exit_code=Exit.CONFLICT)
    made = PrivateKey.generate()
    save_private(file, made)
    click.echo(made.public.text)


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
def key_show(file: Path) -> None:
    """Print the public text of the key in FILE."""
    try:
        click.echo(load_private(file).public.text)
    except (CapabilityError, OSError) as error:
        raise CliError(f"{file}: {error}", exit_code=Exit.AUTHENTICATION) from error
