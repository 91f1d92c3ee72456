"""Self-signed X.509 certificates: how TLS carries a key.

Is:     making one for an Ed25519 key, and reading the key out of one.
Is not: a chain of trust: peers pin each other's certificates.
Fits:   members of a cluster; `protocol.transport` puts them into TLS contexts.
Source: RFC 5280, RFC 8410.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capabilities.errors import KeyInvalid
from capabilities.keys import PrivateKey, PublicKey

# A pinned certificate needs no expiry of its own: membership decides. RFC 5280 4.1.2.5 names this date for that.
_START = datetime(2020, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NAME = re.compile(r"[ -~]{1,64}")
_ED25519 = b"\x30\x05\x06\x03\x2b\x65\x70"  # RFC 8410, section 3: how it was signed


def make_certificate(key: PrivateKey, name: str) -> bytes:
    """Return a self-signed certificate in DER; the key signs itself."""
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    builder = _builder(private.public_key(), name, x509.random_serial_number())
    return builder.sign(private, None).public_bytes(Encoding.DER)


def _builder(key: Ed25519PublicKey, name: str, serial: int) -> x509.CertificateBuilder:
    """Return a certificate but for its signature. Raises ValueError for a name or number that none can have."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    identity = x509.UniformResourceIdentifier(f"yin:node:{key.public_bytes_raw().hex()}")
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    ski = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(_START)
        .not_valid_after(_NEVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(both, critical=False)
        .add_extension(ski, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([identity]), critical=False)
    )


def public_key_of(der: bytes) -> PublicKey:
    """Return the Ed25519 key in a certificate. Raises KeyInvalid for what `make_certificate` does not give."""
    try:
        made = x509.load_der_x509_certificate(der)
        key = made.public_key()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise KeyInvalid(f"not a certificate: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyInvalid("the certificate's key is not Ed25519")
    try:
        if der != _made_again(made, key):
            raise KeyInvalid("the certificate is not of the form that certificates of members have")
        key.verify(made.signature, made.tbs_certificate_bytes)
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature):
        raise KeyInvalid("the certificate is not one that signs itself for a member") from None
    return PublicKey(key.public_bytes_raw())


def read_certificate(path: Path, key: PublicKey) -> bytes:
    """Return the certificate in a file, which is that of a key. Raises KeyInvalid or OSError."""
    der = path.read_bytes()
    try:
        public = public_key_of(der)
    except KeyInvalid as error:
        raise KeyInvalid(f"{path}: {error}") from None
    if public != key:
        raise KeyInvalid(f"{path}: the certificate of another key than that beside it")
    return der


def _made_again(made: x509.Certificate, key: Ed25519PublicKey) -> bytes:
    """Return the certificate that `make_certificate` gives for the same key, name and serial number, with this signature.

    Parsers differ in what they take: what one of them reads, OpenSSL may refuse, and one member that it refuses must not
    keep the others from being trusted. Equal bytes leave nothing to differ in. Raises ValueError.
    """
    names = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or not _NAME.fullmatch(name := str(names[0].value)):
        raise ValueError("no name of a member")
    anybody = Ed25519PrivateKey.from_private_bytes(bytes(32))  # what it signs is not looked at
    body = _builder(key, name, made.serial_number).sign(anybody, None).tbs_certificate_bytes
    return _sequence(body + _ED25519 + b"\x03\x41\x00" + made.signature)


def _sequence(content: bytes) -> bytes:
    """Return content as a DER sequence of 256 to 65,535 bytes. Raises ValueError."""
    if not 0x100 <= len(content) <= 0xFFFF:
        raise ValueError("no certificate is so short or so long")
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content
