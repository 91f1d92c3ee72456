"""From a node's name to an authenticated connection that has presented its tokens.

Is:     opening `protocol.client` connections with the operator's key, and turning what goes wrong into CliError.
Is not: the cluster's layout (`cli.cluster`).
Fits:   every command that talks to a node.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from capabilities.errors import CapabilityError
from capabilities.keys import load_private
from capabilities.tokens import Channel, Token
from cli.cluster import Cluster, current_folder, open_cluster
from cli.errors import CliError, Exit, exit_of
from cli.holding import read_token
from datomstore.value import Map
from protocol.client import (
    AuthenticationFailed,
    Client,
    RemoteError,
    RemoteFault,
    Unreachable,
)


def cluster_of(ctx: click.Context) -> Cluster:
    """Return the cluster that the command line means."""
    return open_cluster(current_folder(ctx.find_root().obj["cluster"]))


@contextmanager
def connected(cluster: Cluster, name: str) -> Iterator[Client]:
    """Yield a connection to a node, the operator's token presented, or what YIN_TOKEN_FILE says. Raises CliError."""
    member = cluster.node(name)
    if not member.addresses:
        raise CliError(f"node {name} has no address", exit_code=Exit.UNREACHABLE)
    with translated(name):
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
    try:
        key = load_private(Path(os.environ.get("YIN_KEY_FILE", "")))
        return token.prove(key, client.peer, client.challenge)
    except (CapabilityError, OSError) as error:
        raise CliError(
            f"{source} is bound to another key than the operator's: {error}",
            exit_code=Exit.AUTHENTICATION,
            hint="YIN_KEY_FILE=FILE yin ...",
        ) from error


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what a node or the network answers into CliError."""
    try:
        yield
    except Unreachable as error:
        raise CliError(
            f"node {name} does not answer: {error}",
            exit_code=Exit.UNREACHABLE,
            hint="yin up",
        ) from error
    except AuthenticationFailed as error:
        raise CliError(f"node {name}: {error}", exit_code=Exit.AUTHENTICATION) from error
    except RemoteError as error:
        reasons = _reasons(error)
        raise CliError(
            f"{name}: {error.message}{reasons}", exit_code=exit_of(error.code)
        ) from error
    except RemoteFault as error:  # it speaks another version, or is no node of ours at all
        raise CliError(f"node {name}: {error}", exit_code=exit_of(error.code)) from error


def _reasons(error: RemoteError) -> str:
    """Return the expressions that a node's policies refuse, if that is what the error is about."""
    if not isinstance(error.data, Map):
        return ""
    from cli.violations import told, violations_text

    found = told(error.data)
    return f"\n{violations_text(found, {})}" if found else ""


def find_agent(cluster: Cluster, text: str) -> tuple[str, Map]:
    """Return the node an agent is on, and its summary there; follows the tombstones it left. Raises CliError."""
    best: tuple[str, Map] | None = None
    unreachable: list[str] = []
    for member in cluster.nodes():
        try:
            with connected(cluster, member.name) as client:
                rows = client.request("agent.list", Map({}))["value"]
        except CliError as error:
            if error.exit_code is not Exit.UNREACHABLE:
                raise
            unreachable.append(member.name)
            continue
        for row in rows:
            if row["id"].hex().startswith(text) or row["name"] == text:
                if best is not None and best[1]["id"] != row["id"]:
                    raise CliError(f"{text!r} names several agents", exit_code=Exit.USAGE)
                newer = best is None or row["epoch"] > best[1]["epoch"]
                if newer or row["state"] != "moved":
                    best = (member.name, row)
    if best is None:
        where = f" (no answer from {', '.join(unreachable)})" if unreachable else ""
        raise CliError(f"no agent {text!r}{where}", exit_code=Exit.NOT_FOUND, hint="yin ps")
    return best
