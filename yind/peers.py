"""Connections of a node: those it accepts, and those it makes to other nodes.

Is:     the handler of every connection, a session for each, one outgoing connection per node, made on demand.
Is not: what requests mean (`yind.control`) or what the messages of a hand-off do (`yind.migrate`).
Fits:   `yind.node` starts `serve` and `run`; `yind.migrate` asks for the channel to a node.

Both directions are the same to a peer: what arrives on a connection that this node made is handled like what arrives
on one it accepted.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

import structlog
import trio

from capabilities.keys import PrivateKey, PublicKey
from capabilities.membership import Member, Membership
from datomstore.value import Map
from protocol.errors import Unreachable
from protocol.messages import NONCE_BYTES, HandOff
from protocol.transport import Channel, SendItem, client_context, connect, serve, server_context
from yind.clock import Clock
from yind.members import Members
from yind.session import Session

OnRequest = Callable[[Session, str, object, SendItem], Awaitable[Map]]
OnMessage = Callable[[Channel, HandOff], Awaitable[None]]

_log = structlog.get_logger()


class Peers:
    """Everyone this node talks to."""

    def __init__(
        self,
        *,
        name: str,
        key: PrivateKey,
        certificate: bytes,
        members: Members,
        clock: Clock,
        on_request: OnRequest,
        on_message: OnMessage,
    ) -> None:
        self._name = name
        self._key = key
        self._certificate = certificate
        self._members = members
        self._clock = clock
        self._on_request = on_request
        self._on_message = on_message
        self._sessions: WeakKeyDictionary[Channel, Session] = WeakKeyDictionary()
        self._channels: dict[str, Channel] = {}
        self._dialling: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)
        self._nursery: trio.Nursery | None = None
        self._server = server_context(key, certificate, [])
        members.listen(self._follow)

    def node_names(self) -> list[str]:
        """Return the names of the cluster's nodes, this one included."""
        return sorted(member.name for member in self._members.current if member.role == "node")

    def other_nodes(self) -> list[str]:
        """Return the names of all nodes but this one."""
        return [name for name in self.node_names() if name != self._name]

    def node(self, name: str) -> Member | None:
        """Return the member that is the node of this name."""
        return self._members.current.node(name)

    def name_of(self, key: PublicKey) -> str:
        """Return the name of the member with a key; the key itself if it is no member any more."""
        member = self._members.current.of_key(key)
        return key.text if member is None else member.name

    def node_of_key(self, key: PublicKey) -> Member | None:
        """Return the member with a key if it is a node."""
        member = self._members.current.of_key(key)
        return member if member is not None and member.role == "node" else None

    def is_node(self, key: PublicKey) -> bool:
        """Return whether a key is that of a node of the cluster."""
        return self.node_of_key(key) is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the connections this node makes, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def serve(
        self,
        address: str,
        *,
        task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections until cancelled."""
        await serve(
            address,
            context=self._current_context,
            name=self._name,
            nonce=self._nonce,
            handler=self,
            failed=_report,
            task_status=task_status,
        )

    def _follow(self, membership: Membership) -> None:
        """Let in who is a member now, and nobody else."""
        self._server = server_context(self._key, self._certificate, membership.certificates())

    def _current_context(self) -> ssl.SSLContext:
        return self._server

    def _nonce(self) -> bytes:
        return self._clock.random_bytes(NONCE_BYTES)

    # -- outgoing --

    def open_channel(self, node: str) -> Channel | None:
        """Return the connection to a node that this node has made, if it is open."""
        channel = self._channels.get(node)
        return None if channel is None or channel.closed_reason is not None else channel

    async def channel(self, node: str) -> Channel:
        """Return the connection to a node, made now if there is none.

        Raises:
            Unreachable: nobody answers there.
            AuthenticationFailed: somebody else answers there.
        """
        async with self._dialling[node]:
            channel = self._channels.get(node)
            if channel is None:
                assert self._nursery is not None, "`run` holds the connections"
                channel = await self._nursery.start(self._hold, node)
                self._channels[node] = channel
            return channel

    async def _hold(
        self, node: str, *, task_status: trio.TaskStatus[Channel] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep one connection; its end, whatever the reason, makes room for the next."""
        member = self.node(node)
        if member is None:
            raise Unreachable(f"the cluster has no node {node!r}")
        context = client_context(self._key, self._certificate, [member.certificate])
        connected = False
        try:
            async with connect(
                member.addresses[0],
                context=context,
                server=member.key,
                name=self._name,
                nonce=self._nonce(),
                handler=self,
            ) as channel:
                connected = True
                task_status.started(channel)
                await channel.wait_closed()
        except Exception as error:
            if not connected:
                raise
            _report(error)
        finally:
            if connected:
                self._channels.pop(node, None)

    # -- what arrives --

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        """Answer a request on any connection."""
        session = self._sessions.get(channel)
        if session is None:
            session = self._sessions[channel] = Session(channel.peer)
        return await self._on_request(session, verb, body, send)

    async def message(self, channel: Channel, message: HandOff) -> None:
        """Hand on a message of a hand-off."""
        await self._on_message(channel, message)


def _report(error: Exception) -> None:
    _log.error("a connection's work failed", exc_info=error)
