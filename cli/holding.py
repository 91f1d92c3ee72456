"""Tokens that a person holds: read, extended, given to an agent.

Is:     a token from a file or standard input, and the key that may extend it.
Is not: what it allows (`capabilities`), nor where it is asked (`cli.connect`).
Fits:   every command that takes `--token`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from capabilities.caveats import Caveats
from capabilities.errors import CapabilityError, TokenInvalid
from capabilities.keys import PrivateKey, PublicKey, load_private
from capabilities.tokens import Bearer, Sealed, Token
from capabilities.verify import verify, verify_chain
from cli.cluster import Cluster
from cli.errors import CliError, Exit


def signer_of(cluster: Cluster, parent: Token) -> PrivateKey:
    """Return the private key that may extend a token: its bearer secret, the operator's, or YIN_KEY_FILE's. Raises CliError."""
    if isinstance(parent.proof, Sealed):
        raise CliError(
            "this token is sealed: it can be used, but not narrowed or handed on, as what it was sealed from can",
            exit_code=Exit.AUTHENTICATION,
        )
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
    except CapabilityError as error:
        raise CliError(f"YIN_KEY_FILE: {error}", exit_code=Exit.AUTHENTICATION) from error
    except OSError as error:
        said = f"YIN_KEY_FILE: {path}: {error.strerror}"
        raise CliError(said, exit_code=Exit.AUTHENTICATION) from error


def read_token(source: str) -> Token:
    """Return the token of @FILE or standard input (-). Raises CliError."""
    if source == "-":
        text = sys.stdin.read()
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_text()
        except OSError as error:
            raise CliError(f"{source[1:]}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error
        except UnicodeDecodeError as error:
            raise CliError(
                f"{source[1:]} is no text, so no token", exit_code=Exit.AUTHENTICATION
            ) from error
    else:
        raise CliError(
            "a token is given as @FILE or -, never on the command line", exit_code=Exit.USAGE
        )
    try:
        return Token.from_text(text.strip())
    except CapabilityError as error:
        cut_off = isinstance(error, TokenInvalid) and error.why in ("text", "encoding")
        raise CliError(
            f"{source} is not a whole token: {error}" if cut_off else f"{source}: {error}",
            exit_code=Exit.AUTHENTICATION,
            hint="copy the whole line, which begins with yin1." if cut_off else "",
        ) from error


def checked(cluster: Cluster, token: Token) -> Token:
    """Return a token that is what its keys have signed, and has not ended. Raises CliError, which says which block is wrong."""
    checked_signatures(cluster, token)
    until_s = token.blocks[-1].terms.until_s
    if until_s < time.time_ns() // 10**9:
        ends = (block.caveats.exp for block in token.blocks)
        index = next(index for index, end in enumerate(ends) if end == until_s)
        when = datetime.fromtimestamp(until_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        raise CliError(f"block {index} of the token ended {when}", exit_code=Exit.AUTHENTICATION)
    return token


def checked_signatures(
    cluster: Cluster,
    token: Token,
    *,
    proof: bool = True,
    exit_code: Exit = Exit.AUTHENTICATION,
) -> Token:
    """Return a token that is what its keys have signed; of a root that does not count here only that can be said.

    Args:
        cluster: whose roots count.
        token: to be checked.
        proof: whether a secret, or a seal, has to belong to it as well.
        exit_code: of the error.

    Raises CliError, which says which block is wrong, and why.
    """
    members = cluster.members
    roots = members.roots | {token.root}
    bare = isinstance(token.proof, (Bearer, Sealed))  # whoever has it presents it
    try:
        if bare and proof:
            verify(token.to_bytes(), roots=roots, presenter=None, lineage=members.lineage)
        else:
            verify_chain(token.to_bytes(), roots=roots, lineage=members.lineage)
    except CapabilityError as error:
        raise CliError(f"the token is not valid: {error}", exit_code=exit_code) from error
    return token


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a token's format does not allow, or a key may not extend, into CliError."""
    try:
        yield
    except TokenInvalid as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error
    except CapabilityError as error:
        raise CliError(str(error), exit_code=Exit.AUTHENTICATION) from error


def delegate(
    cluster: Cluster, token: Token, node: PublicKey, agent: bytes, caveats: Caveats | None = None
) -> bytes:
    """Return a token for one agent, to be presented by the node it is on. Raises CliError."""
    narrower = (caveats or Caveats())._replace(agent=agent)
    try:
        return extended(cluster, token, node, narrower).to_bytes()
    except CapabilityError as error:
        raise CliError(f"the token cannot be handed on: {error}", exit_code=Exit.DENIED) from error
