"""A ticket lets one fresh machine into a cluster, once.

Is:     the ticket's text, and the proof that somebody holds its secret.
Is not: who may issue one or whether it was used (`yind.joining`).
Fits:   a person carries it from a node to the new machine: `HOST:PORT#NODE-KEY#SECRET`.
Source: RFC 2104 (HMAC). The secret itself is never sent: who answers at the address learns a proof for one application and
        can use it for no other.

The node keeps a key made from the secret, which says nothing about the id that is sent, and the other way round.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from capabilities.errors import KeyInvalid, TicketInvalid
from capabilities.keys import PublicKey
from capabilities.limits import TICKET_SECRET_BYTES

D_ID = b"yin/1/tid\0"
D_KEY = b"yin/1/tkt\0"
D_JOIN = b"yin/1/joi\0"
TICKET_ID_BYTES = 16
PROOF_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to apply, who must answer there, and the secret."""

    address: str  # "host:port"
    node: PublicKey
    secret: bytes

    @property
    def id(self) -> bytes:
        """Return what names the ticket without giving it away."""
        return hashlib.sha256(D_ID + self.secret).digest()[:TICKET_ID_BYTES]

    @property
    def key(self) -> bytes:
        """Return what proofs are made and checked with."""
        return hashlib.sha256(D_KEY + self.secret).digest()

    def to_text(self) -> str:
        """Return the ticket as people carry it."""
        secret = base64.b32encode(self.secret).decode().rstrip("=").lower()
        return f"{self.address}#{self.node.text}#{secret}"

    @staticmethod
    def parse(text: str) -> Ticket:
        """Return the ticket of a text. Raises TicketInvalid."""
        parts = text.strip().split("#")
        if len(parts) != 3 or not all(parts):
            raise TicketInvalid("a ticket is HOST:PORT#NODE-KEY#SECRET")
        address, node, secret = parts
        try:
            raw = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
            ticket = Ticket(address, PublicKey.parse(node), raw)
        except (ValueError, KeyInvalid) as error:
            raise TicketInvalid(f"the ticket has a typing error in it: {error}") from None
        if len(raw) != TICKET_SECRET_BYTES or ticket.to_text() != text.strip():
            raise TicketInvalid("the ticket has a typing error in it")
        return ticket

    def __repr__(self) -> str:
        return f"Ticket({self.address}#{self.node.text})"


def proof_of(key: bytes, node: PublicKey, application: bytes) -> bytes:
    """Return the proof, 32 bytes, that who applies at a node holds the ticket with a key."""
    return hmac.digest(key, D_JOIN + node.bytes + application, "sha256")


def check_proof(key: bytes, node: PublicKey, application: bytes, proof: bytes) -> None:
    """Return if the proof is right. Raises TicketInvalid; takes the same time for every wrong one."""
    if not hmac.compare_digest(proof_of(key, node, application), proof):
        raise TicketInvalid("the proof is wrong")
