"""Which key follows which, as far as tokens care.

Is:     one step: the successor of a key may do what the key might, and stands where it is named.
Is not: a chain: the successor of a successor has to be given a new token. Trust that is handed on and on has no end.
Fits:   `membership` makes it from successions; `verify`, `authorize` and `revocation` ask it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from capabilities.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Lineage:
    """Steps from old keys to new ones, and the way back."""

    new_of: Mapping[PublicKey, PublicKey] = field(default_factory=dict)
    old_of: Mapping[PublicKey, PublicKey] = field(default_factory=dict)

    def is_or_follows(self, key: PublicKey | None, named: PublicKey) -> bool:
        """Return whether a key is the one that was named, or its successor."""
        return key == named or (key is not None and self.new_of.get(named) == key)

    def stands_among(self, key: PublicKey, named: Collection[PublicKey]) -> bool:
        """Return whether a key, or the one it follows, is among those named."""
        return key in named or self.old_of.get(key) in named

    def predecessor(self, key: PublicKey) -> PublicKey | None:
        """Return the key that this one follows."""
        return self.old_of.get(key)

    def successor(self, key: PublicKey) -> PublicKey | None:
        """Return the key that follows this one."""
        return self.new_of.get(key)

    def origin(self, key: PublicKey) -> PublicKey:
        """Return the first key of the line, which stays the same however often it is rotated: a name, not a right."""
        if not self.old_of or key not in self.old_of:  # most clusters have not changed a key
            return key
        seen = {key}
        while (old := self.old_of.get(key)) is not None and old not in seen:
            seen.add(old)
            key = old
        return key


NO_LINEAGE = Lineage()
