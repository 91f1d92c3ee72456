"""What a node forgets of agents that are not there: in the end all, so that it does not grow with every visitor.

Is:     when tombstones, refusals and holds are dropped, and what is remembered in their place.
Is not: agents that ended here: their results stay until somebody wants them gone.
Fits:   `yind.migrate` runs it; `protocol.handoff` says why it is safe (`latest_attempt`, `Target.forgotten`).

A tombstone keeps a node from taking an old copy of an agent. That is not needed any more once the agent's tokens have
expired, because then the copy is refused anyway. Sources that still wait for an answer hear nothing about attempts up
to the latest that was forgotten, rather than a refusal that may be wrong; so nothing younger than FORGET_AFTER_S is
forgotten, and only who waits for longer needs a person (`yin migrate --force`). Nothing is known here of attempts that are
further ahead than that (`yind.arrivals` does not hear them), so all that is refused becomes old; of one source that is
refused much it makes room before (`yind.refusals`).
"""

from __future__ import annotations

import trio

from capabilities.limits import CLOCK_SKEW_S
from datomstore.batch import Batch
from protocol import handoff
from yind.agent import State
from yind.agents import AGENT_TABLE, Agents
from yind.arrivals import FORGOTTEN_TABLE, Arrivals
from yind.clock import Clock
from yind.departures import HOP_TABLE, RECORD_TABLE, Departures
from yind.limits import FORGET_AFTER_S, FORGET_AT_ONCE, FORGET_EVERY_S, HOLD_S


class Forgetting:
    """What one node forgets, and when."""

    def __init__(
        self, *, agents: Agents, departures: Departures, arrivals: Arrivals, clock: Clock
    ) -> None:
        self._agents = agents
        self._departures = departures
        self._arrivals = arrivals
        self._clock = clock

    async def run(self) -> None:
        """Forget what may be forgotten, now and then, until cancelled."""
        waited_s = FORGET_EVERY_S
        while True:
            self._arrivals.give_up_holds(self._clock.now_ms() - 1000 * HOLD_S)
            if waited_s >= FORGET_EVERY_S:
                await self.sweep()
                waited_s = 0
            await trio.sleep(HOLD_S)
            waited_s += HOLD_S

    async def sweep(self) -> int:
        """Forget all agents that may be forgotten, and return how many; others are looked at in turns of their own."""
        agents = [agent.record.id for agent in self._agents] + self._arrivals.known()
        count = 0
        for start in range(0, len(agents), FORGET_AT_ONCE):
            count += await self._sweep(agents[start : start + FORGET_AT_ONCE])
        return count

    async def _sweep(self, agents: list[bytes]) -> int:
        now_ms = self._clock.now_ms()
        known = self._records([one for one in agents if self._is_over(one, now_ms)])
        latest_ms = now_ms - 1000 * FORGET_AFTER_S
        old = {
            agent_id: records
            for agent_id, records in known.items()
            if records and handoff.attempt_ms(handoff.latest_attempt(records)) < latest_ms
        }
        if old:
            await self._forget(old)
        else:
            await trio.lowlevel.checkpoint()
        return len(old)

    def _is_over(self, agent_id: bytes, now_ms: int) -> bool:
        """Return whether an agent is not here and never will be, by what it had when it was; or was only refused."""
        agent = self._agents.get(agent_id)
        if agent is None:
            return self._arrivals.is_only_refused(agent_id)
        record = agent.record
        return (
            record.state is State.MOVED
            and 0 < record.expires_s < now_ms // 1000 - CLOCK_SKEW_S
            and not self._departures.holds(record.id)
            and not self._arrivals.knows_of(record.id)
        )

    def _records(self, agents: list[bytes]) -> dict[bytes, list[handoff.Record]]:
        """Return what lasts of agents; whose records are being written is expected, and so none of them."""
        with self._agents.streams.storage.transaction(write=False) as storage:
            return {
                agent_id: [handoff.decode(data) for _, data in storage.scan(RECORD_TABLE, agent_id)]
                for agent_id in agents
            }

    async def _forget(self, old: dict[bytes, list[handoff.Record]]) -> None:
        """Forget in memory at once, and on the disk after all that is being written."""
        latest = max(handoff.latest_attempt(records) for records in old.values())
        forgotten = self._arrivals.forget(list(old), latest)
        for agent_id in old:
            self._agents.forget(agent_id)

        def stage(batch: Batch) -> None:
            batch.put(FORGOTTEN_TABLE, b"", handoff.attempt_bytes(forgotten))
            for agent_id in old:
                batch.delete(AGENT_TABLE, agent_id)
                for table in (RECORD_TABLE, HOP_TABLE):
                    for key in [key for key, _ in batch.scan(table, agent_id)]:
                        batch.delete(table, key)

        await self._agents.write(stage)
