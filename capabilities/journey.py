"""The way an agent went, as its tokens tell it: who gave it to whom, at which epoch and in which state.

Is:     the check of the hand-overs in a verified chain, the receipt of one, and the proof that a node gave an agent away twice.
Is not: the hand-over itself (`custody`), nor what the agent may do (`authorize`).
Fits:   `yind.arrivals` checks with it what is offered; the audit stream keeps the receipt of every arrival.

A node that gives an agent away appends a block to each of its tokens, with the key of the next node, the new epoch and the
digest of the agent's state, and signs it: a receipt that it cannot take back. Epochs grow by one with each. So a node that had the
agent once and kept an image cannot offer it later: its own block says which epoch it gave away, and the one after that is
somebody else's to give. Two receipts of one node for one epoch of an agent, to two nodes or with two states, prove that it lied.
"""

from __future__ import annotations

from dataclasses import dataclass

from capabilities.canonical import decode, encode, octets, tuple_of
from capabilities.caveats import HASH_SIZE
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import SIGNATURE_SIZE, PublicKey
from capabilities.tokens import D_SIGNATURE, Token, block_id, open_body
from capabilities.verify import VerifiedChain

RECEIPT_BYTES_MAX = 4_096


def check_legs(chain: VerifiedChain, agent: bytes, epoch: int) -> None:
    """Return if the hand-overs of an agent, the blocks with an epoch after the first that names it, lead to an epoch, one by one.

    Raises TokenRefused.
    """
    terms = chain.terms
    named = terms.names(agent)
    if named is None:
        return
    for before, after in terms.leaps:
        if before > named:
            told = [chain.blocks[index].caveats.epoch for index in (after, before)]
            why = f"hands over epoch {told[0]}, after epoch {told[1]}"
            raise TokenRefused(why, block=after, caveat="epoch")
    last = terms.handed
    if last is not None and last.block > named and last.epoch != epoch:
        why = f"hands over epoch {last.epoch}, not {epoch}"
        raise TokenRefused(why, block=last.block, caveat="epoch")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The last block of a token as proof of what its signer gave away; made only by `of` and `from_bytes`, which check it."""

    giver: PublicKey
    previous: bytes  # id of the block before: which token, and everything that had happened to it
    body: bytes
    signature: bytes

    def __post_init__(self) -> None:
        self.giver.verify(self.signature, D_SIGNATURE + block_id(self.previous, self.body))

    @staticmethod
    def of(token: Token, giver: PublicKey) -> Receipt:
        """Return the receipt that the last block of a token is. Raises TokenInvalid when the giver did not sign it."""
        body, signature = token.signed[-1]
        return Receipt(giver, _before_last(token), body, signature)

    @staticmethod
    def bytes_of(token: Token) -> bytes:
        """Return the encoding of the receipt that the last block of a verified token is, not checked again."""
        body, signature = token.signed[-1]
        return encode([_before_last(token), body, signature])

    @property
    def leg(self) -> tuple[PublicKey, int | None, bytes | None]:
        """Return taker, epoch and state. Raises TokenInvalid."""
        key, _, caveats = open_body(self.body)
        return key, caveats.epoch, caveats.state

    def contradicts(self, other: Receipt) -> bool:
        """Return whether one node signed two hand-overs of which at most one can be true."""
        if (self.giver, self.previous) != (other.giver, other.previous):
            return False
        mine, others = self.leg, other.leg
        return mine[1] is not None and mine[1] == others[1] and mine != others

    def to_bytes(self) -> bytes:
        """Return the encoding."""
        return encode([self.previous, self.body, self.signature])

    @staticmethod
    def from_bytes(data: bytes, giver: PublicKey) -> Receipt:
        """Return the receipt of canonical bytes. Raises TokenInvalid, also when the giver did not sign it."""
        if len(data) > RECEIPT_BYTES_MAX:
            raise TokenInvalid("the receipt is too long", why="too-long")
        previous, body, signature = tuple_of(decode(data), 3, "a receipt")
        if type(body) is not bytes:
            raise TokenInvalid("the receipt's block is not bytes", why="shape")
        return Receipt(
            giver,
            octets(previous, HASH_SIZE, "a block id"),
            body,
            octets(signature, SIGNATURE_SIZE, "the signature"),
        )


def _before_last(token: Token) -> bytes:
    return token.blocks[-2].id if len(token.blocks) > 1 else token.root.bytes
