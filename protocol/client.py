"""Asking a node from a program that does one thing at a time.

Is:     a blocking connection: `request`, and `stream` for answers that come one by one.
Is not: for the daemon (`transport`, which is trio's).
Fits:   the command line; it starts faster without trio.

Every wait has an end: of the whole request when a timeout is given, and in any case when the node gives no sign of life.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Protocol

from capabilities.keys import PrivateKey, PublicKey
from datomstore.value import Map
from protocol.address import split_address
from protocol.connection import Connection, State
from protocol.errors import (
    AuthenticationFailed,
    Late,
    NoTickets,
    NotProven,
    RemoteError,
    RemoteFault,
    Unreachable,
)
from protocol.framing import FrameBuffer, encode_frame
from protocol.limits import ADMISSION_BYTES_MAX, DEAD_S, HANDSHAKE_S, RECEIVE_BYTES
from protocol.messages import (
    NONCE_BYTES,
    Cancel,
    Goodbye,
    Hello,
    Item,
    Message,
    Ping,
    Pong,
    Reply,
    Request,
    remote_error,
)
from protocol.tls import JOIN_ALPN, applicant_context, client_context, peer_key, server_name

__all__ = [
    "AuthenticationFailed",
    "Client",
    "ItemStream",
    "Late",
    "NotProven",
    "RemoteError",
    "RemoteFault",
    "Unreachable",
]

JOIN_S = 10.0  # an admission is on the node's disk before it is said
REQUEST_S = 30.0  # how long an answer may take unless the caller says otherwise


class Server(Protocol):
    """Whom one connects to: a member of the cluster."""

    @property
    def key(self) -> PublicKey:
        """Return the key the node must have."""

    @property
    def certificate(self) -> bytes:
        """Return the certificate (DER) that carries the key."""


class Client:
    """A connection to one node. Not for several threads."""

    def __init__(self, connection: ssl.SSLSocket, *, name: str, peer: PublicKey) -> None:
        self.peer = peer
        self.bytes_received = 0  # of frames, the greeting's included
        self._socket = connection
        self._connection = Connection(name=name, nonce=os.urandom(NONCE_BYTES))
        self._next_id = 1
        self._arrived: list[Message] = []

    @property
    def challenge(self) -> bytes:
        """Return what the node asks to be signed by who proves that they hold something."""
        return b"" if self._connection.peer is None else self._connection.peer.nonce

    @staticmethod
    def connect(
        address: str,
        *,
        key: PrivateKey,
        certificate: bytes,
        server: Server,
        name: str = "client",
        timeout_s: float = HANDSHAKE_S,
    ) -> Client:
        """Return a connection on which both sides are proven.

        Raises:
            Unreachable: nobody answers there, or not in time.
            NotProven: somebody else answers there.
            AuthenticationFailed: the node does not accept this key.
        """
        context = client_context(key, certificate, [server.certificate])
        deadline = monotonic() + timeout_s
        secured = _secure(_dial(address, timeout_s), context, server_name(server.key))
        try:
            peer = peer_key(secured.getpeercert(binary_form=True), secured.selected_alpn_protocol())
            if peer != server.key:
                raise NotProven(f"{address} is not the node it should be")
            client = Client(secured, name=name, peer=peer)
            client._greet(deadline)
        except BaseException:
            secured.close()
            raise
        return client

    def request(
        self, verb: str, body: Map | None = None, *, timeout_s: float | None = REQUEST_S
    ) -> Any:
        """Return the answer, a Map. Raises RemoteError when the node says no, Unreachable when it says nothing."""
        stream = self.stream(verb, body, timeout_s=timeout_s)
        for _ in stream:
            pass
        return stream.result

    def stream(
        self, verb: str, body: Map | None = None, *, timeout_s: float | None = None
    ) -> ItemStream:
        """Return the answers as they come; `result` holds the last one when they have ended."""
        request_id, self._next_id = self._next_id, self._next_id + 1
        self._send(Request(request_id, verb, Map() if body is None else body))
        deadline = None if timeout_s is None else monotonic() + timeout_s
        return ItemStream(self, request_id, deadline)

    def close(self) -> None:
        """Say goodbye and close. Does not fail and does not wait."""
        try:
            if self._connection.state is State.READY:
                self._socket.settimeout(0.5)
                self._socket.sendall(self._connection.send(Goodbye("done")))
        except OSError:
            pass  # the node is gone already, which is what we want
        finally:
            self._connection.state = State.CLOSED
            self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _greet(self, deadline: float) -> None:
        """Exchange Hellos. A node that does not know our key ends here: TLS 1.3 tells a client no earlier."""
        try:
            self._socket.sendall(self._connection.hello())
            message = self._receive(deadline)
        except (Unreachable, OSError) as error:
            if isinstance(error.__cause__, TimeoutError) or isinstance(error, TimeoutError):
                raise Unreachable(f"no greeting within the time: {error}") from error
            raise AuthenticationFailed(
                "the node closed the connection before its greeting: it does not accept this key"
            ) from error
        if not isinstance(message, Hello):
            raise RemoteFault("wire/order", "the node did not greet")

    def _send(self, message: Message) -> None:
        if self._connection.state is State.CLOSED:
            raise Unreachable("the connection is closed")
        data = self._connection.send(message)
        try:
            self._socket.settimeout(DEAD_S)
            self._socket.sendall(data)
        except OSError as error:
            self._broken()
            raise Unreachable(f"the connection broke: {error}") from error

    def _receive(self, deadline: float | None) -> Message:
        """Return the next message; answers Pings meanwhile."""
        while True:
            while self._arrived:
                message = self._arrived.pop(0)
                if isinstance(message, Ping):
                    self._send(Pong(message.number))
                elif isinstance(message, Goodbye):
                    self._broken()
                    if message.reason.startswith("wire/version"):
                        raise RemoteError("wire/version", message.reason)
                    raise Unreachable(f"the node said goodbye: {message.reason}")
                else:
                    return message
            try:
                self._arrived += self._connection.receive_data(self._read(deadline))
            except RemoteFault:
                self._broken()
                raise

    def _read(self, deadline: float | None) -> bytes:
        left = DEAD_S if deadline is None else min(DEAD_S, deadline - monotonic())
        try:
            if left <= 0:
                raise TimeoutError("no answer within the time")
            self._socket.settimeout(left)
            data = self._socket.recv(RECEIVE_BYTES)
        except OSError as error:  # TimeoutError and ssl.SSLError among them
            self._broken()
            is_late = deadline is not None and monotonic() >= deadline
            raise (Late if is_late else Unreachable)(f"no answer: {error}") from error
        if not data:
            self._broken()
            raise Unreachable("the node closed the connection")
        self.bytes_received += len(data)
        return data

    def _broken(self) -> None:
        self._connection.state = State.CLOSED
        self._socket.close()


class ItemStream:
    """The answers to one request, in order. `result` is there when iteration has ended."""

    def __init__(self, client: Client, request_id: int, deadline: float | None) -> None:
        self._client = client
        self._id = request_id
        self._deadline = deadline
        self._result: Map | None = None

    @property
    def result(self) -> Any:
        """Return the final answer, a Map."""
        assert self._result is not None, "the stream has not ended"
        return self._result

    def __iter__(self) -> Iterator[Any]:
        while self._result is None:
            message = self._client._receive(self._deadline)
            if isinstance(message, Item) and message.id == self._id:
                yield message.body
            elif isinstance(message, Reply) and message.id == self._id:
                if not message.ok:
                    raise remote_error(message.body)
                self._result = message.body

    def cancel(self) -> None:
        """Tell the node that no more answers are wanted; what is under way is skipped."""
        if self._result is None:
            self._client._send(Cancel(self._id))


def _dial(address: str, timeout_s: float) -> socket.socket:
    try:
        plain = socket.create_connection(split_address(address), timeout_s)
    except OSError as error:
        raise Unreachable(f"{address}: {error.strerror or error}") from error
    except ValueError as error:  # a name that cannot be encoded
        raise Unreachable(f"{address}: {error}") from error
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def apply(address: str, node: PublicKey, application: bytes, *, timeout_s: float = JOIN_S) -> bytes:
    """Return a node's answer to an application for membership (`protocol.joining`).

    Nothing is said to anybody but the node that has the key. Raises Unreachable, NotProven or RemoteFault.
    """
    secured = _secure(_dial(address, timeout_s), applicant_context(), server_name(node))
    buffer = FrameBuffer(ADMISSION_BYTES_MAX)
    with secured:
        certificate = secured.getpeercert(binary_form=True)
        if secured.selected_alpn_protocol() is None:
            raise NoTickets(f"{address}: the node has no ticket out: it takes no applications")
        if peer_key(certificate, secured.selected_alpn_protocol(), JOIN_ALPN) != node:
            raise NotProven(f"{address} is not the node of the ticket")
        try:
            secured.settimeout(timeout_s)
            secured.sendall(encode_frame(application))
            while data := secured.recv(RECEIVE_BYTES):
                if frames := buffer.receive(data):
                    return frames[0]
        except OSError as error:
            raise Unreachable(f"{address}: no answer: {error}") from error
    raise Unreachable(f"{address}: the node closed the connection without an answer")


def _secure(plain: socket.socket, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """Return the connection after the handshake; takes `plain` over, also when it fails.

    In TLS 1.3 the client is done before the server looks at its certificate, so what fails here is the server's proof.
    """
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        plain.close()
        raise Unreachable("the connection was closed in the handshake") from error
    except ssl.SSLError as error:
        plain.close()
        raise NotProven(f"the TLS handshake failed: {error.reason or error}") from error
    except OSError as error:
        plain.close()
        raise Unreachable(f"the connection broke in the handshake: {error}") from error
