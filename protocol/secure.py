"""TLS between bytes and bytes: what came from the wire goes in, what it says comes out, and the other way round.

Is:     one side of one TLS connection, handshake included, without a socket and without waiting.
Is not: who is trusted (`tls`), or the way of the bytes (`stream`).
Fits:   `stream` carries bytes to and from it; tests drive it byte by byte.

TLS may have to hear from the peer before it can say something, and to say something because of what it heard. The first
is kept back until `feed` brings it; the second leaves with what is written next, which is when TLS 1.3 asks for it
(RFC 8446, 4.6.3). So nobody who reads has to write, and two sides cannot wait for each other.
"""

from __future__ import annotations

import ssl

from protocol.limits import RECEIVE_BYTES


class SecureBytes:
    """One side of a TLS connection. Raises ssl.SSLError for what the peer must not have sent."""

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None = None
    ) -> None:
        self._came = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._came, self._leaving, server_side=server_side, server_hostname=server_name
        )
        self.kept_back = b""  # written, and waiting for bytes of the peer
        self._cut = False  # whether the last read ended in the middle of a record
        self.ended = False  # the peer says nothing more

    @property
    def certificate(self) -> bytes | None:
        """Return the peer's certificate (DER)."""
        return self._tls.getpeercert(binary_form=True)

    @property
    def protocol(self) -> str | None:
        """Return what ALPN agreed on."""
        return self._tls.selected_alpn_protocol()

    def shake_hands(self) -> bool:
        """Go on with the handshake and return whether it is done; if not, it waits for bytes of the peer."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self, data: bytes | bytearray) -> None:
        """Take bytes that came from the wire; none at all mean that there will be no more."""
        if data:
            self._came.write(data)
        else:
            self._came.write_eof()

    def read(self, size_max: int = RECEIVE_BYTES) -> bytes:
        """Return what the peer has said so far; empty if nothing, or if it has `ended`."""
        parts: list[bytes] = []
        left = size_max
        while left > 0 and not self.ended and (self._came.pending or self._cut):
            try:
                part = self._tls.read(left)
            except ssl.SSLWantReadError:  # the rest of a record is on its way
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                self.ended = True
                break
            parts.append(part)
            left -= len(part)
            self._cut = not left
        if not parts and self._came.eof:
            self.ended = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, data: bytes = b"") -> None:
        """Say what was kept back and something more, as far as it can be said now; `take` returns its bytes."""
        left = memoryview(self.kept_back + data)
        try:
            while left:
                left = left[self._tls.write(left) :]
        except ssl.SSLWantReadError:
            pass
        self.kept_back = bytes(left)

    def take(self) -> bytes:
        """Return the bytes that are to go to the wire, in their order."""
        return self._leaving.read()
