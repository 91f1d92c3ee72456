"""TLS 1.3 with both sides' certificates pinned: who is at the other end is a key.

Is:     contexts for `ssl`, and reading the peer's key out of a finished handshake.
Is not: sockets (`transport`, `client`).
Fits:   the trust store is exactly the certificates of the members; there is no authority above them.

Who connects says by the server name which key it means, so that a node whose key is being rotated can show the one that
its peer knows. Only while a node has tickets out does it also talk to who shows no certificate, and then under another
protocol name, which knows nothing but applications (`joining`).
Source: RFC 8446.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from capabilities.certificate import public_key_of
from capabilities.errors import KeyInvalid
from capabilities.keys import PrivateKey, PublicKey
from protocol.errors import AuthenticationFailed

_log = structlog.get_logger()

ALPN = "yin/1"
JOIN_ALPN = "yin-join/1"


def server_context(
    key: PrivateKey,
    certificate: bytes,
    trusted: Iterable[bytes],
    *,
    applicants: bool = False,
    named: Mapping[str, ssl.SSLContext] | None = None,
) -> ssl.SSLContext:
    """Return the context of a node that listens.

    Args:
        key: the node's.
        certificate: of that key (DER).
        trusted: the members' certificates (DER).
        applicants: whether who shows no certificate may apply for membership.
        named: contexts of other keys of this node, by server name.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, key, certificate, trusted)
    context.num_tickets = 0  # no resumption: a removed member fails at its next connection
    if applicants:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols([ALPN, JOIN_ALPN])
    if named:
        others = dict(named)

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = others.get(name or "", context)

        context.sni_callback = choose
    return context


def server_name(key: PublicKey) -> str:
    """Return how who connects says which key it means: not the key itself, for everybody on the way can read it."""
    return hashlib.sha256(b"yin/1/sni\0" + key.bytes).hexdigest()[:16]


def applicant_context() -> ssl.SSLContext:
    """Return the context of who has a ticket and no certificate that anybody knows; it compares the node's key itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([JOIN_ALPN])
    return context


def client_context(key: PrivateKey, certificate: bytes, trusted: Iterable[bytes]) -> ssl.SSLContext:
    """Return the context of who connects; `trusted` is the certificate of the node it means (DER)."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, key, certificate, trusted)


def _context(
    protocol: int, key: PrivateKey, certificate: bytes, trusted: Iterable[bytes]
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the key is the name
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN])
    for certificate_of_member in trusted:
        _trust(context, certificate_of_member)
    with _unnamed_file(_pem(key, certificate)) as path:
        context.load_cert_chain(path)
    return context


def _trust(context: ssl.SSLContext, certificate: bytes) -> None:
    """Let a member in. One whose certificate OpenSSL refuses is not, and keeps nobody else out."""
    try:
        context.load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError) as error:
        digest = hashlib.sha256(certificate).hexdigest()
        _log.error("a member's certificate cannot be loaded", sha256=digest, why=str(error))


def _pem(key: PrivateKey, certificate: bytes) -> bytes:
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text + ssl.DER_cert_to_PEM_cert(certificate).encode()


@contextmanager
def _unnamed_file(data: bytes) -> Iterator[str]:
    """Yield the path of a file in memory: `ssl` reads keys from files only, and a key does not belong on a disk."""
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def peer_key(certificate: bytes | None, protocol: str | None, expected: str = ALPN) -> PublicKey:
    """Return whose certificate a finished handshake showed. Raises AuthenticationFailed."""
    if protocol != expected:
        raise AuthenticationFailed(f"the other side does not speak {expected}")
    if certificate is None:
        raise AuthenticationFailed("the other side showed no certificate")
    try:
        return public_key_of(certificate)
    except KeyInvalid as error:
        raise AuthenticationFailed(str(error)) from error
