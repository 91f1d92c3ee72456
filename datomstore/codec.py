"""EDN values as msgpack, canonical and strict.

Is:     `pack` and `unpack`; equal values have equal bytes, and any bytes are a value or a CodecError. And maps and sets of
        values from outside that cannot make anybody wait (`map_of`, `set_of`).
Is not: a frame or a message (`protocol`), nor the log's record (`datomstore.record`), which use this.
Fits:   the log, the wire, program hashes: everywhere bytes stand for values. Its loops are `_codec`.
Source: the msgpack specification; extension numbers are ours.

nil, booleans, 64-bit integers, doubles, strings, bytes and vectors are msgpack's own; all else is an extension. Maps and
sets are written in the order of their members' bytes. Decoding is bounded in depth, and bytes that `pack` would not
have made are refused, so that a digest of a value means one thing. Who reads what this process kept (`unpack_trusted`)
is not asked how keys collide, nor how large ratios are: that was asked when it came.
"""

from __future__ import annotations

from datomstore._codec import check_keys, map_of, pack, set_of, unpack, unpack_trusted
from datomstore.errors import CodecError
from datomstore.extensions import (
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
)

__all__ = [
    "BIG_INTEGER",
    "CHAR",
    "DECIMAL",
    "INSTANT",
    "KEYWORD",
    "LIST",
    "MAP",
    "RATIO",
    "SET",
    "SYMBOL",
    "UUID_",
    "CodecError",
    "check_keys",
    "map_of",
    "pack",
    "set_of",
    "unpack",
    "unpack_trusted",
]
