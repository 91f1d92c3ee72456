"""Is this a token, and does the one who shows it hold it?

Is:     trust in the root, every signature, the proof of holding, and the caveats about the chain itself
        (hops, depth, via).
Is not: whether it allows a request: `authorize` answers that, each time anew.
Fits:   bytes come in, a VerifiedToken comes out or TokenInvalid; nothing else makes a VerifiedToken.

A block whose signature has been checked under its prefix stays checked: the cache is keyed by block id, which covers
the root and every body up to the block; and a token all of whose blocks have been is known again by its very bytes, also
as the beginning of a longer one. What one signs oneself is known, too. Trust in the root and the proof of holding are
never cached.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass
from itertools import pairwise

from capabilities.caveats import Caveats
from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import PublicKey
from capabilities.limits import VERIFIED_CACHE_MAX, VERIFIED_TOKENS_MAX
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.tokens import (
    D_SEAL,
    D_SIGNATURE,
    Bearer,
    Block,
    Channel,
    Envelope,
    Possession,
    Proof,
    Sealed,
    SignedBlock,
    Token,
    block_id,
    open_block,
    open_envelope,
    possession_message,
)


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """Blocks that a trusted root and then each other signed; nobody has shown to hold them."""

    root: PublicKey
    blocks: tuple[Block, ...]

    @property
    def holder(self) -> PublicKey:
        """Return the key of the last block."""
        return self.blocks[-1].key


@dataclass(frozen=True, slots=True)
class VerifiedToken(VerifiedChain):
    """A verified chain whose presenter holds it."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a verifier asked a holder to sign."""

    verifier: PublicKey
    nonce: bytes  # fresh for every connection


Signed = tuple[SignedBlock, ...]


class BlockCache:
    """Blocks whose signatures have been checked, by id; the least recently used ones go first.

    The id does not cover the signature. With another one the block still says what its signer signed, but whoever is
    handed the token next would refuse it; so another signature is checked like a first one.
    """

    def __init__(
        self, size_max: int = VERIFIED_CACHE_MAX, tokens_max: int = VERIFIED_TOKENS_MAX
    ) -> None:
        self._blocks: OrderedDict[bytes, tuple[Block, bytes]] = OrderedDict()
        self._tokens: OrderedDict[bytes, tuple[VerifiedChain, Proof, Signed]] = OrderedDict()
        self._by_tip: dict[bytes, bytes] = {}  # a last block's signature -> the token's bytes
        self._size_max, self._tokens_max = size_max, tokens_max

    def get(self, identity: bytes, signature: bytes) -> Block | None:
        """Return a block that has been checked with this signature."""
        found = self._blocks.get(identity)
        if found is None or found[1] != signature:
            return None
        self._blocks.move_to_end(identity)
        return found[0]

    def add(self, block: Block, signature: bytes) -> None:
        """Keep a checked block."""
        self._blocks[block.id] = (block, signature)
        if len(self._blocks) > self._size_max:
            self._blocks.popitem(last=False)

    def token(self, data: bytes) -> tuple[VerifiedChain, Proof] | None:
        """Return the chain and the proof of a token whose blocks have all been checked, and that hangs together."""
        found = self._tokens.get(data)
        if found is None:
            return None
        self._tokens.move_to_end(data)
        return found[0], found[1]

    def whole(self, data: bytes) -> Token | None:
        """Return a token whose blocks have all been checked."""
        found = self._tokens.get(data)
        if found is None:
            return None
        chain, proof, signed = found
        return Token(chain.root, signed, chain.blocks, proof)

    def beginning(self, root: PublicKey, signed: Signed) -> tuple[Block, ...]:
        """Return the blocks of a checked token that lacks only the last of these signed blocks; none if there is none."""
        data = self._by_tip.get(signed[-2].signature) if len(signed) > 1 else None
        if data is not None:
            chain, _, known = self._tokens[data]
            if chain.root == root and known == signed[:-1]:
                return chain.blocks
        return ()

    def add_token(self, data: bytes, chain: VerifiedChain, proof: Proof, signed: Signed) -> None:
        """Keep a checked token, unless its bytes have a secret in them."""
        if isinstance(proof, Bearer):
            return
        self._tokens[data] = chain, proof, signed
        self._by_tip[signed[-1].signature] = data
        if len(self._tokens) > self._tokens_max:
            oldest, (_, _, gone) = self._tokens.popitem(last=False)
            if self._by_tip.get(gone[-1].signature) == oldest:
                del self._by_tip[gone[-1].signature]

    def add_signed(self, token: Token, data: bytes) -> None:
        """Keep a token whose last block was signed here, on top of one that had been checked."""
        self.add(token.blocks[-1], token.signed[-1].signature)
        self.add_token(data, VerifiedChain(token.root, token.blocks), token.proof, token.signed)

    def __len__(self) -> int:
        return len(self._blocks)


def verify(
    data: bytes,
    *,
    roots: Container[PublicKey],
    presenter: PublicKey | None,
    cache: BlockCache | None = None,
    challenge: Challenge | None = None,
    lineage: Lineage = NO_LINEAGE,
) -> VerifiedToken:
    """Return the token that a presenter holds.

    Args:
        data: what was presented.
        roots: the keys whose first blocks count.
        presenter: the authenticated other end of the connection, if there is one.
        cache: blocks checked before; checked blocks are added.
        challenge: what this verifier asked the presenter to sign, if it did.
        lineage: which keys stand for others; a cache belongs to one lineage.

    Cost: one signature check a block not in the cache, about 0.1 ms each.
    Raises TokenInvalid.
    """
    chain, proof = _opened(data, roots, cache, lineage)
    _check_proof(proof, chain, presenter, challenge, lineage)
    return VerifiedToken(chain.root, chain.blocks)


def verify_chain(
    data: bytes,
    *,
    roots: Container[PublicKey],
    cache: BlockCache | None = None,
    lineage: Lineage = NO_LINEAGE,
) -> VerifiedChain:
    """Return the blocks of a token, whoever shows them: to look at, or to revoke. Raises TokenInvalid."""
    return _opened(data, roots, cache, lineage)[0]


def check_hop(token: VerifiedChain, to: PublicKey, lineage: Lineage = NO_LINEAGE) -> None:
    """Return if the token may be handed to one more key. Raises TokenRefused."""
    keys = [*(block.key for block in token.blocks), to]
    if (found := _structure(token.blocks, keys, lineage)) is not None:
        index, caveat, message = found
        raise TokenRefused(message, block=index, caveat=caveat)


def allows_hop(token: VerifiedChain, to: PublicKey, lineage: Lineage = NO_LINEAGE) -> bool:
    """Return whether the token may be handed to one more key."""
    keys = [*(block.key for block in token.blocks), to]
    return _structure(token.blocks, keys, lineage) is None


def _opened(
    data: bytes, roots: Container[PublicKey], cache: BlockCache | None, lineage: Lineage
) -> tuple[VerifiedChain, Proof]:
    """Return the chain of a token's bytes, every signature checked now or before, and its proof, unchecked."""
    known = None if cache is None else cache.token(data)
    if known is not None:
        _check_trusted(known[0].root, roots)
        return known
    envelope = open_envelope(data)
    _check_trusted(envelope.root, roots)
    chain = _chain(envelope, cache, lineage)
    if cache is not None:
        cache.add_token(data, chain, envelope.proof, envelope.signed)
    return chain, envelope.proof


def _check_trusted(root: PublicKey, roots: Container[PublicKey]) -> None:
    if root not in roots:
        raise TokenInvalid(f"root {root.text[:12]} is not trusted here", why="root")


def _chain(envelope: Envelope, cache: BlockCache | None, lineage: Lineage) -> VerifiedChain:
    known = () if cache is None else cache.beginning(envelope.root, envelope.signed)
    blocks = list(known)
    previous, signer = envelope.root.bytes, envelope.root
    if known:
        previous, signer = known[-1].id, known[-1].key
    for index in range(len(known), len(envelope.signed)):
        body, signature = envelope.signed[index]
        identity = block_id(previous, body)
        block = None if cache is None else cache.get(identity, signature)
        if block is None:
            # The signature comes first: what nobody vouches for is not parsed.
            _check_signature(signer, signature, D_SIGNATURE + identity, index, lineage)
            block = open_block(previous, body, index)
            if cache is not None:
                cache.add(block, signature)
        blocks.append(block)
        previous, signer = block.id, block.key
    if (found := _structure(blocks, [block.key for block in blocks], lineage)) is not None:
        index, caveat, message = found
        raise TokenInvalid(message, why=caveat, block=index)
    return VerifiedChain(envelope.root, tuple(blocks))


def _check_signature(
    signer: PublicKey, signature: bytes, message: bytes, index: int, lineage: Lineage
) -> None:
    try:
        _verify(signer, signature, message, lineage)
    except TokenInvalid as error:
        raise error.in_block(index) from None


def _verify(signer: PublicKey, signature: bytes, message: bytes, lineage: Lineage) -> None:
    """Return if the signature is the signer's, or that of the key that follows it. Raises TokenInvalid."""
    successor = lineage.successor(signer)
    try:
        signer.verify(signature, message)
    except TokenInvalid:
        if successor is None:
            raise
        successor.verify(signature, message)


def _structure(
    blocks: list[Block] | tuple[Block, ...], keys: list[PublicKey], lineage: Lineage
) -> tuple[int, str, str] | None:
    """Return the first block, caveat and message that a chain with these keys goes against."""
    if not any(_about_the_chain(block.caveats) for block in blocks):
        return None
    changes = sum(
        key != before for before, key in pairwise(keys)
    )  # of holder, after the block at hand
    for index, block in enumerate(blocks):
        caveats = block.caveats
        later = len(keys) - 1 - index
        changes -= index > 0 and keys[index] != keys[index - 1]
        if caveats.depth is not None and later > caveats.depth:
            return index, "depth", f"allows {caveats.depth} blocks after it, not {later}"
        if caveats.hops is not None and changes > caveats.hops:
            return index, "hops", f"allows {caveats.hops} hops, not {changes}"
        if caveats.via is not None:
            for key in keys[index:]:
                if not lineage.stands_among(key, caveats.via):
                    return index, "via", f"does not let {key.text[:12]} hold the token"
    return None


def _about_the_chain(caveats: Caveats) -> bool:
    return not (caveats.depth is None and caveats.hops is None and caveats.via is None)


def _check_proof(
    proof: Proof,
    chain: VerifiedChain,
    presenter: PublicKey | None,
    challenge: Challenge | None,
    lineage: Lineage,
) -> None:
    tip, holder = chain.blocks[-1].id, chain.holder
    match proof:
        case Channel():
            if not lineage.is_or_follows(presenter, holder):
                raise TokenInvalid(
                    "the token is bound to another key than its presenter's", why="holder"
                )
        case Possession(signature):
            if challenge is None:
                raise TokenInvalid("a proof of possession was not asked for", why="possession")
            message = possession_message(tip, challenge.verifier, challenge.nonce)
            _check_signed(holder, signature, message, "possession", lineage)
        case Bearer(secret):
            _check_transferable(chain)
            if secret.public != holder:
                raise TokenInvalid(
                    "the secret does not belong to the token's last key", why="secret"
                )
        case Sealed(signature):
            _check_transferable(chain)
            _check_signed(holder, signature, D_SEAL + tip, "seal", lineage)


def _check_signed(
    holder: PublicKey, signature: bytes, message: bytes, why: str, lineage: Lineage
) -> None:
    try:
        _verify(holder, signature, message, lineage)
    except TokenInvalid as error:
        raise TokenInvalid(error.message, why=why) from None


def _check_transferable(chain: VerifiedChain) -> None:
    """Refuse proofs that say nothing about who presents, where `via` says who may hold the token.

    Otherwise a host named in `via` could seal the token, and anybody could use it.
    """
    for index, block in enumerate(chain.blocks):
        if block.caveats.via is not None:
            raise TokenInvalid("via asks for a presenter who is known", why="via", block=index)
