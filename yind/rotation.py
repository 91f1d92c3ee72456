"""A node's own key, changed while the node runs.

Is:     making the next key, saying so under both keys, and being it; and destroying the former one when its time is over.
Is not: rotation of the cluster's root, whose key no node has (`yin cluster rotate`).
Fits:   `yind.members` tells the succession, `yind.peers` shows certificates of both keys while both hold.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from capabilities.caveats import Verb
from capabilities.membership import Membership
from capabilities.statements import Succession, sign
from capabilities.tokens import Token
from datomstore.value import Map
from yind.agents import Agents
from yind.authority import Authority
from yind.clock import Clock
from yind.errors import RequestInvalid, RotationRefused
from yind.fields import Answer, Fields
from yind.identity import Identity
from yind.limits import ROTATION_S, ROTATION_S_MAX, TELL_S
from yind.members import Members
from yind.peers import Peers
from yind.session import Session


class Rotation:
    """The change of one node's key."""

    def __init__(
        self,
        *,
        node: str,
        identity: Identity,
        members: Members,
        agents: Agents,
        authority: Authority,
        peers: Peers,
        tell: Callable[[list[bytes]], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._node = node
        self._identity = identity
        self._members = members
        self._agents = agents
        self._authority = authority
        self._peers = peers
        self._tell = tell  # returns when all that answer have heard
        self._clock = clock
        self._lock = trio.Lock()

    def recover(self) -> None:
        """Finish what an earlier run of this node began."""
        self._identity.recover(self._members.current.lineage.successor(self._identity.now.public))
        self._be()
        self._members.listen(self._follow)

    def verbs(self) -> dict[str, Answer]:
        """Return what answers requests about the node's key."""
        return {"node.rotate": self._rotate}

    async def _rotate(self, session: Session, fields: Fields) -> object:
        """Change the key. Asks for `admit` on this node."""
        self._authority.allow(session.tokens, Verb.ADMIT, self._node, who=session.peer.text)
        overlap_s = fields.number("overlap_s", None)
        overlap_s = ROTATION_S if overlap_s is None else overlap_s
        if overlap_s > ROTATION_S_MAX:
            raise RequestInvalid(f"two keys at a time for at most {ROTATION_S_MAX} s")
        async with self._lock:
            self._check_settled()
            if not fields.get("force", bool, default=False):
                self._check_agents()
            return await self._change(overlap_s)

    async def _change(self, overlap_s: int) -> Map:
        before = self._identity.now
        try:
            after = self._identity.prepare(self._node)
        except OSError as error:
            raise RotationRefused(f"the new key cannot be written: {error}") from error
        now_s = self._clock.now_ms() // 1000
        step = Succession(
            before.public, after.public, now_s, now_s + overlap_s, 1, after.certificate
        )
        statement = sign(step, before.key, after.key)
        await self._members.say(statement)
        # Before anybody else knows the new key: agents come with tokens that name it as soon as somebody does.
        self._authority.become(after.key, before.key)
        with trio.move_on_after(
            TELL_S
        ):  # who knows the new key takes our connections under it at once
            await self._tell([statement.data])
        self._identity.advance()
        self._be()
        return Map({"old": before.public.text, "new": after.public.text, "until": step.until_s})

    def _check_settled(self) -> None:
        """Raises RotationRefused while the key before this one is still accepted."""
        member = self._members.current.node(self._node)
        if member is None or member.key != self._identity.now.public:
            raise RotationRefused("this node's key is not the one its cluster knows")
        if member.former is not None:
            raise RotationRefused("the former key still holds: nobody follows a follower")

    def _check_agents(self) -> None:
        """Raises RotationRefused if a token of an agent here names the key before this one: it would follow no further."""
        own = self._identity.now.public
        behind = [
            agent.text_id
            for agent in self._agents
            if not agent.ended
            and any(Token.from_bytes(data).holder != own for data in agent.record.tokens)
        ]
        if behind:
            some = ", ".join(behind[:3]) + (" ..." if len(behind) > 3 else "")
            raise RotationRefused(
                f"{len(behind)} agents hold tokens that name an older key ({some}): renew them first, or force it"
            )

    def _be(self) -> None:
        former = self._identity.former
        self._authority.become(self._identity.now.key, None if former is None else former.key)
        self._peers.become(self._identity)

    def _follow(self, membership: Membership) -> None:
        """Destroy the former key when others accept it no more."""
        member, former = membership.node(self._node), self._identity.former
        if former is not None and member is not None and former.public not in member.keys:
            self._identity.forget_former()
            self._be()
