"""The codec over the msgpack library, which knows nothing of ours: slow, and short.

Is:     what `datomstore.codec` has to say of any value and of any bytes.
Is not: bounded where bytes are hostile on purpose: arrays nested in lists end the process here.
Fits:   tests compare the two.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgpack

from datomstore import decimals
from datomstore.codec import (
    BIG_INTEGER,
    CHAR,
    DECIMAL,
    INSTANT,
    KEYWORD,
    LIST,
    MAP,
    RATIO,
    SET,
    SYMBOL,
    UUID_,
    CodecError,
)
from datomstore.limits import (
    CODEC_BIG_INTEGER_MAX,
    CODEC_DEPTH_MAX,
    CODEC_RATIO_PART_MAX,
    KEY_STEPS,
    KEY_STEPS_ALIKE,
    KEYS_UNCOUNTED,
)
from datomstore.value import Char, Keyword, List, Map, Set, Symbol


def pack(value: object) -> bytes:
    """Return the canonical bytes of a value. Raises CodecError."""
    try:
        return _pack(value)
    except RecursionError:
        raise CodecError("the value is nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise CodecError(f"no encoding: {error}") from error


def _pack(value: object, depth: int = 0) -> bytes:
    """Return the bytes of a value that stands inside `depth` extensions."""
    packer = msgpack.Packer(
        default=lambda item: _extension(item, depth + 1), strict_types=True, use_bin_type=True
    )
    packed: bytes = packer.pack(value)
    return packed


def _extension(value: object, depth: int) -> Any:
    """Return what msgpack can write in place of a value it does not know."""
    if type(value) is tuple:
        return list(value)
    if depth > CODEC_DEPTH_MAX:  # what cannot be read must not be written
        raise ValueError(f"nested deeper than {CODEC_DEPTH_MAX}")
    if isinstance(value, Keyword):
        return msgpack.ExtType(KEYWORD, value.name.encode())
    if isinstance(value, Symbol):
        return msgpack.ExtType(SYMBOL, value.name.encode())
    if isinstance(value, Map):
        pairs = sorted(
            ((_pack(key, depth), _pack(item, depth), key) for key, item in value.items()),
            key=lambda found: found[:2],
        )
        check_keys([key for _, _, key in pairs])
        return msgpack.ExtType(MAP, b"".join(part for *pair, _ in pairs for part in pair))
    if isinstance(value, List):
        return msgpack.ExtType(LIST, b"".join(_pack(item, depth) for item in value))
    if isinstance(value, Set):
        members = sorted(((_pack(item, depth), item) for item in value), key=lambda pair: pair[0])
        check_keys([member for _, member in members])
        return msgpack.ExtType(SET, b"".join(part for part, _ in members))
    if isinstance(value, int):
        return msgpack.ExtType(BIG_INTEGER, _big(value))
    if isinstance(value, Fraction):
        _check_ratio(value)
        return msgpack.ExtType(RATIO, _pack([value.numerator, value.denominator], depth))
    if isinstance(value, Decimal):
        return msgpack.ExtType(DECIMAL, _pack(list(decimals.parts(value)), depth))
    if isinstance(value, Char):
        return msgpack.ExtType(CHAR, value.value.encode())
    if isinstance(value, datetime):
        return msgpack.ExtType(INSTANT, _microseconds(value).to_bytes(8, "big", signed=True))
    if isinstance(value, UUID):
        return msgpack.ExtType(UUID_, value.bytes)
    raise TypeError(f"{type(value).__name__} is not a value")


def check_keys(keys: list[Any]) -> None:
    """Raise ValueError if a dictionary of these keys, put in one after the other, would be slow."""
    if len(keys) <= KEYS_UNCOUNTED or all(type(k) in (str, bytes, Keyword, Symbol) for k in keys):
        return
    hashes, steps, log2, done = [hash(key) for key in keys], 0, 3, 0
    while done < len(keys):
        places: dict[int, int] = {}  # place -> hash of the key there
        done = min(len(keys), (2 << log2) // 3)
        for hashed in hashes[:done]:
            steps += _put_key(places, log2, hashed)
            if steps > KEY_STEPS * len(keys):
                raise ValueError("keys that collide")
        log2 += 1


def _put_key(places: dict[int, int], log2: int, hashed: int) -> int:
    perturb, steps = hashed % (1 << 64), 1
    place = perturb % (1 << log2)
    while place in places:
        steps += KEY_STEPS_ALIKE if places[place] == hashed else 1
        perturb >>= 5
        place = (5 * place + perturb + 1) % (1 << log2)
    places[place] = hashed
    return steps


def _check_ratio(value: Fraction) -> None:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 8 * CODEC_RATIO_PART_MAX:
        raise ValueError("a ratio too large")


def _big(value: int) -> bytes:
    size = (value.bit_length() + 8) // 8
    if size > CODEC_BIG_INTEGER_MAX:
        raise ValueError(f"an integer of {size} bytes; at most {CODEC_BIG_INTEGER_MAX}")
    return value.to_bytes(size, "big", signed=True)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(instant: datetime) -> int:
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def unpack(data: bytes) -> object:
    """Return the value of canonical bytes. Raises CodecError for all other bytes."""
    value = unpack_trusted(data)
    if pack(value) != data:
        raise CodecError("not the canonical encoding")
    return value


def unpack_trusted(data: bytes) -> object:
    """Return the value of bytes that this process's own storage kept: any encoding, still no crash."""
    try:
        return _Decoder().decode(data)
    except RecursionError:
        raise CodecError("nested too deeply") from None
    except (
        ValueError,
        TypeError,
        OverflowError,
        msgpack.exceptions.UnpackException,
    ) as error:
        raise CodecError(f"not a value: {str(error) or type(error).__name__}") from error


class _Decoder:
    """Decodes one value; counts the extensions it is inside of."""

    def __init__(self) -> None:
        self.depth = 0

    def decode(self, data: bytes) -> object:
        items = self.items(data)
        if len(items) != 1:
            raise ValueError(f"{len(items)} values where one is expected")
        return items[0]

    def items(self, data: bytes) -> list[object]:
        """Return the values that stand one after the other in `data`."""
        unpacker = msgpack.Unpacker(
            use_list=False,
            raw=False,
            strict_map_key=True,
            ext_hook=self.extension,
            object_hook=_no_plain_map,
            max_buffer_size=max(len(data), 1),
        )
        unpacker.feed(data)
        found = list(unpacker)
        if unpacker.tell() != len(data):
            raise ValueError("the bytes end in the middle of a value")
        return found

    def extension(self, code: int, data: bytes) -> object:
        self.depth += 1
        if self.depth > CODEC_DEPTH_MAX:
            raise ValueError(f"nested deeper than {CODEC_DEPTH_MAX}")
        try:
            return self.read(code, data)
        finally:
            self.depth -= 1

    def read(self, code: int, data: bytes) -> object:
        match code:
            case 1:
                return Keyword(data.decode())
            case 2:
                return Symbol(data.decode())
            case 3:
                return Char(data.decode())
            case 4:
                return List(self.items(data))
            case 5:
                items = self.items(data)
                if len(items) % 2:
                    raise ValueError("a map with a key that has no value")
                return Map(zip(items[::2], items[1::2], strict=True))
            case 6:
                return Set(self.items(data))
            case 7:
                return _ratio(self.decode(data))
            case 8:
                if len(data) > CODEC_BIG_INTEGER_MAX:
                    raise ValueError(f"an integer of {len(data)} bytes")
                return int.from_bytes(data, "big", signed=True)
            case 9:
                return _instant(data)
            case 10:
                return UUID(bytes=data)
            case 11:
                return _decimal(self.decode(data))
        raise ValueError(f"no extension {code}")


def _ratio(parts: object) -> Fraction | int:
    if not isinstance(parts, tuple) or len(parts) != 2:
        raise ValueError("a ratio is two integers")
    numerator, denominator = parts
    if type(numerator) is not int or type(denominator) is not int or denominator < 1:
        raise ValueError("a ratio is two integers, the second above zero")
    return Fraction(numerator, denominator)


def _decimal(parts: object) -> Decimal:
    if not isinstance(parts, tuple) or [type(part) for part in parts] != [int, int]:
        raise ValueError("a decimal is two integers")
    try:
        return decimals.decimal_of(*parts)
    except decimals.DecimalFault as error:
        raise ValueError(str(error)) from error


def _instant(data: bytes) -> datetime:
    if len(data) != 8:
        raise ValueError("an instant is 8 bytes")
    return _EPOCH + timedelta(microseconds=int.from_bytes(data, "big", signed=True))


def _no_plain_map(value: object) -> object:
    raise ValueError("a msgpack map: maps are an extension here")
