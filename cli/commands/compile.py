"""`yin compile`: every station of the compiler, as text.

Is:     the compiler run here, without any node.
Is not: a way to make code that a node accepts: a node compiles what it is sent itself.
Fits:   on `yang.render`.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli.errors import CliError, Exit
from cli.sources import compile_or_fail, host_of, read_source


@click.command("compile")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--emit",
    type=click.Choice(["forms", "expanded", "ast", "datoms", "exec", "asm", "clojure"]),
    default="exec",
    show_default=True,
    help="Which station to show.",
)
def compile_(file: Path, emit: str) -> None:
    r"""Show what FILE compiles to.

    \b
    forms     what was read             datoms   the facts of the tree
    expanded  core forms                exec     execution steps
    ast       the Universal AST         asm      packed instructions
    clojure   source text of the tree, which compiles to the same hash
    """
    from yang.errors import SourceError, SourceErrors
    from yang.render import render

    text = read_source(file)
    if emit not in ("forms", "expanded", "ast"):
        compile_or_fail(text, str(file), file)
    try:
        click.echo(render(text, str(file), emit, host_of(file)))
    except (SourceError, SourceErrors) as error:
        raise CliError(str(error), exit_code=Exit.FAILURE) from error
