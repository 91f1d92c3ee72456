"""Who may take a block of a token back, and with which of the keys that are here.

Is:     the choice of a key, and the statement that it signs.
Is not: what a statement says or whom it binds (`capabilities.revocation`), nor telling it to nodes.
Fits:   `yin token revoke`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from capabilities.keys import PrivateKey, PublicKey
from capabilities.revocation import Revocation, SignerRevocation
from capabilities.tokens import Token
from cli.cluster import Cluster
from cli.errors import CliError, Exit
from cli.holding import own_key


def revoke_block(cluster: Cluster, token: Token, index: int) -> Revocation:
    """Return the statement that a block is revoked, by a key that is here. Raises CliError."""
    standing = [*_signers(token, index), token.blocks[index].key]
    key = _revoker(cluster, token, standing, f"block {index}")
    return Revocation.sign(key, token, index)


def revoke_signer(cluster: Cluster, token: Token, index: int, until_s: int) -> SignerRevocation:
    """Return the statement that all is revoked which the signer of a block signed, as far as it ends by then. Raises CliError."""
    standing = _signers(token, index)
    key = _revoker(cluster, token, standing, f"all that the signer of block {index} has signed")
    return SignerRevocation.sign(key, standing[-1], until_s)


def _signers(token: Token, index: int) -> list[PublicKey]:
    """Return who signed the blocks up to one, in their order."""
    return [token.root, *(block.key for block in token.blocks[:index])]


def _revoker(
    cluster: Cluster, token: Token, standing: Sequence[PublicKey], what: str
) -> PrivateKey:
    """Return the first key that is here and counts for what is to be revoked. Raises CliError."""
    lineage = cluster.members.lineage
    for key in _keys(cluster, token):
        if any(lineage.is_or_follows(key.public, named) for named in standing):
            return key
    names = cluster_names(cluster)
    who = " or ".join(names.get(key, key.text) for key in dict.fromkeys(standing))
    named = own_key() is not None
    whose = "the key of YIN_KEY_FILE may not" if named else "none of the keys here may"
    raise CliError(
        f"{whose} revoke {what}: that takes the key of {who}",
        exit_code=Exit.AUTHENTICATION,
        hint="YIN_KEY_FILE=FILE yin token revoke ...",
    )


def _keys(cluster: Cluster, token: Token) -> Iterator[PrivateKey]:
    """Yield the keys that may sign: the one that was named, and no other; else the root's, the token's own, the operator's."""
    named = own_key()
    if named is not None:
        yield named
        return
    if (cluster.folder / "root.key").exists():
        yield cluster.root_key
    if token.secret is not None:
        yield token.secret
    yield cluster.operator_key


def cluster_names(cluster: Cluster) -> Mapping[PublicKey, str]:
    """Return the names of the keys of a cluster."""
    return {cluster.root: "the root"} | {member.key: member.name for member in cluster.members}
