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
from typing import NamedTuple

from capabilities.errors import TokenInvalid, TokenRefused
from capabilities.keys import SIGNATURE_SIZE, PublicKey
from capabilities.limits import VERIFIED_CACHE_MAX, VERIFIED_TOKENS_MAX
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.terms import Terms
from capabilities.tokens import (
    D_SEAL,
    D_SIGNATURE,
    Bearer,
    Block,
    Channel,
    Envelope,
    Possession,
    Sealed,
    SignedBlock,
    Token,
    block_ends,
    next_id,
    open_block,
    open_envelope,
    open_rest,
    possession_message,
    signed_block,
)


class VerifiedChain(NamedTuple):
    """Blocks that a trusted root and then each other signed; nobody has shown to hold them."""

    root: PublicKey
    blocks: tuple[Block, ...]

    @property
    def holder(self) -> PublicKey:
        """Return the key of the last block."""
        return self.blocks[-1].key

    @property
    def terms(self) -> Terms:
        """Return what all blocks say together."""
        return self.blocks[-1].terms


class VerifiedToken(VerifiedChain):
    """A verified chain whose presenter holds it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a verifier asked a holder to sign."""

    verifier: PublicKey
    nonce: bytes  # fresh for every connection


class BlockCache:
    """Blocks whose signatures have been checked, by id; the least recently used ones go first.

    The id does not cover the signature. With another one the block still says what its signer signed, but whoever is
    handed the token next would refuse it; so another signature is checked like a first one.
    """

    def __init__(
        self, size_max: int = VERIFIED_CACHE_MAX, tokens_max: int = VERIFIED_TOKENS_MAX
    ) -> None:
        self._blocks: OrderedDict[bytes, tuple[Block, bytes]] = OrderedDict()
        self._tokens: OrderedDict[bytes, Token] = OrderedDict()
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

    def token(self, data: bytes) -> Token | None:
        """Return a token whose blocks have all been checked, and that hangs together; its proof has not been."""
        found = self._tokens.get(data)
        if found is not None:
            self._tokens.move_to_end(data)
        return found

    def beginning(self, data: bytes) -> tuple[Token, Envelope] | None:
        """Return the longest checked token that this one begins with, and the rest of it; None if none is known.

        They are the same bytes, so what they are need not be found again. Raises TokenInvalid for a rest that is none.
        """
        for end in block_ends(data):
            known = self._by_tip.get(data[end - SIGNATURE_SIZE : end])
            if known is not None:
                token = self._tokens[known]
                rest = open_rest(data, token, end)
                if rest is not None:
                    return token, rest
        return None

    def add_token(self, data: bytes, token: Token) -> None:
        """Keep a checked token, unless its bytes have a secret in them."""
        if isinstance(token.proof, Bearer):
            return
        token.keep(data)
        self._tokens[data] = token
        self._by_tip[token.signed[-1].signature] = data
        if len(self._tokens) > self._tokens_max:
            oldest, gone = self._tokens.popitem(last=False)
            if self._by_tip.get(gone.signed[-1].signature) == oldest:
                del self._by_tip[gone.signed[-1].signature]

    def add_signed(self, token: Token, data: bytes) -> None:
        """Keep a token whose last block was signed here, on top of one that had been checked."""
        self.add(token.blocks[-1], token.signed[-1].signature)
        self.add_token(data, token)

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

    Cost: one signature check a block not in the cache, about 0.05 ms each.
    Raises TokenInvalid.
    """
    token = _opened(data, roots, cache, lineage)
    _check_proof(token, presenter, challenge, lineage)
    return VerifiedToken(token.root, token.blocks)


def verify_chain(
    data: bytes,
    *,
    roots: Container[PublicKey],
    cache: BlockCache | None = None,
    lineage: Lineage = NO_LINEAGE,
) -> VerifiedChain:
    """Return the blocks of a token, whoever shows them: to look at, or to revoke. Raises TokenInvalid."""
    token = _opened(data, roots, cache, lineage)
    return VerifiedChain(token.root, token.blocks)


def check_hop(token: VerifiedChain, to: PublicKey, lineage: Lineage = NO_LINEAGE) -> None:
    """Return if the token may be handed to one more key. Raises TokenRefused."""
    if (found := _structure(token.blocks, (to,), lineage)) is not None:
        index, caveat, message = found
        raise TokenRefused(message, block=index, caveat=caveat)


def allows_hop(token: VerifiedChain, to: PublicKey, lineage: Lineage = NO_LINEAGE) -> bool:
    """Return whether the token may be handed to one more key."""
    return _structure(token.blocks, (to,), lineage) is None


def _opened(
    data: bytes, roots: Container[PublicKey], cache: BlockCache | None, lineage: Lineage
) -> Token:
    """Return the token of bytes, every signature checked now or before, its proof unchecked."""
    known = None if cache is None else cache.token(data)
    if known is not None:
        _check_trusted(known.root, roots)
        return known
    begun = None if cache is None else cache.beginning(data)
    before, envelope = begun or (None, open_envelope(data))
    signed, blocks = ((), ()) if before is None else (before.signed, before.blocks)
    signed = *signed, *map(signed_block, envelope.blocks)
    _check_trusted(envelope.root, roots)
    blocks = _checked(envelope.root, signed, blocks, cache, lineage)
    if (found := _structure(blocks, (), lineage)) is not None:
        index, caveat, message = found
        raise TokenInvalid(message, why=caveat, block=index)
    token = Token(envelope.root, signed, blocks, envelope.proof)
    if cache is not None:
        cache.add_token(data, token)
    return token


def _check_trusted(root: PublicKey, roots: Container[PublicKey]) -> None:
    if root not in roots:
        raise TokenInvalid(f"root {root.text[:12]} is not trusted here", why="root")


def _checked(
    root: PublicKey,
    signed: tuple[SignedBlock, ...],
    known: tuple[Block, ...],
    cache: BlockCache | None,
    lineage: Lineage,
) -> tuple[Block, ...]:
    """Return signed blocks, opened, of which the first ones are known; every signature of the others is checked."""
    blocks = list(known)
    before = blocks[-1] if blocks else None
    for body, signature in signed[len(blocks) :]:
        identity = next_id(root, before, body)
        block = None if cache is None else cache.get(identity, signature)
        if block is None:
            # The signature comes first: what nobody vouches for is not parsed.
            try:
                signer = root if before is None else before.key
                _verify(signer, signature, D_SIGNATURE + identity, lineage)
            except TokenInvalid as error:
                raise error.in_block(len(blocks)) from None
            block = open_block(identity, body, before)
            if cache is not None:
                cache.add(block, signature)
        blocks.append(block)
        before = block
    return tuple(blocks)


def _verify(signer: PublicKey, signature: bytes, message: bytes, lineage: Lineage) -> None:
    """Return if the signature is the signer's, or that of the key that follows it. Raises TokenInvalid."""
    try:
        signer.verify(signature, message)
    except TokenInvalid:
        successor = lineage.successor(signer)
        if successor is None:
            raise
        successor.verify(signature, message)


def _structure(
    blocks: tuple[Block, ...], more: tuple[PublicKey, ...], lineage: Lineage
) -> tuple[int, str, str] | None:
    """Return the first block, caveat and message that a chain goes against if more keys come to hold it."""
    for index, caveats in blocks[-1].terms.holding:
        keys = [*(block.key for block in blocks[index:]), *more]  # of the block at hand, and later
        later = len(keys) - 1
        if caveats.depth is not None and later > caveats.depth:
            return index, "depth", f"allows {caveats.depth} blocks after it, not {later}"
        changes = sum(key != before for before, key in pairwise(keys))
        if caveats.hops is not None and changes > caveats.hops:
            return index, "hops", f"allows {caveats.hops} hops, not {changes}"
        if caveats.via is not None:
            for key in keys:
                if not lineage.stands_among(key, caveats.via):
                    return index, "via", f"does not let {key.text[:12]} hold the token"
    return None


def _check_proof(
    token: Token,
    presenter: PublicKey | None,
    challenge: Challenge | None,
    lineage: Lineage,
) -> None:
    tip, holder = token.blocks[-1].id, token.holder
    match token.proof:
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
            _check_transferable(token)
            if secret.public != holder:
                raise TokenInvalid(
                    "the secret does not belong to the token's last key", why="secret"
                )
        case Sealed(signature):
            _check_transferable(token)
            _check_signed(holder, signature, D_SEAL + tip, "seal", lineage)


def _check_signed(
    holder: PublicKey, signature: bytes, message: bytes, why: str, lineage: Lineage
) -> None:
    try:
        _verify(holder, signature, message, lineage)
    except TokenInvalid as error:
        raise TokenInvalid(error.message, why=why) from None


def _check_transferable(token: Token) -> None:
    """Refuse proofs that say nothing about who presents, where `via` says who may hold the token.

    Otherwise a host named in `via` could seal the token, and anybody could use it.
    """
    for index, caveats in token.blocks[-1].terms.holding:
        if caveats.via is not None:
            raise TokenInvalid("via asks for a presenter who is known", why="via", block=index)
