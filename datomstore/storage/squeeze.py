"""Blobs of a log made smaller, where that pays.

Is:     one byte that says how a blob is kept, and the blob: as it is, or a Zstandard frame.
Is not: part of what is hashed or proved: roots are chains over what was given, not over what is kept.
Fits:   `datomstore.storage.keyed` keeps log blobs this way, `datomstore.segments` pages of a dictionary.
Source: Zstandard, RFC 8878; through python-zstandard.

    0x00 blob            as it is
    0x01 frame           Zstandard, with the size of the content in its header
    0x80..0xff ...       a record of before there was such a byte: the bytes are the blob (a msgpack array begins so)
"""

from __future__ import annotations

import threading

import zstandard

from datomstore.limits import LOG_BLOB_MAX, SQUEEZE_LEVEL, SQUEEZE_MIN

RAW, FRAME, OLD = 0, 1, 0x80
_local = threading.local()  # contexts are not for two threads at once


class Unsqueezable(ValueError):
    """The bytes are not what `squeezed` makes."""


def squeezed(blob: bytes) -> bytes:
    """Return what is kept for a blob."""
    if len(blob) >= SQUEEZE_MIN:
        frame = _contexts()[0].compress(blob)
        if len(frame) < len(blob):
            return b"\x01" + frame
    return b"\x00" + blob


def unsqueezed(kept: bytes | memoryview) -> bytes:
    """Return the blob. Raises Unsqueezable."""
    if not len(kept):
        raise Unsqueezable("nothing")
    first = kept[0]
    if first == RAW:
        return bytes(kept[1:])
    if first == FRAME:
        return _content(kept[1:])
    if first >= OLD:
        return bytes(kept)
    raise Unsqueezable(f"kept in way {first}")


def _content(frame: bytes | memoryview) -> bytes:
    try:
        size = zstandard.get_frame_parameters(frame).content_size
        if size > LOG_BLOB_MAX:  # or it is not known
            raise Unsqueezable(f"{size} bytes, or so many that they do not say")
        return _contexts()[1].decompress(frame, max_output_size=size)
    except zstandard.ZstdError as error:
        raise Unsqueezable(str(error)) from error


def _contexts() -> tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor]:
    found: tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor] | None
    found = getattr(_local, "contexts", None)
    if found is None:
        compressor = zstandard.ZstdCompressor(level=SQUEEZE_LEVEL, write_content_size=True)
        found = _local.contexts = (compressor, zstandard.ZstdDecompressor())
    return found
