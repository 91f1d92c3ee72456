"""What somebody without a member's key can reach: a TLS handshake that closes, and nothing of ours behind it.

A node greets before it reads a frame. So where no byte of a greeting arrived, no frame was read.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from members import FRIEND, NODE, STRANGER, Member
from serving import serving

from datomstore.value import Map
from protocol.errors import Unreachable
from protocol.framing import encode_frame
from protocol.limits import (
    ADMISSION_BYTES_MAX,
    APPLICATION_BYTES_MAX,
    HANDSHAKE_S,
    PRE_AUTHENTICATION_MAX,
)
from protocol.messages import Hello, Request, encode
from protocol.tls import ALPN, JOIN_ALPN, _pem, _unnamed_file, client_context
from protocol.transport import Channel, SendItem, connect

GREETING = encode_frame(encode(Hello(1, 1, bytes(16), "mallory")))
ASKING = GREETING + encode_frame(encode(Request(1, "node.info", Map())))
ANSWER = b"the one answer"


@dataclass
class Handler:
    """Remembers whether anybody was heard."""

    asked: list[str] = field(default_factory=list)
    applications: list[bytes] = field(default_factory=list)

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        self.asked.append(verb)
        return body

    def message(self, channel: Channel, message: object) -> None:
        raise AssertionError(message)

    async def apply(self, application: bytes, source: str) -> bytes | None:
        self.applications.append(application)
        return ANSWER


@asynccontextmanager
async def friend(address: tuple[str, int]) -> AsyncIterator[Channel]:
    host, port = address
    async with connect(
        f"{host}:{port}",
        context=client_context(FRIEND.private, FRIEND.certificate, [NODE.certificate]),
        server=NODE.key,
        name="friend",
        nonce=os.urandom(16),
        handler=Handler(),
    ) as channel:
        yield channel


# -- who tries --


@contextmanager
def dialled(address: tuple[str, int], source: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(address, HANDSHAKE_S + 2, (source, 0)) as plain:
        yield plain


def stranger_context(
    *alpn: str, shown: Member | None = None, certificate: bytes = b""
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if shown is not None:
        with _unnamed_file(_pem(shown.private, certificate or shown.certificate)) as path:
            context.load_cert_chain(path)
    return context


def heard(context: ssl.SSLContext, address: tuple[str, int], says: bytes = ASKING) -> bytes:
    """Return all bytes inside TLS that a node lets somebody hear who says something."""
    with dialled(address) as plain:
        found = b""
        with suppress(ssl.SSLError, ConnectionError), context.wrap_socket(plain) as secured:
            if says:
                secured.sendall(says)
            while data := secured.recv(65_536):
                found += data
        return found


def read_all(plain: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionError):
        while data := plain.recv(65_536):
            found += data
    return found


def plain_bytes(data: bytes) -> Callable[[tuple[str, int]], bytes]:
    def attack(address: tuple[str, int]) -> bytes:
        with dialled(address) as plain:
            plain.sendall(data)
            answer = read_all(plain)
        assert not answer or answer[0] == 21, answer  # a TLS alert and nothing else
        return b""

    return attack


def inside(*alpn: str, **given: object) -> Callable[[tuple[str, int]], bytes]:
    return lambda address: heard(stranger_context(*alpn, **given), address)  # type: ignore[arg-type]


def old_tls(address: tuple[str, int]) -> bytes:
    context = stranger_context(ALPN, shown=FRIEND)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return heard(context, address)


def garbage_after_hello(address: tuple[str, int]) -> bytes:
    leaving = ssl.MemoryBIO()
    connection = stranger_context(ALPN).wrap_bio(ssl.MemoryBIO(), leaving)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    with dialled(address) as plain:
        plain.sendall(leaving.read() + b"\x17\x03\x03\x00\x20" + b"g" * 32 + b"\xff" * 64)
        answer = read_all(plain)
    assert b"node" not in answer  # the certificate, too, is encrypted to who began the handshake
    return b""


def leaf(subject: str, key: Member, issuer: Member, uri_of: Member) -> bytes:
    """Return a certificate of one key that claims to be another's, signed by a third."""
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, "friend")
    ]
    claimed = x509.UniformResourceIdentifier(f"yin:node:{uri_of.key.bytes.hex()}")
    own = Ed25519PrivateKey.from_private_bytes(key.private.seed).public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(own)
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([claimed]), critical=False)
        .sign(Ed25519PrivateKey.from_private_bytes(issuer.private.seed), None)
        .public_bytes(Encoding.DER)
    )


SPOOFED = leaf("friend", STRANGER, STRANGER, FRIEND)
ISSUED = leaf("friend", STRANGER, FRIEND, FRIEND)
ATTACKS: dict[str, Callable[[tuple[str, int]], bytes]] = {
    "HTTP": plain_bytes(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"),
    "SSH": plain_bytes(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "zeros": plain_bytes(bytes(4_096)),
    "a greeting without TLS": plain_bytes(ASKING),
    "TLS 1.2": old_tls,
    "no certificate": inside(ALPN),
    "no certificate, no protocol": inside(),
    "no certificate, for tickets": inside(JOIN_ALPN),
    "an unknown certificate": inside(ALPN, shown=STRANGER),
    "a member's name in an own certificate": inside(ALPN, shown=STRANGER, certificate=SPOOFED),
    "a certificate that a member signed": inside(ALPN, shown=STRANGER, certificate=ISSUED),
    "a member, another protocol": inside("h2", shown=FRIEND),
    "a member, no protocol": inside(shown=FRIEND),
    "garbage behind the client's hello": garbage_after_hello,
}


@pytest.mark.parametrize("tickets", [False, True], ids=["closed", "tickets out"])
@pytest.mark.parametrize("attack", ATTACKS, ids=str)
async def test_a_stranger_hears_nothing(attack: str, tickets: bool) -> None:
    if tickets and attack == "no certificate, for tickets":
        return  # the next test
    handler = Handler()
    async with serving(handler, applicants=handler.apply if tickets else None) as address:
        with trio.fail_after(HANDSHAKE_S + 2):
            assert await trio.to_thread.run_sync(ATTACKS[attack], address) == b""
        async with friend(address) as channel:
            assert await channel.request("echo") == Map()
    assert (handler.asked, handler.applications) == (["echo"], [])


@pytest.mark.parametrize(
    ("says", "hears", "applications"),
    [
        (encode_frame(b"let me in"), encode_frame(ANSWER), [b"let me in"]),
        (encode_frame(b"one") + encode_frame(b"two"), encode_frame(ANSWER), [b"one"]),
        ((APPLICATION_BYTES_MAX + 1).to_bytes(4, "big"), b"", []),
        (bytes(4), b"", []),
        (ASKING, encode_frame(ANSWER), [GREETING[4:]]),
    ],
    ids=["an application", "two", "too long", "empty", "a greeting"],
)
async def test_who_has_no_certificate_may_apply_once_while_a_ticket_is_out(
    says: bytes, hears: bytes, applications: list[bytes]
) -> None:
    handler = Handler()
    async with serving(handler, applicants=handler.apply) as address:
        with trio.fail_after(HANDSHAKE_S + 2):
            found = await trio.to_thread.run_sync(heard, stranger_context(JOIN_ALPN), address, says)
    assert found == hears
    assert (handler.asked, handler.applications) == ([], applications)
    assert len(found) <= ADMISSION_BYTES_MAX


# -- who is slow --

DRIBBLERS = 300
FRIENDS = 40


class Crowd:
    """Counts the bytes that dribblers have sent."""

    def __init__(self) -> None:
        self.sent = 0
        self.all_there = trio.Event()

    def note(self) -> None:
        self.sent += 1
        if self.sent == DRIBBLERS:
            self.all_there.set()


async def dribble(address: tuple[str, int], source: str, crowd: Crowd) -> None:
    """Send a byte of a handshake now and then, and come back when shown out."""
    while True:
        plain = trio.socket.socket()
        with plain:
            await plain.bind((source, 0))
            with suppress(OSError):
                await plain.connect(address)
                for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
                    await plain.send(bytes([byte]))
                    crowd.note()
                    await trio.sleep(0.2)
        await trio.sleep(0.05)


async def dials_to_get_in(address: tuple[str, int]) -> int:
    """Have one request answered; return how often that took dialling."""
    dials = 0
    while True:
        dials += 1
        with suppress(Unreachable):
            async with friend(address) as channel:
                assert await channel.request("echo") == Map()
            return dials


@pytest.mark.parametrize("sources", [1, 100], ids=["from one address", "from a hundred"])
async def test_members_get_in_beside_300_that_dribble(sources: int) -> None:
    crowd = Crowd()
    async with serving(Handler()) as address, trio.open_nursery() as nursery:
        for number in range(DRIBBLERS):
            source = f"127.0.1.{number % sources + 1}" if sources > 1 else "127.0.0.1"
            nursery.start_soon(dribble, address, source, crowd)
        await crowd.all_there.wait()
        dials = [await dials_to_get_in(address) for _ in range(FRIENDS)]
        nursery.cancel_scope.cancel()
    assert crowd.sent > DRIBBLERS
    assert sum(dials) < 1.5 * FRIENDS, "a slow machine keeps some out, the crowd nobody"


async def test_half_open_connections_are_shed_in_time(autojump_clock: trio.abc.Clock) -> None:
    del autojump_clock
    async with serving(Handler()) as address:
        streams = [await trio.open_tcp_stream(*address) for _ in range(PRE_AUTHENTICATION_MAX // 2)]
        with trio.fail_after(HANDSHAKE_S + 0.5):
            for stream in streams:
                with suppress(trio.BrokenResourceError):
                    assert await stream.receive_some(1) == b""
        for stream in streams:
            await stream.aclose()
