"""The envelope of a shipped agent."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.value import Map
from protocol import codec
from protocol.continuation import Continuation, open_, seal
from protocol.errors import LocalFault, RemoteFault
from protocol.limits import HASHES_MAX, IMAGE_BYTES_MAX

HASH = b"h" * 32
GOOD = {
    "version": 1,
    "image": b"state",
    "programs": (HASH,),
    "meta": Map({"name": "counter"}),
}


def sealed(parts: object) -> bytes:
    """Return bytes with the right digest over parts that `seal` would not write."""
    payload = codec.pack(parts)
    return hashlib.sha256(b"yin/1/img\0" + payload).digest() + payload


def test_what_is_sealed_opens_again() -> None:
    data = seal(b"state", [HASH], Map({"name": "counter"}))
    assert open_(data) == Continuation(b"state", (HASH,), Map({"name": "counter"}), data[:32])
    assert data == sealed(Map(GOOD))


def test_the_bytes_do_not_depend_on_the_order_of_parts() -> None:
    assert sealed(Map(GOOD)) == sealed(Map(dict(reversed(GOOD.items()))))


def test_every_flipped_bit_is_found() -> None:
    data = seal(b"state", [HASH], Map())
    for position in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(RemoteFault, match="digest"):
            open_(bytes(damaged))


def test_every_cut_is_found() -> None:
    data = seal(b"state", [HASH], Map())
    for end in range(len(data)):
        with pytest.raises(RemoteFault):
            open_(data[:end])
    with pytest.raises(RemoteFault):
        open_(data + b"\0")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"version": None},
        {"image": "text"},
        {"programs": (HASH[:31],)},
        {"programs": (HASH,) * (HASHES_MAX + 1)},
        {"programs": HASH},
        {"tokens": (b"token",)},
        {"more": 1},
    ],
)
def test_parts_of_another_shape_are_refused_though_the_digest_is_right(
    change: dict[str, object],
) -> None:
    with pytest.raises(RemoteFault) as refused:
        open_(sealed(Map(GOOD | change)))
    assert refused.value.code == "wire/image"


@pytest.mark.parametrize("part", sorted(GOOD))
def test_a_missing_part_is_refused(part: str) -> None:
    with pytest.raises(RemoteFault):
        open_(sealed(Map({name: value for name, value in GOOD.items() if name != part})))


def test_what_is_not_a_map_is_refused() -> None:
    with pytest.raises(RemoteFault, match="map"):
        open_(sealed((1, 2)))


def test_an_image_over_the_limit_is_neither_sealed_nor_opened() -> None:
    with pytest.raises(LocalFault):
        seal(bytes(IMAGE_BYTES_MAX), [], None)
    with pytest.raises(RemoteFault, match="at most"):
        open_(bytes(IMAGE_BYTES_MAX + 33))


def test_parts_that_would_not_open_are_not_sealed() -> None:
    with pytest.raises(LocalFault):
        seal(b"state", [b"short"], None)


@given(st.binary(max_size=256))
def test_any_bytes_are_refused_with_a_fault(data: bytes) -> None:
    with pytest.raises(RemoteFault):
        open_(data)
    with pytest.raises(RemoteFault):
        open_(hashlib.sha256(b"yin/1/img\0" + data).digest() + data)
