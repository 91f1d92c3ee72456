"""Agents whose offer has been found good, held in memory until they are given.

Is:     one for each agent, the latest attempt, and how many there may be, of all nodes and of each.
Is not: the check of an offer, or what becomes of who was given (`yind.arrivals`).
Fits:   who has no room for an offer leaves it unanswered: the source says Go again, and then it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from capabilities.handles import Handle
from protocol.handoff import Attempt
from yind.admission import Policies
from yind.agent import AgentRecord
from yind.audit import Decision
from yind.cesk import Machine
from yind.limits import HELD_BYTES_EACH_MAX, HELD_EACH_MAX, HELD_MAX


class Guest(NamedTuple):
    """An agent whose offer has been checked, not yet this node's."""

    attempt: Attempt
    size: int  # bytes that were offered
    record: AgentRecord
    machine: Machine
    tokens: list[Handle]
    noted: list[Decision]  # that let it in, until what comes of it is durable
    policies: Policies  # that have been asked


@dataclass(slots=True)
class _Held:
    """How much is held of one source."""

    count: int = 0
    size: int = 0


class Guests:
    """All of one node."""

    def __init__(self) -> None:
        self._by_agent: dict[bytes, Guest] = {}
        self._of: dict[bytes, _Held] = {}  # by source; no empty ones

    def __iter__(self) -> Iterator[Guest]:
        return iter(tuple(self._by_agent.values()))

    def has_room(self, source: bytes, size: int) -> bool:
        """Return whether another offer of a node, of so many bytes, may be held."""
        if len(self._by_agent) >= HELD_MAX:
            return False
        held = self._of.get(source)
        return held is None or (
            held.count < HELD_EACH_MAX and held.size + size <= HELD_BYTES_EACH_MAX
        )

    def put(self, guest: Guest) -> Guest | None:
        """Hold an agent; return what was held of it before."""
        attempt = guest.attempt
        before = self.pop(attempt.agent)
        self._by_agent[attempt.agent] = guest
        held = self._of.get(attempt.source)
        if held is None:
            held = self._of[attempt.source] = _Held()
        held.count += 1
        held.size += guest.size
        return before

    def get(self, agent: bytes) -> Guest | None:
        """Return what is held of an agent."""
        return self._by_agent.get(agent)

    def pop(self, agent: bytes) -> Guest | None:
        """Hold an agent no longer; return what was held of it."""
        guest = self._by_agent.pop(agent, None)
        if guest is not None:
            held = self._of[guest.attempt.source]
            held.count -= 1
            held.size -= guest.size
            if not held.count:
                del self._of[guest.attempt.source]
        return guest
