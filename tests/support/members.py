"""Members of a cluster: a key and its certificate for each name."""

from __future__ import annotations

from dataclasses import dataclass

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey, PublicKey


@dataclass(frozen=True)
class Member:
    """A key and its certificate."""

    private: PrivateKey
    certificate: bytes

    @property
    def key(self) -> PublicKey:
        return self.private.public


def member(name: str) -> Member:
    private = PrivateKey.from_seed(name.encode().ljust(32))
    return Member(private, make_certificate(private, name))


NODE, FRIEND, STRANGER = member("node"), member("friend"), member("stranger")
