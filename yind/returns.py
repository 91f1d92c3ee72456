"""What agents that ended away from home leave of their budgets, on its way back.

Is:     telling the node that handed a budget on how much of it was left, until that node has it; and hearing it.
Is not: the accounts (`capabilities.budget`); nor a promise: who does not answer before the block has ended gets nothing.
Fits:   `yind.agents` keeps what is to be returned with the end of its agent; `yind.node` runs this.

The amount is taken from the accounts here in the transaction that ends the agent, and credited there in one that closes
what had gone away: so it is nowhere twice, whatever is lost or repeated between.
"""

from __future__ import annotations

import msgspec
import structlog
import trio

from capabilities.caveats import Resource
from capabilities.keys import PublicKey
from datomstore.value import Map
from protocol.errors import ProtocolError, RemoteError
from yind.agents import RETURN_TABLE, Agents, put_returns
from yind.authority import Authority, Return
from yind.errors import RequestInvalid
from yind.fields import Answer, Fields
from yind.limits import RETURN_RETRY_S
from yind.peers import Peers
from yind.session import Session

_log = structlog.get_logger()


class Returns:
    """The budgets that one node has to give back."""

    def __init__(self, *, agents: Agents, authority: Authority, peers: Peers) -> None:
        self._agents = agents
        self._authority = authority
        self._peers = peers
        self._news = trio.Event()
        agents.returns_wait = lambda: self._news.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Bring back what waits, and what comes, until cancelled."""
        task_status.started()
        while True:
            self._news = trio.Event()
            with self._agents.streams.storage.transaction(write=False) as storage:
                waiting = [
                    msgspec.msgpack.decode(data, type=Return)
                    for _, data in storage.scan(RETURN_TABLE)
                ]
            for one in waiting:
                await self._bring(one)
            with trio.move_on_after(RETURN_RETRY_S):
                await self._news.wait()

    async def _bring(self, one: Return) -> None:
        try:
            name = self._peers.name_of(PublicKey(one.to))
            with trio.fail_after(RETURN_RETRY_S):
                channel = await self._peers.channel(name)
                data = msgspec.msgpack.encode(one)
                await channel.request("budget.return", Map({"return": data}))
        except RemoteError as error:
            _log.info("a budget is not taken back", node=one.to.hex()[:12], why=str(error))
        except (ProtocolError, trio.TooSlowError) as error:
            _log.debug("a budget waits to be returned", why=str(error))
            return
        await self._agents.write(lambda batch: batch.delete(RETURN_TABLE, one.tip))

    def verbs(self) -> dict[str, Answer]:
        """Return what answers the requests of other nodes."""
        return {"budget.return": self._returned}

    async def _returned(self, session: Session, fields: Fields) -> object:
        """Take back what is left of a budget that this node handed to who asks."""
        try:
            one = msgspec.msgpack.decode(fields.data("return"), type=Return)
        except msgspec.DecodeError as error:
            raise RequestInvalid(f"no return of a budget: {error}") from error
        if not all(
            0 <= which <= max(Resource) and amount >= 0 for which, amount in one.left.items()
        ):
            raise RequestInvalid("no return of a budget: no such amounts")
        further = self._authority.take_home(one, session.peer)
        await self._agents.write(lambda batch: put_returns(batch, further))
        if further:
            self._news.set()
        return Map()
