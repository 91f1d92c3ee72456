"""What people do in a simulated world: pause agents and move them, take rights back and give others, say whom a node takes.

Is:     acts that come when chance says so, and a desk at which somebody sees to agents that wait for a person. All of it goes
        by what nodes answer to anybody who has the tokens: people know of the nodes what they ask them.
Is not: what becomes of it (`oracle`), nor the machine that joins (`newcomer`).
Fits:   `fate` begins the acts; `simulating` opens the desk.

A person has an agent for himself. Two who renew one agent's budget at a time would grant it twice, which is no node's fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from oracle import Watch
from simulated import Found, Simulated

from capabilities.caveats import Resource
from capabilities.revocation import Revocation, SignerRevocation
from capabilities.tokens import Token
from cli.ended_tokens import Shortage, least_left, shortage_of
from yind.agent import Agent, State
from yind.control import summary

MOVES, REVOCATIONS, POLICIES = 16, 6, 4  # in all
SEEN_TO = 0.3  # how likely somebody sees to an agent at a look, while things go wrong
REFUSED = 0.3  # how likely a request is refused then
ROWS_OF_A_STEP = 2  # attributes with values
LOOK_S = 0.5
TOKEN_S = 3600
HOLDS_LONG = """
[[(violation ?token "it holds for too long") [_ :agent/token ?token] [?token :token/lifetime ?s] [(> ?s 60)]]]
"""
COMES_FROM = '[[(violation ?agent "not from there") [?agent :agent/from "{}"]]]'


class People:
    """Those who have to do with the agents of a world."""

    def __init__(self, nodes: Simulated, found: Found, watch: Watch) -> None:
        self._nodes = nodes
        self._found = found
        self._watch = watch
        self._chance = nodes.world.chance
        self._left = {"migrate": MOVES, "revoke": REVOCATIONS, "policy": POLICIES}
        self._taken: set[bytes] = set()  # agents that somebody has to do with
        self._strict: set[str] = set()  # nodes with a policy
        self.calm = False  # nobody is slow, and nobody refuses

    def _note(self, kind: str, what: str) -> None:
        self._found.faults[kind] += 1
        self._nodes.world.note(f"-- {kind} {what}")

    def _may(self, kind: str) -> bool:
        """Count an act of which a world has only so many."""
        self._left[kind] -= 1
        return self._left[kind] >= 0

    def _somebody(self, *, paused: bool = False) -> tuple[str, bytes] | None:
        here = [
            (name, agent.record.id)
            for name, agent in self._nodes.living()
            if agent.record.id not in self._taken
            and (not paused or agent.record.state is State.PAUSED)
        ]
        return self._chance.choice(here) if here else None

    @contextmanager
    def _alone_with(self, agent: bytes) -> Iterator[None]:
        self._taken.add(agent)
        try:
            yield
        finally:
            self._taken.discard(agent)

    # -- agents --

    async def pause(self) -> None:
        """Have an agent stand still for a while; now and then it gets other tokens before it goes on."""
        found = self._somebody()
        if found is None:
            return
        name, agent = found
        self._note("pause", f"{agent.hex()[:6]} at {name}")
        with self._alone_with(agent):
            row = await self._nodes.try_ask(name, "agent.pause", id=agent.hex())
            await trio.sleep(self._chance.choice([0.0, 0.03, 0.3]))
            if row is not None and "by a person" in row["reason"] and self._chance.random() < 0.5:
                await self._renew(name, agent, None, every=True)
            await self._nodes.try_ask(name, "agent.resume", id=agent.hex())

    async def move(self) -> None:
        """Move an agent, which may want to go elsewhere, or wait for something."""
        found = self._somebody(paused=self._chance.random() < 0.5)
        if found is None or not self._may("migrate"):
            return
        name, agent = found
        to = self._chance.choice([other for other in self._nodes.places if other != name])
        self._note("migrate", f"{agent.hex()[:6]} from {name} to {to}")
        with self._alone_with(agent):
            await self._nodes.try_ask(name, "agent.migrate", id=agent.hex(), node=to)

    # -- tokens --

    async def revoke(self) -> None:
        """Take back a block of an agent's token, at one node; now and then all that the operator has signed so far."""
        found = self._somebody()
        if found is None or not self._may("revoke"):
            return
        name, agent = found
        rows = await self._nodes.try_ask(name, "agent.tokens", id=agent.hex())
        if rows is None or not rows["value"]:
            return
        token = Token.from_bytes(self._chance.choice(rows["value"])["token"])
        said = self._statement(token)
        self._watch.said(said)
        self._note("revoke", f"{agent.hex()[:6]} from {name}")
        body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
        standing = [place for place, _ in self._nodes.standing()]
        for place in self._chance.sample(standing, len(standing)):
            if await self._nodes.try_ask(place, "token.revoke", **body) is not None:
                self._watch.heard(said)
                return

    def _statement(self, token: Token) -> Revocation | SignerRevocation:
        cluster = self._nodes.cluster
        if self._chance.random() < 0.15 and not self._watch.has_signer:
            until = self._nodes.now_s() + TOKEN_S - 1
            return SignerRevocation.sign(cluster.root_key, cluster.operator_key.public, until)
        key = self._chance.choice([cluster.root_key, cluster.operator_key])
        return Revocation.sign(key, token, self._chance.randrange(len(token.blocks)))

    async def sit(self) -> None:
        """See to agents that wait for a person, until cancelled."""
        while True:
            await trio.sleep(LOOK_S)
            for name, agent in list(self._nodes.living()):
                waits = agent.record.state is State.PAUSED and agent.record.id not in self._taken
                if waits and (self.calm or self._chance.random() < SEEN_TO):
                    with self._alone_with(agent.record.id):
                        await self._see_to(name, agent)

    async def _see_to(self, name: str, agent: Agent) -> None:
        record = agent.record
        if "by a person" in record.reason:  # who was not heard, or has forgotten it
            await self._nodes.try_ask(name, "agent.resume", id=record.id.hex())
            return
        if record.asked is not None and record.asked.answer == "pending":
            await self._answer(name, record.id, record.asked.id)
            return
        shortage = shortage_of(summary(agent))
        if shortage is not None or "revoked" in record.reason or self.calm:
            await self._renew(name, record.id, shortage)

    async def _answer(self, name: str, agent: bytes, request: str) -> None:
        """Grant a request for one more step, or refuse it: then it is made again."""
        if not self.calm and self._chance.random() < REFUSED:
            self._note("refuse", f"{agent.hex()[:6]} at {name}")
            await self._nodes.try_ask(name, "request.refuse", id=request, reason="not now")
            return
        self._note("grant", f"{agent.hex()[:6]} at {name}")
        token = self._made(name, agent, {Resource.ROWS: ROWS_OF_A_STEP})
        await self._nodes.try_ask(name, "request.grant", id=request, tokens=(token,))

    async def _renew(
        self, name: str, agent: bytes, shortage: Shortage | None, *, every: bool = False
    ) -> None:
        """Replace an agent's tokens that have ended, or all, by such with what was left of their budgets, as `yin token renew` does.

        Of a token that is revoked here nothing can be spent meanwhile; who is paused by a person spends nothing, either.
        """
        rows = await self._nodes.try_ask(name, "agent.tokens", id=agent.hex())
        made: dict[bytes, bytes] = {}
        for row in () if rows is None else rows["value"]:
            left = least_left(row["left"])
            lacks = shortage is not None and left.get(shortage.resource, shortage.needed) < (
                shortage.needed
            )
            self._watch.see(row["token"])
            if every or row["revoked"] is not None or lacks:
                if lacks and shortage is not None:
                    left[shortage.resource] = shortage.needed
                old = Token.from_bytes(row["token"])
                self._watch.replaced(agent, old, row["revoked"])
                made[old.ids[-1]] = self._made(name, agent, left)
        if made:
            self._note("renew", f"{agent.hex()[:6]} at {name}")
            body = {"old": tuple(made), "tokens": tuple(made.values())}
            await self._nodes.try_ask(name, "agent.renew", id=agent.hex(), **body)

    def _made(self, name: str, agent: bytes, budget: dict[Resource, int]) -> bytes:
        token = self._nodes.token(ttl_s=TOKEN_S, budget=budget or None)
        made = self._nodes.delegate(token, name, agent)
        self._watch.see(made)
        return made

    # -- whom a node takes --

    async def be_strict(self) -> None:
        """Have a node take nobody from somewhere, or nobody whose tokens hold for long, for a while."""
        names = [name for name in self._nodes.places if name not in self._strict]
        if not names or not self._may("policy"):
            return
        name = self._chance.choice(names)
        other = self._chance.choice([place for place in self._nodes.places if place != name])
        source = self._chance.choice([other, None])
        self._strict.add(name)
        self._note("policy", f"{name} takes nobody from {source or 'anywhere'}")
        policy = self._nodes.cluster.node_folder(name) / "policy.edn"
        policy.write_text(HOLDS_LONG if source is None else COMES_FROM.format(source))
        self._nodes.configure(name, policy)
        if await self._nodes.try_ask(name, "policy.reload") is not None:
            self._watch.takes_nobody(name, source)
        await trio.sleep(self._chance.choice([0.5, 5.0, 20.0]))
        self._watch.takes_all(name)
        self._nodes.configure(name)
        while await self._nodes.try_ask(name, "policy.reload") is None:  # noqa: ASYNC110
            await trio.sleep(LOOK_S)
        self._strict.discard(name)
