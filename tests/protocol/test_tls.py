"""Handshakes carried by hand: what each side takes from the other, and what it does not."""

from __future__ import annotations

import ssl

import pytest
from members import FRIEND, NODE, STRANGER, Member

from protocol.errors import AuthenticationFailed
from protocol.tls import ALPN, client_context, peer_key, server_context

Side = tuple[ssl.SSLObject, ssl.MemoryBIO]


def contexts(client: Member = FRIEND) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a client and of a node that knows FRIEND."""
    return (
        client_context(client.private, client.certificate, [NODE.certificate]),
        server_context(NODE.private, NODE.certificate, [FRIEND.certificate]),
    )


def shaken(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Return both ends after their handshake; what follows it has reached the client. Raises ssl.SSLError."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in ends:
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
    with pytest.raises(ssl.SSLWantReadError):
        ends[0].read(1)
    return ends


def test_both_sides_know_each_other_by_key() -> None:
    client, server = shaken(*contexts())
    for end, other in ((client, NODE), (server, FRIEND)):
        assert end.version() == "TLSv1.3"
        assert peer_key(end.getpeercert(True), end.selected_alpn_protocol()) == other.key


def test_an_older_tls_is_refused() -> None:
    client, server = contexts()
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shaken(client, server)


def test_no_session_is_resumed() -> None:
    client, _ = shaken(*contexts())
    assert client.session is None or not client.session.has_ticket


def test_a_certificate_that_nobody_pinned_is_refused() -> None:
    with pytest.raises(ssl.SSLError):
        shaken(*contexts(STRANGER))


def test_a_member_does_not_vouch_for_others() -> None:
    """FRIEND signs a certificate of another key, as an authority would."""
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    friend = Ed25519PrivateKey.from_private_bytes(FRIEND.private.seed)
    stranger = Ed25519PrivateKey.from_private_bytes(STRANGER.private.seed)
    issuer = x509.load_der_x509_certificate(FRIEND.certificate)
    identity = x509.UniformResourceIdentifier(f"yin:node:{NODE.key.bytes.hex()}")
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")]))
        .issuer_name(issuer.subject)
        .public_key(stranger.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2999, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([identity]), critical=False)
        .sign(friend, None)
    )
    with pytest.raises(ssl.SSLError):
        shaken(*contexts(Member(STRANGER.private, leaf.public_bytes(Encoding.DER))))


@pytest.mark.parametrize(
    ("certificate", "protocol"),
    [(NODE.certificate, None), (NODE.certificate, "h2"), (None, ALPN), (b"none", ALPN)],
)
def test_who_shows_no_key_or_speaks_something_else_is_refused(
    certificate: bytes | None, protocol: str | None
) -> None:
    assert peer_key(NODE.certificate, ALPN) == NODE.key
    with pytest.raises(AuthenticationFailed):
        peer_key(certificate, protocol)


def test_who_shows_no_certificate_is_told_so() -> None:
    with pytest.raises(AuthenticationFailed, match="showed no certificate"):
        peer_key(None, ALPN)


@pytest.mark.parametrize("certificate", [b"", b"none", FRIEND.certificate[:-1]])
def test_a_certificate_that_cannot_be_loaded_keeps_nobody_else_out(certificate: bytes) -> None:
    trusted = [certificate, FRIEND.certificate]
    shaken(contexts()[0], server_context(NODE.private, NODE.certificate, trusted))


def test_whose_certificate_cannot_be_loaded_is_not_let_in() -> None:
    damaged = STRANGER.certificate.replace(b"\x0c", b"\x0d", 1)
    with pytest.raises(ssl.SSLError):
        shaken(
            contexts(STRANGER)[0],
            server_context(NODE.private, NODE.certificate, [damaged, FRIEND.certificate]),
        )
