"""Frames: the same in whatever pieces they come, and refused by their header."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalFault, RemoteFault
from protocol.framing import FrameBuffer, encode_frame
from protocol.limits import FRAME_BYTES_MAX


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(st.binary(min_size=1, max_size=64), max_size=8), st.lists(st.integers(0, 600)))
def test_any_chunking_yields_the_same_frames(payloads: list[bytes], cuts: list[int]) -> None:
    buffer = FrameBuffer(64)
    received = []
    for chunk in chunks(b"".join(map(encode_frame, payloads)), cuts):
        received += buffer.receive(chunk)
    assert received == payloads


@pytest.mark.parametrize("header", [b"\0\0\0\0", b"\0\0\0\x41", b"\xff\xff\xff\xff"])
def test_a_length_out_of_range_is_refused_before_its_bytes_come(header: bytes) -> None:
    with pytest.raises(RemoteFault) as refused:
        FrameBuffer(64).receive(header)
    assert refused.value.code == "wire/frame-size"


def test_frames_before_a_bad_one_are_given_out() -> None:
    buffer = FrameBuffer(64)
    frames = buffer.frames(encode_frame(b"good") + b"\0\0\0\0")
    assert next(frames) == b"good"
    with pytest.raises(RemoteFault):
        next(frames)


def test_the_limit_can_grow_between_two_frames() -> None:
    buffer = FrameBuffer(2)
    frames = buffer.frames(encode_frame(b"ab") + encode_frame(b"abc"))
    assert next(frames) == b"ab"
    buffer.size_max = 3
    assert next(frames) == b"abc"


def test_an_empty_frame_or_one_too_long_is_not_made() -> None:
    with pytest.raises(LocalFault):
        encode_frame(b"")
    with pytest.raises(LocalFault):
        encode_frame(bytes(FRAME_BYTES_MAX + 1))
