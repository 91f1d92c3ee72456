"""Values as bytes on the wire.

Is:     `datomstore.codec` for foreign bytes: a count of nodes before anything is allocated, and the peer's fault as error.
Is not: messages (`messages`) or frames (`framing`).
Fits:   everything a peer sends goes through `unpack`; any bytes give a value or a RemoteFault.
Source: the msgpack specification.
"""

from __future__ import annotations

import struct

from datomstore import codec
from protocol.errors import LocalFault, RemoteFault
from protocol.limits import MESSAGE_BYTES_MAX, VALUE_NODES_MAX

# Extensions of datomstore.codec whose payload is values again.
_NESTED = frozenset({codec.LIST, codec.MAP, codec.SET, codec.RATIO})


def pack(value: object) -> bytes:
    """Return the canonical bytes of a value. Raises LocalFault if it has none."""
    try:
        return codec.pack(value)
    except codec.CodecError as error:
        raise LocalFault(str(error)) from error


def unpack(data: bytes) -> object:
    """Return the value of canonical bytes. Raises RemoteFault for all other bytes."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise RemoteFault("wire/value-size", f"{len(data)} bytes; at most {MESSAGE_BYTES_MAX}")
    if len(data) > VALUE_NODES_MAX:  # every node takes a byte: shorter bytes cannot have too many
        check_node_count(data, VALUE_NODES_MAX)
    try:
        return codec.unpack(data)
    except codec.CodecError as error:
        raise RemoteFault("wire/value", str(error)) from error


def check_node_count(data: bytes, count_max: int) -> None:
    """Raise RemoteFault if the bytes hold more values than `count_max`; allocates nothing in proportion to them.

    An array's header only says how many values follow, and an extension of values is values after a header: so one
    walk from header to header meets every value, however deep.
    """
    position, count, end = 0, 0, len(data)
    while position < end:
        count += 1
        if count > count_max:
            raise RemoteFault("wire/value-size", f"more than {count_max} values in one message")
        position += _step(data, position, end)


def _step(data: bytes, position: int, end: int) -> int:
    """Return the distance from a value's header to the next header."""
    head = data[position]
    if head < 0xA0 or head >= 0xE0 or head in _BARE:  # small integers, arrays' and maps' headers
        return 1 if head < 0xA0 or head >= 0xE0 else _BARE[head]
    if head < 0xC0:
        return 1 + (head & 0x1F)
    if head in _FIXED_EXTENSION:
        size, nested = _FIXED_EXTENSION[head], _nested(data, position + 1, end)
        return 2 if nested else 2 + size
    if head not in _SIZED:
        raise RemoteFault("wire/value", f"no value begins with {head:#04x}")
    width, form, extension = _SIZED[head]
    if position + 1 + width > end:
        raise RemoteFault("wire/value", "the bytes end in the middle of a header")
    (size,) = struct.unpack_from(form, data, position + 1)
    if not extension:
        return 1 + width + int(size)
    nested = _nested(data, position + 1 + width, end)
    return 2 + width if nested else 2 + width + int(size)


def _nested(data: bytes, position: int, end: int) -> bool:
    return position < end and data[position] in _NESTED


# header -> bytes from it to the next header
_BARE = {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}
_BARE |= {0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}
_FIXED_EXTENSION = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
# header -> width of its length, its format, whether an extension's type follows
_SIZED = {
    0xC4: (1, ">B", False),
    0xC5: (2, ">H", False),
    0xC6: (4, ">I", False),
    0xC7: (1, ">B", True),
    0xC8: (2, ">H", True),
    0xC9: (4, ">I", True),
    0xD9: (1, ">B", False),
    0xDA: (2, ">H", False),
    0xDB: (4, ">I", False),
}
