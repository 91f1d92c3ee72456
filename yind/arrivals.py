"""Agents that arrive: offered, checked, held, taken.

Is:     what carries out `protocol.handoff.Target`: everything an offer carries is checked before it is held.
Is not: the rules of the hand-off.
Fits:   `yind.migrate` brings the messages of other nodes; an agent that was taken goes to the scheduler.

A step of the state machine is done at once; what it asks for (checking, the disk, answers) runs in tasks, whose ends
are further steps. So messages that come meanwhile are never lost and never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from capabilities.caveats import Resource, Verb
from capabilities.errors import CapabilityError
from capabilities.handles import Handle
from datomstore.batch import Batch
from datomstore.value import Map
from protocol import handoff
from protocol.errors import ProtocolError, Unreachable
from protocol.handoff import Target
from protocol.messages import HandOff, Offer, decode, encode
from protocol.transport import Channel
from yang.errors import YangError
from yang.program import Program
from yind.agent import Agent, State
from yind.agents import Agents
from yind.authority import Authority
from yind.cesk import Machine
from yind.cesk.errors import MachineError
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.config import AgentLimits
from yind.departures import RECORD_TABLE, Departures
from yind.errors import AgentState, HopRefused, YindError
from yind.journeys import Journeys, Stage
from yind.limits import AGENT_COUNT_MAX, ARRIVALS_MAX, HELD_MAX, TOKENS_PER_AGENT_MAX
from yind.luggage import opened, record_of

HELD_TABLE = "held"  # agent -> the Offer that is held

Attempt = tuple[bytes, int, int]  # agent, epoch, attempt

_log = structlog.get_logger()


class Arrivals:
    """All agents that other nodes offer to one node."""

    def __init__(
        self,
        *,
        node: str,
        agents: Agents,
        authority: Authority,
        code: CodeLibrary,
        departures: Departures,
        clock: Clock,
        limits: AgentLimits,
        journeys: Journeys,
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._code = code
        self._departures = departures
        self._clock = clock
        self._limits = limits
        self._journeys = journeys
        self._targets: dict[bytes, Target] = {}
        self._offers: dict[Attempt, Offer] = {}  # checked, not yet taken
        self._checked: dict[Attempt, tuple[Machine, list[Handle]]] = {}  # while they were
        self._checking = trio.Semaphore(ARRIVALS_MAX)
        self._nursery: trio.Nursery | None = None
        self._ready: Callable[[Agent], None] = lambda agent: None

    def start(self, nursery: trio.Nursery, ready: Callable[[Agent], None]) -> None:
        """Hold tasks in this nursery from now on; `ready` queues an agent that has been taken."""
        self._nursery = nursery
        self._ready = ready

    def recover(self, batch: Batch, records: dict[bytes, list[handoff.Record]]) -> None:
        """Read what an earlier run of this node knew."""
        for agent_id, kept in records.items():
            self._targets[agent_id] = Target.restart(kept, self._epoch(agent_id))
        for _, data in batch.scan(HELD_TABLE):
            offer = decode(data)
            assert isinstance(offer, Offer), offer
            self._offers[_attempt(offer)] = offer

    def _epoch(self, agent_id: bytes) -> int:
        agent = self._agents.get(agent_id)
        return -1 if agent is None else agent.record.epoch

    async def message(self, channel: Channel, message: HandOff) -> None:
        """Take a message of a source. Offers wait here while too many are being checked."""
        event = handoff.Received(message, channel.peer.bytes)
        if not isinstance(message, Offer):
            self._step(channel, message.agent, event)
            return
        self._journeys.mark(message.agent, message.epoch, Stage.OFFER)
        await self._checking.acquire()
        if not self._step(channel, message.agent, event):
            self._checking.release()

    def _step(self, channel: Channel, agent_id: bytes, event: handoff.Event) -> bool:
        """Do one step, begin what it asks for, and return whether a check was begun."""
        assert self._nursery is not None, "`start` gives the nursery"
        target = self._targets.get(agent_id) or Target.fresh(agent_id, self._epoch(agent_id))
        following, actions = target.step(event)
        if following != target:
            self._targets[agent_id] = following
        records = [action.record for action in actions if isinstance(action, handoff.Persist)]
        if records:
            self._nursery.start_soon(self._persist, channel, records)
        checking = False
        for action in actions:
            match action:
                case handoff.Verify(offer):
                    self._nursery.start_soon(self._check, channel, offer)
                    checking = True
                case handoff.Send():
                    self._nursery.start_soon(self._answer, channel, action.message())
                case handoff.Start():
                    self._start(agent_id)
                case _:
                    assert isinstance(action, handoff.Persist), action
        return checking

    async def _answer(self, channel: Channel, message: HandOff) -> None:
        try:
            await channel.send(message)
        except Unreachable as error:
            _log.debug("the source is gone; it asks again", why=str(error))

    def _start(self, agent_id: bytes) -> None:
        agent = self._agents.get(agent_id)
        assert agent is not None, agent_id
        if agent.record.state is State.READY:
            self._ready(agent)

    # -- checking --

    async def _check(self, channel: Channel, offer: Offer) -> None:
        """Check everything an offer carries, before anything of it is kept."""
        verdict: handoff.Event
        try:
            await self._fetch_code(channel, offer)
            checked = await self._restored(offer)
        except Unreachable:
            verdict = handoff.Interrupted()
        except (YindError, CapabilityError, ProtocolError, YangError, MachineError) as error:
            self._authority.refuse(offer.agent.hex()[:12], "migrate", self._node, str(error))
            verdict = handoff.Verified(False, error.code, str(error))
        else:
            self._offers[_attempt(offer)] = offer
            self._checked[_attempt(offer)] = checked
            verdict = handoff.Verified(True)
        finally:
            self._checking.release()
        self._step(channel, offer.agent, verdict)

    async def _fetch_code(self, channel: Channel, offer: Offer) -> None:
        """Ask the source for the programs that this node lacks."""
        for program_hash in offer.programs:
            if self._code.knows(program_hash):
                continue
            answer = await channel.request("code.get", Map({"hash": program_hash}))
            data = answer.get("program")
            if not isinstance(data, bytes):
                raise HopRefused("the source sent no program")
            program = Program.from_bytes(data)
            if program.hash != program_hash:
                raise HopRefused("the source sent another program")
            await self._code.admit(program, self._agents.write)

    async def _restored(self, offer: Offer) -> tuple[Machine, list[Handle]]:
        """Return machine and tokens of an offer in which everything is as it must be."""
        agent = self._agents.get(offer.agent)
        if agent is not None and not agent.ended and not self._departures.holds(offer.agent):
            raise AgentState(f"agent {agent.text_id} runs here already")
        if agent is None and len(self._agents) >= AGENT_COUNT_MAX:
            raise HopRefused(f"node {self._node} has {AGENT_COUNT_MAX} agents already")
        if len(self._offers) >= HELD_MAX:
            raise HopRefused(f"node {self._node} holds {HELD_MAX} agents not given yet")
        if len(offer.tokens) > TOKENS_PER_AGENT_MAX:
            raise HopRefused(f"{len(offer.tokens)} tokens; at most {TOKENS_PER_AGENT_MAX}")
        luggage, image = opened(offer)
        tokens = [self._authority.handle_own(token, offer.agent) for token in offer.tokens]
        self._authority.allow(tokens, Verb.MIGRATE, self._node, who=offer.agent.hex()[:12])
        self._journeys.mark(offer.agent, offer.epoch, Stage.VERIFIED)
        memory_max = min(luggage.memory_max, self._limits.memory_max, *_memory_of(tokens))
        machine = await trio.to_thread.run_sync(
            lambda: self._code.restore(image, memory_max=memory_max, fuel_max=luggage.fuel_max)
        )
        self._journeys.mark(offer.agent, offer.epoch, Stage.RESTORED)
        return machine, tokens

    # -- the disk --

    async def _persist(self, channel: Channel, records: list[handoff.Record]) -> None:
        """Make the records of one step durable in one transaction, with the agent if it is taken."""
        owned = next((record for record in records if isinstance(record, handoff.Owned)), None)
        agent = None if owned is None else self._taken(owned)

        def stage(batch: Batch) -> None:
            for record in records:
                batch.put(RECORD_TABLE, handoff.slot(record), handoff.encode(record))
                self._stage_held(batch, record)

        if agent is None:
            await self._agents.write(stage)
        else:
            self._agents.add(agent)
            await self._agents.commit(agent, stage)
            self._journeys.mark(agent.record.id, agent.record.epoch, Stage.OWNED)
        for record in records:
            if not isinstance(record, handoff.Held):
                self._offers.pop((record.agent, record.epoch, record.attempt), None)
                self._checked.pop((record.agent, record.epoch, record.attempt), None)
            self._step(channel, record.agent, handoff.Persisted(record))

    def _stage_held(self, batch: Batch, record: handoff.Record) -> None:
        attempt = (record.agent, record.epoch, record.attempt)
        if isinstance(record, handoff.Held):
            batch.put(HELD_TABLE, record.agent, encode(self._offers[attempt]))
            return
        kept = batch.get(HELD_TABLE, record.agent)
        if kept is not None:
            offer = decode(kept)
            assert isinstance(offer, Offer), offer
            if isinstance(record, handoff.Owned) or _attempt(offer) == attempt:
                batch.delete(HELD_TABLE, record.agent)

    def _taken(self, record: handoff.Owned) -> Agent:
        """Return the agent that is this node's from now on."""
        attempt = (record.agent, record.epoch, record.attempt)
        offer = self._offers[attempt]
        self._departures.settle(record.agent)
        made = record_of(offer, self._limits.memory_max, self._clock.now_ms())
        if attempt in self._checked:
            machine, tokens = self._checked[attempt]
            agent = Agent(made, machine, tokens, saved_fuel=machine.fuel_used)
        else:  # held by an earlier run of this node
            agent = Agent(made)
        self._authority.arrived(agent)
        return agent


def _memory_of(tokens: list[Handle]) -> list[int]:
    """Return how much memory arrives with an agent, if something limits it."""
    budgets = [handle.token.blocks[-1].caveats.budget or {} for handle in tokens]
    return [max(most)] if (most := [b[Resource.MEM] for b in budgets if Resource.MEM in b]) else []


def _attempt(offer: Offer) -> Attempt:
    return offer.agent, offer.epoch, int.from_bytes(offer.attempt, "big")
