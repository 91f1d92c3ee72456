"""Mistakes put into the daemon on purpose; simulated worlds must show every one.

Is:     for each what is put in the place of a part of a node.
Is not: a mistake in the rules of the hand-off: those are `mistakes`, which the exploration finds.
Fits:   `simulating --mistake NAME`, and the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import trio

from capabilities.budget import Meter
from capabilities.handles import Handle
from datomstore.batch import Batch
from datomstore.value import Map
from protocol import handoff
from protocol.handoff import Action, Source
from protocol.transport import Channel
from yind.admission import Admission
from yind.agent import Agent
from yind.arrivals import Arrivals
from yind.audit import Audit, Decision
from yind.authority import Authority
from yind.cesk import Status
from yind.commits import GroupCommit
from yind.gossip import Gossip
from yind.granting import Granting
from yind.joining import Joining
from yind.revocations import Revocations

# As they are without a mistake, also in a process that has got one.
_own, _begin, _row = Arrivals._own, Source.begin, Meter._row
_renewed = Granting._renewed


def _told_at_once(self: Arrivals, channel: Channel | None, owned: handoff.Owned) -> None:
    _own(self, channel, owned)
    agent = self._agents.get(owned.agent)
    assert agent is not None, owned
    if agent.arrival is not None:
        agent.arrival.lasts()


def _go_at_once(
    agent: bytes, epoch: int, target: bytes, attempt: int, *, forgets: bool = False
) -> tuple[Source, list[Action]]:
    return _begin(agent, epoch, target, attempt, forgets=True)


async def _not_waited_for(
    self: GroupCommit, work: Callable[[Batch], None], undo: Callable[[], None] = lambda: None
) -> None:
    self.submit(work, lambda error: None)
    await trio.lowlevel.checkpoint()


def _noted_at_once(self: Audit, decision: Decision) -> None:
    self._free.append(decision)


def _settled_always(self: Meter, block: bytes) -> bytes | None:
    kept, self._unsettled = self._unsettled, {}
    try:
        return _row(self, block)
    finally:
        self._unsettled = kept


async def _renewed_and_past_its_step(
    self: Granting, agent: Agent, replaced: set[bytes], tokens: list[bytes], handles: list[Handle]
) -> Map:
    machine = agent.machine
    if machine is not None and machine.status is Status.EFFECT:
        machine.resume(None)
    return await _renewed(self, agent, replaced, tokens, handles)


MISSTEPS: dict[str, tuple[type, str, object]] = {
    "own is said before the arrival lasts": (Arrivals, "_own", _told_at_once),
    "go is said before given lasts": (Source, "begin", staticmethod(_go_at_once)),
    "a commit is not waited for": (GroupCommit, "commit", _not_waited_for),
    "decisions do not wait for what they are about": (Audit, "note", _noted_at_once),
    "what was spent is written before what it was spent on": (Meter, "_row", _settled_always),
    "a revocation pauses nobody": (Revocations, "pause_revoked", lambda self: None),
    "news waits until sets are compared": (Gossip, "tell", lambda self, items: None),
    "an old list is as good as a fresh one": (Authority, "is_stale", lambda self: False),
    "who is renewed goes on after the step it waits for": (
        Granting,
        "_renewed",
        _renewed_and_past_its_step,
    ),
    "what is left goes back to who is to be renewed, too": (
        Authority,
        "_is_good",
        lambda self, chain: True,
    ),
    "of whom the program is known, no policy is asked": (
        Admission,
        "knows",
        lambda self, machine, bearer: True,
    ),
    "a ticket is good for everybody": (
        Joining,
        "_check_usable",
        lambda self, ticket, application, key: None,
    ),
}


@contextmanager
def misstep(name: str) -> Iterator[None]:
    """Have a mistake in the daemon for the length of a block."""
    where, attribute, what = MISSTEPS[name]
    with mock.patch.object(where, attribute, what):
        yield
