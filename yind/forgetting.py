"""What a node forgets of agents that are not there: in the end all, so that it does not grow with every visitor.

Is:     when tombstones, refusals and holds are dropped, and what is remembered in their place.
Is not: agents that ended here: their results stay until somebody wants them gone.
Fits:   `yind.migrate` runs it; `protocol.handoff` says why it is safe (`latest_attempt`, `Target.forgotten`).

A tombstone keeps a node from taking an old copy of an agent. That is not needed any more once the agent's tokens have
expired, because then the copy is refused anyway. Sources that still wait for an answer hear nothing about attempts up
to the latest that was forgotten, rather than a refusal that may be wrong; so nothing younger than FORGET_AFTER_S is
forgotten, and only who waits for longer needs a person (`yin migrate --force`).
"""

from __future__ import annotations

import trio

from capabilities.limits import CLOCK_SKEW_S
from datomstore.batch import Batch
from protocol import handoff
from yind.agent import Agent, State
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
                self.sweep()
                waited_s = 0
            await trio.sleep(HOLD_S)
            waited_s += HOLD_S

    def sweep(self) -> int:
        """Forget the agents that may be forgotten, at most FORGET_AT_ONCE, and return how many."""
        now_ms = self._clock.now_ms()
        over = [agent.record.id for agent in self._agents if self._is_over(agent, now_ms)]
        candidates = (over + self._arrivals.only_refused())[:FORGET_AT_ONCE]
        known = self._records(candidates)
        latest_ms = now_ms - 1000 * FORGET_AFTER_S
        old = {
            agent_id: records
            for agent_id, records in known.items()
            if records and handoff.attempt_ms(handoff.latest_attempt(records)) < latest_ms
        }
        if old:
            self._forget(old)
        return len(old)

    def _is_over(self, agent: Agent, now_ms: int) -> bool:
        record = agent.record
        return (
            record.state is State.MOVED
            and 0 < record.expires_s < now_ms // 1000 - CLOCK_SKEW_S
            and not self._departures.holds(record.id)
            and not self._arrivals.knows_of(record.id)
        )

    def _records(self, agents: list[bytes]) -> dict[bytes, list[handoff.Record]]:
        with self._agents.streams.batch() as batch:
            return {
                agent_id: [handoff.decode(data) for _, data in batch.scan(RECORD_TABLE, agent_id)]
                for agent_id in agents
            }

    def _forget(self, old: dict[bytes, list[handoff.Record]]) -> None:
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

        def done(error: BaseException | None) -> None:
            if error is not None:
                raise error

        self._agents.submit(stage, done)
