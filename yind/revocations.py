"""Revocations: taken in, told to the other nodes, and the agents they concern paused.

Is:     the list of one node, as far as it changes while the node runs.
Is not: what a revocation says or whom it binds (`capabilities.revocation`), nor its way between nodes (`yind.gossip`).
Fits:   `yind.control` brings those of people and of nodes; `yind.authority` decides with the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import trio

from capabilities.revocation import Revocation, SignerRevocation, statement
from datomstore.batch import Batch
from yind.agent import Agent, State
from yind.agents import Agents
from yind.audit import Behalf, Decision, doing
from yind.authority import FRESH, Authority
from yind.limits import ENDED_SWEEP_S, REVOCATIONS_LOOK_S, REVOCATIONS_SHOWN_MAX


class Revocations:
    """The list of one node."""

    topic = "revocation"

    def __init__(self, *, agents: Agents, authority: Authority) -> None:
        self._agents = agents
        self._authority = authority
        self.told: Callable[[list[bytes]], None] = lambda items: None  # set by who tells the others

    # -- taking in --

    async def take(self, statements: Iterable[Revocation | SignerRevocation]) -> tuple[int, int]:
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

    async def _take(self, statements: Iterable[Revocation | SignerRevocation]) -> int:
        now_s = self._agents.clock.now_ms() // 1000
        lasting = [one for one in statements if not one.is_over(now_s)]
        fresh = [one for one in lasting if self._authority.revoke(one)]
        if fresh:
            await self._keep(fresh)
            self.pause_revoked()
            self.told([one.to_bytes() for one in fresh])
        return len(fresh)

    async def _keep(self, fresh: Iterable[Revocation | SignerRevocation]) -> None:
        """Make the list durable, and with it that it has grown: after what was allowed before, in the order of the stream."""
        noted: list[Decision] = []
        with Behalf(doing(), noted):
            for one in fresh:
                self._authority.note_revoked(one)

        def stage(batch: Batch) -> None:
            self._authority.write_revocations(batch)
            self._agents.release(noted)

        await self._agents.write(stage)

    def _relies_on(self, agent: Agent, revoked: Iterable[Revocation | SignerRevocation]) -> bool:
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
                self._authority.forget(self._agents.clock.now_ms() // 1000)
            if self._authority.is_stale():
                self._pause_all()
            else:
                await self._go_on(ready)
            await trio.sleep(REVOCATIONS_LOOK_S)

    def _pause_all(self) -> None:
        for agent in self._agents:
            goes_on = agent.record.state in (State.READY, State.WAITING) and agent.requested is None
            if goes_on and agent.record.tokens:
                agent.ask_to_stop(State.PAUSED, f"waits for {FRESH}", FRESH)

    async def _go_on(self, ready: Callable[[Agent], None]) -> None:
        """Let agents go on that waited for nothing but a fresh list."""
        for agent in self._agents:
            paused = agent.record.state is State.PAUSED and agent.stands  # which has been written
            if paused and agent.record.denied_right == FRESH:
                agent.record.denied_right = None
                agent.become(State.READY, self._agents.clock.now_ms())
                self._authority.stop_if_revoked(agent)
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
        later = sorted((one for one in known if _place(one) > after), key=_place)
        return tuple(one.to_bytes() for one in later[:REVOCATIONS_SHOWN_MAX])

    def place(self, item: bytes) -> bytes:
        """Return where a statement stands in that order. Raises TokenInvalid."""
        return _place(statement(item))


def _place(one: Revocation | SignerRevocation) -> bytes:
    if isinstance(one, SignerRevocation):
        return one.signer.bytes + one.revoker.bytes + one.until.to_bytes(8, "big")
    return one.block_id + one.revoker.bytes
