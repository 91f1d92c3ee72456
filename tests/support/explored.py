"""One node of the explored world: what it keeps, and what it can do.

Is:     the daemon's duties around `Source` and `Target`, reduced to what the hand-off is about: a disk that is written
        in order, messages, an agent that acts and hops, crashes, people.
Is not: the exploration (`exploring`).
Fits:   steps are functions of a node's state alone, and a state is a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from protocol.handoff import (
    NOTHING_FORGOTTEN,
    Aborted,
    Action,
    Drop,
    Event,
    Force,
    Given,
    Gone,
    Interrupted,
    Lives,
    Owned,
    Persist,
    Persisted,
    Received,
    Reclaimed,
    Record,
    Refused,
    Resume,
    Retry,
    Send,
    Source,
    Start,
    Target,
    Verified,
    Verify,
    Withdraw,
    attempt_bytes,
    latest_attempt,
    running,
    slot,
    unfinished,
)
from protocol.messages import CancelOffer, Go, HandOff, Offer, Own, Refuse, Want

AGENT = b"a" * 32
ATTEMPTS_PER_EPOCH = 16  # so that attempts grow with the journey, as they do with the clock
HOSTILE_ATTEMPT = 1_000


def key_of(name: str) -> bytes:
    """Return the key of a node."""
    return name.encode() * 32


# -- what is explored --

Outcome = tuple[Source, list[Action]]


class Rules(msgspec.Struct, frozen=True):
    """The code that is explored: the real one, unless a mistake is put in."""

    begin: Callable[..., Outcome] = Source.begin
    restart: Callable[[Given], Outcome] = Source.restart
    source: Callable[[Source, Event], Outcome] = Source.step
    target: Callable[[Target, Event], tuple[Target, list[Action]]] = Target.step
    flushes: Callable[[Record], bool] = lambda record: (
        True
    )  # False: told to be durable when it is not
    lives: bool = True  # False: a target is not told that the agent runs again
    in_order: bool = True  # False: what an agent does may be durable before its Owned
    tombstones: bool = True  # False: forgotten when the agent has left
    remembers: bool = True  # False: what was forgotten is not remembered to have been
    floors: bool = True  # False: nor is what was forgotten of refusals
    floors_last: bool = True  # False: it is told before it is durable


class Journey(msgspec.Struct, frozen=True):
    """Where the agent wants to go, and how much may go wrong on the way, at each node.

    `stations`: the node where it begins, then for each hop the nodes it may choose among.
    """

    stations: tuple[str, ...] = ("A", "B")
    crashes: int = 1
    refusals: int = 0  # verdicts against an offer
    withdrawals: int = 0
    attempts: int = 1  # hops that a node's agent tries before it stays where it is
    forgets: int = 0  # how often a node forgets what it knew of the agent, when that is not here
    drops: int = 0  # how often a node forgets what it refused of another, up to any attempt
    forces: int = 0  # how often a person takes the agent back by force
    hostile: str = ""  # nodes that say whatever they like, at any time and again and again

    @property
    def names(self) -> str:
        """The nodes that keep the rules."""
        return "".join(sorted(set("".join(self.stations)) - set(self.hostile)))

    @property
    def last(self) -> int:
        """The epoch at which the journey is at its end."""
        return len(self.stations) - 1


# -- one node --


class Effect(msgspec.Struct, frozen=True):
    """What the agent does at one epoch; it must happen once."""

    epoch: int


class Floor(msgspec.Struct, frozen=True):
    """All attempts of a source up to one are refused if nothing else is known of them."""

    source: bytes
    attempt: int


Written = Record | Effect | Floor


class Node(msgspec.Struct, frozen=True):
    """Everything about one node. What a crash spares comes first."""

    name: str
    disk: frozenset[Record] = frozenset()
    effects: tuple[int, ...] = ()
    started: tuple[int, ...] = ()  # epochs, as often as they were and no crash has undone it
    attempts_left: int = 0
    crashes_left: int = 0
    refusals_left: int = 0
    withdrawals_left: int = 0
    forgets_left: int = 0
    drops_left: int = 0
    forces_left: int = 0
    forgotten: int = NOTHING_FORGOTTEN
    floors: tuple[Floor, ...] = ()  # one of a source
    forced: bool = False  # it is on record that there may be two of the agent
    wrong: str = ""
    # what it does not spare
    writing: tuple[Written, ...] = ()
    unflushed: tuple[Record, ...] = ()  # of a node with a mistake: what it takes to be on the disk
    source: Source | None = None
    target: Target = Target.fresh(AGENT)
    runs: int | None = None
    checking: bool = False

    @property
    def owns(self) -> int | None:
        """The epoch that the node's disk says it owns."""
        born_here = self.name == "A" and self.forgotten == NOTHING_FORGOTTEN
        return running(self.disk, born_here=born_here)

    @property
    def idle(self) -> bool:
        """Whether nothing of the agent is here but what is remembered."""
        busy = self.writing or self.checking or self.source or self.target.held
        return not busy and self.runs is None and self.target.pending is None

    def refused_to(self, source: bytes) -> int:
        """Return up to which attempt of a source this node has refused more than it knows."""
        attempts = (floor.attempt for floor in self.floors if floor.source == source)
        return max(attempts, default=NOTHING_FORGOTTEN)

    @property
    def waits(self) -> bool:
        """Whether the node needs another one's answer."""
        return self.source is not None

    def at_end(self, journey: Journey) -> bool:
        """Return whether the agent is here and has done all it will do."""
        return self.runs in self.effects and self.stays(journey)

    def stays(self, journey: Journey) -> bool:
        """Return whether the agent goes no further."""
        return self.attempts_left == 0 or (self.runs is not None and self.runs >= journey.last)


Parcel = tuple[str, str, HandOff]  # from, to
Sent = tuple[Parcel, ...]


class Step(msgspec.Struct, frozen=True):
    """What one node can do: what it is called, what the node is then, what it sends."""

    label: str
    after: Node
    sent: Sent
    crash: bool = False


class Behaviour:
    """What a node can do, by the rules."""

    def __init__(self, rules: Rules, journey: Journey) -> None:
        self._rules = rules
        self._journey = journey

    def first(self, name: str) -> Node:
        """Return a node before anything has happened; A has the agent."""
        journey = self._journey
        here = name == "A"
        return Node(
            name,
            attempts_left=journey.attempts,
            crashes_left=journey.crashes,
            refusals_left=journey.refusals,
            withdrawals_left=journey.withdrawals,
            forgets_left=journey.forgets,
            drops_left=journey.drops,
            forces_left=journey.forces,
            started=(0,) if here else (),
            target=Target.fresh(AGENT, 0 if here else -1),
            runs=0 if here else None,
        )

    def hostile_parcels(self) -> Sent:
        """Return all that hostile nodes can say: of attempts of their own, and of those of node A."""
        journey = self._journey
        sent: list[Parcel] = []
        for sender in journey.hostile:
            for epoch in range(1, journey.last + 1):
                sent += [(sender, "A", message) for message in _as_source(epoch)]
                first = (epoch - 1) * ATTEMPTS_PER_EPOCH
                for attempt in range(first + 1, first + journey.attempts + 1):
                    sent += [(sender, "A", message) for message in _as_target(epoch, attempt)]
        return tuple(sent)

    def own_steps(self, node: Node) -> Iterator[Step]:
        """Yield what a node can do by itself; what brings the journey forward comes first."""
        if node.writing:
            yield self._step(f"{_name(node.writing[0])} is durable", self._sync(node))
        if _may_pass(node.writing):
            passed = self._sync(replace(node, writing=(node.writing[1], *node.writing[2:])))
            later = replace(passed[0], writing=(node.writing[0], *passed[0].writing))
            yield Step(f"{_name(node.writing[1])} is durable first", later, passed[1])
        if node.checking:
            yield from self._verdicts(node)
        if node.runs is not None:
            yield from self._agent(node)
        if node.source is not None:
            yield self._step("asks again", self._source(node, Retry()))
            if node.withdrawals_left:
                fewer = replace(node, withdrawals_left=node.withdrawals_left - 1)
                yield self._step("withdraws", self._source(fewer, Withdraw()))
            if node.forces_left and not node.target.expecting:
                fewer = replace(node, forces_left=node.forces_left - 1)
                yield self._step("a person takes it back", self._source(fewer, Force()))
        if node.forgets_left and node.disk and node.idle:
            yield Step("forgets the agent", self._forget(node), ())
        if node.drops_left:
            yield from self._drops(node)
        if node.target.held is not None and not node.target.expecting:
            yield self._step("gives up what it holds", self._target(node, Interrupted()))
        if node.crashes_left:
            after, sent = self._crash(node)
            yield Step("crashes and restarts", after, sent, crash=True)

    def receive(self, node: Node, parcel: Parcel) -> tuple[Node, Sent]:
        """Return what a node is, and sends, after a message."""
        sender, _, message = parcel
        peer = key_of(sender)
        if isinstance(message, Own | Refuse | Want):
            return self._source(node, Received(message, peer))
        return self._target(node, Received(message, peer, node.refused_to(peer)))

    def _step(self, label: str, outcome: tuple[Node, Sent]) -> Step:
        return Step(label, *outcome)

    def _agent(self, node: Node) -> Iterator[Step]:
        """Let the agent make its effect, or hop on after that, which need not be durable yet."""
        epoch = node.runs
        assert epoch is not None
        if epoch not in node.effects and Effect(epoch) not in node.writing:
            writing = (*node.writing, Effect(epoch))
            if not self._rules.in_order:
                writing = (Effect(epoch), *node.writing)
            yield Step(f"the agent acts at epoch {epoch}", replace(node, writing=writing), ())
            return
        if node.stays(self._journey):
            return
        for place in self._journey.stations[epoch + 1]:
            left = node.attempts_left - 1
            attempt = epoch * ATTEMPTS_PER_EPOCH + self._journey.attempts - left
            source, actions = self._rules.begin(AGENT, epoch, key_of(place), attempt)
            given = replace(node, attempts_left=left, source=source, runs=None)
            yield self._step(f"the agent hops to {place}", self._do(given, actions))

    def _verdicts(self, node: Node) -> Iterator[Step]:
        checked = replace(node, checking=False)
        if node.runs is None:
            yield self._step("finds the offer good", self._target(checked, Verified(True)))
        else:
            runs_here = Verified(False, "agent/state", "it runs here")
            yield self._step("finds that the agent runs here", self._target(checked, runs_here))
        yield self._step("comes to no verdict", self._target(checked, Interrupted()))
        if node.refusals_left:
            fewer = replace(checked, refusals_left=node.refusals_left - 1)
            no = Verified(False, "token/refused", "no")
            yield self._step("finds the offer bad", self._target(fewer, no))

    def _drops(self, node: Node) -> Iterator[Step]:
        """Let a node forget what it refused of a source: of this agent, or of others, so up to any attempt."""
        journey = self._journey
        for name in sorted({*journey.names, *journey.hostile} - {node.name}):
            source = key_of(name)
            if any(isinstance(one, Refused) and one.source == source for one in node.writing):
                continue
            firsts = [epoch * ATTEMPTS_PER_EPOCH for epoch in range(journey.last)]
            for attempt in [first + n + 1 for first in firsts for n in range(journey.attempts)]:
                floor = Floor(source, attempt)
                after = replace(
                    node, drops_left=node.drops_left - 1, writing=(*node.writing, floor)
                )
                if not self._rules.floors_last:
                    after = replace(after, floors=(*node.floors, floor))
                yield Step(f"forgets refusals of {name} up to {attempt}", after, ())

    def _dropped_to(self, node: Node, floor: Floor) -> Node:
        """Return a node on whose disk there is a floor in the place of refusals."""
        kept = [
            one
            for one in node.disk
            if not isinstance(one, Refused)
            or one.source != floor.source
            or latest_attempt([one]) > floor.attempt
        ]
        others = tuple(one for one in node.floors if one.source != floor.source)
        highest = Floor(floor.source, max(floor.attempt, node.refused_to(floor.source)))
        return replace(
            node,
            disk=frozenset(kept),
            floors=(*others, highest) if self._rules.floors else node.floors,
            target=node.target.without_refusal(floor.source, floor.attempt),
        )

    def _sync(self, node: Node) -> tuple[Node, Sent]:
        record, rest = node.writing[0], node.writing[1:]
        node = replace(node, writing=rest)
        if isinstance(record, Effect):
            return replace(node, effects=(*node.effects, record.epoch)), ()
        if isinstance(record, Floor):
            return self._dropped_to(node, record), ()
        if self._rules.flushes(record):
            forced = node.forced or isinstance(record, Reclaimed)
            node = replace(node, disk=_written(node.disk, record), forced=forced)
        if isinstance(record, Given | Aborted | Gone | Reclaimed):
            return self._source(node, Persisted(record))
        return self._target(node, Persisted(record))

    def _forget(self, node: Node) -> Node:
        """Drop all records, as a node does once the agent's tokens have expired."""
        forgotten = max(node.forgotten, latest_attempt(node.disk))
        if not self._rules.remembers:
            forgotten = NOTHING_FORGOTTEN + 1
        return replace(
            node,
            disk=frozenset(),
            forgets_left=node.forgets_left - 1,
            forgotten=forgotten,
            target=Target.fresh(AGENT, forgotten=forgotten),
        )

    def _crash(self, node: Node) -> tuple[Node, Sent]:
        born = 0 if node.name == "A" and node.forgotten == NOTHING_FORGOTTEN else -1
        lost = frozenset(
            record.epoch
            for record in node.writing
            if isinstance(record, Owned) and record.epoch in node.started
        )
        after = replace(
            node,
            crashes_left=node.crashes_left - 1,
            writing=(),
            started=tuple(epoch for epoch in node.started if epoch not in lost),
            floors=node.floors if self._rules.floors_last else (),
            source=None,
            target=Target.restart(node.disk, born, node.forgotten)
            if node.disk
            else Target.fresh(AGENT, born, node.forgotten),
            runs=node.owns,
            checking=False,
        )
        given = unfinished(node.disk)
        if given is None:
            return after, ()
        source, actions = self._rules.restart(given)
        return self._do(replace(after, source=source), actions)

    def _source(self, node: Node, event: Event) -> tuple[Node, Sent]:
        if node.source is None:
            return node, ()
        source, actions = self._rules.source(node.source, event)
        return self._do(replace(node, source=source), actions)

    def _target(self, node: Node, event: Event) -> tuple[Node, Sent]:
        target, actions = self._rules.target(node.target, event)
        return self._do(replace(node, target=target), actions)

    def _tell_lives(self, node: Node, epoch: int) -> tuple[Node, Sent]:
        return self._target(node, Lives(epoch)) if self._rules.lives else (node, ())

    def _do(self, node: Node, actions: list[Action]) -> tuple[Node, Sent]:
        sent: list[Parcel] = []
        for action in actions:
            match action:
                case Persist(record):
                    node = replace(node, writing=(*node.writing, record))
                    if isinstance(record, Reclaimed):
                        node = replace(node, target=node.target.living(record.epoch + 1))
                    if isinstance(record, Owned):
                        node = _settled(node, record.epoch)
                case Send(to=to):
                    sent.append((node.name, chr(to[0]), _message(action)))
                case Verify():
                    node = replace(node, checking=True)
                case Resume(epoch=epoch):
                    node = replace(_resumed(node, epoch), source=None)
                    node, more = self._tell_lives(node, epoch)
                    sent += more
                case Start(epoch=epoch):
                    node = _started(node, epoch)
                case Drop(epoch=epoch):
                    node = self._dropped(node, epoch)
        return node, tuple(sent)

    def _dropped(self, node: Node, epoch: int) -> Node:
        if node.runs == epoch:
            node = replace(node, wrong="a running agent was dropped")
        node = replace(node, source=None)
        if not self._rules.tombstones:
            node = replace(node, target=Target.fresh(AGENT))
        return node


def _started(node: Node, epoch: int) -> Node:
    if epoch in node.effects:  # the image that was offered knows nothing of it
        node = replace(node, wrong="an effect happens twice")
    return replace(_activated(node, epoch), started=(*node.started, epoch))


def _settled(node: Node, epoch: int) -> Node:
    """Have an agent that comes back at an epoch be away no longer."""
    if node.source is not None and node.source.given.epoch <= epoch:
        node = replace(node, source=None)
    return node


def _resumed(node: Node, epoch: int) -> Node:
    """Let the agent go on at the epoch it had, or after a force at a new one."""
    node = _activated(node, epoch)
    return node if epoch in node.started else replace(node, started=(*node.started, epoch))


def _activated(node: Node, epoch: int) -> Node:
    if node.runs is not None:
        node = replace(node, wrong="two copies at one node")
    return replace(node, runs=epoch)


def _may_pass(writing: tuple[Written, ...]) -> bool:
    """Return whether what concerns no agent here is waited for, and the first record goes with what its agent does."""
    match writing:
        case (Owned(), Refused() | Floor(), *_):
            return True
        case _:
            return False


def _written(disk: frozenset[Record], record: Record) -> frozenset[Record]:
    """Return what is on the disk with a record more."""
    place = slot(record)
    return frozenset(old for old in disk if slot(old) != place) | {record}


def _as_source(epoch: int) -> list[HandOff]:
    attempt = attempt_bytes(HOSTILE_ATTEMPT)
    offer = Offer(AGENT, epoch, attempt, b"d" * 32, (), (), b"image")
    return [offer, *(kind(AGENT, epoch, attempt) for kind in (Go, CancelOffer))]


def _as_target(epoch: int, number: int) -> list[HandOff]:
    attempt = attempt_bytes(number)
    refuse = Refuse(AGENT, epoch, attempt, "no", "no")
    return [refuse, *(kind(AGENT, epoch, attempt) for kind in (Own, Want))]


def _message(send: Send) -> HandOff:
    if send.kind is Offer:
        return send.offer(digest=b"d" * 32, programs=(), tokens=(), body=b"image")
    return send.message()


def _name(written: Written) -> str:
    if isinstance(written, Effect):
        return f"the effect of epoch {written.epoch}"
    if isinstance(written, Floor):
        return f"what is refused up to {written.attempt}"
    kind = type(written).__name__
    return f"{kind}({written.epoch}, {written.attempt})"
