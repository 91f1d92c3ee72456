"""Revocations on their way through the cluster.

Is:     taking them in, pausing the agents they concern, telling the other nodes at once, and comparing lists with
        every other node now and then, which is how a node that was away catches up.
Is not: what a revocation says or whom it binds (`capabilities.revocation`).
Fits:   `yind.control` brings those of people and of nodes; `yind.authority` decides with the list.
Source: Demers et al., "Epidemic algorithms for replicated database maintenance" (1987): rumours and anti-entropy. The list
        only grows, and the union of two lists is the list of both, so no order matters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import structlog
import trio

from capabilities.errors import CapabilityError
from capabilities.revocation import Revocation
from datomstore.value import Map
from protocol.errors import ProtocolError
from protocol.transport import Channel
from yind.agent import Agent, State
from yind.agents import Agents
from yind.authority import Authority
from yind.limits import REVOCATIONS_SHOWN_MAX, REVOCATIONS_SYNC_S
from yind.peers import Peers

_log = structlog.get_logger()


class Revocations:
    """The list of one node, in touch with the others'."""

    def __init__(self, *, node: str, agents: Agents, authority: Authority, peers: Peers) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._peers = peers
        self._compared: dict[
            str, float
        ] = {}  # node -> when our lists were equal last, by trio's clock
        self._nursery: trio.Nursery | None = None
        authority.revocation_age_s = self.age_s

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Compare lists with every other node again and again, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for name in self._others():
                nursery.start_soon(self._keep_equal, name)
            task_status.started()
            await trio.sleep_forever()

    def _others(self) -> list[str]:
        return [name for name in self._peers.node_names() if name != self._node]

    def age_s(self) -> int | None:
        """Return how old this node's list may be: since when some node has not been heard. None: never all."""
        others = self._others()
        if not all(name in self._compared for name in others):
            return None
        now = trio.current_time()
        return int(max((now - self._compared[name] for name in others), default=0))

    # -- taking in --

    async def take(self, statements: Iterable[Revocation]) -> tuple[int, int]:
        """Take statements in, tell the others what is new; return how many are new and how many agents paused.

        Raises:
            TokenInvalid: the list is full.
        """
        fresh = [statement for statement in statements if self._authority.revoke(statement)]
        if not fresh:
            return 0, 0
        await self._agents.write(self._authority.write_revocations)
        paused = sum([self._pause_if_revoked(agent) for agent in self._agents])
        if self._nursery is not None:
            for name in self._others():
                self._nursery.start_soon(self._tell, name, fresh)
        return len(fresh), paused

    def _pause_if_revoked(self, agent: Agent) -> bool:
        """Ask an agent that holds a revoked token to pause at the end of its slice."""
        if agent.ended or agent.record.state is State.PAUSED:
            return False
        for handle in agent.tokens:
            block = self._authority.revoked_block(handle.token)
            if block is not None:
                agent.requested = State.PAUSED
                agent.requested_reason = f"token revoked: block {block}"
                if agent.wake is not None:
                    agent.wake()
                return True
        return False

    # -- telling and asking --

    async def _tell(self, name: str, statements: list[Revocation]) -> None:
        try:
            channel = await self._peers.channel(name)
            for statement in statements:
                await channel.request("token.revoke", Map({"revocation": statement.to_bytes()}))
        except ProtocolError as error:  # comparing lists will tell it
            _log.info("a revocation was not told", node=name, why=str(error))

    async def _keep_equal(self, name: str) -> None:
        while True:
            try:
                await self._compare(name)
            except (ProtocolError, CapabilityError) as error:
                _log.debug("lists of revocations were not compared", node=name, why=str(error))
            await trio.sleep(REVOCATIONS_SYNC_S)

    async def _compare(self, name: str) -> None:
        channel = await self._peers.channel(name)
        asked = trio.current_time()
        answer = await channel.request("revocation.digest")
        if answer.get("digest") != self.digest():
            await self._fetch(channel)
        self._compared[name] = asked

    async def _fetch(self, channel: Channel) -> None:
        after = b""
        while True:
            answer = await channel.request("revocation.list", Map({"after": after}))
            listed = answer.get("revocations")
            if not isinstance(listed, tuple) or not listed:
                return
            await self.take([Revocation.from_bytes(item) for item in listed])
            after = _place(Revocation.from_bytes(listed[-1]))

    # -- what others ask --

    def digest(self) -> bytes:
        """Return what is equal for equal lists."""
        return hashlib.sha256(self._authority.revoked.encode()).digest()

    def listed(self, after: bytes) -> tuple[bytes, ...]:
        """Return the next statements of the list, in its order, as bytes."""
        later = sorted((one for one in self._authority.revoked if _place(one) > after), key=_place)
        return tuple(one.to_bytes() for one in later[:REVOCATIONS_SHOWN_MAX])


def _place(statement: Revocation) -> bytes:
    """Return where a statement stands in the order of lists."""
    return statement.block_id + statement.revoker.bytes
