"""The `yin` command: find the subcommand, run it, turn errors into exit codes.

Is:     the root group, whose subcommands are imported only when they are used.
Is not: any command's work (`cli.commands`).
Fits:   the entry point of the package; `import cli.main` costs no more than click.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

import click

from cli.errors import MEANS, CliError, Exit

VERSION = "0.1.0"

# name -> (module, attribute, one line of help); the help stands here so that `yin --help` imports nothing.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": (
        "cli.commands.demo",
        "demo",
        "Three nodes, real data, an agent that travels: see it work.",
    ),
    "up": ("cli.commands.fleet", "up", "Start a development fleet on this machine."),
    "down": ("cli.commands.fleet", "down", "Stop the development fleet."),
    "cluster": ("cli.commands.cluster", "cluster", "Make a cluster, tickets, and say who admits."),
    "node": ("cli.commands.node", "node", "Add, list and remove nodes, change their keys."),
    "join": ("cli.commands.node", "join", "Make this machine a node, with a ticket."),
    "run": ("cli.commands.run", "run", "Run a program on an ephemeral node and print its value."),
    "repl": ("cli.commands.repl", "repl", "Enter code and see its value, here or on a node."),
    "compile": ("cli.commands.compile", "compile_", "Show what a program compiles to."),
    "refactor": (
        "cli.commands.refactor",
        "refactor",
        "Rename, or extract a function, in source files.",
    ),
    "lint": ("cli.commands.lint", "lint", "Tell what is wrong, dead, unused or odd in programs."),
    "stream": ("cli.commands.stream", "stream", "List, make, import, export and watch streams."),
    "q": ("cli.commands.query", "q", "Ask a Datalog query."),
    "verify": ("cli.commands.store", "verify", "Check stored streams."),
    "rebuild": ("cli.commands.store", "rebuild", "Make indexes anew from the logs."),
    "compact": ("cli.commands.store", "compact", "Give back what is free in a data folder."),
    "backup": ("cli.commands.store", "backup", "Copy a node's data, running or not."),
    "restore": ("cli.commands.store", "restore", "Make a backup the data of a node."),
    "excise": ("cli.commands.store", "excise", "Remove facts for good, history and log included."),
    "key": ("cli.commands.key", "key", "Make, show and change keys that hold tokens."),
    "token": ("cli.commands.token", "token", "Mint, narrow, read and revoke tokens."),
    "spawn": ("cli.commands.agents", "spawn", "Start an agent."),
    "ps": ("cli.commands.agents", "ps", "List agents."),
    "show": ("cli.commands.agents", "show", "Show one agent: state, where it stands, locals, log."),
    "result": ("cli.commands.agents", "result", "Print an agent's result."),
    "pause": ("cli.commands.agents", "pause", "Stop agents where they are."),
    "resume": ("cli.commands.agents", "resume", "Let paused agents go on."),
    "kill": ("cli.commands.agents", "kill", "End agents."),
    "migrate": ("cli.commands.agents", "migrate", "Move an agent to another node."),
    "policy": ("cli.commands.policy", "policy", "Ask what policies say of programs."),
    "audit": (
        "cli.commands.audit",
        "audit",
        "Show what was allowed and what was refused, and why.",
    ),
}


# What people type who know other tools -> what it is called here.
OTHER_WORDS = {
    "inspect": "show",
    "describe": "show",
    "logs": "show",
    "ls": "ps",
    "list": "ps",
    "stop": "pause",
    "start": "spawn",
    "move": "migrate",
    "status": "node ls",
    "nodes": "node ls",
    "streams": "stream ls",
    "query": "q",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when it is asked for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand; of a name that there is not, say what is meant most likely."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        import difflib

        meant = OTHER_WORDS.get(name) or next(iter(difflib.get_close_matches(name, COMMANDS)), None)
        raise CliError(
            f"no command {name!r}",
            exit_code=Exit.USAGE,
            hint=f"yin {meant}" if meant else "yin --help",
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what exit codes say."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), text) for code, text in MEANS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand. Where nobody reads on, it ends as other tools do, which is not how click does."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(128 + signal.SIGPIPE)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="yin")
@click.option(
    "--cluster",
    "cluster_folder",
    metavar="DIR",
    envvar="YIN_CLUSTER",
    help="The cluster's folder. [env: YIN_CLUSTER; else the profile's; else the development cluster]",
)
@click.option("--debug", is_flag=True, help="Show the stack of an error.")
@click.pass_context
def yin(ctx: click.Context, cluster_folder: str | None, debug: bool) -> None:
    """Programs that travel to the data, carry their authority, and can be asked anything."""
    ctx.obj = {"cluster": cluster_folder, "debug": debug}


def main(argv: list[str] | None = None) -> Any:
    """Run the command line and leave with its exit code."""
    # numpy's threads for linear algebra, which nothing here does, would spin for a while whenever it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = sys.argv[1:] if argv is None else argv
    try:
        status = yin.main(args=arguments, prog_name="yin", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        from cli.output import seen

        vars(error)["message"] = seen(error.message)  # it quotes what was typed
        error.show()
        sys.exit(Exit.USAGE)
    except CliError as error:
        if "--debug" in arguments:
            raise
        from cli.output import tell_error

        tell_error(error, "yin")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:
        if "--debug" in arguments:
            raise
        from cli.output import note, seen

        if isinstance(error, OSError) and error.filename is not None:  # of what a person named
            note(f"yin: {seen(str(error.filename))}: {error.strerror}")
            sys.exit(Exit.FAILURE)
        note(f"yin: internal error: {type(error).__name__}: {error}")
        note("  this is a fault of yin's own; `yin --debug ...` shows where")
        sys.exit(Exit.INTERNAL)
    sys.exit(status if isinstance(status, int) else Exit.OK)
