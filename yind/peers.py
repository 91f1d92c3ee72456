"""Connections of a node: those it accepts, and those it makes to other nodes.

Is:     the handler of every connection, a session for each, one connection to each other node, held and made again.
Is not: what requests mean (`yind.control`) or what the messages of a hand-off do (`yind.migrate`).
Fits:   `yind.node` starts `serve` and `run`; `yind.migrate` asks for the channel to a node.

Both directions are the same to a peer: what arrives on a connection that this node made is handled like what arrives
on one it accepted. When two nodes dial each other at once, both keep the connection that the node with the smaller key
opened. Who is no member any more loses its connections at once.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from weakref import WeakKeyDictionary

import structlog
import trio

from capabilities.keys import PublicKey
from capabilities.membership import Member, Membership
from datomstore.value import Map
from protocol.backoff import Backoff
from protocol.errors import AuthenticationFailed, ProtocolError, Unreachable
from protocol.holdings import Holdings
from protocol.messages import NONCE_BYTES, HandOff
from protocol.tls import server_name
from protocol.transport import Channel, SendItem, client_context, connect, serve, server_context
from yind.audit import nobodys
from yind.clock import Clock
from yind.identity import Identity, Pair
from yind.limits import DIAL_AGAIN_S, RETIRE_S
from yind.members import Members
from yind.session import Session

OnRequest = Callable[[Session, str, object, SendItem], Awaitable[Map]]
OnMessage = Callable[[Channel, HandOff], None]

_log = structlog.get_logger()


class Link:
    """A connection to another node, and who opened it."""

    def __init__(self, channel: Channel, opener: PublicKey) -> None:
        self.channel = channel
        self.opener = opener
        self.over = trio.Event()  # it is not used any more

    def yields_to(self, other: Link) -> bool:
        """Return whether a newer connection takes this one's place."""
        return other.opener.bytes <= self.opener.bytes


class Peers:
    """Everyone this node talks to."""

    def __init__(
        self,
        *,
        name: str,
        identity: Identity,
        members: Members,
        clock: Clock,
        on_request: OnRequest,
        on_stranger: Callable[[str], None],
    ) -> None:
        self._name = name
        self._identity = identity
        self._members = members
        self._clock = clock
        self._on_request = on_request
        self._on_stranger = on_stranger
        self._sessions: WeakKeyDictionary[Channel, Session] = WeakKeyDictionary()
        self._open: set[Channel] = set()
        self._origins: dict[Channel, bytes | None] = {}  # of nodes, as long as nobody joins or goes
        self._links: dict[str, Link] = {}  # node -> the connection that requests to it take
        self._wanted: defaultdict[str, trio.Event] = defaultdict(trio.Event)  # by who has none
        self._dialling: set[str] = set()
        self._answered: defaultdict[str, trio.Event] = defaultdict(trio.Event)  # or none could be
        self._failed: dict[str, tuple[float, type[ProtocolError], str]] = {}
        self._kept: set[str] = set()
        self._holdings = Holdings()
        self._nursery: trio.Nursery | None = None
        self._admits: Callable[[], bool] = lambda: False
        self._apply: Callable[[bytes, str], Awaitable[bytes | None]] | None = None
        self.message: OnMessage = (  # takes the messages of hand-offs
            lambda channel, message: None
        )
        self.met: Callable[[str], None] = lambda node: (
            None
        )  # told of every new connection to a node
        self._server: ssl.SSLContext
        self._door_is_open = False
        members.listen(self._follow)

    def node_names(self) -> tuple[str, ...]:
        """Return the names of the cluster's nodes, this one included, in their order."""
        return self._members.current.node_names

    def other_nodes(self) -> list[str]:
        """Return the names of all nodes but this one."""
        return [name for name in self.node_names() if name != self._name]

    def node(self, name: str) -> Member | None:
        """Return the member that is the node of this name."""
        return self._members.current.node(name)

    def name_of(self, key: PublicKey) -> str:
        """Return the name of the member with a key; the key itself if it is no member any more."""
        origin = self.origin(key)
        owners = (one.name for one in self._members.current if self.origin(one.key) == origin)
        return next(owners, key.text)

    def node_of_key(self, key: PublicKey) -> Member | None:
        """Return the member with a key if it is a node."""
        member = self._members.current.of_key(key)
        return member if member is not None and member.role == "node" else None

    def is_node(self, key: PublicKey) -> bool:
        """Return whether a key is that of a node of the cluster."""
        return self.node_of_key(key) is not None

    def node_at(self, channel: Channel) -> bytes | None:
        """Return the origin of the key at the other side; None if it is no node, or not any more."""
        try:
            return self._origins[channel]
        except KeyError:
            found = self.origin(channel.peer).bytes if self.is_node(channel.peer) else None
            if channel in self._open:
                self._origins[channel] = found
            return found

    def origin(self, key: PublicKey) -> PublicKey:
        """Return what names the owner of a key whatever keys it has had."""
        return self._members.current.lineage.origin(key)

    # -- who is let in --

    def admit(
        self, is_open: Callable[[], bool], apply: Callable[[bytes, str], Awaitable[bytes | None]]
    ) -> None:
        """Let `apply` answer who applies for membership, while `is_open`."""
        self._admits, self._apply = is_open, apply

    def become(self, identity: Identity) -> None:
        """Show another key from now on; connections under the one before are made again."""
        self._identity = identity
        self.renew()
        for link in self._links.values():
            if link.opener != self._own and self._is_own(link.opener):
                self._retire(link.channel)

    def renew(self) -> None:
        """Take over who may connect now."""
        self._follow(self._members.current)

    @property
    def _own(self) -> PublicKey:
        return self._identity.now.public

    def _is_own(self, key: PublicKey) -> bool:
        return self.origin(key) == self.origin(self._own)

    def _follow(self, membership: Membership) -> None:
        """Let in who is a member now, and nobody else; hold a connection to every node."""
        self._origins.clear()
        for channel in list(self._open):
            if membership.of_key(channel.peer) is None:
                channel.close("no member any more")
        now, former = self._identity.now, self._identity.former
        trusted, applicants = membership.certificates(), self._admits()
        self._door_is_open = applicants
        named = {}
        if former is not None:
            named[server_name(former.public)] = server_context(
                former.key, former.certificate, trusted, applicants=applicants
            )
        self._server = server_context(
            now.key, now.certificate, trusted, applicants=applicants, named=named
        )
        if self._nursery is not None:
            self._keep_all()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold connections to the other nodes, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._keep_all()
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
            hosted=self._hosted,
            applicants=self._apply,
            stranger=self._on_stranger,
            holdings=self._holdings,
            task_status=task_status,
        )

    def _current_context(self) -> ssl.SSLContext:
        if self._admits() != self._door_is_open:  # the last ticket is over
            self.renew()
        return self._server

    def _nonce(self) -> bytes:
        return self._clock.random_bytes(NONCE_BYTES)

    # -- every connection --

    @contextmanager
    def _hosted(self, channel: Channel) -> Iterator[None]:
        """Count a connection that was accepted among the open ones."""
        with self._counted(channel, channel.peer):
            yield

    @contextmanager
    def _counted(self, channel: Channel, opener: PublicKey) -> Iterator[None]:
        member = self._members.current.of_key(channel.peer)
        if member is None:  # it was removed while it shook hands
            channel.close("no member any more")
        self._open.add(channel)
        if member is not None and member.role == "node" and member.name != self._name:
            self._link(member.name, Link(channel, opener))
        try:
            yield
        finally:
            self._open.discard(channel)
            self._origins.pop(channel, None)
            for name, link in list(self._links.items()):
                if link.channel is channel:
                    del self._links[name]
                    link.over.set()
                    _log.info("a connection ended", node=name, why=channel.closed_reason)

    def _link(self, name: str, link: Link) -> None:
        """Decide which of two connections to a node is used; both nodes decide alike."""
        current = self._links.get(name)
        if current is not None and not current.yields_to(link):
            self._retire(link.channel)
            return
        if current is not None:
            self._retire(current.channel)
            current.over.set()
        self._links[name] = link
        self._failed.pop(name, None)
        self._answered.pop(name, trio.Event()).set()
        self.met(name)

    def _retire(self, channel: Channel) -> None:
        """Use a connection no more, and close it when nothing is under way on it."""
        if self._nursery is not None:
            self._nursery.start_soon(self._close_idle, channel)

    async def _close_idle(self, channel: Channel) -> None:
        await trio.sleep(RETIRE_S)
        while channel.busy and not channel.ended:
            with trio.move_on_after(RETIRE_S):
                await channel.wait_closed()
        channel.close("another connection is used")

    # -- outgoing --

    def open_channel(self, node: str) -> Channel | None:
        """Return the connection to a node, whoever made it, if one is open."""
        link = self._links.get(node)
        return None if link is None or link.channel.ended else link.channel

    async def channel(self, node: str) -> Channel:
        """Return the connection to a node; if there is none, the first that is made now, by this node or by the other one.

        Raises:
            Unreachable: nobody answers there.
            AuthenticationFailed: somebody else answers there.
        """
        while (channel := self.open_channel(node)) is None:
            failed = self._failed.get(node)
            if failed is not None and trio.current_time() - failed[0] < DIAL_AGAIN_S:
                raise failed[1](failed[2])
            if node not in self._kept:
                raise _unknown(node)
            if node not in self._dialling:
                self._wanted[node].set()
            await self._answered[node].wait()
        return channel

    def _keep_all(self) -> None:
        """Hold a connection to every other node."""
        assert self._nursery is not None, "`run` holds the connections"
        for name in self.other_nodes():
            if name not in self._kept:
                self._kept.add(name)
                self._nursery.start_soon(self._keep, name)

    async def _keep(self, node: str) -> None:
        """Connect to a node again and again, for as long as there is such a node; at once when somebody wants it."""
        backoff = Backoff(self._clock.random_double)
        while node in self.other_nodes():
            began = trio.current_time()
            if self.open_channel(node) is None:
                await self._dial(node)
            while (link := self._links.get(node)) is not None:
                await link.over.wait()
            backoff.lived(trio.current_time() - began)
            with trio.move_on_after(backoff.wait_s()):
                await self._wanted[node].wait()
        self._kept.discard(node)
        self._dialled(node, _unknown(node))

    async def _dial(self, node: str) -> None:
        """Connect to a node; returns when it has not answered, or a connection is there, whoever has made it.

        One that the other side has made ends no attempt: if both did that, none would be left.
        """
        assert self._nursery is not None, "`run` holds the connections"
        if node not in self._dialling:
            self._dialling.add(node)
            self._wanted.pop(node, None)
            with nobodys():  # what comes over the connection is not what it was made for
                self._nursery.start_soon(self._hold, node)
        await self._answered[node].wait()

    async def _hold(self, node: str) -> None:
        """Make a connection and keep it; its end, whatever the reason, makes room for the next."""
        why: ProtocolError | None = Unreachable(f"node {node}: no connection could be made")
        own = self._identity.now
        try:
            async with self._connection(node, own) as channel:
                with self._counted(channel, own.public):
                    why = None
                    self._dialled(node, why)
                    await channel.wait_closed()
        except Exception as error:  # whatever one node does to who connects, the others are met
            if why is not None and isinstance(error, Unreachable | AuthenticationFailed):
                why = error
            else:
                _report(error)
        finally:
            if why is not None:
                self._dialled(node, why)

    def _dialled(self, node: str, why: ProtocolError | None) -> None:
        """Tell who waits for a connection that one was made, or why there is none."""
        self._dialling.discard(node)
        if why is not None and self.open_channel(node) is None:
            self._failed[node] = trio.current_time(), type(why), str(why)
            _log.debug("a node does not answer", node=node, why=str(why))
        self._answered.pop(node, trio.Event()).set()

    def _connection(self, node: str, own: Pair) -> AbstractAsyncContextManager[Channel]:
        """Return a new connection, which begins when it is entered. Raises Unreachable."""
        member = self.node(node)
        if member is None:
            raise _unknown(node)
        if not member.addresses:
            raise Unreachable(f"node {node} has no address: it connects, and is not connected to")
        return connect(
            member.addresses[0],
            context=client_context(own.key, own.certificate, [member.certificate]),
            server=member.key,
            name=self._name,
            nonce=self._nonce(),
            handler=self,
            holdings=self._holdings,
        )

    # -- what arrives --

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        """Answer a request on any connection."""
        session = self._sessions.get(channel)
        if session is None:
            session = self._sessions[channel] = Session(channel.peer, channel.challenge)
        return await self._on_request(session, verb, body, send)


def _unknown(node: str) -> Unreachable:
    return Unreachable(f"the cluster has no node {node!r}")


def _report(error: Exception) -> None:
    _log.error("a connection's work failed", exc_info=error)
