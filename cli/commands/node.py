"""`yin node` and `yin join`: single nodes of a cluster.

Is:     adding, admitting, listing and removing nodes, and changing a node's key.
Is not: the cluster's root and tickets (`cli.commands.cluster`).
Fits:   on `cli.cluster` and `cli.membership`.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from capabilities.errors import KeyInvalid
from capabilities.keys import PublicKey
from cli import membership
from cli.agent_rows import OVER
from cli.cluster import Cluster, add_node
from cli.connect import cluster_of, connected, missed_names
from cli.durations import overlap_option
from cli.errors import CliError, Exit, NotReached
from cli.moments import moment_of
from cli.output import Column, note, output_option, show_document, show_rows
from datomstore.value import Map

ADDRESS = click.option(
    "--address", metavar="HOST:PORT", help="Where others reach it. [default: as it listens]"
)


@click.group()
def node() -> None:
    """Add, admit, list, move and remove nodes; change a node's key."""


@node.command("add")
@click.argument("name")
@click.option(
    "--listen", required=True, metavar="HOST:PORT", help="Where it will listen; port 0 picks one."
)
@ADDRESS
@output_option
@click.pass_context
def node_add(
    ctx: click.Context, name: str, listen: str, address: str | None, output: str, as_json: bool
) -> None:
    """Make node NAME here, with the root's key, and tell the nodes that run."""
    opened = cluster_of(ctx)
    before = [member.name for member in opened.nodes()]
    member = add_node(opened, name, listen=listen, address=address)
    _, missed = membership.tell(opened, before)
    settings = opened.node_folder(name) / "yind.toml"
    document = {
        "name": name,
        "address": member.addresses[0],
        "key": member.key.text,
        "settings": str(settings),
    }
    line = f"{name} {member.addresses[0]} {member.key.text}"
    form = "json" if as_json else output
    show_document("node.added", document, line, output=form, identity="name")
    if missed and len(missed) < len(before):
        note(f"not told: {missed_names(missed)}; they hear it from the others")
    note(f"  next: yind --config {settings}")


@click.command()
@click.argument("ticket")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--name", default=socket.gethostname, show_default="this machine's", help="Its name.")
@click.option("--listen", default="0.0.0.0:7400", show_default=True, metavar="HOST:PORT")
@ADDRESS
@click.option("--root", metavar="KEY", help="Join no cluster but the one with this root.")
@output_option
def join(
    ticket: str,
    folder: Path,
    name: str,
    listen: str,
    address: str | None,
    root: str | None,
    output: str,
    as_json: bool,
) -> None:
    """Make this machine a node of the cluster that issued TICKET (or - to read it), in FOLDER."""
    text = sys.stdin.read() if ticket == "-" else ticket
    try:
        expected = None if root is None else PublicKey.parse(root)
    except KeyInvalid as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from None
    made = membership.join(
        text.strip(),
        folder,
        name=name,
        listen=listen,
        address=address or listen,
        root=expected,
    )
    members = made.members
    own = members.node(name)
    assert own is not None, "an admission says so"
    document = {
        "name": name,
        "key": own.key.text,
        "root": made.root.text,
        "nodes": len(made.nodes()),
    }
    lines = f"{name} {own.addresses[0]} {own.key.text}"
    form = "json" if as_json else output
    show_document("node.admission", document, lines, output=form, identity="name")
    note(f"the cluster's root is {made.root.text}")
    note(f"  next: yind --config {folder / 'yind.toml'}")


node.add_command(join)


@node.command("move")
@click.argument("name")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where others reach it now.")
@output_option
@click.pass_context
def node_move(ctx: click.Context, name: str, address: str, output: str, as_json: bool) -> None:
    """Say, with the root's key, that node NAME is reached at another address."""
    member = membership.move(cluster_of(ctx), name, address)
    document = {"name": name, "address": address, "key": member.key.text}
    line = f"{name} {address} {member.key.text}"
    form = "json" if as_json else output
    show_document("node.move", document, line, output=form, identity="name")


@node.command("leave")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, though agents are there.")
@output_option
@click.pass_context
def node_leave(ctx: click.Context, name: str, yes: bool, output: str, as_json: bool) -> None:
    """Put node NAME out: its connections end at once, nobody takes its agents. Its data stays where it is."""
    opened = cluster_of(ctx)
    there = _agents_at(opened, name)
    if there and not yes:
        _ask(f"{there}; they stay with it, and nobody takes them from it. Put {name} out?")
    membership.remove(opened, name)
    text = f"{name} is out" + (f"; what is there stays there: {there}" if there else "")
    form = "json" if as_json else output
    show_document("node.left", {"name": name}, text, output=form, identity="name")


def _agents_at(opened: Cluster, name: str) -> str:
    """Return how many agents a node has that have not ended, in words; "" for none."""
    try:
        with connected(opened, name) as client:
            states = client.request("node.info")["agents"]
    except NotReached as error:
        return f"how many agents are on {name} is not known ({error})"
    count = sum(number for state, number in states.items() if state not in OVER)
    plural = "agent is" if count == 1 else "agents are"
    return f"{count} {plural} on {name}" if count else ""


def _ask(question: str) -> None:
    """Return if a person says yes. Raises CliError when nobody can be asked, Abort when they say no."""
    if not sys.stdin.isatty():
        raise CliError(question, exit_code=Exit.USAGE, hint="the same with --yes")
    click.confirm(question, abort=True, err=True)


@node.command("rotate")
@click.argument("name")
@overlap_option("1d")
@click.option(
    "--force", is_flag=True, help="Although agents there hold tokens that name the key before."
)
@output_option
@click.pass_context
def node_rotate(
    ctx: click.Context, name: str, overlap_s: int, force: bool, output: str, as_json: bool
) -> None:
    """Give node NAME another key, while it runs."""
    opened = cluster_of(ctx)
    try:
        with connected(opened, name) as client:
            answer = client.request("node.rotate", Map({"overlap_s": overlap_s, "force": force}))
    except CliError as error:
        if error.exit_code is Exit.CONFLICT and "force" in str(error):
            error.hint = f"yin token renew --all AGENT, for each; or yin node rotate {name} --force"
        raise
    membership.sync(opened)
    document = {"name": name, **dict(answer.items())}
    text = (
        f"{name} has the key {answer['new']}\n"
        f"  the one before, {answer['old']}, holds until {moment_of(answer['until'])}"
    )
    form = "json" if as_json else output
    show_document("node.rotation", document, text, output=form, identity="new")


@node.command("ls")
@output_option
@click.pass_context
def node_ls(ctx: click.Context, output: str, as_json: bool) -> None:
    """List the nodes and whether they answer."""
    opened = cluster_of(ctx)
    membership.sync(opened)
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
    address = member.addresses[0] if member.addresses else "-"
    row: dict[str, object] = {"name": name, "address": address, "key": member.key.text}
    try:
        with connected(opened, name) as client:
            info = client.request("node.info")
    except NotReached as error:
        return {**row, "state": error.state, "why": str(error), "streams": "-", "agents": "-"}
    agents = sum(info["agents"].values())
    return {**row, "state": "up", "streams": info["streams"], "agents": agents}
