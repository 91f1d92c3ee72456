"""Types of the codec's loops (`_codec.pyx`)."""

from datomstore.value import Map, Set

def pack(value: object, /) -> bytes:
    """Return the canonical bytes of a value. Raises CodecError."""

def unpack(data: bytes, /) -> object:
    """Return the value of canonical bytes. Raises CodecError for all other bytes."""

def map_of(pairs: list[tuple[object, object]], /) -> Map:
    """Return the map of pairs from outside; the last of equal keys counts. Raises ValueError for keys made to collide."""

def set_of(members: list[object], /) -> Set:
    """Return the set of members from outside. Raises ValueError for members made to collide."""

def check_keys(keys: list[object], /) -> None:
    """Raise ValueError if a dictionary of these keys, put in one after the other, would be slow."""

def unpack_trusted(data: bytes, /) -> object:
    """Return the value of bytes that this process's own storage kept: any encoding, still no crash."""
