"""Bytes of a connection cut into frames: a length of four bytes, big endian, and as many bytes.

Is:     `encode_frame` and `FrameBuffer`, which takes bytes as they come.
Is not: what a frame says (`messages`).
Fits:   `connection` feeds it; a frame over the limit is refused when its header is seen, before its bytes are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.errors import LocalFault, RemoteFault
from protocol.limits import FRAME_BYTES_MAX, FRAME_HEADER_BYTES


def encode_frame(payload: bytes) -> bytes:
    """Return the payload with its length in front. Raises LocalFault if it is empty or too long."""
    if not 0 < len(payload) <= FRAME_BYTES_MAX:
        raise LocalFault(f"a frame of {len(payload)} bytes; 1 to {FRAME_BYTES_MAX}")
    return len(payload).to_bytes(FRAME_HEADER_BYTES, "big") + payload


class FrameBuffer:
    """The bytes received so far that are not a whole frame yet."""

    def __init__(self, size_max: int) -> None:
        self.size_max = size_max  # may grow while frames are taken out
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """Return the payloads that `data` completes. Raises RemoteFault."""
        return list(self.frames(data))

    def frames(self, data: bytes) -> Iterator[bytes]:
        """Yield the payloads that `data` completes, each checked against the limit of that moment. Raises RemoteFault."""
        self._buffer += data
        while len(self._buffer) >= FRAME_HEADER_BYTES:
            size = int.from_bytes(self._buffer[:FRAME_HEADER_BYTES], "big")
            if not 0 < size <= self.size_max:
                self._buffer.clear()
                raise RemoteFault(
                    "wire/frame-size", f"a frame of {size} bytes; 1 to {self.size_max}"
                )
            end = FRAME_HEADER_BYTES + size
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[FRAME_HEADER_BYTES:end])
            del self._buffer[:end]
            yield payload
