"""Strict msgpack: one value, one encoding.

Is:     decoding that refuses every byte string but the one the encoder would have made.
Is not: a check of shapes; fields check their own types, and exactly (True is not 1).
Fits:   token envelopes, block bodies, revocations.
Source: the msgpack specification, which allows several encodings of most values.
"""

from __future__ import annotations

import msgpack
import msgspec

from capabilities.errors import TokenInvalid

_encoder = msgspec.msgpack.Encoder()


def encode(value: object) -> bytes:
    """Return the one encoding of a value."""
    return _encoder.encode(value)


def decode(data: bytes) -> object:
    """Return the value of canonical bytes, its arrays as tuples; nesting and sizes are bounded by the bytes given.

    Raises TokenInvalid.

    Long headers of short numbers, doubled keys, bytes after the end and text that is not UTF-8 all fail the
    comparison at the end or the decoder itself.
    """
    try:
        value: object = msgpack.unpackb(data, raw=False, use_list=False, strict_map_key=False)
        again = encode(value)
    # The decoder's errors are ValueErrors; an unhashable map key is a TypeError, a strange timestamp an OverflowError.
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        raise TokenInvalid(
            "the bytes are not msgpack of the kind tokens use", why="encoding"
        ) from None
    if again != data:
        raise TokenInvalid("the encoding is not canonical", why="encoding")
    return value


def octets(value: object, size: int, what: str) -> bytes:
    """Return a byte string of exactly `size` bytes. Raises TokenInvalid."""
    if type(value) is not bytes or len(value) != size:
        raise TokenInvalid(f"{what} is not {size} bytes", why="shape")
    return value


def unsigned(value: object, what: str, *, most: int = 2**64 - 1) -> int:
    """Return an integer from 0 to `most`; a boolean is none. Raises TokenInvalid."""
    if type(value) is not int or not 0 <= value <= most:
        raise TokenInvalid(f"{what} is not an integer from 0 to {most}", why="shape")
    return value


def array(value: object, what: str, *, most: int) -> tuple[object, ...]:
    """Return an array of 0 to `most` items. Raises TokenInvalid."""
    if type(value) is not tuple or len(value) > most:
        raise TokenInvalid(f"{what} is not a list of at most {most}", why="shape")
    return value


def tuple_of(value: object, size: int, what: str) -> tuple[object, ...]:
    """Return an array of exactly `size` items. Raises TokenInvalid."""
    if type(value) is not tuple or len(value) != size:
        raise TokenInvalid(f"{what} is not a list of {size}", why="shape")
    return value


def ascending(value: object, what: str) -> dict[int, object]:
    """Return a map whose keys are unsigned integers in ascending order. Raises TokenInvalid."""
    if type(value) is not dict:
        raise TokenInvalid(f"{what} is not a map", why="shape")
    last = -1
    for key in value:
        if type(key) is not int or key <= last:
            unsigned(key, f"a key of {what}")
            raise TokenInvalid(f"the keys of {what} do not ascend", why="encoding")
        last = key
    return value
