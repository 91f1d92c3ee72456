"""Families of agents that end anywhere, in any order: what they leave comes home, whole, however messages come.

What a node does when an agent ends or a return comes is what `yind.authority` does.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from purses import GRANT, KEPT, KEYS, Agent, World, before, chain, granted

from capabilities.budget import limited
from capabilities.caveats import Resource
from capabilities.verify import VerifiedChain

SHARED = KEPT[:2]


class Message(NamedTuple):
    """How much was given back with a block in all."""

    handed: VerifiedChain
    back: dict[Resource, int]


class Families(World):
    """A world whose nodes keep what is to go back until that is heard."""

    def __init__(self, chance: random.Random, *, at_once: bool) -> None:
        super().__init__(chance, account=False)
        self.kept: list[dict[bytes, Message]] = [{} for _ in self.nodes]
        self.copies: list[Message] = []
        self.shared = SHARED
        self.at_once = at_once
        self.begin(granted({r: GRANT[r] for r in SHARED}))

    def leave(self, agent: Agent) -> None:
        """Hop at once, unless hand-offs take their time."""
        super().leave(agent)
        while self.at_once and agent.leaving is not None:
            self.save(agent.id)
            self.answer(agent)

    # -- what a node does --

    def end(self, agent: Agent) -> None:
        place, token = agent.node, chain(agent.token)
        self.nodes[place].meter.release(token, agent.own, agent.id)
        agent.over = True
        found = self.given(place, token, agent.own, agent.id, agent.id, agent)
        found += self.of_ended(place, token, agent.own, agent.id, agent)
        found += self.of_ancestors(place, token, agent.own, agent.id, agent)
        self.save(agent.id)
        self.keep(place, found)

    def credited(self, message: Message, payer: bytes) -> list[VerifiedChain]:
        handed = message.handed
        place = [key.public for key in KEYS].index(handed.blocks[-2].key)
        meter, token = self.nodes[place].meter, before(handed)
        if not meter.credit(handed, message.back, payer):
            return []
        own = own_of(token, names(token)[0])
        meter.release(token, own, payer)
        found = meter.hand_back(token, own, payer)
        found += self.of_ancestors(place, token, own, payer, None)
        return found + self.of_ended(place, token, len(token.blocks), payer, None)

    def of_ended(
        self, place: int, token: VerifiedChain, own: int, payer: bytes, but: Agent | None
    ) -> list[VerifiedChain]:
        """Take what those leave who have ended here, of whom a token tells before a block."""
        named = set(names(VerifiedChain(token.root, token.blocks[:own])))
        ended = (a for a in self.live.values() if a.over and a.node == place and a.id in named)
        return [
            one for a in ended for one in self.given(place, chain(a.token), a.own, a.id, payer, but)
        ]

    def of_ancestors(
        self, place: int, token: VerifiedChain, own: int, payer: bytes, but: Agent | None
    ) -> list[VerifiedChain]:
        """Take what came back to tokens of ancestors who are not here."""
        found: list[VerifiedChain] = []
        last = own
        for name in names(VerifiedChain(token.root, token.blocks[:own])):
            first = own_of(token, name)
            if not any(a.id == name and a.node == place for a in self.running()):
                given = VerifiedChain(token.root, token.blocks[:last])
                given = self.nodes[place].meter.here(given)
                if len(given.blocks) > first:
                    found += self.given(place, given, first, name, payer, but)
            last = first
        return found

    def given(
        self,
        place: int,
        token: VerifiedChain,
        own: int,
        name: bytes,
        payer: bytes,
        but: Agent | None,
    ) -> list[VerifiedChain]:
        """Give back what is left of a token, unless who descends from its agent relies on it here."""
        later = {block.id for block in token.blocks[own + 1 :]}
        relied_on = {
            resource
            for a in self.running()
            if a is not but and a.node == place and a.id != name
            if name in names(chain(a.token))
            if later & {block.id for block in a.token.blocks[: a.own]}
            for resource in limited(chain(a.token))
            if resource not in (a.token.blocks[a.own].caveats.budget or {})
        }
        leaving = any(a.id == name and a.node == place and not a.over for a in self.live.values())
        if not relied_on and not leaving:
            self.nodes[place].meter.release(token, own, payer)
        return self.nodes[place].meter.hand_back(token, own, payer, relied_on)

    def keep(self, place: int, returns: list[VerifiedChain]) -> None:
        """Keep what is to be told, in the transaction that makes it so."""
        meter = self.nodes[place].meter
        for one in returns:
            tip = one.blocks[-1].id
            self.kept[place][tip] = Message(one, meter.given_back(tip))

    # -- what happens to messages --

    def deliver(self) -> None:
        """One arrives, perhaps again or late, and may not be written at once; others are at work meanwhile."""
        waiting = [(place, one) for place, all_ in enumerate(self.kept) for one in all_.values()]
        waiting += [(-1, one) for one in self.copies]
        if not waiting:
            return
        source, message = self.chance.choice(waiting)
        self.copies = [*self.copies, message][-10:]
        tip = message.handed.blocks[-1].id
        place = [key.public for key in KEYS].index(message.handed.blocks[-2].key)
        meter, payer = self.nodes[place].meter, b"return" + tip
        mark = meter.mark(payer)
        found = self.credited(message, payer)
        if self.chance.random() < 0.3:
            self.work(place)
        match self.chance.randrange(8):
            case 0:
                meter.revert(payer, mark)
            case 1:
                self.crash(place)
            case _:
                self.nodes[place].commit(payer)
                self.keep(place, found)
                if source >= 0 and self.kept[source].get(tip) is message:
                    del self.kept[source][tip]

    def work(self, place: int) -> None:
        """Somebody at a node does something."""
        here = [a for a in self.running() if a.node == place]
        if here:
            what = self.chance.choice((self.spend, self.slice, self.commit, self.spawn))
            what(self.chance.choice(here))

    def turn(self) -> None:
        if self.chance.random() < 0.25:
            self.deliver()
        else:
            super().turn()

    def finish(self) -> None:
        """Let everybody end, and every message be heard."""
        while alive := [a for a in self.live.values() if not a.over]:
            agent = self.chance.choice(alive)
            if agent.leaving is not None:
                self.save(agent.id)
                self.answer(agent)
            elif self.chance.random() < 0.3:
                self.deliver()
            else:
                self.end(agent)
        while any(self.kept):
            self.deliver()


def names(token: VerifiedChain) -> list[bytes]:
    """Return the agents that a token names, the latest first."""
    named = (block.caveats.agent for block in token.blocks)
    return list(dict.fromkeys(name for name in named if name is not None))[::-1]


def own_of(token: VerifiedChain, name: bytes) -> int:
    return next(i for i, block in enumerate(token.blocks) if block.caveats.agent == name)


@given(st.integers(0, 1 << 32), st.booleans())
@settings(max_examples=100)
def test_what_families_leave_comes_home_and_never_more(seed: int, at_once: bool) -> None:
    world = Families(random.Random(seed), at_once=at_once)
    for _ in range(50):
        world.turn()
        spent = world.spent()
        assert all(spent[r] <= GRANT[r] for r in SHARED), spent
    world.finish()
    left, spent = world.nodes[0].meter.left(chain(world.first)), world.spent()
    assert all(left[r] + spent[r] <= GRANT[r] for r in SHARED), (left, spent)


@given(st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_what_families_leave_comes_home_whole(seed: int) -> None:
    """Where children have shares, and nobody ends just while who is to have it is on its way to another node."""
    world = Families(random.Random(seed), at_once=True)
    world.sharing = 1.0
    for _ in range(20):
        world.turn()
    world.finish()
    left, spent = world.nodes[0].meter.left(chain(world.first)), world.spent()
    assert {r: left[r] + spent[r] for r in SHARED} == {r: GRANT[r] for r in SHARED}
