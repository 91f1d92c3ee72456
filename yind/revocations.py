"""Revocations: taken in, told to the other nodes, and the agents they concern paused.

Is:     the list of one node, as far as it changes while the node runs.
Is not: what a revocation says or whom it binds (`capabilities.revocation`), nor its way between nodes (`yind.gossip`).
Fits:   `yind.control` brings those of people and of nodes; `yind.authority` decides with the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter

import structlog
import trio

from capabilities.errors import TokenInvalid
from capabilities.revocation import Revocation, RevocationSet, SignerRevocation, statement
from datomstore.batch import Batch
from datomstore.storage import StorageError
from yind.agent import Agent, State
from yind.agents import Agents
from yind.authority import FRESH, Authority
from yind.limits import ENDED_SWEEP_S, REVOCATIONS_LOOK_S, REVOCATIONS_SHOWN_MAX

TABLE = "revoked"  # place -> statement
_BEFORE = ("authority", b"revocations")  # where earlier releases kept the whole list

Statement = Revocation | SignerRevocation

_log = structlog.get_logger()


class Revocations:
    """The list of one node."""

    topic = "revocation"

    def __init__(self, *, agents: Agents, authority: Authority) -> None:
        self._agents = agents
        self._authority = authority
        self._unwritten: dict[bytes, Statement | None] = {}  # by place; None for what was dropped
        self._writing = trio.Lock()
        self.told: Callable[[list[bytes]], None] = lambda items: None  # set by who tells the others

    def load(self, batch: Batch) -> None:
        """Read what earlier runs of this node knew."""
        for _, row in batch.scan(TABLE):
            self._authority.revoke(statement(row))
        if (earlier := batch.get(*_BEFORE)) is not None:
            kept = RevocationSet.decode(earlier)
            for one in [*kept, *kept.signers()]:
                self._authority.revoke(one)
                batch.put(TABLE, one.place, one.to_bytes())
            batch.delete(*_BEFORE)
        self._forget()

    # -- taking in --

    async def take(self, statements: Iterable[Statement]) -> tuple[int, int]:
        """Take statements in, tell the others what is new; return how many are new, and how many agents rely on what they revoke.

        Such agents are paused, or pause at the end of their slice, also when another node has told of the statements first.

        Raises:
            TokenInvalid: the list is full.
        """
        said = list(statements)
        new = await self._take(said)
        return new, sum(self._relies_on(agent, said) for agent in self._agents)

    async def take_bytes(self, items: Iterable[bytes]) -> int:
        """Take in what another node has told; return how many are new."""
        return await self._take([statement(item) for item in items])

    async def _take(self, statements: Sequence[Statement]) -> int:
        """Keep statements; return how many of them are durable only now. For what the list has no room for, the rest is kept."""
        refused: TokenInvalid | None = None
        for one in statements:
            try:
                self._keep(one)
            except TokenInvalid as error:
                refused = error
        new = sum(self._unwritten.get(one.place) == one for one in statements)
        await self._publish()
        if refused is not None:
            raise refused
        return new

    def _keep(self, one: Statement) -> None:
        if not one.is_over(self._now_s()) and self._authority.revoke(one):
            self._unwritten[one.place] = one
            self._authority.note_revoked(one)

    async def _publish(self) -> None:
        """Write what is not durable yet, pause whom it concerns and tell the others; what cannot be written waits on."""
        async with self._writing:
            waiting = dict(self._unwritten)
            if not waiting:
                return
            await self._agents.write(partial(_stage, waiting))
            for place, one in waiting.items():
                if self._unwritten[place] is one:
                    del self._unwritten[place]
        self.pause_revoked()
        if fresh := [one.to_bytes() for one in waiting.values() if one is not None]:
            self.told(fresh)

    def _relies_on(self, agent: Agent, revoked: Iterable[Statement]) -> bool:
        return not agent.ended and any(
            self._authority.concerns(one, chain)
            for chain in self._authority.chains_of(agent)
            for one in revoked
        )

    # -- bounded staleness, and the end of statements --

    async def run(
        self,
        ready: Callable[[Agent], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Pause agents while the list is too old, let them go on when it is not; drop what is over. Until cancelled."""
        self.pause_revoked()  # whom a crash kept from it
        task_status.started()
        swept = -ENDED_SWEEP_S
        while True:
            if trio.current_time() - swept >= ENDED_SWEEP_S:
                swept = trio.current_time()
                self._forget()
            await self._publish_or_log()
            if self._authority.is_stale():
                self._pause_all()
            else:
                await self._go_on(ready)
            await trio.sleep(REVOCATIONS_LOOK_S)

    def _forget(self) -> None:
        for place in self._authority.forget(self._now_s()):
            self._unwritten[place] = None

    async def _publish_or_log(self) -> None:
        try:
            await self._publish()
        except StorageError as error:
            _log.error("revocations cannot be saved", why=str(error))

    def _now_s(self) -> int:
        return self._agents.clock.now_ms() // 1000

    def _pause_all(self) -> None:
        for agent in self._agents:
            if agent.record.state in (State.READY, State.WAITING) and agent.record.tokens:
                agent.ask_to_stop(State.PAUSED, f"waits for {FRESH}", FRESH)

    async def _go_on(self, ready: Callable[[Agent], None]) -> None:
        """Let agents go on that waited for nothing but a fresh list."""
        for agent in self._agents:
            paused = agent.record.state is State.PAUSED and agent.stands  # which has been written
            if paused and agent.record.denied_right == FRESH:
                agent.record.denied_right = None
                agent.become(State.READY, self._agents.clock.now_ms())
                await self._agents.commit(agent)
                ready(agent)

    def pause_revoked(self) -> None:
        """Ask agents that hold a revoked token to pause at the end of their slice."""
        for agent in self._agents:
            if not agent.ended and agent.record.state is not State.PAUSED:
                self._authority.stop_if_revoked(agent)

    # -- what others ask --

    def digest(self) -> bytes:
        """Return what is equal for equal lists."""
        return hashlib.sha256(self._authority.revoked.encode()).digest()

    def listed(self, after: bytes) -> tuple[bytes, ...]:
        """Return the next statements of the list, in its order, as bytes."""
        known = [*self._authority.revoked, *self._authority.revoked.signers()]
        later = sorted((one for one in known if one.place > after), key=attrgetter("place"))
        return tuple(one.to_bytes() for one in later[:REVOCATIONS_SHOWN_MAX])

    def place(self, item: bytes) -> bytes:
        """Return where a statement stands in that order. Raises TokenInvalid."""
        return statement(item).place


def _stage(statements: Mapping[bytes, Statement | None], batch: Batch) -> None:
    for place, one in statements.items():
        if one is None:
            batch.delete(TABLE, place)
        else:
            batch.put(TABLE, place, one.to_bytes())
