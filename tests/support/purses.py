"""Worlds of a few nodes with their meters, of agents that spend, and of hand-offs as they go, one commit at a time.

Is:     what happens to budgets: live and durable, with crashes, lost messages and refusals. The oracle notes what each agent
        was let do in states that survive, and asks no meter.
Is not: tokens that are checked, nor nodes that lie.
Fits:   tests/capabilities/test_spending.py, test_returning.py.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.custody import hand_on, take_back
from capabilities.errors import TokenRefused
from capabilities.keys import PrivateKey
from capabilities.tokens import Token, mint
from capabilities.verify import VerifiedChain

ROOT, PERSON = PrivateKey(b"r" * 32), PrivateKey(b"p" * 32)
KEYS = [PrivateKey(bytes([n]) * 32) for n in range(1, 4)]
KEPT = (Resource.FUEL, Resource.ROWS, Resource.CHILDREN, Resource.HOPS)
GRANT = {Resource.FUEL: 1000, Resource.ROWS: 50, Resource.CHILDREN: 6, Resource.HOPS: 12}
EVERYTHING = (Rights(Verb.READ, "**"),)


def granted(budget: dict[Resource, int], account: PrivateKey | None = None) -> Token:
    caveats = Caveats(
        exp=1000,
        rights=EVERYTHING,
        budget=budget,
        account=None if account is None else account.public,
    )
    return mint(ROOT, PERSON.public, caveats)


def chain(token: Token) -> VerifiedChain:
    return VerifiedChain(token.root, token.blocks)


def before(handed: VerifiedChain) -> VerifiedChain:
    return VerifiedChain(handed.root, handed.blocks[:-1])


@dataclass
class Agent:
    """What an agent's record has, and the oracle's note of what it was let do."""

    id: bytes
    token: Token
    node: int
    own: int = 1  # the first block that is its own
    spent: Counter[Resource] = field(default_factory=Counter)
    leaving: Token | None = None  # given to another node, which has not answered
    target: int = -1
    over: bool = False


class Node:
    """A meter and the rows of it that are on the disk."""

    def __init__(self, key: PrivateKey) -> None:
        self.key = key
        self.meter = Meter(key.public)
        self.rows: dict[bytes, bytes] = {}

    def commit(self, *agents: bytes) -> None:
        for agent in agents:
            self.meter.settle(agent)
        for block, row in self.meter.changed():
            if row is None:
                self.rows.pop(block, None)
            else:
                self.rows[block] = row
        self.meter.kept()

    def crash(self) -> None:
        self.meter = Meter(self.key.public)
        self.meter.load(self.rows.items())


class World:
    """Nodes and agents, live and durable."""

    def __init__(self, chance: random.Random, account: bool) -> None:
        self.chance = chance
        self.nodes = [Node(key) for key in KEYS]
        self.waiting: list[tuple[Agent, VerifiedChain, dict[Resource, int]]] = []
        self.heard = 0.8  # how probable it is that a message about a budget comes to who it is for
        self.shared: tuple[Resource, ...] = KEPT
        self.durable: dict[bytes, Agent] = {}
        self.live: dict[bytes, Agent] = {}
        self.made = 0  # children
        self.sharing = 0.8  # how probable it is that a child has a share of something
        self.begin(granted(GRANT, KEYS[0] if account else None))

    def begin(self, token: Token) -> None:
        self.live.clear()
        self.durable.clear()
        agent = b"%032d" % 0
        self.first = token.append(PERSON, KEYS[0].public, Caveats(agent=agent))
        self.add(Agent(agent, self.first, 0))
        self.save(agent)

    def add(self, agent: Agent) -> None:
        self.live[agent.id] = agent

    def save(self, *agents: bytes) -> None:
        """One commit: the agents and what they caused."""
        node = self.nodes[self.live[agents[0]].node]
        for agent in agents:
            kept = self.live[agent]
            self.durable[agent] = replace(kept, spent=Counter(kept.spent))
        node.commit(*agents)

    def running(self) -> list[Agent]:
        return [agent for agent in self.live.values() if agent.leaving is None and not agent.over]

    # -- what can happen --

    def spend(self, agent: Agent) -> None:
        resource = self.chance.choice((Resource.FUEL, Resource.ROWS))
        cost = {resource: self.chance.randint(1, GRANT[resource] // 3)}
        try:
            self.nodes[agent.node].meter.debit(chain(agent.token), cost, agent.id)
        except TokenRefused:
            return
        agent.spent.update(cost)

    def slice(self, agent: Agent) -> None:
        """Reserve fuel, use some of it, give the rest back."""
        meter = self.nodes[agent.node].meter
        reserved = min(300, meter.left(chain(agent.token))[Resource.FUEL])
        used = self.chance.randint(0, reserved)
        meter.debit(chain(agent.token), {Resource.FUEL: reserved}, agent.id)
        meter.refund(chain(agent.token), {Resource.FUEL: reserved - used}, agent.id)
        agent.spent[Resource.FUEL] += used

    def commit(self, agent: Agent) -> None:
        self.save(agent.id)

    def spawn(self, agent: Agent) -> None:
        """A child with a share, durable with the spawn."""
        node = self.nodes[agent.node]
        share = {
            r: self.chance.randint(0, GRANT[r] // 2)
            for r in self.shared
            if self.chance.random() < self.sharing
        }
        one = {Resource.CHILDREN: 1}
        try:
            node.meter.debit(chain(agent.token), one, agent.id)
        except TokenRefused:
            return
        self.made += 1
        name = b"%032d" % self.made
        caveats = Caveats(budget=share or None, agent=name)
        made = agent.token.append(node.key, node.key.public, caveats)
        try:
            node.meter.fund(chain(made), agent.id)
        except TokenRefused:
            node.meter.refund(chain(agent.token), one, agent.id)
            return
        agent.spent.update(one)
        child = Agent(name, made, agent.node, own=len(made.blocks) - 1)
        self.add(child)
        self.save(agent.id, child.id)

    def end(self, agent: Agent) -> None:
        self.nodes[agent.node].meter.release(chain(agent.token), agent.own, agent.id)
        agent.over = True
        home = agent.node, agent.token
        node = self.nodes[agent.node]
        found = node.meter.hand_back(chain(agent.token), agent.own, agent.id)
        self.save(agent.id)
        self.tell(agent, node.meter, found)
        assert home == (agent.node, agent.token)

    def tell(self, agent: Agent, meter: Meter, returns: list[VerifiedChain]) -> None:
        """Have messages on their way that say how much was given back with blocks in all."""
        self.waiting += [(agent, one, meter.given_back(one.blocks[-1].id)) for one in returns]

    def hear(self) -> None:
        """One of the messages arrives, in any order, and perhaps not for the last time; some never do."""
        message = self.waiting.pop(self.chance.randrange(len(self.waiting)))
        if self.chance.random() < self.heard:
            self.take_home(*message)
            if self.chance.random() < 0.3:
                self.waiting.append(message)

    def take_home(self, agent: Agent, handed: VerifiedChain, back: dict[Resource, int]) -> None:
        """A node hears what was given back of what it had sent away, and again if that was not written."""
        index = [key.public for key in KEYS].index(handed.blocks[-2].key)
        payer, written = b"return" + handed.blocks[-1].id, False
        while not written:
            node, found = self.nodes[index], list[VerifiedChain]()
            mark = node.meter.mark(payer)
            if node.meter.credit(handed, back, payer):
                node.meter.release(before(handed), agent.own, payer)
                found = node.meter.hand_back(before(handed), agent.own, payer)
            match self.chance.randrange(10):
                case 0:
                    node.meter.revert(payer, mark)
                case 1:
                    self.crash(index)
                case _:
                    node.commit(payer)
                    self.tell(agent, node.meter, found)
                    written = True

    def leave(self, agent: Agent) -> None:
        node = self.nodes[agent.node]
        target = self.chance.choice([n for n in range(len(self.nodes)) if n != agent.node])
        try:
            agent.leaving = hand_on(
                agent.token, node.key, KEYS[target].public, node.meter, payer=agent.id
            )
        except TokenRefused:
            return
        agent.target = target
        if self.chance.random() < 0.8:  # else a crash may come before Given
            self.save(agent.id)

    def answer(self, agent: Agent, refused: bool | None = None) -> None:
        """The target takes the agent, or the source hears that it does not want it."""
        if agent.leaving is None or self.durable[agent.id].leaving is None:
            return
        if self.chance.random() < 0.3 if refused is None else refused:
            take_back(agent.leaving, self.nodes[agent.node].meter, payer=agent.id)
            agent.leaving, agent.target = None, -1
            self.save(agent.id)
            return
        agent.spent[Resource.HOPS] += 1
        agent.token, agent.node = agent.leaving, agent.target
        agent.leaving, agent.target = None, -1
        self.nodes[agent.node].meter.arrive(chain(agent.token), agent.id)
        self.save(agent.id)

    def crash(self, index: int) -> None:
        self.nodes[index].crash()
        for agent in list(self.live.values()):
            kept = self.durable.get(agent.id)
            if kept is None:
                del self.live[agent.id]
            elif agent.node == index:
                self.live[agent.id] = replace(kept, spent=Counter(kept.spent))

    def turn(self) -> None:
        agents = list(self.live.values())
        agent = self.chance.choice(agents)
        if self.chance.random() < 0.1:
            self.crash(self.chance.randrange(len(self.nodes)))
        elif self.waiting and self.chance.random() < 0.2:
            self.hear()
        elif agent.leaving is not None:
            self.answer(agent)
        elif not agent.over:
            what = self.chance.choices(
                (self.spend, self.slice, self.commit, self.spawn, self.leave, self.end),
                (4, 4, 3, 2, 4, 1),
            )[0]
            what(agent)

    # -- what must hold --

    def spent(self) -> Counter[Resource]:
        total: Counter[Resource] = Counter()
        for agent in self.live.values():
            total.update(agent.spent)
        return total
