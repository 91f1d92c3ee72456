"""Whether what nodes have signed of an agent's journeys can all be true.

Is:     the receipts of nodes' audit streams, verified here, and those of an agent that contradict each other.
Is not: a search for who lies about anything else; nor a verdict where only clocks speak.
Fits:   `yin audit contradictions`; `capabilities.journey` says what a receipt proves.

An agent is given away once at each epoch, so of one agent and one epoch there is one receipt. There are more when

    twice      one node has signed two: it gave the agent to two nodes, or in two states;
    two ways   two nodes have signed one each: one of them, or a node before them, had a copy;
    late       an older epoch arrived after a newer one, by the clocks of those who took them: somebody had kept an image;
    forged     a node shows a receipt that nobody signed, or that is somebody else's.

A node to which an agent was offered, and which refused it, has a receipt as well, and may show it as an arrival. So two receipts of
one node prove that it or one of the two takers lies; `excuse` says what the giver wrote down of a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from capabilities.errors import CapabilityError
from capabilities.journey import Leg, Receipt
from capabilities.keys import PublicKey
from capabilities.limits import CLOCK_SKEW_S
from capabilities.lineage import Lineage
from cli.cluster import Cluster
from cli.connect import connected
from cli.errors import CliError
from datomstore.value import Map
from protocol.client import Client

WINDOW = 20_000  # transactions of an audit stream that one request asks about
RECEIPTS = """
[:find ?e ?at ?who ?allowed ?from ?receipt
 :where [?e :audit/receipt ?receipt] [?e :audit/from ?from] [?e :audit/at-ms ?at] [?e :audit/who ?who]
        [?e :audit/allowed ?allowed]]
"""
EXCUSES = """
[:find ?at ?verb ?resource ?reason
 :in $ ?who
 :where [?e :audit/who ?who] [?e :audit/reason ?reason] [?e :audit/verb ?verb] [?e :audit/resource ?resource]
        [?e :audit/at-ms ?at]]
"""


class Shown(NamedTuple):
    """A receipt in the audit stream of a node, and what the node says about it."""

    node: str
    at_ms: int
    who: str  # the agent, as it begins
    taken: bool  # or refused, because it contradicts what the node has had
    receipt: Receipt
    given: Leg


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What cannot be true together."""

    kind: str
    agent: str
    epoch: int | None
    dishonest: list[str]  # one of these is, or the only one
    shown: list[Shown]
    why: str
    excuse: str = ""

    @property
    def counts(self) -> bool:
        """Return whether it shows that somebody was dishonest: not when a person wanted two of the agent."""
        return not self.excuse or self.kind in ("twice", "forged")

    def row(self, names: Names) -> dict[str, object]:
        """Return it as it is printed."""
        shown = [_plain(one, names) for one in self.shown]
        return {
            "agent": self.agent,
            "epoch": self.epoch,
            "kind": self.kind,
            "dishonest": self.dishonest,
            "why": self.why,
            "excuse": self.excuse,
            "first": shown[0] if shown else None,
            "second": shown[1] if len(shown) > 1 else None,
        }


def _plain(one: Shown, names: Names) -> dict[str, object]:
    return {
        "node": one.node,
        "at_ms": one.at_ms,
        "taken": one.taken,
        "from": names.name(one.receipt.giver),
        "from_key": one.receipt.giver.text,
        "to": names.name(one.given.taker),
        "to_key": one.given.taker.text,
        "epoch": one.given.epoch,
        "state": one.given.state,
        "receipt": one.receipt.to_bytes(),
    }


@dataclass(slots=True)
class Names:
    """Whose a key is."""

    lineage: Lineage
    of_origin: dict[PublicKey, str]

    @staticmethod
    def of(cluster: Cluster) -> Names:
        """Return the names of the members that a cluster's folder knows."""
        members = cluster.members
        origin = members.lineage.origin
        return Names(members.lineage, {origin(member.key): member.name for member in members})

    def name(self, key: PublicKey) -> str:
        """Return the name of a member, or the key's text."""
        return self.of_origin.get(self.lineage.origin(key), key.text)


@dataclass(slots=True)
class Found:
    """What the nodes that answered have shown."""

    shown: list[Shown] = field(default_factory=list)
    forged: list[Contradiction] = field(default_factory=list)
    missed: dict[str, str] = field(default_factory=dict)  # node -> why


# -- gathering --


def gathered(cluster: Cluster, nodes: Iterable[str], names: Names, agent: str) -> Found:
    """Return the receipts of all nodes that answer, of agents whose id begins so. Raises CliError when none does."""
    found = Found()
    refusal: CliError | None = None
    answered = 0
    for node in nodes:
        try:
            with connected(cluster, node) as client:
                rows = list(_rows(client))
        except CliError as error:
            refusal, found.missed[node] = error, str(error)
            continue
        answered += 1
        for row in rows:
            if row[2].startswith(agent):
                _take(found, names, node, row)
    if refusal is not None and not answered:
        raise refusal
    return found


def _rows(client: Client) -> Iterator[tuple[Any, ...]]:
    """Yield what a node's audit stream says of receipts, some transactions at a time."""
    start, t = 0, 0
    while t == start:
        until = start + WINDOW
        body = {"query": RECEIPTS, "stream": "audit", "since": start, "as_of": until}
        answer = client.request("query", Map(body))
        yield from answer["value"]
        start, t = until, answer["t"]  # less than asked for when the stream ends before


def _take(found: Found, names: Names, node: str, row: tuple[Any, ...]) -> None:
    _, at_ms, who, taken, giver, data = row
    try:
        receipt = Receipt.from_bytes(data, PublicKey.parse(giver))
        shown = Shown(node, at_ms, who, taken, receipt, receipt.leg)
    except (CapabilityError, TypeError) as error:
        why = f"{node} shows a receipt that {giver} did not sign: {error}"
        found.forged.append(Contradiction("forged", who, None, [node], [], why))
        return
    foreign = _not_its_own(names, shown)
    if foreign is not None:
        epoch = shown.given.epoch
        found.forged.append(Contradiction("forged", who, epoch, [node], [shown], foreign))
    else:
        found.shown.append(shown)


def _not_its_own(names: Names, shown: Shown) -> str | None:
    """Return why a receipt is not what the node says that it is, if so."""
    agent = shown.given.agent
    if agent is not None and not agent.hex().startswith(shown.who):
        return f"{shown.node} shows a receipt of another agent, {agent.hex()[:12]}"
    if shown.taken and names.name(shown.given.taker) != shown.node:
        return f"{shown.node} shows as its own what was given to {names.name(shown.given.taker)}"
    return None


# -- comparing --


def contradictions(shown: Iterable[Shown], names: Names) -> list[Contradiction]:
    """Return what the receipts of nodes cannot all mean, by agent and epoch; each against the first of its kind."""
    agents: dict[str, list[Shown]] = {}
    for one in sorted(shown, key=lambda one: (not one.taken, one.at_ms, one.node)):
        agents.setdefault(one.who, []).append(one)
    return [found for who in sorted(agents) for found in _of_agent(who, agents[who], names)]


def _of_agent(who: str, shown: list[Shown], names: Names) -> Iterator[Contradiction]:
    epochs: dict[int, list[Shown]] = {}
    for one in shown:
        if one.given.epoch is not None:
            epochs.setdefault(one.given.epoch, []).append(one)
    doubtful: set[int] = set()
    for epoch in sorted(epochs):
        found = list(_of_epoch(who, epoch, epochs[epoch], names))
        if found:
            doubtful.add(epoch)
        yield from found
    taken = {epoch: ones[0] for epoch, ones in epochs.items() if ones[0].taken}
    single = [taken[epoch] for epoch in sorted(taken) if epoch not in doubtful]
    yield from _late(who, single, names)


def _of_epoch(who: str, epoch: int, shown: list[Shown], names: Names) -> Iterator[Contradiction]:
    """Yield what one epoch was given away with more than once."""
    by_giver: dict[str, dict[Leg, Shown]] = {}
    for one in shown:  # each once, where it was taken
        by_giver.setdefault(names.name(one.receipt.giver), {}).setdefault(one.given, one)
    said = [(giver, list(ones.values())) for giver, ones in by_giver.items()]
    for giver, (first, *further) in said:
        for one in further:
            if first.receipt.contradicts(one.receipt, names.lineage):
                why = (
                    f"{giver} signed that it gives epoch {epoch} {_two_givings(first, one, names)}"
                )
                yield Contradiction("twice", who, epoch, [giver], [first, one], why)
    (one_giver, (first, *_)), *others = said
    for giver, (one, *_) in others:
        why = f"{one_giver} and {giver} have each signed that they give epoch {epoch}"
        yield Contradiction("two ways", who, epoch, [one_giver, giver], [first, one], why)


def _two_givings(first: Shown, other: Shown, names: Names) -> str:
    takers = [names.name(one.given.taker) for one in (first, other)]
    if takers[0] == takers[1]:
        return f"to {takers[0]} in two states"
    return f"to {takers[0]} and to {takers[1]}"


def _late(who: str, shown: list[Shown], names: Names) -> Iterator[Contradiction]:
    """Yield arrivals, by epoch, that were after one of a later epoch, further than clocks may be apart."""
    earliest: Shown | None = None  # of the epochs after
    for one in reversed(shown):
        if earliest is not None and one.at_ms > earliest.at_ms + 1000 * CLOCK_SKEW_S:
            giver = names.name(one.receipt.giver)
            why = (
                f"{giver} gave epoch {one.given.epoch} to {one.node} "
                f"after epoch {earliest.given.epoch} had come to {earliest.node}, by their clocks"
            )
            yield Contradiction("late", who, one.given.epoch, [giver], [earliest, one], why)
        if earliest is None or one.at_ms < earliest.at_ms:
            earliest = one


# -- what may explain it --


def excused(cluster: Cluster, found: list[Contradiction], names: Names) -> list[Contradiction]:
    """Return contradictions with what nodes wrote down that would explain them, where they answer."""
    agents = sorted({one.agent for one in found if one.kind != "forged"})
    notes = [note for node in _nodes_of(cluster) for note in _notes(cluster, node, agents)]
    return [replace(one, excuse=_excuse(one, notes, names)) for one in found]


class Note(NamedTuple):
    """What a node wrote down about an agent that stayed, or was taken back."""

    node: str
    agent: str
    at_ms: int
    verb: str
    target: str
    reason: str


def _notes(cluster: Cluster, node: str, agents: list[str]) -> Iterator[Note]:
    try:
        with connected(cluster, node) as client:
            for agent in agents:
                body = Map({"query": EXCUSES, "stream": "audit", "inputs": (agent,)})
                for at_ms, verb, resource, reason in client.request("query", body)["value"]:
                    yield Note(node, agent, at_ms, verb.name, resource, reason)
    except CliError:  # it has been said that it does not answer
        return


def _nodes_of(cluster: Cluster) -> list[str]:
    return [member.name for member in cluster.nodes()]


def _excuse(one: Contradiction, notes: list[Note], names: Names) -> str:
    takers = {names.name(shown.given.taker) for shown in one.shown}
    for note in notes:
        taken_back = note.verb == "reclaim" and one.kind in ("two ways", "late")
        of_giver = note.node in one.dishonest and note.target in takers
        refused = note.verb == "migrate" and one.kind == "twice" and of_giver
        if note.agent == one.agent and (taken_back or refused):
            return f"{note.node} wrote down: {note.reason}"
    return ""
