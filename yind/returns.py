"""What agents that ended away from home leave of their budgets, on its way back.

Is:     telling the node that handed a budget on how much of it was left, until that node has it; and hearing it.
Is not: the accounts (`capabilities.budget`); nor a promise: who does not answer before the block has ended gets nothing.
Fits:   `yind.agents` keeps what is to be returned with the end of its agent; `yind.node` runs this.

The amount is taken from the accounts here in the transaction that ends the agent. What is told is how much has gone back
with a block in all, and both sides count it: so it is nowhere twice, whatever is lost, repeated, or comes late.
"""

from __future__ import annotations

import msgspec
import structlog
import trio

from capabilities.caveats import Resource
from capabilities.keys import PublicKey
from datomstore.batch import Batch
from datomstore.value import Map
from protocol.errors import ProtocolError, RemoteError
from yind.agents import RETURN_TABLE, Agents
from yind.authority import Authority
from yind.errors import RequestInvalid
from yind.estates import Return, payer_of
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
        self._busy: set[str] = set()  # nodes that are being told
        agents.returns_wait = lambda: self._news.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Bring back what waits, and what comes, until cancelled; a node that does not answer keeps no other waiting."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                self._news = trio.Event()
                for name, waiting in self._waiting().items():
                    if name not in self._busy:
                        self._busy.add(name)
                        nursery.start_soon(self._bring_all, name, waiting)
                with trio.move_on_after(RETURN_RETRY_S):
                    await self._news.wait()

    def _waiting(self) -> dict[str, list[Return]]:
        """Return what goes to which node."""
        found: dict[str, list[Return]] = {}
        with self._agents.streams.storage.transaction(write=False) as storage:
            for _, data in storage.scan(RETURN_TABLE):
                one = msgspec.msgpack.decode(data, type=Return)
                found.setdefault(self._peers.name_of(PublicKey(one.to)), []).append(one)
        return found

    async def _bring_all(self, name: str, waiting: list[Return]) -> None:
        """Bring a node what waits for it, until it does not answer; drop what cannot be brought any more."""
        left = list(waiting)
        try:
            for one in waiting:
                if await self._bring(name, one):
                    left.remove(one)
        except (ProtocolError, trio.TooSlowError) as error:
            _log.debug("a budget waits to be returned", node=name, why=str(error))
        finally:
            self._busy.discard(name)
        for one in filter(self._authority.estates.is_over, left):
            await self._drop(one)
        if not left:
            self._news.set()  # for what came meanwhile

    async def _bring(self, name: str, one: Return) -> bool:
        """Return whether a node has answered for good. Raises ProtocolError or TooSlowError if it has not answered."""
        try:
            with trio.fail_after(RETURN_RETRY_S):
                channel = await self._peers.channel(name)
                data = msgspec.msgpack.encode(one)
                await channel.request("budget.return", Map({"return": data}))
        except RemoteError as error:
            _log.info("a budget is not taken back", node=name, why=str(error))
            if not _is_final(error.code):
                return False
        await self._drop(one)
        return True

    async def _drop(self, one: Return) -> None:
        """Forget a return, unless more is to go back with the same block by now."""
        data = msgspec.msgpack.encode(one)

        def stage(batch: Batch) -> None:
            if batch.get(RETURN_TABLE, one.tip) == data:
                batch.delete(RETURN_TABLE, one.tip)

        await self._agents.write(stage)

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
            0 <= which <= max(Resource) and amount >= 0 for which, amount in one.back.items()
        ):
            raise RequestInvalid("no return of a budget: no such amounts")
        with self._authority.estates.coming_home(one, session.peer, self._agents) as further:
            await self._agents.write(lambda batch: self._keep(batch, one, further))
        if further:
            self._news.set()
        return Map()

    def _keep(self, batch: Batch, one: Return, further: list[Return]) -> None:
        self._authority.estates.settle(one)
        self._agents.put_returns(batch, further, payer_of(one))


def _is_final(code: str) -> bool:
    """Return whether a node that says this of a return says it again: one that is busy, or fails, may take it later."""
    return code == RequestInvalid.code or code.startswith("token/")
