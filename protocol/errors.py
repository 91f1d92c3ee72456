"""Every error of this folder, with a stable code.

Is:     two kinds, never mixed: the peer did wrong (`RemoteFault`: close that connection) and we did (`LocalFault`).
Is not: an answer that says no, which is a `RemoteError` and leaves the connection as it was.
Fits:   decoders raise RemoteFault for any bytes they do not accept, and nothing else.
"""

from __future__ import annotations

# The wire codes a RemoteFault can carry. Documented in docs/wire.md; append only.
FAULT_CODES = frozenset(
    {
        "wire/frame-size",
        "wire/value",
        "wire/value-size",
        "wire/message",
        "wire/version",
        "wire/order",
        "wire/image",
        "wire/record",
    }
)


class ProtocolError(Exception):
    """Root. `code` is stable and documented."""

    code = "wire/error"


class RemoteFault(ProtocolError):
    """The peer sent what the protocol does not allow; the connection ends."""

    def __init__(self, code: str, message: str) -> None:
        assert code in FAULT_CODES, code
        super().__init__(message)
        self.code = code


class LocalFault(ProtocolError):
    """We asked the protocol for what it does not allow, such as a message over the size limit."""

    code = "wire/local"


class RemoteError(ProtocolError):
    """The peer answered a request with an error; the connection goes on."""

    def __init__(self, code: str, message: str, data: object = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data


class Busy(ProtocolError):
    """The peer has too much under way here already; what it asked for may be asked again."""

    code = "wire/busy"


class Unreachable(ProtocolError):
    """No connection, or it broke before the answer came: the request may or may not have been carried out."""

    code = "wire/unreachable"


class NoTickets(Unreachable):
    """The node takes no applications for membership: it has no ticket out that could be used."""


class Late(Unreachable):
    """No answer came within the time that the caller gives; before that the other side was there."""


class AuthenticationFailed(ProtocolError):
    """One side does not know the other's key, or it is not the key it should be."""

    code = "wire/authentication"


class NotProven(AuthenticationFailed):
    """Who answers at an address does not prove to be the node that is meant: that node was not reached."""
