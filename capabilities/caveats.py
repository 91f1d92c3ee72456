"""What a block allows: fifteen caveats, each narrowing.

Is:     the caveats as types, and their encoding as a map from caveat number to value.
Is not: deciding: `authorize` does, and `verify` decides hops, depth and via, which concern the chain alone.
Fits:   the third field of a block's body. A caveat left out does not narrow; block 0 must say `exp` and `rights`.

    1 exp   2 nbf   3 rights   4 at   5 agent   6 via   7 hops   8 depth
    9 budget   10 attrs   11 revage   12 note   13 state   14 epoch   15 account
    from 16 on: reserved, refused
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum, IntFlag
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from capabilities.canonical import array, ascending, octets, tuple_of, unsigned
from capabilities.errors import KeyInvalid, TokenInvalid
from capabilities.keys import PublicKey, public_key
from capabilities.limits import ATTRIBUTES_MAX, KEY_SET_MAX, NOTE_BYTES_MAX, RIGHTS_MAX
from capabilities.patterns import check_attribute_pattern, check_pattern

HASH_SIZE = 32
COUNT_MAX = 255  # of hops and depth


class Verb(IntFlag):
    """What can be done; the bit's position is part of the format."""

    READ = 1
    APPEND = 2
    RETRACT = 4
    HISTORY = 8  # its own verb: time travel shows what has been retracted
    SUBSCRIBE = 16
    QUERY = 32
    SPAWN = 64
    MIGRATE = 128
    REVOKE = 256
    SCHEMA = 512
    ADMIT = 1024  # of a node: to make tickets, to rotate its key


VERBS_ALL = sum(Verb)
ON_STREAMS = (
    Verb.READ | Verb.APPEND | Verb.RETRACT | Verb.HISTORY | Verb.SUBSCRIBE | Verb.SCHEMA
)  # named NODE/STREAM
ON_NODES = Verb.QUERY | Verb.SPAWN | Verb.MIGRATE | Verb.ADMIT  # named NODE


class Resource(IntEnum):
    """What a budget counts; the number is part of the format."""

    FUEL = 0
    MEM = 1
    ROWS = 2
    BYTES = 3
    CHILDREN = 4
    HOPS = 5  # of all that share the budget; the caveat `hops` is about one chain


class Rights(NamedTuple):
    """Verbs on every stream that a pattern covers."""

    verbs: Verb
    pattern: str

    @property
    def idle(self) -> Verb:
        """Return the verbs that are given on nothing: streams have names of two parts, nodes of one."""
        first, _, rest = self.pattern.partition("/")
        if first == "**":
            return Verb(0)
        return self.verbs & (ON_NODES if rest else ON_STREAMS)


class Caveats(NamedTuple):
    """The caveats of one block; None is "not narrowed here"."""

    exp: int | None = None  # seconds since 1970; the last second it holds
    nbf: int | None = None  # seconds since 1970; the first second it holds
    rights: tuple[Rights, ...] | None = (
        None  # one entry must cover the request; none allows nothing
    )
    at: frozenset[PublicKey] | None = None  # the node that executes the agent is one of these
    agent: bytes | None = None  # only this agent
    via: frozenset[PublicKey] | None = (
        None  # the key of this block and of every later one is one of these
    )
    hops: int | None = None  # key changes after this block
    depth: int | None = None  # blocks after this block
    budget: Mapping[Resource, int] | None = None  # see `capabilities.budget`
    attrs: tuple[str, ...] | None = None  # "ns/*", "!ns/x"
    revage: int | None = None  # seconds; how old the verifier's list of revocations may be
    note: str | None = None  # for people and the audit stream
    state: bytes | None = None  # digest of the image handed over with this block
    epoch: int | None = None  # its epoch
    account: PublicKey | None = None  # the node where the budget of this block is drawn first


def encode_caveats(caveats: Caveats) -> dict[int, object]:
    """Return the map of a block. Raises TokenInvalid when a caveat could not be read back."""
    encoded: dict[int, object] = {}
    parts = zip(caveats, _WRITERS, _READERS, strict=True)
    for number, (value, write, read) in enumerate(parts, start=1):
        if value is not None:
            encoded[number] = written = value if write is None else write(value)
            read(written)
    return encoded


def decode_caveats(value: object) -> Caveats:
    """Return the caveats of a block's map; unknown numbers are refused, they might narrow. Raises TokenInvalid."""
    found: list[Any] = [None] * len(_READERS)
    for number, item in ascending(value, "the caveats").items():
        if not 0 < number <= len(_READERS):
            raise TokenInvalid(f"caveat {number} is unknown to this version", why="caveat")
        found[number - 1] = _READERS[number - 1](item)
    return Caveats._make(found)


def _keys_out(keys: Iterable[PublicKey]) -> tuple[bytes, ...]:
    return tuple(sorted(key.bytes for key in keys))


def _key_out(key: PublicKey) -> bytes:
    return key.bytes


def _rights_out(rights: Iterable[Rights]) -> tuple[tuple[object, ...], ...]:
    return tuple((int(verbs), pattern) for verbs, pattern in rights)


def _budget_out(budget: Mapping[Resource, int]) -> dict[int, int]:
    return {int(resource): budget[resource] for resource in sorted(budget)}


_ENCODE: dict[str, Callable[[Any], object]] = {
    "rights": _rights_out,
    "at": _keys_out,
    "via": _keys_out,
    "budget": _budget_out,
    "attrs": tuple,
    "account": _key_out,
}


def _uint(name: str) -> Callable[[object], int]:
    return partial(unsigned, what=name)


def _count(name: str) -> Callable[[object], int]:
    return partial(unsigned, what=name, most=COUNT_MAX)


def _key(value: object) -> PublicKey:
    return checked_key(octets(value, HASH_SIZE, "the key of account"))


def _hash(name: str) -> Callable[[object], bytes]:
    return partial(octets, size=HASH_SIZE, what=name)


def _rights(value: object) -> tuple[Rights, ...]:
    return tuple(_right(item) for item in array(value, "rights", most=RIGHTS_MAX))


def _right(value: object) -> Rights:
    mask, pattern = tuple_of(value, 2, "a right")
    verbs = unsigned(mask, "a right's verbs", most=VERBS_ALL)
    if verbs == 0:
        raise TokenInvalid("a right names no verb", why="caveat")
    if type(pattern) is not str:
        raise TokenInvalid("a right's pattern is not text", why="caveat")
    check_pattern(pattern)
    return Rights(Verb(verbs), pattern)


def _keys(name: str) -> Callable[[object], frozenset[PublicKey]]:
    def read(value: object) -> frozenset[PublicKey]:
        items = array(value, name, most=KEY_SET_MAX)
        raw = [octets(item, HASH_SIZE, f"a key of {name}") for item in items]
        if any(left >= right for left, right in pairwise(raw)):
            raise TokenInvalid(f"the keys of {name} do not ascend", why="encoding")
        return frozenset(checked_key(item) for item in raw)

    return read


def checked_key(raw: bytes) -> PublicKey:
    """Return a key that a token names. Raises TokenInvalid for one that must not be used."""
    try:
        return public_key(raw)
    except KeyInvalid as error:
        raise TokenInvalid(str(error), why="key") from None


def _budget(value: object) -> dict[Resource, int]:
    items = ascending(value, "budget")
    if not items:
        raise TokenInvalid("an empty budget says nothing", why="caveat")
    most = max(Resource)
    return {
        Resource(unsigned(key, "a resource", most=most)): unsigned(amount, "an amount")
        for key, amount in items.items()
    }


def _attrs(value: object) -> tuple[str, ...]:
    items = array(value, "attrs", most=ATTRIBUTES_MAX)
    if not items:
        raise TokenInvalid("an empty list of attributes says nothing", why="caveat")
    patterns = []
    for item in items:
        if type(item) is not str:
            raise TokenInvalid("an attribute pattern is not text", why="caveat")
        check_attribute_pattern(item)
        patterns.append(item)
    return tuple(patterns)


def _note(value: object) -> str:
    if type(value) is not str or len(value.encode(errors="replace")) > NOTE_BYTES_MAX:
        raise TokenInvalid(f"the note is not text of at most {NOTE_BYTES_MAX} bytes", why="caveat")
    return value


_READ: dict[str, Callable[[object], object]] = {
    "exp": _uint("exp"),
    "nbf": _uint("nbf"),
    "rights": _rights,
    "at": _keys("at"),
    "agent": _hash("agent"),
    "via": _keys("via"),
    "hops": _count("hops"),
    "depth": _count("depth"),
    "budget": _budget,
    "attrs": _attrs,
    "revage": _uint("revage"),
    "note": _note,
    "state": _hash("state"),
    "epoch": _uint("epoch"),
    "account": _key,
}
# The position of a field in Caveats is its number in the format.
_READERS = [_READ[name] for name in Caveats._fields]
_WRITERS = [_ENCODE.get(name) for name in Caveats._fields]
