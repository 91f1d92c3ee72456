"""Who belongs to a cluster: records signed by its root key.

Is:     a member's name, role, key, certificate and addresses, signed; the set of them in a text file.
Is not: authority: being a member lets one connect, and nothing else.
Fits:   nodes and the command line read the same file; of several records of a name the highest `seq` counts.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import msgpack

from capabilities.certificate import public_key_of
from capabilities.errors import CapabilityError, KeyInvalid, MemberInvalid
from capabilities.keys import SIGNATURE_SIZE, PrivateKey, PublicKey
from capabilities.limits import MEMBER_BYTES_MAX

DOMAIN = b"yin/1/mem\0"
ROLES = ("node", "operator")


@dataclass(frozen=True, slots=True)
class Member:
    """One member; the certificate holds the same key."""

    name: str
    role: str  # one of ROLES
    key: PublicKey
    certificate: bytes  # DER
    addresses: tuple[str, ...]  # "host:port"
    seq: int  # a later record of the same name has a higher one


def sign_member(root: PrivateKey, member: Member) -> str:
    """Return a record as one line of text: base64url of signature and body."""
    body = msgpack.packb(
        [
            member.name,
            member.role,
            member.key.bytes,
            member.certificate,
            list(member.addresses),
            member.seq,
        ]
    )
    return base64.urlsafe_b64encode(root.sign(DOMAIN + body) + body).decode()


def verify_member(line: str, roots: Collection[PublicKey]) -> Member:
    """Return the member of a record that one of the roots signed. Raises MemberInvalid."""
    if len(line) > 2 * MEMBER_BYTES_MAX:
        raise MemberInvalid("the record is too long")
    try:
        data = base64.urlsafe_b64decode(line)
    except ValueError:
        raise MemberInvalid("the record is not base64") from None
    signature, body = data[:SIGNATURE_SIZE], data[SIGNATURE_SIZE:]
    if not any(_signed(root, signature, body) for root in roots):
        raise MemberInvalid("the record is not signed by the cluster's root")
    return _parse(body)


def _signed(root: PublicKey, signature: bytes, body: bytes) -> bool:
    try:
        root.verify(signature, DOMAIN + body)
    except CapabilityError:
        return False
    return True


def _parse(body: bytes) -> Member:
    try:
        name, role, key, certificate, addresses, seq = msgpack.unpackb(body)
        member = Member(name, role, PublicKey(key), certificate, tuple(addresses), seq)
        if role not in ROLES or public_key_of(certificate) != member.key:
            raise MemberInvalid("role or certificate do not fit the record")
    except (ValueError, TypeError, KeyInvalid, msgpack.exceptions.UnpackException) as error:
        raise MemberInvalid(f"the record is malformed: {error}") from None
    return member


class Membership:
    """The current members."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._by_name: dict[tuple[str, str], Member] = {}
        for member in members:
            known = self._by_name.get((member.role, member.name))
            if known is None or member.seq > known.seq:
                self._by_name[member.role, member.name] = member

    @staticmethod
    def from_text(text: str, *, roots: Collection[PublicKey]) -> Membership:
        """Return the members of a file. Raises MemberInvalid naming the line."""
        members = []
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    members.append(verify_member(line.strip(), roots))
                except MemberInvalid as error:
                    raise MemberInvalid(f"members, line {number}: {error}") from None
        return Membership(members)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._by_name.values()))

    def node(self, name: str) -> Member | None:
        """Return a node by name."""
        return self._by_name.get(("node", name))

    def of_key(self, key: PublicKey) -> Member | None:
        """Return the member with a key."""
        return next((member for member in self if member.key == key), None)
