"""Every value as a 64-bit id, so that relations are columns of integers.

Is:     one table for the process, append-only and safe for threads; exact about types.
Is not: durable: the log holds values, ids are given anew by every process. Ids have no order but equality.
Fits:   the indexes and the Datalog evaluator work on ids; values come back only at the edge.

An integer n with |n| < 2**61 is its own id, shifted: n << 1. So entity ids, references and small numbers join without a
look-up, and arithmetic and comparison can be done on whole columns. Everything else is entry i of the table:
(i << 1) | 1. Ids are never packed into narrower keys: a negative or wide id would meet another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from datomstore.value import exact_key

INLINE_BOUND = 1 << 61  # integers below it in magnitude are their own ids

Ids = NDArray[np.int64]

_ids: dict[object, int] = {}
_values: list[object] = []
_lock = Lock()


def intern(value: object) -> int:
    """Return the id of a value; a value that differs in anything has another one. Raises TypeError for what is no value."""
    if type(value) is int and -INLINE_BOUND < value < INLINE_BOUND:
        return value << 1
    key = exact_key(value)
    if type(key) is int and -INLINE_BOUND < key < INLINE_BOUND:  # a ratio that is whole
        return key << 1
    found = _ids.get(key)
    return _add(key, value) if found is None else found


def _add(key: object, value: object) -> int:
    with _lock:
        found = _ids.get(key)
        if found is None:
            found = (len(_values) << 1) | 1
            _values.append(value)  # before the id is visible to anyone
            _ids[key] = found
        return found


def intern_many(values: Iterable[object]) -> Ids:
    """Return the ids of many values as a column."""
    return np.fromiter((intern(value) for value in values), dtype=np.int64)


def find(value: object) -> int | None:
    """Return the id of a value that has one already; None means that no fact can hold it."""
    key = exact_key(value)
    if type(key) is int and -INLINE_BOUND < key < INLINE_BOUND:
        return key << 1
    return _ids.get(key)


def value_of(value_id: int) -> object:
    """Return the value of an id."""
    return _values[value_id >> 1] if value_id & 1 else value_id >> 1


def value_table() -> list[object]:
    """Return the values by half of their ids, integers aside; it only grows."""
    return _values


def values_of(ids: Ids | Sequence[int]) -> list[object]:
    """Return the values of a column of ids."""
    table = _values
    if isinstance(ids, np.ndarray):
        odd = ids & 1
        if not odd.any():
            return (ids >> 1).tolist()  # type: ignore[no-any-return]
        if odd.all():
            return list(map(table.__getitem__, (ids >> 1).tolist()))
    listed: list[int] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
    return [table[i >> 1] if i & 1 else i >> 1 for i in listed]
