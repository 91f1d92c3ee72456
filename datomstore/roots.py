"""Names of database values by content: (root hash, t), and proofs that a transaction is part of one.

Is:     a chain of SHA-256 over the bytes of a log's transactions; pure functions.
Is not: a signature: who vouches for a root is another question.
Fits:   a program compiled against a database value names it; a node that has the log finds exactly those datoms or says
        that it does not have them, and can prove a single transaction to somebody who holds only the name.

    root(0) = SHA-256("yin/datoms/1")      root(t) = SHA-256(root(t - 1) + SHA-256(bytes of transaction t))
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Protocol

from datomstore.errors import DatomstoreError
from datomstore.limits import PROOF_TRANSACTIONS_MAX

EMPTY_ROOT = hashlib.sha256(b"yin/datoms/1").digest()


class RootUnknown(DatomstoreError):
    """The log does not have, or no longer has, the transactions that a name names."""

    code = "database/root"


class ProofInvalid(DatomstoreError):
    """The proof does not lead to the root."""

    code = "database/proof"


class Indexed(Protocol):
    """The root after every transaction."""

    def __getitem__(self, index: int, /) -> bytes: ...


class DatabaseName(NamedTuple):
    """Names exactly the datoms of the first t transactions of one log."""

    root: bytes  # 32 bytes
    t: int

    @staticmethod
    def of(roots: Indexed, t: int) -> DatabaseName:
        """Return the name of the first t transactions, given the root after each."""
        return DatabaseName(roots[t - 1] if t else EMPTY_ROOT, t)


class Proof(NamedTuple):
    """A transaction's bytes, and what is needed to go from there to a root."""

    t: int
    before: bytes  # the root before it
    record: bytes
    after: tuple[bytes, ...]  # digests of the transactions that follow


def digest(record: bytes) -> bytes:
    """Return the digest of a transaction's bytes."""
    return hashlib.sha256(record).digest()


def next_root(root: bytes, record_digest: bytes) -> bytes:
    """Return the root after one more transaction."""
    return hashlib.sha256(root + record_digest).digest()


def verify(name: DatabaseName, proof: Proof) -> bytes:
    """Return the record of a transaction that is part of the named database. Raises ProofInvalid."""
    if not 1 <= proof.t <= name.t or len(proof.after) != name.t - proof.t:
        raise ProofInvalid(f"a proof of transaction {proof.t} does not end at {name.t}")
    if len(proof.after) > PROOF_TRANSACTIONS_MAX:
        raise ProofInvalid(f"{len(proof.after)} transactions; at most {PROOF_TRANSACTIONS_MAX}")
    root = next_root(proof.before, digest(proof.record))
    for following in proof.after:
        root = next_root(root, following)
    if root != name.root:
        raise ProofInvalid(f"transaction {proof.t} is not part of {name.root.hex()}")
    return proof.record
