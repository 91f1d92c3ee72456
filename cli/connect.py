"""From a node's name to an authenticated connection that has presented its tokens.

Is:     opening `protocol.client` connections with the operator's key, to one node or to each, and turning what goes wrong
        into CliError. A node that is not reached is `NotReached`: who asks several goes on without it.
Is not: the cluster's layout (`cli.cluster`).
Fits:   every command that talks to a node.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import click

from capabilities.errors import CapabilityError
from capabilities.membership import Member
from capabilities.tokens import Channel, Token
from cli.cluster import Cluster, current_folder, open_cluster
from cli.errors import CliError, Exit, NotReached, exit_of
from cli.holding import own_key, read_token
from cli.output import note
from cli.waiting import waiting
from datomstore.value import Map
from protocol.client import (
    AuthenticationFailed,
    Client,
    Late,
    NotProven,
    RemoteError,
    RemoteFault,
    Unreachable,
)

SHOWN_DIGITS = 12  # of an agent's id
SHOWN_AGENTS = 4  # of those that a name could mean

Answer = TypeVar("Answer")
Missed = dict[str, NotReached]  # by the node's name


def cluster_of(ctx: click.Context) -> Cluster:
    """Return the cluster that the command line means."""
    return open_cluster(current_folder(ctx.find_root().obj["cluster"]))


@contextmanager
def connected(cluster: Cluster, name: str, *, quietly: bool = False) -> Iterator[Client]:
    """Yield a connection to a node, the operator's token presented, or what YIN_TOKEN_FILE says. Raises CliError.

    Says so when that takes long, unless `quietly`.
    """
    with reached(cluster, known_node(cluster, name), quietly=quietly) as client:
        yield client


@contextmanager
def reached(cluster: Cluster, member: Member, *, quietly: bool = False) -> Iterator[Client]:
    """As `connected`, to a node that need not be one of the cluster's any more."""
    name = member.name
    if not member.addresses:
        raise NotReached(f"node {name} has no address", state="no address")
    with translated(name, start=start_hint(cluster, member)):
        with nullcontext() if quietly else waiting(f"node {name} to answer"):
            client = Client.connect(
                member.addresses[0],
                key=cluster.operator_key,
                certificate=cluster.operator_certificate,
                server=member,
            )
        with client:
            token = presented(cluster, client)
            client.request("session.present", Map({"tokens": (token.to_bytes(),)}))
            yield client


def presented(cluster: Cluster, client: Client) -> Token:
    """Return the token that a person presents on a connection, with proof that they hold it. Raises CliError."""
    source = os.environ.get("YIN_TOKEN_FILE")
    if not source:
        return cluster.operator_token
    token = read_token(f"@{source}")
    own = cluster.operator_key.public
    follows = cluster.members.lineage.is_or_follows(own, token.holder)
    if not isinstance(token.proof, Channel) or follows:
        return token
    bound = f"{source} is bound to another key than the operator's"
    hint = "YIN_KEY_FILE=FILE yin ..."
    key = own_key()
    if key is None:
        raise CliError(bound, exit_code=Exit.AUTHENTICATION, hint=hint)
    try:
        return token.prove(key, client.peer, client.challenge)
    except CapabilityError as error:
        raise CliError(
            f"{bound}, and than YIN_KEY_FILE's", exit_code=Exit.AUTHENTICATION, hint=hint
        ) from error


def known_node(cluster: Cluster, name: str) -> Member:
    """Return a node by name; one that the folder does not know, the nodes are asked about. Raises CliError."""
    try:
        return cluster.node(name)
    except CliError:
        if not cluster.nodes():
            raise
        from cli.membership import sync

        sync(cluster)
        return cluster.node(name)


def start_hint(cluster: Cluster, member: Member) -> str:
    """Return what starts a node that does not answer, if that can be done here: only a development cluster's."""
    on_loopback = all(address.startswith("127.") for address in member.addresses)
    return "yin up" if on_loopback and cluster.node_folder(member.name).exists() else ""


@contextmanager
def translated(name: str, *, start: str = "", prove: str = "yin cluster sync") -> Iterator[None]:
    """Turn what a node or the network answers into CliError.

    Args:
        name: of the node.
        start: what a person may try when it does not answer.
        prove: what a person may try when somebody else answers, as does a node whose key was changed.
    """
    try:
        yield
    except Late as error:
        raise NotReached(f"node {name} has not answered within the time", state="slow") from error
    except Unreachable as error:
        raise NotReached(
            f"node {name} does not answer: {error}", state="down", hint=start
        ) from error
    except NotProven as error:
        raise NotReached(
            f"who answers does not prove to be {name}: {error}", state="wrong key", hint=prove
        ) from error
    except AuthenticationFailed as error:
        raise NotReached(
            f"node {name}: {error}", state="refuses", exit_code=Exit.AUTHENTICATION
        ) from error
    except RemoteError as error:
        reasons = _reasons(error)
        message = f"{name}: {error.message}{reasons}"
        if error.code == "wire/version":
            raise NotReached(message, state="version", exit_code=Exit.VERSION) from error
        raise CliError(message, exit_code=exit_of(error.code)) from error
    except RemoteFault as error:  # it speaks another version, or is no node of ours at all
        raise NotReached(
            f"node {name}: {error}", state="version", exit_code=exit_of(error.code)
        ) from error


def _reasons(error: RemoteError) -> str:
    """Return the expressions that a node's policies refuse, if that is what the error is about."""
    if not isinstance(error.data, Map):
        return ""
    from cli.violations import told, violations_text

    found = told(error.data)
    return f"\n{violations_text(found, {})}" if found else ""


def find_agent(cluster: Cluster, text: str) -> tuple[str, Map]:
    """Return the node an agent is on, and its summary there; follows the tombstones it left. Raises CliError."""
    if not text:  # with which every id begins
        raise CliError("an agent is named by its id or its name", exit_code=Exit.USAGE)
    found: dict[bytes, tuple[str, Map]] = {}
    answers, missed = each_node(cluster, lambda client: client.request("agent.list")["value"])
    for name, rows in answers.items():
        for row in rows:
            if row["id"].hex().startswith(text) or row["name"] == text:
                best = found.get(row["id"])
                newer = best is None or row["epoch"] > best[1]["epoch"]
                if newer or row["state"] != "moved":
                    found[row["id"]] = (name, row)
    if len(found) > 1:
        raise _several(text, found.values())
    if not found:
        if missed and not answers:
            raise none_reached(missed)
        if missed:  # where it may be
            said = f"no agent {text!r} on the nodes that answer; {missed_text(missed)}"
            raise CliError(said, exit_code=Exit.UNREACHABLE, hint="yin node ls")
        raise CliError(f"no agent {text!r}", exit_code=Exit.NOT_FOUND, hint="yin ps")
    return next(iter(found.values()))


def _several(text: str, found: Iterable[tuple[str, Map]]) -> CliError:
    """Return the error of a text that means more than one agent, the newest first."""
    newest = sorted(found, key=lambda each: -each[1]["created_ms"])
    told = [
        f"{row['id'].hex()[:SHOWN_DIGITS]} ({row['state']} on {node})"
        for node, row in newest[:SHOWN_AGENTS]
    ]
    more = len(newest) - len(told)
    told += [f"{more} more"] if more else []
    return CliError(
        f"{text!r} names {len(newest)} agents: {', '.join(told)}",
        exit_code=Exit.USAGE,
        hint="the id of one of them",
    )


# -- all nodes --


def each_node(
    cluster: Cluster,
    ask: Callable[[Client], Answer],
    names: Iterable[str] | None = None,
    *,
    refused: dict[str, CliError] | None = None,
) -> tuple[dict[str, Answer], Missed]:
    """Return what nodes answered, and which were not reached.

    Args:
        cluster: where the nodes are.
        ask: asks one.
        names: of the nodes; None for all.
        refused: where to put who says no, if that is no reason to stop.

    Raises CliError: a node says no.
    """
    answers: dict[str, Answer] = {}
    missed: Missed = {}
    for name in names if names is not None else [member.name for member in cluster.nodes()]:
        try:
            with connected(cluster, name) as client:
                answers[name] = ask(client)
        except NotReached as error:
            missed[name] = error
        except CliError as error:
            if refused is None:
                raise
            refused[name] = error
    return answers, missed


def missed_names(missed: Missed) -> str:
    """Return which nodes were not reached, and why if it is anything but silence."""
    return ", ".join(
        name if error.state == "down" else f"{name} ({error.state})"
        for name, error in missed.items()
    )


def missed_text(missed: Missed) -> str:
    """Return a line that says which nodes were not reached."""
    return f"no answer from {missed_names(missed)}"


def missed_facts(missed: Missed) -> dict[str, object]:
    """Return what a JSON document says of nodes that were not reached."""
    return {"missed": {name: str(error) for name, error in missed.items()}}


def told_missed(missed: Missed) -> Exit:
    """Say which nodes were not reached; return the exit code of a command whose answer is without theirs."""
    if not missed:
        return Exit.OK
    note(missed_text(missed))
    return Exit.UNREACHABLE


def none_reached(missed: Missed) -> CliError:
    """Return the error of a command that no node heard; what all have in common is its exit code and its hint."""
    if len(missed) == 1:
        return next(iter(missed.values()))
    codes = {error.exit_code for error in missed.values()}
    hints = {error.hint for error in missed.values()}
    return CliError(
        missed_text(missed),
        exit_code=codes.pop() if len(codes) == 1 else Exit.UNREACHABLE,
        hint=hints.pop() if len(hints) == 1 else "",
    )
