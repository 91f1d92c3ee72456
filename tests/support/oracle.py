"""What has to be true in a simulated world, whatever happens there: looked at while it goes on, and counted at its end.

Is:     what the nodes know and write down, compared with what people and agents were told.
Is not: anything that a node does: nothing here asks one to do something else.
Fits:   `simulating` runs a `Watch` beside the world and calls `checked` afterwards.

While a world goes on:
    * no agent begins to run at a node while it runs at another one, or comes where the policy in force refuses it;
    * a revocation is known a second after there was a connection to a node that knows it, and nothing in the way;
    * a second after a node knows it, no agent that relies on the block does anything there.

At its end, by the streams of the nodes:
    * every agent and child has ended once; each of its steps was made once, by a decision of its own, and is what it was told;
    * each arrival was written down once; who was refused by a policy, was by the node that has it;
    * nothing was allowed that relies on a block after the node wrote down that it is revoked, in the order of its own
      stream, and nothing where the list of revocations was older than the node lets it be;
    * a budget is what was granted: it was enough, and a step beyond it was refused until somebody granted that one, too;
    * all nodes know the same revocations, and every one that a node has answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import trio
from simulated import Found, Pair, Simulated
from soaking import ARRIVALS
from world import BEGAN_MS

from capabilities.keys import PublicKey
from capabilities.revocation import Revocation, SignerRevocation
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain
from datomstore import edn
from datomstore.value import Keyword
from protocol.transport import Channel
from yind.agent import Agent, State
from yind.node import Node

LOOK_S = 0.1
AT_ONCE_S = 1.0  # what happens at once, has by then
CAUGHT_UP_S = 15.0  # nodes that could not be reached have found each other again by then
STEPS = """[:find ?agent ?number ?tx ?who
            :where [?e :step/agent ?agent] [?e :step/number ?number ?tx] [?tx :tx/agent ?who]]"""
DECISIONS = """[:find ?e ?verb ?who ?resource ?allowed ?at ?effect ?reason ?block
                :where [?e :audit/verb ?verb] [?e :audit/who ?who] [?e :audit/resource ?resource]
                       [?e :audit/allowed ?allowed] [?e :audit/at-ms ?at]
                       [(get-else $ ?e :audit/effect "") ?effect] [(get-else $ ?e :audit/reason "") ?reason]
                       [(get-else $ ?e :audit/block "") ?block]]"""
DONE_BY_AGENTS = ("transact!", "hop!", "fork!")
Statement = Revocation | SignerRevocation


class Decided(NamedTuple):
    """A row of an audit stream."""

    order: int
    verb: Keyword
    who: str
    resource: str
    allowed: bool
    at_ms: int
    effect: str
    reason: str
    block: bytes | str


class Watch:
    """Looks at a world while it goes on."""

    def __init__(self, nodes: Simulated, found: Found) -> None:
        self._nodes = nodes
        self._wires = nodes.world.wires
        self._found = found
        self._said: dict[bytes, Statement] = {}  # whatever has been signed
        self._heard: set[bytes] = set()  # what a node has answered
        self._chains: dict[bytes, VerifiedChain] = {}  # last block -> the chain, of all tokens seen
        self._refused: dict[str, str | None] = {}  # node -> whom it takes nobody from
        self.richer: set[str] = (
            set()
        )  # agents that may have more than they were granted, by a person's doing
        self._shaken: dict[Pair, float] = {}
        self._links: dict[Pair, tuple[Channel, Channel, float]] = {}
        self._knows: dict[tuple[str, bytes], float] = {}
        self._goes_on: dict[tuple[str, bytes], float] = {}  # agents that are to stop
        self._dark: dict[Pair, float] = {}
        self.nights: list[
            tuple[Pair, float, float]
        ] = []  # when two places heard nothing of each other
        nodes.shaken = self.shaken

    def _wrong(self, what: str) -> None:
        if what not in self._found.wrong:
            self._found.wrong.append(what)

    # -- what it is told --

    @property
    def has_signer(self) -> bool:
        """Return whether all of a signer was revoked already."""
        return any(isinstance(one, SignerRevocation) for one in self._said.values())

    def said(self, statement: Statement) -> None:
        """Note what somebody has signed and is about to tell."""
        self._said[statement.to_bytes()] = statement

    def heard(self, statement: Statement) -> None:
        """Note that a node has answered: from now on it is known for good."""
        self._heard.add(statement.to_bytes())

    def see(self, data: bytes) -> None:
        """Note a token that an agent has."""
        token = Token.from_bytes(data)
        for count in range(len(token.blocks), 0, -1):
            chain = VerifiedChain(token.root, token.blocks[:count])
            if self._chains.setdefault(chain.blocks[-1].id, chain) is not chain:
                break

    def replaced(self, agent: bytes, old: Token, revoked: int | None) -> None:
        """Note that an agent gets another token; what is left of the old one is its parent's again, if that one's holds."""
        names = [block.caveats.agent for block in old.blocks]
        own = names.index(agent)
        if revoked is None or revoked >= own:
            self.richer |= {name.hex()[:12] for name in names[:own] if name is not None}

    def takes_nobody(self, name: str, source: str | None) -> None:
        """Note that a node has said that it takes nobody from another one, or nobody at all."""
        self._refused[name] = source

    def takes_all(self, name: str) -> None:
        """Note that a node is about to take everybody again."""
        self._refused.pop(name, None)

    def shaken(self, pair: Pair, seconds: float) -> None:
        """Note that something happens to what is between two places, and to what is under way there for some seconds."""
        now = trio.current_time()
        self._shaken[pair] = max(self._shaken.get(pair, 0.0), now + seconds)
        dark = self._wires.parted(pair) or bool(pair & self._nodes.down)
        if dark:
            self._dark.setdefault(pair, now)
        elif pair in self._dark:
            self.nights.append((pair, self._dark.pop(pair), now))

    def taken(self, name: str, agent_id: bytes) -> None:
        """Note that an agent begins to run at a node."""
        agent = self._nodes.nodes[name].agents.get(agent_id)
        assert agent is not None, agent_id
        for data in agent.record.tokens:
            self.see(data)
        said = agent_id.hex()[:6]
        for other, node in self._nodes.standing():
            found = node.agents.get(agent_id)
            if other == name or found is None or found.ended or node.migration.holds(found):
                continue
            self._wrong(f"{said} runs at {name} and {other}")
        if name in self._refused:
            source = self._refused[name]
            giver = PublicKey(agent.tokens[0].token.blocks[-2].key.bytes)
            if source is None or giver == self._nodes.cluster.node(source).key:
                self._wrong(f"{said} was taken by {name}, which takes nobody from there")

    # -- what it looks at --

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await trio.sleep(LOOK_S)
            self._look()

    def _look(self) -> None:
        now = trio.current_time()
        standing = dict(self._nodes.standing())
        known = {name: _known(node) for name, node in standing.items()}
        self._knows = {
            (name, one): self._knows.get((name, one), now)
            for name, ones in known.items()
            for one in ones
        }
        for pair in self._nodes.pairs():
            self._look_at_link(pair, standing, now)
        for (name, one), since in self._knows.items():
            for other in standing:
                if one not in known[other]:
                    self._check_told(name, other, max(since, self._linked(name, other, now)), now)
        if self._knows:
            self._look_at_agents(now)
        else:
            self._goes_on = {}  # who knew has crashed since

    def _look_at_link(self, pair: Pair, standing: dict[str, Node], now: float) -> None:
        """Note since when two nodes are connected."""
        if pair <= standing.keys():
            one, other = sorted(pair)
            here = standing[one].peers.open_channel(other)
            there = standing[other].peers.open_channel(one)
            if here is not None and there is not None:
                before = self._links.get(pair)
                if before is None or before[:2] != (here, there):
                    self._links[pair] = here, there, now
                return
        self._links.pop(pair, None)

    def _linked(self, one: str, other: str, now: float) -> float:
        """Return since when nothing is in the way between two nodes that are connected; now if there is."""
        pair = frozenset({one, other})
        if pair not in self._links or not self._wires.clear(pair):
            return now
        return max(self._links[pair][2], self._shaken.get(pair, 0.0))

    def _check_told(self, name: str, other: str, since: float, now: float) -> None:
        if now - since > AT_ONCE_S:
            self._wrong(f"{other} has not heard from {name} of a revocation")

    def _look_at_agents(self, now: float) -> None:
        """Look for agents that do something with a token that their node knows to be revoked."""
        before, self._goes_on = self._goes_on, {}
        for name, agent in self._nodes.living():
            node = self._nodes.nodes[name]
            if _does_something(node, agent) and _relies_on_revoked(node, agent):
                since = self._goes_on[name, agent.record.id] = before.get(
                    (name, agent.record.id), now
                )
                if now - since > AT_ONCE_S:
                    said = f"{agent.record.id.hex()[:6]} is {agent.record.state} at {name}"
                    self._wrong(f"{said}: its token is revoked")

    # -- at the end --

    async def caught_up(self) -> None:
        """Return when all nodes know the same revocations; note it if they do not come to it."""
        with trio.move_on_after(CAUGHT_UP_S) as scope:
            while len({_known(node) for _, node in self._nodes.standing()}) > 1:  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
        if scope.cancelled_caught:
            self._wrong("nodes know different revocations")
        for name, node in self._nodes.standing():
            if lost := self._heard - _known(node):
                self._wrong(f"{name} does not know {len(lost)} revocations that were heard")

    def revoked_by(self, row: Decided, after: Sequence[Decided]) -> Iterator[Decided]:
        """Yield of decisions those that rely on what a revocation that was written down before takes back."""
        ones = [one for one in self._said.values() if _resource(one) == row.resource]
        for decided in after:
            chain = self._chains.get(decided.block) if isinstance(decided.block, bytes) else None
            if chain is not None and any(_concerns(one, chain) for one in ones):
                yield decided

    def is_seen(self, row: Decided) -> bool:
        """Return whether the token is known by which something was allowed."""
        return row.block in self._chains


def _known(node: Node) -> frozenset[bytes]:
    revoked = node.authority.revoked
    return frozenset(one.to_bytes() for one in (*revoked, *revoked.signers()))


def _does_something(node: Node, agent: Agent) -> bool:
    """Return whether an agent goes on here, and is not asked to pause."""
    return (
        agent.record.state is not State.PAUSED
        and agent.requested is None
        and not node.migration.holds(agent)
    )


def _relies_on_revoked(node: Node, agent: Agent) -> bool:
    chains = node.authority.chains_of(agent)
    return any(node.authority.revoked_block(chain) is not None for chain in chains)


def _resource(one: Statement) -> str:
    return one.block_id.hex() if isinstance(one, Revocation) else one.signer.text


def _concerns(one: Statement, chain: VerifiedChain) -> bool:
    if isinstance(one, Revocation):
        return one.concerns(chain)
    return any(one.revokes(chain, index) for index in range(len(chain.blocks)))


class End:
    """Counts what there is when everything has ended."""

    def __init__(self, nodes: Simulated, found: Found, watch: Watch) -> None:
        self._nodes = nodes
        self._watch = watch
        self._wrong = found.wrong
        self._decided: dict[str, list[Decided]] = {}

    async def check(self, names: set[str], askers: set[str]) -> None:
        """Note whatever is not as it has to be; `askers` asked for their last step, and the others were stopped at it."""
        await self._watch.caught_up()
        for name, node in self._nodes.nodes.items():
            for agent in node.agents:
                for data in agent.record.tokens:
                    self._watch.see(data)
            rows = (await self._nodes.ask(name, "query", stream="audit", query=DECISIONS))["value"]
            self._decided[name] = sorted(map(Decided._make, rows))
        await self._check_agents(names, askers)
        for name, rows in self._decided.items():
            self._check_revoked(name, rows)
            self._check_stale(name, rows)
        self._check_refused()

    async def _check_agents(self, names: set[str], askers: set[str]) -> None:
        wanted: Counter[tuple[object, ...]] = Counter()
        arrived: Counter[tuple[str, int]] = Counter()
        ended: dict[str, str] = {}
        for agent in (agent for node in self._nodes.nodes.values() for agent in node.agents):
            record = agent.record
            if record.state is State.MOVED:
                continue
            if record.state is not State.DONE or record.result is None:
                self._wrong.append(f"{record.state} {record.reason} {record.fault}")
                continue
            name, trail = cast("tuple[str, tuple[int, ...]]", edn.read(record.result))
            if name in ended:
                self._wrong.append(f"{name} is there twice")
            ended[name] = agent.text_id
            wanted.update((name, number, tx) for number, tx in enumerate(trail))
            arrived.update((agent.text_id, at) for at in range(1, record.epoch + 1))
        if ended.keys() != names:
            self._wrong.append(f"agents: {sorted(ended)}")
        await self._check_steps(wanted)
        await self._check_arrivals(arrived)
        self._check_budgets({ended[name] for name in ended.keys() - askers})

    async def _check_steps(self, wanted: Counter[tuple[object, ...]]) -> None:
        done: Counter[tuple[object, ...]] = Counter()
        made: Counter[tuple[str, str]] = Counter()
        for name in self._nodes.places:
            if "steps" not in self._nodes.nodes[name].streams.names():
                continue
            rows = (await self._nodes.ask(name, "query", stream="steps", query=STEPS))["value"]
            done.update(tuple(row[:3]) for row in rows)
            made.update((name, who) for _, _, _, who in rows)
        allowed = Counter(
            (name, row.who)
            for name, rows in self._decided.items()
            for row in rows
            if row.effect == "transact!" and row.allowed
        )
        self._tell("step lost", wanted - done)
        self._tell("step too often", done - wanted)
        self._tell("step that nobody allowed", made - allowed)
        self._tell("step allowed and not made", allowed - made)

    async def _check_arrivals(self, arrived: Counter[tuple[str, int]]) -> None:
        noted: Counter[tuple[str, int]] = Counter()
        for name in self._nodes.places:
            rows = (await self._nodes.ask(name, "query", stream="audit", query=ARRIVALS))["value"]
            noted.update((who, epoch) for _, who, epoch in rows)
        self._tell("arrival not noted", arrived - noted)
        self._tell("arrival noted too often", noted - arrived)

    def _tell(self, what: str, ones: Counter[Any]) -> None:
        self._wrong += [f"{what}: {one}" for one in ones.elements()]

    def _check_budgets(self, stopped: set[str]) -> None:
        """Look whether every agent that did not ask was stopped where its budget ends."""
        refused = {
            row.who
            for rows in self._decided.values()
            for row in rows
            if row.effect == "transact!" and not row.allowed and "has 0 rows left" in row.reason
        }
        more = stopped - refused - self._watch.richer
        self._wrong += [f"{who} has got more than was granted" for who in sorted(more)]

    def _check_revoked(self, name: str, rows: list[Decided]) -> None:
        """Look for what was allowed by what the node had written down as revoked."""
        for index, row in enumerate(rows):
            if row.verb != Keyword("revoke"):
                continue
            after = [one for one in rows[index + 1 :] if one.allowed and _is_late(one, row)]
            for late in self._watch.revoked_by(row, after):
                self._wrong.append(f"{name} allowed {late.who} {late.effect} after a revocation")
        for row in rows:
            if row.allowed and row.effect in DONE_BY_AGENTS and not self._watch.is_seen(row):
                self._wrong.append(f"{name} allowed {row.who} {row.effect} by an unknown token")

    def _check_stale(self, name: str, rows: list[Decided]) -> None:
        """Look for what agents were allowed where another node had not been heard for too long."""
        revage = self._nodes.revage.get(name)
        if revage is None:
            return
        for pair, began, ended in self._watch.nights:
            if name not in pair:
                continue
            first, last = (BEGAN_MS + int(at * 1000) for at in (began + revage + 1, ended))
            for row in rows:
                if row.allowed and row.effect in DONE_BY_AGENTS and first < row.at_ms < last:
                    self._wrong.append(f"{name} allowed {row.who} {row.effect} by an old list")

    def _check_refused(self) -> None:
        """Look whether every refusal by a policy that a source heard is in the stream of who refused."""
        told: Counter[tuple[str, str]] = Counter()
        noted: Counter[tuple[str, str]] = Counter()
        for name, rows in self._decided.items():
            for row in rows:
                if row.allowed or row.verb != Keyword("migrate"):
                    continue
                if row.resource == name and row.reason.startswith("a policy of node"):
                    noted[name, row.who] += 1
                elif "a policy of node" in row.reason:
                    told[row.resource, row.who] += 1
        self._tell("refusal not noted", told - noted)


def _is_late(row: Decided, revocation: Decided) -> bool:
    """Return whether something that agents do was decided after a revocation was known.

    What a step was allowed by is written with it, so there the order in the stream counts. A hop, or a child, is allowed some
    time before that lasts: there it is the time.
    """
    if row.effect == "transact!":
        return True
    return row.effect in DONE_BY_AGENTS and row.at_ms > revocation.at_ms
