"""`yin cluster`: a cluster's root, whom it lets admit nodes, and tickets.

Is:     making a cluster, appointing and dismissing nodes, tickets, changing the root's key.
Is not: single nodes (`cli.commands.node`), or starting daemons (`yin up`, or `yind --config` on the node's host).
Fits:   on `cli.cluster` and `cli.membership`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from capabilities.keys import PublicKey
from capabilities.statements import Appointment, Power, Record, Statement, Succession
from cli import membership
from cli.cluster import Cluster, check_name, check_published, create, now_s
from cli.connect import cluster_of, connected, missed_facts, missed_text, told_missed
from cli.durations import lasting, overlap_option
from cli.errors import CliError, Exit
from cli.holders import holders
from cli.moments import moment_of
from cli.output import Column, note, output_option, show_document, show_rows
from datomstore.value import Map

YEAR_S = 365 * 24 * 3600


@click.group()
def cluster() -> None:
    """Make a cluster; say who may admit nodes; make tickets."""


@cluster.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="The cluster's name. [default: the folder's]")
@output_option
def cluster_init(folder: Path, name: str | None, output: str, as_json: bool) -> None:
    """Make a cluster in FOLDER: root key, operator key and token, empty membership. Prints the root's public key."""
    made = create(folder, name=name or folder.resolve().name, now_s=now_s())
    document = {"name": made.name, "root": made.root.text, "folder": str(folder)}
    form = "json" if as_json else output
    show_document("cluster", document, made.root.text, output=form, identity="root")
    note(
        f"made cluster {made.name}; what is printed is its root's public text, for yin join --root"
    )
    note(f"{folder}/root.key signs members and tokens: keep it safe")
    note(f"  next: yin --cluster {folder} node add alpha --listen HOST:PORT")


@cluster.command("appoint")
@click.argument("node")
@click.option("--ttl", default="90d", show_default=True, help="For how long, such as 2h, 7d.")
@click.option("--may-remove", is_flag=True, help="It may put nodes out, too.")
@output_option
@click.pass_context
def cluster_appoint(
    ctx: click.Context, node: str, ttl: str, may_remove: bool, output: str, as_json: bool
) -> None:
    """Let NODE admit new nodes, so that the root's key can be put away."""
    opened = cluster_of(ctx)
    powers = Power.ADMIT | Power.REMOVE if may_remove else Power.ADMIT
    fact = membership.appoint(opened, node, powers, lasting(ttl, "an appointment"))
    _show(fact, node, "json" if as_json else output)
    note(f"  next: yin cluster ticket {node}")


@cluster.command("dismiss")
@click.argument("node")
@click.option("--void", is_flag=True, help="Whom it has admitted is out, too: its key was stolen.")
@output_option
@click.pass_context
def cluster_dismiss(ctx: click.Context, node: str, void: bool, output: str, as_json: bool) -> None:
    """Take back that NODE may admit nodes."""
    fact = membership.dismiss(cluster_of(ctx), node, void=void)
    _show(fact, node, "json" if as_json else output)


def _show(fact: Appointment, node: str, output: str) -> None:
    powers = [str(power.name).lower() for power in Power if power in fact.powers]
    document = {"node": node, "powers": powers, "from": fact.from_s, "until": fact.until_s}
    text = f"{node} admits nobody from now on"
    if powers and fact.until_s > now_s():
        text = f"{node} may {' and '.join(powers)} until {moment_of(fact.until_s)}"
    show_document("cluster.appointment", document, text, output=output, identity="node")


@cluster.command("ticket")
@click.argument("node")
@click.option("--name", default="", help="The only name it admits. [default: any]")
@click.option("--ttl", default="15m", show_default=True, help="How long it is good.")
@click.option(
    "--address", default="", metavar="HOST:PORT", help="Where the new machine reaches NODE."
)
@output_option
@click.pass_context
def cluster_ticket(
    ctx: click.Context, node: str, name: str, ttl: str, address: str, output: str, as_json: bool
) -> None:
    """Print a ticket with which one machine can join by way of NODE, once."""
    opened = cluster_of(ctx)
    if name:
        check_name(name)
    if address:
        check_published(address)
    body = Map({"name": name, "ttl_s": lasting(ttl, "a ticket"), "address": address})
    try:
        with connected(opened, node) as client:
            answer = client.request("ticket.issue", body)
    except CliError as error:
        if error.exit_code is Exit.DENIED and not error.hint:
            error.hint = f"yin cluster appoint {node}"
        raise
    document = {"ticket": answer["ticket"], "id": answer["id"].hex(), "until": answer["until"]}
    show_document(
        "cluster.ticket", document, answer["ticket"], output="json" if as_json else output
    )
    root = opened.members.root.text
    note(
        f"  next, on the new machine: yin join TICKET --name NAME --listen HOST:PORT --root {root}"
    )


@cluster.command("tickets")
@click.argument("node")
@output_option
@click.pass_context
def cluster_tickets(ctx: click.Context, node: str, output: str, as_json: bool) -> None:
    """List the tickets of NODE and whether they were used."""
    with connected(cluster_of(ctx), node) as client:
        answer = client.request("ticket.list")["value"]
    rows = [{**dict(row.items()), "id": row["id"].hex()} for row in answer]
    columns = [
        Column("id", "TICKET"),
        Column("name", "FOR"),
        Column("until", "UNTIL", form=moment_of),
        Column("used", "USED", form=lambda used: "yes" if used else "no"),
    ]
    show_rows("cluster.tickets", rows, columns, output="json" if as_json else output)


@cluster.command("rotate")
@overlap_option("7d")
@output_option
@click.pass_context
def cluster_rotate(ctx: click.Context, overlap_s: int, output: str, as_json: bool) -> None:
    """Give the cluster another root key, while it runs.

    What the old key said is said again by the new one, and the operator gets a new token. Tokens of the old root count
    until the overlap is over: mint those that are needed longer anew. The agents that hold some are named.
    """
    opened = cluster_of(ctx)
    old = opened.members.root
    new = membership.rotate_root(opened, overlap_s).members.root
    until_s = now_s() + overlap_s
    names, missed = holders(opened, old)
    document = {"old": old.text, "new": new.text, "until": until_s, "agents": names}
    text = (
        f"{opened.name} has the root {new.text}\n"
        f"  the one before, {old.text}, holds until {moment_of(until_s)}, and its tokens with it"
    )
    more = missed_facts(missed) if missed else {}
    form = "json" if as_json else output
    show_document("cluster.rotation", {**document, **more}, text, output=form, identity="new")
    if names:
        note(f"agents that pause then unless they get other tokens: {', '.join(names)}")
        note("  next: yin token renew --all AGENT")
    if missed:
        note(f"{missed_text(missed)}: agents there hold tokens of the former root, too")


@cluster.command("sync")
@output_option
@click.pass_context
def cluster_sync(ctx: click.Context, output: str, as_json: bool) -> int:
    """Take over what the nodes know of the cluster, tell them what they do not, and list it."""
    opened = cluster_of(ctx)
    missed = membership.sync(opened)
    membership.renew_operators(opened)
    membership.say(opened, *opened.ledger)
    names = _names(opened)
    rows = sorted((_row(statement, names) for statement in opened.ledger), key=_kind)
    columns = [Column("kind", "KIND"), Column("about", "ABOUT"), Column("signed_by", "SIGNED BY")]
    form, more = "json" if as_json else output, missed_facts(missed)
    show_rows("cluster.statements", rows, columns, output=form, more=more)
    return told_missed(missed)


def _names(opened: Cluster) -> dict[PublicKey, str]:
    """Return whose keys they are that members have, and had."""
    members = opened.members
    named = [(members.root, "the root"), *((member.key, member.name) for member in members)]
    names: dict[PublicKey, str] = {}
    for current, name in named:
        key, words = members.lineage.predecessor(current), f"{name}, a former key"
        names[current] = name
        while key is not None and key not in names:
            names[key] = words
            key = members.lineage.predecessor(key)
    return names


def _kind(row: dict[str, object]) -> tuple[str, str, int]:
    return str(row["kind"]), str(row["about"]), int(str(row["seq"]))


def _row(statement: Statement, names: Mapping[PublicKey, str]) -> dict[str, object]:
    def named(key: PublicKey) -> str:
        return names.get(key, key.text)

    signer = statement.signer
    row: dict[str, object] = {
        "id": statement.id.hex(),
        "signer": signer.text,
        "signed_by": named(signer),
    }
    match statement.fact:
        case Record(name, role, key, _, _, seq, at_s, removed):
            kind = "removal" if removed else "member"
            more = {"name": name, "role": role, "key": key.text, "seq": seq, "at": at_s}
            return {**row, "kind": kind, "about": f"{role} {name}", **more}
        case Appointment(key, powers, from_s, until_s, seq):
            more = {"key": key.text, "powers": int(powers), "from": from_s, "until": until_s}
            return {**row, "kind": "appointment", "about": named(key), "seq": seq, **more}
        case Succession(old, new, from_s, until_s, seq, _):
            more = {"old": old.text, "new": new.text, "from": from_s, "until": until_s}
            return {**row, "kind": "succession", "about": named(old), "seq": seq, **more}
