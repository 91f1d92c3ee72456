"""Connections of the daemon: TLS over TCP, requests and answers, heartbeats. The one trio module of this folder.

Is:     `serve`, `connect`, and `Channel`, a connection with both sides proven.
Is not: what is asked (`Handler`, the daemon's), or the rules of bytes and greetings (`connection`).
Fits:   a channel lives as long as its `async with` block; leaving it ends all its tasks.

Every side may ask and be asked. A request's work runs in its own task; messages of the hand-off go to the handler
one after the other, in their order. Nobody waits for ever: a peer that is silent for DEAD_S is gone.

One task writes. Whoever sends leaves a frame with it, and what was left within one turn of the event loop leaves in
one write. Who sends waits while the peer is behind by SEND_BUFFER_BYTES, so that a slow peer slows its senders; what is
short does not wait for what is long (`outbox`).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import Protocol

import trio

from capabilities.keys import PublicKey
from datomstore.value import Map
from protocol.address import split_address
from protocol.connection import Connection, State
from protocol.entrance import Entrance
from protocol.errors import (
    AuthenticationFailed,
    Busy,
    LocalFault,
    ProtocolError,
    RemoteError,
    RemoteFault,
    Unreachable,
)
from protocol.framing import FrameBuffer, encode_frame
from protocol.holdings import Holdings
from protocol.limits import (
    APPLICATION_BYTES_MAX,
    DEAD_S,
    HANDSHAKE_S,
    IDLE_PING_S,
    ITEMS_BUFFER,
    LISTEN_BACKLOG,
    REASON_CHARACTERS_MAX,
    RECEIVE_BYTES,
    REQUESTS_MAX,
    SLOW_READER_S,
    UNSENT_BYTES_MAX,
    WRITE_BYTES,
)
from protocol.messages import (
    Cancel,
    Goodbye,
    HandOff,
    Hello,
    Item,
    Message,
    Ping,
    Pong,
    Reply,
    Request,
    error_body,
    remote_error,
)
from protocol.outbox import Outbox
from protocol.stream import SecureStream
from protocol.tls import (
    JOIN_ALPN,
    client_context,
    peer_key,
    server_context,
    server_name,
)

__all__ = [
    "AuthenticationFailed",
    "Channel",
    "Handler",
    "ProtocolError",
    "RemoteError",
    "RemoteFault",
    "Unreachable",
    "client_context",
    "connect",
    "serve",
    "serve_listeners",
    "server_context",
]

SendItem = Callable[[Map], Awaitable[None]]
ContextProvider = Callable[[], ssl.SSLContext]
# Answers an application from an address, or does not.
Applicants = Callable[[bytes, str], Awaitable[bytes | None]]
TOO_MUCH = "too much that has not come whole, or waits for an answer"
# What a peer does to us while it has every right to: not an error of this side.
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class Handler(Protocol):
    """What a channel does with what the peer says."""

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        """Answer a request; `send` sends an item before the answer.

        An exception with an attribute `code` is the answer no. Any other is a fault of ours: the peer is told so,
        and it goes on up through the channel's block.
        """

    def message(self, channel: Channel, message: HandOff) -> None:
        """Take a message of the hand-off, in its turn; what takes long is done in a task."""


class Channel:
    """A connection to a peer whose key is proven. Made by `serve` and `connect`."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        connection: Connection,
        nursery: trio.Nursery,
        handler: Handler,
        peer: PublicKey,
        holdings: Holdings,
    ) -> None:
        self.peer = peer
        self.name = "" if connection.peer is None else connection.peer.name
        self.challenge = connection.nonce  # what the peer signs to prove that it holds something
        self.peer_challenge = b"" if connection.peer is None else connection.peer.nonce
        self.ended = False
        self.closed_reason: str | None = None
        self._stream = stream
        self._connection = connection
        self._nursery = nursery
        self._handler = handler
        self._outbox = Outbox()  # what the writer has not taken yet
        self._holdings = holdings
        self._unfinished = 0  # bytes of a message that has not come whole, as far as they are held
        self._writing = False
        self._handing_over = False  # the reader sends what answers the messages that came together
        self._unsent = False  # something that `_write_now` could not write
        self._silent_since: float | None = None  # while bytes of the peer are waited for
        self._pong: int | None = None  # of the last Ping that was not answered yet
        self._something_to_write = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._next_id = 1
        self._asked: dict[int, trio.MemorySendChannel[Item | Reply]] = {}
        self._working: dict[int, trio.CancelScope] = {}
        self._ended = trio.Event()

    async def request(self, verb: str, body: Map | None = None) -> Map:
        """Return the answer. Raises RemoteError when the peer says no, Unreachable when the channel ends."""
        async with aclosing(self.stream(verb, body)) as answers:
            async for answer in answers:
                if isinstance(answer, Reply):
                    return answer.body
        raise AssertionError("a stream ends with its reply")

    async def stream(
        self, verb: str, body: Map | None = None
    ) -> AsyncGenerator[Item | Reply, None]:
        """Yield Items as they come and the Reply last. Use with `aclosing`: leaving early cancels the request."""
        request_id, self._next_id = self._next_id, self._next_id + 1
        send, receive = trio.open_memory_channel[Item | Reply](ITEMS_BUFFER)
        self._asked[request_id] = send
        answered = False
        try:
            await self.send(Request(request_id, verb, Map() if body is None else body))
            async for answer in receive:
                if isinstance(answer, Reply):
                    answered = True
                    if not answer.ok:
                        raise remote_error(answer.body)
                yield answer
                if answered:
                    return
            if self.ended:
                raise Unreachable(self.closed_reason or "the connection ended")
            raise RemoteError("wire/slow-reader", "the answers were not taken in time")
        finally:
            self._asked.pop(request_id, None)
            receive.close()
            if not answered and not self.ended:
                self._send_or_end(Cancel(request_id))

    async def send(self, message: Message) -> None:
        """Leave a message with the writer, once there is room for it.

        Messages about one agent go in their order, and so do those of one request.

        Raises Unreachable if the channel has ended, LocalFault if the message is too large. That the peer got it, only
        its answer tells.
        """
        await self._leave_when_room(message, self._frames_of(message))

    async def _leave_when_room(self, message: Message, frames: list[bytes]) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._outbox.has_room(long=len(frames) > 1) and not self.ended:
            await self._room.park()
        self._check_open()
        self._outbox.put(message, frames)
        self._something_to_write.unpark()

    def send_nowait(self, message: Message) -> None:
        """Leave a message with the writer, room or none: for what is few and small. Raises as `send`."""
        self._leave(message)
        if not self._handing_over:
            self._something_to_write.unpark()

    def _leave(self, message: Message) -> None:
        self._outbox.put(message, self._frames_of(message))

    def _frames_of(self, message: Message) -> list[bytes]:
        self._check_open()
        return self._connection.frames(message)

    def _check_open(self) -> None:
        # Closed before it is ended: a goodbye has been said, by us or in what is being read.
        if self.ended or self._connection.state is State.CLOSED:
            raise Unreachable(self.closed_reason or "the connection ended")

    def push(self, message: Message) -> None:
        """Leave a message, and write at once what has been left so far: for what somebody waits for. Raises as `send`.

        With `send`, what is left in one turn of the event loop is one write in the next. A connection that breaks now is
        found broken by who reads.
        """
        self._leave(message)
        self._write_now()

    def _write_now(self) -> None:
        """Write what has been left so far, as far as the socket takes it; the writer writes the rest."""
        if self._writing or self._unsent or not self._outbox:
            return
        if isinstance(self._stream, SecureStream) and self._outbox.short_bytes <= RECEIVE_BYTES:
            try:
                self._unsent = not self._stream.send_now(self._taken())
            except trio.BrokenResourceError as error:
                self._end(f"the connection broke: {error.__cause__}")
        self._wake_writer()

    def expect(self, expects: Callable[[], bool]) -> None:
        """Do not sleep until the peer says something, as long as `expects()`; see `SecureStream.expect`."""
        if isinstance(self._stream, SecureStream):
            self._stream.expect(expects)

    @property
    def has_room(self) -> bool:
        """Return whether `send` would not wait."""
        return self._outbox.has_room()

    @property
    def busy(self) -> bool:
        """Return whether a request is under way in either direction, or something waits to be written."""
        return bool(self._asked or self._working or self._outbox or self._writing)

    async def wait_closed(self) -> None:
        """Return when the connection has ended; `closed_reason` says why."""
        await self._ended.wait()

    def close(self, reason: str = "closed") -> None:
        """End the connection now; leaving the `async with` block does it with a Goodbye."""
        self._end(reason)

    # -- tasks --

    async def _write(self) -> None:
        """Write what is left here until the connection ends. A write once begun is not cancelled: it would be half a frame."""
        try:
            while not self.ended:
                data = self._taken()
                if data or self._unsent:
                    await self._write_all(data)
                    self._room.unpark_all()
                else:
                    self._room.unpark_all()  # what there was somebody else has written
                    await self._something_to_write.park()
        except _BROKEN as error:
            self._end(f"the connection broke: {error}")

    def _taken(self) -> bytes:
        """Return what is to be written next."""
        if self._pong is not None and self._connection.state is State.READY:
            pong = Pong(self._pong)
            self._outbox.put(pong, self._connection.frames(pong))
        self._pong = None
        return self._outbox.take()

    async def _write_all(self, data: bytes) -> None:
        self._writing, self._unsent = True, False
        for start in range(0, len(data) or 1, WRITE_BYTES):
            part = data[start : start + WRITE_BYTES] if len(data) > WRITE_BYTES else data
            with trio.CancelScope(shield=True, deadline=trio.current_time() + DEAD_S) as scope:
                await self._stream.send_all(part)
            if scope.cancelled_caught:
                self._end("the peer takes no bytes")
                return
        self._writing = False

    async def _flush(self) -> None:
        """Return when everything is written, or the connection has ended."""
        while (self._outbox or self._writing or self._unsent) and not self.ended:
            await self._room.park()

    async def _run(self) -> None:
        """Read until the connection ends, then end everything else of the channel."""
        try:
            arrived, self._connection.early = self._connection.early, []
            while not self.ended:
                if not self._holds(self._connection.unfinished):
                    with trio.move_on_after(1):
                        await self._say_goodbye(f"wire/busy: {TOO_MUCH}")
                    self._end(f"the peer has {TOO_MUCH}")
                    return
                await self._take_all(arrived)
                self._silent_since = trio.current_time()
                data = await self._stream.receive_some(RECEIVE_BYTES)
                self._silent_since = None
                if not data:
                    raise Unreachable("the peer closed the connection")
                arrived = self._connection.receive_data(bytes(data))
        except RemoteFault as fault:
            with trio.move_on_after(1):
                await self._say_goodbye(f"{fault.code}: {fault}")
            self._end(f"the peer broke the protocol: {fault}")
        except (Unreachable, *_BROKEN) as error:
            self._end(str(error) or "the connection broke")
        finally:
            self._holds(0)

    def _holds(self, unfinished: int) -> bool:
        """Count how much there is of a message that has not come whole; return whether the peer may have so much."""
        if unfinished == self._unfinished:
            return True
        self._holdings.give(self.peer, self._unfinished)
        self._unfinished = unfinished if self._holdings.take(self.peer, unfinished) else 0
        return self._unfinished == unfinished

    async def _watch(self) -> None:
        """Ask for a sign of life when there has been none for a while; end the channel when none comes."""
        asked: float | None = None  # the silence for which a Ping was sent
        while not self.ended:
            now, since = trio.current_time(), self._silent_since
            if since is not None and now >= since + DEAD_S:
                self._end(f"the peer was silent for {DEAD_S:.0f} s")
                return
            if since is not None and since != asked and now >= since + IDLE_PING_S:
                self._send_or_end(Ping(0))
                asked = since
            # Who begins to be silent after this moment has to be asked after the next one, not before.
            begins = now if since is None or since == asked else since
            ends = DEAD_S + (now if since is None else since)
            await trio.sleep_until(min(begins + IDLE_PING_S, ends))

    async def _take_all(self, arrived: list[Message]) -> None:
        """Take messages that came together; what answers those of a hand-off leaves together."""
        for message in arrived:
            if isinstance(message, HandOff):
                self._hand_over(message)
            else:
                self._wake_writer()
                await self._take(message)
        self._write_now()

    def _hand_over(self, message: HandOff) -> None:
        self._handing_over = True
        try:
            self._handler.message(self, message)
        finally:
            self._handing_over = False

    def _wake_writer(self) -> None:
        if self._outbox or self._unsent:
            self._something_to_write.unpark()

    async def _take(self, message: Message) -> None:
        match message:
            case Ping(number):
                self._pong = number  # of many that came at once, the last is answered
                self._something_to_write.unpark()
            case Pong() | Hello():
                pass
            case Request():
                await self._begin(message)
            case Reply() | Item():
                await self._answered(message)
            case Cancel(request_id):
                scope = self._working.get(request_id)
                if scope is not None:
                    scope.cancel()
            case Goodbye(reason):
                raise Unreachable(f"the peer said goodbye: {reason}")

    async def _answered(self, answer: Item | Reply) -> None:
        send = self._asked.get(answer.id)
        if send is None:
            return  # nobody waits any more
        with trio.move_on_after(SLOW_READER_S) as waiting:
            try:
                await send.send(answer)
            except trio.BrokenResourceError:
                return
        if waiting.cancelled_caught or isinstance(answer, Reply):
            self._asked.pop(answer.id, None)
            send.close()

    # -- requests of the peer --

    async def _begin(self, request: Request) -> None:
        if request.id in self._working:
            raise RemoteFault("wire/order", f"request {request.id} is under way already")
        size = self._connection.sizes[request.id]
        busy = f"at most {REQUESTS_MAX} requests at a time"
        if len(self._working) < REQUESTS_MAX:
            if self._holdings.take(self.peer, size):
                self._working[request.id] = trio.CancelScope()
                self._nursery.start_soon(self._work, request, size)
                return
            busy = self._too_many("requests")
        with suppress(Unreachable):  # who does not read is not read
            await self.send(_no(request.id, Busy.code, busy))

    async def _work(self, request: Request, size: int) -> None:
        """Have a request answered. It is under way until its answer is on its way: who reads slowly asks slowly."""
        number, fault = request.id, None
        try:
            frames, fault = await self._answer(request, self._working[number])
            del request  # what it asked with is not kept for who reads slowly
            size = self._held_instead(size, frames)
            if not size:
                frames = self._frames_of(_no(number, Busy.code, self._too_many("answers")))
            await self._leave_when_room(Reply(number, True, Map()), frames)
        except Unreachable:
            pass  # nobody is there to read it; the reader ends the channel
        finally:
            self._working.pop(number)
            self._holdings.give(self.peer, size)
        if fault is not None:
            raise fault

    async def _answer(
        self, request: Request, scope: trio.CancelScope
    ) -> tuple[list[bytes], Exception | None]:
        """Return the frames of the answer to a request, and a fault of ours if there was one. Raises Unreachable."""

        async def send(body: Map) -> None:
            await self._send_item(Item(request.id, body))

        reply = _no(request.id, "wire/cancelled", "the request was cancelled")
        fault: Exception | None = None
        with scope:
            try:
                body = await self._handler.request(self, request.verb, request.body, send)
                reply = Reply(request.id, True, body)
            except Unreachable:
                raise
            except Exception as error:
                reply, fault = _refusal(request.id, error)
        try:
            return self._frames_of(reply), fault
        except LocalFault as error:
            return self._frames_of(_no(request.id, error.code, str(error))), fault

    async def _send_item(self, item: Item) -> None:
        """Send a part of an answer once there is room for it. Raises Busy, or as `send`."""
        frames = self._frames_of(item)
        size = sum(map(len, frames))
        if not self._holdings.take(self.peer, size):
            raise Busy(self._too_many("answers"))
        try:
            await self._leave_when_room(item, frames)
        finally:
            self._holdings.give(self.peer, size)

    def _too_many(self, what: str) -> str:
        return f"at most {self._holdings.of_peer} bytes of {what} at a time"

    def _held_instead(self, size: int, frames: list[bytes]) -> int:
        """Hold an answer instead of its request; return how many bytes that are, 0 if it is too much."""
        self._holdings.give(self.peer, size)
        held = sum(map(len, frames))
        return held if self._holdings.take(self.peer, held) else 0

    def _send_or_end(self, message: Message) -> None:
        with suppress(Unreachable):  # the channel has ended, and says so to everyone who asks it
            self.send_nowait(message)

    # -- the end --

    async def _say_goodbye(self, reason: str) -> None:
        if self._connection.state is State.READY:
            self._send_or_end(Goodbye(reason[:REASON_CHARACTERS_MAX]))
            self._write_now()  # the writer has gone already where the channel is cancelled from outside
            await self._flush()

    def _end(self, reason: str) -> None:
        """Wake everyone who waits for this peer. The first reason counts."""
        if self.ended:
            return
        self.ended, self.closed_reason = True, reason
        self._ended.set()
        self._something_to_write.unpark_all()
        self._room.unpark_all()
        for send in self._asked.values():
            send.close()
        for scope in self._working.values():
            scope.cancel()


Hosted = Callable[[Channel], AbstractContextManager[object]]


def _no(request_id: int, code: str, message: str) -> Reply:
    return Reply(request_id, False, error_body(code, message))


def _refusal(request_id: int, error: Exception) -> tuple[Reply, Exception | None]:
    """Return the reply that tells an error, and the error again if it is a fault of ours."""
    code = getattr(error, "code", None)
    if isinstance(code, str):
        data = getattr(error, "data", None)
        told = data if isinstance(data, Map) else None
        return Reply(request_id, False, error_body(code, str(error), told)), None
    return Reply(request_id, False, error_body("node/internal", "the node failed")), error


@asynccontextmanager
async def open_channel(
    stream: trio.abc.Stream,
    connection: Connection,
    *,
    handler: Handler,
    peer: PublicKey,
    holdings: Holdings | None = None,
) -> AsyncIterator[Channel]:
    """Run a channel over a connection that is ready; leaving the block says goodbye and ends it.

    The block is not ended when the connection is: `wait_closed` tells. What the block raises comes out as it is;
    faults of ours while a request was answered come out as a group.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        channel = Channel(stream, connection, nursery, handler, peer, holdings or Holdings())
        nursery.start_soon(channel._run)
        nursery.start_soon(channel._write)
        nursery.start_soon(channel._watch)
        try:
            yield channel
        except Exception as error:
            failure = error
        finally:
            with trio.move_on_after(1, shield=True):
                await channel._say_goodbye("done")
            channel._end("closed")
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _greet(stream: trio.abc.Stream, *, name: str, nonce: bytes) -> Connection:
    """Exchange Hellos and return the ready connection. Raises RemoteFault or Unreachable.

    A peer waits for our Hello before it says more, but no longer: what comes right behind its own is kept for the channel.
    """
    connection = Connection(name=name, nonce=nonce)
    await stream.send_all(connection.hello())
    while connection.state is not State.READY:
        data = await stream.receive_some(RECEIVE_BYTES)
        if not data:
            raise Unreachable("the peer closed the connection before its greeting")
        try:
            messages = connection.receive_data(bytes(data))
        except RemoteFault as fault:  # it is a member, and may know what we did not like
            await stream.send_all(connection.farewell(fault))
            raise
        if messages and isinstance(messages[-1], Goodbye):
            raise Unreachable(f"the peer said goodbye: {messages[-1].reason}")
        connection.early = messages[1:]
    return connection


# -- sockets --


@asynccontextmanager
async def connect(
    address: str,
    *,
    context: ssl.SSLContext,
    server: PublicKey,
    name: str,
    nonce: bytes,
    handler: Handler,
    holdings: Holdings | None = None,
) -> AsyncIterator[Channel]:
    """Connect to the node that has the key `server`; the channel lives as long as the block.

    Args:
        address: "host:port".
        context: of `client_context`, trusting that node's certificate alone.
        server: whom one means.
        name: how this node calls itself.
        nonce: 16 unpredictable bytes.
        handler: what is done with what the node asks and says.
        holdings: what is held for peers, those that are served included.

    Raises:
        Unreachable: nobody answers there, or not in time.
        AuthenticationFailed: it is another node, or it does not know this one.
    """
    stream, connection = await _dial(address, context, server, name, nonce)
    try:
        async with open_channel(
            stream, connection, handler=handler, peer=server, holdings=holdings
        ) as channel:
            yield channel
    finally:
        await _close(stream)


async def _dial(
    address: str, context: ssl.SSLContext, server: PublicKey, name: str, nonce: bytes
) -> tuple[SecureStream, Connection]:
    host, port = split_address(address)
    with trio.move_on_after(HANDSHAKE_S):
        try:
            plain = await trio.open_tcp_stream(host, port)
        except (OSError, ValueError) as error:  # a name that cannot be encoded is a ValueError
            raise Unreachable(f"{address}: {error}") from error
        _set_up(plain)
        stream = SecureStream(plain, context, server_name=server_name(server))
        try:
            connection = await _prove(stream, server, address, name, nonce)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream, connection
    raise Unreachable(f"{address}: no answer within {HANDSHAKE_S:.0f} s")


async def _prove(
    stream: SecureStream,
    server: PublicKey,
    address: str,
    name: str,
    nonce: bytes,
) -> Connection:
    try:
        await stream.shake_hands()
        if _key_of(stream) != server:
            raise AuthenticationFailed(f"{address} is not the node it should be")
        # In TLS 1.3 the client's side of the handshake ends before the server has looked at the client's
        # certificate: only the server's Hello says that it accepts us.
        return await _greet(stream, name=name, nonce=nonce)
    except RemoteFault as fault:
        raise Unreachable(f"{address}: {fault}") from fault
    except _BROKEN as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise AuthenticationFailed(f"{address}: {error.__cause__.reason}") from error
        raise Unreachable(f"{address}: the connection broke: {error}") from error


def _key_of(stream: SecureStream) -> PublicKey:
    return peer_key(stream.certificate, stream.protocol)


async def _close(stream: trio.abc.AsyncResource) -> None:
    with trio.move_on_after(1, shield=True):
        await stream.aclose()


async def serve(
    address: str,
    *,
    context: ContextProvider,
    name: str,
    nonce: Callable[[], bytes],
    handler: Handler,
    failed: Callable[[Exception], None],
    hosted: Hosted = nullcontext,
    applicants: Applicants | None = None,
    stranger: Callable[[str], None] = lambda source: None,
    holdings: Holdings | None = None,
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections until cancelled; starts with the address it listens on.

    Args:
        address: "host:port"; port 0 takes a free one.
        context: the current context of `server_context`; asked for every connection, so members may change.
        name: how this node calls itself.
        nonce: makes 16 unpredictable bytes.
        handler: what is done with what peers ask and say.
        failed: told about faults of ours in a connection's work; only that connection ends.
        hosted: entered for the life of every channel that was accepted.
        applicants: answers who applies for membership, if the context lets such in.
        stranger: told from where somebody came who did not show a key that counts.
        holdings: what is held for peers, those that are connected to included.
        task_status: told the address when connections are accepted.

    Raises:
        OSError: the address cannot be listened on.
    """
    host, port = split_address(address)
    listeners = await trio.open_tcp_listeners(port, host=host or None, backlog=LISTEN_BACKLOG)
    await serve_listeners(
        listeners,
        context=context,
        name=name,
        nonce=nonce,
        handler=handler,
        failed=failed,
        hosted=hosted,
        applicants=applicants,
        stranger=stranger,
        holdings=holdings,
        task_status=task_status,
    )


async def serve_listeners(
    listeners: list[trio.SocketListener],
    *,
    context: ContextProvider,
    name: str,
    nonce: Callable[[], bytes],
    handler: Handler,
    failed: Callable[[Exception], None],
    hosted: Hosted = nullcontext,
    applicants: Applicants | None = None,
    stranger: Callable[[str], None] = lambda source: None,
    holdings: Holdings | None = None,
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """As `serve`, on listeners that exist already."""
    entrance, held = Entrance(), holdings or Holdings()

    async def accepted(plain: trio.SocketStream) -> None:
        _set_up(plain)
        source = _source(plain)
        stream = SecureStream(plain, context(), server_side=True)
        try:
            guest = await _admit(stream, entrance, source, name, nonce())
            if isinstance(guest, bytes):
                if applicants is not None:
                    await _answer_applicant(stream, await applicants(guest, source))
            elif guest is None:
                stranger(source)
            else:
                await _host(stream, entrance, held, *guest, handler, hosted)
        except* Exception as group:
            failed(group)
        finally:
            await _close(stream)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, accepted, listeners)
        task_status.started(listeners[0].socket.getsockname()[:2])


async def _host(
    stream: SecureStream,
    entrance: Entrance,
    holdings: Holdings,
    peer: PublicKey,
    connection: Connection,
    handler: Handler,
    hosted: Hosted,
) -> None:
    """Run the channel of a proven peer, if it does not have too many already."""
    with entrance.inside(peer) as room:
        if not room:
            await _answer(stream, connection.send(Goodbye("wire/busy: too many connections")))
            return
        async with open_channel(
            stream, connection, handler=handler, peer=peer, holdings=holdings
        ) as channel:
            with hosted(channel):
                await channel.wait_closed()


async def _admit(
    stream: SecureStream, entrance: Entrance, source: str, name: str, nonce: bytes
) -> tuple[PublicKey, Connection] | bytes | None:
    """Return who it is, or the application of who has a ticket.

    None: a stranger, or one that gave up or was too slow. Nothing was asked for yet.
    """
    with entrance.handshake(source):
        try:
            await stream.shake_hands()
            if stream.protocol == JOIN_ALPN:
                return await _application(stream)
            return _key_of(stream), await _greet(stream, name=name, nonce=nonce)
        except (ProtocolError, *_BROKEN):
            return None
    return None


async def _application(stream: SecureStream) -> bytes:
    """Return the one frame that an applicant may send."""
    buffer = FrameBuffer(APPLICATION_BYTES_MAX)
    while not (frames := buffer.receive(await stream.receive_some(APPLICATION_BYTES_MAX))):
        if stream.ended:
            raise Unreachable("the applicant left")
    return frames[0]


async def _answer_applicant(stream: SecureStream, answer: bytes | None) -> None:
    if answer is not None:
        await _answer(stream, encode_frame(answer))


async def _answer(stream: SecureStream, frame: bytes) -> None:
    """Send the last bytes of a connection."""
    with trio.move_on_after(HANDSHAKE_S), suppress(*_BROKEN):
        await stream.send_all(frame)


def _source(plain: trio.SocketStream) -> str:
    """Return the address of who connected."""
    try:
        return str(plain.socket.getpeername()[0])
    except OSError:  # it has gone already
        return ""


def _set_up(plain: trio.SocketStream) -> None:
    """Let the system end a connection whose bytes nobody has acknowledged for so long, and keep few that wait to be sent."""
    tcp = trio.socket.IPPROTO_TCP
    plain.setsockopt(tcp, trio.socket.TCP_USER_TIMEOUT, int(DEAD_S * 1000))
    plain.setsockopt(tcp, trio.socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
