"""Agents that travel: leaving for another node, arriving from one, exactly once.

Is:     what carries out `protocol.handoff`: offers made and checked, records made durable, answers sent, retries.
Is not: the rules of the hand-off (`protocol.handoff`), nor whether an agent may go (`yind.effects`).
Fits:   `yind.effects` calls `travel` for `hop!`, `yind.control` calls `move`; `yind.peers` brings the messages.

An agent that asked for `hop!` is frozen with that effect unanswered, and shipped so. The node it arrives at asks the
effect again, finds itself to be the target, and answers; a source that gets its agent back asks it again, too. So no
state is ever "between" nodes, and an agent moved by a person is nothing special.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

import msgspec
import structlog
import trio

from capabilities.caveats import Verb
from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey
from capabilities.verify import VerifiedToken
from datomstore.streams import Batch
from datomstore.value import Map
from protocol import continuation, handoff
from protocol.errors import ProtocolError, Unreachable
from protocol.handoff import Source, Target
from protocol.messages import HandOff, Offer, Own, Refuse, decode, encode
from protocol.transport import Channel
from yang.errors import YangError
from yang.program import Program
from yind.agent import Agent, AgentRecord, Hop, State
from yind.agents import Agents
from yind.authority import Authority
from yind.cesk import Machine
from yind.cesk.errors import MachineError
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.config import AgentLimits
from yind.errors import AgentState, Denied, HopRefused, YindError
from yind.limits import (
    AGENT_COUNT_MAX,
    ARRIVALS_MAX,
    HAND_OFF_CANCEL_S,
    HAND_OFF_RETRY_S,
    HELD_MAX,
    LOG_LINES_KEPT,
    TOKENS_PER_AGENT_MAX,
)
from yind.peers import Peers

RECORD_TABLE = "handoff"  # protocol.handoff.slot -> record
LEAVING_TABLE = "leaving"  # agent -> its Offer, until the target has answered
HELD_TABLE = "held"  # agent -> the Offer that is held
HOP_TABLE = "hop"  # agent, epoch -> Hop

_log = structlog.get_logger()


class Luggage(msgspec.Struct, frozen=True):
    """What travels with an image besides tokens: what the node knows about the agent."""

    name: str
    owner: bytes
    home: str
    program: bytes
    nonce: bytes
    created_ms: int
    memory_max: int
    fuel_max: int | None
    paused: bool
    reason: str
    wake_ms: int | None
    hop_count: int
    log: list[str]
    log_dropped: int


_luggage_encoder = msgspec.msgpack.Encoder()
_luggage_decoder = msgspec.msgpack.Decoder(Luggage)


class Departure:
    """One agent on its way out."""

    def __init__(
        self, agent: Agent, target: str, offer: Offer, source: Source, began: float
    ) -> None:
        self.agent = agent
        self.target = target
        self.offer = offer
        self.source = source
        self.began = began
        self.asked = False  # whether any message of ours may have reached the target
        self.refusal: tuple[str, str] | None = None
        self.over = trio.Event()
        self.send, self.receive = trio.open_memory_channel[handoff.Event](64)

    def tell(self, event: handoff.Event) -> None:
        """Hand an event to the departure's task; one too many is like a lost message."""
        try:
            self.send.send_nowait(event)
        except trio.WouldBlock:
            _log.warning("an event of a hand-off was dropped", agent=self.agent.text_id)


class Migration:
    """All journeys from and to one node."""

    def __init__(
        self,
        *,
        node: str,
        key: PrivateKey,
        agents: Agents,
        authority: Authority,
        code: CodeLibrary,
        peers: Peers,
        clock: Clock,
        limits: AgentLimits,
    ) -> None:
        self._node = node
        self._key = key
        self._agents = agents
        self._authority = authority
        self._code = code
        self._peers = peers
        self._clock = clock
        self._limits = limits
        self._departures: dict[bytes, Departure] = {}
        self._targets: dict[bytes, Target] = {}
        self._held: dict[bytes, Offer] = {}
        self._machines: dict[bytes, Machine] = {}  # restored while an offer was checked
        self._locks: dict[bytes, trio.Lock] = {}
        self._code_sent: Counter[tuple[PublicKey, bytes]] = Counter()
        self._arrivals = trio.CapacityLimiter(ARRIVALS_MAX)
        self._nursery: trio.Nursery | None = None
        self._ready: Callable[[Agent], None] = lambda agent: None

    async def run(
        self,
        ready: Callable[[Agent], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Go on with what an earlier run of this node left unfinished; hold the tasks of journeys until cancelled."""
        self._ready = ready
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._recover()
            task_status.started()
            await trio.sleep_forever()

    def _recover(self) -> None:
        with self._agents.streams.batch() as batch:
            records: dict[bytes, list[handoff.Record]] = {}
            for _, data in batch.scan(RECORD_TABLE):
                record = handoff.decode(data)
                records.setdefault(record.agent, []).append(record)
            leaving = {key: decode(data) for key, data in batch.scan(LEAVING_TABLE)}
            held = {key: decode(data) for key, data in batch.scan(HELD_TABLE)}
        for agent_id, kept in records.items():
            self._targets[agent_id] = Target.restart(kept)
            given = handoff.unfinished(kept)
            if given is not None:
                self._go_on(given, leaving[agent_id])
        for agent_id, offer in held.items():
            assert isinstance(offer, Offer), offer
            self._held[agent_id] = offer

    def _go_on(self, given: handoff.Given, offer: object) -> None:
        agent = self._agents.get(given.agent)
        assert agent is not None, given
        assert isinstance(offer, Offer), offer
        source, actions = Source.restart(given)
        target = self._peers.name_of(PublicKey(given.target))
        departure = Departure(agent, target, offer, source, trio.current_time())
        departure.asked = True
        self._begin(departure, actions)

    def holds(self, agent: Agent) -> bool:
        """Return whether an agent is on its way out."""
        return agent.record.id in self._departures

    def note_code(self, peer: PublicKey, program_hash: bytes, size: int) -> None:
        """Count the bytes of a program that a node asked for."""
        self._code_sent[peer, program_hash] += size

    def hops_of(self, agent_id: bytes) -> list[Hop]:
        """Return the journeys of an agent that started here, in their order."""
        with self._agents.streams.batch() as batch:
            found = [
                msgspec.msgpack.decode(d, type=Hop) for _, d in batch.scan(HOP_TABLE, agent_id)
            ]
        return sorted(found, key=lambda hop: hop.epoch)

    # -- leaving --

    async def travel(self, agent: Agent, machine: Machine, target: str) -> None:
        """Ship an agent that waits for its `hop!`. Returns when it is gone.

        Raises:
            HopRefused: the other node cannot be reached or does not want it; the agent is still here.
            Denied: one of its tokens may not go there.
        """
        await self._leave(agent, target, paused=False, reason="")

    async def move(self, agent: Agent, target: str) -> None:
        """Move an agent that did not ask for it, from where it is. Raises HopRefused, Denied or AgentState."""
        if target not in self._peers.node_names():
            raise HopRefused(f"the cluster has no node {target!r}")
        if target == self._node:
            raise HopRefused(f"agent {agent.text_id} is on {target} already")
        if agent.ended or self.holds(agent):
            raise AgentState(
                f"agent {agent.text_id} is {agent.record.state}: {agent.record.reason}"
            )
        paused = agent.record.state is State.PAUSED
        reason = agent.record.reason
        if not paused:
            await self._stop(agent, f"moving to {target}")
        if agent.record.state is not State.PAUSED:
            raise AgentState(
                f"agent {agent.text_id} is {agent.record.state} before it could be moved"
            )
        try:
            await self._leave(agent, target, paused=paused, reason=reason)
        except (HopRefused, Denied):
            if not paused and agent.record.state is State.PAUSED:
                agent.become(State.READY, self._clock.now_ms())
                await self._agents.commit(agent)
                self._ready(agent)
            raise

    async def _stop(self, agent: Agent, reason: str) -> None:
        stopped = trio.Event()

        def watch(event: dict[str, object]) -> None:
            if agent.ended or agent.record.state is State.PAUSED:
                stopped.set()

        agent.watchers.add(watch)
        try:
            agent.requested, agent.requested_reason = State.PAUSED, reason
            if agent.wake is not None:
                agent.wake()
            await stopped.wait()
        finally:
            agent.watchers.discard(watch)

    async def _leave(self, agent: Agent, target: str, *, paused: bool, reason: str) -> None:
        member = self._peers.node(target)
        assert member is not None, target
        tokens = tuple(
            self._authority.hand_on(data, member.key, target) for data in agent.record.tokens
        )
        try:  # nothing has begun yet: a node that cannot be reached is an answer, not a wait
            await self._peers.channel(target)
        except ProtocolError as error:
            raise HopRefused(f"node {target}: {error}") from error
        record = agent.record
        before = record.state, record.reason
        record.attempt += 1
        if agent.machine is not None:
            record.image = agent.machine.image()
        offer = _offer(record, tokens, paused=paused, reason=reason)
        source, actions = Source.begin(record.id, record.epoch, member.key.bytes, record.attempt)
        agent.become(State.WAITING, self._clock.now_ms(), f"travelling to {target}")
        departure = Departure(agent, target, offer, source, trio.current_time())
        self._begin(departure, actions)
        await departure.over.wait()
        if departure.refusal is not None:
            code, why = departure.refusal
            if paused:
                agent.become(State.PAUSED, self._clock.now_ms(), before[1])
                await self._agents.commit(agent)
            raise HopRefused(f"node {target} refused the agent: {why} ({code})")

    def _begin(self, departure: Departure, actions: list[handoff.Action]) -> None:
        assert self._nursery is not None, "`run` holds the tasks"
        self._departures[departure.agent.record.id] = departure
        self._nursery.start_soon(self._depart, departure, actions)

    async def _depart(self, departure: Departure, actions: list[handoff.Action]) -> None:
        """Carry out a departure until the target has answered."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._remind, departure)
            for action in actions:
                await self._leaving(departure, action, nursery)
            async for event in departure.receive:
                departure.source, following = departure.source.step(event)
                for action in following:
                    await self._leaving(departure, action, nursery)
                if departure.source.over:
                    break
            nursery.cancel_scope.cancel()
        if self._departures.get(departure.agent.record.id) is departure:
            del self._departures[departure.agent.record.id]
        departure.over.set()

    async def _remind(self, departure: Departure) -> None:
        withdraw_at = trio.current_time() + HAND_OFF_CANCEL_S
        while True:
            await trio.sleep(HAND_OFF_RETRY_S)
            late = trio.current_time() >= withdraw_at
            departure.tell(handoff.Withdraw() if late else handoff.Retry())
            if late:
                withdraw_at = trio.current_time() + HAND_OFF_CANCEL_S

    async def _leaving(
        self, departure: Departure, action: handoff.Action, nursery: trio.Nursery
    ) -> None:
        match action:
            case handoff.Persist(handoff.Given() as given):
                # Beside the offer's journey: only the Go has to wait for the disk.
                nursery.start_soon(self._persist_given, departure, given)
            case handoff.Persist(record):
                await self._persist_end(departure, record)
                departure.tell(handoff.Persisted(record))
            case handoff.Send(kind=kind):
                message = departure.offer if kind is Offer else action.message()
                nursery.start_soon(self._send, departure, message)
            case handoff.Resume(code=code, reason=reason):
                departure.refusal = (code, reason)
                self._take_back(departure)
            case handoff.Drop():
                pass  # image and tokens went with the record
            case _:
                raise AssertionError(action)

    async def _persist_given(self, departure: Departure, given: handoff.Given) -> None:
        def stage(batch: Batch) -> None:
            batch.put(RECORD_TABLE, handoff.slot(given), handoff.encode(given))
            batch.put(LEAVING_TABLE, given.agent, encode(departure.offer))

        await self._agents.commit(departure.agent, stage)
        departure.tell(handoff.Persisted(given))

    async def _persist_end(self, departure: Departure, record: handoff.Record) -> None:
        """Make the target's answer durable: the agent is gone, or it is this node's again."""
        agent = departure.agent
        hop: Hop | None = None
        if isinstance(record, handoff.Gone):
            hop = self._hop(departure)
            agent.become(State.MOVED, self._clock.now_ms(), f"to {departure.target}")
            agent.record.moved_to = departure.target
            agent.record.tokens = []
            agent.tokens = []

        def stage(batch: Batch) -> None:
            batch.put(RECORD_TABLE, handoff.slot(record), handoff.encode(record))
            batch.delete(LEAVING_TABLE, record.agent)
            if hop is not None:
                key = record.agent + record.epoch.to_bytes(8, "big")
                batch.put(HOP_TABLE, key, msgspec.msgpack.encode(hop))

        await self._agents.commit(agent, stage)

    def _hop(self, departure: Departure) -> Hop:
        offer = departure.offer
        peer = PublicKey(departure.source.given.target)
        return Hop(
            epoch=offer.epoch,
            source=self._node,
            target=departure.target,
            image_bytes=len(offer.body),
            token_bytes=sum(map(len, offer.tokens)),
            code_bytes=sum(self._code_sent.pop((peer, program), 0) for program in offer.programs),
            elapsed_us=round((trio.current_time() - departure.began) * 1e6),
        )

    def _take_back(self, departure: Departure) -> None:
        agent = departure.agent
        agent.become(State.READY, self._clock.now_ms())
        if (
            not agent.running and agent.machine is None
        ):  # after a restart nobody waits for the answer
            self._ready(agent)

    async def _send(self, departure: Departure, message: HandOff) -> None:
        try:
            channel = await self._peers.channel(departure.target)
            departure.asked = True
            await channel.send(message)
        except ProtocolError as error:
            agent = departure.agent
            agent.record.reason = f"travelling to {departure.target}: {error}"
            _log.info(
                "a hand-off waits", agent=agent.text_id, target=departure.target, why=str(error)
            )

    # -- arriving --

    async def message(self, channel: Channel, message: HandOff) -> None:
        """Take a message of a hand-off from another node; anybody else's is ignored."""
        peer = self._peers.node_of_key(channel.peer)
        if peer is None:
            self._authority.refuse(
                channel.peer.text, "migrate", self._node, "not a node of the cluster"
            )
            await self._agents.write(lambda batch: None)
            return
        if isinstance(message, (Own, Refuse)):
            departure = self._departures.get(message.agent)
            if departure is not None:
                departure.tell(handoff.Received(message, channel.peer.bytes))
            return
        assert self._nursery is not None, "`run` holds the tasks"
        token = object()
        await self._arrivals.acquire_on_behalf_of(token)
        self._nursery.start_soon(self._arrive, channel, message, token)

    async def _arrive(self, channel: Channel, message: HandOff, token: object) -> None:
        try:
            async with self._locks.setdefault(message.agent, trio.Lock()):
                await self._step(
                    channel, handoff.Received(message, channel.peer.bytes), message.agent
                )
        except Unreachable:
            pass  # the source asks again
        finally:
            self._arrivals.release_on_behalf_of(token)
            lock = self._locks.get(message.agent)
            if lock is not None and not lock.locked():
                del self._locks[message.agent]

    async def _step(self, channel: Channel, event: handoff.Event, agent_id: bytes) -> None:
        target = self._targets.get(agent_id)
        if target is None:
            known = self._agents.get(agent_id)
            target = Target.fresh(agent_id, -1 if known is None else known.record.epoch)
        target, actions = target.step(event)
        if target != Target.fresh(agent_id):
            self._targets[agent_id] = target
        for action in actions:
            match action:
                case handoff.Verify(offer):
                    verdict = await self._verified(channel, offer)
                    await self._step(channel, verdict, agent_id)
                case handoff.Persist(record):
                    await self._persist(channel, record)
                    await self._step(channel, handoff.Persisted(record), agent_id)
                case handoff.Send():
                    await channel.send(action.message())
                case handoff.Start():
                    self._start(agent_id)
                case _:
                    raise AssertionError(action)

    async def _verified(self, channel: Channel, offer: Offer) -> handoff.Verified:
        """Check everything an offer carries, before anything of it is kept."""
        try:
            await self._fetch_code(channel, offer)
            await self._check(offer)
        except Denied as error:
            self._authority.refuse(offer.agent.hex()[:12], "migrate", self._node, str(error))
            return handoff.Verified(False, error.code, str(error))
        except (YindError, CapabilityError, ProtocolError, YangError, MachineError) as error:
            if isinstance(error, Unreachable):
                raise
            self._authority.refuse(offer.agent.hex()[:12], "migrate", self._node, str(error))
            return handoff.Verified(False, error.code, str(error))
        self._held[offer.agent] = offer
        return handoff.Verified(True)

    async def _check(self, offer: Offer) -> None:
        agent = self._agents.get(offer.agent)
        if agent is not None and not agent.ended and not self.holds(agent):
            raise AgentState(f"agent {agent.text_id} runs here already")
        if agent is None and len(self._agents) >= AGENT_COUNT_MAX:
            raise HopRefused(f"node {self._node} has {AGENT_COUNT_MAX} agents already")
        if offer.agent not in self._held and len(self._held) >= HELD_MAX:
            raise HopRefused(
                f"node {self._node} holds {HELD_MAX} agents that have not been given yet"
            )
        if len(offer.tokens) > TOKENS_PER_AGENT_MAX:
            raise HopRefused(f"{len(offer.tokens)} tokens; at most {TOKENS_PER_AGENT_MAX}")
        if hashlib.sha256(offer.body).digest() != offer.digest:
            raise HopRefused("the agent's bytes are not those that were offered")
        luggage, opened = _opened(offer)
        tokens = [self._authority.verify_own(token) for token in offer.tokens]
        self._authority.allow(
            tokens, Verb.MIGRATE, self._node, who=offer.agent.hex()[:12], agent_id=offer.agent
        )
        machine = await trio.to_thread.run_sync(
            lambda: self._code.restore(
                opened.image,
                memory_max=min(luggage.memory_max, self._limits.memory_max),
                fuel_max=luggage.fuel_max,
            )
        )
        self._machines[offer.agent] = machine

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

    async def _persist(self, channel: Channel, record: handoff.Record) -> None:
        match record:
            case handoff.Owned():
                await self._own(channel, record)
            case handoff.Held():
                held = encode(self._held[record.agent])

                def stage_held(batch: Batch) -> None:
                    batch.put(RECORD_TABLE, handoff.slot(record), handoff.encode(record))
                    batch.put(HELD_TABLE, record.agent, held)

                await self._agents.write(stage_held)
            case _:

                def stage_refused(batch: Batch) -> None:
                    batch.put(RECORD_TABLE, handoff.slot(record), handoff.encode(record))

                await self._agents.write(stage_refused)

    async def _own(self, channel: Channel, record: handoff.Owned) -> None:
        """Make the agent this node's own, durably, in the transaction of the record."""
        offer = self._held[record.agent]
        luggage, opened = _opened(offer)
        self._finish_departure(record.agent)
        now = self._clock.now_ms()
        kept = AgentRecord(
            id=record.agent,
            name=luggage.name,
            owner=luggage.owner,
            home=luggage.home,
            program=luggage.program,
            nonce=luggage.nonce,
            created_ms=luggage.created_ms,
            memory_max=min(luggage.memory_max, self._limits.memory_max),
            fuel_max=luggage.fuel_max,
            epoch=record.epoch,
            state=State.PAUSED if luggage.paused else State.READY,
            reason=luggage.reason,
            since_ms=now,
            image=opened.image,
            tokens=list(offer.tokens),
            hop_count=luggage.hop_count + 1,
            log=luggage.log,
            log_dropped=luggage.log_dropped,
            wake_ms=luggage.wake_ms,
        )
        tokens: list[VerifiedToken] = [self._authority.verify_own(token) for token in offer.tokens]
        agent = Agent(kept, self._machines.pop(record.agent, None), tokens)
        if agent.machine is not None:
            agent.saved_fuel = agent.machine.fuel_used

        def stage(batch: Batch) -> None:
            batch.put(RECORD_TABLE, handoff.slot(record), handoff.encode(record))
            batch.delete(HELD_TABLE, record.agent)

        await self._agents.commit(agent, stage)
        del self._held[record.agent]
        self._agents.add(agent)

    def _finish_departure(self, agent_id: bytes) -> None:
        """An agent that comes back has been away: what this node still waited to hear is settled."""
        departure = self._departures.pop(agent_id, None)
        if departure is not None:
            departure.agent.become(State.MOVED, self._clock.now_ms(), f"to {departure.target}")
            departure.send.close()

    def _start(self, agent_id: bytes) -> None:
        agent = self._agents.get(agent_id)
        assert agent is not None, agent_id
        if agent.record.state is State.READY:
            self._ready(agent)


def _offer(record: AgentRecord, tokens: tuple[bytes, ...], *, paused: bool, reason: str) -> Offer:
    luggage = Luggage(
        name=record.name,
        owner=record.owner,
        home=record.home,
        program=record.program,
        nonce=record.nonce,
        created_ms=record.created_ms,
        memory_max=record.memory_max,
        fuel_max=record.fuel_max,
        paused=paused,
        reason=reason,
        wake_ms=record.wake_ms,
        hop_count=record.hop_count,
        log=record.log[-LOG_LINES_KEPT:],
        log_dropped=record.log_dropped,
    )
    programs = tuple(Machine.programs_of(record.image))
    body = continuation.seal(record.image, programs, tokens, _luggage_encoder.encode(luggage))
    attempt = record.attempt.to_bytes(16, "big")
    digest = hashlib.sha256(body).digest()
    return Offer(record.id, record.epoch + 1, attempt, digest, programs, tokens, body)


def _opened(offer: Offer) -> tuple[Luggage, continuation.Continuation]:
    """Return what an offer's body holds. Raises RemoteFault or HopRefused."""
    opened = continuation.open_(offer.body)
    try:
        return _luggage_decoder.decode(opened.meta), opened
    except msgspec.DecodeError as error:
        raise HopRefused(f"what travels with the agent is malformed: {error}") from error
