"""What is said about a cluster, signed: who is a member, who may admit members, which key follows which.

Is:     three kinds of statement, their canonical bytes, and the check of their signatures.
Is not: whether a statement counts: that depends on all others and on the time (`membership`).
Fits:   nodes keep statements as facts and tell each other; files and tickets' answers carry them as bytes.

    statement = [body, [[signer, Ed25519(signer, domain || body)], ...]]
    body      = [1, name, role, key, certificate, [address ...], seq, at, removed]   domain "yin/1/mem" 0x00
              | [2, key, powers, from, until, seq]                                   domain "yin/1/adm" 0x00
              | [3, old, new, from, until, seq, certificate]                         domain "yin/1/rot" 0x00

A member or an appointment has one signer. A succession has two, the old key and the new one: with the first alone somebody
could name a key as its successor that belongs to somebody else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

from capabilities.canonical import array, decode, encode, octets, tuple_of, unsigned
from capabilities.caveats import checked_key
from capabilities.certificate import public_key_of
from capabilities.errors import CapabilityError, MemberInvalid
from capabilities.keys import KEY_SIZE, SIGNATURE_SIZE, PrivateKey, PublicKey
from capabilities.limits import (
    ADDRESS_BYTES_MAX,
    ADDRESSES_MAX,
    CERTIFICATE_BYTES_MAX,
    NAME_BYTES_MAX,
    SEQ_MAX,
    STATEMENT_BYTES_MAX,
)

D_MEMBER = b"yin/1/mem\0"
D_APPOINTMENT = b"yin/1/adm\0"
D_SUCCESSION = b"yin/1/rot\0"
ROLES = ("node", "operator")


class Power(IntFlag):
    """What an appointed key may say for the root; the bit's position is part of the format."""

    ADMIT = 1  # new nodes, and new addresses or certificates of nodes
    REMOVE = 2


POWERS_ALL = sum(Power)


@dataclass(frozen=True, slots=True)
class Record:
    """Somebody belongs to the cluster, or does not any more; the certificate holds the same key."""

    name: str
    role: str  # one of ROLES
    key: PublicKey
    certificate: bytes  # DER
    addresses: tuple[str, ...]  # "host:port"
    seq: int  # a later record of the same name has a higher one
    at_s: int = 0  # when it was signed, seconds since 1970
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Appointment:
    """The root lets a key admit or remove nodes; of several for one key that with the highest `seq` counts."""

    key: PublicKey
    powers: Power
    from_s: int
    until_s: (
        int  # records signed later do not count; an earlier `until_s` with a higher `seq` withdraws
    )
    seq: int


@dataclass(frozen=True, slots=True)
class Succession:
    """A key hands on to another: of the cluster's root (no certificate) or of a member."""

    old: PublicKey
    new: PublicKey
    from_s: int
    until_s: int  # the last second that the old key is accepted
    seq: int
    certificate: bytes = b""  # of the new key, DER


Fact = Record | Appointment | Succession


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact and who signed it; made only by `sign` and `Statement.from_bytes`, which checks the signatures."""

    fact: Fact
    signers: tuple[PublicKey, ...]
    id: bytes  # of the body and the signers: another signature makes no other statement
    data: bytes

    @property
    def signer(self) -> PublicKey:
        """Return whose word it is; for a succession the old key."""
        return self.signers[0]

    def to_text(self) -> str:
        """Return the statement as one line."""
        return base64.urlsafe_b64encode(self.data).decode()

    @staticmethod
    def from_text(text: str) -> Statement:
        """Return the statement of a line. Raises MemberInvalid."""
        try:
            data = base64.urlsafe_b64decode(text)
        except ValueError:
            raise MemberInvalid("the record is not base64") from None
        return Statement.from_bytes(data)

    @staticmethod
    def from_bytes(data: bytes) -> Statement:
        """Return the statement of canonical bytes, its signatures checked. Raises MemberInvalid."""
        if len(data) > STATEMENT_BYTES_MAX:
            raise MemberInvalid("the record is too long")
        try:
            return _opened(data)
        except CapabilityError as error:
            raise MemberInvalid(f"the record is malformed: {error}") from None


def sign(fact: Fact, *keys: PrivateKey) -> Statement:
    """Return a fact signed by a key, a succession by the old and the new one. Raises MemberInvalid for a fact like no other."""
    body = encode(_body(fact))
    domain = _KINDS[_kind(fact)].domain
    data = encode([body, [[key.public.bytes, key.sign(domain + body)] for key in keys]])
    return Statement.from_bytes(data)


def _opened(data: bytes) -> Statement:
    body, signed = tuple_of(decode(data), 2, "a record")
    if type(body) is not bytes:
        raise MemberInvalid("its body is not bytes")
    signatures = [_signature(item) for item in array(signed, "signatures", most=2)]
    items = array(decode(body), "the body", most=16)
    kind = _KINDS.get(items[0]) if items and type(items[0]) is int else None
    if kind is None:
        raise MemberInvalid("its kind is unknown to this version")
    # The signatures come first: what nobody vouches for is not parsed.
    if len(signatures) != kind.signers:
        raise MemberInvalid(f"it has {len(signatures)} signatures, not {kind.signers}")
    for key, signature in signatures:
        key.verify(signature, kind.domain + body)
    fact = kind.read(tuple_of(items, kind.size, "the body")[1:])
    signers = tuple(key for key, _ in signatures)
    if isinstance(fact, Succession) and signers != (fact.old, fact.new):
        raise MemberInvalid("a succession is signed by the old key and the new one")
    names = b"".join(key.bytes for key in signers)
    return Statement(fact, signers, hashlib.sha256(kind.domain + names + body).digest(), data)


def _signature(item: object) -> tuple[PublicKey, bytes]:
    key, signature = tuple_of(item, 2, "a signature")
    return (
        checked_key(octets(key, KEY_SIZE, "a signer")),
        octets(signature, SIGNATURE_SIZE, "a signature"),
    )


# -- bodies --


def _kind(fact: Fact) -> int:
    match fact:
        case Record():
            return 1
        case Appointment():
            return 2
        case Succession():
            return 3


def _body(fact: Fact) -> list[object]:
    match fact:
        case Record(name, role, key, certificate, addresses, seq, at_s, removed):
            plain = [name, role, key.bytes, certificate, list(addresses), seq, at_s, int(removed)]
            return [1, *plain]
        case Appointment(key, powers, from_s, until_s, seq):
            return [2, key.bytes, int(powers), from_s, until_s, seq]
        case Succession(old, new, from_s, until_s, seq, certificate):
            return [3, old.bytes, new.bytes, from_s, until_s, seq, certificate]


def _record(items: tuple[object, ...]) -> Record:
    name, role, key, certificate, addresses, seq, at_s, removed = items
    record = Record(
        _text(name, NAME_BYTES_MAX, "the name"),
        _text(role, NAME_BYTES_MAX, "the role"),
        checked_key(octets(key, KEY_SIZE, "the key")),
        _certificate(certificate),
        tuple(
            _text(item, ADDRESS_BYTES_MAX, "an address")
            for item in array(addresses, "the addresses", most=ADDRESSES_MAX)
        ),
        _number(seq),
        unsigned(at_s, "the time"),
        bool(unsigned(removed, "removed", most=1)),
    )
    if record.role not in ROLES or public_key_of(record.certificate) != record.key:
        raise MemberInvalid("role or certificate do not fit the record")
    if not is_name(record.name):
        raise MemberInvalid(f"{record.name!r} is no name")
    return record


def _appointment(items: tuple[object, ...]) -> Appointment:
    key, powers, from_s, until_s, seq = items
    return Appointment(
        checked_key(octets(key, KEY_SIZE, "the key")),
        Power(unsigned(powers, "powers", most=POWERS_ALL)),
        unsigned(from_s, "from"),
        unsigned(until_s, "until"),
        _number(seq),
    )


def _succession(items: tuple[object, ...]) -> Succession:
    old, new, from_s, until_s, seq, certificate = items
    made = Succession(
        checked_key(octets(old, KEY_SIZE, "the old key")),
        checked_key(octets(new, KEY_SIZE, "the new key")),
        unsigned(from_s, "from"),
        unsigned(until_s, "until"),
        _number(seq),
        _certificate(certificate),
    )
    if made.old == made.new or made.until_s < made.from_s:
        raise MemberInvalid("a key is followed by another one, and for a while both hold")
    if made.certificate and public_key_of(made.certificate) != made.new:
        raise MemberInvalid("the certificate does not fit the new key")
    return made


def is_name(text: str) -> bool:
    """Return whether a text can name a member: letters, digits, `-`, `_` and `.`, so that it can stand in paths and patterns."""
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    return plain.isascii() and plain.isalnum() and not text.startswith((".", "-"))


def _text(value: object, most: int, what: str) -> str:
    if type(value) is not str or not 0 < len(value.encode(errors="replace")) <= most:
        raise MemberInvalid(f"{what} is not text of 1 to {most} bytes")
    return value


def _number(value: object) -> int:
    return unsigned(value, "seq", most=SEQ_MAX)


def _certificate(value: object) -> bytes:
    if type(value) is not bytes or len(value) > CERTIFICATE_BYTES_MAX:
        raise MemberInvalid(f"the certificate is not at most {CERTIFICATE_BYTES_MAX} bytes")
    return value


@dataclass(frozen=True, slots=True)
class _Kind:
    domain: bytes
    size: int  # of the body, its number included
    signers: int
    read: Callable[[tuple[object, ...]], Fact]


# ORDER: the numbers are the format; append only.
_KINDS: dict[object, _Kind] = {
    1: _Kind(D_MEMBER, 9, 1, _record),
    2: _Kind(D_APPOINTMENT, 6, 1, _appointment),
    3: _Kind(D_SUCCESSION, 7, 2, _succession),
}
