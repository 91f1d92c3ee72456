"""A certificate is a container for one Ed25519 key, and signs nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from capabilities.certificate import make_certificate, public_key_of, read_certificate
from capabilities.errors import KeyInvalid
from capabilities.keys import PrivateKey

CERTIFICATE = make_certificate(PrivateKey(bytes(32)), "alpha")


@pytest.mark.parametrize("data", [b"", b"x", CERTIFICATE[:-1], CERTIFICATE + b"x"])
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(KeyInvalid, match="not a certificate"):
        public_key_of(data)


def test_a_key_of_another_kind_is_refused() -> None:
    key = Ed448PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alpha")])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2999, 1, 1, tzinfo=UTC),
    ).sign(key, None)
    with pytest.raises(KeyInvalid, match="not Ed25519"):
        public_key_of(made.public_bytes(Encoding.DER))


def test_a_key_of_a_kind_that_nobody_knows_is_refused() -> None:
    ed25519 = b"\x06\x03\x2b\x65\x70"  # its object identifier, 1.3.101.112
    assert ed25519 in CERTIFICATE
    with pytest.raises(KeyInvalid):
        public_key_of(CERTIFICATE.replace(ed25519, b"\x06\x03\x2b\x65\x7f"))


def test_a_certificate_signs_no_other() -> None:
    made = x509.load_der_x509_certificate(CERTIFICATE)
    basic = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, False)
    assert not made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def altered(**changes: object) -> bytes:
    """Return a certificate that differs from a member's in one thing, signed by its own key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    made = x509.load_der_x509_certificate(CERTIFICATE)
    told: dict[str, object] = {
        "subject_name": made.subject,
        "issuer_name": made.issuer,
        "serial_number": made.serial_number,
        "not_valid_before": made.not_valid_before_utc,
        "not_valid_after": made.not_valid_after_utc,
        "extensions": list(made.extensions),
    } | changes
    return (
        x509.CertificateBuilder(public_key=key.public_key(), **told)  # type: ignore[arg-type]
        .sign(key, None)
        .public_bytes(Encoding.DER)
    )


def common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def test_a_certificate_of_the_same_form_is_taken() -> None:
    assert public_key_of(altered()) == PrivateKey(bytes(32)).public


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_name": common("beta")},
        {"issuer_name": common("beta")},
        {"subject_name": common("\u00e4"), "issuer_name": common("\u00e4")},
        {"subject_name": x509.Name([]), "issuer_name": x509.Name([])},
        {"not_valid_after": datetime(2021, 1, 1, tzinfo=UTC)},
        {"extensions": []},
    ],
)
def test_a_certificate_of_another_form_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(KeyInvalid):
        public_key_of(altered(**changes))


@pytest.mark.parametrize("name", [b"\xff\xfe\xff\xfe\xff", b"al\0ha"])
def test_a_name_that_openssl_refuses_or_nobody_can_print_is_refused(name: bytes) -> None:
    der = CERTIFICATE.replace(b"alpha", name)
    body = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    with pytest.raises(KeyInvalid):
        public_key_of(der[:-64] + PrivateKey(bytes(32)).sign(body))


def test_a_certificate_that_its_key_did_not_sign_is_refused() -> None:
    with pytest.raises(KeyInvalid, match="signs itself"):
        public_key_of(CERTIFICATE[:-1] + bytes([CERTIFICATE[-1] ^ 1]))


def test_a_file_of_a_certificate_is_that_of_a_key(tmp_path: Path) -> None:
    key, path = PrivateKey.generate(), tmp_path / "a.crt"
    made = make_certificate(key, "alpha")
    path.write_bytes(made)
    assert read_certificate(path, key.public) == made
    with pytest.raises(KeyInvalid, match=r"a\.crt: the certificate of another key"):
        read_certificate(path, PrivateKey.generate().public)
    path.write_bytes(made[:-1])
    with pytest.raises(KeyInvalid, match=r"a\.crt: not a certificate"):
        read_certificate(path, key.public)
