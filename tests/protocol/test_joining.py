"""An application for membership as bytes: one encoding, and nothing else is read as one."""

from __future__ import annotations

from typing import Any

import pytest

from capabilities.canonical import decode, encode
from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey
from capabilities.tickets import Ticket, check_proof, proof_of
from protocol.address import is_dialable
from protocol.errors import RemoteFault
from protocol.joining import Application

NODE, ROOT, NEW = (PrivateKey(letter * 32) for letter in (b"n", b"r", b"w"))
TICKET = Ticket("h:1", NODE.public, b"sixteen  secrets")
CERTIFICATE = make_certificate(NEW, "delta")


def application(**more: Any) -> Application:
    return Application.make(
        TICKET, name="delta", addresses=("h:2",), certificate=CERTIFICATE, **more
    )


def packed(fields: list[Any]) -> bytes:
    signed = encode(fields)
    return encode([signed, proof_of(TICKET.key, TICKET.node, signed)])


@pytest.mark.parametrize("root", [None, ROOT.public])
def test_an_application_is_read_as_it_was_written(root: Any) -> None:
    made = application(root=root)
    read = Application.from_bytes(made.to_bytes())
    assert read == made
    assert read.root == root
    check_proof(TICKET.key, TICKET.node, read.signed, read.proof)


def test_who_names_no_root_writes_what_every_release_reads() -> None:
    assert len(decode(application().signed)) == 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "root", [None, b"", b"r" * 31, b"r" * 33, "r" * 32, 1, [ROOT.public.bytes], b"\0" * 32]
)
def test_what_is_no_key_is_no_root(root: Any) -> None:
    fields = decode(application().signed)
    assert isinstance(fields, (list, tuple))
    with pytest.raises(RemoteFault, match=r"an application|not|root"):
        Application.from_bytes(packed([*fields, root]))


@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_fields_that_lack_or_are_too_many_are_no_application(count: int) -> None:
    fields = decode(application(root=ROOT.public).signed)
    assert isinstance(fields, (list, tuple))
    with pytest.raises(RemoteFault, match="not an application"):
        Application.from_bytes(packed([*fields, b"more"][:count]))


@pytest.mark.parametrize(
    ("address", "dialable"),
    [
        ("example.org:7400", True),
        ("192.0.2.1:7400", True),
        ("[2001:db8::1]:7400", True),
        ("127.0.0.1:1", True),
        ("0.0.0.0:7400", False),
        ("[::]:7400", False),
        (":::7400", False),
        ("[0:0:0:0:0:0:0:0]:7400", False),
        ("0:7400", False),
        ("*:7400", False),
        (":7400", False),
        ("example.org:0", False),
        ("example.org", False),
        ("example.org:99999", False),
        ("example.org:" + "0" * 5_000, False),
        ("example.org:\u00b2", False),
        ("example.org:\u0663", False),
        ("a..b:7400", False),
        ("a" * 63 + ":7400", True),
        ("a" * 64 + ":7400", False),
        ("a." * 127 + "org:7400", False),
        ("a\0b:7400", False),
        ("a b:7400", False),
        ("a\ud800:7400", False),
    ],
)
def test_an_address_leads_to_one_host_and_a_port(address: str, dialable: bool) -> None:
    assert is_dialable(address) is dialable
