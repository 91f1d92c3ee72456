"""Who runs next: fair turns of fuel for every ready agent.

Is:     a queue of ready agents and one worker task per thread that gives each a slice in turn.
Is not: preemption by time: a slice ends on fuel, which the machine counts itself, so that it is deterministic.
Fits:   the machine runs in a thread and without the interpreter lock; between slices the agent belongs to the
        event loop, where requests to pause or kill it are honoured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from functools import partial

import structlog
import trio

from capabilities.errors import CapabilityError
from datomstore.storage import StorageError
from datomstore.value import Map
from yang.errors import YangError
from yind.agent import Agent, Hold, RefusedHop, State, fault_data
from yind.agents import Agents, Outcome, log_line
from yind.authority import Authority
from yind.cesk import Machine, Status
from yind.cesk.errors import MachineError
from yind.effects import Effects
from yind.errors import AgentState, Denied, EffectInvalid, FuelSpent, HopRefused, YindError
from yind.limits import AGENT_COUNT_MAX, CHECKPOINT_S, FUEL_AT_ONCE

Following = Callable[[], Awaitable[None]]
ACCEPTED_TOKEN = "a token that is accepted here"
WAITS_FOR_ENTRY = "a session, waits for the next entry"

_log = structlog.get_logger()


class Scheduler:
    """Runs ready agents until it is cancelled."""

    def __init__(
        self,
        agents: Agents,
        effects: Effects,
        authority: Authority,
        *,
        workers: int,
        fuel_slice: int,
    ) -> None:
        self._agents = agents
        self._authority = authority
        self._effects = effects
        self._workers = workers
        self._fuel_slice = fuel_slice
        self._send, self._receive = trio.open_memory_channel[Agent](AGENT_COUNT_MAX)
        self._limiter = trio.CapacityLimiter(workers)
        self._nursery: trio.Nursery | None = None
        self._draining = False
        self._busy = 0  # turns, and what follows them, that come to an end by themselves
        self._rested: trio.Event | None = None  # set when none is left

    def ready(self, agent: Agent) -> None:
        """Queue an agent for its next turn."""
        if not self._draining:
            self._send.send_nowait(agent)

    @asynccontextmanager
    async def between_turns(self, agent: Agent) -> AsyncIterator[None]:
        """Have an agent for oneself for the length of a block, which begins when its turn has ended; nobody else has it, either.

        Raises AgentState if it has ended then, or waits for a timer or another node. Not for its own effects: they are part of
        its turn.
        """
        while agent.held is not None:
            await agent.held.over.wait()
        held = agent.held = Hold()
        try:
            if not agent.stands:
                await held.rests.wait()
            if agent.ended or agent.record.state is State.WAITING:
                said = f"agent {agent.text_id} is {agent.record.state}: {agent.record.reason}"
                raise AgentState(said)
            yield
        finally:
            agent.held = None
            held.over.set()
            if held.missed:
                self.ready(agent)

    async def drain(self) -> None:
        """Let the turns under way end and give no others; then every machine stands still."""
        self._draining = True
        if self._busy:
            self._rested = trio.Event()
            await self._rested.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Give turns for ever; leaving ends every turn and every waiting effect."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for _ in range(self._workers):
                nursery.start_soon(self._work)
            task_status.started()

    async def _work(self) -> None:
        async for agent in self._receive.clone():
            if agent.held is not None:
                agent.held.missed = True
            elif agent.record.state is State.READY and not agent.running and not self._draining:
                agent.running = True
                with self._at_work():
                    await self._turn(agent)

    async def _turn(self, agent: Agent) -> None:
        """Give an agent a slice, and begin what its end asks for."""
        following = await self._slice_or_fault(agent)
        if following is None:
            _rest(agent)
            self.ready(agent)
        elif self._is_answered_at_once(agent):
            await self._settle(agent, following)
        else:  # a worker does not wait for the disk, nor for anything else
            assert self._nursery is not None, "workers run inside `run`"
            at_work = nullcontext() if self._waits_long(agent) else self._at_work()
            at_work.__enter__()  # from here on: a drain must not come between
            self._nursery.start_soon(self._settle_in_task, agent, following, at_work)

    async def _settle_in_task(
        self, agent: Agent, following: Following, at_work: AbstractContextManager[None]
    ) -> None:
        try:
            await self._settle(agent, following)
        finally:
            at_work.__exit__(None, None, None)

    def _is_answered_at_once(self, agent: Agent) -> bool:
        """Return whether what comes next is an effect that waits for nothing."""
        machine = agent.machine
        return (
            machine is not None
            and agent.requested is None
            and machine.status is Status.EFFECT
            and self._effects.is_quick(machine)
        )

    def _waits_long(self, agent: Agent) -> bool:
        machine = agent.machine
        waits = machine is not None and machine.status is Status.EFFECT
        return machine is not None and waits and self._effects.is_long(machine.effect_name)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy and self._rested is not None:
                self._rested.set()

    # -- one turn --

    async def _slice_or_fault(self, agent: Agent) -> Following | None:
        """Run one slice; what the node does wrong there is what comes next."""
        try:
            return await self._slice(agent)
        except Exception as error:
            return partial(_fault, error)

    async def _slice(self, agent: Agent) -> Following | None:
        """Run one slice and return what its end asks for; None if nothing but the next slice."""
        if agent.requested is not None:
            return partial(self._honour_request, agent)
        try:
            if agent.machine is None:
                await trio.to_thread.run_sync(self._agents.load, agent)
        except CapabilityError as error:
            reason = f"cannot be restored here: {error}"
            return partial(self._agents.pause, agent, reason, denied_right=ACCEPTED_TOKEN)
        except (MachineError, YindError, YangError) as error:
            return partial(self._agents.pause, agent, f"cannot be restored here: {error}")
        machine = agent.machine
        assert machine is not None, agent.text_id
        status = machine.status
        if status is Status.OUT_OF_FUEL:  # else it asks its pending effect again, or ends
            try:
                status = await self._run(agent, machine)
            except Denied as refusal:
                return partial(self._pause_for, agent, refusal)
        return self._following(agent, machine, status)

    async def _run(self, agent: Agent, machine: Machine) -> Status:
        """Run one slice, its fuel taken from the agent's budgets before. Raises Denied."""
        reserved = self._authority.reserve_fuel(agent, self._fuel_slice)
        most = self._fuel_slice if reserved is None else reserved.amount
        before = machine.fuel_used
        agent.computing = True
        try:
            # Most turns are short, from one effect to the next: those are not worth the way to a thread and back.
            status = machine.run(min(most, FUEL_AT_ONCE))
            if status is Status.OUT_OF_FUEL and most > FUEL_AT_ONCE:
                status = await trio.to_thread.run_sync(
                    machine.run, most - FUEL_AT_ONCE, limiter=self._limiter
                )
        finally:
            agent.computing = False
        if reserved is not None:
            self._authority.settle_fuel(agent, reserved, machine.fuel_used - before)
        return status

    def _following(self, agent: Agent, machine: Machine, status: Status) -> Following | None:
        match status:
            case Status.OUT_OF_FUEL:
                if machine.fuel_max is not None and machine.fuel_used >= machine.fuel_max:
                    reason = f"fuel limit of {machine.fuel_max} reached"
                    return partial(self._agents.pause, agent, reason)
                due = trio.current_time() - agent.saved_at > CHECKPOINT_S
                due = due or agent.arrival is not None
                return partial(self._agents.commit, agent) if due else None
            case Status.EFFECT:
                return partial(self._perform, agent, machine)
            case Status.DONE:
                return partial(self._finish, agent, machine)
            case Status.FAULT:
                fault = machine.fault
                outcome = Outcome(None, str(fault), fault_data(fault))
                if agent.record.session:
                    outcome.put(agent.record)
                    return partial(self._agents.pause, agent, WAITS_FOR_ENTRY)
                if agent.refused is not None and agent.refused.why == fault.message:
                    return partial(self._stay, agent, agent.refused)
                return partial(self._fail, agent, fault.message, outcome)
            case _:
                budget = agent.record.memory_max
                return partial(self._fail, agent, f"memory budget of {budget} bytes exceeded")

    async def _settle(self, agent: Agent, following: Following) -> None:
        """Do what the end of a slice asks for; then the agent may have its next turn."""
        try:
            await following()
        except StorageError as error:
            self._agents.strand(agent, error)
        except Exception as error:
            await self._break_off(agent, "in its turn", error)
        finally:
            _rest(agent)
        if agent.record.state is State.READY:
            self.ready(agent)

    async def _break_off(self, agent: Agent, where: str, error: Exception) -> None:
        """Pause an agent in whose turn the node itself went wrong; the others, and the node, go on.

        Not one that another node has been offered: what a step between nodes has left half done only a restart makes whole.
        What went wrong is told in the log alone, since it may have values of others in it.
        """
        if agent.travelling_to is not None and not agent.ended:
            raise error
        said = f"the node failed {where} ({type(error).__name__})"
        _log.error("the node failed for an agent", agent=agent.text_id, where=where, exc_info=error)
        await self._agents.break_off(agent, said)

    async def _finish(self, agent: Agent, machine: Machine) -> None:
        """End an agent with what it came to; the text of much is made aside, and paid for."""
        try:
            is_much = self._effects.pay_for_result(agent, machine)
        except Denied as refusal:
            await self._pause_for(agent, refusal)
            return
        except FuelSpent as error:
            await self._agents.pause(agent, str(error))
            return
        outcome = Outcome(
            await self._text_aside(agent, machine) if is_much else machine.result_text
        )
        if agent.record.session:
            outcome.put(agent.record)
            await self._agents.pause(agent, WAITS_FOR_ENTRY)
        else:
            await self._agents.end(agent, State.DONE, outcome=outcome)

    async def _text_aside(self, agent: Agent, machine: Machine) -> str:
        agent.computing = True
        try:
            return await trio.to_thread.run_sync(lambda: machine.result_text, limiter=self._limiter)
        finally:
            agent.computing = False

    async def _fail(self, agent: Agent, reason: str, outcome: Outcome | None = None) -> None:
        said = Outcome(fault=reason) if outcome is None else outcome
        await self._agents.end(agent, State.FAILED, reason, said)

    async def _stay(self, agent: Agent, refused: RefusedHop) -> None:
        """Pause an agent that did not catch that it cannot go where it wants to; when it resumes it tries again."""
        agent.machine, agent.refused = None, None
        agent.record.image = refused.image
        await self._agents.pause(agent, refused.why)

    async def _honour_request(self, agent: Agent) -> None:
        """Pause or end an agent that a person asked to."""
        requested, agent.requested = agent.requested, None
        if requested is State.KILLED:
            await self._agents.end(agent, State.KILLED, agent.requested_reason)
        else:
            right, agent.requested_right = agent.requested_right, None
            await self._agents.pause(
                agent,
                agent.requested_reason,
                denied_right=right,
                shortage=agent.requested_shortage,
                lasting=agent.requested_lasting,
            )

    async def _pause_for(self, agent: Agent, refusal: Denied) -> None:
        """Pause an agent for what it lacks."""
        await self._agents.pause(
            agent, str(refusal), denied_right=refusal.right, shortage=refusal.shortage
        )

    async def _perform(self, agent: Agent, machine: Machine) -> None:
        """Do what the agent asked for; what it may not do pauses it, what makes no sense it may catch."""
        agent.refused = None
        name = machine.effect_name
        try:
            await self._effects.perform(agent, machine)
        except Denied as refusal:
            if not agent.record.session:  # whose log is what its owner sees it print
                log_line(agent.record, f"paused: {refusal}")
            await self._pause_for(agent, refusal)
        except FuelSpent as error:
            await self._agents.pause(agent, str(error))
        except HopRefused as error:
            agent.refused = RefusedHop(machine.image(), str(error))
            machine.resume_error(str(error), Map(error.data))
        except EffectInvalid as error:
            machine.resume_error(str(error), Map(error.data))
        except StorageError:
            raise
        except Exception as error:
            await self._break_off(agent, f"at its effect {name}", error)


async def _fault(error: Exception) -> None:
    raise error


def _rest(agent: Agent) -> None:
    """Note that an agent's turn has ended."""
    agent.running = False
    if agent.held is not None:
        agent.held.rests.set()
