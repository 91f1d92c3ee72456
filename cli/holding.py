"""Tokens that a person holds: read, extended, given to an agent.

Is:     a token from a file or standard input, and the key that may extend it.
Is not: what it allows (`capabilities`), nor where it is asked (`cli.connect`).
Fits:   every command that takes `--token`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from capabilities.caveats import Caveats
from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey, load_private
from capabilities.tokens import Token
from cli.cluster import Cluster
from cli.errors import CliError, Exit


def signer_of(cluster: Cluster, parent: Token) -> PrivateKey:
    """Return the private key that may extend a token: its bearer secret, the operator's, or YIN_KEY_FILE's. Raises CliError."""
    if parent.secret is not None:
        return parent.secret
    lineage = cluster.members.lineage
    for key in (cluster.operator_key, own_key()):
        if key is not None and lineage.is_or_follows(key.public, parent.holder):
            return key
    raise CliError(
        "this token is bound to a key that is not yours, so you cannot extend it",
        exit_code=Exit.AUTHENTICATION,
        hint="YIN_KEY_FILE=FILE yin ...",
    )


def extended(cluster: Cluster, parent: Token, holder: PublicKey, caveats: Caveats) -> Token:
    """Return a token narrowed and handed to a key, by who may extend it. Raises CliError or TokenInvalid."""
    lineage = cluster.members.lineage
    return parent.append(signer_of(cluster, parent), holder, caveats, lineage=lineage)


def own_key() -> PrivateKey | None:
    """Return the key that YIN_KEY_FILE names, beside the operator's. Raises CliError."""
    path = os.environ.get("YIN_KEY_FILE")
    if not path:
        return None
    try:
        return load_private(Path(path))
    except (CapabilityError, OSError) as error:
        raise CliError(f"YIN_KEY_FILE: {error}", exit_code=Exit.AUTHENTICATION) from error


def read_token(source: str) -> Token:
    """Return the token of @FILE or standard input (-). Raises CliError."""
    if source == "-":
        text = sys.stdin.read()
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_text()
        except OSError as error:
            raise CliError(f"{source[1:]}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error
    else:
        raise CliError(
            "a token is given as @FILE or -, never on the command line", exit_code=Exit.USAGE
        )
    try:
        return Token.from_text(text.strip())
    except CapabilityError as error:
        raise CliError(f"{source}: {error}", exit_code=Exit.AUTHENTICATION) from error


def delegate(
    cluster: Cluster, token: Token, node: PublicKey, agent: bytes, caveats: Caveats | None = None
) -> bytes:
    """Return a token for one agent, to be presented by the node it is on. Raises CliError."""
    narrower = (caveats or Caveats())._replace(agent=agent)
    try:
        return extended(cluster, token, node, narrower).to_bytes()
    except CapabilityError as error:
        raise CliError(f"the token cannot be handed on: {error}", exit_code=Exit.DENIED) from error
