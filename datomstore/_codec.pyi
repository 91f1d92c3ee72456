"""Types of the codec's loops (`_codec.pyx`)."""

def pack(value: object, /) -> bytes:
    """Return the canonical bytes of a value. Raises CodecError."""

def unpack(data: bytes, /) -> object:
    """Return the value of canonical bytes. Raises CodecError for all other bytes."""

def unpack_trusted(data: bytes, /) -> object:
    """Return the value of bytes that this process's own storage kept: any encoding, still no crash."""
