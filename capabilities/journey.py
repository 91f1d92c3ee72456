"""The way an agent went, as its tokens tell it: who gave it to whom, at which epoch and in which state.

Is:     the check of the hand-overs in a verified chain, the receipt of one, and the proof that a node gave an agent away twice.
Is not: the hand-over itself (`custody`), nor what the agent may do (`authorize`).
Fits:   `yind.arrivals` checks with it what is offered; the audit stream keeps the receipt of every arrival.

A node that gives an agent away appends a block to each of its tokens, with the key of the next node, the new epoch and the
digest of the agent's state, and signs it: a receipt that it cannot take back. Epochs grow by one with each. So a node that had the
agent once and kept an image cannot offer it later: its own block says which epoch it gave away, and the one after that is
somebody else's to give. Two receipts of one node for one epoch of an agent, to two nodes or with two states, cannot both be of a
hand-over that came about: the block names the agent, so it makes no difference with which of its tokens it was signed.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from capabilities.canonical import decode, encode, octets, tuple_of
from capabilities.caveats import HASH_SIZE
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import SIGNATURE_SIZE, PublicKey
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.tokens import D_SIGNATURE, Token, block_id, open_body
from capabilities.verify import VerifiedChain

RECEIPT_BYTES_MAX = 4_096


def check_legs(
    chain: VerifiedChain,
    agent: bytes,
    epoch: int,
    hosts: AbstractSet[bytes],
    lineage: Lineage = NO_LINEAGE,
) -> None:
    """Return if the hand-overs of an agent, the blocks with an epoch from the first that names it, lead to an epoch, one by one.

    All who gave and took it are among `hosts`, keys of nodes; and whoever gave it last did not give it to itself before. With
    itself, or with keys that it made up, a node would have more epochs to give than the one that is its own.
    Raises TokenRefused.
    """
    terms = chain.terms
    if not terms.hosts <= hosts:
        raise _among_strangers(chain, hosts)
    named = terms.names(agent)
    if named is None:
        return
    for before, after in terms.leaps:
        if before >= named:
            told = [chain.blocks[index].caveats.epoch for index in (after, before)]
            why = f"hands over epoch {told[0]}, after epoch {told[1]}"
            raise TokenRefused(why, block=after, caveat="epoch")
    last = terms.handed
    if last is not None and last.block >= named and last.epoch != epoch:
        why = f"hands over epoch {last.epoch}, not {epoch}"
        raise TokenRefused(why, block=last.block, caveat="epoch")
    if last is not None and last.before is not None and last.before >= max(named, 1):
        giver, taker = (lineage.origin(chain.blocks[last.before - at].key) for at in (1, 0))
        if giver == taker:
            why = f"hands the agent from {giver.text} to itself"
            raise TokenRefused(why, block=last.before, caveat="epoch")


def _among_strangers(chain: VerifiedChain, hosts: AbstractSet[bytes]) -> TokenRefused:
    """Return the refusal of a chain in which somebody gave an agent away, or took it, who is no node."""
    for index, block in enumerate(chain.blocks):
        if block.caveats.epoch is not None:
            giver = chain.blocks[index - 1].key if index else chain.root
            for key in (giver, block.key):
                if key.bytes not in hosts or not index:
                    why = f"hands the agent from or to {key.text}, which is not known as a node's"
                    return TokenRefused(why, block=index, caveat="epoch")
    raise AssertionError("the terms of a chain name whom its blocks name")


def given_at(chain: VerifiedChain, agent: bytes, epoch: int) -> int | None:
    """Return the index of the block that gives an agent away at an epoch; None in a chain that does not tell of it.

    Cost: a look at each block from there on.
    """
    first = max(chain.terms.names(agent) or 0, 1)
    for index in range(len(chain.blocks) - 1, first - 1, -1):
        if chain.blocks[index].caveats.epoch == epoch:
            return index
    return None


class Leg(NamedTuple):
    """What somebody signed that they give away."""

    agent: bytes | None  # None in a block that was not made to hand an agent over
    taker: PublicKey
    epoch: int | None
    state: bytes | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A block of a token as proof of what its signer gave away; made only by `of` and `from_bytes`, which check it."""

    giver: PublicKey
    previous: bytes  # id of the block before: which token, and everything that had happened to it
    body: bytes
    signature: bytes

    def __post_init__(self) -> None:
        self.giver.verify(self.signature, D_SIGNATURE + block_id(self.previous, self.body))

    @staticmethod
    def of(token: Token, giver: PublicKey, block: int = -1) -> Receipt:
        """Return the receipt that a block of a token is, the last by default. Raises TokenInvalid when the giver did not sign it."""
        body, signature = token.signed[block]
        return Receipt(giver, _before(token, block), body, signature)

    @staticmethod
    def bytes_of(token: Token) -> bytes:
        """Return the encoding of the receipt that the last block of a verified token is, not checked again."""
        body, signature = token.signed[-1]
        return encode([_before(token, -1), body, signature])

    @property
    def leg(self) -> Leg:
        """Return what was given away to whom. Raises TokenInvalid."""
        key, _, caveats = open_body(self.body)
        return Leg(caveats.agent, key, caveats.epoch, caveats.state)

    def contradicts(self, other: Receipt, lineage: Lineage = NO_LINEAGE) -> bool:
        """Return whether one node signed two hand-overs of which at most one can have come about."""
        origin = lineage.origin
        mine, others = self.leg, other.leg
        if origin(self.giver) != origin(other.giver) or mine.epoch is None:
            return False
        if mine.agent is None or others.agent is None:
            same_agent = self.previous == other.previous
        else:
            same_agent = mine.agent == others.agent
        differ = (origin(mine.taker), mine.state) != (origin(others.taker), others.state)
        return same_agent and mine.epoch == others.epoch and differ

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


def _before(token: Token, block: int) -> bytes:
    index = block % len(token.blocks)
    return token.blocks[index - 1].id if index else token.root.bytes
