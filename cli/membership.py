"""What a cluster's folder says about its members, and telling it to the nodes.

Is:     statements made with the root's key, told to every node that answers, and the nodes' own taken over into the folder.
Is not: what statements mean (`capabilities.membership`), or the nodes' way of telling each other.
Fits:   `yin cluster` and `yin node`. Nodes that do not answer hear it from the others when they are back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from capabilities.certificate import make_certificate
from capabilities.errors import MemberInvalid, TicketInvalid
from capabilities.keys import PrivateKey, PublicKey, load_private, save_private
from capabilities.membership import Ledger, Member
from capabilities.statements import (
    Appointment,
    Power,
    Record,
    Statement,
    Succession,
    sign,
)
from capabilities.tickets import Ticket
from cli.cluster import (
    Cluster,
    check_name,
    check_published,
    install_root,
    make_folder,
    now_s,
    parse_listen,
    settle_operator,
    write_settings,
)
from cli.connect import (
    Missed,
    each_node,
    known_node,
    missed_names,
    none_reached,
    reached,
    translated,
)
from cli.errors import CliError, Exit, exit_of
from cli.moments import moment_of
from cli.output import note
from datomstore.value import Map
from protocol.client import Client, apply
from protocol.errors import NoTickets
from protocol.joining import Application, Rejection, decode_answer

TOLD_MAX = 64  # statements in one message
LAST_WORD_S = 2.0  # for a node that was put out to hear of it


def say(cluster: Cluster, *statements: Statement) -> Missed:
    """Keep statements in the folder and tell them to every node that answers; return which were not reached."""
    cluster.say(*statements)
    told, missed = tell(cluster, [member.name for member in cluster.nodes()], statements)
    if missed:
        hope = "they hear it from the others" if told else "yin cluster sync tells them"
        hope += " when they are back"
        note(f"not told: {missed_names(missed)}; {hope}")
    return missed


def tell(
    cluster: Cluster, names: Sequence[str], statements: Sequence[Statement] | None = None
) -> tuple[dict[str, None], Missed]:
    """Tell nodes some statements, or all; return who heard and who did not answer.

    A node that says no is named, and does not keep the others from hearing. Raises CliError when nobody took them.
    """
    said = list(cluster.ledger) if statements is None else statements
    items = tuple(statement.data for statement in said)

    def say_to(client: Client) -> None:
        for start in range(0, len(items), TOLD_MAX):
            client.request("cluster.say", Map({"items": items[start : start + TOLD_MAX]}))

    refused: dict[str, CliError] = {}
    told, missed = each_node(cluster, say_to, names, refused=refused)
    if refused and not told:
        raise next(iter(refused.values()))
    for name, error in refused.items():
        note(f"{name} does not take it: {error}")
    return told, missed


def sync(cluster: Cluster) -> Missed:
    """Take over what the nodes know of the cluster; return those that were not reached."""
    # A node whose key was rotated long ago does not know us, nor we it; the others say what its key is.
    refused: dict[str, CliError] = {}
    answers, missed = each_node(cluster, _listed, refused=refused)
    for name, error in refused.items():
        note(f"{name} does not say what it knows: {error}")
    cluster.say(*(statement for found in answers.values() for statement in found))
    return missed


def _listed(client: Client) -> list[Statement]:
    found: list[Statement] = []
    after = b""
    while items := client.request("cluster.list", Map({"after": after}))["items"]:
        try:
            found += [Statement.from_bytes(item) for item in items]
        except MemberInvalid as error:
            raise CliError(f"it says what is no statement: {error}") from error
        after = found[-1].id
    return found


# -- what the root says --


def appoint(cluster: Cluster, name: str, powers: Power, seconds: int) -> Appointment:
    """Let a node admit others, or remove them, for a time. Raises CliError."""
    key = known_node(cluster, name).key
    known = cluster.members.appointment(key)
    fact = Appointment(
        key,
        powers,
        known.from_s if known is not None and known.powers else now_s() - 1,
        now_s() + seconds,
        1 if known is None else known.seq + 1,
    )
    say(cluster, sign(fact, cluster.root_key))
    return fact


def dismiss(cluster: Cluster, name: str, *, void: bool) -> Appointment:
    """Take a node's appointment back; with `void` as if it had never been. Raises CliError."""
    known = cluster.members.appointment(cluster.node(name).key)
    if known is None:
        raise CliError(f"node {name} is not appointed", exit_code=Exit.NOT_FOUND)
    until_s = known.from_s if void else min(known.until_s, now_s() - 1)
    fact = replace(
        known, powers=Power(0) if void else known.powers, until_s=until_s, seq=known.seq + 1
    )
    say(cluster, sign(fact, cluster.root_key))
    return fact


def move(cluster: Cluster, name: str, address: str) -> Member:
    """Say that a node is reached at another address. Raises CliError."""
    check_published(address)
    member = known_node(cluster, name)
    # While two keys hold, the record in force names the one that is followed; a record of the other would end its line.
    key, certificate = member.key, member.certificate
    if member.former is not None:
        key, certificate = member.former, member.former_certificate
    record = Record(name, "node", key, certificate, (address,), cluster.next_seq(name), now_s())
    say(cluster, sign(record, cluster.root_key))
    return cluster.node(name)


def remove(cluster: Cluster, name: str) -> None:
    """Put a node out of the cluster, and tell it, too. Raises CliError."""
    member = known_node(cluster, name)
    record = Record(
        name,
        "node",
        member.key,
        member.certificate,
        (),
        cluster.next_seq(name),
        now_s(),
        removed=True,
    )
    statement = sign(record, cluster.root_key)
    say(cluster, statement)
    # Last, and whatever it answers: nobody but its own log needs it to know.
    with suppress(CliError), reached(cluster, member) as client:
        client.request("cluster.say", Map({"items": (statement.data,)}), timeout_s=LAST_WORD_S)


def rotate_root(cluster: Cluster, overlap_s: int) -> Cluster:
    """Give the cluster another root; what the old one said is said again by the new one. Raises CliError."""
    members = cluster.members
    if members.former_root is not None:
        raise _still_holds("root", cluster, members.former_root)
    old, new = cluster.root_key, PrivateKey.generate()
    step = Succession(old.public, new.public, now_s(), now_s() + overlap_s, 1)
    again = [
        sign(statement.fact, new)
        for statement in cluster.ledger
        if statement.signer == old.public and not isinstance(statement.fact, Succession)
    ]
    following = cluster.folder / "root.key.next"
    following.unlink(missing_ok=True)
    save_private(following, new)
    say(
        cluster, sign(step, old, new), *again
    )  # with the old token: a node may not know the new root
    install_root(cluster)
    return cluster


# -- what the operator says --


def rotate_operator(cluster: Cluster, overlap_s: int) -> Succession:
    """Give the operator another key; one that was made before, and that a node may have heard of, is used. Raises CliError."""
    old = cluster.operator_key
    sync(cluster)
    settle_operator(cluster)
    if cluster.operator_key.public != old.public:
        return _step(cluster, old.public)  # an earlier attempt had come that far
    renew_operators(cluster)
    member = cluster.members.of_key(old.public)
    if member is None or member.key != old.public:
        raise CliError(
            "the cluster knows another key of yours: this folder's was rotated elsewhere",
            exit_code=Exit.AUTHENTICATION,
        )
    if member.former is not None:
        raise _still_holds("key", cluster, member.former)
    _announce(cluster, member.name, old, overlap_s)
    settle_operator(cluster)
    return _step(cluster, old.public)


def _still_holds(what: str, cluster: Cluster, former: PublicKey) -> CliError:
    """Return the error of who changes a key again too early."""
    until = moment_of(_until_s(cluster, former))
    return CliError(
        f"the former {what} holds until {until}, and nobody follows a follower: the next change is for after that",
        exit_code=Exit.CONFLICT,
    )


def _until_s(cluster: Cluster, old: PublicKey) -> int:
    """Return until when a key holds beside the one that follows it."""
    facts = (statement.fact for statement in cluster.ledger)
    return max(fact.until_s for fact in facts if isinstance(fact, Succession) and fact.old == old)


def _announce(cluster: Cluster, name: str, old: PrivateKey, overlap_s: int) -> None:
    """Tell the nodes which key follows the operator's; the folder hears of it when one of them has. Raises CliError."""
    following = cluster.folder / "operator.key.next"
    if not following.exists():
        save_private(following, PrivateKey.generate())
    new = load_private(following)
    certificate = make_certificate(new, name)
    step = Succession(old.public, new.public, now_s(), now_s() + overlap_s, 1, certificate)
    statement = sign(step, old, new)
    told, missed = tell(cluster, [member.name for member in cluster.nodes()], [statement])
    if not told:
        why = none_reached(missed)
        raise CliError(
            f"{why if missed else 'there is no node'}: your key is the one that it was",
            exit_code=why.exit_code,
            hint=why.hint,
        )
    cluster.say(statement)
    if missed:
        note(f"not told: {missed_names(missed)}; they hear it from the others when they are back")


def _step(cluster: Cluster, old: PublicKey) -> Succession:
    new = cluster.operator_key.public
    facts = (statement.fact for statement in cluster.ledger)
    return next(
        fact
        for fact in facts
        if isinstance(fact, Succession) and (fact.old, fact.new) == (old, new)
    )


def renew_operators(cluster: Cluster) -> None:
    """Say which keys operators have, where a former one is over and the root's key is here: who finds that one can do nothing."""
    if not (cluster.folder / "root.key").exists():
        return
    for member in cluster.members:
        if member.role == "operator" and member.renewable:
            seq = cluster.next_seq(member.name)
            record = Record(
                member.name, "operator", member.key, member.certificate, (), seq, now_s()
            )
            say(cluster, sign(record, cluster.root_key))


# -- a fresh machine --


def join(
    text: str, folder: Path, *, name: str, listen: str, address: str, root: PublicKey | None
) -> Cluster:
    """Make a node in a folder and have it admitted with a ticket. Raises CliError.

    What is there from an attempt that heard no answer is used again, so that the ticket is still good for it.
    """
    try:
        ticket = Ticket.parse(text)
    except TicketInvalid as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from None
    check_name(name)
    parse_listen(listen)
    check_published(address)
    key, certificate = _own_pair(folder, name)
    application = Application.make(
        ticket, name=name, addresses=(address,), certificate=certificate, root=root
    )
    with translated(f"at {ticket.address}", prove=""):
        try:
            answer = decode_answer(apply(ticket.address, ticket.node, application.to_bytes()))
        except NoTickets as error:
            raise CliError(
                f"not admitted: {error}, so this one has been used, or is over",
                exit_code=Exit.DENIED,
                hint="yin cluster ticket NODE, where the operator is, for another one",
            ) from error
    if isinstance(answer, Rejection):
        raise CliError(f"not admitted: {answer.message}", exit_code=exit_of(answer.code))
    if root is not None and answer.root != root:  # which an honest node says before it admits
        raise CliError(
            f"the node is of another cluster, whose root is {answer.root.text}",
            exit_code=Exit.AUTHENTICATION,
        )
    ledger = _checked(answer.root, answer.statements, key.public, ticket.node)
    (folder / "members").write_text(ledger.to_text())
    write_settings(folder, name, listen, members="members", root=answer.root)
    return Cluster(folder, name, answer.root)


def _own_pair(folder: Path, name: str) -> tuple[PrivateKey, bytes]:
    make_folder(folder)
    if (folder / "yind.toml").exists():
        raise CliError(f"{folder} is a node already", exit_code=Exit.CONFLICT)
    if not (folder / "node.key").exists():
        save_private(folder / "node.key", PrivateKey.generate())
    key = load_private(folder / "node.key")
    certificate = make_certificate(key, name)
    (folder / "node.crt").write_bytes(certificate)
    return key, certificate


def _checked(
    root: PublicKey, statements: tuple[bytes, ...], own: PublicKey, issuer: PublicKey
) -> Ledger:
    """Return the statements of an admission, from which this node and the one that admitted it must be members."""
    try:
        ledger = Ledger(root, [Statement.from_bytes(data) for data in statements])
    except MemberInvalid as error:
        raise CliError(f"the answer is malformed: {error}", exit_code=Exit.REJECTED) from None
    members = ledger.at(now_s())
    if members.of_key(own) is None or members.of_key(issuer) is None:
        raise CliError(
            "the answer does not say who belongs to the cluster", exit_code=Exit.REJECTED
        )
    return ledger
