"""The hand-off, explored: every order of deliveries, writes and crashes of a small world.

The network is the set of all messages ever sent; each may be delivered never, once or often, in any order. A crash
loses everything that is not on the node's disk, and can come between any two steps. Nodes differ only by their own
steps, so these are computed once (`World._after`), and the world's states are three small numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from protocol.errors import RemoteFault
from protocol.handoff import (
    Aborted,
    Action,
    Decline,
    Drop,
    Event,
    Given,
    Gone,
    Held,
    Interrupted,
    Owned,
    Persist,
    Persisted,
    Received,
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
    decode,
    encode,
    new_attempt,
    running,
    slot,
    unfinished,
)
from protocol.limits import REFUSED_MAX
from protocol.messages import CancelOffer, Go, HandOff, Offer, Own, Refuse

AGENT = b"a" * 32
KEYS = {"A": b"A" * 32, "B": b"B" * 32}
OTHER = {"A": "B", "B": "A"}


# -- one node of the explored world --


@dataclass(frozen=True)
class Effect:
    """What the agent does at the end of its journey; it must happen once."""

    epoch: int


@dataclass(frozen=True)
class Node:
    """Everything about one node. What a crash spares is above the line."""

    name: str
    disk: frozenset[Record | Effect] = frozenset()
    effects: int = 0
    starts: tuple[int, ...] = ()
    attempts_left: int = 0
    crashes_left: int = 0
    refusals_left: int = 0
    withdrawals_left: int = 0
    wrong: str = ""
    # --
    writing: tuple[Record | Effect, ...] = ()
    source: Source | None = None
    target: Target = field(default_factory=lambda: Target.fresh(AGENT))
    runs: int | None = None
    checking: bool = False

    @property
    def records(self) -> list[Record]:
        return [record for record in self.disk if not isinstance(record, Effect)]

    @property
    def owns(self) -> int | None:
        return running(self.records, born_here=self.name == "A")


Parcel = tuple[str, HandOff]  # whom it is for; there are two nodes, so it is from the other
SourceBegin = Callable[[bytes, int, bytes, int], tuple[Source, list[Action]]]


@dataclass(frozen=True)
class Rules:
    """The code that is explored: the real one, unless a test puts a mistake in."""

    begin: SourceBegin = Source.begin
    source: Callable[[Source, Event], tuple[Source, list[Action]]] = Source.step
    target: Callable[[Target, Event], tuple[Target, list[Action]]] = Target.step
    tombstones: bool = True


@dataclass
class World:
    """All states that can come about, and what is wrong with them."""

    rules: Rules
    hops: int
    first: tuple[Node, Node]
    nodes: list[Node] = field(default_factory=list)
    node_numbers: dict[Node, int] = field(default_factory=dict)
    parcels: dict[Parcel, int] = field(default_factory=dict)
    known: dict[int, list[tuple[bool, int, int]]] = field(default_factory=dict)
    deliveries: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    size: int = 0

    # -- a node's own steps --

    def _own_steps(self, node: Node) -> list[tuple[bool, Node, list[Parcel]]]:
        """Return what a node can do by itself: whether it is a crash, what it is then, what it sends."""
        steps = []
        if node.runs is not None and (node.runs == self.hops or not node.attempts_left):
            effect = Effect(node.runs)
            steps.append(
                (False, replace(node, writing=(*node.writing, effect), runs=None), list[Parcel]())
            )
        elif node.runs is not None:
            left = node.attempts_left - 1
            attempt = ord(node.name) * 10 + 9 - left  # never used again, and growing
            target = KEYS[OTHER[node.name]]
            source, actions = self.rules.begin(AGENT, node.runs, target, attempt)
            given = replace(node, attempts_left=left, source=source, runs=None)
            steps.append((False, *self._do(given, actions)))
        if node.writing:
            steps.append((False, *self._sync(node)))
        if node.source is not None:
            steps.append((False, *self._source(node, Retry())))
            if node.withdrawals_left:
                fewer = replace(node, withdrawals_left=node.withdrawals_left - 1)
                steps.append((False, *self._source(fewer, Withdraw())))
        if node.checking:
            checked = replace(node, checking=False)
            steps.append((False, *self._target(checked, Verified(True))))
            steps.append((False, *self._target(checked, Interrupted())))
            if node.refusals_left:
                fewer = replace(checked, refusals_left=node.refusals_left - 1)
                no = Verified(False, "token/refused", "no")
                steps.append((False, *self._target(fewer, no)))
        if node.crashes_left:
            steps.append((True, *self._crash(node)))
        return steps

    def _sync(self, node: Node) -> tuple[Node, list[Parcel]]:
        record, rest = node.writing[0], node.writing[1:]
        node = replace(node, writing=rest)
        if isinstance(record, Effect):
            return replace(node, effects=node.effects + 1, disk=node.disk | {record}), []
        kept = frozenset(
            old for old in node.disk if isinstance(old, Effect) or slot(old) != slot(record)
        )
        node = replace(node, disk=kept | {record})
        if isinstance(record, Given | Aborted | Gone):
            return self._source(node, Persisted(record))
        return self._target(node, Persisted(record))

    def _crash(self, node: Node) -> tuple[Node, list[Parcel]]:
        records = node.records
        target = Target.restart(records) if records else Target.fresh(AGENT)
        given = unfinished(records)
        ended = Effect(node.owns) in node.disk if node.owns is not None else True
        node = replace(
            node,
            crashes_left=node.crashes_left - 1,
            writing=(),
            source=None,
            target=target,
            runs=None if ended else node.owns,
            checking=False,
        )
        if given is None:
            return node, []
        source, actions = Source.restart(given)
        return self._do(replace(node, source=source), actions)

    def _source(self, node: Node, event: Event) -> tuple[Node, list[Parcel]]:
        if node.source is None:
            return node, []
        source, actions = self.rules.source(node.source, event)
        return self._do(replace(node, source=source), actions)

    def _target(self, node: Node, event: Event) -> tuple[Node, list[Parcel]]:
        target, actions = self.rules.target(node.target, event)
        return self._do(replace(node, target=target), actions)

    def _receive(self, node: Node, message: HandOff) -> tuple[Node, list[Parcel]]:
        event = Received(message, KEYS[OTHER[node.name]])
        if isinstance(message, Own | Refuse):
            return self._source(node, event)
        return self._target(node, event)

    def _do(self, node: Node, actions: list[Action]) -> tuple[Node, list[Parcel]]:
        sent: list[Parcel] = []
        for action in actions:
            match action:
                case Persist(record):
                    node = replace(node, writing=(*node.writing, record))
                case Send():
                    sent.append((OTHER[node.name], _message(action)))
                case Verify():
                    node = replace(node, checking=True)
                case Resume(epoch=epoch):
                    node = replace(_activated(node, epoch), source=None)
                case Start(epoch=epoch):
                    if node.starts and node.starts[-1] >= epoch:
                        node = replace(node, wrong="an epoch was started twice")
                    node = replace(_activated(node, epoch), starts=(*node.starts, epoch))
                    if node.source is not None and node.source.given.epoch <= epoch:
                        node = replace(node, source=None)
                case Drop(epoch=epoch):
                    if node.runs == epoch:
                        node = replace(node, wrong="a running agent was dropped")
                    node = replace(node, source=None)
                    if not self.rules.tombstones:
                        node = replace(node, target=Target.fresh(AGENT))
        return node, sent

    # -- the world's states: two nodes' numbers and the set of messages as bits --

    def _number(self, node: Node) -> int:
        number = self.node_numbers.get(node)
        if number is None:
            number = self.node_numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return number

    def _bits(self, parcels: list[Parcel]) -> int:
        bits = 0
        for parcel in parcels:
            bits |= 1 << self.parcels.setdefault(parcel, len(self.parcels))
        return bits

    def _steps_of(self, number: int) -> list[tuple[bool, int, int]]:
        if number not in self.known:
            self.known[number] = [
                (crash, self._number(node), self._bits(sent))
                for crash, node, sent in self._own_steps(self.nodes[number])
            ]
        return self.known[number]

    def _delivery(self, number: int, message_number: int) -> tuple[int, int]:
        key = (number, message_number)
        if key not in self.deliveries:
            to, message = list(self.parcels)[message_number]
            node = self.nodes[number]
            if to != node.name:
                self.deliveries[key] = (number, 0)
            else:
                after, sent = self._receive(node, message)
                self.deliveries[key] = (self._number(after), self._bits(sent))
        return self.deliveries[key]

    def _following(self, state: tuple[int, int, int]) -> list[tuple[bool, tuple[int, int, int]]]:
        """Return the states one step away, and whether the step is a crash."""
        left, right, network = state
        following = [
            (crash, (after, right, network | sent)) for crash, after, sent in self._steps_of(left)
        ]
        following += [
            (crash, (left, after, network | sent)) for crash, after, sent in self._steps_of(right)
        ]
        for message_number in range(network.bit_length()):
            if network >> message_number & 1:
                after, sent = self._delivery(left, message_number)
                if after != left or sent:
                    following.append((False, (after, right, network | sent)))
                after, sent = self._delivery(right, message_number)
                if after != right or sent:
                    following.append((False, (left, after, network | sent)))
        return [(crash, after) for crash, after in following if after != state]

    def wrong(self) -> str:
        """Return what is wrong with the first state found that has something wrong, or ""."""
        states = {(self._number(self.first[0]), self._number(self.first[1]), 0)}
        frontier = list(states)
        while frontier:
            state = frontier.pop()
            found = _broken(self.nodes[state[0]], self.nodes[state[1]])
            if found:
                return found
            for _, after in self._following(state):
                if after not in states:
                    states.add(after)
                    frontier.append(after)
        self.size = len(states)
        return self._stuck({(left, right) for left, right, _ in states})

    def _stuck(self, pairs: set[tuple[int, int]]) -> str:
        """Return "" if the nodes can finish from everywhere, when there are no more crashes.

        All that is under way may be lost once more: only what is sent from there on arrives. Having more messages
        than that takes no possibility away, for they need not be delivered.
        """
        frontier = [(left, right, 0) for left, right in pairs]
        backward: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {
            state: [] for state in frontier
        }
        while frontier:
            state = frontier.pop()
            for crash, after in self._following(state):
                if crash:
                    continue
                if after not in backward:
                    backward[after] = []
                    frontier.append(after)
                backward[after].append(state)
        done = [state for state in backward if _at_rest(self.nodes[state[0]], self.nodes[state[1]])]
        finishing = set(done)
        while done:
            for state in backward[done.pop()]:
                if state not in finishing:
                    finishing.add(state)
                    done.append(state)
        return "" if len(finishing) == len(backward) else "the agent is lost"


def _at_rest(left: Node, right: Node) -> bool:
    """Return whether the agent is at its journey's end and nobody waits for an answer any more."""
    return bool(left.effects or right.effects) and left.source is None and right.source is None


def _activated(node: Node, epoch: int) -> Node:
    if node.runs is not None:
        node = replace(node, wrong="two copies at one node")
    return replace(node, runs=epoch)


def _broken(left: Node, right: Node) -> str:
    """Return which invariant a state breaks, or ""."""
    if left.wrong or right.wrong:
        return left.wrong or right.wrong
    if left.effects + right.effects > 1:
        return "the effect happened twice"
    if left.owns is not None and right.owns is not None:
        return "two owners"
    if left.runs is not None and right.runs is not None:
        return "two copies run"
    return ""


def _message(send: Send) -> HandOff:
    if send.kind is Offer:
        return send.offer(digest=b"d" * 32, programs=(), tokens=(), body=b"image")
    return send.message()


def explore(
    rules: Rules | None = None,
    *,
    hops: int = 1,
    crashes: int = 1,
    refusals: int = 0,
    withdrawals: int = 0,
    attempts: int = 1,
) -> World:
    """Return a world in which A owns the agent; it goes to B, and with two hops back again."""
    budget = Node(
        "A",
        attempts_left=attempts,
        crashes_left=crashes,
        refusals_left=refusals,
        withdrawals_left=withdrawals,
    )
    at_b = replace(budget, name="B", attempts_left=attempts if hops > 1 else 0)
    return World(rules or Rules(), hops, (replace(budget, runs=0), at_b))


# -- what must hold --


def test_one_way_with_crashes_at_both_ends_is_exactly_once() -> None:
    assert explore(crashes=2).wrong() == ""


def test_refused_and_withdrawn_attempts_are_followed_by_another() -> None:
    world = explore(crashes=1, refusals=1, withdrawals=1, attempts=2)
    assert world.wrong() == ""
    assert world.size > 5_000


def test_there_and_back_is_exactly_once() -> None:
    world = explore(hops=2, crashes=2, refusals=1, attempts=2)
    assert world.wrong() == ""
    assert world.size > 20_000


# -- mistakes that the exploration must find --


def test_go_before_given_is_durable_is_found() -> None:
    def begin(agent: bytes, epoch: int, target: bytes, attempt: int) -> tuple[Source, list[Action]]:
        source, actions = Source.begin(agent, epoch, target, attempt)
        return source, [*actions, Send(Go, target, agent, epoch + 1, attempt)]

    assert explore(Rules(begin=begin)).wrong() in {"two owners", "two copies run"}


def test_reclaim_on_a_time_out_is_found() -> None:
    def reclaim(source: Source, event: Event) -> tuple[Source, list[Action]]:
        if isinstance(event, Retry) and source.durable and source.writing is None:
            given = source.given
            record = Aborted(given.agent, given.epoch, given.target, given.attempt, "", "")
            return replace(source, writing=record), [Persist(record)]
        return source.step(event)

    assert explore(Rules(source=reclaim)).wrong() in {"two owners", "two copies run"}


def test_withdrawing_without_waiting_for_the_answer_is_found() -> None:
    def reclaim(source: Source, event: Event) -> tuple[Source, list[Action]]:
        if isinstance(event, Withdraw):
            return source, [Resume(AGENT, source.given.epoch - 1, "", "")]
        return source.step(event)

    found = explore(Rules(source=reclaim), withdrawals=1).wrong()
    assert found in {"two owners", "two copies run"}


def test_no_check_of_the_epoch_is_found() -> None:
    def careless(target: Target, event: Event) -> tuple[Target, list[Action]]:
        return replace(target, epoch=-1).step(event)

    assert explore(Rules(target=careless), refusals=1, attempts=2).wrong() != ""


def test_a_forgotten_tombstone_is_found() -> None:
    assert explore(Rules(tombstones=False), hops=2).wrong() != ""


def test_own_before_it_is_durable_is_found() -> None:
    def hasty(target: Target, event: Event) -> tuple[Target, list[Action]]:
        after, actions = target.step(event)
        early: list[Action] = [
            Send(Own, action.record.source, AGENT, action.record.epoch, action.record.attempt)
            for action in actions
            if isinstance(action, Persist) and isinstance(action.record, Owned)
        ]
        return after, actions + early

    assert explore(Rules(target=hasty)).wrong() == "the agent is lost"


def test_refusing_before_it_is_durable_is_found() -> None:
    def hasty(target: Target, event: Event) -> tuple[Target, list[Action]]:
        after, actions = target.step(event)
        early: list[Action] = [
            Send(Refuse, action.record.source, AGENT, action.record.epoch, action.record.attempt)
            for action in actions
            if isinstance(action, Persist) and isinstance(action.record, Refused)
        ]
        return after, actions + early

    found = explore(Rules(target=hasty), refusals=1, attempts=1).wrong()
    assert found in {"two owners", "two copies run"}


def test_go_for_another_attempt_is_found() -> None:
    def careless(target: Target, event: Event) -> tuple[Target, list[Action]]:
        match event:
            case Received(Go(), peer) if target.held is not None:
                held = target.held.attempt.to_bytes(16, "big")
                return target.step(Received(replace(event.message, attempt=held), peer))
        return target.step(event)

    found = explore(Rules(target=careless), crashes=1, refusals=1, attempts=2, withdrawals=1)
    assert found.wrong() != ""


# -- single steps --


def held_target() -> Target:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, _ = target.step(Verified(True))
    return target.step(Persisted(Held(AGENT, 1, KEYS["A"], 7)))[0]


def offer(attempt: int = 7, epoch: int = 1) -> Offer:
    number = attempt.to_bytes(16, "big")
    return Offer(AGENT, epoch, number, b"d" * 32, (), (), b"image")


def go(attempt: int = 7) -> Go:
    return Go(AGENT, 1, attempt.to_bytes(16, "big"))


def owned_target() -> Target:
    target, _ = held_target().step(Received(go(), KEYS["A"]))
    return target.step(Persisted(Owned(AGENT, 1, KEYS["A"], 7)))[0]


def test_the_offer_leaves_before_the_disk_is_done_and_go_after() -> None:
    source, actions = Source.begin(AGENT, 0, KEYS["B"], 7)
    given = Given(AGENT, 1, KEYS["B"], 7)
    assert actions == [Persist(given), Send(Offer, KEYS["B"], AGENT, 1, 7)]
    source, actions = source.step(Persisted(given))
    assert actions == [Send(Go, KEYS["B"], AGENT, 1, 7)]
    assert source.step(Persisted(given))[1] == []


def test_a_source_repeats_offer_and_go_until_it_is_answered() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    _, actions = source.step(Retry())
    assert [action.kind for action in actions if isinstance(action, Send)] == [Offer, Go]
    own = Own(AGENT, 1, (7).to_bytes(16, "big"))
    source, actions = source.step(Received(own, KEYS["B"]))
    assert actions == [Persist(Gone(AGENT, 1, KEYS["B"], 7))]
    assert source.step(Retry())[1] == []
    assert source.step(Persisted(Gone(AGENT, 1, KEYS["B"], 7)))[1] == [Drop(AGENT, 0)]


def test_a_refused_source_resumes_with_the_reason_once_that_is_durable() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    no = Refuse(AGENT, 1, (7).to_bytes(16, "big"), "token/refused", "block 2 forbids it")
    source, actions = source.step(Received(no, KEYS["B"]))
    aborted = Aborted(AGENT, 1, KEYS["B"], 7, "token/refused", "block 2 forbids it")
    assert actions == [Persist(aborted)]
    assert source.step(Persisted(aborted))[1] == [
        Resume(AGENT, 0, "token/refused", "block 2 forbids it")
    ]


def test_an_answer_of_a_node_that_is_not_the_target_is_ignored() -> None:
    source, _ = Source.restart(Given(AGENT, 1, KEYS["B"], 7))
    own = Own(AGENT, 1, (7).to_bytes(16, "big"))
    assert source.step(Received(own, b"M" * 32)) == (source, [])


def test_go_of_a_node_that_is_not_the_source_is_ignored() -> None:
    target = held_target()
    assert target.step(Received(go(), b"M" * 32)) == (target, [])


def test_go_that_comes_during_the_check_takes_the_agent_in_one_write() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, actions = target.step(Received(go(), KEYS["A"]))
    assert actions == []
    target, actions = target.step(Verified(True))
    owned = Owned(AGENT, 1, KEYS["A"], 7)
    assert actions == [Persist(Held(AGENT, 1, KEYS["A"], 7)), Persist(owned)]
    target, actions = target.step(Persisted(Held(AGENT, 1, KEYS["A"], 7)))
    assert actions == []
    assert target.step(Persisted(owned))[1] == [
        Start(AGENT, 1),
        Send(Own, KEYS["A"], AGENT, 1, 7),
    ]


@pytest.mark.parametrize("message", [offer(), go(), CancelOffer(AGENT, 1, go().attempt)])
def test_what_is_taken_is_confirmed_again_and_not_started_again(message: HandOff) -> None:
    target = owned_target()
    assert target.step(Received(message, KEYS["A"])) == (
        target,
        [Send(Own, KEYS["A"], AGENT, 1, 7)],
    )


def test_an_offer_of_an_epoch_that_has_passed_is_ignored() -> None:
    target = owned_target()
    assert target.step(Received(offer(attempt=8), KEYS["A"])) == (target, [])


def test_cancelling_an_offer_that_never_came_refuses_it_durably() -> None:
    cancel = CancelOffer(AGENT, 1, (7).to_bytes(16, "big"))
    target, actions = Target.fresh(AGENT).step(Received(cancel, KEYS["A"]))
    assert [type(action) for action in actions] == [Persist]
    assert isinstance(actions[0], Persist)
    target, actions = target.step(Persisted(actions[0].record))
    refuse = Send(
        Refuse, KEYS["A"], AGENT, 1, 7, "handoff/cancelled", "the source withdrew its offer"
    )
    assert actions == [refuse]
    assert target.step(Received(offer(), KEYS["A"]))[1] == [refuse]
    assert target.step(Received(go(), KEYS["A"]))[1] == [refuse]


def test_an_interrupted_check_leaves_room_for_the_offer_to_come_again() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    assert target.step(Received(offer(), KEYS["A"]))[1] == []
    target, actions = target.step(Interrupted())
    assert actions == []
    assert target.step(Received(offer(), KEYS["A"]))[1] == [Verify(offer())]


def test_a_hold_that_the_node_no_longer_wants_is_refused() -> None:
    target, actions = held_target().step(Decline("node/full", "no memory left"))
    assert isinstance(actions[0], Persist)
    target, actions = target.step(Persisted(actions[0].record))
    assert actions == [Send(Refuse, KEYS["A"], AGENT, 1, 7, "node/full", "no memory left")]
    assert target.held is None


def test_refusals_stay_refused_though_only_some_are_remembered_one_by_one() -> None:
    target = Target.fresh(AGENT)
    count = REFUSED_MAX + 10
    for attempt in range(1, count + 1):
        target, _ = target.step(Received(offer(attempt), KEYS["A"]))
        target, actions = target.step(Verified(False, "token/refused", "no"))
        assert isinstance(actions[0], Persist)
        target, _ = target.step(Persisted(decode(encode(actions[0].record))))
    target = Target.restart(target.refused)
    for attempt in range(1, count + 1):
        _, actions = target.step(Received(offer(attempt), KEYS["A"]))
        assert [action.kind for action in actions if isinstance(action, Send)] == [Refuse]
    assert isinstance(target.step(Received(offer(count + 1), KEYS["A"]))[1][0], Verify)


def test_another_source_is_not_bound_by_the_refusals_of_one() -> None:
    target, _ = Target.fresh(AGENT).step(Received(offer(), KEYS["A"]))
    target, _ = target.step(Verified(False, "token/refused", "no"))
    refused = Refused(AGENT, 1, KEYS["A"], 7, "token/refused", "no")
    target, _ = target.step(Persisted(refused))
    assert target.step(Received(offer(), KEYS["B"]))[1] == [Verify(offer())]


def test_a_new_attempt_makes_room_for_itself_once_it_is_checked() -> None:
    target, actions = held_target().step(Received(offer(attempt=8), KEYS["A"]))
    assert actions == [Verify(offer(attempt=8))]
    assert target.held == Held(AGENT, 1, KEYS["A"], 7)
    target, actions = target.step(Verified(True))
    assert actions == [Persist(Held(AGENT, 1, KEYS["A"], 8))]
    target, _ = target.step(Persisted(Held(AGENT, 1, KEYS["A"], 8)))
    assert target.step(Received(go(7), KEYS["A"])) == (target, [])


# -- records --

RECORDS: list[Record] = [
    Given(AGENT, 1, KEYS["B"], 7),
    Aborted(AGENT, 1, KEYS["B"], 7, "token/refused", "no"),
    Gone(AGENT, 1, KEYS["B"], (1 << 128) - 1),
    Held(AGENT, 1, b"", 0),
    Owned(AGENT, 3, KEYS["A"], 9, ((KEYS["A"], 1, 7),)),
    Refused(AGENT, 3, KEYS["A"], 9, "a", "b", ((3, 8),), (2, 5)),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_the_same_after_its_bytes(record: Record) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize("record", RECORDS)
def test_a_damaged_record_is_another_record_or_a_fault(record: Record) -> None:
    data = encode(record)
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]
            with suppress(RemoteFault):
                assert decode(damaged) != record
    for end in range(len(data)):
        with pytest.raises(RemoteFault):
            decode(data[:end])


def test_where_an_agent_runs_follows_from_the_records_in_any_order() -> None:
    given, back = Given(AGENT, 1, KEYS["B"], 7), Owned(AGENT, 2, KEYS["B"], 9)
    assert running([], born_here=True) == 0
    assert running([]) is None
    assert running([given], born_here=True) is None
    assert running([Aborted(AGENT, 1, KEYS["B"], 7, "", "")], born_here=True) == 0
    assert running([given, back]) == running([back, given]) == 2
    assert unfinished([given]) == given
    assert unfinished([given, back]) is None


def test_an_agent_that_lives_here_is_not_taken_at_its_own_epoch_after_a_restart() -> None:
    target = Target.restart([Held(AGENT, 1, KEYS["A"], 7)], epoch=1)
    assert target.held is None
    assert target.step(Received(go(), KEYS["A"])) == (target, [])


def test_attempts_grow_with_the_clock_and_differ_within_it() -> None:
    assert new_attempt(5, b"\xff" * 10) < new_attempt(6, b"\x00" * 10)
    assert new_attempt(5, b"\x00" * 10) != new_attempt(5, b"\x01" * 10)
