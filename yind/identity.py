"""The keys of a node: the one it is, and for a while the one it was.

Is:     key and certificate files, also in the middle of a rotation, whatever crashed.
Is not: who believes that one key follows the other (`capabilities.membership`).
Fits:   `yind.rotation` changes it; `yind.peers` shows certificates, `yind.authority` signs with the key.

Beside `node.key` and `node.crt` there may be `.next`, made and not announced yet, and `.former`, still accepted by others:

    write .next  ->  the succession is durable  ->  node.key becomes .former, .next becomes node.key
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from capabilities.certificate import make_certificate, public_key_of, read_certificate
from capabilities.keys import PrivateKey, PublicKey, load_private, save_private

NEXT, FORMER = ".next", ".former"


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate."""

    key: PrivateKey
    certificate: bytes  # DER

    @property
    def public(self) -> PublicKey:
        """Return who has the pair."""
        return self.key.public


def load_pair(key: Path, certificate: Path) -> Pair:
    """Return what two files have. Raises KeyInvalid, also when they are not of one key, or OSError."""
    private = load_private(key)
    return Pair(private, read_certificate(certificate, private.public))


def read_identity(key: Path, certificate: Path) -> Pair:
    """Return who a node with these files is, and change none of them. Raises KeyInvalid or OSError."""
    return load_pair(key, _following(key, certificate) or certificate)


def _following(key: Path, certificate: Path) -> Path | None:
    """Return the next certificate if it takes the place of the one before, as its key has done; None else."""
    next_key, following = (path.with_name(path.name + NEXT) for path in (key, certificate))
    return following if following.exists() and not next_key.exists() else None


class Identity:
    """Who a node is. Raises KeyInvalid or OSError when its files are not as they must be."""

    def __init__(self, key: Path, certificate: Path) -> None:
        self._key_path, self._certificate_path = key, certificate
        self._finish()
        self.now = self._load("")
        self.former = self._load(FORMER) if self._exists(FORMER) else None

    def _paths(self, suffix: str) -> tuple[Path, Path]:
        key, certificate = self._key_path, self._certificate_path
        return key.with_name(key.name + suffix), certificate.with_name(certificate.name + suffix)

    def _exists(self, suffix: str) -> bool:
        return all(path.exists() for path in self._paths(suffix))

    def _load(self, suffix: str) -> Pair:
        key, certificate = self._paths(suffix)
        return load_pair(key, certificate)

    def prepare(self, name: str) -> Pair:
        """Make the next pair, on the disk before anybody hears of it; one that came to nothing is made anew."""
        self._remove(NEXT)
        key = PrivateKey.generate()
        made = Pair(key, make_certificate(key, name))
        key_path, certificate_path = self._paths(NEXT)
        save_private(key_path, made.key)
        certificate_path.write_bytes(made.certificate)
        for path in (key_path, certificate_path, key_path.parent):
            _sync(path)
        return made

    def advance(self) -> None:
        """Be the next pair from now on: its succession is durable."""
        self._remove(FORMER)
        for now, former in zip(self._paths(""), self._paths(FORMER), strict=True):
            former.hardlink_to(now)
        for following, now in zip(self._paths(NEXT), self._paths(""), strict=True):
            following.replace(now)
        _sync(self._key_path.parent)
        self.former, self.now = self.now, self._load("")

    def _finish(self) -> None:
        """Go on with an `advance` that moved the key and not its certificate."""
        following = _following(self._key_path, self._certificate_path)
        if following is not None:
            following.replace(self._certificate_path)

    def recover(self, successor: PublicKey | None) -> None:
        """Finish, or forget, a rotation that a crash interrupted; `successor` is what the statements say of our key."""
        if self._exists(NEXT) and public_key_of(self._paths(NEXT)[1].read_bytes()) == successor:
            self.advance()
        self._remove(NEXT)

    def forget_former(self) -> None:
        """Destroy the former key: nobody accepts it any more."""
        self.former = None
        self._remove(FORMER)

    def _remove(self, suffix: str) -> None:
        for path in self._paths(suffix):
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
