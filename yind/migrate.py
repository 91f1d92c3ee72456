"""Agents that travel, exactly once.

Is:     departures and arrivals of one node behind one door, and what a restart goes on with.
Is not: the rules of the hand-off (`protocol.handoff`), nor whether an agent may go (`yind.effects`).
Fits:   `yind.effects` calls `travel` for `hop!`, `yind.control` calls `move`; `yind.peers` brings the messages.

An agent that asked for `hop!` is frozen with that effect unanswered, and shipped so. The node it arrives at asks the
effect again, finds itself to be the target, and answers; a source that gets its agent back asks it again, too. So no
state is ever "between" nodes, and an agent moved by a person is nothing special.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
import structlog
import trio

from capabilities.keys import PublicKey
from datomstore.value import Map
from protocol import handoff
from protocol.errors import ProtocolError
from protocol.messages import HandOff, Own, Refuse, Want
from protocol.transport import Channel
from yind.admission import Admission
from yind.agent import Agent, Hop, State
from yind.agents import Agents
from yind.arrivals import Arrivals
from yind.authority import Authority
from yind.awake import Awake
from yind.cesk import Machine
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.config import AgentLimits
from yind.departures import HOP_TABLE, RECORD_TABLE, Departures, Forced
from yind.errors import AdmissionRefused, AgentState, HopRefused
from yind.forgetting import Forgetting
from yind.journeys import Journeys, Stage
from yind.limits import REASONS_WAIT_S
from yind.moving import BetweenTurns, Moves
from yind.peers import Peers

_log = structlog.get_logger()


class Migration:
    """All journeys from and to one node."""

    def __init__(
        self,
        *,
        node: str,
        agents: Agents,
        authority: Authority,
        code: CodeLibrary,
        peers: Peers,
        admission: Admission,
        clock: Clock,
        limits: AgentLimits,
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._peers = peers
        self._clock = clock
        self._nursery: trio.Nursery | None = None
        self.journeys = Journeys(clock.ticks_ns)
        self._awake = Awake(clock.ticks_ns, agents.is_writing, agents.written)
        self._departures = Departures(
            node=node,
            agents=agents,
            authority=authority,
            peers=peers,
            clock=clock,
            journeys=self.journeys,
            awake=self._awake,
        )
        self.moves = Moves(agents, self._departures)
        self._arrivals = Arrivals(
            node=node,
            agents=agents,
            authority=authority,
            code=code,
            departures=self._departures,
            channel_to=self._channel_to,
            admission=admission,
            journeys=self.journeys,
            clock=clock,
            limits=limits,
        )
        agents.lives = self._arrivals.lives
        self.forgetting = Forgetting(
            agents=agents, departures=self._departures, arrivals=self._arrivals, clock=clock
        )

    async def run(
        self,
        ready: Callable[[Agent], None],
        between_turns: BetweenTurns,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Go on with what an earlier run of this node left unfinished; hold the tasks of journeys until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._departures.start(nursery, ready, self._arrivals.lives)
            self._arrivals.start(nursery, ready)
            self.moves.start(nursery, between_turns)
            self._recover()
            nursery.start_soon(self._awake.run)
            nursery.start_soon(self.forgetting.run)
            task_status.started()
            await trio.sleep_forever()

    def _channel_to(self, key: bytes) -> Channel | None:
        """Return the connection to the node of a key, whatever keys it has had, if one is open."""
        return self._peers.open_channel(self._peers.name_of(PublicKey(key)))

    def _recover(self) -> None:
        with self._agents.streams.batch() as batch:
            records: dict[bytes, list[handoff.Record]] = {}
            for _, data in batch.scan(RECORD_TABLE):
                record = handoff.decode(data)
                records.setdefault(record.agent, []).append(record)
            self._arrivals.recover(batch, records)
            self._departures.recover(batch, records)
        for agent_id, kept in records.items():
            agent = self._agents.get(agent_id)
            if agent is None or agent.record.state is State.MOVED or self.holds(agent):
                continue
            here = handoff.running(kept, born_here=True)
            if here != agent.record.epoch:
                agent.aside = here is None
                if not agent.ended:
                    self._set_aside(agent, here)

    def _set_aside(self, agent: Agent, here: int | None) -> None:
        """Have an agent not run whose row contradicts the records of its journeys: there would be two of it.

        The node starts all the same: the others it has are waited for. Nothing of this one is lost, as only a person can
        tell which one is the agent; that person ends it, or lets it go on. The disk keeps the row, and the next start finds
        the same. Where the records say that it has gone, whoever comes back from there with the tokens that it was given is the
        agent, and takes its place.
        """
        record = agent.record
        is_here = "it is not here" if here is None else f"epoch {here} of it is here"
        why = f"set aside, there may be two of it: by the records of its journeys {is_here}, and this is epoch {record.epoch}"
        _log.error("an agent is set aside", agent=agent.text_id, why=why)
        if record.state is not State.PAUSED:
            agent.become(State.PAUSED, self._clock.now_ms())
        record.reason, record.denied_right = why, None  # nothing but a person lets it go on
        agent.lasting = State.PAUSED

    def holds(self, agent: Agent) -> bool:
        """Return whether an agent is on its way out."""
        return self._departures.holds(agent.record.id)

    def knows_of(self, agent_id: bytes) -> bool:
        """Return whether another node has offered an agent that may come, so that none of its id begins here."""
        return self._arrivals.knows_of(agent_id)

    def note_code(self, peer: PublicKey, program_hash: bytes, size: int) -> None:
        """Count the bytes of a program that a node asked for."""
        self._departures.note_code(self._peers.origin(peer), program_hash, size)

    def hops_of(self, agent_id: bytes) -> list[Hop]:
        """Return the journeys of an agent that started here, in their order."""
        with self._agents.streams.storage.transaction(write=False) as storage:
            rows = storage.scan(HOP_TABLE, agent_id)
            found = [msgspec.msgpack.decode(data, type=Hop) for _, data in rows]
        return sorted(found, key=lambda hop: hop.epoch)

    async def travel(self, agent: Agent, machine: Machine, target: str) -> None:
        """Ship an agent that waits for its `hop!`. Returns when it is gone. Raises HopRefused or Denied."""
        try:
            await self._departures.travel(agent, target)
        except HopRefused as refusal:
            raise await self._explained(refusal, agent, target) from refusal

    async def _explained(self, refusal: HopRefused, agent: Agent, target: str) -> HopRefused:
        """Return a refusal with what the other node says about it. One that comes of no answer is noted here."""
        if not refusal.refusal:
            self._authority.refuse(agent.text_id, "migrate", target, str(refusal))
        if refusal.refusal != AdmissionRefused.code:
            return refusal
        with contextlib.suppress(ProtocolError), trio.move_on_after(REASONS_WAIT_S):
            channel = await self._peers.channel(target)
            said = await channel.request("admission.why", Map({"agent": agent.record.id}))
            return HopRefused(str(refusal), refusal=refusal.refusal, data=said)
        return refusal

    def arrived(self, agent: Agent) -> None:
        """Note that an agent goes on where it wanted to be."""
        self.journeys.mark(agent.record.id, agent.record.epoch, Stage.RESUMED)

    async def move(self, agent: Agent, target: str) -> None:
        """Move an agent that did not ask for it. Raises HopRefused, Denied or AgentState."""
        try:
            await self.moves.move(agent, target)
        except HopRefused as refusal:
            raise await self._explained(refusal, agent, target) from refusal

    async def reclaim(self, agent: Agent, forced: Forced) -> None:
        """Take back an agent whose target is gone for good; noted as a possible duplicate. Raises AgentState."""
        if self._arrivals.expects(agent.record.id):
            raise AgentState(f"agent {agent.text_id} is on its way back")
        await self._departures.reclaim(agent, forced)

    def give_up_holds(self) -> None:
        """Hold nothing any more, and move nobody, as before a stop: what is held is offered again afterwards."""
        self.moves.give_up()
        self._arrivals.give_up_holds(self._clock.now_ms() + 1)

    def message(self, channel: Channel, message: HandOff) -> None:
        """Take a message of a hand-off from another node; anybody else's is refused.

        What a peer sends is refused and raises nothing. So an error is this node's own, and what a step has left half done
        only a restart makes whole: the node ends, and not just the connection.
        """
        try:
            self._take(channel, message)
        except Exception as error:
            assert self._nursery is not None, "`run` gives the nursery"
            self._nursery.start_soon(_fail, error)

    def _take(self, channel: Channel, message: HandOff) -> None:
        node = self._peers.node_at(channel)
        if node is None:
            self._authority.refuse(
                channel.peer.text, "migrate", self._node, "not a node of the cluster"
            )
            self._agents.submit(lambda batch: None, lambda error: None)
        elif isinstance(message, (Own, Refuse, Want)):
            self._departures.answered(message, node)
        else:
            self._arrivals.message(channel, message, node)


async def _fail(error: Exception) -> None:
    raise error
