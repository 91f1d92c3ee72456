"""The reference machine's values: kinds, store, walking, equality, keys, text, and the way to and from EDN.

Is:     what Clojure says a value is equal to, printed as and made of, in plain Python.
Is not: the functions programs call (`reference_primitives`) or how they run (`reference`).
Fits:   an oracle: written to be read, no part of it is shared with the compiled machine.
Source: Clojure 1.11: `=`, `hash`, `pr-str`, `seq`.

    nil, booleans, numbers, strings, characters, keywords, symbols, instants, uuids, bytes    as in datomstore.value
    vector   PVector (pyrsistent)          list, cons   Pair, EMPTY at the end
    map      HashMap, SortedMap            set          HashSet, SortedSet
    with metadata   Described
    other seqs   Slice (of a collection or string), Range, Lazy
    function Closure, Continuation, PrimitiveRef         atom   Atom         error   ErrorValue

What changes is in the store, a persistent map; Atom and Lazy are addresses in it. Values nest as deeply as programs
like: whatever descends into them is a `Walk` (yang.walk), which keeps its own stack.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from pyrsistent import PMap, PVector, pmap, pvector

from datomstore import decimals, edn
from datomstore.codec import map_of, set_of
from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang.primitives import PRIMITIVES
from yang.segment import PrimitiveRef
from yang.walk import Walk, run
from yind.cesk.errors import ValueInvalid
from yind.cesk.reference_order import NOTHING, Ordered

if TYPE_CHECKING:
    from yind.cesk.reference import Frame, Node

Value: TypeAlias = Any  # one of the kinds above
Environment: TypeAlias = PMap[Any, Value]
VECTORS: tuple[type[PVector[Any]], ...] = (type(pvector()),)

KEY_DEPTH_MAX = 100  # collections inside keys inside keys
_PART_BYTES = 64  # for which a long text or number is one part more
ATOM_DEPTH_MAX = 4  # printed: atoms inside atoms can be circles


class GuestFault(Exception):
    """The program did wrong; becomes an error value that it can catch."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Force(Exception):
    """A host function met an unrealised lazy seq; the machine realises it and calls the function again."""

    def __init__(self, lazy: Lazy, *, whole: bool) -> None:
        super().__init__("an unrealised lazy seq")
        self.lazy = lazy
        self.whole = whole


class CallOut(Exception):
    """A host function leaves a call to the core library, with the same arguments."""

    def __init__(self, name: str, arguments: tuple[Value, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.arguments = arguments


# -- kinds --


class Empty:
    """The empty list."""

    __slots__ = ()


EMPTY = Empty()


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An item in front of a seq; a list when `is_list`, else what `cons` makes."""

    first: Value
    rest: Value  # EMPTY or any other seq, perhaps an unrealised one
    is_list: bool


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """The items of a vector, a string or a map's entries from an index on; never empty."""

    items: Sequence[Value]
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """Numbers of one kind from `start` to before `end`; never empty."""

    start: int | float
    end: int | float
    step: int | float


@dataclass(frozen=True, slots=True)
class Lazy:
    """A lazy seq: the store has its LazyState."""

    address: int


@dataclass(frozen=True, slots=True)
class LazyState:
    """`thunk` is what makes the seq, None once `value` is realised."""

    thunk: Value
    value: Value


@dataclass(frozen=True, slots=True)
class Atom:
    """A cell: the store has its value."""

    address: int


@dataclass(frozen=True, slots=True, eq=False)
class HashMap:
    """A map: from Key to (key, value)."""

    entries: Ordered[tuple[Value, Value]]


@dataclass(frozen=True, slots=True, eq=False)
class HashSet:
    """A set: from Key to the member."""

    members: Ordered[Value]


@dataclass(frozen=True, slots=True, eq=False)
class SortedMap:
    """A map in the order of a comparator, None for `compare`."""

    order: Value
    entries: tuple[tuple[Value, Value], ...]


@dataclass(frozen=True, slots=True, eq=False)
class SortedSet:
    """A set in the order of a comparator, None for `compare`; its entries are members with None."""

    order: Value
    entries: tuple[tuple[Value, Value], ...]


EMPTY_MAP = HashMap(NOTHING)
EMPTY_SET = HashSet(NOTHING)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorValue:
    """What `throw` takes; with a keyword as data an opaque value: text, kind and content."""

    message: Value
    data: Value
    cause: Value


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """A :lambda node and the environment it was made in."""

    node: Node
    environment: Environment


@dataclass(frozen=True, slots=True, eq=False)
class Continuation:
    """The frames that wait: all of them, from `call/cc`, or the part that `control*` took, which ends with None.

    That of `suspend*` has the value it was suspended with.
    """

    frames: Frame | None
    composable: bool = False
    suspended_with: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A collection, symbol or function with metadata, a map; equality, hash and text do not see it."""

    value: Value
    metadata: Value


def bare(value: Value) -> Value:
    """Return a value without its metadata."""
    return value.value if isinstance(value, Described) else value


SEQS = (Pair, Empty, Slice, Range, Lazy)
INDEXED: tuple[type[PVector[Any]] | type[str], ...] = (*VECTORS, str)
SEQUENTIALS = (*VECTORS, *SEQS)
MAPS = (HashMap, SortedMap)
SETS = (HashSet, SortedSet)
SORTED = (SortedMap, SortedSet)
COLLECTIONS = (*SEQUENTIALS, *MAPS, *SETS)
FUNCTION_KINDS = (Closure, PrimitiveRef, Continuation)
CALLABLES = (*FUNCTION_KINDS, Keyword, Symbol, *MAPS, *SETS, *VECTORS)
_ATOMIC = (
    type(None),
    bool,
    int,
    float,
    str,
    Keyword,
    Symbol,
    Char,
    Fraction,
    Decimal,
    bytes,
    UUID,
    datetime,
)


def is_integer(value: Value) -> bool:
    """Return whether a value is an integer; booleans are none."""
    return type(value) is int


def is_number(value: Value) -> bool:
    """Return whether a value is a number."""
    return type(value) in (int, float, Fraction, Decimal)


_TYPE_NAMES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((type(None),), "nil"),
    ((bool,), "a boolean"),
    ((int,), "an integer"),
    ((float,), "a double"),
    ((Fraction,), "a ratio"),
    ((Decimal,), "a decimal"),
    ((Char,), "a character"),
    ((datetime,), "an instant"),
    (FUNCTION_KINDS, "a function"),
    ((str,), "a string"),
    ((Keyword,), "a keyword"),
    ((Symbol,), "a symbol"),
    ((bytes,), "bytes"),
    ((UUID,), "a uuid"),
    (VECTORS, "a vector"),
    (MAPS, "a map"),
    (SETS, "a set"),
    ((Empty,), "a list"),
    ((Atom,), "an atom"),
    ((ErrorValue,), "an error"),
)


def is_error(value: Value) -> bool:
    """Return whether `throw` takes a value."""
    return isinstance(value, ErrorValue) and not isinstance(value.data, Keyword)


def opaque_of(value: Value) -> ErrorValue | None:
    """Return an opaque value; None of any other."""
    return value if isinstance(value, ErrorValue) and not is_error(value) else None


def type_name(value: Value) -> str:
    """Return the kind of a value for messages."""
    value = bare(value)
    if opaque_of(value) is not None:
        return "an opaque value"
    if isinstance(value, Pair) and value.is_list:
        return "a list"
    return next((name for types, name in _TYPE_NAMES if isinstance(value, types)), "a seq")


def type_fault(function: str, expected: str, found: Value) -> GuestFault:
    """Return (not raise) the fault of an argument of a wrong kind."""
    return GuestFault("type", f"{function}: expected {expected}, found {type_name(found)}")


# -- the store --


class Store:
    """The store of a machine: a persistent map from addresses to values, replaced as a whole by every change.

    Atoms, lazy seqs and names of a letrec have numbers for addresses, globals their names.
    """

    def __init__(self) -> None:
        self.cells: PMap[int | str, Value] = pmap()
        self._next = 0

    def new(self, value: Value) -> int:
        """Return the address of a new cell."""
        self._next += 1
        self.write(self._next, value)
        return self._next

    def read(self, address: int | str) -> Value:
        """Return what is at an address."""
        return self.cells[address]

    def write(self, address: int | str, value: Value) -> None:
        """Replace the store by one with this value at an address."""
        self.cells = self.cells.set(address, value)


def realised(store: Store, lazy: Lazy) -> Value:
    """Return what a realised lazy seq holds. Raises Force if it is not realised."""
    state: LazyState = store.read(lazy.address)
    if state.thunk is not None:
        raise Force(lazy, whole=False)
    return state.value


# -- walking --


def items(store: Store, source: Value) -> Iterator[Value]:
    """Yield the items of anything seqable, looking at the rest only when it is asked for.

    Raises:
        Force: at an unrealised lazy seq.
        GuestFault: the value has no items.
    """
    while True:
        if isinstance(source, Pair):
            yield source.first
            source = source.rest
        elif isinstance(source, Lazy):
            source = realised(store, source)
        elif isinstance(source, Described):
            source = source.value
        else:
            yield from indexed_items(source)
            return


def indexed_items(source: Value) -> Iterator[Value]:
    """Yield the items of what is no chain of cells."""
    if isinstance(source, Slice):
        for index in range(source.start, len(source.items)):
            yield source.items[index]
    elif isinstance(source, Range):
        number = source.start
        while number < source.end if source.step > 0 else number > source.end:
            yield number
            number += source.step
    else:
        yield from _contents(source)


def _contents(source: Value) -> Sequence[Value]:
    """Return the items of a collection or string, all at once."""
    if source is None or isinstance(source, Empty):
        return ()
    if isinstance(source, VECTORS):
        return source
    if isinstance(source, str):
        return [Char(character) for character in source]
    if isinstance(source, MAPS):
        return [pvector(entry) for entry in pairs_of(source)]
    if isinstance(source, HashSet):
        return list(source.members.values())
    if isinstance(source, SortedSet):
        return [member for member, _ in source.entries]
    raise type_fault("seq", "a collection", source)


def pairs_of(source: HashMap | SortedMap) -> Iterable[tuple[Value, Value]]:
    """Return keys and values of a map of either kind."""
    return source.entries if isinstance(source, SortedMap) else source.entries.values()


def all_items(store: Store, source: Value) -> list[Value]:
    """Return the items of anything seqable; asks for the whole seq to be realised, not for one cell after the other."""
    try:
        return list(items(store, source))
    except Force as force:
        raise Force(force.lazy, whole=True) from None


def seq(store: Store, source: Value) -> Value:
    """Return a seq that is not lazy and not empty, or None."""
    while isinstance(source, Lazy):
        source = realised(store, source)
    if isinstance(source, (Pair, Slice, Range)):
        return source
    contents = _contents(source)
    return Slice(contents, 0) if len(contents) else None


def rest(store: Store, source: Value) -> Value:
    """Return what follows the first item: EMPTY or a seq, perhaps an unrealised one."""
    found = seq(store, source)
    if isinstance(found, Pair):
        return found.rest
    if isinstance(found, Slice) and found.start + 1 < len(found.items):
        return Slice(found.items, found.start + 1)
    if isinstance(found, Range):
        following = found.start + found.step
        if following < found.end if found.step > 0 else following > found.end:
            return Range(following, found.end, found.step)
    return EMPTY


def list_of(values: Iterable[Value]) -> Value:
    """Return a list."""
    found: Value = EMPTY
    for value in reversed(list(values)):
        found = Pair(value, found, True)
    return found


def _each(walks: Iterable[Walk[Any]]) -> Walk[list[Any]]:
    """Return the results of walks, one after the other."""
    results: list[Any] = []
    for walk in walks:
        results.append((yield walk))  # noqa: PERF401  # a comprehension cannot yield
    return results


# -- equality --


def equal(store: Store, left: Value, right: Value) -> bool:
    """Return Clojure's (= left right)."""
    return run(_equal(store, left, right))


_END = object()


def _equal(store: Store, left: Value, right: Value) -> Walk[bool]:
    left, right = bare(left), bare(right)
    if isinstance(left, _ATOMIC) or isinstance(right, _ATOMIC):
        if isinstance(left, Decimal) and isinstance(right, Decimal):
            return decimals.is_equal(left, right)
        return type(left) is type(right) and bool(left == right)
    if left is right:
        return True
    if isinstance(left, SEQUENTIALS) and isinstance(right, SEQUENTIALS):
        pairs = zip_longest(items(store, left), items(store, right), fillvalue=_END)
        for one, other in pairs:
            if one is _END or other is _END or not (yield _equal(store, one, other)):
                return False
        return True
    if isinstance(left, MAPS) and isinstance(right, MAPS):
        mine, theirs = _by_key(store, left), _by_key(store, right)
        if len(mine) != len(theirs):
            return False
        for key, value in mine.items():
            if key not in theirs or not (yield _equal(store, value, theirs[key])):
                return False
        return True
    if isinstance(left, SETS) and isinstance(right, SETS):
        return set(_by_key(store, left)) == set(_by_key(store, right))
    return bool(left == right)  # cells by address, functions and errors by identity


def _by_key(store: Store, source: Value) -> dict[Key, Value]:
    """Return the values of a map, or the members of a set, by their keys; no comparator is asked."""
    if isinstance(source, SORTED):
        return {key_of(store, key): value for key, value in source.entries}
    if isinstance(source, HashSet):
        return dict(source.members.items())
    return {key: value for key, (_, value) in source.entries.items()}


class Key:
    """A value as a key of maps and sets: equal keys are equal values, and the hash is the same in every process."""

    __slots__ = ("hash", "parts")

    def __init__(self, parts: object, hash_: int) -> None:
        self.parts = parts
        self.hash = hash_

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.hash == other.hash and self.parts == other.parts

    def __hash__(self) -> int:
        return self.hash


def key_of(store: Store, value: Value) -> Key:
    """Return the key of a value. Raises Force at an unrealised lazy seq inside, GuestFault if nested too deeply."""
    return run(_key(store, value, 0))


def _key(store: Store, value: Value, depth: int) -> Walk[Key]:
    if depth > KEY_DEPTH_MAX:
        raise GuestFault("limit", "keys are nested too deeply")
    value = bare(value)
    if isinstance(value, _ATOMIC):
        return _key_of_atomic(value)
    if isinstance(value, SEQUENTIALS):
        parts = yield _each(_key(store, item, depth + 1) for item in all_items(store, value))
        return Key(("sequential", *parts), hash((1, *(part.hash for part in parts))))
    if isinstance(value, MAPS):
        entries = []
        for key, inner in pairs_of(value):
            known = yield _key(store, key, depth + 1)
            entries.append((known, (yield _key(store, inner, depth + 1))))
        hashes = sorted(hash((key.hash, inner.hash)) for key, inner in entries)
        return Key(("map", frozenset(entries)), hash((2, *hashes)))
    if isinstance(value, SETS):
        parts = yield _each(_key(store, member, depth + 1) for member in _contents(value))
        members = frozenset(parts)
        return Key(("set", members), hash((3, *sorted(member.hash for member in members))))
    return Key(("other", value), 4)


def _key_of_atomic(value: Value) -> Key:
    if isinstance(value, float):
        value = value + 0.0  # -0.0 is 0.0
        parts = ("NaN", object()) if math.isnan(value) else ("float", value)
        return Key(parts, hash((5, 0 if math.isnan(value) else hash(value))))
    if isinstance(value, Decimal):
        return Key(("Decimal", decimals.normal(value)), hash(decimals.normal(value)))
    if isinstance(value, (bool, int, Fraction)):
        return Key((type(value).__name__, value), hash((type(value) is bool, hash(value))))
    text = f"{type(value).__name__} {edn.write(value)}"
    return Key(text, zlib.crc32(text.encode("utf-8", "surrogatepass")))


def with_entry(store: Store, target: HashMap, key: Value, value: Value) -> HashMap:
    """Return a map with an entry set; a key that is there already stays as it was."""
    known = key_of(store, key)
    found = target.entries.get(known)
    return HashMap(target.entries.set(known, (key if found is None else found[0], value)))


def with_member(store: Store, target: HashSet, member: Value) -> HashSet:
    """Return a set with a member."""
    known = key_of(store, member)
    return target if known in target.members else HashSet(target.members.set(known, member))


# -- text --


def text_of(store: Store, value: Value, *, readable: bool) -> str:
    """Return a value as EDN; if not readable, strings and characters as they are.

    Raises:
        Force: at an unrealised lazy seq inside.
    """
    out: list[str] = []
    run(_write(store, value, readable, out, 0))
    return "".join(out)


def _write(store: Store, value: Value, readable: bool, out: list[str], depth: int) -> Walk[None]:
    value = bare(value)
    if isinstance(value, str) and not readable:
        out.append(value)
    elif isinstance(value, Char) and not readable:
        out.append(value.value)
    elif isinstance(value, float):
        out.append(edn.write_double(value))
    elif isinstance(value, _ATOMIC):
        out.append(edn.write(value))
    elif isinstance(value, MAPS):
        out.append("{")
        for number, (key, inner) in enumerate(pairs_of(value)):
            out.append(", " if number else "")
            yield _write(store, key, readable, out, depth)
            out.append(" ")
            yield _write(store, inner, readable, out, depth)
        out.append("}")
    elif isinstance(value, COLLECTIONS):
        opener, closer = _brackets(value)
        out.append(opener)
        for number, item in enumerate(all_items(store, value)):
            out.append(" " if number else "")
            yield _write(store, item, readable, out, depth)
        out.append(closer)
    elif (opaque := opaque_of(value)) is not None:
        if isinstance(opaque.message, Atom):
            yield _write(store, opaque.message, readable, out, depth)
        else:
            out.append(_opaque_text(opaque))
    elif isinstance(value, ErrorValue):
        out.append("#error {:message ")
        yield _write(store, value.message, readable, out, depth)
        out.append(", :data ")
        yield _write(store, value.data, readable, out, depth)
        if value.cause is not None:
            out.append(", :cause ")
            yield _write(store, value.cause, readable, out, depth)
        out.append("}")
    elif isinstance(value, Atom) and depth < ATOM_DEPTH_MAX:
        out.append("#atom[")
        yield _write(store, store.read(value.address), readable, out, depth + 1)
        out.append("]")
    else:
        out.append("#atom[...]" if isinstance(value, Atom) else _function_text(value))


def _opaque_text(opaque: ErrorValue) -> str:
    """Return a pattern as it is read, another opaque value as #kind[text]."""
    if opaque.data.name == "yin.core/pattern":
        return f'#"{opaque.message}"'
    return f"#{opaque.data.local_name}[{opaque.message}]"


def _brackets(value: Value) -> tuple[str, str]:
    if isinstance(value, VECTORS):
        return "[", "]"
    return ("#{", "}") if isinstance(value, SETS) else ("(", ")")


def _function_text(value: Value) -> str:
    if isinstance(value, Continuation):
        return "#continuation[]"
    if isinstance(value, PrimitiveRef):
        return f"#function[{PRIMITIVES[value.number].name}]"
    return f"#function[{value.node.function_name or 'fn'}]"


def str_of(store: Store, value: Value) -> str:
    """Return a value as Clojure's `str` has it: nothing for nil, strings and characters as they are."""
    value = bare(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Char):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (datetime, UUID)):
        return edn.write(value).split('"')[1]
    if isinstance(value, Decimal):
        return decimals.write(value)
    opaque = opaque_of(value)
    if opaque is not None and isinstance(opaque.message, str):
        return opaque.message
    return text_of(store, value, readable=True)


# -- to and from EDN --


def from_edn(store: Store, value: object) -> Value:
    """Return the machine's value of an EDN value of Python. Raises ValueInvalid."""
    return run(_from_edn(store, value))


def _from_edn(store: Store, value: object) -> Walk[Value]:
    if isinstance(value, Map):
        found = EMPTY_MAP
        for key, inner in value.items():
            made = yield _from_edn(store, key)
            found = with_entry(store, found, made, (yield _from_edn(store, inner)))
        return found
    if isinstance(value, Set):
        members = EMPTY_SET
        for member in value:
            members = with_member(store, members, (yield _from_edn(store, member)))
        return members
    if isinstance(value, tuple):
        inside = yield _each(_from_edn(store, item) for item in value)
        return list_of(inside) if isinstance(value, List) else pvector(inside)
    if isinstance(value, _ATOMIC):
        return value
    raise ValueInvalid(f"{type(value).__name__} is no EDN value")


def to_edn(store: Store, value: Value) -> object:
    """Return the EDN value of Python. Raises ValueInvalid where there is none."""
    try:
        return run(_to_edn(store, value))
    except Force:
        raise ValueInvalid("a lazy seq is not realised") from None
    except RecursionError:
        raise ValueInvalid("keys are nested too deeply") from None
    except ValueError as error:  # of keys that are made to collide
        raise ValueInvalid(str(error)) from None


def _to_edn(store: Store, value: Value) -> Walk[object]:
    value = bare(value)
    if isinstance(value, _ATOMIC):
        return value
    if isinstance(value, MAPS):
        pairs = []
        for key, inner in pairs_of(value):
            made = yield _to_edn(store, key)
            pairs.append((made, (yield _to_edn(store, inner))))
        return map_of(pairs)
    if not isinstance(value, COLLECTIONS):
        raise ValueInvalid(f"{type_name(value)} has no EDN form")
    inside = yield _each(_to_edn(store, item) for item in all_items(store, value))
    if isinstance(value, SETS):
        return set_of(list(inside))
    return tuple(inside) if isinstance(value, VECTORS) else List(inside)


def count_parts(store: Store, values: Sequence[Value], most: int) -> int:
    """Return how many parts values have when they are written out, at most one more than `most`; see Machine."""
    stack, parts = list(values), 0
    while stack and parts <= most:
        value = bare(stack.pop())
        parts += 1
        if isinstance(value, MAPS):
            stack.extend(part for entry in pairs_of(value) for part in entry)
        elif isinstance(value, COLLECTIONS):
            try:
                stack.extend(islice(items(store, value), most))
            except Force:
                break  # converting it says what is wrong
        else:
            parts += _more_parts(value)
    return min(parts, most + 1)


def _more_parts(value: Value) -> int:
    """Return for how many parts more a long text or number counts, and one of two numbers."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass")) // _PART_BYTES
    if isinstance(value, Keyword | Symbol):
        return len(value.name.encode("utf-8", "surrogatepass")) // _PART_BYTES
    if isinstance(value, bytes):
        return len(value) // _PART_BYTES
    if isinstance(value, bool) or not isinstance(value, int | Fraction | Decimal):
        return 0
    if isinstance(value, int):
        is_small = -(1 << 63) <= value < 1 << 63
        return 0 if is_small else (value.bit_length() + 7) // 8 // _PART_BYTES
    if isinstance(value, Fraction):
        return 2 + _more_parts(value.numerator) + _more_parts(value.denominator)
    return 2 + _more_parts(decimals.parts(value)[0])


def check_data(store: Store, value: Value, *, data_only: bool) -> None:
    """Go through a value. Raises Force at an unrealised lazy seq; if data_only, GuestFault at what has no EDN form."""
    stack: list[Value] = [value]
    seen: dict[int, Value] = {}
    while stack:
        value = bare(stack.pop())
        if isinstance(value, COLLECTIONS):
            if id(value) in seen:  # what is shared is looked through once
                continue
            seen[id(value)] = value
            if isinstance(value, MAPS):
                stack.extend(part for entry in pairs_of(value) for part in entry)
            else:
                stack.extend(all_items(store, value))
        elif data_only and not isinstance(value, _ATOMIC):
            raise type_fault("effect", "data", value)
