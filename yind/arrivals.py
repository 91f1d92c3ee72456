"""Agents that arrive: offered, checked, taken.

Is:     what carries out `protocol.handoff.Target`: everything an offer carries is checked before it is taken.
Is not: the rules of the hand-off.
Fits:   `yind.migrate` brings the messages of other nodes; an agent that was taken goes to the scheduler.

A step of the state machine is done at once. So is the check of an agent that is small and whose programs are here; for
others it runs in a task. The end of a check and of a wait for the disk are further steps, so messages that come
meanwhile are never lost and never wait for each other.

What is found good is held in memory. When it is taken it runs at once, and its first commit makes it this node's; of one
that has none for a while what arrived is written. Then its source is told.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain

import structlog
import trio

from capabilities.caveats import Verb
from capabilities.errors import CapabilityError
from capabilities.handles import Handle
from capabilities.journey import Receipt, given_at
from capabilities.keys import PublicKey
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain
from datomstore.batch import Batch
from datomstore.value import Map
from protocol import handoff
from protocol.errors import ProtocolError, Unreachable
from protocol.handoff import Target
from protocol.messages import HandOff, Offer
from protocol.transport import Channel
from yang.errors import YangError
from yang.program import Program
from yind.admission import Admission, Bearer, Policies
from yind.agent import Agent, AgentRecord, Arrival, State, encode_record
from yind.agents import Agents
from yind.audit import Behalf, Decision
from yind.authority import Authority
from yind.cesk import Machine, Status
from yind.cesk.errors import MachineError
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.config import AgentLimits
from yind.departures import RECORD_TABLE, Departures
from yind.errors import AgentState, HopRefused, JourneyForked, YindError
from yind.guests import Guest, Guests
from yind.journeys import Journeys, Stage
from yind.limits import (
    AGENT_COUNT_MAX,
    ARRIVALS_EACH_MAX,
    ARRIVALS_MAX,
    COMMIT_LATER_S,
    FETCH_S,
    FORGET_AFTER_S,
    IMAGE_AT_ONCE_MAX,
    PASSED_MAX,
    TARDY_S,
    TOKENS_PER_AGENT_MAX,
)
from yind.luggage import check_origin, descent, opened, record_of
from yind.refusals import FLOOR_TABLE, Refusals, Room

FORGOTTEN_TABLE = (
    "forgotten"  # "" -> up to which attempt this node may have known more than it does
)

_log = structlog.get_logger()


_Refusal = YindError | CapabilityError | ProtocolError | YangError | MachineError
_REFUSALS = (YindError, CapabilityError, ProtocolError, YangError, MachineError)


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
        channel_to: Callable[[bytes], Channel | None],
        admission: Admission,
        clock: Clock,
        limits: AgentLimits,
        journeys: Journeys,
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._code = code
        self._departures = departures
        self._channel_to = channel_to
        self._admission = admission
        self._clock = clock
        self._limits = limits
        self._journeys = journeys
        self._targets: dict[bytes, Target] = {}
        self._passed: dict[tuple[bytes, bytes, int], None] = {}  # peer, agent, epoch; oldest first
        self._ahead: set[bytes] = set()  # peers that are not heard, as far as that is noted
        self._guests = Guests()
        self._refusals = Refusals()
        self.forgotten = handoff.NOTHING_FORGOTTEN
        self._keeps = agents.streams.storage.waits  # else nothing outlives a crash
        self._events: deque[tuple[Channel | None, bytes, handoff.Event]] = deque()
        self._stepping = False
        self._checks: Counter[PublicKey] = Counter()  # in tasks, by who offers
        self._tardy: dict[tuple[PublicKey, bytes], float] = {}  # who, agent -> until when
        self._fresh: list[Agent] = []  # that have arrived just now
        self._arrived = trio.lowlevel.ParkingLot()  # of who waits for such
        self._nursery: trio.Nursery | None = None
        self._ready: Callable[[Agent], None] = lambda agent: None

    def start(self, nursery: trio.Nursery, ready: Callable[[Agent], None]) -> None:
        """Hold tasks in this nursery from now on; `ready` queues an agent that has been taken."""
        self._nursery = nursery
        self._ready = ready
        nursery.start_soon(self._settle_in)

    def recover(self, batch: Batch, records: dict[bytes, list[handoff.Record]]) -> None:
        """Read what an earlier run of this node knew, and up to where it knew more."""
        forgotten = batch.get(FORGOTTEN_TABLE, b"")
        if forgotten is not None:
            self.forgotten = int.from_bytes(forgotten, "big")
        for agent_id, kept in records.items():
            self._targets[agent_id] = Target.restart(
                kept, self._epoch(agent_id), forgotten=self.forgotten
            )
        self._refusals.load(batch, chain.from_iterable(records.values()))

    def _epoch(self, agent_id: bytes) -> int:
        agent = self._agents.get(agent_id)
        return -1 if agent is None else agent.record.epoch

    def message(self, channel: Channel, message: HandOff, peer: bytes) -> None:
        """Take a message of a source, the node whose key has this origin."""
        if _attempt_ms(message) > self._clock.now_ms() + 1000 * FORGET_AFTER_S:
            self._note_ahead(channel)
            return
        floor = self._refusals.floors.get(peer, handoff.NOTHING_FORGOTTEN)
        event = handoff.Received(message, peer, floor)
        if isinstance(message, Offer):
            self._journeys.mark(message.agent, message.epoch, Stage.OFFER)
        self._give_up_outdated(message.agent)
        self._tell(channel, message.agent, event)

    def _give_up_outdated(self, agent_id: bytes) -> None:
        """Hold nothing that other policies have let in than those in force: it is offered to these again."""
        guest = self._guests.get(agent_id)
        outdated = guest is not None and guest.policies is not self._admission.policies
        if outdated and not self.expects(agent_id):
            self._tell(None, agent_id, handoff.Interrupted())

    def _tell(self, channel: Channel | None, agent_id: bytes, event: handoff.Event) -> None:
        """Do the step that an event asks for, after those that are being done; `channel` leads to who waits for it."""
        self._events.append((channel, agent_id, event))
        if self._stepping:
            return
        self._stepping = True
        while self._events:
            self._step(*self._events.popleft())
        self._stepping = False

    def _step(self, channel: Channel | None, agent_id: bytes, event: handoff.Event) -> None:
        """Do one step and begin what it asks for; none of it waits."""
        target = self._target(agent_id)
        following, actions = target.step(event)
        if following != target:
            self._keep(following)
        elif (
            isinstance(event, handoff.Received)
            and isinstance(event.message, Offer)
            and not actions
            and not target.has_taken(event.message, event.peer)
        ):
            assert channel is not None, "a message came from somewhere"
            self._note_passed(channel, event.message, target.epoch)
        for action in actions:
            self._begin(channel, action)

    def _begin(self, channel: Channel | None, action: handoff.Action) -> None:
        match action:
            case handoff.Persist(handoff.Owned() as owned):
                self._own(channel, owned)
            case handoff.Persist(record):
                self._refuse_durably(channel, record)
            case handoff.Release(held):
                self._dismiss(held)
            case handoff.Verify(offer):
                assert channel is not None, "an offer came from somewhere"
                self._verify(channel, offer)
            case handoff.Send(to=to):
                ended = channel is None or channel.ended
                self._answer(self._channel_to(to) if ended else channel, action.message())
            case handoff.Start(agent_id):
                self._start(agent_id)
            case _:
                raise AssertionError(action)

    def _target(self, agent_id: bytes) -> Target:
        epoch = self._epoch(agent_id)
        target = self._targets.get(agent_id)
        if target is None:
            return Target.fresh(agent_id, epoch, self.forgotten)
        return target.living(epoch)

    def _keep(self, target: Target) -> None:
        """Keep what is known of an agent, unless that is nothing."""
        if target.is_fresh and target.epoch == self._epoch(target.agent):
            self._targets.pop(target.agent, None)
        else:
            self._targets[target.agent] = target

    def expects(self, agent_id: bytes) -> bool:
        """Return whether an agent is being checked or refused: it may be here soon."""
        return self._target(agent_id).expecting

    def lives(self, agent: Agent) -> None:
        """Note that an agent that was on its way out runs here again: what else there is of it does not."""
        if agent.record.id in self._targets:
            self._tell(None, agent.record.id, handoff.Lives(agent.record.epoch))

    def knows_of(self, agent_id: bytes) -> bool:
        """Return whether an agent is held, or may be soon."""
        target = self._target(agent_id)
        return target.expecting or target.held is not None

    # -- what is forgotten --

    def known(self) -> list[bytes]:
        """Return the agents of which something is known here."""
        return list(self._targets)

    def is_only_refused(self, agent_id: bytes) -> bool:
        """Return whether of an agent nothing is known here but that it was refused."""
        return not self.knows_of(agent_id) and self._agents.get(agent_id) is None

    def forget(self, agents: list[bytes], latest: int) -> int:
        """Know nothing of agents any more, but that it was about attempts up to one; return up to which for all."""
        self.forgotten = max(self.forgotten, latest)
        for agent_id in agents:
            self._targets.pop(agent_id, None)
        self._refusals.forget(agents)
        return self.forgotten

    def give_up_holds(self, before_ms: int) -> None:
        """Make room: what was offered before a time and never given will be offered again."""
        for guest in self._guests:
            if guest.record.since_ms < before_ms and not self.expects(guest.record.id):
                self._tell(None, guest.record.id, handoff.Interrupted())

    def _note_passed(self, channel: Channel, offer: Offer, epoch: int) -> None:
        """Write down, once, that somebody offers an epoch that has passed: an old image, or a copy."""
        what = (channel.peer.bytes, offer.agent, offer.epoch)
        if offer.epoch > epoch or what in self._passed:
            return
        while len(self._passed) >= PASSED_MAX:
            del self._passed[next(iter(self._passed))]
        self._passed[what] = None
        reason = f"epoch {offer.epoch} has passed: this node has had epoch {epoch}"
        who = f"agent {offer.agent.hex()[:12]} from {channel.peer.text}"
        self._authority.refuse(offer.agent.hex()[:12], "migrate", self._node, f"{reason}; {who}")
        self._agents.submit(lambda batch: None, _raise)

    def _note_ahead(self, channel: Channel) -> None:
        """Write down, once, whose attempts are of a time to come: what is known of such could never be forgotten."""
        if channel.peer.bytes not in self._ahead:
            self._ahead.add(channel.peer.bytes)
            reason = f"not heard: by its attempts its clock is over {FORGET_AFTER_S} s ahead"
            self._authority.refuse(channel.peer.text, "migrate", self._node, reason)
            self._agents.submit(lambda batch: None, _raise)

    def _answer(self, channel: Channel | None, message: HandOff) -> None:
        if channel is None:
            return
        with suppress(Unreachable):  # the source is gone; it asks again
            channel.send_nowait(message)

    # -- checking --

    def _verify(self, channel: Channel, offer: Offer) -> None:
        """Check everything an offer carries, before anything of it is kept."""
        source = self._authority.origin_of(channel.peer).bytes
        if not self._guests.has_room(source, len(offer.body)):
            self._tell(channel, offer.agent, handoff.Interrupted())  # it will be wanted again
            return
        small = len(offer.body) <= IMAGE_AT_ONCE_MAX
        if not small or not all(map(self._code.is_loaded, offer.programs)):
            self._begin_check(channel, offer)
            return
        noted: list[Decision] = []
        try:
            with Behalf("", noted):
                invited = self._invited(channel, offer)
                machine = self._machine(invited)
                known = self._admission.knows(machine, _bearer(channel, invited))
        except _REFUSALS as error:
            self._refuse(channel, offer, error, noted)
            return
        except Exception as error:
            self._fail(channel, offer, error, noted)
            return
        if known:
            policies = self._admission.policies
            guest = self._guest(channel, offer, invited, machine, noted, policies)
            self._welcome(channel, offer, guest)
        else:
            self._begin_check(channel, offer)

    def _begin_check(self, channel: Channel, offer: Offer) -> None:
        source = channel.peer
        crowded = self._checks.total() >= ARRIVALS_MAX or self._checks[source] >= ARRIVALS_EACH_MAX
        if crowded or self._is_tardy(source, offer.agent):
            # The source says Go again, and then it is wanted.
            self._tell(channel, offer.agent, handoff.Interrupted())
            return
        assert self._nursery is not None, "`start` gives the nursery"
        self._checks[source] += 1
        self._nursery.start_soon(self._check, channel, offer)

    def _is_tardy(self, source: PublicKey, agent: bytes) -> bool:
        """Return whether a node has let this one wait for a program of an agent just now.

        Nobody else's offer of the agent is looked at meanwhile, so it may not do so again and again.
        """
        now = trio.current_time()
        while self._tardy and next(iter(self._tardy.values())) <= now:
            del self._tardy[next(iter(self._tardy))]
        return (source, agent) in self._tardy

    async def _check(self, channel: Channel, offer: Offer) -> None:
        """Check an offer that takes its time: its programs have to be fetched, it is large, or policies have to be asked."""
        noted: list[Decision] = []
        policies = self._admission.policies
        try:
            with Behalf("", noted):
                invited = self._invited(channel, offer)  # before a program is fetched for nothing
                await self._fetch_code(channel, offer)
                machine = await trio.to_thread.run_sync(self._machine, invited)
                await self._admission.arriving(machine, _bearer(channel, invited))
            guest = self._guest(channel, offer, invited, machine, noted, policies)
        except (Unreachable, trio.TooSlowError) as error:
            if isinstance(error, trio.TooSlowError):
                self._tardy.pop((channel.peer, offer.agent), None)
                self._tardy[channel.peer, offer.agent] = trio.current_time() + TARDY_S
            self._agents.release(noted)
            self._tell(channel, offer.agent, handoff.Interrupted())
        except _REFUSALS as error:
            self._refuse(channel, offer, error, noted)
        except Exception as error:
            self._fail(channel, offer, error, noted)
        else:
            if self._guests.has_room(guest.attempt.source, guest.size):
                self._welcome(channel, offer, guest)
            else:  # others came meanwhile
                self._agents.release(noted)
                self._tell(channel, offer.agent, handoff.Interrupted())
        finally:
            self._checks[channel.peer] -= 1
            if not self._checks[channel.peer]:
                del self._checks[channel.peer]

    def _guest(
        self,
        channel: Channel,
        offer: Offer,
        invited: tuple[AgentRecord, list[Handle]],
        machine: Machine,
        noted: list[Decision],
        policies: Policies,
    ) -> Guest:
        record, tokens = invited
        record.fuel_used = machine.fuel_used
        source = self._authority.origin_of(channel.peer).bytes
        number = int.from_bytes(offer.attempt, "big")
        attempt = handoff.Attempt(offer.agent, offer.epoch, source, number)
        return Guest(attempt, len(offer.body), record, machine, tokens, noted, policies)

    def _welcome(self, channel: Channel, offer: Offer, guest: Guest) -> None:
        if guest.policies is not self._admission.policies:  # it is to ask those in force now
            self._agents.release(guest.noted)
            self._tell(channel, offer.agent, handoff.Interrupted())
            return
        self._journeys.mark(offer.agent, offer.epoch, Stage.RESTORED)
        if (before := self._guests.put(guest)) is not None:
            self._agents.release(before.noted)
        self._tell(channel, offer.agent, handoff.Verified(True))

    def _refuse(
        self, channel: Channel, offer: Offer, error: _Refusal, noted: list[Decision]
    ) -> None:
        self._agents.release(noted)
        who, why = offer.agent.hex()[:12], str(error)
        if isinstance(error, JourneyForked):
            self._authority.forked(error.receipt, who, self._node, why)
        else:
            self._authority.refuse(who, "migrate", self._node, why)
        self._tell(channel, offer.agent, handoff.Verified(False, error.code, why))

    def _fail(
        self, channel: Channel, offer: Offer, error: Exception, noted: list[Decision]
    ) -> None:
        """End an offer at which this node itself failed: what somebody sends does not end the node."""
        _log.error("an offer was not checked", agent=offer.agent.hex()[:12], exc_info=error)
        self._agents.release(noted)
        self._authority.refuse(offer.agent.hex()[:12], "migrate", self._node, "the node failed")
        self._tell(
            channel, offer.agent, handoff.Verified(False, "node/internal", "the node failed")
        )

    async def _fetch_code(self, channel: Channel, offer: Offer) -> None:
        """Ask the source for the programs that this node lacks. Raises trio.TooSlowError."""
        until = trio.current_time() + FETCH_S
        for program_hash in offer.programs:
            if self._code.knows(program_hash):
                continue
            with trio.fail_at(until):
                answer = await channel.request("code.get", Map({"hash": program_hash}))
            data = answer.get("program")
            if not isinstance(data, bytes):
                raise HopRefused("the source sent no program")
            program = Program.from_bytes(data)
            if program.hash != program_hash:
                raise HopRefused("the source sent another program")
            await self._code.admit(program, self._agents.write)

    def _invited(self, channel: Channel, offer: Offer) -> tuple[AgentRecord, list[Handle]]:
        """Return record and tokens of an offer that is welcome here, its image not looked into."""
        self._check_room(offer)
        luggage, image = opened(offer)
        ancestors = descent(luggage, offer.agent)
        check_origin(offer, luggage)
        tokens = [
            self._authority.handle_own(token, offer.agent, ancestors) for token in offer.tokens
        ]
        _check_receipts(offer, tokens)
        before = self._agents.get(offer.agent)
        for data, handle in zip(offer.tokens, tokens, strict=True):
            self._check_given(channel, offer, handle.token)
            if before is not None:
                self._check_way(before, handle.token, data)
        self._authority.allow(tokens, Verb.MIGRATE, self._node, who=offer.agent.hex()[:12])
        self._journeys.mark(offer.agent, offer.epoch, Stage.VERIFIED)
        memory_max = self._authority.memory_for(tokens, self._limits.memory_max)
        return record_of(offer, luggage, image, memory_max, self._clock.now_ms()), tokens

    def _check_given(self, channel: Channel, offer: Offer, token: VerifiedChain) -> None:
        """Return if whoever offers the agent signed that it gives it at this epoch. Raises TokenRefused or HopRefused."""
        self._authority.check_legs(token, offer.agent, offer.epoch)
        origin = self._authority.origin_of
        if len(token.blocks) < 2 or origin(token.blocks[-2].key) != origin(channel.peer):
            raise HopRefused(
                "a token was handed on by another node than the one that offers the agent"
            )

    def _check_way(self, agent: Agent, token: VerifiedChain, data: bytes) -> None:
        """Return if an agent that was here before went on as this node gave it away. Raises JourneyForked.

        The block with which this node did so covers all before it, so who shows it tells no other way up to there.
        """
        index = given_at(token, agent.record.id, agent.record.epoch + 1)
        if index is not None:
            giver = self._authority.origin_of(token.blocks[index - 1].key)
            if giver != self._authority.origin:
                raise self._forked(agent, Token.from_bytes(data), index)

    def _forked(self, agent: Agent, token: Token, index: int) -> JourneyForked:
        """Return the refusal of an agent that did not go on from here, with the receipt that proves it."""
        offered = [Receipt.of(token, token.blocks[at - 1].key, at) for at in range(1, index + 1)]
        receipt = self._authority.contradicted(agent.text_id, offered) or offered[-1]
        given = f"{receipt.giver.text} gave epoch {receipt.leg.epoch}"
        if receipt is offered[-1]:
            why = f"{given}, which was this node's to give"
        else:
            why = f"{given} to this node, and to {receipt.leg.taker.text}"
        return JourneyForked(f"there are two of agent {agent.text_id}: {why}", receipt)

    def _check_room(self, offer: Offer) -> None:
        """Return if the agent can be here, and there is room for it. Raises AgentState or HopRefused."""
        agent = self._agents.get(offer.agent)
        if agent is not None:
            self._check_away(agent, offer.epoch)
        if agent is None and len(self._agents) >= AGENT_COUNT_MAX:
            raise HopRefused(f"node {self._node} has {AGENT_COUNT_MAX} agents already")
        if len(offer.tokens) > TOKENS_PER_AGENT_MAX:
            raise HopRefused(f"{len(offer.tokens)} tokens; at most {TOKENS_PER_AGENT_MAX}")

    def _check_away(self, agent: Agent, epoch: int) -> None:
        """Return if an agent that this node knows can come back at an epoch: it was given away, and has gone further since.

        The epoch that this node gave away is the other node's: whoever else offers it has an old image.
        """
        if self._departures.keeps(agent.record.id):
            raise AgentState(f"this node has not given agent {agent.text_id} away yet")
        given = self._departures.holds(agent.record.id) or agent.record.state is State.MOVED
        given = given or agent.aside
        if agent.ended and not given:
            raise AgentState(f"agent {agent.text_id} has ended here: {agent.record.state}")
        if not given:
            raise AgentState(f"agent {agent.text_id} runs here already")
        if epoch <= agent.record.epoch + 1:
            raise AgentState(f"this node gave epoch {epoch} of agent {agent.text_id} away itself")

    def _machine(self, invited: tuple[AgentRecord, list[Handle]]) -> Machine:
        record, _ = invited
        return self._code.restore(
            record.image, memory_max=record.memory_max, fuel_max=record.fuel_max
        )

    # -- the disk --

    def _own(self, channel: Channel | None, owned: handoff.Owned) -> None:
        """Make an agent this node's, and have that last with its first commit."""
        end_departure = self._departures.settle(owned.agent)  # of an agent that comes back
        agent, noted = self._taken(owned)
        with Behalf("", noted):
            self._note_arrival(agent)

        def stage(batch: Batch) -> None:
            batch.put(RECORD_TABLE, handoff.slot(owned), handoff.encode(owned))
            end_departure(batch)

        def lasts() -> None:
            self._journeys.mark(owned.agent, owned.epoch, Stage.OWNED)
            self._tell(channel, owned.agent, handoff.Persisted(owned))

        record, giver = agent.record, agent.tokens[0].token.blocks[-2].key
        if self._keeps:
            agent.arrival = Arrival(encode_record(record), record.state, stage, lasts, giver, noted)
            agent.lasting = State.READY  # of what it came as nothing lasts yet
            self._fresh.append(agent)
            self._arrived.unpark()
        else:  # nothing outlives a crash, so there is nothing to wait for
            row = encode_record(record) if record.state is not State.READY else b""
            agent.arrival = Arrival(row, record.state, stage, _nothing, giver, noted)
            agent.lasting = record.state
            lasts()

    async def _settle_in(self) -> None:
        """Have it last that agents have arrived which have not seen to it themselves after a while, until cancelled."""
        while True:
            if not self._fresh:
                await self._arrived.park()
            arrived, self._fresh = self._fresh, []
            await trio.sleep(COMMIT_LATER_S)
            for agent in arrived:
                if agent.arrival is not None:
                    self._agents.submit_arrival(agent, _raise)
                    self._fresh.append(agent)  # until it lasts, whatever becomes of this

    def _refuse_durably(self, channel: Channel | None, refused: handoff.Record) -> None:
        assert isinstance(refused, handoff.Refused), refused
        self._dismiss(refused)
        room = self._refusals.add(refused)

        def stage(batch: Batch) -> None:
            batch.put(RECORD_TABLE, handoff.slot(refused), handoff.encode(refused))
            if room is not None:
                for one in room.dropped:
                    batch.delete(RECORD_TABLE, one.slot)
                batch.put(FLOOR_TABLE, refused.source, handoff.attempt_bytes(room.floor))

        def done(error: BaseException | None) -> None:
            _raise(error)
            if room is not None:
                self._make_room(refused.source, room)
            self._tell(channel, refused.agent, handoff.Persisted(refused))

        self._agents.submit(stage, done)

    def _make_room(self, source: bytes, room: Room) -> None:
        """Know no more of refusals that have been dropped than their floor says, which lasts now."""
        self._refusals.floors[source] = room.floor
        for one in room.dropped:
            self._keep(self._target(one.agent).without_refusal(source, one.latest))

    def _dismiss(self, attempt: handoff.Attempt | handoff.Refused) -> None:
        guest = self._guests.get(attempt.agent)
        if guest is not None and guest.attempt == _attempt_of(attempt):
            self._guests.pop(attempt.agent)
            self._agents.release(guest.noted)

    def _taken(self, owned: handoff.Owned) -> tuple[Agent, list[Decision]]:
        """Return the agent that is this node's from now on, and what let it in."""
        guest = self._guests.pop(owned.agent)
        assert guest is not None, owned
        assert guest.attempt == _attempt_of(owned), owned
        agent = Agent(guest.record, guest.machine, guest.tokens)
        agent.saved_fuel = guest.record.fuel_used
        self._agents.add(agent)
        self._journeys.mark(owned.agent, owned.epoch, Stage.TAKEN)
        return agent, guest.noted

    def _note_arrival(self, agent: Agent) -> None:
        """Note who gave the agent, and set aside what came with it."""
        try:
            tokens = self._authority.handles_of(agent)
        except CapabilityError as error:  # has expired while it was held; it will pause for that
            self._authority.accept(agent.text_id, "arrive", self._node, f"without tokens: {error}")
            return
        self._authority.arrival(agent.record.tokens[0], tokens[0].token, agent.text_id, self._node)
        self._authority.arrived(agent)

    def _start(self, agent_id: bytes) -> None:
        agent = self._agents.get(agent_id)
        assert agent is not None, agent_id
        if agent.record.state is State.READY:
            self._answer_hop(agent)
            self._ready(agent)
        else:  # it does nothing that it could arrive with
            self._agents.submit_arrival(agent, _raise)

    def _answer_hop(self, agent: Agent) -> None:
        """Tell an agent that wanted to be here that it is, so that it goes on with its first turn."""
        machine = agent.machine
        assert machine is not None, agent.text_id
        if machine.status is Status.EFFECT and machine.asks_for("hop!", self._node):
            machine.resume(self._node)
            self._journeys.mark(agent.record.id, agent.record.epoch, Stage.RESUMED)


def _nothing() -> None:
    pass


def _attempt_of(one: handoff.Attempt | handoff.Owned | handoff.Refused) -> handoff.Attempt:
    return handoff.Attempt(one.agent, one.epoch, one.source, one.attempt)


def _attempt_ms(message: HandOff) -> int:
    return handoff.attempt_ms(int.from_bytes(message.attempt, "big"))


def _check_receipts(offer: Offer, tokens: list[Handle]) -> None:
    """Return if the blocks that brought the tokens here say that just this was given away. Raises HopRefused."""
    for handle in tokens:
        given = handle.token.blocks[-1].caveats
        if (given.agent, given.state, given.epoch) != (offer.agent, offer.digest, offer.epoch):
            raise HopRefused(
                "a token was handed on for another agent, with another state of it, or at another epoch"
            )


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error  # the node cannot write down what it decided, and stops


def _bearer(channel: Channel, invited: tuple[AgentRecord, list[Handle]]) -> Bearer:
    record, tokens = invited
    return Bearer(record.id, record, tokens, channel.peer)
