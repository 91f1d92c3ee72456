"""`yin up` and `yin down`: a development fleet on this machine.

Is:     making a cluster of loopback nodes if there is none, starting and stopping its daemons.
Is not: for production: there every host runs its own `yind`.
Fits:   the first thing a person types; everything afterwards finds the fleet by the same folder.
"""

from __future__ import annotations

import time

import click

from cli import membership
from cli.cluster import add_node, create, current_folder, open_cluster
from cli.errors import CliError, Exit
from cli.fleet import start_node, stop_node
from cli.output import Column, note, output_option, show_rows

NODE_NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


@click.command()
@click.option(
    "--nodes", type=click.IntRange(1, len(NODE_NAMES)), help="How many nodes. [default: 3]"
)
@output_option
@click.pass_context
def up(ctx: click.Context, nodes: int | None, output: str, as_json: bool) -> None:
    """Start a development fleet: alpha, beta, gamma on loopback."""
    folder = current_folder(ctx.find_root().obj["cluster"])
    if (folder / "cluster.toml").exists():
        cluster = open_cluster(folder)
    else:
        cluster = create(folder, name="dev", now_s=time.time_ns() // 10**9)
    names = {member.name for member in cluster.nodes()}
    fresh: list[str] = []
    for name in NODE_NAMES[: nodes or (0 if names else 3)]:
        if name not in names:
            add_node(cluster, name, listen="127.0.0.1:0")
            fresh.append(name)
    if fresh and names:
        membership.tell(cluster, sorted(names))  # those that run already
    rows = [
        {
            "name": member.name,
            "address": member.addresses[0],
            "pid": start_node(cluster, member.name),
        }
        for member in cluster.nodes()
    ]
    columns = [
        Column("name", "NODE"),
        Column("address", "ADDRESS"),
        Column("pid", "PID", right=True),
    ]
    show_rows("fleet", rows, columns, output="json" if as_json else output, identity="name")
    note(f"cluster in {folder}; `yin node ls` shows it, `yin down` stops it")


@click.command()
@click.pass_context
def down(ctx: click.Context) -> None:
    """Stop the development fleet; its data stays."""
    cluster = open_cluster(current_folder(ctx.find_root().obj["cluster"]))
    stopped = [name for name in cluster.names_here() if stop_node(cluster.node_folder(name))]
    if not stopped:
        raise CliError("no node of this cluster is running here", exit_code=Exit.NOT_FOUND)
    note(f"stopped {', '.join(stopped)}")
