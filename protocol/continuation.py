"""A shipped agent as bytes: the image of its machine, and what must travel with it.

Is:     the envelope: version, digest, image, hashes of programs, and a value of the daemon's.
Is not: the image's inside (`yind.cesk`), or the offer that carries it, and the tokens beside it.
Fits:   an `Offer`'s body; any bytes give a Continuation or a RemoteFault.

    SHA-256 of the rest (32 bytes) | canonical map of version, image, programs, meta

The digest finds damage, and gives the agent's state a name to sign. That the bytes are whole says nothing about who
made them: the hand-off's connection and the tokens do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from datomstore.value import Map
from protocol.codec import pack, unpack
from protocol.errors import LocalFault, RemoteFault
from protocol.limits import HASHES_MAX, IMAGE_BYTES_MAX
from protocol.messages import DIGEST_BYTES

VERSION = 1
_DOMAIN = b"yin/1/img\0"
_KEYS = frozenset({"version", "image", "programs", "meta"})


class Continuation(msgspec.Struct, frozen=True):
    """What travels."""

    image: bytes  # of the machine
    programs: tuple[bytes, ...]  # hashes of the programs that the image refers to
    meta: Any  # a value; what it means is the daemon's
    digest: bytes  # SHA-256 over everything above


def seal(machine_image: bytes, program_hashes: Iterable[bytes], meta: object) -> bytes:
    """Return the bytes of a continuation. Raises LocalFault if a part is not what `open_` accepts."""
    programs = tuple(program_hashes)
    wrong = _wrong(machine_image, programs)
    if wrong:
        raise LocalFault(wrong)
    parts = ("version", VERSION), ("image", machine_image), ("programs", programs), ("meta", meta)
    payload = pack(Map.of_names(parts))
    if len(payload) > IMAGE_BYTES_MAX:
        raise LocalFault(f"an image of {len(payload)} bytes; at most {IMAGE_BYTES_MAX}")
    return _digest(payload) + payload


def open_(data: bytes) -> Continuation:
    """Return the continuation of bytes. Raises RemoteFault("wire/image" or "wire/value...")."""
    if not DIGEST_BYTES < len(data) <= DIGEST_BYTES + IMAGE_BYTES_MAX:
        raise RemoteFault("wire/image", f"an image of {len(data)} bytes; at most {IMAGE_BYTES_MAX}")
    digest, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if _digest(payload) != digest:
        raise RemoteFault("wire/image", "the image is damaged: its digest is another")
    found = unpack(payload)
    if type(found) is not Map:
        raise RemoteFault("wire/image", "an image is a map")
    parts: dict[Any, Any] = dict(found.pairs())
    # The version comes first: another one may have other parts.
    if type(parts.get("version")) is not int or parts["version"] != VERSION:
        raise RemoteFault("wire/image", f"the image has another version than {VERSION}")
    if parts.keys() != _KEYS:
        raise RemoteFault("wire/image", f"an image has the parts {', '.join(sorted(_KEYS))}")
    image, programs = parts["image"], parts["programs"]
    wrong = _wrong(image, programs)
    if wrong:
        raise RemoteFault("wire/image", wrong)
    return Continuation(image, programs, parts["meta"], digest)


def digest_of(sealed: bytes) -> bytes:
    """Return the digest that sealed bytes begin with: the name of the state, which `open_` compares."""
    return sealed[:DIGEST_BYTES]


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(_DOMAIN + payload).digest()


def _wrong(image: object, programs: object) -> str:
    """Return what is wrong with an image and the hashes of its programs, or ""."""
    if type(image) is not bytes:
        return "the machine's image is not bytes"
    if not _all_hashes(programs):
        return f"programs are at most {HASHES_MAX} hashes"
    return ""


def _all_hashes(value: object) -> bool:
    return type(value) is tuple and len(value) <= HASHES_MAX and all(map(_is_hash, value))


def _is_hash(value: object) -> bool:
    return type(value) is bytes and len(value) == DIGEST_BYTES
