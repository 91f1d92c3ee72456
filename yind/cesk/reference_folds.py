"""The host functions of the reference machine that fold many items in one step.

Is:     the functions behind the core library's `reduce`, `into` and `frequencies`.
Is not: `reduce` itself, which may call the program.
Fits:   fills the table of `reference_arguments`.

Nobody counts owners here, so no lazy seq is folded without being realised.
"""

from __future__ import annotations

from pyrsistent import pvector

from yang.primitives import PRIMITIVE_NUMBERS, PRIMITIVES
from yang.segment import PrimitiveRef
from yind.cesk.reference_arguments import FUNCTIONS, check_index, out_of_bounds, primitive
from yind.cesk.reference_sorted import calls_out
from yind.cesk.reference_values import (
    VECTORS,
    CallOut,
    HashMap,
    Lazy,
    Range,
    Store,
    Value,
    is_integer,
    key_of,
    type_fault,
    with_entry,
)

FOLD_FUNCTIONS = frozenset(
    PRIMITIVE_NUMBERS[name]
    for name in ("+", "-", "*", "max", "min", "conj", "bit-and", "bit-or", "bit-xor")
)


def _is_fold_function(value: Value) -> bool:
    return isinstance(value, PrimitiveRef) and value.number in FOLD_FUNCTIONS


@primitive("fold-fn?")
def _fold_fn(store: Store, value: Value) -> bool:
    return _is_fold_function(value)


@primitive("fold-items")
def _fold_items(
    store: Store, function: Value, result: Value, items: Value, start: Value, end: Value
) -> Value:
    if not _is_fold_function(function):
        raise type_fault("fold-items", "a host function to fold with", function)
    if function.number == PRIMITIVE_NUMBERS["conj"] and calls_out(result):
        raise CallOut("fold-items", (function, result, items, start, end))
    whole: Value
    if isinstance(items, Range) and is_integer(items.start):
        whole = range(int(items.start), int(items.end), int(items.step))
    elif isinstance(items, VECTORS):
        whole = items
    else:
        raise type_fault("fold-items", "a vector or a range of integers", items)
    apply = FUNCTIONS[PRIMITIVES[function.number].name]
    for i in _stretch("fold-items", start, end, len(whole)):
        result = apply(store, result, whole[i])
    return result


@primitive("range-bounds")
def _range_bounds(store: Store, value: Value) -> Value:
    if isinstance(value, Range) and is_integer(value.start) and value.step > 0:
        return pvector([value.start, value.end, value.step])
    return None


@primitive("count-each")
def _count_each(store: Store, counts: Value, items: Value, start: Value, end: Value) -> Value:
    if not isinstance(counts, HashMap):
        raise type_fault("count-each", "a map", counts)
    if not isinstance(items, VECTORS):
        raise type_fault("count-each", "a vector", items)
    add = FUNCTIONS["+"]
    for i in _stretch("count-each", start, end, len(items)):
        found = counts.entries.get(key_of(store, items[i]))
        counts = with_entry(
            store, counts, items[i], 1 if found is None else add(store, found[1], 1)
        )
    return counts


@primitive("lazy-folder")
def _lazy_folder(store: Store, value: Value) -> Value:
    if not isinstance(value, Lazy):
        raise type_fault("lazy-folder", "a lazy seq", value)
    return None


def _stretch(name: str, start: Value, end: Value, count: int) -> range:
    """Return the indexes from start and up to end. Raises GuestFault unless 0 <= start <= end <= count."""
    first, behind = check_index(name, start), check_index(name, end)
    if not 0 <= first <= behind:
        raise out_of_bounds(name, first, count)
    if behind > count:
        raise out_of_bounds(name, behind, count)
    return range(first, behind)
