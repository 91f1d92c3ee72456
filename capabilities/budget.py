"""How much of each budget this node has let through.

Is:     amounts used, by block id and resource; a request debits every block of its chain that has a budget.
Is not: a promise across nodes: each node counts what it allowed itself.
Fits:   `authorize` debits; the daemon keeps the snapshot with the effects it paid for.

Because ancestors are debited too, children together never exceed their parent, whatever their own blocks say, and
copies of a token share one meter.
"""

from __future__ import annotations

from collections.abc import Mapping

from capabilities.canonical import array, decode, encode, octets, tuple_of, unsigned
from capabilities.caveats import HASH_SIZE, Resource
from capabilities.errors import TokenRefused
from capabilities.limits import METER_ENTRIES_MAX
from capabilities.verify import VerifiedChain

Key = tuple[bytes, Resource]


class Meter:
    """Amounts used; each is kept until its block can never be used again."""

    def __init__(self) -> None:
        self._used: dict[Key, int] = {}
        self._until: dict[bytes, int] = {}  # block id -> last second it can hold

    def used(self, block: bytes, resource: Resource) -> int:
        """Return how much of a block's budget is used."""
        return self._used.get((block, resource), 0)

    def debit(self, token: VerifiedChain, cost: Mapping[Resource, int]) -> None:
        """Take a cost from every budget of the chain. Raises TokenRefused; then nothing was taken."""
        after: dict[Key, int] = {}
        until: dict[bytes, int] = {}
        ends: int | None = None
        for index, block in enumerate(token.blocks):
            exp = block.caveats.exp
            ends = exp if ends is None else ends if exp is None else min(ends, exp)
            for resource, limit in (block.caveats.budget or {}).items():
                amount = cost.get(resource, 0)
                total = self.used(block.id, resource) + amount
                if total > limit:
                    raise TokenRefused(
                        f"has {limit - total + amount} {resource.name.lower()} left, not {amount}",
                        block=index,
                        caveat="budget",
                    )
                if amount:
                    assert ends is not None, "the first block of a verified token has exp"
                    after[block.id, resource] = total
                    until[block.id] = ends
        if len(self._used) + len(after) > METER_ENTRIES_MAX:
            raise TokenRefused("has a budget, and the meter is full", block=0, caveat="budget")
        self._used.update(after)
        self._until.update(until)

    def refund(self, token: VerifiedChain, cost: Mapping[Resource, int]) -> None:
        """Give back what was reserved by `debit` and not used; never more than is used."""
        for block in token.blocks:
            for resource in block.caveats.budget or {}:
                key = block.id, resource
                if key in self._used:
                    self._used[key] = max(0, self._used[key] - cost.get(resource, 0))

    def forget(self, now_s: int) -> None:
        """Drop the amounts of blocks that have expired. The clock must not go back afterwards."""
        gone = {block for block, until in self._until.items() if until < now_s}
        self._until = {block: at for block, at in self._until.items() if block not in gone}
        self._used = {key: n for key, n in self._used.items() if key[0] not in gone}

    def snapshot(self) -> bytes:
        """Return the amounts as bytes."""
        return encode(
            [[block, int(r), n, self._until[block]] for (block, r), n in sorted(self._used.items())]
        )

    def load(self, data: bytes) -> None:
        """Replace the amounts by those of a snapshot. Raises TokenInvalid."""
        used: dict[Key, int] = {}
        until: dict[bytes, int] = {}
        for item in array(decode(data), "the meter", most=METER_ENTRIES_MAX):
            block, resource, amount, ends = tuple_of(item, 4, "an amount")
            identity = octets(block, HASH_SIZE, "a block id")
            kind = Resource(unsigned(resource, "a resource", most=max(Resource)))
            used[identity, kind] = unsigned(amount, "an amount")
            until[identity] = unsigned(ends, "an end")
        self._used, self._until = used, until
