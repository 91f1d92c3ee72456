"""Agents that leave: offered, given, gone, or taken back.

Is:     what carries out `protocol.handoff.Source`: records made durable, messages sent and sent again.
Is not: the rules of the hand-off, nor whether an agent may go (`yind.effects`, and the tokens' own hop limits).
Fits:   `yind.migrate` brings the requests and the target's answers.

A departure has no task of its own: its steps are done where their events come, the disk and the connection tell when
they are done, and one task reminds all targets that have not answered.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import structlog
import trio
from msgspec.structs import replace

from capabilities.handles import Handle
from capabilities.keys import PublicKey
from capabilities.membership import Member
from datomstore.batch import Batch
from protocol import handoff
from protocol.errors import ProtocolError
from protocol.handoff import Source
from protocol.messages import Go, HandOff, Offer, Want, decode, encode
from yind.agent import Agent, AgentRecord, Hop, State
from yind.agents import Agents, Written
from yind.audit import Behalf, Decision
from yind.authority import Authority
from yind.awake import Awake
from yind.clock import Clock
from yind.errors import AgentState, HopRefused, HopUnreached
from yind.journeys import Journeys, Stage
from yind.limits import HAND_OFF_CANCEL_S, HAND_OFF_RETRY_S
from yind.luggage import offer_of, opened, packed_of
from yind.peers import Peers

RECORD_TABLE = "handoff"  # protocol.handoff.slot -> record; of arrivals, too
LEAVING_TABLE = (
    "leaving"  # agent -> its Offer, with the one copy of its image, until the target has answered
)
HOP_TABLE = "hop"  # agent, epoch -> Hop

ALONE_MAX = 2  # journeys at a time for which each write is made at once

_log = structlog.get_logger()


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
        self.offered = -math.inf  # when this run of the node has sent its Offer last
        self.hop: Hop | None = None  # made when it has gone
        self.refusal: handoff.Resume | None = None
        self.forced: Forced | None = None  # who takes it back
        self.over = trio.Event()
        self.events: deque[handoff.Event] = deque()  # that came during a step
        self.stepping = False
        self.unsent: deque[HandOff] = deque()  # what a task sends as soon as it can


class Forced(NamedTuple):
    """A person's word that an agent is to be taken back, and the tokens it gets in place of its own, if any."""

    who: str
    tokens: Sequence[Handle] = ()
    token_bytes: Sequence[bytes] = ()  # of the same tokens


class Departures:
    """All agents on their way out of one node."""

    def __init__(
        self,
        *,
        node: str,
        agents: Agents,
        authority: Authority,
        peers: Peers,
        clock: Clock,
        journeys: Journeys,
        awake: Awake,
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._peers = peers
        self._clock = clock
        self._journeys = journeys
        self._awake = awake
        self._under_way: dict[bytes, Departure] = {}
        self._code_sent: Counter[tuple[PublicKey, bytes]] = Counter()
        self._keeps = agents.streams.storage.waits  # else nothing outlives a crash
        self._nursery: trio.Nursery | None = None
        self._ready: Callable[[Agent], None] = lambda agent: None
        self._lives: Callable[[Agent], None] = lambda agent: None

    def start(
        self,
        nursery: trio.Nursery,
        ready: Callable[[Agent], None],
        lives: Callable[[Agent], None],
    ) -> None:
        """Hold tasks in this nursery from now on; `lives` is told of an agent that runs here again, `ready` queues it."""
        self._nursery = nursery
        self._ready = ready
        self._lives = lives
        nursery.start_soon(self._remind)

    def recover(self, batch: Batch, records: dict[bytes, list[handoff.Record]]) -> None:
        """Go on with what an earlier run of this node left unfinished."""
        for agent_id, kept in records.items():
            given = handoff.unfinished(kept)
            if given is None:
                continue
            agent, data = self._agents.get(agent_id), batch.get(LEAVING_TABLE, agent_id)
            assert agent is not None, given
            assert data is not None, given
            offer = decode(data)
            assert isinstance(offer, Offer), offer
            _, agent.record.image = opened(offer)  # which its row was written without
            source, actions = Source.restart(given)
            target = self._peers.name_of(PublicKey(given.target))
            began = trio.current_time()
            self._begin(Departure(agent, target, offer, source, began), actions)

    def holds(self, agent_id: bytes) -> bool:
        """Return whether an agent is on its way out."""
        return agent_id in self._under_way

    def keeps(self, agent_id: bytes) -> bool:
        """Return whether an agent is on its way out, and still this node's: nobody else can have it."""
        departure = self._under_way.get(agent_id)
        return departure is not None and not departure.source.durable

    def note_code(self, peer: PublicKey, program_hash: bytes, size: int) -> None:
        """Count the bytes of a program that a node asked for."""
        self._code_sent[peer, program_hash] += size

    def answered(self, message: HandOff, peer: bytes) -> None:
        """Take an answer of the node whose key has this origin."""
        departure = self._under_way.get(message.agent)
        if departure is None:
            return
        if not isinstance(message, Want):
            self._journeys.mark(message.agent, message.epoch, Stage.TOLD)
        elif departure.unsent or trio.current_time() < departure.offered + HAND_OFF_RETRY_S:
            return  # who has no room for an Offer will not have it at once, and no more than one waits here
        self._tell(departure, handoff.Received(message, peer))

    def settle(self, agent_id: bytes) -> Callable[[Batch], None]:
        """Note that an agent has come back: it had been away, whatever this node still waited to hear.

        Returns what is to be written when its coming back is.
        """
        departure = self._under_way.pop(agent_id, None)
        if departure is None:
            return _nothing
        self._mark_gone(departure)
        departure.over.set()
        return partial(_end, departure.source.given, self._hop(departure))

    # -- what agents and people ask for --

    async def travel(self, agent: Agent, target: str) -> None:
        """Ship an agent that waits for its `hop!`. Returns when it is gone.

        Raises:
            HopRefused: the other node cannot be reached or does not want it; the agent is ready here.
            Denied: one of its tokens may not go there.
        """
        await self.reach(target)
        await self.outcome(self.leave(agent, target, paused=False, reason=""))

    async def stay(self, agent: Agent, *, paused: bool, reason: str) -> None:
        """Return an agent that could not be moved to what it did before, unless somebody else has decided meanwhile."""
        record = agent.record
        if paused and record.state is State.READY and agent.requested is None:
            await self._agents.pause(
                agent, reason, denied_right=record.denied_right, shortage=record.shortage
            )
        elif not paused and record.state is State.PAUSED:
            await self._agents.wake(agent)
        if record.state is State.READY:
            self._ready(agent)

    async def reclaim(self, agent: Agent, forced: Forced) -> None:
        """Take back an agent whose target is gone for good, as a person says. Raises AgentState when that is too late.

        There may be two of it from here on; that is noted in the audit stream. Its tokens say that it was given away,
        so with them it stays here; with new ones it may travel.
        """
        departure = self._under_way.get(agent.record.id)
        if departure is None or not departure.source.durable:
            raise AgentState(f"agent {agent.text_id} does not wait for another node")
        if departure.source.writing is not None:  # too late, or somebody else does so already
            raise AgentState(f"agent {agent.text_id}: what becomes of it is being written")
        departure.forced = forced
        self._tell(departure, handoff.Force())
        assert isinstance(departure.source.writing, handoff.Reclaimed), "nobody waits in between"
        await departure.over.wait()

    # -- the journey --

    async def reach(self, target: str) -> None:
        """Return when there is a connection to a node. Raises HopRefused: one that cannot be reached is an answer, not a wait."""
        if self._peers.node(target) is None or target == self._node:
            raise HopRefused(f"{target!r} is no other node of this cluster")
        if self._peers.open_channel(target) is None:
            try:
                await self._peers.channel(target)
            except ProtocolError as error:
                raise HopUnreached(f"node {target}: {error}") from error

    def leave(self, agent: Agent, target: str, *, paused: bool, reason: str) -> Departure:
        """Offer an agent that stands still. Raises HopRefused or Denied; then it has not left."""
        member = self._peers.node(target)
        if member is None:
            raise HopRefused(f"{target!r} is no node of this cluster any more")
        began = trio.current_time()
        self._mark(agent, Stage.FROZEN)
        try:
            offer = self._offer(agent, member, paused=paused, reason=reason)
        except ProtocolError as error:
            raise HopRefused(f"node {target}: {error}") from error
        target_key = self._peers.origin(member.key).bytes
        number = int.from_bytes(offer.attempt, "big")
        source, actions = Source.begin(
            offer.agent, agent.record.epoch, target_key, number, forgets=not self._keeps
        )
        agent.become(State.WAITING, self._clock.now_ms(), f"travelling to {target}")
        departure = Departure(agent, target, offer, source, began)
        self._begin(departure, actions)
        return departure

    async def outcome(self, departure: Departure) -> None:
        """Return when an agent has gone. Raises HopRefused when it is here again."""
        await departure.over.wait()
        if departure.refusal is not None:
            target = departure.target
            refusal = departure.refusal
            if departure.forced is not None:  # whatever code the other node has chosen
                why = f"taken back from node {target} by force; it may run there, too ({refusal.code})"
            else:
                why = _refused(target, refusal)
            raise HopRefused(why, refusal=refusal.code)

    def _offer(self, agent: Agent, member: Member, *, paused: bool, reason: str) -> Offer:
        """Return the offer of an agent as it stands. Raises Denied, or LocalFault when it is too large to travel."""
        record = agent.record
        self._agents.capture(agent)
        self._mark(agent, Stage.CAPTURED)
        packed = packed_of(record, paused=paused, reason=reason)
        self._mark(agent, Stage.PACKED)
        tokens = self._authority.hand_on(
            agent, member.key, member.name, state=packed.digest, epoch=record.epoch + 1
        )
        self._mark(agent, Stage.SIGNED)
        attempt = handoff.new_attempt(
            self._clock.now_ms(), self._clock.random_bytes(handoff.CHANCE_BYTES)
        )
        return offer_of(record, packed, attempt, tokens)

    def _mark(self, agent: Agent, stage: Stage) -> None:
        self._journeys.mark(agent.record.id, agent.record.epoch + 1, stage)

    def _begin(self, departure: Departure, actions: list[handoff.Action]) -> None:
        self._under_way[departure.agent.record.id] = departure
        departure.agent.travelling_to = departure.target
        self._carry_out(departure, actions)

    def _tell(self, departure: Departure, event: handoff.Event) -> None:
        """Do the step that an event asks for, after the one that is being done."""
        departure.events.append(event)
        if not departure.stepping:
            self._carry_out(departure, [])

    def _carry_out(self, departure: Departure, actions: list[handoff.Action]) -> None:
        """Begin actions, then do the steps that have been asked for meanwhile; none of it waits."""
        departure.stepping = True
        while True:
            for action in actions:
                self._begin_action(departure, action)
            if departure.over.is_set() or not departure.events:
                break
            departure.source, actions = departure.source.step(departure.events.popleft())
        departure.stepping = False

    def _begin_action(self, departure: Departure, action: handoff.Action) -> None:
        match action:
            case handoff.Persist(record, later):
                self._persist(departure, record, later=later)
            case handoff.Send(kind=kind):
                self._send(
                    departure,
                    _offer(departure.offer, action) if kind is Offer else action.message(),
                )
            case handoff.Resume():
                self._end(departure, action)
            case handoff.Drop():
                self._end(departure, None)
            case _:
                raise AssertionError(action)

    def _end(self, departure: Departure, refusal: handoff.Resume | None) -> None:
        agent = departure.agent
        if self._under_way.get(agent.record.id) is departure:
            del self._under_way[agent.record.id]
        if refusal is not None:
            departure.refusal = refusal
            agent.travelling_to = None
            agent.become(State.READY, self._clock.now_ms())
            self._lives(agent)
            if agent.machine is None:  # after a restart nobody waits for the answer: it asks again
                luggage, _ = opened(departure.offer)
                assert self._nursery is not None, "`start` gives the nursery"
                stay = partial(self.stay, paused=luggage.paused, reason=luggage.reason)
                self._nursery.start_soon(stay, agent)
        departure.over.set()

    async def _remind(self) -> None:
        """Ask again those who have not answered for a while."""
        while True:
            await trio.sleep(HAND_OFF_RETRY_S)
            for departure in tuple(self._under_way.values()):
                waited_s = trio.current_time() - departure.began
                if waited_s < HAND_OFF_RETRY_S or departure.unsent:
                    continue
                late = waited_s >= HAND_OFF_CANCEL_S
                self._tell(departure, handoff.Withdraw() if late else handoff.Retry())

    # -- the disk and the connection --

    def _persist(self, departure: Departure, record: handoff.Record, *, later: bool) -> None:
        """Have a record made durable together with what it says about the agent."""
        hop: Hop | None = None
        noted: list[Decision] = []
        with Behalf("", noted):
            if isinstance(record, handoff.Gone):
                hop = self._hop(departure)
                self._mark_gone(departure)
            elif isinstance(record, handoff.Aborted):
                self._take_back(departure, record)
            elif isinstance(record, handoff.Reclaimed):
                self._take_by_force(departure, record)

        def stage(batch: Batch) -> None:
            self._agents.release(noted)
            batch.put(RECORD_TABLE, handoff.slot(record), handoff.encode(record))
            if isinstance(record, handoff.Given):
                batch.put(LEAVING_TABLE, record.agent, encode(departure.offer))
            else:
                _end(record, hop, batch)

        def done(error: BaseException | None) -> None:
            if error is not None:
                raise error  # the node cannot keep what it promised, and stops
            if isinstance(record, handoff.Given):
                self._journeys.mark(record.agent, record.epoch, Stage.GIVEN)
            self._tell(departure, handoff.Persisted(record))

        given = isinstance(record, handoff.Given)
        stays = isinstance(record, handoff.Aborted | handoff.Reclaimed)
        self._agents.submit_frozen(
            departure.agent,
            stage,
            done,
            later=later,
            unseen=given,
            bare=given,
            written_as=_as_it_left(departure.offer) if stays else None,
        )

    def _take_back(self, departure: Departure, record: handoff.Aborted) -> None:
        """Give the agent what it was to take along, and note why it has not gone: a receipt may turn up that says it has."""
        agent = departure.agent
        self._authority.take_back(agent, departure.offer.tokens)
        why = _refused(departure.target, record)
        self._authority.refuse(agent.text_id, "migrate", departure.target, why)

    def _take_by_force(self, departure: Departure, record: handoff.Reclaimed) -> None:
        """Give the agent what it needs to go on, and note that there may be two of it; what comes of it now is too late."""
        agent = departure.agent
        agent.record.epoch = handoff.reclaimed_epoch(record)
        forced = departure.forced
        assert forced is not None, "a person asks for it"
        if forced.tokens:  # what its own are worth is where they went
            agent.tokens = list(forced.tokens)
            agent.record.tokens = list(forced.token_bytes)
            self._authority.hold_memory(agent)
        else:
            self._authority.take_back(agent, departure.offer.tokens)
        reason = f"possible duplicate: taken back from {departure.target} by force, by {forced.who}"
        self._authority.accept(agent.text_id, "reclaim", departure.target, reason)
        _log.warning("taken back by force", agent=agent.text_id, target=departure.target)

    def _mark_gone(self, departure: Departure) -> None:
        agent = departure.agent
        agent.travelling_to = None
        if agent.record.state is not State.MOVED:
            agent.become(State.MOVED, self._clock.now_ms(), f"to {departure.target}")
            agent.record.moved_to = departure.target
            agent.record.expires_s = self._authority.expiry_s(departure.offer.tokens)
            agent.record.tokens, agent.tokens = [], []
            agent.notify_state()

    def _hop(self, departure: Departure) -> Hop:
        """Return what is noted of a journey that has succeeded, by what is heard of it first."""
        if departure.hop is not None:
            return departure.hop
        offer = departure.offer
        peer = PublicKey(departure.source.given.target)
        departure.hop = Hop(
            epoch=offer.epoch,
            source=self._node,
            target=departure.target,
            image_bytes=len(offer.body),
            token_bytes=sum(map(len, offer.tokens)),
            code_bytes=sum(self._code_sent.pop((peer, program), 0) for program in offer.programs),
            elapsed_us=round((trio.current_time() - departure.began) * 1e6),
        )
        return departure.hop

    def _send(self, departure: Departure, message: HandOff) -> None:
        """Leave a message with the connection; where there is none, or no room, with a task that waits for it.

        It is written at once; in a crowd, what leaves in one turn of the event loop leaves together.
        """
        channel = self._peers.open_channel(departure.target)
        if channel is not None and channel.has_room and not departure.unsent:
            alone = len(self._under_way) <= ALONE_MAX
            try:
                (channel.push if alone else channel.send_nowait)(message)
            except ProtocolError:
                return  # it ends just now; the target is asked again
            if alone and (
                isinstance(message, Go) or (isinstance(message, Offer) and message.given)
            ):
                self._awake.stay(channel)
        else:
            departure.unsent.append(message)
            if len(departure.unsent) == 1:
                assert self._nursery is not None, "`start` gives the nursery"
                self._nursery.start_soon(self._send_later, departure)
        if isinstance(message, Offer):
            departure.offered = trio.current_time()
            self._journeys.mark(message.agent, message.epoch, Stage.OFFERED)

    async def _send_later(self, departure: Departure) -> None:
        """Send what is unsent, in its order, or nothing of it."""
        try:
            channel = await self._peers.channel(departure.target)
            while departure.unsent:
                await channel.send(departure.unsent[0])
                departure.unsent.popleft()
        except ProtocolError as error:
            departure.unsent.clear()
            agent = departure.agent
            if self._under_way.get(agent.record.id) is not departure:
                return  # it is here again, and waits for something else
            agent.record.reason = f"travelling to {departure.target}: {error}"
            _log.info(
                "a hand-off waits", agent=agent.text_id, target=departure.target, why=str(error)
            )


def _offer(offer: Offer, action: handoff.Send) -> Offer:
    """Return the offer that is to be sent, which may say Go."""
    return offer if offer.given == action.given else replace(offer, given=action.given)


def _refused(target: str, said: handoff.Resume | handoff.Aborted) -> str:
    return f"node {target} refused the agent: {said.reason} ({said.code})"


def _as_it_left(offer: Offer) -> Written:
    """Return how an agent is written that has not gone: as one that is paused, if it was, and a restart leaves it so."""
    luggage, _ = opened(offer)
    if not luggage.paused:
        return _same
    return lambda record: replace(
        record,
        state=State.PAUSED,
        reason=luggage.reason,
        denied_right=luggage.denied_right,
        shortage=luggage.shortage,
    )


def _same(record: AgentRecord) -> AgentRecord:
    return record


def _nothing(batch: Batch) -> None:
    pass


def _end(journey: handoff.Record, hop: Hop | None, batch: Batch) -> None:
    """Keep no offer any more; of an agent that has gone, note how."""
    batch.delete(LEAVING_TABLE, journey.agent)
    if hop is not None:
        key = journey.agent + journey.epoch.to_bytes(8, "big")
        batch.put(HOP_TABLE, key, msgspec.msgpack.encode(hop))
