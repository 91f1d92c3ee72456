"""The values that facts and messages are made of: EDN's data model, exact about types.

Is:     keywords, symbols, characters, lists, maps and sets; `equal` and `hash_key`, Clojure's equality.
Is not: the machine's values, which live on an agent's own heap.
Fits:   everything outside the machine speaks these; `datomstore.edn` reads and writes them as text.
Source: the EDN specification; Clojure's `=` for equality across numbers and sequences.

    nil true false            None True False        vector   tuple
    integer ratio double      int Fraction float     list     List (a tuple)
    decimal                   Decimal, finite, no -0
    string character          str Char               map set  Map Set
    keyword symbol            Keyword Symbol         instant uuid bytes   datetime UUID bytes

Python takes 1, 1.0 and True for one dictionary key; EDN does not. `hash_key` gives every value a key under which
only equal values meet, and Map and Set are dictionaries over those keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from threading import Lock
from typing import Any, ClassVar
from uuid import UUID

from datomstore import decimals


class _Name:
    """An interned name: one object for each text, compared by identity."""

    __slots__ = ("__weakref__", "name")
    _table: ClassVar[dict[str, _Name]]
    _lock: ClassVar[Lock] = Lock()
    name: str

    def __new__(cls, name: str) -> _Name:
        found = cls._table.get(name)
        if found is not None:
            return found
        with cls._lock:
            found = cls._table.get(name)
            if found is None:
                found = super().__new__(cls)
                object.__setattr__(found, "name", name)
                cls._table[name] = found
            return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce__(self) -> tuple[type[_Name], tuple[str]]:
        return type(self), (self.name,)

    def __lt__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.name < other.name

    @property
    def namespace(self) -> str | None:
        """Return the part before the slash, or None."""
        before, slash, after = self.name.partition("/")
        return before if slash and before and after else None

    @property
    def local_name(self) -> str:
        """Return the part after the slash, or all of it."""
        return self.name if self.namespace is None else self.name.partition("/")[2]


class Keyword(_Name):
    """`:db/ident` is Keyword("db/ident")."""

    __slots__ = ()
    _table: ClassVar[dict[str, _Name]] = {}

    def __repr__(self) -> str:
        return f":{self.name}"


class Symbol(_Name):
    """`?entity` is Symbol("?entity")."""

    __slots__ = ()
    _table: ClassVar[dict[str, _Name]] = {}

    def __repr__(self) -> str:
        return self.name


class Char:
    """One character; not a string of length one."""

    __slots__ = ("value",)
    value: str

    def __init__(self, value: str) -> None:
        if len(value) != 1:
            raise ValueError(f"a character is one code point, not {value!r}")
        object.__setattr__(self, "value", value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Char is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Char) and self.value == other.value

    def __lt__(self, other: object) -> bool:
        return self.value < other.value if isinstance(other, Char) else NotImplemented

    def __hash__(self) -> int:
        return hash((Char, self.value))

    def __repr__(self) -> str:
        return f"Char({self.value!r})"


class List(tuple[object, ...]):
    """An EDN list; equal to a vector with the same items, as in Clojure."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"List({tuple.__repr__(self)})"


# Of these types two values are equal exactly if Python finds them equal and of one type.
_EXACT_BY_PYTHON = (str, Keyword, Symbol, bytes, type(None), Char, UUID)
EXACT_TYPES = frozenset({int, bool, *_EXACT_BY_PYTHON})
_WITH_TYPE = (bool, datetime)  # the same, but they may be equal to values of other types


def hash_key(value: object) -> object:
    """Return a hashable key; two values have equal keys exactly if they are equal in EDN.

    Raises:
        TypeError: the value is not one of the data model's.
    """
    kind = type(value)
    if kind is int or kind in _EXACT_BY_PYTHON:
        return value
    if kind in _WITH_TYPE:
        return (kind, value)
    if kind is float:
        return (float, value)
    if kind is tuple or kind is List:
        return (tuple, tuple(hash_key(item) for item in value))  # type: ignore[attr-defined]
    if isinstance(value, (Map, Set)):
        return value
    if isinstance(value, Fraction):
        return (Fraction, value) if value.denominator != 1 else value.numerator
    if isinstance(value, Decimal):
        return (Decimal, decimals.normal(value))
    if isinstance(value, datetime):
        return (datetime, value)
    raise TypeError(f"{kind.__name__} is not a value: {value!r}")


def exact_key(value: object) -> object:
    """Return a hashable key; two values have equal keys exactly if nothing tells them apart: what is written reads back.

    Finer than `hash_key`: a list is no vector, and 0.0 is not -0.0.

    Raises:
        TypeError: the value is not one of the data model's.
    """
    kind = type(value)
    if kind is int or kind in _EXACT_BY_PYTHON:
        return value
    if kind in _WITH_TYPE:
        return (kind, value)
    if kind is float:
        return (float, value.hex())  # type: ignore[attr-defined]
    if isinstance(value, Decimal):
        return (Decimal, decimals.parts(value))
    if kind is tuple or kind is List:
        return (kind, tuple(exact_key(item) for item in value))  # type: ignore[attr-defined]
    if isinstance(value, Map):
        return (Map, frozenset((exact_key(k), exact_key(v)) for k, v in value.items()))
    if isinstance(value, Set):
        return (Set, frozenset(exact_key(member) for member in value))
    return hash_key(value)


def equal(left: object, right: object) -> bool:
    """Return whether two values are equal as Clojure's `=` has it: 1 and 1.0 differ, a list equals a vector."""
    return hash_key(left) == hash_key(right)


def _hash_of(parts: Iterable[tuple[object, ...]]) -> int:
    """Return a hash of parts in any order; a frozenset has one, too, but whoever chooses the parts can make it slow."""
    return hash(sum(map(hash, parts)))


class Map(Mapping[Any, Any]):  # a value may be of any type
    """An immutable map with exact keys, iterated in insertion order."""

    __slots__ = ("_entries", "_hash")
    _entries: dict[object, tuple[object, object]]

    def __init__(self, pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self._entries = {hash_key(key): (key, value) for key, value in items}
        self._hash: int | None = None

    @staticmethod
    def of_names(pairs: Iterable[tuple[object, object]]) -> Map:
        """Return the same for keys that are keywords or texts, of which every one is its own hash key."""
        return Map.of_entries({pair[0]: pair for pair in pairs})

    @staticmethod
    def of_entries(entries: dict[object, tuple[object, object]]) -> Map:
        """Return the map of these pairs, each at the hash key of its key; it keeps the dictionary."""
        made = Map.__new__(Map)
        made._entries = entries
        made._hash = None
        return made

    def pairs(self) -> Collection[tuple[object, object]]:
        """Return keys with their values."""
        return self._entries.values()

    def __getitem__(self, key: object) -> Any:
        return self._entries[hash_key(key)][1]

    def get(self, key: object, default: object = None, /) -> Any:
        """Return the value at a key, or the default."""
        entry = self._entries.get(hash_key(key))
        return default if entry is None else entry[1]

    def __contains__(self, key: object) -> bool:
        return hash_key(key) in self._entries

    def __iter__(self) -> Iterator[object]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Map):
            return NotImplemented
        if len(self) != len(other):
            return False
        theirs = other._entries
        return all(
            key in theirs and equal(value, theirs[key][1])
            for key, (_, value) in self._entries.items()
        )

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = _hash_of((k, hash_key(value)) for k, (_, value) in self._entries.items())
        return self._hash

    def __repr__(self) -> str:
        return f"Map({list(self._entries.values())!r})"

    def assoc(self, key: object, value: object) -> Map:
        """Return a map with one entry set."""
        return Map([*self._entries.values(), (key, value)])


class Set:
    """An immutable set with exact members, iterated in insertion order."""

    __slots__ = ("_by_key", "_hash", "_listed")
    _by_key: dict[object, object] | None
    _listed: Collection[object]

    def __init__(self, members: Iterable[object] = ()) -> None:
        self._by_key = {hash_key(member): member for member in members}
        self._listed = self._by_key.values()
        self._hash: int | None = None

    @classmethod
    def of_distinct(cls, members: Collection[object]) -> Set:
        """Return a set of values no two of which are equal; it keeps the collection, and finds keys when it is asked for one."""
        made = cls.__new__(cls)
        made._by_key, made._listed, made._hash = None, members, None
        return made

    @classmethod
    def of_keys(cls, by_key: dict[object, object]) -> Set:
        """Return the set of these values, each at its hash key; it keeps the dictionary."""
        made = cls.__new__(cls)
        made._by_key, made._listed, made._hash = by_key, by_key.values(), None
        return made

    @property
    def _members(self) -> dict[object, object]:
        if self._by_key is None:
            self._by_key = {hash_key(member): member for member in self._listed}
        return self._by_key

    def __contains__(self, member: object) -> bool:
        return hash_key(member) in self._members

    def __iter__(self) -> Iterator[object]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Set):
            return NotImplemented
        return self._members.keys() == other._members.keys()

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = _hash_of(zip(self._members))
        return self._hash

    def __repr__(self) -> str:
        return f"Set({list(self._listed)!r})"
