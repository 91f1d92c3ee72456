"""Signatures are those of RFC 8032; what one accepts here, every other verifier accepts, and odd ones nobody does."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from curve25519 import BASE, ORDER, P, Point, add, encoded, small_order_points, times, x_of
from hypothesis import given
from hypothesis import strategies as st

from capabilities.errors import TokenInvalid
from capabilities.keys import PrivateKey, PublicKey

SECRET = 12_345_678_901_234_567_890  # the number behind the keys that are made here
HONEST = times(SECRET, BASE)
MESSAGE = b"message"

RFC_8032 = [  # 7.1: seed, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


def accepted(raw: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether it is accepted here."""
    try:
        PublicKey(raw).verify(signature, message)
    except TokenInvalid:
        return False
    return True


def accepted_by_another(raw: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether OpenSSL accepts it."""
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def made(
    nonce: Point, number: int, key: Point, *, rounds: int = 0, message: bytes = MESSAGE
) -> bytes:
    """Return the signature with R = nonce, whose number is given, and S as many times the order too large."""
    raw = encoded(nonce)
    hashed = int.from_bytes(hashlib.sha512(raw + encoded(key) + message).digest(), "little")
    scalar = (number + hashed * SECRET) % ORDER + rounds * ORDER
    return raw + scalar.to_bytes(32, "little")


@pytest.mark.parametrize("vector", RFC_8032, ids=["empty", "1 byte", "2 bytes", "64 bytes"])
def test_the_vectors_of_the_standard_are_signed_and_accepted(vector: tuple[str, ...]) -> None:
    seed, public, message, signature = map(bytes.fromhex, vector)
    key = PrivateKey(seed)
    assert (key.public.bytes, key.sign(message)) == (public, signature)
    assert accepted(public, signature, message)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_signatures_are_the_same_as_those_of_another_library(seed: bytes, message: bytes) -> None:
    signature = PrivateKey(seed).sign(message)
    assert signature == Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    assert accepted(PrivateKey(seed).public.bytes, signature, message)


@given(st.integers(0, 8 * 96 - 1), st.binary(max_size=32))
def test_a_signature_with_any_bit_flipped_is_refused(bit: int, message: bytes) -> None:
    signer = PrivateKey(bytes(range(32)))
    whole = bytearray(signer.sign(message) + message.ljust(32, b"."))
    whole[bit // 8] ^= 1 << bit % 8
    assert not accepted(signer.public.bytes, bytes(whole[:64]), bytes(whole[64:]))


@given(st.binary(min_size=64, max_size=64), st.binary(max_size=64))
def test_nothing_is_accepted_that_another_library_refuses(signature: bytes, message: bytes) -> None:
    raw = PrivateKey(bytes(range(32))).public.bytes
    assert not accepted(raw, signature, message)
    assert not accepted_by_another(raw, signature, message)


def test_what_is_made_here_is_a_signature() -> None:
    for number in range(3, 9):
        signature = made(times(number, BASE), number, HONEST)
        assert accepted(encoded(HONEST), signature, MESSAGE)
        assert accepted_by_another(encoded(HONEST), signature, MESSAGE)


@pytest.mark.parametrize("rounds", range(1, 15))
def test_s_is_below_the_order(rounds: int) -> None:
    assert not accepted(encoded(HONEST), made(times(7, BASE), 7, HONEST, rounds=rounds), MESSAGE)


def test_r_of_small_order_is_refused_in_every_encoding() -> None:
    for point in small_order_points():
        signature, y = made(point, 0, HONEST), point[1]
        assert not accepted(encoded(HONEST), signature, MESSAGE)
        for other in {y, y + P if y < 19 else y}:
            for sign in (0, 1):
                raw = (other | sign << 255).to_bytes(32, "little")
                assert not accepted(encoded(HONEST), raw + signature[32:], MESSAGE)


def test_r_with_a_part_of_small_order_is_refused_as_others_do() -> None:
    for point in small_order_points() - {(0, 1)}:
        for number in range(3, 7):
            signature = made(add(times(number, BASE), point), number, HONEST)
            assert not accepted(encoded(HONEST), signature, MESSAGE)
            assert not accepted_by_another(encoded(HONEST), signature, MESSAGE)


def test_under_a_key_with_a_part_of_small_order_all_answer_alike() -> None:
    answers = set()
    for point in small_order_points() - {(0, 1)}:
        key = add(HONEST, point)
        for number in range(3, 19):
            signature = made(times(number, BASE), number, key)
            answer = accepted(encoded(key), signature, MESSAGE)
            assert answer == accepted_by_another(encoded(key), signature, MESSAGE)
            answers.add(answer)
    assert answers == {True, False}  # a key of that kind signs by chance


@pytest.mark.parametrize("excess", range(19))
def test_r_that_is_not_canonical_is_refused(excess: int) -> None:
    signature = made(times(7, BASE), 7, HONEST)
    for sign in (0, 1):
        raw = (P + excess | sign << 255).to_bytes(32, "little")
        assert not accepted(encoded(HONEST), raw + signature[32:], MESSAGE)


def test_no_byte_moves_between_signature_and_message() -> None:
    signer = PrivateKey(bytes(range(32)))
    whole = signer.sign(MESSAGE) + MESSAGE
    assert [
        size
        for size in range(len(whole) + 1)
        if accepted(signer.public.bytes, whole[:size], whole[size:])
    ] == [64]


@pytest.mark.parametrize("y", [2, 7, 8, 11])
def test_a_key_that_is_no_point_verifies_nothing(y: int) -> None:
    assert x_of(y) is None
    raw = y.to_bytes(32, "little")
    assert not accepted(raw, made(times(7, BASE), 7, HONEST), MESSAGE)
