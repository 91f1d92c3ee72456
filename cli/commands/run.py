"""`yin run`: a program on an ephemeral node.

Is:     a program, its agent on a node that lives as long as that, its value.
Is not: an interpreter inside the command: the daemon that runs the program is a child process.
Fits:   on `cli.ephemeral` and `yin spawn`'s parts. The agent may do everything on its own node, which holds nothing.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli.commands.agents import await_agent, finish, parse_arguments, spawn_agent
from cli.ephemeral import NODE, ephemeral_node
from cli.errors import CliError, Exit
from cli.output import output_option
from cli.sources import SourceTexts, compile_or_fail, read_source


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-e", "expression", metavar="EXPR", help="The program itself instead of a file.")
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="K=V",
    help="An entry of *args*; V is EDN, a bare word is a string.",
)
@click.option(
    "--mem",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    metavar="MB",
    help="How large the heap may grow.",
)
@click.option(
    "--mode",
    type=click.Choice(["direct", "compiled", "hybrid"]),
    default="compiled",
    show_default=True,
    help="Run the AST itself, compiled code, or the AST until it gets hot; what comes out is the same.",
)
@output_option
def run(
    file: Path | None,
    expression: str | None,
    arguments: tuple[str, ...],
    mem: int,
    mode: str,
    output: str,
    as_json: bool,
) -> None:
    """Run FILE (or -e EXPR) and print the value of its last form as EDN."""
    if (file is None) == (expression is None):
        raise CliError("give a FILE or -e EXPR", exit_code=Exit.USAGE)
    text = expression if expression is not None else read_source(file)  # type: ignore[arg-type]
    source_name = str(file) if file is not None else "<expr>"
    program = compile_or_fail(text, source_name, file)  # before a node is started for nothing
    with ephemeral_node(memory_max=mem << 20, mode=mode) as own:
        agent = spawn_agent(
            own.cluster,
            NODE,
            text,
            source_name,
            tokens=[own.token],
            arguments=parse_arguments(arguments),
            name=file.stem if file is not None else "expr",
            memory=mem << 20,
            program=program,
        )
        place, row = await_agent(own.cluster, NODE, agent, follow=True)
        finish(
            place,
            row,
            output="json" if as_json else output,
            sources=SourceTexts(source_name, text, file),
        )
