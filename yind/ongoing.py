"""Answers that go on: each part of one is allowed when it is sent, and paid for on the disk before that.

Is:     the decision that such an answer began with, made again for every part of it; a refusal ends it.
Is not: deciding (`yind.authority`), nor what is sent (`yind.watching`, `yind.control`, `yind.granting`).
Fits:   every request that sends parts, or waits long before its answer, has one.

Tokens may be revoked, come to their end or be spent meanwhile. That one part after the other was allowed is noted once, as
it was when the answer began; that one is not, when it is not. A crash gives nothing back of what paid for a part that was
sent, and takes what paid for one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from capabilities.caveats import Resource, Verb
from capabilities.handles import FREE
from capabilities.patterns import AttributeFilter
from datomstore.value import Map
from protocol.transport import SendItem
from yind.agents import Agents
from yind.audit import own_decisions
from yind.authority import Authority, Paid
from yind.costs import Cost
from yind.session import Session


class Ongoing:
    """One answer that goes on as far as the tokens that a connection has presented let it.

    Args:
        resource: what was asked for.
        verbs: the rights on it that were needed; the first one's token pays.
        named: attributes that were named of its facts, if it has facts.
        only: which attributes are shown; None for all. A token that shows less is no help: it was asked for more.
    """

    def __init__(
        self,
        agents: Agents,
        authority: Authority,
        session: Session,
        resource: str,
        verbs: tuple[Verb, ...],
        *,
        named: frozenset[str] | None = None,
        only: AttributeFilter | None = None,
    ) -> None:
        self._agents = agents
        self._authority = authority
        self._session = session
        self._resource = resource
        self._verbs = verbs
        self._named = named
        self._only = only

    def counts(self, resource: Resource) -> bool:
        """Return whether a token has a budget of something, so that it has to be counted."""
        return any(resource in handle.limited for handle in self._session.tokens)

    def check(self) -> None:
        """Return if the answer may still go on. Raises Denied."""
        for verb in self._verbs:
            self._charge(verb)

    async def pay(self, costs: Sequence[Cost]) -> int:
        """Pay for parts, of which there is one, one after the other; return for how many there was enough, once that lasts.

        Raises Denied if there is not even enough for the first one.
        """
        first, *others = costs
        paid = [self._charge(self._verbs[0], first)]
        for cost in others:
            if (one := self._take(cost)) is None:
                break
            paid.append(one)
        if any(one.cost for one in paid):
            await self._agents.write_spent()
        return len(paid)

    def _charge(self, verb: Verb, cost: Cost = FREE) -> Paid:
        return self._authority.charge(
            self._session.tokens,
            verb,
            self._resource,
            who=self._session.peer.text,
            cost=cost,
            attributes=self._named,
            only=self._only,
        )

    def _take(self, cost: Cost) -> Paid | None:
        return self._authority.take(
            self._session.tokens, self._verbs[0], self._resource, cost, self._named, self._only
        )

    def sending(self, send: SendItem) -> SendItem:
        """Return what sends a part if it is still allowed, once the decisions that led to it are durable."""

        async def send_allowed(part: Map) -> None:
            if decisions := own_decisions():
                await self._agents.write_decisions(decisions)
            self.check()  # nothing but room on the connection is waited for from here on
            await send(part)

        return send_allowed
