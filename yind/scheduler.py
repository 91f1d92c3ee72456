"""Who runs next: fair turns of fuel for every ready agent.

Is:     a queue of ready agents and one worker task per thread that gives each a slice in turn.
Is not: preemption by time: a slice ends on fuel, which the machine counts itself, so that it is deterministic.
Fits:   the machine runs in a thread and without the interpreter lock; between slices the agent belongs to the
        event loop, where requests to pause or kill it are honoured.
"""

from __future__ import annotations

import structlog
import trio

from capabilities.errors import CapabilityError
from datomstore.storage import StorageError
from datomstore.value import Map
from yang.errors import YangError
from yind.agent import Agent, State
from yind.agents import Agents, log_line
from yind.cesk import Machine, Status
from yind.cesk.errors import MachineError
from yind.effects import Effects
from yind.errors import Denied, EffectInvalid, HopRefused, YindError
from yind.limits import AGENT_COUNT_MAX, CHECKPOINT_S

_log = structlog.get_logger()


class Scheduler:
    """Runs ready agents until it is cancelled."""

    def __init__(self, agents: Agents, effects: Effects, *, workers: int, fuel_slice: int) -> None:
        self._agents = agents
        self._effects = effects
        self._workers = workers
        self._fuel_slice = fuel_slice
        self._send, self._receive = trio.open_memory_channel[Agent](AGENT_COUNT_MAX)
        self._limiter = trio.CapacityLimiter(workers)
        self._nursery: trio.Nursery | None = None
        self._draining = False
        self._turns = 0
        self._idle = trio.Condition()

    def ready(self, agent: Agent) -> None:
        """Queue an agent for its next turn."""
        if not self._draining:
            self._send.send_nowait(agent)

    async def drain(self) -> None:
        """Let the turns under way end and give no others; then every machine stands still."""
        self._draining = True
        async with self._idle:
            while self._turns:
                await self._idle.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Give turns for ever; leaving ends every turn and every waiting effect."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for _ in range(self._workers):
                nursery.start_soon(self._work)
            task_status.started()

    async def _work(self) -> None:
        async for agent in self._receive.clone():
            if agent.record.state is State.READY and not agent.running and not self._draining:
                self._turns += 1
                try:
                    await self._turn(agent)
                except StorageError as error:
                    self._strand(agent, error)
                finally:
                    self._turns -= 1
                    with trio.CancelScope(shield=True):
                        async with self._idle:
                            self._idle.notify_all()

    async def _turn(self, agent: Agent) -> None:
        """Run one slice and deal with how it ended."""
        if await self._honour_request(agent):
            return
        try:
            machine = await self._loaded(agent)
        except (MachineError, YindError, YangError, CapabilityError) as error:
            await self._agents.pause(agent, f"cannot be restored here: {error}")
            return
        status = machine.status
        if status is not Status.EFFECT:  # a restored agent asks its pending effect again
            agent.running = True
            try:
                status = await trio.to_thread.run_sync(
                    machine.run, self._fuel_slice, limiter=self._limiter
                )
            finally:
                agent.running = False
        await self._after(agent, machine, status)

    async def _loaded(self, agent: Agent) -> Machine:
        agent.running = True
        try:
            if agent.machine is None:
                await trio.to_thread.run_sync(self._agents.load, agent)
        finally:
            agent.running = False
        assert agent.machine is not None, agent.text_id
        return agent.machine

    async def _after(self, agent: Agent, machine: Machine, status: Status) -> None:
        match status:
            case Status.OUT_OF_FUEL:
                if machine.fuel_max is not None and machine.fuel_used >= machine.fuel_max:
                    await self._fail(agent, f"fuel limit of {machine.fuel_max} reached")
                    return
                if trio.current_time() - agent.saved_at > CHECKPOINT_S:
                    await self._agents.commit(agent)
                self.ready(agent)
            case Status.EFFECT:
                await self._effect(agent, machine)
            case Status.DONE:
                agent.record.result = machine.result_text
                await self._agents.end(agent, State.DONE)
            case Status.FAULT:
                await self._fail(agent, machine.fault.message, trace=str(machine.fault))
            case Status.OUT_OF_MEMORY:
                await self._fail(
                    agent, f"memory budget of {agent.record.memory_max} bytes exceeded"
                )

    async def _fail(self, agent: Agent, reason: str, *, trace: str | None = None) -> None:
        agent.record.fault = trace if trace is not None else reason
        await self._agents.end(agent, State.FAILED, reason)

    async def _honour_request(self, agent: Agent) -> bool:
        """Pause or end an agent that a person asked to; return whether it has stopped."""
        requested, agent.requested = agent.requested, None
        match requested:
            case State.PAUSED:
                await self._agents.pause(agent, agent.requested_reason)
            case State.KILLED:
                await self._agents.end(agent, State.KILLED, agent.requested_reason)
            case _:
                return False
        return True

    async def _effect(self, agent: Agent, machine: Machine) -> None:
        name, _ = machine.effect
        if self._effects.is_long(name):
            agent.running = True
            assert self._nursery is not None, "a turn runs inside `run`"
            self._nursery.start_soon(self._long_effect, agent, machine)
        else:
            await self._perform(agent, machine)

    def _strand(self, agent: Agent, error: StorageError) -> None:
        """Stop an agent whose state cannot be saved. A restart finds it as it was saved last."""
        if not agent.ended and agent.record.state is not State.PAUSED:
            agent.become(State.PAUSED, self._agents.clock.now_ms(), f"the storage failed: {error}")
        _log.error("an agent's state cannot be saved", agent=agent.text_id, why=str(error))
        agent.notify({"kind": "state", "state": agent.record.state, "reason": agent.record.reason})

    async def _long_effect(self, agent: Agent, machine: Machine) -> None:
        try:
            await self._perform(agent, machine)
        except StorageError as error:
            self._strand(agent, error)
        finally:
            agent.running = False
        if agent.record.state is State.READY:
            self.ready(agent)

    async def _perform(self, agent: Agent, machine: Machine) -> None:
        """Do what the agent asked for; what it may not do pauses it, what makes no sense it may catch."""
        try:
            await self._effects.perform(agent, machine)
        except Denied as refusal:
            log_line(agent.record, f"paused: {refusal}")
            await self._agents.pause(agent, str(refusal), denied_right=refusal.right)
            return
        except (EffectInvalid, HopRefused) as error:
            machine.resume_error(str(error), Map({}))
        if agent.record.state is State.READY and not agent.running:
            self.ready(agent)
