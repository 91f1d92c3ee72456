"""The reference machine's `hash`: the same number as on every other machine.

Is:     the number that programs see.
Is not: what the reference's own maps use (`reference_values.key_of`).
Fits:   a program that keeps a hash may go on elsewhere, or compiled.
Source: the mixing function is the finalizer of MurmurHash3 (Appleby).
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from datomstore import decimals
from datomstore.value import Char, Keyword, Symbol
from yang.segment import PrimitiveRef
from yang.walk import Walk, run
from yind.cesk.reference_arguments import primitive
from yind.cesk.reference_values import (
    MAPS,
    SEQUENTIALS,
    Atom,
    Closure,
    Continuation,
    ErrorValue,
    HashSet,
    SortedSet,
    Store,
    Value,
    all_items,
    bare,
    pairs_of,
)

__all__: list[str] = []

_BITS = (1 << 64) - 1
_DEPTH_MAX = 8  # what is below does not count
_SEQUENTIAL = 0x51ED270B
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# ORDER: tags of the compiled machine.
_NIL, _FALSE, _TRUE, _DOUBLE, _CHAR, _INSTANT, _PRIMITIVE = 0, 1, 2, 4, 5, 6, 7
_STRING, _KEYWORD, _SYMBOL, _BYTES, _UUID, _BIG = 16, 17, 18, 19, 20, 21
_MAP, _SET, _CLOSURE, _CONTINUATION, _ATOM, _ERROR = 29, 30, 31, 32, 33, 34


@primitive("hash")
def _hash(store: Store, value: Value) -> int:
    bits = run(_hashed(store, value, 0))
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def _mix(bits: int) -> int:
    bits &= _BITS
    bits ^= bits >> 33
    bits = bits * 0xFF51AFD7ED558CCD & _BITS
    bits ^= bits >> 33
    bits = bits * 0xC4CEB9FE1A85EC53 & _BITS
    bits ^= bits >> 33
    return bits & 0xFFFFFFFF


def _of_bytes(content: bytes, tag: int) -> int:
    state = (tag * 0x5851F42D4C957F2D ^ len(content) * 0x9E3779B97F4A7C15) & _BITS
    whole = len(content) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", content[:whole]):
        state = (state ^ word) * 0x9FB21C651E98DF25 & _BITS
        state ^= state >> 32
    if len(content) > whole:
        word = int.from_bytes(content[whole:], "little")
        state = (state ^ word) * 0x9FB21C651E98DF25 & _BITS
    return _mix(state) or 1


def _hashed(store: Store, value: Value, depth: int) -> Walk[int]:
    value = bare(value)
    simple = _of_simple(value)
    if simple is not None:
        return simple
    if isinstance(value, Decimal):
        unscaled, scale = decimals.normal(value)
        return _of_bytes(b"%dE%d" % (unscaled, -scale), _STRING)
    if isinstance(value, Fraction):
        above = yield _hashed(store, value.numerator, depth)
        below = yield _hashed(store, value.denominator, depth)
        return _mix((above << 32 | below) ^ 0xA5A5)
    is_sequence = isinstance(value, SEQUENTIALS)
    state = _SEQUENTIAL if is_sequence else _MAP if isinstance(value, MAPS) else _SET
    if depth >= _DEPTH_MAX:
        return _mix(state)
    if isinstance(value, MAPS):
        for key, item in pairs_of(value):
            first = yield _hashed(store, key, depth + 1)
            second = yield _hashed(store, item, depth + 1)
            state += _mix(first << 32 | second)
    elif isinstance(value, HashSet | SortedSet):
        for member in all_items(store, value):
            state += _mix((yield _hashed(store, member, depth + 1)))
    else:
        for item in all_items(store, value):
            part = yield _hashed(store, item, depth + 1)
            state = state * 31 + part & _BITS
    return _mix(state)


def _of_simple(value: Value) -> int | None:
    """Return the hash of what has no parts."""
    match value:
        case None | bool():
            tag = _NIL if value is None else _TRUE if value else _FALSE
            return _mix(tag << 56)
        case int():
            return _of_integer(value)
        case float():
            (bits,) = struct.unpack("<Q", struct.pack("<d", value + 0.0))
            return _mix(bits ^ _DOUBLE << 56)
        case Char():
            return _mix(ord(value.value) ^ _CHAR << 56)
        case datetime():
            micros = (value - _EPOCH) // timedelta(microseconds=1)
            return _mix((micros & _BITS) ^ _INSTANT << 56)
        case PrimitiveRef():
            return _mix(value.number ^ _PRIMITIVE << 56)
        case str() | Keyword() | Symbol() | bytes() | UUID():
            return _of_bytes(*_content(value))
        case Closure():
            return _mix(value.node.code.number_of(value.node) << 8 | _CLOSURE)
        case Continuation():
            return _mix(_CONTINUATION)
        case Atom():
            return _mix(_ATOM)
        case ErrorValue():
            return _mix(_ERROR)
    return None


def _of_integer(value: int) -> int:
    if -(1 << 63) <= value < 1 << 63:
        return _mix(value + 0x9E3779B97F4A7C15)
    magnitude = abs(value)
    return _of_bytes(magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "little"), _BIG)


def _content(value: str | Keyword | Symbol | bytes | UUID) -> tuple[bytes, int]:
    match value:
        case bytes():
            return value, _BYTES
        case UUID():
            return value.bytes, _UUID
        case Keyword():
            return value.name.encode("utf-8", "surrogatepass"), _KEYWORD
        case Symbol():
            return value.name.encode("utf-8", "surrogatepass"), _SYMBOL
    return value.encode("utf-8", "surrogatepass"), _STRING
