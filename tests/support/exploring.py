"""The hand-off, explored: every order of deliveries, writes and crashes in a small world of nodes.

Is:     the production state machines (`protocol.handoff`) in a world small enough to be walked through whole.
Is not: a model of the protocol: what a node does is what `Source.step` and `Target.step` say.
Fits:   `explored` says what one node can do; tests explore what must hold and, with mistakes put in (`mistakes`), what must be found;
        `python -m exploring` prints counts, and the shortest way to what is wrong.
Source: lossy channels as a well-structured system: Abdulla and Jonsson, "Verifying programs with unreliable channels" (1996).

The network is the set of all messages ever sent; each may be delivered never, once or often, in any order. A crash
loses everything that is not on the node's disk, and can come between any two steps. A write reaches the disk some time
after it was asked for, in the order of asking, so a crash loses a suffix of what was written.

Two things keep it fast. Nodes differ only by their own steps, so these are computed once for each state of a node and
the messages to it. And who has more messages can do all that who has fewer can: a state is left out when the nodes
have been seen in the same states with at least the same messages.

Nodes may be hostile: all that they can say is in the network from the beginning. What must hold then is what a node can
see to by itself.

The agent makes an effect at each node it comes to, and hops on. What counts are effects and activations, not owners.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from explored import Behaviour, Journey, Node, Parcel, Rules, Sent, Step

# -- the world --

State = tuple[int, int]  # the nodes' numbers, packed; the network's messages as bits
NODE_BITS = 24
NODE_MASK = (1 << NODE_BITS) - 1
Move = tuple[
    int, int, bool
]  # the node's number afterwards, the bits of what it sends, is it a crash


@dataclass(frozen=True)
class Found:
    """What an exploration has come to."""

    wrong: str  # "" when everything holds
    states: int
    nodes: int  # states of single nodes
    trace: tuple[str, ...] = ()


class World:
    """All states that can come about, and what is wrong with them."""

    def __init__(self, journey: Journey, rules: Rules | None = None) -> None:
        self.journey = journey
        self._behaviour = Behaviour(rules or Rules(), journey)
        self._names = journey.names
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._parcels: list[Parcel] = []
        self._parcel_numbers: dict[Parcel, int] = {}
        self._mail = [0] * len(self._names)  # the bits of all messages to a node
        self._known: dict[tuple[int, int], tuple[Move, ...]] = {}
        self._steps: dict[int, list[Step]] = {}
        self._delivered: dict[tuple[int, int], tuple[int, int]] = {}
        self._broken: dict[int, str] = {}
        numbers = [self._number(self._behaviour.first(name)) for name in self._names]
        self._first: State = (
            self._packed(numbers),
            self._mailed(self._behaviour.hostile_parcels()),
        )

    # -- exploring --

    def explore(self, *, shortest: bool = False) -> Found:
        """Return what holds, or the first thing that does not; with `shortest`, and the shortest way to it."""
        seen: dict[int, list[int]] = {self._first[0]: [self._first[1]]}
        parents: dict[State, State] = {}
        waiting = deque([self._first])
        take = waiting.popleft if shortest else waiting.pop
        count = 1
        while waiting:
            state = take()
            if not shortest and _covered(seen[state[0]], state[1]):
                continue  # since it was put here, more messages have been seen
            for following in self._following(state):
                if not _enter(seen, following):
                    continue
                count += 1
                if shortest:
                    parents[following] = state
                wrong = self._wrong(following[0])
                if wrong:
                    trace = self._trace(parents, following) if shortest else ()
                    return Found(wrong, count, len(self._nodes), trace)
                waiting.append(following)
        stuck = None if self.journey.hostile else self._stuck(seen)  # it may be lost to them
        if stuck is None:
            return Found("", count, len(self._nodes))
        way = next((state for state in parents if state[0] == stuck), self._first)
        trace = (*self._trace(parents, way), "and from here the agent cannot get to its end")
        return Found("the agent is lost", count, len(self._nodes), trace if shortest else ())

    def reached(self) -> set[tuple[Node, ...]]:
        """Return all states that the nodes can come to, together."""
        seen: dict[int, list[int]] = {self._first[0]: [0]}
        waiting = [self._first]
        while waiting:
            state = waiting.pop()
            waiting += [
                following for following in self._following(state) if _enter(seen, following)
            ]
        return {tuple(self._unpacked(packed)) for packed in seen}

    def _following(self, state: State) -> Iterator[State]:
        packed, network = state
        for place in range(len(self._names)):
            shift = place * NODE_BITS
            number = packed >> shift & NODE_MASK
            for after, sent, _ in self._moves(place, number, network & self._mail[place]):
                changed = packed ^ (number ^ after) << shift
                yield changed, network | sent

    def _moves(self, place: int, number: int, mail: int) -> tuple[Move, ...]:
        """Return what a node can do with these messages on their way to it."""
        found = self._known.get((number, mail))
        if found is None:
            found = self._known[number, mail] = tuple(self._made_moves(number, mail))
        return found

    def _made_moves(self, number: int, mail: int) -> Iterator[Move]:
        for message in _bits(mail):
            after, sent = self._delivery(number, message)
            if after != number or sent:
                yield after, sent, False
        for step in self._own(number):
            yield self._number(step.after), self._mailed(step.sent), step.crash

    def _own(self, number: int) -> list[Step]:
        steps = self._steps.get(number)
        if steps is None:
            steps = self._steps[number] = list(self._behaviour.own_steps(self._nodes[number]))
        return steps

    def _delivery(self, number: int, message: int) -> tuple[int, int]:
        found = self._delivered.get((number, message))
        if found is None:
            after, sent = self._behaviour.receive(self._nodes[number], self._parcels[message])
            found = self._delivered[number, message] = (self._number(after), self._mailed(sent))
        return found

    # -- what must hold --

    def _wrong(self, packed: int) -> str:
        """Return which invariant a state breaks, or ""."""
        wrong = self._broken.get(packed)
        if wrong is None:
            wrong = self._broken[packed] = _broken(self._unpacked(packed))
        return wrong

    def _stuck(self, seen: dict[int, list[int]]) -> int | None:
        """Return a state of the nodes from which they cannot finish although nothing crashes any more, or None.

        All that is under way may be lost once more: only what is sent from there on arrives. Having more messages
        than that takes no possibility away, for they need not be delivered.
        """
        finishing: set[int] = set()
        for packed in seen:
            if not (self._finishes(packed, finishing) or self._can_finish(packed, finishing)):
                return packed
            finishing.add(packed)
        return None

    def _finishes(self, packed: int, finishing: set[int]) -> bool:
        """Return whether the first way that comes to mind ends well."""
        state, been = (packed, 0), set()
        while state not in been:
            if state[0] in finishing or self._at_rest(state[0]):
                return True
            been.add(state)
            state = next((to for to in self._calm(state) if to not in been), state)
        return False

    def _can_finish(self, packed: int, finishing: set[int]) -> bool:
        """Return whether any way ends well."""
        seen, waiting = {packed: [0]}, [(packed, 0)]
        while waiting:
            state = waiting.pop()
            if state[0] in finishing or self._at_rest(state[0]):
                return True
            waiting += [following for following in self._calm(state) if _enter(seen, following)]
        return False

    def _calm(self, state: State) -> Iterator[State]:
        """Yield what can follow when nothing crashes."""
        packed, network = state
        for place in range(len(self._names)):
            shift = place * NODE_BITS
            number = packed >> shift & NODE_MASK
            for after, sent, crash in self._moves(place, number, network & self._mail[place]):
                following = packed ^ (number ^ after) << shift, network | sent
                if not crash and following != state:
                    yield following

    def _at_rest(self, packed: int) -> bool:
        """Return whether the agent is at its journey's end and nobody waits for an answer any more."""
        nodes = self._unpacked(packed)
        waits = any(node.waits for node in nodes)
        if self.journey.forgets and waits:
            return True  # for a person: whom it asks may have forgotten
        waits = waits and not any(node.forced for node in nodes)
        return any(node.at_end(self.journey) for node in nodes) and not waits

    # -- how it came about --

    def _trace(self, parents: dict[State, State], state: State) -> tuple[str, ...]:
        lines: list[str] = []
        while state in parents:
            before = parents[state]
            lines.append(self._label(before, state))
            state = before
        return tuple(reversed(lines))

    def _label(self, before: State, after: State) -> str:
        packed, network = before
        for place, name in enumerate(self._names):
            shift = place * NODE_BITS
            number = packed >> shift & NODE_MASK
            for message in _bits(network & self._mail[place]):
                to, sent = self._delivery(number, message)
                if (packed ^ (number ^ to) << shift, network | sent) == after:
                    return f"{name} receives {_parcel(self._parcels[message])}"
            for step in self._own(number):
                to, sent = self._number(step.after), self._mailed(step.sent)
                if (packed ^ (number ^ to) << shift, network | sent) == after:
                    return f"{name}: {step.label}"
        raise AssertionError("no step leads there")

    # -- numbers instead of values --

    def _number(self, node: Node) -> int:
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self._nodes)
            assert number <= NODE_MASK, number
            self._nodes.append(node)
        return number

    def _mailed(self, sent: Sent) -> int:
        bits = 0
        for parcel in sent:
            number = self._parcel_numbers.get(parcel)
            if number is None:
                number = self._parcel_numbers[parcel] = len(self._parcels)
                self._parcels.append(parcel)
                place = self._names.find(parcel[1])
                if place >= 0:
                    self._mail[place] |= 1 << number
            bits |= 1 << number
        return bits

    def _packed(self, numbers: list[int]) -> int:
        return sum(number << place * NODE_BITS for place, number in enumerate(numbers))

    def _unpacked(self, packed: int) -> list[Node]:
        return [
            self._nodes[packed >> place * NODE_BITS & NODE_MASK]
            for place in range(len(self._names))
        ]


def _covered(networks: list[int], network: int) -> bool:
    """Return whether some network has all of this one's messages, and more."""
    return any(network | other == other and network != other for other in networks)


def _enter(seen: dict[int, list[int]], state: State) -> bool:
    """Note a state; False if one with at least its messages has been seen."""
    packed, network = state
    networks = seen.get(packed)
    if networks is None:
        seen[packed] = [network]
        return True
    for other in networks:
        if network | other == other:
            return False
    networks[:] = [other for other in networks if network | other != network]
    networks.append(network)
    return True


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _broken(nodes: list[Node]) -> str:
    """Return which invariant the nodes break, or ""."""
    for node in nodes:
        if node.wrong:
            return node.wrong
        if list(node.started) != sorted(set(node.started)):
            return "a node went back to an epoch"
    if any(node.forced for node in nodes):
        return ""
    if _repeats([epoch for node in nodes for epoch in node.effects]):
        return "an effect happened twice"
    if _repeats([epoch for node in nodes for epoch in node.started]):
        return "an epoch was started at two nodes"
    if sum(node.owns is not None for node in nodes) > 1:
        return "two owners"
    if sum(node.runs is not None for node in nodes) > 1:
        return "two copies run"
    return ""


def _repeats(numbers: list[int]) -> bool:
    return len(set(numbers)) < len(numbers)


def _parcel(parcel: Parcel) -> str:
    sender, _, message = parcel
    attempt = int.from_bytes(message.attempt, "big")
    return f"{type(message).__name__}({message.epoch}, {attempt}) of {sender}"


# -- for people --

BACK, ONWARD, AROUND = ("A", "B", "A"), ("A", "B", "C"), ("A", "B", "C", "A")
EITHER = ("A", "BC")
BESIEGED = ("A", "M", "A")

SHALLOW = {
    "there, four crashes": Journey(crashes=4, refusals=1, withdrawals=1, attempts=2),
    "there and back": Journey(BACK, crashes=3, attempts=2),
    "there and back, refused": Journey(BACK, crashes=2, refusals=1, attempts=2),
    "there and back, forgotten": Journey(BACK, crashes=2, attempts=2, forgets=1),
    "there, by force": Journey(crashes=2, forces=1, attempts=2),
    "by way of B": Journey(ONWARD, crashes=2, attempts=2),
    "by way of B, refused": Journey(ONWARD, crashes=1, refusals=1, attempts=2),
    "by way of B, forgotten": Journey(ONWARD, crashes=1, attempts=2, forgets=1),
    "to B or C": Journey(EITHER, crashes=1, refusals=1, withdrawals=1, attempts=2),
    "there, refusals dropped": Journey(crashes=2, refusals=1, attempts=2, drops=1),
    "there and back, refusals dropped": Journey(BACK, refusals=1, drops=1),
    "around": Journey(AROUND, crashes=1, attempts=2),
    "besieged": Journey(BESIEGED, crashes=2, hostile="M"),
}
DEEP = {
    **SHALLOW,
    "there and back, four crashes": Journey(BACK, crashes=4, attempts=3),
    "there and back, three crashes, refused": Journey(BACK, crashes=3, refusals=2, attempts=3),
    "there and back, withdrawn": Journey(BACK, crashes=2, refusals=1, withdrawals=1, attempts=2),
    "there and back twice": Journey(("A", "B", "A", "B", "A"), crashes=2, attempts=3),
    "there and back, refused, forgotten": Journey(
        BACK, crashes=2, refusals=1, attempts=2, forgets=1
    ),
    "there and back, by force": Journey(BACK, crashes=2, attempts=2, forces=1),
    "there and back, refused, by force": Journey(BACK, refusals=1, attempts=2, forces=1),
    "there, back and there, by force": Journey(
        ("A", "B", "A", "B"), crashes=2, attempts=2, forces=1
    ),
    "by way of B, two crashes, refused": Journey(ONWARD, crashes=2, refusals=1, attempts=2),
    "by way of B, withdrawn": Journey(ONWARD, withdrawals=1, attempts=2),
    "to B or C, and back": Journey(("A", "BC", "A"), refusals=1, attempts=2),
    "to B or C, two crashes": Journey(EITHER, crashes=2, refusals=1, withdrawals=1, attempts=2),
    "around, two crashes": Journey(AROUND, crashes=2, attempts=2),
    "around, refused": Journey(AROUND, crashes=1, refusals=1, attempts=2),
    "around, forgotten": Journey(AROUND, crashes=1, attempts=2, forgets=1),
    "there and back, two attempts, refusals dropped": Journey(
        BACK, refusals=1, attempts=2, drops=1
    ),
    "there, refusals dropped twice": Journey(crashes=2, refusals=1, attempts=2, drops=2),
    "there and back, refusals dropped, forgotten": Journey(BACK, attempts=2, drops=1, forgets=1),
    "to B or C, refusals dropped": Journey(EITHER, crashes=0, refusals=1, attempts=2, drops=1),
    "to B or C, once, refusals dropped": Journey(EITHER, refusals=1, drops=1),
    "besieged, refusals dropped": Journey(BESIEGED, drops=1, hostile="M"),
    "besieged, refused, withdrawn": Journey(BESIEGED, refusals=1, withdrawals=1, hostile="M"),
    "besieged, three crashes": Journey(BESIEGED, crashes=3, attempts=2, hostile="M"),
    "besieged, forgotten, two attempts": Journey(BESIEGED, attempts=2, forgets=1, hostile="M"),
    "besieged by two": Journey(BESIEGED, crashes=1, hostile="MN"),
}


def report(
    name: str, journey: Journey, rules: Rules | None = None, *, shortest: bool = False
) -> Found:
    """Explore, print what was found, and return it."""
    began = time.process_time()
    found = World(journey, rules).explore(shortest=shortest)
    seconds = time.process_time() - began
    print(f"{name:42} {found.wrong or 'holds':32} {found.states:>10,} states {seconds:6.1f} s")
    for number, line in enumerate(found.trace, 1):
        print(f"  {number:3} {line}")
    return found


def main() -> None:
    """Print the counts of the correct protocol, and that every mistake is found."""
    from mistakes import MISTAKES

    parser = argparse.ArgumentParser(prog="exploring")
    parser.add_argument("--deep", action="store_true", help="larger bounds; minutes")
    parser.add_argument(
        "--trace", metavar="MISTAKE", help="print the shortest way to it, and nothing else"
    )
    options = parser.parse_args()
    if options.trace is not None:
        mistake = MISTAKES[options.trace]
        report(options.trace, mistake.journey, mistake.rules, shortest=True)
        return
    right = [report(name, j).wrong for name, j in (DEEP if options.deep else SHALLOW).items()]
    missed = [n for n, m in MISTAKES.items() if not report(n, m.journey, m.rules).wrong]
    if any(right) or missed:
        sys.exit(f"wrong: {right}; not found: {missed}")


if __name__ == "__main__":
    main()
