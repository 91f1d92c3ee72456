"""EDN values as a flat sequence of msgpack scalars: exact, canonical, safe to decode.

Is:     the encoding of literals in program bytes and in AST datoms.
Is not: the wire's codec (`protocol.codec`) or the store's log format.
Fits:   `yang.program` hashes it, `yang.ast_datoms` keeps what the value index cannot tell apart.
Source: msgpack specification; prefix notation instead of nesting, so that decoding needs no recursion and a declared length
        allocates nothing.

A value is a tag and its payload: a scalar, or a count followed by that many values. Equal values of different shape
(a list and a vector, 0.0 and -0.0, maps in another order) have different bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgpack

from datomstore import decimals
from datomstore.codec import map_of, set_of
from datomstore.limits import CODEC_RATIO_PART_MAX
from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.errors import ProgramInvalid
from yang.limits import NAME_LENGTH_MAX, NESTING_MAX, NODE_COUNT_MAX

# ORDER: value tags. Hashes of programs depend on them: append only.
(
    _NIL,
    _FALSE,
    _TRUE,
    _INTEGER,
    _BIG,
    _RATIO,
    _DOUBLE,
    _STRING,
    _CHARACTER,
    _KEYWORD,
    _SYMBOL,
    _VECTOR,
    _LIST,
    _MAP,
    _SET,
    _BYTES,
    _INSTANT,
    _UUID,
    _DECIMAL,
) = range(19)
_PAIRS = {_RATIO, _DECIMAL}  # of two integers
_COMPOUND = {_VECTOR, _LIST, _MAP, _SET}
_INT64 = 1 << 63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8 << 48))[0]


def pack(scalars: Iterable[object]) -> bytes:
    """Return the bytes of scalars, one after the other."""
    items = list(scalars)
    array: bytes = msgpack.packb(items, use_bin_type=True)
    return array[_head(len(items)) :]


def _head(count: int) -> int:
    """Return how many bytes msgpack has before the items of an array."""
    return 1 if count < 1 << 4 else 3 if count < 1 << 16 else 5


def unpack(data: bytes, size_max: int) -> Iterator[object]:
    """Return the scalars of bytes. Raises ProgramInvalid for anything else, before it takes memory."""
    if len(data) > size_max:
        raise ProgramInvalid(f"{len(data)} bytes; at most {size_max} are taken")
    unpacker = msgpack.Unpacker(
        raw=False,
        max_buffer_size=max(len(data), 1),
        max_array_len=0,
        max_map_len=0,
        max_ext_len=0,
    )
    unpacker.feed(data)
    count = 0
    try:
        for scalar in unpacker:
            count += 1
            yield scalar
    except ProgramInvalid:
        raise
    except (ValueError, msgpack.UnpackException) as error:
        raise ProgramInvalid(f"not scalars: {error}") from None
    if unpacker.tell() != len(data):
        raise ProgramInvalid("the bytes end inside a scalar")


def scalars_of(value: object) -> list[object]:
    """Return a value as scalars. Raises TypeError for what is no EDN value."""
    out: list[object] = []
    stack = [value]
    while stack:
        item = stack.pop()
        inner = _put(item, out)
        if inner:
            stack.extend(reversed(inner))
    return out


def _put(value: Any, out: list[object]) -> list[object]:
    """Append one value's tag and payload; return the values inside, which follow."""
    kind = type(value)
    if value is None:
        out.append(_NIL)
    elif kind is bool:
        out.append(_TRUE if value else _FALSE)
    elif kind is int and -_INT64 <= value < _INT64:
        out += (_INTEGER, value)
    elif kind is int:
        out += (_BIG, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    elif kind is float:
        out += (_DOUBLE, _NAN if math.isnan(value) else value)
    elif kind is str:
        out += (_STRING, value)
    elif kind is Keyword:
        out += (_KEYWORD, value.name)
    elif kind is Symbol:
        out += (_SYMBOL, value.name)
    elif kind is tuple or kind is List:
        out += (_VECTOR if kind is tuple else _LIST, len(value))
        return list(value)
    elif isinstance(value, Map):
        out += (_MAP, len(value))
        return [part for entry in value.items() for part in entry]
    elif isinstance(value, Set):
        out += (_SET, len(value))
        return list(value)
    else:
        return _put_rare(value, out)
    return []


def _put_rare(value: object, out: list[object]) -> list[object]:
    if isinstance(value, Char):
        out += (_CHARACTER, value.value)
    elif isinstance(value, Fraction):
        if value.denominator == 1:
            return [value.numerator]
        out.append(_RATIO)
        return [value.numerator, value.denominator]
    elif isinstance(value, Decimal):
        out.append(_DECIMAL)
        return list(decimals.parts(value))
    elif isinstance(value, bytes):
        out += (_BYTES, value)
    elif isinstance(value, datetime):
        out += (_INSTANT, (value - _EPOCH) // timedelta(microseconds=1))
    elif isinstance(value, UUID):
        out += (_UUID, value.bytes)
    else:
        raise TypeError(f"{type(value).__name__} is not a value: {value!r}")
    return []


def take(scalars: Iterator[object]) -> object:
    """Return the value that comes next. Raises ProgramInvalid, StopIteration at the end."""
    open_: list[tuple[int, int, list[object]]] = []  # tag, values expected, values so far
    while True:
        tag = next(scalars)
        if type(tag) is not int or not 0 <= tag < 19:
            raise ProgramInvalid(f"no value has the tag {tag!r}")
        if tag in _COMPOUND or tag in _PAIRS:
            count = 2 if tag in _PAIRS else _count(next(scalars), tag)
            if len(open_) >= NESTING_MAX + 2:
                raise ProgramInvalid(f"a value nested deeper than {NESTING_MAX}")
            open_.append((tag, count, []))
        else:
            value = _leaf(tag, scalars)
            if not open_:
                return value
            open_[-1][2].append(value)
        while len(open_[-1][2]) == open_[-1][1]:
            tag, _, items = open_.pop()
            value = _compound(tag, items)
            if not open_:
                return value
            open_[-1][2].append(value)


def _count(count: object, tag: int) -> int:
    if type(count) is not int or not 0 <= count <= NODE_COUNT_MAX:
        raise ProgramInvalid(f"{count!r} is not a count")
    return count * 2 if tag == _MAP else count


def _leaf(tag: int, scalars: Iterator[object]) -> object:
    if tag <= _TRUE:
        return (None, False, True)[tag]
    payload = next(scalars)
    expected, make = _LEAVES[tag]
    if type(payload) is not expected:
        raise ProgramInvalid(f"value tag {tag} with a {type(payload).__name__}")
    try:
        return make(payload)
    except (ValueError, OverflowError) as error:
        raise ProgramInvalid(f"value tag {tag}: {error}") from None


def _same(payload: Any) -> object:
    return payload


def _integer(payload: int) -> int:
    if not -_INT64 <= payload < _INT64:
        raise ValueError("more than 64 bits")
    return payload


def _big(payload: bytes) -> int:
    return int.from_bytes(payload, "big", signed=True)


def _name(payload: str) -> str:
    if not 0 < len(payload) <= NAME_LENGTH_MAX:
        raise ValueError(f"a name of {len(payload)} characters")
    return payload


_LEAVES: dict[int, tuple[type, Callable[[Any], object]]] = {
    _INTEGER: (int, _integer),
    _BIG: (bytes, _big),
    _DOUBLE: (float, _same),
    _STRING: (str, _same),
    _CHARACTER: (str, Char),
    _KEYWORD: (str, lambda payload: Keyword(_name(payload))),
    _SYMBOL: (str, lambda payload: Symbol(_name(payload))),
    _BYTES: (bytes, _same),
    _INSTANT: (int, lambda payload: _EPOCH + timedelta(microseconds=payload)),
    _UUID: (bytes, lambda payload: UUID(bytes=payload)),
}


def _compound(tag: int, items: list[object]) -> object:
    if tag == _VECTOR:
        return tuple(items)
    if tag == _LIST:
        return List(items)
    if tag == _SET:
        return _unless_colliding(set_of, items)
    if tag == _MAP:
        return _unless_colliding(map_of, list(zip(items[::2], items[1::2], strict=True)))
    if tag == _DECIMAL:
        return _decimal(*items)
    numerator, denominator = items
    if type(numerator) is not int or type(denominator) is not int or denominator < 2:
        raise ProgramInvalid("not a ratio")
    if max(numerator.bit_length(), denominator.bit_length()) > 8 * CODEC_RATIO_PART_MAX:
        raise ProgramInvalid(f"a ratio of more than {CODEC_RATIO_PART_MAX} bytes above or below")
    return Fraction(numerator, denominator)


def _unless_colliding(make: Callable[[list[Any]], object], items: list[Any]) -> object:
    try:
        return make(items)
    except ValueError as error:
        raise ProgramInvalid(str(error)) from error


def _decimal(unscaled: object, scale: object) -> Decimal:
    if type(unscaled) is not int or type(scale) is not int:
        raise ProgramInvalid("not a decimal")
    try:
        return decimals.decimal_of(unscaled, scale)
    except decimals.DecimalFault as error:
        raise ProgramInvalid(str(error)) from error


def encode(value: object) -> bytes:
    """Return the canonical bytes of one value."""
    return pack(scalars_of(value))


def decode(data: bytes, size_max: int) -> object:
    """Return the value of canonical bytes. Raises ProgramInvalid."""
    scalars = unpack(data, size_max)
    try:
        value = take(scalars)
    except StopIteration:
        raise ProgramInvalid("the bytes end inside a value") from None
    for _ in scalars:
        raise ProgramInvalid("bytes after the value")
    return value
