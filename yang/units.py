"""The units of a program: what is compiled by itself, and kept by what it depends on.

Is:     the statements of a program's top level, the hash of all that the rules are given of each, and their results.
Is not: the results themselves (`yang.derivation`), or their order in a program (`yang.linking`).
Fits:   `yang.compile` derives only units that its cache does not have.

A unit's key is made of its nodes without their places in the source, of what is known about every name in it (the
definitions of the program, with the numbers of arguments they take; the host's functions), of whether it is the last
one, whose value is the program's, and of the rules. So a change of one function derives anew that function, and those
units that mention its name if it takes other arguments than before.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import NamedTuple

import msgpack
import numpy as np

from datomstore.value import Keyword
from yang import rules
from yang.columns import Array, Columns
from yang.isa import ISA_VERSION
from yang.limits import UNITS_BYTES_MAX
from yang.resolve import CoreLibrary, Fact, facts_of_name, plain_name

OUTSIDE = -1  # the program's own body, which no unit has
_DOMAIN = b"yin/1/unit\0"
_NUMBER = np.dtype("<i4")  # of kept tables: a program has at most a million nodes


@cache
def version() -> bytes:
    """Return the hash of what keys have in common: results of another compiler have no use."""
    return hashlib.sha256(_DOMAIN + rules.digest() + repr(ISA_VERSION).encode()).digest()


class Unit(NamedTuple):
    """One statement: its nodes, the names in it, and the hash of all that its steps depend on."""

    start: int
    end: int  # after the last node
    names: tuple[str, ...]
    key: bytes


@dataclass(frozen=True, slots=True)
class Derived:
    """What the rules say of a unit: rows of numbers by relation; nodes are counted from the unit's first one."""

    tables: dict[str, Array]

    @property
    def size(self) -> int:
        """Return how many bytes the tables take."""
        return sum(table.nbytes for table in self.tables.values())

    def to_bytes(self) -> bytes:
        """Return the tables as they are kept."""
        whole = {
            name: (table.shape[1], table.astype(_NUMBER).tobytes())
            for name, table in self.tables.items()
        }
        packed: bytes = msgpack.packb(whole)
        return packed

    @staticmethod
    def from_bytes(data: bytes) -> Derived:
        """Return the tables of bytes that this program has kept."""
        tables = {
            name: np.frombuffer(rows, _NUMBER).reshape(-1, width).astype(np.int64)
            for name, (width, rows) in msgpack.unpackb(data).items()
        }
        return Derived(tables)


class Units:
    """Results by key, in memory up to some bytes and then wherever `find` looks; thread-safe."""

    def __init__(
        self,
        bytes_max: int = UNITS_BYTES_MAX,
        find: Callable[[bytes], bytes | None] = lambda key: None,
    ) -> None:
        self._bytes_max = bytes_max
        self._find = find
        self._kept: OrderedDict[bytes, Derived] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: bytes) -> Derived | None:
        """Return what was derived of a unit, if it is still known."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        data = self._find(key)
        if data is None:
            return None
        derived = Derived.from_bytes(data)
        self.put(key, derived)
        return derived

    def put(self, key: bytes, derived: Derived) -> None:
        """Keep what was derived of a unit; what was longest unused goes."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = derived
            self._bytes += derived.size
            while self._bytes > self._bytes_max and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= gone.size


class Names:
    """What is known of every name that a program mentions, and the bytes of that."""

    def __init__(self, columns: Columns, core: CoreLibrary | None) -> None:
        self._columns = columns
        self._core = core
        self._definitions = columns.definitions.keys()
        self._facts: dict[str, list[Fact]] = {}
        self._bytes: dict[str, bytes] = {}

    def facts(self, name: str) -> list[Fact]:
        """Return what the host knows of a name."""
        found = self._facts.get(name)
        if found is None:
            found = self._facts[name] = facts_of_name(name, self._core, self._definitions)
        return found

    def meant(self, name: str) -> str:
        """Return the name of the program's definition that a name stands for: in the core library another one."""
        return plain_name(name) if self._owned(name) else name

    def _owned(self, name: str) -> bool:
        return self._core is None and plain_name(name) in self._definitions

    def definitions(self, name: str) -> list[int]:
        """Return the definitions that a name may stand for, or be confused with."""
        found = self._columns.definitions
        own = self.meant(name)
        return found.get(name, []) + (found.get(own, []) if own != name else [])

    def interface(self, name: str) -> bytes:
        """Return all that a unit can know of a name, as bytes."""
        found = self._bytes.get(name)
        if found is None:
            shapes = [self._shape(own) for own in {name: None, self.meant(name): None}]
            facts = [(attribute.name, _plain(value)) for attribute, value in self.facts(name)]
            found = self._bytes[name] = repr((name, shapes, facts)).encode()
        return found

    def function(self, name: str) -> int | None:
        """Return the lambda that a name of the program means before it runs: scope.dl calls it static."""
        found = self._columns.definitions.get(name, ())
        if len(found) != 1 or self._columns.parent[found[0]] != 0:
            return None
        init = found[0] + 1
        return init if self._columns.is_lambda(init) else None

    def _shape(self, name: str) -> object:
        """Return what others know of the definitions of a name: none, a value, or a function's parameters."""
        function = self.function(name)
        if function is None:
            return name in self._definitions
        items = self._columns.items
        return [
            (items[arity].scalars[0], items[arity].counts[0])
            for arity in self._columns.arities(function)
        ]


def _plain(value: object) -> object:
    return value.name if isinstance(value, Keyword) else value


def units_of(columns: Columns, names: Names, statements: Sequence[bytes]) -> list[Unit]:
    """Return the units of a program, whose statements have these canonical bytes, in order. Cost: linear."""
    starts = np.flatnonzero(columns.parent == 0)
    if not len(starts):
        return [Unit(0, 1, (), _key([b""], last=True))]  # an empty program
    found: list[Unit] = []
    mentioned = _mentioned(columns, starts)
    for start, mentions, nodes in zip(starts.tolist(), mentioned, statements, strict=True):
        end = int(columns.end[start]) + 1
        ordered = tuple(sorted(mentions))
        parts = [nodes, *(names.interface(name) for name in ordered)]
        found.append(Unit(start, end, ordered, _key(parts, last=end == columns.count)))
    return found


def _mentioned(columns: Columns, starts: Array) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in starts]
    naming = columns.of("variable", "def")
    of = np.searchsorted(starts, naming, "right") - 1
    for node, unit in zip(naming.tolist(), of.tolist(), strict=True):
        found[unit].add(str(columns.scalar(node)))
    return found


def _key(parts: Sequence[bytes], *, last: bool) -> bytes:
    head = repr((last, [len(part) for part in parts])).encode()
    return hashlib.sha256(b"".join([version(), head, *parts])).digest()
