"""How a fresh machine applies for membership: one message there, one answer back.

Is:     the two messages and their bytes.
Is not: the ticket (`capabilities.tickets`), who is admitted (`yind.joining`) or the connection.
Fits:   over TLS on which only the node has shown a certificate, under an ALPN of its own, so that no byte of who has not
        been admitted is ever read as anything but an application.
"""

from __future__ import annotations

from dataclasses import dataclass

from capabilities.canonical import array, decode, encode, octets, tuple_of, unsigned
from capabilities.caveats import checked_key
from capabilities.errors import CapabilityError, TokenInvalid
from capabilities.keys import KEY_SIZE, PublicKey
from capabilities.limits import (
    ADDRESS_BYTES_MAX,
    ADDRESSES_MAX,
    CERTIFICATE_BYTES_MAX,
    NAME_BYTES_MAX,
    STATEMENT_BYTES_MAX,
)
from capabilities.tickets import PROOF_BYTES, TICKET_ID_BYTES, Ticket, proof_of
from protocol.errors import RemoteFault
from protocol.limits import (
    ADMISSION_BYTES_MAX,
    APPLICATION_BYTES_MAX,
    JOIN_VERSION,
    TEXT_BYTES_MAX,
)


@dataclass(frozen=True, slots=True)
class Application:
    """Who wants in: the ticket by its id, and what the member's record is to say."""

    ticket: bytes
    name: str
    addresses: tuple[str, ...]
    certificate: bytes  # DER; its key is the member's
    root: PublicKey | None  # of the only cluster that it wants into
    signed: bytes  # what the proof covers
    proof: bytes

    @staticmethod
    def make(
        ticket: Ticket,
        *,
        name: str,
        addresses: tuple[str, ...],
        certificate: bytes,
        root: PublicKey | None = None,
    ) -> Application:
        """Return an application with its proof."""
        fields = [JOIN_VERSION, ticket.id, name, list(addresses), certificate]
        signed = encode(fields if root is None else [*fields, root.bytes])
        proof = proof_of(ticket.key, ticket.node, signed)
        return Application(ticket.id, name, addresses, certificate, root, signed, proof)

    def to_bytes(self) -> bytes:
        """Return the message."""
        return encode([self.signed, self.proof])

    @staticmethod
    def from_bytes(data: bytes) -> Application:
        """Return the application of canonical bytes, its proof unchecked. Raises RemoteFault."""
        try:
            if len(data) > APPLICATION_BYTES_MAX:
                raise TokenInvalid("an application is too long", why="too-long")
            signed, proof = tuple_of(decode(data), 2, "an application")
            if type(signed) is not bytes:
                raise TokenInvalid("an application is not bytes", why="shape")
            version, *fields = _versioned(decode(signed), 5, 6)
            if version != JOIN_VERSION:
                raise RemoteFault("wire/version", f"join version {version}; here {JOIN_VERSION}")
            ticket, name, addresses, certificate = fields[:4]
            return Application(
                octets(ticket, TICKET_ID_BYTES, "the ticket's id"),
                _text(name, NAME_BYTES_MAX, "the name"),
                tuple(
                    _text(item, ADDRESS_BYTES_MAX, "an address")
                    for item in array(addresses, "the addresses", most=ADDRESSES_MAX)
                ),
                _bytes(certificate, CERTIFICATE_BYTES_MAX, "the certificate"),
                _key(fields[4]) if len(fields) > 4 else None,
                signed,
                octets(proof, PROOF_BYTES, "the proof"),
            )
        except CapabilityError as error:
            raise RemoteFault("wire/message", f"not an application: {error}") from None


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer yes: the cluster's root, and statements from which the new node knows itself and the others."""

    root: PublicKey
    statements: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Rejection:
    """The answer no."""

    code: str
    message: str


def encode_answer(answer: Admission | Rejection) -> bytes:
    """Return the answer's bytes; of the statements of an admission the first, as many as fit."""
    if isinstance(answer, Rejection):
        message = answer.message.encode()[:TEXT_BYTES_MAX].decode(errors="ignore")
        return encode([JOIN_VERSION, 0, answer.code, message])
    kept: list[bytes] = []
    room = ADMISSION_BYTES_MAX - 64
    for statement in answer.statements:
        room -= len(statement) + 3
        if room < 0:
            break
        kept.append(statement)
    return encode([JOIN_VERSION, 1, answer.root.bytes, kept])


def decode_answer(data: bytes) -> Admission | Rejection:
    """Return the answer of canonical bytes; a version's further fields are not looked at. Raises RemoteFault."""
    try:
        if len(data) > ADMISSION_BYTES_MAX:
            raise TokenInvalid("the answer is too long", why="too-long")
        _, admitted, first, second = _versioned(decode(data), 4)[:4]
        if unsigned(admitted, "the verdict", most=1) == 0:
            return Rejection(
                _text(first, TEXT_BYTES_MAX, "a code"), _text(second, TEXT_BYTES_MAX, "a message")
            )
        statements = array(second, "the statements", most=ADMISSION_BYTES_MAX)
        return Admission(
            _key(first),
            tuple(_bytes(item, STATEMENT_BYTES_MAX, "a statement") for item in statements),
        )
    except CapabilityError as error:
        raise RemoteFault("wire/message", f"not an answer to an application: {error}") from None


def _versioned(value: object, *sizes: int) -> tuple[object, ...]:
    """Return the items of an array that begins with its version, of one of the sizes; another version may have more."""
    items = array(value, "the message", most=16)
    version = unsigned(items[0] if items else None, "the version")
    if version == JOIN_VERSION:
        return tuple_of(items, len(items) if len(items) in sizes else sizes[0], "the message")
    return (*items, *[None] * sizes[0])[: sizes[0]]


def _key(value: object) -> PublicKey:
    return checked_key(octets(value, KEY_SIZE, "the root"))


def _text(value: object, most: int, what: str) -> str:
    if type(value) is not str or not 0 < len(value.encode(errors="replace")) <= most:
        raise TokenInvalid(f"{what} is not text of 1 to {most} bytes", why="shape")
    return value


def _bytes(value: object, most: int, what: str) -> bytes:
    if type(value) is not bytes or not 0 < len(value) <= most:
        raise TokenInvalid(f"{what} is not 1 to {most} bytes", why="shape")
    return value
