"""TLS over a stream of bytes, for one task that writes and one that reads.

Is:     `SecureStream`, a trio stream over another one.
Is not: frames (`framing`), or TLS itself (`secure`).
Fits:   `transport` greets over it and then gives it to a channel, whose writer and reader are the two tasks.

A quarter of the cost of `trio.SSLStream` for a frame of 5 KB: no lock between the two tasks, no retrying of one's
operation for the other, and records that are read together are one wake-up.

Who sleeps until there are bytes is woken by the event loop, in its next turn. Who expects them looks for them in its own
turns, and has them some twenty microseconds sooner.

A write that was cancelled or failed leaves the peer with half a record: the stream is broken, and says so to who writes
next. Closing it sends nothing: what ends a conversation is a Goodbye, and a peer that hears none knows that something is
missing.
"""

from __future__ import annotations

import os
import select
import ssl
from collections.abc import Callable
from contextlib import suppress

import trio

from protocol.limits import LOOKS, RECEIVE_BYTES
from protocol.secure import SecureBytes


def _never() -> bool:
    return False


class SecureStream(trio.abc.Stream):
    """A stream whose bytes nobody else can read or change. `shake_hands` comes first."""

    def __init__(
        self,
        below: trio.abc.Stream,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
    ) -> None:
        self._below = below
        self._descriptor = below.socket.fileno() if isinstance(below, trio.SocketStream) else None
        self._unsent = b""  # of what `send_now` was given
        self._secure = SecureBytes(context, server_side=server_side, server_name=server_name)
        self._heard = trio.lowlevel.ParkingLot()  # a writer that needs bytes of the peer
        self._broken = False
        self._waits = True  # before the next bytes are read
        self._expects: Callable[[], bool] = _never
        self._sleep = trio.CancelScope()  # in which the reader waits for bytes
        self._arrived = select.poll()
        if self._descriptor is not None:
            self._arrived.register(self._descriptor, select.POLLIN)

    @property
    def certificate(self) -> bytes | None:
        """Return the peer's certificate (DER), once hands are shaken."""
        return self._secure.certificate

    @property
    def protocol(self) -> str | None:
        """Return what ALPN agreed on, once hands are shaken."""
        return self._secure.protocol

    @property
    def ended(self) -> bool:
        """Return whether the peer says nothing more."""
        return self._secure.ended

    async def shake_hands(self) -> None:
        """Prove both sides to each other. Raises trio.BrokenResourceError, caused by ssl.SSLError where TLS says no."""
        try:
            while not self._secure.shake_hands():
                await self._flush()
                self._secure.feed(await self._below.receive_some(RECEIVE_BYTES))
        except ssl.SSLError as error:
            self._broken = True
            await self._tell_why()
            raise trio.BrokenResourceError from error
        await self._flush()

    async def _tell_why(self) -> None:
        """Send what TLS has to say about its end."""
        with suppress(
            trio.BrokenResourceError, trio.ClosedResourceError
        ):  # nobody may be there to hear it
            await self._flush()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes. Only one task at a time; another one has to read, since the peer may have to speak first."""
        if self._broken:
            raise trio.BrokenResourceError("a write was not finished")
        self._broken = True  # until it is
        try:
            self._secure.write(bytes(data))
            await self._flush()
            while self._secure.kept_back:
                await self._heard.park()
                self._secure.write()
                await self._flush()
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error
        self._broken = False

    def send_now(self, data: bytes) -> bool:
        """Send bytes, as many as the socket takes without waiting; False if `send_all` has to send the rest of them.

        Not while a `send_all` is under way. Raises trio.BrokenResourceError.
        """
        if self._broken:
            raise trio.BrokenResourceError("a write was not finished")
        try:
            self._secure.write(data)
            self._unsent += self._secure.take()
            if self._descriptor is not None:
                self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
        except BlockingIOError:
            pass
        except (ssl.SSLError, OSError) as error:
            self._broken = True
            raise trio.BrokenResourceError from error
        return not self._unsent and not self._secure.kept_back

    async def _flush(self) -> None:
        data, self._unsent = self._unsent + self._secure.take(), b""
        if data:
            await self._below.send_all(data)
        else:
            await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Return when the stream below takes bytes."""
        await self._below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the peer says; nothing at its end, with or without TLS's own farewell. Only one task at a time."""
        size_max = RECEIVE_BYTES if max_bytes is None else max_bytes
        try:
            while True:
                data = self._secure.read(size_max)
                if data or self._secure.ended:
                    return data
                self._secure.feed(await self._receive_below())
                if self._secure.kept_back:
                    self._heard.unpark_all()
        except ssl.SSLError as error:
            self._broken = True
            raise trio.BrokenResourceError from error

    async def _receive_below(self) -> bytes | bytearray:
        """Return what has come; from a socket without the layers that are between it and this task.

        What came while the last bytes were dealt with is read without a turn of the event loop, but not twice in a row.
        """
        if self._descriptor is None:
            return await self._below.receive_some(RECEIVE_BYTES)
        while True:
            if self._waits:
                await self._readable(self._descriptor)
            self._waits = not self._waits
            try:
                return os.read(self._descriptor, RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(f"the connection broke: {error}") from error

    def expect(self, expects: Callable[[], bool]) -> None:
        """Look for bytes again and again from now on, as long as `expects()`, rather than sleep until there are some.

        Other tasks have their turns, but the event loop does not sleep. Only a socket is looked at.
        """
        self._expects = expects
        self._sleep.cancel()

    async def _readable(self, descriptor: int) -> None:
        """Return when there are bytes, or the stream has ended."""
        while not await self._seen():
            with trio.CancelScope() as self._sleep:
                await trio.lowlevel.wait_readable(descriptor)
                return

    async def _seen(self) -> bool:
        """Look for bytes as long as they are expected; return whether there are some."""
        while self._expects():
            await trio.lowlevel.checkpoint()
            if self._descriptor is None:
                raise trio.ClosedResourceError("the stream was closed meanwhile")
            for _ in range(LOOKS):
                if self._arrived.poll(0):
                    return True
        return False

    async def aclose(self) -> None:
        """Close the stream below."""
        self._broken = True
        self._descriptor = None
        await self._below.aclose()
