"""Tokens: chains of signed blocks, each narrowing what the one before allows.

Is:     the format, byte for byte; minting, narrowing, delegating.
Is not: trust: a Token read from bytes has the right shape and nothing more, `verify` makes a VerifiedToken of it.
Fits:   people and nodes make tokens here; docs/tokens.md tells the format to people.
Source: Birgisson et al. (2014), "Macaroons"; the Biscuit specification for blocks signed by the previous block's key.

    token = [version, root, [[body, signature], ...], proof]       body = [key, nonce, caveats]
    id 0  = SHA-256(D_blk root body 0)                             id i = SHA-256(D_blk id i-1  body i)
    signature i by the root (i = 0) or by the key of block i-1, over D_sig id i
    proof = [0, seed] bearer | [1, signature] possession | [2] channel | [3, signature] sealed

An id covers everything before it and no signature, so signing again does not make another token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from capabilities.canonical import array, decode, encode, octets, tuple_of
from capabilities.caveats import (
    Caveats,
    Resource,
    Rights,
    Verb,
    checked_key,
    decode_caveats,
    encode_caveats,
)
from capabilities.errors import KeyInvalid, TokenInvalid
from capabilities.keys import KEY_SIZE, SIGNATURE_SIZE, PrivateKey, PublicKey
from capabilities.limits import BLOCK_BYTES_MAX, BLOCKS_MAX, TOKEN_BYTES_MAX
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.terms import NO_TERMS, Terms

__all__ = [
    "Block",
    "Caveats",
    "Resource",
    "Rights",
    "Token",
    "Verb",
    "agent_id",
    "mint",
]

VERSION = 1
NONCE_SIZE = 8
AGENT_NONCE_SIZE = 16
TEXT_PREFIX = "yin1."

# What a signature or hash is about; no bytes made for one purpose serve another.
D_BLOCK = b"yin/1/blk\0"
D_SIGNATURE = b"yin/1/sig\0"
D_POSSESSION = b"yin/1/pop\0"
D_SEAL = b"yin/1/seal\0"
D_AGENT = b"yin/1/agt\0"
D_CHILD = b"yin/1/chd\0"

BEARER, POSSESSION, CHANNEL, SEALED = range(4)
_LONG_LIST = 0xDC  # begins the encoding of a list of 16 items or more
_SIGNATURE_HEAD = b"\xc4\x40"  # begins the encoding of 64 bytes
_HEAD_BYTES = 4 + KEY_SIZE  # of a token's encoding, before its list of blocks


class Bearer(NamedTuple):
    """Whoever has the bytes has the token."""

    secret: PrivateKey


class Possession(NamedTuple):
    """The holder signed the verifier's challenge."""

    signature: bytes


class Channel(NamedTuple):
    """The holder is the authenticated other end of the connection."""


class Sealed(NamedTuple):
    """The holder closed the chain; whoever has the bytes may use it and nobody may extend it."""

    signature: bytes


Proof = Bearer | Possession | Channel | Sealed


class SignedBlock(NamedTuple):
    """A block as it travels."""

    body: bytes
    signature: bytes


class Block(NamedTuple):
    """A block's contents."""

    id: bytes
    key: PublicKey  # who may append the next block, or present the token
    nonce: bytes
    caveats: Caveats
    terms: Terms  # what this block and those before it say together


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the right shape; nothing about it has been verified."""

    root: PublicKey
    signed: tuple[SignedBlock, ...]
    blocks: tuple[Block, ...]
    proof: Proof
    _bytes: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def holder(self) -> PublicKey:
        """Return the key of the last block."""
        return self.blocks[-1].key

    @property
    def secret(self) -> PrivateKey | None:
        """Return the holder's private key if this is a bearer token."""
        return self.proof.secret if isinstance(self.proof, Bearer) else None

    @property
    def ids(self) -> list[bytes]:
        """Return the ids of the blocks, 32 bytes each; revoking one revokes everything after it."""
        return [block.id for block in self.blocks]

    def append(
        self,
        signer: PrivateKey,
        holder: PublicKey,
        caveats: Caveats,
        *,
        nonce: bytes | None = None,
        lineage: Lineage = NO_LINEAGE,
    ) -> Token:
        """Return the token narrowed by caveats and handed to `holder`, to be presented by that key.

        Raises:
            KeyInvalid: `signer` is not the key of the last block, nor follows it.
            TokenInvalid: the token is sealed, or full.
        """
        if isinstance(self.proof, Sealed):
            raise TokenInvalid("the token is sealed: it cannot be extended", why="sealed")
        if not lineage.is_or_follows(signer.public, self.holder):
            raise KeyInvalid("the token is bound to another key, so this one cannot extend it")
        block, signed = _sign(signer, self.blocks[-1], holder, caveats, nonce)
        made = Token(self.root, (*self.signed, signed), (*self.blocks, block), Channel())
        data = self.to_bytes()
        size = _list_header(len(made.signed))
        blocks = data[self.blocks_in(data)] + encode(signed)
        made.keep(data[:_HEAD_BYTES] + size + blocks + encode(_proof_out(made)))
        return made

    def with_secret(self, secret: PrivateKey | None) -> Token:
        """Return the token as a bearer token, or for None as one that its holder's connection proves. Raises KeyInvalid."""
        if secret is None:
            return replace(self, proof=Channel())
        if secret.public != self.holder:
            raise KeyInvalid("the secret does not belong to the token's last key")
        return replace(self, proof=Bearer(secret))

    def prove(self, holder: PrivateKey, verifier: PublicKey, challenge: bytes) -> Token:
        """Return the token with proof of possession for one verifier and its challenge. Raises KeyInvalid."""
        if holder.public != self.holder:
            raise KeyInvalid("the token is bound to another key")
        message = possession_message(self.ids[-1], verifier, challenge)
        return replace(self, proof=Possession(holder.sign(message)))

    def seal(self, holder: PrivateKey) -> Token:
        """Return the token closed for ever; whoever has the bytes may use it. Raises KeyInvalid."""
        if holder.public != self.holder:
            raise KeyInvalid("the token is bound to another key")
        return replace(self, proof=Sealed(holder.sign(D_SEAL + self.ids[-1])))

    def to_bytes(self) -> bytes:
        """Return the encoding, found once. Raises TokenInvalid when it is over a limit."""
        if self._bytes is None:
            self.keep(encode((VERSION, self.root.bytes, self.signed, _proof_out(self))))
            assert self._bytes is not None, "that is kept"
        return self._bytes

    def blocks_in(self, data: bytes) -> slice:
        """Return where in the encoding the blocks are."""
        begin = _HEAD_BYTES + len(_list_header(len(self.signed)))
        return slice(begin, len(data) - len(encode(_proof_out(self))))

    def keep(self, data: bytes) -> None:
        """Note the encoding, which has been found elsewhere. Raises TokenInvalid when it is over a limit."""
        if len(data) > TOKEN_BYTES_MAX or len(self.signed) > BLOCKS_MAX:
            raise TokenInvalid(
                f"the token has {len(self.signed)} blocks and {len(data)} bytes; "
                f"at most {BLOCKS_MAX} and {TOKEN_BYTES_MAX}",
                why="too-long",
            )
        object.__setattr__(self, "_bytes", data)  # the only thing that is ever set later

    @staticmethod
    def from_bytes(data: bytes) -> Token:
        """Return the token of canonical bytes, unverified. Raises TokenInvalid."""
        root, items, proof = open_envelope(data)
        signed = tuple(map(signed_block, items))
        blocks: list[Block] = []
        before = None
        for body, _ in signed:
            before = open_block(next_id(root, before, body), body, before)
            blocks.append(before)
        return Token(root, signed, tuple(blocks), proof)

    def to_text(self) -> str:
        """Return the token as one line for files; for a bearer token that line is a secret."""
        return TEXT_PREFIX + base64.urlsafe_b64encode(self.to_bytes()).decode().rstrip("=")

    @staticmethod
    def from_text(text: str) -> Token:
        """Return the token of a line, unverified. Raises TokenInvalid."""
        if not text.startswith(TEXT_PREFIX):
            raise TokenInvalid(f"the text of a token begins with {TEXT_PREFIX}", why="text")
        body = text[len(TEXT_PREFIX) :]
        if len(body) > 2 * TOKEN_BYTES_MAX:
            raise TokenInvalid("the token is too long", why="too-long")
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise TokenInvalid("the text of the token is not base64url", why="text") from None
        token = Token.from_bytes(data)
        if token.to_text() != text:
            raise TokenInvalid("the text of the token is not canonical", why="text")
        return token


class Envelope(NamedTuple):
    """A decoded token whose blocks have not been looked at, or the rest of one."""

    root: PublicKey
    blocks: tuple[object, ...]
    proof: Proof


def mint(
    root: PrivateKey, holder: PublicKey, caveats: Caveats, *, nonce: bytes | None = None
) -> Token:
    """Return a token of one block, to be presented by `holder`. Raises TokenInvalid without `exp` and `rights`."""
    block, signed = _sign(root, None, holder, caveats, nonce)
    _check_first(caveats)
    return Token(root.public, (signed,), (block,), Channel())


def agent_id(owner: PublicKey, code_root: bytes, nonce: bytes, home: PublicKey) -> bytes:
    """Return an agent's id, 32 bytes: a hash of who started which program where.

    Args:
        owner: the key that spawned it.
        code_root: the program's hash.
        nonce: 16 bytes.
        home: the node it was spawned on.
    """
    return hashlib.sha256(D_AGENT + encode([owner.bytes, code_root, nonce, home.bytes])).digest()


def child_id(parent: bytes, code_root: bytes, nonce: bytes, home: PublicKey) -> bytes:
    """Return the id of an agent that another one started, 32 bytes: nobody can make it the id of an agent there is.

    Args:
        parent: the id of who started it.
        code_root: the program's hash.
        nonce: 16 bytes.
        home: the node it was started on.
    """
    return hashlib.sha256(D_CHILD + encode([parent, code_root, nonce, home.bytes])).digest()


def possession_message(tip: bytes, verifier: PublicKey, challenge: bytes) -> bytes:
    """Return what a holder signs to prove possession of the token with tip id `tip`."""
    return D_POSSESSION + tip + verifier.bytes + hashlib.sha256(challenge).digest()


def block_id(previous: bytes, body: bytes) -> bytes:
    """Return a block's id; `previous` is the id before it, or the root key."""
    return hashlib.sha256(D_BLOCK + previous + body).digest()


def next_id(root: PublicKey, before: Block | None, body: bytes) -> bytes:
    """Return the id of the block that comes after one in a chain, or first."""
    return block_id(root.bytes if before is None else before.id, body)


def open_envelope(data: bytes) -> Envelope:
    """Return the parts of a token of canonical bytes. Raises TokenInvalid."""
    if len(data) > TOKEN_BYTES_MAX:
        raise TokenInvalid(
            f"the token has {len(data)} bytes; at most {TOKEN_BYTES_MAX}", why="too-long"
        )
    version, root, blocks, proof = tuple_of(decode(data), 4, "the token")
    if type(version) is not int or version != VERSION:
        raise TokenInvalid(f"version {version!r} is not {VERSION}", why="version")
    items = array(blocks, "the list of blocks", most=BLOCKS_MAX)
    if not items:
        raise TokenInvalid("the token has no block", why="shape")
    key = checked_key(octets(root, KEY_SIZE, "the root key"))
    return Envelope(key, items, _proof_in(proof))


def block_ends(data: bytes) -> Iterator[int]:
    """Yield where blocks may end in the encoding of a token, the last one first: after what looks like a signature."""
    at = len(data) if len(data) <= TOKEN_BYTES_MAX else 0
    for _ in range(2 * BLOCKS_MAX):  # what looks like one may be none
        at = data.rfind(_SIGNATURE_HEAD, _HEAD_BYTES, at)
        if at < 0:
            return
        yield at + len(_SIGNATURE_HEAD) + SIGNATURE_SIZE


def open_rest(data: bytes, before: Token, end: int) -> Envelope | None:
    """Return what comes after the blocks of another token, which would end there; None where it does not begin with these.

    Raises TokenInvalid.
    """
    short = data[_HEAD_BYTES] != _LONG_LIST
    begin = _HEAD_BYTES + (1 if short else 3)
    size = (
        data[_HEAD_BYTES] & 0x0F if short else int.from_bytes(data[_HEAD_BYTES + 1 : begin], "big")
    )
    known = before.to_bytes()
    if (
        not len(before.signed) <= size <= BLOCKS_MAX
        or data[_HEAD_BYTES:begin] != _list_header(size)
        or data[:_HEAD_BYTES] != known[:_HEAD_BYTES]
        or data[begin:end] != known[before.blocks_in(known)]
    ):
        return None
    rest = _list_header(size - len(before.signed) + 1) + data[end:]
    *blocks, proof = array(decode(rest), "the rest of the token", most=BLOCKS_MAX)
    return Envelope(before.root, tuple(blocks), _proof_in(proof))


def _list_header(size: int) -> bytes:
    """Return how the encoding of a list of so many items begins."""
    return bytes((0x90 | size,)) if size < 16 else b"%c%b" % (_LONG_LIST, size.to_bytes(2, "big"))


def open_block(identity: bytes, body: bytes, before: Block | None) -> Block:
    """Return the block of a body that comes after another one, or first. Raises TokenInvalid naming it."""
    terms, giver = (NO_TERMS, b"") if before is None else (before.terms, before.key.bytes)
    try:
        key, nonce, caveats = open_body(body)
        if before is None:
            _check_first(caveats)
    except TokenInvalid as error:
        raise error.in_block(terms.length) from None
    return Block(identity, key, nonce, caveats, terms.extended(caveats, giver, key.bytes))


def open_body(body: bytes) -> tuple[PublicKey, bytes, Caveats]:
    """Return key, nonce and caveats of a block. Raises TokenInvalid."""
    key, nonce, caveats = tuple_of(decode(body), 3, "the body")
    return (
        checked_key(octets(key, KEY_SIZE, "the key")),
        octets(nonce, NONCE_SIZE, "the nonce"),
        decode_caveats(caveats),
    )


def _check_first(caveats: Caveats) -> None:
    if caveats.exp is None or caveats.rights is None:
        raise TokenInvalid(
            "the first block says when the token ends (exp) and what it allows (rights)",
            why="caveat",
        )


def _sign(
    signer: PrivateKey,
    before: Block | None,
    holder: PublicKey,
    caveats: Caveats,
    nonce: bytes | None,
) -> tuple[Block, SignedBlock]:
    nonce = os.urandom(NONCE_SIZE) if nonce is None else octets(nonce, NONCE_SIZE, "the nonce")
    body = encode((holder.bytes, nonce, encode_caveats(caveats)))
    if len(body) > BLOCK_BYTES_MAX:
        raise TokenInvalid(
            f"the block has {len(body)} bytes; at most {BLOCK_BYTES_MAX}", why="too-long"
        )
    identity = next_id(signer.public, before, body)
    signature = signer.sign(D_SIGNATURE + identity)
    terms, giver = (NO_TERMS, b"") if before is None else (before.terms, before.key.bytes)
    terms = terms.extended(caveats, giver, holder.bytes)
    return Block(identity, holder, nonce, caveats, terms), SignedBlock(body, signature)


def signed_block(value: object) -> SignedBlock:
    """Return a block of the right shape, unopened. Raises TokenInvalid."""
    if type(value) is tuple and len(value) == 2:  # what is right needs no words for what is wrong
        body, signature = value
        if (
            type(body) is bytes
            and len(body) <= BLOCK_BYTES_MAX
            and type(signature) is bytes
            and len(signature) == SIGNATURE_SIZE
        ):
            return SignedBlock(body, signature)
    body, signature = tuple_of(value, 2, "a signed block")
    if type(body) is not bytes or len(body) > BLOCK_BYTES_MAX:
        raise TokenInvalid(f"a block is not at most {BLOCK_BYTES_MAX} bytes", why="too-long")
    return SignedBlock(body, octets(signature, SIGNATURE_SIZE, "a signature"))


def _proof_out(token: Token) -> tuple[object, ...]:
    match token.proof:
        case Bearer(secret):
            return BEARER, secret.seed
        case Possession(signature):
            return POSSESSION, signature
        case Channel():
            return (CHANNEL,)
        case Sealed(signature):
            return SEALED, signature


def _proof_in(value: object) -> Proof:
    parts = array(value, "the proof", most=2)
    match parts:
        case [kind, *_] if type(kind) is not int:
            raise TokenInvalid("the proof's kind is not a number", why="shape")
        case [0, seed]:
            return Bearer(PrivateKey(octets(seed, KEY_SIZE, "the secret")))
        case [1, signature]:
            return Possession(octets(signature, SIGNATURE_SIZE, "the proof"))
        case [2]:
            return Channel()
        case [3, signature]:
            return Sealed(octets(signature, SIGNATURE_SIZE, "the seal"))
    raise TokenInvalid("the kind of proof is unknown", why="shape")
