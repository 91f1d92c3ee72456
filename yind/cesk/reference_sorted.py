"""Sorted maps and sets of the reference machine: a tuple in order.

Is:     finding and changing by key where the order is the machine's own, and the host functions on ranks.
Is not: the calls of a comparator that is a function of the program: those are the core library's (`CallOut`).
Fits:   `reference_primitives` uses the first part; the second fills the table of `reference_arguments`.
Source: Clojure 1.11: `sorted-map`, and functions as comparators.
"""

from __future__ import annotations

from yang.primitives import PRIMITIVE_NUMBERS, PRIMITIVES
from yang.segment import PrimitiveRef
from yind.cesk.reference_arguments import FUNCTIONS, check_index, out_of_bounds, primitive
from yind.cesk.reference_numbers import total_order
from yind.cesk.reference_values import (
    FUNCTION_KINDS,
    SORTED,
    GuestFault,
    Slice,
    SortedMap,
    SortedSet,
    Store,
    Value,
    items,
    type_fault,
)

_BOOLEAN = frozenset(PRIMITIVE_NUMBERS[name] for name in ("<", "<=", ">", ">="))
_COMPARE = PRIMITIVE_NUMBERS["compare"]


def calls_out(value: Value) -> bool:
    """Return whether a value is sorted by a comparator that only the core library can ask."""
    if not isinstance(value, SORTED) or value.order is None:
        return False
    return not (isinstance(value.order, PrimitiveRef) and value.order.number in _BOOLEAN)


def _order(store: Store, order: Value, a: Value, b: Value) -> int:
    """Return -1, 0 or 1; a function that gives booleans is asked the other way round when it denies."""
    if order is None:
        return total_order(store, a, b)
    before = FUNCTIONS[PRIMITIVES[order.number].name]
    if before(store, a, b):
        return -1
    return int(before(store, b, a))


def rank_of(store: Store, source: Value, key: Value) -> tuple[int, bool]:
    """Return how many entries are before a key, and whether it is there."""
    low, high = 0, len(source.entries)
    while low < high:
        middle = (low + high) // 2
        order = _order(store, source.order, key, source.entries[middle][0])
        if order == 0:
            return middle, True
        low, high = (low, middle) if order < 0 else (middle + 1, high)
    return low, False


def entry_of(store: Store, source: Value, key: Value) -> Value:
    """Return the entry with a key, a tuple of key and value, or None."""
    rank, found = rank_of(store, source, key)
    return source.entries[rank] if found else None


def with_key(store: Store, target: Value, key: Value, value: Value) -> Value:
    """Return a sorted map or set with an entry set; a key that is there already stays as it was."""
    rank, found = rank_of(store, target, key)
    if found:
        return _replaced(target, rank, value) if isinstance(target, SortedMap) else target
    return _inserted(target, rank, key, value)


def without_key(store: Store, target: Value, key: Value) -> Value:
    """Return a sorted map or set without a key."""
    rank, found = rank_of(store, target, key)
    return _removed(target, rank) if found else target


def _inserted(target: Value, rank: int, key: Value, value: Value) -> Value:
    entries = target.entries
    return type(target)(target.order, (*entries[:rank], (key, value), *entries[rank:]))


def _replaced(target: Value, rank: int, value: Value) -> Value:
    entry = (target.entries[rank][0], value)
    entries = target.entries
    return type(target)(target.order, (*entries[:rank], entry, *entries[rank + 1 :]))


def _removed(target: Value, rank: int) -> Value:
    return type(target)(target.order, (*target.entries[:rank], *target.entries[rank + 1 :]))


# -- host functions --


@primitive("sorted-map")
def _sorted_map(store: Store, *arguments: Value) -> Value:
    if len(arguments) % 2:
        raise GuestFault("argument", "sorted-map: the last key has no value")
    found = SortedMap(None, ())
    for key, value in zip(arguments[::2], arguments[1::2], strict=True):
        found = with_key(store, found, key, value)
    return found


@primitive("sorted-set")
def _sorted_set(store: Store, *arguments: Value) -> Value:
    found = SortedSet(None, ())
    for argument in arguments:
        found = with_key(store, found, argument, None)
    return found


@primitive("sorted?")
def _is_sorted(store: Store, value: Value) -> bool:
    return isinstance(value, SORTED)


@primitive("sorted-empty")
def _sorted_empty(store: Store, is_map: Value, order: Value) -> Value:
    if not isinstance(order, FUNCTION_KINDS):
        raise type_fault("sorted-map-by" if is_map else "sorted-set-by", "a function", order)
    if isinstance(order, PrimitiveRef) and order.number == _COMPARE:
        order = None
    return SortedMap(order, ()) if is_map else SortedSet(order, ())


@primitive("sorted-order")
def _sorted_order(store: Store, source: Value) -> Value:
    if not isinstance(source, SORTED):
        raise type_fault("subseq", "a sorted collection", source)
    return PrimitiveRef(_COMPARE) if source.order is None else source.order


@primitive("sorted-calls?")
def _sorted_calls(store: Store, value: Value) -> bool:
    return calls_out(value)


@primitive("sorted-rank")
def _sorted_rank(store: Store, source: Value, key: Value) -> int:
    if not isinstance(source, SORTED) or calls_out(source):
        raise type_fault("sorted-rank", "a sorted collection", source)
    rank, found = rank_of(store, source, key)
    return rank if found else -1 - rank


def _place(name: str, source: Value, rank: Value, beyond: int = 0) -> int:
    if not isinstance(source, SORTED):
        raise type_fault(name, "a sorted collection", source)
    at = check_index(name, rank)
    if not 0 <= at < len(source.entries) + beyond:
        raise out_of_bounds(name, at, len(source.entries))
    return at


@primitive("sorted-key")
def _sorted_key(store: Store, source: Value, rank: Value) -> Value:
    return source.entries[_place("sorted-key", source, rank)][0]


@primitive("sorted-val")
def _sorted_val(store: Store, source: Value, rank: Value) -> Value:
    return source.entries[_place("sorted-val", source, rank)][1]


@primitive("sorted-insert")
def _sorted_insert(store: Store, source: Value, rank: Value, key: Value, value: Value) -> Value:
    at = _place("sorted-insert", source, rank, 1)
    return _inserted(source, at, key, value if isinstance(source, SortedMap) else None)


@primitive("sorted-replace")
def _sorted_replace(store: Store, source: Value, rank: Value, value: Value) -> Value:
    at = _place("sorted-replace", source, rank)
    return _replaced(source, at, value) if isinstance(source, SortedMap) else source


@primitive("sorted-remove")
def _sorted_remove(store: Store, source: Value, rank: Value) -> Value:
    return _removed(source, _place("sorted-remove", source, rank))


@primitive("sorted-from")
def _sorted_from(store: Store, source: Value, rank: Value, ascending: Value) -> Value:
    if not isinstance(source, SORTED):
        raise type_fault("sorted-from", "a sorted collection", source)
    at = check_index("sorted-from", rank)
    found = list(items(store, source)) if 0 <= at < len(source.entries) else []
    if ascending is None or ascending is False:
        found.reverse()
        at = len(found) - 1 - at
    return Slice(found, at) if found else None
