"""Metadata on the reference machine: calls of host functions whose arguments may have some.

Is:     the bare values in place of such arguments, and the metadata of a first argument on the value.
Is not: what equality, hash and text make of metadata: nothing (`reference_values.bare`).
Fits:   every call of a host function that gives a value goes through `call_pure`.
"""

from __future__ import annotations

from yang.primitives import KEEPS_METADATA, takes_bare
from yind.cesk.reference_primitives import FUNCTIONS
from yind.cesk.reference_values import (
    CallOut,
    Described,
    Pair,
    Store,
    Value,
    bare,
)


def _keeps(name: str, before: Value, made: Value) -> bool:
    """Return whether what a host function that keeps metadata made of a value has that of the value."""
    if name == "seq":
        return made is before
    return name != "pop" or not isinstance(made, Pair)


def call_pure(store: Store, name: str, *arguments: Value) -> Value:
    """Return what a host function gives. Raises what it raises."""
    if not any(isinstance(argument, Described) for argument in arguments):
        return FUNCTIONS[name](store, *arguments)
    taken = [
        bare(argument) if takes_bare(name, place) else argument
        for place, argument in enumerate(arguments)
    ]
    try:
        found = FUNCTIONS[name](store, *taken)
    except CallOut as out:  # the library takes what the program gave
        raise CallOut(out.name, arguments) from None
    place = KEEPS_METADATA.get(name)
    if (
        place is not None
        and isinstance(arguments[place], Described)
        and _keeps(name, taken[0], found)
    ):
        return Described(found, arguments[place].metadata)
    return found
