"""Ed25519 keys, 32 bytes each; a key is an identity.

Is:     private and public keys, their text form, their files.
Is not: TLS certificates (`certificate`), which are a container for the same public key.
Fits:   everything that signs or names somebody.
Source: RFC 8032; the list of small-order points after Chalkias, Garillot, Nikolaenko (2020), "Taming the many EdDSAs".

Public keys of small order, under which anybody can make signatures that verify, and encodings that are not canonical are
refused here, before any signature is looked at, whatever the library does. The library, libsodium, refuses S that is not
below the group's order and R of small order, and multiplies by no cofactor: a signature that it accepts, every verifier does.
"""

from __future__ import annotations

import base64
import builtins
import hashlib
import os
import stat
from functools import lru_cache
from pathlib import Path

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from capabilities.errors import KeyInvalid, TokenInvalid

KEY_SIZE = 32
SIGNATURE_SIZE = 64
P = 2**255 - 19
_CHECK_SIZE = 2  # bytes of checksum in the text form

# y coordinates of the eight points of small order; the sign bit is ignored.
SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        P - 1,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
        P - 55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)


class PublicKey:
    """A checked public key."""

    __slots__ = ("bytes",)
    bytes: builtins.bytes

    def __init__(self, raw: builtins.bytes) -> None:
        if len(raw) != KEY_SIZE:
            raise KeyInvalid(f"a public key is {KEY_SIZE} bytes, not {len(raw)}")
        y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
        if y >= P:
            raise KeyInvalid("the public key is not in canonical form")
        if y in SMALL_ORDER_Y:
            raise KeyInvalid("the public key has small order: anybody could sign for it")
        self.bytes = raw

    def verify(self, signature: builtins.bytes, message: builtins.bytes) -> None:
        """Return if the signature (64 bytes) is this key's over the message. Raises TokenInvalid."""
        if len(signature) != SIGNATURE_SIZE:  # the library does not see where it ends
            raise TokenInvalid(f"a signature is {SIGNATURE_SIZE} bytes", why="signature")
        try:
            crypto_sign_open(signature + message, self.bytes)
        except BadSignatureError:
            raise TokenInvalid("the signature is wrong", why="signature") from None

    @property
    def text(self) -> str:
        """Return the key as people copy it: base32 with a checksum, 55 characters."""
        return _text(self.bytes)

    @staticmethod
    def parse(text: str) -> PublicKey:
        """Return the key of its text form. Raises KeyInvalid."""
        padded = text.upper() + "=" * (-len(text) % 8)
        try:
            data = base64.b32decode(padded)
        except (ValueError, UnicodeEncodeError):
            raise KeyInvalid("this is not the text of a public key") from None
        key = PublicKey(data[:KEY_SIZE])
        if key.text != text.lower():  # the checksum is a part of it
            raise KeyInvalid("the text of the public key has a typing error in it")
        return key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.bytes == other.bytes

    def __hash__(self) -> int:
        return hash(self.bytes)

    def __repr__(self) -> str:
        return f"PublicKey({self.text})"


@lru_cache(maxsize=4096)
def _text(raw: bytes) -> str:
    return base64.b32encode(raw + _check(raw)).decode().rstrip("=").lower()


def _check(raw: bytes) -> bytes:
    return hashlib.sha256(b"yin/1/key\0" + raw).digest()[:_CHECK_SIZE]


class PrivateKey:
    """A private key; its seed appears in no text, error or representation."""

    __slots__ = ("_expanded", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_SIZE:
            raise KeyInvalid(f"a private key is {KEY_SIZE} bytes, not {len(seed)}")
        self.seed = seed
        public, self._expanded = crypto_sign_seed_keypair(seed)
        self.public = PublicKey(public)

    @staticmethod
    def generate() -> PrivateKey:
        """Return a fresh key from the system's randomness."""
        return PrivateKey(os.urandom(KEY_SIZE))

    @staticmethod
    def from_seed(seed: bytes) -> PrivateKey:
        """Return the key of a seed of 32 bytes."""
        return PrivateKey(seed)

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes. Callers separate domains by a prefix of the message."""
        return crypto_sign(message, self._expanded)[:SIGNATURE_SIZE]

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public.text})"


def save_private(path: Path, key: PrivateKey) -> None:
    """Write a key file that only its owner can read, from the first byte on. An existing file is left alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.seed.hex() + "\n")


def load_private(path: Path) -> PrivateKey:
    """Return the key of a file. Raises KeyInvalid when it is malformed, no file, or others can read it."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise KeyInvalid(f"{str(path)!r} is not the file of a private key")
    if mode & 0o077:
        raise KeyInvalid(f"{path}: mode {mode & 0o777:o}; a private key has mode 600")
    try:
        return PrivateKey(bytes.fromhex(path.read_text().strip()))
    except ValueError:
        raise KeyInvalid(f"{path}: not a private key") from None


@lru_cache(maxsize=4096)
def public_key(raw: bytes) -> PublicKey:
    """Return the checked key of 32 bytes; keys met again are the same object. Raises KeyInvalid."""
    return PublicKey(raw)
