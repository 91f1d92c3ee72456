"""Self-signed X.509 certificates: how TLS carries a key.

Is:     making one for an Ed25519 key, and reading the key out of one.
Is not: a chain of trust: peers pin each other's certificates.
Fits:   members of a cluster; `protocol.transport` puts them into TLS contexts.
Source: RFC 5280, RFC 8410.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capabilities.errors import KeyInvalid
from capabilities.keys import PrivateKey, PublicKey

# A pinned certificate needs no expiry of its own: membership decides. RFC 5280 4.1.2.5 names this date for that.
_START = datetime(2020, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def make_certificate(key: PrivateKey, name: str) -> bytes:
    """Return a self-signed certificate in DER; the key signs itself."""
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    identity = x509.UniformResourceIdentifier(f"yin:node:{key.public.bytes.hex()}")
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
    ski = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
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
    return builder.sign(private, None).public_bytes(Encoding.DER)


def public_key_of(der: bytes) -> PublicKey:
    """Return the Ed25519 key in a certificate. Raises KeyInvalid."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise KeyInvalid(f"not a certificate: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyInvalid("the certificate's key is not Ed25519")
    return PublicKey(key.public_bytes_raw())
