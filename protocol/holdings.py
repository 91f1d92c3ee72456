"""How many bytes a node holds for each peer that has not said all, waits for an answer, or does not read it.

Is:     a count over all connections of a peer, and of all peers: of long messages under way, of requests, of answers.
Is not: how many connections there are (`entrance`), or what a channel is writing (`outbox`).
Fits:   channels of `transport` take from it before they go on reading, and give back.
"""

from __future__ import annotations

from collections import Counter

from capabilities.keys import PublicKey
from protocol.limits import HELD_BYTES_MAX, HELD_BYTES_OF_PEER


class Holdings:
    """What the channels of one node hold."""

    def __init__(self, of_peer: int = HELD_BYTES_OF_PEER, most: int = HELD_BYTES_MAX) -> None:
        """Take how many bytes may be held for one peer, and for all."""
        self.of_peer, self.most = of_peer, most
        self._of_peer: Counter[PublicKey] = Counter()

    def held(self, peer: PublicKey) -> int:
        """Return how many bytes are held for a peer."""
        return self._of_peer[peer]

    def take(self, peer: PublicKey, size: int) -> bool:
        """Count so many bytes more, unless that is too much; return whether they are counted."""
        if self._of_peer[peer] + size > self.of_peer or self._of_peer.total() + size > self.most:
            return False
        self._of_peer[peer] += size
        return True

    def give(self, peer: PublicKey, size: int) -> None:
        """Count so many bytes less."""
        self._of_peer[peer] -= size
        if not self._of_peer[peer]:
            del self._of_peer[peer]
