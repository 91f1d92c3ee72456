"""The agents of a node: look-up by id, durable commits, recovery after a restart.

Is:     the table of live agents over the storage table "agent", and the one way to commit an agent's state.
Is not: who runs them (`yind.scheduler`) or what they ask for (`yind.effects`).
Fits:   `commit` is the commit point of the design: what an agent appended, the decisions about it and its next
        image are one storage transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
import structlog
import trio

from capabilities.errors import Shortage
from datomstore.batch import Batch
from datomstore.storage import StorageError
from datomstore.streams import Streams
from yind.agent import (
    Agent,
    AgentRecord,
    Arrival,
    FaultData,
    State,
    ancestors_of,
    decode_record,
    encode_record,
)
from yind.audit import Audit, Decision, own_decisions
from yind.authority import Authority
from yind.cesk import Machine, Status
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.commits import Done, GroupCommit, Work
from yind.errors import AgentState, AgentUnknown
from yind.estates import Reliance, Return
from yind.limits import LOG_LINES_KEPT

AGENT_TABLE = "agent"
RETURN_TABLE = "returns"  # block -> what is left of its budget, until its node has it

Written = Callable[[AgentRecord], AgentRecord]

_log = structlog.get_logger()


class Outcome(NamedTuple):
    """What an agent ends with."""

    result: str | None = None
    fault: str | None = None
    fault_data: FaultData | None = None

    @staticmethod
    def of(record: AgentRecord) -> Outcome:
        """Return what a record has."""
        return Outcome(record.result, record.fault, record.fault_data)

    def put(self, record: AgentRecord) -> None:
        """Have it in a record."""
        record.result, record.fault, record.fault_data = self


class _Before(NamedTuple):
    """What an agent was before a transaction wrote it."""

    machine: Machine | None
    asked: bool  # whether an effect waited for its answer
    image: bytes
    fuel_used: int
    saved_fuel: int

    @staticmethod
    def of(agent: Agent) -> _Before:
        """Return what an agent is now."""
        machine, record = agent.machine, agent.record
        asked = machine is not None and machine.status is Status.EFFECT
        return _Before(machine, asked, record.image, record.fuel_used, agent.saved_fuel)

    def put_back(self, agent: Agent) -> None:
        """Make the agent that again."""
        record, machine = agent.record, self.machine
        record.image, record.fuel_used = self.image, self.fuel_used
        agent.saved_fuel = self.saved_fuel
        if self.asked and machine is not None and machine.status is not Status.EFFECT:
            machine = None  # it went on from what has not happened; the image has not
        agent.machine = machine


class _Along:
    """What a transaction takes along beside the states of agents: that one has arrived, and what was decided.

    If it fails, that is taken back: what allowed something has allowed nothing, and the arrival is to be staged again.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._allowed: list[Decision] = []
        self.arrived: Arrival | None = None

    def release(self, decisions: list[Decision]) -> None:
        """Take decisions along."""
        self._allowed += (one for one in self._audit.release(decisions) if one.allowed)

    def arrive(self, arrival: Arrival, batch: Batch) -> None:
        """Take an arrival along, with what let it in."""
        arrival.stage(batch)
        arrival.staged = True
        self._audit.release(list(arrival.noted))
        self.arrived = arrival

    def undo(self) -> None:
        """Take it all back."""
        self._audit.take_back(self._allowed)
        if self.arrived is not None:
            self._audit.take_back(self.arrived.noted)
            self.arrived.staged = False


class Agents:
    """All agents this node knows, tombstones of those that moved on included."""

    def __init__(
        self, streams: Streams, authority: Authority, code: CodeLibrary, clock: Clock
    ) -> None:
        self.streams = streams
        self._authority = authority
        self._code = code
        self.clock = clock
        self._by_id: dict[bytes, Agent] = {}
        self._claimed: set[bytes] = set()  # ids of agents that are about to begin
        self.lives: Callable[[Agent], None] = lambda agent: None  # told who runs after all
        self.returns_wait: Callable[[], None] = lambda: None  # for who brings them to their nodes
        self._audit = authority.audit
        self._commits = GroupCommit(
            streams, authority.write_decisions, authority.written, authority.lost
        )

    def __iter__(self) -> Iterator[Agent]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def recover(self) -> None:
        """Read the table after a start."""
        with self.streams.batch() as batch:
            records = [decode_record(value) for _, value in batch.scan(AGENT_TABLE)]
        for record in records:
            self._by_id[record.id] = Agent(record)

    def add(self, agent: Agent) -> None:
        """Make an agent known; one with the same id that has moved away before, or was set aside, is replaced."""
        before = self._by_id.get(agent.record.id)
        assert before is None or before.aside or before.record.state is State.MOVED, before
        self._by_id[agent.record.id] = agent
        if before is not None and not before.ended:
            _log.warning("who was set aside has made room", agent=agent.text_id)
            before.become(State.MOVED, self.clock.now_ms(), "the agent itself has come back")
            before.notify_state()

    @contextmanager
    def claimed(self, agent_id: bytes) -> Iterator[None]:
        """Let nobody else begin an agent of an id in a block. Raises AgentState if there is one, or somebody does so already."""
        if agent_id in self._by_id or agent_id in self._claimed:
            raise AgentState(f"agent {agent_id.hex()[:12]} exists already")
        self._claimed.add(agent_id)
        try:
            yield
        finally:
            self._claimed.discard(agent_id)

    @contextmanager
    def beginning(self, agent: Agent) -> Iterator[None]:
        """Make an agent known that begins here, and becomes durable in a block; if that fails, it has never been.

        One that was given a token that is revoked by then pauses before its first turn, as who is let go on does.

        Raises AgentState if there is one of its id.
        """
        if agent.record.id in self._by_id:
            raise AgentState(f"agent {agent.text_id} exists already")
        self.add(agent)
        if agent.record.state is not State.PAUSED:
            self._authority.stop_if_revoked(agent)
        try:
            yield
        except BaseException:
            self.forget(agent.record.id)
            agent.become(State.KILLED, self.clock.now_ms(), "the storage failed where it began")
            agent.lasting = State.KILLED  # nothing of it is there after a restart
            agent.notify_state()
            raise

    def forget(self, agent_id: bytes) -> None:
        """Know nothing of an agent any more, if it is known."""
        self._by_id.pop(agent_id, None)

    def get(self, agent_id: bytes) -> Agent | None:
        """Return the agent of a full id, if this node knows it."""
        return self._by_id.get(agent_id)

    def find(self, text: str) -> Agent:
        """Return the agent of an id, a prefix of one, or a name. Raises AgentUnknown."""
        matches = [
            agent
            for agent in self
            if agent.record.name == text or (text and agent.record.id.hex().startswith(text))
        ]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise AgentUnknown(f"no agent {text!r} on this node")
        ids = ", ".join(agent.text_id for agent in matches)
        raise AgentUnknown(f"{text!r} names {len(matches)} agents: {ids}")

    def load(self, agent: Agent) -> None:
        """Restore machine and tokens of an agent whose state is on disk only. May take milliseconds."""
        record = agent.record
        self._authority.handles_of(agent)
        if agent.machine is None:
            agent.machine = self._code.restore(
                record.image, memory_max=record.memory_max, fuel_max=record.fuel_max
            )
            agent.saved_fuel = agent.machine.fuel_used

    def limit_fuel(self, agent: Agent, more: int) -> None:
        """Let an agent that stands still compute so much more, whatever its limit was."""
        self.load(agent)
        self.capture(agent)
        agent.record.fuel_max = agent.record.fuel_used + more
        agent.machine = None  # it has the limit that it was made with
        self.load(agent)

    async def commit(self, agent: Agent, stage: Work | None = None) -> None:
        """Make the agent's state durable, together with what `stage` appends.

        `stage` runs in the storage transaction; first it may append, which may fail, then it may advance the machine.
        What it raises is raised here, and nothing has happened. Returns when the disk has it. Until then the agent's machine
        must not run: who is not part of its turn has it `Scheduler.between_turns`.
        """
        record = agent.record
        asked = own_decisions()
        before: _Before | None = None
        along = _Along(self._audit)
        written: State | None = None

        def work(batch: Batch) -> None:
            nonlocal before, written
            before = _Before.of(agent)  # now: others may have been at work since this was asked for
            if stage is not None:
                encode_record(msgspec.structs.replace(record, image=b""))  # else it is too late
                stage(batch)
            if self._by_id.get(record.id) is agent:  # not of an earlier visit
                written = record.state
                self.put(batch, agent)
                self._arrive(batch, agent, along)
            along.release(agent.decisions)
            along.release(asked)

        def undo() -> None:
            along.undo()
            if before is not None:
                before.put_back(agent)

        await self._commits.commit(work, undo)
        self._saved(agent, written, along.arrived)

    def submit_frozen(
        self,
        agent: Agent,
        stage: Work,
        done: Done,
        *,
        later: bool = False,
        unseen: bool = False,
        bare: bool = False,
        written_as: Written | None = None,
    ) -> None:
        """Make durable the state of an agent that stands still and whose image is in its record; see `GroupCommit.submit`.

        With `bare` the image is left out: what `stage` writes has it. `written_as` gives what is to be found of it after a
        restart, if that is not what it is now. Of one that has gone its tombstone is written also if
        it is back by now: of that nothing is durable before.
        """
        along = _Along(self._audit)
        written: State | None = None

        def work(batch: Batch) -> None:
            nonlocal written
            self._arrive(batch, agent, along)
            stage(batch)
            if self._by_id.get(agent.record.id) is agent or agent.ended:
                written = agent.record.state
                self._put_record(batch, agent, bare=bare, written_as=written_as)
            along.release(agent.decisions)

        def saved(error: BaseException | None) -> None:
            done(error)
            if error is None:
                self._saved(agent, written, along.arrived)

        self._commits.submit(work, saved, undo=along.undo, later=later, unseen=unseen)

    def release(self, decisions: list[Decision]) -> None:
        """Let decisions go with the transaction that is being written."""
        self._audit.release(decisions)

    def submit_arrival(self, agent: Agent, done: Done) -> None:
        """Make durable that an agent has arrived, as it was then, unless a commit of its own has."""
        along = _Along(self._audit)

        def work(batch: Batch) -> None:
            self._put_arrival(batch, agent, along)

        def saved(error: BaseException | None) -> None:
            done(error)
            if error is None and along.arrived is not None:
                self._has_come(agent, along.arrived)

        self._commits.submit(work, saved, undo=along.undo)

    def submit(self, stage: Work, done: Done) -> None:
        """Make something durable that concerns no agent's state; see `GroupCommit.submit`."""
        self._commits.submit(stage, done)

    def is_writing(self) -> bool:
        """Return whether a thread writes what was submitted."""
        return self._commits.is_writing

    async def written(self) -> None:
        """Return when no thread writes what was submitted."""
        await self._commits.written()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what is submitted, until cancelled."""
        await self._commits.run(task_status=task_status)

    def _saved(self, agent: Agent, written: State | None, arrived: Arrival | None) -> None:
        agent.saved_at = trio.current_time()
        if written is not None:
            agent.lasting = written
        agent.notify_state()
        if arrived is not None:
            self._has_arrived(agent, arrived)

    def _has_come(self, agent: Agent, arrived: Arrival) -> None:
        """Note that it lasts that an agent has arrived, as it came; it may have done something since."""
        if agent.record.state is arrived.state:
            agent.lasting = arrived.state
            agent.notify_state()
        self._has_arrived(agent, arrived)

    def _has_arrived(self, agent: Agent, arrived: Arrival) -> None:
        agent.arrival = None
        arrived.lasts()

    async def write(self, stage: Work) -> None:
        """Make something durable that concerns no agent's state."""
        asked = own_decisions()
        along = _Along(self._audit)

        def work(batch: Batch) -> None:
            stage(batch)
            along.release(asked)

        await self._commits.commit(work, along.undo)

    async def write_decisions(self, decisions: list[Decision]) -> None:
        """Make decisions durable before anybody sees what they allowed."""
        if decisions or self._audit.waiting_count:
            along = _Along(self._audit)
            along.release(decisions)
            await self._commits.commit(_nothing, along.undo)

    async def write_spent(self) -> None:
        """Make durable what was spent for no agent's state."""
        await self._commits.commit(_nothing)

    async def write_decisions_of(self, agent: Agent) -> None:
        """Make an agent's decisions durable before anybody sees what they allowed; with them that it has arrived."""
        if not agent.decisions and not self._audit.waiting_count:
            return
        along = _Along(self._audit)

        def work(batch: Batch) -> None:
            self._put_arrival(batch, agent, along)
            along.release(agent.decisions)

        await self._commits.commit(work, along.undo)
        if along.arrived is not None:
            self._has_come(agent, along.arrived)

    async def decided(self) -> None:
        """Return when the audit stream has every decision that was made durable."""
        if not self._audit.complete:
            await self._commits.commit(_nothing)

    def note_turned_away(self, source: str) -> None:
        """Note who came without showing who they are."""
        if self._audit.turned_away(source, "no key of the cluster was shown", self.clock.now_ms()):
            self._commits.submit(_nothing, _untold)

    def put(self, batch: Batch, agent: Agent) -> None:
        """Write the agent's record into a storage transaction, with the image of its machine."""
        if agent.machine is not None:
            self.capture(agent)
        self._put_record(batch, agent)

    def capture(self, agent: Agent) -> None:
        """Take the machine's image into the record, unless the agent has ended."""
        record, machine = agent.record, agent.machine
        assert machine is not None, agent.text_id
        assert not agent.computing, f"the machine of agent {agent.text_id} runs"
        agent.saved_fuel = record.fuel_used = machine.fuel_used
        if not agent.ended:
            record.image = machine.image()

    def _put_record(
        self,
        batch: Batch,
        agent: Agent,
        *,
        bare: bool = False,
        written_as: Written | None = None,
    ) -> None:
        record = agent.record
        if agent.ended:
            agent.machine = None
            record.image = b""
        row = msgspec.structs.replace(record, image=b"") if bare else record
        if written_as is not None:
            row = written_as(row)
        batch.put(AGENT_TABLE, record.id, encode_record(row))
        if self._by_id.get(record.id) is not agent:
            return  # what has been spent since is another visit's
        self._authority.settle(agent)

    def _arrive(self, batch: Batch, agent: Agent, along: _Along) -> None:
        """Make an agent this node's that has come to it, if this transaction is the first; nothing of it lasts before."""
        arrival = agent.arrival  # the event loop forgets it once it lasts
        if arrival is not None and not arrival.staged:
            along.arrive(arrival, batch)
            self._authority.settle_arrival(agent)

    def _put_arrival(self, batch: Batch, agent: Agent, along: _Along) -> None:
        """Make an agent this node's as it came; see `_arrive`."""
        if self._by_id.get(agent.record.id) is not agent:
            return
        self._arrive(batch, agent, along)
        arrived = along.arrived
        if arrived is not None and arrived.row:  # which one that runs has not where nothing is kept
            batch.put(AGENT_TABLE, agent.record.id, arrived.row)

    async def end(
        self, agent: Agent, state: State, reason: str = "", outcome: Outcome | None = None
    ) -> None:
        """Finish an agent: keep its result, drop its machine. Where that cannot be written, it has not ended."""
        record = agent.record
        before = Outcome.of(record)
        try:
            with self._authority.attempt(agent):
                returns = self._authority.finish(agent, self)
                if outcome is not None:
                    outcome.put(record)
                await self._enter(
                    agent, state, reason, lambda batch: self.put_returns(batch, returns, record.id)
                )
        except BaseException:
            before.put(record)
            raise
        if returns:
            self.returns_wait()

    async def _enter(
        self, agent: Agent, state: State, reason: str = "", stage: Work | None = None
    ) -> None:
        """Have an agent enter a state. Where that cannot be written, it is in the one before."""
        record = agent.record
        before = record.state, record.reason, record.since_ms
        agent.become(state, self.clock.now_ms(), reason)
        try:
            await self.commit(agent, stage)
        except BaseException:
            record.state, record.reason, record.since_ms = before
            agent.notify_state()
            raise

    def put_returns(self, batch: Batch, returns: list[Return], payer: bytes) -> None:
        """Keep what is to go back to other nodes, and is given back by a payer in this transaction."""
        for one in self._authority.estates.told(returns, payer):
            batch.put(RETURN_TABLE, one.tip, msgspec.msgpack.encode(one))

    def ended(self, agents: Iterable[bytes]) -> list[Agent]:
        """Return those of some agents that have ended here."""
        found = (self._by_id.get(one) for one in agents)
        return [one for one in found if one and one.ended and one.record.state is not State.MOVED]

    def is_here(self, agent: bytes) -> bool:
        """Return whether an agent is here, has not ended, and is not on its way to another node."""
        found = self._by_id.get(agent)
        return found is not None and not found.ended and found.travelling_to is None

    def is_gone(self, agent: bytes) -> bool:
        """Return whether an agent has ended, or gone for good, or has never been here."""
        found = self._by_id.get(agent)
        return found is None or found.ended

    def relied_on(self, agent: bytes, but: Agent | None) -> Reliance:
        """Return what others than one rely on of those who descend from an agent; who is on its way has taken that along."""
        kin = (
            one
            for one in self
            if one.record.births
            and one is not but
            and self.is_here(one.record.id)
            and agent in ancestors_of(one.record.births)
        )
        return frozenset(pair for one in kin for pair in self._authority.estates.relies(one))

    async def pause(
        self,
        agent: Agent,
        reason: str,
        *,
        denied_right: str | None = None,
        shortage: Shortage | None = None,
        lasting: bool = True,
    ) -> None:
        """Stop an agent where it is; its pending effect is asked again when it resumes."""
        agent.record.denied_right, agent.record.shortage = denied_right, shortage
        if agent.requested is State.PAUSED:  # whatever the reason, it is what was asked for
            agent.requested = agent.requested_right = None
        agent.become(State.PAUSED, self.clock.now_ms(), reason)
        if not lasting:
            agent.lasting = State.PAUSED  # as far as it is to
            agent.notify_state()
            return
        try:
            await self.commit(agent)
        except StorageError as error:
            self.strand(agent, error)
            raise

    async def wake(self, agent: Agent, stage: Work | None = None, *, given: bool = False) -> None:
        """Have a paused agent ready, which then is to be queued. Where that cannot be written, it is paused as before.

        What was revoked meanwhile has it pause again before its first turn, as who is paused is not asked to; unless it has
        been given other tokens since.
        """
        record, aside = agent.record, agent.aside
        right, record.denied_right = record.denied_right, None
        if aside:  # it is the agent, as somebody says
            agent.aside = False
            self.lives(agent)
        try:
            await self._enter(agent, State.READY, stage=stage)
        except BaseException:
            record.denied_right, agent.aside = right, aside
            raise
        if not given:
            self._authority.stop_if_revoked(agent)

    def strand(self, agent: Agent, error: StorageError) -> None:
        """Stop an agent whose state cannot be saved, and tell those who wait for it. A restart finds it as it was saved last."""
        if agent.settled:  # it has been stopped for that already
            return
        _log.error("an agent's state cannot be saved", agent=agent.text_id, why=str(error))
        self._stop_here(agent, f"the storage failed: {error}")

    async def break_off(self, agent: Agent, reason: str) -> None:
        """Pause an agent in whose turn the node itself went wrong, where it was saved last. Raises no Exception.

        It does not stand where its turn left it: nobody knows how much of that has happened, and what is not durable has not.
        It is paused and has not failed: nothing is wrong with it, and a node that is mended can go on with it. A restart finds
        it paused, too, unless that cannot be written either.
        """
        agent.machine = agent.refused = agent.wake = None
        agent.record.wake_ms = None
        if agent.settled:  # the last that it did lasts
            return
        try:
            if agent.record.state is State.PAUSED:
                agent.record.reason = reason
                await self.commit(agent)
            else:
                await self.pause(agent, reason)
        except StorageError as error:
            self.strand(agent, error)
        except Exception:
            _log.exception("an agent cannot be saved", agent=agent.text_id)
            self._stop_here(agent, reason)

    def _stop_here(self, agent: Agent, reason: str) -> None:
        """Pause an agent, of which nothing can be written: a restart finds it as it was saved last."""
        if agent.record.state is not State.PAUSED:
            agent.become(State.PAUSED, self.clock.now_ms())
        agent.record.reason = reason
        agent.lasting = State.PAUSED  # as far as anything does
        agent.notify_state()


def _nothing(batch: Batch) -> None:
    pass


def _untold(error: BaseException | None) -> None:
    pass


def log_line(record: AgentRecord, line: str) -> None:
    """Add a line to the agent's log, dropping the oldest beyond the bound."""
    record.log.append(line)
    if len(record.log) > LOG_LINES_KEPT:
        del record.log[0]
        record.log_dropped += 1
