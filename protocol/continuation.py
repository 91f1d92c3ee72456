"""A continuation on its way: the envelope around the machine's image.

Is:     version, digest and size limits around an image, the programs it names, its tokens and what its node adds.
Is not: the image itself (`yind.cesk`), which these bytes only carry, nor any check of the tokens.
Fits:   the body of an Offer.

    [version, SHA-256 of the rest, image, program hashes, tokens, luggage]  as canonical bytes of `protocol.codec`
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.codec import pack, unpack
from protocol.errors import LocalFault, RemoteFault
from protocol.limits import FRAME_BYTES_MAX, HASHES_MAX, IMAGE_BYTES_MAX, TOKENS_MAX

VERSION = 1
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Continuation:
    """What travels."""

    image: bytes
    programs: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    meta: bytes


def seal(image: bytes, programs: Sequence[bytes], tokens: Sequence[bytes], meta: bytes) -> bytes:
    """Return the bytes of a continuation. Raises LocalFault when it is too large to travel."""
    if len(image) > IMAGE_BYTES_MAX:
        raise LocalFault(f"an image of {len(image)} bytes; at most {IMAGE_BYTES_MAX} travel")
    parts = (image, tuple(programs), tuple(tokens), meta)
    return pack((VERSION, hashlib.sha256(pack(parts)).digest(), *parts))


def open_(data: bytes) -> Continuation:
    """Return the continuation of bytes. Raises RemoteFault for any other bytes."""
    if len(data) > FRAME_BYTES_MAX:
        raise RemoteFault("wire/image", f"{len(data)} bytes; at most {FRAME_BYTES_MAX}")
    value = unpack(data)
    if not isinstance(value, tuple) or len(value) != 6 or value[0] != VERSION:
        raise RemoteFault("wire/image", "not a continuation of a version known here")
    digest, image, programs, tokens, meta = value[1:]
    if not (isinstance(image, bytes) and isinstance(meta, bytes) and len(image) <= IMAGE_BYTES_MAX):
        raise RemoteFault("wire/image", "image and luggage are bytes within their limit")
    if not _are_bytes(programs, HASHES_MAX, HASH_BYTES) or not _are_bytes(tokens, TOKENS_MAX, None):
        raise RemoteFault("wire/image", "programs are hashes, tokens are bytes, within their limits")
    if digest != hashlib.sha256(pack(value[2:])).digest():
        raise RemoteFault("wire/image", "the digest is not that of the continuation")
    return Continuation(image, programs, tokens, meta)


def _are_bytes(value: object, most: int, size: int | None) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) <= most
        and all(isinstance(item, bytes) and size in (None, len(item)) for item in value)
    )
