"""What a node remembers of one connection.

Is:     who is at its other end, and the tokens they presented.
Is not: the connection (`protocol.transport`).
Fits:   `yind.peers` makes one for each connection; `yind.control` decides from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from capabilities.handles import Handle
from capabilities.keys import PublicKey


@dataclass(slots=True)
class Session:
    """The authenticated key at the other end, and the handles of its tokens."""

    peer: PublicKey
    challenge: bytes = b""  # what this node's Hello asked to be signed
    tokens: list[Handle] = field(default_factory=list)
