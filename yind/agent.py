r"""One agent of this node: its durable record, its states, and its live machine.

Is:     the record that the storage keeps (`AgentRecord`), the table of states, and `Agent`, which pairs a
        record with the machine that runs it.
Is not: the scheduler, nor what effects do.
Fits:   `yind.agents` keeps them; `yind.scheduler` runs them; `yind.control` shows them.

    ready ----> waiting (a timer, another node)  ----> ready
      |  \----> paused (by a person, a missing right, a revoked token; a session between entries) ----> ready
      |  \----> moved (handed off; only the tombstone stays)
      +----> done | failed | killed              (the machine is gone, the result stays)

The record's image is the agent's state at its last commit. An effect that was asked for but not answered is
part of the image, so a node that restarts asks it again; what an effect appended is committed together with
the image that follows it, so it is never done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec
import trio

from capabilities.errors import Shortage
from capabilities.handles import Handle
from capabilities.keys import PublicKey
from datomstore.batch import Batch
from yind.audit import Decision
from yind.cesk import Fault, Machine


class State(StrEnum):
    """What an agent is doing; `AgentRecord.reason` says why."""

    READY = "ready"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    KILLED = "killed"
    MOVED = "moved"


ENDED = frozenset({State.DONE, State.FAILED, State.KILLED, State.MOVED})

STOPS = ENDED | {State.PAUSED}  # nothing more happens without somebody's doing

# ORDER: agent states. What may follow what; `Agent.become` refuses everything else.
FOLLOWS: dict[State, frozenset[State]] = {
    State.READY: frozenset(State) - {State.READY},
    State.WAITING: frozenset(State) - {State.WAITING},
    # It has moved when it was set aside, and who it was taken for has come back.
    State.PAUSED: frozenset({State.READY, State.WAITING, State.KILLED, State.MOVED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.KILLED: frozenset(),
    State.MOVED: frozenset(),
}


class Hop(msgspec.Struct, frozen=True):
    """One journey of an agent, as the node it left saw it."""

    epoch: int  # the epoch it had after the journey
    source: str
    target: str
    image_bytes: int
    token_bytes: int
    code_bytes: int  # 0 when the target knew the program
    elapsed_us: int  # from the frozen image to the target's durable acceptance


class FaultPlace(msgspec.Struct, frozen=True):
    """A waiting call of a fault, or `times` alike; without a function: so many that are left out."""

    function: str
    source: str
    program: bytes  # hash
    node: int  # of the program's AST, by pre-order index
    span: tuple[int, int, int, int]  # line, column, end line, end column
    times: int


class FaultData(msgspec.Struct, frozen=True):
    """An error that nobody caught."""

    message: str
    data: str  # EDN, or the machine's text of what has no EDN form; empty for none
    places: list[FaultPlace]
    causes: list[tuple[str, str]]  # message and data, the innermost last


class Asked(msgspec.Struct):
    """What an agent has asked for, and the answer when there is one."""

    id: str
    verbs: int
    streams: list[str]
    budget: dict[str, int]
    ttl_s: int | None
    reason: str
    at_ms: int
    answer: str = "pending"  # or "granted" or "refused"
    why: str = ""


class Birth(msgspec.Struct, frozen=True):
    """How an agent came from another one; its id is the hash of this."""

    parent: bytes
    program: bytes
    nonce: bytes
    home: bytes  # the node's key


class AgentRecord(msgspec.Struct):
    """What the storage keeps of an agent."""

    id: bytes  # 32 bytes, capabilities.agent_id
    name: str
    owner: bytes  # public key of who spawned it
    home: str  # the node it was spawned on
    program: bytes  # hash
    nonce: bytes
    created_ms: int
    memory_max: int
    fuel_max: int | None
    epoch: int = 0  # grows by one with every hop
    state: State = State.READY
    reason: str = ""
    since_ms: int = 0
    image: bytes = b""
    tokens: list[bytes] = []
    fuel_used: int = 0
    hop_count: int = 0
    log: list[str] = []
    log_dropped: int = 0
    result: str | None = None  # EDN text, or the machine's text of a value without EDN form
    fault: str | None = None  # a trace for people
    fault_data: FaultData | None = None  # the same as data, when it is an error of the program
    moved_to: str | None = None
    denied_right: str | None = None  # "read alpha/stdlib": what a paused agent lacks
    shortage: Shortage | None = None  # the budget that it lacks, if that is why it was paused last
    expires_s: int = 0  # of an agent that moved: when the last of its tokens expires
    wake_ms: int | None = None  # a sleeping agent's deadline, so that a restart does not sleep anew
    memory_held: tuple[bytes, int] | None = (
        None  # the token that pays for its memory here, and how much
    )
    fuel_owed: int = 0  # what an instruction took beyond the last fuel of a budget
    births: list[Birth] = []  # its own last; none of an agent that a person started
    asked: Asked | None = None  # what its `request-token` waits for
    session: bool = False  # at the end of a unit, and at an error, it waits for the next one
    code_refused: int = 0  # bytes of code that it made here and may not run: the node keeps it
    home_key: bytes = b""  # the first key of the node it was spawned on: with owner, program and nonce it makes the id


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AgentRecord)


def ancestors_of(births: list[Birth]) -> tuple[bytes, ...]:
    """Return the ids of the agents that an agent descends from."""
    return tuple(birth.parent for birth in births)


def fault_data(fault: Fault) -> FaultData:
    """Return an error of the machine as a record keeps it."""
    causes: list[tuple[str, str]] = []
    cause = fault.cause
    while cause is not None:
        causes.append((cause.message, cause.data_text))
        cause = cause.cause
    places = [
        FaultPlace(row.function, row.source, row.program_hash, row.node, row.span, row.times)
        for row in fault.trace
    ]
    return FaultData(fault.message, fault.data_text, places, causes)


def encode_record(record: AgentRecord) -> bytes:
    """Return the bytes the storage keeps."""
    return _encoder.encode(record)


def decode_record(data: bytes) -> AgentRecord:
    """Return the record of bytes that this node wrote itself."""
    return _decoder.decode(data)


class Hold:
    """Somebody has an agent between two of its turns."""

    __slots__ = ("missed", "over", "rests")

    def __init__(self) -> None:
        self.rests = trio.Event()  # its turn has ended, or waits for long
        self.over = trio.Event()
        self.missed = False  # whether a turn came meanwhile, which it is to get afterwards


@dataclass(slots=True, eq=False)
class Arrival:
    """That an agent has come from another node, until it lasts."""

    row: bytes  # its record as it came
    state: State  # in which it came
    stage: Callable[[Batch], None]  # makes it this node's
    lasts: Callable[[], None]  # told that it is
    giver: PublicKey  # the node that it comes from
    noted: list[Decision]  # what let it in
    staged: bool = False  # in a transaction that has happened, or happens now


class RefusedHop(NamedTuple):
    """A `hop!` that came to nothing, until the agent does something else."""

    image: bytes  # of the machine that waits for it
    why: str


@dataclass(slots=True, eq=False)
class Agent:
    """A record, and while it has not ended, its machine and the handles of its tokens."""

    record: AgentRecord
    machine: Machine | None = None  # restored when it is first needed
    tokens: list[Handle] = field(default_factory=list)
    requested: State | None = None  # PAUSED or KILLED, honoured at the end of a slice
    requested_reason: str = ""
    travelling_to: str | None = None  # the node that has been offered it and has not answered
    requested_right: str | None = None  # what it lacks, if that is why it is to pause
    requested_shortage: Shortage | None = None  # ... and how much of which budget
    requested_lasting: bool = True  # whether a pause outlives the node
    running: bool = False  # a worker or an effect owns it now
    computing: bool = False  # its machine runs, in a thread or here
    held: Hold | None = None  # it gets no turn
    saved_fuel: int = 0  # machine fuel at the last commit
    saved_at: float = 0.0  # trio's clock at the last commit
    values_kept: int = 0  # bytes of values that its queries brought here, which the process keeps
    wake: Callable[[], None] | None = None  # ends the wait of a sleeping agent early
    decisions: list[Decision] = field(default_factory=list)  # about it, since its last commit
    arrival: Arrival | None = None  # until a commit has made it this node's
    refused: RefusedHop | None = None  # what it did last
    watchers: set[Callable[[dict[str, object]], None]] = field(default_factory=set)
    aside: bool = False  # by the records of its journeys it is not here: whoever comes with them takes its place
    lasting: State = (
        State.READY
    )  # the state that is durable, or was entered because nothing could be

    def __post_init__(self) -> None:
        self.lasting = self.record.state

    @property
    def text_id(self) -> str:
        """Return the short id that people see and type."""
        return self.record.id.hex()[:12]

    @property
    def ended(self) -> bool:
        """Return whether nothing will run any more here."""
        return self.record.state in ENDED

    @property
    def settling(self) -> bool:
        """Return whether it has ended or been paused, and that may still come to nothing: it is not durable.

        That it has moved is durable where it is now.
        """
        state = self.record.state
        return state in STOPS and state not in (self.lasting, State.MOVED)

    @property
    def settled(self) -> bool:
        """Return whether nothing more happens to it here without somebody's doing, and that lasts."""
        return self.record.state in STOPS and not self.settling

    @property
    def stands(self) -> bool:
        """Return whether it has no turn that ends soon: a turn in which it waits may take for ever."""
        return not self.running or self.record.state is State.WAITING

    def become(self, state: State, now_ms: int, reason: str = "") -> None:
        """Enter a state; what the table does not allow is our own error."""
        assert state in FOLLOWS[self.record.state], (self.record.state, state)
        self.record.state = state
        self.record.reason = reason
        self.record.since_ms = now_ms
        if self.stands and self.held is not None:
            self.held.rests.set()

    def ask_to_stop(
        self,
        state: State,
        reason: str,
        right: str | None = None,
        *,
        shortage: Shortage | None = None,
        lasting: bool = True,
    ) -> None:
        """Have it pause or end when its slice does; what is to end does not pause instead.

        With what it lacks, if that is why. A pause that is not `lasting` is over with the node: it goes on after a restart.
        """
        if self.requested is not State.KILLED:
            self.requested, self.requested_reason, self.requested_right = state, reason, right
            self.requested_shortage, self.requested_lasting = shortage, lasting
        if self.wake is not None:
            self.wake()

    def notify_state(self) -> None:
        """Tell everyone who follows this agent what it is doing; that it stops, only once that lasts."""
        if self.watchers and not self.settling:
            self.notify({"kind": "state", "state": self.record.state, "reason": self.record.reason})

    def notify(self, event: dict[str, object]) -> None:
        """Tell everyone who follows this agent."""
        for watcher in tuple(self.watchers):
            watcher(event)
