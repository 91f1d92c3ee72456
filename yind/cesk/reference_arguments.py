"""The reference machine's table of host functions, and the checks of their arguments.

Is:     the registry that `reference_numbers`, `reference_text` and `reference_primitives` fill.
Is not: the functions.
Fits:   a function takes the store and the arguments; their number has been checked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from datomstore.value import Char, Keyword, Symbol
from yind.cesk.reference_values import (
    Atom,
    GuestFault,
    Lazy,
    Value,
    is_integer,
    is_number,
    type_fault,
)

Function: TypeAlias = Callable[..., Value]

FUNCTIONS: dict[str, Function] = {}


def primitive(*names: str) -> Callable[[Function], Function]:
    """Return a decorator that enters a function into the table."""

    def register(function: Function) -> Function:
        for name in names:
            FUNCTIONS[name] = function
        return function

    return register


# -- arguments --


def check_number(name: str, value: Value) -> Value:
    """Return a number. Raises GuestFault for anything else."""
    if not is_number(value):
        raise type_fault(name, "a number", value)
    return value


def check_integer(name: str, value: Value) -> int:
    """Return an integer. Raises GuestFault for anything else."""
    if not is_integer(check_number(name, value)):
        raise type_fault(name, "an integer", value)
    return value  # type: ignore[no-any-return]


def check_string(name: str, value: Value) -> str:
    """Return a string. Raises GuestFault for anything else."""
    if not isinstance(value, str):
        raise type_fault(name, "a string", value)
    return value


def check_index(name: str, value: Value) -> int:
    """Return an integer that is meant as an index. Raises GuestFault for anything else."""
    if not is_integer(value):
        raise type_fault(name, "an index", value)
    return value  # type: ignore[no-any-return]


def out_of_bounds(name: str, index: int, count: int) -> GuestFault:
    """Return (not raise) the fault of an index."""
    return GuestFault("index", f"{name}: index {index} out of bounds for length {count}")


def is_same(a: Value, b: Value) -> bool:
    """Return whether two values are one object, or equal ones without parts."""
    if a is b:
        return True
    simple = (int, float, bool, str, Char, Keyword, Symbol, Atom, Lazy, bytes, UUID, datetime)
    return type(a) is type(b) and isinstance(a, simple) and bool(a == b)
