"""`yin cluster init`, `yin node add`, `yin node ls`.

Is:     making clusters and nodes, listing nodes and whether they answer.
Is not: starting daemons (`yin up`, or `yind --config` on the node's host).
Fits:   on `cli.cluster`.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from cli.cluster import Cluster, add_node, create
from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.output import Column, note, output_option, show_rows


@click.group()
def cluster() -> None:
    """Make a cluster."""


@cluster.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="The cluster's name. [default: the folder's]")
def cluster_init(folder: Path, name: str | None) -> None:
    """Make a cluster in FOLDER: root key, operator key and token, empty membership."""
    made = create(folder, name=name or folder.resolve().name, now_s=time.time_ns() // 10**9)
    click.echo(made.root.text)
    note(f"{folder}/root.key signs members and tokens: keep it safe")
    note(f"  next: yin --cluster {folder} node add alpha --listen HOST:PORT")


@click.group()
def node() -> None:
    """Add and list nodes."""


@node.command("add")
@click.argument("name")
@click.option(
    "--listen", required=True, metavar="HOST:PORT", help="Where it will listen; port 0 picks one."
)
@click.pass_context
def node_add(ctx: click.Context, name: str, listen: str) -> None:
    """Make node NAME and sign it into the membership."""
    opened = cluster_of(ctx)
    member = add_node(opened, name, listen=listen)
    click.echo(f"{name} {member.addresses[0]} {member.key.text}")
    note(f"  next: yind --config {opened.node_folder(name) / 'yind.toml'}")


@node.command("ls")
@output_option
@click.pass_context
def node_ls(ctx: click.Context, output: str, as_json: bool) -> None:
    """List the nodes and whether they answer."""
    opened = cluster_of(ctx)
    rows = [_row(opened, member.name) for member in opened.nodes()]
    columns = [
        Column("name", "NODE"),
        Column("state", "STATE"),
        Column("address", "ADDRESS"),
        Column("streams", "STREAMS", right=True),
        Column("agents", "AGENTS", right=True),
        Column("key", "KEY"),
    ]
    show_rows("node.list", rows, columns, output="json" if as_json else output, identity="name")


def _row(opened: Cluster, name: str) -> dict[str, object]:
    member = opened.node(name)
    row: dict[str, object] = {"name": name, "address": member.addresses[0], "key": member.key.text}
    try:
        with connected(opened, name) as client:
            info = client.request("node.info")
    except CliError as error:
        if error.exit_code is not Exit.UNREACHABLE:
            raise
        return {**row, "state": "down", "streams": "-", "agents": "-"}
    agents = sum(info["agents"].values())
    return {**row, "state": "up", "streams": info["streams"], "agents": agents}
