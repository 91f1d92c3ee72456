"""One connection, without its bytes' way there: who has said hello, which version, what may come now.

Is:     a state machine over bytes; the same for both sides.
Is not: authentication (TLS, below), requests and their answers (`transport`, `client`), or the hand-off's rules.
Fits:   the two I/O modules feed it what they read and write what it returns.
"""

from __future__ import annotations

from enum import StrEnum

from protocol.errors import LocalFault, RemoteFault
from protocol.framing import FrameBuffer, encode_frame
from protocol.limits import (
    FRAME_BYTES_MAX,
    HELLO_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PART_BYTES_MAX,
    REASON_CHARACTERS_MAX,
    VERSION_MAX,
    VERSION_MIN,
)
from protocol.messages import Goodbye, Hello, Message, Part, Request, decode, encode


class State(StrEnum):
    """Where a connection is."""

    FRESH = "fresh"
    HELLO_SENT = "hello sent"
    HELLO_RECEIVED = "hello received"
    READY = "ready"
    CLOSED = "closed"


class Step(StrEnum):
    """What can happen to a connection."""

    SEND_HELLO = "send hello"
    RECEIVE_HELLO = "receive hello"
    SEND = "send"
    RECEIVE = "receive"
    SEND_GOODBYE = "send goodbye"
    RECEIVE_GOODBYE = "receive goodbye"


# What is not here is not allowed: a LocalFault when we did it, a RemoteFault when the peer did.
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.FRESH, Step.SEND_HELLO): State.HELLO_SENT,
    (State.FRESH, Step.RECEIVE_HELLO): State.HELLO_RECEIVED,
    (State.FRESH, Step.SEND_GOODBYE): State.CLOSED,
    (State.FRESH, Step.RECEIVE_GOODBYE): State.CLOSED,
    (State.HELLO_SENT, Step.RECEIVE_HELLO): State.READY,
    (State.HELLO_SENT, Step.SEND_GOODBYE): State.CLOSED,
    (State.HELLO_SENT, Step.RECEIVE_GOODBYE): State.CLOSED,
    (State.HELLO_RECEIVED, Step.SEND_HELLO): State.READY,
    (State.HELLO_RECEIVED, Step.SEND_GOODBYE): State.CLOSED,
    (State.HELLO_RECEIVED, Step.RECEIVE_GOODBYE): State.CLOSED,
    (State.READY, Step.SEND): State.READY,
    (State.READY, Step.RECEIVE): State.READY,
    (State.READY, Step.SEND_GOODBYE): State.CLOSED,
    (State.READY, Step.RECEIVE_GOODBYE): State.CLOSED,
}


# Every other message is SEND or RECEIVE.
_SENT: dict[type, Step] = {Hello: Step.SEND_HELLO, Goodbye: Step.SEND_GOODBYE}
_RECEIVED: dict[type, Step] = {Hello: Step.RECEIVE_HELLO, Goodbye: Step.RECEIVE_GOODBYE}


# What this release can do beyond what its versions say; append only.
FEATURES: tuple[str, ...] = ()


class Connection:
    """One side of a connection. Its Hello is sent with `hello`, everything else with `send`.

    `versions` and `features` are what this side speaks; another release may have others.
    """

    def __init__(
        self,
        *,
        name: str,
        nonce: bytes,
        versions: tuple[int, int] = (VERSION_MIN, VERSION_MAX),
        features: tuple[str, ...] = FEATURES,
    ) -> None:
        self.state = State.FRESH
        self.version: int | None = None  # agreed once the peer's Hello is there
        self.features: frozenset[str] = frozenset()  # both have them
        self.peer: Hello | None = None
        # What came right behind the peer's Hello, and was not looked at.
        self.early: list[Message] = []
        self._hello = Hello(*versions, nonce, name, features)
        self._buffer = FrameBuffer(HELLO_BYTES_MAX)
        self._parts = bytearray()  # of the peer's long message that is under way
        self.sizes: dict[int, int] = {}  # bytes of the requests that were received last

    @property
    def unfinished(self) -> int:
        """Return how many bytes there are of a message that has not come whole."""
        return len(self._parts)

    @property
    def nonce(self) -> bytes:
        """Return what our Hello asks the peer to sign, if it proves that it holds something."""
        return self._hello.nonce

    def hello(self) -> bytes:
        """Return the bytes of our Hello."""
        return self.send(self._hello)

    def farewell(self, fault: RemoteFault) -> bytes:
        """Return the bytes that tell the peer what it did wrong, if anything may still be said."""
        if self.state is State.CLOSED:
            return b""
        return self.send(Goodbye(f"{fault.code}: {fault}"[:REASON_CHARACTERS_MAX]))

    def send(self, message: Message) -> bytes:
        """Return the bytes that say a message. Raises LocalFault if it may not be said now, or is too long."""
        return b"".join(self.frames(message))

    def frames(self, message: Message) -> list[bytes]:
        """Return the frames that say a message: one, or the parts of a long one.

        Other messages may go between the parts, but not those of another long one. Raises LocalFault as `send`.
        """
        payload = encode(message)
        following = TRANSITIONS.get((self.state, _SENT.get(type(message), Step.SEND)))
        if following is None:
            raise LocalFault(f"{type(message).__name__} cannot be sent: {self.state.value}")
        frames = [encode_frame(one) for one in _payloads(payload)]
        self.state = following
        return frames

    def receive_data(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes, the Hello among them. Raises RemoteFault."""
        received = []
        self.sizes.clear()
        for payload in self._buffer.frames(data):
            message = self._receive(payload)
            if message is not None:
                received.append(message)
        return received

    def _receive(self, payload: bytes) -> Message | None:
        message = decode(payload)
        following = TRANSITIONS.get((self.state, _RECEIVED.get(type(message), Step.RECEIVE)))
        if following is None:
            what = "an unknown message" if message is None else type(message).__name__
            raise RemoteFault("wire/order", f"{what} while {self.state.value}")
        if isinstance(message, Hello):
            self.version = _agree(self._hello, message)
            self.features = frozenset(self._hello.features) & frozenset(message.features)
            self.peer = message
            self._buffer.size_max = FRAME_BYTES_MAX
        self.state = following
        if isinstance(message, Part):
            whole = self._joined(message)
            if whole is None:
                return None
            payload, message = whole, decode(whole)
        if isinstance(message, Request):
            self.sizes[message.id] = len(payload)
        return message

    def _joined(self, part: Part) -> bytes | None:
        """Return the bytes of the long message that ends with a part. Raises RemoteFault."""
        if len(self._parts) + len(part.data) > MESSAGE_BYTES_MAX:
            raise RemoteFault("wire/value-size", f"a message of over {MESSAGE_BYTES_MAX} bytes")
        self._parts += part.data
        if not part.last:
            return None
        payload, self._parts = bytes(self._parts), bytearray()
        if len(payload) <= FRAME_BYTES_MAX:  # so no greeting, no goodbye, and no part of a part
            raise RemoteFault("wire/order", f"a message of {len(payload)} bytes in parts")
        return payload


def _payloads(payload: bytes) -> list[bytes]:
    """Return what goes into frames of a message's bytes. Raises LocalFault."""
    size = len(payload)
    if size <= FRAME_BYTES_MAX:
        return [payload]
    if size > MESSAGE_BYTES_MAX:
        raise LocalFault(f"a message of {size} bytes; at most {MESSAGE_BYTES_MAX}")
    starts = range(0, size, PART_BYTES_MAX)
    return [
        encode(Part(at + PART_BYTES_MAX >= size, payload[at : at + PART_BYTES_MAX]))
        for at in starts
    ]


def _agree(own: Hello, peer: Hello) -> int:
    """Return the highest version both speak. Raises RemoteFault."""
    version = min(own.version_max, peer.version_max)
    if version < max(own.version_min, peer.version_min):
        raise RemoteFault(
            "wire/version",
            f"the peer speaks versions {peer.version_min} to {peer.version_max}, "
            f"we speak {own.version_min} to {own.version_max}",
        )
    return version
