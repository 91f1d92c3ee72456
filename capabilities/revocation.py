"""Taking a block back, and so everything that was narrowed from it.

Is:     a signed statement about one block id; the set of them, which only grows until blocks have ended.
Is not: a fact about the token: a statement counts only for whom the block concerns.
Fits:   statements travel between nodes in any order; `authorize` asks the set at every use.

A block can be revoked by whoever signed it or a block before it, and by its own holder: the root and the keys of the
blocks up to it. Records of strangers are kept apart by their key and change nothing.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from capabilities.canonical import array, decode, encode, octets, tuple_of, unsigned
from capabilities.caveats import HASH_SIZE, checked_key
from capabilities.errors import TokenInvalid
from capabilities.keys import KEY_SIZE, SIGNATURE_SIZE, PrivateKey, PublicKey
from capabilities.limits import REVOCATION_BYTES_MAX, REVOCATION_SKEW_S, REVOCATIONS_MAX
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain

D_REVOCATION = b"yin/1/rev\0"
D_SIGNER = b"yin/1/rvs\0"
OF_SIGNER = 1  # the kind of statement that is about a signer

_Subject = TypeVar("_Subject", bytes, PublicKey)
_Said = TypeVar("_Said", "Revocation", "SignerRevocation")


@dataclass(frozen=True, slots=True)
class Revocation:
    """The statement of one key about one block; its signature has been checked."""

    block_id: bytes
    revoker: PublicKey
    signature: bytes
    until: int | None = (
        None  # the last second the block can hold; then the statement says nothing more
    )

    def __post_init__(self) -> None:
        self.revoker.verify(self.signature, D_REVOCATION + _said(self.block_id, self.until))

    @staticmethod
    def sign(revoker: PrivateKey, token: Token | VerifiedChain, index: int) -> Revocation:
        """Return the statement that block `index` of a token is revoked."""
        identity = token.blocks[index].id
        until = token.blocks[index].terms.until_s
        signature = revoker.sign(D_REVOCATION + _said(identity, until))
        return Revocation(identity, revoker.public, signature, until)

    @property
    def place(self) -> bytes:
        """Return what it has alone in a set, and where it stands in its order."""
        return self.block_id + self.revoker.bytes

    def concerns(self, chain: VerifiedChain, lineage: Lineage = NO_LINEAGE) -> bool:
        """Return whether this revokes a block of the chain: names one, and by a key entitled to it."""
        return any(
            block.id == self.block_id and self.revoker in entitled(chain, index, lineage)
            for index, block in enumerate(chain.blocks)
        )

    def ends_with(self, chain: VerifiedChain) -> bool:
        """Return whether this is about a block of the chain and lasts just as long: less revives it, more is kept for nothing."""
        return any(
            block.id == self.block_id and block.terms.until_s == self.until
            for block in chain.blocks
        )

    def to_bytes(self) -> bytes:
        """Return the encoding."""
        return encode(_parts(self))

    def is_over(self, now_s: int) -> bool:
        """Return whether the block it is about has ended so long ago that no clock lets it hold."""
        return self.until is not None and self.until + REVOCATION_SKEW_S < now_s

    @staticmethod
    def from_bytes(data: bytes) -> Revocation:
        """Return the statement of canonical bytes. Raises TokenInvalid, also for a wrong signature."""
        if len(data) > REVOCATION_BYTES_MAX:
            raise TokenInvalid("the revocation is too long", why="too-long")
        return _revocation(decode(data))


@dataclass(frozen=True, slots=True)
class SignerRevocation:
    """The statement of one key about all blocks that a key signed and that end by a time; its signature has been checked.

    It counts where the revoker is the signer, or signed a block before: so a key that was stolen takes back what it gave,
    and what it signs later lasts only if it ends later.
    """

    signer: PublicKey
    until: int  # blocks that end at this second or before
    revoker: PublicKey
    signature: bytes

    def __post_init__(self) -> None:
        self.revoker.verify(self.signature, _signer_said(self.signer, self.until))

    @staticmethod
    def sign(revoker: PrivateKey, signer: PublicKey, until: int) -> SignerRevocation:
        """Return the statement that what `signer` signed is revoked, as far as it ends by a second."""
        signature = revoker.sign(_signer_said(signer, until))
        return SignerRevocation(signer, until, revoker.public, signature)

    @property
    def place(self) -> bytes:
        """Return what it has alone in a set, and where it stands in its order."""
        return self.signer.bytes + self.revoker.bytes + bytes([OF_SIGNER])

    def revokes(self, chain: VerifiedChain, index: int, lineage: Lineage = NO_LINEAGE) -> bool:
        """Return whether this takes back a block of a chain."""
        signers = [chain.root, *(block.key for block in chain.blocks[:index])]
        if signers[-1] != self.signer or chain.blocks[index].terms.until_s > self.until:
            return False
        return any(lineage.is_or_follows(self.revoker, key) for key in signers)

    def is_over(self, now_s: int) -> bool:
        """Return whether every block it is about has ended long ago."""
        return self.until + REVOCATION_SKEW_S < now_s

    def to_bytes(self) -> bytes:
        """Return the encoding."""
        return encode(_signer_parts(self))


def statement(data: bytes) -> Revocation | SignerRevocation:
    """Return the statement of canonical bytes. Raises TokenInvalid, also for a wrong signature."""
    return _statement(decode(data[: REVOCATION_BYTES_MAX + 1]))  # what is cut off is not canonical


def place_of(data: bytes) -> bytes:
    """Return where the statement of bytes stands in a set, its signature unchecked. Raises TokenInvalid."""
    parts = array(decode(data[: REVOCATION_BYTES_MAX + 1]), "a revocation", most=5)
    subject, revoker = tuple_of(parts[:2], 2, "a revocation")
    kind = bytes([OF_SIGNER]) if len(parts) == 5 else b""
    return octets(subject, HASH_SIZE, "a subject") + octets(revoker, KEY_SIZE, "the revoker") + kind


def _statement(value: object) -> Revocation | SignerRevocation:
    parts = array(value, "a revocation", most=5)
    if len(parts) < 5:
        return _revocation(value)
    signer, revoker, signature, until, kind = parts
    if type(kind) is not int or kind != OF_SIGNER:
        raise TokenInvalid("the kind of revocation is unknown", why="shape")
    return SignerRevocation(
        checked_key(octets(signer, KEY_SIZE, "the signer")),
        unsigned(until, "an end"),
        checked_key(octets(revoker, KEY_SIZE, "the revoker")),
        octets(signature, SIGNATURE_SIZE, "the signature"),
    )


def _signer_parts(one: SignerRevocation) -> list[object]:
    return [one.signer.bytes, one.revoker.bytes, one.signature, one.until, OF_SIGNER]


def _signer_said(signer: PublicKey, until: int) -> bytes:
    return D_SIGNER + signer.bytes + until.to_bytes(8, "big")


def _said(block_id: bytes, until: int | None) -> bytes:
    """Return what is signed: the block, and when it ends, if that is told."""
    return block_id if until is None else block_id + until.to_bytes(8, "big")


def _parts(one: Revocation) -> list[object]:
    end = [] if one.until is None else [one.until]
    return [one.block_id, one.revoker.bytes, one.signature, *end]


def _revocation(value: object) -> Revocation:
    parts = array(value, "a revocation", most=4)
    identity, revoker, signature = tuple_of(parts[:3], 3, "a revocation")
    return Revocation(
        octets(identity, HASH_SIZE, "a block id"),
        checked_key(octets(revoker, KEY_SIZE, "the revoker")),
        octets(signature, SIGNATURE_SIZE, "the signature"),
        unsigned(parts[3], "an end") if parts[3:] else None,
    )


def entitled(chain: VerifiedChain, index: int, lineage: Lineage = NO_LINEAGE) -> set[PublicKey]:
    """Return who may revoke a block: its signer, the signers before, and its holder; or who follows one of them."""
    keys = {chain.root, *(block.key for block in chain.blocks[: index + 1])}
    followers = (lineage.successor(key) for key in keys)
    return keys | {key for key in followers if key is not None}


def _rank(one: Revocation | SignerRevocation) -> tuple[bool, int, bytes]:
    """Return what is greater for the statement of one key that holds for longer: what ends soon is to keep out nothing.

    Of two that end together the signature decides, so that all sets have the same one, in whatever order they came.
    """
    return one.until is None, one.until or 0, one.signature


def _drop(
    kept: dict[_Subject, dict[PublicKey, _Said]], subject: _Subject, revoker: PublicKey
) -> None:
    del kept[subject][revoker]
    if not kept[subject]:
        del kept[subject]


class RevocationSet:
    """Statements by block and revoker, of each the one that holds longest; a union of two sets is the set of both."""

    def __init__(self) -> None:
        self._by_block: dict[bytes, dict[PublicKey, Revocation]] = {}
        self._by_signer: dict[PublicKey, dict[PublicKey, SignerRevocation]] = {}
        self._by_place: dict[bytes, Revocation | SignerRevocation] = {}
        self._places: list[bytes] = []  # sorted
        self.generation = 0  # raised by every statement that comes or goes
        self._lineage = NO_LINEAGE
        self._over: frozenset[PublicKey] = frozenset()  # roots that count no more

    def add(self, revocation: Revocation, *, reserve: int = 0) -> bool:
        """Keep a statement, unless one by the same revoker about the block says as much; return whether it is new.

        Raises TokenInvalid when the set is full, but for a reserve.
        """
        return self._keep(self._by_block, revocation.block_id, revocation, reserve)

    def add_signer(self, revocation: SignerRevocation, *, reserve: int = 0) -> bool:
        """Keep a statement about a signer, unless one by the same revoker says as much; return whether it is new.

        Raises TokenInvalid when the set is full, but for a reserve.
        """
        return self._keep(self._by_signer, revocation.signer, revocation, reserve)

    def _keep(
        self,
        kept: dict[_Subject, dict[PublicKey, _Said]],
        subject: _Subject,
        one: _Said,
        reserve: int,
    ) -> bool:
        before = kept.get(subject, {}).get(one.revoker)
        if before is not None and _rank(before) >= _rank(one):
            return False
        if before is None and len(self) + reserve >= REVOCATIONS_MAX:
            raise TokenInvalid(f"the set holds {len(self)} revocations already", why="full")
        kept.setdefault(subject, {})[one.revoker] = one
        if before is None:
            insort(self._places, one.place)
        self._by_place[one.place] = one
        self.generation += 1
        return True

    def signers(self) -> Iterator[SignerRevocation]:
        """Yield the statements about signers."""
        for statements in self._by_signer.values():
            yield from statements.values()

    def forget(self, now_s: int) -> list[bytes]:
        """Drop statements about blocks that have ended; return their places. The clock must not go back afterwards."""
        of_signers = [one for one in self.signers() if one.is_over(now_s)]
        for signer in of_signers:
            _drop(self._by_signer, signer.signer, signer.revoker)
        over = [one for one in self if one.is_over(now_s)]
        for one in over:
            _drop(self._by_block, one.block_id, one.revoker)
        gone = [one.place for one in over] + [one.place for one in of_signers]
        if gone:
            for each in gone:
                del self._by_place[each]
            self._places = sorted(self._by_place)
            self.generation += 1
        return gone

    def has(self, at: bytes) -> bool:
        """Return whether there is a statement at a place."""
        return at in self._by_place

    def knows(self, data: bytes) -> bool:
        """Return whether there is just the statement of bytes, which then need no check again. Raises TokenInvalid."""
        known = self._by_place.get(place_of(data))
        return known is not None and known.to_bytes() == data

    def after(self, at: bytes, count: int) -> list[Revocation | SignerRevocation]:
        """Return the next statements after a place, in their order."""
        start = bisect_right(self._places, at)
        return [self._by_place[each] for each in self._places[start : start + count]]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Revocation]:
        for statements in self._by_block.values():
            yield from statements.values()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is revoked, whatever the chain is."""
        return not self._places and not self._over

    def first_revoked(self, chain: VerifiedChain) -> int | None:
        """Return the index of the first block of the chain that somebody entitled to it has revoked."""
        if self.is_empty:
            return None
        return next((i for i in range(len(chain.blocks)) if self.revokes(chain, i)), None)

    def revokes(self, chain: VerifiedChain, index: int) -> bool:
        """Return whether somebody entitled to it has revoked a block of the chain."""
        if index == 0 and self.is_over(chain.root):
            return True
        if self._by_signer and self._revokes_signer(chain, index):
            return True
        statements = self._by_block.get(chain.blocks[index].id)
        return statements is not None and not statements.keys().isdisjoint(
            entitled(chain, index, self._lineage)
        )

    def is_over(self, root: PublicKey) -> bool:
        """Return whether the time of a root is over, so that what it signed counts as revoked."""
        return root in self._over

    def _revokes_signer(self, chain: VerifiedChain, index: int) -> bool:
        signer = chain.root if index == 0 else chain.blocks[index - 1].key
        found = self._by_signer.get(signer, {}).values()
        return any(one.revokes(chain, index, self._lineage) for one in found)

    def follow(self, lineage: Lineage, over: frozenset[PublicKey] = frozenset()) -> None:
        """Let the successors of keys revoke what those might; tokens of roots whose time is over count as revoked."""
        self._lineage = lineage
        self._over |= over
        self.generation += 1

    def encode(self) -> bytes:
        """Return the set as bytes, the same for equal sets."""
        known = [self._by_place[each] for each in self._places]
        items = [_parts(one) for one in known if isinstance(one, Revocation)]
        signers = [_signer_parts(one) for one in known if isinstance(one, SignerRevocation)]
        return encode([*items, *signers])

    @staticmethod
    def decode(data: bytes) -> RevocationSet:
        """Return the set of bytes, every signature checked. Raises TokenInvalid."""
        found = RevocationSet()
        for item in array(decode(data), "the revocations", most=REVOCATIONS_MAX):
            one = _statement(item)
            if isinstance(one, Revocation):
                found.add(one)
            else:
                found.add_signer(one)
        return found
