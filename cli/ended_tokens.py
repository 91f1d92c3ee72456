"""Which of an agent's tokens have ended, so that it cannot go on with them.

Is:     tokens that expired, were revoked, are not accepted, have no room for a further hop, or have less left of a budget than the agent waits for.
Is not: what takes their place (`cli.commands.granting`).
Fits:   `yin token renew`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from capabilities.caveats import Resource
from capabilities.limits import BLOCKS_MAX
from capabilities.tokens import Token
from datomstore.value import Map

Amounts = Mapping[Resource, int]


class Shortage(NamedTuple):
    """More than was left of a budget, when an agent asked for it."""

    resource: Resource
    needed: int


def shortage_of(agent: Map) -> Shortage | None:
    """Return which budget an agent was paused for, as its summary says; None if for none."""
    shortage = agent["shortage"]
    return None if shortage is None else Shortage(Resource[shortage[0].upper()], shortage[1])


def has_ended(row: Map, shortage: Shortage | None, now_s: int) -> bool:
    """Return whether a token, as its agent's node shows it, is of no use to the agent any more."""
    if row["revoked"] is not None or row["invalid"] is not None:
        return True
    blocks = Token.from_bytes(row["token"]).blocks
    if blocks[-1].terms.until_s < now_s or len(blocks) >= BLOCKS_MAX:
        return True
    left = least_left(row["left"])
    return shortage is not None and left.get(shortage.resource, shortage.needed) < shortage.needed


def least_left(left: Sequence[Map]) -> dict[Resource, int]:
    """Return what all blocks of a token would still let through."""
    found: dict[Resource, int] = {}
    for amounts in left:
        for name, amount in amounts.items():
            resource = Resource[name.upper()]
            found[resource] = min(amount, found.get(resource, amount))
    return found
