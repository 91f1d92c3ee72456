"""What the blocks of a chain say together: of a longer chain it is found from its last block alone.

Is:     the bounds that all blocks keep, and which blocks there are to ask about what; part of every block, for the chain up to it.
Is not: a decision. A block that is asked about nothing, as most that hand an agent on are, costs no check anything.
Fits:   `tokens` extends it block by block; `verify`, `authorize`, `handles`, `budget` and `journey` begin where it points to.
"""

from __future__ import annotations

from typing import NamedTuple

from capabilities.caveats import Caveats, Resource

FOREVER_S = 2**64 - 1


class HandOver(NamedTuple):
    """A block that gives an agent away."""

    block: int  # index in the chain
    epoch: int
    before: int | None = None  # index of the one before it


class Terms(NamedTuple):
    """What so many blocks say together; indexes are those of blocks in the chain."""

    length: int = 0
    from_s: int = 0  # the seconds since 1970 between which every block holds
    until_s: int = FOREVER_S
    age_max: int | None = None  # seconds; how old a list of revocations all accept
    limited: frozenset[Resource] = frozenset()  # what some block has a budget of
    conditions: tuple[tuple[int, Caveats], ...] = ()  # blocks that may refuse a request
    holding: tuple[tuple[int, Caveats], ...] = ()  # blocks that may refuse a holder, or a length
    named: tuple[tuple[bytes, int], ...] = ()  # agents, and the block that names each of them first
    handed: HandOver | None = None  # the last one
    leaps: tuple[tuple[int, int], ...] = ()  # hand-overs one after the other whose epochs are not
    hosts: frozenset[bytes] = frozenset()  # keys of all who gave an agent away, or took it

    def extended(self, caveats: Caveats, giver: bytes = b"", taker: bytes = b"") -> Terms:
        """Return what these blocks say, and a further one with these caveats, signed by one key for another."""
        here, conditions, holding, named = self.length, self.conditions, self.holding, self.named
        from_s, until_s, age_max = self.from_s, self.until_s, self.age_max
        known = caveats.agent is not None and self.names(caveats.agent) is not None
        if may_refuse_request(caveats, agent_known=known):
            conditions = (*conditions, (here, caveats))
            if caveats.nbf is not None:
                from_s = max(from_s, caveats.nbf)
            if caveats.exp is not None:
                until_s = min(until_s, caveats.exp)
            if caveats.revage is not None:
                age_max = caveats.revage if age_max is None else min(age_max, caveats.revage)
        if may_refuse_holder(caveats):
            holding = (*holding, (here, caveats))
        if caveats.agent is not None and not known:
            named = (*named, (caveats.agent, here))
        limited = self.limited if caveats.budget is None else self.limited | caveats.budget.keys()
        handed, leaps, hosts = self.handed, self.leaps, self.hosts
        if caveats.epoch is not None:
            if handed is not None and caveats.epoch != handed.epoch + 1:
                leaps = (*leaps, (handed.block, here))
            handed = HandOver(here, caveats.epoch, None if handed is None else handed.block)
            if giver not in hosts or taker not in hosts:
                hosts = hosts | {giver, taker}
        return Terms(
            here + 1,
            from_s,
            until_s,
            age_max,
            limited,
            conditions,
            holding,
            named,
            handed,
            leaps,
            hosts,
        )

    @property
    def granted(self) -> int:
        """Return the index of the last block before one names an agent: what a person held, and gave it. Else the last."""
        return max(0, self.named[0][1] - 1) if self.named else self.length - 1

    def names(self, agent: bytes) -> int | None:
        """Return the index of the first block that names an agent."""
        for name, index in self.named:
            if name == agent:
                return index
        return None


NO_TERMS = Terms()


def may_refuse_request(caveats: Caveats, *, agent_known: bool = False) -> bool:
    """Return whether a block says anything of what may be done, when, where, by whom; what an agent's name says is said once."""
    return not (
        caveats.exp is None
        and caveats.nbf is None
        and caveats.rights is None
        and caveats.at is None
        and (caveats.agent is None or agent_known)
        and caveats.attrs is None
        and caveats.revage is None
    )


def may_refuse_holder(caveats: Caveats) -> bool:
    """Return whether a block says anything of who may hold the token, and how long the chain may get."""
    return not (caveats.via is None and caveats.hops is None and caveats.depth is None)
