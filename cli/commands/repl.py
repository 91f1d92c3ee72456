"""`yin repl`: enter code, see its value, on a node of one's own or on one of the cluster.

Is:     where entries come from (a terminal, or standard input as a script) and where texts go.
Is not: what an entry does (`cli.repl.entries`).
Fits:   on `cli.repl`. Without --node an ephemeral node is started, as for `yin run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from capabilities.tokens import Token
from cli.cluster import Cluster
from cli.connect import cluster_of
from cli.ephemeral import NODE, ephemeral_node
from cli.errors import CliError, Exit
from cli.holding import read_token
from cli.output import seen
from cli.repl.entries import COMMAND, Console, Entries
from cli.repl.evaluation import INTERRUPTED, Evaluation, SessionOver
from cli.sources import host_of
from datomstore import edn

SCRIPT = "<stdin>"


@click.command()
@click.option("--node", metavar="NODE", help="Evaluate on this node. [default: one of its own]")
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="@FILE|-",
    help="What the code may do on the node; may be given again.",
)
@click.option(
    "--load", "files", multiple=True, type=click.Path(path_type=Path), help="A file to load first."
)
@click.option(
    "--mem",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="MB",
    help="How large the heap may grow.",
)
@click.option(
    "--fuel",
    type=click.IntRange(1),
    help="How much may be computed in all; `yin resume AGENT --fuel N` allows more.",
)
@click.option("--resume", "agent", metavar="AGENT", help="Go on with a session that was kept.")
@click.option("--keep", is_flag=True, help="Leave the session's agent on its node at the end.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="[env: NO_COLOR]",
)
@click.pass_context
def repl(
    ctx: click.Context,
    node: str | None,
    tokens: tuple[str, ...],
    files: tuple[Path, ...],
    mem: int,
    fuel: int | None,
    agent: str | None,
    keep: bool,
    color: str,
) -> int:
    """Evaluate what is typed; with standard input from elsewhere, run it as a script."""
    from yang.session import Session

    if agent is not None and (node or tokens or fuel):
        raise CliError(
            "a session that is resumed has its node, tokens and fuel", exit_code=Exit.USAGE
        )
    session = Session(
        host_of(Path.cwd() / "session"), lambda path: Path(path).read_text(encoding="utf-8")
    )
    with ExitStack() as stack:
        if agent is not None:
            evaluation = Evaluation.resumed(cluster_of(ctx), agent, session, printed=click.echo)
        else:
            place = stack.enter_context(_place(ctx, node, tokens, mem << 20))
            evaluation = Evaluation.begun(
                place.cluster,
                place.node,
                session,
                tokens=place.tokens,
                memory_max=mem << 20,
                fuel_max=fuel,
                printed=click.echo,
            )
        if not keep:
            stack.callback(evaluation.end)
        is_script = not sys.stdin.isatty()
        in_color = _in_color(color)
        entries = Entries(session, evaluation, _console(in_color), is_script=is_script)
        for file in files:
            code = entries.enter(f"(load-file {edn.write(str(file))})")
            if code is not Exit.OK:
                return code
        return _script(entries) if is_script else _conversation(entries, in_color=in_color)


class Place(NamedTuple):
    """Where a session begins, and with which tokens."""

    cluster: Cluster
    node: str
    tokens: list[Token]


@contextmanager
def _place(
    ctx: click.Context, node: str | None, tokens: tuple[str, ...], memory_max: int
) -> Iterator[Place]:
    """Yield the place that the command line means."""
    if node is not None:
        yield Place(cluster_of(ctx), node, [read_token(token) for token in tokens])
        return
    with ephemeral_node(memory_max=memory_max) as own:
        yield Place(own.cluster, NODE, [own.token])


def _in_color(wish: str) -> bool:
    if wish == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return wish == "always"


def _console(in_color: bool) -> Console:
    def value(text: str) -> None:
        from cli.repl.prompt import coloured

        click.echo(coloured(text))

    def wrong(text: str) -> None:
        text = seen(text)
        click.echo(click.style(text, fg="red") if in_color else text, err=True)

    return Console(value if in_color else click.echo, wrong, click.echo)


def _script(entries: Entries) -> Exit:
    """Evaluate standard input up to the first thing that goes wrong."""
    return entries.enter(sys.stdin.read(), SCRIPT)


def _conversation(entries: Entries, *, in_color: bool) -> Exit:
    """Evaluate entries until there are no more."""
    from cli.repl.prompt import Terminal, history_path, open_history

    terminal = Terminal(entries, history=open_history(history_path()), in_color=in_color)
    click.echo(f"yin session; {COMMAND}help tells what there is, Ctrl-D leaves", err=True)
    while True:
        try:
            text = terminal.read()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return Exit.OK
        if text.strip() == f"{COMMAND}quit":
            return Exit.OK
        if text.strip():
            _entered(entries, text)


def _entered(entries: Entries, text: str) -> None:
    """Evaluate an entry; what a node refuses, or a person gives up, is told and the session goes on."""
    try:
        entries.enter(text)
    except KeyboardInterrupt:
        entries.console.wrong(INTERRUPTED)
    except SessionOver:
        raise
    except CliError as error:
        entries.console.wrong("\n  try: ".join(filter(None, [str(error), error.hint])))
