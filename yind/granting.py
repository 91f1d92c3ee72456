"""Requests about the tokens of agents: what they ask for, what they hold, what replaces it.

Is:     one function per request verb, like those of `yind.control`.
Is not: the life of a request (`yind.requests`), nor what is left of a budget (`capabilities.budget`).
Fits:   `yind.control` hands on the verbs it does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from capabilities.caveats import Resource, Verb
from capabilities.errors import CapabilityError
from capabilities.handles import Handle
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain
from datomstore.value import Map
from protocol.transport import SendItem
from yind.agent import Agent, State
from yind.agents import Agents
from yind.authority import Authority
from yind.errors import AgentState, RequestInvalid
from yind.fields import Fields
from yind.giving import Giving
from yind.ongoing import Ongoing
from yind.requests import Requests
from yind.scheduler import Scheduler
from yind.session import Session

Handler = Callable[[Session, Fields, SendItem], Awaitable[object]]
VerifyFor = Callable[[bytes, object], Handle]


class Granting:
    """The request verbs of one node that concern the tokens of its agents."""

    def __init__(
        self,
        *,
        node: str,
        agents: Agents,
        authority: Authority,
        requests: Requests,
        scheduler: Scheduler,
        giving: Giving,
        is_moved: Callable[[Agent], bool],
    ) -> None:
        self._is_moved = is_moved
        self._node = node
        self._agents = agents
        self._authority = authority
        self._requests = requests
        self._scheduler = scheduler
        self._giving = giving

    def verbs(self, verify_for: VerifyFor) -> dict[str, Handler]:
        """Return the verbs; `verify_for` makes the handle of a token that is given to an agent."""
        self._verify_for = verify_for
        return {
            "request.list": self.request_list,
            "request.follow": self.request_follow,
            "request.grant": self.request_grant,
            "request.refuse": self.request_refuse,
            "agent.tokens": self.agent_tokens,
            "agent.renew": self.agent_renew,
            "token.agents": self.token_agents,
            "token.left": self.token_left,
        }

    def _allow(self, session: Session, verb: Verb) -> None:
        self._authority.allow(session.tokens, verb, self._node, who=session.peer.text)

    # -- what agents ask for --

    async def request_list(self, session: Session, fields: Fields, send: SendItem) -> object:
        """List the requests that wait for an answer."""
        self._allow(session, Verb.QUERY)
        return tuple(self._requests.row(agent) for agent in self._requests.pending())

    async def request_follow(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Send the requests that wait for an answer, and those to come, until cancelled."""
        self._allow(session, Verb.QUERY)
        ongoing = Ongoing(self._agents, self._authority, session, self._node, (Verb.QUERY,))
        send_allowed = ongoing.sending(send)
        told: set[object] = set()
        news = trio.Event()
        watcher = lambda: news.set()  # noqa: E731  (the event is another one each time)
        self._requests.watchers.add(watcher)
        try:
            while True:
                news = trio.Event()
                for row in [self._requests.row(agent) for agent in self._requests.pending()]:
                    if row["id"] not in told:
                        told.add(row["id"])
                        await send_allowed(row)
                await news.wait()
        finally:
            self._requests.watchers.discard(watcher)

    async def request_grant(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Give an agent tokens for what it asked; it goes on at the same step."""
        self._allow(session, Verb.SPAWN)
        agent = self._requests.find(fields.text("id"))
        tokens, handles = self._given(agent, fields.items("tokens"))
        who = session.peer.text
        async with self._giving.permitted(agent, handles, who=who):
            await self._requests.grant(agent, handles, tokens, who)
        return Map({"agent": agent.record.id, "state": str(agent.record.state)})

    async def request_refuse(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Refuse what an agent asked for; it goes on with an error that it can catch."""
        self._allow(session, Verb.SPAWN)
        agent = self._requests.find(fields.text("id"))
        async with self._scheduler.between_turns(agent):
            await self._requests.refuse(agent, fields.text("reason", ""), session.peer.text)
        return Map({"agent": agent.record.id, "state": str(agent.record.state)})

    def _given(self, agent: Agent, tokens: tuple[object, ...]) -> tuple[list[bytes], list[Handle]]:
        handles = [self._verify_for(agent.record.id, token) for token in tokens]
        return [bytes(token) for token in tokens], handles  # type: ignore[call-overload]

    # -- what they hold --

    async def agent_tokens(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Show an agent's tokens, and what is left of each block's budget. They are bound to this node and the agent."""
        self._allow(session, Verb.QUERY)
        agent = self._agents.find(fields.text("id"))
        return tuple(self._shown(data) for data in agent.record.tokens)

    async def token_left(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Say what is left here of the budgets of a token, whoever holds it."""
        self._allow(session, Verb.QUERY)
        return self._shown(fields.data("token"))

    def _shown(self, data: bytes) -> Map:
        try:
            chain = self._authority.verify_chain(data)
        except CapabilityError as error:
            return Map({"token": data, "left": (), "revoked": None, "invalid": str(error)})
        left = tuple(_amounts(one) for one in self._authority.left(chain))
        revoked = self._authority.revoked_block(chain)
        return Map({"token": data, "left": left, "revoked": revoked, "invalid": None})

    async def token_agents(self, session: Session, fields: Fields, send: SendItem) -> object:
        """List the agents of this node that hold a token with a block, whose id begins so."""
        self._allow(session, Verb.QUERY)
        prefix = fields.text("block")
        return tuple(
            agent.record.id
            for agent in self._agents
            if not agent.ended and any(_has_block(c, prefix) for c in self._chains(agent))
        )

    def _chains(self, agent: Agent) -> list[VerifiedChain]:
        found = []
        for data in agent.record.tokens:
            try:
                found.append(self._authority.verify_chain(data))
            except CapabilityError:  # nothing that a root vouches for any more
                continue
        return found

    async def agent_renew(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Put new tokens in the place of an agent's old ones; if it lacked a right, it goes on at the same step."""
        self._allow(session, Verb.SPAWN)
        agent = self._agents.find(fields.text("id"))
        self._check_here(agent)
        replaced = {tip for tip in fields.items("old") if isinstance(tip, bytes)}
        tokens, handles = self._given(agent, fields.items("tokens"))
        who = session.peer.text
        replaced -= self._dropped(agent, replaced)
        async with self._giving.permitted(agent, handles, who=who, old=tuple(replaced)):
            return await self._renewed(agent, replaced, tokens, handles)

    def _dropped(self, agent: Agent, tips: set[bytes]) -> set[bytes]:
        """Have an agent that has not been restored lose those of some tokens that no root vouches for any more; return their tips.

        With one of them it could not be restored at all. Nothing is left of their budgets that anybody would honour.
        """
        if agent.tokens:
            return set()
        kept: list[bytes] = []
        dropped: set[bytes] = set()
        for data in agent.record.tokens:
            tip = Token.from_bytes(data).ids[-1]
            if tip in tips and self._shown(data)["invalid"] is not None:
                dropped.add(tip)
            else:
                kept.append(data)
        agent.record.tokens = kept
        return dropped

    def _check_here(self, agent: Agent) -> None:
        """Return if an agent's tokens can be replaced now. Raises AgentState."""
        record = agent.record
        if agent.ended or record.state is State.WAITING:
            raise AgentState(f"agent {agent.text_id} is {record.state}: {record.reason}")
        if self._is_moved(agent):  # what would be written is that it is paused
            raise AgentState(f"agent {agent.text_id} is being moved, and goes on afterwards")

    async def _renewed(
        self, agent: Agent, replaced: set[bytes], tokens: list[bytes], handles: list[Handle]
    ) -> Map:
        self._check_here(agent)  # others were at work meanwhile
        record = agent.record
        old = [h for h in self._authority.handles_of(agent) if h.tip in replaced]
        if len(old) != len(replaced) or not handles:
            raise RequestInvalid(f"agent {agent.text_id} does not hold these tokens")
        resumed = record.state is State.PAUSED and record.denied_right is not None
        resumed = resumed and (record.asked is None or record.asked.answer != "pending")
        with self._authority.attempt(agent):
            returns = self._authority.replace(agent, old, handles, self._agents)
            kept = [i for i, handle in enumerate(agent.tokens) if handle not in old]
            record.tokens = [record.tokens[i] for i in kept] + tokens
            agent.tokens = [agent.tokens[i] for i in kept] + handles
            write = self._agents.wake if resumed else self._agents.commit
            await write(agent, lambda batch: self._agents.put_returns(batch, returns, record.id))
        if returns:
            self._agents.returns_wait()
        if resumed:
            self._scheduler.ready(agent)
        return Map({"id": record.id, "state": str(record.state), "resumed": resumed})


def _amounts(left: dict[Resource, int]) -> Map:
    return Map({resource.name.lower(): amount for resource, amount in left.items()})


def _has_block(chain: VerifiedChain, prefix: str) -> bool:
    return any(block.id.hex().startswith(prefix) for block in chain.blocks)
