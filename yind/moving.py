"""Agents that people move: stopped, sent off, and let go on where they are then.

Is:     who is being moved just now; one person at a time moves an agent.
Is not: the journey (`yind.departures`): who is moved goes as others do.
Fits:   `yind.migrate` is asked for it. Who wants to pause an agent asks whether it is being moved.

Once begun a move is brought to its end, whether or not somebody waits for it: the agent stands still meanwhile, and has to
go on. That it does is not written down: a node that crashes has not begun to move anybody. At every wait others may have let
it go on, or ended it; what they have decided stands.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
import trio

from capabilities.errors import CapabilityError
from yang.errors import YangError
from yind.agent import Agent, State
from yind.agents import Agents
from yind.cesk.errors import MachineError
from yind.departures import Departures
from yind.errors import AgentState, YindError

BetweenTurns = Callable[[Agent], AbstractAsyncContextManager[None]]
_REFUSALS = (YindError, CapabilityError, YangError, MachineError)

_log = structlog.get_logger()


class _Move:
    """A move under way, for who waits for its end."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.paused = agent.record.state is State.PAUSED  # before
        self.reason = agent.record.reason
        self.over = trio.Event()
        self.error: Exception | None = None


class Moves:
    """All agents of a node that are being moved."""

    def __init__(self, agents: Agents, departures: Departures) -> None:
        self._agents = agents
        self._departures = departures
        self._under_way: dict[bytes, _Move] = {}
        self._nursery: trio.Nursery
        self._between_turns: BetweenTurns

    def start(self, nursery: trio.Nursery, between_turns: BetweenTurns) -> None:
        """Hold tasks in this nursery from now on, and agents between their turns; before, nobody is moved."""
        self._nursery, self._between_turns = nursery, between_turns

    def has(self, agent: Agent) -> bool:
        """Return whether an agent is being moved."""
        return agent.record.id in self._under_way

    async def move(self, agent: Agent, target: str) -> None:
        """Move an agent that did not ask for it. Raises HopRefused, Denied or AgentState; then it goes on here."""
        record = agent.record
        if agent.ended or self._departures.holds(record.id):
            raise AgentState(f"agent {agent.text_id} is {record.state}: {record.reason}")
        if agent.aside:
            raise AgentState(f"agent {agent.text_id} is {record.reason}")
        if self.has(agent):
            raise AgentState(f"agent {agent.text_id} is being moved already")
        if agent.requested is not None:
            raise AgentState(f"agent {agent.text_id} is about to be {agent.requested}")
        move = self._under_way[record.id] = _Move(agent)
        self._nursery.start_soon(self._finish, move, target)
        await move.over.wait()
        if move.error is not None:
            raise move.error

    def give_up(self) -> None:
        """Let whoever stands still for a move be as before: the node stops."""
        for move in self._under_way.values():
            if move.agent.record.state is State.PAUSED and not move.paused:
                move.agent.become(State.READY, self._agents.clock.now_ms())

    async def _finish(self, move: _Move, target: str) -> None:
        agent = move.agent
        try:
            await self._move(agent, target, paused=move.paused, reason=move.reason)
        except _REFUSALS as error:
            _log.info("an agent was not moved", agent=agent.text_id, target=target, why=str(error))
            move.error = error
        except Exception as error:  # a fault of ours, which who asked may not be there to hear
            _log.error("moving an agent failed", agent=agent.text_id, target=target, exc_info=error)
            move.error = error
        finally:
            del self._under_way[agent.record.id]
            move.over.set()

    async def _move(self, agent: Agent, target: str, *, paused: bool, reason: str) -> None:
        record = agent.record
        if not paused:
            await _stop(agent, f"moving to {target}")
        try:
            await self._departures.reach(target)
            async with self._between_turns(agent):
                if agent.machine is None:
                    await trio.to_thread.run_sync(self._agents.load, agent)
                if record.state is not State.PAUSED:
                    raise AgentState(f"agent {agent.text_id} is {record.state}: it was let go on")
                if paused:
                    reason = record.reason  # it may be paused for something else by now
                departure = self._departures.leave(agent, target, paused=paused, reason=reason)
            await self._departures.outcome(departure)
        except AgentState:
            raise  # others have decided what it does
        except Exception:
            await self._departures.stay(agent, paused=paused, reason=reason)
            raise


async def _stop(agent: Agent, reason: str) -> None:
    """Have a running agent pause, and wait until it has, or has ended or gone."""
    stopped = trio.Event()

    def watch(event: dict[str, object]) -> None:
        if agent.ended or agent.record.state is State.PAUSED:
            stopped.set()

    agent.watchers.add(watch)
    try:
        agent.ask_to_stop(State.PAUSED, reason, lasting=False)
        await stopped.wait()
    finally:
        agent.watchers.discard(watch)
