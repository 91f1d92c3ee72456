"""`yin run`: a program on an ephemeral node.

Is:     a cluster of one node in a temporary folder, for as long as the program runs.
Is not: an interpreter inside the command: the daemon that runs the program is a child process.
Fits:   on `cli.fleet` and `yin spawn`'s parts. The agent may do everything on its own node, which holds nothing.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from capabilities.caveats import Caveats, Rights
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS, add_node, create
from cli.commands.agents import await_agent, finish, parse_arguments, spawn_agent
from cli.errors import CliError, Exit
from cli.fleet import running
from cli.output import output_option
from cli.sources import compile_or_fail, read_source

NODE = "local"


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
    with tempfile.TemporaryDirectory(prefix="yin-run-") as folder:
        cluster = create(Path(folder), name="run", now_s=time.time_ns() // 10**9)
        add_node(cluster, NODE, listen="127.0.0.1:0")
        with running(
            cluster,
            [NODE],
            extra=("--memory-max", str(mem << 20), "--storage", "memory", "--mode", mode),
        ):
            exp = time.time_ns() // 10**9 + 24 * 3600
            rights = Caveats(exp=exp, rights=(Rights(ALL_VERBS, "**"),))
            token = mint(cluster.root_key, cluster.operator_key.public, rights)
            agent = spawn_agent(
                cluster,
                NODE,
                text,
                source_name,
                tokens=[token],
                arguments=parse_arguments(arguments),
                name=file.stem if file is not None else "expr",
                memory=mem << 20,
                program=program,
            )
            place, row = await_agent(cluster, NODE, agent, follow=True)
        finish(place, row, output="json" if as_json else output, sources={source_name: text})
